"""A pretraining run: from a configuration and data sets to a model folder, its log, its curves and its card."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit import runs
from corpuskit.files import InputFile
from corpuskit.pretrain.config import TOOL, PretrainConfig, PretrainError, Source

try:
    import torch
    from accelerate.utils import broadcast_object_list
    from safetensors import SafetensorError
    from transformers import AutoConfig
except ImportError as error:
    raise PretrainError(f"pretraining needs PyTorch ({error}): pip install 'corpuskit-fr[pretrain]'") from None

from corpuskit.pretrain import cost, curves, tokens
from corpuskit.pretrain.card import card
from corpuskit.pretrain.tokens import Tokens
from corpuskit.pretrain.train import Line, Trained, devices, train

MODEL, LOG, CURVES, TOKENS = "model", "log.jsonl", "curves.png", "tokens"
#: What changes where or how fast it is computed, how closely it is watched, when it stops, where things lie: not what a
#: step does. Texts, tokenizer and weights are known by their content.
_NOT_DECISIVE: Any = {
    "description": True, "license": True, "device_sequences": True, "compile": True, "checkpoint_every": True,
    "validate_every": True, "validation_sequences": True, "budget": {"hours", "kwh"}, "start": {"tokenizer"},
    "data": {"watched": True, "sources": {"__all__": {"path", "name"}}},
}  # fmt: skip
_PACKAGES = ("accelerate", "tokenizers", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A finished run: its folder, its manifest, and False when the folder already held this very one."""

    output: Path
    manifest: dict[str, Any]
    worked: bool


def pretrain(
    config: PretrainConfig,
    output: str | Path,
    *,
    store: str | Path | None = None,
    country: str = "FRA",
    grid: float | None = None,
    overwrite: bool = False,
    tell: Callable[[Line], None] = lambda line: None,
) -> Pretrained:
    """Train a model, or go on with a run that was interrupted. Under ``torchrun`` each process calls it.

    Args:
        config: the run, with its data sets.
        output: folder to write.
        store: folder of token shards, that all runs share; in the user's cache unless given.
        country: whose electricity codecarbon takes (ISO 3166, three letters).
        grid: intensity of the user's own electricity, in g CO2e/kWh.
        overwrite: replace another run in the folder.
        tell: called with each line of the log, and with ``{"kind": "note", "message": …}`` before it begins.

    Raises:
        PretrainError: the data, the tokenizer, the model or the folder cannot be used; the message says what to do.
    """
    if not config.data.sources:
        raise PretrainError("data.sources: there are none; name a data set there, or give --data DIR")
    output = Path(output).absolute()
    store = Path(store).absolute() if store else runs.cache(TOKENS)
    started, accelerator = runs.now(), devices(config)
    main, work = accelerator.is_main_process, output / runs.WORK
    fresh, data, todo = work / "output", list[Tokens](), "train"
    try:
        tokenizer = tokens.load_tokenizer(config.start.model or config.start.tokenizer or "", config.start.revision)
        with ExitStack() as held:
            if main:  # it alone looks at the folder; the others are told
                data = _tokenized(config, tokenizer, store, tell)
                start = _start(config, tokenizer)
                fingerprint = _fingerprint(config, start, data)
                if (finished := runs.done_before(output, fingerprint, overwrite, TOOL)) is not None:
                    _same_limits(output, finished, config)
                    todo = "nothing"
                else:
                    _spare(output, fingerprint, overwrite)
                    held.enter_context(runs.working(output, fingerprint))
                    todo = "publish" if (fresh / runs.MANIFEST).exists() else "train"
            (todo,) = broadcast_object_list([todo])
            if todo == "train":
                data = data if main else _tokenized(config, tokenizer, store, tell)
                trained = train(config, tokenizer, data, work, accelerator, tell, country)
                if main:
                    shutil.rmtree(fresh, ignore_errors=True)
                    fresh.mkdir()
                    begun = {"tool": TOOL, "fingerprint": fingerprint, "started": started, "start": start}
                    _write(config, trained, data, tokenizer, work, fresh, grid, begun)
            if main and todo != "nothing":
                runs.publish(fresh, output)
                shutil.rmtree(work)
    except runs.RunError as error:
        raise PretrainError(str(error)) from None
    except (OSError, SafetensorError) as error:
        place, why = getattr(error, "filename", None) or output, getattr(error, "strerror", None) or str(error)
        raise PretrainError(
            f"{place}: {why}. The last checkpoint is kept: the same command goes on from there"
        ) from None
    except torch.OutOfMemoryError as error:
        raise PretrainError(f"the device's memory is full: lower `device_sequences` ({error})") from None
    accelerator.wait_for_everyone()
    accelerator.end_training()
    done = runs.read_manifest(output)
    assert done is not None
    return Pretrained(output, done, worked=todo != "nothing")


