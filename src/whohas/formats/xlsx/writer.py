"""Entry point of the XLSX writer. Sheets are, in this order: rows, texts too long for a cell, metadata of the run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa

from whohas.engine.statement import ColumnType
from whohas.errors import InvalidArguments
from whohas.formats.base import Extract, PageSize, ReportMetadata, WriteOptions
from whohas.formats.display import display_texts, format_time
from whohas.formats.xlsx import long_texts
from whohas.formats.xlsx.arrow import pc
from whohas.formats.xlsx.cells import column_letters, display_columns, header_xml, row_xml, rows_xml
from whohas.formats.xlsx.long_texts import CELL_LENGTH, LongTexts
from whohas.formats.xlsx.parts import WRAPPED, Sheet, fixed_parts, sheet_list_parts
from whohas.formats.xlsx.sheet_names import SheetNames
from whohas.formats.zip import ZipArchive, open_zip
from whohas.plurals import pluralize

ROWS = 1_048_576
COLUMNS = 16_384
"""Maximum size of a sheet, including its header row."""

_ABOUT = "About"
_CELLS = 1 << 16
"""Maximum number of cells of a batch, so that memory does not grow with the number of columns."""
_BYTES = 16 << 20
"""Approximate maximum size of the values of a batch."""
_SAMPLE, _SAMPLE_BATCH = 4_000, 500
_NARROWEST, _WIDEST = 8, 60
_TIME_WIDTH = len("2026-11-23 14:05:09")


def write(extract: Extract, path: Path, about: ReportMetadata, options: WriteOptions) -> Sequence[str]:
    """Write the rows to an XLSX file and return notes for readers: several sheets of rows, shortened texts.

    Raises:
        InvalidArguments: there are more columns than a sheet can have.
    """
    columns = extract.rows.columns
    if len(columns) > COLUMNS:
        raise InvalidArguments(
            f"An XLSX sheet has {COLUMNS:,} columns at most, and this report has {len(columns):,}: choose another "
            "format, such as CSV."
        )
    names = SheetNames(_ABOUT, long_texts.NAME)
    sheets = _row_sheets(extract, names, about, options)
    with closing(LongTexts(path.parent, names, ROWS)) as long, open_zip(path, about.started_at) as archive:
        for name, text in fixed_parts(about).items():
            _put(archive, name, text)
        _write_rows(archive, extract, sheets, long, options)
        facts = _fit_facts(_facts(extract, about, options), long)
        notes = _notes(sheets, long)
        facts += (("Note", note) for note in notes)
        sheets += _write_long_texts(archive, len(sheets) + 1, long, options.page)
        sheets.append(_write_about(archive, len(sheets) + 1, facts, options.page))
        for name, text in sheet_list_parts(sheets).items():
            _put(archive, name, text)
    return notes


def _row_sheets(extract: Extract, names: SheetNames, about: ReportMetadata, options: WriteOptions) -> list[Sheet]:
    widths = _widths(extract, options.zone)
    last = column_letters(len(widths) - 1)
    sheets: list[Sheet] = []
    for start in range(0, extract.count or 1, ROWS - 1):
        rows = min(ROWS, 1 + extract.count - start)
        name = names.unique_sheet_name(extract.rows.name or about.title)
        sheets.append(Sheet(len(sheets) + 1, name, f"A1:{last}{rows}", widths, True, options.page))
    return sheets


def _write_rows(
    archive: ZipArchive, extract: Extract, sheets: Sequence[Sheet], long: LongTexts, options: WriteOptions
) -> None:
    columns = extract.rows.columns
    types: list[ColumnType] = [column.type for column in columns]
    names = [
        long.shorten_text(column.name, sheets[0].name, f"{column_letters(n)}1") for n, column in enumerate(columns)
    ]
    batches, done = _batches(extract), 0
    for sheet in sheets:
        with archive.entry(sheet.path) as place, place.open("wb") as file:
            file.write((sheet.begin_xml + header_xml(names)).encode())
            row = 2
            while row <= ROWS and (batch := next(batches, None)) is not None:
                values = long.shorten_columns(display_columns(batch, columns, options.zone), sheet.name, row)
                file.write(rows_xml(values, types, row, options.zone))
                row += len(batch)
                done += len(batch)
                extract.on_rows(done)
            file.write(sheet.end_xml.encode())


def _batches(extract: Extract) -> Iterator[pa.RecordBatch]:
    """Yield the rows in small batches, none of which spans two sheets."""
    left = ROWS - 1
    for batch in extract.batches(extract.batch_size(_CELLS, _BYTES)):
        start = 0
        while start < len(batch):
            size = min(left, len(batch) - start)
            while size > 1 and batch.slice(start, size).nbytes > _BYTES:
                size //= 2
            yield batch.slice(start, size)
            start += size
            left = left - size or ROWS - 1


def _widths(extract: Extract, zone: str) -> list[int]:
    """Return the width of each column, in characters, estimated from a sample of the rows."""
    columns = extract.rows.columns
    widths = [_width(pa.array([column.name])) + 2 for column in columns]  # room for the filter's button
    for batch in extract.batches(min(_SAMPLE_BATCH, extract.batch_size(_CELLS, _BYTES)), _SAMPLE):
        for place, (values, column) in enumerate(zip(batch.columns, columns, strict=True)):
            width = _TIME_WIDTH if column.type == "time" else _width(display_texts(values, column.type, zone))
            widths[place] = max(widths[place], width)
    return [min(max(width + 1, _NARROWEST), _WIDEST) for width in widths]


def _width(values: pa.StringArray) -> int:
    """Return the width of the widest text in characters; a character of three bytes in UTF-8, such as a Chinese one,
    counts as two."""
    sizes = np.asarray(pc.binary_length(values)) + np.asarray(pc.utf8_length(values))
    return (int(sizes.max(initial=0)) + 1) // 2


def _notes(sheets: Sequence[Sheet], long: LongTexts) -> list[str]:
    notes: list[str] = []
    if len(sheets) > 1:
        notes.append(f"The rows are on {len(sheets)} sheets: one holds {ROWS:,}, its header with them.")
    if long.count:
        texts = pluralize(long.count, "text is", "texts are")
        notes.append(
            f"{texts} longer than the {CELL_LENGTH:,} characters that a cell holds: the cell shows the begin, and the "
            f"sheet '{long_texts.NAME}' has all of it in pieces."
        )
    return notes


def _facts(extract: Extract, about: ReportMetadata, options: WriteOptions) -> list[tuple[str, str | int]]:
    part = [("Part", extract.rows.name)] if extract.rows.name else []
    loaded = [("Loaded", format_time(about.loaded_at, options.zone))] if about.loaded else []
    gaps = [("Data", about.gaps)] if about.gaps else []
    org = [("Organisation", about.org)] if about.org else []
    return [
        ("Report", about.title),
        *part,
        ("Description", about.description),
        ("Type", about.report),
        *((f"Argument {name}", _argument_text(value)) for name, value in about.arguments.items()),
        ("Launched by", about.launcher),
        ("Started", format_time(about.started_at, options.zone)),
        ("Snapshot", about.snapshot),
        *loaded,
        *gaps,
        ("Time zone", options.zone),
        ("Rows", extract.count),
        ("Run", about.run),
        *org,
    ]


def _argument_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fit_facts(facts: Sequence[tuple[str, str | int]], long: LongTexts) -> list[tuple[str, str | int]]:
    return [
        (_encodable(fact), long.shorten_text(_encodable(value), _ABOUT, f"B{row}") if isinstance(value, str) else value)
        for row, (fact, value) in enumerate(facts, 2)
    ]


def _encodable(text: str) -> str:
    """Return a text in which lone surrogates, which JSON can contain and UTF-8 cannot, are written as `\\ud800`."""
    return text.encode(errors="backslashreplace").decode()


def _write_long_texts(archive: ZipArchive, number: int, long: LongTexts, page: PageSize) -> list[Sheet]:
    sheets: list[Sheet] = []
    for long_sheet in long.sheets:
        sheet = Sheet(number + len(sheets), long_sheet.name, f"A1:D{long_sheet.rows}", (31, 12, 8, _WIDEST), page=page)
        with archive.entry(sheet.path) as place, place.open("wb") as file:
            file.write((sheet.begin_xml + header_xml(long_texts.COLUMNS)).encode())
            long.copy_rows(long_sheet, file)
            file.write(sheet.end_xml.encode())
        sheets.append(sheet)
    return sheets


def _write_about(archive: ZipArchive, number: int, facts: Sequence[tuple[str, str | int]], page: PageSize) -> Sheet:
    sheet = Sheet(number, _ABOUT, f"A1:B{len(facts) + 1}", (24, 100), page=page)
    rows = "".join(row_xml(row, fact, WRAPPED) for row, fact in enumerate(facts, 2))
    _put(archive, sheet.path, sheet.begin_xml + header_xml(("Fact", "Value")) + rows + sheet.end_xml)
    return sheet


def _put(archive: ZipArchive, name: str, text: str) -> None:
    with archive.entry(name) as place:
        place.write_bytes(text.encode())
