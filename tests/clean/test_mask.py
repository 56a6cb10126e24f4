"""Contact details and identifiers: what is masked, what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from corpuskit.clean.mask import RULES, MaskStep
from corpuskit.records import Article, Paragraph

ALL = MaskStep(kinds=list(RULES))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Écrire à claire.morel@chu-exemple.fr.", "Écrire à <EMAIL>."),
        ("(c.morel+avis@sante.exemple.fr; helene_garnier@exemple.org)", "(<EMAIL>; <EMAIL>)"),
        ("mailto:contact@exemple.fr ou contact [at] exemple.fr", "<EMAIL> ou <EMAIL>"),
        ("Tél. 01 23 45 67 89, fax : 01.23.45.67.90.", "Tél. <PHONE>, fax : <PHONE>."),
        ("Tél : 0612345678 / 06-12-34-56-78", "Tél : <PHONE> / <PHONE>"),
        ("au 01/23/45/67/89 ou 01 / 23 / 45 / 67 / 89", "au <PHONE> ou <PHONE>"),
        ("+33 1 23 45 67 89, +33 (0)1.23.45.67.89, (+33) 1 23 45 67 89", "<PHONE>, <PHONE>, <PHONE>"),
        ("0033 1 23 45 67 89 ; +33123456789 ; +33 123 456 789", "<PHONE> ; <PHONE> ; <PHONE>"),
        ("+596 596 12 34 56 et 0596 12 34 56", "<PHONE> et 0596 12 34 56"),
        ("NIR 1 85 05 78 006 084 91, né à Chartres", "NIR <NIR>, né à Chartres"),
        ("n° 185057800608491 ou 2 69 05 49 588 157 80", "n° <NIR> ou <NIR>"),
        ("Corse : 1 80 05 2A 004 123 10 et 280122b12345676", "Corse : <NIR> et <NIR>"),
        ("IBAN : FR76 3000 6000 0112 3456 7890 189.", "IBAN : <IBAN>."),
        ("sur https://www.exemple.fr/cas?id=3 (www.exemple.org).", "sur <URL> (<URL>)."),
    ],
)
def test_masked(text: str, masked: str) -> None:
    assert ALL.mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "doses de 10 20 30 40 50 mg",
        "ISBN 0198526636, ISBN : 0198526636, ISBN-10 0198526636",
        "ISBN 978-0-19-852663-6",
        "convention n° 0612345678, projet 0112345678",
        "NCT01623674, PMID 39900084, doi:10.24095/hpcdp.38.12.01",
        "0,01 23 45 67 89",
        "01 23 45 67 89 01",
        "10 01 23 45 67 89",
        "01 23 45 67 89,5",
        "01 23-45.67 89",
        "le 01/02/2003 et le 04/05/2006",
        "de 2001 à 2003, 1 234 567 890 habitants",
        "00 12 34 56 78",
        "5+33123456789",
        "1 85 05 78 006 084 92",
        "1 85 13 78 006 084 91",
        "9 85 05 78 006 084 91",
        "FR76 3000 6000 0112 3456 7890 188",
        "un rapport @ 5 %, p@q, @exemple, a@b.1",
        "le site exemple.fr",
        "p < 0,05 ; <EMAIL> ; <PHONE>",
    ],
)
def test_not_masked(text: str) -> None:
    assert ALL.mask(text) == text


@pytest.mark.parametrize("nir", ["2690549588157", "1991275120045", "180052A004123", "280122B123456"])
def test_a_social_security_number_has_one_key_only(nir: str) -> None:
    masked = [key for key in range(100) if ALL.mask(f"{nir}{key:02d}") == "<NIR>"]
    assert len(masked) == 1
    assert 1 <= masked[0] <= 97


_PIECES = st.sampled_from(
    ["claire@exemple.fr", "c [at] exemple.fr", "01 23 45 67 89", "0612345678", "+33 (0)1.23.45.67.89", "00", "06",
     "+33", "185057800608491", "1 80 05 2A 004 123 10", "FR76 3000 6000 0112 3456 7890 189", "https://exemple.fr/",
     "www.a.fr", " ", ", ", ".", "/", "-", "@", "1", "2", "a", "é", "(", ")", "<", ">", "<EMAIL>", "ISBN ", "=",
     "_", "\n"]
)  # fmt: skip


@settings(max_examples=1_000, deadline=None)
@given(st.lists(_PIECES, max_size=8).map("".join), st.sets(st.sampled_from(list(RULES))))
def test_masking_twice_is_masking_once(text: str, kinds: set[str]) -> None:
    step = MaskStep(kinds=sorted(kinds))
    once = step.mask(text)
    assert step.mask(once) == once
    if not kinds:
        assert once == text


@pytest.mark.parametrize(
    "unit", ["a", "a.", "0", "01 ", "1 85 05 78 006 084 91 ", "http://", "a@", "@a.", "FR76 3000 ", "+33 "]
)
def test_a_megabyte_is_read_at_once(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    assert len(ALL.mask(text)) <= len(text)


def test_step_masks_what_it_is_asked_to_and_counts() -> None:
    text = "claire@exemple.fr, paul@exemple.fr, 01 23 45 67 89"
    article = Article("a:1", "a", "f", paragraphs=[Paragraph(text), Paragraph(text)])
    # What is set aside is written down too.
    article.paragraphs[1].mark("language", "en")
    step = MaskStep(kinds=["email"])
    step.process(article)
    assert [p.text for p in article.paragraphs] == ["<EMAIL>, <EMAIL>, 01 23 45 67 89"] * 2
    assert {name: stat.total for name, stat in step.stats.stats.items()} == {"email": 4}
    assert [p.drop and p.drop.stage for p in article.paragraphs] == [None, "language"]


def test_nothing_is_masked_by_default() -> None:
    assert MaskStep().mask("claire@exemple.fr") == "claire@exemple.fr"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="'email', 'phone', 'nir', 'iban' or 'url'"):
        MaskStep(kinds=["name"])
