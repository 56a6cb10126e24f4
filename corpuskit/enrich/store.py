"""The store: every answer that was paid for, kept for good.

A folder of JSON lines. One line is one attempt at one question; a question is named by the hash of all that may
change its answer (the paragraph's text, the prompt, the model and its revision, the sampling parameters). Lines are
only ever appended, each process to a file of its own, and committed by fsync every few seconds: after a crash what
was committed is there, and at most one interval is asked again. A store can serve many runs.
"""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from corpuskit.enrich.annotations import OUTCOMES, Outcome

#: How a line begins: the key and the outcome stand in fixed places.
_KEY, _OUTCOME = len('{"key":"'), len('{"key":"') + 32 + len('","outcome":"')
_LINE = np.dtype([("key", "S16"), ("file", "i4"), ("outcome", "i1"), ("at", "i8"), ("size", "i4")])


class StoreError(Exception):
    """A store that cannot be read or written; the message says why and what to do."""


@dataclass(slots=True)
class Attempt:
    """One attempt at one question, as a line of the store."""

    #: Hash of the question, 32 hexadecimal digits.
    key: str
    outcome: Outcome
    #: The paragraph it was first asked about.
    id: str = ""
    answer: dict[str, Any] = field(default_factory=dict)
    soft: dict[str, list[float]] = field(default_factory=dict)
    #: Why there is no answer.
    detail: str = ""
    #: What the model wrote, where it is no answer.
    written: str = ""
    #: Tokens of the question, of the answer, and of the question those that were cached.
    tokens: tuple[int, int, int] = (0, 0, 0)
    seconds: float = 0.0
    #: Hash of what was asked with (see ``asked/`` of the store).
    asked: str = ""


