"""A small stand-in of the Hub: enough of its API to take a data set, and to fail while it does.

Files are kept by their hash, as the Hub keeps them: a commit names them, and only a commit makes a revision.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import yaml

TOKEN = "hf_of_the_tests"


class Hub:
    """What it holds, what it was asked, and what it is to get wrong."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.revisions: list[dict[str, bytes]] = [{".gitattributes": b""}]
        self.private: bool | None = None
        self.uploads = Counter[str]()
        self.tokens: set[str | None] = set()
        #: Uploads to take before the connection is cut, at every one from then on; None for never.
        self.cut_after: int | None = None
        #: Statuses that the next commits are answered with.
        self.refusals: list[int] = []
        self.url = ""

    @property
    def head(self) -> str:
        return hashlib.sha1(str(len(self.revisions)).encode()).hexdigest()

    def validate(self, content: str) -> list[str]:
        """What the Hub finds wrong with a card's metadata (of what can be told without it)."""
        found = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        if not found:
            return ["no metadata"]
        told = yaml.safe_load(found[1])
        wrong = [] if isinstance(told.get("license"), str) else ["license"]
        if told.get("license") == "other" and not re.fullmatch(r"[a-z0-9-.]+", told.get("license_name", "")):
            wrong.append("license_name")
        if told.get("license") == "other" and told.get("license_link") not in ("LICENSE", "LICENSE.md"):
            wrong.append("license_link")
        return wrong + [one for one in told.get("language", ()) if not re.fullmatch("[a-z]{2,3}", one)]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        path = unquote(self.path.split("?")[0])
        if "/datasets/" not in path:  # what the client asks besides, without a token
            self._answer({}, 404)
            return
        self.hub.tokens.add(self.headers.get("Authorization"))
        newest = self.hub.revisions[-1]
        if "/tree/" in path:
            files = [
                {"type": "file", "path": name, "oid": "0" * 40, "size": len(body)} for name, body in newest.items()
            ]
            self._answer(files)
        else:
            siblings = [{"rfilename": name} for name in newest]
            self._answer({"id": path.split("/datasets/")[1].split("/revision")[0], "sha": self.hub.head,
                          "siblings": siblings, "private": True, "tags": []})  # fmt: skip

    def do_PUT(self) -> None:
        hub, oid = self.hub, self.path.rsplit("/", 1)[1]
        if hub.cut_after is not None and sum(hub.uploads.values()) >= hub.cut_after:
            self.connection.close()
            return
        body = self._body()
        assert hashlib.sha256(body).hexdigest() == oid
        hub.uploads[oid] += 1
        hub.objects[oid] = body
        self._answer({})

    def do_POST(self) -> None:
        hub, body = self.hub, self._body()
        hub.tokens.add(self.headers.get("Authorization"))
        if self.path == "/api/repos/create":
            hub.private = json.loads(body).get("visibility") == "private"
            self._answer({"url": f"{hub.url}/datasets/lab/corpus"})
        elif self.path == "/api/validate-yaml":
            wrong = hub.validate(json.loads(body)["content"])
            self._answer({"errors": [{"message": one} for one in wrong], "warnings": []}, 400 if wrong else 200)
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            for one in files:
                one |= {"shouldIgnore": False, "uploadMode": "lfs" if one["path"].endswith(".parquet") else "regular"}
            self._answer({"files": files})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = []
            for one in json.loads(body)["objects"]:
                there = one["oid"] in hub.objects
                actions = {} if there else {"actions": {"upload": {"href": f"{hub.url}/lfs/{one['oid']}"}}}
                objects.append(one | actions)
            self._answer({"transfer": "basic", "objects": objects})
        elif "/commit/" in self.path:
            self._commit(body)
        else:
            self._answer({"error": self.path}, 404)

    def _commit(self, body: bytes) -> None:
        hub = self.hub
        if hub.refusals:
            self._answer({"error": "try again later"}, hub.refusals.pop(0))
            return
        head, *operations = map(json.loads, body.splitlines())
        if head["value"].get("parentCommit") not in (None, hub.head):
            self._answer({"error": "the branch has moved"}, 412)
            return
        files = dict(hub.revisions[-1])
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = hub.objects[value["oid"]]
            else:
                del files[value["path"]]
        hub.revisions.append(files)
        self._answer({"commitUrl": f"{hub.url}/datasets/lab/corpus/commit/{hub.head}", "commitOid": hub.head})


@contextmanager
def serving() -> Iterator[Hub]:
    """The stand-in, for as long as it is needed."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
