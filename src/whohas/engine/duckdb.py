"""DuckDB as the engine of one run, with its own connection, memory limit and folder for temporary files."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, cast

import duckdb
from duckdb.func import PythonUDFType

from whohas import timeouts
from whohas.engine.sql import quote_identifier, string_literal
from whohas.engine.statement import FileLayout, ResultColumn, TableFiles
from whohas.engine.summary import FigureValue, RowsSummary, SummaryDefinition, breakdown_value

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

ENGINE_VERSION = f"DuckDB {duckdb.__version__}"

_NOTED = "whohas_noted"
"""The SQL function that a `with_row_hashes` statement calls with the hashes of its rows; it calls `RowDigest._note`."""


class RowDigest:
    """The number of rows of a statement and the sum of their hashes, collected while the rows are written.

    Two executions with the same rows, in any order, have the same sum. A sum is used rather than an exclusive or, in
    which two equal rows would cancel out. The hash does not distinguish a text from a list that contains only this
    text, nor an empty list from null.

    Attributes:
        rows: number of rows.
        sum: sum of their 64-bit hashes, unlimited in size.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.sum = 0
        self._lock = Lock()

    def register_on(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Register the SQL function, so that `with_row_hashes` statements on this connection are counted here."""

        connection.create_function(
            _NOTED, self._note, ["UBIGINT"], "BOOLEAN", type=PythonUDFType.ARROW, side_effects=True
        )

    @staticmethod
    def remove_from(connection: duckdb.DuckDBPyConnection) -> None:
        """Remove the SQL function from a connection."""
        connection.remove_function(_NOTED)

    def _note(self, hashes: Any) -> Any:  # DuckDB evaluates the annotations, so they name nothing that is not loaded
        """Add the hashes of a batch of rows; called from any of DuckDB's threads. Return true for each row."""
        import numpy as np

        for chunk in hashes.chunks:
            # not `to_numpy`, nor `pa.repeat` below: both import pandas where that is installed, which takes 35 MB
            values = cast("npt.NDArray[np.uint64]", np.from_dlpack(chunk))
            # Summed by halves of 32 bits: a sum of 64-bit numbers could overflow.
            low, high = int((values & np.uint64(0xFFFFFFFF)).sum()), int((values >> np.uint64(32)).sum())
            with self._lock:
                self.rows += len(values)
                self.sum += low + (high << 32)
        return _trues(len(hashes))


_SQUARE = ("common_subexpressions",)
"""DuckDB's optimizers that take quadratic time: this one compares each pair of similar expressions, such as the cells
of a CSV."""


def warm_up(connection: duckdb.DuckDBPyConnection, threads: int = 1) -> None:
    """Write a row to `/dev/null` as a report is written to a CSV file, on a connection from `connect_unlimited`.

    The first such statement of a process imports modules. The first after a fork copies memory that was shared, and
    takes about 7 ms longer than the second.

    Args:
        threads: the engine's threads; 1 where the process will be forked.
    """
    rows = with_row_hashes(
        "SELECT a.name, ['b'], TIMESTAMPTZ '2000-01-01', b.name FROM (VALUES ('a')) AS a(name) "
        "LEFT JOIN (VALUES ('a')) AS b(name) ON a.name = b.name WHERE a.name = $name",
        [ResultColumn(name, "text") for name in ("one", "two", "three", "four")],
    )
    cells = "c1, array_to_string(c2, ';'), strftime(make_timestamp(epoch_us(c3)), '%Y'), c4"
    RowDigest().register_on(connection)
    connection.execute(f"SET threads = {threads}")
    connection.execute(f"COPY (SELECT {cells} FROM ({rows})) TO '/dev/null' (FORMAT csv)", {"name": "a"}).fetchall()
    RowDigest.remove_from(connection)


@lru_cache(maxsize=64)
def _trues(count: int) -> pa.Array:
    import pyarrow as pa

    return pa.Array.from_buffers(pa.bool_(), count, [None, pa.py_buffer(b"\xff" * ((count + 7) // 8))])


def with_row_hashes(sql: str, columns: Sequence[ResultColumn]) -> str:
    """Return a statement with the same rows that passes their hashes to a `RowDigest`; see `DuckDBConnection.copy`.

    Example for two columns::

        SELECT CASE WHEN whohas_noted(hash(c1, c2)) THEN c1 END AS c1, c2 FROM (<sql>) AS report(c1, c2)

    Args:
        sql: the statement.
        columns: the columns of its result; the new statement names them c1, c2, ….
    """
    # The call stands in a cell: in a WHERE clause it would make the engine copy the cells of each row once more.
    first = f"CASE WHEN {_NOTED}({_row_hash(columns)}) THEN c1 END AS c1"
    others = (f"c{number}" for number in range(2, len(columns) + 1))
    return f"SELECT {', '.join((first, *others))} FROM {_numbered(sql, columns)}"


def digest_statement(sql: str, columns: Sequence[ResultColumn]) -> str:
    """Return a statement whose one row is the number of rows of `sql` and the sum of their hashes; see `RowDigest`."""
    return f"SELECT count(*), coalesce(sum({_row_hash(columns)}), 0) FROM {_numbered(sql, columns)}"


def _numbered(sql: str, columns: Sequence[ResultColumn]) -> str:
    # Columns are renamed to c1, c2, … because two columns of a report may have the same name.
    return f"(\n{sql}\n) AS report({', '.join(f'c{number}' for number in range(1, len(columns) + 1))})"


def _row_hash(columns: Sequence[ResultColumn]) -> str:
    # Lists are hashed on their own first. Alone, "a" and ["a"] have the same hash, but hash(…, "a") and hash(…, ["a"])
    # differ; the hash of a row must not depend on whether a column gives a text or a list of one
    # (`ResultColumn.single`).
    values = (
        f"hash(c{number})" if column.type == "texts" else f"c{number}" for number, column in enumerate(columns, 1)
    )
    return f"hash({', '.join(values)})"


class DuckDBConnection:
    """A DuckDB connection that runs the statements of one run. Created by `open_duckdb`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def copy(
        self,
        statement: str,
        parameters: Mapping[str, Any],
        ordered: bool = True,
        joins_as_written: bool = False,
        sums: RowDigest | None = None,
        wide: bool = False,
        on_percent: Callable[[float], None] = lambda _: None,
    ) -> int:
        """Run a COPY statement and return the number of rows that it wrote.

        Args:
            statement: the statement.
            parameters: the values of its named parameters.
            ordered: whether the rows keep the statement's order; costs memory.
            joins_as_written: whether each join reads its left side in order, so that the rows come in the order of the
                first table. Its right sides must fit into memory.
            sums: collects the number and hashes of the rows of a `with_row_hashes` statement.
            wide: whether the statement has hundreds of columns; it is then planned without optimizers that take
                quadratic time.
            on_percent: called from another thread with the progress in percent, 0 to 100, every
                `ENGINE_PROGRESS_SECONDS`.

        Raises:
            duckdb.Error: the statement failed or was interrupted.
        """
        self._connection.execute(f"SET preserve_insertion_order = {str(ordered).lower()}")
        disabled = list(_SQUARE) if wide else []
        if joins_as_written:
            # By default DuckDB builds its hash table from the smaller side, and rows without a match come last.
            disabled += ["join_order", "build_side_probe_side"]
        self._connection.execute(f"SET disabled_optimizers = {string_literal(','.join(disabled))}")
        if sums is not None:
            sums.register_on(self._connection)
        done = Event()

        def watch() -> None:
            while not done.wait(timeouts.ENGINE_PROGRESS_SECONDS):
                try:
                    percent = self._connection.query_progress()
                except duckdb.Error:
                    return  # the statement has failed; execute() below raises the error
                on_percent(max(0.0, percent))

        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        try:
            row = self._connection.execute(statement, dict(parameters) or None).fetchone()
        finally:
            done.set()
            watcher.join()
            if sums is not None:
                sums.remove_from(self._connection)
        return int(row[0]) if row else 0

    def digest(self, statement: str, columns: Sequence[ResultColumn], parameters: Mapping[str, Any]) -> tuple[int, int]:
        """Run a statement and return the number of its rows and the sum of their hashes; see `RowDigest`."""
        row = self._connection.execute(digest_statement(statement, columns), dict(parameters) or None).fetchone()
        assert row is not None, "an aggregate gives a row"
        return int(row[0]), int(row[1])

    def summarize(self, rows: str, definition: SummaryDefinition, part: str = "") -> RowsSummary:
        """Compute the summary of a part of a run.

        Args:
            rows: a query that gives the rows, such as a scan of the extract. It is executed once for all key figures,
                once for their groups, and once for each breakdown.
            definition: the key figures and breakdowns.
            part: the name of the part; empty where there is no zip.

        Raises:
            duckdb.Error: an aggregate failed.
        """
        self._connection.execute(f"CREATE OR REPLACE TEMP VIEW report_rows AS {rows}")
        if definition.groups:
            columns = ", ".join(map(quote_identifier, definition.groups))
            # a table, because several figures read it
            self._connection.execute(
                f"CREATE OR REPLACE TEMP TABLE report_groups AS SELECT DISTINCT {columns} FROM report_rows"
            )
        parameters = dict(definition.parameters)
        aggregates = ["count(*)"]
        for figure in definition.figures:
            aggregates += [figure.sql, figure.of or "NULL"]
        values = self._aggregate(f"SELECT {', '.join(aggregates)} FROM report_rows", parameters)
        figures = tuple(
            FigureValue(figure.name, figure.label, values[place] or 0, (values[place + 1] or 0) if figure.of else None)
            for place, figure in zip(range(1, len(values), 2), definition.figures, strict=True)
            # a share of nothing, though there are rows: the data does not say, and 0 would be wrong
            if not (figure.of and values[0] and not values[place + 1])
        )
        breakdowns = (
            breakdown_value(breakdown, self._execute(breakdown.sql, parameters).fetchall())
            for breakdown in definition.breakdowns
        )
        return RowsSummary(part, values[0], figures, tuple(found for found in breakdowns if found.informative))

    def _aggregate(self, statement: str, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the one row of a statement."""
        row = self._execute(statement, parameters).fetchone()
        assert row is not None, "an aggregate gives a row"
        return row

    def _execute(self, statement: str, parameters: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
        """Execute a statement with those of the parameters that it names: DuckDB refuses any other."""
        named = {name: value for name, value in parameters.items() if re.search(rf"\${name}\b", statement)}
        return self._connection.execute(statement, named or None)

    def count(self, statement: str, parameters: Mapping[str, Any]) -> int:
        """Return the number of rows of a statement."""
        row = self._connection.execute(f"SELECT count(*) FROM (\n{statement}\n)", dict(parameters) or None).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def open_duckdb(
    tables: Iterable[TableFiles],
    memory: int,
    threads: int,
    spill: Path,
    connection: duckdb.DuckDBPyConnection | None = None,
    *,
    close: bool = True,
) -> Generator[DuckDBConnection]:
    """Open an in-memory database with a view of each table, and close it when the block ends.

    Args:
        tables: the tables and their files.
        memory: memory limit in bytes, beyond which DuckDB writes temporary files.
        threads: number of threads.
        spill: folder for temporary files, used by no other connection; created when needed.
        connection: an unused connection from `connect_unlimited`, which takes 30 ms of processor time; None for a new
            one.
        close: false to leave the connection open, in a process that exits next: closing takes 6 ms.
    """
    connection = connection or connect_unlimited()
    try:
        _set_limits(connection, memory, threads, spill)
        connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
        for table in tables:
            connection.execute(create_statement(table))
        yield DuckDBConnection(connection)
    finally:
        if close:
            connection.close()


def connect_duckdb(memory: int, threads: int, spill: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection to an empty in-memory database in the time zone UTC that loads no extensions.

    Args:
        memory: memory limit in bytes, beyond which DuckDB writes temporary files.
        threads: number of threads.
        spill: folder for temporary files, used by no other connection; created when needed.
    """
    connection = connect_unlimited()
    _set_limits(connection, memory, threads, spill)
    return connection


def connect_unlimited() -> duckdb.DuckDBPyConnection:
    """Return a connection as `connect_duckdb` does, before the limits are known.

    It has no threads but the caller's, so that a process that is forked afterwards can use it.
    """
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "async_threads": 0,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _set_limits(connection: duckdb.DuckDBPyConnection, memory: int, threads: int, spill: Path) -> None:
    spill.parent.mkdir(parents=True, exist_ok=True)  # DuckDB creates only the last folder of the path
    connection.execute(
        f"SET memory_limit = '{memory}B'; SET threads = {threads}; SET async_threads = {threads}; "
        f"SET temp_directory = {string_literal(str(spill))}"
    )


def first_invalid_pattern(patterns: Sequence[str]) -> tuple[int, str] | None:
    """Return the index of the first RE2 pattern that DuckDB rejects, and DuckDB's reason; None if it accepts all."""
    if not patterns:
        return None
    with duckdb.connect() as connection:
        for number, pattern in enumerate(patterns):
            try:
                connection.execute("SELECT regexp_matches('', $1)", [pattern])
            except duckdb.Error as error:
                return number, str(error).strip().splitlines()[0].rpartition("Error: ")[2]
    return None


def create_statement(table: TableFiles) -> str:
    """Return the statement that creates a table in DuckDB: a view of its files, or an empty table without files."""
    name = quote_identifier(table.name)
    if table.layouts:
        return f"CREATE VIEW {name} AS " + " UNION ALL ".join(
            _select(table.columns, layout) for layout in table.layouts
        )
    # Not a view without rows: with one, DuckDB reports no progress of statements.
    return f"CREATE TABLE {name} ({', '.join(f'{quote_identifier(column)} {type}' for column, type in table.columns)})"


def _select(columns: Sequence[tuple[str, str]], layout: FileLayout) -> str:
    table_columns = [
        f"NULL::{type} AS {quote_identifier(column)}" if column in layout.missing_columns else quote_identifier(column)
        for column, type in columns
    ] or ["*"]
    selected = ", ".join(
        (*table_columns, *(f"{sql} AS {quote_identifier(column)}" for column, sql in layout.computed_columns))
    )
    return f"SELECT {selected} FROM read_parquet([{', '.join(map(string_literal, layout.files))}])"
