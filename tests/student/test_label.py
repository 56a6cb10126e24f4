"""Labelling: every paragraph once, the same bytes however it ran, and on after a kill."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clusters import MAX_ARRAY_SIZE, ray_cluster, slurm  # noqa: F401
from teachers import annotated, corpus, paragraph, table
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.enrich.annotations import entropy, expected, read
from corpuskit.executors import Execution, SlurmProfile
from corpuskit.student import store
from corpuskit.student.distil import distil
from corpuskit.student.heads import StudentError, softmax
from corpuskit.student.label import EMPTY, label, tasks
from corpuskit.student.linear import LinearOptions

TEXTS: list[str | None] = [paragraph(random.Random(n), ["case", "notice", "other"][n % 3]) for n in range(2_000)]
TEXTS[7], TEXTS[8] = None, " \n"


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("student")
    annotations = table(folder / "annotations", annotated(120))
    distil(annotations, "linear", folder / "student", options=LinearOptions(bits=14, strengths=(30,)))
    return folder / "student"


@pytest.fixture(scope="module")
def paragraphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("corpus"), TEXTS)


def files(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((output / "annotations").glob("*"))}


@pytest.fixture(scope="module")
def untouched(student: Path, paragraphs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("untouched") / "labels"
    label(paragraphs, student, output, rows_per_task=200)
    return output


def test_every_paragraph_has_its_row_in_order(untouched: Path, student: Path) -> None:
    found = read(untouched)
    rows = found.table(answered=False)
    assert rows["id"].to_pylist() == [f"p:{place // 5}#{place}" for place in range(len(TEXTS))]
    assert found.annotator == ("student", "linear", store.find(student).fingerprint[:12])
    assert [row["detail"] for row in rows.to_pylist() if row["outcome"] == "error"] == [EMPTY] * 2
    absent = rows.slice(7, 2).to_pylist()
    assert {name for row in absent for name, value in row.items() if value is not None} == {
        "id", "article_id", "outcome", "detail",
    }  # fmt: skip


def test_the_columns_are_those_of_the_students_distributions(untouched: Path, student: Path) -> None:
    stored = store.find(student)
    model = stored.load()
    for row in read(untouched).table(answered=False).slice(100, 5).to_pylist():
        logits = model.logits([TEXTS[int(row["id"].rpartition("#")[2])] or ""])
        for head in stored.card.heads:
            shares = softmax(logits[:, head.columns], stored.card.temperatures[head.name])[0]
            if head.kind == "density":
                assert row["terms"] is None
                assert row["terms_density"] == pytest.approx(shares[0], abs=1e-5)
                continue
            assert row[f"{head.name}_probabilities"] == pytest.approx(shares.tolist(), abs=1e-5)
            assert row[f"{head.name}_entropy"] == pytest.approx(entropy(shares.tolist()), abs=1e-5)
            if head.kind == "score":
                mean = expected(stored.card.prompt.fields["quality"], shares.tolist())  # type: ignore[arg-type]
                assert row["quality_expected"] == pytest.approx(mean, abs=1e-5)
                assert row["quality"] == int(mean + 0.5)
            else:
                said = head.classes[int(shares.argmax())]
                assert row[head.name] == (said if head.kind == "label" else said == "true")


def test_a_task_is_some_row_groups_whatever_the_workers(paragraphs: Path) -> None:
    shards = sorted((paragraphs / "paragraphs").glob("*.parquet"))
    assert [(task.file.name, task.groups) for task in tasks(shards, 400)] == [
        (name, groups) for name in ("00000.parquet", "00001.parquet") for groups in ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9))
    ]


@pytest.mark.parametrize("workers", [2, 4])
def test_more_workers_write_the_same_bytes(
    workers: int, untouched: Path, student: Path, paragraphs: Path, tmp_path: Path
) -> None:
    done = label(paragraphs, student, tmp_path / "labels", Execution(workers=workers), rows_per_task=200)
    assert files(tmp_path / "labels") == files(untouched)
    assert (done.manifest["paragraphs"], done.manifest["outcomes"]) == (2_000, {"error": 2, "ok": 1_998})
    assert sum(done.manifest["answers"]["kind"].values()) == 1_998


@pytest.mark.xdist_group("ray")
def test_ray_writes_the_same_bytes(
    ray_cluster: str,  # noqa: F811
    untouched: Path,
    student: Path,
    paragraphs: Path,
    tmp_path: Path,
) -> None:
    execution = Execution(kind="ray", workers=2, ray_address=ray_cluster)
    label(paragraphs, student, tmp_path / "labels", execution, rows_per_task=200)
    assert files(tmp_path / "labels") == files(untouched)


@pytest.mark.xdist_group("slurm")
def test_slurm_writes_the_same_bytes(
    slurm: Path,  # noqa: F811
    untouched: Path,
    student: Path,
    paragraphs: Path,
    tmp_path: Path,
) -> None:
    execution = Execution(kind="slurm", workers=2, profile=SlurmProfile(max_array_size=MAX_ARRAY_SIZE))
    label(paragraphs, student, tmp_path / "labels", execution, rows_per_task=200)
    assert files(tmp_path / "labels") == files(untouched)


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_it_ends_the_same(
    workers: int, untouched: Path, student: Path, paragraphs: Path, tmp_path: Path
) -> None:
    output, moments, killed, resumed = tmp_path / "labels", random.Random(workers), 0, 0
    # Slow enough to be killed between two tasks.
    code = f"""
