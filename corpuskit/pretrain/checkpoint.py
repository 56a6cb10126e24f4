"""Checkpoints: whole or absent, checked when they are read, the last two kept."""

from __future__ import annotations

import errno
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from corpuskit import runs
from corpuskit.pretrain.config import PretrainError

try:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_model, save_model
except ImportError as error:
    raise PretrainError(f"pretraining needs PyTorch ({error}): pip install 'corpuskit-fr[pretrain]'") from None

KEPT = 2
_MODEL, _OPTIMIZER, _STATE = "model.safetensors", "optimizer.pt", "state.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run stood."""

    folder: Path
    #: What :func:`save` was given.
    state: dict[str, Any]
    optimizer: dict[str, Any]

    def into(self, model: torch.nn.Module) -> None:
        """Give a model its weights.

        Raises:
            PretrainError: they are another model's.
        """
        try:
            load_model(model, self.folder / _MODEL)  # which knows that tied weights stand there once
        except (RuntimeError, SafetensorError) as error:
            raise PretrainError(f"{self.folder} is of another model: {str(error).splitlines()[0]}") from None


def save(folder: Path, step: int, model: torch.nn.Module, optimizer: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a checkpoint, and remove all but the last two.

    Args:
        folder: of all checkpoints of the run.
        step: of the optimizer.
        model: tensors that are one in memory are written once.
        optimizer: its state.
        state: anything else, for JSON.

    Raises:
        PretrainError: it cannot be written; those that are there stay.
    """
    partial, target = folder / ".partial", folder / f"step-{step:09d}"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_model(model, str(partial / _MODEL))
        torch.save(optimizer, partial / _OPTIMIZER)
        told = {"state": state, "sha256": {name: _sha256(partial / name) for name in (_MODEL, _OPTIMIZER)}}
        runs.write_json(partial / _STATE, told)
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
    except (OSError, RuntimeError, SafetensorError) as error:  # each says in its own way that a disk is full
        shutil.rmtree(partial, ignore_errors=True)
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "space" in str(error).lower()
        why = "the disk is full: free some space" if full else f"{error}"
        raise PretrainError(
            f"step {step}: the checkpoint cannot be written to {folder}: {why}. The one before is kept: the same "
            "command goes on from there"
        ) from None
    for old in sorted(folder.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The last checkpoint that is whole, None where there is none; and what is wrong with those after it."""
    wrong: list[str] = []
    for path in sorted(folder.glob("step-*"), reverse=True):
        try:
            return _load(path), wrong
        except Exception as error:  # torch and pickle have errors of their own
            wrong.append(f"{path} is damaged ({error}): it is left aside")
    return None, wrong


def _load(path: Path) -> Checkpoint:
    told = orjson.loads((path / _STATE).read_bytes())
    for name, known in told["sha256"].items():
        if _sha256(path / name) != known:
            raise ValueError(f"{name} is not what was written")
    optimizer = torch.load(path / _OPTIMIZER, map_location="cpu", weights_only=True)
    return Checkpoint(path, told["state"], optimizer)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
