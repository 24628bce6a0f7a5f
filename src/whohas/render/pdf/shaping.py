"""Text that cannot be set character by character: shaped by HarfBuzz, ordered, broken into lines.

It also sets what is written once a page or once a document, where the way of `text.py` would not pay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import uharfbuzz as hb

from whohas.render.fonts import UNITS
from whohas.render.pdf import bidi
from whohas.render.pdf.typeface import Typeface, source

BREAKS = frozenset(" \t,;:/\\|-_@=&?.")
"""After these, and after each ideogram, a line may end."""
IDEOGRAMS = 0x2E80

_LINE_END = re.compile("\r\n|[\n\v\f\r\x85\u2028\u2029]")
_TAB = "    "
_JOINERS = frozenset("\u200c\u200d\u200e\u200f\u061c")
"""What is not seen itself, but makes its neighbours look as they should."""
_CACHED = 8192


_Drawn = tuple[int, hb.GlyphPosition]
"""A glyph as the shaper has it: its number in the font, and where it is drawn."""


@dataclass(frozen=True, slots=True)
class _Glyph:
    """A glyph's code, its width in the font, how far the pen moves, and where it is drawn instead of at the pen."""

    code: bytes
    width: int
    advance: int
    right: int = 0
    up: int = 0


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Characters that are drawn together.

    Attributes:
        glyphs: from left to right.
        plain: whether their codes say what the text is.
    """

    text: str
    level: int
    glyphs: tuple[_Glyph, ...]
    plain: bool

    @property
    def width(self) -> int:
        return sum(glyph.advance for glyph in self.glyphs)

    @property
    def simple(self) -> bool:
        """Whether each glyph stands where the one before it ends."""
        return all(glyph.width == glyph.advance and not glyph.right and not glyph.up for glyph in self.glyphs)


class Shaper:
    """Sets texts in a typeface."""

    def __init__(self, face: Typeface) -> None:
        self._face = face
        self.lines = lru_cache(_CACHED)(self._lines)
        """The lines of a text, each as it stands between the parentheses of a string; see `_lines`."""

    def width(self, text: str) -> int:
        """Of a text on one line, in thousandths of an em."""
        return sum(cluster.width for part in _LINE_END.split(text) for cluster in self._clusters(part))

    def longest(self, text: str) -> int:
        """Of the parts that a header may be broken into, the longest one's width."""
        clusters = [cluster for part in _LINE_END.split(text) for cluster in self._clusters(part)]
        longest = width = 0
        for place, cluster in enumerate(clusters, 1):
            width += cluster.width
            longest = max(longest, width)
            if _may_break(clusters, place, True):
                width = 0
        return longest

    def _lines(self, text: str, room: int, humps: bool = False) -> tuple[bytes, ...]:
        """The lines of a text, each as it stands between the parentheses of a string.

        What glyphs do not tell of the text is in an ActualText around them; a line end is a line end.

        Args:
            room: thousandths of an em.
            humps: whether `displayName` may become two lines.
        """
        lines: list[bytes] = []
        start = 0
        for end in [*_LINE_END.finditer(text), None]:
            paragraph = text[start : end.start() if end else None]
            if end is None and not paragraph and lines:
                break
            lines += [self._line(line) for line in self._broken(self._clusters(paragraph), room, humps)]
            start = end.end() if end else start
        return tuple(lines)

    def _broken(self, clusters: Sequence[_Cluster], room: int, humps: bool) -> Generator[Sequence[_Cluster]]:
        start = place = width = 0
        good = 0
        while place < len(clusters):
            width += clusters[place].width
            if width > room and place > start and not clusters[place].text.isspace():
                end = good if good > start else place
                yield clusters[start:end]
                start = place = good = end
                width = 0
                continue
            place += 1
            if _may_break(clusters, place, humps):
                good = place
        yield clusters[start:]

    def _line(self, clusters: Sequence[_Cluster]) -> bytes:
        """Glyphs from left to right, as readers that put right-to-left text in order expect them."""
        order = [clusters[place] for place in bidi.visual([cluster.level for cluster in clusters])]
        if all(cluster.plain and cluster.simple for cluster in order):
            return b"".join(glyph.code for cluster in order for glyph in cluster.glyphs)
        drawn = b""
        for key, run in groupby(enumerate(order), key=lambda one: _together(*one)):
            some = [cluster for _, cluster in run]
            shown = _shown([glyph for cluster in some for glyph in cluster.glyphs])
            if key:
                text = "".join(cluster.text for cluster in some)
                actual = text.encode("utf-16-be").hex().encode()
                shown = b"/Span<</ActualText<feff" + actual + b">>>BDC" + shown + b" EMC"
            drawn += shown
        return b")Tj" + drawn + b"("

    # --- from characters to clusters

    def _clusters(self, text: str) -> list[_Cluster]:
        if not text:
            return []
        found = bidi.levels(text) if not text.isascii() else [0] * len(text)
        drawn = self._sources(text)
        clusters: list[_Cluster] = []
        for (name, level), places in groupby(range(len(text)), key=lambda place: (drawn[place], found[place])):
            run = list(places)
            clusters += self._run(text[run[0] : run[-1] + 1], name, level)
        return clusters

    def _sources(self, text: str) -> list[str]:
        """The font file that each character is drawn from; empty where none draws it."""
        names: list[str] = []
        for place, char in enumerate(text):
            before = names[-1] if names else ""
            if _leans(char) and before and (_ignorable(char) or source(before).glyph(ord(char))):
                names.append(before)
            elif _leans(char) and _ignorable(char):
                after = self._face.source_of(ord(text[place + 1])) if place + 1 < len(text) else None
                names.append(after or "")
            elif _hidden(char):
                names.append("")
            else:
                names.append(self._face.source_of(ord(char)) or "")
        return names

    def _run(self, text: str, name: str, level: int) -> list[_Cluster]:
        if not name:
            return [self._named(char, level) for char in text]
        new = [ord(char) for char in text if not self._face.codes[ord(char)]]
        if new:
            self._face.learn(new)
        if level % 2 == 0 and not any(self._face.complex[ord(char)] for char in text):
            return [
                _Cluster(char, level, (_Glyph(self._face.code_of(ord(char)), width, width),), True)
                for char in text
                for width in (int(self._face.widths[ord(char)]),)
            ]
        return self._shaped(text, name, level)

    def _named(self, char: str, level: int) -> _Cluster:
        """A character that no font draws, by its number; a tab as spaces."""
        shown = _TAB if char == "\t" else f"[U+{ord(char):04X}]"
        widths = [int(self._face.widths[ord(one)]) for one in shown]
        codes = [self._face.code_of(ord(one)) for one in shown]
        glyphs = tuple(_Glyph(code, width, width) for code, width in zip(codes, widths, strict=True))
        return _Cluster(char, level, glyphs, False)

    def _shaped(self, text: str, name: str, level: int) -> list[_Cluster]:
        buffer = hb.Buffer()
        buffer.add_codepoints([ord(char) for char in text])
        buffer.guess_segment_properties()
        buffer.direction = "rtl" if level % 2 else "ltr"
        buffer.flags = hb.BufferFlags.REMOVE_DEFAULT_IGNORABLES
        hb.shape(source(name).font, buffer)
        drawn: dict[int, list[_Drawn]] = {}
        for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            drawn.setdefault(info.cluster, []).append((info.codepoint, position))
        if not drawn:
            return [self._named(char, level) for char in text]
        starts = sorted(drawn)
        ends = [*starts[1:], len(text)]
        starts_of_text = [0, *starts[1:]]
        clusters: list[_Cluster] = []
        for start, begin, end in zip(starts, starts_of_text, ends, strict=True):
            part = text[begin:end]
            if clusters and _is_tone(part):
                # a font of one colour has no tones of skin: they are in the text, not in the picture
                before = clusters.pop()
                clusters.append(_Cluster(before.text + part, level, before.glyphs, False))
            elif level % 2:
                clusters += self._backward(name, part, drawn[start], level)
            else:
                glyphs = self._glyphs(name, [part] * len(drawn[start]), drawn[start])
                clusters += self._cluster(part, level, glyphs, len(glyphs) == 1)
        return clusters

    def _cluster(self, text: str, level: int, glyphs: tuple[_Glyph, ...], plain: bool) -> list[_Cluster]:
        if not glyphs:
            return [self._named(char, level) for char in text]
        return [_Cluster(text, level, glyphs, plain)]

    def _backward(self, name: str, text: str, drawn: Sequence[_Drawn], level: int) -> list[_Cluster]:
        """A cluster from right to left. Each character has a glyph, for readers turn their order, not that of the
        characters of one glyph; those that a ligature has beyond its glyphs get an empty one."""
        spare = len(text) - len(drawn)
        if spare < 0:
            return self._cluster(text, level, self._glyphs(name, [text] * len(drawn), drawn), False)
        backward = text[::-1]
        blank = source(name).glyph(ord(" "))
        glyphs = self._glyphs(name, backward[: len(drawn)], drawn)
        width = source(name).width(blank)
        codes = [self._face.code(name, blank, char) if blank else None for char in backward[len(drawn) :]]
        empty = [_Glyph(code, width, 0, -width) for code in codes if code is not None]
        plain = len(empty) == spare
        return self._cluster(text, level, (*glyphs, *empty) if glyphs and plain else glyphs, plain)

    def _glyphs(self, name: str, texts: Sequence[str], drawn: Sequence[_Drawn]) -> tuple[_Glyph, ...]:
        """Empty where the font lacks one."""
        glyphs: list[_Glyph] = []
        for text, (number, position) in zip(texts, drawn, strict=True):
            code = self._face.code(name, number, text) if number else None
            if code is None:
                return ()
            width = source(name).width(number)
            glyphs.append(_Glyph(code, width, position.x_advance, position.x_offset, position.y_offset))
        return tuple(glyphs)


