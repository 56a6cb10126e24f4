"""The cleaning of the build against datatrove's own steps over the same French text, in one run:
``python benchmarks/build.py --real-data DIR``.

datatrove's chain (FTFYFormatter, GopherQualityFilter, GopherRepetitionFilter, MinhashDedupSignature) cuts
words with spaCy: ``pip install spacy tokenizers`` (no model is needed; xxhash has to be older than 4). Ours
does the same work, with as many hashes in a signature. Both run as pipelines, document by document, on one
core, datatrove's on a sample of the documents; they are timed in turn by the processor's clock, and the median
of the ratios is what counts (above 1: ours is faster). Decisions are compared document by document, given the
same words and given spaCy's.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import gzip
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ftfy
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.filters import gopher_quality_filter, gopher_repetition_filter
from datatrove.pipeline.formatters import FTFYFormatter
from datatrove.utils import text as datatrove_text
from figures import Figure
from loguru import logger
from rich.console import Console
from rich.table import Table

from corpuskit.clean import encoding, tokens
from corpuskit.clean.encoding import EncodingStep
from corpuskit.clean.gopher import STOP_WORDS, GopherStep, Text
from corpuskit.clean.language import LanguageStep, model
from corpuskit.clean.quality import QualityStep
from corpuskit.clean.repetition import RepetitionStep
from corpuskit.clean.segment import blocks, split_long
from corpuskit.clean.words import words
from corpuskit.dedup.near import NearOptions, bands, signatures
from corpuskit.records import Article, Paragraph
from corpuskit.steps import ArticleStep

#: datatrove's defaults: 14 buckets of 8 hashes.
NEAR = NearOptions(ngram=5, buckets=14, hashes_per_bucket=8, min_words=5)
#: The same function words for both; spaCy leaves its apostrophe to an elision.
SPACY_STOP_WORDS = [*STOP_WORDS, "l'", "d'", "l’", "d’"]


def notices(real_data: Path) -> Iterator[str]:
    """Veterinary drug notices, one a line."""
    with gzip.open(real_data / "text_fr" / "anses_vet_spc.txt.gz", "rt", encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file)


def cases(real_data: Path) -> Iterator[str]:
    """Clinical cases and abstracts."""
    with (real_data / "e3c_ccby" / "pamj_fr.jsonl").open(encoding="utf-8") as file:
        yield from (json.loads(line)["text"] for line in file)
    for part in ("train", "dev", "test"):
        with (real_data / "morfitt" / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
            yield from (row["abstract"] for row in csv.DictReader(file, delimiter="\t"))


CORPORA = {"drug notices": notices, "cases and abstracts": cases}
CHAIN, MEND, LANGUAGE = "the chain", "mending alone", "language"
PEERS = {CHAIN: "datatrove's chain", MEND: "ftfy.fix_text", LANGUAGE: "fastText's predict"}
AT_LEAST = {CHAIN: 25.0, LANGUAGE: 2.0}


def megabytes(texts: Iterable[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def taken(texts: Iterable[str], limit: float) -> list[str]:
    """The first texts, up to so many megabytes."""
    found = []
    for text in texts:
        found.append(text)
        limit -= len(text.encode()) / 1e6
        if limit <= 0:
            break
    return found


def sampled(texts: Sequence[str], limit: float) -> list[str]:
    """About so many megabytes of texts from all over a corpus."""
    return list(texts[:: max(1, round(megabytes(texts) / limit))])


def articles(texts: Iterable[str]) -> list[Article]:
    """Each text in paragraphs, as the build has them."""
    found = []
    for number, text in enumerate(texts):
        paragraphs = [Paragraph(text[start:end]) for start, end in blocks(text)]
        article = Article(f"x:{number}", "x", "x", paragraphs=paragraphs)
        split_long(article)
        found.append(article)
    return found


class Signatures(ArticleStep):
    """The MinHash signatures of paragraphs and the hashes of their buckets, as the build takes them."""

    name = "Signatures"
    stage = "near"

    def process(self, article: Article) -> None:
        if article.drop is None:
            bands(signatures(tokens.of(article), NEAR), NEAR)


class Words(ArticleStep):
    """The words of paragraphs and their hashes, which the steps after it share."""

    name = "Words"
    stage = "words"

    def process(self, article: Article) -> None:
        _ = tokens.of(article).hashes


class GopherQuality(GopherStep):
    """The rules on quality alone."""

    def process(self, article: Article) -> None:
        next(self.quality(Text.of(article)), None)


class GopherRepetition(GopherStep):
    """The rules on repetition alone."""

    def process(self, article: Article) -> None:
        next(self.repetition(Text.of(article)), None)


def stock_steps(folder: Path) -> list[Any]:
    """datatrove's steps over plain documents."""
    return [
        FTFYFormatter(),
        gopher_quality_filter.GopherQualityFilter(language="fr", stop_words=SPACY_STOP_WORDS),
        gopher_repetition_filter.GopherRepetitionFilter(language="fr"),
        MinhashDedupSignature(str(folder / "signatures"), MinhashConfig(), language="fr"),
    ]


