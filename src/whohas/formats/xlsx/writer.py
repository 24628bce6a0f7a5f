"""Entry point of the XLSX writer.

Sheets are, in this order: the summary (only in a readable workbook), rows, texts too long for a cell, metadata of the
run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from whohas.engine.statement import ColumnType
from whohas.errors import InvalidArguments
from whohas.formats.base import Extract, PageSize, ReportMetadata, WriteOptions
from whohas.formats.column_names import unique_names
from whohas.formats.display import display_texts, encodable, format_time
from whohas.formats.metadata import for_readers, readable_metadata_lines
from whohas.formats.readable import ColumnChoice, choose_columns
from whohas.formats.xlsx import long_texts, summary_sheet
from whohas.formats.xlsx.arrow import pc
from whohas.formats.xlsx.cells import column_letters, display_columns, header_xml, row_xml, rows_xml
from whohas.formats.xlsx.long_texts import CELL_LENGTH, LongTexts
from whohas.formats.xlsx.parts import Sheet, fixed_parts, sheet_list_parts
from whohas.formats.xlsx.related_parts import part_files
from whohas.formats.xlsx.sheet_names import ABOUT, LONG_TEXTS, SUMMARY, SheetNames
from whohas.formats.xlsx.styles import BOOLEAN, NUMBER_HEADER, TABLE_HEADER, WRAPPED
from whohas.formats.xlsx.tables import NAME_LENGTH, table_part
from whohas.formats.zip import ZipArchive, open_zip
from whohas.plurals import pluralize

ROWS = 1_048_576
COLUMNS = 16_384
"""Maximum size of a sheet, including its header row."""

_CELLS = 1 << 16
"""Maximum number of cells of a batch, so that memory does not grow with the number of columns."""
_BYTES = 16 << 20
"""Approximate maximum size of the values of a batch."""
_SAMPLE, _SAMPLE_BATCH = 4_000, 500
_NARROWEST, _WIDEST = 8, 60
_MOST_EXPLAINED = 100
"""Maximum number of columns that the summary explains."""
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
    readable = options.detail == "readable"
    names = SheetNames(ABOUT, LONG_TEXTS, *([SUMMARY] if readable else []))
    row_sheet_names = [
        names.unique_sheet_name(extract.rows.name or about.title) for _ in range(0, extract.count or 1, ROWS - 1)
    ]
    with closing(LongTexts(path.parent, names, ROWS)) as long, open_zip(path, about.started_at) as archive:
        for name, text in fixed_parts(about, readable).items():
            _put(archive, name, text)
        layout = (
            _readable_layout(extract, options, row_sheet_names[0], long)
            if readable
            else _Layout(tuple(_complete_header(extract, row_sheet_names[0], long)))
        )
        row_sheets = _row_sheets(extract, row_sheet_names, layout, options)
        _write_rows(archive, extract, row_sheets, layout, long, options)
        facts = _fit_facts(_facts(extract, about, options), long)
        notes = _notes(row_sheets, long)
        facts += (("Note", note) for note in notes)
        sheets = row_sheets
        if readable:
            about = for_readers(about, extract.rows.name)
            facts_for_people = [
                *readable_metadata_lines(about, extract.count, options.zone),
                ("Sheets of rows", ", ".join(row_sheet_names)),
                *layout.hidden_columns,
                *(("Note", note) for note in notes),
            ]
            meanings = _meanings(extract, layout, options.labels)
            summary = _write_summary(archive, extract, about, facts_for_people, meanings, options.page, long)
            sheets = [summary, *row_sheets]
        sheets += _write_long_texts(archive, len(sheets) + 1, long, options.page)
        sheets.append(_write_about(archive, len(sheets) + 1, facts, options.page))
        for sheet in sheets:
            for name, text in part_files(sheet.path, sheet.parts).items():
                _put(archive, name, text)
        for name, text in sheet_list_parts(sheets).items():
            _put(archive, name, text)
    return notes


@dataclass(frozen=True, slots=True)
class _Layout:
    """The layout of the sheets of rows.

    Attributes:
        header: the texts of the header.
        choice: the columns that are shown, in a readable workbook; None for one with all columns and without a table.
    """

    header: tuple[str, ...]
    choice: ColumnChoice | None = None

    @property
    def hidden(self) -> frozenset[int]:
        """The indexes of the hidden columns."""
        return frozenset((*self.choice.ids, *self.choice.empty)) if self.choice else frozenset()

    @property
    def hidden_columns(self) -> list[tuple[str, str]]:
        """Pairs of label and value that name the hidden columns, for the summary."""
        kinds = (("Hidden: ids", self.choice.ids), ("Hidden: empty", self.choice.empty)) if self.choice else ()
        return [(label, ", ".join(self.header[place] for place in places)) for label, places in kinds if places]


def _complete_header(extract: Extract, sheet: str, long: LongTexts) -> Iterator[str]:
    for place, column in enumerate(extract.rows.columns):
        yield long.shorten_text(column.name, sheet, f"{column_letters(place)}1")


def _readable_layout(extract: Extract, options: WriteOptions, sheet: str, long: LongTexts) -> _Layout:
    """Return the layout of a readable workbook, whose header has unique names, as tables need them."""
    choice = choose_columns(extract, options)
    columns = extract.rows.columns
    names = choice.headings_of(range(len(columns))) if options.labels else [column.name for column in columns]
    header = (
        long.shorten_text(name, sheet, f"{column_letters(place)}1", NAME_LENGTH)
        for place, name in enumerate(unique_names(names))
    )
    return _Layout(tuple(header), choice)


def _row_sheets(extract: Extract, names: Sequence[str], layout: _Layout, options: WriteOptions) -> list[Sheet]:
    widths = _widths(extract, layout.header, options.zone)
    last = column_letters(len(widths) - 1)
    readable = layout.choice is not None
    sheets: list[Sheet] = []
    for place, name in enumerate(names):
        rows = min(ROWS - 1, extract.count - place * (ROWS - 1))
        sheets.append(
            Sheet(
                place + (2 if readable else 1),
                name,
                f"A1:{last}{rows + 1}",
                widths,
                not readable,
                options.page,
                hidden=layout.hidden,
                parts=(table_part(place + 1, last, rows, layout.header),) if readable else (),
            )
        )
    return sheets


def _write_rows(
    archive: ZipArchive,
    extract: Extract,
    sheets: Sequence[Sheet],
    layout: _Layout,
    long: LongTexts,
    options: WriteOptions,
) -> None:
    columns = extract.rows.columns
    types: list[ColumnType] = [column.type for column in columns]
    # spreadsheets show numbers and times at the right
    styles = [NUMBER_HEADER if type in ("integer", "time") else TABLE_HEADER for type in types] if layout.choice else []
    header = header_xml(layout.header, styles)
    boolean = BOOLEAN if layout.choice else 0
    batches, done = _batches(extract), 0
    for sheet in sheets:
        with archive.entry(sheet.path) as place, place.open("wb") as file:
            file.write((sheet.begin_xml + header).encode())
            row = 2
            while row <= ROWS and (batch := next(batches, None)) is not None:
                values = long.shorten_columns(display_columns(batch, columns, options.zone), sheet.name, row)
                file.write(rows_xml(values, types, row, options.zone, boolean))
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


def _widths(extract: Extract, header: Sequence[str], zone: str) -> list[int]:
    """Return the width of each column, in characters, estimated from its header and a sample of the rows."""
    columns = extract.rows.columns
    widths = [_width(pa.array([name])) + 2 for name in header]  # room for the filter's button
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
            f"sheet '{LONG_TEXTS}' has all of it in pieces."
        )
    if long.headers:
        headers = pluralize(long.headers, "header is", "headers are")
        notes.append(
            f"{headers} longer than the {NAME_LENGTH} characters that a table allows: the sheet '{LONG_TEXTS}' has all "
            "of them."
        )
    return notes


def _write_summary(
    archive: ZipArchive,
    extract: Extract,
    about: ReportMetadata,
    facts: Sequence[tuple[str, str]],
    meanings: Sequence[tuple[str, str]],
    page: PageSize,
    long: LongTexts,
) -> Sheet:
    made = summary_sheet.summary_sheet(about.title, about.description, facts, extract.summary, meanings, page, long)
    _put(archive, made.sheet.path, made.sheet.begin_xml + made.rows_xml + made.sheet.end_xml)
    return made.sheet


def _meanings(extract: Extract, layout: _Layout, labels: bool) -> list[tuple[str, str]]:
    """Return the header and the meaning of each column that needs one, for the summary.

    The meaning begins with the label, or with the technical name if the header has labels. Columns whose header says
    all that is known of them, such as account attributes, are counted in the last pair.
    """
    explained: list[tuple[str, str]] = []
    for place, (column, header) in enumerate(zip(extract.rows.columns, layout.header, strict=True)):
        other = column.name if labels else column.label
        texts = [other] if other and (column.doc or _letters(other) != _letters(header)) else []
        if column.doc:
            texts.append(column.doc)
        if texts and len(explained) < _MOST_EXPLAINED:
            explained.append((header, ": ".join(texts) + (" (hidden)" if place in layout.hidden else "")))
    others = len(layout.header) - len(explained)
    if explained and others:
        explained.append(("", f"{pluralize(others, 'more column', 'more columns')}, named as in the data."))
    return explained


def _letters(name: str) -> str:
    """Return the letters and digits of a name in lower case: `displayName` and `Display name` have the same."""
    return "".join(filter(str.isalnum, name)).lower()


def _facts(extract: Extract, about: ReportMetadata, options: WriteOptions) -> list[tuple[str, str | int]]:
    part = [("Part", extract.rows.name)] if extract.rows.name else []
    loaded = [("Loaded", format_time(about.loaded_at, options.zone))] if about.loaded else []
    gaps = [("Data", about.gaps)] if about.gaps else []
    org = [("Organization", about.org)] if about.org else []
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
        (encodable(fact), long.shorten_text(encodable(value), ABOUT, f"B{row}") if isinstance(value, str) else value)
        for row, (fact, value) in enumerate(facts, 2)
    ]


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
    sheet = Sheet(number, ABOUT, f"A1:B{len(facts) + 1}", (24, 100), page=page)
    rows = "".join(row_xml(row, fact, WRAPPED) for row, fact in enumerate(facts, 2))
    _put(archive, sheet.path, sheet.begin_xml + header_xml(("Fact", "Value")) + rows + sheet.end_xml)
    return sheet


def _put(archive: ZipArchive, name: str, text: str) -> None:
    with archive.entry(name) as place:
        place.write_bytes(text.encode())
