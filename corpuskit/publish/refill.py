"""Refilling: the withheld texts of a published data set, put back from the reader's own build of the same sources.

A text is looked for by the id of its paragraph, then by its place (article, file and path; then file and path), and
taken only if its SHA-256 is the one that was published. What is not found, or is another text, stays out and is
listed. So it is with a text that is in the data set, and is not the one that was published.
"""

from __future__ import annotations

import hashlib
import shutil
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from corpuskit import runs
from corpuskit.paragraphs import read
from corpuskit.paragraphs.read import ParagraphsError
from corpuskit.publish.dataset import DATA, HASH, TOOL, WITHHELD, hashes

#: Names of columns, or their values in one row.
Key = tuple[str, ...]
#: Rows filled at a time: their texts are in memory.
ROWS = 50_000
#: What was not filled, a line each.
LISTED = "not-refilled.jsonl"
_NOTE = """
> **A private copy.** `corpuskit refill` has put texts into it whose licences do not let them be passed on: keep it.
"""


class RefillError(Exception):
    """A data set that cannot be refilled; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Refilled:
    """What came of it: texts `refilled`, `missing` in the reader's build, and `mismatched` (another text is there).

    A text that was there and had been `altered` is none any more, unless it could be refilled.
    """

    output: Path
    counts: dict[str, int]

    @property
    def left(self) -> int:
        """Texts that are still out."""
        return sum(self.counts.values()) - self.counts["refilled"]


def refill(published: str | Path, corpus: str | Path, output: str | Path) -> Refilled:
    """Write a copy of a data set with the texts that it withholds.

    Args:
        published: folder that `corpuskit publish` wrote, or a download of it.
        corpus: the reader's own build, see :func:`corpuskit.paragraphs.read.files`.
        output: folder to write, which is not there yet or empty.

    Raises:
        RefillError: one of them is not what it should be, or cannot be written.
    """
    published, output = Path(published), Path(output).absolute()
    try:
        return _refill(published, corpus, output)
    except ParagraphsError as error:
        raise RefillError(str(error)) from None
    except OSError as error:
        where = error.filename or output
        raise RefillError(f"{where}: {error.strerror or error}; choose another folder, or make room") from error


def _refill(published: Path, corpus: str | Path, output: Path) -> Refilled:
    told = runs.read_manifest(published)
    if told is None or told["tool"] != TOOL:
        raise RefillError(f"{published} is no published data set: give the folder that `corpuskit publish` wrote")
    if output.exists() and any(output.iterdir()):
        raise RefillError(f"{output} is not empty: choose another folder")
    own = _Own(read.files(corpus), set(read.dataset(corpus).schema.names))
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(published, partial, ignore=shutil.ignore_patterns(DATA, runs.MANIFEST, runs.WORK, ".cache"))
    counts = Counter(refilled=0, missing=0, mismatched=0, altered=0)
    with open(partial / LISTED, "wb") as listed:
        for path in sorted((published / DATA).rglob("*.parquet")):
            target = partial / path.relative_to(published)
            target.parent.mkdir(parents=True, exist_ok=True)
            if WITHHELD in pq.read_schema(path).names:
                _fill(path, target, own, counts, listed)
            else:
                shutil.copyfile(path, target)
    readme = partial / "README.md"
    front, mark, page = readme.read_text(encoding="utf-8").partition("\n---\n")
    readme.write_text(front + mark + _NOTE + page, encoding="utf-8")
    content = {"tool": "corpuskit refill", "fingerprint": runs.fingerprint(told["fingerprint"], counts),
               "written": runs.now(), "published": told, "counts": counts}  # fmt: skip
    runs.write_json(partial / runs.MANIFEST, content)
    if output.exists():
        output.rmdir()
    partial.rename(output)
    return Refilled(output, dict(counts))


def _fill(path: Path, target: Path, own: _Own, counts: Counter[str], listed: IO[bytes]) -> None:
    with pq.ParquetFile(path) as file, pq.ParquetWriter(target, file.schema_arrow, compression="zstd") as writer:
        for batch in file.iter_batches(ROWS):
            table = pa.Table.from_batches([batch])
            texts, failed = _found(table, own)
            counts["refilled"] += len(texts)
            for row, reason in failed.items():
                counts[reason] += 1
                one = table.slice(row, 1).select(
                    [name for name in ("id", "file", "path") if name in table.schema.names]
                )
                told = {"configuration": path.parent.name, **one.to_pylist()[0], "reason": reason}
                listed.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
            if texts or failed:
                all_texts = table["text"].to_pylist()
                for row in {*texts, *failed}:
                    all_texts[row] = texts.get(row)
                place = table.schema.get_field_index("text")
                field = table.schema.field(place)
                table = table.set_column(place, field, pa.array(all_texts, field.type))
            writer.write_table(table)


def _found(table: pa.Table, own: _Own) -> tuple[dict[int, str], dict[int, str]]:
    """The texts of the rows that have none of their own, by row; and why there is none."""
    expected = table[HASH].to_pylist()
    withheld = table[WITHHELD].is_valid().to_pylist()
    there = hashes(table["text"].combine_chunks()).to_pylist()
    reasons = {
        row: "missing" if withheld[row] and there[row] is None else "altered"
        for row, one in enumerate(expected)
        if there[row] != one
    }
    texts: dict[int, str] = {}
    # A path is a place in one record of a file: by itself it finds texts, but does not tell that one is another now.
    for key in (("id",), ("article_id", "file", "path"), ("file", "path")):
        if not reasons or not {*key} <= {*table.schema.names} & own.columns:
            continue
        rows: dict[Key, list[int]] = {}
        values = list(zip(*(table[name].to_pylist() for name in key), strict=True))
        for row in reasons:
            if None not in values[row]:
                rows.setdefault(values[row], []).append(row)
        for found, text in own.texts(key, rows):
            digest = hashlib.sha256(text.encode()).hexdigest()
            for row in rows[found]:
                if digest == expected[row]:
                    texts[row] = text
                    reasons.pop(row, None)
                elif reasons.get(row) == "missing" and len(key) != 2:
                    reasons[row] = "mismatched"
    return texts, reasons


class _Own:
    """The reader's build. Parquet's statistics tell which of its row groups may hold what is looked for."""

    def __init__(self, files: Sequence[Path], columns: set[str]) -> None:
        self.columns = columns
        self._groups: list[tuple[Path, int, dict[str, tuple[str, str]]]] = []
        for path in files:
            metadata = pq.read_metadata(path)
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                ranges: dict[str, tuple[str, str]] = {}
                for place in range(group.num_columns):
                    column = group.column(place)
                    if (
                        column.path_in_schema in ("id", "article_id", "file")
                        and (told := column.statistics)
                        and told.has_min_max
                    ):
                        ranges[column.path_in_schema] = (told.min, told.max)
                self._groups.append((path, number, ranges))

    def texts(self, key: Key, wanted: Mapping[Key, Any]) -> Iterator[tuple[Key, str]]:
        """The paragraphs with one of the wanted keys, with their texts."""
        first = sorted({one[0] for one in wanted})
        for path, number, ranges in self._groups:
            if (span := ranges.get(key[0])) is not None:
                place = bisect_left(first, span[0])
                if place == len(first) or first[place] > span[1]:
                    continue
            with pq.ParquetFile(path) as file:
                columns = file.read_row_group(number, columns=list(key))
                keys = list(zip(*(columns[name].to_pylist() for name in key), strict=True))
                rows = [row for row, one in enumerate(keys) if one in wanted]
                if rows:
                    texts = file.read_row_group(number, columns=["text"])["text"].take(pa.array(rows)).to_pylist()
                    for row, text in zip(rows, texts, strict=True):
                        if text is not None:
                            yield keys[row], text
