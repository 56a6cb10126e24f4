"""Masking: whole words, at the rate that is asked for, the same whatever the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.pretrain.masking import following, mask
from corpuskit.pretrain.stream import Batch

MASK, BOS, EOS, PAD = 4, 0, 2, 1
VOCABULARY = np.arange(5, 1_005)


def batch(sequences: int = 200, places: int = 512, seed: int = 0) -> Batch:
    """Two pieces and some padding in each sequence; words of one to four tokens."""
    chance = np.random.default_rng(seed)
    shape = (sequences, places)
    ids, starts = chance.integers(5, 1_005, shape), chance.random(shape) < 0.5
    document = np.zeros(shape, np.int32)
    document[:, places // 2 :], document[:, -8:] = 1, -1
    special = np.zeros(shape, np.bool_)
    for begin, end in ((0, places // 2), (places // 2, places - 8)):
        special[:, begin] = special[:, end - 1] = True
        ids[:, begin], ids[:, end - 1] = BOS, EOS
        starts[:, begin + 1] = True
    special |= document < 0
    ids[document < 0] = PAD
    starts &= ~special
    offset = np.where(special, -1, np.arange(ids.size).reshape(shape))
    zeros = np.zeros(shape, np.int64)
    return Batch(ids, starts, zeros, document, offset, zeros.astype(np.int32), zeros[:, 0], zeros[:, 0])


def rows(whole: Batch, part: slice) -> Batch:
    return Batch(*(getattr(whole, name)[part] for name in Batch.__slots__))


def masked(whole: Batch, rate: float = 0.15, draw: int | None = 0, **changed: Any) -> Any:
    return mask(whole, rate, MASK, VOCABULARY, 1, draw, **changed)


@pytest.mark.parametrize("whole_words", [True, False])
@pytest.mark.parametrize("rate", [0.15, 0.3])
def test_the_rate_and_what_becomes_of_the_chosen(rate: float, whole_words: bool) -> None:
    texts = batch()
    found = masked(texts, rate, whole_words=whole_words)
    eligible = int((texts.offset >= 0).sum())
    assert len(found.places) / eligible == pytest.approx(rate, abs=0.005)
    now = found.ids.ravel()[found.places]
    hidden, kept = now == MASK, now == found.targets
    assert hidden.mean() == pytest.approx(0.8, abs=0.01)
    assert (~hidden & ~kept).mean() == pytest.approx(0.1, abs=0.01)
    assert kept.mean() == pytest.approx(0.1, abs=0.01)
    replaced = now[~hidden & ~kept]
    assert set(replaced.tolist()) <= set(VOCABULARY.tolist())
    assert len(set(replaced.tolist())) > 500  # of a thousand, drawn some 1,500 times


def test_targets_are_what_stood_there_and_nothing_else_has_changed() -> None:
    texts = batch(4)
    found = masked(texts)
    assert found.targets.tolist() == texts.ids.ravel()[found.places].tolist()
    untouched = np.ones(texts.ids.size, np.bool_)
    untouched[found.places] = False
    assert (found.ids.ravel()[untouched] == texts.ids.ravel()[untouched]).all()


def test_special_tokens_and_padding_are_never_to_be_guessed() -> None:
    texts = batch()
    places = masked(texts, 0.9).places
    assert not np.isin(texts.ids.ravel()[places], [BOS, EOS, PAD]).any()
    assert (texts.offset.ravel()[places] >= 0).all()


def test_a_word_is_guessed_whole_or_not_at_all() -> None:
    texts = batch(20)
    chosen = np.zeros(texts.ids.size, np.bool_)
    chosen[masked(texts).places] = True
    word = np.cumsum(texts.starts.ravel())[texts.offset.ravel() >= 0]
    chosen = chosen[texts.offset.ravel() >= 0]
    sizes, hits = np.bincount(word), np.bincount(word, chosen)
    assert set((hits[sizes > 0] / sizes[sizes > 0]).tolist()) == {0.0, 1.0}
    assert (sizes[hits > 0] > 1).any()


def test_dynamic_masks_differ_and_static_ones_do_not() -> None:
    texts = batch(4)
    one, other = masked(texts, draw=1), masked(texts, draw=2)
    assert one.places.tolist() != other.places.tolist()
    assert masked(texts, draw=1).ids.tolist() == one.ids.tolist()
    later = Batch(texts.ids, texts.starts, texts.positions, texts.document, texts.offset, texts.copy + 1,
                  texts.source, texts.epoch + 3)  # fmt: skip
    assert masked(texts, draw=None).ids.tolist() == masked(later, draw=None).ids.tolist()


def test_copies_of_a_text_in_one_step_are_masked_apart() -> None:
    texts = batch(4)
    copied = Batch(texts.ids, texts.starts, texts.positions, texts.document, texts.offset, texts.copy + 1,
                   texts.source, texts.epoch)  # fmt: skip
    assert masked(texts).places.tolist() != masked(copied).places.tolist()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 7), st.integers(0, 2**31))
def test_a_mask_does_not_depend_on_the_batch(cut: int, draw: int) -> None:
    texts = batch(8, 64)
    whole = masked(texts, draw=draw)
    parts = [masked(rows(texts, part), draw=draw) for part in (slice(0, cut), slice(cut, None))]
    assert np.concatenate([part.ids for part in parts]).tolist() == whole.ids.tolist()
    assert [*parts[0].places, *(parts[1].places + cut * 64)] == whole.places.tolist()


def test_each_token_follows_from_those_before_it_in_its_own_document() -> None:
    ids = np.array([[BOS, 7, 8, EOS, BOS, 9, EOS, PAD]])
    document = np.array([[0, 0, 0, 0, 1, 1, 1, -1]], np.int32)
    nothing = np.zeros_like(ids)
    texts = Batch(ids, nothing.astype(bool), nothing, document, nothing, document, nothing[:, 0], nothing[:, 0])
    found = following(texts)
    assert found.places.tolist() == [0, 1, 2, 4, 5]
    assert found.targets.tolist() == [7, 8, EOS, 9, EOS]
