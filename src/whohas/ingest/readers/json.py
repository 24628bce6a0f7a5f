"""Read files of JSON documents as batches of text: one document per line (NDJSON), or the elements of an array.

Documents are cut out of the file here and parsed later, by `documents`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.errors import InvalidArguments
from whohas.ingest.readers.batches import ByteStream, RowBatch, RowError, open_bytes

_BLOCK = 8 << 20
LONGEST = 16 << 20
"""Largest size of a document in bytes. Identities and accounts are far smaller; a file without line breaks is not."""
_SHOWN = 200
"""Number of bytes of an overlong document that the list of rejected rows shows."""
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[{}\[\],]', re.DOTALL)
"""The tokens that give JSON its structure. Whole strings are tokens too, so that brackets in them do not count.

The repeats are possessive (`*+`): ordinary ones remember a position per character for backtracking, which takes a
hundred times the memory of a long string.
"""


def ndjson_batches(path: Path) -> Iterator[RowBatch]:
    """Yield the documents of an NDJSON file. Record numbers are line numbers, from 1.

    Blank lines are skipped. Lines longer than `LONGEST` are rejected without being kept in memory.
    """
    with open_bytes(path) as stream:
        number, rest = 1, b""
        while block := stream.read(_BLOCK):
            if len(rest) > LONGEST:  # the line is rejected anyway: skip to its end
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


def json_batches(path: Path) -> Iterator[RowBatch]:
    """Yield the documents of a JSON file in batches. Record numbers are the lines on which documents start, from 1.

    The file holds an array of documents, an object with one array of documents among its values (such as
    `{"count": 2, "items": [{...}, {...}]}`), a single document, or in spite of its name one document per line. An
    object with an `id` is a single document, even if it has an array of objects.

    Raises:
        InvalidArguments: the file is truncated, is not valid JSON, or has an overlong document.
    """
    with open_bytes(path) as stream:
        start = stream.read(_BLOCK)
        first = start.lstrip()[:1]
        if first not in (b"[", b"{"):
            shown = start.lstrip()[:20].decode(errors="replace")
            raise InvalidArguments(
                f"{path} is no JSON: it begins with {shown!r}, not with an array or an object. Export it again as "
                "JSON, or give its name the ending of its format."
            )
        form = _form(path, start) if first == b"{" else "array"
        if form == "document":
            yield _batch([start], [1], stream)
        elif form == "lines":
            yield from ndjson_batches(path)
        else:
            yield from _elements(path, stream, start, 1 if form == "array" else 2)


def _form(path: Path, start: bytes) -> str:
    """Classify a file that begins with `{`: `document`, `wrapper` (around an array of documents) or `lines`."""
    if len(start) == _BLOCK:
        line = start.split(b"\n", 1)[0]
        return "lines" if _is_object(line) else "wrapper"
    try:
        # numbers stay texts: Python refuses integers of thousands of digits, and their values do not matter here
        whole: Any = json.loads(start, parse_int=str)
    except RecursionError:
        if start.split(b"\n", 1)[0].rstrip().endswith(b"}"):
            return "lines"  # each line is checked when it is parsed
        raise InvalidArguments(
            f"{path} is nested too deep to be read. Look for brackets that are not closed, or export it with "
            "fewer levels."
        ) from None
    except json.JSONDecodeError as error:
        if "Extra data" in error.msg or _is_object(start.split(b"\n", 1)[0]):
            return "lines"
        raise InvalidArguments(f"{path}, line {error.lineno}: no valid JSON: {error.msg}. Correct it there.") from None
    except UnicodeDecodeError:
        raise InvalidArguments(f"{path} is not UTF-8 throughout. Save it as UTF-8.") from None
    arrays = [value for value in whole.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return "wrapper" if len(arrays) == 1 and "id" not in whole else "document"


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text, parse_int=str), dict)
    except (ValueError, RecursionError):
        return False


def _elements(path: Path, stream: ByteStream, text: bytes, level: int) -> Iterator[RowBatch]:
    """Yield the elements of the first array of documents at nesting depth `level`, without parsing them.

    An example: `[{"id": "a", "x": [1]}, {"id": "b"}]` at level 1. The tokens are `[` (depth 1: the array begins),
    `{` (2), strings, `[` (3), `]` (2), `}` (1), `,` (1: the first element ends here), and so on until `]` (0), which
    ends the last element and the array. Of an element that goes beyond the block, the text from its start is kept
    and scanned again together with the next block.
    """
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
            raise InvalidArguments(f"{path} is no whole JSON: it ends in the middle. Copy or export it again.")
        line += text.count(b"\n", counted, element)
        if len(text) - element > LONGEST:
            begins = line + text[element:].partition(b"{")[0].count(b"\n")
            raise InvalidArguments(
                f"{path}, line {begins}: a document here is longer than {LONGEST >> 20} MiB. Look whether a quote or a "
                "bracket is missing, or take the long value out."
            )
        text = text[element:] + block
        if inside:  # the remaining text begins with an element, so it is scanned again from the array's own depth
            depth = level


def _batch(documents: list[bytes], lines: list[int], stream: ByteStream) -> RowBatch:
    texts: list[str] = []
    numbers: list[int] = []
    faults: list[RowError] = []
    for document, line in zip(documents, lines, strict=True):
        stripped = document.strip()
        if not stripped:
            continue
        if len(stripped) > LONGEST:
            start = stripped[:_SHOWN].decode(errors="backslashreplace")
            faults.append(RowError(line, "", f"longer than {LONGEST >> 20} MiB", f"{start}…"))
            continue
        try:
            texts.append(stripped.decode())
            numbers.append(line)
        except UnicodeDecodeError:
            faults.append(RowError(line, "", "no valid UTF-8", stripped.decode(errors="backslashreplace")))
    data = pa.table({"doc": pa.array(texts, pa.string())})
    return RowBatch(data, np.array(numbers, dtype=np.int64), tuple(faults), stream.position)
