"""What a single line shows of itself: a caption, a table row, an address, the end of a sentence.

Every pattern looks at a bounded stretch of the line, so that a line of any length costs nothing.
"""

from __future__ import annotations

import re


def lexicon(words: str) -> frozenset[str]:
    """A set of words, written one after the other."""
    return frozenset(words.split())


_CAPTION = re.compile(
    r"(?:fig(?:ure|\.)?|tab(?:leau|le|\.)|photo(?:graphie)?|planche|schéma|encadré|graphique)\s?"
    r"(?:n°\s?)?(?:\d{1,2}|[IVX]{1,5}|[A-D])(?:\s?[a-d])?\s?(?:[.:–—-](?!\d)|$)",
    re.IGNORECASE,
)
_BULLET = re.compile(r"(?:[•▪◦●■∙·➢✓]|[–—*-]\s)\s*(?=\S)")
_ITEM_NUMBER = re.compile(r"(?:\(?\d{1,2}\)|\(?[a-z]\)|\d{1,2}\.(?!\d)|\d{1,2}\s?[°-](?=\s))\s*(?=[^\W\d_]|[«\"(])")
_FOOTNOTE = re.compile(r"[*†‡§¶]{1,3}\s?\w|(?:\(\d{1,2}\)|\d{1,2}\.?|[a-d])\s?(?=[A-ZÀ-Ý«])")
_LEGEND = re.compile(r"[*†‡§]\s?\S|[\w/%²+-]{1,12}\s?[:=]\s\S|(?:abréviations|légende|source)s?\s?:", re.IGNORECASE)
_KEYWORDS = re.compile(r"(?:mots?[ -]cl(?:é|e|ef)s?|key[ -]?words?|descripteurs?|index terms?)\s?(?:[:.–—-]|$)", re.I)
_KEYWORDS_ALONE = re.compile(r"(?:mots?[ -]cl(?:é|e|ef)s?|key[ -]?words?)\s?[:.–—-]?", re.IGNORECASE)

_CELL_GAP = re.compile(r"\t|\s{3,}")
_NUMERIC = re.compile(r"[\d±%<>=+–—/().,;:-]+|\(?[np]\)?|n\.?s\.?|ans?", re.IGNORECASE)
_LONGEST_ROW = 200
_WIDEST_CELL = 50

_SENTENCE_END = re.compile(r"""[.!?…]["»”’')\]\s]{0,3}(?:\s?[\[(]\d[\d\s,;–-]*[\])]|\d{1,2}(?:[,–-]\d{1,2})*)?$""")
_ABBREVIATION = re.compile(
    r"(?:\b(?:al|cf|fig|figs|tab|vs|p|pp|env|ex|Dr|Drs|Pr|Prs|MM|M|Mme|St)"
    r"|(?:\b(?:et|par|and|by|Dr|Pr|Mme)|[.,])[ -]?[A-Z])\.$"
)
_TAIL = 30

