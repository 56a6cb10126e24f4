"""The page in a real browser: it renders, filters work, nothing is logged, nothing leaves the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import finished_run
import pytest
import report_corpora as corpora
from chromium import NEEDED, fresh
from chromium import browser as browser

from corpuskit.report.run import report
from corpuskit.report.training import training

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

for needed in ("plotly", "jinja2", "selenium"):
    pytest.importorskip(needed)
pytestmark = NEEDED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    one, other = corpora.corpus(folder / "one"), corpora.corpus(folder / "other", seed=3)
    labels = corpora.annotated(folder / "labels", one)
    report(one, folder / "report.html", [labels], against=other)
    return folder


@pytest.fixture
def page(folder: Path, browser: Chrome) -> Chrome:
    """The page, freshly opened, all charts drawn."""
    return fresh(browser, folder / "report.html")


def requested(page: Chrome) -> list[str]:
    """The addresses that were asked for since the page was opened; what stands in a data: URL is in the page."""
    events = [json.loads(one["message"])["message"] for one in page.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith("data:")]


def choose(page: Chrome, name: str, wanted: str) -> None:
    """Choose the option of a filter that begins so."""
    from selenium.webdriver.support.ui import Select

    select = Select(page.find_element("name", name))
    options = [one.text for one in select.options if one.text.startswith(wanted)]
    assert len(options) == 1, [one.text for one in select.options]
    select.select_by_visible_text(options[0])


def rows(page: Chrome) -> list[str]:
    return [one.text for one in page.find_elements("css selector", "#rows article")]


def found(page: Chrome) -> int:
    """What the line over the rows says is found."""
    told = page.find_element("id", "found").text
    return 0 if told.startswith("Nothing") else int(told.partition(" of ")[2].split()[0].replace(",", ""))


def data(page: Chrome) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(page.execute_script("return document.getElementById('data').textContent"))
    return loaded


def test_everything_is_drawn_nothing_logged_and_no_request_leaves(page: Chrome, folder: Path) -> None:
    charts = page.find_elements("css selector", ".chart")
    assert len(charts) > 15
    for chart in charts:
        assert chart.find_elements("css selector", "svg.main-svg"), chart.get_attribute("aria-label")
    labels = page.execute_script("return [...document.querySelectorAll('.sankey-node')].map(one => one.textContent)")
    assert any("kept" in one for one in labels)
    assert page.get_log("browser") == []
    assert requested(page) == [(folder / "report.html").as_uri()]


def test_hostile_text_is_shown_as_text(page: Chrome) -> None:
    assert page.title == "one – corpus report"
    assert page.find_elements("css selector", "main img, main b, main i, main iframe") == []
    assert len(page.find_elements("css selector", "body script")) == 3
    svg = page.execute_script(
        "return [...document.querySelectorAll('svg text')].map(one => one.textContent).join('\\n')"
    )
    assert "<b>mine</b>" in svg
    search = page.find_element("id", "search")
    for hostile in corpora.HOSTILE:
        fill = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
        page.execute_script(fill, search, hostile)
        first = page.execute_script("return document.querySelector('#rows article').textContent")
        for word in hostile.split():
            assert word in first
    links = page.execute_script("return [...document.querySelectorAll('#rows a')].map(one => one.protocol)")
    assert set(links) <= {"http:", "https:"}
    assert page.title == "one – corpus report"
    assert page.get_log("browser") == []


def test_only_web_addresses_are_links(page: Chrome) -> None:
    urls = [row["url"] for row in data(page)["kept"][:20]]
    links = page.execute_script("return [...document.querySelectorAll('#rows a')].map(one => one.textContent)")
    assert links == [url for url in urls if url and url.startswith("https:")]
    # What is no link is shown all the same.
    text = page.execute_script("return document.getElementById('rows').textContent")
    assert all(url in text for url in urls if url)


def test_filters(page: Chrome) -> None:
    kept = data(page)["kept"]
    assert found(page) == len(kept)
    choose(page, "source", "hal ")
    assert found(page) == sum(row["source"] == "hal" for row in kept)
    choose(page, "0-document_type", "clinical_case ")
    wanted = [row for row in kept if row["source"] == "hal" and row["labels"][0]
              and row["labels"][0].get("document_type", {}).get("value") == "clinical_case"]  # fmt: skip
    assert found(page) == len(wanted) > 0
    assert all("document_type: clinical_case" in row for row in rows(page))
    page.find_element("css selector", "button[type=reset]").click()
    page.find_element("name", "0-quality-from").send_keys("3.5")
    scored = [row["labels"][0]["quality"]["expected"] for row in kept
              if row["labels"][0] and row["labels"][0]["outcome"] == "ok"]  # fmt: skip
    assert found(page) == sum(score >= 3.5 for score in scored) > 0
    page.find_element("css selector", "button[type=reset]").click()
    page.find_element("id", "search").send_keys("FIEVRE elevee")
    assert found(page) == len(kept)
    page.find_element("id", "search").send_keys(" nulle-part")
    assert (found(page), rows(page)) == (0, [])
    assert page.get_log("browser") == []


def test_what_was_dropped_and_why(page: Chrome) -> None:
    dropped = data(page)["dropped"]
    page.find_element("css selector", "input[value=dropped]").click()
    assert found(page) == len(dropped)
    choose(page, "stage", "contamination ")
    choose(page, "reason", "<b>ner</b>-test ")
    assert found(page) == sum(row["stage"] == "contamination" for row in dropped) > 0
    assert all("Dropped by contamination: <b>ner</b>-test" in row for row in rows(page))
    page.find_element("css selector", "input[value=kept]").click()
    assert found(page) == len(data(page)["kept"])


def test_pages_turn(page: Chrome) -> None:
    first = rows(page)
    page.find_element("id", "next").click()
    assert len(first) == 20
    assert not set(first) & set(rows(page))
    page.find_element("id", "previous").click()
    assert rows(page) == first
    assert not page.find_element("id", "previous").is_enabled()


def test_two_other_fields_against_each_other(page: Chrome) -> None:
    from selenium.webdriver.support.ui import Select

    def table() -> list[list[str]]:
        return page.execute_script(  # type: ignore[no-any-return]
            "return [...document.querySelectorAll('.heat tr')]"
            ".map(row => [...row.children].map(one => one.textContent))"
        )

    assert table()[0] == ["document_type × domain", "clinical", "biomedical"]
    Select(page.find_element("css selector", ".heat .one")).select_by_visible_text("quality")
    Select(page.find_element("css selector", ".heat .other")).select_by_visible_text("document_type")
    assert table()[0] == ["quality × document_type", "clinical_case", "study", "other"]
    counts = {tuple(cell[:2]): cell[2] for cross in data(page)["labels"][0]["crosses"]
              if cross[:2] == ["document_type", "quality"] for cell in cross[2]}  # fmt: skip
    assert [int(one) for one in table()[1][1:]] == [counts.get((kind, "1"), 0) for kind in table()[0][1:]]


def test_the_flow_is_whole_in_print(page: Chrome) -> None:
    flow = data(page)["charts"]["flow"]
    for event in ("beforeprint", "afterprint"):
        # What is drawn at this very moment is printed.
        opacities, nodes, widest, room = page.execute_script(
            """
            dispatchEvent(new Event(arguments[0]));
            const at = document.querySelector('[data-chart=flow]');
            const links = [...at.querySelectorAll('.sankey-link')].map(one => getComputedStyle(one).opacity);
            const nodes = [...at.querySelectorAll('.sankey-node')];
            const widest = Math.max(...nodes.map(one => one.getBoundingClientRect().right));
            return [links, nodes.length, widest, at.getBoundingClientRect().right];
            """,
            event,
        )
        assert opacities == ["1"] * len(flow["links"]), event
        assert nodes == len(flow["nodes"])
        assert widest <= room


def test_light_and_dark(page: Chrome) -> None:
    def look(scheme: str) -> tuple[str, str]:
        page.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        page.execute_script("return new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        return page.execute_script(  # type: ignore[no-any-return]
            "return [getComputedStyle(document.body).color,"
            " getComputedStyle(document.querySelector('.chart .xtick text')).fill]"
        )

    light, dark = look("light"), look("dark")
    assert light[0] == light[1] == "rgb(29, 33, 37)"
    assert dark[0] == dark[1] == "rgb(231, 233, 235)"


def test_a_phone_shows_it_without_scrolling_sideways(page: Chrome) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        page.refresh()
        assert page.execute_script("return innerWidth") == 360
        assert page.execute_script("return document.documentElement.scrollWidth") == 360
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_curves_of_a_training_are_drawn(browser: Chrome, tmp_path: Path) -> None:

    log = [*finished_run.log(switch=20), {"kind": "resumed", "step": 40}]
    report = training(finished_run.write(tmp_path / "run", lines=log), tmp_path / "report.html")
    fresh(browser, report)
    charts = browser.find_elements("css selector", ".chart")
    assert [len(chart.find_elements("css selector", "svg.main-svg")) > 0 for chart in charts] == [True] * 3
    # A curve of each objective: light and smoothed training, all sources, two sources.
    assert len(charts[0].find_elements("css selector", ".scatterlayer .trace")) == 10
    assert len(charts[0].find_elements("css selector", ".legend .traces")) == 5
    assert browser.get_log("browser") == []
    assert requested(browser) == [report.as_uri()]
