"""Parquet files as batches of text columns, like CSV files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.sql import quote
from whohas.errors import InvalidArguments
from whohas.warehouse.intake.batches import Batch

SEPARATOR = "\x1f"
"""Stands between the values of a list column's cell."""

_ROWS = 50_000


class ParquetFile:
    """One Parquet file. Records are its rows, from 1.

    Attributes:
        header: the columns' names.
        lists: the columns that are lists of single values.

    Raises:
        InvalidArguments: it is no Parquet file, or repeats a column's name.
    """

    def __init__(self, path: Path, connection: Any) -> None:
        self.path = path
        self._connection = connection
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise InvalidArguments(f"{path} is no Parquet file: {str(error).splitlines()[0]}") from None
        schema = self._file.schema_arrow
        self.header: list[str] = schema.names
        repeated = sorted({name for name in self.header if self.header.count(name) > 1})
        if repeated:
            raise InvalidArguments(f"{path} has several columns named {', '.join(map(repr, repeated))}.")
        self._nested = {f.name for f in schema if pa.types.is_nested(f.type)}
        self.lists = [f.name for f in schema if _is_list(f.type) and not pa.types.is_nested(f.type.value_type)]

    @property
    def has_documents(self) -> bool:
        """Whether it holds whole identities, with what is nested in them."""
        return bool(self._nested & {"accounts", "access", "apps", "owns"})

    def batches(self, joined: frozenset[str] = frozenset()) -> Iterator[Batch]:
        """The rows as text; nested values as JSON.

        Args:
            joined: list columns whose values are joined by `SEPARATOR` instead.
        """
        cells: list[str] = []
        for place, field in enumerate(self._file.schema_arrow):
            name = quote(str(place))
            if field.name in joined and field.name in self.lists:
                text = f"array_to_string(list_transform({name}, lambda x: x::VARCHAR), chr(31))"
            elif field.name in self._nested:
                text = f"to_json({name})::VARCHAR"
            else:
                text = f"{name}::VARCHAR"
            cells.append(f"coalesce({text}, '') AS {name}")
        names = [str(place) for place in range(len(self.header))]
        yield from self._select(f"SELECT {', '.join(cells)} FROM raw", names)

    def documents(self) -> Iterator[Batch]:
        """The rows as JSON objects."""
        yield from self._select("SELECT to_json(raw)::VARCHAR AS doc FROM raw", self.header)

    def _select(self, sql: str, names: list[str]) -> Iterator[Batch]:
        size, rows, start = self.path.stat().st_size, self._file.metadata.num_rows, 1
        try:
            for batch in self._file.iter_batches(_ROWS):
                self._connection.register("raw", pa.Table.from_batches([batch]).rename_columns(names))
                data = self._connection.sql(sql).to_arrow_table()
                numbers = np.arange(start, start + data.num_rows, dtype=np.int64)
                start += data.num_rows
                yield Batch(data, numbers, (), size * start // max(rows, 1))
        except (pa.ArrowInvalid, OSError) as error:
            raise InvalidArguments(f"{self.path} cannot be read as Parquet: {str(error).splitlines()[0]}") from None

    def line_of(self, record: int) -> int:
        return record

    def text(self, cells: list[str]) -> str:
        """A row as JSON, to be kept."""
        return json.dumps(dict(zip(self.header, cells, strict=True)), ensure_ascii=False)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
