"""A strict reader of the PDFs that whohas writes: tokens, objects, pages, fonts (ISO 32000-1, 7.2, 7.3, 7.5 and 9.7).

It shares no code with whohas and mends nothing: where readers of PDF guess, it says what is wrong.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

_REGULAR = rb"[^\0\t\n\f\r ()<>\[\]{}/%]"
TOKEN = re.compile(
    rb"(?P<skip>[\0\t\n\f\r ]+|%[^\r\n]*)"
    rb"|\((?P<string>(?:[^\\()]|\\.)*)\)"
    rb"|(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?!" + _REGULAR + rb")"
    rb"|/(?P<name>" + _REGULAR + rb"*)"
    rb"|(?P<word>" + _REGULAR + rb"+)"
    rb"|(?P<mark><<|>>|[\[\]])"
    rb"|<(?P<hex>(?:[0-9A-Fa-f]{2})*)>",
    re.S,
)
"""One token each. What is no token at all does not match."""
_ESCAPE = re.compile(rb"\\([()\\])")
_CODE_SPACE = re.compile(rb"[\xf0-\xff]..|[\x80-\xef].|[\0-\x7f]", re.S)


class Malformed(Exception):
    """A file or a stream that does not keep to the syntax."""


class Name(str):
    """A name object, without its slash."""

    __slots__ = ()


class Word(bytes):
    """A keyword: an operator of a content stream, or `true`, `R`, `obj`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to an object."""

    number: int


def objects(data: bytes, start: int = 0) -> Iterator[Any]:
    """Yield each object of a text of tokens, keywords as `Word`, references as `Ref`; strings are bytes."""
    stack: list[list[Any]] = []
    openings: list[bytes] = []
    place = start
    while place < len(data):
        token = TOKEN.match(data, place)
        if token is None:
            raise Malformed(f"no token: {data[place : place + 20]!r}")
        place = token.end()
        made: Any
        match token.lastgroup:
            case "skip":
                continue
            case "string":
                made = _ESCAPE.sub(rb"\1", token["string"])
                if b"\\" in made and re.search(rb"\\[^()\\]", token["string"].replace(b"\\\\", b"")):
                    raise Malformed(f"an escape that whohas does not write: {token[0][:40]!r}")
            case "number":
                made = float(token["number"]) if b"." in token["number"] else int(token["number"])
            case "name":
                made = Name(token["name"].decode("latin-1"))
            case "hex":
                made = bytes.fromhex(token["hex"].decode())
            case "word":
                made = Word(token["word"])
                values = stack[-1] if stack else []
                if made == b"R" and len(values) > 1 and isinstance(values[-2], int) and isinstance(values[-1], int):
                    values[-2:] = [Ref(values[-2])]
                    continue
                made = {b"true": True, b"false": False, b"null": None}.get(made, made)
            case _:
                mark = token["mark"]
                if mark in (b"[", b"<<"):
                    openings.append(mark)
                    stack.append([])
                    continue
                if not openings or openings.pop() != {b"]": b"[", b">>": b"<<"}[mark]:
                    raise Malformed(f"{mark!r} closes nothing")
                inside = stack.pop()
                if mark == b"]":
                    made = inside
                else:
                    if len(inside) % 2 or not all(isinstance(key, Name) for key in inside[::2]):
                        raise Malformed(f"no dictionary: {inside!r:.80}")
                    made = dict(zip(inside[::2], inside[1::2], strict=True))
        if stack:
            stack[-1].append(made)
        else:
            yield made
    if stack:
        raise Malformed(f"{openings[-1]!r} is not closed")


@dataclass(frozen=True, slots=True)
class Glyph:
    """A glyph as a page shows it: its width, and the box of its ink, in thousandths of an em; None where it has none."""

    width: int
    ink: tuple[int, int, int, int] | None


class Font:
    """A composite font: codes to glyphs, by its own CMap, widths and outlines."""

    def __init__(self, file: PdfFile, facts: Mapping[str, Any]) -> None:
        descendant = file.value(file.value(facts["DescendantFonts"])[0])
        start, widths = descendant["W"]
        program = file.stream(file.value(descendant["FontDescriptor"])["FontFile2"].number)
        boxes = _boxes(program)
        encoding = file.stream(facts["Encoding"].number)
        self.digest = hashlib.sha256(b"%d %b%b%r" % (len(program), program, encoding, widths)).digest()
        """Tells fonts apart."""
        if start != 0 or len(widths) != len(boxes):
            raise Malformed(f"{len(widths)} widths from {start} for {len(boxes)} glyphs")
        self.glyphs = {code: Glyph(widths[cid], boxes[cid]) for code, cid in _codes(encoding)}
        """Of each code."""

    def split(self, string: bytes) -> Sequence[bytes]:
        """The codes of a string."""
        codes = _CODE_SPACE.findall(string)
        if sum(map(len, codes)) != len(string):
            raise Malformed(f"the string ends within a code: {string[-20:]!r}")
        return codes


@dataclass(frozen=True, slots=True)
class Page:
    """What a page draws: its content streams, in their order, and the forms that these use."""

    streams: Sequence[bytes]
    forms: Mapping[str, bytes]
    fonts: Mapping[str, Font]
    width: float
    height: float


class PdfFile:
    """A file, as its cross-reference stream has it."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        if not self._data.startswith(b"%PDF-1.7\n") or not self._data.endswith(b"%%EOF\n"):
            raise Malformed("no whole PDF 1.7")
        place = self._data.rsplit(b"\n", 3)[1]
        self.trailer, table = self._stream_at(int(place))
        entry = struct.Struct(">BQH")
        if self.trailer["W"] != [1, 8, 2] or len(table) != entry.size * self.trailer["Size"]:
            raise Malformed("the cross-reference stream is not as long as it says")
        self._entries = list(entry.iter_unpack(table))
        self._bundles: dict[int, list[bytes]] = {}
        self._fonts: dict[int, Font] = {}

    @cached_property
    def count(self) -> int:
        """How many pages the file says that it has."""
        return self._tree["Count"]

    @cached_property
    def _tree(self) -> Mapping[str, Any]:
        return self.object(self.value(self.trailer["Root"])["Pages"].number)

    def pages(self) -> Iterator[Page]:
        """Yield all pages, in their order."""
        root, found = self._tree, 0
        for node in root["Kids"]:
            for kid in self.object(node.number)["Kids"]:
                page = self.object(kid.number)
                resources = self.value(page["Resources"])
                streams = [self.stream(one.number) for one in page["Contents"]]
                found += 1
                yield Page(streams, self._forms(resources), self._fonts_of(resources), *root["MediaBox"][2:])
        if found != self.count:
            raise Malformed(f"{found} pages, but Count {self.count}")

    def object(self, number: int) -> Any:
        kind, place, within = self._entries[number]
        if kind == 1:
            return self._object_at(place)[0]
        if kind != 2:
            raise Malformed(f"object {number} is free")
        if place not in self._bundles:
            facts, data = self._stream_at(self._entries[place][1])
            *head, _ = objects(data[: facts["First"]] + b" end")
            starts = [*head[1::2], len(data) - facts["First"]]
            body = data[facts["First"] :]
            self._bundles[place] = [body[begin:end] for begin, end in pairwise(starts)]
        # one at a time: most of them are elements of the structure, which nothing here asks for
        return next(objects(self._bundles[place][within]))

    def value(self, one: Any) -> Any:
        """What a reference leads to, or the object itself."""
        return self.object(one.number) if isinstance(one, Ref) else one

    def stream(self, number: int) -> bytes:
        """A stream, unpacked."""
        return self._stream_at(self._entries[number][1])[1]

    def _object_at(self, place: int) -> tuple[Any, int]:
        head = re.compile(rb"(\d+) 0 obj\n").match(self._data, place)
        if head is None:
            raise Malformed(f"no object at {place}")
        end = min(
            one for one in (self._data.find(b"\nstream\n", place), self._data.find(b"\nendobj\n", place)) if one > 0
        )
        return next(objects(self._data[head.end() : end])), end

    def _stream_at(self, place: int) -> tuple[Mapping[str, Any], bytes]:
        facts, end = self._object_at(place)
        start = end + len(b"\nstream\n")
        data = self._data[start : start + facts["Length"]]
        if not self._data.startswith(b"\nendstream\nendobj\n", start + len(data)):
            raise Malformed(f"the stream at {place} is not as long as it says")
        return facts, zlib.decompress(data) if facts.get("Filter") == "FlateDecode" else data

    @cached_property
    def _form_data(self) -> dict[int, bytes]:
        return {}

    def _forms(self, resources: Mapping[str, Any]) -> dict[str, bytes]:
        kept = self._form_data
        for ref in resources["XObject"].values():
            if ref.number not in kept:
                kept[ref.number] = self.stream(ref.number)
        return {name: kept[ref.number] for name, ref in resources["XObject"].items()}

    def _fonts_of(self, resources: Mapping[str, Any]) -> dict[str, Font]:
        for ref in resources["Font"].values():
            if ref.number not in self._fonts:
                self._fonts[ref.number] = Font(self, self.object(ref.number))
        return {name: self._fonts[ref.number] for name, ref in resources["Font"].items()}


