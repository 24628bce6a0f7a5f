"""Convert JSON documents of the public API, or of the search index, to rows of the tables.

DuckDB extracts the paths of each column as text, `convert.RowConverter` converts the texts, and nested lists of
identities (accounts, access, apps) are converted to rows of their tables by further objects of `DocumentConverter`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.engine.sql import quote_identifier, string_literal
from whohas.ingest import attributes
from whohas.ingest.convert import ConvertedBatch, RowConverter, identifying, names_something
from whohas.ingest.objects import JSON_TYPE_NAMES, NOT_A_SINGLE_VALUE
from whohas.ingest.readers.batches import RecordNumbers, RowBatch, RowError
from whohas.ingest.sources import LoadedSources
from whohas.ingest.text_rows import TableRows, good_rows, row_errors
from whohas.warehouse.arrow import as_array, pc
from whohas.warehouse.schema import (
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    ATTRIBUTES,
    IDENTITIES,
    IDENTITY_ACCESS,
    IDENTITY_APPS,
    OWNED_TYPES,
    TEXT,
    TEXT_LIST,
    Table,
    TableColumn,
)

_LINKS = """
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
"""The entitlements of an identity's document, each with the nested account that has it.

That is the account of the same source that lists the attribute and value among its entitlements, or else the only
account of that source in the document.
"""


_SINGLE = "['VARCHAR', 'BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE', 'BOOLEAN']"
"""DuckDB's type names of JSON values that are neither objects, arrays nor null, as an SQL list."""


@dataclass(frozen=True, slots=True)
class _NestedObjects:
    """An object or array where the table has a single value.

    Attributes:
        place: the index of the document in its batch.
        column: the column of the table.
        value: the object or array, as JSON text.
    """

    place: int
    column: str
    value: str


