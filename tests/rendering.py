"""Files of any format for tests: rows in, a file made as the child of a run makes it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from content_streams import checked
from whohas.engine.duckdb import DuckDBConnection, connect_duckdb
from whohas.engine.sql import string_literal
from whohas.engine.statement import ResultColumn
from whohas.engine.summary import BreakdownValue, Category, FigureValue, RowsSummary
from whohas.execution.digest import FileDigest
from whohas.formats.base import Extract, ReportMetadata, RowsQuery, WriteOptions
from whohas.formats.registry import find_format

STARTED, LOADED = datetime(2026, 3, 29, 12, 30, 44, tzinfo=UTC), datetime(2026, 3, 28, 1, 0, tzinfo=UTC)
ABOUT = ReportMetadata(
    run="0123456789abcdef0123456789abcdef",
    report="ACCOUNTS",
    title="Accounts",
    description="All accounts <of> some sources & more.",
    arguments={"authoritativeSource": "2c9180835d2e5168015d32f890ca1581", "sources": ["AD", "Zürich"], "all": True},
    launcher='Åsa "the auditor" Öst',
    started=STARTED.timestamp(),
    snapshot=17,
    loaded=LOADED.timestamp(),
    org="acme",
)
TYPES = {
    "text": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "time": pa.timestamp("us", "UTC"),
    "texts": pa.list_(pa.string()),
}

FIGURES = (
    FigureValue("accounts", "Accounts", 1_200),
    FigureValue("disabled", "Disabled accounts", 150, 1_200),
    FigureValue("stale", "Enabled, unchanged for 180 days", 0, 0),
)
BY_STATE = BreakdownValue(
    "accountsBySource",
    "Accounts by source and state",
    ("enabled", "disabled"),
    (Category("Active Directory", (900, 100)), Category("=1+1 <b>&amp;\"'", (150, 50))),
    0,
    (0, 0),
)
BY_VALUE = BreakdownValue(
    "byType",
    "Accounts by type",
    ("",),
    tuple(Category(f"Type {n}", (100 - n,)) for n in range(10)),
    7,
    (12,),
)
SUMMARY = RowsSummary("", 1_200, FIGURES, (BY_STATE, BY_VALUE))
"""Key figures with and without a share, a breakdown of several series with a hostile name, and a long one of one."""


def extract(
    folder: Path,
    columns: Sequence[ResultColumn],
    *rows: Sequence[Any],
    name: str = "",
    group: str = "",
    on_rows: Callable[[int], None] = lambda _: None,
    summary: RowsSummary | None = None,
) -> Extract:
    """Rows in a Parquet file, as a run of several formats extracts them."""
    arrays = [pa.array([row[n] for row in rows], TYPES[column.type]) for n, column in enumerate(columns)]
    path = folder / "rows.parquet"
    pq.write_table(pa.table(arrays, names=[f"c{n}" for n in range(len(columns))]), path, row_group_size=5000)
    sql = f"SELECT * FROM read_parquet({string_literal(str(path))})"
    return Extract(path, RowsQuery(sql, tuple(columns), name, group), len(rows), on_rows, summary)


def file_of(rows: Extract, format: str, options: WriteOptions = WriteOptions(), about: ReportMetadata = ABOUT) -> Path:  # noqa: B008
    """The file of extracted rows in a format."""
    one, path = find_format(format), rows.path.with_name(f"out.{format}")
    if one.copy is not None:
        sealing = FileDigest(path)
        with sealing.while_writing(), one.open_output(path) as place:
            written = _engine().copy(one.copy(rows.rows, place, about, options), {})
        assert sealing.finalize()["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert written - one.count_header_rows(rows.rows.columns) == rows.count
    else:
        assert one.write is not None
        one.write(rows, path, about, options)
    return checked(path) if format == "pdf" else path


def unzstd(data: bytes) -> bytes:
    """What was compressed with Zstandard."""
    return pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()


@cache
def _engine() -> DuckDBConnection:
    return DuckDBConnection(connect_duckdb(256 << 20, 2, Path(tempfile.gettempdir(), "whohas-tests-spill")))
