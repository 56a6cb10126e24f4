"""From a pretraining run to its page: how it went, what it cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpuskit import runs
from corpuskit.pretrain import cost, curves
from corpuskit.pretrain.config import TOOL
from corpuskit.pretrain.curves import ALL, Curves, Stretch
from corpuskit.report import page
from corpuskit.report.charts import Chart, Line, Lines

#: Points of a curve, and rows of a table of the log, at most.
_POINTS, _ROWS = 1_000, 40


def is_training(folder: Path) -> bool:
    """Whether a folder holds a finished pretraining run."""
    return (runs.read_manifest(folder) or {}).get("tool") == TOOL


def training(folder: Path, output: Path) -> Path:
    """Write the page of a pretraining run.

    Args:
        folder: what `corpuskit pretrain` wrote.
        output: the HTML file; one that is there is replaced.

    Raises:
        ReportError: the folder holds no such run, or the page cannot be made or written.
    """
    manifest = runs.read_manifest(folder)
    if manifest is None or manifest["tool"] != TOOL:
        raise page.ReportError(f"{folder} holds no finished pretraining run")
    try:
        log = curves.read(folder / "log.jsonl")
    except OSError:
        log = []
    found = Curves.of(log)
    values = page.filled(
        "training.html",
        ["page.js"],
        of_run(found),
        {"sources": [], "labels": []},
        name=manifest["name"],
        tool=manifest["tool"],
        manifest=manifest,
        log=_thinned([line for line in log if line["kind"] == "train"], _ROWS),
        validation=_validation(found),
        change=curves.first_and_last(found),
        costs=cost.rows(manifest["energy"]) if manifest.get("energy") else [],
        own=(manifest.get("energy") or {}).get("grid_own"),
        config=json.dumps(manifest["config"], indent=2, ensure_ascii=False),
    )
    page.write(output, values)
    return output


def of_run(found: Curves) -> dict[str, Chart]:
    """The charts of a run, by the place that the page has for them; of nothing there is no chart."""
    resumed = [(float(step), "") for step in found.resumed]
    changes = found.changes() if len(found.changes()) > 1 else []
    lines = [_line("training, each", stretch, "pale") for stretch in found.loss]
    calm = [
        Stretch(one.objective, one.steps, curves.smoothed(one.values, max(1, len(one.values) // 20)))
        for one in found.loss
    ]
    lines += [_line("training, smoothed", stretch, "calm") for stretch in calm]
    for name, stretches in found.drawn()[0].items():
        title, role = ("validation", "main") if name == ALL else (f"validation, {name}", "source")
        lines += [_line(title, stretch, role) for stretch in stretches]
    told = [*calm, *(stretch for stretches in found.drawn()[0].values() for stretch in stretches)]
    charts: dict[str, Chart] = {}
    if lines:
        low, high = (float(pick(np.concatenate([one.values for one in told]))) for pick in (np.min, np.max))
        room = 0.05 * max(high - low, 1e-3 * max(1.0, abs(high)))
        charts["loss"] = Lines("Loss", "step", "loss", lines, [*resumed, *changes], (low - room, high + room))
    for place, title, stretches in (
        ("learning-rate", "Learning rate", found.learning_rate),
        ("speed", "Tokens a second", found.tokens_per_second),
    ):
        if stretches:
            drawn = [_line(title, stretch, "main") for stretch in stretches]
            charts[place] = Lines(title, "step", title.lower(), drawn, resumed)
    return charts


def _line(name: str, stretch: Stretch, role: Any) -> Line:
    steps, values = (_thinned(array.tolist(), _POINTS) for array in (stretch.steps, stretch.values))
    return Line(name, steps, values, role)


def _thinned(values: Sequence[Any], most: int) -> list[Any]:
    """Some of the values, evenly, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(place)] for place in np.linspace(0, len(values) - 1, most)]


def _validation(found: Curves) -> list[dict[str, Any]]:
    """The validation losses by step and objective, a row each, thinned."""
    rows: dict[tuple[float, int], dict[str, Any]] = {}
    places = {objective: place for place, objective in enumerate(found.objectives)}
    for name, stretches in found.validation.items():
        for stretch in stretches:
            for step, value in zip(stretch.steps.tolist(), stretch.values.tolist(), strict=True):
                told = {"step": step, "objective": stretch.objective}
                rows.setdefault((step, places[stretch.objective]), told)[name] = value
    return _thinned([rows[place] for place in sorted(rows)], _ROWS)
