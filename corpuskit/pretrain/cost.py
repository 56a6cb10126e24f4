"""What a run costs: its energy and CO2e, in a form that can be set beside the figures others have published.

Three counts stand side by side: what the machine itself tells (:mod:`corpuskit.energy`), what codecarbon makes of it,
and the rule by which the published figures were reckoned, device hours × TDP × 34 g/kWh: the 78 V100 hours of
CamemBERT-bio (Touchent et al. 2023) make 0.80 kg. To each comes what the data had cost before.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, NamedTuple

from corpuskit.energy import CORE_WATTS, GRID, Meter, Processors, counting, stages

#: Training of French biomedical models, in kg CO2e by the rule, without their data.
PUBLISHED = {"CamemBERT-bio": 0.80, "AliBERT": 8.16, "DrBERT": 26.11}
#: What a whole GPU may draw at most (data sheets), in W, by its name as the driver tells it; the first match counts.
TDP = {
    r"\bV100S?.PCI": 250, r"\bV100": 300, r"\bP100.PCI": 250, r"\bP100": 300, r"\bT4\b": 70,
    r"\bA100.PCI": 250, r"\bA100.80GB.PCI": 300, r"\bA100": 400, r"\bA30\b": 165, r"\bA40\b": 300, r"\bA10\b": 150,
    r"\bL40S\b": 350, r"\bL40\b": 300, r"\bL4\b": 72,
    r"\bH100.PCI": 350, r"\bH100.NVL": 400, r"\bH100": 700, r"\bH200.NVL": 600, r"\bH200": 700, r"\bB200\b": 1000,
    r"\bRTX 6000 Ada": 300, r"\bRTX A6000": 300, r"\bRTX A5000": 230, r"\bRTX A4000": 140,
    r"\bRTX 5090\b": 575, r"\bRTX 4090\b": 450, r"\bRTX 4080\b": 320, r"\bRTX 3090 Ti": 450, r"\bRTX 3090\b": 350,
    r"\bRTX 3080\b(?! Ti)": 320, r"\bRTX 2080 Ti": 250, r"\bMI300X": 750,
}  # fmt: skip
#: Seconds for which a reading is good: a training step may be shorter than it takes to read.
_FRESH = 1.0


def tdp(device: str) -> float | None:
    """The thermal design power of a GPU in W, by its name; None of one that is not in the table, or a part of one."""
    if re.search(r"\bMIG\b|Laptop|Max-Q", device):
        return None
    found = next((watts for pattern, watts in TDP.items() if re.search(pattern, device, re.IGNORECASE)), None)
    return None if found is None else float(found)


class Spending:
    """Counts what a run spends while it is entered; what its earlier tries spent comes on top.

    Args:
        gpus: that compute; 0 where processors do.
        country: whose mix of electricity codecarbon takes, as three letters (ISO 3166).
        spent: what :meth:`spent` gave in the try before.
        codecarbon: whether it counts as well.
    """

    def __init__(
        self, gpus: int = 0, country: str = "FRA", spent: Mapping[str, Any] | None = None, codecarbon: bool = True
    ) -> None:
        self._gpus, self._country, self._with_codecarbon = gpus, country, codecarbon
        self._earlier = dict(spent or {})
        self._meter: Meter | Processors | None = None
        self._beside: _Codecarbon | None = None
        self._used, self._read, self._how = 0.0, -_FRESH, "unknown: it was not counted"

    def __enter__(self) -> Spending:
        self._beside = _Codecarbon(self._country) if self._with_codecarbon else None
        self._meter = counting(gpus=self._gpus > 0)
        return self

    def __exit__(self, *error: object) -> None:
        self._update()
        self._meter = None
        if self._beside is not None:
            self._beside.stop()

    def kwh(self) -> float:
        """Energy so far, of all tries, in kWh; may be asked for at every step."""
        if time.monotonic() - self._read >= _FRESH:
            self._update()
        return float(self._earlier.get("kwh", 0.0)) + self._used

    def spent(self) -> dict[str, Any]:
        """All that was spent, of all tries, as :func:`report` and the next try want it."""
        self._update()
        how = [*self._earlier.get("how", ()), self._how]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return {
            "kwh": round(self.kwh(), 9),
            "how": list(dict.fromkeys(how)),
            "cores": cores,
            "codecarbon": _added(self._earlier.get("codecarbon"), self._beside.told() if self._beside else None),
        }

    def _update(self) -> None:
        if self._meter is None:
            return
        try:
            energy, seen = self._meter.read(), self._meter.gpus if isinstance(self._meter, Meter) else 0
        except Exception:  # a driver that does not answer is no reason to end a training; it may the next time
            return
        self._how = energy.how
        if seen > self._gpus:
            self._how += f", of which {self._gpus} compute"
        elif seen < self._gpus:
            self._how += f"; {self._gpus - seen} GPU(s) compute that are not counted"
        # A process that ends while its kin are counted is missed once.
        self._used, self._read = max(self._used, energy.kwh or 0.0), time.monotonic()


class _Sum(NamedTuple):
    kwh: float
    co2e_kg: float


class _Codecarbon:
    """codecarbon beside us: without the network, without files, without a word; a run does not fail because of it."""

    def __init__(self, country: str) -> None:
        self._country, self.version, self._why = country, "", ""
        self._tracker: Any = None
        self._total: _Sum | None = None
        try:
            import codecarbon

            logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
            self.version = str(codecarbon.__version__)
            self._tracker = codecarbon.OfflineEmissionsTracker(
                country_iso_code=country,
                tracking_mode="machine",
                output_methods=[],
                output_handlers=[self],
                # An empty one, or a token of the user's configuration would make it ask the network.
                electricitymaps_api_token="",
                emissions_endpoint=None,
                allow_multiple_runs=True,
                log_level="critical",
            )
            self._tracker.start()
        except ImportError:
            self._why = "codecarbon is not installed: pip install 'corpuskit-fr[pretrain]'"
        except Exception as error:  # whatever goes wrong in it, the run goes on
            self._why = f"codecarbon failed: {type(error).__name__}: {error}"

    def out(self, total: Any, delta: Any) -> None:
        """What codecarbon calls with its totals."""
        self._total = _Sum(float(total.energy_consumed), float(total.emissions))

    def task_out(self, *_: Any) -> None: ...

    def live_out(self, *_: Any) -> None: ...

    def exit(self) -> None: ...

    def told(self) -> dict[str, Any]:
        """What it has counted, or why it has not."""
        if self._tracker is not None:
            with suppress(Exception):
                self._tracker.flush()
        if self._total is None:
            return {"missing": [self._why or f"codecarbon counted nothing for {self._country}"]}
        return {"country": self._country, "version": self.version} | self._total._asdict()

    def stop(self) -> None:
        if self._tracker is not None:
            with suppress(Exception):
                self._tracker.stop()
            self._tracker = None


def _added(earlier: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Two tries' figures of codecarbon: added up; where it did not count, that is said."""
    if not earlier or not now:
        return dict(earlier or now or {}) or None
    both = dict(earlier) | dict(now)
    for name in ("kwh", "co2e_kg"):
        if name in both:
            both[name] = earlier.get(name, 0.0) + now.get(name, 0.0)
    if missing := [*earlier.get("missing", ()), *now.get("missing", ())]:
        both["missing"] = list(dict.fromkeys(missing))
    return both


