"""A configuration that is wrong says where and how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpuskit import config
from corpuskit.config import ConfigError

HAL = {"type": "hal", "path": "x"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "sources: missing; add it"),
        ({"sources": 5}, "sources: expected a list, such as [{type: jsonl"),
        ({"sources": ["jsonl=x"]}, "sources[0]: expected fields, such as {type: jsonl"),
        ({"sources": [{"type": ["hal"], "path": "x"}]}, "sources[0]: type is ['hal']; the sources are"),
        ({"sources": [HAL | {"options": {}}]}, "sources[0].options: no such option"),
        ({"sources": []}, "sources: List should have at least 1 item"),
        ({"sources": [{"type": "hall", "path": "x"}]}, "sources[0]: type is 'hall'; the sources are istex, hal"),
        ({"sources": [{"type": "hal"}]}, "path: missing; add it"),
        ({"sources": [HAL | {"domain": ["sdv"]}]}, "sources[0].domain: no such option; did you mean `domains`?"),
        ({"sources": [HAL], "langage": "fr"}, "langage: no such option; did you mean `language`?"),
        (
            {"sources": [HAL], "language": "french"},
            "language: 'french' is neither an ISO 639-1 code such as 'fr' nor 'any'",
        ),
        (
            {"sources": [HAL], "clean": {"ocr": {"max_nois": 1}}},
            "clean.ocr.max_nois: no such option; did you mean `max_noise`?",
        ),
        ({"sources": [HAL], "dedup": {"near": {"ngrm": 3}}}, "dedup.near.ngrm: no such option; did you mean `ngram`?"),
        (
            {"sources": [HAL], "clean": {"decontaminate": {"tests": [{"nam": "quaero"}]}}},
            "clean.decontaminate.tests[0].nam: no such option; did you mean `name`?",
        ),
        ({"sources": [HAL], "clean": {"ocr": {"max_noise": "much"}}}, "clean.ocr.max_noise: "),
        (
            {"sources": [HAL], "output": {"words_per_shard": 0}},
            "output.words_per_shard: Input should be greater than 0",
        ),
    ],
)
def test_each_fault_is_named(content: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        config.validate(content)
    assert told in str(error.value)


def test_all_faults_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        config.validate({"sources": [HAL], "langage": "fr", "output": {"words": 3}})
    assert str(error.value).count("\n  - ") == 2


def test_the_language_reaches_steps_and_sources() -> None:
    built = config.validate({"language": "en", "sources": [{"type": "istex", "path": "x"}]})
    assert built.clean.language.keep == "en"
    assert built.sources[0].options.languages == ["en"]  # type: ignore[attr-defined]
    anything = config.validate({"language": "any", "sources": [{"type": "istex", "path": "x"}]})
    assert anything.sources[0].options.languages == []  # type: ignore[attr-defined]


def test_what_was_said_of_a_source_stays() -> None:
    built = config.validate({"language": "any", "sources": [{"type": "istex", "path": "x", "languages": ["fr"]}]})
    assert built.sources[0].options.languages == ["fr"]  # type: ignore[attr-defined]


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "sources:\n  - {type: hal, path: data/hal}\n  - {type: hal, path: 'https://x/y.xml'}\n"
    )
    built = config.load(tmp_path / "c.yaml")
    assert [source.options.path for source in built.sources] == [str(tmp_path / "data/hal"), "https://x/y.xml"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("- a", "expected fields such as"),
        ("a: [", "not YAML"),
        ("language: fr\nsources: []\nlanguage: en", "`language` stands there twice"),
        ("sources: 5", "expected a list"),
        (None, "there is no such file"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: str | None, told: str) -> None:
    if content is not None:
        (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(ConfigError, match=told):
        config.load(tmp_path / "c.yaml")


def test_a_configuration_survives_its_own_json() -> None:
    built = config.validate({"sources": [HAL | {"domains": ["sdv.mhep"]}], "clean": {"mask": {"kinds": ["email"]}}})
    again = config.validate(built.model_dump(mode="json"))
    assert again.model_dump() == built.model_dump()
