"""Shredding: additional Parquet columns, one for each attribute of the map column `attributes`.

The table's schema has the attributes as a map from name to list of values, and this is how any reader of Delta Lake
sees them. To read one attribute from a map, an engine reads all of them and searches each row for the name: for a
report of a million accounts, this takes most of the time. Therefore the files of a shredded table contain each
attribute a second time as a column, and their footer lists these columns:

::

    whohas.shredded = {"one": {"department": "shredded_text_0", …},
                       "many": {"memberOf": "shredded_list_0", …},
                       "rest": ["x"]}

`one` lists text columns, for attributes that never have more than one value in a row of this file. `many` lists
columns of lists of texts. The attributes in `rest` are in the map only. An attribute in none of the three does not
occur in the file. The columns are not part of the table's schema, so readers of Delta Lake ignore them. A file without
this footer, such as one that another program has written, is read by its map.

Worked example, two accounts::

    attributes                                        shredded_text_0 (department)   shredded_list_0 (memberOf)
    {department: ["Sales"], memberOf: ["a", "b"]}     "Sales"                        ["a", "b"]
    {memberOf: ["a"]}                                 null                           ["a"]

A report that selects `attributes['department']` then reads `shredded_text_0` alone.

The same attribute can have one value in each row of one file, and several in another. Therefore the name of a column
says its type: programs that read the table as a folder of Parquet files, and merge the schemas of its files, find one
type for each name. Earlier versions numbered the columns through without regard to their types (`shredded_0` …). Their
files are read by their footer like all others; a load that replaces the rows of a source also replaces its files.
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

from whohas.engine.sql import as_list, quote_identifier, string_literal
from whohas.engine.statement import FileLayout

FOOTER_KEY: Final = b"whohas.shredded"
MAP_COLUMN: Final = "attributes"
"""The map column that is shredded, in tables whose `Table.shredded` is true."""
TEXT_COLUMN: Final = "shredded_text_"
LIST_COLUMN: Final = "shredded_list_"
"""How the names of columns of texts, and of lists of texts, begin. No column of a table begins so."""
MAX_COLUMNS: Final = 16_384
"""The largest number of attribute columns in a file. Each takes about 6 kB of memory while the file is written."""
MIN_COLUMNS: Final = 200
"""The number of attributes that get columns in any case, however many rows the first batch has."""
MAX_CELLS: Final = 1 << 25
"""The largest number of cells of attribute columns in memory at a time. A column has a cell for each row, also for an
attribute that few rows have, so fewer attributes get columns where there are many rows."""

Indexes = np.ndarray[Any, np.dtype[np.int64]]
_NONE: Final[Indexes] = np.empty(0, np.int64)


class AttributeColumnWriter:
    """The attribute columns of one Parquet file while it is written.

    The first batch of rows decides which attributes get columns, the most frequent first, and of which type. If a later
    row does not fit its column (a second value in a text column, say), the footer lists the attribute in `rest`, and
    readers use the map for the whole file.
    """

    def __init__(self) -> None:
        self._columns_chosen = False
        self._one: dict[str, str] = {}
        self._many: dict[str, str] = {}
        self._rest: set[str] = set()

    def with_attribute_columns(self, data: pa.Table) -> Iterator[pa.Table]:
        """Yield the rows with the attribute columns added, in slices of at most `MAX_CELLS` cells of these columns.

        Args:
            data: a batch of rows with the column `attributes`.
        """
        chunks = _flat(data)
        if not self._columns_chosen:
            self._columns_chosen = True
            self._choose_columns(chunks, len(data))
        size = max(1, MAX_CELLS // max(1, len(self._one) + len(self._many)))
        if len(data) <= size:
            yield self._widen(data, chunks)
            return
        for begin in range(0, len(data), size):
            rows = data.slice(begin, size)
            yield self._widen(rows, _flat(rows))

    def _widen(self, data: pa.Table, chunks: Sequence[_AttributeChunk]) -> pa.Table:
        for chunk in chunks:
            self._rest.update(name for name in chunk.names if name not in self._one and name not in self._many)
        # Build the table once, from all columns: `append_column` would copy the list of columns for each of them.
        arrays = dict(zip(data.column_names, data.columns, strict=True))
        kinds = (
            (self._one, _AttributeChunk.single, _AttributeChunk.texts),
            (self._many, _AttributeChunk.distinct, _AttributeChunk.lists),
        )
        for columns, can_hold, values in kinds:
            for name, column in columns.items():
                fits = all(can_hold(chunk, name) for chunk in chunks)
                arrays[column] = pa.chunked_array([values(chunk, name, fits) for chunk in chunks])
                if not fits:
                    self._rest.add(name)
        added = [pa.field(name, column.type) for name, column in arrays.items()][len(data.schema) :]
        return pa.table(list(arrays.values()), schema=pa.schema([*data.schema, *added]))

    def _choose_columns(self, chunks: Sequence[_AttributeChunk], rows: int) -> None:
        counts = Counter[str]()
        for chunk in chunks:
            counts.update(chunk.counts())
        chosen = sorted(counts, key=lambda name: (-counts[name], name))[
            : max(MIN_COLUMNS, min(MAX_COLUMNS, MAX_CELLS // max(1, rows)))
        ]
        for name in sorted(chosen):
            if all(chunk.single(name) for chunk in chunks):
                self._one[name] = f"{TEXT_COLUMN}{len(self._one)}"
            elif all(chunk.distinct(name) for chunk in chunks):
                self._many[name] = f"{LIST_COLUMN}{len(self._many)}"

    def footer(self) -> dict[str, str]:
        """Return the key and value for the file's footer, as the module's docstring shows them."""
        document = {
            "one": {name: column for name, column in self._one.items() if name not in self._rest},
            "many": {name: column for name, column in self._many.items() if name not in self._rest},
            "rest": sorted(self._rest),
        }
        return {FOOTER_KEY.decode(): json.dumps(document)}


def _flat(data: pa.Table) -> list[_AttributeChunk]:
    return [_AttributeChunk(chunk) for chunk in data.column(MAP_COLUMN).chunks]


class _AttributeChunk:
    """The attributes of one Arrow chunk of rows, indexed by name.

    An "entry" is one name with its list of values in one row; entries are numbered through all rows. Example, with
    the rows `{a: ["x"], b: ["y", "z"]}` and `{b: ["w"]}`::

        offsets  [0, 2, 3]      row 0 has the entries 0 and 1, row 1 has entry 2
        keys     [a, b, b]      the names of the entries
        codes    [0, 1, 1]      the names as numbers, their places in `names` = [a, b]
        _values  [x, y, z, w]   the values of all entries
        _begins  [0, 1, 3]      where the values of each entry begin
        _lengths [1, 2, 1]      how many values each entry has
        _entries {a: [0], b: [1, 2]}
        _rows    [0, 0, 1]      the row of each entry

    So `a` is a text column, ["x", null], because its entries have one value each; `b` is a column of lists.
    """

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
        self._entries: dict[str, Indexes] = {}  # in the order of the rows
        self._rows: Indexes | None = None  # None if every row has every name, in the same order
        width = len(self.names)
        sizes = np.diff(offsets)
        if width and (sizes == width).all() and (codes.reshape(-1, width) == np.arange(width)).all():
            # The usual case: every row has every name in the same order, so the entries need no sorting.
            self._entries = {name: np.arange(index, len(codes), width) for index, name in enumerate(self.names)}
            return
        self._rows = np.repeat(np.arange(self._size), sizes)
        # numpy sorts 16-bit integers by radix sort, in linear time
        order = np.argsort(codes.astype(np.uint16) if width < 1 << 16 else codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=width))
        for code, name in enumerate(self.names):
            self._entries[name] = order[ends[code - 1] if code else 0 : ends[code]]

    def counts(self) -> dict[str, int]:
        """Return the number of entries of each name."""
        return {name: len(entries) for name, entries in self._entries.items()}

    def distinct(self, name: str) -> bool:
        """Return whether no row has that name twice."""
        if self._rows is None:
            return True
        rows = self._rows[self._entries.get(name, _NONE)]
        return bool((rows[1:] != rows[:-1]).all())

    def single(self, name: str) -> bool:
        """Return whether each entry of that name has exactly one value, not null, and no row has the name twice."""
        entries = self._entries.get(name, _NONE)
        if not ((self._lengths[entries] == 1).all() and self.distinct(name)):
            return False
        return self._values.null_count == 0 or self.texts(name).null_count == self._size - len(entries)

    def texts(self, name: str, fits: bool = True) -> pa.Array:
        """Return the text column of an attribute: the value for each row, null where a row lacks the attribute.

        All cells are null if `fits` is false: readers then use the map.
        """
        entries = self._entries.get(name, _NONE) if fits else _NONE
        return self._values.take(self._by_row(entries, self._begins[entries]))

    def lists(self, name: str, fits: bool = True) -> pa.Array:
        """Return the list column of an attribute: the values for each row, null where a row lacks the attribute.

        All cells are null if `fits` is false: readers then use the map.
        """
        entries = self._entries.get(name, _NONE) if fits else _NONE
        return self._items.take(self._by_row(entries, entries))

    def _by_row(self, entries: Indexes, indexes: Indexes) -> pa.Array:
        """Spread the indexes of entries over all rows; rows without an entry get null."""
        if len(entries) == self._size:
            return pa.array(indexes)
        spread = np.zeros(self._size, np.int64)
        missing = np.ones(self._size, np.bool_)
        if len(entries):
            assert self._rows is not None, "without row numbers, every name has one entry in each row"
            rows = self._rows[entries]
            spread[rows] = indexes
            missing[rows] = False
        return pa.array(spread, mask=missing)


def attribute_column_name(name: str) -> str:
    """Return the name of an attribute's column in the view that an engine gets: `attributes.department`."""
    return f"{MAP_COLUMN}.{name}"


