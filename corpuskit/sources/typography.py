"""What markup says by position, said in characters."""

from __future__ import annotations

import re

EXPONENT = re.compile(r"[0-9+−-]+")
_SUPERSCRIPTS = str.maketrans("0123456789+−-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")


def superscript(text: str) -> str:
    """Exponents in raised digits, since 10⁹ is not 109; anything else (``XIX``, ``e``) as it is."""
    return text.translate(_SUPERSCRIPTS) if EXPONENT.fullmatch(text.strip()) else text
