"""Converted rows of a table with their record numbers, and the errors of rejected rows and unreadable cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from whohas.ingest.convert import ConvertedBatch
from whohas.ingest.readers.batches import RecordNumbers, RowError
from whohas.warehouse.schema import Table


@dataclass(frozen=True, slots=True)
class TableRows:
    """Converted rows of a table, without rejected ones.

    Attributes:
        table: the table.
        data: the rows, in the table's schema.
        records: for each row the number of the record in its file.
    """

    table: Table
    data: pa.Table
    records: RecordNumbers


def good_rows(table: Table, typed: ConvertedBatch, records: RecordNumbers) -> TableRows:
    """Return the rows of a converted batch that are not rejected.

    Args:
        table: the table of the rows.
        typed: the converted batch.
        records: the record number of each row of the batch.
    """
    data = pa.table([typed.data[name] for name in table.schema.names], schema=table.schema)
    good = typed.error_numbers < 0
    if good.all():
        return TableRows(table, data, records)
    return TableRows(table, data.filter(pa.array(good)), records[good])


def row_errors(
    typed: ConvertedBatch,
    records: RecordNumbers,
    column_of: Callable[[str], str],
    value_of: Callable[[int, str], str],
    row_of: Callable[[int], str],
) -> list[RowError]:
    """Return the errors of a converted batch: rejected rows, then unreadable cells and list items of the other rows.

    Args:
        typed: the converted batch.
        records: the record number of each row of the batch.
        column_of: returns the file's name for a column of the table.
        value_of: returns the text of a cell, by index of the row and column of the table; empty if the file lacks it.
        row_of: returns a row as text, by its index.
    """

    def source_of(place: int) -> str:
        return typed.data["sourceId"][place].as_py() or "" if "sourceId" in typed.data else ""

    found: list[RowError] = []
    for place in np.flatnonzero(typed.error_numbers >= 0).tolist():
        column, reason = typed.reasons[typed.error_numbers[place]]
        value = value_of(place, column)
        shown = _shown(value, reason) if value else reason
        found.append(RowError(int(records[place]), column_of(column), shown, row_of(place), source_of(place)))
    for cells in typed.unreadable:
        for place in cells.places[typed.error_numbers[cells.places] < 0].tolist():
            value = value_of(place, cells.column)
            shown = _shown(value, cells.reason)
            name = column_of(cells.column)
            found.append(RowError(int(records[place]), name, shown, row_of(place), source_of(place), value))
    for cell in typed.nested_errors:
        place = cell.row
        if typed.error_numbers[place] < 0:
            name = column_of(cell.column)
            where, row, source = f"{name}{cell.path}", row_of(place), source_of(place)
            found.append(RowError(int(records[place]), where, cell.reason, row, source, cell.value, name))
    return found


def _shown(value: str, reason: str) -> str:
    return f"{value[:60]!r} is {reason}"
