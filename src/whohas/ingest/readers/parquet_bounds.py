"""Measure how much memory a Parquet file takes, with DuckDB, whose memory is limited, before Arrow reads it.

A few kilobytes may hold a page of gigabytes, or a text of a megabyte that a dictionary repeats in each row; what the
file itself says of its sizes may be false. The engine keeps such texts once, and fails where a page has no room.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from whohas.engine.sql import literal
from whohas.errors import InvalidArguments
from whohas.plurals import counted

LONGEST = 16 << 20
"""Bytes of a row's texts, as of a JSON document."""
_BATCH = 64 << 20
"""Bytes of the texts of a batch, at most."""
_OTHER = 32
"""Bytes of the text of a number, a time or the like."""
_ESCAPED = 4
"""Bytes of text that a byte of a binary column may take, as `\\xFF`."""
_COLUMNS = 1_000


def rows_at_once(path: Path, source: str, schema: pa.Schema, connection: Any) -> int:
    """Return how many rows may be read at once, after the whole file was read through by the engine.

    Args:
        path: the file's name, for messages.
        source: where the engine opens it: no pattern.
        schema: the file's columns, in its order.
        connection: DuckDB, with a limit of memory.

    Raises:
        InvalidArguments: a page or a row takes too much memory.
    """
    most = 0
    for begin in range(0, len(schema), _COLUMNS):
        places = range(begin, min(begin + _COLUMNS, len(schema)))
        most += sum(_longest(path, source, schema, places, connection))
    if most > LONGEST:
        raise InvalidArguments(
            f"{path}: the texts of a row take up to {most >> 20:,} MiB together, and up to {LONGEST >> 20} MiB are "
            "read. Take the long values out."
        )
    return max(1, _BATCH // max(most, 1))


def _longest(path: Path, source: str, schema: pa.Schema, places: range, connection: Any) -> list[int]:
    """The bytes of each column's longest text."""
    names = ", ".join(f"c{place}" for place in range(len(schema)))
    table = f"read_parquet({literal(source)}) AS t({names})"
    sizes = {place: sql for place in places if (sql := _size(schema.field(place).type, f"c{place}"))}
    # of a number it is of interest only whether its pages can be read
    others = [f"max(hash(c{place}))" for place in places if place not in sizes]
    try:
        found = connection.execute(f"SELECT {', '.join([*sizes.values(), *others])} FROM {table}").fetchall()
    except (duckdb.ConversionException, duckdb.InvalidInputException):
        # values that the engine does not take, of which `parquet_texts` makes texts
        found = connection.execute(f"SELECT {', '.join(sizes.values()) or 1} FROM {table}").fetchall()
    except duckdb.OutOfMemoryException:
        raise InvalidArguments(
            f"{path}: {counted(len(schema), 'column')} take more memory than the {limit(connection)} of a load when a "
            "page of each is unpacked. Write the file with smaller pages: 1 MiB is usual."
        ) from None
    return [int(size or 0) for size in found[0][: len(sizes)]] + [_OTHER] * (len(places) - len(sizes))


def limit(connection: Any) -> str:
    """Return how much memory the engine has."""
    return str(connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0])


def _size(type: pa.DataType, name: str) -> str | None:
    """The SQL of how many bytes the longest text of a column has; None where all texts are short."""
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
