"""Open input files of any format (CSV, XLSX, JSON, Parquet) behind one interface, `OpenedFile`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from whohas.errors import InvalidArguments
from whohas.ingest.discover import format_of, refuse_other_workbooks
from whohas.ingest.mapping import SheetOptions, SourceMapping
from whohas.ingest.readers.batches import Batch
from whohas.ingest.readers.csv import CsvFile
from whohas.ingest.readers.csv_stream import Dialect
from whohas.ingest.readers.json import json_batches, ndjson_batches
from whohas.ingest.readers.parquet import SEPARATOR, ParquetFile
from whohas.ingest.readers.xlsx import XlsxFile
from whohas.warehouse.schema import IDENTITIES, Table


def _no_notes() -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file that can be read, more than once if need be.

    Attributes:
        header: the columns' names; none where it holds documents.
        lists: columns that are lists already, with what `batches` puts between their values if told to join them.
        batches: reads it; takes the columns whose lists are to be joined.
        text: a row, given its cells, as it stands in the file.
        line_of: from a record to its line.
        notes: what was seen in the last reading that is no fault of a row.
    """

    path: Path
    header: list[str]
    lists: Mapping[str, str]
    batches: Callable[[frozenset[str]], Iterator[Batch]]
    text: Callable[[list[str]], str]
    line_of: Callable[[int], int]
    notes: Callable[[], list[str]] = _no_notes


@dataclass(frozen=True, slots=True)
class Written:
    """How a file is written, as far as its mapping says it.

    Attributes:
        needed: columns that it has to have.
    """

    dialect: Dialect = field(default_factory=Dialect)
    sheet: SheetOptions = field(default_factory=SheetOptions)
    needed: frozenset[str] = frozenset()


def open_file(
    path: Path,
    form: str,
    table: Table,
    connection: Any,
    written: Written | None = None,
    known: Collection[str] = (),
) -> OpenedFile:
    """Opens a file that holds rows of a table.

    Args:
        form: its format, as `format_of` tells it.
        connection: DuckDB, for Parquet; a cursor of it is used in another thread.
        known: columns that it may have.

    Raises:
        InvalidArguments: it cannot be read as what its name says.
    """
    opened = _opened(path, form, table, connection, written or Written(), known)
    return replace(opened, batches=partial(_unchanged, path, opened.batches))


def _unchanged(
    path: Path, batches: Callable[[frozenset[str]], Iterator[Batch]], joined: frozenset[str]
) -> Iterator[Batch]:
    """The batches of a file, which must be the same at their end as at their begin."""
    before = _stamp(path)
    yield from batches(joined)
    if _stamp(path) != before:
        raise InvalidArguments(f"{path} changed while it was read. Load it again once it is written.")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file's content; None where the file is gone."""
    with suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns
    return None


def _opened(
    path: Path, form: str, table: Table, connection: Any, written: Written, known: Collection[str]
) -> OpenedFile:
    if path.stat().st_size == 0:
        raise InvalidArguments(f"{path} is empty.")
    if form in ("json", "ndjson"):
        read = json_batches if form == "json" else ndjson_batches
        return OpenedFile(path, [], {}, lambda _: read(path), _document, _same)
    if form == "csv":
        file = CsvFile(path, written.dialect, written.needed, known)
        return OpenedFile(path, file.header, {}, lambda _: file.batches(), file.text, file.line_of, file.notes)
    if form == "xlsx":
        sheet = XlsxFile(path, written.sheet, written.needed, known)
        return OpenedFile(path, sheet.header, {}, lambda _: sheet.batches(), sheet.text, _same, sheet.notes)
    parquet = ParquetFile(path, connection.cursor())
    if table is IDENTITIES and parquet.has_documents:
        return OpenedFile(path, [], {}, lambda _: parquet.documents(), _document, _same)
    lists = dict.fromkeys(parquet.lists, SEPARATOR)
    return OpenedFile(path, parquet.header, lists, parquet.batches, parquet.text, _same)


def open_mapped(
    path: Path, table: Table, mapping: SourceMapping, connection: Any, needed: frozenset[str]
) -> OpenedFile:
    """Opens a file that a mapping names. One whose ending says nothing is read as CSV.

    Raises:
        InvalidArguments: it is no CSV, XLSX or Parquet file.
    """
    form = format_of(path) or "csv"
    if form not in ("csv", "xlsx", "parquet"):
        raise InvalidArguments(
            f"{path}: a mapping is for CSV, XLSX and Parquet files; JSON documents are loaded as they are."
        )
    refuse_other_workbooks(path)
    return open_file(path, form, table, connection, Written(mapping.dialect, mapping.sheet, needed))


def _document(cells: list[str]) -> str:
    return cells[0]


def _same(record: int) -> int:
    return record