def _codes(cmap: bytes) -> Iterator[tuple[bytes, int]]:
    for block in re.findall(rb"begincidrange(.*?)endcidrange", cmap, re.S):
        for first, last, cid in re.findall(rb"<([0-9a-f]+)> <([0-9a-f]+)> ([0-9]+)", block):
            low, high = int(first, 16), int(last, 16)
            for code in range(low, high + 1):
                yield code.to_bytes(len(first) // 2, "big"), int(cid) + code - low


def _boxes(program: bytes) -> list[tuple[int, int, int, int] | None]:
    """The box of each glyph's ink in a TrueType font with 1,000 units to the em."""
    count = struct.unpack_from(">H", program, 4)[0]
    tables: dict[bytes, bytes] = {}
    for n in range(count):
        tag, _, place, length = struct.unpack_from(">4s3I", program, 12 + 16 * n)
        tables[tag] = program[place : place + length]
    places = [one for (one,) in struct.iter_unpack(">I", tables[b"loca"])]
    if struct.unpack_from(">H", tables[b"head"], 18)[0] != 1000:
        raise Malformed("the font has not 1,000 units to the em")
    return [
        struct.unpack_from(">4h", tables[b"glyf"], begin + 2) if end > begin else None
        for begin, end in pairwise(places)
    ]
