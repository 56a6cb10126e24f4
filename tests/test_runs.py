"""Runs in their folders: held by one process, found, compared, cleaned."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpuskit import runs
from corpuskit.cli import app
from corpuskit.runs import RunError


def test_one_folder_is_held_by_one_process(tmp_path: Path) -> None:
    with runs.working(tmp_path, "a" * 64):
        code = f"""
import sys
from pathlib import Path
from corpuskit import runs
try:
    with runs.working(Path({str(tmp_path)!r}), "{"a" * 64}"):
        pass
except runs.RunError as error:
    sys.exit(str(error))
"""
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "another run is writing" in other.stderr
        assert runs.running(tmp_path)
    assert not runs.running(tmp_path)


def test_what_another_run_left_is_never_used(tmp_path: Path) -> None:
    with runs.working(tmp_path, "a" * 64) as work:
        (work / "articles").mkdir()
        (work / "articles" / "00000.parquet").write_bytes(b"old")
    with runs.working(tmp_path, "a" * 64) as work:
        assert (work / "articles" / "00000.parquet").exists()
    with runs.working(tmp_path, "b" * 64) as work:
        assert sorted(path.name for path in work.iterdir()) == ["holder.json", "lock", "run.json"]


def test_publishing_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    fresh, output = tmp_path / "fresh", tmp_path / "out"
    (fresh / "paragraphs").mkdir(parents=True)
    (fresh / "manifest.json").write_text("{}")
    (output / "articles").mkdir(parents=True)
    (output / "articles" / "new").touch()
    runs.publish(fresh, output)
    assert sorted(path.name for path in output.iterdir()) == ["articles", "manifest.json", "paragraphs"]
    assert (output / "articles" / "new").exists()


def finished(folder: Path, **manifest: object) -> Path:
    folder.mkdir(parents=True)
    told = {
        "tool": "corpuskit build",
        "fingerprint": "c" * 64,
        "config": {},
        "inputs": [],
        "versions": {},
        "limit": None,
    }
    (folder / "manifest.json").write_text(json.dumps(told | manifest))
    accounts = {"kept": {"hal": {"paragraphs": 2}}, "dropped": [], "read": {}, "stages": [], "languages": {}}
    (folder / "funnel.json").write_text(json.dumps(accounts))
    return folder


def test_runs_are_found_and_cleaned(tmp_path: Path) -> None:
    finished(tmp_path / "a" / "done")
    with runs.working(tmp_path / "b", "d" * 64) as work:
        (work / "part").write_bytes(b"x" * 1000)
        listed = CliRunner().invoke(app, ["runs", "list", str(tmp_path)], env={"COLUMNS": "200"})
        assert [line.split()[1] for line in listed.output.splitlines()[1:]] == ["finished", "running"]
        (found,) = [run for run in runs.find(tmp_path) if run.state == "running"]
        with pytest.raises(RunError, match="is being written"):
            runs.clean(found)
    assert [run.state for run in runs.find(tmp_path)] == ["finished", "interrupted"]
    shown = CliRunner().invoke(app, ["runs", "show", str(tmp_path / "b")])
    assert "the command that began it goes on from there" in " ".join(shown.output.split())
    cleaned = CliRunner().invoke(app, ["runs", "clean", str(tmp_path), "--yes"])
    assert cleaned.exit_code == 0
    assert [run.path.name for run in runs.find(tmp_path)] == ["done"]


def test_two_runs_are_compared(tmp_path: Path) -> None:
    one = finished(tmp_path / "one", config={"language": "fr", "sources": [{"type": "hal"}]})
    two = finished(tmp_path / "two", config={"language": "any", "sources": [{"type": "hal"}]})
    shown = CliRunner().invoke(app, ["runs", "diff", str(one), str(two)], env={"COLUMNS": "200"})
    assert [line.split()[0] for line in shown.output.splitlines()[1:]] == ["config.language"]
    same = CliRunner().invoke(app, ["runs", "diff", str(one), str(one)])
    assert "the same" in same.output
    nothing = CliRunner().invoke(app, ["runs", "show", str(tmp_path)])
    assert nothing.exit_code == 1
    assert "holds no run" in nothing.stderr


def test_differences_name_the_place() -> None:
    left = {"a": 1, "b": [{"c": 1}], "d": [1, 2]}
    right = {"b": [{"c": 2}, {"c": 3}], "d": [1, 2], "e": None}
    assert list(runs.differences(left, right)) == [("a", 1, None), ("b[0].c", 1, 2), ("b[1]", None, {"c": 3})]


def test_a_finished_run_is_left_alone_and_tidied_up_and_another_is_not_replaced(tmp_path: Path) -> None:
    folder = finished(tmp_path / "corpus", fingerprint="a" * 64)
    with runs.working(folder, "a" * 64) as work:  # killed after its last file
        (work / "left").write_text("x")
    tool = "corpuskit build"
    found = runs.done_before(folder, "a" * 64, False, tool)
    assert found is not None
    assert found["fingerprint"] == "a" * 64
    assert not (folder / runs.WORK).exists()
    assert runs.done_before(folder, "a" * 64, True, tool) is None
    assert runs.done_before(tmp_path / "absent", "a" * 64, False, tool) is None
    with pytest.raises(runs.RunError, match="holds another run: choose another folder, or replace it with --overwrite"):
        runs.done_before(folder, "b" * 64, False, tool)
    for overwrite in (False, True):
        with pytest.raises(runs.RunError, match="holds what `corpuskit build` wrote: choose another folder"):
            runs.done_before(folder, "b" * 64, overwrite, "corpuskit sample")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(runs.RunError, match="holds something else"):
        runs.done_before(tmp_path / "other", "a" * 64, True, tool)


def test_a_run_does_not_write_where_it_reads(tmp_path: Path) -> None:
    corpus, labels = tmp_path / "corpus", tmp_path / "labels"
    corpus.mkdir()
    (tmp_path / "link").symlink_to(corpus)
    runs.apart(tmp_path / "corpus-2", corpus, labels)
    for output in (corpus, corpus / "sample", tmp_path, tmp_path / "link", corpus / ".." / "labels"):
        with pytest.raises(runs.RunError, match=r"the run reads from .*; choose a folder beside it"):
            runs.apart(output, corpus, labels)


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("in/b", "a", "manifest.json"):
        (tmp_path / name).write_text(name)
    told = runs.describe_folder(tmp_path, "manifest.json")
    assert [(one["name"], one["bytes"]) for one in told] == [("a", 1), ("in/b", 4)]
