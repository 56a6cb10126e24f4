"""The one place that writes the kept and the dropped.

The global stages leave a *ledger* (what became of each article, and in which shard it goes) and a list
of duplicate paragraphs. Each part is dealt out to the shards once; then each shard is sorted by article
and order and written. The result depends on the input alone, not on tasks or workers.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from corpuskit.dedup import exact, identity
from corpuskit.paragraphs.parts import ARTICLE_PART, PARAGRAPH_PART
from corpuskit.records import ARTICLE_SCHEMA, DROPPED_SCHEMA, PARAGRAPH_SCHEMA

EMPTY = "empty"
_ARTICLE_WORDS = 20

#: One row an article read, in the order of keys.
LEDGER = pa.schema(
    [
        pa.field("key", pa.int64()),
        pa.field("shard", pa.int32()),
        pa.field("article_id", pa.string()),  # the id its paragraphs go under
        pa.field("text_under", pa.int64()),  # key of the article its paragraphs go under
        pa.field("merged", pa.list_(pa.int64())),  # keys whose metadata is merged in, best first
        pa.field("drop_stage", pa.string()),
        pa.field("drop_reason", pa.string()),
        pa.field("drop_detail", pa.string()),
        pa.field("text_dropped", pa.bool_()),  # its paragraphs are dropped with it
    ]
)

#: One row a duplicate paragraph.
DUPLICATES = pa.schema(
    [
        pa.field("key", pa.int64()),
        pa.field("order", pa.int32()),
        pa.field("of", pa.string()),  # id of the surviving paragraph
    ]
)


def decide(work: Path, priority: list[str], join: bool, exact_duplicates: bool, words_per_shard: int) -> int:
    """Run the global stages over the key columns and write ``ledger.parquet`` and ``duplicates.parquet``.

    Args:
        work: folder of the parts.
        priority: source names; the first wins where nothing else decides.
        join: recognise the same article in several places.
        exact_duplicates: keep one of several equal paragraphs.
        words_per_shard: how the articles are divided.

    Returns:
        The number of shards.
    """
    articles = _read(work / "articles", ARTICLE_PART, identity.COLUMNS).sort_by("key")
    keys = articles["key"].to_numpy()
    ids: list[str] = articles["id"].to_pylist()
    fates = identity.join(articles, priority, across=join)

    drops = [articles[f"drop_{name}"].to_pylist() for name in ("stage", "reason", "detail")]
    text_under = keys.copy()
    merged: list[list[int] | None] = [None] * len(keys)
    text_dropped = np.array([stage is not None for stage in drops[0]], dtype=bool)
    for row, fate in fates.items():
        if fate.drop is not None:
            for column, value in zip(drops, fate.drop, strict=True):
                column[row] = value or None
            text_dropped[row] = not fate.keeps_text
        if fate.keeps_text:
            text_under[row] = keys[fate.survivor]
        if fate.merged:
            merged[row] = [int(keys[other]) for other in fate.merged]
    under_row = np.searchsorted(keys, text_under)
    article_ids = [ids[row] for row in under_row]
    # All records of one article go to one shard, where their metadata is merged.
    together = [ids[fates[row].survivor] if row in fates else name for row, name in enumerate(ids)]

    sources: list[str] = articles["source"].to_pylist()
    source_rank = {name: rank for rank, name in enumerate(priority)}
    by_preference = sorted(
        range(len(ids)), key=lambda row: (source_rank.get(sources[row], 99), ids[row], row)
    ) if exact_duplicates else []  # fmt: skip
    rank = np.empty(len(ids), dtype=np.int64)
    rank[by_preference] = np.arange(len(by_preference))
    load, kept_paragraphs, repeated = _paragraphs(
        work, keys, under_row, text_dropped, rank if exact_duplicates else None, article_ids
    )
    for row in np.flatnonzero((kept_paragraphs == 0) & (under_row == np.arange(len(keys)))).tolist():
        if drops[0][row] is None:
            drops[0][row], drops[1][row] = EMPTY, "no_paragraph_left"
    pq.write_table(repeated, work / "duplicates.parquet")

    shard = _shards(together, load, words_per_shard)
    ledger = pa.table([keys, shard, article_ids, text_under, merged, *drops, text_dropped], schema=LEDGER)
    pq.write_table(ledger, work / "ledger.parquet")
    return int(shard.max(initial=0)) + 1


def _paragraphs(
    work: Path,
    keys: npt.NDArray[np.int64],
    under_row: npt.NDArray[np.int64],
    text_dropped: npt.NDArray[np.bool_],
    rank: npt.NDArray[np.int64] | None,
    article_ids: list[str],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], pa.Table]:
    """Words read and paragraphs kept of each article, and the duplicate paragraphs (none without ``rank``)."""
    table = _read(work / "paragraphs", PARAGRAPH_PART, ["key", "order", "hash", "words", "drop_stage"])
    rows = np.searchsorted(keys, table["key"].to_numpy())
    load = np.bincount(rows, table["words"].to_numpy(), minlength=len(keys)).astype(np.int64)
    kept = table["drop_stage"].is_null().to_numpy() & ~text_dropped[rows]
    table, rows = table.filter(pa.array(kept)), rows[kept]
    under = under_row[rows]
    order, hashes = table["order"].to_numpy().astype(np.int64), table["hash"].to_numpy()
    counted = np.ones(len(rows), dtype=bool)
    repeated = DUPLICATES.empty_table()
    if rank is not None and len(rows):
        # A record's own paragraphs come before those of its full text.
        joined = (under != rows).astype(np.int64)
        copies, survivors = exact.duplicates(hashes, rank[under], (joined << 40) + order)
        counted[copies] = False
        of = [f"{article_ids[under[at]]}#{text_id(int(hashes[at]))}" for at in survivors]
        repeated = pa.table([keys[rows[copies]], order[copies].astype(np.int32), of], schema=DUPLICATES)
    return load, np.bincount(under[counted], minlength=len(keys)), repeated


def text_id(digest: int) -> str:
    """The part of a paragraph's id that its text decides."""
    return f"{digest:016x}"[:12]


