"""A build that is killed at any moment goes on and ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpuskit import build as building

SAMPLES = Path(building.__file__).parent / "samples"
#: A build that a kill took before it had begun anything is no test of resuming.
KILLS = 20


def start(output: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "corpuskit", "build", str(SAMPLES / "demo.yaml"), "--output", str(output)]
    return subprocess.Popen(
        [*command, "--workers", str(workers), "--log", "quiet"], stderr=subprocess.PIPE, start_new_session=True
    )


def tables(output: Path) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    output = tmp_path_factory.mktemp("untouched") / "corpus"
    begun = time.monotonic()
    process = start(output, 2)
    assert process.wait(300) == 0, process.stderr
    return tables(output), time.monotonic() - begun


@pytest.mark.parametrize("whom", ["everyone", "driver"])
def test_killed_at_random_moments_it_ends_the_same(
    whom: str, untouched: tuple[dict[str, bytes], float], tmp_path: Path
) -> None:
    expected, seconds = untouched
    moments = random.Random(whom)
    output, killed, met = tmp_path / "corpus", 0, set()
    while killed < KILLS // 2:
        process = start(output, moments.choice([1, 2, 3]))
        try:
            process.wait(moments.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL) if whom == "everyone" else process.kill()
            process.wait()
            killed += 1
            work = output / ".work"
            met.add(tuple(sorted(path.name for path in work.iterdir() if path.is_dir())) if work.exists() else ())
        else:
            assert process.returncode == 0, process.stderr.read() if process.stderr else ""
            assert tables(output) == expected
            shutil.rmtree(output)
    finished = start(output, 2)
    assert finished.wait(300) == 0, finished.stderr.read() if finished.stderr else ""
    assert tables(output) == expected
    assert not (output / ".work").exists()
    assert len(met) > 2, "the kills fell into different stages"
