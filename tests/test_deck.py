"""The whole story on the samples as one script, small: every stage once, and nothing a second time."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from servers import fake

ROOT = Path(__file__).parent.parent
STAGES = [
    ("corpus", "corpus"),
    ("enrich", "labels"),
    ("sample random", "samples/random"),
    ("sample cases", "samples/cases"),
    ("publish", "published"),
    ("report", "corpus.html"),
    ("tokenizer", "tokenizer"),
    ("pretrain random", "models/random"),
    ("pretrain cases", "models/cases"),
    ("evaluate dictionary", "results/dictionary"),
    ("evaluate random", "results/random"),
    ("evaluate cases", "results/cases"),
    ("compare", "tables.md"),
    ("compare", "tables.tex"),
    ("compare", "results.html"),
]


def deck(folder: Path, *options: str) -> tuple[list[tuple[str, str, str]], str]:
    """What the script says of each stage (name, where, state), and what comes after that."""
    command = [sys.executable, str(ROOT / "pipelines" / "deck.py"), "--output", "deck", *options]
    done = subprocess.run(command, cwd=folder, env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    told, _, rest = done.stdout.partition("\n\n")
    lines = []
    for line in told.splitlines():
        found = re.fullmatch(r"(\S+(?: \S+)*)\s{2,}(?:(\S+)\s+)?(?:[\d.]+ s\s+)?(.*)", line)
        assert found, line
        lines.append((found[1], found[2] or "", found[3]))
    return lines, rest


@pytest.mark.timeout(600)
def test_the_whole_story_once_and_then_nothing(tmp_path: Path) -> None:
    small = ("--steps", "2", "--tune", "1", "--seeds", "1")
    with fake() as url:
        asking = ("--endpoint", url, "--model", "model", *small)
        first, tables = deck(tmp_path, *asking)
        assert [(name, where) for name, where, _ in first] == STAGES
        states = {name: state for name, _, state in first}
        assert re.fullmatch(r"done \(\d+ ok\)", states.pop("enrich"))
        assert set(states.values()) == {"done"}
        second, again = deck(tmp_path, *asking)
    assert [(name, where) for name, where, _ in second] == STAGES
    assert {state.partition(" (")[0] for *_, state in second} == {"from before"}
    assert again == tables
    for task in ("demo-ner", "demo-labels", "demo-choice"):
        assert f"{task}, camembert-bio" in tables
    markdown = (tmp_path / "deck" / "tables.md").read_text()
    assert all(f"| {name} |" in markdown or f"**{name}**" in markdown for name in ("dictionary", "random", "cases"))


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "pipelines" / "deck.py"), "--endpoint", "http://localhost:1/v1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "give --endpoint URL and --model NAME together, or --serve demo alone" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_anew_when_what_it_tells_of_is_newer(tmp_path: Path) -> None:
    module = runpy.run_path(str(ROOT / "pipelines" / "deck.py"))
    told: list[str] = []

    class Quiet(module["Deck"]):  # type: ignore[misc]
        def tell(self, name: str, where: str, state: str, begun: float | None = None) -> None:
            told.append(state)

    def stamp(file: str, seconds: int) -> None:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("{}")
        os.utime(tmp_path / file, (seconds, seconds))

    def write(path: Path) -> None:
        path.write_text("whole")

    def broken(path: Path) -> None:
        path.write_text("ha")
        raise OSError("the disk is full")

    stamp("corpus/manifest.json", 100)
    deck = Quiet(tmp_path, overwrite=False)
    with pytest.raises(OSError, match="the disk is full"):
        deck.file("report", "corpus.html", ["corpus", "labels"], broken)
    assert not (tmp_path / "corpus.html").exists()
    for _ in range(2):
        deck.file("report", "corpus.html", ["corpus", "labels"], write)
    os.utime(tmp_path / "corpus.html", (200, 200))
    stamp("labels/enrichment.json", 300)  # a language model was asked after that
    deck.file("report", "corpus.html", ["corpus", "labels"], write)
    assert told == ["done", "from before", "done"]
