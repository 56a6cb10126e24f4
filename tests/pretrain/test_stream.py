"""The stream: what weights and shares ask for comes, the arrays are what they say, and it goes on where it stopped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.pretrain.config import PretrainError
from corpuskit.pretrain.stream import Batch, Drawn, Special, Stream, validation
from corpuskit.pretrain.tokens import Part, Tokens

AROUND = Special(bos=1, eos=2, pad=3)


def part(lengths: Sequence[int], weights: Sequence[float] | None = None, first: int = 100) -> Part:
    """Documents whose tokens are 100, 101, …; a word begins at the even ones."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.arange(first, first + offsets[-1], dtype=np.uint16)
    given_weights = None if weights is None else np.array(weights, np.float32)
    return Part(ids, (ids % 2 == 0).astype(np.uint8), offsets, given_weights)


def tokens(lengths: Sequence[int], weights: Sequence[float] | None = None, held_out: Sequence[int] = (3,)) -> Tokens:
    return Tokens(Path("nowhere"), "some", {}, part(lengths, weights), part(held_out, first=1000))


def known(drawn: Drawn) -> tuple[object, ...]:
    return drawn.source, drawn.epoch, drawn.start.tolist(), drawn.length.tolist(), drawn.copy.tolist()


def test_a_batch_says_what_stands_where() -> None:
    batch = Stream([tokens([4, 3])], [1], 12, AROUND, seed=1).take(1)
    assert batch.ids.tolist() == [[1, 100, 101, 102, 103, 2, 1, 104, 105, 106, 2, 3]]
    # A word begins with the piece; 104 begins one of itself.
    assert batch.starts.astype(int).tolist() == [[0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0]]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 0]]
    assert batch.document.tolist() == [[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, -1]]
    assert batch.offset.tolist() == [[-1, 0, 1, 2, 3, -1, -1, 4, 5, 6, -1, -1]]
    assert batch.copy.tolist() == [[0] * 12]
    assert (batch.source.tolist(), batch.epoch.tolist()) == ([0], [0])


def test_a_piece_begins_a_word_wherever_it_was_cut() -> None:
    # Seven tokens are cut after five: 105 goes on with the word of 104.
    batch = Stream([tokens([7])], [1], 7, AROUND, seed=1).take(2)
    rest = batch.ids.tolist().index([1, 105, 106, 2, 3, 3, 3])
    assert batch.starts[rest].astype(int).tolist() == [0, 1, 1, 0, 0, 0, 0]
    assert batch.offset[rest].tolist() == [-1, 5, 6, -1, -1, -1, -1]


def test_special_tokens_may_stand_on_one_side_only() -> None:
    batch = Stream([tokens([3])], [1], 5, Special(bos=None, eos=2, pad=2), seed=1).take(1)
    assert batch.ids.tolist() == [[100, 101, 102, 2, 2]]
    assert batch.document.tolist() == [[0, 0, 0, 0, -1]]
    batch = Stream([tokens([3])], [1], 4, Special(bos=None, eos=None, pad=2), seed=1).take(1)
    assert batch.ids.tolist() == [[100, 101, 102, 2]]


def test_an_epoch_is_every_token_once_and_the_next_has_another_order() -> None:
    stream = Stream([tokens(range(1, 40))], [1], 41, AROUND, seed=1)
    size = 0
    while stream.epochs()[0] < 1:
        next(stream)
        size += 1
    orders = []
    for epoch in range(3):
        fresh = Stream([tokens(range(1, 40))], [1], 41, AROUND, seed=1)
        fresh.restore({"sources": [{"epoch": epoch, "offset": 0, "sequences": 0}]})
        batch = fresh.take(size)
        assert batch.epoch.tolist() == [epoch] * size
        offsets = batch.offset[batch.offset >= 0]
        assert sorted(offsets.tolist()) == list(range(sum(range(1, 40))))
        orders.append(offsets.tolist())
    assert orders[0] != orders[1] != orders[2]


