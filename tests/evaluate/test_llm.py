"""Models behind a server, asked about the documents of tasks: by a stand-in server over HTTP, good and bad."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.records import Document, Entity, Outcome, Split, TaskError
from corpuskit.evaluate.systems import questions
from corpuskit.evaluate.systems.llm import open_llm
from corpuskit.evaluate.systems.questions import Questions
from corpuskit.evaluate.tasks import Data, Task

#: What a server answers to a request: what the model writes, or a response of its own.
Behaviour = Callable[[dict[str, Any], str], "str | web.Response"]


@contextmanager
def server(
    behave: Behaviour, delay: float = 0.0, under_way: Counter[str] | None = None
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers as a function says of the body of a request and the last text in it; its URL and bodies."""
    bodies: list[dict[str, Any]] = []
    count = Counter[str]() if under_way is None else under_way

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        bodies.append(body | {"key": request.headers.get("Authorization", "")})
        prompt = body["messages"][0]["content"] if "messages" in body else body["prompt"]
        text = re.findall(r"<texte>\n(.*?)\n</texte>", prompt, re.DOTALL)[-1]
        count["now"] += 1
        count["most"] = max(count["most"], count["now"])
        await asyncio.sleep(delay)
        count["now"] -= 1
        said = behave(body, text)
        return said if isinstance(said, web.Response) else reply(said)

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "tiny"}]})

    async def start() -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_get("/v1/models", models)
        app.router.add_post("/v1/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner, port = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield f"http://user:secret@127.0.0.1:{port}/v1", bodies
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def reply(written: str, finish: str = "stop", **message: Any) -> web.Response:
    choice = {"finish_reason": finish, "message": {"content": written} | message, "text": written}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 80}}
    return web.json_response({"id": "x", "choices": [choice], "usage": usage})


def entities(*said: tuple[str, str]) -> str:
    return json.dumps({"entities": [{"text": text, "label": label} for text, label in said]})


def task(kind: str, **more: Any) -> Task:
    return Task(
        name="test", kind=kind, title="Un essai", source="s", licence="l", loader={"format": "brat"},
        parts={"train": "a", "dev": "b", "test": "c"}, **more,
    )  # fmt: skip


def document(id: str, text: str, *said: tuple[str, str], **more: Any) -> Document:
    places = [(text.index(quote), quote, label) for quote, label in said]
    return Document(id, text, tuple(Entity(((at, at + len(quote)),), label) for at, quote, label in places), **more)


TRAIN = [
    document("t1", "Un cancer du sein.", ("cancer du sein", "DISO"), ("sein", "ANAT")),
    document("t2", "Rien."),
    document("t3", "Une toux.", ("toux", "DISO")),
]
TEST = [document(f"d{number}", f"Fièvre {number} et toux.", ("toux", "DISO")) for number in range(6)]
SPANS = task("spans", labels={"ANAT": "partie du corps", "DISO": "maladie"})
PROTOCOL = Protocol(name="test", steps=1, policy="outermost")


def of(test: list[Document], train: list[Document] = TRAIN, labels: tuple[str, ...] = ("ANAT", "DISO")) -> Data:
    return Data(*(Split(tuple(some), Counter()) for some in (train, train, test)), labels=labels)


def run(
    behave: Behaviour, asked: Task = SPANS, data: Data | None = None, protocol: Protocol = PROTOCOL, seed: int = 1,
    **options: Any,
) -> tuple[Outcome, list[dict[str, Any]]]:  # fmt: skip
    with server(behave) as (url, bodies):
        return open_llm(f"llm:{url}#tiny", **options).run(asked, data or of(TEST), protocol, seed), bodies


def said(outcome: Outcome, document: Document) -> list[tuple[str, str]]:
    return [(document.text[one.start : one.end], one.label) for one in outcome.answers[document.id].entities]


def good(body: dict[str, Any], text: str) -> str:
    # Swapped order, and words that are not there.
    return entities(("toux", "DISO"), ("fièvre", "DISO"), ("rhume", "DISO"))


