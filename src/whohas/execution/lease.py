"""Worker leases: how a worker proves that it is alive, and how others find that it is dead and take over its runs.

Each worker has an id, new with each start, and a row in the table `worker`, to which a thread writes a heartbeat
every few seconds. A worker owns its runs as long as it holds a lock.

On SQLite there is one worker, which holds a lock on a file of the home folder (`FileLockLease`). On PostgreSQL there
are many (`AdvisoryLockLease`): each holds an advisory lock of its database session and writes its heartbeat over that
session. Where the lock is free, the worker has died or has lost its connection. Any other worker may take over its runs
once its last heartbeat is older than `timeouts.LEASE_EXPIRY_SECONDS`, because its child processes have ended by then:
those of a dead worker at once, and a worker that cannot write a heartbeat ends them itself after
`LEASE_PATIENCE_SECONDS`. A worker that hangs keeps its lock; its children exit after `CHILD_ORPHAN_SECONDS`, and others
end its session after `LEASE_HUNG_SECONDS`. If these assumptions fail, a run still cannot have two results: its row
names worker and attempt, and statements of an attempt that lost its run change nothing.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import timeouts
from whohas.background import PeriodicTask, Runner
from whohas.db import locks
from whohas.db.engine import UTCDateTime, insert_for, metadata
from whohas.errors import Conflict, Unavailable
from whohas.runs.repository import now
from whohas.settings import Settings

_GONE = timedelta(seconds=timeouts.LEASE_EXPIRY_SECONDS)
_HUNG = timedelta(seconds=timeouts.LEASE_HUNG_SECONDS)
_HERE = timedelta(seconds=timeouts.LEASE_CLI_TRUST_SECONDS)
_DEAD_AFTER = timedelta(seconds=timeouts.LEASE_DEAD_SECONDS)

worker_table = sa.Table(
    "worker",
    metadata,
    sa.Column("executor", sa.String(32), primary_key=True, comment="32 lower-case hex digits, new with each start"),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("process", sa.Integer, nullable=False, comment="its id on that host"),
    sa.Column("started", UTCDateTime, nullable=False),
    sa.Column("seen", UTCDateTime, nullable=False, comment="by the database's clock"),
)
"""One row for each worker. Processes of an earlier version read it through the view `worker_beat`."""

log = structlog.get_logger("whohas.lease")


class WorkerLease(Protocol):
    """The lease by which a worker owns the runs that it executes.

    Attributes:
        executor: the worker's id, 32 lower-case hex digits; new with each start.
    """

    @property
    def executor(self) -> str: ...

    @property
    def is_valid(self) -> bool:
        """Whether the lease is valid now, so that the worker may claim runs."""
        ...

    @property
    def is_lost(self) -> bool:
        """Whether no heartbeat could be written for so long that other workers may take over the runs: the worker must
        end its child processes."""
        ...

    @property
    def grace_period_over(self) -> bool:
        """Whether the lease has been held for long enough that workers which have written no heartbeat since can be
        considered dead. After an outage of the database all heartbeats are old, and each worker needs time to write
        one."""
        ...

    def is_dead(self, connection: sa.Connection, executor: str | None) -> bool:
        """Return whether a worker is dead, given by its id (None: it is unknown, hence dead).

        If it is, this transaction locks it: no other worker gets True for it until the transaction ends.
        """
        ...

    def evict_hung(self, connection: sa.Connection) -> None:
        """End the database sessions of workers that hold a lock but write no heartbeats, so that their locks are
        free."""
        ...


@dataclass(frozen=True, slots=True)
class FileLockLease:
    """The lease of the only worker on SQLite. It holds the lock on the file, so every other worker is dead."""

    database: sa.Engine
    executor: str = field(default_factory=lambda: uuid.uuid4().hex)
    is_valid: bool = True
    is_lost: bool = False
    grace_period_over: bool = True

    def write_heartbeat(self) -> None:
        """Write that this worker is alive."""
        with self.database.begin() as connection:
            _write(connection, self.executor)

    def begin(self) -> None:
        """Write the first heartbeat, and remove the rows of all workers before."""
        with self.database.begin() as connection:
            connection.execute(sa.delete(worker_table))
            _write(connection, self.executor)

    def end(self) -> None:
        """Remove the worker's row. An error of the database is ignored."""
        with suppress(SQLAlchemyError), self.database.begin() as connection:
            connection.execute(sa.delete(worker_table).where(worker_table.c.executor == self.executor))

    def is_dead(self, connection: sa.Connection, executor: str | None) -> bool:
        return executor != self.executor

    def evict_hung(self, connection: sa.Connection) -> None:
        pass


