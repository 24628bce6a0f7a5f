"""The plan of a report for an engine: the SQL statement, its result columns, and the tables and files that it reads.

Plain data, so that it can be sent to another process as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from whohas.engine.sql import as_list
from whohas.engine.summary import EMPTY_SUMMARY, SummaryDefinition
from whohas.json_values import field_values

ColumnType = Literal["text", "boolean", "integer", "time", "texts"]
"""The type of a report's column. A `time` is in UTC; `texts` is a list of texts in a defined order."""

ReadableDisplay = Literal["always", "unless_empty", "never", "xlsx_only"]
"""Whether a readable file shows a column: always, only if one of its cells has a value, or never; or, in an XLSX alone,
only if one of its cells has a value."""


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of a report's result.

    Attributes:
        name: its name in the file's header.
        type: its type.
        doc: its meaning in one line, for the reference pages.
        key: whether people recognize a row by it. A printed table that is too wide for one page repeats it on each.
        single: only with the type `texts`: no row has more than one value, and the statement gives a text, not a list.
        label: its name for people, such as `Display name`; empty where `name` is used.
        section: the heading of the columns that belong together, such as `Account`; empty for none.
        readable: whether files with the option `detail=readable` show it. Ids are never shown. Columns that a reader
            of a page can do without are shown in an XLSX alone. Key columns, and those that the caller named in the
            argument `columns`, are always shown.
    """

    name: str
    type: ColumnType
    doc: str = ""
    key: bool = False
    single: bool = False
    label: str = ""
    section: str = ""
    readable: ReadableDisplay = "unless_empty"

    def value_sql(self, place: str) -> str:
        """Return the SQL of the column's value, where `texts` are always a list.

        Args:
            place: the SQL of the column in the statement's result, such as its name.
        """
        return as_list(place) if self.single else place

    @property
    def as_stored(self) -> ResultColumn:
        """The column as typed files (such as Parquet) have it, where `texts` are always a list."""
        return replace(self, single=False)


_DISPLAY_FIELDS: Final = ("label", "section", "readable")


def columns_to_json(columns: Sequence[ResultColumn]) -> dict[str, Any]:
    """Return columns as two lists of JSON objects: `columns`, and `display` with the fields that readable files need.

    They are apart because earlier versions, which may run at the same time, reject objects with further fields.
    """
    documents = [field_values(column) for column in columns]
    return {
        "columns": [
            {name: value for name, value in document.items() if name not in _DISPLAY_FIELDS} for document in documents
        ],
        "display": [{name: document[name] for name in _DISPLAY_FIELDS} for document in documents],
    }


def columns_from_json(document: Mapping[str, Any]) -> tuple[ResultColumn, ...]:
    """Return the columns that `columns_to_json` wrote, or that an earlier version wrote without `display`."""
    columns: list[dict[str, Any]] = document["columns"]
    display: list[dict[str, Any]] = document.get("display") or [{} for _ in columns]
    return tuple(ResultColumn(**column, **shown) for column, shown in zip(columns, display, strict=True))


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement in DuckDB's dialect.

    Attributes:
        sql: the text, readable by an auditor. It selects `columns` in their order and takes its values as named
            parameters (`$source`).
        columns: the columns of its result. Times and lists stay typed; the writer of a format turns them into text.
        parameters: the values of the named parameters.
        tables: name of each table of the warehouse that it reads, to the partitions that it needs; None for all.
        files: further Parquet files that it reads: name of a view, to absolute paths, at least one. No table has the
            name of a view.
        attributes: name of a table, to the attributes that an engine may read from shredded columns instead of the
            map `attributes`; each attribute's name to the result column that consists of it alone. `sql` itself
            contains `attributes['name']`, so that it runs on the documented tables.
        ordered: whether the file must keep the order of its rows. Order costs memory: a report that promises none
            leaves it to the engine.
        scan_order: the SQL of the columns, such as `d.num`, by which an `ordered` statement without ORDER BY is sorted:
            DuckDB gives its rows in this order by itself, because the files are; other engines do not.
        expected_rows: estimated number of rows, for the progress of the run; 0 if unknown.
        group: the column by which a report for people is divided into groups, such as the rows of one person; empty
            for no groups. Extracts are sorted by group; see `row_order`. The other columns of its section have the
            same value in all rows of a group.
        order: the columns by which the rows within a group of an extract are sorted. Together with the group column
            they identify a row, so that two runs write the same bytes. Empty in plans of earlier versions.
        summary: the key figures and breakdowns of the rows.
    """

    sql: str
    columns: tuple[ResultColumn, ...]
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    tables: dict[str, frozenset[str] | None] = field(default_factory=dict[str, "frozenset[str] | None"])
    files: dict[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    attributes: dict[str, dict[str, str]] = field(default_factory=dict[str, "dict[str, str]"])
    ordered: bool = False
    scan_order: tuple[str, ...] = ()
    expected_rows: int = 0
    group: str = ""
    order: tuple[str, ...] = ()
    summary: SummaryDefinition = EMPTY_SUMMARY


def group_title(columns: Sequence[ResultColumn], group: str) -> str:
    """Return the name of the column whose value is the title of a group; empty if there are no groups.

    It is the key column of the section of the group column, or else the first column of this section that readable
    files show, or else the group column itself. Example: the groups of IDENTITIES_DETAILS are persons, identified by
    `id`, and the title of each is its `displayName`.

    Args:
        columns: the columns of the result.
        group: the name of the column that identifies a group; empty for no groups.
    """
    found = next((column for column in columns if column.name == group), None)
    if not group or found is None:
        return ""
    together = [column for column in columns if found.section and column.section == found.section]
    keys = [column for column in together if column.key]
    shown = [column for column in together if column.readable != "never"]
    return next((column.name for column in (*keys, *shown)), group)


def row_order(columns: Sequence[ResultColumn], group: str, order: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns by which rows are sorted into groups; none if there are no groups.

    The groups are sorted by their title, and then by the group column, because two groups may have the same title. The
    rows of a group are sorted by `order`.

    Args:
        columns: the columns of the result.
        group: the name of the column that identifies a group; empty for no groups.
        order: see `Statement.order`.
    """
    title = group_title(columns, group)
    return tuple(dict.fromkeys((title, group, *order))) if title else ()


@dataclass(frozen=True, slots=True)
class FileLayout:
    """Parquet files of a table that are read with the same SELECT.

    Attributes:
        files: absolute paths, in the order in which rows are to be read.
        computed_columns: columns in addition to the table's: name of each, and the SQL that computes it from the files'
            columns.
        missing_columns: columns of the table that these files do not have; they are read as null.
    """

    files: tuple[str, ...]
    computed_columns: tuple[tuple[str, str], ...] = ()
    missing_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFiles:
    """The Parquet files of a table for an engine, and the columns, which it needs if there are no files.

    Attributes:
        name: the table's name.
        columns: name and DuckDB type of each column; empty: all columns of the files, with their types.
        layouts: the files, in the order in which rows are to be read.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    layouts: tuple[FileLayout, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The absolute paths of all files, in the order in which rows are to be read."""
        return tuple(path for layout in self.layouts for path in layout.files)
