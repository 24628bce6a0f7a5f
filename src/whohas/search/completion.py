"""Completion of a query while it is typed: which field, list or value the text before the cursor may become.

Example: in `@accounts(source.na` the text `source.na` may become a field of the objects of the list `accounts`; in
`attributes.city:"São` the text `"São` may become a value of the field `attributes.city`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from whohas.search.fields import Index
from whohas.search.index import SearchIndex

MAX_SUGGESTIONS = 12
"""The most suggestions of one answer."""

_EXISTS = "_exists_"
_DELIMITERS = " \t\n\r\u3000()+!{}[]^~"
_PLAIN_VALUE = re.compile(r"[\w.@-]*\w", re.ASCII)
_RESERVED = frozenset({"AND", "OR", "NOT", "TO"})


@dataclass(frozen=True, slots=True)
class QueryCursor:
    """The place in a query at which text is typed.

    Attributes:
        path: the list whose objects the place is about, dotted; empty for the documents.
        field: the name of the field whose value is typed; empty where a name is typed.
        text: the part of the name or value that is there already, a beginning quotation mark included.
    """

    path: str
    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text that may replace `QueryCursor.text`.

    Attributes:
        text: the text for the query, such as `email:` or `"Active Directory"`.
        label: the text for people.
        detail: its type, or its number of documents; may be empty.
    """

    text: str
    label: str
    detail: str = ""


def find_cursor(before: str, index: Index) -> QueryCursor:
    """Return the place at the end of a text, the part of a query before the cursor.

    Args:
        before: the text; it need not be valid.
        index: the index to search.
    """
    path, group, field, start, position, is_range = "", "", "", 0, 0, False
    outer: list[tuple[str, str]] = []  # path and group around each open bracket; group: the field before the bracket
    while position < len(before):
        letter = before[position]
        if letter == "\\":
            position += 2
            continue
        if letter == '"':
            end = _end_of_phrase(before, position)
            if end is None:
                break  # the cursor is in the phrase
            position = end
            continue
        if letter == "(":
            name = before[start:position]
            outer.append((path, group))
            if name.startswith("@"):
                path, group = _nested(path, name[1:], index), ""
            else:
                group = field or group
        elif letter == ")":
            path, group = outer.pop() if outer else ("", "")
        elif letter == ":" and not (field or group):
            field, start = _unescaped(before[start:position].lstrip("-")), position + 1
        if letter in _DELIMITERS:
            start = position + 1
            is_range = letter in "[{" or (is_range and letter not in "]}")
            if letter in "()" or (letter.isspace() and not is_range):
                field = ""
        position += 1
    text = before[start:]
    return QueryCursor(path, field or group, text if field or group else text.lstrip("-"))


def name_suggestions(cursor: QueryCursor, index: Index, search: SearchIndex) -> list[Suggestion]:
    """Return the fields and lists whose names contain the typed text; those that begin with it come first.

    Args:
        cursor: a place where a name is typed, or the value of `_exists_`.
        index: the index to search.
        search: the search index of a snapshot.
    """
    is_name = cursor.field != _EXISTS
    found: list[Suggestion] = []
    text = cursor.text.removeprefix("@")
    if not cursor.text.startswith("@"):
        fields = search.element(index, cursor.path).fields
        end = ":" if is_name else ""
        found += [Suggestion(f"{quote_name(name)}{end}", name, fields[name].kind) for name in _matching(fields, text)]
        if is_name and text and _EXISTS.startswith(text):
            found.append(Suggestion(f"{_EXISTS}:", _EXISTS, "has a value"))
    lists = _matching(_lists(cursor.path, index), text)
    found += [Suggestion(f"@{name}(" if is_name else name, f"@{name}(…)", "list") for name in lists if is_name or text]
    return found[:MAX_SUGGESTIONS]


def value_suggestions(cursor: QueryCursor, values: Iterable[tuple[str, int | None]]) -> list[Suggestion]:
    """Return the values that contain the typed text; those that begin with it come first.

    Args:
        cursor: a place where a value is typed.
        values: values of the field, each with the number of documents or objects that have it, if it is known.
    """
    typed = _unescaped(cursor.text.removeprefix('"'))
    counts = dict(values)
    return [
        Suggestion(quote_value(value), value, "" if (count := counts[value]) is None else f"{count:,}")
        for value in _matching(counts, typed)
    ][:MAX_SUGGESTIONS]


def _end_of_phrase(text: str, start: int) -> int | None:
    """Return the position after a phrase that begins at `start`; None if it does not end."""
    match = re.compile(r"\"(?:[^\"\\]|\\[\s\S])*\"").match(text, start)
    return match.end() if match else None


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _nested(path: str, name: str, index: Index) -> str:
    """Return the path of a list by its name in the brackets of another list; an unknown list counts as none."""
    return next((one for one in (f"{path}.{name}" if path else name, name) if one in index.elements), path)


def _lists(path: str, index: Index) -> list[str]:
    """Return the names of the lists in the documents, or in the objects of a list."""
    prefix = f"{path}." if path else ""
    return [
        name.removeprefix(prefix)
        for name in index.elements
        if name and name.startswith(prefix) and "." not in name.removeprefix(prefix)
    ]


def _matching(names: Iterable[str], text: str) -> Iterator[str]:
    """Yield the names that contain a text in any case: first those that begin with it, then by their last part."""
    wanted = text.casefold()
    ranked = [(_rank(name.casefold(), wanted), name) for name in names if wanted in name.casefold()]
    yield from (name for _, name in sorted(ranked, key=lambda pair: pair[0]))  # stable: names keep their order


def _rank(name: str, wanted: str) -> int:
    return 0 if name.startswith(wanted) else 1 if f".{wanted}" in name or f" {wanted}" in name else 2


def quote_name(name: str) -> str:
    """Return the name of a field as a query must have it: characters of the syntax after a backslash."""
    return re.sub(r"([\s+\-!():^\[\]\"{}~*?\\/])", r"\\\1", name) if not name.isidentifier() else name


def quote_value(value: str) -> str:
    """Return a value as a query must have it: as a phrase unless it is one plain word."""
    if _PLAIN_VALUE.fullmatch(value) and value not in _RESERVED and not value.startswith("-"):
        return value
    escaped = re.sub(r"([\"\\])", r"\\\1", value)
    return f'"{escaped}"'
