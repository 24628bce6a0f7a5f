"""Convert files with columns (CSV, XLSX, Parquet) to table rows, by a mapping or by whohas' own column names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from whohas.engine.sql import columns_named_by, quote
from whohas.errors import InvalidArguments
from whohas.ingest import attributes
from whohas.ingest.column_sources import ColumnSource
from whohas.ingest.convert import NAMED_BY_SOURCE, Typed, Typing, shown_name
from whohas.ingest.forms import Form
from whohas.ingest.lists import as_lists, has_arrays
from whohas.ingest.mapping import Part, SourceMapping, near
from whohas.ingest.readers.batches import Batch, Fault
from whohas.ingest.shaped import Shaped, faults, shaped
from whohas.ingest.sources import Sources
from whohas.warehouse.arrow import one, pc
from whohas.warehouse.schema import ACCOUNTS, ATTRIBUTES, IDENTITIES, Table

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
        carriers: columns of the file that carry entitlements: their attributes have the values of the memberships.
        unknown: columns of the file that no table has.
        forms: column of the table to how its cells are written, where a mapping says it.
        empty: texts of cells that mean no value.
    """

    columns: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    lists: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown: tuple[str, ...] = ()
    carriers: frozenset[str] = frozenset()
    forms: Mapping[str, Form] = field(default_factory=dict[str, Form])
    empty: tuple[str, ...] = ()


def own_layout(path: Any, table: Table, header: list[str], lists: Mapping[str, str]) -> Layout:
    """The layout of a file whose columns are called as those of the table, or by the documents' dotted paths.

    Raises:
        InvalidArguments: no column is known, or an unknown one has no attributes to become one of.
    """
    columns: dict[str, tuple[str, ...]] = {}
    free = any(column.name == "attributes" for column in table.columns)
    made = {column.name for column in table.columns if column.made}
    for column in table.columns:
        names = tuple(dict.fromkeys((*column.paths, column.name)))
        found = tuple(name for name in names if name in header)
        if found and not column.made:
            columns[column.name] = found
    if table is ACCOUNTS and "uncorrelated" in header:
        columns["uncorrelated"] = ("uncorrelated",)
    used = {name for names in columns.values() for name in names if not (free and name.startswith("attributes."))}
    unknown = tuple(name for name in header if name not in used and name not in made)
    known = known_columns(table)
    if not any(not name.startswith("attributes.") for names in columns.values() for name in names):
        raise InvalidArguments(
            f"{path}: no column is known. The file has: {', '.join(header)}. Columns of {table.name} are: "
            f"{', '.join(known)}. Other names need a mapping: docs/how-to/load.md."
        )
    if unknown and (not free or "attributes" in columns):
        raise InvalidArguments(f"{path}: unknown columns {', '.join(map(repr, unknown))}{near(unknown[0], known)}.")
    if table.name in NAMED_BY_SOURCE and not {"sourceId", "sourceName"} & columns.keys():
        raise InvalidArguments(
            f"{path} does not say which source its rows belong to: it needs a column sourceId or sourceName, "
            "or a mapping with [source] name: docs/how-to/load.md."
        )
    return Layout(columns, {name.removeprefix("attributes."): name for name in unknown}, lists, unknown)


def named_columns(mapping: SourceMapping, part: Part, section: str) -> list[tuple[str, str]]:
    """The columns of a file that a mapping names, each with the key that names it."""
    named = [(f"{section}.columns.{ours}", theirs.column) for ours, theirs in part.columns.items()]
    if section == "accounts":
        named += [(f"identities.columns.{ours}", theirs.column) for ours, theirs in mapping.identities.items()]
        rules = {"correlation": mapping.correlation, "manager": mapping.manager}
        named += [(f"{name}.account", rule.account) for name, rule in rules.items() if rule is not None]
    if mapping.column is not None:
        named.append(("source.column", mapping.column))
    named += [(f"{section}.lists", name) for name in part.lists or {}]
    named += [(f"{section}.attributes", name) for name in part.attributes or ()]
    named += [(f"{section}.entitlements", name) for name in part.entitlements]
    return named


