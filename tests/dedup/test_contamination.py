from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corpuskit.clean.words import words
from corpuskit.dedup import testsets
from corpuskit.dedup.contamination import DecontaminateOptions, DecontaminateStep, Index, report
from corpuskit.records import Article, Drop, Paragraph
from corpuskit.steps import to_document

TITLE = "Œdème aigu du poumon après chirurgie de l'aorte."
SENTENCES = [
    "Une femme de 54 ans, sans antécédent notable, est adressée aux urgences pour une dyspnée d'aggravation "
    "progressive évoluant depuis trois semaines.",
    "La tension artérielle est mesurée à 11 . 5 et 7 , 2 cm de mercure.",
    "L'échographie cardiaque montre un épanchement péricardique circonférentiel de grande abondance "
    "comprimant les cavités droites.",
    "L'examen neurologique est sans particularité.",
]
CASE = " ".join(SENTENCES)
OTHER = "Les soins infirmiers à domicile font l'objet d'une convention entre les caisses et les syndicats."


@pytest.fixture
def tests(tmp_path: Path) -> list[dict[str, str]]:
    (tmp_path / "medline").mkdir()
    (tmp_path / "medline/1.txt").write_text(TITLE + "\n", encoding="utf-8")
    (tmp_path / "cases.jsonl").write_text(json.dumps({"text": CASE}) + "\n", encoding="utf-8")
    return [
        {"name": "medline", "path": str(tmp_path / "medline")},
        {"name": "cases", "path": str(tmp_path / "cases.jsonl")},
    ]


def judged(tests: list[dict[str, str]], *texts: str, **options: Any) -> list[Drop | None]:
    article = Article("a", "s", "f", paragraphs=[Paragraph(text) for text in texts])
    DecontaminateStep(tests=tests, **options).process(article)
    return [paragraph.drop for paragraph in article.paragraphs]


FOUND = Drop("contamination", "medline", "1.txt#1: 100% of the unit")


@pytest.mark.parametrize(
    "text",
    [
        TITLE,
        "OEDEME AIGU DU POUMON APRES CHIRURGIE DE L’AORTE",
        "« Œdème aigu du poumon, après chirurgie de l’ aorte ! »",
        f"{OTHER} {TITLE} {OTHER}",
        f"12. Dupont A, Martin B. {TITLE} Rev Fr Cardiol 1987 ; 12 : 34.",
        f"Titre : {TITLE}",
    ],
)
def test_a_short_unit_is_found_as_a_sentence_however_it_is_set(tests: list[dict[str, str]], text: str) -> None:
    assert judged(tests, OTHER, text) == [None, FOUND]


@pytest.mark.parametrize(
    "text",
    [
        OTHER,
        f"Nous avons vu un cas d'{TITLE}",
        f"{TITLE[:-1]} thoracique.",
        "Œdème aigu du poumon après chirurgie de l'oreille.",
        "Œdème aigu du poumon.",
    ],
)
def test_a_phrase_that_is_also_a_unit_is_none(tests: list[dict[str, str]], text: str) -> None:
    assert judged(tests, text) == [None]


def test_a_unit_of_fewer_words_than_asked_for_is_not_looked_for(tests: list[dict[str, str]]) -> None:
    assert judged(tests, TITLE, min_words=9) == [FOUND]
    assert judged(tests, TITLE, min_words=10) == [None]
    index = DecontaminateStep(tests=tests, min_words=10).index()
    assert [index.units[unit].text for unit in index.short] == [TITLE]


def test_a_sentence_of_a_long_unit_is_found_between_others(tests: list[dict[str, str]]) -> None:
    found = Drop("contamination", "cases", "cases.jsonl#1.text: 100% of a sentence")
    assert judged(tests, f"{OTHER} Selon lui, {SENTENCES[2]}") == [found]
    # But not a short one that is little of its unit.
    assert judged(tests, f"{OTHER} {SENTENCES[3]}") == [None]


def test_numbers_are_compared_whatever_their_marks(tests: list[dict[str, str]]) -> None:
    text = "La tension artérielle est mesurée à 11,5 et 7.2cm de mercure"
    found = Drop("contamination", "cases", "cases.jsonl#1.text: 100% of a sentence")
    assert judged(tests, f"{OTHER} {text}") == [found]
    assert judged(tests, f"{OTHER} {text.replace('11,5', '12,5')}") == [None]


def test_a_share_of_a_sentence_is_enough(tests: list[dict[str, str]]) -> None:
    edited = SENTENCES[0].replace("urgences", "consultations")
    assert judged(tests, f"{OTHER} {edited}") == [
        Drop("contamination", "cases", "cases.jsonl#1.text: 95% of a sentence")
    ]
    assert judged(tests, f"{OTHER} {edited}", containment=0.97) == [None]
    half = " ".join(SENTENCES[0].split()[:11])
    assert judged(tests, f"{OTHER} {half}") == [None]


