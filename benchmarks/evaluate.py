"""How fast fine-tuning and scoring are: ``python benchmarks/evaluate.py --real-data DIR --corpus DIR``.

The same encoder (made at random), the same sentences of QUAERO EMEA with the same tags, by our path and by the usual
one: ``AutoModelForTokenClassification`` and the Trainer of Transformers with its defaults, a sentence a row, padded to
512, and once more padded to the longest of its batch. In one process, one after the other: so many steps of 16
sentences, then all documents of the official dev part. Reading the corpus and making the model count for neither.

Scoring: ten seeds of answers like those of a model, every measure, 1,000 resamples each.
Results: ``results/evaluate.json``.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from figures import Figure, conclude
from rich.console import Console
from rich.table import Table
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForTokenClassification,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
)

from corpuskit.evaluate import statistics as resampling
from corpuskit.evaluate import tasks
from corpuskit.evaluate.nesting import outermost
from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.protocol import load as load_protocol
from corpuskit.evaluate.records import Answer, Document, Entity
from corpuskit.evaluate.scoring import gold, scored
from corpuskit.evaluate.systems.finetune import Encoder
from corpuskit.evaluate.systems.heads import pieces
from corpuskit.evaluate.tasks import Data, Task
from corpuskit.evaluate.tokens import OUTSIDE, to_tags, words
from corpuskit.pretrain.tokenizer import train as train_tokenizer
from corpuskit.pretrain.tokens import load_tokenizer

TASK = "quaero-emea-dev"
LENGTH = 512


def architecture(tokenizer: Any, given: argparse.Namespace) -> Any:
    return AutoConfig.for_model(
        "camembert", vocab_size=len(tokenizer), hidden_size=given.width, num_hidden_layers=given.layers,
        num_attention_heads=max(1, given.width // 64), intermediate_size=4 * given.width, type_vocab_size=1,
        max_position_embeddings=LENGTH + 2, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip


def ours(task: Task, data: Data, tokenizer: Any, given: argparse.Namespace) -> dict[str, float]:
    torch.manual_seed(0)
    encoder = Encoder("benchmark", AutoModel.from_config(architecture(tokenizer, given)).eval(), tokenizer)
    rules = load_protocol("camembert-bio", steps=given.steps, selection="last")
    started = time.perf_counter()
    told = encoder.run(task, data, rules, 1).told
    seconds = time.perf_counter() - started
    return {"training": told["training_seconds"], "prediction": told["prediction_seconds"], "both": seconds}


def sentences(documents: Sequence[Document]) -> tuple[list[list[str]], list[list[str]]]:
    """The words of each sentence, and their tags."""
    texts, tags = [], []
    for document in documents:
        places = words(document.text)
        said = to_tags(outermost(document.entities)[0], places)[0]
        for start, end in pieces(document.text, "sentence"):
            inside = [number for number, (left, right) in enumerate(places) if start <= left and right <= end]
            texts.append([document.text[slice(*places[number])] for number in inside])
            tags.append([said[number] for number in inside])
    return texts, tags


def usual(data: Data, tokenizer: Any, padding: str, given: argparse.Namespace) -> dict[str, float]:
    torch.manual_seed(0)
    names = [OUTSIDE, *(f"{prefix}-{label}" for label in data.labels for prefix in "BI")]
    config = architecture(tokenizer, given)
    config.num_labels = len(names)
    started = time.perf_counter()

    def rows(documents: Sequence[Document]) -> list[dict[str, Any]]:
        texts, tags = sentences(documents)
        read = tokenizer(texts, is_split_into_words=True, truncation=True, max_length=LENGTH, padding=padding)
        found = []
        for place, some in enumerate(tags):
            of = read.word_ids(place)
            first = [word is not None and word != before for word, before in zip(of, [None, *of], strict=False)]
            labels = [names.index(some[word]) if new else -100 for word, new in zip(of, first, strict=True)]
            found.append({"input_ids": read["input_ids"][place], "attention_mask": read["attention_mask"][place],
                          "labels": labels})  # fmt: skip
        return found

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=16, per_device_eval_batch_size=16, max_steps=given.steps,
            learning_rate=5e-5, warmup_steps=0, save_strategy="no", report_to="none", disable_tqdm=True,
            logging_strategy="no", use_cpu=not torch.cuda.is_available(),
            bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        )  # fmt: skip
        trainer = Trainer(
            AutoModelForTokenClassification.from_config(config), arguments, train_dataset=rows(data.train.documents),
            data_collator=DataCollatorForTokenClassification(tokenizer),
        )  # fmt: skip
        trainer.train()
        trained = time.perf_counter()
        trainer.predict(rows(data.test.documents))
    ended = time.perf_counter()
    return {"training": trained - started, "prediction": ended - trained, "both": ended - started}


def scoring(task: Task, data: Data, seeds: int) -> float:
    """Seconds for every measure of so many seeds, with their intervals."""
    rules = Protocol(name="benchmark", steps=1)
    right = gold(task, rules, data.test.documents)
    found = []
    for seed in range(seeds):
        chance = random.Random(seed)

        def said(document: Document, chance: random.Random = chance) -> Answer:
            kept = [one for one in document.entities if chance.random() < 0.7]
            moved = [
                Entity(((one.start, one.end - 1),), one.label)
                for one in document.entities
                if chance.random() < 0.2 and one.end - one.start > 1
            ]
            return Answer(entities=(*kept, *moved))

        found.append({document.id: said(document) for document in right})
    started = time.perf_counter()
    each = [scored(task, rules, data.test.documents, answers).measures for answers in found]
    for name in each[0]:
        resampling.bootstrap([one[name] for one in each], resamples=1_000)
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--corpus", type=Path, required=True, help="of a build: what the tokenizer is trained on")
    parser.add_argument("--steps", type=int, default=20, help="of the optimizer, 16 sentences each")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    if given.real_data is None:
        parser.error("where is the data? give --real-data DIR or set CORPUSKIT_REAL_DATA")
    task = tasks.load(TASK)
    data = tasks.read(task, given.real_data)
    with tempfile.TemporaryDirectory() as folder:
        train_tokenizer(given.corpus, Path(folder) / "tokenizer", vocabulary=8_000)
        tokenizer = load_tokenizer(Path(folder) / "tokenizer")
    tokenizer.model_max_length = LENGTH
    turns: dict[str, list[dict[str, float]]] = {"ours": [], "512": [], "longest": []}
    for _ in range(given.turns):
        turns["ours"].append(ours(task, data, tokenizer, given))
        turns["512"].append(usual(data, tokenizer, "max_length", given))
        turns["longest"].append(usual(data, tokenizer, "do_not_pad", given))
    middle = {
        name: {part: statistics.median(turn[part] for turn in some) for part in some[0]} for name, some in turns.items()
    }
    table = Table("path", "training s", "prediction s", "both s", title=f"{TASK}, {given.steps} steps")
    for name, told in middle.items():
        table.add_row(name, *(f"{told[part]:.1f}" for part in ("training", "prediction", "both")))
    medline = tasks.load("quaero-medline-dev")
    seconds = scoring(medline, tasks.read(medline, given.real_data), 10)

    def times(name: str, part: str) -> float:
        return middle[name][part] / middle["ours"][part]

    figures = [
        Figure("fine-tune and predict, times the Trainer padded to 512", times("512", "both"), 2),
        Figure("fine-tune, times the Trainer padded to 512", times("512", "training")),
        Figure("predict, times the Trainer padded to 512", times("512", "prediction")),
        Figure("fine-tune and predict, times the Trainer padded to the longest of a batch", times("longest", "both")),
        Figure("10 seeds by 12 measures, 1,000 resamples: 10 s by what it took", 10 / seconds, 1, f"{seconds:.2f} s"),
    ]
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    shown = Table("figure", "value", "at least", "")
    for figure in figures:
        shown.add_row(figure.name, f"{figure.value:.2f}", figure.threshold, figure.verdict or figure.note)
    console.print(shown)
    cuda = torch.cuda.is_available()
    told = {
        "command": "python benchmarks/evaluate.py",
        "settings": {name: value for name, value in vars(given).items() if not isinstance(value, Path)},
        "device": torch.cuda.get_device_name() if cuda else f"cpu, {torch.get_num_threads()} threads",
        "turns": turns,
    }  # fmt: skip
    return conclude(figures, given.json, told)


if __name__ == "__main__":
    sys.exit(main())
