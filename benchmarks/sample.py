"""How fast a sample is drawn, and in how much memory: ``python benchmarks/sample.py --real-data DIR --sizes 500 2000``.

The corpus is real French text (drug notices, case reports), its paragraphs drawn again and again, in shards as a build
writes them, with annotations and articles beside it. Each sample runs in a process of its own. The memory is that of
the process and its workers together, what they share counted once (PSS, ten times a second); what one process had at
most (VmHWM) is told beside it. What grows with the corpus is projected from the sizes to 20 GB of text.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from figures import Figure, conclude
from rich.console import Console
from rich.table import Table
from scale import sentences

from corpuskit.enrich import prompts
from corpuskit.enrich.annotations import Annotator, schema
from corpuskit.records import ARTICLE_SCHEMA, PARAGRAPH_SCHEMA

GIGABYTES = 20
_SHARD_MB = 30
_POOL, _OF_EACH = 100_000, 20
RECIPES = ["biomed-fr", "educational", "soft", "prefix"]


def columns(wanted: pa.Schema, rows: int, **known: Any) -> pa.Table:
    """A table of a schema, null where nothing is known."""
    arrays = [
        pa.array(known[field.name]).cast(field.type) if field.name in known else pa.nulls(rows, field.type)
        for field in wanted
    ]
    return pa.Table.from_arrays(arrays, schema=wanted)


def corpus(folder: Path, megabytes: float, known: list[str]) -> float:
    """Write a corpus and its annotations; returns the megabytes of text."""
    chance, draw = random.Random(1), np.random.default_rng(1)
    pool = pa.array([" ".join(chance.choices(known, k=4)) for _ in range(_POOL)], pa.large_string())
    sizes = np.array([len(text.as_py().encode()) for text in pool])
    words = np.array([text.as_py().count(" ") + 1 for text in pool])
    labels = schema(prompts.load("biomed-enriched-fr"), Annotator("student", "linear"))
    for name in ("paragraphs", "articles", "labels"):
        (folder / name).mkdir(parents=True)
    rows = int(_SHARD_MB * 1e6 / sizes.mean()) // _OF_EACH * _OF_EACH
    written, shard = 0.0, 0
    while written < megabytes * 1e6:
        picked, of = draw.integers(0, _POOL, rows), shard * rows // _OF_EACH
        articles = [f"hal:{of + number:09d}" for number in range(rows // _OF_EACH)]
        of_rows = np.repeat(articles, _OF_EACH)
        ids = [f"{article}#{one:012x}" for article, one in zip(of_rows, draw.integers(0, 2**48, rows), strict=True)]
        sources = np.array(["hal", "pubmed", "istex"])[np.arange(rows) // 600 % 3]
        quality = draw.integers(1, 6, rows)
        paragraphs = columns(
            PARAGRAPH_SCHEMA, rows, id=ids, article_id=of_rows, order=np.tile(np.arange(_OF_EACH), len(articles)),
            text=pool.take(pa.array(picked)), kind=["body"] * rows, section=["Discussion"] * rows,
            file=[f"{article}.xml" for article in of_rows],
            path=[f"/article/body[1]/sec[{one % 9}]/p[{one % 7}]" for one in picked],
            language=["fr"] * rows, language_score=draw.random(rows), words=words[picked], ocr_noise=draw.random(rows),
            alpha_ratio=draw.random(rows), stopword_ratio=draw.random(rows), mean_word_length=draw.random(rows),
            repetition=draw.random(rows), cluster_id=ids, cluster_size=draw.integers(1, 9, rows), source=sources,
            year=draw.integers(1990, 2025, rows), journal=["Revue médicale"] * rows, document_type=["ART"] * rows,
            licence=["CC-BY-4.0"] * rows, url=[f"https://hal.science/{article}" for article in of_rows],
        )  # fmt: skip
        pq.write_table(
            paragraphs, folder / "paragraphs" / f"{shard:05d}.parquet", compression="zstd", compression_level=6,
            row_group_size=20_000,
        )  # fmt: skip
        pq.write_table(
            columns(ARTICLE_SCHEMA, len(articles), id=articles, title=[f"Le titre de {one}" for one in articles]),
            folder / "articles" / f"{shard:05d}.parquet",
        )
        answers = columns(
            labels, rows, id=ids, article_id=of_rows, source=sources, outcome=["ok"] * rows,
            document_type=np.array(["clinical_case", "study", "review", "other"])[draw.integers(0, 4, rows)],
            domain=np.array(["clinical", "biomedical", "other"])[draw.integers(0, 3, rows)],
            educational_quality=quality,
            educational_quality_expected=quality + draw.random(rows) - 0.5, language=["fr"] * rows,
        )  # fmt: skip
        pq.write_table(answers, folder / "labels" / f"{shard:05d}.parquet", row_group_size=4_096)
        written, shard = written + float(sizes[picked].sum()), shard + 1
    return written / 1e6


def memory(process: int) -> tuple[float, float]:
    """Megabytes of a process and all under it: together (PSS), and the most one of them has had."""
    together = most = 0.0
    waiting = [process]
    while waiting:
        one = waiting.pop()
        try:
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    together += int(line.split()[1]) / 1024
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    most = max(most, int(line.split()[1]) / 1024)
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                waiting += map(int, children.read_text().split())
        except (OSError, ValueError):  # it has just ended
            continue
    return together, most


def draw_sample(recipe: str, source: Path, output: Path, workers: int) -> dict[str, Any]:
    """Draw a sample in a process of its own, and report."""
    command = [sys.executable, "-m", "corpuskit", "sample", recipe, "--from", str(source), "--output", str(output),
               "--annotations", str(source / "labels"), "--workers", str(workers)]  # fmt: skip
    begun, peak, single, stop = time.perf_counter(), 0.0, 0.0, threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def watch() -> None:
        nonlocal peak, single
        while not stop.wait(0.1):
            together, most = memory(process.pid)
            peak, single = max(peak, together), max(single, most)

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)  # of its workers too
    code = process.returncode = os.waitstatus_to_exitcode(status)
    stop.set()
    watcher.join()
    seconds = time.perf_counter() - begun
    assert code == 0, f"{recipe} failed"
    report = json.loads((output / "sample.json").read_bytes())
    shutil.rmtree(output)
    return {
        "recipe": recipe,
        "workers": workers,
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "memory_mb": peak,
        "largest_process_mb": single,
        "paragraphs": report["paragraphs"]["before"],
        "drawn": report["words"]["after"] / report["words"]["before"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--sizes", type=float, nargs="+", default=[500, 2_000], help="megabytes of text")
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--folder", type=Path, help="where to write the corpora (a temporary folder)")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    if given.real_data is None:
        parser.error("where is the text? give --real-data DIR or set CORPUSKIT_REAL_DATA")
    known, found = sentences(given.real_data), []
    with tempfile.TemporaryDirectory(dir=given.folder) as root:
        for size in given.sizes:
            source = Path(root) / f"{size:g}"
            megabytes = corpus(source, size, known)
            for recipe in given.recipes:
                told = draw_sample(recipe, source, Path(root) / "sample", workers=2)
                moved = megabytes * max(1.0, told["drawn"])
                rates = {"mb_per_second": moved / told["seconds"], "mb_per_cpu_second": moved / told["cpu_seconds"]}
                found.append(told | rates | {"text_mb": megabytes})
            shutil.rmtree(source)
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(
        "recipe", "text MB", "drawn", "seconds", "MB/s", "CPU s", "MB/CPU s", "memory MB", "largest process MB"
    )
    for one in found:
        table.add_row(
            one["recipe"], f"{one['text_mb']:,.0f}", f"× {one['drawn']:.2f}", f"{one['seconds']:.1f}",
            f"{one['mb_per_second']:.0f}", f"{one['cpu_seconds']:.1f}", f"{one['mb_per_cpu_second']:.0f}",
            f"{one['memory_mb']:.0f}", f"{one['largest_process_mb']:.0f}",
        )  # fmt: skip
    console.print(table)
    figures = []
    for recipe in given.recipes:
        own = [one for one in found if one["recipe"] == recipe]
        first, last = own[0], own[-1]
        note = f"read, or drawn if more; of the processor {last['mb_per_cpu_second']:.0f} a second of one core"
        figures.append(Figure(f"{recipe}: MB of text a second on 2 cores", last["mb_per_second"], 100, note))
        slope = (last["memory_mb"] - first["memory_mb"]) / max(1e-9, last["text_mb"] - first["text_mb"])
        projected = last["memory_mb"] + max(0.0, slope) * (GIGABYTES * 1_000 - last["text_mb"])
        figures.append(
            Figure(f"{recipe}: MB of memory below 1,000 at {GIGABYTES} GB", 1_000 - projected, 0, f"{projected:.0f} MB")
        )
    for figure in figures:
        console.print(f"{'ok' if figure.reached else 'MISSED'}: {figure.name}: {figure.value:,.0f} ({figure.note})")
    return conclude(figures, given.json, {"runs": found})


if __name__ == "__main__":
    sys.exit(main())
