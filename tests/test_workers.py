"""Workers: forked where nothing but imports has happened, and never there longer than who started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from corpuskit import workers


def answer(connection: Connection, *names: str) -> None:
    connection.send([os.getcwd(), *(os.environ.get(name) for name in names)])


def imported(connection: Connection, module: str) -> None:
    connection.send(module in sys.modules)


def leave(connection: Connection, code: int) -> None:
    sys.exit(code)


def fail(connection: Connection) -> None:
    raise ValueError("no such thing")


def speak(connection: Connection) -> None:
    print("said by a worker")


def sleep(connection: Connection) -> None:
    connection.send("there")
    time.sleep(600)


def test_a_worker_sees_the_folder_and_the_environment_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("before", "after"):
        monkeypatch.setenv("CORPUSKIT_TEST", value)
        folder = tmp_path / value
        folder.mkdir()
        monkeypatch.chdir(folder)
        worker = workers.start(answer, "CORPUSKIT_TEST")
        assert worker.connection.recv() == [str(folder), value]
        assert worker.wait() == 0


def test_what_is_imported_here_is_there_without_importing(tmp_path: Path) -> None:
    import corpuskit.dedup.near  # noqa: F401

    worker = workers.start(imported, "corpuskit.dedup.near")
    assert worker.connection.recv() is True
    worker.end()


@pytest.mark.parametrize(
    ("work", "arguments", "code"),
    [(speak, (), 0), (leave, (7,), 7), (fail, (), 1), (sleep, (), -signal.SIGKILL)],
)
def test_how_it_ended(work: Callable[..., None], arguments: tuple[int, ...], code: int) -> None:
    worker = workers.start(work, *arguments)
    if work is sleep:
        assert worker.connection.recv() == "there"
        os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait() == code
    assert worker.wait() == code  # asked again
    worker.end()


def test_what_it_says_is_said_where_this_process_speaks_now(capfd: pytest.CaptureFixture[str]) -> None:
    workers.start(speak).wait()
    assert capfd.readouterr().out == "said by a worker\n"
    workers.start(fail).wait()
    assert "ValueError: no such thing" in capfd.readouterr().err


def test_they_are_started_from_several_threads_at_once() -> None:
    found: list[int] = []

    def one() -> None:
        worker = workers.start(leave, 3)
        found.append(worker.wait())

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [3] * 8


def test_a_nursery_that_was_killed_takes_its_workers_along_and_is_replaced() -> None:
    worker = workers.start(sleep)
    assert worker.connection.recv() == "there"
    nursery = int(Path(f"/proc/{worker.pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])
    os.kill(nursery, signal.SIGKILL)
    with pytest.raises(EOFError):  # its end of the connection is closed: it is gone
        worker.connection.recv()
    assert worker.wait() == -signal.SIGKILL
    assert workers.start(leave, 5).wait() == 5


_DRIVER = """
import sys, time
sys.path.insert(0, {folder!r})
from test_workers import sleep
from corpuskit import workers
worker = workers.start(sleep)
worker.connection.recv()
print(worker.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_they_end_with_who_started_them(sent: int) -> None:
    code = _DRIVER.format(folder=str(Path(__file__).parent))
    listen = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    driver = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=listen
    )
    assert driver.stdout is not None
    pid = int(driver.stdout.readline())
    driver.send_signal(sent)
    driver.wait(60)
    end = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][:1]:
        assert time.monotonic() < end, "the worker is still there"
        time.sleep(0.02)
