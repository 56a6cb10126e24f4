"""The reader of ISTEX: members put together to documents, documents to articles."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import fsspec
from pydantic import Field, field_validator

from corpuskit import files
from corpuskit.files import InputFile, Member, Refused
from corpuskit.records import Article, Paragraph, Quarantined
from corpuskit.sources.base import MEMBER_BITS, RECORD_BITS, Items, Languages, SourceOptions, SourceReader, numbered
from corpuskit.sources.istex import fulltext
from corpuskit.sources.istex.categories import BIOLOGY_AND_MEDICINE, Categories
from corpuskit.sources.istex.fulltext import Variant
from corpuskit.sources.istex.metadata import Description, describe


class IstexOptions(SourceOptions):
    """What of ISTEX becomes part of the corpus."""

    min_year: int = Field(
        1990, ge=0, description="articles published before are left out; 0 for none; undated ones stay"
    )
    max_year: int = Field(0, ge=0, description="articles published after are left out; 0 for none")
    languages: Languages = Field(
        ["fr"], description="declared languages to keep, [] for all; articles that declare none stay"
    )
    categories: list[str] = Field(
        list(BIOLOGY_AND_MEDICINE),
        description="regular expressions, whatever the case and accents, one of which must be found in a level of the "
        "article's wos, scienceMetrix, scopus or inist categories; [] for all",
    )
    uncategorised: Literal["keep", "drop"] = Field("keep", description="what to do with articles without any category")
    prefer: list[Variant] = Field(
        ["tei", "cleaned", "txt"], description="which file to take the text from: the first that has any"
    )

    @field_validator("categories")
    @classmethod
    def _compile(cls, values: list[str]) -> list[str]:
        for value in values:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"{value!r} is no regular expression: {error}") from error
        return values


_SUFFIXES = {".json": "json", ".tei": "tei", ".tei.xml": "tei", ".cleaned": "cleaned", ".txt": "txt"}
_PART = re.compile(r"(.*[^/])(\.json|\.tei|\.tei\.xml|\.cleaned|\.txt)", re.DOTALL)
_MANIFEST = re.compile(r"(.*/)?manifest\.json", re.DOTALL)
_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.gz|tar\.bz2|tar\.xz)$", re.IGNORECASE)


@dataclass(slots=True)
class _Part:
    """One member of a document: its bytes, or why there are none."""

    name: str
    data: bytes = b""
    fault: Exception | None = None

    @classmethod
    def of(cls, member: Member) -> _Part:
        try:
            if member.refused:
                raise Refused(member.refused, "download the document again, or take it out")
            return cls(member.name, member.read())
        except Exception as fault:
            return cls(member.name, fault=fault)

    def read(self) -> bytes:
        if self.fault:
            raise self.fault
        return self.data


@dataclass(slots=True)
class _Document:
    """The members of one document. ``name`` is theirs, without the ending."""

    name: str
    parts: dict[str, _Part] = field(default_factory=dict)
    #: Members of the same document have been met before, and others since.
    late: bool = False


def _split(name: str) -> tuple[str, str]:
    """The document and the kind of a member, ("", "") for what is part of none."""
    found = _PART.fullmatch(name)
    return (found[1], _SUFFIXES[found[2]]) if found and not _MANIFEST.fullmatch(name) else ("", "")


def _created(manifest: InputFile) -> str:
    """The day of an extraction (ISO 8601), "" where its manifest does not say it."""
    try:
        with fsspec.open(manifest.path, "rb") as stream:
            told = str(json.load(stream)["creationDate"])
        return datetime.fromisoformat(told).date().isoformat()
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _hint(error: Exception) -> str:
    return "" if isinstance(error, Refused) else "the file is damaged or cut off: download the document again"


class IstexReader(SourceReader):
    """One article a document, its text from the first of ``prefer`` that has any.

    Title and abstract have JSON Pointers as paths, paragraphs of a TEI file XML paths, those of plain
    text ``char=start,end``: characters of the decoded file without byte order mark, a line end of any
    kind counted as one (RFC 5147), which is how ``open(file, encoding="utf-8-sig").read()`` has them.
    """

    name = "📚 ISTEX"
    source = "istex"
    suffixes = tuple(_SUFFIXES)
    Options = IstexOptions

    def __init__(self, path: str, limit: int = -1, **options: Any) -> None:
        super().__init__(path, limit, **options)
        self._kinds = {"json", *self.options.prefer}
        self._categories = Categories(self.options.categories)

    def files(self) -> list[InputFile]:
        """The archives, and of each unpacked document one file with the size of all: its ``.json`` where it has one."""
        units: list[InputFile] = []
        documents: dict[str, list[InputFile]] = {}
        for file in super().files():
            document, kind = _split(file.name)
            if kind in self._kinds:
                documents.setdefault(document, []).append(file)
            else:
                units.append(file)
        for parts in documents.values():
            first = next((part for part in parts if part.name.endswith(".json")), parts[0])
            units.append(replace(first, size=sum(part.size for part in parts)))
        return sorted(units, key=lambda file: file.name)

    def dates(self, found: Sequence[InputFile]) -> list[str]:
        """The days of the extractions, where one is unpacked with the manifest that tells; else of the files."""
        manifests = [file for file in found if _MANIFEST.fullmatch(file.name)]
        return sorted({_created(file) for file in manifests} - {""}) or super().dates(found)

    def pieces(
        self, file: InputFile, part: int, parts: int, on_bytes: Callable[[int], None]
    ) -> Iterator[tuple[int, int, Items]]:
        """The documents of an archive that fall to a part, or the one document that ``file`` is a piece of.

        A document of an archive is numbered after the member that shows it to be whole: the next one.
        """
        if _split(file.name)[1] in self._kinds:
            if part == 0:
                yield 0, RECORD_BITS, self.guarded(self._beside(file), file.name, "")
            return
        for number, found in self._packed(file, part, parts, on_bytes):
            if isinstance(found, _Document):
                yield number, MEMBER_BITS, self.guarded(self._document(found), file.name, found.name)
            else:
                yield number, MEMBER_BITS, (found,)

    def read(self, member: Member) -> Iterator[Items]:
        """The article of a ``.json`` by itself: title and abstract."""
        yield self._document(_Document(_split(member.name)[0], {"json": _Part.of(member)}))

    def _beside(self, file: InputFile) -> Iterator[Article | Quarantined]:
        yield from self._document(self._unpacked(file))

    def _unpacked(self, file: InputFile) -> _Document:
        document = _Document(_split(file.name)[0])
        path = file.path.removesuffix(file.name.removeprefix(document.name))
        for suffix, kind in _SUFFIXES.items():
            if kind not in self._kinds or kind in document.parts:
                continue
            sibling = InputFile(path + suffix, document.name + suffix, 0)
            try:
                for member in files.members(sibling):
                    document.parts[kind] = _Part.of(member)
            except FileNotFoundError:
                continue
            except Exception as fault:
                document.parts[kind] = _Part(sibling.name, fault=fault)
        return document

    def _packed(
        self, file: InputFile, part: int, parts: int, on_bytes: Callable[[int], None]
    ) -> Iterator[tuple[int, _Document | Quarantined]]:
        """The documents of an archive that fall to a part; the members of each are next to each other.

        Names alone tell where a document ends and whose it is, so that no part opens what is another's.
        """
        met: set[str] = set()
        kinds: set[str] = set()
        document = _Document("")
        position = ours = -1
        fault: Exception | None = None
        try:
            for position, entry in numbered(files.entries(file, on_bytes), MEMBER_BITS):
                name, kind = _split(entry.name)
                if kind not in self._kinds:
                    for member in entry.members if part == 0 else ():
                        if _ARCHIVE.search(member.name):
                            problem = member.refused or "this is no archive, whatever its name says"
                            hint = "download it again, or unpack it yourself"
                            yield position, self.quarantine(member.name, problem, hint=hint)
                        else:
                            self.ignore(member)
                    continue
                if name != document.name or kind in kinds:
                    if document.parts:
                        yield position, document
                    document, kinds = _Document(name, late=name in met), set()
                    met.add(name)
                    ours += 1
                kinds.add(kind)
                if ours % parts == part:
                    document.parts[kind] = _Part.of(next(entry.members))
        except Exception as error:
            # What was read of a broken archive is kept.
            fault = error
        if document.parts:
            yield position + 1, document
        if fault and part == 0:
            yield position + 2, self.quarantine(file.name, fault)

    def _document(self, document: _Document) -> Iterator[Article | Quarantined]:
        own_name = document.name.rpartition("/")[2]
        if document.late:
            for part in document.parts.values():
                yield self.quarantine(
                    part.name,
                    "this member is apart from the others of its document, which were read without it",
                    own_name,
                    "unpack the archive and give the folder, or pack it again sorted by name",
                )
            return
        metadata = document.parts.pop("json", None)
        if metadata is None:
            names = ", ".join(part.name.removeprefix(document.name) for part in document.parts.values())
            yield self.quarantine(
                f"{document.name}.json",
                f"missing: there is nothing to say what the text beside it ({names}) is",
                own_name,
                "download the documents again with their metadata in JSON",
            )
            return
        try:
            description = describe(metadata.read(), self.source_name, metadata.name, own_name)
        except Exception as error:
            yield self.quarantine(metadata.name, error, own_name, _hint(error))
            return
        self._select(description)
        if description.article.drop is None:
            yield from self._fill(description, document)
        yield description.article

    def _select(self, description: Description) -> None:
        options: IstexOptions = self.options
        article, languages, levels = description.article, description.languages, description.levels
        if 0 < article.year < options.min_year:
            article.mark("select", "year", f"{article.year} is before {options.min_year}")
        if 0 < options.max_year < article.year:
            article.mark("select", "year", f"{article.year} is after {options.max_year}")
        if options.languages and languages and not set(languages) & set(options.languages):
            article.mark("select", "language", f"declared {', '.join(languages)}")
        if self._categories and not levels and options.uncategorised == "drop":
            article.mark("select", "category", "none given")
        if self._categories and levels and not any(level in self._categories for level in levels):
            article.mark("select", "category", "; ".join(levels))

    def _fill(self, description: Description, document: _Document) -> Iterator[Quarantined]:
        """Add the paragraphs: the title, the abstracts that the text does not hold, the text."""
        article = description.article
        text: list[Paragraph] = []
        abstracts: list[Paragraph] = []
        for kind in self.options.prefer:
            part = document.parts.get(kind)
            if text or part is None:
                continue
            try:
                found = fulltext.READ[kind](part.read(), article)
            except Exception as error:
                yield self.quarantine(part.name, error, article.id, _hint(error))
                continue
            for paragraph in (*found.paragraphs, *found.abstracts):
                paragraph.file = part.name
            text, abstracts = found.paragraphs, [*abstracts, *found.abstracts]
            if text:
                article.skipped += found.skipped
        if description.abstract:
            abstracts.append(Paragraph(description.abstract, "abstract", "/abstract"))
        if article.title:
            article.paragraphs.append(Paragraph(article.title, "title", "/title"))
        untitled = fulltext.without_title(text, article.title)
        new = fulltext.without_repeated(abstracts, text)
        article.skipped["repeated title"] += len(text) - len(untitled)
        article.skipped["repeated abstract"] += len(abstracts) - len(new)
        article.skipped = +article.skipped
        article.paragraphs += new + untitled
        article.form = "fulltext" if text else "record"
