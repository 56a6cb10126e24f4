"""Models that train in seconds, a tokenizer by hand, and texts for them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
STEMS = ["le", "la", "un", "patient", "cardi", "néphr", "hépat", "foie", "rein", "cœur", "aiguë", "grave", "présente"]
ENDINGS = ["##aque", "##opathie", "##ite", "##ologue", "##s"]
ARCHITECTURE = {
    "model_type": "camembert", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 66, "hidden_dropout_prob": 0.1,
}  # fmt: skip


def write_tokenizer(folder: Path) -> Path:
    """A WordPiece tokenizer of 23 tokens, with the special tokens of CamemBERT."""
    from transformers import PreTrainedTokenizerFast

    words = [*SPECIAL, *STEMS, *ENDINGS]
    tokenizer = Tokenizer(models.WordPiece({word: place for place, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", mask_token="<mask>", model_max_length=64,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def write_texts(folder: Path, articles: int = 300, seed: int = 1, **columns: Any) -> Path:
    """A data set of sentences with a pattern to learn: a stem is followed by its own ending."""
    chance, rows = random.Random(seed), []
    for article in range(articles):
        for order in range(2):
            words = []
            for _ in range(chance.randint(3, 12)):
                place = chance.randrange(len(STEMS))
                words.append(STEMS[place] + ENDINGS[place % len(ENDINGS)].removeprefix("##"))
            rows.append({"id": f"a{article}#{order}", "article_id": f"a{article}", "order": order,
                         "text": " ".join(words)} | columns)  # fmt: skip
    (folder / "paragraphs").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "paragraphs" / "00000.parquet")
    return folder


def content(tokenizer: Path, *data: Path, **changed: Any) -> dict[str, Any]:
    """A configuration that trains for a second or two."""
    return {
        "name": "small",
        "start": {"architecture": ARCHITECTURE, "tokenizer": str(tokenizer)},
        "data": {"sources": [{"path": str(path)} for path in data], "sequence_length": 32, "held_out": 10},
        "optimizer": {"learning_rate": 5e-3},
        "budget": {"steps": 12},
        "batch_tokens": 256,
        "device_sequences": 4,
        "validate_every": 4,
        "validation_sequences": 8,
        "checkpoint_every": 3,
    } | changed
