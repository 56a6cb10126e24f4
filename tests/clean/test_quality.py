"""The quality heuristics: what is measured, what is kept, what goes and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.clean.quality import SHORT_KINDS, STOPWORDS, QualityStep, character_counts
from corpuskit.clean.tokens import Tokens
from corpuskit.clean.words import words
from corpuskit.records import Article, Kind, Paragraph

PROSE = (
    "Nous rapportons le cas d'un homme de 62 ans, hospitalisé pour une dyspnée d'aggravation progressive et dont "
    "le scanner montrait une embolie pulmonaire bilatérale."
)


def judged(text: str, kind: Kind = "body", language: str = "", **options: float) -> Paragraph:
    paragraph = Paragraph(text, kind=kind, language=language)
    QualityStep(**options).process(Article("x:1", "x", "f", paragraphs=[paragraph]))
    return paragraph


def reason(paragraph: Paragraph) -> str:
    return paragraph.drop.reason if paragraph.drop else ""


def test_measures() -> None:
    paragraph = judged("L'INR était à 2,5 et la CRP à 12 chez le patient.")
    assert paragraph.words == 13
    assert paragraph.alpha_ratio == pytest.approx(11 / 13)
    assert paragraph.stopword_ratio == pytest.approx(8 / 13)
    assert paragraph.mean_word_length == pytest.approx(36 / 13)


def test_nothing_to_measure() -> None:
    paragraph = judged("* * *")
    assert (paragraph.words, paragraph.alpha_ratio, paragraph.mean_word_length) == (0, 0.0, 0.0)
    assert reason(paragraph) == "too_short"
    assert reason(judged("")) == "too_short"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (PROSE, "body"),
        ("Le bilan biologique était normal.", "body"),
        (
            "NFS : Hb à 16,3 g/dl, GB à 22 400/mm³, plaquettes à 164 000/mm³, TP à 62 % et une lipasémie à 345 UI/l.",
            "body",
        ),
        ("Cas clinique", "title"),
        ("PRISE EN CHARGE DE L'EMBOLIE PULMONAIRE CHEZ LE SUJET ÂGÉ : ÉTUDE RÉTROSPECTIVE", "title"),
        ("Figure 2. Radiographie thoracique de face.", "caption"),
        (
            "paracétamol, amoxicilline, ceftriaxone, métronidazole, gentamicine, fluconazole, aciclovir, morphine",
            "list",
        ),
        (
            "La CRP était à 112 mg/l (N < 5), la PCT à 2,3 µg/l (N < 0,5) et les leucocytes à 18,4 G/l (N : 4-10).",
            "body",
        ),
    ],
)
def test_kept(text: str, kind: Kind) -> None:
    assert judged(text, kind).drop is None


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("Voir la figure.", "body", "too_short"),
        ("Résumé", "title", "too_short"),
        ("Total 84 100 42 50 42 50", "body", "few_letters"),
        ("Lot A123456 et lot B234567 puis lot C345678", "body", "digits"),
        ("x = √(a + b) ⇒ y ∈ ∑ ∂z ≡ 0 ∀ n ∈ ℕ", "body", "symbols"),
        ("Introduction générale et rappels d'anatomie . . . . . . . . . . . . . . . . . . 3", "body", "punctuation"),
        (
            "Les patients… les données manquantes… les perdus de vue… les décès… les récidives… et puis le reste",
            "body",
            "ellipses",
        ),
        (
            "• fièvre • toux • dyspnée • asthénie • myalgies • céphalées • anosmie • agueusie • diarrhée • nausées",
            "body",
            "bullets",
        ),
        (
            "Bêtalactamines aminoglycosides macrolides fluoroquinolones glycopeptides oxazolidinones lipopeptides "
            "tétracyclines sulfamides nitrofurantoïne",
            "body",
            "word_length",
        ),
        (
            "LA DIRECTION DE LA REVUE N'EST PAS RESPONSABLE DES OPINIONS DES AUTEURS DANS LEURS ARTICLES",
            "body",
            "upper_case",
        ),
        (
            "embolie pulmonaire, sujet âgé, anticoagulants, thrombose veineuse, mortalité, gériatrie, scanner",
            "body",
            "few_stopwords",
        ),
        (
            "Service cardiologie, hôpital Nord, université Lyon, France ; laboratoire pharmacologie, Grenoble, France",
            "body",
            "few_stopwords",
        ),
    ],
)
def test_dropped(text: str, kind: Kind, expected: str) -> None:
    assert reason(judged(text, kind)) == expected


def test_detail_names_value_and_limit() -> None:
    drop = judged("Voir la figure.").drop
    assert drop == ("quality", "too_short", "3 is under 5")


def test_french_function_words_are_asked_of_french_only() -> None:
    english = "Patients received intravenous heparin during seven days, then oral warfarin during three months."
    assert judged(english, language="en").drop is None
    assert reason(judged(english, language="fr")) == "few_stopwords"
    assert reason(judged(english)) == "few_stopwords"


def test_options() -> None:
    assert reason(judged("Le bilan biologique était normal.", min_words=6)) == "too_short"
    assert judged("Résumé", "title", min_short_words=1).drop is None


def test_what_is_marked_already_is_left_alone() -> None:
    paragraph = Paragraph("Trop court.")
    paragraph.mark("language", "other")
    QualityStep().process(Article("x:1", "x", "f", paragraphs=[paragraph]))
    assert paragraph.drop == ("language", "other", "")
    assert paragraph.words == 0


def test_stopwords_are_words_of_the_tokenizer() -> None:
    assert all(words(word) == [word] for word in STOPWORDS)


TEXTS = st.lists(st.text(st.one_of(st.sampled_from("aÀœ0٣²1,.5 …•✔=\n'-Ⓐ\u0301😀\ufffd"), st.characters())), max_size=5)


@given(TEXTS, st.sampled_from(["body", *sorted(SHORT_KINDS)]))
def test_any_texts_get_a_verdict_and_their_measures(texts: list[str], kind: Kind) -> None:
    article = Article("x:1", "x", "f", paragraphs=[Paragraph(text, kind=kind) for text in texts])
    QualityStep().process(article)
    for paragraph in article.paragraphs:
        found = words(paragraph.text)
        count = max(1, len(found))
        assert paragraph.words == len(found)
        assert paragraph.alpha_ratio == (
            1 - sum(not any(map(str.isalpha, word)) for word in found) / count if found else 0
        )
        assert paragraph.stopword_ratio == sum(word.lower() in STOPWORDS for word in found) / count
        assert paragraph.mean_word_length == sum(map(len, found)) / count


@given(TEXTS)
def test_each_character_of_each_text_is_of_one_class(texts: list[str]) -> None:
    counted = character_counts(Tokens(texts))
    assert counted.sum(axis=1).tolist() == [len(text) for text in texts]
    assert counted[:, 0].tolist() == [sum(map(str.isspace, text)) for text in texts]
    assert counted[:, 3].tolist() == [
        sum(c.isdigit() and not c.isupper() and c <= "\uffff" for c in text) for text in texts
    ]


def test_classes_of_characters() -> None:
    # space, letter, capital, digit, punctuation, bullet, symbol
    assert character_counts(Tokens(["Éa\u0301 2,5 • = 😀", "", "ABC…"])).tolist() == [
        [4, 2, 1, 2, 1, 1, 2],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 3, 0, 1, 0, 0],
    ]


def test_ellipses_are_counted_in_dots_and_leaders() -> None:
    text = "le bilan était normal et le patient est sorti chez lui"
    assert judged(f"{text}... hier").drop is None
    assert reason(judged(f"{text}... hier… .... soir")) == "ellipses"
    assert reason(judged(f"{text} . . . . hier ... soir")) == "ellipses"
    assert judged(f"{text} . . . . . . hier").drop is None


def test_case_reports_are_kept(real_data: Path) -> None:
    with (real_data / "e3c_ccby" / "pamj_fr.jsonl").open(encoding="utf-8") as file:
        texts = [text for line in file for text in json.loads(line)["text"].split("\n") if len(text) > 40]
    dropped = [text for text in texts if judged(text).drop]
    assert len(dropped) / len(texts) < 0.005
