"""Parquet files as batches of text columns, like CSV files."""

from __future__ import annotations

import json
from collections import Counter
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
_CELLS = 1 << 23
"""Of a batch, at most, unless they are of one row."""
_COLUMNS = 1_000
"""That an engine is given at a time: it takes time by the square of their number."""


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
        repeated = sorted(name for name, count in Counter(self.header).items() if count > 1)
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
        yield from self._select(cells, [str(place) for place in range(len(self.header))])

    def documents(self) -> Iterator[Batch]:
        """The rows as JSON objects."""
        yield from self._select(["to_json(raw)::VARCHAR AS doc"], self.header)

    def _select(self, cells: list[str], names: list[str]) -> Iterator[Batch]:
        size, rows, start = self.path.stat().st_size, self._file.metadata.num_rows, 1
        try:
            for batch in self._file.iter_batches(max(1, min(_ROWS, _CELLS // max(1, len(self.header))))):
                data = self._selected(pa.Table.from_batches([batch]).rename_columns(names), cells)
                numbers = np.arange(start, start + data.num_rows, dtype=np.int64)
                start += data.num_rows
                yield Batch(data, numbers, (), size * start // max(rows, 1))
        except (pa.ArrowInvalid, OSError) as error:
            raise InvalidArguments(f"{self.path} cannot be read as Parquet: {str(error).splitlines()[0]}") from None

    def _selected(self, raw: pa.Table, cells: list[str]) -> pa.Table:
        if len(cells) == 1 or len(cells) <= _COLUMNS:
            self._connection.register("raw", raw)
            return self._connection.sql(f"SELECT {', '.join(cells)} FROM raw").to_arrow_table()
        # each cell is of the column at its place
        parts = [
            self._selected(raw.select(range(begin, min(begin + _COLUMNS, len(cells)))), cells[begin : begin + _COLUMNS])
            for begin in range(0, len(cells), _COLUMNS)
        ]
        fields = [field for part in parts for field in part.schema]
        return pa.table([column for part in parts for column in part.columns], schema=pa.schema(fields))

    def line_of(self, record: int) -> int:
        return record

    def text(self, cells: list[str]) -> str:
        """A row as JSON, to be kept."""
        return json.dumps(dict(zip(self.header, cells, strict=True)), ensure_ascii=False)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