def report(
    spent: Mapping[str, Any],
    device: str,
    devices: int,
    seconds: float,
    data: Iterable[Any] = (),
    grid: float | None = None,
    watts: float | None = None,
) -> dict[str, Any]:
    """What the run has cost, for its manifest.

    Args:
        spent: what :meth:`Spending.spent` gave at its end.
        device: its name, such as `NVIDIA H100 80GB HBM3`; `cpu` for processors.
        devices: of those.
        seconds: that they computed, all tries together.
        data: the manifests of the data sets, with those that stand in them.
        grid: intensity of the user's own electricity, in g CO2e/kWh.
        watts: TDP of a device, where the table does not know it or is wrong.

    Returns:
        Energies in kWh and masses in kg; `co2e_kg` at 34 g/kWh, `co2e_kg_own` at the user's own intensity.
    """
    hours = devices * seconds / 3600
    if watts is not None:
        how = f"{watts:g} W as stated"
    elif device == "cpu":
        watts = (cores := int(spent["cores"])) * CORE_WATTS
        how = f"{cores} cores of {CORE_WATTS:g} W, in place of a TDP"
    else:
        watts = tdp(device)
        how = "no TDP is known of this device" if watts is None else f"TDP of {watts:g} W"
    ruled = None if watts is None else hours * watts / 1000
    manifests = list(data)
    found = stages(manifests)
    known = [stage.kwh for stage in found if stage.kwh is not None]
    unknown = len(found) - len(known) + sum(not stages(one) for one in manifests)
    before = sum(known) if known else None
    training = spent.get("kwh")
    own = None if grid == GRID else grid
    return {
        **_emitted(training, own),
        "how": "; ".join(spent.get("how", ())) or "unknown",
        "grid": GRID,
        "grid_own": own,
        "rule": {"device": device, "device_hours": round(hours, 4), "watts": watts, "how": how, **_emitted(ruled, own)},
        "codecarbon": spent.get("codecarbon"),
        "curation": {
            **_emitted(before, own),
            "stages": [asdict(stage) for stage in found],
            # Stages that do not tell, and data sets of which nothing is known.
            "unknown": unknown,
        },
        "total": _emitted(_plus(training, before), own),
        "total_by_rule": _emitted(_plus(ruled, before), own),
        "published": [{"name": name, "co2e_kg": mass} for name, mass in PUBLISHED.items()],
    }


