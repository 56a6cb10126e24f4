"""Text extracted from a PDF, line by line as it was printed, put back into paragraphs.

What tells a paragraph's end is learnt from the document itself: lines that surely go on (the next
one starts in lower case) show how full a line is before it is broken; a line that ends a sentence
and had room for the next word ends a paragraph. Indents and blank lines count where the document
uses them so. No character is lost: each lies in a block, or in what is listed as removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from corpuskit.records import Kind
from corpuskit.sources.reflow import pages
from corpuskit.sources.reflow.flow import Flow


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph or what stands for one: its text on one line, and its span in the raw text.

    The span runs from the block's first character to its last. Where a running head, a caption or a
    footnote cuts a paragraph in two, the span covers it too.
    """

    kind: Kind
    text: str
    section: str
    start: int
    end: int


class Removed(NamedTuple):
    """Characters that are in no block: "running head", "page number", "copyright", "heading", "invisible"."""

    start: int
    end: int
    why: str


@dataclass(frozen=True, slots=True)
class Reflowed:
    """The blocks in the order of their first characters, and what was taken out."""

    blocks: list[Block]
    removed: list[Removed]


def reflow(text: str) -> Reflowed:
    """Find the paragraphs of a text extracted from a PDF.

    Every character that is not white space lies in a removed span or in a block; the smallest span
    that covers it is its own. Two blocks do not overlap, but a caption, a table, a note or an address
    that cuts a paragraph lies inside its span. Headings are removed: they are the blocks' ``section``.

    Args:
        text: with its line ends, form feeds and blank lines, in French or English.
    """
    lines, furniture = pages.without_furniture(pages.split(text))
    flow = Flow(lines)
    removed = [Removed(line.start, line.end, why) for line, why in furniture]
    removed += [Removed(line.start, line.end, "heading") for line in flow.headings]
    blocks = []
    for piece in flow.pieces:
        start, end = piece.lines[0].start, piece.lines[-1].end
        if piece.text:
            blocks.append(Block(piece.kind, piece.text, piece.section, start, end))
        else:
            removed.append(Removed(start, end, "invisible"))
    return Reflowed(sorted(blocks, key=lambda block: block.start), sorted(removed))
