"""What the charts of a report show. The page draws each with Plotly and says the same numbers in a table.

A chart holds at most as many series as there are colours to tell apart, and as many bars as can be read; the rest
is added up as "other". The tables of the report are not cut like this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from corpuskit.report.compare import Compared
from corpuskit.report.figures import CLUSTERS, LENGTHS, NOISE, FieldFigures, Figures
from corpuskit.report.tables import Rows

SERIES, BARS, REASONS = 8, 30, 16
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one or several series over the same categories."""

    title: str
    #: What the categories are, and what is counted.
    axis: str
    value: str
    categories: list[str]
    series: dict[str, list[float]]
    horizontal: bool = False
    mode: Literal["stack", "group"] = "stack"
    #: The values are shares, 0 to 1.
    percent: bool = False
    #: The categories are intervals that follow each other: no gap between the bars.
    histogram: bool = False
    type: Literal["bars"] = field(default="bars", init=False)


@dataclass(frozen=True, slots=True)
class Flow:
    """Paragraphs on their way: nodes by name and column, links by the numbers of their nodes."""

    title: str
    nodes: list[str]
    #: Of each node what it is.
    roles: list[Literal["source", "kept", "stage", "reason"]]
    links: list[tuple[int, int, int]]
    type: Literal["flow"] = field(default="flow", init=False)


@dataclass(frozen=True, slots=True)
class Line:
    """A curve; what is called alike looks alike."""

    name: str
    x: list[float]
    y: list[float]
    #: `pale` lies behind, `calm` over it, `main` stands out; a `source` has a colour of its own.
    role: Literal["pale", "calm", "main", "source"] = "source"


@dataclass(frozen=True, slots=True)
class Lines:
    """Curves over one axis, and the places on it that matter."""

    title: str
    axis: str
    value: str
    lines: list[Line]
    #: A place, and what is there; without a word it is dotted.
    marks: list[tuple[float, str]] = field(default_factory=list)
    #: Least and most that is shown of the values; the rest may leap out.
    within: tuple[float, float] | None = None
    type: Literal["lines"] = field(default="lines", init=False)


@dataclass(frozen=True, slots=True)
class Dots:
    """A figure of each of several, with its interval, and the single ones that it is the mean of."""

    title: str
    value: str
    #: Name, figure, lower and upper end (None without), single figures.
    rows: list[tuple[str, float, float | None, float | None, list[float]]]
    type: Literal["dots"] = field(default="dots", init=False)


@dataclass(frozen=True, slots=True)
class Ranks:
    """The place of each of several by several rules."""

    title: str
    rules: list[str]
    #: Of each by name, rule by rule.
    ranks: dict[str, list[int]]
    type: Literal["ranks"] = field(default="ranks", init=False)


@dataclass(frozen=True, slots=True)
class Scatter:
    """Points with names, over an axis of powers of ten."""

    title: str
    axis: str
    value: str
    #: Name, place, figure, lower and upper end (None without).
    points: list[tuple[str, float, float, float | None, float | None]]
    type: Literal["scatter"] = field(default="scatter", init=False)


@dataclass(frozen=True, slots=True)
class Confusion:
    """What is taken for what, in the run that is chosen on the page."""

    title: str
    type: Literal["confusion"] = field(default="confusion", init=False)


Chart = Bars | Flow | Lines | Dots | Ranks | Scatter | Confusion


def sources(figures: Figures) -> list[str]:
    """The sources that the charts tell apart, the largest first: each has the same colour everywhere."""
    return _largest({row["source"]: row["paragraphs"] for row in figures.sources}, SERIES)


def of_folder(figures: Figures) -> dict[str, Chart]:
    """The charts of a folder, by the place that the page has for them; of nothing there is no chart."""
    names = sources(figures)
    found: dict[str, Chart | None] = {
        "flow": flow(figures),
        "languages": _languages(figures.languages),
        "kinds": _bars("Paragraphs by kind and source", "kind", [
            (row["kind"], row["source"], row["paragraphs"]) for row in figures.kinds], names, horizontal=True),
        "years": _years(figures, names),
        "journals": _bars("Most frequent journals", "journal", [
            (row["journal"], "paragraphs", row["paragraphs"]) for row in figures.journals], ["paragraphs"],
            horizontal=True),
        "lengths": _histogram("Words of a paragraph", "words", figures.lengths, LENGTHS, names, whole=True),
        "noise": _histogram("OCR noise of the paragraphs kept (expected share of damaged words)", "OCR noise",
                            figures.noise, NOISE, names),
        "clusters": clusters(figures),
        "contamination": _bars("Paragraphs dropped because a test set is in them", "test set", [
            (row["test set"], row["source"], row["count"])
            for row in figures.contaminated if row["unit"] == "paragraph"], names, horizontal=True),
    }  # fmt: skip
    for number, labels in enumerate(figures.labels):
        for place, asked in enumerate(labels.fields):
            for what, chart in of_field(asked).items():
                found[f"labels-{number}-{place}-{what}"] = chart
    return {name: chart for name, chart in found.items() if chart is not None}


