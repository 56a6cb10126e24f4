"""The rules of Gopher for whole documents, decided as datatrove decides them, for comparable corpora.

The rules are those of Rae et al. 2021 (https://arxiv.org/abs/2112.11446, appendix A1.1 and table A1) as
datatrove's ``GopherQualityFilter`` and ``GopherRepetitionFilter`` read them, in their order and with their
names. Given the words of :func:`corpuskit.clean.words.words`, each document is kept or dropped as it would be
there, for the same reason; the paragraphs of a corpus are better judged by :mod:`corpuskit.clean.quality` and
:mod:`corpuskit.clean.repetition`, made for them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from datatrove.utils.text import PUNCTUATION_SET
from pydantic import Field, PositiveInt

from corpuskit.clean.quality import Verdict
from corpuskit.clean.repetition import duplicate_characters, repeats, top_ngram
from corpuskit.clean.tokens import Tokens, of
from corpuskit.clean.words import each_word, words
from corpuskit.records import Article
from corpuskit.steps import ArticleStep, StepOptions

Array = npt.NDArray[Any]
Limits = tuple[tuple[PositiveInt, float], ...]

#: FineWeb-2's for French (Penedo et al. 2025, https://arxiv.org/abs/2506.20920), an elision being a word here.
STOP_WORDS = (
    *("de", "la", "le", "et", "à", "en", "l", "des", "du"),
    *("les", "est", "d", "un", "une", "il", "dans", "par", "au"),
)
#: How FineWeb-2 sets these rules for French, as options of :class:`GopherStep`.
FINEWEB_2: dict[str, Any] = {
    "min_avg_word_length": 2,
    "max_avg_word_length": 11,
    "max_non_alpha_words_ratio": 0.812,
    "dup_line_frac": 0.264,
    "dup_para_frac": 0,
    "dup_line_char_frac": 0,
    "dup_para_char_frac": 0,
    "top_n_grams": ((2, 0.161), (3, 0.149), (4, 0.134)),
    "dup_n_grams": ((5, 0.15), (6, 0.141), (7, 0.131), (8, 0.121), (9, 0.111), (10, 0.1)),
}

# Written so that the engine looks for the line breaks they begin with.
_PARAGRAPH_BREAK, _LINE_BREAK = re.compile(r"\n\n+"), re.compile(r"\n\n*")
_ELLIPSES = "...", "…"
#: What is a letter or digit to the tokenizer and punctuation to datatrove (the full-width digit one).
_AMBIGUOUS = [character for character in sorted(PUNCTUATION_SET) if character.isalnum()]


class GopherOptions(StepOptions):
    """Settings of :class:`GopherStep`: names and defaults are datatrove's, but for the stop words; 0 or null is off."""

    min_doc_words: int | None = Field(50, ge=0, description="fewest words")
    max_doc_words: int | None = Field(100_000, ge=0, description="most words")
    min_avg_word_length: float | None = Field(3, ge=0, description="lowest mean word length, in characters")
    max_avg_word_length: float | None = Field(10, ge=0, description="highest mean word length, in characters")
    max_symbol_word_ratio: float | None = Field(0.1, ge=0, description="most hashes, and most ellipses, a word")
    max_bullet_lines_ratio: float | None = Field(0.9, ge=0, description="highest share of lines that begin a list item")
    max_ellipsis_lines_ratio: float | None = Field(0.3, ge=0, description="highest share of lines that trail off (…)")
    max_non_alpha_words_ratio: float | None = Field(
        0.8, ge=0, description="lowest share of words that hold a letter (the name is datatrove's)"
    )
    min_stop_words: int | None = Field(2, ge=0, description="fewest different stop words")
    stop_words: tuple[str, ...] = Field(STOP_WORDS, description="function words, as they are written in a sentence")
    dup_line_frac: float | None = Field(0.3, ge=0, description="highest share of lines that were there before")
    dup_para_frac: float | None = Field(0.3, ge=0, description="the same for paragraphs, parted by blank lines")
    dup_line_char_frac: float | None = Field(0.2, ge=0, description="highest share of characters in such lines")
    dup_para_char_frac: float | None = Field(0.2, ge=0, description="highest share of characters in such paragraphs")
    top_n_grams: Limits = Field(
        ((2, 0.2), (3, 0.18), (4, 0.16)),
        description="n, and the highest share of the most frequent n-gram's characters",
    )
    dup_n_grams: Limits = Field(
        ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)),
        description="n, and the highest share of the characters in n-grams that were there before",
    )


@dataclass(frozen=True, slots=True)
class Text:
    """A document and its words."""

    text: str
    tokens: Tokens

    @classmethod
    def of(cls, article: Article) -> Text:
        """The kept paragraphs of an article, a blank line between two of them."""
        kept = [paragraph.text for paragraph in article.kept()]
        return cls("\n\n".join(kept), of(article) if len(kept) == len(article.paragraphs) else Tokens(kept))


