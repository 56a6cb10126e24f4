"""What kind of error each one is: gold and predicted entities in pairs, and the labels that are taken for others.

Each gold entity is paired with one predicted entity at most, those first that have the largest share of characters in
common; so the pairs that are right are the hits of the strict scorer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, get_args

from corpuskit.evaluate.records import Answer, Document, Entity, Span
from corpuskit.evaluate.tasks import Task

#: ``both``: boundary and label.
Kind = Literal["right", "boundary", "label", "both", "missed", "spurious"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_Mark = tuple[tuple[Span, ...], str]


@dataclass(frozen=True, slots=True)
class Pair:
    """What is in the gold, and what was said in its place; labels of whole texts have no spans.

    Attributes:
        gold: the label in the gold; None where there is nothing.
        said: the label that was said; None where nothing was.
        gold_spans: where it is.
        said_spans: where it was said to be.
    """

    gold: str | None
    said: str | None
    gold_spans: tuple[Span, ...] = ()
    said_spans: tuple[Span, ...] = ()

    @property
    def kind(self) -> Kind:
        """What kind of error it is, if any."""
        if self.said is None:
            return "missed"
        if self.gold is None:
            return "spurious"
        if self.gold_spans == self.said_spans:
            return "right" if self.gold == self.said else "label"
        return "boundary" if self.gold == self.said else "both"


def pairs(task: Task, document: Document, answer: Answer) -> list[Pair]:
    """The pairs of a document, as its task asks.

    Args:
        task: of which kind the answers are.
        document: with the entities that its policy keeps.
        answer: what was said of it.
    """
    if task.kind == "spans":
        return of_entities(document.entities, answer.entities)
    return of_labels(document.labels, answer.labels, several=task.several)


def of_entities(gold: Iterable[Entity], said: Iterable[Entity]) -> list[Pair]:
    """The pairs of entities, in the order of the text; each entity once.

    Of equally large shares those with the same label come first, then those that come first in the text.
    """
    left, right = _marks(gold), _marks(said)
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, one, other in sorted(_candidates(left, right)):
        if one not in partner and other not in taken:
            partner[one] = other
            taken.add(other)
    found = []
    for place, (spans, label) in enumerate(left):
        spans_said, label_said = right[partner[place]] if place in partner else ((), None)
        found.append(Pair(label, label_said, spans, spans_said))
    found += [Pair(None, label, (), spans) for place, (spans, label) in enumerate(right) if place not in taken]
    return sorted(found, key=lambda pair: (pair.gold_spans or pair.said_spans)[0])


def of_labels(gold: Iterable[str], said: Iterable[str], *, several: bool) -> list[Pair]:
    """The pairs of labels: the one with the one; of several those on both sides, and the others each alone.

    Args:
        gold: the right labels.
        said: those that were said.
        several: a text may have several.
    """
    right, answered = sorted(set(gold)), sorted(set(said))
    if not several:
        return [Pair(right[0] if right else None, answered[0] if answered else None)] if right or answered else []
    both = sorted(set(right) | set(answered))
    return [Pair(one if one in right else None, one if one in answered else None) for one in both]


def confusion(found: Iterable[Pair]) -> Counter[tuple[str | None, str | None]]:
    """How often a label of the gold was said to be which; None on one side: missed, on the other: spurious."""
    return Counter((pair.gold, pair.said) for pair in found)


def _marks(entities: Iterable[Entity]) -> list[_Mark]:
    return sorted({(entity.spans, entity.label) for entity in entities})


def _candidates(left: Sequence[_Mark], right: Sequence[_Mark]) -> list[tuple[float, bool, int, int]]:
    """What shares a character: minus the share of the characters of either that are in both, other labels, places."""
    starts = [spans[0][0] for spans, _ in right]
    reach = list(accumulate((spans[-1][1] for spans, _ in right), max))
    found = []
    for one, (spans, label) in enumerate(left):
        for other in range(bisect_right(reach, spans[0][0]), bisect_left(starts, spans[-1][1])):
            common = _common(spans, right[other][0])
            if common:
                either = _length(spans) + _length(right[other][0]) - common
                found.append((-common / either, label != right[other][1], one, other))
    return found


def _common(one: Sequence[Span], other: Sequence[Span]) -> int:
    return sum(max(0, min(end, stop) - max(start, begin)) for start, end in one for begin, stop in other)


def _length(spans: Sequence[Span]) -> int:
    return sum(end - start for start, end in spans)
