"""Files of earlier versions, which lack columns that their table has today."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.sql import literal, quote
from whohas.warehouse.columns import Table


def lacking(path: Path, table: Table) -> tuple[str, ...]:
    """The columns of the table that a file of it lacks. Only tables that have got columns cost a look at the file."""
    added = [column.name for column in table.columns if column.added]
    if not added:
        return ()
    has = pq.read_schema(path).names
    return tuple(name for name in added if name not in has)


def scan(table: Table, files: Iterable[Path]) -> str:
    """The SQL of all rows of some files of a table: what a file lacks is null."""
    paths = list(files)
    if not paths:
        nulls = (f"NULL::{duckdb_type(column.type)} AS {quote(column.name)}" for column in table.columns)
        return f"(SELECT {', '.join(nulls)} WHERE false)"
    lacks = [set(lacking(path, table)) for path in paths]
    everywhere = set[str].intersection(*lacks)
    nulls = "".join(f", NULL::{duckdb_type(table.column(name).type)} AS {quote(name)}" for name in sorted(everywhere))
    union = ", union_by_name = true" if any(one != everywhere for one in lacks) else ""
    return f"(SELECT *{nulls} FROM read_parquet([{listed_paths(paths)}]{union}))"


def listed_paths(paths: Sequence[Path]) -> str:
    """Paths as SQL takes them in a list."""
    return ", ".join(literal(str(path)) for path in paths)


def duckdb_type(type: pa.DataType) -> str:
    """DuckDB's name of an Arrow type that the tables use."""
    if pa.types.is_map(type):
        return f"MAP({duckdb_type(type.key_type)}, {duckdb_type(type.item_type)})"
    if pa.types.is_list(type):
        return f"{duckdb_type(type.value_type)}[]"
    if pa.types.is_struct(type):
        fields = (f"{quote(field.name)} {duckdb_type(field.type)}" for field in type)
        return f"STRUCT({', '.join(fields)})"
    if pa.types.is_timestamp(type):
        return "TIMESTAMP WITH TIME ZONE"
    return {"string": "VARCHAR", "bool": "BOOLEAN", "int64": "BIGINT"}[str(type)]
