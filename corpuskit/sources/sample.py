"""A random share of the articles, the same ones in every run and every source."""

from __future__ import annotations

import hashlib

from pydantic import Field

from corpuskit.records import Article
from corpuskit.steps import StepOptions

REASON = "not_sampled"


class SampleOptions(StepOptions):
    """How much of the input to build from."""

    share: float = Field(1.0, gt=0, le=1, description="share of the articles to keep")
    seed: int = Field(1, description="another seed, another sample")


def chosen(article: Article, options: SampleOptions) -> bool:
    """Whether an article is in the sample.

    The choice is a hash of the seed and of what identifies the article everywhere (its doi, else its pmid, else
    its own id), so that a record and its full text, and most records of one article in several sources, are in or
    out together; a larger share holds the smaller one.
    """
    name = article.doi or article.pmid or article.id
    digest = hashlib.blake2b(f"{options.seed}:{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < options.share * 2**64
