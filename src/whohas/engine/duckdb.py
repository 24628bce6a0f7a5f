"""DuckDB, for one run: its own connection, its own memory limit, its own folder to spill to."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

import duckdb
from duckdb.func import PythonUDFType

from whohas import timeouts
from whohas.engine.sql import literal, quote
from whohas.engine.statement import Column, Layout, TableFiles

if TYPE_CHECKING:
    import pyarrow as pa

ENGINE = f"DuckDB {duckdb.__version__}"

_NOTED = "whohas_noted"
"""The function by which a statement notes the hashes of its rows, batch by batch."""


class RowSum:
    """How many rows a statement gave, and the sum of their hashes, counted while they are written.

    Equal rows have equal hashes, so the sum is the same in any order; a sum, unlike an exclusive or, tells two equal
    rows from none. To DuckDB a text and a list of it alone are the same, and so are an empty list and a null.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.sum = 0
        self._lock = Lock()

    def count_on(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Count the rows of statements that were `noted` and run on this connection."""

        connection.create_function(
            _NOTED, self._note, ["UBIGINT"], "BOOLEAN", type=PythonUDFType.ARROW, side_effects=True
        )

    def _note(self, hashes: Any) -> Any:  # DuckDB evaluates the annotations, so they name nothing that is not loaded
        """Add the hashes of a batch of rows, from any thread; true for each, so that each row keeps its first cell."""
        import numpy as np

        values = hashes.to_numpy()
        # 64 bits each: a batch's halves add up without an overflow
        low, high = int((values & np.uint64(0xFFFFFFFF)).sum()), int((values >> np.uint64(32)).sum())
        with self._lock:
            self.rows += len(values)
            self.sum += low + (high << 32)
        return _trues(len(values))


_SQUARE = ("common_subexpressions",)
"""Optimizers that compare each expression with each other one of the same form, such as the cells of a CSV."""


def warm_up() -> None:
    """Do once what takes longer at the first time: a connection, and a statement that is `noted`."""
    with duckdb.connect(config={"threads": 1}) as connection:
        RowSum().count_on(connection)
        connection.execute(noted("SELECT 1", (Column("n", "integer"),))).fetchall()


@lru_cache(maxsize=64)
def _trues(count: int) -> pa.Array:
    import pyarrow as pa

    return pa.repeat(True, count)


def noted(sql: str, columns: Sequence[Column]) -> str:
    """Return a statement with the same rows that a `RowSum` counts on their way; see `DuckDB.copy`."""
    # in a cell and not in a condition, after which the engine would gather the cells of each row once more
    first = f"CASE WHEN {_NOTED}({_row_hash(columns)}) THEN c1 END AS c1"
    others = (f"c{place}" for place in range(2, len(columns) + 1))
    return f"SELECT {', '.join((first, *others))} FROM {_placed(sql, columns)}"


def digest_of(sql: str, columns: Sequence[Column]) -> str:
    """Return the statement that gives what a `RowSum` has after the rows of a statement: their number and their sum."""
    return f"SELECT count(*), coalesce(sum({_row_hash(columns)}), 0) FROM {_placed(sql, columns)}"


def _placed(sql: str, columns: Sequence[Column]) -> str:
    # by place: two columns may have one name
    return f"(\n{sql}\n) AS report({', '.join(f'c{place}' for place in range(1, len(columns) + 1))})"


def _row_hash(columns: Sequence[Column]) -> str:
    # a text and a list of it alone have the same hash, but are not combined alike with others
    values = (f"hash(c{place})" if column.type == "texts" else f"c{place}" for place, column in enumerate(columns, 1))
    return f"hash({', '.join(values)})"


class DuckDB:
    """One connection on a set of tables. Made by `open_duckdb`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def copy(
        self,
        statement: str,
        parameters: Mapping[str, Any],
        ordered: bool = True,
        joins_as_written: bool = False,
        sums: RowSum | None = None,
        wide: bool = False,
        on_percent: Callable[[float], None] = lambda _: None,
    ) -> int:
        """Runs a COPY statement and returns how many rows it wrote.

        Args:
            ordered: whether the rows keep the statement's order; costs memory.
            joins_as_written: whether each join reads its left side in that side's order, so that rows come as the first
                table has them; for tables that fit into memory.
            sums: counts the rows of a statement that was `noted`.
            wide: whether it has hundreds of columns: it is planned without what takes the square of their number.
            on_percent: called a few times a second from another thread with 0 to 100.
        """
        self._connection.execute(f"SET preserve_insertion_order = {str(ordered).lower()}")
        disabled = list(_SQUARE) if wide else []
        if joins_as_written:
            # else the engine makes the smaller side its hash table, and what has no partner comes last
            disabled += ["join_order", "build_side_probe_side"]
        if disabled:
            self._connection.execute(f"SET disabled_optimizers = {literal(','.join(disabled))}")
        if sums is not None:
            sums.count_on(self._connection)
        done = Event()

        def watch() -> None:
            while not done.wait(timeouts.ENGINE_PROGRESS_SECONDS):
                try:
                    percent = self._connection.query_progress()
                except duckdb.Error:
                    return  # the statement has failed; its own error says why
                on_percent(max(0.0, percent))

        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        try:
            row = self._connection.execute(statement, dict(parameters) or None).fetchone()
        finally:
            done.set()
            watcher.join()
        return int(row[0]) if row else 0

    def digest(self, statement: str, columns: Sequence[Column], parameters: Mapping[str, Any]) -> tuple[int, int]:
        """Return how many rows a statement gives, and the sum of their hashes; see `RowSum`."""
        row = self._connection.execute(digest_of(statement, columns), dict(parameters) or None).fetchone()
        assert row is not None, "an aggregate gives a row"
        return int(row[0]), int(row[1])

    def count(self, statement: str, parameters: Mapping[str, Any]) -> int:
        """How many rows a statement gives."""
        row = self._connection.execute(f"SELECT count(*) FROM (\n{statement}\n)", dict(parameters) or None).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def open_duckdb(tables: Iterable[TableFiles], memory: int, threads: int, spill: Path) -> Generator[DuckDB]:
    """A connection that sees the tables and nothing else of the disk's databases.

    Args:
        memory: bytes that it may use before it spills.
        threads: how many it may run.
        spill: a folder of its own; made when it is needed.
    """
    connection = connect(memory, threads, spill)
    try:
        connection.execute("SET enable_progress_bar = true")
        connection.execute("SET enable_progress_bar_print = false")
        for table in tables:
            connection.execute(definition(table))
        yield DuckDB(connection)
    finally:
        connection.close()


def connect(memory: int, threads: int, spill: Path) -> duckdb.DuckDBPyConnection:
    """A bare connection with limits of its own, as in `open_duckdb`; its clock is UTC, and it loads no extension."""
    spill.parent.mkdir(parents=True, exist_ok=True)  # DuckDB makes the last folder only
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{memory}B",
            "threads": threads,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def pattern_fault(patterns: Sequence[str]) -> tuple[int, str] | None:
    """The first of several RE2 patterns that the engine does not take: its number, from 0, and the engine's reason."""
    if not patterns:
        return None
    with duckdb.connect() as connection:
        for number, pattern in enumerate(patterns):
            try:
                connection.execute("SELECT regexp_matches('', $1)", [pattern])
            except duckdb.Error as error:
                return number, str(error).strip().splitlines()[0].rpartition("Error: ")[2]
    return None


def definition(table: TableFiles) -> str:
    """The statement that makes a table known to the engine: a view of its files."""
    name = quote(table.name)
    if table.layouts:
        return f"CREATE VIEW {name} AS " + " UNION ALL ".join(
            _select(table.columns, layout) for layout in table.layouts
        )
    # a table, though it has no rows: where a view selects nothing, the engine does not tell how far a statement is
    return f"CREATE TABLE {name} ({', '.join(f'{quote(column)} {type}' for column, type in table.columns)})"


def _select(columns: Sequence[tuple[str, str]], layout: Layout) -> str:
    own = [
        f"NULL::{type} AS {quote(column)}" if column in layout.lacks else quote(column) for column, type in columns
    ] or ["*"]
    every = ", ".join((*own, *(f"{sql} AS {quote(column)}" for column, sql in layout.more)))
    return f"SELECT {every} FROM read_parquet([{', '.join(map(literal, layout.files))}])"
