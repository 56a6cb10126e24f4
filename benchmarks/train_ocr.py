"""Learn the tables of ``corpuskit/clean/ocr.py``: ``python benchmarks/train_ocr.py --real-data FOLDER``.

Sources, none of them used by ``gold_ocr.py``:

- ``eltec_fra``: 34 French novels, 1840 to 1920, from ELTeC (https://doi.org/10.5281/zenodo.3462435). The texts
  are in the public domain, the encoding is CC BY 4.0 (Christof Schöch and others, COST Action CA16204);
- ``text_fr/anses_vet_spc``: notices of veterinary drugs, ANSES, Licence Ouverte 2.0;
- ``text_fr/cnedimts``: opinions of the CNEDiMTS, Haute Autorité de santé, Licence Ouverte 2.0;
- ``jats``: open-access articles in English, CC BY or CC0 as its INDEX.tsv tells, but the research
  articles: English is not damage, and French articles are full of it (genes, species, drugs, names).

What ships is statistics of these texts (frequencies of sequences of four characters, a Bloom filter
of words, and the weights of a network), from which no passage can be read back. Four novels, the
CNEDiMTS and every other English article are kept from the tables: clean and damaged, they teach the
network what a genuine word that the tables do not know looks like. The same input gives the same file.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from lxml import etree
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from corpuskit.clean import ocr

#: A word is known when it is met this often.
KNOWN_FROM = 3
#: A 4-gram is listed when the estimate without it is off by this many sixteenths of a bit.
WORTH_LISTING = 12
#: Character error rates. Words are learnt from light damage, where little evidence has to count for much.
LIGHT = (0.0, 0.0, 0.0, 0.0, 0.005, 0.01, 0.02, 0.03, 0.05)
ALL = (0.0, 0.0, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3)
HIDDEN = 24
LENGTHS = (60, 150, 300, 600, 800, 1000, 1500)

#: What engines commonly read in place of a character or two (both cases of the letters are tried).
CONFUSIONS = {
    "rn": "m", "m": "rn in nn", "cl": "d", "ii": "u n", "ri": "n", "li": "h", "vv": "w", "fi": "h ti", "nn": "m",
    "l": "1 I i t !", "i": "l 1 j t r ! :", "I": "l 1 | J", "e": "c o é è a", "c": "e o (", "é": "e è ê 6 c",
    "è": "e é ê", "ê": "e é è", "à": "a â", "ç": "c", "î": "i f", "ô": "o ö 6", "û": "u", "n": "u ii ri h",
    "u": "n ii v a", "o": "0 c e a", "O": "0 Q", "a": "o u s n", "s": "a 5 S", "S": "5 8", "b": "h 6 li",
    "h": "b li k", "d": "cl tl", "t": "l f r i", "f": "t ſ l", "r": "t n i v", "v": "y r u", "g": "q 9 y", "q": "g",
    "p": "j n", "B": "8 R", "E": "F L B", "D": "O I)", "G": "C 6", "C": "G (", "A": "\\ 4", "T": "l Y 7", "R": "K B",
    "N": "M X", "M": "N lI", ".": ", ; ·", ",": ". ; '", "'": "` ’ \" ,", "’": "' ` \"", "-": "— ~ _", "1": "l I i",
    "0": "O o", "5": "S s", "8": "B S", "6": "b G", "2": "z Z", "9": "g q", "4": "A", "3": "8 S", "7": "T 1",
}  # fmt: skip
ANYTHING = "abcdefghijklmnopqrstuvwxyzéèàABCDEFILMNOPRSTUV0123456789.,;:'\"-*^~|_!/\\()[]{}<>°•■§£€&%=+"
RUBBLE = "iIl1jJtfr.,;:'\"-*^~|_!/\\()[]{}<>°•■§£€&%=+—“„"


def novels(real_data: Path) -> list[str]:
    """The running text of each novel, its notes and headings included."""
    texts = []
    for path in sorted((real_data / "eltec_fra").glob("*.xml.gz")):
        body = etree.fromstring(gzip.decompress(path.read_bytes())).find(".//{*}text")
        paragraphs = (" ".join("".join(p.itertext()).split()) for p in body.iter("{*}p"))
        texts.append("\n".join(filter(None, paragraphs)))
    return texts


def english(real_data: Path) -> list[str]:
    """The paragraphs of each English article that is not a research article."""
    paths = sorted(path for path in (real_data / "jats").glob("*/*.xml") if path.parent.name != "research-article")
    return [
        "\n".join(" ".join("".join(p.itertext()).split()) for p in etree.parse(path).getroot().iter("p"))
        for path in paths
    ]


def lines(path: Path) -> str:
    """The distinct sentences of a file: drug notices say the same thing thousands of times."""
    text = gzip.decompress(path.read_bytes()).decode()
    return "\n".join(dict.fromkeys(re.split(r"(?<=[.;:]) |\n", text)))


def surprisal(classes: np.ndarray, size: int, starts_afresh: bool) -> list[np.ndarray]:
    """Witten-Bell surprisal in bits for every 1- to 4-gram (flat tables), and the penalty of each 3-letter context.

    Args:
        classes: the text.
        size: how many classes there are.
        starts_afresh: class 0 parts words: what precedes it has no bearing on what follows.
    """
    padded = np.r_[np.zeros(3, np.int64), classes]
    columns = [padded[3 - back : len(padded) - back] for back in (3, 2, 1, 0)]
    if starts_afresh:
        columns[1] = np.where(columns[2] == 0, 0, columns[1])
        columns[0] = np.where(columns[1] == 0, 0, columns[0])
        keep = (columns[2] > 0) | (columns[3] > 0)
        columns = [column[keep] for column in columns]
    index = ((columns[0] * size + columns[1]) * size + columns[2]) * size + columns[3]
    counts = np.bincount(index, minlength=size**4).astype(np.float64)
    probability = np.full(size, 1 / size)
    tables = []
    for order in (1, 2, 3, 4):
        table = counts.reshape(size ** (4 - order), -1).sum(axis=0).reshape(-1, size)
        total, kinds = table.sum(axis=1, keepdims=True), np.maximum((table > 0).sum(axis=1, keepdims=True), 1)
        lower = np.tile(probability.reshape(-1, size), (len(table) // (len(probability) // size), 1))
        probability = ((table + kinds * lower) / (total + kinds)).ravel()
        tables.append(-np.log2(probability))
    tables.append(-np.log2(kinds / (total + kinds)).ravel())
    return tables


def quantised(bits: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(bits * ocr.UNIT), 0, 255).astype(np.uint8)


def letter_tables(text: str) -> dict[str, np.ndarray]:
    """The letter model: 3-grams, penalties, and the 4-grams that these do not foretell."""
    size = ocr.LETTER_CLASSES
    letters = ocr.classes()[0][code_points(text)]
    *_, trigrams, fourgrams, penalty = surprisal(letters, size, starts_afresh=True)
    exact, trigrams, penalty = quantised(fourgrams), quantised(trigrams), quantised(penalty)
    # Only contexts that can occur are asked for: nothing precedes what precedes a word.
    grid = exact.reshape(size, size, size, size)
    grid[1:, 0] = grid[0, 0]
    grid[:, :, 0] = grid[0, 0, 0]
    grid[:, :, 0, 0] = 0
    foretold = np.minimum(
        trigrams.astype(np.uint16).reshape(1, -1, size) + penalty.reshape(size, -1, 1), 255
    ).ravel()  # fmt: skip
    listed = np.flatnonzero(np.abs(exact.astype(int) - foretold) > WORTH_LISTING)
    steps = np.diff(listed, prepend=0).astype(np.uint32)
    return {"trigrams": trigrams, "penalty": penalty, "steps": steps, "fourgrams": exact[listed]}


def shape_table(text: str) -> np.ndarray:
    """The shape model, dense."""
    shapes = ocr.classes()[1][code_points(text)]
    return quantised(surprisal(shapes, ocr.SHAPE_CLASSES, starts_afresh=False)[3])


def known_words(text: str) -> np.ndarray:
    """The Bloom filter of the words met often enough."""
    counts = Counter(re.findall(r"[^\W\d_]+", text.lower()))
    bits = np.zeros(1 << ocr.FILTER_BITS, bool)
    words = [word for word, count in counts.items() if count >= KNOWN_FROM]
    print(f"{len(words):,} known words")
    for start in range(0, len(words), 5000):
        letters = ocr.classes()[0][code_points(" " + " ".join(words[start : start + 5000]) + " ")]
        bits[ocr.filter_bits(ocr.letter_runs(letters, letters > 0)[1])] = True
    return np.packbits(bits)


def code_points(text: str) -> np.ndarray:
    return np.minimum(np.frombuffer(text.encode("utf-32-le"), np.uint32), 0xFFFF)


def damaged(text: str, rate: float, chance: random.Random) -> tuple[str, list[bool]]:
    """The text as an engine with this character error rate might read it, and which of its words are damaged."""
    words: list[str] = []
    labels: list[bool] = []
    joined = False
    for word in text.split():
        read = "".join(_read(word, rate, chance))
        pieces = read.split()
        hurt = read != word
        if joined and pieces and words:
            words[-1] += pieces.pop(0)
            labels[-1] = True
        words += pieces
        labels += [hurt] * len(pieces)
        joined = chance.random() < rate / 3
        while chance.random() < rate / 2:  # specks, rules and shadows become words too
            words.append("".join(chance.choices(RUBBLE, k=chance.choice((1, 1, 1, 2, 3)))))
            labels.append(True)
    return " ".join(words), labels


def _read(word: str, rate: float, chance: random.Random) -> Iterator[str]:
    at = 0
    if chance.random() < rate / 5:
        yield " ".join(word)
        return
    while at < len(word):
        pair, one = word[at : at + 2], word[at]
        if chance.random() >= rate:
            yield one
            at += 1
            continue
        kind = chance.random()
        source = pair if pair in CONFUSIONS and chance.random() < 0.7 else one
        at += len(source)
        if kind < 0.6 and (choices := CONFUSIONS.get(source)):
            yield chance.choice(choices.split())
        elif kind < 0.8:
            yield chance.choice(ANYTHING)
        elif kind < 0.87:
            pass
        elif kind < 0.92:
            yield source + chance.choice(ANYTHING)
        elif kind < 0.95:
            yield source.swapcase()
        else:
            yield source + " "


def pieces(texts: Iterable[str], rates: Sequence[float]) -> Iterator[tuple[str, list[bool]]]:
    """Pieces of text of several lengths, damaged at several rates."""
    chance = random.Random(7)
    for text in texts:
        start = 0
        while start < len(text):
            length = chance.choice(LENGTHS)
            yield damaged(text[start : start + length], chance.choice(rates), chance)
            start += length


def network(model: ocr.Model, examples: list[tuple[str, list[bool]]]) -> dict[str, np.ndarray]:
    """Learn to tell damaged words from clean ones."""
    features = np.concatenate([model.evidence(piece) for piece, _ in examples])
    wanted = np.concatenate([labels for _, labels in examples])
    learner = MLPClassifier((HIDDEN,), batch_size=2000, max_iter=40, random_state=7).fit(features, wanted)
    print(f"{len(wanted):,} words, {wanted.mean():.1%} damaged, {learner.score(features, wanted):.1%} told right")
    layers = enumerate(zip(learner.coefs_, learner.intercepts_, strict=True))
    return {
        name: values.astype(np.float32)
        for number, layer in layers
        for name, values in zip((f"weights{number}", f"bias{number}"), layer, strict=True)
    }


def calibration(model: ocr.Model, examples: list[tuple[str, list[bool]]]) -> np.ndarray:
    """Slope and offset, in log-odds, from the mean probability to the share of damaged words."""
    long = [(piece, labels) for piece, labels in examples if len(labels) >= 20]
    means = np.array([model.damage(piece).mean() for piece, _ in long])
    shares = np.array([np.mean(labels) for _, labels in long])
    # A regression on shares: each text counts once as damaged and once as clean, by its share.
    odds = np.log(means / (1 - means))[:, None]
    learner = LogisticRegression(C=1e6).fit(
        np.r_[odds, odds], np.r_[np.ones(len(long)), np.zeros(len(long))], np.r_[shares, 1 - shares]
    )
    return np.array([learner.coef_[0, 0], learner.intercept_[0]])


def pack(path: Path, tables: dict[str, np.ndarray]) -> ocr.Model:
    """Write an .npz, but with LZMA, which NumPy reads though it does not write it; and read it back."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, table in tables.items():
            content = io.BytesIO()
            np.save(content, table)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_LZMA)
    with path.open("rb") as file:
        return ocr.unpack(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--real-data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path(ocr.__file__).with_name("ocr_model.npz"))
    arguments = parser.parse_args()
    literature = novels(arguments.real_data)
    devices = lines(arguments.real_data / "text_fr" / "cnedimts.txt.gz")
    drugs = lines(arguments.real_data / "text_fr" / "anses_vet_spc.txt.gz")
    articles = english(arguments.real_data)
    text = "\n".join([*literature[4:], drugs, *articles[::2]])
    tables = letter_tables(text) | {"shapes": shape_table(text), "known": known_words(text)}
    tables |= {"calibration": np.array([1.0, 0.0])} | {
        f"{name}{n}": np.zeros(1) for name in ("weights", "bias") for n in (0, 1)
    }
    unseen = [*(novel[:300_000] for novel in literature[:4]), devices, "\n".join(articles[1::2])]
    tables |= network(pack(arguments.output, tables), list(pieces(unseen, LIGHT)))
    tables["calibration"] = calibration(pack(arguments.output, tables), list(pieces(unseen, ALL)))
    pack(arguments.output, tables)
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
