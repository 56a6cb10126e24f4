"""Near-duplicates: texts that share nearly all their words, found by MinHash and then verified.

MinHash with banding (Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900; Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, chapter 3) on the terms of datatrove: a signature of each text, its
buckets, the clusters. Unlike there, no two texts are near-duplicates because their signatures collide,
nor because both resemble a third: whatever is dropped has been compared with what survives it, n-gram
by n-gram and number by number. Numbers always count: texts that differ by a dose, a date or an age are
two texts.

Everything here is a function of arrays; where they are stored is the business of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from corpuskit.clean.spans import Spans
from corpuskit.clean.tokens import Tokens, mixed, word_hashes
from corpuskit.steps import StepOptions

Array = npt.NDArray[Any]

#: What every place of a signature holds where a text has none; also the neutral element of their union.
NONE = 0xFFFFFFFF

#: N-grams taken at a time by :func:`signatures`: with a hundred hashes they stay near the processor.
_CHUNK = 8192
#: Units, and n-grams of pairs, taken at a time elsewhere.
_BLOCK = 1 << 20
#: Bits of a sorting key that tell the pairs of a chunk apart; the others are those of an n-gram.
_PAIR_BITS = 12

# The small vocabulary of :class:`Shingles`.
_NUMBER_WORDS = """
    deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt vingts trente
    quarante cinquante soixante septante huitante octante nonante cent cents mille million millions milliard milliards
    premier première second deuxième troisième quatrième cinquième sixième septième huitième neuvième dixième
    demi demie tiers quart quarts ii iii iv vi vii viii ix xi xii xiii xiv xv xvi xvii xviii xix xx xxi
"""
_UNITS = """
    kg hg g dg cg mg mcg ug µg μg ng pg gr gramme grammes milligramme milligrammes microgramme microgrammes
    l dl cl ml µl μl ul fl litre litres millilitre millilitres cc
    mol mmol µmol μmol umol nmol pmol meq mosm osm ui iu u mui gbq mbq kbq bq gy cgy mgy sv msv
    km m dm cm mm µm μm um nm m² cm² mm² m³ cm³ mm³ mètre mètres centimètre centimètres millimètre millimètres
    mmhg cmh2o kpa bar hz khz mhz kcal cal kj mv ma c degré degrés bpm pourcent log ppm
    h min mn sec ms heure heures minute minutes seconde secondes
    j jour jours sem semaine semaines mois an ans année années trimestre trimestres semestre semestres siècle siècles
    fois dose doses comprimé comprimés cp gélule gélules ampoule ampoules goutte gouttes injection injections
    flacon flacons sachet sachets cure cures cycle cycles séance séances
    cas patient patients patiente patientes enfant enfants