def known_columns(table: Table) -> list[str]:
    """What the columns of a file with our own names may be called."""
    names = [name for column in table.columns if not column.made for name in (column.name, *column.paths)]
    return list(dict.fromkeys(names))


def mapped_layout(
    mapping: SourceMapping, part: Part, section: str, header: list[str], lists: Mapping[str, str]
) -> Layout:
    """The layout that a mapping gives a file.

    Raises:
        InvalidArguments: the mapping names a column that the file does not have.
    """
    for key, name in named_columns(mapping, part, section):
        if name not in header:
            raise InvalidArguments(
                f"The mapping {mapping.path} is wrong: {key} names the column {name!r}, which {part.file} does not have"
                f"{near(name, header)}."
            )
    columns = {ours: (theirs.column,) for ours, theirs in part.columns.items()}
    if mapping.column is not None:
        columns["sourceName"] = (mapping.column,)
    chosen = header if part.attributes is None else part.attributes
    attributes = {name: name for name in chosen}
    lists = {**(part.lists or {}), **lists} if section != "accounts" else {**mapping.account_lists, **lists}
    return Layout(
        columns,
        attributes,
        lists,
        carriers=mapping.entitled if section == "accounts" else frozenset(),
        forms={ours: theirs.form for ours, theirs in part.columns.items()},
        empty=mapping.empty,
    )