def _shards(ids: list[str], load: npt.NDArray[np.int64], words_per_shard: int) -> npt.NDArray[np.int32]:
    """Number of the shard of each article: ranges of the sorted ids, cut by the words read, kept or not."""
    by_id = np.array(sorted(range(len(ids)), key=lambda row: ids[row]), dtype=np.int64)
    shard = np.zeros(len(ids), dtype=np.int32)
    # An article costs its row too, and most of some sources are dropped unread.
    weight = load[by_id] + _ARTICLE_WORDS
    total = np.cumsum(weight) - weight
    shard[by_id] = total // words_per_shard
    # Rows of one id must not part, and no number may be left out.
    number, previous, last = -1, None, -1
    for row in by_id:
        if ids[row] != previous and shard[row] != last:
            number, last = number + 1, int(shard[row])
        previous = ids[row]
        shard[row] = number
    return shard


class Deal(PipelineStep):
    """Task *n* deals part *n* out to the shards, with the ledger's columns beside each row."""

    name = "Deal"
    type = "💽 - WRITER"

    def __init__(self, work: Path) -> None:
        super().__init__()
        self.work = work

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        ledger = pq.read_table(self.work / "ledger.parquet")
        repeated = pq.read_table(self.work / "duplicates.parquet")
        for unit in ("articles", "paragraphs"):
            part = pq.ParquetFile(self.work / unit / f"{rank:05d}.parquet")
            for number in range(part.num_row_groups):
                rows = part.read_row_group(number)
                own = ledger.filter(pc.is_in(ledger["key"], pc.unique(rows["key"])))
                place = np.searchsorted(own["key"].to_numpy(), rows["key"].to_numpy())
                fate = own.take(pa.array(place))
                for name in LEDGER.names[1:]:
                    rows = rows.append_column(f"ledger_{name}", fate[name])
                if unit == "paragraphs":
                    rows = rows.append_column("duplicate_of", _duplicate_of(rows, repeated))
                shards = fate["shard"].to_numpy()
                for shard in np.unique(shards):
                    target = self.work / "dealt" / unit / f"{shard:05d}" / f"{rank:05d}-{number:05d}.parquet"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    pq.write_table(rows.filter(pa.array(shards == shard)), target, compression="lz4")
        return cast(DocumentsPipeline, iter(()))


