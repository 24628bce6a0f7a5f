"""Finding identities by a value, also where the hashes of several values are equal."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whohas.ingest.correlate import IdentityIndex


@pytest.mark.parametrize("hashes_are", ["different", "equal"])
def test_each_value_is_found_whatever_its_hash(tmp_path: Path, hashes_are: str) -> None:
    names = ["ada", "bob", "cy", "dan", "eve", "eve", "fay"]
    identities = tmp_path / "identities.parquet"
    pq.write_table(pa.table({"id": [f"id-{number}" for number in range(7)], "name": names}), identities)
    connection = duckdb.connect()
    if hashes_are == "equal":
        connection.execute("CREATE MACRO hash(v) AS length(v)::UBIGINT")  # in place of DuckDB's function
    index = IdentityIndex(connection, [identities], "name", False, tmp_path)
    found = index.find_ids(pa.array(["fay", "gus", "ada", "cy", None, "dan", "eve", "zo", "x" * 99]))
    assert found.to_pylist() == ["id-6", None, "id-0", "id-2", None, "id-3", None, None, None]
    assert index.ambiguous == 1
