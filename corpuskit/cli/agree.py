"""The commands about people's labels: `annotate-sheet` draws and reads sheets, `agree` compares annotators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from corpuskit.cli.common import app, fail

if TYPE_CHECKING:
    from corpuskit.enrich.agreement import FieldAgreement, Figure, Pair

#: A confusion matrix of more classes fits no terminal; it is in the JSON.
_CLASSES = 12

sheet_app = typer.Typer(help="Label paragraphs by hand: draw a sheet, read it back.", no_args_is_help=True)
app.add_typer(sheet_app, name="annotate-sheet")


@app.command()
def agree(
    folders: Annotated[
        list[Path], typer.Argument(metavar="A B [C …]", help="Annotations of the same paragraphs; A is the reference.")
    ],
    resamples: Annotated[int, typer.Option("--resamples", min=0, help="Of the bootstrap; 0 for no intervals.")] = 1_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap.")] = 0,
    weighted: Annotated[
        bool, typer.Option("--weighted", help="Count paragraphs by their sampling weights: figures of the corpus.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Compare annotators: people, models, students; each figure with its 95 % interval.

    corpuskit agree by-hand annotations student
    """
    from corpuskit.enrich import agreement
    from corpuskit.enrich.annotations import AnnotationsError

    try:
        found = agreement.agree(folders, resamples=resamples, seed=seed, weighted=weighted)
    except (agreement.AgreementError, AnnotationsError) as error:
        raise fail(str(error)) from None
    console = Console()
    raters = Table("", "annotator", "folder", "prompt", "answered", box=None, pad_edge=False)
    for one in found.raters:
        name = " ".join(filter(None, (one.kind, one.name, one.revision)))
        raters.add_row(
            one.letter, escape(name), escape(one.folder), escape(one.prompt), f"{one.answered:,} of {one.asked:,}"
        )
    console.print(raters)
    for remark in found.remarks:
        console.print(f"[yellow]not compared as it is:[/] {escape(remark)}", highlight=False, soft_wrap=True)
    how = "counting paragraphs by their sampling weights" if weighted else "of the sample"
    console.print(f"Figures {how}; 95 % intervals of {resamples:,} resamples of articles.", highlight=False)
    for name, told in found.fields.items():
        _show_field(console, name, told)
    if output is not None:
        output.write_text(json.dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _show_field(console: Console, name: str, told: FieldAgreement) -> None:
    title = f"\n[bold]{escape(name)}[/] ({told.type}): {told.paragraphs:,} paragraphs of {told.articles:,} articles"
    console.print(title, highlight=False)
    reasons: dict[str, dict[str, None]] = {}

    def show(figure: Figure | None, of: str) -> str:
        if figure is None:
            return ""
        if figure.reason:
            reasons.setdefault(figure.reason, {})[of] = None
        if figure.value is None:
            return "–"
        interval = "" if figure.low is None or figure.high is None else f" [{figure.low:.3f}, {figure.high:.3f}]"
        return escape(f"{figure.value:.3f}{interval}")

    table = Table("measure", box=None, pad_edge=False)
    if several := len(told.raters) > 2:
        table.add_column(f"all of {', '.join(told.raters)}")
    for pair in told.pairs:
        table.add_column(f"{'–'.join(pair.raters)}, n = {pair.paragraphs:,}")
    # α over all raters stands beside α of each two.
    overall = {("density_alpha" if one == "density" else f"alpha_{one}"): figure for one, figure in told.alpha.items()}
    for measure in dict.fromkeys(measure for pair in told.pairs for measure in pair.figures):
        first = [show(overall.get(measure), measure)] if several else []
        table.add_row(measure, *first, *(show(pair.figures.get(measure), measure) for pair in told.pairs))
    console.print(table)
    for pair in told.pairs:
        if pair.labels:
            labels = Table("label", "support", "precision", "recall", "F1", box=None, pad_edge=False)
            for label, one in pair.labels.items():
                measured = (show(one[measure], label) for measure in ("precision", "recall", "f1"))
                labels.add_row(escape(label), f"{one['support']:,}", *measured)
            console.print(f"{'–'.join(pair.raters)}, by label ({pair.raters[0]} is the reference):", highlight=False)
            console.print(labels)
        if pair.expected_of:
            soft = " and ".join(pair.expected_of)
            console.print(f"{'–'.join(pair.raters)}: *_expected takes the mean of the distribution of {soft}")
        if pair.confusion and len(told.classes) <= _CLASSES:
            console.print(f"{pair.raters[0]} in rows, {pair.raters[1]} in columns:", highlight=False)
            console.print(_confusion(pair, told.classes))
    for reason, of in reasons.items():
        console.print(f"[dim]{escape(', '.join(of))}: {escape(reason)}[/]", highlight=False)


def _confusion(pair: Pair, classes: list[str]) -> Table:
    table = Table("paragraphs", *map(escape, classes), box=None, pad_edge=False)
    for label, counts in zip(classes, pair.confusion, strict=True):
        table.add_row(escape(label), *(f"{count:,}" for count in counts))
    return table


@sheet_app.command("draw")
def draw_sheet(
    paragraphs: Annotated[
        Path, typer.Argument(help="Folder that `corpuskit build` wrote, or Parquet with id and text.")
    ],
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="Prompt that is asked: its name, or a file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Sheet to write: .html, .xlsx or .csv.")],
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Paragraphs to draw.")] = 200,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Column or field that makes the strata; repeatable.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option("--like", help="Annotations to draw by, so that rare labels are there.")
    ] = None,
    sheets: Annotated[int, typer.Option("--sheets", min=1, help="Deal out to as many people, a sheet each.")] = 1,
    double: Annotated[int, typer.Option("--double", min=0, help="Paragraphs that stand in every sheet.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Another seed draws others.")] = 0,
) -> None:
    """Draw a stratified sample of paragraphs for people to label.

    corpuskit annotate-sheet draw corpus --prompt biomed-enriched-fr --number 200 --output sheet.html
    """
    from corpuskit.enrich import prompts, sheet
    from corpuskit.enrich.annotations import AnnotationsError
    from corpuskit.paragraphs.read import ParagraphsError

    try:
        asked = prompts.load(prompt)
        drawn = sheet.draw(paragraphs, asked, output, number, by or None, seed, like, sheets, double)
    except (prompts.PromptError, sheet.SheetError, AnnotationsError, ParagraphsError) as error:
        raise fail(str(error)) from None
    console = Console()
    table = Table(*drawn.by or ("",), "drawn", "of", box=None, pad_edge=False)
    for stratum, (taken, size) in drawn.strata.items():
        table.add_row(*([escape(value) or "–" for value in stratum] or ["all"]), f"{taken:,}", f"{size:,}")
    console.print(table)
    files = ", ".join(map(str, drawn.files))
    console.print(f"{drawn.paragraphs:,} paragraphs in {files}", highlight=False, markup=False, soft_wrap=True)


@sheet_app.command("read")
def read_sheet(
    file: Annotated[Path, typer.Argument(help="The filled .xlsx or .csv, or the answers.json that the page saved.")],
    annotator: Annotated[str, typer.Option("--annotator", "-a", help="Who answered.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of annotations to write.")],
) -> None:
    """Read a filled sheet into annotations. Exit status 2: some values were wrong, each is named.

    corpuskit annotate-sheet read answers.json --annotator ana --output by-ana
    """
    from corpuskit.enrich import sheet

    try:
        found = sheet.read_back(file, output, annotator)
    except sheet.SheetError as error:
        raise fail(str(error)) from None
    told = f"{found.answered:,} answered, {found.unsure:,} unsure, {found.blank:,} blank, {found.invalid:,} invalid"
    Console().print(f"{told}: {output}", highlight=False, markup=False, soft_wrap=True)
    if found.wrong:
        errors = Console(stderr=True)
        for one in found.wrong:
            errors.print(one, highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(2)
