"""Text that cannot be set character by character: shaped by HarfBuzz, ordered, broken into lines.

It also sets what is written once a page or once a document, where the way of `text.py` would not pay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Generator, Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from whohas.formats.fonts import UNITS
from whohas.formats.pdf import bidi
from whohas.formats.pdf.layout import ABOVE_AND_BELOW, BASELINE, LEADING, SIDES
from whohas.formats.pdf.operators import joined, operation, shown
from whohas.formats.pdf.typeface import EMPTY, MOST_TEXT, Box, Typeface, hb, source

BREAKS = frozenset(" \t,;:/\\|-_@=&?.\u200b")
"""After these, and after each ideogram, a line may end."""
IDEOGRAMS = 0x2E80

_LINE_END = re.compile("\r\n|[\n\v\f\r\x85\u2028\u2029]")
_TAB = "    "
_JOINERS = frozenset("\u200c\u200d\u200e\u200f\u061c")
"""What is not seen itself, but makes its neighbours look as they should."""
_NO_SPACES = frozenset(("thai.ttf", "lao.ttf", "khmer.ttf", "myanmar.ttf"))
"""Scripts without spaces between words: a zero-width space tells where a line may end, and hides nothing."""
_TONES = range(0x1F3FB, 0x1F400)
_PICTURES = "emoji.ttf"
_PICTURE_SIGNS = frozenset(("\ufe0f", "\u20e3", *map(chr, _TONES)))
"""What makes a picture of the character before it: a digit a key, a heart a red one, a hand one of a colour."""
_SYLLABLE = re.compile("[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?")
"""A Korean syllable in its parts, as file names of some systems have it: drawn as one."""
_SYLLABLES = "hangul.ttf"
_ELLIPSIS = "…"
_CACHED = 8192

_LINE = round(LEADING * UNITS)
_UP, _DOWN = round(BASELINE * UNITS), round((LEADING + 2 * ABOVE_AND_BELOW - BASELINE) * UNITS)
"""From the line that a text stands on to the top of its row and to its bottom, where it has one line."""
_ASIDE = round(SIDES / 2 * UNITS)
"""How far ink may go beyond its text at either side: half of the way to the next column."""
_TALL = 2 * _LINE
"""Ink farther from its line than this is of marks without end, one over the other: they are set apart."""
_FOOT = 2 * UNITS
"""The same for a line with others right above, that no line is added to."""
_LOW, _HIGH = -300, 950
"""Between these the ink of a line is no matter of concern, whatever stands above and below."""
_MEET = 250
"""By how much the ink of two lines of a cell may meet: plain text's accents do so too."""


_Drawn = tuple[int, Any]
"""A glyph as the shaper has it: its number in the font, and where it is drawn."""


class _Glyph(NamedTuple):
    """A glyph's code, its width in the font, how far the pen moves, and where it is drawn instead of at the pen.

    Attributes:
        ink: what it draws, from where it is drawn; None where that is within its width and its line, or nothing.
    """

    code: bytes
    width: int
    advance: int
    right: int = 0
    up: int = 0
    ink: Box | None = None


