"""Factors: what a field of a paragraph, or of its article, does to its weight.

Each is a function of one field, over a whole column at a time; the weight of a unit is their product. A factor says
itself what a missing value means: a paragraph that nobody was asked about is neither good nor bad.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator, model_validator

from corpuskit.steps import StepOptions

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


def numbers(values: pa.Array) -> Floats:
    """A column of numbers or flags, NaN where it is null."""
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    found: Floats = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found


def labels(values: pa.Array) -> pa.Array:
    """A column of labels, scores or flags as text."""
    return values.cast(pa.string())


def is_numeric(type: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type) or pa.types.is_floating(type) or pa.types.is_boolean(type))


def _as_text(value: Any) -> Any:
    """The labels of YAML, which takes 3 for a number and true for a flag."""
    if isinstance(value, dict):
        return {_as_text(key): weight for key, weight in value.items()}
    if isinstance(value, list):
        return [_as_text(one) for one in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


class Factor(StepOptions):
    """A function of one field."""

    field: str = Field(min_length=1, description="a column of the paragraphs, `article.NAME` or `annotation.NAME`")
    missing: _Weight = Field(description="the factor where the field is null")

    def of(self, values: pa.Array) -> Floats:
        """The factors of a column, as many as it has rows."""
        found = numbers(values)
        return np.where(np.isnan(found), self.missing, self.curve(found))

    def curve(self, values: Floats) -> Floats:
        """The factor of each number (of NaN, anything)."""
        raise NotImplementedError


class Map(Factor):
    """A weight for each label."""

    type: Literal["map"]
    weights: dict[str, _Weight] = Field(min_length=1, description="the factor of each label")
    other: _Weight = Field(1.0, description="the factor of a label that is not named")

    _text = field_validator("weights", mode="before")(_as_text)

    def of(self, values: pa.Array) -> Floats:
        place = pc.index_in(labels(values), value_set=pa.array(list(self.weights), pa.string()))
        worth = np.array([*self.weights.values(), self.other])
        found = worth[pc.fill_null(place, len(self.weights)).to_numpy(zero_copy_only=False)]
        return np.where(values.is_null().to_numpy(zero_copy_only=False), self.missing, found)


class Threshold(Factor):
    """One weight from a score on, another below it."""

    type: Literal["threshold"]
    at_least: _Number = Field(description="the score from which on `weight` holds")
    weight: _Weight = Field(1.0, description="the factor from there on")
    below: _Weight = Field(0.0, description="the factor below it")

    def curve(self, values: Floats) -> Floats:
        return np.where(values >= self.at_least, self.weight, self.below)


class Linear(Factor):
    """intercept + slope × value, at least 0."""

    type: Literal["linear"]
    slope: _Number = Field(1.0, description="what one more adds")
    intercept: _Number = Field(0.0, description="the factor of 0")

    def curve(self, values: Floats) -> Floats:
        return np.maximum(self.intercept + self.slope * values, 0.0)


class Power(Factor):
    """(value / reference) ^ exponent; 0 for values that are not above 0."""

    type: Literal["power"]
    exponent: _Number = Field(description="above 1 favours high values more than in proportion")
    reference: float = Field(1.0, gt=0, allow_inf_nan=False, description="the value whose factor is 1")

    def curve(self, values: Floats) -> Floats:
        found = np.zeros_like(values)
        np.power(values / self.reference, self.exponent, out=found, where=values > 0)
        return found


class Temperature(Factor):
    """exp((value - reference) / temperature): a low one takes nearly only the best, a high one nearly anything."""

    type: Literal["temperature"]
    temperature: float = Field(gt=0, allow_inf_nan=False, description="the difference in value that e times means")
    reference: _Number = Field(0.0, description="the value whose factor is 1")

    def curve(self, values: Floats) -> Floats:
        with np.errstate(over="ignore"):  # what is not finite is refused where the weights are
            return np.exp((values - self.reference) / self.temperature)


class Step(StepOptions):
    """A weight from a value on."""

    at_least: _Number | None = Field(None, description="the step begins here")
    above: _Number | None = Field(None, description="the step begins right above here")
    weight: _Weight = Field(description="the factor on the step")

    @model_validator(mode="after")
    def _one_edge(self) -> Step:
        if (self.at_least is None) == (self.above is None):
            raise ValueError("say where it begins: `at_least: 0.5`, or `above: 0.5`")
        return self

    @property
    def edge(self) -> tuple[float, bool]:
        """Where it begins, for sorting."""
        return (self.at_least, False) if self.at_least is not None else (self.above or 0.0, True)

    def holds(self, values: Floats) -> Bools:
        edge, beyond = self.edge
        return values > edge if beyond else values >= edge


def _climb(steps: list[Step], below: float, values: Floats) -> Floats:
    found = np.full(len(values), below)
    for step in steps:
        found[step.holds(values)] = step.weight
    return found


def _rising(steps: list[Step]) -> list[Step]:
    if any(one.edge >= other.edge for one, other in pairwise(steps)):
        raise ValueError("steps come in the order of where they begin, from the lowest")
    return steps


_Steps = Annotated[list[Step], Field(min_length=1)]


class _Stairs(Factor):
    steps: _Steps = Field(description="where each begins, and its factor")
    below: _Weight = Field(0.0, description="the factor below the first step")

    _order = field_validator("steps")(_rising)

    def curve(self, values: Floats) -> Floats:
        return _climb(self.steps, self.below, values)


class Steps(_Stairs):
    """A weight for each of several ranges."""

    type: Literal["steps"]


def _fineweb() -> list[Step]:
    weights = {1: 1, 2: 2, 3: 3, 5: 5, 100: 8, 1_000: 1}
    return [Step(at_least=size, weight=weight) for size, weight in weights.items()]


class Rehydrate(_Stairs):
    """Give back some of the copies that deduplication took, by the size of the cluster.

    The steps are those of FineWeb-2 (Penedo et al. 2025) unless others are given: what stood in a few places is
    worth more than what stood in one, what stood in a thousand is boilerplate.
    """

    type: Literal["rehydrate"]
    field: str = Field("cluster_size", description="how many texts were found for this one")
    steps: _Steps = Field(default_factory=_fineweb, description="where each begins, and its factor")
    missing: _Weight = Field(1.0, description="the factor where the field is null")


class Condition(StepOptions):
    """What a paragraph must be to count."""

    field: str = Field(min_length=1, description="a column of the paragraphs, `article.NAME` or `annotation.NAME`")
    among: list[str] | None = Field(None, min_length=1, description="it is one of these labels")
    at_least: _Number | None = Field(None, description="it is this score or a higher one")

    _text = field_validator("among", mode="before")(lambda value: _as_text(value) if isinstance(value, list) else value)

    @model_validator(mode="after")
    def _one_condition(self) -> Condition:
        if (self.among is None) == (self.at_least is None):
            raise ValueError("give one condition: `among: [LABEL, …]` or `at_least: SCORE`")
        return self

    def of(self, values: pa.Array) -> tuple[Bools, Bools]:
        """Which rows meet it, and which have a value at all."""
        there = values.is_valid().to_numpy(zero_copy_only=False)
        if self.at_least is not None:
            return there & (numbers(values) >= self.at_least), there
        met = pc.is_in(labels(values), value_set=pa.array(self.among, pa.string()))
        return there & met.to_numpy(zero_copy_only=False), there


class Share(StepOptions):
    """A function of the share of an article's paragraphs that meet a condition."""

    type: Literal["share"]
    where: Condition = Field(description="what is counted")
    steps: _Steps = Field(description="from which share on which factor holds")
    below: _Weight = Field(0.0, description="the factor below the first step")
    missing: _Weight = Field(description="the factor of an article none of whose paragraphs has a value")

    _order = field_validator("steps")(_rising)

    def of(self, values: pa.Array, starts: npt.NDArray[np.int64]) -> Floats:
        """The factors of articles.

        Args:
            values: the field of their paragraphs.
            starts: where each article begins.
        """
        met, there = self.where.of(values)
        answered = np.add.reduceat(there.astype(np.int64), starts)
        share = np.add.reduceat(met.astype(np.int64), starts) / np.maximum(answered, 1)
        return np.where(answered > 0, _climb(self.steps, self.below, share), self.missing)


