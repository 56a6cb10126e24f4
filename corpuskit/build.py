"""The build: sources → clean → dedup → paragraphs, as one function."""

from __future__ import annotations

import errno
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import orjson
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from rich.console import Console

from corpuskit import energy, progress, runs
from corpuskit.clean.encoding import EncodingStep
from corpuskit.clean.gopher import GopherStep
from corpuskit.clean.kinds import KindStep
from corpuskit.clean.language import LanguageStep
from corpuskit.clean.mask import MaskStep
from corpuskit.clean.ocr import OcrStep
from corpuskit.clean.quality import QualityStep
from corpuskit.clean.repetition import RepetitionStep
from corpuskit.clean.segment import split_long
from corpuskit.config import BuildConfig, ConfigError
from corpuskit.dedup import contamination, decide, testsets
from corpuskit.dedup.contamination import DecontaminateStep
from corpuskit.dedup.parts import PartWriter
from corpuskit.dedup.testsets import TestSetError
from corpuskit.executors import Execution, release, run_tasks
from corpuskit.paragraphs import collate
from corpuskit.paragraphs.funnel import funnel
from corpuskit.plan import Plan, PlanError, Slice, plan
from corpuskit.records import Article
from corpuskit.sources import sample
from corpuskit.sources.base import SourceReader
from corpuskit.steps import ArticleStep, to_document

_FULL = (errno.ENOSPC, errno.EDQUOT)


class BuildError(Exception):
    """A build that cannot start or that came to nothing; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished build: its folder, its manifest and its accounts."""

    output: Path
    manifest: dict[str, Any]
    funnel: dict[str, Any]
    #: False when the folder already held this very build.
    worked: bool


class Read(PipelineStep):
    """The first step of a build: task *n* of the plan, read, cut into paragraphs, counted."""

    name = "Read"
    type = "📖 - READER"

    def __init__(self, plan: Plan, work: Path) -> None:
        super().__init__()
        self.plan, self.work = plan, work

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        return cast(DocumentsPipeline, self._run(rank))

    def _run(self, rank: int) -> Iterator[Document]:
        reporter = progress.Reporter(self.work / "progress", rank)
        config = self.plan.config
        readers = [source.reader() for source in config.sources]
        read = {reader.source_name: Counter[str]() for reader in readers}
        left = [self.plan.limit] * len(readers)
        for number, part, parts in self.plan.tasks[rank]:
            unit = self.plan.units[number]
            reader = readers[unit.source]
            counts = read[reader.source_name]
            for place, item in reader.read_slice(unit.file, part, parts) if left[unit.source] else ():
                document = to_document(item)
                if isinstance(item, Article):
                    if not sample.chosen(item, config.sample):
                        item.paragraphs.clear()
                        item.mark("select", sample.REASON)
                    split_long(item)
                    document.metadata["key"] = unit.number << 40 | place
                    left[unit.source] -= 1
                    counts["articles"] += 1
                    counts["paragraphs"] += len(item.paragraphs)
                else:
                    counts["quarantined"] += 1
                yield document
                self._tell(reporter, readers, read)
                if not left[unit.source]:
                    break
        self._tell(reporter, readers, read, now=True)
        ignored: dict[str, Counter[str]] = {}
        for reader in readers:
            ignored.setdefault(reader.source_name, Counter()).update(reader.ignored)
        runs.write_json(self.work / "counts" / f"{rank:05d}.json", {"read": read, "ignored": ignored})

    @staticmethod
    def _tell(
        reporter: progress.Reporter, readers: list[SourceReader], read: dict[str, Counter[str]], now: bool = False
    ) -> None:
        count = reporter.count
        count.bytes = sum(reader.bytes_read for reader in readers)
        count.articles, count.paragraphs, count.quarantined = (
            sum(counts[name] for counts in read.values()) for name in ("articles", "paragraphs", "quarantined")
        )
        reporter.tell(now)


