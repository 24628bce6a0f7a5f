"""Texts too long for a cell: the cell shows their beginning, and separate sheets contain them whole, in pieces."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from whohas.formats.streaming import BLOCK
from whohas.formats.xlsx.arrow import offsets
from whohas.formats.xlsx.cells import column_letters, row_xml
from whohas.formats.xlsx.sheet_names import LONG_TEXTS, SheetNames

COLUMNS = ("Sheet", "Cell", "Part", "Text")

CELL_LENGTH = 32_767
"""Maximum length of the text of a cell in Excel, in UTF-16 units."""


@dataclass(slots=True)
class PieceSheet:
    """A sheet of pieces of long texts.

    Attributes:
        name: name of the sheet.
        length: size of the XML of its rows, without the header, in bytes.
        rows: number of its rows, with the header.
    """

    name: str
    length: int = 0
    rows: int = 1


class LongTexts:
    """The long texts of a workbook, kept in a temporary file instead of memory until their sheets are written.

    Args:
        folder: folder of the temporary file.
        names: generator of sheet names; `LONG_TEXTS`, the name of the first sheet, must already be taken there.
        limit: maximum number of rows of a sheet.

    Attributes:
        sheets: the sheets of pieces so far.
        count: number of texts that are too long for any cell.
        headers: number of shorter texts that are too long for their cell.
    """

    def __init__(self, folder: Path, names: SheetNames, limit: int) -> None:
        self._folder, self._names, self._limit = folder, names, limit
        self._file: BinaryIO | None = None
        self.sheets: list[PieceSheet] = []
        self.count = self.headers = 0

    def shorten_text(self, text: str, sheet: str, cell: str, length: int | None = None) -> str:
        """Return the text of a cell: unchanged if it fits, else its beginning and a reference to the sheet of pieces.

        Args:
            sheet: name of the sheet of the cell.
            cell: reference of the cell, such as `B7`.
            length: the maximum length of the text in the cell, in UTF-16 units; None for that of any cell.
        """
        length = CELL_LENGTH if length is None else length
        if _units(text) <= length:
            return text
        self.count += length == CELL_LENGTH
        self.headers += length < CELL_LENGTH
        first, *others = _pieces(text, CELL_LENGTH)
        place = self._add(sheet, cell, 1, first)
        reference = f"… see '{place.name}' row {place.rows}"
        for part, piece in enumerate(others, 2):
            self._add(sheet, cell, part, piece)
        return next(_pieces(text, length - _units(reference))) + reference

    def shorten_columns(self, columns: Sequence[pa.Array], sheet: str, first: int) -> list[pa.Array]:
        """Return the columns of a batch with `shorten_text` applied to every text. Columns of texts must have no nulls.

        Args:
            sheet: name of the sheet of the rows.
            first: number of the first row in the sheet, from 1.
        """
        long = sorted((int(row), place) for place, column in enumerate(columns) for row in _maybe_long(column))
        shown: dict[int, dict[int, str]] = {}
        for row, place in long:
            text = columns[place][row].as_py()
            shown.setdefault(place, {})[row] = self.shorten_text(text, sheet, f"{column_letters(place)}{first + row}")
        return [_replaced(column, shown[place]) if place in shown else column for place, column in enumerate(columns)]

    def copy_rows(self, sheet: PieceSheet, file: BinaryIO) -> None:
        """Write the XML of the rows of a sheet, without its header. Call it for all `sheets` in order."""
        assert self._file is not None
        if sheet is self.sheets[0]:
            self._file.seek(0)
        left = sheet.length
        while block := self._file.read(min(left, BLOCK)):
            file.write(block)
            left -= len(block)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _add(self, sheet: str, cell: str, part: int, piece: str) -> PieceSheet:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by close
        if not self.sheets:
            self.sheets.append(PieceSheet(LONG_TEXTS))
        elif self.sheets[-1].rows == self._limit:
            self.sheets.append(PieceSheet(self._names.unique_sheet_name(LONG_TEXTS)))
        place = self.sheets[-1]
        place.rows += 1
        place.length += self._file.write(row_xml(place.rows, (sheet, cell, part, piece)).encode())
        return place


def _maybe_long(column: pa.Array) -> np.ndarray:
    """Return the indexes of texts of more bytes than a cell has UTF-16 units; shorter ones always fit."""
    if not pa.types.is_string(column.type):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.diff(offsets(column)) > CELL_LENGTH)


def _replaced(column: pa.StringArray, shown: dict[int, str]) -> pa.StringArray:
    values = column.to_pylist()
    for row, text in shown.items():
        values[row] = text
    return pa.array(values, pa.string())


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _pieces(text: str, units: int) -> Iterator[str]:
    """Split a text by a number of UTF-16 units, one less where a surrogate pair would be split."""
    data = text.encode("utf-16-le")
    start = 0
    while start < len(data):
        end = start + 2 * units
        if end < len(data) and 0xD8 <= data[end - 1] < 0xDC:
            end -= 2
        yield data[start:end].decode("utf-16-le")
        start = end
