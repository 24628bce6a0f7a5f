"""Conversion of typed Arrow columns to display texts, for PDF, XLSX and HTML."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from whohas.engine.statement import ColumnType
from whohas.zones import parse_zone

compute: Any = pyarrow.compute
"""`pyarrow.compute` fills itself at import, so that no type checker knows what is in it."""

LIST_SEPARATOR = "; "


def moment(time: datetime, zone: str) -> str:
    """Return a time in a zone as display text: `2026-11-23 14:05:09`."""
    local = time.astimezone(parse_zone(zone))
    return f"{local.year:04}-{local:%m-%d %H:%M:%S}"


def texts(column: pa.Array, type: ColumnType, zone: str) -> pa.StringArray:
    """Return the display text of each cell; a null is an empty text.

    Texts are lists, or single texts where an extract has no more than one in a cell. Times are local in `zone`, to the
    second, or to the millisecond where they have such; several values are joined with `; `.
    """
    match type:
        case "text" | "integer":
            made = column.cast(pa.string())
        case "boolean":
            made = compute.if_else(column, "true", "false")
        case "time":
            made = _times(column, zone)
        case "texts":
            made = _joined(column) if pa.types.is_list(column.type) else column.cast(pa.string())
    return made.fill_null("") if made.null_count else made


def _joined(column: pa.ListArray) -> pa.StringArray:
    if column.flatten().null_count:
        # a null among them is nothing: joining would make the whole cell null
        values = [None if row is None else [one for one in row if one is not None] for row in column.to_pylist()]
        column = pa.array(values, pa.list_(pa.string()))
    return compute.binary_join(column, LIST_SEPARATOR)


_DAY = 86_400
_FIRST, _LAST = -719_162, 2_932_896
"""The days since 1970 that begin the year 1 and end the year 9999."""


def _times(column: pa.TimestampArray, zone: str) -> pa.StringArray:
    local = compute.local_timestamp(column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us", zone)))
    there = np.asarray(local.is_valid())
    if not there.any():
        return pa.array([""] * len(local), pa.string())
    millis = np.asarray(local.cast(pa.int64()).fill_null(0)) // 1000
    seconds = millis // 1000
    days = seconds // _DAY
    far = there & ((days < _FIRST) | (days > _LAST))
    if far.any():  # years that four digits do not hold
        rare = pa.array(millis, pa.timestamp("ms")).cast(pa.string())
        rare = compute.replace_substring_regex(rare, r"\.000$", "")
        mask = pa.array(far)
        return compute.if_else(mask, rare, _times(compute.if_else(mask, None, column), zone))
    first = int(days[there].min())
    millis -= seconds * 1000
    width = 23 if millis.any() else 19
    cells = np.empty((len(days), width), np.uint8)
    # a report's days are few, and each has the same seconds: both are written once, and looked up
    known, which = _known(np.where(there, days, first))
    cells[:, :10] = known[which]
    cells[:, 10:19] = _clock()[seconds - days * _DAY]
    lengths = np.full(len(days), 19, np.int32)
    if width == 23:
        cells[:, 19] = ord(".")
        for place, tens in ((20, 100), (21, 10), (22, 1)):
            cells[:, place] = (ord("0") + millis // tens % 10).astype(np.uint8)
        lengths[millis > 0] = 23
    lengths[~there] = 0
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    data = cells if (lengths == width).all() else cells[np.arange(width) < lengths[:, None]]
    return pa.StringArray.from_buffers(len(days), pa.py_buffer(offsets), pa.py_buffer(data))


def _known(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`2026-11-23` for some days, ten bytes each, and which of them is each day's.

    Every day between the first and the last, as long as they are few: that is faster than to look which there are.
    """
    first, last = int(days.min()), int(days.max())
    if last - first < len(days):
        some, which = np.arange(first, last + 1), days - first
    else:  # an account that ends in the year 9999
        some, which = np.unique(days, return_inverse=True)
    texts = np.datetime_as_string(some.astype("datetime64[D]")).astype("S10")
    return np.frombuffer(texts.tobytes(), np.uint8).reshape(-1, 10), which


@cache
def _clock() -> np.ndarray:
    """` 14:05:09` for each second of a day, nine bytes each."""
    seconds = np.arange(_DAY)
    cells = np.empty((_DAY, 9), np.uint8)
    cells[:] = np.frombuffer(b" 00:00:00", np.uint8)
    for place, number in ((1, seconds // 3600), (4, seconds // 60 % 60), (7, seconds % 60)):
        cells[:, place] += (number // 10).astype(np.uint8)
        cells[:, place + 1] += (number % 10).astype(np.uint8)
    return cells
