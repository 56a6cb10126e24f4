"""Where the tasks of a run are carried out: on this machine, as a Slurm array, or on a Ray cluster.

The executors are datatrove's own. What is added is that a task which fails is always told, whichever of the
three ran it, that a worker which dies ends the run instead of holding it up, and that nothing new starts after
a failure. A task that is complete leaves a file in ``completions/`` of the logs folder and is not run again.
"""

from __future__ import annotations

import ctypes
import difflib
import errno
import logging
import math
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal, cast

import dill  # type: ignore[import-untyped]
import orjson
import pyarrow as pa
from datatrove.executor.base import PipelineExecutor
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.executor.ray import RayPipelineExecutor
from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger
from pydantic import Field, ValidationError, field_validator

from corpuskit import settings, workers
from corpuskit.runs import write_json
from corpuskit.steps import StepOptions
from corpuskit.workers import Worker

#: Seconds after which a file that another node wrote must be visible here (network file systems cache).
_LAG = 60.0
#: Seconds that Slurm's controller may be silent, as it is during a restart.
_PATIENCE = 900.0

#: What became of a task: type, message, traceback and host as in its failure file, and what to do about it.
Failure = dict[str, str]


class TaskFailed(Exception):
    """A stage that did not finish; the message says which task, why, and what to do."""


class _Refused(Exception):
    """The executor did not take the work, or lost it; the message says why and what to do."""


class ProfileError(Exception):
    """A Slurm profile that cannot be used; the message names each field and how to mend it."""


#: Options of sbatch that the executor itself sets.
_OWN = ("array", "dependency", "error", "export", "job-name", "no-requeue", "nodes", "output", "requeue", "wrap")
#: Options of sbatch that have a field, and the field.
_FIELDS = {"account": "account", "constraint": "constraint", "cpus-per-task": "cpus_per_task", "mem": "memory_gb",
           "mem-per-cpu": "memory_gb", "partition": "partition", "qos": "qos", "time": "time"}  # fmt: skip


