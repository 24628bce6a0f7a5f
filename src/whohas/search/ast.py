"""The syntax tree of a query.

A leaf tests one field, or every text field if it names no field. A group combines clauses as Lucene does: each is
required, optional or prohibited. In all nodes, `field` is the name of the field as the user wrote it, or None if the
query names none; `text` is the user's text without escapes; `at` is the position of the node's first character in the
query, counted from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias


class Occur(StrEnum):
    """Whether a clause of a group is required, optional or prohibited; the names and signs are Lucene's."""

    MUST = "+"
    SHOULD = ""
    MUST_NOT = "-"


@dataclass(frozen=True, slots=True)
class Term:
    """A word or value outside quotation marks: `london`, `name:o'brien`, `accountCount:>5`."""

    field: str | None
    text: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in quotation marks. They must occur in this order, or be brought into it by at most `slop` moves.

    `text` has the words as one text, without the quotation marks.
    """

    field: str | None
    text: str
    slop: int = 0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A word with `*` (any characters, or none) and `?` (one character). `pattern` still has its escapes."""

    field: str | None
    pattern: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """A word with `~`, which also finds similar words; see `patterns.max_edits`.

    Attributes:
        edits: the number that the user wrote: edits, or (below 1) a similarity; None if it is missing.
    """

    field: str | None
    text: str
    edits: float | None = None
    at: int = 0


@dataclass(frozen=True, slots=True)
class Regexp:
    """A regular expression in Lucene's dialect, which must match a word from its start to its end."""

    field: str | None
    pattern: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """A range of values, such as `[a TO b}`. A bound of None leaves that side open."""

    field: str | None
    low: str | None
    high: str | None
    low_included: bool = True
    high_included: bool = True
    at: int = 0


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of a group, as written.

    Attributes:
        occur: required, optional or prohibited by its own `+`, `-` or NOT, before `apply_and`.
        node: the clause's condition.
        joined_by_and: whether AND is before it; `apply_and` then makes it and the clause before it required.
    """

    occur: Occur
    node: Node
    joined_by_and: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Several clauses: all required ones and no prohibited one must match.

    If no clause is required, at least one optional clause must match. A group with only prohibited clauses matches all
    other documents, as in Elasticsearch.
    """

    clauses: tuple[Clause, ...]
    at: int = 0


def apply_and(clauses: Iterable[Clause], is_empty: Callable[[int], bool] = lambda _: False) -> tuple[Clause, ...]:
    """Return the clauses with the effect of AND applied: `a OR b AND c` becomes `a +b +c`.

    Source of the rule: `addClause` in Lucene 8.11's `QueryParserBase`. A clause without any token is left out, but the
    AND before it still makes the last remaining clause before it required.

    Args:
        clauses: the clauses of a group as written.
        is_empty: returns whether the clause at that index has no token.
    """
    bound: list[Clause] = []
    for number, clause in enumerate(clauses):
        if clause.joined_by_and and bound and bound[-1].occur is Occur.SHOULD:
            bound[-1] = replace(bound[-1], occur=Occur.MUST)
        if not is_empty(number):
            required = clause.joined_by_and and clause.occur is Occur.SHOULD
            bound.append(replace(clause, occur=Occur.MUST) if required else clause)
    return tuple(bound)


@dataclass(frozen=True, slots=True)
class Nested:
    """A query on the objects of a list, such as `@accounts(…)`: a single object must match all of it.

    Attributes:
        path: the list's path, such as `accounts`.
        node: the query in the brackets; its fields are those of the objects.
    """

    path: str
    node: Node
    at: int = 0


Leaf: TypeAlias = Term | Phrase | Wildcard | Fuzzy | Regexp | Range
Node: TypeAlias = Leaf | Group | Nested
