"""Continual or from scratch, at a small size: ``python benchmarks/small_models.py --real-data DIR --output DIR``.

A model of some ten million parameters learns general French (novels of ELTeC): what comes next, then masks. Then one
goes on from it with biomedical French (case reports, abstracts, drug notices and opinions on devices), and another of
the same size begins from nothing on the same texts, with the same tokenizer and the same budget. Each is measured on
held-out articles of all sets, so that gain and forgetting both show. The corpora are built by ``corpuskit build``,
whose energy is counted too. An interrupted run goes on with the same command. Results: ``results/small_models.json``.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lxml import etree
from rich.console import Console
from rich.table import Table

from corpuskit import config as builds
from corpuskit.build import build
from corpuskit.paragraphs import read
from corpuskit.pretrain import fill
from corpuskit.pretrain.config import validate
from corpuskit.pretrain.run import pretrain
from corpuskit.pretrain.tokenizer import train as train_tokenizer
from corpuskit.pretrain.tokens import is_held_out

BIOMEDICAL = ["cases", "abstracts", "notices"]
_TEI = "{http://www.tei-c.org/ns/1.0}"
#: Per cent of the articles that are held out.
HELD_OUT = 3.0


def novels(data: Path) -> Iterator[tuple[str, str]]:
    for path in sorted((data / "eltec_fra").glob("*.xml.gz")):
        with gzip.open(path) as file:
            root = etree.parse(file).getroot()
        for number, chapter in enumerate(root.iter(f"{_TEI}div")):
            if chapter.get("type") == "chapter":
                lines = [" ".join("".join(one.itertext()).split()) for one in chapter.iter(f"{_TEI}p")]
                yield f"{path.name}-{number}", "\n\n".join(filter(None, lines))


def cases(data: Path) -> Iterator[tuple[str, str]]:
    for line in (data / "e3c_ccby" / "pamj_fr.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        yield told["id"], told["text"]


def abstracts(data: Path) -> Iterator[tuple[str, str]]:
    for path in sorted((data / "morfitt").glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                yield row["identifier"][:20], row["abstract"]


def notices(data: Path) -> Iterator[tuple[str, str]]:
    for name in ("anses_vet_spc", "cnedimts"):
        with gzip.open(data / "text_fr" / f"{name}.txt.gz", "rt", encoding="utf-8") as file:
            yield from ((f"{name}-{number}", line) for number, line in enumerate(file))


TEXTS = {"general": novels, "cases": cases, "abstracts": abstracts, "notices": notices}


def corpora(data: Path, work: Path) -> dict[str, Path]:
    """One build for each collection; gives their folders."""
    found = {}
    for name, texts in TEXTS.items():
        raw, found[name] = work / "raw" / f"{name}.jsonl", work / "corpora" / name
        if not (found[name] / "manifest.json").exists():
            raw.parent.mkdir(parents=True, exist_ok=True)
            lines = (json.dumps({"id": one, "text": text}, ensure_ascii=False) for one, text in texts(data))
            raw.write_text("\n".join(lines) + "\n", encoding="utf-8")
            source = {"type": "jsonl", "path": str(raw), "name": name, "paragraph_break": "line"}
            build(builds.validate({"language": "fr", "sources": [source]}), found[name], workers=2)
    return found


def held_out(corpus: Path) -> list[str]:
    """The texts of its held-out articles, a paragraph each."""
    batches = read.batches(corpus, ["article_id", "text"])
    rows = (row for batch in batches for row in batch.to_pylist())
    return [row["text"] for row in rows if is_held_out(row["article_id"], HELD_OUT) and len(row["text"].split()) >= 10]


def configuration(name: str, start: dict[str, Any], sources: list[Path], watched: list[Path], given: Any) -> Any:
    return validate(
        {
            "name": name,
            "start": start,
            "objective": given.objective,
            "causal_share": given.causal_share,
            "data": {
                "sources": [{"path": str(path)} for path in sources],
                "watched": [{"path": str(path)} for path in watched],
                "sequence_length": given.length,
                "held_out": HELD_OUT,
            },
            "optimizer": {
                "learning_rate": given.continued_rate if "model" in start else given.rate,
                "schedule": "cosine",
                "warmup": 0.1,
            },
            "budget": {"steps": given.steps},
            "batch_tokens": given.batch_tokens,
            "device_sequences": given.device_sequences,
            "precision": given.precision,
            "validate_every": max(1, given.steps // 8),
            "validation_sequences": 32,
            "checkpoint_every": max(1, given.steps // 8),
        }
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--output", type=Path, required=True, help="corpora, models and logs")
    parser.add_argument("--steps", type=int, default=500, help="of each of the three runs")
    parser.add_argument("--batch-tokens", type=int, default=2_048)
    parser.add_argument("--device-sequences", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--vocabulary", type=int, default=8_000)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--continued-rate", type=float, default=5e-4)
    parser.add_argument("--objective", default="causal-then-mlm", choices=["mlm", "causal-then-mlm"])
    parser.add_argument("--causal-share", type=float, default=0.7)
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bf16"])
    parser.add_argument("--texts", type=int, default=100, help="of each set, for the pseudo-perplexity")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    if given.real_data is None:
        parser.error("where is the text? give --real-data DIR or set CORPUSKIT_REAL_DATA")
    console = Console(width=None if sys.stdout.isatty() else 140)
    torch.manual_seed(0)
    work: Path = given.output
    found = corpora(given.real_data, work)
    biomedical = [found[name] for name in BIOMEDICAL]
    train_tokenizer(found["general"], work / "tokenizer", vocabulary=given.vocabulary, held_out=HELD_OUT)
    architecture = {
        "model_type": "camembert", "hidden_size": given.width, "num_hidden_layers": given.layers,
        "num_attention_heads": max(1, given.width // 64), "intermediate_size": 4 * given.width,
        "max_position_embeddings": given.length + 2, "type_vocab_size": 1,
    }  # fmt: skip
    nothing = {"architecture": architecture, "tokenizer": str(work / "tokenizer")}
    wanted = {
        "general": (nothing, [found["general"]], biomedical),
        "continued": ({"model": str(work / "general" / "model")}, biomedical, [found["general"]]),
        "from-scratch": (nothing, biomedical, [found["general"]]),
    }
    runs = {}
    for name, (start, sources, watched) in wanted.items():
        config = configuration(name, start, sources, watched, given)
        lines: list[Any] = []
        runs[name] = pretrain(config, work / name, store=work / "tokens", tell=lines.append).manifest
        console.print(f"{name}: {runs[name]['training']['seconds']:,.0f} s", highlight=False)
    texts = {
        "general": held_out(found["general"]),
        "biomedical": [one for path in biomedical for one in held_out(path)],
    }
    some = {name: fill.sample(all, given.texts) for name, all in texts.items()}
    perplexity = fill.look([work / name for name in wanted], held_out=some, words=5)["perplexity"]
    table = Table("run", *TEXTS, "per word, general", "per word, biomedical", "minutes", "Wh", title="validation loss")
    for name, told in runs.items():
        last = told["training"]["loss"]["last"]
        words = [perplexity[one]["models"][str(work / name)]["perplexity_per_word"] for one in texts]
        table.add_row(
            name, *(f"{last[one]:.3f}" for one in TEXTS), *(f"{one:,.0f}" for one in words),
            f"{told['training']['seconds'] / 60:.1f}", f"{told['energy']['kwh'] * 1000:.2f}",
        )  # fmt: skip
    console.print(table)
    if given.json:
        kept = ("config", "start", "model", "data", "watched", "training", "energy", "versions")
        logs = {
            name: [json.loads(line) for line in (work / name / "log.jsonl").read_text().splitlines()] for name in runs
        }
        told = {
            "command": "python benchmarks/small_models.py",
            "settings": {name: value for name, value in vars(given).items() if not isinstance(value, Path)},
            "runs": {name: {key: manifest[key] for key in kept} | {"validation": [
                line for line in logs[name] if line["kind"] == "validation"]} for name, manifest in runs.items()},
            "perplexity": {name: _named(one, work) for name, one in perplexity.items()},
        }  # fmt: skip
        for one in told["runs"].values():
            for source in one["data"]:
                source.pop("manifest")
        given.json.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _named(told: Any, work: Path) -> Any:
    """Results by the names of the models, and not by their folders."""
    if isinstance(told, dict):
        return {name.removeprefix(f"{work}/"): _named(value, work) for name, value in told.items()}
    return told.removeprefix(f"{work}/") if isinstance(told, str) else told


if __name__ == "__main__":
    sys.exit(main())
