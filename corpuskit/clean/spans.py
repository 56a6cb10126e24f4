"""Hashes of stretches of a sequence, many at once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_BASE = 0xD1342543DE82EF95
_INVERSE = pow(_BASE, -1, 1 << 64)
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Spans:
    """64-bit polynomial hashes of stretches of a sequence of numbers.

    The sum of ``code * base ** place`` is taken once for every prefix; a stretch is the difference of
    two, divided by the power of its start. Equal stretches have equal hashes wherever they stand;
    different ones collide by chance only.
    """

    def __init__(self, codes: Array) -> None:
        powers, self._inverses = _powers(1 << max(12, len(codes).bit_length()))
        self._sums = np.zeros(len(codes) + 1, np.uint64)
        np.multiply(codes, powers[: len(codes)], out=self._sums[1:])
        self._sums[1:].cumsum(out=self._sums[1:])

    def hashes(self, first: Array, last: Array) -> Array:
        """The hash of each stretch from ``first`` up to, not including, ``last``."""
        result: Array = (self._sums[last] - self._sums[first]) * self._inverses[first] * _MIX
        return result


@lru_cache(maxsize=4)
def _powers(size: int) -> tuple[Array, Array]:
    """Powers of an odd number, and of its inverse, modulo 2^64."""

    def powers(base: int) -> Array:
        factors = np.full(size, base, np.uint64)
        factors[0] = 1
        return np.cumprod(factors)

    return powers(_BASE), powers(_INVERSE)
