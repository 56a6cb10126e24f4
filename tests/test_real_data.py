"""Whole builds over real data; every number here was checked by a person or by an independent count."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpuskit.build import Run, build
from corpuskit.config import validate


@pytest.fixture(scope="session")
def run(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One French corpus of everything French, as a user would configure it."""
    sources = [
        {"type": "hal", "path": str(real_data / "hal"), "domains": []},
        {"type": "pubmed", "path": str(real_data / "pubmed"), "languages": []},
        {"type": "pubmed", "path": str(real_data / "jats"), "name": "jats", "languages": []},
        {"type": "wikipedia", "path": str(real_data / "wikipedia" / "*.bz2"), "select": "all"},
        {"type": "jsonl", "path": str(real_data / "e3c_ccby" / "pamj_fr.jsonl"), "name": "pamj"},
        {"type": "text", "path": str(real_data / "text_fr" / "anses_vet_spc.txt.gz"), "name": "anses", "unit": "line"},
    ]
    return build(validate({"sources": sources}), tmp_path_factory.mktemp("real") / "corpus", workers=2)
