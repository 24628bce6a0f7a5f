"""Free attributes: from columns, or from JSON objects, to a map of names to lists of values.

Arrow's arrays are put together by index, for a map built row by row is several times slower.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.warehouse.arrow import one, pc
from whohas.warehouse.schema import ATTRIBUTES

_FLAT = """
SELECT CASE
    WHEN v IS NULL OR v = 'null' THEN NULL
    WHEN starts_with(v, '"') THEN [json_extract_string(v, '$')]
    WHEN starts_with(v, '[') THEN list_filter(json_extract_string(v, '$[*]'), lambda x: x IS NOT NULL)
    ELSE [v] END AS v
FROM flat
"""


def from_columns(columns: Mapping[str, pa.ChunkedArray], separators: Mapping[str, str]) -> pa.Array:
    """The attributes of rows whose attributes are columns; empty cells are left out.

    Args:
        columns: name to texts, or to lists of texts that are not empty, all of one length.
        separators: what separates the values within a column's cells.
    """
    names = sorted(columns)
    rows, width = len(columns[names[0]]), len(names)
    # where each cell's values begin among all values, and how many they are: a row a name, for they come name by name
    starts, sizes = np.empty((width, rows), np.int32), np.empty((width, rows), np.int32)
    parts: list[pa.Array] = []
    begin = 0
    for place, name in enumerate(names):
        cells = one(columns[name])
        if name in separators or pa.types.is_list(cells.type):
            cells, edges = _taken(cells) if pa.types.is_list(cells.type) else _split(cells, separators[name])
            starts[place], sizes[place] = begin + edges[:-1], np.diff(edges)
        else:
            starts[place], sizes[place] = np.arange(begin, begin + rows, dtype=np.int32), _lengths(cells) > 0
        parts.append(cells)
        begin += len(cells)
    counts = sizes.T.ravel()
    full = counts > 0
    counts, index = counts[full], starts.T.ravel()[full]
    ends = np.cumsum(counts, dtype=np.int32)
    if len(counts) and counts.max() > 1:
        index = np.repeat(index - (ends - counts), counts) + np.arange(ends[-1], dtype=np.int32)
    values = pa.ListArray.from_arrays(_offsets(counts), pa.concat_arrays(parts).take(pa.array(index)))
    keys = pa.array(names, pa.string()).take(pa.array(np.tile(np.arange(width, dtype=np.int32), rows)[full]))
    return pa.MapArray.from_arrays(_offsets((sizes > 0).sum(0)), keys, values)


def _taken(lists: pa.Array) -> tuple[pa.Array, np.ndarray[Any, Any]]:
    """The values of lists, and where each list's begin and end among them."""
    return lists.flatten(), lists.offsets.to_numpy() - lists.offsets[0].as_py()


def _split(cells: pa.Array, separator: str) -> tuple[pa.Array, np.ndarray[Any, Any]]:
    """The values in cells that hold several, and where each cell's begin and end among them; none of them is empty."""
    lists = one(pc.split_pattern(cells, separator))
    values, edges = lists.flatten(), lists.offsets.to_numpy() - lists.offsets[0].as_py()
    held = _lengths(values) > 0
    if held.all():
        return values, edges
    return values.filter(pa.array(held)), np.concatenate(([0], np.cumsum(held)))[edges]


def from_json(connection: Any, texts: pa.Array) -> pa.Array:
    """The attributes of rows whose attributes are JSON objects.

    Empty text is a value; null, `[]` and `[null]` are none and left out, as Elasticsearch's `exists` has it.

    Args:
        connection: DuckDB, to read the JSON.
        texts: an object each, or null.
    """
    connection.register("texts", pa.table({"t": texts}))
    table = connection.sql(
        "SELECT CASE WHEN json_type(t) = 'OBJECT' THEN json_keys(t) ELSE [] END AS k,"
        " CASE WHEN json_type(t) = 'OBJECT' THEN json_extract(t, '$.*') ELSE [] END AS v"
        " FROM (SELECT CASE WHEN json_valid(t) THEN t END AS t FROM texts)"
    ).to_arrow_table()
    keys, values = (one(table.column(name)) for name in ("k", "v"))
    counts = pc.list_value_length(keys).fill_null(0).to_numpy(zero_copy_only=False)
    names, texts_of = keys.flatten(), values.flatten().cast(pa.string())
    connection.register("flat", pa.table({"v": texts_of}))
    items = one(connection.sql(_FLAT).to_arrow_table().column("v"))
    sizes = pc.list_value_length(items).fill_null(0).to_numpy(zero_copy_only=False)
    full = sizes > 0
    rows = np.repeat(np.arange(len(texts)), counts)
    kept = np.bincount(rows[full], minlength=len(texts))
    mask = pa.array(full)
    lists = items.filter(mask)
    flat = lists.flatten()
    inner = pa.ListArray.from_arrays(_offsets(sizes[full]), flat)
    return pa.MapArray.from_arrays(_offsets(kept), names.filter(mask), inner)


def names_by(owners: pa.Array, attributes: pa.Array) -> dict[str, set[str]]:
    """The names of the attributes that are more than empty text somewhere, by the owner of their rows.

    Args:
        owners: a text a row, such as its source; rows without one are passed over.
        attributes: the attributes of each row.
    """
    offsets = attributes.offsets.to_numpy()
    begin, end = int(offsets[0]), int(offsets[-1])
    keys = attributes.keys.slice(begin, end - begin).dictionary_encode()
    items = attributes.items.slice(begin, end - begin)
    if not len(keys):
        return {}
    edges = items.offsets.to_numpy() - items.offsets[0].as_py()
    full = np.concatenate(([0], np.cumsum(_lengths(items.flatten()) > 0)))
    counts = np.diff(offsets)
    if attributes.null_count:
        counts = np.where(attributes.is_null().to_numpy(zero_copy_only=False), 0, counts)
    of = owners.dictionary_encode()
    codes = of.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    owner = np.repeat(codes, counts).astype(np.int64)
    some = (full[edges[1:]] > full[edges[:-1]]) & (owner >= 0)
    pairs = np.unique(owner[some] * len(keys.dictionary) + keys.indices.to_numpy(zero_copy_only=False)[some])
    found: dict[str, set[str]] = {}
    for pair in pairs.tolist():
        place, key = divmod(pair, len(keys.dictionary))
        found.setdefault(of.dictionary[place].as_py(), set()).add(keys.dictionary[key].as_py())
    return found


def nothing(rows: int) -> pa.Array:
    """No attributes, for so many rows."""
    return pa.nulls(rows, ATTRIBUTES)


def _offsets(counts: np.ndarray[Any, Any]) -> pa.Array:
    offsets = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    return pa.array(offsets)


def _lengths(values: pa.Array) -> np.ndarray[Any, Any]:
    return pc.binary_length(values).fill_null(0).to_numpy(zero_copy_only=False)
