"""Sheets: a stratified draw, files that people fill, and what is read back — whatever a program did to them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.enrich import agreement, annotations, prompts, sheet
from corpuskit.enrich.annotations import Annotation, Annotator
from corpuskit.enrich.sheet import Drawn, ReadBack, SheetError, draw, read_back

openpyxl = pytest.importorskip("openpyxl")

PROMPT = prompts.parse(
    """---
name: essai
version: "1"
description: pour voir </script> & « voir »
fields:
  kind:
    type: label
    definition: Ce que c'est.
    labels: {clinical_case: un cas, study: "=une étude", other: autre chose}
  quality:
    type: score
    definition: Ce qu'on y apprend.
    least: 1
    most: 10
    levels: {1: rien, 10: beaucoup}
  negated: {type: flag, definition: Si tout y est nié.}
  percent: {type: score, definition: Un pourcentage., least: 0, most: 100}
  terms: {type: spans, definition: Les termes., max_items: 5}
examples:
  - {paragraph: Une toux., answer: {kind: other, quality: 1, negated: false, percent: 5, terms: [toux]}}
---
{fields}
{examples}
{paragraph}
"""
)
NASTY = [
    '=1+1 est une "formule" ; pas ici',
    "- une liste, avec β-bloquant ≥ 5 mg et œdème",
    "Un </script><script>document.title='pris'</script> & <b>fort</b> <!-- <script> ]]>",
    "'Une apostrophe | un trait\u2028fin",
]


def paragraphs(folder: Path, number: int = 120, shards: int = 2) -> Path:
    """Paragraphs: a large source and a small one, bodies and few captions."""
    rows = [
        {
            "id": f"s{place // 4}#{place}",
            "article_id": f"s{place // 4}",
            "source": "hal" if place % 10 else "istex",
            "kind": "caption" if place % 17 == 0 else "body",
            "text": NASTY[place] if place < len(NASTY) else f"Paragraphe {place} : une fièvre, une toux.",
            "words": 5,
        }
        for place in range(number)
    ]
    (folder / "paragraphs").mkdir(parents=True)
    for shard in range(shards):
        pq.write_table(pa.Table.from_pylist(rows[shard::shards]), folder / "paragraphs" / f"{shard:05d}.parquet")
    return folder


def content(file: Path) -> dict[str, Any]:
    """What a page carries."""
    found = re.search(r'<script type="application/json" id="sheet">(.*?)</script>', file.read_text("utf-8"), re.DOTALL)
    assert found
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def ids(file: Path) -> list[str]:
    return [one["id"] for one in content(file)["paragraphs"]]


def drawn(folder: Path, number: int = 20, name: str = "sheet.html", **options: Any) -> Drawn:
    return draw(folder, PROMPT, folder.parent / name, number, **options)


# --- drawing


def test_strata_by_the_square_root_of_their_size(tmp_path: Path) -> None:
    found = drawn(paragraphs(tmp_path / "corpus"), 40)
    assert found.by == ("source", "kind")
    sizes = {stratum: size for stratum, (_, size) in found.strata.items()}
    assert sizes == {("hal", "body"): 101, ("hal", "caption"): 7, ("istex", "body"): 11, ("istex", "caption"): 1}
    assert {stratum: taken for stratum, (taken, _) in found.strata.items()} == {
        ("hal", "body"): 25, ("hal", "caption"): 6, ("istex", "body"): 8, ("istex", "caption"): 1,
    }  # fmt: skip
    shown = content(found.files[0])["paragraphs"]
    assert sum(one["weight"] for one in shown) == pytest.approx(120)
    assert "kind" not in shown[0]


@given(st.dictionaries(st.tuples(st.text(max_size=2)), st.integers(1, 50), min_size=1, max_size=8), st.integers(0, 99))
def test_an_allocation_covers_every_stratum_and_no_more_than_there_is(sizes: dict[Any, int], more: int) -> None:
    shares = sheet.allocate(sizes, len(sizes) + more)
    assert all(1 <= shares[stratum] <= size for stratum, size in sizes.items())
    assert sum(shares.values()) == min(len(sizes) + more, sum(sizes.values()))
    larger = sheet.allocate(sizes, len(sizes) + more + 1)
    assert all(larger[stratum] >= share for stratum, share in shares.items())


def test_the_same_paragraphs_however_they_are_stored(tmp_path: Path) -> None:
    one, other = paragraphs(tmp_path / "one"), paragraphs(tmp_path / "other", shards=5)
    first = drawn(one, name="a.html").files[0].read_bytes()
    assert drawn(other, name="b.html").files[0].read_bytes() == first
    assert drawn(one, name="c.html", seed=1).files[0].read_bytes() != first
    assert set(ids(tmp_path / "a.html")) < set(ids(drawn(one, 30, name="d.html").files[0]))


def like(folder: Path, name: str = "model") -> Path:
    """Annotations in which one paragraph in forty is a clinical case."""
    kinds = {0: "clinical_case", 1: "study", 2: "study"}
    rows = [
        Annotation(
            f"s{place // 4}#{place}", f"s{place // 4}", outcome="ok" if place < 100 else "error",
            answer={"kind": kinds.get(place % 40, "other"), "quality": 1 + place % 10, "negated": False, "percent": 3,
                    "terms": []},
        )
        for place in range(120)
    ]  # fmt: skip
    annotations.write(folder / name, annotations.tables(PROMPT, Annotator("model", "m"), rows))
    return folder / name


def test_a_model_s_rare_labels_are_drawn_and_never_shown(tmp_path: Path) -> None:
    corpus = paragraphs(tmp_path / "corpus")
    found = drawn(corpus, 12, like=like(tmp_path))
    assert found.by == ("kind", "negated", "percent")  # quality would make more strata than there is room for
    assert {stratum[0]: pair for stratum, pair in found.strata.items()} == {
        "clinical_case": (2, 3), "other": (8, 91), "study": (2, 6),
    }  # fmt: skip
    assert all(int(id.partition("#")[2]) < 100 for id in ids(found.files[0]))
    assert set(content(found.files[0])["paragraphs"][0]) == {"id", "article_id", "source", "weight", "text"}
    by = drawn(corpus, 30, "b.html", like=tmp_path / "model", by=["quality", "source"])
    assert len(by.strata) == 10  # in this corpus, one score in ten is of the small source


def test_a_draw_for_several_people(tmp_path: Path) -> None:
    found = drawn(paragraphs(tmp_path / "corpus"), 20, "sheet.csv", sheets=2, double=6)
    assert [file.name for file in found.files] == ["sheet-1.csv", "sheet-2.csv"]
    one, two = (
        {row[0] for row in csv.reader(io.StringIO(file.read_text("utf-8-sig")), delimiter=";")} - {"id"}
        for file in found.files
    )
    assert (len(one), len(two), len(one & two), len(one | two)) == (13, 13, 6, 20)


def test_own_paragraphs_need_only_an_id_and_a_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1", "2"], "text": ["Un.", "Deux."]}), tmp_path / "own.parquet")
    found = draw(tmp_path / "own.parquet", PROMPT, tmp_path / "sheet.html", 5)
    assert (found.by, found.strata) == ((), {(): (2, 2)})
    assert sorted(ids(tmp_path / "sheet.html")) == ["1", "2"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "sheet.ods"}, "a sheet is one of .html, .xlsx, .csv"),
        ({"name": "there.html"}, "is there already, perhaps with answers"),
        ({"by": ["colour"]}, "--by colour: neither a column of the paragraphs nor a field to draw by; there are id, "),
        ({"by": ["id"]}, "id make 120 strata, and each needs a paragraph at least: draw more than 20"),
        ({"double": 21}, "cannot be drawn"),
    ],
)
def test_a_draw_that_cannot_be(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    (tmp_path / "there.html").write_text("")
    with pytest.raises(SheetError) as error:
        drawn(paragraphs(tmp_path / "corpus"), **options)
    assert told in str(error.value)
    assert not (tmp_path / "sheet.html").exists()


def test_what_annotations_cannot_be_drawn_by(tmp_path: Path) -> None:
    corpus = paragraphs(tmp_path / "corpus")
    with pytest.raises(SheetError, match="--by terms: passages make no strata"):
        drawn(corpus, like=like(tmp_path), by=["terms"])
    other = tmp_path / "none"
    annotations.write(
        other, annotations.tables(PROMPT, Annotator("model", "m"), [Annotation("x", "x", outcome="error")])
    )
    with pytest.raises(SheetError, match=r"no paragraphs to draw from: none of them is in .*none, with an answer"):
        drawn(corpus, like=other)
    spans = prompts.load("medical-terms")
    annotations.write(other, annotations.tables(spans, Annotator("model", "m"), []))
    with pytest.raises(SheetError, match="only passages, which make no strata"):
        drawn(corpus, like=other)


def test_what_does_not_fit_a_cell(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1"], "text": ["a" * 40_000]}), tmp_path / "own.parquet")
    with pytest.raises(SheetError, match=r"paragraph 1 is too long for a cell of a spreadsheet: draw a page \(.html\)"):
        draw(tmp_path / "own.parquet", PROMPT, tmp_path / "sheet.csv", 5)


# --- spreadsheets


def fill(file: Path, answers: Sequence[Sequence[Any]], change: Callable[[list[list[Any]]], None] | None = None) -> None:
    """Write answers into the first rows of a spreadsheet, as a person does."""
    if file.suffix == ".xlsx":
        book = openpyxl.load_workbook(file)
        table = book["paragraphes"]
        for number, row in enumerate(answers, start=2):
            for place, value in enumerate(row, start=3):
                table.cell(number, place).value = value
        book.save(file)
        return
    rows = list(csv.reader(io.StringIO(file.read_text("utf-8-sig"), newline=""), delimiter=";"))
    for row, answer in zip(rows[1:], answers, strict=False):
        row[2 : 2 + len(answer)] = ["" if value is None else str(value) for value in answer]
    if change:
        change(rows)
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened, delimiter=";").writerows(rows)


def texts(found: Drawn) -> list[str]:
    """The paragraphs of a sheet, in their order."""
    return [one.paragraph.text for one in sheet._from_rows(found.files[0])[1]]


def table(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = annotations.read(folder).table(answered=False).to_pylist()
    return rows


@pytest.mark.parametrize("name", ["sheet.xlsx", "sheet.csv"])
def test_a_spreadsheet_goes_out_and_comes_back(tmp_path: Path, name: str) -> None:
    found = drawn(paragraphs(tmp_path / "corpus", 30), 30, name)
    shown = texts(found)
    assert sorted(shown[place] for place in range(30) if shown[place] in NASTY) == sorted(NASTY)
    beta = shown.index(NASTY[1])
    answers: list[list[Any]] = [[None] * 6 for _ in range(30)]
    answers[0] = ["clinical_case", 3, "oui", 50, "-"]
    answers[1] = [" Clinical_Case ", "3,0", "VRAI", "100 ", ""]
    answers[2] = ["other", 3.0, False, "7.0", None]
    answers[3] = ["", "", "", "", "", "x"]
    answers[beta] = ["study", 10, True, 0, "β-bloquant | ŒDÈME" if name == "sheet.csv" else "β-bloquant\nŒDÈME"]
    fill(found.files[0], answers)
    told = read_back(found.files[0], tmp_path / "ana", "ana")
    assert told == ReadBack(answered=4, unsure=1, blank=25)
    rows = {row["text"]: row for row in table(tmp_path / "ana")}
    fields = ["kind", "quality", "negated", "percent", "terms"]
    if beta > 3:
        assert [rows[shown[0]][one] for one in fields] == ["clinical_case", 3, True, 50, []]
        assert [rows[shown[1]][one] for one in fields] == ["clinical_case", 3, True, 100, None]
        assert [rows[shown[2]][one] for one in fields] == ["other", 3, False, 7, None]
        assert (rows[shown[3]]["outcome"], rows[shown[3]]["detail"]) == ("refused", "unsure")
    assert [rows[NASTY[1]][one] for one in fields] == ["study", 10, True, 0, ["β-bloquant", "ŒDÈME"]]
    read = annotations.read(tmp_path / "ana")
    assert read.annotator == Annotator("person", "ana")
    assert read.prompt == PROMPT
    assert [row["sampling_weight"] for row in rows.values()] == [1.0] * 5


@pytest.mark.parametrize("name", ["sheet.xlsx", "sheet.csv"])
def test_every_wrong_cell_is_named_and_nothing_is_guessed(tmp_path: Path, name: str) -> None:
    found = drawn(paragraphs(tmp_path / "corpus"), 5, name)
    fill(found.files[0], [["cas", "3,5", "peut-être", 101, "varicelle"], ["study"], ["study", 11]])
    told = read_back(found.files[0], tmp_path / "ana", "ana")
    file = found.files[0]
    assert told.wrong == [
        f"{file}, row 2, column C: kind: 'cas' is none of clinical_case, study, other",
        f"{file}, row 2, column D: quality: '3,5' is no whole number from 1 to 10",
        f"{file}, row 2, column E: negated: 'peut-être' is neither true nor false",
        f"{file}, row 2, column F: percent: 101 is no whole number from 0 to 100",
        f"{file}, row 2, column G: terms: 'varicelle' does not stand in the paragraph",
        f"{file}, row 4, column D: quality: 11 is no whole number from 1 to 10",
    ]
    assert (told.answered, told.invalid, told.blank) == (1, 2, 2)
    rows = table(tmp_path / "ana")
    assert [row["outcome"] for row in rows] == ["invalid", "ok", "invalid"]
    assert rows[2]["kind"] is None
    assert rows[2]["detail"] == "quality: 11 is no whole number from 1 to 10"


def test_what_french_spreadsheet_programs_save(tmp_path: Path) -> None:
    """Another encoding, another delimiter, rows in another order, empty rows at the end, capital column names."""
    for encoding, delimiter in (("cp1252", ";"), ("utf-8-sig", ","), ("utf-16", "\t")):
        found = drawn(paragraphs(tmp_path / f"corpus-{encoding}", 12), 12, f"{encoding}.csv")
        file = found.files[0]
        place = texts(found).index(NASTY[1])
        fill(file, [["study", 2, "FAUX", 3, "œdème"] if one == place else [] for one in range(12)])
        rows = list(csv.reader(io.StringIO(file.read_text("utf-8"), newline=""), delimiter=";"))
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=delimiter)
        writer.writerows([[name.upper() for name in rows[0]], *sorted(rows[1:]), [""] * len(rows[0])])
        file.write_bytes(out.getvalue().encode(encoding, errors="replace"))
        told = read_back(file, tmp_path / encoding, "ana")
        assert (told.answered, told.wrong) == (1, [])
        row = table(tmp_path / encoding)[0]
        assert (row["text"], row["terms"], row["negated"]) == (NASTY[1], ["œdème"], False)


def test_rows_that_no_longer_belong_together(tmp_path: Path) -> None:
    def check(change: Callable[[list[list[Any]]], None], told: str) -> None:
        shutil.rmtree(tmp_path / "corpus", ignore_errors=True)
        (tmp_path / "sheet.csv").unlink(missing_ok=True)
        found = drawn(paragraphs(tmp_path / "corpus"), 5, "sheet.csv")
        fill(found.files[0], [["study"]] * 5, change)
        with pytest.raises(SheetError, match=told):
            read_back(found.files[0], tmp_path / "ana", "ana")
        assert not (tmp_path / "ana").exists()

    def turn(rows: list[list[Any]]) -> None:
        owned = [row[-1] for row in rows[1:]]
        for row, other in zip(rows[1:], owned[1:] + owned[:1], strict=True):
            row[-1] = other

    check(turn, r"row 2: columns were sorted or moved apart: the row shows 's")
    check(lambda rows: rows.append(rows[1]), "rows 2 and 7 are the same paragraph")
    check(lambda rows: rows[0].__setitem__(2, "sorte"), "row 1: no column 'kind'; give it its name back")
    check(lambda rows: rows[0].pop(), "row 1: no column 'corpuskit'")
    check(lambda rows: rows[2].__setitem__(-1, ""), "row 3: the column 'corpuskit' is empty")
    check(lambda rows: rows[2].__setitem__(-1, "{"), "row 3: the column 'corpuskit' was changed")
    check(lambda rows: rows.pop(1) and None, "the row that was first when the sheet was drawn is gone")


def test_what_is_no_sheet(tmp_path: Path) -> None:
    for name, written, told in [
        ("a.html", "", "a page keeps no answers; give the answers.json"),
        ("a.ods", "", "save the sheet as .xlsx or .csv"),
        ("a.xlsx", "no", "is no .xlsx"),
        ("a.csv", "", "no column 'corpuskit'"),
        ("a.json", "{}", "is not what the page of a sheet saves"),
        ("b.json", "[", "is not what the page of a sheet saves"),
    ]:
        (tmp_path / name).write_text(written)
        with pytest.raises(SheetError, match=told):
            read_back(tmp_path / name, tmp_path / "ana", "ana")
    with pytest.raises(SheetError, match=r"absent\.csv cannot be read"):
        read_back(tmp_path / "absent.csv", tmp_path / "ana", "ana")


def test_another_s_annotations_are_never_replaced(tmp_path: Path) -> None:
    found = drawn(paragraphs(tmp_path / "corpus"), 5, "sheet.csv")
    fill(found.files[0], [["study"]])
    with pytest.raises(SheetError, match=r"holds the annotations of m \(model\): give another folder"):
        read_back(found.files[0], like(tmp_path), "ana")
    read_back(found.files[0], tmp_path / "ana", "ana")
    assert read_back(found.files[0], tmp_path / "ana", "ana").answered == 1


def test_the_spreadsheet_has_lists_and_meanings(tmp_path: Path) -> None:
    found = drawn(paragraphs(tmp_path / "corpus"), 5, "sheet.xlsx")
    book = openpyxl.load_workbook(found.files[0])
    table, meanings = book["paragraphes"], book["définitions"]
    lists = {str(one.sqref): one.formula1 for one in table.data_validations.dataValidation}
    assert lists["C2:C6"] == "'définitions'!$B$2:$B$4"
    assert [meanings[f"B{row}"].value for row in (2, 3, 4)] == ["clinical_case", "study", "other"]
    assert meanings["C3"].value == "=une étude"
    assert meanings["C3"].data_type == "s"
    assert set(lists) == {f"{letter}2:{letter}6" for letter in "CDEFH"}  # all but the passages
    assert table.column_dimensions["I"].hidden
    assert table.protection.sheet
    assert table["B2"].protection.locked
    assert not table["C2"].protection.locked


# --- the page


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")


def visit(file: Path, profile: Path, script: str = "") -> str:
    """The page as a browser shows it, after a script ran in it; anything on the console is an error."""
    page = file.with_name("visited.html")
    page.write_text(file.read_text("utf-8").replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
               f"--user-data-dir={profile}", "--virtual-time-budget=3000", "--dump-dom", page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


PRESS = """
const press = (code, key = "") => document.body.dispatchEvent(new KeyboardEvent("keydown", {code, key, bubbles: true}));
const mark = (from, to) => {
  const range = document.createRange(), text = document.getElementById("text").firstChild;
  range.setStart(text, from); range.setEnd(text, to);
  getSelection().removeAllRanges(); getSelection().addRange(range); select();
};
"""
# What the button would download is put into the page instead.
TAKE = """
URL.createObjectURL = (blob) => { blob.text().then((text) => {
  const made = document.createElement("pre");
  made.id = "taken";
  made.textContent = btoa(unescape(encodeURIComponent(text)));
  document.body.append(made);
}); return "#"; };
document.getElementById("download").click();
"""


def taken(page: str, to: Path) -> Path:
    import base64

    found = re.search(r'<pre id="taken">([^<]*)</pre>', page)
    assert found
    to.write_bytes(base64.b64decode(found[1]))
    return to


@browser
def test_the_page_shows_a_paragraph_and_the_definitions(tmp_path: Path) -> None:
    found = drawn(paragraphs(tmp_path / "corpus"), 5)
    page = visit(found.files[0], tmp_path / "profile")
    assert content(found.files[0])["paragraphs"][0]["text"] in page
    for told in ("1 / 5 · 0 fait", "Ce que c'est.", "clinical_case", "=une étude", "beaucoup", "0–100", "Une toux."):
        assert told in page
    assert not re.search(r"https?://|(?:src|href)=", page)


@browser
def test_a_paragraph_is_text_to_the_page(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1"], "text": [NASTY[2]]}), tmp_path / "own.parquet")
    found = draw(tmp_path / "own.parquet", PROMPT, tmp_path / "sheet.html", 5)
    page = visit(found.files[0], tmp_path / "profile")
    assert "<title>pour voir &lt;/script&gt; &amp; « voir »</title>" in page
    assert "&lt;/script&gt;&lt;script&gt;document.title='pris'&lt;/script&gt; &amp; &lt;b&gt;fort" in page


@browser
def test_answers_by_keyboard_and_mouse_come_back(tmp_path: Path) -> None:
    found = drawn(paragraphs(tmp_path / "corpus", 12), 6)
    texts = [one["text"] for one in content(found.files[0])["paragraphs"]]
    script = f"""{PRESS}
    press("Digit2"); press("Numpad0"); press("Digit1");
    fields[3].input.value = 42; fields[3].input.dispatchEvent(new Event("change"));
    mark(2, 4);                                              // a part of the first word: the whole is taken
    press("", "Enter"); press("", "u"); press("", "ArrowRight");
    press("", "ArrowDown"); press("Digit7"); press("", "Enter");
    press("Digit1"); press("", "ArrowUp"); press("", "Backspace"); press("", "ArrowUp"); press("Digit0");
    {TAKE}"""
    page = visit(found.files[0], tmp_path / "profile", script)
    assert "4 / 6 · 2 faits" in page
    told = read_back(taken(page, tmp_path / "answers.json"), tmp_path / "ana", "ana")
    assert told == ReadBack(answered=3, unsure=1, blank=2)
    rows = table(tmp_path / "ana")
    assert [row["text"] for row in rows] == texts[:4]
    first = re.search(r"\w+", texts[0])
    assert first
    assert [rows[0][one] for one in PROMPT.fields] == ["study", 10, True, 42, [first[0]]]
    assert rows[1]["outcome"] == "refused"
    assert [rows[2][one] for one in PROMPT.fields] == [None, 7, None, None, None]
    assert [rows[3][one] for one in PROMPT.fields] == [None, None, None, None, []]

    again = visit(found.files[0], tmp_path / "profile", TAKE)
    assert "4 / 6 · 2 faits" in again, "answers are kept when the page is opened again"


def test_wrong_answers_of_a_page_are_named(tmp_path: Path) -> None:
    found = drawn(paragraphs(tmp_path / "corpus"), 5)
    page = content(found.files[0])
    one, two = (paragraph["id"] for paragraph in page["paragraphs"][:2])
    page["answers"] = {
        one: {"answer": {"quality": 3.5, "kind": "study"}},
        two: {"answer": {"colour": 1}, "unsure": False},
    }
    file = tmp_path / "answers.json"
    file.write_text(json.dumps(page))
    told = read_back(file, tmp_path / "ana", "ana")
    assert told.wrong == [
        f"{file}, paragraph {one}: quality: 3.5 is no whole number from 1 to 10",
        f"{file}, paragraph {two}: colour: no such field",
    ]
    assert [row["outcome"] for row in table(tmp_path / "ana")] == ["invalid", "invalid"]
    page["answers"] = {"other": {"answer": {}}}
    file.write_text(json.dumps(page))
    with pytest.raises(SheetError, match="an answer is about other, which is not in the sheet"):
        read_back(file, tmp_path / "ana", "ana")


# --- all together


def test_weights_make_the_figures_those_of_the_corpus(tmp_path: Path) -> None:
    """Both say the same of all but the cases, which are few and drawn often."""
    corpus = paragraphs(tmp_path / "corpus")
    model = like(tmp_path)
    found = drawn(corpus, 12, "sheet.csv", like=model, by=["kind"])
    known = {row["id"]: row["kind"] for row in table(model)}
    rows = sheet._from_rows(found.files[0])[1]
    kinds = [known[one.paragraph.id] for one in rows]
    fill(found.files[0], [["other" if kind == "clinical_case" else kind] for kind in kinds])
    read_back(found.files[0], tmp_path / "ana", "ana")
    plain = agreement.agree([tmp_path / "ana", model], resamples=0).fields["kind"].pairs[0]
    weighted = agreement.agree([tmp_path / "ana", model], resamples=0, weighted=True).fields["kind"].pairs[0]
    cases = Counter(kinds)["clinical_case"]
    assert plain.figures["accuracy"].value == pytest.approx(1 - cases / 12)
    assert weighted.figures["accuracy"].value == pytest.approx(1 - 3 / 100)
    assert sum(map(sum, weighted.confusion)) == 12


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1, max_size=60))
def test_any_text_goes_out_and_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("text")
    pq.write_table(pa.table({"id": ["=1"], "text": [text]}), folder / "own.parquet")
    for suffix in sheet.FORMATS:
        found = draw(folder / "own.parquet", PROMPT, folder / f"sheet{suffix}", 1)
        if suffix == ".html":
            assert content(found.files[0])["paragraphs"][0]["text"] == text
        else:
            assert texts(found) == [text]


def test_the_commands(tmp_path: Path) -> None:
    runner = CliRunner(env={"COLUMNS": "200"})
    corpus = paragraphs(tmp_path / "corpus")
    options = ["--prompt", "biomed-enriched-fr", "--number", "9", "--output", str(tmp_path / "sheet.csv")]
    done = runner.invoke(app, ["annotate-sheet", "draw", str(corpus), *options])
    assert done.exit_code == 0, done.output
    assert f"9 paragraphs in {tmp_path / 'sheet.csv'}" in done.output
    assert re.search(r"istex +caption +1 +1", done.output)
    fill(tmp_path / "sheet.csv", [["study", "clinical", 3, "fr"], ["study", "clinical", 9, "fr"]])
    back = [
        "annotate-sheet",
        "read",
        str(tmp_path / "sheet.csv"),
        "--annotator",
        "ana",
        "--output",
        str(tmp_path / "ana"),
    ]
    done = runner.invoke(app, back)
    assert done.exit_code == 2
    assert "1 answered, 0 unsure, 7 blank, 1 invalid" in done.output
    assert "row 3, column E: educational_quality: 9 is no whole number from 1 to 5" in done.output
    assert runner.invoke(app, ["annotate-sheet", "draw", str(corpus), *options]).exit_code == 1
    assert runner.invoke(app, ["annotate-sheet", "read", "absent.csv", "-a", "ana", "-o", str(tmp_path)]).exit_code == 1