def _fingerprint(config: PretrainConfig, start: Mapping[str, Any], data: Sequence[Tokens]) -> str:
    decisive = config.model_dump(mode="json", exclude=_NOT_DECISIVE)
    if not start["hub"]:
        decisive["start"].pop("model")
    texts = [one.told["fingerprint"] for one in data[: len(config.data.sources)]]
    known = {name: start[name] for name in ("model_sha256", "tokenizer_sha256", "commit")}
    versions = runs.versions(*_PACKAGES)
    decisive_versions = {name: versions[name] for name in (*_PACKAGES, "corpuskit-fr")}
    return runs.fingerprint(TOOL, decisive, known, texts, decisive_versions)


def _spare(output: Path, fingerprint: str, overwrite: bool) -> None:
    """Refuse to drop the checkpoints of a run that is not finished."""
    pending = runs.unfinished(output)
    if overwrite or pending in (None, fingerprint) or not any((output / runs.WORK / "checkpoints").glob("step-*")):
        return
    raise PretrainError(
        f"{output} holds checkpoints of another run that is not finished (another configuration, other data or other "
        "versions of torch, transformers or corpuskit): choose another folder, or drop them with --overwrite"
    )


def _same_limits(output: Path, finished: Mapping[str, Any], config: PretrainConfig) -> None:
    """A run that its limit ended does not go on because the limit was raised."""
    reason = finished["training"]["reason"]
    limit = finished["config"]["budget"].get(reason)
    if reason in ("hours", "kwh") and limit != getattr(config.budget, reason):
        raise PretrainError(
            f"{output} was ended by its limit of {limit:g} {reason}, and its checkpoints are gone: "
            f"begin anew with --overwrite, or go on from its model (`start: {{model: {output / MODEL}}}`)"
        )


def _tokenized(config: PretrainConfig, tokenizer: Any, store: Path, tell: Callable[[Line], None]) -> list[Tokens]:
    data = config.data
    sources = [*data.sources, *data.watched]
    names = [source.name or tokens.called(source.path) for source in sources]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise PretrainError(f"data.sources: two are called {twice}: give each a `name`")

    def note(line: str) -> None:
        tell({"kind": "note", "message": line})

    return [tokens.tokenize(source, tokenizer, data.unit, data.held_out, store, note) for source in sources]


def _start(config: PretrainConfig, tokenizer: Any) -> dict[str, Any]:
    """What it starts with, and the checksums of that."""
    start, model = config.start, config.start.model
    folder = Path(model) if model and Path(model).is_dir() else None
    weights = sorted(path for kind in ("*.safetensors", "*.bin") for path in folder.glob(kind)) if folder else []
    told = runs.describe_all([InputFile(str(path), path.name, path.stat().st_size) for path in weights])
    hub = model if model and not folder else None
    return {
        "kind": "continual" if model else "from scratch",
        "model": folder.name if folder else model,
        "hub": hub is not None,
        "revision": start.revision,
        "commit": AutoConfig.from_pretrained(hub, revision=start.revision)._commit_hash if hub else None,
        "model_sha256": runs.fingerprint(told) if told else None,
        "tokenizer_sha256": tokens.tokenizer_sha256(tokens.fast_tokenizer(tokenizer)),
        "license": config.license or (_licence(folder or hub) if model else None),
    }


