"""Convert batches of text columns to rows of a table: values, ids and sources, with errors of bad rows and cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whohas.engine.sql import columns_named_by, literal, quote
from whohas.ingest.forms import USUAL, Form
from whohas.ingest.objects import Inner, object_columns, read_lists
from whohas.ingest.sources import Sources
from whohas.ingest.values import BAD_ID, Value, bad_id, made_id, present, typed
from whohas.warehouse.arrow import nulls, one, pc
from whohas.warehouse.schema import ACCESS_PROFILES, ATTRIBUTES, IDENTITIES, TIME, Column, Table

Places = npt.NDArray[np.int64]

NAMED_BY_SOURCE = frozenset({"accounts", "entitlements", "account_entitlements"})
"""Tables whose rows are nothing without a source."""

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
"""The columns that may not be empty; of other tables it is the id."""

_HOLDER = "holder"
_NO_SOURCE = "''"
_KINDS = {"access_profiles": "ACCESS_PROFILE", "roles": "ROLE", "apps": "APP", "identity_apps": "APP"}
"""The type from which the ids of a table's rows are made where a file gives none."""


_NAMING = frozenset({"id", "nativeIdentity", "sourceName", "authoritativeSourceName"})
_ENTITLED = frozenset({"entitlements", "account_entitlements", "identity_access"})


def names_something(table: Table, column: Column) -> bool:
    """Whether a column's text names an object, so that an empty one is none: ids, native identities, names of sources.

    The attribute and value of an entitlement are of these, for ids are made from them.
    """
    if column.name in _NAMING or column.name.endswith("Id"):
        return True
    if column.name in ("attribute", "value"):
        return table.name in _ENTITLED
    return table.name == "sources" and column.name == "name"


_BY_RULE = {"accounts": ("correlated", "authoritative", "uncorrelated")}
"""Columns whose values follow from more than their texts."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Cells of one column that cannot be read: they are null in the rows.

    Attributes:
        reason: why their texts are no values.
        places: the rows, ascending.
    """

    column: str
    reason: str
    places: Places


@dataclass(frozen=True, slots=True)
class Typed:
    """Rows of a table.

    Attributes:
        data: in the table's schema, its attributes still null; bad rows are in it.
        wrong: per row the number of its reason, or -1.
        reasons: column and reason by number.
        unreadable: optional cells that became null.
        filled: by column that not every text fits, how many cells have a text.
        inner: what cannot be read within cells that are lists of objects.
        inner_filled: by column and place within its objects, as `filled`.
        items: by column that is a list of objects, how many objects its cells have.
    """

    data: dict[str, pa.Array]
    wrong: Places
    reasons: tuple[tuple[str, str], ...]
    unreadable: tuple[Unreadable, ...] = ()
    filled: Mapping[str, int] = field(default_factory=dict[str, int])
    inner: tuple[Inner, ...] = ()
    inner_filled: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    items: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class _Cell:
    """How a text that cannot be read is found.

    Attributes:
        wrong: SQL over texts `t` and values `v`, true where the column's text cannot be read.
        counted: whether the value of a readable text is never null, so that nulls tell how many cells are filled.
    """

    column: str
    wrong: str
    reason: str
    counted: bool


def identifying(table: Table) -> frozenset[str]:
    """Return the columns that identify a row: it is rejected where one of them cannot be read."""
    return frozenset({"id", *_NEEDED.get(table.name, ("id",))})


