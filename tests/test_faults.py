"""What happens to whole builds: a full disk, a read-only one, two at once, a worker out of memory."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

#: Several builds each; on a busy machine they take long, and that is no failure.
pytestmark = pytest.mark.timeout(900)
WORDS = ["le", "patient", "a", "été", "admis", "pour", "une", "douleur", "avec", "fièvre", "puis", "traité", "chez"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough text for a build that lasts some seconds, in several tasks."""
    chance = random.Random(1)
    folder = tmp_path_factory.mktemp("source")
    for part in range(3):
        with open(folder / f"{part}.jsonl", "w", encoding="utf-8") as lines:
            for at in range(300):
                text = "\n\n".join(" ".join(chance.choices(WORDS, k=60)) + f" le jour {at}." for _ in range(8))
                lines.write(json.dumps({"id": f"{part}-{at}", "text": text}, ensure_ascii=False) + "\n")
    return folder


def start(source: Path, output: Path, workers: int = 2) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "corpuskit", "build", "--source", f"jsonl={source}", "--output", str(output)]
    return subprocess.Popen(
        [*command, "--workers", str(workers), "--log", "quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def at_work(output: Path) -> bool:
    """Whether a build has begun to read."""
    return any(output.glob(".work/progress/*"))


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait for a build to come so far; it must not end before."""
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, f"it ended too early: {ended(process)}"
        assert time.monotonic() < end, "it does not come so far"
        time.sleep(0.005)


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that do the tasks of a build."""
    found = []
    with suppress(OSError):
        for child in children(process.pid):
            if f"workers of {process.pid}".encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                found += children(child)
    return found


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what was said, without the folds of a narrow terminal."""
    _, told = process.communicate(timeout=240)
    return process.returncode, " ".join(told.split())


def tables(output: Path) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def expected(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("expected") / "corpus"
    code, told = ended(start(source, output))
    assert code == 0, told
    return tables(output)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "corpuskit-test", str(folder)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


@contextmanager
def stopped(process: subprocess.Popen[str], *others: int) -> Iterator[None]:
    """A build, and its workers, that do nothing while the block runs."""
    pids = [process.pid, *others]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def finished(output: Path) -> dict[Path, int]:
    """The tasks that are done, and when they were."""
    return {path: path.stat().st_mtime_ns for path in output.glob(".work/logs/*/completions/*")}


def test_a_disk_that_fills_up(disk: Path, source: Path, expected: dict[str, bytes]) -> None:
    output = disk / "corpus"
    code, told = ended(start(source, output))
    assert code == 1
    assert "The disk is full" in told or f"the disk of {output} is full" in told
    assert "Traceback" not in told
    assert str(output) in told
    remount(disk, "size=200m")
    code, told = ended(start(source, output))
    assert code == 0, told
    assert tables(output) == expected


def test_a_disk_that_fills_up_later_keeps_what_was_finished(
    disk: Path, source: Path, expected: dict[str, bytes]
) -> None:
    output = disk / "corpus"
    remount(disk, "size=200m")
    process = start(source, output)
    wait_for(lambda: any(output.glob(".work/logs/read/completions/*")), process)
    with stopped(process, *workers_of(process)):  # nothing is written while the disk shrinks
        used = os.statvfs(disk)
        remount(disk, f"size={(used.f_blocks - used.f_bfree) * used.f_frsize // 1024 + 64}k")
    code, told = ended(process)
    assert code == 1, "the disk was large enough"
    assert "The disk is full" in told or f"the disk of {output} is full" in told
    before = finished(output)
    assert before
    remount(disk, "size=200m")
    process, after = start(source, output), {}
    while process.poll() is None:
        with suppress(OSError):
            after |= finished(output)
        time.sleep(0.01)
    code, told = ended(process)
    assert code == 0, told
    assert tables(output) == expected
    assert before.items() <= after.items(), "no finished task ran again"


def test_a_disk_that_may_only_be_read(disk: Path, source: Path) -> None:
    remount(disk, "ro")
    code, told = ended(start(source, disk / "corpus"))
    assert (code, told) == (
        1,
        f"error: {disk / 'corpus'} cannot be written: Read-only file system; choose another folder",
    )


def test_a_disk_that_becomes_read_only(disk: Path, source: Path, expected: dict[str, bytes]) -> None:
    remount(disk, "size=200m")
    output = disk / "corpus"
    process = start(source, output)
    wait_for(lambda: at_work(output), process)
    # A disk with files open for writing cannot be remounted so; a folder can be bound read-only over itself.
    subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
    process.kill()
    process.communicate()
    subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
    try:
        code, told = ended(start(source, output))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    assert code == 1
    assert "cannot be written: Read-only file system" in told
    assert "Traceback" not in told
    code, told = ended(start(source, output))
    assert code == 0, told
    assert tables(output) == expected


def test_two_runs_into_one_folder(tmp_path: Path, source: Path, expected: dict[str, bytes]) -> None:
    output = tmp_path / "corpus"
    first = start(source, output)
    wait_for(lambda: at_work(output), first)
    with stopped(first):  # so that it is still there when the second comes
        code, told = ended(start(source, output))
    assert code == 1
    assert str(output) in told
    assert "another run" in told
    assert "Traceback" not in told
    code, told = ended(first)
    assert code == 0, told
    assert tables(output) == expected


def test_a_worker_that_memory_runs_out_for(tmp_path: Path, source: Path, expected: dict[str, bytes]) -> None:
    output = tmp_path / "corpus"
    process = start(source, output)
    wait_for(lambda: at_work(output), process)
    os.kill(workers_of(process)[0], signal.SIGKILL)  # as the kernel does
    code, told = ended(process)
    assert code == 1
    assert "its worker was killed by SIGKILL, often because memory ran out: use fewer workers" in told
    assert "run the same command again and it goes on from there" in told
    assert "Traceback" not in told
    code, told = ended(start(source, output, workers=1))
    assert code == 0, told
    assert tables(output) == expected


def test_input_that_changed_since_is_read_again(tmp_path: Path, source: Path, expected: dict[str, bytes]) -> None:
    shutil.copytree(source, tmp_path / "source")
    output = tmp_path / "corpus"
    process = start(tmp_path / "source", output)
    wait_for(lambda: at_work(output), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (tmp_path / "source" / "2.jsonl").unlink()
    code, told = ended(start(tmp_path / "source", output))
    assert code == 0, told
    assert tables(output) != expected
    alone = tmp_path / "alone"
    assert ended(start(tmp_path / "source", alone))[0] == 0
    assert tables(output) == tables(alone)