class SlurmProfile(StepOptions):
    """How one cluster wants its jobs; what is not given is left to the cluster."""

    partition: str | None = Field(None, description="partition, the cluster's default unless given")
    account: str | None = Field(None, description="account (project) that is charged")
    constraint: str | None = Field(None, description="features that a node must have")
    qos: str | None = Field(None, description="quality of service; none is asked for unless given")
    time: str | None = Field(None, description='limit for one job, "HH:MM:SS" or "D-HH:MM:SS"')
    memory_gb: float | None = Field(None, gt=0, description="memory of one task in GB")
    cpus_per_task: int = Field(1, ge=1, description="processors of one task; a task computes on one")
    max_array_size: int = Field(1001, ge=1, description="tasks in one array (MaxArraySize of `scontrol show config`)")
    tasks_per_job: int = Field(1, ge=1, description="tasks that one job of the array does in turn")
    modules: list[str] = Field(default=[], description="what to `module load` before Python starts")
    venv: str | None = Field(None, description="virtual environment of the jobs, the driver's own Python unless given")
    environment: dict[str, str | int | float] = Field(default={}, description="variables of the jobs")
    offline: bool = Field(False, description="the nodes have no network: Hugging Face libraries must not try")
    sbatch: dict[str, str | int | float | bool | None] = Field(
        default={}, description="any other option of sbatch; true for one without a value"
    )

    @field_validator("time", mode="before")
    @classmethod
    def _quoted_time(cls, value: Any) -> Any:
        # YAML 1.1 reads 20:00:00 as a number to base 60, and 01:00:00 as text.
        if value is None or (isinstance(value, str) and re.fullmatch(r"(\d+-)?\d{1,3}:[0-5]\d:[0-5]\d", value)):
            return value
        raise ValueError('expected hours, minutes and seconds in quotes, such as "20:00:00"')

    @field_validator("environment")
    @classmethod
    def _variable_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
                raise ValueError(f"{name!r} is no name of a variable")
        return value

    @field_validator("sbatch")
    @classmethod
    def _other_options(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            plain = name.replace("_", "-").lstrip("-")
            if plain in _FIELDS:
                raise ValueError(f"`{name}` has a field of its own here: `{_FIELDS[plain]}`")
            if plain in _OWN:
                raise ValueError(f"`{name}` is set by corpuskit itself; take it out")
        return value


class Execution(StepOptions):
    """Which executor, and how much of it. None of this changes what is written."""

    kind: Literal["local", "slurm", "ray"] = Field("local", description="where the tasks run")
    workers: int = Field(1, ge=1, description="tasks side by side")
    profile: SlurmProfile | None = Field(None, description="how the cluster wants its jobs (Slurm)")
    ray_address: str = Field("auto", description="address of the cluster's head, or `auto` for the one running here")


def load_profile(path: str | Path) -> SlurmProfile:
    """Read a YAML profile.

    Raises:
        ProfileError: it is missing, no YAML, or invalid.
    """
    path = Path(path)
    content = settings.read(path, ProfileError, "`partition:` and `time:`")
    try:
        return SlurmProfile.model_validate(content)
    except ValidationError as error:
        raise ProfileError(settings.refusal(str(path), error, _explain)) from None


def _explain(problem: Any) -> str:
    """One line for a person: the field, what is wrong with it, how to mend it."""
    # Of a value that may be of several types, pydantic names each type in a last part of the place.
    where = ".".join(str(part) for part in problem["loc"][:2])
    if problem["type"] == "extra_forbidden":
        known = list(SlurmProfile.model_fields)
        near = difflib.get_close_matches(where, known, n=1)
        return f"{where}: no such option; " + (f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}")
    if where.startswith(("environment.", "sbatch.")):
        return f"{where}: expected a text or a number (given: {problem['input']!r})"
    return f"{where}: {settings.said(problem)}"


def run_tasks(stage: str, pipeline: list[PipelineStep], tasks: int, logs: Path, execution: Execution) -> None:
    """Run a datatrove pipeline once a task; tasks that are complete according to ``logs`` are not run again.

    Args:
        stage: what to call it in messages and in the queue.
        pipeline: the steps; each task gets its own copy.
        tasks: how many tasks, ranks 0 to ``tasks`` - 1.
        logs: folder of this very pipeline over this very input, on a file system that all nodes share:
            ``completions/``, ``failures/``, ``logs/``, ``stats/``.
        execution: where.

    Raises:
        TaskFailed: a task raised or its worker died, or the executor refused the work.
    """
    logger.disable("datatrove")
    logs = logs.absolute()
    executor = _executor(stage, pipeline, tasks, logs, execution)
    try:
        logs.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(logs / "failures", ignore_errors=True)
    except OSError as error:
        raise TaskFailed(f"{stage}: {logs} cannot be written: {error.strerror}. {_advice(error)}".rstrip()) from None
    try:
        with _ended_by_sigterm():
            failures = executor.carry_out()
    except _Refused as refusal:
        raise TaskFailed(f"{stage}: {refusal}") from None
    if failures:
        rank = min(failures)
        raise TaskFailed(_message(stage, rank, tasks, len(failures) - 1, logs, failures[rank])) from executor.error


def _message(stage: str, rank: int, tasks: int, others: int, logs: Path, failure: Failure) -> str:
    host = failure["host"]
    return "\n".join(
        filter(
            None,
            [
                f"{stage}: task {rank + 1} of {tasks} failed"
                + (f" on {host}" if host not in ("", socket.gethostname()) else "")
                + (f" (and {others} more)" if others else "")
                + f": {': '.join(filter(None, [failure['type'], failure['message']]))}",
                failure["advice"],
                f"Its log: {failure.get('log') or logs / 'logs' / f'task_{rank:05d}.log'}",
                "Finished tasks are kept: run the same command again and it goes on from there.",
            ],
        )
    )


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """A batch system's SIGTERM ends the block as Ctrl-C does, so that what was started is ended too."""

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # only that one may
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _failure(error: BaseException) -> Failure:
    """What a task's exception has to say."""
    return {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
        "host": socket.gethostname(),
        "advice": _advice(error),
    }


def _death(message: str, advice: str = "", host: str = "", log: Path | None = None) -> Failure:
    """What is known of a task that could say nothing itself."""
    failure = {"type": "", "message": message, "traceback": "", "host": host, "advice": advice}
    return failure | ({"log": str(log)} if log else {})


def _advice(error: BaseException | None) -> str:
    """What to do about an error that comes from the machine and not from the data, "" about others."""
    while error is not None:
        if isinstance(error, MemoryError):
            return "Memory ran out: use fewer workers, or give each task more memory."
        if isinstance(error, OSError):
            name = f": {error.filename}" if error.filename else ""
            match error.errno:
                case errno.ENOSPC:
                    return f"The disk is full{name}. Free some space."
                case errno.EDQUOT:
                    return f"The disk quota is used up{name}. Free some space, or ask for more."
                case errno.EROFS:
                    return f"The file system can only be read{name}. Choose another folder."
                case errno.EACCES | errno.EPERM:
                    return f"There is no permission{name}. Change it, or choose another folder."
        error = error.__cause__
    return ""


def _ending(code: int, remedy: str = "use fewer workers") -> str:
    """How a process ended: by a signal (negative, or 128 and more as a shell tells it) or by itself."""
    number = -code if code < 0 else code - 128
    with suppress(ValueError):
        name = signal.Signals(number).name
        often = f", often because memory ran out: {remedy}" if number == signal.SIGKILL else ""
        return f"its worker was killed by {name}{often}"
    return f"its worker ended by itself with exit code {code} and said nothing"


def release() -> None:
    """Give back to the system what allocators keep: else a process holds the sum of what its stages held at most."""
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError):  # which only the GNU library has
        ctypes.CDLL(None).malloc_trim(0)


