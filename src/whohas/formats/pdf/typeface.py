"""Embedded fonts of a PDF: codes and widths of characters, and one TrueType font of the glyphs that were used.

Text is encoded by a custom CMap (ISO 32000-1, 9.7.5): one byte for ASCII, two for the first 18,256 other glyphs that
are used, three for the rest. The second and third bytes are 5D to FF, so that a PDF string needs no escape for them.
Glyphs from several font files go into one TrueType font, so that a text never has to switch fonts.
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
"""Untyped: uharfbuzz has no type information that pyright could use."""

_FIRST, _LAST = 0x20, 0x7E
_LOWEST_BYTE = 0x5D
"""The lowest second or third byte of a code: it is above the backslash (5C) and the parentheses (28, 29)."""
_BYTE_VALUES = 0x100 - _LOWEST_BYTE
_TWO_BYTES = 0x80
_THREE_BYTES = 0xF0
_TWO_BYTE_CODES = (_THREE_BYTES - _TWO_BYTES) * _BYTE_VALUES
_MAX_GLYPHS = 65_000
"""Maximum number of glyphs of the font, whose glyph numbers have two bytes."""
_CODE_POINTS = 0x110000
EMPTY_GLYPH_WIDTH = 110
"""Width of an empty glyph, in thousandths of an em. Text extraction treats two glyphs that are closer (poppler: 0.1 em)
as one character drawn twice."""
_LOCA_FORMAT_OFFSET = 50
"""Offset of `indexToLocFormat` in the table `head`: 0 if `loca` has 16-bit offsets divided by 2, 1 if 32-bit ones."""

Box = tuple[int, int, int, int]
"""Bounding box of a glyph, in thousandths of an em from its origin: left, lower, right and upper edge."""
MAX_TEXT_PER_CODE = 4
"""Maximum number of characters that one code can stand for, because PDF readers ignore ToUnicode entries of more than 8
UTF-16 units. A longer text needs an ActualText."""
_IDEOGRAMS = "cjk.ttf"

ESCAPED = {ord("("): b"\\(", ord(")"): b"\\)", ord("\\"): b"\\\\"}
"""The characters that a PDF string must escape, with their escapes."""


class FontSource:
    """A font file of the folder `fonts`: its outlines, and its HarfBuzz font for shaping."""

    def __init__(self, name: str) -> None:
        self.name = name
        blob = hb.Blob.from_file_path(str(fonts.FOLDER / name))
        self.face = hb.Face(blob)
        self.font = hb.Font(self.face)
        self._glyf = self.face.reference_table("glyf").data
        short = not struct.unpack_from(">h", self.face.reference_table("head").data, _LOCA_FORMAT_OFFSET)[0]
        loca = self.face.reference_table("loca").data
        self._outline_offsets = (
            np.frombuffer(loca, ">u2").astype(np.uint32) * 2 if short else np.frombuffer(loca, ">u4")
        )
        self._boxes: dict[int, Box | None] = {}

    def glyph_number(self, code_point: int) -> int:
        """Return the number of the glyph of a character; 0 if the font has none."""
        return self.font.get_nominal_glyph(code_point) or 0

    def width(self, glyph: int) -> int:
        """Return the advance width of a glyph, in thousandths of an em."""
        width = self.font.get_glyph_h_advance(glyph)
        if not width and self.name == _IDEOGRAMS and (box := self.bounding_box(glyph)) and box[0] > 0:
            return UNITS  # a few ideographs of this file have no width, so the next one would be drawn over them
        return width

    def bounding_box(self, glyph: int) -> Box | None:
        """Return the bounding box of a glyph; None if it is empty."""
        if glyph not in self._boxes:
            outline = self.outline(glyph)
            self._boxes[glyph] = struct.unpack_from(">4h", outline, 2) if outline else None
        return self._boxes[glyph]

    def outline(self, glyph: int) -> bytes:
        """Return the entry of a glyph in the table `glyf`; empty if it draws nothing."""
        return bytes(self._glyf[int(self._outline_offsets[glyph]) : int(self._outline_offsets[glyph + 1])])


@cache
def font_file(name: str) -> FontSource:
    """Return a font file by its name; each is opened once per process."""
    return FontSource(name)


@dataclass(frozen=True, slots=True)
class _Slot:
    """A glyph of the generated font: its font file and number there, the text that it stands for, and its width.

    `source` is empty for a glyph that draws nothing.
    """

    source: str
    glyph: int
    text: str
    width: int

    @property
    def outline(self) -> bytes:
        return font_file(self.source).outline(self.glyph) if self.source else b""


class Typeface:
    """A font of the document, regular or bold, which gets a code for each character when it is first used.

    The arrays are indexed by code point.

    Attributes:
        name: resource name of the font in the PDF.
        widths: widths in thousandths of an em; valid where `codes` is not 0 and `complex` is 0.
        codes: codes of up to three bytes, as big-endian numbers, escaped for a PDF string; 0 if not assigned yet.
        complex: 1 if a text with this character has to be shaped.

    Args:
        first: the font file that is searched first, before the fallback fonts.
    """

    def __init__(self, name: str, first: str) -> None:
        self.name = name
        self._first = first
        self._names = (first, *fonts.FALLBACKS)
        self._slots: list[_Slot] = [_Slot(first, 0, "", font_file(first).width(0))]
        self._by_glyph: dict[tuple[str, int, str], bytes] = {}
        self.widths = np.zeros(_CODE_POINTS, np.uint16)
        self.codes = np.zeros(_CODE_POINTS, np.uint32)
        self.complex = np.zeros(_CODE_POINTS, np.uint8)
        for code in range(_FIRST, _LAST + 1):
            glyph = font_file(first).glyph_number(code)
            self._slots.append(_Slot(first, glyph, chr(code), font_file(first).width(glyph)))
            self.widths[code] = self._slots[-1].width
            self.codes[code] = int.from_bytes(ESCAPED.get(code, bytes([code])), "big")

    def assign_codes(self, code_points: Iterable[int]) -> None:
        """Assign codes to characters that have none, and set `complex` for those that have to be shaped.

        `complex` is also set for characters that no font has, or for which the font has no room left.
        """
        for code in code_points:
            found = None if _needs_shaping(code) else self._find(code)
            if found is None:
                self.complex[code] = 1
                self.codes[code] = 1  # not 0, so that callers do not look it up again
                continue
            encoded = self.glyph_code(*found, chr(code))
            if encoded is None:
                self.complex[code] = self.codes[code] = 1
                continue
            self.codes[code] = int.from_bytes(encoded, "big")
            self.widths[code] = font_file(found[0]).width(found[1])

    def glyph_code(self, name: str, glyph: int, text: str) -> bytes | None:
        """Return the bytes that encode a glyph in the PDF's font, adding it to the font; None if the font is full.

        Args:
            name: the font file.
            glyph: number of the glyph in that file.
            text: what copying or searching the glyph gives, of which `MAX_TEXT_PER_CODE` characters are used.
        """
        key = (name, glyph, text[:MAX_TEXT_PER_CODE])
        if key not in self._by_glyph:
            if len(self._slots) >= _MAX_GLYPHS:
                return None
            self._by_glyph[key] = _code(len(self._slots) - (_LAST - _FIRST + 2))
            self._slots.append(_Slot(name, glyph, key[2], font_file(name).width(glyph) if name else EMPTY_GLYPH_WIDTH))
        return self._by_glyph[key]

    def empty_glyph_code(self, text: str) -> bytes | None:
        """Return the code of an empty glyph (`EMPTY_GLYPH_WIDTH`) that stands for a text; None if the font is full."""
        return self.glyph_code("", 0, text)

    def character_code(self, code_point: int) -> bytes:
        """Return the bytes of `codes` for a character."""
        code = int(self.codes[code_point])
        return code.to_bytes((code.bit_length() + 7) // 8, "big")

    def _find(self, code: int) -> tuple[str, int] | None:
        for name in self._names:
            glyph = font_file(name).glyph_number(code)
            if glyph:
                return name, glyph
        return None

    def font_file_of(self, code_point: int) -> str | None:
        """Return the name of the first font file with a glyph for a code point; None if none has one.

        The typeface's own file comes first, then those that it falls back on.
        """
        found = self._find(code_point)
        return found[0] if found else None

    # --- what goes into the document

    @property
    def slot_widths(self) -> list[int]:
        return [slot.width for slot in self._slots]

    def bounding_box(self) -> tuple[int, int, int, int]:
        """Return the bounding box of all glyphs together."""
        outlines = [slot.outline for slot in self._slots]
        boxes = [struct.unpack_from(">4h", outline, 2) for outline in outlines if outline]
        low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
        return int(low[0]), int(low[1]), int(high[2]), int(high[3])

    def to_cmap(self) -> bytes:
        """Return the CMap from codes to glyph numbers (CIDs), for `Encoding`.

        Glyph 0 is `.notdef`, 1 to 95 are ASCII from space to tilde, and the others follow in the order of their codes.
        """
        count = len(self._slots) - (_LAST - _FIRST + 2)
        ranges = [f"<{_FIRST:02x}> <{_LAST:02x}> 1"]
        first_cid = _LAST - _FIRST + 2
        for start in range(0, count, _BYTE_VALUES):
            end = min(start + _BYTE_VALUES, count) - 1
            ranges.append(f"<{_code(start).hex()}> <{_code(end).hex()}> {first_cid + start}")
        lines = [
            "/CIDInit /ProcSet findresource begin",
            "12 dict begin",
            "begincmap",
            "/CIDSystemInfo 3 dict dup begin /Registry (Adobe) def /Ordering (Identity) def /Supplement 0 def end def",
            f"/CMapName /{self.name}-codes def",
            "/CMapType 1 def",
            "/WMode 0 def",
            # No text has four-byte codes; they are for mupdf, which looks up glyph numbers as codes, or skips text
            "4 begincodespacerange <20> <7e> <8000> <efff> <f00000> <ffffff> <00000000> <0000ffff> endcodespacerange",
        ]
        for start in range(0, len(ranges), 100):
            some = ranges[start : start + 100]
            lines += [f"{len(some)} begincidrange", *some, "endcidrange"]
        lines += ["endcmap", "CMapName currentdict /CMap defineresource pop", "end", "end"]
        return "\n".join(lines).encode()

    def to_unicode(self) -> bytes:
        """Return the CMap from codes to Unicode texts, for `ToUnicode`."""
        ascii = [f"<{code:02x}> <{code:04x}>" for code in range(_FIRST, _LAST + 1)]
        others = [
            f"<{encoded.hex()}> <{text.encode('utf-16-be').hex()}>" for (_, _, text), encoded in self._by_glyph.items()
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
        """Return a TrueType file of the glyphs that were used, in the order of their numbers."""
        outlines = [slot.outline for slot in self._slots]
        return _truetype(self._first, outlines, self.slot_widths)


def _code(number: int) -> bytes:
    """Return the code of a glyph after ASCII, counted from 0.

    The first byte is 80 to EF for two bytes and F0 to FF for three; each further byte is 5D to FF (163 values).
    Examples: 0 is 80 5D, 163 is 81 5D, 18255 is EF FF, 18256 is F0 5D 5D.
    """
    if number < _TWO_BYTE_CODES:
        return bytes((_TWO_BYTES + number // _BYTE_VALUES, _LOWEST_BYTE + number % _BYTE_VALUES))
    number -= _TWO_BYTE_CODES
    return bytes(
        (
            _THREE_BYTES + number // _BYTE_VALUES // _BYTE_VALUES,
            _LOWEST_BYTE + number // _BYTE_VALUES % _BYTE_VALUES,
            _LOWEST_BYTE + number % _BYTE_VALUES,
        )
    )


_COMPLEX_RANGES = (
    (0x0000, 0x001F), (0x007F, 0x009F), (0x00AD, 0x00AD), (0x0300, 0x036F), (0x0483, 0x0489), (0x0590, 0x08FF),
    (0x0900, 0x109F), (0x1100, 0x11FF), (0x135D, 0x135F), (0x1700, 0x18AF), (0x1A00, 0x1CFF), (0x1DC0, 0x1DFF),
    (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F), (0x20D0, 0x20FF), (0x2DE0, 0x2DFF), (0x302A, 0x302F),
    (0x3099, 0x309A), (0xA67C, 0xA67D), (0xA800, 0xABFF), (0xD7B0, 0xDFFF), (0xFB1D, 0xFDFF), (0xFE00, 0xFE0F),
    (0xFE20, 0xFE2F), (0xFE70, 0xFEFF), (0xFFF0, 0xFFFF), (0x10800, 0x10FFF), (0x11000, 0x11FFF), (0x1E800, 0x1EFFF),
    (0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""Code points that cannot be drawn one by one: controls, marks, right-to-left and cursive scripts, Indic scripts,
variation selectors, flags and skin tones."""


