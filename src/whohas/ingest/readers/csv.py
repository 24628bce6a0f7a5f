"""Read CSV files as batches of text columns, with constant memory and with the record number of each row.

`csv_stream` reads the header and prepares the bytes, pyarrow parses them, and then each batch is cleaned up: rows with
an unusual number of cells are inserted, Excel's text formulas are unwrapped, and repeated headers, blank rows and the
footer are dropped.
"""

from __future__ import annotations

import csv
import io
import itertools
from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whohas.errors import InvalidArguments
from whohas.ingest.readers.batches import ByteStream, RecordNumbers, RowBatch, RowError, record_start_lines
from whohas.ingest.readers.csv_stream import (
    MAX_ROW_BYTES,
    UNDECODABLE_PATTERN,
    CsvDialect,
    CsvStream,
    encoding_hint,
    open_csv,
    original_bytes,
    read_head,
    text_lines,
    unwrap_text_formula,
)
from whohas.ingest.readers.footers import FooterDetector, footer_note
from whohas.plurals import pluralize
from whohas.warehouse.arrow import as_array, pc

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class IrregularRow:
    """A row whose number of cells differs from the number of columns.

    Attributes:
        record: the record's number.
        cells: its cells, padded or cut, if that loses no data; empty for a blank row; None if the row is rejected.
        fault: the error, if the row is rejected.
        too_short: whether it has too few cells.
    """

    record: int
    cells: list[str] | None
    fault: RowError | None
    too_short: bool = False


class RowsSeen(Protocol):
    """Counters that the steps increase: repeated headers, and cells written as text formulas."""

    headers: int
    formulas: int


def has_unclosed_quote(text: str, delimiter: str) -> bool:
    """Return whether the text of a row ends within quotes that are never closed."""
    data = io.BytesIO(text.encode(errors="surrogateescape"))
    stream = CsvStream(ByteStream(Path(), data, data, None), delimiter, CsvDialect())
    while stream.read():
        pass
    return stream.quoted


def insert_irregular_rows(batch: RowBatch, odd: list[IrregularRow]) -> RowBatch:
    """Return a batch with the accepted odd rows inserted in the file's order, and the others as errors."""
    if not odd:
        return batch
    faults = tuple(row.fault for row in odd if row.fault is not None)
    accepted = [row for row in odd if row.cells]
    if not accepted:
        return replace(batch, row_errors=faults)
    columns = zip(*(row.cells for row in accepted if row.cells), strict=True)
    added = [pa.array([cell.encode(errors="surrogateescape") for cell in cells], pa.binary()) for cells in columns]
    records = np.concatenate([batch.record_numbers, np.array([row.record for row in accepted], dtype=np.int64)])
    order = np.argsort(records, kind="stable")
    data = pa.concat_tables([batch.data, pa.table(added, names=batch.data.column_names)])
    return RowBatch(data.take(pa.array(order)).combine_chunks(), records[order], faults, batch.bytes_read)


def cast_to_text(batch: RowBatch) -> RowBatch:
    """Return a batch of bytes as text, without checking that they are UTF-8, as `CsvStream` has done that."""
    options = pc.CastOptions(target_type=pa.string(), allow_invalid_utf8=True)
    columns = [pc.cast(column, options=options) for column in batch.data.columns]
    return replace(batch, data=pa.table(columns, names=batch.data.column_names))


def unwrap_text_formulas(batch: RowBatch, seen: RowsSeen) -> RowBatch:
    """Return a batch in which cells of the form `="0001"` are replaced by `0001`."""
    columns: list[pa.ChunkedArray] = []
    for column in batch.data.columns:
        found = pc.starts_with(column, '="')
        if pc.any(found).as_py():
            texts: list[str] = column.filter(found).to_pylist()
            plains = [unwrap_text_formula(text) for text in texts]
            seen.formulas += sum(a != b for a, b in zip(texts, plains, strict=True))
            columns.append(pc.replace_with_mask(as_array(column), as_array(found), pa.array(plains, pa.string())))
        else:
            columns.append(column)
    return replace(batch, data=pa.table(columns, names=batch.data.column_names))


