"""Samples on disk: from a corpus and annotations to a data set, whatever the shards, the workers and the order."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from small_corpus import Row, annotated, answer, corpus, read, rows
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.cli import sample as _sample_command  # noqa: F401
from corpuskit.executors import Execution, TaskFailed
from corpuskit.records import PARAGRAPH_SCHEMA
from corpuskit.sample.recipe import Recipe, RecipeError, SampleError, load, shipped, validate
from corpuskit.sample.run import sample

ROWS = rows(300)
WORDS = sum(row["words"] for row in ROWS)
QUALITY = {"type": "threshold", "field": "annotation.educational_quality", "at_least": 3, "missing": 0}


def recipe(**settings: Any) -> Recipe:
    return validate({"name": "essai", "description": "pour voir"} | settings)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("one") / "corpus", ROWS)


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("eight") / "corpus", ROWS, shards=8, group=7)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return annotated(tmp_path_factory.mktemp("labels"), ROWS, soft=True)


def bare(found: Sequence[Row]) -> list[tuple[str, int]]:
    return [(row["id"], row["copy"]) for row in found]


def test_a_recipe_without_factors_is_the_corpus_in_another_order(one: Path, tmp_path: Path) -> None:
    done = sample(recipe(), one, tmp_path / "out")
    found = read(tmp_path / "out")
    assert sorted(row["id"] for row in found) == sorted(row["id"] for row in ROWS)
    assert [row["id"] for row in found] != sorted(row["id"] for row in ROWS)
    schema = pq.read_schema(tmp_path / "out" / "paragraphs" / "00000.parquet")
    assert schema.names == [*PARAGRAPH_SCHEMA.names, "copy", "weight"]
    assert all(field.metadata[b"description"] for field in schema)
    assert done.report["words"] == {"before": WORDS, "after": WORDS}
    assert done.report["effective_sample_size"] == len(ROWS)
    expected = {row["id"]: row["text"] for row in ROWS}
    assert all(expected[row["id"]] == row["text"] for row in found)


def test_a_threshold_keeps_what_has_the_score(one: Path, labels: Path, tmp_path: Path) -> None:
    done = sample(load("educational"), one, tmp_path / "out", [labels])
    found = read(tmp_path / "out")
    expected = [row["id"] for row in ROWS if answer(row)["educational_quality"] >= 3]
    assert sorted(row["id"] for row in found) == sorted(expected)
    assert {row["annotation_educational_quality"] for row in found} == {3, 4, 5}
    assert done.report["factors"]["quality"]["zero"] == len(ROWS) - len(expected)
    assert done.report["by"]["annotation.educational_quality"]["1"]["after"]["paragraphs"] == 0


def test_whole_articles_come_in_their_order(one: Path, labels: Path, tmp_path: Path) -> None:
    sample(load("clinical-case"), one, tmp_path / "out", [labels])
    found = read(tmp_path / "out")
    times = Counter(row["article_id"] for row in found)
    assert times == {row["article_id"]: 40 if int(row["article_id"][-6:]) % 4 == 0 else 4 for row in ROWS}
    for start in range(0, len(found), 4):
        some = found[start : start + 4]
        assert [row["order"] for row in some] == [0, 1, 2, 3]
        assert len({(row["article_id"], row["copy"]) for row in some}) == 1
    heads = [row["article_id"] for row in found[::4]]
    assert heads != sorted(heads)


def test_mainly_clinical_is_more_than_half(one: Path, labels: Path, tmp_path: Path) -> None:
    sample(load("clinical"), one, tmp_path / "out", [labels])
    times = Counter(row["article_id"] for row in read(tmp_path / "out"))
    assert times == {row["article_id"]: 40 if int(row["article_id"][-6:]) % 3 == 0 else 4 for row in ROWS}


def test_of_all_four_factors_each_decides_though_all_is_french(tmp_path: Path) -> None:
    found = [row | {"language": "fr"} for row in ROWS]
    source, labels = corpus(tmp_path / "corpus", found), annotated(tmp_path / "labels", found)
    done = sample(load("all"), source, tmp_path / "out", [labels])
    times = Counter(row["id"] for row in read(tmp_path / "out"))
    assert WORDS - max(row["words"] for row in ROWS) < done.report["words"]["after"] <= WORDS
    assert max(times.values()) <= 10
    # An article holds a case where its number can be divided by 4, and is mainly clinical where by 3.
    mean: dict[tuple[bool, bool], float] = {}
    for case in (True, False):
        for clinical in (True, False):
            own = [times[row["id"]] for row in found if answer(row)["educational_quality"] >= 3
                   and (not int(row["article_id"][-6:]) % 4) == case
                   and (not int(row["article_id"][-6:]) % 3) == clinical]  # fmt: skip
            mean[case, clinical] = sum(own) / len(own)
    assert mean[True, True] == 10
    assert mean[False, False] < mean[True, False] < mean[True, True]
    assert mean[False, False] < mean[False, True] < mean[True, True]
    assert all(answer(row)["educational_quality"] >= 3 for row in found if times[row["id"]])


@pytest.mark.parametrize("unit", ["paragraph", "article"])
def test_copies_that_deduplication_took_are_given_back(unit: str, one: Path, tmp_path: Path) -> None:
    sizes = {"type": "rehydrate"} | ({"field": "article.cluster_size"} if unit == "article" else {})
    done = sample(recipe(unit=unit, factors={"copies": sizes}, replacement=True), one, tmp_path / "out")
    times = Counter(row["id"] for row in read(tmp_path / "out"))
    # Clusters of paragraphs go from 1 to 7, those of articles are of 2.
    weights = {1: 1, 2: 2, 3: 3, 4: 3, 5: 5, 6: 5, 7: 5}
    assert times == {row["id"]: 2 if unit == "article" else weights[row["cluster_size"]] for row in ROWS}
    assert done.report["factors"]["copies"]["most"] == (2 if unit == "article" else 5)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shards_and_workers_do_not_matter(name: str, one: Path, eight: Path, labels: Path, tmp_path: Path) -> None:
    found = []
    for source, workers in ((one, 1), (eight, 1), (eight, 2)):
        output = tmp_path / f"{source.parent.name}-{workers}"
        sample(load(name), source, output, [labels], Execution(workers=workers), words_per_shard=20_000)
        found.append(read(output))
    assert found[0] == found[1] == found[2]
    assert found[0]


def test_annotations_in_any_order_and_with_gaps(eight: Path, tmp_path: Path) -> None:
    some = [row for row in ROWS if row["order"] != 2]
    mixed = random.Random(1).sample(some, len(some))
    straight, crooked = (annotated(tmp_path / name, these) for name, these in (("a", some), ("b", mixed)))
    done = sample(recipe(factors={"quality": QUALITY}), eight, tmp_path / "straight", [straight])
    sample(recipe(factors={"quality": QUALITY}), eight, tmp_path / "crooked", [crooked])
    assert read(tmp_path / "straight") == read(tmp_path / "crooked")
    expected = [row["id"] for row in some if answer(row)["educational_quality"] >= 3]
    assert sorted(row["id"] for row in read(tmp_path / "straight")) == sorted(expected)
    assert done.report["annotations"][0]["paragraphs"] == len(some)


def test_two_tables_of_annotations_are_joined(one: Path, labels: Path, tmp_path: Path) -> None:
    terms = validate_terms(tmp_path / "terms")
    both = recipe(
        factors={
            "quality": QUALITY,
            "density": {"type": "power", "field": "annotation.terms_density", "exponent": 1, "missing": 0},
        },
        replacement=True,
    )
    sample(both, one, tmp_path / "out", [labels, terms])
    found = read(tmp_path / "out")
    assert found
    assert all(row["weight"] == row["annotation_terms_density"] for row in found)
    with pytest.raises(RecipeError, match=r"annotation\.educational_quality: two of the tables"):
        sample(both, one, tmp_path / "none", [labels, labels, terms])


def validate_terms(folder: Path) -> Path:
    from corpuskit.enrich import prompts
    from corpuskit.enrich.annotations import Annotation, Annotator, tables, write

    prompt = prompts.parse(
        "---\nname: terms\nversion: '1'\ndescription: les termes\nfields:\n  terms:\n    type: spans\n"
        "    definition: Les termes.\n---\n{fields}\n{paragraph}\n"
    )
    found = (
        Annotation(row["id"], row["article_id"], row["source"], row["text"], answer={"terms": [row["text"][-3:]]})
        for row in ROWS
    )
    write(folder, tables(prompt, Annotator("model", "t"), found))
    return folder


@pytest.mark.parametrize("unit", ["paragraph", "article"])
@pytest.mark.parametrize(("replacement", "budget"), [(False, 1_000), (True, 3 * WORDS)])
def test_the_budget_is_met_within_one_paragraph(
    unit: str, replacement: bool, budget: int, one: Path, labels: Path, tmp_path: Path
) -> None:
    linear = {"type": "linear", "field": "annotation.educational_quality", "missing": 0}
    asked = recipe(unit=unit, replacement=replacement, budget={"words": budget}, factors={"quality": linear})
    done = sample(asked, one, tmp_path / "out", [labels])
    found = read(tmp_path / "out")
    total = sum(row["words"] for row in found)
    assert total <= budget < total + max(row["words"] for row in ROWS)
    assert done.report["words"]["after"] == total
    if unit == "article":  # only the last comes in part, and then from its beginning
        lengths = Counter((row["article_id"], row["copy"]) for row in found)
        assert sum(length < 4 for length in lengths.values()) <= 1


def test_repetitions_are_capped(one: Path, labels: Path, tmp_path: Path) -> None:
    power = {"type": "power", "field": "annotation.educational_quality", "exponent": 3, "missing": 0}
    asked = recipe(replacement=True, repetitions=3, budget={"share": 1.5}, factors={"quality": power})
    done = sample(asked, one, tmp_path / "out", [labels])
    times = Counter(row["id"] for row in read(tmp_path / "out"))
    assert max(times.values()) == 3
    expected = Counter(times.values())
    expected[0] = len(ROWS) - len(times)
    assert done.report["repetitions"] == {str(often): units for often, units in sorted(expected.items()) if units}
    total, squares = sum(times.values()), sum(often**2 for often in times.values())
    assert done.report["effective_sample_size"] == pytest.approx(total**2 / squares, abs=1e-3)


def test_shares_of_sources_and_domains(one: Path, labels: Path, tmp_path: Path) -> None:
    shares = {"source": {"hal": 0.5, "pubmed": 0.5}, "annotation.domain": {"clinical": 0.6}}
    done = sample(recipe(budget={"words": 2_000}, shares=shares), one, tmp_path / "out", [labels])
    by = done.report["by"]
    longest = max(row["words"] for row in ROWS)
    for field, value, share in (
        ("source", "hal", 0.5),
        ("source", "pubmed", 0.5),
        ("annotation.domain", "clinical", 0.6),
    ):
        assert abs(by[field][value]["after"]["words"] - share * 2_000) <= 2 * longest
    assert done.report["strata"][0]["stratum"] == "source = hal, annotation.domain = clinical"
    assert sum(one["words"] for one in done.report["strata"]) == 2_000


@pytest.mark.parametrize("unit", ["paragraph", "article"])
def test_the_budget_and_its_shares_are_met_within_one_paragraph(unit: str, tmp_path: Path) -> None:
    names = ["hal", "istex", "pubmed", "wikipedia", "cases"]
    found = [row | {"source": names[int(row["article_id"][-6:]) % 5]} for row in ROWS]
    asked = recipe(unit=unit, budget={"words": 4_500}, shares={"source": dict.fromkeys(names, 0.2)})
    drawn = []
    for shards, workers in ((1, 1), (8, 2)):
        source, output = corpus(tmp_path / f"corpus-{shards}", found, shards, group=7), tmp_path / f"out-{shards}"
        done = sample(asked, source, output, execution=Execution(workers=workers))
        drawn.append(read(output))
    assert drawn[0] == drawn[1]
    longest = max(row["words"] for row in found)
    assert 0 <= 4_500 - done.report["words"]["after"] < longest
    for name in names:
        words = sum(row["words"] for row in drawn[0] if row["source"] == name)
        assert abs(words - 900) < longest
        assert done.report["by"]["source"][name]["after"]["words"] == words


def test_a_budget_in_tokens(one: Path, tokenizer: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    asked = recipe(budget={"tokens": 1_500, "tokenizer": str(tokenizer)}, unit="article")
    done = sample(asked, one, tmp_path / "out")
    count = AutoTokenizer.from_pretrained(str(tokenizer))
    sizes = [len(count(row["text"], add_special_tokens=False)["input_ids"]) for row in read(tmp_path / "out")]
    longest = max(len(count(row["text"], add_special_tokens=False)["input_ids"]) for row in ROWS)
    assert sum(sizes) <= 1_500 < sum(sizes) + longest
    assert done.report["tokens"]["after"] == sum(sizes)
    gone = recipe(budget={"tokens": 5, "tokenizer": str(tmp_path / "nowhere")})
    with pytest.raises(RecipeError, match=r"budget\.tokenizer: .*nowhere cannot be read"):
        sample(gone, one, tmp_path / "none")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("tokenizer")
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "mot": 1}, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    model.enable_truncation(4)  # a file may say so; counting must not
    transformers.PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]").save_pretrained(folder)
    return folder


def test_a_prefix_stands_at_the_head_of_an_article_and_the_text_is_as_it_was(one: Path, tmp_path: Path) -> None:
    sample(load("prefix"), one, tmp_path / "out")
    texts = {row["id"]: row["text"] for row in ROWS}
    for row in read(tmp_path / "out"):
        assert row["text"] == texts[row["id"]]
        if row["order"]:
            assert row["prefix"] is None
        else:  # no journal is known: that part is left out
            assert row["prefix"] == (
                f"Titre : Titre {row['article_id']} | Source : {row['source']} | Année : {row['year']} | "
                f"Type : {row['document_type']}\n"
            )


def test_of_paragraphs_each_has_its_prefix(one: Path, tmp_path: Path) -> None:
    sample(recipe(prefix={"parts": ["{{{article.title}}}", "{journal}"]}), one, tmp_path / "out")
    assert all(row["prefix"] == f"{{Titre {row['article_id']}}}\n" for row in read(tmp_path / "out"))


def test_the_account_is_what_the_files_say(one: Path, labels: Path, tmp_path: Path) -> None:
    done = sample(load("soft"), one, tmp_path / "out", [labels])
    query = f"SELECT source, count(*), sum(words) FROM '{tmp_path}/out/paragraphs/*.parquet' GROUP BY ALL"
    counted = {source: (number, int(words)) for source, number, words in duckdb.sql(query).fetchall()}
    told = done.report["by"]["source"]
    assert {source: (one["after"]["paragraphs"], one["after"]["words"]) for source, one in told.items()} == counted
    for values in done.report["by"].values():
        for side in ("before", "after"):
            assert sum(value[side]["share"] for value in values.values()) == pytest.approx(1, abs=1e-4)
            assert sum(value[side]["words"] for value in values.values()) == done.report["words"][side]


@pytest.mark.parametrize("name", ["biomed-fr-small", "soft"])
def test_the_labels_and_scores_that_a_recipe_does_not_weigh_by_are_told_too(
    name: str, one: Path, labels: Path, tmp_path: Path
) -> None:
    done = sample(load(name), one, tmp_path / "out", [labels, validate_terms(tmp_path / "terms")])
    by, drawn = done.report["by"], read(tmp_path / "out")
    for field in ("document_type", "domain", "educational_quality", "language"):
        for side, there in (("before", ROWS), ("after", drawn)):
            told = {value: pair[side]["paragraphs"] for value, pair in by[f"annotation.{field}"].items()}
            assert {value: times for value, times in told.items() if times} == Counter(
                str(answer(row)[field]) for row in there
            )
    assert list(by["annotation.educational_quality"]) == ["1", "2", "3", "4", "5"]
    assert "annotation.terms" not in by  # lists are not told
    assert not any(name.startswith("annotation_doc") for name in drawn[0])  # told, not written
    if name == "soft":
        assert list(by["annotation.educational_quality_expected"]) == ["1", "2", "3", "4", "5"]


def test_of_two_tables_that_have_a_field_the_first_is_told(one: Path, labels: Path, tmp_path: Path) -> None:
    others = annotated(tmp_path / "others", ROWS[:9], lambda row: answer(row) | {"domain": "other"})
    done = sample(recipe(), one, tmp_path / "out", [others, labels])
    told = {value: pair["before"]["paragraphs"] for value, pair in done.report["by"]["annotation.domain"].items()}
    assert told == {"(none)": len(ROWS) - 9, "other": 9}
    assert [one["name"] for one in done.report["annotations"]] == ["others"]


def test_weights_are_those_of_the_recipe(one: Path, labels: Path, tmp_path: Path) -> None:
    sample(load("soft"), one, tmp_path / "out", [labels])
    quality = {row["id"]: answer(row)["educational_quality"] for row in ROWS}
    for row in read(tmp_path / "out"):
        assert row["weight"] == pytest.approx(np.exp(quality[row["id"]] - 3), rel=1e-5)


def test_the_same_again_does_nothing_and_another_is_not_overwritten(one: Path, tmp_path: Path) -> None:
    first = sample(recipe(), one, tmp_path / "out")
    assert first.worked
    again = sample(recipe(), one, tmp_path / "out")
    assert not again.worked
    assert again.report == first.report
    with pytest.raises(SampleError, match="holds another run"):
        sample(recipe(seed=2), one, tmp_path / "out")
    before = [row["id"] for row in read(tmp_path / "out")]
    assert sample(recipe(seed=2), one, tmp_path / "out", overwrite=True).worked
    assert [row["id"] for row in read(tmp_path / "out")] != before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(SampleError, match="holds something else"):
        sample(recipe(), one, tmp_path / "mine")


def test_a_run_that_was_stopped_goes_on(
    one: Path, eight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, output = recipe(unit="article"), tmp_path / "out"
    sample(asked, eight, tmp_path / "untouched", words_per_shard=3_000)
    from corpuskit.sample.sampler import Write

    with monkeypatch.context() as patch:
        patch.setattr(Write, "run", _fail)
        with pytest.raises(TaskFailed):
            sample(asked, eight, output, words_per_shard=3_000)
    assert not (output / "manifest.json").exists()
    assert not (output / "paragraphs").exists()
    sample(asked, eight, output, words_per_shard=3_000)
    files = sorted(path.name for path in (output / "paragraphs").iterdir())
    assert len(files) > 1
    for name in files:
        assert (output / "paragraphs" / name).read_bytes() == (
            tmp_path / "untouched" / "paragraphs" / name
        ).read_bytes()
    assert not (output / ".work").exists()


def test_killed_at_random_moments_it_ends_the_same(eight: Path, labels: Path, tmp_path: Path) -> None:
    output, moments, killed = tmp_path / "out", random.Random(3), 0
    sample(load("clinical"), eight, tmp_path / "untouched", [labels], words_per_shard=20_000)
    code = f"""
