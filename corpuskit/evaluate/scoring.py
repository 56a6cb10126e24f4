"""What a task's answers are worth, by every measure of its kind, under a protocol.

The gold of a task of spans is what the protocol's policy keeps of the annotated entities, as in the papers that the
protocols come from; ``strict_all`` has all annotated ones below the line, also those that no tagging could say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from corpuskit.evaluate import nesting, scorers
from corpuskit.evaluate.nesting import Policy
from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.records import Answers, Document, Entity, Span, TaskError
from corpuskit.evaluate.scorers import Average, Score
from corpuskit.evaluate.statistics import Measure
from corpuskit.evaluate.tasks import Task

#: The measures of spans.
SPANS = (
    "strict", "strict_macro", "exact_span", "overlap", "overlap_span", "token_with_o", "token_with_o_weighted",
    "token_with_o_macro", "token", "token_weighted", "token_macro", "strict_all",
)  # fmt: skip
_AVERAGES = tuple(f"{average}_f1" for average in get_args(Average))
#: Groups of documents below this number are not drawn whole: too few to draw from.
FEW = 20


@dataclass(frozen=True, slots=True)
class Scored:
    """The measures of one run, by name, the headline first among those of entities; and counts class by class.

    Attributes:
        measures: what intervals are drawn from.
        classes: of the headline's kind: entities (strict) or labels; None where there are choices.
    """

    measures: dict[str, Measure]
    classes: Score | None


def policy_of(task: Task, protocol: Protocol) -> Policy:
    """What is done with nested entities: as the task says, otherwise as the protocol does."""
    return task.policy or protocol.policy


def headline(task: Task, protocol: Protocol) -> str:
    """The measure that models are ranked by: of spans as the protocol says, otherwise the task."""
    return (task.kind == "spans" and protocol.headline) or task.headline


def selected_by(task: Task, protocol: Protocol) -> str:
    """The measure that is best on dev: of spans as the protocol says, otherwise the headline."""
    return (task.kind == "spans" and protocol.select_by) or headline(task, protocol)


def measures_of(task: Task) -> tuple[str, ...]:
    """The measures of a task, by name."""
    if task.kind == "spans":
        return SPANS
    if task.kind == "labels":
        return (*_AVERAGES, *(("exact_match", "hamming") if task.several else ("accuracy",)))
    return (*(() if task.several else ("accuracy",)), "exact_match", "hamming")


def check(task: Task, protocol: Protocol) -> None:
    """Make sure that what a task and a protocol rank and select by is there.

    Raises:
        TaskError: it is not.
    """
    known = measures_of(task)
    for what, name in (("measure", headline(task, protocol)), ("select_by", selected_by(task, protocol))):
        if name not in known:
            raise TaskError(
                f"task {task.name}, protocol {protocol.name}: there is no {what} {name!r}; there are {', '.join(known)}"
            )


def gold(task: Task, protocol: Protocol, documents: Sequence[Document]) -> tuple[Document, ...]:
    """The documents with the entities that the policy keeps."""
    if task.kind != "spans":
        return tuple(documents)
    kept = (nesting.layers(document, policy_of(task, protocol), task.layers)[0] for document in documents)
    return tuple(
        replace(document, entities=tuple(sorted((one for layer in layers.values() for one in layer), key=_place)))
        for document, layers in zip(documents, kept, strict=True)
    )


def _place(entity: Entity) -> tuple[tuple[Span, ...], str]:
    return entity.spans, entity.label


def scored(
    task: Task,
    protocol: Protocol,
    documents: Sequence[Document],
    answers: Answers,
    words: Sequence[Sequence[Span]] | None = None,
) -> Scored:
    """The measures of one run.

    Args:
        task: which.
        protocol: by which.
        documents: of test, as annotated.
        answers: what was said of each.
        words: what scorers of tokens count in each document; words unless given.

    Raises:
        TaskError: the answers are not of these documents.
    """
    names = [document.id for document in documents]
    if task.kind == "spans":
        return _spans(task, protocol, documents, answers, words)
    if missing := [name for name in names if name not in answers]:
        raise TaskError(f"{len(missing)} documents have no answer, such as {missing[0]!r}")
    right = [document.labels for document in documents]
    said = [answers[name].labels for name in names]
    if task.kind == "choice":
        told = scorers.multiple_choice(names, right, said)
        named = {} if task.several else {"accuracy": told.measures["exact_match"]}
        return Scored(named | told.measures, None)
    if task.several:
        told = scorers.multi_label(names, right, said, tuple(task.labels))
    else:
        told = scorers.single_label(names, [one[0] for one in right], [one[0] if one else None for one in said])
    averages = {f"{average}_f1": told.labels.measure(average) for average in get_args(Average)}
    return Scored(averages | told.measures, told.labels)


def _spans(
    task: Task,
    protocol: Protocol,
    documents: Sequence[Document],
    answers: Answers,
    words: Sequence[Sequence[Span]] | None,
) -> Scored:
    predicted = {name: answer.entities for name, answer in answers.items()}
    kept = gold(task, protocol, documents)
    entities = scorers.entity_scores(kept, predicted)
    tokens = scorers.word_scores(kept, predicted, words, prefixes=protocol.prefixes)
    measures = {"strict": entities["strict"].measure(), "strict_macro": entities["strict"].measure("macro")}
    measures |= {name: entities[name].measure() for name in ("exact_span", "overlap", "overlap_span")}
    for name in ("token_with_o", "token"):
        measures |= {name: tokens[name].measure()}
        measures |= {f"{name}_{average}": tokens[name].measure(average) for average in ("weighted", "macro")}
    measures["strict_all"] = scorers.strict_score(documents, predicted).measure()
    return Scored(measures, entities["strict"])


def units(documents: Sequence[Document]) -> list[str]:
    """What intervals are drawn over: the group of each document, or the document where there are few groups."""
    groups = [document.group or document.id for document in documents]
    return groups if len(set(groups)) >= FEW else [document.id for document in documents]