def drop_repeated_headers(batch: RowBatch, header: list[str], joined: bool, seen: RowsSeen) -> RowBatch:
    """Return a batch without rows that repeat the header, as in files that were concatenated.

    Args:
        joined: whether byte order marks show that the file was concatenated. Otherwise a file with a single column
            keeps such rows, as the name may be a value.
    """
    if len(header) < 2 and not joined:
        return batch
    repeated: npt.NDArray[np.int64] = np.empty(0, np.int64)
    for position, name in enumerate(header):
        column = batch.data.column(position)
        if position:
            column = column.take(pa.array(repeated))
        same = pc.equal(column, name).to_numpy()
        repeated = repeated[same] if position else np.flatnonzero(same)
        if not len(repeated):
            return batch
    seen.headers += len(repeated)
    return drop_rows(batch, repeated)


def drop_blank_rows(batch: RowBatch) -> RowBatch:
    """Return a batch without rows whose cells are all empty or blank."""
    if not batch.data.num_rows:
        return batch
    blank = _perhaps_blank(as_array(batch.data.column(0)))
    for column in batch.data.columns:
        if not len(blank):
            return batch
        cells = pc.ascii_trim_whitespace(column.take(pa.array(blank)))
        blank = blank[pc.equal(cells, "").to_numpy()]
    return drop_rows(batch, blank) if len(blank) else batch


def drop_last_records(batches: Iterator[RowBatch], count: int) -> Iterator[RowBatch]:
    """Yield the batches without the last `count` records, whether these are rows or errors.

    As many batches are held back as are needed to know that a record is not among the last.
    """
    waiting: list[RowBatch] = []
    for batch in batches:
        waiting.append(batch)
        while sum(_size(later) for later in waiting[1:]) >= count:
            yield waiting.pop(0)
    numbers = [np.concatenate([b.record_numbers, [fault.record_number for fault in b.row_errors]]) for b in waiting]
    last = np.unique(np.concatenate(numbers))[-count:] if numbers else np.empty(0)
    for batch in waiting:
        dropped = np.flatnonzero(np.isin(batch.record_numbers, last))
        faults = tuple(fault for fault in batch.row_errors if fault.record_number not in last)
        yield replace(drop_rows(batch, dropped), row_errors=faults)


def _size(batch: RowBatch) -> int:
    """Return the number of records of a batch, rejected rows included."""
    return len(batch.record_numbers) + sum(fault.cell_text is None for fault in batch.row_errors)


