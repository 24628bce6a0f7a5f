"""Sheets of XLSX workbooks as batches of text columns, like CSV files."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections import Counter
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

from whohas.errors import InvalidArguments
from whohas.ingest.mapping import SheetOptions, near
from whohas.ingest.readers.batches import Batch, Fault
from whohas.ingest.readers.footers import Footer, footer_note
from whohas.ingest.readers.xlsx_scan import SheetScan, check_workbook, scan
from whohas.plurals import counted

_ROWS = 20_000
_EXACT = 10**15
"""From here on a workbook does not keep each digit of a number."""

_SEARCHED = 200
"""Rows in which a header is looked for."""

Row = list[Any]


class XlsxFile:
    """One sheet of a workbook. Records are its rows, from 1.

    Cells become text: a date is 2024-01-31, a date with a time 2024-01-31 07:30:00, a time 07:30:00, a duration
    30:00:00, a number has neither an exponent nor .0 and keeps the
    zeros of a format such as 0000, a boolean is true or false.

    Attributes:
        header: the columns' names; columns without one are left out.

    Args:
        needed: columns that the sheet has to have.
        known: columns that it may have.

    Raises:
        InvalidArguments: it is no workbook, has no such sheet or several with cells, or has no header.
    """

    def __init__(
        self, path: Path, options: SheetOptions, needed: Collection[str] = (), known: Collection[str] = ()
    ) -> None:
        self.path = path
        self._options = options
        self._sheet: CalamineSheet | None = None
        check_workbook(path)
        self.sheet, self._scan, self._hidden = _choose(path, options.name)
        self._top, names = self._read_header(needed, known)
        self._names = names
        self._named = [place for place, name in enumerate(names) if name]
        self.header = [name for name in names if name]
        self._nameless: Counter[int] = Counter()
        self._long = 0
        self._merged: list[str] = []
        self._footer = Footer(self.text, "[xlsx] footer")

    def _read_header(self, needed: Collection[str], known: Collection[str]) -> tuple[int, list[str]]:
        top, names = 0, list[str]()
        where = f"{self.path}, sheet {self.sheet!r}"
        for number, row in self._rows():
            texts = [_text(cell).strip() and _text(cell) for cell in row]
            if number <= self._options.skip or not any(texts):
                continue
            if not names:
                top, names = number, texts
                if set(needed) <= set(names) and (needed or not known or set(names) & set(known)):
                    break
            elif set(needed) <= set(texts) if needed else len(set(texts) & set(known)) > 1:
                raise InvalidArguments(
                    f"{where}: the header is row {number}, and rows before it are no data. Set [xlsx] skip = "
                    f"{number - 1} in a mapping."
                )
            if number > top + _SEARCHED:
                break
        if not names:
            raise InvalidArguments(f"{where} has no header: it has no cells behind row {self._options.skip}.")
        repeated = sorted(name for name, count in Counter(filter(None, names)).items() if count > 1)
        if repeated:
            raise InvalidArguments(f"{where}: the header names {', '.join(map(repr, repeated))} more than once.")
        return top, names

    def batches(self) -> Iterator[Batch]:
        """The rows, column by column as text; rows without any value are passed over."""
        self._footer = Footer(self.text, "[xlsx] footer")
        yield from self._batches() if self._options.footer is not None else self._footer.without(self._batches())

    def _batches(self) -> Iterator[Batch]:
        self._nameless.clear()
        self._long = 0
        self._merged = []
        last = self._last_row() if self._options.footer else None
        rows: list[Row] = []
        numbers: list[int] = []
        size = self.path.stat().st_size
        for number, row in self._rows(filled=True):
            if number <= self._top or not any(cell != "" for cell in row):
                continue
            if last is not None and number > last:
                break
            rows.append(row)
            numbers.append(number)
            if len(rows) == _ROWS:
                yield self._batch(rows, numbers, size * number // max(self._scan.rows, 1))
                rows, numbers = [], []
        if rows:
            yield self._batch(rows, numbers, size)

    def notes(self) -> list[str]:
        """What was seen in the last reading that is no fault of a row, for the report of the load."""
        where = f"{self.path.name}, sheet {self.sheet!r}"
        found: list[str] = []
        if self._hidden:
            found.append(f"{where}: the sheet is hidden, and was loaded.")
        hidden = [row for row in self._scan.hidden if row > self._top]
        if hidden:
            found.append(f"{where}: {_some(hidden, 'hidden row')}, loaded as the others.")
        if self._scan.unvalued:
            found.append(
                f"{where}: {_some(self._scan.unvalued, 'formula')} without a stored value, which is empty. "
                "Open and save the workbook once in a spreadsheet program."
            )
        if self._footer.rows:
            found.append(footer_note(where, "row", self._footer.rows, "[xlsx] footer"))
        if self._long:
            found.append(
                f"{where}: {counted(self._long, 'number')} of 16 or more digits, of which a workbook does not keep the "
                "last ones. Format such columns as text before they are filled."
            )
        if self._merged:
            found.append(
                f"{where}: {_some(self._merged, 'merged range')}. A value counts for each row of its range, in the "
                "range's first column."
            )
        for place, count in sorted(self._nameless.items()):
            found.append(
                f"{where}: column {_letters(place)} has no name in the header and was passed over with "
                f"{counted(count, 'value')}. Name it in the header to load it."
            )
        return found

    def text(self, cells: list[str]) -> str:
        """A row as a line of CSV, to be kept."""
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(cells)
        return out.getvalue()

    def _rows(self, filled: bool = False) -> Iterator[tuple[int, Row]]:
        """The sheet's rows with their numbers.

        Args:
            filled: whether the value of cells that are merged over several rows stands in each. The sheet, which is
                in memory as a whole, is given up with this reading.
        """
        sheet = self._sheet or _open(self.path, self.sheet, self._scan.errors)
        self._sheet = None if filled else sheet
        if sheet.start is None:
            return
        merged = sorted(sheet.merged_cell_ranges or ()) if filled else []
        yield from enumerate(sheet.iter_rows(), 1) if not merged else self._filled(sheet.iter_rows(), merged)

    def _filled(
        self, rows: Iterator[Row], merged: list[tuple[tuple[int, int], tuple[int, int]]]
    ) -> Iterator[tuple[int, Row]]:
        starting = iter(merged)
        following = next(starting, None)
        open_ranges: list[tuple[int, int, Any]] = []  # last row, column, value
        for place, row in enumerate(rows):
            open_ranges = [item for item in open_ranges if item[0] >= place]
            if any(cell != "" for cell in row):
                for _, column, value in open_ranges:
                    if row[column] == "":
                        row[column] = value
            while following is not None and following[0][0] <= place:
                (top, left), (bottom, right) = following
                following = next(starting, None)
                if top + 1 > self._top and left < len(row):
                    self._merged.append(f"{_letters(left)}{top + 1}:{_letters(right)}{bottom + 1}")
                    if bottom > top and row[left] != "":
                        open_ranges.append((bottom, left, row[left]))
            yield place + 1, row

    def _last_row(self) -> int:
        """The number of the last row that is no footer."""
        filled = [number for number, row in self._rows() if number > self._top and any(cell != "" for cell in row)]
        kept = filled[: -(self._options.footer or 0)]
        return kept[-1] if kept else self._top

    def _batch(self, rows: list[Row], numbers: list[int], position: int) -> Batch:
        columns = list(zip(*rows, strict=True))
        for place, cells in enumerate(columns):
            if place >= len(self._names) or not self._names[place]:
                count = sum(cell != "" for cell in cells)
                if count:
                    self._nameless[place] += count
        data = [
            pa.array(self._padded(self._texts(columns[place]), place, numbers), pa.string()) for place in self._named
        ]
        table = pa.table(data, names=[str(place) for place in range(len(data))])
        return Batch(table, np.array(numbers, dtype=np.int64), self._errors(table, numbers), position)

    def _errors(self, table: pa.Table, numbers: list[int]) -> tuple[Fault, ...]:
        """The cells of some rows that hold an error of a formula, such as #N/A: they cannot be read, and are empty."""
        places = {number: place for place, number in enumerate(numbers)}
        called = {_letters(place): self._names[place] for place in self._named}
        found: list[Fault] = []
        for cell, error in self._scan.errors:
            column = cell.rstrip("0123456789")
            number = int(cell[len(column) :])
            if number in places and column in called:
                row = self.text([values[places[number]].as_py() for values in table.columns])
                found.append(Fault(number, called[column], f"{error!r} is an error of a formula", row, value=error))
        return tuple(found)

    def _padded(self, texts: list[str], place: int, numbers: list[int]) -> list[str]:
        """The texts with the leading zeros by which their format shows them: 7 as 0007."""
        padded = self._scan.padded.get(_letters(place))
        if not padded:
            return texts
        return [
            text.zfill(padded[number]) if number in padded and text.isdigit() else text
            for text, number in zip(texts, numbers, strict=True)
        ]

    def _texts(self, cells: tuple[Any, ...]) -> list[str]:
        kinds = set(map(type, cells))
        if kinds == {str}:
            return list(cells)
        if kinds & {float, int}:
            self._long += sum(isinstance(cell, float | int) and abs(cell) >= _EXACT for cell in cells)
        return [cell if type(cell) is str else _text(cell) for cell in cells]


