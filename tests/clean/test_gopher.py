"""Gopher's rules for whole documents: the same decisions and reasons as datatrove's own code."""

from __future__ import annotations

import csv
import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import gopher_quality_filter, gopher_repetition_filter
from datatrove.pipeline.filters.gopher_quality_filter import GopherQualityFilter
from datatrove.pipeline.filters.gopher_repetition_filter import GopherRepetitionFilter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from corpuskit.clean.gopher import FINEWEB_2, STOP_WORDS, GopherStep, Text
from corpuskit.clean.words import words
from corpuskit.records import Article, Paragraph

REPETITION = (
    "dup_line_frac",
    "dup_para_frac",
    "dup_line_char_frac",
    "dup_para_char_frac",
    "top_n_grams",
    "dup_n_grams",
)
SHARES = ("max_symbol_word_ratio", "max_bullet_lines_ratio", "max_ellipsis_lines_ratio", "max_non_alpha_words_ratio")
SHARES += REPETITION[:4]
#: Documents of a few words are judged by all rules.
TINY = {"min_doc_words": 1, "max_doc_words": 40}


@pytest.fixture(autouse=True, scope="module")
def stock_takes_our_words() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for module in (gopher_quality_filter, gopher_repetition_filter):
            patch.setattr(module, "split_into_words", lambda text, language: words(text))
        yield


def stock(text: str, **options: Any) -> tuple[str, str]:
    """The reasons of datatrove's two filters, "" where they keep a document."""
    document = Document(text=text, id="")
    repetition = {name: value for name, value in options.items() if name in REPETITION}
    quality = {"stop_words": STOP_WORDS} | {name: value for name, value in options.items() if name not in REPETITION}
    verdicts = GopherQualityFilter(**quality).filter(document), GopherRepetitionFilter(**repetition).filter(document)
    return tuple("" if verdict is True else verdict[1] for verdict in verdicts)  # type: ignore[return-value]


def ours(*paragraphs: str, **options: Any) -> tuple[str, str]:
    step = GopherStep(**options)
    text = Text.of(Article("a:1", "a", "f", paragraphs=[Paragraph(text) for text in paragraphs]))
    return tuple(  # type: ignore[return-value]
        broken.reason if (broken := next(rules(text), None)) else "" for rules in (step.quality, step.repetition)
    )


WORDS = ["le", "la", "de", "De", "et", "patient", "Patient", "a", "aa", "aaa", "2", "2,5", "１", "１２", "é", "😀", "#"]
WORDS += ["l'", "-", "...", "…", "•", "x²", "ab", "ba", "anticoagulation", "-\n", "\n", "\n\n", "\n- ", "…\n", "\n• "]
STRETCHES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=30).map(" ".join)
TEXTS = st.one_of(
    STRETCHES,
    # Long stretches said again, in part or in whole.
    st.builds(
        lambda stretches, order: " ".join(stretches[at % len(stretches)] for at in order),
        st.lists(STRETCHES, min_size=1, max_size=4),
        st.lists(st.integers(0, 3), min_size=1, max_size=8),
    ),
    st.lists(st.sampled_from(["a", "aa", "b", "ab", "A"]), max_size=60).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=12).map("".join),
    st.text(max_size=40),
)
LIMIT = st.sampled_from([None, 0.0, 0.05, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.9])
OPTIONS = st.one_of(
    st.just(TINY),
    st.just({**TINY, **FINEWEB_2}),
    st.fixed_dictionaries(
        {name: st.just(value) for name, value in TINY.items()},
        optional={
            "min_avg_word_length": st.sampled_from([None, 1, 2, 3]),
            "max_avg_word_length": st.sampled_from([None, 2, 4, 10]),
            "min_stop_words": st.integers(0, 4),
            "top_n_grams": st.lists(st.tuples(st.integers(1, 5), LIMIT.filter(bool)), max_size=4),
            "dup_n_grams": st.lists(st.tuples(st.integers(1, 10), LIMIT.filter(bool)), max_size=4),
            **dict.fromkeys(SHARES, LIMIT),
        },
    ),
)


