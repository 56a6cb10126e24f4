"""Asking a model about a paragraph: the question as a request, its name, and what the answer comes to."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

import orjson
from pydantic import Field

from corpuskit.enrich import soft
from corpuskit.enrich.client import Client, GivenUp, Reply
from corpuskit.enrich.prompts import InvalidAnswer, Prompt
from corpuskit.enrich.store import Attempt
from corpuskit.steps import StepOptions

#: Characters of what a model wrote that are kept where it is no answer.
_KEPT = 2_000
#: Tokens for a list of passages, whose length no schema tells.
_PASSAGES = 1_024


class Asking(StepOptions):
    """How a model is asked. All of it may change an answer, so all of it is in the name of a question."""

    model: str = Field(min_length=1, description="name of the model, as its server knows it")
    revision: str = Field("", description="its revision (commit, date): another one is another model")
    api: Literal["chat", "completions"] = Field("chat", description="chat, or completions for a base model")
    temperature: float = Field(0.0, ge=0, description="of sampling; 0 takes the likeliest token")
    top_p: float = Field(1.0, gt=0, le=1, description="of sampling")
    seed: int = Field(0, description="of sampling")
    max_tokens: int | None = Field(None, ge=1, description="of an answer; what the prompt's fields need, unless given")
    top_logprobs: int = Field(20, ge=0, description="alternatives a token, for distributions; 0: none are asked for")
    structure: Literal["response_format", "structured_outputs", "none"] = Field(
        "response_format", description="how the server is given the JSON schema: OpenAI's way, vLLM's own, or not"
    )
    extra: dict[str, Any] = Field(default={}, description="anything else for the body of a request")


class Questions:
    """The questions that a prompt asks of a model.

    Attributes:
        name: hash of the prompt, its schema and the way of asking, 32 hexadecimal digits.
        told: what that is the hash of.
    """

    def __init__(self, prompt: Prompt, asking: Asking) -> None:
        self.prompt, self.asking = prompt, asking
        self.told: dict[str, Any] = {
            "prompt": prompt.name,
            "version": prompt.version,
            "fingerprint": prompt.fingerprint,
            "schema": prompt.json_schema(),
            "asking": asking.model_dump(mode="json"),
        }
        decisive = {name: value for name, value in self.told.items() if name not in ("prompt", "version")}
        told = orjson.dumps(decisive, option=orjson.OPT_SORT_KEYS)
        self._name = hashlib.blake2b(told, digest_size=16).digest()
        self.name = self._name.hex()
        self.path = "chat/completions" if asking.api == "chat" else "completions"
        self._head, self._tail = self._frame()

    def key(self, text: str) -> bytes:
        """The name of the question about a paragraph, 16 bytes."""
        return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16, key=self._name).digest()

    def body(self, text: str) -> bytes:
        """The request about a paragraph, JSON in UTF-8. What is the same for all comes first."""
        _, own = self.prompt.parts(text)
        return self._head + orjson.dumps(own.encode("utf-8", "replace").decode())[1:-1] + self._tail

    def _frame(self) -> tuple[bytes, bytes]:
        asking, shared = self.asking, self.prompt.parts("")[0] + "\n\n"
        wanted: dict[str, Any] = {"model": asking.model}
        # One message: not every chat template knows a system's.
        place = "\0"
        if asking.api == "chat":
            wanted["messages"] = [{"role": "user", "content": shared + place}]
        else:
            wanted["prompt"] = shared + place
        wanted |= {"temperature": asking.temperature, "top_p": asking.top_p, "seed": asking.seed,
                   "max_tokens": asking.max_tokens or self._longest()}  # fmt: skip
        if asking.top_logprobs and asking.api == "chat":
            wanted |= {"logprobs": True, "top_logprobs": asking.top_logprobs}
        elif asking.top_logprobs:
            # More than there are classes brings in unlikely tokens that are written alike, see soft.tokens.
            wanted |= {"logprobs": min(asking.top_logprobs, max(2, *map(len, self._classes())))}
        if asking.structure == "response_format":
            schema = {"name": self.prompt.name, "schema": self.prompt.json_schema(), "strict": True}
            wanted["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif asking.structure == "structured_outputs":
            wanted["structured_outputs"] = {"json": self.prompt.json_schema()}
        head, _, tail = orjson.dumps(wanted | asking.extra).partition(b"\\u0000")
        return head, tail

    def _classes(self) -> list[list[str]]:
        return [field.classes for field in self.prompt.fields.values()]

    def _longest(self) -> int:
        """Tokens that the longest answer may need: no tokenizer takes more than one for each byte."""
        if not all(self._classes()):
            return _PASSAGES
        longest = {name: max(field.classes, key=len) for name, field in self.prompt.fields.items()}
        return len(json.dumps(longest, ensure_ascii=False).encode()) + 16

    def judge(self, reply: Reply, text: str, key: str = "", id: str = "") -> Attempt:
        """What a reply comes to: an answer that is what was asked for, or the reason why there is none."""
        attempt = Attempt(key, "ok", id, asked=self.name, seconds=reply.seconds,
                          tokens=(reply.tokens_in, reply.tokens_out, reply.tokens_cached))  # fmt: skip
        written = self._object(reply.written)
        try:
            attempt.answer = self.prompt.read(written, text)
        except InvalidAnswer as error:
            if reply.refusal or reply.finish == "content_filter":
                attempt.outcome, attempt.detail = "refused", reply.refusal or "withheld by a content filter"
            elif reply.finish == "length":
                attempt.outcome, attempt.detail = "truncated", f"not ended after {reply.tokens_out} tokens"
            else:
                attempt.outcome, attempt.detail = "invalid", str(error)
            attempt.written = reply.written[:_KEPT]
            return attempt
        if reply.logprobs:
            attempt.soft = soft.distributions(self.prompt, written, soft.tokens(reply.logprobs))
        return attempt

    def _object(self, written: str) -> str:
        """The answer in what was written: all of it, unless nothing held the model to the schema."""
        if self.asking.structure != "none":
            return written
        begin = max(written.find("{"), 0)
        try:
            _, end = json.JSONDecoder().raw_decode(written, begin)
        except (json.JSONDecodeError, RecursionError):
            return written
        return written[begin:end]

    async def ask(self, client: Client, text: str, key: str, id: str = "") -> Attempt:
        """Ask, and judge the answer; a question that the servers do not answer is an attempt as well.

        Raises:
            corpuskit.enrich.client.Unreachable: no server answers any question.
        """
        try:
            reply = await client.ask(self.body(text), key)
        except GivenUp as error:
            return Attempt(key, "error", id, detail=str(error), asked=self.name)
        return self.judge(reply, text, key, id)
