"""The words of several texts as arrays: what counting, repetition, near-duplicates and contamination share.

The words are those of :func:`corpuskit.clean.words.words`, found for a whole article in a few array
operations instead of one by one, and known by their hashes instead of their letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.clean.spans import Spans
from corpuskit.records import Article

Array = npt.NDArray[Any]

_MULTIPLIER = 0x9E6C63D0876A9A47
_PLANE = 0x10000
#: What a character is: its kinds, added up.
_ALPHANUMERIC, _DECIMAL, _LETTER, _DECIMAL_MARK = 1, 2, 4, 8


class Tokens:
    """The words of texts, in order.

    Args:
        texts: any number of them; n-grams never reach from one into the next.

    Attributes:
        codes: code points of all texts, a line break between two of them, shape (characters,).
        starts: where each word starts in ``codes``, shape (words,).
        ends: where it ends, shape (words,).
        bounds: the words of text *i* are ``bounds[i]:bounds[i + 1]``, shape (texts + 1,).
        offsets: text *i* is ``codes[offsets[i]:offsets[i + 1] - 1]``, shape (texts + 1,).
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        joined = "\n".join(texts)
        self.codes: Array = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + 1
        self.offsets: Array = np.concatenate(([0], lengths.cumsum()))
        self._kinds = _looked_up(self.codes)
        self._inside, self.starts, self.ends = self._words()
        self.bounds: Array = np.searchsorted(self.starts, self.offsets)

    def __len__(self) -> int:
        return len(self.starts)

    def _words(self) -> tuple[Array, Array, Array]:
        inside = (self._kinds & _ALPHANUMERIC).view(np.bool_)
        marks = np.flatnonzero(self._kinds[1:-1] & _DECIMAL_MARK) + 1
        marks = marks[(self._kinds[marks - 1] & self._kinds[marks + 1] & _DECIMAL) > 0]
        cuts = marks[:0]
        if len(marks):
            digit = (self._kinds & _DECIMAL).astype(np.bool_)
            # Letters right after the digits of a decimal number ("2,5mg") are a word of their own.
            no_digit = np.append(np.flatnonzero(~digit), len(self.codes))
            after = no_digit[np.searchsorted(no_digit, marks + 1)]
            after = after[after < len(self.codes)]
            cuts = np.unique(after[inside[after]])
            inside[marks] = True
        framed = np.zeros(len(inside) + 2, np.bool_)
        framed[1:-1] = inside
        changes = np.flatnonzero(framed[1:] != framed[:-1])
        starts, ends = changes[::2].copy(), changes[1::2].copy()
        if len(cuts):
            starts, ends = np.sort(np.concatenate((starts, cuts))), np.sort(np.concatenate((ends, cuts)))
        return inside, starts, ends

    @cached_property
    def counts(self) -> Array:
        """Words of each text, shape (texts,)."""
        return self.bounds[1:] - self.bounds[:-1]

    @cached_property
    def lengths(self) -> Array:
        """Characters of each word."""
        return self.ends - self.starts

    @cached_property
    def edges(self) -> Array:
        """Characters of all words before each word, and of all, shape (words + 1,)."""
        edges = np.zeros(len(self) + 1, np.int64)
        self.lengths.cumsum(out=edges[1:])
        return edges

    @cached_property
    def letters(self) -> Spans:
        """Hashes of stretches of the characters of all words, in lower case, one after the other."""
        return Spans(_lower().take(self.codes[self._inside], mode="clip"))

    @cached_property
    def hashes(self) -> Array:
        """A 64-bit hash of each word in lower case."""
        return self.letters.hashes(self.edges[:-1], self.edges[1:])

    @cached_property
    def numeric(self) -> Array:
        """Whether a word holds a digit, shape (words,)."""
        return (self._held & _DECIMAL).astype(np.bool_)

    @cached_property
    def lettered(self) -> Array:
        """Whether a word holds a letter, shape (words,)."""
        return (self._held & _LETTER).astype(np.bool_)

    @cached_property
    def _held(self) -> Array:
        """The kinds of character in each word: what stands between it and the next is none of them."""
        held: Array = np.bitwise_or.reduceat(self._kinds, self.starts) if len(self) else self._kinds[:0]
        return held

    def ngrams(self, n: int) -> tuple[Array, Array]:
        """The hash of every n-gram of words, well mixed, and where those of each text begin.

        Returns:
            ``hashes``, shape (n-grams,), and ``bounds``, shape (texts + 1,): the n-grams of text *i* are
            ``hashes[bounds[i]:bounds[i + 1]]``, none where it has fewer than n words.
        """
        counts = np.maximum(self.counts - (n - 1), 0)
        bounds = np.zeros(len(self.bounds), np.int64)
        counts.cumsum(out=bounds[1:])
        # The first word of each n-gram: those of a text follow one another.
        first = np.arange(bounds[-1]) + np.repeat(self.bounds[:-1] - bounds[:-1], counts)
        hashes = np.zeros(max(0, len(self) - n + 1), np.uint64)
        for place in range(n):
            hashes *= np.uint64(_MULTIPLIER)
            hashes += self.hashes[place : place + len(hashes)]
        return mixed(hashes[first]), bounds

    @cached_property
    def text_hashes(self) -> Array:
        """A hash of each text's words in order, whatever their case and what stands between them, shape (texts,)."""
        return mixed(Spans(self.hashes).hashes(self.bounds[:-1], self.bounds[1:]))


def of(article: Article) -> Tokens:
    """The tokens of all paragraphs of an article, marked or not; found once as long as no text changes."""
    texts = [paragraph.text for paragraph in article.paragraphs]
    if article.tokens is None or article.tokens.texts != texts:
        article.tokens = Tokens(texts)
    tokens: Tokens = article.tokens
    return tokens


def mixed(hashes: Array) -> Array:
    """Spread every bit over all (the finaliser of MurmurHash3), a bijection on 64 bits."""
    hashes = hashes ^ (hashes >> np.uint64(33))
    hashes *= np.uint64(0xFF51AFD7ED558CCD)
    hashes ^= hashes >> np.uint64(33)
    hashes *= np.uint64(0xC4CEB9FE1A85EC53)
    hashes ^= hashes >> np.uint64(33)
    return hashes


def word_hashes(words: Sequence[str]) -> Array:
    """The hash that :attr:`Tokens.hashes` has for each of these words."""
    tokens = Tokens(words)
    assert len(tokens) == len(words), "each must be one word"
    return tokens.hashes


def _looked_up(codes: Array) -> Array:
    """The kinds of each code point, shape (characters,), uint8."""
    kinds = _kinds().take(codes, mode="clip")
    if len(codes) and codes.max() >= _PLANE:
        for place in np.flatnonzero(codes >= _PLANE).tolist():
            kinds[place] = _kind(chr(codes[place]))
    return kinds


@cache
def _kinds() -> Array:
    return np.fromiter((_kind(chr(code)) for code in range(_PLANE)), np.uint8, _PLANE)


def _kind(character: str) -> int:
    return (
        character.isalnum() * _ALPHANUMERIC
        + character.isdecimal() * _DECIMAL
        + character.isalpha() * _LETTER
        + (character in ".,") * _DECIMAL_MARK
    )


@cache
def _lower() -> Array:
    """The lower case of each code point of the basic plane, where it is one code point."""
    lowered = (chr(code).lower() for code in range(_PLANE))
    return np.fromiter((ord(low) if len(low) == 1 else code for code, low in enumerate(lowered)), np.uint32, _PLANE)
