from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpuskit.dedup import testsets

CASE = "Le patient se plaint d'une toux sèche depuis deux semaines."
NOTE = "La radiographie du thorax ne montre aucun foyer."


def units(path: Path | str) -> dict[str, str]:
    return {unit.name: unit.text for unit in testsets.load("test", str(path)).units}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_line_of_a_brat_folder_is_a_unit(tmp_path: Path) -> None:
    write(tmp_path / "train/EMEA/1.txt", f"{CASE}\n\n {NOTE}\n")
    write(tmp_path / "train/EMEA/1.ann", "T1\tDISO 25 35\ttoux sèche\n")
    write(tmp_path / "dev/2.txt", "Fièvre jaune")
    write(tmp_path / "README.txt", "Ce corpus est distribué tel quel, sans garantie aucune.")
    assert units(tmp_path) == {
        "dev/2.txt#1": "Fièvre jaune",
        "train/EMEA/1.txt#1": CASE,
        "train/EMEA/1.txt#3": NOTE,
    }


def test_columns_become_sentences_again(tmp_path: Path) -> None:
    tags = "-DOCSTART- -X- O\n\nToux NOM B-DISO\nsèche ADJ I-DISO\n. PCT O\n\n\nPas O O\nde O O\nfièvre NOM B-DISO\n"
    write(tmp_path / "test.txt", tags)
    assert units(tmp_path / "test.txt") == {"test.txt#3": "Toux sèche .", "test.txt#8": "Pas de fièvre"}
    assert units(f"{tmp_path}/test.txt:2") == {"test.txt#3": "NOM ADJ PCT", "test.txt#8": "O O NOM"}
    write(tmp_path / "test.tsv", "Toux\tB-DISO\nsèche\tI-DISO\n\nPas\tO\n")
    assert units(tmp_path / "test.tsv") == {"test.tsv#1": "Toux sèche", "test.tsv#4": "Pas"}


def test_conllu_has_its_tokens_in_the_second_column(tmp_path: Path) -> None:
    rest = "\t_" * 8
    text = f"# text = Douleur du dos\n1\tDouleur{rest}\n2-3\tdu{rest}\n2\tde{rest}\n3\tle{rest}\n4\tdos{rest}\n\n"
    write(tmp_path / "a.conllu", text)
    assert units(tmp_path / "a.conllu") == {"a.conllu#2": "Douleur de le dos"}


def test_long_strings_of_records_are_text_and_no_part_of_another(tmp_path: Path) -> None:
    records = [
        {
            "id": f"cas {number}",
            "source": "Un recueil de cas cliniques inventés",
            "text": f"Cas {number} : {CASE}",
            "entities": [{"text": "une toux sèche depuis deux semaines", "label": "DISO"}],
            "answers": {"a": "La grippe", "b": f"Une pneumonie à pneumocoque du lobe {number}"},
            "labels": "pneumologie|médecine interne|allergologie|urgences|soins palliatifs",
        }
        for number in range(3)
    ]
    write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, records)) + "\n")
    write(tmp_path / "a.json", json.dumps(records))
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    wanted = {f"#{number + 1}.text": f"Cas {number} : {CASE}" for number in range(3)}
    wanted |= {f"#{number + 1}.answers.b": f"Une pneumonie à pneumocoque du lobe {number}" for number in range(3)}
    for name in ("a.jsonl", "a.json", "a.parquet"):
        assert units(tmp_path / name) == {name + place: text for place, text in wanted.items()}


