"""Texts that are longer than a cell can be: the cell shows their begin, and sheets of their own have all of them."""

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
from whohas.formats.xlsx.sheet_names import Names

NAME = "Long texts"
COLUMNS = ("Sheet", "Cell", "Part", "Text")

CELL_LENGTH = 32_767
"""UTF-16 units that Excel takes into a cell."""


@dataclass(slots=True)
class LongSheet:
    """A sheet of pieces of long texts.

    Attributes:
        length: of the XML of its rows.
        rows: how many there are, with the header.
    """

    name: str
    length: int = 0
    rows: int = 1


class LongTexts:
    """The long texts of a workbook. They wait in a file that goes away by itself, so they take no memory.

    Args:
        folder: where there is room for the file.
        names: of the workbook's sheets; `NAME` is given out to the first of these.
        limit: rows that a sheet can have.

    Attributes:
        count: how many there are.
    """

    def __init__(self, folder: Path, names: Names, limit: int) -> None:
        self._folder, self._names, self._limit = folder, names, limit
        self._file: BinaryIO | None = None
        self.sheets: list[LongSheet] = []
        self.count = 0

    def fit(self, text: str, sheet: str, cell: str) -> str:
        """What the cell shows: the text, or its begin and where all of it is."""
        if _units(text) <= CELL_LENGTH:
            return text
        self.count += 1
        first, *others = _pieces(text, CELL_LENGTH)
        place = self._add(sheet, cell, 1, first)
        told = f"… see '{place.name}' row {place.rows}"
        for part, piece in enumerate(others, 2):
            self._add(sheet, cell, part, piece)
        return next(_pieces(text, CELL_LENGTH - _units(told))) + told

    def fit_columns(self, columns: Sequence[pa.Array], sheet: str, first: int) -> list[pa.Array]:
        """The columns of a batch, where those of texts have no null, with every text made to fit.

        Args:
            first: the number of the first row in the sheet.
        """
        long = sorted((int(row), place) for place, column in enumerate(columns) for row in _maybe_long(column))
        shown: dict[int, dict[int, str]] = {}
        for row, place in long:
            text = columns[place][row].as_py()
            shown.setdefault(place, {})[row] = self.fit(text, sheet, f"{column_letters(place)}{first + row}")
        return [_replaced(column, shown[place]) if place in shown else column for place, column in enumerate(columns)]

    def copy_rows(self, sheet: LongSheet, file: BinaryIO) -> None:
        """Writes the XML of a sheet's rows, but for the header. The sheets must be taken one after another."""
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

    def _add(self, sheet: str, cell: str, part: int, piece: str) -> LongSheet:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by close
        if not self.sheets:
            self.sheets.append(LongSheet(NAME))
        elif self.sheets[-1].rows == self._limit:
            self.sheets.append(LongSheet(self._names.new(NAME)))
        place = self.sheets[-1]
        place.rows += 1
        place.length += self._file.write(row_xml(place.rows, (sheet, cell, part, piece)).encode())
        return place


def _maybe_long(column: pa.Array) -> np.ndarray:
    """The places of texts that may be too long: they have at least as many bytes as units."""
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
