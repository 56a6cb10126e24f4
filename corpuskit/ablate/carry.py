"""One unit of a study carried out: which function of corpuskit, with what, and where.

A unit runs in a process of its own, so that one that dies of a full memory takes nothing else with it, and none
meets what another has left in a library or on a GPU. What became of it is put down as a *word*, a small JSON file.
"""

from __future__ import annotations

import importlib
import os
import signal
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import orjson
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from corpuskit import runs, workers
from corpuskit.ablate.study import Unit
from corpuskit.evaluate.systems.opening import DICTIONARY, LLM
from corpuskit.executors import Execution

WORDS, LOGS, TOKENS = "units", "logs", "tokens"
#: What units that compute with PyTorch import: once, by the process that they are forked from.
_HEAVY = {"models": "corpuskit.pretrain.run", "results": "corpuskit.evaluate.systems.finetune"}


def word(output: Path, unit: Unit) -> dict[str, Any]:
    """What was last put down about a unit; nothing where there is no word."""
    try:
        told: dict[str, Any] = orjson.loads(_word(output, unit).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return told


def put(output: Path, unit: Unit, told: Mapping[str, Any]) -> None:
    """Put down what became of a unit."""
    _word(output, unit).parent.mkdir(parents=True, exist_ok=True)
    runs.write_json(_word(output, unit), {"unit": unit.id} | dict(told))


def _word(output: Path, unit: Unit) -> Path:
    return output / WORDS / f"{unit.level}.{unit.name}.json"


def log(output: Path, unit: Unit) -> Path:
    """Where a unit writes what it has to say."""
    return output / LOGS / unit.level / f"{unit.name}.log"


def place(output: Path, read: str) -> Path:
    """Where something that a unit reads is: another unit's folder, or a path."""
    return output / read if read.partition("/")[0] in _CARRIED and not Path(read).is_absolute() else Path(read)


def content(folder: Path) -> str | None:
    """What tells one finished run in a folder from another; None where there is none."""
    try:
        return runs.fingerprint((folder / runs.MANIFEST).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


class Carry(PipelineStep):
    """Carries out unit *n*, in a process of its own, and never fails itself.

    Args:
        units: all of a level.
        keys: of each, what its word says it was done with.
        output: folder of the study.
        execution: where this step runs.
        overwrite: another run in the folder of a unit may be replaced.
    """

    name = "Carry"
    type = "🧪 - CORPUSKIT"

    def __init__(
        self, units: Sequence[Unit], keys: Sequence[str], output: Path, execution: Execution, overwrite: bool
    ) -> None:
        super().__init__()
        self.units, self.keys, self.output, self.overwrite = units, keys, output, overwrite
        self.execution = execution

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        return cast(DocumentsPipeline, self._run(rank))

    def _run(self, rank: int) -> Iterator[Document]:
        unit, begun = self.units[rank], time.monotonic()
        told: dict[str, Any] = {"key": self.keys[rank], "started": runs.now()}
        put(self.output, unit, told | {"state": "running"})
        if _computes(unit):
            with suppress(Exception):  # the unit itself says what is missing
                importlib.import_module(_HEAVY[unit.level])
        with self.track_time(), _device(self.output / runs.WORK, unit, rank, self.execution):
            told |= _alone(unit, self.output, _cores(self.execution), self.overwrite)
        told["seconds"] = round(time.monotonic() - begun, 3)
        put(self.output, unit, told)
        yield from ()


def _alone(unit: Unit, output: Path, cores: int, overwrite: bool) -> dict[str, Any]:
    """Carry a unit out in a process of its own; what became of it."""
    log(output, unit).parent.mkdir(parents=True, exist_ok=True)
    worker = workers.start(_work, unit, output, cores, overwrite)
    try:
        try:
            told: dict[str, Any] = worker.connection.recv()
        except (EOFError, OSError):
            told = {"state": "failed", "message": _death(worker.wait())}
    finally:
        worker.end()
        worker.connection.close()
    return told


def _death(code: int) -> str:
    if code < 0:
        often = ", often because memory ran out: give it more, or let fewer run side by side"
        return f"its process was killed by {signal.Signals(-code).name}{often if -code == signal.SIGKILL else ''}"
    return f"its process ended by itself with exit code {code} and said nothing"


def _work(connection: Connection, unit: Unit, output: Path, cores: int, overwrite: bool) -> None:
    """The life of the process."""
    with log(output, unit).open("ab", buffering=0) as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    try:
        worked = carry_out(unit, output, cores, overwrite)
        told = {"state": "done", "worked": worked, "output": content(output / unit.id)}
    except Exception as error:
        traceback.print_exc()
        # What corpuskit itself raises is written for people.
        ours = type(error).__module__.startswith("corpuskit.")
        told = {"state": "failed", "message": str(error) if ours else f"{type(error).__name__}: {error}"}
    connection.send(told)


def carry_out(unit: Unit, output: Path, cores: int = 1, overwrite: bool = False) -> bool:
    """Do what a unit says, or go on with it; False where its folder holds it already.

    Args:
        unit: which.
        output: folder of the study.
        cores: that it may use.
        overwrite: another run in its folder may be replaced.

    Raises:
        Exception: whatever its stage raises.
    """
    reads = {name: place(output, read) for name, read in unit.reads.items()}
    return _CARRIED[unit.level](unit, reads, output / unit.id, cores, overwrite)


def _corpus(unit: Unit, reads: Mapping[str, Path], folder: Path, cores: int, overwrite: bool) -> bool:
    from corpuskit.build import build
    from corpuskit.config import validate

    return build(validate(unit.spec["config"]), folder, workers=cores, overwrite=overwrite, log="quiet").worked


def _labels(unit: Unit, reads: Mapping[str, Path], folder: Path, cores: int, overwrite: bool) -> bool:
    from corpuskit.student.label import label

    return label(reads["source"], reads["student"], folder, Execution(workers=cores), overwrite=overwrite).worked


def _sample(unit: Unit, reads: Mapping[str, Path], folder: Path, cores: int, overwrite: bool) -> bool:
    from corpuskit.sample import recipe
    from corpuskit.sample.run import sample

    labels = [path for name, path in reads.items() if name.startswith("annotations")]
    wanted = recipe.validate(unit.spec["recipe"])
    return sample(wanted, reads["source"], folder, labels, Execution(workers=cores), overwrite).worked


def _tokenizer(unit: Unit, reads: Mapping[str, Path], folder: Path, cores: int, overwrite: bool) -> bool:
    from corpuskit.pretrain.tokenizer import train

    return train(reads["source"], folder, **unit.spec, overwrite=overwrite, tell=print).worked


def _model(unit: Unit, reads: Mapping[str, Path], folder: Path, cores: int, overwrite: bool) -> bool:
    from corpuskit.pretrain.config import validate
    from corpuskit.pretrain.run import pretrain

    _threads(cores)
    given = dict(unit.spec["config"])
    given["data"] = given["data"] | {"sources": [{"path": str(reads["data"])}]}
    if "tokenizer" in reads:
        given["start"] = given["start"] | {"tokenizer": str(reads["tokenizer"])}
    store = folder.parents[1] / TOKENS
    return pretrain(validate(given), folder, store=store, overwrite=overwrite, tell=_say).worked


def _result(unit: Unit, reads: Mapping[str, Path], folder: Path, cores: int, overwrite: bool) -> bool:
    from corpuskit.evaluate import tasks
    from corpuskit.evaluate.protocol import Protocol
    from corpuskit.evaluate.run import evaluate
    from corpuskit.evaluate.systems.opening import open_system

    if _computes(unit):
        _threads(cores)
    asking = dict(unit.spec["system"])
    name = asking.pop("model", "")
    system = open_system(str(reads.get("model", name)), **asking)
    return evaluate(
        system, [tasks.load(task) for task in unit.spec["tasks"]], reads["tasks"], folder,
        protocol=Protocol.model_validate(unit.spec["protocol"]), seeds=range(1, unit.spec["seeds"] + 1),
        limit=unit.spec["limit"], overwrite=overwrite, tell=_say,
    ).worked  # fmt: skip


_CARRIED = {
    "corpora": _corpus, "labels": _labels, "samples": _sample, "tokenizers": _tokenizer, "models": _model,
    "results": _result,
}  # fmt: skip


def _say(line: Mapping[str, Any]) -> None:
    os.write(1, orjson.dumps(line, default=str) + b"\n")


def _cores(execution: Execution) -> int:
    """Processors that a unit may use."""
    if execution.kind == "slurm":
        return execution.profile.cpus_per_task if execution.profile else 1
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, here // execution.workers) if execution.kind == "local" else 1


def _computes(unit: Unit) -> bool:
    """Whether a unit computes with PyTorch: on a GPU where there is one."""
    name = unit.spec["system"].get("model", "") if unit.level == "results" else ""
    return unit.level in _HEAVY and name != DICTIONARY and not name.startswith(LLM)


def _threads(cores: int) -> None:
    """Let PyTorch compute on so many processors, unless the user has said it."""
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(cores)


@contextmanager
def _device(work: Path, unit: Unit, rank: int, execution: Execution) -> Iterator[None]:
    """Let the units of this machine have a GPU each, one that no other has; elsewhere the cluster gives them out."""
    devices = _devices() if execution.kind == "local" and execution.workers > 1 and _computes(unit) else []
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    with _free(work, devices, rank) as device:
        if device is None:
            yield
            return
        os.environ["CUDA_VISIBLE_DEVICES"] = device
        try:
            yield
        finally:
            if before is None:
                del os.environ["CUDA_VISIBLE_DEVICES"]
            else:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def _devices() -> list[str]:
    """The GPUs that may be used, as CUDA_VISIBLE_DEVICES names them."""
    if given := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return [device.strip() for device in given.split(",") if device.strip()]
    try:
        import torch
    except ImportError:
        return []
    return [str(number) for number in range(torch.cuda.device_count())]


@contextmanager
def _free(work: Path, devices: Sequence[str], rank: int) -> Iterator[str | None]:
    """A GPU that no other unit of this machine has; one that has to be shared where there are too few."""
    for device in devices:
        lock = runs.locked(work / f"gpu-{device.replace('/', '-')}", lambda: "taken")
        try:
            lock.__enter__()
        except runs.RunError:
            continue
        try:
            yield device
        finally:
            lock.__exit__(None, None, None)
        return
    yield devices[rank % len(devices)] if devices else None
