"""What a search export writes for one index: the statement that gives its rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from sqlglot import exp

from whohas.engine.statement import Column, ColumnType, Statement
from whohas.errors import InvalidArguments
from whohas.search.ast import Node
from whohas.search.conditions import column_of, table_of, together
from whohas.search.criteria import Count
from whohas.search.fields import Element, Field, Index
from whohas.search.index import SearchIndex, view
from whohas.search.limits import DEFAULT, Limits
from whohas.search.predicate import Findings, Options, predicate

SPREAD = ".spread"


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked for.

    Attributes:
        conditions: trees that must all hold, each with the text that it was read from.
        columns: technical names, `access.spread` among them; empty for each index's own.
        sort: fields, the first one first; a `-` before a name for descending order.
    """

    conditions: tuple[tuple[str, Node], ...]
    options: Options
    columns: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    limits: Limits = DEFAULT


@dataclass(slots=True)
class Missing:
    """Columns and sort fields that an index has not."""

    columns: dict[str, str] = field(default_factory=dict[str, str])
    sort: dict[str, str] = field(default_factory=dict[str, str])


def export(
    asked: Search, index: Index, search: SearchIndex, step: Callable[[], None] = lambda: None
) -> tuple[Statement, Findings, Missing]:
    """The statement for the documents of one index that a search finds.

    A document is one row, and where lists are spread a row for each of their objects; of a document without any there
    is one row. Rows are in the order that was asked for, nulls last, then by the document's id and the object's place;
    where nothing but ids orders them the statement leaves it to the order of the index's files, and is `ordered`.

    Args:
        step: called for each leaf of the query.

    Raises:
        InvalidArguments: a value of the query is impossible for its field, or a limit is passed.
    """
    findings, conditions = Findings(), list[exp.Expr]()
    count = Count(asked.limits)
    for query, node in asked.conditions:
        condition, found = predicate(query, node, index, search, asked.options, count, step)
        conditions.append(condition)
        findings.merge(found)
    return _Export(asked, index, search, together(conditions)).statement(findings)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A column of the file: of the document, or of the objects of a list that is spread."""

    name: str
    type: ColumnType
    sql: exp.Expr
    path: str = ""


class _Export:
    def __init__(self, asked: Search, index: Index, search: SearchIndex, condition: exp.Expr) -> None:
        self._asked = asked
        self._index = index
        self._search = search
        self._condition = condition
        self._known = search.element(index).fields
        self._missing = Missing()
        names = asked.columns or index.columns
        asked_paths = (name.removesuffix(SPREAD) for name in names if name.endswith(SPREAD))
        self._spread = [path for path in dict.fromkeys(asked_paths) if path in index.elements and path]

    def statement(self, findings: Findings) -> tuple[Statement, Findings, Missing]:
        cells = self._cells()
        made = self._select(cells)
        rows = max([self._search.element(self._index, path).rows for path in self._spread], default=0)
        files = self._files(made)
        statement = Statement(
            sql=_text(made, self._asked.limits.statement),
            columns=tuple(Column(cell.name, cell.type) for cell in cells),
            files=files,
            ordered=True,
            expected_rows=max(rows, self._search.element(self._index).rows),
        )
        return statement, findings, self._missing

    # --- columns

    def _cells(self) -> list[_Cell]:
        cells: dict[str, _Cell] = {}
        for name in self._asked.columns or self._index.columns:
            if name.endswith(SPREAD):
                path = name.removesuffix(SPREAD)
                if path not in self._spread:
                    self._missing.columns[name] = self._spread_hint()
                    continue
                for one in self._index.elements[path].details:
                    cells.setdefault(f"{path}.{one}", self._cell(f"{path}.{one}"))
            else:
                cells.setdefault(name, self._cell(name))
        return list(cells.values())

    def _spread_hint(self) -> str:
        paths = [f"{path}{SPREAD}" for path in self._index.elements if path]
        return f"There are: {', '.join(paths)}." if paths else ""

    def _cell(self, name: str) -> _Cell:
        if name in self._known:
            return _value(name, self._known[name], column_of("d", self._known[name].column))
        inside = [path for path in self._index.elements if path and name.startswith(f"{path}.")]
        path = max(inside, key=len, default="")
        if path:
            one = self._search.element(self._index, path).fields.get(name.removeprefix(f"{path}."))
            if one is not None and path in self._spread:
                return _value(name, one, column_of("e", f"{path}.{one.column}"), path)
            if one is not None:
                return _Cell(name, "texts", self._listed(path, one))
        if self._asked.columns:  # an index's own columns are no wish of the caller's
            self._missing.columns[name] = ""
        return _Cell(name, "text", _nothing("text"))

    def _listed(self, path: str, one: Field) -> exp.Expr:
        """All values that a list's objects have, sorted."""
        objects = self._objects(path, [(path, one.name)])
        value = exp.cast(column_of("x", f"{path}.{one.column}"), "text")
        values = exp.func("list_sort", exp.func("list", value, dialect="duckdb"), dialect="duckdb")
        mine = column_of("x", "num").eq(column_of("d", "num"))
        there = exp.not_(value.is_(exp.null()))
        return exp.select(values).from_(objects.subquery("x")).where(mine, there).subquery()

    # --- rows

    def _order(self) -> list[exp.Expr]:
        order: list[exp.Expr] = []
        for name in self._asked.sort:
            plain = name.lstrip("+-").removesuffix(".exact")
            if plain not in self._known:
                self._missing.sort[plain] = ""
                continue
            order.append(_ordered(column_of("d", self._known[plain].column), descending=name.startswith("-")))
        order.append(_ordered(column_of("d", "num")))
        return [*order, *(_ordered(column_of("e", place)) for place in self._places())]

    def _places(self) -> list[str]:
        """The columns that order the objects of the lists that are spread."""
        used = {place for path in self._spread for place in _places(self._index.elements[path])}
        return [*(["list"] if len(self._spread) > 1 else []), *(place for place in _PLACES if place in used)]

    def _select(self, cells: Sequence[_Cell]) -> exp.Select:
        made = exp.select(*(exp.alias_(cell.sql, cell.name, quoted=True) for cell in cells))
        made = made.from_(table_of(view(self._index), "d"))
        if self._spread:
            fields = [(path, c.name.removeprefix(f"{path}.")) for path in self._spread for c in cells if c.path == path]
            parts = [self._objects(path, fields, number) for number, path in enumerate(self._spread, 1)]
            every = parts[0] if len(parts) == 1 else exp.union(*parts, distinct=False)
            on = column_of("e", "num").eq(column_of("d", "num"))
            made = made.join(every.subquery("e"), on=on, join_type="left")
        made = made.where(self._condition, copy=False)
        order = self._order()
        looks_elsewhere = next(self._condition.find_all(exp.Query), None) is not None
        if len(order) == 1 and not looks_elsewhere:
            # the documents lie in this order, and a scan that must keep its order does: sorting would cost a third more
            return made
        return made.order_by(*order, copy=False)

    def _objects(self, path: str, fields: Sequence[tuple[str, str]], number: int = 0) -> exp.Select:
        """The objects of a list: whose they are, their order, and some of their fields under their full names.

        Args:
            fields: list and field; those of other lists are null here.
            number: the list's number among those that are spread; 0 for one that is not.
        """
        element = self._index.elements[path]
        name = view(self._index, path)
        row = "h" if element.shared else "i"
        cells: list[exp.Expr] = [column_of(row, "num")]
        own = _places(element)
        for place in self._places() if number else ():
            if place == "list":
                value: exp.Expr = exp.convert(number)
            else:
                value = column_of(row, own[place]) if place in own else _nothing(_PLACES[place])
            cells.append(exp.alias_(value, place))
        for other, one in fields:
            own_field = self._search.element(self._index, other).fields[one]
            value = column_of("i", own_field.column) if other == path else _nothing(_SQL_TYPES[own_field.kind])
            cells.append(exp.alias_(value, f"{other}.{own_field.column}", quoted=True))
        if not element.shared:
            return exp.select(*cells).from_(table_of(name, "i"))
        on = column_of("i", "item").eq(column_of("h", "item"))
        return exp.select(*cells).from_(table_of(name, "h")).join(table_of(f"{name}.items", "i"), on=on)

    def _files(self, made: exp.Expr) -> dict[str, tuple[str, ...]]:
        names = {table.name for table in made.find_all(exp.Table)}
        return {
            name: (str(file),)
            for path in self._index.elements
            for name, file in self._search.element(self._index, path).files.items()
            if name in names
        }


