"""What a licence lets one do with a text."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from corpuskit.publish.licences import judge


@pytest.mark.parametrize(
    ("licence", "terms"),
    [
        ("CC-BY-4.0", ""),
        ("cc by 4.0", ""),
        ("CC BY", ""),
        ("CC-BY-3.0-IGO", ""),
        ("CC-BY-SA-4.0", "share-alike"),
        ("CC-BY-NC-4.0", "non-commercial"),
        ("CC BY-NC-SA", "share-alike, non-commercial"),
        ("http://creativecommons.org/licenses/by-nc-sa/", "share-alike, non-commercial"),
        ("https://creativecommons.org/licenses/by/4.0/deed.fr", ""),
        ("https://creativecommons.org/publicdomain/zero/1.0/", ""),
        ("CC-PDM-1.0", ""),
        ("etalab-2.0", ""),
        ("Licence ouverte", ""),
        ("GFDL-1.3-or-later", "share-alike"),
        ("ODC-By", ""),
        ("PDDL", ""),
        ("OGL", ""),
        ("OGL-UK-2.0", ""),
        ("MIT", ""),
        ("Apache", ""),
        ("Apache License 2.0", ""),
        ("ODbL", "share-alike"),
    ],
)
def test_a_licence_that_lets_copies_be_passed_on_and_its_terms(licence: str, terms: str) -> None:
    found = judge(licence)
    assert not found.withheld
    assert found.terms == terms


@pytest.mark.parametrize(
    ("licence", "why"),
    [
        (None, "no licence stated"),
        ("", "no licence stated"),
        ("  ", "no licence stated"),
        ("CC-BY-ND-4.0", "no derivatives"),
        ("CC BY ND", "no derivatives"),
        ("CC-BY-NC-ND-4.0", "no derivatives"),
        ("https://creativecommons.org/licenses/by-nc-nd/3.0/fr/", "no derivatives"),
        ("https://publisher.example/terms", "licence not known"),
        ("http://hal.archives-ouvertes.fr/licences/copyright/", "licence not known"),
        ("All rights reserved", "licence not known"),
        ("not CC-BY-4.0", "licence not known"),
        ("CC-BY-XX-4.0", "licence not known"),
        ("https://evil.example/?creativecommons.org/licenses/by/4.0", "licence not known"),
    ],
)
def test_everything_else_is_withheld(licence: str | None, why: str) -> None:
    assert judge(licence).withheld == why


_KNOWN = ("cc", "creativecommons", "mit", "apache", "gfdl", "etalab", "odbl", "odc", "pddl", "ogl", "licence ouverte")


@given(st.text())
def test_what_is_not_known_is_never_passed_on(licence: str) -> None:
    assume(not any(known in licence.lower() for known in _KNOWN))
    assert judge(licence).withheld
