"""CSV files for tests: read as a load reads them, and written as a run writes them."""

from __future__ import annotations

from pathlib import Path

from whohas.engine.duckdb import open_duckdb
from whohas.engine.statement import ResultColumn
from whohas.formats.base import RowsQuery, WriteOptions
from whohas.formats.csv import copy_statement, header_rows
from whohas.ingest.readers.csv import CsvReader
from whohas.ingest.readers.csv_stream import CsvDialect

MEMORY = 256 << 20
"""The memory of the engine that writes, in bytes."""


def read(path: Path, text: str | bytes, **dialect: object) -> tuple[CsvReader, list[tuple[int, list[str]]]]:
    """Write a file of a text into a folder, and return its reader, and its rows with their lines."""
    path = path / "in.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    file = CsvReader(path, CsvDialect(**dialect))  # type: ignore[arg-type]
    rows: list[tuple[int, list[str]]] = []
    for batch in file.read_batches():
        cells = zip(*(column.to_pylist() for column in batch.data.columns), strict=True)
        rows += zip(batch.record_numbers.tolist(), map(list, cells), strict=True)
        assert not batch.row_errors, batch.row_errors
    return file, [(file.line_of(record), row) for record, row in rows]


def written(
    tmp_path: Path,
    sql: str,
    columns: list[ResultColumn],
    parameters: dict[str, object] | None = None,
    options: WriteOptions = WriteOptions(),  # noqa: B008 - frozen
) -> tuple[str, int]:
    """Write the rows of a query as the file `out.csv`, and return its text and the number of its rows."""
    path = tmp_path / "out.csv"
    with open_duckdb([], MEMORY, 2, tmp_path / "spill") as engine:
        rows = engine.copy(copy_statement(RowsQuery(sql, tuple(columns)), path, options), parameters or {})
    return path.read_bytes().decode(), rows - header_rows(columns)
