"""Names and texts as SQL takes them, and statements with such parts replaced."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]*        # a text, a name, a comment: left alone
    | \$(?P<parameter>[A-Za-z_]\w*)
    | \battributes\[(?P<attribute>'(?:[^']|'')*')\]""",
    re.VERBOSE,
)


_WORD: Final = re.compile(r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | [^\W\d]\w*""", re.VERBOSE)
"""A text, a name in quotes, a word. A text names nothing, but may hold a quote."""


def quote(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, quoted, for the places that take no parameter: file names, keys of a map."""
    return "'" + text.replace("'", "''") + "'"


def columns_named_by(columns: Iterable[str], *statements: str) -> list[int]:
    """Return the places of those columns that statements may name, in quotes or as words; and the first in any case.

    An engine takes time by the square of the columns of what it is given, and rows without any column have no number.
    """
    words = {word.casefold() for sql in statements for word in _WORD.findall(sql)}
    words |= {word[1:-1].replace('""', '"') for word in words if word[0] == '"'}
    return [place for place, name in enumerate(columns) if not place or name.casefold() in words]


def listed(text: str) -> str:
    """The SQL of a text as a list of one, and of a null as a null."""
    return f"CASE WHEN {text} IS NOT NULL THEN [{text}] END"


def constant(value: str | bool | int | float | datetime | None) -> str:
    """Return a value as SQL writes it in a statement."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case datetime():
            return f"TIMESTAMPTZ {literal(value.isoformat(sep=' '))}"
        case str():
            return literal(value)


def with_values(sql: str, parameters: Mapping[str, Any]) -> str:
    """Return a statement that needs no parameters: `$name` is replaced by the value of that name.

    Raises:
        KeyError: a parameter of the statement has no value.
    """
    return _replaced(sql, lambda found: constant(parameters[name]) if (name := found["parameter"]) else found[0])


def with_columns(sql: str, attributes: Collection[str], column_of: Callable[[str], str]) -> str:
    """Return a statement that reads attributes from columns: `attributes['x']` is replaced by a column's name.

    Args:
        attributes: the attributes that have a column; others are left in the map.
        column_of: an attribute's name to that of its column.
    """

    def column(found: re.Match[str]) -> str:
        if (key := found["attribute"]) is None:
            return found[0]
        name = key[1:-1].replace("''", "'")
        return quote(column_of(name)) if name in attributes else found[0]

    return _replaced(sql, column)


def _replaced(sql: str, replacement: Callable[[re.Match[str]], str]) -> str:
    return _TOKEN.sub(replacement, sql)
