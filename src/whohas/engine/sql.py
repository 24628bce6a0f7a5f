"""Quote identifiers and values for SQL, and replace parameters and attribute accesses in a statement."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]*        # string, quoted name, comment: not replaced
    | \$(?P<parameter>[A-Za-z_]\w*)
    | \battributes\[(?P<attribute>'(?:[^']|'')*')\]""",
    re.VERBOSE,
)


_WORD: Final = re.compile(r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | [^\W\d]\w*""", re.VERBOSE)
"""A string literal, a quoted name or a word. Strings are matched so that quotes and words in them are not names."""


def quote_identifier(name: str) -> str:
    """Return an identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def string_literal(text: str) -> str:
    """Return a string literal, for places where SQL allows no parameter: file names, keys of a map."""
    return "'" + text.replace("'", "''") + "'"


def referenced_column_indexes(columns: Iterable[str], *statements: str) -> list[int]:
    """Return the indexes of the columns that statements may name, and always index 0.

    Used to give an engine only these columns: its planning time grows with the square of their number. The first
    column is always included because a table without columns has no rows to count.

    Args:
        columns: names of the columns.
        statements: SQL texts. A column counts as named if its name occurs as a word or in quotes, in any case.
    """
    words = {word.casefold() for sql in statements for word in _WORD.findall(sql)}
    words |= {word[1:-1].replace('""', '"') for word in words if word[0] == '"'}
    return [index for index, name in enumerate(columns) if not index or name.casefold() in words]


def as_list(text: str) -> str:
    """Return SQL that puts a text into a list of one, and gives null for null.

    Args:
        text: SQL of the text.
    """
    return f"CASE WHEN {text} IS NOT NULL THEN [{text}] END"


def value_literal(value: str | bool | int | float | datetime | None) -> str:
    """Return the SQL literal of a value. A time must have a time zone."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case datetime():
            return f"TIMESTAMPTZ {string_literal(value.isoformat(sep=' '))}"
        case str():
            return string_literal(value)


def inline_parameters(sql: str, parameters: Mapping[str, Any]) -> str:
    """Return the statement with each parameter `$name` replaced by the literal of its value.

    Strings, quoted names and comments in the statement stay as they are.

    Raises:
        KeyError: a parameter of the statement has no value.
    """
    return _replaced(sql, lambda match: value_literal(parameters[name]) if (name := match["parameter"]) else match[0])


def attributes_as_columns(sql: str, attributes: Collection[str], column_of: Callable[[str], str]) -> str:
    """Return the statement with `attributes['x']` replaced by the name of the column of attribute `x`.

    Args:
        sql: the statement.
        attributes: the attributes that have a column; accesses to others stay as they are.
        column_of: returns the name of an attribute's column.
    """

    def column(match: re.Match[str]) -> str:
        if (key := match["attribute"]) is None:
            return match[0]
        name = key[1:-1].replace("''", "'")
        return quote_identifier(column_of(name)) if name in attributes else match[0]

    return _replaced(sql, column)


def _replaced(sql: str, replacement: Callable[[re.Match[str]], str]) -> str:
    return _TOKEN.sub(replacement, sql)