class Typing:
    """Converts batches of text to rows of one table, by one generated SQL statement.

    Args:
        connection: DuckDB.
        table: which table.
        texts: column to SQL that gives its text from a batch, null where it is empty. `uncorrelated` counts as one.
        sources: takes the sources that rows name.
        source: the id of the source of all rows; None where the rows say.
        separator: what separates several values in one text.
        authoritative: whether accounts make identities: those of all sources, or of those with these ids.
        references: whether ids are not ids yet, but what the file calls their objects by.
        holder: SQL that gives the id of the identity that an account makes; without one, and where it is null, the id
            is made from source and native identity.
        forms: column to how its texts are written, where a mapping says it.
        rare: whether rare spellings of times are read at once. Without it a batch that has an unreadable time is typed
            once more with them, for planning them takes as long as typing some thousand rows.
    """

    def __init__(
        self,
        connection: Any,
        table: Table,
        texts: Mapping[str, str],
        sources: Sources,
        source: str | None = None,
        separator: str | None = None,
        authoritative: bool | frozenset[str] = False,
        references: bool = False,
        forms: Mapping[str, Form] | None = None,
        holder: str | None = None,
        rare: bool = False,
    ) -> None:
        self._with_rare = partial(
            *(Typing, connection, table, texts, sources, source, separator, authoritative, references, forms, holder),
            rare=True,
        )
        self._rare = rare
        self._times = {column.name for column in table.columns if column.type == TIME}
        self._lists = list(object_columns(table.columns))
        self._thorough: Typing | None = None
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
        # (SQL over texts `t` and values `v` that is true of a bad row, column, reason)
        self._checks: list[tuple[str, str, str]] = []
        self._cells: list[_Cell] = []
        self._values: dict[str, str] = {}
        self._express(separator)
        self._reasons = tuple((column, reason) for _, column, reason in self._checks)
        self._sql = self._statement()

    def _statement(self) -> str:
        given = ', "_source"' if self._has_source and self._source is None else ""
        texts = ", ".join(f"{sql} AS {quote(name)}" for name, sql in self._texts.items())
        # a step of its own for the values: within one, DuckDB would work out each as often as it is named
        values = ", ".join(f"{sql} AS {quote('v.' + name)}" for name, sql in self._values.items())
        wrong = _first(sql for sql, _, _ in self._checks)
        results = [f"{quote('v.' + name)} AS {quote('v.' + name)}" for name in self._values]
        results += [
            f"{_has_text(quote(cell.column))} AS {quote('f.' + cell.column)}"
            for cell in self._cells
            if not cell.counted
        ]
        # one number a row says whether any cell is wrong: which ones is asked of those few rows alone
        results += [f'{wrong} AS "_wrong"', f'{_first(cell.wrong for cell in self._cells)} AS "_cell"']
        begin = f"WITH t AS (SELECT {texts}{given} FROM batch), v AS (SELECT *{', ' if values else ''}{values} FROM t) "
        flags = ", ".join(f"coalesce({cell.wrong}, false) AS c{n}" for n, cell in enumerate(self._cells))
        self._cells_sql = f"{begin}SELECT {flags} FROM v"
        return f"{begin}SELECT {', '.join(results)} FROM v"

    def __call__(self, batch: pa.Table) -> Typed:
        """Types the rows of a batch, in their order."""
        if self._thorough is None:
            typed = self._typed(batch)
            if self._rare or not any(cells.column in self._times for cells in typed.unreadable):
                return typed
            self._thorough = self._with_rare()
        return self._thorough(batch)

    def _typed(self, batch: pa.Table) -> Typed:
        ids: pa.Array | None = None
        if self._has_source and self._source is None:
            ids = self._resolve(batch)
            batch = batch.append_column("_source", ids)
        batch = batch.select(columns_named_by(batch.column_names, self._sql, self._cells_sql))
        self._connection.register("batch", batch)
        result = self._connection.sql(self._sql).to_arrow_table()
        data = {name: one(result.column(f"v.{name}")) for name in self._values if name != "uncorrelated"}
        rows = batch.num_rows
        if self._has_source:
            known = [self._source] if self._source is not None else pc.unique(ids).to_pylist()
            for name, key in (("sourceName", "name"), ("sourceType", "type")):
                if name in self._table.schema.names:
                    data[name] = self._of_source(ids, known, key, data.get(name), rows)
            data["sourceId"] = pa.repeat(pa.scalar(self._source, pa.string()), rows) if ids is None else ids
        wrong = one(result.column("_wrong")).to_numpy(zero_copy_only=False).astype(np.int64)
        lists = {c.name: read_lists(self._connection, c, data[c.name]) for c in self._lists if c.name in data}
        for name, read in lists.items():
            data[name] = read.data
            if self._table is ACCESS_PROFILES and name == "entitlements":
                data[name] = self._with_ids(read.data, data["sourceId"])
        for column in self._table.columns:
            if column.name not in data:
                data[column.name] = nulls(rows, column.type)
            elif data[column.name].type != column.type:
                data[column.name] = data[column.name].cast(column.type)
        unreadable = self._unreadable(batch, one(result.column("_cell")).to_numpy(zero_copy_only=False))
        return Typed(
            data,
            wrong,
            self._reasons,
            unreadable,
            self._filled(result, unreadable),
            tuple(fault for read in lists.values() for fault in read.faults),
            {(name, within): count for name, read in lists.items() for within, count in read.filled.items()},
            {name: read.items for name, read in lists.items()},
        )

    def _with_ids(self, lists: pa.Array, sources: pa.Array) -> pa.Array:
        """Gives the entitlements of access profiles ids where they have none."""
        if lists.null_count == len(lists):
            return lists
        self._connection.register("lists", pa.table({"items": lists, "source": sources}))
        found = self._connection.sql(f"SELECT {_with_ids('items', 'source')} AS items FROM lists").to_arrow_table()
        self._connection.unregister("lists")
        return one(found.column("items"))

    def _unreadable(self, batch: pa.Table, first: npt.NDArray[Any]) -> tuple[Unreadable, ...]:
        """The cells that cannot be read, by column; `first` has per row the number of a wrong one, or -1."""
        places = np.flatnonzero(first >= 0)
        if not len(places):
            return ()
        self._connection.register("batch", batch.take(pa.array(places)))
        flags = self._connection.sql(self._cells_sql).to_arrow_table()
        wrong = [places[one(column).to_numpy(zero_copy_only=False)] for column in flags.columns]
        return tuple(
            Unreadable(cell.column, cell.reason, found)
            for cell, found in zip(self._cells, wrong, strict=True)
            if len(found)
        )

    def _filled(self, result: pa.Table, unreadable: tuple[Unreadable, ...]) -> dict[str, int]:
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
        name = self._table.name
        # a row that names no entitlement is none of memberships, but no bad one
        needed = ("accountId",) if self._references else _NEEDED.get(name, ("id",))
        if name in NAMED_BY_SOURCE and self._source is None:
            self._checks.append(('"_source" IS NULL', "sourceId", "no source: neither sourceId nor sourceName"))
        for column in needed:
            text = quote(column)
            # a text of blanks sorts before all others: only then is it trimmed
            missing = f"({text} IS NULL OR ({text} < '!' AND trim({text}) = ''))" if column in self._texts else "true"
            self._checks.append((missing, column, f"no {column}"))
        for column in self._table.columns:
            if column.name not in self._texts:
                continue
            if column.type == ATTRIBUTES:
                text = quote(column.name)
                wrong = f"CASE WHEN json_valid({text}) THEN json_type({text}) <> 'OBJECT' ELSE {text} IS NOT NULL END"
                self._cells.append(_Cell(column.name, wrong, "no JSON object", counted=False))
                continue
            if self._has_source and column.name in ("sourceId", "sourceName"):
                continue
            value = typed(column, quote(column.name), separator, self._form(column.name), self._rare)
            if column.name in _IDS and not self._references:
                wrong = bad_id(quote(column.name))
                if column.name in identifying(self._table):
                    self._checks.append((wrong, column.name, BAD_ID))
                else:  # it refers to something else, and so does not identify the row
                    self._cells.append(_Cell(column.name, wrong, BAD_ID, counted=False))
                    value = Value(f"CASE WHEN NOT {wrong} THEN {value.sql} END")
            self._add(column.name, value)
        self._special()

    def _form(self, name: str) -> Form:
        return self._forms.get(name, USUAL)

    def _present(self, name: str, text: str) -> str:
        """SQL: the text of a column, null where its form means no value by it."""
        if name not in self._forms or name not in self._table.schema.names:
            return text
        return present(self._table.column(name), text, self._forms[name])

    def _add(self, name: str, value: Value) -> None:
        self._values[name] = value.sql
        if value.reason is None:
            return
        if name in _BY_RULE.get(self._table.name, ()):  # the row's value is not that of the text
            wrong = f"{_has_text(quote(name))} AND ({value.sql}) IS NULL"
            self._cells.append(_Cell(name, wrong, value.reason, counted=False))
            return
        # only where the value is null is the text looked at again
        wrong = f"{quote(f'v.{name}')} IS NULL AND {_has_text(quote(name))}"
        self._cells.append(_Cell(name, wrong, value.reason, counted=True))

    def _special(self) -> None:
        """What a table's rows have by rule rather than by their text."""
        values = self._values
        source = literal(self._source) if self._source is not None else '"_source"'
        match self._table.name:
            case "accounts":
                made = made_id(source, values.get("nativeIdentity", "''"))
                values["id"] = _some(values.get("id"), made)
                held = values.get("identityId", "NULL::VARCHAR")
                if self._authoritative:
                    among = "true"
                    if self._authoritative is not True:
                        among = f"list_contains([{', '.join(map(literal, sorted(self._authoritative)))}], {source})"
                    own = made_id(source, values["nativeIdentity"])
                    if self._holder is not None:
                        own = _some(quote(_HOLDER), own)
                        self._checks.append((f"{among} AND {bad_id(quote(_HOLDER))}", "identityId", BAD_ID))
                    held = f"CASE WHEN {among} THEN {own} ELSE {held} END"
                    values["authoritative"] = among
                flag = f"{held} IS NOT NULL"
                if "correlated" in values:
                    flag += f" AND coalesce({values['correlated']}, true)"
                if "uncorrelated" in self._texts:
                    uncorrelated = typed(
                        self._table.column("correlated"), quote("uncorrelated"), form=self._form("uncorrelated")
                    )
                    self._add("uncorrelated", uncorrelated)
                    flag = f"{held} IS NOT NULL AND NOT coalesce({uncorrelated.sql}, NOT ({flag}))"
                self._correlated(flag, held)
            case "identities":
                named = [values.get(name) for name in ("displayName", "firstName", "lastName", "name")]
                if any(named):
                    values["displayName"] = shown_name(*named)
            case "entitlements":
                values["id"] = _some(values.get("id"), _made_entitlement(source, values))
                self._checks.append((f"{quote('v.id')} IS NULL", "value", "neither id nor value"))
                values["name"] = _some(values.get("name"), values.get("value"))
            case "sources":
                named = [quote(c) for c in ("id", "name") if c in self._texts]
                nameless = " AND ".join(f"{c} IS NULL" for c in named) or "true"
                self._checks.append((nameless, "name", "neither id nor name"))
            case "events":
                values["month"] = f"coalesce(strftime({values.get('created', 'NULL::TIMESTAMPTZ')}, '%Y-%m'), '')"
            case "identity_access":
                values["derived"] = "false"
                self._access_item(source)
            case name if name in _KINDS:
                kind = _KINDS[name]
                made = _made_item(_NO_SOURCE if kind == "ROLE" else source, literal(kind), values.get("name", "NULL"))
                values["id"] = _some(values.get("id"), made)
                self._checks.append((f"{quote('v.id')} IS NULL", "name", "neither id nor name"))
            case _:
                pass

    def _access_item(self, source: str) -> None:
        """Gives what an identity holds the id that the item's own row has where neither has one."""
        values = self._values
        if "type" in values:
            values["type"] = f"upper({values['type']})"
        kind, name = values.get("type", "NULL"), values.get("name", "NULL")
        made = (
            f"CASE {kind} WHEN 'ENTITLEMENT' THEN {_made_entitlement(source, values)} "
            f"WHEN 'ROLE' THEN {_made_item(_NO_SOURCE, kind, name)} ELSE {_made_item(source, kind, name)} END"
        )
        values["id"] = _some(values.get("id"), made)
        self._checks.append((f"{quote('v.id')} IS NULL", "id", "no id, nor type and name to make one from"))

    def _correlated(self, flag: str, held: str) -> None:
        """Sets both columns of correlation, so that they never contradict each other."""
        if held == "NULL::VARCHAR":
            self._values["correlated"] = "false"
        else:
            self._values["correlated"] = f"({flag})"
            self._values["identityId"] = f"CASE WHEN {flag} THEN {held} END"

    def _resolve(self, batch: pa.Table) -> pa.Array:
        """The source of each row; '' or null where a row names none."""
        none = "" if self._table.name == IDENTITIES.name else None
        named = [self._texts.get(name, "NULL::VARCHAR") for name in ("sourceId", "sourceName")]
        if all(sql == "NULL::VARCHAR" for sql in named):
            return pa.repeat(pa.scalar(none, pa.string()), batch.num_rows)
        sql = f"SELECT {named[0]} AS id, {named[1]} AS name FROM batch"
        self._connection.register("batch", batch.select(columns_named_by(batch.column_names, sql)))
        pairs = self._connection.sql(sql).to_arrow_table()
        id, name = (one(pairs.column(c)) for c in ("id", "name"))
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
        """A property of each row's source; of a type the row's own text comes first."""
        of = {
            id: None if not id else self._sources.rows[id][key] if key != "name" else self._sources.name(id)
            for id in known
        }
        if ids is None:
            found = pa.repeat(pa.scalar(of[self._source], pa.string()), rows)
        else:
            found = pa.array(list(of.values()), pa.string()).take(pc.index_in(ids, pa.array(list(of), pa.string())))
        return found if given is None else pc.coalesce(given, found)


