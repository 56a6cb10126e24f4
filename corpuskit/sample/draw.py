"""Which units are drawn, and how often: by a hash of each, so that nothing else matters.

Unit *i* with the weight w has a random number u in [0, 1) that is a hash of the seed and its id. Its copies 0, 1, 2 …
stand at (0 + u) / w, (1 + u) / w, … on a line; a sample is what stands before some point s of it. So a unit has
min(cap, s·w) copies in expectation, and never a whole copy more or less. Without a budget s is 1. With one, s is where
the budget is full. Where each unit is drawn once at most this is sequential Poisson sampling: Ohlsson, *Sequential
Poisson sampling*, Journal of Official Statistics 14 (1998); its probabilities are in proportion to the weights until
they reach 1, which those of successive draws (Efraimidis & Spirakis 2006) are not.

The point is found without sorting all copies: a histogram of their places, by the leading bits, tells in which bin the
budget is full, and only that bin is sorted. Where a budget is cut into strata, each has such a point; what they leave
of it goes to the paragraphs that stand at these points, so that of the whole less than a paragraph is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

#: Leading bits of a place (a float of 64) that make its bin: 64 bins between two powers of two.
_BITS = 18
#: Beyond the place of any copy.
_FAR = 1e300
_SHIFT = np.uint64(64 - _BITS)
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Units:
    """Some units that may be drawn, as columns of equal length."""

    #: Hash of the seed and the id.
    hash: Hashes
    #: Weight, at least 0.
    weight: Floats
    #: Words or tokens.
    size: Ints
    #: Number of the stratum whose budget it counts for.
    stratum: Ints
    #: Paragraphs.
    rows: Ints
    #: Words or tokens of each paragraph, unit by unit.
    sizes: Ints

    def __len__(self) -> int:
        return len(self.hash)


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of units: which unit (its number in :class:`Units`), the how manieth copy from 0, its place."""

    unit: Ints
    copy: Ints
    place: Floats


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where each stratum ends, arrays by stratum: copies before (``place``, ``hash``) are drawn.

    ``room`` is what the beginning of the copy that stands at the very cut may take.
    """

    place: Floats
    hash: Hashes
    room: Ints

    @classmethod
    def none(cls) -> Cuts:
        """No budget: each unit as often as its weight says."""
        return cls(np.ones(1), np.zeros(1, np.uint64), np.zeros(1, np.int64))


def hashes(names: pa.Array, seed: int) -> Hashes:
    """A hash of 64 bits (XXH3) for each name."""
    digest = xxhash.xxh3_64_intdigest
    return np.fromiter((digest(name, seed) for name in names.to_pylist()), np.uint64, len(names))


def _mix(values: Hashes) -> Hashes:
    """Another number for each, all bits of which depend on all bits (Steele, Lea & Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def uniform(hash: Hashes) -> Floats:
    """A number in [0, 1) for each hash, of 40 bits: the sum with a number of copies is exact."""
    found: Floats = (_mix(hash + _STEP) >> np.uint64(24)).astype(np.float64) * 2.0**-40
    return found


def shuffled(hash: Hashes, copy: Ints) -> Hashes:
    """Where a copy stands in the sample: the order of these numbers is a random order."""
    return _mix(_mix(hash) + (copy.astype(np.uint64) + np.uint64(1)) * _STEP)


def copies(units: Units, limit: Floats | float, cap: int | None) -> Copies:
    """The copies whose place is before a limit, unit by unit.

    Args:
        units: whose.
        limit: one for all, or one for each.
        cap: the most copies of one unit, None for any number.
    """
    start = uniform(units.hash)
    # One too many at most, whatever the rounding: the comparison below decides.
    with np.errstate(invalid="ignore"):  # no limit × no weight
        most = np.ceil(limit * units.weight - start) + 1
    most = np.where(units.weight > 0, np.clip(most, 0, np.inf if cap is None else cap), 0).astype(np.int64)
    unit = np.repeat(np.arange(len(units)), most)
    copy = np.arange(len(unit)) - np.repeat(np.cumsum(most) - most, most)
    place = (copy + start[unit]) / units.weight[unit]
    before = place < (limit[unit] if isinstance(limit, np.ndarray) else limit)
    return Copies(unit[before], copy[before], place[before])


def drawn(units: Units, cuts: Cuts, cap: int | None) -> tuple[Copies, Ints]:
    """The copies that are in the sample; and of each the words or tokens of it, -1 where it comes whole."""
    stratum = units.stratum
    found = copies(units, np.nextafter(cuts.place[stratum], np.inf), cap)
    place, hash = cuts.place[stratum[found.unit]], cuts.hash[stratum[found.unit]]
    own = units.hash[found.unit]
    before = (found.place < place) | (own < hash)
    at = (found.place == place) & (own == hash) & (cuts.room[stratum[found.unit]] > 0)
    room = np.where(at, cuts.room[stratum[found.unit]], -1)
    kept = before | at
    return Copies(found.unit[kept], found.copy[kept], found.place[kept]), room[kept]


def cuts(parts: Callable[[], Iterable[Units]], budgets: Ints, mass: Floats, most: Floats, cap: int | None) -> Cuts:
    """Where the budget of each stratum is full, within a paragraph; their sum is not exceeded.

    Args:
        parts: all units, a part at a time, in the same order each time it is called.
        budgets: words or tokens of each stratum; not more than ``most``.
        mass: the sum of size × weight of each stratum.
        most: words or tokens of each stratum with all copies that ``cap`` allows; infinite without one.
        cap: the most copies of one unit.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = np.where(budgets > 0, 1.25 * budgets / mass, 0.0)
    limit[budgets >= most] = np.inf  # all there is
    wanted = budgets < most
    while True:
        filled = np.zeros((len(budgets), 1 << _BITS), np.int64)
        for units in parts():
            found = copies(units, np.where(wanted, limit, 0.0)[units.stratum], cap)
            stratum = units.stratum[found.unit]
            np.add.at(filled, (stratum, _bins(found.place)), units.size[found.unit])
        short = wanted & (budgets > 0) & (filled.sum(axis=1) <= budgets)
        if not short.any():
            break
        limit[short] *= 2
    up_to = np.cumsum(filled, axis=1)
    bin = np.argmax(up_to > budgets[:, None], axis=1)
    base = np.where(bin > 0, up_to[np.arange(len(bin)), bin - 1], 0)
    del filled, up_to
    last = [[] for _ in budgets]  # type: list[list[tuple[Floats, Hashes, Ints]]]
    for units in parts():
        found = copies(units, np.where(wanted, limit, 0.0)[units.stratum], cap)
        stratum = units.stratum[found.unit]
        there = _bins(found.place) == bin[stratum]
        for number in np.unique(stratum[there]):
            own = there & (stratum == number)
            unit = found.unit[own]
            last[number].append((found.place[own], units.hash[unit], units.size[unit]))
    ends = [_end(some, budgets[number] - base[number]) for number, some in enumerate(last)]
    place, hash, room = (np.array(column) for column in zip(*ends, strict=True))
    place = np.where(wanted, place, _FAR)
    ended = Cuts(np.where(budgets > 0, place, 0.0), hash.astype(np.uint64), np.where(wanted & (budgets > 0), room, 0))
    return _topped_up(parts, ended) if len(budgets) > 1 else ended


def _topped_up(parts: Callable[[], Iterable[Units]], cuts: Cuts) -> Cuts:
    """The same cuts, and what the strata leave of their budgets spent.

    Each leaves less than its next paragraph, so all of them less than their next paragraphs together. As long as what
    is left holds one of these, it goes there, and first where it is least too much. In the end less than a paragraph is
    left, and no stratum is off by a whole one.
    """
    used, longer = np.zeros_like(cuts.room), cuts.room.copy()
    for units in parts():
        ends = np.cumsum(units.rows)
        at = (cuts.room[units.stratum] > 0) & (units.hash == cuts.hash[units.stratum])
        for number in np.flatnonzero(at):
            stratum, room = units.stratum[number], cuts.room[units.stratum[number]]
            up_to = np.cumsum(units.sizes[ends[number] - units.rows[number] : ends[number]])
            fits = int(np.searchsorted(up_to, room, side="right"))
            used[stratum], longer[stratum] = up_to[fits - 1] if fits else 0, up_to[fits]
    left, room = int((cuts.room - used).sum()), cuts.room.copy()
    for stratum in np.argsort(longer - room, kind="stable"):
        if used[stratum] < room[stratum] and longer[stratum] - used[stratum] <= left:
            left -= int(longer[stratum] - used[stratum])
            room[stratum] = longer[stratum]
    return Cuts(cuts.place, cuts.hash, room)


def _bins(place: Floats) -> Ints:
    """The leading bits: floats that are not negative are in the order of their bits."""
    found: Ints = (place.view(np.uint64) >> _SHIFT).astype(np.int64)
    return found


def _end(some: list[tuple[Floats, Hashes, Ints]], budget: Any) -> tuple[float, np.uint64, int]:
    """The first of some copies with which the budget is overdrawn, and what is left of the budget before it."""
    if not some:
        return 0.0, np.uint64(0), 0
    place, hash, size = (np.concatenate(column) for column in zip(*some, strict=True))
    order = np.lexsort((hash, place))
    up_to = np.cumsum(size[order])
    first = int(np.argmax(up_to > budget))
    left = int(budget - (up_to[first - 1] if first else 0))
    return float(place[order[first]]), hash[order[first]], left


class Unreachable(Exception):
    """Shares that no weights can reach; the message says which."""


def rake(mass: Floats, shares: list[list[float]], names: list[str]) -> Floats:
    """The share of each stratum, so that those of each field are as they were asked for.

    Iterative proportional fitting (Deming & Stephan 1940): among the tables with these margins the one nearest to
    what there is.

    Args:
        mass: what there is, an array with a dimension a field and in it a place a value; the last is all others.
        shares: by field, the share of each value but the last, which has the rest.
        names: of the fields.

    Raises:
        Unreachable: a value that is wanted is not there, or two fields cannot be reached together.
    """
    wanted = [np.array([*some, max(0.0, 1.0 - sum(some))]) for some in shares]
    for field, target in enumerate(wanted):
        target[target < 1e-9] = 0.0
        there = mass.sum(axis=tuple(other for other in range(mass.ndim) if other != field))
        for value in np.flatnonzero((target > 0) & (there <= 0)):
            raise Unreachable(f"{names[field]}:{value if value < len(target) - 1 else -1}")
    found: Floats = mass / mass.sum()
    for _ in range(1_000):
        off = 0.0
        for field, target in enumerate(wanted):
            others = tuple(other for other in range(mass.ndim) if other != field)
            now = found.sum(axis=others)
            off = max(off, float(np.abs(now - target).max()))
            scale = np.divide(target, now, out=np.zeros_like(target), where=now > 0)
            found = found * np.expand_dims(scale, others)
        if off < 1e-9:
            return found
    raise Unreachable("")
