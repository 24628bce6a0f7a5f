"""That a worker is there: how others know it, and how it knows itself that it is not any more.

On SQLite there is one worker, and it holds a lock on a file of the home folder. On PostgreSQL there are many. Each
holds an advisory lock of its own for as long as its session lasts, and writes again and again that it is there. A lock
that is free belongs to a worker that died or was cut off, and once its last word is so old that its children are gone
either way, whoever finds it so may take over its runs. Should that be wrong, no run has two outcomes for it: its row
says whose attempt it is on, and an attempt that lost its run changes nothing.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import locks, timeouts
from whohas.database import upserting
from whohas.errors import Conflict, Unavailable
from whohas.runs import table
from whohas.settings import Settings

_BEAT_SECONDS = timeouts.LEASE_BEAT_SECONDS
_PATIENCE_SECONDS = timeouts.LEASE_PATIENCE_SECONDS
_GONE = timedelta(seconds=timeouts.LEASE_GONE_SECONDS)
_SETTLE_SECONDS = timeouts.LEASE_SETTLE_SECONDS
_HUNG = timedelta(seconds=timeouts.LEASE_HUNG_SECONDS)
_HERE = timedelta(seconds=timeouts.LEASE_HERE_SECONDS)

log = structlog.get_logger("whohas.presence")


class Presence(Protocol):
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
        """Whether another worker is there no more; if so, nobody else is told that until the transaction ends."""
        ...

    def end_hung(self, connection: sa.Connection) -> None:
        """Ends the sessions of workers that are silent, so that they are dead from then on."""
        ...


@dataclass(frozen=True, slots=True)
class Alone:
    """The one worker on SQLite; whoever else had a run is dead."""

    executor: str = field(default_factory=lambda: uuid.uuid4().hex)
    held: bool = True
    lost: bool = False
    settled: bool = True

    def is_dead(self, connection: sa.Connection, executor: str | None) -> bool:
        return executor != self.executor

    def end_hung(self, connection: sa.Connection) -> None:
        pass


@contextmanager
def _alone(home: Path) -> Generator[Alone]:
    with locks.try_file_lock(home / "worker.lock") as held:
        if not held:
            raise Conflict(
                f"Another whohas already works on {home}. Stop it, give this one a folder of its own (WHOHAS_HOME), or "
                "use PostgreSQL (WHOHAS_DATABASE_URL), where any number may work."
            )
        yield Alone()


class _AmongMany:
    """One of the workers on PostgreSQL; a thread of its own proves that it is there."""

    def __init__(self, database: sa.Engine) -> None:
        self.executor = uuid.uuid4().hex
        self._database = database
        self._session: sa.Connection | None = None
        self._since = self._beat = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._prove, name="presence", daemon=True)

    def begin(self) -> None:
        self._take()
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        if self._session is not None:
            with suppress(SQLAlchemyError):
                self._session.execute(sa.delete(table.worker).where(table.worker.c.executor == self.executor))
                self._session.commit()
        self._drop()

    @property
    def held(self) -> bool:
        return self._session is not None and not self.lost

    @property
    def lost(self) -> bool:
        return time.monotonic() - self._beat > _PATIENCE_SECONDS

    @property
    def settled(self) -> bool:
        return self.held and time.monotonic() - self._since > _SETTLE_SECONDS

    def _prove(self) -> None:
        while not self._stop.wait(_BEAT_SECONDS):
            try:
                if self._session is None:
                    self._take()
                else:
                    self._say(self._session)
            except (SQLAlchemyError, Unavailable) as error:
                self._drop()
                log.warning("the database does not answer", reason=str(error).splitlines()[0])

    def _take(self) -> None:
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

    def _say(self, session: sa.Connection) -> None:
        values = {"host": socket.gethostname(), "process": os.getpid()}
        now = sa.func.clock_timestamp()
        new = upserting(session, table.worker).values(executor=self.executor, started=now, seen=now, **values)
        session.execute(new.on_conflict_do_update(index_elements=["executor"], set_={"seen": now}))
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
        its = table.worker.c.executor == executor
        spoke = sa.select(table.worker.c.executor).where(its, table.worker.c.seen > sa.func.clock_timestamp() - _GONE)
        if connection.execute(spoke).first() is not None:
            return False
        connection.execute(sa.delete(table.worker).where(its))
        return True

    def end_hung(self, connection: sa.Connection) -> None:
        silent = table.worker.c.seen < sa.func.clock_timestamp() - _HUNG
        query = sa.select(table.worker.c.executor).where(silent, table.worker.c.executor != self.executor)
        for executor in connection.execute(query).scalars().all():
            if self.is_dead(connection, executor):
                continue
            log.warning("a worker is silent: its runs are taken from it", executor=executor)
            locks.end_holder(connection, locks.of_worker(executor))


@contextmanager
def _among_many(database: sa.Engine) -> Generator[_AmongMany]:
    presence = _AmongMany(database)
    presence.begin()
    try:
        yield presence
    finally:
        presence.end()


@contextmanager
def present(settings: Settings, database: sa.Engine) -> Generator[Presence]:
    """Presence for as long as the context lasts.

    Raises:
        Conflict: another process works on this home folder, on SQLite.
    """
    with _alone(settings.home) if database.dialect.name == "sqlite" else _among_many(database) as presence:
        yield presence


def is_worked_on(settings: Settings, database: sa.Engine) -> bool:
    """Whether some worker now carries out the runs of this database."""
    if database.dialect.name == "sqlite":
        try:
            with _alone(settings.home):
                return False
        except Conflict:
            return True
    seen = table.worker.c.seen > sa.func.clock_timestamp() - _HERE
    with database.connect() as connection:
        return connection.execute(sa.select(table.worker.c.executor).where(seen)).first() is not None
