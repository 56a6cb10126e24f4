"""Energy: what the accelerators themselves have counted, otherwise power times time, and which of the two."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any, NamedTuple

#: Grid intensity of the figures published for French models, in g CO2e/kWh.
GRID = 34.0
#: What a core of a server draws under load, in W, where nothing measures it.
CORE_WATTS = 10.0


class Energy(NamedTuple):
    """Energy used, in kWh, and how that is known; None where nothing tells."""

    kwh: float | None
    how: str


class Meter:
    """Counts from when it is made.

    Args:
        here: the work is done on this machine: its NVIDIA GPUs are read (NVML's energy counter, in mJ since the
            driver was loaded), or its cores counted at :data:`CORE_WATTS` where it has none.
        watts: power of the machine that does the work, in W; wins over a count of cores, not over NVML.
    """

    def __init__(self, here: bool, watts: float | None = None) -> None:
        self._watts, self._here = watts, here
        self._start = time.monotonic()
        self._devices = _devices() if here else []
        self._before = self._joules()

    @property
    def gpus(self) -> int:
        """GPUs that are read."""
        return len(self._devices)

    def read(self) -> Energy:
        """What was used so far."""
        seconds = time.monotonic() - self._start
        if self._devices:
            return Energy((self._joules() - self._before) / 3.6e6, f"measured by NVML on {self.gpus} GPU(s)")
        if self._watts is not None:
            return Energy(self._watts * seconds / 3.6e6, f"estimated: {self._watts:g} W as stated, times the time")
        if self._here:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            watts = cores * CORE_WATTS
            return Energy(watts * seconds / 3.6e6, f"estimated: {cores} cores of {CORE_WATTS:g} W, times the time")
        return Energy(None, "unknown: the server is elsewhere; state its power with --watts")

    def _joules(self) -> float:
        if not self._devices:
            return 0.0
        import pynvml

        return sum(float(pynvml.nvmlDeviceGetTotalEnergyConsumption(device)) for device in self._devices) / 1000


def _devices() -> list[Any]:
    """The GPUs of this machine that a process may see and that count their energy."""
    try:
        import pynvml

        pynvml.nvmlInit()
        found = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # not installed, no driver, no device: each version has its own error
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and all(part.strip().isdigit() for part in visible.split(",") if part.strip()):
        wanted = {int(part) for part in visible.split(",") if part.strip()}
        found = [device for index, device in enumerate(found) if index in wanted]
    kept = []
    for device in found:
        with suppress(Exception):  # older than Volta: no counter
            pynvml.nvmlDeviceGetTotalEnergyConsumption(device)
            kept.append(device)
    return kept
