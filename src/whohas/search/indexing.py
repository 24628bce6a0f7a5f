"""Write the Parquet files of a search index: DuckDB joins and sorts the rows, Arrow adds the tokens of the texts.

Equal rows give equal bytes, whatever their order in the warehouse's files, the number of threads and the memory. To
that end each file has a total order, row groups have a fixed number of rows whatever batches the engine returns, and
only Arrow writes files, from one thread.
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

from whohas.engine.duckdb import connect_duckdb
from whohas.engine.sql import quote_identifier, string_literal
from whohas.search.analyzer import VALUE_SEPARATOR
from whohas.search.fields import Element, Index
from whohas.search.tokenize import tokenize_column
from whohas.warehouse.arrow import pc
from whohas.warehouse.evolved import select_all
from whohas.warehouse.schema import TABLES
from whohas.warehouse.store import Snapshot

_BATCH = 60_000
"""Rows of a batch, and of a row group of most files. Changing it changes the bytes of the files."""
_PAIRS_ROW_GROUP = 122_880
_COMPRESSION = "snappy"
_WORDS = ":words"
_MAP = ":map"
MOST_ATTRIBUTES = 1_000
"""The most keys of a map column that become fields: the most frequent ones."""


@dataclass(frozen=True, slots=True)
class IndexResources:
    """The resources that building an index may use.

    Attributes:
        memory: the bytes of memory that DuckDB may use before it spills to disk.
        threads: the number of DuckDB's threads.
    """

    memory: int = 1_000_000_000
    threads: int = 2


@dataclass(frozen=True, slots=True)
class MapAttribute:
    """A key of a map column, which becomes a field and a column of the index.

    Attributes:
        name: the field's published name, such as `attributes.city`.
        map: the prefix of the map's fields, such as `attributes`.
        key: the key in the map, such as `city`.
        many: whether any row has several values for it.
        column: the column's name. It is `name` with unprintable characters escaped (see `escape_unprintable`), and with
            a number if another column differs only by case: engines compare column names without regard to case.
    """

    name: str
    map: str
    key: str
    many: bool
    column: str


class IndexWriter:
    """Writes the files of one index. Create it with `IndexWriter.open`."""

    def __init__(self, connection: Any, folder: Path) -> None:
        self._connection = connection
        self._folder = folder

    @staticmethod
    @contextmanager
    def open(snapshot: Snapshot, folder: Path, resources: IndexResources) -> Generator[IndexWriter]:
        """Open a DuckDB connection with a view for each table of a snapshot; close it when the context ends.

        Args:
            snapshot: the snapshot to index.
            folder: the folder to write to; DuckDB spills to `spill` in it.
            resources: the memory and threads of DuckDB.
        """
        connection: Any = connect_duckdb(resources.memory, resources.threads, folder / "spill")
        # Every query has an ORDER BY, so preserving the order of the input would only cost memory.
        connection.execute("SET preserve_insertion_order = false")
        try:
            for table in TABLES.values():
                files = [file.path for file in snapshot.files(table)]
                if files:
                    connection.execute(f"CREATE VIEW {quote_identifier(table.name)} AS FROM {select_all(table, files)}")
                else:
                    connection.register(table.name, table.schema.empty_table())
            yield IndexWriter(connection, folder)
        finally:
            connection.close()

    def write_element(
        self, index: Index, element: Element, on_rows: Callable[[int], None]
    ) -> tuple[int, list[MapAttribute]]:
        """Write an element's files.

        The documents of an index must be written before its lists, which need the documents' numbers.

        Args:
            index: the index.
            element: the element of it.
            on_rows: called with the number of rows written so far.

        Returns:
            The number of rows, and the attributes found in its maps.
        """
        attributes = self._find_attributes(element)
        name = f"{index.name}.{element.path}" if element.path else index.name
        path = self._folder / f"{name}.parquet"
        columns = [f"{field.sql} AS {quote_identifier(field.name)}" for field in element.fields.values()]
        columns += [
            f"t.{quote_identifier(column)} AS {quote_identifier(f'{prefix}{_MAP}')}"
            for prefix, column in element.map_columns.items()
        ]
        if not element.path:
            ordered = _OrderedQuery(f"SELECT {', '.join(columns)} FROM {element.rows} t", ("id",))
            return self._write(ordered, element, attributes, path, "num", on_rows), attributes
        self._create_numbers(index)
        from_clause = f"FROM {element.rows} t JOIN numbers n ON n.id = t.holder"
        if not element.shared:
            order_columns = ["t.ord", "t.parent"] if element.from_list_column else []
            source = f"SELECT {', '.join(['n.num', *order_columns, *columns])} {from_clause}"
            ordered = _OrderedQuery(source, ("num", "parent", "ord") if element.from_list_column else ("num", "id"))
            return self._write(ordered, element, attributes, path, None, on_rows), attributes
        return self._write_shared(name, element, columns, from_clause, on_rows), attributes

    def _write_shared(
        self, name: str, element: Element, columns: Sequence[str], from_clause: str, on_rows: Callable[[int], None]
    ) -> int:
        """Write the objects of a shared list: each distinct object once, and the pairs of document and object.

        Returns:
            The number of pairs.
        """
        field_columns = [quote_identifier(column) for column in element.fields]
        rows = f"SELECT n.num, {', '.join(columns)} {from_clause}"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE items AS "
            f"SELECT *, row_number() OVER (ORDER BY {', '.join(field_columns)}) - 1 AS item "
            f"FROM (SELECT DISTINCT {', '.join(field_columns)} FROM ({rows}))"
        )
        same = " AND ".join(f"r.{column} IS NOT DISTINCT FROM i.{column}" for column in field_columns)
        pairs = _OrderedQuery(f"SELECT r.num, i.item FROM ({rows}) r JOIN items i ON {same}", ("num", "item"))
        count = self._write_pairs(pairs, self._folder / f"{name}.parquet", on_rows)
        items = _OrderedQuery(f"SELECT item, {', '.join(field_columns)} FROM items", ("item",))
        self._write(items, element, (), self._folder / f"{name}.items.parquet", None, lambda _: None)
        self._connection.execute("DROP TABLE items")
        return count

    def _write_pairs(self, pairs: _OrderedQuery, path: Path, on_rows: Callable[[int], None]) -> int:
        """Write the pairs of `num` and `item`, which are numbers and so have no tokens; return their number."""
        rows = 0
        reader = self._connection.sql(pairs.sql).to_arrow_reader(_BATCH)
        with pq.ParquetWriter(path, reader.schema, compression=_COMPRESSION, store_schema=False) as writer:
            for data in _fixed_size_tables(reader, _PAIRS_ROW_GROUP):
                writer.write_table(data, row_group_size=_PAIRS_ROW_GROUP)
                rows += len(data)
                on_rows(rows)
        return rows

    def _create_numbers(self, index: Index) -> None:
        """Create the temporary table `numbers` with the id and the position of each document of the index.

        Rows of lists are joined with their documents by it. Of equal ids the lowest position is taken.
        """
        path = self._folder / f"{index.name}.parquet"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE numbers AS "
            f"SELECT id, min(num) AS num FROM read_parquet({string_literal(str(path))}) GROUP BY id"
        )

    def _find_attributes(self, element: Element) -> list[MapAttribute]:
        """Return the attributes in an element's maps: of each map, the `MOST_ATTRIBUTES` most frequent keys, by key."""
        used_columns = {f"{name}{suffix}".casefold() for name in element.fields for suffix in ("", _WORDS)}
        found: list[MapAttribute] = []
        for prefix, map in element.map_columns.items():
            map_column = f"t.{quote_identifier(map)}"
            names: list[tuple[str, bool]] = self._connection.execute(
                f"SELECT key, many FROM (SELECT e.key AS key, bool_or(len(e.value) > 1) AS many, count(*) AS rows "
                f"FROM (SELECT unnest(map_entries({map_column})) AS e FROM {element.rows} t) GROUP BY 1 "
                f"ORDER BY rows DESC, key LIMIT {MOST_ATTRIBUTES}) WHERE key IS NOT NULL ORDER BY key"
            ).fetchall()
            for key, many in names:
                name = f"{prefix}.{key}"
                escaped = escape_unprintable(name)
                column, number = escaped, 1
                while {column.casefold(), f"{column}{_WORDS}".casefold()} & used_columns:
                    number += 1
                    column = f"{escaped} ({number})"
                used_columns |= {column.casefold(), f"{column}{_WORDS}".casefold()}
                found.append(MapAttribute(name, prefix, key, many, column))
        return found

    def _write(
        self,
        ordered: _OrderedQuery,
        element: Element,
        attributes: Sequence[MapAttribute],
        path: Path,
        number: str | None,
        on_rows: Callable[[int], None],
    ) -> int:
        """Write the rows of a query and the tokens of their texts to a file, and return the number of rows.

        Args:
            ordered: the query.
            element: the element whose rows it gives.
            attributes: the attributes in the element's maps.
            path: the file.
            number: the name of a column to add, with the number of each row from 0; None for no such column.
            on_rows: called with the number of rows written so far.
        """
        try:
            return self._write_ordered(ordered, element, attributes, path, number, on_rows)
        except _EqualKeysError:
            return self._write_ordered(replace(ordered, ties=True), element, attributes, path, number, on_rows)

    def _write_ordered(
        self,
        ordered: _OrderedQuery,
        element: Element,
        attributes: Sequence[MapAttribute],
        path: Path,
        number: str | None,
        on_rows: Callable[[int], None],
    ) -> int:
        rows = 0
        writer: pq.ParquetWriter | None = None
        reader = self._connection.sql(ordered.sql).to_arrow_reader(_BATCH)
        last: pa.Table | None = None
        try:
            for batch in _fixed_size_tables(reader, _BATCH):
                if not ordered.ties:
                    last = _check_distinct(batch.select(ordered.keys), last)
                data = _with_tokens(batch, element, attributes)
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
class _OrderedQuery:
    """A query whose rows are sorted by their own content only, so that equal rows give equal files.

    Attributes:
        rows: the SQL of the rows.
        keys: the columns to sort by.
        ties: whether rows may have equal keys. All other columns then decide, which costs the engine much more. So
            `_write` starts with False, and writes the file again with True if two rows turn out to have equal keys.
    """

    rows: str
    keys: tuple[str, ...]
    ties: bool = False

    @property
    def sql(self) -> str:
        every = ", r" if self.ties else ""  # the row as a whole
        keys = ", ".join(f"r.{quote_identifier(key)}" for key in self.keys)
        return f"SELECT r.* FROM ({self.rows}) r ORDER BY {keys}{every}"


