"""ZIP archives whose entries are compressed while they are written, so that no uncompressed file is on disk.

APPNOTE.TXT 6.3: names in UTF-8, deflate, and the records of ZIP64 only if a size or an offset needs them, so that a
small file opens everywhere. Each entry has two times: the DOS time, and UTC in an extended timestamp.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from isal import isal_zlib

from whohas.formats.streaming import BLOCK, pipe

_LEVEL = 1
"""Compression level of ISA-L. Levels 2 and 3 save little, and 3 takes twice the time; 0 is no faster, and its files are
50% larger."""

_TOO_LARGE = _IN_ZIP64 = 0xFFFFFFFF
"""The value of a 32-bit size or offset that means that the actual one is in the ZIP64 record; also the first size or
offset that needs such a record."""
_TOO_MANY = _IN_ZIP64_16 = 0xFFFF

_DEFLATE = 8
_UTF8 = 1 << 11
_UNIX = 3 << 8
_PLAIN_FILE = 0o100644 << 16
_VERSION, _VERSION_64 = 20, 45

_ZIP64, _TIME, _PADDING = 0x0001, 0x5455, 0xA220
"""Header ids of extra fields: ZIP64 sizes, extended timestamp, and padding (Microsoft Open Packaging growth hint)."""


@dataclass(slots=True)
class _ZipEntry:
    """An entry of the archive.

    Attributes:
        name: its path in the archive, in UTF-8.
        offset: offset of its local header in the file.
        crc: CRC-32 of the uncompressed bytes.
        length: number of uncompressed bytes.
        packed: number of compressed bytes.
    """

    name: bytes
    offset: int
    crc: int = 0
    length: int = 0
    packed: int = 0


class ZipArchive:
    """A zip file that is being written, one entry after another. `open_zip` creates and finishes it."""

    def __init__(self, file: BinaryIO, time: datetime) -> None:
        self._file = file
        self._entries: list[_ZipEntry] = []
        time = max(time.astimezone(UTC), datetime(1980, 1, 1, tzinfo=UTC))  # DOS times begin in 1980
        self._dos_time = time.hour << 11 | time.minute << 5 | time.second // 2
        self._dos_date = (time.year - 1980) << 9 | time.month << 5 | time.day
        self._time = struct.pack("<HHBI", _TIME, 5, 1, int(time.timestamp()) & 0xFFFFFFFF)

    @contextmanager
    def entry(self, name: str) -> Generator[Path]:
        """Yield a path to write the bytes of one entry to, sequentially. Only one entry can be open at a time.

        Raises:
            OSError: the zip cannot be written; it replaces the error that the writer of the entry got because of it.
        """
        entry = _ZipEntry(name.encode(), self._file.tell())
        with pipe(partial(self._compress, entry)) as path:
            yield path
        self._entries.append(entry)

    def _compress(self, entry: _ZipEntry, stream: BinaryIO) -> None:
        """Compress a stream into the file, then overwrite the local header, because only now the sizes are known."""
        self._file.write(self._local_header(entry))
        start = self._file.tell()
        deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
        while block := stream.read(BLOCK):
            entry.crc = isal_zlib.crc32(block, entry.crc)
            entry.length += len(block)
            self._file.write(deflate.compress(block))
        self._file.write(deflate.flush())
        end = self._file.tell()
        entry.packed = end - start
        self._file.seek(entry.offset)
        self._file.write(self._local_header(entry))
        self._file.seek(end)

    def _local_header(self, entry: _ZipEntry) -> bytes:
        """Return the local header. Its length does not depend on the sizes, so that it can be overwritten later."""
        if large := max(entry.length, entry.packed) >= _TOO_LARGE:
            extra = struct.pack("<HHQQ", _ZIP64, 16, entry.length, entry.packed)
        else:
            extra = struct.pack("<HHHH12x", _PADDING, 16, 0xA028, 0)  # padding for the ZIP64 field, which readers skip
        extra += self._time
        return (
            struct.pack(
                "<4sHHHHHIIIHH",
                b"PK\3\4",
                _VERSION_64 if large else _VERSION,
                _UTF8,
                _DEFLATE,
                self._dos_time,
                self._dos_date,
                entry.crc,
                _IN_ZIP64 if large else entry.packed,
                _IN_ZIP64 if large else entry.length,
                len(entry.name),
                len(extra),
            )
            + entry.name
            + extra
        )

    def _central_header(self, entry: _ZipEntry) -> bytes:
        """Return the entry of the central directory.

        The ZIP64 field has only the numbers that do not fit into 32 bits, in this order: size, compressed size, offset.
        """
        numbers = (entry.length, entry.packed, entry.offset)
        large = [number for number in numbers if number >= _TOO_LARGE]
        version = _VERSION_64 if large else _VERSION
        extra = struct.pack(f"<HH{len(large)}Q", _ZIP64, 8 * len(large), *large) if large else b""
        extra += self._time
        length, packed, offset = map(_in_32_bits, numbers)
        return (
            struct.pack(
                "<4sHHHHHHIIIHHHHHII",
                b"PK\1\2",
                _UNIX | version,
                version,
                _UTF8,
                _DEFLATE,
                self._dos_time,
                self._dos_date,
                entry.crc,
                packed,
                length,
                len(entry.name),
                len(extra),
                0,
                0,
                0,
                _PLAIN_FILE,
                offset,
            )
            + entry.name
            + extra
        )

    def finish(self) -> None:
        """Write the central directory, without which the file is not a valid zip."""
        offset = self._file.tell()
        for entry in self._entries:
            self._file.write(self._central_header(entry))
        end = self._file.tell()
        size, count = end - offset, len(self._entries)
        if max(size, offset) >= _TOO_LARGE or count >= _TOO_MANY:
            made_by, needs = _UNIX | _VERSION_64, _VERSION_64
            self._file.write(
                struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, made_by, needs, 0, 0, count, count, size, offset)
            )
            self._file.write(struct.pack("<4sIQI", b"PK\6\7", 0, end, 1))
        few = count if count < _TOO_MANY else _IN_ZIP64_16
        self._file.write(
            struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, few, few, _in_32_bits(size), _in_32_bits(offset), 0)
        )


@contextmanager
def open_zip(path: Path, time: datetime) -> Generator[ZipArchive]:
    """Yield a new zip file. If the body raises, the central directory is missing, so the file is not a valid zip.

    Args:
        path: the file to write; an existing file is overwritten.
        time: modification time of all entries.
    """
    with path.open("wb") as file:
        archive = ZipArchive(file, time)
        yield archive
        archive.finish()


def _in_32_bits(number: int) -> int:
    """Return a number as its 32-bit field has it."""
    return number if number < _TOO_LARGE else _IN_ZIP64
