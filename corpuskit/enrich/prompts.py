"""Prompts as files: what to ask about a paragraph, and what an answer must look like.

A prompt is a Markdown file. Its header (YAML between two lines of ``---``) names the fields of the answer, each
with a type and what its labels or scores mean; its text is what the model reads. The JSON schema that the server
holds the model to, the check of what comes back and the columns of the table all follow from the header.

The text holds three places: ``{fields}`` for the definitions, ``{examples}`` for the worked examples and
``{paragraph}``, which must come last: everything before it is the same for all paragraphs, so that a server with
prefix caching reads it once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import pyarrow as pa
import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from corpuskit import settings
from corpuskit.steps import StepOptions

#: What a value of an answer may be.
Value = str | int | bool | list[str]
Answer = dict[str, Value]

PARAGRAPH, FIELDS, EXAMPLES = "{paragraph}", "{fields}", "{examples}"
#: Columns that every table of annotations has, and what those that follow from a field end with.
RESERVED = ("id", "article_id", "source", "text", "outcome", "detail", "sampling_weight")
DERIVED = ("_probabilities", "_entropy", "_expected", "_density")


class PromptError(Exception):
    """A prompt that cannot be used; the message names the file, each field and how to mend it."""


class InvalidAnswer(Exception):
    """An answer that is not what the prompt asks for; the message says in which field, and how."""


class LabelField(StepOptions):
    """One of several labels."""

    type: Literal["label"]
    definition: str = Field(min_length=1, description="what is asked, for the model and for people")
    labels: dict[str, str] = Field(min_length=2, description="each label and what it means")

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of the value."""
        return {"type": "string", "enum": list(self.labels)}

    def check(self, value: Any, paragraph: str) -> Value:
        """The value, if it is one.

        Raises:
            InvalidAnswer: it is not.
        """
        if not isinstance(value, str) or value not in self.labels:
            raise InvalidAnswer(f"{value!r} is none of {', '.join(self.labels)}")
        return value

    def describe(self) -> Iterator[str]:
        """The definitions, line by line."""
        yield self.definition
        yield from (f"  - {label}: {meaning}" for label, meaning in self.labels.items())

    @property
    def classes(self) -> list[str]:
        """What the model chooses between, as it writes it."""
        return list(self.labels)


class ScoreField(StepOptions):
    """A whole number on a scale."""

    type: Literal["score"]
    definition: str = Field(min_length=1, description="what is asked, for the model and for people")
    least: int = Field(description="the lowest score")
    most: int = Field(description="the highest score")
    levels: dict[int, str] = Field(default_factory=dict, description="what some scores, or all, mean")

    @model_validator(mode="after")
    def _scale(self) -> ScoreField:
        if not self.least < self.most <= self.least + 100:
            raise ValueError(f"a scale from {self.least} to {self.most} is none: two scores at least, 101 at most")
        if outside := [level for level in self.levels if not self.least <= level <= self.most]:
            raise ValueError(f"levels: {outside[0]} is not between {self.least} and {self.most}")
        return self

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of the value: an enumeration, as not every server holds a model to a range."""
        return {"type": "integer", "enum": list(range(self.least, self.most + 1))}

    def check(self, value: Any, paragraph: str) -> Value:
        """The value, if it is one.

        Raises:
            InvalidAnswer: it is not.
        """
        if type(value) is not int or not self.least <= value <= self.most:
            raise InvalidAnswer(f"{value!r} is no whole number from {self.least} to {self.most}")
        return value

    def describe(self) -> Iterator[str]:
        """The definitions, line by line."""
        yield f"{self.definition} ({self.least}–{self.most})"
        yield from (f"  - {level}: {meaning}" for level, meaning in sorted(self.levels.items()))

    @property
    def classes(self) -> list[str]:
        """What the model chooses between, as it writes it."""
        return [str(score) for score in range(self.least, self.most + 1)]


class FlagField(StepOptions):
    """Yes or no."""

    type: Literal["flag"]
    definition: str = Field(min_length=1, description="what is asked, for the model and for people")

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of the value."""
        return {"type": "boolean"}

    def check(self, value: Any, paragraph: str) -> Value:
        """The value, if it is one.

        Raises:
            InvalidAnswer: it is not.
        """
        if not isinstance(value, bool):
            raise InvalidAnswer(f"{value!r} is neither true nor false")
        return value

    def describe(self) -> Iterator[str]:
        """The definition."""
        yield f"{self.definition} (true, false)"

    @property
    def classes(self) -> list[str]:
        """What the model chooses between, as it writes it."""
        return ["true", "false"]


