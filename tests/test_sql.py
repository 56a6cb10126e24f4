"""Parquet files in SQL."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpuskit import sql


@pytest.mark.parametrize("name", ["plain", "one [1]", "it's", "a*b?c", "{x,y}", 'a"b', "é\\n"])
def test_a_name_stands_for_itself(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    for number in range(2):
        pq.write_table(pa.table({"n": [number]}), tmp_path / name / f"{number}.parquet")
    files = sorted((tmp_path / name).glob("*.parquet"))
    assert duckdb.sql(f"SELECT n FROM {sql.parquet(files)} ORDER BY n").fetchall() == [(0,), (1,)]
    assert duckdb.sql(f"SELECT {sql.literal(files[0])}").fetchone() == (str(files[0]),)


def test_options() -> None:
    assert sql.parquet([Path("a")], "filename", "union_by_name") == (
        "read_parquet(['a'], filename = true, union_by_name = true)"
    )
