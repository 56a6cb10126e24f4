"""Words cut at the end of a line: is the hyphen the printer's, or the word's own?

French is only divided between syllables, so most cuts tell nothing. What does tell, in this order:
the same word elsewhere in the document, capitals and figures, the closed lists of words that are
written with a hyphen, a cut between two vowels (which printers avoid), two words that the document
also uses singly. Where nothing speaks for the hyphen, the word is joined.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property

from corpuskit.sources.reflow.shapes import lexicon

_HYPHENS = frozenset("-\u2010\u2011")
_SOFT_HYPHENS = frozenset("\u00ad\u00ac")
_WORD = re.compile(r"[^\W_]+(?:[-\u2010\u2011][^\W_]+)*")
_CUT = re.compile(r"([^\W_]+(?:[-\u2010\u2011][^\W_]+)*)[-\u2010\u2011]$")
_ELISION = re.compile(r"(?:\b[cdjlmnst]|qu|lorsqu|puisqu|quoiqu|jusqu)['’]$", re.IGNORECASE)
# No word is longer; what is looked at of a line stays short however long the line.
_REACH = 60

_SUSPENDED = {"et", "ou", "ni", "and", "or", "à"}  # pré- et postopératoire
_NUMERALS = lexicon(
    "vingt trente quarante cinquante soixante quatre dix cent un une deux trois quatre cinq six sept huit neuf"
    " onze douze treize quatorze quinze seize vingts"
)
#: Words that are no syllable of a longer one: after them the hyphen is the word's own.
_FIRST_PARTS = lexicon(
    "après arrière avant blanc brun celle celles celui ceux coût demi faux grand grands gris jaune là médecin mots non"
    " nord nouveaux peut quasi quelques rendez rouge sans savoir semi sous sud tiers"
)
_SECOND_PARTS = lexicon("ci là même mêmes dessus dessous delà être")
_BORN = lexicon("né née nés nées")
_BEFORE_BORN = lexicon("nouveau nouveaux mort morts premier premiers première dernier dernière")
#: First parts that keep their hyphen before a whole word (médico-social, antéro-inférieur) ...
_COMBINING = lexicon(
    "abdomino anatomo antéro bucco cérébro cervico clinico costo cranio crânio dorso fronto huméro iléo inféro"
    " latéro lombo maxillo médico médio naso occipito oro pariéto pleuro postéro recto sacro scapulo"
    " socio sterno supéro temporo thoraco tibio utéro vésico"
)
#: ... but not before a suffix that is no word (thoracotomie).
_SUFFIX = re.compile(
    r"(?:cèle|centèse|cyte|dèse|dynie|ectasie|ectomie|gène|gramme|graph|log|lys|mégalie|mètre|métri|nomi|path|pexie"
    r"|phage|phil|plasti|plégi|ptose|rragi|rraphie|rrhagi|rrhaphie|sclér|scop|spasme|stomi|thérap|tom|trop)"
)
#: First parts that modern spelling joins to what follows (neuromusculaire, cardiovasculaire).
_SOLID = lexicon(
    "angio arthro athéro auto bactério bio broncho carcino cardio chimio chloro chromo chrono cyto dermato écho"
    " électro encéphalo endo étio fibro gluco glyco granulo hémo hépato hétéro histo homo hydro hypo immuno iso"
    " laparo leuco lipo lympho macro méso micro mono muco myco myélo nano néo néphro neuro ostéo patho pharmaco"
    " phospho photo physio pneumo proto psycho radio rétro rhumato scléro séro stéréo thermo thrombo tomo toxo viro"
)
_ADJECTIVE = re.compile(r"\w{4,}(?:al|ale|ales|aux|aires?|iens?|iennes?|eux|euses?|iques?|ifs?|ives?|ante?s?)$")
_VOWEL_PREFIXES = {"anti", "archi", "contre", "demi", "épi", "maxi", "mini", "multi", "péri", "semi"}
_JOINED_PREFIXES = {"bi", "co", "dé", "pré", "re", "ré", "tri"}
_VOWELS = frozenset("aeiouyàâäéèêëîïôöùûüœæ")
_FUNCTION_WORDS = lexicon(
    "ainsi aucun aucune aussi autre avant avec avoir cette chez comme contre dans depuis donc entre être leur leurs"
    " lors mais même moins pour plus quand quel quelle quelque sans selon sous sont sur tout toute vers with from"
    " that this were have been which over under inter trans long longue main mal"
)
_ENGLISH = lexicon("the of and in with was were for by that from this is are to an which had")


class Hyphenation:
    """Joins the lines of one document.

    Args:
        lines: all of them, the evidence for the spelling of its words. They are read when the first
            doubtful cut asks for it.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines

    @cached_property
    def _known(self) -> Counter[str]:
        return _words(self._lines)

    @cached_property
    def _first_parts(self) -> frozenset[str]:
        """What the document writes before the hyphens of its own words."""
        return frozenset(word.partition("-")[0] for word in self._known if "-" in word)

    def join(self, lines: Iterable[str]) -> str:
        """The lines as one: cut words whole, one space between any two others."""
        pieces: list[str] = []
        previous = ""
        for line in lines:
            if previous:
                drop, glue = self._seam(previous, line)
                if drop:
                    pieces[-1] = pieces[-1][:-1]
                pieces.append(glue)
            pieces.append(line)
            previous = line
        joined = "".join(pieces)
        if "\u00ad" in joined:
            joined = joined.replace("\u00ad", "")
        return " ".join(joined.split())

    def _seam(self, left: str, right: str) -> tuple[bool, str]:
        """Whether the last character of ``left`` goes, and what comes between the two."""
        last = left[-1]
        if last.isalnum() or last in ".,;:)":
            return False, " "
        if last in _SOFT_HYPHENS:
            return True, ""
        if last in _HYPHENS:
            return self._hyphen_seam(left[-_REACH:], right[:_REACH])
        if last in "'’" and _ELISION.search(left[-8:]):
            return False, ""
        if last in "–/" and len(left) > 1 and left[-2].isalnum() and right[0].isalnum():
            return False, ""
        return False, " "

    def _hyphen_seam(self, left: str, right: str) -> tuple[bool, str]:
        cut, rest = _CUT.search(left), _WORD.match(right)
        if not cut or not rest or rest[0].lower() in _SUSPENDED:
            # A dash, or a suspended part; but 2003-[2004] and the like stay together.
            return False, " " if len(left) < 2 or left[-2].isspace() or rest else ""
        english = self._is_english(left, right)
        return (False, "") if self.keeps(cut[1], rest[0], english) else (True, "")

    @staticmethod
    def _is_english(left: str, right: str) -> bool:
        words = {word.lower() for word in _WORD.findall(left + " " + right)}
        return len(words & _ENGLISH) >= 2

    def keeps(self, left: str, right: str, english: bool = False) -> bool:
        """Whether ``left-right``, cut at the hyphen, is written with it.

        Args:
            left: the letters before the hyphen, with the earlier hyphens of the word.
            right: the letters after it.
            english: the sentence is English: French spelling says nothing.
        """
        if left[-1].isdigit() or right[0].isdigit():
            return True
        low_left, low_right = left.lower(), right.lower()
        hyphened, joined = self._count(f"{low_left}-{low_right}"), self._count(low_left + low_right)
        if hyphened or joined:
            return hyphened > joined
        if right[0].isupper():
            # A heading's word is cut like any other; initialisms are short.
            return not (left.isupper() and right.isupper() and len(left) + len(right) > 7)
        part, other = low_left.rpartition("-")[2], low_right.partition("-")[0]
        if len(part) == 1 or len(other) == 1:
            return True
        if english:
            return False
        if part in _NUMERALS and other in _NUMERALS:
            return True
        if part in _FIRST_PARTS or other in _SECOND_PARTS or (other in _BORN and part in _BEFORE_BORN):
            return True
        if part[-1] in _VOWELS and other[0] in _VOWELS and part not in _JOINED_PREFIXES:
            return part[-1] in "oa" or part in _VOWEL_PREFIXES or (part[-1] == "e" and len(part) >= 5)
        if part in _COMBINING or (part in self._first_parts and len(part) >= 5):
            return not _SUFFIX.match(other)
        if part[-1] == "o" and part not in _SOLID and (part != low_left or len(part) >= 4):
            return _ADJECTIVE.match(other) is not None and not _SUFFIX.match(other) and not _cuts_form(part, other)
        return self._is_word(part) and self._is_word(other)

    def _is_word(self, part: str) -> bool:
        """Whether the document uses a part as a word of its own."""
        return len(part) >= 5 and part not in _FUNCTION_WORDS and self._count(part) > 0

    def _count(self, word: str) -> int:
        """How often the document writes a word, in the plural or singular too."""
        return self._known[word] + self._known[word[:-1] if word.endswith("s") else word + "s"]


def _cuts_form(left: str, right: str) -> bool:
    """Whether the cut goes through a combining form: anato-mopathologique."""
    return any(form.startswith(left) and (left + right).startswith(form) for form in _COMBINING | _SOLID)


def _words(lines: Iterable[str]) -> Counter[str]:
    """The words of a document that no line end cuts."""
    whole: list[str] = []
    cut = False
    for line in lines:
        if cut:
            line = line.partition(" ")[2]
        cut = line[-1:] in _HYPHENS or line[-1:] in _SOFT_HYPHENS
        whole.append(line.rpartition(" ")[0] if cut else line)
    return Counter(_WORD.findall("\n".join(whole).lower()))
