"""Checks what a printed report draws, token by token: syntax, operators, operands, and each glyph inside its cell.

The cells are learned from the page itself: the bar behind the header row says where the table begins and how wide it
is, each header text where its column begins, the bars behind every second row how high the rows are. A glyph is where
the text matrix, the widths of the embedded font and the numbers of `TJ` put it; its ink is what the font's outline has.
"""

from __future__ import annotations

import hashlib
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from pdf_objects import TOKEN, Font, Malformed, Name, Page, PdfFile
from whohas.formats.pdf.layout import FOOTER, MARGIN

_OPERANDS = {
    b"q": "", b"Q": "", b"BT": "", b"ET": "", b"f": "", b"T*": "", b"EMC": "",
    b"g": "n", b"cs": "/", b"sc": "nnn", b"TL": "n", b"Ts": "n", b"Td": "nn", b"re": "nnnn", b"Tm": "nnnnnn",
    b"Tf": "/n", b"Do": "/", b"BMC": "/", b"BDC": "/d", b"Tj": "s", b"TJ": "a",
}  # fmt: skip
"""The operators that reports use, of those of ISO 32000-1, annex A: number, name, string, dictionary, array of `TJ`."""
_KINDS: dict[str, tuple[type, ...]] = {"n": (int, float), "/": (Name,), "s": (bytes,), "d": (dict,), "a": (list,)}
_TYPES = {operator: set(product(*(_KINDS[kind] for kind in kinds))) for operator, kinds in _OPERANDS.items()}
_IN_TEXT = frozenset((b"Tj", b"TJ", b"Td", b"T*", b"Tm", b"ET"))
_NOT_IN_TEXT = frozenset((b"re", b"f", b"Do", b"BT", b"q", b"Q", b"cs", b"sc"))
_HEADER, _HEADING, _STRIPE = 0.85, 0.91, 0.955
_COLOURED = -1.0
"""What stands for the grey of a bar in colour."""
_NEAR = 0.05
"""Points by which numbers may differ that are written with three digits."""
_ASIDE = 0.4
"""Of an em: by how much ink may reach into the margin from the title block, where nothing stands."""
_MOST = 20
"""Findings of a file that are listed."""
_ESCAPE = re.compile(rb"\\([()\\])")


_NUMBER = rb"[+-]?+(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)"
_STRING = rb"\((?:[^\\()]|\\.)*+\)"
_SPACES = rb"[ \n]++"
_OPERATION = rb"|".join(
    (
        _STRING + rb" ?+Tj",
        rb"\[(?:" + _STRING + rb"|" + _NUMBER + rb"(?=[(\]]))*+\]TJ",
        *(rb"(?:" + _NUMBER + _SPACES + rb"){%d}+" % count + operator
          for count, operator in ((2, b"Td"), (1, b"g"), (3, b"sc"), (1, b"Ts"), (1, b"TL"), (4, b"re"), (6, b"Tm"))),
        rb"/\w++<<(?:/MCID [0-9]++|/ActualText<(?:[0-9a-f]{2})++>)>>BDC",
        rb"/\w++ (?:1 Tf|Do|BMC|cs)",
        *(rb"T\*", rb"f", rb"BT", rb"ET", rb"EMC"),
    )
)  # fmt: skip
_WHOLE = re.compile(rb"(?>\s*+(?:" + _OPERATION + rb")(?=[\s(\[/]|$))*+\s*+", re.S)
"""All of a stream, as whohas writes it."""
_DRAWN = 300
"""Pages of a file that are drawn at most, spread over all of it; the tokens of each page are looked at."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A string as it is drawn, in points.

    Attributes:
        x: where its line begins; `y` the line it stands on.
        ink: left, bottom, right, top; None where nothing is seen.
        artifact: whether it is marked as none of the report's text.
        form: the name of the form that draws it; empty where the page does.
    """

    x: float
    y: float
    ink: tuple[float, float, float, float] | None
    raw: bytes
    size: float
    artifact: bool
    form: str


