"""Convert batches of files with columns (CSV, XLSX, Parquet) to rows of tables.

`layout_by_names` and `mapped_layout` decide which column of a file becomes which column of the table: by whohas' own
column names, or by a mapping. `TextRows` converts the batches of a file with such a layout; `TableRows` are the rows
with their record numbers, and the errors of rejected rows and unreadable cells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from whohas.engine.sql import quote_identifier, referenced_column_indexes
from whohas.errors import InvalidArguments
from whohas.ingest import attributes
from whohas.ingest.convert import NAMED_BY_SOURCE, ConvertedBatch, RowConverter, display_name_sql
from whohas.ingest.forms import TextForm, as_lists, has_arrays
from whohas.ingest.mapping import ColumnSource, MappingPart, SourceMapping, name_suggestions
from whohas.ingest.readers.batches import RecordNumbers, RowBatch, RowError
from whohas.ingest.sources import LoadedSources
from whohas.warehouse.arrow import as_array, pc
from whohas.warehouse.schema import ACCOUNTS, ATTRIBUTES, IDENTITIES, Table


@dataclass(frozen=True, slots=True)
class TableRows:
    """Converted rows of a table, without rejected ones.

    Attributes:
        table: the table.
        data: the rows, in the table's schema.
        records: for each row the number of the record in its file.
    """

    table: Table
    data: pa.Table
    records: RecordNumbers


def good_rows(table: Table, typed: ConvertedBatch, records: RecordNumbers) -> TableRows:
    """Return the rows of a converted batch that are not rejected.

    Args:
        table: the table of the rows.
        typed: the converted batch.
        records: the record number of each row of the batch.
    """
    data = pa.table([typed.data[name] for name in table.schema.names], schema=table.schema)
    good = typed.error_numbers < 0
    if good.all():
        return TableRows(table, data, records)
    return TableRows(table, data.filter(pa.array(good)), records[good])


def row_errors(
    typed: ConvertedBatch,
    records: RecordNumbers,
    column_of: Callable[[str], str],
    value_of: Callable[[int, str], str],
    row_of: Callable[[int], str],
) -> list[RowError]:
    """Return the errors of a converted batch: rejected rows, then unreadable cells and list items of the other rows.

    Args:
        typed: the converted batch.
        records: the record number of each row of the batch.
        column_of: returns the file's name for a column of the table.
        value_of: returns the text of a cell, by index of the row and column of the table; empty if the file lacks it.
        row_of: returns a row as text, by its index.
    """

    def source_of(place: int) -> str:
        return typed.data["sourceId"][place].as_py() or "" if "sourceId" in typed.data else ""

    found: list[RowError] = []
    for place in np.flatnonzero(typed.error_numbers >= 0).tolist():
        column, reason = typed.reasons[typed.error_numbers[place]]
        value = value_of(place, column)
        shown = _shown(value, reason) if value else reason
        found.append(RowError(int(records[place]), column_of(column), shown, row_of(place), source_of(place)))
    for cells in typed.unreadable:
        for place in cells.places[typed.error_numbers[cells.places] < 0].tolist():
            value = value_of(place, cells.column)
            shown = _shown(value, cells.reason)
            name = column_of(cells.column)
            found.append(RowError(int(records[place]), name, shown, row_of(place), source_of(place), value))
    for cell in typed.nested_errors:
        place = cell.row
        if typed.error_numbers[place] < 0:
            name = column_of(cell.column)
            where, row, source = f"{name}{cell.path}", row_of(place), source_of(place)
            found.append(RowError(int(records[place]), where, cell.reason, row, source, cell.value, name))
    return found


def _shown(value: str, reason: str) -> str:
    return f"{value[:60]!r} is {reason}"


_SEPARATOR = ";"
"""The separator of values in cells of columns whose type is a list of texts, such as `tags`."""


class FileColumns(Protocol):
    """An open file with columns. In its batches the columns are named `0`, `1`, `2` and so on, in the header's order.

    Attributes:
        header: the names of the columns.
        format_row: a function that formats the cells of one row as the file would have them, for lists of rejected
            rows.
    """

    @property
    def header(self) -> list[str]: ...

    @property
    def format_row(self) -> Callable[[list[str]], str]: ...


@dataclass(frozen=True, slots=True)
class ColumnLayout:
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
    forms: Mapping[str, TextForm] = field(default_factory=dict[str, TextForm])
    empty: tuple[str, ...] = ()


def layout_by_names(path: Any, table: Table, header: list[str], lists: Mapping[str, str]) -> ColumnLayout:
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
    made = {column.name for column in table.columns if column.computed}
    for column in table.columns:
        names = tuple(dict.fromkeys((*column.paths, column.name)))
        found = tuple(name for name in names if name in header)
        if found and not column.computed:
            columns[column.name] = found
    if table is ACCOUNTS and "uncorrelated" in header:
        columns["uncorrelated"] = ("uncorrelated",)
    used = {name for names in columns.values() for name in names if not (free and name.startswith("attributes."))}
    unknown = tuple(name for name in header if name not in used and name not in made)
    known = known_columns(table)
    if not any(not name.startswith("attributes.") for names in columns.values() for name in names):
        raise InvalidArguments(
            f"{path}: no column is known. The file has: {', '.join(header)}. Columns of {table.name} are: "
            f"{', '.join(known)}. Other names need a mapping: `whohas docs load`."
        )
    if unknown and (not free or "attributes" in columns):
        raise InvalidArguments(
            f"{path}: unknown columns {', '.join(map(repr, unknown))}{name_suggestions(unknown[0], known)}."
        )
    if table.name in NAMED_BY_SOURCE and not {"sourceId", "sourceName"} & columns.keys():
        raise InvalidArguments(
            f"{path} does not say which source its rows belong to: it needs a column sourceId or sourceName, "
            "or a mapping with [source] name: `whohas docs load`."
        )
    return ColumnLayout(columns, {name.removeprefix("attributes."): name for name in unknown}, lists, unknown)


def named_columns(mapping: SourceMapping, part: MappingPart, section: str) -> list[tuple[str, str]]:
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
    named += [(f"{section}.lists", name) for name in part.separators or {}]
    named += [(f"{section}.attributes", name) for name in part.attributes or ()]
    named += [(f"{section}.entitlements", name) for name in part.entitlements]
    return named


def known_columns(table: Table) -> list[str]:
    """Return the column names that a file without a mapping may use: the table's columns and their dotted paths."""
    names = [name for column in table.columns if not column.computed for name in (column.name, *column.paths)]
    return list(dict.fromkeys(names))


