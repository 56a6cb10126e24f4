"""The table of annotations: what a model, a person and a student fill in alike."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.enrich import annotations, prompts
from corpuskit.enrich.annotations import Annotation, AnnotationsError, Annotator

PROMPT = prompts.load("biomed-enriched-fr")
TERMS = prompts.load("medical-terms")
ANSWER = {"document_type": "study", "domain": "clinical", "educational_quality": 4, "language": "fr"}
MODEL = Annotator("model", "m", "2")


def table(prompt: prompts.Prompt, *found: Annotation) -> list[dict[str, object]]:
    return pa.concat_tables(annotations.tables(prompt, MODEL, found)).to_pylist()  # type: ignore[no-any-return]


def test_an_answer_and_its_distribution() -> None:
    soft = {"educational_quality": [0.0, 0.0, 0.25, 0.5, 0.25], "domain": [0.5, 0.5, 0.0]}
    (row,) = table(PROMPT, Annotation("a#1", "a", "cases", "Une toux.", answer=ANSWER, soft=soft))
    assert {name: row[name] for name in ANSWER} == ANSWER
    assert (row["educational_quality_expected"], row["educational_quality_entropy"]) == (4.0, 1.5)
    assert row["domain_probabilities"] == [0.5, 0.5, 0.0]
    assert row["domain_entropy"] == 1.0
    assert row["language_probabilities"] is None


@pytest.mark.parametrize("outcome", ["invalid", "truncated", "refused", "error"])
def test_what_is_no_answer_gives_no_label(outcome: annotations.Outcome) -> None:
    (row,) = table(PROMPT, Annotation("a#1", "a", text="Une toux.", outcome=outcome, detail="why", answer=ANSWER))
    assert [name for name, value in row.items() if value is not None] == [
        "id",
        "article_id",
        "text",
        "outcome",
        "detail",
    ]


def test_the_density_of_medical_terms() -> None:
    text = "Une Lithiase vésiculaire, puis deux lithiases et une toux."
    (row,) = table(TERMS, Annotation("a#1", "a", text=text, answer={"terms": ["lithiase vésiculaire", "toux"]}))
    assert row["terms"] == ["lithiase vésiculaire", "toux"]
    assert row["terms_density"] == pytest.approx(3 / 9)
    assert annotations.density("", ["x"]) == annotations.density("x", []) == 0.0


@given(st.text(), st.lists(st.text(max_size=5), max_size=5))
def test_a_density_is_a_share(text: str, passages: list[str]) -> None:
    assert 0 <= annotations.density(text, passages) <= 1


def test_the_table_tells_what_was_asked_and_who_answered(tmp_path: Path) -> None:
    many = [Annotation(f"a{at}#1", f"a{at}", answer=ANSWER) for at in range(5_000)]
    failed = Annotation("b#1", "b", outcome="error", detail="HTTP 500")
    assert (
        annotations.write(tmp_path, annotations.tables(PROMPT, MODEL, [*many, failed]), rows_per_shard=4_000) == 5_001
    )
    assert sorted(path.name for path in (tmp_path / "annotations").iterdir()) == ["00000.parquet", "00001.parquet"]
    found = annotations.read(tmp_path)
    assert (found.prompt, found.annotator) == (PROMPT, MODEL)
    assert found.table(["id"]).num_rows == sum(batch.num_rows for batch in found.batches(["id"])) == 5_000
    assert found.table(answered=False)["id"].to_pylist() == [f"a{at}#1" for at in range(5_000)] + ["b#1"]
    assert annotations.read(tmp_path / "annotations" / "00000.parquet").prompt == PROMPT
    annotations.write(tmp_path, annotations.tables(PROMPT, MODEL, []))
    assert annotations.read(tmp_path).table().num_rows == 0


def test_what_is_no_annotation(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="holds no annotations"):
        annotations.read(tmp_path)
    pq.write_table(pa.table({"id": ["a"], "outcome": ["ok"]}), tmp_path / "x.parquet")
    with pytest.raises(AnnotationsError, match="its schema does not say what was asked"):
        annotations.read(tmp_path)


@pytest.mark.parametrize("name", ["text", "outcome", "kind_probabilities"])
def test_a_field_cannot_take_the_name_of_a_column(name: str) -> None:
    header = f"name: x\nversion: '1'\ndescription: x\nfields:\n  {name}: {{type: flag, definition: x}}\n"
    with pytest.raises(prompts.PromptError, match="is the name of another column"):
        prompts.parse(f"---\n{header}---\n{{fields}} {{paragraph}}")