def steps(config: BuildConfig, contaminated: Path | None = None) -> list[ArticleStep]:
    """The cleaning steps of a build, in order: what is not wanted first, what costs most last.

    Args:
        config: with their options.
        contaminated: folder for what is found of the test sets.
    """
    clean = config.clean
    kinds: list[tuple[type[ArticleStep], Any]] = [
        (KindStep, clean.kind),
        (EncodingStep, clean.encoding),
        *([(MaskStep, clean.mask)] if clean.mask.kinds else []),
        (LanguageStep, clean.language),
        (OcrStep, clean.ocr),
        (QualityStep, clean.quality),
        (RepetitionStep, clean.repetition),
        *([(GopherStep, clean.gopher)] if clean.gopher else []),
    ]
    found = [step(**options.model_dump()) for step, options in kinds]
    if clean.decontaminate and clean.decontaminate.tests:
        found.append(DecontaminateStep(report=contaminated, **clean.decontaminate.model_dump()))
    return found


def build(
    config: BuildConfig,
    output: str | Path,
    workers: int = 1,
    limit: int = -1,
    overwrite: bool = False,
    log: progress.Log = "auto",
    console: Console | None = None,
    execution: Execution | None = None,
) -> Run:
    """Build the data set, or go on with a build that was interrupted.

    Args:
        config: what to build (:func:`corpuskit.config.load` reads one from a file).
        output: folder to write; it appears with its parts whole or not at all.
        workers: tasks side by side.
        limit: articles to read of each source, -1 for all.
        overwrite: replace another build that is in the folder.
        log: how progress is shown, see :func:`corpuskit.progress.watch`.
        console: where.
        execution: where tasks run (this machine unless told); its ``workers`` win over the argument.

    Returns:
        The finished run. An output folder that holds this very build already is returned as it is.

    Raises:
        BuildError: nothing to read, another build in the folder, no room, or not one paragraph left.
        corpuskit.executors.TaskFailed: a task raised or died; what was finished is kept.
        corpuskit.paragraphs.funnel.Unbalanced: a paragraph was lost, which must not happen.
    """
    output, console = Path(output).absolute(), console or Console(stderr=True)
    execution = execution or Execution(workers=workers)
    try:
        output.mkdir(parents=True, exist_ok=True)
        return _build(config, output, execution, limit, overwrite, log, console)
    except (PlanError, runs.RunError, TestSetError) as error:
        raise BuildError(str(error)) from None
    except OSError as error:
        if error.errno in _FULL:
            raise BuildError(
                f"the disk of {output} is full: make room and run the same command again; it goes on from there"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            where = error.filename or output
            raise BuildError(f"{where} cannot be written: {error.strerror}; choose another folder") from error
        raise


def _build(
    config: BuildConfig,
    output: Path,
    execution: Execution,
    limit: int,
    overwrite: bool,
    log: progress.Log,
    console: Console,
) -> Run:
    started, clock = runs.now(), _Clock()
    meter = energy.counting(execution)
    planned = plan(config, execution.workers, limit)
    inputs = runs.describe_all([unit.file for unit in planned.units])
    tests = _test_sets(config)
    decisive = {
        "config": config.model_dump(mode="json", exclude={"sources": True, "clean": {"decontaminate": {"tests"}}}),
        # A path is where the input is, not what it is: that is in the checksums.
        "sources": [source.model_dump(mode="json") | {"path": None} for source in config.sources],
        "limit": limit,
        "inputs": [[unit.source, told] for unit, told in zip(planned.units, inputs, strict=True)],
        "test_sets": tests,
        "versions": runs.versions(),
    }
    fingerprint = runs.fingerprint(decisive)
    clock.stage("inputs")
    finished = _finished(output)
    if finished is not None:
        if finished.manifest["fingerprint"] == fingerprint and not overwrite:
            runs.tidy(output, fingerprint)
            return _not_empty(finished)
        if not overwrite:
            raise BuildError(
                f"{output} holds another build ({finished.manifest['fingerprint'][:12]}, not {fingerprint[:12]}): "
                "choose another folder, or replace it with --overwrite"
            )
    elif not (output / runs.WORK).exists() and any(output.iterdir()):
        raise BuildError(f"{output} holds something that is no build of corpuskit: choose another folder")

    for test in config.clean.decontaminate.tests if config.clean.decontaminate else ():
        testsets.load(test.name, test.path)  # what cannot be read shows now, and not after hours
    with runs.working(output, fingerprint) as work:
        fresh = work / "output"
        if not (fresh / runs.MANIFEST).exists():
            planned = _same_tasks(planned, work)
            accounts = _run(planned, work, fresh, execution, clock, log, console)
            names = names_of(config)
            manifest = {
                "tool": "corpuskit build",
                "fingerprint": fingerprint,
                "started": started,
                "seconds": clock.stages,
                "energy": meter.read().told,
                "executor": execution.kind,
                "workers": execution.workers,
                "limit": limit if limit >= 0 else None,
                "config": config.model_dump(mode="json"),
                "versions": runs.versions(),
                "machine": runs.machine(),
                "inputs": [
                    {"source": names[unit.source]} | told for unit, told in zip(planned.units, inputs, strict=True)
                ],
                "dates": _dates(planned),
                "test_sets": tests,
                "contamination": accounts["contamination"],
                "ignored": _counted(work, names)[1],
                "outputs": _outputs(fresh),
            }
            if finished is not None:  # an empty result is worth less than the build it would replace
                _not_empty(Run(fresh, manifest, accounts, worked=True))
            runs.write_json(fresh / runs.MANIFEST, manifest)
        runs.publish(fresh, output)
        shutil.rmtree(work)
    run = _finished(output)
    assert run is not None
    return _not_empty(Run(output, run.manifest, run.funnel, worked=True))


def _run(
    planned: Plan,
    work: Path,
    fresh: Path,
    execution: Execution,
    clock: _Clock,
    log: progress.Log,
    console: Console,
) -> dict[str, Any]:
    """All stages; one that an earlier try of this run finished is not done again."""
    config, tasks = planned.config, len(planned.tasks)
    near = config.dedup.near

    def stage(name: str, pipeline: list[PipelineStep], tasks: int) -> None:
        run_tasks(name, pipeline, tasks, work / "logs" / name, execution)

    (work / "counts").mkdir(exist_ok=True)
    with progress.watch(work / "progress", planned.size, log, console):
        stage("read", [Read(planned, work), *steps(config, work / "contamination"), PartWriter(work, near)], tasks)
    clock.stage("read_and_clean")
    names = list(dict.fromkeys(names_of(config)))
    rules = decide.Rules(
        names, config.dedup.articles, config.dedup.paragraphs, near, config.dedup.boilerplate,
        config.output.words_per_shard,
    )  # fmt: skip
    with progress.stage("looking for duplicates", log, console):
        if near:
            _once(work / "candidates.json", lambda: decide.candidates(work, rules))
            stage("shingle", [decide.Shingle(work, near)], tasks)
        shards = _once(work / "decided.json", lambda: decide.decide(work, rules))
    clock.stage("dedup")
    with progress.stage("writing", log, console):
        stage("deal", [collate.Deal(work)], tasks)
        stage("collate", [collate.Collate(work, fresh)], shards)
        read, _ = _counted(work, names)
        _gather_quarantine(work, fresh)
    clock.stage("write")
    with progress.stage("counting", log, console):
        accounts = funnel(fresh, read, work)
        accounts["contamination"] = contamination.report(work / "contamination")
        runs.write_json(fresh / "funnel.json", accounts)
    clock.stage("accounts")
    return accounts


def _once(done: Path, work: Callable[[], Any]) -> Any:
    """What ``work`` gives, done only if no earlier try of this run left its result."""
    if done.exists():
        return orjson.loads(done.read_bytes())
    result = work()
    release()
    runs.write_json(done, result)
    return result


def _same_tasks(planned: Plan, work: Path) -> Plan:
    """The plan with the tasks that this run was begun with, whatever the number of workers now."""
    tasks = _once(work / "tasks.json", lambda: [[list(one) for one in task] for task in planned.tasks])
    return replace(planned, tasks=[[Slice(*one) for one in task] for task in tasks])


def _test_sets(config: BuildConfig) -> list[dict[str, Any]]:
    """The files of the test sets, by name and content, and what is read of them."""
    asked = config.clean.decontaminate
    return [
        {"name": test.name, "field": testsets.field(test.path), "files": runs.describe_all(testsets.files(test.path))}
        for test in (asked.tests if asked else ())
    ]


def names_of(config: BuildConfig) -> list[str]:
    """The name of each source in the ``source`` column, in the order of the configuration."""
    return [source.reader().source_name for source in config.sources]


def _dates(planned: Plan) -> dict[str, list[str]]:
    """The first and the last day that the input of each source is of, where they are known."""
    found: dict[str, list[str]] = {}
    for number, (name, source) in enumerate(zip(names_of(planned.config), planned.config.sources, strict=True)):
        files = [unit.file for unit in planned.units if unit.source == number]
        found.setdefault(name, []).extend(source.reader().dates(files))
    return {name: [min(days), max(days)] for name, days in found.items() if days}


class _Clock:
    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._last = time.perf_counter()

    def stage(self, name: str) -> None:
        now = time.perf_counter()
        self.stages[name] = round(now - self._last, 3)
        self._last = now


def _finished(output: Path) -> Run | None:
    """The build that a folder holds: its manifest is the last thing written."""
    manifest = runs.read_manifest(output)
    if manifest is None or manifest["tool"] != "corpuskit build":
        return None
    try:
        accounts = orjson.loads((output / "funnel.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return Run(output, manifest, accounts, worked=False)


def _counted(work: Path, names: list[str]) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    """What the readers counted over all tasks: by source, and the files that were not theirs by ending."""
    read = {name: {"articles": 0, "paragraphs": 0, "quarantined": 0} for name in names}
    ignored: dict[str, Counter[str]] = {name: Counter() for name in names}
    for path in sorted((work / "counts").glob("*.json")):
        counts = orjson.loads(path.read_bytes())
        for name in names:
            for unit, number in counts["read"].get(name, {}).items():
                read[name][unit] += number
            ignored[name].update(counts["ignored"].get(name, {}))
    return read, {name: dict(sorted(counts.items())) for name, counts in ignored.items() if counts}


def _gather_quarantine(work: Path, output: Path) -> None:
    """One file, sorted, as short as it should be."""
    lines = sorted(line for path in (work / "quarantine").glob("*.jsonl") for line in path.read_bytes().splitlines())
    (output / "quarantine").mkdir(parents=True, exist_ok=True)
    (output / "quarantine" / "00000.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def _outputs(folder: Path) -> list[dict[str, Any]]:
    """Name, size and checksum of the files of a finished build, and the rows of its tables."""
    found = runs.describe_folder(folder)
    for told in found:
        if told["name"].endswith(".parquet"):
            told["rows"] = pq.read_metadata(folder / told["name"]).num_rows
    return found


def _not_empty(run: Run) -> Run:
    if run.funnel["kept"] and sum(counts["paragraphs"] for counts in run.funnel["kept"].values()):
        return run
    reasons = Counter[str]()
    for row in run.funnel["dropped"]:
        if row["stage"] != decide.EMPTY:
            reasons[f"{row['count']} {row['unit']}s by {row['stage']}: {row['reason']}"] += row["count"]
    quarantined = sum(run.funnel["quarantined"].values())
    told = [reason for reason, _ in reasons.most_common(5)] + ([f"{quarantined} in quarantine"] if quarantined else [])
    nothing = "nothing in the input was of a kind that the sources read"
    raise BuildError(f"not one paragraph was kept ({'; '.join(told) or nothing}); see {run.output}/funnel.json")


__all__ = ["BuildError", "ConfigError", "Plan", "Run", "build", "plan", "steps"]
