"""Text as the XML of a workbook has it, so that every character of it comes back.

ECMA-376 part 1, 22.9.2.19 (ST_Xstring): a character that XML cannot have is `_xHHHH_`, its UTF-16 unit in hexadecimal;
a text that itself looks so has its underscore written as `_x005F_`.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from whohas.formats.xlsx.arrow import content, pc

_LOOKS_ESCAPED = r"_x([0-9A-Fa-f]{4})"
"""Without the underscore at its end, which may be the begin of a next one."""

_MARKS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\ufffe": "_xFFFE_", "\uffff": "_xFFFF_"}
_CONTROLS = {chr(code): f"_x{code:04X}_" for code in range(0x20) if chr(code) not in "\t\n"}
"""A carriage return may stand in XML, but a reader would take it for a line feed."""

_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def escaped(texts: pa.StringArray) -> pa.StringArray:
    """Texts without nulls, as they stand between the tags of a cell."""
    data = content(texts)
    if b"_x" in data:
        texts = pc.replace_substring_regex(texts, pattern=_LOOKS_ESCAPED, replacement=r"_x005F_x\1")
    controls = data and np.frombuffer(data, np.uint8).min() < 0x20
    marks = _MARKS | _CONTROLS if controls else _MARKS
    for mark, replacement in marks.items():
        if mark.encode() in data:
            texts = pc.replace_substring(texts, pattern=mark, replacement=replacement)
    return texts


def escape(text: str) -> str:
    """One text, as `escaped` makes many."""
    return escaped(pa.array([text], pa.string()))[0].as_py()


def plain(text: str) -> str:
    """A text for those parts of a workbook that know no `_xHHHH_`; also fit for an attribute in double quotes."""
    text = _NOT_IN_XML.sub("\ufffd", text)
    for mark, replacement in {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}.items():
        text = text.replace(mark, replacement)
    return text
