"""Distillation: students learn what there is to learn, are measured on other articles, and keep what they know."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from teachers import PROMPT, annotated, answer, paragraph, table
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.enrich.annotations import Annotation
from corpuskit.student import store
from corpuskit.student.distil import distil
from corpuskit.student.heads import StudentError, softmax
from corpuskit.student.linear import LinearOptions, _cost

FAST = LinearOptions(bits=14, strengths=(10, 100))


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table(tmp_path_factory.mktemp("annotations"), annotated(150))


def test_the_linear_student_learns_plain_rules(annotations: Path, tmp_path: Path) -> None:
    report = distil(annotations, "linear", tmp_path / "student", options=FAST)
    fields = report.fields
    assert fields["kind"]["macro_f1"] > 0.95
    assert fields["quality"]["pearson"] > 0.8
    assert fields["quality"]["mae"] < 0.6
    assert fields["negated"]["accuracy"] > 0.9
    assert fields["terms"]["pearson"] > 0.6
    assert (
        sum(map(sum, fields["kind"]["confusion"]))
        == fields["kind"]["n"]
        == report.content["split"]["test"]["paragraphs"]
    )
    assert report.content == json.loads((tmp_path / "student" / "report.json").read_text())
    assert report.content["soft"] == {"kind": False, "quality": False, "negated": False, "terms": True}


def test_what_was_saved_answers_the_same_and_the_same_annotations_make_the_same_student(
    annotations: Path, tmp_path: Path
) -> None:
    distil(annotations, "linear", tmp_path / "one", options=FAST)
    distil(annotations, "linear", tmp_path / "other", options=FAST)
    one, other = store.find(tmp_path / "one"), store.find(tmp_path / "other")
    assert one.fingerprint == other.fingerprint
    assert one.card.teacher == {"kind": "model", "name": "teacher", "revision": "1"}
    texts = [one.text for one in annotated(3)]
    assert one.load().logits(texts).tobytes() == other.load().logits(texts).tobytes()


def test_distributions_are_learnt_where_the_teacher_gave_them(tmp_path: Path) -> None:
    """One word, of which the teacher always answers the same but is not sure: only its distribution tells."""

    def rows(soft: bool) -> list[Annotation]:
        found = []
        for number in range(120):
            unsure = number % 2 == 0
            shares = [0.7, 0.3, 0.0] if unsure else [0.0, 1.0, 0.0]
            text = f"{'peut-être' if unsure else 'certainement'} mot{number % 7}"
            said = {"kind": "case" if unsure else "notice", "quality": 1 + number % 4}
            found.append(
                Annotation(f"a{number}#1", f"a{number}", text=text, answer=said, soft={"kind": shares} if soft else {})
            )
        return found

    options = LinearOptions(bits=14, strengths=(100,))
    chances = []
    for soft in (True, False):
        output = tmp_path / str(soft)
        distil(table(tmp_path / f"table-{soft}", rows(soft)), "linear", output, fields=["kind"], options=options)
        stored = store.find(output)
        # Without the temperature, which is chosen by the answers.
        chances.append(softmax(stored.load().logits(["peut-être mot3"]))[0, 0])
    assert chances[0] == pytest.approx(0.7, abs=0.06)
    assert chances[1] > 0.9


def test_the_gradient_is_that_of_the_cost() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    chance = np.random.default_rng(1)
    rows = sparse.csr_array(chance.random((6, 4)).astype(np.float32))
    shares = chance.dirichlet([1, 1, 1], 6).astype(np.float32)
    cost = _cost(rows, rows.T.tocsr(), shares, 0.3)
    at = chance.normal(size=15)
    _, gradient = cost(at)
    for place in range(15):
        step = np.zeros(15)
        step[place] = 1e-2
        slope = (cost(at + step)[0] - cost(at - step)[0]) / 2e-2
        assert gradient[place] == pytest.approx(slope, abs=2e-4)


def test_texts_come_from_the_corpus_where_the_annotations_have_none(annotations: Path, tmp_path: Path) -> None:
    rows = annotated(150)
    texts = pa.table({"id": [one.id for one in reversed(rows)], "text": [one.text for one in reversed(rows)]})
    pq.write_table(texts, tmp_path / "texts.parquet")

    def forget(one: Annotation) -> None:
        one.text = ""

    without = table(tmp_path / "without", rows, forget)
    with pytest.raises(StudentError, match=r"600 of 600 paragraphs have no text; say where it is with --paragraphs"):
        distil(without, "linear", tmp_path / "none", fields=["kind"])
    options = {"fields": ["kind"], "options": FAST}
    one = distil(without, "linear", tmp_path / "one", paragraphs=tmp_path / "texts.parquet", **options)
    assert one.fields == distil(annotations, "linear", tmp_path / "two", **options).fields


def _only(**said: object):  # type: ignore[no-untyped-def]
    def change(one: Annotation) -> None:
        one.answer |= said  # type: ignore[arg-type]

    return change


def _alone(one: Annotation) -> None:
    one.answer["kind"] = "other" if one.article_id == "t:3" else "case" if one.id.endswith(("0", "1")) else "notice"


def _nothing(one: Annotation) -> None:
    one.outcome, one.detail = "invalid", "no JSON"


def _open(one: Annotation) -> None:
    del one.answer["negated"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_only(kind="case"), r"kind: every answer is 'case', so there is nothing to learn; leave the field out"),
        (_only(quality=2), r"quality: every answer is '2'"),
        (_only(terms=[]), r"terms: all paragraphs have the same density"),
        (_alone, r"kind: only one article \(t:3\) has 'other'"),
        (_nothing, r"not one paragraph was answered"),
        (_open, r"negated: nothing was answered"),
    ],
)
def test_what_cannot_be_learnt_says_why(change, told: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StudentError, match=told):
        distil(table(tmp_path / "annotations", annotated(40), change), "linear", tmp_path / "student", options=FAST)
    assert not (tmp_path / "student").exists()


def test_too_few_articles(tmp_path: Path) -> None:
    rows = annotated(3, 20)
    with pytest.raises(StudentError, match=r"kind: 3 articles are too few: none of them came to (dev|test)"):
        distil(table(tmp_path / "annotations", rows), "linear", tmp_path / "student", options=FAST)


def test_a_label_that_is_not_in_a_part_is_told(tmp_path: Path) -> None:
    chance = random.Random(1)
    rows = annotated(60)
    for one in rows:
        rare = one.article_id in ("t:1", "t:2")
        kind = "other" if rare else chance.choice(["case", "notice"])
        one.text = paragraph(chance, kind)
        one.answer = answer(one.text, kind)
    report = distil(
        table(tmp_path / "annotations", rows), "linear", tmp_path / "student", fields=["kind"], options=FAST
    )
    assert any(warning.endswith("has no 'other'") for warning in report.content["warnings"])


def test_a_folder_that_is_taken_is_not_overwritten_unasked(annotations: Path, tmp_path: Path) -> None:
    options = {"fields": ["negated"], "options": FAST}
    distil(annotations, "linear", tmp_path / "student", **options)
    with pytest.raises(StudentError, match="holds a student already"):
        distil(annotations, "linear", tmp_path / "student", **options)
    assert distil(annotations, "linear", tmp_path / "student", overwrite=True, **options).fields.keys() == {"negated"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(StudentError, match="holds something that is no student"):
        distil(annotations, "linear", tmp_path / "mine", overwrite=True, **options)


def test_on_the_command_line(annotations: Path, tmp_path: Path) -> None:
    run = CliRunner()
    asked = ["--field", "kind", "--field", "quality", "--output", str(tmp_path / "student")]
    done = run.invoke(app, ["distil", str(annotations), *asked], env={"COLUMNS": "150"})
    assert done.exit_code == 0, done.output
    assert "macro-F1" in done.output
    assert "quality" in done.output
    failed = run.invoke(app, ["distil", str(tmp_path), "--output", str(tmp_path / "x")])
    assert failed.exit_code == 1
    assert "holds no annotations" in failed.output
    failed = run.invoke(app, ["distil", str(annotations), "--output", str(tmp_path / "x"), "--epochs", "2"])
    assert "--epochs is of an encoder" in failed.output


def test_nothing_but_numpy_labels(annotations: Path, tmp_path: Path) -> None:
    """Neither torch nor scikit-learn nor SciPy is needed to label with the linear student, and none to start."""
    distil(annotations, "linear", tmp_path / "student", options=FAST)
    code = f"""
