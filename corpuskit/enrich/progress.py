"""How an enrichment gets on, while it does."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from corpuskit.enrich.client import Client
from corpuskit.progress import Log


class Watch:
    """Shows counts that somebody else keeps, as a bar or as JSON lines (see :func:`corpuskit.progress.watch`).

    Args:
        total: questions to ask.
        outcomes: answered so far, by outcome.
        tokens: "in" and "out" so far.
        log: as there.
        console: where the bar is drawn.
        every: seconds between two JSON lines.
    """

    def __init__(
        self, total: int, outcomes: Counter[str], tokens: Counter[str], log: Log, console: Console, every: float = 10.0
    ) -> None:
        self._total, self._outcomes, self._tokens = total, outcomes, tokens
        self._log = ("rich" if console.is_terminal else "quiet") if log == "auto" else log
        self._console, self._every = console, every
        self._stop, self._start = threading.Event(), time.monotonic()
        self._client: Client | None = None
        self._thread: threading.Thread | None = None

    def say(self, client: Client) -> None:
        """Watch these servers too."""
        self._client = client

    def __enter__(self) -> Self:
        follow = {"rich": self._draw, "json": self._print}.get(self._log)
        if follow:
            self._thread = threading.Thread(target=follow, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _rates(self) -> tuple[int, float, float]:
        done, seconds = self._outcomes.total(), max(time.monotonic() - self._start, 1e-3)
        return done, done / seconds, (self._tokens["in"] + self._tokens["out"]) / seconds

    def _out(self) -> list[str]:
        """The servers that are out, and why."""
        found = self._client.endpoints if self._client else []
        return [f"{Client.shown(one.url)}: {one.last_error}" for one in found if one.out]

    def _draw(self) -> None:
        columns = (
            TextColumn("asking"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("ask", total=self._total, told="")
            while not self._stop.wait(0.3):
                done, rate, tokens = self._rates()
                bad = ", ".join(f"{many:,} {name}" for name, many in sorted(self._outcomes.items()) if name != "ok")
                out = f"[red]{escape('; '.join(self._out()))}[/]"
                told = f"{rate:,.1f}/s, {tokens:,.0f} tokens/s {bad} {out}"
                progress.update(task, completed=done, told=told)

    def _print(self) -> None:
        while not self._stop.wait(self._every):
            done, rate, tokens = self._rates()
            line = {
                "event": "progress",
                "done": done,
                "total": self._total,
                "outcomes": dict(self._outcomes),
                "requests_per_second": round(rate, 1),
                "tokens_per_second": round(tokens),
                "seconds_left": round((self._total - done) / rate, 1) if rate else None,
                "servers_out": self._out(),
            }
            sys.stderr.write(orjson.dumps(line).decode() + "\n")
