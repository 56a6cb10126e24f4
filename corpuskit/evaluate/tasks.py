"""Tasks: what is asked of a text, in which data, by which measure; a small YAML or Python file each.

``pipelines/tasks`` holds those that come along. A task names its loader, and which part of the data is train, dev and
test; a part that a data set does not have can be cut from another, always the same documents. There are three kinds:

- ``spans``: entities in a text (named entities, cues and scopes of negation, numbers and what they measure);
- ``labels``: one label of a text, or several (specialities, document type, negated or not);
- ``choice``: the right ones of several choices (answers to a question, senses of a word).
"""

from __future__ import annotations

import difflib
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import xxhash
from pydantic import Field, ValidationError, model_validator

from corpuskit import settings
from corpuskit.evaluate import loaders
from corpuskit.evaluate.loaders import Loader
from corpuskit.evaluate.nesting import Policy
from corpuskit.evaluate.records import Document, Split, TaskError
from corpuskit.steps import StepOptions

Part = Literal["train", "dev", "test"]
PARTS: tuple[Part, ...] = ("train", "dev", "test")


class Cut(StepOptions):
    """A part that is taken out of another one: whole groups of documents, drawn by a hash of what they are called."""

    of: Part = Field(description="the part that it is taken out of")
    share: float = Field(gt=0, lt=100, description="per cent of the documents there, at least one")
    by: Literal["group", "document"] = Field("group", description="what is kept together")


