"""What the commands share: the application, the options that mean the same everywhere, and how an error is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import orjson
import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from corpuskit.enrich.prompts import Prompt
    from corpuskit.executors import Execution
    from corpuskit.progress import Log as LogKind

#: What is called with each line that a run tells of itself.
Tell = Callable[[dict[str, Any]], None]

app = typer.Typer(
    name="corpuskit",
    help="Build French biomedical corpora, enrich them, and see what they are worth.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _corpuskit() -> None:
    """Build French biomedical corpora, enrich them, and see what they are worth."""


def fail(message: str) -> typer.Exit:
    Console(stderr=True).print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    return typer.Exit(1)


Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]
Workers = Annotated[int, typer.Option("--workers", "-w", min=1, help="Processes.")]
Log = Annotated[
    str, typer.Option("--log", help="Progress: auto (a bar on a terminal, else nothing), rich, json (lines), quiet.")
]
Executor = Annotated[
    str, typer.Option("--executor", help="Where tasks run: local (this machine), slurm or ray.", show_default=True)
]
Profile = Annotated[
    Path | None, typer.Option("--profile", help="YAML with the Slurm options of your centre (pipelines/slurm/).")
]
RayAddress = Annotated[str, typer.Option("--ray-address", help="Ray cluster to join; auto finds the running one.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace another build in the folder.")]
PromptName = Annotated[
    str, typer.Argument(metavar="PROMPT", help="Name of a prompt that comes with corpuskit, or a file.")
]


def interrupted(kept: str) -> typer.Exit:
    """The end of a command after Ctrl-C; ``kept`` says what is still there, and where."""
    message = f"interrupted; {kept}: the same command goes on from there"
    Console(stderr=True).print(message, highlight=False, soft_wrap=True)
    return typer.Exit(130)


def log_kind(log: str) -> LogKind:
    """The ``--log`` that was given, if it is one."""
    from corpuskit.progress import Log

    if log not in get_args(Log):
        raise fail(f"--log {log}: expected auto, rich, json or quiet")
    return cast("LogKind", log)


@contextmanager
def lines_shown(log: LogKind, plain: Tell, live: Callable[[Console], AbstractContextManager[Tell]]) -> Iterator[Tell]:
    """What shows the lines that a run tells as it goes.

    Args:
        log: ``--log``: JSON on standard error, nothing, or for people.
        plain: what shows a line where there is no terminal.
        live: what does where there is one.
    """
    console = Console(stderr=True)
    match log:
        case "quiet":
            yield lambda line: None
        case "json":
            yield _write
        case "auto" if not console.is_terminal:
            yield plain
        case _:
            with live(console) as tell:
                yield tell


def _write(line: dict[str, Any]) -> None:
    sys.stderr.buffer.write(orjson.dumps(line) + b"\n")
    sys.stderr.flush()


def short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:50]}… ({len(value)} entries)"


def prompt_named(name: str) -> Prompt:
    from corpuskit.enrich import prompts

    try:
        return prompts.load(name)
    except prompts.PromptError as error:
        raise fail(str(error)) from None


def execution_of(executor: str, workers: int, profile: Path | None, ray_address: str) -> Execution:
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


def named(option: str, text: str, example: str) -> tuple[str, str]:
    from corpuskit.config import ConfigError

    name, equals, path = text.partition("=")
    if not equals or not path:
        raise ConfigError(f"{option} {text}: expected NAME=PATH, such as {example}")
    return name, path