def _duplicate_of(rows: pa.Table, repeated: pa.Table) -> pa.Array:
    own = repeated.filter(pc.is_in(repeated["key"], pc.unique(rows["key"])))
    columns = (own[name].to_pylist() for name in DUPLICATES.names)
    survivors = {(key, order): of for key, order, of in zip(*columns, strict=True)}
    pairs = zip(rows["key"].to_pylist(), rows["order"].to_pylist(), strict=True)
    return pa.array([survivors.get(pair) for pair in pairs], pa.string())


class Collate(PipelineStep):
    """Task *n* writes shard *n*: ``articles/``, ``paragraphs/`` and ``dropped/``, sorted."""

    name = "Collate"
    type = "💽 - WRITER"

    def __init__(self, work: Path, output: Path) -> None:
        super().__init__()
        self.work, self.output = work, output

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        articles = _read_dealt(self.work / "dealt" / "articles" / f"{rank:05d}", ARTICLE_PART)
        paragraphs = _read_dealt(self.work / "dealt" / "paragraphs" / f"{rank:05d}", PARAGRAPH_PART)
        kept_articles, kept, dropped = collate(articles, paragraphs)
        for name, table, rows in (
            ("articles", kept_articles, 50_000),
            ("paragraphs", kept, 20_000),
            ("dropped", dropped, 20_000),
        ):
            folder = self.output / name
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(
                table, folder / f"{rank:05d}.parquet", compression="zstd", compression_level=6, row_group_size=rows
            )
        return cast(DocumentsPipeline, iter(()))


def _read_dealt(folder: Path, schema: pa.Schema) -> pa.Table:
    parts = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    extra = [pa.field(f"ledger_{field.name}", field.type) for field in list(LEDGER)[1:]]
    if schema is PARAGRAPH_PART:
        extra.append(pa.field("duplicate_of", pa.string()))
    return pa.concat_tables([pa.schema([*schema, *extra]).empty_table(), *parts])


