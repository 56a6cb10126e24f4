"""Articles that are left out because somebody asked for it: a list that decides, and is itself not published."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpuskit import identifiers
from corpuskit.paragraphs import read
from corpuskit.sql import parquet

#: What of an address does not tell two apart.
_ADDRESS = "regexp_replace({}, '^https?://(www[.])?|/+$', '', 'g')"
#: Columns by which an article is found, and what of them is compared.
_NAMES = {"url": _ADDRESS.format("url"), "doi": "doi", "merged_ids": "unnest(merged_ids)"}


class RemovalError(Exception):
    """A list that cannot be read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What is left out."""

    articles: frozenset[str] = frozenset()
    #: Lines of the list, those that name no article of the corpus, and the SHA-256 of the file.
    lines: int = 0
    unknown: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def told(self) -> dict[str, Any] | None:
        """As a manifest has it, without a name."""
        if not self.sha256:
            return None
        return {"listed": self.lines, "articles": len(self.articles), "unknown": len(self.unknown),
                "sha256": self.sha256}  # fmt: skip

    def without(self, table: pa.Table, column: str) -> pa.Table:
        """The rows of a table that stay; ``column`` holds the ids of their articles."""
        if not self.articles or column not in table.schema.names:
            return table
        gone = pc.is_in(table[column], value_set=pa.array(sorted(self.articles), table.schema.field(column).type))
        return table.filter(pc.invert(gone))


def removal(path: Path, corpus: Path) -> Removal:
    """Read a list, and find its articles.

    Args:
        path: an id, a DOI or an address of an article a line; empty lines, and those that begin with ``#``, aside.
        corpus: see :func:`corpuskit.paragraphs.read.files`; with ``articles/`` beside the paragraphs if there are.

    Raises:
        RemovalError: the list cannot be read, or is empty.
    """
    try:
        content = path.read_bytes()
        given = [line.strip() for line in content.decode().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise RemovalError(f"{path}: {error}; give a text file with an id or address of an article a line") from None
    lines = tuple(dict.fromkeys(line for line in given if line and not line.startswith("#")))
    if not lines:
        raise RemovalError(f"{path} is empty: give an id or address of an article a line")
    if files := sorted((corpus / "articles").glob("*.parquet")):
        id, names = "id", pq.read_schema(files[0]).names
    else:
        files = read.files(corpus)
        id, names = "article_id", pq.read_schema(files[0]).names
    found: dict[str, set[str]] = {line: set() for line in lines}
    with duckdb.connect(config={"memory_limit": "400MB"}) as db:
        db.execute("SET enable_progress_bar = false")
        db.execute("CREATE TABLE wanted (line VARCHAR, name VARCHAR)")
        db.executemany("INSERT INTO wanted VALUES (?, ?)", [(line, line) for line in lines])
        db.executemany("INSERT INTO wanted VALUES (?, ?)", [(line, identifiers.doi(line)) for line in lines])
        db.execute(f"INSERT INTO wanted SELECT line, {_ADDRESS.format('line')} FROM wanted")
        for name in [id, *(expression for column, expression in _NAMES.items() if column in names)]:
            if id in names:
                table = f"SELECT {id} AS id, {name} AS name FROM {parquet(files)}"
                matching = f"SELECT DISTINCT line, id FROM ({table}) JOIN wanted USING (name) WHERE name <> ''"
                for line, article in db.execute(matching).fetchall():
                    found[line].add(article)
    return Removal(
        frozenset(article for articles in found.values() for article in articles),
        len(lines),
        tuple(line for line in lines if not found[line]),
        hashlib.sha256(content).hexdigest(),
    )
