"""Fonts as a PDF has them: characters to codes, widths, and at the end one font file with the glyphs that were used.

Text is coded by a CMap of our own (ISO 32000-1, 9.7.5): one byte for ASCII, two for the first 18,256 others, three for
the rest. No second or third byte is one that a PDF string would have to escape. Glyphs of all the fonts that a text
needs go into one TrueType font, so that no text has to change its font half-way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import uharfbuzz

from whohas.formats import fonts
from whohas.formats.fonts import UNITS

hb: Any = uharfbuzz
"""It has no types."""

_FIRST, _LAST = 0x20, 0x7E
_LOWEST = 0x5D
"""The lowest second byte: above the backslash and the parentheses."""
_ROW = 0x100 - _LOWEST
_TWO_BYTES = 0x80
_THREE_BYTES = 0xF0
_IN_TWO = (_THREE_BYTES - _TWO_BYTES) * _ROW
_MOST = 65_000
"""Glyphs of one font file; numbers of glyphs have two bytes."""
_CODE_POINTS = 0x110000
EMPTY = 110
"""The width of a glyph that draws nothing: readers take what begins closer to the one before it (poppler: 0.1 em) for
one character drawn twice."""
_LOCA_FORMAT = 50
"""Where a font's header says whether its places are halved 16 bits (0) or 32 bits (1)."""

Box = tuple[int, int, int, int]
"""Of ink, in thousandths of an em from a glyph's origin: left, low, right, high."""
MOST_TEXT = 4
"""Characters that one code stands for, at most: readers pass over more than 8 units of UTF-16. What is longer has an
ActualText."""
_IDEOGRAMS = "cjk.ttf"

ESCAPED = {ord("("): b"\\(", ord(")"): b"\\)", ord("\\"): b"\\\\"}


class Source:
    """One of our font files: its glyphs as they lie, and how its text is shaped."""

    def __init__(self, name: str) -> None:
        self.name = name
        blob = hb.Blob.from_file_path(str(fonts.FOLDER / name))
        self.face = hb.Face(blob)
        self.font = hb.Font(self.face)
        self._glyf = self.face.reference_table("glyf").data
        short = not struct.unpack_from(">h", self.face.reference_table("head").data, _LOCA_FORMAT)[0]
        loca = self.face.reference_table("loca").data
        self._places = np.frombuffer(loca, ">u2").astype(np.uint32) * 2 if short else np.frombuffer(loca, ">u4")
        self._boxes: dict[int, Box | None] = {}

    def glyph(self, code_point: int) -> int:
        """The number of a character's glyph; 0 where it has none."""
        return self.font.get_nominal_glyph(code_point) or 0

    def width(self, glyph: int) -> int:
        width = self.font.get_glyph_h_advance(glyph)
        if not width and self.name == _IDEOGRAMS and (box := self.box(glyph)) and box[0] > 0:
            return UNITS  # some ideographs have no width there, and would be drawn over by the next one
        return width

    def box(self, glyph: int) -> Box | None:
        """The left, lower, right and upper edge of what a glyph draws; None where it draws nothing."""
        if glyph not in self._boxes:
            outline = self.outline(glyph)
            self._boxes[glyph] = struct.unpack_from(">4h", outline, 2) if outline else None
        return self._boxes[glyph]

    def outline(self, glyph: int) -> bytes:
        return bytes(self._glyf[int(self._places[glyph]) : int(self._places[glyph + 1])])


@cache
def source(name: str) -> Source:
    """A font file, opened once."""
    return Source(name)


@dataclass(frozen=True, slots=True)
class _Slot:
    """A glyph in the font that is made: where it is from, and which text it stands for."""

    source: str
    glyph: int
    text: str
    width: int

    @property
    def outline(self) -> bytes:
        return source(self.source).outline(self.glyph) if self.source else b""


