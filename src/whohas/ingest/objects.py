"""Convert cells that hold JSON lists of objects, such as the entitlements of an access profile, to Arrow lists.

Values within the objects are converted and checked as those of ordinary cells are. Example: in the cell
`[{"id": "e1", "privileged": 5}, "e2"]` the item e1 is kept and its `privileged` becomes null and is reported, because
5 is not a boolean. The item "e2" is rejected, because it is a text instead of an object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whohas.engine.sql import quote_identifier, string_literal
from whohas.ingest.values import BAD_ID, bad_id, typed_value
from whohas.warehouse.arrow import as_array, null_array, pc
from whohas.warehouse.schema import TEXT, TableColumn

RowIndexes = npt.NDArray[np.int64]

NOT_A_SINGLE_VALUE: Final = "an object or array instead of a single value"
JSON_TYPE_NAMES: Final = {"VARCHAR": "a text", "BOOLEAN": "true or false", "ARRAY": "an array", "NULL": "null"}
"""The words for JSON types in messages, by DuckDB's names of the types; all other types are numbers."""

_OBJECTS: Final = frozenset({"entitlements", "accessProfiles", "segments", "apps", "owned", "dimensions"})
"""Lists whose items must have at least one of the members id, name and value that their type has."""


@dataclass(frozen=True, slots=True)
class NestedError:
    """A fault within a cell: a value that cannot be converted and becomes null, or a list item that is rejected.

    Attributes:
        row: the index of the row in the batch, from 0.
        column: the column of the table.
        path: the path of the value in the column's objects, such as `.privileged`; empty for an item of the
            outermost list as a whole.
        reason: what is wrong, for the report of the load.
        value: the text that cannot be converted; None if the item is rejected.
    """

    row: int
    column: str
    path: str
    reason: str
    value: str | None


@dataclass(slots=True)
class ObjectLists:
    """The converted cells of one column.

    Attributes:
        data: the lists, one a row, in the column's type.
        faults: in the order of their rows.
        filled_counts: for each path within the objects whose type does not accept every text, such as `.privileged`:
            the number of objects that have a text there that is not blank.
        item_count: the number of items of the outermost lists, rejected ones included.
    """

    data: pa.Array
    faults: list[NestedError]
    filled_counts: Counter[str]
    item_count: int


def read_lists(connection: Any, column: TableColumn, texts: pa.Array) -> ObjectLists:
    """Convert the cells of a column whose type is a list of objects.

    Args:
        connection: a DuckDB connection; the name `objects` is registered on it for a moment.
        texts: the cells: each a JSON array of objects, a single JSON object, or null.
    """
    if texts.null_count == len(texts):
        return ObjectLists(null_array(len(texts), column.type), [], Counter(), 0)
    reader = _ObjectReader(connection, column.name)
    data = reader.read(texts, column.type, "", np.arange(len(texts), dtype=np.int64), column.name)
    reader.faults.sort(key=lambda fault: fault.row)
    return ObjectLists(data, reader.faults, reader.filled, reader.items)


