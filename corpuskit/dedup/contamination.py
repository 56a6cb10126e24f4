"""Decontamination: paragraphs that hold units of a test set are set aside.

A unit is a line of running text, a sentence in columns or a string of a record (:mod:`corpuskit.dedup.testsets`).
Words are compared without case, accents, ligatures and punctuation, over the boundaries of paragraphs. A
paragraph holds a unit when

- the whole unit, or one of its sentences that is ``containment`` of its words, stands in it between marks that
  part sentences: so short titles are found, and a phrase that is also a title is not;
- or n-grams that both have cover ``min_overlap`` words and the share ``containment`` of the unit, of one of its
  sentences, or of the paragraph. N-grams are counted by the words that they cover, as in Llama 2 (Touvron et al.
  2023, https://arxiv.org/abs/2307.09288, A.6): one word changed costs one word, not n n-grams.

Formulas ("the rest of the examination was normal") are no evidence: a unit shorter than ``min_overlap`` whose
words are sentences of more than ``max_units`` units of its test set is not looked for as a whole.

The defaults come from ``benchmarks/gold_contamination.py``: units of QUAERO, Mantra, FRASIMED and MORFITT in
encyclopaedia articles, drug leaflets, assessments and case reports. With n from 6 to 13 all units but formulas are
found while their words stay. Shorter n find more of those with words changed: of 10 % changed, 79 % of the units
with 6, 74 % with 8, 67 % with 13. But 6 takes half as many leaflets again for what is only their manner of
speaking, 8 hardly any. With a containment of 0.5 one long name of a virus was enough, with 0.6 none;
with a ``min_overlap`` of 10 phrases of case reports and of leaflets were.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import orjson
from datatrove.data import Document, DocumentsPipeline
from pydantic import Field, field_validator

from corpuskit import runs
from corpuskit.clean import tokens
from corpuskit.clean.segment import sentence_ends
from corpuskit.clean.spans import Spans
from corpuskit.clean.tokens import Tokens
from corpuskit.dedup import testsets
from corpuskit.records import Article
from corpuskit.steps import ArticleStep, StepOptions

Array = npt.NDArray[Any]

#: What parts a sentence from its neighbours; a line break parts paragraphs.
_MARKS = frozenset(map(ord, '\n.!?…:;«»“”"()[]•–—|'))
#: Letters that are two letters, "e" the second.
_LIGATURES = {"œ": "o", "æ": "a"}
#: What the bits over a code point say of it.
_KIND, _LETTER, _DIGIT, _TWOFOLD = (np.uint32(bits) for bits in (24, 1 << 24, 2 << 24, 4 << 24))
#: Of the polynomial that hashes the words of an n-gram.
_MULTIPLIER = np.uint64(0x9E6C63D0876A9A47)
#: Characters of test sets that are worked on at once.
_BATCH = 1 << 20
#: A decimal mark between spaces, as tokenisers leave it: no sentence ends there.
_DECIMAL = re.compile(r"(?<=\d) ([.,]) (?=\d)")


class TestOptions(StepOptions):
    """One test set."""

    __test__ = False
    name: str = Field(min_length=1, description="what the reports call it")
    path: str = Field(min_length=1, description="file, folder or archive; `PATH:FIELD` reads one field of records")


class DecontaminateOptions(StepOptions):
    """Settings of :class:`DecontaminateStep`."""

    tests: tuple[TestOptions, ...] = Field(default=(), description="the test sets to keep out of the corpus")
    ngram: int = Field(default=8, ge=3, description="words in a row that count as held in common")
    containment: float = Field(
        default=0.6, gt=0, le=1, description="share of a sentence, unit or paragraph that must be held in common"
    )
    min_overlap: int = Field(default=13, ge=1, description="least words held in common, but for whole sentences")
    min_words: int = Field(default=5, ge=1, description="least words of a unit that is looked for as a whole")
    max_units: int = Field(
        default=2,
        ge=1,
        description="units of a test set that may hold a shorter one; what more of them hold is a formula",
    )

    @field_validator("tests")
    @classmethod
    def _told_apart(cls, tests: tuple[TestOptions, ...]) -> tuple[TestOptions, ...]:
        if len({test.name for test in tests}) < len(tests):
            raise ValueError("two test sets have the same name")
        return tests


class Hit(NamedTuple):
    """A paragraph that holds a unit: their numbers, and how much of what they have in common."""

    paragraph: int
    unit: int
    share: float
    of: str


class Words(NamedTuple):
    """Words as the comparison sees them: hashes, first and last character, each of shape (words,)."""

    hashes: Array
    starts: Array
    ends: Array


def folded(codes: Array) -> Words:
    """The words of code points, alike for all that typography does to them.

    Case, accents and ligatures (œ) do not count, and digits and letters are words apart, so that "10mg" is
    "10 mg" and "2,5" is "2 . 5", as some test sets have it.
    """
    plain = _plain().take(codes, mode="clip")
    kinds = (plain >> _KIND) & np.uint32(3)
    changed = np.ones(len(codes) + 1, np.bool_)
    np.not_equal(kinds[1:], kinds[:-1], out=changed[1:-1])
    changes = np.flatnonzero(changed)
    starts, ends = changes[:-1], changes[1:]
    inside = kinds[starts] != 0
    starts, ends = starts[inside], ends[inside]
    twofold = np.flatnonzero(plain >= _TWOFOLD)
    first, last = starts, ends
    if len(twofold):
        plain = np.insert(plain & ~_TWOFOLD, twofold + 1, _LETTER | ord("e"))
        first, last = (places + _before(twofold, places) for places in (starts, ends))
    return Words(Spans(plain).hashes(first, last), starts, ends)


def _before(few: Array, many: Array) -> Array:
    """How many of the few stand before each of the many, both sorted."""
    counts = np.bincount(np.searchsorted(many, few, "right"), minlength=len(many) + 1)
    before: Array = counts[:-1].cumsum()
    return before


@cache
def _plain() -> Array:
    """For each code point of the basic plane its plain letter or digit, with what it is; 0 for all others."""
    table = np.zeros(0x10000, np.uint32)
    for code in range(0x10000):
        character = chr(code).lower()
        if character in _LIGATURES:
            table[code] = _LETTER | _TWOFOLD | ord(_LIGATURES[character])
        elif character.isalnum():
            base = unicodedata.normalize("NFKD", character)[0]
            table[code] = (_DIGIT if base.isdecimal() else _LETTER) | ord(base)
    return table


def _ngrams(hashes: Array, n: int) -> Array:
    """The hash of each n words in a row, shape (words - n + 1,) or (0,)."""
    count = max(0, len(hashes) - n + 1)
    ngrams = np.zeros(count, np.uint64)
    for place in range(n):
        ngrams *= _MULTIPLIER
        ngrams += hashes[place : place + count]
    return ngrams


class _Table:
    """Finds many hashes at once; those it has not, nearly all, cost but one look at one bit."""

    def __init__(self, keys: Array, values: Array) -> None:
        order = np.argsort(keys, kind="stable")
        self.keys, self.values = keys[order], values[order].astype(np.int32)
        bits = max(10, (16 * len(keys)).bit_length())
        self._shift = np.uint64(64 - bits)
        filled = np.zeros(1 << bits, np.bool_)
        filled[keys >> self._shift] = True
        self._bits = np.packbits(filled)

    @property
    def nbytes(self) -> int:
        return int(self.keys.nbytes + self.values.nbytes + self._bits.nbytes)

    def find(self, hashes: Array) -> tuple[Array, Array]:
        """Where in ``hashes`` a key stands, and the value of that key, once for each of its values."""
        slots = (hashes >> self._shift).astype(np.int64)
        bits = self._bits[slots >> 3] << (slots & 7).astype(np.uint8)
        places = np.flatnonzero(bits & np.uint8(0x80))
        first = np.minimum(np.searchsorted(self.keys, hashes[places]), len(self.keys) - 1)
        known = np.flatnonzero(self.keys[first] == hashes[places])
        places, first = places[known], first[known]
        counts = np.searchsorted(self.keys, hashes[places], "right") - first
        total = int(counts.sum())
        among = np.arange(total) - np.repeat(counts.cumsum() - counts, counts)
        return np.repeat(places, counts), self.values[np.repeat(first, counts) + among]


class Index:
    """The words of test sets, to be found in articles.

    Attributes:
        tests: the names of the test sets.
        units: the units of all of them.
        test: number of each unit's test set, shape (units,).
    """

    def __init__(self, sets: list[testsets.TestSet], options: DecontaminateOptions) -> None:
        self.options = options
        self.tests = [found.name for found in sets]
        self.units = [unit for found in sets for unit in found.units]
        self.test: Array = np.repeat(np.arange(len(sets)), [len(found.units) for found in sets])
        hashes, lengths, owners = self._sentences()
        self._bounds: Array = np.concatenate(([0], lengths.cumsum()))
        self._lengths, self._owners = lengths, owners
        self._unit_lengths: Array = np.bincount(owners, lengths, len(self.units)).astype(np.int64)
        self.short: Array = np.flatnonzero(self._unit_lengths < options.min_words)
        self._openings = self._wholes(hashes)
        ngrams = _ngrams(hashes, options.ngram)
        word_owners = np.repeat(owners, lengths)
        # No n-gram reaches from one unit into the next.
        inside = np.flatnonzero(word_owners[: len(ngrams)] == word_owners[options.ngram - 1 :])
        self._ngrams = _Table(ngrams[inside], inside)

    @property
    def nbytes(self) -> int:
        """Bytes held, but for the names and texts of the units."""
        arrays = (self.test, self._bounds, self._lengths, self._owners, self._unit_lengths, self._whole_hashes)
        return self._openings.nbytes + self._ngrams.nbytes + sum(int(array.nbytes) for array in arrays)

    def _sentences(self) -> tuple[Array, Array, Array]:
        """The words of all sentences, how many each has, and its unit."""
        hashes, lengths, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], list[int]()
        batch: list[str] = []
        size = 0
        for number, unit in enumerate(self.units):
            for sentence in _cut(unit.text):
                batch.append(sentence)
                owners.append(number)
                size += len(sentence)
            if size > _BATCH or number == len(self.units) - 1:
                found = Tokens(batch)
                words = folded(found.codes)
                hashes.append(words.hashes)
                lengths.append(np.diff(np.searchsorted(words.starts, found.offsets)))
                batch, size = [], 0
        return np.concatenate(hashes), np.concatenate(lengths), np.array(owners, np.int64)

    def _wholes(self, hashes: Array) -> _Table:
        """What is looked for as a whole, by its first words: units, and sentences that are enough of one."""
        ends = self._unit_lengths.cumsum()
        units = np.stack((ends - self._unit_lengths, ends, np.arange(len(self.units))))
        sentences = np.stack((self._bounds[:-1], self._bounds[1:], self._owners))
        part = self._lengths < self._unit_lengths[self._owners]
        first, last, owners = np.concatenate((units, sentences[:, part]), axis=1)
        lengths = last - first
        spans = Spans(hashes).hashes(first, last)
        # The same words in several units of a test set, units of the same words counted once.
        held = np.unique(np.stack((self.test[owners].astype(np.uint64), spans, spans[owners])), axis=1)
        times, counts = np.unique(held[:2], axis=1, return_counts=True)
        common = np.isin(spans, times[1, counts > self.options.max_units]) & (lengths < self.options.min_overlap)
        enough = lengths >= np.maximum(self.options.min_words, self.options.containment * self._unit_lengths[owners])
        self.formulas: Array = np.unique(owners[common & enough])
        chosen = np.flatnonzero(enough & ~common)
        self._whole_lengths, self._whole_owners = lengths[chosen], owners[chosen]
        self._whole_hashes = spans[chosen]
        openings = _ngrams(hashes, self.options.min_words)[first[chosen]]
        return _Table(openings, np.arange(len(chosen)))

    def hits(self, article: Article) -> list[Hit]:
        """The units in the kept paragraphs of an article; a unit may begin in one and end in the next."""
        kept = np.fromiter((paragraph.drop is None for paragraph in article.paragraphs), np.bool_)
        if article.drop is not None or not kept.any():
            return []
        text = tokens.of(article)
        words = folded(text.codes)
        bounds = np.searchsorted(words.starts, text.offsets)
        if not kept.all():
            still = np.repeat(kept, np.diff(bounds))
            words = Words(*(array[still] for array in words))
            bounds = np.searchsorted(words.starts, text.offsets)
        found: dict[tuple[int, int], Hit] = {}
        for hit in (*self._whole(words, bounds, text.codes), *self._common(words, bounds)):
            found.setdefault((hit.paragraph, hit.unit), hit)
        return list(found.values())

    def _whole(self, words: Words, bounds: Array, codes: Array) -> Iterator[Hit]:
        """Short units, or the better part of them, that stand in the text as sentences of their own."""
        first, found = self._openings.find(_ngrams(words.hashes, self.options.min_words))
        if not len(first):
            return
        last = first + self._whole_lengths[found]
        fits = np.flatnonzero(last <= len(words.hashes))
        first, last, found = first[fits], last[fits], found[fits]
        same = Spans(words.hashes).hashes(first, last) == self._whole_hashes[found]
        for start, end, number in zip(*(array[same].tolist() for array in (first, last, found)), strict=True):
            if _parted(words, codes, start) and _parted(words, codes, end):
                unit = int(self._whole_owners[number])
                share = (end - start) / int(self._unit_lengths[unit])
                begins, finishes = (np.searchsorted(bounds, [start, end - 1], "right") - 1).tolist()
                for paragraph in range(begins, finishes + 1):
                    inside = min(end, bounds[paragraph + 1]) - max(start, bounds[paragraph])
                    if inside >= min((end - start) / 2, self.options.min_words):
                        yield Hit(paragraph, unit, share, "the unit")

    def _common(self, words: Words, bounds: Array) -> Iterator[Hit]:
        """Sentences, units and paragraphs of which enough is made of n-grams held in common."""
        first, theirs = self._ngrams.find(_ngrams(words.hashes, self.options.ngram))
        if len(first) * self.options.ngram < self.options.min_overlap:
            return
        within = np.arange(self.options.ngram)
        # Each word of the article with the word of a test set that it is the same as, once.
        pairs = np.unique(((first[:, None] + within) << 32 | (theirs[:, None] + within)).ravel())
        ours, theirs = pairs >> 32, pairs & 0xFFFFFFFF
        sentences = np.searchsorted(self._bounds, theirs, "right") - 1
        units = self._owners[sentences]
        for parts, lengths, owners, of in (
            (sentences, self._lengths, self._owners, "a sentence"),
            (units, self._unit_lengths, np.arange(len(self.units)), "the unit"),
        ):
            held, counts = np.unique(np.unique(parts << 32 | theirs) >> 32, return_counts=True)
            enough = self._enough(counts, lengths[held])
            share = dict(zip(held[enough].tolist(), (counts / lengths[held])[enough].tolist(), strict=True))
            chosen = np.isin(parts, held[enough])
            for part, paragraph, count in _counted(parts[chosen], ours[chosen], bounds):
                if count >= self.options.min_words:
                    yield Hit(paragraph, int(owners[part]), share[part], of)
        lengths = np.diff(bounds)
        for unit, paragraph, count in _counted(units, ours, bounds):
            if self._enough(count, lengths[paragraph]):
                yield Hit(paragraph, unit, count / int(lengths[paragraph]), "the paragraph")

    def _enough(self, counts: Any, lengths: Any) -> Any:
        """Whether so many words in common are enough of a stretch of so many."""
        return counts >= np.maximum(self.options.min_overlap, self.options.containment * lengths)


def _cut(text: str) -> Iterator[str]:
    text = _DECIMAL.sub(r"\1", text)
    start = 0
    for end in sentence_ends(text):
        yield text[start:end]
        start = end
    yield text[start:]


def _parted(words: Words, codes: Array, place: int) -> bool:
    """Whether a sentence may end before the word at this place, or begin with it."""
    if place in (0, len(words.starts)):
        return True
    return not _MARKS.isdisjoint(codes[words.ends[place - 1] : words.starts[place]].tolist())


def _counted(parts: Array, ours: Array, bounds: Array) -> Iterator[tuple[int, int, int]]:
    """How many words of each part stand in each paragraph, where any does: part, paragraph, words."""
    words = np.unique(parts << 32 | ours)
    paragraphs = np.searchsorted(bounds, words & 0xFFFFFFFF, "right") - 1
    pairs, counts = np.unique(words >> 32 << 32 | paragraphs, return_counts=True)
    yield from zip((pairs >> 32).tolist(), (pairs & 0xFFFFFFFF).tolist(), counts.tolist(), strict=True)


class DecontaminateStep(ArticleStep):
    """Set aside the paragraphs that hold units of a test set; the reason is the test set's name.

    An article's title is looked at where it is a paragraph. The column ``title`` stays: it is metadata, by which
    the article is cited and found again, and no text to train on.

    Args:
        report: a folder. Each task writes there what it found, whole or not at all; :func:`report` adds up.
        options: as in :class:`DecontaminateOptions`.

    Raises:
        corpuskit.dedup.testsets.TestSetError: a test set cannot be read (when the first article comes).
    """

    name = "Decontaminate"
    stage = "contamination"
    Options: ClassVar[type[StepOptions]] = DecontaminateOptions

    def __init__(self, report: str | Path | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.report = None if report is None else Path(report)
        self._found = _Found()

    def process(self, article: Article) -> None:
        if not self.options.tests:
            return
        index = self.index()
        for hit in index.hits(article):
            test, unit = index.tests[index.test[hit.unit]], index.units[hit.unit]
            paragraph = article.paragraphs[hit.paragraph]
            self._found.hits[test] += 1
            self._found.seen[test][unit.name] += 1
            if paragraph.drop is None:
                self._found.paragraphs[test] += 1
                paragraph.mark(self.stage, test, f"{unit.name}: {hit.share:.0%} of {hit.of}")

    def index(self) -> Index:
        """The index of the test sets, loaded once a process."""
        return _index(self.options.model_dump_json())

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        return cast(DocumentsPipeline, self._reported(super().run(data, rank, world_size), rank))

    def _reported(self, documents: DocumentsPipeline, rank: int) -> Iterator[Document]:
        self._found = _Found()
        yield from documents
        if self.report is not None:
            self.report.mkdir(parents=True, exist_ok=True)
            runs.write_json(self.report / f"{rank:05d}.json", self._told())

    def _told(self) -> dict[str, Any]:
        if not self.options.tests:
            return {}
        index, found = self.index(), self._found
        return {
            test: {
                "units": int(np.count_nonzero(index.test == number)),
                "short": int(np.count_nonzero(index.test[index.short] == number)),
                "formulas": int(np.count_nonzero(index.test[index.formulas] == number)),
                "seen": found.seen[test],
                "hits": found.hits[test],
                "paragraphs": found.paragraphs[test],
            }
            for number, test in enumerate(index.tests)
        }


_COUNTS = ("units", "short", "formulas", "seen", "hits", "paragraphs")


class _Found:
    """What a task has found, by test set."""

    def __init__(self) -> None:
        self.seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.hits, self.paragraphs = Counter[str](), Counter[str]()


def report(folder: str | Path) -> dict[str, dict[str, Any]]:
    """Add up what the tasks of a run found.

    Args:
        folder: the ``report`` of their :class:`DecontaminateStep`.

    Returns:
        By test set: ``units`` it has; those too ``short`` to be looked for, and ``formulas``, which were not
        looked for as a whole; units
        ``seen`` in the corpus; ``hits`` (a unit in a paragraph); ``paragraphs`` set aside; and
        ``most_frequent``, the ten units with the most hits, with their number.
    """
    total: dict[str, dict[str, Any]] = {}
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for path in sorted(Path(folder).glob("*.json")):
        for test, told in orjson.loads(path.read_bytes()).items():
            counts = total.setdefault(test, dict.fromkeys(_COUNTS, 0))
            seen[test].update(told["seen"])
            counts |= {name: told[name] for name in ("units", "short", "formulas")}
            for name in ("hits", "paragraphs"):
                counts[name] += told[name]
    for test, counts in total.items():
        ranked = sorted(seen[test].items(), key=lambda item: (-item[1], item[0]))
        counts |= {"seen": len(ranked), "most_frequent": dict(ranked[:10])}
    return total


@lru_cache(maxsize=4)
def _index(options: str) -> Index:
    """The index of test sets, loaded once a process."""
    chosen = DecontaminateOptions.model_validate_json(options)
    return Index([testsets.load(test.name, test.path) for test in chosen.tests], chosen)
