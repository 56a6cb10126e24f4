"""biomed-fr, the published corpus: ISTEX, HAL, PubMed and Wikipedia as clean French paragraphs.

    python pipelines/biomed_fr.py DOWNLOADS --output biomed-fr --workers 16

DOWNLOADS holds a folder a source, as their own tools leave them:

- istex/      istex-dl archives (.zip or .tar.gz) of French articles in biology and medicine
- hal/        TEI exports of the HAL API, and GROBID full texts named after their HAL id
- pubmed/     MEDLINE baseline and update files (.xml.gz), PMC open-access packages (.tar.gz)
- wikipedia/  frwiki-*-pages-articles-multistream.xml.bz2

docs/build.md says how to get them. What is missing is left out, and the manifest says so.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from corpuskit.build import build
from corpuskit.config import validate

SOURCES = [
    # Before 1990 most of ISTEX is scanned, and its recognised characters are poor.
    {"type": "istex", "min_year": 1990},
    {"type": "hal", "domains": ["sdv"]},
    {"type": "pubmed"},
    {"type": "wikipedia", "select": "biomedical"},
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("downloads", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    sources = [
        source | {"path": str(given.downloads / source["type"])}
        for source in SOURCES
        if (given.downloads / str(source["type"])).exists()
    ]
    run = build(validate({"language": "fr", "sources": sources}), given.output, workers=given.workers)
    for source, counts in run.funnel["kept"].items():
        print(f"{source}: {counts['articles']:,} articles, {counts['words']:,} words")


if __name__ == "__main__":
    main()
