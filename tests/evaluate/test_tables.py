"""Reading tables: each row is what it says, and what cannot be used is told with its file and its line."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.evaluate.readers import tables
from corpuskit.evaluate.readers.tables import Columns
from corpuskit.evaluate.records import Document, Entity, TaskError

COLUMNS = Columns("nom", "texte", "classe", "patient")


def write(folder: Path, content: str, name: str = "train.csv") -> Path:
    (folder / name).write_bytes(content.encode())
    return folder


def test_a_row_is_a_text_with_its_labels(tmp_path: Path) -> None:
    write(tmp_path, '\ufeffnom,texte,classe,patient\n1,"Toux, ""sèche""",a|b| a ,p1\n\n2,Fièvre.,b,p2\n')
    split = tables.read(tmp_path, "train.csv", columns=COLUMNS, separator="|")
    assert split.documents == (
        Document("1", 'Toux, "sèche"', group="p1", labels=("a", "b")),
        Document("2", "Fièvre.", group="p2", labels=("b",)),
    )
    assert [document.where for document in split.documents] == [f"{tmp_path}/train.csv: line {n}" for n in (2, 4)]


def test_rows_without_ids_are_numbered(tmp_path: Path) -> None:
    write(tmp_path, "text\tlabel\nToux.\ta\nFièvre.\tb\n", "train.tsv")
    assert [document.id for document in tables.read(tmp_path, "train.tsv").documents] == ["train#1", "train#2"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", '{"text": "Toux.", "label": ["a", "b"]}\n'),
        ("t.json", '[{"text": "Toux.", "label": ["a", "b"]}]'),
        ("t.csv", "text,label\nToux.,\"['a', 'b']\"\n"),
        ("t.tsv", 'text\tlabel\nToux.\t["a", "b"]\n'),
    ],
)
def test_a_list_of_labels(tmp_path: Path, name: str, content: str) -> None:
    write(tmp_path, content, name)
    assert tables.read(tmp_path, name, separator="[]").documents == (Document("t#1", "Toux.", labels=("a", "b")),)


def test_labels_may_be_numbers_or_true(tmp_path: Path) -> None:
    write(tmp_path, '{"text": "a", "label": 3}\n{"text": "b", "label": true}\n', "t.jsonl")
    assert [document.labels for document in tables.read(tmp_path, "t.jsonl").documents] == [("3",), ("True",)]


def test_compressed_and_in_archives(tmp_path: Path) -> None:
    content = "text,label\nToux.,a\n"
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(content.encode()))
    assert tables.read(tmp_path, "train.csv.gz").documents[0].text == "Toux."
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("x/dev.csv", content)
        archive.writestr("x/test.csv", content)
    assert tables.read(tmp_path, "test.csv").documents[0].where == f"{tmp_path}/all.zip!/x/test.csv: line 2"


def test_parts_may_be_a_column_and_texts_another_file(tmp_path: Path) -> None:
    write(tmp_path, "id\tlabels\tsplit\nq1\t['a']\ttrain\nq2\t['b', 'a']\tdev\n", "labels.csv")
    write(tmp_path, "id\ttext\nq1\tToux ?\na1\tOui.\nq2\tFièvre ?\n", "texts.csv")
    split = tables.read(
        tmp_path,
        "labels.csv",
        columns=Columns("id", "text", "labels"),
        separator="[]",
        delimiter="\t",
        only=("split", "dev"),
        texts="texts.csv",
    )
    assert split.documents == (Document("q2", "Fièvre ?", labels=("b", "a")),)


def test_two_rows_of_one_id_are_refused_or_numbered(tmp_path: Path) -> None:
    write(tmp_path, "nom,texte,classe,patient\n1,a,x,p\n1,b,x,p\n1#2,c,x,p\n1,d,x,p\n")
    where = f"{tmp_path}/train.csv"
    with pytest.raises(TaskError) as error:
        tables.read(tmp_path, "train.csv", columns=COLUMNS)
    assert str(error.value) == (
        f"{where}: line 3: '1' is the id at {where}: line 2 too: rename one, or let `same_id: number` do so"
    )
    split = tables.read(tmp_path, "train.csv", columns=COLUMNS, same_id="number")
    assert len({document.id for document in split.documents}) == 4
    assert [document.text for document in split.documents] == ["a", "b", "c", "d"]
    assert split.counted.total() == 3


