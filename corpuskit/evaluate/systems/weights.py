"""Which weights a model has: a hash of their files, so that scores can be told to be of a model, whatever its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import xxhash


def weights_hash(files: Sequence[Path]) -> str:
    """A hash of the files of weights, "" where there are none."""
    if not files:
        return ""
    hashed = xxhash.xxh3_64()
    for path in files:
        with path.open("rb") as file:
            while part := file.read(1 << 24):
                hashed.update(part)
    return hashed.hexdigest()
