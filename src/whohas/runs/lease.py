"""The lease of a worker: how others know that it is alive, and how it knows itself that it is not any more.

Each worker has one id, new with each start, and one row in the table `worker`, where its heartbeat says again and again
that it is there. What makes it the owner of its runs is a lock.

On SQLite there is one worker, and it holds a lock on a file of the home folder. On PostgreSQL there are many. Each
holds an advisory lock of its own for as long as its session lasts, and its heartbeat goes over that session. A lock
that is free belongs to a worker that died or was cut off, and once its last heartbeat is so old that its children are
gone either way, any other worker may take over its runs. Should that be wrong, no run has two outcomes for it: its row
says whose attempt it is on, and an attempt that lost its run changes nothing.
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

from whohas import locks, timeouts
from whohas.background import PeriodicTask, Runner
from whohas.database import Instant, metadata, upserting
from whohas.errors import Conflict, Unavailable
from whohas.runs.repository import now
from whohas.settings import Settings

_GONE = timedelta(seconds=timeouts.LEASE_GONE_SECONDS)
_HUNG = timedelta(seconds=timeouts.LEASE_HUNG_SECONDS)
_HERE = timedelta(seconds=timeouts.LEASE_HERE_SECONDS)
_DEAD_AFTER = timedelta(seconds=timeouts.LEASE_DEAD_SECONDS)

worker = sa.Table(
    "worker",
    metadata,
    sa.Column("executor", sa.String(32), primary_key=True, comment="32 lower-case hex digits, new with each start"),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("process", sa.Integer, nullable=False, comment="its id on that host"),
    sa.Column("started", Instant, nullable=False),
    sa.Column("seen", Instant, nullable=False, comment="by the database's clock"),
)
"""One row a worker. The view `worker_beat` shows it to processes of an earlier version."""

log = structlog.get_logger("whohas.lease")


class WorkerLease(Protocol):
    """A worker's proof of life.

    Attributes:
        executor: the worker's id, 32 lower-case hex digits; new with each start.
    """

    @property
    def executor(self) -> str: ...

    @property
    def held(self) -> bool:
        """Whether it is proven now: runs may be taken."""
        ...

    @property
    def lost(self) -> bool:
        """Whether it could not be proven for so long that others may have its runs: children must end."""
        ...

    @property
    def settled(self) -> bool:
        """Whether those who have not shown up can be taken for dead."""
        ...

    def is_dead(self, connection: sa.Connection, executor: str | None) -> bool:
        """Return whether another worker is dead; if so, nobody else gets that answer until the transaction ends."""
        ...

    def end_hung(self, connection: sa.Connection) -> None:
        """End the sessions of workers that are silent, so that they are dead from then on."""
        ...


@dataclass(frozen=True, slots=True)
class FileLease:
    """The lease of the one worker on SQLite, which has the lock on the file; whoever else had a run is dead."""

    database: sa.Engine
    executor: str = field(default_factory=lambda: uuid.uuid4().hex)
    held: bool = True
    lost: bool = False
    settled: bool = True

    def beat(self) -> None:
        """Write that this worker is alive."""
        with self.database.begin() as connection:
            _write(connection, self.executor)

    def begin(self) -> None:
        """Write that this worker is alive, and that no other is."""
        with self.database.begin() as connection:
            connection.execute(sa.delete(worker))
            _write(connection, self.executor)

    def end(self) -> None:
        """Write that this worker is not there any more."""
        with suppress(SQLAlchemyError), self.database.begin() as connection:
            connection.execute(sa.delete(worker).where(worker.c.executor == self.executor))

    def is_dead(self, connection: sa.Connection, executor: str | None) -> bool:
        return executor != self.executor

    def end_hung(self, connection: sa.Connection) -> None:
        pass


class SessionLease:
    """The lease of one of the workers on PostgreSQL: a session that has an advisory lock."""

    def __init__(self, database: sa.Engine) -> None:
        self.executor = uuid.uuid4().hex
        self._beats: dict[str, tuple[datetime, float]] = {}
        self._database = database
        self._session: sa.Connection | None = None
        self._since = self._beat = time.monotonic()

    @property
    def held(self) -> bool:
        return self._session is not None and not self.lost

    @property
    def lost(self) -> bool:
        return time.monotonic() - self._beat > timeouts.LEASE_PATIENCE_SECONDS

    @property
    def settled(self) -> bool:
        return self.held and time.monotonic() - self._since > timeouts.LEASE_SETTLE_SECONDS

    def beat(self) -> None:
        """Write that this worker is alive, over a new session where the one before is lost.

        Raises:
            SQLAlchemyError: the database does not answer.
            Unavailable: it has not ended the session before yet.
        """
        try:
            if self._session is None:
                self.begin()
            else:
                self._say(self._session)
        except (SQLAlchemyError, Unavailable):
            self._drop()
            raise

    def begin(self) -> None:
        """Open the session, and take its lock; raises what `beat` does."""
        # a session of its own: the lock lasts as long as it does, and a pool would lend it to others
        session = self._database.connect()
        session.detach()
        try:
            if not locks.try_lock_session(session, locks.of_worker(self.executor)):
                raise Unavailable("The session of this worker before has not ended yet")
            self._say(session)
        except BaseException:
            session.close()
            raise
        self._since = time.monotonic()
        self._session = session

    def end(self) -> None:
        """Give the lock back, and write that this worker is not there any more."""
        if self._session is not None:
            with suppress(SQLAlchemyError):
                self._session.execute(sa.delete(worker).where(worker.c.executor == self.executor))
                self._session.commit()
        self._drop()

    def _say(self, session: sa.Connection) -> None:
        _write(session, self.executor)
        session.commit()
        self._beat = time.monotonic()

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.invalidate()
            session.close()

    def is_dead(self, connection: sa.Connection, executor: str | None) -> bool:
        if executor == self.executor:
            return False
        if executor is None:
            return True
        if not locks.try_lock_transaction(connection, locks.of_worker(executor)):
            return False
        its = worker.c.executor == executor
        old = sa.select(worker.c.seen, worker.c.seen < _before(connection, _GONE)).where(its)
        # a clock that was set back makes an old heartbeat a later one: how long it stays the same is measured here too
        for seen, is_old in connection.execute(old):
            if not is_old and self._silent_seconds(executor, seen) < timeouts.LEASE_GONE_SECONDS:
                return False
        connection.execute(sa.delete(worker).where(its))
        return True

    def end_hung(self, connection: sa.Connection) -> None:
        beats = sa.select(worker.c.executor, worker.c.seen, worker.c.seen < _before(connection, _HUNG))
        there = connection.execute(beats.where(worker.c.executor != self.executor)).all()
        self._beats = {executor: self._beats[executor] for executor, _, _ in there if executor in self._beats}
        for executor, seen, is_old in there:
            # a clock that was set ahead makes every heartbeat old until the next one: some must be missed here as well
            silent = self._silent_seconds(executor, seen)
            if silent < (timeouts.LEASE_SETTLE_SECONDS if is_old else timeouts.LEASE_HUNG_SECONDS):
                continue
            if self.is_dead(connection, executor):
                continue
            log.warning("a worker is silent: its runs are taken from it", executor=executor)
            locks.end_holder(connection, locks.of_worker(executor))

    def _silent_seconds(self, executor: str, seen: datetime) -> float:
        """Return for how long this process has seen the same heartbeat of another worker, whatever clocks show."""
        now = time.monotonic()
        before, since = self._beats.get(executor, (seen, now))
        if before != seen:
            since = now
        self._beats[executor] = seen, since
        return now - since


def _clock(connection: sa.Connection) -> Any:
    """Return the time by the clock that all workers of the database share."""
    # SQLite's workers are on one machine
    return sa.literal(now(), Instant) if connection.dialect.name == "sqlite" else sa.func.clock_timestamp()


def _before(connection: sa.Connection, age: timedelta) -> Any:
    """Return a time in the past by the same clock."""
    return now() - age if connection.dialect.name == "sqlite" else sa.func.clock_timestamp() - age


def _seen_within(connection: sa.Connection, age: timedelta) -> sa.ColumnElement[bool]:
    """Return whether a worker's heartbeat is so new; one of the future is of before the clock was set back."""
    return sa.and_(worker.c.seen > _before(connection, age), worker.c.seen < _before(connection, -age))


