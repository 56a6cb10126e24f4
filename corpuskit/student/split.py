"""Which paragraphs train, choose and measure: whole articles, never paragraphs of one article on two sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

PARTS = ("train", "dev", "test")
#: Of the articles, by part.
SHARES = (0.8, 0.1, 0.1)


def parts(articles: Sequence[str], seed: int = 0, shares: Sequence[float] = SHARES) -> npt.NDArray[Any]:
    """The part of each paragraph, as a place in :data:`PARTS`.

    It depends on the id of the article and the seed alone: with more annotations, what was in the test stays there,
    and students of several rounds are measured on the same articles.

    Args:
        articles: the id of the article of each paragraph.
        seed: another one deals the articles otherwise.
        shares: of the articles that train, choose and measure.

    Returns:
        Shape (paragraphs,), int8.
    """
    edges = np.cumsum(shares)[:-1]
    part: dict[str, int] = {}
    for article in articles:
        if article not in part:
            place = xxhash.xxh3_64_intdigest(article.encode("utf-8", "surrogatepass"), seed) / 2**64
            part[article] = int(np.searchsorted(edges, place, side="right"))
    return np.fromiter((part[article] for article in articles), np.int8, len(articles))
