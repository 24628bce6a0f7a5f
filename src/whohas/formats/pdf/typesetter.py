"""Typesetting of whole columns: line breaks and glyph codes of each cell, computed with NumPy for a batch at a time.

A cell of plain ASCII that fits on one line is written unchanged, since its bytes are its codes. The other cells are
decoded, broken into lines and encoded together. Only cells that need shaping (`shaping.py`) are handled one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from whohas.formats.pdf.operators import join_tokens, operation
from whohas.formats.pdf.shaping import BREAKS, IDEOGRAMS, Shaper
from whohas.formats.pdf.typeface import ESCAPED, Typeface

compute: Any = pyarrow.compute
"""Untyped: `pyarrow.compute` creates its functions at import, so type checkers do not know them."""

LINE_SEPARATOR = b")Tj T*("
"""Operators between two lines of a cell. They cannot occur within a text, because its parentheses are escaped."""

_NOT_PLAIN = 1 << 36
"""Added to the width of each byte that is not plain ASCII, so that one sum per cell gives both its width (the low 36
bits) and whether it has such bytes (the rest)."""
_MOSTLY = 4
"""If at least one cell in so many is too wide, all cells are broken into lines together: that saves copies of them."""

_BREAK = np.zeros(0x110000, bool)
_BREAK[[ord(char) for char in BREAKS]] = True
_BREAK[IDEOGRAMS:] = True
_BYTE_BREAK = _BREAK[:256].tobytes()
"""A table for `bytes.translate`, which is faster than an index into an array."""


@dataclass(frozen=True, slots=True)
class ShapedColumn:
    """The typeset cells of a column.

    Attributes:
        cells: content of each cell, to be written between the parentheses of a PDF string.
        lines: number of lines of each cell; None if each has one line.
    """

    cells: pa.BinaryArray
    lines: np.ndarray | None


class Typesetter:
    """Typesets columns of texts in a typeface."""

    def __init__(self, face: Typeface, leading: float) -> None:
        self.face = face
        self.shaper = Shaper(face)
        self._leading = leading
        self._weights = face.widths[:256].astype(np.int64)
        self._weights[[*range(0x20), *range(0x7F, 256), *ESCAPED]] += _NOT_PLAIN
        self._scratch = np.empty(0, np.int64)

    def widths(self, column: pa.StringArray) -> np.ndarray:
        """Return the width of each cell on one line, in thousandths of an em."""
        plain = self._measured(column)
        widths, care = plain.widths, plain.not_plain
        if care.size:
            widths[care] = _DecodedColumn(self.face, column.take(pa.array(care))).widths()
        return widths

    def shape(self, column: pa.StringArray, room: int, right: bool = False) -> ShapedColumn:
        """Typeset the cells of a column.

        Args:
            room: maximum width of a line, in thousandths of an em.
            right: whether cells are aligned to the right.
        """
        plain = self._measured(column)
        widths, care = plain.widths, plain.not_plain
        wide = np.setdiff1d(np.flatnonzero(widths > room), care, assume_unique=True)
        typeset: list[tuple[np.ndarray, pa.BinaryArray, np.ndarray]] = []
        lines = np.ones(len(column), np.int64)
        if right:
            cells = _right_aligned(column, np.maximum(room - widths, 0))
        elif wide.size * _MOSTLY >= len(column) and wide.size:
            cells, lines = self._with_tails(*plain.broken(room, wide))
            wide = wide[:0]
        else:
            cells = column.cast(pa.binary())
        if care.size:
            typeset.append((care, *self._typeset(column.take(pa.array(care)), room)))
        if wide.size:
            some = self._measured(column.take(pa.array(wide)))
            typeset.append((wide, *self._with_tails(*some.broken(room, np.arange(wide.size)))))
        if typeset:
            # Replace cells: append their new versions, then take each cell by its index. Example: with a new version of
            # cell 1 of 3, `order` is 0, 3, 2.
            order = np.arange(len(column))
            end = len(column)
            for indexes, _, counts in typeset:
                order[indexes] = end + np.arange(len(indexes))
                lines[indexes] = counts
                end += len(indexes)
            cells = pa.concat_arrays([cells, *(replaced for _, replaced, _ in typeset)]).take(pa.array(order))
        return ShapedColumn(cells, lines if lines.max(initial=1) > 1 else None)

    def advance_after_last_line(self, lines: int) -> bytes:
        """Return operators that end a cell of several lines and move back to its first line; empty for one line."""
        back = b"%.3f" % ((lines - 1) * self._leading)
        return join_tokens(b")Tj", operation(b"Td", 0, back), b"(") if lines > 1 else b""

    def split_cell(self, cell: bytes) -> list[bytes]:
        """Return the lines of a cell that `shape` returned."""
        lines = cell.split(LINE_SEPARATOR)
        if len(lines) > 1:
            lines[-1] = lines[-1].removesuffix(self.advance_after_last_line(len(lines)))
        return lines

    def join_lines(self, lines: Sequence[bytes]) -> bytes:
        """Return a cell of some lines, as `shape` would return it."""
        return LINE_SEPARATOR.join(lines) + self.advance_after_last_line(len(lines))

    def _measured(self, column: pa.StringArray) -> _PlainColumn:
        """Return the texts of a column as if they were ASCII; valid until the next call."""
        data, offsets = _bytes_and_offsets(column)
        if len(data) >= len(self._scratch):
            self._scratch = np.zeros(len(data) + 1, np.int64)  # kept, because allocating it costs more than filling it
        sums = self._scratch[: len(data) + 1]
        np.take(self._weights, data, mode="clip", out=sums[1:])
        np.cumsum(sums[1:], out=sums[1:])
        return _PlainColumn(data, offsets.astype(np.int64), sums)

    def _typeset(self, column: pa.StringArray, room: int) -> tuple[pa.BinaryArray, np.ndarray]:
        """Break cells that are not plain ASCII into lines, and encode them; return them and their numbers of lines.

        Args:
            room: maximum width of a line, in thousandths of an em.
        """
        decoded = _DecodedColumn(self.face, column)
        cells, lines = decoded.broken(room)
        shaped = np.flatnonzero(decoded.complex())
        if shaped.size:
            shaped_lines = [self.shaper.lines(text.as_py(), room) for text in column.take(pa.array(shaped))]
            lines[shaped] = [len(cell) for cell in shaped_lines]
            order = np.arange(len(column))
            order[shaped] = len(column) + np.arange(len(shaped))
            shaped_cells = pa.array([LINE_SEPARATOR.join(cell) for cell in shaped_lines], pa.binary())
            cells = pa.concat_arrays([cells, shaped_cells]).take(pa.array(order))
        return self._with_tails(cells, lines)

    def _with_tails(self, cells: pa.BinaryArray, lines: np.ndarray) -> tuple[pa.BinaryArray, np.ndarray]:
        """Return cells whose last line is followed by the way back to the first one, and their numbers of lines."""
        most = int(lines.max(initial=1))
        if most > 1:
            tails = pa.array([self.advance_after_last_line(n + 1) for n in range(most)], pa.binary())
            cells = compute.binary_join_element_wise(cells, tails.take(pa.array(lines - 1)), b"")
        return cells, lines


@dataclass(frozen=True, slots=True)
class _PlainColumn:
    """The texts of a column, where each byte is taken for both a code point and a glyph code.

    Attributes:
        data: the bytes of all texts.
        starts: the index at which each text starts, and the end of the last one.
        sums: cumulative sums of the widths of bytes, with `_NOT_PLAIN` added for each byte that is not plain.
    """

    data: np.ndarray
    starts: np.ndarray
    sums: np.ndarray

    @property
    def widths(self) -> np.ndarray:
        """The width of each text on one line, in thousandths of an em."""
        return np.diff(self.sums[self.starts]) & (_NOT_PLAIN - 1)

    @property
    def not_plain(self) -> np.ndarray:
        """The indexes of texts with bytes that are not ASCII, that are control characters, or that must be escaped."""
        return np.flatnonzero(np.diff(self.sums[self.starts]) >= _NOT_PLAIN)

    def broken(self, room: int, wide: np.ndarray) -> tuple[pa.BinaryArray, np.ndarray]:
        """Return the cells, with `LINE_SEPARATOR` between their lines, and the number of lines of each.

        Args:
            room: maximum width of a line, in thousandths of an em.
            wide: the indexes of texts to break, which are plain; the others stay as they are.
        """
        breaks = np.frombuffer(self.data.tobytes().translate(_BYTE_BREAK), bool)
        lines, cuts = _line_starts(self.data, breaks, self.sums, self.starts, wide, room)
        return _joined_lines(self.data, np.sort(np.concatenate((self.starts, cuts)), kind="stable"), lines), lines


class _DecodedColumn:
    """The texts of a column as one array of code points, with the index at which each text starts."""

    def __init__(self, face: Typeface, column: pa.StringArray) -> None:
        self._face = face
        data, offsets = _bytes_and_offsets(column)
        points = np.frombuffer(data.tobytes().decode().encode("utf-32-le"), np.uint32).astype(np.intp)
        self._points = points
        self._starts = _cumulative((data & 0xC0) != 0x80)[offsets]
        self._codes = _look_up(face.codes, points)
        unknown = points[self._codes == 0]
        if unknown.size:
            face.assign_codes(np.unique(unknown).tolist())
            self._codes = _look_up(face.codes, points)
        self._width_sums = _cumulative(_look_up(face.widths, points))

    def widths(self) -> np.ndarray:
        """Return the width of each text on one line, in thousandths of an em."""
        return np.diff(self._width_sums[self._starts])

    def complex(self) -> np.ndarray:
        """Return a boolean per text: whether it has to be shaped."""
        complex_points = _look_up(self._face.complex, self._points)
        if not complex_points.any():
            return np.zeros(len(self._starts) - 1, bool)
        return np.diff(_cumulative(complex_points)[self._starts]) > 0

    def broken(self, room: int) -> tuple[pa.BinaryArray, np.ndarray]:
        """Return the encoded cells, with `LINE_SEPARATOR` between their lines, and the number of lines of each.

        Args:
            room: maximum width of a line, in thousandths of an em.
        """
        data, ends = self._encoded()
        wide = np.flatnonzero(self.widths() > room)
        lines, cuts = _line_starts(
            self._points, _look_up(_BREAK, self._points), self._width_sums, self._starts, wide, room
        )
        return _joined_lines(data, ends[np.sort(np.concatenate((self._starts, cuts)), kind="stable")], lines), lines

    def _encoded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the concatenated codes of all characters, and the offset of each code, with the end of the last one.

        A code has one to three bytes: the low byte of each is written first, then the higher bytes are inserted.
        """
        codes = self._codes
        two = np.flatnonzero(codes > 0xFF)
        three = two[codes[two] > 0xFFFF]
        more = np.concatenate((codes[three] >> 16, codes[two] >> 8 & 0xFF))
        data = np.insert(codes.astype(np.uint8), np.concatenate((three, two)), more.astype(np.uint8))
        return data, _cumulative(1 + (codes > 0xFF) + (codes > 0xFFFF))


