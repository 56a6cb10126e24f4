"""The lines of a text extracted from a PDF, and which of them are only furniture of the page.

Running heads and feet are told from text by what they are: lines that come back at the distance of
a page, that carry a growing number, that cut sentences, or that say what only a publisher says.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise

#: Typographic ligatures (Unicode block FB00–FB06) by their compatibility decomposition.
LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}

# No page of a journal is shorter or longer than this, in lines that are not blank.
_PAGE_LINES = (15, 150)
_MAX_HEAD = 120
_FIRST_LINES = 12
# Running heads may alternate between two or more forms.
_MOST_PAGES = 6
# How a running head begins that does not begin with a capital or a figure.
_LOWER_CASE = ("doi", "http", "page", "p.")

_LONE_NUMBER = re.compile(
    r"[-–—\[(|]?\s*(?:page|p\.)?\s*[eS]?(\d{1,4})(?:\s?(?:/|sur|of)\s?\d{1,4})?\s*[-–—\])|]?", re.IGNORECASE
)
_NUMBER_FIRST = re.compile(r"(\d{1,5})\s+\D")
_NUMBER_LAST = re.compile(r"\s(\d{1,5})$")
_DIGITS = re.compile(r"\d+")
_NO_WORD = re.compile(r"[^\w#]+")
_FOUR_LETTERS = re.compile(r"(?:[^\W\d_][\W\d_]*){4}")
#: Lines that recur with a number of their own and are no running heads.
_NUMBERED_TEXT = re.compile(
    r"(?:obs(?:ervation)?|cas|patiente?|malade|fig(?:ure)?|tab(?:leau|le)?|photo|étape|groupe|phase|annexe|chapitre"
    r"|partie|question|stade|grade|type|niveau|case|step|group|part|section|stage|appendix)\b\s*(?:clinique|n)?\s*#"
)
_REFERENCES = re.compile(r"(?:\d{1,2}\.?\s+)?(?:références|references|bibliograph(?:ie|y))\b.{0,20}", re.IGNORECASE)

_YEAR, _VOLUME, _PAGES = r"(?:19|20)\d\d", r"\d{1,4}\s?(?:\([^)]{1,12}\))?", r"\w?\d{1,5}\s?[-–]\s?\w?\d{1,5}"
_NAMES = r"[A-ZÀ-Ý][\w.'’-]*(?:,? (?:[A-ZÀ-Ý][\w.'’-]*|de|du|le|la|van|von|der)){0,5},?"
#: What only a publisher says: never a sentence of the article (not looked for among its references).
_PUBLISHER = (
    (re.compile(r"(?:©|\(c\)\s?\d{4}|copyright\b).*", re.IGNORECASE), "copyright"),
    (re.compile(r".*\b(?:tous droits réservés|all rights reserved|see front matter)\b.*", re.IGNORECASE), "copyright"),
    (re.compile(r"(?:publié par|published by) (?:elsevier|masson|springer).*", re.IGNORECASE), "copyright"),
    (re.compile(r"(?:document|article)? ?(?:téléchargé|downloaded from)\b.*", re.IGNORECASE), "running head"),
    (re.compile(r"(?:cet )?article (?:est )?disponible (?:en ligne )?sur\b.*", re.IGNORECASE), "running head"),
    (re.compile(r"(?:doi\s?:\s?|(?:https?://)?(?:dx\.)?doi\.org/)10\.\S{1,80}", re.IGNORECASE), "running head"),
    (
        # Presse Med 2003 ; 32 : 131-5, Annales de réanimation 22 (2003) 131–136, Réanimation (2011) 20:131-136
        re.compile(
            r"(?:\d{1,4}\s+)?[A-ZÀ-Ý][\w.’'& -]{2,70}?[,.]?\s"
            rf"(?:{_YEAR}\s?[;,:]\s?{_VOLUME}\s?[:;,]|{_VOLUME}\s\({_YEAR}\)|\({_YEAR}\)\s{_VOLUME}\s?:)"
            rf"\s?{_PAGES}\.?(?:\s+\d{{1,4}})?"
        ),
        "running head",
    ),
    (re.compile(rf"\d{{1,4}}\s+{_NAMES} et (?:al|coll)\.?(?: / .*)?"), "running head"),
    (re.compile(rf"{_NAMES} et (?:al|coll)\.?(?: / .*)?\s+\d{{1,4}}"), "running head"),
)


@dataclass(slots=True)
class Line:
    """A line that is not blank: its characters in the raw text, and what lies between it and the line before."""

    start: int
    end: int
    text: str
    indent: int
    gap: bool
    page: bool


def split(text: str) -> list[Line]:
    """The lines that are not blank. A form feed makes the next one the first of a page."""
    lines = []
    at, gap, page = 0, False, False
    ligatures = [ligature for ligature in LIGATURES if ligature in text]
    for raw in text.splitlines(keepends=True):
        content = raw.strip()
        if content:
            indent = raw.index(content)
            start = at + indent
            end = start + len(content)
            if indent and "\t" in raw[:indent]:
                indent = len(raw[:indent].expandtabs(4))
            for ligature in ligatures:
                content = content.replace(ligature, LIGATURES[ligature])
            lines.append(Line(start, end, content, indent, gap, page))
            gap = page = False
        elif "\f" not in raw:
            gap = True
        if "\f" in raw:
            page = True
        at += len(raw)
    return lines


def without_furniture(lines: Sequence[Line]) -> tuple[list[Line], list[tuple[Line, str]]]:
    """Take running heads, running feet and page numbers out.

    Returns:
        The lines that stay, ``page`` set on those that furniture precedes and ``indent`` made relative
        to their page; and the lines taken out, each with the reason.
    """
    found = _furniture(lines)
    kept: list[Line] = []
    page = gap = False
    for i, line in enumerate(lines):
        page, gap = page or line.page, gap or line.gap
        if i in found:
            page = True
        else:
            line.page, line.gap = page, gap
            kept.append(line)
            page = gap = False
    _outdent(kept)
    return kept, [(lines[i], found[i]) for i in sorted(found)]


def _outdent(lines: Sequence[Line]) -> None:
    """Measure indentation from each page's own margin: odd and even pages often differ."""
    first = 0
    for i in range(1, len(lines) + 1):
        if i == len(lines) or lines[i].page:
            page = lines[first:i]
            margin = Counter(line.indent for line in page).most_common(1)[0][0]
            for line in page:
                line.indent -= margin
            first = i


