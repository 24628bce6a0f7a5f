"""JSON documents, one a line (NDJSON) or in an array, as batches of their text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.errors import InvalidArguments
from whohas.ingest.readers.batches import Batch, Fault
from whohas.ingest.readers.streams import ByteStream, open_bytes

_BLOCK = 8 << 20
LONGEST = 16 << 20
"""Bytes of a document. No identity or account has as many; a file without line ends has."""
_SHOWN = 200
"""Characters of a document that is too long which the list of rejected rows shows."""
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[{}\[\],]', re.DOTALL)
"""What structure is made of, and whole strings, so that nothing in them is taken for it. Its repeats are
possessive: others note each character for the way back, a hundred times the memory of a long string."""


def ndjson_batches(path: Path) -> Iterator[Batch]:
    """A document a line; records are lines. Blank lines are passed over, and lines that are too long are rejected
    without being held in memory."""
    with open_bytes(path) as stream:
        number, rest = 1, b""
        while block := stream.read(_BLOCK):
            if len(rest) > LONGEST:  # the rest of that line is of no interest
                _, end, block = block.partition(b"\n")
                if not end:
                    continue
                yield _batch([rest], [number], stream)
                number, rest = number + 1, b""
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            yield _batch(lines, list(range(number, number + len(lines))), stream)
            number += len(lines)
        yield _batch([rest], [number], stream)


def json_batches(path: Path) -> Iterator[Batch]:
    """The documents of an array, of an object that holds one array of documents, or a single one.

    Records are the lines on which documents start.

    Raises:
        InvalidArguments: the file ends in the middle, or is no JSON.
    """
    with open_bytes(path) as stream:
        start = stream.read(_BLOCK)
        first = start.lstrip()[:1]
        if first not in (b"[", b"{"):
            shown = start.lstrip()[:20].decode(errors="replace")
            raise InvalidArguments(f"{path} is no JSON: it begins with {shown!r}, not with an array or an object.")
        form = _form(path, start) if first == b"{" else "array"
        if form == "document":
            yield _batch([start], [1], stream)
        elif form == "lines":
            yield from ndjson_batches(path)
        else:
            yield from _elements(path, stream, start, 1 if form == "array" else 2)


def _form(path: Path, start: bytes) -> str:
    """Whether a file that begins with `{` is one document, a wrapper around an array of them, or lines."""
    if len(start) == _BLOCK:
        line = start.split(b"\n", 1)[0]
        return "lines" if _is_object(line) else "wrapper"
    try:
        # numbers as texts: Python reads none of thousands of digits, and here they mean nothing
        whole: Any = json.loads(start, parse_int=str)
    except RecursionError:
        if start.split(b"\n", 1)[0].rstrip().endswith(b"}"):
            return "lines"  # of which each is judged alone
        raise InvalidArguments(f"{path} is nested too deep to be read.") from None
    except json.JSONDecodeError as error:
        if "Extra data" in error.msg or _is_object(start.split(b"\n", 1)[0]):
            return "lines"
        raise InvalidArguments(f"{path}, line {error.lineno}: no valid JSON: {error.msg}.") from None
    except UnicodeDecodeError:
        raise InvalidArguments(f"{path} is not UTF-8 throughout.") from None
    arrays = [value for value in whole.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return "wrapper" if len(arrays) == 1 and "id" not in whole else "document"


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text, parse_int=str), dict)
    except (ValueError, RecursionError):
        return False


def _elements(path: Path, stream: ByteStream, text: bytes, level: int) -> Iterator[Batch]:
    """Cuts the text into the elements of the first array whose elements lie at depth `level`."""
    line, depth, inside = 1, 0, False
    while True:
        found: list[bytes] = []
        lines: list[int] = []
        counted = element = 0
        for token in _TOKEN.finditer(text):
            kind, end = token[0][:1], token.end()
            if kind == b'"':
                if not inside and token[0][-1:] == b'"' and len(token[0]) > 1:
                    element = end
                continue
            depth += (kind in b"[{") - (kind in b"]}")
            if not inside:
                element = end
                inside = kind == b"[" and depth == level and text[end : end + 99].lstrip()[:1] in b"{]"
            elif depth == level - (kind == b"]") and kind in b",]":
                raw = text[element : token.start()]
                if raw.strip():
                    begin = element + len(raw) - len(raw.lstrip())
                    line += text.count(b"\n", counted, begin)
                    counted = begin
                    found.append(raw)
                    lines.append(line)
                element = end
                if kind == b"]":
                    yield _batch(found, lines, stream)
                    return
        if found:
            yield _batch(found, lines, stream)
        block = stream.read(_BLOCK)
        if not block:
            raise InvalidArguments(f"{path} is no whole JSON: it ends in the middle.")
        line += text.count(b"\n", counted, element)
        if len(text) - element > LONGEST:
            begins = line + text[element:].partition(b"{")[0].count(b"\n")
            raise InvalidArguments(
                f"{path}, line {begins}: a document here is longer than {LONGEST >> 20} MiB. Look whether a quote or a "
                "bracket is missing, or take the long value out."
            )
        text = text[element:] + block
        if inside:  # what is left is the start of an element, and is looked at again with what follows
            depth = level


def _batch(documents: list[bytes], lines: list[int], stream: ByteStream) -> Batch:
    texts: list[str] = []
    numbers: list[int] = []
    faults: list[Fault] = []
    for document, line in zip(documents, lines, strict=True):
        stripped = document.strip()
        if not stripped:
            continue
        if len(stripped) > LONGEST:
            start = stripped[:_SHOWN].decode(errors="backslashreplace")
            faults.append(Fault(line, "", f"longer than {LONGEST >> 20} MiB", f"{start}…"))
            continue
        try:
            texts.append(stripped.decode())
            numbers.append(line)
        except UnicodeDecodeError:
            faults.append(Fault(line, "", "no valid UTF-8", stripped.decode(errors="backslashreplace")))
    data = pa.table({"doc": pa.array(texts, pa.string())})
    return Batch(data, np.array(numbers, dtype=np.int64), tuple(faults), stream.position)
