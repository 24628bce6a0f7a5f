"""Read input files as UTF-8: decompressed, decoded, without a byte order mark, with a count of lines."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np

from whohas.errors import InvalidArguments

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as that of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class ByteStream(io.RawIOBase):
    """A readable stream of a file's text in UTF-8. Invalid UTF-8 is passed on as it is.

    Attributes:
        lines: physical lines read so far; a last one without a line break counts.
        breaks: line feeds read so far.
    """

    def __init__(self, path: Path, file: IO[bytes], raw: IO[bytes], encoding: str | None) -> None:
        self._path = path
        self._file = file
        self._raw = raw
        self.breaks = 0
        self._ended_in_break = True
        start = self._read(4)
        for mark, found in _MARKS:
            if start.startswith(mark):
                start, encoding = start[len(mark) :], found
                break
        self._decoder: codecs.IncrementalDecoder | None = None
        self._name = "utf-8"
        if encoding is not None and codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig", "ascii"):
            self._decoder = codecs.getincrementaldecoder(encoding)()
            self._name = codecs.lookup(encoding).name
        self._start = start

    @property
    def lines(self) -> int:
        return self.breaks + (not self._ended_in_break)

    @property
    def position(self) -> int:
        """Bytes of the file on disk that have been read."""
        return self._raw.tell()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:  # pyarrow asks for large blocks
        data = self._start + self._read(max(size - len(self._start), 0) if size >= 0 else -1)
        self._start = b""
        if self._decoder is not None:
            final = not data
            try:
                data = self._decoder.decode(data, final).encode()
            except UnicodeError as error:
                raise InvalidArguments(self._undecodable(data, error)) from None
            if not data and not final:
                return self.read(size)
        if data:
            # bytes.count takes three times as long where there are many
            self.breaks += int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))
            self._ended_in_break = data.endswith(b"\n")
        return data

    def _undecodable(self, data: bytes, error: UnicodeError) -> str:
        """The message for bytes that the encoding does not have, with the line and the text before them."""
        assert self._decoder is not None
        name = self._name
        if not isinstance(error, UnicodeDecodeError):
            return f"{self._path} is not {name} throughout: {error}. Set csv.encoding to the encoding that it has."
        before = error.object[: error.start].decode(name, "replace")
        line = self.breaks + before.count("\n") + 1
        wrong = error.object[error.start : error.end].hex(" ").upper()
        return (
            f"{self._path}, line {line}: it is not {name} throughout: {error.reason} (bytes {wrong} after "
            f"{before[-30:]!r}). Set csv.encoding to the encoding that the file has."
        )

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidArguments(f"{self._path} is not a whole gzip file: {error}.") from None


@contextmanager
def open_bytes(path: Path, encoding: str | None = None) -> Generator[ByteStream]:
    """Opens a file; one whose name ends in `.gz` is unpacked.

    Args:
        encoding: of its text; None for UTF-8. A byte order mark overrules it.
    """
    with path.open("rb") as raw:
        packed = path.suffix.lower() == ".gz"
        file = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if packed else raw)
        yield ByteStream(path, file, raw, encoding)


def line_starts(lines: Iterator[str], records: Callable[[Iterator[str]], Iterator[object]]) -> Iterator[int]:
    """The line on which each record starts, from 1, for a reader that takes as many lines as a record needs."""
    taken = 0

    def counted() -> Iterator[str]:
        nonlocal taken
        for line in lines:
            taken += 1
            yield line

    before = 0
    for _ in records(counted()):
        yield before + 1
        before = taken
