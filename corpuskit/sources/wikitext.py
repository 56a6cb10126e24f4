"""Wikitext to paragraphs.

One linear scan finds what is not prose (templates, tables, references, images, formulas) and blanks
it out without moving anything, so that every paragraph keeps its place in the page. Lines become
paragraphs, list items and headings; mwparserfromhell then reads the markup inside a paragraph, where
there is more of it than links and emphasis. See https://www.mediawiki.org/wiki/Wikitext.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import mwparserfromhell
from mwparserfromhell import nodes, wikicode
from mwparserfromhell.nodes.extras import Parameter

from corpuskit.records import Kind, Paragraph
from corpuskit.sources import wikitemplates
from corpuskit.sources.typography import superscript

#: Stands where something was taken out. XML cannot hold this character, so no page does.
_HOLE = "\x02"

#: A longer paragraph with templates or tags is not handed to the parser.
MAX_PARAGRAPH = 200_000
_MAX_LINKS = 5_000
#: MediaWiki expands templates no deeper than this either.
_MAX_DEPTH = 40

# Every alternative starts with a plain character: the search is several times as fast that way.
_TOKEN = re.compile(
    r"\[\[(?:[^\[\]{}<:|\n]*(?:\|[^\[\]{}<\n]*)?\]\])?"  # an opening, or a plain link, which is passed over
    r"|\]\]|\{\{|\}\}|\{\||\|\}(?!\})|<!--|<(/?[A-Za-z]+)\b([^<>]*)>|__[A-ZÀÈÉ]{3,}__"
)
_OPENS = {"{{", "[[", "{|", "<table>"}
_CLOSES = {"}}": "{{", "]]": "[[", "|}": "{|", "</table>": "<table>"}

# Elements whose content is not wikitext: what they are counted as, "" where the content is text.
_ELEMENTS = {
    "ref": "reference",
    "references": "reference",
    "math": "formula",
    "chem": "formula",
    "ce": "formula",
    "gallery": "gallery",
    "imagemap": "image",
    "timeline": "image",
    "graph": "image",
    "mapframe": "image",
    "maplink": "image",
    "score": "image",
    "hiero": "image",
    "syntaxhighlight": "code",
    "source": "code",
    "templatedata": "code",
    "templatestyles": "code",
    "includeonly": "template",
    "nowiki": "",
    "pre": "",
}
_DOUBLED = re.compile(r"\[\[|\]\]|\{\{|\}\}|''+")

_MEDIA = re.compile(
    r"\[\[\s*(?:(?:fichier|file|image|média|media)\s*:"
    r"|[^\[\]|:\n]{2,20}:[^\[\]|\n]{1,250}\.(?:jpe?g|png|svg|gif|tiff?|webp|web[mp]|og[gav]|pdf|djvu)\s*[|\]])",
    re.IGNORECASE,
)
# Catégorie, Category, Categoria, Kategorie …
_CATEGORY = re.compile(r"\[\[\s*[ck]at[eéè]g[oòóô]r\w*\s*:", re.IGNORECASE)
_OTHER_LANGUAGE = re.compile(r"\[\[\s*[a-z]{2,3}(?:-[a-z]+)*\s*:[^\[\]|\n]*\]\]")
_TEMPLATE_NAME = re.compile(r"[^|{}\[\]<\n]{0,100}")
# An opening that nothing closes costs its own line and the cells below it, not the rest of the page.
_UNCLOSED = re.compile(r"[^\n]*(?:\n[ \t]*[|!][^\n]*)*")

_LINE_END = re.compile(r"[ \t]*\n")
_HEADING = re.compile(r"(={1,6})(.+?)\1")
_RULE = re.compile(r"-{4,}")
_LIST = "*#;:"
_EDGE = " \t\r\u00a0" + _HOLE
_QUOTATION = re.compile(r"<blockquote|\{\{\s*(?:citation bloc|bloc citation|quote|blockquote|cquote)\b", re.IGNORECASE)

# Sections that a reader of prose skips, and what their entries are counted as.
_SECTIONS = {
    "reference": (
        "références", "référence", "notes et références", "notes", "note", "références et notes", "sources", "source",
        "notes et sources", "sources et références", "références bibliographiques", "bibliographie", "bibliographies",
        "bibliographie sélective", "bibliographie indicative", "orientation bibliographique", "ouvrages de référence",
        "ouvrages", "notices", "publications", "références externes", "notes bibliographiques",
        "references", "footnotes", "citations", "bibliography", "further reading", "notes and references",
        "works cited", "selected bibliography", "nòtas", "nòtas e referéncias", "referéncias",
    ),
    "navigation": (
        "voir aussi", "liens externes", "lien externe", "articles connexes", "article connexe", "annexes", "annexe",
        "liens internes", "lien interne", "liens", "pour en savoir plus", "pour approfondir", "compléments",
        "lectures complémentaires", "filmographie", "galerie", "iconographie", "autres projets", "liens et documents",
        "external links", "external link", "see also", "gallery", "other websites", "ligams extèrnes", "vejatz tanben",
    ),
}  # fmt: skip
SKIPPED_SECTIONS = {title: reason for reason, titles in _SECTIONS.items() for title in titles}

_LINK = re.compile(r"\[\[[ :]*([^\[\]|]*)(?:\|([^\[\]]*))?\]\]")
_EXTERNAL_LINK = re.compile(r"\[(?:(?:https?|ftp):|mailto:|(?=//))[^\s\[\]<>\"]*(?:[ \t]+([^\[\]\n]*))?\]")
_EMPHASIS = re.compile(r"('{2,})")
_RAISED = re.compile(r"<sup\b[^<>]*>([^<>]*)</sup\s*>", re.IGNORECASE)
# Tags that separate words, and those that do not.
_APART = re.compile(
    r"</?(?:blockquote|br|center|caption|d[dlt]|div|h[1-6r]|li|[ou]l|p|poem|t[dhrt]|table|tbody)\b[^<>]*>",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"</?(?:abbr|b|bdi|big|cite|code|del|em|font|i|ins|kbd|mark|noinclude|nowiki|onlyinclude|pre|q|ref|references|s"
    r"|samp|section|small|span|strike|strong|su[bp]|time|u|var)\b[^<>]*>",
    re.IGNORECASE,
)
_RESIDUE = re.compile(r"\[\[|\]\]|\{\{+|\}\}+|\{\||\|\}|'{2,}|\|")
# What a hole leaves around it, in text with single spaces: doubled spaces, empty brackets, lone commas.
_MENDED = tuple(
    (re.compile(pattern.replace("H", _HOLE)), replacement)
    for pattern, replacement in (
        (r"H(?: ?H)*", _HOLE),
        (r" ?[(\[][ ,;:]*H[ ,;:H]*[)\]]", _HOLE),
        (r"\( ?(?:H ?[,;] ?)+", "("),
        (r" ?[,;] ?H ?(?=[.,;)\]]|$)", ""),
        (r" ?H ?(?=[.,)\]…])", ""),
        (r"H", ""),
    )
)
_WORD = re.compile(r"\w")


class _Span(NamedTuple):
    """A part of the page that is blanked out, and what it is counted as ("" is not counted)."""

    start: int
    end: int
    name: str


class _Block(NamedTuple):
    """A heading, paragraph, list item, or the stray cell of a table that is none."""

    kind: str
    start: int
    end: int


def paragraphs(wikitext: str, skipped: Counter[str]) -> Iterator[Paragraph]:
    """The paragraphs and list items of a page, in order.

    Args:
        wikitext: the source of the page, character references of XML already resolved.
        skipped: counts what is no prose: "template", "table", "reference", "image", "formula", "gallery",
            "code", "navigation", and "markup" for what was opened and never closed.

    Yields:
        Paragraphs with ``path`` ``char=start,end``, positions in ``wikitext`` from 0 (RFC 5147). Lines
        with no empty one between them are one paragraph, as MediaWiki shows them.

    Raises:
        ValueError: a paragraph with templates or tags is longer than ``MAX_PARAGRAPH``.
    """
    blanked = _blank(wikitext, skipped)
    section, skipping, skipping_level = "", "", 0
    for kind, start, end in _blocks(blanked):
        source = blanked[start:end]
        if kind == "heading" and (heading := _HEADING.fullmatch(source)):
            section, level = _inline(heading[2], start), len(heading[1])
            if skipping and level <= skipping_level:
                skipping = ""
            if reason := SKIPPED_SECTIONS.get(section.lower().rstrip(" :.")):
                skipping, skipping_level = reason, min(level, skipping_level) if skipping else level
        elif skipping:
            skipped[skipping] += 1
        elif kind == "cell":
            skipped["table"] += 1
        else:
            text = _inline(source.lstrip(_LIST + _EDGE) if kind == "list" else source, start)
            if _WORD.search(text):
                yield Paragraph(text, _kind(kind, source), f"char={start},{end}", section)


def _kind(block: str, source: str) -> Kind:
    if block == "list":
        return "list"
    return "quote" if _QUOTATION.match(source) else "body"


def _blank(wikitext: str, skipped: Counter[str]) -> str:
    """The page with everything that is not prose overwritten by holes, every position unchanged."""
    spans, joined = _spans(wikitext)
    for span in spans:
        if span.name:
            skipped[span.name] += 1
    blanked = _overwrite(wikitext, spans, lambda text: _HOLE * len(text))
    return _overwrite(blanked, joined, lambda text: text.replace("\n", " "))


def _overwrite(text: str, spans: list[_Span], by: Callable[[str], str]) -> str:
    pieces: list[str] = []
    at = 0
    for start, end, _ in spans:
        pieces += text[at:start], by(text[start:end])
        at = end
    return "".join(pieces) + text[at:]


def _spans(wikitext: str) -> tuple[list[_Span], list[_Span]]:
    """What to overwrite, in order, none inside another; and the templates of prose that go over a line end."""
    spans: list[_Span] = []
    joined: list[_Span] = []
    opened: list[tuple[str, int]] = []
    waiting: Counter[str] = Counter()  # how many of each kind are open: a stray end costs no search
    unclosed: list[tuple[str, int]] = []
    endless: set[str] = set()
    position = 0
    while token := _TOKEN.search(wikitext, position):
        start, position = token.span()
        mark = _mark(token)
        if mark in _OPENS:
            opened.append((mark, start))
            waiting[mark] += 1
        elif (opening := _CLOSES.get(mark, "")) and waiting[opening]:
            while (last := opened.pop())[0] != opening:
                unclosed.append(last)
                waiting[last[0]] -= 1
            waiting[opening] -= 1
            start = last[1]
            name = _counted_as(wikitext, opening, start, position, len(opened))
            if name is not None:
                _cover(spans, _Span(start, position, name))
            elif opening == "{{" and "\n" in wikitext[start:position]:
                _cover(joined, _Span(start, position, ""))
        elif mark == "<!--":
            start, position = _comment(wikitext, start, endless)
            _cover(spans, _Span(start, position, ""))
        elif mark == "__":
            _cover(spans, _Span(start, position, ""))
        elif mark in _ELEMENTS:
            if not token[2].endswith("/"):
                position = _end_of(mark, wikitext, position, endless)
            if name := _ELEMENTS[mark]:
                _cover(spans, _Span(start, position, name))
            else:
                spans += [_Span(*found.span(), "") for found in _DOUBLED.finditer(wikitext, start, position)]
    if unclosed or opened:
        spans = _merge(spans, [_broken(wikitext, mark, start) for mark, start in unclosed + opened])
    return spans, joined


def _mark(token: re.Match[str]) -> str:
    """What a token opens or closes: a bracket, ``<table>``, the name of another element, "" for nothing."""
    text = token[0]
    if name := token[1]:
        name = name.lower()
        return f"<{name}>" if name in ("table", "/table") else name
    if text[0] == "[":
        return text if len(text) == 2 else ""
    if text in ("{|", "|}"):
        return text if _starts_line(token.string, token.start()) else ""
    return text[:2] if text[0] == "_" else text


def _starts_line(wikitext: str, position: int, blanks: str = " \t:*#") -> bool:
    """Whether nothing but blanks (and list marks) is before the position in its line."""
    before = wikitext[max(0, position - 80) : position].rpartition("\n")
    return not before[2].strip(blanks) and (bool(before[1]) or position <= 80)


def _cover(spans: list[_Span], span: _Span) -> None:
    """Append a span, which takes the place of those inside it."""
    while spans and spans[-1].start > span.start:
        spans.pop()
    spans.append(span)


def _merge(spans: list[_Span], broken: list[_Span]) -> list[_Span]:
    """Both kinds in order, those that overlap as one."""
    merged: list[_Span] = []
    for span in sorted(spans + broken):
        if merged and span.start < merged[-1].end:
            merged[-1] = merged[-1]._replace(end=max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _counted_as(wikitext: str, opening: str, start: int, end: int, depth: int) -> str | None:
    """What a closed construct is counted as; None when it is part of the prose."""
    if opening == "{{":
        prose = depth < _MAX_DEPTH and wikitemplates.shown(_template_name(wikitext, start, end))
        return None if prose else "template"
    if opening == "[[":
        if _MEDIA.match(wikitext, start, end):
            return "image"
        if _CATEGORY.match(wikitext, start, end):
            return ""  # the reader has them as subjects
        return "navigation" if _OTHER_LANGUAGE.match(wikitext, start, end) else None
    return "table"


def _template_name(wikitext: str, start: int, end: int) -> str:
    found = _TEMPLATE_NAME.match(wikitext, start + 2, end)
    return found[0].strip() if found else ""


def _comment(wikitext: str, start: int, endless: set[str]) -> tuple[int, int]:
    """From where to where a comment goes; one on a line of its own takes the line with it."""
    end = -1 if "<!--" in endless else wikitext.find("-->", start + 4)
    if end < 0:
        endless.add("<!--")
        return start, start + 4
    end += 3
    rest = _LINE_END.match(wikitext, end)
    return (start, rest.end()) if rest and _starts_line(wikitext, start, " \t") else (start, end)


def _end_of(element: str, wikitext: str, position: int, endless: set[str]) -> int:
    """Where an element ends; right after its start tag if nothing closes it."""
    found = None if element in endless else re.compile(rf"</{element}\s*>", re.IGNORECASE).search(wikitext, position)
    if found:
        return found.end()
    endless.add(element)
    return position


def _broken(wikitext: str, mark: str, start: int) -> _Span:
    """What an opening that nothing closes costs: a block its line and the cells below, one in a sentence itself."""
    end = start + 2
    if mark == "[[":
        block = bool(_MEDIA.match(wikitext, start))
    elif mark == "{{":
        name = _template_name(wikitext, start, len(wikitext))
        end += len(name)
        block = _starts_line(wikitext, start) and not wikitemplates.shown(name)
    else:
        block = True
    cells = _UNCLOSED.match(wikitext, start) if block else None
    return _Span(start, cells.end() if cells else end, "markup")


def _blocks(blanked: str) -> Iterator[_Block]:
    """The page's lines, put together to paragraphs."""
    position = 0
    paragraph: _Block | None = None
    for line in blanked.split("\n"):
        content = line.lstrip(_EDGE)
        start = position + len(line) - len(content)
        position += len(line) + 1
        content = content.rstrip(_EDGE)
        block = _Block(_line_kind(content), start, start + len(content))
        if block.kind == "body":
            paragraph = paragraph._replace(end=block.end) if paragraph else block
            continue
        if paragraph:
            yield paragraph
            paragraph = None
        if block.kind:
            yield block
    if paragraph:
        yield paragraph


