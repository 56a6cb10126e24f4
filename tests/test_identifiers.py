"""One spelling for identifiers and codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit import identifiers


@pytest.mark.parametrize(
    ("given", "doi"),
    [
        ("10.1016/S0001-4079(19)31234-5", "10.1016/s0001-4079(19)31234-5"),
        ("https://doi.org/10.1000/ABC", "10.1000/abc"),
        ("doi:10.1000/abc.", "10.1000/abc"),
        ("none", ""),
        (None, ""),
    ],
)
def test_doi(given: str | None, doi: str) -> None:
    assert identifiers.doi(given) == doi


@pytest.mark.parametrize(
    ("given", "hal"),
    [
        ("hal-01234567v2", "hal-01234567"),
        ("https://hal.science/halshs-02106332/document", "halshs-02106332"),
        ("HAL-01234567", "hal-01234567"),
        ("fulltext/hal-02184001.grobid.tei.xml", "hal-02184001"),
        ("hal-123", ""),
        ("these-20190412.xml", ""),
        ("in2p3-00012345", "in2p3-00012345"),
        ("sic_00001234_v1.pdf", "sic_00001234"),
    ],
)
def test_hal_id(given: str, hal: str) -> None:
    assert identifiers.hal_id(given) == hal


@pytest.mark.parametrize(
    ("given", "pmcid", "pmid"), [("PMC3643536", "PMC3643536", ""), ("3643536", "PMC3643536", "3643536"), ("x", "", "")]
)
def test_pubmed_ids(given: str, pmcid: str, pmid: str) -> None:
    assert (identifiers.pmcid(given), identifiers.pmid(given)) == (pmcid, pmid)


@pytest.mark.parametrize(
    ("given", "year"),
    [
        ("2019-03-20", 2019),
        ("1998 Nov-Dec", 1998),
        (2006, 2006),
        ("20190320", 2019),
        ("12019", 0),
        ("en 1587", 1587),
        ("", 0),
        (None, 0),
    ],
)
def test_year(given: str | int | None, year: int) -> None:
    assert identifiers.year(given) == year


@pytest.mark.parametrize(
    ("given", "language"),
    [("fre", "fr"), ("fra", "fr"), ("fr-FR", "fr"), ("EN_us", "en"), ("und", ""), ("français", ""), (None, "")],
)
def test_language(given: str | None, language: str) -> None:
    assert identifiers.language(given) == language


@pytest.mark.parametrize(
    ("given", "licence"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
        ("http://creativecommons.org/licenses/by-nc-nd/3.0/deed.fr", "CC-BY-NC-ND-3.0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("CC BY 4.0", "CC-BY-4.0"),
        ("CC-BY-SA-3.0", "CC-BY-SA-3.0"),
        ("CC BY", "CC BY"),
        ("http://creativecommons.org/licenses/by/", "http://creativecommons.org/licenses/by/"),
        ("Licence Ouverte", "etalab-2.0"),
        ("ODC-By", "ODC-By-1.0"),
        ("PDDL", "PDDL-1.0"),
        ("odbl 1.0", "ODbL-1.0"),
        ("MIT License", "MIT"),
        ("Apache License 2.0", "Apache-2.0"),
        ("Open Government Licence v3.0", "OGL-UK-3.0"),
        ("OGL", "OGL"),
        ("© Masson, Paris", "© Masson, Paris"),
        (None, ""),
    ],
)
def test_licence(given: str | None, licence: str) -> None:
    assert identifiers.licence(given) == licence


def test_title_key_forgets_case_accents_and_punctuation() -> None:
    key = identifiers.title_key("L'embolie pulmonaire : étude", 2019, "Morel, Claire")
    assert key == identifiers.title_key("L’EMBOLIE  PULMONAIRE: ETUDE", 2019, "MOREL, C.")
    assert key == "l embolie pulmonaire etude|2019|morel"


@pytest.mark.parametrize(
    ("title", "year", "author"),
    [
        ("Éditorial", 2019, "Morel, C"),
        ("Un titre assez long ici", 0, "Morel, C"),
        ("Un titre assez long ici", 2019, ""),
    ],
)
def test_too_little_recognises_nothing(title: str, year: int, author: str) -> None:
    assert identifiers.title_key(title, year, author) == ""


@given(st.text())
def test_every_spelling_is_stable(text: str) -> None:
    for spell in (identifiers.doi, identifiers.pmcid, identifiers.hal_id, identifiers.language, identifiers.licence):
        assert spell(spell(text)) == spell(text)