from corpuskit.executors import Execution
from corpuskit.sample.recipe import load
from corpuskit.sample.run import sample
two = Execution(workers=2)
sample(load("clinical"), {str(eight)!r}, {str(output)!r}, [{str(labels)!r}], two, words_per_shard=20_000)
"""
    for part in ("keys", "dealt", "output/paragraphs"):
        process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            if (output / ".work" / part).exists():
                break
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed
    time.sleep(1)  # workers of a killed driver end by themselves
    sample(load("clinical"), eight, output, [labels], Execution(workers=2), words_per_shard=20_000)
    for path in sorted((tmp_path / "untouched" / "paragraphs").iterdir()):
        assert (output / "paragraphs" / path.name).read_bytes() == path.read_bytes()
    assert json.loads((output / "sample.json").read_bytes()) == json.loads(
        (tmp_path / "untouched" / "sample.json").read_bytes()
    )
    assert not (output / ".work").exists()


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    source = corpus(tmp_path / "corpus", ROWS[:40])
    (source / "manifest.json").write_text('{"tool": "corpuskit build", "fingerprint": "0"}')
    labels = annotated(tmp_path / "labels", ROWS[:40])
    built = corpus(tmp_path / "other", ROWS[40:80])
    shutil.copy(source / "manifest.json", built)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for output, told in (
        (source, f"the run reads from {source}"),
        (source / "sample", f"the run reads from {source}"),
        (labels, f"the run reads from {labels}"),
        (tmp_path, "the run reads from"),
        (built, "holds what `corpuskit build` wrote: choose another folder"),
    ):
        for overwrite in (False, True):
            with pytest.raises(SampleError, match=told):
                sample(recipe(), source, output, [labels], overwrite=overwrite)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_folder_that_cannot_be_written_is_told(one: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        done = CliRunner().invoke(app, ["sample", "biomed-fr", "--from", str(one), "--output", str(output)])
        assert done.exit_code == 1
        assert f"error: {output} cannot be written: Not a directory; choose another folder" in done.output


def _fail(*_: Any) -> None:
    raise RuntimeError("the disk is full")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factors": {"q": QUALITY | {"field": "annotation.quality"}}}, "annotation.quality: no such field"),
        (
            {"factors": {"q": QUALITY | {"field": "educational_quality"}}},
            "educational_quality: no such field; did you mean `annotation.educational_quality`?",
        ),
        (
            {"factors": {"q": QUALITY | {"field": "annotation.domain"}}},
            "factors.q: `annotation.domain` holds string, and a threshold needs numbers; use a map",
        ),
        (
            {"factors": {"q": {"type": "map", "field": "annotation.domain", "weights": {"clinic": 2}, "missing": 1}}},
            "factors.q: `annotation.domain` has no label 'clinic'; did you mean 'clinical'?",
        ),
        (
            {"factors": {"q": {"type": "map", "field": "subjects", "weights": {"a": 2}, "missing": 1}}},
            "factors.q: `subjects` holds lists",
        ),
        (
            {"factors": {"q": {"type": "linear", "field": "annotation.domain_probabilities", "missing": 1}}},
            "holds lists; a recipe weighs by fields of one value, such as `annotation.domain` or "
            "`annotation.domain_entropy`",
        ),
        (
            {
                "factors": {
                    "q": {
                        "type": "share",
                        "missing": 1,
                        "where": {"field": "annotation.domain", "at_least": 3},
                        "steps": [{"above": 0, "weight": 1}],
                    }
                }
            },
            "factors.q: `annotation.domain` holds string, and a share needs numbers; give `among: [LABEL, …]`",
        ),
        (
            {"factors": {"q": QUALITY | {"field": "ocr_noise"}}},
            "nothing is selected: factors.q: `ocr_noise` is null in all 1,200 paragraphs: weigh by another field",
        ),
        (
            {"factors": {"q": QUALITY | {"at_least": 6}}},
            "nothing is selected: no paragraph has a weight above 0; `q` sets",
        ),
        (
            {"budget": {"words": WORDS + 1}},
            f"the budget is {WORDS + 1:,} words, and there are {WORDS:,} with a weight above 0: lower the budget or",
        ),
        (
            {"budget": {"share": 3}, "replacement": True, "repetitions": 2},
            "each at most 2 times: lower the budget or raise `repetitions`",
        ),
        ({"factors": {"q": QUALITY | {"weight": 10}}}, "weights go up to 10, and nothing may come twice"),
        ({"budget": {"words": 1}}, "the budget is smaller than the first paragraph"),
        (
            {"budget": {"words": 100}, "shares": {"source": {"istex": 0.5}}},
            "shares.source: no paragraph with a weight above 0 has 'istex'",
        ),
        (
            {"budget": {"words": 100}, "shares": {"source": {"hal": 0.5, "pubmed": 0.2}}},
            "shares.source: they come to less than 1, and there is nothing else",
        ),
        (
            {"budget": {"words": WORDS // 2}, "shares": {"source": {"pubmed": 1}}},
            "of source = pubmed, and there are",
        ),
        (
            {"factors": {"q": {"type": "temperature", "field": "year", "temperature": 1, "missing": 1}}},
            "some weight is too large for a number",
        ),
    ],
)
def test_a_bad_recipe_is_refused_with_what_to_do(
    settings: dict[str, Any], message: str, one: Path, labels: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError) as told:
        sample(recipe(**settings), one, tmp_path / "out", [labels])
    assert message in str(told.value)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_labels_without_probabilities_have_no_expected_scores(one: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as told:
        sample(load("soft"), one, tmp_path / "out", [annotated(tmp_path / "hard", ROWS)])
    assert str(told.value) == (
        "nothing is selected: factors.quality: `annotation.educational_quality_expected` is null in all 1,200 "
        "paragraphs: these labels "
        "have no probabilities; use `annotation.educational_quality`, or the labels of a student"
    )


def test_what_a_factor_looks_for_in_vain_is_told(one: Path, labels: Path, tmp_path: Path) -> None:
    factors = {
        "source": {"type": "map", "field": "source", "weights": {"hal": 1, "pubmd": 2}, "missing": 1},
        "case": {
            "type": "share", "where": {"field": "annotation.document_type", "among": ["review", "study"]},
            "steps": [{"above": 0, "weight": 1}], "missing": 1,
        },
        "noise": QUALITY | {"field": "ocr_noise", "missing": 1},
    }  # fmt: skip
    done = sample(recipe(factors=factors, budget={"words": 500}), one, tmp_path / "out", [labels])
    assert done.report["warnings"] == [
        "factors.noise: `ocr_noise` is null in all 1,200 paragraphs: "
        "weigh by another field, or see what `missing` says",
        "factors.source: no paragraph has 'pubmd' in `source`; did you mean 'pubmed'?",
        "factors.case: no paragraph has 'review' in `annotation.document_type`; there are clinical_case, study",
    ]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe(factors=factors, budget={"words": 500}).model_dump()))
    asked = ["sample", str(tmp_path / "mine.yaml"), "--from", str(one), "-a", str(labels), "-o", str(tmp_path / "o")]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.output
    assert "note: factors.source: no paragraph has 'pubmd' in `source`; did you mean 'pubmed'?" in told.output


def test_annotations_that_are_not_there_or_of_another_corpus(one: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"needs annotations; give --annotations DIR"):
        sample(load("educational"), one, tmp_path / "out")
    others = annotated(tmp_path / "others", [row | {"id": f"x{row['id']}"} for row in ROWS[:9]])
    with pytest.raises(SampleError, match="not one paragraph of the corpus is there"):
        sample(load("educational"), one, tmp_path / "out", [others])
    twice = annotated(tmp_path / "twice", [ROWS[0], *ROWS])
    with pytest.raises(TaskFailed, match="some id has two rows"):
        sample(load("educational"), one, tmp_path / "out", [twice])


def test_on_the_command_line(one: Path, labels: Path, tmp_path: Path) -> None:
    run = CliRunner()
    asked = ["sample", "educational", "--from", str(one), "--annotations", str(labels), "--output", str(tmp_path / "o")]
    done = run.invoke(app, asked, env={"COLUMNS": "120"})
    assert done.exit_code == 0, done.output
    assert "annotation.educational_quality" in done.output
    assert "Effective sample size: 720 paragraphs" in done.output
    assert "holds this very sample already" in run.invoke(app, asked).output
    shutil.rmtree(tmp_path / "o")
    smaller = run.invoke(app, [*asked, "--words", "100", "--seed", "5"])
    assert smaller.exit_code == 0
    written = (tmp_path / "o" / "recipe.yaml").read_text()
    assert "seed: 5" in written
    assert "words: 100" in written
    assert load(tmp_path / "o" / "recipe.yaml").seed == 5
    manifest = json.loads((tmp_path / "o" / "manifest.json").read_bytes())
    assert manifest["tool"] == "corpuskit sample"
    assert [one["source"] for one in manifest["inputs"]] == ["paragraphs", "annotations"]
    assert {one["name"] for one in manifest["outputs"]} == {"paragraphs/00000.parquet", "recipe.yaml", "sample.json"}
    (told,) = manifest["annotations"]
    assert (told["prompt"]["name"], told["annotator"]["name"]) == ("biomed-enriched-fr", "teacher")
    listed = run.invoke(app, ["sample", "--list"], env={"COLUMNS": "160"})
    assert listed.exit_code == 0
    for name in shipped():
        assert re.search(rf"^{name} +{re.escape(load(name).description)} *$", listed.output, re.MULTILINE)
    failed = run.invoke(app, ["sample", "clinicl", "--from", str(one), "--output", str(tmp_path / "p")])
    assert failed.exit_code == 1
    assert "did you mean clinical?" in failed.output
