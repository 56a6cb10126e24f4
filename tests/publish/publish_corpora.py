"""A small corpus, as `corpuskit build` writes one, and what is drawn from it and said about it, by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpuskit.enrich import prompts
from corpuskit.enrich.annotations import Annotation, Annotator, tables, write
from corpuskit.records import ARTICLE_SCHEMA, PARAGRAPH_SCHEMA

LICENCES = ["CC-BY-4.0", "CC-BY-NC-SA-4.0", None, "CC-BY-ND-4.0", "https://publisher.example/terms"]
PROMPT = prompts.parse("""---
name: kind
version: "1"
description: What a paragraph is, and the terms in it
fields:
  kind:
    type: label
    definition: Le genre du paragraphe.
    labels: {study: une étude, case: un cas}
  terms:
    type: spans
    definition: Les termes médicaux.
---
{fields}
{paragraph}
""")


def article(number: int, **fields: Any) -> dict[str, Any]:
    id = f"lab:{number:04d}"
    row = dict.fromkeys(ARTICLE_SCHEMA.names) | {
        "id": id, "title": f"Article {number}", "source": "lab", "year": 2000 + number % 20,
        "file": f"{number % 3}.xml", "record": number, "paragraphs": 3, "words": 30,
        "cluster_id": id, "cluster_size": 1, "licence": LICENCES[number % len(LICENCES)],
    }  # fmt: skip
    return row | fields


def paragraphs(of: dict[str, Any], texts: list[str] | None = None) -> list[dict[str, Any]]:
    rows = []
    usual = [f"Le paragraphe {of['id']} numéro {order} parle d'asthme." for order in range(3)]
    for order, text in enumerate(texts or usual):
        id = f"{of['id']}#{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"
        rows.append(
            dict.fromkeys(PARAGRAPH_SCHEMA.names)
            | {name: of[name] for name in ("source", "year", "journal", "licence", "file")}
            | {"id": id, "article_id": of["id"], "order": order, "text": text, "kind": "body", "path": f"/p[{order}]",
               "language": "en" if order == 2 and of["record"] % 7 == 0 else "fr", "words": len(text.split()),
               "cluster_id": id, "cluster_size": 1}
        )  # fmt: skip
    return rows


def write_corpus(folder: Path, articles: list[dict[str, Any]], texts: dict[str, list[str]] | None = None) -> Path:
    """Two shards of articles and paragraphs."""
    for name, schema in (("articles", ARTICLE_SCHEMA), ("paragraphs", PARAGRAPH_SCHEMA)):
        (folder / name).mkdir(parents=True)
        for shard in range(2):
            chosen = articles[shard::2]
            rows = chosen if name == "articles" else [
                row for one in chosen for row in paragraphs(one, (texts or {}).get(one["id"]))
            ]  # fmt: skip
            pq.write_table(
                pa.Table.from_pylist(rows, schema), folder / name / f"{shard:05d}.parquet", row_group_size=40
            )
    return folder


def write_sample(folder: Path, corpus: Path) -> Path:
    """Every other paragraph, twice: what `corpuskit sample` writes, by hand."""
    table = pq.read_table(corpus / "paragraphs")
    rows = [row | {"copy": copy, "weight": 2.0} for row in table.to_pylist()[::2] for copy in (0, 1)]
    (folder / "paragraphs").mkdir(parents=True)
    schema = table.schema.append(pa.field("copy", pa.int32())).append(pa.field("weight", pa.float32()))
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "paragraphs" / "00000.parquet")
    (folder / "sample.json").write_text(json.dumps({"recipe": "twice", "effective_sample_size": 75.0}))
    manifest = {"tool": "corpuskit sample", "fingerprint": "f" * 64, "seconds": {"sample": 1.0},
                "recipe": {"name": "twice", "description": "each twice", "budget": None}}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def annotate(folder: Path, corpus: Path, skip: int = 3, backwards: bool = False) -> Path:
    """Annotations of all paragraphs but every third, by a model."""
    rows = pq.read_table(corpus / "paragraphs").to_pylist()
    chosen = [row for place, row in enumerate(rows) if place % skip]
    if backwards:
        chosen.reverse()
    found = [
        Annotation(
            row["id"], row["article_id"], row["source"], row["text"],
            answer={"kind": "case" if row["order"] == 1 else "study", "terms": ["asthme"]},
            soft={"kind": [0.2, 0.8] if row["order"] == 1 else [0.9, 0.1]},
        )
        for row in chosen
    ]  # fmt: skip
    write(folder, tables(PROMPT, Annotator("model", "model/of-the-tests", "r1"), found))
    report = {
        "tool": "corpuskit enrich",
        "outcomes": {"ok": len(found)},
        "fields": {"kind": {"type": "label", "counts": {"study": 7, "case": 3}}},
        "work": {"seconds": 12.5, "energy_kwh": 0.0123, "co2e_g": 0.4182, "grid_g_per_kwh": 34.0,
                 "energy_from": ["measured by NVML on 1 GPU(s)"]},
    }  # fmt: skip
    (folder / "enrichment.json").write_text(json.dumps(report))
    return folder
