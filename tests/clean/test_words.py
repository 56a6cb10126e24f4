"""What counts as a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.clean.words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L'infarctus d’Hélène", ["L", "infarctus", "d", "Hélène"]),
        ("un anti-inflammatoire", ["un", "anti", "inflammatoire"]),
        ("3,5 mg puis 1.25 g.", ["3,5", "mg", "puis", "1.25", "g"]),
        ("Fin en 2019.Puis 12, 13", ["Fin", "en", "2019", "Puis", "12", "13"]),
        ("TP53, IL-6 et 5-FU", ["TP53", "IL", "6", "et", "5", "FU"]),
        ("cœur œdème naïf", ["cœur", "œdème", "naïf"]),
        ("snake_case * — % …", ["snake", "case"]),
        ("β-bloquant 120/80 mmHg", ["β", "bloquant", "120", "80", "mmHg"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text())
def test_words_are_in_the_text_in_order_and_hold_all_its_letters_and_digits(text: str) -> None:
    at = 0
    for word in words(text):
        at = text.index(word, at) + len(word)
    kept = "".join(c for word in words(text) for c in word if c.isalnum())
    assert kept == "".join(c for c in text if c.isalnum())
