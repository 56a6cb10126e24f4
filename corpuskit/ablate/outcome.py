"""What became of a study: of each unit, and of its runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from corpuskit.ablate.study import Plan, Unit
from corpuskit.evaluate.compare import Comparison

State = Literal["before", "done", "failed", "left out", "interrupted", "to do"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a unit, or what it waits for.

    Attributes:
        unit: which.
        state: from before, done now, failed, left out (since what it needs failed), or to do, begun or not.
        message: why, and what to do.
        seconds: that it took when it was done.
    """

    unit: Unit
    state: State
    message: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Ablated:
    """A study, finished or not.

    Attributes:
        output: its folder.
        plan: what it is made of.
        outcomes: by unit.
        comparison: of the runs that have a result; None where there is none.
        worked: False when all was there before.
    """

    output: Path
    plan: Plan
    outcomes: dict[str, Outcome]
    comparison: Comparison | None
    worked: bool

    @property
    def failed(self) -> list[Outcome]:
        """What failed itself."""
        return [one for one in self.outcomes.values() if one.state == "failed"]

    @property
    def unfinished(self) -> list[str]:
        """The runs that have no result for that."""
        ended = ("failed", "left out")
        return [run.name for run in self.plan.runs if any(self.outcomes[id].state in ended for id in run.units)]