class DocumentConverter:
    """Converts batches of documents of one kind to rows.

    Args:
        connection: DuckDB.
        table: the table that the documents describe.
        sources: the sources of the load; attribute names that occur are added to them.
        given: for columns of the table that are not read from the documents, the text column of the batch instead.
        nested: the name of the list that contains the documents in another document, such as "access", for messages;
            empty for whole documents.

    Attributes:
        filled: for each path whose values are converted (times, booleans, …), the number of documents with a text
            there. The guard divides the number of unreadable ones by it.
        items: by list in the documents, such as `access`, how many items were read.
    """

    def __init__(
        self,
        connection: Any,
        table: Table,
        sources: LoadedSources,
        given: Mapping[str, str] | None = None,
        nested: str = "",
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
        texts = {name: quote_identifier(name) for name in (*self._columns, *self._given)}
        self._typing = RowConverter(connection, table, texts, sources)
        self._nested_lists: list[tuple[str, DocumentConverter]] = []
        if table is IDENTITIES:
            owner = {"identityId": "_id", "identitySourceId": "_source"}
            self._nested_lists = [
                (
                    "accounts",
                    DocumentConverter(
                        connection, ACCOUNTS, sources, {"identityId": "_id", "identityName": "_name"}, "accounts"
                    ),
                ),
                ("access", DocumentConverter(connection, IDENTITY_ACCESS, sources, owner, "access")),
                ("apps", DocumentConverter(connection, IDENTITY_APPS, sources, owner, "apps")),
            ]

    def _object_paths(self) -> list[str]:
        """Return the names of members that should be objects or lists of objects.

        Columns with a path such as `source.name` are read from them, as are nested rows.
        """
        single = {path for column in self._table.columns for path in column.paths}
        found = [path.split(".")[0] for column in self._table.columns for path in column.paths if "." in path]
        lists = ["accounts", "access", "apps"] if self._table is IDENTITIES else []
        names = [name for name in dict.fromkeys([*found, *lists]) if name not in single]
        return [*names, "owns"] if self._table is IDENTITIES else names

    def _extraction(self) -> str:
        """Return the SQL that extracts the text of each column from the documents in `docs`.

        Also sets `_columns`, the names of these columns, and `_nested_sql`, which finds nested values by column.
        All paths are extracted at once into the list `p`, and each column selects from it. For `displayName` of
        identities, with the paths `displayName` and `attributes.displayName`, the statement has::

            json_extract_string(doc, ['$.displayName', '$.attributes.displayName', …]) AS p
            coalesce(nullif(p[1], ''), nullif(p[2], ''), p[1], p[2]) AS "displayName"

        Two more columns flag errors: `_nested` names a column that has an object or array instead of a single value,
        and `_misplaced` is true where a single value stands instead of an object.
        """
        columns = [c for c in self._table.columns if c.name not in self._given and not c.computed]
        self._columns = [c.name for c in columns] + (["uncorrelated"] if self._table is ACCOUNTS else [])
        cells: list[str] = []
        nested: list[str] = []
        flags: list[str] = []
        for column in columns:
            if column.name == "owned" and self._table is IDENTITIES:
                cells.append(f"{_owned_sql()} AS owned")
                continue
            found = [self._path_sql(path) for path in column.paths]
            cells.append(f"{self._column_sql(column)} AS {quote_identifier(column.name)}")
            if not pa.types.is_nested(column.type):
                is_nested = [
                    f"({text} LIKE '{{%' OR {text} LIKE '[%') AND json_type(doc, {string_literal('$.' + path)}) "
                    "IN ('OBJECT', 'ARRAY')"
                    for text, path in zip(found, column.paths, strict=True)
                ]
                nested += [f"WHEN {sql} THEN {string_literal(column.name)}" for sql in is_nested]
                flags.append(f"{' OR '.join(is_nested)} AS {quote_identifier(column.name)}")
        if self._table is ACCOUNTS:
            cells.append(f"{self._path_sql('uncorrelated')} AS uncorrelated")
        cells += [f"{quote_identifier(column)} AS {quote_identifier(name)}" for name, column in self._given.items()]
        wrong = f"CASE {' '.join(nested)} END" if nested else "NULL::VARCHAR"
        paths = ", ".join(string_literal(f"$.{path}") for path in self._paths)
        begin = f"WITH x AS (SELECT *, json_extract_string(doc, [{paths}]) AS p FROM docs) "
        self._nested_sql = f"{begin}SELECT {', '.join(flags)} FROM x"
        objects = ", ".join(string_literal(f"$.{name}") for name in self._objects_at)
        misplaced = f"list_has_any(json_type(doc, [{objects}]), {_SINGLE})" if objects else "false"
        return f'{begin}SELECT {", ".join(cells)}, {wrong} AS "_nested", {misplaced} AS "_misplaced", doc FROM x'

    def _column_sql(self, column: TableColumn) -> str:
        """Return the SQL for the text of a column: the first path with a text that is not empty.

        Without such a path, the value is empty text if a path has that and the column is free text, else null.
        """
        texts = [self._path_sql(path) for path in column.paths]
        if (column.type == TEXT and not names_something(self._table, column)) or column.type == TEXT_LIST:
            # p[1], 'a' and '' -> coalesce(nullif(p[1], ''), nullif(p[2], ''), p[1], p[2])
            texts = texts if len(texts) > 1 else []
            texts += [f"p[{self._paths[path]}]" for path in column.paths]
        return texts[0] if len(texts) == 1 else f"coalesce({', '.join(texts)})"

    def _path_sql(self, path: str) -> str:
        index = self._paths.setdefault(path, len(self._paths) + 1)
        return f"nullif(p[{index}], '')"

    def __call__(self, batch: RowBatch) -> tuple[list[TableRows], list[RowError]]:
        """Return the rows of a batch of documents, by table, and its errors."""
        data, records, errors = self._objects(batch.data, batch.record_numbers)
        if not data.num_rows:
            return [], errors
        rows, more_errors = self._convert(data, records)
        return rows, errors + more_errors

    def _objects(self, data: pa.Table, records: RecordNumbers) -> tuple[pa.Table, RecordNumbers, list[RowError]]:
        """Return the valid JSON objects with their record numbers, and an error for each other text."""
        self._connection.register("docs", data)
        kinds = (
            self._connection.sql(
                "SELECT CASE WHEN NOT json_valid(doc) THEN 'invalid' ELSE json_type(doc) END AS k FROM docs"
            )
            .to_arrow_table()
            .column("k")
        )
        valid = pc.equal(kinds, "OBJECT")
        if pc.all(valid).as_py():
            return data, records, []
        errors: list[RowError] = []
        for index, kind in enumerate(kinds.to_pylist()):
            if kind != "OBJECT":
                reason = (
                    "no valid JSON"
                    if kind == "invalid"
                    else f"{JSON_TYPE_NAMES.get(kind, 'a number')} instead of an object"
                )
                errors.append(RowError(int(records[index]), "", reason, data.column("doc")[index].as_py()))
        return data.filter(valid), records[valid.to_numpy()], errors

    def _convert(self, data: pa.Table, records: RecordNumbers) -> tuple[list[TableRows], list[RowError]]:
        """Return the rows of documents that are JSON objects, nested ones included, and the errors."""
        self._connection.register("docs", data)
        texts = self._connection.sql(self._sql).to_arrow_table()
        texts, nested = self._without_nested(texts)
        typed = self._typing(texts)
        errors = self._faults(typed, texts, records, nested) + self._misplaced_values(typed, texts, records)
        for name in self._maps:
            column = as_array(texts.column(name))
            if column.null_count < len(column):
                typed.data[name] = attributes.attributes_from_json(self._connection, column)
                if self._table is ACCOUNTS and name == "attributes":
                    for id, names in attributes.attribute_names_by_owner(
                        typed.data["sourceId"], typed.data[name]
                    ).items():
                        self._sources.add_attributes(id, names)
        rows = good_rows(self._table, typed, records)
        by_table = [rows]
        if self._nested_lists:
            valid = pa.array(typed.error_numbers < 0)
            parents = pa.table(
                {
                    "doc": texts.column("doc").filter(valid),
                    "_id": rows.data.column("id"),
                    "_name": rows.data.column("name"),
                    "_source": rows.data.column("sourceId"),
                    "_record": pa.array(rows.records),
                }
            )
            for name, list_rows in self._nested_lists:
                nested_rows, nested_errors = list_rows.convert_nested(parents, name)
                self.filled.update(list_rows.filled)
                self.items.update(list_rows.items)
                list_rows.filled.clear()
                list_rows.items.clear()
                by_table += nested_rows
                errors += [
                    replace(fault, list_name=name) if fault.cell_text is None else fault for fault in nested_errors
                ]
            by_table += self._entitlement_links(by_table)
        return by_table, errors

    def convert_nested(self, parents: pa.Table, name: str) -> tuple[list[TableRows], list[RowError]]:
        """Return the rows of the items of a list that is nested in documents, and their errors.

        A single object in place of the list counts as a list of one.

        Args:
            parents: the documents, with the columns that `given` refers to and their record numbers.
            name: the list, such as "access".
        """
        self._connection.register("parents", parents)
        # PowerShell and XML converters write a list of one item as the item itself
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
        data, kept_records, errors = self._objects(inner, records)
        if not data.num_rows:
            return [], errors
        found, more_errors = self._convert(data, kept_records)
        return found, errors + more_errors

    def _entitlement_links(self, by_table: list[TableRows]) -> list[TableRows]:
        """Return rows of `account_entitlements` that link the nested accounts to the nested entitlements."""
        rows = {item.table.name: item for item in by_table}
        accounts, access = rows.get(ACCOUNTS.name), rows.get(IDENTITY_ACCESS.name)
        if accounts is None or access is None:
            return []
        columns = ["id", "sourceId", "entitlementAttributes"]
        self._connection.register(
            "nested", accounts.data.select(columns).append_column("record", pa.array(accounts.records))
        )
        columns = ["id", "sourceId", "type", "attribute", "value"]
        self._connection.register("held", access.data.select(columns).append_column("record", pa.array(access.records)))
        table = self._connection.sql(_LINKS).to_arrow_table()
        data = table.select(ACCOUNT_ENTITLEMENTS.schema.names).cast(ACCOUNT_ENTITLEMENTS.schema)
        return [TableRows(ACCOUNT_ENTITLEMENTS, data, table.column("record").to_numpy())]

    def _misplaced_values(self, typed: ConvertedBatch, texts: pa.Table, records: RecordNumbers) -> list[RowError]:
        """Return an error for each single value that stands in place of an object or a list of objects.

        Nothing can be read from such a value; the rest of the document is kept.
        """
        flagged = texts.column("_misplaced").fill_null(False).to_numpy()
        indexes = np.flatnonzero(flagged & (typed.error_numbers < 0))
        if not len(indexes):
            return []
        self._connection.register("docs", texts.take(pa.array(indexes)).select(["doc"]))
        errors: list[RowError] = []
        for name in self._objects_at:
            path = string_literal(f"$.{name}")
            values = self._connection.sql(
                f"SELECT CASE WHEN list_contains({_SINGLE}, json_type(doc, {path})) "
                f"THEN json_extract_string(doc, {path}) END AS v FROM docs"
            ).to_arrow_table()
            for index, value in zip(indexes.tolist(), values.column("v").to_pylist(), strict=True):
                if value:
                    source = typed.data["sourceId"][index].as_py() or "" if "sourceId" in typed.data else ""
                    where = f"{self._nested}.{name}" if self._nested else name
                    document = str(texts.column("doc")[index].as_py())
                    reason = f"{value[:60]!r} is a single value instead of an object"
                    errors.append(RowError(int(records[index]), where, reason, document, source, value))
        return errors

    def _without_nested(self, texts: pa.Table) -> tuple[pa.Table, list[_NestedObjects]]:
        """Empty the optional cells that hold an object or array where the table has a single value.

        Returns:
            The texts, and the position of each such value, in optional columns and in columns that identify the row.
        """
        flagged = texts.column("_nested")
        if flagged.null_count == len(flagged):
            return texts, []
        indexes = np.flatnonzero(flagged.is_valid().to_numpy())
        self._connection.register("docs", texts.take(pa.array(indexes)).select(["doc"]))
        flags = self._connection.sql(self._nested_sql).to_arrow_table()
        found: list[_NestedObjects] = []
        for column in flags.column_names:
            wrong = indexes[as_array(flags.column(column)).fill_null(False).to_numpy(zero_copy_only=False)]
            values = texts.column(column)
            found += [_NestedObjects(index, column, str(values[index].as_py())) for index in wrong.tolist()]
            if len(wrong) and column not in identifying(self._table):
                empty = np.zeros(len(texts), dtype=bool)
                empty[wrong] = True
                emptied = pc.if_else(pa.array(empty), pa.scalar(None, pa.string()), values)
                texts = texts.set_column(texts.schema.get_field_index(column), column, emptied)
        return texts, found

    def _faults(
        self, typed: ConvertedBatch, texts: pa.Table, records: RecordNumbers, nested: list[_NestedObjects]
    ) -> list[RowError]:
        """Return the errors of the converted documents, and update `filled` and `items`.

        A document is rejected if a column that identifies it has an object or array; in other columns only the cell is
        lost.
        """

        def value_of(place: int, column: str) -> str:
            return str(texts.column(column)[place].as_py() or "") if column in texts.column_names else ""

        def document_of(place: int) -> str:
            return str(texts.column("doc")[place].as_py())

        def source_of(place: int) -> str:
            return typed.data["sourceId"][place].as_py() or "" if "sourceId" in typed.data else ""

        def fault(cell: _NestedObjects, value: str | None) -> RowError:
            path, row = self._path_of(cell.column), document_of(cell.place)
            return RowError(int(records[cell.place]), path, NOT_A_SINGLE_VALUE, row, source_of(cell.place), value)

        for column, count in typed.filled.items():
            self.filled[self._path_of(column)] += count
        for (column, within), count in typed.inner_filled.items():
            self.filled[f"{self._path_of(column)}{within}"] += count
        for column, count in typed.items.items():
            self.items[self._path_of(column)] += count
        rejecting = {cell.place: cell for cell in nested if cell.column in identifying(self._table)}
        errors = [fault(cell, None) for cell in rejecting.values()]
        rejected_indexes = list(rejecting)
        # marked as valid here, so that `row_errors` does not report them again; marked as rejected below
        typed.error_numbers[rejected_indexes] = -1
        errors += row_errors(typed, records, self._path_of, value_of, document_of)
        for cell in nested:
            if cell.place not in rejecting and typed.error_numbers[cell.place] < 0:
                self.filled[self._path_of(cell.column)] += 1
                errors.append(fault(cell, cell.value))
        typed.error_numbers[rejected_indexes] = 0
        return errors

    def _path_of(self, column: str) -> str:
        """Return the path of a column in the whole document, for messages: `access.source.id`."""
        path = column if column == "uncorrelated" else self._table.column(column).paths[0]
        return f"{self._nested}.{path}" if self._nested else path


def _owned_sql() -> str:
    """Return the SQL for the objects that an identity owns.

    The lists under `owns`, one for each kind of object, are joined to one JSON list of objects with id, name and type.
    """
    lists = [
        f"list_transform(json_extract(doc, '$.owns{suffix}.{name}[*]'), "
        f"lambda x: {{'id': x -> 'id', 'name': x -> 'name', 'type': '{kind}'}})"
        for name, kind in OWNED_TYPES.items()
        for suffix in ("[*]", "")  # an object in place of a list is a list of one
    ]
    joined = lists[0]
    for other in lists[1:]:
        joined = f"list_concat({joined}, {other})"
    return f"CASE WHEN json_type(doc, '$.owns') IN ('ARRAY', 'OBJECT') THEN to_json({joined})::VARCHAR END"
