"""A study carried out: level by level, each unit once, whatever fails told at the end, and one table of it all.

All of it is one mechanism under each executor: the units of a level are the tasks of an array. A unit that is done
is known by its word (what it was done with) and the manifest in its folder (that it is still this); any other is
given to its stage, which goes on with what it finds, or refuses it.
"""

from __future__ import annotations

import glob
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from corpuskit import energy, runs
from corpuskit.ablate import carry, table
from corpuskit.ablate.outcome import Ablated, Outcome, State
from corpuskit.ablate.study import LEVELS, Plan, StudyError, Unit
from corpuskit.evaluate import results, tasks
from corpuskit.evaluate.compare import Comparison, compare
from corpuskit.evaluate.records import TaskError
from corpuskit.evaluate.results import Result
from corpuskit.executors import Execution, TaskFailed, run_tasks
from corpuskit.report.page import ReportError

#: What a manifest says wrote it.
TOOL = "corpuskit ablate"

Tell = Callable[[dict[str, Any]], None]

#: What is computed with PyTorch, on a GPU where there is one.
COMPUTING = ("models", "results")
_PACKAGES = ("accelerate", "tokenizers", "torch", "transformers")
#: Seconds between two looks for what units have put down.
_LOOK = 0.5
#: Seconds after which what another node has put down must be visible here (network file systems cache).
_LAG = 60.0


def look(plan: Plan, output: str | Path) -> list[Outcome]:
    """What of a study is done, and what is to do; nothing is written.

    Raises:
        StudyError: the folder holds something else, or the data of a task cannot be used.
    """
    output, found = Path(output).absolute(), dict[str, Outcome]()
    _ours(output)
    _asked(plan, output)
    for unit in _in_order(plan):
        waits = any(found[need].state != "before" for need in _needs(unit, plan))
        word = carry.word(output, unit)
        state: State = "to do"
        if not waits and _done(unit, output, word, _key(unit, output)):
            state = "before"
        elif (output / unit.id / runs.WORK).exists():
            state = "interrupted"
        elif word.get("state") == "failed":
            state = "failed"
        found[unit.id] = Outcome(unit, state, word.get("message", "") if state == "failed" else "")
    return list(found.values())


def ablate(
    plan: Plan,
    output: str | Path,
    *,
    execution: Execution | None = None,
    computing: Execution | None = None,
    overwrite: bool = False,
    tell: Tell = lambda line: None,
) -> Ablated:
    """Carry a study out, or go on with it.

    Args:
        plan: of the study.
        output: folder to write.
        execution: where the units of a level run, and how many side by side.
        computing: the same for pretraining and evaluation, where that is elsewhere.
        overwrite: what a folder of the study holds is replaced where the study has changed since.
        tell: called with a line for each unit that ends: `unit`, `state`, `seconds`, `message`.

    Returns:
        What became of each unit; those that failed have not ended the others.

    Raises:
        StudyError: the folder holds something else or cannot be written, another process works there, the data of a
            task cannot be used, or the executor takes no work at all.
    """
    output, started = Path(output).absolute(), runs.now()
    execution = execution or Execution()
    told = plan.study.model_dump(mode="json")  # the table has its name, its baseline, the order of its runs
    fingerprint = runs.fingerprint(TOOL, told, [[unit.id, unit.spec, unit.reads] for unit in _in_order(plan)])
    try:
        _ours(output)
        _asked(plan, output)
        work = output / runs.WORK
        work.mkdir(parents=True, exist_ok=True)
        with runs.locked(work / "lock", lambda: f"another process is at work in {output}: wait for it, or stop it"):
            runs.write_json(work / "run.json", {"fingerprint": fingerprint})
            outcomes = dict[str, Outcome]()
            for level in LEVELS:
                where = computing if computing and level in COMPUTING else execution
                _level(level, plan, output, where, overwrite, outcomes, tell)
            worked = any(one.state != "before" for one in outcomes.values())
            done = Ablated(output, plan, outcomes, _compared(plan, output, outcomes), worked)
            _conclude(done, fingerprint, started)
            if not done.failed:
                (work / "run.json").unlink()
                for path in work.iterdir():
                    path.unlink()
                work.rmdir()
    except (runs.RunError, TaskError, ReportError) as error:
        raise StudyError(str(error)) from None
    except OSError as error:
        raise StudyError(f"{error.filename or output} cannot be written: {error.strerror or error}") from None
    return done


