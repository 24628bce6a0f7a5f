"""Convert batches of files with columns (CSV, XLSX, Parquet) to rows of tables.

`own_layout` and `mapped_layout` decide which column of a file becomes which column of the table: by whohas' own column
names, or by a mapping. `TextRows` converts the batches of a file with such a layout.
"""

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
"""The separator of values in cells of columns whose type is a list of texts, such as `tags`."""


class Columns(Protocol):
    """An open file with columns. In its batches the columns are named `0`, `1`, `2` and so on, in the header's order.

    Attributes:
        header: the names of the columns.
        text: a function that formats the cells of one row as the file would have them, for lists of rejected rows.
    """

    @property
    def header(self) -> list[str]: ...

    @property
    def text(self) -> Callable[[list[str]], str]: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """The assignment of a file's columns to the columns of a table and to attributes.

    Attributes:
        columns: for each column of the table the columns of the file that may hold its value. In each row, the first of
            them that is not empty is used.
        attributes: for each attribute the column of the file.
        lists: separators of several values in a cell, by column of the file.
        unknown: columns of the file that are not columns of the table, and so become attributes.
        carriers: columns of a file of accounts whose values are entitlements. Their cells are split in the same way
            for the attribute and for the account's entitlements.
        forms: the settings of a mapping for the text of cells, by column of the table.
        empty: texts of cells that mean "no value", such as `NULL`.
    """

    columns: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    lists: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown: tuple[str, ...] = ()
    carriers: frozenset[str] = frozenset()
    forms: Mapping[str, Form] = field(default_factory=dict[str, Form])
    empty: tuple[str, ...] = ()


def own_layout(path: Any, table: Table, header: list[str], lists: Mapping[str, str]) -> Layout:
    """Return the layout of a file whose columns have the table's column names, or the dotted paths of documents.

    Other columns become attributes, if the table has attributes and the file has no column `attributes`.

    Args:
        path: the file, for messages.
        header: the file's columns.
        lists: separators by column of the file.

    Raises:
        InvalidArguments: no column is known; a column is unknown and cannot become an attribute; or the table's rows
            need a source and the file has neither `sourceId` nor `sourceName`.
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
    """Return the columns of a file that a mapping refers to.

    Args:
        mapping: the mapping.
        part: the settings for the file.
        section: the mapping's section for the file: `accounts`, `entitlements` or `memberships`.

    Returns:
        Pairs of the setting's key and the column, such as `("accounts.columns.name", "LOGIN")`.
    """
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
    """Return the column names that a file without a mapping may use: the table's columns and their dotted paths."""
    names = [name for column in table.columns if not column.made for name in (column.name, *column.paths)]
    return list(dict.fromkeys(names))


def mapped_layout(
    mapping: SourceMapping, part: Part, section: str, header: list[str], lists: Mapping[str, str]
) -> Layout:
    """Return the layout of a file that a mapping describes.

    Args:
        mapping: the mapping.
        part: the settings for the file.
        section: as in `named_columns`.
        header: the file's columns.
        lists: separators by column that the reader knows from the file; they override the mapping's.

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
    """Converts the batches of a file with columns to rows of its table, and authoritative accounts also to identities.

    Args:
        connection: DuckDB.
        table: the table of the file's rows.
        file: the open file.
        layout: the assignment of its columns.
        sources: the registry of sources.
        source: the id of the source of all rows; None if the rows name it.
        authoritative: whether accounts create identities: for all sources, or for those with these ids.
        identities: for identities that accounts create, the column of the file by column of identities.
        references: whether columns of ids hold the names that the file uses for objects; see `Typing`.
        notes: whether to record in `sources` which attributes the accounts of each source have.

    Attributes:
        without_id: number of created identities with a derived id, although the mapping names a column of ids: the cell
            was empty.
        filled: number of cells with a text, by column of the file in which some texts cannot be converted.
        items: number of objects in all cells, by column of the file that holds lists of objects.
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
        """Return SQL over a batch for the first text of some columns that is not empty; null if all are."""
        cells = [f"nullif({quote(self._place[name])}, '')" for name in names]
        return cells[0] if len(cells) == 1 else f"coalesce({', '.join(cells)})"

    def __call__(self, batch: Batch) -> tuple[list[Shaped], list[Fault]]:
        """Return the rows of a batch, as rows of the table and of created identities, and the errors of the batch.

        Rows whose cells are all empty are skipped. An account and the identity that it creates are kept or rejected
        together.
        """
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
            # The errors are listed in `bad` already, so from here any number from 0 just means "rejected".
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
        """Convert a batch of accounts to the identities that they create.

        Args:
            identities: the converter for identities.
            data: the batch.
            accounts: the same batch as accounts.

        Returns:
            One identity for each row of the batch, and a boolean array that is true where the account creates one. The
            other identities have no errors; the caller leaves them out.
        """
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
        """Return the rows of a batch that have a cell that is not empty, and their record numbers.

        The loop stops at the first column by which every row is known to have one: in most files the first column.
        """
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
        """Return a batch in which cells are empty whose text means "no value" by the mapping's setting `empty`."""
        if not self._layout.empty:
            return data
        none, nothing = pa.array(self._layout.empty, pa.string()), pa.scalar("", pa.string())
        columns = [pc.if_else(pc.is_in(column, none), nothing, column) for column in data.columns]
        return pa.table(columns, names=data.column_names)

    def _attributes(self, data: pa.Table) -> pa.Array:
        """Return the attributes of each row, as maps from attribute to list of values.

        Cells of columns that carry entitlements are split here, exactly as `memberships` splits them; other cells are
        split at their separators by `attributes.from_columns`.
        """
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
        """Return the attributes of each row from a column of JSON objects; null where the text is not JSON."""
        text = self._text(self._layout.columns[name])
        self._connection.register("batch", data.select(columns_named_by(data.column_names, text)))
        cells = self._connection.sql(
            f"SELECT CASE WHEN json_valid({text}) THEN {text} END AS t FROM batch"
        ).to_arrow_table()
        return attributes.from_json(self._connection, one(cells.column("t")))

    def _note_attributes(self, data: pa.Table) -> None:
        """Record in `sources` which attributes the accounts of each source have."""
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
        """Return the errors of a converted batch in terms of the file, and count its filled cells and objects.

        Args:
            typed: the converted batch.
            data: the batch as the file has it.
            records: the record number of each row.
            names: columns of the file by column of the table, where they differ from the layout.
            filled: the counts of filled cells by column of the file, which are added here. A column that is used for
                accounts and for identities is counted once.
        """

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

        # "no nativeIdentity" would name a column that the file does not have if a mapping names it differently.
        reasons = tuple(
            (column, "no value" if reason == f"no {column}" and column_of(column) != column else reason)
            for column, reason in typed.reasons
        )
        return faults(replace(typed, reasons=reasons), records, column_of, value_of, row_of)


def _once(bad: list[Fault]) -> list[Fault]:
    """Return the errors without repeats: one for a rejected row, else one for each cell.

    An account and the identity that it creates are converted from the same row, so an error may be found in both.
    Errors within lists of objects are all kept, after the others.
    """
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
