"""Pagination: which rows are on which page, and the operators that draw each page.

The rows of a batch become one Arrow column of operators, so that the content of a page is a slice of its bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from whohas.engine.statement import ColumnType, ResultColumn
from whohas.formats.display import display_texts
from whohas.formats.pdf.groups import HeadingPieces, Headings, HeadingTypesetter, heading_pieces
from whohas.formats.pdf.layout import BASELINE, COLUMN_GAP, LEADING, MARGIN, ROW_PADDING, PageLayout, Panel
from whohas.formats.pdf.operators import join_tokens, number, operation
from whohas.formats.pdf.title import BLACK, BOLD, LIGHT, MIDDLE, REGULAR, Header
from whohas.formats.pdf.typesetter import ShapedColumn, Typesetter

compute: Any = pyarrow.compute
"""Untyped: `pyarrow.compute` creates its functions at import, so type checkers do not know them."""

_MOST_BYTES = 1 << 25
"""Maximum size of rows that are typeset together: offsets of their operators must fit into 32 bits."""
_MOST_BOOKMARKS = 10_000
_NO_GROUP = "(none)"
ROW, HEADING, REST_OF_HEADING = range(3)
"""The kinds of rows of a page: a row, the heading of a group, and a further piece of a very long heading."""
_MOST_CONTINUED = 5
"""The most lines of the repeated title of a group."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of one panel, or of the title block alone.

    Attributes:
        panel: which; None for the title block alone.
        first: whether it is the first of its panel, whose header a screen reader reads.
        top: where the header row begins, in points from below.
        rows: how many it shows.
        ground: what it draws below the rows, `body` for the rows.
        kinds: the kind of each row, `ROW`, `HEADING` or `REST_OF_HEADING`; empty if all are rows.
    """

    panel: int | None
    first: bool
    top: float
    rows: int
    ground: bytes
    body: bytes
    title: bytes = b""
    kinds: bytes = b""


@dataclass(frozen=True, slots=True)
class BookmarkTarget:
    """A bookmark: its text, and its target, a page (from 0) and a height on it, in points from the bottom."""

    text: str
    page: int
    top: float


@dataclass(frozen=True)
class Frame:
    """Settings that all pages share.

    Attributes:
        readable: whether booleans and times are printed as in a readable file.
        group_column: index of the column whose values get bookmarks; None for ungrouped reports.
        grouped: whether groups have headings.
        title_marks: number of marked-content ids in the title block of the first page of rows; None if the document is
            not tagged.
    """

    columns: Sequence[ResultColumn]
    group_column: int | None
    layout: PageLayout
    headers: Sequence[Header]
    zone: str
    title_marks: int | None
    grouped: bool = False
    readable: bool = False

    @property
    def heading_marks(self) -> Sequence[int]:
        """Number of marked-content ids of a heading in each panel; only the first panel has more than the title."""
        return [2 if panel == 0 else 1 for panel in range(len(self.layout.panels))]

    @property
    def heading_room(self) -> int:
        """Maximum width of a line of a heading, in thousandths of an em."""
        return int((self.layout.inner_width / self.layout.size - COLUMN_GAP) * 1000)

    @cached_property
    def line_widths(self) -> list[int]:
        """Maximum width of a line of each column, in thousandths of an em; the least of its panels."""
        return [
            min(
                int(width * 1000)
                for panel in self.layout.panels
                for number, width in zip(panel.columns, panel.widths, strict=True)
                if number == column
            )
            for column in range(len(self.columns))
        ]

    @cached_property
    def header_height(self) -> float:
        """Height of the header row, in points. It is equal in all panels, so that rows are at the same height."""
        return max(header.height for header in self.headers)

    def row_space(self, top: float) -> float:
        """Return the height for rows, in ems, on a page whose header row begins at `top`."""
        return (top - self.header_height - self.layout.bottom) / self.layout.size


@dataclass(slots=True)
class _OpenPage:
    """The page that rows are added to, in all its panels; heights in ems.

    Attributes:
        lines: of its rows, a byte each; `kinds` has the kind of each, if there are headings of groups.
        continued: the repeated title of the group that continues on it, and its number of lines.
    """

    top: float
    room: float
    first: bool
    parts: list[list[memoryview]]
    title: bytes = b""
    lines: bytes = b""
    used: float = 0.0
    kinds: bytes = b""
    continued: tuple[bytes, int] = (b"", 0)

    @property
    def rows(self) -> int:
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Consecutive rows of a batch that are on one page.

    Attributes:
        start: index of the first row in the batch; `end` is behind the last one.
        row: index of the first row on the page.
        above: total height of the previous rows of the batch, in ems.
        height: total height of these rows, in ems.
        ends_page: whether the page ends after them.
        headings: number of headings on the page above the first row; `row` does not count them.
        continued: what `_OpenPage.continued` becomes, if it is the first of a page.
    """

    start: int
    end: int
    row: int
    above: float
    height: float
    ends_page: bool
    headings: int = 0
    continued: tuple[bytes, int] = (b"", 0)


