"""The card: valid metadata, figures from the manifests, and hostile text that shows as text."""

from __future__ import annotations

import contextlib
import html
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hub import Hub, serving
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from publish_corpora import PROMPT, article, write_corpus
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.cli import publish as _publishing  # noqa: F401  (registers the commands)
from corpuskit.cli import sample as _sampling  # noqa: F401
from corpuskit.enrich.annotations import Annotation, tables, write
from corpuskit.publish import card
from corpuskit.publish.dataset import Publication, PublishError, publish
from corpuskit.publish.splits import Shares
from corpuskit.sample import recipe
from corpuskit.sample import run as sample_run
from corpuskit.student.store import Card, find

EVIL = (
    "</td><script>alert(1)</script> | [x](javascript:alert(1)) `rm` ![i](http://evil.example/i.png) \u202egnp.exe "
    "$$x$$ @all *a* www.evil.example _b_ <https://evil.example>"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    articles = [
        article(number, source=EVIL, licence=EVIL if number else "CC-BY-4.0", title=EVIL) for number in range(4)
    ]
    corpus = write_corpus(folder / "corpus", articles)
    return publish(corpus, folder / "out", Publication(name=f"---\nlicense: mit\n--- {EVIL}", contact=EVIL)).output


def test_hostile_text_shows_as_text(hostile: Path) -> None:
    page = (hostile / "README.md").read_text(encoding="utf-8")
    front, body = page.removeprefix("---\n").split("\n---\n", 1)
    outside = re.sub(r"^(~{3,})\w*\n.*?^\1$", "", body, flags=re.MULTILINE | re.DOTALL)
    assert "\u202e" not in page
    assert "[U+202E]" in front
    for markup in ("<", "`rm`", "](javascript", "://evil", "$$", "@all"):
        assert markup not in outside
    # A renderer that lets HTML pass shows the very text, and no element of it.
    shown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(body)
    visible = html.unescape(re.sub(r"<[^>]+>", "", shown))
    assert EVIL.replace("\u202e", "[U+202E]") in visible
    assert set(re.findall(r"<(\w+)", shown)) <= {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "pre",
                                                "code", "ul", "li", "a", "strong", "em"}  # fmt: skip
    assert re.findall(r'href="([^"]*)"', shown) == []
    assert "<em>a</em>" not in shown
    assert yaml.safe_load(front)["license"] == "other"
    rows = [line for line in outside.splitlines() if line.startswith("| &#60;/td")]
    assert rows
    assert {line.count("|") for line in rows} == {7}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_an_escaped_value_is_one_line_without_markup(value: str) -> None:
    shown = card.escape(value)
    assert "\n" not in shown
    assert not re.search(r"[<>|`*\[\]\\$@~]", shown)
    assert not re.search(r"&(?!#\d+;)", shown)
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069]", shown)


@given(st.text(alphabet="~`\nab", max_size=80))
def test_no_line_ends_a_block_of_code_but_its_last(text: str) -> None:
    first, *inside, last = card.fenced(text, "yaml").split("\n")
    assert first == f"{last}yaml"
    assert not [line for line in inside if line.strip().startswith(last)]


def metadata_of(folder: Path) -> dict[str, Any]:
    return huggingface_hub.DatasetCard.load(folder / "README.md").data.to_dict()


def test_the_metadata_are_in_the_terms_of_the_hub(corpus: Path, sample: Path, labels: Path, tmp_path: Path) -> None:
    done = publish(
        corpus, tmp_path / "out", Publication(name="Corpus"), samples={"twice": sample}, annotations=[("", labels)]
    )
    told = metadata_of(done.output)
    assert told["license"] == "other"
    assert told["license_name"] == "by-document"
    assert (done.output / told["license_link"]).read_text().startswith("# Licences of Corpus\n\nEach row has the")
    assert told["language"] == ["fr", "en"]
    assert told["size_categories"] == ["n<1K"]
    assert told["task_categories"] == ["fill-mask", "text-generation", "text-classification"]
    assert told["source_datasets"] == ["original"]
    assert told["annotations_creators"] == ["machine-generated"]
    assert [one["config_name"] for one in told["configs"]] == ["articles", "paragraphs", "twice"]
    for one in told["configs"]:
        for files in one["data_files"]:
            assert list(done.output.glob(files["path"])), files


@pytest.mark.parametrize(
    ("licence", "name"),
    [("CC-BY-SA-4.0", "cc-by-sa-4.0"), ("ODC-By", "odc-by"), ("ODbL-1.0", "odbl"), ("OGL-UK-3.0", "other")],
)
def test_one_licence_for_all_is_the_licence_as_the_hub_calls_it(tmp_path: Path, licence: str, name: str) -> None:
    corpus = write_corpus(tmp_path / "corpus", [article(number, licence=licence) for number in range(5)])
    assert metadata_of(publish(corpus, tmp_path / "out").output)["license"] == name


