"""Mending of text: literal cases, and the screen held against ftfy itself."""

from __future__ import annotations

import gzip
import json
import unicodedata
from pathlib import Path

import ftfy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from corpuskit.clean import encoding
from corpuskit.clean.encoding import EncodingStep, mend, needs_ftfy
from corpuskit.records import Article, Paragraph


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("CorticorÃ©sistance Ã  380 Âµmol/l", "Corticorésistance à 380 µmol/l"),
        ("la rubrique â€œEffetsâ€\x9d et lâ€™œdème", "la rubrique “Effets” et l’œdème"),
        ("récepteurs Î²2-adrénergiques, Ct â‰¥ 36", "récepteurs β2-adrénergiques, Ct ≥ 36"),
        ("p &lt; 0,05 chez l&#39;adulte&nbsp;: IC&nbsp;95&nbsp;%", "p < 0,05 chez l'adulte : IC 95 %"),
        ("p < 0,05 &amp; IC 95 %", "p < 0,05 & IC 95 %"),
        ("<p>une source HTML&nbsp;: &eacute;t&eacute;</p>", "<p>une source HTML&nbsp;: &eacute;t&eacute;</p>"),
        ("la ﬁbrillation, l’eﬄuve et le ﬂux de l’œsophage", "la fibrillation, l’effluve et le flux de l’œsophage"),
        ("Œdème, cœlioscopie, ex æquo, « guillemets » et “virgules”", None),
        ("un phospho\u00adcalcique, 10\u00ad20 mg", "un phosphocalcique, 10-20 mg"),
        ("\ufeffgrippe\u200b aviaire \u200ea\u202a", "grippe aviaire a"),
        ("5\u202fmg\u00a0/\u2009kg\u3000par  jour\n\tdix\r\njours ", "5 mg / kg par jour dix jours"),
        ("au\x00to\x08risé \x7f\x1b[31mrouge\x1b[0m", "autorisé rouge"),
        ("le de\u0301bit e\u0302tre", "le débit être"),
        ("post\u2011opératoire", "post-opératoire"),
        ("Ｏ２ pur", "O2 pur"),
        ("L’été, à Genève : « ça va ? » – 37 °C, 5 µg, β-bloquant, ½ dose, x² ± 3 €", None),
        ("", ""),
    ],
)
def test_mend(written: str, meant: str | None) -> None:
    assert mend(written) == (written if meant is None else meant)


def _mojibake(text: str) -> str:
    for codec in ("cp1252", "latin-1"):
        try:
            return text.encode().decode(codec)
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 decodes any byte")


_FRENCH = st.sampled_from(
    ["l’évolution", "créée,", "à", "l’hôpital", "«", "Édouard-Herriot", "»", "—", "Âge", "½", "±", "2", ";", "œdème",
     "fœtus", "œ", "Œuvre", "ÿ", "’é", "’»."]
)  # fmt: skip
_TROUBLE = st.sampled_from(
    ["ﬁ", "ﬄ", "ĳ", "&eacute;", "&lt;", "&amp;amp;", "&#233;", "&nbsp;", "&shy;", "&", "<", "<b>", "e\u0301", "\u00ad",
     "\u200b", "\ufeff", "\u202f", "\u00a0", "\x85", "\x9d", "\x1b[0m", "\r\n", "\n", "\u2028", "\x00", "\ud83d\ude00",
     "\udc00", "\ufffd", "Ｏ", "Ã", "Â", "Ã ", "Â ", "\nÂ ", "â€", "â€™", "™", "ГўВЂВ", "вЂ", "√", "‚Ä", "Ø", "Ù", "°",
     "€", "»", "²", "Î", "1", "a", " ", "É", "É°", "ã€\u20ac", "×²"]
)  # fmt: skip
_WORDS = st.one_of(
    _FRENCH,
    _FRENCH.map(_mojibake),
    _TROUBLE,
    _TROUBLE.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)).map(_mojibake),
    st.text(st.characters(max_codepoint=0x24FF), max_size=4),
    st.text(st.characters(codec="cp1252"), max_size=6),
    st.text(st.sampled_from("ÂÃÎÐØÙàâ‚€œŒ’é°®²±»«¡¿ \xa0aA.¬¨"), max_size=6),
)
_TEXTS = st.one_of(st.lists(_WORDS, max_size=8).map("".join), st.lists(_WORDS, max_size=8).map(" ".join))


@settings(max_examples=1_500, deadline=None)
@given(_TEXTS)
@example("1\nÂ b")
@example("tension\u2009Ã la hausse")
def test_what_the_screen_lets_through_ftfy_would_not_change(text: str) -> None:
    if not needs_ftfy(text):
        for unescape in (True, False):
            assert ftfy.fix_text(text, encoding._FTFY._replace(unescape_html=unescape)) == text


