"""The curves: from the log of a run, killed and resumed or not, to a picture."""

from __future__ import annotations

import json
import struct
import sys
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import finished_run
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.pretrain import curves
from corpuskit.pretrain.curves import Curves, draw, first_and_last, read, smoothed

TRAIN = {"kind": "train", "loss": 2.0, "objective": "mlm", "learning_rate": 1e-4, "tokens_per_second": 10.0}


def written(folder: Path, text: str) -> Path:
    (folder / "log.jsonl").write_text(text, encoding="utf-8")
    return folder / "log.jsonl"


def test_a_line_that_was_cut_is_passed_over(tmp_path: Path) -> None:
    whole = [json.dumps(TRAIN | {"step": step}) for step in (10, 20, 30)]
    assert read(written(tmp_path, "")) == []
    assert read(written(tmp_path, '{"kind": "tra')) == []
    assert [line["step"] for line in read(written(tmp_path, "\n".join(whole)))] == [10, 20, 30]
    assert [line["step"] for line in read(written(tmp_path, "\n".join(whole)[:-5]))] == [10, 20]
    # The next try wrote behind it.
    glued = f"{whole[0]}\n{whole[1][:30]}{json.dumps({'kind': 'resumed', 'step': 10})}\n{whole[1]}\n"
    assert [(line["kind"], line["step"]) for line in read(written(tmp_path, glued))] == [
        ("train", 10), ("resumed", 10), ("train", 20)
    ]  # fmt: skip


@given(st.lists(st.integers(0, 10**6), max_size=5), st.integers(0, 300))
def test_wherever_a_log_is_cut_what_is_whole_is_read(steps: list[int], cut: int) -> None:
    text = "".join(json.dumps({"kind": "train", "step": step}) + "\n" for step in steps)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_text(text[:cut])
        told = [line["step"] for line in read(path)]
    assert told == steps[: len(told)]
    assert len(told) >= text[:cut].count("\n")


def test_what_a_killed_try_did_beyond_its_checkpoint_counts_once() -> None:
    log = [TRAIN | {"step": 10}, TRAIN | {"step": 20, "loss": 9.0}, {"kind": "resumed", "step": 10},
           TRAIN | {"step": 20}, TRAIN | {"step": 30}]  # fmt: skip
    found = Curves.of(log)
    assert found.loss[0].steps.tolist() == [10, 20, 30]
    assert found.loss[0].values.tolist() == [2.0, 2.0, 2.0]
    assert found.resumed == [10]


def test_two_objectives_are_two_curves() -> None:
    found = Curves.of(finished_run.log(switch=20))
    assert [(one.objective, one.steps.tolist()) for one in found.loss] == [("causal", [10, 20]), ("mlm", [30, 40])]
    assert [(one.objective, one.steps.tolist()) for one in found.validation["hal"]] == [
        ("causal", [0, 20]), ("mlm", [40])
    ]  # fmt: skip
    assert found.objectives == ["causal", "mlm"]
    drawn = curves.figure(found).axes[0]
    lines = [line.get_xdata() for line in drawn.lines if len(line.get_xdata()) > 1]
    assert not [line for line in lines if line[0] < 25 < line[-1]]
    assert {text.get_text() for text in drawn.texts} >= {"causal", "mlm", "hal", "istex", "validation", "training"}
    assert [line.get_gid() for line in drawn.lines].count("objective") == 1


def test_first_and_last_are_of_one_objective() -> None:
    rows = {(row["objective"], row["source"]): row for row in first_and_last(Curves.of(finished_run.log(switch=20)))}
    assert rows["causal", "hal"] == {
        "objective": "causal", "source": "hal", "first": 3.5, "first_step": 0, "last": 2.5, "last_step": 20
    }  # fmt: skip
    assert rows["mlm", "hal"]["first"] == rows["mlm", "hal"]["last"] == 1.5
    assert first_and_last(Curves.of([])) == []


