"""The PubMed reader on JATS full texts against an XPath count that shares no code with it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from figures import Figure
from lxml import etree

from corpuskit.records import Article
from corpuskit.sources.pubmed import PubmedReader

#: Every paragraph of the body that the format does not declare to be a table or a reference.
_PARAGRAPHS = "/article/body//p[not(ancestor::table or ancestor::array or ancestor::ref-list)]"
#: What stands in a paragraph but is not in its sentences, by itself or as a superscript reference.
_ASIDE = (
    ".//*[self::p or self::list or self::def-list or self::fig or self::table-wrap or self::disp-formula or"
    " self::boxed-text or self::supplementary-material or self::inline-formula or self::inline-graphic or"
    " self::disp-quote or self::fn or local-name() = 'math' or self::sup[xref] or self::xref[sup and not(text())]]"
)


def _expected(root: etree._ElementTree) -> dict[str, str]:
    """The paragraphs that have text of their own, by path."""
    found = {}
    paragraphs = [(_path(root, element), element) for element in root.xpath(_PARAGRAPHS)]
    for path, element in reversed(paragraphs):  # the inner before the outer, which loses them
        for aside in element.xpath(_ASIDE):
            _cut(aside)
        if words := element.xpath("normalize-space()").replace("\xa0", " ").split():
            found[path] = " ".join(words)
    return found


def _path(root: etree._ElementTree, element: etree._Element) -> str:
    """lxml's path, which leaves out the position of an only child."""
    steps = root.getpath(element).split("/")[2:]
    return "/article/" + "/".join(step if step.endswith("]") else f"{step}[1]" for step in steps)


def _cut(element: etree._Element) -> None:
    """Take an element out and leave its tail."""
    parent, previous = element.getparent(), element.getprevious()
    if parent is None:
        return
    tail = " " * (element.tag not in ("sup", "xref", "inline-formula")) + (element.tail or "")
    if previous is None:
        parent.text = (parent.text or "") + tail
    else:
        previous.tail = (previous.tail or "") + tail
    parent.remove(element)


def _pairs(folder: Path) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """For each article, the paragraphs of its body as XPath finds them, and as the reader does."""
    reader = PubmedReader(str(folder))
    parser = etree.XMLParser(load_dtd=False, no_network=True, remove_comments=True, remove_pis=True)
    for file in reader.files():
        for article in reader.read_file(file):
            assert isinstance(article, Article), article
            read = {
                p.path: p.text for p in article.paragraphs if re.fullmatch(r"/article/body\[1\]/.*/?p\[\d+\]", p.path)
            }
            yield _expected(etree.parse(str(folder / file.name), parser)), read


def _flat(text: str) -> str:
    """The reader raises exponents (10⁹), XPath flattens them (109)."""
    return unicodedata.normalize("NFKC", text)


def measure(real_data: Path) -> list[Figure]:
    """Paragraphs of the bodies found, found with exactly their text, and found where XPath finds none."""
    expected = found = exact = read = 0
    for gold, paragraphs in _pairs(real_data / "jats"):
        expected += len(gold)
        read += len(paragraphs)
        found += len(gold.keys() & paragraphs.keys())
        exact += sum(_flat(paragraphs.get(path, "")) == _flat(text) for path, text in gold.items())
    note = f"{expected:,} paragraphs by XPath"
    return [
        Figure("JATS: body paragraphs found", found / expected, 0.99, note),
        Figure("JATS: found with exactly their text (but for raised digits)", exact / expected, 0.99, note),
        Figure("JATS: found that XPath finds too", found / read, 0.99, f"{read:,} paragraphs read"),
    ]
