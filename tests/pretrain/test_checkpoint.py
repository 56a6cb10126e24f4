"""Checkpoints: whole or absent, and the last good one is found."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from corpuskit.pretrain import checkpoint
from corpuskit.pretrain.config import PretrainError


class Tied(torch.nn.Module):
    """Two names of one tensor, as input and output embeddings are."""

    def __init__(self, value: float, size: int = 3) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.full((size,), value))
        self.tied = self.a


def saved(folder: Path, step: int) -> None:
    checkpoint.save(folder, step, Tied(float(step)), {"state": {0: {"step": step}}}, {"step": step})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    saved(tmp_path, 7)
    found, wrong = checkpoint.newest(tmp_path)
    assert found is not None
    assert wrong == []
    assert found.state == {"step": 7}
    assert found.optimizer == {"state": {0: {"step": 7}}}
    model = Tied(0.0)
    found.into(model)
    assert model.a.tolist() == [7.0, 7.0, 7.0]
    assert model.tied is model.a
    with pytest.raises(PretrainError, match="step-000000007 is of another model"):
        found.into(Tied(0.0, size=4))


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 30):
        saved(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000002", "step-000000030"]


def test_there_may_be_none(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "nothing") == (None, [])


@pytest.mark.parametrize("part", ["model.safetensors", "optimizer.pt", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_one_is_told_and_the_one_before_it_taken(part: str, damage: str, tmp_path: Path) -> None:
    saved(tmp_path, 1)
    saved(tmp_path, 2)
    path = tmp_path / "step-000000002" / part
    content = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "changed":
            path.write_bytes(content[:-4] + bytes(byte ^ 1 for byte in content[-4:]))
        case "gone":
            path.unlink()
    found, wrong = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.state == {"step": 1}
    assert len(wrong) == 1
    assert wrong[0].startswith(f"{tmp_path}/step-000000002 is damaged (")


def test_one_that_was_being_written_is_none(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "model.safetensors").write_bytes(b"half")
    found, wrong = checkpoint.newest(tmp_path)
    assert found is not None
    assert (found.state, wrong) == ({"step": 1}, [])
    saved(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000001", "step-000000002"]


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("PytorchStreamWriter failed: no space left")],
)
def test_a_full_disk_is_told_and_the_last_one_stays(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, 1)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(checkpoint.torch, "save", fail)
    with pytest.raises(
        PretrainError, match=r"step 2: the checkpoint cannot be written to .*the disk is full: free some"
    ):
        saved(tmp_path, 2)
    found, _ = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.state == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]