def _line_kind(content: str) -> str:
    """What a line is; "" for an empty one."""
    if not content or _RULE.fullmatch(content):
        return ""
    first = content[0]
    if first == "=" and _HEADING.fullmatch(content):
        return "heading"
    if first in _LIST:
        return "list"
    return "cell" if first == "|" else "body"


def _inline(source: str, start: int) -> str:
    """The text that a piece of wikitext shows, in one line."""
    text = "\n".join(map(_without_emphasis, source.split("\n"))) if "''" in source else source
    if "<" in text:
        text = _RAISED.sub(lambda raised: superscript(raised[1]), text)
        text = _TAG.sub("", _APART.sub(" ", text))
    if "{{" not in text:
        text = _EXTERNAL_LINK.sub(lambda link: link[1] or _HOLE, _LINK.sub(lambda link: link[2] or link[1], text))
    if "{{" in text or "[[" in text:
        if len(text) > MAX_PARAGRAPH or text.count("[[") > _MAX_LINKS:
            raise ValueError(f"the paragraph at character {start:,} has {len(text):,} characters and markup: too long")
        text = _shown(mwparserfromhell.parse(text, skip_style_tags=True))
    if _HOLE in text:
        text = " ".join(text.split())
        for pattern, replacement in _MENDED:
            text = pattern.sub(replacement, text)
    text = _RESIDUE.sub(lambda found: " " if found[0] == "|" else "", text)
    if text.count("{") != text.count("}"):
        text = text.replace("{", "").replace("}", "")
    if "&" in text:
        text = html.unescape(text)
    return " ".join(text.split())


