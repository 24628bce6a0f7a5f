"""Read a sample of a CSV, XLSX or Parquet file: its header, and rows from all parts of it as text.

A large file is read in pieces, so that a proposal takes about as long for 10 GB as for 10 MB.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from python_calamine import SheetTypeEnum

from whohas.errors import InvalidArguments
from whohas.ingest.discover import format_of, reject_unsupported_workbook, unreadable_reason
from whohas.ingest.proposals.arranged import LocatedTable, Record, locate_table, width_consistency
from whohas.ingest.readers.parquet import ParquetReader
from whohas.ingest.readers.xlsx import check_workbook, open_workbook, report_sheet, scan_sheet
from whohas.plurals import pluralize


def read_largest_sheet(path: Path) -> tuple[str, list[str], list[Record]]:
    """Read the sheet with the most filled cells, or the rows of a report that whohas wrote.

    Returns:
        The name of that sheet, the names of all sheets with filled cells, and the rows of that sheet.

    Raises:
        InvalidArguments: the file is not a workbook, or all its sheets are empty.
    """
    check_workbook(path)
    rows: list[Record] = []
    chosen, cells = "", dict[str, int]()
    report = report_sheet(path)
    with open_workbook(path) as book:
        names = [sheet.name for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        for name in [report] if report is not None else names:
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
        raise InvalidArguments(f"{path} is empty: none of its sheets has cells. Export it again.")
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


_WHOLE = 4 << 20
"""The largest size of a CSV file, in bytes, that is read completely. Of a larger one `_HEAD` bytes at the start and
`_PIECES` pieces of `_PIECE` bytes are read."""

_HEAD = 2 << 20
_PIECE = 256 << 10
_PIECES = 12
_DELIMITERS = ",;\t|"
_GROUPS, _GROUP_ROWS = 12, 12_000
"""The largest number of row groups of a Parquet file in a sample, and of rows of each."""
_READ_THROUGH = 256 << 20
"""The largest size of a Parquet file, in bytes, that is read through first to learn how much memory a row takes."""
_MEMORY = 384_000_000
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, slots=True)
class FormatSetting:
    """A key of the mapping's section `[csv]` or `[xlsx]` that the file needs, its value and the reason."""

    key: str
    value: str | int
    why: str


@dataclass(frozen=True, slots=True)
class FileSample:
    """The header and some or all rows of a file.

    Attributes:
        path: the file.
        format: its format: `csv`, `xlsx` or `parquet`.
        header: the names of the columns.
        rows: the cells as text, in columns named "0", "1", "2" and so on; an empty cell is null.
        complete: whether these are all rows of the file.
        settings: keys of the mapping that are needed to read the file.
        notes: remarks on the file for the user, in sentences.
    """

    path: Path
    format: str
    header: tuple[str, ...]
    rows: pa.Table
    complete: bool
    settings: tuple[FormatSetting, ...] = ()
    notes: tuple[str, ...] = ()


def read_sample(path: Path) -> FileSample:
    """Read a sample of a file, a large one in pieces. An unknown extension is read as CSV.

    Raises:
        InvalidArguments: the file does not exist or cannot be read, mappings do not support its format, it has no
            header, or its header repeats a name.
    """
    if path.is_dir():
        raise InvalidArguments(f"{path} is a folder. Name the files that one mapping is to describe.")
    if not path.is_file():
        raise InvalidArguments(unreadable_reason(path))
    form = format_of(path) or "csv"
    reject_unsupported_workbook(path)
    if form in ("json", "ndjson") or path.suffix.lower() == ".toml":
        raise InvalidArguments(f"{path}: a mapping is for files with columns. JSON documents load as they are.")
    if path.stat().st_size == 0:
        raise InvalidArguments(f"{path} is empty. Export it again.")
    try:
        found = {"parquet": _parquet, "xlsx": _xlsx}.get(form, _csv)(path)
    except OSError as error:
        raise InvalidArguments(
            f"{path} cannot be read: {error.strerror or error}. Copy it elsewhere, or let your user read it."
        ) from None
    _check(found)
    return _named(found)


def _check(sample: FileSample) -> None:
    names = [name for name in sample.header if name]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidArguments(
            f"{sample.path}: the header names {', '.join(map(repr, repeated))} more than once. "
            "A mapping refers to columns by name: rename one of them in the file."
        )


def _named(sample: FileSample) -> FileSample:
    """Return the sample without columns that have no name, which a load ignores."""
    indexes = [index for index, name in enumerate(sample.header) if name]
    if len(indexes) == len(sample.header):
        return sample
    nameless = ", ".join(str(number) for number, name in enumerate(sample.header, 1) if not name)
    rows = pa.table({str(number): sample.rows.column(index) for number, index in enumerate(indexes)})
    note = f"Column {nameless} has values and no name in the header and is ignored. Name it in the file to keep it."
    header = tuple(sample.header[index] for index in indexes)
    return replace(sample, header=header, rows=rows, notes=(*sample.notes, note))


