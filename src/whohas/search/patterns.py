r"""Translate wildcards, fuzzy words and Lucene's regular expressions to RE2 patterns, which DuckDB runs.

Each pattern matches one whole word. A word contains no blank and no `|`, so `[^ |]` stands for any character of a word,
and a pattern between two blanks can be searched in a column of words (`" one two "`). Patterns for whole values exclude
`VALUE_DELIMITERS` instead.
"""

from __future__ import annotations

import re
from typing import Final

WORD_DELIMITERS: Final = " |"
"""The characters that no word contains."""

VALUE_DELIMITERS: Final = "\x1f"
"""The character that no value contains: it separates the values of a cell (`VALUE_SEPARATOR`)."""

MAX_FUZZY_LENGTH: Final = 40
"""The most characters of a fuzzy word; the pattern of a longer one would be too large to run."""

_MOST_OPERATORS: Final = 100
"""The most repetition operators in a row, as the two in `a**`."""

_SPECIAL = frozenset(r".^$*+?()[]{}|\/#&-~")


def escape_pattern(text: str) -> str:
    """Return the pattern that matches a text literally."""
    return "".join("\\" + c if c in _SPECIAL else c for c in text)


def split_wildcard(pattern: str) -> list[str]:
    r"""Split a wildcard pattern at `*` and `?`.

    Returns:
        The parts in order: `"*"`, `"?"`, and the literal texts between them, unescaped and with `=` before them. The
        `=` distinguishes an escaped star from an operator: `a\*b*` gives `["=a*b", "*"]`.
    """
    parts: list[str] = []
    literal: list[str] = []
    index = 0
    while index < len(pattern):
        character = pattern[index]
        if character == "\\" and index + 1 < len(pattern):
            literal.append(pattern[index + 1])
            index += 2
            continue
        if character in "*?":
            if literal:
                parts.append("=" + "".join(literal))
            parts.append(character)
            literal = []
        else:
            literal.append(character)
        index += 1
    return [*parts, "=" + "".join(literal)] if literal else parts


def wildcard_pattern(parts: list[str], ends: str = WORD_DELIMITERS) -> str:
    """Return the RE2 pattern of a wildcard.

    Args:
        parts: the wildcard's parts, as `split_wildcard` returns them.
        ends: the characters that `*` and `?` do not match, `WORD_DELIMITERS` or `VALUE_DELIMITERS`.
    """
    any = f"[^{ends}]"
    operators = {"*": f"{any}*", "?": any}
    return "".join(operators[part] if part in operators else escape_pattern(part[1:]) for part in parts)


def max_edits(text: str, edits: float | None) -> int:
    """Return the number of edits that a fuzzy word allows, from 0 to 2.

    Args:
        text: the word.
        edits: the number after `~`; None if it is missing. The edits then depend on the word's length, as with
            Elasticsearch's AUTO: 0 below 3 characters, 1 up to 5, 2 above. A number below 1 is a similarity, as in
            Lucene's `FuzzyQuery.floatToEdits`: 0.8 allows 20% of the word's length.
    """
    if edits is None:
        return 0 if len(text) < 3 else 1 if len(text) <= 5 else 2
    if edits >= 1:
        return min(int(edits), 2)
    return 0 if edits == 0 else min(int((1 - edits) * len(text)), 2)


def fuzzy_pattern(text: str, edits: int, ends: str = WORD_DELIMITERS) -> str:
    """Return the RE2 pattern of all words within a number of edits of a word.

    An edit is an insertion, deletion or substitution of a character, or a transposition of two adjacent ones. No
    substring is edited twice ("restricted" transposition, as in Lucene's automaton): from `ab` to `bca` takes 3 edits,
    although swapping to `ba` and then inserting c would take 2. Example: `fuzzy_pattern("ab", 1)` matches ab, b, a, xb,
    ax, xab, axb, abx and ba, where x is any character.

    Args:
        text: the word, in lower case if words are compared in lower case.
        edits: the number of edits.
        ends: the characters that no word or value contains.

    Raises:
        ValueError: the word is longer than `MAX_FUZZY_LENGTH`.
    """
    if len(text) > MAX_FUZZY_LENGTH:
        raise ValueError(f"a fuzzy word may have {MAX_FUZZY_LENGTH} characters at the most")
    cache: dict[tuple[int, int], str] = {}
    any = f"[^{ends}]"

    def rest(at: int, left: int) -> str:  # the pattern of text[at:] with at most `left` edits
        if left == 0:
            return escape_pattern(text[at:])
        if (at, left) not in cache:
            alternatives = [f"{any}{rest(at, left - 1)}"]
            if at < len(text):
                alternatives.append(f"{escape_pattern(text[at])}{rest(at + 1, left)}")
                alternatives.append(f"{any}?{rest(at + 1, left - 1)}")
            else:
                alternatives.append("")
            if at + 1 < len(text) and text[at] != text[at + 1]:
                alternatives.append(f"{escape_pattern(text[at + 1])}{escape_pattern(text[at])}{rest(at + 2, left - 1)}")
            cache[at, left] = f"(?:{'|'.join(alternatives)})"
        return cache[at, left]

    return rest(0, edits)


