"""Values of Parquet's types as text: those that the engine does not take, or takes otherwise, become text before it.

The engine writes the others, so that the texts of both are alike:

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

from whohas.engine.sql import quote
from whohas.errors import InvalidArguments
from whohas.warehouse.arrow import pc

_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MICROSECONDS = np.iinfo(np.int64).max // 10**6 - 1
"""Seconds up to which a time since 1970 has room in the engine's microseconds."""
_PLAIN_DIGITS = 15
"""Digits that every reader of JSON keeps of a number."""
_INTERVAL = 12


def refuse_unreadable(column: str, type: pa.DataType) -> None:
    """Refuse the types of which nobody could read the text.

    Raises:
        InvalidArguments: it is or holds a VARIANT, or a struct that repeats a name.
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
        refuse_unreadable(column, type.field(number).type)


def is_list(type: pa.DataType) -> bool:
    """Return whether a type is a list of any kind."""
    is_view = pa.types.is_list_view(type) or pa.types.is_large_list_view(type)
    return pa.types.is_list(type) or pa.types.is_large_list(type) or pa.types.is_fixed_size_list(type) or is_view


def cell(field: pa.Field, place: str, separator: str | None = None) -> str:
    """Return the SQL of a column's text, empty where it is null, once its values were `plain`.

    Args:
        place: the column's name in the engine.
        separator: joins the values of a list; without one a list is JSON.
    """
    name = quote(place)
    if separator is not None and is_list(field.type):
        text = f"array_to_string(list_transform({name}, lambda x: x::VARCHAR), chr({ord(separator)}))"
    elif pa.types.is_nested(field.type):
        text = f"to_json({name})::VARCHAR"
    else:
        text = f"{name}::VARCHAR"
    return f"coalesce({text}, '') AS {name}"


def plain(column: str, values: pa.ChunkedArray, interval: bool = False) -> pa.ChunkedArray:
    """Return the values of a column in types that the engine turns into their exact text.

    Args:
        column: its name in the file, for messages.
        interval: whether it is Parquet's INTERVAL, which Arrow gives as 12 bytes.

    Raises:
        InvalidArguments: a map has a key twice.
    """
    if interval:
        return pa.chunked_array([pa.array(map(_interval, chunk.to_pylist()), pa.string()) for chunk in values.chunks])
    if not _concerned(values.type):
        return values
    made = [_plain(column, chunk, inner=False) for chunk in values.chunks]
    if len({chunk.type for chunk in made}) > 1:  # some chunks alone had what the engine does not take
        made = [_plain(column, pa.concat_arrays(values.chunks), inner=False)]
    return pa.chunked_array(made) if made else pa.chunked_array([], pa.string())


def _concerned(type: pa.DataType) -> bool:
    """Whether values of a type may have to become others."""
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
    """The same of values within others, which become JSON: there a reader takes numbers for floating ones."""
    return pa.types.is_floating(type) or pa.types.is_decimal(type) or _concerned(type)


def _plain(column: str, values: Any, inner: bool) -> Any:
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
    if not pa.types.is_large_list(values.type):
        values = values.cast(pa.large_list(values.type.value_type))
    sizes = pc.list_value_length(values).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
    items = _plain(column, values.flatten(), inner=True)
    return pa.LargeListArray.from_arrays(pa.array(offsets), items, mask=values.is_null())


def _map(column: str, values: pa.MapArray) -> Any:
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
    texts = values.cast(pa.string())
    if not pc.any(pc.match_substring(texts, "E")).as_py():
        return texts
    # 0E-20, as a decimal of 20 digits behind the point has its zero
    return pa.array([None if v is None else format(Decimal(v), "f") for v in texts.to_pylist()], pa.string())


def _floats(values: Any, inner: bool) -> Any:
    if pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    if not inner or pc.all(pc.is_finite(values)).as_py() is not False:
        return values
    # JSON has neither NaN nor an infinity
    words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return pa.array([None if v is None else words.get(repr(v), repr(v)) for v in values.to_pylist()], pa.string())


def _times(values: Any) -> Any:
    """Times of day, durations and timestamps: as they are, or as text where the engine would fail or cut them off."""
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
    return pa.array([None if n is None else text(n) for n in numbers.to_pylist()], pa.string())


def _day(number: int, unit: str) -> str:
    """Hours, minutes and seconds, with as many digits behind the point as are needed."""
    seconds, rest = divmod(number, _SECOND[unit])
    fraction = f".{rest:0{len(str(_SECOND[unit])) - 1}}".rstrip("0") if rest else ""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"


def _interval(value: bytes | None) -> str | None:
    """Parquet's INTERVAL, three numbers, as ISO 8601 has it: P1M2DT3.5S."""
    if value is None:
        return None
    assert len(value) == _INTERVAL, "Parquet's INTERVAL has 12 bytes"
    months, days, thousandths = (int.from_bytes(value[at : at + 4], "little") for at in (0, 4, 8))
    seconds, rest = divmod(thousandths, 1000)
    return f"P{months}M{days}DT{seconds}{f'.{rest:03}' if rest else ''}S"


def _is_bytes(type: pa.DataType) -> bool:
    return pa.types.is_binary(type) or pa.types.is_large_binary(type) or pa.types.is_binary_view(type)