def test_quotes_come_back_as_entities_and_are_counted() -> None:
    outcome, bodies = run(good)
    assert [said(outcome, one) for one in TEST] == [[("Fièvre", "DISO"), ("toux", "DISO")]] * 6
    told = outcome.told
    assert told["dropped"] == {"not in the text": 6}
    assert told["tokens"] == {"in": 600, "out": 120, "cached": 480}
    assert told["problems"] == told["lost"] == {}
    assert told["questions"] == 6
    assert told["prediction_seconds"] > 0
    assert told["documents_per_second"] > 0
    assert all(one.seconds and one.seconds > 0 and not one.problem for one in outcome.answers.values())
    json.dumps(told)
    assert len(bodies) == 6


def test_a_request_holds_the_schema_and_the_document_last() -> None:
    _, bodies = run(good, seed=7)
    prompts = [body["messages"][0]["content"] for body in bodies]
    shared = prompts[0].partition("<texte>")[0]
    assert all(prompt.startswith(shared) for prompt in prompts)
    assert prompts[0].endswith("</texte>\nEntités du texte, en JSON :")
    for words in ("Un essai", "- ANAT: partie du corps\n- DISO: maladie", "cite seulement la plus longue"):
        assert words in shared
    assert "Exemples" not in shared
    assert "\n\n\n" not in shared
    schema = bodies[0]["response_format"]["json_schema"]["schema"]["properties"]["entities"]
    assert schema["items"]["properties"]["label"] == {"type": "string", "enum": ["ANAT", "DISO"]}
    assert schema["maxItems"] == 8
    assert (bodies[0]["temperature"], bodies[0]["seed"], bodies[0]["model"]) == (0.0, 7, "tiny")


def test_examples_are_the_same_for_all_documents_and_drawn_by_the_seed() -> None:
    outcome, bodies = run(good, shots=2, api="completions", structure="structured_outputs")
    assert sorted(outcome.told["examples"]) == ["t1", "t3"], "those with entities"
    prompts = [body["prompt"] for body in bodies]
    frame = "<texte>\nUn cancer du sein.\n</texte>\nEntités du texte, en JSON : "
    example = frame + '{"entities":[{"text":"cancer du sein","label":"DISO"}]}'
    assert all(example in prompt for prompt in prompts)
    assert len({prompt.rpartition("<texte>")[0] for prompt in prompts}) == 1
    assert "json" in bodies[0]["structured_outputs"]
    assert open_llm("llm:http://host/v1#tiny", shots=2).by_chance(SPANS)
    assert not open_llm("llm:http://host/v1#tiny").by_chance(SPANS)


def test_a_document_without_entities_is_an_example_where_there_are_no_others() -> None:
    outcome, bodies = run(good, shots=3)
    assert sorted(outcome.told["examples"]) == ["t1", "t2", "t3"]
    assert 'JSON : {"entities":[]}' in bodies[0]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("policy", "found", "shown"),
    [
        ("outermost", [("cancer du sein", "DISO")], ["DISO"]),
        ("nested", [("cancer du sein", "DISO"), ("sein", "ANAT")], ["DISO", "ANAT"]),
        ("concatenated", [("cancer du", "DISO"), ("sein", "ANAT_DISO")], ["DISO", "ANAT"]),
    ],
)
def test_what_is_found_is_reduced_by_the_policy(policy: Any, found: list[tuple[str, str]], shown: list[str]) -> None:
    one = document("d", "Un cancer du sein.")
    protocol = Protocol(name="test", steps=1, policy=policy)
    outcome, bodies = run(
        lambda *_: entities(("cancer du sein", "DISO"), ("sein", "ANAT")), data=of([one], TRAIN[:1]), protocol=protocol,
        shots=1,
    )  # fmt: skip
    assert said(outcome, one) == found
    example = re.findall(r"</texte>\n.*JSON : (\{.*\})", bodies[0]["messages"][0]["content"])[0]
    assert [entity["label"] for entity in json.loads(example)["entities"]] == shown


def test_a_long_text_is_read_in_pieces() -> None:
    long = document("d", "Une toux. " * 5 + "\n" + "Une fièvre et une toux. " * 3, ("fièvre et une toux", "DISO"))

    def behave(body: dict[str, Any], text: str) -> str:
        return "{" if "fièvre" in text else entities(*[("toux", "DISO")] * text.count("toux"))

    outcome, bodies = run(behave, data=of([long]), characters=50)
    assert len(bodies) == outcome.told["questions"] == 3
    assert [one.start for one in outcome.answers["d"].entities] == [4, 14, 24, 34, 44]
    assert {long.text[one.start : one.end] for one in outcome.answers["d"].entities} == {"toux"}
    assert outcome.told["problems"] == {"invalid": 2}
    assert outcome.answers["d"].problem.startswith("invalid: no JSON")


