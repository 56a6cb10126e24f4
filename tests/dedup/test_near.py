"""Near-duplicates: signatures, buckets, the comparison, and who survives."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corpuskit.clean.tokens import Tokens
from corpuskit.clean.words import words
from corpuskit.dedup import near
from corpuskit.dedup.near import NONE, NearOptions, Shingles

OPTIONS = NearOptions()
CASE = (
    "Un homme de 62 ans a été admis pour une douleur thoracique apparue deux jours plus tôt, avec une élévation "
    "modérée de la troponine et un électrocardiogramme normal ; il a reçu 75 mg d'aspirine par jour pendant un mois, "
    "puis le traitement a été arrêté sans récidive des symptômes au cours du suivi, qui a duré trois semestres."
)
SENTENCE = "La radiographie de contrôle faite au bout de 15 jours était normale."
LETTER = (
    "Dans une lettre à la rédaction, les auteurs rappellent que la prise en charge de la douleur chez la personne âgée "
    "reste insuffisante et appellent à une formation des équipes."
)


def shingled(*texts: str, options: NearOptions = OPTIONS) -> Shingles:
    return near.shingles(Tokens(texts), options)


def compared(first: str, second: str, threshold: float = 0.8) -> tuple[bool, float]:
    """Verdict and similarity, the same both ways."""
    (agreed, back), (similarity, _) = near.agree(np.array([[0, 1], [1, 0]]), shingled(first, second), threshold)
    assert agreed == back
    return bool(agreed), float(similarity)


def ngrams(text: str, options: NearOptions = OPTIONS) -> set[tuple[str, ...]]:
    found = words(text.lower())
    if len(found) < options.min_words:
        return set()
    return {tuple(found[at : at + options.ngram]) for at in range(len(found) - options.ngram + 1)}


def jaccard(first: set[Any], second: set[Any]) -> float:
    return len(first & second) / max(1, len(first | second))


# Signatures and buckets.


@given(st.lists(st.sampled_from(["le", "la", "cœur", "7", "aorte", "foie"]), min_size=20, max_size=60), st.data())
def test_the_signature_of_a_union_is_the_minimum(found: list[str], data: st.DataObject) -> None:
    # Two pieces that overlap by four words have all 5-grams of the whole between them.
    cut = data.draw(st.integers(6, len(found) - 10))
    pieces = found[: cut + 4], found[cut:]
    whole, *parts = near.signatures(Tokens([" ".join(text) for text in (found, *pieces)]), OPTIONS)
    assert np.array_equal(whole, np.minimum(*parts))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8, 0.9, 0.95, 1.0])
def test_the_share_of_equal_minima_is_near_the_similarity(share: float) -> None:
    options = NearOptions(buckets=128, hashes_per_bucket=8)
    same = [f"mot{at}" for at in range(round(400 * share))]
    texts = [" ".join([*same, *(f"{name}{at}" for at in range(400 - len(same)))]) for name in ("a", "b")]
    first, second = near.signatures(Tokens(texts), options)
    truth = jaccard(*(ngrams(text) for text in texts))
    # Four standard deviations of 1,024 draws are 0.063 at most.
    assert np.mean(first == second) == pytest.approx(truth, abs=0.063)


def test_minima_are_spread_evenly() -> None:
    """The mean of the least of n draws from 0 to 1 is 1 / (n + 1)."""
    options = NearOptions(buckets=128, hashes_per_bucket=8)
    texts = [" ".join(f"{name}{at}" for at in range(103)) for name in "abcdefghij"]
    minima = near.signatures(Tokens(texts), options) / 2**32
    assert minima.mean() == pytest.approx(1 / 100, rel=0.1)


def test_case_and_marks_do_not_count() -> None:
    plain, set_otherwise = near.signatures(Tokens([CASE, CASE.upper().replace(",", " –")]), OPTIONS)
    assert np.array_equal(plain, set_otherwise)


def test_a_short_text_has_no_signature_and_no_ngrams() -> None:
    nine, ten = (" ".join(["mot"] * count) for count in (9, 10))
    signatures = near.signatures(Tokens([nine, ten, "", CASE]), OPTIONS)
    assert (signatures == NONE).all(axis=1).tolist() == [True, False, True, False]
    assert np.diff(shingled(nine, ten, "", CASE).ngram_bounds).tolist() == [0, 1, 0, len(ngrams(CASE))]
    assert compared(nine, nine) == (False, 0.0)
    assert compared(ten, ten) == (True, 1.0)


def test_nothing_gives_nothing() -> None:
    empty = shingled()
    assert near.signatures(Tokens([]), OPTIONS).shape == (0, 96)
    assert near.bands(np.zeros((0, 96), np.uint32), OPTIONS).shape == (0, 16)
    assert (len(empty), len(Shingles.concatenate([empty, empty])), len(empty.joined(np.array([0])))) == (0, 0, 0)
    no_pairs = np.zeros((0, 2), np.int64)
    assert [found.shape for found in near.agree(no_pairs, empty, 0.8)] == [(0,), (0,)]
    assert near.settle(3, no_pairs, np.arange(3), lambda pairs: np.zeros(len(pairs), bool)).tolist() == [0, 1, 2]
    assert near.settle(0, no_pairs, np.arange(0), lambda pairs: np.zeros(len(pairs), bool)).tolist() == []


@given(
    st.lists(st.lists(st.sampled_from([CASE, LETTER, SENTENCE, "Court.", ""]), max_size=3).map(" ".join), max_size=6),
    st.integers(1, 60),
)
def test_pieces_do_not_show(texts: list[str], size: int) -> None:
    tokens, pairs = Tokens(texts), np.array(list(combinations(range(len(texts)), 2)), int).reshape(-1, 2)
    whole = near.signatures(tokens, OPTIONS), *near.agree(pairs, near.shingles(tokens, OPTIONS), 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "_CHUNK", size)
        patch.setattr(near, "_BLOCK", size)
        patch.setattr(near, "_PAIR_BITS", 1)
        pieces = near.signatures(tokens, OPTIONS), *near.agree(pairs, near.shingles(tokens, OPTIONS), 0.5)
    for one, other in zip(whole, pieces, strict=True):
        assert np.array_equal(one, other)


@given(st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), min_size=2, max_size=12))
def test_buckets_are_equal_where_their_minima_are(rows: list[list[int]]) -> None:
    signatures = np.array(rows, np.uint32)
    found = near.bands(signatures, NearOptions(buckets=3, hashes_per_bucket=2))
    for one, other in combinations(range(len(rows)), 2):
        for bucket in range(3):
            minima = slice(2 * bucket, 2 * bucket + 2)
            assert (found[one, bucket] == found[other, bucket]) == (rows[one][minima] == rows[other][minima])


def test_wrong_options_are_told() -> None:
    with pytest.raises(ValidationError, match="min_words is 4: a text needs 5 words"):
        NearOptions(min_words=4)


# Candidates.

# Some hashes differ in their lowest bits only, where the numbers of the units stand while they are sorted.
_HASHES = st.sampled_from([1 << 60, (1 << 60) + 1, (1 << 60) + 8, 5 << 60, (1 << 64) - 1, 0])


@given(st.data(), st.integers(0, 12), st.integers(1, 3))
def test_units_meet_the_preferred_one_and_the_one_before(data: st.DataObject, units: int, buckets: int) -> None:
    hashes = np.array(
        [data.draw(st.lists(_HASHES, min_size=units, max_size=units)) for _ in range(buckets)], np.uint64
    ).reshape(buckets, units)
    preference = np.array(data.draw(st.permutations(range(units))), np.int64)
    without = np.array(data.draw(st.lists(st.booleans(), min_size=units, max_size=units)), bool)
    expected = set()
    for bucket in hashes.tolist():
        for value in set(bucket):
            those = [unit for unit in range(units) if bucket[unit] == value and not without[unit]]
            those.sort(key=preference.tolist().__getitem__)
            expected |= {(those[0], unit) for unit in those[1:]} | set(pairwise(those))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "_BLOCK", data.draw(st.integers(1, 13)))
        found = near.candidates(lambda bucket: hashes[bucket], buckets, preference, without)
    assert found.shape == (len(expected), 2)
    assert found.dtype == np.int64
    assert {(first, second) for first, second in found.tolist()} == expected


def test_a_crowd_gives_two_pairs_a_unit() -> None:
    crowd = 1000
    preference = np.roll(np.arange(crowd), 7)
    found = near.candidates(lambda _: np.full(crowd, 3, np.uint64), 4, preference, np.zeros(crowd, bool))
    assert len(found) == 2 * (crowd - 1) - 1
    assert (preference[found[:, 0]] < preference[found[:, 1]]).all()


def test_texts_without_signature_do_not_meet() -> None:
    signatures = near.signatures(Tokens([CASE, "Trop court.", CASE, "Court.", LETTER]), OPTIONS)
    found, without = near.bands(signatures, OPTIONS), (signatures == NONE).all(axis=1)
    meet = near.candidates(lambda bucket: found[:, bucket], 16, np.arange(5)[::-1], without)
    assert meet.tolist() == [[2, 0]]
    none = near.candidates(lambda bucket: found[:, bucket], 16, np.arange(5), np.ones(5, bool))
    assert none.shape == (0, 2)


# The comparison.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CASE, CASE.replace("douleur thoracique", "douleur précordiale")),
        (CASE, CASE.replace("Un homme", "L'homme")),
        (CASE, CASE.upper()),
        # A sentence more may bring a number of its own, wherever it stands.
        (f"{CASE} {LETTER}", f"{CASE} Le contrôle à 15 jours était normal. {LETTER}"),
        (f"{CASE} {LETTER}", f"{CASE} {LETTER} {SENTENCE}"),
        # "Un" is a number only before a unit.
        (CASE, CASE.replace("un électrocardiogramme", "des électrocardiogrammes")),
    ],
)
def test_texts_that_share_nearly_all_are_near_duplicates(one: str, other: str) -> None:
    agreed, similarity = compared(one, other)
    assert agreed
    assert similarity == pytest.approx(jaccard(ngrams(one), ngrams(other)))


@pytest.mark.parametrize(
    ("number", "instead"),
    [
        ("75 mg", "150 mg"),
        ("75 mg", "75 g"),
        ("75 mg", "75 mg/kg"),
        ("75 mg", "7,5 mg"),
        ("75 mg", "75mg"),
        ("62 ans", "26 ans"),
        ("62 ans", "62 mois"),
        ("deux jours", "trois jours"),
        ("deux jours", "2 jours"),
        ("deux jours", "deux heures"),
        ("deux jours", "un jour"),
        ("un mois", "un an"),
        ("un mois", "six mois"),
        ("trois semestres", "trois trimestres"),
    ],
)
def test_texts_that_differ_by_a_number_are_two(number: str, instead: str) -> None:
    assert number in CASE
    agreed, similarity = compared(f"{CASE} {LETTER}", f"{CASE.replace(number, instead)} {LETTER}")
    assert not agreed
    assert similarity >= 0.8


@pytest.mark.parametrize(
    ("one", "other"),
    [("premier", "second"), ("troisième", "quatrième"), ("1er", "2e"), ("II", "III"), ("tiers", "quart")],
)
def test_ordinals_fractions_and_roman_numerals_are_numbers(one: str, other: str) -> None:
    text = f"{CASE} Le {{}} examen était normal. {LETTER}"
    assert compared(text.format(one), text.format(one)) == (True, 1.0)
    assert not compared(text.format(one), text.format(other))[0]


def test_numbers_that_changed_places_are_not_the_same() -> None:
    swapped = CASE.replace("62", "@").replace("75", "62").replace("@", "75")
    assert not compared(f"{CASE} {LETTER}", f"{swapped} {LETTER}", 0.5)[0]
    assert not compared(f"{CASE} {LETTER}", f"{swapped} {LETTER} {SENTENCE}", 0.3)[0]
    # The order of all numbers counts, those of the sentence more between them.
    two, three = f"Il a pris 3 mg, puis 5 mg. {LETTER}", f"Il a pris 5 mg, puis 3 mg, puis 4 mg. {LETTER}"
    assert not compared(two, three, 0.5)[0]
    assert compared(two, two.replace("3 mg,", "3 mg, puis 4 mg,"), 0.5)[0]


def test_a_sentence_more_excuses_no_other_number() -> None:
    longer = f"{CASE.replace('75 mg', '150 mg')} {LETTER} {SENTENCE}"
    assert not compared(f"{CASE} {LETTER}", longer, 0.5)[0]
    assert compared(f"{CASE} {LETTER}", f"{CASE} {LETTER} {SENTENCE}", 0.5)[0]


def test_a_number_does_not_take_its_unit_from_the_next_text() -> None:
    found = shingled("Il a reçu 75", "mg par jour", "75 mg", "75", "un", "mois")
    assert np.diff(found.number_bounds).tolist() == [1, 0, 1, 1, 0, 0]
    first, with_unit, alone = found.numbers.tolist()
    assert first == alone != with_unit


_UNITS = {"mg", "kg", "mois", "dose"}
_TEXT = st.lists(st.sampled_from(["7", "2,5", "trois", "un", "une", "mg", "kg", "mois", "foie", "cœur"]), max_size=25)
_DOSE = ["la", "cible", "est", "de", "un", "mg", "pour", "le", "foie", "et", "7", "kg"]
_TEXTS = st.lists(st.one_of(_TEXT, st.just(_DOSE)), max_size=5)


def numbers(text: list[str]) -> list[tuple[str, ...]]:
    """Each number with the units that follow it, word by word."""
    found: list[tuple[str, ...]] = []
    for at, word in enumerate(text):
        end = at + 1
        while end < len(text) and text[end] in _UNITS:
            end += 1
        if word in ("7", "2,5", "trois") or (word in ("un", "une") and end > at + 1):
            found.append(tuple(text[at:end]))
    return found


def among(fewer: list[Any], more: list[Any]) -> bool:
    rest = iter(more)
    return all(one in rest for one in fewer)


@given(_TEXTS, st.sampled_from([0.1, 0.5, 0.8, 1.0]), st.data())
def test_the_comparison_is_that_of_sets_and_sequences(texts: list[list[str]], threshold: float, data: Any) -> None:
    # Copies with a word more, a word less, or another one.
    for text in list(texts):
        at = data.draw(st.integers(0, len(text)))
        texts.append(text[:at] + data.draw(_TEXT)[:1] + text[at + data.draw(st.integers(0, 1)) :])
    pairs = np.array(list(combinations(range(len(texts)), 2)), int).reshape(-1, 2)
    agreed, similarity = near.agree(pairs, shingled(*map(" ".join, texts)), threshold)
    for (one, other), verdict, found in zip(pairs.tolist(), agreed, similarity, strict=True):
        truth = jaccard(*(ngrams(" ".join(texts[text])) for text in (one, other)))
        fewer, more = sorted((numbers(texts[one]), numbers(texts[other])), key=len)
        assert found == np.float32(truth)
        assert verdict == (truth >= threshold and among(fewer, more))


def test_paragraphs_joined_are_compared_as_one() -> None:
    parts = [shingled(CASE, "Court : 3 mg.", SENTENCE), shingled(LETTER, CASE)]
    every = Shingles.concatenate(parts)
    assert len(every) == 5
    articles = every.joined(np.array([0, 3, 3, 5]))
    # An n-gram that two paragraphs share counts once, and none reaches from one into the next.
    expected = [ngrams(CASE) | ngrams(SENTENCE), set(), ngrams(LETTER) | ngrams(CASE)]
    assert np.diff(articles.ngram_bounds).tolist() == list(map(len, expected))
    _, similarity = near.agree(np.array([[0, 2], [0, 1]]), articles, 0.8)
    assert similarity.tolist() == [np.float32(jaccard(expected[0], expected[2])), 0.0]
    # Numbers stay, in order, those of short paragraphs too.
    assert np.diff(articles.number_bounds).tolist() == [7, 0, 5]
    assert np.array_equal(articles.numbers, every.numbers)
    # The parts are as they were.
    assert np.array_equal(every.ngrams, np.concatenate([part.ngrams for part in parts]))
    assert near.agree(np.array([[0, 4]]), every, 0.8)[1].tolist() == [1.0]


# Who survives.


def settled(units: int, pairs: list[tuple[int, int]], agreeing: set[frozenset[int]], rank: list[int]) -> list[int]:
    def agree(asked: Any) -> Any:
        return np.array([frozenset(pair) in agreeing for pair in asked.tolist()], bool)

    return near.settle(units, np.array(pairs, np.int64).reshape(-1, 2), np.array(rank), agree).tolist()


def sets(*pairs: tuple[int, int]) -> set[frozenset[int]]:
    return set(map(frozenset, pairs))


def test_the_end_of_a_chain_stays() -> None:
    # 0 ~ 1 ~ 2, but not 0 ~ 2: only the second goes when the first survives, both ends when the middle does.
    chain = [(0, 1), (1, 2)]
    assert settled(3, chain, sets(*chain), [0, 1, 2]) == [0, 0, 2]
    assert settled(3, chain, sets(*chain), [2, 1, 0]) == [0, 2, 2]
    assert settled(3, chain, sets(*chain), [1, 0, 2]) == [1, 1, 1]


def test_what_a_chain_leaves_is_settled_among_itself() -> None:
    chain = list(pairwise(range(6)))
    assert settled(6, chain, sets(*chain), list(range(6))) == [0, 0, 2, 2, 4, 4]


def test_what_agrees_goes_though_it_was_no_pair() -> None:
    assert settled(3, [(0, 1), (1, 2)], sets((0, 1), (1, 2), (0, 2)), [0, 1, 2]) == [0, 0, 0]


def test_pairs_that_do_not_agree_are_nothing() -> None:
    assert settled(4, [(0, 1), (2, 3)], sets((2, 3)), [3, 2, 1, 0]) == [0, 1, 3, 3]


@given(st.data(), st.integers(1, 10))
def test_whoever_goes_agrees_with_what_survives(data: st.DataObject, units: int) -> None:
    every = list(combinations(range(units), 2))
    some = st.lists(st.sampled_from(every), unique=True) if every else st.just([])
    pairs, agreeing = data.draw(some), sets(*data.draw(some))
    rank = data.draw(st.permutations(range(units)))
    survivors = settled(units, pairs, agreeing, rank)
    for unit, survivor in enumerate(survivors):
        assert survivors[survivor] == survivor
        assert unit == survivor or (frozenset((unit, survivor)) in agreeing and rank[survivor] < rank[unit])
    left = [unit for unit, survivor in enumerate(survivors) if unit == survivor]
    assert not any(frozenset(pair) in agreeing and set(pair) <= set(left) for pair in pairs)

    # Neither the numbers of the units nor the order and direction of the pairs show.
    name = data.draw(st.permutations(range(units)))
    renamed = [tuple(name[unit] for unit in data.draw(st.permutations(pair))) for pair in pairs]
    ranks = [rank[name.index(unit)] for unit in range(units)]
    again = settled(
        units, data.draw(st.permutations(renamed)), {frozenset(map(name.__getitem__, pair)) for pair in agreeing}, ranks
    )
    assert [again[name[unit]] for unit in range(units)] == [name[survivor] for survivor in survivors]
