"""Convert values of Parquet's types to text where DuckDB does not accept them or would change them.

DuckDB converts all other values to text, so the texts made here have the same form as DuckDB's:

    decimal256, 20 digits behind the point    1.25000000000000000000
    float16                                   1.5
    duration, in nanoseconds                  00:00:00.000000001, -26:30:00
    a time outside a day                      -5 us
    a timestamp beyond the year 290,000       292278994-08-17 07:12:55.807
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.engine.sql import quote_identifier
from whohas.errors import InvalidArguments
from whohas.warehouse.arrow import pc

_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MICROSECONDS = np.iinfo(np.int64).max // 10**6 - 1
"""The largest number of seconds since 1970 that DuckDB's timestamps, which count microseconds, can hold."""
_PLAIN_DIGITS = 15
"""The number of digits of a number that every reader of JSON keeps."""
_INTERVAL = 12


def check_type_readable(column: str, type: pa.DataType) -> None:
    """Refuse types whose values cannot be shown as text that a person can read.

    A VARIANT is stored as a struct of the members `metadata` and `value` (and, if it is shredded, `typed_value`), of
    which `metadata` is binary.

    Args:
        column: the name of the column, for the message.

    Raises:
        InvalidArguments: the type is or contains a VARIANT, or a struct that repeats a name.
    """
    if pa.types.is_struct(type):
        names = {field.name for field in type}
        if names in ({"metadata", "value"}, {"metadata", "value", "typed_value"}) and _is_bytes(
            type.field("metadata").type
        ):
            raise InvalidArguments(f"the column {column!r} is of the type VARIANT, which is not read")
        if len(names) < type.num_fields:
            raise InvalidArguments(f"the column {column!r} is a struct that has one name more than once")
    for number in range(type.num_fields):
        check_type_readable(column, type.field(number).type)


def is_list(type: pa.DataType) -> bool:
    """Return whether a type is one of Arrow's list types: plain, large, fixed-size or view."""
    is_view = pa.types.is_list_view(type) or pa.types.is_large_list_view(type)
    return pa.types.is_list(type) or pa.types.is_large_list(type) or pa.types.is_fixed_size_list(type) or is_view


def cell_sql(field: pa.Field, place: str, separator: str | None = None) -> str:
    """Return the SQL of a column's text, empty for null. Convert its values by `engine_readable` before.

    Args:
        field: the name and the type of the column in the file.
        place: the column's name in DuckDB.
        separator: the character that joins the values of a list; None for lists as JSON.
    """
    name = quote_identifier(place)
    if separator is not None and is_list(field.type):
        text = f"array_to_string(list_transform({name}, lambda x: x::VARCHAR), chr({ord(separator)}))"
    elif pa.types.is_nested(field.type):
        text = f"to_json({name})::VARCHAR"
    else:
        text = f"{name}::VARCHAR"
    return f"coalesce({text}, '') AS {name}"


def engine_readable(column: str, values: pa.ChunkedArray, interval: bool = False) -> pa.ChunkedArray:
    """Return the values of a column in types that DuckDB converts to their exact text.

    Most values are returned as they are. The others become text, also within lists, maps and structs.

    Args:
        column: the column's name in the file, for messages.
        interval: whether the column has Parquet's type INTERVAL, which Arrow reads as 12 bytes.

    Raises:
        InvalidArguments: a map has the same key twice in one row.
    """
    if interval:
        return pa.chunked_array([pa.array(map(_interval, chunk.to_pylist()), pa.string()) for chunk in values.chunks])
    if not _concerned(values.type):
        return values
    made = [_plain(column, chunk, inner=False) for chunk in values.chunks]
    # Whether a chunk is converted may depend on its values, such as a time outside a day in one chunk only. All chunks
    # need the same type, so the whole column is converted at once then.
    if len({chunk.type for chunk in made}) > 1:
        made = [_plain(column, pa.concat_arrays(values.chunks), inner=False)]
    return pa.chunked_array(made) if made else pa.chunked_array([], pa.string())