def text_table(columns: int, rows: Iterable[list[str]]) -> pa.Table:
    """Return rows as a table of text columns named "0", "1", ….

    Surrounding blanks and Excel's notation `="…"` are removed from the cells; empty cells are null.

    Args:
        columns: number of columns.
        rows: the rows, each with this number of cells.
    """
    lists: list[list[str | None]] = [[] for _ in range(columns)]
    for row in rows:
        for cells, cell in zip(lists, row, strict=True):
            cells.append(_cell(cell))
    return pa.table({str(place): pa.array(cells, pa.string()) for place, cells in enumerate(lists)})


_FORMULA = re.compile(r'="(.*)"', re.DOTALL)


def _cell(text: str) -> str | None:
    text = text.strip()
    if text.startswith('="') and (found := _FORMULA.fullmatch(text)):
        text = found[1]
    return text.encode("utf-8", "replace").decode() or None


def _csv(path: Path) -> FileSample:
    head, pieces, whole = _bytes(path)
    if b"\0" in head[:4096] and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        if not re.match(rb"([^\0]\0){8}", head):
            raise InvalidArguments(
                f"{path} is no CSV file: it holds bytes that no text has. Save it as CSV, or give its name the ending "
                "of its format."
            )
        head = codecs.BOM_UTF16_LE + head
    settings: list[FormatSetting] = []
    notes: list[str] = []
    encoding, marked = _encoding(head, pieces, notes)
    if encoding.startswith("utf-16"):
        whole, pieces = whole and not pieces, []
    if not marked and encoding != "utf-8":
        settings.append(
            FormatSetting("encoding", encoding, "it is not UTF-8; after the load, check letters such as ä and é")
        )
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    delimiter, escape, skipped = _dialect(text, settings)
    records = list(_records(text, delimiter, escape))
    arranged = locate_table([record for record in records if record[0] > skipped])
    if arranged is None:
        raise InvalidArguments(
            f"{path} has no header: there is no text in it. Export it again with a line that names the columns."
        )
    rows, footer = arranged.rows, arranged.footer_rows
    for piece in pieces:
        more = [cells for _, cells in _records(piece.decode(encoding, "replace"), delimiter, escape)]
        if piece is pieces[-1]:
            tail = locate_table([(1, list(arranged.header)), *((0, cells) for cells in more)])
            footer = tail.footer_rows if tail is not None else 0
            more = more[: len(more) - footer]
        width = len(arranged.header)
        if arranged.short_rows:
            more = [[*cells, *[""] * (width - len(cells))] for cells in more if cells]
        rows += [cells[:width] for cells in more if len(cells) in (width, width + arranged.trailing)]
    settings += _lines(arranged, footer, skipped, text)
    if arranged.short_rows:
        what = pluralize(arranged.short_rows, "row has", "rows have")
        settings.append(FormatSetting("short", True, f"{what} fewer cells than the header: the others are empty"))
    comments = [
        line
        for line, cells in records
        if line > arranged.lines_before_header + 1 and cells and cells[0].startswith("#")
    ]
    if comments:
        settings.append(FormatSetting("comment", "#", f"line {comments[0]} and others like it are no data"))
        rows = [cells for cells in rows if not cells[0].startswith("#")]
    if odd := [line for line in arranged.misfit_lines if line not in comments]:
        notes.append(
            f"{pluralize(len(odd), 'row has', 'rows have')} too few or too many cells and will be rejected; "
            f"the first is on line {odd[0]}."
        )
    if arranged.trailing:
        notes.append("The header ends in a delimiter: the nameless column after it is empty and ignored.")
    return FileSample(
        path,
        "csv",
        tuple(arranged.header),
        text_table(len(arranged.header), rows),
        whole,
        tuple(settings),
        tuple(notes),
    )


def _xlsx(path: Path) -> FileSample:
    sheet, sheets, records = read_largest_sheet(path)
    arranged = locate_table(records)
    if arranged is None:
        raise InvalidArguments(f"{path}, sheet {sheet!r}, has no header. Add a row that names the columns.")
    settings: list[FormatSetting] = []
    if len(sheets) > 1:
        settings.append(FormatSetting("sheet", sheet, f"it has the most cells of {', '.join(sheets)}"))
    if any(any(cells) for number, cells in records if number <= arranged.lines_before_header):
        settings.append(
            FormatSetting("skip", arranged.lines_before_header, f"the header is row {arranged.lines_before_header + 1}")
        )
    if arranged.footer_rows:
        settings.append(
            FormatSetting(
                "footer", arranged.footer_rows, f"{pluralize(arranged.footer_rows, 'row', 'rows')} at the end: no data"
            )
        )
    header = tuple(arranged.header)
    return FileSample(path, "xlsx", header, text_table(len(header), arranged.rows), True, tuple(settings))