@dataclass(slots=True)
class Drawn:
    """What a page draws."""

    texts: list[Shown] = field(default_factory=list[Shown])
    bars: list[tuple[float, float, float, float, float]] = field(
        default_factory=list[tuple[float, float, float, float, float]]
    )
    """Grey, left, bottom, width, height."""
    marks: list[int] = field(default_factory=list[int])
    ends: list[float] = field(default_factory=list[float])
    """The line that the pen stands on at the end of each text object that is no artifact."""


class _Interpreter:
    """Executes the content streams of a page."""

    def __init__(self, page: Page, found: list[str]) -> None:
        self._page = page
        self._found = found
        self.drawn = Drawn()
        self._saved: list[Any] = []
        self._grey = 0.0
        self._font: Font | None = None
        self._size = 0.0
        self._leading = self._rise = 0.0
        self._scale = self._x = self._y = self._pen = 0.0
        self._text: int | None = None
        self._marked: list[str] = []
        self._boxes: list[tuple[float, float, float, float]] = []
        self._form = ""
        self._methods = {operator: getattr(self, name) for operator, name in _METHODS.items()}
        self._cache: dict[tuple[int, bytes], tuple[int, tuple[int, int, int, int] | None]] = {}

    def run(self, stream: bytes, form: str = "") -> None:
        """Executes a stream; what is open at its end is closed by none after it."""
        self._form = form
        try:
            for operator, operands in operations(stream):
                self._execute(operator, operands)
        except Malformed as fault:
            self._found.append(str(fault))
        if self._text is not None or self._marked or self._saved or self._boxes:
            self._found.append(
                f"at the end of a stream: in text {self._text is not None}, marks {self._marked}, "
                f"states {len(self._saved)}, boxes {len(self._boxes)}"
            )
        self._text, self._marked, self._saved, self._boxes, self._form = None, [], [], [], ""

    def _execute(self, operator: bytes, operands: Sequence[Any]) -> None:
        types = _TYPES.get(operator)
        if types is None:
            raise Malformed(f"unknown operator {operator.decode('latin-1')!r} after {operands!r:.60}")
        if tuple(map(type, operands)) not in types:
            raise Malformed(f"operands of {operator.decode()}: {operands!r:.80}, not {_OPERANDS[operator]!r}")
        inside = self._text is not None
        if (operator in _IN_TEXT and not inside) or (operator in _NOT_IN_TEXT and inside):
            raise Malformed(f"{operator.decode()} {'inside' if inside else 'outside'} of a text object")
        self._methods[operator](*operands)

    # --- marks, states, text objects

    def _begin_text(self) -> None:
        self._text = len(self._marked)

    def _end_text(self) -> None:
        if self._text != len(self._marked):
            raise Malformed("a mark begins inside of a text object and ends outside, or the other way round")
        self._text = None
        self._rise_is(0)
        if not self._form and "Artifact" not in self._marked:
            self.drawn.ends.append(self._y)

    def _mark(self, tag: str, facts: Mapping[str, Any] | None = None) -> None:
        self._marked.append(tag)
        if facts is None:
            return
        if tag == "Span":
            actual = facts.get("ActualText", b"")
            if set(facts) != {"ActualText"} or not actual.startswith(b"\xfe\xff"):
                raise Malformed(f"facts of Span: {facts!r:.80}")
            actual[2:].decode("utf-16-be", "surrogatepass")
        elif set(facts) == {"MCID"} and isinstance(facts["MCID"], int):
            self.drawn.marks.append(facts["MCID"])
        else:
            raise Malformed(f"facts of {tag}: {facts!r:.80}")

    def _end_mark(self) -> None:
        if len(self._marked) <= (self._text or 0):
            raise Malformed(
                "EMC ends nothing that begins in the same text object" if self._text else "EMC ends nothing"
            )
        self._marked.pop()

    def _save(self) -> None:
        self._saved.append((self._grey, self._font, self._size, self._leading))

    def _restore(self) -> None:
        if not self._saved:
            raise Malformed("Q without q")
        self._grey, self._font, self._size, self._leading = self._saved.pop()

    def _paint(self, name: str) -> None:
        data = self._page.forms.get(name)
        if data is None or self._form:
            raise Malformed(f"no form {name!r} here")
        inner = _Interpreter(self._page, self._found)
        inner.drawn, inner._marked = self.drawn, []
        inner.run(data, name)

    # --- boxes

    def _grey_is(self, grey: float) -> None:
        _within(grey, 0, 1, "g")
        self._grey = grey

    def _space_is(self, name: str) -> None:
        if name != "A" or self._form:
            raise Malformed(f"no colour space {name!r} here")
        self._grey = _COLOURED

    def _colour_is(self, *parts: float) -> None:
        if self._grey != _COLOURED:
            raise Malformed("sc without cs")
        for part in parts:
            _within(part, 0, 1, "sc")

    def _box(self, x: float, y: float, width: float, height: float) -> None:
        for one, most in ((x, self._page.width), (width, self._page.width), (y, self._page.height)):
            _within(one, 0, most, "re")
        _within(height, 0, self._page.height, "re")
        self._boxes.append((x, y, width, height))

    def _fill(self) -> None:
        if not self._boxes:
            raise Malformed("f fills nothing")
        self.drawn.bars += [(self._grey, *box) for box in self._boxes]
        self._boxes = []

    # --- text

    def _font_is(self, name: str, size: float) -> None:
        self._font = self._page.fonts.get(name)
        if self._font is None or size != 1:
            raise Malformed(f"Tf {name!r} {size}")
        self._size = size

    def _leading_is(self, leading: float) -> None:
        _within(leading, 1, 2, "TL")
        self._leading = leading

    def _rise_is(self, rise: float) -> None:
        _within(rise, -10, 10, "Ts")
        self._rise = rise

    def _matrix(self, a: float, b: float, c: float, d: float, x: float, y: float) -> None:
        if b or c or a != d or a <= 0:
            raise Malformed(f"Tm {a} {b} {c} {d}: text that is turned or stretched")
        self._scale = a
        self._line(x, y)

    def _move(self, x: float, y: float) -> None:
        self._line(self._x + x * self._scale, self._y + y * self._scale)

    def _line(self, x: float, y: float) -> None:
        # after the last row of a page the pen is below it
        _within(x, 0, self._page.width, "x of a line")
        _within(y, -self._page.height, self._page.height, "y of a line")
        self._x = self._pen = x
        self._y = y

    def _next_line(self) -> None:
        self._move(0, -self._leading)

    def _show(self, raw: bytes) -> None:
        font = self._font
        if font is None or not self._scale:
            raise Malformed("a string before Tf and Tm")
        key = (id(font), raw)
        measured = self._cache.get(key)
        if measured is None:
            measured = self._cache[key] = _measured(font, _ESCAPE.sub(rb"\1", raw))
        width, box = measured
        scale, ink = self._scale / 1000, None
        if box is not None:
            pen, line = self._pen, self._y + self._rise * self._scale
            ink = (pen + box[0] * scale, line + box[1] * scale, pen + box[2] * scale, line + box[3] * scale)
        artifact = bool(self._form) or "Artifact" in self._marked
        self.drawn.texts.append(Shown(self._x, self._y, ink, raw, self._scale, artifact, self._form))
        self._pen += width * scale

    def _show_moved(self, parts: Sequence[Any]) -> None:
        for part in parts:
            if isinstance(part, bytes):
                self._show(part)
            else:
                self._pen -= part * self._scale / 1000


