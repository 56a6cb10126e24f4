"""build, sources, demo: from what was downloaded to paragraphs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from corpuskit.cli.common import (
    Executor,
    Log,
    Output,
    Overwrite,
    Profile,
    RayAddress,
    Workers,
    app,
    execution_of,
    fail,
    interrupted,
    log_kind,
    named,
    short,
)

if TYPE_CHECKING:
    from corpuskit.build import Run
    from corpuskit.config import BuildConfig
    from corpuskit.executors import Execution
    from corpuskit.plan import Plan


@app.command()
def build(
    config: Annotated[Path | None, typer.Argument(help="YAML configuration; or give --source.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write.")] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", "-s", metavar="TYPE=PATH", help="A source and where it is; repeatable."),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="Language to keep (default fr); `any` keeps all.")
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option("--mask", help="Mask email, phone, nir …; repeatable. Nothing is masked unasked."),
    ] = None,
    decontaminate: Annotated[
        list[str] | None,
        typer.Option("--decontaminate", metavar="NAME=PATH", help="A test set to keep out of the corpus; repeatable."),
    ] = None,
    workers: Workers = 1,
    executor: Executor = "local",
    profile: Profile = None,
    ray_address: RayAddress = "auto",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Try the first N articles of each source.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be read, and stop.")] = False,
    overwrite: Overwrite = False,
    log: Log = "auto",
) -> None:
    """Turn what was downloaded into a Parquet data set of clean paragraphs.

    corpuskit build --source hal=export.xml --source pubmed=baseline/ --output corpus
    """
    from corpuskit.build import BuildError
    from corpuskit.config import ConfigError
    from corpuskit.executors import ProfileError, TaskFailed
    from corpuskit.plan import PlanError, plan

    try:
        settings = _settings(config, source or [], language, mask or [], decontaminate or [])
        execution = execution_of(executor, workers, profile, ray_address)
        if dry_run:
            _show_plan(plan(settings, workers, -1 if limit is None else limit))
            return
        if output is None:
            raise ConfigError("where to? give --output DIR")
        _show_run(_run(settings, output, execution, -1 if limit is None else limit, overwrite, log), log)
    except (BuildError, ConfigError, PlanError, ProfileError, TaskFailed) as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise interrupted(f"what was finished is kept in {output}/.work") from None


@app.command()
def sources(
    name: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
) -> None:
    """List the readers and their options."""
    from corpuskit.sources import READERS

    if name is not None and name not in READERS:
        raise fail(f"{name!r} is not a source; they are {', '.join(READERS)}")
    console = Console()
    for reader in READERS.values():
        if name not in (None, reader.source):
            continue
        table = Table("option", "default", "meaning", title=f"[bold]{reader.source}[/]", title_justify="left")
        for option, field in reader.Options.model_fields.items():
            default = "required" if field.is_required() else short(field.get_default(call_default_factory=True))
            table.add_row(option, escape(default), escape(field.description or ""))
        first_line = (reader.__doc__ or "").strip().split("\n")[0]
        console.print(escape(first_line), f"[dim]({', '.join(reader.suffixes)})[/]")
        console.print(table, "")


@app.command()
def demo(
    output: Output = Path("demo-corpus"),
    workers: Workers = 2,
    log: Log = "auto",
) -> None:
    """Build the corpus of samples that comes with the package, and look at it."""
    from corpuskit.build import BuildError
    from corpuskit.config import load
    from corpuskit.executors import Execution

    samples = Path(__file__).parents[1] / "samples"
    try:
        run = _run(load(samples / "demo.yaml"), output, Execution(workers=workers), -1, True, log)
    except BuildError as error:
        raise fail(str(error)) from None
    _show_run(run, log)
    _show_paragraphs(output)


def _settings(
    config: Path | None, source: list[str], language: str | None, mask: list[str], decontaminate: list[str]
) -> BuildConfig:
    from corpuskit.config import ConfigError, read, validate

    if (config is None) == (not source):
        raise ConfigError("give either a configuration file or one or more --source TYPE=PATH")
    # As it was written: what follows from the language follows from the one that is given here.
    content: dict[str, Any] = {"sources": [_source(text) for text in source]} if config is None else read(config)
    if language is not None:
        content["language"] = language
    if mask or decontaminate:
        clean = content["clean"] = dict(content.get("clean") or {})
        if mask:
            clean["mask"] = {"kinds": mask}
        if decontaminate:
            known = clean.get("decontaminate") or {}
            asked = [named("--decontaminate", text, "quaero=QUAERO_FrenchMed/corpus/test") for text in decontaminate]
            tests = [*known.get("tests", ()), *({"name": name, "path": path} for name, path in asked)]
            clean["decontaminate"] = known | {"tests": tests}
    return validate(content, str(config or "the command line"))


def _source(text: str) -> dict[str, str]:
    from corpuskit.config import ConfigError

    kind, equals, path = text.partition("=")
    if not equals or not path:
        raise ConfigError(f"--source {text}: expected TYPE=PATH, such as hal=export.xml")
    return {"type": kind, "path": path}


def _run(settings: BuildConfig, output: Path, execution: Execution, limit: int, overwrite: bool, log: str) -> Run:
    from corpuskit.build import build as run_build

    return run_build(settings, output, limit=limit, overwrite=overwrite, log=log_kind(log), execution=execution)


def _show_plan(planned: Plan) -> None:
    from corpuskit.build import names_of, steps

    table = Table("source", "reader", "files", "bytes", "first file", title="Would read", title_justify="left")
    for number, (name, source) in enumerate(zip(names_of(planned.config), planned.config.sources, strict=True)):
        files = [unit.file for unit in planned.units if unit.source == number]
        size = sum(file.size for file in files)
        table.add_row(name, source.type, f"{len(files):,}", f"{size:,}", escape(files[0].name))
    console = Console()
    console.print(table)
    console.print(
        "Then, in order:",
        " → ".join(step.stage for step in steps(planned.config)),
        "→ join → boilerplate → duplicate → near",
    )
    console.print(f"in {len(planned.tasks)} task{'s' * (len(planned.tasks) > 1)}. Nothing was read or written.")


def _show_run(run: Run, log: str) -> None:
    from corpuskit.paragraphs.funnel import source_table, stage_table

    if log == "json":
        line = {"event": "done", "output": str(run.output), "worked": run.worked, "kept": run.funnel["kept"]}
        sys.stderr.write(json.dumps(line) + "\n")
    if log == "quiet":
        return
    console = Console()
    if not run.worked:
        console.print(f"[bold]{run.output}[/] holds this very build already: nothing to do.")
    console.print(source_table(run.funnel))
    console.print(stage_table(run.funnel))
    quarantined = sum(run.funnel["quarantined"].values())
    if quarantined:
        console.print(f"{quarantined} inputs could not be read: {run.output / 'quarantine'}", highlight=False)
    seconds = sum(run.manifest["seconds"].values())
    console.print(f"Written to [bold]{run.output}[/] in {seconds:.1f} s. read = kept + dropped + quarantined: checked.")


def _show_paragraphs(output: Path, number: int = 4) -> None:
    """A few paragraphs of the demo, one a source."""
    import duckdb

    from corpuskit.paragraphs.read import files
    from corpuskit.sql import parquet

    rows = duckdb.sql(
        f"""
        SELECT source, section, path, language, words, ocr_noise, text, id FROM {parquet(files(output))}
        WHERE kind = 'body' AND words BETWEEN 40 AND 110
        QUALIFY row_number() OVER (PARTITION BY source ORDER BY hash(id)) = 1
        ORDER BY source LIMIT {number}
        """
    ).fetchall()
    console = Console()
    for source, section, path, language, words, noise, text, name in rows:
        told = f"{source} · {section or 'no section'} · {path} · {language} · {words} words · OCR noise {noise:.2f}"
        console.print(Panel(f"[dim]{escape(told)}[/]\n{escape(text)}", title=escape(name), title_align="left"))
