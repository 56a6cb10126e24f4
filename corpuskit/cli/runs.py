"""runs: look at the runs in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from corpuskit.cli.common import (
    app,
    fail,
    short,
)

if TYPE_CHECKING:
    from corpuskit.runs import Found


runs_app = typer.Typer(help="Look at the runs in a folder: list, show, diff, clean.", no_args_is_help=True)
app.add_typer(runs_app, name="runs")
_Root = Annotated[Path, typer.Argument(help="Folder to look in, and up to three levels below.")]
_RunFolder = Annotated[Path, typer.Argument(help="Folder of a run.")]


@runs_app.command("list")
def list_runs(root: _Root = Path()) -> None:
    """List the runs: finished, running or interrupted."""
    table = Table("folder", "state", "run", "started", "kept", "on disk", box=None, pad_edge=False)
    for run in _found(root):
        kept = sum(
            out.get("rows", 0) for out in run.manifest.get("outputs", ()) if out["name"].startswith("paragraphs/")
        )
        told = f"{kept:,} paragraphs" if kept else ""
        size = f"{run.size / 1e6:,.1f} MB"
        started = str(run.manifest.get("started", ""))
        table.add_row(escape(str(run.path)), run.state, run.fingerprint[:12], started, told, size)
    Console().print(table)


@runs_app.command("show")
def show_run(folder: _RunFolder) -> None:
    """Show what a run was made from, what it took, and what it kept."""
    from corpuskit.paragraphs.funnel import source_table, stage_table

    run = _look(folder)
    console = Console()
    console.print(f"[bold]{escape(str(run.path))}[/] {run.state}, run {run.fingerprint[:12]}", highlight=False)
    if run.state != "finished":
        console.print(f"{run.left / 1e6:,.1f} MB of finished work: the command that began it goes on from there")
    if not run.manifest:
        return
    long = ("config", "inputs", "outputs", "test_sets")
    console.print_json(json.dumps({name: value for name, value in run.manifest.items() if name not in long}))
    if accounts := _accounts(folder):
        console.print(source_table(accounts))
        console.print(stage_table(accounts))


@runs_app.command("diff")
def diff_runs(left: _RunFolder, right: _RunFolder) -> None:
    """Show how two finished runs differ: configuration, input, versions, and what they kept."""
    from corpuskit.runs import differences

    sides = []
    for folder in (left, right):
        run = _look(folder)
        if not run.manifest:
            raise fail(f"{folder} holds no finished run")
        accounts = _accounts(folder) or {"kept": {}, "dropped": []}
        told = {name: run.manifest.get(name) for name in ("config", "limit", "versions")}
        told["inputs"] = {f"{one['source']}: {one['name']}": one.get("sha256") for one in run.manifest["inputs"]}
        told["test_sets"] = {
            one["name"]: {name: value for name, value in one.items() if name != "name"}
            for one in run.manifest.get("test_sets", ())
        }
        told["kept"] = accounts["kept"]
        told["dropped"] = {
            f"{row['source']} {row['unit']}s, {row['stage']}: {row['reason']}": row["count"]
            for row in accounts["dropped"]
        }
        sides.append(told)
    table = Table("what", str(left), str(right), box=None, pad_edge=False)
    for path, one, other in differences(sides[0], sides[1]):
        table.add_row(escape(path), escape(short(one)), escape(short(other)))
    console = Console()
    console.print(table if table.row_count else "The two runs are the same.")


@runs_app.command("clean")
def clean_runs(
    root: _Root = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove what interrupted runs left behind; finished data sets stay."""
    from corpuskit import runs

    left = [run for run in _found(root) if run.state == "interrupted"]
    if not left:
        Console().print("Nothing was left behind.")
    for run in left:
        question = f"{run.path}: remove {run.left / 1e6:,.1f} MB of an interrupted run?"
        if yes or typer.confirm(question):
            runs.clean(run)
            Console().print(f"{run.path}: {run.left / 1e6:,.1f} MB removed", highlight=False)


def _accounts(folder: Path) -> dict[str, Any] | None:
    """The accounts of a build; other runs have none."""
    try:
        accounts: dict[str, Any] = json.loads((folder / "funnel.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return accounts


def _found(root: Path) -> list[Found]:
    from corpuskit.runs import find

    if not root.is_dir():
        raise fail(f"{root} is no folder")
    found = find(root)
    if not found:
        raise fail(f"no run in {root}, nor up to three levels below")
    return found


def _look(folder: Path) -> Found:
    from corpuskit.runs import look

    if (run := look(folder)) is None:
        raise fail(f"{folder} holds no run of corpuskit")
    return run