class _Cluster(NamedTuple):
    """Characters that are drawn together.

    Attributes:
        glyphs: from left to right.
        plain: whether their codes say what the text is.
        far: whether a glyph's ink is outside of its width or its line.
    """

    text: str
    level: int
    glyphs: tuple[_Glyph, ...]
    plain: bool
    far: bool = False

    @property
    def width(self) -> int:
        return sum(glyph.advance for glyph in self.glyphs)

    @property
    def boxes(self) -> list[Box]:
        """The ink of its glyphs that is far from them, from where the cluster begins."""
        found: list[Box] = []
        if not self.far:
            return found
        pen = 0
        for glyph in self.glyphs:
            if glyph.ink is not None:
                left, low, right, high = glyph.ink
                x = pen + glyph.right
                found.append((x + left, low + glyph.up, x + right, high + glyph.up))
            pen += glyph.advance
        return found

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

    def head(self, text: str, room: int) -> str:
        """Return a text, or as much of it as has room on one line before an ellipsis."""
        text = _LINE_END.sub(" ", text)
        if self.width(text) <= room:
            return text
        left = room - self.width(_ELLIPSIS)
        head = ""
        for cluster in self._fitted(self._clusters(text), left):
            left -= cluster.width
            if left < 0:
                break
            head += cluster.text
        return head.rstrip() + _ELLIPSIS

    def line(self, text: str, room: int) -> bytes:
        """Return a text that has room on one line, as `lines` would, but without lines above or below."""
        return self._line(_ordered(list(self._fitted(self._clusters(text), room, _FOOT))))

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
        lines: list[Sequence[_Cluster]] = []
        start = 0
        for end in [*_LINE_END.finditer(text), None]:
            paragraph = text[start : end.start() if end else None]
            if end is None and not paragraph and lines:
                break
            clusters = self._clusters(paragraph)
            if any(cluster.far or cluster.width > room for cluster in clusters):
                clusters = list(self._fitted(clusters, room))
            lines += [_ordered(line) for line in self._broken(clusters, room, humps)]
            start = end.end() if end else start
        return tuple(_spread(lines, [self._line(line) for line in lines]))

    def _fitted(self, clusters: Iterable[_Cluster], room: int, tall: int = _TALL) -> Generator[_Cluster]:
        """The same, what no line holds in parts, and by its number what cannot be parted."""
        for cluster in clusters:
            if cluster.width <= room and all(low > -tall and high < tall for _, low, _, high in cluster.boxes):
                yield cluster
            elif len(cluster.text) == 1:
                yield self._named(cluster.text, cluster.level)
            else:
                text, middle = cluster.text, len(cluster.text) // 2
                middle = next((n for n in range(middle, len(text)) if not _leans(text[n])), middle)
                for part in (text[:middle], text[middle:]):
                    yield from self._fitted(self._set(part, [cluster.level] * len(part)), room, tall)

    def _broken(self, clusters: Sequence[_Cluster], room: int, humps: bool) -> Generator[Sequence[_Cluster]]:
        start = place = width = 0
        good = 0
        while place < len(clusters):
            width += clusters[place].width
            # a space may hang over the edge, but for those that stand at the left: they would move the text
            hangs = clusters[place].text.isspace() and (not clusters[place].level or width <= room + _ASIDE)
            if width > room and place > start and not hangs:
                end = good if good > start else place
                yield clusters[start:end]
                start = place = good = end
                width = 0
                continue
            place += 1
            if _may_break(clusters, place, humps):
                good = place
        yield clusters[start:]

    def _line(self, order: Sequence[_Cluster]) -> bytes:
        """Glyphs from left to right, as readers that put right-to-left text in order expect them."""
        if all(cluster.plain and cluster.simple for cluster in order):
            return b"".join(glyph.code for cluster in order for glyph in cluster.glyphs)
        drawn: list[bytes] = []
        for key, run in groupby(enumerate(order), key=lambda one: _together(*one)):
            some = [cluster for _, cluster in run]
            operators = _drawn([glyph for cluster in some for glyph in cluster.glyphs])
            if key:
                text = "".join(cluster.text for cluster in some)
                actual = text.encode("utf-16-be").hex().encode()
                operators = joined(b"/Span<</ActualText<feff%b>>>BDC" % actual, operators, b"EMC")
            drawn.append(operators)
        return joined(b")Tj", *drawn, b"(")

    # --- from characters to clusters

    def _clusters(self, text: str) -> list[_Cluster]:
        if not text:
            return []
        return self._set(text, bidi.levels(text) if not text.isascii() else [0] * len(text))

    def _set(self, text: str, found: Sequence[int]) -> list[_Cluster]:
        """The clusters of a text whose characters have these levels."""
        drawn = self._sources(text)
        clusters: list[_Cluster] = []
        for (name, level), places in groupby(range(len(text)), key=lambda place: (drawn[place], found[place])):
            run = list(places)
            some = self._run(text[run[0] : run[-1] + 1], name, level)
            # a mark from another font than its letter stays with it
            if clusters and name and _is_mark(some[0].text[0]) and _takes_marks(clusters[-1], level):
                some[0] = _inside(_together_with(clusters.pop(), some[0]))
            clusters += some
        return clusters

    def _sources(self, text: str) -> list[str]:
        """The font file that each character is drawn from; empty where none draws it."""
        names: list[str] = []
        for place, char in enumerate(text):
            before = names[-1] if names else ""
            with_before = _leans(char) and before and (_ignorable(char) or source(before).glyph(ord(char)))
            if with_before or (char == "\u200b" and before in _NO_SPACES):
                names.append(before)
            elif self._is_picture(text, place, before):
                names.append(_PICTURES)
            elif _leans(char) and _ignorable(char):
                after = self._face.source_of(ord(text[place + 1])) if place + 1 < len(text) else None
                names.append(after or "")
            elif _hidden(char):
                names.append("")
            else:
                names.append(self._face.source_of(ord(char)) or "")
        for found in _SYLLABLE.finditer(text):
            names[found.start() : found.end()] = [_SYLLABLES] * len(found[0])
        return names

    def _is_picture(self, text: str, place: int, before: str) -> bool:
        """Whether a character is a picture because of those around it."""
        joined = before == _PICTURES and text[place - 1] == "\u200d"
        return (joined or text[place + 1 : place + 2] in _PICTURE_SIGNS) and bool(
            source(_PICTURES).glyph(ord(text[place]))
        )

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
        # a font of one colour has no tones of skin, but patterns: they are in the text, not in the picture
        tones = {source(name).glyph(tone) for tone in _TONES} - {0}
        for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            some = drawn.setdefault(info.cluster, [])
            if not some or info.codepoint not in tones:
                some.append((info.codepoint, position))
        if not drawn:
            return [self._named(char, level) for char in text]
        starts = sorted(drawn)
        ends = [*starts[1:], len(text)]
        starts_of_text = [0, *starts[1:]]
        clusters: list[_Cluster] = []
        for start, begin, end in zip(starts, starts_of_text, ends, strict=True):
            part = text[begin:end]
            if level % 2:
                clusters += self._backward(name, part, drawn[start], level)
            else:
                glyphs = self._glyphs(name, [part] * len(drawn[start]), drawn[start])
                clusters += self._cluster(part, level, glyphs, len(glyphs) == 1 and len(part) <= MOST_TEXT)
        return clusters

    def _cluster(self, text: str, level: int, glyphs: tuple[_Glyph, ...], plain: bool) -> list[_Cluster]:
        if not glyphs:
            return [self._named(char, level) for char in text]
        return [_inside(_Cluster(text, level, glyphs, plain, any(glyph.ink is not None for glyph in glyphs)))]

    def _backward(self, name: str, text: str, drawn: Sequence[_Drawn], level: int) -> list[_Cluster]:
        """A cluster from right to left. Each character has a glyph, for readers turn their order, not that of the
        characters of one glyph; those that a ligature has beyond its glyphs get an empty one."""
        spare = len(text) - len(drawn)
        if spare < 0:
            return self._cluster(text, level, self._glyphs(name, [text] * len(drawn), drawn), False)
        backward = text[::-1]
        glyphs = self._glyphs(name, backward[: len(drawn)], drawn)
        codes = [self._face.empty(char) for char in backward[len(drawn) :]]
        empty = [_Glyph(code, EMPTY, 0, EMPTY * place) for place, code in enumerate(codes, -spare) if code is not None]
        plain = len(empty) == spare
        return self._cluster(text, level, (*glyphs, *empty) if glyphs and plain else glyphs, plain)

    def _glyphs(self, name: str, texts: Sequence[str], drawn: Sequence[_Drawn]) -> tuple[_Glyph, ...]:
        """Empty where the font lacks one."""
        glyphs: list[_Glyph] = []
        font = source(name)
        for text, (number, position) in zip(texts, drawn, strict=True):
            code = self._face.code(name, number, text) if number else None
            if code is None:
                return ()
            advance, right, up = position.x_advance, position.x_offset, position.y_offset
            ink = _far(font.box(number), advance, right, up)
            glyphs.append(_Glyph(code, font.width(number), advance, right, up, ink))
        return tuple(glyphs)


