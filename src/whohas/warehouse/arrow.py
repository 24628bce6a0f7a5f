"""Arrow's functions, which have no types of their own, and what is needed of them everywhere."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

pc: Final[Any] = pyarrow.compute
"""`pyarrow.compute` fills itself at import, so that no type checker knows what is in it."""


def one(column: Any) -> pa.Array:
    """A column as one array."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def nulls(rows: int, type: pa.DataType) -> pa.Array:
    """An array of nulls; those of a type share their memory, for fresh memory costs time."""
    longest = _shared.get(type)
    if longest is None or len(longest) < rows:
        longest = _shared[type] = pa.nulls(rows, type)
    return longest[:rows]


_shared: dict[pa.DataType, pa.Array] = {}


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The same table with other values in a column."""
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
