"""One spelling for every identifier and code of the data contract."""

from __future__ import annotations

import re
import unicodedata

_DOI = re.compile(r"10\.\d{4,9}/\S+")
_PMCID = re.compile(r"(?:PMC)?(\d+)", re.IGNORECASE)
# HAL's numbers begin with 0, a date in a file's name does not; archives of old are `sic_…` and `ijn_…`.
_HAL_ID = re.compile(r"(?<![a-z\d])((?:[a-z][a-z\d]*-|(?:sic|ijn|mem)_)0\d{7})(?:v\d+)?(?!\d)")
_ARK = re.compile(r"ark:/\d+/\S+")
_CREATIVE_COMMONS = re.compile(
    r"creativecommons\.org/(licenses|publicdomain)/(mark|zero|[a-z-]+)(?:/(\d\.\d))?", re.IGNORECASE
)
_CREATIVE_COMMONS_NAME = re.compile(r"(?:CC[ -]?)(BY(?:-(?:NC|SA|ND))*)[ -]?(\d\.\d)?", re.IGNORECASE)
_NAMED_LICENCES = {
    "cc0": "CC0-1.0",
    "cc0 1.0": "CC0-1.0",
    "licence ouverte": "etalab-2.0",
    "etalab-2.0": "etalab-2.0",
    "http://hal.archives-ouvertes.fr/licences/etalab/": "etalab-2.0",
    "http://hal.archives-ouvertes.fr/licences/publicdomain/": "CC-PDM-1.0",
    "gfdl": "GFDL-1.3-or-later",
    **dict.fromkeys(["odc-by", "odc-by 1.0"], "ODC-By-1.0"),
    **dict.fromkeys(["pddl", "pddl 1.0"], "PDDL-1.0"),
    **dict.fromkeys(["odbl", "odbl 1.0"], "ODbL-1.0"),
    **dict.fromkeys(["mit license", "mit licence"], "MIT"),
    **dict.fromkeys(["apache 2.0", "apache license 2.0", "apache license, version 2.0"], "Apache-2.0"),
    **dict.fromkeys(["ogl 3.0", "ogl-3.0", "open government licence v3.0"], "OGL-UK-3.0"),
}

# ISO 639-2 (bibliographic and terminological) and -3 codes met in library records.
_LANGUAGES = {
    "fre": "fr", "fra": "fr", "eng": "en", "ger": "de", "deu": "de", "spa": "es", "ita": "it",
    "por": "pt", "dut": "nl", "nld": "nl", "lat": "la", "rus": "ru", "cat": "ca", "oci": "oc",
    "rum": "ro", "ron": "ro", "pol": "pl", "cze": "cs", "ces": "cs", "gre": "el", "ell": "el",
    "ara": "ar", "chi": "zh", "zho": "zh", "jpn": "ja", "kor": "ko", "tur": "tr", "swe": "sv",
    "dan": "da", "nor": "no", "fin": "fi", "hun": "hu", "heb": "he", "ukr": "uk", "hrv": "hr",
    "srp": "sr", "slo": "sk", "slk": "sk", "slv": "sl", "bul": "bg", "per": "fa", "fas": "fa",
    "vie": "vi", "baq": "eu", "eus": "eu", "glg": "gl", "bre": "br", "cos": "co",
}  # fmt: skip
_UNDETERMINED = {"und", "unknown", "mul", "zxx", "mis"}


def doi(value: str | None) -> str:
    """``"https://doi.org/10.1000/ABC."`` becomes ``"10.1000/abc"``; "" when there is none."""
    found = _DOI.search(value or "")
    return found[0].rstrip(".,;)").lower() if found else ""


def pmid(value: str | None) -> str:
    """The digits of a PubMed id without leading zeros, "" when it is none."""
    digits = (value or "").strip()
    return digits.lstrip("0") if digits.isascii() and digits.isdigit() else ""


def pmcid(value: str | None) -> str:
    """``"3643536"`` and ``"pmc3643536"`` become ``"PMC3643536"``."""
    found = _PMCID.fullmatch((value or "").strip())
    return f"PMC{found[1]}" if found else ""


def hal_id(value: str | None) -> str:
    """The id in a HAL URL, file name or versioned id: ``"hal-01234567v2"`` is ``"hal-01234567"``."""
    found = _HAL_ID.search((value or "").lower())
    return found[1] if found else ""


def ark(value: str | None) -> str:
    """The ARK in a URL or by itself."""
    found = _ARK.search(value or "")
    return found[0] if found else ""


def year(value: str | int | None) -> int:
    """The first plausible year in a date of any form, 0 when there is none."""
    found = re.search(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d{5})", str(value or ""))
    return int(found[1]) if found else 0


def language(value: str | None) -> str:
    """ISO 639-1 from a two- or three-letter code or a BCP 47 tag; "" when undetermined."""
    code = re.split(r"[-_]", (value or "").strip().lower())[0]
    if code in _UNDETERMINED or not 2 <= len(code) <= 3 or not code.isalpha():
        return ""
    return _LANGUAGES.get(code, code)


def licence(value: str | None) -> str:
    """An SPDX id for Creative Commons and other known licences, else the value as it is.

    A Creative Commons licence without a version stays as written: no version is made up.
    """
    text = " ".join((value or "").split())
    if found := _CREATIVE_COMMONS.search(text):
        kind, version = found[2].lower(), found[3]
        if kind == "zero":
            return "CC0-1.0"
        if kind == "mark":
            return "CC-PDM-1.0"
        return f"CC-{kind.upper()}-{version}" if version else text
    if found := _CREATIVE_COMMONS_NAME.fullmatch(text):
        return f"CC-{found[1].upper()}-{found[2]}" if found[2] else text
    return _NAMED_LICENCES.get(text.lower(), text)


def title_key(title: str, year: int, first_author: str) -> str:
    """What two records of one article share when they share no id; "" when too little is known.

    Title without case, accents and punctuation, then year, then the first author's family name.
    Titles of fewer than four words ("Éditorial", "Cas clinique") recognise nothing.
    """
    plain = _plain(title)
    family = _plain(first_author.split(",")[0])
    if not year or not family or plain.count(" ") < 3:
        return ""
    return f"{plain}|{year}|{family}"


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c if c.isalnum() else " " for c in decomposed if not unicodedata.combining(c))
    return " ".join(kept.split())
