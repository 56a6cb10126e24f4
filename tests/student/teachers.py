"""A teacher whose rules are plain: what the student tests learn from."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpuskit.enrich import prompts
from corpuskit.enrich.annotations import Annotation, Annotator, tables, write
from corpuskit.enrich.prompts import Prompt

HEADER = """\
name: essai
version: "1"
description: pour voir
fields:
  kind:
    type: label
    definition: Ce que c'est.
    labels: {case: un cas, notice: une notice, other: autre chose}
  quality:
    type: score
    definition: Ce qu'on y apprend.
    least: 1
    most: 4
  negated:
    type: flag
    definition: Si tout y est nié.
  terms:
    type: spans
    definition: Les termes.
"""
PROMPT: Prompt = prompts.parse(f"---\n{HEADER}---\n{{fields}}\n{{paragraph}}\n")

_WORDS = {
    "case": ["patient", "douleur", "admis", "examen", "fièvre", "évolution"],
    "notice": ["comprimé", "posologie", "excipient", "dose", "notice", "voie"],
    "other": ["remerciements", "auteurs", "financement", "comité", "revue", "texte"],
}
_TERMS = ("fièvre", "posologie")


def paragraph(chance: random.Random, kind: str) -> str:
    words = [chance.choice([*_WORDS[kind], "le", "de", "un", "est"]) for _ in range(chance.randint(12, 30))]
    return " ".join([*words, *["précis"] * chance.randint(0, 3), *["sans"] * chance.randint(0, 1)])


def answer(text: str, kind: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "quality": 1 + text.count("précis"),
        "negated": "sans" in text,
        "terms": sorted({term for term in _TERMS if term in text}),
    }


def annotated(articles: int = 60, of_each: int = 4) -> list[Annotation]:
    """Paragraphs of articles that mix kinds, as real ones do."""
    chance, found = random.Random(7), []
    for number in range(articles):
        for place in range(of_each):
            kind = chance.choice(list(_WORDS))
            text = paragraph(chance, kind)
            name = f"t:{number}"
            found.append(Annotation(f"{name}#{place}", name, "t", text, answer=answer(text, kind)))
    return found


def table(folder: Path, found: list[Annotation], change: Callable[[Annotation], None] | None = None) -> Path:
    """The table of annotations on disk; ``change`` is made to each first."""
    for one in found if change else ():
        change(one)  # type: ignore[misc]
    write(folder, tables(PROMPT, Annotator("model", "teacher", "1"), iter(found)))
    return folder


def corpus(folder: Path, texts: list[str | None], shards: int = 2, group: int = 100) -> Path:
    """Paragraphs as a build writes them, in several files of several row groups."""
    paragraphs = folder / "paragraphs"
    paragraphs.mkdir(parents=True)
    size = -(-len(texts) // shards)
    for number in range(shards):
        some = range(number * size, min((number + 1) * size, len(texts)))
        columns = {
            "id": [f"p:{place // 5}#{place}" for place in some],
            "article_id": [f"p:{place // 5}" for place in some],
            "text": pa.array([texts[place] for place in some], pa.large_string()),
        }
        pq.write_table(pa.table(columns), paragraphs / f"{number:05d}.parquet", row_group_size=group)
    return folder
