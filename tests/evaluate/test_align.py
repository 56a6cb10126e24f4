"""Quotes back to their places: by hand, by law, and with all that is annotated in real data."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from corpuskit.evaluate.readers import brat
from corpuskit.evaluate.records import Document, Entity
from corpuskit.evaluate.systems.align import NOWHERE, TOO_OFTEN, Quoted, fold, pieces, reduced
from corpuskit.evaluate.tokens import words

TEXT = "Fièvre et toux. L'œdème, la fièvre puis\nune forte  fièvre ; fiévreuse."


def found(text: str, *mentions: tuple[str, str]) -> list[tuple[str, int, str]]:
    entities, _ = Quoted(text).align(mentions)
    return [(text[one.start : one.end], one.start, one.label) for one in entities]


@pytest.mark.parametrize(
    ("quotes", "places"),
    [
        (["toux"], [("toux", 10)]),
        # As it is written comes before what is alike, then the next place.
        (["fièvre"], [("fièvre", 28)]),
        (["Fièvre"], [("Fièvre", 0)]),
        (["fièvre", "fièvre"], [("fièvre", 28), ("fièvre", 51)]),
        (["fièvre", "fièvre", "fièvre"], [("Fièvre", 0), ("fièvre", 28), ("fièvre", 51)]),
        # Case, accents, apostrophes, ligatures and white space.
        (["TOUX"], [("toux", 10)]),
        (["l’oedeme"], [("L'œdème", 16)]),
        (["puis une forte fievre"], [("puis\nune forte  fièvre", 35)]),
        ([" toux "], [("toux", 10)]),
        # Inside a word only where it is nowhere between words.
        (["fiévreu"], [("fiévreu", 60)]),
        (["FIEVREU"], [("fiévreu", 60)]),
        (["rhume"], []),
        ([""], []),
    ],
)
def test_a_quote_is_found(quotes: list[str], places: list[tuple[str, int]]) -> None:
    assert found(TEXT, *((quote, "DISO") for quote in quotes)) == [(*place, "DISO") for place in places]


def test_what_is_not_there_is_counted_and_left_out() -> None:
    said = [("toux", "DISO"), ("Toux", "DISO"), ("rhume", "DISO"), ("rhume", "DISO"), ("", "DISO")]
    entities, lost = Quoted(TEXT).align(said)
    assert [(one.spans, one.label) for one in entities] == [(((10, 14),), "DISO")]
    assert lost == {TOO_OFTEN: 1, NOWHERE: 3}


def test_the_same_words_may_have_two_labels() -> None:
    assert found(TEXT, ("toux", "DISO"), ("toux", "PROC")) == [("toux", 10, "DISO"), ("toux", 10, "PROC")]


def test_nested_entities_are_each_found() -> None:
    text = "cancer du sein et douleur du sein"
    assert found(text, ("cancer du sein", "DISO"), ("sein", "ANAT"), ("sein", "ANAT")) == [
        ("cancer du sein", 0, "DISO"),
        ("sein", 10, "ANAT"),
        ("sein", 29, "ANAT"),
    ]


def test_where_only_the_longest_are_asked_for_what_is_inside_is_taken_last() -> None:
    text = "Cancer du sein. Le sein, le Sein."
    mentions = [("sein", "ANAT"), ("cancer du sein", "DISO")]

    def flat(*more: tuple[str, str]) -> list[tuple[int, str]]:
        entities, lost = Quoted(text).align([*mentions, *more], flat=True)
        assert not lost
        return [(one.start, one.label) for one in entities]

    assert flat() == [(0, "DISO"), (19, "ANAT")]
    assert flat(("Sein", "ANAT")) == [(0, "DISO"), (19, "ANAT"), (28, "ANAT")]
    # Who counts what is inside as well finds it too.
    assert flat(*[("sein", "ANAT")] * 2) == [(0, "DISO"), (10, "ANAT"), (19, "ANAT"), (28, "ANAT")]
    assert found(text, *mentions) == [("Cancer du sein", 0, "DISO"), ("sein", 10, "ANAT")]


def test_a_character_that_is_several_when_folded_is_whole() -> None:
    # "oe" alone would begin in the middle of nothing, but "e" would end within the ligature.
    assert found("cœur", ("coe", "A")) == [("cœ", 0, "A")]
    assert found("cœur", ("co", "A")) == []


def test_an_accent_of_its_own_belongs_to_its_letter() -> None:
    text = "cafe\u0301 noir"
    assert found(text, ("café", "A")) == [("cafe\u0301", 0, "A")]
    assert found(text, ("cafe", "A")) == [("cafe\u0301", 0, "A")]


SMALL = st.text(alphabet="aàbAœ' -\n\u0301", max_size=20)
TEXTS = st.one_of(SMALL, st.text(max_size=40))


@given(TEXTS, st.data())
def test_an_entity_that_is_quoted_as_often_as_it_is_there_is_found(text: str, data: st.DataObject) -> None:
    spans = [(start, end) for start, _ in words(text) for _, end in words(text) if start < end]
    assume(spans)
    start, end = data.draw(st.sampled_from(spans))
    quote = text[start:end]
    times = sum(text.startswith(quote, place) for place in range(len(text)))
    entities, lost = Quoted(text).align([(quote, "A")] * times)
    assert ((start, end),) in [one.spans for one in entities]
    assert NOWHERE not in lost


@given(TEXTS, st.lists(st.tuples(SMALL, st.sampled_from("AB")), max_size=8), st.booleans(), st.data())
def test_what_is_found_is_in_the_text_and_like_the_quotes_whatever_their_order(
    text: str, mentions: list[tuple[str, str]], flat: bool, data: st.DataObject
) -> None:
    entities, lost = Quoted(text).align(mentions, flat=flat)
    assert len(entities) + lost.total() == len(mentions)
    quotes = {(fold(quote), label) for quote, label in mentions}
    for one in entities:
        assert 0 <= one.start < one.end <= len(text)
        assert (fold(text[one.start : one.end]), one.label) in quotes
    assert len({(one.spans, one.label) for one in entities}) == len(entities)
    assert Quoted(text).align(data.draw(st.permutations(mentions)), flat=flat) == (entities, lost)


def test_what_is_found_is_reduced_as_gold_is() -> None:
    text = "cancer du sein"
    document = Document("1", text, (Entity(((0, 3),), "OTHER"),))
    said = [Entity(((10, 14),), "ANAT"), Entity(((0, 14),), "DISO")]
    assert [one.label for one in reduced(document, said, "outermost")] == ["DISO"]
    assert [(one.spans, one.label) for one in reduced(document, said, "concatenated")] == [
        (((0, 9),), "DISO"),
        (((10, 14),), "ANAT_DISO"),
    ]
    assert [one.label for one in reduced(document, said, "nested")] == ["DISO", "ANAT"]
    assert [one.label for one in reduced(document, said, "nested", {"ANAT": "x", "DISO": "x"})] == ["DISO"]


@pytest.mark.parametrize(
    ("text", "most", "parts"),
    [
        ("", 10, []),
        (" \n ", 10, []),
        (" Un. Deux. ", 20, ["Un. Deux."]),
        # A paragraph, then a sentence, then white space, then wherever there is no room left.
        ("Un mot. Deux\nmots. Trois.", 18, ["Un mot. Deux", "mots. Trois."]),
        ("Un mot. Deux mots.\nTrois.", 17, ["Un mot.", "Deux mots.\nTrois."]),
        ("Un seul long\n\nmot", 8, ["Un seul", "long", "mot"]),
        ("anticonstitutionnel", 10, ["anticonsti", "tutionnel"]),
    ],
)
def test_a_text_is_read_in_pieces(text: str, most: int, parts: list[str]) -> None:
    assert [text[start:end] for start, end in pieces(text, most)] == parts


@given(st.text(alphabet="ab .\n", max_size=60), st.integers(1, 20))
def test_pieces_hold_all_but_white_space(text: str, most: int) -> None:
    spans = pieces(text, most)
    assert all(0 < end - start <= most for start, end in spans)
    assert spans == sorted(spans)
    held = {place for start, end in spans for place in range(start, end)}
    assert len(held) == sum(end - start for start, end in spans)
    assert all(text[place].isspace() for place in set(range(len(text))) - held)


@pytest.mark.parametrize(("part", "least"), [("train/EMEA", 0.97), ("train/MEDLINE", 0.999)])
def test_all_that_is_annotated_is_found_from_its_quotes(real_data: Path, part: str, least: float) -> None:
    """Not quite all: where words are annotated only the second time, nothing says so."""
    split = brat.read(real_data / "quaero" / "quaero_train_dev_brat.tar.gz", part)
    annotated = right = 0
    for document in split.documents:
        gold = {(one.spans, one.label) for one in document.entities if not one.discontinuous}
        said = [(document.text[spans[0][0] : spans[0][1]], label) for spans, label in gold]
        entities, lost = Quoted(document.text).align(said)
        assert not lost
        annotated += len(gold)
        right += len(gold & {(one.spans, one.label) for one in entities})
    assert annotated > 2_000
    assert right / annotated > least
