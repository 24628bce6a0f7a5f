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

_NOT_PLAIN = 1 << 40
"""Added to the width of each byte that is not plain ASCII, so that one sum per cell gives both its width (the low 40
bits) and whether it has such bytes (the rest)."""

_BREAK = np.zeros(0x110000, bool)
_BREAK[[ord(char) for char in BREAKS]] = True
_BREAK[IDEOGRAMS:] = True


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
        plain, care = self._plain_widths(column)
        if care.size:
            plain[care] = _DecodedColumn(self.face, column.take(pa.array(care))).widths()
        return plain

    def shape(self, column: pa.StringArray, room: int, right: bool = False) -> ShapedColumn:
        """Typeset the cells of a column.

        Args:
            room: maximum width of a line, in thousandths of an em.
            right: whether cells are aligned to the right.
        """
        widths, care = self._plain_widths(column)
        cells = _right_aligned(column, np.maximum(room - widths, 0)) if right else column.cast(pa.binary())
        wide = np.setdiff1d(np.flatnonzero(widths > room), care, assume_unique=True)
        typeset = [(indexes, *self._typeset(column.take(pa.array(indexes)), room, indexes is wide))
                   for indexes in (care, wide) if indexes.size]  # fmt: skip
        if not typeset:
            return ShapedColumn(cells, None)
        order = np.arange(len(column))
        lines = np.ones(len(column), np.int64)
        # Replace cells: append their new versions, then take each cell by its index. Example: with a new version of
        # cell 1 of 3, `order` is 0, 3, 2.
        end = len(column)
        for indexes, _, counts in typeset:
            order[indexes] = end + np.arange(len(indexes))
            lines[indexes] = counts
            end += len(indexes)
        cells = pa.concat_arrays([cells, *(replaced for _, replaced, _ in typeset)]).take(pa.array(order))
        return ShapedColumn(cells, lines if lines.max() > 1 else None)

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

    def _plain_widths(self, column: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
        """Return the width of each cell as if it were ASCII, and the indexes of cells that are not plain ASCII.

        Cells with control characters, or with characters that a PDF string must escape, do not count as plain.
        """
        data, offsets = _bytes_and_offsets(column)
        if len(data) > len(self._scratch):
            self._scratch = np.empty(len(data), np.int64)  # kept, because allocating it costs more than filling it
        weights = np.take(self._weights, data, mode="clip", out=self._scratch[: len(data)])
        begins = offsets[:-1]
        filled = offsets[1:] > begins
        sums = np.zeros(len(column), np.int64)
        if filled.any():
            sums[filled] = np.add.reduceat(weights, begins[filled])
        return sums & (_NOT_PLAIN - 1), np.flatnonzero(sums >= _NOT_PLAIN)

    def _typeset(self, column: pa.StringArray, room: int, plain: bool) -> tuple[pa.BinaryArray, np.ndarray]:
        """Break cells into lines and encode them; return the cells and the number of lines of each.

        Args:
            room: maximum width of a line, in thousandths of an em.
            plain: whether all cells are plain ASCII.
        """
        decoded = _DecodedColumn(self.face, column, plain)
        cells, lines = decoded.broken(room)
        shaped = np.flatnonzero(decoded.complex())
        if shaped.size:
            shaped_lines = [self.shaper.lines(text.as_py(), room) for text in column.take(pa.array(shaped))]
            lines[shaped] = [len(cell) for cell in shaped_lines]
            order = np.arange(len(column))
            order[shaped] = len(column) + np.arange(len(shaped))
            shaped_cells = pa.array([LINE_SEPARATOR.join(cell) for cell in shaped_lines], pa.binary())
            cells = pa.concat_arrays([cells, shaped_cells]).take(pa.array(order))
        most = int(lines.max(initial=1))
        if most > 1:
            tails = pa.array([self.advance_after_last_line(n + 1) for n in range(most)], pa.binary())
            cells = compute.binary_join_element_wise(cells, tails.take(pa.array(lines - 1)), b"")
        return cells, lines


class _DecodedColumn:
    """The texts of a column as one array of code points, with the index at which each text starts.

    Args:
        plain: whether all texts are plain ASCII, so that each byte is both a code point and a glyph code.
    """

    def __init__(self, face: Typeface, column: pa.StringArray, plain: bool = False) -> None:
        self._face = face
        self._plain = plain
        data, offsets = _bytes_and_offsets(column)
        if plain:
            self._points, self._starts = data, offsets.astype(np.int64)
            self._width_sums = _cumulative(face.widths[data])
            return
        points = np.frombuffer(data.tobytes().decode().encode("utf-32-le"), np.uint32)
        self._points = points
        self._starts = _cumulative((data & 0xC0) != 0x80)[offsets]
        self._codes = face.codes[points]
        unknown = points[self._codes == 0]
        if unknown.size:
            face.assign_codes(np.unique(unknown).tolist())
            self._codes = face.codes[points]
        self._width_sums = _cumulative(face.widths[points])

    def widths(self) -> np.ndarray:
        """Return the width of each text on one line, in thousandths of an em."""
        return np.diff(self._width_sums[self._starts])

    def complex(self) -> np.ndarray:
        """Return a boolean per text: whether it has to be shaped."""
        if self._plain:
            return np.zeros(len(self._starts) - 1, bool)
        complex_points = self._face.complex[self._points]
        if not complex_points.any():
            return np.zeros(len(self._starts) - 1, bool)
        return np.diff(_cumulative(complex_points)[self._starts]) > 0

    def broken(self, room: int) -> tuple[pa.BinaryArray, np.ndarray]:
        """Return the encoded cells, with `LINE_SEPARATOR` between their lines, and the number of lines of each.

        Args:
            room: maximum width of a line, in thousandths of an em.
        """
        data, ends = self._encoded()
        lines, cuts = self._line_starts(room)
        if not cuts.size:
            return _binary_array(data, ends[self._starts]), lines
        # The lines of all cells cover the text without gaps, so their starts are enough to slice the encoded bytes.
        line_starts = np.sort(np.concatenate((self._starts[:-1], cuts)), kind="stable")
        pieces = _binary_array(data, np.append(ends[line_starts], ends[-1]))
        cells = pa.ListArray.from_arrays(pa.array(_cumulative(lines), pa.int32()), pieces)
        return compute.binary_join(cells, LINE_SEPARATOR), lines

    def _encoded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the concatenated codes of all characters, and the offset of each code, with the end of the last one.

        A code has one to three bytes: the low byte of each is written first, then the higher bytes are inserted.
        """
        if self._plain:
            return self._points, np.arange(len(self._points) + 1)
        codes = self._codes
        two = np.flatnonzero(codes > 0xFF)
        three = two[codes[two] > 0xFFFF]
        more = np.concatenate((codes[three] >> 16, codes[two] >> 8 & 0xFF))
        data = np.insert(codes.astype(np.uint8), np.concatenate((three, two)), more.astype(np.uint8))
        return data, _cumulative(1 + (codes > 0xFF) + (codes > 0xFFFF))

    def _line_starts(self, room: int) -> tuple[np.ndarray, np.ndarray]:
        """Break all texts into lines at once.

        Each round adds one line to every text that is not finished. Example: `ab cd ef` with room for five characters
        and a space that may hang over: the first line reaches index 6 and is cut there, so the second begins at 6, and
        the text has 2 lines.

        Returns:
            The number of lines of each text, and the indexes of characters at which a second or later line begins.
        """
        sums, starts = self._width_sums, self._starts
        lines = np.ones(len(starts) - 1, np.int64)
        todo = np.flatnonzero(np.diff(sums[starts]) > room)
        cuts: list[np.ndarray] = []
        if not todo.size:
            return lines, np.empty(0, np.int64)
        breaks = np.concatenate(([0], np.flatnonzero(_BREAK[self._points]) + 1))
        last = len(self._points) - 1
        begin, end = starts[todo], starts[todo + 1]
        while todo.size:
            reach = np.searchsorted(sums, sums[begin] + room, side="right") - 1
            # a space that does not fit may hang over the edge, because it is not visible
            reach = np.where(self._points[np.minimum(reach, last)] == ord(" "), reach + 1, reach)
            unfinished = reach < end
            todo, begin, end, reach = todo[unfinished], begin[unfinished], end[unfinished], reach[unfinished]
            if not todo.size:
                break
            broken = breaks[np.searchsorted(breaks, reach, side="right") - 1]
            begin = np.where(broken > begin, broken, np.maximum(reach, begin + 1))
            inside = begin < end
            todo, begin, end = todo[inside], begin[inside], end[inside]
            cuts.append(begin)
            lines[todo] += 1
        return lines, np.concatenate(cuts) if cuts else np.empty(0, np.int64)


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
