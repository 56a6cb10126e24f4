"""Studies: the grid and its units, what is refused, what is done once, what goes on, and the table at the end."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from clusters import slurm
from typer.testing import CliRunner

from corpuskit import cli, runs
from corpuskit.ablate import carry, study
from corpuskit.ablate.run import Ablated, _key, ablate, look
from corpuskit.ablate.study import StudyError, merged
from corpuskit.executors import Execution, SlurmProfile

__all__ = ["slurm"]

pytestmark = pytest.mark.timeout(600)
SAMPLES = Path(cli.__file__).parents[1] / "samples"
ARCHITECTURE = {
    "model_type": "camembert", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 66,
}  # fmt: skip
SMALL = {
    "budget": {"steps": 4, "hours": None},
    "data": {"sequence_length": 64, "held_out": 20},
    "batch_tokens": 256,
    "device_sequences": 4,
    "validate_every": 4,
    "validation_sequences": 2,
    "checkpoint_every": 2,
}
EVALUATE = {"tasks": ["demo-labels"], "data": "demo", "change": {"steps": 2, "looks": 1, "resamples": 50}, "seeds": 2}


def content(**changed: Any) -> dict[str, Any]:
    """A study whose corpus is built from one file, and whose model trains in a second."""
    build = {"sources": [{"type": "jsonl", "path": str(SAMPLES / "jsonl"), "name": "cases"}]}
    return {
        "name": "small",
        "corpora": {"cases": {"build": build}},
        "samples": {"whole": None},
        "pretrain": {"config": "try-on-cpu", "change": SMALL},
        "starts": {"scratch": {"architecture": ARCHITECTURE, "tokenizer": {"vocabulary": 400, "held_out": 20}}},
        "evaluate": EVALUATE,
    } | changed


def only_evaluated(**models: Any) -> dict[str, Any]:
    return {"name": "small", "models": models, "evaluate": EVALUATE}


def states(done: Ablated) -> dict[str, str]:
    return {id: outcome.state for id, outcome in done.outcomes.items()}


def refused(given: dict[str, Any], folder: Path) -> str:
    with pytest.raises(StudyError) as error:
        study.validate(given, folder, "study.yaml")
    return str(error.value)


# ---------------------------------------------------------------------------------------------------------------------
# The grid


def test_the_grid_is_the_product_and_each_unit_is_there_once(tmp_path: Path) -> None:
    build = {"sources": [{"type": "jsonl", "path": "cases.jsonl"}]}
    plan = study.validate(
        content(
            corpora={"french": {"build": build}, "any": {"build": build, "change": {"language": "any"}}},
            samples={"whole": None, "tenth": "biomed-fr-small"},
            starts={
                "scratch": {"tokenizer": {"vocabulary": 500, "corpus": "french"}},
                "own": {"tokenizer": {"vocabulary": 500}},
                "continued": {"model": "almanach/camembert-base"},
            },
            without=[{"samples": "tenth", "starts": ["own", "continued"]}, {"corpora": "any", "starts": "own"}],
            models={"base": "almanach/camembert-base"},
        ),
        tmp_path,
    )
    assert [run.name for run in plan.runs] == [
        "french.whole.scratch", "french.whole.own", "french.whole.continued", "french.tenth.scratch",
        "any.whole.scratch", "any.whole.continued", "any.tenth.scratch", "base",
    ]  # fmt: skip
    assert {unit.id: plan.shared(unit) for unit in plan.units.values() if unit.level not in ("models", "results")} == {
        "corpora/french": 6,  # the tokenizer of `any.whole.scratch` is learnt from it too
        "corpora/any": 3,
        "samples/french.tenth": 1,
        "samples/any.tenth": 1,
        "tokenizers/french.scratch": 4,
        "tokenizers/french.whole.own": 1,
    }
    assert plan.runs[6].units == (
        "corpora/any", "samples/any.tenth", "corpora/french", "tokenizers/french.scratch", "models/any.tenth.scratch",
        "results/any.tenth.scratch",
    )  # fmt: skip
    assert plan.runs[7].units == ("results/base",)
    assert plan.units["corpora/any"].spec["config"]["language"] == "any"
    assert plan.units["corpora/any"].reads == {"input 0": str(tmp_path / "cases.jsonl")}
    assert plan.units["models/french.whole.continued"].spec["config"]["start"] == {
        "model": "almanach/camembert-base",
        "revision": None,
    }


def test_only_keeps_what_one_of_them_names(tmp_path: Path) -> None:
    corpora = {name: content()["corpora"]["cases"] for name in ("a", "b")}
    given = content(corpora=corpora, samples={"whole": None, "tenth": "biomed-fr-small"})
    plan = study.validate(given | {"only": [{"samples": "whole"}, {"corpora": "b"}]}, tmp_path)
    assert [run.name for run in plan.runs] == ["a.whole.scratch", "b.whole.scratch", "b.tenth.scratch"]


def test_a_change_goes_into_fields_and_replaces_lists() -> None:
    before = {"language": "fr", "dedup": {"articles": True, "near": {"rows": 3}}, "sources": [1, 2]}
    change = {"dedup": {"near": None}, "sources": [3]}
    assert merged(before, change) == {"language": "fr", "dedup": {"articles": True, "near": None}, "sources": [3]}
    assert before["dedup"] == {"articles": True, "near": {"rows": 3}}


def test_the_student_labels_what_a_recipe_asks_about(tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    given = content(samples={"whole": None, "educational": "educational"}, student="student")
    plan = study.validate(given, tmp_path)
    assert plan.runs[0].units[:2] == ("corpora/cases", "tokenizers/cases.whole.scratch")
    assert plan.runs[1].units[:3] == ("corpora/cases", "labels/cases", "samples/cases.educational")
    assert plan.units["labels/cases"].reads == {"source": "corpora/cases", "student": str(tmp_path / "student")}
    assert plan.units["samples/cases.educational"].reads == {
        "source": "corpora/cases",
        "annotations 0": "labels/cases",
    }


def test_the_studies_that_come_along_can_be_used(tmp_path: Path) -> None:
    assert set(study.shipped()) == {"biomed-fr", "try-on-cpu"}
    assert len(study.load("try-on-cpu").runs) == 4
    for folder in ("student", "data"):
        (tmp_path / folder).mkdir()
    shutil.copy(study.shipped()["biomed-fr"], tmp_path / "copied.yaml")
    plan = study.load(tmp_path / "copied.yaml")
    # Three corpora by two starts, nine more samples of the first, three models as they are.
    assert len(plan.runs) == 3 * 2 + 9 + 3
    assert [unit.id for unit in plan.level("labels")] == ["labels/french"]
    dedup = plan.units["corpora/repeated"].spec["config"]["dedup"]
    assert dedup == {"articles": False, "paragraphs": False, "near": None, "boilerplate": None}


# ---------------------------------------------------------------------------------------------------------------------
# What is refused

CORPUS = content()["corpora"]["cases"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"corpus": {}}, "corpus: no such option; did you mean `corpora`?"),
        ({"corpora": {"a": {}}}, "corpora.a: give either `path` (a corpus that is there) or `build` (a configuration)"),
        ({"corpora": {"a b": CORPUS}}, "corpora.a b: a name is of letters, digits, - and _ (given: 'a b')"),
        ({"corpora": {"a": CORPUS | {"chnage": {}}}}, "corpora.a.chnage: no such option; did you mean `change`?"),
        ({"student": "nowhere"}, "student: {folder}/nowhere: there is no such folder"),
        ({"corpora": {"a": {"path": "nowhere"}}}, "corpora.a: {folder}/nowhere: there is no such folder"),
        (
            {"corpora": {"a": CORPUS | {"change": {"langage": "any"}}}},
            "corpora.a: the build cannot be used:\n      - langage: no such option; did you mean `language`?",
        ),
        (
            {"samples": {"good": "educationl"}},
"samples.good: educationl is neither a recipe nor a file; did you mean educational?",
        ),
        (
            {"samples": {"good": "educational"}},
            "samples.good: the recipe reads `annotation.educational_quality`, and corpora.cases has no labels: give it "
            "`annotations`, or the study a `student`",
        ),
        (
            {"starts": {"a": {"model": "m", "tokenizer": "t"}}},
            "starts.a: give either `model` (to go on from it) or `architecture` and `tokenizer` (from scratch)",
        ),
        (
            {"starts": {"a": {"tokenizer": {"vocabulary": 500, "corpus": "case"}}}},
            "starts.a.tokenizer.corpus: there is no 'case'; did you mean 'cases'?",
        ),
        (
            {"starts": {"a": {"model": "m", "change": {"optimiser": {}}}}},
            "starts.a: try-on-cpu cannot be used:\n      - optimiser: no such option; did you mean `optimizer`?",
        ),
        ({"starts": {}}, "there are corpora and no starts: give both, or only `models` to evaluate"),
        (
            {"pretrain": None},
            "pretrain: missing; add the configuration of all models, such as {config: camembert-bio}",
        ),
        ({"only": [{"start": "a"}]}, "only: there is no axis 'start'; they are corpora, samples, starts"),
        ({"without": [{"starts": "scrach"}]}, "without.starts: there is no 'scrach'; did you mean 'scratch'?"),
        (
            {"without": [{"starts": "scratch"}]},
            "not one run is left: give `corpora` and `starts`, or `models`, or ask for less in `only`",
        ),
        ({"baseline": "base"}, "baseline: there is no 'base'; there are cases.whole.scratch"),
        (
            {"models": {"a": {"model": "m", "shots": 3}}},
            "models.a: `shots` is for a model that is asked (llm:URL#NAME), not for m",
        ),
        ({"evaluate": {"tasks": ["demo-ner"]}}, "evaluate.data: missing; add it (folder of their data; `demo` for what "
                                                "comes along)"),
        ({"evaluate": EVALUATE | {"data": "quaero"}}, "evaluate: {folder}/quaero: there is no such folder"),
        (
            {"evaluate": EVALUATE | {"tasks": ["demo-ner", "demo-labels", "demo-ner"]}},
            "evaluate: the task demo-ner is given twice",
        ),
        (
            {"evaluate": EVALUATE | {"tasks": ["demo-ner"], "change": {"select_by": "stict"}}},
            "evaluate: task demo-ner, protocol camembert-bio: there is no select_by 'stict'; there are strict, "
            "strict_macro, exact_span, overlap, overlap_span, token_with_o, token_with_o_weighted, token_with_o_macro, "
            "token, token_weighted, token_macro, strict_all",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(changed: dict[str, Any], told: str, tmp_path: Path) -> None:
    told = told.replace("{folder}", str(tmp_path))
    assert refused(content(**changed), tmp_path) == f"study.yaml cannot be used:\n  - {told}"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["ablate", "try-on-cp", "--output", str(tmp_path / "out")])
    assert done.exit_code == 1
    told = "try-on-cp: there is no such file; those that come along are biomed-fr, try-on-cpu; did you mean try-on-cpu?"
    assert told in done.output


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    plan = study.validate(only_evaluated(dictionary="dictionary"))
    for function in (ablate, look):
        with pytest.raises(StudyError, match="holds something else: choose another folder"):
            function(plan, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_data_that_a_task_cannot_use_is_told_before_anything_is_done(tmp_path: Path) -> None:
    data = tmp_path / "data" / "demo-labels"
    shutil.copytree(SAMPLES / "tasks" / "demo-labels", data)
    (data / "dev.csv").unlink()
    plan = study.validate(content(evaluate=EVALUATE | {"data": "data"}), tmp_path)
    for function in (ablate, look):
        with pytest.raises(StudyError, match=r"^evaluate: task demo-labels: .*dev\.csv"):
            function(plan, tmp_path / "study")
    assert not (tmp_path / "study").exists()


# ---------------------------------------------------------------------------------------------------------------------
# What is done


def test_a_study_from_a_corpus_to_the_table(tmp_path: Path) -> None:
    """All levels, really: one corpus fails until its source is there, and one model until its folder is whole."""
    source, given_model = tmp_path / "later.jsonl", tmp_path / "given"
    given_model.mkdir()
    later = {"build": {"sources": [{"type": "jsonl", "path": str(source), "name": "cases"}]}}
    given = content(
        corpora={"cases": CORPUS, "later": later},
        samples={"whole": None, "half": {"recipe": "biomed-fr-small", "change": {"budget": {"share": 0.5}}}},
        without=[{"corpora": "later", "samples": "half"}],
        models={"given": str(given_model), "dictionary": "dictionary"},
        baseline="dictionary",
    )
    plan, output = study.validate(given, tmp_path), tmp_path / "study"
    assert {outcome.state for outcome in look(plan, output)} == {"to do"}
    assert not output.exists()

    done = ablate(plan, output)
    assert states(done) == {
        "corpora/cases": "done",
        "corpora/later": "failed",
        "samples/cases.half": "done",
        "tokenizers/cases.whole.scratch": "done",
        "tokenizers/cases.half.scratch": "done",
        "tokenizers/later.whole.scratch": "left out",
        "models/cases.whole.scratch": "done",
        "models/cases.half.scratch": "done",
        "models/later.whole.scratch": "left out",
        "results/cases.whole.scratch": "done",
        "results/cases.half.scratch": "done",
        "results/later.whole.scratch": "left out",
        "results/given": "failed",
        "results/dictionary": "done",
    }
    assert done.unfinished == ["later.whole.scratch", "given"]
    assert [outcome.message.split("\n")[0].partition(": ")[0] for outcome in done.failed] == [
        "sources[0] (jsonl)",
        f"{given_model} cannot be opened",
    ]
    assert done.failed[1].message.split("\n")[-1] == f"Its log: {output}/logs/results/given.log"
    assert not (output / "manifest.json").exists()
    assert "Not finished: later.whole.scratch, given." in (output / "study.md").read_text()

    shutil.copy(next((SAMPLES / "jsonl").glob("*.jsonl")), source)
    shutil.copytree(output / "models" / "cases.half.scratch" / "model", given_model, dirs_exist_ok=True)
    again = ablate(plan, output)
    new = {"later.whole.scratch", "later", "given"}
    assert states(again) == {id: "done" if id.split("/")[1] in new else "before" for id in states(done)}
    assert again.unfinished == []
    manifest = json.loads((output / "manifest.json").read_text())
    assert (manifest["tool"], manifest["name"]) == ("corpuskit ablate", "small")
    assert [run["name"] for run in manifest["runs"]] == [run.name for run in plan.runs]
    assert manifest["energy"]["kwh"] == pytest.approx(sum(unit["energy"]["kwh"] for unit in manifest["units"]))
    assert manifest["runs"][2]["variants"] == {"corpora": "later", "samples": "whole", "starts": "scratch"}

    lines = (output / "study.md").read_text().split("\n")
    assert lines[2] == (
        "| run | corpus | sample | start | tokens | Wh to train | demo-labels, camembert-bio: accuracy |"
    )
    assert [line.split(" | ")[:4] for line in lines[4:9]] == [
        ["| cases.whole.scratch", "cases", "whole", "scratch"],
        ["| cases.half.scratch", "cases", "half", "scratch"],
        ["| later.whole.scratch", "later", "whole", "scratch"],
        ["| given", "", "", ""],
        ["| dictionary", "", "", ""],
    ]
    assert all(" ± " in line and "[" in line for line in lines[4:8])
    assert r"later.whole.scratch & later & whole & scratch &" in (output / "study.tex").read_text()
    assert "later.whole.scratch" in (output / "study.html").read_text()

    third = ablate(plan, output)
    assert (third.worked, set(states(third).values())) == (False, {"before"})
    assert not (output / ".work").exists()
    assert {outcome.state for outcome in look(plan, output)} == {"before"}


def test_what_has_changed_is_replaced_only_if_asked(tmp_path: Path) -> None:
    output = tmp_path / "study"
    models = {"dictionary": "dictionary"}
    assert ablate(study.validate(only_evaluated(**models)), output).failed == []
    changed = study.validate(only_evaluated(**models) | {"evaluate": EVALUATE | {"limit": 5}})
    (failed,) = ablate(changed, output).failed
    assert failed.message.split("\n")[0] == (
        f"{output}/results/dictionary holds another run: choose another folder, or replace it with --overwrite"
    )
    done = ablate(changed, output, overwrite=True)
    assert states(done) == {"results/dictionary": "done"}
    assert states(ablate(changed, output, overwrite=True)) == {"results/dictionary": "before"}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_unit_whose_process_is_killed_is_one_that_failed(tmp_path: Path, workers: int) -> None:
    armed = tmp_path / "armed"
    (tmp_path / "task.py").write_text(
        "import os, signal, pathlib\n"
        "from corpuskit.evaluate import tasks\n"
        f"if pathlib.Path({str(armed)!r}).exists():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "TASK = tasks.load('demo-labels')\n"
    )
    given = only_evaluated(first="dictionary", second="dictionary") | {"evaluate": EVALUATE | {"tasks": ["task.py"]}}
    plan = study.validate(given, tmp_path)
    armed.touch()
    done = ablate(plan, tmp_path / "study", execution=Execution(workers=workers))
    assert states(done) == {"results/first": "failed", "results/second": "failed"}
    assert done.comparison is None
    assert done.failed[0].message.split("\n")[0] == (
        "its process was killed by SIGKILL, often because memory ran out: give it more, or let fewer run side by side"
    )
    armed.unlink()
    assert set(states(ablate(plan, tmp_path / "study", execution=Execution(workers=workers))).values()) == {"done"}


def test_a_study_that_is_killed_goes_on(tmp_path: Path) -> None:
    steps = {"budget": {"steps": 400, "hours": None}, "checkpoint_every": 5}
    given = content(evaluate=EVALUATE | {"seeds": 1})
    given["starts"]["scratch"]["change"] = steps
    (tmp_path / "study.yaml").write_text(json.dumps(given))  # JSON is YAML
    output = tmp_path / "study"
    command = [sys.executable, "-m", "corpuskit", "ablate", str(tmp_path / "study.yaml"), "--output", str(output)]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    model = output / "models" / "cases.whole.scratch"
    end = time.monotonic() + 240
    while len(list((model / ".work" / "checkpoints").glob("step-*"))) < 2:
        assert time.monotonic() < end, "it trains"
        assert driver.poll() is None, "it ended too early"
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    plan = study.load(tmp_path / "study.yaml")
    found = {outcome.unit.id: outcome.state for outcome in look(plan, output)}
    assert (found["corpora/cases"], found["models/cases.whole.scratch"]) == ("before", "interrupted")
    while runs.running(model):  # the process that trained ends with its driver, within a second
        assert time.monotonic() < end, "it outlives its driver"
        time.sleep(0.1)
    done = ablate(plan, output)
    assert states(done) == {
        "corpora/cases": "before",
        "tokenizers/cases.whole.scratch": "before",
        "models/cases.whole.scratch": "done",
        "results/cases.whole.scratch": "done",
    }
    kinds = [json.loads(line)["kind"] for line in (model / "log.jsonl").read_text().splitlines()]
    assert "resumed" in kinds


@pytest.mark.xdist_group("slurm")
def test_slurm_does_a_level_as_an_array(slurm: Path, tmp_path: Path) -> None:
    plan = study.validate(only_evaluated(first="dictionary", gone="./nowhere", second="dictionary"), tmp_path)
    execution = Execution(kind="slurm", workers=3, profile=SlurmProfile(max_array_size=5))
    lines: list[dict[str, Any]] = []
    done = ablate(plan, tmp_path / "study", execution=execution, tell=lines.append)
    assert states(done) == {"results/first": "done", "results/gone": "failed", "results/second": "done"}
    assert done.failed[0].message.startswith("./nowhere: there is no such folder")
    assert sorted(line["unit"] for line in lines) == ["results/first", "results/gone", "results/second"]
    jobs = tmp_path / "study" / "logs" / "results" / "tasks" / "slurm_logs"
    assert len(list(jobs.glob("*.out"))) == 3


def test_the_command_line_shows_what_is_shared_and_what_failed(tmp_path: Path) -> None:
    given = only_evaluated(dictionary="dictionary", gone="./nowhere")
    (tmp_path / "study.yaml").write_text(json.dumps(given))
    command = ["ablate", str(tmp_path / "study.yaml"), "--output", str(tmp_path / "study")]
    shown = CliRunner().invoke(cli.app, [*command, "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert [line.split() for line in shown.output.splitlines()[:3]] == [
        ["unit", "for", "runs", "state"],
        ["results/dictionary", "1", "to", "do"],
        ["results/gone", "1", "to", "do"],
    ]
    assert "2 runs in 2 units, 0 of them shared: 2 to do. Nothing was done." in shown.output
    assert not (tmp_path / "study").exists()
    done = CliRunner().invoke(cli.app, command)
    assert done.exit_code == 1
    assert "failed: results/gone: ./nowhere: there is no such folder" in done.output
    assert "1 of 2 units failed, and 1 of 2 runs have no result for that (gone)." in done.output
    again = CliRunner().invoke(cli.app, [*command, "--dry-run"])
    assert "2 runs in 2 units, 0 of them shared: 1 done before, 1 failed. Nothing was done." in again.output


def test_units_side_by_side_have_a_gpu_each(tmp_path: Path) -> None:
    devices = ["0", "MIG-1/2"]
    with carry._free(tmp_path, devices, 0) as first, carry._free(tmp_path, devices, 1) as second:
        assert (first, second) == ("0", "MIG-1/2")
        with carry._free(tmp_path, devices, 3) as third:  # there is none left: it is shared
            assert third == "MIG-1/2"
    with carry._free(tmp_path, devices, 2) as free, carry._free(tmp_path, [], 2) as none:
        assert (free, none) == ("0", None)


def test_what_was_read_decides_whether_a_unit_is_done(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(SAMPLES / "tasks", data)
    plan = study.validate(only_evaluated(dictionary="dictionary") | {"evaluate": EVALUATE | {"data": "data"}}, tmp_path)
    assert states(ablate(plan, tmp_path / "study")) == {"results/dictionary": "done"}
    (data / "manifest.json").write_text('{"files": []}')  # their makers' own, which says nothing of what is there
    assert states(ablate(plan, tmp_path / "study")) == {"results/dictionary": "done"}
    assert states(ablate(plan, tmp_path / "study")) == {"results/dictionary": "before"}
    file = data / "demo-labels" / "train.csv"
    file.write_text(file.read_text())  # written again, with the same content: its stage looks, and does nothing
    lines: list[dict[str, Any]] = []
    before = (tmp_path / "study" / "results" / "dictionary" / "manifest.json").stat().st_mtime_ns
    ablate(plan, tmp_path / "study", tell=lines.append)
    assert (tmp_path / "study" / "results" / "dictionary" / "manifest.json").stat().st_mtime_ns == before
    assert [line["state"] for line in lines] == ["done"]


def test_another_baseline_makes_the_table_anew(tmp_path: Path) -> None:
    given = only_evaluated(one="dictionary", two="dictionary")
    assert ablate(study.validate(given | {"baseline": "one"}), tmp_path / "study").worked
    done = ablate(study.validate(given | {"baseline": "two", "description": "which?"}), tmp_path / "study")
    assert (done.worked, set(states(done).values())) == (False, {"before"})
    table = (tmp_path / "study" / "study.md").read_text()
    assert table.startswith("# small\n\n| run | demo-labels, camembert-bio: accuracy |")
    assert "which?. Figures" in table
    assert "above and below two, both p-values" in table
    assert json.loads((tmp_path / "study" / "manifest.json").read_text())["study"]["baseline"] == "two"


def test_without_one_result_there_is_no_table(tmp_path: Path) -> None:
    output = tmp_path / "study"
    ablate(study.validate(only_evaluated(dictionary="dictionary")), output)
    (tmp_path / "study.yaml").write_text(json.dumps(only_evaluated(gone="./nowhere")))
    done = CliRunner().invoke(cli.app, ["ablate", str(tmp_path / "study.yaml"), "--output", str(output)])
    assert done.exit_code == 1
    assert "Written to" not in done.output
    assert not list(output.glob("study.*"))


def test_what_a_pattern_finds_and_the_code_of_a_loader_are_looked_at(tmp_path: Path) -> None:
    build = {"sources": [{"type": "jsonl", "path": "cases-*.jsonl", "name": "cases"}]}
    (tmp_path / "task.yaml").write_text(
        "{title: t, source: s, licence: l, kind: labels, loader: {format: python, function: 'reads.py:read'},"
        " parts: {train: a, dev: b, test: c}}"
    )
    given = content(corpora={"cases": {"build": build}}, evaluate=EVALUATE | {"tasks": ["task.yaml"]})

    def keys() -> list[str]:
        plan = study.validate(given, tmp_path)
        return [_key(plan.units[id], tmp_path / "study") for id in ("corpora/cases", "results/cases.whole.scratch")]

    (tmp_path / "cases-1.jsonl").write_text("{}")
    (tmp_path / "reads.py").write_text("")
    first = keys()
    assert keys() == first
    (tmp_path / "cases-2.jsonl").write_text("{}")
    second = keys()
    assert (second[0] != first[0], second[1]) == (True, first[1])
    (tmp_path / "reads.py").write_text("# other")
    assert (keys()[0], keys()[1] != second[1]) == (second[0], True)
