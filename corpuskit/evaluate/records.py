"""What every task is made of: texts, what is annotated in them, and what a model answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

#: Where something begins and ends: positions between the characters (code points) of a text, from 0.
Span = tuple[int, int]


class TaskError(Exception):
    """A task or its data that cannot be used; the message names the file and the line, and says what to do."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A piece of a text, or several that are not next to each other, and what it is.

    Raises:
        ValueError: there is no span, one is empty, or they are not in order.
    """

    spans: tuple[Span, ...]
    label: str
    #: What the annotation calls it, such as ``T1``; "" where it has no name.
    id: str = ""
    #: Where it is annotated, counted from 1 in the file of the document; 0 where that is not known.
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        places = [place for span in self.spans for place in span]
        if not places or places[0] < 0 or any(end <= start for start, end in self.spans) or places != sorted(places):
            raise ValueError(f"{self.spans} are no spans in order, none of them empty")

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.spans[0][0]

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.spans[-1][1]

    @property
    def discontinuous(self) -> bool:
        """Whether something stands between its pieces."""
        return len(self.spans) > 1


@dataclass(frozen=True, slots=True)
class Document:
    """A text, what is asked about it, and what is annotated: entities, or labels of the whole.

    Raises:
        ValueError: an entity or the focus is not within the text, or a right choice is none of the choices.
    """

    id: str
    text: str
    entities: tuple[Entity, ...] = ()
    #: What it belongs together with, such as a patient or an article; "" where nothing is known.
    group: str = ""
    #: The labels of the whole; the names of the right choices where there are ``choices``.
    labels: tuple[str, ...] = ()
    #: What there is to choose from, such as answers to a question or senses of a word: name and wording, in order.
    choices: tuple[tuple[str, str], ...] = ()
    #: The piece that is asked about, such as the word that has several senses; None: all of it.
    focus: Span | None = None
    #: The file that it was read from, and the line where it has one of its own, in words for people.
    where: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        ends = [entity.end for entity in self.entities] + ([self.focus[1]] if self.focus else [])
        if max(ends, default=0) > len(self.text):
            raise ValueError(f"{max(ends)} is behind the {len(self.text)} characters of document {self.id}")
        if self.choices and (unknown := set(self.labels) - {name for name, _ in self.choices}):
            raise ValueError(f"{min(unknown)!r} is none of the choices of document {self.id}")

    def at(self, entity: Entity) -> str:
        """Where an entity is annotated, in words for people."""
        return f"{self.where}: line {entity.line}" if entity.line else self.where or self.id


#: The entities that a model found in each document, by the id of the document.
Predicted = Mapping[str, Sequence[Entity]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of a document: entities or labels, as the task asks."""

    entities: tuple[Entity, ...] = ()
    labels: tuple[str, ...] = ()
    #: From the question to the answer, on the clock, of several about one document their sum; None where documents are
    #: not answered one by one, or there was no answer.
    seconds: float | None = None
    #: Why there is no whole answer, such as JSON that breaks off; "" where there is.
    problem: str = ""


#: What a model answers, by the id of the document.
Answers = Mapping[str, Answer]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run of a system on a task."""

    #: Of every document of test.
    answers: Answers
    #: What JSON can hold: how the run went and what it took, such as ``training_seconds`` and ``prediction_seconds``.
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Split:
    """The documents of a part of a data set, and how much was read beside their entities, by what it is."""

    documents: tuple[Document, ...]
    counted: Counter[str]

    @property
    def labels(self) -> list[str]:
        """The labels of the entities and of the texts, sorted; choices are no labels."""
        found = {entity.label for document in self.documents for entity in document.entities}
        return sorted(found.union(*(document.labels for document in self.documents if not document.choices)))

    def only(self, labels: Collection[str]) -> Split:
        """The same documents with the entities of these labels; the others are counted."""
        kept = tuple(
            replace(document, entities=tuple(entity for entity in document.entities if entity.label in labels))
            for document in self.documents
        )
        others = sum(len(document.entities) for document in self.documents)
        others -= sum(len(document.entities) for document in kept)
        return Split(kept, self.counted + Counter({"entity of another label": others}))
