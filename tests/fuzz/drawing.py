"""Inputs that are almost right: valid ones that were changed, pieces in any order, and one piece many times.

Hypothesis draws the valid texts, for it can make a failing one smaller. What is made of them comes from a number that
it draws: that is much faster, so that each valid text brings several others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from hypothesis import strategies as st

from fuzz.target import Check

Texts = st.SearchStrategy[str]

VARIANTS = 8
"""Texts that are made of a valid one."""
_TRIES = 400
"""How often a failing text is made smaller, or is not."""


def mutated(chance: random.Random, text: str, pieces: Sequence[str]) -> str:
    """Change a text in one to four places."""
    for _ in range(chance.randint(1, 4)):
        begin = chance.randint(0, len(text))
        end = min(len(text), begin + chance.randint(0, 8))
        match chance.choice(("insert", "delete", "replace", "repeat", "cut", "flip")):
            case "insert":
                text = text[:begin] + _piece(chance, pieces) + text[begin:]
            case "delete":
                text = text[:begin] + text[end:]
            case "replace":
                text = text[:begin] + _piece(chance, pieces) + text[end:]
            case "repeat":
                text = text[:end] + text[begin:]
            case "cut":
                text = text[:begin]
            case _:
                text = text[:begin] + "".join(chr(ord(letter) ^ 1 << chance.randint(0, 6)) for letter in text[begin:end][:1]) + text[begin + 1 :]  # fmt: skip
    return text


def soup(chance: random.Random, pieces: Sequence[str]) -> str:
    """Put pieces in any order."""
    return "".join(_piece(chance, pieces) for _ in range(chance.randint(0, 16)))


def repeated(chance: random.Random, pieces: Sequence[str], most: int) -> str:
    """Put one piece many times: what costs more than it should shows here."""
    before, piece, after = (
        _piece(chance, pieces),
        _piece(chance, pieces) + _piece(chance, pieces),
        _piece(chance, pieces),
    )
    return before + piece * min(chance.choice((30, 300, 3_000)), most // max(1, len(piece))) + after


def _piece(chance: random.Random, pieces: Sequence[str]) -> str:
    if chance.random() < 0.8:
        return chance.choice(pieces)
    code = chance.choice((chance.randrange(128), chance.randrange(256), chance.randrange(0x11_0000)))
    return chr(code)


def variants(seed: int, text: str, pieces: Sequence[str], most: int) -> Iterator[str]:
    """Return a text, and others that are made of it or of the same pieces."""
    yield text
    chance = random.Random(seed)
    for _ in range(VARIANTS):
        kind = chance.random()
        yield (
            mutated(chance, text, pieces) if kind < 0.75
            else soup(chance, pieces) if kind < 0.95
            else repeated(chance, pieces, most)
        )  # fmt: skip


def fuzzed(valid: Texts, pieces: Sequence[str], check: Callable[[str], bool], most: int = 20_000) -> Check:
    """Return a check of valid texts and of what is made of them; a failing text is told in its smallest form.

    Args:
        valid: texts that the parser takes.
        pieces: what has a meaning in them.
        check: gives the parser one text; returns whether it was accepted.
        most: characters of the longest texts.
    """

    def each(drawn: tuple[str, int]) -> Iterator[bool]:
        for text in variants(drawn[1], drawn[0], pieces, most):
            try:
                yield check(text)
            except Exception as error:
                smaller = _smallest(text, check, type(error))
                raise AssertionError(f"{type(error).__name__}: {error}\nThe smallest text: {smaller!r}") from error

    return Check(st.tuples(valid, st.integers(0, 2**32)), each)


def _smallest(text: str, check: Callable[[str], bool], kind: type[Exception]) -> str:
    """Remove from a failing text what it fails without."""
    tries, size = 0, max(1, len(text) // 2)
    while size and tries < _TRIES:
        at, before = 0, text
        while at < len(text) and tries < _TRIES:
            shorter = text[:at] + text[at + size :]
            tries += 1
            try:
                check(shorter)
                at += size
            except kind:
                text = shorter
            except Exception:
                at += size
        size = size if size == 1 and text != before else size // 2
    return text


def latin(text: str) -> str:
    """Return a text as a header carries it: bytes, read as ISO-8859-1, without a line break or NUL."""
    return text.encode("utf-8", "replace").decode("latin-1").translate(dict.fromkeys((0, 10, 13)))
