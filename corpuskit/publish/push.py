"""Pushing a data set or a model to the Hub: files first, then one commit that names them all.

What was uploaded before an interruption is known to the Hub by its hash and not sent again. A revision is the commit:
it holds the whole folder, or does not exist.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from corpuskit import runs
from corpuskit.files import InputFile
from corpuskit.publish.dataset import TOOL

#: Where the token is; it is read from nowhere else and told to nobody but the Hub.
TOKEN = "HF_TOKEN"
_HUB = "https://huggingface.co"
#: What the Hub itself puts into a repository.
_OF_THE_HUB = {".gitattributes"}


class PushError(Exception):
    """A data set that could not be pushed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """The revision that the Hub has now."""

    url: str
    commit: str
    files: int


def push(
    folder: str | Path, repository: str, private: bool = True, tell: Callable[[str], None] = lambda _: None
) -> Pushed:
    """Make a published folder the newest revision of a data set on the Hub (or the server that `HF_ENDPOINT` names).

    Args:
        folder: what `corpuskit publish` wrote.
        repository: `ORG/NAME`; made if it is not there.
        private: whether only its owners see a repository that is made now.
        tell: is told what happens.

    Raises:
        PushError: no token, a folder that is not whole, or a server that does not take it; nothing was published then.
    """
    folder = Path(folder)
    files, token = _whole(folder), ready(repository)
    message = f"corpuskit publish {runs.read_manifest(folder)['fingerprint'][:12]}"  # type: ignore[index]
    return send({name: folder / name for name in files}, repository, "dataset", message, token, private, tell)


def send(
    files: Mapping[str, Path],
    repository: str,
    kind: Literal["dataset", "model"],
    message: str,
    token: str,
    private: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> Pushed:
    """Make some files, and no others, the newest revision of a repository.

    Args:
        files: by their names there.
        repository: `ORG/NAME`; made if it is not there.
        kind: what it holds.
        message: of the commit.
        token: from :func:`ready`.
        private: whether only its owners see a repository that is made now.
        tell: is told what happens.

    Raises:
        PushError: the server does not take it; nothing was published then.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or _HUB, token=token)
    of: dict[str, Any] = {"repo_id": repository, "repo_type": kind}
    doing = "making the repository"
    try:
        api.create_repo(**of, private=private, exist_ok=True)
        parent = api.repo_info(**of).sha
        there = set(api.list_repo_files(**of))
        additions = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
        deletions = [CommitOperationDelete(name) for name in sorted(there - {*files} - _OF_THE_HUB)]
        doing = "uploading"
        tell(f"uploading {len(files)} files, {sum(path.stat().st_size for path in files.values()):,} bytes")
        api.preupload_lfs_files(**of, additions=additions, free_memory=False, num_threads=2)
        doing = "committing"
        commit = api.create_commit(
            **of, operations=[*additions, *deletions], commit_message=message, parent_commit=parent
        )
    except Exception as error:  # each version of the client has its own
        told = str(error.__cause__ or error).replace(token, "…").strip().splitlines() or [type(error).__name__]
        raise PushError(
            f"{repository}, while {doing}: {told[0]}\nNothing was published. The same command goes on: "
            "what was uploaded is not sent again"
        ) from None
    place = f"datasets/{repository}" if kind == "dataset" else repository
    return Pushed(f"{api.endpoint}/{place}", commit.oid, len(files))


def ready(repository: str) -> str:
    """The token, after a check of all that a push needs and that can be told without the Hub.

    Raises:
        PushError: there is no token, no client, or no such name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repository, re.ASCII):
        raise PushError(f"--push {repository}: expected ORG/NAME, in letters, digits, `.`, `_` and `-`")
    if find_spec("huggingface_hub") is None:
        raise PushError("pushing needs huggingface_hub: pip install 'corpuskit-fr[publish]'")
    if not (token := os.environ.get(TOKEN)):
        raise PushError(f"no token: set {TOKEN} to one that may write to {repository} (huggingface.co/settings/tokens)")
    return token


def _whole(folder: Path) -> list[str]:
    """The files of a published folder, after a check that they are as they were written.

    Raises:
        PushError: they are not.
    """
    told = runs.read_manifest(folder)
    if told is not None and told["tool"] == "corpuskit refill":
        raise PushError(f"{folder} is a refilled copy, with texts that may not be passed on: push the published folder")
    if told is None or told["tool"] != TOOL:
        raise PushError(f"{folder} is no published data set: give the folder that `corpuskit publish` wrote")
    names = [one["name"] for one in told["outputs"]]
    if missing := next((name for name in names if not (folder / name).is_file()), None):
        raise PushError(f"{folder}: {missing} is gone; publish again with --overwrite")
    found = runs.describe_all([InputFile(str(folder / name), name, (folder / name).stat().st_size) for name in names])
    for one, expected in zip(found, told["outputs"], strict=True):
        if one != expected:
            raise PushError(f"{folder}: {one['name']} is not as it was written; publish again with --overwrite")
    return [*names, runs.MANIFEST]
