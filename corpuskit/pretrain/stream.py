"""What a run reads, in which order: a mixture of data sets as packed sequences, which goes on exactly where it stopped.

Each data set comes in epochs of its own. In each its documents are packed anew and the sequences shuffled; where it has
weights, a document comes ⌊w + u⌋ times, u a random number of its own: w times on average. Nothing depends on what was
drawn before: an epoch is made from the seed, the number of the data set and its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from corpuskit.pretrain.config import PretrainError
from corpuskit.pretrain.packing import Ints, hashed, pack, repeated
from corpuskit.pretrain.tokens import Part, Tokens
from corpuskit.sample.draw import uniform


@dataclass(frozen=True, slots=True)
class Special:
    """Special tokens: before each piece and behind it (None: nothing is there), and at the empty places."""

    bos: int | None
    eos: int | None
    pad: int

    @property
    def count(self) -> int:
        """Of a piece."""
        return (self.bos is not None) + (self.eos is not None)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sequence: pieces of the documents of one data set, in one of its epochs."""

    source: int
    epoch: int
    #: Of each piece: its first token in the file of the data set, its tokens, and which copy of its document it is.
    start: Ints
    length: Ints
    copy: Ints


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences, as arrays of (sequences, places) but for ``source`` and ``epoch``, which are of (sequences)."""

    ids: npt.NDArray[np.int64]
    #: Whether a word begins there; so it does with each piece. False at special tokens and padding.
    starts: npt.NDArray[np.bool_]
    #: From 0 in each piece, special tokens counted; 0 at padding.
    positions: npt.NDArray[np.int64]
    #: Number of the piece in its sequence, also at its special tokens; -1 at padding.
    document: npt.NDArray[np.int32]
    #: Place of the token in the file of its data set; -1 at special tokens and padding.
    offset: npt.NDArray[np.int64]
    #: Which copy of the document it is in this epoch; 0 at padding.
    copy: npt.NDArray[np.int32]
    source: npt.NDArray[np.int64]
    epoch: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


class _Epoch:
    """A data set once through: packed, in an order of chance."""

    def __init__(self, part: Part, number: int, epoch: int, sequence_length: int, special: Special, seed: int) -> None:
        self.number, self.epoch = number, epoch
        times = np.ones(len(part), np.int64)
        if part.weights is not None:
            chance = uniform(hashed(np.arange(len(part)), "weights", seed, number, epoch))
            times = np.floor(part.weights + chance).astype(np.int64)
        document, self._copy = repeated(times)
        self.packed = pack(part.lengths[document], sequence_length, special.count, f"{seed} {number} {epoch}")
        self._begin = part.documents[:-1][document]
        self._order = np.argsort(hashed(np.arange(len(self.packed)), "order", seed, number, epoch), kind="stable")

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, place: int) -> Drawn:
        sequence, packed = self._order[place], self.packed
        some = slice(packed.first[sequence], packed.first[sequence + 1])
        document = packed.document[some]
        start = self._begin[document] + packed.start[some]
        return Drawn(self.number, self.epoch, start, packed.length[some], self._copy[document])


class Stream:
    """Sequences of a mixture, one after the other, without end.

    Of *n* sequences a data set has given its share of *n*, never a whole one more or less (Tijdeman 1980, "The chairman
    assignment problem", Discrete Mathematics 32).

    Args:
        tokens: the data sets.
        shares: of the sequences, of each; they are divided by their sum.
        sequence_length: places of a sequence.
        special: what stands around a piece.
        seed: another one, another order.
        split: which part of the data sets.

    Raises:
        PretrainError: no data sets, or shares that are none.
    """

    def __init__(
        self,
        tokens: Sequence[Tokens],
        shares: Sequence[float],
        sequence_length: int,
        special: Special,
        seed: int,
        split: Literal["train", "validation"] = "train",
    ) -> None:
        if not tokens or len(shares) != len(tokens) or not all(0 < share < float("inf") for share in shares):
            raise PretrainError("a mixture needs data sets, and of each a share above 0")
        self._parts = [one.train if split == "train" else one.validation for one in tokens]
        self._shares = [share / sum(shares) for share in shares]
        self._sequence_length, self._special, self._seed = sequence_length, special, seed
        #: Of each data set: its epoch, the sequences drawn of that and of all epochs; and the epoch, packed.
        self._epoch, self._at, self._given = ([0] * len(tokens) for _ in range(3))
        self._opened: list[_Epoch | None] = [None] * len(tokens)

    def __iter__(self) -> Iterator[Drawn]:
        return self

    def __next__(self) -> Drawn:
        source = self._due()
        while self._at[source] >= len(self._current(source)):
            self._epoch[source], self._at[source] = self._epoch[source] + 1, 0
        found = self._current(source)[self._at[source]]
        self._at[source] += 1
        self._given[source] += 1
        return found

    def take(self, many: int, part: slice = slice(None)) -> Batch:
        """The next sequences.

        Args:
            many: how many; the stream goes on behind them.
            part: which of them to make, such as every fourth for one of four devices.
        """
        drawn = [next(self) for _ in range(many)]
        return _batch(drawn[part], self._parts, self._sequence_length, self._special)

    def state(self) -> dict[str, Any]:
        """How far it is, for JSON."""
        told = zip(self._epoch, self._at, self._given, strict=True)
        sources = [{"epoch": epoch, "offset": at, "sequences": given} for epoch, at, given in told]
        return {"sequences": sum(self._given), "sources": sources}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there.

        Raises:
            PretrainError: it is of another mixture.
        """
        told = state["sources"]
        if len(told) != len(self._parts):
            raise PretrainError(
                f"the run had {len(told)} data sets and now has {len(self._parts)}: go on with the same, or begin anew"
            )
        self._epoch, self._at, self._given = ([one[name] for one in told] for name in ("epoch", "offset", "sequences"))

    def epochs(self) -> list[float]:
        """How often each data set has come."""
        places = range(len(self._parts))
        return [self._epoch[one] + self._at[one] / max(1, len(self._current(one))) for one in places]

    def padding(self) -> list[float]:
        """The share of empty places in the current epoch of each data set."""
        return [self._current(one).packed.padding for one in range(len(self._parts))]

    def _current(self, source: int) -> _Epoch:
        opened = self._opened[source]
        if opened is None or opened.epoch != self._epoch[source]:
            opened = _Epoch(
                self._parts[source], source, self._epoch[source], self._sequence_length, self._special, self._seed
            )
            self._opened[source] = opened
        return opened

    def _due(self) -> int:
        """The data set that the next sequence is of: of those it may be of, the one that cannot wait longest."""
        number, least = sum(self._given) + 1, 1 / max(1, 2 * len(self._parts) - 2)
        told = zip(self._shares, self._given, strict=True)
        behind = [share * number - given for share, given in told]
        may = [source for source, due in enumerate(behind) if due >= least - 1e-9]
        return min(may, key=lambda source: (1 - least - behind[source]) / self._shares[source])


def validation(tokens: Sequence[Tokens], many: int, sequence_length: int, special: Special) -> list[Batch]:
    """The sequences that the loss is measured on, of each data set: the same in every run.

    Args:
        tokens: the data sets.
        many: sequences of each, at most.
        sequence_length: places of a sequence.
        special: what stands around a piece.
    """
    parts = [one.validation for one in tokens]
    batches = []
    for source, part in enumerate(parts):
        epoch = _Epoch(part, 0, 0, sequence_length, special, seed=0)
        drawn = [replace(epoch[place], source=source) for place in range(min(many, len(epoch)))]
        batches.append(_batch(drawn, parts, sequence_length, special))
    return batches


def _batch(drawn: Sequence[Drawn], parts: Sequence[Part], sequence_length: int, special: Special) -> Batch:
    shape = (len(drawn), sequence_length)
    ids, starts = np.full(shape, special.pad, np.int64), np.zeros(shape, np.bool_)
    positions, offset = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
    document, copy = np.full(shape, -1, np.int32), np.zeros(shape, np.int32)
    source, epoch = (np.array([getattr(one, name) for one in drawn], np.int64) for name in ("source", "epoch"))
    # Of each piece: its sequence, its number there, the place of its beginning in the batch.
    sequence, number = repeated(np.array([len(one.start) for one in drawn], np.int64))
    start, length, copies = (_joined([getattr(one, name) for one in drawn]) for name in ("start", "length", "copy"))
    size = length + special.count
    begin = np.cumsum(size) - size
    begin += sequence * sequence_length - begin[np.searchsorted(sequence, sequence)]
    piece, place = repeated(size)
    there = begin[piece] + place
    positions.flat[there], document.flat[there], copy.flat[there] = place, number[piece], copies[piece]
    piece, place = repeated(length)
    there, at = begin[piece] + (special.bos is not None) + place, start[piece] + place
    offset.flat[there] = at
    whose = source[sequence][piece]
    for one in np.unique(source):
        own = whose == one
        ids.flat[there[own]], starts.flat[there[own]] = parts[one].ids[at[own]], parts[one].starts[at[own]]
    starts.flat[begin + (special.bos is not None)] = True
    if special.bos is not None:
        ids.flat[begin] = special.bos
    if special.eos is not None:
        ids.flat[begin + size - 1] = special.eos
    return Batch(ids, starts, positions, document, offset, copy, source, epoch)


def _joined(arrays: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *arrays])