class _EqualKeysError(Exception):
    """Raised when two rows have equal keys, so that sorting by these gives no defined order."""


def _check_distinct(keys: pa.Table, last: pa.Table | None) -> pa.Table:
    """Check that sorted keys are distinct, and return the last one for the check of the next batch.

    Args:
        keys: the keys of a batch, one row each.
        last: the last key of the batch before, a table of one row; None for the first batch.

    Raises:
        _EqualKeysError: two adjacent keys are equal.
    """
    combined = keys if last is None else pa.concat_tables([last, keys])
    previous, following = combined.slice(0, max(len(combined) - 1, 0)), combined.slice(1)
    equal = pa.array(np.ones(len(following), np.bool_))
    for name in combined.column_names:
        left, right = previous.column(name), following.column(name)
        both_null = pc.and_(pc.is_null(left), pc.is_null(right))
        equal = pc.and_(equal, pc.or_(both_null, pc.fill_null(pc.equal(left, right), False)))
    if pc.any(equal).as_py():
        raise _EqualKeysError
    return keys.slice(max(len(keys) - 1, 0))


def _fixed_size_tables(batches: pa.RecordBatchReader, size: int) -> Generator[pa.Table]:
    """Yield the rows of batches as tables of exactly `size` rows with one chunk a column.

    The last table may be smaller. Without any rows, one empty table is yielded, so that a file gets its schema.
    """
    pending: list[pa.RecordBatch] = []
    rows, yielded = 0, 0
    for batch in batches:
        pending.append(batch)
        rows += len(batch)
        while rows >= size:
            data = pa.Table.from_batches(pending)
            yield data.slice(0, size).combine_chunks()
            yielded += 1
            pending = data.slice(size).to_batches()
            rows -= size
    if rows or not yielded:
        yield pa.Table.from_batches(pending, batches.schema).combine_chunks()


