"""Questions to OpenAI-compatible servers: many at once, to several servers, each of which may fail.

A server's fault is not the question's: a server that refuses connections or asks to wait costs a question no try, and
one that fails again and again is asked whether it is alive, and taken out until it is. A question that fails on living
servers is given up after a few tries. Nothing here knows what the questions are about.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, Self
from urllib.parse import urlsplit, urlunsplit

import orjson

try:
    import aiohttp
    from yarl import URL
except ImportError:
    raise ImportError("asking a server needs aiohttp: pip install 'corpuskit-fr[enrich]'") from None

#: Failures in a row after which a server must show that it is alive.
_OUT = 8
#: Questions given up in a row, with not one answered between them, after which the run ends.
_HOPELESS = 50
#: The longest pause before a server that is out is tried again, in seconds.
_PAUSE = 30.0
_REQUEST = re.compile(r"corpuskit-([0-9a-f]{32})")


class Unreachable(Exception):
    """No server answers, or all refuse; the message says which, why, and what to do. Ends the run."""


class GivenUp(Exception):
    """One question that no server answers, while they answer others; the message says why."""


@dataclass(slots=True)
class Reply:
    """What a model wrote, and what it cost."""

    written: str
    #: Why the model stopped: "stop", "length", "content_filter" …
    finish: str
    #: A refusal in words, as some servers give it.
    refusal: str = ""
    #: ``logprobs`` of the choice, as the server gives them.
    logprobs: Any = None
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    #: From sending the question that was answered to the answer, in seconds.
    seconds: float = 0.0


@dataclass(slots=True)
class Endpoint:
    """One server, by the URL of its API (ending in ``/v1``)."""

    url: str
    outstanding: int = 0
    answered: int = 0
    #: Failures in a row.
    failures: int = 0
    #: When it may be asked again (monotonic seconds): it asked to wait, or is out.
    rests_until: float = 0.0
    pause: float = 1.0
    last_error: str = ""
    looked_at: bool = False

    @property
    def out(self) -> bool:
        """Whether it failed so often that it must first show that it is alive."""
        return self.failures >= _OUT

    def failed(self, error: str, down: bool = False) -> None:
        """Count a failure; take the server out when it is down, or at the last of a row."""
        self.last_error = error
        self.failures = max(self.failures + 1, _OUT if down else 0)
        if self.out:
            self.rests_until = time.monotonic() + self.pause
            self.pause = min(self.pause * 2, _PAUSE)

    def alive(self) -> None:
        """It answered: in service."""
        self.failures, self.pause = 0, 1.0


@dataclass(slots=True)
class Client:
    """Asks questions; use as an asynchronous context manager.

    Args:
        urls: the servers' APIs, such as ``http://node1:8000/v1``.
        path: what is asked, under the URL: ``chat/completions`` or ``completions``.
        timeout: seconds that one answer may take.
        tries: how often one question may fail while others are answered.
        patience: seconds without a single answer after which the run ends.
        key: API key, sent to every server and shown nowhere.
    """

    urls: Sequence[str]
    path: str = "chat/completions"
    timeout: float = 600.0
    tries: int = 5
    patience: float = 300.0
    key: str = field(default="", repr=False)
    endpoints: list[Endpoint] = field(init=False)
    _to: dict[str, URL] = field(init=False, repr=False)
    _session: aiohttp.ClientSession = field(init=False, repr=False)
    _last_answer: float = field(init=False, default=0.0)
    _hopeless: int = field(init=False, default=0)

    async def __aenter__(self) -> Self:
        self.endpoints = [Endpoint(url.rstrip("/")) for url in self.urls]
        self._to = {endpoint.url: URL(f"{endpoint.url}/{self.path}") for endpoint in self.endpoints}
        self._session = aiohttp.ClientSession(
            # A connection is given up before the server does (uvicorn: 5 s), or a question could meet a closed one.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=4.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self.timeout, connect=min(10.0, self.timeout)),
            headers={"Content-Type": "application/json"}
            | ({"Authorization": f"Bearer {self.key}"} if self.key else {}),
        )
        self._last_answer = time.monotonic()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def models(self) -> list[str]:
        """The models that are served, by all servers that are up together; empty where they do not tell.

        Raises:
            Unreachable: no server answers, or the key is not taken.
        """
        served = await asyncio.gather(*(self._models(endpoint) for endpoint in self.endpoints))
        up = [models for models in served if models is not None]
        if not up:
            raise Unreachable(
                "no server answers:\n"
                + "\n".join(f"  - {self.shown(one.url)}: {one.last_error}" for one in self.endpoints)
                + "\nStart one (`vllm serve MODEL`), mend the URL (it ends in /v1), or give --serve MODEL."
            )
        told = [set(models) for models in up if models]
        common = set.intersection(*told) if told else set()
        if told and not common:
            raise Unreachable(f"the servers have no model in common: {', '.join(sorted(set.union(*told)))}")
        return sorted(common)

    async def _models(self, endpoint: Endpoint) -> list[str] | None:
        try:
            async with self._session.get(f"{endpoint.url}/models", timeout=aiohttp.ClientTimeout(total=10)) as answer:
                if answer.status in (401, 403):
                    raise Unreachable(self._refused_key(endpoint, answer.status))
                if answer.status >= 500:
                    endpoint.failed(f"HTTP {answer.status}", down=True)
                    return None
                found = orjson.loads(await answer.read()) if answer.status == 200 else {}
            return [str(model["id"]) for model in found.get("data", ())]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            endpoint.failed(self._told(error), down=True)
            return None
        except (ValueError, TypeError, AttributeError, KeyError):
            return []

    async def ask(self, body: bytes, key: str) -> Reply:
        """The answer to one question.

        Args:
            body: of the request, JSON.
            key: name of the question, 32 hexadecimal digits; servers that repeat the id of a request are held to it.

        Raises:
            GivenUp: the question failed too often, or is one that no server takes (HTTP 400, 413, 422).
            Unreachable: nothing was answered for too long, or the servers refuse everything (HTTP 401, 403, 404).
        """
        failures, begun, why = 0, time.monotonic(), ""
        for attempt in range(1_000_000):
            endpoint = await self._choose()
            endpoint.outstanding += 1
            charged, pause = True, min(0.25 * 2**failures, 10.0) * random.uniform(0.5, 1.5)
            try:
                return await self._once(endpoint, body, key, attempt)
            except _Wait as wait:
                charged, why = False, f"HTTP {wait.status}, asked to wait"
                endpoint.rests_until = max(endpoint.rests_until, time.monotonic() + wait.seconds)
                endpoint.last_error = why
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                charged, why = False, self._told(error)
                endpoint.failed(why, down=True)
            except (aiohttp.ClientError, TimeoutError, OSError, _Failure) as error:
                why = self._told(error)
                endpoint.failed(why)
            finally:
                endpoint.outstanding -= 1
            failures += charged
            if failures >= self.tries:
                self._give_up(f"{why} ({failures} tries)")
            self._check_patience()
            if time.monotonic() - begun > self.patience + self.timeout:
                self._give_up(f"{why} (for {time.monotonic() - begun:.0f} s)")
            if charged:
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    def _give_up(self, why: str) -> NoReturn:
        self._hopeless += 1
        if self._hopeless >= _HOPELESS:
            raise Unreachable(
                f"{_HOPELESS} questions in a row failed, the last with: {why}\n"
                "The servers are up, but see their logs. What was answered is kept; run again, with --retry error."
            )
        raise GivenUp(why)

    async def _choose(self) -> Endpoint:
        """The server with the least outstanding work; waits while none may be asked."""
        while True:
            now = time.monotonic()
            rested = [endpoint for endpoint in self.endpoints if now >= endpoint.rests_until]
            for endpoint in rested:
                if endpoint.out and not endpoint.looked_at:
                    await self._look(endpoint)
            if free := [endpoint for endpoint in rested if not endpoint.out]:
                return min(free, key=lambda endpoint: (endpoint.outstanding, endpoint.answered))
            self._check_patience()
            soonest = min(endpoint.rests_until for endpoint in self.endpoints)
            await asyncio.sleep(min(max(soonest - now, 0.05), 1.0))

    async def _look(self, endpoint: Endpoint) -> None:
        """See whether a server is alive."""
        endpoint.looked_at = True
        try:
            if await self._models(endpoint) is not None:
                endpoint.alive()
                self._last_answer = time.monotonic()
        finally:
            endpoint.looked_at = False

    def _check_patience(self) -> None:
        # What is under way may still be answered.
        limit = self.patience + (self.timeout if any(one.outstanding for one in self.endpoints) else 0.0)
        if time.monotonic() - self._last_answer > limit:
            told = "\n".join(f"  - {self.shown(one.url)}: {one.last_error}" for one in self.endpoints)
            raise Unreachable(
                f"no answer for {self.patience:.0f} s:\n{told}\nWhat was answered is kept; run the same command again."
            )

    async def _once(self, endpoint: Endpoint, body: bytes, key: str, attempt: int) -> Reply:
        sent = time.monotonic()
        headers = {"X-Request-Id": f"corpuskit-{key}-{attempt}"}
        async with self._session.post(self._to[endpoint.url], data=body, headers=headers) as answer:
            content = await answer.read()
            status = answer.status
            if status != 200:
                self._refused(endpoint, status, content, answer.headers.get("Retry-After", ""))
        try:
            reply = _reply(orjson.loads(content), key)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise _Failure(f"the answer is none of the API: {error or type(error).__name__}") from None
        reply.seconds = time.monotonic() - sent
        endpoint.alive()
        endpoint.answered += 1
        self._last_answer, self._hopeless = time.monotonic(), 0
        return reply

    def _refused(self, endpoint: Endpoint, status: int, content: bytes, retry_after: str) -> None:
        message = self.redacted(_message(content))
        if status in (401, 403):
            raise Unreachable(self._refused_key(endpoint, status))
        if status == 404:
            raise Unreachable(
                f"{self.shown(endpoint.url)}/{self.path}: HTTP 404, {message}; mend the URL or the model's name"
            )
        if status in (429, 503) and retry_after:
            raise _Wait(status, _seconds(retry_after))
        if status in (429, 503):
            endpoint.pause = min(endpoint.pause * 2, _PAUSE)
            raise _Wait(status, endpoint.pause / 2)
        if 400 <= status < 500 and status not in (408, 409, 425):
            self._last_answer = time.monotonic()  # it is well enough to refuse
            raise GivenUp(f"HTTP {status}: {message}")
        raise _Failure(f"HTTP {status}: {message}")

    def _refused_key(self, endpoint: Endpoint, status: int) -> str:
        known = "the API key is not taken" if self.key else "an API key is wanted"
        where = "put it into OPENAI_API_KEY, or the variable that --api-key-env names"
        return f"{self.shown(endpoint.url)}: HTTP {status}, {known}; {where}"

    def _told(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
            return f"no answer within {self.timeout:.0f} s"
        if isinstance(error, aiohttp.ClientConnectorError):
            return f"no connection: {error.os_error.strerror or error.os_error}"
        return self.redacted(str(error) or type(error).__name__)

    def redacted(self, text: str) -> str:
        """The text without the API key."""
        return text.replace(self.key, "…") if self.key else text

    @staticmethod
    def shown(url: str) -> str:
        """A URL without user and password."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class _Failure(Exception):
    """An answer that is none."""