@settings(max_examples=500, deadline=None)
@given(_TEXTS)
def test_mended_text_is_one_clean_line_and_stays_as_it_is(text: str) -> None:
    mended = mend(text)
    assert mend(mended) == mended
    assert mended == " ".join(mended.split())
    assert unicodedata.is_normalized("NFC", mended)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in mended)
    assert not set(mended) & set("\u00ad\u200b\u200d\u2060\ufeff\u00a0ﬁﬂ")


@settings(max_examples=1_000, deadline=None)
@given(_TEXTS)
@example("tension  Ã la hausse")
@example(" Ã b")
@example("voilÃ ")
@example("\u202fÃ °")
def test_the_way_past_the_screen_leads_to_the_same_text(text: str) -> None:
    mended, before = encoding._mend_once(text), text
    while mended != before:
        mended, before = encoding._mend_once(mended), mended
    assert mend(text) == mended


@pytest.mark.parametrize("text", ["Un cœur (3 œ) déjà vu", "le 1er œ 2025 : bénin", "sérotypes ≤¤ et été", "un fœtus"])
def test_ftfy_is_spared_text_that_only_looks_bad(text: str) -> None:
    assert not needs_ftfy(text)


def test_the_screen_is_exact_on_real_text(real_data: Path) -> None:
    lines = []
    for file in sorted((real_data / "text_fr").glob("*.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as stream:
            lines += [line for _, line in zip(range(300), stream, strict=False)]
    for file in sorted((real_data / "soduco").glob("*.json.gz")):
        lines += [entry["text_ocr"] for entry in json.loads(gzip.decompress(file.read_bytes()))[:1_000]]
    untouched = [line for line in lines if not needs_ftfy(line)]
    assert len(untouched) > 0.95 * len(lines)
    assert [line for line in untouched if ftfy.fix_text(line[:3_000], encoding._FTFY) != line[:3_000]] == []


def _article(*texts: str) -> Article:
    paragraphs = [Paragraph(text, section="RÃ©sultats") for text in texts]
    return Article(
        "a:1",
        "a",
        "f",
        title="Lâ€™Å“dÃ¨me  aigu",
        authors=["LefÃ¨vre, AndrÃ©"],
        journal="J\xa0Med",
        paragraphs=paragraphs,
    )


def test_step_mends_title_authors_sections_and_paragraphs() -> None:
    article = _article("Une ﬁèvre &agrave; 39\xa0°C.", "Rien\xa0à dire.")
    step = EncodingStep()
    step.process(article)
    assert article.title == "L’œdème aigu"
    assert article.authors == ["Lefèvre, André"]
    assert article.journal == "J Med"
    assert [p.section for p in article.paragraphs] == ["Résultats"] * 2
    assert [p.text for p in article.paragraphs] == ["Une fièvre à 39 °C.", "Rien à dire."]
    assert article.text == "Une fièvre à 39 °C.\n\nRien à dire."
    # White space alone does not count as mended.
    assert step.stats.stats["mended"].total == 1


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        (" \u200b\x00\ufeff ", "empty", ""),
        ("Le pati\ufffdnt a \ufffdt\ufffd op\ufffdr\ufffd.", "unreadable", "5 of 23 characters are undecodable"),
        ("\uf061\uf062\uf063 bloquants", "unreadable", "3 of 13 characters are undecodable"),
    ],
)
def test_step_marks_what_cannot_be_saved(text: str, reason: str, detail: str) -> None:
    article = _article(text)
    EncodingStep().process(article)
    assert article.paragraphs[0].drop == ("encoding", reason, detail)


def test_a_few_undecodable_characters_pass() -> None:
    long = "Le patient a bien toléré le traitement prescrit. " * 10
    article = _article("\uf0b7 Première puce \uf0b7", long + "\ufffd\ufffd\ufffd", "\ufffd")
    EncodingStep().process(article)
    assert [p.drop for p in article.paragraphs] == [None, None, None]
    EncodingStep(unreadable_count=1, unreadable_share=0.5).process(article)
    assert [p.drop and p.drop.reason for p in article.paragraphs] == [None, None, "unreadable"]


def test_a_paragraph_too_long_is_cut_before_anything_is_run_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(encoding, "needs_ftfy", lambda text: bool(seen.append(len(text))))
    article = _article("é\xa0" * 5_000_000)
    EncodingStep().process(article)
    detail = "10,000,000 characters, over 1,000,000; the first 1,000 are shown"
    assert article.paragraphs[0].drop == ("encoding", "too_long", detail)
    assert article.paragraphs[0].text == " ".join(["é"] * 500)
    assert max(seen) <= 1_000


def test_what_is_marked_already_is_left_as_it_is() -> None:
    article = _article("eﬀet")
    article.paragraphs[0].mark("select", "kind")
    EncodingStep().process(article)
    assert (article.paragraphs[0].text, article.paragraphs[0].drop) == ("eﬀet", ("select", "kind", ""))