class Writer:
    """Appends attempts to a file of its own in a store; commits every ``interval`` seconds or ``rows`` rows.

    Attributes:
        committed: how many attempts are safe on disk.
        session: what this process did, kept beside its file: a free dictionary, written at each commit.
    """

    def __init__(self, folder: Path, interval: float = 2.0, rows: int = 2_000) -> None:
        self.interval, self.rows = interval, rows
        self.committed = 0
        self.session: dict[str, Any] = {}
        self._waiting: list[bytes] = []
        self._due = time.monotonic() + interval
        # The order of the names is that of time: of two attempts the latest is the one in the later file.
        began = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        name = f"{began}-{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path = folder / f"{name}.jsonl"
            self._file = open(self.path, "xb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise StoreError(f"{folder} cannot be written: {error.strerror}; choose another folder") from None

    def append(self, attempt: Attempt) -> None:
        """Keep an attempt; committed with the next commit."""
        line = {"key": attempt.key, "outcome": attempt.outcome, "id": attempt.id, "tokens": attempt.tokens,
                "seconds": round(attempt.seconds, 3), "asked": attempt.asked}  # fmt: skip
        for name in ("answer", "soft", "detail", "written"):
            if value := getattr(attempt, name):
                line[name] = value
        try:
            self._waiting.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        except TypeError:  # a lone surrogate, which no UTF-8 can hold
            text = {name: str(line.get(name, "")).encode("utf-8", "replace").decode() for name in ("detail", "written")}
            self._waiting.append(orjson.dumps(line | text, option=orjson.OPT_APPEND_NEWLINE))

    @property
    def due(self) -> bool:
        """Whether it is time to commit."""
        return bool(self._waiting) and (len(self._waiting) >= self.rows or time.monotonic() >= self._due)

    def take(self) -> list[bytes]:
        """What waits to be committed; it must be given to :meth:`commit` next."""
        waiting, self._waiting = self._waiting, []
        self._due = time.monotonic() + self.interval
        return waiting

    def commit(self, lines: list[bytes] | None = None) -> None:
        """Write and fsync, whole lines or none; may run in a thread while more is appended.

        Raises:
            StoreError: the disk is full or fails; what was committed earlier is kept.
        """
        lines = self.take() if lines is None else lines
        if not lines:
            return
        before = self._file.tell()
        try:
            content = memoryview(b"".join(lines))
            while content:
                content = content[self._file.write(content) :]
            os.fsync(self._file.fileno())
            self.committed += len(lines)
            partial = self.path.with_suffix(".partial")
            partial.write_bytes(orjson.dumps(self.session))
            partial.replace(self.path.with_suffix(".session"))
        except OSError as error:
            self._file.truncate(before)
            self._file.seek(before)
            raise StoreError(
                f"{self.path}: {error.strerror}; make room and run the same command again: "
                f"{self.committed:,} answers of this run are kept, {len(lines):,} were lost"
            ) from None

    def close(self) -> None:
        """Commit what waits, and end."""
        try:
            self.commit()
        finally:
            self._file.close()
            if not self.committed:
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Store:
    """What was answered so far: an index of keys (37 bytes a line), and the lines on disk.

    The state is that of the moment of opening.

    Attributes:
        damaged: lines that cannot be read, left out: the end of a file whose writer was killed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged = 0
        self.files = sorted(folder.glob("*.jsonl"))
        lines = [self._scan(number, path) for number, path in enumerate(self.files)]
        found = np.concatenate([*lines, np.empty(0, _LINE)])
        # Of several attempts at one question an answer counts, else the latest.
        rank = (found["outcome"] == OUTCOMES.index("ok")).astype("i1")
        order = np.lexsort((found["at"], found["file"], rank, found["key"]))
        found = found[order]
        last = np.append(found["key"][1:] != found["key"][:-1], True) if len(found) else np.empty(0, bool)
        #: The attempts in all, those replaced by a later one among them.
        self.attempts = len(found)
        self._index = found[last]
        self._open: dict[int, BinaryIO] = {}

    def _scan(self, number: int, path: Path) -> NDArray[Any]:
        codes = {outcome.encode(): code for code, outcome in enumerate(OUTCOMES)}
        parts, found, at = [], list[tuple[bytes, int, int, int, int]](), 0
        with open(path, "rb") as lines:
            for line in lines:
                try:
                    key = bytes.fromhex(line[_KEY : _KEY + 32].decode())
                    outcome = codes[line[_OUTCOME : line.index(b'"', _OUTCOME)]]
                    if len(key) != 16 or not line.endswith(b"}\n"):
                        raise ValueError(line)
                    found.append((key, number, outcome, at, len(line)))
                except (ValueError, KeyError):
                    self.damaged += 1
                at += len(line)
                if len(found) >= 50_000:  # tuples take ten times the room
                    parts.append(np.array(found, _LINE))
                    found.clear()
        return np.concatenate([*parts, np.array(found, _LINE)])

    def __len__(self) -> int:
        return len(self._index)

    def places(self, keys: NDArray[Any]) -> NDArray[np.int64]:
        """The place of each key (16 bytes) in the store, -1 for one that is not there."""
        if not len(self._index):
            return np.full(len(keys), -1)
        places = np.searchsorted(self._index["key"], keys).clip(max=len(self._index) - 1)
        return np.where(self._index["key"][places] == keys, places, -1)

    def outcomes(self, places: NDArray[np.int64]) -> NDArray[np.int8]:
        """The outcome at each place, as its number in ``OUTCOMES``, -1 where there is none."""
        if not len(self._index):
            return np.full(len(places), -1, np.int8)
        return np.where(places >= 0, self._index["outcome"][places], -1).astype(np.int8)

    def read(self, place: int) -> Attempt:
        """The attempt at a place."""
        line = self._index[place]
        number = int(line["file"])
        if number not in self._open:
            # Not mapped: pages that were read would count as this process's memory.
            self._open[number] = open(self.files[number], "rb", buffering=0)  # noqa: SIM115
        told = orjson.loads(os.pread(self._open[number].fileno(), int(line["size"]), int(line["at"])))
        return Attempt(**told | {"tokens": tuple(told["tokens"])})

    @staticmethod
    def sessions(folder: Path) -> Iterator[dict[str, Any]]:
        """What each process did that wrote to a store, the earliest first."""
        for path in sorted(folder.glob("*.session")):
            yield orjson.loads(path.read_bytes())
