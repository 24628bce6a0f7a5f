"""Translates the API's standard collection parameters `filters` and `sorters` into SQL conditions and orderings.

Example: `completionStatus eq "SUCCESS" and id in ("a", "b")` becomes `state IN (:s) AND id IN (:a, :b)`.

The grammar (of the API's standard collection parameters; keywords in either case)::

    filter  = both { "or" both }                      `not` binds tighter than `and`, and that tighter than `or`
    both    = operand { "and" operand }
    operand = "not" operand | "(" filter ")" | test
    test    = name "eq" text | name "ne" text | name "in" "(" text { "," text } ")" | name "isnull" | name "pr"
    text    = '"' characters '"'                      \\" is a quote in it, \\\\ a backslash

This module knows the language but no fields: callers pass the fields that a collection has; see `listing.FIELDS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import sqlalchemy as sa

from whohas.errors import InvalidArguments

MAX_FILTER_CHARACTERS = 8_000
"""The largest number of characters of a filter."""
MAX_NESTING = 20
"""The largest number of nested parentheses and `not`."""
MAX_VALUES = 500
"""The largest number of quoted texts in one filter: each becomes a bound parameter of the statement."""

ConditionFactory = Callable[[list[str]], sa.ColumnElement[bool]]
"""Returns the condition that a field equals one of some texts. Raises ValueError, with a message that completes the
sentence `filters is wrong at character 5: …`, where a text is no possible value of the field."""


@dataclass(frozen=True, slots=True)
class FilterField:
    """A field that filters can name.

    Attributes:
        equals: makes the condition for `eq`, `ne` and `in`.
        is_null: the condition for `isnull`, negated for `pr`; None where the field is never null.
    """

    equals: ConditionFactory
    is_null: sa.ColumnElement[bool] | None = None


_TOKEN = re.compile(
    r"""\s*(?: (?P<text>"(?:[^"\\]|\\.)*") | (?P<word>[A-Za-z_][\w.]*) | (?P<sign>[(),]) )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _FilterToken:
    kind: str
    text: str
    at: int


def parse_filter(text: str, fields: Mapping[str, FilterField]) -> sa.ColumnElement[bool]:
    """Parse a filter, and return it as an SQL condition with its texts as bound parameters.

    Args:
        text: the filter, not empty.
        fields: the fields of the collection, by name.

    Raises:
        InvalidArguments: the filter is malformed or names an unknown field, and the message says at which character;
            or it is too long.
    """
    if len(text) > MAX_FILTER_CHARACTERS:
        raise InvalidArguments(
            f"filters has {len(text):,} characters; {MAX_FILTER_CHARACTERS:,} is the most. Send several requests with "
            "shorter ones."
        )
    return _FilterParser(text, fields).parse()


