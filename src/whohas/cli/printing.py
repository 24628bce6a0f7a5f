"""Printing of lists and objects as a table for people, or as JSON or CSV for programs.

A command describes each value once, as a `Column`; the three forms follow from it:

- **Table.** Times are in the time zone of the installation, booleans are `yes` and `no`, numbers have separators. On a
  terminal, ids of runs are shortened, and columns that do not fit are left out, the least important ones first; stderr
  names them. Elsewhere each row is one line with every column. Columns without any value are left out.
- **JSON.** The object of the HTTP API where there is one, otherwise an object with the names of the columns. It is
  indented on a terminal, and on one line elsewhere.
- **CSV.** A header with the names of the columns and RFC 4180 quoting. Times are in UTC, booleans are `true` and
  `false`, lists are joined with `;`.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, cast

from whohas.cli.options import OutputFormat
from whohas.cli.terminal import console, is_terminal, print_table, single_line, without_control_characters
from whohas.cli.values import format_time

T = TypeVar("T")

_LIST_SEPARATOR = ";"
_GAP = 2
"""Blanks between two columns of a table."""
SHORT_ID = 8
"""Characters of an id on a terminal; commands accept the beginning of an id."""


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One value of the things in a list.

    Attributes:
        name: its name in JSON and CSV, in camelCase.
        label: its name for people.
        value: returns the value: a text, number, boolean, time, list of texts, mapping, or None.
        shown: returns the text for people, if it is not the usual one for the value.
        is_id: whether the value is the id of a run, of which a terminal shows the beginning.
        is_whole: whether the value is never wrapped.
        is_key: whether the column is never left out of a table on a narrow terminal.
        is_exact: whether only JSON and CSV have the column.
    """

    name: str
    label: str
    value: Callable[[T], object]
    shown: Callable[[T], str] | None = None
    is_id: bool = False
    is_whole: bool = False
    is_key: bool = False
    is_exact: bool = False


def print_list(
    output: OutputFormat,
    items: Sequence[T],
    columns: Sequence[Column[T]],
    *,
    empty: str,
    zone: str = "UTC",
    to_api: Callable[[T], object] | None = None,
) -> None:
    """Print a list.

    Args:
        columns: for tables in their order of importance after the key columns: the last ones are left out first.
        empty: what a table without rows is replaced by.
        zone: the time zone of times in tables.
        to_api: returns the object of the HTTP API; None for an object of the columns.
    """
    if output is OutputFormat.JSON:
        print_json([_object(item, columns, to_api) for item in items])
    elif output is OutputFormat.CSV:
        _print_csv(items, columns)
    elif not items:
        print(empty)
    else:
        _print_table(items, [column for column in columns if _is_in_table(column, items)], zone)


def print_object(
    output: OutputFormat,
    item: T,
    columns: Sequence[Column[T]],
    *,
    zone: str = "UTC",
    to_api: Callable[[T], object] | None = None,
) -> None:
    """Print an object: as a table one line for each value; arguments as for `print_list`."""
    if output is OutputFormat.JSON:
        print_json(_object(item, columns, to_api))
    elif output is OutputFormat.CSV:
        _print_csv([item], columns)
    else:
        shown = [column for column in columns if not column.is_exact]
        width = max(len(column.label) for column in shown) + 1
        for column in shown:
            text = _text(column, item, zone)
            print(without_control_characters(f"{column.label + ':':<{width}} {text}").rstrip())


def print_json(value: object) -> None:
    """Print a value as JSON: indented on a terminal, on one line elsewhere."""
    print(json.dumps(value, ensure_ascii=False, indent=2 if is_terminal() else None, default=_json_value))


def print_csv(head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print rows of texts as CSV with a header."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)


def _object(item: T, columns: Sequence[Column[T]], to_api: Callable[[T], object] | None) -> object:
    return to_api(item) if to_api is not None else {column.name: column.value(item) for column in columns}


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return _iso(value)
    raise TypeError(f"{type(value).__name__} is not a value of a column")


def _print_csv(items: Sequence[T], columns: Sequence[Column[T]]) -> None:
    rows = ([_cell(column.value(item)) for column in columns] for item in items)
    print_csv((column.name for column in columns), rows)


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return _iso(value)
        case list() | tuple():
            return _LIST_SEPARATOR.join(map(str, cast("Sequence[object]", value)))
        case Mapping():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def _iso(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def _is_in_table(column: Column[T], items: Sequence[T]) -> bool:
    """Return whether a table has a column: not without any value, except for key columns."""
    return not column.is_exact and (
        column.is_key or any(column.value(item) not in (None, "", (), []) for item in items)
    )


def _print_table(items: Sequence[T], columns: Sequence[Column[T]], zone: str) -> None:
    labels = [
        f"{column.label} ({zone})" if any(_is_time(column, item) for item in items) else column.label
        for column in columns
    ]
    rows = [[single_line(_text(column, item, zone)) for column in columns] for item in items]
    if not is_terminal():
        print_table(labels, rows)
        return
    rows = [
        [cell[:SHORT_ID] if column.is_id else cell for column, cell in zip(columns, row, strict=True)] for row in rows
    ]
    kept = _fitting(labels, rows, columns, console().width)
    whole = [position for position, number in enumerate(kept) if columns[number].is_id or columns[number].is_whole]
    print_table([labels[number] for number in kept], [[row[number] for number in kept] for row in rows], whole)
    if dropped := [label for number, label in enumerate(labels) if number not in kept]:
        sys.stdout.flush()
        print(
            f"Left out, because the terminal is too narrow: {', '.join(dropped)}. A wider one shows them, and so does "
            "-o csv.",
            file=sys.stderr,
        )


def _fitting(
    labels: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[Column[Any]], width: int
) -> list[int]:
    """Return the positions of the columns that a table of this width has: all key columns, and others that fit."""
    from rich.cells import cell_len

    widths = [max(cell_len(text) for text in (label, *(row[n] for row in rows))) for n, label in enumerate(labels)]
    kept = list(range(len(columns)))
    for number in reversed(range(len(columns))):
        if sum(widths[n] + _GAP for n in kept) - _GAP <= width:
            break
        if not columns[number].is_key:
            kept.remove(number)
    return kept


def _is_time(column: Column[T], item: T) -> bool:
    return column.shown is None and isinstance(column.value(item), datetime)


def _text(column: Column[T], item: T, zone: str) -> str:
    """Return the text of a value for people."""
    if column.shown is not None:
        return column.shown(item)
    value = column.value(item)
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}"
        case datetime():
            return format_time(value, zone)
        case list() | tuple():
            return ", ".join(map(str, cast("Sequence[object]", value)))
        case Mapping():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)
