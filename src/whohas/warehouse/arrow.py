"""Helpers for pyarrow arrays and tables, and `pyarrow.compute` for type checkers."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

pc: Final[Any] = pyarrow.compute
"""`pyarrow.compute`, typed as Any.

Its functions are generated when it is imported, so type checkers do not find them.
"""


def as_array(column: Any) -> pa.Array:
    """Return a column as one contiguous array; its chunks are copied into one only if it has several.

    Args:
        column: a chunked array, or an array, which is returned as it is.
    """
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def null_array(rows: int, type: pa.DataType) -> pa.Array:
    """Return an array of `rows` nulls.

    Arrays of one type are slices of one cached array, so that memory is not allocated again for each batch. Example:
    `null_array(5, t)`, `null_array(3, t)` and `null_array(9, t)` allocate 5 and 9 nulls; the second call returns a
    slice of the first array.
    """
    longest = _shared.get(type)
    if longest is None or len(longest) < rows:
        longest = _shared[type] = pa.nulls(rows, type)
    return longest[:rows]


_shared: dict[pa.DataType, pa.Array] = {}


def replace_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Return the table with the values of one column replaced; its position, name and type stay.

    Args:
        values: the new values, in the type of the column.
    """
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
