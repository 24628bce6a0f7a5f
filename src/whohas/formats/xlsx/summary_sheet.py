"""The first sheet of a readable workbook: what the report is, key figures, and breakdowns next to their charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from whohas.engine.summary import BreakdownValue, FigureValue, RowsSummary
from whohas.formats.base import PageSize
from whohas.formats.breakdowns import describe_breakdown, series_label
from whohas.formats.display import encodable
from whohas.formats.xlsx.cells import cell_xml, column_letters, is_formula_like
from whohas.formats.xlsx.charts import BarChart, ChartSeries, drawing_part
from whohas.formats.xlsx.long_texts import LongTexts
from whohas.formats.xlsx.parts import Sheet
from whohas.formats.xlsx.sheet_names import SUMMARY, quoted
from whohas.formats.xlsx.styles import (
    COUNT,
    HEADING,
    LABEL,
    NUMBER_HEADER,
    QUOTE_PREFIXED,
    SHARE,
    TABLE_HEADER,
    TITLE,
    WRAPPED,
    WRAPPED_QUOTED,
)

_LABEL_WIDTH, _NUMBER_WIDTH, _GAP_WIDTH, _CHART_WIDTH = 36, 12, 3, 10
"""Widths of the columns of labels and numbers, of the empty one before the charts, and of those behind the charts."""
_FEWEST_NUMBERS: Final = 3
"""The key figures have a number, a share and the number of which it is the share."""
_CHART_COLUMNS: Final = 8
_PIXELS_PER_COLUMN: Final = 7 * _CHART_WIDTH + 5
_ROW_HEIGHT, _ROW_PIXELS = 15, 20
"""Height of a row in points and in pixels."""
_HEADER_HEIGHT: Final = 18
"""Height of the header of a table, in points."""
_MOST_LINES: Final = 27
"""A row is 409 points high at most."""

_QUOTED: Final = {0: QUOTE_PREFIXED, WRAPPED: WRAPPED_QUOTED}


@dataclass(frozen=True, slots=True)
class SummarySheet:
    """The sheet and the XML of its rows."""

    sheet: Sheet
    rows_xml: str


def summary_sheet(
    title: str,
    description: str,
    facts: Sequence[tuple[str, str]],
    summary: RowsSummary | None,
    meanings: Sequence[tuple[str, str]],
    page: PageSize,
    long: LongTexts,
) -> SummarySheet:
    """Return the first sheet of a workbook.

    Args:
        title: the title of the report.
        description: a sentence on its content.
        facts: pairs of label and value on the run and the file.
        summary: the summary of the rows; None for a run that has none.
        meanings: pairs of a column's header and its meaning.
        page: the paper size.
        long: receives the texts that are too long for a cell.
    """
    breakdowns = summary.breakdowns if summary else ()
    numbers = max((_number_columns(breakdown) for breakdown in breakdowns), default=0)
    writer = _SheetWriter(long, max(numbers, _FEWEST_NUMBERS))
    writer.write_title(title, description)
    for label, value in facts:
        writer.write_fact(label, value)
    if summary and summary.figures:
        writer.write_figures(summary.figures)
    for breakdown in breakdowns:
        writer.write_breakdown(breakdown)
    if meanings:
        writer.write_meanings(meanings)
    return writer.finish(page)


def _number_columns(breakdown: BreakdownValue) -> int:
    """Return the number of a breakdown's columns of numbers: one a series, and their total if there are several."""
    return len(breakdown.series) + (len(breakdown.series) > 1)


