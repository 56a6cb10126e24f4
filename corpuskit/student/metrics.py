"""How well a student says what its teacher says: agreement, calibration, and what a threshold keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.enrich import measures
from corpuskit.student.heads import Head, Target, softmax

Array = npt.NDArray[Any]

#: Bins of the calibration error, as in Guo et al.
BINS = 15
#: Probabilities of a label, and shares of words inside a passage, that a curve goes through.
_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def confusion(truth: Array, guess: Array, classes: int) -> Array:
    """How often each class (row) was taken for each (column), shape (classes, classes), int64."""
    return np.bincount(truth * classes + guess, minlength=classes * classes).reshape(classes, classes)


def per_class(matrix: Array) -> tuple[Array, Array, Array]:
    """Precision, recall and F1 of each class of a confusion matrix; zero where there is nothing to divide by."""
    precision, recall, f1 = map(np.nan_to_num, measures.precision_recall_f1(matrix))
    return precision, recall, f1


def macro_f1(matrix: Array) -> float:
    """The mean F1 of the classes that the teacher or the student gave."""
    return float(np.nan_to_num(measures.macro_f1(matrix)))


def quadratic_kappa(matrix: Array) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen 1968); None where both gave one and the same class throughout."""
    kappa = float(measures.kappa(matrix, measures.distance(np.arange(float(len(matrix))), 2)))
    return None if np.isnan(kappa) else kappa


def pearson(one: Array, other: Array) -> float | None:
    """Pearson's r; None where one of them does not vary."""
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt((one * one).sum() * (other * other).sum())
    return float((one * other).sum() / scale) if scale else None


def calibration_error(probabilities: Array, truth: Array, bins: int = BINS) -> float:
    """The expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

    The most probable class is right as often as its probability says: the mean gap between the two over bins of
    equal width, each weighing what is in it.

    Args:
        probabilities: shape (rows, classes).
        truth: the right class, shape (rows,).
        bins: of the probability of the most probable class.
    """
    surest = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bin_of = np.clip(np.ceil(surest * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, right - surest, minlength=bins)
    return float(np.abs(gaps).sum() / max(1, len(truth)))


def negative_log_likelihood(logits: Array, truth: Array, temperature: float = 1.0) -> float:
    """The mean surprise at the right class, in nats."""
    chosen = softmax(logits, temperature)[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(chosen, 1e-300)).mean())


def temperature(logits: Array, truth: Array) -> float:
    """What logits must be divided by for the least surprise at the right classes (Guo et al. 2017).

    The surprise is convex in the inverse of the temperature, so that a golden-section search finds it; it stays
    between 0.1 and 10.
    """
    ratio = (5**0.5 - 1) / 2
    low, high = 0.1, 10.0
    one, other = high - ratio * (high - low), low + ratio * (high - low)
    costs = [negative_log_likelihood(logits, truth, 1 / factor) for factor in (one, other)]
    while high - low > 1e-4 * low:
        if costs[0] <= costs[1]:
            high, other, one = other, one, other - ratio * (other - low)
            costs = [negative_log_likelihood(logits, truth, 1 / one), costs[0]]
        else:
            low, one, other = one, other, one + ratio * (high - one)
            costs = [costs[1], negative_log_likelihood(logits, truth, 1 / other)]
    return round(2 / (low + high), 4)


def curve(strength: Array, truth: Array, thresholds: Sequence[float]) -> list[dict[str, float | None]]:
    """What keeping everything from a threshold on keeps.

    Args:
        strength: of each paragraph, what is compared with the threshold, shape (rows,).
        truth: whether the teacher would keep it, shape (rows,), or (rows, thresholds) where that depends.
        thresholds: lowest first.

    Returns:
        For each: the share kept, the share the teacher would keep, precision (None when nothing is kept) and recall
        (None when there was nothing to keep).
    """
    points: list[dict[str, float | None]] = []
    for place, threshold in enumerate(thresholds):
        kept = strength >= threshold
        wanted = truth if truth.ndim == 1 else truth[:, place]
        both = int((kept & wanted).sum())
        points.append(
            {
                "threshold": threshold,
                "kept": float(kept.mean()),
                "teacher": float(wanted.mean()),
                "precision": both / int(kept.sum()) if kept.any() else None,
                "recall": both / int(wanted.sum()) if wanted.any() else None,
            }
        )
    return points


def measure(head: Head, logits: Array, target: Target, heat: float) -> dict[str, Any]:
    """What a student is worth on one field, on the paragraphs that the teacher said something about.

    Args:
        head: the field.
        logits: of its classes, shape (rows, classes).
        target: what the teacher said.
        heat: the temperature that calibrates the logits.

    Returns:
        Figures that JSON can hold. `n`; of numbers `pearson` and `mae`, in units of the scale; of classes
        `accuracy`, `macro_f1`, `confusion` (rows: the teacher), `labels` and the calibration error before and
        after; a threshold curve of each label, of the score or of the density.
    """
    known = target.known
    logits, truth = logits[known], target.answers[known]
    found: dict[str, Any] = {"kind": head.kind, "n": len(truth), "temperature": heat}
    if not len(truth):
        return found
    probabilities = softmax(logits, heat)
    if head.worth:
        mean, teacher = head.mean(probabilities), target.means[known]
        found |= {"pearson": pearson(mean, teacher), "mae": float(np.abs(mean - teacher).mean())}
        thresholds = head.worth[1:] if head.kind == "score" else _LEVELS
        wanted = teacher[:, None] >= np.asarray(thresholds)
        if head.kind == "density":
            return found | {"curve": curve(mean, wanted, thresholds)}
        # A score answered as a whole number is the teacher's word; its mean may lie below it.
        wanted = (truth + head.worth[0])[:, None] >= np.asarray(thresholds)
        found["curve"] = curve(mean, wanted, thresholds)
    matrix = confusion(truth, head.decide(probabilities), len(head.classes))
    precision, recall, f1 = per_class(matrix)
    found |= {
        "accuracy": float(matrix.trace() / len(truth)),
        "macro_f1": macro_f1(matrix),
        "ece_before": calibration_error(softmax(logits), truth),
        "ece": calibration_error(probabilities, truth),
        "classes": list(head.classes),
        "confusion": matrix.tolist(),
        "labels": {
            name: {"n": int(n), "precision": float(p), "recall": float(r), "f1": float(f)}
            for name, n, p, r, f in zip(head.classes, matrix.sum(axis=1), precision, recall, f1, strict=True)
        },
    }
    if head.kind == "score":
        found["quadratic_kappa"] = quadratic_kappa(matrix)
    else:
        found["curves"] = {
            name: curve(probabilities[:, place], truth == place, _LEVELS) for place, name in enumerate(head.classes)
        }
    return found
