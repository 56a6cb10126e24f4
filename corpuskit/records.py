"""The data contract: articles, paragraphs, and what became of those that were not kept.

The two dataclasses are what travels between steps; the Arrow schemas are what is written. Every
column carries its description, and ``docs/data-format.md`` is checked against them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import pyarrow as pa

Kind = Literal["title", "abstract", "body", "caption", "list", "note", "quote", "table", "front", "back", "reference"]
KINDS: tuple[str, ...] = get_args(Kind)


class Drop(NamedTuple):
    """Why something was not kept: the stage that judged it, a short reason, and the particulars."""

    stage: str
    reason: str
    detail: str = ""


@dataclass(slots=True)
class Paragraph:
    """One block of running text and what is known of it. Readers fill the first six fields."""

    text: str
    kind: Kind = "body"
    path: str = ""
    section: str = ""
    #: Language that the source file declares for this very block (ISO 639-1), "" when it does not.
    declared_language: str = ""
    #: File the block was read from, "" for the article's own (set when a record and its full text join).
    file: str = ""
    language: str = ""
    language_score: float = 0.0
    words: int = 0
    ocr_noise: float = 0.0
    alpha_ratio: float = 0.0
    stopword_ratio: float = 0.0
    mean_word_length: float = 0.0
    repetition: float = 0.0
    drop: Drop | None = None

    def mark(self, stage: str, reason: str, detail: str = "") -> None:
        """Set the paragraph aside. The first mark stays: later steps skip what is marked."""
        if self.drop is None:
            self.drop = Drop(stage, reason, detail)


@dataclass(slots=True)
class Article:
    """One document of one source, with its paragraphs in reading order.

    Identifiers are normalised (see :mod:`corpuskit.identifiers`); "" and 0 mean "not given".
    """

    id: str
    source: str
    file: str
    record: int = 0
    #: "fulltext" or "record": a bibliographic record joins the full text of the same source.
    form: Literal["fulltext", "record"] = "fulltext"
    #: A full text whose options (such as HAL's domains) can only be judged on its record.
    needs_record: bool = False
    doi: str = ""
    pmid: str = ""
    pmcid: str = ""
    hal_id: str = ""
    ark: str = ""
    title: str = ""
    #: The title in other languages, used to recognise the same article elsewhere.
    other_titles: list[str] = field(default_factory=list)
    #: "Family, Given" in the order of the source.
    authors: list[str] = field(default_factory=list)
    year: int = 0
    journal: str = ""
    language: str = ""
    subjects: list[str] = field(default_factory=list)
    document_type: str = ""
    licence: str = ""
    url: str = ""
    paragraphs: list[Paragraph] = field(default_factory=list)
    #: What the format itself declares not to be prose (references, tables, formulas), counted by name.
    skipped: Counter[str] = field(default_factory=Counter)
    drop: Drop | None = None
    #: The words of the paragraphs, kept from step to step by :func:`corpuskit.clean.tokens.of`.
    tokens: Any = field(default=None, repr=False, compare=False)

    def mark(self, stage: str, reason: str, detail: str = "") -> None:
        """Set the whole article aside; the first mark stays."""
        if self.drop is None:
            self.drop = Drop(stage, reason, detail)

    def kept(self) -> Iterator[Paragraph]:
        """The paragraphs that no step has marked so far (none when the article is marked)."""
        if self.drop is None:
            for paragraph in self.paragraphs:
                if paragraph.drop is None:
                    yield paragraph

    @property
    def text(self) -> str:
        """The kept paragraphs, a blank line between two of them."""
        return "\n\n".join(paragraph.text for paragraph in self.kept())


@dataclass(slots=True)
class Quarantined:
    """Input that could not be read: where it is, what is wrong, what to do about it."""

    source: str
    file: str
    record: str
    error: str
    hint: str = ""


def _column(name: str, type: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, type, nullable=True, metadata={"description": description})


_STRING, _STRINGS = pa.string(), pa.list_(pa.string())

_SHARED = [
    _column("source", _STRING, "`istex`, `hal`, `pubmed`, `wikipedia`, `html`, or the user's own name"),
    _column("year", pa.int16(), "year of publication, null when not given"),
    _column("journal", _STRING, "journal, or book or conference title"),
    _column("document_type", _STRING, "the source's own type, such as `research-article` or `ART`"),
    _column("subjects", _STRINGS, "subject codes and keywords of the source, as `scheme:value` or a bare term"),
    _column("licence", _STRING, "SPDX id where the licence has one, else its URL or name; null when not stated"),
    _column("url", _STRING, "where the article can be read"),
]

ARTICLE_SCHEMA = pa.schema(
    [
        _column("id", _STRING, "stable id `source:native-id`, such as `hal:hal-01234567`"),
        _column("doi", _STRING, "lower case, without resolver"),
        _column("pmid", _STRING, "PubMed id, digits"),
        _column("pmcid", _STRING, "PubMed Central id, `PMC` and digits"),
        _column("hal_id", _STRING, "HAL id without version, such as `hal-01234567`"),
        _column("ark", _STRING, "ISTEX ARK, such as `ark:/67375/6H6-…`"),
        _column("title", _STRING, "title as the source gives it"),
        _column("authors", _STRINGS, "`Family, Given`, in order"),
        _column("language", _STRING, "declared language, ISO 639-1; null when not declared"),
        *_SHARED,
        _column("merged_ids", _STRINGS, "ids of the records of the same article that were joined into this one"),
        _column("file", _STRING, "input file under its source's path; `archive!/member` inside an archive"),
        _column("record", pa.int64(), "position of the record in its file, from 0"),
        _column("paragraphs", pa.int32(), "kept paragraphs"),
        _column("words", pa.int64(), "words of the kept paragraphs"),
        _column("cluster_id", _STRING, "id of its cluster of near-duplicates: its own, as it is the one that survives"),
        _column("cluster_size", pa.int32(), "articles in the cluster, 1 when it has no near-duplicate"),
    ]
)

PARAGRAPH_SCHEMA = pa.schema(
    [
        _column("id", _STRING, "`article_id#` and 12 hexadecimal digits of the text's BLAKE2b hash"),
        _column("article_id", _STRING, "`id` in the article table"),
        _column("order", pa.int32(), "place in the article as read, from 0 (gaps are dropped paragraphs)"),
        _column("text", pa.large_string(), "the cleaned text, one line"),
        _column("kind", _STRING, "one of " + ", ".join(f"`{kind}`" for kind in KINDS)),
        _column("section", _STRING, "title of the enclosing section"),
        _column("file", _STRING, "input file of this paragraph, as in the article table"),
        _column("path", _STRING, "place in the file's record: XML path, `char=start,end` (RFC 5147), or JSON pointer"),
        _column("language", _STRING, "identified language, ISO 639-1"),
        _column("language_score", pa.float32(), "confidence of the identification, 0 to 1"),
        _column("words", pa.int32(), "words (runs of letters and digits)"),
        _column("ocr_noise", pa.float32(), "0 clean to 1 noise"),
        _column("alpha_ratio", pa.float32(), "share of words that hold a letter"),
        _column("stopword_ratio", pa.float32(), "share of words that are French function words"),
        _column("mean_word_length", pa.float32(), "characters a word"),
        _column("repetition", pa.float32(), "share of characters inside repeated 5-grams of words"),
        _column("cluster_id", _STRING, "id of its cluster of equal and near-equal paragraphs: its own, as it survives"),
        _column("cluster_size", pa.int32(), "paragraphs in the cluster, 1 when there is no other"),
        *_SHARED,
    ]
)

DROPPED_SCHEMA = pa.schema(
    [
        _column("unit", _STRING, "`article` or `paragraph`"),
        _column("id", _STRING, "the id it would have had"),
        _column("article_id", _STRING, "the article it was read from"),
        _column("source", _STRING, "source it was read from"),
        _column("stage", _STRING, "step that judged it"),
        _column("reason", _STRING, "short name of the reason"),
        _column("detail", _STRING, "the particulars: a score, a limit, the id of the survivor"),
        _column("cluster_id", _STRING, "id of the equal or nearly equal text that survives; null for another reason"),
        _column("file", _STRING, "input file, as in the article table"),
        _column("path", _STRING, "place in the file's record"),
        _column("kind", _STRING, "kind of paragraph"),
        _column("language", _STRING, "identified language of a paragraph, declared language of an article"),
        _column("words", pa.int32(), "words of a paragraph"),
        _column("text", pa.large_string(), "the text of a paragraph, the title of an article"),
    ]
)
