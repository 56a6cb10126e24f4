"""Readers against bare parsers over the same files, in one run: ``python benchmarks/readers.py --real-data DIR``.

The files are made by repeating real records. Each pair is timed in turn, several times; the median
of the ratios is what counts (above 1: ours is faster).
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mwparserfromhell
from figures import Figure, conclude
from lxml import etree
from rich.console import Console
from rich.table import Table

from corpuskit.files import InputFile
from corpuskit.records import Article
from corpuskit.sources.base import SourceReader
from corpuskit.sources.hal import HalReader
from corpuskit.sources.pubmed import PubmedReader
from corpuskit.sources.wikipedia import WikipediaReader

SAMPLES = Path(__file__).parent.parent / "corpuskit" / "samples"


def iterparse(path: Path) -> None:
    """A bare walk over every element: the least that any iterparse reader does."""
    for _, element in etree.iterparse(str(path), huge_tree=True):
        element.clear()


def strip_code(path: Path) -> None:
    """mwparserfromhell over every page of a dump."""
    for _, element in etree.iterparse(str(path), tag="{*}text", huge_tree=True):
        mwparserfromhell.parse(element.text or "").strip_code()
        element.clear()


def read(reader: SourceReader, path: Path) -> Callable[[], None]:
    """Everything the reader does, its articles thrown away."""

    def run() -> None:
        found = list(reader.read_file(InputFile(str(path), path.name, path.stat().st_size)))
        assert found
        assert all(isinstance(item, Article) for item in found), found

    return run


def medline(real_data: Path, folder: Path, times: int) -> Path:
    records = [
        record
        for path in sorted((real_data / "pubmed").glob("*.xml"))
        for record in re.findall(rb"<PubmedArticle>.*?</PubmedArticle>", path.read_bytes(), re.DOTALL)
    ]
    target = folder / "medline.xml"
    target.write_bytes(b"<PubmedArticleSet>\n" + b"\n".join(records) * times + b"\n</PubmedArticleSet>\n")
    return target


def hal(real_data: Path, folder: Path, times: int) -> Path:
    export = (real_data / "hal" / "ExportHAL-LR-2020-12.xml").read_bytes()
    start, end = export.index(b"<biblFull"), export.rindex(b"</biblFull>") + len(b"</biblFull>")
    target = folder / "hal.xml"
    target.write_bytes(export[:start] + export[start:end] * times + export[end:])
    return target


def grobid(folder: Path, times: int) -> Path:
    """The body of the sample's full text, as long as a shelf of theses, sentences not marked (GROBID's default)."""
    sample = re.sub(rb' xml:id="[^"]*"|</?s>', b"", next((SAMPLES / "hal" / "fulltext").glob("*.xml")).read_bytes())
    start, end = sample.index(b"<body>") + len(b"<body>"), sample.index(b"</body>")
    target = folder / "hal-02184001.grobid.tei.xml"
    target.write_bytes(sample[:start] + sample[start:end] * times + sample[end:])
    return target


def jats(real_data: Path, folder: Path, times: int) -> Path:
    articles = []
    for path in sorted((real_data / "jats").glob("*/*.xml")):
        found = re.search(rb"<article[\s>].*</article>", path.read_bytes(), re.DOTALL)
        assert found
        articles.append(found[0])
    target = folder / "jats.xml"
    target.write_bytes(b"<pmc-articleset>" + b"\n".join(articles) * times + b"</pmc-articleset>")
    return target


def dump(real_data: Path, folder: Path, times: int) -> Path:
    """The pages of the real dumps, all but a few not biomedical, and those of the sample, most of which are."""
    import bz2

    pages = []
    for path in sorted((real_data / "wikipedia").glob("*.xml.bz2")):
        pages += re.findall(rb"<page>.*?</page>", bz2.decompress(path.read_bytes()), re.DOTALL)
    sample = next((SAMPLES / "wikipedia").glob("*.xml")).read_bytes()
    pages += re.findall(rb"<page>.*?</page>", sample, re.DOTALL)
    target = folder / "frwiki.xml"
    head = sample[: sample.index(b"<page>")]
    target.write_bytes(head + b"\n".join(pages) * times + b"\n</mediawiki>\n")
    return target


def ratio(ours: Callable[[], None], peer: Callable[[], None], runs: int) -> tuple[float, float, float]:
    """Median seconds of both and the median of peer / ours."""
    mine, theirs = [], []
    for _ in range(runs):
        for run, seconds in ((ours, mine), (peer, theirs)):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(mine, theirs, strict=True)]
    return statistics.median(mine), statistics.median(theirs), statistics.median(ratios)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    if given.real_data is None:
        parser.error("which files? give --real-data DIR or set CORPUSKIT_REAL_DATA")
    table = Table("reader", "file MB", "ours MB/s", "peer MB/s", "ratio", "at least", "", "peer")
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs = [
            ("pubmed, MEDLINE", medline(given.real_data, folder, 500), PubmedReader, {}, iterparse, 0.5),
            ("pubmed, JATS", jats(given.real_data, folder, 2), PubmedReader, {}, iterparse, 0.5),
            ("hal", hal(given.real_data, folder, 30), HalReader, {"domains": []}, iterparse, 0.5),
            ("hal, GROBID full text", grobid(folder, 2000), HalReader, {}, iterparse, 0.5),
            ("wikipedia, biomedical", dump(given.real_data, folder, 2), WikipediaReader, {}, strip_code, 2.0),
            ("wikipedia, every page", folder / "frwiki.xml", WikipediaReader, {"select": "all"}, strip_code, None),
        ]
        for reader, path, kind, options, peer, at_least in pairs:
            size = path.stat().st_size / 1e6
            ours, theirs, faster = ratio(
                read(kind(str(path), **options), path), lambda peer=peer, path=path: peer(path), given.runs
            )
            told = f"{peer.__name__} over the same file"
            figure = Figure(reader, faster, at_least, f"{size:.1f} MB; ours {size / ours:.1f} MB/s, {told}")
            figures.append(figure)
            table.add_row(
                reader,
                f"{size:.1f}",
                f"{size / ours:.1f}",
                f"{size / theirs:.1f}",
                f"{faster:.2f}",
                figure.threshold,
                figure.verdict,
                told,
            )
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return conclude(figures, given.json)


if __name__ == "__main__":
    sys.exit(main())
