"""Quality heuristics after Gopher, C4 and FineWeb-2, for paragraphs of French biomedical articles.

The rules of Gopher (Rae et al. 2021, https://arxiv.org/abs/2112.11446, appendix A1.1), C4 (Raffel et
al. 2020) and FineWeb-2 (Penedo et al. 2025) judge whole web pages; these judge one paragraph of an
article, by thresholds set on French case reports, abstracts and encyclopaedia articles so that they
take out table rows, key words, affiliations and remains of formulas, and next to no prose.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from corpuskit.clean.tokens import Tokens, of, word_hashes
from corpuskit.records import Article, Kind, Paragraph
from corpuskit.steps import ArticleStep, StepOptions

Array = npt.NDArray[Any]

_FUNCTION_WORDS = """
le la les l un une des du de d au aux ce cet cette ces mon ma mes son sa ses notre nos votre vos leur leurs je j
tu il elle on nous vous ils elles me m te t se s lui eux y en c ça cela ceci celui celle ceux celles qui que qu
quoi dont où lequel laquelle lesquels lesquelles duquel auquel desquels à dans par pour sur sous avec sans entre
vers chez contre depuis pendant dès lors après avant devant derrière selon parmi malgré jusqu jusque hors outre
durant afin et ou mais donc or ni car si comme lorsque lorsqu quand puisque puis quoique parce ainsi alors ne n
pas plus moins non aucun aucune jamais rien tout tous toute toutes chaque plusieurs certains certaines même
mêmes autre autres tel telle tels telles très aussi bien peu trop encore déjà seulement soit enfin est sont
était étaient être été étant fut furent sera seront serait soient ont a avait avaient avoir eu ayant aura auront
aurait eut fait peut peuvent doit
"""
#: French function words: articles, pronouns, prepositions, conjunctions, negations, the commonest
#: adverbs, and the forms of "être" and "avoir" that scientific prose uses; elided ones without apostrophe.
STOPWORDS = frozenset(_FUNCTION_WORDS.split())
#: Kinds that are short by nature: fewer words will do, and function words and capitals are not looked at.
SHORT_KINDS: frozenset[Kind] = frozenset({"title", "caption", "list", "note", "front", "back", "reference", "table"})

_BULLETS = "•◦‣▪■□●○◆►▶➢➤✓✔·"
_PUNCTUATION = ".,;:!?…'’‘`\"“”„«»()[]-–—‐‑/%&*"
_SPACE, _LETTER, _CAPITAL, _DIGIT, _POINT, _BULLET, _SYMBOL = range(7)
_NO_LIMIT = math.inf
_ELLIPSIS = re.compile(r"…|\.{3,}|(?: \.){3,}")
_DOTS = re.compile(r"\.\.\.+")


class QualityOptions(StepOptions):
    """Settings of :class:`QualityStep`; the defaults are for French."""

    min_words: int = Field(default=5, ge=0, description="fewest words of a paragraph of running text")
    min_short_words: int = Field(default=2, ge=0, description="fewest words of a title, caption, list item or the like")
    judged_from: int = Field(
        default=10, ge=1, description="words from which word length, function words and capitals are judged"
    )
    min_word_length: float = Field(default=2.0, ge=0, description="lowest mean word length, in characters")
    max_word_length: float = Field(default=8.5, ge=0, description="highest mean word length, in characters")
    min_alpha_ratio: float = Field(default=0.6, ge=0, le=1, description="lowest share of words that hold a letter")
    min_stopword_ratio: float = Field(
        default=0.15, ge=0, le=1, description="lowest share of words that are French function words, in French text"
    )
    max_digits: float = Field(default=0.3, ge=0, le=1, description="highest share of characters that are digits")
    max_symbols: float = Field(
        default=0.06, ge=0, le=1, description="highest share of characters that are no letter, digit or punctuation"
    )
    max_punctuation: float = Field(default=0.3, ge=0, le=1, description="highest share of punctuation marks")
    max_upper_case: float = Field(default=0.5, ge=0, le=1, description="highest share of letters that are capitals")
    max_ellipses: float = Field(default=0.1, ge=0, description="most ellipses and leaders (...) a word")
    max_bullets: float = Field(default=0.1, ge=0, description="most bullets a word")


class Verdict(NamedTuple):
    """A rule that a text breaks: its name, the value found, the limit."""

    reason: str
    value: float
    limit: float

    @property
    def detail(self) -> str:
        relation = "under" if self.value < self.limit else "over"
        return f"{self.value:.3g} is {relation} {self.limit:g}"


class QualityStep(ArticleStep):
    """Measure every paragraph's words and set aside what is hardly prose."""

    name = "Quality"
    stage = "quality"
    Options: ClassVar[type[StepOptions]] = QualityOptions

    def process(self, article: Article) -> None:
        tokens = of(article)
        measured = zip(*(column.tolist() for column in measure(tokens)), strict=True)
        counted = character_counts(tokens).tolist()
        for paragraph, measures, signs in zip(article.paragraphs, measured, counted, strict=True):
            if paragraph.drop is not None or article.drop is not None:
                continue
            paragraph.words, paragraph.alpha_ratio, paragraph.stopword_ratio, paragraph.mean_word_length = measures
            if broken := next(self.broken_rules(paragraph, signs), None):
                paragraph.mark(self.stage, broken.reason, broken.detail)

    def broken_rules(self, paragraph: Paragraph, signs: Sequence[int]) -> Iterator[Verdict]:
        """The rules that a measured paragraph with these counts of characters breaks, the plainest first."""
        options: QualityOptions = self.options
        text, count = paragraph.text, paragraph.words
        short = paragraph.kind in SHORT_KINDS
        sentence = count >= options.judged_from
        prose = sentence and not short
        french = paragraph.language in ("", "fr")
        visible = max(1, len(text) - signs[_SPACE])
        letters = max(1, signs[_LETTER] + signs[_CAPITAL])
        tokens = max(1, count)
        ellipses = _ellipses(text) if signs[_POINT] else 0
        fewest = options.min_short_words if short else options.min_words
        # Rule, whether it applies, value, lowest and highest value allowed.
        rules = (
            ("too_short", True, count, fewest, _NO_LIMIT),
            ("few_letters", True, paragraph.alpha_ratio, options.min_alpha_ratio, _NO_LIMIT),
            ("digits", True, signs[_DIGIT] / visible, 0, options.max_digits),
            ("symbols", True, signs[_SYMBOL] / visible, 0, options.max_symbols),
            ("punctuation", True, signs[_POINT] / visible, 0, options.max_punctuation),
            ("ellipses", True, ellipses / tokens, 0, options.max_ellipses),
            ("bullets", sentence, signs[_BULLET] / tokens, 0, options.max_bullets),
            ("word_length", sentence, paragraph.mean_word_length, options.min_word_length, options.max_word_length),
            ("upper_case", prose, signs[_CAPITAL] / letters, 0, options.max_upper_case),
            ("few_stopwords", prose and french, paragraph.stopword_ratio, options.min_stopword_ratio, _NO_LIMIT),
        )
        for reason, applies, value, lowest, highest in rules:
            if applies and not lowest <= value <= highest:
                yield Verdict(reason, value, lowest if value < lowest else highest)