_METHODS = {
    b"q": "_save", b"Q": "_restore", b"BT": "_begin_text", b"ET": "_end_text", b"f": "_fill", b"T*": "_next_line",
    b"EMC": "_end_mark", b"g": "_grey_is", b"TL": "_leading_is", b"Ts": "_rise_is", b"Td": "_move", b"re": "_box",
    b"Tm": "_matrix", b"Tf": "_font_is", b"Do": "_paint", b"BMC": "_mark", b"BDC": "_mark", b"Tj": "_show",
    b"TJ": "_show_moved", b"cs": "_space_is", b"sc": "_colour_is",
}  # fmt: skip


def operations(stream: bytes) -> Iterator[tuple[bytes, list[Any]]]:
    """Yield each operator of a stream with its operands; strings as they stand between their parentheses."""
    operands: list[Any] = []
    array: list[Any] | None = None
    facts: list[Any] | None = None
    end = 0
    for token in TOKEN.finditer(stream):
        if token.start() != end:
            break
        end = token.end()
        kind = token.lastgroup
        if kind == "skip":
            continue
        inside = operands if array is None and facts is None else facts if facts is not None else array
        assert inside is not None
        if kind == "string":
            inside.append(token["string"])
        elif kind == "number":
            written = token["number"]
            inside.append(float(written) if b"." in written else int(written))
        elif kind == "word":
            if inside is not operands:
                raise Malformed(f"{token['word'].decode('latin-1')!r} inside of an array or a dictionary")
            yield token["word"], operands
            operands = []
        elif kind == "name":
            inside.append(Name(token["name"].decode("latin-1")))
        elif kind == "hex":
            inside.append(bytes.fromhex(token["hex"].decode()))
        elif token["mark"] == b"[" and inside is operands:
            array = []
        elif token["mark"] == b"<<" and inside is operands:
            facts = []
        elif token["mark"] == b"]" and array is not None:
            if not all(type(one) in (bytes, int, float) for one in array):
                raise Malformed(f"an array of other things than strings and numbers: {array!r:.80}")
            operands.append(array)
            array = None
        elif token["mark"] == b">>" and facts is not None:
            operands.append(dict(zip(facts[::2], facts[1::2], strict=True)))
            facts = None
        else:
            raise Malformed(f"{token['mark'].decode()!r} is out of place")
    if end != len(stream):
        raise Malformed(f"no token: {stream[end : end + 20]!r}")
    if operands or array is not None or facts is not None:
        raise Malformed(f"operands without an operator at the end: {operands!r:.80}")