def _perhaps_blank(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the positions of rows whose cell is empty or begins with an ASCII space or control character."""
    _, ends, text = column.buffers()
    offsets = np.frombuffer(ends, np.int32)[column.offset : column.offset + len(column) + 1]
    empty = offsets[:-1] == offsets[1:]
    if text is None or not len(text):
        return np.flatnonzero(empty)
    first = np.frombuffer(text, np.uint8)[np.minimum(offsets[:-1], len(text) - 1)]
    return np.flatnonzero(empty | (first <= ord(" ")))


def drop_rows(batch: RowBatch, rows: npt.NDArray[np.int64]) -> RowBatch:
    """Return a batch without the rows at some positions."""
    keep = np.ones(len(batch.record_numbers), dtype=bool)
    keep[rows] = False
    return replace(batch, data=batch.data.filter(pa.array(keep)), record_numbers=batch.record_numbers[keep])


_BLOCK = MAX_ROW_BYTES
"""Bytes per read, which is also the length of the longest row; small enough for the processor's cache."""

_BLOCKS = 2
"""How many blocks make one batch."""


class CsvReader:
    """A reader of one CSV file.

    Records are numbered from 1. Lines before the header count as one record each, and so does the header. A record may
    span several lines if a quoted cell has line breaks; `line_of` converts numbers of records to lines.

    Attributes:
        header: the names of the columns, without columns that have no name.
        delimiter: the character between cells.

    Args:
        dialect: the settings of the table [csv] of a mapping.
        needed: columns that the file must have.
        known: columns that it may have; the needed and the known ones help to detect the delimiter.

    Raises:
        InvalidArguments: the file is empty, or its header is missing or repeats a name.
    """

    def __init__(
        self, path: Path, dialect: CsvDialect, needed: Collection[str] = (), known: Collection[str] = ()
    ) -> None:
        self.path = path
        self._dialect = dialect
        self._lines_are_records: bool | None = None
        self._may_have_lone_returns = False
        self._starts: array[int] | None = None
        self._head = read_head(path, dialect, needed, known)
        self._width = len(self._head.names) + self._head.extra_cells
        self._named_columns = [place for place, name in enumerate(self._head.names) if name]
        self.delimiter = self._head.delimiter
        self.header = [name for name in self._head.names if name]
        self._seen = _FileSeen(FooterDetector(self.format_row, "[csv] footer"))

    def read_batches(self) -> Iterator[RowBatch]:
        """Yield the rows as columns of text; rows without any value are skipped.

        Raises:
            InvalidArguments: the file cannot be parsed as CSV.
        """
        self._seen = seen = _FileSeen(FooterDetector(self.format_row, "[csv] footer"))
        with open_csv(self.path, self._dialect, self._head) as stream:
            stream.discard(self._head.header_bytes)
            blocks = (self._cleaned(block, stream, seen) for block in self._read(stream, seen))
            kept = drop_last_records(blocks, self._dialect.footer_records) if self._dialect.footer_records else blocks
            if self._dialect.footer_records is None:
                kept = seen.footer.reject_footer(kept)
            while group := list(itertools.islice(kept, _BLOCKS)):
                yield _concatenated(group)
            self._lines_are_records = stream.lines == seen.records
            self._may_have_lone_returns = stream.has_quotes_and_returns
            if stream.quoted:
                raise InvalidArguments(self._unclosed_quote_message(seen.records))
            seen.stream = stream

    def notes(self) -> list[str]:
        """Return observations of the last reading that are not errors of single rows, for the report of the load."""
        found: list[str] = []
        seen, name = self._seen, self.path.name
        for place, count in sorted(seen.nameless.items()):
            found.append(
                f"{name}: column {place + 1} has no name in the header and was passed over with "
                f"{pluralize(count, 'value')}. Name it in the header to load it."
            )
        if seen.headers:
            found.append(f"{name}: the header stands again in {pluralize(seen.headers, 'later row')}, passed over.")
        if seen.formulas:
            found.append(
                f'{name}: {pluralize(seen.formulas, "cell")} written as ="…" for Excel: read as the text within.'
            )
        if seen.footer.rows:
            found.append(footer_note(name, "line", seen.footer.rows, "[csv] footer"))
        elif seen.short and seen.short == seen.records - seen.good and not self._dialect.footer_records:
            lines = seen.records - seen.good
            found.append(
                f"{name}: the last {'line has' if lines == 1 else f'{lines} lines have'} fewer cells than the header. "
                f"If that is a footer, set [csv] footer = {lines} in the mapping."
            )
        if seen.stream is None:
            return found
        if seen.stream.stray.count:
            hint = (
                "" if self._dialect.escape else ' If a backslash escapes quotes in this file, set csv.escape = "\\\\".'
            )
            found.append(
                f"{name}, line {seen.stream.stray.first}: a quote ends before its cell does "
                f"({pluralize(seen.stream.stray.count, 'cell')} like this); "
                f"the cell was read up to the next delimiter.{hint}"
            )
        if seen.stream.marks.count:
            found.append(
                f"{name}, line {seen.stream.marks.first}: a byte order mark inside the file was passed over "
                f"({seen.stream.marks.count} in all)."
            )
        if seen.stream.nulls.count:
            found.append(
                f"{name}, line {seen.stream.nulls.first}: the file holds NUL bytes ({seen.stream.nulls.count}), "
                "kept in their cells."
            )
        return found

    def _read(self, stream: CsvStream, seen: _FileSeen) -> Iterator[RowBatch]:
        import pyarrow.csv as reading

        header_record = self._head.preamble_lines + 1
        seen.records = seen.good = header_record
        if stream.at_end(_BLOCK):
            return
        odd: list[IrregularRow] = []
        errors: list[InvalidArguments] = []

        def handler(row: reading.InvalidRow) -> str:
            try:  # pyarrow prints and discards an exception of a handler
                number = header_record + row.number
                text = row.text
                if '"' in text and "\n" in text and has_unclosed_quote(text, self.delimiter):
                    raise InvalidArguments(self._unclosed_quote_message(number))
                odd.append(self._classify(number, text))
                return "skip"
            except InvalidArguments as error:
                errors.append(error)
                return "error"

        names = [str(i) for i in range(self._width)]
        try:
            reader = reading.open_csv(
                pa.PythonFile(stream, mode="r"),
                # pyarrow numbers invalid rows only with a single thread
                read_options=reading.ReadOptions(block_size=_BLOCK, use_threads=False, column_names=names),
                parse_options=reading.ParseOptions(
                    delimiter=self.delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=handler,
                ),
                convert_options=reading.ConvertOptions(
                    column_types={name: pa.binary() for name in names}, strings_can_be_null=False
                ),
            )
            for data in reader:
                start, end = seen.records + 1, seen.records + data.num_rows
                odd_in_batch: list[IrregularRow] = []
                for row in odd:
                    if row.record > end + 1:  # belongs to a later batch
                        break
                    odd_in_batch.append(row)
                    end += 1
                del odd[: len(odd_in_batch)]
                numbers = _record_numbers(start, data.num_rows, odd_in_batch)
                seen.follow(numbers, end, odd_in_batch)
                yield insert_irregular_rows(
                    RowBatch(pa.Table.from_batches([data]), numbers, (), stream.position), odd_in_batch
                )
            if odd:
                seen.follow(np.empty(0, np.int64), seen.records + len(odd), odd)
                rest = pa.table({name: pa.array([], pa.binary()) for name in names})
                yield insert_irregular_rows(RowBatch(rest, np.empty(0, np.int64), (), stream.position), odd)
        except pa.ArrowInvalid as error:
            if errors:
                raise errors[0] from None
            raise InvalidArguments(self._unreadable_message(str(error))) from None

    def _classify(self, record: int, text: str) -> IrregularRow:
        """Return a row whose number of cells differs from the header's as an `IrregularRow`, accepted or rejected.

        A blank row is accepted, with no cells. Another row is accepted if that loses no data: surplus cells are blank,
        and missing cells are allowed (`[csv] short`) or belong to columns without a name.

        Args:
            record: the number of the record, from 1.
            text: the row as it stands in the file.
        """
        if not text.strip():
            return IrregularRow(record, [], None)
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter), [])
        names, width = self._head.names, self._width
        if not any(map(str.strip, cells[width:])) and (self._dialect.allow_short_rows or not any(names[len(cells) :])):
            return IrregularRow(record, [*cells, *[""] * (width - len(cells))][:width], None)
        reason = f"{pluralize(len(cells), 'cell')} instead of {len(names)}"
        shown = original_bytes(text).decode(errors="backslashreplace")
        return IrregularRow(record, None, RowError(record, "", reason, shown.rstrip("\r\n")), len(cells) < len(names))

    def _cleaned(self, batch: RowBatch, stream: CsvStream, seen: _FileSeen) -> RowBatch:
        data = batch.data
        if len(self._named_columns) < self._width:
            for place in set(range(self._width)).difference(self._named_columns):
                count = pc.sum(pc.greater(pc.binary_length(data.column(place)), 0)).as_py() or 0
                if count:
                    seen.nameless[place] += count
            data = data.select(self._named_columns)
        data = data.rename_columns([str(i) for i in range(len(self._named_columns))])
        batch = RowBatch(data, batch.record_numbers, batch.row_errors, batch.bytes_read)
        batch = cast_to_text(batch) if stream.valid else self._with_valid_text(cast_to_text(batch))
        if stream.formulas:
            batch = unwrap_text_formulas(batch, seen)
        return drop_blank_rows(drop_repeated_headers(batch, self.header, bool(stream.marks.count), seen))

    def _with_valid_text(self, batch: RowBatch) -> RowBatch:
        """Replace cells that are not valid UTF-8 by empty text, and add an error for each of them.

        A row that has nothing else is rejected.
        """
        invalid = [pc.match_substring_regex(column, UNDECODABLE_PATTERN).to_numpy() for column in batch.data.columns]
        rows = np.flatnonzero(np.logical_or.reduce(invalid))
        if not len(rows):
            return batch
        faults = list(batch.row_errors)
        rejected: list[int] = []
        for row in rows.tolist():
            cells = [original_bytes(column[row].as_py()) for column in batch.data.columns]
            text = [cell.decode(errors="backslashreplace") for cell in cells]
            invalid_columns = [number for number in range(len(cells)) if invalid[number][row]]
            nothing_else = not any(cell.strip() for number, cell in enumerate(cells) if number not in invalid_columns)
            if nothing_else:
                rejected.append(row)
            for number in invalid_columns[:1] if nothing_else else invalid_columns:
                reason = f"no valid UTF-8: {text[number][:80]}. {encoding_hint(cells[number])}"
                value = None if nothing_else else text[number]
                record = int(batch.record_numbers[row])
                faults.append(RowError(record, self.header[number], reason, self.format_row(text), cell_text=value))
        faults.sort(key=lambda fault: fault.record_number)
        columns = [
            pc.if_else(pa.array(invalid[number]), pa.scalar("", pa.string()), column)
            for number, column in enumerate(batch.data.columns)
        ]
        data = pa.table(columns, names=batch.data.column_names)
        return drop_rows(replace(batch, data=data, row_errors=tuple(faults)), np.array(rejected, dtype=np.int64))

    def format_row(self, cells: list[str]) -> str:
        """Return a row as a line in the file's dialect, so that rejected rows can be corrected and loaded again."""
        row = [""] * len(self._head.names)
        for position, cell in zip(self._named_columns, cells, strict=True):
            row[position] = cell
        out = io.StringIO()
        escape = self._dialect.escape
        written = csv.writer(
            out, delimiter=self.delimiter, lineterminator="", escapechar=escape, doublequote=escape is None
        )
        written.writerow(row)
        return out.getvalue()

    def line_of(self, record: int) -> int:
        """Return the physical line on which a record starts.

        Reads the file again if cells contain line breaks, because record numbers and line numbers then differ.
        """
        if self._may_have_lone_returns and self._lines_are_records:
            self._lines_are_records = not self._has_lone_returns()
            self._may_have_lone_returns = False
        if self._lines_are_records or record <= self._head.preamble_lines:
            return record
        place = record - self._head.preamble_lines
        if self._starts is None:
            with open_csv(self.path, self._dialect, self._head) as stream:
                starts = record_start_lines(
                    text_lines(stream), lambda taken: csv.reader(taken, delimiter=self.delimiter)
                )
                enough = itertools.islice(starts, place) if self._lines_are_records is None else starts
                found = array("q", enough)
            if self._lines_are_records is not None:
                self._starts = found
        else:
            found = self._starts
        return self._head.preamble_lines + (found[place - 1] if place <= len(found) else place)

    def _has_lone_returns(self) -> bool:
        """Return whether some lines end in a carriage return alone; the stream counts line feeds only."""
        with open_csv(self.path, self._dialect, self._head) as stream:
            last = b""
            while data := stream.read(_BLOCK):
                data = last + data
                if data.count(b"\r") - data.endswith(b"\r") != data.count(b"\r\n"):
                    return True
                last = b"\r" if data.endswith(b"\r") else b""
        return bool(last)

    def _unclosed_quote_message(self, record: int) -> str:
        return (
            f"{self.path}, line {self.line_of(record)}: a quoted cell that begins here never ends. "
            "Nothing can be read after it. Close the quote."
        )

    def _unreadable_message(self, message: str) -> str:
        if "straddling" in message:
            size = f"{_BLOCK >> 20} MiB"
            return (
                f"{self.path} cannot be read as CSV: a row is longer than {size}, or a quoted cell never ends. Look "
                "for a quote without a second one."
            )
        return f"{self.path} cannot be read as CSV: {message.rstrip('.')}. Export it again."


