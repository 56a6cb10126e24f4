"""Recipes: what a sample is made of, as a YAML file; validated, and explained to the person who wrote it."""

from __future__ import annotations

import difflib
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from corpuskit import settings
from corpuskit.sample.weights import AnyFactor, Condition, Step, field_of
from corpuskit.settings import from_yaml, no_such_option
from corpuskit.steps import StepOptions

#: What fields of the article table and of the annotations are called by.
ARTICLE, ANNOTATION = "article.", "annotation."


class SampleError(Exception):
    """A sample that cannot be drawn; the message says why and what to do."""


class RecipeError(SampleError):
    """A recipe that cannot be used; the message names each field and how to mend it."""


class Budget(StepOptions):
    """How much text the sample holds, copies counted."""

    words: int | None = Field(None, gt=0, description="as many words")
    tokens: int | None = Field(None, gt=0, description="as many tokens of `tokenizer`")
    share: float | None = Field(None, gt=0, allow_inf_nan=False, description="as many words as this share of all")
    tokenizer: str | None = Field(None, description="a Hugging Face tokenizer: its name, or a folder")

    @model_validator(mode="after")
    def _one(self) -> Budget:
        if sum(one is not None for one in (self.words, self.tokens, self.share)) != 1:
            raise ValueError("give one of words, tokens and share, such as {words: 10000000}")
        if (self.tokens is None) != (self.tokenizer is None):
            raise ValueError("tokens are those of a tokenizer: give both, such as {tokens: 10000000, tokenizer: DIR}")
        return self


class Prefix(StepOptions):
    """A line of metadata for a model to read before the text, in the column `prefix`."""

    parts: list[str] = Field(min_length=1, description="such as `Titre : {article.title}`; one with a null is left out")
    separator: str = Field(" | ", description="what stands between two parts")
    end: str = Field("\n", description="what stands after the last")

    @field_validator("parts")
    @classmethod
    def _templates(cls, parts: list[str]) -> list[str]:
        for part in parts:
            try:
                pieces = list(pieces_of(part))
            except ValueError as error:
                raise ValueError(f"{part!r}: {error}") from None
            if not any(name for _, name in pieces):
                raise ValueError(f"{part!r} names no column, such as {{article.title}}")
        return parts


def pieces_of(part: str) -> Iterator[tuple[str, str]]:
    """The pieces of a template: some text, and the column that comes after it ("" at the end).

    Raises:
        ValueError: it is no template.
    """
    for text, name, format, conversion in string.Formatter().parse(part):
        if name == "" or format or conversion:
            raise ValueError("braces hold the name of a column, and nothing else")
        yield text, name or ""


class Recipe(StepOptions):
    """Everything that decides what a sample holds."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="what it is called, as its file is")
    description: str = Field(min_length=1, description="what it is for, in a line")
    unit: Literal["paragraph", "article"] = Field("paragraph", description="what is drawn: articles come whole")
    factors: dict[str, AnyFactor] = Field(default_factory=dict, description="by name; the weight is their product")
    budget: Budget | None = Field(None, description="how much text; null: each unit as often as its weight says")
    shares: dict[str, dict[str, Annotated[float, Field(ge=0, le=1)]]] = Field(
        default_factory=dict, description="by field, the share of the budget of each value"
    )
    replacement: bool = Field(False, description="a unit may come several times")
    repetitions: int | None = Field(None, ge=1, description="but not more often than this")
    prefix: Prefix | None = Field(None, description="a column of metadata to read before the text")
    keep: list[str] = Field(default_factory=list, description="further fields to write beside the text")
    seed: int = Field(1, ge=0, lt=2**64, description="another seed, another sample")

    @model_validator(mode="after")
    def _agree(self) -> Recipe:
        if self.repetitions is not None and not self.replacement:
            raise ValueError("repetitions: nothing is repeated without `replacement: true`; add that, or leave it out")
        if self.shares and self.budget is None:
            raise ValueError("shares: of what? add a budget, such as `budget: {words: 10000000}`")
        for field, shares in self.shares.items():
            if not 0 < sum(shares.values()) <= 1 + 1e-9:
                raise ValueError(f"shares.{field}: they come to {sum(shares.values()):g}; it must be 1, or less")
        return self

    @property
    def cap(self) -> int | None:
        """The most copies of a unit, None for any number."""
        return self.repetitions if self.replacement else 1

    @property
    def weighing(self) -> list[str]:
        """The fields that decide, in the order they are named."""
        return list(dict.fromkeys([*map(field_of, self.factors.values()), *self.shares]))

    @property
    def fields(self) -> list[str]:
        """All fields that are read."""
        of_prefix = [name for part in (self.prefix.parts if self.prefix else ()) for _, name in pieces_of(part) if name]
        return list(dict.fromkeys([*self.weighing, *self.keep, *of_prefix]))


def shipped() -> dict[str, Path]:
    """The recipes that come with corpuskit, by name."""
    return settings.shipped("recipes", "pipelines/recipes")


def load(recipe: str | Path, **changed: Any) -> Recipe:
    """Read a recipe: one that comes with corpuskit by its name, any other by its file.

    Args:
        recipe: name or file.
        changed: settings that take the place of those in the file.

    Raises:
        RecipeError: it is not there, or not a recipe.
    """
    path = shipped().get(str(recipe)) or Path(recipe)
    try:
        content = from_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = difflib.get_close_matches(str(recipe), shipped(), n=1)
        mend = f"did you mean {near[0]}?" if near else f"the recipes are {', '.join(shipped())}"
        raise RecipeError(f"{recipe} is neither a recipe nor a file; {mend}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"{path}: expected fields such as `name:` and `factors:`, found {type(content).__name__}")
    return validate(content | changed, str(path))


def validate(content: dict[str, Any], where: str = "the recipe") -> Recipe:
    """Check a recipe given as a dict.

    Raises:
        RecipeError: naming every field that is wrong, what was expected and what is near.
    """
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(settings.refusal(where, error, _explain)) from None


_FACTORS: dict[str, type[BaseModel]] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(get_args(AnyFactor)[0])
}
_PARTS: dict[str, type[BaseModel]] = {"budget": Budget, "prefix": Prefix, "where": Condition, "steps": Step}


def _explain(problem: Any) -> str:
    way = list(problem["loc"])
    model: type[BaseModel] = Recipe
    for part in way[:-1] if problem["type"] == "extra_forbidden" else way:
        model = _FACTORS.get(str(part)) or _PARTS.get(str(part)) or model
    if way[:1] == ["factors"] and len(way) > 2:
        way.pop(2)  # the type of a factor is no part of the way
    place = ".".join(map(str, way)) or "(top level)"
    match problem["type"]:
        case "extra_forbidden":
            return f"{place}: {no_such_option(str(way[-1]), model.model_fields)}"
        case "missing":
            described = model.model_fields.get(str(way[-1]))
            return f"{place}: missing; add it" + (f" ({described.description})" if described else "")
        case "union_tag_invalid" | "union_tag_not_found":
            return f"{place}: type must be one of {', '.join(_FACTORS)}"
    return f"{place}: {settings.said(problem)}"
