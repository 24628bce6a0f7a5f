"""A sequential PDF writer: objects, streams and the cross-reference data (ISO 32000-1, 7.5)."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
from isal import isal_zlib

_HEADER = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
_LEVEL = 1
_BUNDLE = 200
"""Number of small objects in one object stream."""
_FREE, _PLAIN, _BUNDLED = 0, 1, 2


class Document:
    """A PDF file being written: reserve object numbers, write the objects in any order, each once, and end with
    `finish`, which does not close the file.

    Written objects are not kept in memory, apart from small ones that wait for their object stream.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._place = 0
        self._write(_HEADER)
        self._kinds = array("B", [_FREE])
        self._places = array("Q", [0])
        self._within = array("H", [0xFFFF])
        self._bundle: list[tuple[int, bytes]] = []

    def reserve_numbers(self, count: int = 1) -> int:
        """Reserve consecutive object numbers and return the first."""
        first = len(self._kinds)
        self._kinds.extend([_FREE] * count)
        self._places.extend([0] * count)
        self._within.extend([0] * count)
        return first

    def write_object(self, number: int, body: bytes) -> None:
        """Write an object uncompressed."""
        self._begin(number)
        self._write(b"%d 0 obj\n%b\nendobj\n" % (number, body))

    def write_compressed_object(self, number: int, body: bytes) -> None:
        """Add an object to a compressed object stream.

        Write objects that differ between runs over the same data with `write_object`, because their compressed length
        varies.
        """
        self._bundle.append((number, body))
        if len(self._bundle) == _BUNDLE:
            self._flush()

    def write_stream(self, number: int, data: bytes, facts: bytes = b"", packed: bool = True) -> None:
        """Write a stream object.

        Args:
            facts: further entries of the stream dictionary.
            packed: whether to compress the data.
        """
        if packed:
            data = isal_zlib.compress(data, _LEVEL)
            facts += b"/Filter/FlateDecode"
        self._begin(number)
        self._write(b"%d 0 obj\n<</Length %d%b>>\nstream\n" % (number, len(data), facts))
        self._write(data)
        self._write(b"\nendstream\nendobj\n")

    def finish(self, root: int, info: int, identity: bytes) -> None:
        """Write the cross-reference stream, without which the file is not a valid PDF.

        Args:
            root: object number of the catalog.
            info: object number of the Info dictionary.
            identity: file identifier, 32 hex digits.
        """
        self._flush()
        number = self.reserve_numbers()
        start = self._place
        self._begin(number)
        table = np.empty(len(self._kinds), np.dtype([("kind", "u1"), ("place", ">u8"), ("within", ">u2")]))
        table["kind"], table["place"], table["within"] = self._kinds, self._places, self._within
        data = isal_zlib.compress(table.tobytes(), _LEVEL)
        facts = b"/Type/XRef/W[1 8 2]/Size %d/Root %d 0 R/Info %d 0 R/ID[<%b><%b>]" % (
            len(table), root, info, identity, identity,
        )  # fmt: skip
        self._write(b"%d 0 obj\n<</Length %d/Filter/FlateDecode%b>>\nstream\n" % (number, len(data), facts))
        self._write(data)
        self._write(b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % start)

    def _flush(self) -> None:
        if not self._bundle:
            return
        number = self.reserve_numbers()
        places: list[int] = []
        place = 0
        for within, (small, body) in enumerate(self._bundle):
            self._kinds[small], self._places[small], self._within[small] = _BUNDLED, number, within
            places += [small, place]
            place += len(body) + 1
        head = b" ".join(b"%d" % one for one in places) + b"\n"
        data = head + b"\n".join(body for _, body in self._bundle)
        facts = b"/Type/ObjStm/N %d/First %d" % (len(self._bundle), len(head))
        self._bundle = []
        self.write_stream(number, data, facts)

    def _begin(self, number: int) -> None:
        self._kinds[number], self._places[number] = _PLAIN, self._place

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._place += len(data)


def text_string(text: str) -> bytes:
    """Return a text as a PDF string object."""
    return b"<feff" + text.encode("utf-16-be", "surrogatepass").hex().encode() + b">"


def grey_profile() -> bytes:
    """Return an ICC profile (ICC.1:2001-04) of grey with a gamma of 2.2, which PDF/A requires as output intent."""
    return _profile(b"GRAY", b"whohas grey", {b"kTRC": _GAMMA})


def colour_profile() -> bytes:
    """Return an ICC profile (ICC.1:2001-04) of the primary colours of sRGB with a gamma of 2.2.

    PDF/A allows a colour on a page whose output intent is grey if it is in a colour space with a profile.
    """
    colours = {
        b"rXYZ": _xyz(0.4361, 0.2225, 0.0139),
        b"gXYZ": _xyz(0.3851, 0.7169, 0.0971),
        b"bXYZ": _xyz(0.1431, 0.0606, 0.7141),
    }
    return _profile(b"RGB ", b"whohas colour", {**colours, b"rTRC": _GAMMA, b"gTRC": _GAMMA, b"bTRC": _GAMMA})


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


_GAMMA = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256))
_D50 = (0.9642, 1.0, 0.8249)


def _profile(space: bytes, name: bytes, curves: Mapping[bytes, bytes]) -> bytes:
    """Return an ICC profile of a display.

    Args:
        space: its colour space, four characters.
        name: its description.
        curves: further tags: primary colours and tone curves.
    """
    described = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + b"\0" + bytes(4 + 4 + 2 + 1 + 67)
    tags = {
        b"desc": described,
        b"cprt": b"text\0\0\0\0No rights reserved\0",
        b"wtpt": _xyz(*_D50),
        **curves,
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += struct.pack(">4sII", tag, start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    kinds = (0x02400000, b"mntr", space, b"XYZ ")
    header = struct.pack(">I4xI4s4s4s6H4s28x", start + len(body), *kinds, 2026, 1, 1, 0, 0, 0, b"acsp")
    header += _xyz(*_D50)[8:]
    return header.ljust(128, b"\0") + table + body
