"""Withheld texts put back from the reader's own build, each by its hash."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.cli import publish as _commands  # noqa: F401  (registers the commands)
from corpuskit.publish.dataset import Published, publish
from corpuskit.publish.push import PushError, push
from corpuskit.publish.refill import RefillError, refill


@pytest.fixture(scope="module")
def published(corpus: Path, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(corpus, tmp_path_factory.mktemp("out") / "published", samples={"twice": sample})


def rebuilt(corpus: Path, target: Path, change) -> Path:  # type: ignore[no-untyped-def]
    """A copy of a corpus, each paragraph changed or (None) left out."""
    shutil.copytree(corpus, target)
    for path in (target / "paragraphs").glob("*.parquet"):
        table = pq.read_table(path)
        rows = [new for row in table.to_pylist() if (new := change(row)) is not None]
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path, row_group_size=10)
    return target


def test_the_same_build_gives_every_text_back(published: Published, corpus: Path, tmp_path: Path) -> None:
    done = refill(published.output, corpus, tmp_path / "full")
    assert done.counts == {"refilled": 216, "missing": 0, "mismatched": 0, "altered": 0}
    whole = {row["id"]: row["text"] for row in pq.read_table(corpus / "paragraphs").to_pylist()}
    for name in ("paragraphs", "twice"):
        rows = pq.read_table(done.output / "data" / name).to_pylist()
        assert [row["text"] for row in rows] == [whole[row["id"]] for row in rows]
    assert "A private copy" in (done.output / "README.md").read_text()
    assert (done.output / "README.md").read_text().startswith("---\n")


def test_a_text_that_is_another_or_gone_is_listed_and_stays_out(
    published: Published, corpus: Path, tmp_path: Path
) -> None:
    def change(row):  # type: ignore[no-untyped-def]
        if row["article_id"] == "lab:0002":
            return row | {"text": row["text"] + " !"}
        if row["article_id"] == "lab:0004":  # as another version of the cleaning would leave it
            return row | {"text": row["text"].upper(), "id": row["id"][:-1] + "x"}
        return None if row["article_id"] == "lab:0003" else row

    done = refill(published.output, rebuilt(corpus, tmp_path / "own", change), tmp_path / "full")
    listed = [json.loads(line) for line in (done.output / "not-refilled.jsonl").read_text().splitlines()]
    assert {(one["reason"], one["id"].split("#")[0]) for one in listed} == {
        ("mismatched", "lab:0002"),
        ("mismatched", "lab:0004"),
        ("missing", "lab:0003"),
    }
    told = CliRunner().invoke(
        app, ["refill", str(published.output), "--from", str(tmp_path / "own"), "--output", str(tmp_path / "again")]
    )
    assert told.exit_code == 2
    assert f"{done.counts['missing']} missing, {done.counts['mismatched']} mismatched" in told.output
    assert done.left == len(listed) == done.counts["missing"] + done.counts["mismatched"]
    out = {row["id"]: row["text"] for row in pq.read_table(done.output / "data" / "paragraphs").to_pylist()}
    assert {out[one["id"]] for one in listed} == {None}
    assert sum(text is None for text in out.values()) == 9


def test_a_published_text_that_was_altered_is_put_right_or_left_out(
    published: Published, corpus: Path, tmp_path: Path
) -> None:
    changed = {"lab:0000": "altered", "lab:0001": None}  # CC-BY-4.0 and CC-BY-NC-SA-4.0: both are published
    shutil.copytree(published.output, tmp_path / "published")
    for path in (tmp_path / "published" / "data" / "paragraphs").glob("*.parquet"):
        table = pq.read_table(path)
        rows = [row | ({"text": changed[row["article_id"]]} if row["article_id"] in changed else {})
                for row in table.to_pylist()]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    mended = refill(tmp_path / "published", corpus, tmp_path / "mended")
    assert mended.counts == {"refilled": 216 + 6, "missing": 0, "mismatched": 0, "altered": 0}

    own = rebuilt(corpus, tmp_path / "own", lambda row: None if row["article_id"] in changed else row)
    done = refill(tmp_path / "published", own, tmp_path / "full")
    assert done.counts == {"refilled": 216, "missing": 0, "mismatched": 0, "altered": 6}
    assert done.left == 6
    listed = [json.loads(line) for line in (done.output / "not-refilled.jsonl").read_text().splitlines()]
    assert {(one["reason"], one["id"].split("#")[0]) for one in listed} == {(("altered"), name) for name in changed}
    rows = pq.read_table(done.output / "data" / "paragraphs").to_pylist()
    assert {row["text"] for row in rows if row["article_id"] in changed} == {None}


def test_a_folder_that_cannot_be_written_is_said(published: Published, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RefillError, match=r"file.*: Not a directory; choose another folder, or make room"):
        refill(published.output, corpus, tmp_path / "file" / "full")


def test_a_paragraph_under_another_id_is_found_by_its_place(published: Published, corpus: Path, tmp_path: Path) -> None:
    def change(row):  # type: ignore[no-untyped-def]
        place = {"path": f"{row['article_id']}{row['path']}"}
        return (
            row
            | place
            | {"id": row["id"].replace("lab:", "hal:"), "article_id": row["article_id"].replace("lab:", "hal:")}
        )

    placed = rebuilt(corpus, tmp_path / "placed", lambda row: row | {"path": f"{row['article_id']}{row['path']}"})
    told = publish(placed, tmp_path / "published")
    done = refill(told.output, rebuilt(corpus, tmp_path / "own", change), tmp_path / "full")
    assert done.counts == {"refilled": 108, "missing": 0, "mismatched": 0, "altered": 0}


def test_what_is_not_published_cannot_be_refilled_and_what_is_refilled_not_pushed(
    published: Published, corpus: Path, tmp_path: Path
) -> None:
    with pytest.raises(RefillError, match="is no published data set"):
        refill(corpus, corpus, tmp_path / "full")
    with pytest.raises(RefillError, match="is not empty: choose another folder"):
        refill(published.output, corpus, published.output)
    done = refill(published.output, corpus, tmp_path / "full")
    with pytest.raises(PushError, match="is a refilled copy, with texts that may not be passed on"):
        push(done.output, "lab/corpus")
