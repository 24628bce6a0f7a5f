"""What stands above the rows on the first page, and beside them on each: title block, header row, foot of the page."""

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

FOOT = 7.0
"""The size of the line at the foot of a page."""

_TITLE, _TEXT = 15.0, 8.0
_LABELS = 72.0
"""How wide the labels of the title block are."""
_GAP = 10.0
_NO_ROWS = "No rows: nothing in this snapshot is what the report asks for."


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the title block: what it draws, how high it is, and what a screen reader takes it for.

    Attributes:
        draw: from where its top is, to operators.
        role: `H1` or `P`; empty where it goes on with the line before it.
    """

    draw: Callable[[float], bytes]
    height: float
    role: str


def title_block(
    about: About, rows: int, zone: str, columns: int, layout: Layout, bold: Shaper, regular: Shaper
) -> list[Line]:
    """The lines of the title block, from top to bottom."""
    lines = _paragraph(about.title, bold, BOLD, _TITLE, layout.inner, "H1")
    lines += _paragraph(about.description, regular, REGULAR, _TEXT, layout.inner, "P")
    lines.append(_space(_TEXT / 2))
    for label, value in _facts(about, rows, zone, columns, layout):
        lines += _fact(label, value, layout.inner, bold, regular)
    if not rows:
        lines.append(_space(_GAP))
        lines += _paragraph(_NO_ROWS, bold, BOLD, _TEXT, layout.inner, "P")
    return [*lines, _space(_GAP)]


def _facts(about: About, rows: int, zone: str, columns: int, layout: Layout) -> list[tuple[str, str]]:
    told = facts(about, rows, zone)
    if len(layout.panels) > 1:
        told.append(("Columns", f"{columns}, on {len(layout.panels)} pages side by side"))
    return told


def _paragraph(text: str, shaper: Shaper, font: bytes, size: float, width: float, role: str) -> list[Line]:
    lines = shaper.lines(text, _units(width, size))
    return [
        Line(_drawn([(MARGIN, font, size, line)]), size * LEADING, role if not n else "")
        for n, line in enumerate(lines)
    ]


def _fact(label: str, value: str, width: float, bold: Shaper, regular: Shaper) -> list[Line]:
    named = bold.lines(label, _units(_LABELS, _TEXT))[0]
    lines = regular.lines(value, _units(width - _LABELS, _TEXT))
    first = [(MARGIN, BOLD, _TEXT, named), (MARGIN + _LABELS, REGULAR, _TEXT, lines[0])]
    rest = [[(MARGIN + _LABELS, REGULAR, _TEXT, line)] for line in lines[1:]]
    return [Line(_drawn(texts), _TEXT * LEADING * 1.1, "P" if not n else "") for n, texts in enumerate([first, *rest])]


def _drawn(texts: Sequence[tuple[float, bytes, float, bytes]]) -> Callable[[float], bytes]:
    def draw(top: float) -> bytes:
        tokens = [token for x, font, size, line in texts for token in _placed(x, top - size, font, size, line)]
        return joined(b"BT", *tokens, b"ET\n")

    return draw


def _space(height: float) -> Line:
    return Line(lambda _: b"", height, "")


def _units(width: float, size: float) -> int:
    return int(width / size * 1000)


@dataclass(frozen=True, slots=True)
class Header:
    """The header row of a panel: how high it is, in points, and what it draws.

    Attributes:
        cells: the lines of each.
        spare: by how much each is moved to the right, in thousandths of an em.
    """

    cells: tuple[tuple[bytes, ...], ...]
    spare: tuple[int, ...]
    panel: Panel
    layout: Layout

    @property
    def height(self) -> float:
        lines = max(len(cell) for cell in self.cells)
        return (lines * LEADING + ABOVE_AND_BELOW * 2) * self.layout.size

    def ground(self, top: float) -> bytes:
        """The bar behind it."""
        box = (MARGIN, top - self.height, self.layout.inner, self.height)
        return joined(GREY, operation(b"re", *box), b"f", BLACK, b"\n")

    def text(self, top: float, marks: Sequence[bytes]) -> bytes:
        """Its cells, each after its mark."""
        size = self.layout.size
        at = (MARGIN + SIDES / 2 * size, top - BASELINE * size)
        drawn = [b"BT", operation(b"Tf", BOLD, 1), operation(b"Tm", size, 0, 0, size, *at), operation(b"TL", LEADING)]
        for cell, spare, step, mark in zip(self.cells, self.spare, self.panel.steps(), marks, strict=True):
            back = (len(cell) - 1) * LEADING
            first = shown((-spare, cell[0])) if spare else b"(%b)Tj" % NEXT_LINE.join(cell)
            drawn += [mark, first, b"EMC" if mark else b"", operation(b"Td", step, back)]
        return joined(*drawn, b"ET\n")


def header(columns: Sequence[Column], panel: Panel, layout: Layout, bold: Shaper) -> Header:
    """The header row of a panel."""
    cells: list[tuple[bytes, ...]] = []
    spare: list[int] = []
    for place, width in zip(panel.columns, panel.widths, strict=True):
        column, room = columns[place], int(width * 1000)
        cells.append(bold.lines(column.name, room, True))
        # above numbers, which end at the right
        ends_right = column.type == "integer" and len(cells[-1]) == 1 and b")Tj" not in cells[-1][0]
        spare.append(max(0, room - bold.width(column.name)) if ends_right else 0)
    return Header(tuple(cells), tuple(spare), panel, layout)


def foot(about: About, layout: Layout, regular: Shaper) -> bytes:
    """What stands at the left of each page's foot."""
    names = " · ".join(one for one in (about.org, about.title) if one)
    # as wide for each run, so that the names are as long; what is left out stands in the title block
    rest = regular.width(" · run " + "d" * len(about.run))
    room = _units(layout.inner * 0.8, FOOT)
    text = " · ".join(one for one in (regular.head(names, room - rest), f"run {about.run}") if one)
    line = regular.line(text, room)
    return joined(DARK, b"BT", *_placed(MARGIN, MARGIN, REGULAR, FOOT, line), b"ET", BLACK)


def page_number(text: str, x: float) -> bytes:
    """A part of the right of each page's foot: ASCII without parentheses."""
    return joined(b"BT", *_placed(x, MARGIN, REGULAR, FOOT, text.encode()), b"ET")


def _placed(x: float, y: float, font: bytes, size: float, line: bytes) -> tuple[bytes, ...]:
    return operation(b"Tf", font, 1), operation(b"Tm", size, 0, 0, size, x, y), b"(%b)Tj" % line
