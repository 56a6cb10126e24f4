"""compare: systems side by side, from what `corpuskit evaluate` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from corpuskit.cli.common import app, fail


@app.command()
def compare(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR…", help="What `corpuskit evaluate` wrote, or folders with such in them."),
    ],
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="NAME", help="System that the others are compared with; the first."),
    ] = None,
    measures: Annotated[
        list[str] | None,
        typer.Option("--measure", metavar="NAME", help="What to tell beside the headline; repeatable; all."),
    ] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write the tables there.")] = None,
    latex: Annotated[Path | None, typer.Option("--latex", metavar="FILE", help="The same in LaTeX (booktabs).")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="HTML page: tables, charts, errors to browse.")
    ] = None,
) -> None:
    """Compare systems by every scorer: means, intervals, p-values, ranks and costs.

    corpuskit compare results --baseline dictionary --markdown table.md --report report.html
    """
    from corpuskit.evaluate import compare as comparing
    from corpuskit.evaluate import leaderboard
    from corpuskit.evaluate.records import TaskError
    from corpuskit.report.evaluation import evaluation
    from corpuskit.report.page import ReportError

    console = Console(soft_wrap=False)
    try:
        found = comparing.compare(comparing.find(folders), baseline, measures)
        for path in comparing.unfinished(folders):
            Console(stderr=True).print(
                f"[yellow]left out:[/] {escape(str(path))} is not finished", highlight=False, soft_wrap=True
            )
        console.print(leaderboard.terminal(found))
        for output, form in ((markdown, leaderboard.markdown), (latex, leaderboard.latex)):
            if output is not None:
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(form(found), encoding="utf-8")
        if report is not None:
            evaluation(found, report)
    except (TaskError, ReportError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename} cannot be written: {error.strerror}") from None
    for output in (markdown, latex, report):
        if output is not None:
            console.print(f"written: {output}", markup=False, highlight=False, soft_wrap=True)
