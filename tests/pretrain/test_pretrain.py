"""Pretraining runs: what they write, that nothing interrupts them for good, and what they refuse."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from small_models import ARCHITECTURE, content, write_texts, write_tokenizer
from transformers import AutoModelForMaskedLM, AutoTokenizer
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.pretrain import config as configuration
from corpuskit.pretrain.config import PretrainError, validate
from corpuskit.pretrain.run import pretrain, source_of


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("data") / "bio")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens")


def lines(output: Path, kind: str) -> list[dict[str, Any]]:
    log = (output / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, log) if line["kind"] == kind]


Run = Callable[..., Path]


@pytest.fixture
def run(tokenizer: Path, data: Path, store: Path, tmp_path: Path) -> Run:
    def run_one(name: str = "out", **changed: Any) -> Path:
        pretrain(validate(content(tokenizer, data, **changed)), tmp_path / name, store=store)
        return tmp_path / name

    return run_one


def test_a_model_learns_and_its_folder_is_a_plain_one(run: Run) -> None:
    output = run(budget={"steps": 60}, validate_every=20)
    losses = [line["loss"]["all"] for line in lines(output, "validation")]
    assert len(losses) == 4
    assert losses[0] == pytest.approx(3.1, abs=0.3)  # of 23 tokens none is known: log 23
    assert losses[-1] < losses[0] - 0.5
    model = AutoModelForMaskedLM.from_pretrained(output / "model")
    tokenizer = AutoTokenizer.from_pretrained(output / "model")
    told = tokenizer("le patient <mask>", return_tensors="pt")
    assert model(**told).logits.shape == (1, 5, 23)
    assert sorted(path.name for path in output.iterdir()) == ["curves.png", "log.jsonl", "manifest.json", "model"]
    manifest = json.loads((output / "manifest.json").read_bytes())
    assert manifest["training"]["steps"] == 60
    assert manifest["training"]["loss"]["last"]["all"] == losses[-1]
    assert manifest["start"]["kind"] == "from scratch"
    assert manifest["energy"]["kwh"] > 0
    assert str(output.parent) not in json.dumps(manifest)  # no folder of this machine
    assert "# small" in (output / "model" / "README.md").read_text(encoding="utf-8")


def test_done_again_there_is_nothing_to_do(run: Run, tokenizer: Path, data: Path, store: Path) -> None:
    output = run()
    before = (output / "manifest.json").read_bytes()
    done = pretrain(validate(content(tokenizer, data)), output, store=store)
    assert not done.worked
    assert (output / "manifest.json").read_bytes() == before
    with pytest.raises(PretrainError, match="holds another run: choose another folder, or replace it with --overwrite"):
        pretrain(validate(content(tokenizer, data, seed=2)), output, store=store)


def test_a_model_goes_on_from_another(run: Run, tmp_path: Path) -> None:
    first = run("first", budget={"steps": 40}, license="mit")
    second = run(
        "second", start={"model": str(first / "model")}, budget={"steps": 4}, optimizer={"learning_rate": 1e-4}
    )
    at_the_end, at_the_start = lines(first, "validation")[-1], lines(second, "validation")[0]
    assert at_the_start["loss"]["all"] == pytest.approx(at_the_end["loss"]["all"], rel=1e-5)
    start = json.loads((second / "manifest.json").read_bytes())["start"]
    assert (start["kind"], start["model"], start["license"]) == ("continual", "model", "mit")
    assert "license: mit" in (second / "model" / "README.md").read_text(encoding="utf-8")
    assert len(start["model_sha256"]) == 64


SCRIPT = """
import sys, yaml
from pathlib import Path
import torch
torch.set_num_threads(1)
from corpuskit.pretrain.config import validate
from corpuskit.pretrain.run import pretrain
pretrain(validate(yaml.safe_load(Path(sys.argv[1]).read_text())), sys.argv[2], store=sys.argv[3])
"""


def start(config: dict[str, Any], output: Path, store: Path, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    script, written = output.parent / "script.py", output.parent / "config.yaml"
    script.write_text(SCRIPT, encoding="utf-8")
    written.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, *launcher, str(script), str(written), str(output), str(store)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def curve(output: Path) -> list[tuple[int, str, Any]]:
    """What a loss curve is: no times, no energy."""
    found = []
    for line in (*lines(output, "train"), *lines(output, "validation")):
        found.append((line["step"], line["kind"], line["loss"], line["tokens"], line.get("gradient_norm")))
    return sorted(found, key=lambda one: one[:2])


@pytest.mark.parametrize("objective", ["mlm", "causal-then-mlm"])
def test_killed_again_and_again_it_ends_with_the_same_curve(
    objective: str, tokenizer: Path, data: Path, store: Path, tmp_path: Path
) -> None:
    config = content(tokenizer, data, objective=objective, causal_share=0.5, budget={"steps": 24}, batch_tokens=1024)
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = start(config, tmp_path / "whole" / "out", store)
    assert whole.wait(240) == 0, whole.stderr and whole.stderr.read()
    chance, kills, output = random.Random(7), 0, tmp_path / "killed" / "out"
    while True:
        process = start(config, output, store)
        log, checkpoints = output / ".work" / "log.jsonl", output / ".work" / "checkpoints"
        known = len(list(checkpoints.glob("step-*"))) if checkpoints.exists() else 0
        latest = max((path.name for path in checkpoints.glob("step-*")), default="")
        # Killed some time after the next checkpoint was written, until that has happened three times.
        while kills < 3 and process.poll() is None:
            if max((path.name for path in checkpoints.glob("step-*")), default="") > latest:
                time.sleep(chance.uniform(0, 0.3))
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
            time.sleep(0.005)
        if process.wait(240) == 0:
            break
        assert process.returncode == -signal.SIGKILL, process.stderr and process.stderr.read()
        assert log.exists()
        assert known >= 0
    assert kills == 3
    assert curve(output) == curve(tmp_path / "whole" / "out")
    resumed = [line["step"] for line in lines(output, "resumed")]
    assert len(resumed) == 3
    assert resumed == sorted(resumed)
    weights = [
        AutoModelForMaskedLM.from_pretrained(tmp_path / one / "out" / "model").state_dict()
        for one in ("whole", "killed")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_two_processes_learn_what_one_learns(tokenizer: Path, data: Path, store: Path, tmp_path: Path) -> None:
    still = ARCHITECTURE | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = content(tokenizer, data, start={"architecture": still, "tokenizer": str(tokenizer)})
    for name, launcher in (
        ("one", ()),
        ("two", ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")),
    ):
        (tmp_path / name).mkdir()
        process = start(config, tmp_path / name / "out", store, launcher)
        assert process.wait(240) == 0, process.stderr and process.stderr.read()
    one, two = (curve(tmp_path / name / "out") for name in ("one", "two"))
    for (step, kind, loss, tokens, norm), other in zip(one, two, strict=True):
        assert other[:2] == (step, kind)
        assert other[3] == tokens
        assert (other[2] if kind == "train" else other[2]["all"]) == pytest.approx(
            loss if kind == "train" else loss["all"], rel=2e-4
        )
        assert other[4] == pytest.approx(norm, rel=2e-3) if norm is not None else other[4] is None
    assert lines(tmp_path / "two" / "out", "start")[0]["devices"] == 2


def test_first_causal_then_masked(run: Run) -> None:
    output = run(objective="causal-then-mlm", causal_share=0.5, budget={"steps": 12}, validate_every=100)
    train = lines(output, "train")
    assert [line["objective"] for line in train] == ["causal"] * 6 + ["mlm"] * 6
    looks = [(line["step"], line["objective"]) for line in lines(output, "validation")]
    assert looks == [(0, "causal"), (6, "causal"), (6, "mlm"), (12, "mlm")]
    told = json.loads((output / "manifest.json").read_bytes())["training"]["loss"]
    assert told["objective"] == {"first": "causal", "last": "mlm"}


def test_a_causal_model(run: Run, tokenizer: Path) -> None:
    from transformers import AutoModelForCausalLM

    architecture = {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
    output = run(objective="causal", start={"architecture": architecture, "tokenizer": str(tokenizer)})
    assert [line["objective"] for line in lines(output, "validation")] == ["causal"] * 4
    assert AutoModelForCausalLM.from_pretrained(output / "model").config.model_type == "gpt2"
    assert "text-generation" in (output / "model" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("budget", "reason", "steps"),
    [
        ({"steps": 5}, "steps", 5),
        ({"tokens": 1_000}, "tokens", 4),
        ({"steps": 5_000, "hours": 1e-6}, "hours", None),
        ({"steps": 5_000, "kwh": 1e-12}, "kwh", None),
    ],
)
def test_it_ends_when_its_budget_is_used(budget: dict[str, float], reason: str, steps: int | None, run: Run) -> None:
    output = run(budget=budget)
    (end,) = lines(output, "end")
    assert end["reason"] == reason
    assert end["step"] == steps if steps else end["step"] < 5_000
    assert lines(output, "validation")[-1]["step"] == end["step"]
    assert json.loads((output / "manifest.json").read_bytes())["training"]["reason"] == reason


def test_a_mixture_keeps_its_shares_and_has_a_loss_by_source(
    tokenizer: Path, data: Path, store: Path, tmp_path: Path
) -> None:
    other = write_texts(tmp_path / "general", seed=2)
    config = content(tokenizer, data, other)
    config["data"]["sources"][0]["weight"] = 3.0
    pretrain(validate(config), tmp_path / "out", store=store)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    bio, general = (one["tokens"] for one in manifest["data"])
    epochs = manifest["training"]["epochs"]
    assert epochs["bio"] * bio / (epochs["general"] * general) == pytest.approx(3, rel=0.15)
    assert set(lines(tmp_path / "out", "validation")[0]["loss"]) == {"all", "bio", "general"}


def test_a_data_set_is_watched_without_being_trained_on(
    run: Run, tokenizer: Path, data: Path, store: Path, tmp_path: Path
) -> None:
    other = write_texts(tmp_path / "general", seed=2)
    config = content(tokenizer, data)
    config["data"]["watched"] = [{"path": str(other)}]
    pretrain(validate(config), tmp_path / "out", store=store)
    losses = [line["loss"] for line in lines(tmp_path / "out", "validation")]
    assert [set(one) for one in losses] == [{"all", "bio", "general"}] * 4
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert [one["name"] for one in manifest["data"]] == ["bio"]
    assert [one["name"] for one in manifest["watched"]] == ["general"]
    unwatched = run("unwatched")
    assert [line["loss"] for line in lines(unwatched, "train")] == [
        line["loss"] for line in lines(tmp_path / "out", "train")
    ]


def test_the_mask_rate_follows_its_schedule(run: Run) -> None:
    # What is guessed is not in the log, but the loss of one that guesses nearly nothing is known badly: so by counting.
    from corpuskit.pretrain.config import Masking

    schedule = Masking(rate=[(0.0, 0.3), (0.5, 0.15)])
    assert [schedule.at(done) for done in (0.0, 0.49, 0.5, 0.99)] == [0.3, 0.3, 0.15, 0.15]
    with pytest.raises(PretrainError, match=r"masking.rate: a schedule begins at 0 and goes up"):
        validate({"name": "a", "start": {"model": "b"}, "budget": {"steps": 1}, "masking": {"rate": [[0.5, 0.3]]}})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"data": {"sources": []}}, "data.sources: there are none; name a data set there, or give --data DIR"),
    ({"data": {"sources": [{"path": "nowhere"}]}}, "nowhere: no Parquet files of paragraphs there"),
    ({"data": {"sequence_length": 512}}, "data.sequence_length: 512 is more than the 64 tokens that"),
    ({"start": {"model": "no/such/folder"}}, "no/such/folder"),
    ({"start": {"architecture": {"model_type": "nomodel"}}}, "nomodel"),
]


@pytest.mark.parametrize(("changed", "told"), REFUSED)
def test_what_cannot_be_is_refused(
    changed: dict[str, Any], told: str, tokenizer: Path, data: Path, store: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = content(tokenizer, data)
    for name, value in changed.items():
        config[name] = value if name == "start" and "model" in value else config[name] | value
    with pytest.raises(PretrainError) as refusal:
        pretrain(validate(config), tmp_path / "out", store=store)
    assert told in str(refusal.value)
    assert not (tmp_path / "out" / "model").exists()


def test_a_tokenizer_that_does_not_fit_is_refused(run: Run, tokenizer: Path, tmp_path: Path) -> None:
    first = run("first", budget={"steps": 1})
    more = AutoTokenizer.from_pretrained(first / "model")
    more.add_tokens(["foie-gras", "cœur-poumon"])
    more.save_pretrained(first / "model")
    with pytest.raises(PretrainError, match=r"the tokenizer does not fit the model: it has 25 tokens, and .* 23"):
        run("second", start={"model": str(first / "model")})


def test_an_empty_data_set_is_refused(tokenizer: Path, store: Path, tmp_path: Path) -> None:
    empty = write_texts(tmp_path / "empty", articles=1)
    import pyarrow.parquet as pq

    path = empty / "paragraphs" / "00000.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(PretrainError, match="there is no text to train on"):
        pretrain(validate(content(tokenizer, empty)), tmp_path / "out", store=store)


def test_a_loss_that_is_no_number_ends_the_run(run: Run, tmp_path: Path) -> None:
    with pytest.raises(PretrainError, match=r"step \d+: the loss is (nan|inf): lower the learning rate"):
        run(optimizer={"learning_rate": 1e30, "warmup": 0, "clip": 1e30}, budget={"steps": 40})
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_used(
    tokenizer: Path, data: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from corpuskit.pretrain import checkpoint

    real, config = checkpoint.save, validate(content(tokenizer, data))

    def save(folder: Path, step: int, *rest: Any) -> None:
        real(folder, step, *rest)
        if step == 9:
            (folder / "step-000000009" / "optimizer.pt").write_bytes(b"nothing")
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", save)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, tmp_path / "out", store=store)
    monkeypatch.setattr(checkpoint, "save", real)
    told: list[dict[str, Any]] = []
    pretrain(config, tmp_path / "out", store=store, tell=told.append)
    (warning,) = (line["message"] for line in told if line["kind"] == "warning")
    assert "step-000000009 is damaged (optimizer.pt is not what was written): it is left aside" in warning
    assert [line["step"] for line in told if line["kind"] == "resumed"] == [6]


def interrupted(
    monkeypatch: pytest.MonkeyPatch, config: Any, output: Path, store: Path, what: str = "step-000000009"
) -> None:
    """A run that is ended once a checkpoint is there, or before it writes its model."""
    from corpuskit.pretrain import checkpoint
    from corpuskit.pretrain import run as running

    real = checkpoint.save

    def save(folder: Path, *rest: Any) -> None:
        real(folder, *rest)
        if (folder / what).exists():
            raise KeyboardInterrupt

    def write(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", save)
        patched.setattr(running, "_write", write)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config, output, store=store)


def test_killed_while_its_model_is_written_it_tells_the_same(
    run: Run, tokenizer: Path, data: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = validate(content(tokenizer, data))
    whole = json.loads((run("whole") / "manifest.json").read_bytes())["training"]
    interrupted(monkeypatch, config, tmp_path / "out", store, what="none")
    told = pretrain(config, tmp_path / "out", store=store).manifest["training"]
    for name in ("loss", "epochs", "steps", "tokens", "reason"):
        assert told[name] == whole[name], name


def test_checkpoints_of_another_run_are_not_dropped_unasked(
    tokenizer: Path, data: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    interrupted(monkeypatch, validate(content(tokenizer, data)), output, store)
    other = validate(content(tokenizer, data, seed=2))
    with pytest.raises(PretrainError, match="holds checkpoints of another run that is not finished"):
        pretrain(other, output, store=store)
    # What does not change what a step does is no other run: where the texts lie, how often it is looked at.
    moved = tmp_path / "elsewhere"
    moved.symlink_to(data)
    same = content(tokenizer, moved, validate_every=5, description="the same")
    told: list[dict[str, Any]] = []
    pretrain(validate(same), output, store=store, tell=told.append)
    assert [line["step"] for line in told if line["kind"] == "resumed"] == [9]
    pretrain(other, output, store=store, overwrite=True)
    assert json.loads((output / "manifest.json").read_bytes())["config"]["seed"] == 2


def test_where_no_checkpoint_can_be_read_nothing_is_thrown_away(
    tokenizer: Path, data: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, output = validate(content(tokenizer, data)), tmp_path / "out"
    interrupted(monkeypatch, config, output, store)
    for path in (output / ".work" / "checkpoints").glob("*/optimizer.pt"):
        path.write_bytes(b"nothing")
    with pytest.raises(PretrainError, match=r"No checkpoint can be read; remove .*out to begin anew"):
        pretrain(config, output, store=store)


def test_a_disk_that_is_full_is_told_and_the_checkpoint_stays(
    tokenizer: Path, data: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from corpuskit.pretrain import run as running

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "out" / "model.safetensors"))

    config = validate(content(tokenizer, data))
    with monkeypatch.context() as patched:
        patched.setattr(running, "_write", full)
        with pytest.raises(PretrainError, match=r"model\.safetensors: No space left on device\. The last"):
            pretrain(config, tmp_path / "out", store=store)
    told: list[dict[str, Any]] = []
    pretrain(config, tmp_path / "out", store=store, tell=told.append)
    assert [line["step"] for line in told if line["kind"] == "resumed"] == [12]


def test_a_raised_limit_does_not_go_on_with_a_finished_run(
    run: Run, tokenizer: Path, data: Path, store: Path, tmp_path: Path
) -> None:
    output = run(budget={"steps": 5_000, "hours": 1e-6})
    config = validate(content(tokenizer, data, budget={"steps": 5_000, "hours": 1.0}))
    with pytest.raises(PretrainError, match="was ended by its limit of 1e-06 hours, and its checkpoints are gone"):
        pretrain(config, output, store=store)


def test_a_model_without_its_output_layer_is_refused(run: Run, tmp_path: Path) -> None:
    from transformers import AutoModel

    first = run("first", budget={"steps": 1})
    AutoModel.from_pretrained(first / "model").save_pretrained(tmp_path / "body")
    AutoTokenizer.from_pretrained(first / "model").save_pretrained(tmp_path / "body")
    with pytest.raises(PretrainError, match=r"body lacks lm_head\..* and more: what was saved without"):
        run("second", start={"model": str(tmp_path / "body")})


@pytest.mark.parametrize("changed", [{"precision": "bf16"}, {"compile": True}])
def test_other_ways_to_compute_give_nearly_the_same_loss(changed: dict[str, Any], run: Run, tokenizer: Path) -> None:
    still = ARCHITECTURE | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    start = {"architecture": still, "tokenizer": str(tokenizer)}
    plain, other = run("plain", start=start), run("other", start=start, **changed)
    for one, two in zip(lines(plain, "train"), lines(other, "train"), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=0.02 if changed.get("precision") else 1e-4)
    assert lines(other, "start")[0]["precision"] == changed.get("precision", "float32")


def test_seeds_may_be_large(run: Run) -> None:
    assert lines(run(seed=2**62 + 1, budget={"steps": 2}), "end")[0]["step"] == 2


def test_what_data_may_be_given_as() -> None:
    assert source_of("corpus").model_dump() == {"path": "corpus", "name": "", "weight": 1.0, "weights": None}
    assert source_of("bio=a/b@2.5").model_dump() == {"path": "a/b", "name": "bio", "weight": 2.5, "weights": None}
    with pytest.raises(PretrainError, match="--data bio=a@x: expected DIR, NAME=DIR or NAME=DIR@WEIGHT"):
        source_of("bio=a@x")


def test_the_command(tokenizer: Path, data: Path, store: Path, tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(content(tokenizer)), encoding="utf-8")
    command = [
        "pretrain",
        str(config),
        "--data",
        f"bio={data}",
        "--output",
        str(tmp_path / "out"),
        "--tokens",
        str(store),
    ]
    done = CliRunner().invoke(app, [*command, "--steps", "4", "--grid", "56"])
    assert done.exit_code == 0, done.output
    assert "4 steps" in done.output
    assert "CamemBERT-bio" in done.output
    again = CliRunner().invoke(app, [*command, "--steps", "4", "--grid", "56"])
    assert "holds this very run already: nothing to do" in " ".join(again.output.split())
    wrong = CliRunner().invoke(app, ["pretrain", str(config), "--data", "nowhere", "--output", str(tmp_path / "other")])
    assert wrong.exit_code == 1
    assert "error: nowhere: no Parquet files of paragraphs there" in " ".join(wrong.output.split())


@pytest.mark.parametrize("name", sorted(configuration.shipped()))
def test_the_configurations_that_come_along_are_valid(name: str) -> None:
    assert configuration.load(name).name == name


def test_fields_that_are_wrong_are_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "name: x\nstart: {model: a, architecture: {model_type: b}}\ndata: {sources: [{path: a, wieght: 2}]}\n"
        "optimizer: {warmap: 1, clip: -1}\nbudget: {hours: 2}\n",
        encoding="utf-8",
    )
    with pytest.raises(PretrainError) as refusal:
        configuration.load(path)
    assert str(refusal.value).splitlines() == [
        f"{path} cannot be used:",
        "  - start: give either `model` (to go on from it) or `architecture` (from scratch)",
        "  - data.sources.0.wieght: no such option; did you mean `weight`?",
        "  - optimizer.clip: Input should be greater than 0 (given: -1)",
        "  - optimizer.warmap: no such option; did you mean `warmup`?",
        "  - budget: give `steps` or `tokens`: the learning rate is planned over them",
    ]


def test_the_job_of_a_node_with_several_gpus(tmp_path: Path) -> None:
    stub = tmp_path / "torchrun"
    stub.write_text('#!/bin/bash\necho "$OMP_NUM_THREADS $HF_HUB_OFFLINE" "$@"\n', encoding="utf-8")
    stub.chmod(0o755)
    script = Path(__file__).parents[2] / "pipelines" / "slurm" / "pretrain.sbatch"
    environment = os.environ | {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "SLURM_GPUS_ON_NODE": "2", "SLURM_CPUS_PER_TASK": "16",
    }  # fmt: skip
    command = ["bash", str(script), "camembert-bio", "/data/bio", "/out/model", "--model", "/models/camembert-base"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [
        "8", "1", "--standalone", "--nproc-per-node", "2", "-m", "--", "corpuskit", "pretrain", "camembert-bio",
        "--data", "/data/bio", "--output", "/out/model", "--tokens", "/out/tokens", "--log", "json", "--model",
        "/models/camembert-base",
    ]  # fmt: skip
