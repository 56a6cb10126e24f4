"""Agreement: against scikit-learn, SciPy and published examples; what is not defined says why."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.enrich import agreement, annotations, prompts
from corpuskit.enrich.agreement import Agreement, AgreementError, Bootstrap, Pair, agree
from corpuskit.enrich.annotations import Annotation, Annotator
from corpuskit.enrich.prompts import Prompt

HEADER = """\
name: essai
version: "1"
description: pour voir
fields:
  kind:
    type: label
    definition: Ce que c'est.
    labels: {case: un cas, study: une étude, other: autre chose}
  quality: {type: score, definition: Ce qu'on y apprend., least: 1, most: 5}
  negated: {type: flag, definition: Si tout y est nié.}
  terms: {type: spans, definition: Les termes.}
"""
KINDS = ["case", "study", "other"]
TEXT = "fièvre toux douleur nausée vertige asthénie"


def prompt(header: str = HEADER) -> Prompt:
    return prompts.parse(f"---\n{header}---\n{{fields}}\n{{paragraph}}\n")


def write(
    folder: Path,
    answers: Sequence[dict[str, Any]],
    name: str = "ana",
    asked: Prompt | None = None,
    soft: Sequence[dict[str, Any]] = (),
    ids: Sequence[int] = (),
) -> Path:
    """A folder of annotations, three paragraphs an article; an empty answer has another outcome."""
    asked = asked or prompt()
    rows = [
        Annotation(
            f"a{number // 3}#{number}",
            f"a{number // 3}",
            text=TEXT,
            outcome="ok" if answer else "invalid",
            answer=answer,
            soft=soft[place] if soft else {},
        )
        for place, (number, answer) in enumerate(zip(ids or range(len(answers)), answers, strict=True))
    ]
    annotations.write(folder, annotations.tables(asked, Annotator("person", name), rows))
    return folder


def draw(seed: int, number: int, like: Sequence[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Answers at random, or like others two times in three."""
    random = np.random.default_rng(seed)
    words = TEXT.split()

    def one() -> dict[str, Any]:
        return {
            "kind": KINDS[random.choice(3, p=[0.2, 0.3, 0.5])],
            "quality": int(random.integers(1, 6)),
            "negated": bool(random.random() < 0.3),
            "terms": [word for word in words if random.random() < 0.5],
        }

    found = [one() for _ in range(number)]
    if like is None:
        return found
    return [
        {name: (theirs if random.random() < 2 / 3 else answer)[name] for name in answer}
        for answer, theirs in zip(found, like, strict=True)
    ]


def pair(found: Agreement, name: str) -> Pair:
    return found.fields[name].pairs[0]


def value(found: Agreement, name: str, measure: str) -> float:
    figure = pair(found, name).figures[measure]
    assert figure.value is not None, figure.reason
    return figure.value


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Agreement]:
    folder = tmp_path_factory.mktemp("two")
    one = draw(1, 300)
    other = draw(2, 300, like=one)
    return one, other, agree([write(folder / "one", one), write(folder / "other", other, "bo")], resamples=200)


def test_labels_against_scikit_learn(two: Any) -> None:
    one, other, found = two
    truth, said = [row["kind"] for row in one], [row["kind"] for row in other]
    assert math.isclose(value(found, "kind", "accuracy"), metrics.accuracy_score(truth, said))
    assert math.isclose(value(found, "kind", "kappa"), metrics.cohen_kappa_score(truth, said))
    assert math.isclose(value(found, "kind", "macro_f1"), metrics.f1_score(truth, said, average="macro"))
    assert pair(found, "kind").confusion == metrics.confusion_matrix(truth, said, labels=KINDS).tolist()
    each = metrics.precision_recall_fscore_support(truth, said, labels=KINDS)
    for place, (label, told) in enumerate(pair(found, "kind").labels.items()):
        assert label == KINDS[place]
        for name, figures in zip(("precision", "recall", "f1"), each, strict=False):
            assert math.isclose(told[name].value, figures[place])
        assert told["support"] == each[3][place]


def test_flags_against_scikit_learn(two: Any) -> None:
    one, other, found = two
    truth, said = [row["negated"] for row in one], [row["negated"] for row in other]
    assert math.isclose(value(found, "negated", "kappa"), metrics.cohen_kappa_score(truth, said))
    assert math.isclose(pair(found, "negated").labels["true"]["f1"].value, metrics.f1_score(truth, said))


