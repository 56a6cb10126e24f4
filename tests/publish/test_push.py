"""Pushing to a stand-in of the Hub that fails on demand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import TOKEN, Hub, serving
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.cli import publish as _commands  # noqa: F401  (registers the commands)
from corpuskit.pretrain.push import push as push_model
from corpuskit.publish.dataset import Publication, publish
from corpuskit.publish.push import PushError, push
from corpuskit.publish.splits import Shares
from corpuskit.runs import write_json


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", found.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        # The stand-in knows the older way of uploading only; the client waits between its tries.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("time.sleep", lambda _: None)
        yield found


@pytest.fixture(scope="module")
def folder(corpus: Path, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = Publication(name="Corpus", shares=Shares(70.0, 15.0, 15.0))
    return publish(corpus, tmp_path_factory.mktemp("out") / "published", told, samples={"twice": sample}).output


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_revision_is_the_folder(hub: Hub, folder: Path) -> None:
    done = push(folder, "lab/corpus")
    assert hub.revisions[1:] == [content(folder) | {".gitattributes": b""}]
    assert done.commit == hub.head
    assert hub.private
    assert hub.tokens == {f"Bearer {TOKEN}"}


def test_an_interrupted_push_resumes_and_no_half_revision_is_ever_there(hub: Hub, folder: Path) -> None:
    before = list(hub.revisions)
    hub.cut_after = 3
    with pytest.raises(PushError, match=r"while uploading: .*\nNothing was published. The same command goes on"):
        push(folder, "lab/corpus")
    assert hub.revisions == before
    assert sum(hub.uploads.values()) == 3
    hub.cut_after, hub.refusals = None, [503]
    with pytest.raises(PushError, match=r"while committing: .*503"):
        push(folder, "lab/corpus")
    assert hub.revisions == before
    push(folder, "lab/corpus")
    assert hub.revisions[1:] == [content(folder) | {".gitattributes": b""}]
    assert set(hub.uploads.values()) == {1}


def test_what_is_no_longer_in_the_folder_is_not_in_the_revision(
    hub: Hub, folder: Path, corpus: Path, tmp_path: Path
) -> None:
    push(folder, "lab/corpus")
    less = publish(corpus, tmp_path / "less", Publication(name="Corpus", shares=Shares(70.0, 15.0, 15.0))).output
    push(less, "lab/corpus")
    assert hub.revisions[-1] == content(less) | {".gitattributes": b""}


@pytest.mark.parametrize("how", ["changed", "gone", "unfinished"])
def test_a_folder_that_is_not_whole_is_not_pushed(hub: Hub, folder: Path, tmp_path: Path, how: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    file = next((copy / "data" / "paragraphs").glob("train-*.parquet"))
    if how == "changed":
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    elif how == "gone":
        file.unlink()
    else:
        (copy / "manifest.json").unlink()
    with pytest.raises(PushError, match=r"is not as it was written|is gone|is no published data set"):
        push(copy, "lab/corpus")
    assert len(hub.revisions) == 1
    assert not hub.uploads


def test_without_a_token_nothing_is_sent_and_it_is_said_where_it_belongs(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PushError, match="no token: set HF_TOKEN"):
        push(folder, "lab/corpus")
    assert not hub.tokens


def test_the_commands_publish_push_and_refill(
    hub: Hub, corpus: Path, sample: Path, labels: Path, tmp_path: Path
) -> None:
    runner, output = CliRunner(), str(tmp_path / "out")
    arguments = ["publish", str(corpus), "--sample", f"two={sample}", "--annotations", f"m={labels}", "--name", "C",
                 "--splits", "80/10/10", "--contact", "x@lab.example", "--output", output]  # fmt: skip
    done = runner.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "36 paragraphs are published without text: no licence stated." in done.output
    assert not hub.tokens
    hub.refusals = [503]
    failed = runner.invoke(app, [*arguments, "--push", "lab/corpus"])
    assert failed.exit_code == 1
    assert "Nothing was published" in failed.output
    done = runner.invoke(app, [*arguments, "--push", "lab/corpus"])
    assert done.exit_code == 0, done.output
    # What was looked at before is what was pushed, but for the card, which knows now where it is.
    assert 'load_dataset("lab/corpus", "paragraphs"' in hub.revisions[-1]["README.md"].decode()
    assert TOKEN not in done.output + failed.output
    assert not [path for path, body in hub.revisions[-1].items() if TOKEN.encode() in body]
    refilled = runner.invoke(app, ["refill", output, "--from", str(corpus), "--output", str(tmp_path / "full")])
    assert refilled.exit_code == 0, refilled.output
    assert "texts: 216 refilled, 0 missing, 0 mismatched, 0 altered" in refilled.output
    wrong = runner.invoke(app, ["publish", str(corpus), "--licence", "hal", "--output", str(tmp_path / "x")])
    assert wrong.exit_code == 1
    assert "expected NAME=PATH" in wrong.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--push", "corpus"], "--push corpus: expected ORG/NAME"),
        (["--push", "lab/corpus"], "no token: set HF_TOKEN"),
        (
            ["--sample", "a/x", "--sample", "b/x"],
            "--sample: x is given twice, a/x and b/x; give each a name of its own",
        ),
        (["--licence", "lab=MIT", "--licence", "lab=CC0-1.0"], "--licence: lab is given twice, MIT and CC0-1.0"),
    ],
)
def test_what_cannot_end_well_does_not_begin(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    done = CliRunner().invoke(app, ["publish", str(corpus), *arguments, "--output", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert message in done.output
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_not_in_the_corpus_is_told(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "without.txt").write_text("lab:0001\nlab:9999\n")
    arguments = ["publish", str(corpus), "--without", str(tmp_path / "without.txt"), "--output", str(tmp_path / "out")]
    for _ in range(2):  # and again when it is done already
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        assert "Articles left out: 1." in done.output
        assert "No article to leave out is called so: lab:9999" in done.output


def test_a_trained_model_is_pushed_with_what_its_card_speaks_of(hub: Hub, tmp_path: Path) -> None:
    model = tmp_path / "run" / "model"
    model.mkdir(parents=True)
    for name, body in (("README.md", "# m"), ("config.json", "{}"), ("model.safetensors", "weights")):
        (model / name).write_text(body)
    with pytest.raises(PushError, match="holds no finished run: give the folder that `corpuskit pretrain` wrote"):
        push_model(tmp_path / "run", "lab/model")
    told = {"tool": "corpuskit pretrain", "fingerprint": "0" * 64, "data": [{"manifest": {"path": "/home/anne/hal"}}]}
    write_json(tmp_path / "run" / "manifest.json", told)
    log = b'{"kind":"start","step":0}\n{"kind":"warning","step":3,"message":"/home/anne/run/step-3 is damaged"}\n'
    (tmp_path / "run" / "log.jsonl").write_bytes(log)
    (tmp_path / "run" / "curves.png").write_bytes(b"png")
    hub.refusals = [503] * 9
    with pytest.raises(PushError, match="lab/model, while committing"):
        push_model(tmp_path / "run", "lab/model")
    assert len(hub.revisions) == 1
    hub.refusals = []
    done = push_model(tmp_path / "run", "lab/model")
    (sent,) = hub.revisions[1:]
    assert {*sent} == {*content(model), "manifest.json", "log.jsonl", ".gitattributes"}
    assert sent.items() >= content(model).items()
    assert json.loads(sent["manifest.json"]) == told | {"data": [{"manifest": {"path": "hal"}}]}
    assert sent["log.jsonl"] == log.replace(b"/home/anne/run/", b"")
    assert done.url == f"{hub.url}/lab/model"
    assert list(hub.uploads.values()) == [1]  # of the weights, once
