"""Read sheets of XLSX workbooks as batches of text columns, as CSV files are read.

The library calamine reads the cells. `check_workbook` checks the zip archive and the size of its parts first, because
a sheet is read into memory as a whole. `scan_sheet` supplies what calamine does not give, such as hidden rows, error
cells, formulas without a value and formats of zeros: it reads the XML of one sheet with regular expressions, block by
block, so the whole XML is never in memory at once.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import lzma
import re
import zipfile
import zlib
from array import array
from collections import Counter
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from posixpath import join, normpath
from typing import Any
from xml.etree import ElementTree

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
from whohas.formats.xlsx.parts import APPLICATION
from whohas.formats.xlsx.sheet_names import ABOUT, SUMMARY
from whohas.ingest.mapping import SheetOptions, name_suggestions
from whohas.ingest.readers.batches import RowBatch, RowError
from whohas.ingest.readers.footers import FooterDetector, footer_note
from whohas.plurals import pluralize

_LARGEST = 1 << 30
"""The largest size in bytes of all parts of a workbook, unpacked, and of the texts of one sheet's cells.

A sheet is read into memory as a whole.
"""
_LARGEST_WHOLE = 16 << 20
"""The largest size in bytes of a part that is parsed as a whole: the styles, and the parts that list the sheets."""
_LONGEST_ROW = 64 << 20
"""The largest size of a row's XML, in bytes."""
_SHEETS = 1_024
_APP_PART = "docProps/app.xml"

_CELLS = 20_000_000
"""The largest number of cells of a sheet: its last row times its last column. Each takes 24 bytes of memory."""

_BLOCK = 1 << 20


def _pattern(text: str) -> re.Pattern[bytes]:
    """Compile a regular expression over XML in which `~` matches an optional namespace prefix and `@` either quote.

    Example: `<~row\\b` matches the begin of `<row r="1">` and of `<x:row r='1'>`.
    """
    return re.compile(text.replace("~", r"(?:\w+:)?").replace("@", "[\"']").encode(), re.DOTALL)


_ROW = _pattern(r"<~row\b([^>]*)>")
_NUMBER = _pattern(r"\br=@(\d+)@")
_HIDDEN = _pattern(r"\bhidden=@(?:1|true)@")
_CELL = _pattern(r"<~c\b[^>]*?\br=@([A-Z]+)(\d+)@(?:[^>]*[^/>])?>")
_AT = _pattern(r"\br=@([A-Z]+)(\d+)@")
_TYPED = _pattern(r"\bt=@(?!n@)")
_CONTENT = (b"<v>", b":v>", b"<is>", b":is>", b"<v ", b"<is ")
_FAR = (re.compile(rb'r="[A-Z]{2}'), re.compile(rb"r='[A-Z]{2}"))
_ERROR = _pattern(r"<~c\b(?=[^>]*\bt=@e@)[^>]*?\br=@([A-Z]+\d+)@[^>]*>(?:(?!</~c>).)*?<~v>([^<]*)<")
_TEXT_END = re.compile(rb"</(?:\w+:)?si>")
_INDEX = _pattern(r"<~c\b[^>]*?\bt=@s@[^>]*>\s*<~v>\s*(\d{1,9})\s*<")
_SHARED = re.compile(rb"\bt=[\"']s[\"']")
_EMPTY = r"(?:<~v\s*/>|<~v>\s*</~v>)?\s*"
_UNVALUED = _pattern(rf"<~c\b[^>]*?\br=@([A-Z]+\d+)@[^>]*>\s*<~f\b(?:[^>]*/>|[^>]*>[^<]*</~f>)\s*{_EMPTY}</~c>")


