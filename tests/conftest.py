"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A shared machine may stall any one example.
settings.register_profile("corpuskit", deadline=None)
settings.load_profile("corpuskit")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; tests that need it skip where ``CORPUSKIT_REAL_DATA`` is unset."""
    folder = os.environ.get("CORPUSKIT_REAL_DATA")
    if not folder:
        pytest.skip("CORPUSKIT_REAL_DATA is not set")
    return Path(folder)