def _within(value: float, low: float, high: float, name: str) -> None:
    if not low - 0.01 <= value <= high + 0.01:
        raise Malformed(f"{name}: {value:.3f} is not between {low} and {high:.2f}")


def _measured(font: Font, string: bytes) -> tuple[int, tuple[int, int, int, int] | None]:
    """The width of a string and the box of its ink, in thousandths of an em."""
    pen = 0
    boxes: list[tuple[int, int, int, int]] = []
    for code in font.split(string):
        glyph = font.glyphs.get(code)
        if glyph is None:
            raise Malformed(f"the font has no glyph for {code!r}")
        if glyph.ink is not None:
            left, bottom, right, top = glyph.ink
            boxes.append((pen + left, bottom, pen + right, top))
        pen += glyph.width
    if not boxes:
        return pen, None
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return pen, (min(lefts), min(bottoms), max(rights), max(tops))


# --- where things stand


class _Sheet:
    """Checks where the texts of a page stand."""

    def __init__(self, page: Page, drawn: Drawn, report: Callable[[str], None]) -> None:
        self._page = page
        self._report = report
        self._drawn = drawn
        self._header = next((bar[1:] for bar in drawn.bars if bar[0] == _HEADER), None)

    def check(self) -> None:
        header = self._header
        limit = MARGIN + FOOTER
        foot = [text for text in self._drawn.texts if text.artifact and text.y < limit]
        others = [text for text in self._drawn.texts if not (text.artifact and text.y < limit)]
        left, right = MARGIN, self._page.width - MARGIN
        for text in foot:
            aside = _ASIDE * text.size
            self._inside(text, (left - aside, 0, right + aside, limit), "the foot of the page")
        self._apart(foot)
        if header is None:
            self._title(others, limit)
            return
        x, bottom, width, height = header
        if abs(x - left) > _NEAR or abs(x + width - right) > _NEAR or len(self._headers) != 1:
            self._report(f"the bar of the header is {header}")
        self._title([text for text in others if text.y > bottom + height], bottom + height)
        heads = [text for text in others if bottom < text.y <= bottom + height]
        starts = sorted({round(text.x, 2) for text in heads})
        starts = [one for n, one in enumerate(starts) if not n or one - starts[n - 1] > _NEAR]
        if not starts:
            self._report("a header without texts")
            return
        gap = starts[0] - x
        edges = [x, *(start - gap for start in starts[1:]), x + width]
        for text in heads:
            column = _place(starts, text.x)
            self._inside(text, (edges[column], bottom, edges[column + 1], bottom + height), f"header cell {column}")
        self._rows([text for text in others if text.y <= bottom], starts, edges, bottom, limit)

    @property
    def _headers(self) -> list[Any]:
        return [bar for bar in self._drawn.bars if bar[0] == _HEADER]

    def _title(self, texts: Sequence[Shown], bottom: float) -> None:
        for text in texts:
            aside = _ASIDE * text.size
            box = (MARGIN - aside, bottom, self._page.width - MARGIN + aside, self._page.height - MARGIN + aside)
            self._inside(text, box, "the title block")
        self._apart(texts)

    def _rows(
        self, texts: Sequence[Shown], starts: Sequence[float], edges: Sequence[float], top: float, limit: float
    ) -> None:
        if not texts:
            return
        first = top - texts[0].y
        tops = [top]
        bars = sorted((bar for bar in self._drawn.bars if bar[0] in (_HEADING, _STRIPE)), key=lambda bar: -bar[2])
        headings: set[int] = set()
        for grey, _, bottom, _, height in bars:
            if tops[-1] - bottom - height > _NEAR:
                tops.append(bottom + height)
            if grey == _HEADING:
                headings.add(len(tops) - 1)
            tops.append(bottom)
        pen = min(self._drawn.ends) + first
        if pen < tops[-1] - _NEAR:
            tops.append(pen)
        if tops[-1] < limit - _NEAR:
            self._report(f"rows end at {tops[-1]:.2f}, below {limit}")
        down = [-one for one in tops]
        at, previous = (0, -1), None
        count = len(starts)
        for text in texts:
            row = min(bisect_right(down, -text.y - 0.01) - 1, len(tops) - 2)
            column = _place(starts, text.x)
            if row in headings:
                if column:
                    self._report(f"a heading begins at {text.x:.2f}, not at {starts[0]:.2f}: {text.raw!r:.40}")
                if at not in ((row, count - 1), (row - 1, count - 1), (0, -1)):
                    self._report(f"after cell {at} comes the heading in row {row}: {text.raw!r:.40}")
                self._inside(text, (edges[0], tops[row + 1], edges[-1], tops[row]), f"heading {row}")
                at, previous = (row, count - 1), text
                continue
            if column < 0 or abs(text.x - starts[column]) > _NEAR:
                self._report(f"a text begins at {text.x:.2f}, where no column does: {text.raw!r:.40}")
                continue
            if (row, column) != at:
                expected = (at[0], at[1] + 1) if at[1] + 1 < count else (at[0] + 1, 0)
                if (row, column) != expected:
                    self._report(f"after cell {at} comes {(row, column)}: {text.raw!r:.40}")
                if abs(tops[row] - text.y - first) > _NEAR:
                    self._report(f"cell {(row, column)} begins {tops[row] - text.y:.2f} below its row, not {first:.2f}")
                at = (row, column)
            elif previous is not None and text.y > previous.y and text.ink is not None:
                self._report(f"cell {at} goes up: {text.raw!r:.40}")
            previous = text
            box = (edges[column], tops[row + 1], edges[column + 1], tops[row])
            self._inside(text, box, f"cell {(row, column)}")
        if at != (len(tops) - 2, count - 1):
            self._report(f"the last cell is {at}, of {len(tops) - 1} rows and {count} columns")

    def _inside(self, text: Shown, box: tuple[float, float, float, float], name: str) -> None:
        ink = text.ink
        if ink is None:
            return
        over = (box[0] - ink[0], box[1] - ink[1], ink[2] - box[2], ink[3] - box[3])
        if max(over) > _NEAR:
            sides = ", ".join(
                f"{one:.2f} {side}" for one, side in zip(over, ("left", "below", "right", "above"), strict=True)
                if one > _NEAR
            )  # fmt: skip
            self._report(f"{name}: ink beyond by {sides}: {text.raw!r:.60}")

    def _apart(self, texts: Sequence[Shown]) -> None:
        """Texts that begin at different places of one line must not meet."""
        lines: dict[tuple[float, float], tuple[float, float]] = {}
        for text in texts:
            if text.ink is not None:
                left, right = lines.get((text.y, text.x), (text.ink[0], text.ink[2]))
                lines[text.y, text.x] = (min(left, text.ink[0]), max(right, text.ink[2]))
        for ((y, _), (_, right)), ((other, x), (left, _)) in pairwise(sorted(lines.items())):
            if y == other and left < right - _NEAR:
                self._report(f"two texts of the line at {y:.2f} meet at {x:.2f}")


