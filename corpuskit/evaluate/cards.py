"""The card of a trained model, with what evaluations of that very model came to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corpuskit import runs
from corpuskit.evaluate import results
from corpuskit.evaluate.records import TaskError
from corpuskit.evaluate.results import Result, figure
from corpuskit.evaluate.scoring import headline, scored
from corpuskit.evaluate.statistics import spread
from corpuskit.evaluate.systems.weights import weights_hash
from corpuskit.files import InputFile
from corpuskit.pretrain import curves
from corpuskit.pretrain.card import card
from corpuskit.pretrain.config import TOOL

#: Beside the headline, where a task has them: what the field reports.
_BESIDE = ("strict", "overlap", "token_with_o_weighted", "micro_f1", "macro_f1", "exact_match", "hamming")


def write(model: str | Path, evaluations: Sequence[str | Path]) -> Path:
    """Write the card of a trained model anew, with its scores.

    Args:
        model: what `corpuskit pretrain` wrote.
        evaluations: what `corpuskit evaluate` wrote about it.

    Returns:
        The card.

    Raises:
        TaskError: the folder holds no trained model, an evaluation is of another, or two are alike.
        OSError: the card cannot be written.
    """
    model = Path(model)
    manifest = runs.read_manifest(model)
    if manifest is None or manifest["tool"] != TOOL:
        raise TaskError(f"{model} holds no trained model: give what `corpuskit pretrain` wrote")
    own = weights_hash(sorted((model / "model").glob("*.safetensors")))
    found = [result for folder in evaluations for result in results.read(folder)]
    for one in found:
        if not own or one.system.get("weights") != own:
            raise TaskError(f"{one.folder} is about {one.name}, whose weights are not those of {model}")
    path, told = model / "model" / "README.md", dict[str, dict[str, str]]()
    for one in found:
        if (name := _name(one)) in told:
            raise TaskError(f"{one.folder} has {name} once more: the card has a line for it, so give one of the two")
        told[name] = _values(one)
    path.write_text(card(manifest, curves.read(model / "log.jsonl"), told), encoding="utf-8")
    for output in manifest.get("outputs", ()):
        if output["name"] == "model/README.md":
            output |= runs.describe(InputFile(str(path), output["name"], path.stat().st_size))
    runs.write_json(model / runs.MANIFEST, manifest)
    return path


def _name(result: Result) -> str:
    return f"{result.task.title} ({result.task.name}), {result.protocol.name}, {len(result.answers)} seeds"


def _values(result: Result) -> dict[str, str]:
    each = [
        scored(result.task, result.protocol, result.documents, answers, result.tokens).measures
        for answers in result.answers.values()
    ]
    names = dict.fromkeys([headline(result.task, result.protocol), *_BESIDE])
    spreads = {name: spread([one[name].value for one in each]) for name in names if name in each[0]}
    return {
        name: figure(one.mean) + ("" if one.deviation is None else f" ± {figure(one.deviation)}")
        for name, one in spreads.items()
    }