def test_one_field_of_records_can_be_named(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", json.dumps({"title": "Toux", "text": CASE, "answers": {"a": "Asthme"}}))
    assert units(f"{tmp_path}/a.jsonl:title") == {"a.jsonl#1.title": "Toux"}
    assert units(f"{tmp_path}:a") == {"a.jsonl#1.answers.a": "Asthme"}


def test_a_list_of_tokens_is_one_text_and_one_of_tags_is_none(tmp_path: Path) -> None:
    record = {"tokens": CASE.split(), "ner_tags": ["O"] * 9 + ["B-DISO"], "upos": [1] * 10}
    write(tmp_path / "a.jsonl", json.dumps(record))
    assert units(tmp_path / "a.jsonl") == {"a.jsonl#1.tokens": CASE}


def test_a_table_may_have_a_header_or_not(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv", f"id\tabstract\tclass\n1\t{CASE}\tpneumo\n2\t{NOTE}\tradio\n")
    write(tmp_path / "b.csv", f'{CASE},1\n"{NOTE[:-1]}, d\'après ""le"" médecin.",0\n')
    assert units(tmp_path / "a.tsv") == {"a.tsv#2.abstract": CASE, "a.tsv#3.abstract": NOTE}
    assert units(f"{tmp_path}/a.tsv:class") == {"a.tsv#2.class": "pneumo", "a.tsv#3.class": "radio"}
    assert units(tmp_path / "b.csv") == {"b.csv#1.1": CASE, "b.csv#2.1": f'{NOTE[:-1]}, d\'après "le" médecin.'}
    assert units(f"{tmp_path}/b.csv:2") == {"b.csv#1.2": "1", "b.csv#2.2": "0"}


def test_a_quote_without_its_pair_loses_no_row(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv", f'1\t"{CASE}\n2\t{NOTE}\n')
    assert list(units(tmp_path / "a.tsv").values()) == [f'"{CASE}', NOTE]


def test_the_same_text_twice_is_one_unit_and_text_is_mended(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "\ufeffL\u2019e\u0301tat  g\u00e9n\u00e9ral\n")
    write(tmp_path / "b.txt", "L’état général\n")
    assert units(tmp_path) == {"a.txt#1": "L’état général"}


def test_older_encodings_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Œdème aigu du poumon".encode("cp1252"))
    (tmp_path / "b.txt").write_bytes("Sténose aortique".encode("utf-16"))
    assert list(units(tmp_path).values()) == ["Œdème aigu du poumon", "Sténose aortique"]


def test_archives_and_compressions_are_opened(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(CASE.encode()))
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as archive:
        for name in ("brat/1.txt", "brat/1.ann"):
            member = tarfile.TarInfo(name)
            member.size = len(NOTE.encode())
            archive.addfile(member, io.BytesIO(NOTE.encode()))
    assert units(tmp_path) == {"a.txt#1": CASE, "b.tar!/brat/1.txt#1": NOTE}


@pytest.mark.parametrize(
    ("name", "content", "field", "told"),
    [
        ("a.pdf", b"%PDF", "", "no file at .* is of a format that is understood: .jsonl"),
        ("a.txt", b"\n \n", "", "no text found"),
        ("a.jsonl", b'{"text": "Toux et fi\xc3\xa8vre"}', ":titre", "no text found at .*; the fields are text"),
        ("a.jsonl", b'{"text": "Toux"}\n{"text": "Fi', "", "a.jsonl cannot be read: line 2"),
        ("a.parquet", b"PAR1", "", "a.parquet cannot be read"),
        ("a.txt.gz", b"\x1f\x8b\x08\x00", "", "cut off or damaged"),
        ("a.iob", b"Toux B-DISO\nfi\xc3\xa8vre O\n", ":3", "line 1 has no column 3"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, content: bytes, field: str, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(testsets.TestSetError, match=told):
        testsets.load("test", f"{tmp_path}/{name}{field}")


def test_a_test_set_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(testsets.TestSetError, match=r"no test set at .*nowhere"):
        testsets.load("test", f"{tmp_path}/nowhere")
    with pytest.raises(testsets.TestSetError, match=r"no test set at .*nowhere"):
        testsets.files(f"{tmp_path}/nowhere:text")


def test_the_files_of_a_test_set_are_all_of_its_files(tmp_path: Path) -> None:
    write(tmp_path / "a/1.txt", CASE)
    write(tmp_path / "a/1.ann", "")
    assert [file.name for file in testsets.files(str(tmp_path / "a"))] == ["1.ann", "1.txt"]
    assert [file.name for file in testsets.files(f"{tmp_path}/a:text")] == ["1.ann", "1.txt"]


@pytest.mark.parametrize(
    ("path", "count"),
    [("quaero", 2992), ("mantra_gsc", 250), ("frasimed", 27148), ("morfitt", 3623), ("frenchmedmcqa:question", 3075)],
)
def test_real_test_sets(real_data: Path, path: str, count: int) -> None:
    found = testsets.load("test", f"{real_data}/{path}")
    assert len(found.units) == count
    assert len({unit.name for unit in found.units}) == count
