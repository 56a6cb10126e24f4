"""Energy: what the accelerators themselves have counted, otherwise power times time, and which of the two.

Each stage writes into its manifest what it used; :func:`stages` finds that again in the manifests of what came after.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from corpuskit import runs

if TYPE_CHECKING:
    from corpuskit.executors import Execution

#: Grid intensity of the figures published for French models, in g CO2e/kWh.
GRID = 34.0
#: What a core of a server draws under load, in W, where nothing measures it.
CORE_WATTS = 10.0


class Energy(NamedTuple):
    """Energy used, in kWh, and how that is known; None where nothing tells."""

    kwh: float | None
    how: str

    @property
    def told(self) -> dict[str, Any]:
        """As a manifest has it."""
        return {"kwh": None if self.kwh is None else round(self.kwh, 9), "how": self.how}


def added(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The energy of several stages together, as manifests have it; unknown where that of one is."""
    known = [one["kwh"] for one in told if one["kwh"] is not None]
    how = "; ".join(dict.fromkeys(one["how"] for one in told)) or "unknown"
    return {"kwh": round(sum(known), 9) if len(known) == len(told) else None, "how": how}


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


class Processors:
    """Counts the work of processors from when it is made: this process's, and that of all it has started.

    Args:
        elsewhere: cores of other machines that do the work instead (Slurm, Ray): each is counted all of the time.
    """

    def __init__(self, elsewhere: int = 0) -> None:
        self._elsewhere = elsewhere
        self._start, self._before = time.monotonic(), processor_seconds()

    def read(self) -> Energy:
        """What was used so far."""
        if self._elsewhere:
            kwh = self._elsewhere * (time.monotonic() - self._start) * CORE_WATTS / 3.6e6
            how = f"{self._elsewhere} core(s) of {CORE_WATTS:g} W elsewhere, times the time, waiting too; no GPU"
            return Energy(kwh, f"estimated: {how}")
        kwh = max(0.0, processor_seconds() - self._before) * CORE_WATTS / 3.6e6
        return Energy(kwh, f"estimated: {CORE_WATTS:g} W a core, times the time that processors worked")


def counting(execution: Execution | None = None, gpus: bool = False) -> Meter | Processors:
    """What counts the energy of a stage that this process carries out.

    Args:
        execution: where its tasks run; here unless given.
        gpus: it computes on the GPUs of this machine, if there are any.
    """
    elsewhere = 0 if execution is None or execution.kind == "local" else execution.workers
    meter = Meter(here=True) if gpus and not elsewhere else None
    return meter if meter is not None and meter.gpus else Processors(elsewhere)


def processor_seconds() -> float:
    """Time that processors have worked for this process and all that it has started, ended or not.

    Where there is no `/proc` a process that still runs is not counted.
    """
    of, children = dict[int, int](), dict[int, list[int]]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):  # it ended meanwhile
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            one = int(path.parent.name)
            # Its own time, as user and system, and that of its children that ended (proc(5), fields 14 to 17).
            of[one] = sum(map(int, fields[11:15]))
            children.setdefault(int(fields[1]), []).append(one)
    if os.getpid() not in of:
        return sum(os.times()[:4])
    waiting, ticks = [os.getpid()], 0
    while waiting:
        one = waiting.pop()
        ticks += of[one]
        waiting += children.get(one, ())
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stage:
    """A finished run, as a manifest tells of it, and the energy it used."""

    tool: str
    name: str
    fingerprint: str
    kwh: float | None
    how: str


def stages(told: Any) -> list[Stage]:
    """The runs that stand in manifests, at any depth; each once, by its fingerprint.

    Args:
        told: what JSON can hold. A run is an object whose `tool` is one of corpuskit's.
    """
    found: dict[str, Stage] = {}
    for one in _objects(told):
        if str(one.get("tool", "")).startswith("corpuskit "):
            stage = _stage(one)
            known = found.get(stage.fingerprint)
            if known is None or known.kwh is None or (known.how.startswith(_GUESSED) and stage.kwh is not None):
                found[stage.fingerprint] = stage
    return list(found.values())


def before(*folders: Path) -> list[dict[str, Any]]:
    """The runs that led to some folders, for the manifest of what is made of them."""
    told = []
    for folder in folders:
        for name in (runs.MANIFEST, "enrichment.json", "report.json"):
            with suppress(OSError, orjson.JSONDecodeError):
                content = orjson.loads((folder / name).read_bytes())
                told.append({"name": folder.name} | content if isinstance(content, dict) else content)
    return [
        {name: value for name, value in asdict(one).items() if name not in ("kwh", "how")}
        | {"energy": {"kwh": one.kwh, "how": one.how}}
        for one in stages(told)
    ]


#: How the energy of a run begins that says nothing of it itself.
_GUESSED = "estimated from"


def _objects(told: Any) -> Iterator[dict[str, Any]]:
    if isinstance(told, dict):
        yield told
    for inner in told.values() if isinstance(told, dict) else told if isinstance(told, list) else ():
        yield from _objects(inner)


def _stage(told: dict[str, Any]) -> Stage:
    about = next((told[key] for key in ("publication", "recipe", "student", "prompt") if told.get(key)), None)
    name = told.get("name") or (about.get("name") or about.get("prompt") if isinstance(about, dict) else about) or ""
    # Neither annotations nor students have a fingerprint of the run: what it came to is as good.
    named = told.get("fingerprint") or runs.fingerprint(*(told.get(key) for key in ("tool", "written", "work")))
    return Stage(told["tool"], str(name), str(named), *_energy(told))


def _energy(told: dict[str, Any]) -> Energy:
    """What a run says it used; without a word, what its time comes to."""
    if isinstance(energy := told.get("energy"), dict):
        return Energy(energy.get("kwh"), str(energy.get("how", "")))
    if isinstance(work := told.get("work"), dict):
        return Energy(work.get("energy_kwh"), "; ".join(work.get("energy_from") or ()) or "unknown")
    seconds = told.get("seconds")
    seconds = sum(seconds.values()) if isinstance(seconds, dict) else seconds
    if not isinstance(seconds, int | float):
        return Energy(None, "unknown: it was not recorded")
    workers = told.get("workers") or 1
    kwh = seconds * workers * CORE_WATTS / 3.6e6
    return Energy(kwh, f"{_GUESSED} {seconds:,.0f} s of {workers} core(s) of {CORE_WATTS:g} W")


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
