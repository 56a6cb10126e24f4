"""The page of a comparison: its tables and errors, whole, reaching for nothing, and in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lxml.html
import pytest
import report_corpora as corpora
import result_folders as folders
from chromium import NEEDED, fresh
from chromium import browser as browser
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.evaluate.compare import Ranking, compare, find
from corpuskit.evaluate.records import Answer, Document, Entity
from corpuskit.report import evaluation as pages
from corpuskit.report.charts import Dots, Ranks, Scatter
from corpuskit.report.evaluation import browsed, charts, evaluation

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

for needed in ("plotly", "jinja2"):
    pytest.importorskip(needed)
HOSTILE = corpora.HOSTILE[1]

#: Offsets are of code points: what stands before the entities has two units of UTF-16.
TEXT = f"😀 cancer du sein gauche et fièvre élevée.\nUne autre ligne. {HOSTILE}\nAspirine, puis repos."


def at(words: str, label: str, *more: str) -> Entity:
    pieces = [(TEXT.index(one), TEXT.index(one) + len(one)) for one in (words, *more)]
    return Entity(tuple(pieces), label)


GOLD = (at("cancer du sein", "SIGN"), at("sein", "ANAT"), at("fièvre élevée", "SIGN"), at("Aspirine", "DRUG"))
SAID = (at("cancer du sein", "SIGN"), at("sein", "ANAT"), at("fièvre", "SIGN"), at("repos", "DRUG"))
NESTED = folders.PROTOCOL.model_copy(update={"policy": "nested"})
SPANS = folders.task("spans", title=HOSTILE)
LABELS = folders.task("genre", "labels", several=True)
CHOICE = folders.task("qcm", "choice", several=True)
TEXTS = [Document("d1", TEXT, GOLD), Document("d2", "Rien.")]
GENRES = [Document("g1", "Un cas.", labels=("cas", "revue")), Document("g2", "Une étude.", labels=("étude",))]
QUESTIONS = [Document("q1", "Quel avocat ?", labels=("a",), choices=(("a", "le fruit"), ("b", HOSTILE)), focus=(5, 11))]


def answered(good: bool) -> tuple[folders.Asked, ...]:
    entities = {"d1": Answer(GOLD if good else SAID), "d2": Answer(problem="" if good else HOSTILE)}
    labels = {"g1": Answer(labels=("cas", "revue")), "g2": Answer(labels=("étude",) if good else ("cas",))}
    choice = {"q1": Answer(labels=("a",) if good else ("a", "b"))}
    return ((SPANS, TEXTS, {1: entities, 2: entities | {"d1": Answer()}}), (LABELS, GENRES, {1: labels}),
            (CHOICE, QUESTIONS, {1: choice}))  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluations")
    runs = [{"prediction_seconds": 2.0, "prediction_kwh": 0.001, "lost": {"nested": 1}}] * 2
    told: dict[str, Any] = {"protocol": NESTED, "runs": runs}
    folders.write(folder / "a", "dictionary", *answered(False), kind="dictionary", parameters=1_000, **told)
    folders.write(folder / "b", HOSTILE, *answered(True), parameters=110_000_000, **told)
    return folder


@pytest.fixture(scope="module")
def written(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluation(compare(find([results])), tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def page(written: Path) -> str:
    return written.read_text(encoding="utf-8")


def spans_ranking(results: Path) -> Ranking:
    return compare(find([results])).rankings[0]


def cells(page: str, caption: str) -> list[list[str]]:
    table = next(
        one for one in lxml.html.fromstring(page).iter("table") if caption in one.find("caption").text_content()
    )
    return [[cell.text_content().strip() for cell in row] for row in table.iter("tr")]


def test_the_page_is_whole_and_may_reach_for_nothing(page: str) -> None:
    markup = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', markup)
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'unsafe-inline'")
    assert not re.findall(r'(?:src|href)="(?!#|data:,)[^"]*"', markup)


def test_hostile_text_is_text(page: str) -> None:
    tree = lxml.html.fromstring(page)
    assert [script.get("type") for script in tree.iter("script")] == ["application/json", "text/plain", None]
    assert tree.text_content().count(HOSTILE) > 10


def test_the_tables_are_those_of_the_comparison(page: str) -> None:
    headline = cells(page, f"{HOSTILE}: strict × 100 on 2 documents of test, protocol camembert-bio; 2 seeds.")
    assert headline[0] == [
        "system",
        "strict",
        "95 % interval",
        "difference",
        "p bootstrap",
        "p randomisation",
        "win rate",
    ]
    assert headline[1][:2] == [HOSTILE, "50.00 ± 70.71"]
    # Two of four are right in one seed, none in the other.
    assert headline[2][:2] == ["dictionary", "25.00 ± 35.36"]
    scorers = cells(page, "The same answers by every scorer")
    assert scorers[1] == [
        "strictsame boundaries and same label (seqeval, strict IOB2); micro F1",
        "50.00 ± 70.71 (1)", "25.00 ± 35.36 (2)",
    ]  # fmt: skip
    assert ["SIGN", "2", "50.00", "25.00"] in cells(page, "Strict F1 of each label")
    assert [row[:4] for row in cells(page, "What each system takes")][1:] == [
        [HOSTILE, "encoder", "50.00", "110 M"], ["dictionary", "dictionary", "25.00", "1.00 k"]
    ]  # fmt: skip
    lost = cells(page, "Entities that a system could not learn or say")
    assert ["dictionary", "nested 1", f"2 of 4: {HOSTILE} 2"] in lost
    assert [row[0] for row in cells(page, "Over 3 tasks that all systems did: spans, genre, qcm.")[1:]] == [
        HOSTILE, "dictionary"
    ]  # fmt: skip


def test_charts(results: Path) -> None:
    drawn = charts(spans_ranking(results))
    means, ranks, energy = drawn["means"], drawn["ranks"], drawn["energy"]
    assert isinstance(means, Dots)
    assert [(row[0], row[1], row[4]) for row in means.rows] == [
        (HOSTILE, 50.0, [100.0, 0.0]), ("dictionary", 25.0, [50.0, 0.0])
    ]  # fmt: skip
    assert isinstance(ranks, Ranks)
    assert ranks.ranks["dictionary"] == [2] * len(ranks.rules)
    assert isinstance(energy, Scatter)
    # 1 Wh for two documents.
    assert [(name, x, y) for name, x, y, *_ in energy.points] == [(HOSTILE, 500.0, 50.0), ("dictionary", 500.0, 25.0)]
    assert set(drawn) == {"means", "ranks", "latency", "energy", "size"}


def test_one_system_has_no_ranks_and_no_costs_to_compare(results: Path) -> None:
    assert set(charts(compare(find([results / "a"])).rankings[0])) == {"means"}


def test_what_is_taken_for_what(results: Path) -> None:
    told = browsed(spans_ranking(results))
    labels = told["labels"]
    assert labels == ["ANAT", "DRUG", "SIGN"]
    run = next(one for one in told["runs"] if (one["system"], one["seed"]) == ("dictionary", 1))
    # Right: ANAT and SIGN; a boundary of SIGN; DRUG is missed and spurious.
    assert sorted(run["confusion"]) == [[-1, 1, 1], [0, 0, 1], [1, -1, 1], [2, 2, 2]]
    document = told["documents"][0]
    pairs = document["runs"][told["runs"].index(run)]["pairs"]
    assert [pages.KINDS[kind] for kind, *_ in pairs] == ["right", "right", "boundary", "missed", "spurious"]


def test_the_documents_on_the_page_show_every_error_first(tmp_path: Path) -> None:
    text = "aaaa bbbb cccc"
    one, other = Entity(((0, 4),), "A"), Entity(((5, 9),), "B")
    documents = [Document(f"d{n:03}", text, (one, one, other)) for n in range(100)]
    answers = {d.id: Answer((other,)) for d in documents[:60]} | {d.id: Answer((one, other)) for d in documents[60:]}
    answers["d077"] = Answer((one,))
    folders.write(tmp_path / "x", "x", (SPANS, documents, {1: answers}))
    ranking = compare(find([tmp_path])).rankings[0]
    told = browsed(ranking, most=10)
    assert (told["of"], len(told["documents"])) == (100, 10)
    # The one in which B is missed, and nine of the sixty without A; in their order.
    shown = [document["id"] for document in told["documents"]]
    assert shown == sorted(shown)
    assert shown[-1] == "d077"
    assert sum(one[2] for one in told["runs"][0]["confusion"]) == 200
    assert browsed(ranking, most=10) == told


def test_long_texts_are_cut(tmp_path: Path) -> None:
    text = "x" * 20_010
    folders.write(tmp_path / "x", "x", (SPANS, [Document("d", text)], {1: {"d": Answer()}}))
    (document,) = browsed(compare(find([tmp_path])).rankings[0])["documents"]
    assert (len(document["text"]), document["cut"]) == (20_000, 10)


def test_from_the_command_line(results: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", str(results / "a"), "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert "<title>dictionary on spans, genre, qcm – evaluation</title>" in output.read_text(encoding="utf-8")
    done = CliRunner().invoke(app, ["report", str(results / "a"), "--against", str(results), "--output", str(output)])
    assert done.exit_code == 1
    assert "leave out --annotations and --against" in " ".join(done.output.split())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_bytes((results / "a" / "manifest.json").read_bytes())
    done = CliRunner().invoke(app, ["report", str(tmp_path / "broken"), "--output", str(output)])
    assert done.exit_code == 1
    assert "gold.parquet is missing: get it, or evaluate again with --overwrite" in " ".join(done.output.split())


# ---------------------------------------------------------------------------------------------------------------------
# In a browser


@pytest.fixture
def opened(written: Path, browser: Chrome) -> Chrome:
    """The page, freshly opened, all charts drawn."""
    return fresh(browser, written)


def choose(page: Chrome, name: str, wanted: str) -> None:
    from selenium.webdriver.support.ui import Select

    Select(page.find_element("name", name)).select_by_visible_text(wanted)


def marked(page: Chrome, pane: int) -> list[tuple[str, str]]:
    """The entities in a pane of the first document: their kinds, and their texts with those inside them."""
    found = page.execute_script(
        "return [...document.querySelectorAll('#rows article:first-child .panes > div')][arguments[0]]"
        ".querySelectorAll('.entity').values().map(one => [one.className, one.textContent]).toArray()",
        pane,
    )
    return [(kind.removeprefix("entity "), text) for kind, text in found]


def confusion(page: Chrome) -> list[list[str]]:
    return page.execute_script(  # type: ignore[no-any-return]
        "return [...document.querySelectorAll('#confused tr')]"
        ".map(row => [...row.children].map(one => one.textContent))"
    )


class TestInBrowser:
    pytestmark = NEEDED

    def test_everything_is_drawn_nothing_logged_and_no_request_leaves(self, opened: Chrome, written: Path) -> None:
        charts = opened.find_elements("css selector", ".chart")
        assert len(charts) == 3 * 5 + 1
        for chart in charts:
            assert chart.find_elements("css selector", "svg.main-svg"), chart.get_attribute("aria-label")
        assert opened.get_log("browser") == []
        events = [json.loads(one["message"])["message"] for one in opened.get_log("performance")]
        urls = {one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"}
        assert {url for url in urls if not url.startswith("data:")} == {written.as_uri()}
        assert opened.title == f"{HOSTILE}, dictionary on spans, genre, qcm – evaluation"
        assert opened.find_elements("css selector", "main img, main b, main script") == []

    def test_gold_and_answers_side_by_side(self, opened: Chrome) -> None:
        choose(opened, "system", "dictionary")
        choose(opened, "seed", "1")
        assert confusion(opened) == [
            ["gold × said", "ANAT", "DRUG", "SIGN", "(missed)"], ["ANAT", "1", "0", "0", "0"],
            ["DRUG", "0", "0", "0", "1"], ["SIGN", "0", "0", "2", "0"], ["(in no gold)", "0", "1", "0", ""],
        ]  # fmt: skip
        found = opened.find_element("id", "found").text
        assert found == "Seed 1 of dictionary: 1–1 of 1 found among 2 documents"
        # The nested one stands inside the other, and its label too.
        assert marked(opened, 0) == [
            ("right", "cancer du seinANATSIGN"), ("right", "seinANAT"), ("boundary", "fièvre élevéeSIGN"),
            ("missed", "AspirineDRUG"),
        ]  # fmt: skip
        assert marked(opened, 1) == [
            ("right", "cancer du seinANATSIGN"), ("right", "seinANAT"), ("boundary", "fièvreSIGN"),
            ("spurious", "reposDRUG"),
        ]  # fmt: skip
        # The line without an error is left out, until all are wanted.
        text = "return document.querySelector('.panes .text').textContent"
        assert opened.execute_script(text).splitlines()[1] == "[…]"
        opened.find_element("name", "excerpts").click()
        assert HOSTILE in opened.execute_script(text)

    def test_filters(self, opened: Chrome) -> None:
        def found() -> int:
            return len(opened.find_elements("css selector", "#rows article"))

        choose(opened, "system", "dictionary")
        for kind, label, number in [
            ("label", "any", 0), ("boundary", "any", 1), ("boundary", "DRUG", 0), ("missed", "DRUG", 1),
            ("right", "ANAT", 1), ("any, right ones too", "any", 1),
        ]:  # fmt: skip
            choose(opened, "kind", kind)
            choose(opened, "label", label)
            assert found() == number, (kind, label)
        search = opened.find_element("id", "search")
        search.send_keys("FIEVRE elevee")
        assert found() == 1
        search.send_keys(" nulle-part")
        assert found() == 0
        opened.find_element("css selector", "button[type=reset]").click()
        opened.execute_script("return new Promise(done => setTimeout(done, 20))")
        # The one that answers all right in its first seed.
        assert opened.find_element("id", "found").text.startswith("Seed 1 of ")
        assert found() == 0
        choose(opened, "seed", "2")
        assert found() == 1
        assert opened.get_log("browser") == []

    def test_labels_and_choices(self, opened: Chrome) -> None:
        choose(opened, "task", "genre, camembert-bio")
        choose(opened, "system", "dictionary")
        chips = [one.text for one in opened.find_elements("css selector", "#rows .chips li")]
        assert chips == ["spurious cas", "missed étude"]
        assert confusion(opened)[1] == ["cas", "1", "0", "0", "0"]
        choose(opened, "task", "qcm, camembert-bio")
        choose(opened, "system", "dictionary")
        chips = opened.execute_script(
            "return [...document.querySelectorAll('#rows .chips li')].map(one => one.textContent)"
        )
        assert chips == ["a: le fruit – gold and said", f"b: {HOSTILE} – said"]
        assert opened.find_element("css selector", "#rows mark").text == "avocat"
        assert opened.get_log("browser") == []

    def test_light_and_dark(self, opened: Chrome) -> None:
        def look(scheme: str) -> list[str]:
            opened.execute_cdp_cmd(
                "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            )
            opened.execute_script("return new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
            return opened.execute_script(  # type: ignore[no-any-return]
                "return [getComputedStyle(document.body).color,"
                " getComputedStyle(document.querySelector('[data-chart=confusion] .xtick text')).fill]"
            )

        assert look("light") == ["rgb(29, 33, 37)"] * 2
        assert look("dark") == ["rgb(231, 233, 235)"] * 2
        look("light")

    def test_a_phone_shows_it_without_scrolling_sideways(self, opened: Chrome) -> None:
        opened.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
        )
        try:
            opened.refresh()
            assert opened.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [360, 360]
        finally:
            opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
