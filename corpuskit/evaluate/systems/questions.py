"""What a model is asked about a document of a task, and what its answer comes to.

The wording stands in ``prompts/evaluate``, a Markdown file for each kind of task: a header in YAML, then the text with
places in braces. A line with a place that has nothing to say is left out. The paragraph with ``{text}`` comes last; it
frames the document that is asked about and each of the examples, so that a model of any kind sees its question as often
as there are examples. Everything before it is the same for all documents of a task: a server with prefix caching reads
it once.

=============  ========================================================================================================
place          what stands there
=============  ========================================================================================================
``{task}``     the title of the task
``{labels}``   its labels and what they mean, a line each
``{nested}``   what to do with entities inside entities, from the header: the protocol's policy has a line there
``{several}``  from the header, for tasks in which several labels or choices may be right
``{one}``      from the header, for the others
``{examples}`` the examples
``{text}``     the document, or a piece of it; what is asked about is between two pairs of asterisks
``{focus}``    what is asked about
``{choices}``  what there is to choose from, a line each
=============  ========================================================================================================
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml
from pydantic import Field, ValidationError

from corpuskit import settings
from corpuskit.enrich.prompts import InvalidAnswer
from corpuskit.evaluate.nesting import Policy
from corpuskit.evaluate.records import Document, Span, TaskError
from corpuskit.evaluate.systems.align import Mention, pieces, reduced
from corpuskit.evaluate.tasks import Data, Task
from corpuskit.evaluate.tokens import words
from corpuskit.steps import StepOptions

#: Characters of a quote at most.
QUOTE = 200
#: Reason why a mention comes to no entity.
STRANGE = "a label that the task does not have"
#: Entities of a piece at most, and what an entity may take: no tokenizer takes more than a token for a byte.
_ENTITIES, _TOKENS = 64, 40

_PLACE = re.compile(r"\{([a-z]+)\}")


class Wording(StepOptions):
    """How the questions of a kind of task are put."""

    name: str = Field(pattern=r"^[a-z][a-z-]*$", description="what it is called, as its file is")
    version: str = Field(min_length=1, description="change it with every change that may change an answer")
    description: str = Field(min_length=1, description="what it is for, in a line")
    nested: dict[Policy, str] = Field(default={}, description="what to do with nested entities, by policy")
    several: str = Field("", description="said where several may be right")
    one: str = Field("", description="said where only one is right")
    text: str = Field(description="what the model reads")


def shipped() -> dict[str, Path]:
    """The wordings that come with corpuskit, by name."""
    return settings.shipped("prompts/evaluate", "prompts/evaluate", ".md")


def load(wording: str | Path) -> Wording:
    """Read a wording: by the kind of task, such as ``spans``, or from a file.

    Raises:
        TaskError: it is missing, or cannot be used; the message names the file and the field.
    """
    path = shipped().get(str(wording)) or Path(wording)
    try:
        content = path.read_text(encoding="utf-8")
        opening, _, rest = content.partition("\n")
        header, closing, text = rest.partition("\n---\n")
        told = settings.from_yaml(header)
    except OSError as error:
        raise TaskError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: the header is no YAML: {error}") from None
    if opening.strip() != "---" or not closing or not isinstance(told, dict):
        raise TaskError(f"{path}: a wording begins with a header in YAML between two lines of ---")
    if "{text}" not in text.strip().rpartition("\n\n")[2]:
        raise TaskError(f"{path}: the last paragraph must hold {{text}}: what is shared comes first")
    try:
        return Wording.model_validate(told | {"text": text.strip()})
    except ValidationError as error:
        raise TaskError(settings.refusal(str(path), error, lambda one: f"{one['loc'][0]}: {one['msg']}")) from None


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a document, or about a piece of it."""

    document: Document
    #: What of the text is asked about.
    piece: Span
    #: What the model reads.
    prompt: str
    #: The JSON schema of the answer.
    schema: dict[str, Any]
    #: Tokens that an answer may take.
    longest: int


