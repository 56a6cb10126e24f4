"""publish, refill: a data set for the Hub, and the way back to the texts that it withholds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from corpuskit.cli.common import Output, app, fail, named

if TYPE_CHECKING:
    from corpuskit.publish.dataset import Published

_Value = TypeVar("_Value")


@app.command()
def publish(
    corpus: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `corpuskit build` wrote.")],
    output: Output,
    sample: Annotated[
        list[str] | None,
        typer.Option(
            "--sample", metavar="[NAME=]DIR", help="A configuration that `corpuskit sample` wrote; repeatable."
        ),
    ] = None,
    annotations: Annotated[
        list[str] | None,
        typer.Option(
            "--annotations",
            metavar="[NAME=]DIR",
            help="Annotations beside the paragraphs, in columns `annotation_…` or `NAME_…`; repeatable.",
        ),
    ] = None,
    agreement: Annotated[
        Path | None, typer.Option("--agreement", metavar="FILE", help="What `corpuskit agree --json` wrote.")
    ] = None,
    student: Annotated[
        Path | None, typer.Option("--student", metavar="DIR", help="The student that gave the labels, for its report.")
    ] = None,
    licence: Annotated[
        list[str] | None,
        typer.Option(
            "--licence", metavar="SOURCE=LICENCE", help="Licence of what states none in this source; repeatable."
        ),
    ] = None,
    without: Annotated[
        Path | None,
        typer.Option("--without", metavar="FILE", help="Articles to leave out: an id, DOI or address a line."),
    ] = None,
    splits: Annotated[
        str, typer.Option("--splits", help="Train/validation/test, in per cent of the articles.")
    ] = "98/1/1",
    link: Annotated[
        bool | None,
        typer.Option(
            "--link/--no-link",
            help="Compare texts, so that near-duplicates are in one split (default: if the build kept them).",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Title of the card; else the name of the folder.")] = "",
    author: Annotated[list[str] | None, typer.Option("--author", help="Who is to be cited; repeatable.")] = None,
    contact: Annotated[str, typer.Option("--contact", help="Address for questions and removals.")] = "",
    push: Annotated[
        str | None, typer.Option("--push", metavar="ORG/NAME", help="Push to the Hub; the token is in HF_TOKEN.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="A repository made by --push is open to all.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another publication in the folder.")] = False,
) -> None:
    """Write a data set for the Hugging Face Hub, with its card; push it if asked.

    corpuskit publish corpus --annotations labels --sample biomed-fr-small --output published

    Nothing reaches the network without --push. A push that was interrupted goes on with the same command.
    """
    from corpuskit.config import ConfigError

    try:
        from corpuskit.publish.dataset import Publication, PublishError
        from corpuskit.publish.dataset import publish as run
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        raise fail("a card needs jinja2: pip install 'corpuskit-fr[publish]'") from None
    from corpuskit.publish.push import PushError, ready
    from corpuskit.publish.push import push as send
    from corpuskit.publish.splits import Shares, SplitError

    try:
        if push:
            ready(push)
        stated = [named("--licence", one, "hal=CC-BY-4.0") for one in licence or ()]
        drawn = [(told or path.absolute().name, path) for told, path in map(_named, sample or ())]
        publication = Publication(
            name=name,
            authors=tuple(author or ()),
            contact=contact,
            url=f"https://huggingface.co/datasets/{push}" if push else "",
            licences=_each("--licence", stated, "give one"),
            shares=Shares.parse(splits),
            link=link,
        )
        done = run(
            corpus,
            output,
            publication,
            samples=_each("--sample", drawn, "give each a name of its own: --sample NAME=DIR"),
            annotations=[_named(one) for one in annotations or ()],
            agreement=agreement,
            student=student,
            without=without,
            overwrite=overwrite,
        )
        _show(done)
        if push:
            told = send(done.output, push, private=not public, tell=lambda line: Console(stderr=True).print(line))
            Console().print(f"{told.files} files are {told.commit[:12]} of {told.url}", highlight=False, soft_wrap=True)
    except (ConfigError, PublishError, PushError, SplitError) as error:
        raise fail(str(error)) from None


def _named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    return (name, Path(path)) if equals else ("", Path(text))


def _each(option: str, pairs: Sequence[tuple[str, _Value]], mend: str) -> dict[str, _Value]:
    """What was given under each name; a name can be given once."""
    from corpuskit.config import ConfigError

    found: dict[str, _Value] = {}
    for name, value in pairs:
        if name in found:
            raise ConfigError(f"{option}: {name} is given twice, {found[name]} and {value}; {mend}")
        found[name] = value
    return found


def _show(done: Published) -> None:
    console = Console()
    table = Table("configuration", "split", box=None)
    for column in ("rows", "words", "with text"):
        table.add_column(column, justify="right")
    told: dict[str, Any] = done.manifest["configurations"]
    for name, one in told.items():
        for split, found in one["splits"].items():
            shown = f"{found['with_text']:,}" if "with_text" in found else ""
            table.add_row(escape(name), split, f"{found['rows']:,}", f"{found['words']:,}", shown)
    console.print(table)
    withheld: dict[str, int] = {}
    for row in told["paragraphs"]["counts"]:
        if row["withheld"]:
            withheld[row["withheld"]] = withheld.get(row["withheld"], 0) + row["rows"]
    for why, number in withheld.items():
        console.print(f"{number:,} paragraphs are published without text: {why}.", highlight=False)
    if removed := done.manifest["removed"]:
        console.print(f"Articles left out: {removed['articles']:,}.", highlight=False)
    for name in done.unknown:
        console.print(f"No article to leave out is called so: {escape(name)}", highlight=False, soft_wrap=True)
    console.print(
        f"Written to [bold]{escape(str(done.output))}[/]: read its README.md", highlight=False, soft_wrap=True
    )


@app.command()
def refill(
    published: Annotated[Path, typer.Argument(metavar="PUBLISHED", help="Folder that `corpuskit publish` wrote.")],
    corpus: Annotated[Path, typer.Option("--from", metavar="DIR", help="Your own build of the same sources.")],
    output: Output,
) -> None:
    """Put withheld texts back from your own build, each checked by its SHA-256. Exit status 2: some are still out.

    corpuskit refill published --from corpus --output full
    """
    from corpuskit.publish.refill import LISTED, RefillError
    from corpuskit.publish.refill import refill as run

    try:
        done = run(published, corpus, output)
    except RefillError as error:
        raise fail(str(error)) from None
    counts = done.counts
    told = ", ".join(f"{number:,} {what}" for what, number in counts.items())
    Console().print(f"texts: {told}; in {escape(str(done.output))}", highlight=False, soft_wrap=True)
    if done.left:
        Console(stderr=True).print(
            f"what is still out is listed in {escape(str(done.output / LISTED))}", soft_wrap=True
        )
        raise typer.Exit(2)
