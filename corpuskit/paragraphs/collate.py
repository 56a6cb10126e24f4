"""The one place that writes the kept and the dropped.

The global stages leave each part a *ledger* (what became of each article, and in which shard it goes) and
the *fates* of its paragraphs. Each part is dealt out to the shards once; then each shard is sorted by article
and order and written. The result depends on the input alone, not on tasks or workers.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from corpuskit.dedup.decide import EMPTY, FATES, LEDGER, text_id
from corpuskit.dedup.parts import ARTICLE_PART, PARAGRAPH_PART, save
from corpuskit.records import ARTICLE_SCHEMA, DROPPED_SCHEMA, PARAGRAPH_SCHEMA

_LEDGER = pa.schema([pa.field(f"ledger_{field.name}", field.type) for field in list(LEDGER)[1:]])
_FATES = pa.schema([pa.field(f"fate_{field.name}", field.type) for field in list(FATES)[1:]])
#: What a shard is written from.
DEALT = {
    "articles": pa.schema([*ARTICLE_PART, *_LEDGER]),
    "paragraphs": pa.schema([*PARAGRAPH_PART, *_LEDGER, *_FATES]),
}


class Deal(PipelineStep):
    """Task *n* deals part *n* out to the shards, with the ledger's and the fates' columns beside each row.

    One Arrow file a part, in record batches of one shard each; ``00000.shards.npy`` says which is whose.
    """

    name = "Deal"
    type = "💽 - WRITER"

    def __init__(self, work: Path) -> None:
        super().__init__()
        self.work = work

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        ledger = pq.read_table(self.work / "ledger" / f"{rank:05d}.parquet")
        fates = pq.read_table(self.work / "fates" / f"{rank:05d}.parquet")
        for unit, schema in DEALT.items():
            target = self.work / "dealt" / unit / f"{rank:05d}.arrow"
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".partial")
            shards: list[int] = []
            with pa.ipc.new_file(partial, schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
                for rows in _told(self.work / unit / f"{rank:05d}.parquet", ledger, fates):
                    rows = rows.select(schema.names).cast(schema)
                    by_shard = pc.sort_indices(rows["ledger_shard"])
                    rows = rows.take(by_shard).combine_chunks()
                    found, starts = np.unique(rows["ledger_shard"].to_numpy(), return_index=True)
                    for shard, start, end in zip(found, starts, [*starts[1:], len(rows)], strict=True):
                        for batch in rows.slice(start, end - start).to_batches():
                            writer.write_batch(batch)
                            shards.append(shard)
            save(target.with_suffix(".shards.npy"), np.array(shards, np.int32))
            os.replace(partial, target)
        return cast(DocumentsPipeline, iter(()))


def _told(part: Path, ledger: pa.Table, fates: pa.Table) -> Iterator[pa.Table]:
    """The row groups of a part, beside each row what was decided about it."""
    file, first = pq.ParquetFile(part), 0
    keys, told = ledger["key"].to_numpy(), fates["row"].to_numpy()
    for number in range(file.num_row_groups):
        rows = file.read_row_group(number)
        own = ledger.take(pa.array(np.searchsorted(keys, rows["key"].to_numpy())))
        for field in _LEDGER:
            rows = rows.append_column(field, own[field.name.removeprefix("ledger_")])
        places = np.arange(first, first + len(rows))
        at = np.searchsorted(told, places)
        known = at < len(told)
        known[known] = told[at[known]] == places[known]
        fate = fates.take(pa.array(at, mask=~known))
        for field in _FATES:
            rows = rows.append_column(field, fate[field.name.removeprefix("fate_")])
        first += len(rows)
        yield rows


class Collate(PipelineStep):
    """Task *n* writes shard *n*: ``articles/``, ``paragraphs/`` and ``dropped/``, sorted."""

    name = "Collate"
    type = "💽 - WRITER"

    def __init__(self, work: Path, output: Path) -> None:
        super().__init__()
        self.work, self.output = work, output

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        articles, paragraphs = (_dealt(self.work / "dealt" / unit, DEALT[unit], rank) for unit in DEALT)
        kept_articles, kept, dropped = collate(articles, paragraphs)
        del articles, paragraphs
        for name, table, rows in (
            ("articles", kept_articles, 50_000),
            ("paragraphs", kept, 20_000),
            ("dropped", dropped, 20_000),
        ):
            target = self.output / name / f"{rank:05d}.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".partial")
            pq.write_table(table, partial, compression="zstd", compression_level=6, row_group_size=rows)
            os.replace(partial, target)
        return cast(DocumentsPipeline, iter(()))


def _dealt(folder: Path, schema: pa.Schema, shard: int) -> pa.Table:
    """The rows of one shard, part by part."""
    batches: list[pa.RecordBatch] = []
    for path in sorted(folder.glob("*.arrow")):
        wanted = np.flatnonzero(np.load(path.with_suffix(".shards.npy")) == shard).tolist()
        if wanted:
            with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as reader:
                batches += [reader.get_batch(number) for number in wanted]
    return pa.Table.from_batches(batches, schema)


def collate(articles: pa.Table, paragraphs: pa.Table) -> tuple[pa.Table, pa.Table, pa.Table]:
    """The kept articles, the kept paragraphs and everything dropped, of one shard.

    Args:
        articles: rows of ``DEALT["articles"]``.
        paragraphs: rows of ``DEALT["paragraphs"]``.
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
        | {"cluster_id": row["ledger_cluster_id"] or row["id"], "cluster_size": row["ledger_cluster_size"]}
        for key, row in rows.items()
        if row["ledger_drop_stage"] is None
    ]
    kept_rows.sort(key=lambda row: (row["id"], row["key"]))
    kept_articles = pa.Table.from_pylist(kept_rows, schema=ARTICLE_SCHEMA)

    place = {row["key"]: at for at, row in enumerate(kept_rows)}
    above = pa.array([place[key] for key in kept["ledger_text_under"].to_pylist()], pa.int64())
    own = ("id", "language", "file", "words", "cluster_id", "cluster_size")
    shared = [name for name in PARAGRAPH_SCHEMA.names if name in ARTICLE_SCHEMA.names and name not in own]
    for name in shared:
        kept = kept.append_column(name, kept_articles[name].take(above))
    kept = kept.append_column("cluster_id", pc.coalesce(kept["fate_cluster_id"], kept["id"]))
    kept = kept.append_column("cluster_size", kept["fate_cluster_size"].fill_null(1))
    kept = kept.select(PARAGRAPH_SCHEMA.names).cast(PARAGRAPH_SCHEMA)

    at = np.searchsorted(articles["key"].to_numpy(), set_aside["key"].to_numpy())
    set_aside = set_aside.append_column("source", articles["source"].take(pa.array(at)))
    set_aside = set_aside.append_column("cluster_id", set_aside["fate_cluster_id"])
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
    """With ``stage``, ``reason``, ``detail``: its own mark, else its article's, else that of its text."""
    gone = paragraphs["ledger_text_dropped"]
    own = pc.is_valid(paragraphs["drop_stage"])
    for name in ("stage", "reason", "detail"):
        above, text = paragraphs[f"ledger_drop_{name}"], paragraphs[f"fate_{name}"]
        fate = pc.if_else(own, paragraphs[f"drop_{name}"], pc.if_else(gone, above, text))
        paragraphs = paragraphs.append_column(name, fate)
    lone = pc.if_else(pc.or_(own, gone), pa.scalar(None, pa.string()), paragraphs["fate_cluster_id"])
    at = paragraphs.schema.get_field_index("fate_cluster_id")
    return paragraphs.set_column(at, "fate_cluster_id", lone)


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
        "cluster_id": articles["ledger_cluster_id"],
        "text": articles["title"].cast(pa.large_string()),
    }
    return pa.table(
        [columns.get(field.name, pa.nulls(len(articles), field.type)) for field in DROPPED_SCHEMA],
        schema=DROPPED_SCHEMA,
    )
