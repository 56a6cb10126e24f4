"""The one table of a study: a line a run, with its variants, what it was trained on, and what it gets on each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpuskit import runs
from corpuskit.ablate.outcome import Ablated
from corpuskit.ablate.study import AXES, Run
from corpuskit.evaluate import leaderboard
from corpuskit.evaluate.compare import Ranking, title
from corpuskit.evaluate.leaderboard import UNKNOWN, Cell, Table, amount, interval, large, spread
from corpuskit.report.evaluation import evaluation

MARKDOWN, LATEX, PAGE = "study.md", "study.tex", "study.html"
_HEADS = {"corpora": "corpus", "samples": "sample", "starts": "start"}


def table(done: Ablated) -> Table:
    """All runs, in the order of the study, those without a result too."""
    comparison = done.comparison
    rankings = comparison.rankings if comparison else ()
    overall = comparison.overall[0] if comparison and len(comparison.overall) == 1 else None
    trained = any(run.variants for run in done.plan.runs)
    heads = ["run", *(_HEADS.values() if trained else ()), *(("tokens", "Wh to train") if trained else ())]
    heads += [f"{title(one, rankings)}: {one.headline}" for one in rankings]
    heads += ["mean rank"] if overall else []
    ranks = {place.name: place.mean_rank for place in overall.systems} if overall else {}
    rows = []
    for run in done.plan.runs:
        row = [Cell(run.name)]
        if trained:
            row += [Cell(run.variants.get(axis, "")) for axis in AXES]
            row += _training(run, done.output)
        row += [_figure(run, one) for one in rankings]
        if overall:
            best = bool(ranks) and ranks.get(run.name) == min(ranks.values())
            row.append(Cell(f"{ranks[run.name]:.2f}" if run.name in ranks else UNKNOWN, best and len(ranks) > 1))
        rows.append(tuple(row))
    study = done.plan.study
    return Table(study.name.lower(), study.name, tuple(_caption(done, rankings, trained)), tuple(heads), tuple(rows))


def _training(run: Run, output: Path) -> list[Cell]:
    """Tokens of the text that a model was trained on, and energy of its training."""
    id = next((id for id in run.units if id.startswith("models/")), None)
    manifest: dict[str, Any] = (id and runs.read_manifest(output / id)) or {}
    if not manifest:
        return [Cell(""), Cell("")]
    kwh = manifest["energy"]["kwh"]
    tokens = sum(one["tokens"] for one in manifest["data"])
    return [Cell(large(tokens)), Cell(amount(None if kwh is None else 1_000 * kwh))]


def _figure(run: Run, ranking: Ranking) -> Cell:
    found = next((one.figures[ranking.headline] for one in ranking.systems if one.name == run.name), None)
    if found is None:
        return Cell(UNKNOWN)
    mark = found.against.mark(ranking.protocol.confidence) if found.against else ""
    return Cell(f"{spread(found.spread)} {interval(found.interval)}", found.rank == 1 < len(ranking.systems), mark)


def _caption(done: Ablated, rankings: tuple[Ranking, ...], trained: bool) -> list[str]:
    about = done.plan.study.description.rstrip(".")
    told = [f"{about}."] if about else []
    if trained:
        told.append("Tokens: of the text that a model was trained on, each once.")
    if rankings:
        protocol = rankings[0].protocol
        told.append(
            f"Figures × 100: mean ± standard deviation over {_seeds(rankings)}, and in brackets the "
            f"{100 * protocol.confidence:.10g} % interval of {protocol.resamples:,} bootstrap samples of test."
        )
        baseline = next((one.baseline for one in rankings if one.baseline), None)
        if baseline and len(done.plan.runs) > 1:
            told.append(
                f"↑ and ↓: above and below {baseline}, both p-values (paired bootstrap and approximate "
                f"randomisation, after Holm) below {1 - protocol.confidence:.10g}. The best of a column is bold."
            )
        notes: dict[str, list[str]] = {}
        for one in rankings:
            for note in one.notes:
                notes.setdefault(note, []).append(one.task.name)
        told += [f"{', '.join(names)}: {note}" for note, names in notes.items()]
    if done.unfinished:
        told.append(f"Not finished: {', '.join(done.unfinished)}.")
    return told


def _seeds(rankings: tuple[Ranking, ...]) -> str:
    counts = {len(one.result.answers) for ranking in rankings for one in ranking.systems}
    told = f"{min(counts)} to {max(counts)} seeds" if len(counts) > 1 else f"{min(counts)} seeds"
    return told if counts != {1} else "1 seed"


def write(done: Ablated, output: Path) -> None:
    """Write the table as Markdown, LaTeX and a page, each with all that the comparison tells after it.

    Raises:
        ReportError: a page cannot be made or written.
        OSError: a file cannot be written.
    """
    comparison = done.comparison
    if comparison is None:
        return
    found = table(done)
    markdown = f"{leaderboard.to_markdown(found, '#')}\n\n{leaderboard.markdown(comparison)}"
    (output / MARKDOWN).write_text(markdown, encoding="utf-8")
    (output / LATEX).write_text(leaderboard.latex(comparison, [found]), encoding="utf-8")
    evaluation(comparison, output / PAGE, before=[found])
