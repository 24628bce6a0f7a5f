"""What tables are made of: types of columns, columns, tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

TEXT: Final = pa.string()
BOOLEAN: Final = pa.bool_()
INTEGER: Final = pa.int64()
TIME: Final = pa.timestamp("us", tz="UTC")
TEXTS: Final = pa.list_(pa.string())
ATTRIBUTES: Final = pa.map_(pa.string(), pa.list_(pa.string()))
"""Free attributes: a name to its values. One value is a list of one, so that "a;b" and ["a", "b"] differ."""


def objects(**fields: pa.DataType) -> pa.DataType:
    """A list of small objects, for what hangs on its owner and is never asked for alone."""
    return pa.list_(pa.struct(list(fields.items())))


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: its name in the table and in reports.
        type: its Arrow type; times are UTC, in microseconds.
        doc: what it means, one line.
        at: where a published document has the value: dotted paths, the first that is there wins.
        added: whether files of earlier versions lack it; see `warehouse.evolved`.
        made: whether only a load fills it: no file and no document gives it.
    """

    name: str
    type: pa.DataType
    doc: str
    at: tuple[str, ...] = ()
    added: bool = False
    made: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        return self.at or (self.name,)


def made(name: str, type: pa.DataType, doc: str) -> Column:
    """A column that warehouses of 0.1.0 lack and that only a load fills."""
    return Column(name, type, doc, added=True, made=True)


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: its name and its folder in the warehouse.
        doc: what a row is.
        columns: in the order in which they are stored.
        partition: the column by which files are split: a load replaces whole partitions.
        shredded: whether the files have the names in its map `attributes` as columns too; see `warehouse.shredded`.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    partition: str | None = None
    shredded: bool = False
    schema: pa.Schema = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", pa.schema([(c.name, c.type) for c in self.columns]))

    def column(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)