def timed(steps: Sequence[Any], documents: Sequence[Document]) -> float:
    """Seconds that steps take as a pipeline, document by document."""
    # datatrove keeps the words of the last texts: a step timed alone shall not find those of the one before.
    datatrove_text.split_into_parts.cache_clear()
    flow: Any = iter(documents)
    start = time.process_time()
    for step in steps:
        flow = step.run(flow)
    for _ in flow or ():
        pass
    return time.process_time() - start


def seconds(function: Callable[[str], Any], texts: Iterable[str]) -> float:
    start = time.process_time()
    for text in texts:
        function(text)
    return time.process_time() - start


def plain(texts: Iterable[str]) -> list[Document]:
    return [Document(text=text, id=str(number)) for number, text in enumerate(texts)]


def wrapped(items: Iterable[Article]) -> list[Document]:
    return [Document(text="", id=item.id, metadata={"article": item}) for item in items]


@dataclass
class Speed:
    """Megabytes a second of ours and of the peer, run by run."""

    ours: list[float] = dataclasses.field(default_factory=list)
    peer: list[float] = dataclasses.field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        return statistics.median(a / b for a, b in zip(self.ours, self.peer, strict=True)) if self.peer else None


def measure(texts: Sequence[str], stock_megabytes: float, runs: int, folder: Path) -> dict[str, Speed]:
    """Time all steps, and the chains, over the same text in turn."""
    few = sampled(texts, stock_megabytes)
    paragraphs = [paragraph.text for item in articles(texts) for paragraph in item.paragraphs]
    some = sampled(paragraphs, stock_megabytes)
    size, few_size, paragraphs_size, some_size = map(megabytes, (texts, few, paragraphs, some))
    speeds: defaultdict[str, Speed] = defaultdict(Speed)
    timed(stock_steps(folder), plain(few[:2]))  # loads spaCy
    predict("")
    for _ in range(runs):
        chain = [EncodingStep(), Words(), GopherStep(), Signatures()]
        speeds[CHAIN].ours.append(size / timed(chain, wrapped(articles(texts))))
        speeds[CHAIN].peer.append(few_size / timed(stock_steps(folder), plain(few)))
        documents = wrapped(articles(texts))
        for name, step, peer in (
            ("encoding", EncodingStep(), 0),
            ("words, for all that follow", Words(), None),
            ("Gopher quality", GopherQuality(), 1),
            ("Gopher repetition", GopherRepetition(), 2),
            ("MinHash signatures", Signatures(), 3),
            ("quality of paragraphs", QualityStep(), None),
            ("repetition in paragraphs", RepetitionStep(), None),
        ):
            speeds[name].ours.append(size / timed([step], documents))
            if peer is not None:
                speeds[name].peer.append(few_size / timed([stock_steps(folder)[peer]], plain(few)))
        speeds[MEND].ours.append(paragraphs_size / seconds(encoding.mend, paragraphs))
        speeds[MEND].peer.append(some_size / seconds(fixed, some))
        speeds[LANGUAGE].ours.append(size / timed([LanguageStep()], wrapped(articles(texts))))
        speeds[LANGUAGE].peer.append(paragraphs_size / seconds(predict, paragraphs))
    return speeds


def fixed(text: str) -> str:
    """Text mended by ftfy alone, set as the build sets it."""
    return ftfy.fix_text(text, encoding._FTFY)


def predict(text: str) -> None:
    """The language of a paragraph by fastText alone: the most likely label."""
    model().predict(text.replace("\n", " ") + "\n", 1, 0.0, "replace")


@contextmanager
def our_words() -> Iterator[None]:
    """datatrove's filters, given the words of our tokenizer."""
    modules = gopher_quality_filter, gopher_repetition_filter
    before = [module.split_into_words for module in modules]
    for module in modules:
        module.split_into_words = lambda text, language: words(text)
    try:
        yield
    finally:
        for module, function in zip(modules, before, strict=True):
            module.split_into_words = function


def reason(verdict: bool | tuple[bool, str]) -> str:
    return "" if verdict is True else verdict[1]  # type: ignore[index]


def stock_reasons(texts: Iterable[str], stop_words: Sequence[str]) -> list[tuple[str, str]]:
    """What datatrove's two filters say of each text."""
    quality = gopher_quality_filter.GopherQualityFilter(language="fr", stop_words=list(stop_words))
    repetition = gopher_repetition_filter.GopherRepetitionFilter(language="fr")
    documents = (Document(text=text, id="") for text in texts)
    return [(reason(quality.filter(document)), reason(repetition.filter(document))) for document in documents]