def test_a_paragraph_that_is_part_of_a_unit_is_found(tests: list[dict[str, str]]) -> None:
    tokens = CASE.split()
    assert judged(tests, " ".join(tokens[10:26])) == [
        Drop("contamination", "cases", "cases.jsonl#1.text: 100% of the paragraph")
    ]
    assert judged(tests, " ".join(tokens[10:20])) == [None]


def test_a_unit_may_begin_in_one_paragraph_and_end_in_the_next(tests: list[dict[str, str]]) -> None:
    tokens = SENTENCES[2].split()
    begins, ends = " ".join(tokens[:7]), " ".join(tokens[7:])
    found = Drop("contamination", "cases", "cases.jsonl#1.text: 100% of a sentence")
    assert judged(tests, OTHER, f"{OTHER} {begins}", f"{ends} {OTHER}") == [None, found, found]
    # What is left of it in a paragraph is not always enough to take that out.
    begins, ends = " ".join(tokens[:2]), " ".join(tokens[2:])
    assert judged(tests, f"{OTHER} {begins}", f"{ends} {OTHER}") == [None, found]
    assert judged(tests, OTHER, "Œdème aigu du poumon après", "chirurgie de l'aorte") == [None, FOUND, None]


def test_what_is_marked_is_skipped_and_does_not_part_a_unit(tests: list[dict[str, str]]) -> None:
    article = Article("a", "s", "f", paragraphs=[Paragraph(text) for text in ("Œdème aigu du poumon", OTHER)])
    article.paragraphs.insert(1, Paragraph("page 12", drop=Drop("kind", "front")))
    article.paragraphs.insert(2, Paragraph("après chirurgie de l'aorte"))
    article.paragraphs.insert(3, Paragraph(TITLE, drop=Drop("language", "en")))
    DecontaminateStep(tests=tests).process(article)
    reasons = [paragraph.drop and paragraph.drop.reason for paragraph in article.paragraphs]
    assert reasons == [None, "front", "medline", "en", None]
    article = Article("a", "s", "f", paragraphs=[Paragraph(TITLE)], drop=Drop("select", "year"))
    DecontaminateStep(tests=tests).process(article)
    assert article.paragraphs[0].drop is None


def test_the_title_column_stays(tests: list[dict[str, str]]) -> None:
    article = Article("a", "s", "f", title=TITLE, paragraphs=[Paragraph(TITLE, kind="title"), Paragraph(OTHER)])
    DecontaminateStep(tests=tests).process(article)
    assert article.title == TITLE
    assert [paragraph.drop for paragraph in article.paragraphs] == [FOUND, None]


def test_formulas_of_a_test_set_are_no_evidence(tmp_path: Path) -> None:
    formula = "Le reste du bilan était normal."
    cases = [f"{formula}", *(f"{sentence} {formula}" for sentence in SENTENCES[:3])]
    (tmp_path / "a.txt").write_text("\n".join(cases), encoding="utf-8")
    tests = [{"name": "a", "path": str(tmp_path)}]
    assert judged(tests, f"{OTHER} {formula}") == [None]
    assert judged(tests, f"{OTHER} {formula}", max_units=4)[0] is not None
    assert judged(tests, f"{SENTENCES[0]} {formula}")[0] is not None


def test_without_test_sets_nothing_is_done() -> None:
    assert judged([], TITLE) == [None]


def test_wrong_options_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="two test sets have the same name"):
        DecontaminateStep(tests=[{"name": "a", "path": "x"}, {"name": "a", "path": "y"}])
    with pytest.raises(testsets.TestSetError, match=r"no test set at .*nowhere"):
        judged([{"name": "a", "path": str(tmp_path / "nowhere")}], TITLE)


def test_the_reports_of_the_tasks_add_up(tests: list[dict[str, str]], tmp_path: Path) -> None:
    tasks = [[[TITLE, OTHER], [f"{OTHER} {TITLE}"]], [[TITLE], [SENTENCES[2], OTHER]], [[OTHER]]]
    folder = tmp_path / "report"
    for rank, articles in enumerate(tasks):
        step = DecontaminateStep(tests=tests, report=folder)
        documents = [
            to_document(Article("a", "s", "f", paragraphs=[Paragraph(text) for text in texts])) for texts in articles
        ]
        list(step.run(iter(documents), rank))
    assert [path.name for path in sorted(folder.iterdir())] == ["00000.json", "00001.json", "00002.json"]
    assert report(folder) == {
        "medline": {
            "units": 1, "short": 0, "formulas": 0, "seen": 1, "hits": 3, "paragraphs": 3,
            "most_frequent": {"1.txt#1": 3},
        },
        "cases": {
            "units": 1, "short": 0, "formulas": 0, "seen": 1, "hits": 1, "paragraphs": 1,
            "most_frequent": {"cases.jsonl#1.text": 1},
        },
    }  # fmt: skip


