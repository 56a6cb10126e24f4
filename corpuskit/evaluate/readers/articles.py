"""Articles in JATS with their type as the journal gave it (``article-type``): the gold of document types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from corpuskit.evaluate.records import Document, Split, TaskError
from corpuskit.records import Quarantined
from corpuskit.sources import READERS


def read(data: str | Path, part: str = "", *, only: Collection[str] = ()) -> Split:
    """Read articles.

    Args:
        data: a folder, an archive or a file.
        part: a folder or a file there; all of it unless given.
        only: the types that are read; articles of others are counted.

    Raises:
        TaskError: a file cannot be read, or none holds an article of these types with a text.
    """
    path = Path(data, part)
    reader = READERS["pubmed"](str(path))
    documents: dict[str, Document] = {}
    counted: Counter[str] = Counter()
    try:
        files = reader.files()
    except (OSError, ValueError) as error:
        raise TaskError(f"no articles at {path}: {error}") from None
    for file in files:
        for article in reader.read_file(file):
            if isinstance(article, Quarantined):
                raise TaskError(f"{article.file}: {article.error}: {article.hint or 'mend it, or take it out'}")
            kind, text = article.document_type, article.text
            if only and kind not in only:
                counted["article of another type"] += 1
            elif not text.strip() or not kind:
                counted["article without text" if kind else "article without a type"] += 1
            elif (before := documents.get(article.id)) is not None:
                raise TaskError(f"{article.file}: article {article.id} is in {before.where} too: keep one")
            else:
                documents[article.id] = Document(article.id, text, labels=(kind,), where=article.file)
    if not documents:
        raise TaskError(f"{path} holds no article in JATS{' of these types' if only else ''}: the part is empty")
    return Split(tuple(documents.values()), counted)
