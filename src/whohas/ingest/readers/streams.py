"""Read text files as a stream of UTF-8: decompress gzip, decode other encodings, drop a byte order mark, count lines.

`open_bytes` returns the stream; `record_start_lines` finds the lines on which records start.
"""

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
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # FF FE 00 00: must be tested before UTF-16's, which is FF FE
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class ByteStream(io.RawIOBase):
    """A readable stream of a file's text in UTF-8. Invalid bytes in a UTF-8 file are passed on as they are.

    Example: a UTF-16 file with the bytes FF FE 41 00 0A 00 is read as the two bytes 41 0A (`A` and a line feed);
    `breaks` and `lines` are 1 then.

    Args:
        path: the path of the file, for messages.
        file: the file to read the text from, decompressed.
        raw: the file on disk, whose position shows how much was read.
        encoding: the encoding of the text; None for UTF-8. A byte order mark overrides it.

    Attributes:
        lines: the number of physical lines read so far; a last line without a line break counts.
        breaks: the number of line feeds read so far.

    Raises:
        InvalidArguments: the gzip file is damaged; `read` also raises it for bytes that the encoding does not have.
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
        """The number of bytes of the file on disk that have been read, before decompression."""
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
            # NumPy counts line feeds about three times as fast as bytes.count if there are many.
            self.breaks += int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))
            self._ended_in_break = data.endswith(b"\n")
        return data

    def _undecodable(self, data: bytes, error: UnicodeError) -> str:
        """Return the message for bytes that are invalid in the file's encoding, with their line and the text before."""
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
        """Read decompressed bytes; raise `InvalidArguments` if the gzip file is damaged or cut off."""
        try:
            return self._file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidArguments(f"{self._path} is not a whole gzip file: {error}.") from None


@contextmanager
def open_bytes(path: Path, encoding: str | None = None) -> Generator[ByteStream]:
    """Open a text file as a stream of UTF-8; a file whose name ends in `.gz` is decompressed.

    Args:
        encoding: the encoding of the text; None for UTF-8. A byte order mark overrides it.

    Raises:
        InvalidArguments: the file is not a complete gzip file.
    """
    with path.open("rb") as raw:
        packed = path.suffix.lower() == ".gz"
        file = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if packed else raw)
        yield ByteStream(path, file, raw, encoding)


def record_start_lines(lines: Iterator[str], records: Callable[[Iterator[str]], Iterator[object]]) -> Iterator[int]:
    """Yield the number of the line on which each record starts, from 1.

    Example: the first record of the lines `a,"x`, `y"` and `b,z` takes two lines, the second takes one. The result
    is 1, 3.

    Args:
        lines: the lines of the file.
        records: a parser of records, such as `csv.reader`, that takes only as many lines as each record needs.
    """
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
