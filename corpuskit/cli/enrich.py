"""enrich: ask a model about the paragraphs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.markup import escape

from corpuskit.cli.common import Log, Output, Overwrite, app, fail, interrupted, log_kind, prompt_named
from corpuskit.cli.serving import (
    DEMO,
    Api,
    DataParallel,
    Endpoint,
    KeyEnv,
    Model,
    Revision,
    Serve,
    Structure,
    TensorParallel,
    VllmArg,
    VllmPython,
    server,
    serving_options,
)


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
    log = log_kind(log)
    try:
        extra = json.loads(body) if body else {}
    except json.JSONDecodeError as error:
        raise fail(f"--body is no JSON: {error}") from None
    options = serving_options(serve, model, vllm_python, revision, tensor_parallel, data_parallel, vllm_arg or [])
    console = Console(stderr=True)
    try:
        with server(options, output / "vllm.log", endpoint or [], watts, log, console) as served:
            if not (name := model or served.model):
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
                Sending(endpoints=served.urls, in_flight=in_flight, timeout=timeout, tries=tries, patience=patience),
                output,
                selection=Selection(share=share, seed=sample_seed, min_words=min_words, limit=limit),
                store=store,
                retry=cast(Any, retry or ()),
                overwrite=overwrite,
                key=api_key(api_key_env) or (api_key("VLLM_API_KEY") if options else ""),
                meter=served.meter,
                prices=report.Prices(hour=price_hour, tokens_in=price_in, tokens_out=price_out, gpus=gpus, grid=grid),
                serving=served.told,
                check=served.check,
                log=log,
                console=console,
            )
    except (EnrichError, ServerError, ValueError) as error:
        raise fail(str(error)) from None
    except (Interrupted, KeyboardInterrupt):
        raise interrupted(f"the answers are kept in {store or output / 'store'}") from None
    if log == "json":
        line = {"event": "done", "output": str(output), "outcomes": done.report["outcomes"]}
        sys.stderr.write(json.dumps(line) + "\n")
    if log != "quiet":
        out = Console()
        for table in report.tables(done.report):
            out.print(table)
        out.print(f"Written to [bold]{escape(str(output))}[/]: annotations/, enrichment.json", highlight=False)
