"""The text of a CSV file on its way to a parser: comments, escapes and marks inside the file are dealt with here.

Two parsers read it, pyarrow for the data and Python's csv module for the header and for lines. Both get the same
bytes, so that they cannot disagree.
"""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from whohas.ingest.readers.streams import ByteStream

_MARK = codecs.BOM_UTF8
_QUOTE = ord('"')
_LONGEST_LINE = 8 << 20
_BREAKS = b"\r\n"

_STAND_INS = {0xDC00 + byte: 0x10FF00 + byte for byte in range(0x80, 0x100)}
_BYTES = {stand_in: escaped for escaped, stand_in in _STAND_INS.items()}
UNDECODABLE = "[\U0010ff80-\U0010ffff]"
"""What stands for bytes that are no UTF-8, for pyarrow raises on these where it reports a row."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        delimiter: one character; None takes the one that the first rows show.
        encoding: a name that Python knows; None for UTF-8. A byte order mark overrules it.
        skip: lines before the header that are no data.
        footer: records at the end that are no data; None to look for such as begin with a word like Total.
        comment: lines that begin with it are passed over.
        escape: a character that takes the meaning from a quote after it, within quotes; None as in RFC 4180.
        short: whether a row may have fewer cells than the header; the missing ones, at its end, are empty.
    """

    delimiter: str | None = None
    encoding: str | None = None
    skip: int = 0
    footer: int | None = None
    comment: str | None = None
    escape: str | None = None
    short: bool = False


class CsvStream(io.RawIOBase):
    """The bytes of a CSV file, quotes followed throughout.

    Blocks end behind a quote's successor, so that each can be judged by itself:

        "a""b",c      quotes 0, 1, 2, 3: even ones open (or go on after a doubled quote), odd ones close
        5" disk,c     a quote that opens nothing: text
        "abc"def,c    a quote that closes before its cell ends: a parser reads abcdef; counted as stray

    Attributes:
        quoted: whether what was read so far ends within quotes.
        valid: whether what was read so far is UTF-8 throughout; for bytes that are not, characters stand that
            `UNDECODABLE` matches.
        returns: whether quotes and carriage returns were seen, so that lines and records may be as many by chance.
        formulas: whether a cell may have been written as Excel's text formula, `="0001"`.
        literal: quotes in the middle of cells that have no quotes.
        stray: lines (the first few) with a quote that closes before its cell ends, and how many such quotes.
        marks: lines (the first few) that begin with a byte order mark, which is left out, and how many.
        nulls: NUL bytes.

    Args:
        skipped: bytes before the header that are left out.
    """

    def __init__(self, stream: ByteStream, delimiter: str, dialect: Dialect, skipped: int = 0) -> None:
        self._stream = stream
        self._separators = delimiter.encode() + _BREAKS
        self._escape = (dialect.escape or "").encode()
        self._comment = (dialect.comment or "").encode()
        self._opens = self._separators + b'"'
        self._held_back = frozenset(b'"' + self._escape)
        tokens = [b'"', _MARK]
        if self._escape:
            tokens.insert(0, re.escape(self._escape) + b"[" + re.escape(self._escape) + b'"]')
        if self._comment:
            tokens.append(re.escape(self._comment))
        self._tokens = re.compile(b"|".join(tokens))
        self._always = bool(self._escape or self._comment)
        self._last = b"\n"
        self._rest = b""
        self._part = b""
        self._first = _behind(stream, skipped)
        self.quoted = False
        self.valid = True
        self._quotes = False
        self._carriage = False
        self.formulas = False
        self.literal = 0
        self.stray = Places()
        self.marks = Places()
        self.nulls = Places()

    @property
    def returns(self) -> bool:
        return self._quotes and self._carriage

    @property
    def lines(self) -> int:
        return self._stream.lines

    @property
    def position(self) -> int:
        return self._stream.position

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        rest, self._rest = self._rest, b""
        if rest:
            return rest
        while True:
            data = self._block(size)
            if not data:
                return b""
            data = self._checked(data)
            if data:
                return data

    def discard(self, size: int) -> None:
        """Reads that many bytes and drops them."""
        while size > 0:
            data = self.read(max(size, 1 << 16))
            if not data:
                return
            self._rest = data[size:]
            size -= len(data)

    def ended(self, size: int) -> bool:
        """Whether nothing is left; reads up to `size` bytes ahead to know it."""
        self._rest = self.read(size)
        return not self._rest

    def _block(self, size: int) -> bytes:
        """The next bytes, which end neither in a quote nor in half a token."""
        first, self._first = self._first, b""
        data = first or self._stream.read(size)
        if self._comment:
            return self._whole_lines(data, size)
        while data and (short := _short(data) or data[-1] in self._held_back):
            more = self._stream.read(int(short))
            if not more:
                break
            data += more
        return data

    def _whole_lines(self, data: bytes, size: int) -> bytes:
        more, data = data, self._part + data
        while more:
            end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
            if end:
                self._part = data[end:]
                return data[:end]
            if len(data) > _LONGEST_LINE:
                break  # no parser takes such a row: it is handed on, and refused
            more = self._stream.read(size)
            data += more
        self._part = b""
        return data

    def _checked(self, data: bytes) -> bytes:
        ascii_only = data.isascii()
        if not (ascii_only or _is_utf8(data)):
            self.valid = False
            data = data.decode(errors="surrogateescape").translate(_STAND_INS).encode()
        if b"\0" in data:
            self.nulls.add(self._line(data) + data.count(b"\n", 0, data.find(b"\0")), data.count(b"\0"))
        self._carriage = self._carriage or b"\r" in data
        self._quotes = self._quotes or b'"' in data
        if self._always or (not ascii_only and b"\xef" in data and _MARK in data):
            return self._walk(data)
        if b'"' not in data:
            self._last = data[-1:]
            return data
        if not self._strict(data):
            return self._walk(data)
        self._last = data[-1:]
        return data

    def _strict(self, data: bytes) -> bool:
        """Whether all quotes stand as RFC 4180 wants them; follows them if so."""
        text = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(text == _QUOTE)
        opening = quotes[int(self.quoted) :: 2]
        closing = quotes[1 - int(self.quoted) :: 2]
        if len(opening) and opening[0] == 0:
            if self._last[0] not in self._separators:
                return False
            opening = opening[1:]
        if len(closing) and closing[-1] == len(text) - 1:
            closing = closing[:-1]  # the end of the file, for blocks do not end in a quote
        before, behind = text[opening - 1].tobytes(), text[closing + 1].tobytes()
        if before.translate(None, self._opens) or behind.translate(None, self._opens):
            return False
        self.formulas = self.formulas or (b'"' in before and b'"=""' in data)
        self.quoted ^= bool(len(quotes) & 1)
        return True

    def _line(self, data: bytes) -> int:
        """The line on which the bytes that were read last begin."""
        return self._stream.breaks - data.count(b"\n") + 1

    def _walk(self, data: bytes) -> bytes:
        """Follows the quotes one by one; leaves out marks and comments, turns escapes into doubled quotes."""
        out: list[bytes] = []
        done = 0  # data up to here is in `out` or left out
        free = 0  # tokens before this place are dealt with
        fresh = -1  # a place that a mark left out makes the start of a line
        lined, line = 0, self._line(data)  # the line of a place that was asked for
        for match in self._tokens.finditer(data):
            start, token = match.start(), match[0]
            if start < free:
                continue
            last = data[start - 1 : start] or self._last
            at_line = start == fresh or last in (b"\n", b"\r")
            if token == b'"':
                if self.quoted:
                    follower = data[start + 1 : start + 2]
                    if follower == b'"':
                        free = start + 2
                        continue
                    self.quoted = False
                    if follower and follower not in self._separators:
                        line, lined = line + data.count(b"\n", lined, start), start
                        self.stray.add(line)
                elif start == fresh or last in self._separators:
                    self.quoted = True
                else:
                    self.literal += 1
                    self.formulas = self.formulas or last == b"="
            elif token == _MARK:
                if at_line and not self.quoted:
                    line, lined = line + data.count(b"\n", lined, start), start
                    self.marks.add(line)
                    out.append(data[done:start])
                    done = fresh = match.end()
            elif token == self._comment and len(token) > 0:
                if at_line and not self.quoted:
                    end = _line_end(data, start)
                    out.append(data[done:start])
                    done = free = end
            elif self.quoted:
                out += data[done:start], b'""' if token[-1] == _QUOTE else self._escape
                done = match.end()
        self.formulas = self.formulas or b'"=""' in data
        self._last = data[-1:]
        if not done:
            return data
        out.append(data[done:])
        if fresh == len(data):
            self._last = b"\n"
        return b"".join(out)