def test_a_document_comes_as_often_as_it_weighs() -> None:
    # Each of 40 tokens fills a sequence: what comes can be counted by sequences.
    weights = [0.5, 1.0, 3.0, 0.0, 0.5]
    stream = Stream([tokens([40] * 5, weights)], [1], 42, AROUND, seed=1)
    times: Counter[int] = Counter()
    epochs = 400
    for drawn in stream:
        if drawn.epoch == epochs:
            break
        times[int(drawn.start[0]) // 40] += 1
    assert (times[1], times[2], times[3]) == (epochs, 3 * epochs, 0)
    # 400 throws of a coin: within four standard deviations.
    assert abs(times[0] - epochs / 2) < 40
    assert abs(times[4] - epochs / 2) < 40


def test_copies_of_an_epoch_are_numbered() -> None:
    drawn = list(islice(Stream([tokens([40], [3.0])], [1], 42, AROUND, seed=1), 6))
    assert [one.epoch for one in drawn] == [0, 0, 0, 1, 1, 1]
    assert sorted(one.copy.tolist() for one in drawn[:3]) == [[0], [1], [2]]


def test_an_epoch_without_a_document_is_passed_over() -> None:
    part_of = tokens([4, 4], [0.01, 0.0])
    stream = Stream([part_of], [1], 8, AROUND, seed=1)
    found = list(islice(stream, 3))
    assert [one.start.tolist() for one in found] == [[0]] * 3
    assert found[0].epoch > 0


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=7), st.integers(1, 300))
def test_shares_hold_within_a_sequence_at_every_point(shares: list[float], many: int) -> None:
    stream = Stream([tokens([3])] * len(shares), shares, 6, AROUND, seed=1)
    given_so_far = [0] * len(shares)
    for number, drawn in enumerate(islice(stream, many), 1):
        given_so_far[drawn.source] += 1
        for share, has in zip(shares, given_so_far, strict=True):
            assert abs(share / sum(shares) * number - has) < 1


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=20), min_size=1, max_size=3),
    st.booleans(), st.integers(0, 60), st.integers(0, 2**62),
)  # fmt: skip
def test_it_goes_on_exactly_where_it_stopped(lengths: list[list[int]], weighted: bool, before: int, seed: int) -> None:
    sets = [tokens(some, [0.3 + place % 3 for place in range(len(some))] if weighted else None) for some in lengths]
    shares = [1.0, 2.5, 0.7][: len(sets)]
    whole = Stream(sets, shares, 16, AROUND, seed)
    for _ in range(before):
        next(whole)
    again = Stream(sets, shares, 16, AROUND, seed)
    again.restore(json.loads(json.dumps(whole.state())))
    assert again.state() == whole.state()
    assert again.state()["sequences"] == before
    assert [known(one) for one in islice(again, 20)] == [known(one) for one in islice(whole, 20)]
    assert again.epochs() == whole.epochs()


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=30), min_size=1, max_size=3),
    st.sampled_from([(1, 2), (None, 2), (1, None), (None, None)]), st.integers(1, 12),
)  # fmt: skip
def test_the_arrays_are_the_sequences(
    lengths: list[list[int]], around: tuple[int | None, int | None], many: int
) -> None:
    special = Special(*around, pad=3)
    sets = [tokens(some) for some in lengths]
    batch = Stream(sets, [1] * len(sets), 20, special, seed=5).take(many)
    for row, drawn in enumerate(islice(Stream(sets, [1] * len(sets), 20, special, seed=5), many)):
        ids, positions, documents, offsets = [], [], [], []
        for number, (start, length) in enumerate(zip(drawn.start.tolist(), drawn.length.tolist(), strict=True)):
            own = (
                [-1] * (special.bos is not None) + list(range(start, start + length)) + [-1] * (special.eos is not None)
            )
            text = sets[drawn.source].train.ids[start : start + length].tolist()
            ids += [one for one in (special.bos, *text, special.eos) if one is not None]
            offsets += own
            positions += range(len(own))
            documents += [number] * len(own)
        rest = 20 - len(ids)
        assert batch.ids[row].tolist() == ids + [3] * rest
        assert batch.positions[row].tolist() == positions + [0] * rest
        assert batch.document[row].tolist() == documents + [-1] * rest
        assert batch.offset[row].tolist() == offsets + [-1] * rest
        assert (batch.source[row], batch.epoch[row]) == (drawn.source, drawn.epoch)
        assert not batch.starts[row][batch.offset[row] < 0].any()


def test_devices_take_parts_of_the_same_sequences() -> None:
    def stream() -> Stream:
        return Stream([tokens([5] * 20), tokens([7] * 9)], [2, 1], 16, AROUND, seed=3)

    whole = stream().take(10)
    for rank in range(4):
        one = stream()
        assert one.take(10, slice(rank, None, 4)).ids.tolist() == whole.ids[rank::4].tolist()
        assert one.state()["sequences"] == 10
    assert stream().take(2, slice(3, None, 4)).ids.shape == (0, 16)


def test_padding_and_epochs_are_known_of_each_data_set() -> None:
    stream = Stream([tokens([6, 6]), tokens([3])], [1, 1], 8, AROUND, seed=1)
    assert stream.padding() == pytest.approx([0, 3 / 8])
    stream.take(2)
    assert stream.epochs() == [0.5, 1.0]


def test_another_seed_reads_in_another_order() -> None:
    one, other = (Stream([tokens([5] * 50)], [1], 7, AROUND, seed).take(50) for seed in (1, 2))
    assert one.ids.tolist() != other.ids.tolist()


def test_a_mixture_must_be_one() -> None:
    for sets, shares in (([], []), ([tokens([1])], [0.0]), ([tokens([1])], [1.0, 1.0]), ([tokens([1])], [np.inf])):
        with pytest.raises(PretrainError, match="of each a share above 0"):
            Stream(sets, shares, 16, AROUND, seed=1)
    stream = Stream([tokens([1])], [1], 16, AROUND, seed=1)
    with pytest.raises(PretrainError, match="the run had 2 data sets and now has 1"):
        stream.restore(Stream([tokens([1])] * 2, [1, 1], 16, AROUND, seed=1).state())


def test_validation_is_the_same_in_every_run() -> None:
    first, second = tokens([9] * 3, held_out=[5] * 30), tokens([9], held_out=[3])
    found = validation([first, second], 4, 14, AROUND)
    assert [batch.ids.shape for batch in found] == [(4, 14), (1, 14)]
    assert [batch.source.tolist() for batch in found] == [[0] * 4, [1]]
    # A data set has the same sequences, whatever stands beside it.
    (alone,) = validation([first], 4, 14, AROUND)
    assert alone.ids.tolist() == found[0].ids.tolist()
    held_out = found[0].ids[found[0].offset >= 0]
    assert held_out.min() >= 1000
    assert len(set(held_out.tolist())) == 4 * 10


def test_the_part_that_is_held_out_can_be_streamed() -> None:
    batch: Batch = Stream([tokens([3], held_out=[4])], [1], 6, AROUND, seed=1, split="validation").take(1)
    assert batch.ids.tolist() == [[1, 1000, 1001, 1002, 1003, 2]]
