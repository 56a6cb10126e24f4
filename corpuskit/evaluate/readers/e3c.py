"""The European Clinical Case Corpus (Magnini et al. 2020, https://github.com/hltfbk/E3C-Corpus), in its three formats.

- ``data_annotation/French/layer1/*.xml``: texts with annotations, UIMA CAS XMI as WebAnno writes it. Offsets there are
  UTF-16 code units, and are made characters here.
- ``data_collection/French/layer1/*.json``: the same texts with where they come from, and no annotation. A text there
  has spaces where the lines of the XMI break.
- ``preprocessed_data/clinical_entities/**/*.txt`` and ``*.iob``: columns in IOB2 (`readers.conll`),
  without documents, and without the entities that IOB2 cannot say.

A discontinuous entity is but marked as such in the XMI: it has one span, from its first word to its last, and nothing
says which words are its own. It is read as that span, and counted.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from lxml import etree

from corpuskit.evaluate.readers import conll, folders
from corpuskit.evaluate.records import Document, Entity, Split, TaskError

#: The layer of pathologies and symptoms, on which models are compared; and their label.
CLINICAL = "CLINENTITY"

_CAS, _CUSTOM, _XMI = "{http:///uima/cas.ecore}", "{http:///webanno/custom.ecore}", "{http://www.omg.org/XMI}"


def read(
    path: str | Path, folder: str = "", *, layers: Collection[str] = (CLINICAL,), texts: str | Path | None = None
) -> Split:
    """Read the annotated documents (XMI).

    Args:
        path: ``data_annotation`` or a part of it.
        folder: only what is in a folder whose path ends so, such as ``French/layer1``.
        layers: the annotations that are entities, such as ``CLINENTITY`` and ``BODYPART``; others are counted.
        texts: the same documents in ``data_collection``, to compare the texts with.

    Raises:
        TaskError: a file is no XMI, an offset is not within its text, or a text is not that of the collection.
    """
    collected = _collected(texts) if texts else None
    counted: Counter[str] = Counter()
    documents = []
    for name, file in folders.read(path, (".xml",), folder)[".xml"].items():
        document = _document(name, file, layers, counted)
        if collected is not None:
            stem = name.rpartition("/")[2]
            if stem not in collected:
                raise TaskError(f"{file.where}: there is no {stem}.json at {texts}: get it, or leave `texts` out")
            where, text = collected[stem]
            if text.split() != document.text.split():
                raise TaskError(f"{file.where}: its text is not that of {where}: they are not of one version")
        documents.append(document)
    return Split(tuple(documents), counted)


def read_columns(path: str | Path, folder: str = "", *, tag: int = -1, label: str = CLINICAL) -> Split:
    """Read the preprocessed sentences (columns): they call entities ``ety`` or by their concept, here all by one label.

    Args:
        path: a file of them, or a folder.
        folder: only what is in a folder whose path ends so, such as ``French``.
        tag: the column of tags; the files of layer 2 have two such columns.
        label: the label of all entities.

    Raises:
        TaskError: a line is not as it should be.
    """
    split = conll.read(path, folder, columns=conll.Columns(tag=tag), endings=(".iob", ".txt"))
    documents = (
        replace(document, entities=tuple(replace(entity, label=label) for entity in document.entities))
        for document in split.documents
    )
    return Split(tuple(documents), split.counted)


def _document(name: str, file: folders.TextFile, layers: Collection[str], counted: Counter[str]) -> Document:
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
        root = etree.fromstring(file.text.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise TaskError(f"{file.where}: line {error.lineno}: no XML: {error.msg}") from None
    views = [text for view in root.iter(f"{_CAS}Sofa") if (text := view.get("sofaString")) is not None]
    if len(views) != 1:
        raise TaskError(f"{file.where}: {len(views)} texts (cas:Sofa) where one should be: export it as UIMA CAS XMI")
    text = views[0]
    characters = _characters(text)
    entities = []
    for element in root.iter(f"{_CUSTOM}*"):
        layer = etree.QName(element).localname
        if layer in layers:
            entities.append(_entity(element, layer, characters, file.where))
            if element.get("discontinuous"):
                counted["discontinuous, as one span"] += 1
        elif layer != "METADATA":
            counted[layer] += 1
    entities.sort(key=lambda entity: (entity.start, -entity.end))
    about = next(root.iter(f"{_CUSTOM}METADATA"), None)
    group = (about.get("docDOI") or about.get("docName") or "") if about is not None else ""
    return Document(name, text, tuple(entities), group, where=file.where)


def _entity(element: Any, label: str, characters: dict[int, int], where: str) -> Entity:
    id = element.get(f"{_XMI}id", "")
    given = element.get("begin"), element.get("end")
    start, end = (characters.get(int(place)) if place and place.isdigit() else None for place in given)
    if start is None or end is None or end <= start:
        problem = f"{label} {id} is at {given[0]} to {given[1]}, which is no piece of the text"
        raise TaskError(f"{where}: line {element.sourceline}: {problem}: mend its offsets")
    return Entity(((start, end),), label, id, element.sourceline or 0)


def _characters(text: str) -> dict[int, int]:
    """The place of each character by its place in UTF-16."""
    units = itertools.accumulate((1 + (character > "\uffff") for character in text), initial=0)
    return {unit: place for place, unit in enumerate(units)}


def _collected(path: str | Path) -> dict[str, tuple[str, str]]:
    """Where each text of the collection is, and the text, by the name of its file."""
    found = {}
    for name, file in folders.read(path, (".json",))[".json"].items():
        try:
            text = orjson.loads(file.text)["text"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise TaskError(f'{file.where}: no record of the collection, with a "text": {error}') from None
        found[name.rpartition("/")[2]] = file.where, str(text)
    return found
