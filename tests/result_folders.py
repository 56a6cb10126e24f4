"""Folders as `corpuskit evaluate` writes them, with predictions made up for a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.records import Answer, Document, Entity, Span
from corpuskit.evaluate.results import TOOL, gold_table, predictions_table
from corpuskit.evaluate.tasks import Task

PROTOCOL = Protocol(name="camembert-bio", steps=20, resamples=200)


def task(name: str = "essai", kind: str = "spans", **more: Any) -> Task:
    """A task; its data is nowhere."""
    told = {
        "title": "Un essai", "source": "made up", "licence": "CC0-1.0", "kind": kind, "name": name,
        "loader": {"format": "brat"}, "parts": {"train": "train", "dev": "dev", "test": "test"},
    }  # fmt: skip
    return Task.model_validate(told | more)


def spans(text: str, *found: tuple[str, str], moved: int = 0) -> tuple[Entity, ...]:
    """Entities by their words, the first occurrence each; `moved`: their ends are so many characters further."""
    return tuple(
        Entity(((text.index(words), text.index(words) + len(words) + moved),), label) for words, label in found
    )


Asked = tuple[Task, Sequence[Document], Mapping[int, Mapping[str, Answer]]]


def write(
    folder: Path,
    name: str,
    *asked: Asked,
    protocol: Protocol = PROTOCOL,
    runs: Sequence[Mapping[str, Any]] = (),
    tokens: Sequence[Sequence[Span]] | None = None,
    **system: Any,
) -> Path:
    """An evaluation.

    Args:
        folder: to write.
        name: of the system.
        asked: tasks, their documents, and the answers by seed.
        protocol: of all of them.
        runs: what each run told.
        tokens: what it reads of each document, where scorers count that.
        system: more of the system.
    """
    for task, documents, answers in asked:
        (folder / task.name).mkdir(parents=True)
        pq.write_table(gold_table(documents, tokens), folder / task.name / "gold.parquet")
        tables = [predictions_table(seed, some) for seed, some in answers.items()]
        pq.write_table(pa.concat_tables(tables), folder / task.name / "predictions.parquet")
        told = [dict(one) for one in runs] or [{"seed": seed} for seed in answers]
        (folder / task.name / "scores.json").write_bytes(orjson.dumps({"runs": told}))
    manifest = {
        "tool": TOOL,
        "fingerprint": "0123456789abcdef",
        "name": name,
        "system": {"name": name, "kind": "encoder", "parameters": None, "bytes": None} | system,
        "protocol": protocol.model_dump(mode="json"),
        "tasks": [{"task": task.model_dump(mode="json")} for task, _, _ in asked],
    }
    (folder / "manifest.json").write_bytes(orjson.dumps(manifest))
    return folder
