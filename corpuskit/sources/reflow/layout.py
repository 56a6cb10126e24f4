"""How a document breaks its lines and sets its paragraphs apart, learnt from its own lines."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise

from corpuskit.sources.reflow import shapes
from corpuskit.sources.reflow.pages import Line

# A line's room is compared with that of so many sure lines around it: the width of columns changes.
_NEAR = 16
# What is taken for a full line where nothing tells.
_FULL_LINE = 90
_FIRST_WORD = re.compile(r"\S+")
_DEEPEST_INDENT = 15
_ALIKE = 0.97
# A line that is filled to less than this share is surely the last of its paragraph; less still, whatever marks say.
_SURELY = 0.85
_CLEARLY = 0.75


# The characters of printers' type by their width, about that of Times: what falls short of a digit's, and exceeds it.
_NARROW = " !'()*,-./:;I[]`fijlrt|\xa0\xadìíîï".encode("latin-1")
_MIDDLING = "?Jaceszàáâãäçèéêë".encode("latin-1")
_WIDE = "ABCDEFGHKLMNOPQRTUVWXYZmw%ÀÂÇÈÉÊËÎÏÔÙÛÜ".encode("latin-1")


def _typewritten(text: str) -> float:
    return len(text)


def _printed(text: str) -> float:
    plain = text.encode("latin-1", "replace")
    size = len(plain)
    narrow, middling, wide = (size - len(plain.translate(None, kind)) for kind in (_NARROW, _MIDDLING, _WIDE))
    return size - 0.42 * narrow - 0.12 * middling + 0.44 * wide


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
        self._measure, self._filled_inner = self._choose_measure()
        self._learn_marks()

    def _learn_marks(self) -> None:
        """Whether indents and blank lines mark paragraphs: they do where hardly any surely ends without."""
        indented = spaced = not_indented = not_spaced = 0
        for i, (line, following) in enumerate(pairwise(self._lines), 1):
            if following.page or not following.text[0].isupper() or not shapes.ends_sentence(line.text):
                continue
            sure = self.short(i, _SURELY)
            indent = self._is_indented(i)
            indented += indent
            spaced += following.gap
            not_indented += sure and not indent
            not_spaced += sure and not following.gap
        stray = sum(1 for i in self._inner if self._is_indented(i))
        #: Lines inside paragraphs are seldom indented, so that an indent means something.
        self.trusts_indents = stray * 10 <= len(self._inner)
        self.indents = self.trusts_indents and indented > 2 * not_indented
        self.spaces = not self.double_spaced and spaced > 2 * not_spaced

    def _is_indented(self, i: int) -> bool:
        return 0 < self._lines[i].indent <= _DEEPEST_INDENT

    def _choose_measure(self) -> tuple[Callable[[str], float], list[float]]:
        """Lines are filled alike in the measure that they were set by: that of a typewriter, or of printer's type."""
        best: tuple[float, Callable[[str], float], list[float]] | None = None
        for measure in (_typewritten, _printed):
            filled = [self._filled(i, measure) for i in self._inner]
            ordered = sorted(filled)
            evenness = ordered[len(ordered) // 20] / ordered[len(ordered) // 2] if ordered else 1.0
            if best is None or evenness > best[0]:
                best = evenness, measure, filled
        assert best is not None
        return best[1:]

    def _filled(self, i: int, measure: Callable[[str], float]) -> float:
        """The width that line i - 1 would have had with the first word of line i."""
        word = _FIRST_WORD.match(self._lines[i].text)
        return measure(f"{self._lines[i - 1].text} {word[0] if word else ''}")

    def _width(self, i: int) -> float:
        """What a line around line i has to be filled to before it is broken; 0 when nothing tells."""
        near = bisect_left(self._inner, i)
        around = sorted(self._filled_inner[max(0, near - _NEAR // 2) : near + _NEAR // 2])
        # A single line broken early, for a reason of its own, is no measure.
        return around[len(around) > 2 and around[0] < _ALIKE * around[1]] if around else 0

    def share(self, i: int, text: str) -> float:
        """How much of a full line around line i a text fills."""
        width = self._width(i)
        return self._measure(text) / width if width else len(text) / _FULL_LINE

    def short(self, i: int, share: float = 1.0) -> bool:
        """Whether line i - 1 had room for the first word of line i."""
        return self._filled(i, self._measure) < self._width(i) * share

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
        if self.unwrapped or (self.trusts_indents and self._is_indented(i)):
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
