"""Page layout: orientation of the paper, widths of columns, and distribution of columns over pages.

Lengths are in points unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from whohas.engine.statement import ResultColumn
from whohas.formats.base import PageSize

PAPER: dict[PageSize, tuple[float, float]] = {"a4": (595.28, 841.89), "letter": (612.0, 792.0)}
MARGIN = 28.0
FOOTER = 16.0
"""Height of the footer."""

SIZES = (7.0, 6.0)
"""Font sizes, the preferred one first."""
READABLE_SIZES = (9.0, 8.5, 8.0, 7.5, 7.0)
"""Font sizes of a readable report, the preferred one first."""
SMALL_SIZES = (6.5, 6.0)
"""Font sizes of a readable report with many columns."""
LEADING = 1.2
"""Distance between two baselines of a cell, in ems."""
ROW_PADDING = 0.24
"""Padding of a row above its first line, and below its last one, in ems."""
BASELINE = ROW_PADDING + 0.93
"""Distance from the top of a row to its first baseline, in ems."""
COLUMN_GAP = 0.8
"""Gap between the texts of two columns, in ems."""

_LEAST = 5.5
"""Minimum width of a column, in ems: a character shown by its code point, such as `[U+202E]`, fits."""
_USUAL = 0.95
"""Share of the cells that fit on one line if columns are divided into panels."""
_WIDEST = 0.5
"""Maximum share of the page width of a column in a panel: `_KEY` for a key column, which is repeated in each panel, and
`_KEYS` for all key columns together."""
_KEY = 0.2
_KEYS = 0.4
_LINES = 3.0
"""If rows have more lines on average, columns are divided into panels, provided that this needs less paper."""
_FEW_LINES = 1.3
"""If rows of a readable report have more lines on average, a smaller font or the other orientation is tried first."""
_SOME_LINES = 2.0
"""The same in landscape, before the columns are divided into panels."""
_SPREAD, _READABLE_SPREAD = 1.5, 2.5
"""Maximum factor by which columns are widened to fill the page."""


@dataclass(frozen=True, slots=True)
class ColumnWidths:
    """Measured widths of a column, in ems.

    Attributes:
        header: width of the header on one line.
        longest_part: width of the longest unbreakable part of the header.
        cells: widths of a sample of the cells on one line.
        longest_word: width of the longest unbreakable part of cells, within limits; 0 if it was not measured.
    """

    header: float
    longest_part: float
    cells: np.ndarray
    longest_word: float = 0.0

    @property
    def preferred_width(self) -> float:
        return max(self.header, float(self.cells.max(initial=0.0)), _LEAST)

    @property
    def minimum_width(self) -> float:
        return min(self.preferred_width, max(self.longest_part, _LEAST))

    def usual_width(self, limit: float) -> float:
        """Return the width that most cells need, at most `limit`."""
        cells = float(np.quantile(self.cells, _USUAL)) if self.cells.size else 0.0
        return max(self.minimum_width, min(limit - COLUMN_GAP, max(self.header, cells)))


@dataclass(frozen=True, slots=True)
class Panel:
    """The columns that share a page, with the width of the text of each, in ems."""

    columns: tuple[int, ...]
    widths: tuple[float, ...]

    def column_steps(self) -> tuple[float, ...]:
        """Return the distance from the start of each column to the start of the next one, or to the edge, in ems."""
        return tuple(width + COLUMN_GAP for width in self.widths)


@dataclass(frozen=True, slots=True)
class PageLayout:
    """The page layout of a report.

    A wide report has several panels: each range of rows is printed on one page per panel, one after another.

    Attributes:
        width: width of the paper; `height` is its height.
        size: font size.
        panels: at least one group of columns.
    """

    width: float
    height: float
    size: float
    panels: tuple[Panel, ...]

    @property
    def inner_width(self) -> float:
        """Width between the margins."""
        return self.width - 2 * MARGIN

    @property
    def top(self) -> float:
        """Height of the upper margin's edge, measured from the bottom of the paper."""
        return self.height - MARGIN

    @property
    def bottom(self) -> float:
        """Height below which no rows are printed, measured from the bottom of the paper."""
        return MARGIN + FOOTER


