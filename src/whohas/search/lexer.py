"""A query cut into tokens, as Lucene's classic query parser does it.

Source of the rules: the token definitions of Lucene 8.11's `QueryParser.jj`. In each of its three states the longest
match wins, and of equally long ones the one that is defined first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from whohas.errors import InvalidArguments

_BLANK = r"[ \t\n\r\u3000]"
_ESCAPED = r"\\[\s\S]"
_START = rf"(?:[^ \t\n\r\u3000+\-!():^\[\]\"{{}}~*?\\/]|{_ESCAPED})"
_INNER = rf"(?:[^ \t\n\r\u3000!():^\[\]\"{{}}~*?\\/]|{_ESCAPED})"
_SHOWN = 60


class Kind(StrEnum):
    """Kinds of tokens; the value is how a message names one."""

    BLANK = "a blank"
    AND = "AND"
    OR = "OR"
    NOT = "NOT"
    PLUS = "+"
    MINUS = "-"
    BARE_OPERATOR = "an operator before a blank"
    LEFT = "("
    RIGHT = ")"
    COLON = ":"
    STAR = "*"
    CARET = "^"
    QUOTED = "a phrase"
    TERM = "a word"
    FUZZY = "~"
    PREFIX = "a word that ends with *"
    WILDCARD = "a word with * or ?"
    REGEXP = "a regular expression"
    RANGE_START = "[ or {"
    RANGE_END = "] or }"
    TO = "TO"
    RANGE_QUOTED = "a bound in quotation marks"
    BOUND = "a bound"
    NUMBER = "a number"
    END = "the end of the query"


_Rules = tuple[tuple[Kind, str, re.Pattern[str]], ...]


def _rules(*rules: tuple[Kind, str, str]) -> _Rules:
    return tuple((kind, first, re.compile(pattern)) for kind, first, pattern in rules)


_DEFAULT = _rules(  # the characters that each may begin with; none: any
    (Kind.BLANK, " \t\n\r\u3000", _BLANK),
    (Kind.AND, "A&", r"AND|&&"),
    (Kind.OR, "O|", r"OR|\|\|"),
    (Kind.NOT, "N!", r"NOT|!"),
    (Kind.PLUS, "+", r"\+"),
    (Kind.MINUS, "-", r"-"),
    (Kind.BARE_OPERATOR, "+-!", rf"[+\-!]{_BLANK}"),
    (Kind.LEFT, "(", r"\("),
    (Kind.RIGHT, ")", r"\)"),
    (Kind.COLON, ":", r":"),
    (Kind.STAR, "*", r"\*"),
    (Kind.CARET, "^", r"\^"),
    (Kind.QUOTED, '"', rf"\"(?:[^\"\\]|{_ESCAPED})*\""),
    (Kind.TERM, "", rf"{_START}{_INNER}*"),
    (Kind.FUZZY, "~", rf"~{_INNER}*"),
    (Kind.PREFIX, "", rf"{_START}{_INNER}*\*"),
    (Kind.WILDCARD, "", rf"(?:{_START}|[*?])(?:{_INNER}|[*?])*"),
    (Kind.REGEXP, "/", r"/(?:\\/|[^/])*/"),
    (Kind.RANGE_START, "[{", r"[\[{]"),
)
_BOOST = _rules((Kind.NUMBER, "", r"[0-9]+(?:\.[0-9]+)?"))
_RANGE = _rules(
    (Kind.BLANK, "", _BLANK),
    (Kind.TO, "T", r"TO"),
    (Kind.RANGE_END, "]}", r"[\]}]"),
    (Kind.RANGE_QUOTED, '"', r"\"(?:\\\"|[^\"])+\""),
    (Kind.BOUND, "", r"[^ \]}]+"),
)
_AFTER = {Kind.CARET: _BOOST, Kind.NUMBER: _DEFAULT, Kind.RANGE_START: _RANGE, Kind.RANGE_END: _DEFAULT}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a query: its kind, its text as written, and where it begins."""

    kind: Kind
    image: str
    at: int


def tokens(query: str, step: Callable[[], None] = lambda: None) -> list[Token]:
    """The tokens of a query, an END last.

    Args:
        step: called for each token.

    Raises:
        InvalidArguments: a character begins no token; the message points at it.
    """
    found: list[Token] = []
    rules, at = _DEFAULT, 0
    while at < len(query):
        step()
        kind, end = Kind.END, at
        for candidate, first, pattern in rules:
            if first and query[at] not in first:
                continue
            match = pattern.match(query, at)
            if match is not None and match.end() > end:
                kind, end = candidate, match.end()
        if kind is Kind.END:
            raise broken(query, at, _why(query, at, rules is _BOOST))
        if kind is not Kind.BLANK:
            found.append(Token(kind, query[at:end], at))
        rules, at = _AFTER.get(kind, rules), end
    if rules is _BOOST:
        raise broken(query, at, "a number must follow ^")
    found.append(Token(Kind.END, "", len(query)))
    return found


def broken(query: str, at: int, reason: str) -> InvalidArguments:
    """The error for a query that cannot be read: it says where, counted from 1, and shows the place."""
    begin = max(0, at - _SHOWN)
    part = query[begin : at + _SHOWN].translate({9: " ", 10: " ", 13: " "})
    shown = f"{'…' if begin else ''}{part}{'…' if at + _SHOWN < len(query) else ''}"
    mark = " " * (at - begin + bool(begin)) + "^"
    return InvalidArguments(f"The query breaks at column {at + 1}: {reason}.\n{shown}\n{mark}")


def _why(query: str, at: int, after_caret: bool) -> str:
    if after_caret:
        return "a number must follow ^"
    match query[at]:
        case '"':
            return "this quotation mark is never closed"
        case "/":
            return "this / begins a regular expression that never ends; write \\/ for the character itself"
        case "\\":
            return "a \\ must stand before the character that it escapes"
        case other:
            return f"{other!r} cannot stand here"
