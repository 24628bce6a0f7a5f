"""The summary of a report on its first page: key figures, and breakdowns as bar charts.

Each chart is a figure with a text of all its numbers for screen readers. No chart needs colour to be understood: series
differ by pattern, and each category has its numbers next to its bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from whohas.engine.summary import BreakdownValue, Category, FigureValue, RowsSummary
from whohas.formats.pdf.layout import LEADING, MARGIN, PageLayout
from whohas.formats.pdf.operators import join_tokens, operation
from whohas.formats.pdf.shaping import Shaper
from whohas.formats.pdf.title import BLACK, BOLD, DARK, REGULAR, TitleLine, paragraph, space, text_at, text_units

ACCENT_SPACE: Final = b"/A"
"""The name of the colour space of the accent colour in the resources of a page."""
_ACCENT: Final = b"/A cs 0.09 0.36 0.62 sc"
_WHITE: Final = b"1 g"
_PALE: Final = b"0.87 g"

_GAP: Final = 16.0
"""Gap between two charts or key figures side by side, in points."""
_LEAST_FIGURE, _MOST_FIGURE = 84.0, 150.0
_LEAST_CHART: Final = 225.0
"""Least and largest width of a key figure, and least width of a chart, in points."""
_VALUE, _LABEL, _TEXT = 14.0, 7.5, 7.0
"""Font sizes of the value of a key figure, of its label, and of all other texts, in points."""
_CHART_TITLE: Final = 8.0
"""Font size of the title of a breakdown, in points."""
_OUTLINE: Final = 0.8
"""Width of the outline of the pattern that is white inside, in points."""
_RULE: Final = 1.2
_BAR, _PITCH = 7.0, 11.0
"""Height of a bar, and distance between two of them, in points."""
_NAMES: Final = 0.5
"""Largest share of the width of a chart that the names of its categories get."""
_SWATCH: Final = 7.0
_PATTERNS: Final = {"enabled": 0, "locked": 1, "disabled": 2, "unknown": 3}
"""The patterns of series with these names. Any other has that of its index."""


def summary_lines(summary: RowsSummary, layout: PageLayout, bold: Shaper, regular: Shaper) -> list[TitleLine]:
    """Return the lines of the summary: the key figures, then the charts, then the breakdowns with a single category as
    texts."""
    fonts = _Fonts(bold, regular)
    figures = _figure_lines(summary.figures, layout, fonts)
    charts = _chart_lines([breakdown for breakdown in summary.breakdowns if breakdown.charted], layout, fonts)
    texts = (_text_lines(breakdown, layout, fonts) for breakdown in summary.breakdowns if not breakdown.charted)
    return [*figures, *charts, *(line for lines in texts for line in lines)]


@dataclass(frozen=True, slots=True)
class _Fonts:
    bold: Shaper
    regular: Shaper

    def text(self, text: str, x: float, y: float, size: float, room: float, font: bytes = REGULAR) -> bytes:
        """Return operators that draw a text on one line, shortened to `room` points, with its baseline at `y`."""
        shaper = self.bold if font == BOLD else self.regular
        units = text_units(room, size)
        line = shaper.single_line(shaper.truncated(text, units), units)
        return join_tokens(b"BT", *text_at(x, y, font, size, line), b"ET\n")

    def width(self, text: str, size: float, font: bytes = REGULAR) -> float:
        """Return the width of a text in points."""
        return (self.bold if font == BOLD else self.regular).width(text) * size / 1000


def _side_by_side(count: int, width: float, least: float) -> tuple[int, float]:
    """Return how many of `count` things stand side by side, in rows of about the same length, and their width."""
    most = max(1, int((width + _GAP) / (least + _GAP)))
    rows = -(-count // most)
    columns = -(-count // rows)
    return columns, (width + _GAP) / columns - _GAP


# --- key figures


def _figure_lines(figures: Sequence[FigureValue], layout: PageLayout, fonts: _Fonts) -> list[TitleLine]:
    if not figures:
        return []
    columns, width = _side_by_side(len(figures), layout.inner_width, _LEAST_FIGURE)
    width = min(width, _MOST_FIGURE)
    lines: list[TitleLine] = []
    for start in range(0, len(figures), columns):
        row = figures[start : start + columns]
        labels = [fonts.regular.lines(f"{figure.label} ", text_units(width, _LABEL)) for figure in row]
        shares = any(figure.percent is not None for figure in row)
        height = _RULE + _VALUE * 1.3 + max(map(len, labels)) * _LABEL * LEADING + shares * _TEXT * LEADING + 6
        for place, (figure, label) in enumerate(zip(row, labels, strict=True)):
            part = _Figure(figure, label, MARGIN + place * (width + _GAP), width, height if place else 0.0, fonts)
            lines.append(TitleLine(part.draw, 0.0 if place else height, "P"))
    return [*lines, space(4)]


@dataclass(frozen=True, slots=True)
class _Figure:
    """A key figure: a rule, the value, the label and the share.

    Attributes:
        label: the lines of the label, as contents of PDF strings.
        above: how far its top is above the top that it is drawn at, because the figure at the left was drawn before.
    """

    figure: FigureValue
    label: Sequence[bytes]
    left: float
    width: float
    above: float
    fonts: _Fonts

    def draw(self, top: float) -> bytes:
        top += self.above
        drawn = [_ACCENT, operation(b"re", self.left, top - _RULE, self.width, _RULE), b"f", BLACK, b"\n"]
        y = top - _RULE - _VALUE * 1.1
        drawn.append(self.fonts.text(f"{self.figure.value:,} ", self.left, y, _VALUE, self.width, BOLD))
        y -= _VALUE * 0.2
        for line in self.label:
            y -= _LABEL * LEADING
            drawn += [b"BT", *text_at(self.left, y, REGULAR, _LABEL, line), b"ET\n"]
        if self.figure.percent is not None:
            y -= _TEXT * LEADING
            share = f"{_percent(self.figure.percent)} of {self.figure.of:,}"
            drawn += [DARK, self.fonts.text(share, self.left, y, _TEXT, self.width), BLACK, b"\n"]
        return join_tokens(*drawn)


def _percent(percent: float) -> str:
    """Return a percentage with one decimal: neither 0 nor 100 for a share that is not all or nothing."""
    if 0 < percent < 0.1:
        return "under 0.1 %"
    if 99.9 < percent < 100:
        return "over 99.9 %"
    return f"{percent:.1f} %"


# --- breakdowns


def _text_lines(breakdown: BreakdownValue, layout: PageLayout, fonts: _Fonts) -> list[TitleLine]:
    """Return a breakdown as texts: its title, and below it each category with its numbers."""
    lines = paragraph(breakdown.label, fonts.bold, BOLD, _CHART_TITLE, layout.inner_width, "P")
    for category in breakdown.rows:
        text = f"{category.name}: {_numbers_in_words(breakdown, category)}"
        lines += paragraph(text, fonts.regular, REGULAR, _TEXT, layout.inner_width, "P")
    return [*lines, space(_GAP / 4)]


def _chart_lines(breakdowns: Sequence[BreakdownValue], layout: PageLayout, fonts: _Fonts) -> list[TitleLine]:
    lines: list[TitleLine] = []
    if not breakdowns:
        return lines
    columns, width = _side_by_side(len(breakdowns), layout.inner_width, _LEAST_CHART)
    for start in range(0, len(breakdowns), columns):
        charts = [
            _Chart(breakdown, MARGIN + place * (width + _GAP), width, fonts)
            for place, breakdown in enumerate(breakdowns[start : start + columns])
        ]
        height = max(chart.height for chart in charts) + _GAP / 2
        for place, chart in enumerate(charts):
            above = height if place else 0.0
            box = (chart.left, above - chart.height, chart.left + width, above)
            lines.append(
                TitleLine(
                    lambda top, chart=chart, above=above: chart.draw(top + above),
                    0.0 if place else height,
                    "Figure",
                    alternative_text(chart.breakdown),
                    box,
                )
            )
    return lines


def alternative_text(breakdown: BreakdownValue) -> str:
    """Return a text for screen readers that says all numbers of a chart.

    Example: `Accounts by source and state, a bar chart. Payroll: 12 (10 enabled, 2 disabled). 3 more: 5 (5 enabled).`
    """
    parts = (f"{category.name}: {_numbers_in_words(breakdown, category)}." for category in breakdown.rows)
    return " ".join((f"{breakdown.label}, a bar chart.", *parts))


def _numbers_in_words(breakdown: BreakdownValue, category: Category) -> str:
    total = f"{category.total:,}"
    if not breakdown.divided:
        return total
    named = (
        f"{number:,} {series}"
        for number, series in zip(category.numbers, breakdown.series, strict=True)
        if number or len(breakdown.series) == 1
    )
    return f"{total} ({', '.join(named)})"


@dataclass(frozen=True, slots=True)
class _Chart:
    """A bar chart: its title, a legend if its categories are divided, and a row for each category."""

    breakdown: BreakdownValue
    left: float
    width: float
    fonts: _Fonts

    @property
    def height(self) -> float:
        rows = len(self.breakdown.rows) + self.breakdown.divided
        return _CHART_TITLE * LEADING * 1.2 + rows * _PITCH + 2

    def draw(self, top: float) -> bytes:
        y = top - _CHART_TITLE
        drawn = [self.fonts.text(self.breakdown.label, self.left, y, _CHART_TITLE, self.width, BOLD)]
        y = top - _CHART_TITLE * LEADING * 1.2
        if self.breakdown.divided:
            y -= _PITCH
            drawn.append(self._legend(y))
        rows = self.breakdown.rows
        texts = [self._numbers(category) for category in rows]
        numbers_width = max(self.fonts.width(text, _TEXT) for text in texts)
        names = min(max(self.fonts.width(category.name, _TEXT) for category in rows) + 2, self.width * _NAMES)
        start = self.left + names + 5
        room = max(10.0, self.left + self.width - numbers_width - 5 - start)
        listed = len(self.breakdown.categories)
        most = max((category.total for category in rows[:listed]), default=0) or 1
        for place, (category, text) in enumerate(zip(rows, texts, strict=True)):
            y -= _PITCH
            drawn.append(self.fonts.text(f"{category.name} ", self.left, y + 1.6, _TEXT, names + 3))
            length = 0.0
            if place < listed:  # the further categories together may have many times the largest number
                drawn.append(self._bar(category, start, y, room / most))
                length = room * category.total / most
            end = start + length + 4
            drawn.append(self.fonts.text(f" {text} ", end - self._space, y + 1.6, _TEXT, numbers_width + 10))
        height = _PITCH * len(rows) + 1
        drawn += [DARK, operation(b"re", start - 0.5, y - 1, 0.5, height), b"f", BLACK, b"\n"]
        return join_tokens(*drawn)

    @property
    def _space(self) -> float:
        return self.fonts.width(" ", _TEXT)

    def _numbers(self, category: Category) -> str:
        """Return the numbers next to a bar: `12`, or `12: 10 / 0 / 2` if there are several series."""
        if len(self.breakdown.series) == 1:
            return f"{category.total:,}"
        return f"{category.total:,}: {' / '.join(f'{number:,}' for number in category.numbers)}"

    def _bar(self, category: Category, start: float, y: float, scale: float) -> bytes:
        drawn: list[bytes] = []
        for place, number in enumerate(category.numbers):
            if number:
                width = max(number * scale, 0.4)
                drawn.append(_filled(self._pattern(place), start, y, width))
                start += width
        return join_tokens(*drawn)

    def _pattern(self, place: int) -> int:
        """Return the pattern of the series at an index: the same for one state in all reports."""
        return _PATTERNS.get(self.breakdown.series[place], place)

    def _legend(self, y: float) -> bytes:
        drawn: list[bytes] = []
        x = self.left
        for place, series in enumerate(self.breakdown.series):
            left = self.left + self.width - x - _SWATCH - 3
            if left < _SWATCH:
                break
            drawn.append(_filled(self._pattern(place), x, y, _SWATCH))
            separator = " / " if place + 1 < len(self.breakdown.series) else " "
            drawn.append(self.fonts.text(f"{series}{separator}", x + _SWATCH + 3, y + 1.6, _TEXT, left))
            x += _SWATCH + 3 + self.fonts.width(f"{series}{separator}", _TEXT) + 4
        return join_tokens(*drawn)


def _filled(pattern: int, x: float, y: float, width: float) -> bytes:
    """Return operators that fill a rectangle of a bar in a pattern.

    The patterns differ in print without colour too: dark blue, light grey with lines, black, white with an outline.
    """
    box = operation(b"re", x, y, width, _BAR)
    match pattern % 4:
        case 0:
            return join_tokens(_ACCENT, box, b"f", BLACK, b"\n")
        case 1:
            lines = [operation(b"re", x + n * 2.0 + 0.6, y, 0.6, _BAR) for n in range(int((width + 0.8) / 2.0))]
            return join_tokens(_PALE, box, b"f", DARK if lines else b"", *lines, b"f" if lines else b"", BLACK, b"\n")
        case 2:
            return join_tokens(b"0.2 g", box, b"f", BLACK, b"\n")
        case _:
            outlined = width > 3 * _OUTLINE
            box_inside = (x + _OUTLINE, y + _OUTLINE, width - 2 * _OUTLINE, _BAR - 2 * _OUTLINE)
            inside = operation(b"re", *box_inside) if outlined else b""
            return join_tokens(DARK, box, b"f", *((_WHITE, inside, b"f") if inside else ()), BLACK, b"\n")