@dataclass(slots=True)
class _SheetWriter:
    """Writes the rows of the sheet from top to bottom.

    Attributes:
        long: receives the texts that are too long for a cell.
        numbers: the number of the columns of numbers.
        row: the number of the next row, from 1.
        rows: the XML of the rows so far.
        merged: the ranges of merged cells.
        charts: the charts so far.
    """

    long: LongTexts
    numbers: int
    row: int = 1
    rows: list[str] = field(default_factory=list[str])
    merged: list[str] = field(default_factory=list[str])
    charts: list[BarChart] = field(default_factory=list[BarChart])

    @property
    def _widths(self) -> list[int]:
        return [_LABEL_WIDTH, *[_NUMBER_WIDTH] * self.numbers, _GAP_WIDTH, *[_CHART_WIDTH] * _CHART_COLUMNS]

    def write_title(self, title: str, description: str) -> None:
        """Write the title and the description."""
        self._write([(title, TITLE)], height=26)
        self._write_wide(0, description)
        self.row += 1

    def write_fact(self, label: str, value: str) -> None:
        """Write a label and a value, which spans all further columns."""
        self._write_wide(1, value, [(label, LABEL)])

    def write_figures(self, figures: Sequence[FigureValue]) -> None:
        """Write the key figures as a table: number, share, and the number of which it is the share."""
        self._write_heading("Key figures")
        header = [("Figure", TABLE_HEADER), *((name, NUMBER_HEADER) for name in ("Number", "Share", "Of"))]
        self._write(header, height=_HEADER_HEIGHT)
        for figure in figures:
            cells: list[tuple[str | float, int]] = [(figure.label, WRAPPED), (figure.value, COUNT)]
            if figure.of:
                cells += [(figure.value / figure.of, SHARE), (figure.of, COUNT)]
            self._write(cells)

    def write_breakdown(self, breakdown: BreakdownValue) -> None:
        """Write a breakdown as a table, and place its chart next to it unless it would have a single bar."""
        self._write_heading(breakdown.label)
        top = self.row
        several = len(breakdown.series) > 1
        names = [series_label(name) for name in breakdown.series]
        header = [*names, *(["Total"] if several else [])]
        self._write([("Category", TABLE_HEADER), *((name, NUMBER_HEADER) for name in header)], height=_HEADER_HEIGHT)
        taken = _ROW_PIXELS
        for category in breakdown.rows:
            counts = [*category.numbers, *([category.total] if several else [])]
            lines = _lines(category.name, _LABEL_WIDTH)
            self._write([(category.name, WRAPPED), *((number, COUNT) for number in counts)], _ROW_HEIGHT * lines)
            taken += _ROW_PIXELS * lines
        height = self._place_chart(breakdown, names, top) if breakdown.charted else 0
        self.row += max(0, -(-(height - taken) // _ROW_PIXELS))

    def write_meanings(self, meanings: Sequence[tuple[str, str]]) -> None:
        """Write the headers of columns and their meanings, which span all further columns."""
        self._write_heading("Columns")
        self._write([("Header", TABLE_HEADER), ("Meaning", TABLE_HEADER)], height=_HEADER_HEIGHT)
        for header, meaning in meanings:
            self._write_wide(1, meaning, [(header, WRAPPED)])

    def finish(self, page: PageSize) -> SummarySheet:
        """Return the sheet of what was written."""
        last = column_letters(len(self._widths) - 1)
        sheet = Sheet(
            1,
            SUMMARY,
            f"A1:{last}{self.row - 1}",
            self._widths,
            page=page,
            headed=False,
            one_page=True,
            merged=tuple(self.merged),
            parts=(drawing_part(self.charts),) if self.charts else (),
        )
        return SummarySheet(sheet, "".join(self.rows))

    def _write_heading(self, text: str) -> None:
        self.row += 1
        self._write([(text, HEADING)], height=22)

    def _write_wide(self, place: int, text: str, before: Sequence[tuple[str, int]] = ()) -> None:
        """Write a text that spans all columns from a place, in a row as high as its lines need.

        Spreadsheets do not adapt the height of rows to merged cells.
        """
        width = sum(self._widths[place:])
        self.merged.append(f"{column_letters(place)}{self.row}:{column_letters(len(self._widths) - 1)}{self.row}")
        lines = max(_lines(text, width), *(_lines(label, _LABEL_WIDTH) for label, _ in before), 1)
        self._write([*before, (text, WRAPPED)], height=_ROW_HEIGHT * lines)

    def _write(self, cells: Sequence[tuple[str | float, int]], height: int = 0) -> None:
        """Write the next row.

        Args:
            cells: value and style of each cell.
            height: the height in points; 0 to have spreadsheets choose it.
        """
        attributes = f' ht="{height}" customHeight="1"' if height else ""
        content = "".join(self._cell(place, value, style) for place, (value, style) in enumerate(cells))
        self.rows.append(f'<row r="{self.row}"{attributes}>{content}</row>\n')
        self.row += 1

    def _cell(self, place: int, value: str | float, style: int) -> str:
        if isinstance(value, str):
            value = self.long.shorten_text(encodable(value), SUMMARY, f"{column_letters(place)}{self.row}")
            style = _QUOTED.get(style, style) if is_formula_like(value) else style
        return cell_xml(self.row, place, value, style)

    def _place_chart(self, breakdown: BreakdownValue, names: Sequence[str], top: int) -> int:
        """Add the chart of the table whose header is in the row `top`; return its height in pixels."""
        first, last = top + 1, top + len(breakdown.categories)
        series = tuple(
            ChartSeries(
                name,
                _reference(place, top),
                f"{_reference(place, first)}:{_absolute(place, last)}",
                tuple(category.numbers[place - 1] for category in breakdown.categories),
            )
            for place, name in enumerate(names, 1)
        )
        chart = BarChart(
            breakdown.label,
            describe_breakdown(breakdown),
            f"{_reference(0, first)}:{_absolute(0, last)}",
            tuple(encodable(category.name) for category in breakdown.categories),
            series,
            len(self._widths) - _CHART_COLUMNS,
            top - 1,
            _CHART_COLUMNS * _PIXELS_PER_COLUMN,
            breakdown.divided,
        )
        self.charts.append(chart)
        return chart.height


def _lines(text: str, width: int) -> int:
    """Return the estimated number of lines of a text in a cell, at most as many as a row can have.

    Not all spreadsheets adapt the height of rows when they open a workbook.
    """
    return min(sum(max(1, -(-len(line) // (width - 2))) for line in text.split("\n")), _MOST_LINES)


def _reference(place: int, row: int) -> str:
    return f"{quoted(SUMMARY)}!{_absolute(place, row)}"


def _absolute(place: int, row: int) -> str:
    return f"${column_letters(place)}${row}"
