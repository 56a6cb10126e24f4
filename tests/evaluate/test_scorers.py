"""Scorers: literal entities in, literal counts out; the same as seqeval and scikit-learn where these can say it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score, f1_score, hamming_loss, jaccard_score

from corpuskit.evaluate.records import Document, Entity, Span, TaskError
from corpuskit.evaluate.scorers import (
    ANY,
    Average,
    Figures,
    Score,
    entity_scores,
    multi_label,
    multiple_choice,
    score,
    single_label,
    word_scores,
)
from corpuskit.evaluate.tokens import to_entities

AVERAGES: tuple[Average, ...] = ("micro", "macro", "weighted")
LABELS = ("DISO", "CHEM", "PROC")
#: Sixteen words of one character each.
TEXT = "a b c d e f g h i j k l m n o p"
WORDS = [(start, start + 1) for start in range(0, len(TEXT), 2)]


def entity(label: str, *spans: Span) -> Entity:
    return Entity(spans, label)


def documents(*gold: Sequence[Entity]) -> list[Document]:
    return [Document(f"d{place}", TEXT, tuple(entities)) for place, entities in enumerate(gold)]


def scores(gold: Sequence[Entity], predicted: Sequence[Entity], **options: bool) -> dict[str, Score]:
    """The scores of one document."""
    return score(documents(gold), {"d0": predicted}, **options)


def counted(gold: Sequence[Entity], predicted: Sequence[Entity]) -> dict[str, tuple[int, int, int]]:
    """tp, fp and fn of one document by every scorer."""
    found = scores(gold, predicted)
    return {name: tuple(int(one.sum()) for one in each.by_document()) for name, each in found.items()}


# ---------------------------------------------------------------------------------------------------------------------
# By hand


def test_an_entity_found() -> None:
    asthma = [entity("DISO", (2, 5))]
    assert counted(asthma, asthma) == {
        "strict": (1, 0, 0),
        "exact_span": (1, 0, 0),
        "overlap": (1, 0, 0),
        "overlap_span": (1, 0, 0),
        "token_with_o": (16, 0, 0),
        "token": (2, 0, 0),
    }


def test_a_boundary_off_by_one_word() -> None:
    assert counted([entity("DISO", (2, 5))], [entity("DISO", (2, 7))]) == {
        "strict": (0, 1, 1),
        "exact_span": (0, 1, 1),
        "overlap": (1, 0, 0),
        "overlap_span": (1, 0, 0),
        "token_with_o": (15, 1, 1),
        "token": (2, 1, 0),
    }


def test_the_wrong_label() -> None:
    assert counted([entity("DISO", (2, 5))], [entity("CHEM", (2, 5))]) == {
        "strict": (0, 1, 1),
        "exact_span": (1, 0, 0),
        "overlap": (0, 1, 1),
        "overlap_span": (1, 0, 0),
        "token_with_o": (14, 2, 2),
        "token": (0, 2, 2),
    }


def test_nested_entities_count_one_by_one() -> None:
    inner, outer = entity("CHEM", (2, 3)), entity("DISO", (0, 5))
    found = counted([inner, outer], [outer])
    assert found["strict"] == found["exact_span"] == found["overlap"] == found["overlap_span"] == (1, 0, 1)
    assert found["token"] == (3, 0, 1)  # the word in the middle has both labels
    assert found["token_with_o"] == (16, 0, 1)


def test_two_labels_of_the_same_words_are_two_entities_under_every_scorer() -> None:
    both = [entity("CHEM", (2, 5)), entity("DISO", (2, 5))]
    assert counted(both, both[:1])["strict"] == counted(both, both[:1])["exact_span"] == (1, 0, 1)
    assert counted(both, both)["exact_span"] == counted(both, both)["overlap_span"] == (2, 0, 0)


def test_a_discontinuous_entity_is_all_its_spans() -> None:
    broken = entity("DISO", (0, 1), (6, 9))
    assert counted([broken], [broken])["strict"] == (1, 0, 0)
    whole = counted([broken], [entity("DISO", (0, 9))])
    assert (whole["strict"], whole["exact_span"], whole["overlap"]) == ((0, 1, 1), (0, 1, 1), (1, 0, 0))
    assert whole["token"] == (3, 2, 0)  # the two words between are not its own
    # What lies in the gap does not touch it.
    assert counted([broken], [entity("DISO", (2, 5))])["overlap"] == (0, 1, 1)
    # Two halves are not one entity, and only one of them can be paired with it.
    halves = counted([broken], [entity("DISO", (0, 1)), entity("DISO", (6, 9))])
    assert (halves["strict"], halves["overlap"], halves["token"]) == ((0, 2, 1), (1, 1, 0), (3, 0, 0))


def test_an_entity_split_where_windows_meet_is_neither_right_nor_counted_twice() -> None:
    found = counted([entity("DISO", (2, 9))], [entity("DISO", (2, 5)), entity("DISO", (6, 9))])
    assert found["strict"] == found["exact_span"] == (0, 2, 1)
    assert found["overlap"] == found["overlap_span"] == (1, 1, 0)
    assert found["token"] == (4, 0, 0)


def test_words_can_tell_where_an_entity_begins() -> None:
    gold, halves = [entity("DISO", (2, 9))], [entity("DISO", (2, 5)), entity("DISO", (6, 9))]
    found = scores(gold, halves, prefixes=True)["token"]
    assert found.classes == ("B-DISO", "I-DISO")
    assert (found.tp.tolist(), found.fp.tolist(), found.fn.tolist()) == ([[1], [2]], [[1], [0]], [[0], [1]])
    broken = scores([entity("DISO", (0, 1), (6, 9))], [], prefixes=True)["token"]
    assert broken.fn.tolist() == [[1], [2]]


def test_what_the_tagging_cannot_say_stays_below_the_line() -> None:
    outer, inner, broken = entity("DISO", (0, 5)), entity("CHEM", (2, 3)), entity("DISO", (8, 9), (12, 13))
    found = scores([outer, inner, broken], [outer])["strict"]
    assert found.figures() == Figures(precision=1.0, recall=1 / 3, f1=0.5, support=3)


def test_pairs_are_formed_so_that_there_are_as_many_as_can_be() -> None:
    # The first predicted one could take either; the second only the first gold one.
    gold = [entity("DISO", (2, 9)), entity("DISO", (10, 13))]
    assert counted(gold, [entity("DISO", (4, 11)), entity("DISO", (2, 3))])["overlap"] == (2, 0, 0)
    # A chain in which each step has to give way.
    chain = [entity("DISO", (4 * place, 4 * place + 3)) for place in range(7)]
    shifted = [entity("DISO", (4 * place + 2, 4 * place + 5)) for place in range(6)]
    assert counted(chain, [*shifted, entity("DISO", (0, 1))])["overlap"] == (7, 0, 0)


def test_an_empty_document_an_empty_prediction_and_an_empty_gold() -> None:
    one = [entity("DISO", (2, 5))]
    empty = score([Document("d0", "", ())], {"d0": []})
    assert {name: each.figures() for name, each in empty.items()} == dict.fromkeys(empty, Figures(0.0, 0.0, 0.0, 0))
    assert counted(one, [])["strict"] == (0, 0, 1)
    assert counted([], one)["strict"] == (0, 1, 0)
    nothing = scores(one, [])
    assert nothing["strict"].figures() == nothing["overlap"].figures() == Figures(0.0, 0.0, 0.0, 1)
    assert nothing["token_with_o"].figures() == Figures(14 / 16, 14 / 16, 14 / 16, 16)
    # Beside a document that has entities, an empty one changes nothing.
    beside = entity_scores([*documents(one), Document("empty", "", ())], {"d0": one, "empty": []})["strict"]
    assert (beside.figures(), beside.tp.tolist()) == (Figures(1.0, 1.0, 1.0, 1), [[1, 0]])


def test_an_entity_said_twice_is_one() -> None:
    once = Entity(((2, 5),), "DISO", "T1")
    assert counted([once, Entity(((2, 5),), "DISO", "T2")], [once, once])["strict"] == (1, 0, 0)


def test_each_label_and_the_averages() -> None:
    gold = [entity("DISO", (0, 1)), entity("DISO", (2, 3)), entity("DISO", (4, 5)), entity("CHEM", (6, 7))]
    found = [entity("DISO", (0, 1)), entity("DISO", (2, 3)), entity("PROC", (6, 7))]
    strict = scores(gold, found)["strict"]
    assert strict.by_class() == {
        "CHEM": Figures(0.0, 0.0, 0.0, 1),
        "DISO": Figures(1.0, 2 / 3, 0.8, 3),
        "PROC": Figures(0.0, 0.0, 0.0, 0),
    }
    assert strict.figures("micro") == Figures(2 / 3, 0.5, pytest.approx(4 / 7), 4)
    assert strict.figures("macro") == Figures(pytest.approx(1 / 3), pytest.approx(2 / 9), pytest.approx(0.8 / 3), 4)
    assert strict.figures("weighted") == Figures(0.75, 0.5, pytest.approx(0.6), 4)
    assert scores(gold, found)["exact_span"].by_class() == {ANY: Figures(1.0, 0.75, pytest.approx(6 / 7), 4)}


def test_the_published_effect_words_with_o_are_high_where_entities_are_low() -> None:
    """A model that finds most entities but gets every other boundary wrong, in text that is mostly outside them."""
    gold = [[entity("DISO", (0, 5)), entity("CHEM", (12, 15))], [entity("DISO", (8, 11))], []]
    found = [[entity("DISO", (0, 3)), entity("CHEM", (12, 15))], [entity("DISO", (8, 9))], []]
    told = score(documents(*gold), {f"d{place}": each for place, each in enumerate(found)})
    f1 = {name: round(each.figures().f1, 3) for name, each in told.items()}
    assert f1 == {
        "strict": 0.333,
        "exact_span": 0.333,
        "overlap": 1.0,
        "overlap_span": 1.0,
        "token_with_o": 0.958,
        "token": 0.833,
    }
    assert round(told["token_with_o"].figures("weighted").f1, 3) == 0.954
    assert round(told["token_with_o"].figures("macro").f1, 3) == 0.909
    assert round(told["token"].figures("weighted").f1, 3) == 0.821


def test_and_it_turns_a_ranking_round() -> None:
    """One system is right about half of the entities, the other almost right about all of them."""
    gold = [[entity("DISO", (0, 5)), entity("DISO", (8, 13)), entity("DISO", (16, 21)), entity("DISO", (24, 29))]]
    half = gold[0][:2]
    almost = [entity("DISO", (one.spans[0][0], one.spans[0][1] + 2)) for one in gold[0]]
    first, second = ({name: each.figures().f1 for name, each in scores(gold[0], one).items()} for one in (half, almost))
    assert first["strict"] > second["strict"] == 0.0
    assert first["token"] < second["token"]
    assert first["token_with_o"] < second["token_with_o"]


# ---------------------------------------------------------------------------------------------------------------------
# The same as others


def entities_of(tags: Sequence[str]) -> tuple[Entity, ...]:
    return to_entities(tags, WORDS)


def test_an_i_without_a_b_is_no_entity() -> None:
    gold, said = ["O", "B-DISO", "I-DISO"], ["O", "I-DISO", "I-DISO"]
    assert entities_of(said) == ()
    assert counted(entities_of(gold), entities_of(said))["strict"] == (0, 0, 1)
    assert entities_of(["B-DISO", "I-CHEM", "I-DISO"]) == (entity("DISO", (0, 1)),)


def tagged(random: Random, length: int, valid: bool) -> list[str]:
    tags = [random.choice(["O", "O", "B-", "I-"]) + random.choice(LABELS) for _ in range(length)]
    tags = ["O" if tag[0] == "O" else tag for tag in tags]
    if valid:
        for place, tag in enumerate(tags):
            if tag[0] == "I" and (place == 0 or tags[place - 1][1:] != tag[1:]):
                tags[place] = "B" + tag[1:]
    return tags


def pair_of_taggings(seed: int, valid: bool) -> tuple[list[list[str]], list[list[str]]]:
    """Gold and predictions of some documents; the predictions keep most of the gold."""
    random = Random(seed)
    gold = [tagged(random, random.randint(1, 16), True) for _ in range(random.randint(1, 6))]
    said = [
        [new if random.random() < 0.3 else old for old, new in zip(tags, tagged(random, len(tags), False), strict=True)]
        for tags in gold
    ]
    return gold, said if not valid else [tagged(Random(seed + 1), len(tags), True) for tags in gold]


@pytest.mark.parametrize("valid", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_strict_is_seqeval(seed: int, valid: bool) -> None:
    gold, said = pair_of_taggings(seed, valid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = classification_report(gold, said, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    ours = entity_scores(
        documents(*map(entities_of, gold)), {f"d{place}": entities_of(tags) for place, tags in enumerate(said)}
    )["strict"]
    averages = {f"{name} avg": ours.figures(name) for name in AVERAGES}
    assert (ours.by_class() | averages).keys() == theirs.keys()
    for name, one in (ours.by_class() | averages).items():
        assert one.support == theirs[name]["support"]
        assert (one.precision, one.recall, one.f1) == pytest.approx(
            tuple(theirs[name][measure] for measure in ("precision", "recall", "f1-score"))
        )


def words_of(entities: Sequence[Entity], length: int, prefixes: bool) -> list[str]:
    tags = ["O"] * length
    for one in entities:
        first, last = one.spans[0][0] // 2, (one.spans[-1][1] - 1) // 2
        for word in range(first, last + 1):
            tags[word] = (("B-" if word == first else "I-") if prefixes else "") + one.label
    return tags


@pytest.mark.parametrize("prefixes", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_words_are_scikit_learn(seed: int, prefixes: bool) -> None:
    gold, said = pair_of_taggings(seed, False)
    right, found = [entities_of(tags) for tags in gold], [entities_of(tags) for tags in said]
    ours = word_scores(
        documents(*right),
        {f"d{place}": each for place, each in enumerate(found)},
        [WORDS[: len(tags)] for tags in gold],
        prefixes=prefixes,
    )
    flat, flat_said = (
        [tag for each, tags in zip(side, gold, strict=True) for tag in words_of(each, len(tags), prefixes)]
        for side in (right, found)
    )
    labels = sorted({*flat, *flat_said} - {"O"})
    for average in AVERAGES:
        with_o, without = (ours[name].figures(average).f1 for name in ("token_with_o", "token"))
        assert with_o == pytest.approx(f1_score(flat, flat_said, average=average, zero_division=0))
        if labels:
            assert without == pytest.approx(f1_score(flat, flat_said, labels=labels, average=average, zero_division=0))


def test_words_of_nested_entities_are_scikit_learn_with_several_labels() -> None:
    gold = [entity("DISO", (0, 9)), entity("CHEM", (2, 3)), entity("PROC", (12, 13), (16, 17))]
    found = [entity("DISO", (0, 7)), entity("CHEM", (2, 5))]
    classes = ["O", "CHEM", "DISO", "PROC"]
    right, said = np.zeros((16, 4), int), np.zeros((16, 4), int)
    right[0:5, 2] = right[1, 1] = right[6, 3] = right[8, 3] = 1
    said[0:4, 2] = said[1:3, 1] = 1
    for each in (right, said):
        each[:, 0] = each[:, 1:].sum(1) == 0
    ours = scores(gold, found)
    assert ours["token_with_o"].classes == tuple(classes)
    for average in AVERAGES:
        theirs = f1_score(right, said, average=average, zero_division=0)
        assert ours["token_with_o"].figures(average).f1 == pytest.approx(theirs)
        theirs = f1_score(right[:, 1:], said[:, 1:], average=average, zero_division=0)
        assert ours["token"].figures(average).f1 == pytest.approx(theirs)


# ---------------------------------------------------------------------------------------------------------------------
# Laws

spans = st.lists(st.integers(0, len(TEXT)), min_size=2, max_size=6, unique=True).map(
    lambda cuts: tuple(zip(sorted(cuts)[0::2], sorted(cuts)[1::2], strict=False))
)
entity_lists = st.lists(st.builds(Entity, spans, st.sampled_from(LABELS)), max_size=6)
corpora = st.lists(st.tuples(entity_lists, entity_lists), min_size=1, max_size=5)


def scored(corpus: Sequence[tuple[str, Sequence[Entity], Sequence[Entity]]]) -> dict[str, Score]:
    return score(
        [Document(name, TEXT, tuple(gold)) for name, gold, _ in corpus],
        {name: found for name, _, found in corpus},
    )


@given(corpora)
def test_strict_is_lowest_and_overlap_of_any_label_highest(corpus: list[tuple[list[Entity], list[Entity]]]) -> None:
    found = scored([(f"d{place}", *pair) for place, pair in enumerate(corpus)])
    f1 = {name: each.figures().f1 for name, each in found.items()}
    assert f1["strict"] <= f1["exact_span"] <= f1["overlap_span"]
    assert f1["strict"] <= f1["overlap"] <= f1["overlap_span"]
    for name in ("strict", "exact_span", "overlap", "overlap_span"):
        tp, fp, fn = found[name].by_document()
        assert (tp + fn).tolist() == [len({(one.spans, one.label) for one in gold}) for gold, _ in corpus]
        assert (tp + fp).tolist() == [len({(one.spans, one.label) for one in said}) for _, said in corpus]


@given(corpora, st.randoms())
def test_the_order_of_documents_and_of_entities_changes_nothing(
    corpus: list[tuple[list[Entity], list[Entity]]], random: Random
) -> None:
    named = [(f"d{place}", *pair) for place, pair in enumerate(corpus)]
    mixed = [(name, random.sample(gold, len(gold)), random.sample(said, len(said))) for name, gold, said in named]
    random.shuffle(mixed)
    one, other = scored(named), scored(mixed)
    for average in AVERAGES:
        assert [each.figures(average) for each in one.values()] == [each.figures(average) for each in other.values()]
    assert [each.by_class() for each in one.values()] == [each.by_class() for each in other.values()]


@given(st.lists(entity_lists, min_size=1, max_size=5))
def test_a_perfect_prediction_is_one_under_every_scorer(gold: list[list[Entity]]) -> None:
    found = scored([(f"d{place}", each, each) for place, each in enumerate(gold)])
    for each in found.values():
        if each.figures().support:
            for average in AVERAGES:
                assert each.figures(average) == Figures(1.0, 1.0, 1.0, each.figures().support)
    assert all(found[name].figures().support == found["strict"].figures().support for name in list(found)[:4])


@given(corpora)
def test_what_the_bootstrap_draws_from_adds_up_to_the_score(corpus: list[tuple[list[Entity], list[Entity]]]) -> None:
    for each in scored([(f"d{place}", *pair) for place, pair in enumerate(corpus)]).values():
        for average in AVERAGES:
            figure = each.figures(average).f1
            assert np.nan_to_num(each.measure(average).value) == pytest.approx(figure)


# ---------------------------------------------------------------------------------------------------------------------
# Bad input


def test_predictions_that_are_not_of_these_documents() -> None:
    gold = documents([entity("DISO", (2, 5))], [])
    with pytest.raises(TaskError, match=r"1 of 2 documents have no predictions, such as 'd1'"):
        entity_scores(gold, {"d0": []})
    with pytest.raises(TaskError, match=r"predictions of 1 unknown documents, such as 'd9'"):
        entity_scores(gold, {"d0": [], "d1": [], "d9": []})
    with pytest.raises(TaskError, match=r"'d0'"):
        entity_scores([*gold, *gold], {"d0": [], "d1": []})


# ---------------------------------------------------------------------------------------------------------------------
# Classes


def test_one_label_a_document_is_scikit_learn() -> None:
    random = Random(3)
    gold = random.choices(["case", "study", "review"], k=60)
    said = [one if random.random() < 0.7 else random.choice(["case", "study", "other"]) for one in gold]
    found = single_label([str(place) for place in range(60)], gold, said)
    assert found.measures["accuracy"].value == pytest.approx(accuracy_score(gold, said))
    for average in AVERAGES:
        theirs = f1_score(gold, said, average=average, zero_division=0)
        assert found.labels.figures(average).f1 == pytest.approx(theirs)


def test_no_answer_is_wrong() -> None:
    found = single_label(["1", "2"], ["case", "study"], ["case", None])
    assert found.measures["accuracy"].value == 0.5
    assert found.labels.figures("macro") == Figures(0.5, 0.5, 0.5, 2)


def test_several_labels_a_document_are_scikit_learn() -> None:
    random = Random(5)
    labels = ["cardiologie", "chirurgie", "neurologie", "virologie"]
    right = np.array([[random.random() < 0.4 for _ in labels] for _ in range(50)])
    wrong = np.array([[random.random() < 0.2 for _ in labels] for _ in range(50)])
    gold, said = (
        [{label for label, has in zip(labels, row, strict=True) if has} for row in side]
        for side in (right, right ^ wrong)
    )
    found = multi_label([str(place) for place in range(50)], gold, said, labels)
    for average in AVERAGES:
        theirs = f1_score(right, right ^ wrong, average=average, zero_division=0)
        assert found.labels.figures(average).f1 == pytest.approx(theirs)
    assert found.measures["exact_match"].value == pytest.approx(accuracy_score(right, right ^ wrong))
    assert found.measures["hamming"].value == pytest.approx(1 - hamming_loss(right, right ^ wrong))
    with pytest.raises(TaskError, match="'dermatologie' is not one of the task's"):
        multi_label(["1"], [{"virologie"}], [{"dermatologie"}], labels)


def test_several_labels_by_hand() -> None:
    found = multi_label(["1", "2"], [{"a", "b"}, set()], [{"a"}, set()], ["a", "b", "c", "d"])
    assert found.measures["exact_match"].by_unit.tolist() == [0.0, 1.0]
    assert found.measures["hamming"].by_unit.tolist() == [0.75, 1.0]
    assert found.labels.figures() == Figures(1.0, 0.5, pytest.approx(2 / 3), 2)
    # Labels that nobody has do not count as zero in the mean.
    assert found.labels.figures("macro").f1 == 0.5


def test_multiple_choice_by_hand() -> None:
    gold = [{"a"}, {"a", "c"}, {"b", "d", "e"}, {"e"}]
    said = [{"a"}, {"a", "b"}, {"b", "d"}, set()]
    found = multiple_choice(["1", "2", "3", "4"], gold, said)
    assert found.measures["exact_match"].value == 0.25
    assert found.measures["hamming"].by_unit.tolist() == [1.0, 1 / 3, 2 / 3, 0.0]
    matrices = [[[letter in one for letter in "abcde"] for one in side] for side in (gold, said)]
    assert found.measures["hamming"].value == pytest.approx(jaccard_score(*matrices, average="samples"))
