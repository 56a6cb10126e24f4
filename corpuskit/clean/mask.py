"""Contact details and identifiers of persons, masked on demand: each becomes a placeholder such as ``<EMAIL>``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from pydantic import Field

from corpuskit.records import Article
from corpuskit.steps import ArticleStep, StepOptions

Mask = Literal["email", "phone", "nir", "iban", "url"]


def _is_nir(found: re.Match[str]) -> bool:
    """Whether the last two digits are the key: 97 minus the remainder of the first thirteen by 97.

    The departments of Corsica, 2A and 2B, count as 19 and 18 there.
    """
    compact = re.sub(r"\W", "", found[0]).upper()
    number, key = compact[:13].replace("2A", "19").replace("2B", "18"), compact[13:]
    return int(key) == 97 - int(number) % 97


def _is_iban(found: re.Match[str]) -> bool:
    """Whether the check digits are right (ISO 13616): head put last, letters read as 10 to 35, it is 1 modulo 97."""
    compact = found[0].replace(" ", "")
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


_OTHER_NUMBER = re.compile(
    r"\b(?:ISBN(?:-10)?|ISSN|DOI|PMID|EudraCT|AMM|SIRET|grant|award|contrat|convention|projet|dossier|lot|réf|référence)"
    r"\W{0,3}(?:n[°o]|num[ée]ro|number)?\W{0,3}$",
    re.IGNORECASE,
)


def _is_phone(found: re.Match[str]) -> bool:
    """Whether what stands before does not call it another number."""
    return not _OTHER_NUMBER.search(found.string, max(0, found.start() - 30), found.start())


class Rule(NamedTuple):
    """What is masked: the pattern, what any match holds (found faster), and a last check of a match."""

    pattern: re.Pattern[str]
    holds: re.Pattern[str]
    confirms: Callable[[re.Match[str]], bool] = bool


# A number is whole: nothing before or after it goes on with a digit, be it a decimal, nor with a letter.
_START, _END = r"(?<![\w+/=])(?<!\d[.,/ -])", r"(?!\w)(?![.,/ -]\d)"

#: In this order: an IBAN or a social security number may hold what looks like a telephone number.
RULES: dict[Mask, Rule] = {
    "email": Rule(
        re.compile(
            r"(?<![\w.%+-])(?:mailto:)?\w(?:[\w.%+-]{0,62}[\w%+-])?\s?(?:@|[(\[](?:@|at|à)[)\]])\s?"
            r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,6}[A-Za-z]{2,24}(?![\w@])"
        ),
        re.compile(r"@|[(\[](?:at|à)[)\]]"),
    ),
    "url": Rule(
        re.compile(r"(?<![\w@])(?:(?:https?|ftp)://|www\.)[^\s<>«»\"]{0,2000}[^\s<>«»\"'’.,;:!?()\[\]]", re.IGNORECASE),
        re.compile(r"://|www\.", re.IGNORECASE),
    ),
    "iban": Rule(
        re.compile(rf"{_START}[A-Z]{{2}}\d\d(?: ?[A-Z0-9]{{4}}){{2,7}}(?: ?[A-Z0-9]{{1,3}})?{_END}"),
        re.compile(r"[A-Z]{2}\d\d ?[A-Z0-9]{4}"),
        _is_iban,
    ),
    # Sex, year, month (from 20 on where the civil record is incomplete), department, commune, rank, key.
    "nir": Rule(
        re.compile(
            rf"{_START}[1-478][ .-]?\d\d[ .-]?(?:0[1-9]|1[0-2]|[2-9]\d)[ .-]?(?:\d\d|2[ABab])"
            rf"[ .-]?\d{{3}}[ .-]?\d{{3}}[ .-]?\d\d{_END}"
        ),
        re.compile(r"\d{3}[ .-]?\d{3}[ .-]?\d\d"),
        _is_nir,
    ),
    # The national form is written in pairs, all parted alike, or in one; the international one anyhow.
    "phone": Rule(
        re.compile(
            rf"{_START}0[1-9](?:\d{{8}}|(?P<by>[ .-]|/| / )\d\d(?:(?P=by)\d\d){{3}}){_END}"
            r"|(?<![\w+/=.,])\(?(?:\+|00) ?(?:33|262|508|590|594|596|681|687|689)\)?[ .-]?(?:\(0\)[ .-]?|0)?"
            rf"[1-9](?:[ .-]?\d){{8}}{_END}"
        ),
        re.compile(r"\d\d[ ./-]{0,3}\d\d[ ./-]{0,3}\d\d|\+|00"),
        _is_phone,
    ),
}


class MaskOptions(StepOptions):
    """What is masked."""

    kinds: list[Mask] = Field([], description="what to mask, any of " + ", ".join(f"`{kind}`" for kind in RULES))


class MaskStep(ArticleStep):
    """Replaces contact details and identifiers by ``<EMAIL>``, ``<PHONE>``, ``<NIR>``, ``<IBAN>`` and ``<URL>``.

    Nothing is masked unless ``kinds`` asks for it. Paragraphs set aside are masked too, for they are
    written down as well. What was masked is counted.
    """

    name = "Mask"
    stage = "mask"
    Options = MaskOptions

    def process(self, article: Article) -> None:
        for paragraph in article.paragraphs:
            paragraph.text = self.mask(paragraph.text)

    def mask(self, text: str) -> str:
        """The text with placeholders; masking it again changes nothing."""
        while True:
            masked = text
            for kind, rule in RULES.items():
                if kind in self.options.kinds and rule.holds.search(masked):
                    masked = self._mask(masked, kind, rule)
            if masked == text:
                return text
            # A number that ran into the one just masked may now stand by itself.
            text = masked

    def _mask(self, text: str, kind: str, rule: Rule) -> str:
        masked = 0

        def placeholder(found: re.Match[str]) -> str:
            nonlocal masked
            if not rule.confirms(found):
                return found[0]
            masked += 1
            return f"<{kind.upper()}>"

        text = rule.pattern.sub(placeholder, text)
        if masked:
            self.stat_update(kind, value=masked)
        return text
