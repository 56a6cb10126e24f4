"""From a folder to its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from corpuskit.report import page
from corpuskit.report.browse import Browsed, browse
from corpuskit.report.compare import Compared, compare
from corpuskit.report.figures import Figures, count
from corpuskit.report.tables import opened


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was written, and what it tells."""

    output: Path
    figures: Figures
    browsed: Browsed
    compared: Compared | None


def report(path: Path, output: Path, labels: Sequence[Path] = (), against: Path | None = None) -> Report:
    """Look at a folder and write the page.

    Args:
        path: what `corpuskit build` or `corpuskit sample` wrote, or Parquet files of paragraphs.
        output: the HTML file; one that is there is replaced.
        labels: folders of annotations, joined by paragraph.
        against: another such folder, to compare with.

    Raises:
        ParagraphsError: a folder holds no paragraphs.
        AnnotationsError: a folder holds no annotations.
        ReportError: a table cannot be read, the page cannot be made or written.
    """
    try:
        figures, browsed, compared = _look(path, labels, against)
    except duckdb.Error as error:
        told = str(error).strip().partition("\n")[0]
        raise page.ReportError(f"{path}: the tables cannot be counted: {told}") from None
    page.write(output, page.render(figures, browsed, compared))
    return Report(output, figures, browsed, compared)


def _look(path: Path, labels: Sequence[Path], against: Path | None) -> tuple[Figures, Browsed, Compared | None]:
    with opened(path, labels) as tables:
        figures, browsed = count(tables), browse(tables)
    if against is None:
        return figures, browsed, None
    with opened(against, labels) as other:  # one after the other: each may fill its share of the memory
        return figures, browsed, compare(figures, path, count(other), other)
