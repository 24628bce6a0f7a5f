"""Columns of texts to what stands between the parentheses of PDF strings, a whole batch at a time.

A cell that is plain ASCII and fits is its own bytes. Others are decoded together, broken into lines that fit, and
coded; only those that need shaping are set one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from whohas.formats.pdf.operators import joined, operation
from whohas.formats.pdf.shaping import BREAKS, IDEOGRAMS, Shaper
from whohas.formats.pdf.typeface import ESCAPED, Typeface

compute: Any = pyarrow.compute
"""`pyarrow.compute` fills itself at import, so that no type checker knows what is in it."""

NEXT_LINE = b")Tj T*("
"""Between the lines of a cell. No text has it: its parentheses are escaped."""

_CARE = 1 << 40
"""Added to the width of each byte that is not its own code, so that both are summed at once."""

_BREAK = np.zeros(0x110000, bool)
_BREAK[[ord(char) for char in BREAKS]] = True
_BREAK[IDEOGRAMS:] = True


@dataclass(frozen=True, slots=True)
class Laid:
    """The typeset cells of a column.

    Attributes:
        cells: content of each cell, to be written between the parentheses of a PDF string.
        lines: number of lines of each cell; None if each has one line.
    """

    cells: pa.BinaryArray
    lines: np.ndarray | None


class Setter:
    """Typesets columns of texts in a typeface."""

    def __init__(self, face: Typeface, leading: float) -> None:
        self.face = face
        self.shaper = Shaper(face)
        self._leading = leading
        self._weights = face.widths[:256].astype(np.int64)
        self._weights[[*range(0x20), *range(0x7F, 256), *ESCAPED]] += _CARE
        self._scratch = np.empty(0, np.int64)

    def widths(self, column: pa.StringArray) -> np.ndarray:
        """Return the width of each cell on one line, in thousandths of an em."""
        plain, care = self._plain_widths(column)
        if care.size:
            plain[care] = _Decoded(self.face, column.take(pa.array(care))).widths()
        return plain

    def lay(self, column: pa.StringArray, room: int, right: bool = False) -> Laid:
        """Typeset the cells of a column.

        Args:
            room: maximum width of a line, in thousandths of an em.
            right: whether cells are aligned to the right.
        """
        widths, care = self._plain_widths(column)
        cells = _right(column, np.maximum(room - widths, 0)) if right else column.cast(pa.binary())
        wide = np.setdiff1d(np.flatnonzero(widths > room), care, assume_unique=True)
        some = [(which, *self._careful(column.take(pa.array(which)), room, which is wide))
                for which in (care, wide) if which.size]  # fmt: skip
        if not some:
            return Laid(cells, None)
        order = np.arange(len(column))
        lines = np.ones(len(column), np.int64)
        place = len(column)
        for which, _, counts in some:
            order[which] = place + np.arange(len(which))
            lines[which] = counts
            place += len(which)
        cells = pa.concat_arrays([cells, *(one for _, one, _ in some)]).take(pa.array(order))
        return Laid(cells, lines if lines.max() > 1 else None)

    def tail(self, lines: int) -> bytes:
        """Return operators that end a cell of several lines and move back to its first line; empty for one line."""
        back = b"%.3f" % ((lines - 1) * self._leading)
        return joined(b")Tj", operation(b"Td", 0, back), b"(") if lines > 1 else b""

    def _plain_widths(self, column: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
        """Return the width of each cell as if it were ASCII, and the indexes of cells that are not plain ASCII.

        Cells with control characters, or with characters that a PDF string must escape, do not count as plain.
        """
        data, offsets = _parts(column)
        if len(data) > len(self._scratch):
            self._scratch = np.empty(len(data), np.int64)  # kept, because allocating it costs more than filling it
        weights = np.take(self._weights, data, mode="clip", out=self._scratch[: len(data)])
        begins = offsets[:-1]
        there = offsets[1:] > begins
        sums = np.zeros(len(column), np.int64)
        if there.any():
            sums[there] = np.add.reduceat(weights, begins[there])
        return sums & (_CARE - 1), np.flatnonzero(sums >= _CARE)

    def _careful(self, column: pa.StringArray, room: int, plain: bool) -> tuple[pa.BinaryArray, np.ndarray]:
        decoded = _Decoded(self.face, column, plain)
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
            cells = compute.binary_join_element_wise(cells, tails.take(pa.array(lines - 1)), b"")
        return cells, lines


class _Decoded:
    """Texts as code points, end to end.

    Args:
        plain: whether each byte is its own code.
    """

    def __init__(self, face: Typeface, column: pa.StringArray, plain: bool = False) -> None:
        self._face = face
        self._plain = plain
        data, offsets = _parts(column)
        if plain:
            self._points, self._starts = data, offsets.astype(np.int64)
            self._sums = _sums(face.widths[data])
            return
        points = np.frombuffer(data.tobytes().decode().encode("utf-32-le"), np.uint32)
        self._points = points
        self._starts = _sums((data & 0xC0) != 0x80)[offsets]
        self._codes = face.codes[points]
        unknown = points[self._codes == 0]
        if unknown.size:
            face.learn(np.unique(unknown).tolist())
            self._codes = face.codes[points]
        self._sums = _sums(face.widths[points])

    def widths(self) -> np.ndarray:
        return np.diff(self._sums[self._starts])

    def complex(self) -> np.ndarray:
        """Which cells have to be shaped."""
        if self._plain:
            return np.zeros(len(self._starts) - 1, bool)
        there = self._face.complex[self._points]
        if not there.any():
            return np.zeros(len(self._starts) - 1, bool)
        return np.diff(_sums(there)[self._starts]) > 0

    def broken(self, room: int) -> tuple[pa.BinaryArray, np.ndarray]:
        """The cells with the lines that they need, and how many those are."""
        data, ends = self._coded()
        lines, cuts = self._cuts(room)
        if not cuts.size:
            return _binary(data, ends[self._starts]), lines
        # each cell's first place and its cuts; the lines tile the text, so nothing is copied but once
        places = np.sort(np.concatenate((self._starts[:-1], cuts)), kind="stable")
        pieces = _binary(data, np.append(ends[places], ends[-1]))
        cells = pa.ListArray.from_arrays(pa.array(_sums(lines), pa.int32()), pieces)
        return compute.binary_join(cells, NEXT_LINE), lines

    def _coded(self) -> tuple[np.ndarray, np.ndarray]:
        """The codes of all characters end to end, and where each begins and the last ends."""
        if self._plain:
            return self._points, np.arange(len(self._points) + 1)
        codes = self._codes
        two = np.flatnonzero(codes > 0xFF)
        three = two[codes[two] > 0xFFFF]
        more = np.concatenate((codes[three] >> 16, codes[two] >> 8 & 0xFF))
        data = np.insert(codes.astype(np.uint8), np.concatenate((three, two)), more.astype(np.uint8))
        return data, _sums(1 + (codes > 0xFF) + (codes > 0xFFFF))

    def _cuts(self, room: int) -> tuple[np.ndarray, np.ndarray]:
        """How many lines each cell has, and where those after a first one begin."""
        sums, starts = self._sums, self._starts
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
            # a space that does not fit hangs over the edge, where nobody sees it
            reach = np.where(self._points[np.minimum(reach, last)] == ord(" "), reach + 1, reach)
            goes_on = reach < end
            todo, begin, end, reach = todo[goes_on], begin[goes_on], end[goes_on], reach[goes_on]
            if not todo.size:
                break
            broken = breaks[np.searchsorted(breaks, reach, side="right") - 1]
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
    return compute.binary_join_element_wise(moves.take(pa.array(which)), column.cast(pa.binary()), b")]TJ(", b"")


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