class _FilterParser:
    """A recursive-descent parser of one filter; one method for each rule of the grammar above."""

    def __init__(self, text: str, fields: Mapping[str, FilterField]) -> None:
        self._text = text
        self._fields = fields
        self._tokens = self._split()
        self._next = 0
        self._values = 0

    def _split(self) -> list[_FilterToken]:
        """Return the tokens of the filter, followed by one of the kind `end`."""
        tokens: list[_FilterToken] = []
        position = 0
        end = len(self._text.rstrip())
        while position < end:
            match = _TOKEN.match(self._text, position)
            if match is None:
                rest = self._text[position:]
                start = position + len(rest) - len(rest.lstrip())
                if self._text[start] == '"':
                    self._fail("the text that begins here has no closing quote", start)
                self._fail(f"{self._text[start]!r} has no meaning here; texts stand in double quotes", start)
            kind = match.lastgroup or ""
            tokens.append(_FilterToken(kind, match[kind], match.start(kind)))
            position = match.end()
        tokens.append(_FilterToken("end", "", end))
        return tokens

    def parse(self) -> sa.ColumnElement[bool]:
        if self._peek().kind == "end":
            self._fail('it is empty; write a condition such as completionStatus eq "SUCCESS", or leave filters out', 0)
        parsed = self._disjunction(0)
        if self._peek().kind != "end":
            self._fail_expected("`and`, `or` or the end")
        return parsed

    def _disjunction(self, depth: int) -> sa.ColumnElement[bool]:
        operands = [self._conjunction(depth)]
        while self._accept_keyword("or"):
            operands.append(self._conjunction(depth))
        return sa.or_(*operands) if len(operands) > 1 else operands[0]

    def _conjunction(self, depth: int) -> sa.ColumnElement[bool]:
        operands = [self._operand(depth)]
        while self._accept_keyword("and"):
            operands.append(self._operand(depth))
        return sa.and_(*operands) if len(operands) > 1 else operands[0]

    def _operand(self, depth: int) -> sa.ColumnElement[bool]:
        if depth > MAX_NESTING:
            self._fail(f"it is nested more than {MAX_NESTING} levels deep", self._peek().at)
        if self._accept_keyword("not"):
            return sa.not_(self._operand(depth + 1))
        if self._accept_sign("("):
            parsed = self._disjunction(depth + 1)
            self._expect_sign(")")
            return parsed
        return self._test()

    def _test(self) -> sa.ColumnElement[bool]:
        name = self._expect("word", "a field")
        field = self._fields.get(name.text)
        if field is None:
            self._fail(f"there is no field {name.text[:60]!r}; the fields are {', '.join(self._fields)}", name.at)
        operator = self._expect("word", "an operator (eq, ne, in, isnull, pr)")
        match operator.text.lower():
            case "eq":
                return self._equals(field, [self._literal()])
            case "ne":
                return sa.not_(self._equals(field, [self._literal()]))
            case "in":
                self._expect_sign("(")
                texts = [self._literal()]
                while self._accept_sign(","):
                    texts.append(self._literal())
                self._expect_sign(")")
                return self._equals(field, texts)
            case "isnull" | "pr" if field.is_null is not None:
                return field.is_null if operator.text.lower() == "isnull" else sa.not_(field.is_null)
            case "isnull" | "pr":
                self._fail(f"{name.text} is never null; leave this condition out", operator.at)
            case _:
                self._fail(f"there is no operator {operator.text[:60]!r} (eq, ne, in, isnull, pr)", operator.at)

    def _equals(self, field: FilterField, texts: list[_FilterToken]) -> sa.ColumnElement[bool]:
        self._values += len(texts)
        if self._values > MAX_VALUES:
            self._fail(f"it has more than {MAX_VALUES} texts; send several requests with fewer", texts[-1].at)
        try:
            return field.equals([re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL) for token in texts])
        except ValueError as error:
            self._fail(str(error), texts[0].at)

    def _literal(self) -> _FilterToken:
        token = self._expect("text", "a text in double quotes")
        if "\0" in token.text or any("\ud800" <= letter <= "\udfff" for letter in token.text):
            self._fail("a text has a NUL or half a surrogate pair; send whole characters", token.at)
        return token

    def _peek(self) -> _FilterToken:
        return self._tokens[self._next]

    def _accept_keyword(self, keyword: str) -> bool:
        """Consume the next token if it is this keyword; return whether it is."""
        matches = self._peek().kind == "word" and self._peek().text.lower() == keyword
        self._next += matches
        return matches

    def _accept_sign(self, sign: str) -> bool:
        """Consume the next token if it is this sign; return whether it is."""
        matches = self._peek().kind == "sign" and self._peek().text == sign
        self._next += matches
        return matches

    def _expect_sign(self, sign: str) -> None:
        if not self._accept_sign(sign):
            self._fail_expected(f"`{sign}`")

    def _expect(self, kind: str, what: str) -> _FilterToken:
        token = self._peek()
        if token.kind != kind:
            self._fail_expected(what)
        self._next += 1
        return token

    def _fail_expected(self, what: str) -> NoReturn:
        token = self._peek()
        found = "it ends" if token.kind == "end" else f"there is {token.text[:60]}"
        self._fail(f"{what} must come here, and {found}", token.at)

    def _fail(self, why: str, at: int) -> NoReturn:
        raise InvalidArguments(f"filters is wrong at character {at + 1}: {why}.")


def parse_sorters(text: str, fields: Mapping[str, sa.ColumnElement[Any]]) -> list[sa.ColumnElement[Any]]:
    """Parse sorters, and return them as the expressions of an ORDER BY, the most significant first.

    Args:
        text: comma-separated names of fields, each with a `-` before it for descending order, such as `-created,id`.
        fields: the columns by which the collection can be sorted, by name.

    Raises:
        InvalidArguments: a name is unknown, or is given twice.
    """
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    seen: dict[str, sa.ColumnElement[Any]] = {}
    for name in names:
        bare = name.removeprefix("-")
        if bare not in fields:
            raise InvalidArguments(
                f"sorters cannot be {name[:60]!r}. It may be: {', '.join(fields)}; "
                "`-` before a name sorts in descending order."
            )
        if bare in seen:
            raise InvalidArguments(f"sorters names {bare!r} twice. Name it once.")
        seen[bare] = fields[bare].desc() if name.startswith("-") else fields[bare].asc()
    return list(seen.values())
