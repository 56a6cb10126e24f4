"""The corpus that most tests publish, once a session."""

from __future__ import annotations

from pathlib import Path

import pytest
from publish_corpora import annotate, article, write_corpus, write_sample


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("lab") / "corpus", [article(number) for number in range(60)])


@pytest.fixture(scope="session")
def sample(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("drawn") / "twice", corpus)


@pytest.fixture(scope="session")
def labels(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return annotate(tmp_path_factory.mktemp("told") / "labels", corpus)
