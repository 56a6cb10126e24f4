"""The command line: thin over functions that a script can call."""

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

if TYPE_CHECKING:
    from corpuskit.build import Run
    from corpuskit.config import BuildConfig
    from corpuskit.enrich.prompts import Prompt
    from corpuskit.executors import Execution
    from corpuskit.plan import Plan
    from corpuskit.runs import Found

app = typer.Typer(
    name="corpuskit",
    help="Build French biomedical corpora, enrich them, and see what they are worth.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _corpuskit() -> None:
    """Build French biomedical corpora, enrich them, and see what they are worth."""


def _fail(message: str) -> typer.Exit:
    Console(stderr=True).print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    return typer.Exit(1)


_Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]
_Workers = Annotated[int, typer.Option("--workers", "-w", min=1, help="Processes.")]
_Log = Annotated[
    str, typer.Option("--log", help="Progress: auto (a bar on a terminal, else nothing), rich, json (lines), quiet.")
]
_Executor = Annotated[
    str, typer.Option("--executor", help="Where tasks run: local (this machine), slurm or ray.", show_default=True)
]
_Profile = Annotated[
    Path | None, typer.Option("--profile", help="YAML with the Slurm options of your centre (pipelines/slurm/).")
]
_RayAddress = Annotated[str, typer.Option("--ray-address", help="Ray cluster to join; auto finds the running one.")]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace another build in the folder.")]


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
    workers: _Workers = 1,
    executor: _Executor = "local",
    profile: _Profile = None,
    ray_address: _RayAddress = "auto",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Try the first N articles of each source.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be read, and stop.")] = False,
    overwrite: _Overwrite = False,
    log: _Log = "auto",
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
        execution = _execution(executor, workers, profile, ray_address)
        if dry_run:
            _show_plan(plan(settings, workers, -1 if limit is None else limit))
            return
        if output is None:
            raise ConfigError("where to? give --output DIR")
        _show_run(_run(settings, output, execution, -1 if limit is None else limit, overwrite, log), log)
    except (BuildError, ConfigError, PlanError, ProfileError, TaskFailed) as error:
        raise _fail(str(error)) from None
    except KeyboardInterrupt:
        message = f"interrupted; what was finished is kept in {output}/.work: the same command goes on from there"
        Console(stderr=True).print(message, highlight=False, soft_wrap=True)
        raise typer.Exit(130) from None


@app.command()
def sources(
    name: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
) -> None:
    """List the readers and their options."""
    from corpuskit.sources import READERS

    if name is not None and name not in READERS:
        raise _fail(f"{name!r} is not a source; they are {', '.join(READERS)}")
    console = Console()
    for reader in READERS.values():
        if name not in (None, reader.source):
            continue
        table = Table("option", "default", "meaning", title=f"[bold]{reader.source}[/]", title_justify="left")
        for option, field in reader.Options.model_fields.items():
            default = "required" if field.is_required() else _short(field.get_default(call_default_factory=True))
            table.add_row(option, escape(default), escape(field.description or ""))
        first_line = (reader.__doc__ or "").strip().split("\n")[0]
        console.print(escape(first_line), f"[dim]({', '.join(reader.suffixes)})[/]")
        console.print(table, "")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:50]}… ({len(value)} entries)"


@app.command()
def demo(
    output: _Output = Path("demo-corpus"),
    workers: _Workers = 2,
    log: _Log = "auto",
) -> None:
    """Build the corpus of samples that comes with the package, and look at it."""
    from corpuskit.build import BuildError
    from corpuskit.config import load
    from corpuskit.executors import Execution

    samples = Path(__file__).parent / "samples"
    try:
        run = _run(load(samples / "demo.yaml"), output, Execution(workers=workers), -1, True, log)
    except BuildError as error:
        raise _fail(str(error)) from None
    _show_run(run, log)
    _show_paragraphs(output)


prompts_app = typer.Typer(help="Look at the prompts that annotate paragraphs: list, show, check.", no_args_is_help=True)
app.add_typer(prompts_app, name="prompts")
_Prompt = Annotated[
    str, typer.Argument(metavar="PROMPT", help="Name of a prompt that comes with corpuskit, or a file.")
]


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
    prompt: _Prompt,
    schema: Annotated[bool, typer.Option("--schema", help="Show only the JSON schema of an answer.")] = False,
) -> None:
    """Show what a model reads, and what its answer must look like."""
    found = _prompt(prompt)
    if schema:
        print(json.dumps(found.json_schema(), indent=2, ensure_ascii=False))
        return
    print("\n\n".join(found.parts("{paragraph}")))


@prompts_app.command("check")
def check_prompt(prompt: _Prompt) -> None:
    """Tell whether a prompt can be used, and how long it is."""
    found = _prompt(prompt)
    shared, own = found.parts("")
    console = Console()
    told = f"{found.name} {found.version} ({found.fingerprint[:12]}) can be used: {', '.join(found.fields)}"
    console.print(told, highlight=False, markup=False, soft_wrap=True)
    told = f"{len(shared):,} characters are the same for all paragraphs, {len(own):,} more come with each"
    console.print(told, highlight=False, markup=False, soft_wrap=True)


def _prompt(name: str) -> Prompt:
    from corpuskit.enrich import prompts

    try:
        return prompts.load(name)
    except prompts.PromptError as error:
        raise _fail(str(error)) from None


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
    from corpuskit.build import Run
    from corpuskit.paragraphs.funnel import source_table, stage_table

    run = _look(folder)
    console = Console()
    console.print(f"[bold]{escape(str(run.path))}[/] {run.state}, run {run.fingerprint[:12]}", highlight=False)
    if run.state != "finished":
        console.print(f"{run.left / 1e6:,.1f} MB of finished work: the command that began it goes on from there")
    if not run.manifest:
        return
    manifest = {name: value for name, value in run.manifest.items() if name not in ("config", "inputs", "outputs")}
    console.print_json(json.dumps(manifest))
    accounts = json.loads((folder / "funnel.json").read_text(encoding="utf-8"))
    finished = Run(folder, run.manifest, accounts, worked=False)
    console.print(source_table(finished.funnel))
    console.print(stage_table(finished.funnel))


