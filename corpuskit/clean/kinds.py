"""Which kinds of paragraphs are wanted."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from corpuskit.records import Article, Kind
from corpuskit.steps import ArticleStep, StepOptions


class KindOptions(StepOptions):
    """Settings of :class:`KindStep`."""

    keep: list[Kind] = Field(
        default=["title", "abstract", "body", "caption", "list", "quote"],
        description="kinds of paragraphs to keep; the others are dropped with their kind as the reason",
    )


class KindStep(ArticleStep):
    """Set aside front matter, references, notes and whatever else is not running text."""

    name = "Kinds"
    stage = "kind"
    Options: ClassVar[type[StepOptions]] = KindOptions

    def process(self, article: Article) -> None:
        for paragraph in article.kept():
            if paragraph.kind not in self.options.keep:
                paragraph.mark(self.stage, paragraph.kind)
