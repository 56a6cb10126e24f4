"""Protocols: how a model is fine-tuned and scored; those that the field has used come along, by name.

``pipelines/protocols`` holds ``camembert-bio`` (the default), ``drbert``, ``drbenchmark`` and ``bannour``, each with
where it comes from and what of it is not known. Scores of different protocols are not to be compared; every scorer
is computed under each of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from corpuskit import settings
from corpuskit.evaluate.nesting import Policy
from corpuskit.evaluate.records import TaskError
from corpuskit.steps import StepOptions


class Protocol(StepOptions):
    """Everything about fine-tuning and scoring that may move a figure."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="what it is called")
    description: str = Field("", description="where it comes from, and what of it is a guess")
    # Fine-tuning
    learning_rate: float = Field(5e-5, gt=0, description="of AdamW, at its highest")
    warmup: float = Field(0.224, ge=0, lt=1, description="share of the steps in which the rate rises")
    schedule: Literal["linear", "constant"] = Field("linear", description="how the rate falls after that")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW, on matrices")
    clip: float = Field(1.0, gt=0, description="length that a gradient is cut to")
    batch_size: int = Field(16, ge=1, description="pieces of text of a step")
    steps: int | None = Field(None, ge=1, description="of the optimizer; either these or epochs")
    epochs: float | None = Field(None, gt=0, description="times that train is read")
    selection: Literal["best", "last"] = Field(
        "best", description="the checkpoint: best on dev by the headline, or last"
    )
    select_by: str = Field("", description="the measure that is best on dev; the headline unless given")
    looks: int = Field(10, ge=1, description="times that dev is looked at, evenly over the steps")
    # Reading
    unit: Literal["document", "line", "sentence"] = Field("sentence", description="spans: what is read in one piece")
    length: int = Field(512, ge=16, description="tokens of a piece, special ones counted; the model's limit if less")
    overlap: int = Field(64, ge=0, description="spans: tokens that two windows over a longer piece share at least")
    # Scoring
    policy: Policy = Field("outermost", description="spans: what is done with nested and discontinuous entities")
    headline: str = Field("", description="spans: the scorer that models are ranked by; the task's unless given")
    count: Literal["words", "tokens"] = Field("words", description="spans: what scorers of tokens count")
    prefixes: bool = Field(False, description="spans: scorers of tokens tell B- from I-")
    seeds: int = Field(10, ge=1, description="runs, unless the caller says how many")
    resamples: int = Field(1_000, ge=1, description="of the bootstrap")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")

    @model_validator(mode="after")
    def _budget(self) -> Protocol:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either `steps` or `epochs`")
        if self.overlap > self.length // 2:
            raise ValueError(f"an overlap of {self.overlap} is more than half of a length of {self.length}")
        return self


def shipped() -> dict[str, Path]:
    """The protocols that come with corpuskit, by name."""
    return settings.shipped("protocols", "pipelines/protocols")


def load(name: str | Path, **changed: Any) -> Protocol:
    """A protocol by its name, or from a YAML file.

    Args:
        name: of one that comes along, or a path.
        changed: fields to put in the place of its own, such as ``steps``.

    Raises:
        TaskError: it is missing, no YAML, or invalid; the message names each field.
    """
    path = shipped().get(str(name)) or Path(name)

    def missing() -> str:
        return settings.along("protocols", name, shipped())

    content = {"name": path.stem} | settings.read(path, TaskError, "`steps:` and `policy:`", missing)
    if "steps" in changed or "epochs" in changed:
        content = {field: value for field, value in content.items() if field not in ("steps", "epochs")}
    try:
        return Protocol.model_validate(content | changed)
    except ValidationError as error:
        raise TaskError(settings.refusal(str(path), error, _explain)) from None


def _explain(problem: Any) -> str:
    place = ".".join(map(str, problem["loc"])) or "(top level)"
    if problem["type"] == "extra_forbidden":
        return f"{place}: {settings.no_such_option(str(problem['loc'][-1]), Protocol.model_fields)}"
    return f"{place}: {settings.said(problem)}"
