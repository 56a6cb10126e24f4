"""Hashes of stretches: the same wherever they stand and however they are divided."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.clean.spans import Spans
from corpuskit.clean.tokens import Tokens


@given(st.lists(st.integers(0, 3), max_size=40))
def test_equal_stretches_and_only_they_have_equal_hashes(codes: list[int]) -> None:
    codes = [code + 97 for code in codes]
    stretches = [(first, last) for first in range(len(codes)) for last in range(first + 1, len(codes) + 1)]
    first, last = np.array(stretches, np.int64).reshape(-1, 2).T
    hashes = Spans(np.array(codes, np.uint32)).hashes(first, last).tolist()
    written = [tuple(codes[first:last]) for first, last in stretches]
    assert len(set(zip(hashes, written, strict=True))) == len(set(hashes)) == len(set(written))


def test_a_stretch_of_words_is_known_by_its_letters() -> None:
    tokens = Tokens(["par ce que c'est parce que c'est"])
    spans = Spans(tokens.hashes, tokens.lengths.cumsum())
    par_ce_que, parce_que, ce_que = spans.hashes(np.array([0, 5, 1]), np.array([3, 7, 3]))
    assert par_ce_que == parce_que != ce_que
    # One row of ends for each length of stretch.
    assert spans.hashes(np.array([0, 5]), np.array([[3, 7], [1, 6]])).shape == (2, 2)


def test_nothing_has_no_stretches() -> None:
    none = np.zeros(0, np.int64)
    assert len(Spans(none.astype(np.uint64), none).hashes(none, none)) == 0
