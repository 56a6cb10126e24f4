"""TEI, as GROBID, HAL and ISTEX write it: the header's facts and the paragraphs of abstract and text.

Everything goes by local names, for GROBID declares the namespace again on many inner elements.
Formats: TEI P5 guidelines (https://tei-c.org/guidelines/p5/); GROBID's use of them
(https://grobid.readthedocs.io/en/latest/TEI-encoding-of-results/).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from lxml import etree

from corpuskit import identifiers
from corpuskit.records import Article, Kind, Paragraph
from corpuskit.sources import markup

#: What a block is, where that does not depend on what it stands in.
_KINDS: dict[str, Kind] = {
    "list": "list",
    "item": "list",
    "figure": "caption",
    "figDesc": "caption",
    "quote": "quote",
    "note": "note",
}
#: Not prose, by the format's own word: the name it is counted under.
_SKIPPED = {"table": "table", "listBibl": "reference", "formula": "formula", "fw": "running_head"}
_BLOCKS = {"p", "ab", "div", "head", "label", "l", "lg", "front", "body", "back", "div1", "div2", "div3", "div4"}
_BLOCKS |= _KINDS.keys() | _SKIPPED.keys()
#: Blocks that stand inside a sentence: the words before and after them are not parted.
_IN_SENTENCE = {"note", "formula", "fw"}
#: No blocks, but words on their two sides are two words.
_BREAKS = {"lb", "pb", "cb", "s"}
_AROUND_QUOTES = {"div", "front", "body", "back", "cit", "epigraph"}
_REFERENCES = {"bibl", "biblStruct", "biblFull"}
_PARTS: tuple[tuple[str, Kind], ...] = (("front", "front"), ("body", "body"), ("back", "back"))

_ABSTRACT = re.compile(r"(r[ée]sum[ée]|abstract|summary|resumen|riassunto|zusammenfassung)\b", re.IGNORECASE)
_LABEL = re.compile(r"[^\W\d_]+\W*(\d+|[IVXLC]+)\W*")
_HTML_BLOCK = re.compile(r"</?(?:p|div|br|ul|ol|li|h[1-6]|title|sec)(?:\s[^<>]*)?/?>", re.IGNORECASE)
_HTML_INLINE = re.compile(r"</?(?:i|b|u|em|strong|sub|sup|span|italic|bold|a|font)(?:\s[^<>]*)?/?>", re.IGNORECASE)

#: Types of `date`, the best for the year of publication first (HAL's, then GROBID's).
_DATES = ("whenProduced", "datePub", "published", "whenPublished", "dateDefended", "dateEpub", "whenWritten", "")


def body(root: etree._Element, article: Article) -> Iterator[Paragraph]:
    """The paragraphs of ``text/front``, ``text/body`` and ``text/back``, in reading order.

    The heads of divisions become sections. Tables, formulas and bibliographies are counted in
    ``article.skipped``. A note, list or figure inside a paragraph comes after it, on its own.

    Args:
        root: a ``TEI`` element.
        article: where to count what is skipped.
    """
    for text, text_path in children(root, f"/{markup.local_name(root)}", "text"):
        for name, kind in _PARTS:
            for part, path in children(text, text_path, name):
                yield from _Walk(article).read(part, path, kind)


def abstracts(root: etree._Element, article: Article) -> Iterator[Paragraph]:
    """The abstracts of ``profileDesc``, each with the language it declares.

    Args:
        root: a ``TEI`` element, or HAL's ``biblFull``, which holds its own ``profileDesc``.
        article: where to count what is skipped.
    """
    name = markup.local_name(root)
    profile = ("profileDesc",) if name == "biblFull" else ("teiHeader", "profileDesc")
    for abstract, path in children(root, f"/{name}", *profile, "abstract"):
        yield from _Walk(article).read(abstract, path, "abstract")


def children(element: etree._Element, path: str, *names: str) -> Iterator[tuple[etree._Element, str]]:
    """The elements reached by child names, each with its path (as :func:`markup.path` would give it)."""
    name, *deeper = names
    for position, child in enumerate(element.iterchildren("{*}" + name), 1):
        child_path = f"{path}/{name}[{position}]"
        if deeper:
            yield from children(child, child_path, *deeper)
        else:
            yield child, child_path


class _Walk:
    """One way through a part of the document, collecting its paragraphs."""

    def __init__(self, article: Article) -> None:
        self._skipped = article.skipped
        self._paragraphs: list[Paragraph] = []

    def read(self, part: etree._Element, path: str, kind: Kind) -> list[Paragraph]:
        self._read(part, path, kind, "", "")
        return self._paragraphs

    def _read(self, element: etree._Element, path: str, kind: Kind, section: str, language: str) -> None:
        """An element's own running text, then each block in it."""
        if declared := element.get(markup.LANG):
            language = identifiers.language(declared)
        if len(element) == 0:  # most paragraphs
            for text in _texts(element.text or ""):
                self._paragraphs.append(Paragraph(text, kind, path, section, language))
            return
        pieces: list[str] = []
        blocks: list[tuple[str, etree._Element, str]] = []
        _gather(element, path, pieces, blocks)
        for text in _texts("".join(pieces)):
            self._paragraphs.append(Paragraph(text, kind, path, section, language))
        for name, block, block_path in blocks:
            if name in _SKIPPED:
                self._skipped[_SKIPPED[name]] += _count(name, block)
            elif kind == "caption" and _is_label(name, block, element):
                self._skipped["label"] += 1
            elif name == "head" and kind not in ("caption", "list"):
                section = self._section(block, block_path, language)
            elif kind == "front" and name.startswith("div") and _is_abstract(block):
                self._read(block, block_path, "abstract", section, language)
            else:
                self._read(block, block_path, _KINDS.get(name, kind), section, language)

    def _section(self, head: etree._Element, path: str, language: str) -> str:
        """The title of a division; what is on its own in it, such as a note, is read."""
        pieces: list[str] = []
        blocks: list[tuple[str, etree._Element, str]] = []
        _gather(head, path, pieces, blocks)
        section = plain("".join(pieces))
        for name, block, block_path in blocks:
            if name in _SKIPPED:
                self._skipped[_SKIPPED[name]] += _count(name, block)
            else:
                self._read(block, block_path, _KINDS.get(name, "body"), section, language)
        return section