@pytest.mark.parametrize("name", ["hostile", "plain"])
def test_the_card_passes_the_validation_of_the_client(
    hostile: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = hostile if name == "hostile" else publish(corpus, tmp_path / "out").output
    with serving() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        huggingface_hub.DatasetCard.load(folder / "README.md").validate(repo_type="dataset")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("license", "cc-by-9.0"),
        ("language", ["frr-fr"]),
        ("size_categories", ["n<2K"]),
        ("annotations_creators", ["somebody"]),
        ("task_categories", ["reading"]),
        ("configs", [{"config_name": "a", "data_files": [{"split": "train"}]}]),
        ("configs", [{"config_name": "a", "data_files": []}]),
        ("license_link", "elsewhere"),
    ],
)
def test_the_validation_of_the_client_finds_what_is_wrong(hostile: Path, field: str, value: Any) -> None:
    front, body = (hostile / "README.md").read_text(encoding="utf-8").removeprefix("---\n").split("\n---\n", 1)
    assert Hub().validate(f"---\n{front}\n---\n{body}") == []
    wrong = yaml.safe_dump(yaml.safe_load(front) | {field: value})
    assert Hub().validate(f"---\n{wrong}\n---\n{body}") == [field]
    assert Hub().validate(body) == ["no metadata"]


def test_what_is_not_known_is_said_to_be_unknown(corpus: Path, labels: Path, tmp_path: Path) -> None:
    page = (publish(corpus, tmp_path / "out", annotations=[("", labels)]).output / "README.md").read_text()
    assert "came without the manifest of a build" in page
    assert "| build | unknown | unknown | unknown | not measured |" in page
    assert "| annotations kind | 12 s | 0.0123 kWh | 0.4182 g | measured by NVML on 1 GPU(s); 34 g CO2e/kWh |" in page
    assert "No agreement was measured" in page
    assert "Near-duplicates were not dropped" in page
    assert "None: no test set was given" in page
    assert "No address was given" in page
    assert "| annotation_kind | Le genre du paragraphe. | study: 60, case: 60 |" in page