@dataclass(slots=True)
class SheetScan:
    """The result of scanning a sheet's XML.

    Attributes:
        filled: whether any cell has content.
        rows: the number of the last row, or a larger number.
        columns: the number of the last column, or a larger number.
        hidden: the numbers of hidden rows.
        errors: the cells that hold a formula error, each with the error, such as `("C5", "#N/A")`.
        formulas_without_value: the cells that hold a formula without a stored value, such as `C5`.
        padded: for numbers in a format of zeros such as 0000: by the column's letters and the row's number, how many
            digits the format shows; `{"C": {5: 4}}` for the cell C5 in the format 0000.
    """

    filled: bool = False
    rows: int = 0
    columns: int = 0
    hidden: list[int] = field(default_factory=list[int])
    errors: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    formulas_without_value: list[str] = field(default_factory=list[str])
    padded: dict[str, dict[int, int]] = field(default_factory=dict[str, dict[int, int]])


_DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    ElementTree.ParseError,
    KeyError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    EOFError,
)


_SAVE_AGAIN = "Save it again as .xlsx, or as CSV."


def _check_sheets(path: Path, parts: list[str]) -> None:
    """Refuse too many sheets, and two sheets that share one part: each would be read in full."""
    if len(parts) > _SHEETS:
        raise InvalidArguments(
            f"{path} has {len(parts):,} sheets, and up to {_SHEETS:,} are read: save the sheet as CSV."
        )
    if len(set(parts)) < len(parts):
        raise zipfile.BadZipFile("two of its sheets are one part")


def check_workbook(path: Path) -> None:
    """Check that a workbook is an intact XLSX file that is not too large, before anything else reads it.

    All XML parts except the sheets, which `scan_sheet` reads, are unpacked once, which verifies their sizes and
    checksums.

    Raises:
        InvalidArguments: the file is not XLSX, is damaged or protected by a password, unpacks to more than 1 GiB, or
            has too many sheets.
    """
    with path.open("rb") as file:
        if file.read(8) == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
            raise InvalidArguments(
                f"{path} is protected by a password, or an old .xls: save it as .xlsx without a password, or as CSV."
            )
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [part for part in archive.infolist() if part.filename.lower().endswith((".xml", ".rels"))]
            names = Counter(part.filename.casefold() for part in archive.infolist())
            if repeated := next((name for name, count in names.items() if count > 1), None):
                raise zipfile.BadZipFile(f"it has two parts named {repeated!r}")
            # The sizes of all parts count, whatever their names: XML may have any extension.
            size = sum(part.file_size for part in archive.infolist())
            if size > _LARGEST:
                raise InvalidArguments(
                    f"{path} unpacks to {size >> 20} MiB, and up to {_LARGEST >> 20} MiB are read: "
                    "save its sheet as CSV."
                )
            for part in parts:
                if "/worksheets/" not in part.filename:  # these are read by `scan_sheet`
                    for _ in _blocks(archive, part.filename):
                        pass
            _check_sheets(path, list(_parts(archive).values()))
    except _DAMAGED as error:
        raise InvalidArguments(f"{path} is no XLSX file, or a damaged one: {error}. {_SAVE_AGAIN}") from None