def test_scores_against_scikit_learn_and_scipy(two: Any) -> None:
    one, other, found = two
    truth, said = [row["quality"] for row in one], [row["quality"] for row in other]
    for weights in ("linear", "quadratic"):
        known = metrics.cohen_kappa_score(truth, said, weights=weights)
        assert math.isclose(value(found, "quality", f"kappa_{weights}"), known)
    assert math.isclose(value(found, "quality", "pearson"), stats.pearsonr(truth, said).statistic)
    assert math.isclose(value(found, "quality", "spearman"), stats.spearmanr(truth, said).statistic)
    assert math.isclose(value(found, "quality", "mae"), metrics.mean_absolute_error(truth, said))
    assert "pearson_expected" not in pair(found, "quality").figures


def test_spans_and_densities(two: Any) -> None:
    one, other, found = two
    sets = [[set(row["terms"]) for row in side] for side in (one, other)]
    hits = sum(len(left & right) for left, right in zip(*sets, strict=True))
    sizes = [sum(map(len, side)) for side in sets]
    assert math.isclose(value(found, "terms", "f1"), 2 * hits / sum(sizes))
    assert math.isclose(value(found, "terms", "precision"), hits / sizes[1])
    assert math.isclose(value(found, "terms", "recall"), hits / sizes[0])
    densities = [np.array([len(row) / 6 for row in side], np.float32) for side in sets]
    assert math.isclose(value(found, "terms", "density_pearson"), stats.pearsonr(*densities).statistic, rel_tol=1e-5)
    assert math.isclose(value(found, "terms", "density_mae"), np.abs(densities[0] - densities[1]).mean(), rel_tol=1e-5)
    codes = np.stack([[len(row) for row in side] for side in sets])
    coincidences = agreement._coincidences(bootstrap(600), codes, 7)
    known = agreement.alpha(coincidences, agreement.distance(np.arange(7.0), 2))[0]
    assert math.isclose(value(found, "terms", "density_alpha"), known, rel_tol=1e-5)


def bootstrap(number: int, resamples: int = 0) -> Bootstrap:
    return Bootstrap(np.arange(number), np.ones(number), resamples, 0)


def test_alpha_of_the_published_example() -> None:
    """Krippendorff (2011), section E: 4 observers, 12 units, values missing."""
    _ = -1
    values = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
            [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
        ]
    )
    coincidences = agreement._coincidences(bootstrap(12), np.where(values > 0, values - 1, -1), 5)
    assert coincidences[0].sum(0) == pytest.approx([9, 13, 10, 5, 3])
    points = np.arange(5.0)
    assert agreement.alpha(coincidences, agreement.distance(points, 0)).round(3) == 0.743
    assert agreement.alpha(coincidences, agreement.ordinal(coincidences)).round(3) == 0.815
    assert agreement.alpha(coincidences, agreement.distance(points, 2)).round(3) == 0.849


