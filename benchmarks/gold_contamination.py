"""Decontamination: units of real test sets, planted into real text that is free of them, and text left as it is.

Recall is the share of planted units that are found, by what was done to them and by their length. What
is found in text that nothing was planted in is reported by source and test set.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from figures import Figure

from corpuskit.clean.segment import cuts
from corpuskit.clean.words import words
from corpuskit.dedup import testsets
from corpuskit.dedup.contamination import DecontaminateOptions, Index
from corpuskit.records import Article, Paragraph

TESTS = {"quaero": "quaero", "mantra": "mantra_gsc", "frasimed": "frasimed", "morfitt": "morfitt"}
SOURCES = {"Wikipedia": "wikipedia_medical_fr", "ANSES": "anses_vet_spc", "CNEDiMTS": "cnedimts"}
#: Units planted of each test set, at most.
SAMPLE = 1000
LENGTHS = {"5–7": 7, "8–12": 12, "13–24": 24, "25+": 10**9}
#: Characters of a paragraph cut from running text.
LENGTH = 800
UNCHANGED = 0.95
#: Paragraphs that do hold a unit, by source and test set: each was read.
READ = {
    ("ANSES", "quaero"): (106, "four short sentences of many leaflets, and one but for the name of the drug"),
    ("ANSES", "mantra"): (3, "two sentences that veterinary and human leaflets share"),
    ("PAMJ", "frasimed"): (8, "three short sentences that stand in many case reports"),
}

Planted = list[str]


def sources(real_data: Path) -> dict[str, list[list[str]]]:
    """Articles as lists of paragraphs, by source."""
    texts = {}
    for name, file in SOURCES.items():
        with gzip.open(real_data / "text_fr" / f"{file}.txt.gz", "rt", encoding="utf-8") as lines:
            texts[name] = [line for line in lines if line.strip()]
    with (real_data / "e3c_ccby" / "pamj_fr.jsonl").open(encoding="utf-8") as lines:
        texts["PAMJ"] = [json.loads(line)["text"] for line in lines]
    return {name: [list(_paragraphs(text)) for text in found] for name, found in texts.items()}


def _paragraphs(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        line = " ".join(line.split())
        yield from (line[start:end] for start, end in cuts(line, LENGTH))


def _article(paragraphs: list[str]) -> Article:
    return Article("a", "s", "f", paragraphs=[Paragraph(text) for text in paragraphs])


def alone(unit: str, host: list[str], chance: random.Random) -> Planted:
    return [host[0], unit, *host[1:]]


def inside(unit: str, host: list[str], chance: random.Random) -> Planted:
    sentences = [host[0][start:end] for start, end in cuts(host[0], len(host[0]) // 2 + 1)]
    closed = unit if unit.rstrip().endswith((".", "!", "?", ":", ";", "…")) else f"{unit}."
    return [" ".join([f"{sentences[0]}.", closed, *sentences[1:]]), *host[1:]]


def typeset(unit: str, host: list[str], chance: random.Random) -> Planted:
    """Other apostrophes, quotes, spaces, dashes and case, no accents on capitals, commas and stops left out."""
    unit = re.sub(r"\s*(['’])\s*", chance.choice(("’", "'", "’ ")), unit)
    unit = unit.replace(" ", chance.choice((" ", "\u00a0", "\u2009", "  "))).replace("-", chance.choice("-‑– "))
    unit = unit.replace("oe", "œ") if "œ" not in unit else unit.replace("œ", "oe")
    unit = re.sub(r'["«»“”]\s*', "", unit) if chance.random() < 0.5 else f"« {unit} »"
    unit = re.sub("[.,]", "", unit) if chance.random() < 0.3 else unit
    if chance.random() < 0.5:
        unit = "".join(c for c in unicodedata.normalize("NFD", unit.upper()) if not unicodedata.combining(c))
    return alone(unit, host, chance)


def broken(unit: str, host: list[str], chance: random.Random) -> Planted:
    """One half ends a paragraph, the other begins the next."""
    tokens = unit.split()
    middle = len(tokens) // 2
    return [f"{host[0]}. {' '.join(tokens[:middle])}", f"{' '.join(tokens[middle:])}. {host[-1]}"]


def half(unit: str, host: list[str], chance: random.Random) -> Planted:
    tokens = unit.split()
    return alone(" ".join(tokens[: (len(tokens) + 1) // 2]), host, chance)


def edited(share: float) -> Callable[[str, list[str], random.Random], Planted]:
    """Words replaced, left out or put in."""

    def plant(unit: str, host: list[str], chance: random.Random) -> Planted:
        others = host[-1].split()
        tokens = []
        for token in unit.split():
            if token.isalnum() and chance.random() < share:
                tokens += chance.choice(([chance.choice(others)], [], [token, chance.choice(others)]))
            else:
                tokens.append(token)
        return alone(" ".join(tokens), host, chance)

    return plant


SETTINGS: dict[str, tuple[Callable[[str, list[str], random.Random], Planted], float | None]] = {
    "own paragraph": (alone, UNCHANGED),
    "between sentences": (inside, UNCHANGED),
    "other typography": (typeset, UNCHANGED),
    "over two paragraphs": (broken, UNCHANGED),
    "first half": (half, None),
    "5 % of words edited": (edited(0.05), None),
    "10 % of words edited": (edited(0.1), None),
}


def recall(index: Index, hosts: list[list[str]]) -> Iterator[Figure]:
    """The share of units of five words or more that are found where they were planted."""
    chance = random.Random(7)
    chosen = []
    for test in range(len(index.tests)):
        numbers = [number for number, unit in enumerate(index.units) if index.test[number] == test]
        numbers = [number for number in numbers if len(words(index.units[number].text)) >= 5]
        chosen += sorted(chance.sample(numbers, min(SAMPLE, len(numbers))))
    for setting, (plant, at_least) in SETTINGS.items():
        found: dict[str, list[bool]] = defaultdict(list)
        for number in chosen:
            text = index.units[number].text
            hits = index.hits(_article(plant(text, chance.choice(hosts), chance)))
            told = any(hit.unit == number for hit in hits)
            length = len(words(text))
            found["all"].append(told)
            found[next(name for name, most in LENGTHS.items() if length <= most)].append(told)
            found[index.tests[index.test[number]]].append(told)
        for group in ("all", *LENGTHS, *index.tests):
            note = f"{len(found[group]):,} units"
            least = at_least if group == "all" else None
            label = f"{group} words" if group in LENGTHS else group
            yield Figure(f"recall, {setting}, {label}", sum(found[group]) / len(found[group]), least, note)


def unrelated(index: Index, articles: dict[str, list[list[str]]]) -> Iterator[Figure]:
    """The share of paragraphs left alone where nothing was planted: all but those that do hold a unit."""
    for source, found in articles.items():
        paragraphs: Counter[str] = Counter()
        for texts in found:
            hits = index.hits(_article(texts))
            paragraphs.update(test for _, test in {(hit.paragraph, index.tests[index.test[hit.unit]]) for hit in hits})
        total = sum(map(len, found))
        for test in index.tests:
            known, what = READ.get((source, test), (0, ""))
            note = f"{paragraphs[test]} of {total:,} taken out" + (f": {what}" if what else "")
            yield Figure(f"left alone, {source}, {test}", 1 - paragraphs[test] / total, 1 - known / total, note)


def measure(real_data: Path) -> list[Figure]:
    """All figures; takes about a minute."""
    sets = [testsets.load(name, str(real_data / folder)) for name, folder in TESTS.items()]
    index = Index(sets, DecontaminateOptions())
    articles = sources(real_data)
    hosts = [
        texts[:3]
        for source in ("Wikipedia", "ANSES", "PAMJ")
        for texts in articles[source]
        if len(texts[0]) > 100 and not index.hits(_article(texts))
    ]
    return [*recall(index, hosts), *unrelated(index, articles)]
