"""Title block of the first page, header row of each panel, and footer of each page, as PDF operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whohas.engine.statement import Column
from whohas.formats.base import About
from whohas.formats.metadata import facts
from whohas.formats.pdf.layout import ABOVE_AND_BELOW, BASELINE, LEADING, MARGIN, SIDES, Layout, Panel
from whohas.formats.pdf.operators import joined, operation, shown
from whohas.formats.pdf.shaping import Shaper
from whohas.formats.pdf.typesetter import NEXT_LINE

BOLD, REGULAR = b"/B", b"/R"
GREY, LIGHT, DARK, BLACK = b"0.85 g", b"0.955 g", b"0.35 g", b"0 g"
"""Operators that set the fill colour: 0 is black, 1 is white."""

FOOT = 7.0
"""Font size of the footer, in points."""

_TITLE, _TEXT = 15.0, 8.0
_LABELS = 72.0
"""Width of the labels of the title block, in points."""
_GAP = 10.0
_NO_ROWS = "No rows: nothing in this snapshot is what the report asks for."


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the title block.

    Attributes:
        draw: returns the operators that draw the line, given the height of its top above the bottom of the paper.
        height: height in points.
        role: structure type of the line for screen readers, `H1` or `P`; empty if it continues the line before it.
    """

    draw: Callable[[float], bytes]
    height: float
    role: str


def title_block(
    about: About, rows: int, zone: str, columns: int, layout: Layout, bold: Shaper, regular: Shaper
) -> list[Line]:
    """Return the lines of the title block, from top to bottom.

    Args:
        rows: number of rows of the report; a sentence says so if it is 0.
        zone: the IANA time zone of times.
        columns: number of columns of the report.
    """
    lines = _paragraph(about.title, bold, BOLD, _TITLE, layout.inner, "H1")
    lines += _paragraph(about.description, regular, REGULAR, _TEXT, layout.inner, "P")
    lines.append(_space(_TEXT / 2))
    for label, value in _metadata_lines(about, rows, zone, columns, layout):
        lines += _labelled_lines(label, value, layout.inner, bold, regular)
    if not rows:
        lines.append(_space(_GAP))
        lines += _paragraph(_NO_ROWS, bold, BOLD, _TEXT, layout.inner, "P")
    return [*lines, _space(_GAP)]


def _metadata_lines(about: About, rows: int, zone: str, columns: int, layout: Layout) -> list[tuple[str, str]]:
    lines = facts(about, rows, zone)
    if len(layout.panels) > 1:
        lines.append(("Columns", f"{columns}, on {len(layout.panels)} pages side by side"))
    return lines


def _paragraph(text: str, shaper: Shaper, font: bytes, size: float, width: float, role: str) -> list[Line]:
    """Return the lines of a text that is broken to a width in points."""
    lines = shaper.lines(text, _units(width, size))
    return [
        Line(_drawing([(MARGIN, font, size, line)]), size * LEADING, role if not n else "")
        for n, line in enumerate(lines)
    ]


def _labelled_lines(label: str, value: str, width: float, bold: Shaper, regular: Shaper) -> list[Line]:
    """Return the lines of a label and its value, which is broken into lines to the right of the label."""
    label_line = bold.lines(label, _units(_LABELS, _TEXT))[0]
    lines = regular.lines(value, _units(width - _LABELS, _TEXT))
    first = [(MARGIN, BOLD, _TEXT, label_line), (MARGIN + _LABELS, REGULAR, _TEXT, lines[0])]
    rest = [[(MARGIN + _LABELS, REGULAR, _TEXT, line)] for line in lines[1:]]
    return [
        Line(_drawing(texts), _TEXT * LEADING * 1.1, "P" if not n else "") for n, texts in enumerate([first, *rest])
    ]


def _drawing(texts: Sequence[tuple[float, bytes, float, bytes]]) -> Callable[[float], bytes]:
    """Return `Line.draw` for texts on one line: left edge, font, size and string content of each."""

    def draw(top: float) -> bytes:
        tokens = [token for x, font, size, line in texts for token in _text_at(x, top - size, font, size, line)]
        return joined(b"BT", *tokens, b"ET\n")

    return draw


