"""Cells that hold several values, taken apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from whohas.ingest.readers.batches import Numbers
from whohas.warehouse.arrow import one, pc

_DISTINGUISHED = r"(?i)^\s*(cn|ou|o|uid|dc|l|st|c|street)\s*="
_BACKSLASHES, _SEPARATOR = "\x1d", "\x1e"
"""Stand for an escaped backslash and an escaped separator while a cell is split."""


def split_cells(connection: Any, cells: pa.Array, separator: str | None) -> tuple[pa.Array, Numbers]:
    r"""Split cells into their values: without the blanks around them, without empty and repeated ones.

    A cell that holds a JSON array has its elements, whatever the separator. A distinguished name is not split where
    a backslash escapes the separator (`CN=Sales\;East,OU=Groups`), since no name ends with a lone backslash.

    Args:
        connection: DuckDB, to read JSON.
        cells: texts, null or empty where a cell has no value.
        separator: what separates values; None where only a JSON array holds several: other cells are kept as they are.

    Returns:
        All values in order, and for each the place of its cell.
    """
    arrays = _arrays(connection, cells)
    if arrays is None and separator is None:
        held = _filled(cells)
        return cells.filter(pa.array(held)), np.flatnonzero(held).astype(np.int64)
    lists = _split(cells, separator)
    if arrays is not None:
        lists = pc.coalesce(arrays, lists)
    values, places = lists.flatten(), pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    values = pc.utf8_trim_whitespace(values)
    held = _filled(values)
    if not held.all():
        values, places = values.filter(pa.array(held)), places[held]
    first = _first_of_each(values, places)
    return (values, places) if first is None else (values.take(pa.array(first)), places[first])


def as_lists(connection: Any, cells: pa.Array, separator: str | None) -> pa.Array:
    """Return the values of cells as one list a cell; see `split_cells`."""
    values, places = split_cells(connection, cells, separator)
    offsets = np.zeros(len(cells) + 1, np.int32)
    np.cumsum(np.bincount(places, minlength=len(cells)), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def has_arrays(cells: pa.Array) -> bool:
    """Return whether a cell may hold a JSON array."""
    return bool(pc.any(pc.starts_with(cells, "[")).as_py())


def first_of_each(columns: list[pa.Array]) -> Numbers:
    """Return the places of the first row of each combination of values, in order."""
    combined: Any = None
    for column in columns:
        codes = one(column).dictionary_encode().indices.fill_null(-1).to_numpy().astype(np.int64) + 1
        if combined is None:
            combined = codes
        else:
            # numbers without gaps after each step, so that the product stays below 64 bits
            combined = np.unique(combined, return_inverse=True)[1].astype(np.int64) * (int(codes.max(initial=0)) + 1)
            combined += codes
    return np.sort(np.unique(combined, return_index=True)[1])


def _first_of_each(values: pa.Array, places: Numbers) -> Numbers | None:
    """The first of equal values of each cell; None where no cell has several values."""
    if not len(places) or not (np.diff(places) == 0).any():
        return None
    return first_of_each([values, pa.array(places)])


def _split(cells: pa.Array, separator: str | None) -> pa.Array:
    if separator is None:
        return pa.ListArray.from_arrays(pa.array(np.arange(len(cells) + 1, dtype=np.int32)), cells)
    escaped = "\\" + separator
    if separator != "\\" and pc.any(pc.match_substring(cells, escaped)).as_py():
        names = pc.match_substring_regex(cells, _DISTINGUISHED)
        hidden = pc.replace_substring(cells, "\\\\", _BACKSLASHES)
        hidden = pc.replace_substring(hidden, escaped, _SEPARATOR)
        lists = one(pc.split_pattern(pc.if_else(names, hidden, cells), separator))
        values = pc.replace_substring(lists.flatten(), _SEPARATOR, escaped)
        values = pc.replace_substring(values, _BACKSLASHES, "\\\\")
        sizes = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values)
    return one(pc.split_pattern(cells, separator))


def _arrays(connection: Any, cells: pa.Array) -> pa.Array | None:
    """The elements of cells that hold JSON arrays, null for other cells; None if no cell does."""
    if not has_arrays(cells):
        return None
    connection.register("cells", pa.table({"t": cells}))
    found = connection.sql(
        "SELECT CASE WHEN starts_with(t, '[') AND json_valid(t) THEN json_extract_string(t, '$[*]') END AS v FROM cells"
    ).to_arrow_table()
    arrays = one(found.column("v")).cast(pa.list_(pa.string()))
    return arrays if arrays.null_count < len(arrays) else None


def _filled(values: pa.Array) -> Any:
    held = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0).fill_null(False)
    return held.to_numpy(zero_copy_only=False)