def _needs_shaping(code: int) -> bool:
    return any(first <= code <= last for first, last in _COMPLEX_RANGES)


# --- TrueType (OpenType 1.9)


def _truetype(template: str, outlines: Sequence[bytes], widths: Sequence[int]) -> bytes:
    """Return a TrueType file of outlines. Its header tables are adapted from the font file `template`."""
    face = font_file(template).face
    padded = [outline + b"\0" * (-len(outline) % 4) for outline in outlines]
    loca = np.concatenate(([0], np.cumsum([len(outline) for outline in padded]))).astype(">u4")
    bearings = [struct.unpack_from(">h", outline, 2)[0] if outline else 0 for outline in outlines]
    hmtx = b"".join(struct.pack(">Hh", width, bearing) for width, bearing in zip(widths, bearings, strict=True))
    head = bytearray(face.reference_table("head").data)
    struct.pack_into(">I", head, 8, 0)
    struct.pack_into(">h", head, _LOCA_FORMAT_OFFSET, 1)
    hhea = bytearray(face.reference_table("hhea").data)
    struct.pack_into(">H", hhea, 10, max(widths))
    struct.pack_into(">H", hhea, 34, len(outlines))
    maxp = bytearray(face.reference_table("maxp").data)
    points, contours = _max_points_and_contours(outlines)
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
    return _font_file(tables)


