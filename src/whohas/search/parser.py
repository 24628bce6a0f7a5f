r"""A query's text to its tree: Lucene's classic query syntax, and `@path(…)` for the elements of a list.

Source of the rules: the grammar of Lucene 8.11 (`QueryParser.jj`, `QueryParserBase.java`) with the operator OR and
split at blanks, which is how Elasticsearch 5 runs a query string::

    query    clause (["AND" | "OR"] clause)*
    clause   ["+" | "-" | "NOT"] [word ":"] (leaf | "(" query ")" ["^" number]) | "@" path "(" query ")"

Each clause is required, prohibited or optional; AND makes its two neighbours required, which is not what SQL's AND
does: `a OR b AND c` needs b and c.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from whohas.search.ast import Clause, Fuzzy, Group, Leaf, Nested, Node, Occur, Phrase, Range, Regexp, Term, Wildcard
from whohas.search.lexer import Kind, Token, broken, tokens

MAX_DEPTH: Final = 100
"""Groups in groups; more is no query that a person or a program means."""

_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[fFdD]?")
_LARGEST_FLOAT = 3.4028235e38
_LARGEST_INT = 2**31 - 1
_MOST_MOVES = 1_000_000
_PATH = re.compile(r"@[A-Za-z][A-Za-z0-9_.]*")
_WORDS = frozenset({Kind.TERM, Kind.STAR, Kind.PREFIX, Kind.WILDCARD, Kind.REGEXP, Kind.BARE_OPERATOR})
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def parse(query: str, step: Callable[[], None] = lambda: None) -> Node:
    """Reads a query.

    Args:
        step: called for each token.

    Raises:
        InvalidArguments: Lucene's grammar has no such query; the message says where it breaks and why.
    """
    parser = _Parser(query, step)
    node = parser.query(None, 0)
    parser.take(Kind.END)
    return node


def unescape(text: str) -> str:
    r"""A text without its escapes: `\x` is x, `\u0041` is A.

    Raises:
        ValueError: four hexadecimal digits must follow `\u`; or it ends with a backslash.
    """
    if "\\" not in text:
        return text
    parts: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "\\":
            parts.append(text[at])
            at += 1
            continue
        if at + 1 == len(text):
            raise ValueError("a \\ must stand before the character that it escapes")
        if text[at + 1] == "u":
            digits = text[at + 2 : at + 6]
            if not re.fullmatch(r"[0-9a-fA-F]{4}", digits):
                raise ValueError("four hexadecimal digits must follow \\u")
            parts.append(chr(int(digits, 16)))
            at += 6
        else:
            parts.append(text[at + 1])
            at += 2
    joined = "".join(parts)
    # two escapes make one character beyond the first 65,536, as in Java; half of one is no character
    joined = _SURROGATES.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), joined)
    return re.sub("[\ud800-\udfff]", "\ufffd", joined)


class _Parser:
    def __init__(self, query: str, step: Callable[[], None]) -> None:
        self._query = query
        self._tokens = tokens(query, step)
        self._next = 0

    def query(self, field: str | None, depth: int) -> Node:
        begin = self._peek().at
        if depth > MAX_DEPTH:
            raise broken(self._query, begin, f"groups are nested more than {MAX_DEPTH} deep")
        clauses: list[Clause] = []
        while True:
            conjunct = False
            if clauses and self._peek().kind in (Kind.AND, Kind.OR):
                conjunct = self.take().kind is Kind.AND
            occur = self._modifier()
            clauses.append(Clause(occur, self._clause(field, depth), conjunct))
            if self._peek().kind in (Kind.END, Kind.RIGHT):
                break
        if len(clauses) == 1 and clauses[0].occur is Occur.SHOULD:
            return clauses[0].node
        return Group(tuple(clauses), begin)

    def take(self, kind: Kind | None = None) -> Token:
        token = self._peek()
        if kind is not None and token.kind is not kind:
            raise self._unexpected(f"{kind} was expected")
        self._next += 1
        return token

    def _peek(self, ahead: int = 0) -> Token:
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def _modifier(self) -> Occur:
        match self._peek().kind:
            case Kind.PLUS:
                self.take()
                return Occur.MUST
            case Kind.MINUS | Kind.NOT:
                self.take()
                return Occur.MUST_NOT
            case _:
                return Occur.SHOULD

    def _clause(self, field: str | None, depth: int) -> Node:
        first = self._peek()
        if first.kind in (Kind.TERM, Kind.STAR) and self._peek(1).kind is Kind.COLON:
            self.take()
            self.take()
            field = None if first.kind is Kind.STAR else self._plain(first)
        elif first.kind is Kind.TERM and _PATH.fullmatch(first.image) and self._peek(1).kind is Kind.LEFT:
            return self._nested(first, depth)
        if self._peek().kind is Kind.LEFT:
            self.take()
            node = self.query(field, depth + 1)
            self.take(Kind.RIGHT)
            self._boost()
            return node
        return self._leaf(field, first.at)

    def _nested(self, path: Token, depth: int) -> Node:
        self.take()
        if self._peek().at != path.at + len(path.image):
            raise self._unexpected(f"no blank may stand between {path.image} and its bracket")
        self.take(Kind.LEFT)
        # inside, names are those of the element: a field given outside does not reach in
        node = self.query(None, depth + 1)
        self.take(Kind.RIGHT)
        self._boost()
        return Nested(path.image[1:], node, path.at)

    def _leaf(self, field: str | None, at: int) -> Leaf:
        token = self._peek()
        match token.kind:
            case Kind.RANGE_START:
                return self._range(field, at)
            case Kind.QUOTED:
                self.take()
                slop = self._suffix()
                text = self._plain(token, token.image[1:-1])
                return Phrase(field, text, self._slop(slop), at)
            case kind if kind in _WORDS:
                self.take()
                slop = self._suffix()
            case _:
                raise self._unexpected("a word, a phrase, a range or a group was expected")
        text = self._plain(token)
        match token.kind:
            case Kind.STAR | Kind.PREFIX | Kind.WILDCARD:
                return Wildcard(field, token.image, at)
            case Kind.REGEXP:
                return Regexp(field, token.image[1:-1], at)
            case Kind.BARE_OPERATOR:
                text = text[:1]
            case _:
                pass
        if slop is None:
            return Term(field, text, at)
        edits = _number(slop)
        if edits is not None and edits < 0:
            raise broken(self._query, slop.at, "the number of edits must not be negative")
        if edits is not None and edits >= 1 and edits != min(int(edits), _LARGEST_INT):
            raise broken(self._query, slop.at, "the number of edits must be whole")
        return Fuzzy(field, text, edits, at)

    def _slop(self, slop: Token | None) -> int:
        moves = _number(slop) or 0.0
        if slop is not None and moves <= -1:
            raise broken(self._query, slop.at, "the number of moves must not be negative")
        return int(min(max(moves, 0.0), _MOST_MOVES))

    def _suffix(self) -> Token | None:
        """A boost, which changes nothing in an export, and a slop, in either order; the slop if there is one."""
        boosted = self._boost()
        slop = self.take() if self._peek().kind is Kind.FUZZY else None
        if slop is not None and not boosted:
            self._boost()
        return slop

    def _boost(self) -> bool:
        if self._peek().kind is not Kind.CARET:
            return False
        self.take()
        number = self.take(Kind.NUMBER)
        if float(number.image) > _LARGEST_FLOAT:
            raise broken(self._query, number.at, "the boost is too large")
        return True

    def _range(self, field: str | None, at: int) -> Range:
        low_included = self.take().image == "["
        low = self._bound()
        self.take(Kind.TO)
        high = self._bound()
        high_included = self.take(Kind.RANGE_END).image == "]"
        self._boost()
        return Range(field, low, high, low_included, high_included, at)

    def _bound(self) -> str | None:
        token = self._peek()
        match token.kind:
            case Kind.RANGE_QUOTED:
                self.take()
                return self._plain(token, token.image[1:-1])
            case Kind.BOUND | Kind.TO:
                self.take()
                return None if token.image == "*" else self._plain(token)
            case _:
                raise self._unexpected("a bound was expected, as in [a TO b]; * leaves a side open")

    def _plain(self, token: Token, text: str | None = None) -> str:
        try:
            return unescape(token.image if text is None else text)
        except ValueError as error:
            raise broken(self._query, token.at, str(error)) from None

    def _unexpected(self, reason: str) -> Exception:
        token = self._peek()
        found = "the query ends here" if token.kind is Kind.END else f"here is {token.image[:20]!r}"
        return broken(self._query, token.at, f"{reason}, and {found}")


def _number(slop: Token | None) -> float | None:
    """The number behind `~`; None where there is none, or something that Lucene passes over as such."""
    found = None if slop is None else _NUMBER.fullmatch(slop.image[1:])
    return None if found is None else min(float(found[1]), _LARGEST_FLOAT)
