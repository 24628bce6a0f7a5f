"""Free attributes: from columns, or from JSON objects, to a map of names to lists of values.

Arrow's arrays are put together by index, for a map built row by row is several times slower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.warehouse.intake.arrow import one, pc
from whohas.warehouse.tables import ATTRIBUTES

_FLAT = """
SELECT CASE
    WHEN v IS NULL OR v IN ('null', '""') THEN NULL
    WHEN starts_with(v, '"') THEN [json_extract_string(v, '$')]
    WHEN starts_with(v, '[') THEN list_filter(json_extract_string(v, '$[*]'), lambda x: x <> '')
    ELSE [v] END AS v
FROM flat
"""


def from_columns(columns: Mapping[str, pa.ChunkedArray], separators: Mapping[str, str]) -> pa.Array:
    """The attributes of rows whose attributes are columns; empty cells are left out.

    Args:
        columns: name to texts, all of one length.
        separators: what separates the values within a column's cells.
    """
    names = sorted(columns)
    rows, width = len(columns[names[0]]), len(names)
    lists = [one(pc.split_pattern(columns[n], separators[n])) if n in separators else None for n in names]
    parts = [columns[n].chunks if x is None else [x.flatten()] for n, x in zip(names, lists, strict=True)]
    flat = pa.concat_arrays([chunk for chunks in parts for chunk in chunks] or [pa.array([], pa.string())])
    if not separators.keys() & set(names):
        # entry i is row i // width, column i % width; its value lies at column * rows + row
        places = np.arange(rows * width, dtype=np.int32).reshape(width, rows).T.ravel()
        full = _lengths(flat)[places] > 0
        kept = places[full]
        values = pa.ListArray.from_arrays(pa.array(np.arange(len(kept) + 1, dtype=np.int32)), flat.take(pa.array(kept)))
        keys, counts = kept // rows if rows else kept, full.reshape(rows, width).sum(1)
    else:
        held = _lengths(flat) > 0
        before = np.concatenate(([0], np.cumsum(held)))
        starts, sizes = np.empty((rows, width), np.int64), np.empty((rows, width), np.int64)
        begin = 0
        for place, cells in enumerate(lists):
            if cells is None:
                edges = np.arange(begin, begin + rows + 1)
            else:
                edges = begin + cells.offsets.to_numpy() - cells.offsets[0].as_py()
            begin = edges[-1]
            starts[:, place] = before[edges[:-1]]
            sizes[:, place] = before[edges[1:]] - before[edges[:-1]]
        full = sizes.ravel() > 0
        values = _gather(flat.filter(pa.array(held)), starts.ravel()[full], sizes.ravel()[full])
        keys, counts = np.flatnonzero(full) % width, full.reshape(rows, width).sum(1)
    names_of = pa.DictionaryArray.from_arrays(pa.array(keys.astype(np.int32)), pa.array(names, pa.string()))
    return pa.MapArray.from_arrays(_offsets(counts), names_of.cast(pa.string()), values)


def from_json(connection: Any, texts: pa.Array, known: set[str] | None = None) -> pa.Array:
    """The attributes of rows whose attributes are JSON objects; null and empty values are left out.

    Args:
        connection: DuckDB, to read the JSON.
        texts: an object each, or null.
        known: takes the names of all attributes, of those without a value too.
    """
    connection.register("texts", pa.table({"t": texts}))
    table = connection.sql(
        "SELECT CASE WHEN json_type(t) = 'OBJECT' THEN json_keys(t) ELSE [] END AS k,"
        " CASE WHEN json_type(t) = 'OBJECT' THEN json_extract(t, '$.*') ELSE [] END AS v FROM texts"
    ).to_arrow_table()
    keys, values = (one(table.column(name)) for name in ("k", "v"))
    counts = pc.list_value_length(keys).fill_null(0).to_numpy(zero_copy_only=False)
    names, texts_of = keys.flatten(), values.flatten().cast(pa.string())
    if known is not None:
        known.update(names.unique().to_pylist())
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


def nothing(rows: int) -> pa.Array:
    """No attributes, for so many rows."""
    return pa.nulls(rows, ATTRIBUTES)


def _gather(values: pa.Array, starts: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any]) -> pa.Array:
    """Lists of `sizes` values each, which lie in `values` from `starts`."""
    ends = np.cumsum(sizes)
    index = np.repeat(starts - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)
    return pa.ListArray.from_arrays(_offsets(sizes), values.take(pa.array(index)))


def _offsets(counts: np.ndarray[Any, Any] | Sequence[int]) -> pa.Array:
    return pa.array(np.concatenate(([0], np.cumsum(counts))).astype(np.int32))


def _lengths(values: pa.Array) -> np.ndarray[Any, Any]:
    return pc.binary_length(values).fill_null(0).to_numpy(zero_copy_only=False)
