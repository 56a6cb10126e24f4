"""Quoted words back to where they stand in a text, and texts in pieces that a small context has room for.

A model that writes quotes and labels does not say where they stand. A quote is looked for as it is written, then with
case, accents, white space and typography aside, between word borders; inside words only where it is nowhere between
them. The n-th mention of the same words with the same label goes to the n-th place where they stand. What is nowhere in
the text, or is mentioned more often than it stands there, is counted and left out: nothing is guessed. Where only the
longest of entities within each other are asked for, places inside a longer quote are no places for a shorter one as
long as there are others: who quotes the longest alone does not count what is inside.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from corpuskit.evaluate import nesting
from corpuskit.evaluate.nesting import Policy
from corpuskit.evaluate.records import Document, Entity, Span
from corpuskit.evaluate.tokens import words

#: Reasons why a mention comes to no entity.
NOWHERE = "not in the text"
TOO_OFTEN = "said more often than it is in the text"

#: A quote and its label, as a model says them.
Mention = tuple[str, str]

_SENTENCE = re.compile(r"(?<=[.!?…])\s+")
_PARAGRAPH = re.compile(r"\s*\n\s*")
_WHITE = re.compile(r"\s+")
_ALIKE = str.maketrans({
    "’": "'", "‘": "'", "ʼ": "'", "′": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-", "\u00ad": "", "\u200b": "", "\ufeff": "",
    "œ": "oe", "Œ": "oe", "æ": "ae", "Æ": "ae",
})  # fmt: skip


def fold(text: str) -> str:
    """A text without case, accents, white space and typography: what is alike is the same."""
    plain = unicodedata.normalize("NFKD", text.translate(_ALIKE)).casefold()
    return "".join(letter for letter in plain if not letter.isspace() and not unicodedata.combining(letter))


class Quoted:
    """A text in which quotes are looked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._within_words = {place for start, end in words(text) for place in range(start + 1, end)}
        folded = [(letter, place) for place, character in enumerate(text) for letter in fold(character)]
        self._folded = "".join(letter for letter, _ in folded)
        self._place = [place for _, place in folded]

    def align(self, mentions: Iterable[Mention], *, flat: bool = False) -> tuple[tuple[Entity, ...], Counter[str]]:
        """The entities that mentions stand for.

        Their order plays no part: the number of equal ones says how many places are taken, from the first on.

        Args:
            mentions: what a model says; an entity within another is a mention of its own.
            flat: only the longest are asked for: what stands within a longer one is taken last.

        Returns:
            The entities in the order of the text, each once, and how many mentions came to none, by reason.
        """
        found: set[tuple[Span, str]] = set()
        lost: Counter[str] = Counter()
        alike: dict[str, Counter[Mention]] = defaultdict(Counter)
        for quote, label in mentions:
            alike[fold(quote)][quote.strip(), label] += 1
        for folded, said in sorted(alike.items(), key=lambda one: (-len(one[0]), one[0])):  # the longest first
            rest: Counter[str] = Counter()
            for (quote, label), times in sorted(said.items()):
                places = self._as_written(quote)
                places = (_outside_first(places, found) if flat else places)[:times]
                found.update((span, label) for span in places)
                rest[label] += times - len(places)
            known = rest.total() < said.total()
            for label, times in (+rest).items():
                places = self._alike(folded)
                free = [span for span in places if (span, label) not in found]
                free = (_outside_first(free, found) if flat else free)[:times]
                found.update((span, label) for span in free)
                lost[TOO_OFTEN if places or known else NOWHERE] += times - len(free)
        return tuple(Entity((span,), label) for span, label in sorted(found)), +lost

    def _as_written(self, quote: str) -> list[Span]:
        """Where a quote stands as it is written: inside words only if it, or one alike, is nowhere between them."""
        places = [(start, start + len(quote)) for start in _places(self.text, quote)]
        return self._between_words(places) or ([] if self._between_words(self._all_alike(fold(quote))) else places)

    def _alike(self, folded: str) -> list[Span]:
        """Where something alike stands: inside words only if it is nowhere between them."""
        places = self._all_alike(folded)
        return self._between_words(places) or places

    def _all_alike(self, folded: str) -> list[Span]:
        found = []
        for start in _places(self._folded, folded):
            end = start + len(folded)
            # One character may be several when folded (œ, ½): no entity begins or ends within it.
            if self._splits(start) or self._splits(end):
                continue
            stop = self._place[end - 1] + 1
            while stop < len(self.text) and unicodedata.combining(self.text[stop]):
                stop += 1
            found.append((self._place[start], stop))
        return found

    def _splits(self, at: int) -> bool:
        return 0 < at < len(self._place) and self._place[at - 1] == self._place[at]

    def _between_words(self, places: Iterable[Span]) -> list[Span]:
        return [span for span in places if self._within_words.isdisjoint(span)]


def _outside_first(places: list[Span], found: Collection[tuple[Span, str]]) -> list[Span]:
    """Places in their order, but last those within a longer one that is found."""
    return sorted(places, key=lambda one: any(s <= one[0] and one[1] <= e and one != (s, e) for (s, e), _ in found))


def _places(text: str, quote: str) -> list[int]:
    """Where a quote begins in a text, also where it overlaps itself."""
    found, at = [], text.find(quote) if quote else -1
    while at >= 0:
        found.append(at)
        at = text.find(quote, at + 1)
    return found


def reduced(
    document: Document, entities: Iterable[Entity], policy: Policy, groups: Mapping[str, str] | None = None
) -> tuple[Entity, ...]:
    """What a policy keeps of entities that were found, by the very rules that it has for gold.

    ``outermost`` keeps the longest of those that overlap, ``nested`` the longest of each layer, and ``concatenated``
    cuts them where their labels change and glues these; see :mod:`corpuskit.evaluate.nesting`.

    Args:
        document: whose text it is; its own entities play no part.
        entities: what was found.
        policy: which.
        groups: for ``nested``: the layer of each label.
    """
    layers, _ = nesting.layers(replace(document, entities=tuple(entities)), policy, groups)
    return tuple(sorted((one for layer in layers.values() for one in layer), key=lambda one: (one.spans, one.label)))


def pieces(text: str, most: int) -> list[Span]:
    """A text in pieces of so many characters at most, in order, without the white space around them.

    They end where a paragraph does, if that leaves more than half of what there is room for; otherwise where a sentence
    does, otherwise at white space, and inside a word only where it is longer than a piece.

    Args:
        text: which.
        most: characters of a piece.

    Raises:
        ValueError: there is no room for anything.
    """
    if most < 1:
        raise ValueError(f"pieces of {most} characters hold nothing")
    breaks = [[found.span() for found in kind.finditer(text)] for kind in (_PARAGRAPH, _SENTENCE, _WHITE)]
    return list(_cut(text, most, breaks))


def _cut(text: str, most: int, breaks: list[list[Span]]) -> Iterator[Span]:
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    while start < end:
        if end - start <= most:
            yield start, end
            return
        stop = after = start + most
        for kind, least in zip(breaks, (most // 2, 0, 0), strict=True):
            if fitting := [(left, right) for left, right in kind if start + least < left <= start + most]:
                stop, after = fitting[-1]
                break
        yield start, stop
        start = after
