"""What a pretraining run is, as a YAML file; validated, and explained to the person who wrote it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from corpuskit import settings
from corpuskit.settings import no_such_option
from corpuskit.steps import StepOptions

#: What a manifest says wrote it.
TOOL = "corpuskit pretrain"


class PretrainError(Exception):
    """A run that cannot be; the message says why and what to do."""


class Start(StepOptions):
    """Where training starts: a model there is, or an architecture and a tokenizer."""

    model: str | None = Field(None, description="a Hugging Face model to go on from: its name, or a folder")
    revision: str | None = Field(None, description="of that model on the Hub")
    architecture: dict[str, Any] | None = Field(
        None, description="from scratch: `model_type` and the fields of its Transformers configuration"
    )
    tokenizer: str | None = Field(
        None, description="from scratch: a tokenizer's name or folder (`corpuskit tokenizer`)"
    )

    @model_validator(mode="after")
    def _one(self) -> Start:
        if (self.model is None) == (self.architecture is None):
            raise ValueError("give either `model` (to go on from it) or `architecture` (from scratch)")
        if self.architecture is not None and ("model_type" not in self.architecture or self.tokenizer is None):
            raise ValueError("from scratch needs `architecture.model_type`, such as camembert, and a `tokenizer`")
        if self.model is not None and self.tokenizer is not None:
            raise ValueError("a model that is gone on from keeps its own tokenizer: leave `tokenizer` out")
        return self


class Source(StepOptions):
    """A data set of the mixture."""

    path: str = Field(description="what `corpuskit sample`, `build` or `publish` wrote, or Parquet files with `text`")
    name: str = Field("", description="what it is called in figures; the name of its folder unless given")
    weight: float = Field(1.0, gt=0, allow_inf_nan=False, description="share of the sequences, beside the others'")
    weights: str | None = Field(None, description="a column of weights: how often a text comes, the mean being once")


class Data(StepOptions):
    """What is read, and as what."""

    sources: list[Source] = Field(default_factory=list, description="one or more; --data replaces them")
    watched: list[Source] = Field(
        default_factory=list, description="not trained on: the validation loss is measured there too (forgetting)"
    )
    unit: Literal["article", "paragraph"] = Field("article", description="a document: within it attention reaches")
    sequence_length: int = Field(512, ge=16, description="tokens of a packed sequence, special ones counted")
    held_out: float = Field(1.0, gt=0, lt=100, description="per cent of the articles that are kept for validation")


class Masking(StepOptions):
    """Which tokens a masked model has to guess."""

    rate: float | list[tuple[float, float]] = Field(
        0.15, description="share of the tokens; or [[0, 0.3], [0.5, 0.15]]: from that share of the run on"
    )
    whole_words: bool = Field(True, description="all tokens of a word or none")
    dynamic: bool = Field(True, description="masks are drawn anew each time a text comes; false: always the same")

    @field_validator("rate")
    @classmethod
    def _shares(cls, rate: Any) -> Any:
        steps = [(0.0, rate)] if isinstance(rate, float) else rate
        if not steps or steps[0][0] != 0 or any(one[0] >= other[0] for one, other in pairwise(steps)):
            raise ValueError("a schedule begins at 0 and goes up, such as [[0, 0.3], [0.5, 0.15]]")
        if not all(0 <= at < 1 and 0 < share < 1 for at, share in steps):
            raise ValueError("shares lie between 0 and 1")
        return rate

    def at(self, done: float) -> float:
        """The rate when that share of the run is done."""
        if isinstance(self.rate, float):
            return self.rate
        return [share for start, share in self.rate if start <= done][-1]


class Optimizer(StepOptions):
    """AdamW (Loshchilov & Hutter 2019) and its schedule."""

    learning_rate: float = Field(5e-5, gt=0, description="at its highest")
    betas: tuple[float, float] = Field((0.9, 0.98), description="of Adam")
    epsilon: float = Field(1e-6, gt=0, description="of Adam")
    weight_decay: float = Field(0.01, ge=0, description="on matrices")
    clip: float = Field(1.0, gt=0, description="length that a gradient is cut to")
    schedule: Literal["linear", "cosine", "one-minus-sqrt", "wsd", "constant"] = Field(
        "linear", description="how the rate falls; wsd: warm-up, stable, decay (one minus a square root)"
    )
    warmup: float = Field(0.06, ge=0, lt=1, description="share of the run in which the rate rises")
    decay: float = Field(0.2, gt=0, le=1, description="share of the run in which it falls (wsd)")

    @model_validator(mode="after")
    def _apart(self) -> Optimizer:
        if self.schedule == "wsd" and self.warmup + self.decay > 1:
            raise ValueError("warmup and decay take more than the whole run; together they may be 1")
        return self


class Budget(StepOptions):
    """When the run ends: at whichever comes first. Schedules follow `steps` or `tokens`, one of which must be there."""

    steps: int | None = Field(None, ge=1, description="steps of the optimizer")
    tokens: int | None = Field(None, ge=1, description="tokens seen")
    hours: float | None = Field(None, gt=0, description="on the clock")
    kwh: float | None = Field(None, gt=0, description="energy of this run")

    @model_validator(mode="after")
    def _planned(self) -> Budget:
        if self.steps is None and self.tokens is None:
            raise ValueError("give `steps` or `tokens`: the learning rate is planned over them")
        return self


class PretrainConfig(StepOptions):
    """Everything that decides what comes out of a run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="what the model is called")
    description: str = Field("", description="what it is, in a line, for its card")
    license: str | None = Field(
        None,
        description="of the model that comes out (SPDX); that on the card of the model it begins with unless given",
    )
    start: Start
    objective: Literal["mlm", "causal", "causal-then-mlm"] = "mlm"
    causal_share: float = Field(0.9, gt=0, lt=1, description="of causal-then-mlm: share of the run that is causal")
    data: Data = Data()
    masking: Masking = Masking()
    optimizer: Optimizer = Optimizer()
    budget: Budget
    batch_tokens: int = Field(131_072, ge=16, description="tokens of a step of the optimizer, over all devices")
    device_sequences: int = Field(16, ge=1, description="sequences that a device computes at a time")
    precision: Literal["auto", "bf16", "float32"] = Field("auto", description="auto: bf16 on a GPU that has it")
    compile: bool = Field(False, description="torch.compile")
    validate_every: int = Field(500, ge=1, description="steps between two looks at the validation loss")
    validation_sequences: int = Field(256, ge=1, description="sequences of each source that are looked at")
    checkpoint_every: int = Field(500, ge=1, description="steps between two checkpoints")
    seed: int = Field(1, ge=0, lt=2**63, description="another seed, another run")


