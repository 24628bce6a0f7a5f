r"""The parser of the query language: Lucene's classic query syntax, and `@path(…)` for the objects of a list.

Source of the rules: the grammar of Lucene 8.11 (`QueryParser.jj`, `QueryParserBase.java`) with the default operator
OR, and with words split at blanks, which is how Elasticsearch 5 runs a query string::

    query    clause (["AND" | "OR"] clause)*
    clause   ["+" | "-" | "NOT"] [word ":"] (leaf | "(" query ")" ["^" number]) | "@" path "(" query ")"

Each clause is required, prohibited or optional. AND makes the clauses on both sides of it required, unlike SQL's AND:
`a OR b AND c` requires b and c, and a is optional. See `ast.apply_and`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from whohas.search.ast import Clause, Fuzzy, Group, Leaf, Nested, Node, Occur, Phrase, Range, Regexp, Term, Wildcard
from whohas.search.lexer import QueryToken, TokenKind, syntax_error, tokenize_query

MAX_DEPTH: Final = 100
"""The deepest nesting of groups that is accepted, far above that of any real query."""

_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[fFdD]?")
_LARGEST_FLOAT = 3.4028235e38
_LARGEST_INT = 2**31 - 1
_MAX_SLOP = 1_000_000
"""Larger slops are reduced to this one."""
_PATH = re.compile(r"@[A-Za-z][A-Za-z0-9_.]*")
_WORD_KINDS = frozenset(
    {TokenKind.TERM, TokenKind.STAR, TokenKind.PREFIX, TokenKind.WILDCARD, TokenKind.REGEXP, TokenKind.BARE_OPERATOR}
)
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def parse(query: str, step: Callable[[], None] = lambda: None) -> Node:
    """Parse a query to its syntax tree.

    Args:
        query: the text.
        step: called for each token; it may raise an error to abort.

    Raises:
        InvalidArguments: the query has a syntax error; the message says where and why.
    """
    parser = _Parser(query, step)
    node = parser.query(None, 0)
    parser.take(TokenKind.END)
    return node


def unescape(text: str) -> str:
    r"""Return a text with its escapes replaced: `\x` becomes x, `\u0041` becomes A.

    Raises:
        ValueError: `\u` is not followed by four hexadecimal digits, or the text ends with a backslash.
    """
    if "\\" not in text:
        return text
    characters: list[str] = []
    index = 0
    while index < len(text):
        if text[index] != "\\":
            characters.append(text[index])
            index += 1
            continue
        if index + 1 == len(text):
            raise ValueError("a \\ must stand before the character that it escapes")
        if text[index + 1] == "u":
            digits = text[index + 2 : index + 6]
            if not re.fullmatch(r"[0-9a-fA-F]{4}", digits):
                raise ValueError("four hexadecimal digits must follow \\u")
            characters.append(chr(int(digits, 16)))
            index += 6
        else:
            characters.append(text[index + 1])
            index += 2
    joined = "".join(characters)
    # As in Java, two escapes give one character above U+FFFF: \ud83d\ude00 is U+1F600. An unpaired surrogate becomes
    # U+FFFD.
    joined = _SURROGATES.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), joined)
    return re.sub("[\ud800-\udfff]", "\ufffd", joined)


class _Parser:
    def __init__(self, query: str, step: Callable[[], None]) -> None:
        self._query = query
        self._tokens = tokenize_query(query, step)
        self._next = 0

    def query(self, field: str | None, depth: int) -> Node:
        start = self._peek().position
        if depth > MAX_DEPTH:
            raise syntax_error(
                self._query, start, f"groups are nested more than {MAX_DEPTH} deep: write it with fewer brackets"
            )
        clauses: list[Clause] = []
        while True:
            conjunct = False
            if clauses and self._peek().kind in (TokenKind.AND, TokenKind.OR):
                conjunct = self.take().kind is TokenKind.AND
            occur = self._modifier()
            clauses.append(Clause(occur, self._clause(field, depth), conjunct))
            if self._peek().kind in (TokenKind.END, TokenKind.RIGHT):
                break
        if len(clauses) == 1 and clauses[0].occur is Occur.SHOULD:
            return clauses[0].node
        return Group(tuple(clauses), start)

    def take(self, kind: TokenKind | None = None) -> QueryToken:
        token = self._peek()
        if kind is not None and token.kind is not kind:
            raise self._unexpected(f"{kind} was expected")
        self._next += 1
        return token

    def _peek(self, ahead: int = 0) -> QueryToken:
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def _modifier(self) -> Occur:
        match self._peek().kind:
            case TokenKind.PLUS:
                self.take()
                return Occur.MUST
            case TokenKind.MINUS | TokenKind.NOT:
                self.take()
                return Occur.MUST_NOT
            case _:
                return Occur.SHOULD

    def _clause(self, field: str | None, depth: int) -> Node:
        first = self._peek()
        if first.kind in (TokenKind.TERM, TokenKind.STAR) and self._peek(1).kind is TokenKind.COLON:
            self.take()
            self.take()
            field = None if first.kind is TokenKind.STAR else self._unescaped(first)
        elif first.kind is TokenKind.TERM and _PATH.fullmatch(first.text) and self._peek(1).kind is TokenKind.LEFT:
            return self._nested(first, depth)
        if self._peek().kind is TokenKind.LEFT:
            self.take()
            node = self.query(field, depth + 1)
            self.take(TokenKind.RIGHT)
            self._boost()
            return node
        return self._leaf(field, first.position)

    def _nested(self, path: QueryToken, depth: int) -> Node:
        self.take()
        if self._peek().position != path.position + len(path.text):
            raise self._unexpected(f"no blank may stand between {path.text} and its bracket")
        self.take(TokenKind.LEFT)
        # Inside, field names are those of the list's objects, so a field named outside does not apply.
        node = self.query(None, depth + 1)
        self.take(TokenKind.RIGHT)
        self._boost()
        return Nested(path.text[1:], node, path.position)

    def _leaf(self, field: str | None, at: int) -> Leaf:
        token = self._peek()
        match token.kind:
            case TokenKind.RANGE_START:
                return self._range(field, at)
            case TokenKind.QUOTED:
                self.take()
                slop = self._suffix()
                text = self._unescaped(token, token.text[1:-1])
                return Phrase(field, text, self._slop(slop), at)
            case kind if kind in _WORD_KINDS:
                self.take()
                slop = self._suffix()
            case _:
                raise self._unexpected("a word, a phrase, a range or a group was expected")
        text = self._unescaped(token)
        match token.kind:
            case TokenKind.STAR | TokenKind.PREFIX | TokenKind.WILDCARD:
                return Wildcard(field, token.text, at)
            case TokenKind.REGEXP:
                return Regexp(field, token.text[1:-1], at)
            case TokenKind.BARE_OPERATOR:
                text = text[:1]
            case _:
                pass
        if slop is None:
            return Term(field, text, at)
        edits = _number(slop)
        if edits is not None and edits < 0:
            raise syntax_error(self._query, slop.position, "the number of edits must not be negative")
        if edits is not None and edits >= 1 and edits != min(int(edits), _LARGEST_INT):
            raise syntax_error(self._query, slop.position, "the number of edits must be whole")
        return Fuzzy(field, text, edits, at)

    def _slop(self, slop: QueryToken | None) -> int:
        moves = _number(slop) or 0.0
        if slop is not None and moves <= -1:
            raise syntax_error(self._query, slop.position, "the number of moves must not be negative")
        return int(min(max(moves, 0.0), _MAX_SLOP))

    def _suffix(self) -> QueryToken | None:
        """Read a boost (`^2`) and a slop (`~2`) in either order. Return the slop, or None.

        The boost is ignored, because exports have no ranking.
        """
        boosted = self._boost()
        slop = self.take() if self._peek().kind is TokenKind.FUZZY else None
        if slop is not None and not boosted:
            self._boost()
        return slop

    def _boost(self) -> bool:
        if self._peek().kind is not TokenKind.CARET:
            return False
        self.take()
        number = self.take(TokenKind.NUMBER)
        if float(number.text) > _LARGEST_FLOAT:
            raise syntax_error(self._query, number.position, "the boost is too large: leave it out, it has no effect")
        return True

    def _range(self, field: str | None, at: int) -> Range:
        low_included = self.take().text == "["
        low = self._bound()
        self.take(TokenKind.TO)
        high = self._bound()
        high_included = self.take(TokenKind.RANGE_END).text == "]"
        self._boost()
        return Range(field, low, high, low_included, high_included, at)

    def _bound(self) -> str | None:
        token = self._peek()
        match token.kind:
            case TokenKind.RANGE_QUOTED:
                self.take()
                return self._unescaped(token, token.text[1:-1])
            case TokenKind.BOUND | TokenKind.TO:
                self.take()
                return None if token.text == "*" else self._unescaped(token)
            case _:
                raise self._unexpected("a bound was expected, as in [a TO b] or [* TO b]")

    def _unescaped(self, token: QueryToken, text: str | None = None) -> str:
        try:
            return unescape(token.text if text is None else text)
        except ValueError as error:
            raise syntax_error(self._query, token.position, str(error)) from None

    def _unexpected(self, reason: str) -> Exception:
        token = self._peek()
        instead = "the query ends here" if token.kind is TokenKind.END else f"here is {token.text[:20]!r}"
        return syntax_error(self._query, token.position, f"{reason}, and {instead}")


def _number(slop: QueryToken | None) -> float | None:
    """Return the number after `~`; None if it is missing, or malformed so that Lucene ignores it."""
    match = None if slop is None else _NUMBER.fullmatch(slop.text[1:])
    return None if match is None else min(float(match[1]), _LARGEST_FLOAT)
