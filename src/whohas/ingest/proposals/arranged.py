"""Locate the table in the rows of an export: lines before the header, header, rows of data, footer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from whohas.ingest.readers.footers import FOOTER_START, is_footer

Record = tuple[int, list[str]]
"""The physical line or row on which a record begins, from 1, and its cells."""

_LOOKED_AT = 300
"""The number of rows that decide the width of the table."""
_FOOTERS = 10
"""The largest number of footer rows."""
_SHORT = 0.05
"""The share of rows with fewer cells than the header above which they count as intended, not as errors."""
_NO_NAME = re.compile(r"[\d\s.,:/+-]*")
"""A number or a date, which cannot be the name of a column."""


@dataclass(frozen=True, slots=True)
class LocatedTable:
    """The table in an export.

    Attributes:
        lines_before_header: number of physical lines before the header.
        header: the names of the columns, without an empty last one.
        trailing: whether the header ends in a delimiter, so that an empty column without a name follows.
        rows: the rows of data, each as long as the header.
        short_rows: number of rows with fewer cells than the header, if the file is written so; otherwise 0.
        misfit_lines: line numbers of rows that have a wrong number of cells and are not in `rows`.
        footer_rows: number of rows at the end that are not data, such as totals.
    """

    lines_before_header: int
    header: list[str]
    trailing: bool
    rows: list[list[str]]
    short_rows: int
    misfit_lines: list[int]
    footer_rows: int


def locate_table(records: Sequence[Record]) -> LocatedTable | None:
    """Return the table in the records of a file, or None if all records are empty.

    The table is as wide as most rows are. The header is the first row of about that width whose cells are mostly
    filled.

    Example: `["Staff list"], [], ["No", "Name"], ["1", "Ann"], ["Total: 1"]` -> skip 2, header No and Name, one row,
    footer 1.
    """
    filled = [(line, cells) for line, cells in records if any(cell.strip() for cell in cells)]
    if not filled:
        return None
    width = usual_width([cells for _, cells in filled[:_LOOKED_AT]])
    widest = max(len(cells) for _, cells in filled[1 : _LOOKED_AT + 1]) if len(filled) > 1 else 0
    if _is_wide_header(filled[0][1], width, widest):
        start = 0
    else:
        start = next((index for index, (_, cells) in enumerate(filled) if _is_header(cells, width)), 0)
    line, header = filled[start]
    header = [name.strip() for name in header]
    trailing = len(header) > 1 and not header[-1]
    data = filled[start + 1 :]
    if trailing and any(len(cells) >= len(header) and cells[len(header) - 1].strip() for _, cells in data):
        trailing = False
    if trailing:
        header = header[:-1]
    has_short = _has_short(data, len(header))
    footer = 0
    usual = sum(_filled(cells) for _, cells in data[:_LOOKED_AT]) / max(1, len(data[:_LOOKED_AT]))
    while footer < min(_FOOTERS, len(data)) and _is_footer(data[-1 - footer][1], len(header), usual, has_short):
        footer += 1
    data = data[: len(data) - footer]
    short = sum(len(cells) < len(header) for _, cells in data) if has_short else 0
    rows: list[list[str]] = []
    odd: list[int] = []
    for number, cells in data:
        fitted = _fitted(cells, len(header), has_short)
        if fitted is None:
            odd.append(number)
        else:
            rows.append(fitted)
    return LocatedTable(line - 1, header, trailing, rows, short, odd, footer)


def usual_width(rows: Sequence[Sequence[str]]) -> int:
    """Return the most frequent number of cells in a row; of two equally frequent numbers the larger. 0 without rows."""
    counts = Counter(len(cells) for cells in rows)
    return max(counts, key=lambda width: (counts[width], width)) if counts else 0


def width_consistency(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Return the share of rows that have the most frequent number of cells, and that number.

    Used to compare delimiters: with the right one, most rows have the same number. The share is 0 for a width of 1.
    """
    width = usual_width(rows)
    return (sum(len(cells) == width for cells in rows) / len(rows) if rows and width > 1 else 0.0), width


def _filled(cells: Sequence[str]) -> int:
    return sum(1 for cell in cells if cell.strip())


def _is_header(cells: Sequence[str], width: int) -> bool:
    names = [cell.strip().casefold() for cell in cells if cell.strip()]
    return abs(len(cells) - width) <= 1 and len(names) >= max(1, 0.6 * width) and len(set(names)) > len(names) / 2


def _is_wide_header(cells: Sequence[str], width: int, widest: int) -> bool:
    """Return whether the first row is a header that is wider than most rows, because they omit empty cells at the end.

    A line before the header may be wider than the rows too, but hardly has a different name in each of its cells.
    """
    names = [cell.strip().casefold() for cell in cells]
    return (
        2 < width < len(names) - 1
        and len(names) >= widest
        and len(set(names)) == len(names)
        and not any(_NO_NAME.fullmatch(name) for name in names)
    )


def _has_short(data: Sequence[Record], width: int) -> bool:
    """Return whether too many rows have fewer cells than the header for these to be footers or errors."""
    rows = data[:-_FOOTERS] if len(data) > _FOOTERS else data
    return sum(1 < len(cells) < width for _, cells in rows) > max(1, _SHORT * len(rows))


def _is_footer(cells: Sequence[str], width: int, usual: float, short: bool) -> bool:
    """Return whether a row at the end is a footer: too short, or nearly empty and with words such as "Total".

    Args:
        cells: the row.
        width: number of columns.
        usual: average number of filled cells in a row.
        short: whether the file's rows omit empty cells at the end, so that a short row may be data.
    """
    if width == 1:
        return bool(FOOTER_START.match(cells[0].strip())) and " " in cells[0].strip()
    first = next(cell.strip() for cell in cells if cell.strip())
    few = _filled(cells) <= max(1, usual / 2)
    if is_footer(cells, usual):
        return True
    return few and (
        (len(cells) < width and not short)
        or bool(FOOTER_START.match(first))
        or (_filled(cells) == 1 and not cells[0].strip())
    )


def _fitted(cells: list[str], width: int, short: bool) -> list[str] | None:
    """Return the row with exactly `width` cells, or None if it has a wrong number of cells."""
    if len(cells) == width:
        return cells
    if short and len(cells) < width:
        return [*cells, *[""] * (width - len(cells))]
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return cells[:width]
    return None
