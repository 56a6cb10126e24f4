"""From a system and tasks to a folder of answers and scores, whatever happens on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from corpuskit import runs
from corpuskit.energy import Meter
from corpuskit.evaluate import protocol as protocols
from corpuskit.evaluate import results, tasks
from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.records import Answer, Document, Entity, Outcome, Span, TaskError
from corpuskit.evaluate.run import evaluate
from corpuskit.evaluate.scoring import headline, measures_of, scored, selected_by
from corpuskit.evaluate.tasks import Data, Task

TEXT = "Une fièvre et un cancer du sein."
FEVER, CANCER, BREAST = Entity(((4, 10),), "DISO"), Entity(((17, 31),), "DISO"), Entity(((27, 31),), "ANAT")


def brat(folder: Path, name: str, text: str, *lines: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(text)
    (folder / f"{name}.ann").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    annotated = ("T1\tDISO 4 10\tfièvre", "T2\tDISO 17 31\tcancer du sein", "T3\tANAT 27 31\tsein")
    for part in ("train", "dev", "test"):
        brat(tmp_path / "data" / "ner" / part, f"{part}-1", TEXT, *annotated)
        brat(tmp_path / "data" / "ner" / part, f"{part}-2", "Rien à signaler.")
    return tmp_path / "data"


@pytest.fixture
def task() -> Task:
    return Task.model_validate(
        {
            "name": "ner",
            "kind": "spans",
            "title": "two texts",
            "source": "made for the purpose",
            "licence": "CC0-1.0",
            "data": "ner",
            "loader": {"format": "brat"},
            "parts": {"train": "train", "dev": "dev", "test": "test"},
        }
    )


RULES = Protocol(name="quick", steps=10, seeds=3)


class Parrot:
    """A system that says what it was told to, and may fail."""

    def __init__(
        self, answers: Callable[[int, Document], Sequence[Entity]], fails: Sequence[int] = (), by_chance: bool = True
    ) -> None:
        self.told: dict[str, Any] = {"name": "parrot", "kind": "encoder", "parameters": 3, "bytes": 12}
        self.answers, self.fails, self.chance, self.ran = answers, list(fails), by_chance, list[int]()

    def run(
        self, task: Task, data: Data, protocol: Protocol, seed: int, tell: Callable[[dict[str, Any]], None]
    ) -> Outcome:
        tell({"kind": "step", "step": 1, "steps": 1, "loss": 0.5})
        if seed in self.fails:
            self.fails.remove(seed)
            raise TaskError(f"seed {seed} has no luck")
        self.ran.append(seed)
        answers = {one.id: Answer(tuple(self.answers(seed, one)), seconds=0.25) for one in data.test.documents}
        return Outcome(answers, {"training_seconds": 3.0, "prediction_seconds": 1.0})

    def by_chance(self, task: Task) -> bool:
        return self.chance

    def tokens(self, documents: Sequence[Document]) -> list[list[Span]] | None:
        return [[(0, len(document.text))] for document in documents]

    def meter(self) -> Meter:
        return Meter(here=False, watts=1000.0)


def perfect(seed: int, document: Document) -> list[Entity]:
    return [FEVER, CANCER] if document.id == "test-1" else []


def seldom(seed: int, document: Document) -> list[Entity]:
    """Both in the second seed, one of two otherwise, and the inner one in all."""
    return [] if document.id != "test-1" else [FEVER, BREAST] + ([CANCER] if seed == 2 else [])


def test_all_that_was_said_and_what_it_is_worth_is_in_the_folder(data: Path, task: Task, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    done = evaluate(Parrot(seldom), [task], data, tmp_path / "out", protocol=RULES, tell=lines.append)
    assert done.worked
    (told,) = done.manifest["tasks"]
    # outermost: two entities are gold; one of two said is right, in the second seed two of three
    by_seed = [0.5, 0.8, 0.5]
    assert told["seeds"] == [1, 2, 3]
    assert told["score"]["strict"]["by_seed"] == pytest.approx(by_seed)
    assert told["score"]["strict"]["mean"] == pytest.approx(0.6)
    assert told["score"]["strict"]["deviation"] == pytest.approx(0.3 / 3**0.5)
    assert told["documents"] == {"train": 2, "dev": 2, "test": 2}
    scores = json.loads((tmp_path / "out" / "ner" / "scores.json").read_text())
    assert scores["headline"] == "strict"
    # all three annotated ones are below the line: two of two said, three of three
    assert scores["measures"]["strict_all"]["by_seed"] == pytest.approx([0.8, 1.0, 0.8])
    assert scores["by_label"]["ANAT"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert all(run["prediction_kwh"] == pytest.approx(run["energy"]["kwh"] / 4, abs=2e-9) for run in scores["runs"])
    assert [line["seed"] for line in lines if line["kind"] == "run"] == [1, 2, 3]
    (result,) = results.read(tmp_path / "out")
    assert result.task == task
    assert result.answers[2]["test-1"] == Answer((FEVER, BREAST, CANCER), seconds=0.25)
    assert result.documents[0].entities == (FEVER, CANCER, BREAST)
    counted = duckdb.sql(
        f"SELECT measure, sum(above) / sum(below) AS f FROM '{tmp_path}/out/ner/examples.parquet' WHERE seed = 2 "
        "AND measure IN ('strict', 'strict_all') GROUP BY measure ORDER BY measure"
    ).fetchall()
    assert counted == [("strict", pytest.approx(0.8)), ("strict_all", pytest.approx(1.0))]


def test_the_same_again_is_nothing_to_do_and_another_is_refused(data: Path, task: Task, tmp_path: Path) -> None:
    evaluate(Parrot(perfect), [task], data, tmp_path / "out", protocol=RULES)
    again = Parrot(perfect)
    assert not evaluate(again, [task], data, tmp_path / "out", protocol=RULES).worked
    assert again.ran == []
    with pytest.raises(TaskError, match="holds another run: choose another folder, or replace it with --overwrite"):
        evaluate(Parrot(perfect), [task], data, tmp_path / "out", protocol=RULES, seeds=[1, 2])
    done = evaluate(Parrot(perfect), [task], data, tmp_path / "out", protocol=RULES, seeds=[1, 2], overwrite=True)
    assert done.manifest["seeds"] == [1, 2]


def test_other_data_is_another_evaluation(data: Path, task: Task, tmp_path: Path) -> None:
    evaluate(Parrot(perfect), [task], data, tmp_path / "out", protocol=RULES)
    brat(data / "ner" / "train", "train-2", "Rien à signaler!")
    with pytest.raises(TaskError, match="holds another run"):
        evaluate(Parrot(perfect), [task], data, tmp_path / "out", protocol=RULES)


def test_an_interrupted_one_goes_on_with_the_next_seed(data: Path, task: Task, tmp_path: Path) -> None:
    system = Parrot(seldom, fails=[2])
    with pytest.raises(TaskError, match="seed 2 has no luck"):
        evaluate(system, [task], data, tmp_path / "out", protocol=RULES)
    assert not (tmp_path / "out" / runs.MANIFEST).exists()
    with pytest.raises(TaskError, match="an evaluation that is not finished"):
        results.read(tmp_path / "out")
    assert evaluate(system, [task], data, tmp_path / "out", protocol=RULES).worked
    assert system.ran == [1, 2, 3]
    whole = evaluate(Parrot(seldom), [task], data, tmp_path / "whole", protocol=RULES)
    for name in ("gold", "predictions", "examples"):
        one, other = (tmp_path / folder / "ner" / f"{name}.parquet" for folder in ("out", "whole"))
        assert one.read_bytes() == other.read_bytes()
    assert not (whole.output / runs.WORK).exists()


def test_where_chance_plays_no_part_one_seed_is_enough(data: Path, task: Task, tmp_path: Path) -> None:
    done = evaluate(Parrot(perfect, by_chance=False), [task], data, tmp_path / "out", protocol=RULES)
    (told,) = done.manifest["tasks"]
    assert told["seeds"] == [1]
    assert told["score"]["strict"]["deviation"] is None


def test_a_limit_takes_the_same_documents_each_time(data: Path, task: Task, tmp_path: Path) -> None:
    for number in range(3, 30):
        brat(data / "ner" / "test", f"test-{number}", f"Texte {number}.")
    chosen = []
    for limit in (5, 5, 10):
        evaluate(Parrot(perfect), [task], data, tmp_path / "out", protocol=RULES, limit=limit, overwrite=True)
        (result,) = results.read(tmp_path / "out")
        chosen.append({document.id for document in result.documents})
    assert len(chosen[0]) == 5
    assert chosen[0] == chosen[1] < chosen[2]


def test_scorers_may_count_what_the_model_reads(data: Path, task: Task, tmp_path: Path) -> None:
    rules = RULES.model_copy(update={"count": "tokens"})
    done = evaluate(Parrot(perfect), [task], data, tmp_path / "out", protocol=rules)
    (result,) = results.read(done.output)
    assert result.tokens == (((0, 32),), ((0, 16),))
    scores = json.loads((tmp_path / "out" / "ner" / "scores.json").read_text())
    assert scores["measures"]["token"]["mean"] == 1.0


def test_a_task_twice_is_refused(data: Path, task: Task, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="the task ner is given twice"):
        evaluate(Parrot(perfect), [task, task], data, tmp_path / "out", protocol=RULES)


def test_a_folder_of_something_else_is_left_alone(data: Path, task: Task, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("…")
    with pytest.raises(TaskError, match="holds something else: choose another folder"):
        evaluate(Parrot(perfect), [task], data, tmp_path / "mine", protocol=RULES)
    with pytest.raises(TaskError, match="holds no evaluation: give what"):
        results.read(tmp_path / "mine")


def test_a_damaged_table_is_named(data: Path, task: Task, tmp_path: Path) -> None:
    evaluate(Parrot(perfect), [task], data, tmp_path / "out", protocol=RULES)
    (tmp_path / "out" / "ner" / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(
        TaskError, match=r"out/ner/predictions\.parquet cannot be read: .*Evaluate again with --overwrite"
    ):
        results.read(tmp_path / "out")


def test_what_an_interrupted_one_has_left_damaged_is_done_again(data: Path, task: Task, tmp_path: Path) -> None:
    system = Parrot(seldom, fails=[3])
    with pytest.raises(TaskError):
        evaluate(system, [task], data, tmp_path / "out", protocol=RULES)
    left = tmp_path / "out" / runs.WORK / "runs" / "ner"
    (left / "seed-1.parquet").write_bytes(b"PAR1")
    (left / "seed-2.json").write_text("{")
    assert evaluate(system, [task], data, tmp_path / "out", protocol=RULES).worked
    assert system.ran == [1, 2, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "policy", "headline", "seeds"),
    [
        ("camembert-bio", "outermost", "strict", 10),
        ("drbert", "concatenated", "token_with_o_weighted", 4),
        ("drbenchmark", "concatenated", "strict", 4),
        ("bannour", "nested", "strict", 5),
    ],
)
def test_the_protocols_that_come_along(name: str, policy: str, headline: str, seeds: int) -> None:
    found = protocols.load(name)
    assert (found.policy, found.headline, found.seeds) == (policy, headline, seeds)
    assert name in protocols.shipped()


def test_a_protocol_says_what_models_are_ranked_and_chosen_by() -> None:
    task, labels = tasks.load("quaero-emea"), tasks.load("morfitt")
    told = {name: (headline(task, rules), selected_by(task, rules), headline(labels, rules))
            for name in protocols.shipped() for rules in [protocols.load(name)]}  # fmt: skip
    assert told == {
        "bannour": ("strict", "strict", "micro_f1"),
        "camembert-bio": ("strict", "strict", "micro_f1"),
        "drbenchmark": ("strict", "token_with_o", "micro_f1"),
        "drbert": ("token_with_o_weighted", "token_with_o", "micro_f1"),
    }


def test_a_measure_that_is_not_there_is_refused_before_anything_runs(data: Path, task: Task, tmp_path: Path) -> None:
    system = Parrot(perfect)
    for field, name in (("headline", "strikt"), ("select_by", "accuracy")):
        rules = RULES.model_copy(update={field: name})
        with pytest.raises(TaskError, match=f"task ner, protocol quick: there is no .* '{name}'; there are strict,"):
            evaluate(system, [task], data, tmp_path / "out", protocol=rules)
    assert system.ran == []


@pytest.mark.parametrize("name", sorted(tasks.shipped()))
def test_the_measures_of_a_task_are_those_that_are_computed(name: str) -> None:
    task = tasks.load(name)
    known = tuple(task.labels) or ("x", "y")
    entity = Entity(((0, 1),), known[0])
    choices = (("a", "A"), ("b", "B"))
    of_kind = {
        "spans": (Document("1", "x y", (entity,)), Answer(entities=(entity,))),
        "labels": (Document("1", "x y", labels=known[:1]), Answer(labels=known[:1])),
        "choice": (Document("1", "x y", labels=("a",), choices=choices), Answer(labels=("a",))),
    }
    document, answer = of_kind[task.kind]
    measures = scored(task, RULES, [document], {"1": answer}).measures
    assert tuple(measures) == measures_of(task)
    assert {name: measure.value for name, measure in measures.items()} == dict.fromkeys(measures, 1.0)


def test_the_share_of_right_decisions_is_over_all_labels_of_the_task() -> None:
    task = tasks.load("morfitt")
    labels = list(task.labels)
    document, answer = Document("1", "x", labels=(labels[0],)), Answer(labels=(labels[1],))
    hamming = scored(task, RULES, [document], {"1": answer}).measures["hamming"].value
    assert hamming == pytest.approx(1 - 2 / 12)


def test_a_task_that_lists_no_labels_has_those_of_train(tmp_path: Path) -> None:
    rows = {"train": "a,x\nb,y\nc,z\n", "dev": "d,x\n", "test": "e,x\nf,y\n"}
    for part, told in rows.items():
        (tmp_path / f"{part}.csv").write_text(f"text,label\n{told}")
    task = Task.model_validate(
        {
            "name": "letters", "kind": "labels", "title": "letters", "source": "made", "licence": "CC0-1.0",
            "loader": {"format": "table"}, "parts": {part: f"{part}.csv" for part in rows},
        }
    )  # fmt: skip
    system = Parrot(lambda seed, document: [])
    done = evaluate(system, [task], tmp_path, tmp_path / "out", protocol=RULES, seeds=[1])
    assert list(done.manifest["tasks"][0]["task"]["labels"]) == ["x", "y", "z"]
    assert done.manifest["tasks"][0]["score"]["accuracy"]["mean"] == 0.0


def test_a_protocol_of_ones_own_is_checked(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("step: 100\nlearning_rate: -1\n")
    with pytest.raises(TaskError) as caught:
        protocols.load(tmp_path / "mine.yaml")
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/mine.yaml cannot be used:",
        "  - learning_rate: Input should be greater than 0 (given: -1)",
        "  - step: no such option; did you mean `steps`?",
    ]
    (tmp_path / "mine.yaml").write_text("steps: 100\nepochs: 2\n")
    with pytest.raises(TaskError, match="give either `steps` or `epochs`"):
        protocols.load(tmp_path / "mine.yaml")
    assert protocols.load(tmp_path / "mine.yaml", steps=7).steps == 7
    with pytest.raises(TaskError, match="protocols that come along are bannour, camembert-bio, drbenchmark, drbert"):
        protocols.load("camembertbio")
