"""From a comparison of systems to its page: tables, charts, what is taken for what, and the errors to read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corpuskit import runs
from corpuskit.evaluate import errors, leaderboard, results, scoring
from corpuskit.evaluate.compare import Comparison, Ranking, compare, find, title
from corpuskit.evaluate.errors import KINDS, Pair
from corpuskit.evaluate.records import Document
from corpuskit.report import page
from corpuskit.report.charts import Chart, Confusion, Dots, Ranks, Scatter

#: Documents of a task that the page carries, their characters each, the characters of a task, and documents × runs.
DOCUMENTS, SHOWN, CHARACTERS, ANSWERS = 300, 20_000, 2_000_000, 15_000

_Confused = Counter[tuple[str | None, str | None]]


def is_evaluation(folder: Path) -> bool:
    """Whether a folder holds a finished evaluation."""
    return (runs.read_manifest(folder) or {}).get("tool") == results.TOOL


def of_folder(folder: Path, output: Path) -> Path:
    """Write the page of one evaluation; see :func:`evaluation`.

    Raises:
        TaskError: the folder holds none, or it cannot be read.
        ReportError: the page cannot be made or written.
    """
    return evaluation(compare(find([folder])), output, runs.read_manifest(folder))


def evaluation(
    comparison: Comparison,
    output: Path,
    manifest: Mapping[str, Any] | None = None,
    before: Sequence[leaderboard.Table] = (),
) -> Path:
    """Write the page of a comparison.

    Args:
        comparison: what is shown.
        output: the HTML file; one that is there is replaced.
        manifest: of the evaluation, where it is one alone.
        before: tables that stand before all others.

    Raises:
        ReportError: the page cannot be made or written.
    """
    systems = list(dict.fromkeys(one.name for ranking in comparison.rankings for one in ranking.systems))
    tasks = list(dict.fromkeys(ranking.task.name for ranking in comparison.rankings))
    rankings, drawn, told = [], dict[str, Chart](), []
    for place, ranking in enumerate(comparison.rankings):
        called = title(ranking, comparison.rankings)
        drawn |= {f"{what}-{place}": chart for what, chart in charts(ranking).items()}
        rankings.append({
            "place": place,
            "title": called,
            "ranking": ranking,
            "tables": leaderboard.of_ranking(ranking, comparison.rankings),
        })  # fmt: skip
        told.append({"name": called, **browsed(ranking)})
    drawn["confusion"] = Confusion("What is taken for what")
    written = page.filled(
        "evaluation.html",
        ["page.js", "evaluation.js"],
        drawn,
        {"sources": systems, "labels": [], "kinds": KINDS, "tasks": told},
        name=f"{', '.join(systems[:3])}{' …' if len(systems) > 3 else ''} on {', '.join(tasks[:3])}"
        f"{' …' if len(tasks) > 3 else ''}",
        tool="corpuskit compare" if manifest is None else results.TOOL,
        manifest=manifest or {},
        comparison=comparison,
        before=before,
        rankings=rankings,
        overall=[leaderboard.overall(one) for one in comparison.overall],
        meanings=leaderboard.MEANINGS,
        systems=systems,
    )
    page.write(output, written)
    return output


def charts(ranking: Ranking) -> dict[str, Chart]:
    """The charts of a ranking, by what they show; of nothing there is no chart."""
    figures = [(one.name, one.figures[ranking.headline], one.cost) for one in ranking.systems]
    found: dict[str, Chart] = {
        "means": Dots(
            f"{ranking.headline} × 100: mean, interval and seeds",
            f"{ranking.headline} × 100",
            [
                (name, 100 * each.spread.mean, _hundred(each.interval.low), _hundred(each.interval.high),
                 [100 * value for value in each.by_seed])
                for name, each, _ in figures
            ],
        )
    }  # fmt: skip
    if len(figures) > 1 and len(ranking.measures) > 1:
        ranks = {one.name: [one.figures[measure].rank for measure in ranking.measures] for one in ranking.systems}
        found["ranks"] = Ranks("Rank by every scorer", list(ranking.measures), ranks)
    costs = {
        "latency": ("ms a document", [None if cost.latency is None else 1_000 * cost.latency for *_, cost in figures]),
        "energy": ("Wh per 1,000 documents", [None if cost.kwh_1000 is None else 1_000 * cost.kwh_1000
                                              for *_, cost in figures]),
        "size": ("million parameters", [None if cost.parameters is None else cost.parameters / 1e6
                                        for *_, cost in figures]),
    }  # fmt: skip
    for what, (axis, values) in costs.items():
        points = [
            (name, value, 100 * each.spread.mean, _hundred(each.interval.low), _hundred(each.interval.high))
            for (name, each, _), value in zip(figures, values, strict=True)
            if value  # nothing has no place on an axis of powers of ten
        ]
        if len(points) > 1:
            found[what] = Scatter(f"{ranking.headline} against {axis}", axis, f"{ranking.headline} × 100", points)
    return found


def _hundred(value: float | None) -> float | None:
    return None if value is None else 100 * value


# ---------------------------------------------------------------------------------------------------------------------
# Errors


def browsed(ranking: Ranking, most: int = DOCUMENTS) -> dict[str, Any]:
    """What the page carries of a ranking's errors: counts of all documents, and some documents to read.

    Args:
        ranking: whose.
        most: documents to carry at most.
    """
    task = ranking.task
    documents = scoring.gold(task, ranking.protocol, ranking.documents)
    answered = [(one.name, seed, answers) for one in ranking.systems for seed, answers in one.result.answers.items()]
    confused: list[_Confused] = [Counter() for _ in answered]
    wrong: list[Counter[tuple[str, str | None, str | None]]] = [Counter() for _ in documents]
    for place, document in enumerate(documents):
        for run, (_, _, answers) in enumerate(answered):
            pairs = errors.pairs(task, document, answers[document.id])
            confused[run] += errors.confusion(pairs)
            wrong[place].update((one.kind, one.gold, one.said) for one in pairs if one.kind != "right")
    labels = sorted({label for run in confused for pair in run for label in pair if label is not None})
    index: dict[str | None, int] = {None: -1} | {label: place for place, label in enumerate(labels)}
    chosen = _chosen(documents, wrong, min(most, max(20, ANSWERS // len(answered))))
    return {
        "kind": task.kind,
        "labels": labels,
        "of": len(documents),
        "runs": [
            {"system": name, "seed": seed, "confusion": [[index[gold], index[said], count]
                                                         for (gold, said), count in sorted(run.items(), key=str)]}
            for (name, seed, _), run in zip(answered, confused, strict=True)
        ],
        "documents": [
            _document(documents[place], index) | {
                "runs": [_run(errors.pairs(task, documents[place], answers[documents[place].id]), index)
                         | ({"problem": answers[documents[place].id].problem})
                         for _, _, answers in answered]
            }
            for place in chosen
        ],
    }  # fmt: skip


def _chosen(documents: Sequence[Document], wrong: Sequence[Counter[Any]], most: int) -> list[int]:
    """The documents to carry, in their order: those that show another error than those before, then the worst."""
    worst = sorted(
        range(len(documents)),
        key=lambda place: (-wrong[place].total(), hashlib.md5(documents[place].id.encode()).digest()),
    )
    seen = set[Any]()
    first = []
    for place in worst:
        if not wrong[place].keys() <= seen:
            first.append(place)
            seen |= wrong[place].keys()
    chosen: list[int] = []
    characters = 0
    for place in dict.fromkeys([*first, *worst]):
        characters += min(SHOWN, len(documents[place].text))
        if chosen and (len(chosen) >= most or characters > CHARACTERS):
            break
        chosen.append(place)
    return sorted(chosen)


def _document(document: Document, index: Mapping[str | None, int]) -> dict[str, Any]:
    gold = sorted({(one.spans, one.label) for one in document.entities})
    return {
        "id": document.id,
        "text": document.text[:SHOWN],
        "cut": max(0, len(document.text) - SHOWN),
        "choices": document.choices,
        "focus": document.focus,
        "gold": [[index[label], spans] for spans, label in gold],
    }


def _run(pairs: Sequence[Pair], index: Mapping[str | None, int]) -> dict[str, Any]:
    """Each pair: kind, label in the gold and said, spans in the gold and said (0: those of the gold)."""
    return {
        "pairs": [
            [KINDS.index(one.kind), index[one.gold], index[one.said], one.gold_spans,
             0 if one.said_spans == one.gold_spans else one.said_spans]
            for one in pairs
        ]
    }  # fmt: skip
