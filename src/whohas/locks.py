"""Exclusive locks: on files, and in the database. No other module takes one.

A file lock (`flock`) excludes other processes, and other threads of this one, that name the same file. A database lock
excludes all that use the same database: on PostgreSQL it is an advisory lock, for a transaction or for a session. On
SQLite, whose users are all on one machine, the lock of a transaction is the write lock of the database, of which there
is one, and a file lock stands for the lock of a session.

Servers and workers of two versions work side by side while an installation is upgraded. So the paths of files and the
numbers below stay as they are: a process with another number would not be excluded.
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
    """Hold the lock of a file; wait for it without end.

    The file is made if need be, and stays. The lock ends with the context, or with the process however it ends. A child
    that is forked meanwhile does not have it.

    Args:
        on_wait: called once if another holds it now.

    Raises:
        OSError: the file cannot be made or opened.
        Unavailable: its file system has no locks.
    """
    with _opened(path) as file:
        if not _try(file, path):
            on_wait()
            _flock(file, fcntl.LOCK_EX, path)
        yield


@contextmanager
def shared_file_lock(path: Path) -> Generator[int]:
    """Hold the lock of a file together with any number of others that share it; yield the file's descriptor.

    Nobody holds it by `file_lock` or `try_file_lock` meanwhile; who does so now is waited for. The file is not made.

    Raises:
        OSError: the file is not there, or cannot be opened.
        Unavailable: its file system has no locks.
    """
    with _opened(path, os.O_RDONLY) as file:
        _flock(file, fcntl.LOCK_SH, path)
        yield file


@contextmanager
def try_file_lock(path: Path, seconds: float = 0.0) -> Generator[bool]:
    """Hold the lock of a file, unless another holds it; yield whether it is held. See `file_lock`.

    Args:
        seconds: how long to wait for another to let go of it; 0 to try once.

    Raises:
        OSError: the file cannot be made or opened.
        Unavailable: its file system has no locks.
    """
    ends = time.monotonic() + seconds
    with _opened(path) as file:
        while not (held := _try(file, path)) and (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, FILE_LOCK_POLL_SECONDS))
        yield held


_open_files: set[int] = set()
"""The descriptors of this process on which locks are, or are waited for."""


@contextmanager
def _opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Generator[int]:
    # closed by `exec`: a program that is started meanwhile does not keep the lock
    file = os.open(path, flags | os.O_CLOEXEC, 0o666)
    _open_files.add(file)
    process = os.getpid()
    try:
        yield file
    finally:
        if os.getpid() == process:
            # unlocked rather than only closed: a child that is being forked has a copy of the descriptor for a moment
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)
            _open_files.discard(file)
            os.close(file)


def _close_inherited() -> None:
    # a lock lasts until all copies of its descriptor are closed: a forked child would keep it beyond its parent's end
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
            f"{path} cannot be locked: {error.strerror}. The home folder (WHOHAS_HOME) must be on a file system with "
            "locks (flock), such as a local disk or NFS with its lock service."
        ) from error


# Locks in the database


@dataclass(frozen=True, slots=True)
class DatabaseLock:
    """A lock that one transaction or session of a database holds at a time.

    Attributes:
        number: of the advisory lock, 64 bits with a sign; unlike that of all other locks.
    """

    purpose: str
    number: int


LAYOUT: Final = DatabaseLock("layout", 0x77686F68617331)
"""Held while the layout of the database is upgraded."""
RELAY: Final = DatabaseLock("relay", 0x77686F68617341)
"""Held by the one process that relays audit events."""


def of_worker(executor: str) -> DatabaseLock:
    """Return the lock that a worker holds for as long as it is alive."""
    return _derived("worker", executor)


def of_launcher(launcher: str) -> DatabaseLock:
    """Return the lock under which the active runs of a launcher are counted."""
    return _derived("launcher", launcher)


def _derived(purpose: str, name: str) -> DatabaseLock:
    # 64 bits of a hash: a million of them have two alike with a probability of 3e-8, and the fixed ones begin with 00
    digest = hashlib.sha256(f"{purpose} {name}".encode()).digest()
    return DatabaseLock(f"{purpose} {name}", int.from_bytes(digest[:8], signed=True))


def lock_transaction(connection: sa.Connection, lock: DatabaseLock) -> None:
    """Take a lock until the transaction ends; wait for it without end.

    On SQLite the transaction gets the database's write lock, which waits for as long as the connection is patient.
    """
    if connection.dialect.name == "sqlite":
        _begin_writing(connection)
    else:
        _ask(connection, "pg_advisory_xact_lock", lock)


def try_lock_transaction(connection: sa.Connection, lock: DatabaseLock) -> bool:
    """Take a lock until the transaction ends, unless another holds it; return whether it is held.

    On SQLite see `lock_transaction`: no other transaction can hold any lock then.
    """
    if connection.dialect.name == "sqlite":
        _begin_writing(connection)
        return True
    return _ask(connection, "pg_try_advisory_xact_lock", lock)


def try_lock_session(session: sa.Connection, lock: DatabaseLock) -> bool:
    """Take a lock of PostgreSQL until the session ends, unless another holds it; return whether it is held.

    Args:
        session: detached from its pool, which would lend the session and its lock to others.
    """
    return _ask(session, "pg_try_advisory_lock", lock)


@contextmanager
def try_session(database: sa.Engine, lock: DatabaseLock, file: Path) -> Generator[sa.Connection | None]:
    """Open a connection that holds a lock, unless another holds it; yield None then.

    A process whose session broke has lost the lock, and can change nothing over that connection any more.

    Args:
        file: whose lock stands for it on SQLite.

    Raises:
        OSError: the file cannot be made or opened.
        Unavailable: its file system has no locks.
        SQLAlchemyError: the database does not answer.
    """
    if database.dialect.name == "sqlite":
        with try_file_lock(file) as held:
            if not held:
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
            held = try_lock_session(session, lock)
        yield session if held else None
    finally:
        with suppress(SQLAlchemyError):
            session.close()


def end_holder(connection: sa.Connection, lock: DatabaseLock) -> None:
    """End the session of PostgreSQL that holds a lock, so that the lock is free; without effect where it is free."""
    high, low = divmod(lock.number % (1 << 64), 1 << 32)
    connection.exec_driver_sql(_END_HOLDER, {"high": high, "low": low})


_END_HOLDER = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND classid = CAST(%(high)s AS oid) AND objid = CAST(%(low)s AS oid)"
)


def _ask(connection: sa.Connection, function: str, lock: DatabaseLock) -> bool:
    from sqlalchemy import func, select

    # nothing where the function returns nothing; it has waited then
    return bool(connection.execute(select(getattr(func, function)(lock.number))).scalar_one())


def _begin_writing(connection: sa.Connection) -> None:
    # the driver begins a transaction at the first change only, and then with the write lock: see `database.connect`
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
