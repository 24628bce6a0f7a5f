"""Build the `attributes` map (name to list of texts) of rows, from columns of a file or from JSON objects.

The Arrow arrays are assembled by index arithmetic, because building a map row by row is several times slower.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.warehouse.arrow import as_array, pc
from whohas.warehouse.schema import ATTRIBUTES

_FLAT = """
SELECT CASE
    WHEN v IS NULL OR v = 'null' THEN NULL
    WHEN starts_with(v, '"') THEN [json_extract_string(v, '$')]
    WHEN starts_with(v, '[') THEN list_filter(json_extract_string(v, '$[*]'), lambda x: x IS NOT NULL)
    ELSE [v] END AS v
FROM flat
"""


def attributes_from_columns(columns: Mapping[str, pa.ChunkedArray], separators: Mapping[str, str]) -> pa.Array:
    """Return the attributes of rows whose attributes are columns; empty cells are left out.

    Args:
        columns: name to texts, or to lists of texts that are not empty, all of the same length.
        separators: by column, the text that separates several values within a cell.

    Returns:
        A map array with the names in alphabetical order in each row.

    Example, with the separator ";" for `groups`::

        columns       dept = ["IT", ""]    groups = ["a;b", "c"]
        parts         ["IT", "", "a", "b", "c"]   (the values of all columns, one column after the other)
        starts        dept [0, 1]   groups [2, 4]
        sizes         dept [1, 0]   groups [2, 1]
        index         row 0: 0, 2, 3   row 1: 4
        result        {dept: [IT], groups: [a, b]}, {groups: [c]}
    """
    names = sorted(columns)
    rows, width = len(columns[names[0]]), len(names)
    # per name and row: the position of a cell's first value in `parts`, and the number of its values
    starts, sizes = np.empty((width, rows), np.int32), np.empty((width, rows), np.int32)
    parts: list[pa.Array] = []
    begin = 0
    for number, name in enumerate(names):
        cells = as_array(columns[name])
        if name in separators or pa.types.is_list(cells.type):
            cells, edges = _flattened(cells) if pa.types.is_list(cells.type) else _split(cells, separators[name])
            starts[number], sizes[number] = begin + edges[:-1], np.diff(edges)
        else:
            starts[number], sizes[number] = np.arange(begin, begin + rows, dtype=np.int32), _lengths(cells) > 0
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


def _flattened(lists: pa.Array) -> tuple[pa.Array, np.ndarray[Any, Any]]:
    """Return the values of a list array, and the offsets of each list in them (one more than there are lists)."""
    return lists.flatten(), lists.offsets.to_numpy() - lists.offsets[0].as_py()


def _split(cells: pa.Array, separator: str) -> tuple[pa.Array, np.ndarray[Any, Any]]:
    """Split cells that hold several values; empty values are dropped.

    Returns:
        The values, and the offsets of each cell's values in them: `["a;;b", "c"]` gives `[a, b, c]` and `[0, 2, 3]`.
    """
    lists = as_array(pc.split_pattern(cells, separator))
    values, edges = lists.flatten(), lists.offsets.to_numpy() - lists.offsets[0].as_py()
    filled = _lengths(values) > 0
    if filled.all():
        return values, edges
    return values.filter(pa.array(filled)), np.concatenate(([0], np.cumsum(filled)))[edges]


def attributes_from_json(connection: Any, texts: pa.Array) -> pa.Array:
    """Return the attributes of rows whose attributes are JSON objects.

    An empty text is a value. Null, `[]` and `[null]` are not values, and their attributes are left out; Elasticsearch's
    `exists` query treats them in the same way.

    Args:
        connection: DuckDB, which parses the JSON.
        texts: one JSON object per row, or null. A text that is not a JSON object gives no attributes.
    """
    connection.register("texts", pa.table({"t": texts}))
    table = connection.sql(
        "SELECT CASE WHEN json_type(t) = 'OBJECT' THEN json_keys(t) ELSE [] END AS k,"
        " CASE WHEN json_type(t) = 'OBJECT' THEN json_extract(t, '$.*') ELSE [] END AS v"
        " FROM (SELECT CASE WHEN json_valid(t) THEN t END AS t FROM texts)"
    ).to_arrow_table()
    keys, values = (as_array(table.column(name)) for name in ("k", "v"))
    counts = pc.list_value_length(keys).fill_null(0).to_numpy(zero_copy_only=False)
    names, texts_of = keys.flatten(), values.flatten().cast(pa.string())
    connection.register("flat", pa.table({"v": texts_of}))
    items = as_array(connection.sql(_FLAT).to_arrow_table().column("v"))
    sizes = pc.list_value_length(items).fill_null(0).to_numpy(zero_copy_only=False)
    full = sizes > 0
    rows = np.repeat(np.arange(len(texts)), counts)
    kept = np.bincount(rows[full], minlength=len(texts))
    mask = pa.array(full)
    lists = items.filter(mask)
    flat = lists.flatten()
    inner = pa.ListArray.from_arrays(_offsets(sizes[full]), flat)
    return pa.MapArray.from_arrays(_offsets(kept), names.filter(mask), inner)


def attribute_names_by_owner(owners: pa.Array, attributes: pa.Array) -> dict[str, set[str]]:
    """Return the names of attributes that have a value other than empty text, by owner.

    Args:
        owners: the owner of each row, such as its source id; rows where it is null are ignored.
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
    owner_codes = owners.dictionary_encode()
    codes = owner_codes.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    owner = np.repeat(codes, counts).astype(np.int64)
    counted = (full[edges[1:]] > full[edges[:-1]]) & (owner >= 0)
    pairs = np.unique(owner[counted] * len(keys.dictionary) + keys.indices.to_numpy(zero_copy_only=False)[counted])
    names: dict[str, set[str]] = {}
    for pair in pairs.tolist():
        owner_code, key = divmod(pair, len(keys.dictionary))
        names.setdefault(owner_codes.dictionary[owner_code].as_py(), set()).add(keys.dictionary[key].as_py())
    return names


def null_attributes(rows: int) -> pa.Array:
    """Return a column of null attributes with the given number of rows."""
    return pa.nulls(rows, ATTRIBUTES)


def _offsets(counts: np.ndarray[Any, Any]) -> pa.Array:
    offsets = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    return pa.array(offsets)


def _lengths(values: pa.Array) -> np.ndarray[Any, Any]:
    return pc.binary_length(values).fill_null(0).to_numpy(zero_copy_only=False)
