"""Make the SQL statement of a search for one index: its columns, the rows that match, and their order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from sqlglot import exp

from whohas.engine.statement import ColumnType, ResultColumn, Statement
from whohas.errors import InvalidArguments
from whohas.search.ast import Node
from whohas.search.conditions import all_true, column_expression, table_expression
from whohas.search.criteria import ClauseCount
from whohas.search.fields import Element, Index, IndexField
from whohas.search.index import SearchIndex, view_name
from whohas.search.limits import DEFAULT_LIMITS, SearchLimits
from whohas.search.predicate import Diagnostics, QueryOptions, query_condition

SPREAD_SUFFIX = ".spread"
"""The suffix of a column name that asks for one row for each object of a list, as in `access.spread`."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A parsed search request.

    Attributes:
        conditions: syntax trees that a document must all match, each with the text that it was parsed from.
        options: how words and dates are interpreted.
        columns: technical names and spreads such as `access.spread`; empty for each index's default columns.
        sort: the fields to sort by, the first one first; a `-` before a name means descending order.
        limits: the largest search that is accepted.
    """

    conditions: tuple[tuple[str, Node], ...]
    options: QueryOptions
    columns: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    limits: SearchLimits = DEFAULT_LIMITS


@dataclass(slots=True)
class UnknownNames:
    """The columns and sort fields that an index does not have, each with a hint, which may be empty."""

    columns: dict[str, str] = field(default_factory=dict[str, str])
    sort: dict[str, str] = field(default_factory=dict[str, str])


def export_statement(
    asked: ExportRequest, index: Index, search: SearchIndex, step: Callable[[], None] = lambda: None
) -> tuple[Statement, Diagnostics, UnknownNames]:
    """Return the statement that gives the documents of one index that match a search.

    Each document gives one row. If lists are spread, it gives one row for each of their objects, but one row if it has
    no objects. Rows are ordered by the sort fields, nulls last, then by the document's id, then by the object's
    position in its list. The statement has no ORDER BY if a scan of the index file gives the rows in that order.

    Args:
        asked: the request.
        index: the index to search.
        search: the search index of a snapshot.
        step: called for each node of the query; it may raise an error to abort.

    Returns:
        The statement, whose rows are always `ordered`; the fields that the query names; the unknown columns and sort
        fields.

    Raises:
        InvalidArguments: a value of the query does not fit its field, or a limit is exceeded.
    """
    findings, conditions = Diagnostics(), list[exp.Expr]()
    count = ClauseCount(asked.limits)
    for query, node in asked.conditions:
        condition, found = query_condition(query, node, index, search, asked.options, count, step)
        conditions.append(condition)
        findings.merge(found)
    return _Export(asked, index, search, all_true(conditions)).statement(findings)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A column of the file.

    Attributes:
        name: its name in the file.
        type: its type.
        sql: the expression that gives its value.
        path: the path of the spread list that it belongs to; empty for a column of the document.
    """

    name: str
    type: ColumnType
    sql: exp.Expr
    path: str = ""


