"""OCR noise: how much of a text was damaged when its page was read by a machine.

The score is the expected share of damaged words. Each word (what white space separates) gets a
probability of damage from how far it is from French text, in its spelling (a 4-gram model of letters
and a list of known words) and in its shape (a 4-gram model of capitals, digits and signs, which sees
"l1quide", "paTient", lone signs and misplaced points). A small network weighs the evidence. Tables
and weights are learnt by ``benchmarks/train_ocr.py``, which states their sources and licences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import IO, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from corpuskit.clean.spans import Spans
from corpuskit.records import Article
from corpuskit.steps import ArticleStep, StepOptions

Array = npt.NDArray[Any]

#: What the letter model tells apart: 0 is whatever is no letter, the last class any letter not listed.
LETTERS = "abcdefghijklmnopqrstuvwxyzàâäçéèêëîïôöùûüÿœæ"
LETTER_CLASSES = len(LETTERS) + 2
#: What the shape model tells apart: white space, small, capital, digit, the signs listed, any other.
SIGNS = (".", ",", ";", ":", "'’", "-–‐‑", "(", ")", "[", "]", '"«»“”', "/", "%", "=<>±+×≤≥", "°", "•*", "&")
SHAPE_CLASSES = 5 + len(SIGNS)
#: Surprisals are kept in sixteenths of a bit, one byte each.
UNIT = 16
#: Known words are kept as a Bloom filter of this many bits and two hashes.
FILTER_BITS = 20
#: A longer text is judged by its beginning.
MAX_CHARACTERS = 100_000
#: Length of a row of :meth:`Model.evidence`.
FEATURES = 9
#: Weight, in words, of the prior that a text is clean: it holds very short texts near 0.
PRIOR_WORDS = 3


@dataclass(frozen=True)
class Model:
    """What was learnt: surprisal tables, known words, and the network that weighs the evidence."""

    letters: Array
    shapes: Array
    known: Array
    layers: tuple[tuple[Array, Array], ...] = ()
    calibration: tuple[float, float] = (1.0, 0.0)

    def evidence(self, text: str) -> Array:
        """One row of features a word: what :meth:`damage` judges."""
        plain = " ".join(["", *text.split(), ""])
        codes = np.frombuffer(plain.encode("utf-32-le", "replace"), np.uint32)
        codes = np.minimum(codes, 0xFFFF)
        letter_of, shape_of = classes()
        letters, shapes = letter_of.take(codes), shape_of.take(codes)
        white = shapes == 0
        starts = np.flatnonzero(white[:-1] & ~white[1:]) + 1
        if not len(starts):
            return np.zeros((0, FEATURES), np.float32)
        is_letter = letters > 0
        spelling = surprisals(self.letters, letters, LETTER_CLASSES)
        shape = surprisals(self.shapes, shapes, SHAPE_CLASSES)
        unknown = np.zeros(len(codes), np.int32)
        first, hashes = letter_runs(letters, is_letter)
        one, other = self.known.take(filter_bits(hashes))
        unknown[first] = ~(one & other)
        total = np.add.reduceat
        count = total(is_letter, starts, dtype=np.float32)
        length = total(~white, starts, dtype=np.float32)
        rows = np.empty((len(starts), FEATURES), np.float32)
        columns = rows.T
        columns[0] = np.maximum.reduceat(spelling, starts) / (8 * UNIT)
        columns[1] = total(spelling, starts, dtype=np.float32) / ((count + 1) * 4 * UNIT)
        columns[2] = np.maximum.reduceat(shape, starts) / (8 * UNIT)
        columns[3] = total(shape, starts, dtype=np.float32) / ((length + 1) * 2 * UNIT)
        columns[4] = np.minimum(total(unknown, starts), 2)
        columns[5] = np.minimum(count, 12) / 6
        columns[6] = np.minimum(length - count, 6) / 3
        columns[7] = np.minimum(length, 12) / 6
        columns[8] = count == 0
        return rows

    def damage(self, text: str) -> Array:
        """The probability of damage of each word (white space separates words)."""
        values = self.evidence(text)
        for weights, bias in self.layers[:-1]:
            values = np.maximum(values @ weights + bias, 0)
        weights, bias = self.layers[-1]
        result: Array = 1 / (1 + np.exp(-np.clip(values @ weights + bias, -15, 15)[:, 0]))
        return result

    def noise(self, text: str) -> float:
        """The expected share of damaged words, 0 to 1."""
        damage = self.damage(text[:MAX_CHARACTERS])
        if not len(damage):
            return 0.0
        # Words of one text share their fate: what single words suggest is too timid at both ends.
        mean = float(damage.mean())
        slope, offset = self.calibration
        share: float = 1 / (1 + math.exp(-offset) * ((1 - mean) / mean) ** slope)
        return share * len(damage) / (len(damage) + PRIOR_WORDS)


def surprisals(table: Array, classes: Array, size: int) -> Array:
    """Surprisal of each class given the three before it; beyond the beginning lies class 0."""
    padded = np.zeros(len(classes) + 3, np.int32)
    padded[3:] = classes
    index = ((padded[:-3] * size + padded[1:-2]) * size + padded[2:-1]) * size + padded[3:]
    result: Array = table.take(index)
    return result


def letter_runs(letters: Array, is_letter: Array) -> tuple[Array, Array]:
    """Where each run of letters starts, and its hash (white space is on both ends)."""
    edges = np.flatnonzero(is_letter[1:] != is_letter[:-1]) + 1
    first, last = edges[::2], edges[1::2]
    return first, Spans(letters).hashes(first, last)


def filter_bits(hashes: Array) -> Array:
    """The two places of each hash in the Bloom filter, one row each."""
    mask = np.uint64((1 << FILTER_BITS) - 1)
    return np.stack([hashes >> np.uint64(64 - FILTER_BITS), (hashes >> np.uint64(20)) & mask]).astype(np.intp)


@cache
def classes() -> tuple[Array, Array]:
    """Letter class and shape class of each code point of the basic plane (U+FFFF stands for all others)."""
    letters, shapes = np.zeros(0x10000, np.uint8), np.full(0x10000, SHAPE_CLASSES - 1, np.uint8)
    for code in range(0x10000):
        character = chr(code)
        if character.isspace():
            shapes[code] = 0
        elif character.isalpha():
            shapes[code] = 2 if character.isupper() else 1
            letters[code] = LETTERS.find(character.lower()) + 1 or LETTER_CLASSES - 1
        elif character.isdigit():
            shapes[code] = 3
    for number, signs in enumerate(SIGNS, start=4):
        for sign in signs:
            shapes[ord(sign)] = number
    return letters, shapes


def unpack(file: IO[bytes]) -> Model:
    """Read a model as ``benchmarks/train_ocr.py`` packs it.

    A 4-gram that the file does not list costs what its last three letters cost, plus the penalty of
    its context (Witten-Bell).
    """
    with np.load(file) as packed:
        trigrams = packed["trigrams"].astype(np.uint16).reshape(1, -1, LETTER_CLASSES)
        penalty = packed["penalty"].reshape(LETTER_CLASSES, -1, 1)
        letters = np.minimum(trigrams + penalty, 255).astype(np.uint8).ravel()
        letters[np.cumsum(packed["steps"], dtype=np.int64)] = packed["fourgrams"]
        layers = tuple((packed[f"weights{n}"], packed[f"bias{n}"]) for n in range(2))
        known = np.unpackbits(packed["known"]).astype(bool)
        slope, offset = packed["calibration"].tolist()
        return Model(letters, packed["shapes"], known, layers, (slope, offset))


@cache
def model() -> Model:
    """The model that ships with the package."""
    with resources.files("corpuskit.clean").joinpath("ocr_model.npz").open("rb") as file:
        return unpack(file)


def noise(text: str) -> float:
    """How damaged a text is: 0 clean to 1 noise, the expected share of damaged words.

    A text of few words is held near 0: there is too little to judge it by.
    """
    return model().noise(text)


class OcrOptions(StepOptions):
    """Settings of :class:`OcrStep`."""

    max_noise: float = Field(
        default=0.4, ge=0, le=1, description="highest OCR noise kept, as the expected share of damaged words"
    )


class OcrStep(ArticleStep):
    """Score every paragraph's OCR noise and set aside what is too noisy."""

    name = "OCR noise"
    stage = "ocr"
    Options: ClassVar[type[StepOptions]] = OcrOptions

    def process(self, article: Article) -> None:
        limit = self.options.max_noise
        for paragraph in article.kept():
            paragraph.ocr_noise = noise(paragraph.text)
            if paragraph.ocr_noise > limit:
                paragraph.mark(self.stage, "noise", f"{paragraph.ocr_noise:.2f} is over {limit:.2f}")