class GopherStep(ArticleStep):
    """Set aside the articles that Gopher's rules would not have in a corpus, with datatrove's reasons.

    All kept paragraphs of an article are one document. FineWeb-2's thresholds for French::

        GopherStep(**FINEWEB_2)
    """

    name = "Gopher"
    stage = "gopher"
    Options: ClassVar[type[StepOptions]] = GopherOptions

    def process(self, article: Article) -> None:
        if next(article.kept(), None) is None:
            return
        text = Text.of(article)
        for rules in (self.quality, self.repetition):
            if broken := next(rules(text), None):
                article.mark(self.stage, broken.reason, broken.detail)
                return

    def quality(self, text: Text) -> Iterator[Verdict]:
        """The rules on quality that a document breaks, in datatrove's order. One without words is too short."""
        options: GopherOptions = self.options
        lengths = text.tokens.lengths
        total = len(lengths)
        if any(character in text.text for character in _AMBIGUOUS):
            lengths = np.array(
                [len(word) for word in words(text.text) if not PUNCTUATION_SET.issuperset(word)], np.int64
            )
        fewest = options.min_doc_words or (0 if total else 1)
        if len(lengths) < fewest:
            yield Verdict("gopher_short_doc", len(lengths), fewest)
        if not total:
            return
        if options.max_doc_words and len(lengths) > options.max_doc_words:
            yield Verdict("gopher_long_doc", len(lengths), options.max_doc_words)
        mean = int(lengths.sum()) / len(lengths) if len(lengths) else math.nan
        if options.min_avg_word_length and mean < options.min_avg_word_length:
            yield Verdict("gopher_below_avg_threshold", mean, options.min_avg_word_length)
        if options.max_avg_word_length and mean > options.max_avg_word_length:
            yield Verdict("gopher_above_avg_threshold", mean, options.max_avg_word_length)
        for reason, marks in (("gopher_too_many_hashes", ("#",)), ("gopher_too_many_ellipsis", _ELLIPSES)):
            ratio = sum(map(text.text.count, marks)) / total
            if options.max_symbol_word_ratio and ratio > options.max_symbol_word_ratio:
                yield Verdict(reason, ratio, options.max_symbol_word_ratio)
        lines = text.text.splitlines()
        bullets = sum(line.lstrip().startswith(("•", "-")) for line in lines) / len(lines)
        if options.max_bullet_lines_ratio and bullets > options.max_bullet_lines_ratio:
            yield Verdict("gopher_too_many_bullets", bullets, options.max_bullet_lines_ratio)
        ends = sum(line.rstrip().endswith(_ELLIPSES) for line in lines) / len(lines)
        if options.max_ellipsis_lines_ratio and ends > options.max_ellipsis_lines_ratio:
            yield Verdict("gopher_too_many_end_ellipsis", ends, options.max_ellipsis_lines_ratio)
        alpha = int(np.count_nonzero(text.tokens.lettered)) / total
        if options.max_non_alpha_words_ratio and alpha < options.max_non_alpha_words_ratio:
            yield Verdict("gopher_below_alpha_threshold", alpha, options.max_non_alpha_words_ratio)
        if options.min_stop_words:
            found = _different(each_word(text.text), set(options.stop_words), options.min_stop_words)
            if found < options.min_stop_words:
                yield Verdict("gopher_enough_stop_words", found, options.min_stop_words)

    def repetition(self, text: Text) -> Iterator[Verdict]:
        """The rules on repetition that a document breaks, in datatrove's order."""
        options: GopherOptions = self.options
        characters = len(text.text)
        if not characters:
            yield Verdict("empty", 0, 1)
            return
        for unit, parts, most, most_characters in (
            ("para", _PARAGRAPH_BREAK.split(text.text.strip()), options.dup_para_frac, options.dup_para_char_frac),
            ("line", _LINE_BREAK.split(text.text), options.dup_line_frac, options.dup_line_char_frac),
        ):
            copies = _copies(parts)
            if most and len(copies) / len(parts) > most:
                yield Verdict(f"dup_{unit}_frac", len(copies) / len(parts), most)
            share = sum(map(len, copies)) / characters
            if most_characters and share > most_characters:
                yield Verdict(f"dup_{unit}_char_frac", share, most_characters)
        top, dup = ({n for n, _ in limits} for limits in (options.top_n_grams, options.dup_n_grams))
        bounds = repeats(text.tokens, np.array([0, len(text.tokens)]), top, dup)
        found: list[str] = []
        for n, limit in options.top_n_grams:
            if bounds.top[n][0] / characters > limit:
                found = found or words(text.text)
                count, length = top_ngram(found, n)
                if count * length / characters > limit:
                    yield Verdict(f"top_{n}_gram", count * length / characters, limit)
        for n, limit in options.dup_n_grams:
            if bounds.duplicates[n][0] / characters > limit:
                found = found or words(text.text)
                share = duplicate_characters(found, n) / characters
                if share > limit:
                    yield Verdict(f"duplicated_{n}_n_grams", share, limit)


def _copies(parts: Sequence[str]) -> list[str]:
    """The parts that were there before."""
    seen: set[str] = set()
    copies = []
    for part in parts:
        if part in seen:
            copies.append(part)
        seen.add(part)
    return copies


def _different(found: Iterable[str], wanted: set[str], enough: int) -> int:
    """How many of the wanted words are found; counting stops where there are enough."""
    seen: set[str] = set()
    for word in found:
        if word in wanted:
            seen.add(word)
            if len(seen) >= enough:
                break
    return len(seen)
