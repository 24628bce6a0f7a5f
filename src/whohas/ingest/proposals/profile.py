"""Profile the columns of a sample: how many cells are filled and distinct, and which patterns they match."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from whohas.engine.sql import quote_identifier
from whohas.ingest.proposals.sample import FileSample, FormatSetting
from whohas.ingest.proposals.times import TimeFormats, detect_time_formats
from whohas.ingest.proposals.words import NO_VALUE, Concept, NamedColumn, concept_of
from whohas.warehouse.arrow import pc

_LOOKED_AT = 20_000
"""About the number of distinct values of a column that are matched with patterns."""

_FREQUENT = 60
"""The number of most frequent values that a profile keeps with their counts."""

_KEPT = 50_000
"""The number of distinct values that a profile keeps for comparisons with other files."""

_SHAPES: Final = {
    "email": re.compile(r"[^@\s,;]+@[^@\s,;]+"),  # a host of an intranet may have no dot
    "dn": re.compile(r"(?i)(cn|ou|uid|dc|o)=[^=]+(,\s*[a-z.0-9]+=.+)*"),
    "integer": re.compile(r"\d{1,18}"),
    "sentence": re.compile(r"(?s).*\S\s+\S.*"),
}

KEY_CONCEPTS: Final = (Concept.LOGIN, Concept.EMPLOYEE, Concept.UPN, Concept.EMAIL, Concept.DN, Concept.ID)
"""Concepts of columns that may identify the account of a row."""

_COMBINED: Final = (Concept.ENTITLEMENT, Concept.SOURCE)

FALLBACK_KEY_CONCEPTS: Final = (*KEY_CONCEPTS, Concept.DISPLAY_NAME, Concept.FIRST_NAME, Concept.LAST_NAME, None)
"""Concepts of columns that may identify the account of a row if none has one of `KEY_CONCEPTS`; None: unknown name."""


@dataclass(frozen=True, slots=True)
class ProfiledColumn:
    """The profile of one column.

    Attributes:
        name: its name in the header.
        name_concept: the concept that its name stands for; None if unknown.
        filled: number of rows with a value.
        distinct: number of different values.
        frequent: the most frequent values with their counts, at most `_FREQUENT`.
        shapes: pattern's name (`email`, `dn`, `integer`, `sentence`) to the share of examined cells that match it.
        times: the time formats of the cells; None if the cells are not times.
        no_value_texts: texts in the cells that mean "no value", such as `N/A`; not counted as filled.
        separator: the separator of several values in a cell; None if cells have single values.
        multi_valued_cells: number of examined cells with several values.
        values: values in lower case, at most `_KEPT`, for comparisons with other columns.
    """

    name: str
    name_concept: NamedColumn | None
    filled: int
    distinct: int
    frequent: tuple[tuple[str, int], ...] = ()
    shapes: Mapping[str, float] = field(default_factory=dict[str, float])
    times: TimeFormats | None = None
    no_value_texts: tuple[str, ...] = ()
    separator: str | None = None
    multi_valued_cells: int = 0
    values: frozenset[str] = frozenset()

    @property
    def concept(self) -> Concept | None:
        """The concept that the column's name stands for; None if unknown."""
        return self.name_concept.concept if self.name_concept is not None else None

    @property
    def state_words(self) -> tuple[str, ...] | None:
        """All values, the most frequent first; None for an empty column or more than 12 values, too many for states."""
        return tuple(value for value, _ in self.frequent) if 0 < self.distinct <= 12 else None

    def shape_share(self, name: str) -> float:
        """Return the share of examined cells that match a pattern of `shapes`, 0 to 1."""
        return self.shapes.get(name, 0.0)


@dataclass(frozen=True, slots=True)
class FileProfile:
    """The profile of a file.

    Attributes:
        path: the file.
        format: its format: `csv`, `xlsx` or `parquet`.
        columns: the profiles of its columns.
        rows: number of rows in the sample.
        complete: whether the sample is the whole file.
        settings: keys of the mapping that are needed to read the file.
        notes: remarks on the file for the user, in sentences.
        distinct_combinations: names of two columns (a key or entitlement, and another), or of three (key, entitlement,
            source), to the number of distinct combinations of their values.
        varying_columns: name of a key column with repeated values, to the columns whose values differ between rows of
            the same key.
        repeated_values: name of such a key column, to up to three repeated values.
    """

    path: Path
    format: str
    columns: tuple[ProfiledColumn, ...]
    rows: int
    complete: bool
    settings: tuple[FormatSetting, ...] = ()
    notes: tuple[str, ...] = ()
    distinct_combinations: Mapping[tuple[str, ...], int] = field(default_factory=dict[tuple[str, ...], int])
    varying_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    repeated_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def columns_of(self, concept: Concept) -> list[ProfiledColumn]:
        """Return the columns of a concept, the most specific name first; without empty ones if there are rows."""
        found = [
            c
            for c in self.columns
            if c.name_concept is not None and c.name_concept.concept is concept and (c.filled or not self.rows)
        ]
        return sorted(
            found, key=lambda c: (not c.name_concept.exact, c.name_concept.rank) if c.name_concept else (True, 0)
        )

    def first_column_of(self, *concepts: Concept) -> ProfiledColumn | None:
        """Return the first column of the first concept that has one, or None."""
        return next((column for concept in concepts for column in self.columns_of(concept)), None)

    def is_unique(self, column: ProfiledColumn) -> bool:
        """Return whether every row has a value in the column, different from that of every other row."""
        return 0 < self.rows == column.filled == column.distinct