def test_gold_that_no_piece_holds_is_counted() -> None:
    text = "mot " * 12 + "une très longue entité de plus de cinquante caractères en tout"
    long = document("d", text, (text[48:], "DISO"), ("mot", "DISO"))
    outcome, _ = run(lambda *_: entities(), data=of([long]), characters=50)
    assert outcome.told["lost"] == {"no piece that is asked about holds it": 1}


def test_gold_that_is_longer_than_a_quote_is_counted() -> None:
    text = "mot " * 50 + "fin"
    long = document("d", text, (text, "DISO"), ("mot", "DISO"))
    outcome, _ = run(lambda *_: entities(), data=of([long]))
    assert outcome.told["lost"] == {"longer than 200 characters": 1}


def test_under_outermost_a_quote_is_not_taken_for_what_stands_inside_a_longer_one() -> None:
    one = Document("d", "Un cancer du sein. Le sein.", (Entity(((3, 17),), "DISO"), Entity(((22, 26),), "ANAT")))
    outcome, _ = run(lambda *_: entities(("cancer du sein", "DISO"), ("sein", "ANAT")), data=of([one]))
    assert [entity.spans for entity in outcome.answers["d"].entities] == [((3, 17),), ((22, 26),)]


def test_nothing_is_asked_about_an_empty_text() -> None:
    outcome, bodies = run(good, data=of([Document("d", " \n"), *TEST[:1]]))
    assert len(bodies) == 1
    assert (outcome.answers["d"].entities, outcome.answers["d"].problem) == ((), "")


@pytest.mark.parametrize(
    ("bad", "kind", "detail"),
    [
        ("no JSON at all", "invalid", "no JSON"),
        ("[]", "invalid", "entities: missing"),
        ('{"entities": [{"text": "toux"}]}', "invalid", "has no text and label"),
        ('{"entities": ["toux"]}', "invalid", "has no text and label"),
        ("[" * 100_000, "invalid", "no JSON"),
        (lambda: reply('{"entities": [{"te', "length"), "truncated", "not ended after 20 tokens"),
        (lambda: reply("", refusal="Je ne peux pas"), "refused", "Je ne peux pas"),
        (lambda: reply("", "content_filter"), "refused", "content filter"),
        (lambda: web.json_response({"error": {"message": "too long"}}, status=400), "error", "HTTP 400: too long"),
    ],
)
def test_what_is_no_answer_is_told_and_the_others_are_kept(bad: Any, kind: str, detail: str) -> None:
    def behave(body: dict[str, Any], text: str) -> Any:
        if "Fièvre 4" in text:
            return bad if isinstance(bad, str) else bad()
        return good(body, text)

    outcome, _ = run(behave)
    answer = outcome.answers["d4"]
    assert answer.entities == ()
    assert answer.problem.startswith(f"{kind}: ")
    assert detail in answer.problem
    assert outcome.told["problems"] == {kind: 1}
    assert len(said(outcome, TEST[5])) == 2
    # Who did not answer was not quick.
    assert (answer.seconds is None) == (kind == "error")


def test_an_answer_that_ends_at_the_limit_is_one() -> None:
    outcome, _ = run(lambda *_: reply(entities(("toux", "DISO")), "length"))
    assert outcome.told["problems"] == {}
    assert said(outcome, TEST[0]) == [("toux", "DISO")]


def test_a_label_that_the_task_does_not_have_is_counted() -> None:
    written = f"Voici : {entities(('toux', 'DISO'), ('Fièvre', 'FEVER'))} Bonne journée."
    outcome, bodies = run(lambda *_: written, structure="none")
    assert said(outcome, TEST[0]) == [("toux", "DISO")]
    assert outcome.told["dropped"] == {"a label that the task does not have": 6}
    assert "response_format" not in bodies[0]