def _plus(training: float | None, before: float | None) -> float | None:
    return None if training is None else training + (before or 0.0)


def _emitted(kwh: float | None, own: float | None) -> dict[str, float | None]:
    """Energy, and what its making emitted."""

    def mass(grid: float | None) -> float | None:
        return None if kwh is None or grid is None else round(kwh * grid / 1000, 9)

    return {"kwh": None if kwh is None else round(kwh, 9), "co2e_kg": mass(GRID), "co2e_kg_own": mass(own)}


class Row(NamedTuple):
    """A line of the table of costs; None where nothing is known."""

    what: str
    kwh: float | None
    co2e_kg: float | None
    co2e_kg_own: float | None
    how: str


def rows(told: Mapping[str, Any]) -> list[Row]:
    """What :func:`report` gave as a table, for people: the run, its data, both, and the published figures."""

    def row(what: str, one: Mapping[str, Any], how: str) -> Row:
        return Row(what, one["kwh"], one["co2e_kg"], one["co2e_kg_own"], how)

    rule, curation = told["rule"], told["curation"]
    hours = f"{rule['device_hours']:,.4g} hours of {rule['device']} × {rule['how']}"
    found = [row("training, as counted", told, told["how"]), row("training, device hours × TDP", rule, hours)]
    if beside := told.get("codecarbon"):
        kwh, notes = beside.get("kwh"), list(beside.get("missing", ()))
        if kwh is not None:
            grid = f"{beside['co2e_kg'] / kwh * 1000:.3g} g/kWh" if kwh else "intensity"
            notes.insert(
                0, f"codecarbon {beside['version']}, the whole machine with its memory; at its own {grid} "
                f"({beside['country']}): {beside['co2e_kg']:.3g} kg"
            )  # fmt: skip
        found.append(row("training, by codecarbon", _emitted(kwh, told["grid_own"]), "; ".join(notes)))
    known = sum(stage["kwh"] is not None for stage in curation["stages"])
    gaps = f"; of {curation['unknown']} it is not known" if curation["unknown"] else ""
    added = "added up" + (", at least: some of the data's is not known" if curation["unknown"] else "")
    found.append(row("making of the data", curation, f"{known} stages that led to it{gaps}"))
    found.append(row("training as counted, and data", told["total"], added))
    found.append(row("training by the rule, and data", told["total_by_rule"], added))
    published = "published: training alone, device hours × TDP × 34 g/kWh"
    return found + [Row(one["name"], None, one["co2e_kg"], None, published) for one in told["published"]]