def _line_starts(
    points: np.ndarray, breaks: np.ndarray, sums: np.ndarray, starts: np.ndarray, wide: np.ndarray, room: int
) -> tuple[np.ndarray, np.ndarray]:
    """Break texts into lines at once.

    Each round adds one line to every text that is not finished. Example: `ab cd ef` with room for five characters and a
    space that may hang over: the first line reaches index 6 and is cut there, so the second begins at 6, and the text
    has 2 lines.

    Args:
        points: the characters of all texts.
        breaks: whether a line may be broken after each of them.
        sums: cumulative sums of their widths, in thousandths of an em.
        starts: the index at which each text starts, and the end of the last one.
        wide: the indexes of the texts to break.
        room: maximum width of a line, in thousandths of an em.

    Returns:
        The number of lines of each text, and the indexes of characters at which a second or later line begins.
    """
    lines = np.ones(len(starts) - 1, np.int64)
    cuts: list[np.ndarray] = []
    if not wide.size:
        return lines, np.empty(0, np.int64)
    places = np.concatenate(([0], np.flatnonzero(breaks) + 1))
    reached = sums[places - _hanging(points, places)]
    todo, begin, end = wide, starts[wide], starts[wide + 1]
    whole = sums[end - _hanging(points, end)]
    while True:
        limit = sums[begin] + room
        unfinished = np.flatnonzero(whole > limit)
        if not unfinished.size:
            break
        todo, begin, end = todo[unfinished], begin[unfinished], end[unfinished]
        whole, limit = whole[unfinished], limit[unfinished]
        cut = places[reached.searchsorted(limit, side="right") - 1]
        long = np.flatnonzero(cut <= begin)  # a word that is wider than a line is broken where the line ends
        if long.size:
            cut[long] = np.maximum(sums.searchsorted(limit[long], side="right") - 1, begin[long] + 1)
            inside = np.flatnonzero(cut < end)
            todo, cut, end, whole = todo[inside], cut[inside], end[inside], whole[inside]
        begin = cut
        cuts.append(begin)
        lines[todo] += 1
    return lines, np.concatenate(cuts) if cuts else np.empty(0, np.int64)


