"""A corpus as a build writes it, made up, with text that would like to be markup; and annotations of it."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpuskit.enrich import prompts
from corpuskit.enrich.annotations import Annotation, Annotator, tables, write
from corpuskit.enrich.prompts import Prompt
from corpuskit.records import ARTICLE_SCHEMA, DROPPED_SCHEMA, PARAGRAPH_SCHEMA

HOSTILE = [
    "<script>document.title='taken'</script>",
    "</script><script>document.title='taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "**gras** [lien](javascript:alert(1)) `code` | a | b |",
    "droite\u202eehcuag\u2066 fin",
    "{{ 7 * 7 }} {% raw %} ${7 * 7} <!-- <script> ]]>",
    "deux\u2028lignes\u2029et & demie",
]
PROMPT: Prompt = prompts.parse(
    """---
name: essai
version: "1"
description: pour voir
fields:
  document_type:
    type: label
    definition: "Ce que c'est, <b>fort</b>."
    labels: {clinical_case: un cas, study: une étude, other: autre chose}
  domain: {type: label, definition: Le domaine., labels: {clinical: les soins, biomedical: la biologie}}
  quality: {type: score, definition: Ce qu'on y apprend., least: 1, most: 5}
  negated: {type: flag, definition: Si tout y est nié.}
  terms: {type: spans, definition: Les termes.}
---
{fields}
{paragraph}
"""
)
SOURCES = ["hal", "istex", "wikipedia", "<b>mine</b>"]


def rows(articles: int, seed: int = 0) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Articles, paragraphs and what was dropped."""
    chance = random.Random(seed)
    all_articles, paragraphs, dropped = [], [], []
    for number in range(articles):
        source = chance.choices(SOURCES, [6, 3, 2, 1])[0]
        article: dict[str, Any] = {
            "id": f"{source}:{number}",
            "title": HOSTILE[number] if number < len(HOSTILE) else f"Titre {number}",
            "source": source,
            "year": chance.choice([None, *range(1995, 2025)]),
            "journal": chance.choice([None, HOSTILE[0], "Revue <i>médicale</i>", "Annales", "La Presse"]),
            "licence": chance.choice([None, "CC-BY-4.0", "CC-BY-NC-4.0", "javascript:alert(1)"]),
            "url": chance.choice([None, "https://example.org/a?b=1&c=<d>", "javascript:alert(1)", "data:text/html,x"]),
            "file": f"files/{number}.xml",
            "cluster_size": chance.choice([1, 1, 1, 2, 3, 12]),
        }
        kept = 0
        for place in range(chance.randint(1, 5)):
            text = f"{chance.choice(HOSTILE)} Paragraphe {place} de l'article {number}, fièvre et toux élevée."
            shared = {
                "id": f"{article['id']}#{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}-{place}",
                "article_id": article["id"],
                "text": text,
                "kind": chance.choice(["body", "body", "abstract", "caption"]),
                "file": article["file"],
                "path": f"/article/p[{place + 1}]",
                "language": "fr",
                "words": int(chance.lognormvariate(4, 1)),
                "source": source,
            }
            if chance.random() < 0.3:
                stage, reason = chance.choice(
                    [("language", "en"), ("quality", "too_short"), ("near", "near_paragraph"),
                     ("contamination", "<b>ner</b>-test")]
                )  # fmt: skip
                dropped.append(shared | {"unit": "paragraph", "stage": stage, "reason": reason, "detail": HOSTILE[2]})
                continue
            kept += 1
            paragraphs.append(
                shared
                | {name: article[name] for name in ("year", "journal", "licence", "url")}
                | {
                    "order": place,
                    "section": chance.choice([None, "Méthodes", HOSTILE[1]]),
                    "ocr_noise": chance.choice([0.0, 0.005, 0.01, 0.019, 0.05, 0.31, 0.4]),
                    "language_score": 0.9,
                    "cluster_size": chance.choice([1, 1, 1, 2, 4, 150]),
                }
            )
        if kept:
            all_articles.append(article | {"paragraphs": kept})
        else:
            dropped.append({"unit": "article", "id": article["id"], "article_id": article["id"], "source": source,
                            "stage": "empty", "reason": "no_paragraph_left", "text": article["title"]})  # fmt: skip
    return all_articles, paragraphs, dropped


def corpus(folder: Path, articles: int = 60, seed: int = 0) -> Path:
    """Write them as a build does, with its accounts."""
    found = dict(zip(("articles", "paragraphs", "dropped"), rows(articles, seed), strict=True))
    schemas = {"articles": ARTICLE_SCHEMA, "paragraphs": PARAGRAPH_SCHEMA, "dropped": DROPPED_SCHEMA}
    for name, some in found.items():
        (folder / name).mkdir(parents=True)
        for shard in range(2):
            table = pa.Table.from_pylist(some[shard::2], schema=schemas[name])
            pq.write_table(table, folder / name / f"{shard:05d}.parquet")
    contaminated = sum(row["stage"] == "contamination" for row in found["dropped"])
    funnel = {
        "languages": {"hal": {"fr": {"paragraphs": 30, "words": 900}, "en": {"paragraphs": 10, "words": 100}}},
        "quarantined": {"hal": 1234},
        "contamination": {"<b>ner</b>-test": {"units": 40, "seen": 4, "hits": 9, "paragraphs": contaminated}},
        "stages": [{"stage": "read", "articles": articles, "paragraphs": 1, "words": 2}],
    }
    manifest = {"tool": "corpuskit build", "fingerprint": f"{seed:064x}", "config": {"seed": seed, "note": HOSTILE[0]}}
    (folder / "funnel.json").write_text(json.dumps(funnel), encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def annotated(folder: Path, of: Path, share: float = 0.8, seed: int = 1) -> Path:
    """Annotations of a share of the paragraphs, and of ten that are not there."""
    chance = random.Random(seed)
    some = pq.read_table(of / "paragraphs", columns=["id", "article_id", "source", "text"]).to_pylist()
    some = [row for row in some if chance.random() < share]
    some += [
        {"id": f"elsewhere#{number}", "article_id": "elsewhere", "source": "hal", "text": "ailleurs"}
        for number in range(10)
    ]
    found = []
    for row in some:
        if chance.random() < 0.1:
            found.append(Annotation(**row, outcome=chance.choice(["invalid", "refused"]), detail="x"))
            continue
        weights = [chance.random() ** 3 for _ in range(5)]
        soft = [weight / sum(weights) for weight in weights]
        first = chance.random()
        answer = {
            "document_type": chance.choices(["clinical_case", "study", "other"], [1, 5, 3])[0],
            "domain": chance.choice(["clinical", "biomedical"]),
            "quality": 1 + max(range(5), key=soft.__getitem__),
            "negated": chance.random() < 0.2,
            "terms": ["fièvre"] if chance.random() < 0.5 and "fièvre" in row["text"] else [],
        }
        found.append(Annotation(**row, answer=answer, soft={"quality": soft, "domain": [first, 1 - first]}))
    write(folder, tables(PROMPT, Annotator("model", "<i>model</i>", "1"), iter(found)))
    return folder
