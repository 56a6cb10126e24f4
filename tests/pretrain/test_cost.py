"""What a run costs: literals in, literals out; codecarbon once for real."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import finished_run
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit import energy
from corpuskit.energy import Energy, Meter
from corpuskit.pretrain import cost
from corpuskit.pretrain.cost import Spending, report, rows, tdp

V100 = "Tesla V100-SXM2-32GB"
SPENT: dict[str, Any] = {"kwh": 2.0, "how": ["measured by NVML on 1 GPU(s)"], "cores": 4, "codecarbon": None}


def test_the_rule_gives_the_published_figure_of_camembert_bio() -> None:
    told = report(SPENT, V100, devices=1, seconds=78 * 3600)
    assert told["rule"]["kwh"] == 23.4
    assert round(told["rule"]["co2e_kg"], 2) == cost.PUBLISHED["CamemBERT-bio"]
    assert {one["name"]: one["co2e_kg"] for one in told["published"]} == {
        "CamemBERT-bio": 0.80, "AliBERT": 8.16, "DrBERT": 26.11
    }  # fmt: skip


def test_all_figures_at_both_intensities() -> None:
    told = report(SPENT, "NVIDIA H100 80GB HBM3", 8, 1800, [finished_run.BUILD], grid=56.0)
    assert (told["kwh"], told["co2e_kg"], told["co2e_kg_own"]) == (2.0, 0.068, 0.112)
    assert told["how"] == "measured by NVML on 1 GPU(s)"
    assert told["rule"] == {
        "device": "NVIDIA H100 80GB HBM3", "device_hours": 4.0, "watts": 700.0, "how": "TDP of 700 W",
        "kwh": 2.8, "co2e_kg": 0.0952, "co2e_kg_own": 0.1568,
    }  # fmt: skip
    assert told["total"] == {"kwh": 2.5, "co2e_kg": 0.085, "co2e_kg_own": 0.14}
    assert told["total_by_rule"] == {"kwh": 3.3, "co2e_kg": 0.1122, "co2e_kg_own": 0.1848}
    assert report(SPENT, V100, 1, 3600, grid=34.0)["grid_own"] is None


def test_processors_and_unknown_devices() -> None:
    assert report(SPENT, "cpu", 1, 3600)["rule"]["kwh"] == 0.04
    assert "4 cores of 10 W" in report(SPENT, "cpu", 1, 3600)["rule"]["how"]
    unknown = report(SPENT, "Gargantua 9000", 1, 3600)
    assert unknown["rule"]["kwh"] is None
    assert unknown["total_by_rule"]["kwh"] is None
    assert report(SPENT, "Gargantua 9000", 2, 3600, watts=500)["rule"]["kwh"] == 1.0


@pytest.mark.parametrize(
    ("device", "watts"),
    [
        ("Tesla V100-PCIE-16GB", 250), (V100, 300), ("NVIDIA A100-SXM4-80GB", 400), ("NVIDIA A100 80GB PCIe", 300),
        ("NVIDIA A100-PCIE-40GB", 250), ("NVIDIA H100 PCIe", 350), ("NVIDIA H100 NVL", 400), ("NVIDIA H200", 700),
        ("NVIDIA L40S", 350), ("NVIDIA L40", 300), ("NVIDIA L4", 72), ("NVIDIA GeForce RTX 4090", 450),
        ("NVIDIA RTX A6000", 300), ("Tesla T4", 70), ("NVIDIA GeForce RTX 3080 Ti", None), ("NVIDIA A10G", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None), ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None),
        ("NVIDIA GH200 480GB", None),
    ],
)  # fmt: skip
def test_power_by_name(device: str, watts: float | None) -> None:
    assert tdp(device) == watts


def test_the_data_count_once_whatever_holds_their_manifests() -> None:
    sample = {
        "tool": "corpuskit sample", "fingerprint": "a" * 64, "energy": {"kwh": 0.125, "how": "x"},
        "recipe": {"name": "educational"},
        # Named without its energy, and then with it.
        "corpus": {"name": "corpus", "tool": "corpuskit build", "fingerprint": "b" * 64},
        "before": [{"tool": "corpuskit build", "name": "corpus", "fingerprint": "b" * 64,
                    "energy": {"kwh": 0.5, "how": "y"}}],
    }  # fmt: skip
    told = report(SPENT, V100, 1, 3600, [sample, finished_run.BUILD, finished_run.PUBLISHED, sample])["curation"]
    assert told["kwh"] == 0.125 + 0.5 + 0.25
    assert told["unknown"] == 0
    assert [(one["tool"], one["name"], one["kwh"]) for one in told["stages"]] == [
        ("corpuskit sample", "educational", 0.125), ("corpuskit build", "corpus", 0.5),
        ("corpuskit publish", "Biomed", 0.25),
    ]  # fmt: skip


def test_stages_without_a_word_of_energy() -> None:
    build = {"tool": "corpuskit build", "fingerprint": "1", "seconds": {"read": 3000.0, "write": 600.0}, "workers": 4}
    enrich = {"tool": "corpuskit enrich", "work": {"seconds": 9.0, "energy_kwh": None, "energy_from": ["unknown: far"]}}
    distil = {"tool": "corpuskit distil", "written": "2026-11-01", "student": "linear", "seconds": 36.0}
    bare = {"tool": "corpuskit label", "fingerprint": "2"}
    told = report(SPENT, V100, 1, 3600, [{"before": [build, enrich, distil, bare]}, None])["curation"]
    assert [(one["kwh"], one["how"]) for one in told["stages"]] == [
        (0.04, "estimated from 3,600 s of 4 core(s) of 10 W"), (None, "unknown: far"),
        (0.0001, "estimated from 36 s of 1 core(s) of 10 W"), (None, "unknown: it was not recorded"),
    ]  # fmt: skip
    assert told["kwh"] == pytest.approx(0.0401)
    assert told["unknown"] == 3  # two stages, and the data set without a manifest
    nothing = report(SPENT, V100, 1, 3600, [None])
    assert (nothing["curation"]["kwh"], nothing["total"]["kwh"]) == (None, 2.0)


_STAGE = st.fixed_dictionaries(
    {"tool": st.sampled_from(["corpuskit build", "corpuskit sample"]), "fingerprint": st.sampled_from("abcde"),
     "energy": st.fixed_dictionaries({"kwh": st.none() | st.just(1.0), "how": st.just("x")})}
)  # fmt: skip


@given(st.recursive(_STAGE, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=2), inner)))
def test_a_run_counts_once_however_it_is_nested(told: Any) -> None:
    once = energy.stages(told)
    assert {one.fingerprint: one.kwh for one in energy.stages([told, {"again": [told]}])} == {
        one.fingerprint: one.kwh for one in once
    }
    assert len({one.fingerprint for one in once}) == len(once)


def test_what_led_to_a_folder(tmp_path: Path) -> None:
    finished_run.write(tmp_path / "corpus", finished_run.BUILD)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "enrichment.json").write_text(
        '{"tool": "corpuskit enrich", "work": {"energy_kwh": 0.1, "energy_from": ["NVML"]}}'
    )
    told = energy.before(tmp_path / "corpus", tmp_path / "labels", tmp_path / "missing")
    assert [(one["tool"], one["name"], one["energy"]["kwh"]) for one in told] == [
        ("corpuskit build", "corpus", 0.5), ("corpuskit enrich", "labels", 0.1)
    ]  # fmt: skip
    assert energy.before(tmp_path / "corpus")[0]["fingerprint"] == "b" * 64
    # What a manifest says of them is read from it again.
    assert [one.kwh for one in energy.stages({"tool": "x", "before": told})] == [0.5, 0.1]


class Counter:
    """A meter that shows what it is told to."""

    def __init__(self, gpus: int = 0) -> None:
        self.gpus, self.kwh, self.reads = gpus, 0.0, 0

    def read(self) -> Energy:
        self.reads += 1
        return Energy(self.kwh, "counted here")


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter()
    monkeypatch.setattr(cost, "counting", lambda **_: counter)
    return counter


def test_tries_add_up(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    with Spending(codecarbon=False) as first:
        counter.kwh = 0.5
        spent = first.spent()
    counter.kwh = 0.0
    spent |= {"how": ["otherwise"]}
    with Spending(codecarbon=False, spent=spent) as second:
        assert second.kwh() == 0.5
        counter.kwh = 0.25
        assert second.spent()["kwh"] == 0.75
        assert second.spent()["how"] == ["otherwise", "counted here"]
    counter.kwh = 9.0  # after its end nothing is counted
    assert (second.kwh(), second.spent()["kwh"]) == (0.75, 0.75)


def test_asking_at_every_step_reads_once_a_second(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(cost.time, "monotonic", lambda: now)
    with Spending(codecarbon=False) as spending:
        for _ in range(1000):
            spending.kwh()
        assert counter.reads == 1
        now, counter.kwh = 101.5, 0.125
        assert spending.kwh() == 0.125


def test_gpus_that_are_not_counted_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(here=False)
    monkeypatch.setattr(cost, "counting", lambda **_: meter)
    monkeypatch.setattr(Meter, "read", lambda self: Energy(1.0, "measured"))
    for seen, computing, told in ((8, 1, "measured, of which 1 compute"), (4, 4, "measured"),
                                  (4, 16, "measured; 12 GPU(s) compute that are not counted")):  # fmt: skip
        monkeypatch.setattr(Meter, "gpus", seen)
        with Spending(gpus=computing, codecarbon=False) as spending:
            assert spending.spent()["how"] == [told]


def test_a_driver_that_does_not_answer_ends_no_training(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    with Spending(codecarbon=False) as spending:
        counter.kwh = 0.5
        assert spending.spent()["kwh"] == 0.5
        monkeypatch.setattr(counter, "read", lambda: 1 / 0)
        assert spending.spent()["kwh"] == 0.5
    assert spending.kwh() == 0.5


class Tracker:
    """What codecarbon's tracker does, as far as it is used; each flush has seen a tenth of a kWh more."""

    made: dict[str, Any]

    def __init__(self, **options: Any) -> None:
        Tracker.made = options
        self.handler, self.kwh = options["output_handlers"][0], 0.0

    def start(self) -> None: ...

    def flush(self) -> None:
        self.kwh += 0.1
        self.handler.out(SimpleNamespace(energy_consumed=self.kwh, emissions=self.kwh * 0.056), None)

    stop = flush


