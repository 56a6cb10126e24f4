"""How sure a figure and a difference are: intervals, p-values and win rates, from what each document adds to them.

A micro-F1 is a quotient of sums over documents, a macro-F1 the mean of several. A resample of the documents only
weighs the terms of these sums anew, so all resamples of all seeds and systems are one product of matrices. Documents
are what is drawn, or what they belong to (patients, articles), because entities of one document are not independent.
The seeds are taken as they are: an interval and a p-value tell how much hangs on the documents, the standard deviation
over seeds how much hangs on chance in training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.enrich.measures import Floats, ratio
from corpuskit.evaluate.records import TaskError

#: Rows of a number for each unit: a generator, how many rows, how many units.
Draw = Callable[[np.random.Generator, int, int], npt.NDArray[Any]]

RESAMPLES = 1_000
CONFIDENCE = 0.95
#: Cells of a matrix of draws that are held at once.
_CELLS = 1 << 22
#: A difference below is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """A figure that is a quotient of sums over units, or the mean over classes of such quotients.

    Attributes:
        units: the names of what is drawn: of documents, or of what they belong to.
        classes: what the mean is over; one for a micro average.
        above: what each unit adds above the line, (classes, units).
        below: what it adds below it, (classes, units).
        weight: what it adds to the weight of each class, (classes, units); None: the classes weigh alike.
    """

    units: tuple[str, ...]
    classes: tuple[str, ...]
    above: Floats
    below: Floats
    weight: Floats | None = None

    def __post_init__(self) -> None:
        shape = (len(self.classes), len(self.units))
        if any(part is not None and part.shape != shape for part in (self.above, self.below, self.weight)):
            raise ValueError(f"not one number a class and unit: {self.above.shape} and {self.below.shape}, not {shape}")

    @classmethod
    def mean(cls, units: Sequence[str], values: npt.ArrayLike) -> Measure:
        """The mean of one value a unit, such as an accuracy."""
        above = np.asarray(values, np.float64)[None, :]
        return cls(tuple(units), ("all",), above, np.ones_like(above))

    @property
    def value(self) -> float:
        """The figure; NaN where nothing is below the line. A class with nothing below it is left out of the mean."""
        return float(_figures(self.parts.sum(-1)))

    @property
    def by_unit(self) -> Floats:
        """The figure of each unit alone, (units,); NaN where it is not defined."""
        return _figures(np.moveaxis(self.parts, -1, 0))

    @property
    def parts(self) -> Floats:
        """All that is summed, (2 or 3, classes, units)."""
        return np.stack([self.above, self.below] if self.weight is None else [self.above, self.below, self.weight])

    def grouped(self, groups: Sequence[str]) -> Measure:
        """The same figure with groups drawn whole, in the order of their names.

        Args:
            groups: what each unit belongs to, (units,).
        """
        names, place = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
        into = np.zeros((len(groups), len(names)))
        into[np.arange(len(groups)), place] = 1.0
        parts = self.parts @ into
        return Measure(tuple(map(str, names)), self.classes, *parts)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its interval; without one where there are not two units to draw from."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much system A is above system B, mean over seeds, and how sure that is.

    Attributes:
        value: A minus B.
        low: lower end of the interval; None where there are not two units to draw from.
        high: upper end.
        p_bootstrap: two-sided, of the paired bootstrap.
        p_randomisation: two-sided, of approximate randomisation.
        win_rate: share of the seeds in which A is above B.
    """

    value: float
    low: float | None
    high: float | None
    p_bootstrap: float
    p_randomisation: float
    win_rate: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation (n - 1 below the line) of a figure over seeds; None with a single one."""

    mean: float
    deviation: float | None
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Mean ± standard deviation over seeds."""
    mean = float(np.mean(values))
    return Spread(mean, float(np.std(values, ddof=1)) if len(values) > 1 else None, len(values))


def win_rate(a: Sequence[float], b: Sequence[float]) -> float:
    """The share of pairs (seeds or tasks) in which A is above B; a tie is half a win for each."""
    return sum(1.0 if x > y else 0.5 if x == y else 0.0 for x, y in zip(a, b, strict=True)) / len(a)


