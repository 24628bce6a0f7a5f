"""Convert the `filters` of the search API to a syntax tree, which documents must match in addition to the query's.

Source of the rules: the published schema of `Filter`: a type (EXISTS, RANGE or TERMS), `terms`, a `range` whose bounds
are exclusive unless `inclusive` is true, and `exclude`. A term of a filter is compared with whole values, not words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from whohas.errors import InvalidArguments
from whohas.search.ast import Clause, Group, Nested, Node, Occur, Phrase, Range, Term
from whohas.search.fields import INDICES


def filters_node(filters: Mapping[str, Any]) -> Node:
    """Return the syntax tree that requires all filters.

    Args:
        filters: by field; a field of a list's objects has the list's path before its name, such as `access.source.id`.

    Raises:
        InvalidArguments: a filter has an unknown type, or lacks a part that its type needs.
    """
    return Group(tuple(_clause(name, filter) for name, filter in filters.items()))


def _clause(name: str, filter: object) -> Clause:
    if not isinstance(filter, Mapping):
        raise InvalidArguments(f'The filter on {name} must be an object with a type, such as {{"type": "EXISTS"}}.')
    definition = cast("Mapping[str, Any]", filter)
    path = next((p for p in sorted(_PATHS, key=len, reverse=True) if name.startswith(f"{p}.")), "")
    field = name.removeprefix(f"{path}.") if path else name
    match definition.get("type"):
        case "EXISTS":
            node: Node = Term("_exists_", field)
        case "TERMS":
            node = Group(
                tuple(Clause(Occur.SHOULD, Phrase(f"{field}.exact", term)) for term in _terms(name, definition))
            )
        case "RANGE":
            node = _range(name, field, definition)
        case type:
            raise InvalidArguments(f"The filter on {name} must have the type EXISTS, RANGE or TERMS, not {type!r}.")
    node = Nested(path, node) if path else node
    return Clause(Occur.MUST_NOT if definition.get("exclude") is True else Occur.MUST, node)


_PATHS = frozenset(path for index in INDICES.values() for path in index.elements if path)


def _terms(name: str, definition: Mapping[str, Any]) -> list[str]:
    terms = definition.get("terms")
    if not isinstance(terms, list) or not terms:
        raise InvalidArguments(
            f'The filter on {name} needs terms: a list of at least one, such as "terms": ["Finance"].'
        )
    return [_text(name, term) for term in cast("list[object]", terms)]


def _range(name: str, field: str, definition: Mapping[str, Any]) -> Range:
    range = definition.get("range")
    if not isinstance(range, Mapping):
        raise InvalidArguments(_range_message(name))
    bounds: dict[str, tuple[str | None, bool]] = {}
    for side in ("lower", "upper"):
        bound = cast("Mapping[str, Any]", range).get(side)
        if bound is None:
            bounds[side] = (None, False)
        elif isinstance(bound, Mapping) and cast("Mapping[str, Any]", bound).get("value") is not None:
            parts = cast("Mapping[str, Any]", bound)
            bounds[side] = (_text(name, parts["value"]), parts.get("inclusive") is True)
        else:
            raise InvalidArguments(
                f'The {side} bound of the filter on {name} needs a value, such as "{side}": {{"value": "2026-01-01"}}.'
            )
    (low, low_included), (high, high_included) = bounds["lower"], bounds["upper"]
    if low is None and high is None:
        raise InvalidArguments(_range_message(name))
    return Range(f"{field}.exact", low, high, low_included, high_included)


def _range_message(name: str) -> str:
    return (
        f"The filter on {name} needs a range with a lower or an upper bound, such as "
        '"range": {"lower": {"value": "2026-01-01"}}.'
    )


def _text(name: str, value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case _:
            raise InvalidArguments(f"The filter on {name} must have texts, numbers, true or false as its values.")
