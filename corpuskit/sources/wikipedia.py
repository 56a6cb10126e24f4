"""Wikipedia: ``pages-articles`` dumps, of which the biomedical articles are kept.

A dump has millions of pages and most are not wanted, so a page is judged on its bytes, by its
namespace, categories, portals and infoboxes; only a page that is kept is parsed. The format is
MediaWiki's XML export, https://www.mediawiki.org/wiki/Help:Export#Export_format.
"""

from __future__ import annotations

import codecs
import html
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import IO, ClassVar, Literal, cast
from urllib.parse import quote

from pydantic import Field, field_validator

from corpuskit import identifiers
from corpuskit.files import Member, Refused
from corpuskit.records import Article, Drop, Quarantined
from corpuskit.sources import markup, wikitext
from corpuskit.sources.base import Items, SourceOptions, SourceReader
from corpuskit.sources.markup import Record

# Regular expressions, matched anywhere in a name, without case and accents.
CATEGORIES = (
    # disciplines
    r"\bmédecine\b", r"\bmédica", r"\bchirurg", r"\banatomie\b(?! végétale)", r"\bphysiologie\b(?! végétale)",
    r"\b(?:physio|neuro|psycho)?patholog", r"\bhistologie", r"\bembryologie", r"\bbiologie\b(?! végétale| marine)",
    r"\bbiochimie", r"\bgénétique\b", r"\bgénomique", r"\bmicrobiolog", r"\bvirolog", r"\bbactériolog", r"\bparasit",
    r"\bimmun", r"\bépidémi", r"\bpandémi", r"\boncolog", r"\bpsychiatri", r"\bneurolog", r"\bneuroscience",
    r"\bneuropsycholog", r"\bcardio(?:log|vasculaire)", r"\bangiolog", r"\bdermatolog", r"\bgynécolog", r"\bobstétri",
    r"\bpédiatri", r"\bgériatri", r"\bophtalmolog", r"\burolog", r"\bnéphrolog", r"\bpneumolog", r"\brhumatolog",
    r"\b(?:gastro-?)?entérolog", r"\bhépat", r"\bhémat", r"\bendocrin", r"\bodontolog", r"\bstomatolog",
    r"\boto-?rhino", r"\banesthési", r"\bréanimation", r"\bradiolog", r"\bpharmac", r"\btoxicolog", r"\ballergolog",
    r"\bkinésithérap", r"\bsoins infirmiers", r"^santé\b", r"\bsanté (?:publique|mentale)",
    # what goes wrong, and its signs
    r"\bmaladie", r"\bsyndrome", r"\bsymptôme", r"\bsigne clinique", r"\binfecti", r"\bcancer", r"\btumeur",
    r"\btraumatisme", r"\bmalformation", r"\bdiabète", r"\ballergie", r"\btroubles? (?:ment|psych|neuro|du |de l)",
    # what is done about it
    r"\bvaccin", r"\bthérap", r"\btraitement (?:médica|du cancer)", r"\bgrossesse", r"\baccouchement",
    r"\banti-?(?:biotique|viral|fongique|parasitaire|coagulant|hypertenseur|épileptique|dépresseur|psychotique"
    r"|cancéreux|inflammatoire|histaminique|émétique|diabétique|paludique)",
    # what the body is made of
    r"\bhormone", r"\bprotéine", r"\benzyme", r"\bgènes?\b", r"\bchromosome", r"\bneurotransmetteur",
    r"\bacides? aminé", r"\bvitamine", r"\bvirus\b", r"\bprion",
    # English
    r"\b(?:diseases?|disorders?|medicine|medical|symptoms|anatomy|physiology|pathology|pharmacology|drugs|surgery)\b",
    r"\b(?:neurology|immunology|microbiology|virology|epidemiology|vaccines|infections|proteins|genes|enzymes)\b",
)  # fmt: skip
# Psychology is left out: its portal is on works of the humanities too.
PORTALS = (
    r"^médecine", r"^santé", r"^pharmac", r"^biologie\b(?! marine)", r"^biochimie", r"^neurosciences", r"^génétique",
    r"^microbiologie", r"^virologie", r"^immunologie", r"^maladies?\b", r"^psychiatrie", r"^hématologie", r"^cancer",
    r"^oncologie", r"^odontologie", r"^chirurgie", r"^anatomie", r"^soins infirmiers", r"^maïeutique", r"^pandémie",
    r"^covid", r"^sida", r"^vih",
    r"^(?:medicine|anatomy|biology|pharmacy|health|viruses)\b",
)  # fmt: skip
INFOBOXES = (
    r"^infobox (?:maladie|médicament|anatomie|examen médical|spécialité médicale|symptôme|signe clinique|syndrome)",
    r"^infobox (?:trouble mental|protéine|gène|enzyme|hormone|vaccin|virus|pandémie|intervention médicale)",
    r"^(?:drugbox|infobox (?:medical|disease|symptom|drug|anatomy|protein|gene|enzyme|vaccine))\b",
)
EXCLUDED_CATEGORIES = (
    # people
    r"^(?:naissance|décès) (?:en|à|au|aux|dans)\b", r"^mort d", r"^personnalité", r"^lauréat",
    r"^(?:médecin|chirurgien|pharmacien|psychiatre|psychologue|biologiste|biochimiste|généticien|infirmière?|dentiste"
    r"|vétérinaire|virologue|immunologiste|épidémiologiste|neurologue|anatomiste|physiologiste)(?:ne)?s? \S",
    r"^\d{4} (?:births|deaths)$", r"^living people$",
    # institutions and places
    r"^(?:hôpital|hôpitaux|hospice|centre hospitalier|établissement|clinique (?:en|à|du|de)\b)", r"^entreprise",
    r"^laboratoire", r"^(?:société|association|organisme|organisation|ordre|syndicat|fondation|prix)\b",
    r"^(?:université|faculté|école|académie|institut)\b", r"^(?:rue|voie|monument|bâtiment|édifice|commune)\b",
    # works
    r"^(?:film|téléfilm|album|chanson|single|roman|livre|émission|jeu vidéo|bande dessinée|manga|opéra)s?\b",
    r"^(?:série télévisée|feuilleton|pièce de théâtre|tableau d|peinture|sculpture)", r"\bfiction\b",
    r"^(?:revue|presse|périodique|magazine|journal|titre de presse)\b", r"^listes?\b",
    # words of medicine that mean something else
    r"\binformatique", r"\bconstellation", r"\b(?:astrolog|zodia)", r"\btropique", r"\bphytopatholog", r"\bcryptogami",
    r"\b(?:maladie|virus|parasite)s? .*(?:végéta|plante|vigne|arbre|insecte)",
)  # fmt: skip