class _Witness(PipelineExecutor):
    """A datatrove executor whose tasks leave word when they fail, and which returns what failed."""

    #: The exception itself, where the task ran in this process.
    error: BaseException | None = None
    pipeline: Any

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> Any:
        logger.disable("datatrove")  # the run reports for itself
        try:
            # Ray's own would write to a folder that all users of a node share.
            return PipelineExecutor._run_for_rank(self, rank, local_rank, node_rank)
        except Exception as error:
            failure = _failure(error)
            with suppress(OSError):  # the disk may be full: whoever waits for the task still gets the exception
                self._file("failures").mkdir(exist_ok=True)
                write_json(self._file("failures", f"{rank:05d}.json"), failure)
                with self._file("logs", f"task_{rank:05d}.log").open("a", encoding="utf-8") as log:
                    log.write(failure["traceback"])
            raise
        finally:
            release()

    def _file(self, *parts: str) -> Path:
        return Path(self.logging_dir.resolve_paths("")).joinpath(*parts)

    def _pickled(self) -> bytes:
        # With what a script's own steps use of the script, which the worker does not run.
        return bytes(dill.dumps(self, fmode=dill.CONTENTS_FMODE, recurse=True))

    def carry_out(self) -> dict[int, Failure]:
        """Run what is not complete; rank and failure of each task that failed."""
        raise NotImplementedError


def _attempt(pickled: bytes, rank: int) -> Failure | None:
    """Run one task in a worker; what went wrong comes back as plain data, as not every exception can be sent."""
    try:
        dill.loads(pickled)._run_for_rank(rank)
    except Exception as error:
        return _failure(error)
    return None


class _Local(_Witness, LocalPipelineExecutor):
    """Tasks on this machine: in this process, or in processes that each do one task after the other."""

    def carry_out(self) -> dict[int, Failure]:
        ranks = self.get_incomplete_ranks()
        return self._in_turn(ranks) if self.workers == 1 else self._side_by_side(ranks)

    def _in_turn(self, ranks: list[int]) -> dict[int, Failure]:
        pipeline = self.pipeline
        for rank in ranks:
            self.pipeline = deepcopy(pipeline)
            try:
                self._run_for_rank(rank)
            except Exception as error:
                self.error = error
                return {rank: _failure(error)}
        return {}

    def _side_by_side(self, ranks: list[int]) -> dict[int, Failure]:
        waiting, failures = deque(ranks), dict[int, Failure]()
        running: dict[Connection, tuple[Worker, int]] = {}
        started: list[Worker] = []
        pickled = self._file("executor.pik")
        pickled.write_bytes(self._pickled())

        def send(worker: Worker) -> None:
            running[worker.connection] = worker, (rank := waiting.popleft())
            with suppress(OSError):  # it is dead: that is seen where its answer is awaited
                worker.connection.send(rank)

        try:
            for _ in range(min(self.workers, len(ranks))):
                started.append(workers.start(_work, str(pickled)))
                send(started[-1])
            while running:
                for connection in cast(list[Connection], wait(list(running))):
                    worker, rank = running.pop(connection)
                    try:
                        failure = connection.recv()
                    except (EOFError, OSError):
                        failure = _death(_ending(worker.wait()))
                    if failure:
                        failures[rank] = failure
                    if waiting and not failures:
                        send(worker)
                    else:
                        connection.close()
        finally:
            for worker in started:
                worker.end()
        return failures