import time
from pathlib import Path
from corpuskit.executors import Execution
from corpuskit.student import label as labelling
from corpuskit.student.linear import Linear

logits = Linear.logits
def slow(self, texts):
    time.sleep(0.05)
    return logits(self, texts)
Linear.logits = slow
labelling.label({str(paragraphs)!r}, {str(student)!r}, {str(output)!r}, Execution(workers={workers}), rows_per_task=200)
"""
    while killed < 4:
        process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        done = output / ".work" / "output" / "annotations"
        before = len(list(done.glob("*.parquet"))) if done.exists() else 0
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            if done.exists() and len(list(done.glob("*.parquet"))) > before + (killed % 2):
                break
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.1))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
            resumed += before > 0
        process.wait()
        if (output / "manifest.json").exists():
            assert files(output) == files(untouched)
            shutil.rmtree(output)
    time.sleep(1)  # workers of a killed driver end by themselves
    label(paragraphs, student, output, Execution(workers=workers), rows_per_task=200)
    assert files(output) == files(untouched)
    assert not (output / ".work").exists()
    assert resumed, "a run went on with what another had done"


def test_the_same_run_again_does_nothing_and_another_is_not_overwritten(
    student: Path, paragraphs: Path, tmp_path: Path
) -> None:
    assert label(paragraphs, student, tmp_path / "labels").worked
    assert not label(paragraphs, student, tmp_path / "labels").worked
    with pytest.raises(StudentError, match="holds another run"):
        label(paragraphs, student, tmp_path / "labels", rows_per_task=200)
    assert label(paragraphs, student, tmp_path / "labels", rows_per_task=200, overwrite=True).worked
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(StudentError, match="holds something else"):
        label(paragraphs, student, tmp_path / "mine")


def test_any_parquet_with_ids_and_texts_will_do(student: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1", "2"], "text": ["un patient admis", ""]}), tmp_path / "mine.parquet")
    label(tmp_path / "mine.parquet", student, tmp_path / "labels")
    rows = read(tmp_path / "labels").table(answered=False)
    assert rows["outcome"].to_pylist() == ["ok", "error"]
    assert rows["source"].null_count == 2
    pq.write_table(pa.table({"text": ["un patient"]}), tmp_path / "other.parquet")
    with pytest.raises(StudentError, match=r"other\.parquet: no column 'id'; there are text"):
        label(tmp_path / "other.parquet", student, tmp_path / "none")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(StudentError, match=r"broken\.parquet cannot be read"):
        label(tmp_path / "broken.parquet", student, tmp_path / "none")
    nothing = pa.table({"id": ["1"], "text": pa.array([None], pa.string())})
    pq.write_table(nothing, tmp_path / "nothing.parquet")
    label(tmp_path / "nothing.parquet", student, tmp_path / "empty")
    assert read(tmp_path / "empty").table(answered=False)["kind"].to_pylist() == [None]


def test_strange_texts_are_labelled_too(student: Path) -> None:
    model = store.find(student).load()
    texts = ["", "…", "\0", "𝒳 ẞ İ", "a" * 100_000, "1,5mg " * 10, "漢字"]
    found = model.logits(texts)
    assert np.isfinite(found).all()
    assert found[0].tolist() == found[1].tolist()  # neither has a word


def test_labels_on_the_command_line(student: Path, paragraphs: Path, tmp_path: Path) -> None:
    run = CliRunner()
    asked = ["label", str(paragraphs), "--student", str(student), "--output", str(tmp_path / "labels")]
    done = run.invoke(app, asked, env={"COLUMNS": "120"})
    assert done.exit_code == 0, done.output
    assert "notice" in done.output
    assert "2,000 paragraphs in" in done.output
    assert "2 paragraphs have no text" in done.output
    again = run.invoke(app, asked)
    assert "holds these very labels already" in again.output
    failed = run.invoke(app, [*asked[:3], str(tmp_path), *asked[4:]])
    assert failed.exit_code == 1
    assert "holds no student" in failed.output