def shown_name(given: str | None, first: str | None, last: str | None, name: str | None) -> str:
    """SQL: the name of an identity for people.

    It is what a file gives; else a name of several words; else first and last name; else the name, such as a login.
    """
    parts = ", ".join(f"nullif(trim({part}), '')" for part in (first, last) if part is not None)
    full = f"nullif(concat_ws(' ', {parts}), '')" if parts else None
    words = None if name is None else f"CASE WHEN contains(trim({name}), ' ') THEN {name} END"
    found = [None if given is None else f"nullif({given}, '')", words, full, name, given]
    return f"coalesce({', '.join(text for text in found if text is not None)})"


def _some(*texts: str | None) -> str:
    """SQL: the first of these texts that is neither null nor empty."""
    found = [f"nullif({text}, '')" for text in texts if text is not None]
    return f"coalesce({', '.join([*found, 'NULL'])})" if found else "NULL::VARCHAR"


def _made_entitlement(source: str, values: Mapping[str, str]) -> str:
    """SQL: the id of an entitlement that has none; null where it has neither value nor name.

    An entitlement's own row, what an identity holds and what an access profile contains all get the same one.
    """
    attribute = _some(values.get("attribute"))
    return made_id(
        f"coalesce({source}, '')", f"coalesce({attribute}, '')", _some(values.get("value"), values.get("name"))
    )


