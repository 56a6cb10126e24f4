"""Scores on the card of the model that they are of, and of no other."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import finished_run
import orjson
import pytest
from test_evaluate_run import RULES, Parrot, seldom
from test_evaluate_run import data as data
from test_evaluate_run import task as task

from corpuskit.evaluate.cards import write
from corpuskit.evaluate.records import TaskError
from corpuskit.evaluate.run import evaluate
from corpuskit.evaluate.systems.weights import weights_hash
from corpuskit.evaluate.tasks import Task


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "trained"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "model.safetensors").write_bytes(b"weights")
    (folder / "model" / "README.md").write_text("the card so far")
    outputs = [{"source": "model", "name": "model/README.md", "bytes": 15, "sha256": "0"}]
    (folder / "manifest.json").write_bytes(orjson.dumps(finished_run.manifest() | {"outputs": outputs}))
    (folder / "log.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in finished_run.log()))
    return folder


def evaluated(weights: str, data: Path, task: Task, output: Path) -> Path:
    system = Parrot(seldom)
    system.told["weights"] = weights
    return evaluate(system, [task], data, output, protocol=RULES).output


def test_the_card_tells_mean_and_deviation_by_measure(model: Path, data: Path, task: Task, tmp_path: Path) -> None:
    own = weights_hash([model / "model" / "model.safetensors"])
    page = write(model, [evaluated(own, data, task, tmp_path / "results")]).read_text()
    (header,) = [line for line in page.splitlines() if line.startswith("| test set |")]
    assert header == "| test set | strict | overlap | token_with_o_weighted |"
    (row,) = [line for line in page.splitlines() if line.startswith("| two texts (ner), quick, 3 seeds |")]
    # 50, 80 and 50 of a hundred; the inner entity that is said for the outer one overlaps, but with another label
    assert row.startswith("| two texts (ner), quick, 3 seeds | 60.00 ± 17.32 | 60.00 ± 17.32 | ")
    assert "None yet" not in page
    told = json.loads((model / "manifest.json").read_text())["outputs"][0]
    assert told["source"] == "model"
    assert told["sha256"] == hashlib.sha256(page.encode()).hexdigest()


def test_scores_of_another_model_are_refused(model: Path, data: Path, task: Task, tmp_path: Path) -> None:
    other = evaluated("0123456789abcdef", data, task, tmp_path / "results")
    with pytest.raises(TaskError, match="is about parrot, whose weights are not those of"):
        write(model, [other])
    assert (model / "model" / "README.md").read_text() == "the card so far"


def test_a_folder_without_a_trained_model_is_refused(data: Path, task: Task, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="holds no trained model: give what `corpuskit pretrain` wrote"):
        write(tmp_path, [])


def test_a_model_without_weights_is_none_that_was_evaluated(
    model: Path, data: Path, task: Task, tmp_path: Path
) -> None:
    (model / "model" / "model.safetensors").unlink()
    with pytest.raises(TaskError, match="whose weights are not those of"):
        write(model, [evaluated("", data, task, tmp_path / "results")])


def test_two_evaluations_of_one_line_are_refused(model: Path, data: Path, task: Task, tmp_path: Path) -> None:
    own = weights_hash([model / "model" / "model.safetensors"])
    first, second = (evaluated(own, data, task, tmp_path / name) for name in ("first", "second"))
    with pytest.raises(TaskError, match=r"second has two texts \(ner\), quick, 3 seeds once more"):
        write(model, [first, second])
    assert (model / "model" / "README.md").read_text() == "the card so far"
