"""Making the files of a search index: DuckDB joins and orders, Arrow adds the words."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.duckdb import connect
from whohas.engine.sql import literal, quote
from whohas.search.analysis import VALUE_SEPARATOR
from whohas.search.fields import Element, Index
from whohas.search.words import words
from whohas.warehouse.evolved import scan
from whohas.warehouse.intake.arrow import pc
from whohas.warehouse.store import Snapshot
from whohas.warehouse.tables import TABLES

_MEMORY = 1_000_000_000
_THREADS = 2
_BATCH = 60_000
_ROW_GROUP = 122_880
_WORDS = ":words"
_MAP = ":map"
MOST_ATTRIBUTES = 1_000
"""Names of an open map that become fields."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A name in an open map of an element.

    Attributes:
        name: the published name, such as `attributes.city`.
        map: the map's beginning, such as `attributes`.
        key: its name in the map.
        many: whether it has several values somewhere.
        column: the column that has it. Engines tell columns apart without regard to case.
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
    def open(snapshot: Snapshot, folder: Path) -> Generator[Indexing]:
        """A connection that sees the snapshot's tables, and a folder to write to."""
        connection: Any = connect(_MEMORY, _THREADS, folder / "spill")
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
        columns = [f"{one.sql} AS {quote(one.name)}" for one in element.fields.values()]
        columns += [f"t.{quote(column)} AS {quote(f'{beginning}{_MAP}')}" for beginning, column in element.maps.items()]
        if not element.path:
            source = f"SELECT {', '.join(columns)} FROM {element.rows} t ORDER BY t.id"
            return self._write(
                source, element, attributes, self._folder / f"{name}.parquet", "num", on_rows
            ), attributes
        self._number(index)
        joined = f"FROM {element.rows} t JOIN numbers n ON n.id = t.holder"
        if not element.shared:
            places = ["t.ord", "t.parent"] if element.listed else []
            source = f"SELECT {', '.join(['n.num', *places, *columns])} {joined}"
            path = self._folder / f"{name}.parquet"
            return self._write(source, element, attributes, path, None, on_rows), attributes
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
        count = self._connection.execute(
            f"COPY (SELECT r.num, i.item FROM ({rows}) r JOIN items i ON {same}) "
            f"TO {literal(str(self._folder / f'{name}.parquet'))} (FORMAT parquet, ROW_GROUP_SIZE {_ROW_GROUP})"
        ).fetchone()[0]
        source = f"SELECT {', '.join(every)} FROM items ORDER BY item"
        self._write(source, element, (), self._folder / f"{name}.items.parquet", "item", lambda _: None)
        self._connection.execute("DROP TABLE items")
        on_rows(count)
        return count

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
                column, number = name, 1
                while {column.casefold(), f"{column}{_WORDS}".casefold()} & taken:
                    number += 1
                    column = f"{name} ({number})"
                taken |= {column.casefold(), f"{column}{_WORDS}".casefold()}
                found.append(Attribute(name, beginning, key, many, column))
        return found

    def _write(
        self,
        source: str,
        element: Element,
        attributes: Sequence[Attribute],
        path: Path,
        number: str | None,
        on_rows: Callable[[int], None],
    ) -> int:
        rows = 0
        writer: pq.ParquetWriter | None = None
        reader = self._connection.sql(source).to_arrow_reader(_BATCH)
        try:
            for batch in reader:
                data = _expanded(pa.Table.from_batches([batch]), element, attributes)
                if number is not None:
                    data = data.add_column(0, number, pa.array(np.arange(rows, rows + len(data)), pa.int64()))
                rows += len(data)
                if writer is None:
                    writer = pq.ParquetWriter(path, data.schema, compression="snappy", store_schema=False)
                writer.write_table(data, row_group_size=_ROW_GROUP)
                on_rows(rows)
            if writer is None:
                data = _expanded(reader.schema.empty_table(), element, attributes)
                if number is not None:
                    data = data.add_column(0, number, pa.array([], pa.int64()))
                writer = pq.ParquetWriter(path, data.schema, store_schema=False)
        finally:
            if writer is not None:
                writer.close()
        return rows


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