class SpansField(StepOptions):
    """Passages of the paragraph, copied letter by letter."""

    type: Literal["spans"]
    definition: str = Field(min_length=1, description="what is asked, for the model and for people")
    max_items: int = Field(50, ge=1, description="passages at most")
    max_length: int = Field(200, ge=1, description="characters of one passage at most")

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of the value."""
        passage = {"type": "string", "minLength": 1, "maxLength": self.max_length}
        return {"type": "array", "items": passage, "maxItems": self.max_items}

    def check(self, value: Any, paragraph: str) -> Value:
        """The passages, each once.

        Raises:
            InvalidAnswer: one does not stand in the paragraph (case aside), or they are none.
        """
        if not isinstance(value, list) or len(value) > self.max_items:
            raise InvalidAnswer(f"expected a list of up to {self.max_items} passages")
        inside = paragraph.casefold()
        for passage in value:
            if not isinstance(passage, str) or not passage.strip() or len(passage) > self.max_length:
                raise InvalidAnswer(f"{str(passage)[:50]!r} is no passage")
            if passage.strip().casefold() not in inside:
                raise InvalidAnswer(f"{passage[:50]!r} does not stand in the paragraph")
        return list(dict.fromkeys(passage.strip() for passage in value))

    def describe(self) -> Iterator[str]:
        """The definition."""
        yield self.definition

    @property
    def classes(self) -> list[str]:
        """Nothing: what there is to choose from is the paragraph."""
        return []


AnyField = Annotated[LabelField | ScoreField | FlagField | SpansField, Field(discriminator="type")]


class Example(StepOptions):
    """A paragraph and the answer that is right for it."""

    paragraph: str = Field(min_length=1)
    answer: dict[str, Any]


class Prompt(StepOptions):
    """A prompt: its header, and the text that the model reads."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="what it is called, as its file is")
    version: str = Field(min_length=1, description="change it with every change that may change an answer")
    language: str = Field("fr", pattern=r"^[a-z]{2}$", description="language of the paragraphs, ISO 639-1")
    description: str = Field(min_length=1, description="what it is for, in a line")
    fields: dict[str, AnyField] = Field(min_length=1, description="what is asked, in the order of the answer")
    examples: list[Example] = Field(default_factory=list, description="worked examples (few-shot)")
    text: str = Field(description="what the model reads")

    @field_validator("fields")
    @classmethod
    def _names(cls, fields: dict[str, Any]) -> dict[str, Any]:
        for name in fields:
            if not name.isidentifier() or name != name.lower():
                raise ValueError(f"{name!r} is no name for a column: use small letters, digits and _")
            if name in RESERVED or name.endswith(DERIVED):
                raise ValueError(f"{name!r} is the name of another column of the table: choose another")
        return fields

    @model_validator(mode="after")
    def _places_and_examples(self) -> Prompt:
        if self.text.count(PARAGRAPH) != 1:
            raise ValueError(f"the text must hold {PARAGRAPH} exactly once")
        before, after = self.text.split(PARAGRAPH)
        if FIELDS in after or EXAMPLES in after:
            raise ValueError(f"{PARAGRAPH} must come after {FIELDS} and {EXAMPLES}: what is shared comes first")
        if FIELDS not in before:
            raise ValueError(f"the text does not hold {FIELDS}: the model would not see the definitions")
        if bool(self.examples) != (EXAMPLES in before):
            told = "has examples and no" if self.examples else "has no examples for its"
            raise ValueError(f"the prompt {told} {EXAMPLES}")
        for number, example in enumerate(self.examples):
            try:
                self.check(example.answer, example.paragraph)
            except InvalidAnswer as error:
                raise ValueError(f"examples[{number}]: {error}") from None
        return self

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that may change an answer, in hexadecimal."""
        content = self.model_dump(mode="json", exclude={"description"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of an answer (https://json-schema.org/draft/2020-12)."""
        return {
            "type": "object",
            "properties": {name: field.json_schema() for name, field in self.fields.items()},
            "required": list(self.fields),
            "additionalProperties": False,
        }

    def check(self, answer: Any, paragraph: str) -> Answer:
        """The answer, field by field in their order.

        Args:
            answer: as JSON gave it.
            paragraph: what it is about; passages must stand in it.

        Raises:
            InvalidAnswer: a field is missing, unknown, or not of its type.
        """
        if not isinstance(answer, Mapping):
            raise InvalidAnswer(f"expected an object with {', '.join(self.fields)}, found {type(answer).__name__}")
        if unknown := [str(name) for name in answer if name not in self.fields]:
            raise InvalidAnswer(f"{unknown[0]}: no such field")
        checked: Answer = {}
        for name, field in self.fields.items():
            if name not in answer:
                raise InvalidAnswer(f"{name}: missing")
            try:
                checked[name] = field.check(answer[name], paragraph)
            except InvalidAnswer as error:
                raise InvalidAnswer(f"{name}: {error}") from None
        return checked

    def read(self, written: str, paragraph: str) -> Answer:
        """The answer in what a model wrote.

        Raises:
            InvalidAnswer: it is no JSON, or not what is asked for.
        """
        try:
            answer = orjson.loads(written)
        except orjson.JSONDecodeError as error:
            raise InvalidAnswer(f"no JSON: {error}") from None
        return self.check(answer, paragraph)

    def parts(self, paragraph: str) -> tuple[str, str]:
        """What is the same for all paragraphs, and the rest of the text with this paragraph in it.

        A paragraph between two tags cannot close them: its own closing tag gets a space.
        """
        shared, opening, after, closing = self._frame
        if closing:
            paragraph = paragraph.replace(closing, closing.replace("</", "< /"))
        return shared, f"{opening}{paragraph}{after}".strip()

    @cached_property
    def _frame(self) -> tuple[str, str, str, str]:
        """What stands before the paragraph for all, what right before it and after it, and the tag that closes it."""
        before, after = self.text.split(PARAGRAPH)
        shared, _, opening = before.rpartition("\n")
        closing = after.strip().partition("\n")[0]
        if not opening and shared.rpartition("\n")[2].startswith("<") and closing.startswith("</"):
            shared, _, tag = shared.rpartition("\n")
            return self._filled(shared).strip(), self._filled(f"{tag}\n"), after, closing
        return self._filled(shared).strip(), self._filled(opening), after, ""

    def _filled(self, text: str) -> str:
        definitions = "\n".join(f"- {name}: " + "\n".join(field.describe()) for name, field in self.fields.items())
        worked = "\n\n".join(
            f"{example.paragraph}\n{json.dumps(example.answer, ensure_ascii=False)}" for example in self.examples
        )
        return text.replace(FIELDS, definitions).replace(EXAMPLES, worked)


