"""Loaders: formats by their names, with their options, and a function of one's own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from corpuskit.evaluate import loaders
from corpuskit.evaluate.loaders import (
    Brat,
    Conll,
    E3CColumns,
    Jats,
    Loader,
    Negation,
    Numbers,
    Python,
    Questions,
    Table,
)
from corpuskit.evaluate.records import Document, Entity, Split, TaskError

ADAPTER: TypeAdapter[Any] = TypeAdapter(Loader)


def entity(label: str, start: int, end: int) -> Entity:
    return Entity(((start, end),), label)


def test_a_format_is_chosen_by_its_name() -> None:
    assert ADAPTER.validate_python({"format": "questions"}) == Questions()
    assert ADAPTER.validate_python({"format": "brat", "only": ["DISO"]}) == Brat(only=("DISO",))
    assert sorted(loaders.FORMATS) == [
        "brat", "conll", "e3c", "e3c-columns", "jats", "negation", "numbers", "python", "questions", "senses", "table",
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in loaders.FORMATS if name != "python"])
def test_a_loader_can_be_written_down_and_read_again(name: str) -> None:
    loader = ADAPTER.validate_python({"format": name})
    assert ADAPTER.validate_json(ADAPTER.dump_json(loader)) == loader


def test_labels_that_are_not_asked_for_are_counted(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_text("Toux.", encoding="utf-8")
    (tmp_path / "1.ann").write_text("T1\tsosy 0 4\tToux\nT2\tdose 4 5\t.\n", encoding="utf-8")
    split = Brat(only=("sosy",)).read(tmp_path, "")
    assert split.documents == (Document("1", "Toux.", (Entity(((0, 4),), "sosy", "T1"),)),)
    assert split.counted == {"entity of another label": 1}


def test_a_part_in_columns_is_a_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "train.txt").write_text("Toux B-a\n", encoding="utf-8")
    (tmp_path / "test" / "x.txt").write_text("Fièvre B-a\n", encoding="utf-8")
    assert Conll().read(tmp_path, "train.txt").documents == (Document("train#1", "Toux", (entity("a", 0, 4),)),)
    assert Conll().read(tmp_path, "test").documents == (Document("x#1", "Fièvre", (entity("a", 0, 6),)),)
    columns = E3CColumns().read(tmp_path, "train.txt")
    assert columns.documents == (Document("train#1", "Toux", (entity("CLINENTITY", 0, 4),)),)


def test_options_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "neg.txt").write_text("1\t0\tNon\tnon\tADV\tB_cue_neg\t_\n", encoding="utf-8")
    (tmp_path / "all.tsv").write_text("n\tt\tl\tp\n1\tToux\ta;b\tdev\n2\tFièvre\ta\ttest\n", encoding="utf-8")
    (tmp_path / "n.jsonl").write_text('{"id": 1, "text": "3", "numbers": []}', encoding="utf-8")
    assert Negation(what="sentence").read(tmp_path, "neg.txt").labels == ["negated"]
    table = Table(id="n", text="t", labels="l", separator=";", part="p", file="all.tsv")
    assert table.read(tmp_path, "dev").documents == (Document("1", "Toux", labels=("a", "b")),)
    with pytest.raises(TaskError, match=r"no row of all\.tsv says 'train' in 'p': the part is empty"):
        table.read(tmp_path, "train")
    assert Numbers().read(tmp_path, "n.jsonl").documents == (Document("1", "3"),)


def article(kind: str, number: int, text: str = "Du texte.") -> str:
    ids = f'<article-id pub-id-type="pmid">{number}</article-id>'
    title = "<title-group><article-title>Titre</article-title></title-group>"
    front = f"<front><article-meta>{ids}{title}</article-meta></front>"
    return f'<article article-type="{kind}">{front}<body><p>{text}</p></body></article>'


def test_the_type_of_an_article_is_its_label(tmp_path: Path) -> None:
    (tmp_path / "1.xml").write_text(article("case-report", 1), encoding="utf-8")
    (tmp_path / "2.xml").write_text(article("editorial", 2), encoding="utf-8")
    split = Jats(only=("case-report",)).read(tmp_path, "")
    assert [(document.text, document.labels) for document in split.documents] == [
        ("Titre\n\nDu texte.", ("case-report",))
    ]
    assert split.counted == {"article of another type": 1}
    with pytest.raises(TaskError, match=r"holds no article in JATS of these types"):
        Jats(only=("letter",)).read(tmp_path, "")
    (tmp_path / "3.xml").write_text("<article>", encoding="utf-8")
    with pytest.raises(TaskError, match=r"3\.xml: "):
        Jats().read(tmp_path, "")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"format": "brat", "group": "("}, "is no regular expression"),
        ({"format": "conll", "tag": 0}, "columns are counted from 1"),
        ({"format": "python", "function": "read"}, "a function is `module:name`"),
        ({"format": "python", "function": lambda data, part: None}, "a function is `module:name`"),
        ({"format": "table", "same_id": "drop"}, "'refuse' or 'number'"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ADAPTER.validate_python(options)


def own(data: Path, part: str, label: str = "a") -> Split:
    return Split((Document("1", f"{data.name}/{part}", labels=(label,)),), Counter())


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    expected = (Document("1", f"{tmp_path.name}/test", labels=("b",)),)
    loader = Python(function=own, options={"label": "b"})  # type: ignore[arg-type]  # taken for its name
    assert loader.function == f"{__file__}:own"
    assert loader.read(tmp_path, "test").documents == expected
    again = ADAPTER.validate_json(ADAPTER.dump_json(loader))
    assert again.read(tmp_path, "test").documents == expected


def test_a_function_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def read(data, part):\n    return []\n", encoding="utf-8")
    with pytest.raises(TaskError, match=r"own\.py:read returns list: let it return Split\(documents, Counter\(\)\)"):
        Python(function=f"{tmp_path}/own.py:read").read(tmp_path, "")
    with pytest.raises(TaskError, match=r"there is no function reads in "):
        Python(function=f"{tmp_path}/own.py:reads").read(tmp_path, "")
    with pytest.raises(TaskError, match=r"there is no such file"):
        Python(function=f"{tmp_path}/none.py:read").read(tmp_path, "")
    with pytest.raises(TaskError, match=r"the loader no_such_module:read is not to be had"):
        Python(function="no_such_module:read").read(tmp_path, "")