_PLACES = {"parent": "bigint", "ord": "bigint", "key": "text"}
"""What orders the objects of a document, in this order."""


def _places(element: Element) -> dict[str, str]:
    """The columns that order an element's objects."""
    if element.shared:
        return {"ord": "item"}
    return {"parent": "parent", "ord": "ord"} if element.listed else {"key": "id"}


_TYPES: Mapping[str, ColumnType] = {
    "text": "text",
    "id": "text",
    "date": "time",
    "boolean": "boolean",
    "integer": "integer",
}
_SQL_TYPES = {"text": "text", "id": "text", "date": "timestamptz", "boolean": "boolean", "integer": "bigint"}


def _value(name: str, one: Field, column: exp.Expr, path: str = "") -> _Cell:
    if one.many:
        split = exp.func("string_split", column, exp.func("chr", exp.convert(31)), dialect="duckdb")
        return _Cell(name, "texts", split, path)
    return _Cell(name, _TYPES[one.kind], column, path)


def _text(made: exp.Expr, longest: int) -> str:
    """The statement's text; the expression is used up.

    Raises:
        InvalidArguments: a name or a value in it has a character that no text can have, or it is too long.
    """
    sql = made.sql(dialect="duckdb", pretty=True, max_text_width=110, copy=False)
    if len(sql) > longest:
        raise InvalidArguments(
            f"The search comes to SQL of {len(sql):,} characters, and may have {longest:,} "
            "(WHOHAS_SEARCH_STATEMENT): divide it, or name fewer values, fuzzy words and columns."
        )
    if "\0" in sql or (not sql.isascii() and re.search("[\ud800-\udfff]", sql)):
        raise InvalidArguments("A query, a column or a field must not have the character NUL, nor half of a character.")
    if sql.replace("\n", "").isprintable():
        return sql
    # what prints a statement leaves out what a terminal would obey: it must run as it is printed
    return made.transform(_printable, copy=False).sql(dialect="duckdb", pretty=True, max_text_width=110)


def _printable(part: exp.Expr) -> exp.Expr:
    """A text with characters that cannot be printed as a concatenation: `'a\x1fb'` as `concat('a', chr(31), 'b')`."""
    if not (isinstance(part, exp.Literal) and part.is_string) or part.name.isprintable():
        return part
    pieces: list[exp.Expr] = []
    for printable, run in groupby(part.name, str.isprintable):
        if printable:
            pieces.append(exp.Literal.string("".join(run)))
        else:
            pieces += [exp.Anonymous(this="chr", expressions=[exp.Literal.number(ord(c))]) for c in run]
    return pieces[0] if len(pieces) == 1 else exp.Anonymous(this="concat", expressions=pieces)


def _nothing(type: str) -> exp.Expr:
    return exp.cast(exp.null(), type)


def _ordered(column: exp.Expr, descending: bool = False) -> exp.Expr:
    return exp.Ordered(this=column, desc=descending, nulls_first=False)
