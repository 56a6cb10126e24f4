"""What a benchmark reports: named figures, each beside the value it has to reach."""

from __future__ import annotations

from dataclasses import dataclass


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
