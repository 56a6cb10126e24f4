"""Boilerplate: short paragraphs that stand in many articles, such as leaflet headers and copyright lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from corpuskit.steps import StepOptions

Array = npt.NDArray[Any]

STAGE = "boilerplate"


class BoilerplateOptions(StepOptions):
    """What boilerplate is."""

    min_documents: int = Field(default=20, ge=2, description="articles in which the words of a paragraph must stand")
    max_words: int = Field(
        default=60, ge=1, description="words up to which it is boilerplate; a longer text is a duplicate"
    )


def document_frequency(text_hashes: Array, articles: Array) -> Array:
    """In how many articles the words of each paragraph stand.

    Args:
        text_hashes: of the words of each paragraph, shape (n,), uint64.
        articles: the article of each, shape (n,). One counts once, however often it repeats itself.

    Returns:
        Shape (n,), int64.
    """
    order = np.lexsort((articles, text_hashes))
    hashes, owners = text_hashes[order], articles[order]
    new_text = np.ones(len(order), bool)
    new_text[1:] = hashes[1:] != hashes[:-1]
    new_article = new_text.copy()
    new_article[1:] |= owners[1:] != owners[:-1]
    text = np.cumsum(new_text) - 1
    found = np.empty(len(order), np.int64)
    found[order] = np.bincount(text, new_article).astype(np.int64)[text]
    return found