def _space(height: float) -> Line:
    return Line(lambda _: b"", height, "")


def _units(width: float, size: float) -> int:
    """Return a width in points as thousandths of an em at a font size."""
    return int(width / size * 1000)


@dataclass(frozen=True, slots=True)
class Header:
    """The header row of a panel.

    Attributes:
        cells: the lines of each cell, as contents of PDF strings.
        spare: by how much each cell is moved to the right, in thousandths of an em.
    """

    cells: tuple[tuple[bytes, ...], ...]
    spare: tuple[int, ...]
    panel: Panel
    layout: Layout

    @property
    def height(self) -> float:
        """Height in points."""
        lines = max(len(cell) for cell in self.cells)
        return (lines * LEADING + ABOVE_AND_BELOW * 2) * self.layout.size

    def ground(self, top: float) -> bytes:
        """Return operators that draw the grey bar behind the header row.

        Args:
            top: its upper edge, in points above the bottom of the paper.
        """
        box = (MARGIN, top - self.height, self.layout.inner, self.height)
        return joined(GREY, operation(b"re", *box), b"f", BLACK, b"\n")

    def text(self, top: float, marks: Sequence[bytes]) -> bytes:
        """Return operators that draw the cells.

        Args:
            top: upper edge of the header row, in points above the bottom of the paper.
            marks: for each cell, the operator that begins its marked content (BDC); empty if it is not tagged.
        """
        size = self.layout.size
        at = (MARGIN + SIDES / 2 * size, top - BASELINE * size)
        drawn = [b"BT", operation(b"Tf", BOLD, 1), operation(b"Tm", size, 0, 0, size, *at), operation(b"TL", LEADING)]
        for cell, spare, step, mark in zip(self.cells, self.spare, self.panel.steps(), marks, strict=True):
            back = (len(cell) - 1) * LEADING
            first = shown((-spare, cell[0])) if spare else b"(%b)Tj" % NEXT_LINE.join(cell)
            drawn += [mark, first, b"EMC" if mark else b"", operation(b"Td", step, back)]
        return joined(*drawn, b"ET\n")


def header(columns: Sequence[Column], panel: Panel, layout: Layout, bold: Shaper) -> Header:
    """Return the header row of a panel."""
    cells: list[tuple[bytes, ...]] = []
    spare: list[int] = []
    for place, width in zip(panel.columns, panel.widths, strict=True):
        column, room = columns[place], int(width * 1000)
        cells.append(bold.lines(column.name, room, True))
        # align the header of a column of numbers to the right, like its cells
        ends_right = column.type == "integer" and len(cells[-1]) == 1 and b")Tj" not in cells[-1][0]
        spare.append(max(0, room - bold.width(column.name)) if ends_right else 0)
    return Header(tuple(cells), tuple(spare), panel, layout)


def foot(about: About, layout: Layout, regular: Shaper) -> bytes:
    """Return operators that draw the left part of the footer: organisation, title and run id."""
    names = " · ".join(name for name in (about.org, about.title) if name)
    # Reserve the same width for every run id, so that names are shortened alike in each run. The title block has them
    # in full.
    rest = regular.width(" · run " + "d" * len(about.run))
    room = _units(layout.inner * 0.8, FOOT)
    text = " · ".join(part for part in (regular.head(names, room - rest), f"run {about.run}") if part)
    line = regular.line(text, room)
    return joined(DARK, b"BT", *_text_at(MARGIN, MARGIN, REGULAR, FOOT, line), b"ET", BLACK)


def page_number(text: str, x: float) -> bytes:
    """Return operators that draw a part of the page number in the footer.

    Args:
        text: ASCII without parentheses or backslashes, since it is not escaped.
        x: left edge, in points.
    """
    return joined(b"BT", *_text_at(x, MARGIN, REGULAR, FOOT, text.encode()), b"ET")


def _text_at(x: float, y: float, font: bytes, size: float, line: bytes) -> tuple[bytes, ...]:
    """Return tokens that draw a line with its baseline at a position in points."""
    return operation(b"Tf", font, 1), operation(b"Tm", size, 0, 0, size, x, y), b"(%b)Tj" % line
