"""The kept and the dropped, from parts to tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.dedup import decide
from corpuskit.dedup.boilerplate import BoilerplateOptions
from corpuskit.dedup.decide import Rules
from corpuskit.dedup.near import NearOptions
from corpuskit.dedup.parts import PartWriter
from corpuskit.paragraphs import collate
from corpuskit.records import ARTICLE_SCHEMA, DROPPED_SCHEMA, PARAGRAPH_SCHEMA, Article, Paragraph
from corpuskit.steps import to_document


def article(id: str, *texts: str, **columns: object) -> Article:
    paragraphs = [Paragraph(text, path=f"/p[{at}]", language="fr") for at, text in enumerate(texts, 1)]
    return Article(id=id, source=id.split(":")[0], file="f.xml", paragraphs=paragraphs, **columns)  # type: ignore[arg-type]


def finish(folder: Path, tasks: list[list[tuple[int, Article]]], words_per_shard: int = 10**9, **options: Any) -> int:
    """Run everything after cleaning; each task holds numbered articles."""
    work = folder / "work"
    for rank, task in enumerate(tasks):
        documents = []
        for key, item in task:
            document = to_document(item)
            document.metadata["key"] = key
            documents.append(document)
        list(PartWriter(work, options.get("near")).run(iter(documents), rank, len(tasks)))
    rules = Rules(["istex", "hal", "pubmed"], words_per_shard=words_per_shard, **options)
    if rules.near:
        decide.candidates(work, rules)
        for rank in range(len(tasks)):
            list(decide.Shingle(work, rules.near).run(None, rank, len(tasks)))
    shards = decide.decide(work, rules)
    for rank in range(len(tasks)):
        list(collate.Deal(work).run(None, rank, len(tasks)))
    for rank in range(shards):
        list(collate.Collate(work, folder).run(None, rank, shards))
    return shards


def read(folder: Path, name: str) -> list[dict[str, object]]:
    return [row for path in sorted((folder / name).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_kept_paragraphs_stand_in_order_under_their_article(tmp_path: Path) -> None:
    two = article("hal:b", "Premier paragraphe.", "Second paragraphe.", year=2019, licence="CC-BY-4.0")
    one = article("hal:a", "Autre texte.", journal="Revue", subjects=["hal:sdv.mhep"])
    finish(tmp_path, [[(0, two), (1, one)]])
    rows = read(tmp_path, "paragraphs")
    assert [(row["article_id"], row["order"], row["text"], row["words"]) for row in rows] == [
        ("hal:a", 0, "Autre texte.", 2),
        ("hal:b", 0, "Premier paragraphe.", 2),
        ("hal:b", 1, "Second paragraphe.", 2),
    ]
    assert [(row["year"], row["licence"], row["journal"], row["subjects"]) for row in rows] == [
        (None, None, "Revue", ["hal:sdv.mhep"]),
        (2019, "CC-BY-4.0", None, None),
        (2019, "CC-BY-4.0", None, None),
    ]
    assert [(row["id"], row["paragraphs"], row["words"]) for row in read(tmp_path, "articles")] == [
        ("hal:a", 1, 2),
        ("hal:b", 2, 4),
    ]


def test_files_have_the_schemas_of_the_contract(tmp_path: Path) -> None:
    finish(tmp_path, [[(0, article("hal:a", "Un texte."))]])
    for name, schema in (
        ("articles", ARTICLE_SCHEMA),
        ("paragraphs", PARAGRAPH_SCHEMA),
        ("dropped", DROPPED_SCHEMA),
    ):
        assert pq.read_schema(tmp_path / name / "00000.parquet").equals(schema, check_metadata=False)


def test_the_id_of_a_paragraph_depends_on_its_text_alone(tmp_path: Path) -> None:
    finish(tmp_path / "1", [[(0, article("hal:a", "Un.", "Deux."))]])
    finish(tmp_path / "2", [[(7, article("hal:a", "Zéro.", "Un.", "Deux."))]])
    first = {row["text"]: row["id"] for row in read(tmp_path / "1", "paragraphs")}
    second = {row["text"]: row["id"] for row in read(tmp_path / "2", "paragraphs")}
    assert first["Un."] == second["Un."] == "hal:a#fc783320f431"
    assert first["Deux."] == second["Deux."]


def test_a_marked_paragraph_is_found_among_the_dropped(tmp_path: Path) -> None:
    item = article("hal:a", "Un texte.", "An English text.")
    item.paragraphs[1].mark("language", "en", "0.98")
    finish(tmp_path, [[(0, item)]])
    (row,) = read(tmp_path, "dropped")
    assert [row[name] for name in ("unit", "article_id", "stage", "reason", "detail", "text", "path", "words")] == [
        "paragraph", "hal:a", "language", "en", "0.98", "An English text.", "/p[2]", 3,
    ]  # fmt: skip
    assert row["id"].startswith("hal:a#")  # type: ignore[attr-defined]


def test_a_marked_article_takes_its_paragraphs_along(tmp_path: Path) -> None:
    item = article("istex:a", "Un texte.", title="Vieux", language="fr")
    item.mark("select", "year", "1985 is before 1990")
    finish(tmp_path, [[(0, item)]])
    found = [(row["unit"], row["stage"], row["reason"], row["text"]) for row in read(tmp_path, "dropped")]
    assert found == [("article", "select", "year", "Vieux"), ("paragraph", "select", "year", "Un texte.")]
    assert read(tmp_path, "articles") == []


def test_an_article_without_a_paragraph_left_is_dropped(tmp_path: Path) -> None:
    item = article("hal:a", "An English text.")
    item.paragraphs[0].mark("language", "en")
    finish(tmp_path, [[(0, item), (1, article("hal:b"))]])
    assert [
        (row["unit"], row["id"], row["reason"]) for row in read(tmp_path, "dropped") if row["unit"] == "article"
    ] == [
        ("article", "hal:a", "no_paragraph_left"),
        ("article", "hal:b", "no_paragraph_left"),
    ]
    assert [row["detail"] for row in read(tmp_path, "dropped") if row["unit"] == "article"] == [
        "1 by language: en",
        "it has no text",
    ]


def test_one_of_equal_paragraphs_survives_in_the_first_source(tmp_path: Path) -> None:
    finish(
        tmp_path, [[(0, article("pubmed:1", "Le même texte.", "Propre."))], [(1, article("istex:z", "Le même texte."))]]
    )
    assert [row["article_id"] for row in read(tmp_path, "paragraphs")] == ["istex:z", "pubmed:1"]
    (row,) = read(tmp_path, "dropped")
    kept = {row["text"]: row["id"] for row in read(tmp_path, "paragraphs")}
    assert (row["stage"], row["reason"], row["detail"]) == ("duplicate", "same_text", kept["Le même texte."])


def test_a_duplicate_names_the_copy_that_was_kept(tmp_path: Path) -> None:
    item = article("istex:a", "Le même texte.", "Le même texte.")
    item.paragraphs[0].mark("kind", "note")
    finish(tmp_path, [[(0, item), (1, article("pubmed:1", "Le même texte.", "Propre."))]])
    survivor = next(row["id"] for row in read(tmp_path, "paragraphs") if row["article_id"] == "istex:a")
    assert [row["detail"] for row in read(tmp_path, "dropped") if row["reason"] == "same_text"] == [survivor]


def test_texts_that_differ_by_a_dose_are_two(tmp_path: Path) -> None:
    finish(tmp_path, [[(0, article("hal:a", "Amoxicilline 500 mg.", "Amoxicilline 1 000 mg."))]])
    assert len(read(tmp_path, "paragraphs")) == 2


def test_a_record_and_its_full_text_are_one_article(tmp_path: Path) -> None:
    record = article(
        "pubmed:1", "Le titre.", "Le résumé.", form="record", pmid="1", pmcid="PMC9", subjects=["mesh:Asthma"]
    )
    text = article(
        "pubmed:PMC9", "Le titre.", "Le corps du texte.", pmcid="PMC9", licence="CC-BY-4.0", subjects=["asthme"]
    )
    text.file = "PMC9.nxml"
    finish(tmp_path, [[(0, text)], [(1 << 32, record)]])
    rows = read(tmp_path, "paragraphs")
    assert [(row["article_id"], row["order"], row["text"], row["file"]) for row in rows] == [
        ("pubmed:1", 0, "Le titre.", "f.xml"),
        ("pubmed:1", 1, "Le résumé.", "f.xml"),
        ("pubmed:1", 3, "Le corps du texte.", "PMC9.nxml"),
    ]
    (merged,) = read(tmp_path, "articles")
    assert (merged["pmid"], merged["pmcid"], merged["licence"]) == ("1", "PMC9", "CC-BY-4.0")
    assert (merged["subjects"], merged["merged_ids"]) == (["mesh:Asthma", "asthme"], ["pubmed:PMC9"])
    assert [(row["unit"], row["reason"]) for row in read(tmp_path, "dropped")] == [
        ("paragraph", "same_text"),
        ("article", "companion"),
    ]


def test_a_twin_gives_its_ids_but_never_its_licence(tmp_path: Path) -> None:
    poor = article("pubmed:1", "Court.", doi="10.1/x", pmid="1", year=2019, licence="CC0-1.0")
    rich = article("hal:h", "Un texte bien plus long que l'autre.", doi="10.1/x", hal_id="h")
    finish(tmp_path, [[(0, poor), (1, rich)]])
    (row,) = read(tmp_path, "articles")
    assert (row["id"], row["pmid"], row["year"], row["merged_ids"]) == ("hal:h", "1", 2019, ["pubmed:1"])
    assert row["licence"] is None
    assert {(row["unit"], row["reason"], row["id"].partition("#")[0]) for row in read(tmp_path, "dropped")} == {  # type: ignore[attr-defined]
        ("article", "same_article", "pubmed:1"),
        ("paragraph", "same_article", "pubmed:1"),
    }


@pytest.mark.parametrize("option", ["join", "exact_duplicates"])
def test_deduplication_can_be_left_out(tmp_path: Path, option: str) -> None:
    articles = [article("hal:a", "Le même.", doi="10.1/x"), article("pubmed:1", "Le même.", "Un autre.", doi="10.1/x")]
    finish(tmp_path, [list(enumerate(articles))], **{option: False})
    assert len(read(tmp_path, "articles")) == (2 if option == "join" else 1)


def test_shards_are_ranges_of_ids(tmp_path: Path) -> None:
    articles = [article(f"hal:{name}", f"Le texte numéro {name} compte six mots.") for name in "dacbe"]
    shards = finish(tmp_path, [list(enumerate(articles))], words_per_shard=54)
    ids = [[row["id"] for row in pq.read_table(path).to_pylist()] for path in sorted((tmp_path / "articles").glob("*"))]
    assert (shards, ids) == (3, [["hal:a", "hal:b"], ["hal:c", "hal:d"], ["hal:e"]])


_TEXTS = st.sampled_from(["Le premier texte.", "Un deuxième texte.", "Encore un autre.", "Le dernier."])
_ARTICLES = st.lists(
    st.tuples(st.sampled_from(["hal:a", "hal:b", "pubmed:1", "pubmed:2", "istex:z"]), st.lists(_TEXTS, max_size=3),
              st.sampled_from(["", "10.1/x", "10.1/y"]), st.booleans()),
    max_size=8,
)  # fmt: skip


@given(items=_ARTICLES, data=st.data())
def test_nothing_is_lost_and_tasks_do_not_show(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[str, list[str], str, bool]], data: st.DataObject
) -> None:
    def articles() -> list[tuple[int, Article]]:
        return [
            (key, article(name, *texts, doi=doi, form="record" if record else "fulltext"))
            for key, (name, texts, doi, record) in enumerate(items)
        ]

    folder = tmp_path_factory.mktemp("run")
    finish(folder / "1", [articles()])
    numbered = articles()
    cut = data.draw(st.integers(0, len(numbered)))
    finish(folder / "2", [numbered[cut:], numbered[:cut]])
    for name in ("articles", "paragraphs", "dropped"):
        assert read(folder / "1", name) == read(folder / "2", name)
    rows = read(folder / "1", "dropped")
    dropped = [row["unit"] for row in rows]
    assert len(read(folder / "1", "articles")) + dropped.count("article") == len(items)
    assert len(read(folder / "1", "paragraphs")) + dropped.count("paragraph") == sum(
        len(texts) for _, texts, _, _ in items
    )


def test_an_empty_task_is_no_trouble(tmp_path: Path) -> None:
    finish(tmp_path, [[], [(0, article("hal:a", "Un texte."))]])
    assert isinstance(pq.read_table(tmp_path / "paragraphs" / "00000.parquet"), pa.Table)
    assert len(read(tmp_path, "paragraphs")) == 1


CASE = (
    "Un patient de 62 ans a été admis pour une douleur thoracique apparue deux jours avant son admission, avec une "
    "élévation modérée de la troponine et un électrocardiogramme normal ; il a reçu 75 mg d'aspirine par jour."
)
LETTER = (
    "Dans une lettre à la rédaction, les auteurs rappellent que la prise en charge de la douleur chez la personne âgée "
    "reste insuffisante et appellent à une formation des équipes."
)
MEASURES = (
    "La scintigraphie myocardique réalisée au décours n'a pas retrouvé d'ischémie, et le traitement bêtabloquant a pu "
    "être arrêté sans récidive des symptômes au cours du suivi."
)


def near(folder: Path, *tasks: list[tuple[int, Article]], **options: Any) -> tuple[list[Any], list[Any]]:
    finish(folder, list(tasks), near=NearOptions(), **options)
    return read(folder, "paragraphs"), read(folder, "dropped")


def test_of_nearly_equal_paragraphs_the_one_of_the_first_source_survives(tmp_path: Path) -> None:
    other = CASE.replace("Un patient", "Le patient")
    kept, dropped = near(
        tmp_path,
        [(0, article("pubmed:1", other, LETTER))],
        [(1, article("istex:a", CASE, MEASURES))],
    )
    (row,) = [row for row in dropped if row["stage"] == "near"]
    survivor = next(row for row in kept if row["text"] == CASE)
    assert (row["text"], row["reason"], row["cluster_id"]) == (other, "near_paragraph", survivor["id"])
    assert row["detail"].endswith(f" of {survivor['id']}")
    assert (survivor["cluster_id"], survivor["cluster_size"]) == (survivor["id"], 2)
    assert {row["cluster_size"] for row in kept if row is not survivor} == {1}


def test_cases_that_differ_by_a_number_all_stay(tmp_path: Path) -> None:
    texts = [CASE, CASE.replace("75", "150"), CASE.replace("62", "26"), CASE.replace("deux", "trois")]
    kept, _ = near(tmp_path, [(at, article(f"hal:{at}", text)) for at, text in enumerate(texts)])
    assert [row["text"] for row in kept] == texts


def test_an_article_that_is_nearly_another_goes_as_a_whole(tmp_path: Path) -> None:
    second = "L'évolution a été simple et le patient est sorti au bout de quatre jours sous traitement antiagrégant."
    texts = [CASE, second, "Trop court."]
    kept, dropped = near(
        tmp_path,
        [(0, article("pubmed:1", *texts, "Encore un mot."))],
        [(1, article("istex:a", *texts))],
        exact_duplicates=False,
    )
    assert {row["article_id"] for row in kept} == {"istex:a"}
    assert {(row["unit"], row["reason"]) for row in dropped} == {
        ("article", "near_article"),
        ("paragraph", "near_article"),
    }
    (kept_article,) = read(tmp_path, "articles")
    assert (kept_article["cluster_id"], kept_article["cluster_size"]) == ("istex:a", 2)


def test_equal_and_nearly_equal_paragraphs_are_one_cluster(tmp_path: Path) -> None:
    other = CASE.replace("Un patient", "Le patient")
    own = [f"Le paragraphe propre au cas numéro {at}." for at in range(4)]
    kept, dropped = near(
        tmp_path, [(at, article(f"hal:{at}", text, own[at])) for at, text in enumerate([CASE, other, other, CASE])]
    )
    survivor = next(row for row in kept if row["text"] == CASE)
    assert survivor["cluster_size"] == 4
    assert {row["cluster_id"] for row in dropped} == {survivor["id"]}
    assert sorted(row["reason"] for row in dropped) == ["near_paragraph", "near_paragraph", "same_text"]


def test_what_stands_in_many_articles_is_boilerplate(tmp_path: Path) -> None:
    own = [f"Le paragraphe propre au document {word}." for word in ("bleu", "vert", "rouge")]
    items = [(at, article(f"hal:{at}", "Mentions légales" + "." * at, text)) for at, text in enumerate(own)]
    finish(tmp_path, [items], boilerplate=BoilerplateOptions(min_documents=3))
    assert [row["text"] for row in read(tmp_path, "paragraphs")] == own
    assert {(row["stage"], row["detail"]) for row in read(tmp_path, "dropped")} == {("boilerplate", "in 3 articles")}
    finish(tmp_path / "4", [items], boilerplate=BoilerplateOptions(min_documents=4))
    assert read(tmp_path / "4", "dropped") == []
