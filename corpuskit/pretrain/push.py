"""Pushing a trained model to the Hub: its folder, in one commit."""

from __future__ import annotations

import os
import re
from pathlib import Path

from corpuskit.pretrain.config import PretrainError
from corpuskit.publish.push import TOKEN


def push(model: Path, repository: str, private: bool = True) -> str:
    """Make a model folder the newest revision of a model on the Hub (or the server that `HF_ENDPOINT` names).

    Args:
        model: a plain Hugging Face folder with its card.
        repository: `ORG/NAME`; made if it is not there.
        private: whether only its owners see a repository that is made now.

    Returns:
        Where it is.

    Raises:
        PretrainError: no token, or a server that does not take it; nothing was published then.
    """
    token = os.environ.get(TOKEN)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise PretrainError(f"--push {repository}: expected ORG/NAME")
    if not token:
        raise PretrainError(f"no token: set {TOKEN} to one that may write to {repository}")
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=str(model), commit_message="corpuskit pretrain")
    except Exception as error:  # each version of the client has its own
        told = str(error.__cause__ or error).replace(token, "…").strip().splitlines() or [type(error).__name__]
        raise PretrainError(
            f"{repository}: {told[0]}\nNothing was published; the same command tries again, the run itself is finished"
        ) from None
    return f"{api.endpoint}/{repository}"