@dataclass(slots=True)
class _Candidates:
    """Lines that may be furniture, by their position among the lines."""

    #: What a publisher says, with the name of it.
    said: dict[int, str] = field(default_factory=dict)
    #: Numbers alone on their lines.
    lone: dict[int, int] = field(default_factory=dict)
    #: The number that a line starts or ends with.
    numbered: dict[int, int] = field(default_factory=dict)
    #: Lines alike but for their numbers, a page from each other.
    recurring: list[list[int]] = field(default_factory=list)


def _furniture(lines: Sequence[Line]) -> dict[int, str]:
    candidates = _candidates(lines)
    edges = _page_edges(lines)
    found = dict(candidates.said)
    heads = {i for i in candidates.numbered if _set_apart_in_sentence(lines, i)}
    for at in candidates.recurring:
        if edges.issuperset(at) or _grow_with_pages(at, candidates.numbered) or _cut_sentences(lines, at):
            heads.update(at)
    at_edges = {i: n for i, n in (candidates.lone | candidates.numbered).items() if i in edges}
    heads.update(_chained(lines, at_edges), _chained(lines, candidates.lone), edges & candidates.lone.keys())
    heads.update(_linked(lines, candidates.numbered, heads | found.keys()))
    for i in heads:
        found.setdefault(i, "page number" if i in candidates.lone else "running head")
    _spread(found, candidates)
    return found


def _candidates(lines: Sequence[Line]) -> _Candidates:
    found = _Candidates()
    alike: dict[str, list[int]] = defaultdict(list)
    said: set[str] = set()
    references = False
    for i, line in enumerate(lines):
        text = line.text
        if len(text) > _MAX_HEAD or (text[0].islower() and not text.startswith(_LOWER_CASE)):
            continue
        references = references or _REFERENCES.fullmatch(text) is not None
        if lone := _LONE_NUMBER.fullmatch(text):
            found.lone[i] = int(lone[1])
            continue
        if (why := _said_by_publisher(text)) and (not references or text in said):
            found.said[i] = why
            said.add(text)
        elif key := _key(text):
            alike[key].append(i)
        else:
            continue
        number = _NUMBER_FIRST.match(text) or _NUMBER_LAST.search(text[-8:])
        if number:
            found.numbered[i] = int(number[1])
    for at in alike.values():
        # What stands on the first page without a page number is the title or the authors themselves.
        at = [i for i in at if i >= _FIRST_LINES or i in found.numbered]
        if len(at) > 1 and _a_page_apart(at):
            found.recurring.append(at)
    return found


def _said_by_publisher(text: str) -> str:
    return next((why for pattern, why in _PUBLISHER if pattern.fullmatch(text)), "")


def _key(text: str) -> str:
    """What two running heads of one article have in common; "" for what can be none."""
    if text[-1] in ".;:,!?" and not text.endswith(("al.", "coll.")):
        return ""
    key = _NO_WORD.sub(" ", _DIGITS.sub("#", text.lower())).strip()
    return "" if _NUMBERED_TEXT.match(key) or not _FOUR_LETTERS.search(key) else key


