"""What an evaluation leaves in its folder, and how it is read again.

``TASK/gold.parquet`` and ``TASK/predictions.parquet`` hold all that scores are computed from: any other rule can be
applied to them later. ``TASK/examples.parquet`` tells what each document adds to each measure, ``TASK/scores.json``
the figures, and ``manifest.json``, written last, what was run and what it took.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from corpuskit import runs
from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.records import Answer, Document, Entity, Span, TaskError
from corpuskit.evaluate.scoring import Scored
from corpuskit.evaluate.tasks import Task

#: What a manifest says wrote it.
TOOL = "corpuskit evaluate"

_SPANS = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32())]))
_ENTITIES = pa.list_(pa.struct([("spans", _SPANS), ("label", pa.string())]))

#: The documents of test as annotated.
GOLD = pa.schema(
    [
        ("id", pa.string()),
        ("group", pa.string()),
        ("text", pa.string()),
        ("entities", _ENTITIES),
        ("labels", pa.list_(pa.string())),
        ("choices", pa.list_(pa.struct([("name", pa.string()), ("wording", pa.string())]))),
        ("focus", pa.struct([("start", pa.int32()), ("end", pa.int32())])),
        # Where scorers of tokens do not count words but what the model reads.
        ("tokens", _SPANS),
        ("where", pa.string()),
    ]
)
#: What a system said of them in each run.
PREDICTIONS = pa.schema(
    [
        ("seed", pa.int64()),
        ("id", pa.string()),
        ("entities", _ENTITIES),
        ("labels", pa.list_(pa.string())),
        ("seconds", pa.float64()),
        ("problem", pa.string()),
    ]
)
#: What each document adds to a measure: `above` and `below` the line, summed over classes, and its own value.
EXAMPLES = pa.schema(
    [
        ("seed", pa.int64()),
        ("id", pa.string()),
        ("measure", pa.string()),
        ("above", pa.float64()),
        ("below", pa.float64()),
        ("value", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a system did on a task.

    Attributes:
        folder: of the evaluation.
        system: what it is: `name`, `kind`, `parameters`, `bytes` and more.
        task: which.
        protocol: by which.
        documents: of test, as annotated.
        tokens: what scorers of tokens count in each document; None: words.
        answers: by seed, then by the document's id.
        runs: what each seed's run took, in the order of `answers`.
    """

    folder: Path
    system: dict[str, Any]
    task: Task
    protocol: Protocol
    documents: tuple[Document, ...]
    tokens: tuple[tuple[Span, ...], ...] | None
    answers: dict[int, dict[str, Answer]]
    runs: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """Of the system."""
        return str(self.system["name"])


def gold_table(documents: Sequence[Document], tokens: Sequence[Sequence[Span]] | None = None) -> pa.Table:
    """Documents as :data:`GOLD`, with the tokens that scorers count where those are not words."""
    counted: Sequence[Sequence[Span] | None] = [None] * len(documents) if tokens is None else tokens
    rows = [
        {
            "id": one.id,
            "group": one.group,
            "text": one.text,
            "entities": _said(one.entities),
            "labels": list(one.labels),
            "choices": [{"name": name, "wording": wording} for name, wording in one.choices],
            "focus": {"start": one.focus[0], "end": one.focus[1]} if one.focus else None,
            "tokens": None if some is None else [{"start": start, "end": end} for start, end in some],
            "where": runs.public(one.where),
        }
        for one, some in zip(documents, counted, strict=True)
    ]
    return pa.Table.from_pylist(rows, GOLD)


def predictions_table(seed: int, answers: Mapping[str, Answer]) -> pa.Table:
    """Answers as :data:`PREDICTIONS`."""
    rows = [
        {
            "seed": seed,
            "id": id,
            "entities": _said(one.entities),
            "labels": list(one.labels),
            "seconds": one.seconds,
            "problem": one.problem,
        }
        for id, one in answers.items()
    ]
    return pa.Table.from_pylist(rows, PREDICTIONS)