def _concerned(type: pa.DataType) -> bool:
    """Return whether values of a type, outside of nested values, may have to be converted."""
    if isinstance(type, pa.BaseExtensionType):
        return _concerned(type.storage_type)
    if pa.types.is_dictionary(type):
        return _concerned(type.value_type)
    if pa.types.is_map(type):
        return True
    if type.num_fields:
        return any(_within(type.field(number).type) for number in range(type.num_fields))
    return (
        pa.types.is_decimal256(type)
        or pa.types.is_float16(type)
        or pa.types.is_duration(type)
        or pa.types.is_time(type)
        or (pa.types.is_timestamp(type) and type.unit in ("s", "ms"))
    )


def _within(type: pa.DataType) -> bool:
    """Return whether values of a type within nested values may have to be converted.

    Nested values become JSON, whose readers keep only about 15 digits of a number and which has no NaN or infinity.
    Therefore decimals and floating-point numbers may have to become text there too.
    """
    return pa.types.is_floating(type) or pa.types.is_decimal(type) or _concerned(type)


def _plain(column: str, values: Any, inner: bool) -> Any:
    """Return the values of one chunk as `engine_readable` does.

    Args:
        inner: whether the values stand within nested ones, which become JSON.
    """
    type = values.type
    if not (_within(type) if inner else _concerned(type)):
        return values
    if isinstance(values, pa.ExtensionArray):
        if not _concerned(type.storage_type):
            return values
        return _plain(column, values.storage, inner)
    if pa.types.is_dictionary(type):
        return _plain(column, values.dictionary_decode(), inner)
    if pa.types.is_map(type):
        return _map(column, values)
    if pa.types.is_struct(type):
        parts = [_plain(column, values.field(number), inner=True) for number in range(type.num_fields)]
        fields = [pa.field(type.field(number).name, part.type) for number, part in enumerate(parts)]
        return pa.StructArray.from_arrays(parts, fields=fields, mask=values.is_null())
    if is_list(type):
        return _list(column, values)
    if pa.types.is_decimal(type):
        return _decimals(values) if pa.types.is_decimal256(type) or type.precision > _PLAIN_DIGITS else values
    if pa.types.is_floating(type):
        return _floats(values, inner)
    return _times(values)


def _list(column: str, values: Any) -> Any:
    """Convert the items of lists.

    Offsets are computed from the lengths, because the lists may be a slice, or null lists may have items. Example:
    the lists [a, b], null and [c] have the sizes 2, 0 and 1, the offsets 0, 2, 2, 3 and the items a, b, c.
    """
    if not pa.types.is_large_list(values.type):
        values = values.cast(pa.large_list(values.type.value_type))
    sizes = pc.list_value_length(values).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
    items = _plain(column, values.flatten(), inner=True)
    return pa.LargeListArray.from_arrays(pa.array(offsets), items, mask=values.is_null())


def _map(column: str, values: pa.MapArray) -> Any:
    """Convert the keys and items of maps; refuse a map with a repeated key, because JSON objects cannot keep both.

    Example: the maps {x: 1, y: 2} and {x: 3} have the offsets 0, 2, 3, the rows 0, 0, 1 and the key codes 0, 1, 0.
    Their pairs of row and code (0, 0), (0, 1), (1, 0) are all different, so no key is repeated.
    """
    offsets = values.offsets.to_numpy()
    begin, end = int(offsets[0]), int(offsets[-1])
    keys, items = values.keys.slice(begin, end - begin), values.items.slice(begin, end - begin)
    rows = np.repeat(np.arange(len(values)), np.diff(offsets))
    codes = keys.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    if len(rows) != len(np.unique(np.stack((rows, codes.astype(np.int64)), 1), axis=0)):
        raise InvalidArguments(f"the column {column!r} is a map, and a row of it has one key twice")
    if not (_within(keys.type) or _within(items.type)):
        return values
    keys, items = _plain(column, keys, inner=True), _plain(column, items, inner=True)
    return pa.MapArray.from_arrays(pa.array(offsets - begin), keys, items, mask=values.is_null())