def file_layouts(files: Sequence[Path], names: Sequence[str]) -> tuple[tuple[FileLayout, ...], frozenset[str]]:
    """Return the SQL that reads some attributes from the files of a table.

    Args:
        files: the table's files, in the order in which an engine is to read them.
        names: the attributes that a statement reads.

    Returns:
        The layouts: neighbouring files with the same SQL for every attribute share one. And the attributes that are
        texts, because they have a text column, or do not occur, in all files; the others are lists of texts.
    """
    footers = [_footer(path) if names else None for path in files]
    single = frozenset(name for name in names if all(_is_single(name, footer) for footer in footers))
    grouped = groupby(
        zip(files, footers, strict=True),
        key=lambda file: [_expression(name, file[1], name in single) for name in names],
    )
    return (
        tuple(
            FileLayout(
                tuple(str(path) for path, _ in group),
                tuple(zip(map(attribute_column_name, names), expressions, strict=True)),
            )
            for expressions, group in grouped
        ),
        single,
    )


_Footer = Mapping[str, Any]


def _footer(path: Path) -> _Footer | None:
    """Return the list of attribute columns in the file's footer; None if it has no such list."""
    value = (pq.read_metadata(path).metadata or {}).get(FOOTER_KEY)
    if value is None:
        return None
    footer = json.loads(value)
    return {**footer, "rest": frozenset(footer["rest"])}


def _is_single(name: str, footer: _Footer | None) -> bool:
    return footer is not None and name not in footer["many"] and name not in footer["rest"]


def _expression(name: str, footer: _Footer | None, single: bool) -> str:
    """Return the SQL that reads an attribute from one file: a text if `single`, else a list of texts."""
    if footer is None or name in footer["rest"]:
        return f"{quote_identifier(MAP_COLUMN)}[{string_literal(name)}]"
    if name in footer["many"]:
        return quote_identifier(footer["many"][name])
    if name not in footer["one"]:
        return "NULL::VARCHAR" if single else "NULL::VARCHAR[]"
    column = quote_identifier(footer["one"][name])
    return column if single else as_list(column)