@dataclass(frozen=True, slots=True)
class PageBatch:
    """Rows whose cells are set, a column each in `laid`.

    Attributes:
        groups: the group of each row, if groups only get bookmarks.
        headings: the headings of the groups that begin, if groups have headings.
    """

    count: int
    laid: Sequence[ShapedColumn]
    groups: pa.StringArray | None
    headings: Headings | None = None


def typeset_batches(
    batches: Iterable[pa.RecordBatch], frame: Frame, setter: Typesetter, headings: HeadingTypesetter | None = None
) -> Generator[PageBatch]:
    """Yield batches with typeset cells. This does not depend on pagination, so another thread can do it in advance."""
    columns = [
        _PageColumn(setter, column.type, frame.zone, room, frame.readable)
        for column, room in zip(frame.columns, frame.line_widths, strict=True)
    ]
    for batch in batches:
        for some in _divided_batch(batch):
            laid = [column.lay(some.column(n)) for n, column in enumerate(columns)]
            groups = None
            if frame.group_column is not None:
                groups = display_texts(
                    some.column(frame.group_column), frame.columns[frame.group_column].type, frame.zone
                )
            yield PageBatch(some.num_rows, laid, groups, headings.typeset(some) if headings and some.num_rows else None)


def _divided_batch(batch: pa.RecordBatch) -> Generator[pa.RecordBatch]:
    if batch.num_rows < 2 or any(sum(map(size, batch.columns)) <= _MOST_BYTES for size in (_most_size, _size)):
        yield batch
        return
    half = batch.num_rows // 2
    yield from _divided_batch(batch.slice(0, half))
    yield from _divided_batch(batch.slice(half))


def _most_size(column: pa.Array) -> int:
    """Return an upper bound of `_size`, which takes less time."""
    if not isinstance(column, pa.DictionaryArray):
        return column.nbytes
    return len(column) * (compute.max(compute.binary_length(column.dictionary)).as_py() or 0)


def _size(column: pa.Array) -> int:
    """Return the size of the cells of a column in bytes, with repeated values of a dictionary counted each time."""
    if not isinstance(column, pa.DictionaryArray):
        return column.nbytes
    return compute.sum(compute.binary_length(column.dictionary).take(column.indices)).as_py() or 0


class _PageColumn:
    """Typesets a column, batch after batch. Each text of a dictionary, which batches may share, is typeset once.

    Args:
        room: maximum width of a line, in thousandths of an em.
        readable: whether booleans and times are printed as in a readable file.
    """

    def __init__(self, setter: Typesetter, type: ColumnType, zone: str, room: int, readable: bool) -> None:
        self._setter, self._zone, self._room, self._readable = setter, zone, room, readable
        self._type: ColumnType = type
        self._known: pa.Array = pa.array([], pa.string())
        self._laid = ShapedColumn(pa.array([], pa.binary()), None)

    def lay(self, column: pa.Array) -> ShapedColumn:
        if self._type in ("boolean", "integer"):
            column = column.dictionary_encode()
        if not isinstance(column, pa.DictionaryArray):
            return self._set(column)
        if not column.dictionary.equals(self._known):
            self._known = column.dictionary
            # a null is a last, empty text
            self._laid = self._set(pa.concat_arrays([self._known, pa.nulls(1, self._known.type)]))
        which = column.indices.fill_null(len(self._known))
        lines = self._laid.lines
        return ShapedColumn(self._laid.cells.take(which), None if lines is None else lines[np.asarray(which)])

    def _set(self, column: pa.Array) -> ShapedColumn:
        texts = display_texts(column, self._type, self._zone, self._readable)
        return self._setter.shape(texts, self._room, self._type == "integer")