def _write(connection: sa.Connection, executor: str) -> None:
    """Write that a worker is alive."""
    values = {"host": socket.gethostname(), "process": os.getpid()}
    at = _clock(connection)
    new = upserting(connection, worker).values(executor=executor, started=at, seen=at, **values)
    connection.execute(new.on_conflict_do_update(index_elements=["executor"], set_={"seen": at}))


@contextmanager
def _locked(home: Path) -> Generator[None]:
    """Hold the lock of the one worker on a home folder.

    Raises:
        Conflict: another process holds it.
    """
    with locks.try_file_lock(home / "worker.lock") as held:
        if not held:
            raise Conflict(
                f"Another whohas already works on {home}. Stop it, give this one a folder of its own (WHOHAS_HOME), or "
                "use PostgreSQL (WHOHAS_DATABASE_URL), where any number may work."
            )
        yield


@contextmanager
def _beating(lease: FileLease | SessionLease, seconds: float) -> Generator[WorkerLease]:
    """Begin a lease, and keep it until the context ends. Its heartbeat has a thread to itself, which waits for nothing
    else."""
    lease.begin()
    heartbeat = Runner("heartbeat", [PeriodicTask("heartbeat", lease.beat, seconds, at_start=False)])
    heartbeat.start()
    try:
        yield lease
    finally:
        # where it is still at it, the database does not answer, and the session is in its hands
        if heartbeat.stop():
            lease.end()


@contextmanager
def leased(settings: Settings, database: sa.Engine) -> Generator[WorkerLease]:
    """Hold a worker's lease for as long as the context lasts.

    Raises:
        Conflict: another process works on this home folder, on SQLite.
    """
    if database.dialect.name == "sqlite":
        with _locked(settings.home), _beating(FileLease(database), timeouts.LEASE_LOCAL_BEAT_SECONDS) as lease:
            yield lease
    else:
        with _beating(SessionLease(database), timeouts.LEASE_BEAT_SECONDS) as lease:
            yield lease


def alive(database: sa.Engine) -> int:
    """Return how many workers are alive."""
    with database.connect() as connection:
        seen = _seen_within(connection, _DEAD_AFTER)
        return connection.execute(sa.select(sa.func.count()).select_from(worker).where(seen)).scalar_one()


def is_worked_on(settings: Settings, database: sa.Engine) -> bool:
    """Return whether some worker now carries out the runs of this database."""
    if database.dialect.name == "sqlite":
        try:
            with _locked(settings.home):
                return False
        except Conflict:
            return True
    with database.connect() as connection:
        seen = _seen_within(connection, _HERE)
        return connection.execute(sa.select(worker.c.executor).where(seen)).first() is not None
