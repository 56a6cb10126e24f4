"""The documentation, executed: every code block of README.md and docs/ runs.

The blocks of one file run in order, in one folder that starts with a copy of the samples (``samples/``).
``bash`` runs in a shell, ``python`` in one interpreter a file, ``yaml`` whose first line is a comment with
a file name is written there and must be a valid configuration, ``json`` must parse. ``text`` is output.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from servers import fake

from corpuskit import config
from corpuskit.enrich import prompts
from corpuskit.records import ARTICLE_SCHEMA, DROPPED_SCHEMA, PARAGRAPH_SCHEMA

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Where the documents have a server; in the tests a false one answers.
ENDPOINT = "http://localhost:8000/v1"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(command: list[str], folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "COLUMNS": "120"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"


def run_bash(code: str, folder: Path) -> None:
    # The set-up commands run this very test: here they are only looked up.
    if made := re.findall(r"^make (\w+)", code, re.MULTILINE):
        for target in made:
            run(["make", "--dry-run", "--directory", str(ROOT), target], folder)
        return
    run(["bash", "-euo", "pipefail", "-c", code], folder)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with fake() as url:
        yield url


@pytest.mark.timeout(1200)  # many builds one after the other
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_code_block_runs(document: Path, tmp_path: Path, endpoint: str) -> None:
    shutil.copytree(ROOT / "corpuskit" / "samples", tmp_path / "samples")
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines")
    script = ""
    for language, code in _BLOCK.findall(document.read_text(encoding="utf-8").replace(ENDPOINT, endpoint)):
        if language == "bash":
            run_bash(code, tmp_path)
        elif language == "python":
            # What earlier blocks defined is there, as a reader expects.
            script += code
            (tmp_path / "block.py").write_text(script, encoding="utf-8")
            run([sys.executable, "block.py"], tmp_path)
        elif language == "yaml":
            name = re.match(r"# ([\w.-]+\.yaml)\n", code)
            assert name, f"a yaml block names its file in its first line:\n{code}"
            (tmp_path / name[1]).write_text(code, encoding="utf-8")
            assert yaml.safe_load(code)
            config.load(tmp_path / name[1])
        elif language == "json":
            json.loads(code)
        elif language == "markdown":
            prompts.parse(code)
        else:
            assert language == "text", f"a code block says what it is: {language!r}\n{code}"


@pytest.mark.parametrize("schema", [ARTICLE_SCHEMA, PARAGRAPH_SCHEMA, DROPPED_SCHEMA])
def test_the_data_format_page_has_every_column(schema) -> None:  # type: ignore[no-untyped-def]
    page = (ROOT / "docs" / "data-format.md").read_text(encoding="utf-8")
    for field in schema:
        row = f"| `{field.name}` | {field.type} | {field.metadata[b'description'].decode()} |"
        assert row in page, f"docs/data-format.md lacks the row\n{row}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


def test_nothing_says_to_install_the_package_of_somebody_else() -> None:
    for document in DOCUMENTS:
        assert not re.search(r"pip install [^\n]*\bcorpuskit\b(?!-fr)", document.read_text(encoding="utf-8")), document