def choose_layout(columns: Sequence[ResultColumn], measures: Sequence[ColumnWidths], paper: PageSize) -> PageLayout:
    """Choose the layout of a report.

    The first that fits is used: every cell on one line, by font size and then portrait before landscape; landscape in
    the smallest size with cells of several lines; landscape with the columns divided into panels. Panels are also used
    if they need less paper than cells of many lines would.
    """
    short, long = PAPER[paper]
    natural = [measure.preferred_width for measure in measures]
    for size in SIZES:
        for width, height in ((short, long), (long, short)):
            room = (width - 2 * MARGIN) / size - COLUMN_GAP * len(columns)
            if sum(natural) <= room:
                return PageLayout(width, height, size, (_panel(range(len(columns)), natural, room),))
    inner = (long - 2 * MARGIN) / SIZES[-1]
    room = inner - COLUMN_GAP * len(columns)
    panels = tuple(_panels(columns, measures, inner))
    if sum(measure.minimum_width for measure in measures) <= room:
        widths = _squeezed(measures, room)
        if _lines(measures, widths) <= max(_LINES, _paper(measures, panels)):
            panels = (_panel(range(len(columns)), widths, room),)
    return PageLayout(long, short, SIZES[-1], panels)


def choose_readable_layout(
    columns: Sequence[ResultColumn], measures: Sequence[ColumnWidths], paper: PageSize
) -> PageLayout:
    """Choose the layout of a readable report. Its headers may have two lines; times and numbers are never broken.

    The first in which most rows have one line is used, by orientation, portrait before landscape, and then by font
    size. If none is, it is landscape: in the largest size in which most rows have two lines, or else with rows of
    several lines in the smallest size, or with the columns divided into panels of about the same width.
    """
    measures = [_for_people(column, measure) for column, measure in zip(columns, measures, strict=True)]
    short, long = PAPER[paper]
    portrait, landscape = (short, long), (long, short)
    tries = [(portrait, size, _FEW_LINES) for size in READABLE_SIZES]
    tries += [(landscape, size, _FEW_LINES) for size in READABLE_SIZES]
    tries += [(landscape, size, _SOME_LINES) for size in (READABLE_SIZES[-1], *SMALL_SIZES)]
    for (width, height), size, most in tries:
        room = (width - 2 * MARGIN) / size - COLUMN_GAP * len(columns)
        widths = _fitted(measures, room)
        if widths and _lines(measures, widths) <= most:
            return PageLayout(width, height, size, (_panel(range(len(columns)), widths, room, _READABLE_SPREAD),))
    size = READABLE_SIZES[-1]
    panels = tuple(_panels(columns, measures, (long - 2 * MARGIN) / size, balanced=True))
    room = (long - 2 * MARGIN) / SMALL_SIZES[-1] - COLUMN_GAP * len(columns)
    widths = _fitted(measures, room)
    if widths and _lines(measures, widths) <= max(_LINES, _paper(measures, panels)):
        size, panels = SMALL_SIZES[-1], (_panel(range(len(columns)), widths, room, _READABLE_SPREAD),)
    return PageLayout(long, short, size, panels)


def _for_people(column: ResultColumn, measure: ColumnWidths) -> ColumnWidths:
    """Return the widths of a column whose header may have two lines, and whose cells break only between words."""
    part = max(measure.longest_part, measure.longest_word)
    if column.type in ("time", "boolean", "integer"):
        part = max(part, float(measure.cells.max(initial=0.0)))
    if column.type == "integer":  # only a header of one line ends at the right, as the numbers below it do
        part = max(part, measure.header)
    return replace(measure, header=max(part, measure.header / 2), longest_part=part)


