"""The queue: workers take queued runs from the table of runs, oldest first, in two lanes.

A queued run waits in its own row, so a run and its place in the queue are one fact. A worker looks for queued runs when
it has room for one and

- this process has queued a run (`Wakeup`);
- on PostgreSQL, a `NOTIFY` says that another process has; it is sent by the transaction that queues the run;
- on SQLite, something was committed to the database;
- a second has passed: any of the other hints may be lost.
"""

from __future__ import annotations

import os
import select
import sqlite3
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import timeouts
from whohas.database import Commits
from whohas.runs.model import Run
from whohas.runs.repository import CHANNEL
from whohas.settings import Settings

log = structlog.get_logger("whohas.queue")


@dataclass(frozen=True, slots=True)
class Lane:
    """A part of the queue by the size of runs, with room of its own in each worker.

    Attributes:
        at_once: how many of its runs one worker carries out at the same time.
        over: the size that its runs exceed.
        up_to: the largest size of its runs; None for any.
    """

    name: str
    at_once: int
    over: int = -1
    up_to: int | None = None

    def has(self, size: int) -> bool:
        """Return whether a run of this size belongs to the lane."""
        return size > self.over and (self.up_to is None or size <= self.up_to)


def lanes_of(settings: Settings) -> tuple[Lane, ...]:
    """Return the lanes of a worker; each size of run belongs to exactly one."""
    return (
        Lane("small", settings.small_runs_at_once, up_to=settings.small_run),
        Lane("large", settings.runs_at_once, over=settings.small_run),
    )


class Wakeup:
    """A flag that ends a wait in another thread; one that is set before the wait ends it at once. One thread waits."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._alone = select.poll()  # not select(), which knows no descriptor above 1023
        self._alone.register(self._descriptor, select.POLLIN)
        # closed with the last reference, so that no thread sets it when its number belongs to another file
        weakref.finalize(self, os.close, self._descriptor).atexit = False

    def set(self) -> None:
        """End the wait that goes on, or else the next one."""
        os.eventfd_write(self._descriptor, 1)

    def wait(self, seconds: float, other: int | None = None) -> bool:
        """Wait until it is set or another descriptor is readable; return whether either is so in time."""
        waiting = self._alone
        if other is not None:
            waiting = select.poll()
            waiting.register(self._descriptor, select.POLLIN)
            waiting.register(other, select.POLLIN)
        ready = {descriptor for descriptor, _ in waiting.poll(max(0.0, seconds) * 1000)}
        if self._descriptor in ready:
            os.eventfd_read(self._descriptor)
        return bool(ready)


class Hints(Protocol):
    """What says that a run may have been queued."""

    def wait(self, wakeup: Wakeup, seconds: float) -> None:
        """Return at the next hint, or when woken up, or after so many seconds."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


class CommitHints:
    """Every commit to a SQLite database is a hint, whichever process it is of."""

    def __init__(self, database: sa.Engine) -> None:
        self._commits = Commits(database)
        self._count = 0
        self._counted_at = 0.0

    def wait(self, wakeup: Wakeup, seconds: float) -> None:
        now = time.monotonic()
        until = now + seconds
        while not self._counted(now) and now < until:
            quiet = now - self._counted_at > timeouts.QUEUE_QUIET_AFTER_SECONDS
            if wakeup.wait(min(until - now, timeouts.QUEUE_QUIET_SECONDS if quiet else timeouts.QUEUE_COMMITS_SECONDS)):
                return
            now = time.monotonic()

    def close(self) -> None:
        self._commits.close()

    def _counted(self, now: float) -> bool:
        """Return whether something was committed since the time before."""
        before = self._count
        try:
            self._count = self._commits.count()
        except (sqlite3.Error, SQLAlchemyError):
            self._commits.close()
            return False  # the next look for runs says what is wrong with the database
        if self._count == before:
            return False
        self._counted_at = now
        return True


