"""What a report is made of, opened in DuckDB: a folder's tables, and annotations of its paragraphs.

Everything is scanned from the Parquet where it lies. What a join or a sort needs beyond the memory limit goes to
a temporary folder, so the size of the corpus does not show in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa

from corpuskit import runs
from corpuskit.enrich.annotations import Annotations
from corpuskit.enrich.annotations import read as read_annotations
from corpuskit.enrich.prompts import RESERVED, AnyField, ScoreField, SpansField
from corpuskit.paragraphs import read
from corpuskit.records import ARTICLE_SCHEMA, DROPPED_SCHEMA, PARAGRAPH_SCHEMA
from corpuskit.sql import literal, parquet

Rows = list[dict[str, Any]]

#: Memory that DuckDB may take before it writes to disk.
MEMORY = "600MB"
#: What the columns of a sample begin with that hold annotations.
OWN = "annotation_"
#: A source, a kind or a language that is not told.
UNKNOWN = "not given"

_SCHEMAS = {"articles": ARTICLE_SCHEMA, "paragraphs": PARAGRAPH_SCHEMA, "dropped": DROPPED_SCHEMA}
_TYPES = {"string": "VARCHAR", "large_string": "VARCHAR", "int16": "INTEGER", "int32": "BIGINT", "int64": "BIGINT",
          "float": "DOUBLE", "list<item: string>": "VARCHAR[]"}  # fmt: skip
_NEVER_NULL = ("source", "kind", "language", "stage", "reason", "unit")


@dataclass(frozen=True, slots=True)
class Labels:
    """Annotations as a table of their own: ``id``, ``outcome``, and of each field its columns.

    The columns of field number *n* are ``v<n>`` (the answer, as the prompt writes it), ``x<n>`` (expected score, or
    density of passages) and ``e<n>`` (entropy in bits); null where they are not known.
    """

    #: What the report calls them: the name of their folder, told apart from others of that name.
    name: str
    view: str
    opened: Annotations

    @property
    def fields(self) -> list[tuple[int, str, AnyField]]:
        """Number, name and definition of each field."""
        return [(place, name, asked) for place, (name, asked) in enumerate(self.opened.prompt.fields.items())]


@dataclass(frozen=True, slots=True)
class Tables:
    """A folder, open: the views ``articles``, ``paragraphs`` and ``dropped`` have all columns of
    :mod:`corpuskit.records`, those that a file lacks as null."""

    path: Path
    db: duckdb.DuckDBPyConnection
    #: Which of the tables the folder has; the others are empty.
    there: frozenset[str]
    manifest: dict[str, Any]
    #: The accounts of a build, {} elsewhere.
    funnel: dict[str, Any]
    #: What a sample tells of itself, {} elsewhere.
    sample: dict[str, Any]
    labels: tuple[Labels, ...] = ()
    #: Annotations that stand in the paragraph table itself, as a sample has them: columns of the view ``own``.
    own: tuple[pa.Field, ...] = ()

    @property
    def repeats(self) -> bool:
        """Whether a paragraph may stand in the table more than once."""
        return self.manifest.get("tool") != "corpuskit build"

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> Rows:
        """The answer to a query, a dictionary a row."""
        found = self.db.execute(query, list(parameters))
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def one(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """The only value of an answer."""
        row = self.db.execute(query, list(parameters)).fetchone()
        return None if row is None else row[0]


@contextmanager
def opened(path: Path, labels: Sequence[Path] = ()) -> Iterator[Tables]:
    """Open what `corpuskit build` or `sample` wrote, or any Parquet of paragraphs.

    Args:
        path: the folder.
        labels: folders of annotations; only their paragraphs that are in ``path`` count.

    Raises:
        ParagraphsError: there are no paragraphs.
        AnnotationsError: one of ``labels`` holds no annotations.
    """
    own = [
        field
        for field in read.dataset(path).schema
        if field.name.startswith(OWN)
        and not pa.types.is_nested(field.type)
        and field.name.removeprefix(OWN) not in RESERVED
    ]
    files = {"paragraphs": read.files(path)}
    for name in ("articles", "dropped"):
        if path.is_dir() and (found := sorted((path / name).glob("*.parquet"))):
            files[name] = found
    with tempfile.TemporaryDirectory(prefix="corpuskit-report-") as spill, duckdb.connect() as db:
        db.execute(f"SET memory_limit = '{MEMORY}'")
        db.execute(f"SET temp_directory = {literal(spill)}")
        db.execute("SET preserve_insertion_order = false")
        for name, schema in _SCHEMAS.items():
            columns = {field.name: _TYPES[str(field.type)] for field in schema}
            db.execute(f"CREATE VIEW {name} AS {_select(db, files.get(name), columns)}")
        db.execute(f"CREATE VIEW own AS SELECT * FROM {scan(files['paragraphs'])}")
        yield Tables(
            path, db, frozenset(files), runs.read_manifest(path) or {}, _json(path / "funnel.json"),
            _json(path / "sample.json"), tuple(_labels(db, labels)), tuple(own),
        )  # fmt: skip


def scan(files: Sequence[Path]) -> str:
    """The SQL that reads Parquet files, whose columns may differ."""
    return parquet(files, "union_by_name")


def _select(db: duckdb.DuckDBPyConnection, files: Sequence[Path] | None, columns: dict[str, str]) -> str:
    if files is None:
        nothing = (f'NULL::{type} AS "{name}"' for name, type in columns.items())
        return f"SELECT {', '.join(nothing)} WHERE false"
    have = {row[0] for row in db.execute(f"DESCRIBE SELECT * FROM {scan(files)}").fetchall()}
    chosen = []
    for name, type in columns.items():
        value = f'"{name}"::{type}' if name in have else f"NULL::{type}"
        chosen.append((f"coalesce({value}, '{UNKNOWN}')" if name in _NEVER_NULL else value) + f' AS "{name}"')
    return f"SELECT {', '.join(chosen)} FROM {scan(files)}"


def _labels(db: duckdb.DuckDBPyConnection, folders: Sequence[Path]) -> Iterator[Labels]:
    names: set[str] = set()
    for number, folder in enumerate(folders):
        found = read_annotations(folder)
        have = set(found.dataset.schema.names)
        columns = ["id", "outcome"]
        for place, (name, asked) in enumerate(found.prompt.fields.items()):
            value = "NULL" if isinstance(asked, SpansField) or name not in have else f'"{name}"'
            beside = "density" if isinstance(asked, SpansField) else "expected" if isinstance(asked, ScoreField) else ""
            columns.append(f"{value}::VARCHAR AS v{place}")
            for letter, column in (("x", f"{name}_{beside}"), ("e", f"{name}_entropy")):
                known = f'"{column}"' if column in have else "NULL"
                columns.append(f"{known}::DOUBLE AS {letter}{place}")
        view = f"labels_{number}"
        files = [Path(file) for file in found.dataset.files]
        db.execute(f"CREATE VIEW {view} AS SELECT {', '.join(columns)} FROM {scan(files)}")
        name = folder.resolve().name
        while name in names:
            name += "'"
        names.add(name)
        yield Labels(name, view, found)


def _json(path: Path) -> dict[str, Any]:
    """What a JSON file says, {} where there is none or it says something else."""
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
