"""Energy: read from a GPU's own counter, otherwise power times time, and which of the two."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from corpuskit import energy
from corpuskit.energy import Meter


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
