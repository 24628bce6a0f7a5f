"""Reading tables for a page: one DuckDB for each page, with limits on memory, time, and on how many read at once.

What a user types can cost no more than these limits. A lookup that exceeds one is refused, never answered in part.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whohas import timeouts
from whohas.engine.statement import FileLayout, Statement, TableFiles
from whohas.errors import InvalidArguments, QuotaExceeded, Unavailable
from whohas.settings import MiB

if TYPE_CHECKING:
    import duckdb

LOOKUPS_AT_ONCE = 2
"""The most pages of one server that plan a search or read tables at the same time; others wait for a moment."""
_MEMORY = 384 * MiB
_MAX_SPILL = 1024 * MiB
_THREADS = 2


class LookupTooLarge(InvalidArguments):
    """A lookup that takes more time or memory than a page may take; a run has higher limits."""


@cache
def _slots() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(LOOKUPS_AT_ONCE)


@contextmanager
def lookup_slot() -> Generator[None]:
    """Take one of the places for pages that plan a search or read tables, until the context ends.

    Raises:
        QuotaExceeded: no place was free within `CONSOLE_LOOKUP_WAIT_SECONDS`.
    """
    if not _slots().acquire(timeout=timeouts.CONSOLE_LOOKUP_WAIT_SECONDS):
        raise QuotaExceeded(
            "Too many pages read the data at the same time. Try again in a few seconds.",
            int(timeouts.CONSOLE_LOOKUP_WAIT_SECONDS),
        )
    try:
        yield
    finally:
        _slots().release()


class Lookup:
    """A DuckDB with the tables of one page. Created by `open_lookup`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Return all rows of a statement, which limits their number itself.

        Raises:
            LookupTooLarge: it takes too long or too much memory.
            Unavailable: DuckDB cannot execute it, for example because a file was removed.
        """
        import duckdb

        try:
            return self._connection.execute(sql, parameters or None).fetchall()
        except duckdb.InterruptException:
            raise LookupTooLarge(
                f"This takes longer than {timeouts.CONSOLE_LOOKUP_SECONDS:g} seconds, the limit of a page. Narrow the "
                "search, or run it as a report."
            ) from None
        except duckdb.OutOfMemoryException:
            raise LookupTooLarge(
                f"This takes more than {_MEMORY // MiB} MB of memory, the limit of a page. Narrow the search, or run "
                "it as a report."
            ) from None
        except duckdb.Error as error:
            raise Unavailable(f"The data cannot be read: {str(error).splitlines()[0][:300]}") from error

    def dicts(self, sql: str, parameters: Any = None) -> list[dict[str, Any]]:
        """Return all rows of a statement as objects by the name of the column; the errors are those of `rows`."""
        rows = self.rows(sql, parameters)
        names = [column[0] for column in self._connection.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows]


@contextmanager
def open_lookup(spill: Path, tables: Sequence[TableFiles]) -> Generator[Lookup]:
    """Open a DuckDB with a view of each table, and close it when the context ends.

    All statements of the context together may take `CONSOLE_LOOKUP_SECONDS`. The caller has a `lookup_slot`.

    Args:
        spill: the folder for temporary files of engines (`Settings.spill_path`).
        tables: the tables and their files.

    Raises:
        Unavailable: a file of a table was removed.
    """
    import duckdb

    from whohas.engine.duckdb import connect_duckdb, create_statement

    spill.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="console-", dir=spill) as folder:
        connection = connect_duckdb(_MEMORY, _THREADS, Path(folder) / "spill")
        done = threading.Event()

        def interrupt_late() -> None:
            if not done.wait(timeouts.CONSOLE_LOOKUP_SECONDS):
                # repeated, because an interrupt between two statements has no effect
                while not done.wait(timeouts.CONSOLE_INTERRUPT_SECONDS):
                    connection.interrupt()

        watcher = threading.Thread(target=interrupt_late, daemon=True)
        try:
            connection.execute(f"SET max_temp_directory_size = '{_MAX_SPILL}B'")
            watcher.start()
            try:
                for table in tables:
                    connection.execute(create_statement(table))
            except duckdb.Error as error:
                raise Unavailable(f"The data cannot be read: {str(error).splitlines()[0][:300]}") from error
            yield Lookup(connection)
        finally:
            done.set()
            if watcher.is_alive():
                watcher.join()
            connection.close()


def view_files(statement: Statement) -> list[TableFiles]:
    """Return the views of the search index that a statement reads."""
    return [TableFiles(name, (), (FileLayout(files),)) for name, files in statement.files.items()]