@dataclass(slots=True)
class _ObjectReader:
    """Converts one column level by level: the items of all lists of a level are converted by one query."""

    connection: Any
    column: str
    faults: list[NestedError] = field(default_factory=list[NestedError])
    filled: Counter[str] = field(default_factory=Counter[str])
    items: int = 0

    def read(self, texts: pa.Array, kind: Any, within: str, places: RowIndexes, name: str) -> pa.Array:
        """Return the lists that some JSON texts hold, without rejected items.

        Example, with a second item that is rejected because it is not an object:

            texts            [{"id": "a"}, 5]     null     {"id": "c"}
            lists            [{"id": "a"}, 5]     null     [{"id": "c"}]
            docs, parents    {"id": "a"}, 5, {"id": "c"}   and   0, 0, 2
            kept             {"id": "a"}, {"id": "c"}      and   0, 2
            offsets          0, 1, 1, 2 (the running sum of 1, 0, 1 kept items a text)
            result           [{"id": "a"}]        null     [{"id": "c"}]

        Args:
            kind: the type of the lists.
            within: the path of the lists in the column's objects; empty for the column itself.
            places: the row of each text.
            name: the name of the column or member that holds the lists.
        """
        found = self._ask(
            "SELECT CASE json_type(doc) WHEN 'ARRAY' THEN json_extract(doc, '$[*]')::VARCHAR[] "
            # PowerShell and XML converters write a list of one object as that object alone.
            "WHEN 'OBJECT' THEN [doc] END AS items FROM objects",
            texts,
        )
        lists = as_array(found.column("items")).cast(pa.list_(pa.string()))
        docs, parents = lists.flatten(), pc.list_parent_indices(lists).to_numpy().astype(np.int64)
        if not within:
            self.items += len(docs)
        good = self._good(docs, kind.value_type, within, places[parents], name)
        docs, parents = docs.filter(pa.array(good)), parents[good]
        values = self._objects(docs, kind.value_type, within, places[parents])
        offsets = np.zeros(len(texts) + 1, np.int32)
        np.cumsum(np.bincount(parents, minlength=len(texts)), out=offsets[1:])
        return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind, mask=pc.is_null(lists))

    def _good(self, docs: pa.Array, kind: Any, within: str, places: RowIndexes, name: str) -> Any:
        """Return a boolean mask of the items to keep; add a fault for each other item.

        An item is rejected if it is not an object, if its id is invalid, or if a list of `_OBJECTS` holds it and it
        has none of the members id, name and value that its type has.
        """
        names = {member.name for member in kind}
        known = [member for member in ("id", "name", "value") if member in names]
        cells = "".join(f", {_text(member)} AS {quote_identifier(member)}" for member in known)
        wrong = f"{bad_id(_text('id'))} OR {_many('id')}" if "id" in names else "false"
        many = _many("id") if "id" in names else "NULL"
        sql = f"SELECT json_type(doc) AS kind, coalesce({wrong}, false) AS wrong, {many} AS many{cells} FROM objects"
        found = self._ask(sql, docs)
        kinds = as_array(found.column("kind"))
        good = pc.equal(kinds, "OBJECT").fill_null(False).to_numpy(zero_copy_only=False)
        bad = ~good | as_array(found.column("wrong")).to_numpy(zero_copy_only=False)
        nameless = np.zeros(len(docs), dtype=bool)
        if name in _OBJECTS and "id" in names:
            for number, member in enumerate(known):
                empty = as_array(found.column(member)).is_null().to_numpy(zero_copy_only=False)
                nameless = empty if number == 0 else nameless & empty
        for place in np.flatnonzero(bad | nameless).tolist():
            kind_of = kinds[place].as_py()
            if kind_of != "OBJECT":
                where, reason = (
                    within,
                    f"{_shown(docs[place])}{JSON_TYPE_NAMES.get(kind_of, 'a number')} instead of an object",
                )
            elif bad[place]:
                text = found.column("id")[place].as_py()
                several = found.column("many")[place].as_py()
                where, reason = f"{within}.id", NOT_A_SINGLE_VALUE if several else f"{text[:60]!r} is {BAD_ID}"
            else:
                where, reason = within, f"neither {' nor '.join(known)}"
            self.faults.append(NestedError(int(places[place]), self.column, where, reason, None))
        return ~(bad | nameless)

    def _objects(self, docs: pa.Array, kind: Any, within: str, places: RowIndexes) -> pa.Array:
        """Return JSON objects as structs, null where a text is null; add a fault for each value that does not fit.

        Args:
            kind: the type of the structs; members of the objects that it does not have are ignored.
            within, places: see `read`.
        """
        if docs.null_count == len(docs):
            return null_array(len(docs), kind)
        found = self._ask(_members(kind), docs)
        arrays: list[pa.Array] = []
        for member in kind:
            name, where = member.name, f"{within}.{member.name}"
            texts, value = as_array(found.column(f"t.{name}")), as_array(found.column(f"v.{name}"))
            many = as_array(found.column(f"m.{name}")).fill_null(False).to_numpy(zero_copy_only=False)
            if _is_object(member.type):
                self._tell(many, texts, places, where, "a single value or array instead of an object")
                arrays.append(self._objects(value, member.type, where, places))
                continue
            if _is_objects(member.type):
                self._tell(many, texts, places, where, "a single value instead of an array of objects")
                arrays.append(self.read(value, member.type, where, places, name))
                continue
            self._tell(many, texts, places, where, NOT_A_SINGLE_VALUE)
            reason = typed_value(TableColumn(name, member.type, ""), "''").reason
            if reason is not None:
                full = pc.not_equal(pc.utf8_trim_whitespace(texts), "").fill_null(False)
                full = full.to_numpy(zero_copy_only=False)
                self.filled[where] += int(full.sum())
                empty = value.is_null().to_numpy(zero_copy_only=False)
                self._tell(full & empty & ~many, texts, places, where, reason)
            arrays.append(value if value.type == member.type else value.cast(member.type))
        return pa.StructArray.from_arrays(arrays, fields=list(kind), mask=docs.is_null())

    def _tell(self, wrong: Any, texts: pa.Array, places: RowIndexes, within: str, reason: str) -> None:
        """Add a fault for each text that the boolean mask `wrong` marks, unless it is empty."""
        for place in np.flatnonzero(wrong).tolist():
            text = texts[place].as_py()
            if text:
                why = f"{text[:60]!r} is {reason}"
                self.faults.append(NestedError(int(places[place]), self.column, within, why, text))

    def _ask(self, sql: str, docs: pa.Array) -> pa.Table:
        """Return the result of a query on the table `objects`, whose column `doc` holds the texts."""
        self.connection.register("objects", pa.table({"doc": docs}))
        found = self.connection.sql(sql).to_arrow_table()
        self.connection.unregister("objects")
        return found


