"""Web pages: their main text, without navigation, banners and footers, by trafilatura.

A. Barbaresi, "Trafilatura: A Web Scraping Library and Command-Line Tool for Text Discovery and
Extraction", ACL 2021. The result for a page depends on that page alone: trafilatura's deduplication,
which remembers earlier pages, is off.
"""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from lxml import etree

from corpuskit import identifiers
from corpuskit.files import Member, Refused
from corpuskit.records import Article, Kind, Paragraph
from corpuskit.sources import markup
from corpuskit.sources.base import Items, SourceReader

_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# Python knows codecs that no page is written in (punycode, unicode_escape): only families of character sets count.
_CHARACTER_SETS = ("cp", "iso8859", "iso2022", "koi8", "mac", "gb", "big5", "euc", "shift_jis")
# What a page itself declares to be none of its text, by element or ARIA role. trafilatura falls back on the
# whole body where it finds little main text: without these, a page that has none yields none.
_NAVIGATION = [
    "//nav",
    "//header[not(ancestor::main or ancestor::article)]",
    "//footer[not(ancestor::main or ancestor::article)]",
    "//*[@role='navigation' or @role='banner' or @role='contentinfo' or @role='search' or @role='dialog']",
]

_KINDS: dict[str, Kind] = {"p": "body", "item": "list", "quote": "quote"}
_BLOCKS = (*_KINDS, "head", "list", "code", "table")


class HtmlReader(SourceReader):
    """One article a page.

    A paragraph's ``path`` is its place in the XML that trafilatura makes of the page (the same as
    ``trafilatura --xml --no-comments --no-tables``, navigation pruned), such as
    ``/doc/main[1]/p[3]``; the title's is ``/doc/@title``. Headings become the ``section`` of what
    follows them. ``skipped`` counts the page's tables and blocks of code.
    """

    name = "🌐 HTML"
    source = "html"
    suffixes = (".html", ".htm", ".xhtml")

    def read(self, member: Member) -> Iterator[Items]:
        yield self._page(member)

    def _page(self, member: Member) -> Iterator[Article]:
        yield self._article(member.name, decode(member.read()))

    def _article(self, file: str, page: str) -> Article:
        trafilatura = _trafilatura()
        tree = trafilatura.load_html(page)
        if tree is None:
            raise Refused("there is no HTML in the file", "give it the suffix of what it is")
        key = re.sub(r"\.x?html?$", "", file, flags=re.IGNORECASE)
        article = Article(id=f"{self.source_name}:{key}", source=self.source_name, file=file)
        article.language = identifiers.language(tree.get("lang") or tree.get("xml:lang"))
        _describe(article, trafilatura.extract_metadata(tree, date_config={"original_date": True}))
        article.skipped["table"] = len(tree.findall(".//table"))
        if article.title:
            article.paragraphs.append(Paragraph(article.title, "title", "/doc/@title"))
        extracted = trafilatura.extract(
            tree,
            output_format="xml",
            include_comments=False,
            include_tables=False,
            include_links=False,
            deduplicate=False,
            prune_xpath=_NAVIGATION,
        )
        if extracted:
            article.skipped["code"] = extracted.count("</code>")
            article.paragraphs.extend(_paragraphs(etree.fromstring(extracted, _PARSER)))
        article.skipped = +article.skipped
        return article


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


def _trafilatura() -> ModuleType:
    """Loaded when the first page is read: the import takes longer than that of everything else."""
    import trafilatura

    # It complains of every page without main text; the funnel says so once.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    return trafilatura


def decode(data: bytes) -> str:
    """A page's characters: by its byte order mark, as UTF-8 if it is, as declared, else as Windows-1252.

    Valid UTF-8 that is not ASCII is never anything else by chance, so it wins over a declaration, which
    is often wrong. ISO 8859-1 is read as Windows-1252, as browsers do (WHATWG Encoding Standard, 4.2).
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(_declared(data), "replace")


def _declared(data: bytes) -> str:
    found = _DECLARED.search(data[:4096])
    try:
        name = codecs.lookup(found[1].decode("ascii")).name if found else ""
    except (LookupError, UnicodeDecodeError):
        name = ""
    return name if name.startswith(_CHARACTER_SETS) and name != "iso8859-1" else "cp1252"


def _describe(article: Article, page: Any) -> None:
    """Take over what trafilatura found in the page's metadata."""
    article.title = " ".join((page.title or "").split())
    article.authors = [name.strip() for name in (page.author or "").split(";") if name.strip()]
    article.year = identifiers.year(page.date)
    article.journal = page.sitename or ""
    article.licence = identifiers.licence(page.license)
    article.url = page.url or ""
    article.subjects = [term.strip() for term in page.tags or () if term.strip()]


def _paragraphs(document: etree._Element) -> Iterator[Paragraph]:
    for line_break in document.iter("lb"):
        line_break.tail = " " + (line_break.tail or "")
    section = ""
    for block in document.iter(*_BLOCKS):
        text = markup.text(block, skip=_BLOCKS)
        if block.tag == "head":
            section = text
        elif text and block.tag in ("p", "item", "quote"):
            yield Paragraph(text, _kind(block), markup.path(block), section)


def _kind(block: etree._Element) -> Kind:
    enclosing = next(block.iterancestors("item", "quote"), None)
    return _KINDS[str(block.tag if enclosing is None else enclosing.tag)]
