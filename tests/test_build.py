"""A whole build: files in, data set out, and what happens when things go wrong."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import orjson
import pyarrow.parquet as pq
import pytest

from corpuskit import build as building
from corpuskit import runs
from corpuskit.build import BuildError, build
from corpuskit.config import BuildConfig, load, validate
from corpuskit.dedup import decide
from corpuskit.paragraphs import collate
from corpuskit.paragraphs.funnel import Unbalanced

SAMPLES = Path(building.__file__).parent / "samples"
FRENCH = (
    "Le patient, âgé de soixante-deux ans, a été hospitalisé pour une douleur thoracique apparue deux jours avant "
    "son admission, avec une élévation modérée de la troponine et un électrocardiogramme normal."
)
ENGLISH = (
    "The patient was admitted to the hospital with chest pain that had started two days before, with a moderate rise "
    "of troponin and a normal electrocardiogram."
)

LONGER = (
    "L'évolution a été favorable sous traitement médical, et le patient a quitté le service au bout d'une semaine "
    "avec un suivi par son médecin."
)


def rows(folder: Path, *texts: str, name: str = "cases.jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"id": str(at), "text": text}, ensure_ascii=False) for at, text in enumerate(texts)]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def jsonl(path: Path, **options: object) -> BuildConfig:
    return validate({"sources": [{"type": "jsonl", "path": str(path)}], **options})


def texts(output: Path, what: str = "paragraphs") -> list[str]:
    found = [pq.read_table(path, columns=["text"]) for path in sorted((output / what).glob("*.parquet"))]
    return [text for table in found for text in table["text"].to_pylist()]


def files(output: Path) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.rglob("*.parquet"))}


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("demo") / "corpus"
    build(load(SAMPLES / "demo.yaml"), output, workers=1)
    return output


def test_french_is_kept_and_english_is_dropped_with_its_reason(tmp_path: Path) -> None:
    run = build(jsonl(rows(tmp_path / "in", FRENCH + "\n\n" + ENGLISH)), tmp_path / "out")
    assert texts(tmp_path / "out") == [FRENCH]
    assert texts(tmp_path / "out", "dropped") == [ENGLISH]
    (row,) = run.funnel["dropped"]
    assert (row["stage"], row["reason"], row["count"]) == ("language", "en", 1)
    assert 0.4 < run.funnel["languages"]["jsonl"]["en"]["share_of_words"] < 0.5


def test_any_language_keeps_and_records_it(tmp_path: Path) -> None:
    build(jsonl(rows(tmp_path / "in", FRENCH + "\n\n" + ENGLISH), language="any"), tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "paragraphs")
    assert table["language"].to_pylist() == ["fr", "en"]


def test_the_demo_holds_what_was_planted(demo: Path) -> None:
    with duckdb.connect() as db:
        dropped = db.execute(
            f"SELECT source, stage, reason, count(*) FROM '{demo}/dropped/*.parquet' GROUP BY ALL"
        ).fetchall()
        merged = dict(db.execute(f"SELECT id, merged_ids FROM '{demo}/articles/*.parquet'").fetchall())
    found = {(source, stage, reason) for source, stage, reason, _ in dropped}
    assert {
        ("istex", "select", "year"),
        ("istex", "select", "category"),
        ("istex", "language", "en"),
        ("istex", "ocr", "noise"),
        ("istex", "kind", "reference"),
        ("hal", "select", "domain"),
        ("hal", "language", "en"),
        ("pubmed", "language", "en"),
        ("pubmed", "join", "same_article"),
        ("pubmed", "join", "companion"),
        ("wikipedia", "select", "redirect"),
        ("wikipedia", "select", "not_biomedical"),
        ("html", "language", "en"),
        ("cases", "duplicate", "same_text"),
    } <= found
    assert "pubmed:39900084" in merged["hal:hal-02184001"]
    assert any("hal:hal-00184502" in (ids or ()) for name, ids in merged.items() if name.startswith("istex:"))
    corrupt = [json.loads(line) for line in (demo / "quarantine" / "00000.jsonl").read_text().splitlines()]
    assert {"truncated.xml"} <= {Path(row["file"]).name for row in corrupt}
    kept = " ".join(texts(demo))
    for gone in ("Ã©", "ﬁ", "\u00ad"):
        assert gone not in kept


def test_cases_that_differ_by_a_dose_are_both_kept(demo: Path) -> None:
    kept = [text for text in texts(demo) if "amoxicilline" in text.lower()]
    assert any(" 500 mg" in text for text in kept)
    assert any(" 1 000 mg" in text or " 1000 mg" in text for text in kept)


def test_every_path_of_the_demo_leads_back_to_its_text(demo: Path) -> None:
    """Character spans hold the words of their paragraph (hyphenation and mending aside)."""
    with duckdb.connect() as db:
        found = db.execute(
            f"SELECT file, path, text FROM '{demo}/paragraphs/*.parquet' WHERE source = 'istex' AND path LIKE 'char=%'"
        ).fetchall()
    assert found
    for file, path, text in found:
        start, end = map(int, path.removeprefix("char=").split(","))
        raw = (SAMPLES / "istex" / file).read_text(encoding="utf-8")[start:end]
        for word in (text.split()[0], text.split()[-1]):
            assert word[:4] in raw.replace("-\n", "") or "Ã" in raw or "ﬁ" in raw, (file, path, word)


@pytest.mark.parametrize("workers", [2, 4])
def test_the_number_of_workers_does_not_show(demo: Path, tmp_path: Path, workers: int) -> None:
    build(load(SAMPLES / "demo.yaml"), tmp_path / "out", workers=workers)
    assert files(tmp_path / "out") == files(demo)
    assert (tmp_path / "out/quarantine/00000.jsonl").read_bytes() == (demo / "quarantine/00000.jsonl").read_bytes()


def test_tables_open_with_datasets(demo: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    loaded = load_dataset(
        "parquet", data_files=str(demo / "paragraphs/*.parquet"), split="train", cache_dir=str(tmp_path)
    )
    assert loaded.num_rows == len(texts(demo))
    assert loaded.features["subjects"].feature.dtype == "string"


def test_the_manifest_names_every_input_with_its_checksum(demo: Path) -> None:
    manifest = orjson.loads((demo / "manifest.json").read_bytes())
    named = {(row["source"], row["name"]): row["sha256"] for row in manifest["inputs"]}
    assert len(named[("pubmed", "medline.xml")]) == 64
    # An ISTEX extraction tells its day itself; other files are of the day of their last change.
    changed = datetime.fromtimestamp((SAMPLES / "jsonl" / "cases.jsonl").stat().st_mtime, UTC).date().isoformat()
    assert manifest["dates"]["istex"] == ["2026-11-02", "2026-11-02"]
    assert manifest["dates"]["cases"] == [changed, changed]
    assert manifest["config"]["language"] == "fr"
    assert manifest["versions"]["datatrove"].startswith("0.10")
    assert {row["name"] for row in manifest["outputs"]} >= {"articles/00000.parquet", "funnel.json"}
    rows = {row["name"]: row.get("rows") for row in manifest["outputs"]}
    assert rows["paragraphs/00000.parquet"] == len(texts(demo))
    assert rows["funnel.json"] is None


def test_the_same_build_again_does_no_work(tmp_path: Path) -> None:
    config = jsonl(rows(tmp_path / "in", FRENCH))
    assert build(config, tmp_path / "out").worked
    before = (tmp_path / "out/manifest.json").stat().st_mtime_ns
    assert not build(config, tmp_path / "out").worked
    assert (tmp_path / "out/manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("named", [True, False])
def test_a_build_that_was_killed_after_its_last_file_is_tidied_up(tmp_path: Path, named: bool) -> None:
    config, output = jsonl(rows(tmp_path / "in", FRENCH)), tmp_path / "out"
    fingerprint = build(config, output).manifest["fingerprint"]
    with runs.working(output, fingerprint) as work:
        (work / "articles").mkdir()
        if not named:
            (work / "run.json").unlink()
    assert not build(config, output).worked
    assert not (output / runs.WORK).exists()
    assert texts(output) == [FRENCH]


def test_what_another_build_left_beside_a_finished_one_stays(tmp_path: Path) -> None:
    config, output = jsonl(rows(tmp_path / "in", FRENCH)), tmp_path / "out"
    build(config, output)
    with runs.working(output, "d" * 64) as work:
        (work / "articles").mkdir()
    assert not build(config, output).worked
    assert (output / runs.WORK / "articles").exists()


def test_another_build_is_not_overwritten_unasked(tmp_path: Path) -> None:
    source = rows(tmp_path / "in", FRENCH)
    build(jsonl(source), tmp_path / "out")
    with pytest.raises(BuildError, match=r"holds another build .* --overwrite"):
        build(jsonl(source, language="any"), tmp_path / "out")
    rows(source, FRENCH, FRENCH.replace("deux jours", "trois jours"))
    with pytest.raises(BuildError, match="holds another build"):
        build(jsonl(source), tmp_path / "out")
    assert build(jsonl(source), tmp_path / "out", overwrite=True).worked
    assert len(texts(tmp_path / "out")) == 2


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("!")
    with pytest.raises(BuildError, match="no build of corpuskit"):
        build(jsonl(rows(tmp_path / "in", FRENCH)), tmp_path / "out")
    assert (tmp_path / "out/thesis.tex").read_text() == "!"


def test_an_empty_result_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"not one paragraph was kept .*language: en"):
        build(jsonl(rows(tmp_path / "in", ENGLISH)), tmp_path / "out")
    assert texts(tmp_path / "out", "dropped")[-1] == ENGLISH


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"sources\[0\] \(jsonl\): nothing at"):
        build(jsonl(tmp_path / "absent"), tmp_path / "out")


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(BuildError, match="cannot be written: File exists"):
        build(jsonl(rows(tmp_path / "in", FRENCH)), tmp_path / "out")


def test_an_empty_result_does_not_replace_a_build(tmp_path: Path) -> None:
    build(jsonl(rows(tmp_path / "in", FRENCH)), tmp_path / "out")
    with pytest.raises(BuildError, match=r"not one paragraph was kept .*\.work/output/funnel.json"):
        build(jsonl(rows(tmp_path / "in", ENGLISH)), tmp_path / "out", overwrite=True)
    assert texts(tmp_path / "out") == [FRENCH]


def test_a_record_and_its_full_text_join_even_without_deduplication(tmp_path: Path) -> None:
    """And whatever their files are called."""
    source = tmp_path / "in"
    shutil.copytree(SAMPLES / "hal", source)
    config = validate({"sources": [{"type": "hal", "path": str(source)}], "dedup": {"articles": False}})
    first = build(config, tmp_path / "one").funnel["kept"]
    (source / "export.xml").rename(source / "z.xml")
    assert build(config, tmp_path / "two").funnel["kept"] == first
    assert first["hal"]["words"] > 1900


def test_a_broken_file_costs_only_itself(tmp_path: Path) -> None:
    source = rows(tmp_path / "in", FRENCH)
    (source / "empty.jsonl").write_bytes(b"")
    (source / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"id": "9", "text": "' + b"x" * 9000)[:40])
    (source / "notes.pdf").write_bytes(b"%PDF")
    run = build(jsonl(source), tmp_path / "out")
    assert run.funnel["quarantined"] == {"jsonl": 2}
    assert run.manifest["ignored"] == {"jsonl": {".pdf": 1}}
    assert texts(tmp_path / "out") == [FRENCH]


def test_a_lost_paragraph_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the accounts is a real one: a fault in the writing is found."""
    whole = collate.collate

    def lossy(articles, paragraphs):  # type: ignore[no-untyped-def]
        kept_articles, kept, dropped = whole(articles, paragraphs)
        return kept_articles, kept.slice(1), dropped

    monkeypatch.setattr(collate, "collate", lossy)
    with pytest.raises(Unbalanced, match="jsonl: 2 paragraphs were read, but 1 were kept and 0 dropped"):
        build(jsonl(rows(tmp_path / "in", FRENCH, FRENCH.replace("deux", "trois"))), tmp_path / "out")
    assert not (tmp_path / "out/manifest.json").exists()


