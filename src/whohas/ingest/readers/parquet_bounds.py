"""Measure how much memory the rows of a Parquet file take, before Arrow reads them.

A file of a few kilobytes may unpack to gigabytes: by a highly compressed page, or by a text of a megabyte that a
dictionary repeats in each row. The sizes in the file's metadata may be false, so DuckDB reads the whole file first. Its
memory is limited: it keeps a repeated text once, and fails if a page does not fit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from whohas.engine.sql import string_literal
from whohas.errors import InvalidArguments
from whohas.plurals import pluralize

LARGEST_ROW = 16 << 20
"""The largest size of a row's texts together, in bytes; the same limit as that of a JSON document."""
_BATCH = 64 << 20
"""The largest size of a batch's texts together, in bytes, unless a batch has a single row."""
_OTHER = 32
"""The size in bytes that is assumed for the text of a number, a time or another short value."""
_ESCAPED = 4
"""The bytes of text that one byte of a binary column may take: it is written as `\\xFF`."""
_COLUMNS = 1_000


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
    for begin in range(0, len(schema), _COLUMNS):
        places = range(begin, min(begin + _COLUMNS, len(schema)))
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
        # DuckDB does not accept some values of these types; `parquet_texts` converts them to text after Arrow read
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
