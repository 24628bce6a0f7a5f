"""JSON and NDJSON: one object per row, nested by the dots of column names, with typed values.

A column `account.source.name` becomes `{"account": {"source": {"name": …}}}`; several values are an array, a null is
`null`. A time is a text in UTC, RFC 3339 with milliseconds.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from whohas.engine.sql import quote_identifier, string_literal
from whohas.engine.statement import ResultColumn
from whohas.formats.base import Format, ReportMetadata, RowsQuery, WriteOptions
from whohas.formats.column_names import unique_column_names

_Tree = dict[str, "str | _Tree"]


def copy_statement(rows: RowsQuery, path: Path, _: ReportMetadata, options: WriteOptions, array: bool = False) -> str:
    """Return the DuckDB COPY statement that writes rows to a JSON file in their order.

    Args:
        array: whether the file is one array of objects (JSON) or has one object per line (NDJSON).
    """
    places = [f"c{n}" for n in range(1, len(rows.columns) + 1)]
    cells = [_cell(place, column) for place, column in zip(places, rows.columns, strict=True)]
    tree = _nested(dict(zip(unique_column_names(rows.columns), cells, strict=True)))
    named = ", ".join(f"{_value(value)} AS {quote_identifier(name)}" for name, value in tree.items())
    return (
        f"COPY (SELECT {named} FROM (\n{rows.sql}\n) AS report({', '.join(places)})) TO {string_literal(str(path))} "
        f"(FORMAT json, ARRAY {str(array).lower()})"
    )


def _nested(cells: dict[str, str]) -> _Tree:
    """Return SQL expressions by dotted name as a tree of objects.

    A name one of whose prefixes is a column too is not split: `a` and `a.b` give `{"a": …, "a.b": …}`.
    """
    names = {name.casefold() for name in cells}
    tree: _Tree = {}
    for name, cell in cells.items():
        *above, last = _path(name, names)
        place = tree
        for part in above:
            key = next((known for known in place if known.casefold() == part.casefold()), part)
            inner = place.setdefault(key, {})
            assert isinstance(inner, dict)
            place = inner
        place[last] = cell
    return tree


def _path(name: str, names: set[str]) -> list[str]:
    parts = name.split(".")
    begins = {".".join(parts[:n]).casefold() for n in range(1, len(parts))}
    return [name] if begins & names or not all(parts) else parts


def _value(value: str | _Tree) -> str:
    if isinstance(value, str):
        return value
    return f"{{{', '.join(f'{string_literal(name)}: {_value(inner)}' for name, inner in value.items())}}}"


def _cell(place: str, column: ResultColumn) -> str:
    if column.type == "time":
        return f"strftime(make_timestamp(epoch_us({place})), '%Y-%m-%dT%H:%M:%S.%gZ')"
    return column.value_sql(place)


FORMATS = (
    Format(
        "json", "application/json", "One array of objects.", copy=partial(copy_statement, array=True), relative_time=1.5
    ),
    Format("ndjson", "application/x-ndjson", "An object a line.", copy=copy_statement, relative_time=1.5),
)
