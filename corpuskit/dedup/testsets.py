"""Test sets, read for nothing but their text, whatever their format.

What is found by its ending or, in text, by its shape:

- plain text, a unit a line; so also brat (https://brat.nlplab.org/standoff.html), whose ``.ann`` is not looked at;
- columns, a token a line and a blank line between sentences (CoNLL-2003, IOB, CoNLL-U): a unit a sentence,
  its tokens with spaces between them;
- JSON Lines, JSON, Parquet, TSV and CSV: a unit a string, be it in a list or a mapping of the record.

A path is a file, a folder (read recursively, its files of several formats), a glob, an archive or an fsspec URL,
compressed or not. ``PATH:FIELD`` reads but one field of records, by its name or, in a table or in columns, by
its number from 1. Where no field is named, a string of a record is text when it has five words, is no part of a
longer string of the record, and is not the same in all records; of columns the first are the tokens.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from corpuskit.clean.encoding import mend
from corpuskit.clean.words import words
from corpuskit.files import InputFile, Member, Refused, find, members

#: Words from which a string of a record is text, not an id, a label or an answer.
LEAST_WORDS = 5

_FIELD = re.compile(r"(?P<path>.+):(?P<field>[^\W\d][\w. -]*|[1-9]\d{0,2})", re.DOTALL)
_ABOUT = re.compile(r"(readme|licen[cs]e|copying|changes|changelog|dataset_infos?|dataset_dict)\b", re.IGNORECASE)
_TAG = re.compile(r"O|[BIELSU]-\S+")
_CONLLU = re.compile(r"\d+([-.]\d+)?(\t[^\t]*){9}")
#: Lines that tell whether a text is in columns.
_HEAD = 200

#: A string, its field and its place in the file.
_Found = tuple[str, str, str]


class TestSetError(Exception):
    """A test set that cannot be read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One line, sentence or string of a test set: ``file#line`` or ``file#record.field``, and its mended text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class TestSet:
    """A test set by its name; no two units have the same text."""

    name: str
    units: list[Unit]


def files(path: str) -> list[InputFile]:
    """The files of a test set, whether their formats are known or not, sorted by name.

    Raises:
        TestSetError: there is none.
    """
    return _find(path)[0]


def field(path: str) -> str:
    """The one field of records that ``PATH:FIELD`` names, "" where all are meant."""
    return _parted(path)[1]


def load(name: str, path: str) -> TestSet:
    """Read a test set.

    Args:
        name: what to call it.
        path: where it is, with ``:FIELD`` where one field is meant.

    Raises:
        TestSetError: nothing is there, a file is damaged, no file is of a known format, or none holds text.
    """
    found, field = _find(path)
    names: dict[str, str] = {}
    fields: set[str] = set()
    known = 0
    for file in found:
        for member in _members(name, file):
            if (read := _format(member.name)) is None:
                continue
            known += 1
            try:
                strings = list(read(member.read(), field))
            except (Refused, ValueError, csv.Error, pa.ArrowException) as error:
                raise TestSetError(f"test set {name}: {file.path}: {member.name} cannot be read: {error}") from None
            fields.update(inner for _, inner, _ in strings)
            for text, inner, place in _texts(strings, field):
                names.setdefault(mend(text), f"{member.name}#{place}{'.' if inner else ''}{inner}")
    names.pop("", None)
    if not known:
        endings = ", ".join([*_FORMATS, *_TEXT])
        raise TestSetError(f"test set {name}: no file at {path} is of a format that is understood: {endings}")
    if not names:
        there = f"; the fields are {', '.join(sorted(fields))}" if field and any(fields) else ""
        raise TestSetError(f"test set {name}: no text found at {path}{there}")
    return TestSet(name, [Unit(place, text) for text, place in names.items()])


def _find(path: str) -> tuple[list[InputFile], str]:
    """The files, and the field that the path names or ""."""
    where, field = _parted(path)
    try:
        return find(where), field
    except (OSError, ValueError, ImportError) as error:
        raise TestSetError(f"no test set at {path}: {error}") from None


def _parted(path: str) -> tuple[str, str]:
    named = None if os.path.lexists(path) else _FIELD.fullmatch(path)
    return (named["path"], named["field"]) if named else (path, "")


def _members(name: str, file: InputFile) -> Iterator[Member]:
    try:
        for member in members(file):
            if member.refused and member.refused != "the file is empty":
                raise Refused(member.refused)
            if not member.refused:
                yield member
    except (Refused, OSError) as error:
        raise TestSetError(f"test set {name}: {file.path} cannot be read: {error}") from None


def _format(name: str) -> Callable[[bytes, str], Iterable[_Found]] | None:
    path = PurePosixPath(name.lower().rpartition("!/")[2])
    if _ABOUT.match(path.name) or path.name.startswith("."):
        return None
    return _FORMATS.get(path.suffix) or (_read_text if path.suffix in _TEXT else None)