def our_reasons(items: Iterable[Article]) -> list[tuple[str, str]]:
    step = GopherStep()
    found = []
    for item in items:
        text = Text.of(item)
        first, second = (next(rules(text), None) for rules in (step.quality, step.repetition))
        found.append((first.reason if first else "", second.reason if second else ""))
    return found


def decisions(texts: Sequence[str], stock_megabytes: float) -> Iterator[Figure]:
    """How the decisions on each document compare."""
    items, mend = articles(texts), EncodingStep()
    paragraphs = [paragraph.text for item in items for paragraph in item.paragraphs]
    passed = [text for text in paragraphs if not encoding.needs_ftfy(text)]
    unchanged = sum(fixed(text) == text for text in passed)
    note = f"{unchanged:,} of the {len(passed):,} paragraphs that ftfy is spared; {len(paragraphs):,} in all"
    yield Figure("unchanged by ftfy", unchanged / len(passed), 1.0, note)

    for item in items:
        mend.process(item)
    items = [item for item in items if item.text]
    ours = our_reasons(items)
    with our_words():
        stock = stock_reasons([item.text for item in items], STOP_WORDS)
    same = sum(a == b for a, b in zip(ours, stock, strict=True))
    note = f"{same:,} of {len(ours):,} documents, {sum(map(any, ours)):,} of them dropped; decision and reason"
    yield Figure("decided as by datatrove, same words", same / len(ours), 1.0, note)

    few = slice(None, None, max(1, round(megabytes(texts) / stock_megabytes)))
    documents = [item.text for item in items[few]]
    spacy = stock_reasons(documents, SPACY_STOP_WORDS)
    differ = Counter(
        f"{' '.join(filter(None, a)) or 'kept'} here, {' '.join(filter(None, b)) or 'kept'} there"
        for a, b in zip(ours[few], spacy, strict=True)
        if any(a) != any(b)
    )
    note = f"{sum(differ.values()):,} of {len(documents):,} documents kept by one only"
    note += "".join(f"; {count} {what}" for what, count in differ.most_common(2))
    yield Figure("kept or dropped alike, spaCy's words", 1 - sum(differ.values()) / len(documents), None, note)
    ratios = [len(datatrove_text.split_into_words(text, "fr")) / max(1, len(words(text))) for text in documents]
    note = f"a document, from {min(ratios):.2f} to {max(ratios):.2f}: spaCy counts punctuation, not what it joins"
    yield Figure("words of spaCy for one of ours", statistics.median(ratios), None, note)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--megabytes", type=float, default=20, help="text of each corpus, at most")
    parser.add_argument("--stock-megabytes", type=float, default=2, help="sample of it for datatrove's steps")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    if given.real_data is None:
        parser.error("which text? give --real-data DIR or set CORPUSKIT_REAL_DATA")
    logger.remove()
    console = Console(width=None if sys.stdout.isatty() else 160)
    figures = []
    for corpus, read in CORPORA.items():
        texts = taken(read(given.real_data), given.megabytes)
        title = f"{corpus}: {len(texts):,} documents, {megabytes(texts):.1f} MB"
        table = Table("step", "ours MB/s", "peer MB/s", "ratio", "at least", "", "peer", title=title)
        with tempfile.TemporaryDirectory() as folder:
            speeds = measure(texts, given.stock_megabytes, given.runs, Path(folder))
        for name, speed in speeds.items():
            peer = PEERS.get(name, "datatrove's step") if speed.peer else ""
            ours = statistics.median(speed.ours)
            theirs = f"{statistics.median(speed.peer):.2f}" if speed.peer else ""
            figure = Figure(f"{corpus}, {name}", speed.ratio or ours, AT_LEAST.get(name), f"ours {ours:.1f} MB/s")
            if speed.peer:
                note = f"{figure.note}, {peer} {theirs} MB/s; the figure is the ratio"
                figure = dataclasses.replace(figure, note=note)
            figures.append(figure)
            ratio = f"{speed.ratio:.1f}" if speed.ratio else ""
            table.add_row(name, f"{ours:.1f}", theirs, ratio, *judged(figure), peer)
        console.print(table)
        table = Table("decisions", "value", "at least", "", "note", title=corpus)
        for figure in decisions(texts, given.stock_megabytes):
            table.add_row(figure.name, f"{figure.value:.4f}", *judged(figure), figure.note)
            figures.append(dataclasses.replace(figure, name=f"{corpus}, {figure.name}"))
        console.print(table)
    if given.json:
        found = [dataclasses.asdict(figure) for figure in figures]
        given.json.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if all(figure.reached for figure in figures) else 1


def judged(figure: Figure) -> tuple[str, str]:
    """The threshold and whether it is reached, as the tables show them."""
    if figure.at_least is None:
        return "", ""
    return f"{figure.at_least:g}", "ok" if figure.reached else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
