"""The OCR-noise score: order, bounds, and what must not be taken for noise."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.clean.ocr import MAX_CHARACTERS, OcrStep, noise, surprisals
from corpuskit.records import Article, Paragraph

CLEAN = (
    "Le patient présentait une douleur thoracique intense, avec une dyspnée d'effort et des œdèmes des membres "
    "inférieurs. L'échographie cardiaque montrait une fraction d'éjection à 35 % et une dilatation auriculaire."
)
LIGHT = (
    "Le patieut présentait une douleur thoracique intense, avec une dvspnée d'effort et des œdèmes des mernbres "
    "inférieurs. L'échographie cardiaque montrait une fraction d'éjectiou à 35 % et une dilatation auriculaire."
)
HEAVY = (
    "Lc pat1ent présentnit unc doulcur tboracique iutense. avcc nne dvspnée d'effort ct dcs œdemcs dcs rnembres "
    "infcrieurs. L'échograpbie cardiaquc rnontrait unc fractiou d'éjcctiou à 3S % ct uuc dilatatiou auriculairc."
)
RUBBLE = "■ ~ ' ;: 1 l| ., _ - ^ i I l 1 rn; ,.' iI1 |_ ~~ •' tl fi l. . j ;, ' ^^ |l"


def test_more_damage_is_more_noise() -> None:
    scores = [noise(text) for text in (CLEAN, LIGHT, HEAVY)]
    assert scores == sorted(scores)
    assert scores[0] < 0.02
    assert 0.03 < scores[1] < 0.3
    assert scores[2] > 0.5


@pytest.mark.parametrize(
    "text",
    [
        RUBBLE,
        "L e p a t i e n t a é t é h o s p i t a l i s é en urgence pour une douleur",
        "Lepa tientaé téhos pita lisée nurg ence p ourune dou leurtho raci que",
        "pATieNt hoSpiTAlisÉ pOUr uNe inFEctIon urINaiRe à colIBAcilLe rEsiSTant",
    ],
)
def test_other_damage(text: str) -> None:
    assert noise(text) > 0.4


@pytest.mark.parametrize(
    "text",
    [
        "L'expression de TP53, d'IL-6 et de TNF-α (ARNm) était mesurée par RT-qPCR ; la CRP était à 350 mg/l, "
        "l'hémoglobine à 8,5 g/dl et la TSH inférieure à 0,05 mUI/l (p < 0,001).",
        "Staphylococcus aureus, Escherichia coli, Klebsiella pneumoniae et Pseudomonas aeruginosa étaient résistants "
        "à l'amoxicilline-acide clavulanique (CMI > 16 µg/ml).",
        "Une IRM, un scanner TDM, un ECG et une NFS ont été réalisés ; le patient, suivi pour HTA et BPCO, était "
        "traité par ramipril, amlodipine, rivaroxaban et trastuzumab.",
        "Une solution de NaHCO3 à 1,4 % et de KCl (25 mmol/L) à pH 7,4 a été perfusée avec du CaCl2 et du MgSO4.",
        "The patients were treated with intravenous heparin for seven days, and the outcome was good in most cases.",
        "RÉSULTATS ET DISCUSSION DE LA SÉRIE DE PATIENTS HOSPITALISÉS",
    ],
)
def test_what_is_no_noise(text: str) -> None:
    assert noise(text) < 0.2


def test_little_text_is_not_judged() -> None:
    assert noise("") == 0.0
    assert noise(" \u2003 ") == 0.0
    assert noise("rn1") < 0.3
    assert noise("■") < 0.3


@given(st.text())
def test_a_share(text: str) -> None:
    assert 0.0 <= noise(text) <= 1.0


def test_surrogates_and_characters_beyond_the_basic_plane() -> None:
    assert 0.0 <= noise("un cas \ud800 de 𝛽-thalassémie 😀") <= 1.0


def test_a_very_long_text_is_judged_by_its_beginning() -> None:
    text = (CLEAN + " ") * (MAX_CHARACTERS // len(CLEAN) + 2)
    assert noise(text + HEAVY * 1000) == noise(text)


def test_white_space_does_not_matter() -> None:
    assert noise("\t" + HEAVY.replace(" ", "  \n")) == noise(HEAVY)


def test_surprisals_look_back_three_places() -> None:
    table = np.arange(16, dtype=np.uint8)  # two classes: the entry is the binary number of the four
    assert surprisals(table, np.array([1, 0, 1, 1, 1], np.uint8), 2).tolist() == [1, 2, 5, 11, 7]


def test_step() -> None:
    paragraphs = [Paragraph(CLEAN), Paragraph(HEAVY), Paragraph("rn")]
    article = Article("x:1", "x", "f", paragraphs=paragraphs)
    OcrStep().process(article)
    assert [p.drop is None for p in paragraphs] == [True, False, True]
    drop = paragraphs[1].drop
    assert drop is not None
    assert drop[:2] == ("ocr", "noise")
    assert drop.detail == f"{paragraphs[1].ocr_noise:.2f} is over 0.40"
    assert 0 < paragraphs[0].ocr_noise < 0.05


def test_step_option() -> None:
    article = Article("x:1", "x", "f", paragraphs=[Paragraph(HEAVY)])
    OcrStep(max_noise=1.0).process(article)
    assert article.paragraphs[0].drop is None


def test_real_abstracts_are_clean_and_damage_shows(real_data: Path) -> None:
    file = io.StringIO((real_data / "morfitt" / "dev.tsv").read_text(encoding="utf-8"))
    texts = [row["abstract"] for row in csv.DictReader(file, delimiter="\t")][:300]
    chance = random.Random(1)
    confused = {"e": "c", "n": "u", "l": "1", "m": "rn", "i": "l", "é": "e", "h": "b"}
    damaged = ["".join(confused.get(c, c) if chance.random() < 0.08 else c for c in text) for text in texts]
    clean = np.array([noise(text) for text in texts])
    assert (clean > 0.4).sum() == 0
    assert np.mean([noise(text) for text in damaged] > clean) > 0.99
