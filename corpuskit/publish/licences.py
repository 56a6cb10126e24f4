"""Which licences allow a text to be passed on.

The rule is conservative: a text is published only under a licence that is known and allows copies of parts of a work
to be distributed. What has no licence, one that is not known here, or one that forbids adaptations (paragraphs that
were cleaned, cut and set among others are taken for such) keeps its place in the data set, without its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from corpuskit import identifiers

_TERMS = r"(?P<terms>(?:[- ](?:NC|SA|ND))*)"
_CREATIVE_COMMONS = re.compile(rf"CC[- ]BY{_TERMS}(?:[- ]\d\.\d)?(?:[- ][A-Z]{{2,3}})?", re.IGNORECASE)
_HOST = r"(?:https?://)?(?:www\.)?creativecommons\.org"
_CREATIVE_COMMONS_URL = re.compile(rf"{_HOST}/licenses/by{_TERMS}(?:/[^ ]*)?", re.IGNORECASE)
_PUBLIC_DOMAIN_URL = re.compile(rf"{_HOST}/publicdomain/(?:zero|mark)(?:/[^ ]*)?", re.IGNORECASE)
#: Why the text of an article is withheld whose licence is none of those below.
UNKNOWN = "licence not known"
#: Other licences that allow it, and whether they bind what is made of it to the same terms.
_SHARE_ALIKE = {
    "cc0-1.0": False,
    "cc-pdm-1.0": False,
    "etalab-2.0": False,
    "pddl-1.0": False,
    "odc-by-1.0": False,
    "odbl-1.0": True,
    "mit": False,
    # Those without a number are as free in every version.
    "apache": False,
    "apache-2.0": False,
    "ogl": False,
    "ogl-uk-1.0": False,
    "ogl-uk-2.0": False,
    "ogl-uk-3.0": False,
    "gfdl-1.2-or-later": True,
    "gfdl-1.3-only": True,
    "gfdl-1.3-or-later": True,
}


@dataclass(frozen=True, slots=True)
class Licence:
    """What a licence means for a text that is to be passed on."""

    #: Why the text is withheld, "" where it may be passed on.
    withheld: str = ""
    share_alike: bool = False
    non_commercial: bool = False

    @property
    def terms(self) -> str:
        """Its conditions in a few words."""
        told = {"share-alike": self.share_alike, "non-commercial": self.non_commercial}
        return ", ".join(name for name, holds in told.items() if holds)


@lru_cache(maxsize=4_096)
def judge(licence: str | None) -> Licence:
    """What the SPDX id, URL or name of a licence allows.

    >>> judge("CC-BY-SA-4.0")
    Licence(withheld='', share_alike=True, non_commercial=False)
    >>> judge("https://creativecommons.org/licenses/by-nd/4.0/").withheld
    'no derivatives'
    >>> judge("https://publisher.example/terms").withheld
    'licence not known'
    """
    name = " ".join((licence or "").split())
    if not name:
        return Licence("no licence stated")
    if _PUBLIC_DOMAIN_URL.fullmatch(name):
        return Licence()
    if "creativecommons" not in name.lower():  # an address of theirs within another is none
        name = identifiers.licence(name)
    found = _CREATIVE_COMMONS.fullmatch(name) or _CREATIVE_COMMONS_URL.fullmatch(name)
    if found:
        terms = set(re.split("[- ]", found["terms"].upper()))
        why = "no derivatives" if "ND" in terms else ""
        return Licence(why, share_alike="SA" in terms, non_commercial="NC" in terms)
    if name.lower() in _SHARE_ALIKE:
        return Licence(share_alike=_SHARE_ALIKE[name.lower()])
    return Licence(UNKNOWN)
