"""Text direction of each character of a line: the Unicode Bidirectional Algorithm (UAX #9, revision 50).

The rules are applied in the order of UAX #9: W (weak classes), N (brackets and neutrals), I (levels), L1 (white space),
and, after lines are broken, L2 (visual order). Example, a Hebrew letter, a space and a number, `א 1,2%`, listed in
logical order:

    classes          R  WS EN CS EN ET    base level 1, because the first strong class is R
    after W4, W5     R  WS EN EN EN EN    a comma between digits and a percent sign after them belong to the number
    after N1         R  R  EN EN EN EN    a space between R and a number, which counts as R, becomes R
    after I2         1  1  2  2  2  2     numbers run from left to right in a right-to-left paragraph
    after L2         `1,2% א`             from left to right on the page

Explicit formatting characters (embeddings, overrides, isolates) are not applied, because they can make a text look like
another one: a report shows them by their code points, such as `[U+202E]`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

# Bidirectional classes (UAX #9, table 4).
_NUMBERS = ("EN", "AN")
_NEUTRAL = ("B", "S", "WS", "ON")
_SPACES = ("S", "WS", "BN")


def embedding_levels(text: str) -> list[int]:
    """Return the embedding level of each character of a paragraph: even is left to right, odd is right to left.

    Rule L1 is applied to the end of the paragraph only, because lines are broken later.
    """
    classes = [unicodedata.bidirectional(char) or "L" for char in text]
    original = list(classes)
    base = next((int(kind != "L") for kind in classes if kind in ("L", "R", "AL")), 0)
    base_class = "R" if base else "L"
    _resolve_weak(classes, base_class)
    _resolve_brackets(text, classes, original, base_class)
    _resolve_neutrals(classes, base_class)
    result = [_implicit_level(kind, base) for kind in classes]
    _reset_white_space(result, original, base)
    return result


def visual_order(result: Sequence[int]) -> list[int]:
    """Return indexes in visual order, from left to right, of items with these levels (rule L2).

    Example: levels `[0, 1, 1, 0]` give `[0, 2, 1, 3]`.
    """
    order = list(range(len(result)))
    for level in range(max(result, default=0), 0, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and result[order[end]] >= level:
                end += 1
            order[start:end] = reversed(order[start:end])
            start = end + 1
    return order


def _resolve_weak(classes: list[str], base_class: str) -> None:
    """Apply rules W1 to W7, in place: nonspacing marks, numbers, and the separators and terminators of numbers.

    Args:
        base_class: class of the paragraph's direction, L or R; it stands for the text before the first character.

    Example, an Arabic letter before `1-2`: `AL EN ES EN` becomes `AL AN ES AN` (W2, digits after an Arabic
    letter), `R AN ES AN` (W3) and `R AN ON AN` (W6, because W4 joins only EN by a hyphen). In `a 1`, W7 makes the digit
    L: `L WS EN` becomes `L WS L`.
    """
    before = strong = base_class
    for index, kind in enumerate(classes):
        if kind in ("NSM", "BN"):
            classes[index] = before
        elif kind == "EN" and strong == "AL":
            classes[index] = "AN"
        elif kind in ("L", "R", "AL"):
            strong = kind
        before = classes[index]
    classes[:] = ["R" if kind == "AL" else kind for kind in classes]
    for index in range(1, len(classes) - 1):
        left, kind, right = classes[index - 1 : index + 2]
        if left == right and ((kind == "ES" and left == "EN") or (kind == "CS" and left in _NUMBERS)):
            classes[index] = left
    index = 0
    while index < len(classes):
        end = index
        while end < len(classes) and classes[end] == "ET":
            end += 1
        if end > index and "EN" in (classes[index - 1] if index else "", classes[end] if end < len(classes) else ""):
            classes[index:end] = ["EN"] * (end - index)
        index = end + 1
    classes[:] = ["ON" if kind in ("ES", "ET", "CS") else kind for kind in classes]
    strong = base_class
    for index, kind in enumerate(classes):
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            classes[index] = "L"


def _resolve_brackets(text: str, classes: list[str], original: list[str], base_class: str) -> None:
    """Apply rule N0, in place: both brackets of a pair get the direction of the text that they enclose.

    The direction of the paragraph has priority if the brackets enclose any such text. Otherwise the opposite direction
    is used if the text before the opening bracket has it too. Brackets without strong text inside stay neutral.

    Example, with Hebrew letters in a left-to-right paragraph: `a א(ב)` has the classes `L WS R ON R ON`; the enclosed
    text is R and so is the letter before it, so the brackets become R. In `a (ב)` the letter before is L, so they
    become L.
    """
    for start, end in _bracket_pairs(text, classes):
        inside = {_strong_direction(kind) for kind in classes[start + 1 : end]} - {""}
        if base_class in inside:
            kind = base_class
        elif inside:
            kind = next(
                (_strong_direction(one) for one in reversed(classes[:start]) if _strong_direction(one)), base_class
            )
            kind = kind if kind in inside else base_class
        else:
            continue
        for index in (start, end):
            classes[index] = kind
            for after in range(index + 1, len(classes)):
                if original[after] != "NSM":
                    break
                classes[after] = kind


def _strong_direction(kind: str) -> str:
    """Return L or R, as rules N0 to N2 see a class: numbers count as R; empty for a class without direction."""
    return "R" if kind in ("R", *_NUMBERS) else kind if kind == "L" else ""


def _bracket_pairs(text: str, classes: list[str]) -> list[tuple[int, int]]:
    """Return the indexes of opening and closing brackets that match (definition BD16), sorted by opening bracket.

    As BD16 requires, there are no pairs at all if more than 63 brackets are open at once.
    """
    opened: list[tuple[str, int]] = []
    pairs: list[tuple[int, int]] = []
    closing = _closing_brackets()
    for index, char in enumerate(text):
        if classes[index] != "ON":
            continue
        if char in closing:
            if len(opened) == 63:
                return []
            opened.append((closing[char], index))
            continue
        for depth in range(len(opened) - 1, -1, -1):
            if opened[depth][0] == char:
                pairs.append((opened[depth][1], index))
                del opened[depth:]
                break
    return sorted(pairs)


@cache
def _closing_brackets() -> dict[str, str]:
    """Return a map from opening to closing brackets. A closing one is one or two code points after its opening one."""
    result: dict[str, str] = {}
    for code in range(0x10000):
        char = chr(code)
        if unicodedata.category(char) == "Ps" and unicodedata.mirrored(char):
            for other in (chr(code + 1), chr(code + 2)):
                if unicodedata.category(other) == "Pe" and unicodedata.mirrored(other):
                    result[char] = other
                    break
    return result


def _resolve_neutrals(classes: list[str], base_class: str) -> None:
    """Apply rules N1 and N2, in place: neutrals between two texts of one direction get it, others the paragraph's.

    Example, with Hebrew letters in a left-to-right paragraph: `a ? א` is `L WS ON WS R`; the neutrals are between L and
    R, so they become L (N2). `א ? ב` is `R WS ON WS R` and becomes R throughout (N1).
    """
    index = 0
    while index < len(classes):
        end = index
        while end < len(classes) and classes[end] in _NEUTRAL:
            end += 1
        if end > index:
            left = _strong_direction(classes[index - 1]) if index else base_class
            right = _strong_direction(classes[end]) if end < len(classes) else base_class
            classes[index:end] = [left if left == right else base_class] * (end - index)
        index = end + 1


def _implicit_level(kind: str, base: int) -> int:
    """Return the level of a resolved class by rules I1 and I2.

    In a left-to-right paragraph (base 0), L is 0, R is 1 and numbers are 2; in a right-to-left one (base 1), R is 1 and
    L and numbers are 2.
    """
    if base:
        return 1 if kind == "R" else 2
    return {"R": 1, "L": 0}.get(kind, 2)


def _reset_white_space(result: list[int], original: list[str], base: int) -> None:
    """Apply rule L1, in place: separators, and white space before them and at the end, get the base level."""
    trailing = True
    for index in range(len(result) - 1, -1, -1):
        if original[index] in ("S", "B"):
            trailing = True
        elif original[index] not in _SPACES:
            trailing = False
        if trailing:
            result[index] = base
