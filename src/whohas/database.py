"""The database of runs, clients and settings of reports: SQLite with nothing to install.

The same file holds the tables of the job engine, so that a run and its job are written in one transaction. Each
part defines its own tables on `metadata`, in the module that uses them.
"""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

metadata = sa.MetaData()

_CREATING = 0x77686F68617331
"""The advisory lock on PostgreSQL under which tables are made; any number that is nobody else's."""


class Instant(sa.TypeDecorator[datetime]):
    """A time in UTC; SQLite forgets the zone, so it is put back on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


def connect(url: str) -> sa.Engine:
    """An engine on the database, its file's folder made if need be."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, pool_pre_ping=True)
    engine = sa.create_engine(parsed, connect_args={"timeout": 30}, pool_size=20, max_overflow=20)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # IMMEDIATE takes the write lock at the start of a transaction: two writers queue instead of failing half-way
    connection.isolation_level = "IMMEDIATE"
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 30000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
    if sqlite3.sqlite_version_info < (3, 42):
        connection.create_function("unixepoch", -1, _unixepoch)


def _unixepoch(*modifiers: str) -> float:
    """SQLite's function as it is from 3.42 on: the job engine relies on `subsec` where Python is 3.12 or later, and
    such a Python may well have an older SQLite (Debian 12 has 3.40)."""
    if modifiers != ("subsec",):
        raise ValueError(f"unixepoch is known here with 'subsec' alone, not with {modifiers}.")
    return round(time.time(), 3)


def create_tables(engine: sa.Engine) -> None:
    """Makes the tables that are missing; safe from many processes at once."""
    with engine.begin() as connection:
        # looking and making are two steps: one process at a time
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATING)))
        metadata.create_all(connection)