class _Wait(Exception):
    """The server asks to wait."""

    def __init__(self, status: int, seconds: float) -> None:
        super().__init__(status, seconds)
        self.status, self.seconds = status, seconds


def _seconds(retry_after: str) -> float:
    """The seconds of a Retry-After header, a number or a date (RFC 9110, section 10.2.3); two minutes at most."""
    try:
        wanted = float(retry_after)
    except ValueError:
        try:
            wanted = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            wanted = 1.0
    return min(max(wanted, 0.0), 120.0)


def _message(content: bytes) -> str:
    """What a server says about an error, in one line."""
    try:
        told = orjson.loads(content)
        told = told.get("error", told)
        told = told.get("message", told) if isinstance(told, dict) else told
    except (ValueError, AttributeError):
        told = content.decode(errors="replace")
    return " ".join(str(told).split())[:300]


def _reply(answer: Any, key: str) -> Reply:
    asked = _REQUEST.search(str(answer.get("id", "")))
    if asked and asked[1] != key:
        raise ValueError("it belongs to another question")
    choice, usage = answer["choices"][0], answer.get("usage") or {}
    message = choice.get("message")
    written = choice["text"] if message is None else message.get("content")
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Reply(
        written=written or "",
        finish=choice.get("finish_reason") or "",
        refusal=(message or {}).get("refusal") or "",
        logprobs=choice.get("logprobs"),
        tokens_in=usage.get("prompt_tokens") or 0,
        tokens_out=usage.get("completion_tokens") or 0,
        tokens_cached=cached,
    )


def api_key(variable: str) -> str:
    """The API key that an environment variable holds, "" for none."""
    return os.environ.get(variable, "")
