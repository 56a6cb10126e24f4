"""HAL reader against an XPath count of its own: titles, abstracts and body paragraphs found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from figures import Figure
from lxml import etree

from corpuskit.records import Article
from corpuskit.sources.hal import HalReader

_TEI = {"t": "http://www.tei-c.org/ns/1.0"}
_TITLES = "(t:titleStmt|self::*[not(t:titleStmt/t:title)]//t:analytic)/t:title[not(@type='sub')]"
_ABSTRACTS = "t:profileDesc/t:abstract[not(t:p)] | t:profileDesc/t:abstract/t:p"
_BODY = "//t:text/t:body//t:p | //t:text/t:body//t:item | //t:text/t:body//t:note[@place='foot']"
_FULL_TEXTS = Path(str(files("corpuskit") / "samples" / "hal" / "fulltext"))


def measure(real_data: Path) -> list[Figure]:
    """The share of each element's text that the reader gave back, word for word."""
    titles, abstracts, body = [], [], []
    for file, articles in _read(real_data / "hal"):
        for number, record in enumerate(etree.parse(file).iterfind(".//t:biblFull", _TEI)):
            titles += _found(record.xpath(_TITLES, namespaces=_TEI), articles[number])
            abstracts += _found(record.xpath(_ABSTRACTS, namespaces=_TEI), articles[number])
    for file, articles in _read(_FULL_TEXTS):
        body += _found(etree.parse(file).xpath(_BODY, namespaces=_TEI), articles[0])
    return [
        Figure("HAL titles found", _share(titles), 0.99, f"{len(titles)} in the real records"),
        Figure("HAL abstracts found", _share(abstracts), 0.99, f"{len(abstracts)} in the real records"),
        Figure("GROBID body paragraphs found", _share(body), 0.99, f"{len(body)} in the sample full texts"),
    ]


def _read(folder: Path) -> Iterator[tuple[Path, dict[int, Article]]]:
    reader = HalReader(str(folder), domains=[])
    for file in reader.files():
        articles = {item.record: item for item in reader.read_file(file) if isinstance(item, Article)}
        yield folder / file.name, articles


def _found(elements: list[etree._Element], article: Article) -> list[bool]:
    read = "".join(_letters(paragraph.text) for paragraph in article.paragraphs)
    return [_letters(element.xpath("string()")) in read for element in elements]


def _letters(text: str) -> str:
    """Without white space, and without the HTML tags that some abstracts hold as text."""
    return "".join(re.sub(r"</?[a-z][^<>]*>", "", text).split())


def _share(found: list[bool]) -> float:
    return sum(found) / len(found)
