"""Drawing: frequencies follow the weights, the cap holds, the budget is met, and parts do not matter."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.sample import draw
from corpuskit.sample.draw import Cuts, Units, Unreachable, cuts, drawn, hashes, rake, uniform


def units(
    weights: list[float], sizes: list[int] | list[list[int]], seed: int = 1, stratum: list[int] | None = None
) -> Units:
    """Units of one paragraph, or of several."""
    names = pa.array([f"p:{number}" for number in range(len(weights))])
    paragraphs = [one if isinstance(one, list) else [one] for one in sizes]
    return Units(
        hashes(names, seed),
        np.array(weights, np.float64),
        np.array([sum(one) for one in paragraphs], np.int64),
        np.array(stratum or [0] * len(weights), np.int64),
        np.array([len(one) for one in paragraphs], np.int64),
        np.array([size for one in paragraphs for size in one], np.int64),
    )


def split(whole: Units, parts: int) -> list[Units]:
    columns, row = (
        (whole.hash, whole.weight, whole.size, whole.stratum, whole.rows),
        np.repeat(range(len(whole)), whole.rows),
    )
    return [
        Units(*(column[some] for column in columns), whole.sizes[np.isin(row, some)])
        for some in np.array_split(np.arange(len(whole)), parts)
    ]


def select(whole: Units, budgets: list[int], cap: int | None, parts: int = 1) -> tuple[Cuts, Counter[int]]:
    """The cuts, and how often each unit comes whole."""
    strata, wanted = len(budgets), np.array(budgets, np.int64)
    mass = np.bincount(whole.stratum, whole.weight * whole.size, strata)
    most = np.bincount(whole.stratum, (whole.weight > 0) * whole.size, strata) * (cap or np.inf)
    found = cuts(lambda: split(whole, parts), wanted, mass, most, cap)
    copies, room = drawn(whole, found, cap)
    return found, Counter(copies.unit[room < 0].tolist())


def sizes_of(whole: Units, found: Cuts, cap: int | None) -> list[int]:
    """What is drawn of each stratum: whole units, and the beginning of the one at the cut."""
    copies, room = drawn(whole, found, cap)
    total, starts = [0] * len(found.room), np.cumsum(whole.rows) - whole.rows
    for unit, left in zip(copies.unit.tolist(), room.tolist(), strict=True):
        for size in whole.sizes[starts[unit] : starts[unit] + whole.rows[unit]].tolist():
            if 0 <= left < size:
                break
            left -= size if left >= 0 else 0
            total[whole.stratum[unit]] += size
    return total


def test_hashes_do_not_change() -> None:
    # What is drawn for a seed is part of what a published recipe promises.
    assert hashes(pa.array(["hal:1#a", "é"]), 1).tolist() == [4959931996266090695, 14458782438404153263]
    found = uniform(np.array([0, 1, 2**64 - 1], np.uint64)) * 2**40
    assert found.tolist() == [971210504571, 622941039753, 982900635419]


def test_without_a_budget_a_weight_is_the_expected_number_of_copies() -> None:
    found, room = drawn(units([0, 1, 10, 2.5, 2.5, 0.3], [1] * 6), Cuts.none(), None)
    times = Counter(found.unit.tolist())
    assert (times[0], times[1], times[2]) == (0, 1, 10)
    assert {times[3], times[4]} <= {2, 3}
    assert times[5] in (0, 1)
    assert (room == -1).all()


weights = st.lists(st.one_of(st.just(0.0), st.floats(0.01, 50)), min_size=1, max_size=60)


@given(weights, st.integers(0, 2**32), st.sampled_from([1, 2, 5, None]))
def test_a_unit_never_comes_a_whole_copy_more_or_less_than_its_weight_says(
    given_weights: list[float], seed: int, cap: int | None
) -> None:
    found, _ = drawn(units(given_weights, [1] * len(given_weights), seed), Cuts.none(), cap)
    times = Counter(found.unit.tolist())
    for number, weight in enumerate(given_weights):
        expected = min(weight, cap or np.inf)
        assert abs(times[number] - expected) < 1
        assert times[number] <= (cap or np.inf)
    # Copies are numbered from 0, without a gap.
    assert sorted(zip(found.unit.tolist(), found.copy.tolist(), strict=True)) == [
        (unit, copy) for unit in sorted(times) for copy in range(times[unit])
    ]


@given(
    st.lists(st.tuples(st.floats(0.01, 50), st.integers(0, 200)), min_size=1, max_size=80),
    st.floats(0.01, 0.99),
    st.integers(0, 2**32),
    st.sampled_from([1, 3, None]),
    st.integers(1, 8),
)
def test_the_budget_is_met_within_one_unit_and_never_exceeded(
    some: list[tuple[float, int]], share: float, seed: int, cap: int | None, parts: int
) -> None:
    whole = units([weight for weight, _ in some], [size for _, size in some], seed)
    budget = int(share * whole.size.sum() * (cap or 5))
    if budget < 1:
        return
    found, times = select(whole, [budget], cap, parts)
    total = sum(times[number] * size for number, (_, size) in enumerate(some))
    assert total <= budget < total + whole.size.max()
    assert total + int(found.room[0]) == budget
    assert all(number <= (cap or np.inf) for number in times.values())
    # Cut into other parts, the same.
    again, same = select(whole, [budget], cap, 1)
    assert (same, again.place.tolist(), again.hash.tolist()) == (times, found.place.tolist(), found.hash.tolist())


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.sampled_from([1, 3]))
def test_a_budget_of_all_there_is_takes_all_there_is(sizes: list[int], cap: int) -> None:
    whole = units([1.5] * len(sizes), sizes)
    if not whole.size.sum():
        return
    _, times = select(whole, [int(whole.size.sum()) * cap], cap)
    assert times == dict.fromkeys(range(len(sizes)), cap)


@pytest.mark.parametrize("cap", [1, 2, 4])
def test_frequencies_follow_the_weights(cap: int) -> None:
    """Over many seeds a unit comes min(cap, s·weight) times on average."""
    given_weights = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0] * 20
    budget, seeds = 60, 400
    total = np.zeros(len(given_weights))
    for seed in range(seeds):
        _, times = select(units(given_weights, [1] * len(given_weights), seed), [budget], cap)
        for number, often in times.items():
            total[number] += often
    mean = (total / seeds).reshape(20, 7).mean(axis=0)
    assert mean.sum() * 20 == pytest.approx(budget)
    # The scale that fills the budget in expectation.
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        full = sum(min(cap, middle * weight) for weight in given_weights) >= budget
        low, high = (low, middle) if full else (middle, high)
    for often, weight in zip(mean, given_weights[:7], strict=True):
        # Four standard errors of a mean of 8,000 draws, and the bias of a fixed size, which is of the order of 1/n.
        assert often == pytest.approx(min(cap, high * weight), abs=4 * 0.5 / np.sqrt(20 * seeds) + 0.01)


paragraphs = st.lists(st.integers(0, 30), min_size=1, max_size=6)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.floats(0.1, 5), paragraphs, st.integers(0, 3)), min_size=10, max_size=80),
    st.lists(st.integers(0, 90), min_size=4, max_size=4),
    st.sampled_from([1, 3]),
    st.integers(1, 6),
)
def test_the_budget_and_that_of_each_stratum_are_met_within_one_paragraph(
    some: list[tuple[float, list[int], int]], budgets: list[int], cap: int, parts: int
) -> None:
    whole = units([one[0] for one in some], [one[1] for one in some], 1, [one[2] for one in some])
    there = np.bincount(whole.stratum, whole.size, 4).astype(int) * cap
    wanted = [min(budget, size) for budget, size in zip(budgets, there.tolist(), strict=True)]
    if not sum(wanted):
        return
    found, _ = select(whole, wanted, cap, parts)
    drawn_of, longest = sizes_of(whole, found, cap), int(whole.sizes.max())
    assert 0 <= sum(wanted) - sum(drawn_of) < longest
    for budget, size in zip(wanted, drawn_of, strict=True):
        assert abs(budget - size) < longest if budget else size == 0
    again, _ = select(whole, wanted, cap, 1)
    assert (again.place.tolist(), again.room.tolist()) == (found.place.tolist(), found.room.tolist())


def test_what_the_strata_leave_goes_where_it_is_least_too_much() -> None:
    # Of each stratum one article, whose second paragraph does not fit: 4, 1 and 3 words are left, 8 in all.
    whole = units([1.0] * 3, [[6, 9], [9, 2], [7, 5]], stratum=[0, 1, 2])
    found, _ = select(whole, [10, 10, 10], 1)
    assert sizes_of(whole, found, 1) == [6, 11, 12]


def test_a_larger_budget_holds_the_smaller_one() -> None:
    whole = units([1, 2, 3, 4] * 25, [7] * 100)
    small, large = (set(select(whole, [budget], 1)[1]) for budget in (140, 350))
    assert small < large
    assert (len(small), len(large)) == (20, 50)


def test_another_seed_draws_others() -> None:
    assert select(units([1] * 100, [1] * 100, 1), [50], 1)[1] != select(units([1] * 100, [1] * 100, 2), [50], 1)[1]


def test_the_order_of_a_sample_is_not_that_of_what_is_drawn() -> None:
    whole = units([1.0] * 4_000, [1] * 4_000)
    place = draw.shuffled(whole.hash, np.zeros(4_000, np.int64)) / 2.0**64
    for other in (uniform(whole.hash), np.arange(4_000), draw.shuffled(whole.hash, np.ones(4_000, np.int64)) / 2.0**64):
        assert abs(np.corrcoef(place, other)[0, 1]) < 4 / np.sqrt(4_000)
    assert abs(place.mean() - 0.5) < 4 * np.sqrt(1 / 12 / 4_000)


def test_raking_meets_both_margins_and_keeps_what_goes_together() -> None:
    mass = np.array([[30.0, 10.0], [10.0, 50.0]])
    found = rake(mass, [[0.7], [0.5]], ["source", "domain"])
    assert found.sum(axis=1) == pytest.approx([0.7, 0.3])
    assert found.sum(axis=0) == pytest.approx([0.5, 0.5])
    odds = mass[0, 0] * mass[1, 1] / (mass[0, 1] * mass[1, 0])
    assert found[0, 0] * found[1, 1] / (found[0, 1] * found[1, 0]) == pytest.approx(odds)


def test_shares_that_nothing_can_reach_are_refused() -> None:
    with pytest.raises(Unreachable, match="source:0"):
        rake(np.array([0.0, 5.0]), [[0.5]], ["source"])
    with pytest.raises(Unreachable, match="source:-1"):
        rake(np.array([5.0, 0.0]), [[0.5]], ["source"])
    with pytest.raises(Unreachable):
        rake(np.array([[1.0, 0.0], [0.0, 1.0]]), [[0.3], [0.6]], ["source", "domain"])
