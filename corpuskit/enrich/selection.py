"""Which paragraphs are asked about."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from corpuskit.paragraphs import read
from corpuskit.steps import StepOptions


class Selected(NamedTuple):
    """A paragraph that is asked about."""

    id: str
    article_id: str
    source: str
    text: str


class Selection(StepOptions):
    """All of them, unless told otherwise."""

    share: float = Field(
        1.0, gt=0, le=1, description="a random share of them, the same for a seed; a larger one holds it"
    )
    seed: int = Field(1, description="another seed, another share")
    min_words: int = Field(0, ge=0, description="only those of as many words")
    limit: int | None = Field(None, ge=1, description="the first so many of these")


def select(paragraphs: str | Path, selection: Selection) -> Iterator[Selected]:
    """The chosen paragraphs, in their order; the same every time.

    Raises:
        corpuskit.paragraphs.read.ParagraphsError: there are none, or they lack `id` or `text`.
    """
    left = -1 if selection.limit is None else selection.limit
    within = selection.share * 2**64
    for batch in read.batches(paragraphs, ("id", "article_id", "source", "text", "words")):
        for id, article_id, source, text, words in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if selection.min_words and (len(text.split()) if words is None else words) < selection.min_words:
                continue
            if selection.share < 1:
                digest = hashlib.blake2b(f"{selection.seed}:{id}".encode("utf-8", "replace"), digest_size=8).digest()
                if int.from_bytes(digest, "big") >= within:
                    continue
            if not left:
                return
            left -= 1
            yield Selected(id, article_id or id.partition("#")[0], source or "", text)
