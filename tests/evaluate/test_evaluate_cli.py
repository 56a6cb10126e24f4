"""The commands of evaluation, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpuskit import runs
from corpuskit.cli import app
from corpuskit.cli import evaluate as command

SAMPLES = Path(__file__).parents[2] / "corpuskit" / "samples" / "tasks"


def typed(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    return done.exit_code, done.output


def test_a_dictionary_on_all_three_kinds(tmp_path: Path) -> None:
    tasks = [word for name in ("demo-ner", "demo-labels", "demo-choice") for word in ("--task", name)]
    words = ["evaluate", "--model", "dictionary", *tasks, "--data", SAMPLES, "--output", tmp_path / "out"]
    code, shown = typed(*words)
    assert code == 0
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line.startswith("demo-")}
    assert {name: row[1] for name, row in rows.items()} == {
        "demo-ner": "strict",
        "demo-labels": "accuracy",
        "demo-choice": "exact_match",
    }
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert rows["demo-ner"][2] == f"{100 * manifest['tasks'][0]['score']['strict']['mean']:.2f}"
    assert "holds this very evaluation already: nothing to do" in typed(*words)[1].replace("\n", " ")


def test_what_is_not_finished_is_said_to_be_left_out(tmp_path: Path) -> None:
    words = ["--task", "demo-ner", "--data", SAMPLES]
    assert typed("evaluate", "--model", "dictionary", *words, "--output", tmp_path / "done")[0] == 0
    with runs.working(tmp_path / "begun", "another"):
        pass
    code, shown = typed("compare", tmp_path)
    assert code == 0
    assert f"left out: {tmp_path}/begun is not finished" in shown.replace("\n", "")
    code, shown = typed("compare", tmp_path / "begun")
    assert code == 1
    assert "is not finished" in shown


def test_tasks_and_protocols_are_listed() -> None:
    code, shown = typed("tasks")
    assert code == 0
    for name in ("quaero-medline", "morfitt", "frenchmedmcqa", "negation-essai", "camembert-bio", "bannour"):
        assert f"\n{name} " in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--task", "quaero-emea"], "task quaero-emea: no "),
        (["--task", "quaero"], "quaero: there is no such file; tasks that come along are cas1, cas2, "),
        (["--task", "demo-ner", "--protocol", "seqeval"], "protocols that come along are bannour, camembert-bio"),
        (["--task", "demo-ner", "--log", "loud"], "--log loud: expected auto, rich, json or quiet"),
    ],
)
def test_what_is_wrong_is_told(words: list[str], told: str, tmp_path: Path) -> None:
    code, shown = typed("evaluate", "--model", "dictionary", "--data", SAMPLES, "--output", tmp_path / "out", *words)
    assert code == 1
    assert told in shown.replace("\n", " ")


@pytest.mark.parametrize(("option", "value"), [("--shots", "3"), ("--api-key-env", "KEY")])
@pytest.mark.parametrize("model", ["dictionary", "./folder"])
def test_options_for_a_model_that_is_asked_are_refused_for_others(
    model: str, option: str, value: str, tmp_path: Path
) -> None:
    words = ["--task", "demo-ner", "--data", SAMPLES, "--output", tmp_path / "out", option, value]
    code, shown = typed("evaluate", "--model", model, *words)
    assert code == 1
    assert f"{option} is for a model that is asked (llm:URL#NAME), not for {model}" in shown.replace("\n", " ")


def test_progress_of_fine_tuning_and_of_questions_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        {"kind": "run", "task": "ner", "seed": 2},
        {"kind": "step", "step": 5, "steps": 10, "loss": 0.25},
        {"kind": "look", "step": 5, "value": 0.5},
        {"kind": "step", "step": 7, "steps": 9, "problems": 1},
        {"kind": "note", "message": "take [care]"},
    ]
    with command.lines_shown("rich", command._note, command._live) as tell:
        for line in lines:
            tell(line)
    assert "take [care]" in capsys.readouterr().err
    assert [command._how(line) for line in lines if line["kind"] == "step"] == [
        "loss 0.250",
        "1 without a whole answer",
    ]


def test_lines_of_progress_as_json(tmp_path: Path) -> None:
    words = ["--task", "demo-ner", "--data", SAMPLES, "--output", tmp_path / "out", "--log", "json"]
    _, shown = typed("evaluate", "--model", "dictionary", *words)
    lines = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    assert lines[0] == {"kind": "run", "task": "demo-ner", "seed": 1}
    assert {line["kind"] for line in lines[1:]} == {"look"}
