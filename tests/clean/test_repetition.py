"""Repetition: the same decisions as datatrove's filter, and copies inside an article."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from datatrove.pipeline.filters.gopher_repetition_filter import find_all_duplicate, find_top_duplicate, get_n_grams
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.clean import repetition
from corpuskit.clean.repetition import Repeats, RepetitionStep, duplicate_characters, repeats, top_ngram
from corpuskit.clean.tokens import Tokens
from corpuskit.clean.words import words
from corpuskit.records import Article, Paragraph

GOPHER = {
    "max_top_ngram": {2: 0.20, 3: 0.18, 4: 0.16},
    "max_duplicate_ngrams": {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10},
    "min_words": 1,
    "min_count": 1,
}
PROSE = (
    "Nous rapportons le cas d'un homme de 62 ans, hospitalisé pour une dyspnée d'aggravation progressive et dont "
    "le scanner montrait une embolie pulmonaire bilatérale. L'évolution a été favorable sous anticoagulants."
)
REFRAIN = "Boîte de 2 comprimés sécables pour chiens adultes. " * 12

# Few words, some of them the beginning of others: n-grams repeat, and "a" "aa" reads as "aa" "a".
TOKENS = st.lists(st.sampled_from(["a", "aa", "b", "ab", "ba", "é", "du", "patient"]), max_size=80)


def stock_verdict(tokens: Sequence[str], characters: int) -> str:
    """datatrove's n-gram rules, in its order."""
    for n, limit in ((2, 0.20), (3, 0.18), (4, 0.16)):
        ngrams = get_n_grams(list(tokens), n)
        if ngrams and find_top_duplicate(ngrams) / characters > limit:
            return f"top_{n}_gram"
    for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)):
        if find_all_duplicate(list(tokens), n) / characters > limit:
            return f"duplicate_{n}_grams"
    return ""


def our_verdict(tokens: Sequence[str], characters: int) -> str:
    """The first broken rule, asked for only where the bounds let it be broken, as in the step."""
    step = RepetitionStep(**GOPHER)
    suspect = step.suspects(bounds([tokens], range(2, 11)), np.array([characters]))[0]
    found = next(step.broken_rules(tokens, characters), None)
    assert suspect or not found
    return found.reason if found else ""


def bounds(texts: Sequence[Sequence[str]], sizes: Iterable[int]) -> Repeats:
    tokens = Tokens([" ".join(words) for words in texts])
    return repeats(tokens, tokens.bounds, sizes, sizes)


@given(TOKENS, st.integers(2, 6))
def test_top_ngram_is_datatroves(tokens: list[str], n: int) -> None:
    ngrams = get_n_grams(tokens, n)
    count, length = top_ngram(tokens, n)
    assert count * length == (find_top_duplicate(ngrams) if ngrams else 0)


@given(TOKENS, st.integers(1, 10))
def test_duplicate_characters_are_datatroves(tokens: list[str], n: int) -> None:
    assert duplicate_characters(tokens, n) == find_all_duplicate(tokens, n)


@given(st.lists(TOKENS, max_size=5), st.sets(st.integers(1, 10), max_size=4))
def test_the_bounds_hold_for_each_text(texts: list[list[str]], sizes: set[int]) -> None:
    found = bounds(texts, sizes)
    assert found.characters.tolist() == [len("".join(tokens)) for tokens in texts]
    assert set(found.top) == set(found.duplicates) == sizes
    for n in sizes:
        for at, tokens in enumerate(texts):
            count, length = top_ngram(tokens, n)
            assert count * length <= found.top[n][at]
            assert duplicate_characters(tokens, n) <= found.duplicates[n][at] <= len("".join(tokens))


def covered(tokens: Sequence[str], n: int) -> int:
    """Letters inside an n-gram whose letters were those of one before it."""
    seen, inside = set(), set()
    ends = [len("".join(tokens[:at])) for at in range(len(tokens) + 1)]
    for at in range(len(tokens) - n + 1):
        ngram = "".join(tokens[at : at + n])
        inside |= set(range(ends[at], ends[at + n])) if ngram in seen else set()
        seen.add(ngram)
    return len(inside)


@given(st.lists(TOKENS, max_size=4), st.integers(2, 10))
def test_what_is_covered_is_counted_once(texts: list[list[str]], n: int) -> None:
    assert bounds(texts, [n]).duplicates[n].tolist() == [covered(tokens, n) for tokens in texts]


def test_bounds_are_near_and_blind_to_case() -> None:
    found = bounds([["Le", "cas"], ["le", "cas", "un", "le", "cas", "deux", "LE", "CAS"], []], [2, 3])
    assert found.top[2].tolist() == [6, 18, 0]
    assert found.duplicates[2].tolist() == [0, 10, 0]
    assert found.duplicates[3].tolist() == [0, 0, 0]