def test_codecarbon_beside_ours_and_over_tries(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", SimpleNamespace(OfflineEmissionsTracker=Tracker, __version__="3.9"))
    with Spending(country="BEL") as first:
        found = first.spent()["codecarbon"]
    assert found == {"country": "BEL", "version": "3.9", "kwh": 0.1, "co2e_kg": pytest.approx(0.0056)}
    assert Tracker.made["country_iso_code"] == "BEL"
    assert (Tracker.made["output_methods"], Tracker.made["electricitymaps_api_token"]) == ([], "")
    with Spending(country="BEL", spent=first.spent()) as second:
        pass
    assert second.spent()["codecarbon"]["kwh"] == pytest.approx(0.3)
    assert second.spent()["codecarbon"]["co2e_kg"] == pytest.approx(0.3 * 0.056)


@pytest.mark.parametrize("how", ["absent", "broken", "silent"])
def test_without_codecarbon_the_run_goes_on_and_says_so(
    how: str, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: Any) -> None:
        raise ValueError("no hardware")

    silent = SimpleNamespace(start=lambda: None, flush=lambda: None, stop=lambda: None)
    modules = {
        "absent": None,
        "broken": SimpleNamespace(OfflineEmissionsTracker=broken, __version__="3.9"),
        "silent": SimpleNamespace(OfflineEmissionsTracker=lambda **_: silent, __version__="3.9"),
    }
    monkeypatch.setitem(sys.modules, "codecarbon", modules[how])
    with Spending() as spending:
        counter.kwh = 0.5
        spent = spending.spent()
    told = {"absent": "pip install 'corpuskit-fr[pretrain]'", "broken": "ValueError: no hardware",
            "silent": "counted nothing for FRA"}[how]  # fmt: skip
    assert told in spent["codecarbon"]["missing"][0]
    # A try that codecarbon did count leaves its figure, and the gap is told with it.
    earlier = {"codecarbon": {"country": "FRA", "version": "3.9", "kwh": 0.2, "co2e_kg": 0.01}}
    with Spending(spent=earlier) as again:
        found = again.spent()["codecarbon"]
    assert (found["kwh"], found["co2e_kg"]) == (0.2, 0.01)
    assert told in found["missing"][0]
    costs = rows(report(again.spent(), "cpu", 1, 60.0))
    assert told in next(row.how for row in costs if row.what == "training, by codecarbon")


def test_the_real_codecarbon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("codecarbon")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it asked the network"))
    with Spending() as spending:
        before = spending.kwh()
        sum(number * number for number in range(2_000_000))
        found = spending.spent()["codecarbon"]
    assert found["country"] == "FRA"
    assert found["kwh"] > 0
    assert 0.02 < found["co2e_kg"] / found["kwh"] < 0.1
    assert spending.kwh() > before
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    logging.getLogger("codecarbon").handlers.clear()


def test_the_table_of_costs() -> None:
    told = rows(finished_run.manifest()["energy"])
    assert [(row.what, row.kwh, row.co2e_kg) for row in told] == [
        ("training, as counted", 0.04, 0.00136),
        ("training, device hours × TDP", 0.015555556, 0.000528889),
        ("training, by codecarbon", 0.05, 0.0017),
        ("making of the data", 0.75, 0.0255),
        ("training as counted, and data", 0.79, 0.02686),
        ("training by the rule, and data", 0.765555556, 0.026028889),
        ("CamemBERT-bio", None, 0.8),
        ("AliBERT", None, 8.16),
        ("DrBERT", None, 26.11),
    ]
    assert told[2].how.endswith("at its own 56 g/kWh (FRA): 0.0028 kg")
    gap = rows(report(SPENT, V100, 1, 3600, [None]))
    assert any("at least: some of the data's is not known" in row.how for row in gap)
