"""Structure tree of a tagged PDF, for screen readers: heading, paragraphs, table (ISO 32000-1, 14.7 and 14.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whohas.formats.pdf.document import Document, text_string
from whohas.formats.pdf.operators import number as in_pdf

MAX_TAGGED_CELLS = 100_000
"""Maximum number of cells of a tagged report. Tagging takes three times the time, gives a file four times as large, and
needs memory that grows with the rows (measured: docs/reference/pdf.md)."""


@dataclass(frozen=True, slots=True)
class TitleMark:
    """A marked line of the title block.

    Attributes:
        role: its structure type; empty if the line continues the element before it.
        alt: what a screen reader says instead; empty for its text.
        box: the box of a figure, in points: left, lower, right and upper edge.
    """

    role: str
    alt: str = ""
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @property
    def facts(self) -> bytes:
        """Further entries of its structure element."""
        if not self.alt:
            return b""
        box = b" ".join(map(in_pdf, self.box))
        return b"/Alt %b/A<</O/Layout/Placement/Block/BBox[%b]>>" % (text_string(self.alt), box)


@dataclass(frozen=True, slots=True)
class MarkedContent:
    """The marked content of a page, in the order of its MCIDs: lines of the title block, title of the panel, header
    cells, cells by row.

    Attributes:
        lines: the lines of the title block.
        panel: number of the panel whose cells are on the page.
        header: whether the header cells are marked.
        rows: number of rows.
        caption: whether the title of the panel is marked, before the header cells.
        kinds: for each row, 0 for a row of cells, 1 for the heading of a group, and 2 for a further row of the heading;
            empty if all are rows of cells.
    """

    lines: Sequence[TitleMark]
    panel: int
    header: bool
    rows: int
    caption: bool = False
    kinds: bytes = b""


@dataclass(frozen=True, slots=True)
class _RowGroup:
    """A group of rows of a table: the object number of its element, its structure type, and its rows."""

    number: int
    role: bytes
    rows: list[int]


class _Tree:
    """Writes the structure tree: call `page` for each page in order, then `close`.

    Rows are written at once; headings, paragraphs and tables by `close`.

    Args:
        document: the file.
        pages: the object number of each page.
        columns: the number of columns of each panel.
    """

    def __init__(
        self, document: Document, pages: Sequence[int], columns: Sequence[int], heading_marks: Sequence[int]
    ) -> None:
        self.heading_marks = heading_marks
        self.document = document
        self.pages = pages
        self.columns = columns
        self.top = document.reserve_numbers()
        self.kids: list[int] = []
        self.tables = [document.reserve_numbers() for _ in columns]
        self.rows: list[list[int]] = [[] for _ in columns]
        self.bodies: list[list[_RowGroup]] = [[] for _ in columns]
        self.captions: list[list[int]] = [[] for _ in columns]
        self.texts: list[tuple[int, TitleMark, list[tuple[int, int]]]] = []

    def page(self, page: int, marked: MarkedContent) -> list[int]:
        """Add the marked content of a page, and return the object number of the element of each MCID, in order."""
        owners = [self.line(line, page, mark) for mark, line in enumerate(marked.lines)]
        if marked.caption:
            owners.append(self.caption(page, marked.panel, len(owners)))
        if marked.header:
            if self.heading_marks:
                self.begin_group(marked.panel, b"THead")
            owners += self.row(b"/TH", b"/A<</O/Table/Scope/Column>>", page, marked.panel, len(owners))
        for kind in marked.kinds or bytes(marked.rows):
            if kind == 1:
                self.begin_group(marked.panel, b"TBody")
            if kind:
                owners += self.heading(page, marked.panel, len(owners))
            else:
                owners += self.row(b"/TD", b"", page, marked.panel, len(owners))
        return owners

    def begin_group(self, panel: int, role: bytes) -> None:
        """Begin a group of rows of a table, which is the parent of the rows that follow."""
        self.bodies[panel].append(_RowGroup(self.document.reserve_numbers(), role, []))

    def parent(self, panel: int) -> tuple[int, list[int]]:
        """Return the parent of the next row, and the list of its rows."""
        if self.bodies[panel]:
            return self.bodies[panel][-1].number, self.bodies[panel][-1].rows
        return self.tables[panel], self.rows[panel]

    def heading(self, page: int, panel: int, mark: int) -> list[int]:
        """Add a row with the heading of a group, one header cell over all columns, for the rows below it."""
        row = self.document.reserve_numbers(2)
        marks = self.heading_marks[panel]
        parent, rows = self.parent(panel)
        rows.append(row)
        self.document.write_compressed_object(row, b"<</S/TR/P %d 0 R/K[%d 0 R]>>" % (parent, row + 1))
        facts = (self.columns[panel], row, self.pages[page], b" ".join(b"%d" % (mark + n) for n in range(marks)))
        self.document.write_compressed_object(
            row + 1, b"<</S/TH/A<</O/Table/Scope/Both/ColSpan %d>>/P %d 0 R/Pg %d 0 R/K[%b]>>" % facts
        )
        return [row + 1] * marks

    def line(self, line: TitleMark, page: int, mark: int) -> int:
        if line.role or not self.texts:
            self.texts.append((self.document.reserve_numbers(), line if line.role else TitleMark("P"), []))
        number, _, parts = self.texts[-1]
        parts.append((self.pages[page], mark))
        return number

    def caption(self, page: int, panel: int, mark: int) -> int:
        number = self.document.reserve_numbers()
        facts = (self.tables[panel], self.pages[page], mark)
        self.document.write_compressed_object(number, b"<</S/Caption/P %d 0 R/Pg %d 0 R/K %d>>" % facts)
        self.captions[panel].append(number)
        return number

    def row(self, role: bytes, more: bytes, page: int, panel: int, mark: int) -> range:
        count = self.columns[panel]
        row = self.document.reserve_numbers(count + 1)
        cells = range(row + 1, row + 1 + count)
        parent, rows = self.parent(panel)
        rows.append(row)
        refs = b" ".join(b"%d 0 R" % cell for cell in cells)
        self.document.write_compressed_object(row, b"<</S/TR/P %d 0 R/K[%b]>>" % (parent, refs))
        for place, cell in enumerate(cells):
            facts = (role, more, row, self.pages[page], mark + place)
            self.document.write_compressed_object(cell, b"<</S%b%b/P %d 0 R/Pg %d 0 R/K %d>>" % facts)
        return cells

    def close(self, root: int) -> None:
        for number, line, parts in self.texts:
            refs = b"".join(b"<</Type/MCR/Pg %d 0 R/MCID %d>>" % part for part in parts)
            facts = (line.role.encode(), line.facts, self.top, refs)
            self.document.write_compressed_object(number, b"<</S/%b%b/P %d 0 R/K[%b]>>" % facts)
            self.kids.append(number)
        for table, captions, rows, bodies in zip(self.tables, self.captions, self.rows, self.bodies, strict=True):
            for body in bodies:
                refs = b" ".join(b"%d 0 R" % row for row in body.rows)
                facts = (body.role, table, refs)
                self.document.write_compressed_object(body.number, b"<</S/%b/P %d 0 R/K[%b]>>" % facts)
                rows.append(body.number)
            if rows:
                refs = b" ".join(b"%d 0 R" % row for row in (*captions, *rows))
                self.document.write_compressed_object(table, b"<</S/Table/P %d 0 R/K[%b]>>" % (self.top, refs))
                self.kids.append(table)
        refs = b" ".join(b"%d 0 R" % kid for kid in self.kids)
        self.document.write_compressed_object(self.top, b"<</S/Document/P %d 0 R/K[%b]>>" % (root, refs))


def write_structure(
    document: Document,
    pages: Sequence[int],
    marked: Sequence[MarkedContent],
    columns: Sequence[int],
    heading_marks: Sequence[int] = (),
) -> int:
    """Write the structure tree and return the object number of its root.

    Args:
        pages: object number of each page.
        marked: marked content of each page.
        columns: number of columns of each panel.
        heading_marks: number of MCIDs of the heading of a group in each panel; empty if groups have no headings.
    """
    root = document.reserve_numbers(2)
    parents = root + 1
    tree = _Tree(document, pages, columns, heading_marks)
    numbers: list[bytes] = []
    for page, marks in enumerate(marked):
        owners = b" ".join(b"%d 0 R" % owner for owner in tree.page(page, marks))
        numbers.append(b"%d[%b]" % (page, owners))
    tree.close(root)
    document.write_compressed_object(parents, b"<</Nums[%b]>>" % b"\n".join(numbers))
    facts = (tree.top, parents, len(marked))
    document.write_compressed_object(
        root, b"<</Type/StructTreeRoot/K %d 0 R/ParentTree %d 0 R/ParentTreeNextKey %d>>" % facts
    )
    return root