def _without_emphasis(line: str) -> str:
    """A line without bold and italics; an apostrophe before italics (``l'''Iliade''``) stays.

    The rule is ``doQuotes`` of https://www.mediawiki.org/wiki/Parser.
    """
    parts = _EMPHASIS.split(line)
    italic = bold = 0
    for at in range(1, len(parts), 2):
        length = len(parts[at])
        if length == 4 or length > 5:
            parts[at - 1] += "'" * (length - (3 if length == 4 else 5))
            length = 3 if length == 4 else 5
        parts[at] = "'" * length
        italic += length in (2, 5)
        bold += length in (3, 5)
    if italic % 2 and bold % 2 and (candidates := [at for at in range(1, len(parts), 2) if len(parts[at]) == 3]):
        at = min(candidates, key=lambda at: (_elision_rank(parts[at - 1]), at))
        parts[at - 1] += "'"
    return "".join(parts[::2])


def _elision_rank(before: str) -> int:
    """How little three apostrophes after this text look like an apostrophe and italics."""
    if before[-1:] == " ":
        return 2
    return 0 if before[-2:-1] in (" ", "") else 1


def _argument(parameter: Parameter) -> tuple[str, str]:
    """Name and value; MediaWiki keeps the white space of a value without name."""
    name, value = str(parameter.name).strip(), _shown(parameter.value)
    return name, value.strip() if parameter.showkey else value


def _shown(code: wikicode.Wikicode) -> str:
    return "".join([_show(node) for node in code.nodes])


def _show(node: nodes.Node) -> str:
    """The text that a node shows; a hole where it shows none."""
    if isinstance(node, nodes.Text):
        return str(node.value)
    if isinstance(node, nodes.Wikilink):
        return (_shown(node.text) if node.text else "") or _shown(node.title).lstrip(" :")
    if isinstance(node, nodes.Template):
        show = wikitemplates.shown(str(node.name))
        given = dict(map(_argument, node.params)) if show else {}
        return (show and show(wikitemplates.arguments(given))) or _HOLE
    if isinstance(node, nodes.Tag):
        return _shown(node.contents) if node.contents else _HOLE
    if isinstance(node, nodes.ExternalLink):
        if node.brackets:
            return _shown(node.title) if node.title else _HOLE
        return _shown(node.url)
    return str(node) if isinstance(node, nodes.HTMLEntity) else _HOLE
