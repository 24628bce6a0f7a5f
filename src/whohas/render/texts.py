"""The text of typed cells, for files that people read: a column of an Arrow batch to a column of texts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whohas.engine.statement import ColumnType

LIST_SEPARATOR = "; "


def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name, or of a difference from UTC such as `+01:00`."""
    if name[:1] in ("+", "-"):
        hours, minutes = name[1:].split(":")
        ahead = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(ahead if name[0] == "+" else -ahead)
    return ZoneInfo(name)


def moment(time: datetime, zone: str) -> str:
    """A time as people read it: `2026-11-23 14:05:09`, in a zone."""
    local = time.astimezone(zone_of(zone))
    return f"{local.year:04}-{local:%m-%d %H:%M:%S}"


def texts(column: pa.Array, type: ColumnType, zone: str) -> pa.StringArray:
    """Each cell as people read it; a null is an empty text.

    Times are local in `zone`, to the second, or to the millisecond where they have such; several values are joined
    with `; `.
    """
    match type:
        case "text":
            made = column.cast(pa.string())
        case "integer":
            made = column.cast(pa.string())
        case "boolean":
            made = pc.if_else(column, "true", "false")
        case "time":
            made = _times(column, zone)
        case "texts":
            made = _joined(column)
    return made.fill_null("") if made.null_count else made


def _joined(column: pa.ListArray) -> pa.StringArray:
    if column.flatten().null_count:
        # a null among them is nothing: joining would make the whole cell null
        values = [None if row is None else [one for one in row if one is not None] for row in column.to_pylist()]
        column = pa.array(values, pa.list_(pa.string()))
    return pc.binary_join(column, LIST_SEPARATOR)


_DAY = 86_400
_FIRST, _LAST = -719_162, 2_932_896
"""The days since 1970 that begin the year 1 and end the year 9999."""


def _times(column: pa.TimestampArray, zone: str) -> pa.StringArray:
    local = pc.local_timestamp(column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us", zone)))
    there = np.asarray(local.is_valid())
    if not there.any():
        return pa.array([""] * len(local), pa.string())
    millis = np.asarray(local.cast(pa.int64()).fill_null(0)) // 1000
    seconds = millis // 1000
    days = seconds // _DAY
    first, last = int(days[there].min()), int(days[there].max())
    if first < _FIRST or last > _LAST:
        return local.cast(pa.string())  # years that four digits do not hold
    millis -= seconds * 1000
    width = 23 if millis.any() else 19
    cells = np.empty((len(days), width), np.uint8)
    # a report's days are few, and each has the same seconds: both are written once, and looked up
    cells[:, :10] = _dates(first, last)[np.where(there, days - first, 0)]
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


def _dates(first: int, last: int) -> np.ndarray:
    """`2026-11-23` for each day from one to another, ten bytes each."""
    days = np.arange(first, last + 1).astype("datetime64[D]")
    return np.frombuffer(np.datetime_as_string(days).astype("S10").tobytes(), np.uint8).reshape(-1, 10)


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