def test_a_task_that_is_stopped_reports_nothing(tests: list[dict[str, str]], tmp_path: Path) -> None:
    folder = tmp_path / "report"
    documents = (to_document(Article("a", "s", "f", paragraphs=[Paragraph(TITLE)])) for _ in range(2))
    next(iter(DecontaminateStep(tests=tests, report=folder).run(documents)))
    assert report(folder) == {}


OPTIONS = DecontaminateOptions(ngram=3, containment=0.6, min_overlap=5, min_words=3, max_units=100)
texts = st.lists(st.lists(st.sampled_from("abcœ7"), min_size=1, max_size=12).map(" ".join), min_size=1, max_size=4)


def plainly(units: list[str], paragraphs: list[str]) -> set[tuple[int, int]]:
    """The rules word by word, for units of one sentence and paragraphs without punctuation."""
    stream = [(word, number) for number, text in enumerate(paragraphs) for word in text.split()]
    edges = [at for at in range(len(stream) + 1) if at in (0, len(stream)) or stream[at - 1][1] != stream[at][1]]
    hits = set()
    for number, unit in enumerate(units):
        theirs = unit.split()
        for start, end in ((start, start + len(theirs)) for start in edges):
            if end in edges and [word for word, _ in stream[start:end]] == theirs and len(theirs) >= 3:
                inside = [paragraph for _, paragraph in stream[start:end]]
                hits |= {(one, number) for one in inside if inside.count(one) >= min(len(theirs) / 2, 3)}
        held, ours = set(), set()
        for first in range(len(stream) - 2):
            for other in range(len(theirs) - 2):
                if [word for word, _ in stream[first : first + 3]] == theirs[other : other + 3]:
                    held |= set(range(other, other + 3))
                    ours |= set(range(first, first + 3))
        for paragraph, text in enumerate(paragraphs):
            count = sum(stream[at][1] == paragraph for at in ours)
            if (len(held) >= max(5, 0.6 * len(theirs)) and count >= 3) or count >= max(5, 0.6 * len(text.split())):
                hits.add((paragraph, number))
    return hits


@given(texts, texts)
def test_the_index_finds_what_the_rules_say(units: list[str], paragraphs: list[str]) -> None:
    units = list(dict.fromkeys(units))
    found = testsets.TestSet("a", [testsets.Unit(str(number), text) for number, text in enumerate(units)])
    article = Article("a", "s", "f", paragraphs=[Paragraph(text) for text in paragraphs])
    hits = Index([found], OPTIONS).hits(article)
    assert {(hit.paragraph, hit.unit) for hit in hits} == plainly(units, paragraphs)
    assert all(0 < hit.share <= 1 for hit in hits)


@given(st.lists(st.sampled_from([*OTHER.split(), *CASE.split()]), min_size=5), st.randoms())
def test_how_a_text_is_set_does_not_matter(tokens: list[str], chance: Any) -> None:
    unit = " ".join(tokens)
    index = Index([testsets.TestSet("a", [testsets.Unit("1", unit)])], DecontaminateOptions())
    text = "".join(
        f"{chance.choice((str.upper, str.lower))(token)}{chance.choice((' ', ' , ', ' '))}" for token in tokens
    )
    whole, reset = (
        index.hits(Article("a", "s", "f", paragraphs=[Paragraph(OTHER), Paragraph(found)])) for found in (unit, text)
    )
    assert {(hit.paragraph, hit.unit) for hit in whole} == {(hit.paragraph, hit.unit) for hit in reset}
    if len(words(unit)) >= 5:  # a token may be a mere mark
        assert (1, 0) in {(hit.paragraph, hit.unit) for hit in whole}


def test_real_units_are_found_and_other_text_is_not(real_data: Path) -> None:
    quaero = testsets.load("quaero", str(real_data / "quaero"))
    index = Index([quaero], DecontaminateOptions())
    for number, unit in list(enumerate(quaero.units))[::50]:
        if len(words(unit.text)) >= 5:
            hits = index.hits(Article("a", "s", "f", paragraphs=[Paragraph(OTHER), Paragraph(unit.text.upper())]))
            assert (1, number) in {(hit.paragraph, hit.unit) for hit in hits}, unit
            assert {hit.paragraph for hit in hits} == {1}
    cases = (real_data / "e3c_ccby" / "pamj_fr.jsonl").read_text(encoding="utf-8").splitlines()
    for first, second in pairwise(json.loads(line)["text"] for line in cases[:200]):
        assert index.hits(Article("a", "s", "f", paragraphs=[Paragraph(first), Paragraph(second)])) == []
