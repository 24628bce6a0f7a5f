"""Columnar text analysis: turn an Arrow column of texts into a column of their tokens, `" one two "`.

The tokens are those of `whohas.search.analyzer`. ASCII texts of a batch are analysed together as one byte string with
NumPy. Each distinct non-ASCII text, and each text with an overlong token, is analysed separately.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from whohas.search.analyzer import MAX_TOKEN_UNITS, VALUE_BREAK, VALUE_SEPARATOR, tokenize

pc: Final[Any] = pyarrow.compute
"""`pyarrow.compute` creates its functions at import, so type checkers do not know them."""

Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

# A batch has at most this many rows and bytes, so that it fits into the processor's cache; one text may be larger.
_ROWS = 1 << 14
_BYTES = 1 << 22
_INT32_MAX = 2**31 - 1

# Only short texts are cached: long ones are seldom repeated, and would fill the memory.
_CACHED_LENGTH = 256
_CACHED_TEXTS = 65_536

_SPACE = np.uint8(ord(" "))
_SEPARATOR = np.uint8(ord(VALUE_SEPARATOR))

# The class of a byte, as bits. A connector such as the dot has the bits of the characters that it may stand between,
# shifted left by two: a comma connects digits, so it has _DIGIT << 2.
_LETTER, _DIGIT, _LOW_LINE = 1, 2, 16
_ALPHANUMERIC = _LETTER | _DIGIT
_LETTER_CONNECTOR, _DIGIT_CONNECTOR = _LETTER << 2, _DIGIT << 2


def _byte_classes() -> bytes:
    kinds = bytearray(256)
    for code in range(128):
        character = chr(code)
        kinds[code] = (
            _LETTER * character.isalpha()
            | _DIGIT * character.isdigit()
            | _LOW_LINE * (character == "_")
            | _LETTER_CONNECTOR * (character in ".:'")
            | _DIGIT_CONNECTOR * (character in ".,;'")
        )
    return bytes(kinds)


_BYTE_CLASSES = _byte_classes()
# For each byte, its lower-case form XOR a space. This is multiplied by 0 for bytes outside of tokens, then XORed with a
# space again: bytes of tokens become lower case, all others become spaces.
_LOWER_XOR_SPACE = bytes(
    byte ^ ord(" ") for byte in bytes(range(256)).lower().replace(VALUE_SEPARATOR.encode(), VALUE_BREAK.encode())
)


def tokenize_column(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the tokens of each text as `" one two "`, or `""` for a null and for a text without tokens; never null.

    A cell may have several values joined by `VALUE_SEPARATOR`; `VALUE_BREAK` then separates the tokens of different
    values, as in `" a b | c "`. Values without tokens are left out.

    Args:
        values: texts of the type string or large_string; an array of type null is treated as string.

    Returns:
        An array of the type of `values`, or large_string if it exceeds 2 GiB.

    Raises:
        TypeError: the values are of another type.
    """
    kind = values.type
    if pa.types.is_null(kind):
        kind = pa.string()
        values = values.cast(kind)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise TypeError(f"words are made of string or large_string, not of {kind}")
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    results = [_batch_words(piece) for chunk in chunks for piece in _batches(chunk)]
    if pa.types.is_large_string(kind) or sum(piece.nbytes for piece in results) > _INT32_MAX:
        kind = pa.large_string()
        results = [piece.cast(kind) for piece in results]
    return pa.concat_arrays(results) if results else pa.array([], kind)


def tokenize_text(text: str) -> str:
    """Return the tokens of one text in the format of `tokenize_column`."""
    values = (" ".join(found) for value in text.split(VALUE_SEPARATOR) if (found := tokenize(value)))
    line = f" {VALUE_BREAK} ".join(values)
    return f" {line} " if line else ""


_cached_text_words = lru_cache(_CACHED_TEXTS)(tokenize_text)


