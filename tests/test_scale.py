"""Where and by how many workers a build is done does not show in what it writes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from clusters import MAX_ARRAY_SIZE, ray_cluster, slurm  # noqa: F401

from corpuskit import build as building
from corpuskit.build import build
from corpuskit.config import load, validate
from corpuskit.executors import Execution, SlurmProfile
from corpuskit.plan import plan

#: A cluster may have to be started first.
pytestmark = pytest.mark.timeout(600)
SAMPLES = Path(building.__file__).parent / "samples"


def tables(output: Path) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("one") / "corpus"
    build(load(SAMPLES / "demo.yaml"), output, workers=1)
    return tables(output)


def test_four_workers_write_what_one_writes(expected: dict[str, bytes], tmp_path: Path) -> None:
    build(load(SAMPLES / "demo.yaml"), tmp_path / "corpus", workers=4)
    assert tables(tmp_path / "corpus") == expected


@pytest.mark.xdist_group("slurm")
def test_slurm_writes_what_one_worker_writes(
    slurm: Path,  # noqa: F811
    expected: dict[str, bytes],
    tmp_path: Path,
) -> None:
    profile = SlurmProfile(max_array_size=MAX_ARRAY_SIZE)
    run = build(
        load(SAMPLES / "demo.yaml"),
        tmp_path / "corpus",
        execution=Execution(kind="slurm", workers=2, profile=profile),
    )
    assert run.manifest["executor"] == "slurm"
    assert tables(tmp_path / "corpus") == expected


@pytest.mark.xdist_group("ray")
def test_ray_writes_what_one_worker_writes(
    ray_cluster: str,  # noqa: F811
    expected: dict[str, bytes],
    tmp_path: Path,
) -> None:
    execution = Execution(kind="ray", workers=2, ray_address=ray_cluster)
    build(load(SAMPLES / "demo.yaml"), tmp_path / "corpus", execution=execution)
    assert tables(tmp_path / "corpus") == expected


def test_several_workers_share_one_large_file(tmp_path: Path) -> None:
    chance = random.Random(1)
    words = ["le", "patient", "a", "été", "admis", "pour", "une", "douleur", "avec", "fièvre", "puis", "traité"]
    source = tmp_path / "cases.jsonl"
    with open(source, "w", encoding="utf-8") as lines:
        for at in range(3_000):
            text = "\n\n".join(" ".join(chance.choices(words, k=40)) + f" le jour {at}." for _ in range(2))
            lines.write(json.dumps({"id": str(at), "text": text}, ensure_ascii=False) + "\n")
    config = validate({"sources": [{"type": "jsonl", "path": str(source)}]})
    tasks = plan(config, workers=3).tasks
    assert [len(task) for task in tasks] == [1, 1]
    assert {one.parts for task in tasks for one in task} == {2}
    build(config, tmp_path / "one", workers=1)
    build(config, tmp_path / "three", workers=3)
    assert tables(tmp_path / "one") == tables(tmp_path / "three")
