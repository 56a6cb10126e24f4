"""What a model reads of the documents of a task, what its head says of that, and the answers that come of it.

=======  ==========================================  ======================================  ==========================
kind     reads                                       head                                    loss
=======  ==========================================  ======================================  ==========================
spans    sentences, lines or documents, in windows   tags of sub-tokens, a block for each    cross-entropy of each layer
                                                     layer of the policy
labels   the beginning of a text                     labels, at the first token              cross-entropy; binary where
                                                                                             several may be right
choice   the text with each choice, as pairs         one number, at the first token          cross-entropy over choices;
                                                                                             binary if several are right
=======  ==========================================  ======================================  ==========================

Tags are IOB2, read strictly: each sub-token says what it finds likeliest, and an ``I-`` that goes on with nothing is
dropped and counted, as the protocols of the field do.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import numpy as np

from corpuskit.evaluate import nesting, tokens
from corpuskit.evaluate.protocol import Protocol as Rules
from corpuskit.evaluate.records import Answer, Document, Entity, Span, TaskError
from corpuskit.evaluate.scoring import policy_of
from corpuskit.evaluate.systems.batches import Array, Example, Reading
from corpuskit.evaluate.tasks import Data, Part, Task

try:
    import torch
except ImportError as error:
    raise TaskError(f"fine-tuning needs PyTorch ({error}): pip install 'corpuskit-fr[pretrain]'") from None

#: Reasons why an entity cannot be learnt or found, beside those of nesting and tags.
CROSSES = "goes over the end of a {unit}"
UNSEEN = "label that train does not have"
#: What stands around a focus in the text that a model reads.
MARKS = ("« ", " »")

_END = re.compile(r"[.!?…]\s+(?=\S)|[\r\n]+")
_LINE = re.compile(r"[\r\n]+")


class Tokens:
    """What a tokenizer makes of texts, special tokens around them.

    Args:
        tokenizer: a fast one of Transformers.
        typed: the model tells the first of two texts from the second.
    """

    def __init__(self, tokenizer: Any, typed: bool) -> None:
        self.tokenizer, self._typed = tokenizer, typed
        self._before, self._after = self._around(tokenizer("a", return_special_tokens_mask=True), 1)
        pair = self._around(tokenizer("a", "a", return_special_tokens_mask=True), 2)
        # Tokenizers made by hand may know nothing of pairs.
        self._between = pair[1] if len(pair) == 3 and pair[1] else self._after

    @staticmethod
    def _around(told: Mapping[str, list[int]], texts: int) -> list[list[int]]:
        """The special tokens before, between and after texts."""
        found: list[list[int]] = [[]]
        inside = False
        for token, special in zip(told["input_ids"], told["special_tokens_mask"], strict=True):
            if special:
                found[-1].append(token)
            elif not inside:
                found.append([])
            inside = not special
        return found if len(found) == texts + 1 else [[], []]

    @property
    def special(self) -> int:
        """Special tokens of one text."""
        return len(self._before) + len(self._after)

    @property
    def special_of_two(self) -> int:
        """Special tokens of two texts."""
        return self.special + len(self._between)

    @property
    def start(self) -> int:
        """Special tokens before a text."""
        return len(self._before)

    def read(self, text: str) -> tuple[list[int], list[Span]]:
        """The tokens of a whole text without special ones, and the characters of each."""
        return tokens.read_tokens(self.tokenizer, text)

    def one(self, ids: Sequence[int], places: Sequence[int] = (0,)) -> Reading:
        """A text as it is read."""
        whole = np.array([*self._before, *ids, *self._after], np.int64)
        return Reading(whole, np.zeros_like(whole), np.array(places, np.int64))

    def two(self, first: Sequence[int], second: Sequence[int]) -> Reading:
        """Two texts as they are read together."""
        left = [*self._before, *first, *self._between]
        whole = np.array([*left, *second, *self._after], np.int64)
        types = (np.arange(len(whole)) >= len(left)) & self._typed
        return Reading(whole, types.astype(np.int64), np.zeros(1, np.int64))


class Head(Protocol):
    """A kind of task for a model."""

    #: Numbers that it says of each place.
    outputs: int

    def read(self, documents: Sequence[Document], part: Part) -> list[Example]:
        """What a model reads of the documents of a part; with targets for train."""
        ...

    def loss(self, logits: torch.Tensor, examples: Sequence[Example]) -> torch.Tensor:
        """The summed loss of examples."""
        ...

    def say(self, logits: torch.Tensor, examples: Sequence[Example]) -> list[Array]:
        """What the logits say of each example."""
        ...

    def answers(
        self, documents: Sequence[Document], examples: Sequence[Example], said: Sequence[Array]
    ) -> dict[str, Answer]:
        """What comes of it for each document."""
        ...

    def counted(self) -> dict[str, Any]:
        """What was lost in reading and answering, as it is told."""
        ...


def head_of(task: Task, data: Data, protocol: Rules, reader: Tokens, limit: int) -> Head:
    """The head that a task asks for.

    Args:
        task: which.
        data: its documents.
        protocol: how they are read.
        reader: the tokens of the model.
        limit: the most tokens that are read at once, special ones counted.

    Raises:
        TaskError: nothing can be read in so few tokens, or the data is not such as the task says.
    """
    if limit < 8 + reader.special_of_two:
        raise TaskError(f"the model reads {limit} tokens at once: too few for a text")
    if task.kind == "spans":
        return Spans(task, data, protocol, reader, limit)
    return (Labels if task.kind == "labels" else Choices)(task, data, reader, limit)


# ---------------------------------------------------------------------------------------------------------------------
# Spans


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A piece of a document: its words, and the sub-token that decides on each."""

    document: str
    words: list[Span]
    deciding: list[int]
    tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """The sub-tokens of a piece that an example says something of."""

    piece: _Piece
    places: Array


