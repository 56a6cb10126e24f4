"""A finished pretraining run as its folder tells of it, for the tests of what is made from that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corpuskit.pretrain import cost
from corpuskit.pretrain.config import PretrainConfig

CONFIG: dict[str, Any] = PretrainConfig.model_validate(
    {
        "name": "essai-base",
        "description": "An adapted model.",
        "start": {"model": "almanach/camembert-base"},
        "data": {"sources": [{"path": "hal"}, {"path": "istex", "weight": 2.0}]},
        "masking": {"rate": [[0, 0.3], [0.5, 0.15]]},
        "budget": {"steps": 40},
    }
).model_dump(mode="json")

BUILD: dict[str, Any] = {
    "tool": "corpuskit build", "fingerprint": "b" * 64, "started": "2026-11-01T10:00:00+00:00",
    "seconds": {"read": 60.0}, "workers": 2, "energy": {"kwh": 0.5, "how": "estimated: 10 W a core"},
}  # fmt: skip
PUBLISHED: dict[str, Any] = {
    "tool": "corpuskit publish", "fingerprint": "c" * 64, "energy": {"kwh": 0.25, "how": "estimated: 10 W a core"},
    "publication": {"name": "Biomed", "url": "https://huggingface.co/datasets/lab/biomed"},
    "configurations": {"paragraphs": {"counts": [
        {"source": "hal", "licence": "CC-BY-4.0", "withheld": None, "words": 900},
        {"source": "hal", "licence": None, "withheld": "no licence", "words": 5000},
        {"source": "hal", "licence": "CC0-1.0", "withheld": None, "words": 100},
    ]}},
    "stages": {"build": BUILD, "samples": {}, "annotations": [], "student": None},
}  # fmt: skip


def log(switch: int | None = None) -> list[dict[str, Any]]:
    """Forty steps, a line every ten; causal up to ``switch``."""
    found: list[dict[str, Any]] = [{"kind": "start", "step": 0, "tokens": 5_242_880}]
    for step in range(0, 41, 10):
        objective = "causal" if switch is not None and step <= switch else "mlm"
        seen = {"step": step, "tokens": step * 131_072, "objective": objective}
        if step:
            found.append(
                {"kind": "train", "seconds": step * 2.0, "loss": 4.0 - step / 20, "learning_rate": 1e-6 * step,
                 "gradient_norm": 1.0, "tokens_per_second": 65_536.0, "mfu": None, "kwh": step / 1000} | seen
            )  # fmt: skip
        if step % 20 == 0:
            hal, istex = 3.5 - step / 20, 3.25 - step / 40
            found.append({"kind": "validation", "loss": {"all": (hal + istex) / 2, "hal": hal, "istex": istex}} | seen)
    return [*found, {"kind": "end", "step": 40, "tokens": 5_242_880, "seconds": 80.0, "reason": "steps"}]


def manifest(**changed: Any) -> dict[str, Any]:
    """The manifest of the run, with other parts in the place of some."""
    energy = cost.report(
        {"kwh": 0.04, "how": ["measured by NVML on 1 GPU(s)"], "cores": 2,
         "codecarbon": {"country": "FRA", "version": "3.3.2", "kwh": 0.05, "co2e_kg": 0.0028}},
        "NVIDIA H100 80GB HBM3", 1, 80.0, [BUILD, PUBLISHED], grid=56.0,
    )  # fmt: skip
    counts = {
        "documents": 1200,
        "tokens": 400_000,
        "held_out_documents": 12,
        "held_out_tokens": 4_100,
        "padding": 0.021,
    }
    return {
        "tool": "corpuskit pretrain",
        "fingerprint": "d" * 64,
        "started": "2026-11-20T08:00:00+00:00",
        "name": "essai-base",
        "config": CONFIG,
        "start": {"kind": "continual", "model": "almanach/camembert-base", "model_sha256": "e" * 64,
                  "tokenizer_sha256": "f" * 64, "license": "MIT", "hub": True},
        "model": {"model_type": "camembert", "parameters": 110_655_493, "vocabulary": 32_005, "layers": 12,
                  "hidden_size": 768, "mask_token": "<mask>"},
        "data": [
            {"name": "hal", "path_name": "hal", "weight": 1.0, "manifest": PUBLISHED, **counts},
            {"name": "istex", "path_name": "istex", "weight": 2.0, "manifest": BUILD, **counts},
        ],
        "training": {
            "steps": 40, "tokens": 5_242_880, "seconds": 80.0, "epochs": {"hal": 4.369, "istex": 8.738},
            "tokens_per_second": 65_536.0, "mfu": 0.413, "reason": "steps", "device": "NVIDIA H100 80GB HBM3",
            "devices": 1, "precision": "bf16",
            "loss": {"first": {"all": 3.375, "hal": 3.5, "istex": 3.25}, "last": {"all": 1.875, "hal": 1.5,
                                                                                "istex": 2.25}},
        },
        "energy": energy,
        "versions": {"corpuskit-fr": "0.1.0"},
    } | changed  # fmt: skip


def write(folder: Path, told: dict[str, Any] | None = None, lines: list[dict[str, Any]] | None = None) -> Path:
    """The folder of the run, as far as reports look at it."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(told or manifest()), encoding="utf-8")
    text = "".join(json.dumps(line) + "\n" for line in (log() if lines is None else lines))
    (folder / "log.jsonl").write_text(text, encoding="utf-8")
    return folder
