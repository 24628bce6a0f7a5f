"""Where the table lies in the rows of an export: preamble, header, rows, footer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from whohas.warehouse.intake.footers import FOOTER, is_footer

Record = tuple[int, list[str]]
"""The physical line or row on which a record begins, from 1, and its cells."""

_LOOKED_AT = 300
_FOOTERS = 10
_SHORT = 0.05
"""The share of short rows above which they are no accident."""
_NO_NAME = re.compile(r"[\d\s.,:/+-]*")
"""A number or a date: no name of a column."""


@dataclass(frozen=True, slots=True)
class Arranged:
    """The table that was found.

    Attributes:
        skip: physical lines before the header.
        header: the names; without an empty last one.
        trailing: whether the header ends in a delimiter, so that a nameless empty column follows.
        rows: the rows, each as long as the header.
        short: rows with fewer cells than the header, if so many have that they are written so.
        odd: lines of rows with another number of cells that are not short.
        footer: rows at the end that are no data.
    """

    skip: int
    header: list[str]
    trailing: bool
    rows: list[list[str]]
    short: int
    odd: list[int]
    footer: int


def arrange(records: Sequence[Record]) -> Arranged | None:
    """Return the table in the records of a file, or None if it has no header.

    The width is what most rows have; the header is the first row of about that width whose cells are mostly filled.

    Example: `["Staff list"], [], ["No", "Name"], ["1", "Ann"], ["Total: 1"]` -> skip 2, header No and Name, one row,
    footer 1.
    """
    filled = [(line, cells) for line, cells in records if any(cell.strip() for cell in cells)]
    if not filled:
        return None
    width = width_of([cells for _, cells in filled[:_LOOKED_AT]])
    widest = max(len(cells) for _, cells in filled[1 : _LOOKED_AT + 1]) if len(filled) > 1 else 0
    if _is_wide_header(filled[0][1], width, widest):
        start = 0
    else:
        start = next((place for place, (_, cells) in enumerate(filled) if _is_header(cells, width)), 0)
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
    return Arranged(line - 1, header, trailing, rows, short, odd, footer)


def width_of(rows: Sequence[Sequence[str]]) -> int:
    """Return the number of cells that most rows have; of two as frequent the larger."""
    counts = Counter(len(cells) for cells in rows)
    return max(counts, key=lambda width: (counts[width], width)) if counts else 0


def consistency(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Return how alike the rows of a reading are, as the share of rows of its width, and that width."""
    width = width_of(rows)
    return (sum(len(cells) == width for cells in rows) / len(rows) if rows and width > 1 else 0.0), width


def _filled(cells: Sequence[str]) -> int:
    return sum(1 for cell in cells if cell.strip())


def _is_header(cells: Sequence[str], width: int) -> bool:
    names = [cell.strip().casefold() for cell in cells if cell.strip()]
    return abs(len(cells) - width) <= 1 and len(names) >= max(1, 0.6 * width) and len(set(names)) > len(names) / 2


def _is_wide_header(cells: Sequence[str], width: int, widest: int) -> bool:
    """Whether the first row names more columns than most rows have cells, as where empty cells at the end are left out.

    A line before the header may have more cells than the rows too, but hardly a name in each of them.
    """
    names = [cell.strip().casefold() for cell in cells]
    return (
        2 < width < len(names) - 1
        and len(names) >= widest
        and len(set(names)) == len(names)
        and not any(_NO_NAME.fullmatch(name) for name in names)
    )


def _has_short(data: Sequence[Record], width: int) -> bool:
    """Whether so many rows have fewer cells than the header that these are no footers or accidents."""
    rows = data[:-_FOOTERS] if len(data) > _FOOTERS else data
    return sum(1 < len(cells) < width for _, cells in rows) > max(1, _SHORT * len(rows))


def _is_footer(cells: Sequence[str], width: int, usual: float, short: bool) -> bool:
    """Whether a row at the end is no data: too short, or nearly empty and worded like a total."""
    if width == 1:
        return bool(FOOTER.match(cells[0].strip())) and " " in cells[0].strip()
    first = next(cell.strip() for cell in cells if cell.strip())
    few = _filled(cells) <= max(1, usual / 2)
    if is_footer(cells, usual):
        return True
    return few and (
        (len(cells) < width and not short)
        or bool(FOOTER.match(first))
        or (_filled(cells) == 1 and not cells[0].strip())
    )


def _fitted(cells: list[str], width: int, short: bool) -> list[str] | None:
    if len(cells) == width:
        return cells
    if short and len(cells) < width:
        return [*cells, *[""] * (width - len(cells))]
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return cells[:width]
    return None
