"""Text as its author wrote it: mojibake, entities, ligatures, control and invisible characters mended.

The work is done by ftfy (Speer 2019, https://doi.org/10.5281/zenodo.2591652), which reads 1 to 2 MB
a second while nearly all text needs none of it. :func:`needs_ftfy` is an exact screen: what it lets
through, ftfy would return unchanged.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import ftfy
from ftfy.badness import BADNESS_RE
from ftfy.chardata import CONTROL_CHARS, HTML_ENTITY_RE, LIGATURES, UTF8_DETECTOR_RE, WIDTH_MAP
from pydantic import Field

from corpuskit.records import Article, Paragraph
from corpuskit.steps import ArticleStep, StepOptions

#: What is left of a paragraph that is too long to be one.
EXCERPT = 1_000

# Typographic quotes and apostrophes stay as written; NFC is the form that tokenizers are trained on.
_FTFY = ftfy.TextFixerConfig(unescape_html=True, uncurl_quotes=False, normalization="NFC")
_TAG = re.compile(r"<[/!?A-Za-z]")


def _one_of(characters: Iterable[int]) -> str:
    return "[" + re.escape("".join(map(chr, sorted(characters)))) + "]"


#: Characters that ftfy replaces wherever they stand: line breaks, escapes, C1 controls and surrogates,
#: and those of its own tables.
_BREAKS = {0x0D, 0x1B, *range(0x80, 0xA0), 0x2028, 0x2029, *range(0xD800, 0xE000)}
_FTFYS = {*_BREAKS, *LIGATURES, *WIDTH_MAP, *CONTROL_CHARS}
_REPLACED = re.compile(_one_of(_FTFYS))
#: Every sequence in ftfy's BADNESS_RE holds one of these; an apostrophe begins none of them. One set of
#: characters at the front is what the regular expression engine finds fastest.
_SPOT = re.compile(r"[^\x00-\x7F’](?:[^\x00-\x7F]|(?<=[ÂÃŒœ])[^A-Za-z])")
#: No sequence in BADNESS_RE is longer than this.
_REACH = 8
#: An accented letter that is certainly one: no text with it can be decoded as UTF-8
#: as a whole (each of ftfy's encodings has a byte for it that stands alone).
_ACCENT = re.compile(r"[A-Za-z][^\x00-\x7F\uFFFD][A-Za-z]")

#: Zero-width and directional characters and byte order marks go, hyphens that forbid or offer a break
#: are hyphens, and a C1 control that ftfy found no meaning for is a character lost.
_SUBSTITUTES: dict[int, str | None] = {
    **dict.fromkeys([0x034F, 0x061C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F)]),
    **dict.fromkeys(range(0x2060, 0x2070)),
    0x2010: "-",
    0x2011: "-",
    **dict.fromkeys(range(0x80, 0xA0), "\N{REPLACEMENT CHARACTER}"),
}
_SOFT_HYPHEN = re.compile(r"(?<=\d)\xAD(?=\d)")
_OURS = re.compile(_one_of({*_SUBSTITUTES, 0xAD}))
#: All of these; and the same with white space other than spaces.
_ODD = re.compile(_one_of({*_FTFYS, *_SUBSTITUTES, 0xAD}))
_SPACES = {code for code in range(0x3001) if chr(code).isspace()} - {0x20}
_UNEVEN = re.compile(_one_of({*_FTFYS, *_SUBSTITUTES, 0xAD, *_SPACES}))

#: What no decoding explains: replacement characters and private use (symbol fonts).
_UNDECODABLE = re.compile(r"[\uFFFD\uE000-\uF8FF\U000F0000-\U0010FFFF]")


def needs_ftfy(text: str) -> bool:
    """Whether ftfy might change the text; exact where it says no, a few false alarms where it says yes."""
    return bool(_REPLACED.search(text)) or _needs_ftfy(text, _looks_bad(text))


def _needs_ftfy(text: str, bad: bool) -> bool:
    """The same for text without characters that ftfy always replaces, which looks bad or does not."""
    return (
        bool("&" in text and HTML_ENTITY_RE.search(text))
        or not unicodedata.is_normalized("NFC", text)
        or (bad and _is_decodable(text))
    )


def _looks_bad(text: str) -> bool:
    """Whether ftfy would take the text, or a line of it, for mojibake."""
    return not text.isascii() and any(
        BADNESS_RE.search(text, max(0, spot.start() - _REACH), spot.end() + _REACH)
        or (text[spot.start()] in "ÂÃ" and text[spot.start() + 1].isspace())  # bad at the start of a line
        for spot in _SPOT.finditer(text)
    )


def _is_decodable(text: str) -> bool:
    """Whether ftfy might find something to decode: all of the text, or what reads as UTF-8 inside it."""
    in_pieces = "\n" in text or len(text) > _FTFY.max_decode_length
    return in_pieces or not _ACCENT.search(text) or bool(UTF8_DETECTOR_RE.search(text))


def mend(text: str) -> str:
    """Undo what encodings and typesetting did to running text, and put it on one line.

    Mojibake is decoded, HTML entities are unescaped (unless tags show that the text is HTML source),
    ligatures become letters (œ and æ are letters already), full-width forms plain ones. Control,
    zero-width and directional characters go; so do soft hyphens, but between digits they are hyphens.
    All white space becomes single spaces. The result is in NFC and mending it again changes nothing.
    """
    while True:
        uneven, bad = _UNEVEN.search(text) is not None, _looks_bad(text)
        if (uneven and _ODD.search(text)) or _needs_ftfy(text, bad):
            mended = _mend_once(text)
            if mended == text:
                return text
            text = mended
        elif uneven and (bad or "Ã" in text or "Â" in text):
            # With spaces for other white space ftfy may take it otherwise.
            text = " ".join(text.split())
        else:  # as nearly everywhere
            text = text.strip(" ")
            return " ".join(text.split()) if uneven or "  " in text else text


def _mend_once(text: str) -> str:
    if needs_ftfy(text):
        text = ftfy.fix_text(text, _FTFY._replace(unescape_html=not _TAG.search(text)))
    if _OURS.search(text):
        text = _SOFT_HYPHEN.sub("-", text).replace("\xad", "").translate(_SUBSTITUTES)
    return " ".join(text.split())


class EncodingOptions(StepOptions):
    """What no mending can save."""

    max_characters: int = Field(1_000_000, gt=0, description="a longer paragraph is set aside unread")
    unreadable_share: float = Field(
        0.01, ge=0, le=1, description="share of undecodable characters from which a paragraph is set aside"
    )
    unreadable_count: int = Field(3, ge=1, description="fewer undecodable characters than this are let pass")


class EncodingStep(ArticleStep):
    """Mends the text of paragraphs, of section titles and of the article's own title, authors and journal."""

    name = "Encoding"
    stage = "encoding"
    Options = EncodingOptions

    def process(self, article: Article) -> None:
        article.title = mend(article.title)
        article.other_titles = [mend(title) for title in article.other_titles]
        article.authors = [mend(author) for author in article.authors]
        article.journal = mend(article.journal)
        for paragraph in article.kept():
            paragraph.section = _mend_section(paragraph.section)
            self._process(paragraph)

    def _process(self, paragraph: Paragraph) -> None:
        text = paragraph.text
        if len(text) > self.options.max_characters:
            detail = f"{len(text):,} characters, over {self.options.max_characters:,}; the first {EXCERPT:,} are shown"
            paragraph.mark(self.stage, "too_long", detail)
            paragraph.text = mend(text[:EXCERPT])
            return
        paragraph.text = mend(text)
        if paragraph.text != text and paragraph.text != " ".join(text.split()):
            self.stat_update("mended")
        if not paragraph.text:
            paragraph.mark(self.stage, "empty")
            return
        suspect = "\ufffd" in paragraph.text or not paragraph.text.isprintable()  # private use is not
        undecodable = len(_UNDECODABLE.findall(paragraph.text)) if suspect else 0
        enough = max(self.options.unreadable_count, self.options.unreadable_share * len(paragraph.text))
        if undecodable >= enough:
            detail = f"{undecodable:,} of {len(paragraph.text):,} characters are undecodable"
            paragraph.mark(self.stage, "unreadable", detail)


@lru_cache(maxsize=1_024)
def _mend_section(title: str) -> str:
    # One title stands over many paragraphs.
    return mend(title)
