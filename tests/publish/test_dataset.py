"""A published folder: what is in it, what is withheld, what it says of itself."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from publish_corpora import PROMPT, annotate, article, write_corpus, write_sample

from corpuskit.enrich import prompts
from corpuskit.publish.dataset import Publication, Published, PublishError, hashes, publish
from corpuskit.publish.refill import refill
from corpuskit.publish.splits import Shares
from corpuskit.sample import recipe
from corpuskit.sample import run as sample_run

SHARES = Shares(70.0, 15.0, 15.0)


@pytest.fixture(scope="module")
def published(corpus: Path, sample: Path, labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    output = tmp_path_factory.mktemp("out") / "published"
    told = Publication(name="Corpus du labo", contact="corpus@lab.example", shares=SHARES, authors=("Dupont, Anne",))
    return publish(corpus, output, told, samples={"twice": sample}, annotations=[("", labels)])


def query(sql: str, folder: Path) -> list[tuple[Any, ...]]:
    return duckdb.sql(sql.replace("$", str(folder / "data"))).fetchall()


_LOAD = """
import json, sys
from datasets import get_dataset_config_names, load_dataset
folder, streaming, cache = sys.argv[1], sys.argv[2] == "stream", sys.argv[3]
found = {}
for name in get_dataset_config_names(folder):
    loaded = load_dataset(folder, name, streaming=streaming, cache_dir=cache)
    found[name] = {split: [row["id"] for row in rows] for split, rows in loaded.items()}
