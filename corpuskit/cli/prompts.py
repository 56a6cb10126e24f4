"""prompts: look at what is asked of a model."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from corpuskit.cli.common import PromptName, app, fail, prompt_named
from corpuskit.cli.serving import (
    DEMO,
    Api,
    Endpoint,
    KeyEnv,
    Model,
    Serve,
    Structure,
    VllmPython,
    server,
    serving_options,
)

if TYPE_CHECKING:
    from corpuskit.enrich.ask import Questions
    from corpuskit.enrich.store import Attempt

prompts_app = typer.Typer(
    help="Look at the prompts that annotate paragraphs: list, show, check, try.", no_args_is_help=True
)
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


@prompts_app.command("try")
def try_prompt(
    prompt: PromptName,
    paragraph: Annotated[str, typer.Argument(metavar="PARAGRAPH", help="Its text, a file of it, or - to read it.")],
    endpoint: Endpoint = None,
    model: Model = None,
    serve: Serve = None,
    vllm_python: VllmPython = None,
    api: Api = "auto",
    structure: Structure = "response_format",
    api_key_env: KeyEnv = "OPENAI_API_KEY",
) -> None:
    """Ask a model about one paragraph; without a server, show what it would read.

    corpuskit prompts try my-prompt.md "Un homme de 54 ans tousse." --endpoint http://node1:8000/v1 --model NAME
    """
    from corpuskit.enrich.ask import Asking, Questions
    from corpuskit.enrich.client import Unreachable, api_key
    from corpuskit.enrich.server import ServerError

    found, text = prompt_named(prompt), _text(paragraph)
    if serve is None and not endpoint:
        print("\n\n".join(found.parts(text)))
        return
    options = serving_options(serve, model, vllm_python, "", 1, 1, [])
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            server(options, Path(folder) / "vllm.log", endpoint or [], None, "auto", Console(stderr=True)) as served,
        ):
            if not (name := model or served.model):
                raise fail("which model? give --model NAME, as the server knows it")
            plain = api == "completions" or (api == "auto" and serve == DEMO)
            asking = Asking(model=name, api="completions" if plain else "chat", structure=cast(Any, structure))
            questions = Questions(found, asking)
            attempt = asyncio.run(_ask(questions, served.urls, text, api_key(api_key_env)))
    except (ServerError, Unreachable, ValueError) as error:
        raise fail(str(error)) from None
    _show(questions, attempt)


async def _ask(questions: Questions, urls: list[str], text: str, key: str) -> Attempt:
    from corpuskit.enrich.client import Client

    async with Client(urls, questions.path, timeout=300, tries=1, patience=10, key=key) as client:
        return await questions.ask(client, text, questions.key(text).hex())


def _text(paragraph: str) -> str:
    if paragraph == "-":
        return sys.stdin.read().strip()
    try:
        return Path(paragraph).read_text(encoding="utf-8").strip() if Path(paragraph).is_file() else paragraph
    except (OSError, UnicodeDecodeError):  # as a long text is no name of a file
        return paragraph


def _show(questions: Questions, attempt: Attempt) -> None:
    console = Console()
    if attempt.outcome != "ok":
        console.print(f"[bold]{attempt.outcome}[/]: {escape(attempt.detail)}", highlight=False)
        if attempt.written:
            console.print(escape(attempt.written), highlight=False)
        return
    table = Table("field", "answer", "likely", box=None, pad_edge=False)
    for name, value in attempt.answer.items():
        shares = zip(questions.prompt.fields[name].classes, attempt.soft.get(name, ()), strict=False)
        likely = sorted(((share, one) for one, share in shares if share >= 0.005), reverse=True)
        shown = ", ".join(value) if isinstance(value, list) else str(value)
        table.add_row(name, escape(shown), escape(", ".join(f"{one} {share:.0%}" for share, one in likely)))
    console.print(table)
    read, wrote, cached = attempt.tokens
    console.print(
        f"{read:,} tokens read ({cached:,} cached), {wrote:,} written, {attempt.seconds:.2f} s", highlight=False
    )
