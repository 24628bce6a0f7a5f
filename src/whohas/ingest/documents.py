"""Rows of the tables out of documents, as the public API and the search index give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.engine.sql import literal, quote
from whohas.ingest import attributes
from whohas.ingest.convert import Typed, Typing, identifying, names_something
from whohas.ingest.objects import KINDS, MANY
from whohas.ingest.readers.batches import Batch, Fault, Numbers
from whohas.ingest.shaped import Shaped, faults, shaped
from whohas.ingest.sources import Sources
from whohas.warehouse.arrow import one, pc
from whohas.warehouse.schema import (
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    ATTRIBUTES,
    IDENTITIES,
    IDENTITY_ACCESS,
    IDENTITY_APPS,
    OWNED,
    TEXT,
    TEXTS,
    Column,
    Table,
)

_HELD = """
WITH listed AS (
    SELECT record, id, sourceId, unnest(map_entries(entitlementAttributes)) AS e FROM nested
), carried AS (
    SELECT record, id, sourceId, e.key AS attribute, unnest(e.value) AS value FROM listed
), lone AS (
    SELECT record, sourceId, any_value(id) AS id FROM nested GROUP BY ALL HAVING count(*) = 1
)
SELECT DISTINCT x.record, coalesce(c.id, l.id) AS accountId, x.id AS entitlementId, x.sourceId, x.attribute, x.value
FROM held x
LEFT JOIN carried c
    ON c.record = x.record AND c.sourceId = x.sourceId AND c.attribute = x.attribute AND c.value = x.value
