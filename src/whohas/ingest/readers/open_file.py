"""Open input files of any format (CSV, XLSX, JSON, NDJSON, Parquet) behind one interface, `OpenedFile`.

`open_file` opens a file in a given format; `open_mapped` opens a file that a mapping names. Each file is checked for
changes while it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from whohas.errors import InvalidArguments
from whohas.ingest.discover import format_of, reject_unsupported_workbook
from whohas.ingest.mapping import SheetOptions, SourceMapping
from whohas.ingest.readers.batches import RowBatch
from whohas.ingest.readers.csv import CsvReader
from whohas.ingest.readers.csv_stream import CsvDialect
from whohas.ingest.readers.json import json_batches, ndjson_batches
from whohas.ingest.readers.parquet import SEPARATOR, ParquetReader
from whohas.ingest.readers.xlsx import XlsxReader
from whohas.warehouse.schema import IDENTITIES, Table


def _no_notes() -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """An input file that can be read several times.

    Attributes:
        path: the path of the file.
        header: the names of the columns; empty if the file holds JSON documents.
        lists: the columns whose cells are lists (Parquet only), each with the separator that `batches` uses to join
            their values.
        batches: reads the file from the start; its argument names the list columns to join, and lists of other
            columns become JSON.
        format_row: returns a row, given its cells, in the form that is kept with a rejected row.
        line_of: returns the line of a record, given its number; in files without lines, the same number.
        notes: returns remarks on the last reading that are not faults of single rows, such as hidden rows.
    """

    path: Path
    header: list[str]
    lists: Mapping[str, str]
    batches: Callable[[frozenset[str]], Iterator[RowBatch]]
    format_row: Callable[[list[str]], str]
    line_of: Callable[[int], int]
    notes: Callable[[], list[str]] = _no_notes


@dataclass(frozen=True, slots=True)
class DeclaredFormat:
    """The format of a file as far as its mapping describes it.

    Attributes:
        dialect: the format of a CSV file.
        sheet: the sheet and rows of an XLSX file.
        needed: the columns that the file must have.
    """

    dialect: CsvDialect = field(default_factory=CsvDialect)
    sheet: SheetOptions = field(default_factory=SheetOptions)
    needed: frozenset[str] = frozenset()


def open_file(
    path: Path,
    form: str,
    table: Table,
    connection: Any,
    written: DeclaredFormat | None = None,
    known: Collection[str] = (),
) -> OpenedFile:
    """Open a file that holds rows of a table.

    Args:
        form: the format of the file, as `format_of` returns it.
        table: the table that the rows belong to.
        connection: a DuckDB connection for Parquet files; a cursor of it is used, so another thread may read the file.
        written: the format as the mapping describes it; None if no mapping names the file.
        known: columns that the file may have; they help to find the header of CSV and XLSX files.

    Raises:
        InvalidArguments: the file is empty or cannot be read in this format.
    """
    opened = _opened(path, form, table, connection, written or DeclaredFormat(), known)
    return replace(opened, batches=partial(_unchanged, path, opened.batches))


def _unchanged(
    path: Path, batches: Callable[[frozenset[str]], Iterator[RowBatch]], joined: frozenset[str]
) -> Iterator[RowBatch]:
    """Yield the batches of a file.

    Raises:
        InvalidArguments: the file changed between the first and the last batch.
    """
    before = _stamp(path)
    yield from batches(joined)
    if _stamp(path) != before:
        raise InvalidArguments(f"{path} changed while it was read. Load it again once it is written.")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return inode, size and modification time of a file, to detect changes; None if the file does not exist."""
    with suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns
    return None


def _opened(
    path: Path, form: str, table: Table, connection: Any, written: DeclaredFormat, known: Collection[str]
) -> OpenedFile:
    if path.stat().st_size == 0:
        raise InvalidArguments(f"{path} is empty. Export it again, or leave it out of the load.")
    if form in ("json", "ndjson"):
        read = json_batches if form == "json" else ndjson_batches
        return OpenedFile(path, [], {}, lambda _: read(path), _document, _same)
    if form == "csv":
        file = CsvReader(path, written.dialect, written.needed, known)
        return OpenedFile(
            path, file.header, {}, lambda _: file.read_batches(), file.format_row, file.line_of, file.notes
        )
    if form == "xlsx":
        sheet = XlsxReader(path, written.sheet, written.needed, known)
        return OpenedFile(path, sheet.header, {}, lambda _: sheet.batches(), sheet.text, _same, sheet.notes)
    if form != "parquet":
        raise ValueError(f"{path}: no reader for the format {form!r}. Add one here for each format of `_FORMATS`.")
    parquet = ParquetReader(path, connection.cursor())
    if table is IDENTITIES and parquet.has_documents:
        return OpenedFile(path, [], {}, lambda _: parquet.documents(), _document, _same)
    lists = dict.fromkeys(parquet.lists, SEPARATOR)
    return OpenedFile(path, parquet.header, lists, parquet.batches, parquet.text, _same)


def open_mapped(
    path: Path, table: Table, mapping: SourceMapping, connection: Any, needed: frozenset[str]
) -> OpenedFile:
    """Open a file that a mapping names. A file with an unknown extension is read as CSV.

    Args:
        table: the table that the rows belong to.
        needed: the columns that the file must have.

    Raises:
        InvalidArguments: the file is not CSV, XLSX or Parquet, or cannot be read.
    """
    form = format_of(path) or "csv"
    if form not in ("csv", "xlsx", "parquet"):
        raise InvalidArguments(
            f"{path}: a mapping is for CSV, XLSX and Parquet files; JSON documents are loaded as they are."
        )
    reject_unsupported_workbook(path)
    return open_file(path, form, table, connection, DeclaredFormat(mapping.dialect, mapping.sheet, needed))


def _document(cells: list[str]) -> str:
    return cells[0]


def _same(record: int) -> int:
    return record