class _Export:
    def __init__(self, request: ExportRequest, index: Index, search: SearchIndex, condition: exp.Expr) -> None:
        self._request = request
        self._index = index
        self._search = search
        self._condition = condition
        self._fields = search.element(index).fields
        self._unknown = UnknownNames()
        names = request.columns or index.default_columns
        spread_paths = (name.removesuffix(SPREAD_SUFFIX) for name in names if name.endswith(SPREAD_SUFFIX))
        self._spread = [path for path in dict.fromkeys(spread_paths) if path in index.elements and path]

    def statement(self, findings: Diagnostics) -> tuple[Statement, Diagnostics, UnknownNames]:
        cells = self._cells()
        select = self._select(cells)
        rows = max([self._search.element(self._index, path).rows for path in self._spread], default=0)
        files = self._files(select)
        statement = Statement(
            sql=_render(select, self._request.limits.statement),
            columns=tuple(ResultColumn(cell.name, cell.type) for cell in cells),
            files=files,
            ordered=True,
            scan_order=("d.num",),
            expected_rows=max(rows, self._search.element(self._index).rows),
        )
        return statement, findings, self._unknown

    # --- columns

    def _cells(self) -> list[_Cell]:
        cells: dict[str, _Cell] = {}
        for name in self._request.columns or self._index.default_columns:
            if name.endswith(SPREAD_SUFFIX):
                path = name.removesuffix(SPREAD_SUFFIX)
                if path not in self._spread:
                    self._unknown.columns[name] = self._spread_hint()
                    continue
                for detail in self._index.elements[path].spread_fields:
                    cells.setdefault(f"{path}.{detail}", self._cell(f"{path}.{detail}"))
            else:
                cells.setdefault(name, self._cell(name))
        return list(cells.values())

    def _spread_hint(self) -> str:
        paths = [f"{path}{SPREAD_SUFFIX}" for path in self._index.elements if path]
        return f"There are: {', '.join(paths)}." if paths else ""

    def _cell(self, name: str) -> _Cell:
        if name in self._fields:
            return _field_cell(name, self._fields[name], column_expression("d", self._fields[name].column))
        list_paths = [path for path in self._index.elements if path and name.startswith(f"{path}.")]
        path = max(list_paths, key=len, default="")
        if path:
            found = self._search.element(self._index, path).fields.get(name.removeprefix(f"{path}."))
            if found is not None and path in self._spread:
                return _field_cell(name, found, column_expression("e", f"{path}.{found.column}"), path)
            if found is not None:
                return _Cell(name, "texts", self._value_list(path, found))
        if self._request.columns:  # the caller did not ask for an index's default columns, so no warning
            self._unknown.columns[name] = ""
        return _Cell(name, "text", _null("text"))

    def _value_list(self, path: str, field: IndexField) -> exp.Expr:
        """Return a subquery for all values of a field in the objects of a list, as a sorted list of texts."""
        objects = self._objects(path, [(path, field.name)])
        value: exp.Expr = column_expression("x", f"{path}.{field.column}")
        if field.kind not in ("text", "id"):
            value = exp.cast(value, "text")
        values = exp.func("list_sort", exp.func("list", value, dialect="duckdb"), dialect="duckdb")
        same_document = column_expression("x", "num").eq(column_expression("d", "num"))
        not_null = exp.not_(value.is_(exp.null()))
        return exp.select(values).from_(objects.subquery("x")).where(same_document, not_null).subquery()

    # --- rows

    def _order(self) -> list[exp.Expr]:
        order: list[exp.Expr] = []
        for name in self._request.sort:
            plain = name.lstrip("+-").removesuffix(".exact")
            if plain not in self._fields:
                self._unknown.sort[plain] = ""
                continue
            order.append(_ordered(column_expression("d", self._fields[plain].column), descending=name.startswith("-")))
        order.append(_ordered(column_expression("d", "num")))
        return [*order, *(_ordered(column_expression("e", place)) for place in self._order_columns())]

    def _order_columns(self) -> list[str]:
        """Return the columns that order the objects of the spread lists."""
        used = {column for path in self._spread for column in _element_order(self._index.elements[path])}
        return [*(["list"] if len(self._spread) > 1 else []), *(column for column in _ORDER_TYPES if column in used)]

    def _select(self, cells: Sequence[_Cell]) -> exp.Select:
        select = exp.select(*(exp.alias_(cell.sql, cell.name, quoted=True) for cell in cells))
        select = select.from_(table_expression(view_name(self._index), "d"))
        if self._spread:
            fields = [(path, c.name.removeprefix(f"{path}.")) for path in self._spread for c in cells if c.path == path]
            parts = [self._objects(path, fields, number) for number, path in enumerate(self._spread, 1)]
            objects = parts[0] if len(parts) == 1 else exp.union(*parts, distinct=False)
            on = column_expression("e", "num").eq(column_expression("d", "num"))
            select = select.join(objects.subquery("e"), on=on, join_type="left")
        select = select.where(self._condition, copy=False)
        order = self._order()
        has_subquery = next(self._condition.find_all(exp.Query), None) is not None
        if len(order) == 1 and not has_subquery:
            # The index file is in this order, and an ordered scan keeps it; sorting would take a third longer.
            return select
        return select.order_by(*order, copy=False)

    def _objects(self, path: str, fields: Sequence[tuple[str, str]], number: int = 0) -> exp.Select:
        """Return a SELECT of a list's objects: their document's `num`, the columns of their order, and some fields.

        A field is named by its full name, such as `access.name`.

        Args:
            path: the list.
            fields: pairs of list and field; the fields of other lists are null, so that lists can be joined by UNION.
            number: the list's number among the spread ones, from 1; 0 for a list that is not spread.
        """
        element = self._index.elements[path]
        name = view_name(self._index, path)
        row = "h" if element.shared else "i"
        cells: list[exp.Expr] = [column_expression(row, "num")]
        order_columns = _element_order(element)
        for column in self._order_columns() if number else ():
            if column == "list":
                value: exp.Expr = exp.convert(number)
            else:
                value = (
                    column_expression(row, order_columns[column])
                    if column in order_columns
                    else _null(_ORDER_TYPES[column])
                )
            cells.append(exp.alias_(value, column))
        for other, field_name in fields:
            own_field = self._search.element(self._index, other).fields[field_name]
            value = column_expression("i", own_field.column) if other == path else _null(_SQL_TYPES[own_field.kind])
            cells.append(exp.alias_(value, f"{other}.{own_field.column}", quoted=True))
        if not element.shared:
            return exp.select(*cells).from_(table_expression(name, "i"))
        on = column_expression("i", "item").eq(column_expression("h", "item"))
        return exp.select(*cells).from_(table_expression(name, "h")).join(table_expression(f"{name}.items", "i"), on=on)

    def _files(self, select: exp.Expr) -> dict[str, tuple[str, ...]]:
        names = {table.name for table in select.find_all(exp.Table)}
        return {
            name: (str(file),)
            for path in self._index.elements
            for name, file in self._search.element(self._index, path).files.items()
            if name in names
        }


