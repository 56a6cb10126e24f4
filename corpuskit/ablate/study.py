"""A study as a YAML file: the variants of each axis, what is done with them, and the units of work that follow.

The grid is the product of corpora, samples and starts. Each distinct build, sample, tokenizer, pretraining and
evaluation in it is a unit, done once however many runs need it, and named after the variants that decide it.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError, field_validator, model_validator

from corpuskit import config as building
from corpuskit import settings
from corpuskit.evaluate import protocol as protocols
from corpuskit.evaluate import tasks
from corpuskit.evaluate.loaders import Python
from corpuskit.evaluate.records import TaskError
from corpuskit.evaluate.scoring import check
from corpuskit.pretrain import config as pretraining
from corpuskit.sample import recipe as recipes
from corpuskit.sample.recipe import ANNOTATION
from corpuskit.steps import StepOptions

#: What a variant may be called: it becomes a part of the names of folders.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
AXES = ("corpora", "samples", "starts")
#: The levels of a study, each after the one before it.
LEVELS = ("corpora", "labels", "samples", "tokenizers", "models", "results")
#: What stands for what comes with corpuskit.
DEMO = "demo"
_SAMPLES = Path(__file__).parents[1] / "samples"


class StudyError(Exception):
    """A study that cannot be; the message says why and what to do."""


class Corpus(StepOptions):
    """A corpus: one that is there, or a build."""

    path: str | None = Field(None, description="a folder that is there already")
    build: str | dict[str, Any] | None = Field(
        None, description="configuration of `corpuskit build`: a file, what would stand in one, or `demo`"
    )
    change: dict[str, Any] = Field(default={}, description="options of the build that are other than there")
    annotations: list[str] = Field(default=[], description="what `corpuskit enrich` or `label` wrote about it")

    @model_validator(mode="after")
    def _one(self) -> Corpus:
        if (self.path is None) == (self.build is None):
            raise ValueError("give either `path` (a corpus that is there) or `build` (a configuration)")
        if self.path is not None and self.change:
            raise ValueError("`change` is for a build: a corpus that is there stays as it is")
        return self


class Sample(StepOptions):
    """What is drawn from a corpus."""

    recipe: str = Field(description="name of a recipe, or its file")
    change: dict[str, Any] = Field(default={}, description="settings of the recipe that are other than there")


class Learnt(StepOptions):
    """A tokenizer that is learnt within the study."""

    vocabulary: int = Field(32_000, ge=1, description="entries, special ones among them")
    model_type: Literal["unigram", "bpe"] = Field("unigram", description="unigram (as CamemBERT) or bpe")
    corpus: str | None = Field(None, description="the corpus to learn it from; what each model is trained on if none")
    max_length: int = Field(512, ge=1, description="tokens of a text, as models are told")
    held_out: float = Field(1.0, gt=0, lt=100, description="per cent of the articles that it is measured on")


class Start(StepOptions):
    """Where pretraining begins, and what is other in it than for the other starts."""

    model: str | None = Field(None, description="continual: a Hugging Face model, its name or a folder")
    revision: str | None = Field(None, description="of that model on the Hub")
    architecture: dict[str, Any] | None = Field(None, description="from scratch; the configuration's unless given")
    tokenizer: str | Learnt | None = Field(None, description="from scratch: a name, a folder, or what is to be learnt")
    config: str | None = Field(None, description="another configuration than the study's")
    change: dict[str, Any] = Field(default={}, description="options that are other than there")

    @model_validator(mode="after")
    def _one(self) -> Start:
        if self.model is not None and (self.architecture is not None or self.tokenizer is not None):
            raise ValueError("give either `model` (to go on from it) or `architecture` and `tokenizer` (from scratch)")
        return self


class Pretraining(StepOptions):
    """How all models are trained, unless a start says otherwise."""

    config: str = Field(description="name of a configuration that comes along, or its file")
    change: dict[str, Any] = Field(default={}, description="options that are other than there")


class Evaluation(StepOptions):
    """How all models are evaluated."""

    tasks: list[str] = Field(min_length=1, description="names of tasks, or their files")
    data: str = Field(description="folder of their data; `demo` for what comes along")
    protocol: str = Field("camembert-bio", description="name of a protocol, or its file")
    change: dict[str, Any] = Field(default={}, description="options of the protocol that are other than there")
    seeds: int | None = Field(None, ge=1, description="runs of each task; as many as the protocol says unless given")
    limit: int | None = Field(None, ge=1, description="so many documents of test")


class Evaluated(StepOptions):
    """A system that is only evaluated."""

    model: str = Field(description="what --model of `corpuskit evaluate` takes")
    shots: int = Field(0, ge=0, description="LLM: examples of train that it is shown")
    api: Literal["chat", "completions"] = Field("chat", description="LLM: chat, or completions for a base model")
    structure: Literal["response_format", "structured_outputs", "none"] = Field(
        "response_format", description="LLM: how its server is given the JSON schema"
    )
    concurrency: int = Field(16, ge=1, description="LLM: questions in flight at a time")
    watts: float | None = Field(None, ge=0, description="LLM: power of its server, in W")
    parameters: int | None = Field(None, ge=1, description="LLM: how many it has")

    @model_validator(mode="after")
    def _asked(self) -> Evaluated:
        if not self.model.startswith("llm:") and (given := self.model_fields_set - {"model"}):
            raise ValueError(f"`{min(given)}` is for a model that is asked (llm:URL#NAME), not for {self.model}")
        return self


class Study(StepOptions):
    """The whole of it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="what the study is called")
    description: str = Field("", description="what it asks, in a line")
    corpora: dict[Name, Corpus] = Field(default={}, description="by name")
    student: str | None = Field(None, description="labels each corpus that a recipe needs labels of")
    samples: dict[Name, Sample | None] = Field(
        default={"whole": None}, description="by name; a recipe, or nothing for the corpus as it is"
    )
    starts: dict[Name, Start] = Field(default={}, description="by name")
    pretrain: Pretraining | None = Field(None, description="of all models")
    models: dict[Name, Evaluated] = Field(default={}, description="only evaluated, by name")
    evaluate: Evaluation
    only: list[dict[str, list[str]]] = Field(default=[], description="variants by axis: runs of none of these are left")
    without: list[dict[str, list[str]]] = Field(default=[], description="variants by axis: runs that are left out")
    baseline: str | None = Field(None, description="the run that the others are compared with, the first unless given")

    @field_validator("samples", mode="before")
    @classmethod
    def _recipes(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: {"recipe": one} if isinstance(one, str) else one for name, one in given.items()}

    @field_validator("models", mode="before")
    @classmethod
    def _systems(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: {"model": one} if isinstance(one, str) else one for name, one in given.items()}

    @field_validator("only", "without", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        if not isinstance(given, list):
            return given
        return [
            {axis: [one] if isinstance(one, str) else one for axis, one in some.items()}
            if isinstance(some, dict)
            else some
            for some in given
        ]

    @model_validator(mode="after")
    def _agree(self) -> Study:
        for field in ("only", "without"):
            for axis, variants in ((axis, some[axis]) for some in getattr(self, field) for axis in some):
                if axis not in AXES:
                    raise ValueError(f"{field}: there is no axis {axis!r}; they are {', '.join(AXES)}")
                for variant in variants:
                    if variant not in (known := getattr(self, axis)):
                        raise ValueError(f"{field}.{axis}: {_no_such(variant, known)}")
        if bool(self.corpora) != bool(self.starts):
            there, missing = ("corpora", "starts") if self.corpora else ("starts", "corpora")
            raise ValueError(f"there are {there} and no {missing}: give both, or only `models` to evaluate")
        if self.starts and self.pretrain is None and any(start.config is None for start in self.starts.values()):
            raise ValueError("pretrain: missing; add the configuration of all models, such as {config: camembert-bio}")
        for name, start in self.starts.items():
            learnt = start.tokenizer
            if isinstance(learnt, Learnt) and learnt.corpus is not None and learnt.corpus not in self.corpora:
                raise ValueError(f"starts.{name}.tokenizer.corpus: {_no_such(learnt.corpus, self.corpora)}")
        named = [run for run, _ in self.grid()] + list(self.models)
        if not named:
            raise ValueError("not one run is left: give `corpora` and `starts`, or `models`, or ask for less in `only`")
        if self.baseline is not None and self.baseline not in named:
            raise ValueError(f"baseline: {_no_such(self.baseline, named)}")
        return self

    def grid(self) -> Iterator[tuple[str, dict[str, str]]]:
        """The runs that models are made for: what each is called, and its variant of each axis."""
        for variants in itertools.product(*(getattr(self, axis) for axis in AXES)):
            one = dict(zip(AXES, variants, strict=True))
            if self.only and not any(_among(one, some) for some in self.only):
                continue
            if not any(_among(one, some) for some in self.without):
                yield ".".join(variants), one


def _among(run: Mapping[str, str], wanted: Mapping[str, Collection[str]]) -> bool:
    return all(run[axis] in variants for axis, variants in wanted.items())


def _no_such(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"there is no {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class Unit:
    """Something to be done once.

    Attributes:
        level: which of :data:`LEVELS`.
        name: the variants that decide it.
        spec: all that decides what comes of it, beside what it reads; what JSON can hold.
        reads: what it reads, by what it is called there: other units (``corpora/clean``), and folders or files.
    """

    level: str
    name: str
    spec: dict[str, Any]
    reads: dict[str, str]

    @property
    def id(self) -> str:
        """What it is called, and its folder in that of the study."""
        return f"{self.level}/{self.name}"


@dataclass(frozen=True, slots=True)
class Run:
    """A line of the table.

    Attributes:
        name: the names of its variants, or that of the model.
        variants: by axis; none for a model that is only evaluated.
        units: that it needs, in the order in which they are done; its result is the last.
    """

    name: str
    variants: dict[str, str]
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A study taken apart."""

    study: Study
    runs: tuple[Run, ...]
    units: dict[str, Unit]

    def level(self, name: str) -> list[Unit]:
        """The units of a level."""
        return [unit for unit in self.units.values() if unit.level == name]

    def shared(self, unit: Unit) -> int:
        """How many runs need it."""
        return sum(unit.id in run.units for run in self.runs)


def shipped() -> dict[str, Path]:
    """The studies that come with corpuskit, by name."""
    return settings.shipped("ablations", "pipelines/ablations")


def load(name: str | Path) -> Plan:
    """Read a study, and take it apart; relative paths are taken from its file's own folder.

    Args:
        name: of one that comes with corpuskit, or a YAML file.

    Raises:
        StudyError: it is missing, no YAML or invalid, or what it names is; the message names each field.
    """
    path = shipped().get(str(name)) or Path(name)
    return validate(read(path), path.parent, str(path))


def read(name: str | Path) -> dict[str, Any]:
    """What a study says, not checked yet.

    Raises:
        StudyError: it is missing, or no YAML.
    """
    path = shipped().get(str(name)) or Path(name)

    def missing() -> str:
        return settings.along("those", name, shipped())

    return {"name": path.stem} | settings.read(path, StudyError, "`corpora:`, `starts:` and `evaluate:`", missing)


def validate(content: dict[str, Any], folder: Path = Path(), where: str = "the study") -> Plan:
    """Check a study given as a dict, and take it apart.

    Raises:
        StudyError: it is invalid, or what it names is; the message names each field.
    """
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise StudyError(settings.refusal(where, error, _explain)) from None
    return _Planner(study, folder.absolute(), where).plan()


_PARTS: dict[str, type[BaseModel]] = {
    "corpora": Corpus, "samples": Sample, "starts": Start, "models": Evaluated, "pretrain": Pretraining,
    "evaluate": Evaluation, "tokenizer": Learnt,
}  # fmt: skip


def _explain(problem: Any) -> str:
    """One line for a person: the field, what is wrong with it, how to mend it."""
    # Of a value that may be of several types, pydantic names each type in a last part of the place.
    way = [str(part) for part in problem["loc"] if str(part) not in ("Learnt", "str", "dict[str,any]", "[key]")]
    model: type[BaseModel] = Study
    for part in way[:-1]:
        model = _PARTS.get(part, model)
    place = ".".join(way) or "(top level)"
    match problem["type"]:
        case "extra_forbidden":
            return f"{place}: {settings.no_such_option(way[-1], model.model_fields)}"
        case "missing":
            described = model.model_fields[way[-1]].description or f"{', '.join(Evaluation.model_fields)}"
            return f"{place}: missing; add it ({described})"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{place}: expected fields, such as {{{', '.join(list(model.model_fields)[:3])}}}"
        case "string_pattern_mismatch":
            return f"{place}: a name is of letters, digits, - and _ (given: {problem['input']!r})"
        case "value_error" if not way:
            return settings.said({"msg": problem["msg"]})
    return f"{place}: {settings.said(problem)}"


class _Planner:
    """Takes a study apart, and checks what it names."""

    def __init__(self, study: Study, folder: Path, where: str) -> None:
        self._study, self._folder, self._where = study, folder, where
        self._units: dict[str, Unit] = {}
        self._wrong: list[str] = []

    def plan(self) -> Plan:
        evaluation = self._checked("evaluate", self._evaluation)
        if (student := self._study.student) is not None:
            self._checked("student", lambda: self._there(student))
        corpora = {name: self._checked(f"corpora.{name}", lambda one=one, name=name: self._corpus(name, one))
                   for name, one in self._study.corpora.items()}  # fmt: skip
        drawn = {name: self._checked(f"samples.{name}", lambda one=one: self._recipe(one))
                 for name, one in self._study.samples.items()}  # fmt: skip
        trained = {name: self._checked(f"starts.{name}", lambda one=one, name=name: self._training(name, one))
                   for name, one in self._study.starts.items()}  # fmt: skip
        if self._wrong:
            raise StudyError("\n".join([f"{self._where} cannot be used:", *(f"  - {line}" for line in self._wrong)]))
        found = []
        for name, variants in self._study.grid():
            corpus, sample, start = (variants[axis] for axis in AXES)
            needed: list[str] = []
            data = self._data(corpus, corpora[corpus], sample, drawn[sample], needed)
            tokenizer = self._tokenizer(corpus, corpora, sample, start, data, needed)
            model = self._model(name, self._study.starts[start], trained[start], data, tokenizer, needed)
            self._result(name, {"model": model}, {}, evaluation, needed)
            found.append(Run(name, variants, tuple(dict.fromkeys(needed))))
        for name, one in self._study.models.items():
            needed = []
            place = self._folder / one.model
            reads = {"model": str(place)} if place.exists() else {}
            self._result(name, reads, one.model_dump(mode="json", exclude_unset=True), evaluation, needed)
            found.append(Run(name, {}, tuple(needed)))
        if self._wrong:
            lines = dict.fromkeys(self._wrong)
            raise StudyError("\n".join([f"{self._where} cannot be used:", *(f"  - {line}" for line in lines)]))
        return Plan(self._study, tuple(found), self._units)

    def _checked(self, place: str, look: Any) -> Any:
        """What ``look`` finds; what it refuses is noted, so that all of it is told together."""
        known = (StudyError, building.ConfigError, recipes.SampleError, pretraining.PretrainError, TaskError)
        try:
            return look()
        except known as error:
            self._wrong.append(f"{place}: " + str(error).replace("\n", "\n    "))
            return None

    def _add(self, unit: Unit, needed: list[str]) -> str:
        self._units.setdefault(unit.id, unit)
        needed.append(unit.id)
        return unit.id

    def _path(self, given: str) -> str:
        return given if "://" in given else str(self._folder / Path(given).expanduser())

    def _there(self, given: str) -> str:
        path = self._path(given)
        if not Path(path).exists():
            raise StudyError(f"{path}: there is no such folder")
        return path

    def _named(self, given: str, known: Mapping[str, Path]) -> str:
        """A name of what comes along, or a file; what is neither as it was given, for whoever says so."""
        path = self._path(given)
        return path if given not in known and Path(path).exists() else given

    # What is checked once ------------------------------------------------------------------------------------------

    def _corpus(self, name: str, one: Corpus) -> dict[str, Any]:
        """Where it is, or what is to be built, and what labels it."""
        labels = [self._there(path) for path in one.annotations]
        if one.path is not None:
            return {"reads": self._there(one.path), "labels": labels}
        if isinstance(one.build, dict):
            content = _located(one.build, self._folder)
        else:
            file = str(_SAMPLES / "demo.yaml") if one.build == DEMO else self._path(str(one.build))
            content = building.read(file)
        content = merged(content, _located(one.change, self._folder))
        building.validate(content, "the build")
        spec = {"config": content}
        unit = Unit("corpora", name, spec, _inputs(content))
        return {"reads": unit.id, "labels": labels, "unit": unit}

    def _recipe(self, one: Sample | None) -> recipes.Recipe | None:
        if one is None:
            return None
        recipe = recipes.load(self._named(one.recipe, recipes.shipped()))
        content = recipe.model_dump(mode="json", exclude_unset=True)
        return recipes.validate(merged(content, one.change), one.recipe)

    def _training(self, name: str, one: Start) -> dict[str, Any]:
        """The configuration of a start, without the data and a tokenizer that comes of the study."""
        common = self._study.pretrain
        given = one.config or (common.config if common else "")
        config = pretraining.load(self._named(given, pretraining.shipped()))
        content = config.model_dump(mode="json", exclude_unset=True)
        if common and one.config in (None, common.config):
            content = merged(content, common.change)
        content = merged(content, one.change) | {"name": name}
        start = content["start"]
        if one.model is not None:
            place = self._folder / one.model
            start = {"model": str(place) if place.exists() else one.model, "revision": one.revision}
        elif one.architecture is not None or one.tokenizer is not None:
            start = {key: value for key, value in start.items() if key not in ("model", "revision")}
            start["architecture"] = one.architecture or start.get("architecture")
            if isinstance(one.tokenizer, str):
                place = self._folder / one.tokenizer
                start["tokenizer"] = str(place) if place.exists() else one.tokenizer
            elif one.tokenizer is not None:
                start["tokenizer"] = "learnt"
        content["start"] = start
        content["data"] = content.get("data", {}) | {"sources": []}
        for watched in content["data"].get("watched", ()):
            watched["path"] = self._there(watched["path"])
        pretraining.validate(content, given)
        return content

    def _evaluation(self) -> dict[str, Any]:
        one = self._study.evaluate
        data = str(_SAMPLES / "tasks") if one.data == DEMO else self._there(one.data)
        wanted = [self._named(task, tasks.shipped()) for task in one.tasks]
        rules = protocols.load(self._named(one.protocol, protocols.shipped()), **one.change)
        declared = [tasks.load(task) for task in wanted]
        for at, task in enumerate(declared):
            if task.name in (before.name for before in declared[:at]):
                raise StudyError(f"the task {task.name} is given twice")
            check(task, rules)
        functions = [task.loader.function for task in declared if isinstance(task.loader, Python)]
        files = [place for place, _, _ in (one.rpartition(":") for one in functions) if place.endswith(".py")]
        return {
            "reads": {"tasks": data} | {f"loader {at}": file for at, file in enumerate(files)},
            "spec": {
                "tasks": wanted,
                "declared": [task.model_dump(mode="json") for task in declared],
                "protocol": rules.model_dump(mode="json"),
                "seeds": one.seeds or rules.seeds,
                "limit": one.limit,
            },
        }

    # What each run needs -------------------------------------------------------------------------------------------

    def _data(self, corpus: str, told: Any, sample: str, recipe: recipes.Recipe | None, needed: list[str]) -> str:
        """What a model is trained on: a corpus, or a sample of one."""
        source: str = told["reads"]
        if "unit" in told:
            self._add(told["unit"], needed)
        if recipe is None:
            return source
        reads = {"source": source} | {f"annotations {at}": path for at, path in enumerate(told["labels"])}
        if any(field.startswith(ANNOTATION) for field in recipe.fields) and not told["labels"]:
            if self._study.student is None:
                field = next(field for field in recipe.fields if field.startswith(ANNOTATION))
                self._wrong.append(
                    f"samples.{sample}: the recipe reads `{field}`, and corpora.{corpus} has no labels: give it "
                    "`annotations`, or the study a `student`"
                )
                return source
            labels = Unit("labels", corpus, {}, {"source": source, "student": self._path(self._study.student)})
            reads["annotations 0"] = self._add(labels, needed)
        spec = {"recipe": recipe.model_dump(mode="json")}
        return self._add(Unit("samples", f"{corpus}.{sample}", spec, reads), needed)

    def _tokenizer(
        self, corpus: str, corpora: Mapping[str, Any], sample: str, start: str, data: str, needed: list[str]
    ) -> str | None:
        """The tokenizer that is learnt for a model, None where it needs none."""
        learnt = self._study.starts[start].tokenizer
        if not isinstance(learnt, Learnt):
            return None
        name, source = f"{corpus}.{sample}.{start}", data
        if learnt.corpus is not None:
            name, source = f"{learnt.corpus}.{start}", corpora[learnt.corpus]["reads"]
            if "unit" in corpora[learnt.corpus]:
                self._add(corpora[learnt.corpus]["unit"], needed)
        spec = learnt.model_dump(mode="json", exclude={"corpus"})
        return self._add(Unit("tokenizers", name, spec, {"source": source}), needed)

    def _model(
        self, name: str, start: Start, config: dict[str, Any], data: str, tokenizer: str | None, needed: list[str]
    ) -> str:
        reads = {"data": data}
        if tokenizer is not None:
            reads["tokenizer"] = tokenizer
        given = config["start"]
        if given.get("model") and Path(given["model"]).exists():
            reads["model"] = given["model"]
        if given.get("tokenizer") and Path(given["tokenizer"]).exists():
            reads.setdefault("tokenizer", given["tokenizer"])
        reads |= {f"watched {at}": one["path"] for at, one in enumerate(config["data"].get("watched", ()))}
        return self._add(Unit("models", name, {"config": config | {"name": name}}, reads), needed)

    def _result(
        self, name: str, reads: dict[str, str], spec: dict[str, Any], evaluation: Any, needed: list[str]
    ) -> None:
        self._add(Unit("results", name, {"system": spec} | evaluation["spec"], reads | evaluation["reads"]), needed)


def merged(content: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with some of them changed: fields of fields one by one, lists and values whole."""
    found = dict(content)
    for name, value in change.items():
        before = found.get(name)
        found[name] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found


def _located(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What a build says, with the paths in it taken from a folder."""
    found = dict(content)
    if isinstance(sources := found.get("sources"), list):
        found["sources"] = [_absolute(one, folder) for one in sources]
    clean = found.get("clean")
    asked = clean.get("decontaminate") if isinstance(clean, dict) else None
    if isinstance(clean, dict) and isinstance(asked, dict) and isinstance(asked.get("tests"), list):
        tests = [_absolute(one, folder) for one in asked["tests"]]
        found["clean"] = {**clean, "decontaminate": {**asked, "tests": tests}}
    return found


def _absolute(one: Any, folder: Path) -> Any:
    path = one.get("path") if isinstance(one, dict) else None
    if not isinstance(path, str) or "://" in path:
        return one
    return one | {"path": str(folder / Path(path).expanduser())}


def _inputs(content: Mapping[str, Any]) -> dict[str, str]:
    """The files that a build reads."""
    asked = (content.get("clean") or {}).get("decontaminate") or {}
    paths = [one["path"] for one in (*content["sources"], *asked.get("tests", ()))]
    return {f"input {at}": path for at, path in enumerate(paths)}
