"""Large language models as systems: asked over an OpenAI-compatible server, zero-shot or few-shot.

Every document of test is a question, or several where spans are asked for in a long text. The wording is that of
`questions`; `align` finds where the quotes stand; and what is found is reduced by the protocol's policy, as gold is. An
answer that is none (broken off, no JSON, refused) finds nothing: its document stays below the line, with the problem
beside it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import ValidationError

from corpuskit import settings
from corpuskit.energy import Meter
from corpuskit.enrich.prompts import InvalidAnswer
from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.records import Answer, Document, Entity, Outcome, Span, TaskError
from corpuskit.evaluate.scoring import gold, policy_of
from corpuskit.evaluate.systems import questions
from corpuskit.evaluate.systems.align import Quoted, reduced
from corpuskit.evaluate.systems.questions import Question, Questions, Wording
from corpuskit.evaluate.tasks import Data, Task

try:
    from corpuskit.enrich.ask import Asking
    from corpuskit.enrich.client import Client, GivenUp, Reply, Unreachable, api_key
except ImportError as error:
    raise TaskError(str(error)) from None

SCHEME = "llm:"
#: Reason why a gold entity cannot be said.
PARTED = "no piece that is asked about holds it"
#: Another: a quote has a longest length, as a server that is held to a schema needs one.
TOO_LONG = f"longer than {questions.QUOTE} characters"
#: What the client promises of answers, which is true of enriching: here they are kept run by run.
_KEPT = re.compile(r"What was answered is kept; run [^.]*\.")
#: Questions that are asked first, alone: a form that no server takes shows there, and what all share is read once.
_FIRST = 3
#: What tokens are counted of: what was read, what was written, and what of the former was in the server's cache.
_TOKENS = ("in", "out", "cached")
#: Questions under way at once, unless said otherwise.
_AT_ONCE = 16
#: What may be wrong with an answer; "refused" is the model's word, "error" the server's.
Problem = Literal["", "error", "refused", "truncated", "invalid"]


@dataclass(frozen=True, slots=True)
class _Said:
    """What came of one question."""

    written: str = ""
    problem: Problem = ""
    detail: str = ""
    #: None where no answer came.
    seconds: float | None = None
    #: As in ``_TOKENS``.
    tokens: tuple[int, int, int] = (0, 0, 0)


@dataclass(slots=True)
class LLM:
    """A model behind a server; see :func:`open_llm`."""

    urls: tuple[str, ...]
    asking: Asking
    shots: int
    concurrency: int
    characters: int
    watts: float | None
    parameters: int | None
    wording: Wording | None
    key_variable: str
    timeout: float
    patience: float
    told: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.told = {
            "name": f"{self.asking.model} ({self.shots}-shot)" if self.shots else f"{self.asking.model} (zero-shot)",
            "kind": "llm",
            "parameters": self.parameters,
            "bytes": None,
            "urls": [Client.shown(url) for url in self.urls],
            "asking": self.asking.model_dump(mode="json"),
            "shots": self.shots,
            "characters": self.characters,
            "concurrency": self.concurrency,
            "watts": self.watts,
            "prompts": {name: one.model_dump(mode="json") for name, one in self._wordings().items()},
        }

    def _wordings(self) -> dict[str, Wording]:
        if self.wording:
            return {self.wording.name: self.wording}
        return {name: questions.load(name) for name in ("spans", "labels", "choice")}

    def by_chance(self, task: Task) -> bool:
        """Whether another seed may give other answers: it draws the examples."""
        return self.shots > 0 or self.asking.temperature > 0

    def tokens(self, documents: Sequence[Document]) -> list[list[Span]] | None:
        """Nothing: what a server reads of a text is not known."""
        return None

    def meter(self) -> Meter:
        """GPUs of this machine where the server is on it, otherwise watts times the time, where they are known."""
        hosts = {urlsplit(url).hostname for url in self.urls}
        return Meter(here=hosts <= {"localhost", "127.0.0.1", "::1"}, watts=self.watts)

    def run(
        self,
        task: Task,
        data: Data,
        protocol: Protocol,
        seed: int,
        tell: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> Outcome:
        """Ask about every document of test.

        Args:
            task: which.
            data: its documents; examples are taken from train.
            protocol: whose policy decides what is done with nested entities.
            seed: that the examples are drawn by; also the one of sampling.
            tell: called with a line of progress for each answer, and with notes.

        Raises:
            TaskError: no server answers, or they refuse everything; or there is no example.
        """
        wording = self.wording or questions.load(task.kind)
        asked = Questions(
            task, data, policy_of(task, protocol), wording, shots=self.shots, seed=seed, characters=self.characters
        )
        documents = data.test.documents
        each = [question for document in documents for question in asked.of(document)]
        began = time.monotonic()
        try:
            said = asyncio.run(self._all(each, self.asking.model_copy(update={"seed": seed}), tell))
        except Unreachable as error:
            message = _KEPT.sub("Runs that are done are kept; the same command goes on with this one.", str(error))
            raise TaskError(f"task {task.name}: {message}") from None
        seconds = time.monotonic() - began
        by_document: dict[str, list[tuple[Question, _Said]]] = {document.id: [] for document in documents}
        for question, one in zip(each, said, strict=True):
            by_document[question.document.id].append((question, one))
        problems, dropped = Counter[str](), Counter[str]()
        read = _Reading(asked, protocol, problems, dropped)
        answers = {document.id: read.answer(document, by_document[document.id]) for document in documents}
        told = {
            "training_seconds": 0.0,
            "prediction_seconds": round(seconds, 3),
            "documents_per_second": round(len(documents) / seconds, 3) if seconds else None,
            "questions": len(each),
            "tokens": {name: sum(one.tokens[place] for one in said) for place, name in enumerate(_TOKENS)},
            "problems": dict(+problems),
            "dropped": dict(+dropped),
            "lost": dict(+_parted(task, protocol, documents, each)),
            "examples": [document.id for document, _, _ in asked.examples],
        }
        return Outcome(answers, told)

    # -----------------------------------------------------------------------------------------------------------------
    # Asking

    async def _all(
        self, each: Sequence[Question], asking: Asking, tell: Callable[[dict[str, Any]], None]
    ) -> list[_Said]:
        """What comes of each question, in their order; as many are under way at once as may be."""
        said: list[_Said] = [_Said()] * len(each)
        done, problems = 0, Counter[str]()

        async def work(client: Client, places: Iterator[int]) -> None:
            nonlocal done
            for place in places:  # the workers share it: each question is taken by one
                said[place] = one = await _ask(client, asking, each[place])
                done += 1
                problems[one.problem] += bool(one.problem)
                tell({"kind": "step", "step": done, "steps": len(each), "problems": problems.total()})

        path = "chat/completions" if asking.api == "chat" else "completions"
        # A URL with a password of its own needs no key; there is room for one of them in a request.
        key = "" if any(urlsplit(url).username for url in self.urls) else api_key(self.key_variable)
        async with Client(self.urls, path, timeout=self.timeout, patience=self.patience, key=key) as client:
            served = await client.models()
            if served and asking.model not in served:
                raise Unreachable(f"{asking.model!r} is not served; there is {', '.join(served)}: put one behind the #")
            await work(client, iter(range(min(_FIRST, len(each)))))
            if each and all(one.problem == "error" for one in said[:_FIRST]):
                raise Unreachable(_hopeless(asking, said[0].detail))
            rest = iter(range(_FIRST, len(each)))
            workers = [asyncio.ensure_future(work(client, rest)) for _ in range(self.concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        return said


def _hopeless(asking: Asking, told: str) -> str:
    hint = "see how it is asked: api, structure, max_tokens"
    if asking.api == "chat" and "template" in told:
        hint = "a base model has no chat template: ask it with the API of completions"
    return f"the first questions were all refused: {told}\n{hint}"


async def _ask(client: Client, asking: Asking, question: Question) -> _Said:
    body = _body(asking, question)
    try:
        reply = await client.ask(body, hashlib.blake2b(body, digest_size=16).hexdigest())
    except GivenUp as error:
        return _Said(problem="error", detail=str(error))
    tokens = reply.tokens_in, reply.tokens_out, reply.tokens_cached
    return replace(_judged(asking, reply), seconds=reply.seconds, tokens=tokens)


def _judged(asking: Asking, reply: Reply) -> _Said:
    """What was written, as far as it is an answer; whether it is JSON shows when it is read."""
    if reply.refusal or reply.finish == "content_filter":
        return _Said(problem="refused", detail=reply.refusal or "withheld by a content filter")
    written = reply.written
    if asking.structure == "none":  # nothing held the model to the schema
        begin = max(written.find("{"), 0)
        with suppress(json.JSONDecodeError, RecursionError):
            written = written[begin : json.JSONDecoder().raw_decode(written, begin)[1]]
    if reply.finish == "length" and not _whole(written):
        return _Said(problem="truncated", detail=f"not ended after {reply.tokens_out} tokens")
    return _Said(written)


def _whole(written: str) -> bool:
    try:
        orjson.loads(written)
    except orjson.JSONDecodeError:
        return False
    return True


def _body(asking: Asking, question: Question) -> bytes:
    """The request of a question, JSON in UTF-8."""
    prompt = question.prompt.encode("utf-8", "replace").decode()
    body: dict[str, Any] = {"model": asking.model}
    if asking.api == "chat":  # one message: not every chat template knows a system's
        body["messages"] = [{"role": "user", "content": prompt}]
    else:
        body["prompt"] = prompt
    body |= {"temperature": asking.temperature, "top_p": asking.top_p, "seed": asking.seed,
             "max_tokens": asking.max_tokens or question.longest}  # fmt: skip
    if asking.structure == "response_format":
        schema = {"name": "answer", "schema": question.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif asking.structure == "structured_outputs":
        body["structured_outputs"] = {"json": question.schema}
    return orjson.dumps(body | asking.extra)


# ---------------------------------------------------------------------------------------------------------------------
# Reading


@dataclass(frozen=True, slots=True)
class _Reading:
    """Answers from what was said, counted meanwhile."""

    asked: Questions
    protocol: Protocol
    #: Questions without an answer, by kind of problem.
    problems: Counter[str]
    #: Mentions that come to no entity, by reason.
    dropped: Counter[str]

    def answer(self, document: Document, said: Sequence[tuple[Question, _Said]]) -> Answer:
        """The answer about a document: of all its pieces together."""
        entities: list[Entity] = []
        labels: tuple[str, ...] = ()
        problems = []
        for question, one in said:
            problem, detail = one.problem, one.detail
            if not problem:
                try:
                    if self.asked.task.kind == "spans":
                        entities += self._entities(question, one.written)
                    else:
                        labels = self.asked.chosen(one.written, document)
                except InvalidAnswer as error:
                    problem, detail = "invalid", str(error)
            if problem:
                self.problems[problem] += 1
                problems.append(f"{problem}: {detail}")
        policy = policy_of(self.asked.task, self.protocol)
        seconds = [one.seconds for _, one in said if one.seconds is not None]
        return Answer(
            reduced(document, entities, policy, self.asked.task.layers) if entities else (),
            labels,
            # What was not answered took no time that could be compared.
            round(sum(seconds), 4) if seconds and len(seconds) == len(said) else None,
            "; ".join(dict.fromkeys(problems)),
        )

    def _entities(self, question: Question, written: str) -> Iterator[Entity]:
        start, end = question.piece
        mentions = self.asked.mentions(written, self.dropped)
        flat = policy_of(self.asked.task, self.protocol) == "outermost"
        found, lost = Quoted(question.document.text[start:end]).align(mentions, flat=flat)
        self.dropped.update(lost)
        for entity in found:
            yield replace(entity, spans=tuple((left + start, right + start) for left, right in entity.spans))


def _parted(task: Task, protocol: Protocol, documents: Sequence[Document], each: Sequence[Question]) -> Counter[str]:
    """Gold entities that cannot be said, by reason."""
    if task.kind != "spans":
        return Counter()
    asked: dict[str, list[Span]] = {document.id: [] for document in documents}
    for question in each:
        asked[question.document.id].append(question.piece)
    lost: Counter[str] = Counter()
    for document in gold(task, protocol, documents):
        for entity in document.entities:
            if not any(start <= entity.start and entity.end <= end for start, end in asked[document.id]):
                lost[PARTED] += 1
            elif entity.end - entity.start > questions.QUOTE:
                lost[TOO_LONG] += 1
    return lost


def open_llm(
    model: str,
    *,
    shots: int = 0,
    concurrency: int | None = None,
    characters: int = 1_000,
    watts: float | None = None,
    parameters: int | None = None,
    api: str | None = None,
    structure: str | None = None,
    max_tokens: int | None = None,
    revision: str = "",
    extra: dict[str, Any] | None = None,
    wording: str = "",
    key_variable: str = "OPENAI_API_KEY",
    timeout: float = 600.0,
    patience: float = 300.0,
) -> LLM:
    """A model behind a server, to be evaluated; nothing is asked yet.

    Args:
        model: ``llm:URL#NAME``: the server's API, ending in ``/v1`` (several: commas between), and the model's name.
        shots: examples from train that each question shows; drawn by the seed.
        concurrency: questions under way at once, 16 unless given; an answer's seconds are those of a server
            that is as busy.
        characters: of a text that are asked about at once, where spans are asked for: longer ones are read in pieces.
        watts: what all accelerators of the server take together, where nothing counts them.
        parameters: how many the model has, where that is known.
        api: ``chat``, or ``completions`` for a base model; chat unless given.
        structure: how the server is given the JSON schema: ``response_format``, OpenAI's way, unless given, vLLM's own
            ``structured_outputs``, or ``none``.
        max_tokens: of an answer; what the longest may need unless given.
        revision: of the model: another one is another model.
        extra: anything else for the body of a request.
        wording: file of a wording of one's own; the one of the task's kind unless given.
        key_variable: environment variable that holds the API key.
        timeout: seconds that an answer may take.
        patience: seconds without a single answer after which the run ends.

    Raises:
        TaskError: ``model`` is not of that form, a number makes no sense, or the wording cannot be used.
    """
    told = model.removeprefix(SCHEME)
    where, _, name = told.rpartition("#")
    urls = tuple(url.strip() for url in where.split(",") if url.strip())
    if not name or not urls or not all(urlsplit(url).scheme in ("http", "https") for url in urls):
        raise TaskError(
            f"{SCHEME}{Client.shown(told)}: a model behind a server is llm:URL#NAME, such as llm:http://host:8000/v1#NAME"
        )
    at_once = _AT_ONCE if concurrency is None else concurrency
    if shots < 0 or at_once < 1 or characters < 50:
        raise TaskError("shots must be 0 or more, concurrency 1 or more, characters 50 or more")
    said = {"api": api, "structure": structure, "max_tokens": max_tokens, "extra": extra}
    given = {option: value for option, value in said.items() if value is not None}
    try:
        asking = Asking(model=name, revision=revision, top_logprobs=0, **given)
    except ValidationError as error:
        raise TaskError(settings.refusal(name, error, lambda one: f"{one['loc'][0]}: {settings.said(one)}")) from None
    return LLM(
        urls, asking, shots, at_once, characters, watts, parameters, questions.load(wording) if wording else None,
        key_variable, timeout, patience,
    )  # fmt: skip
