"""Split cells that hold several values, separated by a character or as a JSON array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from whohas.ingest.readers.batches import RecordNumbers
from whohas.warehouse.arrow import as_array, pc

_DISTINGUISHED = r"(?i)^\s*(cn|ou|o|uid|dc|l|st|c|street)\s*="
_BACKSLASHES, _SEPARATOR = "\x1d", "\x1e"
r"""Placeholders for `\\` and for the escaped separator while a cell is split; see `_split`."""


def split_cells(connection: Any, cells: pa.Array, separator: str | None) -> tuple[pa.Array, RecordNumbers]:
    r"""Split cells into their values. Values are trimmed; empty and repeated values of a cell are left out.

    A cell with a JSON array yields its elements, whatever the separator. In distinguished names an escaped separator
    does not split (`CN=Sales\;East,OU=Groups` is one value), since no name ends with a single backslash.

    An example: the cells `["b; a;b", "", "c"]` with the separator `;` yield the values `["b", "a", "c"]` and the
    indexes `[0, 0, 2]`.

    Args:
        connection: DuckDB, to parse JSON.
        cells: texts; null or empty if a cell has no value.
        separator: the separator of values; None if cells without a JSON array hold one value each.

    Returns:
        All values in order, and for each the index of its cell.
    """
    arrays = _arrays(connection, cells)
    if arrays is None and separator is None:
        filled = _filled(cells)
        return cells.filter(pa.array(filled)), np.flatnonzero(filled).astype(np.int64)
    lists = _split(cells, separator)
    if arrays is not None:
        lists = pc.coalesce(arrays, lists)
    values, cell_indexes = lists.flatten(), pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    values = pc.utf8_trim_whitespace(values)
    filled = _filled(values)
    if not filled.all():
        values, cell_indexes = values.filter(pa.array(filled)), cell_indexes[filled]
    first = _first_of_each(values, cell_indexes)
    return (values, cell_indexes) if first is None else (values.take(pa.array(first)), cell_indexes[first])


def as_lists(connection: Any, cells: pa.Array, separator: str | None) -> pa.Array:
    """Return the values of cells as an array of lists, one list per cell; see `split_cells`."""
    values, cell_indexes = split_cells(connection, cells, separator)
    offsets = np.zeros(len(cells) + 1, np.int32)
    np.cumsum(np.bincount(cell_indexes, minlength=len(cells)), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def has_arrays(cells: pa.Array) -> bool:
    """Return whether any cell begins with `[`, so that it may hold a JSON array."""
    return bool(pc.any(pc.starts_with(cells, "[")).as_py())


def first_of_each(columns: list[pa.Array]) -> RecordNumbers:
    """Return the index of the first row of each distinct combination of values, ascending.

    The columns are combined into one number per row. An example: of the columns `[x, y, x, x]` and `[p, p, q, p]` the
    codes are `[1, 2, 1, 1]` and `[1, 1, 2, 1]`, the combined numbers `[1, 4, 2, 1]`, the result `[0, 1, 2]`.
    """
    combined: Any = None
    for column in columns:
        codes = as_array(column).dictionary_encode().indices.fill_null(-1).to_numpy().astype(np.int64) + 1
        if combined is None:
            combined = codes
        else:
            # renumbered without gaps at each step, so that the product fits into 64 bits
            combined = np.unique(combined, return_inverse=True)[1].astype(np.int64) * (int(codes.max(initial=0)) + 1)
            combined += codes
    return np.sort(np.unique(combined, return_index=True)[1])


def _first_of_each(values: pa.Array, cell_indexes: RecordNumbers) -> RecordNumbers | None:
    """Return the indexes of the values without repeats within a cell; None if no cell has several values."""
    if not len(cell_indexes) or not (np.diff(cell_indexes) == 0).any():
        return None
    return first_of_each([values, pa.array(cell_indexes)])


def _split(cells: pa.Array, separator: str | None) -> pa.Array:
    r"""Split cells at a separator, except at escaped separators of distinguished names.

    An example, with the separator `;`: in `CN=A\;B;CN=C` the escaped separator is replaced by U+001E, the text is
    split into `CN=A<U+001E>B` and `CN=C`, and the placeholder is replaced by `\;` again: `CN=A\;B`, `CN=C`. Escaped
    backslashes are hidden first, so that the separator in `CN=A\\;CN=B` is not taken for an escaped one.
    """
    if separator is None:
        return pa.ListArray.from_arrays(pa.array(np.arange(len(cells) + 1, dtype=np.int32)), cells)
    escaped = "\\" + separator
    if separator != "\\" and pc.any(pc.match_substring(cells, escaped)).as_py():
        names = pc.match_substring_regex(cells, _DISTINGUISHED)
        hidden = pc.replace_substring(cells, "\\\\", _BACKSLASHES)
        hidden = pc.replace_substring(hidden, escaped, _SEPARATOR)
        lists = as_array(pc.split_pattern(pc.if_else(names, hidden, cells), separator))
        values = pc.replace_substring(lists.flatten(), _SEPARATOR, escaped)
        values = pc.replace_substring(values, _BACKSLASHES, "\\\\")
        sizes = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values)
    return as_array(pc.split_pattern(cells, separator))


def _arrays(connection: Any, cells: pa.Array) -> pa.Array | None:
    """Return the elements of cells that hold JSON arrays, null for other cells; None if no cell holds one."""
    if not has_arrays(cells):
        return None
    connection.register("cells", pa.table({"t": cells}))
    found = connection.sql(
        "SELECT CASE WHEN starts_with(t, '[') AND json_valid(t) THEN json_extract_string(t, '$[*]') END AS v FROM cells"
    ).to_arrow_table()
    arrays = as_array(found.column("v")).cast(pa.list_(pa.string()))
    return arrays if arrays.null_count < len(arrays) else None


def _filled(values: pa.Array) -> Any:
    filled = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0).fill_null(False)
    return filled.to_numpy(zero_copy_only=False)