@settings(max_examples=1_500)
@given(TEXTS, OPTIONS)
@example("le cas １ １ １", TINY)
@example("a b c d e f a b c d e f", {**TINY, "top_n_grams": [(2, 6 / 23)]})
def test_decisions_and_reasons_are_datatroves(text: str, options: dict[str, Any]) -> None:
    if words(text):  # datatrove divides by zero
        assert ours(text, **options) == stock(text, **options)


@settings(max_examples=300)
@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=5), OPTIONS)
def test_the_paragraphs_of_an_article_are_one_document(texts: list[str], options: dict[str, Any]) -> None:
    if any(map(words, texts)):
        assert ours(*texts, **options) == stock("\n\n".join(texts), **options)


def real_documents(real_data: Path) -> list[str]:
    documents = []
    for name in ("anses_vet_spc", "wikipedia_medical_fr"):
        with gzip.open(real_data / "text_fr" / f"{name}.txt.gz", "rt", encoding="utf-8") as file:
            documents += [line.rstrip("\n") for line in islice(file, 150)]
    with (real_data / "e3c_ccby" / "pamj_fr.jsonl").open(encoding="utf-8") as file:
        documents += [json.loads(line)["text"] for line in islice(file, 200)]
    with (real_data / "morfitt" / "dev.tsv").open(encoding="utf-8", newline="") as file:
        documents += [row["abstract"] for row in islice(csv.DictReader(file, delimiter="\t"), 200)]
    return documents


@pytest.mark.parametrize(
    "options",
    [
        {},
        FINEWEB_2,
        # Limits that divide the documents.
        {"top_n_grams": [(2, 0.02), (3, 0.02), (4, 0.02)], "dup_n_grams": [(5, 0.03), (7, 0.02), (10, 0.01)]}
        | {"max_avg_word_length": 5.2, "max_doc_words": 3_000, "max_non_alpha_words_ratio": 0.95},
    ],
    ids=["datatrove", "FineWeb-2", "strict"],
)
def test_so_they_are_on_real_documents(options: dict[str, Any], real_data: Path) -> None:
    documents = real_documents(real_data)
    expected = [stock(text, **options) for text in documents]
    assert [ours(*filter(None, text.split("\n\n")), **options) for text in documents] == [
        stock("\n\n".join(filter(None, text.split("\n\n"))), **options) for text in documents
    ]
    assert [ours(text, **options) for text in documents] == expected
    assert any(map(any, expected))
    assert not all(map(any, expected))


def drop(*texts: str, **options: Any) -> tuple[str, str, str] | None:
    article = Article("a:1", "a", "f", paragraphs=[Paragraph(text) for text in texts])
    GopherStep(**options).process(article)
    return article.drop


PROSE = (
    "Nous rapportons le cas d'un homme de 62 ans, hospitalisé pour une dyspnée d'aggravation progressive et dont "
    "le scanner montrait une embolie pulmonaire bilatérale. L'évolution a été favorable sous anticoagulants, avec un "
    "recul de douze mois, sans récidive ni saignement, et le traitement a pu être arrêté."
)


def test_the_step_marks_the_article_with_the_rule_and_what_it_found() -> None:
    assert drop(PROSE) is None
    assert drop("Un cas.") == ("gopher", "gopher_short_doc", "2 is under 50")
    assert drop(*[PROSE] * 2) == ("gopher", "dup_para_frac", "0.5 is over 0.3")
    assert drop(PROSE + " Dix mots de plus et" * 5, dup_n_grams=[]) == ("gopher", "top_4_gram", "0.198 is over 0.16")


def test_only_kept_paragraphs_count() -> None:
    article = Article("a:1", "a", "f", paragraphs=[Paragraph(PROSE), Paragraph("Total 1 2 3 4 5 6 7 8 9 " * 20)])
    article.paragraphs[1].mark("quality", "few_letters")
    GopherStep().process(article)
    assert article.drop is None
    # An article of which nothing is left has been judged already.
    article.paragraphs[0].mark("language", "other")
    GopherStep().process(article)
    assert article.drop is None


def test_a_document_without_words_is_short_whatever_is_asked() -> None:
    assert drop("* * *", min_doc_words=0) == ("gopher", "gopher_short_doc", "0 is under 1")
