"""What every task is made of: texts, the entities annotated in them, and what a model found there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

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
    """A text and the entities annotated in it, as they are annotated.

    Raises:
        ValueError: an entity is not within the text.
    """

    id: str
    text: str
    entities: tuple[Entity, ...] = ()
    #: What it belongs together with, such as a patient or an article; "" where nothing is known.
    group: str = ""

    def __post_init__(self) -> None:
        for entity in self.entities:
            if entity.end > len(self.text):
                raise ValueError(f"{entity} ends behind the {len(self.text)} characters of document {self.id}")


#: What a model found in each document, by the id of the document.
Predicted = Mapping[str, Sequence[Entity]]


@dataclass(frozen=True, slots=True)
class Split:
    """The documents of a part of a data set, and how much was read beside their entities, by what it is."""

    documents: tuple[Document, ...]
    counted: Counter[str]

    @property
    def labels(self) -> list[str]:
        """The labels of the entities, sorted."""
        return sorted({entity.label for document in self.documents for entity in document.entities})

    def only(self, labels: Collection[str]) -> Split:
        """The same documents with the entities of these labels; the others are counted."""
        kept = tuple(
            replace(document, entities=tuple(entity for entity in document.entities if entity.label in labels))
            for document in self.documents
        )
        others = sum(len(document.entities) for document in self.documents)
        others -= sum(len(document.entities) for document in kept)
        return Split(kept, self.counted + Counter({"entity of another label": others}))
