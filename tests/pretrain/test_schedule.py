"""Learning rates: literal values of each schedule."""

from __future__ import annotations

import pytest

from corpuskit.pretrain.config import Optimizer
from corpuskit.pretrain.schedule import learning_rate


def rates(schedule: str, *at: float, **changed: float) -> list[float]:
    optimizer = Optimizer.model_validate({"learning_rate": 1.0, "warmup": 0.2, "schedule": schedule} | changed)
    return [round(learning_rate(optimizer, done), 6) for done in at]


def test_it_rises_in_a_line() -> None:
    for schedule in ("linear", "cosine", "one-minus-sqrt", "wsd", "constant"):
        assert rates(schedule, 0.0, 0.05, 0.1, 0.2) == [0.0, 0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("schedule", "at_06", "at_the_end"),
    [("linear", 0.5, 0.0), ("cosine", 0.5, 0.0), ("one-minus-sqrt", 0.292893, 0.0), ("constant", 1.0, 1.0)],
)
def test_then_it_falls(schedule: str, at_06: float, at_the_end: float) -> None:
    assert rates(schedule, 0.6, 1.0) == [at_06, at_the_end]


def test_wsd_stays_until_it_decays() -> None:
    assert rates("wsd", 0.3, 0.6, 0.7, 0.775, 1.0, decay=0.3) == [1.0, 1.0, 1.0, 0.5, 0.0]


def test_without_a_warm_up_it_begins_at_its_highest() -> None:
    assert rates("linear", 0.0, 0.5, warmup=0.0) == [1.0, 0.5]
