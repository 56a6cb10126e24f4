"""The baseline that knows nothing but what is annotated in train: what a model adds is what it scores above it.

Spans are looked up: from left to right the longest words that are an entity of train, case aside, with the label that
they have there most often. Words that are seldom an entity where they stand are left out; how often is enough is chosen
on dev, by strict F1. Under a policy of several layers each layer has a dictionary of its own.

The labels of a text, and the right ones among choices, are those that are right most often in train: with the same
words in question where a task has such (the most frequent sense, a baseline that is hard to beat: McCarthy et al. 2004,
"Finding predominant word senses in untagged text"), otherwise in all of it. Where none of these are among the choices,
the first is chosen.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from corpuskit.energy import Processors
from corpuskit.evaluate.nesting import layers
from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.records import Answer, Document, Entity, Outcome, Span
from corpuskit.evaluate.scorers import strict_score
from corpuskit.evaluate.scoring import gold, policy_of
from corpuskit.evaluate.tasks import Data, Task
from corpuskit.evaluate.tokens import INSIDE_A_WORD, words

#: Of the places where words stand, the share in which they must be an entity; of equally good ones the first is chosen.
SHARES = (0.5, 0.25, 0.1, 0.0, 0.75, 0.9)
#: Where a surface ends in a trie of words; no word is empty.
_END = ""


@dataclass(slots=True)
class Dictionary:
    """The baseline as a system: see the module."""

    told: dict[str, Any] = field(
        default_factory=lambda: {"name": "dictionary", "kind": "dictionary", "parameters": None, "bytes": None}
    )

    def by_chance(self, task: Task) -> bool:
        """Never: another seed gives the same answers."""
        return False

    def tokens(self, documents: Sequence[Document]) -> list[list[Span]] | None:
        """Nothing: it reads words."""
        return None

    def meter(self) -> Processors:
        """The processors."""
        return Processors()

    def run(
        self,
        task: Task,
        data: Data,
        protocol: Protocol,
        seed: int,
        tell: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> Outcome:
        """Read train, choose on dev, answer test.

        Args:
            task: which.
            data: its documents.
            protocol: whose policy decides which entities are looked up.
            seed: plays no part.
            tell: called with the score on dev of each share.
        """
        began = time.perf_counter()
        if task.kind == "spans":
            learnt, told = _learn(task, data, protocol, tell)
            answer: Callable[[Document], Answer] = lambda document: Answer(learnt(document))  # noqa: E731
        else:
            usual = Usual(data.train.documents)
            answer, told = lambda document: Answer(labels=usual(document)), {"sets": usual.size}
        middle = time.perf_counter()
        answers = {document.id: answer(document) for document in data.test.documents}
        seconds = time.perf_counter() - middle
        told |= {
            "training_seconds": round(middle - began, 4),
            "prediction_seconds": round(seconds, 4),
            "documents_per_second": round(len(answers) / seconds, 1) if seconds else None,
        }
        return Outcome(answers, told)


def _learn(
    task: Task, data: Data, protocol: Protocol, tell: Callable[[dict[str, Any]], None]
) -> tuple[Callable[[Document], tuple[Entity, ...]], dict[str, Any]]:
    train = data.train.documents
    kept = [layers(document, policy_of(task, protocol), task.layers)[0] for document in train]
    names = sorted({name for one in kept for name in one})
    lexicons = [
        Lexicon(replace(document, entities=one.get(name, ())) for document, one in zip(train, kept, strict=True))
        for name in names
    ]

    def found(document: Document, share: float) -> tuple[Entity, ...]:
        entities = (entity for lexicon in lexicons for entity in lexicon.find(document.text, share))
        return tuple(sorted(entities, key=lambda entity: (entity.spans, entity.label)))

    right = gold(task, protocol, data.dev.documents)
    predicted: dict[float, dict[str, tuple[Entity, ...]]] = {share: {} for share in SHARES}
    for document in right:  # outside, so that each text is read once
        for share in SHARES:
            predicted[share][document.id] = found(document, share)
    values = {}
    for number, share in enumerate(SHARES, 1):
        values[share] = strict_score(right, predicted[share]).figures().f1
        tell({"kind": "look", "step": number, "value": values[share]})
    chosen = max(SHARES, key=lambda share: values[share])
    told = {
        "share": chosen,
        "dev": [{"share": share, "value": value} for share, value in values.items()],
        "surfaces": sum(lexicon.size for lexicon in lexicons),
        "lost": dict(sum((lexicon.lost for lexicon in lexicons), Counter[str]())),
    }
    return lambda document: found(document, chosen), told


@dataclass(frozen=True, slots=True)
class _Surface:
    """Words that are an entity somewhere in train."""

    label: str
    #: Of the places where they stand, the share in which they are one.
    share: float


class Lexicon:
    """The entities of documents, to be found in other texts.

    Args:
        documents: of whose entities no two overlap.

    Attributes:
        size: different surfaces.
        lost: entities that are not looked up, by reason.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self.lost: Counter[str] = Counter()
        self._trie: dict[str, Any] = {}
        labels: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        texts = []
        for document in documents:
            places, read = _read(document.text)
            starts, ends = ({span[side]: word for word, span in enumerate(places)} for side in (0, 1))
            covering: dict[int, Span] = {}
            for entity in document.entities:
                if entity.start not in starts or entity.end not in ends:
                    self.lost[INSIDE_A_WORD] += 1
                    continue
                first, last = starts[entity.start], ends[entity.end] + 1
                labels[tuple(read[first:last])][entity.label] += 1
                covering.update(dict.fromkeys(range(first, last), (first, last)))
            texts.append((read, covering))
        self.size = len(labels)
        for surface in labels:
            self._put(surface, True)
        stands = Counter(surface for read, covering in texts for surface in self._free(read, covering))
        for surface, said in labels.items():
            label, _ = max(said.items(), key=lambda one: (one[1], one[0]))
            self._put(surface, _Surface(label, said.total() / stands[surface]))

    def find(self, text: str, share: float) -> Iterator[Entity]:
        """The longest surfaces from left to right, of those that are an entity so often."""
        places, read = _read(text)
        word = 0
        while word < len(read):
            fitting = [(end, one) for end, one in self._from(read, word) if one.share >= share]
            if fitting:
                end, surface = fitting[-1]
                yield Entity(((places[word][0], places[end - 1][1]),), surface.label)
                word = end
            else:
                word += 1

    def _free(self, read: Sequence[str], covering: dict[int, Span]) -> Iterator[tuple[str, ...]]:
        """Each surface wherever it stands, but not within a longer entity, which would be found in its place."""
        for word in range(len(read)):
            for end, _ in self._from(read, word):
                over = covering.get(word)
                if over is None or over == (word, end) or end > over[1]:
                    yield tuple(read[word:end])

    def _from(self, read: Sequence[str], word: int) -> Iterator[tuple[int, Any]]:
        """Where the surfaces end that begin with a word, the shortest first, and what is known of them."""
        node = self._trie
        for end in range(word, len(read)):
            if (node := node.get(read[end])) is None:  # type: ignore[assignment]
                return
            if (known := node.get(_END)) is not None:
                yield end + 1, known

    def _put(self, surface: Sequence[str], known: Any) -> None:
        node = self._trie
        for one in surface:
            node = node.setdefault(one, {})
        node[_END] = known


@lru_cache(maxsize=1)
def _read(text: str) -> tuple[list[Span], list[str]]:
    """Where the words of a text are, and the words as they are looked up."""
    places = words(text)
    return places, [text[start:end].casefold().replace("’", "'") for start, end in places]


class Usual:
    """The labels that are right most often.

    Args:
        documents: with the right labels.

    Attributes:
        size: different sets of labels.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self._of_words: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._of_all: Counter[tuple[str, ...]] = Counter()
        for document in documents:
            said = tuple(sorted(document.labels))
            self._of_all[said] += 1
            if document.focus:
                self._of_words[_focus(document)][said] += 1
        self.size = len(self._of_all)

    def __call__(self, document: Document) -> tuple[str, ...]:
        """The labels of a document; one that has choices gets some of these."""
        choices = {name for name, _ in document.choices}
        for known in (self._of_words.get(_focus(document), Counter()), self._of_all):
            for said, _ in known.most_common():
                if not choices or (said and choices.issuperset(said)):
                    return said
        return tuple(name for name, _ in document.choices[:1])


def _focus(document: Document) -> str:
    return document.text[slice(*document.focus)].casefold() if document.focus else ""