def _place(starts: Sequence[float], x: float) -> int:
    return bisect_right(starts, x + 0.5) - 1


# --- what tests use


def page_findings(page: Page) -> list[str]:
    """What is wrong with a page: nothing where it is as it should be."""
    found: list[str] = []
    interpreter = _Interpreter(page, found)
    for stream in page.streams:
        interpreter.run(stream)
    marks = interpreter.drawn.marks
    if marks != list(range(len(marks))):
        found.append(f"marks are not numbered from 0: {marks!r:.80}")
    if not found:
        _Sheet(page, interpreter.drawn, found.append).check()
    return found


def findings(path: Path) -> list[str]:
    """What is wrong with the pages of a file, with the number of the page; the first twenty."""
    stat = path.stat()
    return list(_findings(path, stat.st_size, stat.st_mtime_ns))


_RIGHT_PAGES: set[bytes] = set()
"""What was drawn in this process and found right: many reports have the same rows, page by page."""


def _drawing(page: Page) -> bytes:
    """A digest of all that a page draws but the texts at its foot that each page of its file has, its first and last too.

    These are forms: `F` has the run's id, `T` the number of pages.
    """
    digest = hashlib.sha256(repr((page.width, page.height)).encode())
    forms = [(name, form) for name, form in page.forms.items() if name not in ("F", "T")]
    fonts = [(name, font.digest) for name, font in page.fonts.items()]
    for name, data in (*(("", stream) for stream in page.streams), *sorted(forms), *sorted(fonts)):
        digest.update(f"{name} {len(data)} ".encode() + data)
    return digest.digest()