def _decimals(values: Any) -> pa.Array:
    """Return decimals as text without exponents."""
    texts = values.cast(pa.string())
    if not pc.any(pc.match_substring(texts, "E")).as_py():
        return texts
    # Arrow writes the zero of a decimal with 20 digits behind the point as 0E-20; the result is 0.00000000000000000000.
    return pa.array([None if v is None else format(Decimal(v), "f") for v in texts.to_pylist()], pa.string())


def _floats(values: Any, inner: bool) -> Any:
    """Return floating-point numbers as they are or, within nested values with a NaN or an infinity, as text."""
    if pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    if not inner or pc.all(pc.is_finite(values)).as_py() is not False:
        return values
    # JSON has neither NaN nor an infinity
    words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return pa.array([None if v is None else words.get(repr(v), repr(v)) for v in values.to_pylist()], pa.string())


def _times(values: Any) -> Any:
    """Return times of day, durations and timestamps as text where DuckDB would fail or lose digits.

    Times of day outside a day and timestamps beyond the range of DuckDB's microseconds make the whole chunk text;
    other times and timestamps are returned as they are. Durations always become text. Example: the times 5 and
    86,400,000,001 in microseconds become `00:00:00.000005` and `86400000001 us`.
    """
    type = values.type
    second = _SECOND[type.unit]
    numbers = values.view(pa.int32() if pa.types.is_time32(type) else pa.int64()).cast(pa.int64())
    bounds = pc.min_max(numbers)
    least, most = bounds["min"].as_py(), bounds["max"].as_py()
    if least is None:
        return pa.nulls(len(values), pa.string())
    if pa.types.is_time(type):
        if least >= 0 and most <= 86_400 * second:
            return values
        return _each(numbers, lambda n: _day(n, type.unit) if 0 <= n <= 86_400 * second else f"{n} {type.unit}")
    if pa.types.is_timestamp(type):
        if -_MICROSECONDS * second <= least and most <= _MICROSECONDS * second:
            return values
        zone = "" if type.tz is None else "+00"
        return _each(numbers, lambda n: f"{np.datetime64(n, type.unit)}".replace("T", " ") + zone)
    return _each(numbers, lambda n: ("-" if n < 0 else "") + _day(abs(n), type.unit))


def _each(numbers: Any, text: Callable[[int], str]) -> pa.Array:
    """Return the text of each number; null stays null."""
    return pa.array([None if n is None else text(n) for n in numbers.to_pylist()], pa.string())


def _day(number: int, unit: str) -> str:
    """Return a time as hours, minutes and seconds, without trailing zeros behind the point.

    Example: `_day(90_061_500, "ms")` returns `25:01:01.5`.
    """
    seconds, rest = divmod(number, _SECOND[unit])
    fraction = f".{rest:0{len(str(_SECOND[unit])) - 1}}".rstrip("0") if rest else ""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"


def _interval(value: bytes | None) -> str | None:
    """Return a value of Parquet's type INTERVAL as an ISO 8601 duration.

    The 12 bytes are three unsigned little-endian numbers of 4 bytes: months, days and milliseconds. Example: the
    numbers 1, 2 and 3,500 become `P1M2DT3.500S`.
    """
    if value is None:
        return None
    assert len(value) == _INTERVAL, "Parquet's INTERVAL has 12 bytes"
    months, days, thousandths = (int.from_bytes(value[at : at + 4], "little") for at in (0, 4, 8))
    seconds, rest = divmod(thousandths, 1000)
    return f"P{months}M{days}DT{seconds}{f'.{rest:03}' if rest else ''}S"


def _is_bytes(type: pa.DataType) -> bool:
    return pa.types.is_binary(type) or pa.types.is_large_binary(type) or pa.types.is_binary_view(type)
