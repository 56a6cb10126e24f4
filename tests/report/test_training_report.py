"""The page of a pretraining run: its curves, its figures, what it cost; whole, and reaching for nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import finished_run
import lxml.html
import pytest
import report_corpora as corpora
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.pretrain.curves import Curves
from corpuskit.report import training as pages
from corpuskit.report.charts import Lines
from corpuskit.report.page import ReportError
from corpuskit.report.training import of_run, training

pytest.importorskip("plotly")
pytest.importorskip("jinja2")
HOSTILE = corpora.HOSTILE[0]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    told = finished_run.manifest()
    told["data"][0] |= {"name": HOSTILE}
    told["training"] |= {"device": HOSTILE}
    told["config"] = told["config"] | {"description": HOSTILE}
    log = finished_run.log(switch=20)
    for line in log:
        if line["kind"] == "validation":
            line["loss"][HOSTILE] = line["loss"].pop("hal")
    folder = tmp_path_factory.mktemp("training")
    run = finished_run.write(folder / "run", told, [*log, {"kind": "resumed", "step": 40}])
    return training(run, folder / "report.html").read_text(encoding="utf-8")


def test_the_page_is_whole_and_may_reach_for_nothing(page: str) -> None:
    markup = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', markup)
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'unsafe-inline'")
    assert not re.findall(r'(?:src|href)="(?!#|data:,)[^"]*"', markup)


def test_hostile_text_is_text(page: str) -> None:
    tree = lxml.html.fromstring(page)
    assert [script.get("type") for script in tree.iter("script")] == ["application/json", "text/plain", None]
    assert not list(tree.iter("img", "b", "i", "u", "iframe"))
    assert tree.text_content().count(HOSTILE) >= 4


def cells(page: str, caption: str) -> list[list[str]]:
    table = next(one for one in lxml.html.fromstring(page).iter("table") if caption in one.findtext("caption"))
    return [[cell.text_content().strip() for cell in row] for row in table.iter("tr")]


def test_the_figures_are_those_of_the_run(page: str) -> None:
    losses = cells(page, "Validation loss, from the first look to the last")
    assert losses[0] == ["source", "objective", "at step", "first", "at step", "last", "change"]
    assert ["istex", "causal", "0", "3.250", "20", "2.750", "-0.500"] in losses
    assert ["istex", "mlm", "40", "2.250", "40", "2.250", "0.000"] in losses
    costs = cells(page, "Energy and what its making emitted")
    assert costs[0] == ["", "kWh", "kg CO2e at 34 g/kWh", "kg CO2e at 56.0 g/kWh", "how it is known"]
    assert costs[1] == ["training, as counted", "0.04", "0.00136", "0.00224", "measured by NVML on 1 GPU(s)"]
    assert costs[4][:2] == ["making of the data", "0.75"]
    assert ["DrBERT", "–", "26.11", "–"] in [row[:4] for row in costs]
    data = cells(page, "What was read")
    assert data[2] == ["istex", "2.00", "1,200", "400,000", "8.74", "12", "4,100", "2.1 %"]
    log = cells(page, "Some lines of the log")
    assert log[1] == ["10", "1,310,720", "3.500", "1e-05", "65,536", "0.01"]
    assert len(log) == 5


def test_curves_of_two_objectives_are_not_joined() -> None:
    drawn = of_run(Curves.of([*finished_run.log(switch=20), {"kind": "resumed", "step": 40}]))
    loss = drawn["loss"]
    assert isinstance(loss, Lines)
    assert [(line.name, line.x) for line in loss.lines if line.role == "calm"] == [
        ("training, smoothed", [10.0, 20.0]), ("training, smoothed", [30.0, 40.0])
    ]  # fmt: skip
    assert loss.marks == [(40.0, ""), (10.0, "causal"), (30.0, "mlm")]
    assert {line.name for line in loss.lines if line.role == "source"} == {"validation, hal", "validation, istex"}
    assert set(drawn) == {"loss", "learning-rate", "speed"}
    assert of_run(Curves.of([])) == {}


def test_where_the_objective_changes_the_table_has_a_row_of_each(tmp_path: Path) -> None:
    log = finished_run.log(switch=20)
    place = next(place for place, line in enumerate(log) if line["kind"] == "validation" and line["step"] == 20)
    log.insert(place + 1, log[place] | {"objective": "mlm", "loss": {"all": 9.25, "hal": 9.5}})
    run = finished_run.write(tmp_path / "run", None, log)
    page = training(run, tmp_path / "report.html").read_text(encoding="utf-8")
    rows = cells(page, "Validation loss by source")
    assert [row[:4] for row in rows[2:4]] == [["20", "causal", "2.625", "2.500"], ["20", "mlm", "9.250", "9.500"]]
    assert ["hal", "mlm", "20", "9.500", "40", "1.500", "-8.000"] in cells(page, "Validation loss, from the first")


def test_a_long_log_makes_no_large_page() -> None:
    log: list[dict[str, Any]] = [
        {"kind": "train", "step": step, "loss": 1.0, "objective": "mlm", "learning_rate": 1e-5} for step in range(9_001)
    ]
    loss = of_run(Curves.of(log))["loss"]
    assert isinstance(loss, Lines)
    assert [len(line.x) for line in loss.lines] == [1_000, 1_000]
    assert (loss.lines[0].x[0], loss.lines[0].x[-1]) == (0, 9_000)


@pytest.mark.parametrize("log", [None, "", '{"kind": "train", "step": 10, "lo', '{"kind": "train", "step": 10}\n'])
def test_a_run_without_a_log_has_a_page(log: str | None, tmp_path: Path) -> None:
    run = finished_run.write(tmp_path / "run", finished_run.manifest(energy=None))
    (run / "log.jsonl").unlink()
    if log is not None:
        (run / "log.jsonl").write_text(log)
    text = lxml.html.fromstring(training(run, tmp_path / "report.html").read_text()).text_content()
    assert "The log holds no step." in text
    assert "The log holds no validation loss." in text
    assert "Nothing was counted." in text


def test_from_the_command_line(tmp_path: Path) -> None:
    run, output = finished_run.write(tmp_path / "run"), tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", str(run), "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert "pretraining report" in output.read_text(encoding="utf-8")
    done = CliRunner().invoke(app, ["report", str(run), "--against", str(run), "--output", str(output)])
    assert done.exit_code == 1
    assert "leave out --annotations and --against" in " ".join(done.output.split())


def test_another_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(finished_run.BUILD))
    assert not pages.is_training(tmp_path)
    with pytest.raises(ReportError, match="holds no finished pretraining run"):
        training(tmp_path, tmp_path / "report.html")
