"""The fast student: a multinomial logistic regression a field over hashed words and pairs of words.

Trained with L-BFGS on the teacher's distributions where they are known (soft cross-entropy: Hinton et al. 2015,
https://arxiv.org/abs/1503.02531). The weight of the penalty is the one that leaves the least surprise on the articles
set aside to choose it. Labelling needs nothing but NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from corpuskit.steps import StepOptions
from corpuskit.student.features import Features, features, segment_sums
from corpuskit.student.heads import Head, StudentError, Target, softmax, width

Array = npt.NDArray[Any]

FILE = "linear.npz"
#: Texts whose vectors are made at a time: they stay near the processor.
_TEXTS = 512


class LinearOptions(StepOptions):
    """How the linear student is trained."""

    bits: int = Field(18, ge=8, le=24, description="2^bits buckets for words and pairs of words")
    strengths: tuple[float, ...] = Field(
        (1, 3, 10, 30, 100, 300), min_length=1, description="weights of the data against the penalty (C), lowest first"
    )
    least: int = Field(2, ge=1, description="paragraphs that must share a bucket for it to have a weight")
    iterations: int = Field(50, ge=1, description="steps of L-BFGS for each of them, at most")


class Linear:
    """A trained linear student.

    Args:
        weights: of each bucket, shape (2^bits, classes of all heads), float32.
        bias: shape (classes of all heads,), float32.
    """

    def __init__(self, weights: Array, bias: Array) -> None:
        self.weights, self.bias = weights, bias
        self.bits = len(weights).bit_length() - 1
        #: Texts that were cut to be read: none ever is.
        self.truncated = 0

    def logits(self, texts: Sequence[str]) -> Array:
        """The logits of all heads, shape (texts, classes of all heads), float32."""
        found = np.empty((len(texts), len(self.bias)), np.float32)
        for at in range(0, len(texts), _TEXTS):
            vectors = features(texts[at : at + _TEXTS], self.bits)
            rows = self.weights[vectors.buckets]
            rows *= vectors.weights[:, None]
            found[at : at + _TEXTS] = segment_sums(rows, vectors.bounds) + self.bias
        return found

    def save(self, folder: Path) -> None:
        """Write :data:`FILE`."""
        np.savez(folder / FILE, weights=self.weights, bias=self.bias)

    @classmethod
    def load(cls, folder: Path) -> Linear:
        """Read what :meth:`save` wrote.

        Raises:
            StudentError: it is not there, or something else.
        """
        try:
            with np.load(folder / FILE, allow_pickle=False) as arrays:
                return cls(arrays["weights"], arrays["bias"])
        except (OSError, KeyError, ValueError) as error:
            raise StudentError(f"{folder / FILE} is no linear student: {error}") from None


def train(
    texts: Sequence[str], parts: Array, heads: Sequence[Head], targets: Sequence[Target], options: LinearOptions
) -> tuple[Linear, dict[str, Any]]:
    """Train the linear student.

    Args:
        texts: the paragraphs.
        parts: 0 for those that train, 1 for those that choose the penalty, shape (texts,).
        heads: the fields.
        targets: what the teacher said of each.
        options: how.

    Returns:
        The student, and by field which weight of the penalty was chosen and what the others led to.

    Raises:
        StudentError: SciPy is missing.
    """
    try:
        import scipy.sparse as sparse
    except ImportError:
        raise StudentError("training a linear student needs SciPy: pip install 'corpuskit-fr[student]'") from None
    vectors = _all(texts, options.bits)
    rows = sparse.csr_array(
        (vectors.weights, vectors.buckets.astype(np.int32), vectors.bounds), shape=(len(texts), 1 << options.bits)
    )
    student = Linear(np.zeros((1 << options.bits, width(heads)), np.float32), np.zeros(width(heads), np.float32))
    told: dict[str, Any] = {}
    for head, target in zip(heads, targets, strict=True):
        places = [np.flatnonzero(target.known & (parts == part)) for part in (0, 1)]
        (own, shares), (held, held_shares) = ((rows[place], target.shares[place]) for place in places)
        best, tried, chosen = np.inf, [], 0.0
        for strength, weights, bias in _path(own, shares, options):
            surprise = _surprise(held @ weights + bias, held_shares)
            tried.append({"strength": strength, "surprise": surprise})
            if surprise >= best:
                break
            best, chosen = surprise, strength
            student.weights[:, head.columns], student.bias[head.columns] = weights, bias
        told[head.name] = {"strength": chosen, "tried": tried}
    return student, told


def _all(texts: Sequence[str], bits: int) -> Features:
    some = [features(texts[at : at + _TEXTS], bits) for at in range(0, len(texts), _TEXTS)]
    counts = np.concatenate([np.diff(one.bounds) for one in some])
    bounds = np.concatenate(([0], counts.cumsum()))
    return Features(
        np.concatenate([one.buckets for one in some]), np.concatenate([one.weights for one in some]), bounds
    )


def _surprise(logits: Array, shares: Array) -> float:
    """The mean cross-entropy of distributions, in nats."""
    return float(-(shares * np.log(np.maximum(softmax(logits), 1e-300))).sum(axis=1).mean())


def _path(rows: Any, shares: Array, options: LinearOptions) -> Iterator[tuple[float, Array, Array]]:
    """The regressions from the strongest penalty to the weakest, each starting where the one before ended."""
    from scipy.optimize import minimize

    buckets, classes = rows.shape[1], shares.shape[1]
    seen = np.flatnonzero(np.bincount(rows.indices, minlength=buckets) >= options.least)
    rows = rows[:, seen]
    columns = rows.T.tocsr()
    flat = np.zeros((len(seen) + 1) * classes)
    prior = shares.mean(axis=0).astype(np.float64)
    flat[-classes:] = np.log(np.maximum(prior, 1e-6))
    for strength in options.strengths:
        cost = _cost(rows, columns, shares, 1 / (strength * rows.shape[0]))
        done = minimize(
            cost, flat, jac=True, method="L-BFGS-B", options={"maxiter": options.iterations, "ftol": 1e-5, "maxcor": 8}
        )
        flat = done.x
        found = flat.reshape(-1, classes).astype(np.float32)
        weights = np.zeros((buckets, classes), np.float32)
        weights[seen] = found[:-1]
        yield strength, weights, found[-1]


def _cost(rows: Any, columns: Any, shares: Array, penalty: float) -> Callable[[Array], tuple[float, Array]]:
    """The mean cross-entropy with its penalty, and its gradient, in all weights and then the bias."""
    count, classes = shares.shape

    def cost(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(-1, classes).astype(np.float32)
        probabilities = rows @ weights[:-1] + weights[-1]
        probabilities -= probabilities.max(axis=1, keepdims=True)
        scale = np.exp(probabilities).sum(axis=1, keepdims=True)
        logs = probabilities - np.log(scale)
        gap = (np.exp(logs) - shares) / np.float32(count)
        gradient = np.empty((flat.size // classes, classes))
        gradient[:-1] = columns @ gap
        gradient[:-1] += penalty * flat.reshape(-1, classes)[:-1]
        gradient[-1] = gap.sum(axis=0)
        square = float((flat[:-classes] ** 2).sum())
        return float(-(shares * logs).sum(dtype=np.float64) / count + penalty / 2 * square), gradient.ravel()

    return cost
