"""Repetition: paragraphs that say one thing over and over, and articles that repeat their paragraphs.

The n-gram rules are those of Gopher (Rae et al. 2021, https://arxiv.org/abs/2112.11446, table A1),
applied to a paragraph instead of a web page. With ``min_count=1`` and the same words they decide as
datatrove's ``GopherRepetitionFilter`` does; but a paragraph that does not repeat itself, that is
nearly every one, is let through after a few array operations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveInt

from corpuskit.clean.spans import Spans
from corpuskit.clean.words import words
from corpuskit.records import Article, Paragraph
from corpuskit.steps import ArticleStep, StepOptions

Array = npt.NDArray[Any]

_NONE = np.zeros(0, np.int64)
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


class Verdict(NamedTuple):
    """A rule that a paragraph breaks: its name, the share found, the limit."""

    reason: str
    share: float
    limit: float

    @property
    def detail(self) -> str:
        return f"{self.share:.3g} is over {self.limit:g}"


class RepetitionStep(ArticleStep):
    """Set aside paragraphs that repeat themselves, and the second and later copies of a paragraph.

    A copy of at least ``min_words`` words always goes. A shorter one ("Aucune.", a heading) goes where
    repeats make up too much of the article, by Gopher's limits on duplicate paragraphs.
    """

    name = "Repetition"
    stage = "repetition"
    Options: ClassVar[type[StepOptions]] = RepetitionOptions

    def process(self, article: Article) -> None:
        self._mark_copies(list(article.kept()))
        for paragraph in article.kept():
            tokens = words(paragraph.text)
            repeats = Repeats(tokens, min(SIGNAL, *self.options.max_duplicate_ngrams))
            paragraph.repetition = repeats.share(SIGNAL)
            if broken := next(self.broken_rules(tokens, repeats, len(paragraph.text)), None):
                paragraph.mark(self.stage, broken.reason, broken.detail)

    def _mark_copies(self, paragraphs: Sequence[Paragraph]) -> None:
        options: RepetitionOptions = self.options
        seen: dict[str, Paragraph] = {}
        copies = [paragraph for paragraph in paragraphs if seen.setdefault(paragraph.text, paragraph) is not paragraph]
        if not copies:
            return
        characters = sum(len(paragraph.text) for paragraph in paragraphs)
        repetitive = (
            len(copies) > options.max_repeated_paragraphs * len(paragraphs)
            or sum(len(copy.text) for copy in copies) > options.max_repeated_characters * characters
        )
        for copy in copies:
            if repetitive or len(words(copy.text)) >= options.min_words:
                copy.mark(self.stage, "repeated_paragraph", f"as {seen[copy.text].path or 'before'}")

    def broken_rules(self, tokens: Sequence[str], repeats: Repeats, characters: int) -> Iterator[Verdict]:
        """The n-gram rules that the words of a text of so many characters break, shortest n first."""
        options: RepetitionOptions = self.options
        if len(tokens) < options.min_words:
            return
        most = len(tokens)
        for n, limit in sorted(options.max_top_ngram.items()):
            if most < options.min_count:
                break  # a longer n-gram is no more frequent
            most, length = top_ngram(tokens, n)
            if most >= options.min_count and most * length / characters > limit:
                yield Verdict(f"top_{n}_gram", most * length / characters, limit)
        for n, limit in sorted(options.max_duplicate_ngrams.items()):
            if repeats.characters(n) / characters > limit:
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


class Repeats:
    """Where a text repeats its n-grams, for every n from ``shortest`` on.

    Args:
        tokens: the words, none of them empty.
        shortest: the least n that will be asked for.
    """

    def __init__(self, tokens: Sequence[str], shortest: int) -> None:
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
        self._last = lengths.cumsum()
        self._first = self._last - lengths
        codes = np.frombuffer("".join(tokens).encode("utf-32-le", "surrogatepass"), np.uint32)
        self._length = len(codes)
        self._spans = Spans(codes)
        self._candidates = self._starts_of_repeats(shortest)

    def _starts_of_repeats(self, n: int) -> Array:
        """The words at which a repeated n-gram, or a longer one, may start."""
        ngrams = len(self._first) - n + 1
        if ngrams < 2:
            return _NONE
        # Two equal n-grams agree in as many characters as the shortest n-gram has.
        least = int((self._last[n - 1 :] - self._first[:ngrams]).min())
        hashes = self._spans.hashes(self._first[:ngrams], self._first[:ngrams] + least)
        ranked = np.sort(hashes)
        twice = set(ranked[1:][ranked[1:] == ranked[:-1]].tolist())
        return np.array([at for at, value in enumerate(hashes.tolist()) if value in twice]) if twice else _NONE

    def characters(self, n: int) -> int:
        """Characters covered by n-grams used before: never less than :func:`duplicate_characters`."""
        starts = self._candidates[self._candidates <= len(self._first) - n]
        if len(starts) < 2:
            return 0
        first, last = self._first[starts], self._last[starts + n - 1]
        hashes = self._spans.hashes(first, last)
        if len(set(hashes.tolist())) == len(hashes):
            return 0
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        later = np.sort(order[1:][hashes[1:] == hashes[:-1]])
        first, last = first[later], last[later]
        # The stretches are in order: each adds what the one before it did not cover.
        return int((last - np.maximum(first, np.concatenate(([0], last[:-1])))).sum())

    def share(self, n: int) -> float:
        """The same as a share of the characters of all words."""
        return self.characters(n) / self._length if self._length else 0.0