class Questions:
    """The questions of a task, and how their answers are read.

    Args:
        task: which.
        data: its documents; examples are taken from train.
        policy: what is done with nested entities: examples show what it keeps.
        wording: how it is put.
        shots: examples that every question shows, of those that are not longer than a question; 0 for none.
        seed: that they are drawn by.
        characters: of a text that are asked about at once, where spans are asked for: longer ones are read in pieces.
    """

    def __init__(
        self, task: Task, data: Data, policy: Policy, wording: Wording, *, shots: int, seed: int, characters: int
    ) -> None:
        self.task, self.labels, self.policy = task, data.labels, policy
        self.characters = characters
        before, _, self._frame = wording.text.rpartition("\n\n")
        self.examples = self._drawn(data.train.documents, shots, seed) if shots else []
        worked = "\n\n".join(f"{self._asked(document, piece)} {answer}" for document, piece, answer in self.examples)
        said = {
            "task": task.title,
            "labels": "\n".join(f"- {label}: {task.labels.get(label, '')}".removesuffix(": ") for label in self.labels),
            "nested": wording.nested.get("outermost" if policy == "outermost" else "nested", ""),
            "several": wording.several if task.several else "",
            "one": "" if task.several else wording.one,
            "examples": f"\n{worked}" if worked else "",
        }
        self._shared = _filled(before, said)

    def of(self, document: Document) -> list[Question]:
        """The questions about a document: one, or one for each of its pieces; none about a text that is empty."""
        spans = self.task.kind == "spans"
        asked = pieces(document.text, self.characters) if spans else [(0, len(document.text))]
        return [self._question(document, piece) for piece in asked]

    def _question(self, document: Document, piece: Span) -> Question:
        prompt = f"{self._shared}\n\n{self._asked(document, piece)}"
        if self.task.kind == "spans":
            # Powers of two, as a server prepares each schema when it first sees it.
            most = min(_ENTITIES, 1 << len(words(document.text[slice(*piece)])).bit_length())
            return Question(document, piece, prompt, self._entities(most), 16 + _TOKENS * most)
        names = [name for name, _ in document.choices] if self.task.kind == "choice" else list(self.labels)
        field = "answer" if self.task.kind == "choice" else "label"
        value: dict[str, Any] = {"type": "string", "enum": names}
        if self.task.several:
            field, value = f"{field}s", {"type": "array", "items": value, "maxItems": len(names)}
        longest = sum(sorted(len(name.encode()) + 8 for name in names)[-len(names) if self.task.several else -1 :])
        return Question(document, piece, prompt, _object({field: value}), longest + 16)

    def _entities(self, most: int) -> dict[str, Any]:
        one = _object({
            "text": {"type": "string", "minLength": 1, "maxLength": QUOTE},
            "label": {"type": "string", "enum": list(self.labels)},
        })  # fmt: skip
        return _object({"entities": {"type": "array", "items": one, "maxItems": most}})

    def _asked(self, document: Document, piece: Span) -> str:
        """The last paragraph, about a piece of a document."""
        start, end = piece
        text = document.text[start:end]
        focus = ""
        if document.focus and "{focus}" in self._frame:
            left, right = document.focus
            focus = document.text[left:right]
            text = f"{text[: left - start]}**{focus}**{text[right - start :]}"
        said = {
            "text": text,
            "focus": " ".join(focus.split()),
            "choices": "\n".join(f"- {name}: {wording}" for name, wording in document.choices),
        }
        # A text cannot end its tag.
        for tag in re.findall(r"</\w+>", self._frame):
            said = {place: value.replace(tag, tag.replace("</", "< /")) for place, value in said.items()}
        return _filled(self._frame, said)

    # -----------------------------------------------------------------------------------------------------------------
    # Examples

    def _drawn(self, documents: Sequence[Document], shots: int, seed: int) -> list[tuple[Document, Span, str]]:
        """Examples by chance, always the same ones: with entities where these are asked for, and short enough.

        Where too few are short enough the shortest are taken.
        """
        shuffled = random.Random(seed).sample(documents, len(documents))
        if self.task.kind != "spans":
            shuffled = [one for one in shuffled if one.labels or self.task.several]
            shuffled.sort(key=lambda document: max(0, len(document.text) - self.characters))
            return [(one, (0, len(one.text)), self._right(one)) for one in shuffled[:shots]]
        found: list[tuple[Document, Span, str]] = []
        without: list[tuple[Document, Span, str]] = []
        for document in shuffled:
            for piece in random.Random(seed).sample(asked := pieces(document.text, self.characters), len(asked)):
                answer, times = self._quoted(document, piece)
                if times:
                    found.append((document, piece, answer))
                    break
                without.append((document, piece, answer))
            if len(found) == shots:
                break
        return (found + without)[:shots]

    def _quoted(self, document: Document, piece: Span) -> tuple[str, int]:
        """The right answer about a piece, and the number of its entities: what no quote can say is not in it."""
        # Labels that are glued are none of the task's: what `concatenated` cuts is shown as it is annotated.
        policy: Policy = "nested" if self.policy == "concatenated" else self.policy
        start, end = piece
        inside = [one for one in document.entities if start <= one.start and one.end <= end]
        kept = sorted(reduced(document, inside, policy, self.task.layers), key=lambda one: (one.start, -one.end))
        said = [{"text": document.text[one.start : one.end], "label": one.label} for one in kept]
        return _json({"entities": said}), len(said)

    def _right(self, document: Document) -> str:
        field = "answer" if self.task.kind == "choice" else "label"
        if self.task.several:
            return _json({f"{field}s": list(document.labels)})
        return _json({field: document.labels[0]})

    # -----------------------------------------------------------------------------------------------------------------
    # Answers

    def mentions(self, written: str, counted: Counter[str]) -> list[Mention]:
        """The quotes and labels of an answer about spans; those with a label that is none are counted.

        Raises:
            InvalidAnswer: it is no answer.
        """
        said = _read(written, "entities", list)
        for one in said:
            if not isinstance(one, dict) or not all(isinstance(one.get(name), str) for name in ("text", "label")):
                raise InvalidAnswer(f"entities: {str(one)[:50]} has no text and label")
        counted[STRANGE] += sum(one["label"] not in self.labels for one in said)
        return [(one["text"], one["label"]) for one in said if one["label"] in self.labels]

    def chosen(self, written: str, document: Document) -> tuple[str, ...]:
        """The labels or choices of an answer, each once, in the order of the task or of the choices.

        Raises:
            InvalidAnswer: it is no answer.
        """
        field = "answer" if self.task.kind == "choice" else "label"
        known = [name for name, _ in document.choices] if self.task.kind == "choice" else list(self.labels)
        said = _read(written, f"{field}s", list) if self.task.several else [_read(written, field, str)]
        if strange := [one for one in said if one not in known]:
            raise InvalidAnswer(f"{str(strange[0])[:50]!r} is none of {', '.join(known)[:200]}")
        return tuple(name for name in known if name in said)


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _json(value: Any) -> str:
    # Without spaces, as servers that hold a model to a schema let it write.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _read(written: str, field: str, kind: type) -> Any:
    try:
        said = orjson.loads(written)
    except orjson.JSONDecodeError as error:
        raise InvalidAnswer(f"no JSON: {error}") from None
    if not isinstance(said, dict) or not isinstance(said.get(field), kind):
        raise InvalidAnswer(f"{field}: missing, or of another type")
    return said[field]


def _filled(text: str, said: Mapping[str, str]) -> str:
    """A text with what is said in its places, in one pass; lines that would say nothing are left out."""
    lines = [line for line in text.split("\n") if all(said.get(place, place) for place in _PLACE.findall(line))]
    return _PLACE.sub(lambda found: said.get(found[1], found[0]), "\n".join(lines)).strip()
