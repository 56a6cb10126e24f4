"""Entities as tags of words and back, the sub-tokens that a model reads, and windows over texts too long for it.

A word is a run of letters, digits and underscores, or any other single character but white space: whatever the
tokenizer of a model, gold and predictions are cut alike. Tags are IOB2 (Ramshaw and Marcus 1995; Sang and Veenstra
1999): ``B-`` for the first word of an entity, ``I-`` for those that follow, ``O`` outside.

An entity that begins or ends inside a word is tagged on the whole word, so that a model can learn of it. But it is
scored as it is annotated, which tags then cannot reach; such entities are counted, as are all others that do not come
back from their tags as they are.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

from corpuskit.evaluate.records import Entity, Span, TaskError

OUTSIDE = "O"
#: Reasons why an entity does not come back from its tags.
INSIDE_A_WORD = "begins or ends inside a word"
WHITE_SPACE = "begins or ends with white space"
SHARES_A_WORD = "shares a word with another"
SHARES_A_TOKEN = "begins or ends inside a sub-token"
NO_WORD = "holds no word"
IN_PIECES = "discontinuous"

# An accent that is a character of its own is part of its word.
_WORD = re.compile("[\\w\u0300-\u036f]+|[^\\w\\s]")

Value = TypeVar("Value")


class Tokenizer(Protocol):
    """What a model reads with; it knows which characters each sub-token stands for."""

    def __call__(self, text: str, /, **options: Any) -> Any: ...


def words(text: str) -> list[Span]:
    """Where the words of a text are."""
    return [found.span() for found in _WORD.finditer(text)]


def to_tags(entities: Iterable[Entity], words: Sequence[Span]) -> tuple[list[str], Counter[str]]:
    """Tag words.

    Args:
        entities: of which none should overlap; where two share a word the first in the text is tagged.
        words: where they are, in order.

    Returns:
        A tag for each word, and the number of entities that do not come back from the tags as they are, by reason.
    """
    tags = [OUTSIDE] * len(words)
    lost: Counter[str] = Counter()
    starts, ends = [start for start, _ in words], [end for _, end in words]
    for entity in sorted(entities, key=lambda entity: (entity.start, -entity.end)):
        first, last = bisect_right(ends, entity.start), bisect_left(starts, entity.end) - 1
        if entity.discontinuous:
            lost[IN_PIECES] += 1
        elif first > last:
            lost[NO_WORD] += 1
        elif any(tag != OUTSIDE for tag in tags[first : last + 1]):
            lost[SHARES_A_WORD] += 1
        else:
            tags[first : last + 1] = [f"B-{entity.label}", *[f"I-{entity.label}"] * (last - first)]
            if starts[first] < entity.start or ends[last] > entity.end:
                lost[INSIDE_A_WORD] += 1
            elif (starts[first], ends[last]) != (entity.start, entity.end):
                lost[WHITE_SPACE] += 1
    return tags, lost


def to_entities(tags: Sequence[str], words: Sequence[Span]) -> tuple[Entity, ...]:
    """The entities that tags say, read strictly: see :func:`runs`."""
    return tuple(Entity(((words[first][0], words[last - 1][1]),), label) for first, last, label in runs(tags))


def runs(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """The first word, the end and the label of each entity, as seqeval reads IOB2 with ``mode="strict"``.

    An entity begins with ``B-``. An ``I-`` that does not go on with the entity before it is part of none.
    """
    found = []
    first, label = -1, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        if label and tag != f"I-{label}":
            found.append((first, place, label))
            label = ""
        if tag.startswith("B-"):
            first, label = place, tag[2:]
    return found


def strays(tags: Sequence[str]) -> int:
    """How many ``I-`` go on with no entity: what strict reading leaves out."""
    inside = sum(last - first - 1 for first, last, _ in runs(tags))
    return sum(tag.startswith("I-") for tag in tags) - inside


def read_tokens(tokenizer: Tokenizer, text: str) -> tuple[list[int], list[Span]]:
    """The sub-tokens of a whole text without special ones: their numbers, and the characters that each stands for.

    Raises:
        TaskError: the tokenizer does not know the characters.
    """
    try:
        read = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False, truncation=False, verbose=False)
        return list(read["input_ids"]), [(int(start), int(end)) for start, end in read["offset_mapping"]]
    except (NotImplementedError, KeyError):
        name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
        raise TaskError(f"{name} does not say where its tokens are: take a fast one, with a tokenizer.json") from None


def deciding(words: Sequence[Span], tokens: Sequence[Span]) -> list[int]:
    """The sub-token that decides on each word: the first of those with a character of it, -1 where there is none.

    Several words may be in one sub-token, such as ``l'`` in SentencePiece vocabularies.
    """
    found = [-1] * len(words)
    starts = [start for start, _ in words]
    for token in range(len(tokens) - 1, -1, -1):
        start, end = tokens[token]
        if start < end:
            place = max(0, bisect_right(starts, start) - 1)
            while place < len(words) and words[place][0] < end:
                if words[place][1] > start:
                    found[place] = token
                place += 1
    return found


def tags_of_tokens(tags: Sequence[str], deciding: Sequence[int], tokens: int) -> tuple[list[str | None], Counter[str]]:
    """What a model has to say of each sub-token: the tag of the first word that it decides on, None where of none.

    Args:
        tags: of the words.
        deciding: the sub-token of each word.
        tokens: how many there are.

    Returns:
        A tag or None for each sub-token, and the number of entities that these cannot say, by reason.
    """
    said: list[str | None] = [None] * tokens
    for word in range(len(tags) - 1, -1, -1):
        if deciding[word] >= 0:
            said[deciding[word]] = tags[word]
    lost = len(set(runs(tags)) - set(runs(tags_of_words([tag or OUTSIDE for tag in said], deciding))))
    return said, Counter({SHARES_A_TOKEN: lost} if lost else {})


def tags_of_words(said: Sequence[str], deciding: Sequence[int]) -> list[str]:
    """What is said of words, from what is said of sub-tokens.

    Further words of the same sub-token go on with its entity. A word that no sub-token knows is in an entity only if
    the words on both sides are.
    """
    tags: list[str] = []
    for word, token in enumerate(deciding):
        if token < 0:
            tags.append(OUTSIDE)
        elif word and deciding[word - 1] == token and said[token] != OUTSIDE:
            tags.append(f"I-{said[token][2:]}")
        else:
            tags.append(said[token])
    for word in range(len(tags) - 2, 0, -1):
        before = next((tags[left] for left in range(word - 1, -1, -1) if deciding[left] >= 0), OUTSIDE)
        if deciding[word] < 0 and tags[word + 1][:2] == "I-" and before[2:] == tags[word + 1][2:]:
            tags[word] = tags[word + 1]
    return tags


def windows(tokens: int, size: int, overlap: int) -> list[Span]:
    """Overlapping stretches that together hold every sub-token of a text.

    Args:
        tokens: how many the text has.
        size: the most that a window holds.
        overlap: the least that a window shares with the next; the last is as long as the others, so it shares more.

    Raises:
        ValueError: a window has no room beside the overlap.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"a window of {size} tokens has no room beside an overlap of {overlap}")
    starts = [*range(0, tokens - size, size - overlap), max(0, tokens - size)] if tokens else []
    return [(start, min(start + size, tokens)) for start in starts]


def decided(windows: Sequence[Span], tokens: int) -> list[int]:
    """The window that decides on each sub-token: where the nearer edge is farthest, of equals the first."""
    best = [-1] * tokens
    found = [0] * tokens
    for number, (start, end) in enumerate(windows):
        for token in range(start, end):
            context = min(token - start, end - 1 - token)
            if context > best[token]:
                best[token], found[token] = context, number
    return found


def merged(windows: Sequence[Span], said: Sequence[Sequence[Value]], tokens: int) -> list[Value]:
    """What is said of each sub-token, by the window that decides on it.

    Args:
        windows: of the text.
        said: for each window something for each of its sub-tokens, such as tags or rows of logits.
        tokens: how many the text has.
    """
    return [said[number][token - windows[number][0]] for token, number in enumerate(decided(windows, tokens))]
