"""The schema language of the warehouse: column types, `TableColumn` and `Table`. `warehouse.schema` uses them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

TEXT: Final = pa.string()
BOOLEAN: Final = pa.bool_()
INTEGER: Final = pa.int64()
TIME: Final = pa.timestamp("us", tz="UTC")
TEXT_LIST: Final = pa.list_(pa.string())
ATTRIBUTES: Final = pa.map_(pa.string(), pa.list_(pa.string()))
"""Attributes of any name: a map from name to list of values. A single value is a list of one, so that the text "a;b"
differs from the two values ["a", "b"]."""


def object_list(**fields: pa.DataType) -> pa.DataType:
    """Return the type of a list of objects (structs) with these fields: data that is only read with its owner's row."""
    return pa.list_(pa.struct(list(fields.items())))


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table.

    Attributes:
        name: its name in the table and in reports.
        type: its Arrow type; times are in UTC, in microseconds.
        doc: its meaning in one line, for the reference pages.
        document_paths: dotted paths of the value in a published JSON document, such as `owner.id`; the first path that
            exists is used. Empty: the path is the name.
        added_later: whether files of earlier versions lack it; see `warehouse.evolved`.
        computed: whether only a load computes it: no file and no document contains it.
    """

    name: str
    type: pa.DataType
    doc: str
    document_paths: tuple[str, ...] = ()
    added_later: bool = False
    computed: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The dotted paths of the value in a published document, in order of preference."""
        return self.document_paths or (self.name,)


def computed_column(name: str, type: pa.DataType, doc: str) -> TableColumn:
    """Return a column that warehouses of version 0.1.0 lack and that only a load computes."""
    return TableColumn(name, type, doc, added_later=True, computed=True)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the warehouse.

    Attributes:
        name: its name, and that of its folder in the warehouse.
        doc: the meaning of a row.
        columns: its columns, in the order in which they are stored.
        partition: the column by which files are divided: a load replaces whole partitions. None: it replaces all rows.
        shredded: whether the files also store each name in the map `attributes` as a column; see
            `warehouse.attribute_columns`.
        schema: the Arrow schema of the columns.
    """

    name: str
    doc: str
    columns: tuple[TableColumn, ...]
    partition: str | None = None
    shredded: bool = False
    schema: pa.Schema = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", pa.schema([(c.name, c.type) for c in self.columns]))

    def column(self, name: str) -> TableColumn:
        """Return the column with this name; the table must have it."""
        return next(c for c in self.columns if c.name == name)
