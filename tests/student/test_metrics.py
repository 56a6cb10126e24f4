"""Agreement, calibration and curves: small cases worked out by hand, and scikit-learn as the judge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score, f1_score
from teachers import PROMPT

from corpuskit.student import metrics
from corpuskit.student.heads import Target, heads, softmax


def test_a_confusion_matrix_by_hand() -> None:
    matrix = metrics.confusion(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0]), 3)
    assert matrix.tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    precision, recall, f1 = metrics.per_class(matrix)
    assert precision == pytest.approx([2 / 3, 2 / 3, 0])
    assert recall == pytest.approx([2 / 3, 1, 0])
    assert f1 == pytest.approx([2 / 3, 4 / 5, 0])
    assert metrics.macro_f1(matrix) == pytest.approx((2 / 3 + 4 / 5) / 3)


@given(arrays(np.int64, (2, 30), elements=st.integers(0, 4)))
def test_f1_and_kappa_are_those_of_scikit_learn(pair: np.ndarray) -> None:  # type: ignore[type-arg]
    truth, guess = pair
    matrix = metrics.confusion(truth, guess, 5)
    assert metrics.macro_f1(matrix) == pytest.approx(f1_score(truth, guess, average="macro"))
    kappa = metrics.quadratic_kappa(matrix)
    if kappa is None:
        assert len(set(truth) | set(guess)) == 1
    else:
        assert kappa == pytest.approx(cohen_kappa_score(truth, guess, weights="quadratic", labels=range(5)))


def test_pearson() -> None:
    assert metrics.pearson(np.array([1.0, 2, 3]), np.array([2.0, 4, 6])) == pytest.approx(1)
    assert metrics.pearson(np.array([1.0, 2, 3]), np.array([1.0, 0, 2])) == pytest.approx(0.5)
    assert metrics.pearson(np.array([1.0, 1]), np.array([1.0, 2])) is None


def test_the_calibration_error_by_hand() -> None:
    # Three of 0.9 of which two are right, one of 0.6 that is right: gaps of 0.7 (in all) and 0.4, over four.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.6, 0.4]])
    assert metrics.calibration_error(probabilities, np.array([0, 1, 1, 0])) == pytest.approx((0.7 + 0.4) / 4)
    assert metrics.calibration_error(np.array([[1.0, 0.0]] * 3), np.array([0, 0, 0])) == 0
    assert metrics.calibration_error(np.array([[1.0, 0.0]] * 3), np.array([1, 1, 1])) == 1


@pytest.mark.parametrize("heat", [0.3, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(heat: float) -> None:
    chance = np.random.default_rng(3)
    honest = chance.normal(0, 2, (20_000, 3))
    truth = (softmax(honest).cumsum(axis=1) > chance.random((len(honest), 1))).argmax(axis=1)
    found = metrics.temperature(honest * heat, truth)
    assert found == pytest.approx(heat, rel=0.05)
    before = metrics.calibration_error(softmax(honest * heat), truth)
    after = metrics.calibration_error(softmax(honest * heat, found), truth)
    assert after < 0.02
    assert after <= before or before < 0.02


def test_a_curve_by_hand() -> None:
    points = metrics.curve(np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, True, False, True]), [0.3, 0.5, 0.95])
    assert points == [
        {"threshold": 0.3, "kept": 0.75, "teacher": 0.5, "precision": 2 / 3, "recall": 1.0},
        {"threshold": 0.5, "kept": 0.5, "teacher": 0.5, "precision": 0.5, "recall": 0.5},
        {"threshold": 0.95, "kept": 0.0, "teacher": 0.5, "precision": None, "recall": 0.0},
    ]


def test_a_score_is_the_one_next_to_its_mean_and_its_curve_is_of_at_least() -> None:
    _, quality, _, _ = heads(PROMPT)
    probabilities = np.array([[0.4, 0.0, 0.3, 0.3], [0.0, 0.0, 0.1, 0.9]])
    assert quality.mean(probabilities) == pytest.approx([2.5, 3.9])
    assert quality.decide(probabilities).tolist() == [2, 3]
    target = Target(probabilities.astype(np.float32), np.array([1, 3]), np.array([2.0, 4.0]))
    found = metrics.measure(quality, np.log(probabilities + 1e-12), target, 1.0)
    assert found["n"] == 2
    assert found["mae"] == pytest.approx((0.5 + 0.1) / 2)
    assert [(one["threshold"], one["kept"], one["teacher"]) for one in found["curve"]] == [
        (2.0, 1.0, 1.0),
        (3.0, 0.5, 0.5),
        (4.0, 0.0, 0.5),
    ]


def test_what_nobody_answered_is_not_measured() -> None:
    kind = heads(PROMPT)[0]
    target = Target(np.full((2, 3), np.nan, np.float32), np.array([-1, -1]), np.empty(0))
    assert metrics.measure(kind, np.zeros((2, 3)), target, 1.0) == {"kind": "label", "n": 0, "temperature": 1.0}