class Places:
    """Lines on which something was seen: the first of them, and how many times it was."""

    def __init__(self) -> None:
        self.first = 0
        self.count = 0

    def add(self, line: int, times: int = 1) -> None:
        self.first = self.first or line
        self.count += times


def original(text: str) -> bytes:
    """The bytes of a text in which characters stand for undecodable bytes."""
    return text.translate(_BYTES).encode(errors="surrogateescape")


def _behind(stream: ByteStream, skipped: int) -> bytes:
    """What is behind the first bytes of a stream in the block that they end in."""
    rest = b""
    while skipped > 0:
        block = stream.read(max(skipped, 1 << 16))
        if not block:
            break
        rest = block[skipped:]
        skipped -= len(block)
    return rest


def _is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8; Arrow's check of one text takes a fifth of the time of decoding it."""
    ends = pa.py_buffer(np.array([0, len(data)], dtype=np.int32))
    try:
        pa.Array.from_buffers(pa.binary(), 1, [None, ends, pa.py_buffer(data)]).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _short(data: bytes) -> int:
    """How many bytes the last character of a text lacks."""
    for length in range(1, min(len(data), 3) + 1):
        byte = data[-length]
        if byte < 0x80:
            return 0
        if byte >= 0xC0:
            whole = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return max(whole - length, 0)
    return 0


def _line_end(data: bytes, start: int) -> int:
    found = [place for place in (data.find(b"\n", start), data.find(b"\r", start)) if place >= 0]
    return min(found, default=len(data))
