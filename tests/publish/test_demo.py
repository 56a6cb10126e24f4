"""The card of the demo, data_cards/demo.md: what `make demo` writes, with the answers that the model gave once."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpuskit import runs
from corpuskit.cli import app
from corpuskit.cli import build as _building  # noqa: F401  (registers the commands)
from corpuskit.cli import publish as _publishing  # noqa: F401
from corpuskit.cli import sample as _sampling  # noqa: F401
from corpuskit.enrich import prompts
from corpuskit.enrich.annotations import Annotation, Annotator, tables, write

ROOT = Path(__file__).parents[2]
CARD = ROOT / "data_cards" / "demo.md"


def commands() -> list[list[str]]:
    """Those of corpuskit that `make demo` runs."""
    told = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [shlex.split(line)[1:] for line in told.stdout.splitlines() if re.match(r"\S*/corpuskit ", line)]


def annotate(folder: Path, command: list[str]) -> None:
    """What `corpuskit enrich` writes, with the answers of demo_labels.jsonl."""
    prompt = prompts.load(command[command.index("--prompt") + 1])
    lines = [json.loads(line) for line in (Path(__file__).parent / "demo_labels.jsonl").read_text().splitlines()]
    found = [
        Annotation(one["id"], one["id"].partition("#")[0], answer=one["answer"],
                   soft={"educational_quality": one["quality"]}) for one in lines
    ]  # fmt: skip
    write(folder, tables(prompt, Annotator("model", "gemma3-270m-demo"), found))
    chosen = {"share": float(command[command.index("--share") + 1]), "seed": 1, "limit": None,
              "min_words": int(command[command.index("--min-words") + 1])}  # fmt: skip
    told = {"tool": "corpuskit enrich", "paragraphs": {"selection": chosen}, "work": {"seconds": 1.0}}
    runs.write_json(folder / "enrichment.json", told)


def lasting(card: str) -> list[str]:
    """The lines of a card without what differs from run to run: days, times, sizes, energy, fingerprints, versions."""
    card = re.sub(r"\d{4}-\d\d-\d\d( to \d{4}-\d\d-\d\d)?", "DAY", card)
    card = re.sub(r"year = \{\d+\}", "year = {YEAR}", card)
    card = re.sub(r"\b[0-9a-f]{12}\b|\b[0-9a-f]{64}\b", "FINGERPRINT", card)
    card = re.sub(r"(corpuskit(?:-fr)?) \d+\.\d+\.\d+", r"\1 VERSION", card)
    files, rest = card.split("## Sources and dates")
    before, energy, after = re.split(r"(## Energy\n.*?)(?=## )", rest, flags=re.DOTALL)
    files = re.sub(r"[\d,]+ \|$", "BYTES |", files, flags=re.MULTILINE)
    energy = re.sub(r"^(\| .*?\|).*", r"\1", energy, flags=re.MULTILINE)
    return (files + before + energy + after).splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the demo has no annotations")
def test_the_card_of_the_demo_is_what_the_demo_writes(tmp_path: Path) -> None:
    output = {}
    with contextlib.chdir(tmp_path):
        for command in commands():
            name = command[0]
            if name not in ("demo", "enrich", "sample", "publish"):  # the card does not tell of the others
                continue
            output[name] = Path(command[command.index("--output") + 1])
            if name == "enrich":
                annotate(output[name], command)
            else:
                done = CliRunner().invoke(app, command)
                assert done.exit_code == 0, done.output
    written = tmp_path / output["publish"] / "README.md"
    assert lasting(written.read_text(encoding="utf-8")) == lasting(CARD.read_text(encoding="utf-8")), (
        f"if {written} is right, it is the new {CARD}"
    )
