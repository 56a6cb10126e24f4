"""Recipes: the shipped ones, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from corpuskit.sample.recipe import RecipeError, load, shipped, validate

GOOD: dict[str, Any] = {"name": "mine", "description": "pour voir"}


def test_ten_recipes_come_with_corpuskit() -> None:
    assert sorted(shipped()) == [
        "all", "biomed-fr", "biomed-fr-small", "clinical", "clinical-case", "educational", "french", "prefix",
        "share-weighted", "soft",
    ]  # fmt: skip
    for name in shipped():
        recipe = load(name)
        assert recipe.name == name
        assert validate(recipe.model_dump(mode="json", exclude_none=True)) == recipe


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"factor": {}}, "factor: no such option; did you mean `factors`?"),
        ({"factors": {"q": {"type": "treshold", "field": "x"}}}, "factors.q: type must be one of map, threshold"),
        ({"factors": {"q": {"field": "x"}}}, "factors.q: type must be one of map, threshold"),
        (
            {"factors": {"q": {"type": "threshold", "field": "x", "at_least": 3}}},
            "factors.q.missing: missing; add it (the factor where the field is null)",
        ),
        (
            {"factors": {"q": {"type": "threshold", "field": "x", "at_leats": 3, "missing": 0}}},
            "factors.q.at_leats: no such option; did you mean `at_least`?",
        ),
        (
            {"factors": {"q": {"type": "map", "field": "x", "weights": {"a": -1}, "missing": 0}}},
            "factors.q.weights.a: Input should be greater than or equal to 0 (given: -1)",
        ),
        (
            {"factors": {"q": {"type": "steps", "field": "x", "missing": 0, "steps": [{"weight": 1}]}}},
            "say where it begins",
        ),
        (
            {
                "factors": {
                    "q": {
                        "type": "steps", "field": "x", "missing": 0,
                        "steps": [{"above": 3, "weight": 1}, {"above": 1, "weight": 2}],
                    }
                }
            },
            "steps come in the order of where they begin",
        ),
        ({"budget": {"words": 10, "share": 0.5}}, "budget: give one of words, tokens and share"),
        ({"budget": {"tokens": 10}}, "budget: tokens are those of a tokenizer: give both"),
        ({"budget": {"word": 10}}, "budget.word: no such option; did you mean `words`?"),
        ({"budget": {"words": 0}}, "budget.words: Input should be greater than 0 (given: 0)"),
        ({"repetitions": 4}, "repetitions: nothing is repeated without `replacement: true`"),
        ({"shares": {"source": {"hal": 0.5}}}, "shares: of what? add a budget"),
        ({"shares": {"source": {"a": 0.8, "b": 0.5}}, "budget": {"words": 5}}, "shares.source: they come to 1.3"),
        ({"prefix": {"parts": ["Titre : {title"]}}, "prefix.parts: 'Titre : {title':"),
        ({"prefix": {"parts": ["Titre"]}}, "'Titre' names no column"),
        ({"prefix": {"parts": ["{year:04d}"]}}, "braces hold the name of a column"),
        ({"unit": "document"}, "unit: Input should be 'paragraph' or 'article' (given: 'document')"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as told:
        validate(GOOD | changed)
    assert message in str(told.value)


def test_a_recipe_is_a_name_or_a_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="clinicl is neither a recipe nor a file; did you mean clinical"):
        load("clinicl")
    with pytest.raises(RecipeError, match="zzz is neither a recipe nor a file; the recipes are all, biomed-fr"):
        load("zzz")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(GOOD))
    assert load(tmp_path / "mine.yaml", seed=7).seed == 7
    (tmp_path / "mine.yaml").write_text("name: [")
    with pytest.raises(RecipeError, match="not YAML"):
        load(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text("- name")
    with pytest.raises(RecipeError, match="expected fields such as `name:`"):
        load(tmp_path / "mine.yaml")
    with pytest.raises(RecipeError, match="cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: un\nname: deux\n", "`name` stands there twice"),
        ("factors:\n  q: {type: map, field: x, missing: 0, weights: {a: 1, b: 2, a: 3}}\n", "`a` stands there twice"),
        ("factors:\n  q: {type: map, field: x, missing: 0, weights: {3: 1, '3': 2}}\n", "`3` stands there twice"),
    ],
)
def test_a_key_that_stands_twice_is_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(RecipeError, match=told):
        load(tmp_path / "mine.yaml")
    # One anchor in several places is no repetition.
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ndescription: &d un\nkeep: &k [a]\nfactors:\n"
        "  q: &f {type: threshold, field: x, at_least: 3, missing: 0}\n  r: {<<: *f, at_least: 4}\n"
    )
    assert load(tmp_path / "mine.yaml").factors["r"].at_least == 4  # type: ignore[union-attr]
