"""report: one page to look at a corpus before it is worked with, or at a pretraining run or an evaluation after it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from corpuskit.cli.common import app, fail


@app.command()
def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="What `build`, `sample`, `pretrain` or `evaluate` wrote, or Parquet.")
    ],
    annotations: Annotated[
        list[Path] | None,
        typer.Option("--annotations", "-a", metavar="DIR", help="Annotations of its paragraphs; repeatable."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="DIR", help="Another run or sample, to show the difference.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Look at a corpus, a pretraining run or an evaluation: one HTML page, which works offline.

    corpuskit report corpus --annotations labels --output report.html
    """
    from corpuskit.enrich.annotations import AnnotationsError
    from corpuskit.evaluate.records import TaskError
    from corpuskit.paragraphs.read import ParagraphsError
    from corpuskit.report import evaluation
    from corpuskit.report.page import ReportError
    from corpuskit.report.run import report as run
    from corpuskit.report.training import is_training, training

    try:
        if is_training(folder):
            if annotations or against:
                raise ReportError(f"{folder} is a pretraining run: leave out --annotations and --against")
            training(folder, output)
            Console().print(f"{folder}: its curves, data and cost are in {output}", markup=False, soft_wrap=True)
            return
        if evaluation.is_evaluation(folder):
            if annotations or against:
                raise ReportError(f"{folder} is an evaluation: leave out --annotations and --against")
            evaluation.of_folder(folder, output)
            Console().print(f"{folder}: its figures and errors are in {output}", markup=False, soft_wrap=True)
            return
        done = run(folder, output, annotations or [], against)
    except (AnnotationsError, ParagraphsError, ReportError, TaskError) as error:
        raise fail(str(error)) from None
    totals, browsed = done.figures.totals, done.browsed
    Console().print(
        f"{totals['paragraphs']:,} paragraphs counted; {len(browsed.kept):,} of them and {len(browsed.dropped):,} of "
        f"{browsed.dropped_of:,} dropped to read in {output} ({output.stat().st_size / 1e6:.1f} MB)",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
