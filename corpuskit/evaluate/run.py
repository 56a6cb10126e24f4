"""An evaluation: a system, tasks and seeds in; answers, gold and scores in a folder out.

Each run of a seed is put down as it is done, and an interrupted evaluation goes on with the next.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from corpuskit import runs
from corpuskit.energy import Meter, Processors, added
from corpuskit.evaluate import results, statistics, tasks
from corpuskit.evaluate.protocol import Protocol as Rules
from corpuskit.evaluate.records import Answer, Document, Outcome, Span, Split, TaskError
from corpuskit.evaluate.results import TOOL
from corpuskit.evaluate.scorers import Score
from corpuskit.evaluate.scoring import Scored, check, headline, scored, units
from corpuskit.evaluate.tasks import Data, Task

#: What may change an answer, beside what every run depends on.
_PACKAGES = ("torch", "transformers", "tokenizers")

Line = dict[str, Any]
Tell = Callable[[Line], None]


class System(Protocol):
    """What can be evaluated: a model that is fine-tuned, one that is asked, or a rule."""

    #: What JSON can hold: `name`, `kind`, `parameters`, `bytes`, and all that decides what it answers.
    told: dict[str, Any]

    def run(self, task: Task, data: Data, protocol: Rules, seed: int, tell: Tell) -> Outcome:
        """Learn from train and dev, and answer test."""
        ...

    def by_chance(self, task: Task) -> bool:
        """Whether another seed may give other answers."""
        ...

    def tokens(self, documents: Sequence[Document]) -> list[list[Span]] | None:
        """What it reads of each text, where it has a say in that."""
        ...

    def meter(self) -> Meter | Processors:
        """What counts its energy, from now on."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A finished evaluation: its folder, its manifest, and False when the folder already held this very one."""

    output: Path
    manifest: dict[str, Any]
    worked: bool


def evaluate(
    system: System,
    wanted: Sequence[Task],
    data: str | Path,
    output: str | Path,
    *,
    protocol: Rules,
    seeds: Sequence[int] = (),
    limit: int | None = None,
    overwrite: bool = False,
    tell: Tell = lambda line: None,
) -> Evaluated:
    """Evaluate a system, or go on with an evaluation that was interrupted.

    Args:
        system: what is evaluated.
        wanted: the tasks.
        data: folder of their data.
        output: folder to write.
        protocol: of fine-tuning and scoring.
        seeds: of the runs; as many as the protocol says unless given, and one where chance plays no part.
        limit: the most documents of test, drawn by a hash of their ids.
        overwrite: replace another evaluation in the folder.
        tell: called with lines of progress, each with its `kind`, and `task` and `seed` where it is about a run.

    Raises:
        TaskError: a task, its data, the system or the folder cannot be used; the message says what to do.
    """
    output, started = Path(output).absolute(), runs.now()
    if twice := next((task.name for task in wanted if sum(one.name == task.name for one in wanted) > 1), None):
        raise TaskError(f"the task {twice} is given twice")
    for task in wanted:
        check(task, protocol)
    read = {task.name: _limited(tasks.read(task, data), limit) for task in wanted}
    wanted = [_labelled(task, read[task.name]) for task in wanted]
    counted = (
        {name: system.tokens(one.test.documents) for name, one in read.items()} if protocol.count == "tokens" else {}
    )
    chosen = list(seeds) or list(range(1, protocol.seeds + 1))
    told: dict[str, Any] = {
        "system": runs.public(system.told),
        "protocol": protocol.model_dump(mode="json"),
        "seeds": chosen,
        "limit": limit,
        "tasks": [
            {
                "task": runs.public(task.model_dump(mode="json")),
                "documents": {part: len(split.documents) for part, split in read[task.name].parts.items()},
                "counted": {part: dict(split.counted) for part, split in read[task.name].parts.items()},
            }
            for task in wanted
        ],
        "versions": runs.versions(*_PACKAGES),
    }
    fingerprint = runs.fingerprint(TOOL, told, [_content(one) for one in read.values()])
    try:
        if (finished := runs.done_before(output, fingerprint, overwrite, TOOL)) is not None:
            return Evaluated(output, finished, worked=False)
        with runs.working(output, fingerprint) as work:
            fresh = work / "output"
            shutil.rmtree(fresh, ignore_errors=True)
            spent = list[dict[str, Any]]()
            for task, entry in zip(wanted, told["tasks"], strict=True):
                one = read[task.name]
                which = chosen if system.by_chance(task) else chosen[:1]
                parts = [_run(system, task, one, protocol, seed, work / "runs" / task.name, tell) for seed in which]
                entry |= _write(fresh / task.name, task, protocol, one, parts, counted.get(task.name))
                spent += [part.told["energy"] for part in parts]
            manifest = {
                "tool": TOOL,
                "fingerprint": fingerprint,
                "name": system.told["name"],
                "started": started,
                "finished": runs.now(),
                **told,
                "energy": added(spent),
                "machine": runs.machine(),
            }
            runs.write_json(fresh / runs.MANIFEST, manifest)
            runs.publish(fresh, output)
            shutil.rmtree(work)
    except runs.RunError as error:
        raise TaskError(str(error)) from None
    except OSError as error:
        place, why = error.filename or output, error.strerror or str(error)
        raise TaskError(f"{place}: {why}. What is done is kept: the same command goes on from there") from None
    return Evaluated(output, manifest, worked=True)


