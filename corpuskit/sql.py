"""Parquet files in the SQL of DuckDB, whatever characters their names hold."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path


def literal(text: str | Path) -> str:
    """A string of SQL."""
    escaped = str(text).replace("'", "''")
    return f"'{escaped}'"


def parquet(files: Iterable[Path], *options: str) -> str:
    """What reads some files as one table.

    Args:
        files: at least one; in a name, what would be a pattern stands for itself.
        options: of ``read_parquet`` that are to be true, such as ``union_by_name``.
    """
    names = ", ".join(literal(glob.escape(str(file))) for file in files)
    return f"read_parquet({', '.join([f'[{names}]', *(f'{option} = true' for option in options)])})"
