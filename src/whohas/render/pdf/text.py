"""Columns of texts to what stands between the parentheses of PDF strings, a whole batch at a time.

A cell that is plain ASCII and fits is its own bytes. Others are decoded together, broken into lines that fit, and
coded; only those that need shaping are set one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whohas.render.pdf.shaping import BREAKS, IDEOGRAMS, Shaper
from whohas.render.pdf.typeface import ESCAPED, Typeface

NEXT_LINE = b")Tj T*("
"""Between the lines of a cell. No text has it: its parentheses are escaped."""

_CARE = 1 << 40
"""Added to the width of each byte that is not its own code, so that both are summed at once."""

_BREAK = np.zeros(0x110000, bool)
_BREAK[[ord(char) for char in BREAKS]] = True
_BREAK[IDEOGRAMS:] = True


@dataclass(frozen=True, slots=True)
class Laid:
    """A column's cells, set.

    Attributes:
        cells: each as it stands between the parentheses of a string.
        lines: how many each has; None where each has one.
    """

    cells: pa.BinaryArray
    lines: np.ndarray | None


class Setter:
    """Sets columns of texts in a typeface."""

    def __init__(self, face: Typeface, leading: float) -> None:
        self.face = face
        self.shaper = Shaper(face)
        self._leading = leading
        self._weights = face.widths[:256].astype(np.int64)
        self._weights[[*range(0x20), *range(0x7F, 256), *ESCAPED]] += _CARE
        self._scratch = np.empty(0, np.int64)

    def widths(self, column: pa.StringArray) -> np.ndarray:
        """Of each cell on one line, in thousandths of an em."""
        plain, care = self._plain_widths(column)
        if care.size:
            plain[care] = _Decoded(self.face, column.take(pa.array(care))).widths()
        return plain

    def lay(self, column: pa.StringArray, room: int, right: bool = False) -> Laid:
        """Sets the cells of a column.

        Args:
            room: how wide a line may be, in thousandths of an em.
            right: whether cells end at the right.
        """
        widths, care = self._plain_widths(column)
        care = np.union1d(care, np.flatnonzero(widths > room))
        cells = _right(column, np.maximum(room - widths, 0)) if right else column.cast(pa.binary())
        if not care.size:
            return Laid(cells, None)
        set_cells, counts = self._careful(column.take(pa.array(care)), room)
        order = np.arange(len(column))
        order[care] = len(column) + np.arange(len(care))
        cells = pa.concat_arrays([cells, set_cells]).take(pa.array(order))
        if (counts == 1).all():
            return Laid(cells, None)
        lines = np.ones(len(column), np.int64)
        lines[care] = counts
        return Laid(cells, lines)

    def tail(self, lines: int) -> bytes:
        """The end of a cell's last line, and back to its first."""
        return b")Tj 0 %.3f Td(" % ((lines - 1) * self._leading) if lines > 1 else b""

    def _plain_widths(self, column: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
        """Of each cell as if it were ASCII, and which cells are not so, or have something to escape."""
        data, offsets = _parts(column)
        if len(data) > len(self._scratch):
            self._scratch = np.empty(len(data), np.int64)  # kept: to get new memory costs more than to fill it
        weights = np.take(self._weights, data, mode="clip", out=self._scratch[: len(data)])
        begins = offsets[:-1]
        there = offsets[1:] > begins
        sums = np.zeros(len(column), np.int64)
        if there.any():
            sums[there] = np.add.reduceat(weights, begins[there])
        return sums & (_CARE - 1), np.flatnonzero(sums >= _CARE)

    def _careful(self, column: pa.StringArray, room: int) -> tuple[pa.BinaryArray, np.ndarray]:
        decoded = _Decoded(self.face, column)
        cells, lines = decoded.broken(room)
        shaped = np.flatnonzero(decoded.complex())
        if shaped.size:
            ours = [self.shaper.lines(text.as_py(), room) for text in column.take(pa.array(shaped))]
            lines[shaped] = [len(one) for one in ours]
            order = np.arange(len(column))
            order[shaped] = len(column) + np.arange(len(shaped))
            joined = pa.array([NEXT_LINE.join(one) for one in ours], pa.binary())
            cells = pa.concat_arrays([cells, joined]).take(pa.array(order))
        most = int(lines.max(initial=1))
        if most > 1:
            tails = pa.array([self.tail(n + 1) for n in range(most)], pa.binary())
            cells = pc.binary_join_element_wise(cells, tails.take(pa.array(lines - 1)), b"")
        return cells, lines


class _Decoded:
    """Texts as code points, end to end."""

    def __init__(self, face: Typeface, column: pa.StringArray) -> None:
        self._face = face
        data, offsets = _parts(column)
        points = np.frombuffer(data.tobytes().decode().encode("utf-32-le"), np.uint32)
        self._points = points
        self._starts = _sums((data & 0xC0) != 0x80)[offsets]
        unknown = points[face.codes[points] == 0]
        if unknown.size:
            face.learn(np.unique(unknown).tolist())
        self._sums = _sums(face.widths[points])

    def widths(self) -> np.ndarray:
        return np.diff(self._sums[self._starts])

    def complex(self) -> np.ndarray:
        """Which cells have to be shaped."""
        return np.diff(_sums(self._face.complex[self._points])[self._starts]) > 0

    def broken(self, room: int) -> tuple[pa.BinaryArray, np.ndarray]:
        """The cells with the lines that they need, and how many those are."""
        face, points = self._face, self._points
        lengths = face.lengths[points]
        ends = _sums(lengths)
        bytes_of = face.codes[points].astype(">u4").view(np.uint8).reshape(-1, 4)
        data = bytes_of[np.arange(4) >= 4 - lengths[:, None]]
        lines, cuts = self._cuts(room)
        if not cuts.size:
            return _binary(data, ends[self._starts]), lines
        # each cell's first place and its cuts; the lines tile the text, so nothing is copied but once
        places = np.sort(np.concatenate((self._starts[:-1], cuts)), kind="stable")
        pieces = _binary(data, np.append(ends[places], ends[-1]))
        cells = pa.ListArray.from_arrays(pa.array(_sums(lines), pa.int32()), pieces)
        return pc.binary_join(cells, NEXT_LINE), lines

    def _cuts(self, room: int) -> tuple[np.ndarray, np.ndarray]:
        """How many lines each cell has, and where those after a first one begin."""
        sums, starts = self._sums, self._starts
        lines = np.ones(len(starts) - 1, np.int64)
        todo = np.flatnonzero(np.diff(sums[starts]) > room)
        cuts: list[np.ndarray] = []
        if not todo.size:
            return lines, np.empty(0, np.int64)
        can = _BREAK[self._points]
        last_break = np.maximum.accumulate(np.where(can, np.arange(1, len(can) + 1), 0))
        spaces = self._points == ord(" ")
        begin, end = starts[todo], starts[todo + 1]
        while todo.size:
            reach = np.searchsorted(sums, sums[begin] + room, side="right") - 1
            # a space that does not fit hangs over the edge, where nobody sees it
            reach = np.where(spaces[np.minimum(reach, len(spaces) - 1)], reach + 1, reach)
            goes_on = reach < end
            todo, begin, end, reach = todo[goes_on], begin[goes_on], end[goes_on], reach[goes_on]
            if not todo.size:
                break
            broken = last_break[reach - 1]
            begin = np.where(broken > begin, broken, np.maximum(reach, begin + 1))
            inside = begin < end
            todo, begin, end = todo[inside], begin[inside], end[inside]
            cuts.append(begin)
            lines[todo] += 1
        return lines, np.concatenate(cuts) if cuts else np.empty(0, np.int64)


def _right(column: pa.StringArray, spare: np.ndarray) -> pa.BinaryArray:
    """Cells that end at the right: the pen is moved by what is left before each."""
    widths, which = np.unique(spare, return_inverse=True)
    moves = pa.array([b")Tj[%d(" % -width for width in widths.tolist()], pa.binary())
    return pc.binary_join_element_wise(moves.take(pa.array(which)), column.cast(pa.binary()), b")]TJ(", b"")


def _parts(column: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of a column's texts end to end, and where each begins and the last ends."""
    _, places, data = column.buffers()
    offsets = np.frombuffer(places, np.int32)[column.offset : column.offset + len(column) + 1]
    bytes_of = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return bytes_of[offsets[0] : offsets[-1]], offsets - offsets[0]


def _sums(numbers: np.ndarray) -> np.ndarray:
    """Of the numbers before each place, and of all."""
    sums = np.empty(len(numbers) + 1, np.int64)
    sums[0] = 0
    np.cumsum(numbers, out=sums[1:])
    return sums


def _binary(data: np.ndarray, offsets: np.ndarray) -> pa.BinaryArray:
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    )
