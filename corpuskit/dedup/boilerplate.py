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


def boilerplate(text_hashes: Array, articles: Array, min_documents: int) -> Array:
    """Which paragraphs stand in at least ``min_documents`` articles.

    Args:
        text_hashes: of the words of each paragraph, shape (n,), uint64.
        articles: the article of each, shape (n,).
        min_documents: one article counts once, however often it repeats itself.

    Returns:
        True for boilerplate, shape (n,).
    """
    order = np.lexsort((articles, text_hashes))
    hashes, owners = text_hashes[order], articles[order]
    new_text = np.ones(len(order), bool)
    new_text[1:] = hashes[1:] != hashes[:-1]
    new_article = new_text.copy()
    new_article[1:] |= owners[1:] != owners[:-1]
    text = np.cumsum(new_text) - 1
    documents = np.bincount(text, new_article)
    found = np.zeros(len(order), bool)
    if len(order):
        found[order] = documents[text] >= min_documents
    return found