class TextRows:
    """Shapes batches of a file with columns.

    Args:
        authoritative: whether accounts make identities: of all sources, or of those with these ids.
        identities: column of identities to the column of the file that it comes from, for those that are made.
        references: whether ids are not ids yet, but what the file calls their objects by.
        notes: whether the sources take note of the attributes that accounts have.

    Attributes:
        without_id: identities whose row has no id though the mapping names a column for it: theirs is made.
        filled: by column of the file that not every text fits, how many of its cells have a text.
        items: by column of the file that is a list of objects, how many objects its cells have.
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
        notes: bool = True,
    ) -> None:
        self.filled: Counter[str] = Counter()
        self.items: Counter[str] = Counter()
        self._connection = connection
        self._notes = notes
        self._table = table
        self._file = file
        self._layout = layout
        self._sources = sources
        self._place = {name: str(place) for place, name in enumerate(file.header)}
        self._free = any(column.name == "attributes" for column in table.columns)
        self._json = [c.name for c in table.columns if c.type == ATTRIBUTES and c.name in layout.columns]
        texts = {ours: self._text(theirs) for ours, theirs in layout.columns.items()}
        id_source = (identities or {}).get("id") if authoritative else None
        self._id_column = None if id_source is None else id_source.column
        holder = None if self._id_column is None else self._text((self._id_column,))
        self._typing = Typing(
            *(connection, table, texts, sources, source, _SEPARATOR, authoritative, references),
            forms=layout.forms,
            holder=holder,
        )
        self.without_id = 0
        self._identities: Typing | None = None
        if authoritative:
            made = {ours: self._text((theirs.column,)) for ours, theirs in (identities or {}).items()}
            forms = {ours: theirs.form for ours, theirs in (identities or {}).items()}
            account = texts.get("name", texts["nativeIdentity"])
            shown = shown_name(None, made.get("firstName"), made.get("lastName"), account)
            made = {"name": texts["nativeIdentity"], "displayName": shown, **made}
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
        filled: dict[str, int] = {}
        made = None
        own = np.zeros(data.num_rows, dtype=bool)
        if self._identities is not None:
            made, own = self._make(self._identities, data, typed)
            bad += self._faults(made, written, records, self._made, filled)
        bad += self._faults(typed, written, records, {"identityId": self._id_column} if self._id_column else {}, filled)
        bad = _once(bad)
        self.filled.update(filled)
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
        if self._table is ACCOUNTS and self._notes:
            self._note_attributes(found[0].data)
        return found, bad

    def _make(self, identities: Typing, data: pa.Table, accounts: Typed) -> tuple[Typed, Any]:
        """The identities that accounts make, and which accounts do."""
        for name, column in (("_identity", "identityId"), ("_source", "sourceId"), ("_authoritative", "authoritative")):
            data = data.append_column(name, accounts.data[column])
        made = identities(data)
        own = accounts.data["authoritative"].fill_null(False).to_numpy(zero_copy_only=False) & (accounts.wrong < 0)
        made.wrong[~own] = -1
        if self._id_column is not None:
            empty = pc.equal(one(data.column(self._place[self._id_column])), "").to_numpy(zero_copy_only=False)
            self.without_id += int((empty & own).sum())
        read = [replace(cells, places=cells.places[own[cells.places]]) for cells in made.unreadable]
        return replace(made, unreadable=tuple(read)), own

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
        for name, column in self._layout.attributes.items():
            if column in self._layout.carriers:
                texts = one(cells[name])
                if column in self._layout.lists or has_arrays(texts):
                    cells[name] = as_lists(self._connection, texts, self._layout.lists.get(column))
        lists = {
            name: self._layout.lists[column]
            for name, column in self._layout.attributes.items()
            if column in self._layout.lists
        }
        return attributes.from_columns(cells, lists)

    def _json_attributes(self, name: str, data: pa.Table) -> pa.Array:
        text = self._text(self._layout.columns[name])
        self._connection.register("batch", data.select(columns_named_by(data.column_names, text)))
        cells = self._connection.sql(
            f"SELECT CASE WHEN json_valid({text}) THEN {text} END AS t FROM batch"
        ).to_arrow_table()
        return attributes.from_json(self._connection, one(cells.column("t")))

    def _note_attributes(self, data: pa.Table) -> None:
        if "attributes" in self._json:
            named = attributes.names_by(one(data.column("sourceId")), one(data.column("attributes")))
            for id, names in named.items():
                self._sources.add_attributes(id, names)
        else:
            for id in pc.unique(data.column("sourceId")).to_pylist():
                self._sources.add_attributes(id, self._layout.attributes)

    def _faults(
        self, typed: Typed, data: pa.Table, records: Any, names: Mapping[str, str], filled: dict[str, int]
    ) -> list[Fault]:
        def column_of(column: str) -> str:
            found = self._layout.columns.get(column)
            return names.get(column) or (found[0] if found else column)

        for column, count in typed.filled.items():
            filled[column_of(column)] = max(filled.get(column_of(column), 0), count)
        for (column, within), count in typed.inner_filled.items():
            filled[f"{column_of(column)}{within}"] = count
        for column, count in typed.items.items():
            self.items[column_of(column)] += count
        if not typed.unreadable and not typed.inner and not (typed.wrong >= 0).any():
            return []

        def value_of(place: int, column: str) -> str:
            name = column_of(column)
            return data.column(self._place[name])[place].as_py() if name in self._place else ""

        def row_of(place: int) -> str:
            return self._file.text([column[place].as_py() for column in data.columns])

        # a table's column is no word of the file's owner
        reasons = tuple(
            (column, "no value" if reason == f"no {column}" and column_of(column) != column else reason)
            for column, reason in typed.reasons
        )
        return faults(replace(typed, reasons=reasons), records, column_of, value_of, row_of)


def _once(bad: list[Fault]) -> list[Fault]:
    """Each rejected row and each cell once: an account and the identity that it makes share both."""
    rows = {fault.record for fault in bad if fault.value is None and not fault.part}
    found: dict[tuple[int, str | None], Fault] = {}
    inner = [fault for fault in bad if fault.part]
    for fault in bad:
        if fault.part:
            continue
        if fault.value is None:
            found.setdefault((fault.record, None), fault)
        elif fault.record not in rows:
            found.setdefault((fault.record, fault.column), fault)
    return [*found.values(), *inner]
