"""What reading leaves for the global stages: one Parquet file of articles and one of paragraphs a task.

Local work (reading, cleaning) ends here. The stages that need everyone read only the key columns of
these files, and the sketches beside them: for every article and paragraph that is kept so far, one hash
a bucket of its MinHash signature. The text is read again once, when the output is written, and that of
possible near-duplicates once more, to compare them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from corpuskit import identifiers
from corpuskit.clean import tokens
from corpuskit.dedup import near
from corpuskit.dedup.near import NearOptions
from corpuskit.records import ARTICLE_SCHEMA, PARAGRAPH_SCHEMA, Article, Drop, Paragraph, Quarantined

_DROP = [pa.field(f"drop_{name}", pa.string()) for name in Drop._fields]
_FROM_ARTICLE = [field for field in ARTICLE_SCHEMA if hasattr(Article, field.name) and field.name != "paragraphs"]
_SIGNALS = ["language", "language_score", "words", "ocr_noise", "alpha_ratio", "stopword_ratio",
            "mean_word_length", "repetition"]  # fmt: skip
_FROM_PARAGRAPH = ["text", "kind", "section", "file", "path", *_SIGNALS]

ARTICLE_PART = pa.schema(
    [
        pa.field("key", pa.int64()),  # file number << 40 | article number in the file
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
        pa.field("hash", pa.uint64()),  # of the text
        pa.field("words_hash", pa.uint64()),  # of its words, whatever their case and what stands between them
        *(PARAGRAPH_SCHEMA.field(name) for name in _FROM_PARAGRAPH),
        *_DROP,
    ]
)

Array = npt.NDArray[Any]

#: Characters of text held before a row group is written: what a worker's memory depends on.
FLUSH_CHARACTERS = 8 << 20
#: Rows of sketches that are in memory at a time.
_TURNED = 1 << 16


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


def paragraph_rows(article: Article, key: int) -> list[dict[str, Any]]:
    """The rows of :data:`PARAGRAPH_PART`. A paragraph of a marked article carries the article's mark."""
    found = tokens.of(article)
    # Steps count the words of what reaches them; the accounts want them all.
    for paragraph, count in zip(article.paragraphs, found.counts.tolist(), strict=True):
        paragraph.words = paragraph.words or count
    hashes = found.text_hashes.tolist()
    return [_row(paragraph, order, key, article, hashes[order]) for order, paragraph in enumerate(article.paragraphs)]


def _row(paragraph: Paragraph, order: int, key: int, article: Article, words_hash: int) -> dict[str, Any]:
    row = {name: getattr(paragraph, name) for name in _FROM_PARAGRAPH}
    return row | {
        "key": key,
        "order": order,
        "hash": digest(paragraph.text),
        "words_hash": words_hash,
        "section": paragraph.section or None,
        "file": paragraph.file or article.file,
        "language": paragraph.language or None,
        **_drop(paragraph.drop or article.drop),
    }


def _drop(drop: Drop | None) -> dict[str, str | None]:
    stage, reason, detail = drop or (None, None, None)
    return {"drop_stage": stage, "drop_reason": reason, "drop_detail": detail or None}


class PartWriter(PipelineStep):
    """The last local step: write a task's articles, paragraphs, sketches and quarantined input under ``folder``.

    Files appear under their name only when they are whole.

    Args:
        folder: where to.
        near: how to sketch texts for near-duplicates, None for no sketches.
    """

    name = "Parts"
    type = "💽 - WRITER"

    def __init__(self, folder: str | Path, near: NearOptions | None = None) -> None:
        super().__init__()
        self.folder, self.near = Path(folder), near

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        return cast(DocumentsPipeline, self._run(data, rank))

    def _run(self, data: DocumentsPipeline, rank: int) -> Iterator[Document]:
        name = f"{rank:05d}.parquet"
        articles = _Table(self.folder / "articles" / name, ARTICLE_PART)
        paragraphs = _Table(self.folder / "paragraphs" / name, PARAGRAPH_PART)
        sketches = Sketches(self.folder, rank, self.near) if self.near else nullcontext()
        quarantine = self.folder / "quarantine" / f"{rank:05d}.jsonl"
        quarantine.parent.mkdir(parents=True, exist_ok=True)
        held = 0
        with open(quarantine, "wb") as refused, articles, paragraphs, sketches as sketched:
            for document in data or ():
                item: Article | Quarantined = document.metadata.get("article") or document.metadata["quarantined"]
                if isinstance(item, Quarantined):
                    refused.write(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE))
                else:
                    key = document.metadata["key"]
                    rows = paragraph_rows(item, key)
                    if sketched:
                        sketched.add(item, articles.count, paragraphs.count)
                    paragraphs.add(*rows)
                    articles.add(article_row(item, key))
                    held += sum(len(row["text"]) for row in rows)
                    if held > FLUSH_CHARACTERS or len(articles.rows) > 50_000:
                        articles.flush()
                        paragraphs.flush()
                        held = 0
                yield document