"""
_ONE = "un une"
_NUMBER, _UNIT, _ARTICLE = 1, 2, 3


class NearOptions(StepOptions):
    """What near-duplicates are, and how surely they are found.

    A pair of similarity *s* (Jaccard of the sets of n-grams) meets in at least one bucket with a
    probability of 1 − (1 − s^hashes_per_bucket)^buckets. At 0.85 and 0.8 that is 0.9995 and 0.992 for the
    16 buckets of 6 hashes here; datatrove's 14 of 8 would find 0.988 and 0.924. What fewer hashes a
    bucket bring in besides is sent away by the comparison.
    """

    ngram: int = Field(default=5, ge=1, description="words in an n-gram")
    buckets: int = Field(default=16, ge=1, description="buckets, in one of which two texts must meet")
    hashes_per_bucket: int = Field(default=6, ge=1, description="minima that must be equal to meet in a bucket")
    threshold: float = Field(default=0.8, gt=0, le=1, description="share of their n-grams that two texts must share")
    min_words: int = Field(default=10, ge=1, description="words from which a text is compared; at least `ngram`")

    @model_validator(mode="after")
    def _has_ngrams(self) -> NearOptions:
        if self.min_words < self.ngram:
            raise ValueError(f"min_words is {self.min_words}: a text needs {self.ngram} words to have one n-gram")
        return self


def signatures(tokens: Tokens, options: NearOptions) -> Array:
    """The MinHash signature of each text.

    Each hash is ``low * a + high`` modulo 2^32 over the two halves of an n-gram's 64-bit hash, with a
    multiplier of its own (double hashing, Kirsch and Mitzenmacher 2006). The signature of the union of
    two texts is the minimum of theirs, place by place: so an article's is that of its paragraphs.

    Returns:
        Shape (texts, buckets * hashes_per_bucket), uint32; ``NONE`` throughout for a text of fewer than
        ``min_words`` words.
    """
    ngrams, bounds = _ngrams(tokens, options)
    multipliers = _constants(options.buckets * options.hashes_per_bucket).astype(np.uint32)[:, None]
    low, high = ngrams.astype(np.uint32), (ngrams >> np.uint64(32)).astype(np.uint32)
    found = np.full((len(bounds) - 1, len(multipliers)), NONE, np.uint32)
    having = np.flatnonzero(bounds[1:] > bounds[:-1])
    starts = bounds[having]
    for start in range(0, len(ngrams), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        hashes = low[chunk] * multipliers
        hashes += high[chunk]
        first = np.searchsorted(starts, start, side="right") - 1
        last = np.searchsorted(starts, start + _CHUNK, side="left")
        minima = np.minimum.reduceat(hashes, np.maximum(starts[first:last] - start, 0), axis=1)
        rows = having[first:last]
        # A text may reach over several chunks.
        found[rows] = np.minimum(found[rows], minima.T)
    return found


def bands(signatures: Array, options: NearOptions) -> Array:
    """One hash for each bucket of each signature, the same numbers meaning something else in another bucket.

    Returns:
        Shape (texts, buckets), uint64. Texts without signature share their hashes: leave them out.
    """
    shape = options.buckets, options.hashes_per_bucket
    multipliers = _constants(shape[0] * shape[1]).reshape(shape)
    return mixed((signatures.reshape(-1, *shape) * multipliers).sum(axis=2))


def candidates(band: Callable[[int], Array], buckets: int, preference: Array, without: Array) -> Array:
    """The pairs that meet in a bucket: each unit with the preferred one there, and with the one before it.

    So a bucket that many share gives about two pairs a unit, not one for every two of them.

    Beside what ``band`` returns, about 25 bytes a unit are held, and some 50 more for each unit that meets another.

    Args:
        band: gives the hashes of all units in one bucket, shape (units,), uint64; called once a bucket.
        buckets: how many there are.
        preference: the lower survives, shape (units,).
        without: true for the units that have no signature, shape (units,).

    Returns:
        Shape (pairs, 2), int64, each pair once, the preferred unit first.
    """
    # A unit's number stands below what there is room for of its hash: sorting finds those that may meet.
    bits = max(len(without) - 1, 1).bit_length()
    low = np.uint64((1 << bits) - 1)
    keys = np.empty(len(without) - np.count_nonzero(without), np.uint64)
    found = np.zeros(0, np.uint64)
    for bucket in range(buckets):
        hashes = band(bucket)
        end = 0
        for start in range(0, len(without), _BLOCK):
            units = np.flatnonzero(~without[start : start + _BLOCK]) + start
            start, end = end, end + len(units)
            keys[start:end] = (hashes[units] & ~low) | units.astype(np.uint64)
        keys.sort()
        # Whether each key meets the one before it; the edges meet nothing.
        same = np.zeros(len(keys) + 1, np.bool_)
        same[1:-1] = (keys[1:] ^ keys[:-1]) <= low
        units = (keys[same[1:] | same[:-1]] & low).astype(np.int64)
        full = hashes[units]
        by_hash = np.lexsort((preference[units], full))
        units, full = units[by_hash].astype(np.uint64), full[by_hash]
        linked = np.flatnonzero(full[1:] == full[:-1]) + 1
        first = np.arange(len(full))
        first[linked] = 0
        first = np.maximum.accumulate(first)[linked]
        pairs = [units[other] << np.uint64(bits) | units[linked] for other in (first, linked - 1)]
        found = np.unique(np.concatenate((found, *pairs)))
    return np.stack((found >> np.uint64(bits), found & low), axis=1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Shingles:
    """What the comparison of texts needs of each.

    A number is a word that holds a digit or a French number word (cardinal, ordinal, fraction; Roman
    from II), with the units that follow it: "5 mg/kg/j" is one number and "5 mg" another. "Un" is one
    only before a unit.
    """

    #: Hashes of the n-grams of each text, sorted, each once, shape (n-grams,), uint64.
    ngrams: Array
    #: Those of text *i* are ``ngrams[ngram_bounds[i]:ngram_bounds[i + 1]]``, shape (texts + 1,), int64.
    ngram_bounds: Array
    #: Hashes of the numbers of each text in order, shape (numbers,), uint64.
    numbers: Array
    #: Those of text *i* are ``numbers[number_bounds[i]:number_bounds[i + 1]]``, shape (texts + 1,), int64.
    number_bounds: Array

    def __len__(self) -> int:
        return len(self.ngram_bounds) - 1

    @staticmethod
    def concatenate(parts: Sequence[Shingles]) -> Shingles:
        """The texts of all parts, one part after the other."""
        return Shingles(
            np.concatenate([part.ngrams for part in parts]),
            _bounds(np.concatenate([np.diff(part.ngram_bounds) for part in parts])),
            np.concatenate([part.numbers for part in parts]),
            _bounds(np.concatenate([np.diff(part.number_bounds) for part in parts])),
        )

    def joined(self, bounds: Array) -> Shingles:
        """Texts made one, such as the paragraphs of an article: the union of n-grams, the numbers in order.

        Args:
            bounds: the new text *i* is ``bounds[i]:bounds[i + 1]`` of those here, shape (new texts + 1,).
        """
        return Shingles(*_sets(self.ngrams.copy(), self.ngram_bounds[bounds]), self.numbers, self.number_bounds[bounds])


def shingles(tokens: Tokens, options: NearOptions) -> Shingles:
    """The n-grams and numbers of each text (no n-grams for one of fewer than ``min_words`` words)."""
    return Shingles(*_sets(*_ngrams(tokens, options)), *_numbers(tokens))


def agree(pairs: Array, shingles: Shingles, threshold: float) -> tuple[Array, Array]:
    """Whether two texts are near-duplicates.

    They are if they share enough of their n-grams and the numbers of one are, in their order, among those
    of the other: a sentence more may bring numbers of its own, but none is replaced.

    Args:
        pairs: places in ``shingles``, shape (pairs, 2).
        shingles: of the texts.
        threshold: the least Jaccard similarity of the sets of n-grams.

    Returns:
        The verdicts, shape (pairs,), bool, and the Jaccard similarities, shape (pairs,), float32; 0 where
        neither text has n-grams. The latter are exact but for collisions of 52-bit hashes.
    """
    agreed, similarity = np.zeros(len(pairs), np.bool_), np.zeros(len(pairs), np.float32)
    sizes = np.diff(shingles.ngram_bounds)[pairs].sum(axis=1)
    for chunk in _chunks(sizes):
        shared = _shared(pairs[chunk], shingles)
        jaccard = shared / np.maximum(sizes[chunk] - shared, 1)
        similarity[chunk] = jaccard
        similar = np.flatnonzero(jaccard >= threshold)
        agreed[chunk.start + similar] = _numbers_agree(pairs[chunk][similar], shingles)
    return agreed, similarity


def settle(units: int, pairs: Array, rank: Array, agree: Callable[[Array], Array]) -> Array:
    """Decide which units survive, each of the others under one that it agrees with.

    In each component of agreeing pairs the lowest rank survives and takes those that agree with it
    directly, compared now where they were not a pair yet. What is left falls into new components, by the
    agreeing pairs among itself. So what becomes of a unit depends on neither the order of the units nor
    a chain of ever less similar ones.

    Args:
        units: how many there are.
        pairs: units to compare, shape (pairs, 2), int64.
        rank: the lower survives, all different, shape (units,).
        agree: for pairs of units, shape (any, 2), whether they are near-duplicates; symmetric.

    Returns:
        The survivor of each unit, itself where it stays, shape (units,), int64.
    """
    survivors = np.arange(units)
    pairs = pairs[agree(pairs)]
    known = np.unique(pairs)
    known = known[np.argsort(rank[known], kind="stable")]
    places = np.empty(units, np.int64)
    places[known] = np.arange(len(known))
    edges = np.sort(places[pairs], axis=1)
    while len(edges):
        # Only what is still connected, by rank: the first of a component is the one that survives.
        left, edges = np.unique(edges, return_inverse=True)
        known, edges = known[left], edges.reshape(-1, 2)
        first = _components(len(known), edges)
        survives = first == np.arange(len(known))
        under = np.zeros(len(known), np.bool_)
        under[edges[survives[edges[:, 0]], 1]] = True
        open_ = np.flatnonzero(~survives & ~under)
        if len(open_):
            under[open_] = agree(known[np.stack((first[open_], open_), axis=1)])
        survivors[known[under]] = known[first[under]]
        edges = edges[~(survives | under)[edges].any(axis=1)]
    return survivors


def _components(nodes: int, edges: Array) -> Array:
    """The first node of each node's component: roots are hooked to lower ones, then paths halved till flat."""
    parents = np.arange(nodes)
    while True:
        roots = parents[edges]
        apart = roots[:, 0] != roots[:, 1]
        if not apart.any():
            return parents
        edges, roots = edges[apart], roots[apart]
        np.minimum.at(parents, roots.max(axis=1), roots.min(axis=1))
        while not np.array_equal(parents, above := parents[parents]):
            parents = above


