"""The user's own corpora, a row or a text a document: JSON Lines, JSON, Parquet and plain text.

A row is a mapping with a ``text`` and whatever article columns of the data contract it has. A blank
line ends a paragraph; a single line break is a space, unless ``paragraph_break`` is ``line``.
"""

from __future__ import annotations

import codecs
import json
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import IO, Any, Literal, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, field_validator

from corpuskit import files, identifiers
from corpuskit.files import Member, Refused
from corpuskit.records import Article, Paragraph, Quarantined
from corpuskit.sources.base import Items, SourceOptions, SourceReader

Row = dict[str, Any]
#: Rows with their numbers in the file, from 0, or what is wrong with them.
Rows = Iterator[tuple[int, Row | Refused]]

_CHUNK = 1 << 20
#: Rows of Parquet that are in memory at once.
_BATCH = 128
_BREAKS = {"blank-line": re.compile(r"\n(?:[^\S\n]*\n)+"), "line": re.compile(r"\n")}
# A no-break space stays: it is half of an "à" that was decoded wrongly, which is mended later.
_ASCII_SPACE = " \t\r\n\f\v"
_SPACES = re.compile(f"[{_ASCII_SPACE}]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BETWEEN_VALUES = re.compile(r"[\s,\[\]\ufeff]*")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


# What a cell may hold, and what it becomes.


def _string(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with a gap arrives as floats
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise TypeError("text")
    return _SPACES.sub(" ", value).strip(" ")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        value = value.split(";")
    if not isinstance(value, list):
        raise TypeError("a list, or text with semicolons")
    return [text for item in value if _given(item) and (text := _string(item))]


def _authors(value: Any) -> list[str]:
    return _strings([_author(item) for item in value] if isinstance(value, list) else value)


def _author(value: Any) -> Any:
    """``Family, Given`` where the row tells them apart; else the name as it is, for nothing says which is which."""
    if not isinstance(value, dict):
        return value
    parts = [value[name] for name in ("family", "given") if _given(value.get(name))]
    return ", ".join(map(_string, parts)) or next((value[name] for name in ("name", "author") if name in value), None)


def _identifier(normalised: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: normalised(_string(value))


_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "id": _string,
    "title": _string,
    "other_titles": _strings,
    "authors": _authors,
    "year": _identifier(identifiers.year),
    "journal": _string,
    "language": _identifier(identifiers.language),
    "subjects": _strings,
    "document_type": _string,
    "licence": _identifier(identifiers.licence),
    "url": _string,
    "doi": _identifier(identifiers.doi),
    "pmid": _identifier(identifiers.pmid),
    "pmcid": _identifier(identifiers.pmcid),
    "hal_id": _identifier(identifiers.hal_id),
    "ark": _identifier(identifiers.ark),
}
_SYNONYMS = {"date": "year", "publication_date": "year", "license": "licence", "type": "document_type"}


def _given(value: Any) -> bool:
    """Whether a cell holds anything: None, NaN and "" are all how tables say "nothing"."""
    return value is not None and value == value and value != ""


class TextOptions(SourceOptions):
    """What every reader of the user's own text takes."""

    paragraph_break: Literal["blank-line", "line"] = Field(
        "blank-line", description="what ends a paragraph: `blank-line`, or every `line`"
    )


class RowOptions(TextOptions):
    """How the user's columns are named."""

    text_column: str = Field("text", description="column that holds the text")
    columns: dict[str, str] = Field({}, description="other columns, theirs to ours, such as `{revue: journal}`")

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        if unknown := [ours for ours in columns.values() if ours not in _COLUMNS]:
            raise ValueError(f"an article has no {', '.join(unknown)}; it has {', '.join(_COLUMNS)}")
        return columns

    def names(self) -> dict[str, str]:
        """Every column that is read to what it is, the weaker of two synonyms first."""
        mapped = self.columns if "text" in self.columns.values() else {self.text_column: "text"} | self.columns
        known = _SYNONYMS | {name: name for name in _COLUMNS}
        taken = set(mapped.values())
        return {theirs: ours for theirs, ours in known.items() if theirs not in mapped and ours not in taken} | mapped


class FileOptions(TextOptions):
    """What one document is, and how it is encoded."""

    unit: Literal["file", "line"] = Field("file", description="what one document is: a `file`, or a `line`")
    encoding: str = Field("utf-8", description="character encoding of a file that has no byte order mark")

    @field_validator("encoding")
    @classmethod
    def _exists(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except LookupError:
            raise ValueError("there is no such encoding; try utf-8 or windows-1252") from None
        return encoding

    def names(self) -> dict[str, str]:
        """The columns of the rows that are made of plain text."""
        return {"id": "id", "text": "text"}


class _RowReader(SourceReader):
    """Makes articles of the rows that a subclass finds.

    Ids are ``<name>:<id>``, or for a row without one ``<name>:<file without suffix>-<row>``. The
    ``path`` of a paragraph is its place in the row's text (``char=start,end``, RFC 5147: code points,
    from 0), that of a title paragraph is ``title``.
    """

    @abstractmethod
    def rows(self, member: Member) -> Iterator[Rows]:
        """The rows of a stream, one or a few at a time, parsed when they are asked for."""

    def read(self, member: Member) -> Iterator[Items]:
        for rows in self.rows(member):
            yield self._items(rows, member.name)

    def _items(self, rows: Rows, file: str) -> Iterator[Article | Quarantined]:
        for number, row in rows:
            try:
                if isinstance(row, Refused):
                    raise row
                yield self._article(row, file, number)
            except Exception as error:
                yield self.quarantine(file, error, record=str(number))

    def _article(self, row: Row, file: str, number: int) -> Article:
        values = self._values(row)
        text = values.pop("text", "")
        if not text.strip():
            absent = "" if "text" in map(self._names.get, row) else f"; its columns are {', '.join(row)}"
            raise Refused(f"the row has no text{absent}", "set text_column" if absent else "")
        if len(text) > files.MAX_RECORD_BYTES:
            raise Refused(f"a text of {len(text):,} characters, over the limit of {files.MAX_RECORD_BYTES:,}")
        key = values.pop("id", "") or f"{_stem(file)}-{number}"
        found = Article(f"{self.source_name}:{key}", self.source_name, file, number, **values)
        if found.title:
            found.paragraphs.append(Paragraph(found.title, "title", "title"))
        found.paragraphs.extend(paragraphs(text, self.options.paragraph_break))
        return found

    def _values(self, row: Row) -> Row:
        values = {}
        for theirs, ours in self._names.items():
            if _given(value := row.get(theirs)):
                try:
                    values[ours] = _COLUMNS[ours](value)
                except TypeError as error:
                    kind = type(value).__name__
                    raise Refused(f"column {theirs!r} holds {kind}, not {error}", "mend it, or rename it") from None
        return values

    @cached_property
    def _names(self) -> dict[str, str]:
        return cast(dict[str, str], self.options.names())


class JsonlReader(_RowReader):
    """One article a line of JSON Lines (``.jsonl``, ``.ndjson``), or an object of a ``.json`` file.

    A line that is no JSON, too long or without text costs only itself. A ``.json`` file is one
    object, an array of objects, or lines; a fault of syntax in an array costs what follows it.
    """

    name = "📄 JSON Lines"
    source = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json")
    Options = RowOptions

    def rows(self, member: Member) -> Iterator[Rows]:
        if cast(Any, member.stream).peek(2).startswith(_UTF16):
            raise Refused("UTF-16, but JSON is UTF-8 (RFC 8259)", "convert it: iconv -f UTF-16 -t UTF-8")
        if member.name.lower().endswith(".json"):
            return _json_rows(member.stream)
        return (_line_row(number, line) for number, line in _lines(member.stream))


class ParquetReader(_RowReader):
    """One article a row of Parquet. Only the columns that an article has are read, some rows at a time."""

    name = "📄 Parquet"
    source = "parquet"
    suffixes = (".parquet",)
    Options = RowOptions

    def rows(self, member: Member) -> Iterator[Rows]:
        if "!/" in member.name or not member.stream.seekable():
            raise Refused("Parquet needs random access, which archives and compression take away", "unpack it")
        table = pq.ParquetFile(member.stream, pre_buffer=False, buffer_size=_CHUNK)
        present = [name for name in table.schema_arrow.names if name in self._names]
        if not any(self._names[name] == "text" for name in present):
            found = ", ".join(table.schema_arrow.names)
            raise Refused(f"there is no column {self.options.text_column!r}, only {found}", "set text_column")
        number = 0
        for batch in table.iter_batches(_BATCH, columns=present, use_threads=False):
            yield _batch_rows(batch, number)
            number += batch.num_rows


class TextReader(_RowReader):
    """One article a plain text file, or one a line."""

    name = "📄 Text"
    source = "text"
    suffixes = (".txt",)
    Options = FileOptions

    def rows(self, member: Member) -> Iterator[Rows]:
        if self.options.unit == "file":
            yield self._whole(member)
            return
        ascii_kept = "\n".encode(self.options.encoding).removeprefix(codecs.BOM_UTF8) == b"\n"
        if not ascii_kept or cast(Any, member.stream).peek(2).startswith(_UTF16):
            raise Refused("UTF-16 cannot be cut into lines before it is decoded", "convert it to UTF-8")
        for number, line in _lines(member.stream):
            yield self._line(number, line)

    def _whole(self, member: Member) -> Rows:
        row = self._row(member.read())
        yield 0, row if isinstance(row, Refused) else {"id": _stem(member.name)} | row

    def _line(self, number: int, line: bytes | Refused) -> Rows:
        yield number, line if isinstance(line, Refused) else self._row(line)

    def _row(self, data: bytes) -> Row | Refused:
        encoding = "utf-16" if data.startswith(_UTF16) else self.options.encoding
        try:
            return {"text": data.decode(encoding).removeprefix("\ufeff")}
        except UnicodeDecodeError as error:
            return Refused(f"not {encoding}: {error.reason} at byte {error.start}", "set `encoding`")


def paragraphs(text: str, paragraph_break: str = "blank-line") -> Iterator[Paragraph]:
    """The paragraphs of a text, each with its place and its white space made single spaces.

    Args:
        text: any text.
        paragraph_break: "blank-line", or "line" for a paragraph a line.
    """
    start = 0
    breaks = [found.span() for found in _BREAKS[paragraph_break].finditer(text)]
    for end, following in [*breaks, (len(text), len(text))]:
        block = text[start:end]
        if block.strip():
            first = start + len(block) - len(block.lstrip(_ASCII_SPACE))
            last = start + len(block.rstrip(_ASCII_SPACE))
            yield Paragraph(_SPACES.sub(" ", text[first:last]), "body", f"char={first},{last}")
        start = following


def _stem(file: str) -> str:
    """The file's name without its suffix, folders kept: two files of one name are not the same."""
    return file.rpartition(".")[0]


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | Refused]]:
    """The lines that are not blank; one too long to hold is passed over."""
    number, limit = 0, files.MAX_RECORD_BYTES
    while line := stream.readline(limit + 1):
        if len(line) > limit:
            size = len(line)
            while not line.endswith(b"\n") and (line := stream.readline(_CHUNK)):
                size += len(line)
            yield number, Refused(f"line {number + 1} has {size:,} bytes, over the limit of {limit:,}", "split it")
        elif line.strip():
            yield number, line
        number += 1


def _line_row(number: int, line: bytes | Refused) -> Rows:
    yield number, line if isinstance(line, Refused) else _json_row(line, number)


def _json_row(line: bytes, number: int) -> Row | Refused:
    try:
        return _object(orjson.loads(line))
    except orjson.JSONDecodeError:
        pass
    # The standard library takes what orjson does not (NaN, half a surrogate pair) and says where a fault is.
    try:
        return _object(_mended(json.loads(line.rstrip(b"\r\n").decode("utf-8-sig"))))
    except json.JSONDecodeError as error:
        return Refused(f"line {number + 1}, column {error.colno}: not JSON: {error.msg}")
    except UnicodeDecodeError as error:
        return Refused(f"line {number + 1}, byte {error.start}: not UTF-8", "convert the file to UTF-8")
    except (ValueError, RecursionError) as error:
        return Refused(f"line {number + 1}: JSON that cannot be read: {error}")


def _object(value: Any) -> Row | Refused:
    return value if isinstance(value, dict) else Refused(f"a row is an object, not {type(value).__name__}")


def _mended(value: Any) -> Any:
    """The value with U+FFFD for each half of a surrogate pair, which no encoding can write."""
    plain = json.dumps(value, ensure_ascii=False)
    return json.loads(_SURROGATE.sub("\ufffd", plain)) if _SURROGATE.search(plain) else value


def _json_rows(stream: IO[bytes]) -> Iterator[Rows]:
    """The rows of a ``.json`` file: lines of objects when the first line is one, else any objects in turn."""
    first = b""
    if not cast(Any, stream).peek(_CHUNK).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
        first = stream.readline(files.MAX_RECORD_BYTES)
        if not isinstance(_json_row(first, 0), Refused):
            yield _line_row(0, first)
            for number, line in _lines(stream):
                yield _line_row(number + 1, line)
            return
    yield from _object_rows(stream, first)


def _object_rows(stream: IO[bytes], head: bytes) -> Iterator[Rows]:
    """The objects of an array, or one after the other, read as they come.

    Raises:
        Refused: the syntax is broken, or the file ends too early.
    """
    text, scan = codecs.getincrementaldecoder("utf-8")(), json.JSONDecoder()
    buffer, at, number, open_array = text.decode(head), 0, 0, False
    while True:
        between = cast(re.Match[str], _BETWEEN_VALUES.match(buffer, at))
        open_array = between[0].rfind("[") > between[0].rfind("]") or (open_array and "]" not in between[0])
        at = between.end()
        try:
            value, at = scan.raw_decode(buffer, at)
        except (json.JSONDecodeError, RecursionError) as error:
            # As much again, so that a long object is scanned few times.
            data = b"" if isinstance(error, RecursionError) else stream.read(max(_CHUNK, len(buffer) - at))
            if data and len(buffer) - at <= files.MAX_RECORD_BYTES:
                buffer, at = buffer[at:] + text.decode(data), 0
            elif at < len(buffer) or open_array:
                hint = "mend it, or write it as JSON Lines: a fault costs one line there"
                raise Refused(f"object {number}: not JSON, too long, or cut off: {error}", hint) from None
            else:
                return
        else:
            yield _object_row(number, value)
            number += 1


def _object_row(number: int, value: Any) -> Rows:
    yield number, _object(_mended(value))


def _batch_rows(batch: pa.RecordBatch, first: int) -> Rows:
    try:
        columns = [_without_dates(column) for column in batch.columns]
        rows = pa.RecordBatch.from_arrays(columns, batch.schema.names).to_pylist()
    except Exception as error:
        if batch.num_rows == 1:
            yield first, Refused(f"{type(error).__name__}: {error}", "write the file again")
            return
        # Which row is it? Text that is not UTF-8, for one, only shows here.
        for at in range(batch.num_rows):
            yield from _batch_rows(batch.slice(at, 1), first + at)
    else:
        yield from enumerate(rows, first)


def _without_dates(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()) if pa.types.is_temporal(column.type) else column