def _labelled(task: Task, data: Data) -> Task:
    """The task with the labels of train where it lists none, so that all systems are scored over the same ones."""
    known = task.labels or task.kind != "labels"
    return task if known else task.model_copy(update={"labels": dict.fromkeys(data.labels, "")})


def _limited(data: Data, limit: int | None) -> Data:
    """The same with at most so many documents of test, always the same ones."""
    documents = data.test.documents
    if limit is None or limit >= len(documents):
        return data
    drawn = sorted(documents, key=lambda document: xxhash.xxh3_64_intdigest(document.id))[:limit]
    names = {document.id for document in drawn}
    return replace(data, test=Split(tuple(one for one in documents if one.id in names), data.test.counted))


def _content(data: Data) -> str:
    """A hash of all that is read of a task's documents."""
    return runs.fingerprint(
        {part: orjson.loads(_rows(split.documents)) for part, split in data.parts.items()}, data.labels
    )


def _rows(documents: Sequence[Document]) -> bytes:
    return orjson.dumps([replace(document, where="") for document in documents])


@dataclass(frozen=True, slots=True)
class _Part:
    """A run of a seed."""

    seed: int
    answers: dict[str, Answer]
    told: dict[str, Any]


def _run(system: System, task: Task, data: Data, protocol: Rules, seed: int, folder: Path, tell: Tell) -> _Part:
    """A run, or what an earlier try has put down of it."""
    folder.mkdir(parents=True, exist_ok=True)
    table, log = folder / f"seed-{seed}.parquet", folder / f"seed-{seed}.json"
    if not _whole(table, log):
        tell({"kind": "run", "task": task.name, "seed": seed})
        meter = system.meter()
        outcome = system.run(task, data, protocol, seed, lambda line: tell({"task": task.name, "seed": seed} | line))
        told = {"seed": seed} | dict(outcome.told) | _spent(meter, outcome.told)
        answers = {document.id: outcome.answers[document.id] for document in data.test.documents}
        partial = table.with_suffix(".partial")
        pq.write_table(results.predictions_table(seed, answers), partial)
        partial.replace(table)
        runs.write_json(log, told)
    answers = {row["id"]: results.answer_of(row) for row in pq.read_table(table).to_pylist()}
    return _Part(seed, answers, orjson.loads(log.read_bytes()))


def _whole(table: Path, log: Path) -> bool:
    """Whether an earlier try has put down a run, whose log comes last, and all of it can be read."""
    try:
        orjson.loads(log.read_bytes())
        pq.read_table(table)
    except (OSError, orjson.JSONDecodeError, pa.ArrowException):
        return False
    return True


def _spent(meter: Meter | Processors, told: Mapping[str, Any]) -> dict[str, Any]:
    """The energy of a run, and what of it goes to its answers: by their share of the time."""
    energy = meter.read()
    training, answering = (float(told.get(f"{name}_seconds") or 0) for name in ("training", "prediction"))
    share = answering / (training + answering) if training + answering else 0.0
    return {"energy": energy.told, "prediction_kwh": None if energy.kwh is None else round(energy.kwh * share, 9)}


def _write(
    folder: Path,
    task: Task,
    protocol: Rules,
    data: Data,
    parts: Sequence[_Part],
    tokens: Sequence[Sequence[Span]] | None,
) -> dict[str, Any]:
    """The files of a task; gives what the manifest tells of it."""
    folder.mkdir(parents=True)
    documents = data.test.documents
    each = [scored(task, protocol, documents, part.answers, tokens) for part in parts]
    pq.write_table(results.gold_table(documents, tokens), folder / "gold.parquet")
    tables = [results.predictions_table(part.seed, part.answers) for part in parts]
    pq.write_table(pa.concat_tables(tables), folder / "predictions.parquet")
    tables = [results.examples_table(part.seed, one) for part, one in zip(parts, each, strict=True)]
    pq.write_table(pa.concat_tables(tables), folder / "examples.parquet")
    measures = _figures(protocol, documents, each)
    main = headline(task, protocol)
    told = {
        "headline": main,
        "measures": measures,
        "by_label": _by_label([one.classes for one in each if one.classes is not None]),
        "runs": [part.told for part in parts],
    }
    runs.write_json(folder / "scores.json", told)
    return {"seeds": [part.seed for part in parts], "score": {main: measures[main]}}


def _figures(protocol: Rules, documents: Sequence[Document], each: Sequence[Scored]) -> dict[str, Any]:
    """Each measure over the seeds: mean, standard deviation, interval, and by seed."""
    groups = units(documents)
    found = {}
    for name in each[0].measures:
        seeds = [one.measures[name] for one in each]
        spread = statistics.spread([one.value for one in seeds])
        interval = statistics.bootstrap(
            [one.grouped(groups) for one in seeds], resamples=protocol.resamples, confidence=protocol.confidence
        )
        found[name] = {
            "mean": spread.mean,
            "deviation": spread.deviation,
            "low": interval.low,
            "high": interval.high,
            "by_seed": [one.value for one in seeds],
        }
    return found


def _by_label(each: Sequence[Score]) -> dict[str, Any]:
    """Precision, recall and F1 of each label, mean over the seeds; support is that of the gold."""
    found: dict[str, Any] = {}
    for label in sorted({label for one in each for label in one.classes}):
        of_seeds = [figures for one in each if (figures := one.by_class().get(label)) is not None]
        found[label] = {
            name: sum(getattr(one, name) for one in of_seeds) / len(each) for name in ("precision", "recall", "f1")
        } | {"support": max(one.support for one in of_seeds)}
    return found