AnyFactor = Annotated[
    Map | Threshold | Linear | Power | Temperature | Steps | Rehydrate | Share, Field(discriminator="type")
]


def field_of(factor: AnyFactor) -> str:
    """The field that a factor looks at."""
    return factor.where.field if isinstance(factor, Share) else factor.field


def wants_numbers(factor: AnyFactor) -> bool:
    """Whether that field must hold numbers."""
    return factor.where.at_least is not None if isinstance(factor, Share) else not isinstance(factor, Map)


def named_labels(factor: AnyFactor) -> list[str]:
    """The labels that a factor names."""
    if isinstance(factor, Share):
        return factor.where.among or []
    return list(factor.weights) if isinstance(factor, Map) else []


def weigh(
    factors: dict[str, AnyFactor], columns: dict[str, pa.Array], starts: npt.NDArray[np.int64], whole: bool
) -> dict[str, Floats]:
    """Each factor of some units.

    Args:
        factors: by name.
        columns: the fields they look at, one row a paragraph.
        starts: where each article begins; the first at 0.
        whole: the units are articles: what is a paragraph's own becomes the mean over an article. Else they are
            paragraphs, and what is an article's holds for all of its paragraphs.
    """
    found: dict[str, Floats] = {}
    for name, factor in factors.items():
        values = columns[field_of(factor)]
        lengths = np.diff(starts, append=len(values))
        if isinstance(factor, Share):
            of_articles = factor.of(values, starts)
            found[name] = of_articles if whole else np.repeat(of_articles, lengths)
        else:
            of_rows = factor.of(values)
            found[name] = np.add.reduceat(of_rows, starts) / lengths if whole else of_rows
    return found
