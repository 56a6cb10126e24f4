"""The Wikipedia reader against mwparserfromhell's reading of the whole page, for every article of the dumps."""

from __future__ import annotations

import bz2
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import mwparserfromhell
from figures import Figure
from lxml import etree
from mwparserfromhell import nodes

from corpuskit.records import Article
from corpuskit.sources.wikipedia import WikipediaReader
from corpuskit.sources.wikitext import SKIPPED_SECTIONS

_NO_PROSE = {"table", "gallery", "ref", "references", "math", "timeline"}
_NO_LINK = re.compile(
    r"(?:file|fichier|image|category|cat[eé]gor\w+|[a-z]{2,3}):|\w+:.*\.(?:jpg|png|svg)$", re.IGNORECASE
)
_MARKUP = re.compile(r"\[\[|\]\]|\{\{|\}\}|''|</?(?:ref|br|small|div|span)\b|\||\(\s*\)|__[A-Z]+__")


def _prose(wikitext: str) -> Iterator[str]:
    """What ``strip_code`` leaves of everything but tables, images, references and the sections of references."""
    skipping = 0
    for node in mwparserfromhell.parse(wikitext).nodes:
        if isinstance(node, nodes.Heading):
            if node.level <= skipping:
                skipping = 0
            if not skipping and node.title.strip_code().strip().lower() in SKIPPED_SECTIONS:
                skipping = node.level
            yield "\n"
        elif not skipping and not _set_apart(node):
            yield node.__strip__(normalize=True, collapse=True) or ""


def _set_apart(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Tag):
        return str(node.tag).lower() in _NO_PROSE
    return isinstance(node, nodes.Wikilink) and bool(_NO_LINK.match(str(node.title).strip()))


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", unicodedata.normalize("NFKC", text)))


def _pages(folder: Path) -> Iterator[tuple[str, Article]]:
    """For each article, the prose that mwparserfromhell leaves of it, and how it was read."""
    reader = WikipediaReader(str(folder), select="all")
    for file in reader.files():
        with bz2.open(folder / file.name) as stream:
            sources = [element.text or "" for _, element in etree.iterparse(stream) if element.tag.endswith("}text")]
        for article in reader.read_file(file):
            assert isinstance(article, Article), article
            if article.drop is None:
                yield "".join(_prose(sources[article.record])), article


def measure(real_data: Path) -> list[Figure]:
    """Words of the prose that are kept, and paragraphs in which no markup is left."""
    expected: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    paragraphs = clean = articles = 0
    for prose, article in _pages(real_data / "wikipedia"):
        paragraphs += len(article.paragraphs)
        clean += sum(not _MARKUP.search(paragraph.text) for paragraph in article.paragraphs)
        if "thumb|" not in prose:  # else the parser gave up on this page and left the tables and references in
            articles += 1
            words = _words(prose)
            expected += words
            kept += words & _words(article.text)
    note = f"{expected.total():,} words of the {articles} articles that mwparserfromhell reads to the end"
    return [
        Figure("Wikipedia: words of the prose kept", kept.total() / expected.total(), 0.995, note),
        Figure("Wikipedia: paragraphs without markup", clean / paragraphs, 1.0, f"{paragraphs:,} paragraphs"),
    ]
