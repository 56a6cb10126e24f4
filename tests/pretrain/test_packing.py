"""Packing: every token once, nothing cut that fits, sequences full; as best-fit decreasing one piece at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.pretrain import packing
from corpuskit.pretrain.config import PretrainError
from corpuskit.pretrain.packing import Packed, hashed, pack, repeated


def sequences(packed: Packed) -> list[list[tuple[int, int, int]]]:
    """The pieces of each sequence: document, start, length."""
    pieces = list(zip(packed.document.tolist(), packed.start.tolist(), packed.length.tolist(), strict=True))
    return [pieces[first:end] for first, end in zip(packed.first[:-1], packed.first[1:], strict=True)]


def first_fit(sizes: list[int], capacity: int) -> int:
    """Sequences that the simplest packing needs: each piece into the first that has room."""
    rooms: list[int] = []
    for size in sizes:
        for place, room in enumerate(rooms):
            if size <= room:
                rooms[place] -= size
                break
        else:
            rooms.append(capacity - size)
    return len(rooms)


def best_fit_decreasing(sizes: list[int], capacity: int) -> list[int]:
    """What is left in each sequence when each piece, the longest first, goes into the fullest that has room."""
    rooms: list[int] = []
    for size in sorted(sizes, reverse=True):
        fitting = [place for place, room in enumerate(rooms) if room >= size]
        if fitting:
            rooms[min(fitting, key=rooms.__getitem__)] -= size
        else:
            rooms.append(capacity - size)
    return sorted(rooms)


def test_pieces_fill_each_other_up() -> None:
    # With two special tokens each: 7 + 3, 6 + 4, and 10 and 5 of the one that is too long.
    packed = pack([5, 4, 1, 2, 11], sequence_length=10)
    assert sorted(sorted(one) for one in sequences(packed)) == [
        [(0, 0, 5), (2, 0, 1)],
        [(1, 0, 4), (3, 0, 2)],
        [(4, 0, 8)],
        [(4, 8, 3)],
    ]
    assert len(packed) == 4
    assert packed.padding == pytest.approx(5 / 40)


def test_a_long_document_is_cut_into_full_pieces_and_a_rest() -> None:
    packed = pack([23], sequence_length=10, special=1)
    assert sorted(zip(packed.start.tolist(), packed.length.tolist(), strict=True)) == [(0, 9), (9, 9), (18, 5)]


def test_an_empty_document_has_no_piece_and_nothing_makes_no_sequence() -> None:
    assert pack([0, 3, 0], 8).document.tolist() == [1]
    empty = pack([], 8)
    assert (len(empty), empty.first.tolist(), empty.padding) == (0, [0], 0.0)


def test_a_sequence_must_have_room() -> None:
    with pytest.raises(PretrainError, match="a sequence of 2 has no room beside 2 special tokens"):
        pack([1], sequence_length=2)


def test_what_a_seed_packs_does_not_change() -> None:
    # An interrupted run goes on with what another version of NumPy had packed.
    assert hashed([0, 1, 2], "a", 1).tolist() == [9956977389282725599, 6647852163219333270, 10503880055055872581]
    assert pack([3] * 6, 10, 2, seed=1).document.tolist() == [0, 3, 4, 1, 5, 2]
    assert pack([3] * 6, 10, 2, seed=2).document.tolist() == [1, 0, 4, 2, 5, 3]


lengths = st.lists(st.integers(0, 70), max_size=120)
capacities = st.integers(3, 40)


@given(lengths, capacities, st.integers(0, 2), st.integers(0, 5))
def test_every_token_is_there_once_and_no_document_is_cut_that_fits(
    given_lengths: list[int], capacity: int, special: int, seed: int
) -> None:
    packed = pack(given_lengths, capacity, special, seed)
    found = sequences(packed)
    assert all(found)
    for one in found:
        assert sum(length + special for _, _, length in one) <= capacity
    tokens = sorted(
        (document, start + place) for one in found for document, start, length in one for place in range(length)
    )
    assert tokens == [(document, place) for document, length in enumerate(given_lengths) for place in range(length)]
    times = np.bincount(packed.document, minlength=len(given_lengths))
    assert times.tolist() == [-(-length // (capacity - special)) for length in given_lengths]


@given(lengths, capacities, st.integers(0, 5))
def test_it_is_best_fit_decreasing(given_lengths: list[int], capacity: int, seed: int) -> None:
    found = sequences(pack(given_lengths, capacity, 2, seed))
    sizes = [length + 2 for one in found for _, _, length in one]
    rooms = sorted(capacity - sum(length + 2 for _, _, length in one) for one in found)
    assert rooms == best_fit_decreasing(sizes, capacity)


@given(lengths, capacities, st.integers(0, 5))
def test_a_seed_packs_the_same_again(given_lengths: list[int], capacity: int, seed: int) -> None:
    one, again = (pack(given_lengths, capacity, 2, seed) for _ in range(2))
    assert sequences(one) == sequences(again)


def test_blocks_are_packed_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "BLOCK", 4)
    found = sequences(pack([2] * 10, 8, 2, seed=1))
    # Ten pieces are three blocks, of 4, 3 and 3; two pieces go into a sequence.
    assert [len(one) for one in found] == [2, 2, 2, 1, 2, 1]
    assert sorted(document for one in found for document, _, _ in one) == list(range(10))


def test_another_seed_puts_other_documents_together() -> None:
    one, other = (sequences(pack([3] * 100, 10, 2, seed)) for seed in (1, 2))
    together, others = ({frozenset(piece[0] for piece in some) for some in those} for those in (one, other))
    assert len(together & others) < 10


@pytest.mark.parametrize("seed", range(3))
def test_hardly_a_place_is_empty(seed: int) -> None:
    chance = np.random.default_rng(seed)
    # About as long as paragraphs are, and some articles.
    some = np.concatenate([chance.lognormal(4.6, 0.7, 3_000), chance.lognormal(8, 1, 60)]).astype(np.int64) + 1
    packed = pack(some, 512, 2, seed)
    sizes = (packed.length + 2)[chance.permutation(len(packed.length))]
    assert packed.padding < 0.01
    assert len(packed) <= first_fit(sizes.tolist(), 512)


@given(st.lists(st.integers(0, 4), max_size=20))
def test_places_are_repeated_and_numbered(counts: list[int]) -> None:
    place, number = repeated(np.array(counts, np.int64))
    assert list(zip(place.tolist(), number.tolist(), strict=True)) == [
        (place, number) for place, count in enumerate(counts) for number in range(count)
    ]
