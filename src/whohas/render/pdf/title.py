"""What stands above the rows on the first page, and beside them on each: title block, header row, foot of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whohas.engine.statement import Column
from whohas.render.definition import About
from whohas.render.facts import facts
from whohas.render.pdf.layout import ABOVE_AND_BELOW, LEADING, MARGIN, SIDES, Layout, Panel
from whohas.render.pdf.shaping import Shaper
from whohas.render.pdf.text import NEXT_LINE

BOLD, REGULAR = b"/B", b"/R"
GREY, LIGHT, BLACK = b"0.85 g", b"0.955 g", b"0 g"

_TITLE, _TEXT = 15.0, 8.0
_LABELS = 72.0
"""How wide the labels of the title block are."""
_GAP = 10.0


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
        return b"BT" + b"".join(
            b"%b 1 Tf %b 0 0 %b %b %b Tm(%b)Tj" % (font, *map(number, (size, size, x, top - size)), line)
            for x, font, size, line in texts
        ) + b" ET\n"  # fmt: skip

    return draw


def _space(height: float) -> Line:
    return Line(lambda _: b"", height, "")


def _units(width: float, size: float) -> int:
    return int(width / size * 1000)


@dataclass(frozen=True, slots=True)
class Header:
    """The header row of a panel: how high it is, in points, and what it draws."""

    cells: tuple[tuple[bytes, ...], ...]
    panel: Panel
    layout: Layout

    @property
    def height(self) -> float:
        lines = max(len(cell) for cell in self.cells)
        return (lines * LEADING + ABOVE_AND_BELOW * 2) * self.layout.size

    def ground(self, top: float) -> bytes:
        """The bar behind it."""
        box = map(number, (MARGIN, top - self.height, self.layout.inner, self.height))
        return b"%b %b %b %b %b re f %b\n" % (GREY, *box, BLACK)

    def text(self, top: float, marks: Sequence[bytes]) -> bytes:
        """Its cells, each after its mark."""
        size = self.layout.size
        drawn = b"BT/B 1 Tf %b 0 0 %b %b %b Tm %b TL" % (
            number(size), number(size), number(MARGIN + SIDES / 2 * size),
            number(top - (ABOVE_AND_BELOW + 0.93) * size), number(LEADING),
        )  # fmt: skip
        for cell, step, mark in zip(self.cells, self.panel.steps(), marks, strict=True):
            back = (len(cell) - 1) * LEADING
            end = b"EMC " if mark else b""
            drawn += b"%b(%b)Tj %b%b %b Td" % (mark, NEXT_LINE.join(cell), end, number(step), number(back))
        return drawn + b" ET\n"


def header(columns: Sequence[Column], panel: Panel, layout: Layout, bold: Shaper) -> Header:
    """The header row of a panel."""
    cells = tuple(
        bold.lines(columns[number].name, int(width * 1000), True)
        for number, width in zip(panel.columns, panel.widths, strict=True)
    )
    return Header(cells, panel, layout)


def foot(about: About, layout: Layout, regular: Shaper) -> bytes:
    """What stands at the left of each page's foot."""
    text = " · ".join(one for one in (about.org, about.title, f"run {about.run}") if one)
    line = regular.lines(text, _units(layout.inner * 0.8, 7.0))[0]
    return b"0.35 g BT/R 1 Tf 7 0 0 7 %b %b Tm(%b)Tj ET 0 g" % (number(MARGIN), number(MARGIN), line)


def number(value: float) -> bytes:
    """A number as a PDF has it."""
    return b"%d" % value if value == int(value) else (b"%.3f" % value).rstrip(b"0")