def _choose(path: Path, name: str | None) -> tuple[str, SheetScan, bool]:
    """The sheet to read, and whether it is hidden."""
    with open_workbook(path) as book:
        sheets = _sheets(book)
    if name is not None:
        if name not in sheets:
            raise InvalidArguments(f"{path} has no sheet {name!r}, which xlsx.sheet names{near(name, sheets)}.")
        return name, scan(path, name), sheets[name]
    found = {sheet: scanned for sheet in sheets if (scanned := scan(path, sheet)).filled}
    if not found:
        raise InvalidArguments(f"{path} is empty: none of its sheets has cells ({', '.join(sheets)}).")
    if len(found) > 1:
        names = ", ".join(f"{sheet} (hidden)" if sheets[sheet] else sheet for sheet in found)
        raise InvalidArguments(
            f"{path} has several sheets with cells: {names}. Say in a mapping which one to read: [xlsx] sheet = …"
        )
    ((sheet, scanned),) = found.items()
    return sheet, scanned, sheets[sheet]


@contextmanager
def open_workbook(path: Path) -> Generator[CalamineWorkbook]:
    """Open a workbook that was checked before.

    Raises:
        InvalidArguments: it cannot be read, at its opening or later.
    """
    try:
        with load_workbook(path) as book:
            yield book
    except BaseException as error:
        # a panic of the library is no Exception
        if isinstance(error, CalamineError) or type(error).__name__ == "PanicException":
            raise InvalidArguments(f"{path} cannot be read as XLSX: {error}.") from None
        raise


