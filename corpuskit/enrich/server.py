"""A vLLM of our own: started for one run, watched while it gets ready, and gone at the end however that comes.

vLLM runs in an environment of its own if need be; nothing of it is imported here. Between this process and vLLM
stands a keeper, a few lines of Python in another session, so that Ctrl-C at the terminal reaches neither of the two.
The keeper ends vLLM and all that vLLM has started as soon as its standard input is closed: by :func:`serve` at the
end of the block, or by the kernel when this process is killed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from pydantic import Field

from corpuskit.steps import StepOptions

#: Seconds that vLLM has to end by itself, before it is killed.
GRACE = 15.0


class ServerError(Exception):
    """vLLM did not start, or died; the message says why as far as its log tells, and what to do."""


class ServeOptions(StepOptions):
    """How to start vLLM."""

    model: str = Field(min_length=1, description="folder of the model, or its name on the Hugging Face Hub")
    served_name: str | None = Field(None, description="what requests call it, `model` unless given")
    python: str = Field(sys.executable, description="Python of the environment that has vLLM")
    revision: str | None = Field(None, description="revision of the model on the Hub")
    tensor_parallel: int = Field(1, ge=1, description="GPUs that share one copy of the model")
    data_parallel: int = Field(1, ge=1, description="copies of the model side by side")
    port: int | None = Field(None, ge=1, le=65535, description="a free one unless given")
    extra: list[str] = Field(default=[], description="any other flags of vLLM, word by word")
    # Secrets may be among them: never shown, never written.
    environment: dict[str, str] = Field(default={}, exclude=True, repr=False, description="variables of vLLM")
    ready_timeout: float = Field(1800, gt=0, description="seconds until it must be ready, downloads included")

    @property
    def name(self) -> str:
        """What requests call the model."""
        return self.served_name or self.model

    def command(self, port: int) -> list[str]:
        """The command line of vLLM.

        Raises:
            ServerError: a flag has an option of its own here, or must not stand on a command line.
        """
        for flag in (word.split("=")[0].replace("_", "-") for word in self.extra if word.startswith("-")):
            if flag in _OWN:
                raise ServerError(f"{flag} cannot be given as a flag of vLLM: {_OWN[flag]}")
        flags = {
            "--model": self.model,
            "--served-model-name": self.name,
            "--host": "127.0.0.1",
            "--port": str(port),
            "--revision": self.revision,
            "--tensor-parallel-size": str(self.tensor_parallel) if self.tensor_parallel > 1 else None,
            "--data-parallel-size": str(self.data_parallel) if self.data_parallel > 1 else None,
            # Small models write white space inside JSON until no token is left. Only a named backend takes this.
            "--structured-outputs-config": json.dumps({"backend": "xgrammar", "disable_any_whitespace": True}),
        }
        given = [word for flag, value in flags.items() if value is not None for word in (flag, value)]
        # Cached tokens are told only if asked for; a line in the log for each of millions of requests is no use.
        switches = ["--enable-prefix-caching", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"]
        return [self.python, "-m", "vllm.entrypoints.openai.api_server", *given, *switches, *self.extra]


#: Flags that :class:`ServeOptions` sets, or that would show a secret to all users of the machine.
_OWN = {
    **dict.fromkeys(["--model", "--served-model-name"], "the model has an option of its own"),
    **dict.fromkeys(["--host", "--port", "--uds"], "corpuskit chooses the address, on this machine only"),
    **dict.fromkeys(["--tensor-parallel-size", "-tp"], "the option is `--tensor-parallel`"),
    **dict.fromkeys(["--data-parallel-size", "-dp"], "the option is `--data-parallel`"),
    "--revision": "the option is `--revision`",
    "--api-key": "set VLLM_API_KEY in the environment, where others do not see it",
    "--hf-token": "set HF_TOKEN in the environment, where others do not see it",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A vLLM that is ready.

    Attributes:
        url: of its API, such as ``http://127.0.0.1:41234/v1``.
        model: what requests call the model.
        pid: its process.
        version: of vLLM.
        log: what it writes.
    """

    url: str
    model: str
    pid: int
    version: str
    log: Path
    _keeper: subprocess.Popen[bytes]

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            ServerError: it has died since.
        """
        if (code := self._keeper.poll()) is not None:
            raise _died(code, self.log, "vLLM died during the run")


#: What stands between: it tells vLLM's process id, and follows vLLM until that ends or must end.
_KEEPER = """
import ctypes, os, select, signal, subprocess, sys, time
grace, command = float(sys.argv[1]), sys.argv[2:]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: what vLLM leaves behind becomes our child
server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True)