def _licence(model: Any) -> str | None:
    """What the card of a model says: in its folder, or on the Hub."""
    from huggingface_hub import ModelCard

    with suppress(Exception):  # no card, or no network
        stated = ModelCard.load(model / "README.md" if isinstance(model, Path) else model).data.license
        return stated if isinstance(stated, str) and stated != "unknown" else None
    return None


def _manifest_of(data: Path) -> dict[str, Any] | None:
    """The manifest of a data set, or of the publication that it is a table of."""
    return runs.read_manifest(data) or (runs.read_manifest(data.parents[1]) if data.parent.name == "data" else None)


def _write(
    config: PretrainConfig,
    trained: Trained,
    data: list[Tokens],
    tokenizer: Any,
    work: Path,
    fresh: Path,
    grid: float | None,
    begun: Mapping[str, Any],
) -> None:
    """The folder of a finished run."""
    model, told = trained.model, trained.told
    model.save_pretrained(fresh / MODEL)
    tokenizer.save_pretrained(fresh / MODEL)
    shutil.copyfile(work / LOG, fresh / LOG)
    log = curves.read(fresh / LOG)
    curves.draw(log, fresh / CURVES)
    manifests = [_manifest_of(Path(source.path).absolute()) for source in config.data.sources]
    known: dict[str, Any] = {
        **begun,
        "name": config.name,
        "config": _shown(config).model_dump(mode="json"),
        "model": {
            "model_type": model.config.model_type,
            "parameters": sum(weights.numel() for weights in model.parameters()),
            "vocabulary": model.get_input_embeddings().num_embeddings,
            "layers": getattr(model.config, "num_hidden_layers", None),
            "hidden_size": getattr(model.config, "hidden_size", None),
            "mask_token": tokenizer.mask_token,
        },
        "data": [
            {
                "name": one.name, "path_name": Path(source.path).name, "weight": source.weight,
                "documents": one.documents, "tokens": one.tokens, "held_out_documents": one.held_out_documents,
                "held_out_tokens": one.held_out_tokens, "padding": told["padding"][one.name], "manifest": manifest,
            }
            for source, one, manifest in zip(config.data.sources, data, manifests, strict=False)
        ],
        "watched": [
            {"name": one.name, "held_out_documents": one.held_out_documents, "held_out_tokens": one.held_out_tokens}
            for one in data[len(config.data.sources) :]
        ],
        "training": told,
        "energy": cost.report(trained.spent, told["device"], told["devices"], told["seconds"], manifests, grid),
        "versions": runs.versions(*_PACKAGES),
        "machine": runs.machine(),
    }  # fmt: skip
    known = runs.public(known)
    (fresh / MODEL / "README.md").write_text(card(known, log), encoding="utf-8")
    if (fresh / CURVES).exists():
        shutil.copyfile(fresh / CURVES, fresh / MODEL / CURVES)
    known["outputs"] = [{"source": "model"} | one for one in runs.describe_folder(fresh)]
    runs.write_json(fresh / runs.MANIFEST, known)


def _shown(config: PretrainConfig) -> PretrainConfig:
    """The configuration without the folders of the machine it ran on."""

    def named(sources: list[Source]) -> list[Source]:
        return [one.model_copy(update={"path": Path(one.path).name}) for one in sources]

    start = {name: Path(value).name for name in ("model", "tokenizer")
             if (value := getattr(config.start, name)) and Path(value).is_dir()}  # fmt: skip
    return config.model_copy(
        update={
            "data": config.data.model_copy(
                update={"sources": named(config.data.sources), "watched": named(config.data.watched)}
            ),
            "start": config.start.model_copy(update=start),
        }
    )


def source_of(text: str) -> Source:
    """What ``--data`` gives: ``DIR``, ``NAME=DIR`` or ``NAME=DIR@WEIGHT``."""
    if Path(text).exists():
        return Source(path=text)
    name, equals, path = text.partition("=")
    if not equals:
        name, path = "", text
    path, _, weight = path.rpartition("@") if "@" in path and not Path(path).exists() else (path, "", "1")
    try:
        return Source(path=path, name=name, weight=float(weight))
    except ValueError:
        raise PretrainError(f"--data {text}: expected DIR, NAME=DIR or NAME=DIR@WEIGHT, such as bio=corpus@3") from None
