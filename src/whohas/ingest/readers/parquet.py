"""Read Parquet files as batches of text columns, as CSV files are read.

Arrow reads the rows, `parquet_texts.engine_readable` replaces values that DuckDB cannot convert exactly, and DuckDB
converts all values to text. Before that, `parquet_bounds.max_batch_rows` measures how many rows fit into memory at
once.
"""

from __future__ import annotations

import errno
import json
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.errors import InvalidArguments
from whohas.ingest.readers.batches import RecordNumbers, RowBatch, RowError
from whohas.ingest.readers.parquet_bounds import max_batch_rows
from whohas.ingest.readers.parquet_texts import cell_sql, check_type_readable, engine_readable, is_list
from whohas.warehouse.arrow import as_array, pc

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
            raise InvalidArguments(f"{path} has no columns.")
        repeated = sorted(name for name, count in Counter(self.header).items() if count > 1)
        if repeated:
            raise InvalidArguments(f"{path} has several columns named {', '.join(map(repr, repeated))}.")
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
        """Yield the results of SQL expressions on the rows.

        Args:
            cells: the SQL expressions, over the table `raw`.
            names: the names that the file's columns have in `raw`.
            joined: see `batches`.
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
        """Return a batch in types that DuckDB converts to their exact text (see `parquet_texts.engine_readable`)."""
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
        """Convert errors of Arrow, DuckDB and the file system that mean a damaged file to `InvalidArguments`.

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
            raise InvalidArguments(f"{self.path} {what}: {first.replace(self._source, self.path.name)}") from None

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
