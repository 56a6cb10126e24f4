"""The build: sources → clean → dedup → paragraphs, as one function."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import orjson
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from rich.console import Console

from corpuskit import progress, runs
from corpuskit.clean.encoding import EncodingStep
from corpuskit.clean.kinds import KindStep
from corpuskit.clean.language import LanguageStep
from corpuskit.clean.mask import MaskStep
from corpuskit.clean.ocr import OcrStep
from corpuskit.clean.quality import QualityStep
from corpuskit.clean.repetition import RepetitionStep
from corpuskit.clean.segment import split_long
from corpuskit.config import BuildConfig, ConfigError
from corpuskit.files import InputFile
from corpuskit.paragraphs import collate
from corpuskit.paragraphs.funnel import funnel
from corpuskit.paragraphs.parts import PartWriter
from corpuskit.records import Article
from corpuskit.sources.base import SourceReader
from corpuskit.steps import ArticleStep, to_document

#: A task reads about this much, so that a large input keeps many workers busy.
_TASK_BYTES = 128 << 20


class BuildError(Exception):
    """A build that cannot start or that came to nothing; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One input file of one source, with its number in the sorted list of all."""

    source: int
    number: int
    file: InputFile


@dataclass(frozen=True, slots=True)
class Plan:
    """What a build is going to read, and in which tasks."""

    config: BuildConfig
    units: list[Unit]
    tasks: list[list[Unit]]
    limit: int

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(unit.file.size for unit in self.units)


@dataclass(frozen=True, slots=True)
class Run:
    """A finished build: its folder, its manifest and its accounts."""

    output: Path
    manifest: dict[str, Any]
    funnel: dict[str, Any]
    #: False when the folder already held this very build.
    worked: bool


def plan(config: BuildConfig, workers: int = 1, limit: int = -1) -> Plan:
    """Find the input and divide it into tasks (their number never shows in the output).

    Args:
        config: what to build.
        workers: tasks that will run side by side.
        limit: articles to read of each source, -1 for all.

    Raises:
        BuildError: a source's path leads nowhere.
    """
    units: list[Unit] = []
    for number, source in enumerate(config.sources):
        try:
            files = source.reader().files()
        except (FileNotFoundError, OSError, ValueError, ImportError) as error:
            raise BuildError(f"sources[{number}] ({source.type}): {error}") from error
        units += [Unit(number, len(units) + at, file) for at, file in enumerate(files)]
    wanted = max(4 * workers, sum(unit.file.size for unit in units) // _TASK_BYTES)
    if limit >= 0:
        # "The first N articles of a source" means something only in one task.
        tasks = [[unit for unit in units if unit.source == number] for number in range(len(config.sources))]
    else:
        tasks = _balanced(units, wanted if workers > 1 else max(1, wanted // 4))
    return Plan(config, units, tasks, limit)


def _balanced(units: list[Unit], wanted: int) -> list[list[Unit]]:
    """Largest first into the emptiest task."""
    tasks: list[list[Unit]] = [[] for _ in range(min(wanted, len(units)))]
    loads = [0] * len(tasks)
    for unit in sorted(units, key=lambda unit: (-unit.file.size, unit.number)):
        emptiest = loads.index(min(loads))
        tasks[emptiest].append(unit)
        loads[emptiest] += unit.file.size + 1
    return [sorted(task, key=lambda unit: unit.number) for task in tasks]


class Read(PipelineStep):
    """The first step of a build: task *n* of the plan, read, cut into paragraphs, counted."""

    name = "Read"
    type = "📖 - READER"

    def __init__(self, plan: Plan, work: Path) -> None:
        super().__init__()
        self.plan, self.work = plan, work

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        return cast(DocumentsPipeline, self._run(rank))

    def _run(self, rank: int) -> Iterator[Document]:
        reporter = progress.Reporter(self.work / "progress", rank)
        readers = [source.reader() for source in self.plan.config.sources]
        read = {reader.source_name: Counter[str]() for reader in readers}
        left = [self.plan.limit] * len(readers)
        for unit in self.plan.tasks[rank]:
            reader = readers[unit.source]
            counts = read[reader.source_name]
            at = 0
            for item in reader.read_file(unit.file) if left[unit.source] else ():
                document = to_document(item)
                if isinstance(item, Article):
                    split_long(item)
                    document.metadata["key"] = unit.number << 32 | at
                    at += 1
                    left[unit.source] -= 1
                    counts["articles"] += 1
                    counts["paragraphs"] += len(item.paragraphs)
                else:
                    counts["quarantined"] += 1
                yield document
                self._tell(reporter, readers, read)
                if not left[unit.source]:
                    break
        self._tell(reporter, readers, read, now=True)
        ignored: dict[str, Counter[str]] = {}
        for reader in readers:
            ignored.setdefault(reader.source_name, Counter()).update(reader.ignored)
        runs.write_json(self.work / "counts" / f"{rank:05d}.json", {"read": read, "ignored": ignored})

    @staticmethod
    def _tell(
        reporter: progress.Reporter, readers: list[SourceReader], read: dict[str, Counter[str]], now: bool = False
    ) -> None:
        count = reporter.count
        count.bytes = sum(reader.bytes_read for reader in readers)
        count.articles, count.paragraphs, count.quarantined = (
            sum(counts[name] for counts in read.values()) for name in ("articles", "paragraphs", "quarantined")
        )
        reporter.tell(now)


def steps(config: BuildConfig) -> list[ArticleStep]:
    """The cleaning steps of a build, in order: what is not wanted first, what costs most last."""
    clean = config.clean
    kinds: list[tuple[type[ArticleStep], Any]] = [
        (KindStep, clean.kind),
        (EncodingStep, clean.encoding),
        *([(MaskStep, clean.mask)] if clean.mask.kinds else []),
        (LanguageStep, clean.language),
        (OcrStep, clean.ocr),
        (QualityStep, clean.quality),
        (RepetitionStep, clean.repetition),
    ]
    return [step(**options.model_dump()) for step, options in kinds]


def build(
    config: BuildConfig,
    output: str | Path,
    workers: int = 1,
    limit: int = -1,
    overwrite: bool = False,
    log: progress.Log = "auto",
    console: Console | None = None,
) -> Run:
    """Build the data set.

    Args:
        config: what to build (:func:`corpuskit.config.load` reads one from a file).
        output: folder to write; it appears with its parts whole or not at all.
        workers: processes.
        limit: articles to read of each source, -1 for all.
        overwrite: replace another build that is in the folder.
        log: how progress is shown, see :func:`corpuskit.progress.watch`.
        console: where.

    Returns:
        The finished run. An output folder that holds this very build already is returned as it is.

    Raises:
        BuildError: nothing to read, another build in the folder, or not one paragraph left.
        corpuskit.paragraphs.funnel.Unbalanced: a paragraph was lost, which must not happen.
    """
    output, console = Path(output), console or Console(stderr=True)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(f"{output} cannot be written: {error.strerror}; choose another folder") from None
    started, clock = datetime.now(UTC), _Clock()
    planned = plan(config, workers, limit)
    inputs = runs.describe_all([unit.file for unit in planned.units])
    decisive = {
        "config": config.model_dump(mode="json", exclude={"sources"}),
        # A path is where the input is, not what it is: that is in the checksums.
        "sources": [source.model_dump(mode="json") | {"path": None} for source in config.sources],
        "limit": limit,
        "inputs": [[unit.source, told] for unit, told in zip(planned.units, inputs, strict=True)],
        "versions": runs.versions(),
    }
    fingerprint = runs.fingerprint(decisive)
    clock.stage("inputs")
    if (finished := _finished(output)) is not None:
        if finished.manifest["fingerprint"] == fingerprint and not overwrite:
            return _not_empty(finished)
        if not overwrite:
            raise BuildError(
                f"{output} holds another build ({finished.manifest['fingerprint'][:12]}, not {fingerprint[:12]}): "
                "choose another folder, or replace it with --overwrite"
            )
    elif not (output / ".work").exists() and any(output.iterdir()):
        raise BuildError(f"{output} holds something that is no build of corpuskit: choose another folder")

    work, fresh = output / ".work", output / ".work" / "output"
    shutil.rmtree(work, ignore_errors=True)
    (work / "counts").mkdir(parents=True)
    read_pipeline = [Read(planned, work), *steps(config), PartWriter(work)]
    with progress.watch(work / "progress", planned.size, log, console):
        runs.run_tasks(read_pipeline, len(planned.tasks), workers, work / "logs" / "read")
    clock.stage("read_and_clean")
    names_by_source = names_of(config)
    names = list(dict.fromkeys(names_by_source))
    shards = collate.decide(work, names, config.dedup.articles, config.dedup.paragraphs, config.output.words_per_shard)
    clock.stage("dedup")
    runs.run_tasks([collate.Deal(work)], len(planned.tasks), workers, work / "logs" / "deal")
    runs.run_tasks([collate.Collate(work, fresh)], shards, workers, work / "logs" / "collate")
    read, ignored = _counted(work, names)
    _gather_quarantine(work, fresh)
    clock.stage("write")
    accounts = funnel(fresh, read, work)
    runs.write_json(fresh / "funnel.json", accounts)
    clock.stage("accounts")
    manifest = {
        "tool": "corpuskit build",
        "fingerprint": fingerprint,
        "started": started.isoformat(timespec="seconds"),
        "seconds": clock.stages,
        "workers": workers,
        "limit": limit if limit >= 0 else None,
        "config": config.model_dump(mode="json"),
        "versions": runs.versions(),
        "machine": runs.machine(),
        "inputs": [
            {"source": names_by_source[unit.source]} | told for unit, told in zip(planned.units, inputs, strict=True)
        ],
        "ignored": ignored,
        "outputs": _outputs(fresh),
    }
    runs.write_json(fresh / "manifest.json", manifest)
    if finished is not None:  # an empty result is worth less than the build it would replace
        _not_empty(Run(fresh, manifest, accounts, worked=True))
    _publish(fresh, output)
    shutil.rmtree(work)
    return _not_empty(Run(output, manifest, accounts, worked=True))


def names_of(config: BuildConfig) -> list[str]:
    """The name of each source in the ``source`` column, in the order of the configuration."""
    return [source.reader().source_name for source in config.sources]


class _Clock:
    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._last = time.perf_counter()

    def stage(self, name: str) -> None:
        now = time.perf_counter()
        self.stages[name] = round(now - self._last, 3)
        self._last = now


def _finished(output: Path) -> Run | None:
    """The build that a folder holds: its manifest is the last thing written."""
    try:
        manifest = orjson.loads((output / "manifest.json").read_bytes())
        accounts = orjson.loads((output / "funnel.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return Run(output, manifest, accounts, worked=False) if manifest.get("tool") == "corpuskit build" else None


def _counted(work: Path, names: list[str]) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    """What the readers counted over all tasks: by source, and the files that were not theirs by ending."""
    read = {name: {"articles": 0, "paragraphs": 0, "quarantined": 0} for name in names}
    ignored: dict[str, Counter[str]] = {name: Counter() for name in names}
    for path in sorted((work / "counts").glob("*.json")):
        counts = orjson.loads(path.read_bytes())
        for name in names:
            for unit, number in counts["read"].get(name, {}).items():
                read[name][unit] += number
            ignored[name].update(counts["ignored"].get(name, {}))
    return read, {name: dict(sorted(counts.items())) for name, counts in ignored.items() if counts}


def _gather_quarantine(work: Path, output: Path) -> None:
    """One file, sorted, as short as it should be."""
    lines = sorted(line for path in (work / "quarantine").glob("*.jsonl") for line in path.read_bytes().splitlines())
    (output / "quarantine").mkdir(parents=True, exist_ok=True)
    (output / "quarantine" / "00000.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def _outputs(folder: Path) -> list[dict[str, Any]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [runs.describe(InputFile(str(path), str(path.relative_to(folder)), path.stat().st_size)) for path in files]


def _publish(fresh: Path, output: Path) -> None:
    """Put the finished parts in their place, the manifest last."""
    (output / "manifest.json").unlink(missing_ok=True)
    for part in sorted(fresh.iterdir(), key=lambda part: (part.name == "manifest.json", part.name)):
        target = output / part.name
        if target.is_dir():
            shutil.rmtree(target)
        part.replace(target)


def _not_empty(run: Run) -> Run:
    if run.funnel["kept"] and sum(counts["paragraphs"] for counts in run.funnel["kept"].values()):
        return run
    reasons = Counter[str]()
    for row in run.funnel["dropped"]:
        if row["stage"] != collate.EMPTY:
            reasons[f"{row['count']} {row['unit']}s by {row['stage']}: {row['reason']}"] += row["count"]
    quarantined = sum(run.funnel["quarantined"].values())
    told = [reason for reason, _ in reasons.most_common(5)] + ([f"{quarantined} in quarantine"] if quarantined else [])
    nothing = "nothing in the input was of a kind that the sources read"
    raise BuildError(f"not one paragraph was kept ({'; '.join(told) or nothing}); see {run.output}/funnel.json")


__all__ = ["BuildError", "ConfigError", "Plan", "Run", "build", "plan", "steps"]