def collate(articles: pa.Table, paragraphs: pa.Table) -> tuple[pa.Table, pa.Table, pa.Table]:
    """The kept articles, the kept paragraphs and everything dropped, of one shard.

    Args:
        articles: ``ARTICLE_PART`` with the ledger's columns.
        paragraphs: ``PARAGRAPH_PART`` with the ledger's columns and ``duplicate_of``.
    """
    paragraphs = _in_order(_with_fate(paragraphs))
    kept_mask = paragraphs["stage"].is_null()
    kept, set_aside = paragraphs.filter(kept_mask), paragraphs.filter(pc.invert(kept_mask))

    articles = articles.sort_by("key")
    wanted = pc.or_(
        pc.or_(pc.is_null(articles["ledger_drop_stage"]), pc.equal(articles["ledger_drop_stage"], EMPTY)).fill_null(
            True
        ),
        pc.is_in(articles["key"], pc.list_flatten(articles["ledger_merged"]).combine_chunks()),
    )
    # Most of a large source may be dropped: its rows stay in Arrow.
    rows = {row["key"]: row for row in articles.filter(wanted).to_pylist()}
    counts = _count(kept)
    kept_rows = [
        _merged(row, [rows[key] for key in row["ledger_merged"] or ()])
        | dict(zip(("paragraphs", "words"), counts.get(key, (0, 0)), strict=True))
        for key, row in rows.items()
        if row["ledger_drop_stage"] is None
    ]
    kept_rows.sort(key=lambda row: (row["id"], row["key"]))
    kept_articles = pa.Table.from_pylist(kept_rows, schema=ARTICLE_SCHEMA)

    place = {row["key"]: at for at, row in enumerate(kept_rows)}
    above = pa.array([place[key] for key in kept["ledger_text_under"].to_pylist()], pa.int64())
    shared = [name for name in PARAGRAPH_SCHEMA.names if name in ARTICLE_SCHEMA.names and name not in ("id", "language",
              "file", "words")]  # fmt: skip
    for name in shared:
        kept = kept.append_column(name, kept_articles[name].take(above))
    kept = kept.select(PARAGRAPH_SCHEMA.names).cast(PARAGRAPH_SCHEMA)

    at = np.searchsorted(articles["key"].to_numpy(), set_aside["key"].to_numpy())
    set_aside = set_aside.append_column("source", articles["source"].take(pa.array(at)))
    set_aside = set_aside.append_column("unit", pa.array(["paragraph"] * len(set_aside), pa.string()))
    dropped = pa.concat_tables(
        [
            _dropped_articles(articles, _explain_empty(rows, set_aside)),
            set_aside.select(DROPPED_SCHEMA.names).cast(DROPPED_SCHEMA),
        ]
    )
    # Stable: the article before its paragraphs, these in their order.
    ids = pa.table({"id": dropped["article_id"], "row": np.arange(len(dropped))})
    by_article = pc.sort_indices(ids, sort_keys=[("id", "ascending"), ("row", "ascending")])
    return kept_articles, kept, dropped.take(by_article)


def _in_order(paragraphs: pa.Table) -> pa.Table:
    """Sorted by article, a record before its full text, then as read; with ``id``, ``article_id``, ``order``."""
    joined = pc.not_equal(paragraphs["key"], paragraphs["ledger_text_under"])
    paragraphs = paragraphs.append_column("joined", joined)
    paragraphs = paragraphs.sort_by(
        [(name, "ascending") for name in ("ledger_article_id", "ledger_text_under", "joined", "key", "order")]
    )
    under, texts = paragraphs["ledger_text_under"].to_numpy(), paragraphs["hash"].to_numpy()
    starts = np.flatnonzero(np.concatenate([[True], under[1:] != under[:-1]])) if len(under) else np.array([], int)
    lengths = np.diff(np.append(starts, len(under)))
    order = np.arange(len(under)) - np.repeat(starts, lengths)
    texts, names = texts.tolist(), paragraphs["ledger_article_id"].to_pylist()
    kept = paragraphs["stage"].is_null().to_pylist()
    ids = [f"{name}#{text_id(digest)}" for name, digest in zip(names, texts, strict=True)]
    seen: dict[tuple[int, int], int] = {}
    # The kept one of several equal texts has the plain id: the duplicates elsewhere name it.
    for at in sorted(range(len(ids)), key=lambda at: not kept[at]):
        key = (int(under[at]), texts[at])
        seen[key] = seen.get(key, 0) + 1
        if seen[key] > 1:
            ids[at] += f"-{seen[key]}"
    return (
        paragraphs.drop_columns(["order"])
        .append_column("order", pa.array(order.astype(np.int32)))
        .append_column("id", pa.array(ids, pa.string()))
        .append_column("article_id", paragraphs["ledger_article_id"])
    )


