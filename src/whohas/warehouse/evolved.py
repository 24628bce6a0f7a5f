"""Reading table files that an earlier version of whohas wrote, without the columns that were added since.

`TableColumn.added_later` marks these columns. A load does not rewrite the files of sources that it does not replace, so
old and new files lie side by side in a table; an old file's missing columns are read as null.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.sql import quote_identifier, string_literal
from whohas.warehouse.columns import Table


def missing_columns(path: Path, table: Table) -> tuple[str, ...]:
    """Return the names of the table's columns that one of its files lacks.

    Opens the file only if the table has columns that were added after the first version.
    """
    added = [column.name for column in table.columns if column.added_later]
    if not added:
        return ()
    has = pq.read_schema(path).names
    return tuple(name for name in added if name not in has)


def with_current_columns(data: pa.Table, table: Table) -> pa.Table:
    """Return rows of a file in the schema of the table: columns that the file lacks are null, extra ones dropped."""
    for column in table.columns:
        if column.added_later and column.name not in data.schema.names:
            data = data.append_column(column.name, pa.nulls(len(data), column.type))
    return data.select(table.schema.names).cast(table.schema)


def select_all(table: Table, files: Iterable[Path]) -> str:
    """Return a parenthesized SELECT of all rows of some files of a table; columns that a file lacks are null.

    Args:
        table: the table.
        files: its Parquet files; without any, the SELECT has the table's columns and no rows.
    """
    paths = list(files)
    if not paths:
        nulls = (f"NULL::{duckdb_type(column.type)} AS {quote_identifier(column.name)}" for column in table.columns)
        return f"(SELECT {', '.join(nulls)} WHERE false)"
    missing = [set(missing_columns(path, table)) for path in paths]
    # union_by_name fills the columns that some files lack, but knows none that all of them lack
    everywhere = set[str].intersection(*missing)
    nulls = "".join(
        f", NULL::{duckdb_type(table.column(name).type)} AS {quote_identifier(name)}" for name in sorted(everywhere)
    )
    union = ", union_by_name = true" if any(columns != everywhere for columns in missing) else ""
    return f"(SELECT *{nulls} FROM read_parquet([{path_literals(paths)}]{union}))"


def path_literals(paths: Sequence[Path]) -> str:
    """Return the paths as quoted SQL literals, separated by commas, without the brackets of the list."""
    return ", ".join(string_literal(str(path)) for path in paths)


def duckdb_type(type: pa.DataType) -> str:
    """Return the DuckDB type for an Arrow type.

    Raises:
        KeyError: no table uses this type.
    """
    if pa.types.is_map(type):
        return f"MAP({duckdb_type(type.key_type)}, {duckdb_type(type.item_type)})"
    if pa.types.is_list(type):
        return f"{duckdb_type(type.value_type)}[]"
    if pa.types.is_struct(type):
        fields = (f"{quote_identifier(field.name)} {duckdb_type(field.type)}" for field in type)
        return f"STRUCT({', '.join(fields)})"
    if pa.types.is_timestamp(type):
        return "TIMESTAMP WITH TIME ZONE"
    return {"string": "VARCHAR", "bool": "BOOLEAN", "int64": "BIGINT"}[str(type)]