def of_field(asked: FieldFigures) -> dict[str, Chart]:
    """The charts of a field: its answers, the expected scores or densities, the entropy."""
    found: dict[str, Chart] = {}
    if asked.counts and any(asked.counts.values()):
        title = f"{asked.name}: the score answered" if asked.type == "score" else f"{asked.name}: the labels"
        ordered = asked.counts if asked.type == "score" else dict(Counter(asked.counts).most_common())
        shown = list(ordered.items()) if asked.type == "score" else list(ordered.items())[:BARS]
        found["counts"] = Bars(
            title, asked.name, "paragraphs", [name for name, _ in shown], {"paragraphs": [n for _, n in shown]},
            horizontal=asked.type != "score", histogram=asked.type == "score",
        )  # fmt: skip
    for what, told in (("expected", asked.expected), ("entropy", asked.entropy)):
        if told is not None:
            edges, counts = told
            name = {"entropy": "entropy in bits", "expected": "density" if asked.type == "spans" else "expected score"}
            found[what] = Bars(
                f"{asked.name}: {name[what]}", name[what], "paragraphs",
                [f"{low:.2f}–{high:.2f}" for low, high in pairwise(edges)],
                {"paragraphs": list(counts)}, histogram=True,
            )  # fmt: skip
    return found


def of_difference(compared: Compared) -> dict[str, Chart]:
    """The shares of two folders side by side: by source, by kind, by the classes of each field."""
    told = {"against-sources": ("Sources", compared.sources), "against-kinds": ("Kinds", compared.kinds)}
    for number, (_, name, rows) in enumerate(compared.labels):
        told[f"against-labels-{number}"] = (name, rows)
    found: dict[str, Chart] = {}
    for place, (name, rows) in told.items():
        shown = rows[:BARS]
        if any(row["left"] or row["right"] for row in rows):
            sides = {compared.left: "left_share", compared.right: "right_share"}
            found[place] = Bars(
                f"{name}, share of the paragraphs", name, "share", [row["name"] for row in shown],
                {side: [row[share] or 0.0 for row in shown] for side, share in sides.items()},
                horizontal=True, mode="group", percent=True,
            )  # fmt: skip
    return found


def flow(figures: Figures) -> Flow | None:
    """From each source to what was kept, or to the stage that dropped it and the reason why."""
    dropped = [row for row in figures.dropped if row["unit"] == "paragraph"]
    if not dropped:
        return None
    kept = {row["source"]: row["paragraphs"] for row in figures.sources}
    read = Counter(kept)
    for row in dropped:
        read[row["source"]] += row["count"]
    names = _largest(dict(read), SERIES)
    reasons = Counter[tuple[str, str]]()
    for row in dropped:
        reasons[row["stage"], row["reason"]] += row["count"]
    told = {one for one, _ in reasons.most_common(REASONS)}
    numbers: dict[tuple[str, str], int] = {}
    links = Counter[tuple[tuple[str, str], tuple[str, str]]]()
    for source, number in kept.items():
        links[("source", _fold(source, names)), ("kept", "kept")] += number
    for row in dropped:
        stage, reason = ("stage", row["stage"]), row["reason"] if (row["stage"], row["reason"]) in told else OTHER
        links[("source", _fold(row["source"], names)), stage] += row["count"]
        links[stage, ("reason", f"{row['stage']}: {reason}")] += row["count"]
    for one, other in links:
        for node in (one, other):
            numbers.setdefault(node, len(numbers))
    return Flow(
        "Paragraphs from each source, kept or dropped", [name for _, name in numbers],
        [role for role, _ in numbers],  # type: ignore[misc]
        [(numbers[one], numbers[other], number) for (one, other), number in links.items() if number],
    )  # fmt: skip


