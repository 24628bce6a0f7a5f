"""Serialization of operators and operands of PDF content streams (ISO 32000-1, 7.8.2).

Two tokens need white space between them unless one of them has a delimiter where they meet (7.2.2). Without it `Tj` and
`-0.308` would be read as one unknown keyword, and `-101` and `25` as one number. Therefore all modules join tokens by
the functions of this module.
"""

from __future__ import annotations

from collections.abc import Iterable

_SELF_DELIMITING = frozenset(b"()<>[]{}/%\0\t\n\f\r ")
"""Delimiters and white space: no space is needed between two tokens if one of these is next to the boundary."""


def join_tokens(*tokens: bytes) -> bytes:
    """Concatenate tokens, with a space between two of them only if they would be read as one token without it.

    `joined(b"(a)Tj", b"-0.308 Ts", b"[(b)]TJ", b"ET")` is `(a)Tj -0.308 Ts[(b)]TJ ET`.

    Args:
        tokens: single tokens, or sequences of tokens that are already joined; empty ones are ignored.
    """
    parts: list[bytes] = []
    for token in filter(None, tokens):
        if parts and parts[-1][-1] not in _SELF_DELIMITING and token[0] not in _SELF_DELIMITING:
            parts.append(b" ")
        parts.append(token)
    return b"".join(parts)


def operation(operator: bytes, *operands: float | bytes) -> bytes:
    """Return an operation: its operands, then its operator. Numbers are formatted; bytes are written unchanged."""
    return join_tokens(*(operand if isinstance(operand, bytes) else number(operand) for operand in operands), operator)


def show_text(parts: Iterable[int | bytes]) -> bytes:
    """Return a TJ operation, which shows strings and moves the text position between them (9.4.3).

    Consecutive moves are added up and consecutive strings are joined: `(-101, b"a", 101, -25, b"b", b"c")` gives
    `[-101(a)76(bc)]TJ`.

    Args:
        parts: contents of strings, already escaped, and moves in thousandths of an em; a positive move is to the left.
    """
    tokens: list[bytes] = []
    string: list[bytes] = []
    move = 0
    for part in parts:
        if isinstance(part, int):
            move += part
            continue
        if move:
            tokens += [*_string(string), number(move)]
            string, move = [], 0
        string.append(part)
    tokens += [*_string(string), *((number(move),) if move else ())]
    return join_tokens(b"[", *tokens, b"]TJ")


def _string(parts: list[bytes]) -> tuple[bytes, ...]:
    return (b"(%b)" % b"".join(parts),) if parts else ()


def number(value: float) -> bytes:
    """Return a number in PDF syntax, rounded to three decimal places: `12.0` gives `12`, `0.5` gives `0.5`."""
    return b"%d" % value if value == int(value) else (b"%.3f" % value).rstrip(b"0")
