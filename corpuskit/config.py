"""The configuration of a build: validated, and explained to the person who wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import (
    BaseModel,
    Field,
    SerializationInfo,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from corpuskit import settings
from corpuskit.clean.encoding import EncodingOptions
from corpuskit.clean.gopher import GopherOptions
from corpuskit.clean.kinds import KindOptions
from corpuskit.clean.language import LanguageOptions
from corpuskit.clean.mask import MaskOptions
from corpuskit.clean.ocr import OcrOptions
from corpuskit.clean.quality import QualityOptions
from corpuskit.clean.repetition import RepetitionOptions
from corpuskit.dedup.boilerplate import BoilerplateOptions
from corpuskit.dedup.contamination import DecontaminateOptions
from corpuskit.dedup.near import NearOptions
from corpuskit.settings import no_such_option
from corpuskit.sources import READERS
from corpuskit.sources.base import SourceOptions, SourceReader
from corpuskit.sources.sample import SampleOptions
from corpuskit.steps import StepOptions


class ConfigError(Exception):
    """A configuration that cannot be used; the message names each field and how to mend it."""


class Source(StepOptions):
    """One source: which reader, and its options."""

    type: str
    options: SourceOptions

    @model_validator(mode="before")
    @classmethod
    def _choose_reader(cls, value: Any) -> Any:
        if not isinstance(value, dict) or isinstance(value.get("options"), SourceOptions):
            return value
        name = value.get("type")
        if not isinstance(name, str) or name not in READERS:
            raise ValueError(f"type is {name!r}; the sources are {', '.join(READERS)}")
        settings = {key: setting for key, setting in value.items() if key != "type"}
        return {"type": name, "options": READERS[name].Options(**settings)}

    @model_serializer
    def _flat(self, info: SerializationInfo) -> dict[str, Any]:
        """As it is written in a configuration."""
        return {"type": self.type} | self.options.model_dump(mode=info.mode, exclude_unset=info.exclude_unset)

    def reader(self, limit: int = -1) -> SourceReader:
        """The datatrove reader of this source."""
        return READERS[self.type](limit=limit, **self.options.model_dump(exclude_unset=True))


class CleanConfig(StepOptions):
    """The cleaning steps, in the order they run."""

    kind: KindOptions = KindOptions()
    encoding: EncodingOptions = EncodingOptions()
    mask: MaskOptions = Field(default=MaskOptions(kinds=[]), description="what to mask: nothing unless asked")
    language: LanguageOptions = LanguageOptions()
    ocr: OcrOptions = OcrOptions()
    quality: QualityOptions = QualityOptions()
    repetition: RepetitionOptions = RepetitionOptions()
    gopher: GopherOptions | None = Field(
        None, description="Gopher's rules for whole articles, on datatrove's terms; null: not asked"
    )
    decontaminate: DecontaminateOptions | None = Field(None, description="test sets to keep out of the corpus")


class DedupConfig(StepOptions):
    """What is recognised across the whole corpus."""

    articles: bool = Field(True, description="join records of one article by id, then title, year and first author")
    paragraphs: bool = Field(True, description="keep one of several paragraphs with exactly the same text")
    near: NearOptions | None = Field(
        NearOptions(), description="keep one of several articles, and paragraphs, with nearly the same text; null: all"
    )
    boilerplate: BoilerplateOptions | None = Field(
        BoilerplateOptions(), description="drop short paragraphs that stand in many articles; null: keep them"
    )


class OutputConfig(StepOptions):
    """How the data set is laid out."""

    words_per_shard: int = Field(
        5_000_000, gt=0, description="words read for one shard, kept or not; about 30 MB of text"
    )


class BuildConfig(StepOptions):
    """Everything that decides what a build writes (where to and how fast are not part of it)."""

    language: str = Field("fr", description="ISO 639-1 code of the language to keep, or `any`")
    sources: list[Source] = Field(min_length=1, description="where the text comes from; earlier ones win ties")
    sample: SampleOptions = Field(SampleOptions(), description="a random share of the articles: all unless asked")
    clean: CleanConfig = CleanConfig()
    dedup: DedupConfig = DedupConfig()
    output: OutputConfig = OutputConfig()

    @field_validator("language")
    @classmethod
    def _known_language(cls, value: str) -> str:
        if value != "any" and not (len(value) == 2 and value.isascii() and value.islower()):
            raise ValueError(f"{value!r} is neither an ISO 639-1 code such as 'fr' nor 'any'")
        return value

    @model_validator(mode="after")
    def _one_language(self) -> BuildConfig:
        """The top-level language reaches the step and the sources that have not been told otherwise."""
        if "keep" not in self.clean.language.model_fields_set:
            clean = self.clean.model_copy(update={"language": _with(self.clean.language, keep=self.language)})
            object.__setattr__(self, "clean", clean)
        sources = []
        for source in self.sources:
            options = source.options
            if "languages" in type(options).model_fields and "languages" not in options.model_fields_set:
                wanted = [] if self.language == "any" else [self.language]
                options = _with(options, languages=wanted)
            sources.append(source.model_copy(update={"options": options}))
        object.__setattr__(self, "sources", sources)
        return self


_Settings = TypeVar("_Settings", bound=StepOptions)


def _with(options: _Settings, **changed: Any) -> _Settings:
    """The same options, some of them changed, validated again."""
    return type(options).model_validate(options.model_dump(exclude_unset=True) | changed)


def load(path: str | Path) -> BuildConfig:
    """Read a YAML configuration; relative source paths are taken from the file's own folder.

    Raises:
        ConfigError: it is missing, no YAML, or invalid.
    """
    return validate(read(path), str(path))


def read(path: str | Path) -> dict[str, Any]:
    """What a YAML configuration says, not checked yet, with the paths in it taken from the file's own folder.

    Raises:
        ConfigError: it is missing, or no YAML.
    """
    path = Path(path)
    content = settings.read(path, ConfigError, "`language:` and `sources:`")
    given = content.get("sources")
    for source in given if isinstance(given, list) else ():
        if isinstance(source, dict) and isinstance(source.get("path"), str) and "://" not in source["path"]:
            source["path"] = str(path.parent / Path(source["path"]).expanduser())
    _resolve(content.get("clean"), path.parent)
    return content


def _resolve(clean: Any, folder: Path) -> None:
    """Take the paths of test sets from a folder."""
    asked = clean.get("decontaminate") if isinstance(clean, dict) else None
    tests = asked.get("tests") if isinstance(asked, dict) else None
    for test in tests if isinstance(tests, list) else ():
        if isinstance(test, dict) and isinstance(test.get("path"), str):
            test["path"] = str(folder / Path(test["path"]).expanduser())


def validate(content: dict[str, Any], where: str = "the configuration") -> BuildConfig:
    """Check a configuration given as a dict.

    Raises:
        ConfigError: naming every field that is wrong, what was expected and what is near.
    """
    try:
        return BuildConfig.model_validate(content)
    except ValidationError as error:
        told = settings.refusal(where, error, lambda problem: explain(problem, content))
        raise ConfigError(told) from None


def explain(problem: Any, content: Any) -> str:
    """One line for a person: the field, what is wrong with it, how to mend it."""
    location = list(problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{_dotted(location)}: {no_such_option(str(location[-1]), _fields_at(location[:-1], content))}"
    if problem["type"] == "missing":
        return f"{_dotted(location)}: missing; add it"
    if problem["type"] in ("model_type", "dict_type"):
        problem = problem | {"msg": "expected fields, such as {type: jsonl, path: cases.jsonl}"}
    if problem["type"] == "list_type":
        problem = problem | {"msg": "expected a list, such as [{type: jsonl, path: cases.jsonl}]"}
    return f"{_dotted(location)}: {settings.said(problem)}"


def _dotted(location: list[str | int]) -> str:
    dotted = ""
    for part in location:
        dotted += f"[{part}]" if isinstance(part, int) else f".{part}" if dotted else part
    return dotted or "(top level)"


def _fields_at(location: list[str | int], content: Any) -> list[str]:
    """The option names that are known at a place of the configuration."""
    if location[:1] == ["sources"] and len(location) > 1:
        given = content["sources"][location[1]]
        reader = READERS.get(str(given.get("type"))) if isinstance(given, dict) else None
        return ["type", *(reader.Options.model_fields if reader else ())]
    model: type[BaseModel] = BuildConfig
    for part in location:
        if not isinstance(part, int):
            kinds = model.model_fields[part].annotation
            # An option that may be null, or a list of such, is of one model and what that is wrapped in.
            model = next(kind for kind in (kinds, *get_args(kinds)) if hasattr(kind, "model_fields"))
    return list(model.model_fields)
