"""The lexer of the query language: cut a query into tokens as Lucene's classic query parser does.

Source of the rules: the token definitions of Lucene 8.11's `QueryParser.jj`. It has three states:
default, after `^` (boost) and within a range. In each state the longest match wins, and of equally long ones the one
that is defined first.
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
"""The number of characters before and after an error that a message shows."""


class TokenKind(StrEnum):
    """Kinds of tokens; the value is the name that error messages use."""

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


_Rules = tuple[tuple[TokenKind, str, re.Pattern[str]], ...]


def _rules(*rules: tuple[TokenKind, str, str]) -> _Rules:
    return tuple((kind, first, re.compile(pattern)) for kind, first, pattern in rules)


_DEFAULT = _rules(  # kind, the characters that a token of it may begin with (empty: any), pattern
    (TokenKind.BLANK, " \t\n\r\u3000", _BLANK),
    (TokenKind.AND, "A&", r"AND|&&"),
    (TokenKind.OR, "O|", r"OR|\|\|"),
    (TokenKind.NOT, "N!", r"NOT|!"),
    (TokenKind.PLUS, "+", r"\+"),
    (TokenKind.MINUS, "-", r"-"),
    (TokenKind.BARE_OPERATOR, "+-!", rf"[+\-!]{_BLANK}"),
    (TokenKind.LEFT, "(", r"\("),
    (TokenKind.RIGHT, ")", r"\)"),
    (TokenKind.COLON, ":", r":"),
    (TokenKind.STAR, "*", r"\*"),
    (TokenKind.CARET, "^", r"\^"),
    (TokenKind.QUOTED, '"', rf"\"(?:[^\"\\]|{_ESCAPED})*\""),
    (TokenKind.TERM, "", rf"{_START}{_INNER}*"),
    (TokenKind.FUZZY, "~", rf"~{_INNER}*"),
    (TokenKind.PREFIX, "", rf"{_START}{_INNER}*\*"),
    (TokenKind.WILDCARD, "", rf"(?:{_START}|[*?])(?:{_INNER}|[*?])*"),
    (TokenKind.REGEXP, "/", r"/(?:\\/|[^/])*/"),
    (TokenKind.RANGE_START, "[{", r"[\[{]"),
)
_BOOST = _rules((TokenKind.NUMBER, "", r"[0-9]+(?:\.[0-9]+)?"))
_RANGE = _rules(
    (TokenKind.BLANK, "", _BLANK),
    (TokenKind.TO, "T", r"TO"),
    (TokenKind.RANGE_END, "]}", r"[\]}]"),
    (TokenKind.RANGE_QUOTED, '"', r"\"(?:\\\"|[^\"])+\""),
    (TokenKind.BOUND, "", r"[^ \]}]+"),
)
_RULES_AFTER = {
    TokenKind.CARET: _BOOST,
    TokenKind.NUMBER: _DEFAULT,
    TokenKind.RANGE_START: _RANGE,
    TokenKind.RANGE_END: _DEFAULT,
}


@dataclass(frozen=True, slots=True)
class QueryToken:
    """A token of a query.

    Attributes:
        kind: its kind.
        text: its text as written, escapes included.
        position: the position of its first character in the query, counted from 0.
    """

    kind: TokenKind
    text: str
    position: int


class QuerySyntaxError(InvalidArguments):
    """A query that is invalid at one of its characters.

    Attributes:
        position: the position of the character, counted from 0; the length of the query if it ends too early.
        reason: the reason, a clause without a full stop.
    """

    def __init__(self, message: str, position: int, reason: str) -> None:
        super().__init__(message)
        self.position = position
        self.reason = reason


def tokenize_query(query: str, step: Callable[[], None] = lambda: None) -> list[QueryToken]:
    """Return the tokens of a query without blanks, followed by an END token.

    Args:
        query: the text.
        step: called for each token; it may raise an error to abort.

    Raises:
        InvalidArguments: no token can begin at a character; the message points at it.
    """
    found_tokens: list[QueryToken] = []
    rules, position = _DEFAULT, 0
    while position < len(query):
        step()
        kind, end = TokenKind.END, position
        for candidate, first, pattern in rules:
            if first and query[position] not in first:
                continue
            match = pattern.match(query, position)
            if match is not None and match.end() > end:
                kind, end = candidate, match.end()
        if kind is TokenKind.END:
            raise syntax_error(query, position, _reason(query, position, rules is _BOOST))
        if kind is not TokenKind.BLANK:
            found_tokens.append(QueryToken(kind, query[position:end], position))
        rules, position = _RULES_AFTER.get(kind, rules), end
    if rules is _BOOST:
        raise syntax_error(query, position, "a number must follow ^")
    found_tokens.append(QueryToken(TokenKind.END, "", len(query)))
    return found_tokens


def syntax_error(query: str, at: int, reason: str) -> QuerySyntaxError:
    """Return the error for a query that is invalid, with an excerpt of the query and a mark below the position.

    Args:
        query: the text.
        at: the position of the error, counted from 0; the message counts from 1.
        reason: the reason, a clause without a full stop.
    """
    start = max(0, at - _SHOWN)
    excerpt = query[start : at + _SHOWN].translate({9: " ", 10: " ", 13: " "})
    shown = f"{'…' if start else ''}{excerpt}{'…' if at + _SHOWN < len(query) else ''}"
    mark = " " * (at - start + bool(start)) + "^"
    return QuerySyntaxError(f"The query breaks at column {at + 1}: {reason}.\n{shown}\n{mark}", at, reason)


def _reason(query: str, at: int, after_caret: bool) -> str:
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