def test_a_text_may_have_no_label_only_where_that_is_said(tmp_path: Path) -> None:
    write(tmp_path, "text,label\nToux.,\n")
    with pytest.raises(TaskError, match=r"train\.csv: line 2: no label in 'label': give it one, or let `unlabelled"):
        tables.read(tmp_path, "train.csv")
    assert tables.read(tmp_path, "train.csv", unlabelled=True).documents[0].labels == ()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.csv", "texte,label\na,b\n", "t.csv: line 2: there is no 'text'; there are 'texte', 'label'"),
        ("t.csv", "text,labels\na,b\n", "t.csv: line 2: there is no 'label'; there are 'text', 'labels'"),
        ("t.csv", "text,label\n\n  ,b\n", "t.csv: line 3: 'text' is empty: fill it in, or take the row out"),
        ("t.csv", "text,label\na,b,c\n", "t.csv: line 2: 3 columns, and the first line names 2 (text, label)"),
        ("t.csv", "text,text\na,b\n", "t.csv: line 1: two columns are called 'text'"),
        ("t.csv", 'text,label\na,b\n"a\nb,c\n', "t.csv: line 3: unexpected end of data"),
        ("t.csv", "text,label\n", "t.csv holds no row: the part is empty"),
        ("t.jsonl", '{"text": "a", "label": "b"}\n{"text": \n', "t.jsonl: line 2 is no JSON"),
        ("t.jsonl", "[1]\n", "t.jsonl: line 1: it holds list: write a record"),
        ("t.jsonl", '{"text": 1, "label": "b"}\n', "t.jsonl: line 1: 'text' is 1: write words in quotes"),
        ("t.jsonl", '{"text": "a", "label": {"b": 1}}\n', "t.jsonl: line 1: 'label' is {'b': 1}: write a label"),
        ("t.json", '[\n{"text": "a",\n', "t.json: line 3 is no JSON"),
        ("t.json", '{"text": "a"}', "t.json: it holds dict: write a list of records"),
        ("t.json", '[{"text": "a", "label": ""}]', "t.json: record 1: no label in 'label'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, name: str, content: str, told: str) -> None:
    with pytest.raises(TaskError) as error:
        tables.read(write(tmp_path, content, name), name)
    assert told in str(error.value)


def test_a_missing_file_names_those_that_are_there(tmp_path: Path) -> None:
    write(tmp_path, "text,label\na,b\n", "dev.csv")
    with pytest.raises(TaskError, match=r"there is no train\.csv at .*, but dev\.csv"):
        tables.read(tmp_path, "train.csv")
    with pytest.raises(TaskError, match=r"there is no train\.tsv at "):
        tables.read(tmp_path, "train.tsv")


def test_a_text_that_is_missing_in_the_other_file(tmp_path: Path) -> None:
    write(tmp_path, "id,label\nq1,a\n", "labels.csv")
    write(tmp_path, "id,text\nq2,b\n", "texts.csv")
    with pytest.raises(TaskError, match=r"labels\.csv: line 2: there is no text 'q1' in texts\.csv"):
        tables.read(tmp_path, "labels.csv", columns=Columns("id"), texts="texts.csv")


QUESTION = '{"id": "q", "question": "Lequel ?", "answers": {"a": "foie", "b": "rein"}, "correct_answers": ["b"]}'


def test_a_question_has_its_choices(tmp_path: Path) -> None:
    write(tmp_path, f"[{QUESTION}]", "t.json")
    expected = Document("q", "Lequel ?", labels=("b",), choices=(("a", "foie"), ("b", "rein")))
    assert tables.read_questions(tmp_path, "t.json").documents == (expected,)
    assert tables.read_questions(write(tmp_path, QUESTION, "t.jsonl"), "t.jsonl").documents == (expected,)


def test_right_answers_are_in_the_order_of_the_choices(tmp_path: Path) -> None:
    write(tmp_path, QUESTION.replace('["b"]', '["b", "a", "b"]'), "t.jsonl")
    assert tables.read_questions(tmp_path, "t.jsonl").documents[0].labels == ("a", "b")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('["b"]', '["c"]', "'c' in 'correct_answers' is none of a, b"),
        ('["b"]', "[]", "'correct_answers' is empty: name those of a, b that are right"),
        ('["b"]', '"b"', "'correct_answers' is 'b': write a list"),
        (', "b": "rein"', "", "give at least two"),
        ('"rein"', '" "', "none of them empty"),
        ('"question"', '"q"', "there is no 'question'"),
        ('"q",', '"",', "'id' is empty"),
    ],
)
def test_a_question_that_is_none(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(TaskError) as error:
        tables.read_questions(write(tmp_path, QUESTION.replace(old, new), "t.jsonl"), "t.jsonl")
    assert told in str(error.value)
    assert "t.jsonl: line 1" in str(error.value)


SENSE = (
    '{"id": 1, "sentence": "Le sein gauche.", "start": 3, "end": 7, '
    '"senses": {"o": "organe", "m": "milieu"}, "sense": "o"}'
)


def test_a_word_has_its_senses(tmp_path: Path) -> None:
    expected = Document("1", "Le sein gauche.", labels=("o",), choices=(("o", "organe"), ("m", "milieu")), focus=(3, 7))
    assert tables.read_senses(write(tmp_path, SENSE, "t.jsonl"), "t.jsonl").documents == (expected,)
    by_word = SENSE.replace('"start": 3, "end": 7', '"word": "sein"')
    assert tables.read_senses(write(tmp_path, by_word, "t.jsonl"), "t.jsonl").documents == (expected,)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"sense": "o"', '"sense": "x"', "'sense' is 'x', which is none of o, m"),
        ('"end": 7', '"end": 70', "3 to 70 is no piece of 15 characters: mend its offsets"),
        ('"start": 3', '"start": 7', "7 to 7 is no piece"),
        ('"start": 3', '"start": true', "'start' is True: write a number of characters"),
        ('"end": 7', '"end": 8, "word": "sein"', "'sein' is said to be at 3 to 8, where 'sein ' is"),
        ('"start": 3, "end": 7', '"word": "e"', "'e' stands 3 times in the sentence: give 'start' and 'end'"),
        (', "m": "milieu"', "", "give at least two"),
    ],
)
def test_a_sense_that_is_none(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(TaskError) as error:
        tables.read_senses(write(tmp_path, SENSE.replace(old, new), "t.jsonl"), "t.jsonl")
    assert told in str(error.value)
    assert "t.jsonl: line 1" in str(error.value)


NUMBERS = (
    '{"id": "n", "text": "Glycémie 2,1 g/L, poids 70 kg.", "numbers": ['
    '{"start": 9, "end": 12, "kind": "glycémie", "outside": true, "number": "2,1"}, '
    '{"start": 24, "end": 26, "kind": "poids", "outside": null}]}'
)


def test_a_number_is_its_kind_and_its_range(tmp_path: Path) -> None:
    glucose, weight = ((9, 12),), ((24, 26),)
    assert tables.read_numbers(write(tmp_path, NUMBERS, "t.jsonl"), "t.jsonl").documents == (
        Document(
            "n",
            "Glycémie 2,1 g/L, poids 70 kg.",
            (Entity(glucose, "glycémie"), Entity(glucose, "outside"), Entity(weight, "poids")),
        ),
    )
    within = NUMBERS.replace("true", "false")
    entities = tables.read_numbers(write(tmp_path, within, "t.jsonl"), "t.jsonl").documents[0].entities
    assert [entity.label for entity in entities] == ["glycémie", "within", "poids"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"end": 12', '"end": 13', "number 1: '2,1' is said to be at 9 to 13, where '2,1 ' is"),
        ('"end": 26', '"end": 99', "number 2: 24 to 99 is no piece of 30 characters"),
        ("true", '"oui"', "number 1: 'outside' is 'oui': write true, false or null"),
        ('"poids", ', '"within", ', "number 2: 'kind' is 'within', which is the name of a range"),
        ('"numbers": [', '"numbers": [3, ', "number 1 is 3: write"),
    ],
)
def test_a_number_that_is_none(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(TaskError) as error:
        tables.read_numbers(write(tmp_path, NUMBERS.replace(old, new), "t.jsonl"), "t.jsonl")
    assert told in str(error.value)
    assert "t.jsonl: line 1: " in str(error.value)


@given(st.lists(st.sampled_from(["a", "a#2", "a#3", "b", "b#2"]), min_size=1, max_size=12))
def test_numbered_ids_are_all_different_and_nothing_is_lost(names: list[str]) -> None:
    split = tables._named([Document(name, str(place)) for place, name in enumerate(names)], "number")
    assert len({document.id for document in split.documents}) == len(names)
    assert [document.text for document in split.documents] == [str(place) for place in range(len(names))]


def test_morfitt(real_data: Path) -> None:
    columns = Columns("identifier", "abstract", "specialities")
    split = tables.read(real_data / "morfitt", "test.tsv", columns=columns, separator="|")
    assert len(split.documents) == 1088
    assert sum(len(document.labels) for document in split.documents) == 1560
    assert len(split.labels) == 12


def test_frenchmedmcqa(real_data: Path) -> None:
    with pytest.raises(TaskError, match=r"train\.json: record \d+: '04c58320"):
        tables.read_questions(real_data / "frenchmedmcqa", "train.json")
    split = tables.read_questions(real_data / "frenchmedmcqa", "train.json", same_id="number")
    assert len(split.documents) == 2171
    assert sum(len(document.labels) == 1 for document in split.documents) == 595
    assert {len(document.choices) for document in split.documents} == {5}
