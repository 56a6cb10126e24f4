"""Worker processes that are there at once: forked from one that has imported what this one has.

To start Python and import the stages takes a second, longer than many a task. So it is done once, in the nursery: a
process with a single thread, which makes forking safe, that imports and then only forks. What it has imported is in
memory once for all workers. It ends when this process does, and ends them first.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, NoReturn

#: The program of the nursery; the main script is never run again. Its workers show in `ps` as `workers of PID`.
_PROGRAM = "import sys; sys.path[:] = sys.argv[3:]; from corpuskit.workers import _nurse; _nurse(*sys.argv[1:3])"


class Worker:
    """A process that answers what is sent to its ``connection``, until that is closed."""

    def __init__(self, nursery: _Nursery, pid: int, connection: Connection) -> None:
        self._nursery, self.pid, self.connection = nursery, pid, connection
        self._code: int | None = None

    def wait(self) -> int:
        """How it ended: its exit code, or the number of a signal below 0."""
        if self._code is None:
            self._code = self._nursery.wait(self.pid)
        return self._code

    def end(self) -> None:
        """Kill it, with what it may have started itself."""
        if self._code is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait()


class _Nursery:
    """This process's end of the nursery."""

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        self._lock, self.owner = threading.Lock(), os.getpid()
        with theirs:
            command = [sys.executable, "-c", _PROGRAM, f"workers of {self.owner}", str(theirs.fileno()), *sys.path]
            # In a session of its own Ctrl-C reaches only this process, which then ends the workers.
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
        atexit.register(self._close)

    def _close(self) -> None:
        # What the workers used of the processors counts as this process's children's once the nursery is waited for.
        if self.owner == os.getpid():
            self._connection.close()
            self._process.wait()

    @property
    def alive(self) -> bool:
        return self.owner == os.getpid() and self._process.poll() is None

    def start(self, work: Callable[..., object], *arguments: Any) -> Worker:
        """Fork a worker that calls ``work(connection, *arguments)``."""
        ours, theirs = Pipe()
        imported = [name for name in sys.modules if name.startswith("corpuskit.")]
        order = (imported, dict(os.environ), os.getcwd(), list(sys.path), work, arguments)
        with theirs, self._lock:
            self._connection.send(order)
            for descriptor in (theirs.fileno(), 1, 2):
                send_handle(self._connection, descriptor, self._process.pid)
            return Worker(self, self._connection.recv(), ours)

    def wait(self, pid: int) -> int:
        with self._lock:
            try:
                self._connection.send(pid)
                code: int = self._connection.recv()
            except (EOFError, OSError):  # the nursery was killed, and its workers follow
                return -signal.SIGKILL
            return code


_nursery: _Nursery | None = None


def start(work: Callable[..., object], *arguments: Any) -> Worker:
    """Start a worker in the environment and the folder that this process is in now.

    Args:
        work: a function of a module, called with the worker's end of the connection and the arguments.
        arguments: what pickle can send.
    """
    global _nursery
    if _nursery is None or not _nursery.alive:
        _nursery = _Nursery()
    return _nursery.start(work, *arguments)


def _nurse(_: str, descriptor: str) -> None:
    """The life of the nursery."""
    driver, parent, children = Connection(int(descriptor)), os.getppid(), set[int]()
    with suppress(EOFError, OSError):
        while os.getppid() == parent:
            if not driver.poll(0.5):
                continue
            order = driver.recv()
            if isinstance(order, int):
                driver.send(os.waitstatus_to_exitcode(os.waitpid(order, 0)[1]))
                children.discard(order)
                continue
            handles = [recv_handle(driver) for _ in range(3)]
            for name in order[0]:
                with suppress(ImportError):
                    __import__(name)
            pid = os.fork()
            if not pid:
                driver.close()
                _live(handles, *order[1:])
            for handle in handles:
                os.close(handle)
            children.add(pid)
            driver.send(pid)
    for child in children:  # the run that comes after must not meet them
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)


def _live(
    handles: list[int],
    environment: dict[str, str],
    folder: str,
    path: list[str],
    work: Callable[..., object],
    arguments: tuple[Any, ...],
) -> NoReturn:
    """The life of a worker."""
    code = 1
    try:
        os.setsid()
        nursery = os.getppid()
        os.dup2(handles[1], 1)
        os.dup2(handles[2], 2)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.path[:] = path

        def follow() -> None:
            while os.getppid() == nursery:
                time.sleep(0.5)
            os.killpg(0, signal.SIGKILL)

        threading.Thread(target=follow, daemon=True).start()
        work(Connection(handles[0]), *arguments)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
