"""Factors: literal values in, literal weights out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from corpuskit.sample.recipe import validate
from corpuskit.sample.weights import weigh

SCORES = pa.array([1, 2, 3, 4, 5, None], pa.int32())


@pytest.mark.parametrize(
    ("factor", "values", "expected"),
    [
        ({"type": "threshold", "at_least": 3, "missing": 0.5}, SCORES, [0, 0, 1, 1, 1, 0.5]),
        ({"type": "threshold", "at_least": 3, "weight": 10, "below": 1, "missing": 1}, SCORES, [1, 1, 10, 10, 10, 1]),
        ({"type": "linear", "slope": 2, "intercept": -5, "missing": 7}, SCORES, [0, 0, 1, 3, 5, 7]),
        ({"type": "power", "exponent": 2, "missing": 0}, SCORES, [1, 4, 9, 16, 25, 0]),
        ({"type": "power", "exponent": -1, "reference": 2, "missing": 0}, pa.array([-1.0, 0, 1, 4]), [0, 0, 2, 0.5]),
        (
            {"type": "temperature", "temperature": 2, "reference": 3, "missing": 0},
            pa.array([3.0, 5.0, 1.0, None]),
            [1, np.e, 1 / np.e, 0],
        ),
        (
            {"type": "map", "weights": {"clinical": 10, "other": 0}, "missing": 2},
            pa.array(["other", "clinical", "biomedical", None]),
            [0, 10, 1, 2],
        ),
        ({"type": "map", "weights": {3: 2, 4: 5}, "other": 0, "missing": 9}, SCORES, [0, 0, 2, 5, 0, 9]),
        ({"type": "map", "weights": {True: 3}, "missing": 0}, pa.array([True, False, None]), [3, 1, 0]),
        (
            {"type": "steps", "steps": [{"at_least": 2, "weight": 3}, {"above": 4, "weight": 5}], "missing": 1},
            SCORES,
            [0, 3, 3, 3, 5, 1],
        ),
        (  # FineWeb-2
            {"type": "rehydrate"},
            pa.array([1, 2, 3, 4, 5, 99, 100, 999, 1000, None], pa.int32()),
            [1, 2, 3, 3, 5, 5, 8, 8, 1, 1],
        ),
    ],
)
def test_a_factor_of_a_column(factor: dict[str, object], values: pa.Array, expected: list[float]) -> None:
    recipe = validate({"name": "x", "description": "x", "factors": {"f": {"field": "v"} | factor}})
    starts = np.arange(len(values))
    assert weigh(recipe.factors, {"v": values}, starts, whole=False)["f"].tolist() == pytest.approx(expected)


#: The shares of biomed-fr-v2: four articles of four paragraphs, none, one, two, three, four of them high.
STEPS = [
    {"above": 0, "weight": 4.3},
    {"above": 0.25, "weight": 8.5},
    {"above": 0.5, "weight": 12.8},
    {"above": 0.75, "weight": 21.3},
    {"at_least": 1, "weight": 34.1},
]


def test_the_share_of_an_articles_paragraphs() -> None:
    found = {"type": "share", "where": {"field": "v", "at_least": 3}, "steps": STEPS, "missing": 7}
    recipe = validate({"name": "x", "description": "x", "factors": {"f": found}})
    values = pa.array(
        [1, 1, 2, 2, 3, 1, 1, 1, 3, 4, 1, 1, 3, 4, 5, 1, 5, 5, 5, 5, None, None, 3, None, 1, 3, 3, 3, 3, 3]
    )
    starts = np.array([0, 4, 8, 12, 16, 20, 22, 24])
    whole = weigh(recipe.factors, {"v": values}, starts, whole=True)["f"]
    assert whole.tolist() == [0, 4.3, 8.5, 12.8, 34.1, 7, 34.1, 21.3]
    each = weigh(recipe.factors, {"v": values}, starts, whole=False)["f"]
    assert each.tolist() == np.repeat(whole, [4, 4, 4, 4, 4, 2, 2, 6]).tolist()


def test_a_factor_of_paragraphs_is_its_mean_over_an_article() -> None:
    found = {"type": "threshold", "field": "v", "at_least": 3, "missing": 0}
    recipe = validate({"name": "x", "description": "x", "factors": {"f": found}})
    values = pa.array([3, 1, 5, None, 4, 4])
    assert weigh(recipe.factors, {"v": values}, np.array([0, 4]), whole=True)["f"].tolist() == [0.5, 1.0]
