"""Intervals and p-values: against slow loops, and the laws they hold by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from corpuskit.evaluate import statistics
from corpuskit.evaluate.records import TaskError
from corpuskit.evaluate.scorers import Score
from corpuskit.evaluate.statistics import (
    Interval,
    Measure,
    Spread,
    approximate_randomisation,
    bootstrap,
    compare,
    paired_bootstrap,
    spread,
    win_rate,
)

Counts = np.ndarray


def counts(documents: int, recall: float, seed: int, classes: int = 1) -> Score:
    """A system that finds this share of 0 to 9 entities a document and class, and adds some of its own."""
    gold = np.random.default_rng(0).integers(0, 10, (classes, documents))
    generator = np.random.default_rng(seed)
    tp = generator.binomial(gold, recall)
    fp = generator.binomial(gold, 0.9 - 0.8 * recall)
    names = tuple(f"d{place:04}" for place in range(documents))
    return Score(names, tuple("abcdefgh"[:classes]), tp, fp, gold - tp)


def systems(documents: int, recall: float, seeds: int, first: int = 0, classes: int = 1) -> list[Measure]:
    return [counts(documents, recall, first + seed, classes).measure() for seed in range(seeds)]


def f1(tp: Counts, fp: Counts, fn: Counts) -> float:
    return float(2 * tp.sum() / (2 * tp.sum() + fp.sum() + fn.sum()))


# ---------------------------------------------------------------------------------------------------------------------
# Measures


def test_a_measure_is_a_quotient_of_sums() -> None:
    measure = Measure(("x", "y", "z"), ("all",), np.array([[2.0, 0.0, 0.0]]), np.array([[4.0, 1.0, 0.0]]))
    assert measure.value == 0.4
    assert measure.by_unit.tolist()[:2] == [0.5, 0.0]
    assert np.isnan(measure.by_unit[2])
    assert Measure.mean(["x", "y"], [True, False]).value == 0.5
    with pytest.raises(ValueError, match="not one number a class and unit"):
        Measure(("x",), ("all",), np.ones((1, 2)), np.ones((1, 2)))


def test_a_class_that_nobody_has_is_left_out_of_the_mean_and_weights_weigh() -> None:
    above, below = np.array([[2.0], [0.0], [3.0]]), np.array([[4.0], [0.0], [3.0]])
    assert Measure(("x",), ("a", "b", "c"), above, below).value == 0.75
    assert Measure(("x",), ("a", "b", "c"), above, below, np.array([[3.0], [9.0], [1.0]])).value == 0.625


def test_documents_of_one_group_are_drawn_together() -> None:
    measure = Measure(("1", "2", "3"), ("all",), np.array([[1.0, 2.0, 4.0]]), np.array([[8.0, 8.0, 8.0]]))
    grouped = measure.grouped(["smith", "durand", "smith"])
    assert grouped.units == ("durand", "smith")
    assert (grouped.above.tolist(), grouped.below.tolist()) == ([[2.0, 5.0]], [[8.0, 16.0]])
    assert grouped.value == measure.value
    # Copies of documents tell nothing new: drawn as groups, the interval is that of the originals.
    once = counts(60, 0.7, 1).measure()
    twice = Measure(
        tuple(f"{name}{copy}" for copy in "ab" for name in once.units),
        once.classes,
        np.tile(once.above, 2),
        np.tile(once.below, 2),
    )
    assert bootstrap([twice.grouped(once.units * 2)]) == bootstrap([once])
    alone = bootstrap([twice])
    assert alone.low > bootstrap([once]).low


@given(st.permutations(range(12)))
def test_in_the_order_of_names_the_order_of_documents_changes_nothing(order: Sequence[int]) -> None:
    one = counts(12, 0.6, 3).measure()
    names = [one.units[place] for place in order]
    other = Measure(tuple(names), one.classes, one.above[:, list(order)], one.below[:, list(order)])
    assert bootstrap([one.grouped(one.units)], resamples=50) == bootstrap([other.grouped(names)], resamples=50)


# ---------------------------------------------------------------------------------------------------------------------
# Intervals


def test_the_interval_of_a_slow_loop() -> None:
    score = counts(80, 0.7, 1)
    tp, fp, fn = score.by_document()
    generator = np.random.default_rng(9)
    values = []
    for _ in range(2_000):
        drawn = generator.integers(80, size=80)
        values.append(f1(tp[drawn], fp[drawn], fn[drawn]))
    found = bootstrap([score.measure()], resamples=2_000)
    assert found.value == pytest.approx(f1(tp, fp, fn))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.004)


def test_the_interval_of_an_accuracy_is_near_that_of_the_binomial() -> None:
    right = np.arange(400) % 4 > 0
    found = bootstrap([Measure.mean([str(place) for place in range(400)], right)], resamples=4_000)
    assert found.value == 0.75
    expected = stats.binomtest(300, 400).proportion_ci(0.95, "wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.006)


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    """Samples of 60 documents from 3,000, whose F1 is known."""
    everything = counts(3_000, 0.7, 1)
    truth = everything.figures().f1
    generator = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        drawn = generator.integers(3_000, size=60)
        sample = Score(
            tuple(map(str, range(60))),
            ("a",),
            *(one[:, drawn] for one in (everything.tp, everything.fp, everything.fn)),
        )
        found = bootstrap([sample.measure()], resamples=200, confidence=0.9)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert 0.84 <= covered / 300 <= 0.96


@settings(max_examples=25)
@given(
    st.integers(20, 60),
    st.floats(0.2, 0.9),
    st.integers(1, 4),
    st.integers(0, 99),
    st.sampled_from(["micro", "macro", "weighted"]),
)
def test_the_interval_holds_the_figure(documents: int, recall: float, seeds: int, seed: int, average: str) -> None:
    runs = [counts(documents, recall, seed + each, 3).measure(average) for each in range(seeds)]
    found = bootstrap(runs, resamples=200, seed=seed)
    assert found.value == pytest.approx(np.mean([run.value for run in runs]))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    assert bootstrap(runs, resamples=200, seed=seed) == found


def test_one_document_has_no_interval_and_none_is_an_error() -> None:
    assert bootstrap([Measure.mean(["x"], [0.5])]) == Interval(0.5, None, None)
    both = compare([Measure.mean(["x"], [0.5])], [Measure.mean(["x"], [0.1])])
    assert (both.low, both.high, both.p_bootstrap, both.p_randomisation) == (None, None, 1.0, 1.0)
    with pytest.raises(TaskError, match="nothing to draw from"):
        bootstrap([])
    with pytest.raises(TaskError, match="a system has no run"):
        compare([Measure.mean(["x"], [0.5])], [])


def test_resamples_without_an_entity_are_left_out() -> None:
    """In three documents of which one has entities, 8 of 27 resamples have none."""
    measure = Measure(("x", "y", "z"), ("all",), np.array([[2.0, 0.0, 0.0]]), np.array([[4.0, 0.0, 0.0]]))
    assert bootstrap([measure]) == Interval(0.5, 0.5, 0.5)


def test_draws_do_not_depend_on_what_is_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = systems(40, 0.7, 3, classes=2), systems(40, 0.65, 3, 50, classes=2)
    whole = compare(a, b, resamples=300)
    monkeypatch.setattr(statistics, "_CELLS", 7 * 40)
    assert compare(a, b, resamples=300) == whole


# ---------------------------------------------------------------------------------------------------------------------
# Differences


def test_two_that_are_the_same_do_not_differ() -> None:
    runs = systems(100, 0.7, 3)
    found = compare(runs, runs)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert (found.p_bootstrap, found.p_randomisation, found.win_rate) == (1.0, 1.0, 0.5)


def test_one_that_is_clearly_better_is_found() -> None:
    found = compare(systems(100, 0.75, 3), systems(100, 0.65, 3, 50))
    assert found.value > 0.05
    assert found.low is not None
    assert found.low > 0
    assert found.p_bootstrap < 0.01
    assert found.p_randomisation < 0.01
    assert found.win_rate == 1.0


@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
def test_both_p_values_are_even_where_there_is_no_difference(average: str) -> None:
    """Of 200 pairs of systems that are alike, about a tenth have p below 0.1."""
    bootstrapped, randomised = [], []
    for trial in range(200):
        a, b = (counts(60, 0.7, 1_000 + 2 * trial + side, 2).measure(average) for side in (0, 1))
        bootstrapped.append(paired_bootstrap([a], [b], resamples=200, seed=trial)[1])
        randomised.append(approximate_randomisation([a], [b], resamples=200, seed=trial))
    for values in (bootstrapped, randomised):
        assert 0.04 <= np.mean(np.array(values) < 0.1) <= 0.17
        assert 0.4 <= np.mean(values) <= 0.6


def test_exchanged_they_say_the_opposite() -> None:
    a, b = systems(50, 0.70, 4, classes=3), systems(50, 0.68, 4, 50, classes=3)
    one, other = compare(a, b), compare(b, a)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
    assert (one.p_bootstrap, one.p_randomisation) == (other.p_bootstrap, other.p_randomisation)
    assert one.win_rate == 1 - other.win_rate
    assert 0 < one.p_bootstrap < 1


def test_the_p_values_of_slow_loops() -> None:
    first, second = counts(40, 0.72, 1), counts(40, 0.68, 2)
    a, b = first.by_document(), second.by_document()
    observed = f1(*a) - f1(*b)
    generator = np.random.default_rng(11)
    shifted = changed = 0
    for _ in range(2_000):
        drawn = generator.integers(40, size=40)
        difference = f1(*(one[drawn] for one in a)) - f1(*(one[drawn] for one in b))
        shifted += abs(difference - observed) >= abs(observed)
        heads = generator.integers(2, size=40).astype(bool)
        left = [np.where(heads, y, x) for x, y in zip(a, b, strict=True)]
        right = [np.where(heads, x, y) for x, y in zip(a, b, strict=True)]
        changed += abs(f1(*left) - f1(*right)) >= abs(observed)
    runs = [first.measure()], [second.measure()]
    assert paired_bootstrap(*runs, resamples=2_000)[1] == pytest.approx(shifted / 2_000, abs=0.035)
    assert approximate_randomisation(*runs, resamples=2_000) == pytest.approx(changed / 2_000, abs=0.035)


def test_randomisation_of_an_accuracy_is_the_sign_test() -> None:
    """Of 20 documents on which two systems differ one is right on 15: two-sided, 0.0414."""
    names = [str(place) for place in range(100)]
    a = Measure.mean(names, [True] * 15 + [False] * 5 + [True] * 80)
    b = Measure.mean(names, [False] * 15 + [True] * 5 + [True] * 80)
    expected = stats.binomtest(15, 20).pvalue
    assert expected == pytest.approx(0.0414, abs=1e-4)
    assert approximate_randomisation([a], [b], resamples=20_000) == pytest.approx(expected, abs=0.006)


def test_classes_that_one_system_alone_has_are_there_in_both() -> None:
    one = Measure(("x", "y"), ("a", "b"), np.array([[2.0, 2.0], [2.0, 2.0]]), np.array([[2.0, 2.0], [2.0, 2.0]]))
    other = Measure(("x", "y"), ("b", "c"), np.array([[2.0, 2.0], [0.0, 0.0]]), np.array([[2.0, 2.0], [2.0, 2.0]]))
    assert compare([one], [other], resamples=100).value == 0.5


def test_fewer_seeds_are_taken_again() -> None:
    names = ["x", "y"]
    once, twice = Measure.mean(names, [0.5, 0.5]), Measure.mean(names, [0.7, 0.9])
    a, b = [once], [twice, once]
    found = compare(a, b, resamples=100)
    assert found.value == pytest.approx(-0.15)
    assert found.win_rate == 0.25


def test_runs_of_other_documents_are_refused() -> None:
    one, other = Measure.mean(["x", "y"], [0, 1]), Measure.mean(["x", "z"], [0, 1])
    with pytest.raises(TaskError, match=r"such as 'y' is in one only"):
        bootstrap([one, other])
    with pytest.raises(TaskError, match=r"another order"):
        compare([one], [Measure.mean(["y", "x"], [0, 1])])
    weighted = Measure(("x", "y"), ("all",), np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2)))
    with pytest.raises(TaskError, match="weighted"):
        compare([one], [weighted])


# ---------------------------------------------------------------------------------------------------------------------
# Seeds


def test_mean_and_deviation_over_seeds() -> None:
    assert spread([0.7, 0.8, 0.9]) == Spread(pytest.approx(0.8), pytest.approx(0.1), 3)
    assert spread([0.7]) == Spread(0.7, None, 1)


def test_win_rate() -> None:
    assert win_rate([0.7, 0.8, 0.9, 0.5], [0.6, 0.8, 0.95, 0.4]) == 0.625
    with pytest.raises(ValueError, match="longer"):
        win_rate([0.7], [0.6, 0.8])
