"""Words as arrays: the same words as one by one, and n-grams that know their text."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.clean.tokens import Tokens, of, word_hashes
from corpuskit.clean.words import words
from corpuskit.records import Article, Paragraph

TEXTS = st.lists(
    st.text(st.one_of(st.sampled_from("aéÉZ0159.,, \n-'’_½²٣µ𝟘😀\ud800"), st.characters()), max_size=40), max_size=6
)


def cut(tokens: Tokens, text: int) -> list[str]:
    return [
        "".join(map(chr, tokens.codes[tokens.starts[at] : tokens.ends[at]]))
        for at in range(tokens.bounds[text], tokens.bounds[text + 1])
    ]


def test_a_decimal_number_is_one_word_and_its_unit_another() -> None:
    tokens = Tokens(["Dose de 2,5mg, soit 1.250,5 mg/j le 3.", "", "35mg l'après-midi"])
    assert cut(tokens, 0) == ["Dose", "de", "2,5", "mg", "soit", "1.250,5", "mg", "j", "le", "3"]
    assert cut(tokens, 1) == []
    assert cut(tokens, 2) == ["35mg", "l", "après", "midi"]
    assert tokens.numeric.tolist() == [word[0].isdigit() for text in range(3) for word in cut(tokens, text)]


@given(TEXTS)
def test_the_words_are_those_of_the_tokenizer(texts: list[str]) -> None:
    tokens = Tokens(texts)
    assert [cut(tokens, text) for text in range(len(texts))] == [words(text) for text in texts]
    assert tokens.lengths.tolist() == [len(word) for text in texts for word in words(text)]
    assert tokens.lettered.tolist() == [any(map(str.isalpha, word)) for text in texts for word in words(text)]
    assert tokens.numeric.tolist() == [any(map(str.isdecimal, word)) for text in texts for word in words(text)]


def test_hashes_know_words_whatever_their_case_and_place() -> None:
    tokens = Tokens(["Étude de cas", "une ÉTUDE"])
    assert tokens.hashes[0] == tokens.hashes[4] == word_hashes(["étude"])[0]
    assert len(set(tokens.hashes.tolist())) == 4


@given(TEXTS)
def test_ngrams_are_equal_where_their_words_are_and_never_cross_a_text(texts: list[str]) -> None:
    tokens = Tokens(texts)
    hashes, bounds = tokens.ngrams(2)
    known: dict[tuple[int, ...], int] = {}
    for text in range(len(texts)):
        found = tokens.hashes[tokens.bounds[text] : tokens.bounds[text + 1]].tolist()
        pairs = list(pairwise(found))
        assert bounds[text + 1] - bounds[text] == len(pairs)
        for pair, ngram in zip(pairs, hashes[bounds[text] : bounds[text + 1]].tolist(), strict=True):
            assert known.setdefault(pair, ngram) == ngram
    assert len(set(known.values())) == len(known)


def test_nothing_is_no_words() -> None:
    tokens = Tokens([])
    assert len(tokens) == 0
    assert tokens.bounds.tolist() == [0]
    assert tokens.ngrams(3)[1].tolist() == [0]
    assert np.array_equal(Tokens([""]).bounds, [0, 0])


def test_a_text_is_known_by_its_words_in_order() -> None:
    hashes = Tokens(
        ["Prendre 2 comprimés.", "prendre : 2 Comprimés", "2 comprimés prendre", "Prendre 3 comprimés.", ""]
    )
    assert hashes.text_hashes[0] == hashes.text_hashes[1]
    assert len(set(hashes.text_hashes.tolist())) == 4


def test_an_article_is_tokenised_again_only_when_a_text_changes() -> None:
    article = Article("a:1", "a", "a.txt", paragraphs=[Paragraph("Un cas."), Paragraph("Deux cas.")])
    first = of(article)
    assert of(article) is first
    article.paragraphs[1].text = "Trois cas cliniques."
    assert of(article).bounds.tolist() == [0, 2, 5]
