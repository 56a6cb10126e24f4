"""How an enrichment gets on, while it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn

from corpuskit.enrich.client import Client
from corpuskit.progress import Log, follow


@contextmanager
def watch(
    client: Client, total: int, outcomes: Counter[str], tokens: Counter[str], log: Log, console: Console
) -> Iterator[None]:
    """Show counts that somebody else keeps while the block runs, see :func:`corpuskit.progress.follow`.

    Args:
        client: whose servers are watched.
        total: questions to ask.
        outcomes: answered so far, by outcome.
        tokens: "in" and "out" so far.
        log: as there.
        console: where the bar is drawn.
    """

    def out() -> list[str]:
        """The servers that are out, and why."""
        return [f"{Client.shown(one.url)}: {one.last_error}" for one in client.endpoints if one.out]

    def shown(seconds: float) -> tuple[int, str]:
        done = outcomes.total()
        bad = ", ".join(f"{many:,} {name}" for name, many in sorted(outcomes.items()) if name != "ok")
        rates = f"{done / seconds:,.1f}/s, {(tokens['in'] + tokens['out']) / seconds:,.0f} tokens/s"
        return done, f"{rates} {bad} [red]{escape('; '.join(out()))}[/]"

    def line(seconds: float) -> dict[str, Any]:
        done = outcomes.total()
        rate = done / seconds
        return {
            "event": "progress",
            "done": done,
            "total": total,
            "outcomes": dict(outcomes),
            "requests_per_second": round(rate, 1),
            "tokens_per_second": round((tokens["in"] + tokens["out"]) / seconds),
            "seconds_left": round((total - done) / rate, 1) if rate else None,
            "servers_out": out(),
        }

    with follow("asking", MofNCompleteColumn(), total, shown, line, log, console):
        yield
