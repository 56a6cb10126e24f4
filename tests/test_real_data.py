"""Whole builds over real data; every number here was checked by a person or by an independent count."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from corpuskit.build import Run, build
from corpuskit.config import validate


@pytest.fixture(scope="session")
def run(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One French corpus of everything French, as a user would configure it."""
    sources = [
        {"type": "hal", "path": str(real_data / "hal"), "domains": []},
        {"type": "pubmed", "path": str(real_data / "pubmed"), "languages": []},
        {"type": "pubmed", "path": str(real_data / "jats"), "name": "jats", "languages": []},
        {"type": "wikipedia", "path": str(real_data / "wikipedia" / "*.bz2"), "select": "all"},
        {"type": "jsonl", "path": str(real_data / "e3c_ccby" / "pamj_fr.jsonl"), "name": "pamj"},
        {"type": "text", "path": str(real_data / "text_fr" / "anses_vet_spc.txt.gz"), "name": "anses", "unit": "line"},
    ]
    return build(validate({"sources": sources}), tmp_path_factory.mktemp("real") / "corpus", workers=2)


def read(run: Run, source: str) -> tuple[int, int]:
    """Articles read and kept."""
    return run.funnel["read"][source]["articles"], run.funnel["kept"].get(source, {}).get("articles", 0)


def texts(run: Run, where: str) -> list[str]:
    found = duckdb.sql(f"SELECT text FROM '{run.output}/paragraphs/*.parquet' WHERE {where} ORDER BY id").fetchall()
    return [text for (text,) in found]


def dropped(run: Run, source: str, unit: str) -> dict[str, int]:
    return {
        f"{row['stage']}: {row['reason']}": row["count"]
        for row in run.funnel["dropped"]
        if (row["source"], row["unit"]) == (source, unit)
    }


def test_everything_is_read(run: Run) -> None:
    assert run.funnel["quarantined"] == {}
    assert {source: counts["articles"] for source, counts in run.funnel["read"].items()} == {
        "hal": 65,  # 63 in the export, 2 deposits
        "pubmed": 4,
        "jats": 138,  # files in jats/INDEX.tsv
        "wikipedia": 32,  # grep -c '<page>': 27 + 3 + 1 + 1
        "pamj": 1637,  # wc -l
        "anses": 2542,  # zcat | wc -l
    }


def test_cases_of_one_doi_are_one(run: Run) -> None:
    """The 1,637 cases come from 919 articles: all but these are the same text under another id."""
    assert dropped(run, "pamj", "article")["join: same_article"] == 1637 - 919
    kept = read(run, "pamj")[1]
    assert 919 - 5 <= kept <= 919  # a few are in English or hardly text
    table = pq.read_table(run.output / "articles", filters=[("source", "=", "pamj")])
    assert set(table["licence"].to_pylist()) == {"CC-BY-4.0"}
    assert len(set(table["doi"].to_pylist())) == kept


def test_the_drug_notices_are_kept_and_the_dates_between_them_are_not(run: Run) -> None:
    # The other 372 lines are dates and addresses of companies.
    assert 2160 <= read(run, "anses")[1] <= 2180
    assert not [text for text in texts(run, "source = 'anses'") if len(text) < 20]


def test_french_titles_and_abstracts_of_hal(run: Run) -> None:
    """Eleven records of the export and the two deposits have something in French."""
    assert read(run, "hal")[1] == 13
    assert texts(run, "article_id = 'hal:inria-00100981' AND kind = 'title'") == [
        "Ancrage référentiel en situation de dialogue"
    ]


def test_hardly_anything_english_is_taken_for_french(run: Run) -> None:
    judged = dropped(run, "jats", "paragraph")["language: en"]
    assert judged > 4800
    assert run.funnel["kept"].get("jats", {"paragraphs": 0})["paragraphs"] <= judged // 1000
    assert read(run, "pubmed")[1] == 0


def test_the_french_pages_are_whole(run: Run) -> None:
    assert texts(run, "article_id LIKE 'wikipedia:fr:%' AND kind = 'title'") == []  # a page's title is a column
    titles = pq.read_table(run.output / "articles", filters=[("source", "=", "wikipedia")])["title"].to_pylist()
    assert {"Antoine Meillet", "Autriche", "Berlin"} <= set(titles)
    for markup in ("[[", "]]", "{{", "}}", "''", "<ref", "\n"):
        assert not [text for text in texts(run, "source = 'wikipedia'") if markup in text]
    assert len(texts(run, "article_id LIKE 'wikipedia:fr:%'")) >= 340


def test_the_share_of_english_is_told_by_source(run: Run) -> None:
    share = {source: languages.get("en", {}).get("share_of_words", 0) for source, languages in
             run.funnel["languages"].items()}  # fmt: skip
    assert share["pubmed"] == 1
    assert share["jats"] > 0.999
    assert 0.8 < share["hal"] < 0.9
    assert share["pamj"] < 0.005
    assert share["anses"] < 0.001