class _FileSeen:
    """Counts and observations of one reading of a file.

    Attributes:
        footer: detects footer rows at the end.
        records: the number of the last record.
        good: the number of the last record that has all cells.
        short: how many records after `good` have too few cells.
        nameless: by position of a column without a name, how many values it has.
        headers: how many later rows repeat the header.
        formulas: how many cells were written as `="…"`.
        stream: the stream, once the file was read to its end.
    """

    def __init__(self, footer: FooterDetector) -> None:
        self.footer = footer
        self.records = 0
        self.good = 0
        self.short = 0
        self.nameless: Counter[int] = Counter()
        self.headers = 0
        self.formulas = 0
        self.stream: CsvStream | None = None

    def follow(self, numbers: RecordNumbers, last: int, odd: list[IrregularRow]) -> None:
        """Update the counts up to the record `last`.

        Args:
            numbers: the numbers of the records that pyarrow parsed.
            odd: the records since the last call whose number of cells differs from that of the header.
        """
        self.records = last
        good = max((row.record for row in odd if row.cells), default=0)
        good = max(good, int(numbers[-1]) if len(numbers) else 0)
        if good:
            self.good, self.short = good, 0
        self.short += sum(row.too_short for row in odd if row.record > self.good)


def _concatenated(group: list[RowBatch]) -> RowBatch:
    faults = tuple(fault for batch in group for fault in batch.row_errors)
    data = pa.concat_tables([batch.data for batch in group])
    return RowBatch(data, np.concatenate([batch.record_numbers for batch in group]), faults, group[-1].bytes_read)


def _record_numbers(start: int, rows: int, odd: list[IrregularRow]) -> RecordNumbers:
    """Return the record numbers of `rows` parsed rows from `start` on, without the numbers of odd rows between them.

    `_record_numbers(5, 3, [odd row 6])` gives 5, 7, 8.
    """
    numbers = np.arange(start, start + rows, dtype=np.int64)
    for row in odd:
        numbers[np.searchsorted(numbers, row.record) :] += 1
    return numbers
