"""What a model reads at once: texts packed into rows, attention confined to each, so that hardly a place is empty."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.evaluate.records import TaskError

try:
    import torch
except ImportError as error:
    raise TaskError(f"fine-tuning needs PyTorch ({error}): pip install 'corpuskit-fr[pretrain]'") from None

#: Rows are no longer than this where no text is: attention costs the square of a row.
ROW = 128

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A text as tokens, special ones included.

    Attributes:
        ids: of the tokens.
        types: 1 for tokens of the second of two texts, where the model tells them apart.
        places: the tokens whose states are asked for.
    """

    ids: Array
    types: Array
    places: Array

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """What is learnt and answered as one: a piece of a text, or a question with one reading for each choice.

    Attributes:
        readings: of the model.
        targets: what it should say; None where that is not known.
        weight: decisions that the loss is a mean over.
        of: what it is about, for those who made it.
    """

    readings: tuple[Reading, ...]
    targets: Array | None
    weight: int
    of: Any

    def __len__(self) -> int:
        return sum(map(len, self.readings))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Readings in rows, (rows, places) each.

    Attributes:
        ids: of the tokens; of the padding where there are none.
        types: as in :class:`Reading`.
        positions: from 0 in each reading.
        document: the number of the reading in its row, -1 at padding.
        places: where the states are that are asked for, flat, in the order of the readings.
    """

    ids: torch.Tensor
    types: torch.Tensor
    positions: torch.Tensor
    document: torch.Tensor
    places: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        parts = (self.ids, self.types, self.positions, self.document, self.places)
        return Batch(*(part.to(device, non_blocking=True) for part in parts))


def rows(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Which readings share a row: the longest first, each into the fullest row that has room (best-fit decreasing).

    Args:
        lengths: tokens of each.
        capacity: of a row, at least the longest.
    """
    found: list[list[int]] = []
    free: list[tuple[int, int]] = []  # room, row
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        at = bisect_left(free, (lengths[number], -1))
        if at < len(free):
            room, row = free.pop(at)
        else:
            room, row = capacity, len(found)
            found.append([])
        found[row].append(number)
        insort(free, (room - lengths[number], row))
    return found


def batch(readings: Sequence[Reading], packed: bool, pad: int) -> Batch:
    """Put readings into rows.

    Args:
        readings: at least one.
        packed: several may share a row; otherwise each has its own, as long as the longest.
        pad: what stands at empty places.
    """
    lengths = [len(reading) for reading in readings]
    shared = rows(lengths, max(ROW, *lengths)) if packed else [[number] for number in range(len(readings))]
    shape = len(shared), max(sum(lengths[number] for number in row) for row in shared)
    ids, types, positions = np.full(shape, pad, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    document, places = np.full(shape, -1, np.int64), [np.zeros(0, np.int64)] * len(readings)
    for row, numbers in enumerate(shared):
        start = 0
        for place, number in enumerate(numbers):
            reading, end = readings[number], start + lengths[number]
            ids[row, start:end], types[row, start:end] = reading.ids, reading.types
            positions[row, start:end], document[row, start:end] = np.arange(end - start), place
            places[number] = reading.places + (row * shape[1] + start)
            start = end
    return Batch(*(torch.from_numpy(part) for part in (ids, types, positions, document, np.concatenate(places))))


def portions(examples: Sequence[Example], tokens: int, packed: bool) -> Iterator[list[int]]:
    """Parts of the examples, in order, that are computed one after the other, each with at least one example.

    Args:
        examples: which.
        tokens: the most places of a part, padding counted where nothing is packed.
        packed: several share a row.
    """
    part: list[int] = []
    taken = count = longest = 0
    for number, example in enumerate(examples):
        count += len(example.readings)
        longest = max(longest, *map(len, example.readings))
        taken += len(example)
        if part and (taken if packed else longest * count) > tokens:
            yield part
            part, taken, count, longest = [], len(example), len(example.readings), max(map(len, example.readings))
        part.append(number)
    if part:
        yield part
