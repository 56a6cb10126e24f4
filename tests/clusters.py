"""A real Slurm and a real Ray on this machine, for as long as a test session needs them.

Import the fixture that a test module wants, and mark what uses it, so that one test process starts it::

    from clusters import slurm

    @pytest.mark.xdist_group("slurm")
    def test_something(slurm): ...

All state is in a temporary folder, all ports and sockets are their own, and every daemon ends with the
test process, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

#: Tasks of a test are tiny: more of them than cores may run side by side.
CPUS = 4
#: More tasks than this in one array are refused.
MAX_ARRAY_SIZE = 5

_SLURM_CONF = """
ClusterName=corpuskit
SlurmctldHost=localhost
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
KillWait=2
# A busy machine may take long over what takes no time.
MessageTimeout=60
BatchStartTimeout=120
MaxArraySize={array}
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=cpu Nodes=node Default=YES MaxTime=10 State=UP
"""


@contextmanager
def _daemon(command: list[str], log: Path) -> Iterator[None]:
    """A process in the foreground of nobody, which the kernel ends with this one."""
    libc = ctypes.CDLL(None)

    def die_with_parent() -> None:
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(ready: Callable[[], bool], what: str, folder: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            logs = "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in sorted(folder.glob("*.log")))
            raise RuntimeError(f"{what} did not start\n{logs}")
        time.sleep(0.1)


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _answers(command: list[str], expected: str = "") -> bool:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0 and expected in done.stdout


@contextmanager
def one_node_slurm(folder: Path) -> Iterator[Path]:
    """Run slurmctld, slurmd and munged with all their state in ``folder``; SLURM_CONF leads to them."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)  # munged insists on being reachable
    controller, node = _free_ports(2)
    conf, munge = folder / "slurm.conf", f"{folder}/munge"
    text = _SLURM_CONF.format(
        folder=folder, controller=controller, node=node, host=socket.gethostname(), cpus=CPUS, array=MAX_ARRAY_SIZE
    )
    conf.write_text(text.lstrip())
    subprocess.run(["mungekey", "--create", f"--keyfile={munge}.key"], check=True)
    files = [f"--{name}-file={munge}.{name}" for name in ("key", "pid", "seed")]
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("SLURM_CONF", str(conf))
        start = stack.enter_context
        # Sockets are unlinked by --force should they be there.
        start(
            _daemon(
                ["munged", "--foreground", "--force", f"--socket={munge}.socket", *files, f"--log-file={munge}d.log"],
                folder / "munged.out.log",
            )
        )
        _wait_for(lambda: _answers(["munge", "--no-input", f"--socket={munge}.socket"]), "munged", folder)
        start(_daemon(["slurmctld", "-D", "-f", str(conf)], folder / "slurmctld.log"))
        start(_daemon(["slurmd", "-D", "-N", "node", "-f", str(conf)], folder / "slurmd.log"))
        _wait_for(lambda: _answers(["sinfo", "--noheader", "--format=%T"], "idle"), "Slurm", folder)
        try:
            yield conf
        finally:
            # What still runs would outlive slurmd.
            subprocess.run(["scancel", "--user=root", "--signal=KILL", "--full"], check=False)
            subprocess.run(["scancel", "--user=root"], check=False)
            end = time.monotonic() + 10
            while not _answers(["bash", "-c", '[ -z "$(squeue --noheader)" ]']) and time.monotonic() < end:
                time.sleep(0.2)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Slurm of one node: SLURM_CONF is set; partition `cpu`, arrays of ``MAX_ARRAY_SIZE`` tasks."""
    missing = [name for name in ("slurmctld", "slurmd", "sbatch", "munged", "mungekey") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"Slurm is not installed ({', '.join(missing)} missing): apt-get install slurm-wlm munge")
    if os.geteuid():
        pytest.skip("slurmd can only be started by root")
    with one_node_slurm(tmp_path_factory.mktemp("slurm")) as conf:
        yield conf


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """A Ray cluster of two nodes of two processors each; yields its address."""
    pytest.importorskip("ray", reason="ray is not installed: pip install 'corpuskit-fr[ray]'")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        try:
            cluster.add_node(num_cpus=2)
            cluster.wait_for_nodes(timeout=120)
            yield cluster.address
        finally:
            cluster.shutdown()
