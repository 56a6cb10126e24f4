"""A build that is killed at any moment goes on and ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from clusters import MAX_ARRAY_SIZE, ray_cluster, slurm  # noqa: F401

from corpuskit import build as building

SAMPLES = Path(building.__file__).parent / "samples"
#: A build that a kill took before it had begun anything is no test of resuming.
KILLS = 20
#: Many builds one after the other: on a busy machine they take long, and that is no failure.
pytestmark = pytest.mark.timeout(1200)


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
    # Until the kills have fallen into different stages, however slow the machine is by now.
    while killed < KILLS // 2 or len(met) <= 2:
        begun, process = time.monotonic(), start(output, moments.choice([1, 2, 3]))
        try:
            process.wait(moments.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL) if whom == "everyone" else process.kill()
            process.wait()
            killed += 1
            seconds *= 1.2 if killed >= KILLS // 2 else 1
            work = output / ".work"
            met.add(tuple(sorted(path.name for path in work.iterdir() if path.is_dir())) if work.exists() else ())
        else:
            assert process.returncode == 0, process.stderr.read() if process.stderr else ""
            assert tables(output) == expected
            shutil.rmtree(output)
            # The machine may be quicker now than when the first build was timed: later moments would never come.
            seconds = min(seconds, time.monotonic() - begun)
    finished = start(output, 2)
    assert finished.wait(300) == 0, finished.stderr.read() if finished.stderr else ""
    assert tables(output) == expected
    assert not (output / ".work").exists()


def _tasks(mark: str) -> list[int]:
    """The processes that carry out tasks of our own Slurm or Ray, by what their command line holds."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            command = Path("/proc", process, "cmdline").read_text().replace("\0", " ")
            # Slurm's jobs leave the family, but their command names the output; Ray's tell no more than what they do.
            if mark in command and (not mark.startswith("ray::") or _ours(int(process))):
                found.append(int(process))
    return sorted(found)


def _ours(process: int) -> bool:
    """Whether a process descends from this one: another test process may have a cluster of its own."""
    while process > 1:
        if process == os.getpid():
            return True
        process = int(Path("/proc", str(process), "stat").read_text().rsplit(") ", 1)[1].split()[1])
    return False


def killed_on_a_cluster(output: Path, options: list[str], mark: str, expected: dict[str, bytes], kills: int) -> None:
    """Kill tasks and drivers in turn, each followed by the same command; then look at what is written."""
    command = [sys.executable, "-m", "corpuskit", "build", str(SAMPLES / "demo.yaml"), "--output", str(output)]
    moments, killed, met = random.Random(mark), 0, set()
    while True:
        process = subprocess.Popen([*command, *options, "--workers", "2", "--log", "quiet"], stderr=subprocess.PIPE)
        if killed < kills:
            while process.poll() is None and not _tasks(mark):
                time.sleep(0.02)
            time.sleep(moments.uniform(0, 1.5))
            tasks = _tasks(mark)
            victim = moments.choice(tasks) if tasks and killed % 2 == 0 else process.pid
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    killed += 1
                    met.add("driver" if victim == process.pid else "task")
        _, told = process.communicate()
        if process.returncode == 0:
            assert tables(output) == expected
            if killed == kills:
                assert met == {"driver", "task"}
                return
            shutil.rmtree(output)
        else:
            # Killed itself, or told by its task's death: nothing else goes wrong.
            assert process.returncode in (-signal.SIGKILL, 1), told.decode()
            assert process.returncode < 0 or b"was killed" in told or b"died" in told, told.decode()


@pytest.mark.xdist_group("slurm")
def test_killed_while_slurm_tasks_run_it_ends_the_same(
    slurm: Path,  # noqa: F811
    untouched: tuple[dict[str, bytes], float],
    tmp_path: Path,
) -> None:
    profile = tmp_path / "profile.yaml"
    profile.write_text(f"max_array_size: {MAX_ARRAY_SIZE}\n")
    options = ["--executor", "slurm", "--profile", str(profile)]
    output = tmp_path / "corpus"
    killed_on_a_cluster(output, options, f"launch_pickled_pipeline {output}", untouched[0], kills=4)


@pytest.mark.xdist_group("ray")
def test_killed_while_ray_tasks_run_it_ends_the_same(
    ray_cluster: str,  # noqa: F811
    untouched: tuple[dict[str, bytes], float],
    tmp_path: Path,
) -> None:
    options = ["--executor", "ray", "--ray-address", ray_cluster]
    killed_on_a_cluster(tmp_path / "corpus", options, "ray::_attempt_there", untouched[0], kills=4)
