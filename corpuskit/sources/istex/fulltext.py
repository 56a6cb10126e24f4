"""What the text files of an ISTEX document give: TEI with a body or without, or the plain text of a PDF."""

from __future__ import annotations

import io
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal, NamedTuple

from lxml import etree

from corpuskit.files import Refused
from corpuskit.records import Article, Paragraph
from corpuskit.sources import markup, tei
from corpuskit.sources.istex.encodings import decode
from corpuskit.sources.reflow import Block, reflow

Variant = Literal["tei", "cleaned", "txt"]


class Text(NamedTuple):
    """What one file gives: running text (perhaps none), abstracts, and counts of what is not prose."""

    paragraphs: list[Paragraph]
    abstracts: list[Paragraph]
    skipped: Counter[str]


#: What ISTEX leaves in the place of a formula in text made ready for mining.
_FORMULA = "_placeholder_formula_"
#: A body of at least so many lines in one element is the text of a PDF, as it was printed.
_PRINTED_LINES = 8
_PRINTED_SHARE = 0.8
_HOLDERS = ("{*}body", "{*}div", "{*}p", "{*}ab")
_NO_PROSE = {"table", "listBibl", "formula", "fw"}
_ENDS = {"lb": "\n", "pb": "\f"}
#: An abstract is there already when so many of its 4-grams of words are.
_REPEATED = 0.8


def _plain(data: bytes, article: Article) -> Text:
    text = re.sub(r"\r\n?", "\n", decode(data))
    return _reflowed(text, lambda block: f"char={block.start},{block.end}")


def _tei(data: bytes, article: Article) -> Text:
    """The body of a TEI file, if it is more than a header, and the header's abstracts."""
    root = _root(data)
    counted = replace(article, skipped=Counter())
    abstracts = list(tei.abstracts(root, counted))
    paragraphs = list(tei.body(root, counted))
    if not any("/body[" in paragraph.path for paragraph in paragraphs):
        return Text([], abstracts, counted.skipped)
    if (printed := _printed(root)) is not None:
        path = markup.path(printed)
        reflowed = _reflowed(_lines(printed), lambda _: path)
        counted.skipped += reflowed.skipped
        inside = [i for i, each in enumerate(paragraphs) if f"{each.path}/".startswith(f"{path}/")]
        paragraphs[inside[0] : inside[-1] + 1] = reflowed.paragraphs
    return Text(paragraphs, abstracts, counted.skipped)


READ: dict[Variant, Callable[[bytes, Article], Text]] = {"tei": _tei, "cleaned": _plain, "txt": _plain}


def _reflowed(text: str, path: Callable[[Block], str]) -> Text:
    found = reflow(text)
    skipped = Counter(removed.why for removed in found.removed)
    skipped["formula"] = text.count(_FORMULA)
    paragraphs = [
        Paragraph(plain, block.kind, path(block), block.section)
        for block in found.blocks
        if (plain := " ".join(block.text.replace(_FORMULA, " ").split()))
    ]
    return Text(paragraphs, [], +skipped)


def _root(data: bytes) -> etree._Element:
    roots = list(markup.records(io.BytesIO(data), "TEI"))
    if roots[0].error:
        raise Refused(roots[0].error, "download the document again")
    if len(roots) > 1:
        raise Refused(roots[1].error or "several <TEI> in one file", "one document a file is expected: split it")
    return markup.parse(roots[0])


def _printed(root: etree._Element) -> etree._Element | None:
    """The element that holds nearly all of the body, line by line: a PDF's text, put into TEI as it was."""
    body = root.find("{*}text/{*}body")
    if body is None:
        return None
    leaves = [each for each in body.iter(*_HOLDERS) if next(each.iterdescendants(*_HOLDERS), None) is None]
    longest = max(leaves, key=_size)
    if _size(longest) < _PRINTED_SHARE * _size(body):
        return None
    lines = sum(bool(line.strip()) for line in _lines(longest).splitlines())
    return longest if lines >= _PRINTED_LINES else None


def _size(element: etree._Element) -> int:
    return len("".join(_lines(element).split()))


def _lines(element: etree._Element) -> str:
    """The text of an element with the line ends and page ends that it has or declares."""
    pieces = [element.text or ""]
    for child in element:
        name = markup.local_name(child)
        pieces += [_ENDS.get(name, ""), "" if name in _NO_PROSE else _lines(child), child.tail or ""]
    return "".join(pieces)


def without_title(paragraphs: list[Paragraph], title: str) -> list[Paragraph]:
    """The text without the title that is known already; what was taken for another is front matter."""
    if not title:
        return paragraphs
    kept = [each for each in paragraphs if each.kind not in ("title", "front") or _words(each.text) != _words(title)]
    for paragraph in kept:
        if paragraph.kind == "title":
            paragraph.kind = "front"
    return kept


def without_repeated(abstracts: Iterable[Paragraph], text: Iterable[Paragraph]) -> list[Paragraph]:
    """The abstracts most of whose 4-grams of words are neither in the text nor in an abstract before them."""
    new: list[Paragraph] = []
    if abstracts := list(abstracts):
        held = {gram for paragraph in text for gram in _grams(paragraph.text)}
        for abstract in abstracts:
            grams = _grams(abstract.text)
            if not grams or len(grams & held) < _REPEATED * len(grams):
                new.append(abstract)
            held |= grams
    return new


def _grams(text: str) -> set[tuple[str, ...]]:
    words = _words(text)
    return {tuple(words[i : i + 4]) for i in range(max(1, len(words) - 3))}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
