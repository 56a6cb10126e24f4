"""A server of OpenAI's API that misbehaves on demand, in a process of its own.

What it does with a question is written in the paragraph: a word such as ``<<500>>`` makes it fail always,
``<<500:2>>`` the first two times it is asked. Everything else is answered after ``delay`` seconds with a right answer.
Every request is logged as one line (its key, the order, the time), so that a test can count what was asked twice.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

GOOD = {"document_type": "study", "domain": "clinical", "educational_quality": 3, "language": "fr"}
_ORDER = re.compile(rb"<<([a-z0-9_]+)(?::(\d+))?>>")


def answer(written: str, id: str, finish: str = "stop", **message: object) -> dict[str, object]:
    """A chat completion and a plain one in one: a client reads what it knows."""
    choice = {"index": 0, "finish_reason": finish, "message": {"content": written} | message, "text": written}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 80}}
    return {"id": f"chatcmpl-{id}", "choices": [choice], "usage": usage}


class Server(asyncio.Protocol):
    """One connection; HTTP/1.1 as far as the tests need it."""

    delay = 0.0
    log: Path | None = None
    asked: ClassVar[Counter[bytes]] = Counter()
    bodies: Path | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self.buffer) < size:
                return
            body, self.buffer = self.buffer[end + 4 : size], self.buffer[size:]
            self.serve(head, body)

    def serve(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):
            self.send(200, {"data": [{"id": "model"}, {"id": "Qwen/Qwen3-32B"}]})
            return
        # The last order of the text: an example in the prompt is none.
        found = re.search(rb"(?i)\nx-request-id: *corpuskit-([0-9a-f]{32})", head)
        key = found[1] if found else b""
        self.asked[key] += 1
        if self.bodies:
            with open(self.bodies, "ab") as lines:
                lines.write(body + b"\n")
        orders = _ORDER.findall(body)
        order, times = orders[-1] if orders else (b"", b"")
        if times and self.asked[key] > int(times):
            order = b""
        self.note(key, order)
        asyncio.get_running_loop().call_later(self.delay, self.act, order.decode(), key.decode())

    def act(self, order: str, key: str) -> None:
        right = answer(json.dumps(GOOD), f"corpuskit-{key}-0")
        match order:
            case "":
                self.send(200, right)
            case "429" | "503":
                self.send(int(order), {"error": {"message": "wait"}}, "Retry-After: 0.2\r\n")
            case "500" | "400" | "401" | "404":
                self.send(int(order), {"error": {"message": f"told {order}"}})
            case "busy":
                self.send(503, {"error": {"message": "no Retry-After"}})
            case "close":
                self.transport.close()
            case "half_close":
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
                self.transport.close()
            case "hang":
                return
            case "no_api":
                self.send(200, {"hello": "world"})
            case "no_json":
                self.send_raw(200, b'{"id": "x", "choices": [{"te')
            case "half":
                self.send(200, answer('{"document_type": "stu', key))
            case "spaces":
                self.send(200, answer('{"document_type":' + " " * 300, key, finish="length"))
            case "wrong":
                self.send(200, answer(json.dumps(GOOD | {"document_type": "novel"}), key))
            case "other":
                self.send(200, answer(json.dumps(GOOD), "corpuskit-" + "f" * 32 + "-0"))
            case "refusal":
                self.send(200, answer("", key, refusal="I cannot"))
            case "filter":
                self.send(200, answer("", key, finish="content_filter"))
            case "die":
                sys.exit(1)

    def note(self, key: bytes, order: bytes) -> None:
        if self.log:
            with open(self.log, "ab", buffering=0) as lines:
                lines.write(b"%s %s %.3f\n" % (key, order or b"ok", time.time()))

    def send(self, status: int, content: object, header: str = "") -> None:
        self.send_raw(status, json.dumps(content).encode(), header)

    def send_raw(self, status: int, content: bytes, header: str = "") -> None:
        if not self.transport.is_closing():
            line = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
            self.transport.write(f"{line}{header}\r\n".encode() + content)


async def _main(port: int, delay: float, log: str, bodies: str) -> None:
    Server.delay, Server.log, Server.bodies = delay, Path(log) if log else None, Path(bodies) if bodies else None
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def fake(log: Path | str = "", delay: float = 0.0, port: int = 0, bodies: Path | str = "") -> Iterator[str]:
    """Run the server; yields the URL of its API."""
    command = [sys.executable, __file__, str(port), str(delay), str(log), str(bodies)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.kill()
        process.wait()


def wait_until_up(url: str, seconds: float = 30) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(f"{url}/models", timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)


if __name__ == "__main__":
    port, delay, log, bodies = sys.argv[1:]
    asyncio.run(_main(int(port), float(delay), log, bodies))
