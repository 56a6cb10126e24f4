"""The baseline that looks up what is annotated in train: by hand, and on QUAERO."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from corpuskit.evaluate import tasks
from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.records import Document, Entity, Outcome, Split
from corpuskit.evaluate.scoring import scored
from corpuskit.evaluate.systems.dictionary import Dictionary, Lexicon
from corpuskit.evaluate.tasks import Data, Task

OUTERMOST = Protocol(name="test", steps=1, policy="outermost")


def task(kind: str, **more: Any) -> Task:
    return Task(
        name="test", kind=kind, title="t", source="s", licence="l", loader={"format": "brat"},
        parts={"train": "a", "dev": "b", "test": "c"}, **more,
    )  # fmt: skip


def document(id: str, text: str, *entities: tuple[str, str], **more: Any) -> Document:
    """Entities by their words: where they first stand."""
    places = [(text.index(quote), quote, label) for quote, label in entities]
    return Document(id, text, tuple(Entity(((at, at + len(quote)),), label) for at, quote, label in places), **more)


def run(of: Task, train: list[Document], test: list[Document], protocol: Protocol = OUTERMOST) -> Outcome:
    splits = (Split(tuple(documents), Counter()) for documents in (train, train, test))
    return Dictionary().run(of, Data(*splits, labels=()), protocol, 1, lambda line: None)


def said(outcome: Outcome, document: Document) -> list[tuple[str, str]]:
    return [(document.text[one.start : one.end], one.label) for one in outcome.answers[document.id].entities]


TRAIN = [
    document("1", "Un cancer du sein.", ("cancer du sein", "DISO"), ("sein", "ANAT")),
    document("2", "Le sein, l'aspirine.", ("sein", "ANAT"), ("l'aspirine", "CHEM")),
    document("3", "Une masse au foie, une masse, la masse.", ("foie", "ANAT"), ("masse", "DISO")),
]
TEST = document("4", "CANCER DU  SEIN ; sein, l’aspirine, seins ; une masse")


def test_the_longest_words_are_found_with_their_label() -> None:
    outcome = run(task("spans"), TRAIN, [TEST])
    # "masse" is no entity two times of three.
    assert said(outcome, TEST) == [("CANCER DU  SEIN", "DISO"), ("sein", "ANAT"), ("l’aspirine", "CHEM")]
    assert outcome.told["share"] == 0.5
    assert outcome.told["surfaces"] == 5
    assert [line["share"] for line in outcome.told["dev"]] == [0.5, 0.25, 0.1, 0.0, 0.75, 0.9]


def test_the_policy_is_that_of_gold() -> None:
    nested = run(task("spans"), TRAIN, [TEST], Protocol(name="test", steps=1, policy="nested"))
    assert said(nested, TEST)[:2] == [("CANCER DU  SEIN", "DISO"), ("SEIN", "ANAT")]
    glued = run(task("spans"), TRAIN, [TEST], Protocol(name="test", steps=1, policy="concatenated"))
    assert said(glued, TEST)[:2] == [("CANCER DU", "DISO"), ("SEIN", "ANAT_DISO")]


def test_within_a_longer_entity_words_are_not_counted_as_no_entity() -> None:
    lexicon = Lexicon(
        [document("1", "cancer du sein", ("cancer du sein", "DISO")), document("2", "sein", ("sein", "A"))]
    )
    assert [(one.start, one.label) for one in lexicon.find("Le sein", 1.0)] == [(3, "A")]


def test_the_label_is_the_most_frequent() -> None:
    train = [document(str(number), "un test", ("test", label)) for number, label in enumerate("ABB")]
    assert said(run(task("spans"), train, [document("x", "test")]), document("x", "test")) == [("test", "B")]


def test_what_begins_inside_a_word_is_counted() -> None:
    outcome = run(task("spans"), [document("1", "hypertension et toux", ("tension", "A"), ("toux", "A"))], [TEST])
    assert outcome.told["lost"] == {"begins or ends inside a word": 1}


@given(st.lists(st.tuples(st.text(alphabet="ab ", max_size=8), st.sampled_from("AB")), max_size=6), st.floats(0, 1))
def test_what_is_found_stands_in_train_and_does_not_overlap(some: list[tuple[str, str]], share: float) -> None:
    documents = [document(str(at), f"x {text} x", (f"x {text} x", label)) for at, (text, label) in enumerate(some)]
    lexicon = Lexicon(documents)
    text = " ".join(f"{one.text}." for one in documents)
    found = list(lexicon.find(text, share))
    assert all(one.end <= other.start for one, other in pairwise(found))
    surfaces = {" ".join(one.text.split()) for one in documents}
    assert {" ".join(text[one.start : one.end].split()) for one in found} <= surfaces
    assert len(found) == len(documents) or share > 0


def labelled(id: str, *labels: str, **more: Any) -> Document:
    return Document(id, "La souris mange.", labels=labels, **more)


def test_the_most_frequent_set_of_labels() -> None:
    train = [labelled("1", "a"), labelled("2", "b", "a"), labelled("3", "a", "b")]
    outcome = run(task("labels", several=True), train, [labelled("4", "c")])
    assert outcome.answers["4"].labels == ("a", "b")


SENSES = (("mouse", "un animal"), ("device", "un appareil"))


def test_the_most_frequent_sense_of_a_word_otherwise_the_first_choice() -> None:
    train = [
        labelled("1", "device", choices=SENSES, focus=(3, 9)),
        labelled("2", "device", choices=SENSES, focus=(3, 9)),
        labelled("3", "mouse", choices=SENSES, focus=(3, 9)),
        *[Document(f"e{number}", "Il mange.", labels=("eat",), choices=(("eat", ""),)) for number in range(5)],
    ]
    test = [
        Document("5", "SOURIS", choices=SENSES, focus=(0, 6)),
        Document("6", "un chat", choices=(("cat", ""), ("chat", "")), focus=(3, 7)),
    ]
    outcome = run(task("choice"), train, test)
    assert [outcome.answers[one.id].labels for one in test] == [("device",), ("cat",)]


def test_the_most_frequent_answers_to_questions() -> None:
    letters = tuple((letter, f"réponse {letter}") for letter in "abcde")
    train = [labelled("1", "a", "c", choices=letters), labelled("2", "c", "a", choices=letters)]
    train.append(labelled("3", "b", choices=letters))
    outcome = run(task("choice", several=True), train, [labelled("4", choices=letters)])
    assert outcome.answers["4"].labels == ("a", "c")


def test_quaero(real_data: Path) -> None:
    of = task("spans", data="quaero/quaero_train_dev_brat.tar.gz").model_copy(
        update={"parts": {"train": "train/MEDLINE", "dev": tasks.Cut(of="train", share=20), "test": "dev/MEDLINE"}}
    )
    data = tasks.read(of, real_data)
    outcome = Dictionary().run(of, data, OUTERMOST, 1, lambda line: None)
    measures = scored(of, OUTERMOST, data.test.documents, outcome.answers).measures
    assert 0.30 < measures["strict"].value < 0.40
    assert measures["token_with_o"].value > 0.7
