"""Enriching: nothing is lost, nothing is paid for twice, and a server may do what it likes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import servers
from servers import fake, wait_until_up

from corpuskit.enrich import annotations, prompts
from corpuskit.enrich.ask import Asking
from corpuskit.enrich.report import Prices
from corpuskit.enrich.run import Enriched, EnrichError, Sending, enrich
from corpuskit.enrich.selection import Selection
from corpuskit.enrich.store import Store

PROMPT = prompts.load("biomed-enriched-fr")
GOOD = {"document_type": "study", "domain": "clinical", "educational_quality": 3, "language": "fr"}


def paragraphs(folder: Path, *texts: str) -> Path:
    table = {
        "id": [f"cases:{at // 3}#{at:012x}" for at in range(len(texts))],
        "article_id": [f"cases:{at // 3}" for at in range(len(texts))],
        "source": ["cases"] * len(texts),
        "text": list(texts),
    }
    pq.write_table(pa.table(table), folder / "paragraphs.parquet")
    return folder / "paragraphs.parquet"


def run(source: Path, output: Path, *urls: str, asking: dict[str, Any] | None = None, **more: Any) -> Enriched:
    sending = {"in_flight": 8, "timeout": 1.0, "tries": 3, "patience": 5.0} | more.pop("sending", {})
    given = Asking(**{"model": "model"} | (asking or {}))
    return enrich(source, PROMPT, given, Sending(endpoints=list(urls), **sending), output, log="quiet", **more)


def rows(output: Path) -> list[dict[str, Any]]:
    return annotations.read(output).table(answered=False).to_pylist()


def asked(log: Path) -> Counter[str]:
    return Counter(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else Counter()


def test_each_paragraph_is_asked_about_once_and_its_answer_stands_in_its_place(tmp_path: Path) -> None:
    source = paragraphs(tmp_path, "Une toux.", "Une fièvre.", "Une toux.")
    log = tmp_path / "log"
    with fake(log) as url:
        done = run(source, tmp_path / "out", url)
        assert run(source, tmp_path / "out", url).report["paragraphs"]["asked_now"] == 0
    assert sorted(asked(log).values()) == [1, 1]
    assert done.report["outcomes"] == {"ok": 3, "invalid": 0, "truncated": 0, "refused": 0, "error": 0}
    assert done.report["paragraphs"] | {"path": ""} == {
        "path": "", "in_all": 3, "chosen": 3, "distinct": 2, "asked_now": 2,
        "selection": {"share": 1.0, "seed": 1, "min_words": 0, "limit": None},
    }  # fmt: skip
    assert done.report["work"]["tokens"] == {"in": 200, "out": 40, "cached": 160}
    found = rows(tmp_path / "out")
    assert [row["text"] for row in found] == ["Une toux.", "Une fièvre.", "Une toux."]
    assert {name: found[1][name] for name in ("id", "article_id", "source", "outcome", "detail")} == {
        "id": "cases:0#000000000001", "article_id": "cases:0", "source": "cases", "outcome": "ok", "detail": None,
    }  # fmt: skip
    assert {name: found[1][name] for name in GOOD} == GOOD
    assert annotations.read(tmp_path / "out").annotator == ("model", "model", "")


FAULTS = {
    # What the server does, and what it comes to.
    "429:2": ("ok", ""), "503:1": ("ok", ""), "busy:1": ("ok", ""), "500:2": ("ok", ""), "close:1": ("ok", ""),
    "half_close:1": ("ok", ""), "no_json:1": ("ok", ""), "no_api:1": ("ok", ""), "other:2": ("ok", ""),
    "hang:1": ("ok", ""),
    "500": ("error", "HTTP 500: told 500 (3 tries)"),
    "close": ("error", "Server disconnected (3 tries)"),
    "hang": ("error", "no answer within 3 s (3 tries)"),
    "no_api": ("error", "the answer is none of the API: 'choices' (3 tries)"),
    "other": ("error", "the answer is none of the API: it belongs to another question (3 tries)"),
    "400": ("error", "HTTP 400: told 400"),
    "half": ("invalid", "no JSON: unexpected end of data: line 1 column 23 (char 22)"),
    "wrong": ("invalid", "document_type: 'novel' is none of clinical_case, study, review, other"),
    "spaces": ("truncated", "not ended after 20 tokens"),
    "refusal": ("refused", "I cannot"),
    "filter": ("refused", "withheld by a content filter"),
}  # fmt: skip


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_no_fault_of_a_server_ends_the_run_or_touches_another_paragraph(api: str, tmp_path: Path) -> None:
    plain = [f"Le cas {at}." for at in range(30)]
    source = paragraphs(tmp_path, *plain, *(f"Paragraphe <<{order}>>" for order in FAULTS))
    with fake(tmp_path / "log", delay=0.01) as url:
        done = run(source, tmp_path / "out", url, asking={"api": api}, sending={"timeout": 3.0})
    found = [
        (row["outcome"], (row["detail"] or "").replace("[Errno 104] Connection reset by peer", "Server disconnected"))
        for row in rows(tmp_path / "out")
    ]
    assert found[:30] == [("ok", "")] * 30
    assert dict(zip(FAULTS, found[30:], strict=True)) == FAULTS
    assert done.report["outcomes"]["error"] == 6
    for row in rows(tmp_path / "out"):
        answered = row["outcome"] == "ok"
        assert (row["document_type"] == "study") is answered
        assert (row["educational_quality"] == 3) is answered


def test_what_was_invalid_is_asked_again_only_on_demand(tmp_path: Path) -> None:
    source = paragraphs(tmp_path, "Une toux.", "Un <<wrong:1>>", "Un <<spaces:1>>")
    log = tmp_path / "log"
    with fake(log) as url:
        assert run(source, tmp_path / "out", url).report["outcomes"]["invalid"] == 1
        assert run(source, tmp_path / "out", url).report["paragraphs"]["asked_now"] == 0
        again = run(source, tmp_path / "out", url, retry=["invalid"]).report
        assert again["paragraphs"]["asked_now"] == 1
        assert again["outcomes"] == {"ok": 2, "invalid": 0, "truncated": 1, "refused": 0, "error": 0}
        assert again["store"]["attempts"] == 4
        assert run(source, tmp_path / "out", url, retry=["truncated", "invalid"]).report["outcomes"]["ok"] == 3
    assert sorted(asked(log).values()) == [1, 2, 2]


@pytest.mark.parametrize(
    "changed",
    [
        {"revision": "2"},
        {"temperature": 0.5},
        {"seed": 2},
        {"max_tokens": 30},
        {"extra": {"k": 1}},
        {"api": "completions"},
    ],
)
def test_another_way_of_asking_is_another_question(changed: dict[str, Any], tmp_path: Path) -> None:
    source = paragraphs(tmp_path, "Une toux.")
    with fake(tmp_path / "log") as url:
        run(source, tmp_path / "out", url)
        assert run(source, tmp_path / "out", url, asking=changed).report["paragraphs"]["asked_now"] == 1
        assert run(source, tmp_path / "out", url).report["paragraphs"]["asked_now"] == 0


def test_a_store_serves_several_folders_and_a_folder_one_model(tmp_path: Path) -> None:
    source = paragraphs(tmp_path, "Une toux.")
    with fake(tmp_path / "log") as url:
        run(source, tmp_path / "one", url, store=tmp_path / "store")
        assert run(source, tmp_path / "two", url, store=tmp_path / "store").report["paragraphs"]["asked_now"] == 0
        with pytest.raises(EnrichError, match="holds the annotations of biomed-enriched-fr by model: choose another"):
            enrich(
                source, prompts.load("medical-terms"), Asking(model="model"), Sending(endpoints=[url]), tmp_path / "one"
            )


def test_which_paragraphs(tmp_path: Path) -> None:
    source = paragraphs(tmp_path, *(f"Le mot {at}." + " encore" * (at % 2) for at in range(100)))
    with fake() as url:
        few = run(source, tmp_path / "few", url, selection=Selection(limit=3, min_words=4))
        assert [row["text"] for row in rows(few.output)] == [f"Le mot {at}. encore" for at in (1, 3, 5)]
        half = {row["id"] for row in rows(run(source, tmp_path / "half", url, selection=Selection(share=0.5)).output)}
        fifth = {row["id"] for row in rows(run(source, tmp_path / "fifth", url, selection=Selection(share=0.2)).output)}
        assert 30 < len(half) < 70
        assert fifth < half
        with pytest.raises(EnrichError, match="no paragraph was chosen"):
            run(source, tmp_path / "none", url, selection=Selection(min_words=100))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_server_that_is_down_is_told_at_once(tmp_path: Path) -> None:
    source, start = paragraphs(tmp_path, "Une toux."), time.monotonic()
    with pytest.raises(EnrichError) as error:
        run(source, tmp_path / "out", f"http://user:secret@127.0.0.1:{free_port()}/v1", sending={"patience": 300})
    assert time.monotonic() - start < 10
    assert "no server answers:\n  - http://127.0.0.1:" in str(error.value)
    assert "no connection: Connect call failed" in str(error.value) or "Connection refused" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_model_that_is_not_served(tmp_path: Path) -> None:
    with fake() as url, pytest.raises(EnrichError, match="'other' is not served; there is Qwen/Qwen3-32B, model"):
        run(paragraphs(tmp_path, "Une toux."), tmp_path / "out", url, asking={"model": "other"})


def test_a_way_of_asking_that_no_server_takes_ends_the_run(tmp_path: Path) -> None:
    source = paragraphs(tmp_path, *(f"Le cas {at} <<400>>" for at in range(50)))
    with (
        fake(tmp_path / "log") as url,
        pytest.raises(EnrichError, match="first 3 questions were all refused: HTTP 400"),
    ):
        run(source, tmp_path / "out", url)
    assert asked(tmp_path / "log").total() == 3


def test_a_key_that_is_not_taken_ends_the_run_and_is_not_shown(tmp_path: Path) -> None:
    source = paragraphs(tmp_path, "Une toux.", "Une <<401>>")
    with fake() as url, pytest.raises(EnrichError, match=r"HTTP 401, the API key is not taken") as error:
        run(source, tmp_path / "out", url, key="sk-secret")
    assert "sk-secret" not in str(error.value)


def test_the_key_is_written_nowhere(tmp_path: Path) -> None:
    source = paragraphs(tmp_path, "Une toux.", "Une <<500>>", "Une <<400>>")
    with fake() as url:
        run(source, tmp_path / "out", url, key="sk-secret")
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"sk-secret" not in path.read_bytes(), path


def test_one_server_of_two_dies_and_comes_back(tmp_path: Path) -> None:
    source, port = paragraphs(tmp_path, *(f"Le cas {at}." for at in range(400))), free_port()
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    command = [sys.executable, str(Path(servers.__file__))]
    dying = subprocess.Popen([*command, str(port), "0.02", str(second), ""], stdout=subprocess.PIPE)
    wait_until_up(f"http://127.0.0.1:{port}/v1")
    script = f"""
