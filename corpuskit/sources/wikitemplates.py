"""What the templates inside a Wikipedia sentence show: ``{{unité|10|mg}}`` reads "10 mg".

A dump holds calls of templates, not their definitions, so the ones that carry words of a sentence are
described here by what they show, after their documentation pages on fr.wikipedia.org (and a few of
en.wikipedia.org). A template that is not described here is no part of the prose.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache

from corpuskit.sources.typography import EXPONENT, superscript

#: Arguments by name; those without a name are "1", "2", …, white space kept. A missing one is "".
Arguments = Mapping[str, str]
Shown = Callable[[Arguments], str]

_MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin",
    "juillet", "août", "septembre", "octobre", "novembre", "décembre",
)  # fmt: skip

# Names, and what they show: `$2` is an argument, `$2|texte` the first of two that is given, `@` the name.
_PATTERNS = {
    # text with a presentation
    "nobr / nobr romains / nowrap / romain / pc / petites capitales / sc / sc2 / smaller / petit / small / big / gras"
    " / italique / souligner / barré / mono / term / terme défini / indice / ind / math / mvar / var / em / strong"
    " / taille / abréviation / abréviation discrète / abr / abrd / abbr / infobulle / tooltip": "$1",
    "couleur / color / texte coloré / font color": "$2",
    # text in another language or alphabet
    "lang / langue / transl / translittération": "$2|texte|text",
    "latin / grec / grec ancien / hébreu / arabe / japonais / nihongo / api / api-fr / msapi / sic": "$1",
    # links
    "lien / ill / interlanguage link": "$texte|lt|fr|1|trad",
    # quotations
    'citation / citation nécessaire / citation étrangère / " / guil / guillemets': "« $1|citation|texte »",
    "citation bloc / bloc citation / quote / blockquote / cquote": "$1|texte|text|citation",
    "incise": "– $1 –",
    # words that an editor remarks upon
    "référence nécessaire / refnec / référence souhaitée / refsou / référence à confirmer / référence non conforme"
    " / source insuffisante / pas clair / passage non neutre / précision nécessaire / quand / qui / quoi / lequel"
    " / lesquels / combien / pourquoi / où / pertinence / vérifier / obsolète": "$1",
    # titles and abbreviations
    "m. / mme / mlle / mm. / mmes / dr / pr / st / ste / docteur / professeur": "@ $1",
    "p. / pp. / t. / vol. / chap. / art. / fig. / coll. / n° / nº": "@ $1",
    "numéro": "n° $1",
    "av jc / av j-c / av. j.-c. / avjc": "av. J.-C.",
    "ap jc / ap j-c / ap. j.-c. / apr. j.-c.": "apr. J.-C.",
    "cf. / e / er / re / ère / ème / o / nd / nde": "@",
    "circa / ec": "@ $1",
    "co2 / h2o / o2 / n2 / nh3 / ch4 / no2 / so2 / h2o2 / h2s": "@",
    "as of": "as of $1",
    # quantities
    "frac / fraction / sfrac": "$1/$2",
    # characters
    "'": "’",
    "mdash / ndash / snd / spaced ndash / tiret": "–",
    "nbsp / espace / espaces / spaces / esp / espace fine / !": " ",
    "= / égal": "=",
    "· / • / bullet / dot": "·",
    "«": "«",
    "»": "»",
}

_ARGUMENT = re.compile(r"\$(\w+(?:\|\w+)*)")
_NUMBER = re.compile(r"([+−-]?)(\d+)(?:[.,](\d+))?(?![\d.,])")
_POWER = re.compile(r"\b([cdkmnµ]?m|h|s) ?([+−-]?[1-9])\b")
_LANGUAGE_NAMED = re.compile(r"lang(?:ue)?-[a-z-]+")
# {{XIXe siècle}}, {{1er}}, {{43e}}, {{IIe millénaire}}: the name is what is shown.
_OWN_NAME = re.compile(r"(?:\d+|[IVX]+)(?:er|ers|re|res|e|es|nd|nde)(?: siècles?| millénaires?)?(?: av\. J\.-C\.)?")


@lru_cache(maxsize=4096)
def shown(name: str) -> Shown | None:
    """How to show the template of that name; None when it is no part of the prose.

    Args:
        name: as written in the call, up to the first ``|``; a parser function with its first argument.
    """
    name = name.strip().replace("_", " ")
    function, colon, argument = name.partition(":")
    if colon:
        return (lambda _: _number(argument)) if function.strip().lower() == "formatnum" else None
    if _OWN_NAME.fullmatch(name):
        return lambda _: name
    lower = name.lower()
    if pattern := _SHOWN_AS.get(lower):
        return lambda given: _fill(pattern, name, given)
    if _LANGUAGE_NAMED.fullmatch(lower):
        return lambda given: given["1"]
    if compute := _COMPUTED.get(lower):
        return lambda given: compute(arguments({key: value.strip() for key, value in given.items()}))
    return None


def arguments(given: Mapping[str, str]) -> Arguments:
    """Arguments of which a missing one is ""."""
    return defaultdict(str, given)


def _fill(pattern: str, name: str, arguments: Arguments) -> str:
    def value(found: re.Match[str]) -> str:
        return next((value for key in found[1].split("|") if (value := arguments[key]).strip()), "")

    if only := _ARGUMENT.fullmatch(pattern):
        return value(only)
    values = [value(found).strip() for found in _ARGUMENT.finditer(pattern)]
    if values and not any(values):
        # A title stands before a name of its own: "{{Dr}} Roux"; a bare wrapper shows nothing.
        return name if pattern.startswith("@") else ""
    given = iter(values)
    return _ARGUMENT.sub(lambda _: next(given), pattern.replace("@", name))


def _positional(arguments: Arguments, start: int = 1) -> list[str]:
    """The arguments without a name from ``start`` on, gaps as ""."""
    last = max((int(key) for key in arguments if key.isdecimal()), default=0)
    return [arguments[str(position)] for position in range(start, last + 1)]


def _number(text: str) -> str:
    """A number as French writes it, in groups of three digits and with a decimal comma, and what follows it."""
    text = text.strip()
    found = _NUMBER.match(text)
    if not found:
        return text
    sign, whole, decimals = found.groups()
    if len(whole) > 3:
        whole = f"{int(whole):,}".replace(",", " ")
    unit = _POWER.sub(lambda power: power[1] + superscript(power[2]), text[found.end() :])
    return sign + whole + (f",{decimals}" if decimals else "") + unit


def _quantity(arguments: Arguments) -> str:
    """``{{unité|value|unit|exponent|unit|exponent…|e=exponent of ten}}``."""
    number = _number(arguments["1"])
    if arguments["e"]:
        number += f" × 10{superscript(arguments['e'])}"
    units: list[str] = []
    for given in filter(None, _positional(arguments, 2)):
        if units and EXPONENT.fullmatch(given):
            units[-1] += superscript(given)
        else:
            units.append(given)
    return f"{number} {'·'.join(units)}".strip()


def _date(arguments: Arguments) -> str:
    """``{{date|day|month|year|field}}``, or the date as one argument."""
    given = _positional(arguments)[:3]
    parts = given if len(given) > 1 else given[0].split() if given else []
    if len(parts) > 1:
        day, month = parts[:2]
        parts[0] = "1er" if day == "1" else day
        parts[1] = _MONTHS[int(month) - 1] if month.isdecimal() and 1 <= int(month) <= 12 else month
    return " ".join(filter(None, parts))


def _century(arguments: Arguments) -> str:
    return f"{_ordinal(arguments['1'], arguments['2'])} siècle" if arguments["1"] else ""


def _centuries(arguments: Arguments) -> str:
    """``{{sp|XVIII|e|et|XIX|e|s}}``: two centuries and the word between."""
    first, second = _ordinal(arguments["1"], arguments["2"]), _ordinal(arguments["4"], arguments["5"])
    return f"{first} {arguments['3']} {second} siècle{arguments['6']}"


def _ordinal(number: str, ending: str) -> str:
    return number + (ending or ("er" if number in ("I", "1") else "e"))


def _time(arguments: Arguments) -> str:
    hours, minutes = arguments["1"], arguments["2"]
    return f"{hours} h {minutes}".strip() if hours else ""


def _duration(arguments: Arguments) -> str:
    given = zip(_positional(arguments), ("h", "min", "s"), strict=False)
    return " ".join(f"{value} {unit}" for value, unit in given if value.strip("0"))


def _formula(arguments: Arguments) -> str:
    """``{{formule chimique|H|2|O}}`` and ``{{formule chimique|Ca|2+}}``: a charge is raised."""
    return "".join(superscript(part) if part.endswith(("+", "-", "−")) else part for part in _positional(arguments))


def _converted(arguments: Arguments) -> str:
    """``{{convert|5|km|mi}}`` and ``{{convert|5|to|10|km}}``: the value as given."""
    given = _positional(arguments)
    ranged = len(given) > 3 and not any(c.isdigit() for c in given[1]) and any(c.isdigit() for c in given[2])
    return " ".join(given[: 4 if ranged else 2])


_COMPUTED: dict[str, Shown] = {
    **dict.fromkeys(("unité", "unite", "unité-", "nombre", "num", "nb", "nombre-", "val", "tmp"), _quantity),
    **dict.fromkeys(("date", "date-", "date de naissance", "date de naissance-", "date de décès"), _date),
    **dict.fromkeys(("s", "s-", "siècle", "s mini", "s mini-"), _century),
    **dict.fromkeys(("-s", "-s-"), lambda arguments: f"{_century(arguments)} av. J.-C."),
    **dict.fromkeys(("sp", "sp-"), _centuries),
    **dict.fromkeys(("formule chimique", "formulechimique", "fchim", "chem", "ion"), _formula),
    **dict.fromkeys(("exp", "exposant", "sup"), lambda arguments: superscript(arguments["1"])),
    **dict.fromkeys(("x10", "e10"), lambda arguments: f"× 10{superscript(arguments['1'])}"),
    **dict.fromkeys(("pourcent", "pourcentage", "%"), lambda arguments: f"{_number(arguments['1'])} %".strip()),
    "euro": lambda arguments: f"{_number(arguments['1'])} €".strip(),
    "heure": _time,
    "durée": _duration,
    **dict.fromkeys(("convert", "cvt", "conversion"), _converted),
}
_SHOWN_AS = {name.strip(): pattern for names, pattern in _PATTERNS.items() for name in names.split(" / ")}