print(json.dumps(found))
"""


@pytest.mark.parametrize("how", ["whole", "stream"])
def test_datasets_opens_it_as_it_is_in_a_fresh_process(published: Published, tmp_path: Path, how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, str(published.output), how, str(tmp_path / "cache")],
        capture_output=True, text=True, check=False, env={"HF_HUB_OFFLINE": "1", "HOME": str(tmp_path), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert sorted(found) == ["articles", "paragraphs", "twice"]
    assert {name: sorted(of) for name, of in found.items()} == {name: ["test", "train", "validation"] for name in found}
    assert sum(map(len, found["articles"].values())) == 60
    assert sum(map(len, found["paragraphs"].values())) == 180
    assert len({id for of in found["paragraphs"].values() for id in of}) == 180
    assert sum(map(len, found["twice"].values())) == 180


def test_an_article_is_in_one_split_in_every_configuration(published: Published) -> None:
    rows = query(
        """
        WITH one AS (
          SELECT id AS article_id, split FROM (SELECT *, split_part(parse_filename(filename), '-', 1) AS split
            FROM read_parquet('$/articles/*.parquet', filename = true))
          UNION SELECT article_id, split_part(parse_filename(filename), '-', 1)
            FROM read_parquet('$/paragraphs/*.parquet', filename = true)
          UNION SELECT article_id, split_part(parse_filename(filename), '-', 1)
            FROM read_parquet('$/twice/*.parquet', filename = true))
        SELECT article_id, count(DISTINCT split) FROM one GROUP BY ALL
        """,
        published.output,
    )
    assert len(rows) == 60
    assert {number for _, number in rows} == {1}


@pytest.mark.parametrize("configuration", ["paragraphs", "twice"])
def test_a_text_is_there_only_where_its_licence_lets_it(published: Published, corpus: Path, configuration: str) -> None:
    original = {row["id"]: row for row in pq.read_table(corpus / "paragraphs").to_pylist()}
    rows = pq.read_table(published.output / "data" / configuration).to_pylist()
    assert {(row["licence"], row["text"] is not None, row["withheld"]) for row in rows} == {
        ("CC-BY-4.0", True, None),
        ("CC-BY-NC-SA-4.0", True, None),
        (None, False, "no licence stated"),
        ("CC-BY-ND-4.0", False, "no derivatives"),
        ("https://publisher.example/terms", False, "licence not known"),
    }
    for row in rows:
        before = original[row["id"]]
        assert row["text"] in (None, before["text"])
        assert row["text_sha256"] == hashlib.sha256(before["text"].encode()).hexdigest()
        assert (row["file"], row["path"]) == (before["file"], before["path"])


def test_no_withheld_text_is_anywhere_in_the_folder(published: Published, corpus: Path) -> None:
    withheld = [
        row["text"]
        for row in pq.read_table(corpus / "paragraphs").to_pylist()
        if row["licence"] in (None, "CC-BY-ND-4.0")
    ]
    for path in published.output.rglob("*"):
        if path.suffix == ".parquet":
            content = json.dumps(pq.read_table(path).to_pylist(), ensure_ascii=False, default=str)
            assert not [one for one in withheld if one in content], path
        elif path.is_file():
            assert not [one for one in withheld if one in path.read_text(encoding="utf-8")], path


def test_annotations_stand_beside_their_paragraphs_and_quote_no_withheld_text(
    published: Published, labels: Path
) -> None:
    told = {row["id"]: row for row in pq.read_table(labels / "annotations").to_pylist()}
    rows = pq.read_table(published.output / "data" / "paragraphs").to_pylist()
    for row in rows:
        one = told.get(row["id"])
        assert row["annotation_outcome"] == (one and one["outcome"])
        assert row["annotation_kind_probabilities"] == (one and one["kind_probabilities"])
        assert row["annotation_terms_density"] == (one and one["terms_density"])
        assert row["annotation_terms"] == (one["terms"] if one and row["text"] is not None else None)


def test_annotations_in_another_order_are_brought_into_that_of_the_corpus(corpus: Path, tmp_path: Path) -> None:
    forth = annotate(tmp_path / "forth", corpus)
    back = annotate(tmp_path / "back", corpus, backwards=True)
    found = []
    for folder in (forth, back):
        done = publish(corpus, tmp_path / f"of-{folder.name}", annotations=[("said", folder)])
        rows = pq.read_table(done.output / "data" / "paragraphs").to_pylist()
        (told,) = done.manifest["annotated"]
        assert (told["name"], told["rows"], told["published"]) == ("said", 120, 120)
        found.append([(row["id"], row["said_kind"], row["said_terms"]) for row in rows])
    assert found[0] == found[1]
    assert sum(kind is not None for _, kind, _ in found[0]) == 120


def test_the_counts_of_the_manifest_and_the_card_are_those_of_the_files(published: Published) -> None:
    told = published.manifest["configurations"]
    card = (published.output / "README.md").read_text(encoding="utf-8")
    for name, configuration in told.items():
        unit = "article" if name == "articles" else "paragraph"
        counted = query(
            f"""
            SELECT split_part(parse_filename(filename), '-', 1) AS split, count(*), sum(words)::BIGINT,
              {"NULL" if name == "articles" else "count(text)"}
            FROM read_parquet('$/{name}/*.parquet', filename = true) GROUP BY ALL
            """,
            published.output,
        )
        assert {row[0] for row in counted} == configuration["splits"].keys()
        for split, rows, words, texts in counted:
            shown = "–" if texts is None else f"{texts:,}"
            assert f"| {name} | {unit} | {split} | {rows:,} | {words:,} | {shown} |" in card
            assert configuration["splits"][split]["rows"] == rows
    licences = query(
        """
        SELECT source, licence, withheld, count(*), sum(words)::BIGINT
        FROM read_parquet('$/paragraphs/*.parquet') GROUP BY ALL
        """,
        published.output,
    )
    table = card.split("## Licences")[1].split("## Languages")[0]
    assert len([line for line in table.splitlines() if line.startswith("| lab")]) == len(licences) == 5
    for source, licence, withheld, rows, words in licences:
        shown = "–" if licence is None else licence.replace("://", "&#58;//")
        line = next(line for line in table.splitlines() if line.startswith(f"| {source} | {shown} |"))
        assert line.endswith(f"| {rows:,} | {words:,} | {'withheld: ' + withheld if withheld else 'published'} |")
    languages = query(
        "SELECT language, count(*), sum(words)::BIGINT AS words FROM read_parquet('$/paragraphs/*.parquet') "
        "GROUP BY ALL ORDER BY words DESC",
        published.output,
    )
    words = sum(row[2] for row in languages)
    table = card.split("## Languages")[1].split("\n\n")[1]
    assert table.splitlines()[2:] == [
        f"| {language} | {rows:,} | {own:,} | {own / words:.2%} |" for language, rows, own in languages
    ]
    ((english,),) = query(
        "SELECT sum(words) FILTER (language = 'en') / sum(words) FROM read_parquet('$/paragraphs/*.parquet')",
        published.output,
    )
    assert f"English is {english:.2%} of the words" in card


def test_the_answers_on_the_card_are_those_of_the_files(corpus: Path, tmp_path: Path) -> None:
    labels = annotate(tmp_path / "labels", corpus)
    path = next((labels / "annotations").glob("*.parquet"))
    table = pq.read_table(path)
    # Two of its rows are of paragraphs that are not in the corpus; nothing else says what was answered.
    ids = ["gone#1", "gone#2", *table["id"].to_pylist()[2:]]
    pq.write_table(table.set_column(0, table.schema.field(0), pa.array(ids)), path)
    done = publish(corpus, tmp_path / "out", annotations=[("", labels)])
    card = (done.output / "README.md").read_text(encoding="utf-8")
    source = "FROM read_parquet('$/paragraphs/*.parquet')"
    answers = dict(query(f"SELECT annotation_kind, count(*) {source} GROUP BY ALL", done.output))
    ((passages,),) = query(f"SELECT sum(len(annotation_terms))::BIGINT {source}", done.output)
    ((rows,),) = query(f"SELECT count(annotation_outcome) {source}", done.output)
    assert f"| annotation_kind | Le genre du paragraphe. | study: {answers['study']}, case: {answers['case']} |" in card
    assert f"| annotation_terms | Les termes médicaux. | passages: {passages} |" in card
    assert rows == 118
    assert f"{rows} of its 120 rows are of paragraphs in this data set: ok {rows}." in card
    assert done.manifest["annotated"][0]["published"] == rows


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))), st.integers(0, 3))
def test_a_hash_is_the_sha256_of_the_text(texts: list[str | None], start: int) -> None:
    expected = [None if one is None else hashlib.sha256(one.encode()).hexdigest() for one in texts[start:]]
    assert hashes(pa.array(texts, pa.large_string()).slice(start)).to_pylist() == expected


def test_a_corpus_without_all_columns_or_texts_is_published_as_far_as_it_goes(tmp_path: Path) -> None:
    rows = [{"id": "a#1", "article_id": "a", "text": "Un texte.", "licence": ""},
            {"id": "a#2", "article_id": "a", "text": None, "licence": "CC0-1.0"},
            {"id": "b#1", "article_id": "b", "text": "Un autre.", "licence": "CC0-1.0"}]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "paragraphs.parquet")
    done = publish(tmp_path / "paragraphs.parquet", tmp_path / "out")
    found = pq.read_table(done.output / "data" / "paragraphs").to_pylist()
    assert {(row["id"], row["text"], row["withheld"]) for row in found} == {
        ("a#1", None, "no licence stated"),
        ("a#2", None, "no text in the corpus"),
        ("b#1", "Un autre.", None),
    }
    assert "| paragraphs | paragraph | train | 3 | 0 | 1 |" in (done.output / "README.md").read_text()


def test_a_stated_licence_is_for_what_states_none(corpus: Path, tmp_path: Path) -> None:
    done = publish(corpus, tmp_path / "out", Publication(licences={"lab": "cc by 4.0"}))
    rows = pq.read_table(done.output / "data" / "paragraphs").to_pylist()
    assert {row["withheld"] for row in rows} == {None, "no derivatives", "licence not known"}
    assert "For articles of lab that state no licence, CC-BY-4.0 was given" in (done.output / "README.md").read_text()


def test_the_same_publication_is_not_done_again_and_another_needs_to_be_told(corpus: Path, tmp_path: Path) -> None:
    first = publish(corpus, tmp_path / "out", Publication(name="a"))
    assert first.worked
    assert not publish(corpus, tmp_path / "out", Publication(name="a")).worked
    with pytest.raises(
        PublishError, match="holds another run of corpuskit publish: choose another folder or replace it"
    ):
        publish(corpus, tmp_path / "out", Publication(name="b"))
    again = publish(corpus, tmp_path / "out", Publication(name="b"), overwrite=True)
    assert again.worked
    assert again.manifest["configurations"] == first.manifest["configurations"]


def test_the_same_input_gives_the_same_bytes(corpus: Path, labels: Path, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        done = publish(corpus, tmp_path / name, Publication(name="x"), annotations=[("", labels)])
        found.append(
            [(one["name"], one["sha256"]) for one in done.manifest["outputs"] if one["name"].endswith("parquet")]
        )
    assert found[0] == found[1]


def test_a_publication_that_was_interrupted_is_whole_after_the_same_command(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as failing:
        failing.setattr("corpuskit.publish.card.pages", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish(corpus, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".work"]
    done = publish(corpus, tmp_path / "out")
    assert done.manifest["configurations"] == publish(corpus, tmp_path / "other").manifest["configurations"]
    assert not (done.output / ".work").exists()


def test_a_configuration_that_is_gone_is_gone_from_the_folder(corpus: Path, sample: Path, tmp_path: Path) -> None:
    publish(corpus, tmp_path / "out", samples={"twice": sample})
    publish(corpus, tmp_path / "out", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "out" / "data").iterdir()) == ["articles", "paragraphs"]
    assert not (tmp_path / "out" / "recipes").exists()


def test_no_path_of_this_machine_is_published(corpus: Path, tmp_path: Path) -> None:
    other = write_corpus(tmp_path / "corpus", [article(number) for number in range(3)])
    manifest = {"tool": "corpuskit build", "fingerprint": "0" * 64, "started": "2026-11-01T00:00:00+00:00",
                "seconds": {"read": 2.0}, "versions": {"corpuskit-fr": "0.1.0"},
                "config": {"sources": [{"type": "hal", "path": "/home/anne/secret/hal"}], "dedup": {"near": None}},
                "inputs": []}  # fmt: skip
    (other / "manifest.json").write_text(json.dumps(manifest))
    drawn = write_sample(tmp_path / "drawn", other)
    told = json.loads((drawn / "manifest.json").read_text())
    told["recipe"]["budget"] = {"tokens": 9, "tokenizer": "/home/anne/secret/tok"}
    (drawn / "manifest.json").write_text(json.dumps(told))
    (drawn / "recipe.yaml").write_text("budget: {tokens: 9, tokenizer: /home/anne/secret/tok}\n")
    done = publish(other, tmp_path / "out", samples={"drawn": drawn})
    assert (done.output / "recipes" / "drawn.yaml").read_text().endswith("budget:\n  tokens: 9\n  tokenizer: tok\n")
    for path in done.output.rglob("*"):
        if path.is_file():
            assert b"anne" not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("clash", "there is a column 'annotation_outcome' already; give these annotations a name"),
        ("other", "none of its 120 paragraphs is in"),
        ("name", "a sample cannot be called 'articles'"),
        ("no sample", "is no sample: give a folder that `corpuskit sample` wrote"),
        ("agreement", "holds no agreement: give the file that `corpuskit agree --json` wrote"),
        ("published", "is a published data set: give the corpus that it was made from"),
        ("nothing", "no Parquet files of paragraphs there"),
        ("licence of another", "--licence lba=CC-BY-4.0: no such source in .*; did you mean lab?"),
        ("no licence", "--licence lab=Nonsense: no licence that is known; give one of those"),
        ("no list", "without.txt.*; give a text file with an id or address of an article a line"),
        ("empty list", "is empty: give an id or address of an article a line"),
        ("no folder", "file/out.*: Not a directory; choose another folder, or make room"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    what: str, message: str, corpus: Path, sample: Path, labels: Path, tmp_path: Path
) -> None:
    given: dict[str, Any] = {}
    source, output = corpus, tmp_path / "out"
    if what == "clash":
        given["annotations"] = [("", labels), ("", labels)]
    elif what == "other":
        source = write_corpus(tmp_path / "other", [article(number) for number in range(100, 105)])
        given["annotations"] = [("", labels)]
    elif what == "name":
        given["samples"] = {"articles": sample}
    elif what == "no sample":
        given["samples"] = {"corpus": corpus}
    elif what == "agreement":
        given["agreement"] = sample / "sample.json"
    elif what == "published":
        source = publish(corpus, tmp_path / "before").output
    elif what in ("licence of another", "no licence"):
        stated = {"lba": "CC-BY-4.0"} if what == "licence of another" else {"lab": "Nonsense"}
        given["publication"] = Publication(licences=stated)
    elif what in ("no list", "empty list"):
        given["without"] = tmp_path / "without.txt"
        if what == "empty list":
            given["without"].write_text("# nothing yet\n")
    elif what == "no folder":
        (tmp_path / "file").write_text("")
        output = tmp_path / "file" / "out"
    else:
        source = tmp_path
    with pytest.raises(PublishError, match=message):
        publish(source, output, **given)
    assert not (output / "manifest.json").exists()


def test_what_the_sampler_wrote_is_a_configuration(corpus: Path, labels: Path, tmp_path: Path) -> None:
    asked = {
        "prefix": {"parts": ["Comme « {text} »"]},
        "name": "cases",
        "description": "cases twice",
        "replacement": True,
        "keep": ["annotation.terms"],
        "factors": {
            "case": {"type": "map", "field": "annotation.kind", "weights": {"case": 2.0}, "other": 0.0, "missing": 0.0}
        },
    }
    drawn = sample_run.sample(recipe.validate(asked), corpus, tmp_path / "cases", [labels])
    done = publish(corpus, tmp_path / "out", Publication(shares=SHARES), samples={"cases": drawn.output})
    rows = pq.read_table(done.output / "data" / "cases").to_pylist()
    assert len(rows) == drawn.report["paragraphs"]["after"] == 120
    assert {row["order"] for row in rows} == {1}
    for row in rows:
        hidden = row["withheld"] is not None
        assert [row["text"] is None, row["prefix"] is None, row["annotation_terms"] is None] == [hidden] * 3
    assert "120 paragraphs drawn from 180" in (done.output / "README.md").read_text()
    assert (done.output / "recipes" / "cases.yaml").read_text().startswith("name: cases")


def test_a_sample_of_another_corpus_is_refused(corpus: Path, tmp_path: Path) -> None:
    mine = write_corpus(tmp_path / "corpus", [article(1)])
    told = {"tool": "corpuskit build", "fingerprint": "1" * 64, "started": "2026-11-01T00:00:00+00:00", "seconds": {},
            "versions": {"corpuskit-fr": "0"}, "config": {}, "inputs": []}  # fmt: skip
    (mine / "manifest.json").write_text(json.dumps(told))
    drawn = write_sample(tmp_path / "drawn", corpus)
    content = json.loads((drawn / "manifest.json").read_text()) | {"corpus": {"fingerprint": "2" * 64}}
    (drawn / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(PublishError, match="was drawn from another corpus"):
        publish(mine, tmp_path / "out", samples={"drawn": drawn})


def test_articles_of_a_list_are_left_out_and_the_list_is_not_published(
    sample: Path, labels: Path, corpus: Path, tmp_path: Path
) -> None:
    given = [article(number) for number in range(60)]
    given[1] |= {"url": "http://www.lab.example/one/"}
    given[2] |= {"doi": "10.5555/demo.2"}
    given[3] |= {"merged_ids": ["other:3"]}
    mine = write_corpus(tmp_path / "corpus", given)
    listed = ["# asked for in November", "lab:0000", "https://lab.example/one", "https://doi.org/10.5555/DEMO.2",
              "other:3", "lab:9999"]  # fmt: skip
    (tmp_path / "without.txt").write_text("\n".join(listed) + "\n")
    done = publish(mine, tmp_path / "out", Publication(shares=SHARES), samples={"twice": sample},
                   annotations=[("", labels)], without=tmp_path / "without.txt")  # fmt: skip
    assert done.unknown == ("lab:9999",)
    digest = hashlib.sha256((tmp_path / "without.txt").read_bytes()).hexdigest()
    assert done.manifest["removed"] == {"listed": 5, "articles": 4, "unknown": 1, "sha256": digest}
    left = {f"lab:{number:04d}" for number in range(4, 60)}
    for name, column in (("articles", "id"), ("paragraphs", "article_id"), ("twice", "article_id")):
        assert {one for (one,) in query(f"SELECT {column} FROM '$/{name}/*.parquet'", done.output)} == left
    ((answered,),) = query("SELECT count(annotation_outcome) FROM '$/paragraphs/*.parquet'", done.output)
    assert done.manifest["annotated"][0]["published"] == answered < 120
    assert "Articles left out of this one: 4." in (done.output / "README.md").read_text()
    assert b"other:3" not in (done.output / "manifest.json").read_bytes()
    # The others are where they would be without the list.
    before = publish(mine, tmp_path / "before", Publication(shares=SHARES)).output
    for name in ("train", "validation", "test"):
        rows = [query(f"SELECT id FROM '$/articles/{name}-*.parquet'", folder) for folder in (before, done.output)]
        assert [row for row in rows[0] if row[0] in left] == rows[1]


def test_the_log_tells_of_each_stage_in_a_line(corpus: Path, sample: Path, labels: Path, tmp_path: Path) -> None:
    mine = write_corpus(tmp_path / "corpus", [article(number) for number in range(60)])
    build = {"tool": "corpuskit build", "fingerprint": "a" * 64, "started": "2026-11-02T10:00:00+00:00",
             "seconds": {"read": 60.0, "write": 1.5}, "executor": "slurm", "workers": 8,
             "machine": {"platform": "Linux"}, "versions": {"corpuskit-fr": "0.1.0"}, "config": {},
             "inputs": []}  # fmt: skip
    funnel = {"read": {"lab": {"articles": 61, "paragraphs": 200}}, "quarantined": {"lab": 2},
              "kept": {"lab": {"articles": 60, "paragraphs": 180, "words": 1440}}, "dropped": [], "languages": {},
              "stages": []}  # fmt: skip
    (mine / "manifest.json").write_text(json.dumps(build))
    (mine / "funnel.json").write_text(json.dumps(funnel))
    done = publish(mine, tmp_path / "out", samples={"twice": sample}, annotations=[("", labels)])
    built, asked, drawn, published = map(json.loads, (done.output / "log.jsonl").read_text().splitlines())
    assert built == {
        "stage": "build", "name": "", "tool": "corpuskit build", "fingerprint": "a" * 64,
        "started": "2026-11-02T10:00:00+00:00", "seconds": 61.5, "executor": "slurm", "workers": 8,
        "machine": {"platform": "Linux"}, "versions": {"corpuskit-fr": "0.1.0"},
        "counts": {"read": {"articles": 61, "paragraphs": 200},
                   "kept": {"articles": 60, "paragraphs": 180, "words": 1440}, "quarantined": 2},
    }  # fmt: skip
    assert (asked["stage"], asked["name"], asked["seconds"], asked["counts"]) == (
        "annotations", "kind", 12.5, {"ok": 120}
    )  # fmt: skip
    assert (drawn["stage"], drawn["name"], drawn["seconds"], drawn["machine"]) == ("sample", "twice", 1.0, None)
    assert published["tool"] == "corpuskit publish"
    assert published["fingerprint"] == done.manifest["fingerprint"]
    assert published["counts"]["paragraphs"] == {"train": 180}
    assert published["machine"]["platform"]


def test_the_published_prompt_is_one_that_corpuskit_reads(published: Published) -> None:
    assert prompts.load(published.output / "prompts" / "kind.md") == PROMPT


def test_a_published_data_set_is_sampled_as_the_corpus_is(corpus: Path, tmp_path: Path) -> None:
    done = publish(corpus, tmp_path / "out", Publication(shares=SHARES))
    asked = recipe.validate({"name": "all", "description": "all", "prefix": {"parts": ["Titre : {article.title}"]}})
    drawn = sample_run.sample(asked, refill(done.output, corpus, tmp_path / "full").output, tmp_path / "drawn")
    rows = pq.read_table(drawn.output / "paragraphs").to_pylist()
    assert sorted((row["id"], row["text"]) for row in rows) == sorted(
        (row["id"], row["text"]) for row in pq.read_table(corpus / "paragraphs").to_pylist()
    )
    assert {row["prefix"] for row in rows if row["article_id"] == "lab:0007"} == {"Titre : Article 7\n"}


def test_an_article_is_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpuskit.publish.shards.ROWS", 10)
    monkeypatch.setattr("corpuskit.publish.shards.FILE", 1)
    corpus = write_corpus(tmp_path / "corpus", [article(number, licence="CC-BY-4.0") for number in range(60)])
    monkeypatch.setattr("corpuskit.publish.dataset._ROWS", 7)
    done = publish(corpus, tmp_path / "out")
    files = query(
        "SELECT article_id, count(DISTINCT filename), count(*) FROM read_parquet('$/paragraphs/*.parquet', "
        "filename = true) GROUP BY ALL",
        done.output,
    )
    assert len(list((done.output / "data" / "paragraphs").glob("train-*.parquet"))) > 5
    assert {row[1:] for row in files} == {(1, 3)}
    assert len(files) == 60