_HEAD_BYTES = 1 << 16
_LANGUAGE_OF = {"simple": "en", "be-x-old": "be"}

_FILE_NAME = re.compile(r"([a-z][a-z_]+?)wiki(?=[-.])")
_BASE = re.compile(rb"<base>\s*https?://([a-z-]+)\.wikipedia\.org")
_ROOT_LANGUAGE = re.compile(rb"""<mediawiki\b[^>]*\sxml:lang\s*=\s*["']([A-Za-z-]+)""")

_HEAD = re.compile(rb"<title>([^<]*)</title>\s*(?:<ns>(-?\d+)</ns>\s*)?<id>(\d+)</id>")
_REDIRECT = re.compile(
    rb"""<redirect\b(?:\s+title\s*=\s*"([^"]*)")?|<text[^>]*>\s*#\s*[Rr][Ee][Dd][Ii][Rr][Ee][Cc][Tt]"""
)
_DISAMBIGUATION = re.compile(
    rb"\{\{\s*(?:[Hh]omonymie(?: de [^|{}]{1,40})?|[Pp]aronymie|[Pp]atronymie|[Dd]isambig(?:uation)?|[Dd]ab|[Hh]ndis"
    rb"|[Gg]eodis)\s*[|}]|__DISAMBIG__"
)
# Catégorie in any encoding, or written with a character reference.
_CATEGORY = re.compile(rb"\[\[\s*[Cc]at(?:e|[^\s\[\]|:]{1,8}?)gor(?:ie|y|ia)\s*:\s*([^\]|\n]+)")
_PORTAL = re.compile(rb"\{\{\s*[Pp]orta(?:il|l(?: bar| inline)?)\b\s*([^{}]*)\}\}")
_INFOBOX = re.compile(rb"\{\{\s*(\w*[Bb]ox\b[^|{}<\n&]*)")