_ORDER_TYPES = {"parent": "bigint", "ord": "bigint", "key": "text"}
"""The columns that may order the objects of a document, the most significant first, and their SQL types."""


def _element_order(element: Element) -> dict[str, str]:
    """Return the columns that order an element's objects: each name of `_ORDER_TYPES` that it has, and its column."""
    if element.shared:
        return {"ord": "item"}
    return {"parent": "parent", "ord": "ord"} if element.from_list_column else {"key": "id"}


_TYPES: Mapping[str, ColumnType] = {
    "text": "text",
    "id": "text",
    "date": "time",
    "boolean": "boolean",
    "integer": "integer",
}
_SQL_TYPES = {"text": "text", "id": "text", "date": "timestamptz", "boolean": "boolean", "integer": "bigint"}


def _field_cell(name: str, field: IndexField, column: exp.Expr, path: str = "") -> _Cell:
    if field.multi_valued:
        split = exp.func("string_split", column, exp.func("chr", exp.convert(31)), dialect="duckdb")
        return _Cell(name, "texts", split, path)
    return _Cell(name, _TYPES[field.kind], column, path)


def _render(select: exp.Expr, longest: int) -> str:
    """Return the SQL of a statement. The expression is modified and must not be used afterwards.

    Args:
        longest: the limit of its length in characters.

    Raises:
        InvalidArguments: it contains a NUL character or an unpaired surrogate, or is longer than the limit.
    """
    sql = select.sql(dialect="duckdb", pretty=True, max_text_width=110, copy=False)
    if len(sql) > longest:
        raise InvalidArguments(
            f"The SQL of the search has {len(sql):,} characters, but may have {longest:,} "
            "(WHOHAS_SEARCH_STATEMENT). Divide the search, or name fewer values, fuzzy words and columns."
        )
    if "\0" in sql or (not sql.isascii() and re.search("[\ud800-\udfff]", sql)):
        raise InvalidArguments("A query, column or field contains a NUL character or an unpaired surrogate. Remove it.")
    if sql.replace("\n", "").isprintable():
        return sql
    # Commands that print a statement drop control characters. The printed statement must still run, so it has none.
    return select.transform(_printable, copy=False).sql(dialect="duckdb", pretty=True, max_text_width=110)


def _printable(part: exp.Expr) -> exp.Expr:
    """Replace a string literal with unprintable characters: `'a\x1fb'` becomes `concat('a', chr(31), 'b')`."""
    if not (isinstance(part, exp.Literal) and part.is_string) or part.name.isprintable():
        return part
    pieces: list[exp.Expr] = []
    for printable, run in groupby(part.name, str.isprintable):
        if printable:
            pieces.append(exp.Literal.string("".join(run)))
        else:
            pieces += [exp.Anonymous(this="chr", expressions=[exp.Literal.number(ord(c))]) for c in run]
    return pieces[0] if len(pieces) == 1 else exp.Anonymous(this="concat", expressions=pieces)


def _null(type: str) -> exp.Expr:
    return exp.cast(exp.null(), type)


def _ordered(column: exp.Expr, descending: bool = False) -> exp.Expr:
    return exp.Ordered(this=column, desc=descending, nulls_first=False)