def _gather(
    element: etree._Element, path: str, pieces: list[str], blocks: list[tuple[str, etree._Element, str]]
) -> None:
    """Part the running text of an element from the blocks in it, at any depth."""
    if element.text:
        pieces.append(element.text)
    positions: dict[str, int] = {}
    for child in element:
        tag = child.tag
        name = _local_name(tag)
        if name in _BLOCKS:
            positions[tag] = position = positions.get(tag, 0) + 1
            if name == "quote" and _inline(child):
                _gather(child, f"{path}/{name}[{position}]", pieces, blocks)
            else:
                blocks.append((name, child, f"{path}/{name}[{position}]"))
                if name not in _IN_SENTENCE:
                    pieces.append(" ")
        else:
            space = " " if name in _BREAKS and child.get("break") != "no" else ""
            pieces.append(space)
            if len(child):
                position = 1 + sum(1 for _ in child.itersiblings(tag, preceding=True))
                _gather(child, f"{path}/{name}[{position}]", pieces, blocks)
            elif name and (text := child.text):
                pieces.append(text)
            pieces.append(space)
        if tail := child.tail:
            pieces.append(tail)


@cache
def _local_name(tag: str) -> str:
    """As :func:`markup.local_name`; a document has thousands of elements and a dozen names."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _inline(quote: etree._Element) -> bool:
    """A quotation inside a sentence belongs to it."""
    parent = quote.getparent()
    in_sentence = parent is not None and markup.local_name(parent) not in _AROUND_QUOTES
    return in_sentence and not any(markup.local_name(child) in _BLOCKS for child in quote)


def _is_abstract(division: etree._Element) -> bool:
    head = division.find("{*}head")
    return bool(_ABSTRACT.match(division.get("type", "")) or _ABSTRACT.match(markup.text(head)))


def _is_label(name: str, block: etree._Element, figure: etree._Element) -> bool:
    """The number of a figure or table, alone or as the words that GROBID begins the description with again."""
    if name != "head":
        return name == "label"
    text = markup.text(block)
    words = _words(text)
    description = _words(markup.text(figure.find("{*}figDesc")))
    return bool(words) and (bool(_LABEL.fullmatch(text)) or words == description[: len(words)])


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _count(name: str, element: etree._Element) -> int:
    if name != "listBibl":
        return 1
    return sum(markup.local_name(child) in _REFERENCES for child in element)


def plain(text: str) -> str:
    """White space made single spaces; HTML tags that came as text (from HAL's web forms) taken out."""
    if "<" in text:
        text = _HTML_INLINE.sub("", _HTML_BLOCK.sub(" ", text))
    if text.isprintable() and "  " not in text:
        return text.strip()  # the space is the only white space that is printable
    return " ".join(text.split())


def _texts(text: str) -> list[str]:
    """The paragraphs of a text that HTML tags, come as text, may divide.

    HAL's deposit form has one field an abstract, and depositors put two languages in it.
    """
    if "<" not in text:
        whole = plain(text)
        return [whole] if whole else []
    found: list[str] = []
    for piece in filter(None, map(plain, _HTML_BLOCK.split(text))):
        goes_on = found and piece[0].islower() and found[-1][-1] not in ".!?:;…»"
        if found and (goes_on or not any(c.isalpha() for c in piece)):
            found[-1] += " " + piece
        else:
            found.append(piece)
    return found


def language(root: etree._Element) -> str:
    """The declared language of the document: ``langUsage``, else ``xml:lang`` of text, root or header.

    GROBID puts the language that it identified in the document on ``teiHeader`` and ``text``.
    """
    declared = [used.get("ident") for used in root.iterfind("{*}teiHeader/{*}profileDesc/{*}langUsage/{*}language")]
    declared += [used.get("ident") for used in root.iterfind("{*}profileDesc/{*}langUsage/{*}language")]
    for element in (root.find("{*}text"), root, root.find("{*}teiHeader")):
        if element is not None:
            declared.append(element.get(markup.LANG))
    return next((code for value in declared if (code := identifiers.language(value))), "")


def title(description: etree._Element) -> str:
    """The main title of a ``fileDesc`` (or ``biblFull``, whose content is the same)."""
    for place in ("{*}titleStmt/{*}title", "{*}sourceDesc/{*}biblStruct/{*}analytic/{*}title"):
        for found in description.iterfind(place):
            if found.get("type", "main") == "main" and (text := plain(markup.text(found))):
                return text
    return ""


def authors(description: etree._Element) -> list[str]:
    """``Family, Given`` of each author in a ``fileDesc`` or ``biblFull``."""
    for place in ("{*}titleStmt/{*}author", "{*}sourceDesc/{*}biblStruct/{*}analytic/{*}author"):
        if names := [name for author in description.iterfind(place) if (name := _name(author))]:
            return names
    return []


def _name(author: etree._Element) -> str:
    person = author.find("{*}persName")
    if person is None:
        return ""
    family = " ".join(markup.text(part) for part in person.iterchildren("{*}surname"))
    given = " ".join(markup.text(part) for part in person.iterchildren("{*}forename"))
    return ", ".join(part for part in (family, given) if part) or markup.text(person)


def year(description: etree._Element) -> int:
    """The year of publication, the best dates of a ``fileDesc`` or ``biblFull`` first, 0 when not given."""
    dates: dict[str, int] = {}
    for date in description.iter("{*}date"):
        if found := identifiers.year(date.get("when") or date.text):
            dates.setdefault(date.get("type", ""), found)
    return next((dates[kind] for kind in _DATES if kind in dates), 0)


def journal(description: etree._Element) -> str:
    """Journal, else book or proceedings, else conference."""
    monograph = description.find("{*}sourceDesc/{*}biblStruct/{*}monogr")
    if monograph is None:
        return ""
    titles = list(monograph.iterchildren("{*}title"))
    by_level = sorted(titles, key=lambda found: "jm".find(found.get("level", "m")) % 3)
    found = next((text for element in by_level if (text := plain(markup.text(element)))), "")
    return found or plain(markup.text(monograph.find("{*}meeting/{*}title")))


def licence(description: etree._Element) -> str:
    """SPDX id, URL or name of the licence of a ``fileDesc`` or ``biblFull``."""
    for element in description.iterfind("{*}publicationStmt/{*}availability/{*}licence"):
        if value := element.get("target") or markup.text(element):
            return identifiers.licence(value)
    return ""


def idnos(description: etree._Element) -> dict[str, str]:
    """The identifiers of the document itself, not of its journal or its authors, by type in lower case."""
    places = ("{*}publicationStmt", "{*}sourceDesc/{*}biblStruct", "{*}sourceDesc/{*}biblStruct/{*}analytic")
    found: dict[str, str] = {}
    for place in places:
        for parent in description.iterfind(place):
            for number in parent.iterchildren("{*}idno"):
                found.setdefault(number.get("type", "").lower(), (number.text or "").strip())
    return found
