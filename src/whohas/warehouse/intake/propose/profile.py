"""Profiles of columns: how filled and how distinct they are, and what their cells look like."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from whohas.engine.sql import quote
from whohas.warehouse.intake.arrow import pc
from whohas.warehouse.intake.propose.sample import Sample, Setting
from whohas.warehouse.intake.propose.times import Times, times_of
from whohas.warehouse.intake.propose.words import EMPTY, Concept, Named, concept_of

_LOOKED_AT = 20_000
"""Cells of a column whose form is looked at."""

_FREQUENT = 60
"""Distinct values that a profile keeps with their counts."""

_KEPT = 50_000
"""Distinct values that a profile keeps to compare files."""

_SHAPES: Final = {
    "email": re.compile(r"[^@\s,;]+@[^@\s,;]+"),  # a host of an intranet may have no dot
    "dn": re.compile(r"(?i)(cn|ou|uid|dc|o)=[^=]+(,\s*[a-z.0-9]+=.+)*"),
    "integer": re.compile(r"\d{1,18}"),
    "sentence": re.compile(r"(?s).*\S\s+\S.*"),
}

KEYS: Final = (Concept.LOGIN, Concept.EMPLOYEE, Concept.UPN, Concept.EMAIL, Concept.DN, Concept.ID)
"""Concepts of columns that may name a row's account."""

_BESIDE: Final = (Concept.ENTITLEMENT, Concept.SOURCE)

NAMING: Final = (*KEYS, Concept.DISPLAY_NAME, Concept.FIRST_NAME, Concept.LAST_NAME, None)
"""Concepts of columns that may name a row's account where no other does; None for names that are not known."""


