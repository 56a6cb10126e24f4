"""What a build is going to read, and in which tasks."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from corpuskit.config import BuildConfig
from corpuskit.files import InputFile

#: A task reads about this much, so that a large input keeps many workers busy.
TASK_BYTES = 128 << 20
#: A file smaller than this is not worth being read by several tasks.
SLICE_BYTES = 1 << 20


class PlanError(Exception):
    """There is nothing to read, or no way to read it; the message says why."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One input file of one source, with its number in the sorted list of all."""

    source: int
    number: int
    file: InputFile


class Slice(NamedTuple):
    """What a task reads of a unit: part ``part`` of ``parts``."""

    unit: int
    part: int = 0
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The input files and their division into tasks (which never shows in the output)."""

    config: BuildConfig
    units: list[Unit]
    tasks: list[list[Slice]]
    limit: int

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(unit.file.size for unit in self.units)


def plan(config: BuildConfig, workers: int = 1, limit: int = -1) -> Plan:
    """Find the input and divide it into tasks.

    Several workers share a large file: each reads the whole stream, and parses and cleans its part of the
    records. So their number does not depend on the number of files.

    Args:
        config: what to build.
        workers: tasks that will run side by side.
        limit: articles to read of each source, -1 for all.

    Raises:
        PlanError: a source's path leads nowhere.
    """
    units: list[Unit] = []
    for number, source in enumerate(config.sources):
        try:
            files = source.reader().files()
        except (FileNotFoundError, OSError, ValueError, ImportError) as error:
            raise PlanError(f"sources[{number}] ({source.type}): {error}") from error
        units += [Unit(number, len(units) + at, file) for at, file in enumerate(files)]
    if limit >= 0:
        # "The first N articles of a source" means something only in one task.
        sources = range(len(config.sources))
        return Plan(config, units, [[Slice(u.number) for u in units if u.source == one] for one in sources], limit)
    size = sum(unit.file.size for unit in units)
    wanted = max(4 * workers if workers > 1 else 1, size // TASK_BYTES)
    share = max(size / (4 * workers), SLICE_BYTES)
    slices = []
    for unit in units:
        parts = max(1, min(workers, ceil(unit.file.size / share)))
        slices += [(unit.file.size // parts, Slice(unit.number, part, parts)) for part in range(parts)]
    return Plan(config, units, _balanced(slices, wanted), limit)


def _balanced(slices: list[tuple[int, Slice]], wanted: int) -> list[list[Slice]]:
    """Largest first into the emptiest task."""
    tasks: list[list[Slice]] = [[] for _ in range(min(wanted, len(slices)))]
    loads = [0] * len(tasks)
    for size, one in sorted(slices, key=lambda pair: (-pair[0], pair[1])):
        emptiest = loads.index(min(loads))
        tasks[emptiest].append(one)
        loads[emptiest] += size + 1
    return [sorted(task) for task in tasks]
