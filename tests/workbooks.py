"""Workbooks for tests: written as a run writes them, and read by openpyxl."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook, load_workbook
from openpyxl.utils.escape import unescape

from rendering import ABOUT
from whohas.formats.base import Extract, ReportMetadata, WriteOptions
from whohas.formats.xlsx import writer


def made(
    rows: Extract,
    about: ReportMetadata = ABOUT,
    options: WriteOptions = WriteOptions(),  # noqa: B008
) -> tuple[Path, Sequence[str]]:
    """Write a workbook next to the rows, and return its path and the notes of the writer."""
    path = rows.path.with_name("out.xlsx")
    return path, writer.write(rows, path, about, options)


def book(rows: Extract, about: ReportMetadata = ABOUT, options: WriteOptions = WriteOptions()) -> Workbook:  # noqa: B008
    """Write a workbook, and return it as openpyxl reads it."""
    return load_workbook(made(rows, about, options)[0])


def values(workbook: Workbook, sheet: str | int = 0) -> list[list[Any]]:
    """Return the cells of a sheet by row, with the header."""
    found = workbook[sheet] if isinstance(sheet, str) else workbook.worksheets[sheet]
    return [
        [unescape(value) if isinstance(value, str) else value for value in row]
        for row in found.iter_rows(values_only=True)
    ]


def column(rows: Extract, options: WriteOptions = WriteOptions()) -> list[Any]:  # noqa: B008
    """Return the cells of the only column, without the header."""
    cells = [row[0] for row in values(book(rows, options=options))[1:]]
    return cells + [None] * (rows.count - len(cells))  # openpyxl knows no rows after the last that has cells
