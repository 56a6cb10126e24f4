"""Negation in French: cues and their scopes, in the columns of CAS and ESSAI (Dalloux et al. 2021).

Supervised learning for the detection of negation and of its scope in French and Brazilian Portuguese biomedical
corpora, Natural Language Engineering 27 (2), doi:10.1017/S1351324920000352. The files ``CAS_neg.txt`` and
``ESSAI_neg.txt`` have a token a line, parted by tabs: number of the sentence, of the token, token, lemma, part of
speech; then ``***`` alone where the sentence has no negation, otherwise a column of cues and one of scopes, with
``B_cue_neg``, ``I_cue_neg``, ``B_scope_neg``, ``I_scope_neg``, or ``_`` for neither. More pairs of columns may follow,
and are read the same. A blank line, or another number, ends a sentence. ``*_spec.txt`` have speculation the same way.

A document is a sentence, its tokens with spaces between them. Each run of tags is an entity: ``CUE`` or ``SCOPE``.
A scope that goes on behind a cue goes on as an ``I``, and is then one entity in two pieces.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corpuskit.evaluate.readers import folders, tables
from corpuskit.evaluate.records import Document, Entity, Span, Split, TaskError

CUE, SCOPE = "CUE", "SCOPE"
#: The classes of a sentence.
NEGATED, AFFIRMED = "negated", "affirmed"

_TAG = re.compile(r"(?P<prefix>[BI])[_-](?P<what>cue|scope)(?:_(?:neg|spec))?", re.IGNORECASE)
_NOTHING = ("_", "***", "O", "")


@dataclass(slots=True)
class _Sentence:
    """A sentence that is being read: its number, first line, words with their places, and tags of each column."""

    number: str
    line: int
    text: str = ""
    words: list[Span] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    tags: list[Sequence[str]] = field(default_factory=list)

    def add(self, word: str, tags: Sequence[str], line: int) -> None:
        self.text += (" " if self.words else "") + word
        self.words.append((len(self.text) - len(word), len(self.text)))
        self.lines.append(line)
        self.tags.append(tags)


def read(data: str | Path, part: str = "", *, sentence: bool = False, strict: bool = True) -> Split:
    """Read sentences with their cues and scopes.

    Args:
        data: a folder, an archive or a file.
        part: the file there, such as ``CAS_neg.txt``.
        sentence: not cues and scopes, but whether a sentence has any: its label is ``negated`` or ``affirmed``.
        strict: a tag that is none is an error; otherwise it is counted and says nothing.

    Raises:
        TaskError: a line has too few columns or an unknown tag, or an ``I`` goes on with nothing.
    """
    counted: Counter[str] = Counter()
    documents: dict[str, Document] = {}
    for file in tables.files(data, part, (".txt", ".tsv")).values():
        for found in _sentences(file):
            where = f"{file.where}: line {found.line}"
            if found.number in documents:
                before = documents[found.number].where
                raise TaskError(f"{where}: sentence {found.number} is at {before} too: number the sentences anew")
            entities = _entities(found, file.where, strict, counted)
            if sentence:
                label = NEGATED if any(entity.label == CUE for entity in entities) else AFFIRMED
                document = Document(found.number, found.text, labels=(label,), where=where)
            else:
                document = Document(found.number, found.text, tuple(entities), where=file.where)
            documents[found.number] = document
    if not documents:
        raise TaskError(f"{part or data} holds no sentence: the part is empty")
    return Split(tuple(documents.values()), counted)


def _sentences(file: folders.TextFile) -> Iterator[_Sentence]:
    found: _Sentence | None = None
    for number, line in enumerate(file.text.removeprefix("\ufeff").split("\n"), 1):
        cells = [cell.strip() for cell in line.split("\t")]
        if not any(cells):
            if found:
                yield found
            found = None
            continue
        if len(cells) < 6:
            such = "sentence, token, word, lemma, part of speech, and *** or cue and scope"
            raise TaskError(f"{file.where}: line {number}: {len(cells)} columns, parted by tabs: {such} are at least 6")
        if not cells[2]:
            raise TaskError(f"{file.where}: line {number}: no word in column 3")
        if found and found.number != cells[0]:
            yield found
            found = None
        found = found or _Sentence(cells[0], number)
        found.add(cells[2], cells[5:], number)
    if found:
        yield found


def _entities(found: _Sentence, where: str, strict: bool, counted: Counter[str]) -> list[Entity]:
    """The entities of a sentence, in order."""
    entities = []
    for column in range(max(map(len, found.tags))):
        open: dict[str, tuple[list[Span], int]] = {}  # the words of an entity, and its line, by what it is
        for place, tags in enumerate(found.tags):
            tag = tags[column] if column < len(tags) else "_"
            if tag in _NOTHING:
                continue
            at = f"{where}: line {found.lines[place]}"
            match = _TAG.fullmatch(tag)
            if match is None:
                if strict:
                    mend = "mend it, or let `strict: false` pass over such"
                    raise TaskError(f"{at}: {tag!r} is no tag, such as B_cue_neg, I_scope_neg, _ or ***: {mend}")
                counted["unknown tag"] += 1
                continue
            what = match["what"].upper()
            if match["prefix"].upper() == "B" and what in open:
                entities.append(_entity(*open.pop(what), what, found.text))
            elif match["prefix"].upper() == "I" and what not in open:
                if strict:
                    mend = f"write B_{match['what']}, or let `strict: false` do so"
                    raise TaskError(f"{at}: {tag!r} goes on with nothing: {mend}")
                counted["I that goes on with nothing"] += 1
            open.setdefault(what, ([], found.lines[place]))[0].append(found.words[place])
        entities += [_entity(*parts, what, found.text) for what, parts in open.items()]
    return sorted(entities, key=lambda entity: (entity.start, -entity.end, entity.label))


def _entity(words: list[Span], line: int, label: str, text: str) -> Entity:
    """What words with one tag are: those that follow each other are one piece."""
    spans: list[Span] = []
    for start, end in words:
        if spans and spans[-1][1] + 1 == start:
            spans[-1] = spans[-1][0], end
        else:
            spans.append((start, end))
    return Entity(tuple(spans), label, line=line)
