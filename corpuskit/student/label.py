"""Labelling: a student over all paragraphs of a corpus, as a datatrove step.

The tasks are ranges of row groups of the input, the same however many workers there are; each writes one file of the
table of annotations, whole or not at all. So the output is the same bytes under any executor, and a run that was
killed goes on where it stopped.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from corpuskit import energy, runs
from corpuskit.enrich.annotations import FOLDER, schema
from corpuskit.executors import Execution, run_tasks
from corpuskit.files import InputFile
from corpuskit.paragraphs import read
from corpuskit.student import store
from corpuskit.student.heads import Head, StudentError, softmax
from corpuskit.student.store import Card, Student

Array = npt.NDArray[Any]

#: Paragraphs read at a time: enough for batches of like lengths, little enough for any memory.
WINDOW = 4_096
#: Paragraphs of a task; one ends with the row group that reaches them.
TASK = 50_000
EMPTY = "the paragraph has no text"


@dataclass(frozen=True, slots=True)
class Task:
    """Some row groups of one file."""

    file: Path
    groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A finished run: its folder, its manifest, and False when the folder already held this very run."""

    output: Path
    manifest: dict[str, Any]
    worked: bool


class LabelStep(PipelineStep):
    """Label the paragraphs of task *n*, and write them as file *n* of the table.

    Args:
        student: its folder.
        tasks: all of them.
        output: folder of the files.
        counts: folder of what each task counted.
        fingerprint: of the student.
        batch_tokens: of an encoder, the tokens of a batch; its own number unless given.
    """

    name = "Label"
    type = "🏷 - CORPUSKIT"

    def __init__(
        self,
        student: Path,
        tasks: Sequence[Task],
        output: Path,
        counts: Path,
        fingerprint: str,
        batch_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self.student, self.tasks, self.fingerprint, self.batch_tokens = student, tasks, fingerprint, batch_tokens
        self.output, self.counts = output, counts

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        return cast(DocumentsPipeline, self._run(rank))

    def _run(self, rank: int) -> Iterator[Document]:
        stored = store.find(self.student)
        card = stored.card
        student = _loaded(self.student, self.fingerprint, rank % _gpus(card), self.batch_tokens)
        cut, task = student.truncated, self.tasks[rank]
        wanted = schema(card.prompt, stored.annotator(self.fingerprint))
        target = self.output / f"{rank:05d}.parquet"
        partial = target.with_suffix(".partial")
        outcomes = Counter[str]()
        with self.track_time(), _one_thread(card), pq.ParquetWriter(partial, wanted, compression="zstd") as writer:
            for rows in windows(task):
                table = labelled(rows, student, card, wanted)
                outcomes.update(table["outcome"].to_pylist())
                writer.write_table(table)
        partial.replace(target)
        counted = {"outcomes": outcomes, "truncated": student.truncated - cut}
        runs.write_json(self.counts / f"{rank:05d}.json", counted)
        yield from ()


@lru_cache(maxsize=8)
def _loaded(folder: Path, fingerprint: str, place: int, batch_tokens: int | None) -> Student:
    """The student, read once by each process (and GPU)."""
    return store.find(folder).load(place, batch_tokens)


def _gpus(card: Card) -> int:
    """GPUs to share the tasks between, 1 where there are none."""
    if card.kind != "encoder":
        return 1
    import torch

    return max(1, int(torch.cuda.device_count()))


@contextmanager
def _one_thread(card: Card) -> Iterator[None]:
    """Let an encoder compute on one processor: the sums of several depend on their number."""
    if card.kind != "encoder":
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def windows(task: Task) -> Iterator[pa.Table]:
    """The paragraphs of a task, some thousands at a time: `id`, `article_id`, `source`, `text`."""
    wanted = ("id", "article_id", "source", "text")
    for batch in read.file_batches(task.file, wanted, WINDOW, task.groups):
        yield pa.Table.from_batches([batch])


def labelled(rows: pa.Table, student: Student, card: Card, columns: pa.Schema) -> pa.Table:
    """The annotations of some paragraphs, without their texts.

    Args:
        rows: with `id`, `article_id`, `source` and `text`.
        student: what answers.
        card: what `student.json` says of it.
        columns: of :func:`corpuskit.enrich.annotations.schema`.
    """
    texts = rows["text"].to_pylist()
    having = np.fromiter((bool(text) and not text.isspace() for text in texts), np.bool_, len(texts))
    logits = student.logits([text for text, there in zip(texts, having, strict=True) if there])
    places = np.where(having, np.cumsum(having) - 1, 0)
    absent = ~having
    found: dict[str, pa.Array | pa.ChunkedArray] = {
        "id": rows["id"],
        "article_id": rows["article_id"],
        "source": rows["source"],
        "outcome": pc.if_else(pa.array(having), "ok", "error"),
        "detail": pc.if_else(pa.array(absent), pa.scalar(EMPTY), pa.scalar(None, pa.string())),
    }
    for head in card.heads if len(logits) else ():
        own = softmax(logits[:, head.columns], card.temperatures[head.name])
        found |= _columns(head, own[places], absent)
    arrays = [
        found[field.name].cast(field.type) if field.name in found else pa.nulls(len(rows), field.type)
        for field in columns
    ]
    return pa.Table.from_arrays(arrays, schema=columns)


def _columns(head: Head, probabilities: Array, absent: Array) -> dict[str, pa.Array]:
    """The columns of one field, null where ``absent``."""
    if head.kind == "density":
        return {head.column: pa.array(head.mean(probabilities), mask=absent)}
    decided = head.decide(probabilities)
    classes: pa.Array = pa.array(head.classes)
    if head.kind == "score":
        classes = pa.array(np.asarray(head.worth, np.int32))
    elif head.kind == "flag":
        classes = pa.array([True, False])
    size = probabilities.shape[1]
    offsets = pa.array(np.arange(len(probabilities) + 1, dtype=np.int32) * size, mask=np.append(absent, False))
    logs = np.log2(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    found = {
        head.name: classes.take(pa.array(decided, mask=absent)),
        f"{head.name}_probabilities": pa.ListArray.from_arrays(offsets, pa.array(probabilities.ravel(), pa.float32())),
        f"{head.name}_entropy": pa.array(0.0 - (probabilities * logs).sum(axis=1), mask=absent),
    }
    if head.kind == "score":
        found[f"{head.name}_expected"] = pa.array(head.mean(probabilities), mask=absent)
    return found


def tasks(files: Iterable[Path], rows: int = TASK) -> list[Task]:
    """The tasks that files of paragraphs make, by their row groups alone.

    Raises:
        StudentError: a file cannot be read, or has no `id` or `text`.
    """
    found: list[Task] = []
    for file in files:
        try:
            metadata, names = pq.read_metadata(file), pq.read_schema(file).names
        except (pa.ArrowInvalid, OSError) as error:
            raise StudentError(f"{file} cannot be read: {error}") from None
        if missing := [name for name in ("id", "text") if name not in names]:
            raise StudentError(f"{file}: no column {missing[0]!r}; there are {', '.join(names)}")
        groups: list[int] = []
        held = 0
        for number in range(metadata.num_row_groups):
            groups.append(number)
            held += metadata.row_group(number).num_rows
            if held >= rows or number == metadata.num_row_groups - 1:
                found.append(Task(file, tuple(groups)))
                groups, held = [], 0
    return found


def label(
    paragraphs: str | Path,
    student: str | Path,
    output: str | Path,
    execution: Execution | None = None,
    rows_per_task: int = TASK,
    batch_tokens: int | None = None,
    overwrite: bool = False,
) -> Labelled:
    """Label all paragraphs, or go on with a run that was interrupted.

    Args:
        paragraphs: see :func:`corpuskit.paragraphs.read.files`.
        student: folder that :func:`corpuskit.student.distil.distil` wrote.
        output: folder to write; it appears with its parts whole or not at all.
        execution: where tasks run (this machine unless told).
        rows_per_task: paragraphs of a task, and so of a file, at least; of a file of the input that has fewer, those.
        batch_tokens: of an encoder, the tokens of a batch; its own number unless given.
        overwrite: replace another run that is in the folder.

    Raises:
        StudentError: there is no such student, or another run is in the folder.
        corpuskit.paragraphs.read.ParagraphsError: there are no paragraphs.
        corpuskit.executors.TaskFailed: a task raised or died; what was finished is kept.
    """
    output, execution = Path(output).absolute(), execution or Execution()
    stored, files = store.find(Path(student).absolute()), [path.absolute() for path in read.files(paragraphs)]
    planned = tasks(files, rows_per_task)
    if not planned:
        raise StudentError(f"{paragraphs}: not one paragraph there")
    taught = stored.fingerprint
    inputs = runs.describe_all([InputFile(str(path), path.name, path.stat().st_size) for path in files])
    versions = runs.versions()
    fingerprint = runs.fingerprint(taught, inputs, rows_per_task, WINDOW, batch_tokens, versions)
    started = runs.now()
    try:
        if (finished := runs.done_before(output, fingerprint, overwrite, "corpuskit label")) is not None:
            return Labelled(output, finished, worked=False)
        with runs.working(output, fingerprint) as work:
            fresh, counts = work / "output", work / "counts"
            if not (fresh / runs.MANIFEST).exists():
                written = fresh / FOLDER
                written.mkdir(parents=True, exist_ok=True)
                counts.mkdir(exist_ok=True)
                step, begun = (
                    LabelStep(stored.folder, planned, written, counts, taught, batch_tokens),
                    time.perf_counter(),
                )
                done = len(list(counts.glob("*.json")))
                meter = energy.counting(execution, gpus=stored.card.kind == "encoder")
                run_tasks("label", [step], len(planned), work / "logs", execution)
                seconds = time.perf_counter() - begun
                found = _counted(counts)
                manifest = {
                    "tool": "corpuskit label",
                    "fingerprint": fingerprint,
                    "started": started,
                    # Of what this process did, which is not all where it went on with an earlier one's work.
                    "seconds": {"label": round(seconds, 3)},
                    "energy": meter.read().told,
                    "tasks": {"all": len(planned), "done_before": done},
                    "executor": execution.kind,
                    "workers": execution.workers,
                    "student": {"name": stored.card.name, "kind": stored.card.kind, "fingerprint": taught},
                    "before": energy.before(Path(paragraphs), stored.folder),
                    "versions": versions,
                    "machine": runs.machine(),
                    "inputs": [{"source": "paragraphs"} | told for told in inputs],
                    **found,
                    "answers": _answers(written, stored.card),
                    "outputs": runs.describe_folder(fresh),
                }
                runs.write_json(fresh / runs.MANIFEST, manifest)
            runs.publish(fresh, output)
            shutil.rmtree(work)
    except runs.RunError as error:
        raise StudentError(str(error)) from None
    finished = runs.read_manifest(output)
    assert finished is not None
    return Labelled(output, finished, worked=True)


def _counted(counts: Path) -> dict[str, Any]:
    outcomes, truncated = Counter[str](), 0
    for path in sorted(counts.glob("*.json")):
        one = orjson.loads(path.read_bytes())
        outcomes.update(one["outcomes"])
        truncated += one["truncated"]
    return {"paragraphs": sum(outcomes.values()), "outcomes": dict(sorted(outcomes.items())), "truncated": truncated}


def _answers(folder: Path, card: Card) -> dict[str, dict[str, int]]:
    """How often each class was answered, by field."""
    found: dict[str, dict[str, int]] = {}
    heads = [head for head in card.heads if head.kind != "density"]
    for head in heads:
        found[head.name] = dict.fromkeys(head.classes, 0)
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=[head.name for head in heads]) if heads else ():
                for head in heads:
                    for one in pc.value_counts(batch[head.name].drop_null().cast(pa.string())).to_pylist():
                        found[head.name][one["values"]] += one["counts"]
    return found
