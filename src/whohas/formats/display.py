"""Conversion of typed Arrow columns to display texts, for PDF, XLSX and HTML."""

from __future__ import annotations

from datetime import datetime
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from whohas.engine.statement import ColumnType
from whohas.zones import parse_zone

compute: Any = pyarrow.compute
"""Untyped: `pyarrow.compute` creates its functions at import, so type checkers do not know them."""

LIST_SEPARATOR = "; "


def format_time(time: datetime, zone: str) -> str:
    """Return a time in a zone as display text: `2026-11-23 14:05:09`."""
    local = time.astimezone(parse_zone(zone))
    return f"{local.year:04}-{local:%m-%d %H:%M:%S}"


def encodable(text: str) -> str:
    """Return a text in which lone surrogates, which JSON can contain and UTF-8 cannot, are written as `\\ud800`."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def display_texts(column: pa.Array, type: ColumnType, zone: str, readable: bool = False) -> pa.StringArray:
    """Return the display text of each cell; a null is an empty text.

    A column of type `texts` may be an Arrow list column, or a string column if no cell has more than one value; several
    values are joined with `; `. Times are local in `zone`: `2026-11-23 14:05:09`, or `2026-11-23 14:05:09.123` if
    there are milliseconds.

    Args:
        column: the cells.
        type: their type.
        zone: the IANA time zone of times.
        readable: whether the texts are those of a readable file: booleans are `Yes` and `No` instead of `true` and
            `false`, and times are cut to seconds.
    """
    match type:
        case "text" | "integer":
            result = column.cast(pa.string())
        case "boolean":
            result = compute.if_else(column, *(("Yes", "No") if readable else ("true", "false")))
        case "time":
            result = _times(column, zone, whole=readable)
        case "texts":
            result = _joined(column) if pa.types.is_list(column.type) else column.cast(pa.string())
    return result.fill_null("") if result.null_count else result


def _joined(column: pa.ListArray) -> pa.StringArray:
    if column.flatten().null_count:
        # leave out nulls within lists: a join with a null would make the whole cell null
        values = [None if row is None else [text for text in row if text is not None] for row in column.to_pylist()]
        column = pa.array(values, pa.list_(pa.string()))
    return compute.binary_join(column, LIST_SEPARATOR)


_DAY = 86_400
_DAYS_TOGETHER = 1024
_FIRST, _LAST = -719_162, 2_932_896
"""First day of the year 1 and last day of the year 9999, in days since 1970-01-01."""


def _times(column: pa.TimestampArray, zone: str, whole: bool) -> pa.StringArray:
    """Return local times as texts of 19 or 23 bytes, written into a NumPy array; a null is an empty text.

    Args:
        whole: whether milliseconds are left out.
    """
    local = compute.local_timestamp(column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us", zone)))
    valid = np.asarray(local.is_valid())
    if not valid.any():
        return pa.array([""] * len(local), pa.string())
    millis = np.asarray(local.cast(pa.int64()).fill_null(0)) // 1000
    seconds = millis // 1000
    if whole:
        millis = seconds * 1000
    days = seconds // _DAY
    far = valid & ((days < _FIRST) | (days > _LAST))
    if far.any():  # years that do not have four digits
        far_texts = pa.array(millis, pa.timestamp("ms")).cast(pa.string())
        far_texts = compute.replace_substring_regex(far_texts, r"\.000$", "")
        mask = pa.array(far)
        return compute.if_else(mask, far_texts, _times(compute.if_else(mask, None, column), zone, whole))
    first = int(days[valid].min())
    millis -= seconds * 1000
    width = 23 if millis.any() else 19
    cells = np.empty((len(days), width), np.uint8)
    # A report has few different days, and each day has the same seconds: format each once and look it up.
    days_texts, day_indexes = _day_texts(np.where(valid, days, first))
    cells[:, :10] = days_texts[day_indexes]
    cells[:, 10:19] = _clock()[seconds - days * _DAY]
    lengths = np.full(len(days), 19, np.int32)
    if width == 23:
        cells[:, 19] = ord(".")
        for place, tens in ((20, 100), (21, 10), (22, 1)):
            cells[:, place] = (ord("0") + millis // tens % 10).astype(np.uint8)
        lengths[millis > 0] = 23
    lengths[~valid] = 0
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    data = cells if (lengths == width).all() else cells[np.arange(width) < lengths[:, None]]
    return pa.StringArray.from_buffers(len(days), pa.py_buffer(offsets), pa.py_buffer(data))


def _day_texts(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return texts of days as rows of ten bytes, such as `2026-11-23`, and the index of the row of each day.

    If the days span a short period, all its days are formatted: that is faster than finding the distinct ones.
    """
    first, last = int(days.min()), int(days.max())
    if last - first < len(days):
        begin, end = first // _DAYS_TOGETHER, last // _DAYS_TOGETHER
        return np.concatenate([_texts_of(n) for n in range(begin, end + 1)]), days - begin * _DAYS_TOGETHER
    # such as accounts that expire in the year 9999
    some, day_indexes = np.unique(days, return_inverse=True)
    return _formatted_days(some), day_indexes


@lru_cache(64)
def _texts_of(number: int) -> np.ndarray:
    """Return the texts of the days from `number * _DAYS_TOGETHER`, which batch after batch needs."""
    return _formatted_days(np.arange(number * _DAYS_TOGETHER, (number + 1) * _DAYS_TOGETHER))


def _formatted_days(days: np.ndarray) -> np.ndarray:
    texts = np.datetime_as_string(days.astype("datetime64[D]")).astype("S10")
    return np.frombuffer(texts.tobytes(), np.uint8).reshape(-1, 10)


@cache
def _clock() -> np.ndarray:
    """Return the text of each second of a day as rows of nine bytes, such as ` 14:05:09`."""
    seconds = np.arange(_DAY)
    cells = np.empty((_DAY, 9), np.uint8)
    cells[:] = np.frombuffer(b" 00:00:00", np.uint8)
    for place, number in ((1, seconds // 3600), (4, seconds // 60 % 60), (7, seconds % 60)):
        cells[:, place] += (number // 10).astype(np.uint8)
        cells[:, place + 1] += (number % 10).astype(np.uint8)
    return cells