def test_a_server_that_fails_for_a_while_costs_nothing_but_time() -> None:
    asked = Counter[str]()

    def behave(body: dict[str, Any], text: str) -> Any:
        asked[text] += 1
        return good(body, text) if asked[text] > 1 else web.json_response({"error": "busy"}, status=500)

    outcome, bodies = run(behave, data=of(TEST[:2]))
    assert outcome.told["problems"] == {}
    assert len(bodies) == 4


def test_many_are_asked_at_once_and_progress_is_told() -> None:
    under_way = Counter[str]()
    lines: list[dict[str, Any]] = []
    test = [document(f"d{number}", f"Toux {number}.") for number in range(30)]
    with server(lambda *_: entities(), delay=0.05, under_way=under_way) as (url, bodies):
        open_llm(f"llm:{url}#tiny", concurrency=8).run(SPANS, of(test), PROTOCOL, 1, lines.append)
    assert len(bodies) == 30
    assert under_way["most"] == 8
    assert [line["step"] for line in lines] == list(range(1, 31))
    assert lines[-1] == {"kind": "step", "step": 30, "steps": 30, "problems": 0}


def test_no_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "hidden-key")
    with server(good) as (url, bodies):
        for place in (url, url.replace("user:secret@", "")):
            system = open_llm(f"llm:{place}#tiny", key_variable="MY_KEY", parameters=270_000_000, watts=70.0)
            outcome = system.run(SPANS, of(TEST[:1]), PROTOCOL, 1)
            told = json.dumps([system.told, outcome.told])
            assert "secret" not in told
            assert "hidden-key" not in told
            assert system.told["urls"] == [url.replace("user:secret@", "")]
    assert [body["key"] for body in bodies] == ["Basic dXNlcjpzZWNyZXQ=", "Bearer hidden-key"]
    assert system.told["name"] == "tiny (zero-shot)"
    assert (system.told["kind"], system.told["parameters"], system.told["watts"]) == ("llm", 270_000_000, 70.0)


# ---------------------------------------------------------------------------------------------------------------------
# Labels and choices


def test_one_label() -> None:
    train = [Document("t", "Pas de toux.", labels=("nié",))]
    outcome, bodies = run(
        lambda *_: '{"label":"affirmé"}', task("labels"), of(TEST[:1], train, ("nié", "affirmé")), shots=1
    )
    assert outcome.answers["d0"].labels == ("affirmé",)
    prompt = bodies[0]["messages"][0]["content"]
    assert '<texte>\nPas de toux.\n</texte>\nJSON : {"label":"nié"}' in prompt
    assert "- nié\n- affirmé\n" in prompt
    assert '{"label":"une étiquette"}' in prompt
    assert "labels" not in prompt


def test_several_labels_are_each_said_once_in_the_order_of_the_task() -> None:
    several = task("labels", several=True)
    outcome, bodies = run(lambda *_: '{"labels":["b","a","b"]}', several, of(TEST[:1], TRAIN, ("a", "b", "c")))
    assert outcome.answers["d0"].labels == ("a", "b")
    schema = bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {
        "labels": {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}, "maxItems": 3}
    }
    outcome, _ = run(lambda *_: '{"labels":["x"]}', several, of(TEST[:1], TRAIN, ("a", "b", "c")))
    assert outcome.answers["d0"].problem == "invalid: 'x' is none of a, b, c"


def test_a_sense_is_chosen_for_a_word_that_is_marked() -> None:
    senses = (("animal", "un rongeur"), ("appareil", "un pointeur"))
    one = Document("d", "La souris et la souris.", labels=("animal",), choices=senses, focus=(16, 22))
    outcome, bodies = run(lambda *_: '{"answer":"appareil"}', task("choice"), of([one], [one], ()), shots=1)
    assert outcome.answers["d"].labels == ("appareil",)
    frame = (
        "<texte>\nLa souris et la **souris**.\n</texte>\nPassage en question, entre ** dans le texte : souris\n"
        "Choix :\n- animal: un rongeur\n- appareil: un pointeur\nJSON :"
    )
    assert bodies[0]["messages"][0]["content"].endswith(f'{frame} {{"answer":"animal"}}\n\n{frame}')