def _fitted(measures: Sequence[ColumnWidths], room: float) -> list[float]:
    """Return widths that fit into the room, by which rows have few lines; none if the columns do not fit at all.

    Two ways are compared: one limit for all columns, which suits a few long ones; and each column divided by the same
    number, which suits many columns of middle length. The number is found by bisection.
    """
    if sum(measure.minimum_width for measure in measures) > room:
        return []
    limited = _squeezed(measures, room)
    low, high = 1.0, 100.0
    for _ in range(40):
        middle = (low + high) / 2
        if sum(max(one.minimum_width, one.preferred_width / middle) for one in measures) <= room:
            high = middle
        else:
            low = middle
    divided = [max(one.minimum_width, one.preferred_width / high) for one in measures]
    return min(limited, divided, key=lambda widths: _lines(measures, widths)) if sum(divided) <= room else limited


def _panel(columns: Sequence[int], widths: Sequence[float], room: float, most: float = _SPREAD) -> Panel:
    """Return a panel whose columns are widened by one factor, at most `most`, to fill the page."""
    spread = min(most, room / sum(widths))
    return Panel(tuple(columns), tuple(width * spread for width in widths))


def _squeezed(measures: Sequence[ColumnWidths], room: float) -> list[float]:
    """Return widths that fill the room: each column gets what it needs, up to a limit that is the same for all.

    The limit is found by bisection. Example: columns that need 5, 20 and 30, with room for 45, get 5, 20 and 20.
    """
    low, high = 0.0, room
    for _ in range(40):
        limit = (low + high) / 2
        if sum(min(one.preferred_width, max(one.minimum_width, limit)) for one in measures) <= room:
            low = limit
        else:
            high = limit
    return [min(one.preferred_width, max(one.minimum_width, low)) for one in measures]


def _lines(measures: Sequence[ColumnWidths], widths: Sequence[float]) -> float:
    """Return the expected average number of lines of a row."""
    count = min(len(measure.cells) for measure in measures)
    if not count:
        return 1.0
    rows = [np.ceil(one.cells[:count] / width) for one, width in zip(measures, widths, strict=True)]
    return float(np.maximum.reduce(rows).clip(1).mean())


def _paper(measures: Sequence[ColumnWidths], panels: Sequence[Panel]) -> float:
    """Return the number of lines, summed over the pages of all panels, that a row takes if columns are divided."""
    on_each = [_lines([measures[n] for n in panel.columns], panel.widths) for panel in panels]
    return max(on_each) * len(panels)


def _panels(
    columns: Sequence[ResultColumn], measures: Sequence[ColumnWidths], inner: float, balanced: bool = False
) -> list[Panel]:
    """Return the columns divided into panels, each with the key columns.

    Args:
        inner: the width of a page, in ems.
        balanced: whether the panels get about the same width, instead of as many columns as fit.
    """
    named = [n for n, column in enumerate(columns) if column.key] or [0]
    widths = [measure.usual_width(inner * (_KEY if n in named else _WIDEST)) for n, measure in enumerate(measures)]
    keys: list[int] = []
    for number in named:
        if sum(widths[key] + COLUMN_GAP for key in (*keys, number)) <= inner * _KEYS:
            keys.append(number)
    room = inner - sum(widths[key] + COLUMN_GAP for key in keys)
    others = [number for number in range(len(columns)) if number not in keys]
    shared = _shared(others, widths, room)
    if balanced:
        low, high = 0.0, room
        for _ in range(20):
            middle = (low + high) / 2
            if len(_shared(others, widths, middle)) > len(shared):
                low = middle
            else:
                high = middle
        shared = _shared(others, widths, high)
    panels: list[Panel] = []
    for some in shared:
        every = sorted(keys + some)
        chosen = [widths[one] for one in every]
        panels.append(_panel(every, chosen, max(inner - COLUMN_GAP * len(every), sum(chosen))))
    return panels


def _shared(columns: Sequence[int], widths: Sequence[float], room: float) -> list[list[int]]:
    """Return columns divided into lists that fit, in their order; each list has at least one, the first may be empty.

    Args:
        room: the width of each, in ems.
    """
    shared: list[list[int]] = [[]]
    for number in columns:
        if shared[-1] and sum(widths[one] + COLUMN_GAP for one in (*shared[-1], number)) > room:
            shared.append([])
        shared[-1].append(number)
    return shared