def escape_unprintable(name: str) -> str:
    """Return a name with each unprintable character replaced by its code point, such as `\\u{a}` for a line feed."""
    return name if name.isprintable() else "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in name)


def _with_tokens(data: pa.Table, element: Element, attributes: Sequence[MapAttribute]) -> pa.Table:
    """Return rows with a column for each attribute instead of the maps, and with the tokens of every text.

    Example: the columns `id`, `name` and `attributes:map` with the attribute `attributes.city` become `id`, `name`,
    `attributes.city`, `name:words`, `attributes.city:words` and `:words` (the tokens of all of them, the id's too).
    """
    arrays: dict[str, pa.Array] = {
        name: data.column(name).combine_chunks() for name in data.column_names if not name.endswith(_MAP)
    }
    for prefix in element.map_columns:
        map_attributes = [attribute for attribute in attributes if attribute.map == prefix]
        values = _map_columns(
            data.column(f"{prefix}{_MAP}").combine_chunks(), [attribute.key for attribute in map_attributes]
        )
        arrays |= {attribute.column: column for attribute, column in zip(map_attributes, values, strict=True)}
    token_columns: list[pa.Array] = []
    for field in element.fields.values():
        if field.kind in ("text", "id"):
            token_columns.append(tokenize_column(arrays[field.name]))
        if field.kind == "text":
            arrays[f"{field.name}{_WORDS}"] = token_columns[-1]
    for attribute in attributes:
        token_columns.append(tokenize_column(arrays[attribute.column]))
        arrays[f"{attribute.column}{_WORDS}"] = token_columns[-1]
    arrays[_WORDS] = _join_tokens(token_columns, len(data))
    return pa.table(arrays)


