"""pretrain: adapt a language model to a data set, or make one from nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape

from corpuskit.cli.common import Log, Output, app, fail, interrupted, log_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from corpuskit.pretrain.run import Pretrained


@app.command()
def pretrain(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="YAML of the run, or the name of one that comes with corpuskit.")
    ],
    output: Output,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", "-d", help="A data set instead of the configuration's: DIR or NAME=DIR@WEIGHT; repeatable."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Another model to start with.")] = None,
    tokenizer: Annotated[str | None, typer.Option("--tokenizer", help="Another tokenizer (from scratch).")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Another budget, in steps.")] = None,
    hours: Annotated[float | None, typer.Option("--hours", help="End after so many hours.")] = None,
    kwh: Annotated[float | None, typer.Option("--kwh", help="End when so much energy is used.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Another seed.")] = None,
    tokens: Annotated[
        Path | None, typer.Option("--tokens", help="Where tokenised data sets are kept (~/.cache/corpuskit/tokens).")
    ] = None,
    grid: Annotated[float | None, typer.Option("--grid", min=0, help="Your electricity, in g CO2e/kWh.")] = None,
    country: Annotated[str, typer.Option("--country", help="Your country for codecarbon (ISO 3166).")] = "FRA",
    push: Annotated[str | None, typer.Option("--push", metavar="ORG/NAME", help="Send the model to the Hub.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another run in the folder.")] = False,
    log: Log = "auto",
) -> None:
    """Adapt a language model to a data set, or make one from nothing; what it cost is counted.

    corpuskit pretrain camembert-bio --data biomed-fr --output camembert-bio

    Several GPUs: torchrun --nproc-per-node 4 -m corpuskit pretrain …
    An interrupted run goes on with the same command.
    """
    from corpuskit.pretrain import config as configuration
    from corpuskit.pretrain import push as pushing
    from corpuskit.publish.push import PushError, ready

    kind = log_kind(log)
    try:
        if push:
            ready(push)
        from corpuskit.pretrain.run import pretrain as run
        from corpuskit.pretrain.run import source_of

        wanted = configuration.load(config)
        changed: dict[str, Any] = wanted.model_dump(mode="python")
        if data:
            changed["data"]["sources"] = [source_of(one).model_dump() for one in data]
        if model is not None:
            changed["start"] = {"model": model}
        if tokenizer is not None:
            changed["start"]["tokenizer"] = tokenizer
        if steps is not None:
            changed["budget"] |= {"steps": steps, "tokens": None}
        changed["budget"] |= {name: value for name, value in (("hours", hours), ("kwh", kwh)) if value is not None}
        if seed is not None:
            changed["seed"] = seed
        wanted = configuration.validate(changed, config)
        with _shown(kind) as tell:
            done = run(wanted, output, store=tokens, country=country, grid=grid, overwrite=overwrite, tell=tell)
    except (configuration.PretrainError, PushError) as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise interrupted(f"the last checkpoint is kept in {output}/.work") from None
    _conclude(done)
    if push:
        try:
            typer.echo(f"Pushed to {pushing.push(output, push).url}")
        except PushError as error:
            raise fail(str(error)) from None


@contextmanager
def _shown(log: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Lines of the log as they come: a live line on a terminal, JSON, or nothing."""
    console = Console(stderr=True)
    if log == "auto":
        log = "rich" if console.is_terminal else "quiet"
    if log == "json":

        def write(line: dict[str, Any]) -> None:
            sys.stderr.buffer.write(orjson.dumps(line) + b"\n")
            sys.stderr.flush()

        yield write
        return
    if log == "quiet":
        yield lambda line: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[told]}"), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None, told="")
        planned = {"steps": 0, "kwh": 0.0, "from": 0}

        def draw(line: dict[str, Any]) -> None:
            match line["kind"]:
                case "start":
                    planned["steps"] = line["steps"]
                    progress.update(task, total=line["steps"])
                case "note" | "warning":
                    progress.console.print(escape(line["message"]), highlight=False)
                case "train":
                    left = line["kwh"] * (planned["steps"] / line["step"] - 1) if planned["steps"] else 0.0
                    mfu = f", MFU {line['mfu']:.0%}" if line["mfu"] else ""
                    told = (
                        f"loss {line['loss']:.3f}, {line['tokens_per_second']:,.0f} tokens/s{mfu}, "
                        f"{line['kwh'] * 1000:,.1f} Wh, {left * 1000:,.1f} to come"
                    )
                    progress.update(task, completed=line["step"], told=told)
                case "validation":
                    losses = ", ".join(f"{name} {value:.3f}" for name, value in line["loss"].items())
                    progress.console.print(f"step {line['step']:,}: validation loss {losses}", highlight=False)

        yield draw


def _conclude(done: Pretrained) -> None:
    from rich.table import Table

    from corpuskit.pretrain import cost

    console, told = Console(), done.manifest
    if not done.worked:
        console.print(
            f"[bold]{escape(str(done.output))}[/] holds this very run already: nothing to do.", soft_wrap=True
        )
    training = told["training"]
    first, last = training["loss"]["first"] or {}, training["loss"]["last"] or {}
    table = Table("validation loss", "first", "last", box=None, pad_edge=False)
    for name, value in last.items():
        table.add_row(escape(name), f"{first[name]:.3f}" if name in first else "", f"{value:.3f}")
    console.print(table)
    costs = Table("cost", "kWh", "kg CO2e", "how", box=None, pad_edge=False)
    for row in cost.rows(told["energy"]):
        kwh, mass = (f"{value:.3g}" if value is not None else "unknown" for value in (row.kwh, row.co2e_kg))
        costs.add_row(row.what, kwh, mass, row.how)
    console.print(costs)
    console.print(
        f"{told['model']['parameters']:,} parameters, {training['steps']:,} steps, {training['tokens']:,} tokens, "
        f"{training['tokens_per_second'] or 0:,.0f} tokens/s. Written to [bold]{escape(str(done.output))}[/]",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