def test_an_interrupted_build_leaves_nothing_that_looks_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = jsonl(rows(tmp_path / "in", FRENCH))
    monkeypatch.setattr(decide, "decide", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(config, tmp_path / "out")
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".work"]
    assert build(config, tmp_path / "out").worked
    assert not (tmp_path / "out/.work").exists()


def test_limit_takes_the_first_articles_of_each_source(tmp_path: Path) -> None:
    source = rows(tmp_path / "in", *(f"{FRENCH} Cas {at}." for at in range(5)))
    shutil.copy(source / "cases.jsonl", source / "more.jsonl")
    run = build(jsonl(source), tmp_path / "out", workers=2, limit=3)
    assert run.funnel["read"]["jsonl"]["articles"] == 3
    assert run.manifest["limit"] == 3


def test_gophers_rules_for_whole_articles_are_applied_on_demand(tmp_path: Path) -> None:
    source = rows(tmp_path / "in", FRENCH, f"{FRENCH}\n\n{LONGER}")
    build(jsonl(source), tmp_path / "plain")
    assert len(texts(tmp_path / "plain")) == 2
    run = build(
        jsonl(source, clean={"gopher": {"min_doc_words": 40}}, dedup={"paragraphs": False}), tmp_path / "gopher"
    )
    assert texts(tmp_path / "gopher") == [FRENCH, LONGER]
    assert [(row["stage"], row["unit"], row["reason"]) for row in run.funnel["dropped"]] == [
        ("gopher", "article", "gopher_short_doc"),
        ("gopher", "paragraph", "gopher_short_doc"),
    ]


