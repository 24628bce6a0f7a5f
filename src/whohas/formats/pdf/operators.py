"""Content streams (ISO 32000-1, 7.8.2): the one place that puts their tokens together.

Two tokens need white space between them unless one of them has a delimiter where they meet (7.2.2). Without it `Tj` and
`-0.308` are one keyword, which no reader knows, and `-101` and `25` are one number. So operators and operands are
joined here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable

_MEET = frozenset(b"()<>[]{}/%\0\t\n\f\r ")
"""Delimiters and white space: a token beside one of these needs nothing between."""


def joined(*tokens: bytes) -> bytes:
    """Return tokens end to end, each pair apart where it would be read as one.

    `joined(b"(a)Tj", b"-0.308 Ts", b"[(b)]TJ", b"ET")` is `(a)Tj -0.308 Ts[(b)]TJ ET`.

    Args:
        tokens: one token each, or several that are joined already; empty ones count for nothing.
    """
    parts: list[bytes] = []
    for token in filter(None, tokens):
        if parts and parts[-1][-1] not in _MEET and token[0] not in _MEET:
            parts.append(b" ")
        parts.append(token)
    return b"".join(parts)


def operation(operator: bytes, *operands: float | bytes) -> bytes:
    """Return an operator after its operands: numbers, or tokens as they are."""
    return joined(*(one if isinstance(one, bytes) else number(one) for one in operands), operator)


def shown(parts: Iterable[int | bytes]) -> bytes:
    """Return the operator that shows strings, the pen moved between them (9.4.3).

    Moves that follow one another are added up, and strings that do are one: `(-101, b"a", 101, -25, b"b", b"c")` is
    `[-101(a)76(bc)]TJ`.

    Args:
        parts: what stands between the parentheses of a string, and moves to the left in thousandths of an em.
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
    return joined(b"[", *tokens, b"]TJ")


def _string(parts: list[bytes]) -> tuple[bytes, ...]:
    return (b"(%b)" % b"".join(parts),) if parts else ()


def number(value: float) -> bytes:
    """Return a number as a PDF has it."""
    return b"%d" % value if value == int(value) else (b"%.3f" % value).rstrip(b"0")