import sys
sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
from pathlib import Path
from test_enrich import run
run(Path({str(source)!r}), Path({str(tmp_path / "out")!r}), sys.argv[1], "http://127.0.0.1:{port}/v1")
"""
    with fake(first, delay=0.05) as url:
        going = subprocess.Popen([sys.executable, "-c", script, url])
        while asked(second).total() < 20:
            assert going.poll() is None
            time.sleep(0.01)
        dying.kill()
        dying.wait()
        time.sleep(0.3)
        back = subprocess.Popen([*command, str(port), "0.001", str(third), ""], stdout=subprocess.PIPE)
        try:
            assert going.wait(60) == 0
        finally:
            back.kill()
            back.wait()
    assert {row["outcome"] for row in rows(tmp_path / "out")} == {"ok"}
    assert all(map(asked, (first, second, third)))
    # Only what the dying server had under way was asked again.
    assert (asked(first) + asked(second) + asked(third)).total() <= 400 + 8


def test_servers_that_all_fail_end_the_run_and_keep_what_was_answered(tmp_path: Path) -> None:
    source = paragraphs(tmp_path, *(f"Le cas {at}." for at in range(20)), *(f"Le cas {at} <<die>>" for at in range(3)))
    with fake() as url, pytest.raises(EnrichError, match="no answer for 1 s:\n  - http://127"):
        run(source, tmp_path / "out", url, sending={"patience": 1.0, "in_flight": 1, "tries": 50})
    assert len(Store(tmp_path / "out" / "store")) == 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_is_answered_and_the_same_command_goes_on(number: int, tmp_path: Path) -> None:
    source, log = paragraphs(tmp_path, *(f"Le cas {at}." for at in range(200))), tmp_path / "log"
    with fake(log, delay=0.05) as url:
        command = [sys.executable, "-m", "corpuskit", "enrich", str(source), "--prompt", "biomed-enriched-fr",
                   "--endpoint", url, "--model", "model", "-o", str(tmp_path / "out"), "--in-flight", "8"]  # fmt: skip
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while asked(log).total() < 40:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(number)
        _, told = process.communicate(timeout=30)
        assert process.returncode == 130, told
        assert "interrupted; the answers are kept in" in told
        kept = len(Store(tmp_path / "out" / "store"))
        assert 30 < kept < 200
        assert kept == asked(log).total()
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert len(rows(tmp_path / "out")) == 200
    assert set(asked(log).values()) == {1}


def test_two_enrichments_into_one_folder(tmp_path: Path) -> None:
    source = paragraphs(tmp_path, *(f"Le cas {at}." for at in range(50)))
    with fake(tmp_path / "log", delay=0.2) as url:
        script = f"""