def profile_sample(sample: FileSample, connection: Any) -> FileProfile:
    """Return the profile of a sample.

    Args:
        sample: the sample.
        connection: a DuckDB connection, which counts the combinations of columns.
    """
    connection.register("sampled", sample.rows)
    rows = sample.rows.num_rows
    columns = tuple(_column(sample.rows.column(index), name) for index, name in enumerate(sample.header))
    sampled_names = {name: str(index) for index, name in enumerate(sample.header)}
    keys = [c for c in columns if c.concept in KEY_CONCEPTS and c.filled] or [
        c for c in columns if c.concept in FALLBACK_KEY_CONCEPTS and c.filled
    ]
    combined = [c for c in columns if c.concept in _COMBINED and c.filled]
    pairs: dict[tuple[str, ...], int] = {}
    for key in (*keys, *(c for c in columns if c.concept is Concept.ENTITLEMENT and c.filled)):
        for other in combined:
            if other is not key:
                pairs[key.name, other.name] = _count(connection, sampled_names[key.name], sampled_names[other.name])
    rights, sources = ([c for c in combined if c.concept is concept] for concept in _COMBINED)
    for three in itertools.product(keys, rights, sources):
        names = [column.name for column in three]
        pairs[tuple(names)] = _count(connection, *(sampled_names[name] for name in names))
    varying: dict[str, tuple[str, ...]] = {}
    repeated: dict[str, tuple[str, ...]] = {}
    for key in keys:
        if key.distinct < key.filled:
            varying[key.name] = _varying(connection, sampled_names[key.name], sample.header)
            repeated[key.name] = tuple(
                value for value, count in _frequent(connection, sampled_names[key.name], 3) if count > 1
            )
    connection.unregister("sampled")
    return FileProfile(
        sample.path,
        sample.format,
        columns,
        rows,
        sample.complete,
        sample.settings,
        sample.notes,
        pairs,
        varying,
        repeated,
    )


def _column(cells: pa.ChunkedArray, name: str) -> ProfiledColumn:
    """Return the profile of a column. Works on distinct values: a column of a million cells may have three."""
    counts = {item["values"]: item["counts"] for item in pc.value_counts(cells).to_pylist()}
    counts.pop(None, None)
    empties = tuple(sorted(text for text in counts if text.lower() in NO_VALUE))
    for text in empties:
        del counts[text]
    named = concept_of(name)
    filled = sum(counts.values())
    if not filled:
        return ProfiledColumn(name, named, 0, 0, no_value_texts=empties)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    looked = ordered[:: max(1, len(ordered) // _LOOKED_AT)]
    of = sum(n for _, n in looked)
    shapes = {shape: sum(n for text, n in looked if pattern.fullmatch(text)) / of for shape, pattern in _SHAPES.items()}
    separator, several = _separator(looked)
    return ProfiledColumn(
        name,
        named,
        filled,
        len(counts),
        tuple(ordered[:_FREQUENT]),
        shapes,
        detect_time_formats(looked),
        empties,
        separator,
        several,
        frozenset(text.lower() for text, _ in ordered[:_KEPT]),
    )


def _separator(cells: Sequence[tuple[str, int]]) -> tuple[str | None, int]:
    """Return the separator of several values in a column's cells, and the number of cells with several values.

    A character counts as a separator if enough parts occur in other cells too: `POST;APPROVE` and `POST` share `POST`.
    30 % of the parts must, but 80 % for commas, which are frequent in ordinary text. A column with distinguished names
    (`CN=Ann,DC=example`) is never separated by commas.
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
    columns = ", ".join(map(quote_identifier, (one, *others)))
    found = connection.sql(
        f"SELECT count(*) FROM (SELECT DISTINCT {columns} FROM sampled WHERE {quote_identifier(one)} IS NOT NULL)"
    ).fetchall()[0]
    return found[0]


def _frequent(connection: Any, place: str, most: int) -> list[tuple[str, int]]:
    v = quote_identifier(place)
    return connection.sql(
        f"SELECT {v}, count(*) AS n FROM sampled WHERE {v} IS NOT NULL GROUP BY ALL ORDER BY n DESC, 1 LIMIT {most}"
    ).fetchall()


def _varying(connection: Any, key: str, header: tuple[str, ...]) -> tuple[str, ...]:
    others = [str(place) for place in range(len(header)) if str(place) != key]
    if not others:
        return ()
    differ = ", ".join(
        f"count(DISTINCT coalesce({quote_identifier(place)}, '')) > 1 AS {quote_identifier(place)}" for place in others
    )
    any_of = ", ".join(f"bool_or({quote_identifier(place)})" for place in others)
    found = connection.sql(
        f"SELECT {any_of} FROM (SELECT {differ} FROM sampled "
        f"WHERE {quote_identifier(key)} IS NOT NULL GROUP BY {quote_identifier(key)})"
    ).fetchall()[0]
    return tuple(header[int(place)] for place, differs in zip(others, found, strict=True) if differs)


def split_values(column: ProfiledColumn) -> frozenset[str]:
    """Return the values in a column's cells, in lower case, with cells of several values split."""
    if column.separator is None:
        return column.values
    return frozenset(part.strip() for value in column.values for part in value.split(column.separator) if part.strip())
