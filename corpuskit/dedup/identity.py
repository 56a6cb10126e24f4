"""The same article in several places: recognised on hashed keys, joined, the richest text surviving.

Articles that share any identifier (doi, pmid, pmcid, HAL id, ARK, or their own id) are one, and so
are those with the same normalised title, year and first author unless their doi or pmid say
otherwise. Everything here works on the key columns of the parts; no text is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.records import Drop

STAGE = "join"

#: The columns of ``ARTICLE_PART`` that :func:`join` reads.
COLUMNS = ["key", "id", "source", "form", "needs_record", "doi", "pmid", "pmcid", "hal_id", "ark",
           "id_keys", "title_keys", "kept_words", "drop_stage", "drop_reason", "drop_detail"]  # fmt: skip


@dataclass(slots=True)
class Joined:
    """What became of one article that was recognised elsewhere (row numbers of the article table)."""

    #: Row whose id the text goes under.
    survivor: int
    #: The row's own fate; None for the survivor itself.
    drop: Drop | None = None
    #: True when the row's paragraphs go on under the survivor (a record and its full text).
    keeps_text: bool = False
    #: For a survivor: rows whose metadata and ids are merged in, best first.
    merged: list[int] = field(default_factory=list)


def join(articles: pa.Table, priority: list[str], across: bool = True) -> dict[int, Joined]:
    """Find the records of one article and decide which survives.

    Args:
        articles: the ``COLUMNS`` of all articles, in the order of their keys.
        priority: names of the sources, the first wins a tie.
        across: join whatever shares an identifier, or title, year and first author. Otherwise only
            what has the very same id: a record and its full text, or a record read twice.

    Returns:
        By row number, only the rows that something happened to.
    """
    components = _Components(articles.num_rows)
    for group in _equal(articles["id_keys"], first_only=not across):
        for row in group[1:]:
            components.union(group[0], row)
    rows = _Rows(articles)
    for group in _equal(articles["title_keys"]) if across else ():
        _join_titles(group, components, rows)
    fates: dict[int, Joined] = {}
    for members in components.groups():
        fates.update(_settle(members, rows, priority))
    for text in np.flatnonzero(articles["needs_record"].to_numpy(zero_copy_only=False)).tolist():
        alone = text not in fates or (fates[text].drop is None and not fates[text].merged)
        if alone and not rows.dropped(text):
            fates[text] = Joined(
                text,
                Drop(STAGE, "no_record", "a full text without its bibliographic record: the filters cannot be judged"),
            )
    return fates


def _equal(lists: pa.ChunkedArray, first_only: bool = False) -> Iterator[list[int]]:
    """Groups of rows that share a key, in the order of the keys (or share their first: their own id)."""
    combined = lists.combine_chunks()
    if first_only:
        combined = pc.list_slice(combined, 0, 1)
    keys = pc.list_flatten(combined).to_numpy(zero_copy_only=False)
    rows = pc.list_parent_indices(combined).to_numpy(zero_copy_only=False)
    order = np.lexsort((rows, keys))
    keys, rows = keys[order], rows[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.array([], int)
    ends = np.append(starts[1:], len(keys))
    for start, end in zip(starts[ends - starts > 1].tolist(), ends[ends - starts > 1].tolist(), strict=True):
        yield rows[start:end].tolist()


def _join_titles(group: list[int], components: _Components, rows: _Rows) -> None:
    """Join the rows of one title that do not contradict each other, whatever order they were read in.

    The best identified come first, so that a row without ids goes to the best identified of several.
    """
    if len({components.find(row) for row in group}) == 1:
        return
    ids = ("doi", "pmid", "pmcid", "hal_id", "ark")
    group = sorted(group, key=lambda row: (-sum(bool(rows.get(row, name)) for name in ids), rows.get(row, "id"), row))
    apart: list[int] = []
    for row in group:
        joined = next((other for other in apart if not _conflict(components, rows, other, row)), None)
        if joined is None:
            apart.append(row)
        else:
            components.union(joined, row)


class _Components:
    """Union-find that remembers only rows that were ever joined."""

    def __init__(self, size: int) -> None:
        self.parent = np.arange(size)
        self.members: dict[int, list[int]] = {}

    def find(self, row: int) -> int:
        parent = self.parent
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    def of(self, row: int) -> list[int]:
        root = self.find(row)
        return self.members.get(root, [root])

    def union(self, left: int, right: int) -> None:
        a, b = sorted((self.find(left), self.find(right)))
        if a != b:
            self.parent[b] = a
            self.members[a] = self.members.get(a, [a]) + self.members.pop(b, [b])

    def groups(self) -> Iterator[list[int]]:
        for root in sorted(self.members):
            yield sorted(self.members[root])


class _Rows:
    """Values of single rows, converted when asked for: few of millions are."""

    def __init__(self, articles: pa.Table) -> None:
        self.table = articles.combine_chunks()

    def get(self, row: int, column: str) -> str:
        return self.table[column][row].as_py() or ""

    def words(self, row: int) -> int:
        return int(self.table["kept_words"][row].as_py() or 0)

    def dropped(self, row: int) -> Drop | None:
        stage = self.get(row, "drop_stage")
        return Drop(stage, self.get(row, "drop_reason"), self.get(row, "drop_detail")) if stage else None


def _conflict(components: _Components, rows: _Rows, left: int, right: int) -> bool:
    """Two articles with one title but each with a doi (or pmid) of its own are two articles."""
    for name in ("doi", "pmid"):
        mine = {value for row in components.of(left) if (value := rows.get(row, name))}
        theirs = {value for row in components.of(right) if (value := rows.get(row, name))}
        if mine and theirs and not mine & theirs:
            return True
    return False


def _settle(members: list[int], rows: _Rows, priority: list[str]) -> dict[int, Joined]:
    """Decide about the records of one article."""
    alive = [row for row in members if not rows.dropped(row)]
    fates: dict[int, Joined] = {}
    by_source: dict[str, list[int]] = {}
    # An update file takes back what the baseline gave.
    for row in members:
        drop = rows.dropped(row)
        if drop and drop.reason == "deleted":
            for taken in [other for other in alive if rows.get(other, "id") == rows.get(row, "id")]:
                alive.remove(taken)
                fates[taken] = Joined(taken, drop)
    for row in alive:
        by_source.setdefault(rows.get(row, "source"), []).append(row)
    # A filter of a source judges the record; its full text goes with it.
    for row in members:
        drop, source = rows.dropped(row), rows.get(row, "source")
        if drop and rows.get(row, "form") == "record" and _best(by_source.get(source, []), rows, "record") is None:
            for alone in by_source.pop(source, []):
                fates[alone] = Joined(alone, Drop(drop.stage, drop.reason, f"its record: {drop.detail}"))
    if not by_source:
        return fates

    def rank(source: str) -> tuple[int, int, str]:
        known = priority.index(source) if source in priority else len(priority)
        pair = (_best(by_source[source], rows, "record"), _best(by_source[source], rows, "fulltext"))
        return -sum(rows.words(row) for row in pair if row is not None), known, source

    source = min(by_source, key=rank)
    record, text = (_best(by_source[source], rows, form) for form in ("record", "fulltext"))
    survivor = record if record is not None else text
    assert survivor is not None  # by_source holds no empty list
    rest = [row for row in alive if row not in fates and row != survivor]
    rest.sort(key=lambda row: (row != text, rank(rows.get(row, "source")), row))
    if not rest:
        return fates
    fates[survivor] = Joined(survivor, merged=rest)
    name = rows.get(survivor, "id")
    for row in rest:
        if row == text:
            fates[row] = Joined(survivor, Drop(STAGE, "companion", f"its text goes on under {name}"), keeps_text=True)
        elif rows.get(row, "id") == name:
            fates[row] = Joined(survivor, Drop(STAGE, "same_record", f"{name} was read more than once"))
        else:
            kept = [survivor] if text is None else [survivor, text]
            fates[row] = Joined(survivor, Drop(STAGE, "same_article", f"{name}, {_shared(row, kept, rows)}"))
    return fates


def _best(candidates: Iterable[int], rows: _Rows, form: str) -> int | None:
    """The richest row of a form; the later one of equals, as an update is read after what it updates."""
    of_form = [row for row in candidates if rows.get(row, "form") == form]
    return max(of_form, key=lambda row: (rows.words(row), row), default=None)


def _shared(row: int, kept: list[int], rows: _Rows) -> str:
    """By what a twin was recognised."""
    for name in ("doi", "pmid", "pmcid", "hal_id", "ark"):
        value = rows.get(row, name)
        if value and any(rows.get(other, name) == value for other in kept):
            return f"same {name} {value}"
    return "same title, year and first author, or an id in common with another of its records"