class AdvisoryLockLease:
    """The lease of a worker on PostgreSQL: a database session that holds an advisory lock."""

    def __init__(self, database: sa.Engine) -> None:
        self.executor = uuid.uuid4().hex
        # of other workers: the last heartbeat that was seen, and since when by `time.monotonic`
        self._seen_beats: dict[str, tuple[datetime, float]] = {}
        self._database = database
        self._session: sa.Connection | None = None
        self._session_since = self._last_beat = time.monotonic()

    @property
    def is_valid(self) -> bool:
        return self._session is not None and not self.is_lost

    @property
    def is_lost(self) -> bool:
        return time.monotonic() - self._last_beat > timeouts.LEASE_PATIENCE_SECONDS

    @property
    def grace_period_over(self) -> bool:
        return self.is_valid and time.monotonic() - self._session_since > timeouts.LEASE_TAKEOVER_DELAY_SECONDS

    def write_heartbeat(self) -> None:
        """Write a heartbeat, over a new session where the previous one is lost.

        Raises:
            SQLAlchemyError: the database does not respond.
            Unavailable: the database has not ended the previous session yet, which still holds the lock.
        """
        try:
            if self._session is None:
                self.begin()
            else:
                self._write_heartbeat(self._session)
        except (SQLAlchemyError, Unavailable):
            self._close_session()
            raise

    def begin(self) -> None:
        """Open a session, acquire the lock, and write the first heartbeat. Raises as `write_heartbeat` does."""
        # Detached from the pool, which would lend the session to others: the lock lasts as long as the session.
        session = self._database.connect()
        session.detach()
        try:
            if not locks.try_lock_session(session, locks.worker_lock(self.executor)):
                raise Unavailable("The session of this worker before has not ended yet")
            self._write_heartbeat(session)
        except BaseException:
            session.close()
            raise
        self._session_since = time.monotonic()
        self._session = session

    def end(self) -> None:
        """Remove the worker's row, and close the session, which releases the lock."""
        if self._session is not None:
            with suppress(SQLAlchemyError):
                self._session.execute(sa.delete(worker_table).where(worker_table.c.executor == self.executor))
                self._session.commit()
        self._close_session()

    def _write_heartbeat(self, session: sa.Connection) -> None:
        _write(session, self.executor)
        session.commit()
        self._last_beat = time.monotonic()

    def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.invalidate()
            session.close()

    def is_dead(self, connection: sa.Connection, executor: str | None) -> bool:
        if executor == self.executor:
            return False
        if executor is None:
            return True
        if not locks.try_lock_transaction(connection, locks.worker_lock(executor)):
            return False
        its_row = worker_table.c.executor == executor
        heartbeat = sa.select(worker_table.c.seen, worker_table.c.seen < _before(connection, _GONE)).where(its_row)
        # Where the database's clock was set back, an old heartbeat looks recent or in the future. So a worker is dead
        # too once this process has seen the same heartbeat for that long by its own monotonic clock.
        for seen, is_old in connection.execute(heartbeat):
            if not is_old and self._silent_seconds(executor, seen) < timeouts.LEASE_EXPIRY_SECONDS:
                return False
        connection.execute(sa.delete(worker_table).where(its_row))
        return True

    def evict_hung(self, connection: sa.Connection) -> None:
        beats = sa.select(
            worker_table.c.executor, worker_table.c.seen, worker_table.c.seen < _before(connection, _HUNG)
        )
        others = connection.execute(beats.where(worker_table.c.executor != self.executor)).all()
        self._seen_beats = {
            executor: self._seen_beats[executor] for executor, _, _ in others if executor in self._seen_beats
        }
        for executor, seen, is_old in others:
            # Where the database's clock was set ahead, every heartbeat looks old until the next one. So this process
            # must itself have seen no new heartbeat for a while.
            silent = self._silent_seconds(executor, seen)
            if silent < (timeouts.LEASE_TAKEOVER_DELAY_SECONDS if is_old else timeouts.LEASE_HUNG_SECONDS):
                continue
            if self.is_dead(connection, executor):
                continue
            log.warning("a worker is silent: its runs are taken from it", executor=executor)
            locks.terminate_holder(connection, locks.worker_lock(executor))

    def _silent_seconds(self, executor: str, seen: datetime) -> float:
        """Return for how many seconds this process has seen the same heartbeat of another worker, by its monotonic
        clock.

        Args:
            seen: the heartbeat that is in the database now.
        """
        now = time.monotonic()
        before, since = self._seen_beats.get(executor, (seen, now))
        if before != seen:
            since = now
        self._seen_beats[executor] = seen, since
        return now - since


