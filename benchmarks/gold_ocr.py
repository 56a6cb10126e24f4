"""The OCR-noise score against gold: real engines on directories, and damaged biomedical prose.

Directories (``soduco``): entries of names and addresses of the 19th century, a reference text and what
three engines read. Biomedical prose (PAMJ, MORFITT, Wikipedia): the text against the same text with
errors that those three engines really made, at five character error rates. The model has seen none
of it: see ``train_ocr.py``.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from figures import Figure
from lxml import etree
from sklearn.metrics import roc_auc_score

from corpuskit.clean.ocr import OcrOptions, noise

ENGINES = {"pero": "21-ocr-pero", "tesseract": "22-ocr-tess", "kraken": "23-ocr-krak"}
RATES = (0.01, 0.03, 0.05, 0.1, 0.2)
THRESHOLD = OcrOptions().max_noise
#: Pages of the better engines differ from the reference by a few characters: no threshold is set for those.
LEAST = {("kraken", "10 entries"): 0.9, ("tesseract", "10 entries"): 0.65}
#: Characters of a paragraph cut from running text.
LENGTH = 700

Errors = dict[str, tuple[list[str], list[int]]]


def directories(real_data: Path) -> tuple[dict[Any, str], dict[str, dict[Any, str]]]:
    """The reference text of each directory entry, and each engine's, by book, page and number."""

    def load(name: str) -> dict[Any, str]:
        with gzip.open(real_data / "soduco" / f"{name}.json.gz") as file:
            return {(e["book"], e["page"], e["id"]): " ".join(e["text_ocr"].split()) for e in json.load(file)}

    return load("10-ref-ocr-ner-json"), {engine: load(f"{name}-final") for engine, name in ENGINES.items()}


def paragraphs(texts: Iterable[str]) -> Iterator[str]:
    """Running text cut after sentences into paragraphs of some hundred characters."""
    for text in texts:
        for line in re.split(r"\n+|==+[^=]*==+", text):
            paragraph = ""
            for sentence in re.split(r"(?<=[.!?]) (?=[A-ZÀÉÈÊ])", " ".join(line.split())):
                paragraph = f"{paragraph} {sentence}".strip()
                if len(paragraph) >= LENGTH:
                    yield paragraph
                    paragraph = ""
            if len(paragraph) >= LENGTH // 4:
                yield paragraph


def biomedical(real_data: Path) -> dict[str, list[str]]:
    """Clean French biomedical paragraphs by source."""
    with (real_data / "e3c_ccby" / "pamj_fr.jsonl").open(encoding="utf-8") as file:
        cases = [json.loads(line)["text"] for line in file]
    with (real_data / "morfitt" / "test.tsv").open(encoding="utf-8", newline="") as file:
        abstracts = [row["abstract"] for row in csv.DictReader(file, delimiter="\t")]
    with gzip.open(real_data / "text_fr" / "wikipedia_medical_fr.txt.gz", "rt", encoding="utf-8") as file:
        articles = file.readlines()
    named = {"PAMJ": cases, "MORFITT": abstracts, "Wikipedia": articles}
    return {name: list(paragraphs(texts)) for name, texts in named.items()}


def english(real_data: Path) -> list[str]:
    """Paragraphs of English articles."""
    texts = []
    for path in sorted((real_data / "jats" / "research-article").glob("*.xml"))[:20]:
        body = etree.parse(path).getroot().find(".//body")
        if body is not None:
            texts += [" ".join("".join(p.itertext()).split()) for p in body.iter("p")]
    return list(paragraphs(texts))


