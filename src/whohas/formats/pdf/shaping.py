"""Layout of single texts that need shaping: fonts per character, HarfBuzz, bidirectional order, line breaks.

It is used for cells with complex scripts, and for titles, headers and footers, which are too few for the batch layout
of `typesetter.py`. A text passes these steps: characters are grouped by font and embedding level and shaped to clusters
(`_shape`), clusters that do not fit on a line are split (`_split_to_fit`), lines are broken (`_break_lines`), each line
is put in visual order (`_visual_order`), encoded (`_draw_line`) and kept clear of its neighbours
(`_with_empty_lines`).
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
from whohas.formats.pdf.layout import BASELINE, COLUMN_GAP, LEADING, ROW_PADDING
from whohas.formats.pdf.operators import join_tokens, operation, show_text
from whohas.formats.pdf.typeface import EMPTY_GLYPH_WIDTH, MAX_TEXT_PER_CODE, Box, Typeface, font_file, hb

BREAKS = frozenset(" \t,;:/\\|-_@=&?.\u200b")
"""A line may be broken after each of these characters, and after each ideogram."""
IDEOGRAMS = 0x2E80
"""Characters from this code point on count as ideograms in line breaking."""

_LINE_END = re.compile("\r\n|[\n\v\f\r\x85\u2028\u2029]")
_TAB = "    "
_JOINERS = frozenset("\u200c\u200d\u200e\u200f\u061c")
"""Joiners and direction marks: invisible, but they change how their neighbours are drawn."""
_NO_SPACES = frozenset(("thai.ttf", "lao.ttf", "khmer.ttf", "myanmar.ttf"))
"""Fonts of scripts without spaces between words, where a zero-width space marks where a line may be broken. In other
scripts a zero-width space is shown by its code point, because it could hide a difference between two texts."""
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_EMOJI_FONT = "emoji.ttf"
_EMOJI_MODIFIERS = frozenset(("\ufe0f", "\u20e3", *map(chr, _SKIN_TONES)))
"""Characters that make an emoji of the character before them: variation selector 16, the keycap, skin tones."""
_DECOMPOSED_SYLLABLE = re.compile("[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?")
"""A decomposed Korean syllable (NFD), as in file names of macOS. It is drawn as one glyph."""
_HANGUL_FONT = "hangul.ttf"
_ELLIPSIS = "…"
_CACHED = 8192

_LINE_HEIGHT = round(LEADING * UNITS)
_SPACE_ABOVE, _SPACE_BELOW = round(BASELINE * UNITS), round((LEADING + 2 * ROW_PADDING - BASELINE) * UNITS)
"""Distance from the baseline to the upper and lower edge of a row of one line, in thousandths of an em."""
_SIDE_TOLERANCE = round(COLUMN_GAP / 2 * UNITS)
"""How far ink may extend beyond its text at either side: half of the gap between columns."""
_MAX_INK = 2 * _LINE_HEIGHT
"""Maximum distance of ink from its baseline. Only many stacked marks exceed it; such clusters are split."""
_MAX_INK_OF_SINGLE_LINE = 2 * UNITS
"""The same for single lines such as the footer, to which no empty lines are added."""
_LOWEST_INK, _HIGHEST_INK = -300, 950
"""Lowest and highest ink that cannot collide with the lines above and below, relative to the baseline."""
_ALLOWED_OVERLAP = 250
"""How far the ink of two lines of a cell may overlap vertically: accents of plain text do so too."""


_ShapedGlyph = tuple[int, Any]
"""A glyph as returned by HarfBuzz: its number in the font, and its position."""


class _Glyph(NamedTuple):
    """A glyph to draw. Lengths are in thousandths of an em.

    Attributes:
        code: the glyph's code in the font of the document.
        width: its width in the font.
        advance: how far the pen moves after it.
        right: horizontal offset from the pen at which it is drawn.
        up: vertical offset.
        ink: bounding box, relative to the point at which it is drawn; None if it is within the glyph's width and line.
    """

    code: bytes
    width: int
    advance: int
    right: int = 0
    up: int = 0
    ink: Box | None = None


class _Cluster(NamedTuple):
    """Characters that are drawn together, such as a letter with its marks.

    Attributes:
        text: the characters, in logical order.
        level: embedding level (UAX #9); odd is right to left.
        glyphs: from left to right.
        plain: whether text extraction gets `text` from the codes of the glyphs, so that no ActualText is needed.
        extends: whether the ink of a glyph is outside of its width or its line.
    """

    text: str
    level: int
    glyphs: tuple[_Glyph, ...]
    plain: bool
    extends: bool = False

    @property
    def width(self) -> int:
        return sum(glyph.advance for glyph in self.glyphs)

    @property
    def boxes(self) -> list[Box]:
        """Bounding boxes of the glyphs that have an `ink`, relative to the start of the cluster."""
        result: list[Box] = []
        if not self.extends:
            return result
        pen = 0
        for glyph in self.glyphs:
            if glyph.ink is not None:
                left, low, right, high = glyph.ink
                x = pen + glyph.right
                result.append((x + left, low + glyph.up, x + right, high + glyph.up))
            pen += glyph.advance
        return result

    @property
    def simple(self) -> bool:
        """Whether each glyph is drawn where the previous one ends, so that no moves are needed."""
        return all(glyph.width == glyph.advance and not glyph.right and not glyph.up for glyph in self.glyphs)


class Shaper:
    """Lays out single texts in a typeface. Widths are in thousandths of an em."""

    def __init__(self, face: Typeface) -> None:
        self._face = face
        self.lines = lru_cache(_CACHED)(self._break_text)
        """Cached version of `_break_text`: breaks a text into lines and returns each as the content of a PDF string."""

    def width(self, text: str) -> int:
        """Return the width of a text on one line; line ends count for nothing."""
        return sum(cluster.width for part in _LINE_END.split(text) for cluster in self._clusters(part))

    def truncated(self, text: str, room: int) -> str:
        """Return a text without line ends, shortened with an ellipsis if it is wider than `room`."""
        text = _LINE_END.sub(" ", text)
        if self.width(text) <= room:
            return text
        left = room - self.width(_ELLIPSIS)
        head = ""
        for cluster in self._split_to_fit(self._clusters(text), left):
            left -= cluster.width
            if left < 0:
                break
            head += cluster.text
        return head.rstrip() + _ELLIPSIS

    def single_line(self, text: str, room: int) -> bytes:
        """Return a text on one line, as the content of a PDF string.

        Unlike `lines`, it adds no empty lines above or below. The text must fit: only single
        clusters wider than `room` are split.
        """
        return self._draw_line(
            _visual_order(list(self._split_to_fit(self._clusters(text), room, _MAX_INK_OF_SINGLE_LINE)))
        )

    def widest_part(self, text: str) -> int:
        """Return the width of the widest part of a header that cannot be broken any further."""
        clusters = [cluster for part in _LINE_END.split(text) for cluster in self._clusters(part)]
        longest = width = 0
        for place, cluster in enumerate(clusters, 1):
            width += cluster.width
            longest = max(longest, width)
            if _may_break(clusters, place, True):
                width = 0
        return longest

    def _break_text(self, text: str, room: int, camel_case: bool = False) -> tuple[bytes, ...]:
        """Break a text into lines and return each as the content of a PDF string.

        Glyphs whose codes do not give their text are enclosed in an ActualText. A line end in the text begins a new
        line.

        Args:
            room: maximum width of a line, in thousandths of an em.
            camel_case: whether a line may be broken within camel case: `displayName` as `display` and `Name`.
        """
        lines: list[Sequence[_Cluster]] = []
        start = 0
        for end in [*_LINE_END.finditer(text), None]:
            paragraph = text[start : end.start() if end else None]
            if end is None and not paragraph and lines:
                break
            clusters = self._clusters(paragraph)
            if any(cluster.extends or cluster.width > room for cluster in clusters):
                clusters = list(self._split_to_fit(clusters, room))
            lines += [_visual_order(line) for line in self._break_lines(clusters, room, camel_case)]
            start = end.end() if end else start
        return tuple(_with_empty_lines(lines, [self._draw_line(line) for line in lines]))

    def _split_to_fit(self, clusters: Iterable[_Cluster], room: int, tall: int = _MAX_INK) -> Generator[_Cluster]:
        """Yield clusters that fit on a line.

        A cluster that is too wide or whose ink is too high is split into halves, not between a character and its mark
        where possible; one character that does not fit is replaced by its code point, such as `[U+FDFD]`.

        Args:
            room: maximum width.
            tall: maximum distance of ink from the baseline.
        """
        for cluster in clusters:
            if cluster.width <= room and all(low > -tall and high < tall for _, low, _, high in cluster.boxes):
                yield cluster
            elif len(cluster.text) == 1:
                yield self._code_point(cluster.text, cluster.level)
            else:
                text, middle = cluster.text, len(cluster.text) // 2
                middle = next((n for n in range(middle, len(text)) if not _joins_previous(text[n])), middle)
                for part in (text[:middle], text[middle:]):
                    yield from self._split_to_fit(self._shape(part, [cluster.level] * len(part)), room, tall)

    def _break_lines(self, clusters: Sequence[_Cluster], room: int, camel_case: bool) -> Generator[Sequence[_Cluster]]:
        """Yield the clusters of each line: as many as fit, up to the last place where a line may be broken."""
        start = place = width = 0
        good = 0
        while place < len(clusters):
            width += clusters[place].width
            # A space may hang over the right edge. In right-to-left text it would hang over the left edge and move the
            # text, so there it may exceed the width by `_SIDE_TOLERANCE` only.
            hangs = clusters[place].text.isspace() and (not clusters[place].level or width <= room + _SIDE_TOLERANCE)
            if width > room and place > start and not hangs:
                end = good if good > start else place
                yield clusters[start:end]
                start = place = good = end
                width = 0
                continue
            place += 1
            if _may_break(clusters, place, camel_case):
                good = place
        yield clusters[start:]

    def _draw_line(self, order: Sequence[_Cluster]) -> bytes:
        """Return a line as the content of a PDF string.

        If text and positions follow from the codes, these are the codes. Otherwise the content closes the string that
        it is put into, draws the glyphs with their own operators, and opens an empty string: `)Tj ... (`.

        Args:
            order: clusters from left to right, as programs that extract right-to-left text expect them.
        """
        if all(cluster.plain and cluster.simple for cluster in order):
            return b"".join(glyph.code for cluster in order for glyph in cluster.glyphs)
        drawn: list[bytes] = []
        for key, run in groupby(enumerate(order), key=lambda item: _actual_text_key(*item)):
            some = [cluster for _, cluster in run]
            operators = _draw_glyphs([glyph for cluster in some for glyph in cluster.glyphs])
            if key:
                text = "".join(cluster.text for cluster in some)
                actual = text.encode("utf-16-be").hex().encode()
                operators = join_tokens(b"/Span<</ActualText<feff%b>>>BDC" % actual, operators, b"EMC")
            drawn.append(operators)
        return join_tokens(b")Tj", *drawn, b"(")

    # --- from characters to clusters

    def _clusters(self, text: str) -> list[_Cluster]:
        if not text:
            return []
        return self._shape(text, bidi.embedding_levels(text) if not text.isascii() else [0] * len(text))

    def _shape(self, text: str, levels: Sequence[int]) -> list[_Cluster]:
        """Return the clusters of a text.

        Args:
            levels: embedding level of each character.
        """
        fonts = self._fonts_of(text)
        clusters: list[_Cluster] = []
        for (name, level), places in groupby(range(len(text)), key=lambda place: (fonts[place], levels[place])):
            run = list(places)
            some = self._shape_run(text[run[0] : run[-1] + 1], name, level)
            # keep a mark with its letter, even if it is drawn from another font
            if clusters and name and _is_mark(some[0].text[0]) and _can_take_mark(clusters[-1], level):
                some[0] = _widened(_with_mark(clusters.pop(), some[0]))
            clusters += some
        return clusters

    def _fonts_of(self, text: str) -> list[str]:
        """Return the font file of each character; empty if no font draws it, or it is to be shown by its code point."""
        names: list[str] = []
        for place, char in enumerate(text):
            before = names[-1] if names else ""
            with_before = (
                _joins_previous(char)
                and before
                and (_is_joiner_or_selector(char) or font_file(before).glyph_number(ord(char)))
            )
            if with_before or (char == "\u200b" and before in _NO_SPACES):
                names.append(before)
            elif self._is_emoji(text, place, before):
                names.append(_EMOJI_FONT)
            elif _joins_previous(char) and _is_joiner_or_selector(char):
                after = self._face.font_file_of(ord(text[place + 1])) if place + 1 < len(text) else None
                names.append(after or "")
            elif _is_invisible(char):
                names.append("")
            else:
                names.append(self._face.font_file_of(ord(char)) or "")
        for syllable in _DECOMPOSED_SYLLABLE.finditer(text):
            names[syllable.start() : syllable.end()] = [_HANGUL_FONT] * len(syllable[0])
        return names

    def _is_emoji(self, text: str, place: int, before: str) -> bool:
        """Return whether a character is drawn as an emoji because of its neighbours: `1` before a keycap."""
        joined = before == _EMOJI_FONT and text[place - 1] == "\u200d"
        return (joined or text[place + 1 : place + 2] in _EMOJI_MODIFIERS) and bool(
            font_file(_EMOJI_FONT).glyph_number(ord(text[place]))
        )

    def _shape_run(self, text: str, name: str, level: int) -> list[_Cluster]:
        """Return the clusters of a text of one font and one level; HarfBuzz is called only if it is needed."""
        if not name:
            return [self._code_point(char, level) for char in text]
        new = [ord(char) for char in text if not self._face.codes[ord(char)]]
        if new:
            self._face.assign_codes(new)
        if level % 2 == 0 and not any(self._face.complex[ord(char)] for char in text):
            return [
                _Cluster(char, level, (_Glyph(self._face.character_code(ord(char)), width, width),), True)
                for char in text
                for width in (int(self._face.widths[ord(char)]),)
            ]
        return self._shape_complex(text, name, level)

    def _code_point(self, char: str, level: int) -> _Cluster:
        """Return a cluster that shows a character by its code point, such as `[U+202E]`; a tab as four spaces."""
        shown = _TAB if char == "\t" else f"[U+{ord(char):04X}]"
        widths = [int(self._face.widths[ord(letter)]) for letter in shown]
        codes = [self._face.character_code(ord(letter)) for letter in shown]
        glyphs = tuple(_Glyph(code, width, width) for code, width in zip(codes, widths, strict=True))
        return _Cluster(char, level, glyphs, False)

    def _shape_complex(self, text: str, name: str, level: int) -> list[_Cluster]:
        """Shape a text of one font and one level with HarfBuzz and return its clusters in logical order.

        Example: `لا` (lam, alef) from right to left is drawn as one ligature, so HarfBuzz returns one glyph whose
        cluster begins at 0, and the text of that cluster is both characters.
        """
        buffer = hb.Buffer()
        buffer.add_codepoints([ord(char) for char in text])
        buffer.guess_segment_properties()
        buffer.direction = "rtl" if level % 2 else "ltr"
        buffer.flags = hb.BufferFlags.REMOVE_DEFAULT_IGNORABLES
        hb.shape(font_file(name).font, buffer)
        drawn: dict[int, list[_ShapedGlyph]] = {}
        # A font of one colour draws skin tones as patterns. They are not drawn, but stay in the text of their cluster.
        tones = {font_file(name).glyph_number(tone) for tone in _SKIN_TONES} - {0}
        for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            some = drawn.setdefault(info.cluster, [])
            if not some or info.codepoint not in tones:
                some.append((info.codepoint, position))
        if not drawn:
            return [self._code_point(char, level) for char in text]
        starts = sorted(drawn)
        ends = [*starts[1:], len(text)]
        starts_of_text = [0, *starts[1:]]
        clusters: list[_Cluster] = []
        for start, begin, end in zip(starts, starts_of_text, ends, strict=True):
            part = text[begin:end]
            if level % 2:
                clusters += self._right_to_left(name, part, drawn[start], level)
            else:
                glyphs = self._make_glyphs(name, [part] * len(drawn[start]), drawn[start])
                clusters += self._make_cluster(part, level, glyphs, len(glyphs) == 1 and len(part) <= MAX_TEXT_PER_CODE)
        return clusters

    def _make_cluster(self, text: str, level: int, glyphs: tuple[_Glyph, ...], plain: bool) -> list[_Cluster]:
        """Return a cluster of glyphs; without glyphs, one cluster per character that shows its code point."""
        if not glyphs:
            return [self._code_point(char, level) for char in text]
        return [_widened(_Cluster(text, level, glyphs, plain, any(glyph.ink is not None for glyph in glyphs)))]

    def _right_to_left(self, name: str, text: str, drawn: Sequence[_ShapedGlyph], level: int) -> list[_Cluster]:
        """Return a right-to-left cluster in which each character has a glyph of its text, if there are not more glyphs.

        Text extraction reverses the order of glyphs, but not of the characters within a glyph, so one glyph must not
        stand for several. If a ligature has fewer glyphs than characters, empty glyphs stand for the others. Example:
        the ligature of `لا` (lam, alef) is one glyph with the text alef, and an empty glyph with the text lam is drawn
        over its right end: reversed, they are lam, alef.
        """
        spare = len(text) - len(drawn)
        if spare < 0:
            return self._make_cluster(text, level, self._make_glyphs(name, [text] * len(drawn), drawn), False)
        backward = text[::-1]
        glyphs = self._make_glyphs(name, backward[: len(drawn)], drawn)
        codes = [self._face.empty_glyph_code(char) for char in backward[len(drawn) :]]
        empty = [
            _Glyph(code, EMPTY_GLYPH_WIDTH, 0, EMPTY_GLYPH_WIDTH * place)
            for place, code in enumerate(codes, -spare)
            if code is not None
        ]
        plain = len(empty) == spare
        return self._make_cluster(text, level, (*glyphs, *empty) if glyphs and plain else glyphs, plain)

    def _make_glyphs(self, name: str, texts: Sequence[str], drawn: Sequence[_ShapedGlyph]) -> tuple[_Glyph, ...]:
        """Return the glyphs to draw, one per text that it stands for; empty if the font or its codes lack one."""
        glyphs: list[_Glyph] = []
        font = font_file(name)
        for text, (number, position) in zip(texts, drawn, strict=True):
            code = self._face.glyph_code(name, number, text) if number else None
            if code is None:
                return ()
            advance, right, up = position.x_advance, position.x_offset, position.y_offset
            ink = _extending_ink(font.bounding_box(number), advance, right, up)
            glyphs.append(_Glyph(code, font.width(number), advance, right, up, ink))
        return tuple(glyphs)


def _actual_text_key(place: int, cluster: _Cluster) -> int:
    """Return a key that is equal for neighbours on a line that are drawn together.

    It is 0 for clusters without ActualText, and -1 for left-to-right clusters, which share one. Each right-to-left
    cluster has its own, because their order on the line is not that of the text.
    """
    if cluster.plain:
        return 0
    return -1 if cluster.level % 2 == 0 else place + 1


def _extending_ink(box: Box | None, advance: int, right: int, up: int) -> Box | None:
    """Return a glyph's bounding box if its ink extends too far beyond its width or its line; None if it does not.

    Args:
        box: relative to the point at which the glyph is drawn, which is `right` and `up` from the pen.
    """
    if box is None:
        return None
    left, low, end, high = box
    if (
        left + right >= -_SIDE_TOLERANCE
        and end + right <= advance + _SIDE_TOLERANCE
        and high + up <= _HIGHEST_INK
        and low + up >= _LOWEST_INK
    ):
        return None
    return box


def _visual_order(clusters: Sequence[_Cluster]) -> list[_Cluster]:
    """Return the clusters of a line from left to right."""
    return [clusters[place] for place in bidi.visual_order([cluster.level for cluster in clusters])]


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Mc", "Me")


def _can_take_mark(before: _Cluster, level: int) -> bool:
    return before.level == level and not before.text[-1].isspace() and not _is_invisible(before.text[-1])


def _with_mark(before: _Cluster, mark: _Cluster) -> _Cluster:
    """Return a cluster of a letter and its mark."""
    glyphs = (*mark.glyphs, *before.glyphs) if mark.level % 2 else (*before.glyphs, *mark.glyphs)
    return _Cluster(before.text + mark.text, before.level, glyphs, before.plain and mark.plain, True)


def _widened(cluster: _Cluster) -> _Cluster:
    """Return a cluster, widened if its ink extends too far to a side, as that of a mark without a letter does."""
    if not cluster.extends:
        return cluster
    boxes = cluster.boxes
    left = min((box[0] for box in boxes), default=0)
    right = max((box[2] for box in boxes), default=0) - cluster.width
    if left >= -_SIDE_TOLERANCE and right <= _SIDE_TOLERANCE:
        return cluster
    before, after = max(0, -left), max(0, right)
    first, *others = cluster.glyphs
    glyphs = [first._replace(advance=first.advance + before, right=first.right + before), *others]
    glyphs[-1] = glyphs[-1]._replace(advance=glyphs[-1].advance + after)
    return cluster._replace(glyphs=tuple(glyphs))


def _with_empty_lines(lines: Sequence[Sequence[_Cluster]], drawn: Sequence[bytes]) -> Generator[bytes]:
    """Yield lines, with empty ones above, between and below them where ink would collide or leave the row.

    Example: a text of one line with ink from 690 below to 900 above the baseline gets no line above, because its row
    extends 1170 above the baseline, and one empty line below, because its row extends only 510 below it.
    """
    if not any(cluster.extends for line in lines for cluster in line):
        yield from drawn
        return
    inks = [_ink_of_line(line) for line in lines]
    high = max((box[3] for box in inks[0]), default=0)
    yield from [b""] * -(-max(0, high - _SPACE_ABOVE) // _LINE_HEIGHT)
    for place, line in enumerate(drawn):
        yield line
        low = min((box[1] for box in inks[place]), default=0)
        if place + 1 == len(drawn):
            more = -low - _SPACE_BELOW
        else:
            high = max((box[3] for box in inks[place + 1]), default=0)
            more = _overlap(inks[place], inks[place + 1]) if high - low > _LINE_HEIGHT + _ALLOWED_OVERLAP else 0
        yield from [b""] * -(-max(0, more) // _LINE_HEIGHT)


def _ink_of_line(line: Sequence[_Cluster]) -> list[Box]:
    """Return the boxes of the ink of a line that extends too far, relative to the start of the line."""
    result: list[Box] = []
    pen = 0
    for cluster in line:
        result += [(pen + left, low, pen + right, high) for left, low, right, high in cluster.boxes]
        pen += cluster.width
    return result


def _overlap(above: Sequence[Box], below: Sequence[Box]) -> int:
    """Return by how much the ink of two lines overlaps vertically beyond `_ALLOWED_OVERLAP`; 0 or less if it does not.

    Example: with 1200 from line to line and 250 allowed, ink down to -800 above ink up to 900 overlaps by
    900 + 800 - 1200 - 250 = 250.
    """
    return max(
        (high - low - _LINE_HEIGHT - _ALLOWED_OVERLAP
         for left, low, right, _ in above for other_left, _, other_right, high in below
         if left < other_right and other_left < right),
        default=0,
    )  # fmt: skip


def _may_break(clusters: Sequence[_Cluster], place: int, camel_case: bool) -> bool:
    """Return whether a line may be broken before the cluster at `place`."""
    before = clusters[place - 1].text[-1]
    if before in BREAKS or ord(before) >= IDEOGRAMS:
        return True
    return camel_case and place < len(clusters) and before.islower() and clusters[place].text[0].isupper()


def _draw_glyphs(glyphs: Sequence[_Glyph]) -> bytes:
    """Return operators that draw glyphs and leave the pen behind the last one."""
    drawn: list[bytes] = []
    for up, run in groupby(glyphs, key=lambda glyph: glyph.up):
        parts: list[int | bytes] = []
        for glyph in run:
            parts += [-glyph.right, glyph.code, glyph.right + glyph.width - glyph.advance]
        drawn.append(show_text(parts))
        if up:
            drawn[-1] = join_tokens(operation(b"Ts", b"%.3f" % (up / UNITS)), drawn[-1], operation(b"Ts", 0))
    return b" ".join(drawn)


def _joins_previous(char: str) -> bool:
    """Return whether a character is drawn together with the previous one: a mark, a joiner or a skin tone."""
    return unicodedata.category(char) in ("Mn", "Mc", "Me") or _is_joiner_or_selector(char) or _is_tone(char)


def _is_tone(text: str) -> bool:
    """Return whether a text is an emoji skin tone."""
    return "\U0001f3fb" <= text <= "\U0001f3ff"


def _is_joiner_or_selector(char: str) -> bool:
    return char in _JOINERS or 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF


def _is_invisible(char: str) -> bool:
    """Return whether a character is invisible and so is shown by its code point, such as controls and overrides."""
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
