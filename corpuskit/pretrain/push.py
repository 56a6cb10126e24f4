"""Pushing a trained model to the Hub: the folder that a run wrote, whole."""

from __future__ import annotations

from pathlib import Path

from corpuskit import runs
from corpuskit.publish.push import Pushed, PushError, ready, send


def push(output: str | Path, repository: str, private: bool = True) -> Pushed:
    """Make the model of a run the newest revision of a repository on the Hub (or the server that `HF_ENDPOINT` names).

    Args:
        output: what `corpuskit pretrain` wrote.
        repository: `ORG/NAME`; made if it is not there.
        private: whether only its owners see a repository that is made now.

    Raises:
        PushError: no token, a folder that holds no finished run, or a server that does not take it.
    """
    token, output = ready(repository), Path(output)
    told = runs.read_manifest(output)
    if told is None or told["tool"] != "corpuskit pretrain":
        raise PushError(f"{output} holds no finished run: give the folder that `corpuskit pretrain` wrote")
    folder = output / "model"
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return send(files, repository, "model", f"corpuskit pretrain {told['fingerprint'][:12]}", token, private)
