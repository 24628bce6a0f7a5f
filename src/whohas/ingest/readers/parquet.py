"""Read Parquet files as batches of text columns, as CSV files are read.

First `max_batch_rows` measures how much memory the rows take. A file of a few kilobytes may unpack to gigabytes: by a
highly compressed page, or by a text of a megabyte that a dictionary repeats in each row. The sizes in the file's
metadata may be false, so DuckDB reads the whole file first. Its memory is limited: it keeps a repeated text once, and
fails if a page does not fit.

Then Arrow reads the rows, `engine_readable` replaces values that DuckDB cannot convert exactly, and DuckDB converts all
values to text. The texts made here have the same form as DuckDB's:

    decimal256, 20 digits behind the point    1.25000000000000000000
    float16                                   1.5
    duration, in nanoseconds                  00:00:00.000000001, -26:30:00
    a time outside a day                      -5 us
    a timestamp beyond the year 290,000       292278994-08-17 07:12:55.807
"""

from __future__ import annotations

import errno
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.sql import quote_identifier, string_literal
from whohas.errors import InvalidArguments
from whohas.ingest.readers.batches import RecordNumbers, RowBatch, RowError
from whohas.plurals import pluralize
from whohas.warehouse.arrow import as_array, pc

LARGEST_ROW = 16 << 20
"""The largest size of a row's texts together, in bytes; the same limit as that of a JSON document."""
_BATCH = 64 << 20
"""The largest size of a batch's texts together, in bytes, unless a batch has a single row."""
_OTHER = 32
"""The size in bytes that is assumed for the text of a number, a time or another short value."""
_ESCAPED = 4
"""The bytes of text that one byte of a binary column may take: it is written as `\\xFF`."""
_MEASURED_COLUMNS = 1_000


def max_batch_rows(path: Path, source: str, schema: pa.Schema, connection: Any) -> int:
    """Read a whole Parquet file with DuckDB and return how many of its rows may be read at once, at least 1.

    The longest texts of all columns together bound the size of a row, although no single row may have them all.
    Example: the longest text of the column `name` has 100 bytes, that of `note` 1 MiB, and `age` is a number (32
    bytes). A row takes at most 1,048,708 bytes, and 63 such rows fit into the 64 MiB of a batch.

    Args:
        path: the path of the file, for messages.
        source: the path that DuckDB opens, without characters that it would expand as a pattern.
        schema: the columns of the file, in its order.
        connection: a DuckDB connection with a memory limit.

    Raises:
        InvalidArguments: a row may take more than 16 MiB, or pages do not fit into DuckDB's memory.
    """
    most = 0
    for begin in range(0, len(schema), _MEASURED_COLUMNS):
        places = range(begin, min(begin + _MEASURED_COLUMNS, len(schema)))
        most += sum(_longest(path, source, schema, places, connection))
    if most > LARGEST_ROW:
        raise InvalidArguments(
            f"{path}: the texts of a row take up to {most >> 20:,} MiB together, and up to {LARGEST_ROW >> 20} MiB are "
            "read. Take the long values out."
        )
    return max(1, _BATCH // max(most, 1))


def _longest(path: Path, source: str, schema: pa.Schema, places: range, connection: Any) -> list[int]:
    """Return the size in bytes of the longest text of each column in `places`, as an upper bound.

    Args:
        places: the indexes of columns in `schema`.
    """
    names = ", ".join(f"c{place}" for place in range(len(schema)))
    table = f"read_parquet({string_literal(source)}) AS t({names})"
    sizes = {place: sql for place in places if (sql := _size(schema.field(place).type, f"c{place}"))}
    # Texts of numbers are short. Hashing the values only makes DuckDB read their pages, which may be too large.
    others = [f"max(hash(c{place}))" for place in places if place not in sizes]
    try:
        found = connection.execute(f"SELECT {', '.join([*sizes.values(), *others])} FROM {table}").fetchall()
    except (duckdb.ConversionException, duckdb.InvalidInputException):
        # DuckDB does not accept some values of these types; `engine_readable` converts them to text after Arrow read
        # them. Only the columns whose texts may be long are measured then.
        found = connection.execute(f"SELECT {', '.join(sizes.values()) or 1} FROM {table}").fetchall()
    except duckdb.OutOfMemoryException:
        raise InvalidArguments(
            f"{path}: {pluralize(len(schema), 'column')} take more memory than the {memory_limit(connection)} of a "
            "load when a page of each is unpacked. Write the file with smaller pages: 1 MiB is usual."
        ) from None
    return [int(size or 0) for size in found[0][: len(sizes)]] + [_OTHER] * (len(places) - len(sizes))


def memory_limit(connection: Any) -> str:
    """Return DuckDB's memory limit as it shows it, such as `1.8 GiB`."""
    return str(connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0])


