"""Attributes as columns of their own, beside the map that holds them all.

A map is what a table's schema promises, and what any reader of Delta Lake sees. To take one attribute out of it, an
engine reads all of them and looks for the name row by row, which is most of what a report of a million accounts costs.
So files of such a table have further columns, an attribute each, and say in their footer which:

::

    whohas.shredded = {"one": {"department": "shredded_0", …}, "many": {"memberOf": "shredded_1", …}, "rest": ["x"]}

`one` are columns of texts, for attributes that never have more than one value in the file; `many` are columns of lists.
The attributes in `rest` are in the map only; others do not occur in the file. The schema of the table does not know
these columns, so other readers pass over them, and a file that somebody else has written lacks them: then the map is
what there is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.sql import listed, literal, quote
from whohas.engine.statement import Layout

KEY: Final = b"whohas.shredded"
MAP: Final = "attributes"
"""The column that is shredded, in tables that say so."""
MOST: Final = 16_384
"""Attributes of a file that get columns, those that its first rows have most of: each costs its writer some 6 kB."""
FEWEST: Final = 200
"""So many get columns however many rows the file has."""
CELLS: Final = 1 << 25
"""Cells of these columns that are made at a time. Attributes that few rows have would take memory for all rows, so a
file of many rows has columns for fewer of them."""

Indexes = np.ndarray[Any, np.dtype[np.int64]]
_NONE: Final[Indexes] = np.empty(0, np.int64)


class Shredding:
    """What becomes of the attributes in one file; its first rows decide which get columns, and of which type.

    An attribute that later turns out not to fit its column is left to the map, in the whole file.
    """

    def __init__(self) -> None:
        self._begun = False
        self._one: dict[str, str] = {}
        self._many: dict[str, str] = {}
        self._rest: set[str] = set()

    def widened(self, data: pa.Table) -> Iterator[pa.Table]:
        """Yield the rows with the further columns, so many at a time as `CELLS` allows."""
        parts = _flat(data)
        if not self._begun:
            self._begun = True
            self._begin(parts, len(data))
        size = max(1, CELLS // max(1, len(self._one) + len(self._many)))
        if len(data) <= size:
            yield self._widen(data, parts)
            return
        for begin in range(0, len(data), size):
            rows = data.slice(begin, size)
            yield self._widen(rows, _flat(rows))

    def _widen(self, data: pa.Table, parts: Sequence[_Flat]) -> pa.Table:
        for part in parts:
            self._rest.update(name for name in part.names if name not in self._one and name not in self._many)
        # one table of all columns at the end: each column that is added to a table copies the list of the others
        made = dict(zip(data.column_names, data.columns, strict=True))
        kinds = ((self._one, _Flat.single, _Flat.texts), (self._many, _Flat.distinct, _Flat.lists))
        for columns, fit, values in kinds:
            for name, column in columns.items():
                fits = all(fit(part, name) for part in parts)
                made[column] = pa.chunked_array([values(part, name, fits) for part in parts])
                if not fits:
                    self._rest.add(name)
        more = [pa.field(name, column.type) for name, column in made.items()][len(data.schema) :]
        return pa.table(list(made.values()), schema=pa.schema([*data.schema, *more]))

    def _begin(self, parts: Sequence[_Flat], rows: int) -> None:
        counts = Counter[str]()
        for part in parts:
            counts.update(part.counts())
        chosen = sorted(counts, key=lambda name: (-counts[name], name))[: max(FEWEST, min(MOST, CELLS // max(1, rows)))]
        for number, name in enumerate(sorted(chosen)):
            if all(part.single(name) for part in parts):
                self._one[name] = f"shredded_{number}"
            elif all(part.distinct(name) for part in parts):
                self._many[name] = f"shredded_{number}"

    def facts(self) -> dict[str, str]:
        """What the file's footer says."""
        document = {
            "one": {name: column for name, column in self._one.items() if name not in self._rest},
            "many": {name: column for name, column in self._many.items() if name not in self._rest},
            "rest": sorted(self._rest),
        }
        return {KEY.decode(): json.dumps(document)}


def _flat(data: pa.Table) -> list[_Flat]:
    return [_Flat(chunk) for chunk in data.column(MAP).chunks]