def kill():
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass

try:
    print(server.pid, flush=True)
    while server.poll() is None and not select.select([0], [], [], 0.2)[0]:
        pass
finally:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(grace)
        except subprocess.TimeoutExpired:
            kill()
    # What is left of the group first cleans up after itself, if it can: shared memory, files.
    code, end = server.wait(), time.monotonic() + min(grace, 2)
    try:
        while time.monotonic() < end + 8:
            os.waitpid(-1, os.WNOHANG)
            if time.monotonic() > end:
                kill()
            time.sleep(0.02)
    except ChildProcessError:  # nobody is left
        pass
    kill()
    os._exit(code if code >= 0 else 128 - code)
"""


@contextmanager
def serve(options: ServeOptions, log: Path, tell: Callable[[str], None] | None = None) -> Iterator[Server]:
    """Run vLLM while the block runs.

    Args:
        options: which model, and how.
        log: file for all that vLLM writes; an older one is replaced.
        tell: called with a line for people when vLLM is started and when it is ready.

    Raises:
        ServerError: it cannot be started, dies, or is not ready in time.
    """
    python = shutil.which(os.path.expanduser(options.python))
    if python is None:
        raise ServerError(f"{options.python}: there is no such Python; name the one of the environment that has vLLM")
    port = _free_port(options.port)
    command = options.model_copy(update={"python": python}).command(port)
    environment = _environment(options)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("wb")
    except OSError as error:
        raise ServerError(f"{log}: the log of vLLM cannot be written: {error.strerror}") from None
    with output:
        output.write(f"$ {shlex.join(command)}\n".encode())
        output.flush()
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-c", _KEEPER, str(GRACE), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
    try:
        if tell:
            tell(f"starting vLLM with {options.name} on port {port}; its log: {log}")
        begin = time.monotonic()
        pid = _pid(keeper, log)
        root = f"http://127.0.0.1:{port}"
        _wait_until_ready(keeper, root, log, options.ready_timeout)
        server = Server(f"{root}/v1", options.name, pid, _identify(root, options, environment), log, keeper)
        server.check()  # before anything else that answers there is taken for it
        if tell:
            tell(f"vLLM {server.version} is ready after {time.monotonic() - begin:.0f} s")
        yield server
    finally:
        _end(keeper)


def _free_port(wanted: int | None) -> int:
    """The port that is wanted, or any, when nobody listens there."""
    with closing(socket.socket()) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as vLLM does: one just left is free
        try:
            trial.bind(("127.0.0.1", wanted or 0))
        except OSError as error:
            raise ServerError(f"port {wanted} cannot be used: {error.strerror}. Choose another, or none.") from None
        return int(trial.getsockname()[1])


def _environment(options: ServeOptions) -> dict[str, str]:
    # Nothing is reported to anyone; a folder called vllm where the user stands is not the package.
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    local = {"HF_HUB_OFFLINE": "1"} if os.path.isdir(options.model) else {}
    return quiet | local | os.environ | options.environment


def _pid(keeper: subprocess.Popen[bytes], log: Path) -> int:
    assert keeper.stdout is not None
    line = keeper.stdout.readline()
    if not line:
        raise _died(keeper.wait(), log, "vLLM could not be started")
    return int(line)


def _wait_until_ready(keeper: subprocess.Popen[bytes], root: str, log: Path, timeout: float) -> None:
    end = time.monotonic() + timeout
    while True:
        if (code := keeper.poll()) is not None:
            raise _died(code, log, "vLLM ended before it was ready")
        with suppress(OSError, HTTPException):  # it does not listen yet
            _get(f"{root}/health")
            return
        if time.monotonic() > end:
            raise ServerError(
                f"vLLM is not ready after {timeout:.0f} s. {_told(log)}\n"
                "A large model takes long to download and load: give it more time, or see the log."
            )
        time.sleep(0.25)


def _identify(root: str, options: ServeOptions, environment: dict[str, str]) -> str:
    """The version of vLLM, once it is sure that it serves our model."""
    try:
        served = json.loads(_get(f"{root}/v1/models", environment.get("VLLM_API_KEY")))["data"]
        if options.name in [model["id"] for model in served]:
            return str(json.loads(_get(f"{root}/version"))["version"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        pass
    raise ServerError(f"{root} answers, but not as a vLLM that serves {options.name}: choose another port, or none")


#: Proxies are for the network, not for this machine.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _get(url: str, key: str | None = None) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    with _DIRECT.open(request, timeout=10) as answer:
        return answer.read()


def _end(keeper: subprocess.Popen[bytes]) -> None:
    """Have the keeper end vLLM; whatever interrupts the waiting, it does so."""
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    keeper.stdin.close()
    keeper.stdout.close()
    with suppress(subprocess.TimeoutExpired):  # a driver that hangs: nothing more can be done from here
        keeper.wait(GRACE + 15)


def _died(code: int, log: Path, what: str) -> ServerError:
    number = code - 128 if code > 128 else -code
    how = f"exit code {code}"
    with suppress(ValueError):
        how = f"killed by {signal.Signals(number).name}"
    written = _read(log)
    advice = next((advice for pattern, advice in _ADVICE.items() if re.search(pattern, written)), "")
    if not advice and number == signal.SIGKILL:
        advice = _MEMORY
    return ServerError("\n".join(filter(None, [f"{what} ({how}). {_told(log, written)}", advice])))


_MEMORY = (
    "Memory ran out: take a smaller model, lower --max-model-len or --max-num-seqs, or share the model among more GPUs."
)
_HUB = (
    "The model was not found: give a folder, or a name on the Hugging Face Hub. A gated one wants its terms accepted"
    " there, and HF_TOKEN in the environment."
)
#: What to do, by what stands in the log; the first that is found.
_ADVICE = {
    r"No module named '?vllm": (
        "That Python has no vLLM. With a GPU, `pip install vllm` in its environment is enough, or name the Python of"
        " another environment. Without one, `--serve demo` tries a tiny model."
    ),
    r"(?i)out of memory|MemoryError|No available memory for the cache|Free memory on device|can't allocate memory"
    r"|larger than the available KV cache": _MEMORY,
    r"(?i)address already in use": "Something else took the port meanwhile: choose another, or none.",
    r"unrecognized arguments|api_server\.py: error: argument": (
        "This version of vLLM does not take that flag: see `python -m vllm.entrypoints.openai.api_server --help`."
    ),
    r"(?i)gated repo|RepositoryNotFound|not a valid model identifier|Repo id must|Invalid repository ID"
    r"|LocalEntryNotFound|OfflineModeIsEnabled|401 Client Error|does not appear to have a file named config": _HUB,
    r"libcuda|No CUDA GPUs|Failed to infer device type|NVIDIA driver": (
        "vLLM finds no GPU here that it can use. Without one, `--serve demo` tries a tiny model."
    ),
}


def _read(log: Path) -> str:
    """The end of the log."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 200_000))
        return file.read().decode(errors="replace")
    return ""


def _told(log: Path, written: str | None = None) -> str:
    """The last lines of the log, and before them what vLLM calls the root cause."""
    lines = [line.rstrip()[:500] for line in (_read(log) if written is None else written).splitlines() if line.strip()]
    last = lines[-8:]
    errors = [line for line in lines[:-8] if re.search(r"\b[\w.]*(Error|Exception): ", line)]
    return "\n".join([f"Its log, {log}, ends with:", *(f"  {line}" for line in [*dict.fromkeys(errors[:2]), *last])])