def _open(path: Path, sheet: str, errors: list[tuple[str, str]]) -> CalamineSheet:
    with open_workbook(path) as book:
        try:
            return book.get_sheet_by_name(sheet)
        except CalamineError as error:
            cell = next((cell for cell, value in errors if f"'{value}'" in str(error)), None)
            if cell is None:
                raise
            raise InvalidArguments(
                f"{path}, sheet {sheet!r}: cell {cell} holds an error that is not known: {error}. "
                "Put it right or empty it, or save the sheet as CSV."
            ) from None


def _sheets(book: CalamineWorkbook) -> dict[str, bool]:
    """The sheets with cells that a workbook may have, and whether they are hidden."""
    return {
        sheet.name: sheet.visible != SheetVisibleEnum.Visible
        for sheet in book.sheets_metadata
        if sheet.typ == SheetTypeEnum.WorkSheet
    }


def _text(cell: Any) -> str:
    """A cell's value as text."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else format(Decimal(repr(cell)), "f")
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ", "milliseconds" if cell.microsecond else "seconds")
    if isinstance(cell, dt.time):
        return cell.isoformat("milliseconds" if cell.microsecond else "seconds")
    if isinstance(cell, dt.timedelta):
        seconds = round(cell.total_seconds())
        sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
        return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(cell)  # a date, an integer


def _some(items: list[Any], noun: str) -> str:
    """The first of some things, and how many there are."""
    shown = ", ".join(map(str, items[:3])) + (", …" if len(items) > 3 else "")
    return f"{counted(len(items), noun)} ({shown})"


def _letters(place: int) -> str:
    """The letters of a column, from 0."""
    found = ""
    place += 1
    while place:
        place, letter = divmod(place - 1, 26)
        found = chr(65 + letter) + found
    return found
