"""Enriching inside a datatrove pipeline."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import numpy as np
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from corpuskit.enrich import prompts
from corpuskit.enrich.ask import Asking, Questions
from corpuskit.enrich.client import Client, api_key
from corpuskit.enrich.store import Attempt, Store, Writer


class EnrichStep(PipelineStep):
    """Asks about the text of each document, and yields it on, in order, with what was answered.

    ``metadata["annotation"]`` holds ``outcome``, ``detail``, ``answer`` and ``soft``, as in the store. The store is the
    one of :func:`corpuskit.enrich.run.enrich`: many tasks may share it, and what it holds is not asked again. To ask
    about the paragraphs of articles, put :class:`corpuskit.steps.Flatten` before it::

        LocalPipelineExecutor([reader, Flatten(), EnrichStep("biomed-enriched-fr", model, [url], "store"), …])

    Args:
        prompt: name of a prompt that comes with corpuskit, or its file.
        model: name of the model, as its servers know it.
        endpoints: APIs of OpenAI's kind, ending in ``/v1``.
        store: folder of the answers, on a file system that all tasks share.
        in_flight: questions of one task under way at a time.
        key_variable: environment variable that holds the API key, so that no key travels with the pipeline.
        asking: more of :class:`corpuskit.enrich.ask.Asking`, such as ``api`` and ``revision``.
        client: more of :class:`corpuskit.enrich.client.Client`: ``timeout``, ``tries``, ``patience``.

    Raises:
        corpuskit.enrich.client.Unreachable: no server answers; the task fails, and what was answered is kept.
    """

    name = "Enrich"
    type = "🩺 - CORPUSKIT"

    def __init__(
        self,
        prompt: str,
        model: str,
        endpoints: Sequence[str],
        store: str | Path,
        in_flight: int = 64,
        key_variable: str = "OPENAI_API_KEY",
        asking: dict[str, Any] | None = None,
        client: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.prompt = prompts.load(prompt)
        self.asking = Asking(model=model, **(asking or {}))
        self.endpoints, self.store, self.in_flight = list(endpoints), Path(store), in_flight
        self.key_variable, self.client = key_variable, client or {}

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        return cast(DocumentsPipeline, self._run(data))

    def _run(self, data: DocumentsPipeline) -> Iterator[Document]:
        questions = Questions(self.prompt, self.asking)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()

        def wait(coroutine: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

        client = Client(self.endpoints, questions.path, key=api_key(self.key_variable), **self.client)  # type: ignore[arg-type]
        try:
            wait(client.__aenter__())
            with Writer(self.store) as writer:
                yield from self._ask(data, questions, client, writer, loop)
        finally:
            wait(client.__aexit__())
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _ask(
        self,
        data: DocumentsPipeline,
        questions: Questions,
        client: Client,
        writer: Writer,
        loop: asyncio.AbstractEventLoop,
    ) -> Iterator[Document]:
        known = Store(self.store)
        #: The answers to what was asked here; of those that are written the key alone.
        here: dict[bytes, Future[Attempt] | None] = {}
        pending: deque[tuple[Document, bytes, Future[Attempt] | None]] = deque()

        def finish() -> Document:
            nonlocal known
            document, key, asked = pending.popleft()
            if asked is not None:
                attempt = asked.result()
                if here.get(key) is asked:  # the first document with this text
                    writer.append(attempt)
                    here[key] = None
                    if writer.due:
                        writer.commit()
            else:
                place = self._place(known, key)
                if place < 0:  # written by this very task since the store was opened
                    writer.commit()
                    known = Store(self.store)
                    place = self._place(known, key)
                attempt = known.read(place)
            self.stat_update(attempt.outcome)
            document.metadata["annotation"] = {
                "outcome": attempt.outcome, "detail": attempt.detail, "answer": attempt.answer, "soft": attempt.soft,
            }  # fmt: skip
            return document

        try:
            for document in data or ():
                key = questions.key(document.text)
                asked = here.get(key)
                if key not in here and self._place(known, key) < 0:
                    question = questions.ask(client, document.text, key.hex(), document.id)
                    asked = here[key] = asyncio.run_coroutine_threadsafe(question, loop)
                pending.append((document, key, asked))
                while len(pending) >= self.in_flight or (pending and _done(pending[0][2])):
                    with self.track_time():
                        document = finish()
                    yield document
            while pending:
                yield finish()
        finally:
            for _, _, asked in pending:
                if asked is not None:
                    asked.cancel()

    @staticmethod
    def _place(store: Store, key: bytes) -> int:
        return int(store.places(np.array([key], "S16"))[0])


def _done(asked: Future[Attempt] | None) -> bool:
    return asked is None or asked.done()
