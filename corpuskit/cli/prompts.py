"""prompts: look at what is asked of a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from corpuskit.cli.common import (
    PromptName,
    app,
    prompt_named,
)

if TYPE_CHECKING:
    pass


prompts_app = typer.Typer(help="Look at the prompts that annotate paragraphs: list, show, check.", no_args_is_help=True)
app.add_typer(prompts_app, name="prompts")


@prompts_app.command("list")
def list_prompts() -> None:
    """List the prompts that come with corpuskit."""
    from corpuskit.enrich import prompts

    table = Table("prompt", "version", "fields", "what it is for", box=None, pad_edge=False)
    for name in prompts.shipped():
        prompt = prompts.load(name)
        table.add_row(name, prompt.version, ", ".join(prompt.fields), prompt.description)
    Console().print(table)


@prompts_app.command("show")
def show_prompt(
    prompt: PromptName,
    schema: Annotated[bool, typer.Option("--schema", help="Show only the JSON schema of an answer.")] = False,
) -> None:
    """Show what a model reads, and what its answer must look like."""
    found = prompt_named(prompt)
    if schema:
        print(json.dumps(found.json_schema(), indent=2, ensure_ascii=False))
        return
    print("\n\n".join(found.parts("{paragraph}")))


@prompts_app.command("check")
def check_prompt(prompt: PromptName) -> None:
    """Tell whether a prompt can be used, and how long it is."""
    found = prompt_named(prompt)
    shared, own = found.parts("")
    console = Console()
    told = f"{found.name} {found.version} ({found.fingerprint[:12]}) can be used: {', '.join(found.fields)}"
    console.print(told, highlight=False, markup=False, soft_wrap=True)
    told = f"{len(shared):,} characters are the same for all paragraphs, {len(own):,} more come with each"
    console.print(told, highlight=False, markup=False, soft_wrap=True)
