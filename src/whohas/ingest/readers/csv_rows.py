"""Steps that clean up the batches of a CSV file.

They insert rows with an unusual number of cells, unwrap Excel's text formulas, and drop repeated headers, blank rows
and the footer.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whohas.ingest.readers.batches import RowBatch, RowError
from whohas.ingest.readers.csv_head import unwrap_text_formula
from whohas.ingest.readers.csv_stream import CsvDialect, CsvStream
from whohas.ingest.readers.streams import ByteStream
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
    """Return the positions of rows whose cell is empty or begins with whitespace or a control character."""
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
