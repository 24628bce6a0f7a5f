"""Access to the bytes and offsets of Arrow text columns."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

pc: Final[Any] = pyarrow.compute
"""Untyped: `pyarrow.compute` creates its functions at import, so type checkers do not know them."""


@lru_cache(maxsize=1 << 14)
def constant_text_column(text: str) -> pa.StringScalar:
    """Return a cached Arrow scalar of a text, for a text that is the same in every row.

    The cache is needed because pyarrow tries to import `dateutil` for each scalar; if it is not installed, that takes
    30 times as long as the use of the scalar.
    """
    return pa.scalar(text, pa.string())


def offsets(texts: pa.StringArray) -> np.ndarray:
    """Return the byte offset of each text in the data buffer, and the end of the last one."""
    return np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]


def utf8_bytes(texts: pa.StringArray) -> bytes:
    """Return the concatenated UTF-8 of all texts."""
    data = texts.buffers()[2]
    if data is None or not len(texts):
        return b""
    places = offsets(texts)
    return bytes(memoryview(data)[places[0] : places[-1]])


def mask_texts(texts: pa.StringArray, chosen: np.ndarray) -> pa.StringArray:
    """Return the texts with nulls where `chosen` is false, without a copy of their bytes."""
    if chosen.all():
        return texts
    places = pa.py_buffer(np.ascontiguousarray(offsets(texts)))
    valid = pa.py_buffer(np.packbits(chosen, bitorder="little"))
    return pa.StringArray.from_buffers(len(texts), places, texts.buffers()[2] or pa.py_buffer(b""), valid)
