"""How fast a model is trained: ``python benchmarks/pretrain.py --real-data DIR``; writes ``results/pretrain.json``.

The same masked model, from the same weights, on the same French biomedical paragraphs (case reports) with the same
tokenizer, by our path and by the usual one: Trainer and collator of Transformers with their defaults, a document a
row, cut at the same length, padded to the longest of its batch of 8 (and of 32). In one process, one after the other.
What counts is real tokens a second: padding is none.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from figures import Figure, conclude
from rich.console import Console
from rich.table import Table
from transformers import DataCollatorForLanguageModeling, Trainer, TrainerCallback, TrainingArguments

from corpuskit.pretrain.config import PretrainConfig, validate
from corpuskit.pretrain.model import load_model
from corpuskit.pretrain.run import pretrain
from corpuskit.pretrain.tokenizer import train as train_tokenizer
from corpuskit.pretrain.tokens import load_tokenizer

#: Steps at the beginning of each turn that do not count.
WARMING = 2


def paragraphs(real_data: Path, megabytes: float) -> list[str]:
    """French biomedical paragraphs: case reports of E3C, cut at their line ends."""
    found: list[str] = []
    for line in (real_data / "e3c_ccby" / "pamj_fr.jsonl").read_text(encoding="utf-8").splitlines():
        found += [part.strip() for part in json.loads(line)["text"].split("\n")]
    found = list(dict.fromkeys(part for part in found if len(part.split()) >= 10))
    generator = np.random.default_rng(1)
    generator.shuffle(found)
    sizes = np.cumsum([len(part.encode()) for part in found])
    return found[: int(np.searchsorted(sizes, megabytes * 1e6)) + 1]


def configuration(tokenizer: Path, data: Path, given: argparse.Namespace) -> PretrainConfig:
    return validate(
        {
            "name": "benchmark",
            "start": {
                "tokenizer": str(tokenizer),
                "architecture": {
                    "model_type": "camembert", "hidden_size": given.width, "num_hidden_layers": given.layers,
                    "num_attention_heads": max(1, given.width // 64), "intermediate_size": 4 * given.width,
                    "max_position_embeddings": given.length + 2, "type_vocab_size": 1,
                },
            },
            "data": {"unit": "paragraph", "sequence_length": given.length, "sources": [{"path": str(data)}]},
            "budget": {"steps": given.steps + WARMING},
            "batch_tokens": given.batch_tokens,
            "device_sequences": max(1, min(given.device_sequences, given.batch_tokens // given.length)),
            "precision": given.precision,
            "compile": given.compile,
            "validate_every": 10**6,
            "validation_sequences": 1,
            "checkpoint_every": 10**6,
        }
    )  # fmt: skip


def ours(config: PretrainConfig, work: Path) -> dict[str, float]:
    """Tokens a second of the steps after the first, as the log tells them."""
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=work) as output:
        pretrain(config, Path(output) / "run", store=work / "tokens", tell=lines.append)
    told = [line for line in lines if line["kind"] == "train"][WARMING:]
    seconds = [line["tokens_per_second"] for line in told]
    start = next(line for line in lines if line["kind"] == "start")
    return {"tokens_per_second": statistics.harmonic_mean(seconds), "parameters": start["parameters"],
            "mfu": told[-1]["mfu"], "device": start["device"]}  # fmt: skip


def usual(
    config: PretrainConfig, tokenizer: Any, texts: list[str], batch: int, steps: int, work: Path
) -> dict[str, float]:
    """The same with the Trainer."""
    length = config.data.sequence_length
    rows = [{"input_ids": ids} for ids in tokenizer(texts, truncation=True, max_length=length)["input_ids"]]
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    seen: list[int] = []

    def counted(some: list[Any]) -> Any:
        seen.append(sum(len(one["input_ids"]) for one in some))
        return collator(some)

    class Clock(TrainerCallback):
        begun = ended = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == WARMING:
                self.begun = time.perf_counter()
            self.ended = time.perf_counter()

    clock = Clock()
    model = load_model(config, tokenizer)
    cuda = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(work / "trainer"), per_device_train_batch_size=batch, max_steps=steps + WARMING,
        save_strategy="no", report_to="none", disable_tqdm=True, logging_strategy="no", use_cpu=not cuda,
        bf16=config.precision == "bf16" or (config.precision == "auto" and cuda),
    )  # fmt: skip
    Trainer(model, arguments, train_dataset=rows, data_collator=counted, callbacks=[clock]).train()
    places = seen[WARMING : steps + WARMING]
    return {"tokens_per_second": sum(places) / (clock.ended - clock.begun)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--turns", type=int, default=3, help="of each path, one after the other")
    parser.add_argument("--steps", type=int, default=20, help="of ours in a turn; the Trainer sees as many tokens")
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--batch-tokens", type=int, default=4_096)
    parser.add_argument("--device-sequences", type=int, default=8)
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16", "auto"], help="of both")
    parser.add_argument("--compile", action="store_true", help="compile our model")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    if given.real_data is None:
        parser.error("where is the text? give --real-data DIR or set CORPUSKIT_REAL_DATA")
    texts = paragraphs(given.real_data, 20)
    with tempfile.TemporaryDirectory() as folder:
        work, data = Path(folder), Path(folder) / "data" / "paragraphs"
        data.mkdir(parents=True)
        ids = [f"a{place}" for place in range(len(texts))]
        pq.write_table(pa.table({"id": ids, "article_id": ids, "text": texts}), data / "00000.parquet")
        train_tokenizer(data.parent, work / "tokenizer", vocabulary=given.vocabulary)
        config = configuration(work / "tokenizer", data.parent, given)
        tokenizer = load_tokenizer(work / "tokenizer")
        lengths = [min(len(one), given.length) for one in tokenizer(texts)["input_ids"]]
        steps = max(WARMING, round(given.steps * given.batch_tokens / (8 * float(np.mean(lengths)))))
        paths: dict[str, Callable[[], dict[str, float]]] = {
            "corpuskit": lambda: ours(config, work),
            "Trainer, batch of 8": lambda: usual(config, tokenizer, texts, 8, steps, work),
            "Trainer, batch of 32": lambda: usual(config, tokenizer, texts, 32, max(WARMING, steps // 4), work),
        }
        turns = [{name: path() for name, path in paths.items()} for _ in range(given.turns)]
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(
        "path", *(f"turn {number + 1}" for number in range(given.turns)), "median", title="real tokens a second"
    )
    rates = {name: [turn[name]["tokens_per_second"] for turn in turns] for name in paths}
    for name, told in rates.items():
        table.add_row(name, *(f"{one:,.0f}" for one in told), f"{statistics.median(told):,.0f}")
    console.print(table)
    figures = []
    for name in list(rates)[1:]:
        ratio = statistics.median(own / other for own, other in zip(rates["corpuskit"], rates[name], strict=True))
        figures.append(Figure(f"tokens a second against {name}", ratio, 2.0, "median of the turns"))
    first = turns[0]["corpuskit"]
    if first["mfu"] is not None:
        figures.append(Figure("share of the device's peak (MFU)", first["mfu"], 0.45, str(first["device"])))
    for figure in figures:
        console.print(f"{figure.verdict}: {figure.name}: {figure.value:.2f} ({figure.note})", highlight=False)
    told = {
        "settings": {name: value for name, value in vars(given).items() if name not in ("json", "real_data")},
        "parameters": first["parameters"], "device": first["device"], "threads": torch.get_num_threads(),
        "paragraphs": len(texts), "tokens_each": float(np.mean(lengths)), "turns": turns,
    }  # fmt: skip
    return conclude(figures, given.json, told)


if __name__ == "__main__":
    sys.exit(main())
