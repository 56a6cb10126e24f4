"""enrich: ask a model about the paragraphs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.markup import escape

from corpuskit.cli.common import Log, Output, Overwrite, app, fail, prompt_named

if TYPE_CHECKING:
    from corpuskit.enrich.server import ServeOptions

DEMO = "demo"

Endpoint = Annotated[
    list[str] | None,
    typer.Option("--endpoint", "-e", metavar="URL", help="API of a server, ending in /v1; repeatable: they share."),
]
Model = Annotated[str | None, typer.Option("--model", "-m", help="Name of the model, as its server knows it.")]
Serve = Annotated[
    str | None,
    typer.Option("--serve", metavar="MODEL", help="Start vLLM with this model, for this run; `demo`: a tiny one."),
]
VllmPython = Annotated[
    Path | None, typer.Option("--vllm-python", help="Python of the environment that has vLLM; this one unless given.")
]
TensorParallel = Annotated[int, typer.Option("--tensor-parallel", min=1, help="GPUs that share one copy of the model.")]
DataParallel = Annotated[int, typer.Option("--data-parallel", min=1, help="Copies of the model side by side.")]
VllmArg = Annotated[
    list[str] | None,
    typer.Option("--vllm-arg", metavar="FLAG", help='Anything else for vLLM, as "--max-model-len=8192"; repeatable.'),
]
Revision = Annotated[str, typer.Option("--revision", help="Revision of the model: another one is asked anew.")]
Api = Annotated[
    str, typer.Option("--api", help="auto (chat; completions for the demo), chat, or completions for a base model.")
]
Structure = Annotated[
    str,
    typer.Option("--structure", help="How the JSON schema is given: response_format, structured_outputs (vLLM), none."),
]
KeyEnv = Annotated[str, typer.Option("--api-key-env", help="Environment variable that holds the API key.")]


@app.command()
def enrich(
    paragraphs: Annotated[
        str, typer.Argument(metavar="PARAGRAPHS", help="What `corpuskit build` wrote, or Parquet with `id` and `text`.")
    ],
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", help="Name of a prompt that comes with corpuskit, or a file.")
    ],
    output: Output,
    endpoint: Endpoint = None,
    model: Model = None,
    serve: Serve = None,
    vllm_python: VllmPython = None,
    tensor_parallel: TensorParallel = 1,
    data_parallel: DataParallel = 1,
    vllm_arg: VllmArg = None,
    revision: Revision = "",
    api: Api = "auto",
    structure: Structure = "response_format",
    temperature: Annotated[float, typer.Option(help="Of sampling.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Of sampling.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of sampling.")] = 0,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of an answer; what the fields need, unless given.")
    ] = None,
    top_logprobs: Annotated[
        int, typer.Option(min=0, help="Alternatives a token, for distributions; 0: none are asked for.")
    ] = 20,
    body: Annotated[
        str | None,
        typer.Option(help='More fields of a request, JSON: {"chat_template_kwargs": {"enable_thinking": false}}.'),
    ] = None,
    in_flight: Annotated[int, typer.Option(min=1, help="Questions under way at a time.")] = 256,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one answer may take.")] = 600.0,
    tries: Annotated[int, typer.Option(min=1, help="Failures after which a question is given up.")] = 5,
    patience: Annotated[
        float, typer.Option(min=1, help="Seconds without any answer after which the run ends.")
    ] = 300.0,
    share: Annotated[float, typer.Option(help="Ask about a random share of the paragraphs, 0 to 1.")] = 1.0,
    sample_seed: Annotated[int, typer.Option(help="Another seed, another share.")] = 1,
    min_words: Annotated[int, typer.Option(min=0, help="Only paragraphs of as many words.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many.")] = None,
    retry: Annotated[
        list[str] | None,
        typer.Option(help="Ask again about what came to: invalid, truncated, refused, error; repeatable."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Folder of the store, to share it; in the output unless given.")
    ] = None,
    api_key_env: KeyEnv = "OPENAI_API_KEY",
    watts: Annotated[
        float | None, typer.Option(help="Power of the machine that serves, W, where it is not read.")
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="GPUs that serve, where they cannot be counted here.")] = None,
    price_hour: Annotated[float | None, typer.Option(help="Price of an hour of a GPU, or of the machine.")] = None,
    price_in: Annotated[float | None, typer.Option(help="Price of a million tokens of questions.")] = None,
    price_out: Annotated[float | None, typer.Option(help="Price of a million tokens of answers.")] = None,
    grid: Annotated[float, typer.Option(help="Grid intensity, g CO2e/kWh.")] = 34.0,
    overwrite: Overwrite = False,
    log: Log = "auto",
) -> None:
    """Annotate paragraphs with a language model: each is asked about once, and every answer is kept.

    corpuskit enrich corpus --prompt biomed-enriched-fr --endpoint http://node1:8000/v1 --model Qwen/Qwen3-32B -o labels

    An interrupted run goes on with the same command. `--serve demo` tries the machinery with a tiny model, whose
    labels are not to be trusted.
    """
    from corpuskit.enrich import report
    from corpuskit.enrich.ask import Asking
    from corpuskit.enrich.client import api_key
    from corpuskit.enrich.run import EnrichError, Interrupted, Sending, enrich
    from corpuskit.enrich.selection import Selection
    from corpuskit.enrich.server import ServerError

    found = prompt_named(prompt)
    if (serve is None) == (not endpoint):
        raise fail("give either --endpoint URL (repeatable) or --serve MODEL")
    if wrong := [one for one in retry or () if one not in ("invalid", "truncated", "refused", "error")]:
        raise fail(f"--retry {wrong[0]}: expected invalid, truncated, refused or error")
    if log not in ("auto", "rich", "json", "quiet"):
        raise fail(f"--log {log}: expected auto, rich, json or quiet")
    try:
        extra = json.loads(body) if body else {}
    except json.JSONDecodeError as error:
        raise fail(f"--body is no JSON: {error}") from None
    options = _serving(serve, model, vllm_python, revision, tensor_parallel, data_parallel, vllm_arg or [])
    console = Console(stderr=True)
    try:
        with _server(options, output, endpoint or [], watts, log, console) as (urls, served, meter, serving):
            if not (name := model or served):
                raise fail("which model? give --model NAME, as the server knows it")
            asking = Asking(
                model=name,
                revision=revision or (options.revision if options else None) or "",
                api="completions" if api == "completions" or (api == "auto" and serve == DEMO) else "chat",
                temperature=temperature,
                top_p=top_p,
                seed=seed,
                max_tokens=max_tokens,
                top_logprobs=top_logprobs,
                structure=cast(Any, structure),
                extra=extra,
            )
            done = enrich(
                paragraphs,
                found,
                asking,
                Sending(endpoints=urls, in_flight=in_flight, timeout=timeout, tries=tries, patience=patience),
                output,
                selection=Selection(share=share, seed=sample_seed, min_words=min_words, limit=limit),
                store=store,
                retry=cast(Any, retry or ()),
                overwrite=overwrite,
                key=api_key(api_key_env),
                meter=meter,
                prices=report.Prices(hour=price_hour, tokens_in=price_in, tokens_out=price_out, gpus=gpus, grid=grid),
                serving=serving,
                log=cast(Any, log),
                console=console,
            )
    except (EnrichError, ServerError, ValueError) as error:
        raise fail(str(error)) from None
    except (Interrupted, KeyboardInterrupt):
        console.print(f"interrupted; the answers are kept in {store or output / 'store'}: the same command goes on")
        raise typer.Exit(130) from None
    if log == "json":
        line = {"event": "done", "output": str(output), "outcomes": done.report["outcomes"]}
        sys.stderr.write(json.dumps(line) + "\n")
    if log != "quiet":
        out = Console()
        for table in report.tables(done.report):
            out.print(table)
        out.print(f"Written to [bold]{escape(str(output))}[/]: annotations/, enrichment.json", highlight=False)


def _serving(
    serve: str | None,
    model: str | None,
    python: Path | None,
    revision: str,
    tensor_parallel: int,
    data_parallel: int,
    extra: list[str],
) -> ServeOptions | None:
    """How vLLM is to be started, None when it is not."""
    if serve is None:
        return None
    if serve == DEMO:
        from corpuskit.enrich import demo_model

        if not demo_model.installed():
            raise fail("the demo model is not installed; once: python -m corpuskit.enrich.demo_model")
        return demo_model.serve_options()
    from corpuskit.enrich.server import ServeOptions

    return ServeOptions(
        model=serve, served_name=model, python=str(python or sys.executable), revision=revision or None,
        tensor_parallel=tensor_parallel, data_parallel=data_parallel, extra=extra,
    )  # fmt: skip


@contextmanager
def _server(
    options: ServeOptions | None, output: Path, urls: list[str], watts: float | None, log: str, console: Console
) -> Iterator[tuple[list[str], str | None, Any, dict[str, Any] | None]]:
    """The URLs to ask, the model served there, the meter of its energy, and what is known of it."""
    from corpuskit.energy import Meter
    from corpuskit.enrich.server import serve

    if options is None:
        yield urls, None, Meter(here=False, watts=watts), None
        return
    meter = Meter(here=True, watts=watts)
    output.mkdir(parents=True, exist_ok=True)
    tell = None if log == "quiet" else lambda told: console.print(told, highlight=False, markup=False)
    with serve(options, output / "vllm.log", tell) as server:
        yield [server.url], server.model, meter, {"vllm": server.version, "options": options.model_dump(mode="json")}