class WikipediaOptions(SourceOptions):
    """Which pages of a dump are read."""

    language: str = Field(
        "",
        pattern=r"^[a-z-]*$",
        description="code of the Wikipedia, such as `fr`; without it the file name (`frwiki-…`) tells, then the dump",
    )
    select: Literal["biomedical", "all"] = Field("biomedical", description="which articles: `biomedical` or `all`")
    categories: tuple[str, ...] = Field(
        CATEGORIES, description="regular expressions, one of which a category of a biomedical article matches"
    )
    portals: tuple[str, ...] = Field(PORTALS, description="or one of its portals")
    infoboxes: tuple[str, ...] = Field(INFOBOXES, description="or one of its infoboxes, by template name")
    exclude_categories: tuple[str, ...] = Field(
        EXCLUDED_CATEGORIES, description="regular expressions of categories that leave an article out all the same"
    )

    @field_validator("categories", "portals", "infoboxes", "exclude_categories")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(_folded(pattern))
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return patterns


class WikipediaReader(SourceReader):
    """Articles of MediaWiki XML dumps.

    Marked at stage "select": pages of other namespaces, redirects, disambiguation pages, and what is
    not biomedical. Their wikitext is not read.
    """

    source: ClassVar[str] = "wikipedia"
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    Options = WikipediaOptions

    def reads(self, name: str) -> bool:
        # Dumps in parts are named "…-pages-articles1.xml-p1p306134".
        return super().reads(re.sub(r"\.xml-p\d+p\d+$", ".xml", name.lower()))

    def read(self, member: Member) -> Iterator[Items]:
        stream = _Peeked(cast(io.BufferedReader, member.stream))
        wiki = self.options.language or _wiki(member.name, stream.head)
        selection = _Selection(self.options)
        for record in markup.records(cast(IO[bytes], stream), "page"):
            yield self._page(record, member.name, wiki, selection)

    def _page(self, record: Record, file: str, wiki: str, selection: _Selection) -> Iterator[Article | Quarantined]:
        try:
            if record.error:
                raise Refused(record.error)
            yield self._article(record, file, wiki, selection)
        except Exception as error:
            yield self.quarantine(file, error, record=_name(record))

    def _article(self, record: Record, file: str, wiki: str, selection: _Selection) -> Article:
        head = _HEAD.search(record.data)
        if not head:
            raise Refused("a page without title and id")
        title = _decoded(head[1], record)
        page = int(head[3])
        article = Article(
            id=f"{self.source_name}:{wiki}:{page}",
            source=self.source_name,
            file=file,
            record=record.number,
            title=title,
            language=_LANGUAGE_OF.get(wiki) or identifiers.language(wiki),
            document_type="encyclopedia",
            licence="CC-BY-SA-4.0",
            # The characters that MediaWiki itself leaves as they are.
            url=f"https://{wiki}.wikipedia.org/wiki/{quote(title.replace(' ', '_'), safe='/:;@$!*(),~')}",
        )
        categories = [_decoded(found[1], record) for found in _CATEGORY.finditer(record.data)]
        article.subjects = [f"category:{name}" for name in categories]
        article.drop = _no_article(int(head[2] or 0), record) or selection.judge(categories, record)
        if article.drop is None:
            source = _wikitext(record)
            article.paragraphs = list(wikitext.paragraphs(source, article.skipped))
        return article