class Pages:
    """The pages of a report, one after another.

    Args:
        top: upper edge of the header row on the first page of rows, in points above the bottom of the paper.
        title: operators of the title block above it.
        before: number of previous pages, which have only parts of the title block.
        out: called with each finished page.

    Attributes:
        groups: bookmarks of groups.
        starts: the first row of each page of the first panel, counted from 0; `numbers` has that page.
    """

    def __init__(
        self, frame: Frame, setter: Typesetter, top: float, title: bytes, before: int, out: Callable[[Page], None]
    ) -> None:
        self._frame = frame
        self._setter = setter
        self._out = out
        self._count = before
        self._rows = 0
        self._group: str | None = None
        self._names: dict[int, str] = {}
        self._continued: tuple[bytes, int] = (b"", 0)
        self.groups: list[BookmarkTarget] = []
        self.starts = array("Q")
        self.numbers = array("L")
        self._most_lines = max(1, int((frame.row_space(frame.layout.top) - 2 * ROW_PADDING) / LEADING))
        if frame.grouped:
            self._most_lines = max(1, self._most_lines - _MOST_CONTINUED - 1)
        self._open = self._begin(top, True)
        self._open.title = title

    def add(self, batch: PageBatch) -> None:
        """Add rows to the open page, and finish each page that is full."""
        frame, laid = self._frame, batch.laid
        lines = _most(laid, batch.count)
        begins = self._begins(batch)
        cells = [one.cells for one in laid]
        if int(lines.max(initial=1)) > self._most_lines:
            cells, lines, begins = self._divided(cells, lines, begins)
        if batch.headings is not None:
            self._add_groups(batch.headings, cells, lines, begins)
            return
        ends = np.cumsum(_heights(lines))
        chunks = list(self._chunks(ends))
        drawn = [
            self._drawn(panel, cells, lines, self._marks(n, len(panel.columns), len(lines), chunks))
            for n, panel in enumerate(frame.layout.panels)
        ]
        places = np.flatnonzero(begins)
        shown = lines.astype(np.uint8).tobytes()  # no page holds more
        for chunk, *pieces in zip(chunks, *(_cut(rows, chunks) for rows in drawn), strict=True):
            if places.size:
                self._bookmark(places[slice(*places.searchsorted((chunk.start, chunk.end)))].tolist(), chunk, ends)
            self._place(chunk, pieces, shown[chunk.start : chunk.end])

    def _add_groups(
        self, headings: Headings, cells: Sequence[pa.BinaryArray], lines: np.ndarray, begins: np.ndarray
    ) -> None:
        """Add rows with the headings of the groups that begin."""
        panels = self._frame.layout.panels
        pieces = heading_pieces(headings, max(1, self._most_lines // 2), self._setter)
        strip = _Strip.of(lines, pieces, np.flatnonzero(begins)[pieces.headings])
        ends = np.cumsum(_heights(strip.lines))
        repeated = list(
            zip(
                headings.continued.cells.to_pylist(),
                _most([headings.continued], len(headings.rows)).tolist(),
                strict=True,
            )
        )
        chunks = list(self._group_chunks(ends, strip.kinds, [self._continued, *repeated]))
        drawn: list[pa.BinaryArray] = []
        for n, panel in enumerate(panels):
            marks = self._group_marks(n, len(panel.columns), strip.kinds, chunks)
            of_rows = marks if marks is None else marks[strip.kinds == ROW]
            of_headings = marks if marks is None else marks[strip.kinds != ROW]
            rows = self._drawn(panel, cells, lines, of_rows)
            above = _drawn_headings(pieces, of_headings, first=not n)
            drawn.append(pa.concat_arrays([rows, above]).take(pa.array(strip.order)))
        shown, kinds = strip.lines.astype(np.uint8).tobytes(), strip.kinds.astype(np.uint8).tobytes()
        begun = np.flatnonzero(strip.kinds == HEADING)
        for chunk, *parts in zip(chunks, *(_cut(rows, chunks) for rows in drawn), strict=True):
            page = self._open
            if chunk.continued[1]:
                page.continued = chunk.continued
                page.used = float(_heights(np.array(chunk.continued[1])))
            first, last = begun.searchsorted((chunk.start, chunk.end)).tolist()
            for place in range(first, min(last, first + _MOST_BOOKMARKS - len(self.groups))):
                self._add_bookmark(headings.names[place], int(begun[place]), chunk, ends)
            page.kinds += kinds[chunk.start : chunk.end]
            self._place(chunk, parts, shown[chunk.start : chunk.end])
        if repeated:
            self._continued = repeated[-1]

    def finish(self) -> int:
        """Finish the last page and return the number of pages."""
        if self._open.rows or self._open.title:
            self._turn()
        return self._count

    # --- which rows stand where

    def _begin(self, top: float, first: bool) -> _OpenPage:
        return _OpenPage(top, self._frame.row_space(top), first, [[] for _ in self._frame.layout.panels])

    def _chunks(self, ends: np.ndarray) -> Generator[_Chunk]:
        start, row, above = 0, self._open.rows, 0.0
        room = self._open.room - self._open.used
        full = self._frame.row_space(self._frame.layout.top)
        count = len(ends)
        while start < count:
            end = int(ends.searchsorted(above + room + 1e-6, side="right"))
            below = float(ends[end - 1]) if end else 0.0
            yield _Chunk(start, end, row, above, below - above, end < count)
            start, row, room, above = end, 0, full, below

    def _group_chunks(
        self, ends: np.ndarray, kinds: np.ndarray, titles: Sequence[tuple[bytes, int]]
    ) -> Generator[_Chunk]:
        """Yield chunks of rows and headings. No heading is the last on its page, and a page that begins within a group
        has the title of the group at its top.

        Args:
            titles: the titles to repeat: that of the group before the batch, and that of each group that begins in it.
        """
        page = self._open
        start, above, used, room, empty = 0, 0.0, page.used, page.room, not page.lines
        rows, headings = page.kinds.count(ROW), len(page.kinds) - page.kinds.count(ROW)
        full, count = self._frame.row_space(self._frame.layout.top), len(ends)
        begun = np.cumsum(kinds == HEADING)
        while start < count:
            continued = (b"", 0)
            if empty and kinds[start] != HEADING:
                continued = titles[int(begun[start])]
                used = float(_heights(np.array(continued[1])))
            fitting = end = int(ends.searchsorted(above + room - used + 1e-6, side="right"))
            while start < end < count and kinds[end - 1] != ROW:
                end -= 1
            if end == start and empty:
                end = fitting
            below = float(ends[end - 1]) if end else 0.0
            yield _Chunk(start, end, rows, above, below - above, end < count, headings, continued)
            start, above, used, room, empty, rows, headings = end, below, 0.0, full, True, 0, 0

    def _place(self, chunk: _Chunk, pieces: Sequence[memoryview], lines: bytes) -> None:
        page = self._open
        if not page.lines and lines:
            self.starts.append(self._rows)
            self.numbers.append(self._count)
        for part, piece in zip(page.parts, pieces, strict=True):
            part.append(piece)
        page.lines += lines
        page.used += chunk.height
        self._rows += len(lines)
        if chunk.ends_page:
            self._turn()

    def _turn(self) -> None:
        page, frame = self._open, self._frame
        if not page.rows:
            self._out(Page(None, False, page.top, 0, b"", b"", page.title))
            self._count += 1
        else:
            size, inner = frame.layout.size, frame.layout.inner_width
            start = page.top - frame.header_height
            if page.kinds:
                repeated = _drawn_continued(page.continued, start, size, inner)
                start -= float(_heights(np.array(page.continued[1]))) * size if page.continued[1] else 0.0
                stripes = join_tokens(repeated, _group_bars(page.lines, page.kinds, start, size, inner))
            else:
                stripes = _stripes(page.lines, start, size, inner)
            before = _before_rows(start, size)
            for panel, parts in enumerate(page.parts):
                # only the first panel's first page shares its paper with the title block
                title = page.title if not panel else b""
                body = b"".join((before, *parts, b"ET\n"))
                self._out(Page(panel, page.first, page.top, page.rows, stripes, body, title, page.kinds))
            self._count += len(page.parts)
        self._open = self._begin(frame.layout.top, page.first and not page.rows)

    # --- groups

    def _begins(self, batch: PageBatch) -> np.ndarray:
        """Return a boolean per row: whether it is the first of a group.

        As a side effect, `_names` maps each such row to the name of its group, for `_bookmark`. Example: the groups
        `A, A, B` after a batch that ended in `A` give `False, False, True` and `{2: "B"}`.
        """
        names, count = batch.groups, batch.count
        begins = np.zeros(count, bool)
        if batch.headings is not None:
            begins[batch.headings.rows] = True
        if names is None or not count:
            return begins
        begins[0] = names[0].as_py() != self._group
        begins[1:] = np.asarray(compute.not_equal(names.slice(1), names.slice(0, count - 1)))
        self._group = names[count - 1].as_py()
        self._names = {int(place): names[int(place)].as_py() for place in np.flatnonzero(begins)}
        return begins

    def _bookmark(self, rows: Sequence[int], chunk: _Chunk, ends: np.ndarray) -> None:
        """Add bookmarks to `groups` for the groups that begin on the open page."""
        for row in rows[: _MOST_BOOKMARKS - len(self.groups)]:
            self._add_bookmark(self._names[row] or _NO_GROUP, row, chunk, ends)

    def _add_bookmark(self, name: str, row: int, chunk: _Chunk, ends: np.ndarray) -> None:
        down = self._open.used - chunk.above + (float(ends[row - 1]) if row else 0.0)
        top = self._open.top - self._frame.header_height - down * self._frame.layout.size
        self.groups.append(BookmarkTarget(name, self._count, top))

    # --- what rows draw

    def _divided(
        self, cells: Sequence[pa.BinaryArray], lines: np.ndarray, begins: np.ndarray
    ) -> tuple[list[pa.BinaryArray], np.ndarray, np.ndarray]:
        """Split rows that are higher than a page into several rows.

        Example: with at most 50 lines per page, a row of 120 lines becomes rows of 50, 50 and 20 lines, and only the
        first of them can begin a group. `_names` is renumbered accordingly.

        Returns:
            The cells by column, the number of lines of each row, and whether each row begins a group.
        """
        most = self._most_lines
        counts = -(-lines // most)
        divided = [self._divided_cells(column, counts) for column in cells]
        parts = [min(most, left) for line in lines.tolist() for left in range(line, 0, -most)]
        first = np.concatenate(([0], np.cumsum(counts)[:-1]))
        shifted = np.zeros(int(counts.sum()), bool)
        shifted[first] = begins
        self._names = {int(first[row]): name for row, name in self._names.items()} if begins.any() else {}
        return divided, np.array(parts, np.int64), shifted

    def _divided_cells(self, column: pa.BinaryArray, counts: np.ndarray) -> pa.BinaryArray:
        most = self._most_lines
        divided: list[bytes] = []
        for cell, count in zip(column.to_pylist(), counts.tolist(), strict=True):
            if count == 1:
                divided.append(cell)
                continue
            lines = self._setter.split_cell(cell)
            divided += [self._setter.join_lines(lines[part * most : (part + 1) * most]) for part in range(count)]
        return pa.array(divided, pa.binary())

    def _drawn(
        self, panel: Panel, cells: Sequence[pa.BinaryArray], lines: np.ndarray, marks: np.ndarray | None
    ) -> pa.BinaryArray:
        """Return the operators of each row. They move from the start of its first text to that of the next row.

        Args:
            marks: the marked-content id of the first cell of each row; None if the document is not tagged.
        """
        steps = panel.column_steps()
        parts: list[pa.BinaryArray | pa.BinaryScalar] = []
        close = b")Tj" if marks is None else b")Tj EMC"
        for place, column in enumerate(panel.columns):
            move = join_tokens(close, operation(b"Td", steps[place - 1], 0)) if place else b""
            if marks is None:
                parts.append(_scalar(join_tokens(move, b"(")))
            else:
                opened = join_tokens(move, b"/TD<</MCID %d>>BDC", b"(")
                parts.append(pa.array([opened % mark for mark in (marks + place).tolist()], pa.binary()))
            parts.append(cells[column])
        # sum the moves as they are written, rounded, so that rows do not drift
        back = -sum(round(step, 3) for step in steps[:-1])
        high, which = np.unique(lines, return_inverse=True)
        ends = [join_tokens(close, operation(b"Td", back, -height), b"\n") for height in _heights(high).tolist()]
        parts.append(_scalar(ends[0]) if len(ends) == 1 else pa.array(ends, pa.binary()).take(pa.array(which)))
        return compute.binary_join_element_wise(*parts, b"")

    def _marks(self, panel: int, columns: int, count: int, chunks: Sequence[_Chunk]) -> np.ndarray | None:
        """Return the marked-content id (MCID) of the first cell of each row; None if the document is not tagged."""
        if self._frame.title_marks is None:
            return None
        marks = np.empty(count, np.int64)
        first, title = self._open.first, bool(self._open.title) and not panel
        header = self._frame.headers[panel].mark_count
        for chunk in chunks:
            before = columns * chunk.row + header * first + self._frame.title_marks * title
            marks[chunk.start : chunk.end] = before + columns * np.arange(chunk.end - chunk.start)
            first = first and chunk.end == chunk.start and not chunk.row
            title = False
        return marks

    def _group_marks(self, panel: int, columns: int, kinds: np.ndarray, chunks: Sequence[_Chunk]) -> np.ndarray | None:
        """Return the first marked-content id of each row and heading; None if the document is not tagged."""
        if self._frame.title_marks is None:
            return None
        of_heading = self._frame.heading_marks[panel]
        numbers = np.where(kinds == ROW, columns, of_heading)
        marks = np.cumsum(numbers) - numbers
        first, title = self._open.first, bool(self._open.title) and not panel
        header = self._frame.headers[panel].mark_count
        for chunk in chunks:
            before = (
                columns * chunk.row + of_heading * chunk.headings + header * first + self._frame.title_marks * title
            )
            if chunk.end > chunk.start:
                marks[chunk.start : chunk.end] += before - int(marks[chunk.start])
            first = first and chunk.end == chunk.start and not chunk.row + chunk.headings
            title = False
        return marks


@dataclass(frozen=True, slots=True)
class _Strip:
    """Rows and headings in the order in which they are printed.

    Attributes:
        order: the index of each, where the pieces of headings are counted after all rows.
        kinds: the kind of each.
        lines: the number of lines of each.
    """

    order: np.ndarray
    kinds: np.ndarray
    lines: np.ndarray

    @staticmethod
    def of(lines: np.ndarray, pieces: HeadingPieces, rows: np.ndarray) -> _Strip:
        """Return the strip of rows and headings.

        Example: three rows and a heading above the third have the order 0, 1, 3, 2.

        Args:
            lines: the number of lines of each row.
            pieces: the pieces of the headings.
            rows: the row below each piece.
        """
        order = np.argsort(np.concatenate((2 * np.arange(len(lines)) + 1, 2 * rows)), kind="stable")
        kinds = np.concatenate((np.full(len(lines), ROW), np.where(pieces.first, HEADING, REST_OF_HEADING)))
        return _Strip(order, kinds[order], np.concatenate((lines, pieces.lines))[order])


def _drawn_headings(pieces: HeadingPieces, marks: np.ndarray | None, first: bool) -> pa.BinaryArray:
    """Return the operators of each piece of a heading, which move on as those of a row do.

    Args:
        marks: the marked-content id of each; None if the document is not tagged.
        first: whether it is the first panel, which has more than the title.
    """
    bold, regular = operation(b"Tf", BOLD, 1), operation(b"Tf", REGULAR, 1)
    close = b")Tj" if marks is None else b")Tj EMC"
    down = np.where(pieces.fact_lines > 0, pieces.title_lines, 0) if first else np.zeros(len(pieces.headings), np.int64)
    moves = {lines: join_tokens(close, operation(b"Td", 0, -lines * LEADING), regular) for lines in set(down.tolist())}
    heights = _heights(pieces.lines)
    places = list(zip(down.tolist(), heights.tolist(), strict=True))
    ends = {
        (lines, height): join_tokens(
            close, b"" if first else regular, operation(b"Td", 0, lines * LEADING - height), b"\n"
        )
        for lines, height in set(places)
    }
    parts: list[pa.BinaryArray | pa.BinaryScalar] = [_scalar(bold), _opened(marks), pieces.titles]
    if first:
        between = pa.array([moves[lines] for lines in down.tolist()], pa.binary())
        parts += [between, _opened(None if marks is None else marks + 1), pieces.facts]
    parts.append(pa.array([ends[place] for place in places], pa.binary()))
    return compute.binary_join_element_wise(*parts, b"")


def _opened(marks: np.ndarray | None) -> pa.BinaryArray | pa.BinaryScalar:
    """Return the operators that begin the marked content of each heading, and its string."""
    if marks is None:
        return _scalar(b"(")
    return pa.array([b"/TH<</MCID %d>>BDC(" % mark for mark in marks.tolist()], pa.binary())


def _drawn_continued(continued: tuple[bytes, int], start: float, size: float, inner: float) -> bytes:
    """Return operators that draw the repeated title of a group, whose upper edge is at the height `start`."""
    cell, lines = continued
    if not lines:
        return b""
    at = (MARGIN + COLUMN_GAP / 2 * size, start - BASELINE * size)
    font, place = operation(b"Tf", BOLD, 1), operation(b"Tm", size, 0, 0, size, *at)
    bar = _bar(0, 0, lines, start, size, inner)
    return join_tokens(MIDDLE, bar, b"f", BLACK, b"BT", font, place, operation(b"TL", LEADING), b"(", cell, b")Tj ET\n")


def _group_bars(lines: bytes, kinds: bytes, start: float, size: float, inner: float) -> bytes:
    """Return operators that draw a bar behind each heading and behind every second row of a group."""
    before = striped = 0
    headings: list[bytes] = []
    stripes: list[bytes] = []
    for row, (own, kind) in enumerate(zip(lines, kinds, strict=True)):
        if kind != ROW:
            headings.append(_bar(row, before, own, start, size, inner))
            striped = 0
        else:
            if striped:
                stripes.append(_bar(row, before, own, start, size, inner))
            striped = not striped
        before += own
    drawn = [
        join_tokens(grey, b" ".join(bars), b"f", BLACK, b"\n")
        for grey, bars in ((MIDDLE, headings), (LIGHT, stripes))
        if bars
    ]
    return join_tokens(*drawn)


def _heights(lines: np.ndarray) -> np.ndarray:
    return lines * LEADING + 2 * ROW_PADDING


def _most(laid: Sequence[ShapedColumn], count: int) -> np.ndarray:
    most = np.ones(count, np.int64)
    for one in laid:
        if one.lines is not None:
            np.maximum(most, one.lines, out=most)
    return most


@lru_cache(4)
def _before_rows(start: float, size: float) -> bytes:
    """Return the operators that begin the text of rows at the height `start`."""
    at = (MARGIN + COLUMN_GAP / 2 * size, start - BASELINE * size)
    font, place = operation(b"Tf", REGULAR, 1), operation(b"Tm", size, 0, 0, size, *at)
    return join_tokens(b"BT", font, place, operation(b"TL", LEADING), b"\n")


@lru_cache(1 << 10)
def _stripes(lines: bytes, start: float, size: float, inner: float) -> bytes:
    """Return operators that draw a gray bar behind every second row; the rows begin at the height `start`."""
    before = 0
    bars: list[bytes] = []
    for row, (above, own) in enumerate(zip(lines[::2], lines[1::2], strict=False)):
        before += above
        bars.append(_bar(2 * row + 1, before, own, start, size, inner))
        before += own
    return join_tokens(LIGHT, b" ".join(bars), b"f", BLACK, b"\n") if bars else b""


@lru_cache(1 << 14)
def _bar(rows: int, before: int, own: int, start: float, size: float, inner: float) -> bytes:
    """Return the rectangle behind a row of `own` lines.

    Args:
        rows: number of rows above it on the page; `before` is the number of their lines.
    """
    top = start - (before * LEADING + rows * 2 * ROW_PADDING) * size
    height = (own * LEADING + 2 * ROW_PADDING) * size
    return b"%b %.3f %b %.3f re" % (number(MARGIN), top - height, number(inner), height)


def _cut(rows: pa.BinaryArray, chunks: Sequence[_Chunk]) -> list[memoryview]:
    """Return the operators of each chunk, as slices of the buffer of `rows`."""
    _, places, data = rows.buffers()
    offsets = np.frombuffer(places, np.int32)[rows.offset :]
    seen = memoryview(data)
    begins = offsets[[chunk.start for chunk in chunks]].tolist()
    ends = offsets[[chunk.end for chunk in chunks]].tolist()
    return [seen[begin:end] for begin, end in zip(begins, ends, strict=True)]


def _scalar(text: bytes) -> pa.BinaryScalar:
    return pa.scalar(text, pa.binary())