def _batches(array: pa.Array, rows: int = _ROWS) -> Iterator[pa.Array]:
    for start in range(0, len(array), rows):
        piece = array.slice(start, rows)
        if rows == 1 or piece.nbytes <= _BYTES:
            yield piece
        else:
            yield from _batches(piece, rows // 2)


def _batch_words(piece: pa.Array) -> pa.Array:
    ascii_only = pc.fill_null(pc.string_is_ascii(piece), True)
    if pc.all(ascii_only).as_py():
        result, separately = _ascii_words(piece)
    else:
        result, cut = _ascii_words(pc.if_else(ascii_only, piece, pa.scalar(None, piece.type)))
        separately = cut | ~ascii_only.to_numpy(zero_copy_only=False)
    if not separately.any():
        return result
    mask = pa.array(separately)
    distinct = piece.filter(mask).dictionary_encode()
    texts: list[str] = distinct.dictionary.to_pylist()
    lines = [_cached_text_words(text) if len(text) <= _CACHED_LENGTH else tokenize_text(text) for text in texts]
    return pc.replace_with_mask(result, mask, pa.array(lines, pa.string()).take(distinct.indices))


def _ascii_words(piece: pa.Array) -> tuple[pa.Array, Mask]:
    """Analyse ASCII texts together, as one byte string. Nulls give `""`.

    Example, for the texts `A.b` and `x, 1.5`: the spaced text `" A.b  x, 1.5 "` has the token mask `_###__#__###_`
    (the dots connect two letters and two digits, the comma does not), which gives `" a.b "` and `" x 1.5 "`.

    Returns:
        The column of tokens, and a mask of the rows with a token that is longer than `MAX_TOKEN_UNITS` and must still
        be cut.
    """
    offsets, text = _join_spaced(piece)
    kinds = np.frombuffer(text.translate(_BYTE_CLASSES), np.uint8)
    token = (kinds & (_ALPHANUMERIC | _LOW_LINE)) != 0
    token[1:-1] |= (kinds[:-2] & (kinds[1:-1] >> 2) & kinds[2:] & _ALPHANUMERIC) != 0
    if b"_" in text:
        _drop_lone_low_lines(token, kinds)
    if VALUE_SEPARATOR.encode() in text:
        _keep_value_breaks(token, text, offsets)

    # Keep the bytes of each token, the byte after it (which becomes the space behind it), and in rows with tokens the
    # first byte (which becomes the space before the first token).
    kept = token.copy()
    kept[1:] |= token[:-1]
    lengths = np.add.reduceat(kept, offsets[:-1], dtype=np.int32)
    filled = lengths > 0
    kept[offsets[:-1][filled]] = True
    output = (np.frombuffer(text.translate(_LOWER_XOR_SPACE), np.uint8) * token)[kept] ^ _SPACE
    new_offsets = np.zeros(len(piece) + 1, np.int32)
    np.cumsum(lengths + filled, out=new_offsets[1:])
    result = pa.StringArray.from_buffers(len(piece), pa.py_buffer(new_offsets), pa.py_buffer(output))
    return result, _rows_to_cut(output, new_offsets)


def _join_spaced(piece: pa.Array) -> tuple[Numbers, bytes]:
    """Join texts to one byte string, with a space before and after each text and each separator of values.

    The spaces keep bytes of different texts from being adjacent, and leave enough room for the spaces of the result.

    Returns:
        The start of each text in the byte string and the end of the last one, and the byte string.
    """
    empty, space = pa.scalar("", piece.type), pa.scalar(" ", piece.type)
    spaced = pc.binary_join_element_wise(empty, piece, empty, space, null_handling="replace", null_replacement="")
    offsets, text = _offsets_and_bytes(spaced)
    if VALUE_SEPARATOR.encode() not in text:
        return offsets, text
    return _offsets_and_bytes(pc.replace_substring(spaced, pattern=VALUE_SEPARATOR, replacement=f" {VALUE_SEPARATOR} "))


def _offsets_and_bytes(array: pa.Array) -> tuple[Numbers, bytes]:
    """Return the start of each text in the array's bytes and the end of the last one, and these bytes."""
    _, offset_buffer, text = array.buffers()
    assert offset_buffer is not None and text is not None
    offsets = np.frombuffer(offset_buffer, np.int64 if pa.types.is_large_string(array.type) else np.int32)
    offsets = offsets[array.offset : array.offset + len(array) + 1].astype(np.int64)
    return offsets - offsets[0], text.slice(int(offsets[0]), int(offsets[-1] - offsets[0])).to_pybytes()


def _drop_lone_low_lines(token: Mask, kinds: Bytes) -> None:
    """Remove runs of `_` without a letter or digit directly before or after them from the token mask."""
    low_lines = np.flatnonzero(kinds == _LOW_LINE)
    breaks = np.flatnonzero(np.diff(low_lines) > 1)
    first = np.concatenate(([0], breaks + 1))
    last = np.append(breaks, len(low_lines) - 1)
    lone = ((kinds[low_lines[first] - 1] | kinds[low_lines[last] + 1]) & _ALPHANUMERIC) == 0
    if lone.any():
        token[low_lines[np.repeat(lone, last - first + 1)]] = False


def _keep_value_breaks(token: Mask, text: bytes, offsets: Numbers) -> None:
    """Add one separator of values to the token mask for each gap between tokens of different values of a row.

    Example: of the separators S in `a S S b S`, only the second one is kept. The first one is in the same gap, and the
    last one has no token after it.
    """
    starts = np.flatnonzero(token[1:] & ~token[:-1]) + 1
    before_row = np.searchsorted(starts, offsets)
    separators = np.flatnonzero(np.frombuffer(text, np.uint8) == _SEPARATOR)
    row = np.searchsorted(offsets, separators, side="right") - 1
    before = np.searchsorted(starts, separators)
    last_of_gap = before != np.append(before[1:], -1)
    token[separators[(before > before_row[row]) & (before < before_row[row + 1]) & last_of_gap]] = True


def _rows_to_cut(output: Bytes, offsets: npt.NDArray[np.int32]) -> Mask:
    cut = np.zeros(len(offsets) - 1, np.bool_)
    if np.diff(offsets).max() > MAX_TOKEN_UNITS + 2:
        spaces = np.flatnonzero(output == _SPACE)
        long = spaces[:-1][np.diff(spaces) > MAX_TOKEN_UNITS + 1]
        cut[np.searchsorted(offsets, long, side="right") - 1] = True
    return cut