class Sketches:
    """The bucket hashes of a task's kept paragraphs, and of its articles' kept text, on disk when the block ends.

    ``near/paragraphs/00000.npy`` has a row a bucket, shape (buckets, sketched), and
    ``near/paragraphs/00000.rows.npy`` the row of each sketched paragraph in its part; so for articles.
    """

    def __init__(self, folder: Path, rank: int, options: NearOptions) -> None:
        self.folder, self.rank, self.options = folder / "near", rank, options

    def __enter__(self) -> Sketches:
        self.found = {unit: self._spills(self.folder / unit) for unit in ("articles", "paragraphs")}
        return self

    def _spills(self, folder: Path) -> tuple[_Spill, _Spill]:
        folder.mkdir(parents=True, exist_ok=True)
        name = folder / f"{self.rank:05d}"
        return (
            _Spill(name.with_suffix(".spill"), np.dtype(np.uint64), self.options.buckets),
            _Spill(name.with_suffix(".rows.spill"), np.dtype(np.int32), 1),
        )

    def add(self, article: Article, row: int, first: int) -> None:
        """Sketch an article that stands in row ``row`` of its part, and its first paragraph in row ``first``."""
        kept = np.array([paragraph.drop is None for paragraph in article.paragraphs], bool)
        if article.drop is not None or not kept.any():
            return
        signatures = near.signatures(tokens.of(article), self.options)
        # A text that is too short has no signature.
        kept &= (signatures != near.NONE).any(axis=1)
        if kept.any():
            signatures = signatures[kept]
            self._keep("paragraphs", signatures, first + np.flatnonzero(kept))
            # The n-grams of an article are those of its paragraphs: the least of all is the least of each.
            self._keep("articles", signatures.min(axis=0, keepdims=True), np.array([row]))

    def _keep(self, unit: str, signatures: Array, rows: Array) -> None:
        bands, places = self.found[unit]
        bands.add(near.bands(signatures, self.options))
        places.add(rows)

    def __exit__(self, kind: object, *_: object) -> None:
        for spills in self.found.values():
            for spill in spills:
                with spill.file:
                    if kind is None:
                        spill.turn()


class _Spill:
    """Rows of numbers, put on disk as they come: a task of any size holds hardly any."""

    def __init__(self, path: Path, dtype: np.dtype[Any], width: int) -> None:
        self.path, self.dtype, self.width = path, dtype, width
        self.file = open(path, "wb")  # noqa: SIM115
        self.count = 0

    def add(self, rows: Array) -> None:
        self.file.write(np.ascontiguousarray(rows, self.dtype).data)
        self.count += len(rows)

    def turn(self) -> None:
        """Leave an array with a row for each column, beside the spilled rows and in their place."""
        self.file.flush()
        shape = (self.count,) if self.width == 1 else (self.width, self.count)
        save_pieces(self.path.with_suffix(".npy"), self.dtype, shape, self._columns())
        self.path.unlink()

    def _columns(self) -> Iterator[Array]:
        size = self.width * self.dtype.itemsize
        for column in range(self.width):
            for start in range(0, self.count, _TURNED):
                rows = np.fromfile(self.path, self.dtype, _TURNED * self.width, offset=start * size)
                yield rows.reshape(-1, self.width)[:, column]


def save(path: Path, array: Array) -> None:
    """Write an array, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_pieces(path, array.dtype, array.shape, [array])


def save_pieces(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], pieces: Iterable[Array]) -> None:
    """Write an array of which only a piece is there at a time, whole or not at all."""
    told = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with open(path.with_suffix(".partial"), "wb") as partial:
        # Where the disk is full, np.save tells neither that nor the file.
        np.lib.format.write_array_header_1_0(partial, told)
        for piece in pieces:
            partial.write(np.ascontiguousarray(piece).data)
    os.replace(path.with_suffix(".partial"), path)


class _Table:
    """A Parquet file written row group by row group, renamed into place at the end."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.partial, self.schema = path, path.with_suffix(".partial"), schema
        self.rows: list[dict[str, Any]] = []
        self.count = 0

    def __enter__(self) -> _Table:
        self.writer = pq.ParquetWriter(self.partial, self.schema, compression="zstd", compression_level=1)
        return self

    def add(self, *rows: dict[str, Any]) -> None:
        self.rows += rows
        self.count += len(rows)

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
