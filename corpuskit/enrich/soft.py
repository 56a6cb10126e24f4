"""Soft scores: the distribution over a field's classes, from the log-probabilities of an answer's tokens.

A model that writes `"educational_quality": 3` has also told how likely it was to write 1, 2, 4 or 5. At each
token of a value the alternatives are matched with the classes that still fit what was written so far; their
probabilities, normalised over those that fit any class, are given to the classes they begin. An alternative that
begins several classes (the "1" of 1 and 10) is divided among them evenly, as the server does not tell what would have
followed. The expectation over score tokens is that of G-Eval (Liu et al., 2023, https://arxiv.org/abs/2303.16634).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]
from math import exp
from typing import Any, NamedTuple

from corpuskit.enrich.prompts import LabelField, Prompt

_DECODER = json.JSONDecoder()
#: What may follow a number, true or false.
_ENDS = " ,}\n\r\t"


class Token(NamedTuple):
    """One token as written, and the probability of each alternative at its place (itself among them).

    Texts here have a character for each byte of their UTF-8.
    """

    written: str
    alternatives: dict[str, float]


def tokens(logprobs: Any) -> list[Token]:
    """The tokens of an answer, from either API's ``logprobs``; empty where there are none that can be used.

    Tokens that are written alike (a character's own and that of its byte) are one. Plain completions give only one of
    these, and not always the likely one: where that shows, the place has no alternatives.
    """
    try:
        if (content := logprobs.get("content")) is not None:  # chat
            return [Token(_text(one), _together(one, one["top_logprobs"])) for one in content]
        return [
            Token(_bytes(written), _trusted(written, own, more or {}))
            for written, own, more in zip(
                logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
            )
        ]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return []


def _together(chosen: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, float]:
    found = dict.fromkeys([_text(chosen)], 0.0)
    for other in others or [chosen]:
        text = _text(other)
        found[text] = found.get(text, 0.0) + exp(other["logprob"])
    # A sampled token may be none of the likeliest.
    found[_text(chosen)] = max(found[_text(chosen)], exp(chosen["logprob"]))
    return found


def _trusted(written: str, own: float, more: dict[str, float]) -> dict[str, float]:
    if abs(more.get(written, own) - own) > 0.5:
        return {}
    return {_bytes(other): exp(value) for other, value in (more | {written: own}).items()}


def _text(token: dict[str, Any]) -> str:
    raw = token.get("bytes")
    return bytes(raw).decode("latin-1") if raw else _bytes(str(token["token"]))


def _bytes(text: str) -> str:
    """UTF-8, a character a byte: a token may be a part of a character."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def distributions(prompt: Prompt, written: str, found: Sequence[Token]) -> dict[str, list[float]]:
    """The probability of each class of each field, in the order of its ``classes``, to four decimals.

    Args:
        prompt: what was asked.
        written: a valid answer, as the model wrote it.
        found: its tokens. Where they do not spell the answer there is no distribution.
    """
    text = "".join(token.written for token in found)
    offset = text.find(_bytes(written.strip())) if written.strip() else -1
    if offset < 0:
        return {}
    starts, at = [], 0
    for token in found:
        starts.append(at)
        at += len(token.written)
    result = {}
    for name, start, end in _values(text, offset):
        field = prompt.fields.get(name.encode("latin-1").decode())
        if field is None or not field.classes:
            continue
        literals = field.classes
        if isinstance(field, LabelField):
            literals = [_bytes(json.dumps(label, ensure_ascii=False)) for label in literals]
        if text[start:end] in literals and (shares := _walk(found, starts, start, end, literals)):
            result[name] = [round(share, 4) for share in shares]
    return result


def _values(text: str, offset: int) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of each value of the object that begins at ``offset``."""
    at = text.index("{", offset) + 1
    while (quote := text.find('"', at)) >= 0:
        name, at = scanstring(text, quote + 1)
        at = text.index(":", at) + 1
        while text[at] in " \n\r\t":
            at += 1
        _, end = _DECODER.raw_decode(text, at)
        yield name, at, end
        at = end
        while at < len(text) and text[at] in " \n\r\t":
            at += 1
        if text[at : at + 1] != ",":
            return


def _walk(found: Sequence[Token], starts: Sequence[int], start: int, end: int, literals: Sequence[str]) -> list[float]:
    """The shares of the classes whose JSON is given; empty where a token has no alternatives to tell."""
    shares = [0.0] * len(literals)
    left, weight = list(range(len(literals))), 1.0
    first = max(number for number, at in enumerate(starts) if at <= start)
    for token, at in zip(found[first:], starts[first:], strict=True):
        if len(left) == 1 or at > end:
            break
        place = max(at, start)
        before = token.written[: place - at]
        own = token.written[place - at :]
        if not token.alternatives and all(_fits(literals[one][place - start :], own) for one in left):
            continue  # as an opening quote, which tells nothing
        total, fits = 0.0, []
        for alternative, probability in token.alternatives.items():
            more = alternative[len(before) :]
            if more and alternative.startswith(before):
                classes = [one for one in left if _fits(literals[one][place - start :], more)]
                if classes:
                    total += probability
                    fits.append((alternative, probability, classes))
        if total <= 0:
            return []
        rest, chosen = left, 0.0
        for alternative, probability, classes in fits:
            if alternative == token.written:
                rest, chosen = classes, probability
            else:
                for one in classes:
                    shares[one] += weight * probability / total / len(classes)
        left, weight = rest, weight * chosen / total
    for one in left:
        shares[one] += weight / len(left)
    return shares


def _fits(literal: str, written: str) -> bool:
    """Whether a value whose rest is ``literal`` can go on with ``written``."""
    if len(written) <= len(literal):
        # What is a whole number may also be the beginning of a longer one.
        return literal.startswith(written)
    return written.startswith(literal) and (literal.endswith('"') or written[len(literal)] in _ENDS)
