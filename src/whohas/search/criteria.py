"""What a query asks of a row, before it is SQL: criteria that can be compared, merged and counted.

Equal criteria of a group count once. Objects of one list that one of several criteria must meet are looked through
once: `@a(x) OR @a(y)` is `@a(x OR y)`. `@a(x) AND @a(y)` is not `@a(x AND y)`, since two objects may meet it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeAlias

from sqlglot import exp

from whohas.errors import InvalidArguments
from whohas.search.lexer import broken
from whohas.search.limits import Limits


class Form(StrEnum):
    """What a column holds: words of a text, one value, several values, or a whole number."""

    WORDS = "words"
    VALUE = "value"
    VALUES = "values"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Place:
    """A column that a criterion looks at.

    Attributes:
        table: the view of the index that has the column.
        alias: of the view's row in the statement.
        folded: whether its values are compared in lower case.
    """

    table: str
    alias: str
    column: str
    form: Form
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One of the words or values is this one."""

    place: Place
    text: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Part:
    """The words, with a blank before and behind each, have this text in them."""

    place: Place
    text: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One of the words or values matches an RE2 pattern as a whole.

    Attributes:
        near: of a fuzzy word, the word and how many edits it allows.
        expression: whether the user wrote the pattern, as a regular expression.
    """

    place: Place
    pattern: str
    at: int = field(default=0, compare=False)
    near: tuple[str, int] | None = None
    expression: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """One of the words or values lies between two bounds in the order of code points; at least one bound is there."""

    place: Place
    low: str | None
    high: str | None
    low_included: bool
    high_included: bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Other:
    """Any other condition on a row."""

    sql: exp.Expr
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class List:
    """A list of objects that a row has.

    Attributes:
        table: its view.
        shared: whether objects stand in a view of their own, each once.
        outer: alias of the row that has the list.
        alias: of an object's row.
        inner: whether the row that has the list is itself an object of one.
    """

    table: str
    shared: bool
    outer: str
    alias: str
    inner: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """One object of a list meets a criterion."""

    list: List
    criterion: Criterion
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of several criteria."""

    parts: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of several criteria."""

    parts: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not the criterion; what is not known does not meet it."""

    part: Criterion


Leaf: TypeAlias = Member | Part | Pattern | Span | Other
Criterion: TypeAlias = Leaf | Reach | AnyOf | AllOf | Not

EVERY = Other(exp.true())
NOTHING = Other(exp.false())


def any_of(parts: Iterable[Criterion]) -> Criterion:
    """The criterion that at least one of several is met; there must be one."""
    flat: dict[Criterion, None] = {}
    lists: dict[List, list[Reach]] = {}
    for part in parts:
        for one in part.parts if isinstance(part, AnyOf) else (part,):
            if isinstance(one, Reach):
                lists.setdefault(one.list, []).append(one)
            else:
                flat.setdefault(one)
    for same in lists.values():
        first = same[0]
        flat[first if len(same) == 1 else replace(first, criterion=any_of(one.criterion for one in same))] = None
    return next(iter(flat)) if len(flat) == 1 else AnyOf(tuple(flat))


def all_of(parts: Iterable[Criterion]) -> Criterion:
    """The criterion that several are met; there must be one."""
    flat = dict.fromkeys(one for part in parts for one in (part.parts if isinstance(part, AllOf) else (part,)))
    return next(iter(flat)) if len(flat) == 1 else AllOf(tuple(flat))


_GROUPS: Final = 4
"""How many times the clauses of a group all groups of a search may have."""


class Count:
    """Counts the clauses of a search, over all its queries in one index."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._clauses = 0
        self._patterns = 0

    def add(self, query: str, criterion: Criterion) -> None:
        """Adds those of a criterion.

        Args:
            query: the text that it was read from, for messages.

        Raises:
            InvalidArguments: a limit is passed; the message points at the first clause beyond it.
        """
        match criterion:
            case AnyOf(parts) | AllOf(parts):
                clauses = _clauses(parts, merged=isinstance(criterion, AnyOf))
                if len(clauses) > (most := self._limits.clauses):
                    raise self._refused(query, clauses[most], f"a group may have {most:,} clauses")
                for clause in clauses:
                    if len(clause) > 1:
                        self._leaf(query, clause)
                    else:
                        self.add(query, clause[0])
            case Not(part):
                self.add(query, part)
            case Reach():
                self.add(query, criterion.criterion)
            case _:
                self._leaf(query, (criterion,))

    def _leaf(self, query: str, clause: Sequence[Criterion]) -> None:
        """Counts one leaf, or all values that a field may have."""
        limits = self._limits
        self._clauses += 1
        if self._clauses > (most := _GROUPS * limits.clauses):
            raise self._refused(query, clause, f"a search may have {most:,} clauses in all its groups")
        if len(clause) > limits.values:
            at = _place(clause[limits.values])
            raise broken(
                query, at, f"a list of values may have {limits.values:,} (WHOHAS_SEARCH_VALUES), and here is one more"
            )
        leaf = clause[0]
        if isinstance(leaf, Pattern) and (leaf.near or leaf.expression):
            self._patterns += 1
            if self._patterns > limits.patterns:
                raise broken(
                    query,
                    leaf.at,
                    f"a search may have {limits.patterns:,} fuzzy words and regular expressions "
                    "(WHOHAS_SEARCH_PATTERNS), and here is one more",
                )

    @staticmethod
    def _refused(query: str, clause: Sequence[Criterion], rule: str) -> InvalidArguments:
        return broken(
            query,
            _place(clause[0]),
            f"{rule} (WHOHAS_SEARCH_CLAUSES), and here is one more; the values of one field are one clause, as in "
            "name:(a OR b OR c)",
        )


def _clauses(parts: Sequence[Criterion], merged: bool) -> list[Sequence[Criterion]]:
    """The clauses of a group; where one is enough, all values that a field may have are one."""
    values: dict[Place, list[Criterion]] = {}
    clauses: list[Sequence[Criterion]] = []
    for part in parts:
        if not (merged and isinstance(part, Member)):
            clauses.append((part,))
        elif part.place in values:
            values[part.place].append(part)
        else:
            clauses.append(values.setdefault(part.place, [part]))
    return clauses


def _place(criterion: Criterion) -> int:
    """Where a criterion begins in the query."""
    while isinstance(criterion, AnyOf | AllOf | Not):
        criterion = criterion.part if isinstance(criterion, Not) else criterion.parts[0]
    return criterion.at
