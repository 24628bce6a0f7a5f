"""Parquet: typed columns, zstd, and metadata of the run in the key-value metadata of the file.

Times are UTC with microseconds; several values are lists. Keys of the metadata begin with `whohas.`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from whohas.engine.sql import quote_identifier, string_literal
from whohas.engine.statement import ResultColumn, columns_from_json, columns_to_json, row_order
from whohas.formats.base import Format, ReportMetadata, RowsQuery, WriteOptions
from whohas.formats.column_names import unique_column_names


def copy_statement(rows: RowsQuery, path: Path, about: ReportMetadata, options: WriteOptions) -> str:
    """Return the DuckDB COPY statement that writes rows to a Parquet file, sorted by the group if there is one."""
    return _copy(rows, tuple(column.as_stored for column in rows.columns), path, about)


def extract_statement(rows: RowsQuery, path: Path, about: ReportMetadata) -> str:
    """Return the COPY statement of an extract for other formats: `single` texts stay strings instead of lists."""
    return _copy(rows, rows.columns, path, about)


def _copy(rows: RowsQuery, columns: tuple[ResultColumn, ...], path: Path, about: ReportMetadata) -> str:
    places = [f"c{n}" for n in range(1, len(rows.columns) + 1)]
    named = list(zip(places, unique_column_names(rows.columns), strict=True))
    values = [
        place if kept.single else column.value_sql(place)
        for place, column, kept in zip(places, rows.columns, columns, strict=True)
    ]
    cells = ", ".join(f"{value} AS {quote_identifier(name)}" for value, (_, name) in zip(values, named, strict=True))
    place_of = {column.name: place for place, column in zip(places, rows.columns, strict=True)}
    sorted_by = [f"{place_of[name]} NULLS LAST" for name in row_order(rows.columns, rows.group, rows.order)]
    order = f" ORDER BY {', '.join(sorted_by)}" if sorted_by else ""
    facts = ", ".join(
        f"{quote_identifier(key)}: {string_literal(value)}" for key, value in _facts(rows, columns, about).items()
    )
    return (
        f"COPY (SELECT {cells} FROM (\n{rows.sql}\n) AS report({', '.join(places)}){order}) "
        f"TO {string_literal(str(path))} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{facts}}})"
    )


def read_parquet_file(path: Path) -> tuple[ReportMetadata, RowsQuery, int]:
    """Return metadata of the run, columns and number of rows of a file written by `copy_statement`."""
    from pyarrow import parquet

    metadata = parquet.read_metadata(path)
    facts = {key.decode(): value.decode() for key, value in (metadata.metadata or {}).items()}
    about = json.loads(facts[f"{_PREFIX}about"])
    columns = columns_from_json({name: json.loads(facts.get(f"{_PREFIX}{name}", "null")) for name in _COLUMN_FACTS})
    sql = f"SELECT * FROM read_parquet({string_literal(str(path))})"
    return ReportMetadata(**about), RowsQuery(sql, columns, **json.loads(facts[f"{_PREFIX}rows"])), metadata.num_rows


_PREFIX = "whohas."
_COLUMN_FACTS = ("columns", "display")


def _facts(rows: RowsQuery, columns: tuple[ResultColumn, ...], about: ReportMetadata) -> dict[str, str]:
    facts: dict[str, Any] = {
        "run": about.run,
        "report": about.report,
        "arguments": dict(about.arguments),
        "snapshot": about.snapshot,
        # `read_parquet_file` needs these to render other formats from this file
        "about": asdict(about),
        **columns_to_json(columns),
        "rows": {"name": rows.name, "group": rows.group},
    }
    texts = {key: value if isinstance(value, str) else _json(value) for key, value in facts.items()}
    return {f"{_PREFIX}{key}": value for key, value in texts.items()}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)  # ASCII only: the metadata cannot contain NUL


FORMATS = (
    Format(
        "parquet",
        "application/vnd.apache.parquet",
        "Apache Parquet: typed columns, zstd, the run's id, arguments and snapshot in its metadata.",
        copy=copy_statement,
        streams=False,
        relative_time=1.2,
    ),
)
