"""evaluate: what a model is worth on tasks of the field; tasks: which there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from corpuskit.cli.common import Log, Output, Tell, app, fail, interrupted, lines_shown, log_kind

if TYPE_CHECKING:
    from corpuskit.evaluate.run import Evaluated


@app.command()
def evaluate(
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="Hugging Face id, folder, run of pretrain; llm:URL#NAME; or dictionary."),
    ],
    task: Annotated[
        list[str], typer.Option("--task", "-t", help="Name of a task (`corpuskit tasks`), or a file; repeatable.")
    ],
    data: Annotated[Path, typer.Option("--data", "-d", help="Folder of the data of the tasks.")],
    output: Output,
    protocol: Annotated[
        str, typer.Option("--protocol", "-p", help="camembert-bio, drbert, drbenchmark, bannour, or a YAML file.")
    ] = "camembert-bio",
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Runs, each with a seed of its own; as the protocol says.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Fine-tune for so many steps instead.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="So many documents of test, always the same ones.")
    ] = None,
    shots: Annotated[int, typer.Option("--shots", min=0, help="LLM: examples of train that it is shown.")] = 0,
    api: Annotated[str | None, typer.Option("--api", help="LLM: chat, or completions for a base model.")] = None,
    structure: Annotated[
        str | None, typer.Option("--structure", help="LLM: response_format, structured_outputs or none.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", min=1, help="LLM: questions in flight at a time.")
    ] = None,
    characters: Annotated[
        int | None, typer.Option("--characters", min=1, help="LLM: the most of a text that it reads at once.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", min=1, help="LLM: the longest answer.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option("--api-key-env", help="LLM: environment variable with its API key.")
    ] = None,
    watts: Annotated[float | None, typer.Option("--watts", min=0, help="LLM: power of its server, in W.")] = None,
    parameters: Annotated[int | None, typer.Option("--parameters", min=1, help="LLM: how many it has.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another evaluation in the folder.")] = False,
    log: Log = "auto",
) -> None:
    """Fine-tune a model on tasks and score it, or ask one: over several seeds, by all rules of the field.

    corpuskit evaluate --model camembert-bio --task quaero-medline --data DIR --output results/camembert-bio

    An interrupted evaluation goes on with the same command. `corpuskit compare` sets several side by side.
    """
    from corpuskit.evaluate import protocol as protocols
    from corpuskit.evaluate import tasks
    from corpuskit.evaluate.records import TaskError
    from corpuskit.evaluate.run import evaluate as run
    from corpuskit.evaluate.systems.opening import open_system

    kind = log_kind(log)
    asking = {
        "shots": shots, "api": api, "structure": structure, "concurrency": concurrency, "characters": characters,
        "max_tokens": max_tokens, "key_variable": api_key_env, "watts": watts, "parameters": parameters,
    }  # fmt: skip
    try:
        wanted = [tasks.load(name) for name in task]
        rules = protocols.load(protocol, **({"steps": steps} if steps else {}))
        system = open_system(model, **asking)
        with lines_shown(kind, _note, _live) as tell:
            done = run(
                system, wanted, data, output, protocol=rules, seeds=range(1, (seeds or rules.seeds) + 1), limit=limit,
                overwrite=overwrite, tell=tell,
            )  # fmt: skip
    except TaskError as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise interrupted(f"the runs that are done are kept in {output}/.work") from None
    _conclude(done)


@app.command("tasks")
def list_tasks() -> None:
    """Show the tasks and protocols that come along."""
    from rich.table import Column, Table

    from corpuskit.evaluate import protocol as protocols
    from corpuskit.evaluate import tasks

    console = Console()
    table = Table(Column("task", no_wrap=True), "kind", "measure", "what it is", "licence", box=None, pad_edge=False)
    for name in sorted(tasks.shipped()):
        one = tasks.load(name)
        table.add_row(one.name, one.kind, one.headline, escape(one.title), escape(one.licence))
    console.print(table)
    console.print()
    table = Table(Column("protocol", no_wrap=True), "what it is", box=None, pad_edge=False)
    for name in sorted(protocols.shipped()):
        table.add_row(name, escape(protocols.load(name).description))
    console.print(table)


def _note(line: dict[str, Any]) -> None:
    if line["kind"] == "note":
        Console(stderr=True).print(escape(line["message"]), highlight=False, soft_wrap=True)


@contextmanager
def _live(console: Console) -> Iterator[Tell]:
    """A live line: which run, how far it is, and how it goes."""
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=None, told="")

        def draw(line: dict[str, Any]) -> None:
            match line["kind"]:
                case "note":
                    console.print(escape(line["message"]), highlight=False, soft_wrap=True)
                case "run":
                    progress.update(
                        bar, description=f"{line['task']}, seed {line['seed']}", total=None, completed=0, told=""
                    )
                case "step":
                    told = f"{line['step']:,} of {line['steps']:,}, {_how(line)}"
                    progress.update(bar, total=line["steps"], completed=line["step"], told=told)
                case "look":
                    progress.update(bar, told=f"step {line['step']:,}: {line['value']:.3f} on dev")

        yield draw


def _how(line: dict[str, Any]) -> str:
    """How it goes with a step of fine-tuning, or with questions."""
    return f"loss {line['loss']:.3f}" if "loss" in line else f"{line['problems']:,} without a whole answer"


def _conclude(done: Evaluated) -> None:
    from rich.table import Table

    from corpuskit.evaluate.results import figure

    console = Console()
    if not done.worked:
        console.print(f"[bold]{escape(str(done.output))}[/] holds this very evaluation already: nothing to do.")
    table = Table("task", "measure", "mean ± sd", "interval", "seeds", "documents", box=None, pad_edge=False)
    for told in done.manifest["tasks"]:
        ((measure, score),) = told["score"].items()
        interval = "" if score["low"] is None else f"{figure(score['low'])} to {figure(score['high'])}"
        spread = figure(score["mean"]) + (f" ± {figure(score['deviation'])}" if score["deviation"] is not None else "")
        counted = str(told["documents"]["test"])
        table.add_row(told["task"]["name"], measure, spread, interval, str(len(told["seeds"])), counted)
    console.print(table)
    console.print(
        f"All measures are in scores.json of each task; `corpuskit compare {escape(str(done.output))} …` sets models "
        f"side by side. Written to [bold]{escape(str(done.output))}[/]",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
