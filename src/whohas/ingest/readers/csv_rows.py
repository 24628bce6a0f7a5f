"""Steps that batches of a CSV file go through: rows with odd numbers of cells, and rows and cells that are none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whohas.ingest.readers.batches import Batch, Fault
from whohas.ingest.readers.csv_head import plain
from whohas.ingest.readers.csv_stream import CsvStream, Dialect
from whohas.ingest.readers.streams import ByteStream
from whohas.warehouse.arrow import one, pc

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row with another number of cells than its file has columns.

    Attributes:
        cells: its cells, if nothing is lost by taking it; none if it holds only blanks.
        fault: what is wrong with it otherwise.
        short: whether it has too few cells.
    """

    record: int
    cells: list[str] | None
    fault: Fault | None
    short: bool = False


class Seen(Protocol):
    """Counts that the steps add to."""

    headers: int
    formulas: int


def ends_in_quotes(text: str, delimiter: str) -> bool:
    """Whether the last cell's quotes are never closed."""
    data = io.BytesIO(text.encode(errors="surrogateescape"))
    stream = CsvStream(ByteStream(Path(), data, data, None), delimiter, Dialect())
    while stream.read():
        pass
    return stream.quoted


def with_odd(batch: Batch, odd: list[OddRow]) -> Batch:
    """A batch with the odd rows that were read together with it, in the file's order."""
    if not odd:
        return batch
    faults = tuple(row.fault for row in odd if row.fault is not None)
    taken = [row for row in odd if row.cells]
    if not taken:
        return replace(batch, faults=faults)
    columns = zip(*(row.cells for row in taken if row.cells), strict=True)
    added = [pa.array([cell.encode(errors="surrogateescape") for cell in cells], pa.binary()) for cells in columns]
    records = np.concatenate([batch.records, np.array([row.record for row in taken], dtype=np.int64)])
    order = np.argsort(records, kind="stable")
    data = pa.concat_tables([batch.data, pa.table(added, names=batch.data.column_names)])
    return Batch(data.take(pa.array(order)).combine_chunks(), records[order], faults, batch.position)


def as_text(batch: Batch) -> Batch:
    """A batch of bytes, which are known to be UTF-8, as text."""
    options = pc.CastOptions(target_type=pa.string(), allow_invalid_utf8=True)
    columns = [pc.cast(column, options=options) for column in batch.data.columns]
    return replace(batch, data=pa.table(columns, names=batch.data.column_names))


def without_formulas(batch: Batch, seen: Seen) -> Batch:
    """A batch whose cells of the form ="text" are that text."""
    columns: list[pa.ChunkedArray] = []
    for column in batch.data.columns:
        found = pc.starts_with(column, '="')
        if pc.any(found).as_py():
            texts: list[str] = column.filter(found).to_pylist()
            plains = [plain(text) for text in texts]
            seen.formulas += sum(a != b for a, b in zip(texts, plains, strict=True))
            columns.append(pc.replace_with_mask(one(column), one(found), pa.array(plains, pa.string())))
        else:
            columns.append(column)
    return replace(batch, data=pa.table(columns, names=batch.data.column_names))


def without_headers(batch: Batch, header: list[str], joined: bool, seen: Seen) -> Batch:
    """A batch without rows that repeat the header, as files have that were put together of several.

    Args:
        joined: whether marks show that the file was put together; else a single column's name may be a value.
    """
    if len(header) < 2 and not joined:
        return batch
    again: npt.NDArray[np.int64] = np.empty(0, np.int64)
    for place, name in enumerate(header):
        column = batch.data.column(place)
        if place:
            column = column.take(pa.array(again))
        same = pc.equal(column, name).to_numpy()
        again = again[same] if place else np.flatnonzero(same)
        if not len(again):
            return batch
    seen.headers += len(again)
    return without(batch, again)


def without_blanks(batch: Batch) -> Batch:
    """A batch without rows whose cells are all empty or blank."""
    if not batch.data.num_rows:
        return batch
    blank = _perhaps_blank(one(batch.data.column(0)))
    for column in batch.data.columns:
        if not len(blank):
            return batch
        cells = pc.ascii_trim_whitespace(column.take(pa.array(blank)))
        blank = blank[pc.equal(cells, "").to_numpy()]
    return without(batch, blank) if len(blank) else batch


def without_last(batches: Iterator[Batch], count: int) -> Iterator[Batch]:
    """The batches without their last records, whether these are rows or faults."""
    held: list[Batch] = []
    for batch in batches:
        held.append(batch)
        while sum(_size(later) for later in held[1:]) >= count:
            yield held.pop(0)
    numbers = [np.concatenate([b.records, [fault.record for fault in b.faults]]) for b in held]
    last = np.unique(np.concatenate(numbers))[-count:] if numbers else np.empty(0)
    for batch in held:
        gone = np.flatnonzero(np.isin(batch.records, last))
        faults = tuple(fault for fault in batch.faults if fault.record not in last)
        yield replace(without(batch, gone), faults=faults)


def _size(batch: Batch) -> int:
    return len(batch.records) + sum(fault.value is None for fault in batch.faults)


def _perhaps_blank(column: pa.Array) -> npt.NDArray[np.int64]:
    """Rows whose cell is empty or begins with a blank."""
    _, ends, text = column.buffers()
    offsets = np.frombuffer(ends, np.int32)[column.offset : column.offset + len(column) + 1]
    empty = offsets[:-1] == offsets[1:]
    if text is None or not len(text):
        return np.flatnonzero(empty)
    first = np.frombuffer(text, np.uint8)[np.minimum(offsets[:-1], len(text) - 1)]
    return np.flatnonzero(empty | (first <= ord(" ")))


def without(batch: Batch, rows: npt.NDArray[np.int64]) -> Batch:
    """A batch without some rows, by their places."""
    keep = np.ones(len(batch.records), dtype=bool)
    keep[rows] = False
    return replace(batch, data=batch.data.filter(pa.array(keep)), records=batch.records[keep])
