"""What a student learns of each field of a prompt, as arrays: a distribution over classes, whatever the field.

A label and a flag are distributions as they are. So is a score, over the numbers of its scale; its mean is the
expected score. Passages cannot be copied by a head: of them a student learns the density, the share of words
inside one, as the mean of a distribution over 1 and 0 (fractional logistic regression, Papke and Wooldridge
1996, https://doi.org/10.1002/(SICI)1099-1255(199611)11:6<619::AID-JAE418>3.0.CO;2-1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.enrich.prompts import Prompt, ScoreField, SpansField

Array = npt.NDArray[Any]


class StudentError(Exception):
    """A student that cannot be trained or used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Head:
    """One field as a student sees it.

    Attributes:
        name: of the field.
        kind: its type; `density` for passages.
        classes: what the distribution is over, in order.
        columns: where the head stands among the logits of all heads.
        worth: the number that each class stands for, empty where classes are mere names.
    """

    name: str
    kind: Literal["label", "flag", "score", "density"]
    classes: tuple[str, ...]
    columns: slice
    worth: tuple[float, ...] = ()

    @property
    def column(self) -> str:
        """The column of the annotation table that holds what the student is to say."""
        return f"{self.name}_density" if self.kind == "density" else self.name

    def mean(self, probabilities: Array) -> Array:
        """The mean of each distribution, shape (rows,), float64; only where classes are numbers."""
        mean: Array = probabilities.astype(np.float64) @ np.asarray(self.worth)
        return mean

    def decide(self, probabilities: Array) -> Array:
        """The class that each distribution, shape (rows, classes), speaks for, shape (rows,).

        The most probable one; of a score the one next to the mean, which is what squared error asks for.
        """
        if self.kind != "score":
            decided: Array = probabilities.argmax(axis=1)
            return decided
        nearest: Array = np.floor(self.mean(probabilities) - self.worth[0] + 0.5).astype(np.int64)
        return nearest


def heads(prompt: Prompt, names: Iterable[str] | None = None) -> list[Head]:
    """The heads of a student that learns the fields of a prompt, or only some of them.

    Raises:
        StudentError: the prompt has no such field.
    """
    chosen = list(prompt.fields) if names is None else list(names)
    if unknown := [name for name in chosen if name not in prompt.fields]:
        raise StudentError(f"{unknown[0]!r} is no field of {prompt.name}; there are {', '.join(prompt.fields)}")
    found: list[Head] = []
    start = 0
    for name, asked in prompt.fields.items():
        if name not in chosen:
            continue
        classes = ("inside", "outside") if isinstance(asked, SpansField) else tuple(asked.classes)
        columns = slice(start, start := start + len(classes))
        if isinstance(asked, SpansField):
            found.append(Head(name, "density", classes, columns, (1.0, 0.0)))
        elif isinstance(asked, ScoreField):
            worth = tuple(float(score) for score in range(asked.least, asked.most + 1))
            found.append(Head(name, "score", classes, columns, worth))
        else:
            found.append(Head(name, asked.type, classes, columns))
    return found


@dataclass(frozen=True, slots=True)
class Target:
    """What the teacher said of one field about each paragraph.

    Attributes:
        shares: the distribution to learn, shape (rows, classes), float32; NaN where nothing was said.
        answers: the class that was answered, shape (rows,), int64; -1 where nothing was said.
        means: the number that was answered (the mean of the teacher's distribution where it is known), shape
            (rows,), float64; NaN where nothing was said, empty where classes are no numbers.
    """

    shares: Array
    answers: Array
    means: Array

    @property
    def known(self) -> Array:
        """Whether something was said, shape (rows,)."""
        known: Array = self.answers >= 0
        return known

    def only(self, rows: Array) -> Target:
        """The same of some rows."""
        return Target(self.shares[rows], self.answers[rows], self.means[rows] if len(self.means) else self.means)


def target(table: pa.Table, head: Head) -> Target:
    """What a table of annotations says of a field; distributions are taken where it has them.

    Raises:
        StudentError: a distribution is none over the classes of the field.
    """
    rows, wanted = len(table), len(head.classes)
    if head.kind == "density":
        density = _numbers(table, head.column)
        shares = np.stack([density, 1 - density], axis=1).astype(np.float32)
        answers = np.where(np.isnan(density), -1, density < 0.5)
        return Target(shares, answers.astype(np.int64), density)
    written = pc.cast(table[head.name], pa.string())
    places = pc.index_in(written, value_set=pa.array(head.classes))
    answers = pc.fill_null(places, -1).to_numpy().astype(np.int64)
    shares = np.full((rows, wanted), np.nan, np.float32)
    known = answers >= 0
    shares[known] = np.eye(wanted, dtype=np.float32)[answers[known]]
    name = f"{head.name}_probabilities"
    if name in table.schema.names:
        lists = table[name].combine_chunks()
        soft = known & lists.is_valid().to_numpy(zero_copy_only=False)
        kept = lists.filter(pa.array(soft))
        flat = kept.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        lengths = pc.list_value_length(kept).to_numpy(zero_copy_only=False)
        if (lengths != wanted).any() or (flat < 0).any() or not np.isfinite(flat).all():
            raise StudentError(f"{name}: expected {wanted} probabilities, of {', '.join(head.classes)}")
        given = flat.reshape(-1, wanted)
        if (given.sum(axis=1) <= 0).any():
            raise StudentError(f"{name}: a distribution of nothing but zeros")
        shares[soft] = given / given.sum(axis=1, keepdims=True)
    means = shares.astype(np.float64) @ np.asarray(head.worth) if head.worth else np.empty(0)
    return Target(shares, answers, means)


def _numbers(table: pa.Table, name: str) -> Array:
    if name not in table.schema.names:
        return np.full(len(table), np.nan)
    numbers: Array = pc.fill_null(pc.cast(table[name], pa.float64()), np.nan).to_numpy()
    return numbers


def softmax(logits: Array, temperature: float = 1.0) -> Array:
    """The distributions of logits, shape (rows, classes), float64."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def width(found: Sequence[Head]) -> int:
    """The logits of all heads together."""
    return found[-1].columns.stop if found else 0
