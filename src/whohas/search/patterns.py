r"""Wildcards, fuzzy words and Lucene's regular expressions as RE2 patterns, the dialect of the engines.

Each gives a pattern for one whole word. A word never has a blank or a `|` in it, so `[^ |]` stands for any character of
one, and a text's words can be searched as they are kept: `' tok tok '`.
"""

from __future__ import annotations

import re
from typing import Final

WORD_ENDS: Final = " |"
"""No word has these."""

VALUE_ENDS: Final = "\x1f"
"""No value has this: it stands between several."""

LONGEST_FUZZY: Final = 40
"""Characters of a fuzzy word: a pattern for more would be too large to run."""

_MOST_SIGNS: Final = 100
"""Signs of repetition in a row, as in `a**`."""

_SPECIAL = frozenset(r".^$*+?()[]{}|\/#&-~")


def escaped(text: str) -> str:
    """A text as the pattern that matches just it."""
    return "".join("\\" + c if c in _SPECIAL else c for c in text)


def wildcard_parts(pattern: str) -> list[str]:
    r"""A wildcard's pieces: `*` and `?` by themselves, the texts between them with their escapes taken away.

    A text that consists of a star is told apart by a backslash before it, which no piece has otherwise.
    """
    parts: list[str] = []
    literal: list[str] = []
    at = 0
    while at < len(pattern):
        c = pattern[at]
        if c == "\\" and at + 1 < len(pattern):
            literal.append(pattern[at + 1])
            at += 2
            continue
        if c in "*?":
            if literal:
                parts.append("=" + "".join(literal))
            parts.append(c)
            literal = []
        else:
            literal.append(c)
        at += 1
    return [*parts, "=" + "".join(literal)] if literal else parts


def wildcard(parts: list[str], ends: str = WORD_ENDS) -> str:
    """The pattern of a wildcard's pieces, as `wildcard_parts` gives them."""
    any = f"[^{ends}]"
    signs = {"*": f"{any}*", "?": any}
    return "".join(signs[part] if part in signs else escaped(part[1:]) for part in parts)


def fuzzy_edits(text: str, edits: float | None) -> int:
    """How many edits a fuzzy word allows.

    Without a number it goes by the word's length, as Elasticsearch's AUTO does: none below 3 characters, one up to 5,
    two beyond. A number below 1 is a similarity, as Lucene's `FuzzyQuery.floatToEdits` takes it. Two is the most.
    """
    if edits is None:
        return 0 if len(text) < 3 else 1 if len(text) <= 5 else 2
    if edits >= 1:
        return min(int(edits), 2)
    return 0 if edits == 0 else min(int((1 - edits) * len(text)), 2)


def fuzzy(text: str, edits: int, ends: str = WORD_ENDS) -> str:
    """The pattern of all words that so many insertions, deletions, changes or swaps of neighbours make of a word.

    No part of a word is edited twice, as in Lucene's automaton.

    Raises:
        ValueError: the word is longer than `LONGEST_FUZZY`.
    """
    if len(text) > LONGEST_FUZZY:
        raise ValueError(f"a fuzzy word may have {LONGEST_FUZZY} characters at the most")
    known: dict[tuple[int, int], str] = {}
    any = f"[^{ends}]"

    def rest(at: int, left: int) -> str:
        if left == 0:
            return escaped(text[at:])
        if (at, left) not in known:
            ways = [f"{any}{rest(at, left - 1)}"]
            if at < len(text):
                ways.append(f"{escaped(text[at])}{rest(at + 1, left)}")
                ways.append(f"{any}?{rest(at + 1, left - 1)}")
            else:
                ways.append("")
            if at + 1 < len(text) and text[at] != text[at + 1]:
                ways.append(f"{escaped(text[at + 1])}{escaped(text[at])}{rest(at + 2, left - 1)}")
            known[at, left] = f"(?:{'|'.join(ways)})"
        return known[at, left]

    return rest(0, edits)


def regexp(pattern: str, ends: str = WORD_ENDS) -> str:
    r"""Lucene's regular expression as an RE2 pattern.

    Lucene's has `| * + ? {n,m} . [...] ( )`, `"…"` for a text as it is, `@` for any word, `#` for none, `<n-m>` for
    numbers, `&` for both and `~` for not. The last three have no RE2 form.

    Raises:
        ValueError: it is none, or uses an operator that cannot be run.
    """
    return _Regexp(pattern, ends).translate()


