"""How fast the page of a large corpus opens: ``python benchmarks/report.py --real-data DIR --paragraphs 1000000``.

The corpus is that of ``benchmarks/sample.py``: real French sentences drawn again and again, annotated. The page is
written by ``corpuskit report`` and opened in a headless Chromium, a fresh one each time; what counts is the time from
the start of loading until it can be read, and until all charts are drawn. Results: ``results/report.json``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import Figure, conclude
from rich.console import Console
from sample import corpus
from scale import sentences
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from corpuskit.report.run import report

#: Bytes of a paragraph, about.
_BYTES = 570


def opened(page: Path, profile: Path) -> dict[str, float]:
    """Open the page; seconds until it is readable, and until it is drawn."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium") or shutil.which("google-chrome"))
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1280,900",
                 "--disable-dev-shm-usage", f"--user-data-dir={profile}"):  # fmt: skip
        options.add_argument(flag)
    with Chrome(options=options, service=Service(executable_path=shutil.which("chromedriver"))) as browser:
        browser.get("about:blank")
        browser.get(page.as_uri())
        drawn = WebDriverWait(browser, 60, poll_frequency=0.02).until(
            lambda one: one.execute_script("return document.documentElement.dataset.drawn && performance.now()")
        )
        told: dict[str, Any] = browser.execute_script("return performance.getEntriesByType('navigation')[0].toJSON()")
    return {"readable": told["domContentLoadedEventEnd"] / 1000, "drawn": float(drawn) / 1000}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--paragraphs", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5, help="that the page is opened")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    if given.real_data is None:
        parser.error("where is the text? give --real-data DIR or set CORPUSKIT_REAL_DATA")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        megabytes = corpus(work / "corpus", given.paragraphs * _BYTES / 1e6, sentences(given.real_data))
        begun = time.perf_counter()
        report(work / "corpus", work / "report.html", [work / "corpus" / "labels"])
        written = time.perf_counter() - begun
        size = (work / "report.html").stat().st_size / 1e6
        found = [opened(work / "report.html", work / f"profile-{number}") for number in range(given.times)]
    readable, drawn = (statistics.median(one[name] for one in found) for name in ("readable", "drawn"))
    figures = [
        Figure("seconds until it is readable", readable),
        Figure("seconds below 2 until all is drawn", 2 - drawn, 0.0, f"{drawn:.2f} s"),
        Figure("seconds to write it", written, note=f"{megabytes:,.0f} MB of text"),
        Figure("megabytes of the page", size),
    ]
    console = Console()
    for figure in figures:
        console.print(f"{figure.name}: {figure.value:.2f} {figure.verdict} {figure.note}".strip(), highlight=False)
    return conclude(figures, given.json, {"paragraphs": given.paragraphs, "opened": found})


if __name__ == "__main__":
    sys.exit(main())
