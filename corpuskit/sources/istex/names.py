"""Names of persons, as publishers write them, in one form."""

from __future__ import annotations

import re

_PARTICLES = {"d", "da", "de", "del", "della", "den", "der", "des", "di", "dos", "du", "el", "la", "le", "van", "von"}
_PARTICLES |= {"al", "ben", "bin", "ten", "ter", "zu"}
#: What the names of groups begin with.
_GROUPS = {"association", "collectif", "college", "collège", "comité", "commission", "conférence", "fédération"}
_GROUPS |= {"group", "groupe", "institut", "ligue", "réseau", "société", "society"}
_INITIALS = re.compile(r"[A-ZÀ-Ý]{1,2}|(?:[A-ZÀ-Ý][a-z]?\.-?)+[A-ZÀ-Ý]?|[A-ZÀ-Ý]-[A-ZÀ-Ý]")


def family_first(name: str) -> str:
    """Turn a person's name into ``Family, Given``.

    The family name is what stands before a comma; else what is in capitals; else what stands before
    initials at the end; else the last word with its particles. Names of groups stay as they are.

    Args:
        name: such as "Sophie Van den Broek", "Agnès DUVAL", "Thibault M.-A" or "Garnier, Hélène".
    """
    if "," in name:
        return ", ".join(part for each in name.split(",") if (part := each.strip()))
    words = name.split()
    if len(words) < 2 or words[0].lower() in _GROUPS:
        return name
    family = _family(words)
    given = [word for i, word in enumerate(words) if i not in family]
    return f"{' '.join(words[i] for i in family)}, {' '.join(given)}" if given else name


def _family(words: list[str]) -> range:
    """Which words of a name are the family's."""
    initials = [_INITIALS.fullmatch(word) is not None and not _is_particle(word) for word in words]
    capitals = [i for i, word in enumerate(words) if word.isupper() and not initials[i]]
    first, end = len(words) - 1, len(words)
    if capitals and len(capitals) + sum(initials) < len(words):
        first, end = capitals[0], capitals[-1] + 1
    elif initials[-1] and not initials[0]:
        return range(initials.index(True))
    while first > (1 if end == len(words) else 0) and _is_particle(words[first - 1]):
        first -= 1
    return range(first, end)


def _is_particle(word: str) -> bool:
    return len(word) > 1 and word.lower().rstrip("'’") in _PARTICLES