class _Flat:
    """The attributes of some rows, name by name."""

    def __init__(self, attributes: pa.MapArray) -> None:
        offsets = np.asarray(attributes.offsets)
        begin, end = offsets[0], offsets[-1]
        self._size = len(attributes)
        self._items = attributes.items.slice(begin, end - begin)
        edges = np.asarray(self._items.offsets)
        self._begins, self._lengths = edges[:-1] - edges[0], np.diff(edges)
        self._values = self._items.flatten()
        keys = attributes.keys.slice(begin, end - begin).dictionary_encode()
        codes = np.asarray(keys.indices)
        self.names: list[str] = keys.dictionary.to_pylist()
        # the entries of each name, in the order of their rows
        self._entries: dict[str, Indexes] = {}
        self._rows: Indexes | None = None
        width = len(self.names)
        sizes = np.diff(offsets)
        if width and (sizes == width).all() and (codes.reshape(-1, width) == np.arange(width)).all():
            # each row has every name, in the same order
            self._entries = {name: np.arange(place, len(codes), width) for place, name in enumerate(self.names)}
            return
        self._rows = np.repeat(np.arange(self._size), sizes)
        # numbers of 16 bits are sorted in time that grows with their number only
        order = np.argsort(codes.astype(np.uint16) if width < 1 << 16 else codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=width))
        for code, name in enumerate(self.names):
            self._entries[name] = order[ends[code - 1] if code else 0 : ends[code]]

    def counts(self) -> dict[str, int]:
        """How many entries each name has."""
        return {name: len(entries) for name, entries in self._entries.items()}

    def distinct(self, name: str) -> bool:
        """Whether no row has that name twice."""
        if self._rows is None:
            return True
        rows = self._rows[self._entries.get(name, _NONE)]
        return bool((rows[1:] != rows[:-1]).all())

    def single(self, name: str) -> bool:
        """Whether each entry of that name is one text, and no row has two."""
        entries = self._entries.get(name, _NONE)
        if not ((self._lengths[entries] == 1).all() and self.distinct(name)):
            return False
        return self._values.null_count == 0 or self.texts(name).null_count == self._size - len(entries)

    def texts(self, name: str, some: bool = True) -> pa.Array:
        """The value of each row's entry; null where a row has none, or no row is to have any."""
        entries = self._entries.get(name, _NONE) if some else _NONE
        return self._values.take(self._by_row(entries, self._begins[entries]))

    def lists(self, name: str, some: bool = True) -> pa.Array:
        """The values of each row's entry; null where a row has none, or no row is to have any."""
        entries = self._entries.get(name, _NONE) if some else _NONE
        return self._items.take(self._by_row(entries, entries))

    def _by_row(self, entries: Indexes, indexes: Indexes) -> pa.Array:
        if len(entries) == self._size:
            return pa.array(indexes)
        whole = np.zeros(self._size, np.int64)
        missing = np.ones(self._size, np.bool_)
        if len(entries):
            assert self._rows is not None, "where every row has every name, every name has an entry a row"
            rows = self._rows[entries]
            whole[rows] = indexes
            missing[rows] = False
        return pa.array(whole, mask=missing)


def column_of(name: str) -> str:
    """The name by which an engine is given the column of an attribute."""
    return f"{MAP}.{name}"


def layouts(files: Sequence[Path], names: Sequence[str]) -> tuple[tuple[Layout, ...], frozenset[str]]:
    """How an engine finds these attributes, in files that it reads in this order.

    Returns:
        The layouts, and the names that never have more than one value: those come as texts, the others as lists.
    """
    facts = [_facts(path) if names else None for path in files]
    single = frozenset(name for name in names if all(_single(name, one) for one in facts))
    found = groupby(
        zip(files, facts, strict=True), key=lambda file: [_expression(name, file[1], name in single) for name in names]
    )
    return (
        tuple(
            Layout(tuple(str(path) for path, _ in group), tuple(zip(map(column_of, names), expressions, strict=True)))
            for expressions, group in found
        ),
        single,
    )


_Facts = Mapping[str, Any]


def _facts(path: Path) -> _Facts | None:
    """What the file's footer says; None where it says nothing."""
    said = (pq.read_metadata(path).metadata or {}).get(KEY)
    if said is None:
        return None
    facts = json.loads(said)
    return {**facts, "rest": frozenset(facts["rest"])}


def _single(name: str, facts: _Facts | None) -> bool:
    return facts is not None and name not in facts["many"] and name not in facts["rest"]


def _expression(name: str, facts: _Facts | None, single: bool) -> str:
    if facts is None or name in facts["rest"]:
        return f"{quote(MAP)}[{literal(name)}]"
    if name in facts["many"]:
        return quote(facts["many"][name])
    if name not in facts["one"]:
        return "NULL::VARCHAR" if single else "NULL::VARCHAR[]"
    column = quote(facts["one"][name])
    return column if single else listed(column)