def _clock(connection: sa.Connection) -> Any:
    """Return the present time as a SQL expression, by a clock that all workers share.

    That is the clock of PostgreSQL's server, or with SQLite the clock of the machine.
    """
    # with SQLite all processes are on one machine, so its clock is shared
    return sa.literal(now(), UTCDateTime) if connection.dialect.name == "sqlite" else sa.func.clock_timestamp()


def _before(connection: sa.Connection, age: timedelta) -> Any:
    """Return a time in the past (of a negative age: in the future) by the clock of `_clock`, to compare with a column.

    It is an SQL expression, or with SQLite a datetime.
    """
    return now() - age if connection.dialect.name == "sqlite" else sa.func.clock_timestamp() - age


def _seen_within(connection: sa.Connection, age: timedelta) -> sa.ColumnElement[bool]:
    """Return the condition that a worker's last heartbeat is no older than an age.

    One that lies further than this in the future was written before the clock was set back, and does not count.
    """
    return sa.and_(worker_table.c.seen > _before(connection, age), worker_table.c.seen < _before(connection, -age))


def _write(connection: sa.Connection, executor: str) -> None:
    """Insert the row of a worker, or update the time of its last heartbeat."""
    values = {"host": socket.gethostname(), "process": os.getpid()}
    at = _clock(connection)
    new = insert_for(connection, worker_table).values(executor=executor, started=at, seen=at, **values)
    connection.execute(new.on_conflict_do_update(index_elements=["executor"], set_={"seen": at}))


@contextmanager
def _locked(home: Path) -> Generator[None]:
    """Hold the file lock that allows one worker on a home folder.

    Raises:
        Conflict: another process holds the lock.
    """
    with locks.try_file_lock(home / "worker.lock") as acquired:
        if not acquired:
            raise Conflict(
                f"Another whohas already works on {home}. Stop it, give this one a separate folder (WHOHAS_HOME), or "
                "use PostgreSQL (WHOHAS_DATABASE_URL), where any number may work."
            )
        yield


@contextmanager
def _beating(lease: FileLockLease | AdvisoryLockLease, seconds: float) -> Generator[WorkerLease]:
    """Begin a lease, and write its heartbeat every `seconds` until the context ends.

    The heartbeat has a dedicated thread, so that no other task can delay it.
    """
    lease.begin()
    heartbeat = Runner("heartbeat", [PeriodicTask("heartbeat", lease.write_heartbeat, seconds, at_start=False)])
    heartbeat.start()
    try:
        yield lease
    finally:
        # Where the thread has not ended in time, the database does not respond, and the thread still uses the session:
        # the lease is left to expire.
        if heartbeat.stop():
            lease.end()


@contextmanager
def hold_lease(settings: Settings, database: sa.Engine) -> Generator[WorkerLease]:
    """Hold a worker's lease for as long as the context lasts.

    Raises:
        Conflict: on SQLite, another worker uses this home folder.
        SQLAlchemyError: the database does not respond.
    """
    if database.dialect.name == "sqlite":
        with (
            _locked(settings.home),
            _beating(FileLockLease(database), timeouts.LEASE_SQLITE_HEARTBEAT_SECONDS) as lease,
        ):
            yield lease
    else:
        with _beating(AdvisoryLockLease(database), timeouts.LEASE_HEARTBEAT_SECONDS) as lease:
            yield lease


def count_alive(database: sa.Engine) -> int:
    """Return the number of workers whose last heartbeat is no older than `timeouts.LEASE_DEAD_SECONDS`."""
    with database.connect() as connection:
        seen = _seen_within(connection, _DEAD_AFTER)
        return connection.execute(sa.select(sa.func.count()).select_from(worker_table).where(seen)).scalar_one()


def has_live_worker(settings: Settings, database: sa.Engine) -> bool:
    """Return whether a worker is running for this database: on SQLite by its lock, else by a recent heartbeat."""
    if database.dialect.name == "sqlite":
        try:
            with _locked(settings.home):
                return False
        except Conflict:
            return True
    with database.connect() as connection:
        seen = _seen_within(connection, _HERE)
        return connection.execute(sa.select(worker_table.c.executor).where(seen)).first() is not None