class NotificationHints:
    """Each `NOTIFY` of PostgreSQL on our channel is a hint. It is heard over a session of its own, which is opened
    again when it breaks; until then there are no hints."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._session: sa.Connection | None = None
        self._driver: Any = None

    def wait(self, wakeup: Wakeup, seconds: float) -> None:
        if self._session is None:
            if self._listens():
                return  # what was notified before this session listened is looked for now
            wakeup.wait(seconds)
        elif wakeup.wait(seconds, self._driver.fileno()):
            self._receive()

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(SQLAlchemyError):
                session.close()

    def _listens(self) -> bool:
        session = None
        try:
            session = self._database.connect().execution_options(isolation_level="AUTOCOMMIT")
            session.detach()  # from the pool, which would lend it to others
            session.exec_driver_sql(f"LISTEN {CHANNEL}")
        except SQLAlchemyError as error:
            log.warning("queued runs are not notified", reason=_first_line(error))
            if session is not None:
                session.invalidate()
                session.close()
            return False
        self._session, self._driver = session, session.connection.dbapi_connection
        return True

    def _receive(self) -> None:
        """Take what has come; the contents say nothing beyond that it came."""
        try:
            for _ in self._driver.notifies(timeout=0):
                pass
        except self._database.dialect.loaded_dbapi.Error as error:
            log.warning("queued runs are not notified", reason=_first_line(error))
            session, self._session = self._session, None
            assert session is not None, "there is one until here"
            session.invalidate()
            session.close()


def hints_of(database: sa.Engine) -> Hints:
    """Return what this kind of database has for hints."""
    return CommitHints(database) if database.dialect.name == "sqlite" else NotificationHints(database)


@dataclass
class Consumer:
    """Takes queued runs whenever there is room, and has each carried out in a thread.

    Attributes:
        claim: takes at most so many runs of each lane for this worker, and returns them.
        carry_out: carries out a run that was claimed, to its end.
        hand_back: puts a claimed run back that cannot be begun.
    """

    lanes: tuple[Lane, ...]
    hints: Hints
    wakeup: Wakeup
    claim: Callable[[Mapping[Lane, int]], list[Run]]
    carry_out: Callable[[Run], None]
    hand_back: Callable[[Run], None]
    _running: Counter[Lane] = field(default_factory=Counter[Lane])
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def consuming(self, drain_seconds: float, stop: Callable[[], None]) -> Generator[None]:
        """Take runs until the context ends; then wait for those in progress.

        Args:
            drain_seconds: how long they may go on.
            stop: ends those that are left by then; called in any case.
        """
        thread = threading.Thread(target=self._consume, name="queue", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self.wakeup.set()
            thread.join()
            self._wait_until_idle(drain_seconds)
            stop()
            self._wait_until_idle(timeouts.QUEUE_STOP_SECONDS)
            self.hints.close()

    def _wait_until_idle(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._running.total(), seconds)

    def _consume(self) -> None:
        faults = 0
        while not self._stopping.is_set():
            try:
                if room := self._room():
                    for run in self.claim(room):
                        self._begin(run)
                self.hints.wait(self.wakeup, timeouts.QUEUE_POLL_SECONDS)
                faults = 0
            except Exception as error:
                # a database that is away fails every look: log the first, then ever fewer
                faults += 1
                if faults & (faults - 1) == 0:
                    expected = isinstance(error, SQLAlchemyError)
                    log.warning("runs cannot be taken", reason=_first_line(error), times=faults, exc_info=not expected)
                self.wakeup.wait(timeouts.QUEUE_POLL_SECONDS)

    def _room(self) -> dict[Lane, int]:
        with self._changed:
            return {lane: left for lane in self.lanes if (left := lane.at_once - self._running[lane]) > 0}

    def _begin(self, run: Run) -> None:
        lane = next(lane for lane in self.lanes if lane.has(run.size))
        with self._changed:
            self._running[lane] += 1
        try:
            threading.Thread(target=self._carry_out, args=(run, lane), name=f"run {run.id}", daemon=True).start()
        except RuntimeError as error:  # the system has no thread left
            log.warning("a run could not be begun", run_id=run.id, reason=str(error))
            self.hand_back(run)
            self._ended(lane)

    def _carry_out(self, run: Run, lane: Lane) -> None:
        try:
            self.carry_out(run)
        except Exception:
            # `recovery` releases the run: its row says that this worker has it, which is not so any more
            log.exception("internal fault", run_id=run.id)
        finally:
            self._ended(lane)

    def _ended(self, lane: Lane) -> None:
        with self._changed:
            self._running[lane] -= 1
            self._changed.notify_all()
        self.wakeup.set()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