_CONTACT = re.compile(
    r"\W{0,3}(?:auteur correspondant|correspond(?:ance|ence)|corresponding author|tirés? à part|reprints?|e-?mails?\s?:"
    r"|adresse e-?mail|(?:adresse|address|courriel|mél|tél|téléphone|fax)\.?\s?:"
    r"|(?:manuscrit |article )?(?-i:[RrAa])(?:eçu|eceived|ccepté|ccepted)\s(?:le\b|on\b|:|\d{1,2} \w{3,9} \d{4})"
    r"|disponible en ligne|available online|[\w.-]{1,40}@[\w.-]{1,40}[.)]?$)",
    re.IGNORECASE,
)
_AFFILIATION = re.compile(
    r"(?:[*†‡§]|\(?[\da-f]{1,2}[).]?)?\s?(?:service|hôpital|hospital|CH[RU]|universit|faculté|laboratoire|inserm|institut"
    r"|centre|clinique|pôle|départe?ment|unité|école|maternité|\d{1,4}(?: bis| ter)?, (?:rue|avenue|boulevard|place))",
    re.IGNORECASE,
)
_PLACE = re.compile(r"\bcedex\b|\b\d{5}\b|\b(?:rue|avenue|boulevard|place|chemin)\b|,", re.IGNORECASE)
_POSTCODE = re.compile(r"\b\d{5} [A-ZÀ-Ý]|\bcedex\b|, France\.?$", re.IGNORECASE)
_INITIALS = re.compile(
    r"(?:(?:Pr|Dr|MM?\.?|Mme)\.?\s)?[A-ZÀ-Ý][a-z]?\.(?:[ -]?[A-ZÀ-Ý][a-z]?\.)*\s?(?:(?:de|du|le|la|van|von|el|ben) )?"
    r"[A-ZÀ-Ý][\w'’-]+(?:\s?[\d*(,&]|\s(?:et|and|[A-ZÀ-Ý])|$)"
)
_NAME_PARTS = lexicon("et and de du le la van von der den el ben &")
_NOT_IN_NAMES = re.compile(r"[\d*†‡§().]+")
_BETWEEN_NAMES = re.compile(r"[,;&]|\bet\b|\band\b")
_RUBRIC = re.compile(
    r"(?:articles? (?:original|de recherche|de revue)|original article|cas cliniques?|faits? cliniques?|case reports?"
    r"|mises? au point|revue(?: générale| de la littérature)?|review|mémoires?(?: original)?|lettres? à la rédaction"
    r"|éditorial|editorial|communications?(?: brève)?|notes? (?:de )?technique|formation (?:médicale )?continue"
    r"|recommandations?|pratique clinique|dossier(?: thématique)?|travail original|thème.{0,40})",
    re.IGNORECASE,
)
_FRONT_LENGTH = 200

_REFERENCE_NUMBER = re.compile(r"(\[)?\(?(\d{1,3})(?:[\]).]+\s*|\s+)(?=[^\W\d_]|[«\"“'’(])")
_REFERENCE_AUTHOR = re.compile(
    r"[A-ZÀ-Ý][\w'’-]+(?: [A-ZÀ-Ý][\w'’-]+)?,? (?:[A-ZÀ-Ý]{1,3}\b|[A-ZÀ-Ý]\.)[-A-ZÀ-Ý. ]{0,8}"
    r"(?:[,.(:]|(?:et|and|&)\b|$)"
)

FUNCTION_WORDS = lexicon(
    "le la les l un une des du de d et est en à a au aux dans par pour sur que qui qu nous ont été était sont avec ce"
    " cette ces leur ou ne pas il elle se son sa chez sans comme the of and in was were with to we is are that this for"
    " by from"
)
_WORD = re.compile(r"[^\W\d_]+")


def words(text: str) -> list[str]:
    """The runs of letters among the first two thousand characters, in lower case."""
    return _WORD.findall(text[:2000].lower())


def ends_sentence(text: str) -> bool:
    """Whether a line ends with a sentence, reference marks after the full stop or not."""
    tail = text[-_TAIL:]
    return _SENTENCE_END.search(tail) is not None and _ABBREVIATION.search(tail) is None


def breaks_off(text: str) -> bool:
    """Whether a line surely stops in the middle of a sentence: at a function word, a comma, a hyphen."""
    if text[-1] in ",(\u00ad\u00ac":
        return True
    if not text[-1].isalpha():
        return cuts_word(text)
    last = text[-_TAIL:].split()[-1].replace("’", "'").rpartition("'")[2]
    return last.lower() in FUNCTION_WORDS


def cuts_word(text: str) -> bool:
    """Whether a line ends with a hyphen inside a word."""
    return text[-1] in "-\u2010\u2011\u00ad\u00ac" and len(text) > 1 and text[-2].isalnum()


def is_prose(text: str) -> bool:
    """Whether a text has the function words of a sentence or more."""
    found = words(text)
    return len(found) >= 12 and sum(1 for word in found if word in FUNCTION_WORDS) >= len(found) * 0.2


def is_caption(text: str) -> bool:
    """ "Figure 1. …", "Fig. 2 – …", "Tableau I": not "Figure 1 montre …"."""
    return _CAPTION.match(text) is not None