def _join_tokens(token_columns: Sequence[pa.Array], rows: int) -> pa.Array:
    """Join the tokens of several texts as if they were the values of one: `" a b "` and `" c "` give `" a b | c "`.

    Args:
        token_columns: the columns of tokens; empty texts in them are left out.
        rows: the number of rows, for the case that there are no columns.
    """
    if not token_columns:
        return pa.array([""] * rows)
    non_empty = [pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column) for column in token_columns]
    return pc.binary_join_element_wise(*non_empty, "|", null_handling="skip").cast(pa.string())


def _map_columns(map: pa.MapArray, names: Sequence[str]) -> list[pa.Array]:
    """Return one column for each key of a map column; several values of a key are joined by `VALUE_SEPARATOR`.

    A row without a key has null in its column. Example, for the names city and tag: the rows `{city: [Rome]}` and
    `{tag: [a, b]}` give `["Rome", null]` and `[null, "a\\x1fb"]`.
    """
    rows = len(map)
    offsets = map.offsets.to_numpy()
    first, last = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    counts = np.diff(offsets)
    if map.null_count:
        counts = np.where(map.is_null().to_numpy(zero_copy_only=False), 0, counts)
    row_of_entry = np.repeat(np.arange(rows), counts)
    keys, items = map.keys.slice(first, last - first), map.items.slice(first, last - first)
    name_of_entry = pc.fill_null(pc.index_in(keys, pa.array(names, pa.string())), -1).to_numpy(zero_copy_only=False)
    texts = pc.binary_join(items.cast(pa.list_(pa.string())), VALUE_SEPARATOR)
    columns: list[pa.Array] = []
    for name_index in range(len(names)):
        entries = np.nonzero(name_of_entry == name_index)[0]
        entry_of_row = np.full(rows, -1, np.int64)
        entry_of_row[row_of_entry[entries]] = entries
        columns.append(texts.take(pa.array(entry_of_row, mask=entry_of_row < 0)))
    return columns
