"""From entities to tags, sub-tokens and windows, and back: what can come back does, what cannot is counted."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Entities

from corpuskit.evaluate.records import Document, Entity, Span, Split, TaskError
from corpuskit.evaluate.tokens import (
    INSIDE_A_WORD,
    SHARES_A_TOKEN,
    decided,
    deciding,
    merged,
    read_tokens,
    runs,
    strays,
    tags_of_tokens,
    tags_of_words,
    to_entities,
    to_tags,
    windows,
    words,
)


def entity(label: str, *spans: Span) -> Entity:
    return Entity(spans, label)


# Records.


@pytest.mark.parametrize("spans", [(), ((3, 3),), ((4, 2),), ((-1, 2),), ((5, 8), (0, 2)), ((0, 4), (3, 8))])
def test_spans_are_in_order_and_not_empty(spans: tuple[Span, ...]) -> None:
    with pytest.raises(ValueError, match="no spans in order"):
        Entity(spans, "DISO")


def test_entities_are_within_their_text() -> None:
    broken = entity("DISO", (0, 2), (4, 6))
    assert (broken.start, broken.end, broken.discontinuous) == (0, 6, True)
    split = Split((Document("1", "a b c d", (broken, entity("ANAT", (0, 1)))), Document("2", "")), Counter())
    assert split.labels == ["ANAT", "DISO"]
    with pytest.raises(ValueError, match="6 is behind the 5 characters of document 1"):
        Document("1", "a b c", (broken,))


# Words and tags.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("L’hépatite C, 2,5 mg/j.", ["L", "’", "hépatite", "C", ",", "2", ",", "5", "mg", "/", "j", "."]),
        ("post-opératoire\u00a0IL_2\n", ["post", "-", "opératoire", "IL_2"]),
        ("ede\u0300me 😀x", ["ede\u0300me", "😀", "x"]),
    ],
)
def test_words_are_runs_of_letters_and_single_marks(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in words(text)] == expected


TEXT = "l'infarctus du myocarde, grade G3pT1"
#        l ' infarctus du myocarde , grade G3pT1
WORDS = words(TEXT)


def test_words_are_tagged() -> None:
    tags, lost = to_tags([entity("DISO", (2, 23)), entity("VAL", (25, 36))], WORDS)
    assert tags == ["O", "O", "B-DISO", "I-DISO", "I-DISO", "O", "B-VAL", "I-VAL"]
    assert not lost
    assert to_entities(tags, WORDS) == (entity("DISO", (2, 23)), entity("VAL", (25, 36)))
    beside = [entity("A", (2, 11)), entity("A", (12, 14))]
    assert to_tags(beside, WORDS)[0][2:4] == ["B-A", "B-A"]


@pytest.mark.parametrize(
    ("entities", "tagged", "reason"),
    [
        ([entity("VAL", (31, 33))], {7: "B-VAL"}, "begins or ends inside a word"),
        ([entity("VAL", (25, 33))], {6: "B-VAL", 7: "I-VAL"}, "begins or ends inside a word"),
        ([entity("ANAT", (14, 23))], {4: "B-ANAT"}, "begins or ends with white space"),
        ([entity("ANAT", (15, 23)), entity("DISO", (2, 23))], {2: "B-DISO", 3: "I-DISO", 4: "I-DISO"},
         "shares a word with another"),
        ([entity("DISO", (2, 11), (15, 23))], {}, "discontinuous"),
        ([entity("DISO", (14, 15))], {}, "holds no word"),
    ],
)  # fmt: skip
def test_what_does_not_come_back_is_counted(entities: list[Entity], tagged: dict[int, str], reason: str) -> None:
    tags, lost = to_tags(entities, WORDS)
    assert {place: tag for place, tag in enumerate(tags) if tag != "O"} == tagged
    assert lost == {reason: 1}


def test_two_entities_in_one_word_are_one_tag_and_both_counted() -> None:
    tags, lost = to_tags([entity("GRADE", (25, 33)), entity("STAGE", (33, 36))], WORDS)
    assert tags[6:] == ["B-GRADE", "I-GRADE"]
    assert lost == {"begins or ends inside a word": 1, "shares a word with another": 1}


@pytest.mark.parametrize(
    ("tags", "found", "left_out"),
    [
        ("", [], 0),
        ("O I-A O", [], 1),
        ("B-A I-A O", [(0, 2, "A")], 0),
        ("B-A B-A", [(0, 1, "A"), (1, 2, "A")], 0),
        ("B-A I-B I-B", [(0, 1, "A")], 2),
        ("I-A B-A I-A", [(1, 3, "A")], 1),
        ("B-A-B I-A-B", [(0, 2, "A-B")], 0),
    ],
)
def test_tags_are_read_strictly(tags: str, found: list[tuple[int, int, str]], left_out: int) -> None:
    assert runs(tags.split()) == found
    assert strays(tags.split()) == left_out


some_tags = st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), max_size=12)


@given(some_tags)
def test_tags_are_read_as_seqeval_reads_them(tags: list[str]) -> None:
    strictly = [(one.start, one.end, one.tag) for one in Entities([tags], IOB2).entities[0]] if tags else []
    assert runs(tags) == strictly
    if not strays(tags):  # then all ways of reading are one
        assert runs(tags) == [(first, last + 1, label) for label, first, last in get_entities(tags)]


@st.composite
def tagged_texts(draw: st.DrawFn) -> tuple[str, list[Entity]]:
    """A text and entities of which none overlap, from the beginning of a word to the end of one."""
    text = draw(st.text("aé1’'- \n\u0300😀_", max_size=40))
    places = words(text)
    cuts = sorted(draw(st.sets(st.integers(0, len(places)), max_size=8)))
    labels = draw(st.lists(st.sampled_from(["", "A", "B"]), min_size=8, max_size=8))
    chosen = [(first, last, label) for (first, last), label in zip(pairwise(cuts), labels, strict=False) if label]
    return text, [entity(label, (places[first][0], places[last - 1][1])) for first, last, label in chosen]


@given(tagged_texts())
def test_flat_entities_on_words_come_back(given_text: tuple[str, list[Entity]]) -> None:
    text, entities = given_text
    tags, lost = to_tags(entities, words(text))
    assert not lost
    assert strays(tags) == 0
    assert list(to_entities(tags, words(text))) == entities
    assert to_tags(entities[::-1], words(text)) == (tags, lost)


spans = st.lists(st.tuples(st.integers(0, 36), st.integers(0, 36)).filter(lambda span: span[0] < span[1]), max_size=6)


@given(spans)
def test_of_any_entities_each_comes_back_or_is_counted(given_spans: list[Span]) -> None:
    entities = [entity(f"L{number}", span) for number, span in enumerate(given_spans)]
    tags, lost = to_tags(entities, WORDS)
    assert len(set(to_entities(tags, WORDS)) & set(entities)) + lost.total() == len(entities)


# Sub-tokens.


def pieces_of(text: str, cuts: set[int]) -> list[Span]:
    """A text in pieces, some of which hold several words, some part of one, some nothing but white space."""
    return list(pairwise(sorted({0, len(text), *(cut for cut in cuts if cut < len(text))}))) if text else []


@given(tagged_texts(), st.sets(st.integers(0, 40)))
def test_what_sub_tokens_can_say_comes_back(given_text: tuple[str, list[Entity]], cuts: set[int]) -> None:
    text, entities = given_text
    places, pieces = words(text), pieces_of(text, cuts)
    tags, _ = to_tags(entities, places)
    of_word = deciding(places, pieces)
    for (start, _), token in zip(places, of_word, strict=True):
        assert pieces[token][0] <= start < pieces[token][1]
    said, lost = tags_of_tokens(tags, of_word, len(pieces))
    back = tags_of_words([tag or "O" for tag in said], of_word)
    assert len(set(to_entities(back, places)) & set(entities)) + lost.total() == len(entities)
    if len(set(of_word)) == len(of_word):
        assert (back, lost) == (tags, {})


def test_words_in_one_sub_token_are_decided_together() -> None:
    text = "l'IL2 haute"
    places = words(text)  # l ' IL2 haute
    of_word = deciding(places, [(0, 2), (2, 4), (4, 5), (5, 5), (5, 11)])
    assert of_word == [0, 0, 1, 4]
    said, lost = tags_of_tokens(["O", "O", "B-CHEM", "O"], of_word, 5)
    assert (said, lost) == (["O", "B-CHEM", None, None, "O"], {})
    assert tags_of_words(["B-X", "I-X", "O", "O", "B-X"], of_word) == ["B-X", "I-X", "I-X", "B-X"]
    # Nothing can be said of "'" alone.
    assert tags_of_tokens(["O", "B-X", "I-X", "O"], of_word, 5) == (["O", "I-X", None, None, "O"], {SHARES_A_TOKEN: 1})


def test_a_word_that_no_sub_token_knows_is_in_what_is_around_it() -> None:
    assert deciding([(0, 1), (2, 3), (4, 5)], [(0, 1), (4, 5)]) == [0, -1, 1]
    assert tags_of_words(["B-X", "I-X"], [0, -1, 1]) == ["B-X", "I-X", "I-X"]
    assert tags_of_words(["B-X", "I-X"], [0, -1, -1, 1]) == ["B-X", "I-X", "I-X", "I-X"]
    assert tags_of_words(["B-X", "B-X"], [0, -1, 1]) == ["B-X", "O", "B-X"]
    assert tags_of_words(["B-X", "I-Y"], [-1, 0, -1, 1]) == ["O", "B-X", "O", "I-Y"]


def test_a_tokenizer_must_say_where_its_tokens_are() -> None:
    def fast(text: str, **options: Any) -> dict[str, Any]:
        assert not options["truncation"]
        return {"input_ids": [5, 6], "offset_mapping": [(0, 2), (2, 4)]}

    class Slow:
        name_or_path = "some/model"

        def __call__(self, text: str, **options: Any) -> dict[str, Any]:
            raise NotImplementedError("return_offset_mapping is not available when using Python tokenizers")

    assert read_tokens(fast, "toux") == ([5, 6], [(0, 2), (2, 4)])
    with pytest.raises(TaskError, match="some/model does not say where its tokens are: take a fast one"):
        read_tokens(Slow(), "toux")


# Windows.


@pytest.mark.parametrize(
    ("tokens", "size", "overlap", "expected"),
    [
        (0, 4, 2, []),
        (3, 4, 2, [(0, 3)]),
        (4, 4, 2, [(0, 4)]),
        (5, 4, 2, [(0, 4), (1, 5)]),
        (10, 4, 2, [(0, 4), (2, 6), (4, 8), (6, 10)]),
        (10, 4, 0, [(0, 4), (4, 8), (6, 10)]),
    ],
)
def test_windows_go_over_all_of_a_text(tokens: int, size: int, overlap: int, expected: list[Span]) -> None:
    assert windows(tokens, size, overlap) == expected


@pytest.mark.parametrize(("size", "overlap"), [(4, 4), (0, 0), (4, -1)])
def test_a_window_must_have_room(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="has no room beside an overlap"):
        windows(10, size, overlap)


def test_the_middle_of_a_window_decides() -> None:
    assert decided([(0, 6), (4, 10)], 10) == [0] * 5 + [1] * 5
    assert merged([(0, 6), (4, 10)], ["aaaaaa", "bbbbbb"], 10) == list("aaaaabbbbb")
    assert decided([(0, 4), (1, 5)], 5) == [0, 0, 0, 1, 1]


rooms = st.integers(1, 12).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


@given(st.integers(0, 60), rooms)
def test_each_token_is_in_a_window_and_the_one_with_most_context_decides(tokens: int, room: tuple[int, int]) -> None:
    size, overlap = room
    found = windows(tokens, size, overlap)
    assert sorted({token for start, end in found for token in range(start, end)}) == list(range(tokens))
    assert all(end - start == min(size, tokens) for start, end in found)
    assert all(end - start >= overlap for (_, end), (start, _) in pairwise(found))
    for token, number in enumerate(decided(found, tokens)):
        contexts = [
            min(token - start if start else tokens, end - 1 - token if end < tokens else tokens)
            for start, end in found
            if start <= token < end
        ]
        start, end = found[number]
        left = token - start if start else tokens
        right = end - 1 - token if end < tokens else tokens
        assert min(left, right) == max(contexts)
        assert min(left, right) >= min(overlap // 2, tokens)


@given(tagged_texts(), rooms)
def test_no_entity_is_lost_between_windows(given_text: tuple[str, list[Entity]], room: tuple[int, int]) -> None:
    text, entities = given_text
    places = words(text)
    tags, _ = to_tags(entities, places)
    found = windows(len(tags), *room)
    assert to_entities(merged(found, [tags[start:end] for start, end in found], len(tags)), places) == tuple(entities)


def test_an_entity_longer_than_a_window_comes_back() -> None:
    tags = ["O", "B-X", *["I-X"] * 9, "O"]
    found = windows(12, 4, 2)
    assert merged(found, [tags[start:end] for start, end in found], 12) == tags


def test_a_real_tokenizer_puts_words_into_one_piece() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    vocabulary = [("<unk>", 0.0), *((piece, -1.0) for piece in ("▁l'", "hépa", "tite", "▁", "C", "▁et", "▁<s>"))]
    model = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, unk_id=0))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>", model_max_length=2)
    text = "l'hépatite C et ☂"
    ids, offsets = read_tokens(tokenizer, text)
    assert tokenizer.convert_ids_to_tokens(ids) == ["▁l'", "hépa", "tite", "▁", "C", "▁et", "▁", "<unk>"]
    of_word = deciding(words(text), offsets)
    assert [ids[token] for token in of_word] == [1, 1, 2, 5, 6, 0]
    tags, changed = to_tags([entity("DISO", (2, 12)), entity("OBJC", (16, 17))], words(text))
    said, lost = tags_of_tokens(tags, of_word, len(ids))
    assert said == ["O", "B-DISO", None, None, "I-DISO", "O", None, "B-OBJC"]
    assert not changed + lost
    assert tags_of_words([tag or "O" for tag in said], of_word) == tags
    assert INSIDE_A_WORD in to_tags([entity("DISO", (3, 12))], words(text))[1]
