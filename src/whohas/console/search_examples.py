"""Examples of the query language for the search page, made from the data at hand so that each finds something.

Example: if the department of most identities is Sales, one example is `attributes.department:Sales`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from whohas.console.lookups import Lookup, lookup_slot, open_lookup
from whohas.engine.sql import quote_identifier, string_literal
from whohas.errors import WhohasError
from whohas.search.analyzer import VALUE_SEPARATOR
from whohas.search.completion import quote_name, quote_value
from whohas.search.fields import INDICES
from whohas.search.index import IndexedElement, SearchIndex

_ATTRIBUTES: Final = (
    "department",
    "abteilung",
    "division",
    "costcenter",
    "city",
    "location",
    "country",
    "title",
    "status",
)
"""The attributes that make good examples, the best first; any other attribute with few values follows."""
_MOST_VALUES: Final = 50
_MOST_ATTRIBUTES: Final = 40
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Example:
    """An example of the language that can be clicked: a query and what it finds."""

    query: str
    finds: str
    index: str = "identities"


def search_examples(search: SearchIndex, spill: Path) -> tuple[Example, ...]:
    """Return the examples for a search index; none if they cannot be made now.

    Args:
        search: the search index.
        spill: the folder for temporary files of engines (`Settings.spill_path`).
    """
    root = next(iter(search.element(INDICES["identities"]).files.values()))
    try:
        return _made(_Index(search, root), spill)
    except WhohasError:  # such as too many pages at once; help is no reason to refuse the page
        return ()


@dataclass(frozen=True, slots=True)
class _Index:
    """A search index, equal to another one with the same files."""

    search: SearchIndex
    root: Path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Index) and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.root)


@lru_cache(maxsize=8)
def _made(index: _Index, spill: Path) -> tuple[Example, ...]:
    """Return the examples; cached, because the files of an index never change."""
    makers: Sequence[Callable[[_Reader], Iterator[Example]]] = (
        _access,
        _accounts,
        _attributes,
        _people,
        _numbers,
        _other_indices,
    )
    with lookup_slot(), open_lookup(spill, ()) as lookup:
        reader = _Reader(index.search, lookup)
        return tuple(example for make in makers for example in make(reader))


class _Reader:
    """Reads single values of a search index."""

    def __init__(self, search: SearchIndex, lookup: Lookup) -> None:
        self.search = search
        self._lookup = lookup

    def element(self, index: str, path: str = "") -> IndexedElement:
        return self.search.element(INDICES[index], path)

    def one(self, sql: str, index: str, path: str = "", suffix: str = "") -> tuple[Any, ...] | None:
        """Return the first row of `sql`, in which `{rows}` stands for the rows of an element; None for no row."""
        files = self.element(index, path).files
        file = next((file for name, file in files.items() if name.endswith(suffix)), None)
        if file is None:
            return None
        rows = self._lookup.rows(sql.replace("{rows}", f"read_parquet({string_literal(str(file))})"))
        return rows[0] if rows else None

    def values(self, index: str, column: str, count: int = 2) -> list[str]:
        """Return the most frequent values of a column that can be written in a query; none if it has too many."""
        found = self.one(
            f"""
            WITH counted AS (
                SELECT v, count(*) AS number
                FROM (SELECT unnest(string_split({quote_identifier(column)}, {string_literal(VALUE_SEPARATOR)})) AS v
                      FROM {{rows}})
                WHERE v IS NOT NULL AND v <> '' GROUP BY v
            )
            SELECT list(v ORDER BY number DESC, v) FILTER (WHERE {_usable("v")}), count(*), max(number) FROM counted
            """,
            index,
        )
        if found is None or not found[0] or not 2 <= found[1] <= _MOST_VALUES or found[2] < 2:
            return []
        return found[0][:count]


def _usable(sql: str) -> str:
    """Return the SQL of whether a text is short, has a letter or digit to search for, and can be printed."""
    return (
        f"(length({sql}) <= {_LONGEST} AND regexp_matches({sql}, '[\\pL\\pN]') AND NOT regexp_matches({sql}, '\\pC'))"
    )


def _access(read: _Reader) -> Iterator[Example]:
    suffix = ".items"
    sql = (
        f"SELECT name FROM {{rows}} WHERE {_usable('name')} ORDER BY privileged IS NOT true, length(name), name LIMIT 1"
    )
    if found := read.one(sql, "identities", "access", suffix):
        yield Example(f"@access(name:{quote_value(found[0])})", f"who has the access {found[0]}")
    if read.one("SELECT 1 FROM {rows} WHERE privileged LIMIT 1", "identities", "access", suffix):
        yield Example("@access(privileged:true)", "who has privileged access")


def _accounts(read: _Reader) -> Iterator[Example]:
    sql = f"""
        SELECT "source.name", bool_or(disabled) FROM {{rows}} WHERE {_usable('"source.name"')}
        GROUP BY ALL ORDER BY 2 DESC NULLS LAST, count(*) DESC, 1 LIMIT 1
    """
    if found := read.one(sql, "identities", "accounts"):
        condition = f"source.name:{quote_value(found[0])}"
        if found[1]:
            yield Example(f"@accounts({condition} AND disabled:true)", f"whose account on {found[0]} is disabled")
        else:
            yield Example(f"@accounts({condition})", f"who has an account on {found[0]}")


def _attributes(read: _Reader) -> Iterator[Example]:
    names = [name for name in read.element("identities").fields if name.startswith("attributes.")]

    def rank(name: str) -> tuple[int, str]:
        plain = name.removeprefix("attributes.").casefold()
        return _ATTRIBUTES.index(plain) if plain in _ATTRIBUTES else len(_ATTRIBUTES), plain

    shown = 0
    for name in sorted(names, key=rank)[:_MOST_ATTRIBUTES]:
        values = read.values("identities", read.element("identities").fields[name].column)
        if not values:
            continue
        label = name.removeprefix("attributes.")
        if shown == 0:
            yield Example(f"{quote_name(name)}:{quote_value(values[0])}", f"{label} is {values[0]}")
        elif len(values) > 1:
            either = " OR ".join(map(quote_value, values))
            yield Example(f"{quote_name(name)}:({either})", f"{label} is one of several values")
            return
        shown += 1


def _people(read: _Reader) -> Iterator[Example]:
    if read.one("SELECT 1 FROM {rows} WHERE isManager LIMIT 1", "identities"):
        yield Example("isManager:true", "managers")
    if read.one('SELECT 1 FROM {rows} WHERE "manager.id" IS NULL LIMIT 1', "identities"):
        yield Example("NOT _exists_:manager.id", "identities without a manager")
    for field, kind in (("lastName", "family names"), ("displayName", "names")):
        sql = f"""
            SELECT lower({field})[1:3] FROM {{rows}} WHERE regexp_matches(lower({field}), '^[a-z]{{3}}[a-z]')
            GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
        """
        if found := read.one(sql, "identities"):
            yield Example(f"{field}:{found[0]}*", f"{kind} that begin with {found[0]}")
            return


def _numbers(read: _Reader) -> Iterator[Example]:
    found = read.one("SELECT max(accountCount), mode(year(created)) FROM {rows}", "identities")
    if found and found[0]:
        yield Example(f"accountCount:[{found[0]} TO *]", f"{found[0]} accounts or more")
    if found and found[1]:
        yield Example(f"created:[{found[1]}-01-01 TO {found[1] + 1}-01-01}}", f"created in {found[1]}")


def _other_indices(read: _Reader) -> Iterator[Example]:
    if read.one("SELECT 1 FROM {rows} WHERE privileged LIMIT 1", "entitlements"):
        yield Example("privileged:true", "privileged entitlements", "entitlements")
    sql = f"SELECT name FROM {{rows}} WHERE {_usable('name')} ORDER BY length(name), name LIMIT 1"
    for index, what in (("roles", "the role"), ("entitlements", "the entitlement")):
        if found := read.one(sql, index):
            yield Example(f"name:{quote_value(found[0])}", f"{what} {found[0]}", index)
            return
