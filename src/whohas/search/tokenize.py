"""Columns to words: what `whohas.search.analyzer` makes of each text, as one string that can be searched.

Texts of ASCII are analysed together, as one run of bytes; any other text on its own, equal ones once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from whohas.search.analyzer import MAX_TOKEN, VALUE_BREAK, VALUE_SEPARATOR, tokens

pc: Final[Any] = pyarrow.compute
"""`pyarrow.compute` fills itself at import, so that no type checker knows what is in it."""

Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

# What is worked on at once stays in the processor's cache, unless a single text is larger.
_ROWS = 1 << 14
_BYTES = 1 << 22
_INT32_MAX = 2**31 - 1

# Texts that are remembered are short: long ones seldom repeat, and would fill the memory.
_REMEMBERED_LENGTH = 256
_REMEMBERED = 65_536

_SPACE = np.uint8(ord(" "))
_SEPARATOR = np.uint8(ord(VALUE_SEPARATOR))

# What a byte is, in bits. The bits of a connector are those of the characters it may stand between, moved by two.
_LETTER, _DIGIT, _LOW_LINE = 1, 2, 16
_ALPHANUMERIC = _LETTER | _DIGIT
_LETTER_CONNECTOR, _DIGIT_CONNECTOR = _LETTER << 2, _DIGIT << 2


def _kinds() -> bytes:
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


_KINDS = _kinds()
# What a byte of a token becomes, as its difference from a space: the difference of any other byte is 0.
_WRITTEN = bytes(
    byte ^ ord(" ") for byte in bytes(range(256)).lower().replace(VALUE_SEPARATOR.encode(), VALUE_BREAK.encode())
)


def words(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """For each text its tokens as `" one two "`, or `""` for a null and for a text without tokens; never null.

    A cell may hold several values joined by `VALUE_SEPARATOR`; `VALUE_BREAK` then stands between the tokens of
    different values, as in `" a b | c "`. Values without tokens leave no trace.

    The result has the type of the values, string or large_string, but is a large_string where it exceeds 2 GiB.
    Raises TypeError for values of any other type; an array of type null is taken for strings.
    """
    kind = values.type
    if pa.types.is_null(kind):
        kind = pa.string()
        values = values.cast(kind)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise TypeError(f"words are made of string or large_string, not of {kind}")
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    found = [_piece_words(piece) for chunk in chunks for piece in _pieces(chunk)]
    if pa.types.is_large_string(kind) or sum(piece.nbytes for piece in found) > _INT32_MAX:
        kind = pa.large_string()
        found = [piece.cast(kind) for piece in found]
    return pa.concat_arrays(found) if found else pa.array([], kind)


def text_words(text: str) -> str:
    """What `words` makes of one text."""
    values = (" ".join(found) for value in text.split(VALUE_SEPARATOR) if (found := tokens(value)))
    line = f" {VALUE_BREAK} ".join(values)
    return f" {line} " if line else ""


_remembered_words = lru_cache(_REMEMBERED)(text_words)


def _pieces(array: pa.Array, rows: int = _ROWS) -> Iterator[pa.Array]:
    for start in range(0, len(array), rows):
        piece = array.slice(start, rows)
        if rows == 1 or piece.nbytes <= _BYTES:
            yield piece
        else:
            yield from _pieces(piece, rows // 2)


def _piece_words(piece: pa.Array) -> pa.Array:
    ascii_only = pc.fill_null(pc.string_is_ascii(piece), True)
    if pc.all(ascii_only).as_py():
        found, one_by_one = _ascii_words(piece)
    else:
        found, cut = _ascii_words(pc.if_else(ascii_only, piece, pa.scalar(None, piece.type)))
        one_by_one = cut | ~ascii_only.to_numpy(zero_copy_only=False)
    if not one_by_one.any():
        return found
    mask = pa.array(one_by_one)
    different = piece.filter(mask).dictionary_encode()
    texts: list[str] = different.dictionary.to_pylist()
    lines = [_remembered_words(text) if len(text) <= _REMEMBERED_LENGTH else text_words(text) for text in texts]
    return pc.replace_with_mask(found, mask, pa.array(lines, pa.string()).take(different.indices))


def _ascii_words(piece: pa.Array) -> tuple[pa.Array, Mask]:
    """The words of texts of ASCII, and the rows in which a token is too long and must still be cut."""
    offsets, text = _spaced(piece)
    kinds = np.frombuffer(text.translate(_KINDS), np.uint8)
    token = (kinds & (_ALPHANUMERIC | _LOW_LINE)) != 0
    token[1:-1] |= (kinds[:-2] & (kinds[1:-1] >> 2) & kinds[2:] & _ALPHANUMERIC) != 0
    if b"_" in text:
        _drop_lone_low_lines(token, kinds)
    if VALUE_SEPARATOR.encode() in text:
        _keep_value_breaks(token, text, offsets)

    # A token keeps the byte after it for its space, and the row with tokens its first byte for the space before them.
    kept = token.copy()
    kept[1:] |= token[:-1]
    lengths = np.add.reduceat(kept, offsets[:-1], dtype=np.int32)
    filled = lengths > 0
    kept[offsets[:-1][filled]] = True
    written = (np.frombuffer(text.translate(_WRITTEN), np.uint8) * token)[kept] ^ _SPACE
    places = np.zeros(len(piece) + 1, np.int32)
    np.cumsum(lengths + filled, out=places[1:])
    found = pa.StringArray.from_buffers(len(piece), pa.py_buffer(places), pa.py_buffer(written))
    return found, _rows_to_cut(written, places)


def _spaced(piece: pa.Array) -> tuple[Numbers, bytes]:
    """The texts in one, with a space before and after each text and each separator of values; and where each begins.

    So no byte of a text has a neighbour in another, and the result needs no more room than this.
    """
    empty, space = pa.scalar("", piece.type), pa.scalar(" ", piece.type)
    spaced = pc.binary_join_element_wise(empty, piece, empty, space, null_handling="replace", null_replacement="")
    offsets, text = _text_of(spaced)
    if VALUE_SEPARATOR.encode() not in text:
        return offsets, text
    return _text_of(pc.replace_substring(spaced, pattern=VALUE_SEPARATOR, replacement=f" {VALUE_SEPARATOR} "))


def _text_of(array: pa.Array) -> tuple[Numbers, bytes]:
    """The bytes of all texts, and where in them each text begins and the last one ends."""
    _, places, text = array.buffers()
    assert places is not None and text is not None
    offsets = np.frombuffer(places, np.int64 if pa.types.is_large_string(array.type) else np.int32)
    offsets = offsets[array.offset : array.offset + len(array) + 1].astype(np.int64)
    return offsets - offsets[0], text.slice(int(offsets[0]), int(offsets[-1] - offsets[0])).to_pybytes()


def _drop_lone_low_lines(token: Mask, kinds: Bytes) -> None:
    """Runs of `_` without a letter or digit at either end are no tokens."""
    at = np.flatnonzero(kinds == _LOW_LINE)
    breaks = np.flatnonzero(np.diff(at) > 1)
    first = np.concatenate(([0], breaks + 1))
    last = np.append(breaks, len(at) - 1)
    lone = ((kinds[at[first] - 1] | kinds[at[last] + 1]) & _ALPHANUMERIC) == 0
    if lone.any():
        token[at[np.repeat(lone, last - first + 1)]] = False


def _keep_value_breaks(token: Mask, text: bytes, offsets: Numbers) -> None:
    """Make tokens of the separators of values that have tokens of their row on both sides, one in each gap."""
    begins = np.flatnonzero(token[1:] & ~token[:-1]) + 1
    before_row = np.searchsorted(begins, offsets)
    at = np.flatnonzero(np.frombuffer(text, np.uint8) == _SEPARATOR)
    row = np.searchsorted(offsets, at, side="right") - 1
    before = np.searchsorted(begins, at)
    last_of_gap = before != np.append(before[1:], -1)
    token[at[(before > before_row[row]) & (before < before_row[row + 1]) & last_of_gap]] = True


def _rows_to_cut(written: Bytes, places: npt.NDArray[np.int32]) -> Mask:
    cut = np.zeros(len(places) - 1, np.bool_)
    if np.diff(places).max() > MAX_TOKEN + 2:
        spaces = np.flatnonzero(written == _SPACE)
        long = spaces[:-1][np.diff(spaces) > MAX_TOKEN + 1]
        cut[np.searchsorted(places, long, side="right") - 1] = True
    return cut
