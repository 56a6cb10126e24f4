"""A vLLM of our own, here a program that behaves like one: it starts, tells what is wrong, and never outlives us."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from corpuskit.enrich import server
from corpuskit.enrich.server import ServeOptions, ServerError, serve

#: Says what it is told to, and behaves as FAKE_VLLM says; leaves the ids of its processes in FAKE_PIDS.
VLLM = """
import http.server, json, os, signal, subprocess, sys, time

behaviour = os.environ.get("FAKE_VLLM", "")
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
worker = subprocess.Popen(
    [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"]
)
with open(os.environ["FAKE_PIDS"] + ".partial", "w") as pids:
    print(os.getpid(), worker.pid, file=pids)
os.rename(os.environ["FAKE_PIDS"] + ".partial", os.environ["FAKE_PIDS"])
print("INFO loading", flush=True)
if behaviour.startswith("dies: "):
    sys.exit(behaviour.removeprefix("dies: "))
if behaviour == "hangs":
    time.sleep(600)
time.sleep(1)
given = dict(zip(sys.argv[1:], sys.argv[2:]))


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = "another" if behaviour == "another" else given["--served-model-name"]
        content = {
            "/health": None, "/version": {"version": "0.0.1"}, "/v1/models": {"data": [{"id": name}]},
        }[self.path]
        key = os.environ.get("VLLM_API_KEY")
        refused = self.path.startswith("/v1") and key and self.headers["Authorization"] != f"Bearer {key}"
        self.send_response(401 if refused else 200)
        self.end_headers()
        self.wfile.write(b"" if content is None else json.dumps(content).encode())


http.server.ThreadingHTTPServer(("127.0.0.1", int(given["--port"])), Answers).serve_forever()
"""

DRIVER = """
import os, signal, sys, time
from pathlib import Path
from corpuskit.enrich.server import ServeOptions, serve

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background sets it to be ignored
environment = {"PYTHONPATH": sys.argv[1], "FAKE_PIDS": sys.argv[2], "FAKE_VLLM": sys.argv[3]}
with serve(ServeOptions(model="tiny", environment=environment), Path(sys.argv[2] + ".log")) as server:
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the package ``vllm``."""
    folder = tmp_path_factory.mktemp("fake")
    inner = folder / "vllm" / "entrypoints" / "openai"
    inner.mkdir(parents=True)
    for part in (inner, inner.parent, inner.parent.parent):
        (part / "__init__.py").touch()
    (inner / "api_server.py").write_text(VLLM, encoding="utf-8")
    return folder


@pytest.fixture
def options(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ServeOptions]:
    """Options for a vLLM that behaves as told."""
    monkeypatch.setattr(server, "GRACE", 0.5)
    # Proxies are not for this machine.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    def make(behaviour: str = "", **more: object) -> ServeOptions:
        environment = {"PYTHONPATH": str(package), "FAKE_PIDS": str(tmp_path / "pids"), "FAKE_VLLM": behaviour}
        return ServeOptions.model_validate({"model": "tiny", "environment": environment} | more)

    return make


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ")[-1][0] != "Z"
    except OSError:
        return False


def processes(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def nothing_left(folder: Path) -> bool:
    return not any(alive(pid) for pid in processes(folder))


def test_it_is_ready_then_gone(options: Callable[..., ServeOptions], tmp_path: Path) -> None:
    told: list[str] = []
    log = tmp_path / "logs" / "vllm.log"
    with serve(options(served_name="mini"), log, told.append) as running:
        assert (running.model, running.version, running.log) == ("mini", "0.0.1", log)
        assert running.pid == processes(tmp_path)[0]
        assert all(alive(pid) for pid in processes(tmp_path))
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{running.url}/models") as answer:
            assert json.load(answer)["data"] == [{"id": "mini"}]
        running.check()
        # What reaches our group, as Ctrl-C at a terminal does, does not reach vLLM.
        assert os.getpgid(running.pid) == running.pid != os.getpgid(0)
    assert nothing_left(tmp_path)
    assert len(told) == 2
    assert "0.0.1" in told[1]
    assert log.read_text().startswith(f"$ {sys.executable} -m vllm.entrypoints.openai.api_server --model tiny")
    assert "INFO loading" in log.read_text()


@pytest.mark.parametrize("behaviour", ["", "stubborn"])
def test_an_exception_ends_it(behaviour: str, options: Callable[..., ServeOptions], tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), serve(options(behaviour), tmp_path / "log"):
        _ = 1 / 0
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("number", "behaviour"),
    [(signal.SIGINT, ""), (signal.SIGTERM, ""), (signal.SIGKILL, ""), (signal.SIGKILL, "hangs")],
)
def test_it_ends_with_us(number: signal.Signals, behaviour: str, package: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(package), str(tmp_path / "pids"), behaviour]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as driver:
        try:
            if behaviour == "hangs":  # that is, while we wait for it
                wait_for((tmp_path / "pids").exists, "vLLM does not start")
            else:
                assert driver.stdout is not None
                assert driver.stdout.readline() == b"ready\n"
            assert all(alive(pid) for pid in processes(tmp_path))
            os.killpg(driver.pid, number)
            assert driver.wait(60) in (-number, 130)
            wait_for(lambda: nothing_left(tmp_path), "something of vLLM is left")
        finally:
            driver.kill()


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "smaller model"),
        ("ValueError: No available memory for the cache blocks.", "smaller model"),
        ("OSError: [Errno 98] Address already in use", "choose another"),
        ("api_server.py: error: unrecognized arguments: --what", "does not take that flag"),
        ("OSError: a/b is not a local folder and is not a valid model identifier listed on the Hub", "HF_TOKEN"),
        ("RuntimeError: Failed to infer device type", "--serve demo"),
        ("RuntimeError: something new", ""),
    ],
)
def test_what_it_dies_of_is_told(words: str, advice: str, options: Callable[..., ServeOptions], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(ServerError) as caught, serve(options(f"dies: {words}"), log):
        pytest.fail("it was not ready")
    message = str(caught.value)
    assert "exit code 1" in message
    assert words in message
    assert str(log) in message
    assert advice in message
    assert nothing_left(tmp_path)


def test_the_cause_stands_before_the_last_lines(options: Callable[..., ServeOptions], tmp_path: Path) -> None:
    words = "\n".join(["ValueError: the cause", *(f"line {at}" for at in range(50)), "RuntimeError: see above"])
    with pytest.raises(ServerError) as caught, serve(options(f"dies: {words}"), tmp_path / "log"):
        pytest.fail("it was not ready")
    message = str(caught.value)
    assert message.index("the cause") < message.index("line 49") < message.index("see above")
    assert "line 20" not in message


def test_a_python_without_vllm(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="has no vLLM"), serve(ServeOptions(model="tiny"), tmp_path / "log"):
        pytest.fail("it was not ready")
    with (
        pytest.raises(ServerError, match="no such Python"),
        serve(ServeOptions(model="tiny", python=str(tmp_path / "python")), tmp_path / "log"),
    ):
        pytest.fail("it was not ready")


def test_one_that_is_never_ready(options: Callable[..., ServeOptions], tmp_path: Path) -> None:
    with (
        pytest.raises(ServerError, match=r"not ready after 3 s[\s\S]*INFO loading[\s\S]*more time"),
        serve(options("hangs", ready_timeout=3), tmp_path / "log"),
    ):
        pytest.fail("it was not ready")
    assert nothing_left(tmp_path)


def test_a_port_that_is_taken(options: Callable[..., ServeOptions], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ServerError, match=f"port {port} cannot be used"),
            serve(options(port=port), tmp_path / "log"),
        ):
            pytest.fail("it was not ready")
    assert not (tmp_path / "pids").exists()


def test_another_server_is_not_taken_for_it(options: Callable[..., ServeOptions], tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="not as a vLLM that serves tiny"), serve(options("another"), tmp_path / "l"):
        pytest.fail("it was not ready")
    assert nothing_left(tmp_path)


def test_death_during_the_run_is_seen(options: Callable[..., ServeOptions], tmp_path: Path) -> None:
    told: list[str] = []
    with serve(options(), tmp_path / "log") as running:
        os.kill(running.pid, signal.SIGKILL)

        def seen() -> bool:
            try:
                running.check()
            except ServerError as error:
                told.append(str(error))
            return bool(told)

        wait_for(seen, "its death is not seen")
    assert "died during the run (killed by SIGKILL)" in told[0]
    assert "Memory ran out" in told[0]
    assert nothing_left(tmp_path)


def test_secrets_stay_out_of_sight(options: Callable[..., ServeOptions], tmp_path: Path) -> None:
    secret = "s3cr3t-key"
    made = options()
    made = made.model_copy(update={"environment": made.environment | {"VLLM_API_KEY": secret}})
    with serve(made, tmp_path / "log"):
        assert secret.encode() not in Path(f"/proc/{processes(tmp_path)[0]}/cmdline").read_bytes()
    assert secret not in f"{made!r} {made.model_dump_json()} {(tmp_path / 'log').read_text()}"
    for flag in (["--api-key", secret], [f"--api_key={secret}"], ["--hf-token", secret]):
        with pytest.raises(ServerError, match="in the environment") as caught:
            ServeOptions(model="tiny", extra=flag).command(8000)
        assert secret not in str(caught.value)


def test_the_command_line() -> None:
    command = ServeOptions(
        model="org/model", python="py", revision="v1", tensor_parallel=2, data_parallel=4, extra=["--max-model-len=9"]
    ).command(8000)
    line = " ".join(command)
    assert line.startswith("py -m vllm.entrypoints.openai.api_server --model org/model")
    for part in (
        "--served-model-name org/model --host 127.0.0.1 --port 8000 --revision v1",
        "--tensor-parallel-size 2 --data-parallel-size 4",
        '{"backend": "xgrammar", "disable_any_whitespace": true}',
        "--enable-prefix-caching",
    ):
        assert part in line
    # Last, so that they may overrule what stands before.
    assert command[-1] == "--max-model-len=9"
    assert "parallel" not in " ".join(ServeOptions(model="m").command(1))
    with pytest.raises(ServerError, match="`--tensor-parallel`"):
        ServeOptions(model="m", extra=["-tp", "2"]).command(1)