def bootstrap(
    seeds: Sequence[Measure], *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
) -> Interval:
    """The mean of a figure over seeds, and the percentile interval of it.

    Efron and Tibshirani (1993), "An introduction to the bootstrap", chapter 13; whole groups drawn as in Field and
    Welsh (2007), "Bootstrapping clustered data". Resamples in which the figure is not defined are left out.

    Args:
        seeds: the figure in the run of each seed, over the same units.
        resamples: how often the units are drawn.
        confidence: share of the resamples within the interval.
        seed: of the draws.

    Raises:
        TaskError: the runs are not of the same units.
    """
    parts = _stacked(seeds)
    return _interval(_mean(parts.sum(-1)), _mean(_resampled(parts, resamples, seed)), parts.shape[-1], confidence)


def paired_bootstrap(
    a: Sequence[Measure],
    b: Sequence[Measure],
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> tuple[Interval, float]:
    """The difference A - B with its percentile interval, and the two-sided p-value of the paired bootstrap.

    Both systems are read on the same draws. The p-value is the share of resamples in which the difference is as far
    from the one observed as that is from none: Berg-Kirkpatrick, Burkett and Klein (2012), "An empirical
    investigation of statistical significance in NLP", for both sides. With few units (below 20 or so) it is too small.

    Args:
        a: the figure in the run of each seed of one system.
        b: the same of the other, over the same units.
        resamples: how often the units are drawn.
        confidence: share of the resamples within the interval.
        seed: of the draws.

    Raises:
        TaskError: the runs are not of the same units.
    """
    first, second = _sides(a, b)
    observed = _mean(first.sum(-1)) - _mean(second.sum(-1))
    drawn = _resampled(np.concatenate([first, second]), resamples, seed)
    differences = _mean(drawn[:, : len(first)]) - _mean(drawn[:, len(first) :])
    interval = _interval(observed, differences, first.shape[-1], confidence)
    return interval, 1.0 if interval.low is None else _p_value(differences - observed, observed)


def approximate_randomisation(
    a: Sequence[Measure], b: Sequence[Measure], *, resamples: int = RESAMPLES, seed: int = 0
) -> float:
    """The two-sided p-value of the difference of two systems if for each unit it were chance which said what.

    Noreen (1989), "Computer-intensive methods for testing hypotheses". What the systems said of a unit changes sides
    in all seeds together, the first seed of one with the first of the other.

    Args:
        a: the figure in the run of each seed of one system.
        b: the same of the other, over the same units.
        resamples: how often sides are changed.
        seed: of the changes.

    Raises:
        TaskError: the runs are not of the same units.
    """
    first, second = _sides(a, b)
    change = second - first
    differences = []
    for changed in _blocks(_coins, first.shape[-1], resamples, seed):
        moved = _sums(changed, change)
        differences.append(_mean(first.sum(-1) + moved) - _mean(second.sum(-1) - moved))
    return _p_value(np.concatenate(differences), _mean(first.sum(-1)) - _mean(second.sum(-1)))


def compare(
    a: Sequence[Measure],
    b: Sequence[Measure],
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Difference:
    """All that tells whether system A is better than system B; see the functions that it calls.

    Where one has fewer seeds than the other, its runs are taken again from the first one on, all equally often.
    """
    interval, p_value = paired_bootstrap(a, b, resamples=resamples, confidence=confidence, seed=seed)
    randomised = approximate_randomisation(a, b, resamples=resamples, seed=seed)
    times = math.lcm(len(a), len(b))
    first, second = ([one.value for one in side] * (times // len(side)) for side in (a, b))
    return Difference(interval.value, interval.low, interval.high, p_value, randomised, win_rate(first, second))


# ---------------------------------------------------------------------------------------------------------------------
# Sums and draws


def _stacked(measures: Sequence[Measure]) -> Floats:
    """The parts of measures of the same units, (measures, 2 or 3, classes of all of them, units)."""
    if not measures or not measures[0].units:
        raise TaskError("there is nothing to draw from: no run, or a run of no documents")
    first = measures[0]
    for one in measures:
        if one.units != first.units:
            strangers = sorted(set(one.units) ^ set(first.units))
            told = f"such as {strangers[0]!r} is in one only" if strangers else "they are in another order"
            raise TaskError(f"the runs are not of the same documents ({told}): score all of them on the same ones")
        if (one.weight is None) != (first.weight is None):
            raise TaskError("a weighted average cannot be compared with one that is not: take the same for all runs")
    classes = {name: place for place, name in enumerate(sorted({name for one in measures for name in one.classes}))}
    stacked = np.zeros((len(measures), 2 if first.weight is None else 3, len(classes), len(first.units)))
    for parts, one in zip(stacked, measures, strict=True):
        parts[:, [classes[name] for name in one.classes]] = one.parts
    return stacked


def _sides(a: Sequence[Measure], b: Sequence[Measure]) -> tuple[Floats, Floats]:
    """The parts of two systems, with as many runs each: the shorter side is taken again from its first run on."""
    if not a or not b:
        raise TaskError("there is nothing to compare: a system has no run")
    parts = _stacked([*a, *b])
    times = math.lcm(len(a), len(b))
    return np.tile(parts[: len(a)], (times // len(a), 1, 1, 1)), np.tile(parts[len(a) :], (times // len(b), 1, 1, 1))


def _figures(parts: Floats) -> Floats:
    """The figures of sums (…, 2 or 3, classes), (…)."""
    quotients = ratio(parts[..., 0, :], parts[..., 1, :])
    weights = parts[..., 2, :] if parts.shape[-2] == 3 else np.ones_like(quotients)
    weights = np.where(np.isnan(quotients), 0.0, weights)
    return ratio((np.nan_to_num(quotients) * weights).sum(-1), weights.sum(-1))


def _mean(parts: Floats) -> Floats:
    """The mean over runs of the figures of sums (…, runs, 2 or 3, classes), (…)."""
    mean: Floats = _figures(parts).mean(-1)
    return mean


def _sums(draws: Floats, parts: Floats) -> Floats:
    """What parts (runs, 2 or 3, classes, units) add up to in draws (draws, units): (draws, runs, 2 or 3, classes)."""
    return (draws @ parts.reshape(-1, parts.shape[-1]).T).reshape(len(draws), *parts.shape[:-1])


def _resampled(parts: Floats, resamples: int, seed: int) -> Floats:
    """The sums of parts in each resample of the units, (resamples, runs, 2 or 3, classes)."""
    units = parts.shape[-1]
    return np.concatenate([_sums(drawn, parts) for drawn in _blocks(_with_replacement, units, resamples, seed)])


def _blocks(draw: Draw, units: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Draws in blocks that fit into memory; what is drawn does not depend on their size."""
    if resamples * units <= _CELLS:
        yield _drawn(draw, resamples, units, seed)
        return
    generator = np.random.default_rng(seed)
    rows = max(1, _CELLS // units)
    for begin in range(0, resamples, rows):
        yield draw(generator, min(rows, resamples - begin), units).astype(np.float64)


@lru_cache(maxsize=4)
def _drawn(draw: Draw, rows: int, units: int, seed: int) -> Floats:
    """All draws at once: the same for every measure and system of a task."""
    return draw(np.random.default_rng(seed), rows, units).astype(np.float64)


def _with_replacement(generator: np.random.Generator, rows: int, units: int) -> npt.NDArray[np.int64]:
    """How often each unit comes when as many are drawn as there are."""
    return generator.multinomial(units, np.full(units, 1 / units), size=rows)


def _coins(generator: np.random.Generator, rows: int, units: int) -> npt.NDArray[np.bool_]:
    """Whether each unit changes sides."""
    return generator.random((rows, units)) < 0.5


def _interval(value: Floats, drawn: Floats, units: int, confidence: float) -> Interval:
    defined = drawn[~np.isnan(drawn)]
    if units < 2 or not len(defined):
        return Interval(float(value), None, None)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(value), float(low), float(high))


def _p_value(under_chance: Floats, observed: Floats) -> float:
    """The share of differences under chance that are as far from none; what was observed is one of them."""
    defined = under_chance[~np.isnan(under_chance)]
    as_far = np.abs(defined) >= np.abs(observed) - _ROUNDING
    return float((1 + as_far.sum()) / (1 + len(defined)))
