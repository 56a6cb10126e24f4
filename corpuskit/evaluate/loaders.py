"""How the data of a task is read: a format by name, and its options; one small class each, thin over the readers.

All that a loader must have is ``read(data, part)``. A task may bring its own as a Python function (:class:`Python`).
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, ValidationInfo, field_validator

from corpuskit.evaluate.readers import articles, brat, conll, e3c, negation, tables
from corpuskit.evaluate.records import Split, TaskError
from corpuskit.steps import StepOptions


class Reads(Protocol):
    """What every loader can do."""

    def read(self, data: Path, part: str) -> Split:
        """Read the documents of a part.

        Args:
            data: the folder of the task's data.
            part: what the task says of this part, such as a folder or a file; "" for all there is.

        Raises:
            TaskError: something is missing or broken; the message names the file and the line.
        """


def _pattern(pattern: str) -> str:
    """A regular expression that can be used.

    Raises:
        ValueError: it cannot.
    """
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


class Brat(StepOptions):
    """Texts with entities in brat standoff; a part is a folder (`readers.brat.read`)."""

    format: Literal["brat"] = "brat"
    only: tuple[str, ...] = Field((), description="the labels that are read; others are counted; all unless given")
    label_in_note: str = Field("", description="a regular expression that finds the label in a note on the entity")
    group: str = Field("", description="a regular expression that finds in a file's name what belongs together")

    _patterns = field_validator("label_in_note", "group")(_pattern)

    def read(self, data: Path, part: str) -> Split:
        """The documents of a folder."""
        split = brat.read(data, part, label_in_note=self.label_in_note, group=self.group)
        return split.only(self.only) if self.only else split


class Conll(StepOptions):
    """Words and tags in columns; a part is a file or a folder (`readers.conll.read`)."""

    format: Literal["conll"] = "conll"
    only: tuple[str, ...] = Field((), description="the labels that are read; others are counted; all unless given")
    word: int = Field(1, description="the column of words, from 1, or from the end with -1")
    tag: int = Field(-1, description="the column of tags")
    separator: str | None = Field(None, description="what parts columns; any white space unless given")
    strict: bool = Field(True, description="an I- that goes on with nothing is an error; otherwise it begins an entity")

    @field_validator("word", "tag")
    @classmethod
    def _counted_from_one(cls, column: int) -> int:
        if column == 0:
            raise ValueError("columns are counted from 1, or from the end with -1")
        return column

    def read(self, data: Path, part: str) -> Split:
        """The documents of a file, or of a folder."""
        columns = conll.Columns(self.word, self.tag, self.separator)
        split = conll.read(*_place(data, part), columns=columns, strict=self.strict)
        return split.only(self.only) if self.only else split


class E3C(StepOptions):
    """The XMI of the European Clinical Case Corpus; a part is a folder (`readers.e3c.read`)."""

    format: Literal["e3c"] = "e3c"
    layers: tuple[str, ...] = Field((e3c.CLINICAL,), min_length=1, description="annotations that are entities")
    texts: str = Field("", description="folder under the data with the texts of the collection, to compare")

    def read(self, data: Path, part: str) -> Split:
        """The documents of a folder."""
        return e3c.read(data, part, layers=self.layers, texts=data / self.texts if self.texts else None)


class E3CColumns(StepOptions):
    """Its preprocessed sentences; a part is a file or a folder (`readers.e3c.read_columns`)."""

    format: Literal["e3c-columns"] = "e3c-columns"
    tag: int = Field(-1, description="the column of tags")
    label: str = Field(e3c.CLINICAL, min_length=1, description="of all entities")

    def read(self, data: Path, part: str) -> Split:
        """The sentences of a file, or of a folder."""
        return e3c.read_columns(*_place(data, part), tag=self.tag, label=self.label)


class Negation(StepOptions):
    """The columns of CAS and ESSAI; a part is a file (`readers.negation.read`)."""

    format: Literal["negation"] = "negation"
    what: Literal["spans", "sentence"] = Field("spans", description="cues and scopes, or whether there are any")
    strict: bool = Field(True, description="an unknown tag is an error; otherwise it is counted and says nothing")

    def read(self, data: Path, part: str) -> Split:
        """The sentences of a file."""
        return negation.read(data, part, sentence=self.what == "sentence", strict=self.strict)


class Table(StepOptions):
    """Texts with labels in CSV, TSV, JSON or JSONL; a part is a file (`readers.tables.read`)."""

    format: Literal["table"] = "table"
    id: str = Field("", description="the column of names; rows are numbered unless given")
    text: str = Field("text", min_length=1, description="the column of texts")
    labels: str = Field("label", min_length=1, description="the column of labels")
    separator: str = Field("", description="what parts several labels in a cell; `[]`: they are written as a list")
    group: str = Field("", description="the column of what belongs together, such as a patient")
    delimiter: str = Field("", max_length=1, description="what parts columns; by the file's ending unless given")
    part: str = Field("", description="a column that says which part a row is of; `file` says then where they are")
    file: str = Field("", description="the file, where `part` is a column")
    texts: str = Field("", description="another file with the texts, by the same ids")
    unlabelled: bool = Field(False, description="a text may have no label")
    same_id: tables.SameId = Field("refuse", description="two rows of one id: an error, or they get a number")

    def read(self, data: Path, part: str) -> Split:
        """The rows of a file."""
        return tables.read(
            data,
            self.file if self.part else part,
            columns=tables.Columns(self.id, self.text, self.labels, self.group),
            separator=self.separator,
            delimiter=self.delimiter,
            only=(self.part, part) if self.part else None,
            texts=self.texts,
            unlabelled=self.unlabelled,
            same_id=self.same_id,
        )


class Questions(StepOptions):
    """Questions with choices in JSON; a part is a file (`readers.tables.read_questions`)."""

    format: Literal["questions"] = "questions"
    same_id: tables.SameId = Field("refuse", description="two questions of one id: an error, or they get a number")

    def read(self, data: Path, part: str) -> Split:
        """The questions of a file."""
        return tables.read_questions(data, part, same_id=self.same_id)


class Senses(StepOptions):
    """Words with several senses in JSONL; a part is a file (`readers.tables.read_senses`)."""

    format: Literal["senses"] = "senses"

    def read(self, data: Path, part: str) -> Split:
        """The sentences of a file."""
        return tables.read_senses(data, part)


class Numbers(StepOptions):
    """Numbers and what they measure in JSONL; a part is a file (`readers.tables.read_numbers`)."""

    format: Literal["numbers"] = "numbers"

    def read(self, data: Path, part: str) -> Split:
        """The texts of a file."""
        return tables.read_numbers(data, part)


class Jats(StepOptions):
    """Articles in JATS with their type; a part is a folder or a file (`readers.articles.read`)."""

    format: Literal["jats"] = "jats"
    only: tuple[str, ...] = Field((), description="the types that are read; articles of others are counted")

    def read(self, data: Path, part: str) -> Split:
        """The articles of a folder."""
        return articles.read(data, part, only=self.only)


class Python(StepOptions):
    """A function of one's own: ``read(data: Path, part: str, **options) -> Split``."""

    format: Literal["python"] = "python"
    function: str = Field(description="`module:name`, or `file.py:name` beside the task; in Python the function itself")
    options: dict[str, Any] = Field(default={}, description="more of its arguments")

    @field_validator("function", mode="before")
    @classmethod
    def _named(cls, function: Any, info: ValidationInfo) -> Any:
        """The name of a function, so that the task can be written down; files where the task is."""
        if code := getattr(function, "__code__", None):
            function = f"{code.co_filename}:{function.__qualname__}"
        if not isinstance(function, str):
            return function
        place, _, name = function.rpartition(":")
        if not place or not name.isidentifier():
            raise ValueError(f"a function is `module:name` or `file.py:name`, at the top level there; not {function!r}")
        beside = (info.context or {}).get("folder")
        return f"{Path(beside, place)}:{name}" if beside and place.endswith(".py") else function

    def read(self, data: Path, part: str) -> Split:
        """What the function returns."""
        split = self._found()(data, part, **self.options)
        if not isinstance(split, Split):
            raise TaskError(
                f"{self.function} returns {type(split).__name__}: let it return Split(documents, Counter())"
            )
        return split

    def _found(self) -> Callable[..., Any]:
        place, _, name = self.function.rpartition(":")
        try:
            module = _loaded(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        except ImportError as error:
            raise TaskError(f"the loader {self.function} is not to be had: {error}") from None
        function = getattr(module, name, None)
        if not callable(function):
            raise TaskError(f"the loader {self.function}: there is no function {name} in {place}")
        return function  # type: ignore[no-any-return]


#: How the data of a task is read.
Loader = Annotated[
    Brat | Conll | E3C | E3CColumns | Negation | Table | Questions | Senses | Numbers | Jats | Python,
    Field(discriminator="format"),
]

#: The loaders by the name of their format.
FORMATS: dict[str, type[StepOptions]] = {
    loader.model_fields["format"].default: loader
    for loader in (Brat, Conll, E3C, E3CColumns, Negation, Table, Questions, Senses, Numbers, Jats, Python)
}


def from_file(path: Path) -> Any:
    """The module that a Python file is.

    Raises:
        TaskError: there is no such file, or it fails.
    """
    if not path.is_file():
        raise TaskError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location(f"corpuskit_task_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as for any module: what the file does may look for it
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a file of somebody's own may do
        del sys.modules[spec.name]
        raise TaskError(f"{path}: {type(error).__name__}: {error}") from None
    return module


def _loaded(path: Path) -> Any:
    """The module that a Python file is; not run again if it has been, as the program that is running may be it."""
    for module in list(sys.modules.values()):
        if (file := getattr(module, "__file__", None)) and Path(file).absolute() == path.absolute():
            return module
    return from_file(path)


def _place(data: Path, part: str) -> tuple[Path, str]:
    """Where a part is that may be a file or a folder, and the folder to look for where it is in an archive."""
    return (data / part, "") if part and (data / part).is_file() else (data, part)
