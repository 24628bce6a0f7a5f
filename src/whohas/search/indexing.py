"""Making the files of a search index: DuckDB joins and orders, Arrow adds the words.

The same rows give the same bytes, whatever the order in which the warehouse's files have them, the number of threads
and the memory. So each file has a total order, and its rows are grouped by their number, not by how the engine hands
them out; Arrow alone writes files, from one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.duckdb import connect
from whohas.engine.sql import literal, quote
from whohas.search.analyzer import VALUE_SEPARATOR
from whohas.search.fields import Element, Index
from whohas.search.tokenize import words
from whohas.warehouse.arrow import pc
from whohas.warehouse.evolved import scan
from whohas.warehouse.schema import TABLES
from whohas.warehouse.store import Snapshot

_BATCH = 60_000
"""Rows that are worked on at once, and of a row group of most files. Another number makes other files."""
_PAIRS_ROW_GROUP = 122_880
_COMPRESSION = "snappy"
_WORDS = ":words"
_MAP = ":map"
MOST_ATTRIBUTES = 1_000
"""Names of an open map that become fields."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What making an index may use.

    Attributes:
        memory: bytes that the engine may have before it spills to disk.
        threads: how many it may run.
    """

    memory: int = 1_000_000_000
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Attribute:
    """A name in an open map of an element.

    Attributes:
        name: the published name, such as `attributes.city`.
        map: the map's beginning, such as `attributes`.
        key: its name in the map.
        many: whether it has several values somewhere.
        column: the column that has it: the name, but engines tell columns apart without regard to case, and a
            statement that is printed must not lose a character of it.
    """

    name: str
    map: str
    key: str
    many: bool
    column: str


class Indexing:
    """One index under way. Made by `Indexing.open`."""

    def __init__(self, connection: Any, folder: Path) -> None:
        self._connection = connection
        self._folder = folder

    @staticmethod
    @contextmanager
    def open(snapshot: Snapshot, folder: Path, resources: Resources) -> Generator[Indexing]:
        """A connection that sees the snapshot's tables, and a folder to write to."""
        connection: Any = connect(resources.memory, resources.threads, folder / "spill")
        # every order is asked for; keeping that of the tables' files too would only cost memory
        connection.execute("SET preserve_insertion_order = false")
        try:
            for table in TABLES.values():
                files = [file.path for file in snapshot.files(table)]
                if files:
                    connection.execute(f"CREATE VIEW {quote(table.name)} AS FROM {scan(table, files)}")
                else:
                    connection.register(table.name, table.schema.empty_table())
            yield Indexing(connection, folder)
        finally:
            connection.close()

    def write(self, index: Index, element: Element, on_rows: Callable[[int], None]) -> tuple[int, list[Attribute]]:
        """Writes an element's files; its rows and its attributes."""
        attributes = self._attributes(element)
        name = f"{index.name}.{element.path}" if element.path else index.name
        path = self._folder / f"{name}.parquet"
        columns = [f"{one.sql} AS {quote(one.name)}" for one in element.fields.values()]
        columns += [f"t.{quote(column)} AS {quote(f'{beginning}{_MAP}')}" for beginning, column in element.maps.items()]
        if not element.path:
            ordered = _Ordered(f"SELECT {', '.join(columns)} FROM {element.rows} t", ("id",))
            return self._write(ordered, element, attributes, path, "num", on_rows), attributes
        self._number(index)
        joined = f"FROM {element.rows} t JOIN numbers n ON n.id = t.holder"
        if not element.shared:
            places = ["t.ord", "t.parent"] if element.listed else []
            source = f"SELECT {', '.join(['n.num', *places, *columns])} {joined}"
            ordered = _Ordered(source, ("num", "parent", "ord") if element.listed else ("num", "id"))
            return self._write(ordered, element, attributes, path, None, on_rows), attributes
        return self._write_shared(name, element, columns, joined, on_rows), attributes

    def _write_shared(
        self, name: str, element: Element, columns: Sequence[str], joined: str, on_rows: Callable[[int], None]
    ) -> int:
        """Writes objects that many documents have: each once, in their order, and who has which."""
        every = [quote(one) for one in element.fields]
        rows = f"SELECT n.num, {', '.join(columns)} {joined}"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE items AS "
            f"SELECT *, row_number() OVER (ORDER BY {', '.join(every)}) - 1 AS item "
            f"FROM (SELECT DISTINCT {', '.join(every)} FROM ({rows}))"
        )
        same = " AND ".join(f"r.{one} IS NOT DISTINCT FROM i.{one}" for one in every)
        pairs = _Ordered(f"SELECT r.num, i.item FROM ({rows}) r JOIN items i ON {same}", ("num", "item"))
        count = self._write_pairs(pairs, self._folder / f"{name}.parquet", on_rows)
        items = _Ordered(f"SELECT item, {', '.join(every)} FROM items", ("item",))
        self._write(items, element, (), self._folder / f"{name}.items.parquet", None, lambda _: None)
        self._connection.execute("DROP TABLE items")
        return count

    def _write_pairs(self, pairs: _Ordered, path: Path, on_rows: Callable[[int], None]) -> int:
        """Writes columns of numbers, which have no words."""
        rows = 0
        reader = self._connection.sql(pairs.sql).to_arrow_reader(_BATCH)
        with pq.ParquetWriter(path, reader.schema, compression=_COMPRESSION, store_schema=False) as writer:
            for data in _even(reader, _PAIRS_ROW_GROUP):
                writer.write_table(data, row_group_size=_PAIRS_ROW_GROUP)
                rows += len(data)
                on_rows(rows)
        return rows

    def _number(self, index: Index) -> None:
        """Makes `numbers`: the number of each document of the index."""
        path = self._folder / f"{index.name}.parquet"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE numbers AS "
            f"SELECT id, min(num) AS num FROM read_parquet({literal(str(path))}) GROUP BY id"
        )

    def _attributes(self, element: Element) -> list[Attribute]:
        """The attributes that an element's objects have: of very many names those that most have."""
        taken = {f"{name}{end}".casefold() for name in element.fields for end in ("", _WORDS)}
        found: list[Attribute] = []
        for beginning, map in element.maps.items():
            place = f"t.{quote(map)}"
            names: list[tuple[str, bool]] = self._connection.execute(
                f"SELECT key, many FROM (SELECT e.key AS key, bool_or(len(e.value) > 1) AS many, count(*) AS rows "
                f"FROM (SELECT unnest(map_entries({place})) AS e FROM {element.rows} t) GROUP BY 1 "
                f"ORDER BY rows DESC, key LIMIT {MOST_ATTRIBUTES}) WHERE key IS NOT NULL ORDER BY key"
            ).fetchall()
            for key, many in names:
                name = f"{beginning}.{key}"
                plain = readable(name)
                column, number = plain, 1
                while {column.casefold(), f"{column}{_WORDS}".casefold()} & taken:
                    number += 1
                    column = f"{plain} ({number})"
                taken |= {column.casefold(), f"{column}{_WORDS}".casefold()}
                found.append(Attribute(name, beginning, key, many, column))
        return found

    def _write(
        self,
        ordered: _Ordered,
        element: Element,
        attributes: Sequence[Attribute],
        path: Path,
        number: str | None,
        on_rows: Callable[[int], None],
    ) -> int:
        try:
            return self._write_ordered(ordered, element, attributes, path, number, on_rows)
        except _TiedError:
            return self._write_ordered(replace(ordered, ties=True), element, attributes, path, number, on_rows)

    def _write_ordered(
        self,
        ordered: _Ordered,
        element: Element,
        attributes: Sequence[Attribute],
        path: Path,
        number: str | None,
        on_rows: Callable[[int], None],
    ) -> int:
        rows = 0
        writer: pq.ParquetWriter | None = None
        reader = self._connection.sql(ordered.sql).to_arrow_reader(_BATCH)
        last: pa.Table | None = None
        try:
            for batch in _even(reader, _BATCH):
                if not ordered.ties:
                    last = _distinct(batch.select(ordered.keys), last)
                data = _expanded(batch, element, attributes)
                if number is not None:
                    data = data.add_column(0, number, pa.array(np.arange(rows, rows + len(data)), pa.int64()))
                rows += len(data)
                if writer is None:
                    writer = pq.ParquetWriter(path, data.schema, compression=_COMPRESSION, store_schema=False)
                if len(data):
                    writer.write_table(data, row_group_size=_BATCH)
                    on_rows(rows)
        finally:
            if writer is not None:
                writer.close()
        return rows


