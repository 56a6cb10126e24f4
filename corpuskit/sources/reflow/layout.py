"""How a document breaks its lines and sets its paragraphs apart, learnt from its own lines."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from corpuskit.sources.reflow import shapes
from corpuskit.sources.reflow.pages import Line

# A line's room is compared with that of so many sure lines around it: the width of columns changes.
_NEAR = 16
_FIRST_WORD = re.compile(r"\S+")
_DEEPEST_INDENT = 15
#: A line that is so much shorter than the others is short whatever else the document does.
_CLEARLY = 0.75


class Layout:
    """Judges whether a paragraph of running text ends between two lines of a document.

    A line "surely goes on" when it ends with a letter or a comma and the next one starts in lower
    case. What its length would have been with the next word is more than the width that was to be
    filled; the least of these values nearby is the measure of :meth:`short`.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        inner: list[int] = []
        spaced_inner: list[int] = []
        ends = 0
        for i, (line, following) in enumerate(pairwise(lines), 1):
            if following.page:
                continue
            if following.text[0].islower():
                if len(line.text) >= 20 and (line.text[-1].isalpha() or line.text[-1] == ","):
                    (spaced_inner if following.gap else inner).append(i)
            elif line.text[-1] in ".!?»)":
                ends += 1
        #: Blank lines between all lines say nothing.
        self.double_spaced = len(spaced_inner) >= 5 and len(spaced_inner) > 3 * len(inner)
        self._inner = spaced_inner if self.double_spaced else inner
        #: No line is broken: each is a paragraph.
        self.unwrapped = not self._inner or len(self._inner) * 4 < ends
        self._filled_inner = [self._filled(i) for i in self._inner]
        self._learn_marks()

    def _learn_marks(self) -> None:
        """Whether indents and blank lines mark paragraphs, by the places where one surely ends."""
        sure = indented = spaced = 0
        for i, (line, following) in enumerate(pairwise(self._lines), 1):
            if following.page or not following.text[0].isupper():
                continue
            if self.short(i, 0.85) and shapes.ends_sentence(line.text):
                sure += 1
                indented += 0 < following.indent <= _DEEPEST_INDENT
                spaced += following.gap
        stray = sum(1 for i in self._inner if 0 < self._lines[i].indent <= _DEEPEST_INDENT)
        #: Lines inside paragraphs are seldom indented, so that an indent means something.
        self.trusts_indents = stray * 10 <= len(self._inner)
        self.indents = self.trusts_indents and sure >= 2 and indented >= 0.7 * sure
        self.spaces = not self.double_spaced and sure >= 2 and spaced >= 0.7 * sure

    def _filled(self, i: int) -> int:
        """The length that line i - 1 would have had with the first word of line i."""
        word = _FIRST_WORD.match(self._lines[i].text)
        return len(self._lines[i - 1].text) + 1 + (word.end() if word else 0)

    def width(self, i: int) -> int:
        """What a line around line i has to be filled to before it is broken; 0 when nothing tells."""
        near = bisect_left(self._inner, i)
        around = sorted(self._filled_inner[max(0, near - _NEAR // 2) : near + _NEAR // 2])
        return around[min(1, len(around) - 1)] if around else 0

    def short(self, i: int, share: float = 1.0) -> bool:
        """Whether line i - 1 had room for the first word of line i."""
        return self._filled(i) < self.width(i) * share

    def blank(self, i: int) -> bool:
        """Whether a blank line that means something precedes line i."""
        line = self._lines[i]
        return line.gap and not line.page and not self.double_spaced

    def breaks(self, i: int) -> bool:
        """Whether a paragraph ends between lines i - 1 and i."""
        line, following = self._lines[i - 1], self._lines[i]
        lower = following.text[0].islower()
        if shapes.cuts_word(line.text) and (lower or following.text[0].isalpha()):
            return self.unwrapped and self.blank(i)
        if not shapes.ends_sentence(line.text):
            return self._breaks_off(i, lower)
        if lower or self.blank(i):
            return self.blank(i)
        if self.unwrapped or (self.trusts_indents and 0 < following.indent <= _DEEPEST_INDENT):
            return True
        marked = self.indents or (self.spaces and not following.page)
        return self.short(i, _CLEARLY if marked else 1.0)

    def _breaks_off(self, i: int, lower: bool) -> bool:
        """The same, where line i - 1 ends no sentence."""
        line, following = self._lines[i - 1], self._lines[i]
        if self.blank(i):
            return self.unwrapped or line.text[-1] in ":;" or not (lower or shapes.breaks_off(line.text))
        if lower or following.page:
            return False
        return self.unwrapped or (following.text[0].isupper() and self.short(i, 0.6))