class Typeface:
    """A font of the document, regular or bold, as far as it is used.

    Attributes:
        widths: of each code point, in thousandths of an em; right where `codes` is not 0.
        codes: of each code point: up to three bytes as a number; 0 where it has none yet. What has to be escaped has
            its escape.
        complex: 1 where a code point needs its neighbours to be drawn, so that its text has to be shaped.
    """

    def __init__(self, name: str, first: str) -> None:
        self.name = name
        self._first = first
        self._names = (first, *fonts.FALLBACKS)
        self._slots: list[_Slot] = [_Slot(first, 0, "", source(first).width(0))]
        self._by_glyph: dict[tuple[str, int, str], bytes] = {}
        self.widths = np.zeros(_CODE_POINTS, np.uint16)
        self.codes = np.zeros(_CODE_POINTS, np.uint32)
        self.complex = np.zeros(_CODE_POINTS, np.uint8)
        for code in range(_FIRST, _LAST + 1):
            glyph = source(first).glyph(code)
            self._slots.append(_Slot(first, glyph, chr(code), source(first).width(glyph)))
            self.widths[code] = self._slots[-1].width
            self.codes[code] = int.from_bytes(ESCAPED.get(code, bytes([code])), "big")

    def learn(self, code_points: Iterable[int]) -> None:
        """Makes codes for characters that have none yet; those that have to be shaped are marked so."""
        for code in code_points:
            found = None if _needs_neighbours(code) else self._find(code)
            if found is None:
                self.complex[code] = 1
                self.codes[code] = 1  # so that it is not asked for again
                continue
            written = self.code(*found, chr(code))
            if written is None:
                self.complex[code] = self.codes[code] = 1
                continue
            self.codes[code] = int.from_bytes(written, "big")
            self.widths[code] = source(found[0]).width(found[1])

    def code(self, name: str, glyph: int, text: str) -> bytes | None:
        """The code of a glyph that stands for a text; None where the font is full."""
        key = (name, glyph, text[:MOST_TEXT])
        if key not in self._by_glyph:
            if len(self._slots) >= _MOST:
                return None
            self._by_glyph[key] = _code(len(self._slots) - (_LAST - _FIRST + 2))
            self._slots.append(_Slot(name, glyph, key[2], source(name).width(glyph) if name else EMPTY))
        return self._by_glyph[key]

    def empty(self, text: str) -> bytes | None:
        """The code of a glyph that draws nothing but stands for a text, `EMPTY` wide; None as for `code`."""
        return self.code("", 0, text)

    def code_of(self, code_point: int) -> bytes:
        """The code of a character that has one."""
        code = int(self.codes[code_point])
        return code.to_bytes((code.bit_length() + 7) // 8, "big")

    def _find(self, code: int) -> tuple[str, int] | None:
        for name in self._names:
            glyph = source(name).glyph(code)
            if glyph:
                return name, glyph
        return None

    def source_of(self, code: int) -> str | None:
        """The font file that a character is drawn from; None where no font has it."""
        found = self._find(code)
        return found[0] if found else None

    # --- what goes into the document

    @property
    def slot_widths(self) -> list[int]:
        return [slot.width for slot in self._slots]

    def box(self) -> tuple[int, int, int, int]:
        """What every glyph fits into."""
        outlines = [slot.outline for slot in self._slots]
        boxes = [struct.unpack_from(">4h", outline, 2) for outline in outlines if outline]
        low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
        return int(low[0]), int(low[1]), int(high[2]), int(high[3])

    def to_cmap(self) -> bytes:
        """Codes to glyphs."""
        count = len(self._slots) - (_LAST - _FIRST + 2)
        ranges = [f"<{_FIRST:02x}> <{_LAST:02x}> 1"]
        first_cid = _LAST - _FIRST + 2
        for start in range(0, count, _ROW):
            end = min(start + _ROW, count) - 1
            ranges.append(f"<{_code(start).hex()}> <{_code(end).hex()}> {first_cid + start}")
        lines = [
            "/CIDInit /ProcSet findresource begin",
            "12 dict begin",
            "begincmap",
            "/CIDSystemInfo 3 dict dup begin /Registry (Adobe) def /Ordering (Identity) def /Supplement 0 def end def",
            f"/CMapName /{self.name}-codes def",
            "/CMapType 1 def",
            "/WMode 0 def",
            # no code begins with 00: mupdf looks for the numbers of glyphs among the codes, and would pass over texts
            "4 begincodespacerange <20> <7e> <8000> <efff> <f00000> <ffffff> <00000000> <0000ffff> endcodespacerange",
        ]
        for start in range(0, len(ranges), 100):
            some = ranges[start : start + 100]
            lines += [f"{len(some)} begincidrange", *some, "endcidrange"]
        lines += ["endcmap", "CMapName currentdict /CMap defineresource pop", "end", "end"]
        return "\n".join(lines).encode()

    def to_unicode(self) -> bytes:
        """Codes to texts."""
        ascii = [f"<{code:02x}> <{code:04x}>" for code in range(_FIRST, _LAST + 1)]
        others = [
            f"<{written.hex()}> <{text.encode('utf-16-be').hex()}>" for (_, _, text), written in self._by_glyph.items()
        ]
        lines = [
            "/CIDInit /ProcSet findresource begin",
            "12 dict begin",
            "begincmap",
            "/CIDSystemInfo 3 dict dup begin /Registry (Adobe) def /Ordering (UCS) def /Supplement 0 def end def",
            f"/CMapName /{self.name}-texts def",
            "/CMapType 2 def",
            "3 begincodespacerange <00> <7f> <8000> <efff> <f00000> <ffffff> endcodespacerange",
        ]
        every = ascii + others
        for start in range(0, len(every), 100):
            some = every[start : start + 100]
            lines += [f"{len(some)} beginbfchar", *some, "endbfchar"]
        lines += ["endcmap", "CMapName currentdict /CMap defineresource pop", "end", "end"]
        return "\n".join(lines).encode()

    def to_truetype(self) -> bytes:
        """A font file with the glyphs that are used, in the order of their numbers."""
        outlines = [slot.outline for slot in self._slots]
        return _truetype(self._first, outlines, self.slot_widths)


def _code(number: int) -> bytes:
    if number < _IN_TWO:
        return bytes((_TWO_BYTES + number // _ROW, _LOWEST + number % _ROW))
    number -= _IN_TWO
    return bytes((_THREE_BYTES + number // _ROW // _ROW, _LOWEST + number // _ROW % _ROW, _LOWEST + number % _ROW))


_SHAPED = (
    (0x0000, 0x001F), (0x007F, 0x009F), (0x00AD, 0x00AD), (0x0300, 0x036F), (0x0483, 0x0489), (0x0590, 0x08FF),
    (0x0900, 0x109F), (0x1100, 0x11FF), (0x135D, 0x135F), (0x1700, 0x18AF), (0x1A00, 0x1CFF), (0x1DC0, 0x1DFF),
    (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F), (0x20D0, 0x20FF), (0x2DE0, 0x2DFF), (0x302A, 0x302F),
    (0x3099, 0x309A), (0xA67C, 0xA67D), (0xA800, 0xABFF), (0xD7B0, 0xDFFF), (0xFB1D, 0xFDFF), (0xFE00, 0xFE0F),
    (0xFE20, 0xFE2F), (0xFE70, 0xFEFF), (0xFFF0, 0xFFFF), (0x10800, 0x10FFF), (0x11000, 0x11FFF), (0x1E800, 0x1EFFF),
    (0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""What cannot be drawn character by character: controls, marks, what is written from right to left or joined, Indic
scripts, variation selectors, flags and skin tones."""


def _needs_neighbours(code: int) -> bool:
    return any(first <= code <= last for first, last in _SHAPED)


# --- TrueType (OpenType 1.9)


def _truetype(like: str, outlines: Sequence[bytes], widths: Sequence[int]) -> bytes:
    face = source(like).face
    padded = [outline + b"\0" * (-len(outline) % 4) for outline in outlines]
    loca = np.concatenate(([0], np.cumsum([len(one) for one in padded]))).astype(">u4")
    bearings = [struct.unpack_from(">h", one, 2)[0] if one else 0 for one in outlines]
    hmtx = b"".join(struct.pack(">Hh", width, bearing) for width, bearing in zip(widths, bearings, strict=True))
    head = bytearray(face.reference_table("head").data)
    struct.pack_into(">I", head, 8, 0)
    struct.pack_into(">h", head, _LOCA_FORMAT, 1)
    hhea = bytearray(face.reference_table("hhea").data)
    struct.pack_into(">H", hhea, 10, max(widths))
    struct.pack_into(">H", hhea, 34, len(outlines))
    maxp = bytearray(face.reference_table("maxp").data)
    points, contours = _most(outlines)
    struct.pack_into(">HHH", maxp, 4, len(outlines), points, contours)
    struct.pack_into(">H", maxp, 26, 0)  # no instructions
    tables = {
        b"glyf": b"".join(padded),
        b"head": bytes(head),
        b"hhea": bytes(hhea),
        b"hmtx": hmtx,
        b"loca": loca.tobytes(),
        b"maxp": bytes(maxp),
    }
    return _file(tables)


def _most(outlines: Sequence[bytes]) -> tuple[int, int]:
    """The most points and contours of any glyph."""
    points = contours = 0
    for one in outlines:
        count = struct.unpack_from(">h", one)[0] if one else 0
        if count > 0:
            contours = max(contours, count)
            points = max(points, struct.unpack_from(">H", one, 10 + 2 * (count - 1))[0] + 1)
    return points, contours


def _file(tables: dict[bytes, bytes]) -> bytes:
    power = len(tables).bit_length() - 1
    header = struct.pack(">IHHHH", 0x00010000, len(tables), 16 << power, power, 16 * (len(tables) - (1 << power)))
    place = len(header) + 16 * len(tables)
    directory, body, head_place = b"", b"", 0
    for tag, data in sorted(tables.items()):
        if tag == b"head":
            head_place = place + len(body)
        directory += struct.pack(">4sIII", tag, _sum(data), place + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    made = bytearray(header + directory + body)
    struct.pack_into(">I", made, head_place + 8, (0xB1B0AFBA - _sum(bytes(made))) & 0xFFFFFFFF)
    return bytes(made)


def _sum(data: bytes) -> int:
    return int(np.frombuffer(data + b"\0" * (-len(data) % 4), ">u4").sum(dtype=np.uint64)) & 0xFFFFFFFF
