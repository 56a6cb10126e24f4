"""JATS, the tag suite of journal articles that PubMed Central and most open-access publishers use.

Written against the Journal Publishing and Archiving tag sets, NISO Z39.96, and the older NLM ones
(https://jats.nlm.nih.gov/). What an element is comes from the tables below; what no table names is
a paragraph when it has text of its own, and a container when it has none, so nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from lxml import etree

from corpuskit import identifiers
from corpuskit.files import Refused
from corpuskit.records import Article, Kind, Paragraph
from corpuskit.sources import markup
from corpuskit.sources.typography import superscript

_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_LICENSE_REF = "{http://www.niso.org/schemas/ali/1.0/}license_ref"
_MATHML = "{http://www.w3.org/1998/Math/MathML}math"

#: What is walked in the front matter; the rest of it is metadata.
_FRONT: dict[str, Kind] = {
    "title-group": "title", "abstract": "abstract", "trans-abstract": "abstract", "author-notes": "front",
    "funding-group": "front", "notes": "front",
}  # fmt: skip
_PARTS: dict[str, Kind] = {"body": "body", "back": "back", "floats-group": "body"}

#: Kinds that an element gives to the paragraphs in it, wherever it stands …
_KINDS: dict[str, Kind] = {"caption": "caption", "fn": "note", "table-wrap-foot": "note", "app": "body"}
#: … and those it gives in the body only: a list in an abstract is part of the abstract.
_BODY_KINDS: dict[str, Kind] = {
    "list": "list", "def-list": "list", "disp-quote": "quote", "verse-group": "quote", "ack": "back",
    "notes": "back", "glossary": "back", "sig-block": "back",
}  # fmt: skip

#: Running text, even where all of it stands inside inline markup.
_PARAGRAPHS = {"p", "article-title", "subtitle", "trans-title", "trans-subtitle", "title", "attrib", "verse-line",
               "funding-statement"}  # fmt: skip
#: Not prose: counted in ``Article.skipped``.
_COUNTED = {
    "ref-list": "reference", "table": "table", "array": "table", "disp-formula": "formula",
    "inline-formula": "formula", "tex-math": "formula", "math": "formula", "chem-struct": "formula",
    "code": "code", "preformat": "code",
}  # fmt: skip
#: Numbers, names, links and descriptions of what is not text: metadata, not counted.
_METADATA = {"label", "object-id", "alt-text", "long-desc", "alt-title", "permissions", "sec-meta", "kwd-group",
             "subj-group", "corresp", "award-group", "open-access", "related-article", "related-object",
             "contrib-group", "aff", "email", "milestone-start", "milestone-end"}  # fmt: skip

#: What is not part of the sentence it stands in, but is read by itself.
_BLOCKS = {
    "p", "sec", "list", "def-list", "fig", "fig-group", "table-wrap", "table-wrap-group", "table", "array",
    "disp-formula", "disp-formula-group", "boxed-text", "disp-quote", "supplementary-material", "media", "fn",
    "fn-group", "verse-group", "speech", "statement", "code", "preformat", "chem-struct-wrap", "graphic",
    "ref-list", "caption", "question-wrap",
}  # fmt: skip
_INLINE: dict[str, str] = (
    dict.fromkeys(_BLOCKS, "block")
    | dict.fromkeys(("inline-formula", "tex-math", "chem-struct", _MATHML), "formula")
    | dict.fromkeys(("inline-graphic", "alt-text", "long-desc", "private-char", "object-id"), "metadata")
    | dict.fromkeys(("break", "hr"), "space")
    | {"sup": "sup", "xref": "xref"}
)
#: Cross-references that are marks when they stand close to a word, and how such marks begin.
_MARK_TYPES = {"bibr", "ref", "fn", "table-fn"}
_MARK = re.compile(r"[\d*†‡§¶#]")

_CC_URL = re.compile(r"creativecommons\.org/(?:licenses|publicdomain)/[^\s)\"<>]+", re.IGNORECASE)
_CC_ABBREVIATION = re.compile(r"\bCC[ -]BY(?:-(?:NC|SA|ND))*\b(?:[ -]\d\.\d)?", re.IGNORECASE)
_CC_NAME = re.compile(
    r"Creative Commons (Attribution(?:[ -]+(?:NonCommercial|Non-Commercial|ShareAlike|NoDerivs|NoDerivatives))*)"
    r"(?: (\d\.\d))?",
    re.IGNORECASE,
)
_CC_WORDS = {"attribution": "BY", "noncommercial": "NC", "sharealike": "SA", "noderivs": "ND", "noderivatives": "ND"}


class _Context(NamedTuple):
    """What a paragraph takes from where it stands."""

    kind: Kind
    section: str = ""
    language: str = ""
    term: str = ""


def article(root: etree._Element, source: str, file: str, record: int = 0) -> Article:
    """What the front matter of an ``<article>`` says of it, without its paragraphs.

    Args:
        root: the parsed ``<article>``.
        source: name of the source, the prefix of the id.
        file: name of the file it was read from; it makes the id where the article gives none.
        record: its place in that file.

    Raises:
        Refused: there is no front matter, so that this is no JATS article.
    """
    meta = root.find("front/article-meta")
    if meta is None:
        raise Refused("this <article> has no <front> with an <article-meta>: it is not JATS")
    ids = {found.get("pub-id-type", ""): markup.text(found) for found in meta.iterfind("article-id")}
    pmid, doi = identifiers.pmid(ids.get("pmid")), identifiers.doi(ids.get("doi"))
    pmcid = identifiers.pmcid(ids.get("pmc") or ids.get("pmcid"))
    name = PurePosixPath(file).stem + (f"#{record}" if record else "")
    found = Article(f"{source}:{pmid or pmcid or doi or name}", source, file, record)
    found.pmid, found.pmcid, found.doi = pmid, pmcid, doi
    found.url = _url(pmid, pmcid, doi)
    found.title = _title(meta, "title-group/article-title", "title-group/subtitle")
    found.other_titles = [title for title in _other_titles(root, meta) if title]
    found.authors = [name for name in map(_author, meta.iterfind("contrib-group/contrib")) if name]
    found.year = min(filter(None, map(_year, meta.iterfind("pub-date"))), default=0)
    found.journal = markup.text(root.find("front/journal-meta//journal-title"))
    found.language = identifiers.language(root.get(markup.LANG))
    found.subjects = list(dict.fromkeys(filter(None, _subjects(meta))))
    found.document_type = root.get("article-type", "")
    found.licence = _licence(meta)
    return found


def paragraphs(root: etree._Element, article: Article) -> None:
    """Append the paragraphs of an ``<article>``, in reading order, and count what is no prose."""
    _Walk(article).document(root, "/" + markup.local_name(root), "")


def running_text(element: etree._Element) -> tuple[str, list[etree._Element]]:
    """The text of a paragraph, and what stands in it but is not part of its sentences.

    Lists, figures, formulas and notes are put aside. Superscript reference marks are left out, so
    that ``word<sup>12</sup>`` does not become ``word12``; references in brackets or by name stay.
    """
    if len(element) == 0:
        return " ".join((element.text or "").split()), []
    pieces: list[str] = []
    aside: list[etree._Element] = []
    _gather(element, pieces, aside)
    return " ".join("".join(pieces).split()), aside


def _gather(element: etree._Element, pieces: list[str], aside: list[etree._Element]) -> None:
    if element.text:
        pieces.append(element.text)
    for child in element:
        treatment = _INLINE.get(child.tag)
        if treatment is None:
            if len(child):
                _gather(child, pieces, aside)
            elif child.text:
                pieces.append(child.text)
        elif treatment == "block":
            aside.append(child)
            pieces.append(" ")
        elif treatment == "formula":
            aside.append(child)
        elif treatment == "space":
            pieces.append(" ")
        elif treatment == "sup" and child.find("xref") is not None:
            _gather_outside_references(child, pieces)
        elif treatment == "sup" and len(child) == 0:
            pieces.append(superscript(child.text or ""))
        elif treatment != "metadata" and not (treatment == "xref" and _is_mark(child, pieces)):
            _gather(child, pieces, aside)
        if child.tail:
            pieces.append(child.tail)


def _gather_outside_references(sup: etree._Element, pieces: list[str]) -> None:
    """Of ``<sup>3 [<xref/>, <xref/>]</sup>``, the exponent alone."""
    outside = (sup.text or "") + "".join(child.tail or "" for child in sup)
    pieces.extend(re.findall(r"\w+", outside))


def _is_mark(xref: etree._Element, pieces: list[str]) -> bool:
    """Whether a cross-reference is set in superscript, by its markup or by standing close to a word."""
    if not (xref.text or "").strip() and xref.find("sup") is not None:
        return True
    glued = bool(pieces) and pieces[-1][-1:].isalpha()
    return glued and xref.get("ref-type") in _MARK_TYPES and bool(_MARK.match(xref.text or ""))


class _Walk:
    """One way through a document, carrying paths along: asking the tree for each would be slow."""

    def __init__(self, article: Article) -> None:
        self.article = article

    def document(self, root: etree._Element, path: str, language: str) -> None:
        """An article, or a translation of, reply to or review of it that it contains."""
        for part, tag, place in _numbered(root, path):
            if tag == "front":
                for section, name, inside in _numbered(part, place):
                    if name == "article-meta":
                        self.front(section, inside, language)
                    elif name in _FRONT:
                        self.block(section, name, inside, _Context(_FRONT[name], language=language))
            elif tag == "front-stub":
                self.front(part, place, language)
            elif tag in _PARTS:
                self.children(part, place, _Context(_PARTS[tag], language=language))
            elif tag in ("sub-article", "response"):
                self.document(part, place, identifiers.language(part.get(markup.LANG)) or language)

    def front(self, meta: etree._Element, path: str, language: str) -> None:
        for part, tag, place in _numbered(meta, path):
            if tag in _FRONT:
                self.block(part, tag, place, _Context(_FRONT[tag], language=language))

    def children(self, parent: etree._Element, path: str, context: _Context) -> None:
        for element, tag, place in _numbered(parent, path):
            if tag == "title" and context.kind != "caption":
                text, aside = running_text(element)
                context = context._replace(section=text)
                self.aside(aside, context)
            elif tag == "term":
                text, aside = running_text(element)
                context = context._replace(term=text)
                self.aside(aside, context)
            else:
                self.block(element, tag, place, context)

    def block(self, element: etree._Element, tag: str, path: str, context: _Context) -> None:
        if tag in _METADATA:
            return
        if tag in _COUNTED:
            self.article.skipped[_COUNTED[tag]] += len(list(element.iter("ref"))) if tag == "ref-list" else 1
            return
        if language := identifiers.language(element.get(markup.LANG)):
            context = context._replace(language=language)
        if tag in _PARAGRAPHS:
            self.paragraph(element, path, context)
            return
        kind = _KINDS.get(tag) or (_BODY_KINDS.get(tag) if context.kind == "body" else None)
        if kind:
            context = context._replace(kind=kind)
        if _has_own_text(element):
            self.paragraph(element, path, context)
        else:
            self.children(element, path, context)

    def paragraph(self, element: etree._Element, path: str, context: _Context) -> None:
        text, aside = running_text(element)
        if text:
            text = f"{context.term}: {text}" if context.term else text
            self.article.paragraphs.append(Paragraph(text, context.kind, path, context.section, context.language))
        self.aside(aside, context)

    def aside(self, blocks: list[etree._Element], context: _Context) -> None:
        for block in blocks:
            tag = markup.local_name(block)
            self.block(block, tag, "" if tag in _COUNTED else markup.path(block), context)


def _numbered(parent: etree._Element, path: str) -> Iterator[tuple[etree._Element, str, str]]:
    """The children with their names and paths (as :func:`markup.path` would write them)."""
    counts: dict[str, int] = {}
    for element in parent:
        tag = element.tag
        count = counts[tag] = counts.get(tag, 0) + 1
        name = tag.rpartition("}")[2]
        yield element, name, f"{path}/{name}[{count}]"


def _has_own_text(element: etree._Element) -> bool:
    if element.text and element.text.strip():
        return True
    return any(child.tail and child.tail.strip() for child in element)


def _title(element: etree._Element, *parts: str) -> str:
    """Title and subtitle, as PubMed joins them."""
    texts = [running_text(found)[0] for part in parts if (found := element.find(part)) is not None]
    return ": ".join(filter(None, texts))


def _other_titles(root: etree._Element, meta: etree._Element) -> Iterator[str]:
    for group in meta.iterfind("title-group/trans-title-group"):
        yield _title(group, "trans-title", "trans-subtitle")
    for title in meta.iterfind("title-group/trans-title"):  # NLM tag sets before JATS
        yield running_text(title)[0]
    for translation in root.iterfind("sub-article[@article-type='translation']"):
        for front in translation.iterfind("front-stub"):
            yield _title(front, "title-group/article-title", "title-group/subtitle")
        for front in translation.iterfind("front/article-meta"):
            yield _title(front, "title-group/article-title", "title-group/subtitle")


def _author(contrib: etree._Element) -> str:
    if contrib.get("contrib-type", "author") != "author":
        return ""
    name = contrib.find("name")
    if name is None:
        name = contrib.find("name-alternatives/name")
    if name is not None:
        return ", ".join(filter(None, (markup.text(name.find("surname")), markup.text(name.find("given-names")))))
    collective = contrib.find("collab")
    return markup.text(collective if collective is not None else contrib.find("string-name"), ("contrib-group",))


def _year(date: etree._Element) -> int:
    return identifiers.year(date.findtext("year") or date.get("iso-8601-date") or date.findtext("string-date"))


def _subjects(meta: etree._Element) -> Iterator[str]:
    for group, name in (("article-categories", "subject"), ("kwd-group", "kwd"), ("kwd-group", "compound-kwd")):
        for found in meta.iterfind(group):
            for subject in found.iter(name):
                yield running_text(subject)[0]


def _url(pmid: str, pmcid: str, doi: str) -> str:
    if pmcid:
        return f"https://pmc.ncbi.nlm.nih.gov/articles/{pmcid}/"
    if pmid:
        return f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/"
    return f"https://doi.org/{doi}" if doi else ""


def _licence(meta: etree._Element) -> str:
    """The licence of the article itself, from whichever of many places names it."""
    licences = meta.findall("permissions/license")
    links = [value for found in licences for link in found.iter() if (value := link.get(_XLINK_HREF))]
    references = [markup.text(found) for found in meta.iterfind(f"permissions//{_LICENSE_REF}")]
    for value in [*references, *links, *map(markup.text, licences)]:
        if url := _CC_URL.search(value):
            return identifiers.licence(url[0].rstrip(".,;"))
    for text in map(markup.text, licences):
        if named := _CC_NAME.search(text):
            words = re.findall(r"[a-z]+", named[1].lower().replace("non-", "non"))
            kind = "-".join(_CC_WORDS[word] for word in words)
            return identifiers.licence(f"CC {kind} {named[2] or ''}")
        if abbreviated := _CC_ABBREVIATION.search(text):
            return identifiers.licence(abbreviated[0])
    stated = [*references, *links, *(found.get("license-type", "") for found in licences)]
    return identifiers.licence(next(filter(None, stated), ""))