def _ngrams(tokens: Tokens, options: NearOptions) -> tuple[Array, Array]:
    """The n-grams of the texts that are long enough, and their bounds in all texts."""
    hashes, bounds = tokens.ngrams(options.ngram)
    counts = bounds[1:] - bounds[:-1]
    short = tokens.counts < options.min_words
    if counts[short].any():
        hashes = hashes[np.repeat(~short, counts)]
        bounds = _bounds(np.where(short, 0, counts))
    return hashes, bounds


def _sets(hashes: Array, bounds: Array) -> tuple[Array, Array]:
    """Each stretch sorted (in place), without repeats, and the new bounds."""
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        hashes[start:end].sort()
    new = np.ones(len(hashes), np.bool_)
    new[1:] = hashes[1:] != hashes[:-1]
    new[bounds[:-1][np.diff(bounds) > 0]] = True
    return hashes[new], np.concatenate(([0], new.cumsum()))[bounds]


def _numbers(tokens: Tokens) -> tuple[Array, Array]:
    """The hash of every number with its units, and where those of each text begin."""
    hashes, kinds = _vocabulary()
    at = np.minimum(np.searchsorted(hashes, tokens.hashes), len(hashes) - 1)
    kind = np.where(hashes[at] == tokens.hashes, kinds[at], 0)
    opening = np.zeros(len(tokens) + 1, np.bool_)
    opening[tokens.bounds] = True
    unit = (kind == _UNIT) & ~tokens.numeric
    before_unit = np.append(unit, False)[1:] & ~opening[1:]
    starts = np.flatnonzero(tokens.numeric | (kind == _NUMBER) | ((kind == _ARTICLE) & before_unit))
    # A number ends at the next word that is no unit, or the next text.
    stops = np.flatnonzero(np.append(~unit, True) | opening)
    ends = stops[np.searchsorted(stops, starts, side="right")]
    return Spans(tokens.hashes).hashes(starts, ends), np.searchsorted(starts, tokens.bounds)


