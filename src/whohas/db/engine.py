"""Connections to the database of runs, clients, users and schedules: SQLite by default, PostgreSQL for many workers.

Each package defines its tables on `metadata`, in the module that uses them. `migrations` creates them.
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

TRANSIENT_ERRORS = (OperationalError, InterfaceError)
"""Errors of a database that is unreachable or temporarily unable to serve; the same statement may succeed later."""

_POSTGRES: dict[str, Any] = {
    "application_name": "whohas",
    "connect_timeout": timeouts.DATABASE_CONNECT_SECONDS,
    # TCP keepalives on both sides detect a peer that vanished without closing the connection
    "keepalives_idle": timeouts.DATABASE_IDLE_SECONDS,
    "keepalives_interval": timeouts.DATABASE_PROBE_SECONDS,
    "keepalives_count": timeouts.DATABASE_PROBES,
    "tcp_user_timeout": timeouts.DATABASE_PEER_GONE_SECONDS * 1000,
    "options": f"-c tcp_keepalives_idle={timeouts.DATABASE_IDLE_SECONDS} "
    f"-c tcp_keepalives_interval={timeouts.DATABASE_PROBE_SECONDS} -c tcp_keepalives_count={timeouts.DATABASE_PROBES} "
    f"-c idle_in_transaction_session_timeout={timeouts.DATABASE_TRANSACTION_SECONDS}s -c timezone=UTC",
}


class UTCDateTime(sa.TypeDecorator[datetime]):
    """A column type for times in UTC. SQLite does not store the time zone, so it is added when a row is read."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


def create_engine(url: str) -> sa.Engine:
    """Return a SQLAlchemy engine for the database; no connection is opened yet.

    Args:
        url: of SQLite or PostgreSQL; see `parse_database_url`.

    Raises:
        InvalidArguments: the URL is of neither, or the driver of PostgreSQL is not installed.
    """
    parsed = parse_database_url(url)
    if parsed.get_backend_name() == "postgresql":
        defaults = {name: value for name, value in _POSTGRES.items() if name not in parsed.query}
        try:
            return sa.create_engine(
                parsed, pool_pre_ping=True, pool_use_lifo=True, pool_size=5, max_overflow=15, connect_args=defaults
            )
        except ImportError as error:
            raise InvalidArguments(
                "WHOHAS_DATABASE_URL names a PostgreSQL, and its driver cannot be loaded: "
                f"{error}. Install it with `pip install 'whohas[postgres]'`."
            ) from error
    # no limit on connections: a reader must not wait for a connection behind writers that wait for the write lock
    engine = sa.create_engine(
        parsed, connect_args={"timeout": timeouts.SQLITE_BUSY_SECONDS}, pool_size=20, max_overflow=-1
    )
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def is_local(database: sa.Engine) -> bool:
    """Return whether the database is a local SQLite file, which reads a row in microseconds even during writes.

    The event loop may then query it directly: handing the query to a thread would take longer.
    """
    return database.dialect.name == "sqlite"


def insert_for(database: sa.Engine | sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT in the dialect of the database; it has `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return insert_in_dialect(database.dialect.name, table)


def insert_in_dialect(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return what `insert_for` does, for statements that are built once for each dialect.

    Args:
        dialect: `sqlite` or `postgresql`.
    """
    # import only the dialect in use: that of PostgreSQL takes 3 MB of memory
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert
    return insert(table)


class DataVersion:
    """A detector of commits to a SQLite database, by any process.

    SQLite has a number for each connection that changes when another connection commits (`PRAGMA data_version`). This
    class keeps a separate connection that never writes, so it sees every commit. Not thread-safe.
    """

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._connection: Any = None

    def count(self) -> int:
        """Return a number that differs from that of the last call if, and only if, something was committed since.

        Takes three microseconds. The first call opens the connection.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        if self._connection is None:
            proxied = self._database.raw_connection()
            self._connection = proxied.driver_connection
            proxied.detach()
        return self._connection.execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        """Close the connection. Later counts cannot be compared with earlier ones."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def parse_database_url(url: str) -> sa.URL:
    """Parse the URL of a database and set the driver: psycopg for `postgres://` and `postgresql://`.

    Raises:
        InvalidArguments: it is not the URL of a SQLite or PostgreSQL database.
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
    # IMMEDIATE takes the write lock when a transaction begins to write: two writers queue instead of failing half-way
    connection.isolation_level = "IMMEDIATE"
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {timeouts.SQLITE_BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
