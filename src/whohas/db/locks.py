"""All locks between processes: file locks and database locks. No other module acquires one.

- A file lock (`flock`) excludes other processes, and other threads of this process, that lock the same path.
- A database lock excludes all users of the same database. On PostgreSQL it is an advisory lock, held for a transaction
  or a session. On SQLite, whose users share one machine, the write lock of the database serves for a transaction and a
  file lock for a session.

During an upgrade, processes of two versions run at the same time. So never change the paths of lock files or the
numbers of advisory locks: a process that used another number would not be excluded.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from whohas.errors import Unavailable
from whohas.timeouts import FILE_LOCK_POLL_SECONDS

if TYPE_CHECKING:
    import sqlalchemy as sa


# Locks on files


@contextmanager
def file_lock(path: Path, on_wait: Callable[[], None] = lambda: None) -> Generator[None]:
    """Hold the exclusive lock of a file for the duration of the context; wait for it without a limit.

    The file is created if it is missing, and is never removed. The lock is released at the end of the context, or when
    the process ends, even by SIGKILL. A forked child does not inherit it.

    Args:
        on_wait: called once if another process or thread holds the lock now.

    Raises:
        OSError: the file cannot be created or opened.
        Unavailable: its file system does not support locks.
    """
    with _opened(path) as file:
        if not _try(file, path):
            on_wait()
            _flock(file, fcntl.LOCK_EX, path)
        yield


@contextmanager
def shared_file_lock(path: Path) -> Generator[int]:
    """Hold a shared lock of a file, and yield the file descriptor.

    Any number of holders may share it. It excludes `file_lock` and `try_file_lock`, and waits for them without a limit.
    The file must exist.

    Raises:
        OSError: the file is missing or cannot be opened.
        Unavailable: its file system does not support locks.
    """
    with _opened(path, os.O_RDONLY) as file:
        _flock(file, fcntl.LOCK_SH, path)
        yield file


@contextmanager
def try_file_lock(path: Path, seconds: float = 0.0) -> Generator[bool]:
    """Try to acquire the exclusive lock of a file, and yield whether it was acquired. See `file_lock`.

    Args:
        seconds: how long to retry while another process or thread holds it; 0 to try once.

    Raises:
        OSError: the file cannot be created or opened.
        Unavailable: its file system does not support locks.
    """
    deadline = time.monotonic() + seconds
    with _opened(path) as file:
        while not (acquired := _try(file, path)) and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, FILE_LOCK_POLL_SECONDS))
        yield acquired


_open_files: set[int] = set()
"""The descriptors on which this process holds a lock or waits for one."""


@contextmanager
def _opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Generator[int]:
    # O_CLOEXEC: a program that is started while the lock is held does not inherit the descriptor, nor the lock
    file = os.open(path, flags | os.O_CLOEXEC, 0o666)
    _open_files.add(file)
    process = os.getpid()
    try:
        yield file
    finally:
        if os.getpid() == process:
            # Unlock explicitly, do not only close. The lock belongs to the open file, not to the descriptor, and a
            # child that is just being forked has a copy of the descriptor until `_close_inherited` has run in it.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)
            _open_files.discard(file)
            os.close(file)


def _close_inherited() -> None:
    # A lock lasts until every copy of its descriptor is closed. Example: a worker holds the lock of its home, forks a
    # child and is killed; without this, the child's copy would keep the lock and no new worker could start.
    for file in _open_files:
        os.close(file)
    _open_files.clear()


os.register_at_fork(after_in_child=_close_inherited)


def _try(file: int, path: Path) -> bool:
    try:
        _flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB, path)
    except BlockingIOError:
        return False
    return True


def _flock(file: int, operation: int, path: Path) -> None:
    try:
        fcntl.flock(file, operation)
    except BlockingIOError:
        raise
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be locked: {error.strerror}. The folder of this file must be on a file system with locks "
            "(flock), such as a local disk or NFS with its lock service."
        ) from error


# Locks in the database


@dataclass(frozen=True, slots=True)
class DatabaseLock:
    """A lock that at most one transaction or session of a database holds at a time.

    Attributes:
        purpose: what it protects; not used by the database.
        number: the key of the advisory lock, a signed 64-bit integer that is unique among all locks.
    """

    purpose: str
    number: int


SCHEMA_LOCK: Final = DatabaseLock("layout", 0x77686F68617331)
"""Held while the schema of the database is upgraded."""
RELAY_LOCK: Final = DatabaseLock("relay", 0x77686F68617341)
"""Held by the one process that relays audit events."""


def worker_lock(executor: str) -> DatabaseLock:
    """Return the lock that a worker holds while it is alive.

    Args:
        executor: the worker's id.
    """
    return _derived("worker", executor)


def launcher_lock(launcher: str) -> DatabaseLock:
    """Return the lock under which the active runs of a launcher are counted, so that two starts cannot both pass the
    limit.
    """
    return _derived("launcher", launcher)


def _derived(purpose: str, name: str) -> DatabaseLock:
    # 64 bits of a hash: among a million locks, two collide with a probability of 3e-8. The fixed numbers above begin
    # with the byte 00.
    digest = hashlib.sha256(f"{purpose} {name}".encode()).digest()
    return DatabaseLock(f"{purpose} {name}", int.from_bytes(digest[:8], signed=True))


def lock_transaction(connection: sa.Connection, lock: DatabaseLock) -> None:
    """Acquire a lock until the end of the transaction; wait for it without a limit.

    On SQLite this acquires the write lock of the database, and waits at most for the connection's busy timeout.
    """
    if connection.dialect.name == "sqlite":
        _begin_writing(connection)
    else:
        _ask(connection, "pg_advisory_xact_lock", lock)


def try_lock_transaction(connection: sa.Connection, lock: DatabaseLock) -> bool:
    """Try to acquire a lock until the end of the transaction; return whether it was acquired.

    On SQLite this waits as `lock_transaction` does and returns True: the holder of the write lock excludes all others.
    """
    if connection.dialect.name == "sqlite":
        _begin_writing(connection)
        return True
    return _ask(connection, "pg_try_advisory_xact_lock", lock)


def try_lock_session(session: sa.Connection, lock: DatabaseLock) -> bool:
    """Try to acquire an advisory lock of PostgreSQL until the session ends; return whether it was acquired.

    Args:
        session: a connection that is detached from its pool; the pool would hand the session, and with it the lock, to
            other code.
    """
    return _ask(session, "pg_try_advisory_lock", lock)


@contextmanager
def open_locked_session(database: sa.Engine, lock: DatabaseLock, file: Path) -> Generator[sa.Connection | None]:
    """Open a connection that holds a lock, and yield it; yield None if another session holds the lock.

    Do all work that the lock protects over this connection: if the session breaks, the lock is lost, and so is the
    ability to write over it.

    Args:
        file: the lock file to use on SQLite.

    Raises:
        OSError: the lock file cannot be created or opened.
        Unavailable: its file system does not support locks.
        SQLAlchemyError: the database does not answer.
    """
    if database.dialect.name == "sqlite":
        with try_file_lock(file) as acquired:
            if not acquired:
                yield None
                return
            with database.connect() as connection:
                yield connection
        return
    from sqlalchemy.exc import SQLAlchemyError

    session = database.connect()
    session.detach()
    try:
        with session.begin():
            acquired = try_lock_session(session, lock)
        yield session if acquired else None
    finally:
        with suppress(SQLAlchemyError):
            session.close()


def terminate_holder(connection: sa.Connection, lock: DatabaseLock) -> None:
    """Terminate the PostgreSQL session that holds a lock, so that the lock is released; no effect if it is free."""
    high, low = divmod(lock.number % (1 << 64), 1 << 32)
    connection.exec_driver_sql(_END_HOLDER, {"high": high, "low": low})


_END_HOLDER = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND classid = CAST(%(high)s AS oid) AND objid = CAST(%(low)s AS oid)"
)


def _ask(connection: sa.Connection, function: str, lock: DatabaseLock) -> bool:
    from sqlalchemy import func, select

    # pg_advisory_xact_lock returns void, which reads as an empty value: it has waited, and the result is not used
    return bool(connection.execute(select(getattr(func, function)(lock.number))).scalar_one())


def _begin_writing(connection: sa.Connection) -> None:
    # the driver would begin the transaction only at the first change (see `db.engine.create_engine`)
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
