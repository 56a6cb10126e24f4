"""The command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpuskit import cli

SAMPLES = Path(cli.__file__).parents[1] / "samples"
runner = CliRunner()


def test_build_from_the_command_line(tmp_path: Path) -> None:
    done = runner.invoke(
        cli.app,
        ["build", "--source", f"hal={SAMPLES / 'hal'}", "--source", f"pubmed={SAMPLES / 'pubmed'}",
         "--language", "fr", "--workers", "2", "--output", str(tmp_path / "out")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "What is left after each stage" in done.output
    assert re.search(r"^ *hal +\d", done.output, re.MULTILINE)
    assert (tmp_path / "out/manifest.json").exists()


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = runner.invoke(cli.app, ["build", "-s", f"hal={SAMPLES / 'hal'}", "-o", str(tmp_path / "out"), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "export.xml" in done.output
    order = "repetition → join → boilerplate → duplicate → near"
    assert order in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()


def test_options_add_to_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "corpus.yaml").write_text(
        f"sources: [{{type: pubmed, path: {SAMPLES / 'pubmed'}}}]\nclean: {{ocr: {{max_noise: 0.5}}}}\n"
    )
    done = runner.invoke(
        cli.app,
        ["build", str(tmp_path / "corpus.yaml"), "--language", "en", "--mask", "email", "-o", str(tmp_path / "out")],
    )
    assert done.exit_code == 0, done.output
    config = json.loads((tmp_path / "out" / "manifest.json").read_text())["config"]
    assert config["sources"][0]["languages"] == ["en"]
    assert config["clean"]["language"]["keep"] == "en"
    assert config["clean"]["mask"]["kinds"] == ["email"]
    assert config["clean"]["ocr"]["max_noise"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["build", "--output", "x"], "give either a configuration file or one or more --source"),
        (["build", "--source", "hal", "--output", "x"], "--source hal: expected TYPE=PATH"),
        (["build", "--source", "hall=x", "--output", "x"], "the sources are istex, hal"),
        (["build", "--source", "hal=/nowhere/at/all", "--output", "x"], "nothing at /nowhere/at/all"),
        (["build", "--source", "hal=x"], "give --output DIR"),
        (["build", "absent.yaml", "--output", "x"], "there is no such file"),
        (["build", "--source", "hal=x", "--log", "loud", "--output", "x"], "expected auto, rich, json or quiet"),
        (["sources", "hall"], "'hall' is not a source"),
    ],
)
def test_errors_are_for_people(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = runner.invoke(cli.app, arguments)
    assert done.exit_code == 1
    assert told in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_an_empty_result_exits_non_zero(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Short."}\n')
    done = runner.invoke(cli.app, ["build", "-s", f"jsonl={tmp_path}", "-o", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "not one paragraph was kept" in " ".join(done.output.split())


def test_sources_lists_every_reader_and_its_options() -> None:
    done = runner.invoke(cli.app, ["sources"])
    for word in ("istex", "min_year", "hal", "domains", "pubmed", "wikipedia", "select", "html", "jsonl", "parquet"):
        assert word in done.output


def test_batch_jobs_get_json_lines_and_no_drawing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "corpuskit", "build", "-s", f"hal={SAMPLES / 'hal'}", "-o", str(tmp_path / "out"),
               "--log", "json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["event"], last["worked"]) == ("done", True)
    assert last["kept"]["hal"]["articles"] > 0
    assert all(json.loads(line) for line in done.stderr.splitlines())


def test_the_core_imports_without_torch_and_vllm() -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['vllm'] = None\n"
        "import corpuskit.build, corpuskit.cli, corpuskit.sources\n"
        "print('transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_prompts_are_listed_shown_and_checked(tmp_path: Path) -> None:
    done = runner.invoke(cli.app, ["prompts", "list"])
    assert all(name in done.output for name in ("biomed-enriched-fr", "biomed-fr-quality", "medical-terms"))
    done = runner.invoke(cli.app, ["prompts", "show", "medical-terms"])
    assert done.output.startswith("Tu relèves les termes médicaux d'un paragraphe.")
    assert done.output.endswith("<paragraphe>\n{paragraph}\n</paragraphe>\nJSON :\n")
    done = runner.invoke(cli.app, ["prompts", "show", "medical-terms", "--schema"])
    assert json.loads(done.output)["required"] == ["terms"]
    done = runner.invoke(cli.app, ["prompts", "check", "medical-terms"])
    assert re.match(r"medical-terms 1 \([0-9a-f]{12}\) can be used: terms\n", done.output)
    (tmp_path / "bad.md").write_text("---\nname: bad\n---\n{paragraph}\n")
    done = runner.invoke(cli.app, ["prompts", "check", str(tmp_path / "bad.md")])
    assert done.exit_code == 1
    assert "fields: Field required" in done.output
