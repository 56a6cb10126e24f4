"""How far a run is: each task leaves a small file that the front end reads."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

Log = Literal["auto", "rich", "json", "quiet"]


@dataclass(slots=True)
class Count:
    """What one task has done so far."""

    bytes: int = 0
    articles: int = 0
    paragraphs: int = 0
    quarantined: int = 0


class Reporter:
    """Written by a task, a few times a second at most."""

    def __init__(self, folder: Path, rank: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{rank:05d}.json"
        self.count = Count()
        self._last = 0.0

    def tell(self, now: bool = False) -> None:
        """Leave word of ``count``; between two words goes a quarter of a second, unless ``now``."""
        if now or time.monotonic() - self._last > 0.25:
            partial = self.path.with_suffix(".partial")
            partial.write_bytes(orjson.dumps(asdict(self.count)))
            os.replace(partial, self.path)
            self._last = time.monotonic()


def total(folder: Path) -> Count:
    """The sum over all tasks."""
    found = Count()
    for path in folder.glob("*.json"):
        try:
            count = orjson.loads(path.read_bytes())
        except (OSError, orjson.JSONDecodeError):  # being replaced at this very moment
            continue
        for name, value in count.items():
            setattr(found, name, getattr(found, name) + value)
    return found


@contextmanager
def watch(folder: Path, size: int, log: Log, console: Console, every: float = 10.0) -> Iterator[None]:
    """Show the progress of the tasks that report to ``folder`` while the block runs, see :func:`follow`.

    Args:
        folder: where they report.
        size: bytes to read in all.
        log: as there.
        console: where the bar is drawn.
        every: seconds between two JSON lines.
    """

    def shown(seconds: float) -> tuple[int, str]:
        count = total(folder)
        rate = count.bytes / seconds / 1e6
        return min(count.bytes, size), f"{count.articles:,} articles, {count.paragraphs:,} paragraphs, {rate:.1f} MB/s"

    def line(seconds: float) -> dict[str, Any]:
        count = total(folder)
        rate = count.bytes / seconds
        return asdict(count) | {
            "event": "progress",
            "seconds": round(seconds, 1),
            "bytes_total": size,
            "bytes_per_second": round(rate),
            "seconds_left": round(max(0, size - count.bytes) / rate, 1) if rate else None,
        }

    with follow("reading", TaskProgressColumn(), size or None, shown, line, log, console, every):
        yield


@contextmanager
def follow(
    name: str,
    column: ProgressColumn,
    size: int | None,
    shown: Callable[[float], tuple[int, str]],
    line: Callable[[float], dict[str, Any]],
    log: Log,
    console: Console,
    every: float = 10.0,
) -> Iterator[None]:
    """Show the progress of what goes on elsewhere while the block runs.

    Args:
        name: of what goes on.
        column: of the bar, how far it is.
        size: what there is to do in all, None where that is not known.
        shown: from the seconds so far, how much is done, and what else to show beside the bar.
        line: from the seconds so far, what a JSON line says.
        log: "rich" draws a bar, "json" prints a line every ``every`` seconds, "quiet" nothing;
            "auto" is a bar on a terminal and nothing elsewhere.
        console: where the bar is drawn.
        every: seconds between two JSON lines.
    """
    if log == "auto":
        log = "rich" if console.is_terminal else "quiet"
    stop, start = threading.Event(), time.monotonic()

    def seconds() -> float:
        return max(time.monotonic() - start, 1e-3)

    def draw() -> None:
        told = TextColumn("{task.fields[told]}")
        columns = (TextColumn(name), BarColumn(), column, told, TimeRemainingColumn(compact=True))
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(name, total=size, told="")
            while not stop.wait(0.3):
                done, beside = shown(seconds())
                progress.update(task, completed=done, told=beside)

    def write() -> None:
        while not stop.wait(every):
            sys.stderr.write(orjson.dumps(line(seconds())).decode() + "\n")

    showing = {"rich": draw, "json": write}.get(log)
    thread = threading.Thread(target=showing, daemon=True) if showing else None
    if thread:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if thread:
            thread.join()


@contextmanager
def stage(name: str, log: Log, console: Console) -> Iterator[None]:
    """Show that a stage is under way while the block runs, as :func:`watch` does; "json" says when it is done."""
    start = time.monotonic()
    if log == "rich" or (log == "auto" and console.is_terminal):
        with console.status(name):
            yield
    else:
        yield
        if log == "json":
            line = {"event": "stage", "stage": name, "seconds": round(time.monotonic() - start, 1)}
            sys.stderr.write(orjson.dumps(line).decode() + "\n")