def _a_page_apart(at: Sequence[int]) -> bool:
    """Whether lines are as far from each other as pages are long; the last page may be short."""
    return all(second - first >= _PAGE_LINES[0] for first, second in pairwise(at[:-1])) and at[-1] - at[-2] >= 3


def _page_edges(lines: Sequence[Line]) -> set[int]:
    """The first and last two lines of every page, where form feeds tell the pages."""
    starts = [i for i, line in enumerate(lines) if line.page]
    if not starts:
        return set()
    edges = {0, 1, len(lines) - 2, len(lines) - 1}
    for i in starts:
        edges.update((i - 2, i - 1, i, i + 1))
    return edges


def _grow_with_pages(at: Sequence[int], numbered: Mapping[int, int]) -> bool:
    """Whether every line carries a number at its edge that grows as page numbers do; the last page may be short."""
    if not all(i in numbered for i in at):
        return False
    *pages, last = [(i, numbered[i]) for i in at]
    return all(_next_page(*pair) for pair in pairwise(pages)) and 1 <= last[1] - pages[-1][1] <= _MOST_PAGES


def _next_page(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Whether two numbered lines lie as many pages apart as their numbers say."""
    pages = second[1] - first[1]
    return 1 <= pages <= _MOST_PAGES and _PAGE_LINES[0] <= (second[0] - first[0]) / pages <= _PAGE_LINES[1]


def _linked(lines: Sequence[Line], numbered: Mapping[int, int], found: Set[int]) -> Iterator[int]:
    """Numbered lines set apart from the text, a page before or after a running head by their number."""
    heads = {numbered[i]: (i, numbered[i]) for i in found if i in numbered}
    for i, number in numbered.items():
        apart = lines[i].gap or lines[i].page or (i + 1 < len(lines) and (lines[i + 1].gap or lines[i + 1].page))
        # "1 Introduction" is numbered too.
        if i in found or not apart or (number < 20 and lines[i].text[0].isdigit()):
            continue
        before = (heads[near] for near in (number - 1, number - 2) if near in heads)
        after = (heads[near] for near in (number + 1, number + 2) if near in heads)
        if any(_next_page(head, (i, number)) for head in before) or any(
            _next_page((i, number), head) for head in after
        ):
            yield i


def _cut_sentences(lines: Sequence[Line], at: Sequence[int]) -> bool:
    cuts = sum(_cuts_sentence(lines, i) for i in at)
    return cuts >= 2 or (cuts == 1 and len(at) >= 3)


def _set_apart_in_sentence(lines: Sequence[Line], i: int) -> bool:
    """Whether a numbered line in the middle of a sentence is shorter than its neighbours, a blank line beside it."""
    if not _cuts_sentence(lines, i) or not (lines[i].gap or lines[i + 1].gap):
        return False
    return len(lines[i].text) <= 0.85 * max(len(lines[i - 1].text), len(lines[i + 1].text))


def _cuts_sentence(lines: Sequence[Line], i: int) -> bool:
    """Whether the text before ends in the middle of a sentence that the text after goes on with."""
    if not 0 < i < len(lines) - 1:
        return False
    before, after = lines[i - 1].text[-1], lines[i + 1].text[0]
    return after.islower() and (before.isalnum() or before in ",-\u00ad(")


def _chained(lines: Sequence[Line], numbered: Mapping[int, int]) -> Iterator[int]:
    """Of numbered lines those that count pages: a chain of three, or of two where one cuts a sentence."""
    last: dict[int, int] = {}  # number → the line where it stood last
    previous: dict[int, int] = {}
    length: dict[int, int] = {}
    for i, number in numbered.items():
        length[i] = 1
        for before in (number - 1, number - 2):
            if before in last and _next_page((last[before], before), (i, number)):
                previous[i] = last[before]
                length[i] += length[last[before]]
                break
        last[number] = i
    for i in reversed(previous):
        before = previous[i]
        if length[i] >= 3 or _cuts_sentence(lines, before) or _cuts_sentence(lines, i):
            length[before] = 3  # what leads to the end of a chain is of it
            yield i
            yield before


def _spread(found: dict[int, str], candidates: _Candidates) -> None:
    """Running heads have several lines: what recurs, or is a lone number, next to one is one too."""
    recurring = {i for at in candidates.recurring for i in at}
    todo = list(found)
    while todo:
        i = todo.pop()
        for neighbour in (i - 1, i + 1):
            if neighbour in found:
                continue
            if neighbour in recurring:
                found[neighbour] = "running head"
                todo.append(neighbour)
            elif neighbour in candidates.lone and found[i] != "page number":
                found[neighbour] = "page number"
