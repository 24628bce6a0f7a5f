"""CSV files as batches of text columns, in flat memory, with every record's place known."""

from __future__ import annotations

import csv
import io
import itertools
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from whohas.errors import InvalidArguments
from whohas.warehouse.intake.batches import Batch, Fault, Numbers
from whohas.warehouse.intake.streams import ByteStream, line_starts, open_bytes

_BLOCK = 4 << 20
"""Bytes that are read at once, and the longest row; small enough for the processor's cache."""

_BLOCKS = 2
"""Blocks in a batch."""

_HEAD = 1 << 20
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        delimiter: one character; None takes the comma, or else what the header holds of semicolon, tab and bar.
        encoding: a name that Python knows; None for UTF-8. A byte order mark overrules it.
    """

    delimiter: str | None = None
    encoding: str | None = None


class CsvFile:
    """One CSV file. Records are counted from 1, the header being the first, as lines are.

    Attributes:
        header: the columns' names.
        delimiter: what separates cells.

    Raises:
        InvalidArguments: the file is empty, or its header has no, empty or repeated names.
    """

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.path = path
        self._dialect = dialect
        self._lines_are_records: bool | None = None
        self._starts: array[int] | None = None
        with open_bytes(path, dialect.encoding) as stream:
            head = stream.read(_HEAD)
        if not head.strip():
            raise InvalidArguments(f"{path} is empty. A CSV file begins with a header that names its columns.")
        try:
            text = head.decode(errors="strict" if len(head) < _HEAD else "ignore")
        except UnicodeDecodeError:
            text = head.decode(errors="surrogateescape")
        self.delimiter = dialect.delimiter or _delimiter(text)
        self.header = self._read_header(text)

    def _read_header(self, text: str) -> list[str]:
        _lift_field_limit()
        header = next(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter), [])
        if any("\udc80" <= c <= "\udcff" for name in header for c in name) or any("\0" in name for name in header):
            raise InvalidArguments(
                f"{self.path} is no CSV file in UTF-8: its first line cannot be read. "
                'If it has another encoding, say so in a mapping: [csv] encoding = "…".'
            )
        if not any(header):
            raise InvalidArguments(f"{self.path} has no header: its first line is empty.")
        for number, name in enumerate(header, 1):
            if not name.strip():
                raise InvalidArguments(f"{self.path}: column {number} has no name in the header.")
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated:
            raise InvalidArguments(f"{self.path}: the header names {', '.join(map(repr, repeated))} more than once.")
        return header

    def batches(self) -> Iterator[Batch]:
        """The rows, column by column as UTF-8 text; blank lines are passed over.

        Raises:
            InvalidArguments: the file cannot be read as CSV.
        """
        with open_bytes(self.path, self._dialect.encoding) as stream:
            records = 1
            blocks = (self._decoded(block) for block in self._read(stream))
            while group := list(itertools.islice(blocks, _BLOCKS)):
                batch = _joined(group)
                records += len(batch.records) + len(batch.faults)
                yield batch
            self._lines_are_records = stream.lines == records
            if stream.quotes % 2 and self._ends_in_quotes():
                raise InvalidArguments(self._unclosed(records))

    def _read(self, stream: ByteStream) -> Iterator[Batch]:
        import pyarrow.csv as pc

        faults: list[Fault] = []

        def on_invalid(row: pc.InvalidRow) -> str:
            if row.text.count('"') % 2 and "\n" in row.text:
                raise InvalidArguments(self._unclosed(row.number))
            reason = f"{row.actual_columns} cells instead of {row.expected_columns}"
            faults.append(Fault(row.number, "", reason, row.text.rstrip("\r\n")))
            return "skip"

        caught: list[InvalidArguments] = []

        def handler(row: pc.InvalidRow) -> str:
            try:  # an exception out of a handler is printed and lost
                return on_invalid(row)
            except InvalidArguments as error:
                caught.append(error)
                return "error"

        names = [str(i) for i in range(len(self.header))]
        try:
            reader = pc.open_csv(
                pa.PythonFile(stream, mode="r"),
                # one thread, for only then are bad rows numbered
                read_options=pc.ReadOptions(
                    block_size=_BLOCK, use_threads=False, column_names=names, skip_rows_after_names=1
                ),
                parse_options=pc.ParseOptions(
                    delimiter=self.delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=handler,
                ),
                convert_options=pc.ConvertOptions(
                    column_types={name: pa.binary() for name in names}, strings_can_be_null=False
                ),
            )
            start = 2
            for data in reader:
                end = start + data.num_rows
                now: list[Fault] = []
                for fault in faults:
                    if fault.record > end:
                        break
                    now.append(fault)
                    end += 1
                numbers = _numbers(start, data.num_rows, now)
                del faults[: len(now)]
                start = end
                yield Batch(pa.Table.from_batches([data]), numbers, tuple(now), stream.position)
            if faults:
                rest = pa.table({name: pa.array([], pa.binary()) for name in names})
                yield Batch(rest, np.empty(0, np.int64), tuple(faults), stream.position)
        except pa.ArrowInvalid as error:
            if caught:
                raise caught[0] from None
            raise InvalidArguments(self._unreadable(str(error))) from None

    def _decoded(self, batch: Batch) -> Batch:
        columns: list[pa.ChunkedArray] = []
        bad: dict[int, int] = {}
        for place, column in enumerate(batch.data.columns):
            try:
                columns.append(column.cast(pa.string()))
            except pa.ArrowInvalid:
                for row in _invalid(column):
                    bad.setdefault(row, place)
                columns.append(column)
        data = pa.table(columns, names=batch.data.column_names)
        faults = list(batch.faults)
        records = batch.records
        if bad:
            for row, place in bad.items():
                cells = [column[row].as_py() for column in columns]
                text = [cell.decode(errors="backslashreplace") if isinstance(cell, bytes) else cell for cell in cells]
                reason = f"no valid UTF-8: {text[place][:80]}"
                faults.append(Fault(int(records[row]), self.header[place], reason, self.text(text)))
            keep = np.ones(len(records), dtype=bool)
            keep[list(bad)] = False
            data = data.filter(pa.array(keep))
            data = pa.table([column.cast(pa.string()) for column in data.columns], names=data.column_names)
            records = records[keep]
        return Batch(data, records, tuple(sorted(faults, key=lambda fault: fault.record)), batch.position)

    def text(self, cells: list[str]) -> str:
        """A row as a line of this file, to be kept and, once put right, loaded again."""
        out = io.StringIO()
        csv.writer(out, delimiter=self.delimiter, lineterminator="").writerow(cells)
        return out.getvalue()

    def line_of(self, record: int) -> int:
        """The physical line on which a record starts. Reads the file again if cells hold line breaks."""
        if self._lines_are_records:
            return record
        if self._starts is None:
            _lift_field_limit()
            with open_bytes(self.path, self._dialect.encoding) as stream:
                lines = io.TextIOWrapper(io.BufferedReader(_Readable(stream)), errors="replace", newline="")
                starts = line_starts(lines, lambda taken: csv.reader(taken, delimiter=self.delimiter))
                enough = itertools.islice(starts, record) if self._lines_are_records is None else starts
                self._starts = array("q", enough)
            if self._lines_are_records is None:
                found, self._starts = self._starts, None
                return found[record - 1] if len(found) >= record else record
        return self._starts[record - 1] if record <= len(self._starts) else record

    def _ends_in_quotes(self) -> bool:
        """Whether the last cell's quotes are never closed: a reader takes the rest of the file for that cell."""
        _lift_field_limit()
        with open_bytes(self.path, self._dialect.encoding) as stream:
            lines = io.TextIOWrapper(io.BufferedReader(_Readable(stream)), errors="replace", newline="")
            try:
                for _ in csv.reader(lines, delimiter=self.delimiter, strict=True):
                    pass
            except csv.Error as error:
                return "unexpected end" in str(error)
        return False

    def _unclosed(self, record: int) -> str:
        return (
            f"{self.path}, line {self.line_of(record)}: a quoted cell that begins here never ends. "
            "Nothing can be read after it."
        )

    def _unreadable(self, message: str) -> str:
        if "straddling" in message:
            size = f"{_BLOCK >> 20} MiB"
            return f"{self.path} cannot be read as CSV: a row is longer than {size}, or a quoted cell never ends."
        return f"{self.path} cannot be read as CSV: {message}."


class _Readable(io.RawIOBase):
    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._left or self._stream.read(_HEAD)
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        self._left = data[size:]
        return size


def _joined(group: list[Batch]) -> Batch:
    faults = tuple(fault for batch in group for fault in batch.faults)
    data = pa.concat_tables([batch.data for batch in group])
    return Batch(data, np.concatenate([batch.records for batch in group]), faults, group[-1].position)


def _numbers(start: int, rows: int, faults: list[Fault]) -> Numbers:
    """Record numbers of `rows` good rows from `start`, leaving out those of the faults in between."""
    numbers = np.arange(start, start + rows, dtype=np.int64)
    for fault in faults:
        numbers[np.searchsorted(numbers, fault.record) :] += 1
    return numbers


def _invalid(column: pa.ChunkedArray) -> list[int]:
    found: list[int] = []
    for row, value in enumerate(column.to_pylist()):
        try:
            value.decode()
        except UnicodeDecodeError:
            found.append(row)
    return found


def _delimiter(text: str) -> str:
    line = text.splitlines()[0] if text.splitlines() else ""
    return "," if "," in line else max(_DELIMITERS, key=line.count)


def _lift_field_limit() -> None:
    csv.field_size_limit(sys.maxsize)