def _texts(strings: Iterable[_Found], field: str) -> Iterator[_Found]:
    """Those of the strings that are text: of the field, of no field at all, or such as the module says."""
    by_field, by_place = defaultdict(list), defaultdict(list)
    for string, inner, place in strings:
        if not inner or field in ("", inner, inner.rpartition(".")[2]):
            by_field[inner].append(string)
            by_place[place].append((string, inner))
    same = {inner for inner, values in by_field.items() if len(values) > 2 and len(set(values)) == 1}
    for place, found in by_place.items():
        for string, inner in found:
            longer = (other for other, _ in found if len(other) > len(string))
            chosen = field or not inner
            if chosen or (inner not in same and _is_text(string) and not any(string in other for other in longer)):
                yield string, inner, place


def _is_text(string: str) -> bool:
    # Labels joined to one string have few spaces.
    return len(string.split()) > LEAST_WORDS // 2 and len(words(string)) >= LEAST_WORDS


def _decoded(data: bytes) -> str:
    """UTF-8, or what older French corpora are in."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252")


def _read_text(data: bytes, field: str) -> Iterator[_Found]:
    lines = _decoded(data).split("\n")
    head = [line.rstrip() for line in lines[:_HEAD] if line.strip() and not line.startswith(("-DOCSTART-", "# "))]
    if head and all(map(_CONLLU.fullmatch, head)):
        return _read_columns(lines, int(field) if field.isdigit() else 2, "\t")
    if head and all(len(line.split()) > 1 and _TAG.fullmatch(line.split()[-1]) for line in head):
        return _read_columns(lines, int(field) if field.isdigit() else 1, None)
    return ((line, "", str(number)) for number, line in enumerate(lines, 1))


def _read_columns(lines: list[str], column: int, separator: str | None) -> Iterator[_Found]:
    tokens: list[str] = []
    first = 1
    for number, line in enumerate([*lines, ""], 1):
        cells = line.rstrip("\r\n").split(separator)
        if not line.strip() or line.startswith("-DOCSTART-"):
            if tokens:
                yield " ".join(tokens), "", str(first)
            tokens = []
        elif separator is None or not line.startswith("# "):
            if len(cells) < column:
                raise ValueError(f"line {number} has no column {column}: {line.strip()!r}")
            first = first if tokens else number
            # A token of several words is followed by those words.
            if separator is None or "-" not in cells[0]:
                tokens.append(cells[column - 1])


def _read_json_lines(data: bytes, field: str) -> Iterator[_Found]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise ValueError(f"line {number}: {error}") from None
            yield from _strings(record, "", str(number))


def _read_json(data: bytes, field: str) -> Iterator[_Found]:
    content = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    for number, record in enumerate(content if isinstance(content, list) else [content], 1):
        yield from _strings(record, "", str(number))


def _read_parquet(data: bytes, field: str) -> Iterator[_Found]:
    for number, record in enumerate(pq.read_table(io.BytesIO(data)).to_pylist(), 1):
        yield from _strings(record, "", str(number))


def _strings(value: Any, field: str, place: str) -> Iterator[_Found]:
    """All strings of a JSON value; a list of tokens is one."""
    if isinstance(value, str):
        yield value, field, place
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, f"{field}.{key}" if field else str(key), place)
    elif isinstance(value, list):
        if value and all(isinstance(token, str) and not re.search(r"\s", token) for token in value):
            if not all(map(_TAG.fullmatch, value)):
                yield " ".join(value), field, place
            return
        for number, inner in enumerate(value, 1):
            # The records of a file that is one mapping are told apart by their number in its list.
            yield from _strings(inner, field, f"{place}.{number}")


def _read_table(data: bytes, field: str) -> Iterator[_Found]:
    text = _decoded(data)
    lines = text.split("\n")
    head = [line.rstrip() for line in lines[:_HEAD] if line.strip() and not line.startswith("-DOCSTART-")]
    if any(not line.strip() for line in lines[1:_HEAD]) and all(
        len(line.split()) > 1 and _TAG.fullmatch(line.split()[-1]) for line in head
    ):
        yield from _read_text(data, field)
        return
    rows = _rows(text) if text.strip() else []
    # Were it no header, no text would be lost: it has none.
    header = rows[0][1] if rows and not any(map(_is_text, rows[0][1])) else []
    if field.isdigit():
        header = []
    for number, cells in rows[1:] if header else rows:
        for column, cell in enumerate(cells):
            yield cell, header[column] if column < len(header) else str(column + 1), str(number)


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """The rows of a table and the lines they end on, by the delimiter that gives all of them as many cells."""
    common = max("\t;,", key=text.count)
    # Where quotes do not pair in a TSV they are but characters.
    tries = [*((delimiter, True, True) for delimiter in "\t;,"), ("\t", False, False), (common, True, False)]
    for delimiter, quoted, strict in tries:
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=strict)
        try:
            rows = [(reader.line_num, cells) for cells in reader if cells]
        except csv.Error:
            if strict:
                continue
            raise
        if len(rows[0][1]) > 1 and len({len(cells) for _, cells in rows}) == 1:
            break
    return rows


_TEXT = (".txt", ".conll", ".conllu", ".iob", ".iob2", ".bio", ".iobes")
_FORMATS: dict[str, Callable[[bytes, str], Iterable[_Found]]] = {
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".tsv": _read_table,
    ".csv": _read_table,
}
