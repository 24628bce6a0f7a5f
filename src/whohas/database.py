"""The database of runs, clients and settings of reports: SQLite with nothing to install, PostgreSQL for many workers.

Each part defines its own tables on `metadata`, in the module that uses them; `migrations` makes them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError

from whohas import timeouts
from whohas.errors import InvalidArguments

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

metadata = sa.MetaData()

AWAY = (OperationalError, InterfaceError)
"""What a database raises that does not answer, or answers that it cannot now: the same statement may go later."""

_POSTGRES: dict[str, Any] = {
    "application_name": "whohas",
    "connect_timeout": timeouts.DATABASE_CONNECT_SECONDS,
    # a peer that is gone without a word is found out on either side
    "keepalives_idle": timeouts.DATABASE_IDLE_SECONDS,
    "keepalives_interval": timeouts.DATABASE_PROBE_SECONDS,
    "keepalives_count": timeouts.DATABASE_PROBES,
    "tcp_user_timeout": timeouts.DATABASE_PEER_GONE_SECONDS * 1000,
    "options": f"-c tcp_keepalives_idle={timeouts.DATABASE_IDLE_SECONDS} "
    f"-c tcp_keepalives_interval={timeouts.DATABASE_PROBE_SECONDS} -c tcp_keepalives_count={timeouts.DATABASE_PROBES} "
    f"-c idle_in_transaction_session_timeout={timeouts.DATABASE_TRANSACTION_SECONDS}s -c timezone=UTC",
}


class Instant(sa.TypeDecorator[datetime]):
    """A time in UTC; SQLite forgets the zone, so it is put back on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


def connect(url: str) -> sa.Engine:
    """An engine on the database, its file's folder made if need be.

    Args:
        url: of SQLite or PostgreSQL; see `with_driver`.

    Raises:
        InvalidArguments: it is no such URL, or the driver of PostgreSQL is not installed.
    """
    parsed = with_driver(url)
    if parsed.get_backend_name() == "postgresql":
        given = {name: value for name, value in _POSTGRES.items() if name not in parsed.query}
        try:
            return sa.create_engine(
                parsed, pool_pre_ping=True, pool_use_lifo=True, pool_size=5, max_overflow=15, connect_args=given
            )
        except ImportError as error:
            raise InvalidArguments(
                "WHOHAS_DATABASE_URL names a PostgreSQL, and its driver cannot be loaded: "
                f"{error}. Install it with `pip install 'whohas[postgres]'`."
            ) from error
    # as many as are wanted at once: who only reads must not wait for those who wait for their turn to write
    engine = sa.create_engine(
        parsed, connect_args={"timeout": timeouts.SQLITE_BUSY_SECONDS}, pool_size=20, max_overflow=-1
    )
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def answers_at_once(database: sa.Engine) -> bool:
    """Whether a row is read in microseconds, whoever writes meanwhile: from a file, that is, and not over a network.
    Then the event loop itself can ask: a change of threads would take longer."""
    return database.dialect.name == "sqlite"


def upserting(database: sa.Engine | sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT in the dialect of the database: it has `on_conflict_do_nothing` and `on_conflict_do_update`."""
    # one of them alone is loaded: PostgreSQL's takes 3 MB of memory
    if database.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert
    return insert(table)


class Commits:
    """Tells when something has been committed to a SQLite database, whichever process did it.

    SQLite counts, for each connection, what all others have committed (`PRAGMA data_version`). This is a connection of
    its own, which never writes. For one thread at a time.
    """

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._connection: Any = None

    def count(self) -> int:
        """A number that has changed if, and only if, something was committed meanwhile; it takes three microseconds.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        if self._connection is None:
            proxied = self._database.raw_connection()
            self._connection = proxied.driver_connection
            proxied.detach()
        return self._connection.execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        """Lets go of the database; what is counted after that has another beginning."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def with_driver(url: str) -> sa.URL:
    """A URL with the driver that is used here, whichever way PostgreSQL was named: `postgres://`, `postgresql://`.

    Raises:
        InvalidArguments: it is no URL of SQLite or PostgreSQL.
    """
    try:
        parsed = sa.make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    except (ArgumentError, ValueError):
        parsed = None
    match parsed.get_backend_name() if parsed is not None else None:
        case "postgresql":
            assert parsed is not None
            return parsed.set(drivername="postgresql+psycopg")
        case "sqlite":
            assert parsed is not None
            return parsed
        case _:
            raise InvalidArguments(
                "WHOHAS_DATABASE_URL is neither postgresql://USER:PASSWORD@HOST:PORT/DATABASE nor sqlite:///PATH."
            )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # IMMEDIATE takes the write lock at the start of a transaction: two writers queue instead of failing half-way
    connection.isolation_level = "IMMEDIATE"
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {timeouts.SQLITE_BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
