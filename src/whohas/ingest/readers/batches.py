"""Batches of rows, as every reader of input files yields them, and the streams that text files are read from.

`prefetch` reads batches in a second thread. `open_bytes` returns a text file as a stream of UTF-8: it decompresses
gzip, decodes other encodings and drops a byte order mark. `record_start_lines` finds the lines on which records start.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import IO, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whohas.errors import InvalidArguments

T = TypeVar("T")
RecordNumbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RowError:
    """An error in a row: the row is rejected, or one optional cell of it cannot be read and becomes null.

    Attributes:
        record_number: the record's number as its reader counts it.
        column: the file's column of the error; empty where the whole row is wrong.
        reason: what is wrong, for people.
        row_text: the row as the file has it.
        source_id: the id of the row's source; empty where it is unknown.
        cell_text: the text of the cell that becomes null; None where the row is rejected.
        list_name: the list in a document that contains the rejected item or the cell, such as `access` of an identity;
            empty for whole rows and their own cells.
    """

    record_number: int
    column: str
    reason: str
    row_text: str
    source_id: str = ""
    cell_text: str | None = None
    list_name: str = ""


@dataclass(frozen=True, slots=True)
class RowBatch:
    """A batch of records, as text.

    Attributes:
        data: the columns of a CSV file, with empty text for empty cells; or one column `doc` of JSON objects.
        record_numbers: the number of each record as its reader counts it; the reader's `line_of` converts it to a line
            number.
        row_errors: records between these that could not be read, and cells of these records that could not be read.
        bytes_read: how many bytes of the file have been read so far.
    """

    data: pa.Table
    record_numbers: RecordNumbers
    row_errors: tuple[RowError, ...] = ()
    bytes_read: int = 0


def prefetch(items: Iterator[T], depth: int = 1) -> Generator[T]:
    """Yield the same items, produced in a background thread while the consumer works on earlier ones.

    An exception of the producer is raised to the consumer. Closing the generator stops the thread.

    Args:
        depth: how many finished items may wait for the consumer.
    """
    queue: Queue[tuple[str, Any]] = Queue(depth)
    over = Event()

    def put(kind: str, value: Any) -> bool:
        while not over.is_set():
            try:
                queue.put((kind, value), timeout=0.1)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # raised again in the consumer's thread
            put("error", error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            try:
                kind, value = queue.get(timeout=1)
            except Empty:
                continue
            if kind == "item":
                yield value
            elif kind == "error":
                raise value
            else:
                return
    finally:
        over.set()
        thread.join()


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
            raise InvalidArguments(
                f"{self._path} is not a whole gzip file: {error}. Copy or export it again."
            ) from None


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
