"""Energy: read from a GPU's own counter, otherwise power times time, and which of the two."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from corpuskit import energy
from corpuskit.build import build
from corpuskit.config import BuildConfig
from corpuskit.energy import Meter, Processors
from corpuskit.executors import Execution
from corpuskit.publish.dataset import publish
from corpuskit.sample.recipe import validate
from corpuskit.sample.run import sample


class Clock:
    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(energy.time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """A driver of three GPUs, by what their counters show, in mJ; the last one has no counter."""
    counters = {0: 5_000_000, 1: 7_000_000}

    def count(device: int) -> int:
        if device not in counters:
            raise RuntimeError("not supported")
        return counters[device]

    driver: Any = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 3,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=count,
    )
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return counters


def test_the_counters_of_gpus(gpus: dict[int, int], clock: Clock) -> None:
    meter = Meter(here=True, watts=100)
    gpus[0] += 3_600_000_000
    gpus[1] += 1_800_000_000
    assert meter.gpus == 2
    assert meter.read() == (1.5, "measured by NVML on 2 GPU(s)")


def test_only_gpus_that_are_visible(gpus: dict[int, int], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    meter = Meter(here=True)
    gpus[0] += 3_600_000_000
    gpus[1] += 3_600_000
    assert meter.read() == (0.001, "measured by NVML on 1 GPU(s)")


def test_without_a_gpu(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(energy.os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    here, stated, elsewhere, told = Meter(here=True), Meter(here=True, watts=50), Meter(here=False), Meter(False, 700)
    clock.now = 3_600.0
    assert here.read() == (pytest.approx(0.04), "estimated: 4 cores of 10 W, times the time")
    assert stated.read() == (pytest.approx(0.05), "estimated: 50 W as stated, times the time")
    assert told.read() == (pytest.approx(0.7), "estimated: 700 W as stated, times the time")
    assert elsewhere.read() == (None, "unknown: the server is elsewhere; state its power with --watts")


def test_processors_of_this_process_and_of_those_it_starts() -> None:
    meter = Processors()
    busy = (
        "import time\nbegun = time.process_time()\nwhile time.process_time() - begun < 0.3: pass\nprint(flush=True)\n"
    )
    subprocess.run([sys.executable, "-c", busy], check=True, stdout=subprocess.DEVNULL)
    # The second one still runs when it is counted.
    with subprocess.Popen([sys.executable, "-c", busy + "input()"], stdin=-1, stdout=-1) as second:
        assert second.stdout is not None
        second.stdout.readline()
        kwh, how = meter.read()
        second.communicate(b"\n")
    assert kwh is not None
    least = 0.6 if Path("/proc/self/stat").exists() else 0.3
    assert least - 0.1 <= kwh * 3.6e6 / energy.CORE_WATTS < 10
    assert how == "estimated: 10 W a core, times the time that processors worked"


def test_processors_elsewhere(clock: Clock) -> None:
    meter = energy.counting(Execution(kind="slurm", workers=8), gpus=True)
    clock.now = 1_800.0
    assert meter.read() == (
        pytest.approx(0.04),
        "estimated: 8 core(s) of 10 W elsewhere, times the time, waiting too; no GPU",
    )


def test_gpus_are_counted_only_where_they_compute(gpus: dict[int, int], clock: Clock) -> None:
    assert isinstance(energy.counting(gpus=True), Meter)
    assert isinstance(energy.counting(gpus=False), Processors)


def test_every_stage_tells_what_it_used(tmp_path: Path) -> None:
    cases = Path(energy.__file__).parent / "samples" / "jsonl"
    config = BuildConfig.model_validate({"sources": [{"type": "jsonl", "path": str(cases)}]})
    built = build(config, tmp_path / "corpus").manifest
    drawn = sample(validate({"name": "all", "description": "x"}), tmp_path / "corpus", tmp_path / "drawn").manifest
    published = publish(tmp_path / "corpus", tmp_path / "published", samples={"all": tmp_path / "drawn"}).manifest
    for told in (built, drawn, published):
        assert told["energy"]["kwh"] > 0
        assert told["energy"]["how"].startswith("estimated: 10 W a core")
    assert drawn["before"] == [
        {"tool": "corpuskit build", "name": "corpus", "fingerprint": built["fingerprint"], "energy": built["energy"]}
    ]
    found = {stage.tool: stage.kwh for stage in energy.stages([drawn, published])}
    assert found == {told["tool"]: told["energy"]["kwh"] for told in (built, drawn, published)}
    card = (tmp_path / "published" / "README.md").read_text(encoding="utf-8")
    for step in ("build", "sample all", "publishing"):
        assert re.search(rf"^\| {step} \| \d+ s \| [\d.e-]+ kWh \| [\d.e-]+ g \| estimated: 10 W", card, re.MULTILINE)
    # What it used does not make another run of it.
    assert not build(config, tmp_path / "corpus").worked
    assert not publish(tmp_path / "corpus", tmp_path / "published", samples={"all": tmp_path / "drawn"}).worked


def test_stages_together_are_known_only_if_all_are() -> None:
    measured, guessed = {"kwh": 0.25, "how": "measured"}, {"kwh": 0.5, "how": "estimated"}
    assert energy.added([measured, guessed, measured]) == {"kwh": 1.0, "how": "measured; estimated"}
    assert energy.added([measured, {"kwh": None, "how": "unknown"}]) == {"kwh": None, "how": "measured; unknown"}
    assert energy.added([]) == {"kwh": 0, "how": "unknown"}