def _ours(output: Path) -> None:
    """Make sure that the folder is empty, or of a study."""
    manifest = runs.read_manifest(output)
    if manifest is not None and manifest["tool"] != TOOL:
        raise StudyError(f"{output} holds what `{manifest['tool']}` wrote: choose another folder")
    begun = any((output / name).is_dir() for name in (runs.WORK, carry.WORDS))
    if manifest is None and not begun and output.is_dir() and any(output.iterdir()):
        raise StudyError(f"{output} holds something else: choose another folder")


def _asked(plan: Plan, output: Path) -> None:
    """Read the tasks where some are still to be done: what is wrong with their data is told before days of training."""
    left = (unit for unit in plan.level("results") if carry.word(output, unit).get("state") != "done")
    if (unit := next(left, None)) is None:
        return
    try:
        for task in unit.spec["declared"]:
            tasks.read(tasks.Task.model_validate(task), unit.reads["tasks"])
    except TaskError as error:
        raise StudyError(f"evaluate: {error}") from None


def _in_order(plan: Plan) -> list[Unit]:
    return [unit for level in LEVELS for unit in plan.level(level)]


def _needs(unit: Unit, plan: Plan) -> list[str]:
    return [read for read in unit.reads.values() if read in plan.units]


# ---------------------------------------------------------------------------------------------------------------------
# A level


def _level(
    level: str,
    plan: Plan,
    output: Path,
    execution: Execution,
    overwrite: bool,
    outcomes: dict[str, Outcome],
    tell: Tell,
) -> None:
    """Do what is to do of a level; what became of each unit goes into ``outcomes``."""
    todo, keys = [], []

    def ended(outcome: Outcome) -> None:
        outcomes[outcome.unit.id] = outcome
        tell({"kind": "unit", "unit": outcome.unit.id, "state": outcome.state, "seconds": outcome.seconds,
              "message": outcome.message})  # fmt: skip

    for unit in plan.level(level):
        failed = [need for need in _needs(unit, plan) if outcomes[need].state in ("failed", "left out")]
        if failed:
            ended(Outcome(unit, "left out", f"{failed[0]} is not there"))
            continue
        key, word = _key(unit, output), carry.word(output, unit)
        if _done(unit, output, word, key):
            ended(Outcome(unit, "before", seconds=word.get("seconds")))
        else:
            todo.append(unit)
            keys.append(key)
            carry.put(output, unit, {"state": "waiting"})
    while todo:
        left = _carried(level, todo, keys, output, execution, overwrite, ended)
        todo, keys = [todo[place] for place in left], [keys[place] for place in left]


def _carried(
    level: str,
    todo: Sequence[Unit],
    keys: Sequence[str],
    output: Path,
    execution: Execution,
    overwrite: bool,
    ended: Callable[[Outcome], None],
) -> list[int]:
    """Give units to the executor; the places of those that it has not begun, as it stops where a worker dies."""
    step = carry.Carry(todo, keys, output, execution, overwrite)
    logs = output / carry.LOGS / level / "tasks"
    for path in (logs / "completions").glob("*"):  # of earlier units, that had these places
        path.unlink()
    failure = ""
    with _watched(todo, output, ended) as look:
        try:
            run_tasks(level, [step], len(todo), logs, execution)
        except TaskFailed as error:
            failure = str(error)
        told, end = look(), time.monotonic() + _LAG
        while execution.kind != "local" and not failure and len(told) < len(todo) and time.monotonic() < end:
            time.sleep(_LOOK)
            told = look()
    left = []
    for place, unit in enumerate(todo):
        if unit.id in told:
            continue
        if carry.word(output, unit).get("state") == "waiting":
            left.append(place)
        else:  # begun, and ended with its worker
            outcome = Outcome(unit, "failed", failure or "its task ended and said nothing")
            carry.put(output, unit, {"state": "failed", "message": outcome.message})
            ended(outcome)
    if len(left) == len(todo):  # nothing was begun: it would go on so for ever
        raise StudyError(failure or f"{level}: the executor ended and has begun nothing")
    return left


@contextmanager
def _watched(
    units: Sequence[Unit], output: Path, ended: Callable[[Outcome], None]
) -> Iterator[Callable[[], Mapping[str, Outcome]]]:
    """Tell of units as they put down what became of them; gives a function that looks once more for all."""
    told, stop, busy = dict[str, Outcome](), threading.Event(), threading.Lock()

    def look() -> Mapping[str, Outcome]:
        with busy:
            for unit in units:
                word = carry.word(output, unit)
                if unit.id not in told and word.get("state") in ("done", "failed"):
                    message = word.get("message", "")
                    if message:
                        message += f"\nIts log: {carry.log(output, unit)}"
                    told[unit.id] = Outcome(unit, word["state"], message, word.get("seconds"))
                    ended(told[unit.id])
        return told

    def watch() -> None:
        while not stop.wait(_LOOK):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield look
    finally:
        stop.set()
        thread.join()


