"""The real vLLM with the demo model, started once for all tests that want it.

Import the fixture, and mark what uses it, so that one test process starts it and is given the time::

    from real_server import demo_server, real

    @real
    def test_something(demo_server): ...

It runs where the demo model is installed; CORPUSKIT_DEMO_SERVER=1 installs it. Elsewhere those tests skip.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from corpuskit.enrich import demo_model
from corpuskit.enrich.server import Server, serve

Test = TypeVar("Test", bound=Callable[..., None])


def real(test: Test) -> Test:
    """Mark a test that uses the server."""
    return pytest.mark.xdist_group("vllm")(pytest.mark.timeout(1800)(test))


@pytest.fixture(scope="session")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server, ready."""
    if os.environ.get("CORPUSKIT_DEMO_SERVER"):
        demo_model.install(print)
    elif not demo_model.installed():
        pytest.skip("the demo model is not installed: make demo-model")
    log: Path = tmp_path_factory.mktemp("vllm") / "vllm.log"
    with serve(demo_model.serve_options(), log, print) as server:
        yield server
