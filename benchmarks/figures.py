"""What a benchmark reports: named figures, each beside the value it has to reach."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; ``at_least`` is the threshold, None where the figure is for information."""

    name: str
    value: float
    at_least: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.at_least is None or self.value >= self.at_least

    @property
    def threshold(self) -> str:
        """What it has to reach, "" where that is nothing."""
        return "" if self.at_least is None else f"{self.at_least:g}"

    @property
    def verdict(self) -> str:
        """Whether it does, in a word."""
        return "" if self.at_least is None else "ok" if self.reached else "MISSED"


def conclude(figures: Sequence[Figure], path: Path | None, told: Mapping[str, Any] | None = None) -> int:
    """Write the figures as JSON, if asked; the exit status: 1 where one misses its threshold.

    Args:
        figures: what was measured.
        path: of the file, None for none.
        told: what else stands in it; the figures alone are a list, else they stand under `figures`.
    """
    if path:
        found = [asdict(figure) for figure in figures]
        content = found if told is None else {**told, "figures": found}
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if all(figure.reached for figure in figures) else 1
