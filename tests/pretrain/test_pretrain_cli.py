"""The command of pretraining: what it shows, to whom, and what it says when it cannot."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import finished_run
import pytest
from typer.testing import CliRunner, Result

from corpuskit.cli import app
from corpuskit.pretrain import push as pushing
from corpuskit.pretrain import run as running
from corpuskit.publish.push import Pushed

START: dict[str, Any] = {
    "kind": "start", "step": 0, "parameters": 110_655_493, "sequence_length": 512, "batch_tokens": 131_072,
    "device": "NVIDIA H100 80GB HBM3", "devices": 2, "precision": "bf16", "steps": 40, "tokens": 5_242_880,
}  # fmt: skip
TRAIN: dict[str, Any] = {
    "kind": "train", "step": 10, "tokens": 1_310_720, "seconds": 20.0, "loss": 3.5, "objective": "causal",
    "learning_rate": 1e-5, "gradient_norm": 1.0, "tokens_per_second": 65_536.0, "mfu": 0.41, "kwh": 0.01,
    "seconds_left": 60.0, "kwh_left": 0.03,
}  # fmt: skip
LOOK: dict[str, Any] = {
    "kind": "validation", "step": 0, "tokens": 0, "loss": {"all": 3.375, "hal": 3.5}, "objective": "causal"
}  # fmt: skip
RESUMED: dict[str, Any] = {"kind": "resumed", "step": 20, "tokens": 2_621_440, "seconds": 40.0, "steps": 40}
WARNING: dict[str, Any] = {"kind": "warning", "step": 20, "message": "step-30 is damaged [0]: it is left aside"}

Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, with a run that tells what it is given and leaves a finished folder."""
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: str, lines: Sequence[dict[str, Any]] = (), log: Any = None, **changed: Any) -> Result:
        folder = tmp_path / "out"

        def pretrain(config: Any, output: Path, *, tell: Callable[[dict[str, Any]], None], **rest: Any) -> Any:
            for line in lines:
                tell(line)
            told = finished_run.manifest(**changed)
            shutil.rmtree(folder, ignore_errors=True)
            finished_run.write(folder, told, log)
            return running.Pretrained(folder, told, worked=True)

        monkeypatch.setattr(running, "pretrain", pretrain)
        given = ["pretrain", "try-on-cpu", "--data", "corpus", "--output", str(folder), *arguments]
        return CliRunner().invoke(app, given)

    return invoke


def on_one_line(done: Result) -> str:
    return " ".join(done.output.split())


