"""Paragraphs that stand in many articles, counted by article."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corpuskit.clean.tokens import Tokens
from corpuskit.dedup.boilerplate import BoilerplateOptions, document_frequency

#: Articles and the paragraphs in them.
TEXTS = [
    (0, "Tous droits réservés."),
    (0, "Le patient est sorti guéri."),
    (1, "TOUS DROITS RÉSERVÉS"),
    (1, "Voir la notice."),
    (1, "Voir la notice."),
    (2, "Tous droits réservés !"),
    (2, "Voir la notice."),
]


def found(min_documents: int) -> list[str]:
    articles, texts = zip(*TEXTS, strict=True)
    documents = document_frequency(Tokens(texts).text_hashes, np.array(articles))
    return [text for text, count in zip(texts, documents, strict=True) if count >= min_documents]


def test_an_article_that_repeats_itself_counts_once() -> None:
    rights = ["Tous droits réservés.", "TOUS DROITS RÉSERVÉS", "Tous droits réservés !"]
    assert [text for text in found(3) if text not in rights] == []
    assert found(3) == rights
    assert sorted(found(2)) == sorted([*rights, *["Voir la notice."] * 3])
    assert found(4) == []


def test_everything_stands_in_one_article() -> None:
    assert document_frequency(np.array([5, 6, 5], np.uint64), np.array([1, 1, 1])).tolist() == [1, 1, 1]


def test_nothing_gives_nothing() -> None:
    assert document_frequency(np.zeros(0, np.uint64), np.zeros(0, np.int64)).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=40))
def test_the_count_is_that_of_different_articles(rows: list[tuple[int, int]]) -> None:
    hashes, articles = (np.array([row[at] for row in rows], kind) for at, kind in ((0, np.uint64), (1, np.int32)))
    expected = [len({article for text, article in rows if text == own}) for own, _ in rows]
    assert document_frequency(hashes, articles).tolist() == expected


def test_one_article_makes_no_boilerplate() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        BoilerplateOptions(min_documents=1)
