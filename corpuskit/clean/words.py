"""Words: the one tokenizer of the cleaning steps and of the ``words`` column."""

from __future__ import annotations

import re
from collections.abc import Iterator

# `[^\W_]` is a letter or a digit of any script. The look-behind lets a decimal mark in only after a digit.
_WORD = re.compile(r"[^\W_]+(?:[.,](?<=\d.)\d+)*")


def words(text: str) -> list[str]:
    """The words of a text in order, case and accents kept: runs of letters and digits.

    A French elision is two words ("l'infarctus" gives "l" and "infarctus") and so are the parts of a
    compound ("anti-inflammatoire"): they are counted like everywhere else, whatever apostrophe or
    hyphen the source uses. A decimal number is one word ("3,5", "1.25"); the text should be in NFC.
    """
    return _WORD.findall(text)


def each_word(text: str) -> Iterator[str]:
    """The same one by one, for those who may stop before the end."""
    return (found[0] for found in _WORD.finditer(text))