@dataclass(frozen=True, slots=True)
class Column:
    """The profile of one column.

    Attributes:
        filled: rows with a value.
        distinct: different values.
        frequent: the most frequent values and their counts; all of them where there are few.
        shapes: share of the looked-at cells that look like a mail address, a DN, an integer or words.
        times: the forms of time that the cells have.
        empties: texts that mean no value.
        separator: what separates several values in a cell.
        several: looked-at cells that have several.
        values: values in lower case, to compare with those of other columns.
    """

    name: str
    named: Named | None
    filled: int
    distinct: int
    frequent: tuple[tuple[str, int], ...] = ()
    shapes: Mapping[str, float] = field(default_factory=dict[str, float])
    times: Times | None = None
    empties: tuple[str, ...] = ()
    separator: str | None = None
    several: int = 0
    values: frozenset[str] = frozenset()

    @property
    def concept(self) -> Concept | None:
        return self.named.concept if self.named is not None else None

    @property
    def words(self) -> tuple[str, ...] | None:
        """All values, the most frequent first, or None where there are more than a status has."""
        return tuple(value for value, _ in self.frequent) if 0 < self.distinct <= 12 else None

    def shape(self, name: str) -> float:
        return self.shapes.get(name, 0.0)


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile of a file.

    Attributes:
        rows: rows of the sample.
        whole: whether the sample is the whole file.
        pairs: for two columns, or a key, an entitlement and a source, how many different combinations there are.
        varying: for a column that repeats, the columns that differ between rows of one of its values.
        repeated: for a column, some values that several rows have.
    """

    path: Path
    form: str
    columns: tuple[Column, ...]
    rows: int
    whole: bool
    settings: tuple[Setting, ...] = ()
    notes: tuple[str, ...] = ()
    pairs: Mapping[tuple[str, ...], int] = field(default_factory=dict[tuple[str, ...], int])
    varying: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    repeated: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def of(self, concept: Concept) -> list[Column]:
        """The columns of a concept that have values, or all where there are no rows; the most telling name first."""
        found = [
            c
            for c in self.columns
            if c.named is not None and c.named.concept is concept and (c.filled or not self.rows)
        ]
        return sorted(found, key=lambda c: (not c.named.whole, c.named.rank) if c.named else (True, 0))

    def first(self, *concepts: Concept) -> Column | None:
        return next((column for concept in concepts for column in self.of(concept)), None)

    def is_unique(self, column: Column) -> bool:
        return 0 < self.rows == column.filled == column.distinct


def profile_of(sample: Sample, connection: Any) -> Profile:
    """Return the profile of a sample; DuckDB compares columns with one another."""
    connection.register("sampled", sample.rows)
    rows = sample.rows.num_rows
    columns = tuple(_column(sample.rows.column(place), name, rows) for place, name in enumerate(sample.header))
    places = {name: str(place) for place, name in enumerate(sample.header)}
    keys = [c for c in columns if c.concept in KEYS and c.filled] or [
        c for c in columns if c.concept in NAMING and c.filled
    ]
    beside = [c for c in columns if c.concept in _BESIDE and c.filled]
    pairs: dict[tuple[str, ...], int] = {}
    for key in (*keys, *(c for c in columns if c.concept is Concept.ENTITLEMENT and c.filled)):
        for other in beside:
            if other is not key:
                pairs[key.name, other.name] = _count(connection, places[key.name], places[other.name])
    rights, sources = ([c for c in beside if c.concept is concept] for concept in _BESIDE)
    for three in itertools.product(keys, rights, sources):
        names = [column.name for column in three]
        pairs[tuple(names)] = _count(connection, *(places[name] for name in names))
    varying: dict[str, tuple[str, ...]] = {}
    repeated: dict[str, tuple[str, ...]] = {}
    for key in keys:
        if key.distinct < key.filled:
            varying[key.name] = _varying(connection, places[key.name], sample.header)
            repeated[key.name] = tuple(
                value for value, count in _frequent(connection, places[key.name], 3) if count > 1
            )
    connection.unregister("sampled")
    return Profile(
        sample.path, sample.form, columns, rows, sample.whole, sample.settings, sample.notes, pairs, varying, repeated
    )


def _column(cells: pa.ChunkedArray, name: str, rows: int) -> Column:
    """The profile of a column; it works on distinct values, for a column of a million cells may have three."""
    counts = {item["values"]: item["counts"] for item in pc.value_counts(cells).to_pylist()}
    counts.pop(None, None)
    empties = tuple(sorted(text for text in counts if text.lower() in EMPTY))
    for text in empties:
        del counts[text]
    named = concept_of(name)
    filled = sum(counts.values())
    if not filled:
        return Column(name, named, 0, 0, empties=empties)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    looked = ordered[:: max(1, len(ordered) // _LOOKED_AT)]
    of = sum(n for _, n in looked)
    shapes = {shape: sum(n for text, n in looked if pattern.fullmatch(text)) / of for shape, pattern in _SHAPES.items()}
    separator, several = _separator(looked)
    return Column(
        name,
        named,
        filled,
        len(counts),
        tuple(ordered[:_FREQUENT]),
        shapes,
        times_of(looked),
        empties,
        separator,
        several,
        frozenset(text.lower() for text, _ in ordered[:_KEPT]),
    )


def _separator(cells: Sequence[tuple[str, int]]) -> tuple[str | None, int]:
    """What separates several values in a column's cells, and in how many of them.

    A separator is believed where parts come again: `POST;APPROVE`, then `POST`. Commas are so common in texts that most
    parts have to; within distinguished names they separate nothing.
    """
    best: tuple[str | None, int] = (None, 0)
    for separator in (";", "|", "\n", ","):
        split = [(text, n) for text, n in cells if sum(1 for part in text.split(separator) if part.strip()) > 1]
        if not split or (separator == "," and any("=" in text for text, _ in cells)):
            continue
        counts: dict[str, int] = {}
        for text, n in cells:
            for part in text.split(separator):
                counts[part.strip()] = counts.get(part.strip(), 0) + n
        parts = {part.strip() for text, _ in split for part in text.split(separator)} - {""}
        again = sum(1 for part in parts if counts[part] > 1)
        found = sum(n for _, n in split)
        if again >= len(parts) * (0.8 if separator == "," else 0.3) and found > best[1]:
            best = (separator, found)
    return best


def _count(connection: Any, one: str, *others: str) -> int:
    columns = ", ".join(map(quote, (one, *others)))
    found = connection.sql(
        f"SELECT count(*) FROM (SELECT DISTINCT {columns} FROM sampled WHERE {quote(one)} IS NOT NULL)"
    ).fetchall()[0]
    return found[0]


def _frequent(connection: Any, place: str, most: int) -> list[tuple[str, int]]:
    v = quote(place)
    return connection.sql(
        f"SELECT {v}, count(*) AS n FROM sampled WHERE {v} IS NOT NULL GROUP BY ALL ORDER BY n DESC, 1 LIMIT {most}"
    ).fetchall()


def _varying(connection: Any, key: str, header: tuple[str, ...]) -> tuple[str, ...]:
    others = [str(place) for place in range(len(header)) if str(place) != key]
    if not others:
        return ()
    differ = ", ".join(f"count(DISTINCT coalesce({quote(place)}, '')) > 1 AS {quote(place)}" for place in others)
    any_of = ", ".join(f"bool_or({quote(place)})" for place in others)
    found = connection.sql(
        f"SELECT {any_of} FROM (SELECT {differ} FROM sampled WHERE {quote(key)} IS NOT NULL GROUP BY {quote(key)})"
    ).fetchall()[0]
    return tuple(header[int(place)] for place, differs in zip(others, found, strict=True) if differs)


def parts_of(column: Column) -> frozenset[str]:
    """Return the single values in a column's cells, in lower case."""
    if column.separator is None:
        return column.values
    return frozenset(part.strip() for value in column.values for part in value.split(column.separator) if part.strip())