def engine_errors(reference: dict[Any, str], engines: dict[str, dict[Any, str]], entries: int = 1500) -> Errors:
    """What the engines made of each character or two: replacements with their counts."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    keys = random.Random(3).sample(sorted(reference), entries)
    for read in engines.values():
        for key in keys:
            wanted, got = reference[key], read.get(key, "")
            for kind, start, end, other, other_end in SequenceMatcher(None, wanted, got, False).get_opcodes():
                if kind == "replace" and end - start <= 2 and other_end - other <= 2:
                    found[wanted[start:end]][got[other:other_end]] += 1
                elif kind == "delete" and end - start == 1:
                    found[wanted[start:end]][""] += 1
    return {source: (list(targets), list(targets.values())) for source, targets in found.items()}


def damaged(text: str, rate: float, errors: Errors, chance: random.Random) -> str:
    """The text with engine errors at a character error rate."""
    pieces = []
    at = 0
    while at < len(text):
        if chance.random() >= rate:
            pieces.append(text[at])
            at += 1
            continue
        pair = text[at : at + 2]
        source = pair if pair in errors and chance.random() < 0.3 else text[at]
        targets, counts = errors.get(source, (["", "i", "-", "."], [1, 1, 1, 1]))
        pieces += chance.choices(targets, counts)
        at += len(source)
    return "".join(pieces)


def auc(clean: Iterable[str], noisy: Iterable[str]) -> float:
    """The chance that a noisy text scores above a clean one."""
    low, high = [noise(text) for text in clean], [noise(text) for text in noisy]
    return float(roc_auc_score([0] * len(low) + [1] * len(high), low + high))


def above(clean: Iterable[str], noisy: Iterable[str]) -> float:
    """How often a text scores above the very text it was made from, ties counted half."""
    pairs = [(noise(a), noise(b)) for a, b in zip(clean, noisy, strict=True) if a != b]
    return sum((b > a) + (a == b) / 2 for a, b in pairs) / len(pairs)


def on_directories(reference: dict[Any, str], engines: dict[str, dict[Any, str]]) -> Iterator[Figure]:
    for engine, read in engines.items():
        keys = sorted(reference.keys() & read.keys())
        different = [key for key in keys if reference[key] != read[key]]
        pages = [keys[start : start + 10] for start in range(0, len(keys), 10)]
        units = {"entry": [[key] for key in keys], "differing entry": [[key] for key in different], "10 entries": pages}
        for unit, groups in units.items():
            clean, noisy = ([" ".join(texts[key] for key in group) for group in groups] for texts in (reference, read))
            note = (
                f"{len(groups):,} pairs, engine above its reference in {above(clean, noisy):.1%} of those that differ"
            )
            yield Figure(f"OCR AUC, directories, {engine}, {unit}", auc(clean, noisy), LEAST.get((engine, unit)), note)


def on_prose(real_data: Path, errors: Errors) -> Iterator[Figure]:
    for source, texts in biomedical(real_data).items():
        scores = [noise(text) for text in texts]
        kept = sum(score <= THRESHOLD for score in scores) / len(scores)
        yield Figure(f"OCR clean kept, {source}", kept, 0.995, f"{len(texts):,} paragraphs")
        sample = random.Random(5).sample(texts, min(len(texts), 1000))
        for rate in RATES:
            chance = random.Random(11)
            noisy = [damaged(text, rate, errors, chance) for text in sample]
            dropped = sum(noise(text) > THRESHOLD for text in noisy) / len(noisy)
            least = {0.01: 0.8, 0.03: 0.95, 0.05: 0.98}.get(rate, 0.99)
            yield Figure(f"OCR AUC, {source}, CER {rate:.0%}", auc(sample, noisy), least, f"{dropped:.1%} dropped")
    texts = english(real_data)
    kept = sum(noise(text) <= THRESHOLD for text in texts) / len(texts)
    yield Figure("OCR clean kept, English", kept, 0.99, f"{len(texts):,} paragraphs")


def measure(real_data: Path) -> list[Figure]:
    """All figures; takes about a minute."""
    reference, engines = directories(real_data)
    errors = engine_errors(reference, engines)
    return [*on_directories(reference, engines), *on_prose(real_data, errors)]
