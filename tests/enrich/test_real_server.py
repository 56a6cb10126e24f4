"""The real vLLM on the CPU: what the rest relies on it for."""

from __future__ import annotations

import json
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from real_server import demo_server, real

from corpuskit.enrich import annotations, prompts
from corpuskit.enrich.ask import Asking
from corpuskit.enrich.run import Sending, enrich
from corpuskit.enrich.server import Server

__all__ = ["demo_server"]

PARAGRAPH = (
    "Une patiente de 54 ans a été hospitalisée pour une dyspnée d'aggravation progressive. L'échographie a montré "
    "une fraction d'éjection à 35 %."
)


def ask(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        server.url.removesuffix("/v1") + path,
        data=json.dumps({"model": server.model} | body).encode(),
        headers={"Content-Type": "application/json", "X-Request-Id": "a1"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=600) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@real
def test_the_real_vllm_annotates(demo_server: Server) -> None:
    prompt = prompts.load("biomed-enriched-fr")
    text = "".join(prompt.parts(PARAGRAPH))
    # Without <bos> the model writes garbage.
    assert ask(demo_server, "/tokenize", {"prompt": text})["tokens"][0] == 2
    schema = prompt.json_schema()
    cached = []
    for structure in (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}},
        {"structured_outputs": {"json": schema}},
    ):
        body = {"prompt": text, "max_tokens": 100, "temperature": 0, "logprobs": 5} | structure
        answer = ask(demo_server, "/v1/completions", body)
        choice = answer["choices"][0]
        assert answer["id"] == "cmpl-a1"
        assert choice["finish_reason"] == "stop"
        prompt.read(choice["text"], PARAGRAPH)
        # No token is spent on white space.
        assert choice["text"] == json.dumps(json.loads(choice["text"]), separators=(",", ":"), ensure_ascii=False)
        tokens = choice["logprobs"]["tokens"]
        assert "".join(tokens[:-1]) == choice["text"]
        assert len(tokens) == len(choice["logprobs"]["token_logprobs"]) == answer["usage"]["completion_tokens"]
        assert all(logprob <= 0 for logprob in choice["logprobs"]["token_logprobs"])
        cached.append(answer["usage"]["prompt_tokens_details"]["cached_tokens"])
    assert cached[1] > answer["usage"]["prompt_tokens"] / 2
    demo_server.check()


@real
def test_paragraphs_are_enriched_with_distributions_and_paid_for_once(demo_server: Server, tmp_path: Path) -> None:
    texts = [PARAGRAPH, "Les auteurs remercient le service.", "L'insuline abaisse la glycémie.", PARAGRAPH]
    table = {"id": [f"a{at}#0" for at in range(4)], "text": texts}
    pq.write_table(pa.table(table), tmp_path / "paragraphs.parquet")
    prompt = prompts.load("biomed-enriched-fr")
    asking = Asking(model=demo_server.model, api="completions")

    def run() -> dict[str, Any]:
        sending = Sending(endpoints=[demo_server.url], in_flight=4)
        return enrich(tmp_path / "paragraphs.parquet", prompt, asking, sending, tmp_path / "out", log="quiet").report

    told = run()
    assert told["outcomes"]["ok"] == 4
    assert told["work"]["tokens"]["cached"] > 0
    for row in annotations.read(tmp_path / "out").table().to_pylist():
        for name, field in prompt.fields.items():
            shares = row[f"{name}_probabilities"]
            assert sum(shares) == pytest.approx(1, abs=0.001)
            # Sampled greedily: the answer is the likeliest, but for labels that begin alike.
            assert row[name] is not None
            if name == "educational_quality":
                assert field.classes[shares.index(max(shares))] == str(row[name])
                assert 1 <= row[f"{name}_expected"] <= 5
                assert max(shares) < 1, "a small model is never sure"
    assert run()["paragraphs"]["asked_now"] == 0


@real
def test_all_its_processes_are_of_its_group(demo_server: Server) -> None:
    """The group is what is ended: nothing may have left it."""
    processes = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # just ended
            _, parent, group, *_ = status.read_text().rsplit(") ", 1)[1].split()
            processes[int(status.parent.name)] = int(parent), int(group)
    ours, found = {demo_server.pid}, set[int]()
    while ours:
        found |= ours
        ours = {process for process, (parent, _) in processes.items() if parent in ours}
    assert len(found) > 1
    assert {processes[process][1] for process in found} == {demo_server.pid}
