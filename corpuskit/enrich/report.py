"""What an enrichment came to, and what it cost: the figures of ``enrichment.json``."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from pydantic import Field
from rich.table import Table

from corpuskit.energy import GRID
from corpuskit.enrich.annotations import OUTCOMES, Annotation, entropy, expected
from corpuskit.enrich.prompts import Prompt, ScoreField, SpansField
from corpuskit.enrich.store import Attempt
from corpuskit.steps import StepOptions


class Prices(StepOptions):
    """What answers cost, in any currency."""

    hour: float | None = Field(None, ge=0, description="an hour of one GPU, or of the machine that serves without one")
    tokens_in: float | None = Field(None, ge=0, description="a million tokens of questions")
    tokens_out: float | None = Field(None, ge=0, description="a million tokens of answers")
    gpus: int | None = Field(None, ge=0, description="GPUs that serve, where they cannot be counted here")
    grid: float = Field(GRID, ge=0, description="grid intensity, g CO2e/kWh")


class Figures:
    """Counts annotations on their way to the table; memory does not grow with them but for 4 bytes of latency each."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.outcomes = Counter[str]()
        self.details = Counter[str]()
        self.classes: dict[str, Counter[str]] = {name: Counter() for name in prompt.fields}
        self.sums: dict[str, Counter[str]] = {name: Counter() for name in prompt.fields}
        self.tokens = Counter[str]()
        self.seconds = array("f")

    def count(self, found: Iterable[tuple[Annotation, Attempt]]) -> Iterator[Annotation]:
        """The annotations on their way, counted."""
        for annotation, attempt in found:
            self.outcomes[annotation.outcome] += 1
            # A text that stands twice was asked about once.
            if attempt.id == annotation.id:
                if attempt.seconds:
                    self.seconds.append(attempt.seconds)
                for name, number in zip(("in", "out", "cached"), attempt.tokens, strict=True):
                    self.tokens[name] += number
            if annotation.outcome == "ok":
                self._answer(annotation)
            elif len(self.details) < 1_000 or annotation.detail in self.details:
                self.details[f"{annotation.outcome}: {annotation.detail[:100]}"] += 1
            yield annotation

    def _answer(self, annotation: Annotation) -> None:
        for name, asked in self.prompt.fields.items():
            value, sums = annotation.answer[name], self.sums[name]
            if isinstance(asked, SpansField):
                sums["passages"] += len(value)  # type: ignore[arg-type]
                continue
            self.classes[name][str(value).lower() if isinstance(value, bool) else str(value)] += 1
            if soft := annotation.soft.get(name):
                sums["soft"] += 1
                sums["entropy"] += entropy(soft)  # type: ignore[assignment]
                if isinstance(asked, ScoreField):
                    sums["expected"] += expected(asked, soft)  # type: ignore[assignment]

    def told(self) -> dict[str, Any]:
        """Outcomes, what was answered, tokens and latency of what is in the table."""
        fields: dict[str, Any] = {}
        for name, asked in self.prompt.fields.items():
            counts, sums = self.classes[name], self.sums[name]
            told: dict[str, Any] = {"type": asked.type}
            if isinstance(asked, SpansField):
                told["passages"] = sums["passages"]
            else:
                told["counts"] = {one: counts[one] for one in asked.classes}
            if isinstance(asked, ScoreField) and counts:
                told["mean"] = round(sum(int(one) * many for one, many in counts.items()) / counts.total(), 4)
            if sums["soft"]:
                told["with_distribution"] = sums["soft"]
                told["mean_entropy_bits"] = round(sums["entropy"] / sums["soft"], 4)
                if isinstance(asked, ScoreField):
                    told["mean_expected"] = round(sums["expected"] / sums["soft"], 4)
            fields[name] = told
        latency = np.asarray(self.seconds) if self.seconds else None
        return {
            "outcomes": {one: self.outcomes[one] for one in OUTCOMES},
            "reasons": dict(self.details.most_common(10)),
            "fields": fields,
            "tokens": {name: self.tokens[name] for name in ("in", "out", "cached")},
            "latency_seconds": None
            if latency is None
            else {f"p{share}": round(float(np.percentile(latency, share)), 3) for share in (50, 95)},
        }


