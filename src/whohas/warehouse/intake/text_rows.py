"""Rows of a table out of a file with columns: CSV or Parquet, mapped or with our own column names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from whohas.engine.sql import quote
from whohas.errors import InvalidArguments
from whohas.warehouse.intake import attributes
from whohas.warehouse.intake.arrow import one, pc
from whohas.warehouse.intake.batches import Batch, Fault
from whohas.warehouse.intake.column_sources import ColumnSource
from whohas.warehouse.intake.forms import Form
from whohas.warehouse.intake.mapping import Part, SourceMapping, near
from whohas.warehouse.intake.rows import NAMED_BY_SOURCE, Typed, Typing
from whohas.warehouse.intake.shaped import Shaped, faults, shaped
from whohas.warehouse.intake.sources import Sources
from whohas.warehouse.tables import ACCOUNTS, ATTRIBUTES, IDENTITIES, Table

_SEPARATOR = ";"
"""Separates several values in a cell of a column that has several, such as tags."""


class Columns(Protocol):
    """A file with columns. Its batches call them 0, 1, 2 and so on."""

    @property
    def header(self) -> list[str]: ...

    @property
    def text(self) -> Callable[[list[str]], str]: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of a file become what.

    Attributes:
        columns: column of the table to columns of the file, of which the first that is not empty counts.
        attributes: attribute to column of the file.
        lists: column of the file to what separates several values in its cells.
        unknown: columns of the file that no table has.
        forms: column of the table to how its cells are written, where a mapping says it.
        empty: texts of cells that mean no value.
    """

    columns: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    lists: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown: tuple[str, ...] = ()
    forms: Mapping[str, Form] = field(default_factory=dict[str, Form])
    empty: tuple[str, ...] = ()


def own_layout(path: Any, table: Table, header: list[str], lists: Mapping[str, str]) -> Layout:
    """The layout of a file whose columns are called as those of the table, or by the documents' dotted paths.

    Raises:
        InvalidArguments: no column is known, or an unknown one has no attributes to become one of.
    """
    columns: dict[str, tuple[str, ...]] = {}
    free = any(column.name == "attributes" for column in table.columns)
    for column in table.columns:
        names = tuple(dict.fromkeys((*column.paths, column.name)))
        found = tuple(name for name in names if name in header)
        if found:
            columns[column.name] = found
    if table is ACCOUNTS and "uncorrelated" in header:
        columns["uncorrelated"] = ("uncorrelated",)
    used = {name for names in columns.values() for name in names if not (free and name.startswith("attributes."))}
    unknown = tuple(name for name in header if name not in used)
    known = [name for column in table.columns for name in (column.name, *column.paths)]
    if not any(not name.startswith("attributes.") for names in columns.values() for name in names):
        raise InvalidArguments(
            f"{path}: no column is known. The file has: {', '.join(header)}. Columns of {table.name} are: "
            f"{', '.join(dict.fromkeys(known))}. Other names need a mapping: docs/how-to/load.md."
        )
    if unknown and (not free or "attributes" in columns):
        raise InvalidArguments(
            f"{path}: unknown columns {', '.join(map(repr, unknown))}{near(unknown[0], dict.fromkeys(known))}."
        )
    if table.name in NAMED_BY_SOURCE and not {"sourceId", "sourceName"} & columns.keys():
        raise InvalidArguments(
            f"{path} does not say which source its rows belong to: it needs a column sourceId or sourceName, "
            "or a mapping with [source] name: docs/how-to/load.md."
        )
    return Layout(columns, {name.removeprefix("attributes."): name for name in unknown}, lists, unknown)


def mapped_layout(
    mapping: SourceMapping, part: Part, section: str, header: list[str], lists: Mapping[str, str]
) -> Layout:
    """The layout that a mapping gives a file.

    Raises:
        InvalidArguments: the mapping names a column that the file does not have.
    """
    named = {f"{section}.columns.{ours}": theirs.column for ours, theirs in part.columns.items()}
    if section == "accounts":
        named.update({f"identities.columns.{ours}": theirs.column for ours, theirs in mapping.identities.items()})
    if mapping.column is not None:
        named["source.column"] = mapping.column
    named.update({f"{section}.lists": name for name in part.lists or {}})
    named.update({f"{section}.attributes": name for name in part.attributes or ()})
    if section == "accounts" and mapping.correlation is not None:
        named["correlation.account"] = mapping.correlation.account
    for key, name in named.items():
        if name not in header:
            raise InvalidArguments(
                f"The mapping {mapping.path} is wrong: {key} names the column {name!r}, which {part.file} does not have"
                f"{near(name, header)}."
            )
    columns = {ours: (theirs.column,) for ours, theirs in part.columns.items()}
    if mapping.column is not None:
        columns["sourceName"] = (mapping.column,)
    chosen = header if part.attributes is None else part.attributes
    return Layout(
        columns,
        {name: name for name in chosen},
        {**lists, **(part.lists or {})},
        forms={ours: theirs.form for ours, theirs in part.columns.items()},
        empty=mapping.empty,
    )


