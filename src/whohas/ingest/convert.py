"""Convert batches of text columns to rows of a table: typed values, derived ids and source ids.

`RowConverter` generates one SQL statement for a table and runs it over each batch; `ConvertedBatch` is the result, with
the rows to reject and the cells that cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whohas.engine.sql import quote_identifier, referenced_column_indexes, string_literal
from whohas.ingest.forms import DEFAULT_FORM, TextForm
from whohas.ingest.objects import NestedError, object_columns, read_lists
from whohas.ingest.sources import LoadedSources
from whohas.ingest.values import BAD_ID, Value, bad_id, derived_id, null_if_absent, typed_value
from whohas.warehouse.arrow import as_array, null_array, pc
from whohas.warehouse.schema import ACCESS_PROFILES, ATTRIBUTES, IDENTITIES, TIME, Table, TableColumn

Places = npt.NDArray[np.int64]

NAMED_BY_SOURCE = frozenset({"accounts", "entitlements", "account_entitlements"})
"""Tables whose rows are rejected if they name no source."""

_IDS = frozenset({"id", "identityId", "accountId", "entitlementId", "identitySourceId"})
_NEEDED = {
    "sources": (),
    "accounts": ("nativeIdentity",),
    "entitlements": (),
    "account_entitlements": ("accountId", "entitlementId"),
    "identity_access": ("identityId",),
    "identity_apps": ("identityId",),
    "access_profiles": (),
    "roles": (),
    "apps": (),
}
"""Columns that must not be empty, by table; in other tables it is `id`."""

_HOLDER = "holder"
_NO_SOURCE = "''"
_KINDS = {"access_profiles": "ACCESS_PROFILE", "roles": "ROLE", "apps": "APP", "identity_apps": "APP"}
"""The type of item that is part of derived ids, by table; `ENTITLEMENT` is not listed, see `_made_entitlement`."""


_NAMING = frozenset({"id", "nativeIdentity", "sourceName", "authoritativeSourceName"})
_ENTITLED = frozenset({"entitlements", "account_entitlements", "identity_access"})


def names_something(table: Table, column: TableColumn) -> bool:
    """Return whether a column's text identifies or refers to an object, so that an empty text means "no value".

    These are ids, native identities and names of sources, and in tables of entitlements also `attribute` and `value`,
    because ids are derived from them. In other columns an empty text is a value like any other.
    """
    if column.name in _NAMING or column.name.endswith("Id"):
        return True
    if column.name in ("attribute", "value"):
        return table.name in _ENTITLED
    return table.name == "sources" and column.name == "name"


_BY_RULE = {"accounts": ("correlated", "authoritative", "uncorrelated")}
"""Columns whose values do not follow from their texts alone; see `RowConverter._special`."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Optional cells of one column that could not be converted, so that they are null in the converted rows.

    Attributes:
        column: the column of the table.
        reason: the rest of the sentence "'text' is …", such as `no integer`.
        places: indexes of the rows in the batch, ascending.
    """

    column: str
    reason: str
    places: Places


@dataclass(frozen=True, slots=True)
class ConvertedBatch:
    """A converted batch: one row of the table for each row of the batch, including the rows to reject.

    Attributes:
        data: the columns of the table. Columns of attributes are still null; `text_rows` sets them.
        error_numbers: for each row the index in `reasons` of the error that rejects it, or -1.
        reasons: pairs of column and reason.
        unreadable: optional cells that became null because their text could not be converted.
        filled: number of cells with a text, by column in which some texts cannot be converted.
        nested_errors: errors within cells that are lists of objects: rejected objects, and members that became null.
        inner_filled: like `filled`, for the members of such objects, by column and path (`.privileged`).
        items: number of objects in all cells, by column of lists of objects.
    """

    data: dict[str, pa.Array]
    error_numbers: Places
    reasons: tuple[tuple[str, str], ...]
    unreadable: tuple[Unreadable, ...] = ()
    filled: Mapping[str, int] = field(default_factory=dict[str, int])
    nested_errors: tuple[NestedError, ...] = ()
    inner_filled: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    items: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class _UnreadableCell:
    """The check that finds the unreadable cells of one column.

    Attributes:
        column: the column of the table.
        wrong: SQL over the columns of `v` (see `RowConverter._statement`), true where the text cannot be converted.
        reason: as in `Unreadable`.
        counted: whether every readable text has a value that is not null. Then the number of filled cells is the number
            of values that are not null plus the number of unreadable cells; otherwise SQL has to count the texts.
    """

    column: str
    wrong: str
    reason: str
    counted: bool


def identifying(table: Table) -> frozenset[str]:
    """Return the columns that identify a row: a row is rejected if one of them is empty or cannot be read."""
    return frozenset({"id", *_NEEDED.get(table.name, ("id",))})


class RowConverter:
    """Converts batches of text to rows of one table with one generated SQL statement.

    Args:
        connection: DuckDB.
        table: the table of the rows.
        texts: for each column, SQL over the batch's columns for its text, null where the cell is empty. `uncorrelated`
            is accepted as a column of accounts: the opposite of `correlated`.
        sources: the registry of sources; sources that the rows name and that are new are added to it.
        source: the id of the source of all rows; None if the columns `sourceId` and `sourceName` say it.
        separator: the separator of several values in one text; None if only a JSON array holds several.
        authoritative: whether each account creates an identity: for all sources, or for those with these ids.
        references: whether columns of ids hold the names that the file uses for objects (native identities, values of
            entitlements), so that they are not checked as ids. `memberships.resolve_memberships` replaces them by ids
            later.
        forms: for each column, the settings of a mapping for the text of its cells.
        holder: SQL for the id of the identity that an authoritative account creates. Without it, and where it is null,
            the id is derived from source and native identity.
        rare: whether rare spellings of times are accepted from the beginning. If false, a batch with an unreadable time
            is converted once more with them, and so are all batches after it. DuckDB needs as long to plan these
            expressions as to convert a few thousand rows, and most files never need them.
    """

    def __init__(
        self,
        connection: Any,
        table: Table,
        texts: Mapping[str, str],
        sources: LoadedSources,
        source: str | None = None,
        separator: str | None = None,
        authoritative: bool | frozenset[str] = False,
        references: bool = False,
        forms: Mapping[str, TextForm] | None = None,
        holder: str | None = None,
        rare: bool = False,
    ) -> None:
        self._with_rare = partial(
            *(
                RowConverter,
                connection,
                table,
                texts,
                sources,
                source,
                separator,
                authoritative,
                references,
                forms,
                holder,
            ),
            rare=True,
        )
        self._rare = rare
        self._times = {column.name for column in table.columns if column.type == TIME}
        self._lists = list(object_columns(table.columns))
        self._thorough: RowConverter | None = None
        self._connection = connection
        self._table = table
        self._forms = dict(forms or {})
        self._holder = holder
        self._authoritative = authoritative
        self._references = references
        self._texts = {name: self._present(name, text) for name, text in texts.items()}
        if holder is not None:
            self._texts[_HOLDER] = holder
        self._sources = sources
        self._source = source
        self._has_source = "sourceId" in table.schema.names
        # (SQL over the columns of `v` that is true for a row to reject, column, reason)
        self._checks: list[tuple[str, str, str]] = []
        self._cells: list[_UnreadableCell] = []
        self._values: dict[str, str] = {}
        self._express(separator)
        self._reasons = tuple((column, reason) for _, column, reason in self._checks)
        self._sql = self._statement()

    def _statement(self) -> str:
        """Return the statement for a batch, and set the statement that lists unreadable cells.

        Step `t` selects the texts, step `v` adds the values as `v.<column>`. An example, `privileged` of accounts from
        the file's columns 0 and 1, shortened::

            WITH t AS (SELECT nullif("0", '') AS "nativeIdentity", nullif("1", '') AS "privileged" FROM batch),
                 v AS (SELECT *, "nativeIdentity" AS "v.nativeIdentity", CASE … END AS "v.privileged" FROM t)
            SELECT "v.nativeIdentity", "v.privileged",
                CASE WHEN "nativeIdentity" IS NULL THEN 0 ELSE -1 END AS "_wrong",
                CASE WHEN "v.privileged" IS NULL AND "privileged" IS NOT NULL THEN 0 ELSE -1 END AS "_cell"
            FROM v

        The row `u1,true` gives `u1, true, -1, -1`. The row `u2,perhaps` gives `u2, null, -1, 0`: an unreadable cell.
        The row `,true` gives `null, true, 0, -1`: it is rejected by the first check.
        """
        given = ', "_source"' if self._has_source and self._source is None else ""
        texts = ", ".join(f"{sql} AS {quote_identifier(name)}" for name, sql in self._texts.items())
        # The values get a separate step: in a single step, DuckDB would compute a value at each place that uses it.
        values = ", ".join(f"{sql} AS {quote_identifier('v.' + name)}" for name, sql in self._values.items())
        wrong = _first(sql for sql, _, _ in self._checks)
        results = [f"{quote_identifier('v.' + name)} AS {quote_identifier('v.' + name)}" for name in self._values]
        results += [
            f"{_has_text(quote_identifier(cell.column))} AS {quote_identifier('f.' + cell.column)}"
            for cell in self._cells
            if not cell.counted
        ]
        # `_cell` only says whether a row has any unreadable cell; a second statement lists them, for these few rows.
        results += [f'{wrong} AS "_wrong"', f'{_first(cell.wrong for cell in self._cells)} AS "_cell"']
        begin = f"WITH t AS (SELECT {texts}{given} FROM batch), v AS (SELECT *{', ' if values else ''}{values} FROM t) "
        flags = ", ".join(f"coalesce({cell.wrong}, false) AS c{n}" for n, cell in enumerate(self._cells))
        self._cells_sql = f"{begin}SELECT {flags} FROM v"
        return f"{begin}SELECT {', '.join(results)} FROM v"

    def __call__(self, batch: pa.Table) -> ConvertedBatch:
        """Convert the rows of a batch, in their order; see `rare` for when a batch is converted twice."""
        if self._thorough is None:
            typed = self._typed(batch)
            if self._rare or not any(cells.column in self._times for cells in typed.unreadable):
                return typed
            self._thorough = self._with_rare()
        return self._thorough(batch)

    def _typed(self, batch: pa.Table) -> ConvertedBatch:
        ids: pa.Array | None = None
        if self._has_source and self._source is None:
            ids = self._resolve(batch)
            batch = batch.append_column("_source", ids)
        batch = batch.select(referenced_column_indexes(batch.column_names, self._sql, self._cells_sql))
        self._connection.register("batch", batch)
        result = self._connection.sql(self._sql).to_arrow_table()
        data = {name: as_array(result.column(f"v.{name}")) for name in self._values if name != "uncorrelated"}
        rows = batch.num_rows
        if self._has_source:
            known = [self._source] if self._source is not None else pc.unique(ids).to_pylist()
            for name, key in (("sourceName", "name"), ("sourceType", "type")):
                if name in self._table.schema.names:
                    data[name] = self._of_source(ids, known, key, data.get(name), rows)
            data["sourceId"] = pa.repeat(pa.scalar(self._source, pa.string()), rows) if ids is None else ids
        wrong = as_array(result.column("_wrong")).to_numpy(zero_copy_only=False).astype(np.int64)
        lists = {c.name: read_lists(self._connection, c, data[c.name]) for c in self._lists if c.name in data}
        for name, read in lists.items():
            data[name] = read.data
            if self._table is ACCESS_PROFILES and name == "entitlements":
                data[name] = self._with_ids(read.data, data["sourceId"])
        for column in self._table.columns:
            if column.name not in data:
                data[column.name] = null_array(rows, column.type)
            elif data[column.name].type != column.type:
                data[column.name] = data[column.name].cast(column.type)
        unreadable = self._unreadable(batch, as_array(result.column("_cell")).to_numpy(zero_copy_only=False))
        return ConvertedBatch(
            data,
            wrong,
            self._reasons,
            unreadable,
            self._filled(result, unreadable),
            tuple(fault for read in lists.values() for fault in read.faults),
            {(name, within): count for name, read in lists.items() for within, count in read.filled_counts.items()},
            {name: read.item_count for name, read in lists.items()},
        )

    def _with_ids(self, lists: pa.Array, sources: pa.Array) -> pa.Array:
        """Return the entitlements of access profiles, with a derived id for each that has none."""
        if lists.null_count == len(lists):
            return lists
        self._connection.register("lists", pa.table({"items": lists, "source": sources}))
        found = self._connection.sql(f"SELECT {_with_ids('items', 'source')} AS items FROM lists").to_arrow_table()
        self._connection.unregister("lists")
        return as_array(found.column("items"))

    def _unreadable(self, batch: pa.Table, first: npt.NDArray[Any]) -> tuple[Unreadable, ...]:
        """Return the unreadable cells by column.

        Args:
            first: for each row of the batch the index of its first unreadable cell in `_cells`, or -1. It selects the
                rows for which all checks are run.
        """
        places = np.flatnonzero(first >= 0)
        if not len(places):
            return ()
        self._connection.register("batch", batch.take(pa.array(places)))
        flags = self._connection.sql(self._cells_sql).to_arrow_table()
        wrong = [places[as_array(column).to_numpy(zero_copy_only=False)] for column in flags.columns]
        return tuple(
            Unreadable(cell.column, cell.reason, found)
            for cell, found in zip(self._cells, wrong, strict=True)
            if len(found)
        )

    def _filled(self, result: pa.Table, unreadable: tuple[Unreadable, ...]) -> dict[str, int]:
        """Return the number of cells with a text, by column; see `ConvertedBatch.filled`."""
        bad = {cells.column: len(cells.places) for cells in unreadable}
        filled: dict[str, int] = {}
        for cell in self._cells:
            if cell.counted:
                column = result.column(f"v.{cell.column}")
                filled[cell.column] = len(column) - column.null_count + bad.get(cell.column, 0)
            else:
                filled[cell.column] = pc.sum(result.column(f"f.{cell.column}")).as_py() or 0
        return filled

    def _express(self, separator: str | None) -> None:
        """Collect the SQL of the statement: checks of rows, checks of cells, and the value of each column."""
        name = self._table.name
        # A row without an entitlement is no membership, but no error either: exports list accounts without any.
        needed = ("accountId",) if self._references else _NEEDED.get(name, ("id",))
        if name in NAMED_BY_SOURCE and self._source is None:
            self._checks.append(('"_source" IS NULL', "sourceId", "no source: neither sourceId nor sourceName"))
        for column in needed:
            text = quote_identifier(column)
            # A text of blanks sorts before '!', the first visible character; texts after it need not be trimmed.
            missing = f"({text} IS NULL OR ({text} < '!' AND trim({text}) = ''))" if column in self._texts else "true"
            self._checks.append((missing, column, f"no {column}"))
        for column in self._table.columns:
            if column.name not in self._texts:
                continue
            if column.type == ATTRIBUTES:
                text = quote_identifier(column.name)
                wrong = f"CASE WHEN json_valid({text}) THEN json_type({text}) <> 'OBJECT' ELSE {text} IS NOT NULL END"
                self._cells.append(_UnreadableCell(column.name, wrong, "no JSON object", counted=False))
                continue
            if self._has_source and column.name in ("sourceId", "sourceName"):
                continue
            value = typed_value(column, quote_identifier(column.name), separator, self._form(column.name), self._rare)
            if column.name in _IDS and not self._references:
                wrong = bad_id(quote_identifier(column.name))
                if column.name in identifying(self._table):
                    self._checks.append((wrong, column.name, BAD_ID))
                else:  # a reference to another object: the row is kept, and the reference becomes null
                    self._cells.append(_UnreadableCell(column.name, wrong, BAD_ID, counted=False))
                    value = Value(f"CASE WHEN NOT {wrong} THEN {value.sql} END")
            self._add(column.name, value)
        self._special()

    def _form(self, name: str) -> TextForm:
        return self._forms.get(name, DEFAULT_FORM)

    def _present(self, name: str, text: str) -> str:
        """Return SQL of a column's text, null where the column's settings say that the text means "no value"."""
        if name not in self._forms or name not in self._table.schema.names:
            return text
        return null_if_absent(self._table.column(name), text, self._forms[name])

    def _add(self, name: str, value: Value) -> None:
        """Add the value of a column, and the check of its cells if some texts cannot be converted."""
        self._values[name] = value.sql
        if value.reason is None:
            return
        if name in _BY_RULE.get(self._table.name, ()):  # `_special` replaces the value, so its nulls do not show errors
            wrong = f"{_has_text(quote_identifier(name))} AND ({value.sql}) IS NULL"
            self._cells.append(_UnreadableCell(name, wrong, value.reason, counted=False))
            return
        # The text is only examined where the value is null, because that is rare and the check of a text is slow.
        wrong = f"{quote_identifier(f'v.{name}')} IS NULL AND {_has_text(quote_identifier(name))}"
        self._cells.append(_UnreadableCell(name, wrong, value.reason, counted=True))

    def _special(self) -> None:
        """Set the values that do not follow from one text alone: derived ids, correlation, display names, months."""
        values = self._values
        source = string_literal(self._source) if self._source is not None else '"_source"'
        match self._table.name:
            case "accounts":
                made = derived_id(source, values.get("nativeIdentity", "''"))
                values["id"] = _some(values.get("id"), made)
                held = values.get("identityId", "NULL::VARCHAR")
                if self._authoritative:
                    among = "true"
                    if self._authoritative is not True:
                        among = (
                            f"list_contains([{', '.join(map(string_literal, sorted(self._authoritative)))}], {source})"
                        )
                    own = derived_id(source, values["nativeIdentity"])
                    if self._holder is not None:
                        own = _some(quote_identifier(_HOLDER), own)
                        self._checks.append((f"{among} AND {bad_id(quote_identifier(_HOLDER))}", "identityId", BAD_ID))
                    held = f"CASE WHEN {among} THEN {own} ELSE {held} END"
                    values["authoritative"] = among
                flag = f"{held} IS NOT NULL"
                if "correlated" in values:
                    flag += f" AND coalesce({values['correlated']}, true)"
                if "uncorrelated" in self._texts:
                    uncorrelated = typed_value(
                        self._table.column("correlated"),
                        quote_identifier("uncorrelated"),
                        form=self._form("uncorrelated"),
                    )
                    self._add("uncorrelated", uncorrelated)
                    flag = f"{held} IS NOT NULL AND NOT coalesce({uncorrelated.sql}, NOT ({flag}))"
                self._correlated(flag, held)
            case "identities":
                named = [values.get(name) for name in ("displayName", "firstName", "lastName", "name")]
                if any(named):
                    values["displayName"] = display_name_sql(*named)
            case "entitlements":
                values["id"] = _some(values.get("id"), _made_entitlement(source, values))
                self._checks.append((f"{quote_identifier('v.id')} IS NULL", "value", "neither id nor value"))
                values["name"] = _some(values.get("name"), values.get("value"))
            case "sources":
                named = [quote_identifier(c) for c in ("id", "name") if c in self._texts]
                nameless = " AND ".join(f"{c} IS NULL" for c in named) or "true"
                self._checks.append((nameless, "name", "neither id nor name"))
            case "events":
                values["month"] = f"coalesce(strftime({values.get('created', 'NULL::TIMESTAMPTZ')}, '%Y-%m'), '')"
            case "identity_access":
                values["derived"] = "false"
                self._access_item(source)
            case name if name in _KINDS:
                kind = _KINDS[name]
                made = _made_item(
                    _NO_SOURCE if kind == "ROLE" else source, string_literal(kind), values.get("name", "NULL")
                )
                values["id"] = _some(values.get("id"), made)
                self._checks.append((f"{quote_identifier('v.id')} IS NULL", "name", "neither id nor name"))
            case _:
                pass

    def _access_item(self, source: str) -> None:
        """Set the ids of access items of identities (`identity_access`) that have none in the file.

        The id is derived from the same parts as in the item's own table (entitlements, roles, …), so the two rows match
        although the file has no id in either place.
        """
        values = self._values
        if "type" in values:
            values["type"] = f"upper({values['type']})"
        kind, name = values.get("type", "NULL"), values.get("name", "NULL")
        made = (
            f"CASE {kind} WHEN 'ENTITLEMENT' THEN {_made_entitlement(source, values)} "
            f"WHEN 'ROLE' THEN {_made_item(_NO_SOURCE, kind, name)} ELSE {_made_item(source, kind, name)} END"
        )
        values["id"] = _some(values.get("id"), made)
        self._checks.append((f"{quote_identifier('v.id')} IS NULL", "id", "no id, nor type and name to make one from"))

    def _correlated(self, flag: str, held: str) -> None:
        """Set `correlated` and `identityId` so that an account has an identity exactly if it is correlated.

        Args:
            flag: SQL, whether the account is correlated.
            held: SQL of the account's identity id.
        """
        if held == "NULL::VARCHAR":
            self._values["correlated"] = "false"
        else:
            self._values["correlated"] = f"({flag})"
            self._values["identityId"] = f"CASE WHEN {flag} THEN {held} END"

    def _resolve(self, batch: pa.Table) -> pa.Array:
        """Return the source id of each row, for a batch whose rows name their sources by id, name or both.

        A row that names no source gets the empty text in identities, else null. Each distinct pair of id and name is
        looked up once. An example: the rows `(null, HR)`, `(s1, null)`, `(null, HR)` are joined to the keys `\\x01HR`,
        `s1\\x01`, `\\x01HR`, the two distinct keys are resolved, and the codes `[0, 1, 0]` assign the ids to rows.
        """
        none = "" if self._table.name == IDENTITIES.name else None
        named = [self._texts.get(name, "NULL::VARCHAR") for name in ("sourceId", "sourceName")]
        if all(sql == "NULL::VARCHAR" for sql in named):
            return pa.repeat(pa.scalar(none, pa.string()), batch.num_rows)
        sql = f"SELECT {named[0]} AS id, {named[1]} AS name FROM batch"
        self._connection.register("batch", batch.select(referenced_column_indexes(batch.column_names, sql)))
        pairs = self._connection.sql(sql).to_arrow_table()
        id, name = (as_array(pairs.column(c)) for c in ("id", "name"))
        key = pc.binary_join_element_wise(id.fill_null(""), name.fill_null(""), "\x01")
        codes = key.dictionary_encode()
        found: list[str | None] = []
        for text in codes.dictionary.to_pylist():
            id_text, _, name_text = text.partition("\x01")
            found.append(self._sources.resolve(id_text or None, name_text or None) if text != "\x01" else none)
        return pa.array(found, pa.string()).take(codes.indices)

    def _of_source(
        self, ids: pa.Array | None, known: list[Any], key: str, given: pa.Array | None, rows: int
    ) -> pa.Array:
        """Return a property of each row's source.

        Args:
            ids: the source id of each row; None if all rows belong to one source.
            known: the distinct source ids.
            key: `name` or `type`.
            given: the values that the file has for this column, which take precedence; None if it has none.
            rows: the number of rows.
        """
        of = {
            id: None if not id else self._sources.rows[id][key] if key != "name" else self._sources.name(id)
            for id in known
        }
        if ids is None:
            found = pa.repeat(pa.scalar(of[self._source], pa.string()), rows)
        else:
            found = pa.array(list(of.values()), pa.string()).take(pc.index_in(ids, pa.array(list(of), pa.string())))
        return found if given is None else pc.coalesce(given, found)


def display_name_sql(given: str | None, first: str | None, last: str | None, name: str | None) -> str:
    """Return SQL for the display name of an identity, or of the identity that an account creates.

    It is the first of these that is not empty: the display name in the file; the name, if it has several words; first
    and last name; the name, such as a login. An example: without a display name, the name `adoe`, first name `Ann` and
    last name `Doe` give `Ann Doe`, but the name `Dr. Ann Doe` gives `Dr. Ann Doe`.

    Args:
        given: SQL of the display name; None if the file has no such column. Likewise the others.
        first: SQL of the first name.
        last: SQL of the last name.
        name: SQL of the name.
    """
    parts = ", ".join(f"nullif(trim({part}), '')" for part in (first, last) if part is not None)
    full = f"nullif(concat_ws(' ', {parts}), '')" if parts else None
    words = None if name is None else f"CASE WHEN contains(trim({name}), ' ') THEN {name} END"
    found = [None if given is None else f"nullif({given}, '')", words, full, name, given]
    return f"coalesce({', '.join(text for text in found if text is not None)})"


def _some(*texts: str | None) -> str:
    """Return SQL for the first of some texts that is neither null nor empty, or else null."""
    found = [f"nullif({text}, '')" for text in texts if text is not None]
    return f"coalesce({', '.join([*found, 'NULL'])})" if found else "NULL::VARCHAR"


def _made_entitlement(source: str, values: Mapping[str, str]) -> str:
    """Return SQL for the derived id of an entitlement; null if it has neither value nor name.

    The row of `entitlements`, the access item of an identity and the member of an access profile get the same id,
    because all three derive it from source, attribute and value (or name).

    Args:
        source: SQL of the source id.
        values: SQL of `attribute`, `value` and `name`; any may be missing.
    """
    attribute = _some(values.get("attribute"))
    return derived_id(
        f"coalesce({source}, '')", f"coalesce({attribute}, '')", _some(values.get("value"), values.get("name"))
    )


def _made_item(source: str, kind: str, name: str) -> str:
    """Return SQL for the derived id of an access profile, a role or an app; null if it has no type or no name."""
    return derived_id(f"coalesce({source}, '')", f"nullif({kind}, '')", f"nullif({name}, '')")


def _with_ids(objects: str, source: str) -> str:
    """Return SQL for a list of entitlements of one source, in which those without an id get a derived one."""
    members = [field.name for field in ACCESS_PROFILES.column("entitlements").type.value_type]
    made = _made_entitlement(source, {name: f"e.{quote_identifier(name)}" for name in ("attribute", "value", "name")})
    cells = {name: f"e.{quote_identifier(name)}" for name in members} | {"id": _some('e."id"', made)}
    packed = ", ".join(f"{string_literal(name)}: {sql}" for name, sql in cells.items())
    return f"list_transform({objects}, lambda e: {{{packed}}})"


def _has_text(text: str) -> str:
    """Return SQL for whether a text is neither null nor blank."""
    return f"{text} IS NOT NULL AND trim({text}) <> ''"


def _first(conditions: Iterable[str]) -> str:
    """Return SQL for the index, from 0, of the first true condition, or -1: the check that a row fails first."""
    arms = " ".join(f"WHEN {sql} THEN {number}" for number, sql in enumerate(conditions))
    return f"CASE {arms} ELSE -1 END::INTEGER" if arms else "-1::INTEGER"
