"""How fast questions are asked, against aiohttp and the openai client on one server; and memory as the input grows.

    python benchmarks/enrich.py --json benchmarks/results/enrich.json

The server, in a process of its own, answers each question after 50 ms. Ours does the whole way: reads the paragraphs
from Parquet, looks them up in the store, asks, checks the answers, commits them, writes the table. "aiohttp" posts
the same bodies, made beforehand, and parses the answers. They take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

IN_FLIGHT, DELAY = 256, 0.05
ANSWER = {"document_type": "study", "domain": "clinical", "educational_quality": 3, "language": "fr"}
TEXT = (
    "Un homme de {at} ans, diabétique, est admis pour une douleur thoracique constrictive évoluant depuis deux heures. "
    "L'électrocardiogramme montre un sus-décalage du segment ST en inférieur ; une angioplastie est faite en urgence, "
    "avec des suites simples. Le patient sort au {at}e jour sous aspirine, bêtabloquant et statine ; à six mois il "
    "est asymptomatique et la fraction d'éjection est normale."
)


def reply() -> bytes:
    usage = {"prompt_tokens": 1400, "completion_tokens": 34, "prompt_tokens_details": {"cached_tokens": 1280}}
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "text": json.dumps(ANSWER),
        "message": {"content": json.dumps(ANSWER)},
    }
    content = json.dumps({"id": "chatcmpl-0", "choices": [choice], "usage": usage}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


class Server(asyncio.Protocol):
    """Answers every request, as cheaply as Python can."""

    answer = reply()
    models = b'HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{"data": [{"id": "model"}]}'.replace(b" 26", b" 27")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.left, self.head = 0, b""
        self.loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        while data:
            if not self.left:
                self.head += data
                end = self.head.find(b"\r\n\r\n")
                if end < 0:
                    return
                head, data, self.head = self.head[:end].lower(), self.head[end + 4 :], b""
                if head.startswith(b"get"):
                    self.transport.write(self.models)
                    continue
                at = head.index(b"content-length:") + 15
                self.left = int(head[at:].split(b"\r\n", 1)[0])
            taken = min(self.left, len(data))
            self.left -= taken
            data = data[taken:]
            if not self.left:
                self.loop.call_later(DELAY, self.transport.write, self.answer)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def make(path: Path, number: int) -> None:
    schema = pa.schema({"id": pa.string(), "article_id": pa.string(), "source": pa.string(), "text": pa.large_string()})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, number, 10_000):
            many = range(start, min(start + 10_000, number))
            rows = {
                "id": [f"cases:{at // 20}#{at:012x}" for at in many],
                "article_id": [f"cases:{at // 20}" for at in many],
                "source": ["cases"] * len(many),
                "text": [TEXT.format(at=at) for at in many],
            }
            writer.write_table(pa.table(rows, schema=schema))


def ours(url: str, source: str, output: str) -> None:
    from corpuskit.enrich import prompts
    from corpuskit.enrich.ask import Asking
    from corpuskit.enrich.run import Sending, enrich

    sending = Sending(endpoints=[url], in_flight=IN_FLIGHT)
    start = time.perf_counter()
    done = enrich(source, prompts.load("biomed-enriched-fr"), Asking(model="model"), sending, output, log="quiet")
    seconds = time.perf_counter() - start
    work = done.report["work"]
    assert done.report["outcomes"]["ok"] == done.report["paragraphs"]["chosen"]
    print(json.dumps({
        "requests": work["requests"], "asking_s": work["seconds"], "requests_per_s": work["requests_per_second"],
        "all_s": round(seconds, 2), "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))  # fmt: skip


def bodies(source: str) -> list[bytes]:
    from corpuskit.enrich import prompts
    from corpuskit.enrich.ask import Asking, Questions

    questions = Questions(prompts.load("biomed-enriched-fr"), Asking(model="model"))
    return [questions.body(text) for text in pq.read_table(source)["text"].to_pylist()]


async def _aiohttp(url: str, wanted: list[bytes]) -> float:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        waiting = iter(wanted)

        async def work() -> None:
            for body in waiting:
                async with session.post(
                    f"{url}/chat/completions", data=body, headers={"Content-Type": "application/json"}
                ) as answer:
                    orjson.loads(await answer.read())["choices"][0]

        start = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        return len(wanted) / (time.perf_counter() - start)


async def _openai(url: str, wanted: list[bytes]) -> float:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        waiting = iter([orjson.loads(body) for body in wanted])

        async def work() -> None:
            for body in waiting:
                (await client.chat.completions.create(**body)).choices[0]

        start = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        return len(wanted) / (time.perf_counter() - start)


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    told.add_argument("--requests", type=int, default=30_000)
    told.add_argument("--rounds", type=int, default=3)
    told.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="for memory")
    told.add_argument("--json", type=Path)
    told.add_argument("--part", nargs="*", help=argparse.SUPPRESS)
    given = told.parse_args()
    if given.part:
        part, *rest = given.part
        if part == "serve":
            import uvloop

            uvloop.run(serve())
        elif part == "ours":
            ours(*rest)
        else:
            measure = {"aiohttp": _aiohttp, "openai": _openai}[part]
            print(json.dumps({"requests_per_s": round(asyncio.run(measure(rest[0], bodies(rest[1]))), 1)}))
        return

    def run(*part: str) -> dict[str, Any]:
        done = subprocess.run([sys.executable, __file__, "--part", *part], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    server = subprocess.Popen([sys.executable, __file__, "--part", "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        result: dict[str, Any] = {
            "machine": platform.platform(), "in_flight": IN_FLIGHT, "delay_s": DELAY, "rounds": [], "sizes": [],
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            source = f"{folder}/paragraphs.parquet"
            make(Path(source), given.requests)
            peers = ["aiohttp"]
            try:
                import openai  # noqa: F401

                peers.append("openai")
            except ImportError:
                print("openai is not installed: not measured")
            for number in range(given.rounds):
                found = {"ours": run("ours", url, source, f"{folder}/out-{number}")}
                for peer in peers:
                    found[peer] = run(peer, url, source)
                found["ratio_to_aiohttp"] = round(
                    found["ours"]["requests_per_s"] / found["aiohttp"]["requests_per_s"], 3
                )  # type: ignore[assignment]
                result["rounds"].append(found)
                print(json.dumps(found), flush=True)
            for size in given.sizes:
                make(Path(source), size)
                result["sizes"].append(run("ours", url, source, f"{folder}/size-{size}"))
                print(json.dumps(result["sizes"][-1]), flush=True)
        if given.json:
            given.json.write_text(json.dumps(result, indent=2) + "\n")
    finally:
        server.kill()


if __name__ == "__main__":
    main()
