"""An enrichment that is killed at any moment goes on: nothing is lost, nothing committed is paid for twice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from servers import fake

from corpuskit.enrich import annotations
from corpuskit.enrich.store import Store

KILLS = 20
#: Seconds between two commits, and what a busy machine may add to them.
FLUSH, LATE = 0.2, 2.0

SCRIPT = f"""
import sys
from corpuskit.enrich import prompts
from corpuskit.enrich.ask import Asking
from corpuskit.enrich.run import Sending, enrich

source, output, url = sys.argv[1:]
sending = Sending(endpoints=[url], in_flight=16, flush_seconds={FLUSH})
enrich(source, prompts.load("biomed-enriched-fr"), Asking(model="model"), sending, output, log="quiet")
"""


def committed(store: Path) -> set[str]:
    lines = (line for path in store.glob("*.jsonl") for line in path.read_text().splitlines(keepends=True))
    return {line[8:40] for line in lines if line.endswith("}\n")}


def requests(log: Path) -> list[tuple[str, float]]:
    return [(line.split()[0], float(line.split()[2])) for line in log.read_text().splitlines()] if log.exists() else []


def test_killed_at_random_moments(tmp_path: Path) -> None:
    source, output, log = tmp_path / "paragraphs.parquet", tmp_path / "out", tmp_path / "log"
    number = 6_000
    texts = [f"Le cas {at}." + (" <<wrong>>" if at % 100 == 0 else "") for at in range(number)]
    pq.write_table(pa.table({"id": [f"cases:{at}#0" for at in range(number)], "text": texts}), source)
    moments, killed, begun = random.Random(7), 0, 0
    with fake(log, delay=0.02) as url:
        command = [sys.executable, "-c", SCRIPT, str(source), str(output), url]
        while killed < KILLS:
            process, before, safe = subprocess.Popen(command), len(requests(log)), committed(output / "store")
            # From when the first questions are out, or from somewhere before.
            while killed % 5 and process.poll() is None and len(requests(log)) == before:
                time.sleep(0.02)
            time.sleep(moments.uniform(0.0, 0.6))
            assert process.poll() is None, "the input is too small for as many kills"
            process.kill()
            process.wait()
            now = requests(log)
            begun += len(now) > before
            killed += 1
            fresh = now[before:]
            assert not safe.intersection(key for key, _ in fresh), "what was committed was asked again"
            # What was asked and is not kept is of the last moments.
            kept = committed(output / "store")
            assert all(now[-1][1] - at < FLUSH + LATE for key, at in fresh if key not in kept)
        assert subprocess.run(command, check=False).returncode == 0
    assert begun >= KILLS * 0.7
    found = annotations.read(output).table(answered=False)
    assert found["id"].to_pylist() == [f"cases:{at}#0" for at in range(number)]
    assert found["outcome"].to_pylist() == ["ok" if at % 100 else "invalid" for at in range(number)]
    store = Store(output / "store")
    assert (len(store), store.attempts) == (number, number)
    assert len(requests(log)) - number < begun * (FLUSH + LATE) * 16 / 0.02
