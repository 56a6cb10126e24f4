"""pretrain: adapt a language model to a data set, or make one from nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from corpuskit.cli.common import Log, Output, Tell, app, fail, interrupted, lines_shown, log_kind

if TYPE_CHECKING:
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
    tensorboard: Annotated[
        Path | None, typer.Option("--tensorboard", metavar="DIR", help="Write the log for TensorBoard as well.")
    ] = None,
    push: Annotated[str | None, typer.Option("--push", metavar="ORG/NAME", help="Send the model to the Hub.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another run in the folder.")] = False,
    log: Log = "auto",
) -> None:
    """Adapt a language model to a data set, or make one from nothing; what it cost is counted.

    corpuskit pretrain camembert-bio --data biomed-fr --output camembert-bio

    Several GPUs: torchrun --nproc-per-node 4 -m -- corpuskit pretrain …
    An interrupted run goes on with the same command.
    """
    from corpuskit.pretrain import config as configuration

    kind = log_kind(log)
    speaks = os.environ.get("RANK", "0") == "0"  # of the processes of torchrun one
    try:
        from corpuskit.pretrain import push as pushing
        from corpuskit.pretrain.run import pretrain as run
        from corpuskit.pretrain.run import source_of
        from corpuskit.publish.push import PushError, ready
    except ImportError as error:
        raise fail(
            f"pretraining needs more than is installed ({error}): pip install 'corpuskit-fr[pretrain]'"
        ) from None
    except configuration.PretrainError as error:
        raise fail(str(error)) from None
    try:
        if push:
            ready(push)
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
        with (
            lines_shown(kind if speaks else "quiet", _warn, _live) as show,
            _drawn(tensorboard if speaks else None) as draw,
        ):

            def tell(line: dict[str, Any]) -> None:
                show(line)
                draw(line)

            done = run(wanted, output, store=tokens, country=country, grid=grid, overwrite=overwrite, tell=tell)
    except (configuration.PretrainError, PushError) as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise interrupted(f"the last checkpoint is kept in {output}/.work") from None
    if not speaks:
        return
    _conclude(done)
    if push:
        try:
            typer.echo(f"Pushed to {pushing.push(output, push).url}")
        except PushError as error:
            raise fail(str(error)) from None


def _warn(line: dict[str, Any]) -> None:
    if line["kind"] == "warning":
        Console(stderr=True).print(f"[yellow]warning:[/] {escape(line['message'])}", highlight=False, soft_wrap=True)


@contextmanager
def _live(console: Console) -> Iterator[Tell]:
    """A live line: how far the run is, how it goes, and what is to come."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    def say(message: str) -> None:
        console.print(message, highlight=False, soft_wrap=True)

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None, told="")

        def draw(line: dict[str, Any]) -> None:
            match line["kind"]:
                case "warning":
                    say(f"[yellow]warning:[/] {escape(line['message'])}")
                case "note":
                    say(escape(line["message"]))
                case "start":
                    progress.update(task, total=line["steps"])
                    say(
                        f"{line['parameters']:,} parameters, {line['devices']} × {escape(line['device'])}, "
                        f"{line['precision']}: {line['steps']:,} steps of {line['batch_tokens']:,} tokens"
                    )
                case "resumed":
                    progress.update(task, total=line["steps"], completed=line["step"])
                    say(f"goes on from step {line['step']:,} of {line['steps']:,}")
                case "train":
                    progress.update(task, completed=line["step"], told=_how(line))
                case "validation":
                    losses = ", ".join(f"{escape(name)} {value:.3f}" for name, value in line["loss"].items())
                    say(f"step {line['step']:,}: validation loss ({line['objective']}) {losses}")

        yield draw


def _how(line: dict[str, Any]) -> str:
    """A line of training in the one line that there is; what is not known is left out."""
    told = [f"{line['objective']} loss {line['loss']:.3f}", f"{line['tokens_per_second']:,.0f} tokens/s"]
    if line["mfu"]:
        told.append(f"MFU {line['mfu']:.0%}")
    told.append(f"{line['kwh'] * 1000:,.1f} Wh")
    if line["kwh_left"] is not None:
        told.append(f"{line['kwh_left'] * 1000:,.1f} to come")
    if line["seconds_left"] is not None:
        told.append(f"{timedelta(seconds=round(line['seconds_left']))} left")
    return ", ".join(told)


@contextmanager
def _drawn(folder: Path | None) -> Iterator[Tell]:
    """Lines of the log as TensorBoard's events, where a folder for them is given.

    Raises:
        PretrainError: TensorBoard is not installed, or the folder cannot be written.
    """
    if folder is None:
        yield lambda line: None
        return
    from corpuskit.pretrain.config import PretrainError

    try:
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
    except ImportError as error:
        raise PretrainError(f"--tensorboard needs TensorBoard ({error}): pip install tensorboard") from None
    except OSError as error:
        raise PretrainError(f"--tensorboard {folder}: cannot be written: {error.strerror}") from None
    writer: Any = None

    def write(line: dict[str, Any]) -> None:
        nonlocal writer
        match line["kind"]:
            case "start" | "resumed":
                # What an earlier try did beyond its checkpoint is hidden, as it comes again.
                writer = SummaryWriter(str(folder), purge_step=line["step"] + (line["kind"] == "resumed"))
            case "train":
                writer.add_scalar(f"loss/{line['objective']}", line["loss"], line["step"])
                for name in ("learning_rate", "tokens_per_second", "gradient_norm", "kwh"):
                    writer.add_scalar(name, line[name], line["step"])
            case "validation":
                for name, value in line["loss"].items():
                    writer.add_scalar(f"validation_{line['objective']}/{name}", value, line["step"])

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


def _conclude(done: Pretrained) -> None:
    from rich.table import Table

    from corpuskit.pretrain import cost, curves

    console, told = Console(), done.manifest
    if not done.worked:
        console.print(
            f"[bold]{escape(str(done.output))}[/] holds this very run already: nothing to do.", soft_wrap=True
        )
    training = told["training"]
    try:
        log = curves.read(done.output / "log.jsonl")
    except OSError:
        log = []
    losses = curves.first_and_last(curves.Curves.of(log)) or curves.in_manifest(training)
    for objective in dict.fromkeys(row["objective"] for row in losses):  # losses of two are not to be compared
        table = Table(f"validation loss ({objective})", "first", "last", box=None, pad_edge=False)
        for row in losses:
            if row["objective"] == objective:
                values = ("" if row[name] is None else f"{row[name]:.3f}" for name in ("first", "last"))
                table.add_row(escape(row["source"]), *values)
        console.print(table)
    energy, grid = told["energy"], told["energy"]["grid_own"]
    own = [] if grid is None else [f"kg CO2e at {grid:g} g/kWh"]
    costs = Table("cost", "kWh", f"kg CO2e at {energy['grid']:g} g/kWh", *own, "how", box=None, pad_edge=False)
    for one in cost.rows(energy):
        amounts = (one.kwh, one.co2e_kg, one.co2e_kg_own)[: 2 + len(own)]
        costs.add_row(one.what, *("unknown" if value is None else f"{value:.3g}" for value in amounts), one.how)
    console.print(costs)
    console.print(
        f"{told['model']['parameters']:,} parameters, {training['steps']:,} steps, {training['tokens']:,} tokens, "
        f"{training['tokens_per_second'] or 0:,.0f} tokens/s. Written to [bold]{escape(str(done.output))}[/]",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