def regexp_pattern(pattern: str, ends: str = WORD_DELIMITERS) -> str:
    r"""Translate a regular expression in Lucene's dialect to an RE2 pattern.

    Lucene's operators are `| * + ? {n,m} . [...] ( )`, `"…"` for literal text, `@` for any text, `#` for nothing (it
    matches no text), `<n-m>` for a range of numbers, `&` for intersection and `~` for complement. The last three have
    no RE2 equivalent.

    Args:
        pattern: the regular expression, without its slashes.
        ends: the characters that no word or value contains; `.`, `@` and negated classes do not match them.

    Raises:
        ValueError: the expression has a syntax error, or uses an operator without an RE2 equivalent.
    """
    return _RegexpTranslator(pattern, ends).translate()


class _RegexpTranslator:
    """A recursive-descent translator of Lucene 8.11's `RegExp` syntax with all optional operators (flag ALL)."""

    def __init__(self, text: str, ends: str) -> None:
        self._text = text
        self._ends = ends
        self._any = f"[^{ends}]"
        self._at = 0

    def translate(self) -> str:
        if not self._text:
            return ""
        translated = self._union(0)
        if self._at < len(self._text):
            c = self._text[self._at]
            raise ValueError(f"the regular expression has {c!r} where it should end: write \\{c} for the character")
        return translated

    def _at_any_of(self, characters: str = "") -> bool:
        return self._at < len(self._text) and (not characters or self._text[self._at] in characters)

    def _next(self) -> str:
        if not self._at_any_of():
            raise ValueError("the regular expression ends too early: a character, ) or ] is missing at its end")
        self._at += 1
        return self._text[self._at - 1]

    def _union(self, depth: int) -> str:
        if depth > 100:
            raise ValueError("the regular expression is nested more than 100 deep: write it with fewer brackets")
        alternatives = [self._sequence(depth)]
        while self._at_any_of("|"):
            self._next()
            alternatives.append(self._sequence(depth))
        return alternatives[0] if len(alternatives) == 1 else f"(?:{'|'.join(alternatives)})"

    def _sequence(self, depth: int) -> str:
        parts = [self._repeated(depth)]
        while self._at_any_of() and not self._at_any_of(")|"):
            if self._at_any_of("&"):
                raise ValueError(
                    "the regular expression has & (and), which cannot be run: write two conditions joined by AND"
                )
            parts.append(self._repeated(depth))
        return "".join(parts)

    def _repeated(self, depth: int) -> str:
        if self._at_any_of("~"):
            raise ValueError(
                "the regular expression has ~ (not), which cannot be run: if it begins with ~, write NOT before the "
                "condition, as in `NOT name:/abc/`"
            )
        repeated = self._atom(depth)
        operators = 0
        while self._at_any_of("?*+{"):
            operator = self._next()
            operators += 1
            if operators > _MOST_OPERATORS:  # each copies the text before it: 100,000 take a minute
                raise ValueError(f"more than {_MOST_OPERATORS} signs of repetition follow each other")
            if operator == "{":
                match = re.compile(r"([0-9]+)(,([0-9]*))?\}").match(self._text, self._at)
                if match is None:
                    raise ValueError("{ must be followed by numbers, as in {2} or {2,5}")
                self._at = match.end()
                if int(match[1]) > 1000 or int(match[3] or 0) > 1000:
                    raise ValueError("a repetition may be 1,000 times at the most")
                if match[3] and int(match[1]) > int(match[3]):
                    raise ValueError("the first number of a repetition must not be greater than the second")
                operator = "{" + match[0]
            repeated = f"(?:{repeated}){operator}"
        return repeated

    def _atom(self, depth: int) -> str:
        match self._next():
            case "(":
                if self._at_any_of(")"):
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
                return f"(?:{escape_pattern(inside)})"
            case "<":
                raise ValueError(
                    "the regular expression has <…> (a range of numbers), which cannot be run: write the digits, as in "
                    "[0-9]+"
                )
            case "\\":
                return escape_pattern(self._next())
            case c:
                return escape_pattern(c)

    def _class(self) -> str:
        negated = self._at_any_of("^")
        if negated:
            self._next()
        parts = [self._class_part()]
        while not self._at_any_of("]"):
            parts.append(self._class_part())
        self._next()
        # a negated class must not match beyond the end of a word
        return f"[^{self._ends}{''.join(parts)}]" if negated else f"[{''.join(parts)}]"

    def _class_part(self) -> str:
        low = self._class_character()
        if not self._at_any_of("-"):
            return escape_pattern(low)
        self._next()
        if self._at_any_of("]"):
            return escape_pattern(low) + "\\-"
        high = self._class_character()
        if low > high:
            raise ValueError(f"the range {low}-{high} runs backwards: write {high}-{low}")
        return f"{escape_pattern(low)}-{escape_pattern(high)}"

    def _class_character(self) -> str:
        c = self._next()
        return self._next() if c == "\\" else c