def _together(place: int, cluster: _Cluster) -> int:
    """0 for what tells its own text; the same number for what may share an ActualText: nothing from right to left."""
    if cluster.plain:
        return 0
    return -1 if cluster.level % 2 == 0 else place + 1


def _far(box: Box | None, advance: int, right: int, up: int) -> Box | None:
    """A glyph's box where its ink is not within its width and its line, about; None where it is."""
    if box is None:
        return None
    left, low, end, high = box
    if left + right >= -_ASIDE and end + right <= advance + _ASIDE and high + up <= _HIGH and low + up >= _LOW:
        return None
    return box


def _ordered(clusters: Sequence[_Cluster]) -> list[_Cluster]:
    """A line's clusters from left to right."""
    return [clusters[place] for place in bidi.visual([cluster.level for cluster in clusters])]


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Mc", "Me")


def _takes_marks(before: _Cluster, level: int) -> bool:
    return before.level == level and not before.text[-1].isspace() and not _hidden(before.text[-1])


def _together_with(before: _Cluster, mark: _Cluster) -> _Cluster:
    """A letter and its mark as one cluster."""
    glyphs = (*mark.glyphs, *before.glyphs) if mark.level % 2 else (*before.glyphs, *mark.glyphs)
    return _Cluster(before.text + mark.text, before.level, glyphs, before.plain and mark.plain, True)