def test_a_test_set_that_cannot_be_read_stops_the_build_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text('{"text": "un cas"}\n{"text": \n')
    tests = [{"name": "cas", "path": str(tmp_path / "test.jsonl")}]
    config = jsonl(rows(tmp_path / "in", FRENCH), clean={"decontaminate": {"tests": tests}})
    with pytest.raises(BuildError, match=r"test set cas: .*test\.jsonl cannot be read"):
        build(config, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_was_found_of_a_test_set_is_in_the_funnel_and_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text(f"title\ttext\n{LONGER}\t{FRENCH}\n", encoding="utf-8")
    source = rows(tmp_path / "in", f"{FRENCH}\n\n{LONGER}")
    for field, left in (("text", LONGER), ("title", FRENCH)):
        tests = [{"name": "cas", "path": f"{tmp_path}/test.tsv:{field}"}]
        run = build(jsonl(source, clean={"decontaminate": {"tests": tests}}), tmp_path / field)
        assert texts(tmp_path / field) == [left]
        told = {"units": 1, "short": 0, "formulas": 0, "seen": 1, "hits": 1, "paragraphs": 1}
        assert told.items() <= run.manifest["contamination"]["cas"].items()
        assert run.funnel["contamination"] == run.manifest["contamination"]
    with pytest.raises(BuildError, match="holds another build"):  # the same file, another field
        build(jsonl(source, clean={"decontaminate": {"tests": tests}}), tmp_path / "text")


def test_masking_is_done_on_demand(tmp_path: Path) -> None:
    source = rows(tmp_path / "in", FRENCH + " Contact : secretariat@hopital.example, 01 23 45 67 89.")
    build(jsonl(source), tmp_path / "plain")
    assert "secretariat@hopital.example" in texts(tmp_path / "plain")[0]
    build(jsonl(source, clean={"mask": {"kinds": ["email", "phone"]}}), tmp_path / "masked")
    (masked,) = texts(tmp_path / "masked")
    assert "secretariat" not in masked
    assert "01 23 45 67 89" not in masked


def test_hostile_input_is_refused_and_everything_else_is_read(tmp_path: Path) -> None:
    source = tmp_path / "in"
    shutil.copytree(SAMPLES / "hal", source)
    good = build(validate({"sources": [{"type": "hal", "path": str(source)}]}), tmp_path / "good")
    entities = '<!ENTITY a "boum"><!ENTITY b "&a;&a;&a;&a;">'
    bomb = f"<!DOCTYPE r [{entities}]><r><biblFull><titleStmt>&b;</titleStmt></biblFull></r>"
    leak = '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r><biblFull><title>&e;</title></biblFull></r>'
    (source / "bomb.xml").write_text(bomb)
    (source / "leak.xml").write_text(leak)
    (source / "empty.xml").write_bytes(b"")
    (source / "latin.xml").write_bytes(
        "<?xml version='1.0' encoding='utf-8'?><r><biblFull>é</biblFull></r>".encode("latin-1")
    )
    (source / "cut.xml.gz").write_bytes(gzip.compress((SAMPLES / "hal" / "export.xml").read_bytes())[:2000])
    with zipfile.ZipFile(source / "slip.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../slip.xml", "<r><biblFull/></r>")
        archive.writestr("zeros.xml", bytes(100 << 20))
    long = tmp_path / "long"
    long.mkdir()
    with open(long / "cases.jsonl", "w") as lines:
        lines.write('{"id": "long", "text": "' + "mot " * (17 << 20) + '"}\n')
        lines.write(json.dumps({"id": "big", "text": "mot " * 500_000}) + "\n")
        lines.write(json.dumps({"id": "short", "text": FRENCH}) + "\n")
    config = validate({"sources": [{"type": "hal", "path": str(source)}, {"type": "jsonl", "path": str(long)}]})
    run = build(config, tmp_path / "out", workers=2)
    assert run.funnel["kept"]["hal"] == good.funnel["kept"]["hal"]
    assert run.funnel["kept"]["jsonl"]["paragraphs"] == 1
    refused = [json.loads(line) for line in (tmp_path / "out/quarantine/00000.jsonl").read_text().splitlines()]
    errors = {row["file"]: row["error"] for row in refused if row["file"] != "export.xml"}
    assert {Path(name).name for name in errors} == {
        "bomb.xml", "leak.xml", "empty.xml", "latin.xml", "cut.xml", "slip.xml", "zeros.xml", "cases.jsonl",
    }  # fmt: skip
    assert all(errors.values())
    written = texts(tmp_path / "out") + texts(tmp_path / "out", "dropped")
    everything = " ".join(text for text in written if text) + json.dumps(refused)
    assert "root:" not in everything
    assert "boum" not in everything
    assert not (tmp_path / "slip.xml").exists()
    (too_long,) = [row for row in run.funnel["dropped"] if row["source"] == "jsonl" and row["unit"] == "paragraph"]
    assert (too_long["stage"], too_long["reason"]) == ("encoding", "too_long")
