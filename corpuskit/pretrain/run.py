"""A pretraining run: from a configuration and data sets to a model folder, its log, its curves and its card."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit import runs
from corpuskit.files import InputFile
from corpuskit.pretrain import cost, curves, tokens
from corpuskit.pretrain.card import card
from corpuskit.pretrain.config import PretrainConfig, PretrainError, Source
from corpuskit.pretrain.model import load_tokenizer
from corpuskit.pretrain.tokens import Tokens
from corpuskit.pretrain.train import Line, Trained, devices, train

TOOL = "corpuskit pretrain"
MODEL, LOG, CURVES, TOKENS = "model", "log.jsonl", "curves.png", "tokens"
#: What changes where or how fast it is computed, or when it stops, and not what each step does.
_NOT_DECISIVE: Any = {"device_sequences": True, "compile": True, "checkpoint_every": True, "budget": {"hours", "kwh"}}


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
    accelerator = devices(config)
    tokenizer = load_tokenizer(config.start)
    try:
        if accelerator.is_main_process:
            data = _tokenized(config, store, tell)
        accelerator.wait_for_everyone()
        if not accelerator.is_main_process:
            data = _tokenized(config, store, tell)
        decisive = config.model_dump(mode="json", exclude=_NOT_DECISIVE)
        start = _start(config, tokenizer)
        fingerprint = runs.fingerprint(TOOL, decisive, start, [one.told["fingerprint"] for one in data], _versions())
        if (finished := runs.done_before(output, fingerprint, overwrite, TOOL)) is not None:
            return Pretrained(output, finished, worked=False)
        started = runs.now()
        alone = accelerator.is_main_process
        with runs.working(output, fingerprint) if alone else nullcontext(output / runs.WORK) as work:
            fresh = work / "output"
            if not (fresh / runs.MANIFEST).exists():
                trained = train(config, tokenizer, data, work, accelerator, tell, country)
                if alone:
                    shutil.rmtree(fresh, ignore_errors=True)
                    fresh.mkdir()
                    manifest = {"tool": TOOL, "fingerprint": fingerprint, "started": started, "start": start}
                    _write(config, trained, data, tokenizer, work, fresh, grid, manifest)
            if alone:
                runs.publish(fresh, output)
                shutil.rmtree(work)
        accelerator.wait_for_everyone()
    except runs.RunError as error:
        raise PretrainError(str(error)) from None
    finally:
        accelerator.end_training()
    done = runs.read_manifest(output)
    assert done is not None
    return Pretrained(output, done, worked=True)


def _tokenized(config: PretrainConfig, store: Path, tell: Callable[[Line], None]) -> list[Tokens]:
    name, data = config.start.model or config.start.tokenizer or "", config.data
    sources = [*data.sources, *data.watched]
    names = [source.name or tokens.called(source.path) for source in sources]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise PretrainError(f"data.sources: two are called {twice}: give each a `name`")

    def note(line: str) -> None:
        tell({"kind": "note", "message": line})

    return [tokens.tokenize(source, name, data.unit, data.held_out, store, note) for source in sources]


def _start(config: PretrainConfig, tokenizer: Any) -> dict[str, Any]:
    """What it starts with, and the checksums of that."""
    start, model = config.start, config.start.model
    folder = Path(model) if model and Path(model).is_dir() else None
    weights = sorted(folder.glob("*.safetensors")) if folder else []
    told = runs.describe_all([InputFile(str(path), path.name, path.stat().st_size) for path in weights])
    return {
        "kind": "continual" if model else "from scratch",
        "model": (folder.name if folder else model) if model else None,
        "revision": start.revision,
        "model_sha256": runs.fingerprint(told) if told else None,
        "tokenizer_sha256": tokens.tokenizer_sha256(tokenizer.backend_tokenizer),
        "license": config.license or (_licence(folder) if folder else None),
    }


def _licence(model: Path) -> str | None:
    """What the card in a model's folder says."""
    from huggingface_hub import ModelCard

    with suppress(OSError, ValueError):
        stated = ModelCard.load(model / "README.md").data.license
        return stated if isinstance(stated, str) and stated != "unknown" else None
    return None


def _versions() -> dict[str, str]:
    import accelerate
    import torch
    import transformers

    return runs.versions() | {one.__name__: str(one.__version__) for one in (torch, transformers, accelerate)}


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
    manifests = [runs.read_manifest(Path(source.path)) for source in config.data.sources]
    known = {
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
        "versions": _versions(),
        "machine": runs.machine(),
    }  # fmt: skip
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
    name, equals, path = text.partition("=")
    if not equals:
        name, path = "", text
    path, _, weight = path.rpartition("@") if "@" in path else (path, "", "1")
    try:
        return Source(path=path, name=name, weight=float(weight))
    except ValueError:
        raise PretrainError(f"--data {text}: expected DIR, NAME=DIR or NAME=DIR@WEIGHT, such as bio=corpus@3") from None
