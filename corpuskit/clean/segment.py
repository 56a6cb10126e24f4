"""Paragraphs: found in plain text by their blank lines, and cut where they are too long to be one."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import replace
from math import ceil

from corpuskit.records import Article, Paragraph

MAX_CHARACTERS = 6_000
#: Text of this length without a paragraph is no text: it stays whole, for the encoding step to set aside.
UNREASONABLE = 1_000_000

_LINE_BREAK = r"(?:\r\n?+|\n)"
_BLANK_LINE = re.compile(rf"{_LINE_BREAK}[^\S\r\n]*{_LINE_BREAK}\s*")

_CLOSING = "»”’\"')] "
# White space between what may end a sentence and what may begin one; Python looks at the rest.
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?…»”’\"')\]])\s+(?=(?:[«“‘\"'(\[]\s?|[-–—•]\s)*[A-ZÀ-ÖØ-ÞŒŸ0-9])")
_LAST_WORD = re.compile(r"[^\s('’«\[/]*$")
_SPACE = re.compile(r"\s+")
_SPAN = re.compile(r"(.*;)?char=(\d+),(\d+)", re.DOTALL)

#: Words that a full stop shortens, before a capital or a number as often as not.
_ABBREVIATION = re.compile(
    r"""
    al|apr|art|av|bibl|boul|ca|cf|chap|chir|coll|d[ée]pt|dir|doc|drs?|[eé]ds?|env|etc|ex|exp|figs?|gén|hab|hosp|ibid|
    janv|févr|juil|sept|oct|nov|déc|mgr|mlles?|mm|mmes?|max|min|nos?|obs|op|pp|prs?|prof|réfs?|resp|sect|spp?|ste?|
    suppl?|tabl?|tél|univ|vol|vs|
    [^\W\d_]  # initials
    """,
    re.VERBOSE,
)


def blocks(text: str) -> Iterator[tuple[int, int]]:
    """The spans of the paragraphs of a plain text, trimmed; blank lines (of nothing or of white space) part them."""
    start = 0
    for gap in _BLANK_LINE.finditer(text):
        yield from _trimmed(text, start, gap.start())
        start = gap.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    block = text[start:end]
    if inner := block.strip():
        start += len(block) - len(block.lstrip())
        yield start, start + len(inner)


def split_long(article: Article, max_characters: int = MAX_CHARACTERS) -> None:
    """Cut the kept paragraphs that are longer than ``max_characters`` into pieces of about one size.

    A piece says where it is: its span is added to the path of the paragraph, ``…/p[3];char=0,5210``. Where
    the path is itself a span of the raw text, character by character, the piece has its own.
    """
    if article.drop is None and any(len(paragraph.text) > max_characters for paragraph in article.paragraphs):
        article.paragraphs = [piece for whole in article.paragraphs for piece in _pieces(whole, max_characters)]


def _pieces(paragraph: Paragraph, limit: int) -> list[Paragraph]:
    if paragraph.drop is not None or not limit < len(paragraph.text) <= UNREASONABLE:
        return [paragraph]
    return [
        replace(paragraph, text=paragraph.text[start:end], path=_path(paragraph, start, end))
        for start, end in cuts(paragraph.text, limit)
    ]


def _path(paragraph: Paragraph, start: int, end: int) -> str:
    span = _SPAN.fullmatch(paragraph.path)
    # A span of another length is one of text that has changed since: there is nothing to count from.
    if span and int(span[3]) - int(span[2]) == len(paragraph.text):
        return f"{span[1] or ''}char={int(span[2]) + start},{int(span[2]) + end}"
    return f"{paragraph.path};char={start},{end}"


def cuts(text: str, limit: int) -> list[tuple[int, int]]:
    """The spans of balanced pieces of a text, none longer than ``limit``, white space between two of them.

    A piece ends with a sentence where one ends near, else with a word; only a word longer than the limit
    is itself cut.
    """
    ends = list(sentence_ends(text))
    spans = []
    start = 0
    while len(text) - start > limit:
        size = ceil((len(text) - start) / ceil((len(text) - start) / limit))
        ideal = start + size
        least, most = start + size // 2, start + min(limit, size * 3 // 2)
        nearby = ends[bisect.bisect_left(ends, least) : bisect.bisect_right(ends, most)]
        nearby = nearby or [start + space.start() for space in _SPACE.finditer(text[start : start + limit + 1])]
        end = min((end for end in nearby if end > start), key=lambda end: abs(end - ideal), default=ideal)
        spans.append((start, end))
        following = _SPACE.match(text, end)
        start = following.end() if following else end
    if start < len(text):
        spans.append((start, len(text)))
    return spans


def sentence_ends(text: str) -> Iterator[int]:
    """Where the sentences of a French text end, but for the last; in doubt (an abbreviation) they go on."""
    for gap in _BETWEEN_SENTENCES.finditer(text):
        before = text[max(0, gap.start() - 40) : gap.start()].rstrip(_CLOSING)
        if before.endswith(("!", "?", "…")) or (before.endswith(".") and not _is_shortened(before[:-1])):
            yield gap.start()


def _is_shortened(before: str) -> bool:
    """Whether the full stop after this text belongs to its last word: "Dr", "J.-C", "2" of a numbered list."""
    found = _LAST_WORD.search(before)
    word = found[0].lower() if found else ""
    if word.isdigit():
        return len(word) <= 2
    return bool(_ABBREVIATION.fullmatch(re.split(r"[.-]", word)[-1]))