def _max_points_and_contours(outlines: Sequence[bytes]) -> tuple[int, int]:
    """Return the largest number of points and of contours of a glyph. Composite glyphs (negative count) are ignored."""
    points = contours = 0
    for outline in outlines:
        count = struct.unpack_from(">h", outline)[0] if outline else 0
        if count > 0:
            contours = max(contours, count)
            points = max(points, struct.unpack_from(">H", outline, 10 + 2 * (count - 1))[0] + 1)
    return points, contours


def _font_file(tables: dict[bytes, bytes]) -> bytes:
    """Return a font file of tables: the table directory, then the tables, and the checksum of the file in `head`."""
    power = len(tables).bit_length() - 1
    header = struct.pack(">IHHHH", 0x00010000, len(tables), 16 << power, power, 16 * (len(tables) - (1 << power)))
    place = len(header) + 16 * len(tables)
    directory, body, head_place = b"", b"", 0
    for tag, data in sorted(tables.items()):
        if tag == b"head":
            head_place = place + len(body)
        directory += struct.pack(">4sIII", tag, _checksum(data), place + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    file = bytearray(header + directory + body)
    struct.pack_into(">I", file, head_place + 8, (0xB1B0AFBA - _checksum(bytes(file))) & 0xFFFFFFFF)
    return bytes(file)


def _checksum(data: bytes) -> int:
    """Return the checksum of a table: the sum of its 32-bit big-endian words, modulo 2**32."""
    return int(np.frombuffer(data + b"\0" * (-len(data) % 4), ">u4").sum(dtype=np.uint64)) & 0xFFFFFFFF