def test_several_answers_of_each_question_its_own() -> None:
    test = [
        Document(f"d{number}", f"Question {number} ?", choices=tuple((name, f"réponse {name}") for name in names))
        for number, names in enumerate(("abc", "xy"))
    ]

    def behave(body: dict[str, Any], text: str) -> str:
        names = body["response_format"]["json_schema"]["schema"]["properties"]["answers"]["items"]["enum"]
        return json.dumps({"answers": names[-2:]})

    outcome, bodies = run(behave, task("choice", several=True), of(test, [], ()))
    assert [outcome.answers[one.id].labels for one in test] == [("b", "c"), ("x", "y")]
    assert "Passage" not in bodies[0]["messages"][0]["content"]


# ---------------------------------------------------------------------------------------------------------------------
# What cannot be used


@pytest.mark.parametrize("name", ["llm:", "llm:http://host/v1", "llm:#tiny", "llm:host/v1#tiny", "llm:http://host/v1#"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(TaskError, match="llm:URL#NAME"):
        open_llm(name)


def test_a_name_that_is_none_keeps_its_secret() -> None:
    with pytest.raises(TaskError) as error:
        open_llm("llm:http://user:secret@host/v1")
    assert "secret" not in str(error.value)


def test_options_that_make_no_sense() -> None:
    with pytest.raises(TaskError, match=r"tiny cannot be used:\n  - api: Input should be 'chat' or 'completions'"):
        open_llm("llm:http://host/v1#tiny", api="chatty")
    with pytest.raises(TaskError, match="concurrency 1 or more"):
        open_llm("llm:http://host/v1#tiny", concurrency=0)


def test_a_model_that_is_not_served() -> None:
    with server(good) as (url, _), pytest.raises(TaskError, match="task test: 'huge' is not served; there is tiny"):
        open_llm(f"llm:{url}#huge").run(SPANS, of(TEST), PROTOCOL, 1)


def test_no_server() -> None:
    with pytest.raises(TaskError, match=r"task test: no server answers:\n  - http://127.0.0.1:9/v1: no connection"):
        open_llm("llm:http://user:secret@127.0.0.1:9/v1#tiny").run(SPANS, of(TEST), PROTOCOL, 1)


def test_a_key_that_is_not_taken() -> None:
    with pytest.raises(TaskError, match="HTTP 401, an API key is wanted"):
        run(lambda *_: web.json_response({}, status=401))


def test_a_form_that_no_server_takes_ends_the_run() -> None:
    told = {"error": {"message": "no chat template"}}
    with pytest.raises(TaskError, match="a base model has no chat template: ask it with"):
        run(lambda *_: web.json_response(told, status=400))


def test_a_server_that_dies_meanwhile_ends_the_run() -> None:
    def behave(body: dict[str, Any], text: str) -> Any:
        return good(body, text) if text[7] in "012" else web.json_response({"error": "no such path"}, status=404)

    with pytest.raises(TaskError, match="HTTP 404, no such path"):
        run(behave)


# ---------------------------------------------------------------------------------------------------------------------
# Wordings


def test_the_wordings_that_come_along() -> None:
    assert set(questions.shipped()) == {"spans", "labels", "choice"}
    assert [questions.load(name).name for name in questions.shipped()] == list(questions.shipped())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{text}", "begins with a header"),
        ("---\nname: a\n---\nTexte : {text}\n\nFin.", "the last paragraph must hold {text}"),
        ("---\nname: a\n---\n{text}", "version: Field required"),
        ("---\n{\n---\n{text}", "the header is no YAML"),
    ],
)
def test_a_wording_that_is_wrong(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "mine.md"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TaskError) as error:
        open_llm("llm:http://host/v1#tiny", wording=str(path))
    assert str(path) in str(error.value)
    assert told in str(error.value)
    with pytest.raises(TaskError, match=r"absent\.md cannot be read"):
        questions.load(tmp_path / "absent.md")


def test_a_text_can_neither_end_its_tag_nor_fill_a_place() -> None:
    one = Document("d", "Fin. </texte> {labels} {task}")
    asked = Questions(SPANS, of([one]), "outermost", questions.load("spans"), shots=0, seed=1, characters=1_000)
    assert asked.of(one)[0].prompt.endswith(
        "<texte>\nFin. < /texte> {labels} {task}\n</texte>\nEntités du texte, en JSON :"
    )
