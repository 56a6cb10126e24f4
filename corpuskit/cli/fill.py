"""fill: what language models put in a gap, and how well they foresee held-out texts, side by side."""

from __future__ import annotations

import json
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from corpuskit.cli.common import app, fail


@app.command()
def fill(
    models: Annotated[
        list[str], typer.Option("--model", help="Hugging Face id or folder; repeatable, the first is held against.")
    ],
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT…]", help="With <mask> where a word is to be guessed.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Guesses for each gap.")] = 5,
    biomedical: Annotated[
        Path | None, typer.Option("--biomedical", help="Held-out texts of the field: Parquet, JSONL or plain text.")
    ] = None,
    general: Annotated[
        Path | None, typer.Option("--general", help="Held-out texts of any field, to see what was forgotten.")
    ] = None,
    number: Annotated[int, typer.Option("--texts", min=1, help="Held-out texts that are read, by hash.")] = 200,
    words: Annotated[int, typer.Option("--words", min=0, help="Words of each that are guessed; 0 for all.")] = 10,
    original: Annotated[
        bool, typer.Option("--original", help="Show the rest of the word when a token of it is guessed.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """See what language models put in a gap, and how well they foresee held-out texts.

    corpuskit fill "Le patient présente une <mask> aiguë" --model almanach/camembert-base --model my-run
    """
    from corpuskit.paragraphs.read import ParagraphsError
    from corpuskit.pretrain.config import PretrainError

    console = Console(stderr=True)
    paths = {name: path for name, path in (("biomedical", biomedical), ("general", general)) if path is not None}
    if not texts and not paths:
        raise fail("nothing to look at: give a text with <mask>, or held-out texts with --biomedical or --general")
    if output is not None and (output.is_dir() or not output.absolute().parent.is_dir()):
        raise fail(f"--json {output}: expected a file, in a folder that is there")
    try:
        from corpuskit.pretrain.fill import look, read_texts, sample

        told = look(
            models,
            texts or [],
            {name: sample(read_texts(path), number) for name, path in paths.items()},
            top=top,
            words=words or None,
            original=original,
            tell=lambda line: console.print(line, highlight=False, markup=False),
        )
    except (ParagraphsError, PretrainError) as error:
        raise fail(str(error)) from None
    for found in told["predictions"]:
        _show_guesses(found)
    if told["perplexity"]:
        _show_perplexity(told["perplexity"])
    if output is not None:
        try:
            output.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise fail(f"--json {output}: cannot be written: {error.strerror}") from None


def _show_guesses(found: dict[str, Any]) -> None:
    console = Console()
    console.print(f"\n[bold]{escape(found['text'])}[/]", highlight=False, soft_wrap=True)
    gaps = len(next(iter(found["models"].values())))
    for gap in range(gaps):
        table = Table(box=None, pad_edge=False, title=f"gap {gap + 1}" if gaps > 1 else None, title_justify="left")
        cells = []
        for name, guesses in found["models"].items():
            table.add_column(escape(name))
            table.add_column("", justify="right")
            cells.append([escape(f"{'…' if one['continues'] else ''}{one['piece']}") for one in guesses[gap]])
            cells.append([f"{one['probability']:.1%}" for one in guesses[gap]])
        for row in zip_longest(*cells, fillvalue=""):
            table.add_row(*row)
        console.print(table)


def _show_perplexity(sets: dict[str, Any]) -> None:
    console = Console()
    columns = ("perplexity per word", "per token", "bits per character", "per word, against the first")
    table = Table("", "model", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    for name, told in sets.items():
        for place, (model, one) in enumerate(told["models"].items()):
            table.add_row(
                "" if place else name,
                escape(model),
                *(f"{one[figure]:,.2f}" for figure in ("perplexity_per_word", "perplexity_per_token")),
                f"{one['bits_per_character']:.3f}",
                _change(told["against_the_first"].get(model)),
            )
    console.print()
    console.print(table)
    sizes = ", ".join(f"{told['words']:,} words of {told['texts']:,} {name} texts" for name, told in sets.items())
    console.print(f"{sizes}. In brackets: 95 % of 1,000 resamples of texts; with 0 inside, a gap may be chance.",
                  highlight=False, markup=False, soft_wrap=True)  # fmt: skip
    for line in _remarks(sets):
        console.print(f"[yellow]note:[/] {escape(line)}", highlight=False, soft_wrap=True)


def _change(gap: dict[str, Any] | None) -> str:
    if gap is None:
        return ""
    low, high = gap["low"], gap["high"]
    interval = "" if low is None or high is None else f" [{low - 1:+.1%}, {high - 1:+.1%}]"
    return escape(f"{gap['ratio'] - 1:+.1%}{interval}")


def _remarks(sets: dict[str, Any]) -> list[str]:
    """What stands in the way of a fair comparison."""
    lines: dict[str, None] = {}
    for name, told in sets.items():
        if len({one["kind"] for one in told["models"].values()}) > 1:
            lines["a causal model sees only what comes before a word: do not compare it with a masked one"] = None
        for model, one in told["models"].items():
            if one["unknown_tokens"]:
                share = one["unknown_tokens"] / one["tokens"]
                lines[f"{name}: {share:.1%} of the tokens of {model} are unknown to it: its figures are too good"] = (
                    None
                )
    return list(lines)
