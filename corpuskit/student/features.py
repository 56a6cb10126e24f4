"""Words and pairs of words of texts, hashed: the sparse vectors that the linear student reads.

The hashing trick (Weinberger et al. 2009, https://arxiv.org/abs/0902.2206) with the hashes that the cleaning
steps have of the words; a bucket counts as 1 + log(occurrences), and each vector has length 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpuskit.clean.tokens import Tokens

Array = npt.NDArray[Any]

#: Longest n-gram of words.
NGRAM = 2


class Features(NamedTuple):
    """Sparse vectors of texts, one after the other.

    Attributes:
        buckets: the places that are not zero, ascending in each text, shape (entries,), int64.
        weights: what stands there, shape (entries,), float32.
        bounds: the entries of text *i* are ``bounds[i]:bounds[i + 1]``, shape (texts + 1,), int64.
    """

    buckets: Array
    weights: Array
    bounds: Array


def features(texts: Sequence[str], bits: int) -> Features:
    """The vectors of texts.

    Args:
        texts: best some hundreds at a time, so that the arrays stay near the processor.
        bits: there are 2^bits buckets.
    """
    tokens = Tokens(texts)
    keys = []
    for n in range(1, NGRAM + 1):
        hashes, bounds = tokens.ngrams(n)
        owners = np.repeat(np.arange(len(texts)), np.diff(bounds))
        keys.append(owners << bits | (hashes >> np.uint64(64 - bits)).astype(np.int64))
    found = np.concatenate(keys)
    found.sort()
    first = np.flatnonzero(np.append(True, found[1:] != found[:-1])[: len(found)])
    counts = np.diff(np.append(first, len(found)))
    found = found[first]
    bounds = np.searchsorted(found, np.arange(len(texts) + 1) << bits)
    weights = 1 + np.log(counts, dtype=np.float32)
    lengths = np.sqrt(segment_sums((weights * weights)[:, None], bounds)[:, 0])
    weights /= np.repeat(lengths, np.diff(bounds))
    return Features(found & ((1 << bits) - 1), weights, bounds)


def segment_sums(rows: Array, bounds: Array) -> Array:
    """The sum of the rows of each segment, zero for an empty one, shape (segments, columns)."""
    sums = np.zeros((len(bounds) - 1, rows.shape[1]), rows.dtype)
    filled = np.flatnonzero(np.diff(bounds))
    if len(filled):
        sums[filled] = np.add.reduceat(rows, bounds[:-1][filled], axis=0)
    return sums