def examples_table(seed: int, scored: Scored) -> pa.Table:
    """What each document adds, as :data:`EXAMPLES`."""
    tables = []
    for name, measure in scored.measures.items():
        columns = [
            pa.array([seed] * len(measure.units), pa.int64()),
            pa.array(measure.units),
            pa.array([name] * len(measure.units)),
            pa.array(measure.above.sum(0)),
            pa.array(measure.below.sum(0)),
            pa.array(measure.by_unit, from_pandas=True),
        ]
        tables.append(pa.Table.from_arrays(columns, schema=EXAMPLES))
    return pa.concat_tables(tables)


def _said(entities: Sequence[Entity]) -> list[dict[str, Any]]:
    return [
        {"spans": [{"start": start, "end": end} for start, end in one.spans], "label": one.label} for one in entities
    ]


def read(folder: str | Path) -> list[Result]:
    """The results of an evaluation, a task each, in the order in which they were asked for.

    Raises:
        TaskError: the folder holds none, or not all of it can be read.
    """
    folder = Path(folder)
    manifest = runs.read_manifest(folder)
    if manifest is None or manifest["tool"] != TOOL:
        state = "an evaluation that is not finished" if runs.unfinished(folder) else "no evaluation"
        raise TaskError(f"{folder} holds {state}: give what `corpuskit evaluate --output` wrote")
    try:
        return [_read(folder, manifest, task) for task in manifest["tasks"]]
    except (OSError, pa.ArrowException, KeyError, ValueError, ValidationError) as error:
        first = str(error).strip().partition("\n")[0]
        raise TaskError(f"{folder}: the evaluation cannot be read: {type(error).__name__}: {first}") from None


def _read(folder: Path, manifest: Mapping[str, Any], told: Mapping[str, Any]) -> Result:
    task = Task.model_validate(told["task"])
    place = folder / task.name
    rows = list(_rows(place / "gold.parquet"))
    documents = tuple(_document(row) for row in rows)
    counted = [row["tokens"] for row in rows]
    tokens = None if None in counted else tuple(tuple((one["start"], one["end"]) for one in some) for some in counted)
    answers: dict[int, dict[str, Answer]] = defaultdict(dict)
    for row in _rows(place / "predictions.parquet"):
        answers[row["seed"]][row["id"]] = answer_of(row)
    protocol = Protocol.model_validate(manifest["protocol"])
    runs_told = orjson.loads((place / "scores.json").read_bytes())["runs"]
    return Result(folder, manifest["system"], task, protocol, documents, tokens, dict(answers), runs_told)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(1_000):
            yield from batch.to_pylist()
    except FileNotFoundError:
        raise TaskError(f"{path} is missing: get it, or evaluate again with --overwrite") from None
    except (OSError, pa.ArrowException) as error:
        first = str(error).strip().partition("\n")[0].rstrip(".")
        raise TaskError(f"{path} cannot be read: {first}. Evaluate again with --overwrite") from None


def _document(row: Mapping[str, Any]) -> Document:
    focus = (row["focus"]["start"], row["focus"]["end"]) if row["focus"] else None
    choices = tuple((one["name"], one["wording"]) for one in row["choices"])
    return Document(
        row["id"], row["text"], _entities(row["entities"]), row["group"], tuple(row["labels"]), choices, focus,
        row["where"],
    )  # fmt: skip


def answer_of(row: Mapping[str, Any]) -> Answer:
    """An answer from a row of :data:`PREDICTIONS`."""
    return Answer(_entities(row["entities"]), tuple(row["labels"]), row["seconds"], row["problem"])


def _entities(told: Sequence[Mapping[str, Any]]) -> tuple[Entity, ...]:
    return tuple(Entity(tuple((span["start"], span["end"]) for span in one["spans"]), one["label"]) for one in told)


def figure(value: float | None) -> str:
    """A share as people write it: in per cent, to two digits."""
    return "" if value is None or math.isnan(value) else f"{100 * value:.2f}"