class Task(StepOptions):
    """What is asked, in which data, by which measure."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="what the task is called")
    kind: Literal["spans", "labels", "choice"] = Field(description="what an answer is")
    title: str = Field(min_length=1, description="what it is, in a line")
    source: str = Field(min_length=1, description="where the data comes from: an address, a paper")
    licence: str = Field(min_length=1, description="of the data, as its makers state it")
    data: str = Field("", description="folder or file under --data; --data itself where there is none of that name")
    loader: Loader = Field(description="how the data is read: `format` and its options")
    parts: dict[Part, str | Cut] = Field(description="where train, dev and test are, or what they are cut from")
    labels: dict[str, str] = Field(default={}, description="each label and what it means; those of train unless given")
    several: bool = Field(False, description="a text may have several labels, a question several right answers")
    layers: dict[str, str] = Field(default={}, description="spans: the layer of tags of each label; `*`: all others")
    policy: Policy | None = Field(None, description="spans: what is done with nested ones, whatever the protocol says")
    measure: str = Field("", description="the headline; strict, micro_f1, accuracy or exact_match unless given")

    @model_validator(mode="after")
    def _whole(self) -> Task:
        if missing := [part for part in PARTS if part not in self.parts]:
            raise ValueError(f"parts: {missing[0]} is missing: say where it is, or cut it ({{of: train, share: 10}})")
        for part, where in self.parts.items():
            if isinstance(where, Cut) and isinstance(self.parts.get(where.of), Cut):
                raise ValueError(f"parts: {part} is cut from {where.of}, which is itself cut: cut both from one")
        if self.kind != "spans" and (self.layers or self.policy):
            raise ValueError("layers and policy are for tasks of spans")
        return self

    @property
    def headline(self) -> str:
        """The measure that models are ranked by."""
        usual = {"spans": "strict", "labels": "micro_f1" if self.several else "accuracy", "choice": "exact_match"}
        return self.measure or usual[self.kind]


@dataclass(frozen=True, slots=True)
class Data:
    """The documents of a task."""

    train: Split
    dev: Split
    test: Split
    #: The labels of the task, in order; none where there are choices.
    labels: tuple[str, ...]

    @property
    def parts(self) -> dict[Part, Split]:
        """By name."""
        return {"train": self.train, "dev": self.dev, "test": self.test}


def shipped() -> dict[str, Path]:
    """The tasks that come with corpuskit, by name."""
    return settings.shipped("tasks", "pipelines/tasks")


def load(name: str | Path) -> Task:
    """A task by its name, or from a YAML or Python file; in Python it is what is called ``TASK`` there.

    Raises:
        TaskError: it is missing, cannot be read, or is invalid; the message names each field.
    """
    path = shipped().get(str(name)) or Path(name)
    if path.suffix == ".py":
        return _from_python(path)

    def missing() -> str:
        return settings.along("tasks", name, shipped())

    content = settings.read(path, TaskError, "`kind:`, `loader:` and `parts:`", missing)
    try:
        return Task.model_validate({"name": path.stem} | content, context={"folder": path.parent})
    except ValidationError as error:
        raise TaskError(settings.refusal(str(path), error, _explain)) from None


def _from_python(path: Path) -> Task:
    task = getattr(loaders.from_file(path), "TASK", None)
    if not isinstance(task, Task):
        raise TaskError(f"{path}: a task in Python is `TASK = Task(…)`, and there is no such thing in the file")
    return task


def _explain(problem: Any) -> str:
    place = ".".join(map(str, problem["loc"])) or "(top level)"
    match problem["type"]:
        case "extra_forbidden":
            return f"{place}: {settings.no_such_option(str(problem['loc'][-1]), _fields(problem['loc']))}"
        case "missing":
            return f"{place}: missing"
        case "union_tag_not_found":
            return f"{place}: `format` is missing: one of {', '.join(loaders.FORMATS)}"
        case "union_tag_invalid":
            given = problem["ctx"]["tag"]
            near = difflib.get_close_matches(given, loaders.FORMATS, n=1)
            mend = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(loaders.FORMATS)}"
            return f"{place}: there is no format {given!r}; {mend}"
    # What is said of the whole names its fields itself.
    return f"{place}: {settings.said(problem)}" if problem["loc"] else problem["msg"].removeprefix("Value error, ")


def _fields(place: Sequence[str | int]) -> Collection[str]:
    """The options that are known at a place."""
    match place:
        case ("loader", str(name), _):
            return loaders.FORMATS[name].model_fields
        case ("parts", *_):
            return Cut.model_fields
    return Task.model_fields


def read(task: Task, data: str | Path) -> Data:
    """Read the documents of a task, and check that they can be worked with.

    Args:
        task: which.
        data: the folder of ``--data``.

    Raises:
        TaskError: something is missing or broken, a part is empty, or test has a label that train has not (where the
            task does not list its labels); the message names the file and the line.
    """
    root = Path(data)
    if task.data and (root / task.data).exists():
        root = root / task.data
    if not root.exists():
        raise TaskError(f"task {task.name}: no data at {root}: give --data its folder (source: {task.source})")
    try:
        found = {part: task.loader.read(root, where) for part, where in task.parts.items() if isinstance(where, str)}
    except TaskError as error:
        beside = f" (there is no {task.data} at {root})" if task.data and root == Path(data) else ""
        raise TaskError(f"task {task.name}: {error}{beside}") from None
    whole = {part: split.documents for part, split in found.items()}
    cuts = {part: where for part, where in task.parts.items() if isinstance(where, Cut)}
    for part, cut in cuts.items():  # shares are of what there was, whatever else is cut from it
        taken, rest = _cut(whole[cut.of], cut, len(found[cut.of].documents), task.name)
        whole[part], whole[cut.of] = taken, rest
        found[part] = Split((), Counter())
    splits = {part: replace(found[part], documents=whole[part]) for part in PARTS}
    _check(task, splits, root)
    return Data(**splits, labels=tuple(task.labels or splits["train"].labels))


def _cut(
    documents: Sequence[Document], cut: Cut, before: int, task: str
) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    """What is taken out, and what is left, both in their order: whole groups until the share is reached."""
    groups: dict[str, list[str]] = defaultdict(list)
    for document in documents:
        groups[(cut.by == "group" and document.group) or document.id].append(document.id)
    wanted, taken = max(1, math.floor(before * cut.share / 100)), set[str]()
    for name in sorted(groups, key=lambda name: xxhash.xxh3_64_intdigest(f"{task}\0{name}")):
        if len(taken) >= wanted:
            break
        taken.update(groups[name])
    chosen = tuple(document for document in documents if document.id in taken)
    return chosen, tuple(document for document in documents if document.id not in taken)


def _check(task: Task, splits: Mapping[Part, Split], root: Path) -> None:
    for part, split in splits.items():
        if not split.documents:
            raise TaskError(f"task {task.name}: {part} is empty at {root} ({task.parts[part]})")
        twice = [id for id, times in Counter(document.id for document in split.documents).items() if times > 1]
        if twice:
            raise TaskError(f"task {task.name}: two documents of {part} are called {twice[0]!r}: rename one")
        for document in split.documents:
            if problem := _unfit(task, document):
                raise TaskError(f"task {task.name}: {document.where or document.id}: {problem}")
    if task.kind == "choice":
        return
    known = set(task.labels or splits["train"].labels)
    where = "is not one of the task's `labels`" if task.labels else "is in no document of train"
    for part, split in splits.items():
        for at, label in _labelled(split):
            if label not in known:
                raise TaskError(
                    f"task {task.name}: {at}: the label {label!r} of {part} {where}: mend it, or list it under `labels`"
                )


def _unfit(task: Task, document: Document) -> str:
    """Why a document is none of this task; "" where it is."""
    if task.kind == "spans":
        return ""
    if task.kind == "choice" and not document.choices:
        return "there is nothing to choose from: such a task needs a loader of questions or senses"
    if not task.several and len(document.labels) != 1:
        found = f"{len(document.labels)} labels ({', '.join(document.labels)})" if document.labels else "no label"
        return f"{found}, and the task takes one of each text: let `several: true` say that it takes more"
    return ""


def _labelled(split: Split) -> Iterator[tuple[str, str]]:
    """Each label, and where it stands."""
    for document in split.documents:
        yield from ((document.at(entity), entity.label) for entity in document.entities)
        yield from ((document.where or document.id, label) for label in document.labels)