@pytest.mark.parametrize(
    "log",
    [
        [],
        [{"kind": "start", "step": 0}],
        [TRAIN | {"step": 10}],
        [{"kind": "validation", "step": 0, "loss": {"all": 3.0, "hal": None}, "objective": "mlm"}],
        [TRAIN | {"step": 10, "loss": None, "tokens_per_second": None}],
        [TRAIN | {"step": step, "loss": 2.0} for step in range(30)],
        finished_run.log(),
        [*finished_run.log(switch=20), {"kind": "resumed", "step": 40}],
        [{"kind": "validation", "step": step, "objective": "mlm",
          "loss": {f"$s_{number}^ {'x' * 40}": float(number) for number in range(12)}} for step in (0, 10)],
    ],
    ids=["empty", "only begun", "one point", "only validation", "unknown", "flat", "whole", "two objectives",
         "many sources"],
)  # fmt: skip
def test_any_log_becomes_a_picture(log: list[dict[str, Any]], tmp_path: Path) -> None:
    assert draw(log, tmp_path / "curves.png")
    content = (tmp_path / "curves.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24]) == (1600, 920)
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_the_same_log_gives_the_same_picture(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        draw(finished_run.log(), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_what_the_picture_shows() -> None:
    losses, rate, speed = curves.figure(
        Curves.of([*finished_run.log(), {"kind": "resumed", "step": 20}, *finished_run.log()[-4:]])
    ).axes
    marks = Counter(line.get_gid() for axes in (losses, rate, speed) for line in axes.lines)
    assert marks["resumed"] == 3
    assert "resumed 1 time" in losses.get_title(loc="right")
    assert [axes.get_title(loc="left") for axes in (losses, rate, speed)] == [
        "loss", "learning rate", "tokens a second"
    ]  # fmt: skip
    # Each source has its own colour and mark.
    looks = {(line.get_color(), line.get_marker()) for line in losses.lines if line.get_gid() == "mark"}
    assert len(looks) == 4


def test_a_source_alone_is_not_drawn_twice_and_too_many_are_told() -> None:
    alone = {"kind": "validation", "step": 0, "objective": "mlm", "loss": {"all": 3.0, "hal": 3.0}}
    shown, left = Curves.of([alone]).drawn()
    assert (list(shown), left) == (["hal"], 0)
    many = alone | {"loss": {"all": 3.0} | {f"s{number}": 3.0 for number in range(9)}}
    shown, left = Curves.of([many]).drawn()
    assert (list(shown), left) == (["all", "s0", "s1", "s2", "s3", "s4", "s5"], 3)


def test_a_step_that_leaps_does_not_flatten_the_rest() -> None:
    log = [TRAIN | {"step": step, "loss": 1000.0 if step == 50 else 2.0 - step / 200} for step in range(100)]
    assert curves.figure(Curves.of(log)).axes[0].get_ylim()[1] < 400


def test_without_matplotlib_there_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert not draw(finished_run.log(), tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


def test_smoothing() -> None:
    assert smoothed(np.array([1.0, 2.0, 3.0, 10.0]), 3).tolist() == [1.0, 2.0, 5.0, 10.0]
    assert smoothed(np.array([]), 5).tolist() == []


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.integers(1, 60))
def test_a_mean_lies_between_and_a_straight_line_stays(values: list[float], window: int) -> None:
    found = smoothed(np.array(values), window)
    assert len(found) == len(values)
    assert found.min() >= min(values) - 1e-6
    assert found.max() <= max(values) + 1e-6
    line = np.arange(len(values)) * 0.5
    assert np.allclose(smoothed(line, window), line)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_labels_are_moved_apart_and_keep_their_order(places: list[float]) -> None:
    found = curves._apart(sorted(places), 0.05)
    assert all(other - one >= 0.05 - 1e-9 for one, other in pairwise(found))
    assert min(found) >= 0.02 - 1e-9
    assert max(found) <= 1 + 1e-9


def test_labels_with_room_stay() -> None:
    assert curves._apart([0.1, 0.3, 0.9], 0.05) == pytest.approx([0.1, 0.3, 0.9])
    assert curves._apart([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