def test_several_raters_and_missing_answers(tmp_path: Path) -> None:
    """α over all raters, everything else of each two."""
    values = [[1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
              [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0]]  # fmt: skip
    asked = prompt(HEADER.partition("  kind:")[0] + "  quality: {type: score, definition: d, least: 1, most: 5}\n")
    folders = [
        write(tmp_path / str(rater), [{"quality": one} if one else {} for one in row], str(rater), asked)
        for rater, row in enumerate(values)
    ]
    found = agree(folders, resamples=100)
    told = found.fields["quality"]
    assert told.raters == ["A", "B", "C", "D"]
    assert (told.paragraphs, told.articles) == (11, 4)
    assert round(told.alpha["interval"].value or 0, 3) == 0.849
    assert round(told.alpha["ordinal"].value or 0, 3) == 0.815
    assert [one.raters for one in told.pairs][:3] == [("A", "B"), ("A", "C"), ("A", "D")]
    assert [one.paragraphs for one in told.pairs] == [9, 8, 9, 9, 10, 10]
    assert found.raters[0].answered == 9
    assert found.raters[0].asked == 12


def test_a_soft_side_takes_the_mean_of_its_distribution(tmp_path: Path) -> None:
    one, other = draw(3, 60), draw(4, 60)
    random = np.random.default_rng(5)
    shares = [random.dirichlet(np.ones(5)).tolist() for _ in other]
    soft = [{"quality": share} if place else {} for place, share in enumerate(shares)]
    found = agree([write(tmp_path / "a", one), write(tmp_path / "b", other, soft=soft)], resamples=50)
    told = pair(found, "quality")
    assert told.expected_of == ["B"]
    expected = [sum(score * part for score, part in enumerate(share, start=1)) for share in shares[1:]]
    truth = [row["quality"] for row in one][1:]
    assert told.figures["pearson_expected"].value == pytest.approx(stats.pearsonr(truth, expected).statistic, rel=1e-5)
    assert told.figures["mae_expected"].value == pytest.approx(np.abs(np.subtract(truth, expected)).mean(), rel=1e-5)
    assert told.figures["pearson"].value == pytest.approx(
        stats.pearsonr([row["quality"] for row in one], [row["quality"] for row in other]).statistic
    )


def test_what_is_not_defined_is_null_and_says_why(tmp_path: Path) -> None:
    same = [{"kind": "case", "quality": 3, "negated": True, "terms": []}] * 6
    found = agree([write(tmp_path / "a", same), write(tmp_path / "b", same)], resamples=20)
    for name, measure, why in [
        ("kind", "kappa", "only one class was used"),
        ("kind", "alpha_nominal", "only one class was used"),
        ("quality", "kappa_quadratic", "only one class was used"),
        ("quality", "pearson", "a side does not vary"),
        ("quality", "spearman", "a side does not vary"),
        ("terms", "f1", "neither marks anything"),
        ("terms", "density_pearson", "a side does not vary"),
        ("terms", "density_alpha", "a side does not vary"),
    ]:
        figure = pair(found, name).figures[measure]
        assert (figure.value, figure.low, figure.reason) == (None, None, why), (name, measure)
    assert value(found, "quality", "mae") == 0
    assert value(found, "kind", "macro_f1") == 1
    assert pair(found, "kind").labels["study"]["f1"].reason == "neither has it"
    json.dumps(found.to_dict(), allow_nan=False)


def test_one_article_has_no_interval(tmp_path: Path) -> None:
    rows = draw(1, 3)
    found = agree([write(tmp_path / "a", rows), write(tmp_path / "b", rows)])
    figure = pair(found, "quality").figures["mae"]
    assert (figure.value, figure.low, figure.reason) == (0, None, "no interval: of one article only")


def test_a_pair_that_shares_nothing(tmp_path: Path) -> None:
    rows = draw(1, 12)
    folders = [
        write(tmp_path / "a", rows[:6]),
        write(tmp_path / "b", rows),
        write(tmp_path / "c", rows[6:], ids=range(6, 12)),
    ]
    told = agree(folders, resamples=20).fields["kind"]
    assert [one.paragraphs for one in told.pairs] == [6, 0, 6]
    assert told.pairs[1].figures["kappa"].reason == "no paragraph that both have"
    assert told.alpha["nominal"].value == 1


def test_fields_that_differ_are_told_and_left_out(tmp_path: Path) -> None:
    rows = draw(1, 12)
    other = prompt(
        HEADER.replace("most: 5", "most: 9")
        .replace("Si tout", "Quand tout")
        .replace("  terms: {type: spans, definition: Les termes.}\n", "")
    )
    shorter = [{name: row[name] for name in other.fields} for row in rows]
    found = agree([write(tmp_path / "a", rows), write(tmp_path / "b", shorter, asked=other)], resamples=20)
    assert list(found.fields) == ["kind", "negated"]
    assert found.remarks == [
        "quality: B has another: score 1–9 instead of score 1–5",
        "negated: not all of A, B were asked in the same words",
        "terms: B does not have it",
    ]


def test_labels_in_another_order_are_the_same_labels(tmp_path: Path) -> None:
    rows = draw(1, 30)
    turned = prompt(HEADER.replace("{case: un cas, study: une étude, other: autre chose}",
                                   "{other: autre chose, case: un cas, study: une étude}"))  # fmt: skip
    found = agree([write(tmp_path / "a", rows), write(tmp_path / "b", rows, asked=turned)], resamples=20)
    assert value(found, "kind", "kappa") == 1


def test_nothing_in_common_is_an_error_that_says_what_there_is(tmp_path: Path) -> None:
    rows = draw(1, 4)
    one = write(tmp_path / "a", rows)
    with pytest.raises(
        AgreementError, match=r"no paragraph that two .*\n  A .*: 4 paragraphs with an answer, such as a0#0"
    ):
        agree([one, write(tmp_path / "b", rows, ids=range(10, 14))])
    only = prompt(HEADER.partition("  kind:")[0] + "  mood: {type: flag, definition: d}\n")
    with pytest.raises(
        AgreementError, match=r"no field that two .*\n  A .*: kind \(label case, .*\n  B .*: mood \(flag\)"
    ):
        agree([one, write(tmp_path / "c", [{"mood": True}] * 4, asked=only)])
    with pytest.raises(AgreementError, match="a0#0 has two answers"):
        agree([one, write(tmp_path / "d", rows, ids=[0, 0, 1, 2])])
    with pytest.raises(AgreementError, match="1 annotations: give from two"):
        agree([one])
    with pytest.raises(AgreementError, match="no sampling weights"):
        agree([one, one], weighted=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_intervals_are_those_of_resampled_articles(tmp_path: Path, seed: int) -> None:
    """Against a bootstrap written out: the articles' paragraphs, as often as they are drawn."""
    one = draw(seed, 60)
    other = draw(seed + 10, 60, like=one)
    found = agree([write(tmp_path / "a", one), write(tmp_path / "b", other)], resamples=50, seed=seed)
    random = np.random.default_rng(seed)
    articles = sorted({f"a{number // 3}" for number in range(60)})
    members = {article: [number for number in range(60) if f"a{number // 3}" == article] for article in articles}
    kappas, correlations = [], []
    for _ in range(50):
        rows = [number for place in random.integers(20, size=20) for number in members[articles[place]]]
        left, right = [[side[number] for number in rows] for side in (one, other)]
        kappas.append(metrics.cohen_kappa_score(*([row["kind"] for row in side] for side in (left, right))))
        correlations.append(stats.spearmanr(*([row["quality"] for row in side] for side in (left, right))).statistic)
    for values, (name, measure) in zip(
        (kappas, correlations), (("kind", "kappa"), ("quality", "spearman")), strict=True
    ):
        figure = pair(found, name).figures[measure]
        assert [figure.low, figure.high] == pytest.approx(np.quantile(values, [0.025, 0.975]))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_intervals_hold_the_figure_and_measures_are_symmetric(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("seed")
    one = draw(seed, 150)
    left, right = write(folder / "a", one), write(folder / "b", draw(seed + 1, 150, like=one))
    found, turned = agree([left, right], resamples=200), agree([right, left], resamples=200)
    for name, told in found.fields.items():
        for measure, figure in told.pairs[0].figures.items():
            assert figure.value is not None
            assert figure.low is not None
            assert figure.high is not None
            assert figure.low <= figure.value <= figure.high, (name, measure)
            if measure not in ("precision", "recall"):
                assert value(turned, name, measure) == pytest.approx(figure.value)
                assert pair(turned, name).figures[measure].low == pytest.approx(figure.low)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_paragraphs_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int, random: Any
) -> None:
    folder = tmp_path_factory.mktemp("order")
    one, other = draw(seed, 40), draw(seed + 1, 40)
    order = list(range(40))
    random.shuffle(order)
    plain = agree([write(folder / "a", one), write(folder / "b", other)], resamples=30)
    mixed = [write(folder / "c", [one[place] for place in order], ids=order), write(folder / "d", other)]
    assert agree(mixed, resamples=30).fields == plain.fields


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=40).filter(lambda codes: len(set(codes)) > 1))
def test_equal_answers_agree_fully(codes: list[int]) -> None:
    both = np.array([codes, codes])
    coincidences = agreement._coincidences(bootstrap(len(codes)), both, 5)
    points = np.arange(5.0)
    for far in (agreement.distance(points, 0), agreement.distance(points, 2), agreement.ordinal(coincidences)):
        assert agreement.alpha(coincidences, far) == 1
    confusion = np.zeros((5, 5))
    np.add.at(confusion, tuple(both), 1)
    for power in (0, 1, 2):
        assert agreement.kappa(confusion, agreement.distance(points, power)) == 1


def test_the_command(tmp_path: Path, two: Any) -> None:
    one, other, _ = two
    folders = [
        str(write(tmp_path / "a", one)),
        str(write(tmp_path / "b", other, "bo")),
        str(write(tmp_path / "c", one)),
    ]
    runner = CliRunner(env={"COLUMNS": "200"})
    done = runner.invoke(app, ["agree", *folders, "--resamples", "50", "--json", str(tmp_path / "found.json")])
    assert done.exit_code == 0, done.output
    assert "kind (label): 300 paragraphs of 100 articles" in done.output
    assert "all of A, B, C" in done.output
    assert "A–C, n = 300" in done.output
    assert "A in rows, C in columns:" in done.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["fields"]["kind"]["pairs"][1]["figures"]["kappa"]["value"] == 1
    assert found["raters"][1]["name"] == "bo"
    done = runner.invoke(app, ["agree", folders[0], str(tmp_path / "absent")])
    assert done.exit_code == 1
    assert "holds no annotations" in done.output
