"""The tasks of a run under each executor, on a real Slurm and a real Ray: what is done, and what is told."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from clusters import MAX_ARRAY_SIZE, one_node_slurm, ray_cluster, slurm
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from corpuskit.executors import Execution, ProfileError, SlurmProfile, TaskFailed, load_profile, run_tasks

__all__ = ["one_node_slurm", "ray_cluster", "slurm"]

#: Clusters and their workers are started here; on a busy machine that takes long, and is no failure.
pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).parent.parent
ON_SLURM = pytest.mark.xdist_group("slurm")
ON_RAY = pytest.mark.xdist_group("ray")
EVERYWHERE = [
    "here",
    "local",
    pytest.param("slurm", marks=ON_SLURM),
    pytest.param("ray", marks=ON_RAY),
]


class Diary(PipelineStep):
    """Notes each task in ``folder``, then does to some of them what is to happen to them."""

    name = "Diary"
    type = "test"

    def __init__(self, folder: Path, fate: dict[int, str] | None = None) -> None:
        super().__init__()
        self.folder, self.fate = folder, fate or {}

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        (self.folder / f"{rank}.{time.time_ns()}").touch()
        match self.fate.get(rank):
            case "raise":
                raise ValueError(f"record 17 of task {rank} is no record")
            case "raise until mended" if not (self.folder / "mended").exists():
                raise ValueError("not yet")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "leave":
                os._exit(7)
            case "fill the disk":
                raise OSError(errno.ENOSPC, "No space left on device", "/scratch/part.parquet")
            case "wrapped":
                raise RuntimeError("the writer gave up") from OSError(errno.EDQUOT, "Disk quota exceeded")
            case "sleep":
                time.sleep(600)
            case "outlast the first":
                wait_for((self.folder / "logs" / "failures" / "00000.json").exists, "the first task has failed")
                time.sleep(3)
        return ()  # type: ignore[return-value]


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    folder = tmp_path / "a diary"  # a space in every path
    folder.mkdir()
    return folder


@pytest.fixture
def execution(request: pytest.FixtureRequest) -> Execution:
    kind = request.param
    if kind == "slurm":
        request.getfixturevalue("slurm")
        return Execution(kind="slurm", workers=4, profile=profile())
    if kind == "ray":
        return Execution(kind="ray", workers=4, ray_address=request.getfixturevalue("ray_cluster"))
    return Execution(workers=1 if kind == "here" else 2)


def profile(environment: dict[str, str | int] | None = None, **options: object) -> SlurmProfile:
    """The tests' cluster; its jobs find this module."""
    given = {"PYTHONPATH": str(Path(__file__).parent)} | (environment or {})
    return SlurmProfile.model_validate({"max_array_size": MAX_ARRAY_SIZE, "environment": given} | options)


def runs(diary: Path) -> dict[int, int]:
    """How often each task was started."""
    return dict(sorted(Counter(int(path.name.split(".")[0]) for path in diary.glob("*.*")).items()))


def failed(stage: str, steps: list[PipelineStep], tasks: int, logs: Path, execution: Execution) -> str:
    with pytest.raises(TaskFailed) as failure:
        run_tasks(stage, steps, tasks, logs, execution)
    return str(failure.value)


