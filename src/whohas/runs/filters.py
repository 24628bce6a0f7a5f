"""Filters and sorters of collections, as the published API has them: `completionStatus eq "SUCCESS" and id in ("a")`.

The grammar (of the API's standard collection parameters; keywords in either case)::

    filter  = all { "or" all }                        and binds tighter than or, not tighter than and
    all     = one { "and" one }
    one     = "not" one | "(" filter ")" | test
    test    = name "eq" text | name "ne" text | name "in" "(" text { "," text } ")" | name "isnull" | name "pr"
    text    = '"' characters '"'                      \\" is a quote in it, \\\\ a backslash

This module knows the language, not the fields: the caller says which names with which operators there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import sqlalchemy as sa

from whohas.errors import InvalidArguments

LONGEST = 8_000
"""Characters of a filter."""
DEEPEST = 20
"""Levels of parentheses and nots."""
MOST_VALUES = 500
"""Texts in one filter: each becomes a parameter of a statement."""

Test = Callable[[list[str]], sa.ColumnElement[bool]]
"""Makes a condition of the texts of a test; raises ValueError, with what is wrong, for a text that cannot be."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field that can be asked for.

    Attributes:
        equals: whether it is one of some texts.
        missing: whether it is null; None where `isnull` makes no sense of it.
    """

    equals: Test
    missing: sa.ColumnElement[bool] | None = None


_TOKEN = re.compile(
    r"""\s*(?: (?P<text>"(?:[^"\\]|\\.)*") | (?P<word>[A-Za-z_][\w.]*) | (?P<sign>[(),]) )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def condition(text: str, fields: Mapping[str, Field]) -> sa.ColumnElement[bool]:
    """A filter as a condition of a statement, its texts bound.

    Raises:
        InvalidArguments: it is no filter; the message says at which character.
    """
    if len(text) > LONGEST:
        raise InvalidArguments(f"filters has {len(text):,} characters; {LONGEST:,} is the most.")
    return _Reading(text, fields).all()


class _Reading:
    """A filter being read, from left to right."""

    def __init__(self, text: str, fields: Mapping[str, Field]) -> None:
        self._text = text
        self._fields = fields
        self._tokens = self._split()
        self._next = 0
        self._values = 0

    def _split(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        end = len(self._text.rstrip())
        while at < end:
            match = _TOKEN.match(self._text, at)
            if match is None:
                start = at + len(self._text[at:]) - len(self._text[at:].lstrip())
                if self._text[start] == '"':
                    self._wrong("the text that begins here has no closing quote", start)
                self._wrong(f"{self._text[start]!r} has no meaning here; texts stand in double quotes", start)
            kind = match.lastgroup or ""
            tokens.append(_Token(kind, match[kind], match.start(kind)))
            at = match.end()
        tokens.append(_Token("end", "", end))
        return tokens

    def all(self) -> sa.ColumnElement[bool]:
        if self._peek().kind == "end":
            self._wrong("it is empty", 0)
        found = self._either(0)
        if self._peek().kind != "end":
            self._expected("`and`, `or` or the end")
        return found

    def _either(self, depth: int) -> sa.ColumnElement[bool]:
        found = [self._both(depth)]
        while self._took("or"):
            found.append(self._both(depth))
        return sa.or_(*found) if len(found) > 1 else found[0]

    def _both(self, depth: int) -> sa.ColumnElement[bool]:
        found = [self._one(depth)]
        while self._took("and"):
            found.append(self._one(depth))
        return sa.and_(*found) if len(found) > 1 else found[0]

    def _one(self, depth: int) -> sa.ColumnElement[bool]:
        if depth > DEEPEST:
            self._wrong(f"it is nested more than {DEEPEST} levels deep", self._peek().at)
        if self._took("not"):
            return sa.not_(self._one(depth + 1))
        if self._sign("("):
            found = self._either(depth + 1)
            self._need(")")
            return found
        return self._test()

    def _test(self) -> sa.ColumnElement[bool]:
        name = self._take("word", "a field")
        field = self._fields.get(name.text)
        if field is None:
            self._wrong(f"there is no field {name.text[:60]!r}; the fields are {', '.join(self._fields)}", name.at)
        operator = self._take("word", "an operator (eq, ne, in, isnull, pr)")
        match operator.text.lower():
            case "eq":
                return self._equals(field, [self._literal()])
            case "ne":
                return sa.not_(self._equals(field, [self._literal()]))
            case "in":
                self._need("(")
                texts = [self._literal()]
                while self._sign(","):
                    texts.append(self._literal())
                self._need(")")
                return self._equals(field, texts)
            case "isnull" | "pr" if field.missing is not None:
                return field.missing if operator.text.lower() == "isnull" else sa.not_(field.missing)
            case "isnull" | "pr":
                self._wrong(f"{name.text} is never null", operator.at)
            case _:
                self._wrong(f"there is no operator {operator.text[:60]!r} (eq, ne, in, isnull, pr)", operator.at)

    def _equals(self, field: Field, texts: list[_Token]) -> sa.ColumnElement[bool]:
        self._values += len(texts)
        if self._values > MOST_VALUES:
            self._wrong(f"it has more than {MOST_VALUES} texts", texts[-1].at)
        try:
            return field.equals([re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL) for token in texts])
        except ValueError as error:
            self._wrong(str(error), texts[0].at)

    def _literal(self) -> _Token:
        token = self._take("text", "a text in double quotes")
        if "\0" in token.text or any("\ud800" <= letter <= "\udfff" for letter in token.text):
            self._wrong("a text has a NUL or half a character", token.at)
        return token

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _took(self, keyword: str) -> bool:
        found = self._peek().kind == "word" and self._peek().text.lower() == keyword
        self._next += found
        return found

    def _sign(self, sign: str) -> bool:
        found = self._peek().kind == "sign" and self._peek().text == sign
        self._next += found
        return found

    def _need(self, sign: str) -> None:
        if not self._sign(sign):
            self._expected(f"`{sign}`")

    def _take(self, kind: str, what: str) -> _Token:
        token = self._peek()
        if token.kind != kind:
            self._expected(what)
        self._next += 1
        return token

    def _expected(self, what: str) -> NoReturn:
        token = self._peek()
        found = "it ends" if token.kind == "end" else f"there is {token.text[:60]}"
        self._wrong(f"{what} must come here, and {found}", token.at)

    def _wrong(self, why: str, at: int) -> NoReturn:
        raise InvalidArguments(f"filters is wrong at character {at + 1}: {why}.")


def ordering(text: str, fields: Mapping[str, sa.ColumnElement[Any]]) -> list[sa.ColumnElement[Any]]:
    """Sorters such as `-created`, the first weighing most.

    Raises:
        InvalidArguments: a name that is not among the fields, or twice.
    """
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    seen: dict[str, sa.ColumnElement[Any]] = {}
    for name in names:
        bare = name.removeprefix("-")
        if bare not in fields:
            raise InvalidArguments(f"sorters cannot be {name[:60]!r}. It may be: {', '.join(fields)}; `-` turns one.")
        if bare in seen:
            raise InvalidArguments(f"sorters names {bare!r} twice.")
        seen[bare] = fields[bare].desc() if name.startswith("-") else fields[bare].asc()
    return list(seen.values())
