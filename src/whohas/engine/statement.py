"""A statement and what it reads: what a report asks for and an engine answers. Plain data, so that it can be sent to
another process as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from whohas.engine.sql import listed

ColumnType = Literal["text", "boolean", "integer", "time", "texts"]
"""What a report's column holds; a time is UTC, texts are several values in order."""


@dataclass(frozen=True, slots=True)
class Column:
    """A named, typed column of a report.

    Attributes:
        name: as the file's header has it.
        doc: what it means, one line, for the reference.
        key: whether it tells the rows apart for people: repeated where a printed table goes on to the right.
        single: of texts that are never more than one: the statement gives the text itself rather than a list.
    """

    name: str
    type: ColumnType
    doc: str = ""
    key: bool = False
    single: bool = False

    def value(self, place: str) -> str:
        """The SQL of the column's value, of texts a list always.

        Args:
            place: the SQL of what the statement gives.
        """
        return listed(place) if self.single else place

    @property
    def stored(self) -> Column:
        """The column as a file of values has it, where texts are a list always."""
        return replace(self, single=False)


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement in DuckDB's dialect.

    Attributes:
        sql: readable by an auditor; columns in the order of `columns`; values as named parameters (`$source`).
        columns: its result. Times and lists come raw; the writer of a format gives them their text.
        parameters: the values of the named parameters.
        tables: the warehouse's tables that it names, each with the partitions that matter; None for all of them.
        files: Parquet files beyond the warehouse's tables, each list a view: its name, and absolute paths, at least
            one. No table has that name.
        attributes: a table to the names in its map `attributes` that an engine may read from columns of their own,
            where files have them; and each name to the column of the result that it is alone. The statement itself
            writes `attributes['name']`, which runs on the table as documented.
        ordered: whether its rows have an order that the file must keep. Order costs memory: a report that promises
            none leaves it to the engine.
        expected_rows: about how many rows it gives, for progress; 0 where nothing is known.
        group: the column by which a printed report is divided: its equal values stand together, and are found in the
            bookmarks; empty where there is none.
    """

    sql: str
    columns: tuple[Column, ...]
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    tables: dict[str, frozenset[str] | None] = field(default_factory=dict[str, "frozenset[str] | None"])
    files: dict[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    attributes: dict[str, dict[str, str]] = field(default_factory=dict[str, "dict[str, str]"])
    ordered: bool = False
    expected_rows: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Parquet files that are read in the same way.

    Attributes:
        files: absolute paths, in the order in which rows are to be read.
        more: columns beyond the table's own: the name of each, and the SQL over the files' columns that gives it.
        lacks: columns of the table that these files do not have: they are null.
    """

    files: tuple[str, ...]
    more: tuple[tuple[str, str], ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFiles:
    """One table as an engine finds it: its Parquet files, and its columns for when there are none.

    Attributes:
        name: the table.
        columns: name and DuckDB type of each column; empty where the files alone say what they are.
        layouts: the files, in the order in which rows are to be read.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    layouts: tuple[Layout, ...]

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(path for layout in self.layouts for path in layout.files)
