"""Hashes of stretches: the same wherever they stand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.clean.spans import Spans


@given(st.lists(st.integers(97, 100), max_size=40))
def test_equal_stretches_and_only_they_have_equal_hashes(codes: list[int]) -> None:
    stretches = [(first, last) for first in range(len(codes)) for last in range(first + 1, len(codes) + 1)]
    first, last = np.array(stretches, np.int64).reshape(-1, 2).T
    hashes = Spans(np.array(codes, np.uint32)).hashes(first, last).tolist()
    written = [tuple(codes[first:last]) for first, last in stretches]
    assert len(set(zip(hashes, written, strict=True))) == len(set(hashes)) == len(set(written))