@runs_app.command("diff")
def diff_runs(left: _RunFolder, right: _RunFolder) -> None:
    """Show how two finished runs differ: configuration, input, versions, and what they kept."""
    from corpuskit.runs import differences

    sides = []
    for folder in (left, right):
        run = _look(folder)
        if not run.manifest:
            raise _fail(f"{folder} holds no finished run")
        accounts = json.loads((folder / "funnel.json").read_text(encoding="utf-8"))
        told = {name: run.manifest.get(name) for name in ("config", "limit", "versions")}
        told["inputs"] = {f"{one['source']}: {one['name']}": one.get("sha256") for one in run.manifest["inputs"]}
        told["test_sets"] = {one["name"]: one["files"] for one in run.manifest.get("test_sets", ())}
        told["kept"] = accounts["kept"]
        told["dropped"] = {
            f"{row['source']} {row['unit']}s, {row['stage']}: {row['reason']}": row["count"]
            for row in accounts["dropped"]
        }
        sides.append(told)
    table = Table("what", str(left), str(right), box=None, pad_edge=False)
    for path, one, other in differences(sides[0], sides[1]):
        table.add_row(escape(path), escape(_short(one)), escape(_short(other)))
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


def _found(root: Path) -> list[Found]:
    from corpuskit.runs import find

    if not root.is_dir():
        raise _fail(f"{root} is no folder")
    found = find(root)
    if not found:
        raise _fail(f"no run in {root}, nor up to three levels below")
    return found


def _look(folder: Path) -> Found:
    from corpuskit.runs import look

    if (run := look(folder)) is None:
        raise _fail(f"{folder} holds no run of corpuskit")
    return run


def _execution(executor: str, workers: int, profile: Path | None, ray_address: str) -> Execution:
    from corpuskit.config import ConfigError
    from corpuskit.executors import Execution, load_profile

    if executor not in ("local", "slurm", "ray"):
        raise ConfigError(f"--executor {executor}: expected local, slurm or ray")
    if (executor == "slurm") != (profile is not None):
        needs = (
            "needs --profile FILE, such as pipelines/slurm/profile.yaml" if executor == "slurm" else "has no profile"
        )
        raise ConfigError(f"--executor {executor} {needs}")
    options = load_profile(profile) if profile else None
    return Execution(kind=executor, workers=workers, profile=options, ray_address=ray_address)


def _settings(
    config: Path | None, source: list[str], language: str | None, mask: list[str], decontaminate: list[str]
) -> BuildConfig:
    from corpuskit.config import ConfigError, load, validate

    if (config is None) == (not source):
        raise ConfigError("give either a configuration file or one or more --source TYPE=PATH")
    if config is not None:
        settings = load(config)
        if language is None and not mask and not decontaminate:
            return settings
        content = settings.model_dump(mode="json", exclude_unset=True)
    else:
        content = {"sources": [_source(text) for text in source]}
    if language is not None:
        content["language"] = language
    if mask:
        content.setdefault("clean", {})["mask"] = {"kinds": mask}
    if decontaminate:
        clean = content.setdefault("clean", {})
        known = (clean.get("decontaminate") or {}).get("tests", ())
        asked = [_named("--decontaminate", text, "quaero=QUAERO_FrenchMed/corpus/test") for text in decontaminate]
        tests = [*known, *({"name": name, "path": path} for name, path in asked)]
        clean["decontaminate"] = (clean.get("decontaminate") or {}) | {"tests": tests}
    return validate(content, "the command line")


def _named(option: str, text: str, example: str) -> tuple[str, str]:
    from corpuskit.config import ConfigError

    name, equals, path = text.partition("=")
    if not equals or not path:
        raise ConfigError(f"{option} {text}: expected NAME=PATH, such as {example}")
    return name, path


def _source(text: str) -> dict[str, str]:
    from corpuskit.config import ConfigError

    kind, equals, path = text.partition("=")
    if not equals or not path:
        raise ConfigError(f"--source {text}: expected TYPE=PATH, such as hal=export.xml")
    return {"type": kind, "path": path}


def _run(settings: BuildConfig, output: Path, execution: Execution, limit: int, overwrite: bool, log: str) -> Run:
    from corpuskit.build import build as run_build

    if log not in ("auto", "rich", "json", "quiet"):
        from corpuskit.config import ConfigError

        raise ConfigError(f"--log {log}: expected auto, rich, json or quiet")
    return run_build(settings, output, limit=limit, overwrite=overwrite, log=log, execution=execution)  # type: ignore[arg-type]


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

    rows = duckdb.sql(
        f"""
        SELECT source, section, path, language, words, ocr_noise, text, id FROM '{output}/paragraphs/*.parquet'
        WHERE kind = 'body' AND words BETWEEN 40 AND 110
        QUALIFY row_number() OVER (PARTITION BY source ORDER BY hash(id)) = 1
        ORDER BY source LIMIT {number}
        """
    ).fetchall()
    console = Console()
    for source, section, path, language, words, noise, text, name in rows:
        told = f"{source} · {section or 'no section'} · {path} · {language} · {words} words · OCR noise {noise:.2f}"
        console.print(Panel(f"[dim]{escape(told)}[/]\n{escape(text)}", title=escape(name), title_align="left"))
