"""The linear student against scikit-learn, Parquet in and Parquet out: ``python benchmarks/label.py --real-data DIR``.

The peer is HashingVectorizer (words and pairs of words, as many buckets) and a product with a matrix of the same shape.
Both read the same files on one core, in turn, several times; the median of the ratios is what counts. Seconds are those
of the processor, as others may be at work on the machine; those on the clock are told beside them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from figures import Figure, conclude
from gold_student import by_source, prompt_of, types
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import HashingVectorizer

from corpuskit.enrich.annotations import Annotator, tables, write
from corpuskit.student import store
from corpuskit.student.distil import distil
from corpuskit.student.heads import softmax
from corpuskit.student.label import label
from corpuskit.student.linear import Linear

#: What is learnt from is a part: the speed does not depend on it.
TAUGHT = 3_000


def peer(source: Path, target: Path, student: Linear, classes: tuple[str, ...]) -> None:
    """The same with scikit-learn: label and probabilities of every paragraph."""
    vectorizer = HashingVectorizer(
        ngram_range=(1, 2), n_features=len(student.weights), alternate_sign=False, norm="l2", dtype=np.float32
    )
    names: pa.Array = pa.array(classes)
    writer = None
    for batch in pq.ParquetFile(source).iter_batches(4_096, columns=["id", "text"]):
        probabilities = softmax(vectorizer.transform(batch["text"].to_pylist()) @ student.weights + student.bias)
        flat = pa.array(probabilities.ravel(), pa.float32())
        columns = {
            "id": batch["id"],
            "label": names.take(pa.array(probabilities.argmax(axis=1))),
            "probabilities": pa.FixedSizeListArray.from_arrays(flat, len(classes)),
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(target, table.schema, compression="zstd")
        writer.write_table(table)
    assert writer
    writer.close()


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Of the processor, and on the clock."""
    begun, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - begun, time.perf_counter() - clock


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    if given.real_data is None:
        parser.error("where is the text? give --real-data DIR or set CORPUSKIT_REAL_DATA")
    rows = by_source(given.real_data)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        step = len(rows) // TAUGHT
        write(root / "taught", tables(prompt_of("source", types()), Annotator("person", "gold"), iter(rows[::step])))
        distil(root / "taught", "linear", root / "student")
        paragraphs = {
            "id": [row.id for row in rows],
            "article_id": [row.article_id for row in rows],
            "source": [row.source for row in rows],
            "text": [row.text for row in rows],
        }
        pq.write_table(pa.table(paragraphs), root / "paragraphs.parquet", row_group_size=10_000, compression="zstd")
        found = store.find(root / "student")
        student, classes = found.load(), found.card.heads[0].classes
        assert isinstance(student, Linear)
        ours, theirs = [], []
        for _ in range(given.rounds):
            ours.append(
                seconds(lambda: label(root / "paragraphs.parquet", root / "student", root / "labels", overwrite=True))
            )
            theirs.append(seconds(lambda: peer(root / "paragraphs.parquet", root / "peer.parquet", student, classes)))
    words = sum(len(row.text.split()) for row in rows) / len(rows)
    note = f"{len(rows):,} paragraphs of {words:.0f} words on average"
    rate = [len(rows) / statistics.median(cpu for cpu, _ in side) for side in (ours, theirs)]
    clock = [len(rows) / statistics.median(wall for _, wall in side) for side in (ours, theirs)]
    ratio = statistics.median(their[0] / our[0] for our, their in zip(ours, theirs, strict=True))
    figures = [
        Figure(
            "linear student, paragraphs a second of one core", rate[0], 5_000, f"{note}; on the clock {clock[0]:,.0f}"
        ),
        Figure("scikit-learn, paragraphs a second of one core", rate[1], None, f"on the clock {clock[1]:,.0f}"),
        Figure("ratio (above 1: ours is faster)", ratio, 1.0, "median of the rounds"),
    ]
    table = Table("figure", "value", "at least", "", "note")
    for figure in figures:
        table.add_row(figure.name, f"{figure.value:,.2f}", figure.threshold, figure.verdict, figure.note)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return conclude(figures, given.json)


if __name__ == "__main__":
    sys.exit(main())
