"""Criteria: a query's conditions on index columns, between its syntax tree and SQL.

Criteria can be compared, merged and counted. `predicate` makes them from the syntax tree; `sql` compiles them to
SQL. Equal criteria of a group are merged into one. ORed conditions on the objects of one list are merged, so that the
list is scanned once: `@a(x) OR @a(y)` becomes `@a(x OR y)`. `@a(x) AND @a(y)` does not become `@a(x AND y)`, because
two different objects may match it.

In all criteria, `at` is the position in the query, counted from 0, for messages; it does not count in comparisons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeAlias

from sqlglot import exp

from whohas.errors import InvalidArguments
from whohas.search.lexer import syntax_error
from whohas.search.limits import SearchLimits


class ColumnForm(StrEnum):
    """The form of a column's content.

    WORDS is the tokens of a text (`" one two "`), VALUE one text, VALUES several texts joined by `VALUE_SEPARATOR`, and
    NUMBER a whole number.
    """

    WORDS = "words"
    VALUE = "value"
    VALUES = "values"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class FieldRef:
    """The column that a criterion tests.

    Attributes:
        table: the view of the index that has the column.
        alias: the view's alias in the statement.
        column: the column's name.
        form: the form of its content.
        case_insensitive: whether its values are converted to lower case before they are compared.
    """

    table: str
    alias: str
    column: str
    form: ColumnForm
    case_insensitive: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """True where one of the column's words or values equals `text`.

    `text` has the form of the column: a token, a whole value, or the digits of a number. It is in lower case if the
    column is case-insensitive.
    """

    column: FieldRef
    text: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Substring:
    """True where the column of words contains `text` as a substring.

    Each word has a blank on both sides. So `" ab "` finds the word ab, `" ab"` finds words that begin with ab, and
    `" ab cd "` finds a phrase.
    """

    column: FieldRef
    text: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Pattern:
    """True where one of the column's words or values matches an RE2 pattern from its start to its end.

    Attributes:
        pattern: the RE2 pattern.
        fuzzy: for a fuzzy word, the word and the number of edits that it allows; otherwise None.
        is_regexp: whether the pattern was translated from a regular expression that the user wrote.
    """

    column: FieldRef
    pattern: str
    at: int = field(default=0, compare=False)
    fuzzy: tuple[str, int] | None = None
    is_regexp: bool = False


@dataclass(frozen=True, slots=True)
class ValueRange:
    """True where one of the column's words or values lies in a range, in the order of code points.

    At least one of `low` and `high` is not None.
    """

    column: FieldRef
    low: str | None
    high: str | None
    low_included: bool
    high_included: bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class RawCondition:
    """True where any other SQL condition on the row is true."""

    sql: exp.Expr
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class NestedList:
    """A nested list of objects, such as an identity's accounts.

    Attributes:
        table: the view with one row for each object of each document.
        shared: whether `table` has only pairs of document and item, and the objects are in `<table>.items`, each once.
        outer_alias: the alias of the row that has the list.
        alias: the alias of an object's row.
        is_nested: whether the row that has the list is itself an object of another list.
    """

    table: str
    shared: bool
    outer_alias: str
    alias: str
    is_nested: bool


@dataclass(frozen=True, slots=True)
class NestedMatch:
    """True where at least one object of a list meets a criterion."""

    list: NestedList
    criterion: Criterion
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where at least one of several criteria is met."""

    parts: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where all of several criteria are met."""

    parts: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where a criterion is not met. A null column does not meet a criterion, so `Not` is true there."""

    part: Criterion


Leaf: TypeAlias = Member | Substring | Pattern | ValueRange | RawCondition
Criterion: TypeAlias = Leaf | NestedMatch | AnyOf | AllOf | Not

MATCH_ALL = RawCondition(exp.true())
MATCH_NONE = RawCondition(exp.false())


def any_of(parts: Iterable[Criterion]) -> Criterion:
    """Return the criterion that at least one of `parts` is met, flattened and without duplicates.

    Args:
        parts: at least one criterion. Those on the objects of one list are merged into one `NestedMatch`.
    """
    flat: dict[Criterion, None] = {}
    lists: dict[NestedList, list[NestedMatch]] = {}
    for part in parts:
        for criterion in part.parts if isinstance(part, AnyOf) else (part,):
            if isinstance(criterion, NestedMatch):
                lists.setdefault(criterion.list, []).append(criterion)
            else:
                flat.setdefault(criterion)
    for reaches in lists.values():
        first = reaches[0]
        flat[
            first
            if len(reaches) == 1
            else replace(first, criterion=any_of(criterion.criterion for criterion in reaches))
        ] = None
    return next(iter(flat)) if len(flat) == 1 else AnyOf(tuple(flat))


