"""Texts with entities in brat standoff, every offset checked against the text (https://brat.nlplab.org/standoff.html).

A document is two files of one name: ``NAME.txt``, and ``NAME.ann`` with a line for each annotation, such as
``T1<TAB>DISO 24 31;35 40<TAB>cancers du sein``. Offsets are characters of the text as it stands in the file, line ends
included; the spans of an entity may stand in any order. Where only white space is between two of them they are one, as
brat parts an entity where a line breaks. Notes, relations, attributes and the like are counted.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

from corpuskit.evaluate.readers import folders
from corpuskit.evaluate.records import Document, Entity, Span, Split, TaskError

#: What lines that are no entities say, by what they begin with.
KINDS = {
    "#": "note", "R": "relation", "*": "relation", "E": "event", "A": "attribute", "M": "attribute", "N": "reference",
}  # fmt: skip

_ENTITY = re.compile(r"(?P<id>T\S+)\t(?P<label>\S+) (?P<spans>\d+ \d+(?:;\d+ \d+)*)\t(?P<text>.*)")
_NOTE = re.compile(r"#\S*\t\S+ (?P<of>T\S+)\t(?P<note>.*)")
_OTHER = re.compile(r"[REAMN#]\S*\t.+|\*\t.+")
# brat writes a space where a line of the text breaks.
_BREAKS = str.maketrans("\n\r\t", "   ")


def read(path: str | Path, folder: str = "", *, label_in_note: str = "", group: str = "") -> Split:
    """Read documents in brat standoff.

    Args:
        path: a folder, an archive or whatever :func:`corpuskit.evaluate.readers.folders.read` takes.
        folder: only what is in a folder whose path ends so, such as ``train/EMEA``.
        label_in_note: where the label is not the type but in a note, as in Mantra GSC: a regular expression that
            finds it there. What is found twice is two entities of one span.
        group: a regular expression; what it finds in a document's id is its group.

    Raises:
        TaskError: a file of a pair is missing, a line is nothing that brat knows, or offsets and text do not agree.
    """
    files = folders.read(path, (".txt", ".ann"), folder)
    texts, annotations = files[".txt"], files[".ann"]
    for have, miss, ending in ((texts, annotations, ".ann"), (annotations, texts, ".txt")):
        if lonely := [file.where for name, file in have.items() if name not in miss]:
            more = f", and {len(lonely) - 1} others have none" if lonely[1:] else ""
            raise TaskError(f"{lonely[0]} has no {ending} beside it{more}: get the missing files, or take it out")
    counted: Counter[str] = Counter()
    documents = []
    for name, file in texts.items():
        entities = _entities(annotations[name], file, re.compile(label_in_note) if label_in_note else None, counted)
        found = re.search(group, name) if group else None
        group_of = found[0] if found else ""
        documents.append(Document(name, file.text, tuple(entities), group_of, where=annotations[name].where))
    return Split(tuple(documents), +counted)


def _entities(
    file: folders.TextFile, of: folders.TextFile, label_in_note: re.Pattern[str] | None, counted: Counter[str]
) -> list[Entity]:
    """The entities that a file annotates, in its order."""
    entities: dict[str, tuple[int, Entity]] = {}
    labels: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(file.text.split("\n"), 1):
        line = line.removesuffix("\r")
        where = f"{file.where}: line {number}"
        if found := _ENTITY.fullmatch(line):
            if found["id"] in entities:
                raise TaskError(f"{where}: there is a {found['id']} before: number the annotations anew")
            spans = [(int(start), int(end)) for start, end in (span.split() for span in found["spans"].split(";"))]
            _check(spans, found["text"], found["id"], of, where)
            joined = _joined(sorted(spans), of.text)
            counted["entity joined over white space"] += len(joined) < len(spans)
            entities[found["id"]] = number, Entity(joined, found["label"], found["id"], number)
        elif _OTHER.fullmatch(line):
            counted[KINDS[line[0]]] += 1
            if label_in_note and (note := _NOTE.fullmatch(line)):
                labels[note["of"]] += label_in_note.findall(note["note"])
        elif line.strip():
            raise TaskError(f"{where}: {line!r} is nothing that brat writes, such as 'T1<TAB>DISO 0 5<TAB>fever'")
    if label_in_note is None:
        return [entity for _, entity in entities.values()]
    for id, (number, _) in entities.items():
        if not labels[id]:
            raise TaskError(f"{file.where}: line {number}: no note on {id} has a label like {label_in_note.pattern!r}")
    return [
        Entity(entity.spans, label, id, line)
        for id, (line, entity) in entities.items()
        for label in dict.fromkeys(labels[id])
    ]


def _joined(spans: list[Span], text: str) -> tuple[Span, ...]:
    """Spans in order, those as one that only white space parts."""
    joined = spans[:1]
    for start, end in spans[1:]:
        if text[joined[-1][1] : start].strip():
            joined.append((start, end))
        else:
            joined[-1] = joined[-1][0], end
    return tuple(joined)


def _check(spans: list[Span], annotated: str, id: str, of: folders.TextFile, where: str) -> None:
    """Compare an annotation with the text it is about."""
    ordered = sorted(spans)
    for start, end in ordered:
        if end <= start:
            raise TaskError(f"{where}: {id} ends at {end}, and begins at {start}: mend its offsets")
        if end > len(of.text):
            size = len(of.text)
            raise TaskError(f"{where}: {id} ends at {end}, and {of.where} has {size} characters: get its own text")
    if any(start < end for (_, end), (start, _) in pairwise(ordered)):
        raise TaskError(f"{where}: {id} has spans that overlap: mend its offsets")
    there = " ".join(of.text[start:end] for start, end in spans)
    if there.translate(_BREAKS) != annotated.translate(_BREAKS):
        raise TaskError(f"{where}: {id} is {annotated!r}, and {there!r} in {of.where}: get its own text, or mend it")