def test_long_texts_are_bounded_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [["a", "b", "c"] * 50, ["d", "e"] * 20]
    whole = bounds(texts, range(1, 11))
    monkeypatch.setattr(repetition, "_BATCH", 300)
    parts = bounds(texts, range(1, 11))
    for n in range(1, 11):
        assert parts.top[n].tolist() == whole.top[n].tolist()
        assert parts.duplicates[n].tolist() == whole.duplicates[n].tolist()


@given(TOKENS.filter(bool), st.integers(1, 600))
def test_the_step_decides_as_datatrove_does(tokens: list[str], characters: int) -> None:
    assert our_verdict(tokens, characters) == stock_verdict(tokens, characters)


@given(st.lists(TOKENS, min_size=1, max_size=4), st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_and_so_it_does_on_texts_that_repeat_long_stretches(parts: list[list[str]], order: list[int]) -> None:
    tokens = [token for number in order for token in parts[number % len(parts)]]
    characters = max(1, len(" ".join(tokens)))
    assert our_verdict(tokens, characters) == stock_verdict(tokens, characters)


def test_and_so_it_does_on_drug_notices(real_data: Path) -> None:
    with gzip.open(real_data / "text_fr" / "anses_vet_spc.txt.gz", "rt", encoding="utf-8") as file:
        texts = [line[at : at + 800] for line in islice(file, 60) for at in range(0, min(len(line), 8000) - 800, 800)]
    verdicts = [stock_verdict(words(text), len(text)) for text in texts]
    assert [our_verdict(words(text), len(text)) for text in texts] == verdicts
    assert 5 < sum(map(bool, verdicts)) < len(texts) / 2


def process(*texts: str, **options: object) -> list[Paragraph]:
    article = Article("x:1", "x", "f", paragraphs=[Paragraph(text, path=f"/p[{n}]") for n, text in enumerate(texts, 1)])
    RepetitionStep(**options).process(article)
    return article.paragraphs


def reasons(paragraphs: list[Paragraph]) -> list[str]:
    return [paragraph.drop.reason if paragraph.drop else "" for paragraph in paragraphs]


def test_prose_is_kept_and_a_refrain_goes() -> None:
    prose, refrain = process(PROSE, REFRAIN.strip())
    assert (prose.drop, prose.repetition) == (None, 0.0)
    assert refrain.drop == ("repetition", "top_4_gram", "0.393 is over 0.25")
    assert refrain.repetition > 0.9


def test_the_signal_is_the_share_of_characters_in_repeated_5_grams() -> None:
    # 5 words of 2 characters said again after a pause of 4: 10 of 24 characters.
    (paragraph,) = process("aa bb cc dd ee pppp aa bb cc dd ee")
    assert paragraph.repetition == 10 / 24


def test_a_short_paragraph_is_not_judged_by_its_ngrams() -> None:
    (short,) = process("non fait " * 12)
    assert short.drop is None
    (long,) = process("non fait " * 12, min_words=20)
    assert reasons([long]) == ["top_2_gram"]


def test_a_frequent_ngram_must_be_frequent() -> None:
    # 30 words whose first 2-gram, once said, is a quarter of the text.
    text = "immunohistochimiques anatomopathologiquement " + "a b c d e f g h i j k l m n o p q r s t u v w x y z é è"
    assert reasons(process(text)) == [""]
    assert reasons(process(text, min_count=1)) == ["top_2_gram"]


def test_a_long_copy_always_goes_and_names_its_original() -> None:
    others = [f"{PROSE} Observation numéro {n}." for n in range(10)]
    paragraphs = process(*others, others[3])
    assert reasons(paragraphs) == [""] * 10 + ["repeated_paragraph"]
    drop = paragraphs[10].drop
    assert drop is not None
    assert drop.detail == "as /p[4]"


def test_short_copies_go_only_where_they_are_many() -> None:
    others = [f"{PROSE} Observation numéro {n}." for n in range(3)]
    assert reasons(process(*others, "Aucune.", "Aucune.")) == [""] * 5
    many = process(*others, *["Aucune."] * 5)
    assert reasons(many) == [""] * 4 + ["repeated_paragraph"] * 4


def test_short_copies_go_where_they_are_long_in_all() -> None:
    sentence = "Aucun effet indésirable n'a été signalé au cours du suivi de douze mois."
    many = process(PROSE, PROSE + " Un autre cas.", "Un.", "Deux.", "Trois.", sentence, sentence, sentence)
    assert reasons(many) == [""] * 6 + ["repeated_paragraph"] * 2


def test_empty_text() -> None:
    assert [p.repetition for p in process("", "…")] == [0.0, 0.0]
