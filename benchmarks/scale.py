"""What a build takes at several sizes, and what that comes to at 100 million paragraphs.

    python benchmarks/scale.py --real-data DIR --sizes 5 15 50

The input is made of real French text (drug notices, case reports, abstracts), repeated with other numbers and
shuffled sentences so that little of it is a duplicate, one article a JSON line. Each build runs in a process of its
own; the memory is the largest resident set of a worker and of the driver, as the operating system counts it, and the
most that the global stages hold at once, as numpy and Arrow count it, whose slope is what the projection goes by.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PARAGRAPHS = 100_000_000
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-ZÉÀ])")


#: The peak of a process is VmHWM of its own memory; what getrusage tells is inherited from its parent.
_CODE = """
import json, os, threading, time, tracemalloc
from pathlib import Path
import pyarrow
from corpuskit.build import build
from corpuskit.config import validate
from corpuskit.dedup import decide

most, held = {{}}, {{}}

def counted(name):
    stage = getattr(decide, name)
    def count(*given):
        tracemalloc.start()
        try:
            return stage(*given)
        finally:
            held[name] = (tracemalloc.get_traced_memory()[1] + pyarrow.default_memory_pool().max_memory()) / 2**20
            tracemalloc.stop()
    setattr(decide, name, count)

if {workers} > 1:
    counted("candidates")
    counted("decide")

def peak(process):
    for line in Path("/proc", process, "status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0

def watch():
    while True:
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                if Path("/proc", process, "stat").read_text().rsplit(")", 1)[1].split()[1] == str(os.getpid()):
                    most[process] = max(most.get(process, 0.0), peak(process))
            except OSError:
                pass
        time.sleep(0.1)

threading.Thread(target=watch, daemon=True).start()
run = build(validate({config!r}), {output!r}, workers={workers})
print(json.dumps({{
    "seconds": run.manifest["seconds"],
    "paragraphs": run.funnel["read"]["jsonl"]["paragraphs"],
    "articles": run.funnel["read"]["jsonl"]["articles"],
    "driver_mb": peak("self"),
    "held_mb": max(held.values(), default=0.0),
    "worker_mb": max(most.values(), default=peak("self")),
}}))
"""


def sentences(real_data: Path) -> list[str]:
    with gzip.open(real_data / "text_fr" / "anses_vet_spc.txt.gz", "rt", encoding="utf-8") as lines:
        texts = lines.read().split("\n")
    with open(real_data / "e3c_ccby" / "pamj_fr.jsonl", encoding="utf-8") as lines:
        texts += [json.loads(line)["text"] for line in lines]
    found = [sentence for text in texts for sentence in _SENTENCE.split(text) if 40 < len(sentence) < 400]
    return list(dict.fromkeys(found))


def corpus(target: Path, megabytes: float, known: list[str]) -> None:
    """Articles of twenty paragraphs of four sentences each, drawn at random."""
    chance, written, at = random.Random(1), 0, 0
    with open(target, "w", encoding="utf-8") as lines:
        while written < megabytes * 1e6:
            text = "\n\n".join(" ".join(chance.choices(known, k=4)) for _ in range(20))
            line = json.dumps({"id": str(at), "text": text}, ensure_ascii=False)
            lines.write(line + "\n")
            written, at = written + len(line.encode()), at + 1


def build(source: Path, output: Path, workers: int) -> dict[str, Any]:
    """Build in a process of its own, and report."""
    config = {"sources": [{"type": "jsonl", "path": str(source)}]}
    code = _CODE.format(config=config, output=str(output), workers=workers)
    work, most = output / ".work", 0
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        time.sleep(0.5)
        most = max(most, _size(work))
    told: dict[str, Any] = json.loads(process.communicate()[0])
    written = _size(output)
    return told | {
        "wall_s": time.monotonic() - begun,
        "input_mb": source.stat().st_size / 1e6,
        "work_mb": most / 1e6,
        "output_mb": written / 1e6,
        "workers": workers,
    }


def _size(folder: Path) -> int:
    """Bytes of the files in a folder; they may come and go while we look."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += os.stat(os.path.join(place, name)).st_size
    return size


def project(runs: list[dict[str, Any]]) -> dict[str, float]:
    """What the largest run comes to at ``PARAGRAPHS``, by what grows with them."""
    first, last = runs[0], runs[-1]
    times = PARAGRAPHS / last["paragraphs"]
    slope = (last["held_mb"] - first["held_mb"]) / (last["paragraphs"] - first["paragraphs"])
    local = {"inputs", "read_and_clean", "write"}
    cores = {
        name: seconds * last["workers"] * times / 3600 for name, seconds in last["seconds"].items() if name in local
    }
    driver = {name: seconds * times / 3600 for name, seconds in last["seconds"].items() if name not in local}
    return {
        "input_gb": last["input_mb"] * times / 1000,
        **{f"{name}_core_hours": hours for name, hours in cores.items()},
        **{f"{name}_hours_with_shingles": hours for name, hours in driver.items()},
        "work_gb": last["work_mb"] * times / 1000,
        "output_gb": last["output_mb"] * times / 1000,
        "worker_mb": last["worker_mb"],
        "bytes_held_a_paragraph": slope * 2**20,
        "driver_gb": (last["driver_mb"] + slope * (PARAGRAPHS - last["paragraphs"])) / 1024,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--sizes", type=float, nargs="+", default=[5, 15, 50], help="megabytes of input")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    known, runs = sentences(given.real_data), []
    with tempfile.TemporaryDirectory() as folder:
        for size in given.sizes:
            source = Path(folder) / "source" / f"{size:g}.jsonl"
            source.parent.mkdir(exist_ok=True)
            corpus(source, size, known)
            runs.append(build(source, Path(folder) / f"{size:g}", workers=2))
        one = build(source, Path(folder) / "one", workers=1)
    runs.sort(key=lambda run: run["input_mb"])
    speedup = {
        "all": one["wall_s"] / runs[-1]["wall_s"],
        "read_and_clean": one["seconds"]["read_and_clean"] / runs[-1]["seconds"]["read_and_clean"],
    }
    table = Table("input MB", "workers", "paragraphs", "wall s", *one["seconds"], "worker MB", "driver MB", "held MB",
                  "work MB", "output MB")  # fmt: skip
    for run in [*runs, one]:
        table.add_row(
            f"{run['input_mb']:.1f}", str(run["workers"]), f"{run['paragraphs']:,}", f"{run['wall_s']:.1f}",
            *(f"{seconds:.1f}" for seconds in run["seconds"].values()),
            *(f"{run[name]:.0f}" for name in ("worker_mb", "driver_mb", "held_mb", "work_mb", "output_mb")),
        )  # fmt: skip
    console, projected = Console(width=160), project(runs)
    console.print(table)
    console.print("2 workers against 1:", {name: round(ratio, 2) for name, ratio in speedup.items()})
    console.print(f"at {PARAGRAPHS:,} paragraphs:", {name: round(value, 1) for name, value in projected.items()})
    if given.json:
        content = {"runs": runs, "one_worker": one, "speedup": speedup, "projected": projected}
        given.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
