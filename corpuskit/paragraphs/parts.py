"""What reading leaves for the global stages: one Parquet file of articles and one of paragraphs a task.

Local work (reading, cleaning) ends here. The stages that need everyone read only the key columns of
these files; the text is read again once, when the output is written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from corpuskit import identifiers
from corpuskit.clean.words import words
from corpuskit.records import ARTICLE_SCHEMA, PARAGRAPH_SCHEMA, Article, Drop, Paragraph, Quarantined

_DROP = [pa.field(f"drop_{name}", pa.string()) for name in Drop._fields]
_FROM_ARTICLE = [f for f in ARTICLE_SCHEMA if f.name not in ("merged_ids", "paragraphs", "words")]
_SIGNALS = ["language", "language_score", "words", "ocr_noise", "alpha_ratio", "stopword_ratio",
            "mean_word_length", "repetition"]  # fmt: skip
_FROM_PARAGRAPH = ["text", "kind", "section", "file", "path", *_SIGNALS]

ARTICLE_PART = pa.schema(
    [
        pa.field("key", pa.int64()),  # file number << 32 | article number in the file
        *_FROM_ARTICLE,
        pa.field("form", pa.string()),
        pa.field("needs_record", pa.bool_()),
        pa.field("id_keys", pa.list_(pa.uint64())),
        pa.field("title_keys", pa.list_(pa.uint64())),
        pa.field("kept_words", pa.int64()),
        pa.field("skipped", pa.string()),
        *_DROP,
    ]
)
PARAGRAPH_PART = pa.schema(
    [
        pa.field("key", pa.int64()),
        pa.field("order", pa.int32()),
        pa.field("hash", pa.uint64()),
        *(PARAGRAPH_SCHEMA.field(name) for name in _FROM_PARAGRAPH),
        *_DROP,
    ]
)

#: Characters of text held before a row group is written: what a worker's memory depends on.
FLUSH_CHARACTERS = 16 << 20


def digest(text: str) -> int:
    """The 64-bit BLAKE2b hash that paragraphs are recognised by."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def article_row(article: Article, key: int) -> dict[str, Any]:
    """One row of :data:`ARTICLE_PART`."""
    names = [identifiers.title_key(title, article.year, article.authors[0] if article.authors else "")
             for title in (article.title, *article.other_titles)]  # fmt: skip
    ids = [f"{name}:{value}" for name in ("doi", "pmid", "pmcid", "hal_id", "ark") if (value := getattr(article, name))]
    row = {field.name: getattr(article, field.name) or None for field in _FROM_ARTICLE}
    return row | {
        "key": key,
        "record": article.record,
        "form": article.form,
        "needs_record": article.needs_record,
        "id_keys": [digest(name) for name in (f"id:{article.id}", *ids)],
        "title_keys": sorted({digest(name) for name in names if name}),
        "kept_words": sum(paragraph.words for paragraph in article.kept()),
        "skipped": orjson.dumps(article.skipped).decode() if article.skipped else None,
        **_drop(article.drop),
    }


def paragraph_row(paragraph: Paragraph, order: int, key: int, article: Article) -> dict[str, Any]:
    """One row of :data:`PARAGRAPH_PART`. A paragraph of a marked article carries the article's mark."""
    row = {name: getattr(paragraph, name) for name in _FROM_PARAGRAPH}
    return row | {
        "key": key,
        "order": order,
        "hash": digest(paragraph.text),
        "section": paragraph.section or None,
        "file": paragraph.file or article.file,
        "language": paragraph.language or None,
        **_drop(paragraph.drop or article.drop),
    }


def _drop(drop: Drop | None) -> dict[str, str | None]:
    stage, reason, detail = drop or (None, None, None)
    return {"drop_stage": stage, "drop_reason": reason, "drop_detail": detail or None}


class PartWriter(PipelineStep):
    """The last local step: write a task's articles, paragraphs and quarantined input under ``folder``.

    Files appear under their name only when they are whole.
    """

    name = "Parts"
    type = "💽 - WRITER"

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.folder = Path(folder)

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        return cast(DocumentsPipeline, self._run(data, rank))

    def _run(self, data: DocumentsPipeline, rank: int) -> Iterator[Document]:
        articles = _Table(self.folder / "articles" / f"{rank:05d}.parquet", ARTICLE_PART)
        paragraphs = _Table(self.folder / "paragraphs" / f"{rank:05d}.parquet", PARAGRAPH_PART)
        quarantine = self.folder / "quarantine" / f"{rank:05d}.jsonl"
        quarantine.parent.mkdir(parents=True, exist_ok=True)
        held = 0
        with open(quarantine, "wb") as refused, articles, paragraphs:
            for document in data or ():
                item: Article | Quarantined = document.metadata.get("article") or document.metadata["quarantined"]
                if isinstance(item, Quarantined):
                    refused.write(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE))
                else:
                    key = document.metadata["key"]
                    for order, paragraph in enumerate(item.paragraphs):
                        # Steps count the words of what reaches them; the accounts want them all.
                        paragraph.words = paragraph.words or len(words(paragraph.text))
                        paragraphs.rows.append(paragraph_row(paragraph, order, key, item))
                        held += len(paragraph.text)
                    articles.rows.append(article_row(item, key))
                    if held > FLUSH_CHARACTERS or len(articles.rows) > 50_000:
                        articles.flush()
                        paragraphs.flush()
                        held = 0
                yield document


class _Table:
    """A Parquet file written row group by row group, renamed into place at the end."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.partial, self.schema = path, path.with_suffix(".partial"), schema
        self.rows: list[dict[str, Any]] = []

    def __enter__(self) -> _Table:
        self.writer = pq.ParquetWriter(self.partial, self.schema, compression="zstd", compression_level=1)
        return self

    def flush(self) -> None:
        if self.rows:
            columns = {name: [row[name] for row in self.rows] for name in self.schema.names}
            self.writer.write_table(pa.table(columns, schema=self.schema))
            self.rows.clear()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.flush()
        self.writer.close()
        if kind is None:
            os.replace(self.partial, self.path)