def test_agreement_and_accounts_of_a_build_are_told(tmp_path: Path, labels: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", [article(number) for number in range(60)])
    build = {
        "tool": "corpuskit build", "fingerprint": "a" * 64, "started": "2026-11-02T10:00:00+00:00",
        "seconds": {"read": 61.0}, "dates": {"lab": ["2026-10-01", "2026-10-31"]},
        "versions": {"corpuskit-fr": "0.1.0"}, "inputs": [{"source": "lab", "name": "x.xml"}] * 3,
        "config": {"language": "fr", "dedup": {"articles": True, "paragraphs": True, "near": {"threshold": 0.8}},
                   "sources": [{"type": "jsonl", "name": "lab", "path": "lab"}],
                   "clean": {"mask": {"kinds": ["email", "nir"]}}},
        "contamination": {"quaero": {"units": 120, "seen": 4, "hits": 5, "paragraphs": 3, "short": 0, "formulas": 0}},
    }  # fmt: skip
    stage = {"articles": 60, "paragraphs": 180, "words": 1440}
    funnel = {
        "read": {"lab": {"articles": 61, "paragraphs": 200, "quarantined": 2}}, "quarantined": {"lab": 2},
        "kept": {"lab": {"articles": 60, "paragraphs": 180, "words": 1440}},
        "dropped": [{"unit": "paragraph", "source": "lab", "stage": "language", "reason": "en", "count": 20,
                     "words": 99}],
        "languages": {"lab": {"en": {"paragraphs": 20, "words": 99, "share_of_words": 0.0643}}},
        "stages": [{"stage": "read", "articles": 61, "paragraphs": 200, "words": 1539}, {"stage": "language", **stage}],
    }  # fmt: skip
    figure = {"value": 0.8126, "low": 0.7, "high": 0.9, "reason": ""}
    agreement = {
        "raters": [{"letter": one, "kind": "model", "name": "m", "answered": 10, "asked": 12} for one in "AB"],
        "fields": {"kind": {"type": "label", "raters": ["A", "B"], "paragraphs": 10, "alpha": {"nominal": figure},
                            "pairs": [{"raters": ["A", "B"], "paragraphs": 10, "figures": {"kappa": figure}}]}},
        "weighted": False, "resamples": 1000,
    }  # fmt: skip
    (corpus / "manifest.json").write_text(json.dumps(build))
    (corpus / "funnel.json").write_text(json.dumps(funnel))
    (tmp_path / "agreement.json").write_text(json.dumps(agreement))
    done = publish(corpus, tmp_path / "out", annotations=[("", labels)], agreement=tmp_path / "agreement.json")
    page = (done.output / "README.md").read_text()
    read = "| lab | jsonl | 3 | 2026-10-01 to 2026-10-31 | 61 | 60 | 200 | 180 | 1,440 | 2000–2019 | 6.43% |"
    assert read in page
    assert "Masked in the texts, by rules: email, nir. Names of persons" in page
    assert "no text here: 36 (licence not known), 36 (no derivatives), 36 (no licence stated); figures" in page
    assert "| language | 60 | 180 | 1,440 | en (paragraphs) 20 |" in page
    assert "2 inputs could not be read" in page
    assert "| quaero | 120 | 4 | 3 |" in page
    assert "| kind | A–B | 10 | kappa | 0.813 (0.700 to 0.900) |" in page
    assert "| kind | A–B | 10 | Krippendorff's α, nominal | 0.813 (0.700 to 0.900) |" in page
    assert "| build | 61 s | unknown | unknown | not measured |" in page
    assert "the build kept one" in page
    assert done.manifest["splits"]["linked"] is False
    assert done.manifest["stages"]["build"] == build
    assert json.loads((done.output / "funnel.json").read_text()) == funnel


def test_the_report_of_the_student_that_gave_the_labels_is_told(corpus: Path, tmp_path: Path) -> None:
    student, labels = tmp_path / "student", tmp_path / "labels"
    student.mkdir()
    teacher = {"kind": "model", "name": "teacher/of-the-tests", "revision": ""}
    told = Card(
        kind="linear", name="linear", prompt=PROMPT, fields=["kind"], temperatures={}, teacher=teacher, settings={}
    )
    (student / "student.json").write_text(told.model_dump_json())
    measured = {"n": 40, "accuracy": 0.9125, "macro_f1": 0.8, "ece": 0.031}
    report = {"student": "linear", "teacher": teacher, "seconds": 7.0, "fields": {"kind": measured},
              "split": {"test": {"articles": 6, "paragraphs": 40}}}  # fmt: skip
    (student / "report.json").write_text(json.dumps(report))
    stored = find(student)
    rows = [Annotation(f"lab:0001#{number}", "lab:0001", answer={}) for number in range(3)]
    write(labels, tables(PROMPT, stored.annotator(stored.fingerprint), rows))
    ids = pq.read_table(corpus / "paragraphs")["id"].to_pylist()[:3]
    path = next((labels / "annotations").glob("*.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, table.schema.field(0), pa.array(ids)), path)
    done = publish(corpus, tmp_path / "out", annotations=[("", labels)], student=student)
    page = (done.output / "README.md").read_text()
    assert "linear, taught by model teacher/of-the-tests; against its teacher, on 40 paragraphs" in page
    assert "| kind | 40 | 0.912 | 0.800 | – | – | 0.031 |" in page
    assert "| training of the student | 7 s | unknown | unknown | not measured |" in page
    (student / "student.json").write_text(told.model_copy(update={"name": "another"}).model_dump_json())
    with pytest.raises(PublishError, match="is not the student that gave these labels"):
        publish(corpus, tmp_path / "other", annotations=[("", labels)], student=student)


def test_croissant_names_every_column_of_every_table(corpus: Path, sample: Path, labels: Path, tmp_path: Path) -> None:
    done = publish(corpus, tmp_path / "out", samples={"twice": sample}, annotations=[("", labels)])
    told = json.loads((done.output / "croissant.json").read_text())
    assert told["@type"] == "sc:Dataset"
    assert told["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    ids = [one["@id"] for one in told["distribution"]]
    assert len(ids) == len(set(ids))
    for record in told["recordSet"]:
        names = [field["source"]["extract"]["column"] for field in record["field"]]
        tables = sorted((done.output / "data" / record["@id"]).glob("*.parquet"))
        assert names == pq.read_schema(tables[0]).names
        for field in record["field"]:
            assert field["@id"] == f"{record['@id']}/{field['name']}"
            assert field["source"]["fileSet"]["@id"] in ids
            assert field["dataType"] in ("sc:Text", "sc:Integer", "sc:Float", "sc:Boolean")
    subjects = next(one for one in told["recordSet"][0]["field"] if one["name"] == "subjects")
    assert subjects["repeated"] is True


@pytest.mark.parametrize(
    ("near", "linked", "said", "limit"),
    [
        (None, True, ["bucket of MinHash (16 buckets of 6 hashes of 5-grams: with a probability of 0.992",
                      "Texts under 10 words"], "Near-duplicates were not dropped"),
        (None, False, ["Near-duplicates were neither dropped nor looked for"], "Near-duplicates were not dropped"),
        ({"threshold": 0.7, "ngram": 3, "min_words": 6}, None,
         ["of which 70 % of the 3-grams of words are equal", "Texts under 6 words"], "(70 % of the 3-grams of words"),
        ({"threshold": 0.9, "ngram": 5, "min_words": 20}, None,
         ["of which 90 % of the 5-grams of words are equal", "bucket of MinHash", "Texts under 10 words"],
         "(90 % of the 5-grams of words"),
    ],
)  # fmt: skip
def test_near_duplicates_are_told_as_they_were_looked_for(
    tmp_path: Path, near: dict[str, Any] | None, linked: bool | None, said: list[str], limit: str
) -> None:
    corpus = write_corpus(tmp_path / "corpus", [article(number) for number in range(3)])
    build = {"tool": "corpuskit build", "fingerprint": "a" * 64, "started": "2026-11-02T10:00:00+00:00", "seconds": {},
             "versions": {"corpuskit-fr": "0.1.0"}, "inputs": [],
             "config": {"dedup": {"articles": True, "paragraphs": True, "near": near}}}  # fmt: skip
    (corpus / "manifest.json").write_text(json.dumps(build))
    page = (publish(corpus, tmp_path / "out", Publication(link=linked)).output / "README.md").read_text()
    splits = page.split("## Splits")[1].split("\n## ")[0]
    assert [one for one in said if one not in splits] == []
    assert ("bucket of MinHash" in splits) is any("bucket" in one for one in said)
    assert limit in page.split("## Known limits")[1]


def test_the_reference_is_bibtex_whatever_the_title_holds(corpus: Path, tmp_path: Path) -> None:
    told = Publication(
        name="Corpus à démo_1 & Cie", authors=("Éluard, Anne-Marie", "{R&D} #2"), url="https://hub.example/a_b"
    )
    page = (publish(corpus, tmp_path / "out", told).output / "README.md").read_text()
    assert (
        r"""~~~bibtex
@misc{corpus-a-demo-1-cie,
  title = {Corpus à démo\_1 \& Cie},
  author = {Éluard, Anne-Marie and R\&D \#2},
"""
        in page
    )
    assert r"  howpublished = {\url{https://hub.example/a_b}}," in page


def test_the_commands_of_the_card_do_it_again(corpus: Path, labels: Path, tmp_path: Path) -> None:
    asked = {"name": "cases", "description": "cases", "unit": "article", "replacement": True, "factors": {
        "case": {"type": "share", "where": {"field": "annotation.kind", "among": ["case"]},
                 "steps": [{"above": 0.4, "weight": 2}], "below": 1, "missing": 1}}}  # fmt: skip
    drawn = sample_run.sample(recipe.validate(asked), corpus, tmp_path / "drawn", [labels])
    (tmp_path / "agreement.json").write_text(
        json.dumps({"raters": [], "fields": {}, "weighted": False, "resamples": 0})
    )
    told = Publication(name="L'oeuvre d'Anne", authors=("Dupont, Anne",), contact="a@lab.example", link=True,
                       licences={"lab": "CC-BY-4.0"}, shares=Shares(80.0, 10.0, 10.0))  # fmt: skip
    done = publish(corpus, tmp_path / "out", told, samples={"cases": drawn.output}, annotations=[("m", labels)],
                   agreement=tmp_path / "agreement.json")  # fmt: skip
    page = (done.output / "README.md").read_text()
    assert "| cases | paragraph, of whole articles | train |" in page
    commands = page.split("~~~bash\n")[1].split("\n~~~")[0].splitlines()
    assert commands[0] == (
        "corpuskit enrich corpus --prompt prompts/m.md --endpoint http://localhost:8000/v1 "
        "--model model/of-the-tests --revision r1 --output m"
    )
    # Beside what the card names, as a reader has it.
    (done.output / "corpus").symlink_to(corpus)
    (done.output / "m").symlink_to(labels)
    shutil.copy(tmp_path / "agreement.json", done.output)
    with contextlib.chdir(done.output):
        for command in commands[1:]:
            ran = CliRunner().invoke(app, shlex.split(command)[1:])
            assert ran.exit_code == 0, ran.output
    again = json.loads((done.output / "published" / "manifest.json").read_text())
    assert again["publication"] == done.manifest["publication"]
    assert again["stages"]["agreement"] == done.manifest["stages"]["agreement"]
    tables = [{one["name"]: one["sha256"] for one in of["outputs"] if one["name"].startswith("data/")}
              for of in (again, done.manifest)]  # fmt: skip
    assert tables[0] == tables[1]
