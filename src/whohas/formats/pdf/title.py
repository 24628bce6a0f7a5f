"""Title block of the first page, header row of each panel, and footer of each page, as PDF operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whohas.engine.statement import ResultColumn
from whohas.formats.base import ReportMetadata
from whohas.formats.metadata import metadata_lines
from whohas.formats.pdf.layout import BASELINE, COLUMN_GAP, LEADING, MARGIN, ROW_PADDING, PageLayout, Panel
from whohas.formats.pdf.operators import join_tokens, operation, show_text
from whohas.formats.pdf.shaping import Shaper
from whohas.formats.pdf.typesetter import LINE_SEPARATOR

BOLD, REGULAR = b"/B", b"/R"
GREY, MIDDLE, LIGHT, DARK, BLACK = b"0.85 g", b"0.91 g", b"0.955 g", b"0.35 g", b"0 g"
"""Operators that set the fill colour: 0 is black, 1 is white."""

FOOTER_SIZE = 7.0
"""Font size of the footer, in points."""

_TITLE, _TEXT = 15.0, 8.0
_LABELS = 72.0
"""Width of the labels of the title block, in points."""
_GAP = 10.0
_NO_ROWS = "No rows: nothing in this snapshot is what the report asks for."


@dataclass(frozen=True, slots=True)
class TitleLine:
    """A line of the title block.

    Attributes:
        draw: returns the operators that draw the line, given the height of its top above the bottom of the paper.
        height: height in points; 0 for what stands next to the line before it.
        role: structure type of the line for screen readers, `H1`, `P` or `Figure`; empty if it continues the line
            before it.
        alt: what a screen reader says instead of a figure.
        box: left, lower, right and upper edge of a figure, in points; the lower and upper edge relative to the top of
            the line.
    """

    draw: Callable[[float], bytes]
    height: float
    role: str
    alt: str = ""
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


def title_block(
    about: ReportMetadata,
    rows: int,
    zone: str,
    columns: int,
    layout: PageLayout,
    bold: Shaper,
    regular: Shaper,
    notes: Sequence[tuple[str, str]] = (),
) -> list[TitleLine]:
    """Return the lines of the title block, from top to bottom.

    Args:
        rows: number of rows of the report; a sentence says so if it is 0.
        zone: the IANA time zone of times.
        columns: number of columns of the report.
        notes: further pairs of label and value.
    """
    lines = paragraph(about.title, bold, BOLD, _TITLE, layout.inner_width, "H1")
    lines += paragraph(about.description, regular, REGULAR, _TEXT, layout.inner_width, "P")
    lines.append(space(_TEXT / 2))
    for label, value in (*_metadata_lines(about, rows, zone, columns, layout), *notes):
        lines += _labelled_lines(label, value, layout.inner_width, bold, regular)
    if not rows:
        lines.append(space(_GAP))
        lines += paragraph(_NO_ROWS, bold, BOLD, _TEXT, layout.inner_width, "P")
    return [*lines, space(_GAP)]


def _metadata_lines(
    about: ReportMetadata, rows: int, zone: str, columns: int, layout: PageLayout
) -> list[tuple[str, str]]:
    lines = metadata_lines(about, rows, zone)
    if len(layout.panels) > 1:
        lines.append(("Columns", f"{columns}, on {len(layout.panels)} pages side by side"))
    return lines


def paragraph(text: str, shaper: Shaper, font: bytes, size: float, width: float, role: str) -> list[TitleLine]:
    """Return the lines of a text that is broken to a width in points."""
    lines = shaper.lines(text, text_units(width, size))
    return [
        TitleLine(_drawing([(MARGIN, font, size, line)]), size * LEADING, role if not n else "")
        for n, line in enumerate(lines)
    ]


def _labelled_lines(label: str, value: str, width: float, bold: Shaper, regular: Shaper) -> list[TitleLine]:
    """Return the lines of a label and its value, which is broken into lines to the right of the label."""
    label_line = bold.lines(label, text_units(_LABELS, _TEXT))[0]
    lines = regular.lines(value, text_units(width - _LABELS, _TEXT))
    first = [(MARGIN, BOLD, _TEXT, label_line), (MARGIN + _LABELS, REGULAR, _TEXT, lines[0])]
    rest = [[(MARGIN + _LABELS, REGULAR, _TEXT, line)] for line in lines[1:]]
    return [
        TitleLine(_drawing(texts), _TEXT * LEADING * 1.1, "P" if not n else "")
        for n, texts in enumerate([first, *rest])
    ]


def _drawing(texts: Sequence[tuple[float, bytes, float, bytes]]) -> Callable[[float], bytes]:
    """Return `TitleLine.draw` for texts on one line: left edge, font, size and string content of each."""

    def draw(top: float) -> bytes:
        tokens = [token for x, font, size, line in texts for token in text_at(x, top - size, font, size, line)]
        return join_tokens(b"BT", *tokens, b"ET\n")

    return draw


def space(height: float) -> TitleLine:
    """Return an empty line of a height in points."""
    return TitleLine(lambda _: b"", height, "")


def text_units(width: float, size: float) -> int:
    """Return a width in points as thousandths of an em at a font size."""
    return int(width / size * 1000)


@dataclass(frozen=True, slots=True)
class Header:
    """The header row of a panel.

    Attributes:
        cells: the lines of each cell, as contents of PDF strings.
        spare: by how much each cell is moved to the right, in thousandths of an em.
        title: the title of the panel, as the content of a PDF string; empty for none.
        lines: number of lines of the grey bar, if it has more than the cells need.
    """

    cells: tuple[tuple[bytes, ...], ...]
    spare: tuple[int, ...]
    panel: Panel
    layout: PageLayout
    title: bytes = b""
    lines: int = 0

    @property
    def height(self) -> float:
        """Height in points, with the title."""
        return self._title_height + self._cells_height

    @property
    def mark_count(self) -> int:
        """Number of marked-content ids: one for each cell, and one for the title."""
        return len(self.cells) + bool(self.title)

    @property
    def _title_height(self) -> float:
        return _line_height(1) * self.layout.size if self.title else 0.0

    @property
    def _cells_height(self) -> float:
        return _line_height(max(self.lines, *map(len, self.cells))) * self.layout.size

    def draw_background(self, top: float) -> bytes:
        """Return operators that draw the grey bar behind the header row.

        Args:
            top: its upper edge, in points above the bottom of the paper.
        """
        box = (MARGIN, top - self.height, self.layout.inner_width, self._cells_height)
        return join_tokens(GREY, operation(b"re", *box), b"f", BLACK, b"\n")

    def draw_cells(self, top: float, marks: Sequence[bytes]) -> bytes:
        """Return operators that draw the title and the cells.

        Args:
            top: upper edge of the header row, in points above the bottom of the paper.
            marks: for the title, if there is one, and for each cell, the operator that begins its marked content (BDC);
                empty if it is not tagged.
        """
        size = self.layout.size
        if self.title:
            mark, *marks = marks
            line = join_tokens(b"BT", *text_at(MARGIN, top - BASELINE * size, BOLD, size, self.title), b"ET\n")
            title = join_tokens(mark, line, b"EMC\n" if mark else b"")
        else:
            title = b""
        at = (MARGIN + COLUMN_GAP / 2 * size, top - self._title_height - BASELINE * size)
        drawn = [b"BT", operation(b"Tf", BOLD, 1), operation(b"Tm", size, 0, 0, size, *at), operation(b"TL", LEADING)]
        for cell, spare, step, mark in zip(self.cells, self.spare, self.panel.column_steps(), marks, strict=True):
            back = (len(cell) - 1) * LEADING
            first = show_text((-spare, cell[0])) if spare else b"(%b)Tj" % LINE_SEPARATOR.join(cell)
            drawn += [mark, first, b"EMC" if mark else b"", operation(b"Td", step, back)]
        return join_tokens(title, *drawn, b"ET\n")


def _line_height(lines: int) -> float:
    """Return the height of a row of some lines, in ems."""
    return lines * LEADING + ROW_PADDING * 2


def header_row(
    columns: Sequence[ResultColumn], panel: Panel, layout: PageLayout, bold: Shaper, title: str = ""
) -> Header:
    """Return the header row of a panel.

    Args:
        title: the title of the panel; empty for none.
    """
    cells: list[tuple[bytes, ...]] = []
    spare: list[int] = []
    for place, width in zip(panel.columns, panel.widths, strict=True):
        column, room = columns[place], int(width * 1000)
        cells.append(bold.lines(column.name, room, True))
        # align the header of a column of numbers to the right, like its cells
        ends_right = column.type == "integer" and len(cells[-1]) == 1 and b")Tj" not in cells[-1][0]
        spare.append(max(0, room - bold.width(column.name)) if ends_right else 0)
    room = text_units(layout.inner_width, layout.size)
    line = bold.single_line(bold.truncated(title, room), room) if title else b""
    return Header(tuple(cells), tuple(spare), panel, layout, line)


def panel_titles(columns: Sequence[ResultColumn], panels: Sequence[Panel]) -> list[str]:
    """Return a title for each panel, such as `Part 2 of 3: columns 8 to 14 of 22 (State, Attributes)`.

    The columns that an earlier panel has are not counted. A single panel has an empty title.
    """
    if len(panels) == 1:
        return [""]
    titles: list[str] = []
    seen: set[int] = set()
    for number, panel in enumerate(panels, 1):
        new = [place for place in panel.columns if place not in seen]
        seen.update(new)
        sections = dict.fromkeys(section for place in new if (section := columns[place].section))
        few = f"columns {min(new) + 1} to {max(new) + 1}" if len(new) > 1 else f"column {new[0] + 1}"
        named = f" ({', '.join(sections)})" if sections else ""
        titles.append(f"Part {number} of {len(panels)}: {few} of {len(columns)}{named}")
    return titles


def footer(about: ReportMetadata, layout: PageLayout, regular: Shaper) -> bytes:
    """Return operators that draw the left part of the footer: organization, title and run id."""
    names = " · ".join(name for name in (about.org, about.title) if name)
    # Reserve the same width for every run id, so that names are shortened alike in each run. The title block has them
    # in full.
    rest = regular.width(" · run " + "d" * len(about.run))
    room = text_units(layout.inner_width * 0.8, FOOTER_SIZE)
    text = " · ".join(part for part in (regular.truncated(names, room - rest), f"run {about.run}") if part)
    line = regular.single_line(text, room)
    return join_tokens(DARK, b"BT", *text_at(MARGIN, MARGIN, REGULAR, FOOTER_SIZE, line), b"ET", BLACK)


def draw_page_number(text: str, x: float) -> bytes:
    """Return operators that draw a part of the page number in the footer.

    Args:
        text: ASCII without parentheses or backslashes, since it is not escaped.
        x: left edge, in points.
    """
    return join_tokens(b"BT", *text_at(x, MARGIN, REGULAR, FOOTER_SIZE, text.encode()), b"ET")


def text_at(x: float, y: float, font: bytes, size: float, line: bytes) -> tuple[bytes, ...]:
    """Return tokens that draw a line with its baseline at a position in points."""
    return operation(b"Tf", font, 1), operation(b"Tm", size, 0, 0, size, x, y), b"(%b)Tj" % line
