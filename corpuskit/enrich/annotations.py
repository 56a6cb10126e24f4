"""The annotation table: one row a paragraph, whoever answered — a model, a person, a student.

Its columns follow from the prompt, which travels in the schema's metadata: an annotation folder tells by itself
what was asked, what the labels mean and who answered.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pydantic import ValidationError

from corpuskit.enrich.prompts import Answer, Prompt, ScoreField, SpansField, columns

#: What became of a question. Only `ok` carries an answer; nothing else is ever turned into one.
Outcome = Literal["ok", "invalid", "truncated", "refused", "error"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

#: The folder of the table inside the folder that a command writes.
FOLDER = "annotations"
_PROMPT, _ANNOTATOR = b"corpuskit.prompt", b"corpuskit.annotator"
_WORD = re.compile(r"[^\W_]+")


class AnnotationsError(Exception):
    """A table of annotations that cannot be used; the message says why and what to do."""


class Annotator(NamedTuple):
    """Who answered: its kind, its name (a model's, a person's) and its version."""

    kind: Literal["model", "person", "student"]
    name: str
    revision: str = ""


@dataclass(slots=True)
class Annotation:
    """One paragraph and what was answered about it."""

    id: str
    article_id: str
    source: str = ""
    text: str = ""
    outcome: Outcome = "ok"
    #: Why there is no answer, "" when there is one.
    detail: str = ""
    answer: Answer = field(default_factory=dict)
    #: The probability of each class of a field, in the order of its ``classes``.
    soft: Mapping[str, Sequence[float]] = field(default_factory=dict)


def schema(prompt: Prompt, annotator: Annotator) -> pa.Schema:
    """The columns of the annotations that a prompt asks for.

    The answer to a field stands in the column of its name. Beside it, where they are known: `FIELD_probabilities`
    (of its classes, in their order) and `FIELD_entropy` (in bits); of a score `FIELD_expected`, the mean of its
    distribution; of passages `FIELD_density`, the share of the paragraph's words inside one.
    """
    fields = [
        _column("id", pa.string(), "`id` in the paragraph table"),
        _column("article_id", pa.string(), "`id` in the article table"),
        _column("source", pa.string(), "the source of the paragraph"),
        _column("text", pa.large_string(), "the paragraph, as it was shown; null where it is not kept"),
        _column("outcome", pa.string(), "one of " + ", ".join(f"`{one}`" for one in OUTCOMES)),
        _column("detail", pa.string(), "why there is no answer"),
    ]
    for column in columns(prompt):
        asked = prompt.fields[column.name]
        fields.append(_column(column.name, column.type, asked.definition))
        if isinstance(asked, SpansField):
            told = "share of the words that stand inside a passage"
            fields.append(_column(f"{column.name}_density", pa.float32(), told))
            continue
        told = f"probability of {', '.join(asked.classes)}"
        fields.append(_column(f"{column.name}_probabilities", pa.list_(pa.float32()), told))
        fields.append(_column(f"{column.name}_entropy", pa.float32(), "entropy of the distribution, in bits"))
        if isinstance(asked, ScoreField):
            fields.append(_column(f"{column.name}_expected", pa.float32(), "mean of the distribution"))
    metadata = {_PROMPT: prompt.model_dump_json(), _ANNOTATOR: json.dumps(annotator._asdict())}
    return pa.schema(fields, metadata=metadata)


def _column(name: str, type: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, type, nullable=True, metadata={"description": description})


def row(prompt: Prompt, annotation: Annotation) -> dict[str, Any]:
    """A row of the table, with what follows from the answer and its distribution."""
    found: dict[str, Any] = {
        "id": annotation.id,
        "article_id": annotation.article_id,
        "source": annotation.source or None,
        "text": annotation.text or None,
        "outcome": annotation.outcome,
        "detail": annotation.detail or None,
    }
    if annotation.outcome != "ok":
        return found
    for name, asked in prompt.fields.items():
        if name not in annotation.answer:  # a person may leave a field open
            continue
        value = found[name] = annotation.answer[name]
        if isinstance(asked, SpansField):
            found[f"{name}_density"] = density(annotation.text, value) if annotation.text else None  # type: ignore[arg-type]
        elif probabilities := annotation.soft.get(name):
            found[f"{name}_probabilities"] = list(probabilities)
            found[f"{name}_entropy"] = entropy(probabilities)
            if isinstance(asked, ScoreField):
                found[f"{name}_expected"] = expected(asked, probabilities)
    return found


def entropy(probabilities: Sequence[float]) -> float:
    """The entropy of a distribution, in bits."""
    return -sum(share * math.log2(share) for share in probabilities if share > 0) + 0.0


def expected(asked: ScoreField, probabilities: Sequence[float]) -> float:
    """The mean of a distribution over the scores of a field."""
    return sum(score * share for score, share in enumerate(probabilities, start=asked.least))


def density(text: str, passages: Sequence[str]) -> float:
    """The share of the words of a text that stand inside one of the passages, case aside."""
    text = text.casefold()
    inside: set[int] = set()
    for passage in passages:
        needle = passage.casefold()
        start = text.find(needle) if needle else -1
        while start >= 0:
            inside.update(range(start, start + len(needle)))
            start = text.find(needle, start + len(needle))
    words = [word.start() for word in _WORD.finditer(text)]
    return sum(start in inside for start in words) / len(words) if words else 0.0


def tables(prompt: Prompt, annotator: Annotator, annotations: Iterable[Annotation]) -> Iterator[pa.Table]:
    """The annotations as tables of a few thousand rows; of none, one table without rows."""
    wanted, rows = schema(prompt, annotator), (row(prompt, annotation) for annotation in annotations)
    some = list(islice(rows, 2_000))
    yield pa.Table.from_pylist(some, schema=wanted)
    while some := list(islice(rows, 2_000)):
        yield pa.Table.from_pylist(some, schema=wanted)


def write(output: Path, found: Iterable[pa.Table], rows_per_shard: int = 200_000) -> int:
    """Write the table under ``output``, whole or not at all; one that is there already is replaced.

    Args:
        output: the folder of the command.
        found: the rows, all with the schema of :func:`schema`; at least one table.
        rows_per_shard: after as many rows the next file begins, with the next table.

    Returns:
        The number of rows.
    """
    partial, target = output / f".{FOLDER}.partial", output / FOLDER
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    written, room, shards, writer = 0, 0, 0, None
    try:
        for table in found:
            if writer is None or room <= 0:
                if writer is not None:
                    writer.close()
                path = partial / f"{shards:05d}.parquet"
                writer, room, shards = (
                    pq.ParquetWriter(path, table.schema, compression="zstd"),
                    rows_per_shard,
                    shards + 1,
                )
            writer.write_table(table)
            written, room = written + len(table), room - len(table)
    finally:
        if writer is not None:
            writer.close()
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return written


@dataclass(frozen=True, slots=True)
class Annotations:
    """A table of annotations on disk."""

    path: Path
    prompt: Prompt
    annotator: Annotator
    dataset: ds.Dataset

    def table(self, columns: Sequence[str] | None = None, answered: bool = True) -> pa.Table:
        """The rows, in their order.

        Args:
            columns: only these.
            answered: only those with an answer.
        """
        kept = ds.field("outcome") == "ok" if answered else None
        return self.dataset.to_table(columns=list(columns) if columns else None, filter=kept)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows with an answer, a batch at a time."""
        return iter(
            self.dataset.to_batches(columns=list(columns) if columns else None, filter=ds.field("outcome") == "ok")
        )


def read(path: str | Path) -> Annotations:
    """Open annotations: the folder that a command wrote, the table in it, or one Parquet file.

    Raises:
        AnnotationsError: there are none, or corpuskit did not write them.
    """
    path = Path(path)
    folder = path / FOLDER if (path / FOLDER).is_dir() else path
    files = [folder] if folder.is_file() else sorted(folder.glob("*.parquet"))
    if not files:
        raise AnnotationsError(f"{path} holds no annotations: give a folder that `corpuskit enrich` or `label` wrote")
    try:
        dataset = ds.dataset([str(file) for file in files], format="parquet")
    except (pa.ArrowInvalid, OSError) as error:
        raise AnnotationsError(f"{path} cannot be read: {error}") from None
    metadata = dataset.schema.metadata or {}
    try:
        prompt = Prompt.model_validate_json(metadata[_PROMPT])
        annotator = Annotator(**json.loads(metadata[_ANNOTATOR]))
    except (KeyError, TypeError, ValueError, ValidationError):
        raise AnnotationsError(f"{path} is no table of annotations: its schema does not say what was asked") from None
    return Annotations(path, prompt, annotator, dataset)
