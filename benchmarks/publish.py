"""Publishing at scale: ``python benchmarks/publish.py --gigabytes 4``; writes ``results/publish.json``.

The corpus is made of random words of the samples, so that it compresses like text, replicated under new ids until it is
as large as asked for, with labels for every paragraph as a student writes them. One paragraph in five has no licence.
What is measured is a process of its own: megabytes of text (UTF-8) a second on the clock, the seconds of the processors
(others may be at work on the machine), and its peak memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpuskit.enrich import prompts
from corpuskit.enrich.annotations import Annotator, schema
from corpuskit.publish.dataset import Publication, publish
from corpuskit.records import ARTICLE_SCHEMA, PARAGRAPH_SCHEMA

ROOT = Path(__file__).parents[1]
#: Paragraphs of a file, and of an article.
SHARD, OF_ARTICLE = 60_000, 20


def make(folder: Path, gigabytes: float) -> int:
    """Write a corpus and its labels; gives the bytes of its text."""
    generator = random.Random(1)
    words = sorted({word for path in (ROOT / "corpuskit" / "samples").rglob("*.xml")
                    for word in re.findall(r"\w+", path.read_text(encoding="utf-8", errors="replace"))})  # fmt: skip
    weights = [1 / (rank + 1) for rank in range(len(words))]
    generator.shuffle(words)
    texts = [" ".join(generator.choices(words, weights, k=generator.randint(40, 160))) for _ in range(SHARD)]
    size = sum(len(text.encode()) for text in texts)
    shards = max(1, round(gigabytes * 1e9 / size))
    prompt = prompts.load("biomed-enriched-fr")
    told = schema(prompt, Annotator("student", "linear", "0" * 12))
    for name in ("articles", "paragraphs", "labels/annotations"):
        (folder / name).mkdir(parents=True)
    text = pa.array(texts, pa.large_string())
    licences = pa.array([["CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-SA-4.0", "etalab-2.0", None][one // OF_ARTICLE % 5]
                         for one in range(SHARD)])  # fmt: skip
    for shard in range(shards):
        articles = [f"lab:{shard:05d}-{one:05d}" for one in range(SHARD // OF_ARTICLE)]
        article = pa.array(articles).take(pa.array(np.arange(SHARD) // OF_ARTICLE))
        ids = pa.array([f"{articles[one // OF_ARTICLE]}#{one:012x}" for one in range(SHARD)])
        known = {
            "id": ids, "article_id": article, "order": np.arange(SHARD) % OF_ARTICLE, "text": text,
            "kind": ["body"] * SHARD, "file": article, "path": [f"/p[{one}]" for one in range(SHARD)],
            "language": ["fr"] * SHARD, "words": [one.count(" ") + 1 for one in texts], "cluster_id": ids,
            "source": ["lab"] * SHARD, "licence": licences,
        }  # fmt: skip
        _write(folder / "paragraphs" / f"{shard:05d}.parquet", known, PARAGRAPH_SCHEMA, SHARD)
        of = {"id": articles, "title": articles, "source": ["lab"] * len(articles), "cluster_id": articles,
              "words": [2_000] * len(articles), "year": [2020] * len(articles)}  # fmt: skip
        _write(folder / "articles" / f"{shard:05d}.parquet", of, ARTICLE_SCHEMA, len(articles))
        labels = {"id": ids, "article_id": article, "outcome": ["ok"] * SHARD, "document_type": ["study"] * SHARD,
                  "educational_quality": np.arange(SHARD) % 5 + 1,
                  "educational_quality_probabilities": [[0.2] * 5] * SHARD}  # fmt: skip
        _write(folder / "labels" / "annotations" / f"{shard:05d}.parquet", labels, told, SHARD)
    near = {"articles": True, "paragraphs": True, "near": {"threshold": 0.8}}
    build = {"tool": "corpuskit build", "fingerprint": "0" * 64, "started": "2026-11-26T00:00:00+00:00", "seconds": {},
             "versions": {"corpuskit-fr": "0"}, "config": {"dedup": near}, "inputs": []}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(build))
    return size * shards


def _write(path: Path, known: dict[str, object], wanted: pa.Schema, rows: int) -> None:
    columns = [
        pa.array(known[field.name]).cast(field.type) if field.name in known else pa.nulls(rows, field.type)
        for field in wanted
    ]
    pq.write_table(pa.Table.from_arrays(columns, schema=wanted), path, compression="zstd", row_group_size=20_000)


def measure(folder: str, output: str, labelled: bool, told: multiprocessing.Queue[tuple[float, ...]]) -> None:
    """Publish, in a process of its own; gives seconds on the clock, of the processors, and peak memory in MB."""
    labels = [("", Path(folder) / "labels")] if labelled else []
    begun = time.perf_counter()
    publish(folder, output, Publication(name="benchmark"), annotations=labels)
    seconds, used = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    told.put((seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[1.0, 4.0], help="of text; one run each")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "publish.json")
    given = parser.parse_args()
    context, found = multiprocessing.get_context("spawn"), []
    for gigabytes in given.gigabytes:
        with tempfile.TemporaryDirectory(dir=given.work) as work:
            size = make(Path(work) / "corpus", gigabytes)
            for labelled in (False, True):
                queue = context.Queue()
                output = Path(work) / "published"
                process = context.Process(target=measure, args=(f"{work}/corpus", str(output), labelled, queue))
                process.start()
                seconds, busy, peak = queue.get(timeout=3_600)
                process.join()
                written = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
                shutil.rmtree(output)
                found.append(
                    {
                        "text_gb": round(size / 1e9, 2),
                        "annotations": labelled,
                        "seconds": round(seconds, 1),
                        "mb_a_second": round(size / 1e6 / seconds, 1),
                        "processor_seconds": round(busy, 1),
                        "peak_mb": round(peak),
                        "written_gb": round(written / 1e9, 2),
                    }
                )
                print(found[-1], flush=True)
    given.output.write_text(json.dumps({"cores": os.cpu_count(), "runs": found}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
