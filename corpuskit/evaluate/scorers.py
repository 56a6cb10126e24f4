"""Scores of the same predictions by all the rules that the field has used, side by side: the rule moves the ranking.

Entities are scored as they are annotated, not as tags can say them: an entity is its spans and its label, two entities
are one only if both are the same, and every gold entity stays below the line, whether a tagging could have said it or
not. Where there is nothing to divide by a score is 0, as in seqeval and scikit-learn.

=============  ============  ==========  ============================================================================
scorer         boundaries    label       as in
=============  ============  ==========  ============================================================================
strict         the same      the same    seqeval with mode="strict" and IOB2, where no entities are nested or broken
exact_span     the same      any         "exact" of SemEval-2013 task 9.1
overlap        overlapping   the same    "type" of SemEval-2013 task 9.1
overlap_span   overlapping   any         "partial" of SemEval-2013 task 9.1, with full credit
token_with_o   words         the same    scikit-learn over the labels of words, O among them
token          words         the same    the same without O
=============  ============  ==========  ============================================================================

Two entities overlap when they share a character. One gold entity answers to one predicted entity at most: as many
pairs are formed as can be, so strict ≤ exact_span ≤ overlap_span and strict ≤ overlap ≤ overlap_span.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np
import numpy.typing as npt

from corpuskit.enrich.measures import ratio
from corpuskit.evaluate.records import Document, Entity, Predicted, Span, TaskError
from corpuskit.evaluate.statistics import Measure
from corpuskit.evaluate.tokens import OUTSIDE
from corpuskit.evaluate.tokens import words as words_of

Integers = npt.NDArray[np.int64]
Average = Literal["micro", "macro", "weighted"]
#: What a scorer sees of an entity.
Mark = tuple[tuple[Span, ...], str]

#: The one class of scorers that do not look at the label.
ANY = "any"


@dataclass(frozen=True, slots=True)
class Figures:
    """Precision, recall, F1, and how many there are in the gold."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """What a scorer counted, class by class and document by document.

    Attributes:
        documents: their identifiers.
        classes: labels in either gold or predictions, sorted; or those of the task.
        tp: predicted and right, (classes, documents).
        fp: predicted and wrong.
        fn: missed.
    """

    documents: tuple[str, ...]
    classes: tuple[str, ...]
    tp: Integers
    fp: Integers
    fn: Integers

    def figures(self, average: Average = "micro") -> Figures:
        """Precision, recall and F1 over all classes; a class that neither side has is left out of the averages."""
        tp, fp, fn = (counts.sum(-1).astype(np.float64) for counts in (self.tp, self.fp, self.fn))
        if average == "micro":
            tp, fp, fn = (counts.sum(keepdims=True) for counts in (tp, fp, fn))
        weights = tp + fn if average == "weighted" else (tp + fp + fn > 0).astype(np.float64)
        quotients = (ratio(tp, tp + fp), ratio(tp, tp + fn), ratio(2 * tp, 2 * tp + fp + fn))
        means = (ratio((np.nan_to_num(one) * weights).sum(), weights.sum()) for one in quotients)
        precision, recall, f1 = (float(np.nan_to_num(mean)) for mean in means)
        return Figures(precision, recall, f1, int((tp + fn).sum()))

    def by_class(self) -> dict[str, Figures]:
        """The same of each class alone."""
        rows = range(len(self.classes))
        return {self.classes[row]: self.only([row]).figures() for row in rows}

    def only(self, rows: Sequence[int]) -> Score:
        """The score of some of the classes."""
        classes = tuple(self.classes[row] for row in rows)
        return Score(self.documents, classes, self.tp[rows], self.fp[rows], self.fn[rows])

    def by_document(self) -> tuple[Integers, Integers, Integers]:
        """tp, fp and fn of all classes together, each (documents,)."""
        return self.tp.sum(0), self.fp.sum(0), self.fn.sum(0)

    def measure(self, average: Average = "micro") -> Measure:
        """The F1, as what the bootstrap draws from."""
        tp, fp, fn = (counts.astype(np.float64) for counts in (self.tp, self.fp, self.fn))
        if average == "micro":
            tp, fp, fn = (counts.sum(0, keepdims=True) for counts in (tp, fp, fn))
        classes = ("all",) if average == "micro" else self.classes
        return Measure(self.documents, classes, 2 * tp, 2 * tp + fp + fn, tp + fn if average == "weighted" else None)


# ---------------------------------------------------------------------------------------------------------------------
# Entities


def score(
    documents: Sequence[Document],
    predicted: Predicted,
    words: Sequence[Sequence[Span]] | None = None,
    *,
    prefixes: bool = False,
) -> dict[str, Score]:
    """The scores by every scorer of the table above, under its name.

    Args:
        documents: with all entities that shall be found, also those that a tagging cannot say.
        predicted: what was found, by the document's identifier; an empty list where nothing was.
        words: the offsets of what counts as a word in each document, in order, such as sub-tokens, which DrBERT
            counts; words unless given.
        prefixes: tell the first word of an entity from the others (B- and I-) in the scores of words.

    Raises:
        TaskError: the predictions are not of these documents.
    """
    return entity_scores(documents, predicted) | word_scores(documents, predicted, words, prefixes=prefixes)


def entity_scores(documents: Sequence[Document], predicted: Predicted) -> dict[str, Score]:
    """The scores of whole entities: ``strict``, ``exact_span``, ``overlap`` and ``overlap_span``.

    Args:
        documents: with all entities that shall be found.
        predicted: what was found, by the document's identifier.

    Raises:
        TaskError: the predictions are not of these documents.
    """
    names = [document.id for document in documents]
    pairs = _pairs(documents, predicted)
    unlabelled = [(_any(gold), _any(found)) for gold, found in pairs]
    return {
        "strict": _score(names, pairs, _same),
        "exact_span": _score(names, unlabelled, _same),
        "overlap": _score(names, pairs, _overlapping),
        "overlap_span": _score(names, unlabelled, _overlapping),
    }


def strict_score(documents: Sequence[Document], predicted: Predicted) -> Score:
    """The ``strict`` one of :func:`entity_scores` alone.

    Args:
        documents: with all entities that shall be found.
        predicted: what was found, by the document's identifier.

    Raises:
        TaskError: the predictions are not of these documents.
    """
    return _score([document.id for document in documents], _pairs(documents, predicted), _same)


def word_scores(
    documents: Sequence[Document],
    predicted: Predicted,
    words: Sequence[Sequence[Span]] | None = None,
    *,
    prefixes: bool = False,
) -> dict[str, Score]:
    """The scores of words: ``token_with_o`` and ``token``.

    A word has the labels of all entities that it shares a character with, and O where there is none: where entities
    are nested it can have several, and each is counted.

    Args:
        documents: with all entities that shall be found.
        predicted: what was found, by the document's identifier.
        words: the offsets of what counts as a word in each document, in order; words unless given.
        prefixes: tell the first word of an entity from the others (B- and I-).

    Raises:
        TaskError: the predictions are not of these documents.
    """
    pairs = _pairs(documents, predicted)
    words = [words_of(document.text) for document in documents] if words is None else words
    labels = sorted({label for pair in pairs for marks in pair for _, label in marks})
    classes = [f"{prefix}{label}" for label in labels for prefix in (("B-", "I-") if prefixes else ("",))]
    columns = {name: place for place, name in enumerate(classes, start=1)}
    counts = np.zeros((3, 1 + len(classes), len(pairs)), np.int64)
    for place, ((gold, found), spans) in enumerate(zip(pairs, words, strict=True)):
        right, said = _words(gold, spans, columns, prefixes), _words(found, spans, columns, prefixes)
        counts[:, :, place] = (right & said).sum(0), (said & ~right).sum(0), (right & ~said).sum(0)
    every = Score(tuple(document.id for document in documents), (OUTSIDE, *classes), *counts)
    return {"token_with_o": every, "token": every.only([*columns.values()])}


def _pairs(documents: Sequence[Document], predicted: Predicted) -> list[tuple[list[Mark], list[Mark]]]:
    """Gold and predicted entities of each document, each entity once."""
    names = [document.id for document in documents]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise TaskError(f"{len(twice)} identifiers of documents are there twice, such as {twice[0]!r}: rename one")
    if missing := [name for name in names if name not in predicted]:
        raise TaskError(
            f"{len(missing)} of {len(names)} documents have no predictions, such as {missing[0]!r}: "
            "give an empty list where nothing was found"
        )
    if strangers := sorted(predicted.keys() - set(names)):
        raise TaskError(f"predictions of {len(strangers)} unknown documents, such as {strangers[0]!r}: leave them out")
    return [(_marks(document.entities), _marks(predicted[document.id])) for document in documents]


def _marks(entities: Iterable[Entity]) -> list[Mark]:
    return sorted({(entity.spans, entity.label) for entity in entities})


def _any(marks: Sequence[Mark]) -> list[Mark]:
    """The same without labels; what differed in the label alone stays two."""
    return [(spans, ANY) for spans, _ in marks]


def _score(
    names: Sequence[str],
    pairs: Sequence[tuple[list[Mark], list[Mark]]],
    hits: Callable[[Sequence[Mark], Sequence[Mark]], Mapping[str, int]],
) -> Score:
    """Count what a rule takes for right."""
    classes = sorted({label for pair in pairs for marks in pair for _, label in marks})
    rows = {label: row for row, label in enumerate(classes)}
    right, said, hit = np.zeros((3, len(classes), len(pairs)), np.int64)
    for place, (gold, found) in enumerate(pairs):
        for _, label in gold:
            right[rows[label], place] += 1
        for _, label in found:
            said[rows[label], place] += 1
        for label, times in hits(gold, found).items():
            hit[rows[label], place] = times
    return Score(tuple(names), tuple(classes), hit, said - hit, right - hit)


def _same(gold: Sequence[Mark], found: Sequence[Mark]) -> Counter[str]:
    """How many of each label are on both sides."""
    return Counter(label for _, label in (Counter(gold) & Counter(found)).elements())


def _overlapping(gold: Sequence[Mark], found: Sequence[Mark]) -> dict[str, int]:
    """How many of each label can be paired with one of the same label that they share a character with."""
    hits = {}
    for label in {label for _, label in gold} & {label for _, label in found}:
        left = [spans for spans, name in gold if name == label]
        right = sorted(spans for spans, name in found if name == label)
        starts = [spans[0][0] for spans in right]
        reach = list(accumulate((spans[-1][1] for spans in right), max))
        edges = []
        for spans in left:
            near = range(bisect_right(reach, spans[0][0]), bisect_left(starts, spans[-1][1]))
            edges.append([place for place in near if _share(spans, right[place])])
        hits[label] = _paired(edges)
    return hits


def _share(one: Sequence[Span], other: Sequence[Span]) -> bool:
    return any(start < end and begin < stop for start, stop in one for begin, end in other)


def _paired(edges: Sequence[Sequence[int]]) -> int:
    """How many on the left can each have one on the right of their own: a maximum matching.

    By augmenting paths, Berge (1957), "Two theorems in graph theory".

    Args:
        edges: the places on the right that each on the left may have.
    """
    has: dict[int, int] = {}
    owner: dict[int, int] = {}
    for left in range(len(edges)):
        came: dict[int, int] = {}
        waiting = deque([left])
        free = None
        while waiting and free is None:
            asking = waiting.popleft()
            for right in edges[asking]:
                if right not in came:
                    came[right] = asking
                    if right not in owner:
                        free = right
                        break
                    waiting.append(owner[right])
        while free is not None:  # the path is turned: each takes what it asked for and leaves what it had
            asking = came[free]
            owner[free], had = asking, has.get(asking)
            has[asking], free = free, had
    return len(owner)


def _words(
    marks: Sequence[Mark], words: Sequence[Span], columns: Mapping[str, int], prefixes: bool
) -> npt.NDArray[np.bool_]:
    """The labels of words, (words, 1 + labels); the first column where there is none."""
    starts, ends = [start for start, _ in words], [end for _, end in words]
    found = np.zeros((len(words), 1 + len(columns)), np.bool_)
    for spans, label in marks:
        inside = [word for start, end in spans for word in range(bisect_right(ends, start), bisect_left(starts, end))]
        if prefixes:
            found[inside[:1], columns[f"B-{label}"]] = True
            found[inside[1:], columns[f"I-{label}"]] = True
        else:
            found[inside, columns[label]] = True
    found[:, 0] = ~found.any(1)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Classes


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """The scores of a classification.

    Attributes:
        labels: each label as a class; its F1 micro, macro and weighted.
        measures: the others, by name: means of one value a document.
    """

    labels: Score
    measures: dict[str, Measure]


def single_label(documents: Sequence[str], gold: Sequence[str], predicted: Sequence[str | None]) -> Classified:
    """One label a document: F1 of the labels, and ``accuracy``.

    Args:
        documents: their identifiers.
        gold: the label of each.
        predicted: the label said of each; None where there was no answer, which is wrong.
    """
    pairs = [({right}, set() if said is None else {said}) for right, said in zip(gold, predicted, strict=True)]
    return Classified(_labels(documents, pairs), {"accuracy": _exact(documents, pairs)})


def multi_label(
    documents: Sequence[str],
    gold: Sequence[Collection[str]],
    predicted: Sequence[Collection[str]],
    labels: Sequence[str] = (),
) -> Classified:
    """Any number of labels a document: F1 of the labels, ``exact_match`` and ``hamming``.

    ``exact_match`` is the share of documents with all labels right, ``hamming`` the share of decisions (a label of a
    document) that are right: 1 - ``hamming_loss`` of scikit-learn.

    Args:
        documents: their identifiers.
        gold: the labels of each.
        predicted: the labels said of each.
        labels: those of the task; those that occur unless given.

    Raises:
        TaskError: a label that the task does not have.
    """
    pairs = [(set(right), set(said)) for right, said in zip(gold, predicted, strict=True)]
    scored = _labels(documents, pairs, labels)
    wrong = (scored.fp + scored.fn).sum(0) / max(len(scored.classes), 1)
    return Classified(
        scored, {"exact_match": _exact(documents, pairs), "hamming": Measure.mean(documents, 1.0 - wrong)}
    )


def multiple_choice(
    documents: Sequence[str], gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]]
) -> Classified:
    """Questions with one right answer or several: ``exact_match`` and ``hamming`` as FrenchMedMCQA has them.

    Its Hamming score is the mean share of answers on both sides among those on either: Labrak et al. (2022),
    "FrenchMedMCQA: a French multiple-choice question answering dataset for medical domain".

    Args:
        documents: identifiers of the questions.
        gold: the right answers of each.
        predicted: the answers chosen for each.
    """
    pairs = [(set(right), set(said)) for right, said in zip(gold, predicted, strict=True)]
    shares = [len(right & said) / len(right | said) if right | said else 1.0 for right, said in pairs]
    return Classified(
        _labels(documents, pairs),
        {"exact_match": _exact(documents, pairs), "hamming": Measure.mean(documents, shares)},
    )


def _exact(documents: Sequence[str], pairs: Sequence[tuple[set[str], set[str]]]) -> Measure:
    return Measure.mean(documents, [right == said for right, said in pairs])


def _labels(documents: Sequence[str], pairs: Sequence[tuple[set[str], set[str]]], labels: Sequence[str] = ()) -> Score:
    """Count the labels of documents."""
    occurring = {label for pair in pairs for side in pair for label in side}
    if labels and (strangers := sorted(occurring - set(labels))):
        raise TaskError(f"the label {strangers[0]!r} is not one of the task's: {', '.join(labels)}")
    classes = tuple(labels or sorted(occurring))
    right, said = (
        np.array([[label in pair[side] for pair in pairs] for label in classes], np.bool_).reshape(-1, len(pairs))
        for side in (0, 1)
    )
    counts = (right & said, said & ~right, right & ~said)
    return Score(tuple(documents), classes, *(one.astype(np.int64) for one in counts))
