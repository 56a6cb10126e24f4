"""card: the card of a trained model, with what it is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from corpuskit.cli.common import app, fail


@app.command()
def card(
    model: Annotated[Path, typer.Argument(metavar="DIR", help="What `corpuskit pretrain` wrote.")],
    results: Annotated[
        list[Path], typer.Option("--results", "-r", help="What `corpuskit evaluate` wrote about it; repeatable.")
    ],
) -> None:
    """Put scores on the card of a trained model.

    corpuskit card camembert-bio --results results/camembert-bio
    """
    from corpuskit.evaluate.cards import write
    from corpuskit.evaluate.records import TaskError

    try:
        typer.echo(f"{write(model, results)} tells the scores now")
    except TaskError as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename or model}: {error.strerror or error}") from None