import sys
for name in ("torch", "transformers", "sklearn", "scipy", "safetensors"):
    sys.modules[name] = None
import corpuskit.cli, corpuskit.student.distil, corpuskit.student.label
from corpuskit.student import store
print(store.find({str(tmp_path / "student")!r}).load().logits(["un patient admis"]).shape)
from corpuskit.student.heads import StudentError
for student in ("linear", "some/encoder"):
    try:
        corpuskit.student.distil.distil({str(annotations)!r}, student, {str(tmp_path / "x")!r})
    except StudentError as error:
        print(error)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    shape, linear, encoder = done.stdout.splitlines()
    assert shape == "(1, 11)"
    assert linear == "training a linear student needs SciPy: pip install 'corpuskit-fr[student]'"
    assert encoder.endswith("pip install 'corpuskit-fr[train]'")


def test_a_folder_without_a_student(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="holds no student: give a folder that `corpuskit distil` wrote"):
        store.find(tmp_path)
    (tmp_path / store.FILE).write_text("{}")
    with pytest.raises(StudentError, match=r"student\.json cannot be read"):
        store.find(tmp_path)


def test_the_prompt_travels_with_the_student(annotations: Path, tmp_path: Path) -> None:
    distil(annotations, "linear", tmp_path / "student", fields=["kind"], options=FAST)
    assert store.find(tmp_path / "student").card.prompt == PROMPT
