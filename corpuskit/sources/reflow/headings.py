"""What the headings of an article say: the words that open its abstract, its sections, its references."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, NamedTuple

Zone = Literal["front", "abstract", "body", "back", "reference"]

# Written without case and accents, singular and plural alike.
_ZONES: tuple[tuple[Zone, str], ...] = (
    (
        "abstract",
        r"resume(?: (?:en )?(?:francais|anglais|structure))?|(?:english |structured )?abstract|(?:english )?summary",
    ),
    (
        "reference",
        r"(?:liste des )?references?(?: bibliographiques?| citees)?|bibliographie|bibliography|literature cited",
    ),
    (
        "back",
        r"remerciements?|(?:declarations? (?:de |d'|des )?)?(?:conflits?|liens?) d'interets?|declarations? d'interets?"
        r"|(?:sources? de )?financements?|soutiens? financiers?|contributions? des auteurs|acknowledge?ments?"
        r"|conflicts? of interests?|competing interests?|(?:declaration|disclosure)s? of interests?|funding"
        r"|authors?'? contributions?|considerations ethiques|deontologie",
    ),
    (
        "body",
        r"introduction|generalites|contexte|rationnel|justification|historique|objectifs?(?: de l'etude)?"
        r"|buts?(?: de l'etude| du travail)?"
        r"|(?:(?:patient(?:e|s|es)?|malades?|sujets?|materiels?|population|cadre)(?:,? et |, ))?methodes?"
        r"|patients?|materiels?|population(?: (?:d'etude|etudiee))?|methodologie"
        r"|(?:analyse|etude)s? statistiques?|resultats?(?: et discussion)?|discussion(?: et conclusion)?|conclusions?"
        r"|(?:synthese et )?conclusion|commentaires?|observations?(?: cliniques?)?|cas cliniques?"
        r"|(?:presentation|description|rapport) (?:du|de) cas|patients? et observations?|epidemiologie|physiopathologie"
        r"|etiologies?|diagnostic(?: positif| differentiel)?|traitements?|pronostic|definitions?|perspectives|annexes?"
        r"|background|aims?|objectives?|purpose|(?:(?:patients?|materials?|subjects?) and )?methods?"
        r"|(?:observation|cas|patiente?|case)(?: clinique)? (?:n[°o] ?)?\d{1,2}"
        r"|results?|case reports?|case presentation|observation|statistical analysis|appendix",
    ),
)
_KNOWN = re.compile("|".join(f"(?P<{zone}>{words})" for zone, words in _ZONES))
_LONGEST = 60

_NUMBER = re.compile(
    r"(?:(\d{1,2}(?:\.\d{1,2})*)(?:[.)]|(?=\s))|[IVX]{1,4}\s?[.)–-]|[A-H][.)])\s*(?:[–—-]\s*)?(?=[^\W\d_])"
)
_SPACED_OUT = re.compile(r"\w(?: \w){3,}")

#: A heading that its text follows on the same line: "Résumé. – L'embolie …", "Remerciements : à …".
_RUN_IN = re.compile(r"([^\W\d_][^.:–—]{2,60}?)\s*(?:\.\s?[–—-]|[:—–])\s*(?=\S)")


class Label(NamedTuple):
    """A known heading: what it opens, its words as written."""

    zone: Zone
    text: str


def known(text: str) -> Zone | None:
    """What a line opens that is nothing but a known heading, numbered or not."""
    if len(text) > _LONGEST:
        return None
    if _SPACED_OUT.fullmatch(text):
        text = text.replace(" ", "")
    number = _NUMBER.match(text)
    found = _KNOWN.fullmatch(_plain(text[number.end() :] if number else text))
    return found.lastgroup if found else None  # type: ignore[return-value]


def run_in(text: str) -> Label | None:
    """The known heading that opens a line and is followed by text."""
    found = _RUN_IN.match(text, 0, _LONGEST + 10)
    if not found:
        return None
    zone = known(found[1])
    return Label(zone, found[1]) if zone else None


def number(text: str) -> str:
    """The number of a heading without its last full stop, "" when there is none: "2.1", "IV", "A"."""
    found = _NUMBER.match(text)
    return (found[1] or found[0].strip(" .)–—-")) if found else ""


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("’", "'"))
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(bare.split()).strip(" .:–—-*")