@dataclass(frozen=True, slots=True)
class _Ordered:
    """Rows in an order that hangs on nothing but themselves.

    Attributes:
        rows: their SQL.
        keys: the columns that order them.
        ties: whether rows may have equal keys. All other columns then decide, which costs the engine much more.
    """

    rows: str
    keys: tuple[str, ...]
    ties: bool = False

    @property
    def sql(self) -> str:
        every = ", r" if self.ties else ""  # the row as a whole
        return f"SELECT r.* FROM ({self.rows}) r ORDER BY {', '.join(f'r.{quote(key)}' for key in self.keys)}{every}"


class _TiedError(Exception):
    """Two rows have the same keys, so that these alone leave their order open."""


def _distinct(keys: pa.Table, last: pa.Table | None) -> pa.Table:
    """Returns the last of ordered keys.

    Args:
        last: what this gave for the rows before.

    Raises:
        _TiedError: two neighbours are equal.
    """
    every = keys if last is None else pa.concat_tables([last, keys])
    below, above = every.slice(0, max(len(every) - 1, 0)), every.slice(1)
    equal = pa.array(np.ones(len(above), np.bool_))
    for name in every.column_names:
        one, other = below.column(name), above.column(name)
        both_null = pc.and_(pc.is_null(one), pc.is_null(other))
        equal = pc.and_(equal, pc.or_(both_null, pc.fill_null(pc.equal(one, other), False)))
    if pc.any(equal).as_py():
        raise _TiedError
    return keys.slice(max(len(keys) - 1, 0))