class TextRows:
    """Shapes batches of a file with columns.

    Args:
        authoritative: whether accounts make identities: of all sources, or of those with these ids.
        identities: column of identities to the column of the file that it comes from, for those that are made.
        references: whether ids are not ids yet, but what the file calls their objects by.
    """

    def __init__(
        self,
        connection: Any,
        table: Table,
        file: Columns,
        layout: Layout,
        sources: Sources,
        source: str | None = None,
        authoritative: bool | frozenset[str] = False,
        identities: Mapping[str, ColumnSource] | None = None,
        references: bool = False,
    ) -> None:
        self._connection = connection
        self._table = table
        self._file = file
        self._layout = layout
        self._sources = sources
        self._place = {name: str(place) for place, name in enumerate(file.header)}
        self._free = any(column.name == "attributes" for column in table.columns)
        self._json = [c.name for c in table.columns if c.type == ATTRIBUTES and c.name in layout.columns]
        texts = {ours: self._text(theirs) for ours, theirs in layout.columns.items()}
        self._typing = Typing(
            connection, table, texts, sources, source, _SEPARATOR, authoritative, references, layout.forms
        )
        self._identities: Typing | None = None
        if authoritative:
            made = {ours: self._text((theirs.column,)) for ours, theirs in (identities or {}).items()}
            forms = {ours: theirs.form for ours, theirs in (identities or {}).items()}
            made = {"name": texts["nativeIdentity"], "displayName": texts.get("name", texts["nativeIdentity"]), **made}
            given = {"id": '"_identity"', "sourceId": '"_source"', "_authoritative": '"_authoritative"'}
            self._identities = Typing(connection, IDENTITIES, {**made, **given}, sources, None, _SEPARATOR, forms=forms)
            named = {ours: theirs.column for ours, theirs in (identities or {}).items()}
            self._made = {"name": layout.columns["nativeIdentity"][0], **named}

    def _text(self, names: tuple[str, ...]) -> str:
        cells = [f"nullif({quote(self._place[name])}, '')" for name in names]
        return cells[0] if len(cells) == 1 else f"coalesce({', '.join(cells)})"

    def __call__(self, batch: Batch) -> tuple[list[Shaped], list[Fault]]:
        """The rows of a batch, and those that are rejected; rows without any value are passed over."""
        written, records = self._without_empty(batch)
        if not written.num_rows:
            return [], []
        data = self._emptied(written)
        typed = self._typing(data)
        bad: list[Fault] = []
        made = None
        own = np.zeros(data.num_rows, dtype=bool)
        if self._identities is not None:
            made, own = self._make(self._identities, data, typed)
            bad += self._faults(made, written, records, self._made)
        bad += self._faults(typed, written, records, {})
        if made is not None:
            typed.wrong[made.wrong >= 0] = 0
        if self._free and self._layout.attributes:
            typed.data["attributes"] = self._attributes(data)
        for name in self._json:
            typed.data[name] = self._json_attributes(name, data)
        found = [shaped(self._table, typed, records)]
        if made is not None:
            made.data["attributes"] = typed.data["attributes"]
            made.wrong[:] = np.where((typed.wrong < 0) & own, -1, 0)
            found.append(shaped(IDENTITIES, made, records))
        if self._table is ACCOUNTS:
            self._note_attributes(found[0].data)
        return found, bad

    def _make(self, identities: Typing, data: pa.Table, accounts: Typed) -> tuple[Typed, Any]:
        """The identities that accounts make, and which accounts do."""
        for name, column in (("_identity", "identityId"), ("_source", "sourceId"), ("_authoritative", "authoritative")):
            data = data.append_column(name, accounts.data[column])
        made = identities(data)
        own = accounts.data["authoritative"].fill_null(False).to_numpy(zero_copy_only=False) & (accounts.wrong < 0)
        made.wrong[~own] = -1
        return made, own

    def _without_empty(self, batch: Batch) -> tuple[pa.Table, Any]:
        data = batch.data
        full: Any = None
        for column in data.columns:
            held = pc.not_equal(column, "")
            full = held if full is None else pc.or_(full, held)
            if pc.all(full).as_py():
                return data, batch.records
        return data.filter(full), batch.records[
            full.to_numpy(zero_copy_only=False)
        ] if full is not None else batch.records

    def _emptied(self, data: pa.Table) -> pa.Table:
        """The same cells, without those whose text means no value."""
        if not self._layout.empty:
            return data
        none, nothing = pa.array(self._layout.empty, pa.string()), pa.scalar("", pa.string())
        columns = [pc.if_else(pc.is_in(column, none), nothing, column) for column in data.columns]
        return pa.table(columns, names=data.column_names)

    def _attributes(self, data: pa.Table) -> pa.Array:
        cells = {name: data.column(self._place[column]) for name, column in self._layout.attributes.items()}
        lists = {
            name: self._layout.lists[column]
            for name, column in self._layout.attributes.items()
            if column in self._layout.lists
        }
        return attributes.from_columns(cells, lists)

    def _json_attributes(self, name: str, data: pa.Table) -> pa.Array:
        self._connection.register("batch", data)
        text = self._text(self._layout.columns[name])
        cells = self._connection.sql(
            f"SELECT CASE WHEN json_valid({text}) THEN {text} END AS t FROM batch"
        ).to_arrow_table()
        return attributes.from_json(self._connection, one(cells.column("t")))

    def _note_attributes(self, data: pa.Table) -> None:
        ids = pc.unique(data.column("sourceId")).to_pylist()
        if "attributes" in self._json:
            for id in ids:
                mine = data.filter(pc.equal(data.column("sourceId"), id)).column("attributes")
                for chunk in mine.chunks:
                    self._sources.add_attributes(id, pc.unique(chunk.keys).to_pylist())
        else:
            for id in ids:
                self._sources.add_attributes(id, self._layout.attributes)

    def _faults(self, typed: Typed, data: pa.Table, records: Any, names: Mapping[str, str]) -> list[Fault]:
        if not (typed.wrong >= 0).any():
            return []

        def column_of(column: str) -> str:
            found = self._layout.columns.get(column)
            return names.get(column) or (found[0] if found else column)

        def value_of(place: int, column: str) -> str:
            name = column_of(column)
            return data.column(self._place[name])[place].as_py() if name in self._place else ""

        def row_of(place: int) -> str:
            return self._file.text([column[place].as_py() for column in data.columns])

        return faults(typed, records, column_of, value_of, row_of)
