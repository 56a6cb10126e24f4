"""The page and the command: text of the corpus is text, whatever it says."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import lxml.html
import pytest
import report_corpora as corpora
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.cli import report as command
from corpuskit.report.page import ReportError, embedded
from corpuskit.report.run import report

pytest.importorskip("plotly")
pytest.importorskip("jinja2")
runner = CliRunner()
assert command  # the command is on the application as soon as its module is imported


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    one, other = corpora.corpus(folder / "<i>one"), corpora.corpus(folder / "other", seed=3)
    labels = corpora.annotated(folder / "<u>labels", one)
    report(one, folder / "report.html", [labels], against=other)
    return (folder / "report.html").read_text(encoding="utf-8")


def without_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)


@given(st.recursive(st.text() | st.integers(-9, 9), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_data_come_back_and_end_no_script(data: Any) -> None:
    written = embedded(data)
    assert json.loads(written) == data
    assert not set(written) & set("<>&\u2028\u2029")


def test_hostile_text_is_text(page: str) -> None:
    tree = lxml.html.fromstring(page)
    assert [script.get("type") for script in tree.iter("script")] == ["application/json", "text/plain", None]
    for tag in ("img", "iframe", "object", "form", "link", "meta"):
        for one in tree.iter(tag):
            assert not [name for name in one.attrib if name.startswith("on")]
    assert not list(tree.iter("img", "b", "i", "u"))
    text = tree.text_content()
    for told in ("<i>one", "<u>labels", "<b>mine</b>", "Revue <i>médicale</i>", "<b>ner</b>-test",
                 "<i>model</i>", corpora.HOSTILE[0]):  # fmt: skip
        assert told in text, told
    data = json.loads(tree.get_element_by_id("data").text_content())
    assert set(corpora.HOSTILE) <= {row["title"] for row in data["kept"]} | {row["text"] for row in data["dropped"]}


def test_the_page_is_whole_and_may_reach_for_nothing(page: str) -> None:
    markup = without_scripts(page)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', markup)
    assert policy
    assert policy[1].startswith(
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
    )
    assert not re.findall(r'(?:src|href)="(?!#|data:,)[^"]*"', markup)


def test_every_figure_has_a_table_of_its_numbers(page: str) -> None:
    tree = lxml.html.fromstring(page)
    charts = [one for one in tree.iter("figure") if one.find_class("chart")]
    assert len(charts) > 15
    for one in charts:
        drawn = one.find_class("chart")[0]
        assert drawn.get("role") == "img"
        assert drawn.get("aria-label")
        if drawn.get("data-chart") != "flow":
            assert one.find_class("table") or one.findall(".//table")
    assert "1,234" in tree.get_element_by_id("summary").text_content()


def test_the_same_corpus_gives_the_same_page(tmp_path: Path) -> None:
    folder = corpora.corpus(tmp_path / "corpus", articles=20)
    report(folder, tmp_path / "one.html")
    report(folder, tmp_path / "two.html")
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_from_the_command_line(tmp_path: Path) -> None:
    folder = corpora.corpus(tmp_path / "corpus", articles=20)
    labels = corpora.annotated(tmp_path / "labels", folder)
    output = tmp_path / "new" / "report.html"
    done = runner.invoke(app, ["report", str(folder), "-a", str(labels), "--against", str(folder), "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert "paragraphs counted" in done.output
    assert output.exists()
    assert [path.name for path in output.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing"], "no Parquet files of paragraphs"),
        (
            ["corpus", "-a", "corpus"],
            "corpus holds no annotations: give a folder",
        ),
        (["corpus", "--against", "missing"], "no Parquet files of paragraphs"),
        (["corpus", "-o", "corpus"], "corpus cannot be written"),
    ],
)
def test_what_is_wrong_is_told(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    corpora.corpus(tmp_path / "corpus", articles=5)
    done = runner.invoke(app, ["report", *arguments])
    assert done.exit_code == 1
    assert told in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_a_sample_tells_how_it_was_drawn(tmp_path: Path) -> None:
    folder = corpora.corpus(tmp_path / "sample", articles=10)
    shutil.rmtree(folder / "articles")
    shutil.rmtree(folder / "dropped")
    (folder / "funnel.json").unlink()
    (folder / "manifest.json").write_text(json.dumps({"tool": "corpuskit sample", "fingerprint": "0" * 64}))
    (folder / "sample.json").write_text(json.dumps({"paragraphs": 12345, "note": corpora.HOSTILE[1]}))
    report(folder, tmp_path / "report.html")
    text = lxml.html.fromstring((tmp_path / "report.html").read_text(encoding="utf-8")).text_content()
    assert "How this sample was drawn" in text
    assert json.dumps(corpora.HOSTILE[1]) in text
    assert "Kept and dropped" not in text
    assert "Of the paragraphs kept." in text


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    folder = corpora.corpus(tmp_path / "corpus", articles=10)
    (folder / "dropped" / "00001.parquet").write_bytes(b"PAR1, they said")
    with pytest.raises(ReportError, match=r"corpus: the tables cannot be counted: .*00001\.parquet"):
        report(folder, tmp_path / "report.html")


def test_without_plotly_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ReportError, match=re.escape("pip install 'corpuskit-fr[report]'")):
        report(corpora.corpus(tmp_path / "corpus", articles=5), tmp_path / "report.html")
