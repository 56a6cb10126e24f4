"""What a masked model has to guess: whole words, most of them hidden, drawn by a hash of where they stand.

So a mask depends on nothing but the seed, the text and the draw: not on the batch, the devices, or an interruption.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpuskit.pretrain.packing import hashed
from corpuskit.pretrain.stream import Batch
from corpuskit.sample.draw import uniform

Ints = npt.NDArray[np.int64]

#: Of the tokens to guess, those that are hidden, and those that another takes the place of; the rest stay as they are
#: (Devlin et al. 2019, "BERT", NAACL).
HIDDEN, REPLACED = 0.8, 0.1


@dataclass(frozen=True, slots=True)
class Masked:
    """A batch to read, and what is to be guessed of it."""

    #: Ids, shape (sequences, places), as the model reads them.
    ids: Ints
    #: Flat places in ``ids`` that are to be guessed, and the ids that stood there.
    places: Ints
    targets: Ints


def mask(
    batch: Batch, rate: float, mask_id: int, vocabulary: Ints, seed: int, draw: int | None, whole_words: bool = True
) -> Masked:
    """Choose what is to be guessed, and hide it.

    Each word (or each token) is chosen with the probability ``rate``, so that this is the expected share of the tokens;
    special tokens and padding never are. Whole-word masking: Cui et al. 2021, "Pre-Training with Whole Word Masking for
    Chinese BERT", IEEE/ACM TASLP 29.

    Args:
        batch: the sequences.
        rate: share of the tokens to guess.
        mask_id: the mask token.
        vocabulary: ids that may take the place of another, shape (any).
        seed: of the run.
        draw: another number, another choice; None: the choice is the same each time a text comes.
        whole_words: all tokens of a word or none.
    """
    # A place in a text: its token, which data set, which copy of it.
    number = batch.offset * 1_024 + batch.copy % 1_024 if draw is not None else batch.offset
    keys = (seed, "mask", *(() if draw is None else (draw,)))
    places = np.flatnonzero(batch.offset >= 0)
    own = number.ravel()[places]
    source = np.broadcast_to(batch.source[:, None], batch.ids.shape).ravel()[places]
    chance = hashed(own, *keys) ^ hashed(source, *keys, "source")
    # A word is known by its first token.
    first = np.arange(len(places))
    if whole_words:
        first = np.maximum.accumulate(np.where(batch.starts.ravel()[places], first, 0))
    chosen = uniform(chance)[first] < rate
    places, chance = places[chosen], chance[chosen]
    ids = batch.ids.copy()
    targets = batch.ids.ravel()[places]
    fate = uniform(chance ^ hashed([0], *keys, "fate"))
    ids.flat[places[fate < HIDDEN]] = mask_id
    other = (fate >= HIDDEN) & (fate < HIDDEN + REPLACED)
    which = uniform(chance[other] ^ hashed([0], *keys, "other"))
    ids.flat[places[other]] = vocabulary[(which * len(vocabulary)).astype(np.int64)]
    return Masked(ids, places, targets)


def following(batch: Batch) -> Masked:
    """The task of a causal model: each token of a piece from those before it, the token that ends it too."""
    same = (batch.document[:, 1:] == batch.document[:, :-1]) & (batch.document[:, 1:] >= 0)
    rows, columns = np.nonzero(same)
    return Masked(batch.ids, rows * batch.ids.shape[1] + columns, batch.ids[rows, columns + 1])