def _done(unit: Unit, output: Path, word: Mapping[str, Any], key: str) -> bool:
    """Whether a unit was done with all that it would be done with now, and its folder still holds that."""
    if word.get("state") != "done" or word.get("key") != key or (output / unit.id / runs.WORK).exists():
        return False
    return word.get("output") is not None and word["output"] == carry.content(output / unit.id)


def _key(unit: Unit, output: Path) -> str:
    """A hash of all that decides what a unit comes to: what is asked, what it reads, and by which versions."""
    versions = runs.versions(*(_PACKAGES if unit.level in ("tokenizers", *COMPUTING) else ()))
    reads = {name: _content(carry.place(output, read)) for name, read in unit.reads.items()}
    return runs.fingerprint(unit.level, unit.spec, reads, versions)


def _content(path: Path) -> Any:
    """What tells that a folder, a file or what a pattern finds is what it was, without reading all of it."""
    if runs.read_manifest(path) is not None:  # a run of corpuskit; data may have a manifest of their own
        return carry.content(path)
    if path.is_dir():
        files = [one for one in path.rglob("*") if one.is_file()]
    else:
        files = [path] if path.exists() else [Path(one) for one in glob.glob(str(path), recursive=True)]
    seen = []
    for file in sorted(files):  # none for an address, or what is not there: its stage says so
        with suppress(OSError):
            told = file.stat()
            seen.append([os.path.relpath(file, path), told.st_size, told.st_mtime_ns])
    return seen


# ---------------------------------------------------------------------------------------------------------------------
# The end


def _compared(plan: Plan, output: Path, outcomes: Mapping[str, Outcome]) -> Comparison | None:
    """The runs that have a result, side by side, by their names in the study."""
    found: list[Result] = []
    for run in plan.runs:
        if outcomes[run.units[-1]].state in ("before", "done"):
            some = results.read(output / run.units[-1])
            found += [replace(one, system=one.system | {"name": run.name}) for one in some]
    if not found:
        return None
    names = {one.name for one in found}
    wanted = plan.study.baseline
    return compare(found, wanted if wanted in names else None)


def _conclude(done: Ablated, fingerprint: str, started: str) -> None:
    """Write the table, and the manifest where all is done."""
    output, manifest = done.output, runs.read_manifest(done.output)
    files = [output / name for name in (table.MARKDOWN, table.LATEX, table.PAGE)]
    same = manifest is not None and manifest["fingerprint"] == fingerprint and all(file.exists() for file in files)
    if not done.worked and same:
        return
    (output / runs.MANIFEST).unlink(missing_ok=True)
    for file in files if done.comparison is None else ():  # of an earlier try: they tell of what is no more
        file.unlink(missing_ok=True)
    table.write(done, output)
    if done.failed:
        return
    manifests = {id: runs.read_manifest(output / id) or {} for id in done.outcomes}
    own = {one.get("fingerprint") for one in manifests.values()}
    told = {
        "tool": TOOL,
        "fingerprint": fingerprint,
        "name": done.plan.study.name,
        "started": started,
        "finished": runs.now(),
        "study": done.plan.study.model_dump(mode="json", exclude_unset=True),
        "runs": [{"name": run.name, "variants": run.variants, "units": list(run.units)} for run in done.plan.runs],
        "units": [
            {"unit": id, "seconds": one.seconds, "fingerprint": manifests[id].get("fingerprint"),
             "energy": _spent(manifests[id])}
            for id, one in done.outcomes.items()
        ],
        "energy": energy.added([_spent(one) for one in manifests.values()]),
        # What led to the corpora, annotations and models that were there already.
        "before": [asdict(one) for one in energy.stages(list(manifests.values())) if one.fingerprint not in own],
        "versions": runs.versions(*_PACKAGES),
        "machine": runs.machine(),
        "outputs": [file.name for file in files if file.exists()],
    }  # fmt: skip
    runs.write_json(output / runs.MANIFEST, runs.public(told))


def _spent(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The energy of a stage, as its manifest has it."""
    told = manifest.get("energy") or {}
    return {"kwh": told.get("kwh"), "how": told.get("how", "unknown")}
