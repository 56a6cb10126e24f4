"""HAL: records of the open archive, and the full texts that GROBID made of its PDF files.

Formats: TEI as HAL's search API (``wt=xml-tei``), its OAI-PMH server and its SWORD deposits write it
(https://api.archives-ouvertes.fr/docs), and GROBID's TEI (:mod:`corpuskit.sources.tei`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import IO, ClassVar, cast

from lxml import etree
from pydantic import Field

from corpuskit import identifiers
from corpuskit.files import Member, Refused
from corpuskit.records import Article, Paragraph, Quarantined
from corpuskit.sources import markup, tei
from corpuskit.sources.base import Items, SourceOptions, SourceReader
from corpuskit.sources.markup import Record

#: Where the first record of an export must have begun: its header is 2 to 4 KB long.
_HEAD = 1 << 16
#: GROBID's on every inner division. Shorter names are read faster.
_REDECLARED = b' xmlns="http://www.tei-c.org/ns/1.0"'


class HalOptions(SourceOptions):
    """What to take from HAL. A full text is judged on its record, once the two are joined."""

    domains: list[str] = Field(
        ["sdv"], description="codes of HAL domains, their sub-domains included (`sdv.mhep`); empty for all"
    )
    document_types: list[str] = Field(
        [], description="codes of HAL's typology, such as `ART` or `THESE`; empty for all"
    )
    min_year: int = Field(0, ge=0, description="first year of publication; 0 for all")


class HalReader(SourceReader):
    """HAL records (one or thousands in a file) and full texts in GROBID's TEI.

    A record with no HAL id, as in a SWORD deposit, is named after its file: ``hal:ART.xml/0``. A full
    text takes its HAL id from its file's or folder's name: ``hal-01234567v1.grobid.tei.xml``.
    """

    name = "🏛 HAL"
    source = "hal"
    suffixes = (".xml", ".tei")
    Options: ClassVar[type[HalOptions]] = HalOptions

    def read(self, member: Member) -> Iterator[Items]:
        peeked = _Peeked(cast(io.BufferedReader, member.stream))
        stream = cast(IO[bytes], peeked)
        start = peeked.head.replace(b"\0", b"")  # as good as decoding UTF-16, for ASCII names
        if b"<biblFull" in start:
            for record in markup.records(stream, "biblFull"):
                yield self._item(member, record, self._record)
        elif b"<TEI" in start:
            for record in markup.records(stream, "TEI"):
                yield self._item(member, record, self._full_text)
        else:
            raise Refused(
                "neither HAL records (<biblFull>) nor a full text in TEI (<TEI>)",
                "export from HAL with wt=xml-tei, or convert the PDF with GROBID's processFulltextDocument",
            )

    def _item(
        self, member: Member, record: Record, read: Callable[[Member, int, etree._Element], Article]
    ) -> Iterator[Article | Quarantined]:
        try:
            if record.error:
                raise Refused(record.error)
            record.data = record.data.replace(_REDECLARED, b"")
            yield read(member, record.number, markup.parse(record))
        except Exception as error:
            hint = getattr(error, "hint", "") or f"look at byte {record.offset:,} of the file"
            yield self.quarantine(member.name, error, str(record.number), hint)

    def _record(self, member: Member, number: int, record: etree._Element) -> Article:
        idnos = tei.idnos(record)
        hal_id = _declared_id(idnos) or (_named_id(member.name) if number == 0 else "")
        article = self._article(member, number, record, idnos, hal_id)
        article.form = "record"
        article.language = tei.language(record)
        codes = list(record.iterfind("{*}profileDesc/{*}textClass/{*}classCode"))
        domains = [code.get("n", "") for code in codes if code.get("scheme") == "halDomain"]
        article.subjects = _subjects(record, domains, codes)
        article.document_type = next((code.get("n", "") for code in codes if code.get("scheme") == "halTypology"), "")
        article.url = idnos.get("haluri", "")
        titles = list(_titles(record))
        _entitle(article, titles)
        self._select(article, domains)
        if article.drop is None:
            article.paragraphs = [*titles, *tei.abstracts(record, article)]
        return article

    def _full_text(self, member: Member, number: int, root: etree._Element) -> Article:
        if root.find("{*}text/{*}body/{*}listBibl") is not None:
            raise Refused("an export from HAL that holds no record", "check the query it was made with")
        found = root.find("{*}teiHeader/{*}fileDesc")
        description = root if found is None else found
        idnos = tei.idnos(description)
        hal_id = _declared_id(idnos) or (_named_id(member.name) if number == 0 else "")
        if not hal_id:
            raise Refused(
                "a full text without a HAL id: it cannot be joined to its record",
                "name the file after the record, such as hal-01234567.grobid.tei.xml, or put it in a folder so named",
            )
        article = self._article(member, number, description, idnos, hal_id)
        article.needs_record = bool(self.options.domains or self.options.document_types or self.options.min_year)
        article.title = tei.title(description)
        article.language = tei.language(root)
        article.paragraphs = [*tei.abstracts(root, article), *tei.body(root, article)]
        return article

    def _article(
        self, member: Member, number: int, description: etree._Element, idnos: dict[str, str], hal_id: str
    ) -> Article:
        return Article(
            id=f"{self.source_name}:{hal_id or f'{member.name}/{number}'}",
            source=self.source_name,
            file=member.name,
            record=number,
            doi=identifiers.doi(idnos.get("doi")),
            pmid=identifiers.pmid(idnos.get("pubmed")),
            pmcid=identifiers.pmcid(idnos.get("pubmedcentral")),
            hal_id=hal_id,
            authors=tei.authors(description),
            year=tei.year(description),
            journal=tei.journal(description),
            licence=tei.licence(description),
        )

    def _select(self, article: Article, domains: list[str]) -> None:
        options = self.options
        if options.domains and not any(_within(code, wanted) for code in domains for wanted in options.domains):
            article.mark("select", "domain", ", ".join(domains) or "none given")
        if options.document_types and article.document_type not in options.document_types:
            article.mark("select", "document_type", article.document_type or "none given")
        if article.year < options.min_year:
            given = f"{article.year} is before {options.min_year}" if article.year else "none given"
            article.mark("select", "year", given)


class _Peeked:
    """A stream with a look at its start. Where it breaks in that, it breaks again after it."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream, self.head = stream, b""
        self._error: Exception | None = None
        try:
            while len(self.head) < _HEAD and (piece := stream.read1(_HEAD)):
                self.head += piece
        except Exception as error:
            self._error = error

    def read1(self, size: int) -> bytes:
        head, self.head = self.head, b""
        if not head and self._error:
            raise self._error
        return head or self._stream.read1(size)