def _size(type: pa.DataType, name: str) -> str | None:
    """Return the SQL of the size in bytes of a column's longest text; None if the type's texts are all short."""
    if isinstance(type, pa.BaseExtensionType):
        return _size(type.storage_type, name)
    if pa.types.is_dictionary(type):
        return _size(type.value_type, name)
    if pa.types.is_nested(type):
        return f"max(strlen(to_json({name})::VARCHAR))"
    if pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type):
        return f"max(strlen({name}))"
    if pa.types.is_binary(type) or pa.types.is_large_binary(type) or pa.types.is_binary_view(type):
        return f"{_ESCAPED} * max(octet_length({name}))"
    return None


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


SEPARATOR = "\x1f"
"""Separates the joined values of a list (U+001F, the unit separator of ASCII)."""

_ROWS = 50_000
_CELLS = 1 << 23
"""The largest number of cells of a batch, unless a single row has more."""
_BUFFER = 1 << 20
"""The number of bytes of a column that Arrow reads ahead; without a buffer it reads a whole row group."""
_COLUMNS = 1_000
"""The largest number of columns in one DuckDB query: its time grows with the square of their number."""


class ParquetReader:
    """An open Parquet file. Its records are its rows, numbered from 1.

    Attributes:
        header: the names of the columns.
        lists: the names of the columns that are lists of single values.
        schema: the names and types of the columns.
        rows, groups: the number of rows and of row groups.

    Args:
        connection: a DuckDB connection with a memory limit; one page of each column must fit into it together.

    Raises:
        InvalidArguments: the file is not Parquet, has no columns, repeats a column's name, or has a column of an
            unsupported type.
    """

    def __init__(self, path: Path, connection: Any) -> None:
        self.path = path
        self._connection = connection
        self._raw = path.open("rb")
        # Both engines open the file by its descriptor. Its name may not be UTF-8, DuckDB would expand a name such as
        # `a*.parquet` as a pattern, and another file may take the name between two openings.
        self._source = f"/dev/fd/{self._raw.fileno()}"
        with self._readable("is not a Parquet file"):
            self._file = self._opened()
        self.schema: pa.Schema = self._file.schema_arrow
        self.rows: int = self._file.metadata.num_rows
        self.groups: int = self._file.num_row_groups
        self.header: list[str] = self.schema.names
        if not self.header:
            raise InvalidArguments(f"{path} has no columns. Write it again with them, or leave it out of the load.")
        repeated = sorted(name for name, count in Counter(self.header).items() if count > 1)
        if repeated:
            raise InvalidArguments(
                f"{path} has several columns named {', '.join(map(repr, repeated))}. Rename all but one."
            )
        try:
            for field in self.schema:
                check_type_readable(field.name, field.type)
        except InvalidArguments as error:
            raise InvalidArguments(f"{path}: {error.message}. Write it as text, or leave it out.") from None
        self._nested = {f.name for f in self.schema if pa.types.is_nested(f.type)}
        self.lists = [f.name for f in self.schema if is_list(f.type) and not pa.types.is_nested(f.type.value_type)]
        leaves = [self._file.schema.column(place) for place in range(len(self._file.schema))]
        self._intervals = frozenset(leaf.path for leaf in leaves if leaf.converted_type == "INTERVAL")
        old = [f"{leaf.path}." for leaf in leaves if leaf.physical_type == "INT96"]
        self._old_times = [name for name in self.header if any(path.startswith(f"{name}.") for path in old)]

    def _opened(self, **options: Any) -> pq.ParquetFile:
        """Open the file with Arrow; page checksums are verified."""
        return pq.ParquetFile(
            self._source, pre_buffer=False, buffer_size=_BUFFER, page_checksum_verification=True, **options
        )

    @property
    def has_documents(self) -> bool:
        """Whether the rows are whole identities with nested accounts, access, apps or owned objects."""
        return bool(self._nested & {"accounts", "access", "apps", "owns"})

    def batches(self, joined: frozenset[str] = frozenset()) -> Iterator[RowBatch]:
        """Yield the rows as text columns named 0, 1, 2 and so on; null is empty text, nested values are JSON.

        Args:
            joined: the list columns whose values are joined by `SEPARATOR` instead.

        Raises:
            InvalidArguments: the file is damaged, a page or row is too large, a value has no text, or a value of a
                joined list contains `SEPARATOR`.
        """
        cells = [
            cell_sql(field, str(place), SEPARATOR if field.name in joined and field.name in self.lists else None)
            for place, field in enumerate(self.schema)
        ]
        yield from self._select(cells, [str(place) for place in range(len(self.header))], joined)

    def documents(self) -> Iterator[RowBatch]:
        """Yield the rows as JSON objects, in one column `doc`."""
        yield from self._select(["to_json(raw)::VARCHAR AS doc"], self.header)

    def _select(self, cells: list[str], names: list[str], joined: frozenset[str] = frozenset()) -> Iterator[RowBatch]:
        """Yield one `RowBatch` per batch of rows: the results of SQL expressions.

        Args:
            cells: the SQL expressions, over the table `raw`.
            names: the names that the file's columns have in `raw`.
            joined: the list columns that `cells` join by `SEPARATOR`; a value that contains it is refused.
        """
        size, start = self.path.stat().st_size, 1
        with self._readable("cannot be read as Parquet"):
            most = max_batch_rows(self.path, self._source, self.schema, self._connection)
            for batch in self._read(max(1, min(_ROWS, _CELLS // len(self.header), most))):
                numbers = np.arange(start, start + batch.num_rows, dtype=np.int64)
                start += batch.num_rows
                raw, faults = self._checked(self._plain(batch), numbers)
                self._refuse_separators(raw, joined)
                data = self._selected(raw.rename_columns(names), cells)
                yield RowBatch(data, numbers, faults, size * start // max(self.rows, 1))

    def _read(self, size: int, **options: Any) -> Iterator[pa.Table]:
        """Yield the rows, at most `size` at a time.

        Arrow reads timestamps of the old type INT96 in nanoseconds, which reach from 1677 to 2262 only; later times
        wrap around. Therefore such columns are read in microseconds too, which are used where the two differ:

            in the file    in nanoseconds                   in microseconds              result
            2024-01-31     2024-01-31                       2024-01-31                   nanoseconds
            9999-12-31     1816-03-29 (wrapped around)      9999-12-31                   microseconds
        """
        batches = self._file.iter_batches(size, **options)
        if not self._old_times:
            yield from (pa.Table.from_batches([batch]) for batch in batches)
            return
        old = [place for place, name in enumerate(self.header) if name in self._old_times]
        coarse = self._opened(coerce_int96_timestamp_unit="us").iter_batches(size, **options)
        for fine_batch, coarse_batch in zip(batches, coarse, strict=True):
            table = pa.Table.from_batches([fine_batch])
            for place in old:
                fine, rough = fine_batch.column(place), coarse_batch.column(place)
                if pa.types.is_nested(fine.type) or _differ(fine, rough):
                    table = table.set_column(place, pa.field(self.header[place], rough.type), rough)
            yield table

    def sample(self, groups: Sequence[int], rows: int, size: int) -> pa.Table:
        """Return the first rows of some row groups as text columns named 0, 1, 2 and so on; lists are joined by `;`.

        Args:
            groups: the indexes of the row groups.
            rows: the largest number of rows of each group.
            size: files of up to this many bytes are read once completely before, to measure how much memory a row
                takes.

        Raises:
            InvalidArguments: the file is damaged, a page or row is too large, or a value has no text.
        """
        names = [str(place) for place in range(len(self.header))]
        cells = [cell_sql(field, names[place], ";" if field.name in self.lists else None)
                 for place, field in enumerate(self.schema)]  # fmt: skip
        parts: list[pa.Table] = []
        with self._readable("cannot be read as Parquet"):
            most = _ROWS
            if self.path.stat().st_size <= size:
                most = max_batch_rows(self.path, self._source, self.schema, self._connection)
            rows = max(1, min(rows, _CELLS // len(self.header) // max(len(groups), 1), most // max(len(groups), 1)))
            for group in groups:
                for batch in islice(self._read(rows, row_groups=[group]), 1):
                    raw, _ = self._checked(self._plain(batch), np.arange(batch.num_rows))
                    parts.append(self._selected(raw.rename_columns(names), cells))
        return pa.concat_tables(parts) if parts else pa.table({name: pa.array([], pa.string()) for name in names})

    def _plain(self, batch: pa.Table) -> pa.Table:
        """Return a batch in types that DuckDB converts to their exact text (see `engine_readable`)."""
        try:
            columns = [
                engine_readable(name, column, name in self._intervals)
                for name, column in zip(self.header, batch.columns, strict=True)
            ]
        except InvalidArguments as error:
            raise InvalidArguments(f"{self.path}: {error.message}. Write it as text, or leave it out.") from None
        return pa.table(columns, names=[str(place) for place in range(len(columns))]).rename_columns(self.header)

    def _checked(self, batch: pa.Table, numbers: RecordNumbers) -> tuple[pa.Table, tuple[RowError, ...]]:
        """Replace texts that are not valid UTF-8 by null and return a fault for each.

        Other invalid data, such as offsets beyond the end of a column, raise `InvalidArguments`.
        """
        try:
            batch.validate(full=True)
            return batch, ()
        except pa.ArrowInvalid:
            pass
        faults: list[RowError] = []
        for place, name in enumerate(self.header):
            column = as_array(batch.column(place))
            try:
                column.validate(full=True)
                continue
            except pa.ArrowInvalid as error:
                if not pa.types.is_string(column.type):
                    raise InvalidArguments(
                        f"{self.path}, column {name!r}: {str(error).splitlines()[0]}. Write the file again."
                    ) from None
            data = column.view(pa.binary()).to_pylist()
            texts = [_decoded(value) for value in data]
            for row, (value, text) in enumerate(zip(data, texts, strict=True)):
                if value is not None and text is None:
                    shown = value.decode(errors="backslashreplace")
                    reason = f"no valid UTF-8: {shown[:80]}"
                    faults.append(RowError(int(numbers[row]), name, reason, json.dumps({name: shown}), cell_text=shown))
            batch = batch.set_column(place, name, pa.array(texts, pa.string()))
        return batch, tuple(sorted(faults, key=lambda fault: fault.record_number))

    def _refuse_separators(self, batch: pa.Table, joined: frozenset[str]) -> None:
        """Refuse values of joined lists that contain `SEPARATOR`: they would be split into two values later."""
        for name in joined.intersection(self.lists):
            values = as_array(batch.column(name)).flatten()
            if pa.types.is_string(values.type) and pc.any(pc.match_substring(values, SEPARATOR)).as_py():
                raise InvalidArguments(
                    f"{self.path}, column {name!r}: a value of a list holds the character U+001F, which stands between "
                    "values while they are loaded. Take it out."
                )

    @contextmanager
    def _readable(self, what: str) -> Generator[None]:
        """Open a context that converts errors of Arrow, DuckDB and the file system about a damaged file.

        They become `InvalidArguments`.

        Errors of the file system other than EIO, such as a missing permission, are raised as they are.

        Args:
            what: the message after the name of the file, such as "cannot be read as Parquet".
        """
        try:
            yield
        except (pa.ArrowException, duckdb.Error, OSError, ValueError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno and error.errno != errno.EIO:
                raise
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            reason = first.replace(self._source, self.path.name).rstrip(".")
            raise InvalidArguments(f"{self.path} {what}: {reason}. Copy or write it again.") from None

    def _selected(self, raw: pa.Table, cells: list[str]) -> pa.Table:
        """Return the results of SQL expressions on a batch, by several queries if there are many columns."""
        if len(cells) == 1 or len(cells) <= _COLUMNS:
            self._connection.register("raw", raw)
            return self._connection.sql(f"SELECT {', '.join(cells)} FROM raw").to_arrow_table()
        # The expression at index i uses only the column at index i, so columns and expressions are split alike.
        parts = [
            self._selected(raw.select(range(begin, min(begin + _COLUMNS, len(cells)))), cells[begin : begin + _COLUMNS])
            for begin in range(0, len(cells), _COLUMNS)
        ]
        fields = [field for part in parts for field in part.schema]
        return pa.table([column for part in parts for column in part.columns], schema=pa.schema(fields))

    def line_of(self, record: int) -> int:
        """Return the number of the record itself, because a Parquet file has no lines."""
        return record

    def text(self, cells: list[str]) -> str:
        """Return a row as a JSON object, in the form that is kept with a rejected row."""
        return json.dumps(dict(zip(self.header, cells, strict=True)), ensure_ascii=False)


def _differ(fine: pa.Array, rough: pa.Array) -> bool:
    """Return whether timestamps in nanoseconds, cut to microseconds, differ from the same timestamps in `rough`."""
    return pc.all(pc.equal(pc.cast(fine, rough.type, safe=False), rough)).as_py() is False


def _decoded(value: bytes | None) -> str | None:
    """Return bytes as text; None if they are not valid UTF-8."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
