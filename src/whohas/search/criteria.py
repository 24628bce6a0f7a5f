"""What a query asks of a row, before it is SQL: criteria that can be compared, merged and counted.

Equal criteria of a group count once. Objects of one list that one of several criteria must meet are looked through
once: `@a(x) OR @a(y)` is `@a(x OR y)`. `@a(x) AND @a(y)` is not `@a(x AND y)`, since two objects may meet it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from sqlglot import exp

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
        limits = self._limits
        for clause in _clauses(criterion):
            self._clauses += 1
            at = clause[0].at
            if self._clauses > limits.clauses:
                raise broken(
                    query,
                    at,
                    f"this is clause {self._clauses:,}, and a search may have {limits.clauses:,} "
                    "(WHOHAS_SEARCH_CLAUSES); many values of one field count as one clause: name:(a OR b OR c)",
                )
            if len(clause) > limits.values:
                raise broken(
                    query,
                    clause[limits.values].at,
                    f"this is value {limits.values + 1:,} of one field, and a list may have {limits.values:,} "
                    "(WHOHAS_SEARCH_VALUES)",
                )
            if isinstance(clause[0], Pattern) and (clause[0].near or clause[0].expression):
                self._patterns += 1
                if self._patterns > limits.patterns:
                    raise broken(
                        query,
                        at,
                        f"this is number {self._patterns:,} of the fuzzy words and regular expressions, and a search "
                        f"may have {limits.patterns:,} of them (WHOHAS_SEARCH_PATTERNS)",
                    )


def _clauses(criterion: Criterion) -> Iterator[Sequence[Leaf]]:
    """Each clause of a criterion: one leaf, or all values that a field may have."""
    match criterion:
        case AnyOf(parts):
            values: dict[Place, list[Leaf]] = {}
            for part in parts:
                if isinstance(part, Member):
                    values.setdefault(part.place, []).append(part)
                else:
                    yield from _clauses(part)
            yield from values.values()
        case AllOf(parts):
            for part in parts:
                yield from _clauses(part)
        case Not(part):
            yield from _clauses(part)
        case Reach():
            yield from _clauses(criterion.criterion)
        case _:
            yield (criterion,)