def shipped() -> dict[str, Path]:
    """The configurations that come with corpuskit, by name."""
    return settings.shipped("configurations", "pipelines/pretrain")


def load(path: str | Path, **changed: Any) -> PretrainConfig:
    """Read a configuration.

    Args:
        path: of a YAML file, or the name of one that comes with corpuskit.
        changed: fields to put in the place of the file's own.

    Raises:
        PretrainError: it is missing, no YAML, or invalid; the message names each field.
    """
    path = shipped().get(str(path)) or Path(path)

    def missing() -> str:
        return f"there is no such file; those that come along are {', '.join(shipped())}"

    content = settings.read(path, PretrainError, "`name:` and `start:`", missing)
    return validate(content | changed, str(path))


def validate(content: dict[str, Any], where: str = "the configuration") -> PretrainConfig:
    """Check a configuration given as a dict.

    Raises:
        PretrainError: naming every field that is wrong, and how to mend it.
    """
    try:
        return PretrainConfig.model_validate(content)
    except ValidationError as error:
        raise PretrainError(settings.refusal(where, error, _explain)) from None


def _explain(problem: Any) -> str:
    """One line for a person: the field, what is wrong with it, how to mend it."""
    way = [str(part) for part in problem["loc"]]
    model: type[BaseModel] = PretrainConfig
    for part in way[:-1]:
        inner: Any = model.model_fields[part].annotation if part in model.model_fields else None
        model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else _PARTS.get(part, model)
    place = ".".join(way) or "(top level)"
    match problem["type"]:
        case "extra_forbidden":
            return f"{place}: {no_such_option(way[-1], model.model_fields)}"
        case "missing":
            return f"{place}: missing; add it ({model.model_fields[way[-1]].description or way[-1]})"
    return f"{place}: {settings.said(problem)}"


_PARTS: dict[str, type[BaseModel]] = {"sources": Source, "watched": Source}
