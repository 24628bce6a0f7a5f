"""CSV: RFC 4180 quoting, UTF-8, `\\n` at line ends, one header line.

A null and an empty text are an empty cell. A boolean is `true` or `false`; a time is UTC in RFC 3339 with
milliseconds; several values are joined with `;`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from whohas.engine.sql import literal, quote
from whohas.engine.statement import Column

FORMAT = "csv"
LIST_SEPARATOR = ";"


def copy_statement(sql: str, columns: Sequence[Column], path: Path) -> str:
    """The DuckDB statement that writes the rows of another to a CSV file, in their order.

    Args:
        sql: the statement whose rows are written; its columns are taken by position.
        columns: their names and types.
        path: the file; an existing one is overwritten.
    """
    places = [f"c{n}" for n in range(1, len(columns) + 1)]
    cells = [_cell(place, column) for place, column in zip(places, columns, strict=True)]
    rows = f"FROM (\n{sql}\n) AS report({', '.join(places)})"
    names = [column.name for column in columns]
    if len({name.casefold() for name in names}) == len(names):
        titled = ", ".join(f"{cell} AS {quote(name)}" for cell, name in zip(cells, names, strict=True))
        body, header = f"SELECT {titled} {rows}", "true"
    else:
        # DuckDB tells column names apart without regard to case; a header that is a row keeps `mail` and `Mail`
        texts = ", ".join(f"({cell})::VARCHAR" for cell in cells)
        body, header = f"SELECT {', '.join(map(literal, names))} UNION ALL SELECT {texts} {rows}", "false"
    return f"COPY ({body}) TO {literal(str(path))} (FORMAT csv, HEADER {header})"


def header_rows(columns: Sequence[Column]) -> int:
    """How many of the rows that `copy_statement` writes are the header: 0, or 1 where the header is a row.

    Where it is 1, the statement must run in order, so that the header stays first.
    """
    return int(len({column.name.casefold() for column in columns}) != len(columns))


def _cell(place: str, column: Column) -> str:
    match column.type:
        case "time":
            return f"strftime(make_timestamp(epoch_us({place})), '%Y-%m-%dT%H:%M:%S.%gZ')"
        case "texts":
            return f"array_to_string({place}, {literal(LIST_SEPARATOR)})"
        case _:
            return place