def pieces(text: str, unit: str) -> list[Span]:
    """Where the pieces of a text are that are read on their own; white space around them is left out.

    Args:
        text: of a document.
        unit: ``document``, ``line``, or ``sentence``, which ends at a line's end, and behind ``.``, ``!``, ``?`` or
            ``…`` if white space and a capital or a digit follow.
    """
    ends = []
    if unit != "document":
        for found in (_END if unit == "sentence" else _LINE).finditer(text):
            after = text[found.end() : found.end() + 1]
            if not _LINE.search(found[0]) and not after.isupper() and not after.isdigit():
                continue
            ends.append(found.end())
    borders = []
    for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
        whole = text[start:end]
        if stripped := whole.strip():
            first = start + len(whole) - len(whole.lstrip())
            borders.append((first, first + len(stripped)))
    return borders


class Spans:
    """Entities, by the tags of words; see :func:`head_of`."""

    def __init__(self, task: Task, data: Data, protocol: Rules, reader: Tokens, limit: int) -> None:
        self._policy, self._groups = policy_of(task, protocol), task.layers
        self._unit, self._reader = protocol.unit, reader
        self._size = limit - reader.special
        self._overlap = min(protocol.overlap, self._size // 2)
        labels: dict[str, set[str]] = defaultdict(set)
        if self._policy == "nested":
            for label in data.labels:
                labels[nesting.layer_of(label, self._groups)].add(label)
        elif self._policy == "outermost":
            labels[""].update(data.labels)
        else:  # labels that are glued are those of train
            for document in data.train.documents:
                labels[""].update(one.label for one in self._kept(document)[""])
        if not any(labels.values()):
            raise TaskError(f"task {task.name}: no entity in train can be learnt: there is no label")
        #: The tags of each layer.
        self.tags = {
            layer: [tokens.OUTSIDE, *(f"{prefix}-{label}" for label in sorted(some) for prefix in "BI")]
            for layer, some in sorted(labels.items())
        }
        self.outputs = sum(map(len, self.tags.values()))
        self._lost: dict[str, Counter[str]] = {}
        self._strays = 0

    def _kept(self, document: Document) -> nesting.Layers:
        return nesting.layers(document, self._policy, self._groups)[0]

    def read(self, documents: Sequence[Document], part: Part) -> list[Example]:
        lost = nesting.account(documents, self._policy, self._groups)
        found = [example for document in documents for example in self._read(document, part == "train", lost)]
        self._lost[part] = lost
        return found

    def _read(self, document: Document, learn: bool, lost: Counter[str]) -> Iterator[Example]:
        words = tokens.words(document.text)
        borders = pieces(document.text, self._unit)
        kept, tags = self._kept(document), {}
        lost[UNSEEN] += sum(len(some) for layer, some in kept.items() if layer not in self.tags)
        for layer, known in self.tags.items():
            whole = []
            for entity in kept.get(layer, ()):
                if f"B-{entity.label}" not in known:
                    lost[UNSEEN] += 1
                elif not _within(entity, borders):
                    lost[CROSSES.format(unit=self._unit)] += 1
                else:
                    whole.append(entity)
            tags[layer] = tokens.to_tags(whole, words)[0]
        starts = [start for start, _ in words]
        for start, end in borders:
            first, last = bisect_left(starts, start), bisect_left(starts, end)
            ids, offsets = self._reader.read(document.text[start:end])
            inside = [(left - start, right - start) for left, right in words[first:last]]
            deciding = tokens.deciding(inside, offsets)
            said = []
            for layer, some in tags.items():
                one, shared = tokens.tags_of_tokens(some[first:last], deciding, len(ids))
                lost.update(shared)
                numbers = {tag: number for number, tag in enumerate(self.tags[layer])}
                said.append([-1 if tag is None else numbers[tag] for tag in one])
            piece = _Piece(document.id, words[first:last], deciding, len(ids))
            yield from self._windows(piece, ids, np.array(said).T if learn else None)

    def _windows(self, piece: _Piece, ids: Sequence[int], said: Array | None) -> Iterator[Example]:
        """A piece as examples: each token is learnt and answered where it has most of the piece around it."""
        windows = tokens.windows(piece.tokens, self._size, self._overlap)
        by = np.array(tokens.decided(windows, piece.tokens), np.int64)
        asked = np.zeros(piece.tokens, np.bool_)
        asked[[token for token in piece.deciding if token >= 0]] = True
        for number, (start, end) in enumerate(windows):
            places = np.flatnonzero(asked & (by == number))
            if len(places):
                reading = self._reader.one(ids[start:end], (places - start + self._reader.start).tolist())
                targets = None if said is None else said[places]
                yield Example((reading,), targets, len(places), _Window(piece, places))

    def loss(self, logits: torch.Tensor, examples: Sequence[Example]) -> torch.Tensor:
        targets = torch.from_numpy(np.concatenate([_known(example) for example in examples])).to(logits.device)
        losses = [
            torch.nn.functional.cross_entropy(some, targets[:, layer], reduction="sum")
            for layer, some in enumerate(self._blocks(logits))
        ]
        return torch.stack(losses).sum()

    def _blocks(self, logits: torch.Tensor) -> Sequence[torch.Tensor]:
        blocks: Sequence[torch.Tensor] = logits.split([len(tags) for tags in self.tags.values()], -1)
        return blocks

    def say(self, logits: torch.Tensor, examples: Sequence[Example]) -> list[Array]:
        best = torch.stack([block.argmax(-1) for block in self._blocks(logits)], -1).cpu().numpy()
        return list(np.split(best, np.cumsum([len(example.of.places) for example in examples])[:-1]))

    def answers(
        self, documents: Sequence[Document], examples: Sequence[Example], said: Sequence[Array]
    ) -> dict[str, Answer]:
        found: dict[str, list[Entity]] = {document.id: [] for document in documents}
        self._strays = 0
        pairs = zip((example.of for example in examples), said, strict=True)
        for _, group in groupby(pairs, key=lambda pair: id(pair[0].piece)):
            windows = list(group)
            piece = windows[0][0].piece
            numbers = np.zeros((piece.tokens, len(self.tags)), np.int64)
            for window, some in windows:
                numbers[window.places] = some
            for layer, names in enumerate(self.tags.values()):
                tags = tokens.tags_of_words([names[number] for number in numbers[:, layer]], piece.deciding)
                self._strays += tokens.strays(tags)
                found[piece.document] += tokens.to_entities(tags, piece.words)
        order: Callable[[Entity], Any] = lambda entity: (entity.spans, entity.label)  # noqa: E731
        return {name: Answer(entities=tuple(sorted(some, key=order))) for name, some in found.items()}

    def counted(self) -> dict[str, Any]:
        return {"lost": {part: dict(+some) for part, some in self._lost.items()}, "strays": self._strays}


def _within(entity: Entity, borders: Sequence[Span]) -> bool:
    """Whether an entity is in one piece of its text; white space at its ends does not count."""
    at = bisect_left(borders, (entity.start + 1,)) - 1
    if at < 0 or entity.start >= borders[at][1]:
        at += 1
    return at < len(borders) and (at + 1 == len(borders) or entity.end <= borders[at + 1][0])


def _known(example: Example) -> Array:
    assert example.targets is not None
    return example.targets


# ---------------------------------------------------------------------------------------------------------------------
# Labels and choices


class _Texts:
    """What labels and choices have in common: a text from its beginning, as far as there is room."""

    def __init__(self, task: Task, data: Data, reader: Tokens, limit: int) -> None:
        self._task, self._reader, self._limit = task, reader, limit
        self._names = data.labels
        self._truncated: dict[str, int] = {}

    def _begin(self, document: Document) -> tuple[list[int], int]:
        """The tokens of a text, its focus marked, and where those of the focus end."""
        if document.focus is None:
            return self._reader.read(document.text)[0], 0
        start, end = document.focus
        before = document.text[:start] + MARKS[0] + document.text[start:end] + MARKS[1]
        ids, offsets = self._reader.read(before + document.text[end:])
        return ids, sum(first < len(before) for first, _ in offsets)

    @staticmethod
    def _cut(ids: Sequence[int], needed: int, room: int) -> Sequence[int]:
        """As many tokens as there is room for, from the beginning, or from as far as it takes to show the focus."""
        start = max(0, needed - room)
        return ids[start : start + room]

    def counted(self) -> dict[str, Any]:
        return {"truncated": dict(self._truncated)}


class Labels(_Texts):
    """Labels of a whole text; see :func:`head_of`."""

    def __init__(self, task: Task, data: Data, reader: Tokens, limit: int) -> None:
        super().__init__(task, data, reader, limit)
        self._numbers = {label: number for number, label in enumerate(self._names)}
        self.outputs = len(self._names)
        if not self._names:
            raise TaskError(f"task {task.name}: no document of train has a label")

    def read(self, documents: Sequence[Document], part: Part) -> list[Example]:
        room, cut = self._limit - self._reader.special, 0
        found = []
        for document in documents:
            ids, needed = self._begin(document)
            cut += len(ids) > room
            targets = self._targets(document) if part == "train" else None
            found.append(Example((self._reader.one(self._cut(ids, needed, room)),), targets, 1, document.id))
        self._truncated[part] = cut
        return found

    def _targets(self, document: Document) -> Array:
        if unknown := next((label for label in document.labels if label not in self._numbers), None):
            where = document.where or document.id
            raise TaskError(f"{where}: the label {unknown!r} is not one of the task's: {', '.join(self._names)}")
        right = np.zeros(len(self._names), np.float32)
        right[[self._numbers[label] for label in document.labels]] = 1
        if not self._task.several and right.sum() != 1:
            raise TaskError(
                f"{document.where or document.id}: {len(document.labels)} labels where the task {self._task.name} has "
                "one for each text: set `several: true`, or mend the data"
            )
        return right[None]

    def loss(self, logits: torch.Tensor, examples: Sequence[Example]) -> torch.Tensor:
        right = torch.from_numpy(np.concatenate([_known(example) for example in examples])).to(logits.device)
        functional = torch.nn.functional
        if self._task.several:
            return functional.binary_cross_entropy_with_logits(logits, right, reduction="sum") / self.outputs
        return functional.cross_entropy(logits, right.argmax(-1), reduction="sum")

    def say(self, logits: torch.Tensor, examples: Sequence[Example]) -> list[Array]:
        if self._task.several:
            return [np.flatnonzero(row) for row in (logits > 0).cpu().numpy()]
        return [np.array([number]) for number in logits.argmax(-1).tolist()]

    def answers(
        self, documents: Sequence[Document], examples: Sequence[Example], said: Sequence[Array]
    ) -> dict[str, Answer]:
        pairs = zip(examples, said, strict=True)
        return {one.of: Answer(labels=tuple(self._names[number] for number in numbers)) for one, numbers in pairs}


class Choices(_Texts):
    """The right ones of several choices; see :func:`head_of`."""

    outputs = 1

    def read(self, documents: Sequence[Document], part: Part) -> list[Example]:
        room, cut = self._limit - self._reader.special_of_two, 0
        found = []
        for document in documents:
            if not document.choices:
                raise TaskError(f"{document.where or document.id}: there is nothing to choose from")
            text, needed = self._begin(document)
            readings = []
            for _, wording in document.choices:
                choice = self._reader.read(wording)[0][:room]
                cut += len(text) + len(choice) > room
                readings.append(self._reader.two(self._cut(text, needed, room - len(choice)), choice))
            right = np.array([name in document.labels for name, _ in document.choices], np.float32)
            if part == "train" and not (right.any() or self._task.several):
                raise TaskError(
                    f"{document.where or document.id}: none of the choices is right: mend it or take it out"
                )
            weight = len(right) if self._task.several else 1
            found.append(Example(tuple(readings), right if part == "train" else None, weight, document.id))
        self._truncated[part] = cut
        return found

    def loss(self, logits: torch.Tensor, examples: Sequence[Example]) -> torch.Tensor:
        right = torch.from_numpy(np.concatenate([_known(example) for example in examples])).to(logits.device)
        logits = logits[:, 0]
        if self._task.several:
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, right, reduction="sum")
        sizes = [len(example.readings) for example in examples]
        losses = [
            torch.nn.functional.cross_entropy(scores, wanted / wanted.sum())
            for scores, wanted in zip(logits.split(sizes), right.split(sizes), strict=True)
        ]
        return torch.stack(losses).sum()

    def say(self, logits: torch.Tensor, examples: Sequence[Example]) -> list[Array]:
        sizes = np.cumsum([len(example.readings) for example in examples])[:-1]
        found = []
        for scores in np.split(logits[:, 0].cpu().numpy(), sizes):
            several = np.flatnonzero(scores > 0) if self._task.several else np.zeros(0, np.int64)
            found.append(several if len(several) else np.array([int(scores.argmax())]))
        return found

    def answers(
        self, documents: Sequence[Document], examples: Sequence[Example], said: Sequence[Array]
    ) -> dict[str, Answer]:
        pairs = zip(documents, said, strict=True)
        return {one.id: Answer(labels=tuple(one.choices[number][0] for number in numbers)) for one, numbers in pairs}
