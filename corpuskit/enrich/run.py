"""Enrich: each chosen paragraph is asked about once and its answer kept; then table and report are written."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from pydantic import Field
from rich.console import Console

from corpuskit import runs
from corpuskit.energy import Meter
from corpuskit.enrich import report
from corpuskit.enrich.annotations import OUTCOMES, Annotation, Annotator, Outcome, tables, write
from corpuskit.enrich.ask import Asking, Questions
from corpuskit.enrich.client import Client, Unreachable
from corpuskit.enrich.progress import watch
from corpuskit.enrich.prompts import Prompt
from corpuskit.enrich.selection import Selected, Selection, select
from corpuskit.enrich.store import Attempt, Store, StoreError, Writer
from corpuskit.paragraphs.read import ParagraphsError
from corpuskit.paragraphs.read import dataset as paragraph_table
from corpuskit.progress import Log
from corpuskit.steps import StepOptions

#: Questions that a server may refuse one after the other before anything is answered: then it is the question's form.
_FIRST = 3
#: Seconds that the first question has the servers for itself.
_ALONE = 30.0
#: Seconds that an interrupted run waits for the answers that are under way.
_LAST_ANSWERS = 15.0


class EnrichError(Exception):
    """An enrichment that cannot start or go on; the message says why and what to do."""


class Interrupted(Exception):
    """Stopped by the user or a batch system; what was answered is kept."""


class Sending(StepOptions):
    """To whom questions are sent, and how. None of this changes an answer."""

    endpoints: list[str] = Field(min_length=1, description="APIs of OpenAI's kind, ending in /v1")
    in_flight: int = Field(256, ge=1, description="questions under way at a time, over all endpoints")
    timeout: float = Field(600.0, gt=0, description="seconds that one answer may take")
    tries: int = Field(5, ge=1, description="failures after which a question is given up, while others are answered")
    patience: float = Field(300.0, gt=0, description="seconds without any answer after which the run ends")
    flush_seconds: float = Field(2.0, gt=0, description="seconds between two commits of the store")


@dataclass(frozen=True, slots=True)
class Enriched:
    """A finished enrichment: its folder and its report (``enrichment.json``)."""

    output: Path
    report: dict[str, Any]


def enrich(
    paragraphs: str | Path,
    prompt: Prompt,
    asking: Asking,
    sending: Sending,
    output: str | Path,
    *,
    selection: Selection | None = None,
    store: str | Path | None = None,
    retry: Sequence[Outcome] = (),
    overwrite: bool = False,
    key: str = "",
    meter: Meter | None = None,
    prices: report.Prices | None = None,
    serving: dict[str, Any] | None = None,
    check: Callable[[], None] = lambda: None,
    log: Log = "auto",
    console: Console | None = None,
) -> Enriched:
    """Annotate paragraphs, or go on with an enrichment that was interrupted.

    A question that the store holds an attempt at is not asked again; another text, prompt, model, revision or
    parameter is another question.

    Args:
        paragraphs: see :func:`corpuskit.paragraphs.read.files`.
        prompt: what is asked.
        asking: of which model, and how.
        sending: to which servers.
        output: folder to write: ``annotations/``, ``enrichment.json`` and, unless told otherwise, ``store/``.
        selection: which paragraphs; all unless given.
        store: folder of the store, which many runs may share.
        retry: outcomes to ask about again.
        overwrite: replace the annotations of another prompt or model that are in the folder (the store keeps both).
        key: API key; it is written nowhere.
        meter: of the energy of the machine that serves; started when it was.
        prices: what the machine or the tokens cost.
        serving: what is known of the server that was started for it, for the report.
        check: called every few seconds; what it raises ends the run, as when that server has died.
        log: how progress is shown, see :func:`corpuskit.progress.watch`.
        console: where.

    Raises:
        EnrichError: nothing to ask about, no server, or a folder that cannot be used.
        Interrupted: by Ctrl-C or SIGTERM; the same command goes on.
    """
    output, selection, console = Path(output).absolute(), selection or Selection(), console or Console(stderr=True)
    folder = Path(store).absolute() if store else output / "store"
    questions, started = Questions(prompt, asking), runs.now()
    try:
        output.mkdir(parents=True, exist_ok=True)
        with runs.locked(output / ".lock", lambda: f"another enrichment is writing {output}: wait for it, or stop it"):
            _same_question(output, prompt, asking, overwrite)
            total = paragraph_table(paragraphs).count_rows()
            found = Store(folder)
            todo = _Todo(paragraphs, selection, questions, found, retry)
            if todo.left:
                session = _Session(started, meter or Meter(here=False))
                _ask(questions, sending, key, todo, folder, session, check, log, console)
                found = Store(folder)
            figures = report.Figures(prompt)
            annotator = Annotator("model", asking.model, asking.revision)
            written = write(output, tables(prompt, annotator, figures.count(_annotations(todo, found))))
            told = {
                "tool": "corpuskit enrich",
                "started": started,
                "finished": runs.now(),
                "prompt": {name: value for name, value in questions.told.items() if name != "asking"},
                "asking": questions.told["asking"],
                "endpoints": [Client.shown(url) for url in sending.endpoints],
                "paragraphs": {
                    "path": str(paragraphs),
                    "in_all": total,
                    "chosen": written,
                    "distinct": todo.distinct,
                    "asked_now": todo.left,
                    "selection": selection.model_dump(mode="json"),
                },
                **figures.told(),
                **report.cost(_sessions(folder, questions.name), total, prices or report.Prices()),
                "store": {"path": str(folder), "attempts": found.attempts, "damaged_lines": found.damaged},
                "versions": {"corpuskit-fr": runs.versions()["corpuskit-fr"]}
                | ({"server": serving} if serving else {}),
            }
            runs.write_json(output / "enrichment.json", told)
            return Enriched(output, told)
    except (ParagraphsError, StoreError, Unreachable, runs.RunError) as error:
        raise EnrichError(str(error)) from None
    except OSError as error:
        where = error.filename or output
        raise EnrichError(f"{where}: {error.strerror}; choose another folder, or make room") from error


class _Todo:
    """The chosen paragraphs, and which of them are to be asked about: one of those with the same question.

    Holds 16 bytes a paragraph, never text.
    """

    def __init__(
        self, paragraphs: str | Path, selection: Selection, questions: Questions, store: Store, retry: Sequence[Outcome]
    ) -> None:
        self._paragraphs, self._selection = paragraphs, selection
        self.keys = np.fromiter((questions.key(one.text) for one in select(paragraphs, selection)), "S16")
        if not len(self.keys):
            raise EnrichError(f"{paragraphs}: no paragraph was chosen; see --share, --min-words and --limit")
        first = np.zeros(len(self.keys), bool)
        first[np.unique(self.keys, return_index=True)[1]] = True
        self.distinct = int(first.sum())
        outcomes = store.outcomes(store.places(self.keys))
        self._open = first & np.isin(outcomes, [-1, *(OUTCOMES.index(one) for one in retry)])
        self.left = int(self._open.sum())

    def questions(self) -> Iterator[tuple[str, Selected]]:
        """Key and paragraph of each that is to be asked about."""
        for key, wanted, paragraph in zip(
            self.keys, self._open, select(self._paragraphs, self._selection), strict=True
        ):
            if wanted:
                yield key.ljust(16, b"\0").hex(), paragraph

    def answered(self, store: Store) -> Iterator[tuple[Selected, int]]:
        """Each chosen paragraph, and the place of its attempt in the store."""
        step, many = 4_096, select(self._paragraphs, self._selection)
        for start in range(0, len(self.keys), step):
            places = store.places(self.keys[start : start + step])
            yield from zip((next(many) for _ in range(len(places))), places.tolist(), strict=True)


def _annotations(todo: _Todo, store: Store) -> Iterator[tuple[Annotation, Attempt]]:
    for paragraph, place in todo.answered(store):
        attempt = store.read(place)
        yield Annotation(*paragraph, attempt.outcome, attempt.detail, attempt.answer, attempt.soft), attempt


@dataclass(slots=True)
class _Session:
    """What this process does, as its writer keeps it beside its answers."""

    started: str
    meter: Meter
    outcomes: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    begun: float = field(default_factory=time.monotonic)
    #: Energy that was used before the first question, in kWh.
    before: float = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.meter.read().kwh or 0.0

    def count(self, attempt: Attempt) -> None:
        self.outcomes[attempt.outcome] += 1
        for name, number in zip(("in", "out", "cached"), attempt.tokens, strict=True):
            self.tokens[name] += number

    def told(self, asked: str) -> dict[str, Any]:
        energy = self.meter.read()
        return {
            "asked": asked,
            "started": self.started,
            "seconds": round(time.monotonic() - self.begun, 3),
            "requests": self.outcomes.total(),
            "tokens": dict(self.tokens),
            "gpus": self.meter.gpus,
            "kwh": energy.kwh,
            "kwh_before": self.before,
            "energy": energy.how,
        }


def _sessions(folder: Path, asked: str) -> list[dict[str, Any]]:
    return [session for session in Store.sessions(folder) if session.get("asked") == asked]


def _ask(
    questions: Questions,
    sending: Sending,
    key: str,
    todo: _Todo,
    folder: Path,
    session: _Session,
    check: Callable[[], None],
    log: Log,
    console: Console,
) -> None:
    """Ask all that is to be asked; every answer is in the store when this returns, however it does."""
    with Writer(folder, sending.flush_seconds) as writer:
        (folder / "asked").mkdir(exist_ok=True)
        runs.write_json(folder / "asked" / f"{questions.name}.json", questions.told)
        with _runner() as runner:
            runner.run(_ask_all(questions, sending, key, todo, writer, session, check, log, console))
        writer.session = session.told(questions.name)


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:  # as on Windows: slower, and otherwise the same
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _ask_all(
    questions: Questions,
    sending: Sending,
    key: str,
    todo: _Todo,
    writer: Writer,
    session: _Session,
    check: Callable[[], None],
    log: Log,
    console: Console,
) -> None:
    asking, waiting = questions.asking, todo.questions()
    committing = asyncio.Lock()
    stopped = asyncio.Event()

    async def commit() -> None:
        async with committing:
            writer.session = session.told(questions.name)
            await asyncio.to_thread(writer.commit, writer.take())

    async def ask_next() -> Attempt | None:
        for name, paragraph in waiting:
            attempt = await questions.ask(client, paragraph.text, name, paragraph.id)
            writer.append(attempt)
            session.count(attempt)
            if writer.due and not committing.locked():
                await commit()
            return attempt
        return None

    async def work() -> None:
        while not stopped.is_set() and await ask_next():
            pass

    async def tick() -> None:
        while True:
            await asyncio.sleep(writer.interval)
            check()
            # A slow server's answers must not wait for the next one.
            if writer.due and not committing.locked():
                await commit()

    async with Client(
        sending.endpoints, questions.path, sending.timeout, sending.tries, sending.patience, key
    ) as client:
        served = await client.models()
        if served and asking.model not in served:
            raise Unreachable(f"{asking.model!r} is not served; there is {', '.join(served)}: give one as --model")
        with watch(client, todo.left, session.outcomes, session.tokens, log, console), _stopping(stopped):
            first = asyncio.ensure_future(_first_answer(ask_next, asking))
            # Alone, as it fills the server's prefix cache for the others; but one that hangs must not hold them up.
            if first in (await asyncio.wait({first}, timeout=_ALONE))[0]:
                first.result()
            await _all_or_stopped([first, *(work() for _ in range(sending.in_flight))], tick(), stopped)
    if stopped.is_set():
        raise Interrupted


async def _first_answer(ask_next: Callable[[], Any], asking: Asking) -> None:
    """Ask until something is answered; a form of questions that no server takes shows here."""
    for _ in range(_FIRST):
        attempt = await ask_next()
        if attempt is None or attempt.outcome != "error":
            return
    told = attempt.detail
    hint = "see --api, --structure, --max-tokens and --top-logprobs"
    if asking.api == "chat" and "template" in told:
        hint = "a base model has no chat template: ask it with --api completions"
    raise Unreachable(
        f"the first {_FIRST} questions were all refused: {told}\n{hint}; then run again with --retry error"
    )


async def _all_or_stopped(
    work: Sequence[Awaitable[None]], beside: Coroutine[Any, Any, None], stopped: asyncio.Event
) -> None:
    """Wait for all work, end at the first that fails; after a stop, wait a little for what is under way."""
    left = {asyncio.ensure_future(one) for one in work}
    ticking, end = asyncio.create_task(beside), asyncio.create_task(stopped.wait())
    everything = [*left, ticking, end]
    try:
        while left:
            done, _ = await asyncio.wait([*left, ticking, end], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            left -= done
            if end in done and left:
                await asyncio.wait(left, timeout=_LAST_ANSWERS)
                return
    finally:
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)


@contextmanager
def _stopping(stopped: asyncio.Event) -> Iterator[None]:
    """Ctrl-C or SIGTERM: no new question. A second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if stopped.is_set():
            task.cancel()
        stopped.set()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _same_question(output: Path, prompt: Prompt, asking: Asking, overwrite: bool) -> None:
    """Refuse a folder with annotations of another prompt or model."""
    with suppress(OSError, orjson.JSONDecodeError, KeyError):
        told = orjson.loads((output / "enrichment.json").read_bytes())
        there = (told["prompt"]["prompt"], told["asking"]["model"])
        if there != (prompt.name, asking.model) and not overwrite:
            raise EnrichError(
                f"{output} holds the annotations of {there[0]} by {there[1]}: choose another folder "
                "(one --store may serve both), or replace them with --overwrite"
            )
