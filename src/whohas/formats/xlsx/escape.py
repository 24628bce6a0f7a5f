"""Escaping of texts in the XML of a workbook, without loss of any character.

ECMA-376 part 1, 22.9.2.19 (ST_Xstring): a character that XML does not allow is written as `_xHHHH_`, its UTF-16 unit in
hexadecimal; if a text contains such a sequence, its underscore is escaped. Examples: U+0007 gives `_x0007_`, and the
text `_x0007_` gives `_x005F_x0007_`.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from whohas.formats.xlsx.arrow import pc, utf8_bytes

_LOOKS_ESCAPED = r"_x([0-9A-Fa-f]{4})"
"""Matches an escape sequence without its last underscore, which may be the first one of the next sequence."""

_MARKS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\ufffe": "_xFFFE_", "\uffff": "_xFFFF_"}
_CONTROLS = {chr(code): f"_x{code:04X}_" for code in range(0x20) if chr(code) not in "\t\n"}
"""A carriage return is allowed in XML, but parsers turn it into a line feed, so it is escaped too."""

_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def escape_texts(texts: pa.StringArray) -> pa.StringArray:
    """Return texts escaped as XML content of cells. There must be no nulls."""
    data = utf8_bytes(texts)
    if b"_x" in data:
        texts = pc.replace_substring_regex(texts, pattern=_LOOKS_ESCAPED, replacement=r"_x005F_x\1")
    controls = data and np.frombuffer(data, np.uint8).min() < 0x20
    marks = _MARKS | _CONTROLS if controls else _MARKS
    for mark, replacement in marks.items():
        if mark.encode() in data:
            texts = pc.replace_substring(texts, pattern=mark, replacement=replacement)
    return texts


def escape(text: str) -> str:
    """Return one text escaped as by `escape_texts`."""
    return escape_texts(pa.array([text], pa.string()))[0].as_py()


def escape_attribute(text: str) -> str:
    """Return a text escaped for parts that do not support `_xHHHH_`, and for attributes in double quotes.

    Characters that XML does not allow are replaced by U+FFFD.
    """
    text = _NOT_IN_XML.sub("\ufffd", text)
    for mark, replacement in {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}.items():
        text = text.replace(mark, replacement)
    return text
