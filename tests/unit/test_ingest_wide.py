"""Files of many columns: an engine is given no more of them than it needs."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whohas.errors import InvalidArguments
from whohas.ingest.convert import RowConverter
from whohas.ingest.readers import parquet
from whohas.ingest.readers.parquet import ParquetReader
from whohas.ingest.sources import LoadedSources
from whohas.warehouse.schema import IDENTITIES
from whohas.warehouse.store import Warehouse


def test_rows_are_typed_from_the_columns_that_are_named(tmp_path: Path) -> None:
    width = 300
    batch = pa.table([pa.array(["x", "y"])] * width, names=[str(place) for place in range(width)])
    with duckdb.connect() as connection:
        sources = LoadedSources(Warehouse(tmp_path).snapshot())
        typed = RowConverter(connection, IDENTITIES, {"id": '"7"', "name": '"12"', "email": '"299"'}, sources)(batch)
        known = connection.sql("SELECT * FROM batch").columns
    assert typed.data["email"].to_pylist() == ["x", "y"]
    assert known == ["0", "7", "12", "299", "_source"]


def test_parquet_columns_are_read_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"a": [1, None], "b": ["x", "y"], "c": [[1, 2], []], "d": [{"e": 1}, None], "f": [True, False]}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    with duckdb.connect() as connection:
        whole = list(ParquetReader(tmp_path / "rows.parquet", connection).batches(frozenset({"c"})))
        monkeypatch.setattr(parquet, "_COLUMNS", 2)
        monkeypatch.setattr(parquet, "_CELLS", 5)
        parts = list(ParquetReader(tmp_path / "rows.parquet", connection).batches(frozenset({"c"})))
    assert [batch.data.num_rows for batch in parts] == [1, 1]
    assert [row for batch in parts for row in batch.data.to_pylist()] == whole[0].data.to_pylist()
    assert [number for batch in parts for number in batch.record_numbers.tolist()] == [1, 2]


def test_a_parquet_file_with_repeated_names_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table([pa.array(["x"])] * 3, names=["a", "b", "a"]), tmp_path / "rows.parquet")
    with duckdb.connect() as connection, pytest.raises(InvalidArguments, match="several columns named 'a'"):
        ParquetReader(tmp_path / "rows.parquet", connection)
