"""The store: what was committed is there, whatever happens."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.enrich.store import Attempt, Store, StoreError, Writer

ONE, OTHER, THIRD = ("0" * 31 + "1", "f" * 32, "ab" * 15 + "00")


def keys(*names: str) -> Any:
    return np.array([bytes.fromhex(name) for name in names], "S16")


def found(store: Store, name: str) -> Attempt | None:
    place = int(store.places(keys(name))[0])
    return None if place < 0 else store.read(place)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    attempts = [
        Attempt(
            ONE, "ok", "a#1", {"kind": "été", "terms": ["x"]}, {"kind": [0.25, 0.75]}, tokens=(10, 2, 8), seconds=0.5
        ),
        Attempt(OTHER, "invalid", "a#2", detail="kind: missing", written='{"\n'),
        Attempt(THIRD, "error", "a#3", detail="HTTP 500"),
    ]
    with Writer(tmp_path) as writer:
        for attempt in attempts:
            writer.append(attempt)
    store = Store(tmp_path)
    assert (len(store), store.attempts, store.damaged) == (3, 3, 0)
    assert [found(store, one.key) for one in attempts] == attempts
    assert store.places(keys("1" * 32)).tolist() == [-1]
    assert store.outcomes(store.places(keys(ONE, OTHER, THIRD, "1" * 32))).tolist() == [0, 1, 4, -1]


def test_an_answer_counts_otherwise_the_latest(tmp_path: Path) -> None:
    for outcomes in (["invalid", "ok"], ["error", "truncated"]):
        with Writer(tmp_path) as writer:
            writer.append(Attempt(ONE, outcomes[0], detail="1"))  # type: ignore[arg-type]
            writer.append(Attempt(ONE, outcomes[1], detail="2"))  # type: ignore[arg-type]
            writer.append(Attempt(OTHER, outcomes[0], detail=outcomes[0]))  # type: ignore[arg-type]
    store = Store(tmp_path)
    assert (len(store), store.attempts) == (2, 6)
    one, other = found(store, ONE), found(store, OTHER)
    assert one is not None
    assert other is not None
    assert (one.outcome, one.detail) == ("ok", "2")
    assert other.detail == "error"


def test_a_line_that_was_cut_off_is_left_out_and_counted(tmp_path: Path) -> None:
    with Writer(tmp_path) as writer:
        for name in (ONE, OTHER):
            writer.append(Attempt(name, "ok", answer={"kind": "x"}))
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-5])
    store = Store(tmp_path)
    assert (len(store), store.damaged) == (1, 1)
    assert found(store, ONE) is not None


@given(st.binary(max_size=300))
def test_no_damage_makes_reading_fail(tmp_path_factory: pytest.TempPathFactory, damage: bytes) -> None:
    folder = tmp_path_factory.mktemp("store")
    with Writer(folder) as writer:
        writer.append(Attempt(ONE, "ok", answer={"kind": "x"}))
    (path,) = folder.glob("*.jsonl")
    path.write_bytes(path.read_bytes() + damage)
    assert found(Store(folder), ONE) == Attempt(ONE, "ok", answer={"kind": "x"})


def test_a_full_disk_loses_only_what_was_not_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path)
    writer.append(Attempt(ONE, "ok"))
    writer.commit()
    writer.append(Attempt(OTHER, "ok"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(
            StoreError, match="No space left on device; make room and run the same command again: 1 answers"
        ):
            writer.commit()
    writer.append(Attempt(THIRD, "ok"))
    writer.close()
    store = Store(tmp_path)
    assert [found(store, name) is not None for name in (ONE, OTHER, THIRD)] == [True, False, True]
    assert store.damaged == 0


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Writer(tmp_path / "file" / "store")


def test_what_a_model_wrote_may_be_no_unicode(tmp_path: Path) -> None:
    with Writer(tmp_path) as writer:
        writer.append(Attempt(ONE, "invalid", detail="x \ud800", written="\ud800"))
    assert found(Store(tmp_path), ONE) == Attempt(ONE, "invalid", detail="x ?", written="?")


def test_a_session_is_kept_with_its_answers(tmp_path: Path) -> None:
    with Writer(tmp_path) as writer:
        writer.session = {"requests": 1}
        writer.append(Attempt(ONE, "ok"))
    with Writer(tmp_path):
        pass  # nothing was asked: nothing is left behind
    assert list(Store.sessions(tmp_path)) == [{"requests": 1}]
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
