"""Repetition: paragraphs that say one thing over and over, and articles that repeat their paragraphs.

The n-gram rules are those of Gopher (Rae et al. 2021, https://arxiv.org/abs/2112.11446, table A1),
applied to a paragraph instead of a web page. With ``min_count=1`` and the same words they decide as
datatrove's ``GopherRepetitionFilter`` does (:mod:`corpuskit.clean.gopher` judges whole documents); but
what does not repeat itself, that is nearly everything, is let through after a few array operations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveInt

from corpuskit.clean.quality import Verdict
from corpuskit.clean.tokens import Tokens, of
from corpuskit.clean.words import words
from corpuskit.records import Article, Paragraph
from corpuskit.steps import ArticleStep, StepOptions

Array = npt.NDArray[Any]

#: Places in a table of n-grams for each of them: hardly two different ones share a place.
_PLACES = 8
#: Letters that are rarely said again by chance.
_LETTERS = 14
#: N-grams looked at together.
_BATCH = 1 << 18
_SALT = np.uint64(0xA24BAED4963EE407)
#: Length of the n-grams behind the ``repetition`` column.
SIGNAL = 5


class RepetitionOptions(StepOptions):
    """Settings of :class:`RepetitionStep`.

    Gopher's limits on n-grams (0.20, 0.18, 0.16 and 0.15 to 0.10), made for whole web pages, would drop
    1 % of French medical abstracts; those of a paragraph are up to twice as high.
    """

    min_words: int = Field(default=30, ge=1, description="words from which a paragraph is judged by its n-grams")
    min_count: int = Field(default=3, ge=1, description="times that the most frequent n-gram must occur to be judged")
    max_top_ngram: dict[PositiveInt, float] = Field(
        default={2: 0.25, 3: 0.25, 4: 0.25},
        description="highest share of the characters in the most frequent n-gram, by n",
    )
    max_duplicate_ngrams: dict[PositiveInt, float] = Field(
        default={5: 0.30, 6: 0.28, 7: 0.26, 8: 0.24, 9: 0.22, 10: 0.20},
        description="highest share of the characters in n-grams that the paragraph has used before, by n",
    )
    max_repeated_paragraphs: float = Field(
        default=0.30, ge=0, le=1, description="share of repeats over which an article loses its short repeats as well"
    )
    max_repeated_characters: float = Field(
        default=0.20, ge=0, le=1, description="the same, as the share of characters in repeated paragraphs"
    )


class RepetitionStep(ArticleStep):
    """Set aside paragraphs that repeat themselves, and the second and later copies of a paragraph.

    A copy of at least ``min_words`` words always goes. A shorter one ("Aucune.", a heading) goes where
    repeats make up too much of the article, by Gopher's limits on duplicate paragraphs.
    """

    name = "Repetition"
    stage = "repetition"
    Options: ClassVar[type[StepOptions]] = RepetitionOptions

    def process(self, article: Article) -> None:
        options: RepetitionOptions = self.options
        tokens = of(article)
        counts = tokens.counts.tolist()
        self._mark_copies(article, counts)
        sizes = {SIGNAL, *options.max_duplicate_ngrams}
        repeated = repeats(tokens, tokens.bounds, options.max_top_ngram, sizes)
        signal = (repeated.duplicates[SIGNAL] / np.maximum(repeated.characters, 1)).tolist()
        suspect = self.suspects(repeated, np.maximum(tokens.offsets[1:] - tokens.offsets[:-1] - 1, 1)).tolist()
        for at, paragraph in enumerate(article.paragraphs):
            if paragraph.drop is not None or article.drop is not None:
                continue
            paragraph.repetition = signal[at]
            if suspect[at] and counts[at] >= options.min_words:
                broken = next(self.broken_rules(words(paragraph.text), len(paragraph.text)), None)
                if broken:
                    paragraph.mark(self.stage, broken.reason, broken.detail)

    def _mark_copies(self, article: Article, counts: Sequence[int]) -> None:
        options: RepetitionOptions = self.options
        paragraphs = list(article.kept())
        seen: dict[str, Paragraph] = {}
        copies = [paragraph for paragraph in paragraphs if seen.setdefault(paragraph.text, paragraph) is not paragraph]
        if not copies:
            return
        characters = sum(len(paragraph.text) for paragraph in paragraphs)
        repetitive = (
            len(copies) > options.max_repeated_paragraphs * len(paragraphs)
            or sum(len(copy.text) for copy in copies) > options.max_repeated_characters * characters
        )
        words_of = {id(paragraph): count for paragraph, count in zip(article.paragraphs, counts, strict=True)}
        for copy in copies:
            if repetitive or words_of[id(copy)] >= options.min_words:
                copy.mark(self.stage, "repeated_paragraph", f"as {seen[copy.text].path or 'before'}")

    def suspects(self, repeated: Repeats, characters: Array) -> Array:
        """Whether a text of so many characters may break a rule, shape (texts,)."""
        suspect = np.zeros(len(characters), np.bool_)
        for n, limit in self.options.max_top_ngram.items():
            suspect |= repeated.top[n] / characters > limit
        for n, limit in self.options.max_duplicate_ngrams.items():
            suspect |= repeated.duplicates[n] / characters > limit
        return suspect

    def broken_rules(self, tokens: Sequence[str], characters: int) -> Iterator[Verdict]:
        """The n-gram rules that the words of a text of so many characters break, shortest n first."""
        options: RepetitionOptions = self.options
        most = len(tokens)
        for n, limit in sorted(options.max_top_ngram.items()):
            if most < options.min_count:
                break  # a longer n-gram is no more frequent
            most, length = top_ngram(tokens, n)
            if most >= options.min_count and most * length / characters > limit:
                yield Verdict(f"top_{n}_gram", most * length / characters, limit)
        for n, limit in sorted(options.max_duplicate_ngrams.items()):
            share = duplicate_characters(tokens, n) / characters
            if share > limit:
                yield Verdict(f"duplicate_{n}_grams", share, limit)


def top_ngram(tokens: Sequence[str], n: int) -> tuple[int, int]:
    """How often the most frequent n-gram occurs, and its length with single spaces; the first wins a tie."""
    counts = Counter(zip(*(tokens[start:] for start in range(n)), strict=False))
    if not counts:
        return 0, 0
    ngram, count = max(counts.items(), key=itemgetter(1))
    return count, sum(map(len, ngram)) + n - 1


def duplicate_characters(tokens: Sequence[str], n: int) -> int:
    """Characters in n-grams seen before, read from left to right; one that was counted is skipped as a whole."""
    seen: set[str] = set()
    total = at = 0
    while at <= len(tokens) - n:
        ngram = "".join(tokens[at : at + n])
        if ngram in seen:
            total += len(ngram)
            at += n
        else:
            seen.add(ngram)
            at += 1
    return total


@dataclass(frozen=True, slots=True)
class Repeats:
    """How much texts repeat their n-grams: bounds that the exact counts never exceed."""

    #: Characters of all words of each text, shape (texts,).
    characters: Array
    #: For each n, characters that the most frequent n-gram takes up, with single spaces, shape (texts,).
    top: dict[int, Array]
    #: For each n, characters covered by n-grams that the text has used before, shape (texts,).
    duplicates: dict[int, Array]


def repeats(tokens: Tokens, bounds: Array, top: Iterable[int], duplicates: Iterable[int]) -> Repeats:
    """Bound :func:`top_ngram` and :func:`duplicate_characters` for many texts at once.

    N-grams are compared by the hash of their letters in lower case: some that differ may be taken for
    equal, none that are equal for different.

    Args:
        tokens: of the texts.
        bounds: the words of text *i* are ``bounds[i]:bounds[i + 1]``, shape (texts + 1,).
        top: every n whose most frequent n-gram is of interest.
        duplicates: every n whose repeated n-grams are.
    """
    words = _Words(tokens, bounds)
    ns = sorted(duplicates)
    covered: Any = words.covered(np.array(ns, np.int64)) if ns else []
    edges = tokens.edges[bounds]
    return Repeats(edges[1:] - edges[:-1], words.most_frequent(sorted(top)), dict(zip(ns, covered, strict=True)))


class _Words:
    """The words of texts, for :func:`repeats`."""

    def __init__(self, tokens: Tokens, bounds: Array) -> None:
        counts = bounds[1:] - bounds[:-1]
        self.count, self.texts = len(tokens), len(counts)
        self.edges, self.letters = tokens.edges, tokens.letters
        self.first = np.arange(self.count)
        #: The text of each word, and the word at which that text ends.
        self.owners, self.stops = np.repeat(np.arange(self.texts), counts), np.repeat(bounds[1:], counts)
        self.some, self.starts = counts > 0, bounds[:-1][counts > 0]

    def keys(self, words: Array, ends: Array) -> Array:
        """Hashes of the stretches of letters from these words on, different ones in different texts."""
        keys = self.letters.hashes(self.edges[words], ends)
        if self.texts > 1:
            keys += self.owners[words].astype(np.uint64) * _SALT
        return keys

    def most_frequent(self, ns: Sequence[int]) -> dict[int, Array]:
        """Characters in the most frequent n-gram, at most: it occurs no more often than its beginning."""
        found = {n: np.zeros(self.texts, np.int64) for n in ns}
        if not (ns and self.count):
            return found
        last = np.minimum(self.first + ns[0], self.stops)
        # What is equal falls into one place of a table.
        bits = (_PLACES * self.count).bit_length()
        places = (self.keys(self.first, self.edges[last]) >> np.uint64(64 - bits)).view(np.int64)
        times = np.bincount(places, minlength=1 << bits).take(places)
        for n in ns:
            last = np.minimum(self.first + n, self.stops)
            characters = (self.edges[last] - self.edges[:-1] + (n - 1)) * times
            found[n][self.some] = np.maximum.reduceat(characters, self.starts)
        return found

    def covered(self, ns: Array) -> Array:
        """Characters inside n-grams used before, shape (n, texts)."""
        found = np.zeros((len(ns), self.texts), np.int64)
        candidates = self._candidates(int(ns[0]))
        batch = max(1, _BATCH // max(1, len(candidates)))
        for start in range(0, len(ns) if len(candidates) else 0, batch):
            found[start : start + batch] = self._covered(candidates, ns[start : start + batch])
        return found

    def _candidates(self, n: int) -> Array:
        """The words from which n or more may be a repetition, or be repeated.

        Those whose first letters are repeated, and those from which n words have too few letters to say.
        """
        if not self.count:
            return self.first
        nearby = self.edges[:-1] + _LETTERS
        chosen = self.edges[np.minimum(self.first + n, self.stops)] < nearby
        nearby = np.minimum(nearby, self.edges[self.stops])
        ranked, low = _ranked(self.keys(self.first, nearby), self.first)
        again = (ranked[1:] ^ ranked[:-1]) <= low
        places = (ranked & low).view(np.int64)
        chosen[places[1:][again]] = True
        chosen[places[:-1][again]] = True
        return np.flatnonzero(chosen)

    def _covered(self, candidates: Array, ns: Array) -> Array:
        rows = np.arange(len(ns))[:, None]
        last = candidates + ns[:, None]
        whole = np.flatnonzero(last <= self.stops[candidates])
        row, at = np.divmod(whole, len(candidates))
        at, last = candidates[at], last.ravel()[whole]
        keys = self.keys(at, self.edges[last]) + row.astype(np.uint64) * _SALT
        ranked, low = _ranked(keys, np.arange(len(keys)))
        later = np.sort((ranked[1:] & low)[(ranked[1:] ^ ranked[:-1]) <= low]).view(np.int64)
        # The stretches are in order, row by row: each adds what the one before it did not cover.
        row, at, last = row[later], at[later], last[later]
        above = row * self.edges[-1]
        start, end = self.edges[at] + above, self.edges[last] + above
        start[1:] = np.maximum(start[1:], end[:-1])
        places = row * self.texts + self.owners[at]
        covered = np.bincount(places, end - start, len(rows) * self.texts)
        return covered.astype(np.int64).reshape(len(ns), self.texts)


def _ranked(keys: Array, places: Array) -> tuple[Array, np.uint64]:
    """Keys in order, their lowest bits replaced by their places, and the mask of those bits."""
    low = np.uint64((1 << len(keys).bit_length()) - 1)
    ranked = keys & ~low
    ranked |= places.view(np.uint64)
    ranked.sort()
    return ranked, low
