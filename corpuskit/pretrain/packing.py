"""Pieces of documents put together into full sequences: nothing that fits is cut, and hardly a place stays empty.

Best-fit decreasing as in Ding et al. 2024 ("Fewer Truncations Improve Language Modeling", ICML), on the histogram of
the lengths: all pieces of one length that go into sequences with the same room are placed in one operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash

from corpuskit.pretrain.config import PretrainError
from corpuskit.sample.draw import shuffled

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

#: Pieces that are packed with each other: enough to fill every sequence, and chance decides who they are.
BLOCK = 1 << 17


@dataclass(frozen=True, slots=True)
class Packed:
    """Sequences as ranges of pieces: sequence *s* holds the pieces ``first[s]`` to ``first[s + 1]``."""

    #: Of each piece: the number of its document, its first token within it, and its tokens.
    document: Ints
    start: Ints
    length: Ints
    #: A number more than there are sequences.
    first: Ints
    sequence_length: int
    special: int

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def padding(self) -> float:
        """The share of the places that nothing stands in."""
        places = len(self) * self.sequence_length
        return 1 - (int(self.length.sum()) + len(self.length) * self.special) / places if places else 0.0


def hashed(numbers: npt.ArrayLike, *keys: int | str) -> Hashes:
    """A random number of 64 bits for each number (at least 0), the same with every version of NumPy.

    Args:
        numbers: which.
        keys: what they are for; others with any other key.
    """
    key = xxhash.xxh3_64_intdigest(repr(keys))
    return shuffled(np.array([key], np.uint64), np.asarray(numbers, np.int64))


def pack(lengths: npt.ArrayLike, sequence_length: int, special: int = 2, seed: int | str = 0) -> Packed:
    """Cut documents that are too long, and pack the pieces.

    Args:
        lengths: tokens of each document.
        sequence_length: places of a sequence.
        special: tokens that each piece needs beside its own.
        seed: of who is packed with whom.

    Raises:
        PretrainError: a sequence has no room for a token.
    """
    room = sequence_length - special
    if room < 1:
        raise PretrainError(f"a sequence of {sequence_length} has no room beside {special} special tokens: lengthen it")
    tokens = np.asarray(lengths, np.int64)
    document, part = repeated(-(-tokens // room))
    start = part * room
    length = np.minimum(room, tokens[document] - start)
    order = np.argsort(hashed(np.arange(len(document)), "pack", seed), kind="stable")
    pieces, sizes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for block in np.array_split(order, max(1, -(-len(order) // BLOCK))):
        # NumPy sorts numbers of 16 bits in linear time.
        missing = (room - length[block]).astype(np.uint16 if room < 1 << 16 else np.int64)
        block = block[np.argsort(missing, kind="stable")]
        counts = np.bincount(length[block] + special, minlength=sequence_length + 1)
        sequence = _spread(list(_best_fit(counts.tolist(), sequence_length)))
        pieces.append(block[np.argsort(sequence, kind="stable")])
        sizes.append(np.bincount(sequence))
    order, first = np.concatenate(pieces), np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    return Packed(document[order], start[order], length[order], first, sequence_length, special)


def repeated(counts: Ints) -> tuple[Ints, Ints]:
    """Each place as often as its count says, and beside it the how manieth time it is, from 0."""
    place = np.repeat(np.arange(len(counts)), counts)
    return place, np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)


def _best_fit(counts: Sequence[int], capacity: int) -> Iterator[tuple[int, int, int]]:
    """Place pieces, the longest first, each into the fullest sequence that has room for it.

    Sequences with the same room are ranges of their numbers, so that an operation takes as long for one as for all.

    Args:
        counts: pieces of each size.
        capacity: of a sequence.

    Yields:
        For the next pieces in the order of their sizes: the first sequence, how many, pieces that go into each.
    """
    # By room, the ranges of sequences that have it; and the rooms that any has, as the bits of a number.
    there: list[list[tuple[int, int]]] = [[] for _ in range(capacity + 1)]
    rooms = made = 0
    for size in range(capacity, 0, -1):
        left = counts[size]
        while left:
            if fitting := rooms >> size:
                room = size + (fitting & -fitting).bit_length() - 1
                first, end = there[room].pop()
                if not there[room]:
                    rooms ^= 1 << room
            else:
                room, first = capacity, made
                made = end = made + -(-left // (capacity // size))
            each = room // size
            full = min(end - first, left // each)
            # All full ones, then one with the last pieces, then those that nothing is left for.
            last = left % each if full < end - first else 0
            for many, held in ((full, each), (int(last > 0), last), (end - first - full - (last > 0), 0)):
                if many:
                    if held:
                        yield first, many, held
                        left -= many * held
                    over = room - held * size
                    there[over].append((first, first + many))
                    rooms |= 1 << over
                    first += many


def _spread(operations: Sequence[tuple[int, int, int]]) -> Ints:
    """The sequence of each piece, from what :func:`_best_fit` says."""
    first, many, each = np.array(operations, np.int64).reshape(-1, 3).T
    operation, place = repeated(many * each)
    found: Ints = first[operation] + place // each[operation]
    return found
