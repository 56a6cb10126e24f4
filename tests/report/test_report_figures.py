"""The figures of a report, against other queries of the same Parquet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import report_corpora as corpora
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.enrich.annotations import AnnotationsError
from corpuskit.paragraphs.read import ParagraphsError
from corpuskit.report import figures
from corpuskit.report.browse import browse
from corpuskit.report.charts import Bars, Flow, of_field, of_folder
from corpuskit.report.compare import TALLY, compare
from corpuskit.report.figures import BINS, LENGTHS, NOISE, QUANTILES, Figures, count
from corpuskit.report.run import report
from corpuskit.report.tables import opened
from corpuskit.sample.recipe import validate
from corpuskit.sample.run import sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpora.corpus(tmp_path_factory.mktemp("corpus [1]") / "o'corpus")


@pytest.fixture(scope="module")
def labels(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpora.annotated(tmp_path_factory.mktemp("labels") / "labels", folder)


@pytest.fixture(scope="module")
def counted(folder: Path, labels: Path) -> Figures:
    with opened(folder, [labels]) as tables:
        return count(tables)


@pytest.fixture(scope="module")
def db(folder: Path, labels: Path) -> duckdb.DuckDBPyConnection:
    """The tables, read by another way than the report's."""
    connection = duckdb.connect()
    for name in ("articles", "paragraphs", "dropped"):
        connection.register(name, pq.read_table(folder / name))
    connection.register("labels", pq.read_table(labels / "annotations"))
    return connection