def _even(batches: pa.RecordBatchReader, size: int) -> Generator[pa.Table]:
    """Rows in tables of that size, each of one piece; the last one is smaller, and an empty one if there are none."""
    waiting: list[pa.RecordBatch] = []
    rows, whole = 0, 0
    for batch in batches:
        waiting.append(batch)
        rows += len(batch)
        while rows >= size:
            data = pa.Table.from_batches(waiting)
            yield data.slice(0, size).combine_chunks()
            whole += 1
            waiting = data.slice(size).to_batches()
            rows -= size
    if rows or not whole:
        yield pa.Table.from_batches(waiting, batches.schema).combine_chunks()


def readable(name: str) -> str:
    """A name with each character that a terminal would not show as its code point, such as `\\u{a}`."""
    return name if name.isprintable() else "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in name)


def _expanded(data: pa.Table, element: Element, attributes: Sequence[Attribute]) -> pa.Table:
    """The same rows with a column an attribute and with the words of every text."""
    arrays: dict[str, pa.Array] = {
        name: data.column(name).combine_chunks() for name in data.column_names if not name.endswith(_MAP)
    }
    for beginning in element.maps:
        own = [one for one in attributes if one.map == beginning]
        values = _columns(data.column(f"{beginning}{_MAP}").combine_chunks(), [one.key for one in own])
        arrays |= {one.column: column for one, column in zip(own, values, strict=True)}
    analysed: list[pa.Array] = []
    for one in element.fields.values():
        if one.kind in ("text", "id"):
            analysed.append(words(arrays[one.name]))
        if one.kind == "text":
            arrays[f"{one.name}{_WORDS}"] = analysed[-1]
    for one in attributes:
        analysed.append(words(arrays[one.column]))
        arrays[f"{one.column}{_WORDS}"] = analysed[-1]
    arrays[_WORDS] = _all(analysed, len(data))
    return pa.table(arrays)


def _all(analysed: Sequence[pa.Array], rows: int) -> pa.Array:
    """The words of several texts as those of one of several values."""
    if not analysed:
        return pa.array([""] * rows)
    some = [pc.if_else(pc.equal(one, ""), pa.scalar(None, pa.string()), one) for one in analysed]
    return pc.binary_join_element_wise(*some, "|", null_handling="skip").cast(pa.string())


def _columns(map: pa.MapArray, names: Sequence[str]) -> list[pa.Array]:
    """A map's values of each name, several of them as one text."""
    rows = len(map)
    offsets = map.offsets.to_numpy()
    begin, end = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    counts = np.diff(offsets)
    if map.null_count:
        counts = np.where(map.is_null().to_numpy(zero_copy_only=False), 0, counts)
    owner = np.repeat(np.arange(rows), counts)
    keys, items = map.keys.slice(begin, end - begin), map.items.slice(begin, end - begin)
    codes = pc.fill_null(pc.index_in(keys, pa.array(names, pa.string())), -1).to_numpy(zero_copy_only=False)
    texts = pc.binary_join(items.cast(pa.list_(pa.string())), VALUE_SEPARATOR)
    columns: list[pa.Array] = []
    for code in range(len(names)):
        entries = np.nonzero(codes == code)[0]
        place = np.full(rows, -1, np.int64)
        place[owner[entries]] = entries
        columns.append(texts.take(pa.array(place, mask=place < 0)))
    return columns