def _with_fate(paragraphs: pa.Table) -> pa.Table:
    """With ``stage``, ``reason``, ``detail``: its own mark, else its article's, else its twin's."""
    gone = paragraphs["ledger_text_dropped"]
    own = pc.is_valid(paragraphs["drop_stage"])
    copy = pc.is_valid(paragraphs["duplicate_of"])
    of_copy = {"stage": exact.STAGE, "reason": "same_text", "detail": paragraphs["duplicate_of"]}
    nothing = pa.scalar(None, pa.string())
    for name, value in of_copy.items():
        fate = pc.if_else(
            own,
            paragraphs[f"drop_{name}"],
            pc.if_else(gone, paragraphs[f"ledger_drop_{name}"], pc.if_else(copy, value, nothing)),
        )
        paragraphs = paragraphs.append_column(name, fate)
    return paragraphs


def _explain_empty(rows: dict[int, dict[str, Any]], set_aside: pa.Table) -> dict[int, str]:
    """For articles without a paragraph left, by key, what took most of them."""
    reasons: dict[int, Counter[str]] = {
        key: Counter() for key, row in rows.items() if row["ledger_drop_stage"] == EMPTY
    }
    columns = (set_aside[name].to_pylist() for name in ("ledger_text_under", "stage", "reason"))
    for key, stage, reason in zip(*columns, strict=True):
        if key in reasons:
            reasons[key][f"{stage}: {reason}"] += 1
    return {
        key: ", ".join(f"{count} by {reason}" for reason, count in counted.most_common(3)) or "it has no text"
        for key, counted in reasons.items()
    }


def _count(kept: pa.Table) -> dict[int, tuple[int, int]]:
    """Paragraphs and words of each article, by key."""
    sums = kept.group_by("ledger_text_under").aggregate([("words", "count"), ("words", "sum")])
    columns = (sums[name].to_pylist() for name in ("ledger_text_under", "words_count", "words_sum"))
    return {key: (count, words) for key, count, words in zip(*columns, strict=True)}


def _merged(row: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """An article with what its twins know and it does not.

    The licence and the address stay those of the text: they come from the full text of the same
    source where it has one, never from another source.
    """
    row = dict(row)
    for other in others:
        for name in ("doi", "pmid", "pmcid", "hal_id", "ark", "title", "authors", "year", "journal", "language",
                     "document_type"):  # fmt: skip
            row[name] = row[name] or other[name]
    same_source = [other for other in others if other["source"] == row["source"]]
    texts = [other for other in same_source if other["form"] == "fulltext"]
    for name, best in (("licence", [*texts, row, *same_source]), ("url", [row, *same_source])):
        row[name] = next((other[name] for other in best if other[name]), None)
    row["subjects"] = list(dict.fromkeys(s for one in (row, *others) for s in one["subjects"] or ())) or None
    row["merged_ids"] = sorted({other["id"] for other in others} - {row["id"]}) or None
    return row


def _dropped_articles(articles: pa.Table, explained: dict[int, str]) -> pa.Table:
    articles = articles.filter(pc.is_valid(articles["ledger_drop_stage"]))
    details = zip(articles["key"].to_pylist(), articles["ledger_drop_detail"].to_pylist(), strict=True)
    columns = {name: articles[name] for name in ("id", "source", "file", "language")} | {
        "unit": pa.array(["article"] * len(articles), pa.string()),
        "article_id": articles["id"],
        "stage": articles["ledger_drop_stage"],
        "reason": articles["ledger_drop_reason"],
        "detail": pa.array([explained.get(key, detail) for key, detail in details], pa.string()),
        "text": articles["title"].cast(pa.large_string()),
    }
    return pa.table(
        [columns.get(field.name, pa.nulls(len(articles), field.type)) for field in DROPPED_SCHEMA],
        schema=DROPPED_SCHEMA,
    )


def _read(folder: Path, schema: pa.Schema, columns: list[str]) -> pa.Table:
    parts = [pq.read_table(path, columns=columns) for path in sorted(folder.glob("*.parquet"))]
    wanted = pa.schema([schema.field(name) for name in columns])
    return pa.concat_tables([wanted.empty_table(), *(part.cast(wanted) for part in parts)])
