"""The card of a model: `README.md`, from the manifest of its run, so that no figure is copied by hand.

What the manifest does not say stands there as unknown. Values are escaped as in the card of a data set.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from corpuskit.energy import stages
from corpuskit.pretrain import cost, curves
from corpuskit.publish.card import HUB_LICENCES, Made, bibtex, rendered, seen, templates

_TEMPLATE = "model.md.j2"
#: What the Hub takes as `license` of a model, besides those of texts.
_LICENCES = HUB_LICENCES | {
    "afl-3.0", "agpl-3.0", "bigscience-openrail-m", "bsd-2-clause", "bsd-3-clause", "cc-by-nc-nd-4.0", "cc-by-nd-4.0",
    "gemma", "gpl-3.0", "lgpl-3.0", "mpl-2.0", "openrail", "unlicense",
}  # fmt: skip
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_DATASET = re.compile(r"https://huggingface\.co/datasets/([\w-][\w.-]*/[\w-][\w.-]*)")
#: Below this a model or its training is called small.
_FEW_PARAMETERS, _FEW_TOKENS = 50_000_000, 1_000_000_000
#: What names a model of the field, in its name or description.
_BIOMEDICAL = re.compile(r"bio-?m[eé]d|\bbio\b|m[eé]dic|clini", re.IGNORECASE)
_SENTENCE = "Le patient présente une {} aiguë."


def card(
    manifest: Mapping[str, Any],
    log: Iterable[Mapping[str, Any]] = (),
    evaluation: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """The card as Markdown; beside it belongs `curves.png`.

    Args:
        manifest: of the run, with or without its outputs.
        log: its lines, see :func:`corpuskit.pretrain.curves.read`.
        evaluation: of each test set the values by measure, if there are any.
    """
    values = _values(manifest, curves.Curves.of(log), evaluation or {})
    return rendered(templates().get_template(_TEMPLATE), values)


def metadata(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The front matter, in the terms of the Hub."""
    licence = str(manifest["start"].get("license") or "unknown").strip().lower()
    named = {"license": licence}
    if licence not in _LICENCES | {"unknown"}:
        named = {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", licence).strip("-") or "unnamed"}
    base, found = _base(manifest), {"language": ["fr"], **named, "library_name": "transformers"}
    published = dict.fromkeys(name for one in manifest["data"] if (name := _published(one)))
    return found | {
        "pipeline_tag": "text-generation" if manifest["config"]["objective"] == "causal" else "fill-mask",
        **({"base_model": base} if base else {}),
        **({"datasets": list(published)} if published else {}),
        "tags": [*(["biology", "medical", "biomedical"] if _of_the_field(manifest) else []), "corpuskit"],
    }


def _base(manifest: Mapping[str, Any]) -> str | None:
    """The model on the Hub that training went on from; None where it is a folder, or where there is none."""
    model, on_the_hub = (manifest["start"].get(name) for name in ("model", "hub"))
    return model if on_the_hub and isinstance(model, str) and _REPOSITORY.fullmatch(model) else None


def _of_the_field(manifest: Mapping[str, Any]) -> bool:
    """Whether whoever configured the run calls it biomedical."""
    return bool(_BIOMEDICAL.search(f"{manifest['name']} {manifest['config'].get('description') or ''}"))


def _published(data: Mapping[str, Any]) -> str | None:
    url = ((data.get("manifest") or {}).get("publication") or {}).get("url") or ""
    found = _DATASET.match(url)
    return found[1] if found else None


def _values(
    manifest: Mapping[str, Any], found: curves.Curves, evaluation: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    config, training, start, model = (manifest[name] for name in ("config", "training", "start", "model"))
    energy = manifest.get("energy")
    measures = list(dict.fromkeys(name for told in evaluation.values() for name in told))
    licences = {one["name"]: _licences(one) for one in manifest["data"]}
    losses = curves.first_and_last(found) or curves.in_manifest(training)
    front = yaml.safe_dump(metadata(manifest), sort_keys=False, allow_unicode=True, width=110)
    return {
        "front": Made(f"---\n{front}---\n"),
        "name": manifest["name"],
        "description": config.get("description") or "",
        "date": str(manifest["started"])[:10],
        "version": (manifest.get("versions") or {}).get("corpuskit-fr"),
        "model": model,
        "start": start | {"model": _shown(start.get("model"))},
        "training": training,
        "code": _code(manifest),
        "data": [
            one | {"epochs": (training.get("epochs") or {}).get(one["name"]), "licences": licences[one["name"]]}
            for one in manifest["data"]
        ],
        "origins": stages([one.get("manifest") for one in manifest["data"]]),
        "recipe": _recipe(manifest),
        "losses": losses,
        "objectives": len({row["objective"] for row in losses}) > 1,
        "costs": [
            {"what": row.what, "kwh": _amount(row.kwh), "kg": _amount(row.co2e_kg), "own": _amount(row.co2e_kg_own),
             "how": row.how} for row in (cost.rows(energy) if energy else ())
        ],
        "grid": (energy or {}).get("grid_own"),
        "measures": measures,
        "evaluation": [
            {"name": name, "values": [_value(told.get(one)) for one in measures]} for name, told in evaluation.items()
        ],
        "small": (model.get("parameters") or 0) < _FEW_PARAMETERS or (training.get("tokens") or 0) < _FEW_TOKENS,
        "masked": config["objective"] != "causal",
        "length": config["data"]["sequence_length"],
        "unlicensed": any(one is None for one in licences.values()),
        "bibtex": bibtex(
            {"publication": {"name": manifest["name"], "authors": (), "url": ""}, "started": str(manifest["started"]),
             "fingerprint": manifest["fingerprint"]}
        ),
        "fingerprint": Made(manifest["fingerprint"]),
    }  # fmt: skip


def _shown(model: str | None) -> str | None:
    """A model's name; of a folder of this machine only the last part."""
    if model is None or _REPOSITORY.fullmatch(model):
        return model
    return re.split(r"[/\\]", model.rstrip("/\\"))[-1]


def _code(manifest: Mapping[str, Any]) -> str:
    """How to use it, in Python; the mask is the model's own."""
    if manifest["config"]["objective"] == "causal":
        lines = [
            'write = pipeline("text-generation", model="PATH-OF-THIS-FOLDER")',
            'print(write("Le patient présente une", max_new_tokens=20)[0]["generated_text"])',
        ]
    else:
        mask = manifest["model"].get("mask_token")
        sentence = f'f"{_SENTENCE}"'.format("{fill.tokenizer.mask_token}")
        if mask:
            sentence = json.dumps(_SENTENCE.format(seen(str(mask))), ensure_ascii=False)
        lines = [
            'fill = pipeline("fill-mask", model="PATH-OF-THIS-FOLDER")',
            f"for found in fill({sentence}):",
            "    print(f\"{found['score']:.3f} {found['token_str']}\")",
        ]
    return "\n".join(["from transformers import pipeline", "", *lines])


def _licences(data: Mapping[str, Any]) -> str | None:
    """The licences of the texts in a published data set, those of most words first; None where none is known."""
    configurations = (data.get("manifest") or {}).get("configurations") or {}
    words = Counter[str]()
    for row in (configurations.get("paragraphs") or {}).get("counts", ()):
        if row.get("withheld") is None:
            words[row.get("licence") or "not stated"] += row.get("words") or 0
    return ", ".join(name for name, _ in words.most_common()) or None


def _recipe(manifest: Mapping[str, Any]) -> list[tuple[str, Any]]:
    config, training = manifest["config"], manifest["training"]
    data, masking, optimizer = config["data"], config["masking"], config["optimizer"]
    objective = config["objective"]
    if objective == "causal-then-mlm":
        objective += f", {config['causal_share']:.0%} of it causal"
    rows: list[tuple[str, Any]] = [
        ("objective", objective),
        ("document", data["unit"]),
        ("sequence length", f"{data['sequence_length']:,} tokens, packed"),
        ("batch", f"{config['batch_tokens']:,} tokens"),
        ("steps", training.get("steps")),
        ("tokens seen", training.get("tokens")),
        ("learning rate", f"{optimizer['learning_rate']:g}, {_schedule(optimizer)}"),
        (
            "optimizer",
            f"AdamW, β {_listed(optimizer['betas'])}, ε {optimizer['epsilon']:g}, "
            f"weight decay {optimizer['weight_decay']:g}, gradients cut at {optimizer['clip']:g}",
        ),
    ]
    if config["objective"] != "causal":
        rate = masking["rate"]
        steps = [(0.0, rate)] if isinstance(rate, float) else rate
        rates = f"{steps[0][1]:.3g} of the tokens" + "".join(
            f", {share:.3g} from {at:.3g} of the run on" for at, share in steps[1:]
        )
        unit = "whole words" if masking["whole_words"] else "single tokens"
        drawn = "drawn anew" if masking["dynamic"] else "the same"
        rows.append(("masking", f"{rates}; {unit}, {drawn} each time"))
    seconds, mfu = training.get("seconds"), training.get("mfu")
    return [
        *rows,
        ("precision", training.get("precision")),
        ("seed", config["seed"]),
        ("devices", f"{training.get('devices')} × {training.get('device')}"),
        ("time", None if seconds is None else f"{seconds:,.0f} s ({seconds / 3600:,.4g} hours)"),
        ("speed", _unit(training.get("tokens_per_second"), "tokens a second")),
        ("share of the device's peak (MFU)", None if mfu is None else f"{mfu:.1%}"),
        ("ended by", training.get("reason")),
    ]


def _schedule(optimizer: Mapping[str, Any]) -> str:
    told = f"{optimizer['schedule']}, warm-up over {optimizer['warmup']:.3g} of the run"
    return told + (f", decay over {optimizer['decay']:.3g}" if optimizer["schedule"] == "wsd" else "")


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{one:g}" for one in values)


def _unit(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{value:,.0f} {unit}"


def _amount(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.4g}"


def _value(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value