@pytest.mark.parametrize("execution", EVERYWHERE, indirect=True)
def test_every_task_runs_once_and_a_second_run_has_nothing_to_do(
    execution: Execution, diary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logs = diary / "logs"
    for _ in range(2):
        run_tasks("read", [Diary(diary)], 4, logs, execution)
    assert runs(diary) == {0: 1, 1: 1, 2: 1, 3: 1}
    assert sorted(path.name for path in (logs / "completions").iterdir()) == ["00000", "00001", "00002", "00003"]
    assert not (logs / "failures").exists()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("execution", EVERYWHERE, indirect=True)
def test_an_error_is_told_and_mended_the_run_goes_on(execution: Execution, diary: Path) -> None:
    logs, steps = diary / "logs", [Diary(diary, {1: "raise until mended", 3: "raise until mended"})]
    told = failed("read", steps, 4, logs, execution).split("\n")
    assert told[0].startswith("read: task 2 of 4 failed")
    assert told[0].endswith(": ValueError: not yet")
    assert told[1:] == [
        f"Its log: {logs}/logs/task_00001.log",
        "Finished tasks are kept: run the same command again and it goes on from there.",
    ]
    log = (logs / "logs" / "task_00001.log").read_text(encoding="utf-8")
    assert 'raise ValueError("not yet")' in log  # the traceback shows the line
    word = json.loads((logs / "failures" / "00001.json").read_text())
    assert (word["type"], word["message"]) == ("ValueError", "not yet")
    assert word["traceback"] in log
    assert word["host"] == os.uname().nodename

    before = runs(diary)
    done = {int(path.name) for path in (logs / "completions").iterdir()}
    assert 1 not in done
    (diary / "mended").touch()
    run_tasks("read", steps, 4, logs, execution)
    assert runs(diary) == {rank: before.get(rank, 0) + (rank not in done) for rank in range(4)}
    assert not (logs / "failures").exists()


@pytest.mark.parametrize("execution", EVERYWHERE[1:], indirect=True)
def test_a_worker_that_dies_ends_the_run(execution: Execution, diary: Path) -> None:
    logs = diary / "logs"
    told = failed("read", [Diary(diary, {2: "die"})], 4, logs, execution)
    assert told.startswith("read: task 3 of 4 failed")
    assert "its worker" in told
    assert "memory" in told
    if execution.kind != "ray":  # which does not say
        assert "killed by SIGKILL" in told
    assert "Finished tasks are kept" in told
    assert not (logs / "completions" / "00002").exists()


@pytest.mark.parametrize("execution", EVERYWHERE, indirect=True)
def test_a_full_disk_is_told_in_plain_words(execution: Execution, diary: Path) -> None:
    told = failed("collate", [Diary(diary, {0: "fill the disk"})], 1, diary / "logs", execution)
    assert "No space left on device" in told
    assert "\nThe disk is full: /scratch/part.parquet. Free some space.\n" in told


def test_what_the_machine_refuses_is_told_wherever_it_was_wrapped(diary: Path) -> None:
    told = failed("collate", [Diary(diary, {0: "wrapped"})], 1, diary / "logs", Execution())
    assert "RuntimeError: the writer gave up\nThe disk quota is used up. Free some space, or ask for more.\n" in told


def test_logs_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = failed("read", [Diary(tmp_path)], 1, tmp_path / "file" / "logs", Execution())
    assert told == f"read: {tmp_path}/file/logs cannot be written: Not a directory."


@pytest.mark.parametrize("execution", [*EVERYWHERE[:2], EVERYWHERE[3]], indirect=True)
def test_nothing_new_starts_after_a_failure(execution: Execution, diary: Path) -> None:
    fate = {0: "raise"} | dict.fromkeys(range(1, 30), "outlast the first")
    failed("read", [Diary(diary, fate)], 30, diary / "logs", execution)
    assert len(runs(diary)) <= execution.workers + 1


def test_the_lowest_rank_is_told_although_another_failed_first(diary: Path) -> None:
    class SlowToFail(Diary):
        def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
            time.sleep(0 if rank else 1)
            return super().run(data, rank, world_size)

    told = failed("read", [SlowToFail(diary, {0: "raise", 1: "raise"})], 9, diary / "logs", Execution(workers=2))
    assert told.startswith("read: task 1 of 9 failed (and 1 more): ValueError: record 17 of task 0 is no record")


def test_a_worker_that_leaves_is_told_with_its_exit_code(diary: Path) -> None:
    told = failed("read", [Diary(diary, {0: "leave"})], 2, diary / "logs", Execution(workers=2))
    assert "its worker ended by itself with exit code 7 and said nothing" in told


def test_the_exception_itself_is_the_cause_where_it_was_raised_here(diary: Path) -> None:
    with pytest.raises(TaskFailed) as failure:
        run_tasks("read", [Diary(diary, {0: "raise"})], 1, diary / "logs", Execution())
    assert isinstance(failure.value.__cause__, ValueError)


#: A script as people write them: its step is its own, and nothing guards its main part.
SCRIPT = """
import sys, time
from pathlib import Path
from datatrove.pipeline.base import PipelineStep
from corpuskit.executors import Execution, SlurmProfile, run_tasks

FOLDER = Path(sys.argv[1])

def note(name):
    (FOLDER / f"{name}.{time.time_ns()}").touch()

class Own(PipelineStep):
    name, type = "Own", "test"

    def run(self, data, rank=0, world_size=1):
        note(rank)
        if rank in (1, 2) and not (FOLDER / "mended").exists():
            time.sleep(600)
        return ()

run_tasks("read", [Own()], 4, FOLDER / "logs", Execution(**EXECUTION))
"""


Start = Callable[[Path, Execution], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the script as a driver of its own; what the test leaves of it is ended."""
    drivers: list[subprocess.Popen[bytes]] = []

    def start_one(diary: Path, execution: Execution) -> subprocess.Popen[bytes]:
        script = tmp_path / "script.py"
        script.write_text(SCRIPT.replace("EXECUTION", repr(execution.model_dump())), encoding="utf-8")
        # Where the tests themselves run in the background, Ctrl-C is ignored, and would be here.
        listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        drivers.append(subprocess.Popen([sys.executable, str(script), str(diary)], preexec_fn=listen))
        return drivers[-1]

    yield start_one
    for driver in drivers:
        driver.terminate()
        driver.wait(60)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.mark.parametrize("execution", EVERYWHERE[1:], indirect=True)
def test_a_run_that_was_killed_goes_on_from_there(execution: Execution, start: Start, diary: Path) -> None:
    """SIGKILL reaches the driver alone; what it started must not write beside the run that follows."""
    first = start(diary, execution.model_copy(update={"workers": 3}))
    wait_for(lambda: runs(diary).keys() >= {0, 1, 2} and (diary / "logs/completions/00000").exists(), "the first run")
    first.kill()
    first.wait()
    done = {int(path.name) for path in (diary / "logs" / "completions").iterdir()}
    before = runs(diary)
    (diary / "mended").touch()
    assert start(diary, execution).wait(240) == 0
    assert runs(diary) == {rank: before.get(rank, 0) + (rank not in done) for rank in range(4)}
    wait_for(lambda: not left_over(first, diary), "what the first run started has ended")


def left_over(driver: subprocess.Popen[bytes], diary: Path) -> list[str]:
    """Command lines of workers of this run that are still there."""
    processes = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    marks = (str(diary), f"workers of {driver.pid} ")
    return [line for line in processes.splitlines() if any(mark in line for mark in marks) and "ps -ewwo" not in line]


@pytest.mark.parametrize("execution", EVERYWHERE[1:3], indirect=True)
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_leaves_nothing_running(execution: Execution, start: Start, sent: int, diary: Path) -> None:
    driver = start(diary, execution.model_copy(update={"workers": 2}))
    wait_for(lambda: 1 in runs(diary), "a task that sleeps")
    assert left_over(driver, diary)
    driver.send_signal(sent)
    assert driver.wait(120) != 0
    wait_for(lambda: not left_over(driver, diary), "the tasks have ended")
    if execution.kind == "slurm":
        job = (diary / "logs" / "slurm_job").read_text()
        listed = ["squeue", "--noheader", f"--jobs={job}"]
        wait_for(lambda: not subprocess.run(listed, capture_output=True, check=False).stdout, "the array has ended")


@ON_SLURM
def test_more_tasks_than_an_array_holds(slurm: Path, diary: Path) -> None:
    tasks = MAX_ARRAY_SIZE + 2
    run_tasks("read", [Diary(diary)], tasks, diary / "logs", Execution(kind="slurm", workers=4, profile=profile()))
    assert runs(diary) == dict.fromkeys(range(tasks), 1)
    assert len(list((diary / "logs" / "slurm_logs").iterdir())) == tasks


@ON_SLURM
def test_tasks_in_bundles(slurm: Path, diary: Path) -> None:
    """Nine tasks in three jobs; one raises, one dies, and those behind them in their job were not reached."""
    execution = Execution(kind="slurm", workers=3, profile=profile(tasks_per_job=3))
    told = failed("read", [Diary(diary, {1: "die", 4: "raise until mended"})], 9, diary / "logs", execution)
    assert told.startswith("read: task 2 of 9 failed on node (and 1 more): its worker was killed by SIGKILL")
    (diary / "mended").touch()
    run_tasks("read", [Diary(diary, {4: "raise until mended"})], 9, diary / "logs", execution)
    assert len(list((diary / "logs" / "completions").iterdir())) == 9


@ON_SLURM
def test_a_driver_inside_an_array_is_a_driver(slurm: Path, diary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "17", "SLURM_MEM_PER_CPU": "1", "SBATCH_PARTITION": "none"}
    for name, value in (inside | {"RUN_OFFSET": "1", "SQUEUE_STATES": "FAILED"}).items():
        monkeypatch.setenv(name, value)
    run_tasks("read", [Diary(diary)], 2, diary / "logs", Execution(kind="slurm", workers=2, profile=profile()))
    assert runs(diary) == {0: 1, 1: 1}


@ON_SLURM
def test_what_slurm_refuses_is_told_in_its_own_words(slurm: Path, diary: Path) -> None:
    execution = Execution(kind="slurm", profile=profile(partition="cpu_p7"))
    told = failed("read", [Diary(diary)], 2, diary / "logs", execution)
    assert told.startswith("read: Slurm refused the job.")
    assert "invalid partition specified: cpu_p7" in told
    assert told.endswith("Mend the profile, and run again.")


@ON_SLURM
def test_a_job_that_cannot_start_python_shows_its_log(slurm: Path, diary: Path) -> None:
    told = failed("read", [Diary(diary)], 2, diary / "logs", Execution(kind="slurm", profile=profile(venv="/no/venv")))
    assert told.startswith("read: task 1 of 2 failed on node: its worker ended by itself with exit code 1")
    assert "/no/venv/bin/activate: No such file or directory" in told


@ON_SLURM
def test_a_cancelled_task_is_told(slurm: Path, diary: Path) -> None:
    def cancel() -> None:
        wait_for(lambda: runs(diary), "a task that sleeps")
        subprocess.run(["scancel", (diary / "logs" / "slurm_job").read_text() + "_0"], check=True)

    somebody = threading.Thread(target=cancel)
    somebody.start()
    execution = Execution(kind="slurm", workers=1, profile=profile())
    told = failed("read", [Diary(diary, {0: "sleep"})], 2, diary / "logs", execution)
    somebody.join()
    assert told.startswith("read: task 1 of 2 failed on node: Slurm says CANCELLED (job ")
    assert "\nSomebody or the cluster cancelled it.\n" in told


@ON_SLURM
def test_the_profile_reaches_the_job(slurm: Path, diary: Path) -> None:
    class Environment(Diary):
        def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
            (self.folder / "environment.json").write_text(json.dumps(dict(os.environ) | {"python": sys.executable}))
            return ()  # type: ignore[return-value]

    given = profile(
        partition="cpu",
        time="00:05:00",
        cpus_per_task=2,
        offline=True,
        environment={"GREETING": "bon jour", "OMP_NUM_THREADS": 2},
        sbatch={"hint": "nomultithread", "nice": 1, "exclusive": False, "comment": "two words"},
    )
    run_tasks("read", [Environment(diary)], 1, diary / "logs", Execution(kind="slurm", profile=given))
    there = json.loads((diary / "environment.json").read_text())
    assert there["GREETING"] == "bon jour"
    assert [there[name] for name in ("SLURM_CPUS_PER_TASK", "SLURM_JOB_PARTITION", "OMP_NUM_THREADS")] == [
        "2", "cpu", "2"
    ]  # fmt: skip
    assert [there[name] for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")] == ["1"] * 3
    assert there["python"] == sys.executable
    script = (diary / "logs" / "launch_script.slurm").read_text()
    assert "--time=00:05:00\n" in script
    assert "--comment='two words'\n" in script
    for absent in ("qos", "mem", "requeue=", "exclusive", "mail"):
        assert f"--{absent}" not in script


def test_without_slurm_the_message_says_so(diary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(diary))
    told = failed("read", [Diary(diary)], 1, diary / "logs", Execution(kind="slurm"))
    assert told == "read: there is no `sbatch` here: run where Slurm's commands are, or use `local`"


@ON_RAY
def test_without_a_cluster_the_message_says_so(diary: Path) -> None:
    pytest.importorskip("ray")
    execution = Execution(kind="ray", ray_address="127.0.0.1:1")
    told = failed("read", [Diary(diary)], 1, diary / "logs", execution)
    assert told.startswith("read: no Ray cluster answers at '127.0.0.1:1'")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "expected fields such as `partition:` and `time:`, found list"),
        ("partition: [", "not YAML"),
        ("partition: cpu\npartition: gpu", "`partition` stands there twice"),
        ("partitoin: cpu", "  - partitoin: no such option; did you mean `partition`?"),
        ("colour: blue", "  - colour: no such option; known: partition, account"),
        (
            "time: 20:00:00",
            '  - time: expected hours, minutes and seconds in quotes, such as "20:00:00" (given: 72000)',
        ),
        ("time: a day", "such as \"20:00:00\" (given: 'a day')"),
        ("memory_gb: -1", "  - memory_gb: Input should be greater than 0 (given: -1)"),
        ("cpus_per_task: many", "  - cpus_per_task: Input should be a valid integer"),
        ("modules: python", "  - modules: Input should be a valid list (given: 'python')"),
        ("environment: {1X: y}", "  - environment: '1X' is no name of a variable"),
        ("environment: {X: [1]}", "  - environment.X: expected a text or a number (given: [1])"),
        ("sbatch: {mem-per-cpu: 2G}", "  - sbatch: `mem-per-cpu` has a field of its own here: `memory_gb`"),
        ("sbatch: {array: 0-9}", "  - sbatch: `array` is set by corpuskit itself; take it out"),
        ("sbatch: {hint: [a]}", "  - sbatch.hint: expected a text or a number (given: ['a'])"),
    ],
)
def test_a_profile_that_is_wrong_says_where(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ProfileError) as error:
        load_profile(path)
    assert told in str(error.value)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value).splitlines()) <= max(2, 1 + content.count("\n") * 9) or "not YAML" in str(error.value)


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"x\.yaml: there is no such file"):
        load_profile(tmp_path / "x.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines" / "slurm").glob("*.yaml")), ids=lambda path: path.name)
def test_the_profiles_that_come_with_the_project_load(path: Path) -> None:
    given = load_profile(path)
    assert given.qos is None
    assert given.time


def test_jean_zay_is_offline_and_charged_to_a_cpu_account() -> None:
    given = load_profile(ROOT / "pipelines" / "slurm" / "jean-zay.yaml")
    assert given.offline
    assert given.account == "abc@cpu"
    assert given.partition == "cpu_p1"
    assert given.sbatch == {"hint": "nomultithread"}


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines" / "slurm").glob("*.sbatch")), ids=lambda path: path.name)
def test_the_scripts_that_come_with_the_project_are_bash(path: Path) -> None:
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@ON_SLURM
@pytest.mark.parametrize("script", ["build-one-node.sbatch", "build.sbatch"])
def test_the_scripts_that_come_with_the_project_build_a_corpus(slurm: Path, diary: Path, script: str) -> None:
    """On one node, and from a driver that is itself a job."""
    given = {"time": "00:05:00", "max_array_size": MAX_ARRAY_SIZE, "partition": "cpu"}
    (diary / "profile.yaml").write_text(json.dumps(given))
    config, output = ROOT / "corpuskit" / "samples" / "demo.yaml", diary / "corpus"
    here = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "WORKERS": "1"}
    command = ["sbatch", "--wait", "--time=00:05:00", "--cpus-per-task=1", f"--output={diary}/log"]
    command += [str(ROOT / "pipelines" / "slurm" / script), str(config), str(output)]
    done = subprocess.run(command, cwd=diary, env=os.environ | here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (diary / "log").read_text()
    assert json.loads((output / "manifest.json").read_text())["tool"] == "corpuskit build"
    assert any((output / "paragraphs").iterdir())