def shipped() -> dict[str, Path]:
    """The prompts that come with corpuskit, by name."""
    return {name: path for name, path in settings.shipped("prompts", "prompts", ".md").items() if name != "README"}


def load(prompt: str | Path) -> Prompt:
    """Read a prompt: one that comes with corpuskit by its name, any other by its file.

    Raises:
        PromptError: it is not there, or not a prompt.
    """
    path = shipped().get(str(prompt)) or Path(prompt)
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PromptError(f"{prompt} is neither a prompt ({', '.join(shipped())}) nor a file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path} cannot be read: {error}") from None
    return parse(content, str(path))


def parse(content: str, where: str = "the prompt") -> Prompt:
    """The prompt that a Markdown file holds.

    Raises:
        PromptError: naming each field that is wrong, and how.
    """
    opening, line, rest = content.partition("\n")
    header, closing, text = rest.partition("\n---\n")
    if opening.strip() != "---" or not line or not closing:
        raise PromptError(f"{where}: a prompt begins with a header in YAML between two lines of ---")
    try:
        told = settings.from_yaml(header)
    except yaml.YAMLError as error:
        raise PromptError(f"{where}: the header is no YAML: {error}") from None
    if not isinstance(told, dict):
        raise PromptError(f"{where}: the header has no fields such as `name:` and `fields:`")
    try:
        return Prompt.model_validate(told | {"text": text.strip()})
    except ValidationError as error:
        lines = [f"  - {_place(one['loc'])}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()]
        raise PromptError("\n".join([f"{where} cannot be used:", *lines])) from None


def written(prompt: Prompt) -> str:
    """The Markdown file that holds a prompt: what :func:`parse` reads."""
    header = prompt.model_dump(exclude={"text"}, exclude_defaults=True)
    told = yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=110)
    return f"---\n{told}---\n{prompt.text}\n"


def _place(location: tuple[str | int, ...]) -> str:
    """Where in the header something is wrong; the type of a field is no part of the way."""
    kinds = {"label", "score", "flag", "spans"}
    way = [part for at, part in enumerate(location) if not (at == 2 and location[0] == "fields" and part in kinds)]
    return ".".join(map(str, way)) or "the prompt"


def columns(prompt: Prompt) -> pa.Schema:
    """The columns that a prompt's answers have in a table."""
    types = {"label": pa.string(), "score": pa.int32(), "flag": pa.bool_(), "spans": pa.list_(pa.string())}
    return pa.schema([pa.field(name, types[field.type]) for name, field in prompt.fields.items()])
