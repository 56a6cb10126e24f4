"""Distributions from the log-probabilities of tokens."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.enrich import prompts, soft
from corpuskit.enrich.soft import Token

PROMPT = prompts.parse(
    """---
name: essai
version: "1"
description: pour voir
fields:
  kind:
    type: label
    definition: Ce que c'est.
    labels: {case: un cas, cases: plusieurs, étude: une étude}
  quality:
    type: score
    definition: Ce qu'on y apprend.
    least: 1
    most: 10
  negated:
    type: flag
    definition: Si tout y est nié.
---
{fields}
{paragraph}
"""
)


def told(*tokens: tuple[str, dict[str, float]]) -> dict[str, list[float]]:
    found = [Token(soft._bytes(text), {soft._bytes(one): p for one, p in others.items()}) for text, others in tokens]
    return soft.distributions(PROMPT, "".join(text for text, _ in tokens), found)


def sure(*texts: str) -> list[tuple[str, dict[str, float]]]:
    return [(text, {text: 1.0}) for text in texts]


END = sure(', "negated": ', "true", "}")


def test_alternatives_become_shares_of_the_classes() -> None:
    found = told(
        *sure('{"kind": "'),
        ("étude", {"étude": 0.6, "case": 0.2, "autre": 0.2}),
        *sure('", "quality": '),
        ("7", {"7": 0.5, "8": 0.25, "9": 0.25, "x": 0.0}),
        *sure(', "negated": '),
        ("false", {"false": 0.9, "true": 0.1, "maybe": 0.5}),
        *sure("}"),
    )
    # "case" begins two labels; what fits none does not count.
    assert found["kind"] == pytest.approx([0.125, 0.125, 0.75])
    assert found["quality"] == [0, 0, 0, 0, 0, 0, 0.5, 0.25, 0.25, 0]
    assert found["negated"] == pytest.approx([0.1, 0.9])


def test_a_label_that_begins_another_is_told_from_it_by_what_follows() -> None:
    found = told(
        *sure('{"kind": "', "case"),
        ("s", {"s": 0.3, '"': 0.6, '",': 0.1}),
        *sure('", "quality": 1'),
        *END,
    )
    assert found["kind"] == pytest.approx([0.7, 0.3, 0.0])


@pytest.mark.parametrize(
    ("next", "share"),
    [
        (("0", {"0": 0.8, ",": 0.2}), [0.1, 0.4]),
        ((",", {"0": 0.8, ",": 0.2}), [0.1, 0.4]),
        (("0,", {"0,": 1.0}), [0, 0.5]),
    ],
)
def test_one_and_ten(next: tuple[str, dict[str, float]], share: list[float]) -> None:
    rest = ' "negated": true}' if next[0].endswith(",") else ', "negated": true}'
    found = told(*sure('{"kind": "case", "quality": '), ("1", {"1": 0.5, "2": 0.5}), next, *sure(rest))
    assert [found["quality"][0], found["quality"][9]] == pytest.approx(share)
    assert found["quality"][1] == 0.5


def test_a_value_inside_a_longer_token() -> None:
    found = told(
        ('{"kind": "case', {'{"kind": "case': 1.0}),
        ('", "quality": 3', {'", "quality": 3': 0.7, '", "quality": 4': 0.3}),
        *END,
    )
    assert found["quality"][2:4] == pytest.approx([0.7, 0.3])


def test_bytes_of_a_character_in_two_tokens() -> None:
    raw = "é".encode()
    content = [
        {"token": '{"kind": "', "logprob": 0.0, "bytes": None, "top_logprobs": []},
        {"token": "�", "logprob": log(0.5), "bytes": [raw[0]], "top_logprobs": [
            {"token": "�", "logprob": log(0.5), "bytes": [raw[0]]},
            {"token": "case", "logprob": log(0.5), "bytes": None}]},
        {"token": "�", "logprob": 0.0, "bytes": [raw[1]], "top_logprobs": []},
        {"token": 'tude"}', "logprob": 0.0, "bytes": None, "top_logprobs": []},
    ]  # fmt: skip
    found = soft.distributions(PROMPT, '{"kind": "étude"}', soft.tokens({"content": content}))
    assert found == {"kind": [0.25, 0.25, 0.5]}


def test_plain_completions() -> None:
    logprobs = {
        "tokens": ['{"negated":', " true", "}"],
        "token_logprobs": [0.0, log(0.8), 0.0],
        "top_logprobs": [None, {" true": log(0.8), " false": log(0.2)}, {}],
        "text_offset": [0, 11, 16],
    }
    assert soft.distributions(PROMPT, '{"negated": true}', soft.tokens(logprobs)) == {"negated": [0.8, 0.2]}


def test_tokens_that_are_written_alike() -> None:
    def one(text: str, share: float) -> dict[str, object]:
        return {"token": text, "logprob": log(share), "bytes": list(text.encode())}

    content = [
        one('{"quality": ', 1.0) | {"top_logprobs": []},
        one("3", 0.5) | {"top_logprobs": [one("3", 0.5), one("4", 0.3), one("4", 0.1), one("3", 0.1)]},
        one("}", 1.0) | {"top_logprobs": []},
    ]
    found = soft.distributions(PROMPT, '{"quality": 3}', soft.tokens({"content": content}))["quality"]
    assert found[2:4] == pytest.approx([0.6, 0.4])
    # The other API names each text once, here with the share of the wrong token: better nothing than that.
    logprobs = {
        "tokens": ['{"quality": ', "3", "}"],
        "token_logprobs": [0.0, log(0.5), 0.0],
        "top_logprobs": [{}, {"3": -32.0, "4": -33.0}, {}],
    }
    assert soft.distributions(PROMPT, '{"quality": 3}', soft.tokens(logprobs)) == {}
    # A quote alone tells nothing, and hides nothing.
    logprobs = {
        "tokens": ['{"kind": ', '"', "case", '"}'],
        "token_logprobs": [0.0, 0.0, log(0.5), 0.0],
        "top_logprobs": [{}, {'"': -32.0}, {"case": log(0.5), "étude": log(0.5)}, {'"}': 0.0}],
    }
    found = soft.distributions(PROMPT, '{"kind": "case"}', soft.tokens(logprobs))
    assert found == {"kind": [0.5, 0.0, 0.5]}


@pytest.mark.parametrize(
    "logprobs", [None, {}, {"content": [{}]}, {"tokens": ["a"]}, {"content": None, "tokens": 3}, []]
)
def test_what_cannot_be_used_gives_no_distribution(logprobs: object) -> None:
    assert soft.tokens(logprobs) == []
    assert soft.distributions(PROMPT, '{"negated": true}', []) == {}


def test_tokens_that_spell_something_else_give_none() -> None:
    assert soft.distributions(PROMPT, '{"negated": true}', [Token("{}", {"{}": 1.0})]) == {}


@given(st.integers(1, 10), st.lists(st.floats(0.001, 1), min_size=12, max_size=12), st.integers(0, 3))
def test_shares_sum_to_one_however_the_answer_is_cut(score: int, shares: list[float], cut: int) -> None:
    digits = list(str(score)) if cut % 2 else [str(score)]
    alternatives = dict(zip(["1", "2", "3", "10", ", ", "0", "}", "7", '"', "5,", "é", "4"], shares, strict=True))
    answer = ['{"kind": "étude", "quality":', *([" "] if cut > 1 else []), *digits, ', "negated": false}']
    if cut <= 1:
        answer[0] += " "
    found = told(*((text, {text: 0.5} | alternatives) for text in answer))
    for field in ("kind", "quality", "negated"):
        assert sum(found[field]) == pytest.approx(1, abs=0.002)
        assert all(share >= 0 for share in found[field])