LEFT JOIN lone l ON l.record = x.record AND l.sourceId = x.sourceId
WHERE x.type = 'ENTITLEMENT' AND x.sourceId IS NOT NULL AND coalesce(c.id, l.id) IS NOT NULL
ORDER BY x.record
"""


_SINGLE = "['VARCHAR', 'BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE', 'BOOLEAN']"
"""DuckDB's names of JSON's single values, as SQL."""


@dataclass(frozen=True, slots=True)
class _Nested:
    """An object or array in the place of a single value.

    Attributes:
        place: the document's place in its batch.
    """

    place: int
    column: str
    value: str


class DocumentRows:
    """Shapes batches of documents of one kind.

    Args:
        given: further text columns of the batch, by the column of the table that they give.
        nested: where in another document these lie, for messages; empty for whole documents.

    Attributes:
        filled: by path that not every text fits, how many documents have a text there.
        items: by list in the documents, such as `access`, how many items were read.
    """

    def __init__(
        self, connection: Any, table: Table, sources: Sources, given: Mapping[str, str] | None = None, nested: str = ""
    ) -> None:
        self._connection = connection
        self._table = table
        self._sources = sources
        self._given = dict(given or {})
        self._nested = nested
        self._maps = [column.name for column in table.columns if column.type == ATTRIBUTES]
        self._paths: dict[str, int] = {}
        self.filled: Counter[str] = Counter()
        self.items: Counter[str] = Counter()
        self._objects_at = self._object_paths()
        self._sql = self._extraction()
        texts = {name: quote(name) for name in (*self._columns, *self._given)}
        self._typing = Typing(connection, table, texts, sources)
        self._fans: list[tuple[str, DocumentRows]] = []
        if table is IDENTITIES:
            owner = {"identityId": "_id", "identitySourceId": "_source"}
            self._fans = [
                (
                    "accounts",
                    DocumentRows(
                        connection, ACCOUNTS, sources, {"identityId": "_id", "identityName": "_name"}, "accounts"
                    ),
                ),
                ("access", DocumentRows(connection, IDENTITY_ACCESS, sources, owner, "access")),
                ("apps", DocumentRows(connection, IDENTITY_APPS, sources, owner, "apps")),
            ]

    def _object_paths(self) -> list[str]:
        """The names under which documents have objects or lists of them, out of which columns are taken."""
        single = {path for column in self._table.columns for path in column.paths}
        found = [path.split(".")[0] for column in self._table.columns for path in column.paths if "." in path]
        lists = ["accounts", "access", "apps"] if self._table is IDENTITIES else []
        names = [name for name in dict.fromkeys([*found, *lists]) if name not in single]
        return [*names, "owns"] if self._table is IDENTITIES else names

    def _extraction(self) -> str:
        names = [c for c in self._table.columns if c.name not in self._given and not c.made]
        self._columns = [c.name for c in names] + (["uncorrelated"] if self._table is ACCOUNTS else [])
        cells: list[str] = []
        nested: list[str] = []
        flags: list[str] = []
        for column in names:
            if column.name == "owned" and self._table is IDENTITIES:
                cells.append(f"{_owned()} AS owned")
                continue
            found = [self._text(path) for path in column.paths]
            cells.append(f"{self._value(column)} AS {quote(column.name)}")
            if not pa.types.is_nested(column.type):
                many = [
                    f"({text} LIKE '{{%' OR {text} LIKE '[%') AND json_type(doc, {literal('$.' + path)}) "
                    "IN ('OBJECT', 'ARRAY')"
                    for text, path in zip(found, column.paths, strict=True)
                ]
                nested += [f"WHEN {sql} THEN {literal(column.name)}" for sql in many]
                flags.append(f"{' OR '.join(many)} AS {quote(column.name)}")
        if self._table is ACCOUNTS:
            cells.append(f"{self._text('uncorrelated')} AS uncorrelated")
        cells += [f"{quote(column)} AS {quote(name)}" for name, column in self._given.items()]
        wrong = f"CASE {' '.join(nested)} END" if nested else "NULL::VARCHAR"
        paths = ", ".join(literal(f"$.{path}") for path in self._paths)
        begin = f"WITH x AS (SELECT *, json_extract_string(doc, [{paths}]) AS p FROM docs) "
        self._nested_sql = f"{begin}SELECT {', '.join(flags)} FROM x"
        objects = ", ".join(literal(f"$.{name}") for name in self._objects_at)
        misplaced = f"list_has_any(json_type(doc, [{objects}]), {_SINGLE})" if objects else "false"
        return f'{begin}SELECT {", ".join(cells)}, {wrong} AS "_nested", {misplaced} AS "_misplaced", doc FROM x'

    def _value(self, column: Column) -> str:
        """The text of a column: the first path that has more than empty text, else empty text where a path has that."""
        found = [self._text(path) for path in column.paths]
        if (column.type == TEXT and not names_something(self._table, column)) or column.type == TEXTS:
            # p[1], 'a' and '' -> coalesce(nullif(p[1], ''), nullif(p[2], ''), p[1], p[2])
            found = found if len(found) > 1 else []
            found += [f"p[{self._paths[path]}]" for path in column.paths]
        return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"

    def _text(self, path: str) -> str:
        place = self._paths.setdefault(path, len(self._paths) + 1)
        return f"nullif(p[{place}], '')"

    def __call__(self, batch: Batch) -> tuple[list[Shaped], list[Fault]]:
        """The rows of a batch of documents, and the documents that are rejected."""
        data, records, bad = self._objects(batch.data, batch.records)
        if not data.num_rows:
            return [], bad
        found, more = self._shape(data, records)
        return found, bad + more

    def _objects(self, data: pa.Table, records: Numbers) -> tuple[pa.Table, Numbers, list[Fault]]:
        self._connection.register("docs", data)
        kinds = (
            self._connection.sql(
                "SELECT CASE WHEN NOT json_valid(doc) THEN 'invalid' ELSE json_type(doc) END AS k FROM docs"
            )
            .to_arrow_table()
            .column("k")
        )
        good = pc.equal(kinds, "OBJECT")
        if pc.all(good).as_py():
            return data, records, []
        bad: list[Fault] = []
        for place, kind in enumerate(kinds.to_pylist()):
            if kind != "OBJECT":
                reason = "no valid JSON" if kind == "invalid" else f"{KINDS.get(kind, 'a number')} instead of an object"
                bad.append(Fault(int(records[place]), "", reason, data.column("doc")[place].as_py()))
        return data.filter(good), records[good.to_numpy()], bad

    def _shape(self, data: pa.Table, records: Numbers) -> tuple[list[Shaped], list[Fault]]:
        self._connection.register("docs", data)
        texts = self._connection.sql(self._sql).to_arrow_table()
        texts, nested = self._single(texts)
        typed = self._typing(texts)
        bad = self._faults(typed, texts, records, nested) + self._misplaced(typed, texts, records)
        for name in self._maps:
            column = one(texts.column(name))
            if column.null_count < len(column):
                typed.data[name] = attributes.from_json(self._connection, column)
                if self._table is ACCOUNTS and name == "attributes":
                    for id, names in attributes.names_by(typed.data["sourceId"], typed.data[name]).items():
                        self._sources.add_attributes(id, names)
        rows = shaped(self._table, typed, records)
        found = [rows]
        if self._fans:
            good = pa.array(typed.wrong < 0)
            parents = pa.table(
                {
                    "doc": texts.column("doc").filter(good),
                    "_id": rows.data.column("id"),
                    "_name": rows.data.column("name"),
                    "_source": rows.data.column("sourceId"),
                    "_record": pa.array(rows.records),
                }
            )
            for name, fan in self._fans:
                more, faulty = fan.fan_out(parents, name)
                self.filled.update(fan.filled)
                self.items.update(fan.items)
                fan.filled.clear()
                fan.items.clear()
                found += more
                bad += [replace(fault, part=name) if fault.value is None else fault for fault in faulty]
            found += self._held(found)
        return found, bad

    def fan_out(self, parents: pa.Table, name: str) -> tuple[list[Shaped], list[Fault]]:
        """The rows of what is nested in documents under a name."""
        self._connection.register("parents", parents)
        # PowerShell and converters of XML write a list of one as the one
        items = (
            f"CASE json_type(doc, '$.{name}') WHEN 'ARRAY' THEN json_extract(doc, '$.{name}[*]') "
            f"WHEN 'OBJECT' THEN [json_extract(doc, '$.{name}')] END"
        )
        inner = self._connection.sql(
            f"SELECT _id, _name, _source, _record, unnest({items})::VARCHAR AS doc FROM parents"
        ).to_arrow_table()
        if not inner.num_rows:
            return [], []
        self.items[name] += inner.num_rows
        records = inner.column("_record").to_numpy()
        data, kept, bad = self._objects(inner, records)
        if not data.num_rows:
            return [], bad
        found, more = self._shape(data, kept)
        return found, bad + more

    def _held(self, found: list[Shaped]) -> list[Shaped]:
        """Which of an identity's nested accounts holds which of its entitlements, as far as the document tells."""
        rows = {item.table.name: item for item in found}
        accounts, access = rows.get(ACCOUNTS.name), rows.get(IDENTITY_ACCESS.name)
        if accounts is None or access is None:
            return []
        columns = ["id", "sourceId", "entitlementAttributes"]
        self._connection.register(
            "nested", accounts.data.select(columns).append_column("record", pa.array(accounts.records))
        )
        columns = ["id", "sourceId", "type", "attribute", "value"]
        self._connection.register("held", access.data.select(columns).append_column("record", pa.array(access.records)))
        table = self._connection.sql(_HELD).to_arrow_table()
        data = table.select(ACCOUNT_ENTITLEMENTS.schema.names).cast(ACCOUNT_ENTITLEMENTS.schema)
        return [Shaped(ACCOUNT_ENTITLEMENTS, data, table.column("record").to_numpy())]

    def _misplaced(self, typed: Typed, texts: pa.Table, records: Numbers) -> list[Fault]:
        """The single values that stand where documents have objects or lists of them: nothing is read of them."""
        flagged = texts.column("_misplaced").fill_null(False).to_numpy()
        places = np.flatnonzero(flagged & (typed.wrong < 0))
        if not len(places):
            return []
        self._connection.register("docs", texts.take(pa.array(places)).select(["doc"]))
        bad: list[Fault] = []
        for name in self._objects_at:
            path = literal(f"$.{name}")
            values = self._connection.sql(
                f"SELECT CASE WHEN list_contains({_SINGLE}, json_type(doc, {path})) "
                f"THEN json_extract_string(doc, {path}) END AS v FROM docs"
            ).to_arrow_table()
            for place, value in zip(places.tolist(), values.column("v").to_pylist(), strict=True):
                if value:
                    source = typed.data["sourceId"][place].as_py() or "" if "sourceId" in typed.data else ""
                    where = f"{self._nested}.{name}" if self._nested else name
                    document = str(texts.column("doc")[place].as_py())
                    reason = f"{value[:60]!r} is a single value instead of an object"
                    bad.append(Fault(int(records[place]), where, reason, document, source, value))
        return bad

    def _single(self, texts: pa.Table) -> tuple[pa.Table, list[_Nested]]:
        """Empty the optional cells that hold an object or array where the table has a single value.

        Returns:
            The texts, and where such a value is, in an optional cell or in one that identifies the row.
        """
        flagged = texts.column("_nested")
        if flagged.null_count == len(flagged):
            return texts, []
        places = np.flatnonzero(flagged.is_valid().to_numpy())
        self._connection.register("docs", texts.take(pa.array(places)).select(["doc"]))
        flags = self._connection.sql(self._nested_sql).to_arrow_table()
        found: list[_Nested] = []
        for column in flags.column_names:
            wrong = places[one(flags.column(column)).fill_null(False).to_numpy(zero_copy_only=False)]
            values = texts.column(column)
            found += [_Nested(place, column, str(values[place].as_py())) for place in wrong.tolist()]
            if len(wrong) and column not in identifying(self._table):
                empty = np.zeros(len(texts), dtype=bool)
                empty[wrong] = True
                emptied = pc.if_else(pa.array(empty), pa.scalar(None, pa.string()), values)
                texts = texts.set_column(texts.schema.get_field_index(column), column, emptied)
        return texts, found

    def _faults(self, typed: Typed, texts: pa.Table, records: Numbers, nested: list[_Nested]) -> list[Fault]:
        def value_of(place: int, column: str) -> str:
            return str(texts.column(column)[place].as_py() or "") if column in texts.column_names else ""

        def document_of(place: int) -> str:
            return str(texts.column("doc")[place].as_py())

        def source_of(place: int) -> str:
            return typed.data["sourceId"][place].as_py() or "" if "sourceId" in typed.data else ""

        def fault(cell: _Nested, value: str | None) -> Fault:
            where, row = self._called(cell.column), document_of(cell.place)
            return Fault(int(records[cell.place]), where, MANY, row, source_of(cell.place), value)

        for column, count in typed.filled.items():
            self.filled[self._called(column)] += count
        for (column, within), count in typed.inner_filled.items():
            self.filled[f"{self._called(column)}{within}"] += count
        for column, count in typed.items.items():
            self.items[self._called(column)] += count
        rejecting = {cell.place: cell for cell in nested if cell.column in identifying(self._table)}
        bad = [fault(cell, None) for cell in rejecting.values()]
        places = list(rejecting)
        typed.wrong[places] = -1
        bad += faults(typed, records, self._called, value_of, document_of)
        for cell in nested:
            if cell.place not in rejecting and typed.wrong[cell.place] < 0:
                self.filled[self._called(cell.column)] += 1
                bad.append(fault(cell, cell.value))
        typed.wrong[places] = 0
        return bad

    def _called(self, column: str) -> str:
        path = column if column == "uncorrelated" else self._table.column(column).paths[0]
        return f"{self._nested}.{path}" if self._nested else path


def _owned() -> str:
    lists = [
        f"list_transform(json_extract(doc, '$.owns{place}.{name}[*]'), "
        f"lambda x: {{'id': x -> 'id', 'name': x -> 'name', 'type': '{kind}'}})"
        for name, kind in OWNED.items()
        for place in ("[*]", "")  # an object in place of a list is a list of one
    ]
    joined = lists[0]
    for other in lists[1:]:
        joined = f"list_concat({joined}, {other})"
    return f"CASE WHEN json_type(doc, '$.owns') IN ('ARRAY', 'OBJECT') THEN to_json({joined})::VARCHAR END"
