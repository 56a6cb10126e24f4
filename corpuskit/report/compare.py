"""The difference between two folders: two runs, or two samples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit import runs
from corpuskit.paragraphs import read
from corpuskit.report.figures import Figures
from corpuskit.report.tables import Rows, Tables, scan

#: Units that are drawn so often are told together with those drawn more often.
TIMES = 10
#: Where labels come from that neither annotations nor columns have.
TALLY = "sample.json"
#: Differences of the configurations that are told one by one.
SETTINGS = 100


@dataclass(frozen=True, slots=True)
class Compared:
    """One row for each thing that is compared: ``name``, ``left`` and ``right`` (rows of paragraphs), and their
    shares ``left_share`` and ``right_share`` (None of nothing)."""

    left: str
    right: str
    totals: Rows
    #: What samples tell of how they were drawn: budget, effective sample size, how many units come how often.
    samples: Rows
    sources: Rows
    kinds: Rows
    #: By the name of the annotations and of the field.
    labels: list[tuple[str, str, Rows]]
    #: By the same, the means of scores: as answered, expected.
    means: Rows
    #: Different paragraphs, by their ids: in both, only left, only right.
    both: int
    only_left: int
    only_right: int
    #: Dotted path in the configuration, left and right; the first :data:`SETTINGS`. And how many there are.
    settings: list[tuple[str, Any, Any]]
    setting_count: int


def compare(left: Figures, path: Path, right: Figures, tables: Tables) -> Compared:
    """Compare the figures of two folders; annotations are those of the same folders, joined with either.

    Args:
        left: the figures of one.
        path: where it is.
        right: the figures of the other.
        tables: the other, open.
    """
    ids, theirs = f"(SELECT DISTINCT id FROM {scan(read.files(path))})", "(SELECT DISTINCT id FROM paragraphs)"
    counts = {
        name: tables.one(f"SELECT count(*) FROM {query} USING (id)")
        for name, query in (
            ("both", f"{ids} SEMI JOIN {theirs}"),
            ("only_left", f"{ids} ANTI JOIN {theirs}"),
            ("only_right", f"{theirs} ANTI JOIN {ids}"),
        )
    }
    settings = list(runs.differences(_settings(left), _settings(right)))
    means: Rows = []
    labels: list[tuple[str, str, Rows]] = []
    others = {one.name: {asked.name: asked for asked in one.fields} for one in right.labels}
    for one in left.labels:
        there = others.get(one.name, {})  # two samples may have different columns
        for asked, opposite in ((asked, there[asked.name]) for asked in one.fields if asked.name in there):
            if asked.counts:
                labels.append((one.name, asked.name, _side_by_side(asked.counts, opposite.counts)))
            for what, a, b in (
                ("mean", asked.mean, opposite.mean),
                ("mean expected", asked.mean_expected, opposite.mean_expected),
            ):
                if a is not None or b is not None:
                    means.append({"annotations": one.name, "field": asked.name, "what": what, "left": a, "right": b})
    known = {f"annotation.{name}" for _, name, _ in labels}
    for name in left.sample.get("by", {}):
        if name.startswith("annotation.") and name in right.sample.get("by", {}) and name not in known:
            rows = _side_by_side(_after(left, name), _after(right, name))
            labels.append((TALLY, name.removeprefix("annotation."), rows))
    return Compared(
        left=left.name,
        right=right.name if right.name != left.name else f"{right.name} (other)",
        totals=[
            {"name": name, "left": left.totals.get(name), "right": right.totals.get(name)}
            for name in ("articles", "paragraphs", "distinct", "words", "dropped_articles", "dropped_paragraphs")
            if name in left.totals or name in right.totals
        ],
        samples=_drawn(left.sample, right.sample),
        sources=_side_by_side(_by(left.sources, "source"), _by(right.sources, "source")),
        kinds=_side_by_side(_by(left.kinds, "kind"), _by(right.kinds, "kind")),
        labels=labels,
        means=means,
        **counts,
        settings=settings[:SETTINGS],
        setting_count=len(settings),
    )


def _settings(figures: Figures) -> dict[str, Any]:
    return {name: figures.manifest[name] for name in ("tool", "config", "recipe", "limit") if name in figures.manifest}


def _after(figures: Figures, field: str) -> dict[str, int]:
    """The paragraphs drawn by the value of a field, as a sample has counted them."""
    return {value: pair["after"]["paragraphs"] for value, pair in figures.sample["by"][field].items()}


def _drawn(*sides: dict[str, Any]) -> Rows:
    """What two samples tell of themselves, side by side; None where one does not tell."""
    told: dict[str, list[float | None]] = {
        f"budget in {kind}": [(one.get("budget") or {}).get(kind) for one in sides] for kind in ("words", "tokens")
    }
    told["effective sample size"] = [one.get("effective_sample_size") for one in sides]
    for unit in dict.fromkeys(one["unit"] for one in sides if "unit" in one):
        counts = [_times(one) if one.get("unit") == unit else None for one in sides]
        for times in sorted({times for one in counts for times in one or ()}):
            name = f"{unit}s drawn {times}×" + (" or more" if times == TIMES else "")
            told[name] = [None if one is None else one[times] for one in counts]
    return [
        {"name": name, "left": one, "right": other} for name, (one, other) in told.items() if {one, other} != {None}
    ]


def _times(sample: dict[str, Any]) -> Counter[int]:
    found = Counter[int]()
    for times, units in sample.get("repetitions", {}).items():
        found[min(int(times), TIMES)] += units
    return found


def _by(rows: Rows, name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row[name]] = found.get(row[name], 0) + row["paragraphs"]
    return found


def _side_by_side(left: dict[str, int], right: dict[str, int]) -> Rows:
    names = list(dict.fromkeys([*left, *right]))
    all_left, all_right = sum(left.values()), sum(right.values())
    return [
        {
            "name": name,
            "left": left.get(name, 0),
            "right": right.get(name, 0),
            "left_share": left.get(name, 0) / all_left if all_left else None,
            "right_share": right.get(name, 0) / all_right if all_right else None,
        }
        for name in names
    ]