class _Regexp:
    """Recursive descent over Lucene 8.11's `RegExp` syntax, all of whose flags are on."""

    def __init__(self, text: str, ends: str) -> None:
        self._text = text
        self._ends = ends
        self._any = f"[^{ends}]"
        self._at = 0

    def translate(self) -> str:
        if not self._text:
            return ""
        made = self._union(0)
        if self._at < len(self._text):
            raise ValueError(f"the regular expression has {self._text[self._at]!r} where it should end")
        return made

    def _more(self, characters: str = "") -> bool:
        return self._at < len(self._text) and (not characters or self._text[self._at] in characters)

    def _next(self) -> str:
        if not self._more():
            raise ValueError("the regular expression ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _union(self, depth: int) -> str:
        if depth > 100:
            raise ValueError("the regular expression is nested too deep")
        ways = [self._sequence(depth)]
        while self._more("|"):
            self._next()
            ways.append(self._sequence(depth))
        return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"

    def _sequence(self, depth: int) -> str:
        parts = [self._repeated(depth)]
        while self._more() and not self._more(")|"):
            if self._more("&"):
                raise ValueError("& (both of two expressions) cannot be run: write two conditions joined by AND")
            parts.append(self._repeated(depth))
        return "".join(parts)

    def _repeated(self, depth: int) -> str:
        if self._more("~"):
            raise ValueError("~ (not this expression) cannot be run: write NOT before the condition")
        made = self._single(depth)
        signs = 0
        while self._more("?*+{"):
            sign = self._next()
            signs += 1
            if signs > _MOST_SIGNS:  # each copies what it repeats: 100,000 of them take a minute
                raise ValueError(f"more than {_MOST_SIGNS} signs of repetition follow each other")
            if sign == "{":
                found = re.compile(r"([0-9]+)(,([0-9]*))?\}").match(self._text, self._at)
                if found is None:
                    raise ValueError("{ must be followed by numbers, as in {2} or {2,5}")
                self._at = found.end()
                if int(found[1]) > 1000 or int(found[3] or 0) > 1000:
                    raise ValueError("a repetition may be 1,000 times at the most")
                if found[3] and int(found[1]) > int(found[3]):
                    raise ValueError("the first number of a repetition must not be greater than the second")
                sign = "{" + found[0]
            made = f"(?:{made}){sign}"
        return made

    def _single(self, depth: int) -> str:
        match self._next():
            case "(":
                if self._more(")"):
                    self._next()
                    return "(?:)"
                inside = self._union(depth + 1)
                if self._next() != ")":
                    raise ValueError("a ) is missing in the regular expression")
                return f"(?:{inside})"
            case "[":
                return self._class()
            case ".":
                return self._any
            case "@":
                return f"{self._any}*"
            case "#":
                return "[^\\x00-\\x{10FFFF}]"
            case '"':
                end = self._text.find('"', self._at)
                if end < 0:
                    raise ValueError("a quotation mark is never closed in the regular expression")
                inside, self._at = self._text[self._at : end], end + 1
                return f"(?:{escaped(inside)})"
            case "<":
                raise ValueError("<…> (a range of numbers) cannot be run: write the digits, as in [0-9]+")
            case "\\":
                return escaped(self._next())
            case c:
                return escaped(c)

    def _class(self) -> str:
        negated = self._more("^")
        if negated:
            self._next()
        parts = [self._class_part()]
        while not self._more("]"):
            parts.append(self._class_part())
        self._next()
        # what a negated class takes must still be within a word
        return f"[^{self._ends}{''.join(parts)}]" if negated else f"[{''.join(parts)}]"

    def _class_part(self) -> str:
        low = self._class_character()
        if not self._more("-"):
            return escaped(low)
        self._next()
        if self._more("]"):
            return escaped(low) + "\\-"
        high = self._class_character()
        if low > high:
            raise ValueError(f"the range {low}-{high} runs backwards")
        return f"{escaped(low)}-{escaped(high)}"

    def _class_character(self) -> str:
        c = self._next()
        return self._next() if c == "\\" else c
