"""Language identification against gold: UD French, parallel sentences, biomedical abstracts, simulated articles."""

from __future__ import annotations

import csv
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from figures import Figure
from lxml import etree
from sklearn.metrics import f1_score

from corpuskit.clean.language import LanguageStep, model
from corpuskit.clean.segment import sentence_ends
from corpuskit.records import Article, Paragraph

Labelled = list[tuple[str, str]]

BANDS = [(1, 9), (10, 19), (20, 39), (40, 79), (80, 1_000_000)]
#: Language of the text before, of the paragraph judged, of the text after, and whether it is a mere heading.
CONTEXTS = [
    ("fr", "fr", "fr", True),
    ("en", "en", "en", True),
    ("en", "fr", "fr", True),
    ("fr", "en", "en", True),
    ("fr", "en", "fr", True),
    ("fr", "en", "fr", False),
    ("en", "fr", "en", False),
]
_STEP = LanguageStep(keep="any")


def measure(real_data: Path) -> list[Figure]:
    """Macro-F1 on single sentences, plain fastText beside the step; accuracy in context; throughput."""
    universal = list(_universal(real_data / "ud"))
    biomedical = [*_morfitt(real_data / "morfitt"), *_jats(real_data / "jats")]
    parallel = {language: _sentences(real_data / "ud" / f"{language}_pud-ud-test.conllu") for language in ("fr", "en")}
    figures = [
        *_both("UD sentences of 20+ characters", _of_length(universal, 20), at_least=0.995),
        *_both("biomedical sentences of 20+ characters", _of_length(biomedical, 20), at_least=0.995),
    ]
    everything = universal + biomedical
    for least, most in BANDS:
        opening = f"of {least} to {most}" if most < 1_000_000 else f"of {least} and more"
        figures += _both(f"openings {opening} characters", _of_length(_openings(everything, most), least))
    return [*figures, *_in_context(parallel), *_throughput([text for text, _ in everything])]


def _sentences(file: Path) -> list[str]:
    marker = "# text = "
    return [line[len(marker) :] for line in file.read_text("utf-8").splitlines() if line.startswith(marker)]


def _universal(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.glob("*.conllu")):
        for text in _sentences(file):
            yield text, file.name[:2]


def _split(text: str, language: str) -> Iterator[tuple[str, str]]:
    ends = [*sentence_ends(text), len(text)]
    for start, end in zip([0, *ends], ends, strict=False):
        yield text[start:end].strip(), language


def _morfitt(folder: Path) -> Iterator[tuple[str, str]]:
    for file in (folder / "dev.tsv", folder / "test.tsv"):
        with file.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                yield from _split(row["abstract"], "fr")


def _jats(folder: Path) -> Iterator[tuple[str, str]]:
    parser = etree.XMLParser(load_dtd=False, resolve_entities=False, no_network=True)
    for file in sorted(folder.glob("*/*.xml")):
        for paragraph in etree.parse(file, parser).iterfind(".//abstract//p"):
            yield from _split(" ".join("".join(paragraph.itertext()).split()), "en")


def _of_length(sentences: Labelled, least: int) -> Labelled:
    return [(text, language) for text, language in sentences if len(text) >= least]


def _openings(sentences: Labelled, most: int) -> Labelled:
    """The first words of every sentence, as many as fit."""
    return [(text if len(text) <= most else text[: most + 1].rpartition(" ")[0], gold) for text, gold in sentences]


def _plain(text: str) -> str:
    found = model().predict(text + "\n", 1, 0.0, "strict")
    return str(found[0][1]).removeprefix("__label__") if found else ""


def _ours(text: str) -> str:
    article = Article("a:1", "a", "f", paragraphs=[Paragraph(text)])
    _STEP.process(article)
    return article.paragraphs[0].language


def _both(name: str, sentences: Labelled, at_least: float | None = None) -> list[Figure]:
    gold = [language for _, language in sentences]
    note = f"{gold.count('fr'):,} fr, {gold.count('en'):,} en"

    def score(identify: Callable[[str], str]) -> float:
        found = [identify(text) for text, _ in sentences]
        # A label that is neither counts against both, without an F1 of its own.
        return float(f1_score(gold, found, labels=sorted(set(gold)), average="macro", zero_division=0))

    return [
        Figure(f"{name}, macro-F1", score(_ours), at_least, note),
        Figure(f"{name}, macro-F1 of plain fastText", score(_plain), None, note),
    ]


def _in_context(parallel: dict[str, list[str]]) -> Iterator[Figure]:
    """Articles of parallel sentences, two before and two after the paragraph judged: is French kept, and no other?"""
    chance = random.Random(2)
    for before, judged, after, heading in CONTEXTS:
        right = 0
        starts = range(0, len(parallel["fr"]) - 4, 4)
        for at in starts:
            text = parallel[judged][at]
            paragraph = Paragraph(" ".join(text.split()[: chance.randint(2, 4)]) if heading else text)
            paragraphs = [Paragraph(text) for text in parallel[before][at + 1 : at + 3]]
            paragraphs += [paragraph, *(Paragraph(text) for text in parallel[after][at + 3 : at + 5])]
            LanguageStep().process(Article("a:1", "a", "f", paragraphs=paragraphs))
            right += (paragraph.drop is None) == (judged == "fr")
        name = f"{before} text, {judged} {'heading of 2 to 4 words' if heading else 'sentence'}, {after} text, accuracy"
        yield Figure(name, right / len(starts), None, f"{len(starts)} simulated articles")


def _throughput(texts: list[str]) -> Iterator[Figure]:
    articles = [
        Article("a:1", "a", "f", paragraphs=[Paragraph(text) for text in texts[at : at + 20]])
        for at in range(0, len(texts), 20)
    ]
    start = time.perf_counter()
    for text in texts:
        _plain(text)
    plain = time.perf_counter() - start
    start = time.perf_counter()
    for article in articles:
        _STEP.process(article)
    ours = time.perf_counter() - start
    size = f"of {sum(map(len, texts)) // len(texts)} characters on average"
    yield Figure("paragraphs a second", len(texts) / ours, None, size)
    yield Figure("paragraphs a second, plain fastText", len(texts) / plain, None, size)
