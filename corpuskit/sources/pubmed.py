"""PubMed: bibliographic records (MEDLINE XML) and the full texts of PubMed Central (JATS XML).

Records are read as the NLM documents them
(https://www.nlm.nih.gov/bsd/licensee/elements_descriptions.html), full texts by :mod:`~corpuskit.sources.jats`.
"""

from __future__ import annotations

import builtins
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lxml import etree
from pydantic import Field

from corpuskit import identifiers
from corpuskit.files import Member, Refused
from corpuskit.records import Article, Paragraph, Quarantined
from corpuskit.sources import jats, markup
from corpuskit.sources.base import Items, Languages, SourceOptions, SourceReader
from corpuskit.sources.markup import Record


class PubmedOptions(SourceOptions):
    """Settings of :class:`PubmedReader`."""

    min_year: int = Field(0, ge=0, description="first year of publication; 0 for all")
    document_types: list[str] = Field(
        [], description="types of MEDLINE (`Case Reports`) and of JATS (`case-report`) to keep, [] for all"
    )
    languages: Languages = Field(
        [],
        description="keep what declares one of these languages, for itself or a part such as a second abstract, "
        "or none at all; [] for all",
    )


class PubmedReader(SourceReader):
    """Reads ``PubmedArticleSet`` files and JATS articles, told apart by what is in them.

    A record and the full text of the same article have the same id; they are joined later.
    """

    name = "🩺 PubMed"
    source = "pubmed"
    suffixes = (".xml", ".nxml")
    Options: ClassVar[builtins.type[SourceOptions]] = PubmedOptions

    def read(self, member: Member) -> Iterator[Items]:
        for record in markup.records(member.stream, *_LAYOUTS, "DeleteCitation", "article"):
            if record.data.startswith(b"<DeleteCitation"):
                # Each of the thousands that it may list counts as a record.
                yield from zip(self._items(record, member.name))
            else:
                yield self._items(record, member.name)

    def _items(self, record: Record, file: str) -> Iterator[Article | Quarantined]:
        number, hint = str(record.number), f"the record begins at byte {record.offset:,}"
        if record.error:
            neither = record.error.startswith("no <")
            hint = "only MEDLINE and JATS XML are read as PubMed" if neither else hint
            yield self.quarantine(file, record.error, number, hint)
            return
        try:
            root = markup.parse(record)
            if root.tag == "DeleteCitation":
                yield from self._deleted(root, file, record.number)
            else:
                yield self._article(root, file, record.number)
        except Exception as error:
            yield self.quarantine(file, error, number, hint)

    def _article(self, root: etree._Element, file: str, number: int) -> Article:
        describe, fill = (jats.article, jats.paragraphs) if root.tag == "article" else (_describe, _fill)
        article = describe(root, self.source_name, file, number)
        self._select(article)
        if article.drop is None:
            fill(root, article)
            self._select_language(article)
        return article

    def _select(self, article: Article) -> None:
        if 0 < article.year < self.options.min_year:
            article.mark("select", "year", f"{article.year} is before {self.options.min_year}")
        wanted = self.options.document_types
        if wanted and _type_key(article.document_type) not in map(_type_key, wanted):
            article.mark("select", "document_type", article.document_type or "none given")

    def _select_language(self, article: Article) -> None:
        declared = {article.language, *(paragraph.declared_language for paragraph in article.paragraphs)} - {""}
        wanted = self.options.languages
        if wanted and declared and not declared.intersection(wanted):
            article.mark("select", "language", f"declared {', '.join(sorted(declared))}")
            article.paragraphs.clear()

    def _deleted(self, root: etree._Element, file: str, number: int) -> Iterator[Article]:
        for pmid in map(identifiers.pmid, map(markup.text, root.iterfind("PMID"))):
            article = Article(f"{self.source_name}:{pmid}", self.source_name, file, number, form="record", pmid=pmid)
            article.mark("select", "deleted", "PubMed lists the record as deleted")
            yield article


