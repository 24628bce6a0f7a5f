"""The part of `tables.md` on the search index: its views and columns, as `whohas.search.fields` has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from whohas.search.fields import INDICES, Element, FieldKind, IndexField
from whohas.search.index import WORDS_SUFFIX, view_name
from whohas.warehouse.schema import OWNED_TYPES, TABLES

INTRODUCTION = (Path(__file__).parent / "search-tables.in.md").read_text()

TYPES: dict[FieldKind, str] = {
    "text": "text", "id": "text", "date": "time", "boolean": "boolean", "integer": "integer",
}  # fmt: skip

_COUNTED = "how many {0} are counted where the document does not say"
_HELD = "{0}: what is counted where accounts decide it, else what the document says"
_MEANINGS = {
    "manager.name": "The manager's name; where no document gives it, the name of the identity with `manager.id`.",
    "manager.displayName": "The manager's name as people read it, found like `manager.name`.",
    "isManager": "Whether somebody has it as manager, where no document says.",
    "accountCount": f"How many accounts it has; {_COUNTED.format('accounts')}.",
    "accessCount": _HELD.format("How many access items it holds") + ".",
    "identities entitlementCount": _HELD.format("How many entitlements it holds") + ".",
    "roleCount": _HELD.format("How many roles it holds") + ".",
    "identities accessProfileCount": _HELD.format("How many access profiles it holds") + ".",
    "appCount": f"How many apps it can use; {_COUNTED.format('apps')}.",
    "ownsCount": f"How many things it owns; {_COUNTED.format('things')}.",
    "tagsCount": f"How many tags it has; {_COUNTED.format('tags')}.",
    "tagCount": "The same as `tagsCount`.",
    "entitlementCount": f"How many entitlements it has; {_COUNTED.format('entitlements')}.",
    "accessProfileCount": f"How many access profiles it has; {_COUNTED.format('access profiles')}.",
    "segmentCount": f"How many segments see it; {_COUNTED.format('segments')}.",
    "owner.type": "IDENTITY where it has an owner.",
    "manuallyUpdatedFields.DESCRIPTION": "Whether its description was changed by hand.",
    "manuallyUpdatedFields.DISPLAY_NAME": "Whether its display name was changed by hand.",
}
"""Of what is computed; a name that means different things is with its index."""

_PLACE = re.compile(
    r"""(?: nullif\( | list_aggregate\( )? t\."(?P<column>\w+)" (?: ,\ ''\) | ,\ 'string_agg',\ chr\(31\)\) )?""",
    re.VERBOSE,
)
_NUM = ("num", "integer", "", "The number of the document that it belongs to.")
_ALL = (WORDS_SUFFIX, "words", "", "The words of all texts, ids and attributes.")

Row = tuple[str, str, str, str]


def chapters() -> Iterator[tuple[str, str, list[Row]]]:
    """Each table of the search index: its name, what a row is, and column, type, words and meaning of each column."""
    for index in INDICES.values():
        for path, element in index.elements.items():
            name = view_name(index, path)
            columns = [_row(one, _meaning(index.name, element, one)) for one in element.fields.values()]
            columns += [
                (f"{beginning}.*", "text", "yes", f"A column for each name in the map `{column}`.")
                for beginning, column in element.map_columns.items()
            ]
            if not path:
                number = ("num", "integer", "", "Its number, in the order of ids.")
                yield name, f"A document of the index {index.name}.", [number, *columns, _ALL]
            elif element.shared:
                item = ("item", "integer", "", f'The number of the item, a row of `"{name}.items"`.')
                yield name, "Which document has which item.", [_NUM, item]
                item = ("item", "integer", "", "Its number.")
                yield f"{name}.items", f"An item of `{path}`.", [item, *columns, _ALL]
            else:
                places = [
                    ("ord", "integer", "", "Its place in its list, from 1."),
                    ("parent", "integer", "", "The `ord` of the object that its list lies in; null for none."),
                ] if element.from_list_column else []  # fmt: skip
                yield name, f"An object of the list `{path}`.", [_NUM, *places, *columns, _ALL]


def _row(one: IndexField, meaning: str) -> Row:
    type = f"{TYPES[one.kind]}, several values" if one.multi_valued else TYPES[one.kind]
    return one.column, type, "yes" if one.kind == "text" else "", meaning


def _meaning(index: str, element: Element, one: IndexField) -> str:
    found = _MEANINGS.get(f"{index} {one.name}") or _MEANINGS.get(one.name)
    if found and not element.path:
        return found
    if place := _PLACE.fullmatch(one.sql):
        return TABLES[element.source_tables[-1] if element.path else _documents(index)].column(place["column"]).doc
    if element.path == "owns":
        kind, _, rest = one.name.partition(".")
        return (
            f"The {rest} of what it owns, if that is of the type {OWNED_TYPES[kind]}."
            if rest
            else f"The object's {kind}."
        )
    if "t.e." in one.sql:
        return f"`{one.name}` of the object."
    raise ValueError(f"The column {one.name} of {view_name(INDICES[index], element.path)} has no meaning in _MEANINGS.")


def _documents(index: str) -> str:
    """The table that the documents of an index are rows of."""
    depends = INDICES[index].documents.source_tables
    return depends[0]
