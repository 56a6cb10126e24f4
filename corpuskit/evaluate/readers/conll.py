"""Texts in columns, a word a line and a blank line between sentences, with entities in IOB2 (CoNLL-2003 and its kin).

Lines ``-DOCSTART-`` part documents; without them every sentence is one. The text of a document is its words with spaces
between them, a sentence a line: such files do not say how the words stood in the text that they were cut from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corpuskit.evaluate import tokens
from corpuskit.evaluate.readers import folders
from corpuskit.evaluate.records import Document, Span, Split, TaskError

ENDINGS = (".conll", ".iob", ".iob2", ".bio", ".tsv", ".txt")
START = "-DOCSTART-"

_TAG = re.compile(r"O|[BI]-\S+")


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the words and their tags are, counted from 1, or from the end with -1; None parts at any white space."""

    word: int = 1
    tag: int = -1
    separator: str | None = None

    def cells(self, line: str) -> list[str]:
        """The cells of a line."""
        return [cell.strip() for cell in line.split(self.separator)]

    def word_and_tag(self, cells: Sequence[str], width: int) -> tuple[str, str]:
        """The word and the tag of a line.

        Raises:
            ValueError: the line has not as many cells as those before, or too few, or no word, or no tag.
        """
        if width and len(cells) != width:
            raise ValueError(f"{len(cells)} columns, and {width} in the lines before")
        if len(cells) < max(abs(self.word), abs(self.tag), 2):
            raise ValueError(f"{len(cells)} columns, and words are in column {self.word}, tags in {self.tag}")
        word, tag = (cells[place - 1 if place > 0 else place] for place in (self.word, self.tag))
        if not word:
            raise ValueError(f"no word in column {self.word}")
        if not _TAG.fullmatch(tag):
            raise ValueError(f"{tag!r} in column {self.tag} is no tag of IOB2: O, or a label after B- or I-")
        return word, tag


@dataclass(slots=True)
class _Growing:
    """A document that is being read: its first line in the file, and its words with their places and tags."""

    line: int = 0
    text: str = ""
    words: list[Span] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)

    def add(self, word: str, tag: str, gap: str) -> None:
        self.text += (gap if self.words else "") + word
        self.words.append((len(self.text) - len(word), len(self.text)))
        self.tags.append(tag)


def read(
    path: str | Path,
    folder: str = "",
    *,
    columns: Columns | None = None,
    endings: Sequence[str] = ENDINGS,
    strict: bool = True,
) -> Split:
    """Read documents in columns.

    Args:
        path: a file, or whatever :func:`corpuskit.evaluate.readers.folders.read` takes.
        folder: only what is in a folder whose path ends so.
        columns: where what is; the first and the last where nothing is said.
        endings: of the names of the files that are read.
        strict: an ``I-`` that goes on with no entity is an error; otherwise it begins one, and is counted.

    Raises:
        TaskError: a line has not these columns, or a tag is not IOB2.
    """
    counted: Counter[str] = Counter()
    documents: dict[str, Document] = {}
    for files in folders.read(path, endings, folder).values():
        for name, file in files.items():
            for found in _documents(file, columns or Columns(), strict, counted):
                id = f"{name}#{found.line}"
                if id in documents:
                    raise TaskError(f"{file.where}: another file has its name: name the endings that are to be read")
                entities = tokens.to_entities(found.tags, found.words)
                documents[id] = Document(id, found.text, entities, where=f"{file.where}: line {found.line}")
    if not documents:
        raise TaskError(f"{path} holds no sentence: the split is empty")
    return Split(tuple(documents.values()), counted)


def _documents(file: folders.TextFile, columns: Columns, strict: bool, counted: Counter[str]) -> Iterator[_Growing]:
    lines = file.text.removeprefix("\ufeff").split("\n")
    marked = any(line.startswith(START) for line in lines)
    found, gap, before, width = _Growing(), "", tokens.OUTSIDE, 0
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(START):
            if found.words and (line.startswith(START) or not marked):
                yield found
                found = _Growing()
            gap, before = "\n", tokens.OUTSIDE
            continue
        cells = columns.cells(line)
        try:
            word, tag = columns.word_and_tag(cells, width)
        except ValueError as error:
            # A line of words may begin with "#" too.
            if line.startswith("#"):
                counted["comment"] += 1
                continue
            raise TaskError(f"{file.where}: line {number}: {error}") from None
        if tag.startswith("I-") and before[2:] != tag[2:]:
            begins = f"B-{tag[2:]}"
            if strict:
                mend = f"write {begins}, or let strict=False read the file as IOB1"
                raise TaskError(f"{file.where}: line {number}: {tag} goes on with no entity: {mend}")
            counted["I- that goes on with no entity"] += 1
            tag = begins
        width = len(cells)
        found.line = found.line or number
        found.add(word, tag, gap)
        gap, before = " ", tag
    if found.words:
        yield found