def mapped_layout(
    mapping: SourceMapping, part: MappingPart, section: str, header: list[str], lists: Mapping[str, str]
) -> ColumnLayout:
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
                f"{name_suggestions(name, header)}."
            )
    columns = {ours: (theirs.column,) for ours, theirs in part.columns.items()}
    if mapping.column is not None:
        columns["sourceName"] = (mapping.column,)
    chosen = header if part.attributes is None else part.attributes
    attributes = {name: name for name in chosen}
    lists = {**(part.separators or {}), **lists} if section != "accounts" else {**mapping.account_separators, **lists}
    return ColumnLayout(
        columns,
        attributes,
        lists,
        carriers=mapping.entitlement_columns if section == "accounts" else frozenset(),
        forms={ours: theirs.form for ours, theirs in part.columns.items()},
        empty=mapping.empty_texts,
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
        references: whether columns of ids hold the names that the file uses for objects; see `RowConverter`.
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
        file: FileColumns,
        layout: ColumnLayout,
        sources: LoadedSources,
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
        self._typing = RowConverter(
            *(connection, table, texts, sources, source, _SEPARATOR, authoritative, references),
            forms=layout.forms,
            holder=holder,
        )
        self.without_id = 0
        self._identities: RowConverter | None = None
        if authoritative:
            made = {ours: self._text((theirs.column,)) for ours, theirs in (identities or {}).items()}
            forms = {ours: theirs.form for ours, theirs in (identities or {}).items()}
            account = texts.get("name", texts["nativeIdentity"])
            shown = display_name_sql(None, made.get("firstName"), made.get("lastName"), account)
            made = {"name": texts["nativeIdentity"], "displayName": shown, **made}
            given = {"id": '"_identity"', "sourceId": '"_source"', "_authoritative": '"_authoritative"'}
            self._identities = RowConverter(
                connection, IDENTITIES, {**made, **given}, sources, None, _SEPARATOR, forms=forms
            )
            named = {ours: theirs.column for ours, theirs in (identities or {}).items()}
            self._made = {"name": layout.columns["nativeIdentity"][0], **named}

    def _text(self, names: tuple[str, ...]) -> str:
        """Return SQL over a batch for the first text of some columns that is not empty; null if all are."""
        cells = [f"nullif({quote_identifier(self._place[name])}, '')" for name in names]
        return cells[0] if len(cells) == 1 else f"coalesce({', '.join(cells)})"

    def __call__(self, batch: RowBatch) -> tuple[list[TableRows], list[RowError]]:
        """Return the rows of a batch, as rows of the table and of created identities, and the errors of the batch.

        Rows whose cells are all empty are skipped. An account and the identity that it creates are kept or rejected
        together.
        """
        written, records = self._without_empty(batch)
        if not written.num_rows:
            return [], []
        data = self._emptied(written)
        typed = self._typing(data)
        bad: list[RowError] = []
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
            typed.error_numbers[made.error_numbers >= 0] = 0
        if self._free and self._layout.attributes:
            typed.data["attributes"] = self._attributes(data)
        for name in self._json:
            typed.data[name] = self._json_attributes(name, data)
        found = [good_rows(self._table, typed, records)]
        if made is not None:
            made.data["attributes"] = typed.data["attributes"]
            made.error_numbers[:] = np.where((typed.error_numbers < 0) & own, -1, 0)
            found.append(good_rows(IDENTITIES, made, records))
        if self._table is ACCOUNTS and self._notes:
            self._note_attributes(found[0].data)
        return found, bad

    def _make(self, identities: RowConverter, data: pa.Table, accounts: ConvertedBatch) -> tuple[ConvertedBatch, Any]:
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
        own = accounts.data["authoritative"].fill_null(False).to_numpy(zero_copy_only=False) & (
            accounts.error_numbers < 0
        )
        made.error_numbers[~own] = -1
        if self._id_column is not None:
            empty = pc.equal(as_array(data.column(self._place[self._id_column])), "").to_numpy(zero_copy_only=False)
            self.without_id += int((empty & own).sum())
        read = [replace(cells, places=cells.places[own[cells.places]]) for cells in made.unreadable]
        return replace(made, unreadable=tuple(read)), own

    def _without_empty(self, batch: RowBatch) -> tuple[pa.Table, Any]:
        """Return the rows of a batch that have a cell that is not empty, and their record numbers.

        The loop stops at the first column by which every row is known to have one: in most files the first column.
        """
        data = batch.data
        full: Any = None
        for column in data.columns:
            held = pc.not_equal(column, "")
            full = held if full is None else pc.or_(full, held)
            if pc.all(full).as_py():
                return data, batch.record_numbers
        return data.filter(full), batch.record_numbers[
            full.to_numpy(zero_copy_only=False)
        ] if full is not None else batch.record_numbers

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
        split at their separators by `attributes.attributes_from_columns`.
        """
        cells = {name: data.column(self._place[column]) for name, column in self._layout.attributes.items()}
        for name, column in self._layout.attributes.items():
            if column in self._layout.carriers:
                texts = as_array(cells[name])
                if column in self._layout.lists or has_arrays(texts):
                    cells[name] = as_lists(self._connection, texts, self._layout.lists.get(column))
        lists = {
            name: self._layout.lists[column]
            for name, column in self._layout.attributes.items()
            if column in self._layout.lists
        }
        return attributes.attributes_from_columns(cells, lists)

    def _json_attributes(self, name: str, data: pa.Table) -> pa.Array:
        """Return the attributes of each row from a column of JSON objects; null where the text is not JSON."""
        text = self._text(self._layout.columns[name])
        self._connection.register("batch", data.select(referenced_column_indexes(data.column_names, text)))
        cells = self._connection.sql(
            f"SELECT CASE WHEN json_valid({text}) THEN {text} END AS t FROM batch"
        ).to_arrow_table()
        return attributes.attributes_from_json(self._connection, as_array(cells.column("t")))

    def _note_attributes(self, data: pa.Table) -> None:
        """Record in `sources` which attributes the accounts of each source have."""
        if "attributes" in self._json:
            named = attributes.attribute_names_by_owner(
                as_array(data.column("sourceId")), as_array(data.column("attributes"))
            )
            for id, names in named.items():
                self._sources.add_attributes(id, names)
        else:
            for id in pc.unique(data.column("sourceId")).to_pylist():
                self._sources.add_attributes(id, self._layout.attributes)

    def _faults(
        self, typed: ConvertedBatch, data: pa.Table, records: Any, names: Mapping[str, str], filled: dict[str, int]
    ) -> list[RowError]:
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
        if not typed.unreadable and not typed.nested_errors and not (typed.error_numbers >= 0).any():
            return []

        def value_of(place: int, column: str) -> str:
            name = column_of(column)
            return data.column(self._place[name])[place].as_py() if name in self._place else ""

        def row_of(place: int) -> str:
            return self._file.format_row([column[place].as_py() for column in data.columns])

        # "no nativeIdentity" would name a column that the file does not have if a mapping names it differently.
        reasons = tuple(
            (column, "no value" if reason == f"no {column}" and column_of(column) != column else reason)
            for column, reason in typed.reasons
        )
        return row_errors(replace(typed, reasons=reasons), records, column_of, value_of, row_of)


def _once(bad: list[RowError]) -> list[RowError]:
    """Return the errors without repeats: one for a rejected row, else one for each cell.

    An account and the identity that it creates are converted from the same row, so an error may be found in both.
    Errors within lists of objects are all kept, after the others.
    """
    rows = {fault.record_number for fault in bad if fault.cell_text is None and not fault.list_name}
    found: dict[tuple[int, str | None], RowError] = {}
    inner = [fault for fault in bad if fault.list_name]
    for fault in bad:
        if fault.list_name:
            continue
        if fault.cell_text is None:
            found.setdefault((fault.record_number, None), fault)
        elif fault.record_number not in rows:
            found.setdefault((fault.record_number, fault.column), fault)
    return [*found.values(), *inner]
