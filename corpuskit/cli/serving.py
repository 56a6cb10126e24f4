"""What enrich and prompts try share: a server that is there, or one that is started for the command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console

from corpuskit.cli.common import fail

if TYPE_CHECKING:
    from corpuskit.energy import Meter
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


class Served(NamedTuple):
    """The servers to ask."""

    urls: list[str]
    #: The model that is served, where the server was started here.
    model: str | None
    meter: Meter
    #: What is known of a server that was started here.
    told: dict[str, Any] | None = None
    check: Callable[[], None] = lambda: None


def serving_options(
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
def server(
    options: ServeOptions | None, record: Path, urls: list[str], watts: float | None, log: str, console: Console
) -> Iterator[Served]:
    """The servers at the URLs; or one that is started with these options and writes to ``record``."""
    from corpuskit.energy import Meter
    from corpuskit.enrich.server import serve

    if options is None:
        yield Served(urls, None, Meter(here=False, watts=watts))
        return
    meter = Meter(here=True, watts=watts)
    record.parent.mkdir(parents=True, exist_ok=True)
    tell = None if log == "quiet" else lambda told: console.print(told, highlight=False, markup=False)
    with serve(options, record, tell) as started:
        told = {"vllm": started.version, "options": options.model_dump(mode="json")}
        yield Served([started.url], started.model, meter, told, started.check)
