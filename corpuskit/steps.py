"""The one small interface of the build: a datatrove step that looks at one article at a time."""

from __future__ import annotations

import builtins
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, cast

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from pydantic import BaseModel, ConfigDict

from corpuskit.records import Article, Quarantined


class StepOptions(BaseModel):
    """Settings of a reader or a step: validated, closed, printable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def to_document(item: Article | Quarantined) -> Document:
    """Wrap what a reader found for the way through a datatrove pipeline."""
    if isinstance(item, Article):
        return Document(text=item.text, id=item.id, metadata={"article": item})
    return Document(text="", id=f"{item.file}!{item.record}", metadata={"quarantined": item})


class ArticleStep(PipelineStep):
    """Judges or improves articles in place; never deletes, never adds.

    A subclass writes :meth:`process` and, with its own ``Options``, is configured by keywords::

        LanguageStep(keep="fr").run(documents)

    ``stage`` names the step in every reason it gives. Documents that hold no article (quarantined
    input) pass through untouched.
    """

    type = "🩺 - CORPUSKIT"
    stage: ClassVar[str]
    Options: ClassVar[builtins.type[StepOptions]] = StepOptions

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options: Any = self.Options(**options)

    @abstractmethod
    def process(self, article: Article) -> None:
        """Mark or mend the paragraphs of one article (``article.kept()`` are those still in)."""

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        return cast(DocumentsPipeline, self._run(data))

    def _run(self, data: DocumentsPipeline) -> Iterator[Document]:
        for document in data or ():
            article = document.metadata.get("article")
            if article is not None:
                with self.track_time():
                    self.process(article)
                document.text = article.text
            yield document


class Flatten(PipelineStep):
    """Turn articles into plain documents with flat metadata, for datatrove's own filters and writers.

    What is marked or quarantined is left behind and counted in the step's statistics.

    Args:
        unit: "paragraph" or "article", what becomes one document.
    """

    name = "Flatten"
    type = "🩺 - CORPUSKIT"

    def __init__(self, unit: str = "paragraph") -> None:
        super().__init__()
        if unit not in ("paragraph", "article"):
            raise ValueError(f"unit is 'paragraph' or 'article', not {unit!r}")
        self.unit = unit

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        return cast(DocumentsPipeline, self._run(data))

    def _run(self, data: DocumentsPipeline) -> Iterator[Document]:
        for document in data or ():
            article: Article | None = document.metadata.get("article")
            if article is None or article.drop is not None:
                self.stat_update("left_behind")
                continue
            columns = {
                name: getattr(article, name)
                for name in Article.__slots__
                if name not in ("id", "paragraphs", "skipped", "drop", "tokens")
            }
            if self.unit == "article":
                yield Document(text=article.text, id=article.id, metadata=columns)
                continue
            for order, paragraph in enumerate(article.paragraphs):
                if paragraph.drop is None:
                    metadata = columns | {
                        name: getattr(paragraph, name)
                        for name in type(paragraph).__slots__
                        if name not in ("text", "drop", "file")
                    }
                    yield Document(
                        text=paragraph.text, id=f"{article.id}/{order}", metadata=metadata | {"article_id": article.id}
                    )