def all_of(parts: Iterable[Criterion]) -> Criterion:
    """Return the criterion that all of `parts` are met, flattened and without duplicates.

    Args:
        parts: at least one criterion.
    """
    flat = dict.fromkeys(
        criterion for part in parts for criterion in (part.parts if isinstance(part, AllOf) else (part,))
    )
    return next(iter(flat)) if len(flat) == 1 else AllOf(tuple(flat))


_GROUPS: Final = 4
"""All groups of a search together may have this many times the limit of clauses for one group."""


class ClauseCount:
    """Counts the clauses of all queries of a search in one index, and enforces the limits."""

    def __init__(self, limits: SearchLimits) -> None:
        self._limits = limits
        self._clauses = 0
        self._patterns = 0

    def add(self, query: str, criterion: Criterion) -> None:
        """Count the clauses of a criterion.

        Args:
            query: the text that the criterion was parsed from, for messages.
            criterion: the criterion.

        Raises:
            InvalidArguments: a limit is exceeded; the message points at the first clause beyond it.
        """
        match criterion:
            case AnyOf(parts) | AllOf(parts):
                clauses = _clauses(parts, merged=isinstance(criterion, AnyOf))
                if len(clauses) > (limit := self._limits.clauses):
                    raise self._limit_exceeded(query, clauses[limit], f"a group may have {limit:,} clauses")
                for clause in clauses:
                    if len(clause) > 1:
                        self._count_clause(query, clause)
                    else:
                        self.add(query, clause[0])
            case Not(part):
                self.add(query, part)
            case NestedMatch():
                self.add(query, criterion.criterion)
            case _:
                self._count_clause(query, (criterion,))

    def _count_clause(self, query: str, clause: Sequence[Criterion]) -> None:
        """Count one clause: a leaf, or all ORed values of one field.

        Raises:
            InvalidArguments: a limit is exceeded.
        """
        limits = self._limits
        self._clauses += 1
        if self._clauses > (limit := _GROUPS * limits.clauses):
            raise self._limit_exceeded(query, clause, f"a search may have {limit:,} clauses in all its groups")
        if len(clause) > limits.values:
            position = _position(clause[limits.values])
            raise syntax_error(
                query,
                position,
                f"a list of values may have {limits.values:,} (WHOHAS_SEARCH_VALUES), and here is one more",
            )
        leaf = clause[0]
        if isinstance(leaf, Pattern) and (leaf.fuzzy or leaf.is_regexp):
            self._patterns += 1
            if self._patterns > limits.patterns:
                raise syntax_error(
                    query,
                    leaf.at,
                    f"a search may have {limits.patterns:,} fuzzy words and regular expressions "
                    "(WHOHAS_SEARCH_PATTERNS), and here is one more",
                )

    @staticmethod
    def _limit_exceeded(query: str, clause: Sequence[Criterion], rule: str) -> InvalidArguments:
        return syntax_error(
            query,
            _position(clause[0]),
            f"{rule} (WHOHAS_SEARCH_CLAUSES), and here is one more; the values of one field are one clause, as in "
            "name:(a OR b OR c)",
        )


def _clauses(parts: Sequence[Criterion], merged: bool) -> list[Sequence[Criterion]]:
    """Return the clauses of a group.

    Args:
        parts: the criteria of the group.
        merged: whether they are joined by OR; then all values of one field form one clause.
    """
    values: dict[FieldRef, list[Criterion]] = {}
    clauses: list[Sequence[Criterion]] = []
    for part in parts:
        if not (merged and isinstance(part, Member)):
            clauses.append((part,))
        elif part.column in values:
            values[part.column].append(part)
        else:
            clauses.append(values.setdefault(part.column, [part]))
    return clauses


def _position(criterion: Criterion) -> int:
    """Return the position of a criterion's first leaf in the query, counted from 0."""
    while isinstance(criterion, AnyOf | AllOf | Not):
        criterion = criterion.part if isinstance(criterion, Not) else criterion.parts[0]
    return criterion.at
