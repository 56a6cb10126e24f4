"""Reading columns: words and tags become texts and entities, and what is no such line is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpuskit.evaluate.readers import conll
from corpuskit.evaluate.readers.conll import Columns
from corpuskit.evaluate.records import Document, Entity, TaskError

SENTENCES = "Des O\nlombalgies B-DISO\nmécaniques I-DISO\n. O\n\nFièvre B-DISO\ntoux B-DISO\n"


def write(folder: Path, content: str, name: str = "test.conll") -> Path:
    (folder / name).write_bytes(content.encode())
    return folder / name


def entity(start: int, end: int, label: str = "DISO") -> Entity:
    return Entity(((start, end),), label)


def test_each_sentence_is_a_document_where_nothing_parts_them(tmp_path: Path) -> None:
    expected = (
        Document("test#1", "Des lombalgies mécaniques .", (entity(4, 25),)),
        Document("test#6", "Fièvre toux", (entity(0, 6), entity(7, 11))),
    )
    assert conll.read(write(tmp_path, SENTENCES)).documents == expected
    assert conll.read(tmp_path).documents == expected
    on_windows = "\ufeff" + SENTENCES.replace("\n", "\r\n") + "\r\n\r\n"
    assert conll.read(write(tmp_path, on_windows)).documents == expected


def test_documents_are_parted_by_their_marks(tmp_path: Path) -> None:
    content = f"-DOCSTART- -X- O\n\n{SENTENCES}\n-DOCSTART- -X- O\n\nRien O\n\n-DOCSTART- -X- O\n"
    assert conll.read(write(tmp_path, content)).documents == (
        Document("test#3", "Des lombalgies mécaniques .\nFièvre toux", (entity(4, 25), entity(28, 34), entity(35, 39))),
        Document("test#13", "Rien"),
    )


def test_columns_are_chosen_and_a_word_may_be_a_hash(tmp_path: Path) -> None:
    content = "# sent_id = 1\n1\t#\tO\tB-A\n2\tde fer\tB-B\tO\n"
    split = conll.read(write(tmp_path, content, "a.iob"), columns=Columns(word=2, tag=3, separator="\t"))
    assert split.documents == (Document("a#2", "# de fer", (entity(2, 8, "B"),)),)
    assert split.counted == {"comment": 1}
    split = conll.read(write(tmp_path, "# O\n# B-A\n"))
    assert split.documents == (Document("test#1", "# #", (entity(2, 3, "A"),)),)


def test_iob1_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "a I-X\nb I-X\nc I-Y\n\nd I-Y\n")
    with pytest.raises(TaskError, match=r"test\.conll: line 1: I-X goes on with no entity: write B-X"):
        conll.read(path)
    split = conll.read(path, strict=False)
    assert [document.entities for document in split.documents] == [
        (entity(0, 3, "X"), entity(4, 5, "Y")),
        (entity(0, 1, "Y"),),
    ]
    assert split.counted == {"I- that goes on with no entity": 3}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a O\nb\n", "line 2: 1 columns, and 2 in the lines before"),
        ("a O\nb x O\n", "line 2: 3 columns, and 2 in the lines before"),
        ("Un texte.\n", "line 1: 'texte.' in column -1 is no tag of IOB2"),
        ("a\n", "line 1: 1 columns, and words are in column 1, tags in -1"),
        ("a S-X\n", "line 1: 'S-X' in column -1 is no tag of IOB2: O, or a label after B- or I-"),
        ("a B-X\n\nb I-X\n", "line 3: I-X goes on with no entity"),
        ("a B-X\nb I-Y\n", "line 2: I-Y goes on with no entity"),
        ("\n\n", "the split is empty"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(TaskError, match=rf"test\.conll.*{told}"):
        conll.read(write(tmp_path, content))


def test_files_of_one_name_are_told(tmp_path: Path) -> None:
    write(tmp_path, "a O\n", "text.iob")
    write(tmp_path, "a O\n", "text.txt")
    with pytest.raises(TaskError, match=r"text\.txt: another file has its name"):
        conll.read(tmp_path)
    assert len(conll.read(tmp_path, endings=[".iob"]).documents) == 1
