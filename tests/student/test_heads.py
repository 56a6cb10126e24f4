"""What a student learns, taken from tables; the split; the vectors of the linear student."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from teachers import PROMPT, annotated, table

from corpuskit.enrich.annotations import Annotation, read
from corpuskit.student import split
from corpuskit.student.features import features
from corpuskit.student.heads import StudentError, heads, target


def test_every_field_is_a_distribution() -> None:
    found = heads(PROMPT)
    assert [(head.name, head.kind, head.classes, head.columns, head.worth) for head in found] == [
        ("kind", "label", ("case", "notice", "other"), slice(0, 3), ()),
        ("quality", "score", ("1", "2", "3", "4"), slice(3, 7), (1.0, 2.0, 3.0, 4.0)),
        ("negated", "flag", ("true", "false"), slice(7, 9), ()),
        ("terms", "density", ("inside", "outside"), slice(9, 11), (1.0, 0.0)),
    ]
    assert [head.columns for head in heads(PROMPT, ["terms", "kind"])] == [slice(0, 3), slice(3, 5)]
    with pytest.raises(StudentError, match=r"'x' is no field of essai; there are kind, quality"):
        heads(PROMPT, ["x"])


def test_targets_are_distributions_where_they_are_known_and_answers_elsewhere(tmp_path: Path) -> None:
    rows = [
        Annotation("a#1", "a", text="une fièvre", answer={"kind": "notice", "quality": 2, "terms": ["fièvre"]},
                   soft={"kind": [0.2, 0.6, 0.2], "quality": [0.0, 0.5, 0.5, 0.0]}),
        Annotation("a#2", "a", text="rien", answer={"kind": "case", "negated": True}),
        Annotation("a#3", "a", text="perdu", outcome="invalid", detail="no JSON"),
    ]  # fmt: skip
    found = read(table(tmp_path, rows)).table(answered=False)
    kind, quality, negated, terms = (target(found, head) for head in heads(PROMPT))
    nothing = [np.nan] * 3
    np.testing.assert_allclose(kind.shares, [[0.2, 0.6, 0.2], [1, 0, 0], nothing], rtol=1e-6)
    assert kind.answers.tolist() == [1, 0, -1]
    np.testing.assert_allclose(quality.means, [2.5, np.nan, np.nan])
    assert quality.answers.tolist() == [1, -1, -1]
    assert negated.answers.tolist() == [-1, 0, -1]
    np.testing.assert_allclose(terms.shares, [[0.5, 0.5], [np.nan] * 2, [np.nan] * 2])
    assert terms.known.tolist() == [True, False, False]


@pytest.mark.parametrize("wrong", [[0.5, 0.5], [1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [float("nan"), 0.0, 1.0]])
def test_a_distribution_that_is_none(wrong: list[float]) -> None:
    rows = pa.table({"kind": ["case"], "kind_probabilities": pa.array([wrong], pa.list_(pa.float32()))})
    with pytest.raises(StudentError, match="kind_probabilities: "):
        target(rows, heads(PROMPT)[0])


def test_no_article_is_in_two_parts_and_more_articles_move_none() -> None:
    articles = [f"a:{number % 1000}" for number in range(5_000)]
    parts = split.parts(articles, seed=3)
    part_of = dict(zip(articles, parts.tolist(), strict=True))
    assert [part_of[article] for article in articles] == parts.tolist()
    assert np.bincount([*part_of.values()]) / 1000 == pytest.approx([0.8, 0.1, 0.1], abs=0.04)
    more = split.parts([*articles, "b:1", "b:2"], seed=3)
    assert more[: len(articles)].tolist() == parts.tolist()
    assert split.parts(articles, seed=4).tolist() != parts.tolist()


def test_vectors_by_hand() -> None:
    found = features(["La fièvre, la FIÈVRE.", "", "fièvre"], bits=20)
    assert found.bounds.tolist() == [0, 4, 4, 5]
    # la ×2, fièvre ×2, "la fièvre" ×2, "fièvre la"
    twice = 1 + np.log(2)
    length = np.sqrt(3 * twice**2 + 1)
    assert sorted(found.weights[:4]) == pytest.approx(sorted([twice / length] * 3 + [1 / length]))
    assert found.weights[4] == 1
    assert found.buckets[4] in found.buckets[:4]
    assert (np.diff(found.buckets[:4]) > 0).all()


def test_a_vector_does_not_depend_on_what_else_is_in_the_batch() -> None:
    texts = [one.text for one in annotated(5)]
    together = features(texts, 18)
    for place, text in enumerate(texts):
        alone = features([text], 18)
        own = slice(*together.bounds[place : place + 2])
        assert together.buckets[own].tolist() == alone.buckets.tolist()
        assert together.weights[own].tolist() == alone.weights.tolist()