@cache
def _vocabulary() -> tuple[Array, Array]:
    """The hashes of the words that belong to numbers, sorted, and what each is."""
    words = _NUMBER_WORDS.split(), _UNITS.split(), _ONE.split()
    hashes = word_hashes([word for of_kind in words for word in of_kind])
    kinds = np.repeat([_NUMBER, _UNIT, _ARTICLE], [len(of_kind) for of_kind in words])
    order = np.argsort(hashes)
    return hashes[order], kinds[order]


def _chunks(sizes: Array) -> Iterator[slice]:
    """Pairs to take at a time: few enough for their bits, and for memory."""
    ends = sizes.cumsum()
    start = 0
    while start < len(sizes):
        room = np.searchsorted(ends, ends[start] - sizes[start] + _BLOCK, side="right")
        stop = max(start + 1, min(start + (1 << _PAIR_BITS), int(room)))
        yield slice(start, min(stop, len(sizes)))
        start = stop


def _gather(rows: Array, bounds: Array) -> tuple[Array, Array]:
    """The places of what belongs to each row, one row after the other, and which row each is of."""
    counts = bounds[rows + 1] - bounds[rows]
    owners = np.repeat(np.arange(len(rows)), counts)
    return np.arange(len(owners)) + np.repeat(bounds[rows] - (counts.cumsum() - counts), counts), owners


def _shared(pairs: Array, shingles: Shingles) -> Array:
    """How many n-grams the texts of each pair share."""
    keys = []
    for side in (0, 1):
        places, owners = _gather(pairs[:, side], shingles.ngram_bounds)
        keys.append(
            shingles.ngrams[places] >> np.uint64(_PAIR_BITS) | owners.astype(np.uint64) << np.uint64(64 - _PAIR_BITS)
        )
    both = np.concatenate(keys)
    both.sort()
    twice = both[1:][both[1:] == both[:-1]] >> np.uint64(64 - _PAIR_BITS)
    return np.bincount(twice.astype(np.int64), minlength=len(pairs))


def _numbers_agree(pairs: Array, shingles: Shingles) -> Array:
    """Whether the numbers of one text are a subsequence of those of the other."""
    bounds = shingles.number_bounds
    counts = np.diff(bounds)[pairs]
    agreed: Array = counts[:, 0] == counts[:, 1]
    equal = np.flatnonzero(agreed)
    left, owners = _gather(pairs[equal, 0], bounds)
    right, _ = _gather(pairs[equal, 1], bounds)
    agreed[equal[owners[shingles.numbers[left] != shingles.numbers[right]]]] = False
    for row in np.flatnonzero(counts[:, 0] != counts[:, 1]).tolist():
        fewer, more = (
            shingles.numbers[bounds[text] : bounds[text + 1]].tolist() for text in pairs[row][np.argsort(counts[row])]
        )
        rest = iter(more)
        agreed[row] = all(number in rest for number in fewer)
    return agreed


def _bounds(counts: Array) -> Array:
    return np.concatenate(([0], counts.cumsum()))


@cache
def _constants(count: int) -> Array:
    """Odd 64-bit numbers, always the same."""
    return mixed(np.arange(1, count + 1, dtype=np.uint64)) | np.uint64(1)
