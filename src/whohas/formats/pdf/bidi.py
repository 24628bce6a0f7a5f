"""Text direction of each character of a line: the Unicode Bidirectional Algorithm (UAX #9, revision 50).

Explicit codes (embeddings, overrides, isolates) have no effect here: a report shows them as what they are, since they
make a text look like another one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

_NUMBERS = ("EN", "AN")
_NEUTRAL = ("B", "S", "WS", "ON")
_SPACES = ("S", "WS", "BN")


def levels(text: str) -> list[int]:
    """The embedding level of each character of a paragraph: even runs to the right, odd to the left."""
    kinds = [unicodedata.bidirectional(char) or "L" for char in text]
    original = list(kinds)
    base = next((int(kind != "L") for kind in kinds if kind in ("L", "R", "AL")), 0)
    edge = "R" if base else "L"
    _weak(kinds, edge)
    _brackets(text, kinds, original, edge)
    _neutral(kinds, edge)
    found = [_level(kind, base) for kind in kinds]
    _trailing(found, original, base)
    return found


def visual(found: Sequence[int]) -> list[int]:
    """Return indexes in visual order, from left to right, of items with these levels (rule L2).

    Example: levels `[0, 1, 1, 0]` give `[0, 2, 1, 3]`.
    """
    order = list(range(len(found)))
    for level in range(max(found, default=0), 0, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and found[order[end]] >= level:
                end += 1
            order[start:end] = reversed(order[start:end])
            start = end + 1
    return order


def _weak(kinds: list[str], edge: str) -> None:
    """Rules W1 to W7."""
    before = strong = edge
    for place, kind in enumerate(kinds):
        if kind in ("NSM", "BN"):
            kinds[place] = before
        elif kind == "EN" and strong == "AL":
            kinds[place] = "AN"
        elif kind in ("L", "R", "AL"):
            strong = kind
        before = kinds[place]
    kinds[:] = ["R" if kind == "AL" else kind for kind in kinds]
    for place in range(1, len(kinds) - 1):
        left, kind, right = kinds[place - 1 : place + 2]
        if left == right and ((kind == "ES" and left == "EN") or (kind == "CS" and left in _NUMBERS)):
            kinds[place] = left
    place = 0
    while place < len(kinds):
        end = place
        while end < len(kinds) and kinds[end] == "ET":
            end += 1
        if end > place and "EN" in (kinds[place - 1] if place else "", kinds[end] if end < len(kinds) else ""):
            kinds[place:end] = ["EN"] * (end - place)
        place = end + 1
    kinds[:] = ["ON" if kind in ("ES", "ET", "CS") else kind for kind in kinds]
    strong = edge
    for place, kind in enumerate(kinds):
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[place] = "L"


def _brackets(text: str, kinds: list[str], original: list[str], edge: str) -> None:
    """Apply rule N0: both brackets of a pair get the direction of the text that they enclose."""
    for start, end in _pairs(text, kinds):
        inside = {_strong(kind) for kind in kinds[start + 1 : end]} - {""}
        if edge in inside:
            kind = edge
        elif inside:
            kind = next((_strong(one) for one in reversed(kinds[:start]) if _strong(one)), edge)
            kind = kind if kind in inside else edge
        else:
            continue
        for place in (start, end):
            kinds[place] = kind
            for after in range(place + 1, len(kinds)):
                if original[after] != "NSM":
                    break
                kinds[after] = kind


def _strong(kind: str) -> str:
    return "R" if kind in ("R", *_NUMBERS) else kind if kind == "L" else ""


def _pairs(text: str, kinds: list[str]) -> list[tuple[int, int]]:
    opened: list[tuple[str, int]] = []
    pairs: list[tuple[int, int]] = []
    closing = _closing()
    for place, char in enumerate(text):
        if kinds[place] != "ON":
            continue
        if char in closing:
            if len(opened) == 63:
                return []
            opened.append((closing[char], place))
            continue
        for depth in range(len(opened) - 1, -1, -1):
            if opened[depth][0] == char:
                pairs.append((opened[depth][1], place))
                del opened[depth:]
                break
    return sorted(pairs)


@cache
def _closing() -> dict[str, str]:
    """Each opening bracket's closing one, which has one of the next two code points."""
    found: dict[str, str] = {}
    for code in range(0x10000):
        char = chr(code)
        if unicodedata.category(char) == "Ps" and unicodedata.mirrored(char):
            for other in (chr(code + 1), chr(code + 2)):
                if unicodedata.category(other) == "Pe" and unicodedata.mirrored(other):
                    found[char] = other
                    break
    return found


def _neutral(kinds: list[str], edge: str) -> None:
    """Rules N1 and N2."""
    place = 0
    while place < len(kinds):
        end = place
        while end < len(kinds) and kinds[end] in _NEUTRAL:
            end += 1
        if end > place:
            left = _strong(kinds[place - 1]) if place else edge
            right = _strong(kinds[end]) if end < len(kinds) else edge
            kinds[place:end] = [left if left == right else edge] * (end - place)
        place = end + 1


def _level(kind: str, base: int) -> int:
    """Rules I1 and I2."""
    if base:
        return 1 if kind == "R" else 2
    return {"R": 1, "L": 0}.get(kind, 2)


def _trailing(found: list[int], original: list[str], base: int) -> None:
    """Rule L1: white space at the end of a line, and separators and what stands before them, run as the line."""
    trailing = True
    for place in range(len(found) - 1, -1, -1):
        if original[place] in ("S", "B"):
            trailing = True
        elif original[place] not in _SPACES:
            trailing = False
        if trailing:
            found[place] = base