def _type_key(name: str) -> str:
    """``"Case Reports"`` and ``"case-report"`` are one type."""
    return re.sub(r"\W+", "-", name.lower()).removesuffix("s")


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the record of an article, and that of a book or chapter, keep the same things."""

    citation: str
    content: str
    journal: str
    date: str
    ids: str
    types: str


_LAYOUTS = {
    "PubmedArticle": _Layout(
        citation="MedlineCitation",
        content="MedlineCitation/Article",
        journal="Journal/Title",
        date="Journal/JournalIssue/PubDate",
        ids="PubmedData/ArticleIdList/ArticleId",  # those of cited articles are deeper
        types="PublicationTypeList/PublicationType",
    ),
    "PubmedBookArticle": _Layout(
        citation="BookDocument",
        content="BookDocument",
        journal="Book/BookTitle",
        date="Book/PubDate",
        ids="BookDocument/ArticleIdList/ArticleId",
        types="PublicationType",
    ),
}

_MATHML = "{http://www.w3.org/1998/Math/MathML}math"

#: What the NLM writes where there is no title or abstract.
_PLACEHOLDERS = {"not available", "in process citation", "abstract available from the publisher"}
#: Publication types that say little of what an article is; the lower, the less.
_LITTLE_TELLING = {
    "Comparative Study": 1, "Multicenter Study": 1, "Comment": 1, "Historical Article": 1, "Portrait": 1,
    "Video-Audio Media": 2, "Webcast": 2, "Journal Article": 3, "English Abstract": 4,
}  # fmt: skip


def _describe(root: etree._Element, source: str, file: str, record: int) -> Article:
    """What a MEDLINE record says of an article, without its paragraphs.

    Raises:
        Refused: it has no PubMed id or no content.
    """
    layout = _LAYOUTS[root.tag]
    citation, content = root.find(layout.citation), root.find(layout.content)
    if citation is None or content is None:
        raise Refused(f"a <{root.tag}> without <{layout.content.rpartition('/')[2]}>")
    pmid = identifiers.pmid(citation.findtext("PMID"))
    if not pmid:
        raise Refused(f"a <{root.tag}> without a PMID")
    article = Article(f"{source}:{pmid}", source, file, record, form="record", pmid=pmid)
    ids = {found.get("IdType"): found.text for found in root.iterfind(layout.ids)}
    article.doi = identifiers.doi(ids.get("doi")) or _electronic_doi(content)
    article.pmcid = identifiers.pmcid(ids.get("pmc"))
    article.journal = markup.text(content.find(layout.journal))
    titles = [title for _, title, _ in _titles(content, Counter())]
    if not titles and root.tag == "PubmedBookArticle":  # of a whole book, not of a chapter
        titles = [article.journal]
    article.title, article.other_titles = (titles[0], titles[1:]) if titles else ("", [])
    article.authors = [name for name in map(_author, content.iterfind("AuthorList/Author")) if name]
    article.year = _year(content, layout.date)
    article.language = identifiers.language(content.findtext("Language"))
    article.subjects = list(dict.fromkeys(_subjects(citation)))
    article.document_type = _document_type([markup.text(found) for found in content.iterfind(layout.types)])
    article.url = f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/"
    return article


def _fill(root: etree._Element, article: Article) -> None:
    """Append titles and abstracts, and count what is no prose."""
    layout = _LAYOUTS[root.tag]
    citation, content = root.find(layout.citation), root.find(layout.content)
    assert citation is not None  # _describe has seen them
    assert content is not None
    place = f"/{root.tag}/" + "/".join(f"{step}[1]" for step in layout.content.split("/"))
    for name, title, language in _titles(content, article.skipped):
        article.paragraphs.append(Paragraph(title, "title", f"{place}/{name}[1]", "", language))
    for number, abstract in enumerate(content.iterfind("Abstract"), 1):
        _abstract(abstract, f"{place}/Abstract[{number}]", article)
    for number, abstract in enumerate(citation.iterfind("OtherAbstract"), 1):
        _abstract(abstract, f"/{root.tag}/{layout.citation}[1]/OtherAbstract[{number}]", article)
    for name in ("MedlineCitation/CommentsCorrectionsList", "PubmedData/ReferenceList", "BookDocument/ReferenceList"):
        for references in root.iterfind(name):
            article.skipped["reference"] += sum(1 for _ in references.iter("Reference", "CommentsCorrections"))


def _abstract(abstract: etree._Element, place: str, article: Article) -> None:
    language = identifiers.language(abstract.get("Language"))
    for number, element in enumerate(abstract.iterfind("AbstractText"), 1):
        text = _text(element, article.skipped)
        if text:
            path, section = f"{place}/AbstractText[{number}]", _section(element.get("Label", ""))
            article.paragraphs.append(Paragraph(text, "abstract", path, section, language))


def _text(element: etree._Element, skipped: Counter[str]) -> str:
    """Running text without formulas; "" for what the NLM writes where there is none."""
    formulas = sum(1 for _ in element.iter(_MATHML)) if len(element) else 0
    text = markup.text(element, ("math",) if formulas else ())
    if formulas:
        skipped["formula"] += formulas
    if text.strip("[]. ").lower() in _PLACEHOLDERS:
        skipped["placeholder"] += 1
        return ""
    return text


def _titles(content: etree._Element, skipped: Counter[str]) -> Iterator[tuple[str, str, str]]:
    """Element name, text and language of each title: the NLM puts its English translations in square brackets."""
    for name in ("ArticleTitle", "VernacularTitle"):
        element = content.find(name)
        text, language = _text(element, skipped) if element is not None else "", ""
        bare = text.removesuffix(".")
        if _in_brackets(bare):
            text, language = bare[1:-1].removesuffix("(author's transl)").strip(), "en"
        if name == "VernacularTitle":
            language = _original_language(content)
        if text:
            yield name, text, language


def _in_brackets(text: str) -> bool:
    """Whether the first bracket is closed by the last character, which "[18F]FDG or [11C]" is not."""
    if not (text.startswith("[") and text.endswith("]")):
        return False
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if depth == 0:
            return position == len(text) - 1
    return False


def _original_language(content: etree._Element) -> str:
    """The first declared language that is not English: English titles are no vernacular ones."""
    languages = [identifiers.language(found.text) for found in content.iterfind("Language")]
    return next((language for language in languages if language not in ("", "en")), "")


def _section(label: str) -> str:
    if label in ("UNASSIGNED", "UNLABELLED"):
        return ""
    return label.capitalize() if label.isupper() else label


def _electronic_doi(content: etree._Element) -> str:
    for found in content.iterfind("ELocationID"):
        if found.get("EIdType") == "doi" and found.get("ValidYN") != "N":
            return identifiers.doi(found.text)
    return ""


def _year(content: etree._Element, date: str) -> int:
    found = (content.findtext(place) for place in (f"{date}/Year", f"{date}/MedlineDate", "ArticleDate/Year"))
    return next(filter(None, map(identifiers.year, found)), 0)


def _author(author: etree._Element) -> str:
    if author.get("ValidYN") == "N":  # a misspelling kept for the record
        return ""
    parts = {part.tag: part for part in author}
    if "CollectiveName" in parts:
        return markup.text(parts["CollectiveName"])
    given = parts.get("ForeName", parts.get("Initials"))
    return ", ".join(filter(None, (markup.text(parts.get("LastName")), markup.text(given))))


def _subjects(citation: etree._Element) -> Iterator[str]:
    for heading in citation.iterfind("MeshHeadingList/MeshHeading/DescriptorName"):
        yield f"mesh:{markup.text(heading)}"
    for keyword in citation.iterfind("KeywordList/Keyword"):
        if text := markup.text(keyword):
            yield text


def _document_type(types: list[str]) -> str:
    """The most telling of the publication types, the first of equals."""

    def rank(name: str) -> int:
        return 4 if name.startswith("Research Support") else _LITTLE_TELLING.get(name, 0)

    return min(types, key=rank, default="")