def _within(code: str, domain: str) -> bool:
    """``sdv.mhep.csc`` is within ``sdv``; ``sdvx`` is not."""
    return code == domain or code.startswith(domain + ".")


def _declared_id(idnos: dict[str, str]) -> str:
    return next((found for kind in ("halid", "haluri", "hal") if (found := identifiers.hal_id(idnos.get(kind)))), "")


def _named_id(name: str) -> str:
    """The HAL id in a file's name, else in the folder's nearest to it."""
    return next((found for part in reversed(name.split("/")) if (found := identifiers.hal_id(part))), "")


def _titles(record: etree._Element) -> Iterator[Paragraph]:
    """The title in each language, its subtitle appended. Deposits give them under ``analytic`` only."""
    for place in (("titleStmt", "title"), ("sourceDesc", "biblStruct", "analytic", "title")):
        found = list(tei.children(record, "/biblFull", *place))
        subtitles = {
            element.get(markup.LANG): tei.plain(markup.text(element))
            for element, _ in found
            if element.get("type") == "sub"
        }
        mains = [(element, path) for element, path in found if element.get("type") != "sub"]
        for element, path in mains:
            if text := tei.plain(markup.text(element)):
                language = identifiers.language(element.get(markup.LANG))
                subtitle = subtitles.get(element.get(markup.LANG), "")
                yield Paragraph(_with_subtitle(text, subtitle, language), "title", path, "", language)
        if mains:
            return


def _with_subtitle(title: str, subtitle: str, language: str) -> str:
    if not subtitle:
        return title
    if title.endswith(("?", "!", ".", ":", "…")):
        return f"{title} {subtitle}"
    return f"{title} : {subtitle}" if language == "fr" else f"{title}: {subtitle}"


def _entitle(article: Article, titles: list[Paragraph]) -> None:
    """The title is the first one in the language of the article."""
    texts = [title.text for title in titles]
    own = [title.text for title in titles if title.declared_language == article.language]
    article.title = next(iter(own + texts), "")
    article.other_titles = [text for text in texts if text != article.title]


def _subjects(record: etree._Element, domains: list[str], codes: list[etree._Element]) -> list[str]:
    mesh = [f"mesh:{markup.text(code)}" for code in codes if code.get("scheme") == "mesh"]
    terms = [markup.text(term) for term in record.iterfind("{*}profileDesc/{*}textClass/{*}keywords/{*}term")]
    found = [*(f"hal:{code}" for code in domains), *mesh, *terms]
    return [subject for subject in dict.fromkeys(found) if subject]
