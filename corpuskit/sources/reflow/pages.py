"""The lines of a text extracted from a PDF, and which of them are only furniture of the page.

Running heads and feet are told from text by what they are: lines that come back at the distance of
a page, that carry a growing number, that cut sentences, or that say what only a publisher says.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

#: Typographic ligatures (Unicode block FB00–FB06) by their compatibility decomposition.
LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})

# No page of a journal is shorter or longer than this, in lines that are not blank.
_PAGE_LINES = (15, 150)
_MAX_HEAD = 120

_LONE_NUMBER = re.compile(
    r"[-–—\[(|]?\s*(?:page|p\.)?\s*[eS]?(\d{1,4})(?:\s?(?:/|sur|of)\s?\d{1,4})?\s*[-–—\])|]?", re.IGNORECASE
)
_NUMBER_FIRST = re.compile(r"(\d{1,5})\s+\D")
_NUMBER_LAST = re.compile(r"\D\s+(\d{1,5})$")
_DIGITS = re.compile(r"\d+")
_LETTERS = re.compile(r"[^\W\d_]")
#: Lines that recur with a number of their own and are no running heads.
_NUMBERED_TEXT = re.compile(
    r"(?:obs(?:ervation)?|cas|patiente?|malade|fig(?:ure)?|tab(?:leau|le)?|photo|étape|groupe|phase|annexe|chapitre"
    r"|partie|question|stade|grade|type|niveau|case|step|group|part|section|stage|appendix)\b\.?\s*(?:clinique|n°)?\s*#"
)
_REFERENCES = re.compile(r"(?:\d{1,2}\.?\s+)?(?:références|references|bibliograph(?:ie|y))\b.{0,20}", re.IGNORECASE)

#: What only a publisher says: never a sentence of the article (not looked for among its references).
_PUBLISHER = (
    (re.compile(r"(?:©|\(c\)\s?\d{4}|copyright\b).{0,110}", re.IGNORECASE), "copyright"),
    (re.compile(r".{0,80}\b(?:tous droits réservés|all rights reserved|see front matter)\b.{0,40}", re.I), "copyright"),
    (re.compile(r"(?:publié par|published by) (?:elsevier|masson|springer).{0,60}", re.IGNORECASE), "copyright"),
    (re.compile(r"(?:document|article)? ?(?:téléchargé|downloaded from)\b.{0,110}", re.IGNORECASE), "running head"),
    (re.compile(r"(?:cet )?article (?:est )?disponible (?:en ligne )?sur\b.{0,90}", re.IGNORECASE), "running head"),
    (re.compile(r"(?:doi\s?:\s?|(?:https?://)?(?:dx\.)?doi\.org/)10\.\S{1,80}", re.IGNORECASE), "running head"),
    (
        # Presse Med 2003 ; 32 : 131-5
        re.compile(
            r"(?:\d{1,4}\s+)?[A-ZÀ-Ý][\w.’'& -]{2,60}?[,.]?\s(?:19|20)\d\d\s?[;,:]\s?\d{1,4}\s?(?:\([^)]{1,12}\)\s?)?"
            r"[:;,]\s?\w?\d{1,5}\s?[-–]\s?\w?\d{1,5}\.?(?:\s+\d{1,4})?"
        ),
        "running head",
    ),
    (re.compile(r"\d{1,4}\s+[A-ZÀ-Ý].{2,60}\bet (?:al|coll)\.?"), "running head"),
    (re.compile(r"[A-ZÀ-Ý].{2,60}\bet (?:al|coll)\.?\s+\d{1,4}"), "running head"),
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
    ligatures = re.search("[ﬀ-ﬆ]", text) is not None
    for raw in text.splitlines(keepends=True):
        content = raw.strip()
        if content:
            indent = raw.index(content)
            start = at + indent
            end = start + len(content)
            if indent and "\t" in raw[:indent]:
                indent = len(raw[:indent].expandtabs(4))
            lines.append(Line(start, end, content.translate(LIGATURES) if ligatures else content, indent, gap, page))
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


def _furniture(lines: Sequence[Line]) -> dict[int, str]:
    references = next((i for i, line in enumerate(lines) if _REFERENCES.fullmatch(line.text)), len(lines))
    found: dict[int, str] = {}
    recurring: dict[str, list[int]] = defaultdict(list)
    numbers: list[tuple[int, int]] = []
    for i, line in enumerate(lines):
        text = line.text
        if len(text) > _MAX_HEAD or (text[0].islower() and not text.startswith(("doi", "http", "page", "p.", "e"))):
            continue
        if number := _LONE_NUMBER.fullmatch(text):
            numbers.append((i, int(number[1])))
        elif i < references and (why := _said_by_publisher(text)):
            found[i] = why
        elif key := _key(text):
            recurring[key].append(i)
    recurring = {key: at for key, at in recurring.items() if len(at) > 1 and _a_page_apart(at)}
    edges = _page_edges(lines)
    for at in recurring.values():
        if edges.issuperset(at) or _grow_with_pages(lines, at) or _cut_sentences(lines, at):
            found |= dict.fromkeys(at, "running head")
    found |= dict.fromkeys(_page_numbers(lines, numbers), "page number")
    found |= {i: "page number" for i, _ in numbers if i in edges}
    _spread(found, {i for at in recurring.values() for i in at}, {i for i, _ in numbers})
    return found


def _said_by_publisher(text: str) -> str:
    return next((why for pattern, why in _PUBLISHER if pattern.fullmatch(text)), "")


def _key(text: str) -> str:
    """What two running heads of one article have in common; "" for what can be none."""
    if (text[-1] in ".;:,!?" and not text.endswith(("al.", "coll."))) or len(_LETTERS.findall(text)) < 4:
        return ""
    key = " ".join(_DIGITS.sub("#", text.casefold()).split())
    return "" if _NUMBERED_TEXT.match(key) else key


def _a_page_apart(at: Sequence[int]) -> bool:
    return all(second - first >= _PAGE_LINES[0] for first, second in pairwise(at))


def _page_edges(lines: Sequence[Line]) -> set[int]:
    """The first and last two lines of every page, where form feeds tell the pages."""
    starts = [i for i, line in enumerate(lines) if line.page]
    if not starts:
        return set()
    edges = {0, 1, len(lines) - 2, len(lines) - 1}
    for i in starts:
        edges.update((i - 2, i - 1, i, i + 1))
    return edges


def _grow_with_pages(lines: Sequence[Line], at: Sequence[int]) -> bool:
    """Whether every line carries a number at its edge that grows as page numbers do."""
    numbers = []
    for i in at:
        number = _NUMBER_FIRST.match(lines[i].text) or _NUMBER_LAST.search(lines[i].text[-8:])
        if not number:
            return False
        numbers.append((i, int(number[1])))
    return all(_next_page(first, second) for first, second in pairwise(numbers))


def _next_page(first: tuple[int, int], second: tuple[int, int]) -> bool:
    pages = second[1] - first[1]
    return 1 <= pages <= 6 and _PAGE_LINES[0] <= (second[0] - first[0]) / pages <= _PAGE_LINES[1]


def _cut_sentences(lines: Sequence[Line], at: Sequence[int]) -> bool:
    cuts = sum(_cuts_sentence(lines, i) for i in at)
    return cuts >= 2 or (cuts == 1 and len(at) >= 3)


def _cuts_sentence(lines: Sequence[Line], i: int) -> bool:
    """Whether the text before ends in the middle of a sentence that the text after goes on with."""
    if not 0 < i < len(lines) - 1:
        return False
    before, after = lines[i - 1].text[-1], lines[i + 1].text[0]
    return after.islower() and (before.isalpha() or before in ",-\u00ad")


def _page_numbers(lines: Sequence[Line], numbers: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Numbers alone on their lines that count pages: a chain of three, or of two where one cuts a sentence."""
    last: dict[int, int] = {}  # number → where it stood last, in `numbers`
    chained: dict[int, int] = {}
    length = [1] * len(numbers)
    for k, (i, number) in enumerate(numbers):
        for before in (number - 1, number - 2):
            j = last.get(before)
            if j is not None and _next_page(numbers[j], (i, number)):
                chained[k], length[k] = j, length[j] + 1
                break
        last[number] = k
    for k in reversed(range(len(numbers))):
        before = chained.get(k, -1)
        if before < 0:
            continue
        if length[k] >= 3 or _cuts_sentence(lines, numbers[k][0]) or _cuts_sentence(lines, numbers[before][0]):
            length[before] = max(length[before], 3)
            yield numbers[k][0]
            yield numbers[before][0]


def _spread(found: dict[int, str], recurring: set[int], numbers: set[int]) -> None:
    """Running heads have several lines: what recurs, or is a lone number, next to one is one too."""
    todo = list(found)
    while todo:
        i = todo.pop()
        for neighbour in (i - 1, i + 1):
            if neighbour in found:
                continue
            if neighbour in recurring:
                found[neighbour] = "running head"
                todo.append(neighbour)
            elif neighbour in numbers and found[i] != "page number":
                found[neighbour] = "page number"