def _members(kind: Any) -> str:
    """Return a query that gives three columns for each member of the objects.

    For the member `id` they are `t.id`, its text; `v.id`, its value in the member's type; and `m.id`, whether its
    form is wrong, such as an array where a single value belongs. Where `m.id` is true, `v.id` is null.
    """
    paths = ", ".join(string_literal(f"$.{member.name}") for member in kind)
    texts = ", ".join(f"p[{number}] AS {quote_identifier('t.' + member.name)}" for number, member in enumerate(kind, 1))
    forms: list[str] = []
    values: list[str] = []
    for member in kind:
        text, form = (quote_identifier(f"{letter}.{member.name}") for letter in "tm")
        path = string_literal(f"$.{member.name}")
        if _is_object(member.type) or _is_objects(member.type):
            right = "'OBJECT'" if _is_object(member.type) else "'OBJECT', 'ARRAY'"
            forms.append(f"json_type(doc, {path}) NOT IN ({right}, 'NULL') AS {form}")
            values.append(f"CASE WHEN NOT {form} THEN json_extract(doc, {path})::VARCHAR END")
        else:
            single = not pa.types.is_nested(member.type)
            forms.append(f"{_many(member.name, text) if single else 'false'} AS {form}")
            given = f"nullif({text}, '')" if member.name == "id" or member.type != TEXT else text
            value = typed_value(TableColumn(member.name, member.type, ""), given, rare=True).sql
            values.append(f"CASE WHEN NOT {form} THEN {value} END")
    named = ", ".join(
        f"{sql} AS {quote_identifier('v.' + member.name)}" for sql, member in zip(values, kind, strict=True)
    )
    return (
        f"WITH p AS (SELECT doc, json_extract_string(doc, [{paths}]) AS p FROM objects), "
        f"t AS (SELECT doc, {texts} FROM p), m AS (SELECT *, {', '.join(forms)} FROM t) SELECT *, {named} FROM m"
    )


def _text(member: str) -> str:
    """Return the SQL of a member's text, null where it is absent or empty."""
    return f"nullif(json_extract_string(doc, {string_literal('$.' + member)}), '')"


def _many(member: str, text: str | None = None) -> str:
    """Return the SQL of whether a member that must be a single value is an object or an array.

    The text alone does not say so: `{"name": "[x]"}` and `{"name": ["x"]}` both have a text that begins with `[`.
    """
    text = text or _text(member)
    kind = f"json_type(doc, {string_literal('$.' + member)})"
    return f"(({text} LIKE '{{%' OR {text} LIKE '[%') AND {kind} IN ('OBJECT', 'ARRAY'))"


def _shown(doc: pa.Scalar) -> str:
    """Return the begin of a message about an item, such as `5 is `; empty for null."""
    text = str(doc.as_py())
    return "" if text == "null" else f"{text[:60]} is "


def _is_object(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind)


def _is_objects(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)


def object_columns(columns: tuple[TableColumn, ...]) -> Iterator[TableColumn]:
    """Yield the columns that are lists of objects."""
    return (column for column in columns if _is_objects(column.type))
