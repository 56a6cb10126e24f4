"""The paragraphs that a report carries: a bounded sample of what was kept, and of what was dropped.

A stratum gives one at least, otherwise as the square root of its size (as sheets are drawn); inside it those come
first whose key has the smallest MD5. So the same corpus shows the same paragraphs, wherever the report is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from corpuskit.enrich.sheet import Stratum, allocate
from corpuskit.report.tables import Labels, Rows, Tables

KEPT, DROPPED = 2_000, 1_000
#: Characters of a paragraph that the page shows.
SHOWN = 4_000

_KEPT = ("id", "article_id", "text", "kind", "section", "file", "path", "language", "words", "ocr_noise",
         "cluster_size", "source", "year", "journal", "licence", "url")  # fmt: skip
_DROPPED = ("unit", "id", "article_id", "source", "stage", "reason", "detail", "file", "path", "kind", "language",
            "words", "text")  # fmt: skip
_SAME = "md5(concat_ws(chr(10), unit, id, file, path, detail))"


@dataclass(frozen=True, slots=True)
class Browsed:
    """The rows of the browser, mixed, and how many paragraphs there are in all."""

    kept: Rows
    dropped: Rows
    kept_of: int
    dropped_of: int


def browse(tables: Tables, kept: int = KEPT, dropped: int = DROPPED) -> Browsed:
    """Draw what the report shows.

    Args:
        tables: the folder.
        kept: paragraphs to draw at most, by source and the first label (the kind, where nothing is annotated).
        dropped: paragraphs and articles to draw at most of what was dropped, by unit, stage and reason.
    """
    return Browsed(
        kept=_kept(tables, kept),
        dropped=_dropped(tables, dropped),
        kept_of=tables.one("SELECT count(*) FROM paragraphs"),
        dropped_of=tables.one("SELECT count(*) FROM dropped"),
    )


def _drawn(tables: Tables, by: str, key: str, scanned: str, number: int) -> list[str]:
    """The keys of the rows to show, by the columns that make their strata."""
    rows = tables.db.execute(
        f"SELECT {by}, count(*) AS n, arg_min({key}, md5({key}), {max(1, number)}) FROM {scanned} GROUP BY ALL"
    ).fetchall()
    sizes: dict[Stratum, int] = {}
    first: dict[Stratum, list[str]] = {}
    # Of more strata than rows, the largest.
    for *stratum, size, keys in sorted(rows, key=lambda row: (-row[-2], [one or "" for one in row[:-2]]))[:number]:
        name = tuple(one or "" for one in stratum)
        sizes[name], first[name] = size, keys
    return [key for name, share in allocate(sizes, number).items() for key in first[name][:share]]


def _kept(tables: Tables, number: int) -> Rows:
    scanned, by = "paragraphs p", "p.source, p.kind"
    if first := _first_label(tables):
        labels, place = first
        scanned, by = f"{scanned} LEFT JOIN {labels.view} l ON p.id = l.id", f"p.source, l.v{place}"
    if tables.repeats:
        scanned = f"(SELECT DISTINCT p.id, {by} FROM {scanned}) p"
        by = ", ".join(f"p.{one.partition('.')[2]}" for one in by.split(", "))
    ids = _drawn(tables, by, "p.id", scanned, number)
    columns = ", ".join(f'any_value("{name}") AS "{name}"' for name in _KEPT if name not in ("id", "text"))
    rows = tables.rows(
        f"SELECT id, {columns}, {_cut('any_value(text)')} FROM paragraphs WHERE id IN (SELECT unnest(?)) "
        "GROUP BY id ORDER BY md5(id)",
        [ids],
    )
    articles = list({row["article_id"] for row in rows})
    titles = dict(
        tables.db.execute("SELECT id, title FROM articles WHERE id IN (SELECT unnest(?))", [articles]).fetchall()
    )
    answers = [
        {row.pop("id"): row for row in tables.rows(
            f"SELECT * FROM {labels.view} WHERE id IN (SELECT unnest(?))", [ids]
        )}
        for labels in tables.labels
    ]  # fmt: skip
    for row in rows:
        row["title"] = titles.get(row["article_id"])
        row["labels"] = [_answer(labels, of.get(row["id"])) for labels, of in zip(tables.labels, answers, strict=True)]
    return rows


def _first_label(tables: Tables) -> tuple[Labels, int] | None:
    for labels in tables.labels:
        for place, _, asked in labels.fields:
            if asked.type == "label":
                return labels, place
    return None


def _answer(labels: Labels, row: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was answered about a paragraph, by field; None when it was not asked about."""
    if row is None:
        return None
    found: dict[str, Any] = {"outcome": row["outcome"]}
    for place, name, asked in labels.fields:
        value: Any = row[f"x{place}"] if asked.type == "spans" else row[f"v{place}"]
        if asked.type == "score" and value is not None:
            value = int(value)
        found[name] = {"value": value, "expected": row[f"x{place}"], "entropy": row[f"e{place}"]}
    return found


def _dropped(tables: Tables, number: int) -> Rows:
    keys = _drawn(tables, "unit, stage, reason", _SAME, "dropped", number)
    columns = ", ".join(f'any_value("{name}") AS "{name}"' for name in _DROPPED if name != "text")
    return tables.rows(
        f"SELECT {columns}, {_cut('any_value(text)')} FROM dropped WHERE {_SAME} IN (SELECT unnest(?)) "
        f"GROUP BY {_SAME} ORDER BY {_SAME}",
        [keys],
    )


def _cut(text: str) -> str:
    return f"CASE WHEN length({text}) > {SHOWN} THEN left({text}, {SHOWN}) || ' […]' ELSE {text} END AS text"
