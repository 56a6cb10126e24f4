"""Annotations beside the paragraphs that they are of.

What corpuskit writes about paragraphs is in their order, a row for each or for some: the two are read in step, and
neither is held. Annotations in another order, such as people's sheets, are brought into it first (on disk).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpuskit.enrich.annotations import OUTCOMES, read
from corpuskit.enrich.prompts import Prompt, SpansField
from corpuskit.paragraphs import read as paragraphs
from corpuskit.sql import literal, parquet

#: Columns of an annotation table that are of the paragraph, or of how it was asked.
_NOT_ANSWERS = {"id", "article_id", "source", "text", "detail", "sampling_weight"}
_ROWS = 20_000


class BesideError(Exception):
    """Annotations that cannot stand beside the paragraphs; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Beside:
    """One annotation table of a publication, in the order of the paragraphs."""

    name: str
    prompt: Prompt
    files: list[Path]
    #: The name in the data set of each column that goes there.
    columns: dict[str, str]
    #: Rows of the table.
    rows: int


class Answers:
    """What annotations say of the paragraphs that are published, counted as they are written."""

    def __init__(self, beside: Beside) -> None:
        self.beside = beside
        self._outcomes = Counter[str]()
        self._counts = {name: Counter[str]() for name in beside.prompt.fields}

    def count(self, table: pa.Table) -> None:
        """Add what stands in the columns of a table."""
        _add(self._outcomes, table[self.beside.columns["outcome"]])
        for name, asked in self.beside.prompt.fields.items():
            column = table[self.beside.columns[name]]
            if isinstance(asked, SpansField):
                self._counts[name]["passages"] += pc.sum(pc.list_value_length(column)).as_py() or 0
            else:
                _add(self._counts[name], column)

    @property
    def told(self) -> dict[str, Any]:
        """As a manifest has it: rows of the table, how many are published, and by field how often what was said."""
        fields = self.beside.prompt.fields
        return {
            "name": self.beside.name,
            "rows": self.beside.rows,
            "published": self._outcomes.total(),
            "outcomes": {one: self._outcomes[one] for one in OUTCOMES if self._outcomes[one]},
            "answers": {
                name: {one: counted[one] for one in [*fields[name].classes, *counted]}
                for name, counted in self._counts.items()
            },
        }


def _add(counted: Counter[str], column: pa.ChunkedArray) -> None:
    for row in pc.value_counts(column.drop_null()).to_pylist():
        value = row["values"]
        counted[str(value).lower() if isinstance(value, bool) else str(value)] += row["counts"]


def beside(corpus: Path, folder: Path, name: str, prefix: str, taken: set[str], work: Path) -> Beside:
    """Open annotations of a corpus.

    Args:
        corpus: see :func:`corpuskit.paragraphs.read.files`.
        folder: of the annotations.
        name: what the publication calls them.
        prefix: before the names of their columns.
        taken: names of columns that are there already.
        work: folder for a copy in the right order, where it is needed.

    Raises:
        BesideError: a column is there already, or not one paragraph of the corpus was annotated.
        corpuskit.enrich.annotations.AnnotationsError: there are none.
    """
    told = read(folder)
    columns = {column: f"{prefix}{column}" for column in told.dataset.schema.names if column not in _NOT_ANSWERS}
    if clash := next((one for one in columns.values() if one in taken), None):
        raise BesideError(
            f"{folder}: there is a column {clash!r} already; give these annotations a name, which then stands before "
            f"their columns: --annotations NAME={folder}"
        )
    files = [Path(path) for path in told.dataset.files]
    rows = told.dataset.count_rows()
    found = sum(len(table) - table["id"].null_count for table in join(_ids(corpus), files, {"id": "id"}))
    if found != rows:
        files, found = _ordered(corpus, files, work / f"{name}.parquet")
    if not found:
        raise BesideError(f"{folder}: none of its {rows:,} paragraphs is in {corpus}; is it another corpus's?")
    return Beside(name, told.prompt, files, columns, rows)


def _ids(corpus: Path) -> Iterator[pa.Table]:
    return (pa.Table.from_batches([batch]) for batch in paragraphs.batches(corpus, ["id"], _ROWS))


def _ordered(corpus: Path, files: list[Path], target: Path) -> tuple[list[Path], int]:
    """The annotations of paragraphs that are there, in their order, the first of each."""
    with duckdb.connect(config={"memory_limit": "400MB", "temp_directory": str(target.parent)}) as db:
        db.execute("SET enable_progress_bar = false")
        (number,) = db.execute(
            f"""
            COPY (
              SELECT a.* FROM (SELECT DISTINCT ON (id) * FROM {parquet(files)}) a
              JOIN (SELECT id, min((filename, file_row_number)) AS place FROM
                    {parquet(paragraphs.files(corpus), "filename", "file_row_number")}
                    GROUP BY id) p USING (id)
              ORDER BY place
            ) TO {literal(target)} (COMPRESSION zstd)
            """
        ).fetchall()[0]
    return [target], int(number)


def join(rows: Iterable[pa.Table], files: list[Path], columns: dict[str, str]) -> Iterator[pa.Table]:
    """Columns of annotations for each table of paragraphs, null where there are none.

    Args:
        rows: with `id`, in order.
        files: of annotations, in the same order.
        columns: those wanted, with their new names.
    """
    wanted = list(dict.fromkeys(["id", *columns]))
    coming = (
        pa.Table.from_batches([batch]).combine_chunks()
        for file in files
        for batch in pq.ParquetFile(file).iter_batches(_ROWS, columns=wanted)
        if batch.num_rows
    )
    schema = pa.schema([pq.read_schema(files[0]).field(name) for name in wanted])
    held = next(coming, None)
    ended = held is None
    held = schema.empty_table() if held is None else held.cast(schema)
    for table in rows:
        ids = table["id"].combine_chunks()
        # While the last one that is held is of this table, the next may be as well.
        while not ended and (not len(held) or pc.index(ids, held["id"][-1]).as_py() >= 0):
            more = next(coming, None)
            ended = more is None
            if more is not None:
                held = pa.concat_tables([held, more.cast(schema)])
        places = pc.index_in(ids, value_set=held["id"].combine_chunks())
        yield held.take(places).select(list(columns)).rename_columns(list(columns.values()))
        last = pc.max(places).as_py()
        if last is not None:
            held = held.slice(last + 1)