def _work(connection: Connection, pickled: str) -> None:
    """The life of a worker: a rank comes in, its failure or None goes out, until the connection is closed."""
    executor = Path(pickled).read_bytes()
    with suppress(EOFError):
        while True:
            connection.send(_attempt(executor, connection.recv()))


class _Ray(_Witness, RayPipelineExecutor):
    """Tasks of a Ray cluster, each tried once."""

    address: str

    def carry_out(self) -> dict[int, Failure]:
        ranks = self.get_incomplete_ranks()
        if not ranks:
            return {}
        try:
            import ray
        except ImportError:
            raise _Refused("ray is not installed: pip install 'corpuskit-fr[ray]'") from None
        connected = ray.is_initialized()
        if not connected:
            try:
                self._knock()
                ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
            except Exception as error:  # whatever a version of Ray raises for it
                raise _Refused(
                    f"no Ray cluster answers at {self.address!r}: {error}\n"
                    "Start one (`ray start --head`), or name its address."
                ) from None
        try:
            failures = self._on_cluster(ray, ranks)
        finally:
            if not connected:
                ray.shutdown()
        end = time.monotonic() + _LAG
        while not failures and (left := self.get_incomplete_ranks()):
            if time.monotonic() > end:
                raise _Refused(
                    f"task {left[0] + 1} of {self.tasks} ran, but nothing of it is in {self._file()}: "
                    "all nodes must share the file system of the output"
                )
            time.sleep(0.5)
        return failures

    def _knock(self) -> None:
        """Ray itself tries a wrong address for many minutes."""
        if found := re.fullmatch(r"(?:ray://)?\[?([^/\]]+)\]?:(\d+)", self.address):
            socket.create_connection((found[1], int(found[2])), timeout=30).close()

    def _on_cluster(self, ray: Any, ranks: list[int]) -> dict[int, Failure]:
        waiting, failures = deque(ranks), dict[int, Failure]()
        running: dict[Any, int] = {}
        attempt = ray.remote(num_cpus=1, max_retries=0)(_attempt_there)
        pickled = ray.put(self._pickled())
        try:
            while running or (waiting and not failures):
                while waiting and not failures and len(running) < self.workers:
                    rank = waiting.popleft()
                    running[attempt.remote(pickled, rank, os.getcwd(), sys.path)] = rank
                # With a limit, as Python hears no signal while Ray waits.
                for answer in ray.wait(list(running), num_returns=1, timeout=1)[0]:
                    rank = running.pop(answer)
                    try:
                        failure = ray.get(answer)
                    except ray.exceptions.RayError as error:
                        failure = _death(f"its worker died: {type(error).__name__}", _first_sentences(error))
                    if failure:
                        failures[rank] = failure
        finally:
            for answer in running:
                ray.cancel(answer, force=True)
        return failures


def _attempt_there(pickled: bytes, rank: int, folder: str, path: list[str]) -> Failure | None:
    """:func:`_attempt` on a node of Ray, from the driver's folder and with the driver's modules."""
    with suppress(OSError):
        os.chdir(folder)
    sys.path.extend(entry for entry in path if entry not in sys.path)
    return _attempt(pickled, rank)


