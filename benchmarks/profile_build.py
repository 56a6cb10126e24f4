"""Where the time of a build goes, by stage and by function, over real text of four kinds of source.

    python benchmarks/profile_build.py --real-data DIR

py-spy looks at the build and its workers a hundred times a second, without slowing it. Each look counts for the
innermost function of corpuskit that is at work, whatever it calls in libraries.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_BUILD = (
    "from corpuskit.build import build; from corpuskit.config import validate; build(validate({config!r}), {output!r})"
)
_FRAME = re.compile(r"(.+) \(corpuskit/(.+)\.py")
#: What a stage is known by in a stack: the function that does it, and which stage.
STAGES = {
    "sources/": "read",
    "clean/segment": "read",
    "clean/encoding": "encoding",
    "clean/language": "language",
    "clean/ocr": "ocr",
    "clean/quality": "quality",
    "clean/repetition": "repetition",
    "clean/kinds": "kind",
    "dedup/parts": "keys, signatures, parts",
    "dedup/decide": "near-duplicates, decisions",
    "paragraphs/collate": "write",
    "paragraphs/funnel": "accounts",
    "runs": "checksums",
}


def config(real_data: Path, folder: Path) -> dict[str, Any]:
    """Notices, opinions and cases as JSON lines; JATS, HAL, MEDLINE and Wikipedia as they come."""
    lines = folder / "lines.jsonl"
    with lines.open("w", encoding="utf-8") as out:
        for file in sorted((real_data / "text_fr").glob("*.txt.gz")):
            with gzip.open(file, "rt", encoding="utf-8") as texts:
                for number, text in enumerate(filter(str.strip, texts)):
                    out.write(json.dumps({"id": f"{file.name}:{number}", "text": text}) + "\n")
        out.write((real_data / "e3c_ccby" / "pamj_fr.jsonl").read_text("utf-8"))
    folders = {"hal": "hal", "pubmed": "jats", "medline": "pubmed", "wikipedia": "wikipedia"}
    sources = [{"type": "jsonl", "path": str(lines)}]
    for name, place in folders.items():
        kind = "pubmed" if name == "medline" else name
        sources.append({"type": kind, "name": name, "path": str(real_data / place)})
    return {"sources": sources}


def profile(config: dict[str, Any], folder: Path) -> list[tuple[list[str], int]]:
    """The stacks that were seen, outermost function first, and how often."""
    found = folder / "stacks.txt"
    code = _BUILD.format(config=config, output=str(folder / "output"))
    command = ["py-spy", "record", "--subprocesses", "--rate", "100", "--format", "raw", "--output", str(found), "--"]
    subprocess.run([*command, sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    lines = [line.rpartition(" ") for line in found.read_text("utf-8").splitlines()]
    return [(stack.split(";"), int(count)) for stack, _, count in lines]


def innermost(stack: list[str]) -> tuple[str, str] | None:
    """The stage of a stack, and the innermost function of corpuskit in it."""
    frames = [match for frame in stack if (match := _FRAME.search(frame))]
    stage = next(
        (stage for frame in reversed(frames) for place, stage in STAGES.items() if frame[2].startswith(place)), ""
    )
    return (stage or "other", f"{frames[-1][2].replace('/', '.')}.{frames[-1][1]}") if frames else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--functions", type=int, default=25, help="how many functions to show")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    if given.real_data is None:
        parser.error("which text? give --real-data DIR or set CORPUSKIT_REAL_DATA")
    stages, functions = Counter[str](), Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory() as folder:
        for stack, count in profile(config(given.real_data, Path(folder)), Path(folder)):
            if found := innermost(stack):
                stages[found[0]] += count
                functions[found] += count
    total = stages.total()
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table("stage", "share", title=f"{total / 100:.0f} s of one core")
    for stage, count in stages.most_common():
        table.add_row(stage, f"{count / total:.1%}")
    console.print(table)
    table = Table("stage", "function", "share")
    for (stage, function), count in functions.most_common(given.functions):
        table.add_row(stage, function, f"{count / total:.1%}")
    console.print(table)
    if given.json:
        content = {
            "seconds": total / 100,
            "stages": {stage: round(count / total, 4) for stage, count in stages.most_common()},
            "functions": {function: round(count / total, 4) for (_, function), count in functions.most_common()},
        }
        given.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
