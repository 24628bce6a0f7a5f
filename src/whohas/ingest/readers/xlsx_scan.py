"""Scan the XML of a workbook for its size, hidden rows, errors, formulas without a value and formats of zeros.

`check_workbook` checks the zip archive and the size of its parts (the files in it). `scan_sheet` reads the XML of one
sheet with regular expressions, block by block, so the whole XML is never in memory at once.
"""

from __future__ import annotations

import lzma
import re
import zipfile
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import join, normpath
from xml.etree import ElementTree

import numpy as np

from whohas.errors import InvalidArguments
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
        raise InvalidArguments(f"{path} is no XLSX file, or a damaged one: {error}.") from None


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
        raise InvalidArguments(f"{path} is no XLSX file, or a damaged one: {error}.") from None
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
