"""Progress across processes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from rich.console import Console

from corpuskit import progress


def test_tasks_add_up(tmp_path: Path) -> None:
    for rank, articles in enumerate((3, 4)):
        reporter = progress.Reporter(tmp_path, rank)
        reporter.count.articles = articles
        reporter.tell(now=True)
    (tmp_path / "00002.json").write_text('{"articles": ')  # caught while being written
    assert progress.total(tmp_path) == progress.Count(articles=7)


def test_two_words_are_not_written_in_one_instant(tmp_path: Path) -> None:
    reporter = progress.Reporter(tmp_path, 0)
    reporter.tell()
    reporter.count.articles = 5
    reporter.tell()
    assert progress.total(tmp_path).articles == 0
    reporter.tell(now=True)
    assert progress.total(tmp_path).articles == 5


def test_json_lines_for_batch_jobs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    reporter = progress.Reporter(tmp_path, 0)
    reporter.count.bytes = 500
    reporter.tell(now=True)
    with progress.watch(tmp_path, 1_000_000, "json", Console(), every=0.02):
        time.sleep(0.2)
    first = json.loads(capfd.readouterr().err.splitlines()[0])
    assert (first["event"], first["bytes"], first["bytes_total"]) == ("progress", 500, 1_000_000)
    assert first["seconds_left"] > 0


@pytest.mark.parametrize("log", ["auto", "quiet"])
def test_nothing_is_drawn_off_a_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str], log: progress.Log) -> None:
    with progress.watch(tmp_path, 1000, log, Console()):
        time.sleep(0.05)
    assert capfd.readouterr() == ("", "")
