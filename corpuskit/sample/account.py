"""What a sample did: what there was, what was drawn of it, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from corpuskit.sample.weights import Floats

Ints = npt.NDArray[np.int64]

#: Values of a field that are told one by one; those with fewer words come as one.
_VALUES = 50
_SHOWN = 12
OTHERS, NONE = "(others)", "(none)"


@dataclass(slots=True)
class Tally:
    """Paragraphs and words by field and value; tallies add up."""

    of: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    paragraphs: int = 0
    words: int = 0

    def add(self, fields: Mapping[str, pa.Array], words: Ints, times: Ints | None = None) -> None:
        """Count some paragraphs, each as often as ``times`` says (once unless told)."""
        times = np.ones(len(words), np.int64) if times is None else times
        words = words * times
        self.paragraphs += int(times.sum())
        self.words += int(words.sum())
        for name, values in fields.items():
            told, place = _told(name, values)
            own = self.of.setdefault(name, {})
            found = (np.bincount(place, weights, len(told)).astype(np.int64).tolist() for weights in (times, words))
            for value, *more in zip(told, *found, strict=True):
                counts = own.setdefault(value, [0, 0])
                counts[0] += more[0]
                counts[1] += more[1]

    def merge(self, other: Mapping[str, Any]) -> None:
        """Add what another has counted, as :meth:`content` tells it."""
        self.paragraphs += other["paragraphs"]
        self.words += other["words"]
        for name, values in other["of"].items():
            own = self.of.setdefault(name, {})
            for value, (paragraphs, words) in values.items():
                counts = own.setdefault(value, [0, 0])
                counts[0] += paragraphs
                counts[1] += words

    def content(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"paragraphs": self.paragraphs, "words": self.words, "of": self.of}


def _told(name: str, values: pa.Array) -> tuple[list[str], Ints]:
    """The different values of a column as text, and which of them each row has.

    What is not whole is rounded: an expected score to the half point, anything else to a tenth.
    """
    if pa.types.is_floating(values.type):
        values = values.cast(pa.float64())
        values = pc.round_to_multiple(values, 0.5) if name.endswith("_expected") else pc.round(values, 1)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    found = values.dictionary_encode("encode")  # null is a value as others are
    return pc.fill_null(found.dictionary.cast(pa.string()), NONE).to_pylist(), found.indices.to_numpy()


@dataclass(slots=True)
class Spread:
    """The values of one factor."""

    units: int = 0
    zero: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = 0.0

    def add(self, values: Floats) -> None:
        self.units += len(values)
        self.zero += int((values == 0).sum())
        self.total += float(values.sum())
        self.least = min(self.least, float(values.min()))
        self.most = max(self.most, float(values.max()))

    def merge(self, other: list[float]) -> None:
        self.units += int(other[0])
        self.zero += int(other[1])
        self.total += other[2]
        self.least, self.most = min(self.least, other[3]), max(self.most, other[4])

    def content(self) -> list[float]:
        # JSON has no infinity; what is not finite is refused elsewhere.
        return [self.units, self.zero, *map(float, np.nan_to_num([self.total, self.least, self.most]))]


def effective(repetitions: Mapping[int, int]) -> float:
    """The effective sample size of units that come a different number of times.

    (Σ n)² / Σ n² (Kish, *Survey Sampling*, 1965): as many different units, each once, would tell as much.

    Args:
        repetitions: units by how often they come.
    """
    first = sum(times * units for times, units in repetitions.items())
    second = sum(times * times * units for times, units in repetitions.items())
    return first * first / second if second else 0.0


def comparison(before: Tally, after: Tally) -> dict[str, dict[str, Any]]:
    """By field and value, what there was and what was drawn, with the share of the words of each."""
    found: dict[str, dict[str, Any]] = {}
    for name, values in before.of.items():
        drawn = after.of.get(name, {})
        order = sorted(values, key=lambda value: (-values[value][1], value))
        rest, order = order[_VALUES:], _in_order(order[:_VALUES])
        found[name] = {value: _pair(values[value], drawn.get(value, [0, 0]), before, after) for value in order}
        if rest:
            was, now = _sum(values[value] for value in rest), _sum(drawn.get(value, [0, 0]) for value in rest)
            found[name][OTHERS] = _pair(was, now, before, after)
    return found


def _in_order(values: list[str]) -> list[str]:
    """Numbers as they follow each other, what has none behind them; others as they are."""
    try:
        return sorted(values, key=lambda value: float("inf") if value == NONE else float(value))
    except ValueError:
        return values


def _sum(counts: Iterable[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*counts, strict=True)]


def _pair(was: list[int], now: list[int], before: Tally, after: Tally) -> dict[str, Any]:
    return {
        side: {
            "paragraphs": counts[0],
            "words": counts[1],
            "share": round(counts[1] / all.words, 6) if all.words else 0.0,
        }
        for side, counts, all in (("before", was, before), ("after", now, after))
    }


def share_table(report: Mapping[str, Any]) -> Table:
    """For each source, type and score: the share of the words before and after."""
    table = Table(title="By field: words, and their share", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("field", overflow="fold", min_width=20)
    table.add_column("value", overflow="fold", min_width=12)
    for head in ("words", "drawn", "share", "drawn"):
        table.add_column(head, justify="right", no_wrap=True)
    for name, values in report["by"].items():
        for place, (value, pair) in enumerate(values.items()):
            if place == _SHOWN:
                table.add_row("", f"… {len(values) - _SHOWN} more in sample.json")
                break
            was, now = pair["before"], pair["after"]
            table.add_row(
                "" if place else escape(name),
                escape(value),
                f"{was['words']:,}",
                f"{now['words']:,}",
                f"{was['share']:.1%}",
                f"{now['share']:.1%}",
            )
    return table


def factor_table(report: Mapping[str, Any]) -> Table:
    """What each factor is over the corpus."""
    table = Table(title="Factors", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for head in ("factor", "least", "mean", "most", "set to 0"):
        table.add_column(head, justify="left" if head == "factor" else "right", no_wrap=True)
    for name, told in report["factors"].items():
        zero = f"{told['zero'] / report['units']['before']:.1%}"
        table.add_row(escape(name), *(f"{told[one]:.3g}" for one in ("least", "mean", "most")), zero)
    return table


def repetition_table(report: Mapping[str, Any]) -> Table:
    """How many units come how often."""
    table = Table(title="Repetitions", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for head in ("times", f"{report['unit']}s", "share"):
        table.add_column(head, justify="right", no_wrap=True)
    all = max(1, report["units"]["before"])
    told = {int(times): units for times, units in report["repetitions"].items()}
    for times in sorted(told)[:_SHOWN]:
        table.add_row(f"{times}", f"{told[times]:,}", f"{told[times] / all:.1%}")
    if more := sorted(told)[_SHOWN:]:
        units = sum(told[times] for times in more)
        table.add_row(f"{more[0]}–{more[-1]}", f"{units:,}", f"{units / all:.1%}")
    return table


def merged(repetitions: Iterable[Mapping[str, int]]) -> dict[int, int]:
    """The sum of several histograms, by how often."""
    found = Counter[int]()
    for one in repetitions:
        found.update({int(times): units for times, units in one.items()})
    return dict(sorted(found.items()))
