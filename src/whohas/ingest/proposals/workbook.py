"""Read the rows of an XLSX workbook's largest sheet as text, for a proposal."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

from python_calamine import SheetTypeEnum

from whohas.errors import InvalidArguments
from whohas.ingest.proposals.arranged import Record
from whohas.ingest.readers.xlsx import open_workbook
from whohas.ingest.readers.xlsx_scan import check_workbook, scan_sheet


def read_largest_sheet(path: Path) -> tuple[str, list[str], list[Record]]:
    """Read the sheet with the most filled cells.

    Returns:
        The name of that sheet, the names of all sheets with filled cells, and the rows of that sheet.

    Raises:
        InvalidArguments: the file is not a workbook, or all its sheets are empty.
    """
    check_workbook(path)
    rows: list[Record] = []
    chosen, cells = "", dict[str, int]()
    with open_workbook(path) as book:
        names = [sheet.name for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        for name in names:
            scan_sheet(path, name)  # raises an error if the sheet is too large to be read into memory
            sheet = book.get_sheet_by_name(name)
            if sheet.start is None:
                continue
            found = [(number, [_text(cell) for cell in row]) for number, row in enumerate(sheet.iter_rows(), 1)]
            count = sum(1 for _, row in found for cell in row if cell)
            if count > max(cells.values(), default=0):
                chosen, rows = name, found
            if count:
                cells[name] = count
    if not cells:
        raise InvalidArguments(f"{path} is empty: none of its sheets has cells.")
    return chosen, list(cells), rows


def _text(cell: Any) -> str:
    """Return a cell's value as the text that a load gets."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else format(Decimal(repr(cell)), "f")
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ", "seconds")
    return str(cell)
