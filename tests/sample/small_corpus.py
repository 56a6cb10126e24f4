"""A corpus as `corpuskit build` writes one, and annotations of it, with values that a test can compute with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpuskit.enrich import prompts
from corpuskit.enrich.annotations import Annotation, Annotator, tables, write
from corpuskit.enrich.prompts import Prompt
from corpuskit.records import ARTICLE_SCHEMA, PARAGRAPH_SCHEMA

PROMPT: Prompt = prompts.load("biomed-enriched-fr")
Row = dict[str, Any]


def rows(articles: int, of_each: int = 4) -> list[Row]:
    """Paragraphs of articles of two sources; words go from 5 to 24."""
    found = []
    for number in range(articles):
        article = f"{'hal' if number % 3 else 'pubmed'}:{number:06d}"
        for place in range(of_each):
            words = 5 + (7 * number + 3 * place) % 20
            found.append(
                {
                    "id": f"{article}#{place:012x}",
                    "article_id": article,
                    "order": place,
                    "text": " ".join(["mot"] * (words - 1) + [f"{number}-{place}"]),
                    "kind": "body",
                    "language": "en" if number % 5 == 4 else "fr",
                    "words": words,
                    "cluster_size": 1 + number % 7,
                    "source": article.partition(":")[0],
                    "year": 2000 + number % 20,
                    "document_type": "ART" if number % 2 else "COMM",
                }
            )
    return sorted(found, key=lambda row: (row["article_id"], row["order"]))


def corpus(folder: Path, found: Sequence[Row], shards: int = 1, group: int = 50) -> Path:
    """Write paragraphs and their articles; each article is in one shard."""
    names = sorted({row["article_id"] for row in found})
    size = -(-len(names) // shards)
    for table in ("paragraphs", "articles"):
        (folder / table).mkdir(parents=True)
    for number in range(shards):
        own = names[number * size : (number + 1) * size]
        there = set(own)
        paragraphs = pa.Table.from_pylist([row for row in found if row["article_id"] in there], PARAGRAPH_SCHEMA)
        articles = [{"id": name, "title": f"Titre {name}", "cluster_size": 2, "source": name[:3]} for name in own]
        pq.write_table(paragraphs, folder / "paragraphs" / f"{number:05d}.parquet", row_group_size=group)
        pq.write_table(
            pa.Table.from_pylist(articles, ARTICLE_SCHEMA), folder / "articles" / f"{number:05d}.parquet",
            row_group_size=group,
        )  # fmt: skip
    return folder


def answer(row: Row) -> Row:
    """A model that goes by the number of an article and the place of the paragraph."""
    number, place = int(row["article_id"][-6:]), row["order"]
    return {
        "document_type": "clinical_case" if number % 4 == 0 and place == 0 else "study",
        "domain": "clinical" if number % 3 == 0 or place == 0 else "biomedical",
        "educational_quality": 1 + (number + place) % 5,
        "language": row["language"],
    }


def annotated(folder: Path, found: Sequence[Row], answers: Callable[[Row], Row] = answer, soft: bool = False) -> Path:
    """Write the annotations of some paragraphs, in the order given."""

    def one(row: Row) -> Annotation:
        said = answers(row)
        shares = [0.0] * 5
        shares[said["educational_quality"] - 1] = 1.0
        known = {"educational_quality": shares} if soft else {}
        return Annotation(row["id"], row["article_id"], row["source"], row["text"], answer=said, soft=known)

    write(folder, tables(PROMPT, Annotator("model", "teacher", "1"), map(one, found)))
    return folder


def read(output: Path) -> list[Row]:
    """The rows of a sample, in their order."""
    files = sorted((output / "paragraphs").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]