def _first_sentences(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join([*lines[:2], "Often memory ran out: use fewer workers."])


class _Slurm(_Witness, SlurmPipelineExecutor):
    """Tasks of a Slurm array, one array after the other where they are many.

    Attributes:
        profile: how the cluster wants its jobs.
    """

    profile: SlurmProfile

    def carry_out(self) -> dict[int, Failure]:
        self._end_earlier_array()
        ranks, size = self.get_incomplete_ranks(), self.max_array_size * self.tasks_per_job
        self._file("executor.pik").write_bytes(self._pickled())
        for start in range(0, len(ranks), size):
            job = self._submit(ranks[start : start + size])
            try:
                failures = self._follow(job, ranks[start : start + size])
            except BaseException:
                self._ask("scancel", job)
                raise
            self._file("slurm_job").unlink(missing_ok=True)
            if failures:
                return failures
        return {}

    def _submit(self, ranks: list[int]) -> str:
        self._file("ranks_to_run.json").write_bytes(orjson.dumps(ranks))
        python = "python" if self.profile.venv else shlex.quote(sys.executable)
        script = self._file("launch_script.slurm")
        script.write_text(
            self.get_launch_file_contents(
                self.get_sbatch_args(math.ceil(len(ranks) / self.tasks_per_job)),
                f"{python} -m datatrove.tools.launch_pickled_pipeline {shlex.quote(str(self._file('executor.pik')))}",
            ),
            encoding="utf-8",
        )
        done = self._ask("sbatch", "--parsable", "--export=ALL", str(script))
        if done.returncode:
            raise _Refused(f"Slurm refused the job. {done.stderr.strip()}\nMend the profile, and run again.")
        job = done.stdout.strip().split(";")[0]
        self._file("slurm_job").write_text(job, encoding="utf-8")
        return job

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, str]:
        """The profile's options and no others; values with a space are quoted, as sbatch wants it."""
        args = super().get_sbatch_args(max_array)
        del args["mem-per-cpu"]  # datatrove always asks for some
        args |= {"no-requeue": "", "account": self.profile.account, "constraint": self.profile.constraint}
        if self.profile.memory_gb:
            args["mem"] = f"{round(self.profile.memory_gb * 1024)}M"
        for name, value in self.profile.sbatch.items():
            if value is not False:
                args[name.replace("_", "-").lstrip("-")] = "" if value is None or value is True else value
        given = {name: str(value) for name, value in args.items() if value is not None}
        return {name: shlex.quote(value) if value else "" for name, value in given.items()}

    def _follow(self, job: str, ranks: list[int]) -> dict[int, Failure]:
        """Wait until the array is done; after a failure only for what already runs."""
        step = self.tasks_per_job
        bundles = [ranks[at : at + step] for at in range(0, len(ranks), step)]
        failures = dict[int, Failure]()
        missed: dict[int, float] = {}
        heard, pause, stopped = time.monotonic(), 1.0, False
        while True:
            queued = self._queued(job)  # before the files: what has left the queue has written them
            now = time.monotonic()
            left = set(self.get_incomplete_ranks(ranks))
            failures |= {rank: failure for rank in left - failures.keys() if (failure := self._word_of(rank))}
            if queued is not None:
                heard = now
                # Without a log it never started, which is what stopping the array is for.
                silent = [
                    (index, min(left.intersection(bundle)))
                    for index, bundle in enumerate(bundles)
                    if index not in queued
                    and not left.isdisjoint(bundle)
                    and failures.keys().isdisjoint(bundle)
                    and (not stopped or self._slurm_log(job, index).exists())
                ]
                undecided = bool(silent) and silent[0][1] < min(failures, default=self.tasks)
                if undecided:
                    index, rank = silent[0]
                    death = self._fate(job, index, waited=now - missed.setdefault(index, now) > _LAG)
                    if death:
                        failures[rank], undecided = death, False
                if not queued and not undecided:
                    return failures
            elif now - heard > _PATIENCE:
                raise _Refused(f"Slurm has not answered for {_PATIENCE / 60:.0f} minutes; job {job} may still run")
            if failures and not stopped:
                self._ask("scancel", "--state=PENDING", job)
                stopped = True
                continue
            time.sleep(pause)
            pause = min(pause * 1.2, 30.0)

    def _word_of(self, rank: int) -> Failure | None:
        try:
            failure: Failure = orjson.loads(self._file("failures", f"{rank:05d}.json").read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        return failure

    def _queued(self, job: str) -> set[int] | None:
        """The places of the array that wait or run; None when Slurm does not answer."""
        done = self._ask("squeue", "--noheader", "--array", f"--jobs={job}", "--format=%K")
        if done.returncode == 0:
            return {int(place) for place in done.stdout.split() if place.isdigit()}
        return set() if "Invalid job id" in done.stderr else None

    def _fate(self, job: str, index: int, waited: bool) -> Failure | None:
        """Why a job ended without a word; None while its files may still be on their way."""
        shown = self._ask("scontrol", "show", "job", "--oneliner", f"{job}_{index}").stdout
        told = dict(part.split("=", 1) for part in shown.split() if "=" in part)
        if "JobState" not in told:
            sacct = self._ask("sacct", "-nXP", f"--jobs={job}_{index}", "--format=State,ExitCode,NodeList").stdout
            told = dict(zip(("JobState", "ExitCode", "NodeList"), sacct.split("\n")[0].split("|"), strict=False))
        state = told.get("JobState", "").split(" ")[0]
        if state in ("", "COMPLETED") and not waited:
            return None
        code, _, number = told.get("ExitCode", "0:0").partition(":")
        if state == "FAILED" and (code, number) != ("0", "0"):
            ended = -int(number) if number not in ("", "0") else int(code)
            message, advice = _ending(ended, "raise `memory_gb` in the profile"), ""
        else:
            message = f"Slurm says {state or 'nothing about it'}"
            advice = _SLURM_ADVICE.get(state, "")
        log = self._slurm_log(job, index)
        with suppress(OSError):
            if lines := log.read_text(encoding="utf-8", errors="replace").splitlines()[-10:]:
                advice = "\n".join(filter(None, [advice, "The last of its log:", *(f"  {line}" for line in lines)]))
        host = told.get("NodeList", "").replace("(null)", "")
        return _death(f"{message} (job {job}_{index})", advice, host, log)

    def _slurm_log(self, job: str, index: int) -> Path:
        return Path(self.slurm_logs_folder) / f"{job}_{index}.out"

    def _end_earlier_array(self) -> None:
        """A driver that was killed leaves its array behind: end it before its tasks are given out again."""
        try:
            job = self._file("slurm_job").read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        self._ask("scancel", f"--name={self.job_name}", job)
        while self._queued(job):
            time.sleep(1)
        self._file("slurm_job").unlink()

    def _ask(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Slurm as if from outside of any job: the driver may be one."""
        strange = ("SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_", "RUN_OFFSET")
        environment = {
            name: value for name, value in os.environ.items() if name == "SLURM_CONF" or not name.startswith(strange)
        }
        try:
            return subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"{command[0]} did not answer")
        except FileNotFoundError:
            if command[0] != "sbatch":
                return subprocess.CompletedProcess(command, 1, "", f"{command[0]} is not here")
            raise _Refused("there is no `sbatch` here: run where Slurm's commands are, or use `local`") from None


_SLURM_ADVICE = {
    "OUT_OF_MEMORY": "Memory ran out: raise `memory_gb` in the profile.",
    "TIMEOUT": "It ran past its time limit: raise `time` in the profile.",
    "DEADLINE": "It ran past its time limit: raise `time` in the profile.",
    "NODE_FAIL": "The node failed, which is no fault of the task.",
    "BOOT_FAIL": "The node failed, which is no fault of the task.",
    "PREEMPTED": "Other jobs took its place, which is no fault of the task.",
    "CANCELLED": "Somebody or the cluster cancelled it.",
}


def _executor(stage: str, pipeline: list[PipelineStep], tasks: int, logs: Path, execution: Execution) -> _Witness:
    workers = min(execution.workers, tasks)
    if execution.kind == "local":
        return _Local(pipeline, tasks, workers, logging_dir=str(logs))
    if execution.kind == "ray":
        ray = _Ray(pipeline, tasks, workers, logging_dir=str(logs))
        ray.address = execution.ray_address
        return ray
    profile = execution.profile or SlurmProfile()
    slurm = _Slurm(
        pipeline,
        tasks,
        time=profile.time,
        partition=profile.partition,
        cpus_per_task=profile.cpus_per_task,
        workers=workers,
        job_name=f"corpuskit-{stage}",
        qos=profile.qos,
        env_command=_environment(profile),
        max_array_size=profile.max_array_size,
        logging_dir=str(logs),
        requeue_signals=None,
        requeue=False,
        tasks_per_job=profile.tasks_per_job,
    )
    slurm.profile = profile
    return slurm


def _environment(profile: SlurmProfile) -> str:
    """The lines of a job's script that come before Python."""
    lines = []
    if profile.modules:
        lines.append("type module >/dev/null 2>&1 || source /etc/profile")
        lines += [f"module load {shlex.quote(name)} || exit 1" for name in profile.modules]
    if profile.venv:
        lines.append(f"source {shlex.quote(str(Path(profile.venv).expanduser() / 'bin' / 'activate'))} || exit 1")
    else:
        lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"')
    offline = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE") if profile.offline else ()
    variables = dict.fromkeys(offline, "1") | profile.environment
    return "\n".join([*lines, *(f"export {name}={shlex.quote(str(value))}" for name, value in variables.items())])
