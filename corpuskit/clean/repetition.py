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
from corpuskit.clean.spans import Spans
from corpuskit.clean.tokens import of
from corpuskit.clean.words import words
from corpuskit.records import Article, Paragraph
from corpuskit.steps import ArticleStep, StepOptions

Array = npt.NDArray[Any]

#: Places in a table of n-grams for each of them: hardly two different ones share a place.
_PLACES = 8
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
        counts = np.diff(tokens.bounds).tolist()
        self._mark_copies(article, counts)
        sizes = {SIGNAL, *options.max_top_ngram, *options.max_duplicate_ngrams}
        repeated = repeats(tokens.hashes, tokens.lengths, tokens.bounds, sizes)
        signal = (repeated.duplicates[SIGNAL] / np.maximum(repeated.characters, 1)).tolist()
        suspect = self.suspects(repeated, np.maximum(np.diff(tokens.offsets) - 1, 1)).tolist()
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


def repeats(hashes: Array, lengths: Array, bounds: Array, sizes: Iterable[int]) -> Repeats:
    """Bound :func:`top_ngram` and :func:`duplicate_characters` for many texts at once.

    N-grams are compared by the hash of their letters, whatever words these make and in whatever case: some
    that differ may be taken for equal, none that are equal for different.

    Args:
        hashes: of the words, as :attr:`Tokens.hashes` has them, shape (words,).
        lengths: characters of each word, shape (words,).
        bounds: the words of text *i* are ``bounds[i]:bounds[i + 1]``, shape (texts + 1,).
        sizes: every n of interest.
    """
    ends = lengths.cumsum()
    edges = np.concatenate(([0], ends))
    spans = Spans(hashes, ends)
    ns = np.array(sorted(sizes), np.int64)
    found = Repeats(np.diff(edges[bounds]), {}, {})
    batch = max(1, _BATCH // max(1, len(hashes)))
    for start in range(0, len(ns), batch):
        some = ns[start : start + batch]
        top, duplicates = _bounded(spans, edges, bounds, some[:, None])
        found.top.update(zip(some.tolist(), top, strict=True))
        found.duplicates.update(zip(some.tolist(), duplicates, strict=True))
    return found


def _bounded(spans: Spans, edges: Array, bounds: Array, ns: Array) -> tuple[Array, Array]:
    """The two bounds for some n, one row each; words are known by the places of their first and last letter."""
    counts = np.diff(bounds)
    texts, words = len(counts), int(bounds[-1])
    if not words:
        return np.zeros((len(ns), texts), np.int64), np.zeros((len(ns), texts), np.int64)
    first = np.arange(words)
    owners, stops = np.repeat(np.arange(texts), counts), np.repeat(bounds[1:], counts)
    # Towards its end a text has n-grams that are too short: they are seen to below.
    last = np.minimum(first + ns, stops)
    keys = spans.hashes(first, last)
    if texts > 1:
        keys += owners.astype(np.uint64) * _SALT
    lengths = edges[last]
    lengths += ns - 1 - edges[:-1]

    # What may be equal falls into one place of a table; the most frequent n-gram is no larger than the fullest.
    bits = (_PLACES * words).bit_length()
    places = (keys >> np.uint64(64 - bits)).astype(np.int64)
    places += np.arange(len(ns))[:, None] << bits
    together = np.bincount(places.ravel(), lengths.ravel(), len(ns) << bits).take(places)
    top = np.zeros((len(ns), texts), np.int64)
    top[:, counts > 0] = np.maximum.reduceat(together, bounds[:-1][counts > 0], axis=1)

    # Only those are compared that are not alone there: sorted by hash, then by where they start.
    candidates = np.flatnonzero(together.ravel() > lengths.ravel())
    low = np.uint64((1 << keys.size.bit_length()) - 1)
    ranked = keys.ravel()[candidates] + (candidates // words).astype(np.uint64) * _SALT & ~low
    ranked |= candidates.astype(np.uint64)
    ranked.sort()
    later = np.sort((ranked[1:] & low)[(ranked[1:] ^ ranked[:-1]) <= low].astype(np.int64))
    row, at = np.divmod(later, words)
    whole = at + ns[row, 0] <= stops[at]
    row, at = row[whole], at[whole]
    # The stretches are in order, row by row: each adds what the one before it did not cover.
    above = row * edges[-1]
    start, end = edges[at] + above, edges[at + ns[row, 0]] + above
    start[1:] = np.maximum(start[1:], end[:-1])
    covered = np.bincount(row * texts + owners[at], end - start, len(ns) * texts)
    return top, covered.astype(np.int64).reshape(len(ns), texts)
