"""An input file, opened: where its batches come from, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whohas.errors import InvalidArguments
from whohas.warehouse.intake.batches import Batch
from whohas.warehouse.intake.csv_files import CsvFile, Dialect
from whohas.warehouse.intake.discover import format_of
from whohas.warehouse.intake.json_files import json_batches, ndjson_batches
from whohas.warehouse.intake.parquet_files import SEPARATOR, ParquetFile
from whohas.warehouse.tables import IDENTITIES, Table


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file that can be read, more than once if need be.

    Attributes:
        header: the columns' names; none where it holds documents.
        lists: columns that are lists already, with what `batches` puts between their values if told to join them.
        batches: reads it; takes the columns whose lists are to be joined.
        text: a row, given its cells, as it stands in the file.
        line_of: from a record to its line.
    """

    path: Path
    header: list[str]
    lists: Mapping[str, str]
    batches: Callable[[frozenset[str]], Iterator[Batch]]
    text: Callable[[list[str]], str]
    line_of: Callable[[int], int]


def open_file(path: Path, form: str, table: Table, dialect: Dialect, connection: Any) -> OpenedFile:
    """Opens a file that holds rows of a table.

    Args:
        form: its format, as `format_of` tells it.
        connection: DuckDB, for Parquet; a cursor of it is used in another thread.

    Raises:
        InvalidArguments: it cannot be read as what its name says.
    """
    if path.stat().st_size == 0:
        raise InvalidArguments(f"{path} is empty.")
    if form in ("json", "ndjson"):
        read = json_batches if form == "json" else ndjson_batches
        return OpenedFile(path, [], {}, lambda _: read(path), _document, _same)
    if form == "csv":
        file = CsvFile(path, dialect)
        return OpenedFile(path, file.header, {}, lambda _: file.batches(), file.text, file.line_of)
    parquet = ParquetFile(path, connection.cursor())
    if table is IDENTITIES and parquet.has_documents:
        return OpenedFile(path, [], {}, lambda _: parquet.documents(), _document, _same)
    lists = dict.fromkeys(parquet.lists, SEPARATOR)
    return OpenedFile(path, parquet.header, lists, parquet.batches, parquet.text, _same)


def open_mapped(path: Path, table: Table, dialect: Dialect, connection: Any) -> OpenedFile:
    """Opens a file that a mapping names.

    Raises:
        InvalidArguments: it is no CSV or Parquet file.
    """
    form = format_of(path) or "csv"
    if form not in ("csv", "parquet"):
        raise InvalidArguments(
            f"{path}: a mapping is for CSV and Parquet files; JSON documents are loaded as they are."
        )
    return open_file(path, form, table, dialect, connection)


def _document(cells: list[str]) -> str:
    return cells[0]


def _same(record: int) -> int:
    return record
