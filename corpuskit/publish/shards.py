"""The Parquet files of a data set: a series a split, each file of a size that the Hub and its viewer like."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpuskit.publish.splits import SPLITS

#: Bytes (in memory) of a row group and of a file.
GROUP, FILE = 32 << 20, 512 << 20
#: Rows of a row group, at most: readers that stream take one at a time.
ROWS = 20_000


class Shards:
    """Writes the rows of one configuration, a series of files a split; compression runs beside what fills them.

    Rows of one article that follow each other are in one file.
    """

    def __init__(self, folder: Path, distinct: Collection[str], pool: ThreadPoolExecutor) -> None:
        self._folder, self._distinct, self._pool = folder, distinct, pool
        self._waiting: dict[str, list[pa.Table]] = {}
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._held: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._under_way: Future[None] | None = None

    def write(self, rows: pa.Table, splits: pa.Array) -> None:
        """Add rows, each to the split named beside it."""
        for split in SPLITS:
            chosen = pc.equal(splits, split)
            number = chosen.true_count
            if number:
                waiting = self._waiting.setdefault(split, [])
                waiting.append(rows if number == len(rows) else rows.filter(chosen))
                if sum(map(len, waiting)) >= ROWS or sum(table.nbytes for table in waiting) >= GROUP:
                    self._flush(split)

    def _flush(self, split: str, last: bool = False) -> None:
        table = pa.concat_tables(self._waiting.pop(split))
        whole = len(table) if last else _ended(table)
        if whole < len(table):
            self._waiting[split] = [table.slice(whole)]
            table = table.slice(0, whole)
        if self._under_way is not None:
            self._under_way.result()
        self._under_way = self._pool.submit(self._append, split, table)

    def _append(self, split: str, table: pa.Table) -> None:
        writer = self._writers.get(split)
        if writer is None:
            number = self._numbers.get(split, 0)
            self._numbers[split], self._held[split] = number + 1, 0
            path = self._folder / f"{split}-{number:05d}.parquet"
            # A dictionary of what never repeats is built for nothing.
            repeated = [name for name in table.schema.names if name not in self._distinct]
            writer = pq.ParquetWriter(path, table.schema, compression="zstd", use_dictionary=repeated)
            self._writers[split] = writer
        writer.write_table(table)
        self._held[split] += table.nbytes
        if self._held[split] >= FILE:
            self._writers.pop(split).close()

    def close(self) -> None:
        """Write what is left."""
        try:
            for split in list(self._waiting):
                self._flush(split, last=True)
            if self._under_way is not None:
                self._under_way.result()
        finally:
            for writer in self._writers.values():
                writer.close()


def _ended(table: pa.Table) -> int:
    """Rows before the article that may go on; all of them where none is known, or it is larger than a row group."""
    if "article_id" not in table.schema.names:
        return len(table)
    article = table["article_id"]
    others = np.flatnonzero(pc.fill_null(pc.not_equal(article, article[-1]), True).to_numpy())
    whole = int(others[-1]) + 1 if len(others) else 0
    return whole if whole > 0 and len(table) - whole < ROWS else len(table)


@contextmanager
def shards(folder: Path, distinct: Collection[str] = ()) -> Iterator[Shards]:
    """Write a configuration into a folder that is made for it.

    Args:
        folder: to be made.
        distinct: columns without two equal values to speak of.
    """
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        found = Shards(folder, distinct, pool)
        try:
            yield found
        finally:
            found.close()
