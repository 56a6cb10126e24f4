"""Pushing a trained model to the Hub: its folder, and the manifest and the log that its card speaks of."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from corpuskit import runs
from corpuskit.pretrain import curves
from corpuskit.pretrain.config import TOOL
from corpuskit.publish.push import Pushed, PushError, ready, send

_LOG = "log.jsonl"


def push(output: str | Path, repository: str, private: bool = True) -> Pushed:
    """Make the model of a run the newest revision of a repository on the Hub (or the server that `HF_ENDPOINT` names).

    What is sent is all that is in `model/`, with `manifest.json` and `log.jsonl` beside it; of the paths of the machine
    in these only the last part.

    Args:
        output: what `corpuskit pretrain` wrote.
        repository: `ORG/NAME`; made if it is not there.
        private: whether only its owners see a repository that is made now.

    Raises:
        PushError: no token, a folder that holds no finished run, or a server that does not take it.
    """
    token, output = ready(repository), Path(output)
    told = runs.read_manifest(output)
    if told is None or told["tool"] != TOOL:
        raise PushError(f"{output} holds no finished run: give the folder that `corpuskit pretrain` wrote")
    folder = output / "model"
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    with TemporaryDirectory() as scratch:
        files[runs.MANIFEST] = Path(scratch) / runs.MANIFEST
        runs.write_json(files[runs.MANIFEST], runs.public(told))
        if (output / _LOG).is_file():
            files[_LOG] = Path(scratch) / _LOG
            files[_LOG].write_bytes(
                b"".join(orjson.dumps(runs.public(line)) + b"\n" for line in curves.read(output / _LOG))
            )
        return send(files, repository, "model", f"{TOOL} {told['fingerprint'][:12]}", token, private)
