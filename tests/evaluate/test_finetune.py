"""Encoders learn a handful of texts by heart, and give back what is annotated in them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from corpuskit.evaluate import tokens
from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.records import Answer, Document, Entity, Outcome, Split, TaskError
from corpuskit.evaluate.scoring import scored
from corpuskit.evaluate.systems import batches, finetune, heads
from corpuskit.evaluate.systems.batches import Reading, batch, rows
from corpuskit.evaluate.systems.finetune import Encoder, Tagger, Training, drawn, open_encoder, packs
from corpuskit.evaluate.systems.heads import Tokens, head_of, pieces
from corpuskit.evaluate.tasks import Data, Task

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
LETTERS = "abcdefghijklmnopqrstuvwxyzéèêàçôîûABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?()'«»-"
WORDS = ["le", "la", "du", "et", "une", "fièvre", "toux", "cancer", "sein", "aspirine", "prend", "patient", "rein"]
VOCABULARY = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]
SIZES: dict[str, Any] = {
    "vocab_size": len(VOCABULARY), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 66, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
    "cls_token_id": 0, "sep_token_id": 2, "initializer_range": 0.1,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "camembert": {}, "roberta": {}, "bert": {"type_vocab_size": 2},
    "modernbert": {"local_attention": 8, "num_hidden_layers": 3, "global_attn_every_n_layers": 3},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
}  # fmt: skip


def tokenizer_of(**options: Any) -> PreTrainedTokenizerFast:
    """Some words whole, all others letter by letter."""
    numbers = {token: number for number, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", mask_token="<mask>", **options,
    )  # fmt: skip


def model_of(kind: str = "camembert") -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        known = AutoConfig.for_model(kind, **(SIZES | KINDS[kind]))
        return AutoModel.from_config(known).eval()


def encoder_of(kind: str = "camembert") -> Encoder:
    return Encoder(kind, model_of(kind), tokenizer_of(), device="cpu")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return encoder_of()


def task_of(kind: str, **options: Any) -> Task:
    return Task.model_validate(
        {
            "name": "small", "kind": kind, "title": "small", "source": "made", "licence": "CC0",
            "loader": {"format": "brat"}, "parts": {"train": "train", "dev": "dev", "test": "test"},
        } | options
    )  # fmt: skip


def data_of(train: Sequence[Document], test: Sequence[Document] | None = None) -> Data:
    """The same documents in train and dev, and in test unless there are others."""
    learnt, asked = Split(tuple(train), {}), Split(tuple(train if test is None else test), {})
    return Data(learnt, learnt, asked, tuple(learnt.labels))


def protocol_of(**options: Any) -> Protocol:
    usual = {"learning_rate": 5e-3, "batch_size": 4, "looks": 4, "warmup": 0.1}
    return Protocol.model_validate(
        {"name": "small"} | usual | ({"steps": 60} if "epochs" not in options else {}) | options
    )


def document(id: str, text: str, *entities: tuple[str, str], **options: Any) -> Document:
    """A document with entities that are the first place of some words each."""
    found = [Entity(((text.index(words), text.index(words) + len(words)),), label) for words, label in entities]
    return Document(id, text, tuple(found), **options)


SENTENCES = [
    document("1", "Le patient prend du doliprane. La toux aiguë dure.", ("doliprane", "CHEM"), ("toux aiguë", "DISO")),
    document("2", "Une fièvre et un cancer du sein.", ("fièvre", "DISO"), ("cancer du sein", "DISO")),
    document("3", "L'aspirine, 3 fois. 20 mg.", ("aspirine", "CHEM")),
]  # fmt: skip


def strict(task: Task, protocol: Protocol, data: Data, outcome: Outcome) -> float:
    return scored(task, protocol, data.test.documents, outcome.answers).measures["strict"].value


# ---------------------------------------------------------------------------------------------------------------------
# Spans


@pytest.mark.parametrize("unit", ["sentence", "line", "document"])
def test_entities_are_learnt_by_heart(encoder: Encoder, unit: str) -> None:
    task, data, protocol = task_of("spans"), data_of(SENTENCES), protocol_of(unit=unit)
    lines: list[dict[str, Any]] = []
    outcome = encoder.run(task, data, protocol, 1, lines.append)
    assert {name: answer.entities for name, answer in outcome.answers.items()} == {
        one.id: one.entities for one in SENTENCES
    }
    assert strict(task, protocol, data, outcome) == 1.0
    assert outcome.told["steps"] == 60
    assert [one["step"] for one in outcome.told["dev"]] == [15, 30, 45, 60]
    assert outcome.told["pieces"]["train"] == {"sentence": 5, "line": 3, "document": 3}[unit]
    assert [line["step"] for line in lines if line["kind"] == "look"] == [15, 30, 45, 60]
    assert {line["step"] for line in lines if line["kind"] == "step"} == set(range(1, 61))


def test_a_model_whose_attention_takes_no_such_mask_learns_too() -> None:
    encoder = encoder_of("deberta-v2")
    task, data, protocol = task_of("spans"), data_of(SENTENCES), protocol_of(steps=100)
    assert encoder.told["packed"] is False
    assert strict(task, protocol, data, encoder.run(task, data, protocol, 1)) == 1.0


def test_what_is_longer_than_the_limit_is_found_across_windows(encoder: Encoder) -> None:
    text = "le patient et la toux du sein du rein prend " * 20
    starts = [found.start() for found in re.finditer("toux du sein du rein", text)]
    long = Document("1", text, tuple(Entity(((start, start + 20),), "DISO") for start in starts))
    tokens_of_it = encoder.tokens([long])[0]
    windows = tokens.windows(len(tokens_of_it), encoder.told["limit"] - 2, 20)
    edges = {tokens_of_it[place][0] for window in windows for place in window if place < len(tokens_of_it)}
    assert any(entity.start < edge < entity.end for entity in long.entities for edge in edges)
    task, data, protocol = task_of("spans"), data_of([long]), protocol_of(unit="document", overlap=20)
    outcome = encoder.run(task, data, protocol, 1)
    assert outcome.told["pieces"]["train"] == len(windows) > 2
    assert outcome.answers["1"].entities == long.entities


def test_each_token_of_a_long_text_is_asked_for_once(encoder: Encoder) -> None:
    text = "fièvre toux " * 60
    whole = document("1", text, ("fièvre", "DISO"))
    task, data = task_of("spans"), data_of([whole])
    head = head_of(task, data, protocol_of(unit="document"), encoder._tokens, 16)
    examples = head.read([whole], "test")
    assert max(map(len, examples)) <= 16
    assert sum(len(example.readings[0].places) for example in examples) == 120


def test_nested_entities_come_back_from_their_layers(encoder: Encoder) -> None:
    nested = [
        document("1", "un cancer du sein gauche", ("cancer du sein gauche", "DISO"), ("sein gauche", "ANAT")),
        document("2", "une toux du rein", ("toux du rein", "DISO"), ("rein", "ANAT")),
    ]
    task, data, protocol = task_of("spans"), data_of(nested), protocol_of(policy="nested")
    outcome = encoder.run(task, data, protocol, 1)
    assert [set(outcome.answers[one.id].entities) for one in nested] == [set(one.entities) for one in nested]
    assert strict(task, protocol, data, outcome) == 1.0
    kept = encoder.run(task, data, protocol_of(policy="outermost"), 1)
    assert [len(answer.entities) for answer in kept.answers.values()] == [1, 1]
    assert kept.told["lost"]["test"] == {"annotated": 4, "kept": 2, "nested": 2}


def test_groups_of_labels_share_a_layer(encoder: Encoder) -> None:
    task = task_of("spans", layers={"DISO": "clinical", "CHEM": "clinical", "ANAT": "body"}, policy="nested")
    data = data_of([*SENTENCES, document("4", "le rein", ("rein", "ANAT"))])
    head = head_of(task, data, protocol_of(), encoder._tokens, 64)
    assert isinstance(head, heads.Spans)
    assert head.tags == {
        "body": ["O", "B-ANAT", "I-ANAT"],
        "clinical": ["O", "B-CHEM", "I-CHEM", "B-DISO", "I-DISO"],
    }
    assert head.outputs == 8
    others = task_of("spans", layers={"ANAT": "body", "*": "rest"}, policy="nested")
    head = head_of(others, data, protocol_of(), encoder._tokens, 64)
    assert isinstance(head, heads.Spans)
    assert head.tags["rest"] == ["O", "B-CHEM", "I-CHEM", "B-DISO", "I-DISO"]


def test_glued_labels_are_those_of_train(encoder: Encoder) -> None:
    glued = document("1", "un cancer du sein gauche", ("cancer du sein gauche", "DISO"), ("sein gauche", "ANAT"))
    other = document("2", "un cancer du rein", ("cancer", "ANAT"), ("cancer du rein", "CHEM"))
    task, data = task_of("spans"), data_of([glued], [other])
    protocol = protocol_of(policy="concatenated", steps=40)
    outcome = encoder.run(task, data_of([glued]), protocol, 1)
    assert [entity.label for entity in outcome.answers["1"].entities] == ["DISO", "ANAT_DISO"]
    head = head_of(task, data, protocol, encoder._tokens, 64)
    head.read([other], "test")
    assert head.counted()["lost"]["test"]["label that train does not have"] == 2


def test_what_cannot_be_learnt_is_counted_and_stays_in_the_gold(encoder: Encoder) -> None:
    text = "Une fièvre. Un cancer du sein\ngauche. Pneumo-rein et hypertoux"
    lost = Document("1", text, (
        Entity(((4, 10),), "DISO"),
        Entity(((15, 21), (30, 36)), "DISO"),
        Entity(((25, 36),), "ANAT"),
        Entity(((text.index("toux"), len(text)),), "DISO"),
    ))  # fmt: skip
    task, protocol = task_of("spans"), protocol_of()
    data = data_of([lost])
    outcome = encoder.run(task, data, protocol, 1)
    expected = {
        "annotated": 4, "kept": 3, "discontinuous": 1, "begins or ends inside a word": 1,
        "goes over the end of a sentence": 1,
    }  # fmt: skip
    assert outcome.told["lost"] == {"train": expected, "dev": expected, "test": expected}
    assert outcome.answers["1"].entities[0] == lost.entities[0]
    measures = scored(task, protocol, [lost], outcome.answers).measures
    assert measures["strict"].value == pytest.approx(2 / (2 + 3))  # the word with the entity inside is a wrong one
    assert measures["strict_all"].below.sum() == 2 + 4


def test_texts_without_words_are_answered(encoder: Encoder) -> None:
    data = data_of(SENTENCES, [Document("empty", ""), Document("white", " \n "), SENTENCES[1]])
    outcome = encoder.run(task_of("spans"), data, protocol_of(), 1)
    assert outcome.answers["empty"].entities == outcome.answers["white"].entities == ()
    assert outcome.answers["2"].entities == SENTENCES[1].entities


@pytest.mark.parametrize(
    ("unit", "found"),
    [
        ("document", ["Le Dr. dit : 3.5 mg. Puis… Non !  \n fin.\r\n\r\n2 x"]),
        ("line", ["Le Dr. dit : 3.5 mg. Puis… Non !", "fin.", "2 x"]),
        ("sentence", ["Le Dr. dit : 3.5 mg.", "Puis…", "Non !", "fin.", "2 x"]),
    ],
)
def test_pieces_of_a_text(unit: str, found: list[str]) -> None:
    text = "  Le Dr. dit : 3.5 mg. Puis… Non !  \n fin.\r\n\r\n2 x "
    assert [text[start:end] for start, end in pieces(text, unit)] == found


@given(st.text("aÉ1.!…  \n\r\u0301-", max_size=40), st.sampled_from(["document", "line", "sentence"]))
def test_pieces_hold_every_word_whole(text: str, unit: str) -> None:
    found = pieces(text, unit)
    assert all(start < end for start, end in found)
    assert all(end <= start for (_, end), (start, _) in pairwise(found))
    for start, end in tokens.words(text):
        assert sum(first <= start and end <= last for first, last in found) == 1


# ---------------------------------------------------------------------------------------------------------------------
# Labels and choices

TEXTS = [
    Document("1", "le patient prend une aspirine", labels=("pharma",)),
    Document("2", "une toux et une fièvre", labels=("clinic",)),
    Document("3", "cancer du sein", labels=("onco",)),
    Document("4", "cancer du rein", labels=("onco",)),
]


def test_one_label_is_learnt_by_heart(encoder: Encoder) -> None:
    outcome = encoder.run(task_of("labels"), data_of(TEXTS), protocol_of(), 1)
    assert {name: answer.labels for name, answer in outcome.answers.items()} == {one.id: one.labels for one in TEXTS}
    assert outcome.told["dev"][-1]["value"] == 1.0


def test_several_labels_are_learnt_by_heart_and_none_at_all(encoder: Encoder) -> None:
    several = [
        Document("1", "le patient prend une aspirine", labels=("clinic", "pharma")),
        Document("2", "une toux et une fièvre", labels=("clinic",)),
        Document("3", "le et la", labels=()),
        Document("4", "", labels=("onco",)),
    ]
    outcome = encoder.run(task_of("labels", several=True), data_of(several), protocol_of(steps=120), 1)
    assert {name: answer.labels for name, answer in outcome.answers.items()} == {one.id: one.labels for one in several}


def test_a_text_too_long_is_read_from_its_beginning(encoder: Encoder) -> None:
    long = Document("1", "toux " * 100, labels=("clinic",))
    task, data = task_of("labels"), data_of([long, *TEXTS[1:]])
    head = head_of(task, data, protocol_of(), encoder._tokens, 32)
    read = head.read(data.train.documents, "train")
    toux = VOCABULARY.index("toux")
    assert read[0].readings[0].ids.tolist() == [0, *[toux] * 30, 2]
    assert head.counted() == {"truncated": {"train": 1}}


def test_two_labels_where_there_is_one(encoder: Encoder) -> None:
    wrong = Document("1", "toux", labels=("clinic", "onco"), where="data.csv: line 7")
    with pytest.raises(TaskError, match=r"data\.csv: line 7: 2 labels where .* set `several: true`"):
        encoder.run(task_of("labels"), data_of([wrong, *TEXTS[1:]]), protocol_of(), 1)


def test_a_label_that_the_task_has_not(encoder: Encoder) -> None:
    data = Data(*[Split(tuple(TEXTS), {})] * 3, labels=("pharma", "clinic"))
    with pytest.raises(TaskError, match="3: the label 'onco' is not one of the task's: pharma, clinic"):
        encoder.run(task_of("labels"), data, protocol_of(), 1)


SENSES = (("organ", "rein malade"), ("drug", "prend aspirine"))
QUESTIONS = [
    Document("1", "toux", labels=("organ",), choices=SENSES),
    Document("2", "fièvre", labels=("drug",), choices=SENSES),
    Document("3", "cancer", labels=("drug",), choices=(*SENSES, ("both", "le la du"))),
]


@pytest.mark.parametrize("kind", ["camembert", "bert"])
def test_the_right_choice_is_learnt_by_heart(kind: str) -> None:
    outcome = encoder_of(kind).run(task_of("choice"), data_of(QUESTIONS), protocol_of(steps=120), 1)
    assert {name: answer.labels for name, answer in outcome.answers.items()} == {
        one.id: one.labels for one in QUESTIONS
    }


def test_several_choices_and_the_best_where_none_is_right(encoder: Encoder) -> None:
    several = [
        Document("1", "toux", labels=("organ", "drug"), choices=SENSES),
        Document("2", "fièvre", labels=("drug",), choices=SENSES),
    ]
    task, data = task_of("choice", several=True), data_of(several)
    outcome = encoder.run(task, data, protocol_of(steps=120), 1)
    assert [set(outcome.answers[one.id].labels) for one in several] == [{"organ", "drug"}, {"drug"}]
    head = head_of(task, data, protocol_of(), encoder._tokens, 64)
    examples = head.read(several, "test")
    said = head.say(torch.tensor([[-1.0], [2.0], [-2.0], [-1.0]]), examples)
    assert [one.tolist() for one in said] == [[1], [1]]


def test_a_choice_always_fits_and_the_text_is_cut_from_its_end(encoder: Encoder) -> None:
    asked = Document("1", "toux " * 40, labels=("organ",), choices=SENSES)
    head = head_of(task_of("choice"), data_of([asked]), protocol_of(), encoder._tokens, 20)
    first, second = head.read([asked], "test")[0].readings
    toux, prend, aspirine = (VOCABULARY.index(word) for word in ("toux", "prend", "aspirine"))
    assert len(first) == len(second) == 20
    assert second.ids.tolist() == [0, *[toux] * 14, 2, 2, prend, aspirine, 2]
    assert head.counted() == {"truncated": {"test": 2}}


def test_the_focus_is_marked_and_read_wherever_it_is(encoder: Encoder) -> None:
    text = "le rein et la toux"
    asked = Document("1", text, labels=("organ",), choices=SENSES, focus=(3, 7))
    head = head_of(task_of("choice"), data_of([asked]), protocol_of(), encoder._tokens, 64)
    ids = head.read([asked], "test")[0].readings[1].ids
    assert encoder._tokens.tokenizer.decode(ids) == "<s> le « rein » et la toux </s> </s> prend aspirine </s>"
    late = Document("2", "toux " * 40 + "rein et", labels=("organ",), choices=SENSES, focus=(200, 204))
    ids = head_of(task_of("choice"), data_of([late]), protocol_of(), encoder._tokens, 16).read([late], "test")
    shown = encoder._tokens.tokenizer.decode(ids[0].readings[1].ids)
    assert shown == "<s> toux toux toux toux toux toux toux « rein » </s> </s> prend aspirine </s>"


def test_two_words_that_differ_in_the_focus_alone_are_told_apart(encoder: Encoder) -> None:
    text = "le rein et la toux"
    two = [
        Document("1", text, labels=("organ",), choices=SENSES, focus=(3, 7)),
        Document("2", text, labels=("drug",), choices=SENSES, focus=(14, 18)),
    ]
    outcome = encoder.run(task_of("choice"), data_of(two), protocol_of(steps=120), 1)
    assert [outcome.answers[one.id].labels for one in two] == [("organ",), ("drug",)]


def test_a_model_that_knows_two_texts_is_told_which_is_which() -> None:
    reading = Tokens(tokenizer_of(), typed=True).two([10, 11], [12])
    assert reading.ids.tolist() == [0, 10, 11, 2, 2, 12, 2]
    assert reading.types.tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert not Tokens(tokenizer_of(), typed=False).two([10], [12]).types.any()


# ---------------------------------------------------------------------------------------------------------------------
# Packing


def readings_of(*lengths: int) -> list[Reading]:
    chance = torch.Generator().manual_seed(1)
    ids = [torch.randint(5, len(VOCABULARY), (length,), generator=chance).numpy() for length in lengths]
    return [Reading(one, one * 0, one[:2] * 0 + [0, len(one) - 1]) for one in ids]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "deberta-v2"])
def test_packed_texts_are_read_as_alone(kind: str) -> None:
    model = model_of(kind)
    assert packs(model, 1)
    together, apart = (Tagger(model, 5, packed, False).eval() for packed in (True, False))
    apart.head.load_state_dict(together.head.state_dict())
    readings = readings_of(20, 31, 9, 60, 3)
    with torch.inference_mode():
        packed = together(batch(readings, True, 1))
        padded = apart(batch(readings, False, 1))
        alone = torch.cat([apart(batch([reading], False, 1)) for reading in readings])
    assert torch.allclose(packed, alone, atol=1e-5)
    assert torch.allclose(padded, alone, atol=1e-5)


def test_deberta_is_not_packed_and_reads_padded_texts_as_alone() -> None:
    model = model_of("deberta-v2")
    assert not packs(model, 1)
    tagger, readings = Tagger(model, 5, False, False).eval(), readings_of(20, 31, 9)
    with torch.inference_mode():
        alone = torch.cat([tagger(batch([reading], False, 1)) for reading in readings])
        assert torch.allclose(tagger(batch(readings, False, 1)), alone, atol=1e-5)


def test_the_longest_texts_take_rows_and_the_short_ones_what_is_left() -> None:
    assert rows([3, 9, 6, 1, 4, 2], 10) == [[1, 3], [2, 4], [0, 5]]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_every_text_is_in_one_row(lengths: list[int]) -> None:
    found = rows(lengths, 30)
    assert sorted(number for row in found for number in row) == list(range(len(lengths)))
    assert all(0 < sum(lengths[number] for number in row) <= 30 for row in found)


def test_places_are_asked_for_in_the_order_of_the_texts() -> None:
    readings = readings_of(3, 100, 40)
    made = batch(readings, True, 1)
    assert made.ids.shape == (2, 103)
    asked = made.ids.flatten()[made.places].tolist()
    assert asked == [int(one.ids[place]) for one in readings for place in (0, -1)]
    assert made.positions[made.document >= 0].max() == 99
    assert (made.ids[made.document < 0] == 1).all()


# ---------------------------------------------------------------------------------------------------------------------
# Steps


def training_of(encoder: Encoder, **options: Any) -> Training:
    task, data, protocol = task_of("spans"), data_of(SENTENCES), protocol_of(**options)
    head = head_of(task, data, protocol, encoder._tokens, 64)
    examples = head.read(data.train.documents, "train")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = Tagger(model_of(), head.outputs, True, False)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return Training(model, head, examples, protocol, 1, 1, True, encoder._autocast)


def test_a_step_is_the_same_in_one_go_or_in_parts(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [loss.item() for _, losses in training_of(encoder, steps=6) for loss in losses[-1:]]
    monkeypatch.setitem(finetune.PLACES, "cpu", 20)
    parts = training_of(encoder, steps=6)
    assert [loss.item() for _, losses in parts for loss in losses[-1:]] == pytest.approx(whole, rel=1e-4)
    assert parts.pieces == 6 * 4


def test_steps_of_epochs(encoder: Encoder) -> None:
    assert training_of(encoder, epochs=3).steps == 4  # 5 sentences, 4 a step
    assert training_of(encoder, epochs=0.1).steps == 1


def test_no_text_comes_again_before_all_the_others() -> None:
    numbers = drawn(5, 1)
    first, second = [next(numbers) for _ in range(5)], [next(numbers) for _ in range(5)]
    assert sorted(first) == sorted(second) == [0, 1, 2, 3, 4]
    assert first != second


def test_a_seed_is_a_run_and_leaves_no_trace(encoder: Encoder) -> None:
    task, data, protocol = task_of("spans"), data_of(SENTENCES), protocol_of(steps=20)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    runs = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        lines: list[dict[str, Any]] = []
        runs[name] = encoder.run(task, data, protocol, seed, lines.append).answers, lines
    assert runs["one"] == runs["again"]
    assert runs["one"][1] != runs["other"][1]
    assert torch.equal(torch.get_rng_state(), before)


def test_the_first_of_the_best_checkpoints_is_taken(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.7, 0.7, 0.2, 0.1])
    monkeypatch.setattr(finetune, "_headline", lambda *of: next(values))
    task, data = task_of("spans"), data_of(SENTENCES)
    best = encoder.run(task, data, protocol_of(steps=40, schedule="constant"), 1)
    assert best.told["chosen_step"] == 10
    assert [one["value"] for one in best.told["dev"]] == [0.7, 0.7, 0.2, 0.1]
    # The weights of that step, whatever came after: with as many steps of warming up as above.
    first = encoder.run(task, data, protocol_of(steps=10, schedule="constant", selection="last", warmup=0.4), 1)
    last = encoder.run(task, data, protocol_of(steps=40, schedule="constant", selection="last"), 1)
    assert (first.told["chosen_step"], first.told["dev"]) == (10, [])
    assert best.answers == first.answers != last.answers


def test_the_protocol_says_what_is_best_on_dev() -> None:
    entity, shorter = Entity(((0, 11),), "DISO"), Entity(((0, 6),), "DISO")
    documents = [Document("1", "fièvre aiguë et toux sèche", (entity,)), Document("2", "rien", ())]
    missed, touched = ({"1": Answer(some), "2": Answer()} for some in ((), (shorter,)))
    task = task_of("spans")

    def best(answers: dict[str, Answer], **options: Any) -> float:
        return finetune._headline(task, protocol_of(**options), documents, documents, answers)

    assert best(missed) == best(touched) == 0.0
    # six words in all, two of them of an entity
    assert best(missed, select_by="token_with_o") == pytest.approx(4 / 6)
    assert best(touched, select_by="token_with_o") == pytest.approx(5 / 6)
    assert best(touched, select_by="overlap") == 1.0


def test_a_loss_that_is_no_number(encoder: Encoder) -> None:
    with pytest.raises(TaskError, match=r"camembert, task small, seed 1: the loss is .* lower `learning_rate`"):
        encoder.run(task_of("spans"), data_of(SENTENCES), protocol_of(learning_rate=1e38), 1)


def test_too_little_memory(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*of: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Tagger, "forward", full)
    with pytest.raises(TaskError, match="memory of cpu does not suffice for 4 texts of 512 tokens: lower `length`"):
        encoder.run(task_of("spans"), data_of(SENTENCES), protocol_of(), 1)


# ---------------------------------------------------------------------------------------------------------------------
# Opening


def saved(folder: Path, **options: Any) -> Path:
    model_of().save_pretrained(folder)
    tokenizer_of(**options).save_pretrained(folder)
    return folder


def test_a_folder_and_a_run_of_pretraining_are_opened(tmp_path: Path) -> None:
    saved(tmp_path / "run" / "model", model_max_length=48)
    told = [open_encoder(path).told for path in (tmp_path / "run", tmp_path / "run" / "model")]
    size = (tmp_path / "run" / "model" / "model.safetensors").stat().st_size
    assert told[0].pop("name") == str(tmp_path / "run")
    assert told[1].pop("name") == str(tmp_path / "run" / "model")
    assert told[0] == told[1]
    parameters = sum(one.numel() for name, one in model_of().named_parameters() if "pooler" not in name)
    assert told[0]["kind"] == "encoder"
    assert (told[0]["parameters"], told[0]["bytes"], told[0]["limit"]) == (parameters, size, 48)
    assert told[0]["packed"] is True


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("token*"):
        path.unlink()


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def half_the_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    there = load_file(folder / "model.safetensors")
    save_file({name: one for name, one in there.items() if "layer.1." not in name}, folder / "model.safetensors")


def too_many_tokens(folder: Path) -> None:
    tokenizer = tokenizer_of()
    tokenizer.add_tokens(["nouveau"])
    tokenizer.save_pretrained(folder)


def decoder(folder: Path) -> None:
    config = AutoConfig.for_model("gpt2", n_embd=8, n_layer=1, n_head=1, vocab_size=9)
    AutoModel.from_config(config).save_pretrained(folder)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (no_tokenizer, "its tokenizer knows no words: are its files"),
        (no_weights, "cannot be opened: .* give a model of the Hugging Face hub, a folder"),
        (half_the_weights, r"cannot be opened: its weights lack encoder\.layer\.1\."),
        (too_many_tokens, "its tokenizer has 1[0-9]+ tokens, and the model knows 1[0-9]+"),
        (decoder, "a gpt2 that reads to the left only is no encoder"),
    ],
)
def test_a_folder_that_cannot_be_used(tmp_path: Path, broken: Callable[[Path], None], said: str) -> None:
    broken(saved(tmp_path))
    with pytest.raises(TaskError, match=f"{tmp_path}.*{said}"):
        open_encoder(tmp_path)


def test_a_tokenizer_that_does_not_know_the_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        is_fast = False

    saved(tmp_path)
    monkeypatch.setattr(finetune.AutoTokenizer, "from_pretrained", lambda where: Slow())
    with pytest.raises(TaskError, match=r"its tokenizer \(Slow\) does not say where its tokens are .* tokenizer\.json"):
        open_encoder(tmp_path)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="there is no such folder, and no model of the hub has such a name"):
        open_encoder(tmp_path / "none")


def test_a_model_that_reads_too_few_tokens(encoder: Encoder) -> None:
    with pytest.raises(TaskError, match="the model reads 10 tokens at once: too few"):
        head_of(task_of("spans"), data_of(SENTENCES), protocol_of(), encoder._tokens, 10)


def test_without_torch_there_is_a_word_of_what_to_install() -> None:
    code = """import sys
sys.modules["torch"] = None
from corpuskit.evaluate.records import TaskError
try:
    import corpuskit.evaluate.systems.finetune
except TaskError as error:
    print(error)"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "fine-tuning needs PyTorch" in told
    assert "pip install 'corpuskit-fr[pretrain]'" in told
    assert batches.ROW <= 512
