"""biomed-fr-small: a random tenth of the articles of biomed-fr, the same tenth for a seed.

    python pipelines/biomed_fr_small.py DOWNLOADS --output biomed-fr-small --workers 16

DOWNLOADS is laid out as for biomed_fr.py. An article is in or out by a hash of the seed and of its doi
(else its pmid, else its id): in every source alike, and a larger share holds the smaller one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from biomed_fr import SOURCES

from corpuskit.build import build
from corpuskit.config import validate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("downloads", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sources = [
        source | {"path": str(given.downloads / str(source["type"]))}
        for source in SOURCES
        if (given.downloads / str(source["type"])).exists()
    ]
    sample = {"share": given.share, "seed": given.seed}
    config = validate({"language": "fr", "sources": sources, "sample": sample})
    run = build(config, given.output, workers=given.workers)
    for source, counts in run.funnel["kept"].items():
        print(f"{source}: {counts['articles']:,} articles, {counts['words']:,} words")


if __name__ == "__main__":
    main()