def _inside(cluster: _Cluster) -> _Cluster:
    """The same, wide enough for its ink where that reaches too far, as that of a mark without a letter does."""
    if not cluster.far:
        return cluster
    boxes = cluster.boxes
    left = min((box[0] for box in boxes), default=0)
    right = max((box[2] for box in boxes), default=0) - cluster.width
    if left >= -_ASIDE and right <= _ASIDE:
        return cluster
    before, after = max(0, -left), max(0, right)
    first, *others = cluster.glyphs
    glyphs = [first._replace(advance=first.advance + before, right=first.right + before), *others]
    glyphs[-1] = glyphs[-1]._replace(advance=glyphs[-1].advance + after)
    return cluster._replace(glyphs=tuple(glyphs))


def _spread(lines: Sequence[Sequence[_Cluster]], drawn: Sequence[bytes]) -> Generator[bytes]:
    """Lines with empty ones between, above and below, where ink would otherwise meet or leave the row.

    A text of one line with ink from 690 below to 900 above has one empty line after it, for a row has 510 below.
    """
    if not any(cluster.far for line in lines for cluster in line):
        yield from drawn
        return
    inks = [_ink(line) for line in lines]
    high = max((box[3] for box in inks[0]), default=0)
    yield from [b""] * -(-max(0, high - _UP) // _LINE)
    for place, line in enumerate(drawn):
        yield line
        low = min((box[1] for box in inks[place]), default=0)
        if place + 1 == len(drawn):
            more = -low - _DOWN
        else:
            high = max((box[3] for box in inks[place + 1]), default=0)
            more = _meet(inks[place], inks[place + 1]) if high - low > _LINE + _MEET else 0
        yield from [b""] * -(-max(0, more) // _LINE)


def _ink(line: Sequence[_Cluster]) -> list[Box]:
    """What a line draws where it is not plain."""
    found: list[Box] = []
    pen = 0
    for cluster in line:
        found += [(pen + left, low, pen + right, high) for left, low, right, high in cluster.boxes]
        pen += cluster.width
    return found


def _meet(above: Sequence[Box], below: Sequence[Box]) -> int:
    """By how much the ink of two lines meets that should not."""
    return max(
        (high - low - _LINE - _MEET
         for left, low, right, _ in above for other_left, _, other_right, high in below
         if left < other_right and other_left < right),
        default=0,
    )  # fmt: skip


def _may_break(clusters: Sequence[_Cluster], place: int, humps: bool) -> bool:
    before = clusters[place - 1].text[-1]
    if before in BREAKS or ord(before) >= IDEOGRAMS:
        return True
    return humps and place < len(clusters) and before.islower() and clusters[place].text[0].isupper()


def _drawn(glyphs: Sequence[_Glyph]) -> bytes:
    """Operators that draw glyphs and leave the pen after them."""
    drawn: list[bytes] = []
    for up, run in groupby(glyphs, key=lambda glyph: glyph.up):
        parts: list[int | bytes] = []
        for glyph in run:
            parts += [-glyph.right, glyph.code, glyph.right + glyph.width - glyph.advance]
        drawn.append(shown(parts))
        if up:
            drawn[-1] = joined(operation(b"Ts", b"%.3f" % (up / UNITS)), drawn[-1], operation(b"Ts", 0))
    return b" ".join(drawn)


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
