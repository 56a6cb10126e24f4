"""XML, cut into records before it is parsed.

Splitting the byte stream at record tags, then parsing each record by itself, keeps memory flat, lets
one malformed record be quarantined without the others, and is as fast as a bare ``iterparse``. It
is safe by construction: no document type definition ever reaches the parser, so there is no entity
to expand and nothing external to fetch.
"""

from __future__ import annotations

import codecs
import html.entities
import io
import itertools
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import IO, cast

from lxml import etree

from corpuskit.files import MAX_RECORD_BYTES, Refused
from corpuskit.sources.typography import superscript

_CHUNK = 1 << 20
_PROLOG = 1 << 16
_NAMESPACE = re.compile(rb"""\sxmlns:([\w.-]+)\s*=\s*("[^"]*"|'[^']*')""")
_DEFAULT_NAMESPACE = re.compile(rb"""\sxmlns\s*=\s*("[^"]*"|'[^']*')""")
_ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)["']""")
_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]*);")
_PREDEFINED = {b"amp", b"lt", b"gt", b"quot", b"apos"}


@dataclass(slots=True)
class Record:
    """The bytes of one record (``data`` empty when ``error`` says what is wrong with it)."""

    number: int
    offset: int
    data: bytes
    encoding: str
    namespaces: bytes
    error: str = ""


