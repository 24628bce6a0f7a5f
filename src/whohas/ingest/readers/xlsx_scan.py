"""What the XML of a workbook's sheet says beyond its values: size, hidden rows, errors, formulas without a value."""

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
from whohas.plurals import counted

_LARGEST = 1 << 30
"""Bytes that a workbook's parts may have, unpacked, and the texts of a sheet's cells: a sheet is read into memory."""
_LARGEST_WHOLE = 16 << 20
"""Bytes of a part that is read as a tree: styles, and what names the sheets."""
_LONGEST_ROW = 64 << 20
"""Bytes of a row's XML."""
_SHEETS = 1_024

_CELLS = 20_000_000
"""Cells of a sheet, from its first row and column to its last; each takes 24 bytes while the sheet is read."""

_BLOCK = 1 << 20


def _pattern(text: str) -> re.Pattern[bytes]:
    """An expression over XML in which ~ stands for a name's prefix, if it has one, and @ for either quote."""
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
    """What a sheet's XML says.

    Attributes:
        filled: whether a cell has content.
        rows: the number of the last row, or a larger one.
        columns: that of the last column, or a larger one.
        hidden: hidden rows.
        errors: cells with an error of a formula, such as C5: #N/A.
        unvalued: cells with a formula that no value is stored for.
        padded: by column and row of a number that its format shows with leading zeros, such as 0000: how many digits.
    """

    filled: bool = False
    rows: int = 0
    columns: int = 0
    hidden: list[int] = field(default_factory=list[int])
    errors: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    unvalued: list[str] = field(default_factory=list[str])
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
    if len(parts) > _SHEETS:
        raise InvalidArguments(
            f"{path} has {len(parts):,} sheets, and up to {_SHEETS:,} are read: save the sheet as CSV."
        )
    if len(set(parts)) < len(parts):
        raise zipfile.BadZipFile("two of its sheets are one part")


def check_workbook(path: Path) -> None:
    """Reads a workbook's parts through, so that nothing that reads them later is flooded.

    Raises:
        InvalidArguments: it is no XLSX file, is damaged, or has more than 1 GiB of XML.
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
            # all of them: a part may be named as it likes
            size = sum(part.file_size for part in archive.infolist())
            if size > _LARGEST:
                raise InvalidArguments(
                    f"{path} unpacks to {size >> 20} MiB, and up to {_LARGEST >> 20} MiB are read: "
                    "save its sheet as CSV."
                )
            for part in parts:
                if "/worksheets/" not in part.filename:  # these are read by `scan`
                    for _ in _blocks(archive, part.filename):
                        pass
            _check_sheets(path, list(_parts(archive).values()))
    except _DAMAGED as error:
        raise InvalidArguments(f"{path} is no XLSX file, or a damaged one: {error}.") from None


def scan(path: Path, sheet: str) -> SheetScan:
    """Reads a sheet's XML.

    Raises:
        InvalidArguments: it is damaged, or spans too many cells.
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
            found.columns = 26  # unless there is a cell beyond column Z
            for block in _blocks(archive, part):
                text, rest = _whole_rows(rest + block)
                if b"hidden=" in text:
                    hidden = [_NUMBER.search(row) for row in _ROW.findall(text) if _HIDDEN.search(row)]
                    found.hidden += [int(number[1]) for number in hidden if number is not None]
                if b'"e"' in text or b"'e'" in text:
                    found.errors += [(cell.decode(), value.decode()) for cell, value in _ERROR.findall(text)]
                if b"<f" in text or b":f" in text:
                    found.unvalued += [cell.decode() for cell in _UNVALUED.findall(text)]
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
            f"{path}: the sheet {sheet!r} spans {counted(found.rows, 'row')} and "
            f"{counted(found.columns, 'column')}, and up to {_CELLS:,} cells are read. "
            "Remove what lies far from the table, or save the sheet as CSV."
        )
    return found


def _zero_styles(archive: zipfile.ZipFile) -> dict[bytes, int]:
    """The numbers of cell styles whose format is nothing but zeros, such as 0000, and how many."""
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
    """The last row and the last column with a cell that has content."""
    rest, rows, columns = b"", 0, set[bytes]()
    for block in _blocks(archive, part):
        text, rest = _whole_rows(rest + block)
        cells = _CELL.findall(text)
        columns.update(column for column, _ in cells)
        rows = max(rows, int(cells[-1][1]) if cells else 0)
    return rows, max(map(_column, columns), default=0)


def _blocks(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """A part, unpacked; its checksum and the size that it claims are held to it."""
    with archive.open(part) as file:
        while block := file.read(_BLOCK):
            yield block


def _whole_rows(text: bytes) -> tuple[bytes, bytes]:
    """A text up to the end of its last row, and the rest."""
    end = text.rfind(b"row>") + 4
    if end <= 3 and len(text) > _LONGEST_ROW:
        raise ValueError(f"a row of a sheet has more than {_LONGEST_ROW >> 20} MiB")
    return (text[:end], text[end:]) if end > 3 else (b"", text)


def _parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """The part that each sheet lies in."""
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
    found: dict[str, str] = {}
    for element in _tree(archive, part):
        target = element.attrib["Target"]
        path = target.lstrip("/") if target.startswith("/") else normpath(join(folder, target))
        found[element.attrib["Id"] if by_id else element.attrib["Type"].rpartition("/")[2]] = path
    return found


def _tree(archive: zipfile.ZipFile, part: str) -> ElementTree.Element:
    """A part that is read as a whole."""
    size = archive.getinfo(part).file_size
    if size > _LARGEST_WHOLE:
        raise InvalidArguments(
            f"{archive.filename}: its part {part} unpacks to {size >> 20} MiB, and up to {_LARGEST_WHOLE >> 20} MiB "
            "are read: save the sheet as CSV."
        )
    return ElementTree.fromstring(archive.read(part))  # noqa: S314 - expat bounds what entities make


def _lengths(archive: zipfile.ZipFile) -> array[int]:
    """The bytes of each shared text, with the XML around it."""
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
    """The bytes of all texts that a sheet's cells share, each counted as often as a cell has it."""
    lengths, size, rest = np.array(_lengths(archive)), 0, b""
    for block in _blocks(archive, part):
        text, rest = _whole_rows(rest + block)
        numbers = np.array(_INDEX.findall(text), dtype=np.int64)
        size += int(lengths[numbers[numbers < len(lengths)]].sum())
    return size


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