def _made_item(source: str, kind: str, name: str) -> str:
    """SQL: the id of an access profile, a role or an app that has none; null where it has no type or no name."""
    return made_id(f"coalesce({source}, '')", f"nullif({kind}, '')", f"nullif({name}, '')")


def _with_ids(objects: str, source: str) -> str:
    """SQL: a list of entitlements of one source, each with an id."""
    members = [field.name for field in ACCESS_PROFILES.column("entitlements").type.value_type]
    made = _made_entitlement(source, {name: f"e.{quote(name)}" for name in ("attribute", "value", "name")})
    cells = {name: f"e.{quote(name)}" for name in members} | {"id": _some('e."id"', made)}
    packed = ", ".join(f"{literal(name)}: {sql}" for name, sql in cells.items())
    return f"list_transform({objects}, lambda e: {{{packed}}})"


def _has_text(text: str) -> str:
    """SQL: whether a cell has more than blanks."""
    return f"{text} IS NOT NULL AND trim({text}) <> ''"


def _first(conditions: Iterable[str]) -> str:
    """SQL: the number of the first condition that is true, or -1."""
    arms = " ".join(f"WHEN {sql} THEN {number}" for number, sql in enumerate(conditions))
    return f"CASE {arms} ELSE -1 END::INTEGER" if arms else "-1::INTEGER"
