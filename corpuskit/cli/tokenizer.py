"""tokenizer: train a tokenizer on a data set, and compare it with another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from corpuskit.cli.common import Output, app, fail

if TYPE_CHECKING:
    from corpuskit.pretrain.tokenizer import Kind, Trained

#: What is told of each tokenizer: the name in the report, what it says to a person, and how the number is written.
_FIGURES = [
    ("vocabulary", "entries", ",d"),
    ("subwords_per_word", "tokens a word", ".3f"),
    ("whole_words", "words that are one token", ".1%"),
    ("tokens_per_number", "tokens a number", ".2f"),
    ("characters_per_token", "characters a token", ".2f"),
    ("unknown", "unknown tokens", ".3%"),
    ("bytes", "tokens that are a byte", ".3%"),
]


@app.command()
def tokenizer(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="What `corpuskit build`, `sample` or `publish` wrote.")],
    output: Output,
    vocabulary: Annotated[int, typer.Option("--vocabulary", min=1, help="Entries, special ones among them.")] = 32_000,
    model_type: Annotated[str, typer.Option("--model-type", help="unigram (as CamemBERT) or bpe.")] = "unigram",
    against: Annotated[
        str | None, typer.Option("--against", help="Another tokenizer to compare with: a name of the Hub, or a folder.")
    ] = None,
    held_out: Annotated[float, typer.Option("--held-out", help="Per cent of the articles to measure on.")] = 1.0,
    max_length: Annotated[int, typer.Option("--max-length", min=1, help="Tokens of a text, as models are told.")] = 512,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another tokenizer in the folder.")] = False,
) -> None:
    """Train a tokenizer on a data set, and measure it on articles that it has not seen.

    corpuskit tokenizer educational --output tokenizer --against almanach/camembert-base
    """
    from corpuskit.paragraphs.read import ParagraphsError
    from corpuskit.pretrain.config import PretrainError

    console = Console()
    try:
        from corpuskit.pretrain.tokenizer import train

        done = train(
            source,
            output,
            vocabulary=vocabulary,
            model_type=cast("Kind", model_type),
            against=against,
            held_out=held_out,
            max_length=max_length,
            overwrite=overwrite,
            tell=lambda line: console.print(escape(line), highlight=False, style="dim"),
        )
    except (ParagraphsError, PretrainError) as error:
        raise fail(str(error)) from None
    _show(done, console)


def _show(done: Trained, console: Console) -> None:
    report, vocabulary = done.report, done.manifest["vocabulary"]
    where = escape(str(done.output))
    if not done.worked:
        console.print(f"[bold]{where}[/] holds this very tokenizer already: nothing to train.", soft_wrap=True)
    console.print(_measure_table(report, done.output.name))
    if report["other"]:
        console.print(
            f"{report['shared']:,} pieces are in both: {report['shared_of_own']:.1%} of those of "
            f"{escape(done.output.name)}, {report['shared_of_other']:.1%} of those of {escape(report['against'])}.",
            highlight=False,
            soft_wrap=True,
        )
        for title, words in (("Fewer tokens", report["better"]), ("More tokens", report["worse"])):
            if words:
                console.print(_word_table(f"{title} than {report['against']}", done.output.name, words))
    if vocabulary["entries"] < vocabulary["asked"]:
        console.print(
            f"[yellow]The text gives {vocabulary['entries']:,} entries, not {vocabulary['asked']:,}: "
            "no more pieces are of use.[/]",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"Written to [bold]{where}[/]", highlight=False, soft_wrap=True)


def _measure_table(report: dict[str, Any], name: str) -> Table:
    title = f"On {report['texts']:,} texts held out, {report['words']:,} words"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    shown = [(name, report["own"]), (report["against"], report["other"])][: 2 if report["other"] else 1]
    for head, _ in shown:
        table.add_column(escape(head), justify="right", overflow="fold")
    for field, told, form in _FIGURES:
        table.add_row(told, *(format(measured[field], form) for _, measured in shown))
    return table


def _word_table(title: str, name: str, words: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("word", no_wrap=True)
    table.add_column("times", justify="right")
    table.add_column(escape(name))
    table.add_column("the other")
    for one in words:
        table.add_row(
            escape(one["word"]), f"{one['count']:,}", *(escape(" ".join(one[side])) for side in ("own", "other"))
        )
    return table
