"""From columns of text to the rows of a table: typed, with ids, with their source, the bad ones told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whohas.engine.sql import literal, quote
from whohas.warehouse.intake.arrow import nulls, one, pc
from whohas.warehouse.intake.forms import USUAL, Form
from whohas.warehouse.intake.sources import Sources
from whohas.warehouse.intake.values import BAD_ID, Value, bad_id, made_id, present, typed
from whohas.warehouse.tables import ATTRIBUTES, IDENTITIES, Table

Places = npt.NDArray[np.int64]

NAMED_BY_SOURCE = frozenset({"accounts", "entitlements", "account_entitlements"})
"""Tables whose rows are nothing without a source."""

_IDS = frozenset({"id", "identityId", "accountId", "entitlementId", "identitySourceId"})
_NEEDED = {
    "sources": (),
    "accounts": ("nativeIdentity",),
    "entitlements": (),
    "account_entitlements": ("accountId", "entitlementId"),
    "identity_access": ("identityId", "id"),
    "identity_apps": ("identityId", "id"),
}
"""The columns that may not be empty; of other tables it is the id."""


@dataclass(frozen=True, slots=True)
class Typed:
    """Rows of a table.

    Attributes:
        data: in the table's schema, its attributes still null; bad rows are in it.
        wrong: per row the number of its reason, or -1.
        reasons: column and reason by number.
    """

    data: dict[str, pa.Array]
    wrong: Places
    reasons: tuple[tuple[str, str], ...]


class Typing:
    """Turns text into the rows of one table.

    Args:
        connection: DuckDB.
        table: which table.
        texts: column to SQL that gives its text from a batch, null where it is empty. `uncorrelated` counts as one.
        sources: takes the sources that rows name.
        source: the id of the source of all rows; None where the rows say.
        separator: what separates several values in one text.
        authoritative: whether accounts make identities: those of all sources, or of those with these ids.
        references: whether ids are not ids yet, but what the file calls their objects by.
        forms: column to how its texts are written, where a mapping says it.
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
    ) -> None:
        self._connection = connection
        self._table = table
        self._forms = dict(forms or {})
        self._authoritative = authoritative
        self._references = references
        self._texts = {name: self._present(name, text) for name, text in texts.items()}
        self._sources = sources
        self._source = source
        self._has_source = "sourceId" in table.schema.names
        # (SQL over texts `t` and values `v` that is true of a bad row, column, reason)
        self._checks: list[tuple[str, str, str]] = []
        self._values: dict[str, str] = {}
        self._express(separator)
        self._reasons = tuple((column, reason) for _, column, reason in self._checks)
        self._sql = self._statement()

    def _statement(self) -> str:
        given = ', "_source"' if self._has_source and self._source is None else ""
        texts = ", ".join(f"{sql} AS {quote(name)}" for name, sql in self._texts.items())
        # a step of its own for the values: within one, DuckDB would work out each as often as it is named
        values = ", ".join(f"{sql} AS {quote('v.' + name)}" for name, sql in self._values.items())
        arms = " ".join(f"WHEN {sql} THEN {number}" for number, (sql, _, _) in enumerate(self._checks))
        wrong = f"CASE {arms} ELSE -1 END" if arms else "-1"
        results = ", ".join(f"{quote('v.' + name)} AS {quote('v.' + name)}" for name in self._values)
        return (
            f"WITH t AS (SELECT {texts}{given} FROM batch), v AS (SELECT *{', ' if values else ''}{values} FROM t) "
            f'SELECT {results}{", " if results else ""}{wrong}::INTEGER AS "_wrong" FROM v'
        )

    def __call__(self, batch: pa.Table) -> Typed:
        """Types the rows of a batch, in their order."""
        ids: pa.Array | None = None
        if self._has_source and self._source is None:
            ids = self._resolve(batch)
            batch = batch.append_column("_source", ids)
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
        for column in self._table.columns:
            if column.name not in data:
                data[column.name] = nulls(rows, column.type)
            elif data[column.name].type != column.type:
                data[column.name] = data[column.name].cast(column.type)
        return Typed(data, wrong, self._reasons)

    def _express(self, separator: str | None) -> None:
        name = self._table.name
        needed = _NEEDED.get(name, ("id",))
        if name in NAMED_BY_SOURCE and self._source is None:
            self._checks.append(('"_source" IS NULL', "sourceId", "no source: neither sourceId nor sourceName"))
        for column in needed:
            self._checks.append(
                (f"{quote(column)} IS NULL" if column in self._texts else "true", column, f"no {column}")
            )
        for column in self._table.columns:
            if column.name not in self._texts:
                continue
            if column.type == ATTRIBUTES:
                text = quote(column.name)
                wrong = f"CASE WHEN json_valid({text}) THEN json_type({text}) <> 'OBJECT' ELSE {text} IS NOT NULL END"
                self._checks.append((wrong, column.name, "no JSON object"))
                continue
            if self._has_source and column.name in ("sourceId", "sourceName"):
                continue
            if column.name in _IDS and not self._references:
                self._checks.append((bad_id(quote(column.name)), column.name, BAD_ID))
            self._add(column.name, typed(column, quote(column.name), separator, self._form(column.name)))
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
        if value.reason is not None:
            text, typed_value = quote(name), quote(f"v.{name}")
            # only where the value is null is the text looked at again
            wrong = f"{typed_value} IS NULL AND {text} IS NOT NULL AND trim({text}) <> ''"
            self._checks.append((wrong, name, value.reason))

    def _special(self) -> None:
        """What a table's rows have by rule rather than by their text."""
        values = self._values
        source = literal(self._source) if self._source is not None else '"_source"'
        match self._table.name:
            case "accounts":
                made = made_id(source, values.get("nativeIdentity", "''"))
                values["id"] = f"coalesce({values['id']}, {made})" if "id" in values else made
                held = values.get("identityId", "NULL::VARCHAR")
                if self._authoritative:
                    among = "true"
                    if self._authoritative is not True:
                        among = f"list_contains([{', '.join(map(literal, sorted(self._authoritative)))}], {source})"
                    held = f"CASE WHEN {among} THEN {made_id(source, values['nativeIdentity'])} ELSE {held} END"
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
            case "entitlements":
                value = ", ".join(values[c] for c in ("value", "name") if c in values) or "NULL::VARCHAR"
                made = made_id(source, f"coalesce({values.get('attribute', 'NULL')}, '')", f"coalesce({value}, NULL)")
                values["id"] = f"coalesce({values['id']}, {made})" if "id" in values else made
                self._checks.append((f"{quote('v.id')} IS NULL", "value", "neither id nor value"))
                names = ", ".join(values[c] for c in ("name", "value") if c in values) or "NULL::VARCHAR"
                values["name"] = f"coalesce({names}, NULL)"
            case "sources":
                named = [quote(c) for c in ("id", "name") if c in self._texts]
                nameless = " AND ".join(f"{c} IS NULL" for c in named) or "true"
                self._checks.append((nameless, "name", "neither id nor name"))
            case "events":
                values["month"] = f"coalesce(strftime({values.get('created', 'NULL::TIMESTAMPTZ')}, '%Y-%m'), '')"
            case "identity_access" if "type" in values:
                values["type"] = f"upper({values['type']})"
            case _:
                pass

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
        self._connection.register("batch", batch)
        pairs = self._connection.sql(f"SELECT {named[0]} AS id, {named[1]} AS name FROM batch").to_arrow_table()
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
