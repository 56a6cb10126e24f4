"""sample: draw a data set from an annotated corpus, by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from corpuskit.cli.common import Executor, Output, Profile, RayAddress, Workers, app, execution_of, fail, interrupted

if TYPE_CHECKING:
    from corpuskit.sample.run import Sampled


def _list(asked: bool) -> None:
    if not asked:
        return
    from corpuskit.sample import recipe as recipes

    table = Table("recipe", "what it draws", box=None, pad_edge=False)
    for name in recipes.shipped():
        table.add_row(name, escape(recipes.load(name).description))
    Console().print(table)
    raise typer.Exit


@app.command()
def sample(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="Name of a recipe that comes with corpuskit (--list), or a file.")
    ],
    source: Annotated[Path, typer.Option("--from", help="Folder that `corpuskit build` wrote.")],
    output: Output,
    annotations: Annotated[
        list[Path] | None,
        typer.Option("--annotations", "-a", help="What `corpuskit enrich` or `label` wrote; repeatable."),
    ] = None,
    words: Annotated[
        int | None, typer.Option("--words", min=1, help="Another budget than the recipe's, in words.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Another seed than the recipe's.")] = None,
    workers: Workers = 1,
    executor: Executor = "local",
    profile: Profile = None,
    ray_address: RayAddress = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another sample in the folder.")] = False,
    listed: Annotated[
        bool, typer.Option("--list", callback=_list, is_eager=True, help="List the recipes that come with corpuskit.")
    ] = False,
) -> None:
    """Draw a data set from a corpus, by a recipe.

    corpuskit sample educational --from corpus --annotations labels --output educational

    An interrupted run goes on with the same command.
    """
    from corpuskit.config import ConfigError
    from corpuskit.enrich.annotations import AnnotationsError
    from corpuskit.executors import ProfileError, TaskFailed
    from corpuskit.paragraphs.read import ParagraphsError
    from corpuskit.sample import recipe as recipes
    from corpuskit.sample.run import sample as run

    changed: dict[str, Any] = {} if seed is None else {"seed": seed}
    if words is not None:
        changed["budget"] = {"words": words}
    try:
        execution = execution_of(executor, workers, profile, ray_address)
        done = run(recipes.load(recipe, **changed), source, output, annotations or [], execution, overwrite=overwrite)
    except (AnnotationsError, ConfigError, ParagraphsError, ProfileError, recipes.SampleError, TaskFailed) as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise interrupted(f"what was finished is kept in {output}/.work") from None
    _show(done)


def _show(done: Sampled) -> None:
    from corpuskit.sample.account import factor_table, repetition_table, share_table

    told, console = done.report, Console()
    if not done.worked:
        console.print(
            f"[bold]{escape(str(done.output))}[/] holds this very sample already: nothing to do.", soft_wrap=True
        )
    if told["factors"]:
        console.print(factor_table(told))
    console.print(share_table(told))
    console.print(repetition_table(told))
    for warning in told["warnings"]:
        console.print(f"[yellow]note:[/] {escape(warning)}", highlight=False, soft_wrap=True)
    units, kind = told["units"], told["unit"]
    sizes = [f"{told[one]['after']:,} {one} of {told[one]['before']:,}" for one in ("paragraphs", "words", "tokens")
             if told[one]]  # fmt: skip
    console.print(f"{', '.join(sizes)}; {units['after']:,} of {units['before']:,} {kind}s.", highlight=False)
    console.print(
        f"Effective sample size: {told['effective_sample_size']:,.0f} {kind}s. "
        f"Written to [bold]{escape(str(done.output))}[/]",
        highlight=False,
        soft_wrap=True,
    )