def cost(sessions: Sequence[dict[str, Any]], in_all: int, prices: Prices) -> dict[str, Any]:
    """Time, energy and money of all runs that asked these questions, and what the whole corpus would take.

    Args:
        sessions: of the store, one a process.
        in_all: paragraphs of the corpus, chosen or not.
        prices: with them.
    """
    requests = sum(session["requests"] for session in sessions)
    seconds = sum(session["seconds"] for session in sessions)
    tokens = Counter[str]()
    for session in sessions:
        tokens.update(session["tokens"])
    # Energy is known only if it is for every process.
    known = bool(sessions) and all(session["kwh"] is not None for session in sessions)
    kwh = sum(session["kwh"] for session in sessions) if known else None
    # A server starts once, whatever it is asked.
    starting = sum(session["kwh_before"] for session in sessions) if known else 0.0
    gpus = max((session["gpus"] for session in sessions), default=0) or prices.gpus
    gpu_hours = None if gpus is None else seconds * gpus / 3600
    money = None
    if prices.hour is not None:
        money = prices.hour * seconds / 3600 * max(gpus or 0, 1)
    if prices.tokens_in is not None or prices.tokens_out is not None:
        money = (money or 0) + (tokens["in"] * (prices.tokens_in or 0) + tokens["out"] * (prices.tokens_out or 0)) / 1e6
    share = in_all / requests if requests else None
    return {
        "work": {
            "runs": len(sessions),
            "requests": requests,
            "seconds": round(seconds, 1),
            "requests_per_second": round(requests / seconds, 2) if seconds else None,
            "tokens": {name: tokens[name] for name in ("in", "out", "cached")},
            "gpu_hours": None if gpu_hours is None else round(gpu_hours, 4),
            "energy_kwh": None if kwh is None else round(kwh, 6),
            "energy_from": sorted({session["energy"] for session in sessions}),
            "co2e_g": None if kwh is None else round(kwh * prices.grid, 3),
            "grid_g_per_kwh": prices.grid,
            "cost_per_1000": round(money / requests * 1000, 4) if money is not None and requests else None,
        },
        "whole_corpus": None
        if share is None
        else {
            "paragraphs": in_all,
            "hours": round(seconds * share / 3600, 3),
            "gpu_hours": None if gpu_hours is None else round(gpu_hours * share, 3),
            "energy_kwh": None if kwh is None else round((kwh - starting) * share + starting, 4),
            "cost": None if money is None else round(money * share, 2),
        },
    }


def tables(told: dict[str, Any]) -> list[Table]:
    """The report as tables for a terminal."""
    outcomes = Table("outcome", "paragraphs", title="Outcomes", title_justify="left")
    total = sum(told["outcomes"].values())
    for name, many in told["outcomes"].items():
        if many:
            outcomes.add_row(name, f"{many:,} ({many / total:.1%})")
    answers = Table("field", "answers", title="Answers", title_justify="left")
    for name, field in told["fields"].items():
        shares = ", ".join(f"{one} {many:,}" for one, many in field.get("counts", {}).items() if many)
        if "passages" in field:
            shares = f"{field['passages']:,} passages"
        if "mean" in field:
            shares += f"; mean {field['mean']:.2f}"
        if "mean_expected" in field:
            shares += f", expected {field['mean_expected']:.2f}"
        answers.add_row(name, shares or "none")
    work, latency, tokens = told["work"], told["latency_seconds"], told["work"]["tokens"]
    cost = Table("what", "figure", title="Work, over all runs of these questions", title_justify="left")
    cost.add_row(
        "requests", f"{work['requests']:,} in {work['seconds']:,.1f} s ({work['requests_per_second'] or 0:,.1f}/s)"
    )
    cost.add_row("tokens", f"{tokens['in']:,} in ({tokens['cached']:,} of them cached), {tokens['out']:,} out")
    if latency:
        cost.add_row("latency", f"p50 {latency['p50']:.3f} s, p95 {latency['p95']:.3f} s")
    if work["gpu_hours"] is not None:
        cost.add_row("GPU-hours", f"{work['gpu_hours']:.4f}")
    energy = "unknown" if work["energy_kwh"] is None else f"{work['energy_kwh']:.6f} kWh, {work['co2e_g']:.3f} g CO2e"
    cost.add_row("energy", f"{energy} ({'; '.join(work['energy_from'])})")
    if work["cost_per_1000"] is not None:
        cost.add_row("cost of 1,000 paragraphs", f"{work['cost_per_1000']:.4f}")
    if whole := told["whole_corpus"]:
        parts = [f"{whole['hours']:,.2f} hours"]
        parts += [f"{whole['energy_kwh']:,.3f} kWh"] if whole["energy_kwh"] is not None else []
        parts += [f"cost {whole['cost']:,.2f}"] if whole["cost"] is not None else []
        cost.add_row(f"all {whole['paragraphs']:,} paragraphs", ", ".join(parts))
    return [outcomes, answers, cost]
