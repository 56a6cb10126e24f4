"""The same article in several places."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.dedup import identity
from corpuskit.dedup.parts import ARTICLE_PART, article_row
from corpuskit.records import Article, Paragraph

PRIORITY = ["istex", "hal", "pubmed"]
TITLE = "Embolie pulmonaire du sujet âgé"


def article(id: str, words: int = 10, **columns: object) -> Article:
    text = Paragraph("mot " * words, words=words)
    return Article(id=id, source=id.split(":")[0], file="f", paragraphs=[text], **columns)  # type: ignore[arg-type]


def fates(articles: Sequence[Article], **options: object) -> dict[str, tuple[str, str | None]]:
    """By id: the id of the survivor, and the reason it was dropped for."""
    rows = [article_row(item, key) for key, item in enumerate(articles)]
    table = pa.Table.from_pylist(rows, schema=ARTICLE_PART).select(identity.COLUMNS)
    joined = identity.join(table, PRIORITY, **options)  # type: ignore[arg-type]
    return {
        articles[row].id + ("" if articles[row].form == "fulltext" else " (record)"): (
            articles[fate.survivor].id,
            fate.drop.reason if fate.drop else None,
        )
        for row, fate in joined.items()
    }


@pytest.mark.parametrize(
    "shared",
    [
        {"doi": "10.1000/x"},
        {"pmid": "123"},
        {"pmcid": "PMC123"},
        {"hal_id": "hal-01234567"},
        {"title": TITLE, "year": 2019, "authors": ["Morel, Claire"]},
    ],
)
def test_the_richest_text_survives(shared: dict[str, object]) -> None:
    found = fates([article("pubmed:1", 5, **shared), article("hal:hal-1", 50, **shared), article("istex:A", 6)])
    assert found == {"pubmed:1": ("hal:hal-1", "same_article"), "hal:hal-1": ("hal:hal-1", None)}


def test_source_priority_decides_between_equals() -> None:
    found = fates([article("pubmed:1", doi="10.1/x"), article("hal:hal-1", doi="10.1/x")])
    assert found["pubmed:1"] == ("hal:hal-1", "same_article")


def test_identity_is_transitive() -> None:
    found = fates(
        [
            article("pubmed:1", 9, pmid="1", doi="10.1/x"),
            article("hal:h", 8, doi="10.1/x"),
            article("istex:A", 7, pmid="1"),
        ]
    )
    assert {survivor for survivor, _ in found.values()} == {"pubmed:1"}


def test_title_case_accents_and_punctuation_do_not_matter() -> None:
    one = article("hal:h", title="L'embolie pulmonaire : du sujet âgé", year=2019, authors=["Morel, Claire"])
    two = article("istex:A", 50, title="L’EMBOLIE PULMONAIRE DU SUJET AGE", year=2019, authors=["MOREL, C."])
    assert fates([one, two])["hal:h"] == ("istex:A", "same_article")


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"year": 2019}, {"year": 2020}),
        ({"authors": ["Morel, Claire"]}, {"authors": ["Durand, Paul"]}),
        ({"doi": "10.1/x"}, {"doi": "10.1/y"}),
        ({"title": "Éditorial"}, {"title": "Éditorial"}),
    ],
)
def test_what_is_not_the_same_article(mine: dict[str, object], theirs: dict[str, object]) -> None:
    base: dict[str, object] = {"title": TITLE, "year": 2019, "authors": ["Morel, Claire"]}
    assert fates([article("hal:h", **base | mine), article("istex:A", **base | theirs)]) == {}


def test_a_title_in_another_language_joins() -> None:
    one = article(
        "hal:h", title=TITLE, other_titles=["Pulmonary embolism in the elderly"], year=2019, authors=["Morel, C"]
    )
    two = article("pubmed:1", title="Pulmonary embolism in the elderly", year=2019, authors=["Morel, Claire"])
    assert fates([one, two])["pubmed:1"][0] == "hal:h"


def test_a_record_and_its_full_text_become_one() -> None:
    record = article("pubmed:1", 5, form="record", pmid="1", pmcid="PMC9")
    text = article("pubmed:PMC9", 500, pmcid="PMC9")
    assert fates([text, record]) == {
        "pubmed:1 (record)": ("pubmed:1", None),
        "pubmed:PMC9": ("pubmed:1", "companion"),
    }


def test_a_record_read_twice_keeps_the_later_of_equals() -> None:
    old, new = (article("pubmed:1", 5, form="record") for _ in range(2))
    rows = [article_row(old, 0), article_row(new, 1)]
    joined = identity.join(pa.Table.from_pylist(rows, schema=ARTICLE_PART).select(identity.COLUMNS), PRIORITY)
    assert joined[0].drop is not None
    assert joined[0].drop.reason == "same_record"
    assert joined[1].drop is None


@given(st.permutations(range(4)))
def test_titles_join_what_does_not_contradict_itself_in_any_order(order: list[int]) -> None:
    base: dict[str, object] = {"title": TITLE, "year": 2019, "authors": ["Morel, Claire"]}
    articles = [
        article("hal:a", 40, doi="10.1/a", **base),
        article("hal:b", 50, doi="10.1/b", pmid="555", **base),
        article("pubmed:c", pmid="666", **base),
        article("istex:d", **base),
    ]
    found = fates([articles[at] for at in order])
    assert {name: survivor for name, (survivor, _) in found.items()} == {
        "hal:a": "hal:a", "pubmed:c": "hal:a", "hal:b": "hal:b", "istex:d": "hal:b",
    }  # fmt: skip


def test_an_update_takes_back_a_record() -> None:
    deleted = article("pubmed:1", 0, pmid="1")
    deleted.mark("select", "deleted", "PubMed lists the record as deleted")
    assert fates([article("pubmed:1", 9, form="record", pmid="1"), deleted, article("hal:h", 3, pmid="1")]) == {
        "pubmed:1 (record)": ("pubmed:1", "deleted")
    }


def test_a_full_text_goes_with_its_filtered_record() -> None:
    record = article("hal:hal-1", 5, form="record", hal_id="hal-1")
    record.mark("select", "domain", "shs.lang is not in sdv")
    text = article("hal:hal-1", 500, hal_id="hal-1", needs_record=True)
    assert fates([record, text]) == {"hal:hal-1": ("hal:hal-1", "domain")}


def test_a_full_text_that_cannot_be_judged_is_dropped() -> None:
    assert fates([article("hal:hal-1", needs_record=True)]) == {"hal:hal-1": ("hal:hal-1", "no_record")}


def test_a_twin_in_another_source_is_not_touched_by_a_filter() -> None:
    old = article("istex:A", 500, doi="10.1/x")
    old.mark("select", "year", "1985 is before 1990")
    assert fates([old, article("hal:h", 5, doi="10.1/x")]) == {}


@given(st.permutations(range(6)))
def test_the_order_of_reading_does_not_matter(order: list[int]) -> None:
    articles = [
        article("pubmed:1", 9, doi="10.1/x", pmid="1"),
        article("pubmed:2", 4, form="record", pmid="2", pmcid="PMC2"),
        article("pubmed:PMC2", 40, pmcid="PMC2"),
        article("hal:h", 30, doi="10.1/x"),
        article("hal:i", 3, title=TITLE, year=2019, authors=["Morel, C"]),
        article("istex:B", 3, title=TITLE, year=2019, authors=["Morel, C"]),
    ]
    assert fates([articles[at] for at in order]) == fates(articles)
