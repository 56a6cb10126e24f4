"""distil, label: train a student on annotations, and let it label the corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from corpuskit.cli.common import Executor, Output, Profile, RayAddress, Workers, app, execution_of, fail, interrupted

if TYPE_CHECKING:
    from corpuskit.student.distil import Report
    from corpuskit.student.encoder import EncoderOptions
    from corpuskit.student.label import Labelled
    from corpuskit.student.linear import LinearOptions


@app.command()
def distil(
    annotations: Annotated[
        Path, typer.Argument(metavar="ANNOTATIONS", help="What `corpuskit enrich` wrote, or any annotation table.")
    ],
    output: Output,
    student: Annotated[
        str, typer.Option("--student", help="linear (fast, on a processor), or an encoder: Hugging Face id or folder.")
    ] = "linear",
    paragraphs: Annotated[
        Path | None, typer.Option("--paragraphs", help="Where the texts are, if the annotations do not hold them.")
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", metavar="FIELD", help="Learn only this field; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the split by article and of training.")] = 0,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Of an encoder, at most.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Paragraphs of a step of an encoder.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Of an encoder, at its highest.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option("--max-length", min=8, help="Tokens of a paragraph that an encoder reads.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another student in the folder.")] = False,
) -> None:
    """Train a student on annotations, and measure it on articles that it has not seen.

    corpuskit distil annotations --student almanach/camembert-bio-base --output student
    """
    from corpuskit.enrich.annotations import AnnotationsError
    from corpuskit.paragraphs.read import ParagraphsError
    from corpuskit.student.distil import distil as train
    from corpuskit.student.heads import StudentError

    given = {"epochs": epochs, "batch": batch, "learning_rate": learning_rate, "max_length": max_length}
    console = Console(stderr=True)
    try:
        report = train(
            annotations,
            student,
            output,
            paragraphs=paragraphs,
            fields=field or None,
            seed=seed,
            options=_options(student, {name: value for name, value in given.items() if value is not None}),
            overwrite=overwrite,
            tell=lambda line: console.print(line, highlight=False, markup=False),
        )
    except (StudentError, AnnotationsError, ParagraphsError) as error:
        raise fail(str(error)) from None
    _show_report(report)


def _options(student: str, given: dict[str, Any]) -> LinearOptions | EncoderOptions | None:
    from pydantic import ValidationError

    from corpuskit.student.distil import LINEAR
    from corpuskit.student.heads import StudentError

    if not given:
        return None
    first = "--" + next(iter(given)).replace("_", "-")
    if student == LINEAR:
        raise StudentError(f"{first} is of an encoder; the linear student has no such thing")
    from corpuskit.student.encoder import EncoderOptions

    try:
        return EncoderOptions.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        raise StudentError(f"--{str(problem['loc'][0]).replace('_', '-')}: {problem['msg']}") from None


def _show_report(report: Report) -> None:
    table = Table("field", "n", "accuracy", "macro-F1", "r", "MAE", "QWK", "ECE before", "ECE after", box=None)
    for name, found in report.fields.items():
        row = [found.get(one) for one in ("accuracy", "macro_f1", "pearson", "mae", "quadratic_kappa")]
        row += [found.get("ece_before"), found.get("ece")]
        told = f"{name} (density)" if found["kind"] == "density" else name
        table.add_row(told, f"{found['n']:,}", *("" if value is None else f"{value:.3f}" for value in row))
    console = Console()
    console.print(table)
    of = report.content["split"]
    told = ", ".join(f"{of[part]['articles']:,} {part} ({of[part]['paragraphs']:,} paragraphs)" for part in of)
    console.print(f"Articles: {told}. Figures: on the test articles, against the teacher.", highlight=False)
    for warning in report.content["warnings"]:
        console.print(f"[yellow]note:[/] {escape(warning)}", highlight=False)
    console.print(
        f"Written to [bold]{escape(str(report.output))}[/]: student.json, report.json", highlight=False, soft_wrap=True
    )


@app.command()
def label(
    paragraphs: Annotated[
        str, typer.Argument(metavar="PARAGRAPHS", help="What `corpuskit build` wrote, or Parquet with `id` and `text`.")
    ],
    student: Annotated[Path, typer.Option("--student", help="Folder that `corpuskit distil` wrote.")],
    output: Output,
    workers: Workers = 1,
    executor: Executor = "local",
    profile: Profile = None,
    ray_address: RayAddress = "auto",
    batch_tokens: Annotated[
        int | None, typer.Option("--batch-tokens", min=1, help="Tokens of a batch of an encoder; less, less memory.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace other labels in the folder.")] = False,
) -> None:
    """Label all paragraphs of a corpus with a student.

    corpuskit label corpus --student student --output labels --workers 8

    An interrupted run goes on with the same command.
    """
    from corpuskit.config import ConfigError
    from corpuskit.executors import ProfileError, TaskFailed
    from corpuskit.paragraphs.read import ParagraphsError
    from corpuskit.student.heads import StudentError
    from corpuskit.student.label import label as run

    try:
        execution = execution_of(executor, workers, profile, ray_address)
        done = run(paragraphs, student, output, execution, batch_tokens=batch_tokens, overwrite=overwrite)
    except (ConfigError, ParagraphsError, ProfileError, StudentError, TaskFailed) as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise interrupted(f"what was finished is kept in {output}/.work") from None
    _show_labels(done)


def _show_labels(done: Labelled) -> None:
    told, console = done.manifest, Console()
    if not done.worked:
        console.print(
            f"[bold]{escape(str(done.output))}[/] holds these very labels already: nothing to do.", soft_wrap=True
        )
    table = Table("field", "answer", "paragraphs", "share", box=None)
    for name, answers in told["answers"].items():
        total = max(1, sum(answers.values()))
        for place, (answer, number) in enumerate(answers.items()):
            table.add_row("" if place else name, escape(answer), f"{number:,}", f"{number / total:.1%}")
    if table.row_count:
        console.print(table)
    number, seconds = told["paragraphs"], told["seconds"]["label"]
    if empty := told["outcomes"].get("error", 0):
        console.print(f"{empty:,} paragraphs have no text: they have no labels.", highlight=False)
    if told["truncated"]:
        console.print(f"{told['truncated']:,} paragraphs were longer than the encoder reads, and were cut.")
    rate = "" if told["tasks"]["done_before"] or not done.worked else f", {number / seconds:,.0f} a second"
    console.print(
        f"{number:,} paragraphs in {seconds:.1f} s{rate}. Written to [bold]{escape(str(done.output))}[/]",
        highlight=False,
        soft_wrap=True,
    )