def is_table_caption(text: str) -> bool:
    """Whether a caption is a table's."""
    return text[:3].lower() == "tab"


def is_bare_caption(text: str) -> bool:
    """ "Tableau I" and no more: its title is on the next line."""
    found = _CAPTION.match(text)
    return found is not None and found.end() == len(text)


def is_list_item(text: str) -> bool:
    """A bullet, a dash and a space, or "1.", "2)", "a)" before a word."""
    return (_BULLET.match(text) or _ITEM_NUMBER.match(text)) is not None


def is_footnote(text: str) -> bool:
    """A note mark before a word; only the bottom of a page makes it a note."""
    return _FOOTNOTE.match(text) is not None


def is_legend(text: str) -> bool:
    """What stands under a table: "HTA : hypertension artérielle ; …", "* p < 0,05"."""
    return _LEGEND.match(text) is not None


def is_keywords(text: str) -> bool:
    """ "Mots clés : …", or that label alone."""
    return _KEYWORDS.match(text) is not None


def is_keywords_label(text: str) -> bool:
    """The label of the keywords, alone on its line."""
    return len(text) < 20 and _KEYWORDS_ALONE.fullmatch(text) is not None


def is_row(text: str) -> bool:
    """A table row: cells set apart by wide gaps, or mostly numbers."""
    if len(text) > _LONGEST_ROW:
        return False
    gaps = ("   " in text or "\t" in text) and len(_CELL_GAP.findall(text))
    if gaps >= 2 and max(map(len, _CELL_GAP.split(text))) <= _WIDEST_CELL:
        return True
    if text[-1] in ",;":
        return False
    tokens = text.split()
    digits = sum(1 for token in tokens if token.lstrip("(<>≥≤±+–-")[:1].isdigit())
    return digits >= 2 and 2 * sum(1 for token in tokens if _NUMERIC.fullmatch(token)) >= len(tokens)


def is_rubric(text: str) -> bool:
    """The journal's section: "Article original", "Mise au point"."""
    return len(text) < 60 and _RUBRIC.fullmatch(text) is not None


def is_contact(text: str) -> bool:
    """An address, an e-mail, or when the manuscript was received."""
    return _CONTACT.match(text) is not None


def front_part(text: str) -> str:
    """The part of the front matter a line is of: contact, authors, affiliation, place (its end), rubric; or ""."""
    if is_contact(text):
        return "contact"
    if len(text) > _FRONT_LENGTH:
        return ""
    if is_rubric(text):
        return "rubric"
    if _are_names(text):
        return "authors"
    if _AFFILIATION.match(text) and _PLACE.search(text):
        return "affiliation"
    return "place" if _POSTCODE.search(text) else ""


def _are_names(text: str) -> bool:
    """ "C. Morel (1), P. Garnier", "Claire Morel1, Paul Garnier2 et Jean Petit": nothing but capitalised words."""
    names = [name.split() for name in _BETWEEN_NAMES.split(_NOT_IN_NAMES.sub(" ", text))]
    if not all(_is_name_part(word) for name in names for word in name):
        return False
    if _INITIALS.match(text):
        return True
    # Two names at least; the line may end with the first half of one.
    names = [name for name in names if len(name) > 1 or (name and len(name[0]) > 1)]
    return len(names) > 1 and all(2 <= len(name) <= 5 for name in names[:-1]) and not text.isupper()


def _is_name_part(word: str) -> bool:
    return word.lstrip("-")[:1].isupper() or word in _NAME_PARTS or word[:2] in ("d'", "d’")


def reference_number(text: str) -> tuple[int, bool]:
    """The number that opens a reference, 0 for none, and whether it stands in square brackets."""
    found = _REFERENCE_NUMBER.match(text)
    return (int(found[2]), bool(found[1])) if found else (0, False)


def opens_with_author(text: str) -> bool:
    """ "Morel C, Garnier P. …", "Morel, C. (2003) …": how a reference without number begins."""
    return _REFERENCE_AUTHOR.match(text) is not None
