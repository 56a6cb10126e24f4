"""Reflow: paragraphs recovered whole from the printed form of a text.

Two measurements. ``data/reflow`` holds French articles written for the purpose, as a PDF extractor
gives them (``NAME.raw.txt``) and as they should come out (``NAME.gold.jsonl``, a paragraph a line). And
real French case reports are broken into lines by machine, hyphenated, under running heads, in three
layouts, and put together again.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from figures import Figure

from corpuskit.sources.reflow import Block, reflow

GOLD = Path(__file__).parent / "data" / "reflow"
APART = ("front", "title", "caption", "table", "note", "list", "back", "reference")
WIDTH = 70
PAGE = 45
REPORTS = 300


def measure(real_data: Path) -> list[Figure]:
    """The figures of both measurements."""
    return [*_gold(), *_robustness(real_data)]


def _gold() -> Iterator[Figure]:
    """Share of the gold paragraphs found with their very text, by kind; of running text with its section too."""
    wanted: list[tuple[dict[str, str], Block | None]] = []
    for path in sorted(GOLD.glob("*.gold.jsonl")):
        raw = path.with_name(path.name.replace(".gold.jsonl", ".raw.txt")).read_text("utf-8")
        found = {block.text: block for block in reflow(raw).blocks}
        gold = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        wanted += [(paragraph, found.get(paragraph["text"])) for paragraph in gold]
    running = [(gold, block) for gold, block in wanted if gold["kind"] in ("body", "abstract")]
    whole = [block is not None and block.kind == gold["kind"] for gold, block in running]
    yield Figure("reflow: paragraphs recovered whole", _share(whole), 1.0, f"{len(whole)} of body and abstract")
    sections = [block is not None and block.section == gold["section"] for gold, block in running]
    yield Figure("reflow: in their section", _share(sections), 1.0)
    for kind in APART:
        apart = [block is not None and block.kind == kind for gold, block in wanted if gold["kind"] == kind]
        yield Figure(f"reflow: {kind} set apart", _share(apart), 0.95, f"{len(apart)} blocks")


def _robustness(real_data: Path) -> Iterator[Figure]:
    """Share of the paragraphs of real case reports that come back whole, by layout."""
    reports = []
    with (real_data / "e3c_ccby" / "pamj_fr.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            paragraphs = [" ".join(part.split()) for part in json.loads(line)["text"].split("\n")]
            paragraphs = [part for part in paragraphs if len(part) >= 200 and part[-1] == "." and part[0].isupper()]
            if len(paragraphs) >= 2:
                reports.append(paragraphs)
    reports = reports[:REPORTS]
    for layout, (before, indent, at_least) in LAYOUTS.items():
        whole: list[bool] = []
        for number, paragraphs in enumerate(reports):
            found = {block.text for block in reflow(_print(paragraphs, before, indent, random.Random(number))).blocks}
            whole += [paragraph in found for paragraph in paragraphs]
        yield Figure(f"reflow: real paragraphs, {layout}", _share(whole), at_least, f"{len(whole)} paragraphs")
    told = [end for number, report in enumerate(reports) for end in _ends_told(report, random.Random(number))]
    yield Figure("reflow: the same, told by their line ends", _share(told), None, "most that no mark can give")


def _ends_told(paragraphs: list[str], chance: random.Random) -> Iterator[bool]:
    """Whether a paragraph's own last line, and that of the one before, leave room for the word that follows."""
    chance.randrange(1, 900)
    lasts = [list(_fill(paragraph, chance))[-1] for paragraph in paragraphs]
    firsts = [paragraph.split()[0] for paragraph in paragraphs[1:]]
    room = [len(last) + 1 + len(first) <= WIDTH for last, first in zip(lasts, firsts, strict=False)]
    return (before and after for before, after in zip([True, *room], [*room, True], strict=True))


#: What stands between paragraphs, their indent, and the share to reach.
LAYOUTS: dict[str, tuple[list[str], str, float | None]] = {
    "blank lines": ([""], "", 0.95),
    "indented": ([], "   ", 0.95),
    "no mark": ([], "", None),
}


def _print(paragraphs: Iterable[str], before: list[str], indent: str, chance: random.Random) -> str:
    """The paragraphs as printed: filled lines, words cut at syllables, a running head on every page."""
    lines: list[str] = []
    page = first = chance.randrange(1, 900)
    for paragraph in paragraphs:
        lines += before if lines else []
        lines += _fill(indent + paragraph, chance)
    printed: list[str] = []
    for at in range(0, len(lines), PAGE):
        if page > first:
            printed += ["", f"{page}  A. Martin et al." if page % 2 == 0 else f"Cas cliniques de médecine  {page}", ""]
        printed += lines[at : at + PAGE]
        page += 1
    return "\n".join(printed)


def _fill(text: str, chance: random.Random) -> Iterator[str]:
    indent = len(text) - len(text.lstrip())
    line, words = text[:indent], text.split()
    while words:
        word = words.pop(0)
        space = " " if line.strip() else ""
        if len(line) + len(space) + len(word) <= WIDTH:
            line += space + word
            continue
        cut = max((at for at in _cuts(word, chance) if len(line) + len(space) + at < WIDTH), default=0)
        if cut:
            head, word = word[:cut], word[cut:]
            line += space + head + ("" if head.endswith("-") else "-")
        yield line
        line = ""
        words.insert(0, word)
    yield line


# A consonant before a vowel opens a syllable; these pairs of consonants do too.
_SYLLABLE = re.compile(r"(?<=\w\w)(?:[bcdfgpt][lr]|[cpt]h|gn|vr|qu|[bcdfgjklmnpqrstvxz])(?=[aeiouyéèêàâîïôû]\w)", re.I)


def _cuts(word: str, chance: random.Random) -> Iterator[int]:
    """Where a word may be cut: after its own hyphens, and one time in two between syllables."""
    for found in re.finditer(r"(?<=\w)-(?=\w)", word):
        yield found.end()
    if word.isalpha() and word.islower() and chance.random() < 0.5:
        for found in _SYLLABLE.finditer(word):
            if found.start() <= len(word) - 3:
                yield found.start()


def _share(values: list[bool]) -> float:
    return sum(values) / len(values) if values else 0.0
