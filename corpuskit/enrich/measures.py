"""Measures of agreement between two or more that classified the same things.

Each takes any number of matrices along the leading axes: a confusion matrix is (…, K, K), the reference in rows.
What is not defined is NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: A variance below is rounding.
NO_VARIANCE = 1e-12


def accuracy(confusion: Floats) -> Floats:
    """The share on the diagonal, (…)."""
    return ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum((-2, -1)))


def distance(points: Floats, power: float) -> Floats:
    """How far classes at ``points`` (…, K) are from each other, (…, K, K); power 0 tells only whether they differ."""
    apart: Floats = np.abs(points[..., :, None] - points[..., None, :])
    return (apart > 0).astype(np.float64) if power == 0 else apart**power


def kappa(confusion: Floats, far: Floats) -> Floats:
    """Cohen's κ, weighted by how far (K, K) two classes are from each other, (…).

    Cohen (1960), "A coefficient of agreement for nominal scales"; (1968), "Weighted kappa".
    """
    rows, columns = confusion.sum(-1), confusion.sum(-2)
    chance = rows[..., :, None] * columns[..., None, :]
    return 1 - ratio((confusion * far).sum((-2, -1)) * confusion.sum((-2, -1)), (chance * far).sum((-2, -1)))


def alpha(coincidences: Floats, far: Floats) -> Floats:
    """Krippendorff's α of a symmetric matrix of coincidences (…, K, K), with the squared distances ``far``, (…).

    Krippendorff (2011), "Computing Krippendorff's alpha-reliability".
    """
    marginals = coincidences.sum(-1)
    chance = marginals[..., :, None] * marginals[..., None, :]
    observed = (coincidences * far).sum((-2, -1)) * (marginals.sum(-1) - 1)
    return 1 - ratio(observed, (chance * far).sum((-2, -1)))


def ordinal(coincidences: Floats) -> Floats:
    """The squared distances of ranks that α takes for ordinal data, (…, K, K)."""
    marginals = coincidences.sum(-1)
    return distance(marginals.cumsum(-1) - marginals / 2, 2)


def pearson(confusion: Floats, rows: Floats, columns: Floats) -> Floats:
    """Pearson's r, when the classes have these values (…, K) in rows and columns, (…)."""
    counts = confusion.sum((-2, -1))
    in_rows, in_columns = confusion.sum(-1), confusion.sum(-2)
    left = rows - ratio((in_rows * rows).sum(-1), counts)[..., None]
    right = columns - ratio((in_columns * columns).sum(-1), counts)[..., None]
    together = np.einsum("...ij,...i,...j->...", confusion, left, right)
    return correlation(together, (in_rows * left**2).sum(-1), (in_columns * right**2).sum(-1), counts)


def spearman(confusion: Floats) -> Floats:
    """Spearman's ρ: Pearson's r of the ranks, ties sharing the mean of theirs, (…)."""
    rows, columns = confusion.sum(-1), confusion.sum(-2)
    return pearson(confusion, rows.cumsum(-1) - rows / 2, columns.cumsum(-1) - columns / 2)


def mean_error(confusion: Floats, points: Floats) -> Floats:
    """The mean absolute error, when the classes have the values ``points`` (K,), (…)."""
    return ratio((confusion * distance(points, 1)).sum((-2, -1)), confusion.sum((-2, -1)))


def precision_recall_f1(confusion: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of each class, each (…, K); F1 is defined where either side has the class."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    rows, columns = confusion.sum(-1), confusion.sum(-2)
    return ratio(hits, columns), ratio(hits, rows), ratio(2 * hits, rows + columns)


def macro_f1(confusion: Floats) -> Floats:
    """The mean F1 of the classes that either side has, (…)."""
    f1 = precision_recall_f1(confusion)[2]
    return ratio(np.nansum(f1, -1), (~np.isnan(f1)).sum(-1).astype(np.float64))


def ratio(above: Floats, below: Floats) -> Floats:
    """One by the other; NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def correlation(together: Floats, left: Floats, right: Floats, counts: Floats) -> Floats:
    """r of the sums of products of what is centred; NaN where a side does not vary."""
    varies = (left > NO_VARIANCE * counts) & (right > NO_VARIANCE * counts)
    return np.where(varies, np.clip(ratio(together, np.sqrt(np.maximum(left * right, 0))), -1, 1), np.nan)
