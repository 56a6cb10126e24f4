"""Kinds of errors: pairs of gold and predicted entities."""

from __future__ import annotations

from collections import Counter

import result_folders as folders
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.evaluate.errors import Pair, confusion, of_entities, of_labels, pairs
from corpuskit.evaluate.records import Answer, Document, Entity
from corpuskit.evaluate.scorers import entity_scores


def entity(start: int, end: int, label: str, *more: tuple[int, int]) -> Entity:
    return Entity(((start, end), *more), label)


def kinds(gold: list[Entity], said: list[Entity]) -> list[str]:
    return [pair.kind for pair in of_entities(gold, said)]


def test_each_kind() -> None:
    gold = [entity(0, 4, "A"), entity(5, 9, "A"), entity(10, 14, "A"), entity(15, 19, "A"), entity(20, 24, "A")]
    said = [entity(0, 4, "A"), entity(5, 8, "A"), entity(10, 14, "B"), entity(16, 21, "B"), entity(30, 31, "B")]
    assert kinds(gold, said) == ["right", "boundary", "label", "both", "missed", "spurious"]


def test_the_largest_share_in_common_is_paired_and_each_only_once() -> None:
    # 4 of 10 characters in common with the first, 6 of 10 with the second.
    assert of_entities([entity(0, 10, "A")], [entity(0, 4, "A"), entity(4, 10, "B")]) == [
        Pair(None, "A", (), ((0, 4),)), Pair("A", "B", ((0, 10),), ((4, 10),))
    ]  # fmt: skip
    # The longer one has as many in common, but is further from it.
    assert of_entities([entity(0, 10, "A")], [entity(0, 20, "A"), entity(0, 10, "B")])[0].said == "B"


def test_of_equal_shares_the_same_label_is_paired() -> None:
    gold = [entity(0, 4, "A"), entity(0, 4, "B")]
    assert kinds(gold, [entity(0, 4, "B")]) == ["missed", "right"]
    assert kinds(gold, [entity(0, 4, "B"), entity(0, 4, "C")]) == ["label", "right"]


def test_pieces_count_together() -> None:
    broken = entity(0, 4, "A", (10, 14))
    assert of_entities([broken], [entity(0, 14, "A"), entity(5, 9, "A")]) == [
        Pair("A", "A", ((0, 4), (10, 14)), ((0, 14),)), Pair(None, "A", (), ((5, 9),))
    ]  # fmt: skip


def test_what_is_said_twice_counts_once() -> None:
    assert kinds([entity(0, 4, "A")], [entity(0, 4, "A"), entity(0, 4, "A")]) == ["right"]
    assert kinds([], []) == []


def test_labels() -> None:
    assert of_labels(["a"], ["a"], several=False) == [Pair("a", "a")]
    assert of_labels(["a"], ["b"], several=False)[0].kind == "label"
    assert of_labels(["a"], [], several=False)[0].kind == "missed"
    assert of_labels(["a", "b"], ["b", "c"], several=True) == [Pair("a", None), Pair("b", "b"), Pair(None, "c")]
    assert of_labels([], [], several=True) == []


def test_a_task_says_what_is_paired() -> None:
    document = Document("d", "abcd", (entity(0, 4, "A"),), labels=("a",))
    answer = Answer((entity(0, 4, "A"),), ("b",))
    assert pairs(folders.task(), document, answer)[0].kind == "right"
    assert pairs(folders.task(kind="labels"), document, answer)[0].kind == "label"


def test_confusion() -> None:
    found = of_entities([entity(0, 4, "A"), entity(5, 9, "B")], [entity(0, 3, "A"), entity(20, 24, "B")])
    assert confusion(found) == Counter({("A", "A"): 1, ("B", None): 1, (None, "B"): 1})


ENTITIES = st.lists(
    st.builds(lambda start, length, label: entity(start, start + length, label), st.integers(0, 20),
              st.integers(1, 8), st.sampled_from("AB")),
    max_size=8,
)  # fmt: skip


@given(ENTITIES, ENTITIES)
def test_pairs_agree_with_the_strict_scorer_and_nothing_is_lost(gold: list[Entity], said: list[Entity]) -> None:
    found = of_entities(gold, said)
    strict = entity_scores([Document("d", "x" * 30, tuple(gold))], {"d": said})["strict"]
    tp, fp, fn = (int(one.sum()) for one in (strict.tp, strict.fp, strict.fn))
    assert sum(pair.kind == "right" for pair in found) == tp
    assert sum(pair.gold is not None for pair in found) == tp + fn
    assert sum(pair.said is not None for pair in found) == tp + fp
    # What is missed and spurious at once could have been paired.
    left = [pair.gold_spans for pair in found if pair.kind == "missed"]
    right = [pair.said_spans for pair in found if pair.kind == "spurious"]
    assert not [1 for ((a, b),) in left for ((c, d),) in right if a < d and c < b]


@given(ENTITIES, ENTITIES)
def test_the_order_of_entities_changes_nothing(gold: list[Entity], said: list[Entity]) -> None:
    assert of_entities(gold[::-1], said[::-1]) == of_entities(gold, said)