def test_of_several_processes_the_first_speaks_and_pushes(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    pushed: list[str] = []

    def push(output: Path, repository: str) -> Pushed:
        pushed.append(repository)
        return Pushed(f"https://hub.example/{repository}", "0" * 40, 3)

    monkeypatch.setattr(pushing, "push", push)
    monkeypatch.setenv("RANK", "1")
    done = command("--push", "lab/model", "--log", "json", lines=[START, WARNING])
    assert (done.exit_code, done.output, pushed) == (0, "", [])
    monkeypatch.setenv("RANK", "0")
    done = command("--push", "lab/model", lines=[START])
    assert done.exit_code == 0, done.output
    assert "Pushed to https://hub.example/lab/model" in done.output
    assert pushed == ["lab/model"]


def test_json_lines_are_those_of_the_log(command: Command) -> None:
    lines = [START, LOOK, TRAIN | {"mfu": None}, WARNING]
    done = command("--log", "json", lines=lines)
    assert [json.loads(line) for line in done.stderr.splitlines()] == lines


@pytest.mark.parametrize(("log", "told"), [("auto", True), ("rich", True), ("quiet", False)])
def test_a_warning_is_shown_unless_nothing_is_to_be(log: str, told: bool, command: Command) -> None:
    done = command("--log", log, lines=[START, WARNING])
    assert ("warning: step-30 is damaged [0]: it is left aside" in done.stderr) is told
    assert ("110,655,493 parameters" in done.stderr) is (log == "rich")


def test_on_a_terminal_there_is_a_live_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    shown = command(lines=[START, LOOK, TRAIN]).stderr
    assert "110,655,493 parameters, 2 × NVIDIA H100 80GB HBM3, bf16: 40 steps of 131,072 tokens" in shown
    assert "step 0: validation loss (causal) all 3.375, hal 3.500" in shown
    assert "causal loss 3.500, 65,536 tokens/s, MFU 41%, 10.0 Wh, 30.0 to come, 0:01:00 left" in shown
    assert " 25% " in shown
    unknown = TRAIN | {"step": 30, "mfu": None, "seconds_left": None, "kwh_left": None}
    shown = command(lines=[RESUMED, unknown]).stderr
    assert "goes on from step 20 of 40" in shown
    assert "65,536 tokens/s, 10.0 Wh" in shown
    assert " 75% " in shown
    assert "left" not in shown


def at_the_turn() -> list[dict[str, Any]]:
    """A log that looks at both objectives where one takes the place of the other."""
    log = finished_run.log(switch=20)
    place = next(place for place, line in enumerate(log) if line["kind"] == "validation" and line["step"] == 20)
    return [*log[: place + 1], log[place] | {"objective": "mlm", "loss": {"all": 9.0, "hal": 9.5}}, *log[place + 1 :]]


def test_losses_of_two_objectives_have_a_table_each(command: Command) -> None:
    rows = [line.split() for line in command(log=at_the_turn()).stdout.splitlines()]
    causal, mlm = (rows.index(["validation", "loss", f"({one})", "first", "last"]) for one in ("causal", "mlm"))
    assert ["hal", "3.500", "2.500"] in rows[causal:mlm]
    assert ["hal", "9.500", "1.500"] in rows[mlm:]


def test_without_a_log_losses_of_two_objectives_are_not_set_side_by_side(command: Command) -> None:
    training = finished_run.manifest()["training"]
    training["loss"] |= {"objective": {"first": "causal", "last": "mlm"}}
    rows = [line.split() for line in command(log=[], training=training).stdout.splitlines()]
    assert ["hal", "3.500"] in rows
    assert ["hal", "1.500"] in rows
    training["loss"]["objective"]["last"] = "causal"
    rows = [line.split() for line in command(log=[], training=training).stdout.splitlines()]
    assert ["hal", "3.500", "1.500"] in rows


def test_the_users_own_electricity_has_a_column(command: Command) -> None:
    shown = on_one_line(command())  # whose manifest was made with --grid 56
    assert "kg CO2e at 34 g/kWh kg CO2e at 56 g/kWh" in shown
    assert "training, as counted 0.04 0.00136 0.00224" in shown


def test_without_it_there_is_none(command: Command) -> None:
    energy = finished_run.manifest()["energy"] | {"grid_own": None}
    shown = on_one_line(command(energy=energy))
    assert "kg CO2e at 34 g/kWh how" in shown
    assert "training, as counted 0.04 0.00136 measured by NVML" in shown


class Writer:
    """A stand-in for TensorBoard's."""

    found: list[Any]

    def __init__(self, folder: str, purge_step: int) -> None:
        self.found.append(("open", Path(folder).name, purge_step))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.found.append((name, value, step))

    def close(self) -> None:
        self.found.append("close")


def test_the_log_for_tensorboard(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found: list[Any] = []
    stub = types.ModuleType("torch.utils.tensorboard")
    monkeypatch.setattr(stub, "SummaryWriter", type("Own", (Writer,), {"found": found}), raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stub)
    folder = str(tmp_path / "a" / "board")
    assert command("--tensorboard", folder, lines=[START, LOOK, TRAIN, WARNING]).exit_code == 0
    assert found == [
        ("open", "board", 0),
        ("validation_causal/all", 3.375, 0), ("validation_causal/hal", 3.5, 0),
        ("loss/causal", 3.5, 10), ("learning_rate", 1e-5, 10), ("tokens_per_second", 65_536.0, 10),
        ("gradient_norm", 1.0, 10), ("kwh", 0.01, 10),
        "close",
    ]  # fmt: skip
    found.clear()
    command("--tensorboard", folder, lines=[RESUMED])
    assert found == [("open", "board", 21), "close"]  # step 20 stays


def test_without_tensorboard_it_says_so_before_it_trains(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    done = command("--tensorboard", str(tmp_path / "board"), lines=[START])
    assert done.exit_code == 1
    assert "error: --tensorboard needs TensorBoard" in on_one_line(done)
    assert "pip install tensorboard" in on_one_line(done)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("hidden", [["jinja2", "torch", "transformers", "accelerate"], ["torch"], ["jinja2"]])
def test_without_what_it_needs_it_says_what_to_install(hidden: list[str], tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules |= dict.fromkeys({hidden})
from corpuskit.cli import app
app(["pretrain", "try-on-cpu", "--data", "corpus", "--output", "out"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    told = " ".join(done.stderr.split())
    assert done.returncode == 1
    assert told.startswith("error: pretraining needs ")
    assert any(name in told for name in hidden)
    assert "pip install 'corpuskit-fr[pretrain]'" in told
    assert "Traceback" not in told


def test_a_file_for_figures_that_cannot_be_is_told_before_the_models_are_looked_at(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere" / "out.json", tmp_path):
        done = CliRunner().invoke(app, ["fill", "Le <mask>", "--model", "no-model", "--json", str(path)])
        assert done.exit_code == 1
        assert f"error: --json {path}: expected a file, in a folder that is there" in on_one_line(done)
