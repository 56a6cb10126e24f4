"""The paragraphs of a data set, for the stages that come after the build."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq


class ParagraphsError(Exception):
    """Paragraphs that cannot be read; the message says why and what to do."""


def files(path: str | Path) -> list[Path]:
    """The Parquet files of paragraphs, by name.

    Args:
        path: what `corpuskit build`, `publish` or `refill` wrote, a folder of Parquet files, one file, or a glob.

    Raises:
        ParagraphsError: there are none.
    """
    path = tables(path)
    folder = path / "paragraphs" if (path / "paragraphs").is_dir() else path
    if folder.is_dir():
        found = sorted(folder.glob("*.parquet"))
    else:
        found = [folder] if folder.is_file() else sorted(map(Path, glob.glob(str(path))))
    if not found:
        raise ParagraphsError(
            f"{path}: no Parquet files of paragraphs there; give a folder that `corpuskit build` wrote"
        )
    return found


def tables(path: str | Path) -> Path:
    """The folder that holds the tables, a folder each: of a published data set that is ``data``."""
    path = Path(path)
    return path / "data" if (path / "data" / "paragraphs").is_dir() else path


def dataset(path: str | Path, needs: Sequence[str] = ("id", "text")) -> ds.Dataset:
    """Open paragraphs, see :func:`files`.

    Raises:
        ParagraphsError: there are none, or a column that is needed is missing.
    """
    found = files(path)
    try:
        opened = ds.dataset([str(file) for file in found], format="parquet")
    except (pa.ArrowInvalid, OSError) as error:
        raise ParagraphsError(f"{path} cannot be read: {error}") from None
    if missing := [name for name in needs if name not in opened.schema.names]:
        raise ParagraphsError(
            f"{path}: no column {missing[0]!r}; there are {', '.join(opened.schema.names)}. "
            "Paragraphs need at least `id` and `text`."
        )
    return opened


def batches(path: str | Path, columns: Sequence[str], rows: int = 4_096) -> Iterator[pa.RecordBatch]:
    """The paragraphs in their order, a batch at a time; a column that is not there is null.

    Raises:
        ParagraphsError: as :func:`dataset`.
    """
    dataset(path)
    for file in files(path):
        # A data set's own scan promises no order, and reads a gigabyte ahead of a slow reader.
        yield from file_batches(file, columns, rows)


def file_batches(
    file: Path, columns: Sequence[str], rows: int, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """The paragraphs of one file or of some of its row groups, as :func:`batches`."""
    with pq.ParquetFile(file) as part:
        held = [name for name in columns if name in part.schema_arrow.names]
        for batch in part.iter_batches(rows, row_groups=None if groups is None else list(groups), columns=held):
            if batch.num_rows:
                nulls = pa.nulls(batch.num_rows, pa.string())
                arrays = [batch[name] if name in held else nulls for name in columns]
                yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