def _ellipses(text: str) -> int:
    # The pattern that begins with a space is slow: it is tried at every word.
    return len(_ELLIPSIS.findall(text)) if " . ." in text else text.count("…") + len(_DOTS.findall(text))


class Measures(NamedTuple):
    """What the columns of the same names hold, one value a text."""

    words: Array
    alpha_ratio: Array
    stopword_ratio: Array
    mean_word_length: Array


def measure(tokens: Tokens) -> Measures:
    """The measures of each text; all are 0 where it has no word."""
    counts = _differences(tokens.bounds)
    divisor = np.maximum(counts, 1)
    slots, shift = _stopword_slots()
    in_slots = slots.take(tokens.hashes >> shift) == tokens.hashes
    summed = [_sums(flags, tokens.bounds) for flags in (~tokens.lettered, in_slots, tokens.lengths)]
    alpha = np.where(counts > 0, 1 - summed[0] / divisor, 0)
    return Measures(counts, alpha, summed[1] / divisor, summed[2] / divisor)


def character_counts(tokens: Tokens) -> Array:
    """How many characters of each class (space, letter, capital, digit, punctuation, bullet, symbol) there are.

    Returns:
        Shape (texts, 7).
    """
    classes = _classes().take(tokens.codes, mode="clip")
    texts, offsets = len(tokens.texts), tokens.offsets
    # All but spaces and small letters are rare.
    places = np.flatnonzero(classes > _LETTER)
    owners = np.repeat(np.arange(texts) * (_SYMBOL + 1), _differences(np.searchsorted(places, offsets)))
    counted = np.bincount(owners + classes[places], minlength=texts * (_SYMBOL + 1)).reshape(texts, _SYMBOL + 1)
    counted[:, _SPACE] = _differences(np.searchsorted(np.flatnonzero(classes == _SPACE), offsets))
    counted[:-1, _SPACE] -= 1  # the line break between two texts
    counted[:, _LETTER] = _differences(offsets) - 1 - counted.sum(axis=1)
    return counted


def _sums(values: Array, bounds: Array) -> Array:
    """The sum of the values of each text."""
    running = np.zeros(len(values) + 1, np.int64)
    values.cumsum(dtype=np.int64, out=running[1:])
    return _differences(running[bounds])


def _differences(bounds: Array) -> Array:
    # What np.diff does, without its overhead: most articles are short.
    differences: Array = bounds[1:] - bounds[:-1]
    return differences


@cache
def _stopword_slots() -> tuple[Array, np.uint64]:
    """A table that has the hash of a function word where its first bits point, and their shift."""
    hashes = word_hashes(sorted(STOPWORDS))
    shift = next(
        np.uint64(shift) for shift in range(56, 0, -1) if len(np.unique(hashes >> np.uint64(shift))) == len(hashes)
    )
    slots = np.zeros(1 << (64 - int(shift)), np.uint64)
    slots[hashes >> shift] = hashes
    return slots, shift


@cache
def _classes() -> Array:
    """The class of each code point of the basic plane; U+FFFF, a symbol, stands for all others."""
    table = np.full(0x10000, _SYMBOL, np.uint8)
    for code in range(0x10000):
        character = chr(code)
        if character.isspace():
            table[code] = _SPACE
        elif character.isupper():
            table[code] = _CAPITAL
        elif character.isalpha() or unicodedata.combining(character):
            table[code] = _LETTER
        elif character.isdigit():
            table[code] = _DIGIT
    for characters, number in ((_PUNCTUATION, _POINT), (_BULLETS, _BULLET)):
        table[[ord(character) for character in characters]] = number
    return table