class _Peeked:
    """A stream whose beginning is read ahead: the name of the wiki stands in its first lines."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._ahead = stream.read1(_HEAD_BYTES)
        encoded = self._ahead.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        self.head = self._ahead.decode("utf-16", "ignore").encode() if encoded else self._ahead

    def read1(self, size: int = -1) -> bytes:
        ahead, self._ahead = self._ahead, b""
        return ahead or self._stream.read1(size)


def _wiki(file: str, head: bytes) -> str:
    """The code of the Wikipedia: "fr" of https://fr.wikipedia.org.

    The file name comes first, as dumps are named after their database, while what is inside is copied
    along when people cut a dump down; then the address of the wiki, then the language of the root.

    Raises:
        Refused: none of them tells.
    """
    if named := _FILE_NAME.match(file.rsplit("/", 1)[-1].lower()):
        return named[1].replace("_", "-")
    if found := _BASE.search(head) or _ROOT_LANGUAGE.search(head):
        return found[1].decode().lower()
    raise Refused("neither the file name nor the dump says which Wikipedia this is", "set the option language: fr")


def _name(record: Record) -> str:
    head = _HEAD.search(record.data)
    return f"page {head[3].decode()} ({_decoded(head[1], record)})" if head else f"page number {record.number}"


def _decoded(raw: bytes, record: Record) -> str:
    return " ".join(html.unescape(raw.decode(record.encoding, "replace")).split())


def _wikitext(record: Record) -> str:
    """The source of the page's last revision."""
    revisions = markup.parse(record).findall("revision")
    return (revisions[-1].findtext("text") or "") if revisions else ""


def _no_article(namespace: int, record: Record) -> Drop | None:
    """Why the page is no article of the encyclopedia, if so."""
    if namespace:
        return Drop("select", "namespace", f"namespace {namespace}")
    if redirect := _REDIRECT.search(record.data):
        return Drop("select", "redirect", f"to {_decoded(redirect[1], record)}" if redirect[1] else "")
    if _DISAMBIGUATION.search(record.data):
        return Drop("select", "disambiguation")
    return None


class _Selection:
    """What makes an article biomedical."""

    def __init__(self, options: WikipediaOptions) -> None:
        self._all = options.select == "all"
        # The same categories come again and again.
        self._wanted = lru_cache(1 << 16)(_any(options.categories))
        self._excluded = lru_cache(1 << 16)(_any(options.exclude_categories))
        self._portal, self._infobox = _any(options.portals), _any(options.infoboxes)

    def judge(self, categories: list[str], record: Record) -> Drop | None:
        """Why the article is left out, if so."""
        if self._all:
            return None
        biomedical = (
            any(map(self._wanted, categories))
            or any(map(self._portal, _portals(record)))
            or any(self._infobox(_decoded(found[1], record)) for found in _INFOBOX.finditer(record.data))
        )
        if not biomedical:
            return Drop("select", "not_biomedical", "; ".join(categories[:4]) or "no category")
        if excluded := next(filter(self._excluded, categories), ""):
            return Drop("select", "not_biomedical", f"excluded by the category {excluded}")
        return None


def _any(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a name matches one of the patterns, without case and accents; with none, no name does."""
    compiled = re.compile("|".join(f"(?:{_folded(pattern)})" for pattern in patterns) or r"(?!)", re.IGNORECASE)
    return lambda name: compiled.search(_folded(name)) is not None


def _portals(record: Record) -> Iterator[str]:
    """``médecine`` and ``pharmacie`` of ``{{Portail|médecine|pharmacie}}``."""
    for found in _PORTAL.finditer(record.data):
        yield from filter(None, map(str.strip, _decoded(found[1], record).split("|")))


def _folded(text: str) -> str:
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "Oe").replace("’", "'"))
    return "".join(c for c in decomposed if not unicodedata.combining(c))