def clusters(figures: Figures) -> Bars | None:
    """Clusters of two texts and more; those of one would dwarf them."""
    rows = [(_interval(CLUSTERS, row["bar"], whole=True), f"{row['unit']}s", row["clusters"])
            for row in figures.clusters if row["bar"]]  # fmt: skip
    return _bars(
        "Clusters of near-duplicates by the texts they stand for (one survives; clusters of one not shown)",
        "texts of the cluster", rows, ["articles", "paragraphs"], value="clusters", horizontal=True, mode="group",
    )  # fmt: skip


def interval(edges: Sequence[float], bar: int) -> str:
    """What a bar covers, such as 10–19, when its numbers are whole."""
    return _interval(edges, bar, whole=True)


def _interval(edges: Sequence[float], bar: int, whole: bool) -> str:
    low = edges[bar]
    if bar + 1 == len(edges):
        return f"≥ {low:,g}"
    high = edges[bar + 1] - 1 if whole else edges[bar + 1]
    return f"{low:,g}" if high == low else f"{low:,g}–{high:,g}"


def _largest(sizes: dict[str, int], number: int) -> list[str]:
    """The names of the largest, at most so many with one for the rest."""
    ranked = sorted(sizes, key=lambda name: (-sizes[name], name))
    return ranked if len(ranked) <= number else [*ranked[: number - 1], OTHER]


def _fold(name: str, names: Sequence[str]) -> str:
    return name if name in names else OTHER


def _bars(
    title: str, axis: str, cells: Iterable[tuple[str, str, int]], names: Sequence[str], *, value: str = "paragraphs",
    horizontal: bool = False, mode: Literal["stack", "group"] = "stack", histogram: bool = False,
) -> Bars | None:  # fmt: skip
    """Bars of cells (category, series, number), the categories in the order in which they come."""
    categories: dict[str, None] = {}
    counts = Counter[tuple[str, str]]()
    for category, one, number in cells:
        categories.setdefault(category)
        counts[_fold(one, names), category] += number
    if not categories:
        return None
    shown = list(categories)[:BARS] if horizontal else list(categories)
    series: dict[str, list[float]] = {one: [counts[one, name] for name in shown] for one in names}
    series = {one: numbers for one, numbers in series.items() if any(numbers)}
    return Bars(title, axis, value, shown, series, horizontal, mode, histogram=histogram)


def _histogram(
    title: str, axis: str, rows: Rows, edges: Sequence[float], names: Sequence[str], whole: bool = False
) -> Bars | None:
    if not rows:
        return None
    counted = {(row["source"], row["bar"]): row["paragraphs"] for row in rows}
    cells = [
        (_interval(edges, bar, whole), source, counted.get((source, bar), 0))
        for bar in range(max(row["bar"] for row in rows) + 1)
        for source in dict.fromkeys(row["source"] for row in rows)
    ]
    return _bars(title, axis, cells, names, histogram=True)


def _years(figures: Figures, names: Sequence[str]) -> Bars | None:
    known = [row for row in figures.years if row["year"] is not None]
    if not known:
        return None
    first, last = known[0]["year"], known[-1]["year"]
    # A wrong year far off must not make a bar for each year between.
    years = range(first, last + 1) if last - first < 200 else sorted({row["year"] for row in known})
    cells = [(str(year), names[0], 0) for year in years]
    cells += [(str(row["year"]), row["source"], row["paragraphs"]) for row in known]
    return _bars("Paragraphs by year of publication", "year", cells, names, histogram=True)


def _languages(rows: Rows) -> Bars | None:
    total, words = Counter[str](), Counter[str]()
    for row in rows:
        total[row["source"]] += row["words"]
        words[row["language"]] += row["words"]
    names = _largest(dict(words), SERIES)
    sources = [source for source, number in total.most_common(BARS) if number]
    if not sources:
        return None
    counts = Counter[tuple[str, str]]()
    for row in rows:
        counts[_fold(row["language"], names), row["source"]] += row["words"]
    return Bars(
        "Share of words by identified language", "source", "share of words", sources,
        {name: [counts[name, source] / total[source] for source in sources] for name in names},
        horizontal=True, percent=True,
    )  # fmt: skip
