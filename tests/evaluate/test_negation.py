"""Reading the columns of CAS and ESSAI, on sentences made after their format."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpuskit.evaluate.readers import negation
from corpuskit.evaluate.records import Document, Entity, TaskError

NEGATED = (
    "1\t0\tPas\tpas\tADV\tB_cue_neg\t_\n"
    "1\t1\tde\tde\tPRP\tI_cue_neg\t_\n"
    "1\t2\tfièvre\tfièvre\tNOM\t_\tB_scope_neg\n"
    "1\t3\taiguë\taigu\tADJ\t_\tI_scope_neg\n"
    "1\t4\t.\t.\tSENT\t_\t_\n"
)
AFFIRMED = "2\t0\tToux\ttoux\tNOM\t***\n2\t1\t.\t.\tSENT\t***\n"
#: The scope goes on behind the second part of the cue.
AROUND = (
    "3\t0\tIl\til\tPRO:PER\t_\tB_scope_neg\n"
    "3\t1\tne\tne\tADV\tB_cue_neg\t_\n"
    "3\t2\ttousse\ttousser\tVER:pres\t_\tI_scope_neg\n"
    "3\t3\tpas\tpas\tADV\tI_cue_neg\t_\n"
)
#: Two negations, each in two columns of its own, the second within the scope of the first.
TWO = (
    "4\t0\tni\tni\tKON\tB_cue_neg\t_\t_\t_\n"
    "4\t1\tsans\tsans\tPRP\t_\tB_scope_neg\tB_cue_neg\t_\n"
    "4\t2\ttoux\ttoux\tNOM\t_\tI_scope_neg\t_\tB_scope_neg\n"
)


def write(folder: Path, content: str, name: str = "CAS_neg.txt") -> Path:
    (folder / name).write_bytes(content.encode())
    return folder


def entity(label: str, *spans: tuple[int, int]) -> Entity:
    return Entity(spans, label)


def test_cues_and_scopes(tmp_path: Path) -> None:
    write(tmp_path, f"{NEGATED}\n{AFFIRMED}\n{AROUND}\n\n{TWO}")
    assert negation.read(tmp_path, "CAS_neg.txt").documents == (
        Document("1", "Pas de fièvre aiguë .", (entity("CUE", (0, 6)), entity("SCOPE", (7, 19)))),
        Document("2", "Toux ."),
        Document("3", "Il ne tousse pas", (entity("SCOPE", (0, 2), (6, 12)), entity("CUE", (3, 5), (13, 16)))),
        Document(
            "4",
            "ni sans toux",
            (entity("CUE", (0, 2)), entity("SCOPE", (3, 12)), entity("CUE", (3, 7)), entity("SCOPE", (8, 12))),
        ),
    )


def test_entities_say_where_they_are(tmp_path: Path) -> None:
    document = negation.read(write(tmp_path, AFFIRMED + NEGATED), "CAS_neg.txt").documents[1]
    assert [document.at(entity) for entity in document.entities] == [
        f"{tmp_path}/CAS_neg.txt: line 3",
        f"{tmp_path}/CAS_neg.txt: line 5",
    ]


def test_a_second_cue_in_the_same_column_is_another(tmp_path: Path) -> None:
    twice = "1\t0\tni\tni\tKON\tB_cue_neg\t_\n1\t1\tni\tni\tKON\tB_cue_neg\t_\n"
    document = negation.read(write(tmp_path, twice), "CAS_neg.txt").documents[0]
    assert document.entities == (entity("CUE", (0, 2)), entity("CUE", (3, 5)))


def test_the_class_of_a_sentence(tmp_path: Path) -> None:
    write(tmp_path, f"{NEGATED}\n{AFFIRMED}")
    assert negation.read(tmp_path, "CAS_neg.txt", sentence=True).documents == (
        Document("1", "Pas de fièvre aiguë .", labels=("negated",)),
        Document("2", "Toux .", labels=("affirmed",)),
    )


def test_speculation_is_read_the_same(tmp_path: Path) -> None:
    write(tmp_path, NEGATED.replace("_neg", "_spec"), "CAS_spec.txt")
    assert [entity.label for entity in negation.read(tmp_path, "CAS_spec.txt").documents[0].entities] == [
        "CUE",
        "SCOPE",
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (NEGATED + "1\t5\tX\n", "line 6: 3 columns, parted by tabs"),
        (NEGATED.replace("B_scope_neg", "v"), "line 3: 'v' is no tag"),
        (NEGATED.replace("B_cue_neg", "_"), "line 2: 'I_cue_neg' goes on with nothing: write B_cue"),
        (NEGATED.replace("fièvre\tf", "\tf"), "line 3: no word in column 3"),
        (f"{NEGATED}\n{AFFIRMED}\n{NEGATED}", "line 10: sentence 1 is at "),
        ("\n\n", "CAS_neg.txt holds no sentence: the part is empty"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(TaskError) as error:
        negation.read(write(tmp_path, content), "CAS_neg.txt")
    assert told in str(error.value)
    assert "CAS_neg.txt" in str(error.value)


def test_odd_tags_are_counted_where_that_is_wanted(tmp_path: Path) -> None:
    odd = NEGATED.replace("B_scope_neg", "v")
    split = negation.read(write(tmp_path, odd), "CAS_neg.txt", strict=False)
    assert split.counted == {"unknown tag": 1, "I that goes on with nothing": 1}
    assert split.documents[0].entities == (entity("CUE", (0, 6)), entity("SCOPE", (14, 19)))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"there is no CAS_neg\.txt at .*ESSAI_neg\.txt"):
        negation.read(write(tmp_path, NEGATED, "ESSAI_neg.txt"), "CAS_neg.txt")
