"""One walk over the lines of an article: which part of it they belong to, and which paragraph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from corpuskit.records import Kind
from corpuskit.sources.reflow import headings, shapes
from corpuskit.sources.reflow.headings import Zone
from corpuskit.sources.reflow.hyphenation import Hyphenation
from corpuskit.sources.reflow.layout import Layout
from corpuskit.sources.reflow.pages import Line

#: What prose is in each part of the article (in the front matter: until its text is known).
_PROSE: dict[Zone, Kind] = {
    "front": "body",
    "abstract": "abstract",
    "body": "body",
    "back": "back",
    "reference": "reference",
}
#: What may stand in the middle of a sentence, and what it may cut.
_FLOATS = frozenset({"caption", "table", "note", "front"})
_CUT = frozenset({"body", "abstract", "list", "back"})

_LONGEST_HEADING = 90
_HEADING_WORDS = 12
_LONGEST_TITLE = 250
_ABSTRACT_LINES = 60
_NOTE_LINES = 5


@dataclass(slots=True)
class Piece:
    """A block in the making. ``part`` is that of the front matter; ``at_bottom`` of a note that the page ends."""

    kind: Kind
    section: str
    zone: Zone
    part: str = ""
    at_bottom: bool = False
    lines: list[Line] = field(default_factory=list)
    text: str = ""


class Flow:
    """The lines put together: ``pieces``, and ``headings``, the lines that are titles of sections."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.pieces: list[Piece] = []
        self.headings: list[Line] = []
        self._lines = lines
        self._layout = Layout(lines)
        self._hyphenation = Hyphenation([line.text for line in lines])
        self._bottom = _lines_to_page_end(lines)
        self._zone: Zone = "front"
        self._section = ""
        self._open: Piece | None = None
        self._cut: Piece | None = None  # the paragraph that an open float has cut
        self._has_front = _has_front_matter(lines)
        self._has_title = False
        self._past_abstract = False
        self._last_reference = 0
        i = 0
        while i < len(lines):
            taken = self._heading(i)
            if not taken:
                self._take(i)
            i += taken or 1
        self._close()
        self._close_cut()

    # Headings

    def _heading(self, i: int) -> int:
        """Open a section when line i is a heading. Returns how many lines it has, 0 when it is none."""
        text = self._lines[i].text
        if len(text) > _LONGEST_HEADING or not (text[0].isupper() or text[0].isdigit()):
            return 0
        zone = headings.known(text)
        taken = self._looks_like_heading(i) if zone is None else int(self._accepts(i, zone))
        if not taken:
            return 0
        self._close()
        self._close_cut()
        zone = zone or "body"
        if not (zone == "body" and self._zone == "abstract" and self._abstract_goes_on(i)):
            self._zone = zone
        lines = self._lines[i : i + taken]
        self.headings += lines
        self._section = self._hyphenation.join(line.text for line in lines)
        self._last_reference = 0
        return taken

    def _accepts(self, i: int, zone: Zone) -> bool:
        """Whether a line with the words of a known heading is one here."""
        text = self._lines[i].text
        if self._zone == "front":
            return zone != "body" or self._has_title or not self._has_front or not shapes.is_rubric(text)
        if zone == "body" and self._in_table():
            return self._layout.blank(i)
        return self._ended(i) or (zone != "body" and self._layout.short(i, 0.75))

    def _looks_like_heading(self, i: int) -> int:
        """How many lines a heading of unknown words has: numbered, in capitals, or short between sentences."""
        text = self._lines[i].text
        if self._zone in ("front", "reference") or not self._ended(i) or text[-1] in ".,;:!…":
            return 0
        if len(shapes.words(text)) > _HEADING_WORDS or shapes.is_caption(text) or shapes.is_keywords(text):
            return 0
        if shapes.front_part(text) == "authors":
            return 0
        if shapes.is_row(text) or (self._in_table() and not self._layout.blank(i)):
            return 0
        number = headings.number(text)
        taken = 1 + self._has_second_line(i) if number or text.isupper() else 1
        if i + taken >= len(self._lines):
            return 0
        following = self._lines[i + taken].text
        if number:
            sibling = headings.number(following)
            is_list = sibling and sibling.count(".") == number.count(".")
            return 0 if following[0].islower() or is_list else taken
        if text.isupper():
            return 0 if following[0].islower() or len(text) < 5 else taken
        if text[-1] in "?)":
            return 0
        return int(text[0].isupper() and self._stands_out(i) and following[0].isupper())

    def _stands_out(self, i: int) -> bool:
        """Whether line i is short, the next one long, and blank lines are where the document has them."""
        if (self._layout.spaces or self._layout.unwrapped) and not (self._lines[i].gap or self._lines[i].page):
            return False
        line, following = self._lines[i].text, self._lines[i + 1].text
        return self._layout.share(i, line) <= 0.75 and self._layout.share(i, following) >= 0.7

    def _has_second_line(self, i: int) -> bool:
        """Whether the heading on line i goes on on the next one."""
        if i + 2 >= len(self._lines):
            return False
        line, second, third = self._lines[i : i + 3]
        if second.gap or second.page or second.text[-1] in ".,;:" or len(second.text) > _LONGEST_HEADING:
            return False
        if line.text.isupper():
            return second.text.isupper() and headings.known(second.text) is None
        short = self._layout.share(i, second.text) <= 0.6
        return second.text[0].islower() and short and third.text[0].isupper()

    def _abstract_goes_on(self, i: int) -> bool:
        """Whether a heading inside the abstract is one of its own: its keywords or its translation come later."""
        for line in self._lines[i + 1 : i + _ABSTRACT_LINES]:
            text = line.text
            if text[0].isupper() and (shapes.is_keywords(text) or headings.known(text) == "abstract"):
                return True
        return False

    def _ended(self, i: int) -> bool:
        """Whether what stands before line i is complete, so that a heading, a list or a table may start."""
        block, before = self._open, self._lines[i - 1].text
        if block is None or block.kind in ("table", "caption", "front") or shapes.ends_sentence(before):
            return True
        return self._layout.blank(i) and not shapes.breaks_off(before)

    def _in_table(self) -> bool:
        return self._open is not None and self._open.kind == "table"

    # Lines of text

    def _take(self, i: int) -> None:
        if self._resumes(i):
            self._close()
            self._open, self._cut = self._cut, None
        elif kind := self._special(i):
            if not (kind == "table" and self._in_table()):
                self._begin(i, kind)
        elif self._breaks(i):
            self._begin(i, None)
        assert self._open is not None
        self._open.lines.append(self._lines[i])

    def _begin(self, i: int, kind: Kind | None) -> None:
        """Open a block on line i: of prose when ``kind`` is None. A float puts the sentence it cuts by."""
        block, text = self._open, self._lines[i].text
        cuts = kind in _FLOATS and block is not None and block.kind in _CUT and block.zone != "front"
        if cuts and block and not shapes.ends_sentence(block.lines[-1].text):
            self._close_cut()
            self._cut, self._open = block, None
        else:
            self._close()
            if kind not in _FLOATS:
                self._close_cut()
        if kind is None:
            self._enter(text)
        self._open = Piece(kind or _PROSE[self._zone], self._section, self._zone)
        if kind == "front":
            self._open.part = "keywords" if shapes.is_keywords(text) else shapes.front_part(text)
            if self._open.part == "keywords" and self._zone == "abstract":
                self._zone, self._section, self._past_abstract = "front", "", True
        elif kind == "note":
            self._open.at_bottom = self._bottom[i] < _NOTE_LINES

    def _enter(self, text: str) -> None:
        """Follow a heading that stands on the line of its text: "Résumé. – …", "Remerciements : …"."""
        label = headings.run_in(text) if text[0].isupper() else None
        if label and (label.zone != "body" or self._zone in ("front", "body")):
            self._zone, self._section = label.zone, label.text

    def _resumes(self, i: int) -> bool:
        """Whether line i goes on with the paragraph that a float has cut."""
        if self._cut is None or self._open is None:
            return False
        line, before = self._lines[i], self._lines[i - 1].text
        if not (self._layout.blank(i) or line.page or shapes.ends_sentence(before) or self._in_table()):
            return False
        if self._open.at_bottom and not line.page:
            return False
        if line.text[0].islower():
            return True
        return shapes.breaks_off(self._cut.lines[-1].text) and not self._special(i)

    def _breaks(self, i: int) -> bool:
        """Whether line i, which nothing marks, starts a block."""
        block = self._open
        if block is None:
            return True
        line, before = self._lines[i], self._lines[i - 1].text
        if self._zone == "reference" and block.kind == "reference":
            return False
        if block.kind == "table":
            return not self._goes_on_with_table(i)
        if block.at_bottom:
            return line.page
        if block.kind in ("caption", "front") or self._is_untold(block):
            return self._ends_label(i, block)
        if self._layout.breaks(i):
            return True
        label = headings.run_in(line.text) if line.text[0].isupper() and shapes.ends_sentence(before) else None
        return label is not None and label.zone in ("abstract", "back")

    def _is_untold(self, block: Piece) -> bool:
        """Whether a block of the front matter may still be the title as well as prose."""
        return block.zone == "front" and block.kind == "body" and len(block.lines) < 5

    def _ends_label(self, i: int, block: Piece) -> bool:
        """Whether a caption, a title or another part of the front matter ends before line i."""
        line, before = self._lines[i], self._lines[i - 1].text
        if len(block.lines) == 1 and (shapes.is_keywords_label(before) or shapes.is_bare_caption(before)):
            return False
        if self._layout.blank(i) or shapes.ends_sentence(before):
            return self._layout.breaks(i)
        if line.text[0].islower() or shapes.breaks_off(before):
            return False
        if block.kind == "body" and not self._has_title:
            return False  # the lines of a title are as short as they are
        return line.page or self._layout.unwrapped or self._layout.short(i, 0.9)

    def _goes_on_with_table(self, i: int) -> bool:
        """Whether a line that is no row belongs to the table: a label, between rows."""
        line = self._lines[i]
        if self._layout.blank(i) or shapes.ends_sentence(line.text):
            return False
        rows = any(shapes.is_row(near.text) for near in self._lines[i + 1 : i + 3])
        return rows and self._layout.share(i, line.text) <= 0.6

    # What a line is by its looks, where it may be so

    def _special(self, i: int) -> Kind | None:
        """The kind of block that line i opens by its looks, None for running text."""
        text = self._lines[i].text
        if self._zone == "reference" and self._starts_reference(i):
            return "reference"
        if text[0].islower():
            if self._zone == "front" and shapes.is_contact(text):
                return "front"
            return "list" if text[1:2] == ")" and self._may_list(i) and shapes.is_list_item(text) else None
        if shapes.is_caption(text) and not self._points_there(i):
            return "caption"
        if self._zone == "reference":
            return None
        if shapes.is_keywords(text) or self._is_front(i):
            return "front"
        if self._is_note(i):
            return "note"
        if self._zone == "front" and self._has_front:
            return None
        if (not text[0].isalpha() or text[1:2] == ")") and self._may_list(i) and shapes.is_list_item(text):
            return "list"
        return "table" if self._is_table(i) else None

    def _points_there(self, i: int) -> bool:
        """Whether the sentence before leads to the "Figure 1" that starts line i."""
        line = self._lines[i]
        return not line.gap and not line.page and self._open is not None and shapes.breaks_off(self._lines[i - 1].text)

    def _is_front(self, i: int) -> bool:
        text, block = self._lines[i].text, self._open
        if self._zone != "front":
            return self._is_signature(i)
        part = shapes.front_part(text)
        if block is not None and block.part and not self._layout.blank(i):
            before = self._lines[i - 1].text
            if block.part == part and shapes.breaks_off(before):
                return False  # the list of authors goes on
            if part == "place" and block.part in ("affiliation", "contact") and not shapes.ends_sentence(before):
                return False  # so does the address
        return bool(part) and self._has_front

    def _is_signature(self, i: int) -> bool:
        """Whether line i tells authors or their addresses outside of the front matter: below a letter or a page."""
        text, block = self._lines[i].text, self._open
        part = shapes.front_part(text)
        if part == "contact":
            return "@" in text or ":" in text[:40] or self._bottom[i] < _NOTE_LINES
        signed = block is not None and block.part in ("authors", "affiliation")
        return (part == "authors" and self._ended(i)) or (part in ("affiliation", "place") and signed)

    def _is_note(self, i: int) -> bool:
        """A footnote at the bottom of a page, or the legend of a table."""
        text = self._lines[i].text
        if self._in_table():
            return shapes.is_legend(text) and not shapes.is_row(text)
        if self._bottom[i] >= _NOTE_LINES or not shapes.is_footnote(text):
            return False
        block = self._open
        return block is None or block.kind != "list" or block.lines[0].text[0] != text[0]

    def _may_list(self, i: int) -> bool:
        before = self._lines[i - 1].text
        return self._ended(i) or before[-1] in ":;" or (self._open is not None and self._open.kind == "list")

    def _is_table(self, i: int) -> bool:
        """A row, or the head of the columns under the caption of a table."""
        block, text = self._open, self._lines[i].text
        if shapes.is_row(text):
            return self._ended(i)
        if block is None or block.kind != "caption" or not shapes.is_table_caption(block.lines[0].text):
            return False
        if len(block.lines) == 1 and shapes.is_bare_caption(block.lines[0].text):
            return False  # its title
        if shapes.ends_sentence(text) or self._layout.share(i, text) > 0.9:
            return False
        return any(shapes.is_row(line.text) for line in self._lines[i + 1 : i + 4])

    def _starts_reference(self, i: int) -> bool:
        """Whether line i opens the next reference: by its number, or else by an author's name or its indent."""
        line, before = self._lines[i], self._lines[i - 1]
        number, bracketed = shapes.reference_number(line.text)
        last = self._last_reference
        if number and (number == last + 1 or bracketed or (last < number <= last + 3 and _closes_reference(before))):
            self._last_reference = number
            return True
        if self._open is None or self._open.kind != "reference":
            return not shapes.is_caption(line.text)
        if last or line.text[0].islower():
            return False
        if self._layout.blank(i) or self._layout.unwrapped:
            return True
        if not line.page and line.indent < before.indent:
            return _closes_reference(before)
        return _closes_reference(before) and shapes.opens_with_author(line.text)

    # Closing

    def _close(self) -> None:
        if self._open is not None:
            self._finish(self._open)
            self._open = None

    def _close_cut(self) -> None:
        if self._cut is not None:
            self._finish(self._cut)
            self._cut = None

    def _finish(self, piece: Piece) -> None:
        piece.text = self._hyphenation.join(line.text for line in piece.lines)
        if piece.zone == "front" and piece.kind == "body":
            piece.kind = self._told_kind(piece.text)
        self.pieces.append(piece)

    def _told_kind(self, text: str) -> Kind:
        """What a block of the front matter turns out to be: title, prose (which ends the front matter), or front."""
        sentence = shapes.ends_sentence(text)
        prose = shapes.is_prose(text) and (sentence or len(text) > _LONGEST_TITLE)
        if prose or (sentence and (self._past_abstract or not self._has_front)):
            return self._end_front("body")
        if self._has_title or len(text) > _LONGEST_TITLE or len(shapes.words(text)) < 2:
            return "front" if self._has_front else self._end_front("body")
        self._has_title = True
        return "title" if self._has_front else self._end_front("title")

    def _end_front(self, kind: Kind) -> Kind:
        if self._zone == "front":
            self._zone = "body"
        return kind


def _closes_reference(line: Line) -> bool:
    return line.text[-1] in ".)" or line.text[-1].isdigit()


def _has_front_matter(lines: Sequence[Line]) -> bool:
    """Whether a text begins with authors, addresses or an abstract, and not at once with its body."""
    for line in lines[:_ABSTRACT_LINES]:
        text = line.text
        if not text[0].islower() and (
            shapes.front_part(text) or shapes.is_keywords(text) or headings.known(text) == "abstract"
        ):
            return True
    return False


def _lines_to_page_end(lines: Sequence[Line]) -> list[int]:
    """For every line, how many follow it on its page (as many as there are, on the last page)."""
    distances = [len(lines)] * len(lines)
    distance = len(lines)
    for i in reversed(range(len(lines) - 1)):
        distance = 0 if lines[i + 1].page else distance + 1
        distances[i] = distance
    return distances