def scan_sheet(path: Path, sheet: str) -> SheetScan:
    """Scan the XML of a sheet; the result is empty if the workbook has no such sheet.

    The XML is read in blocks of 1 MiB, and each block is cut after its last whole row. Example: the blocks
    `<row r="1">a</row><row r="2">b` and `</row>` are searched as `<row r="1">a</row>` and `<row r="2">b</row>`.

    Raises:
        InvalidArguments: the workbook is damaged, or the sheet spans too many cells or has too much text.
    """
    found = SheetScan()
    try:
        with zipfile.ZipFile(path) as archive:
            part = _parts(archive).get(sheet)
            if part is None:
                return found
            rest, rows = b"", 0
            zeros = _zero_styles(archive)
            styled = re.compile(rb"<(?:\w+:)?c\b([^>]*\bs=[\"'](%s)[\"'][^>]*)>" % b"|".join(zeros)) if zeros else None
            longest, shared = max(_lengths(archive), default=0), 0
            found.columns = 26  # an upper bound unless a cell lies beyond column Z, which `_FAR` finds
            for block in _blocks(archive, part):
                text, rest = _whole_rows(rest + block)
                if b"hidden=" in text:
                    hidden = [_NUMBER.search(row) for row in _ROW.findall(text) if _HIDDEN.search(row)]
                    found.hidden += [int(number[1]) for number in hidden if number is not None]
                if b'"e"' in text or b"'e'" in text:
                    found.errors += [(cell.decode(), value.decode()) for cell, value in _ERROR.findall(text)]
                if b"<f" in text or b":f" in text:
                    found.formulas_without_value += [cell.decode() for cell in _UNVALUED.findall(text)]
                for attributes, style in styled.findall(text) if styled is not None else ():
                    cell = _AT.search(attributes)
                    if cell is not None and not _TYPED.search(attributes):
                        found.padded.setdefault(cell[1].decode(), {})[int(cell[2])] = zeros[style]
                shared += len(_SHARED.findall(text))
                found.filled = found.filled or any(sign in text for sign in _CONTENT)
                rows += text.count(b"row>")
                last = _NUMBER.search(text, text.rfind(b"row ")) if b"row " in text else None
                found.rows = max(found.rows, rows, int(last[1]) if last else 0)
                if any(pattern.search(text) for pattern in _FAR):
                    found.columns = max(found.columns, *(_column(cell) for cell, _ in _CELL.findall(text)), 0)
            if found.rows * found.columns > _CELLS:
                found.rows, found.columns = _extent(archive, part)
            if shared * longest > _LARGEST and (size := _shared_size(archive, part)) > _LARGEST:
                raise InvalidArguments(
                    f"{path}: the texts of the sheet {sheet!r} take {size >> 20:,} MiB, and up to {_LARGEST >> 20:,} "
                    "MiB are read. Save the sheet as CSV."
                )
    except _DAMAGED as error:
        raise InvalidArguments(f"{path} is no XLSX file, or a damaged one: {error}. {_SAVE_AGAIN}") from None
    if found.rows * found.columns > _CELLS:
        raise InvalidArguments(
            f"{path}: the sheet {sheet!r} spans {pluralize(found.rows, 'row')} and "
            f"{pluralize(found.columns, 'column')}, and up to {_CELLS:,} cells are read. "
            "Remove what lies far from the table, or save the sheet as CSV."
        )
    return found


def _zero_styles(archive: zipfile.ZipFile) -> dict[bytes, int]:
    """Return the cell styles whose number format consists of zeros only, each with the number of zeros.

    Example: if `cellXfs` of styles.xml lists the formats General and 0000, the result is `{b"1": 4}`; cells refer to
    that style by `s="1"`.
    """
    part = next((name for name in archive.namelist() if name.endswith("xl/styles.xml")), None)
    if part is None:
        return {}
    formats: dict[str, int] = {}
    found: dict[bytes, int] = {}
    root = _tree(archive, part)
    for element in root.iter():
        if _local(element.tag) == "numFmt" and re.fullmatch("00+", element.get("formatCode", "")):
            formats[element.get("numFmtId", "")] = len(element.get("formatCode", ""))
    for cells in (element for element in root if _local(element.tag) == "cellXfs"):
        for number, style in enumerate(cells):
            if style.get("numFmtId") in formats:
                found[str(number).encode()] = formats[style.get("numFmtId", "")]
    return found


def _extent(archive: zipfile.ZipFile, part: str) -> tuple[int, int]:
    """Return the numbers of the last row and the last column that have a cell with content."""
    rest, rows, columns = b"", 0, set[bytes]()
    for block in _blocks(archive, part):
        text, rest = _whole_rows(rest + block)
        cells = _CELL.findall(text)
        columns.update(column for column, _ in cells)
        rows = max(rows, int(cells[-1][1]) if cells else 0)
    return rows, max(map(_column, columns), default=0)


