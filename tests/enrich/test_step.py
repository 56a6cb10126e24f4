"""Enriching inside a datatrove pipeline."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from servers import fake

from corpuskit.enrich.client import Unreachable
from corpuskit.enrich.step import EnrichStep
from corpuskit.enrich.store import Store
from corpuskit.executors import Execution, TaskFailed, run_tasks

GOOD = {"document_type": "study", "domain": "clinical", "educational_quality": 3, "language": "fr"}


class Give(PipelineStep):
    """Documents from nowhere."""

    def run(self, data, rank=0, world_size=1):  # type: ignore[no-untyped-def]
        for at in range(rank, 40, world_size):
            yield Document(text=f"Le cas {at // 2}.", id=f"a#{at}")


class Check(PipelineStep):
    """Every document has its answer."""

    def run(self, data, rank=0, world_size=1):  # type: ignore[no-untyped-def]
        for document in data:
            assert document.metadata["annotation"]["answer"] == GOOD
            yield document


def step(url: str, store: Path, in_flight: int = 4) -> EnrichStep:
    return EnrichStep(
        "biomed-enriched-fr", "model", [url], store, in_flight, client={"timeout": 1.0, "tries": 2, "patience": 2.0}
    )


def asked(log: Path) -> Counter[str]:
    return Counter(line.split()[0] for line in log.read_text().splitlines())


def test_documents_go_on_in_order_with_their_answers(tmp_path: Path) -> None:
    orders = ["", "<<hang:1>>", "<<wrong>>", "", "<<500>>", "", ""]
    documents = [Document(text=f"Le cas {at}. {order}", id=f"a#{at}") for at, order in enumerate(orders)]
    documents.append(Document(text=documents[0].text, id="b#0"))
    with fake(tmp_path / "log", delay=0.02) as url:
        found = list(step(url, tmp_path / "store")(iter(documents)))
        again = list(step(url, tmp_path / "store")(iter(documents)))
    assert [document.id for document in found] == [document.id for document in documents]
    outcomes = [document.metadata["annotation"]["outcome"] for document in found]
    assert outcomes == ["ok", "ok", "invalid", "ok", "error", "ok", "ok", "ok"]
    assert found[7].metadata["annotation"] == {"outcome": "ok", "detail": "", "answer": GOOD, "soft": {}}
    assert [one.metadata for one in again] == [one.metadata for one in found]
    # Seven questions, of which one hung once and one failed twice.
    assert asked(tmp_path / "log").total() == 9


def test_many_tasks_share_a_store(tmp_path: Path) -> None:
    with fake(tmp_path / "log") as url:
        pipeline = [Give(), step(url, tmp_path / "store"), Check()]
        run_tasks("enrich", pipeline, 2, tmp_path / "logs", Execution(workers=2))
        assert len(Store(tmp_path / "store")) == 20
        run_tasks("enrich", pipeline, 2, tmp_path / "logs-2", Execution(workers=1))
    assert set(asked(tmp_path / "log").values()) <= {1, 2}  # two tasks at once may ask the same


def test_a_server_that_is_gone_fails_the_task(tmp_path: Path) -> None:
    with fake() as url:
        pass
    with pytest.raises(Unreachable, match="no answer for 2 s"):
        list(step(url, tmp_path / "store")(iter([Document(text="x", id="a")])))
    with pytest.raises(TaskFailed, match="Unreachable: no answer for 2 s"):
        run_tasks("enrich", [Give(), step(url, tmp_path / "store")], 1, tmp_path / "logs", Execution())
