"""Quality against gold, in one table: ``python benchmarks/quality.py --real-data DIR [--json FILE]``.

Each ``gold_*.py`` beside this file measures one thing against data that a person labelled or wrote.
The run fails when a figure misses its threshold.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

MEASURES = ["language", "ocr", "jats", "hal", "reflow", "wikipedia", "contamination", "near", "student"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--only", choices=MEASURES, action="append", help="measure only this")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    if given.real_data is None:
        parser.error("where is the gold? give --real-data DIR or set CORPUSKIT_REAL_DATA")
    table = Table("what", "figure", "value", "at least", "", "note")
    found, missed = [], 0
    for what in given.only or MEASURES:
        for figure in importlib.import_module(f"gold_{what}").measure(given.real_data):
            missed += not figure.reached
            table.add_row(what, figure.name, f"{figure.value:.4f}", figure.threshold, figure.verdict, figure.note)
            found.append({"what": what} | dataclasses.asdict(figure))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
