"""All figures of a report, counted over the tables; nothing is estimated.

What leaves DuckDB is bounded by the number of sources, labels, words a paragraph may have, licences and years, not
by the number of paragraphs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pyarrow as pa

from corpuskit.enrich.prompts import AnyField, ScoreField, SpansField
from corpuskit.report.tables import OWN, Labels, Rows, Tables

#: Where the bars of the histograms begin: words of a paragraph, OCR noise, texts of a cluster of near-duplicates.
LENGTHS = (0, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000)
NOISE = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75)
CLUSTERS = (1, 2, 3, 5, 10, 100, 1000)
#: Bars of the histogram of something continuous on an interval.
BINS = 20
#: The most frequent journals that are told one by one.
JOURNALS = 20
#: Fields with more classes, and fields after so many, are in no table of two.
CROSSED, CROSSED_CLASSES = 8, 24
#: What the annotations are called that a sample has as columns of its own.
OWN_NAME = "columns of the sample"
#: What the source is called beside the fields; no field can have this name.
SOURCE = "source of the paragraph"
#: In per cent.
QUANTILES = (5, 25, 50, 75, 95)


@dataclass(slots=True)
class FieldFigures:
    """What was answered to one field, over the rows of paragraphs."""

    name: str
    type: str
    definition: str
    classes: list[str]
    #: Rows by class, in the order of the prompt; of passages nothing.
    counts: dict[str, int] = field(default_factory=dict)
    #: Mean of the scores as answered, of the expected scores, of the density of passages.
    mean: float | None = None
    mean_expected: float | None = None
    #: The edges of the bars (one more than bars) and the rows in each; of what is not known nothing.
    expected: tuple[list[float], list[int]] | None = None
    entropy: tuple[list[float], list[int]] | None = None


@dataclass(slots=True)
class LabelFigures:
    """Annotations, over the rows of paragraphs that have one."""

    name: str
    #: Empty where nobody says: a sample's own columns.
    annotator: dict[str, str]
    prompt: str
    #: Rows of paragraphs with an annotation; annotations of paragraphs that are not in the folder.
    rows: int
    elsewhere: int
    outcomes: dict[str, int]
    fields: list[FieldFigures]
    #: Of two dimensions (a field, or the source) the rows by their values.
    crosses: list[tuple[str, str, list[tuple[str, str, int]]]]


@dataclass(slots=True)
class Figures:
    """The figures of a folder. Words are those of paragraphs."""

    name: str
    tool: str
    manifest: dict[str, Any]
    #: What a sample tells of itself (``sample.json``), {} elsewhere.
    sample: dict[str, Any]
    totals: dict[str, int]
    #: source, articles, paragraphs, words; the largest first.
    sources: Rows
    #: unit, source, stage, reason, count, words.
    dropped: Rows
    #: What is left after each stage of a build, as in ``funnel.json``.
    stages: Rows
    #: Whether ``languages`` tells of all that was read, or of what is kept.
    languages_read: bool
    #: source, language, paragraphs, words.
    languages: Rows
    #: licence (None: not stated), source, articles, paragraphs, words.
    licences: Rows
    #: unit, bar of :data:`CLUSTERS`, clusters, texts that they stand for.
    clusters: Rows
    #: source, year (None: not given), paragraphs.
    years: Rows
    #: journal, articles, paragraphs, words; the first :data:`JOURNALS`. And how many there are.
    journals: Rows
    journal_count: int
    #: source, kind, paragraphs.
    kinds: Rows
    #: source, bar of :data:`LENGTHS`, paragraphs.
    lengths: Rows
    #: source, quantiles of words a paragraph, by :data:`QUANTILES`, and mean; the source None is all.
    length_quantiles: Rows
    #: source, bar of :data:`NOISE`, paragraphs (those without a figure are left out).
    noise: Rows
    #: test set, source, unit, count: what was dropped for it. And what the build reports of each set.
    contaminated: Rows
    test_sets: dict[str, dict[str, Any]]
    #: Of annotations that were given; without any, of those that a sample has as columns of its own.
    labels: list[LabelFigures]


def count(tables: Tables) -> Figures:
    """Count everything."""
    sources = _sources(tables)
    dropped = _dropped(tables)
    funnel = tables.funnel
    lengths, quantiles = _lengths(tables)
    languages = [
        {"source": source, "language": language, "paragraphs": told["paragraphs"], "words": told["words"]}
        for source, languages in funnel.get("languages", {}).items()
        for language, told in languages.items()
    ]
    journals = tables.rows(
        f"""
        WITH most AS (SELECT journal FROM paragraphs WHERE journal IS NOT NULL
                      GROUP BY journal ORDER BY count(*) DESC, journal LIMIT {JOURNALS})
        SELECT journal, count(DISTINCT article_id) AS articles, count(*) AS paragraphs, {_WORDS}
        FROM paragraphs SEMI JOIN most USING (journal) GROUP BY journal ORDER BY paragraphs DESC, journal
        """
    )
    return Figures(
        name=tables.path.resolve().name,
        tool=tables.manifest.get("tool", ""),
        manifest=tables.manifest,
        sample=tables.sample,
        totals=_totals(tables, sources, dropped),
        sources=sources,
        dropped=dropped,
        stages=funnel.get("stages", []),
        languages_read=bool(languages),
        languages=languages
        or tables.rows(
            f"SELECT source, language, count(*) AS paragraphs, {_WORDS} FROM paragraphs GROUP BY ALL "
            "ORDER BY source, words DESC, language"
        ),
        licences=_licences(tables),
        clusters=_clusters(tables),
        years=tables.rows(
            "SELECT source, year, count(*) AS paragraphs FROM paragraphs GROUP BY ALL ORDER BY year NULLS LAST, source"
        ),
        journals=journals,
        journal_count=tables.one("SELECT count(DISTINCT journal) FROM paragraphs"),
        kinds=tables.rows(
            "SELECT source, kind, count(*) AS paragraphs FROM paragraphs GROUP BY ALL ORDER BY 3 DESC, source, kind"
        ),
        lengths=lengths,
        length_quantiles=quantiles,
        noise=tables.rows(
            f"SELECT source, {_bar('ocr_noise', NOISE)} AS bar, count(*) AS paragraphs FROM paragraphs "
            "WHERE ocr_noise IS NOT NULL GROUP BY ALL ORDER BY bar, source"
        ),
        contaminated=[
            {"test set": row["reason"], "source": row["source"], "unit": row["unit"], "count": row["count"]}
            for row in dropped
            if row["stage"] == "contamination"
        ],
        test_sets=funnel.get("contamination", {}),
        labels=[_labels(tables, one) for one in tables.labels] or _own(tables),
    )


_WORDS = "coalesce(sum(words), 0)::BIGINT AS words"


def _bar(column: str, edges: Sequence[float]) -> str:
    """The SQL for the number of the bar that a value belongs to, the last edge below it or equal to it."""
    cases = " ".join(f"WHEN {column} >= {edges[place]} THEN {place}" for place in range(len(edges) - 1, 0, -1))
    return f"CASE {cases} ELSE 0 END"


def _articles(tables: Tables, by: str) -> dict[Any, int]:
    """Articles by a column that articles and paragraphs share, or by several."""
    source, number = ("articles", "count(*)") if "articles" in tables.there else (
        "paragraphs", "count(DISTINCT article_id)")  # fmt: skip
    rows = tables.db.execute(f"SELECT ({by}), {number} FROM {source} GROUP BY ALL").fetchall()
    return {tuple(key.values()) if isinstance(key, dict) else key: int(counted) for key, counted in rows}


def _sources(tables: Tables) -> Rows:
    articles = _articles(tables, "source")
    rows = tables.rows(
        f"SELECT source, count(*) AS paragraphs, {_WORDS} FROM paragraphs GROUP BY ALL ORDER BY 2 DESC, source"
    )
    return [
        {
            "source": row["source"],
            "articles": articles.get(row["source"], 0),
            "paragraphs": row["paragraphs"],
            "words": row["words"],
        }
        for row in rows
    ]


def _dropped(tables: Tables) -> Rows:
    return tables.rows(
        f"""
        SELECT unit, source, stage, reason, count(*) AS count, {_WORDS}
        FROM dropped GROUP BY ALL ORDER BY unit, source, stage, count DESC, reason
        """
    )


def _totals(tables: Tables, sources: Rows, dropped: Rows) -> dict[str, int]:
    totals = {name: sum(row[name] for row in sources) for name in ("articles", "paragraphs", "words")}
    totals["sources"] = len(sources)
    if "dropped" in tables.there:
        for unit in ("article", "paragraph"):
            totals[f"dropped_{unit}s"] = sum(row["count"] for row in dropped if row["unit"] == unit)
    if "quarantined" in tables.funnel:
        totals["quarantined"] = sum(tables.funnel["quarantined"].values())
    if tables.repeats:
        totals["distinct"] = tables.one("SELECT count(DISTINCT id) FROM paragraphs")
    return totals


def _licences(tables: Tables) -> Rows:
    articles = _articles(tables, "{'l': licence, 's': source}")
    rows = tables.rows(
        f"SELECT licence, source, count(*) AS paragraphs, {_WORDS} FROM paragraphs GROUP BY ALL "
        "ORDER BY paragraphs DESC, licence, source"
    )
    return [
        {
            "licence": row["licence"],
            "source": row["source"],
            "articles": articles.get((row["licence"], row["source"]), 0),
            "paragraphs": row["paragraphs"],
            "words": row["words"],
        }
        for row in rows
    ]


def _clusters(tables: Tables) -> Rows:
    return [
        {"unit": unit, **row}
        for unit, table in (("article", "articles"), ("paragraph", "paragraphs"))
        for row in tables.rows(
            f"SELECT {_bar('cluster_size', CLUSTERS)} AS bar, count(*) AS clusters, sum(cluster_size)::BIGINT AS texts "
            f"FROM {table} WHERE cluster_size IS NOT NULL GROUP BY ALL ORDER BY bar"
        )
    ]


def _lengths(tables: Tables) -> tuple[Rows, Rows]:
    """Histogram and quantiles of words, both from how many paragraphs of a source have how many words."""
    by_source: dict[str | None, Counter[int]] = {None: Counter()}
    for row in tables.rows(
        "SELECT source, words, count(*) AS n FROM paragraphs WHERE words IS NOT NULL GROUP BY ALL ORDER BY source"
    ):
        for source in (None, row["source"]):
            by_source.setdefault(source, Counter())[row["words"]] += row["n"]
    bars: Rows = []
    for source, counts in by_source.items():
        if source is not None:
            inside = Counter[int]()
            for words, number in counts.items():
                inside[max(place for place, edge in enumerate(LENGTHS) if place == 0 or edge <= words)] += number
            bars += [{"source": source, "bar": bar, "paragraphs": inside[bar]} for bar in sorted(inside)]
    told: Rows = [{"source": source} | _summary(counts) for source, counts in by_source.items() if counts]
    return bars, told


def _summary(counts: Counter[int]) -> dict[str, Any]:
    """Mean and quantiles of numbers that are given with how often they occur; a quantile is one of the numbers."""
    total = counts.total()
    found: dict[str, Any] = {"mean": sum(value * number for value, number in counts.items()) / total}
    below, values = 0, iter(sorted(counts))
    value = next(values)
    for percent in QUANTILES:
        while below + counts[value] < max(1, -(-percent * total // 100)):
            below += counts[value]
            value = next(values)
        found[str(percent)] = value
    return found


def _labels(tables: Tables, labels: Labels) -> LabelFigures:
    joined = f"joined_{labels.view}"
    tables.db.execute(
        f"CREATE TEMP TABLE {joined} AS "
        f"SELECT p.source, l.* EXCLUDE (id) FROM paragraphs p JOIN {labels.view} l ON p.id = l.id"
    )
    outcomes = tables.rows(f"SELECT outcome, count(*) AS n FROM {joined} GROUP BY ALL ORDER BY n DESC, outcome")
    elsewhere = tables.one(f"SELECT count(*) FROM {labels.view} ANTI JOIN paragraphs USING (id)")
    found = LabelFigures(
        name=labels.name,
        annotator=dict(labels.opened.annotator._asdict()),
        prompt=f"{labels.opened.prompt.name} {labels.opened.prompt.version}",
        rows=sum(row["n"] for row in outcomes),
        elsewhere=elsewhere,
        outcomes={row["outcome"]: row["n"] for row in outcomes},
        fields=[_field(tables, joined, *one) for one in labels.fields],
        crosses=_crosses(tables, joined, labels),
    )
    tables.db.execute(f"DROP TABLE {joined}")
    return found


def _own(tables: Tables) -> list[LabelFigures]:
    """The annotations that a sample has as columns of its own, if it has any."""
    fields = []
    for column in tables.own:
        value = '"' + column.name.replace('"', '""') + '"'
        described = (column.metadata or {}).get(b"description", b"").decode()
        found = FieldFigures(column.name.removeprefix(OWN), "label", described, [])
        if not pa.types.is_floating(column.type):
            order = value if pa.types.is_integer(column.type) else "n DESC, 1"
            query = f"SELECT {value}::VARCHAR, count(*) AS n FROM own WHERE {value} IS NOT NULL GROUP BY {value}"
            found.counts = dict(tables.db.execute(f"{query} ORDER BY {order}").fetchall())
            found.classes = list(found.counts)
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            found.type, found.mean = "score", tables.one(f"SELECT avg({value}) FROM own")
        fields.append(found)
    rows = tables.one("SELECT count(*) FROM own")
    return [LabelFigures(OWN_NAME, {}, "", rows, 0, {}, fields, [])] if fields else []


def _field(tables: Tables, joined: str, place: int, name: str, asked: AnyField) -> FieldFigures:
    found = FieldFigures(name, asked.type, asked.definition, asked.classes)
    if isinstance(asked, SpansField):
        found.expected = _histogram(tables, joined, f"x{place}", 0.0, 1.0)
        found.mean = tables.one(f"SELECT avg(x{place}) FROM {joined} WHERE outcome = 'ok'")
        return found
    counts = dict(
        tables.db.execute(
            f"SELECT v{place}, count(*) FROM {joined} WHERE outcome = 'ok' AND v{place} IS NOT NULL GROUP BY ALL"
        ).fetchall()
    )
    found.counts = {one: counts.get(one, 0) for one in [*asked.classes, *sorted(counts.keys() - set(asked.classes))]}
    found.entropy = _histogram(tables, joined, f"e{place}", 0.0, math.log2(len(asked.classes)))
    if isinstance(asked, ScoreField):
        found.expected = _histogram(tables, joined, f"x{place}", float(asked.least), float(asked.most))
        found.mean, found.mean_expected = tables.db.execute(
            f"SELECT avg(v{place}::DOUBLE), avg(x{place}) FROM {joined} WHERE outcome = 'ok'"
        ).fetchall()[0]
    return found


def _histogram(
    tables: Tables, joined: str, column: str, low: float, high: float
) -> tuple[list[float], list[int]] | None:
    """Bars of equal width; what rounding puts outside belongs to the first or the last. None where nothing is known."""
    if high <= low:
        return None
    edges = [low + (high - low) * place / BINS for place in range(BINS + 1)]
    counts = dict(
        tables.db.execute(
            f"SELECT {_bar(column, edges[:-1])}, count(*) FROM {joined} "
            f"WHERE outcome = 'ok' AND {column} IS NOT NULL GROUP BY ALL"
        ).fetchall()
    )
    return (edges, [counts.get(place, 0) for place in range(BINS)]) if counts else None


def _crosses(tables: Tables, joined: str, labels: Labels) -> list[tuple[str, str, list[tuple[str, str, int]]]]:
    """Rows by the values of each two dimensions: labels first, then the other fields, then the source."""
    crossed = [one for one in labels.fields if 1 < len(one[2].classes) <= CROSSED_CLASSES]
    crossed.sort(key=lambda one: one[2].type != "label")
    dimensions = [(name, f"v{place}") for place, name, _ in crossed[:CROSSED]] + [(SOURCE, "source")]
    pairs = list(combinations(dimensions, 2))
    if not pairs:
        return []
    columns = list(dict.fromkeys(column for pair in pairs for _, column in pair))
    sets = ", ".join(f"({one}, {other})" for (_, one), (_, other) in pairs)
    rows = tables.db.execute(
        f"SELECT grouping_id({', '.join(columns)}), {', '.join(columns)}, count(*) FROM {joined} "
        f"WHERE outcome = 'ok' GROUP BY GROUPING SETS ({sets}) ORDER BY ALL"
    ).fetchall()
    # Bit n from the right is set where the nth column from the right is not grouped by.
    bit = {column: 1 << (len(columns) - 1 - place) for place, column in enumerate(columns)}
    every = sum(bit.values())
    found: list[tuple[str, str, list[tuple[str, str, int]]]] = []
    for (one, left), (other, right) in pairs:
        mask, at, across = every - bit[left] - bit[right], 1 + columns.index(left), 1 + columns.index(right)
        cells = [(row[at], row[across], row[-1]) for row in rows if row[0] == mask and row[at] and row[across]]
        found.append((one, other, cells))
    return found


__all__ = ["CLUSTERS", "LENGTHS", "NOISE", "QUANTILES", "FieldFigures", "Figures", "LabelFigures", "count"]