@lru_cache(1 << 12)
def _findings(path: Path, *_version: int) -> Sequence[str]:
    found: list[str] = []
    try:
        file = PdfFile(path)
        step = -(-file.count // _DRAWN)
        for number, page in enumerate(file.pages(), 1):
            found += [
                f"page {number}: no operation: {stream[end : end + 40]!r}"
                for stream in page.streams
                if (end := _WHOLE.match(stream).end()) < len(stream)  # type: ignore[union-attr]
            ]
            edge = number in (1, file.count)
            if edge or number % step == 0:
                drawn = _drawing(page)
                if edge or drawn not in _RIGHT_PAGES:
                    wrong = page_findings(page)
                    found += [f"page {number}: {one}" for one in wrong]
                    if not wrong:
                        _RIGHT_PAGES.add(drawn)
            if len(found) > _MOST:
                return [*found[:_MOST], "and more"]
    except Malformed as fault:
        found.append(str(fault))
    return found


def whole_reports(folder: Path) -> Iterator[Path]:
    """Yield the PDFs of whohas below a folder; not what was cut on purpose, or is no PDF."""
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names if name.endswith(".pdf")):
            with suppress(FileNotFoundError), path.open("rb") as file:  # a server may sweep while this looks
                head = file.read(9)
                file.seek(-min(6, file.seek(0, os.SEEK_END)), os.SEEK_END)
                if head == b"%PDF-1.7\n" and file.read() == b"%%EOF\n":
                    yield path


_RIGHT: set[tuple[int, int, int, int]] = set()
"""Files that were found right in this process: a file of a shared folder is not read again at the session's end."""


def checked(path: Path) -> Path:
    """Return the path of a file whose every content stream is right."""
    stat = path.stat()
    file = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if file not in _RIGHT:
        found = findings(path)
        assert not found, f"{path}:\n" + "\n".join(found)
        _RIGHT.add(file)
    return path
