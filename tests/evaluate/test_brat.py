"""Reading brat: every offset is that of the text, and what does not agree is told with its file and line."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from corpuskit.evaluate.readers import brat
from corpuskit.evaluate.records import Document, Entity, TaskError
from corpuskit.evaluate.tokens import (
    INSIDE_A_WORD,
    WHITE_SPACE,
    deciding,
    merged,
    tags_of_tokens,
    tags_of_words,
    to_entities,
    to_tags,
    windows,
    words,
)

TEXT = "Cancers du sein et du poumon 😀.\r\nPas de fièvre.\n"
ANNOTATIONS = (
    "T1\tDISO 0 15\tCancers du sein\n"
    "#1\tAnnotatorNotes T1\tC0006142\n"
    "T2\tDISO 22 28;0 7\tpoumon Cancers\n"
    "R1\tsame Arg1:T1 Arg2:T2\t\n"
    "*\tEquiv T1 T2\n"
    "A1\tNegated T3\n"
    "\n"
    "T3\tDISO 40 46\tfièvre"
)
#: What the labels of Mantra GSC stand in.
MANTRA = r'(?<=["|])(?:ANAT|CHEM|DEVI|DISO|GEOG|LIVB|OBJC|PHEN|PHYS|PROC)(?=["|])'


def write(folder: Path, text: str = TEXT, annotations: str = ANNOTATIONS, name: str = "1") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_bytes(text.encode())
    (folder / f"{name}.ann").write_bytes(annotations.encode())
    return folder


def test_a_document_is_read_as_it_is_annotated(tmp_path: Path) -> None:
    split = brat.read(write(tmp_path))
    assert split.documents == (
        Document(
            "1",
            TEXT,
            (
                Entity(((0, 15),), "DISO", "T1"),
                Entity(((0, 7), (22, 28)), "DISO", "T2"),
                Entity(((40, 46),), "DISO", "T3"),
            ),
        ),
    )
    assert split.counted == {"note": 1, "relation": 2, "attribute": 1}
    assert split.labels == ["DISO"]


def test_lines_may_end_as_on_windows_and_an_entity_may_go_over_one(tmp_path: Path) -> None:
    split = brat.read(write(tmp_path, "fièvre\r\naiguë", "T1\tDISO 0 13\tfièvre  aiguë\r\n"))
    assert split.documents[0].entities == (Entity(((0, 13),), "DISO", "T1"),)
    assert not split.counted
    split = brat.read(write(tmp_path, "fièvre\naiguë, toux", "T1\tDISO 14 18;7 12;0 6\ttoux aiguë fièvre\n"))
    assert split.documents[0].entities == (Entity(((0, 12), (14, 18)), "DISO", "T1"),)
    assert split.counted == {"entity joined over white space": 1}


def test_entities_of_other_labels_are_counted(tmp_path: Path) -> None:
    split = brat.read(write(tmp_path, "fièvre", "T1\tDISO 0 6\tfièvre\nT2\tPHEN 0 6\tfièvre\nT3\tPHYS 0 6\tfièvre"))
    only = split.only(["DISO"])
    assert [entity.label for entity in only.documents[0].entities] == ["DISO"]
    assert only.counted == {"entity of another label": 2}


def test_a_label_may_be_in_a_note(tmp_path: Path) -> None:
    annotations = (
        "T1\tC0037570 0 3\tsel\n"
        '#1\tAnnotatorNotes T1\t"C0037570", "Sodium, Dietary", "Food|Inorganic Chemical" ,"OBJC|CHEM"\n'
        "T2\tC0012634 4 7\tmal\n"
        '#2\tAnnotatorNotes T2\t"C0012634", "Disease", "DISO" ,"Disease or Syndrome"'
    )
    split = brat.read(write(tmp_path, "sel mal", annotations), label_in_note=MANTRA)
    assert [(entity.id, entity.label, entity.spans) for entity in split.documents[0].entities] == [
        ("T1", "OBJC", ((0, 3),)),
        ("T1", "CHEM", ((0, 3),)),
        ("T2", "DISO", ((4, 7),)),
    ]
    write(tmp_path, "sel mal", annotations + "\nT3\tC1 0 3\tsel")
    with pytest.raises(TaskError, match=r"1\.ann: line 5: no note on T3 has a label like"):
        brat.read(tmp_path, label_in_note=MANTRA)


def test_a_folder_is_chosen_by_its_end_wherever_the_data_set_is(tmp_path: Path) -> None:
    for part in ("train/EMEA", "train/MEDLINE", "dev/EMEA"):
        write(tmp_path / "corpus" / part, name=f"118_{part[0]}")
    (tmp_path / "corpus/train/EMEA/annotation.conf").write_text("[entities]")
    (tmp_path / "corpus/train/EMEA/118_t.ann~").write_text("of an editor")
    (tmp_path / "corpus/train/EMEA/._118_t.ann").write_text("of a Mac")
    with tarfile.open(tmp_path / "quaero.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "corpus", "corpus")
        empty = tarfile.TarInfo("corpus/train/EMEA/119.txt")
        archive.addfile(empty, io.BytesIO())
        empty.name = "corpus/train/EMEA/119.ann"
        archive.addfile(empty, io.BytesIO())

    def ids(path: Path, folder: str) -> list[str]:
        return [document.id for document in brat.read(path, folder).documents]

    assert ids(tmp_path / "corpus", "train/EMEA") == ["118_t"]
    assert ids(tmp_path / "corpus/train/EMEA", "train/EMEA") == ["118_t"]
    assert ids(tmp_path / "quaero.tar.gz", "train/EMEA") == ["118_t", "119"]
    assert ids(tmp_path / "corpus", "") == ["dev/EMEA/118_d", "train/EMEA/118_t", "train/MEDLINE/118_t"]
    with pytest.raises(TaskError, match=r"no file \*\.txt or \*\.ann at .* in a folder test/EMEA; .* dev/EMEA, train/"):
        ids(tmp_path / "corpus", "test/EMEA")
    with pytest.raises(TaskError, match=r"118_t\.\w+ have one name"):
        ids(tmp_path, "train/EMEA")


def test_documents_belong_together_by_what_is_in_their_names(tmp_path: Path) -> None:
    for name in ("118_1", "118_2", "other"):
        write(tmp_path, name=name)
    groups = {document.id: document.group for document in brat.read(tmp_path, group=r"^\d+(?=_)").documents}
    assert groups == {"118_1": "118", "118_2": "118", "other": ""}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("T1\tDISO 0 5\tfièvr", "T1 is 'fièvr', and 'fever' in .*1.txt: get its own text"),
        ("T1\tDISO 1 6\tever ", "T1 ends at 6, and .*1.txt has 5 characters: get its own text"),
        ("T1\tDISO 5 5\t", "T1 ends at 5, and begins at 5: mend its offsets"),
        ("T1\tDISO 4 2\tve", "T1 ends at 2, and begins at 4: mend its offsets"),
        ("T1\tDISO 0 3;2 5\tfev ver", "T1 has spans that overlap"),
        ("T0\tDISO 0 5\tfever", "there is a T0 before"),
        ("T1\tDISO 0 5", "'T1.tDISO 0 5' is nothing that brat writes"),
        ("T1\tDISO -1 5\tfever", "is nothing that brat writes"),
        ("T1 DISO 0 5 fever", "is nothing that brat writes"),
        ("DISO\t0\t5", "is nothing that brat writes"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, line: str, told: str) -> None:
    write(tmp_path, "fever", f"T0\tDISO 0 5\tfever\n{line}\n")
    with pytest.raises(TaskError, match=rf"1\.ann: line 2: .*{told}"):
        brat.read(tmp_path)


@pytest.mark.parametrize(("missing", "there"), [(".ann", ".txt"), (".txt", ".ann")])
def test_a_missing_file_is_told(tmp_path: Path, missing: str, there: str) -> None:
    for name in ("1", "2", "3"):
        write(tmp_path, name=name)
    (tmp_path / f"2{missing}").unlink()
    with pytest.raises(TaskError, match=rf"/2\{there} has no \{missing} beside it: get the missing files"):
        brat.read(tmp_path)
    (tmp_path / f"3{missing}").unlink()
    with pytest.raises(TaskError, match="and 1 others have none"):
        brat.read(tmp_path)


def test_an_empty_split_and_a_file_in_another_encoding_are_told(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no data at .*nowhere"):
        brat.read(tmp_path / "nowhere")
    (tmp_path / "readme").write_text("")
    with pytest.raises(TaskError, match=r"no file \*\.txt or \*\.ann at"):
        brat.read(tmp_path)
    write(tmp_path)
    (tmp_path / "1.txt").write_bytes("toux\nfièvre".encode("cp1252"))
    with pytest.raises(TaskError, match=r"1\.txt: line 2 is not UTF-8: convert"):
        brat.read(tmp_path)


# Real data.

SPLITS = {
    ("quaero", "train/EMEA"): (11, 2695, 27),
    ("quaero", "train/MEDLINE"): (833, 2994, 13),
    ("quaero", "dev/EMEA"): (12, 2260, 15),
    ("quaero", "dev/MEDLINE"): (832, 2977, 21),
    ("mantra_gsc", "EMEA_ec22-cui-best_man"): (100, 431, 10),
    ("mantra_gsc", "Medline_EN_FR_ec22-cui-best_man"): (100, 279, 1),
    ("mantra_gsc", "Patents_ec22-cui-best_man"): (50, 342, 3),
    ("frasimed", "CANTEMIST-FRASIMED"): (1301, 15978, 0),
    ("frasimed", "DISTEMIST-FRASIMED"): (750, 8059, 0),
}
#: Spans that begin or end inside a word, and with white space: the annotators' slips, such as "[tumeu]r".
SLIPS = {
    "train/EMEA": {INSIDE_A_WORD: 1},
    "dev/MEDLINE": {INSIDE_A_WORD: 1, WHITE_SPACE: 8},
    "Medline_EN_FR_ec22-cui-best_man": {INSIDE_A_WORD: 1, WHITE_SPACE: 1},
    "Patents_ec22-cui-best_man": {INSIDE_A_WORD: 2},
    "CANTEMIST-FRASIMED": {INSIDE_A_WORD: 24},
    "DISTEMIST-FRASIMED": {INSIDE_A_WORD: 14},
}


@pytest.mark.parametrize(("corpus", "folder"), SPLITS)
def test_every_offset_survives_the_way_to_tokens_and_back(real_data: Path, corpus: str, folder: str) -> None:
    split = brat.read(real_data / corpus, folder)
    entities = [entity for document in split.documents for entity in document.entities]
    found = len(split.documents), len(entities), sum(entity.discontinuous for entity in entities)
    assert found == SPLITS[corpus, folder]
    slips: Counter[str] = Counter()
    for document in split.documents:
        places = words(document.text)
        for entity in document.entities:
            for span in entity.spans:
                alone = Entity((span,), entity.label)
                tags, changed = to_tags([alone], places)
                assert (to_entities(tags, places) == (alone,)) == (not changed)
                slips += changed
    assert slips == SLIPS.get(folder, {})


@pytest.mark.parametrize(("corpus", "folder"), SPLITS)
def test_nothing_is_lost_in_windows(real_data: Path, corpus: str, folder: str) -> None:
    """Sub-tokens of up to four characters, read in windows of 40 that share 10; whoever tags them knows the answer."""
    for document in brat.read(real_data / corpus, folder).documents[::10]:
        places = words(document.text)
        tags, _ = to_tags(document.entities, places)
        pieces = [(at, min(at + 4, end)) for start, end in places for at in range(start, end, 4)]
        of_word = deciding(places, pieces)
        said, lost = tags_of_tokens(tags, of_word, len(pieces))
        assert not lost
        stretches = windows(len(pieces), 40, 10)
        read = merged(stretches, [[tag or "O" for tag in said[start:end]] for start, end in stretches], len(pieces))
        assert tags_of_words(read, of_word) == tags
