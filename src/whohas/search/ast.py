"""What a query is once it is read.

A leaf tests one field, or every text field where it names none; groups bind clauses as Lucene does: each is required,
optional or prohibited. `text` is what the user wrote without escapes; `at` is the place of its first character in the
query, counted from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias


class Occur(StrEnum):
    """How a clause of a group counts, in Lucene's words and signs."""

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
    """Words in quotation marks: in this order, with at most `slop` moves between them."""

    field: str | None
    text: str
    slop: int = 0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A word with `*` (any characters, or none) and `?` (one); its pattern keeps its escapes."""

    field: str | None
    pattern: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """A word and those that `edits` changes of a letter make of it.

    Attributes:
        edits: as the user wrote it, a number of edits or (below 1) a similarity; None: by the word's length.
    """

    field: str | None
    text: str
    edits: float | None = None
    at: int = 0


@dataclass(frozen=True, slots=True)
class Regexp:
    """A regular expression in Lucene's dialect that a whole word must match."""

    field: str | None
    pattern: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """Values between two bounds; None leaves a side open."""

    field: str | None
    low: str | None
    high: str | None
    low_included: bool = True
    high_included: bool = True
    at: int = 0


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a group.

    Attributes:
        occur: what its own sign or NOT says.
        conjunct: whether AND stands before it, which binds it and the clause before: see `bind`.
    """

    occur: Occur
    node: Node
    conjunct: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Clauses: all required ones and no prohibited one must hold, and where none is required one of the optional.

    Clauses that are all prohibited mean everything else, as in Elasticsearch.
    """

    clauses: tuple[Clause, ...]
    at: int = 0


def bind(clauses: Iterable[Clause], is_empty: Callable[[int], bool] = lambda _: False) -> tuple[Clause, ...]:
    """The clauses as their ANDs make them count: `a OR b AND c` is `a +b +c`.

    Source of the rule: `addClause` in Lucene 8.11's `QueryParserBase`. A clause without any word is left out, but the
    AND before it still binds the clause that is left before it.

    Args:
        is_empty: whether the clause of that number has no word.
    """
    bound: list[Clause] = []
    for number, clause in enumerate(clauses):
        if clause.conjunct and bound and bound[-1].occur is Occur.SHOULD:
            bound[-1] = replace(bound[-1], occur=Occur.MUST)
        if not is_empty(number):
            required = clause.conjunct and clause.occur is Occur.SHOULD
            bound.append(replace(clause, occur=Occur.MUST) if required else clause)
    return tuple(bound)


@dataclass(frozen=True, slots=True)
class Nested:
    """`@accounts(…)`: one and the same element of a list fulfils the query in the brackets."""

    path: str
    node: Node
    at: int = 0


Leaf: TypeAlias = Term | Phrase | Wildcard | Fuzzy | Regexp | Range
Node: TypeAlias = Leaf | Group | Nested
