"""ablate: one model over a grid of corpora, samples and ways to begin, and one table of it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape

from corpuskit.cli.common import (
    Executor,
    Log,
    Profile,
    RayAddress,
    app,
    execution_of,
    fail,
    interrupted,
    log_kind,
)

if TYPE_CHECKING:
    from corpuskit.ablate.outcome import Ablated, Outcome
    from corpuskit.ablate.study import Plan

#: What is said of each state.
_SAID = {"before": "done before", "done": "done", "failed": "failed", "left out": "left out",
         "interrupted": "begun, goes on", "to do": "to do"}  # fmt: skip


def _list(asked: bool) -> None:
    if not asked:
        return
    from rich.table import Table

    from corpuskit.ablate import study

    table = Table("study", "what it asks", box=None, pad_edge=False)
    for name in study.shipped():
        table.add_row(name, escape(study.read(name).get("description", "")))
    Console().print(table)
    raise typer.Exit


@app.command()
def ablate(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="YAML of the study, or the name of one that comes along (--list).")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, help="Units side by side; here each has a GPU of its own.")
    ] = 1,
    executor: Executor = "local",
    profile: Profile = None,
    gpu_profile: Annotated[
        Path | None, typer.Option("--gpu-profile", help="Slurm: the profile of pretraining and evaluation.")
    ] = None,
    ray_address: RayAddress = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is shared, done and to do, and stop.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what the study has made by settings that have changed.")
    ] = False,
    log: Log = "auto",
    listed: Annotated[
        bool, typer.Option("--list", callback=_list, is_eager=True, help="List the studies that come with corpuskit.")
    ] = False,
) -> None:
    """Pretrain and evaluate over a grid of corpora, samples and starts; ends with one table.

    corpuskit ablate study.yaml --output study

    What fails ends nothing else. The same command goes on with what is not done.
    """
    from corpuskit.ablate.study import StudyError, load
    from corpuskit.config import ConfigError
    from corpuskit.executors import ProfileError

    kind = log_kind(log)
    try:
        plan = load(study)
        if dry_run:
            from corpuskit.ablate.run import look

            _show_plan(plan, look(plan, output))
            return
        if gpu_profile is not None and executor != "slurm":
            raise ConfigError(f"--gpu-profile is for --executor slurm, not for {executor}")
        execution = execution_of(executor, workers, profile, ray_address)
        computing = execution_of(executor, workers, gpu_profile, ray_address) if gpu_profile else None
        from corpuskit.ablate.run import ablate as run

        done = run(plan, output, execution=execution, computing=computing, overwrite=overwrite, tell=_teller(kind))
    except (ConfigError, ProfileError, StudyError) as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise interrupted(f"what was finished is kept in {output}") from None
    _conclude(done)


def _teller(log: str) -> Any:
    """A line for each unit that ends."""
    console = Console(stderr=True)

    def write(line: dict[str, Any]) -> None:
        sys.stderr.buffer.write(orjson.dumps(line) + b"\n")
        sys.stderr.flush()

    def say(line: dict[str, Any]) -> None:
        if line["state"] == "before":
            return
        seconds = f" in {line['seconds']:,.1f} s" if line["state"] == "done" else ""
        first = f": {line['message'].partition(chr(10))[0]}" if line["state"] in ("failed", "left out") else ""
        console.print(
            escape(f"{line['unit']}: {_SAID[line['state']]}{seconds}{first}"), highlight=False, soft_wrap=True
        )

    return {"json": write, "quiet": lambda line: None}.get(log, say)


def _show_plan(plan: Plan, outcomes: list[Outcome]) -> None:
    from rich.table import Table

    console = Console()
    table = Table("unit", "for runs", "state", box=None, pad_edge=False)
    for one in outcomes:
        table.add_row(escape(one.unit.id), str(plan.shared(one.unit)), _SAID[one.state])
    console.print(table)
    states = Counter(_SAID[one.state] for one in outcomes)
    shared = sum(plan.shared(one.unit) > 1 for one in outcomes)
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    console.print(
        f"{len(plan.runs)} runs in {len(outcomes)} units, {shared} of them shared: {told}. Nothing was done.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _conclude(done: Ablated) -> None:
    from corpuskit.ablate import table
    from corpuskit.evaluate import leaderboard

    console = Console()
    if not done.worked:
        console.print(
            f"[bold]{escape(str(done.output))}[/] holds this very study already: nothing to do.", soft_wrap=True
        )
    if done.comparison is not None:
        console.print(leaderboard.to_terminal(table.table(done)))
    for one in done.failed:
        Console(stderr=True).print(
            f"[bold red]failed:[/] {escape(one.unit.id)}: {escape(one.message)}", highlight=False, soft_wrap=True
        )
    if done.comparison is not None:
        where = f"[bold]{escape(str(done.output))}[/]"
        console.print(f"Written to {where}: study.md, study.tex, study.html", highlight=False, soft_wrap=True)
    if done.failed:
        raise fail(
            f"{len(done.failed)} of {len(done.outcomes)} units failed, and {len(done.unfinished)} of "
            f"{len(done.plan.runs)} runs have no result for that ({', '.join(done.unfinished)}). Mend what is said "
            "above, and run the same command again: it does what is not done."
        )