def records(stream: IO[bytes], *tags: str, limit: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Cut a stream into the elements named ``tags`` (which do not nest), in order.

    Args:
        stream: XML bytes in any encoding that keeps ASCII, or UTF-16 with its mark.
        tags: names of the record elements, without prefix.
        limit: bytes; a longer record is passed over and reported.

    Yields:
        Each record, or what is wrong: too long, never closed, cut off by the end of the file, none
        in the file.
    """
    start_tag = re.compile(rb"<(" + b"|".join(tag.encode() for tag in tags) + rb")(?=[\s>])")
    chunks = _chunks(stream)
    buffer = b""
    base = 0  # offset of the buffer in the stream
    at = 0  # where to go on, in the buffer
    number = 0
    encoding, namespaces, root = "utf-8", b"", b""
    while True:
        found = start_tag.search(buffer, at)
        if not found:
            # Nothing before a tag is wanted but the prolog, and a tag that the chunk may have cut.
            keep = max(at, len(buffer) - (256 if number else _PROLOG))
            chunk = next(chunks, b"")
            if not chunk:
                break
            buffer, base, at = buffer[keep:] + chunk, base + keep, 0
            continue
        if not number:
            encoding, namespaces, root = _context(buffer[: found.start()])
        name, start = found[1], found.start()
        end_tag = re.compile(rb"</" + name + rb"\s*>")
        end, passed = end_tag.search(buffer, start), 0
        while not end:
            size = len(buffer) - start
            if size > limit:
                # Too long to hold: let it pass, but for what a cut end tag may need.
                passed += size - 64
                base, buffer, start = base + len(buffer) - 64, buffer[-64:], 0
                size = 64
            # Doubling keeps the cost of a long record linear.
            grown = b"".join(itertools.islice(chunks, max(1, min(size, limit - size) // _CHUNK)))
            if not grown:
                break
            base, buffer, start = base + start, buffer[start:] + grown, 0
            end = end_tag.search(buffer, max(0, size - 64))
        record = Record(number, base + start - passed, b"", encoding, namespaces)
        number += 1
        if not end:
            record.error = f"the file ends inside this <{name.decode()}>: it is cut off"
            yield record
            return
        at = end.end()
        size = passed + at - start
        if size > limit:
            record.error = f"<{name.decode()}> of {size:,} bytes, over the limit of {limit:,}"
        elif (other := buffer.find(b"<" + name, start + 1, at)) >= 0 and (
            other_start := start_tag.search(buffer, other, at)
        ):
            record.error = f"this <{name.decode()}> is not closed before the next one starts"
            at = other_start.start()
        else:
            record.data = buffer[start:at]
        yield record
    if not number:
        expected = " or ".join(f"<{tag}>" for tag in tags)
        yield Record(0, 0, b"", encoding, namespaces, f"no {expected} in the file")
    elif root and b"</" + root not in buffer[at:]:
        error = f"the file ends before </{root.decode()}>: it is cut off"
        yield Record(number, base + len(buffer), b"", encoding, namespaces, error)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    decoder = None
    for number, chunk in enumerate(_filled(cast(io.BufferedReader, stream))):
        if not number and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            decoder = codecs.getincrementaldecoder("utf-16")()
        yield _ENCODING.sub(b"<?xml version='1.0'", decoder.decode(chunk).encode()) if decoder else chunk


def _filled(stream: io.BufferedReader) -> Iterator[bytes]:
    """Chunks of one size; when the stream breaks, what it gave before comes first: it holds whole records."""
    while True:
        pieces: list[bytes] = []
        wanted = _CHUNK
        try:
            while wanted and (piece := stream.read1(wanted)):
                pieces.append(piece)
                wanted -= len(piece)
        except Exception:
            if pieces:
                yield b"".join(pieces)
            raise
        if not pieces:
            return
        yield b"".join(pieces)


def _context(prolog: bytes) -> tuple[str, bytes, bytes]:
    """What the text before the first record declares: encoding, namespaces, and the root's name."""
    declared = _ENCODING.search(prolog[:512])
    # Its tags were found as ASCII, so a declaration of UTF-16 (which .NET leaves in UTF-8 files) is wrong.
    encoding = declared[1].decode("ascii") if declared and b"16" not in declared[1] else "utf-8"
    namespaces = b"".join(sorted({found[0] for found in _NAMESPACE.finditer(prolog)}))
    root = re.search(rb"<([A-Za-z_][\w.:-]*)", re.sub(rb"<!--.*?-->|<[?!][^>]*>", b"", prolog, flags=re.DOTALL))
    return encoding, namespaces, root[1] if root else b""


def parse(record: Record) -> etree._Element:
    """The record as an element tree, its default namespace left out of the names.

    Named character references of HTML are understood; any other entity makes the record unreadable.

    Raises:
        etree.XMLSyntaxError: the record is not well-formed, or not in its declared encoding.
        Refused: it uses an entity of its own.
        LookupError: the declared encoding does not exist.
    """
    head_end = record.data.index(b">")
    head = _DEFAULT_NAMESPACE.sub(b"", record.data[:head_end])
    data = head + record.data[head_end:] if len(head) != head_end else record.data
    try:
        return _parse(data, record)
    except etree.XMLSyntaxError as error:
        if "ntity" not in str(error):
            raise
    try:
        return _parse(_ENTITY.sub(_character, data), record)
    except etree.XMLSyntaxError as error:
        if "ntity" not in str(error) or "not defined" not in str(error):
            raise
        name = str(error).partition(" not defined")[0]
        raise Refused(
            f"{name} is no character of HTML; what a file declares itself is never expanded",
            "put the text in the place of the entity, with a tool and from a file that you trust",
        ) from None


def _parse(data: bytes, record: Record) -> etree._Element:
    codecs.lookup(record.encoding)
    parser = etree.XMLParser(
        encoding=record.encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    declared = {found[1] for found in _NAMESPACE.finditer(data[: data.index(b">")])}
    missing = b"".join(found[0] for found in _NAMESPACE.finditer(record.namespaces) if found[1] not in declared)
    if not missing:
        return cast(etree._Element, etree.fromstring(data, parser))
    # The record's own tag must carry the namespaces that its lost ancestors declared.
    name_end = re.compile(rb"[\s>]").search(data)
    assert name_end is not None
    at = name_end.start()
    return cast(etree._Element, etree.fromstring(data[:at] + missing + data[at:], parser))


def _character(found: re.Match[bytes]) -> bytes:
    name = found[1]
    if name in _PREDEFINED:
        return found[0]
    characters = html.entities.html5.get(name.decode() + ";")
    return "".join(f"&#{ord(c)};" for c in characters).encode() if characters else found[0]


def text(element: etree._Element | None, skip: Collection[str] = ()) -> str:
    """The running text of an element, white space (no-break spaces too) made single spaces.

    Exponents become raised digits: ``10<sup>9</sup>`` is "10⁹".

    Args:
        element: may be None, which has no text.
        skip: names of descendants left out, their tails kept.
    """
    if element is None:
        return ""
    if len(element) == 0:
        content = element.text or ""
    elif not skip and next(element.iter("sup"), None) is None:
        content = "".join(cast(Iterator[str], element.itertext()))
    else:
        pieces: list[str] = []
        _collect(element, skip, pieces)
        content = "".join(pieces)
    return " ".join(content.split())


def _collect(element: etree._Element, skip: Collection[str], pieces: list[str]) -> None:
    if element.text:
        pieces.append(element.text)
    for child in element:
        name = local_name(child)
        if name == "sup" and name not in skip and len(child) == 0:
            pieces.append(superscript(child.text or ""))
        elif name not in skip:
            _collect(child, skip, pieces)
        if child.tail:
            pieces.append(child.tail)


def local_name(element: etree._Element) -> str:
    """The name without namespace, "" for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def path(element: etree._Element) -> str:
    """Where an element is in its record: ``/article/body[1]/sec[2]/p[1]``, local names, counted from 1."""
    steps = []
    parent = element.getparent()
    while parent is not None:
        name = local_name(element)
        position = 1 + sum(1 for _ in element.itersiblings("{*}" + name, preceding=True))
        steps.append(f"{name}[{position}]")
        element, parent = parent, parent.getparent()
    return "/" + "/".join([local_name(element), *reversed(steps)])


def resolve(record: etree._Element, path: str) -> etree._Element | None:
    """The element that :func:`path` named."""
    found: etree._Element | None = record
    for step in path.split("/")[2:]:
        name, _, position = step.rstrip("]").partition("[")
        if found is not None:
            found = next(itertools.islice(found.iterchildren("{*}" + name), int(position) - 1, None), None)
    return found


LANG = "{http://www.w3.org/XML/1998/namespace}lang"