import sys
sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
from pathlib import Path
from test_enrich import run
run(Path({str(source)!r}), Path({str(tmp_path / "out")!r}), {url!r})
"""
        other = subprocess.Popen([sys.executable, "-c", script])
        while not asked(tmp_path / "log"):
            assert other.poll() is None
            time.sleep(0.01)
        with pytest.raises(EnrichError, match="another enrichment is writing"):
            run(source, tmp_path / "out", url)
        assert other.wait(60) == 0


def test_what_it_costs(tmp_path: Path) -> None:
    source = paragraphs(tmp_path, *(f"Le cas {at}." for at in range(10)))
    with fake(delay=0.05) as url:
        prices = Prices(hour=3.6, tokens_in=1.0, tokens_out=10.0, gpus=2)
        told = run(source, tmp_path / "out", url, prices=prices, selection=Selection(limit=5)).report
    work, seconds = told["work"], told["work"]["seconds"]
    assert work["gpu_hours"] == pytest.approx(2 * seconds / 3600, abs=2e-4)
    money = 3.6 * 2 * seconds / 3600 + (5 * 100 * 1 + 5 * 20 * 10) / 1e6
    assert work["cost_per_1000"] == pytest.approx(money / 5 * 1000, rel=0.2)
    assert work["energy_kwh"] is None
    assert told["whole_corpus"]["paragraphs"] == 10
    assert told["latency_seconds"]["p50"] >= 0.05


def test_the_request_holds_what_is_shared_first_and_the_schema(tmp_path: Path) -> None:
    bodies = tmp_path / "bodies"
    source = paragraphs(tmp_path, 'Une "toux" </paragraphe> été\x00.', "Une fièvre.")
    with fake(bodies=bodies) as url:
        run(source, tmp_path / "out", url, sending={"in_flight": 1}, asking={"extra": {"min_p": 0.1}})
    first, second = (json.loads(line) for line in bodies.read_text().splitlines())
    one, other = first["messages"][0]["content"], second["messages"][0]["content"]
    shared, own = PROMPT.parts("Une fièvre.")
    assert other == f"{shared}\n\n{own}"
    assert one.startswith(shared)
    assert 'Une "toux" < /paragraphe> été\x00.' in one
    assert first["response_format"]["json_schema"]["schema"] == PROMPT.json_schema()
    assert (first["temperature"], first["top_logprobs"], first["min_p"]) == (0.0, 20, 0.1)