def cells(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((tuple(row.values()) for row in rows), key=repr)


def told(db: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return sorted(db.sql(query).fetchall(), key=repr)


def test_totals_and_sources(counted: Figures, db: duckdb.DuckDBPyConnection) -> None:
    articles, paragraphs, words, dropped = db.sql(
        """
        SELECT (SELECT count(*) FROM articles), (SELECT count(*) FROM paragraphs), (SELECT sum(words) FROM paragraphs),
               (SELECT count(*) FROM dropped WHERE unit = 'paragraph')
        """
    ).fetchall()[0]
    assert counted.totals["articles"] == articles
    assert counted.totals["paragraphs"] == paragraphs
    assert counted.totals["words"] == words
    assert counted.totals["dropped_paragraphs"] == dropped
    assert counted.totals["quarantined"] == 1234
    by_article = "SELECT source, count(DISTINCT article_id), count(*), sum(words)::BIGINT FROM paragraphs GROUP BY ALL"
    assert cells(counted.sources) == told(db, by_article)


def test_dropped_licences_years_kinds_clusters(counted: Figures, db: duckdb.DuckDBPyConnection) -> None:
    assert cells(counted.dropped) == told(
        db, "SELECT unit, source, stage, reason, count(*), coalesce(sum(words), 0)::BIGINT FROM dropped GROUP BY ALL"
    )
    assert cells(counted.licences) == told(
        db,
        "SELECT licence, source, count(DISTINCT article_id), count(*), sum(words)::BIGINT FROM paragraphs GROUP BY ALL",
    )
    assert cells(counted.years) == told(db, "SELECT source, year, count(*) FROM paragraphs GROUP BY ALL")
    assert cells(counted.kinds) == told(db, "SELECT source, kind, count(*) FROM paragraphs GROUP BY ALL")
    sizes = {("paragraph", row["bar"]): (row["clusters"], row["texts"]) for row in counted.clusters
             if row["unit"] == "paragraph"}  # fmt: skip
    for bar, condition in ((0, "= 1"), (1, "= 2"), (2, "BETWEEN 3 AND 4"), (5, "BETWEEN 100 AND 999")):
        query = f"SELECT count(*), sum(cluster_size)::BIGINT FROM paragraphs WHERE cluster_size {condition}"
        assert sizes["paragraph", bar] == db.sql(query).fetchone()


def test_journals(counted: Figures, db: duckdb.DuckDBPyConnection) -> None:
    assert cells(counted.journals) == told(
        db,
        "SELECT journal, count(DISTINCT article_id), count(*), sum(words)::BIGINT FROM paragraphs "
        "WHERE journal IS NOT NULL GROUP BY ALL",
    )
    assert counted.journal_count == 4


def test_lengths_and_noise(counted: Figures, db: duckdb.DuckDBPyConnection) -> None:
    for rows, edges, column in ((counted.lengths, LENGTHS, "words"), (counted.noise, NOISE, "ocr_noise::DOUBLE")):
        bars = Counter[int]()
        for row in rows:
            bars[row["bar"]] += row["paragraphs"]
        for bar, low in enumerate(edges):
            high = edges[bar + 1] if bar + 1 < len(edges) else 1e9
            query = f"SELECT count(*) FROM paragraphs WHERE {column} >= {low} AND {column} < {high}"
            assert (bars[bar],) == db.sql(query).fetchone(), (column, low)
    everything = counted.length_quantiles[0]
    expected = db.sql(
        f"SELECT quantile_disc(words, {[percent / 100 for percent in QUANTILES]}), avg(words) FROM paragraphs"
    ).fetchall()[0]
    assert everything["source"] is None
    assert [everything[str(percent)] for percent in QUANTILES] == expected[0]
    assert everything["mean"] == pytest.approx(expected[1])


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_a_quantile_is_the_least_number_that_covers_its_share(numbers: list[int]) -> None:
    found = figures._summary(Counter(numbers))
    for percent in QUANTILES:
        covered = sum(one <= found[str(percent)] for one in numbers)
        below = sum(one < found[str(percent)] for one in numbers)
        assert 100 * covered >= percent * len(numbers)
        assert 100 * below < percent * len(numbers)
    assert found["mean"] == pytest.approx(sum(numbers) / len(numbers))


def test_annotations_of_the_paragraphs_that_are_there(counted: Figures, db: duckdb.DuckDBPyConnection) -> None:
    found = counted.labels[0]
    there = "labels WHERE id IN (SELECT id FROM paragraphs)"
    assert found.elsewhere == 10
    assert dict(found.outcomes) == dict(db.sql(f"SELECT outcome, count(*) FROM {there} GROUP BY ALL").fetchall())
    assert found.rows == sum(found.outcomes.values())
    fields = {one.name: one for one in found.fields}
    for name in ("document_type", "domain", "quality", "negated"):
        query = f"SELECT {name}::VARCHAR, count(*) FROM {there} AND outcome = 'ok' GROUP BY ALL"
        assert {one: n for one, n in fields[name].counts.items() if n} == dict(db.sql(query).fetchall())
    assert list(fields["document_type"].counts) == ["clinical_case", "study", "other"]
    means = f"SELECT avg(quality), avg(quality_expected::DOUBLE), avg(terms_density::DOUBLE) FROM {there}"
    assert (fields["quality"].mean, fields["quality"].mean_expected, fields["terms"].mean) == pytest.approx(
        db.sql(means).fetchone()
    )
    for column, told in (
        ("quality_expected", fields["quality"].expected),
        ("quality_entropy", fields["quality"].entropy),
        ("domain_entropy", fields["domain"].entropy),
        ("terms_density", fields["terms"].expected),
    ):
        assert told is not None
        edges, bars = told
        for bar in range(BINS):
            # What rounding puts over the last edge is in the last bar.
            high = edges[bar + 1] if bar + 1 < BINS else 99
            condition = f"{column}::DOUBLE >= {edges[bar]} AND {column}::DOUBLE < {high}"
            assert (bars[bar],) == db.sql(f"SELECT count(*) FROM {there} AND {condition}").fetchone()
    assert fields["document_type"].entropy is None


def test_two_fields_against_each_other(counted: Figures, db: duckdb.DuckDBPyConnection) -> None:
    crosses = {(one, other): rows for one, other, rows in counted.labels[0].crosses}
    assert next(iter(crosses)) == ("document_type", "domain")
    assert len(crosses) == 10
    for (one, other), rows in crosses.items():
        left, right = (f"l.{name}::VARCHAR" if name != figures.SOURCE else "p.source" for name in (one, other))
        query = (
            f"SELECT {left}, {right}, count(*) FROM paragraphs p JOIN labels l ON p.id = l.id "
            "WHERE outcome = 'ok' GROUP BY ALL"
        )
        assert sorted(rows) == told(db, query)


def test_the_flow_keeps_every_paragraph(counted: Figures) -> None:
    flow = of_folder(counted)["flow"]
    assert isinstance(flow, Flow)
    out, into = Counter[int](), Counter[int]()
    for one, other, number in flow.links:
        out[one] += number
        into[other] += number
    nodes = dict(zip(zip(flow.roles, flow.nodes, strict=True), range(len(flow.nodes)), strict=True))
    kept, dropped = counted.totals["paragraphs"], counted.totals["dropped_paragraphs"]
    assert sum(number for node, number in out.items() if flow.roles[node] == "source") == kept + dropped
    assert into[nodes["kept", "kept"]] == kept
    for node, role in enumerate(flow.roles):
        if role == "stage":
            assert into[node] == out[node]


def test_a_chart_of_many_sources_loses_nothing(tmp_path: Path) -> None:
    rows = [{"id": f"{n}", "text": "x", "source": f"s{n % 30:02d}", "kind": "body", "words": n} for n in range(300)]
    (tmp_path / "paragraphs").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "paragraphs" / "0.parquet")
    with opened(tmp_path) as tables:
        found = count(tables)
    chart = of_folder(found)["kinds"]
    assert isinstance(chart, Bars)
    assert len(chart.series) == 8
    assert "other" in chart.series
    assert sum(sum(numbers) for numbers in chart.series.values()) == 300


def test_paragraphs_alone_make_a_report(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a#1", "a#2"], "text": ["un", "deux"]}), tmp_path / "some.parquet")
    with opened(tmp_path / "some.parquet") as tables:
        found, browsed = count(tables), browse(tables)
    assert found.totals == {"articles": 0, "paragraphs": 2, "words": 0, "sources": 1, "distinct": 2}
    assert [row["id"] for row in browsed.kept] in (["a#1", "a#2"], ["a#2", "a#1"])
    assert of_folder(found).keys() <= {"kinds"}


def test_repeated_paragraphs_count_as_often_as_they_stand_there(folder: Path, labels: Path, tmp_path: Path) -> None:
    table = pq.read_table(folder / "paragraphs")
    (tmp_path / "twice" / "paragraphs").mkdir(parents=True)
    pq.write_table(pa.concat_tables([table, table]), tmp_path / "twice" / "paragraphs" / "0.parquet")
    with opened(folder, [labels]) as once, opened(tmp_path / "twice", [labels]) as twice:
        one, two = count(once), count(twice)
        shown = [row["id"] for row in browse(twice, kept=50).kept]
    assert two.totals["paragraphs"] == 2 * one.totals["paragraphs"]
    assert two.totals["distinct"] == one.totals["paragraphs"]
    assert {name: 2 * number for name, number in one.labels[0].outcomes.items()} == two.labels[0].outcomes
    assert two.labels[0].elsewhere == 10
    assert len(shown) == len(set(shown)) == 50


def test_what_is_shown_is_bounded_covers_every_stratum_and_is_the_same_again(folder: Path, labels: Path) -> None:
    def draw() -> Any:
        with opened(folder, [labels]) as tables:
            return browse(tables, kept=40, dropped=12)

    one, other = draw(), draw()
    assert one == other
    assert len(one.kept) == 40
    assert len(one.dropped) == 12
    with opened(folder, [labels]) as tables:
        everything = browse(tables)
    assert len(everything.kept) == everything.kept_of
    assert len(everything.dropped) == everything.dropped_of

    def strata(rows: list[dict[str, Any]]) -> set[tuple[str, str | None]]:
        return {(row["source"], row["labels"][0] and row["labels"][0].get("document_type", {}).get("value"))
                for row in rows}  # fmt: skip

    assert strata(one.kept) == strata(everything.kept)
    reasons = {(row["unit"], row["stage"], row["reason"]) for row in everything.dropped}
    assert {(row["unit"], row["stage"], row["reason"]) for row in one.dropped} == reasons
    hostile = next(row for row in everything.kept if row["title"] == corpora.HOSTILE[0])
    assert hostile["path"].startswith("/article/p[")


def test_two_folders_side_by_side(folder: Path, labels: Path, tmp_path: Path) -> None:
    table = pq.read_table(folder / "paragraphs")
    half = table.filter(pa.compute.equal(table["source"], "hal"))
    (tmp_path / "half" / "paragraphs").mkdir(parents=True)
    pq.write_table(half, tmp_path / "half" / "paragraphs" / "0.parquet")
    with opened(folder, [labels]) as left, opened(tmp_path / "half", [labels]) as right:
        found = compare(count(left), folder, count(right), right)
    assert (found.both, found.only_left, found.only_right) == (len(half), len(table) - len(half), 0)
    hal = next(row for row in found.sources if row["name"] == "hal")
    assert (hal["left"], hal["right"], hal["right_share"]) == (len(half), len(half), 1.0)
    assert hal["left_share"] == pytest.approx(len(half) / len(table))
    assert [(one, name) for one, name, _ in found.labels] == [
        ("labels", name) for name in ("document_type", "domain", "quality", "negated")
    ]
    assert [row["what"] for row in found.means if row["field"] == "quality"] == ["mean", "mean expected"]


@pytest.fixture(scope="module")
def samples(folder: Path, labels: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What two recipes draw from the same corpus."""
    root = tmp_path_factory.mktemp("samples")
    quality = {"type": "threshold", "field": "annotation.quality", "at_least": 3, "missing": 0}
    domain = {"type": "map", "field": "annotation.domain", "weights": {"clinical": 3}, "missing": 1}
    recipes = {
        "good": {"factors": {"quality": quality}, "keep": ["annotation.domain"]},
        "clinical": {"factors": {"domain": domain}, "budget": {"words": 3_000}, "replacement": True, "repetitions": 3},
    }
    for name, told in recipes.items():
        sample(validate({"name": name, "description": "pour voir"} | told), folder, root / name, [labels])
    return root / "good", root / "clinical"


def test_two_samples_side_by_side(samples: tuple[Path, Path], labels: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    pytest.importorskip("jinja2")
    ids = [Counter(pq.read_table(path / "paragraphs")["id"].to_pylist()) for path in samples]
    found = report(samples[0], tmp_path / "report.html", against=samples[1]).compared
    assert found is not None
    assert (found.both, found.only_left, found.only_right) == (
        len(ids[0].keys() & ids[1].keys()), len(ids[0].keys() - ids[1].keys()), len(ids[1].keys() - ids[0].keys())
    )  # fmt: skip
    drawn = {row["name"]: (row["left"], row["right"]) for row in found.samples}
    assert drawn["budget in words"] == (None, 3_000)
    for side, times in enumerate(ids):
        kish = times.total() ** 2 / sum(often**2 for often in times.values())
        assert drawn["effective sample size"][side] == pytest.approx(kish, abs=1e-3)
        for often in {*ids[0].values(), *ids[1].values()}:
            assert drawn[f"paragraphs drawn {often}×"][side] == sum(one == often for one in times.values())
    # The domain is a column of both, the other fields only the samples have counted.
    everything = pq.read_table(labels / "annotations").to_pylist()
    for name, where in (("domain", figures.OWN_NAME), ("quality", TALLY), ("document_type", TALLY)):
        of = {row["id"]: row[name] for row in everything}
        (rows,) = [rows for one, field, rows in found.labels if (one, field) == (where, name)]
        for side, times in (("left", ids[0]), ("right", ids[1])):
            counts = Counter[str]()
            for id, often in times.items():
                if of.get(id) is not None or where == TALLY:
                    counts["(none)" if of.get(id) is None else str(of[id])] += often
            assert {row["name"]: row[side] for row in rows if row[side]} == dict(counts)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "A difference is what <bdi>clinical</bdi> has more than <bdi>good</bdi>." in page
    assert f"paragraphs drawn {max(ids[1].values())}×" in page


def test_the_labels_that_a_sample_brings_along(samples: tuple[Path, Path], labels: Path) -> None:
    with opened(samples[0]) as tables:
        (found,) = count(tables).labels
    fields = {one.name: one for one in found.fields}
    query = "SELECT annotation_quality::VARCHAR, count(*) FROM '{}/paragraphs/*.parquet' GROUP BY ALL ORDER BY 1"
    assert list(fields["quality"].counts.items()) == duckdb.sql(query.format(samples[0])).fetchall()
    assert list(fields) == ["quality", "domain"]
    with opened(samples[0], [labels]) as tables:  # what was given tells more
        assert [one.name for one in count(tables).labels] == ["labels"]


def test_scores_stay_in_their_order_and_labels_go_by_size(counted: Figures) -> None:
    fields = {one.name: one for one in counted.labels[0].fields}
    scores, types = of_field(fields["quality"])["counts"], of_field(fields["document_type"])["counts"]
    assert isinstance(scores, Bars)
    assert isinstance(types, Bars)
    assert scores.categories == ["1", "2", "3", "4", "5"]
    assert types.categories == ["study", "other", "clinical_case"]


def test_what_cannot_be_reported_on_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ParagraphsError, match="no Parquet files of paragraphs"), opened(tmp_path):
        pass
    with pytest.raises(AnnotationsError, match="holds no annotations"), opened(folder, [tmp_path]):
        pass