def _blocks(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """Yield a part of the archive unpacked, in blocks of 1 MiB; `zipfile` verifies its checksum and stated size."""
    with archive.open(part) as file:
        while block := file.read(_BLOCK):
            yield block


def _whole_rows(text: bytes) -> tuple[bytes, bytes]:
    """Split XML after its last whole row; return both pieces, the first of which is empty if no row ends in it.

    Raises:
        ValueError: a row has more than `_LONGEST_ROW` bytes.
    """
    end = text.rfind(b"row>") + 4
    if end <= 3 and len(text) > _LONGEST_ROW:
        raise ValueError(f"a row of a sheet has more than {_LONGEST_ROW >> 20} MiB")
    return (text[:end], text[end:]) if end > 3 else (b"", text)


def _parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the part of the archive that holds each sheet, by the sheet's name.

    The workbook names its sheets and refers to their parts by relationship ids. Example: `<sheet name="People"
    r:id="rId1"/>` in xl/workbook.xml, and the target `worksheets/sheet1.xml` of `rId1` in
    xl/_rels/workbook.xml.rels, give `{"People": "xl/worksheets/sheet1.xml"}`.
    """
    book = _related(archive, "_rels/.rels", "").get("officeDocument", "xl/workbook.xml")
    folder, _, name = book.rpartition("/")
    targets = _related(archive, join(folder, "_rels", f"{name}.rels"), folder, by_id=True)
    found: dict[str, str] = {}
    for element in _tree(archive, book).iter():
        if _local(element.tag) == "sheet":
            ids = [value for key, value in element.attrib.items() if _local(key) == "id"]
            found[element.attrib["name"]] = targets.get(ids[0], "") if ids else ""
    return {sheet: part for sheet, part in found.items() if part}


def _related(archive: zipfile.ZipFile, part: str, folder: str, by_id: bool = False) -> dict[str, str]:
    """Return the targets of a relationships part, as paths in the archive, by type or by id.

    Args:
        folder: the folder that relative targets start from.
        by_id: whether to return the targets by id (`rId1`) instead of by type (`officeDocument`).
    """
    found: dict[str, str] = {}
    for element in _tree(archive, part):
        target = element.attrib["Target"]
        path = target.lstrip("/") if target.startswith("/") else normpath(join(folder, target))
        found[element.attrib["Id"] if by_id else element.attrib["Type"].rpartition("/")[2]] = path
    return found


def _tree(archive: zipfile.ZipFile, part: str) -> ElementTree.Element:
    """Return a part parsed as a whole; refuse one of more than 16 MiB."""
    size = archive.getinfo(part).file_size
    if size > _LARGEST_WHOLE:
        raise InvalidArguments(
            f"{archive.filename}: its part {part} unpacks to {size >> 20} MiB, and up to {_LARGEST_WHOLE >> 20} MiB "
            "are read: save the sheet as CSV."
        )
    return ElementTree.fromstring(archive.read(part))  # noqa: S314 - expat limits the expansion of entities


def _lengths(archive: zipfile.ZipFile) -> array[int]:
    """Return the size in bytes of each shared string (`<si>` element), with the XML around it.

    A string may span blocks. Example: the blocks `<si>ab</si><si>c` and `d</si>` give the sizes 11 and 11. The second
    string has 5 bytes in the first block and 6 in the second.
    """
    part = next((name for name in archive.namelist() if name.lower().endswith("sharedstrings.xml")), None)
    found, rest = array("q"), 0
    for block in _blocks(archive, part) if part else ():
        last = -rest
        for text in _TEXT_END.finditer(block):
            found.append(text.end() - last)
            last = text.end()
        rest = len(block) - last
    return found


def _shared_size(archive: zipfile.ZipFile, part: str) -> int:
    """Return the size in bytes of a sheet's shared strings, each counted once for every cell that refers to it."""
    lengths, size, rest = np.array(_lengths(archive)), 0, b""
    for block in _blocks(archive, part):
        text, rest = _whole_rows(rest + block)
        numbers = np.array(_INDEX.findall(text), dtype=np.int64)
        size += int(lengths[numbers[numbers < len(lengths)]].sum())
    return size


def _local(name: str) -> str:
    """Return the name of an element or attribute without its namespace: `sheet` for `{http://…}sheet`."""
    return name.rpartition("}")[2]


def _column(letters: bytes) -> int:
    """Return the number of a column, from 1, given its letters: 1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


_ROWS = 20_000
_EXACT = 10**15
"""From this number on (16 digits), a workbook does not keep all digits."""

_SEARCHED = 200
"""The number of rows that are searched for a header."""

Row = list[Any]


class XlsxReader:
    """One sheet of a workbook. Its records are its rows, numbered from 1.

    Cells become text:

        date                              2024-01-31
        date with time                    2024-01-31 07:30:00
        time                              07:30:00
        duration                          30:00:00
        boolean                           true, false
        number                            1200, 0.5 (without an exponent and without .0)
        number 7 in the format 0000       0007

    Attributes:
        path: the path of the workbook.
        sheet: the name of the sheet.
        header: the names of the columns; columns without a name are left out.

    Args:
        options: the sheet, and the rows before the header and at the end that are not data.
        needed: the columns that the sheet must have.
        known: columns that the sheet may have; they help to find the header.

    Raises:
        InvalidArguments: the file is not a workbook, is too large, does not have the sheet, has several sheets with
            cells and `options` names none, has no header, or repeats a column's name.
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
        self._footer = FooterDetector(self.text, "[xlsx] footer")

    def _read_header(self, needed: Collection[str], known: Collection[str]) -> tuple[int, list[str]]:
        """Return the number of the header's row, and the name of each column, empty where it has none.

        The header is the first row that is not empty after the skipped rows. If it lacks the needed columns and a
        later row has them (or, if no columns are needed, has several known ones), the load is refused with a hint.
        Example: row 1 is `Report of May`, row 2 is empty and row 3 is `Badge No,Name`. With `Badge No` needed, the
        message asks for `skip = 2`.
        """
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
            raise InvalidArguments(
                f"{where} has no header: it has no cells behind row {self._options.skip}. Correct [xlsx] skip, or "
                "choose another sheet."
            )
        repeated = sorted(name for name, count in Counter(filter(None, names)).items() if count > 1)
        if repeated:
            raise InvalidArguments(
                f"{where}: the header names {', '.join(map(repr, repeated))} more than once. Rename all but one."
            )
        return top, names

    def batches(self) -> Iterator[RowBatch]:
        """Yield the rows below the header as text columns named 0, 1, 2 and so on.

        Empty rows and the footer are left out.
        """
        self._footer = FooterDetector(self.text, "[xlsx] footer")
        yield from self._batches() if self._options.footer is not None else self._footer.reject_footer(self._batches())

    def _batches(self) -> Iterator[RowBatch]:
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
        """Return remarks on the last reading that are not faults of single rows, for the report of the load."""
        where = f"{self.path.name}, sheet {self.sheet!r}"
        found: list[str] = []
        if self._hidden:
            found.append(f"{where}: the sheet is hidden, and was loaded.")
        hidden = [row for row in self._scan.hidden if row > self._top]
        if hidden:
            found.append(f"{where}: {_some(hidden, 'hidden row')}, loaded as the others.")
        if self._scan.formulas_without_value:
            formulas = _some(self._scan.formulas_without_value, "formula")
            found.append(
                f"{where}: {formulas} without a stored value, which is empty. "
                "Open and save the workbook once in a spreadsheet program."
            )
        if self._footer.rows:
            found.append(footer_note(where, "row", self._footer.rows, "[xlsx] footer"))
        if self._long:
            found.append(
                f"{where}: {pluralize(self._long, 'number')} of 16 or more digits, of which a workbook does not keep "
                "the last ones. Format such columns as text before they are filled."
            )
        if self._merged:
            found.append(
                f"{where}: {_some(self._merged, 'merged range')}. A value counts for each row of its range, in the "
                "range's first column."
            )
        for place, count in sorted(self._nameless.items()):
            found.append(
                f"{where}: column {_letters(place)} has no name in the header and was passed over with "
                f"{pluralize(count, 'value')}. Name it in the header to load it."
            )
        return found

    def text(self, cells: list[str]) -> str:
        """Return a row as a line of CSV, in the form that is kept with a rejected row."""
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(cells)
        return out.getvalue()

    def _rows(self, filled: bool = False) -> Iterator[tuple[int, Row]]:
        """Yield the sheet's rows with their numbers, from 1.

        Args:
            filled: whether cells that are merged over several rows have their value in each of these rows. With
                `filled`, the sheet is not kept in memory after this reading.
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
        """Yield the rows with their numbers; the value of a merged range is copied to each row of its first column.

        Example: with the merged range A2:A4, the rows from row 2 on are filled so (row 4 has no value at all and
        stays empty):

            row 2    HR, Ann    HR, Ann
            row 3    "", Bob    HR, Bob
            row 4    "", ""     "", ""

        Args:
            merged: the ranges, sorted, each as (top, left), (bottom, right) with indexes from 0.
        """
        starting = iter(merged)
        following = next(starting, None)
        open_ranges: list[tuple[int, int, Any]] = []  # index of the last row, index of the column, value
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
        """Return the number of the last row before the footer, whose length the mapping gives."""
        filled = [number for number, row in self._rows() if number > self._top and any(cell != "" for cell in row)]
        kept = filled[: -(self._options.footer or 0)]
        return kept[-1] if kept else self._top

    def _batch(self, rows: list[Row], numbers: list[int], position: int) -> RowBatch:
        """Return rows as a batch of text columns; count the values in columns without a name, which are left out.

        Args:
            numbers: the number of each row.
            position: how much of the file was read, in bytes.
        """
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
        return RowBatch(table, np.array(numbers, dtype=np.int64), self._errors(table, numbers), position)

    def _errors(self, table: pa.Table, numbers: list[int]) -> tuple[RowError, ...]:
        """Return a fault for each cell of a batch that holds a formula error, such as #N/A."""
        places = {number: place for place, number in enumerate(numbers)}
        called = {_letters(place): self._names[place] for place in self._named}
        found: list[RowError] = []
        for cell, error in self._scan.errors:
            column = cell.rstrip("0123456789")
            number = int(cell[len(column) :])
            if number in places and column in called:
                row = self.text([values[places[number]].as_py() for values in table.columns])
                found.append(
                    RowError(number, called[column], f"{error!r} is an error of a formula", row, cell_text=error)
                )
        return tuple(found)

    def _padded(self, texts: list[str], place: int, numbers: list[int]) -> list[str]:
        """Return the texts of a column with the leading zeros of their cell formats: 7 in the format 0000 as 0007.

        Args:
            place: the index of the column in the sheet.
            numbers: the number of the row of each text.
        """
        padded = self._scan.padded.get(_letters(place))
        if not padded:
            return texts
        return [
            text.zfill(padded[number]) if number in padded and text.isdigit() else text
            for text, number in zip(texts, numbers, strict=True)
        ]

    def _texts(self, cells: tuple[Any, ...]) -> list[str]:
        """Return cells as text; count the numbers that are too long for a workbook to keep all their digits."""
        kinds = set(map(type, cells))
        if kinds == {str}:
            return list(cells)
        if kinds & {float, int}:
            self._long += sum(isinstance(cell, float | int) and abs(cell) >= _EXACT for cell in cells)
        return [cell if type(cell) is str else _text(cell) for cell in cells]


def _choose(path: Path, name: str | None) -> tuple[str, SheetScan, bool]:
    """Return the name of the sheet to read, its scan, and whether it is hidden.

    Args:
        name: the name of the sheet; None for the only sheet that has cells, or the rows of a report of whohas.

    Raises:
        InvalidArguments: there is no such sheet, no sheet has cells, or several have cells and no `name` is given.
    """
    with open_workbook(path) as book:
        sheets = _sheets(book)
    if name is not None:
        if name not in sheets:
            raise InvalidArguments(
                f"{path} has no sheet {name!r}, which xlsx.sheet names{name_suggestions(name, sheets)}."
            )
        return name, scan_sheet(path, name), sheets[name]
    if (rows := report_sheet(path)) in sheets:
        return rows, scan_sheet(path, rows), sheets[rows]
    found = {sheet: scanned for sheet in sheets if (scanned := scan_sheet(path, sheet)).filled}
    if not found:
        raise InvalidArguments(
            f"{path} is empty: none of its sheets has cells ({', '.join(sheets)}). Export it again, or leave it out of "
            "the load."
        )
    if len(found) > 1:
        names = ", ".join(f"{sheet} (hidden)" if sheets[sheet] else sheet for sheet in found)
        raise InvalidArguments(
            f"{path} has several sheets with cells: {names}. Say in a mapping which one to read: [xlsx] sheet = …"
        )
    ((sheet, scanned),) = found.items()
    return sheet, scanned, sheets[sheet]


def report_sheet(path: Path) -> str | None:
    """Return the name of the sheet of rows of a report that whohas wrote as XLSX.

    None for any other workbook, and where no single sheet has all values: the rows are on several sheets, or the sheets
    of long texts have texts that are cut in the rows.

    Raises:
        InvalidArguments: the workbook is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if _APP_PART not in archive.namelist():
                return None
            application = (item.text for item in _tree(archive, _APP_PART) if _local(item.tag) == "Application")
            sheets = list(_parts(archive)) if APPLICATION in application else []
    except _DAMAGED as error:
        raise InvalidArguments(f"{path} is no XLSX file, or a damaged one: {error}.") from None
    rows = [sheet for sheet in sheets if sheet not in (SUMMARY, ABOUT)]
    return rows[0] if len(rows) == 1 else None


@contextmanager
def open_workbook(path: Path) -> Generator[CalamineWorkbook]:
    """Open a workbook that `check_workbook` accepted.

    Raises:
        InvalidArguments: calamine fails to open the workbook, or fails within the `with` block.
    """
    try:
        with load_workbook(path) as book:
            yield book
    except BaseException as error:
        # A panic in calamine, which is written in Rust, is raised as a PanicException. That class is not public and
        # derives from BaseException.
        if isinstance(error, CalamineError) or type(error).__name__ == "PanicException":
            raise InvalidArguments(f"{path} cannot be read as XLSX: {error}. {_SAVE_AGAIN}") from None
        raise


def _open(path: Path, sheet: str, errors: list[tuple[str, str]]) -> CalamineSheet:
    """Read a sheet into memory.

    Args:
        errors: the cells of the sheet that hold an error; they serve to name the cell that calamine cannot read.
    """
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
    """Return the worksheets of a workbook (not charts or macro sheets) by name, with whether each is hidden."""
    return {
        sheet.name: sheet.visible != SheetVisibleEnum.Visible
        for sheet in book.sheets_metadata
        if sheet.typ == SheetTypeEnum.WorkSheet
    }


def _text(cell: Any) -> str:
    """Return the value of a cell as text; see `XlsxReader` for the forms."""
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
    """Return a count with up to three examples, such as `4 hidden rows (2, 3, 5, …)`."""
    shown = ", ".join(map(str, items[:3])) + (", …" if len(items) > 3 else "")
    return f"{pluralize(len(items), noun)} ({shown})"


def _letters(place: int) -> str:
    """Return the letters of a column, given its index from 0: A for 0, Z for 25, AA for 26."""
    found = ""
    place += 1
    while place:
        place, letter = divmod(place - 1, 26)
        found = chr(65 + letter) + found
    return found