def _together(place: int, cluster: _Cluster) -> int:
    """0 for what tells its own text; the same number for what may share an ActualText: nothing from right to left."""
    if cluster.plain:
        return 0
    return -1 if cluster.level % 2 == 0 else place + 1


def _may_break(clusters: Sequence[_Cluster], place: int, humps: bool) -> bool:
    before = clusters[place - 1].text[-1]
    if before in BREAKS or ord(before) >= IDEOGRAMS:
        return True
    return humps and place < len(clusters) and before.islower() and clusters[place].text[0].isupper()


def _shown(glyphs: Sequence[_Glyph]) -> bytes:
    """Operators that draw glyphs and leave the pen after them."""
    shown: list[bytes] = []
    for up, run in groupby(glyphs, key=lambda glyph: glyph.up):
        parts: list[bytes] = []
        for glyph in run:
            before, after = glyph.right, glyph.advance - glyph.right - glyph.width
            parts.append(b"%b(%b)%b" % (_move(before), glyph.code, _move(after)))
        drawn = b"[" + b"".join(parts).replace(b")(", b"") + b"]TJ"
        shown.append(b"%.3f Ts%b 0 Ts" % (up / UNITS, drawn) if up else drawn)
    return b" ".join(shown)


def _move(units: int) -> bytes:
    return b"%d" % -units if units else b""


def _leans(char: str) -> bool:
    """Whether a character is drawn with the one before it."""
    return unicodedata.category(char) in ("Mn", "Mc", "Me") or _ignorable(char) or _is_tone(char)


def _is_tone(text: str) -> bool:
    """Whether a text is one tone of skin."""
    return "\U0001f3fb" <= text <= "\U0001f3ff"


def _ignorable(char: str) -> bool:
    return char in _JOINERS or 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF


def _hidden(char: str) -> bool:
    """Whether a character would not be seen, and so is shown by its number: controls, overrides, empty spaces."""
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
