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
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

import yaml

TOKEN = "hf_of_the_tests"
#: What the Hub takes as tasks of a data set, and as licences (its documentation, of what a card here may name).
TASKS = {
    "text-classification", "token-classification", "table-question-answering", "question-answering",
    "zero-shot-classification", "translation", "summarization", "feature-extraction", "text-generation", "fill-mask",
    "sentence-similarity", "text-ranking", "tabular-to-text", "table-to-text", "multiple-choice", "text-retrieval",
}  # fmt: skip
LICENCES = {
    "apache-2.0", "mit", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0",
    "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "etalab-2.0", "gfdl", "odbl", "odc-by", "pddl", "unknown",
    "other",
}  # fmt: skip


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
        wrong = [] if told.get("license") in LICENCES else ["license"]
        known = {"size_categories": _resource("size_categories"), "language": _resource("languages"),
                 "annotations_creators": _resource("creators")["annotations"], "task_categories": TASKS}  # fmt: skip
        for name, values in known.items():
            given = told.get(name)
            if not isinstance(given, list) or not given or not {*given} <= {*values}:
                wrong.append(name)
        if not _are_configurations(told.get("configs")):
            wrong.append("configs")
        if told.get("license") == "other" and not re.fullmatch(r"[a-z0-9-.]+", told.get("license_name", "")):
            wrong.append("license_name")
        if told.get("license") == "other" and told.get("license_link") not in ("LICENSE", "LICENSE.md"):
            wrong.append("license_link")
        return wrong


def _resource(name: str) -> Any:
    """What `datasets` knows of the values of a field."""
    return json.loads((files("datasets.utils.resources") / f"{name}.json").read_text(encoding="utf-8"))


def _are_configurations(given: Any) -> bool:
    """Each has a name of its own, and files of each split; one is the default at most."""
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        return False
    names = [one.get("config_name") for one in given]
    return (
        len(set(names)) == len(names)
        and sum(one.get("default", False) for one in given) <= 1
        and all(
            isinstance(one.get("config_name"), str)
            and bool(one.get("data_files"))
            and all(
                part.keys() == {"split", "path"} and re.fullmatch(r"\w+(\.\w+)*", part["split"])
                for part in one["data_files"]
            )
            for one in given
        )
    )


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
        kind = next((one for one in ("/datasets/", "/models/") if one in path), None)
        if kind is None:  # what the client asks besides, without a token
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
            self._answer({"id": path.split(kind)[1].split("/revision")[0], "sha": self.hub.head,
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
            told = json.loads(body)
            wrong = hub.validate(told["content"]) if told["repoType"] == "dataset" else []
            self._answer({"errors": [{"message": one} for one in wrong], "warnings": []}, 400 if wrong else 200)
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            for one in files:
                one |= {
                    "shouldIgnore": False,
                    "uploadMode": "lfs" if one["path"].endswith((".parquet", ".safetensors")) else "regular",
                }
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