def _hanging(points: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return a boolean per end of a line: whether its last character is a space, which may hang over the edge."""
    return (points[np.maximum(ends, 1) - 1] == ord(" ")) & (ends > 0)


def _joined_lines(data: np.ndarray, ends: np.ndarray, lines: np.ndarray) -> pa.BinaryArray:
    """Return cells with `LINE_SEPARATOR` between their lines.

    Args:
        data: the encoded bytes of all cells.
        ends: the offset of each line, and the end of the last one: the lines cover the bytes without gaps.
        lines: the number of lines of each cell.
    """
    pieces = _binary_array(data, ends)
    if len(pieces) == len(lines):
        return pieces
    cells = pa.ListArray.from_arrays(pa.array(_cumulative(lines), pa.int32()), pieces)
    return compute.binary_join(cells, LINE_SEPARATOR)


def _right_aligned(column: pa.StringArray, spare: np.ndarray) -> pa.BinaryArray:
    """Return cells aligned to the right: each begins with a move by its `spare` width, in thousandths of an em."""
    widths, indexes = np.unique(spare, return_inverse=True)
    moves = pa.array([b")Tj[%d(" % -width for width in widths.tolist()], pa.binary())
    return compute.binary_join_element_wise(moves.take(pa.array(indexes)), column.cast(pa.binary()), b")]TJ(", b"")


def _bytes_and_offsets(column: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the concatenated UTF-8 of a column, and the offset of each text, with the end of the last one."""
    _, offset_buffer, data = column.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[column.offset : column.offset + len(column) + 1]
    bytes_of = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return bytes_of[offsets[0] : offsets[-1]], offsets - offsets[0]


def _look_up(table: np.ndarray, indexes: np.ndarray) -> np.ndarray:
    """Return `table[indexes]` for indexes that are within the table; twice as fast as that expression."""
    return np.take(table, indexes, mode="clip")


def _cumulative(numbers: np.ndarray) -> np.ndarray:
    """Return cumulative sums that begin with 0: `[2, 3]` gives `[0, 2, 5]`."""
    sums = np.empty(len(numbers) + 1, np.int64)
    sums[0] = 0
    np.cumsum(numbers, out=sums[1:])
    return sums


def _binary_array(data: np.ndarray, offsets: np.ndarray) -> pa.BinaryArray:
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    )