def _bytes(path: Path) -> tuple[bytes, list[bytes], bool]:
    """Return the head of a file, pieces from the rest of it, each of whole lines, and whether the head is all of it.

    Of a compressed file only the head is read, because it allows no jumps.
    """
    if path.suffix.lower() == ".gz":
        try:
            with gzip.open(path) as packed:
                head = packed.read(_WHOLE + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidArguments(f"{path} is not a whole gzip file: {error}. Copy or export it again.") from None
        return (head, [], True) if len(head) <= _WHOLE else (_cut(head[:_HEAD]), [], False)
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE:
            return file.read(), [], True
        head = _cut(file.read(_HEAD))
        pieces: list[bytes] = []
        for number in range(1, _PIECES + 1):
            file.seek(_HEAD + (size - _HEAD - _PIECE) * number // _PIECES)
            piece = file.read(_PIECE)
            piece = piece[piece.find(b"\n") + 1 :]
            pieces.append(piece if number == _PIECES else _cut(piece))
    return head, pieces, False


def _cut(data: bytes) -> bytes:
    """Return the data up to its last line break; all of it if it has no line break."""
    return data[: data.rfind(b"\n") + 1] or data


def _encoding(head: bytes, pieces: list[bytes], notes: list[str]) -> tuple[str, bool]:
    """Return the encoding of a file and whether a byte order mark names it.

    Without a mark: UTF-8 if the bytes are valid, or if fewer than a tenth of the non-ASCII characters are not (with a
    note for the user); otherwise Windows-1252.
    """
    for mark, found in _MARKS:
        if head.startswith(mark):
            return found, True
    text = b"".join((head, *pieces)).decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    if not wrong:
        return "utf-8", False
    if wrong * 10 < sum(1 for c in text if c > "\x7f"):
        notes.append(
            f"{pluralize(wrong, 'byte is', 'bytes are')} no UTF-8 in a file that else is: their rows are rejected."
        )
        return "utf-8", False
    return "windows-1252", False


def _dialect(text: str, settings: list[FormatSetting]) -> tuple[str, str | None, int]:
    """Return the delimiter, the character that escapes a quote (or None), and the number of special lines at the start.

    Special lines are Excel's `sep=;` and PowerShell's `#TYPE …`. Without `sep=`, the delimiter is the one with which
    the largest share of the first 300 rows have the same number of cells; then the one with the most cells.
    """
    first = text[: text.find("\n")].strip() if "\n" in text else text.strip()
    named = re.fullmatch(r'"?sep=(.)"?', first, re.IGNORECASE)
    skipped = 1 if named or first.startswith("#TYPE") else 0
    head = text[: 256 << 10]
    best: tuple[float, int, int] = (-1.0, 0, 0)
    chosen, escaped = ",", None
    for rank, delimiter in enumerate(named[1] if named else _DELIMITERS):
        for escape in (None, "\\") if '\\"' in head else (None,):
            rows = [cells for line, cells in _records(head, delimiter, escape, 300) if line > skipped and any(cells)]
            share, width = width_consistency(rows)
            if (round(share, 2) if width > 1 else 0.0, width, -rank) > best:
                best = (round(share, 2) if width > 1 else 0.0, width, -rank)
                chosen, escaped = delimiter, escape
    if named:
        chosen = named[1]
    elif chosen != ",":
        name = {";": "semicolons", "\t": "tabs", "|": "bars"}[chosen]
        settings.append(FormatSetting("delimiter", chosen, f"cells stand between {name}"))
    if escaped:
        settings.append(FormatSetting("escape", "\\", "a backslash stands before a quote within a cell"))
    return chosen, escaped, skipped


def _records(text: str, delimiter: str, escape: str | None, most: int = sys.maxsize) -> Iterable[Record]:
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, escapechar=escape, doublequote=True)
    line = 1
    try:
        for _ in range(most):
            cells = next(reader, None)
            if cells is None:
                return
            yield line, cells
            line = reader.line_num + 1
    except csv.Error:
        return


def _lines(arranged: LocatedTable, footer: int, skipped: int, text: str) -> list[FormatSetting]:
    settings: list[FormatSetting] = []
    if arranged.lines_before_header > skipped:
        first = next(
            (
                line.strip()
                for line in text.splitlines()[skipped : arranged.lines_before_header]
                if line.strip(" \t,;|")
            ),
            "",
        )
        settings.append(
            FormatSetting(
                "skip",
                arranged.lines_before_header,
                f"the header is on line {arranged.lines_before_header + 1}; before it: {first.strip(' ,;|')[:60]}",
            )
        )
    if footer:
        settings.append(FormatSetting("footer", footer, f"{pluralize(footer, 'row', 'rows')} at the end: no data"))
    return settings


def _parquet(path: Path) -> FileSample:
    from whohas.engine.duckdb import connect_duckdb

    with TemporaryDirectory() as spill, connect_duckdb(_MEMORY, 2, Path(spill) / "spill") as connection:
        file = ParquetReader(path, connection)
        groups = file.groups
        chosen = sorted({number * groups // _GROUPS for number in range(_GROUPS)}) if groups else []
        data = file.sample(chosen, _GROUP_ROWS, _READ_THROUGH)
    columns = {name: _texts(data.column(name)) for name in data.column_names}
    return FileSample(path, "parquet", tuple(file.header), pa.table(columns), data.num_rows == file.rows)


def _texts(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([_cell(text) for text in column.to_pylist()], pa.string())
