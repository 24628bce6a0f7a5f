"""The queue consumer of a worker: it claims queued runs, the oldest first, in two lanes by size.

The queue is the table of runs itself: a run in the state `queued` is waiting. A worker with a free slot looks for
queued runs when

- this process has queued a run (`Wakeup`);
- on PostgreSQL, a `NOTIFY` has arrived, which the transaction that queues a run sends (`NotificationHints`);
- on SQLite, anything was committed to the database (`CommitHints`);
- a second has passed, because any of the other hints may be lost.
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
from whohas.db.engine import DataVersion
from whohas.runs.models import Run
from whohas.runs.repository import NOTIFY_CHANNEL
from whohas.settings import Settings

log = structlog.get_logger("whohas.queue")


@dataclass(frozen=True, slots=True)
class Lane:
    """A part of the queue: runs of a range of sizes, for which each worker reserves slots.

    With separate slots, small runs do not wait behind large ones.

    Attributes:
        name: the lane's name.
        slots: the number of its runs that one worker executes at the same time.
        over: runs of the lane are larger than this; see `Run.size`.
        up_to: the largest size of its runs; None for no limit.
    """

    name: str
    slots: int
    over: int = -1
    up_to: int | None = None

    def contains(self, size: int) -> bool:
        """Return whether a run of this size belongs to the lane."""
        return size > self.over and (self.up_to is None or size <= self.up_to)


def make_lanes(settings: Settings) -> tuple[Lane, ...]:
    """Return the lanes of a worker, small and large runs. Each run belongs to exactly one."""
    return (
        Lane("small", settings.small_runs_at_once, up_to=settings.small_run),
        Lane("large", settings.runs_at_once, over=settings.small_run),
    )


class Wakeup:
    """An event, based on an eventfd, that wakes one waiting thread; it can be waited for together with a socket.

    If it is set while no thread waits, the next wait returns at once. Waiting clears it.
    """

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()  # not select(), which accepts no descriptor above 1023
        self._poll.register(self._descriptor, select.POLLIN)
        # Closed with the last reference to this object. If it were closed earlier, a late `set` could write to another
        # file that has got the same descriptor number.
        weakref.finalize(self, os.close, self._descriptor).atexit = False

    def set(self) -> None:
        """Wake the waiting thread, or make the next wait return at once."""
        os.eventfd_write(self._descriptor, 1)

    def wait(self, seconds: float, other: int | None = None) -> bool:
        """Wait until the event is set or another descriptor is readable, and return whether that happened in time.

        Args:
            seconds: the longest time to wait.
            other: a file descriptor, such as that of a socket.
        """
        poll = self._poll
        if other is not None:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLIN)
            poll.register(other, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(max(0.0, seconds) * 1000)}
        if self._descriptor in ready:
            os.eventfd_read(self._descriptor)
        return bool(ready)


class QueueHints(Protocol):
    """A source of hints that a run may have been queued. Hints may be false or lost."""

    def wait(self, wakeup: Wakeup, seconds: float) -> None:
        """Wait for the next hint, for `wakeup`, or until `seconds` have passed."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class CommitHints:
    """`QueueHints` on SQLite: a commit by any process is a hint that a run may have been queued.

    The commit counter is polled every 20 ms, or every 100 ms if there was no commit for a second.
    """

    def __init__(self, database: sa.Engine) -> None:
        self._commits = DataVersion(database)
        self._count = 0
        self._counted_at = 0.0

    def wait(self, wakeup: Wakeup, seconds: float) -> None:
        now = time.monotonic()
        until = now + seconds
        while not self._has_commits(now) and now < until:
            quiet = now - self._counted_at > timeouts.QUEUE_QUIET_AFTER_SECONDS
            if wakeup.wait(
                min(until - now, timeouts.QUEUE_IDLE_POLL_SECONDS if quiet else timeouts.QUEUE_COMMIT_POLL_SECONDS)
            ):
                return
            now = time.monotonic()

    def close(self) -> None:
        self._commits.close()

    def _has_commits(self, now: float) -> bool:
        """Return whether anything was committed since the last call."""
        before = self._count
        try:
            self._count = self._commits.count()
        except (sqlite3.Error, SQLAlchemyError):
            self._commits.close()
            return False  # the next claim reports what is wrong with the database
        if self._count == before:
            return False
        self._counted_at = now
        return True


class NotificationHints:
    """Hints on PostgreSQL: every `NOTIFY` on the channel `NOTIFY_CHANNEL`.

    They are received over a dedicated session, which is opened again at the next wait when it is lost; until then there
    are no hints.
    """

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._session: sa.Connection | None = None
        self._driver: Any = None

    def wait(self, wakeup: Wakeup, seconds: float) -> None:
        if self._session is None:
            if self._listen():
                return  # notifications before this moment were missed, so look for queued runs now
            wakeup.wait(seconds)
        elif wakeup.wait(seconds, self._driver.fileno()):
            self._receive()

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(SQLAlchemyError):
                session.close()

    def _listen(self) -> bool:
        """Open a session that receives notifications; return whether that succeeded."""
        session = None
        try:
            session = self._database.connect().execution_options(isolation_level="AUTOCOMMIT")
            session.detach()  # from the pool, which would lend the session to others
            session.exec_driver_sql(f"LISTEN {NOTIFY_CHANNEL}")
        except SQLAlchemyError as error:
            log.warning("queued runs are not notified", reason=_first_line(error))
            if session is not None:
                session.invalidate()
                session.close()
            return False
        self._session, self._driver = session, session.connection.dbapi_connection
        return True

    def _receive(self) -> None:
        """Discard the notifications that have arrived: their arrival is the hint, they carry no data."""
        try:
            for _ in self._driver.notifies(timeout=0):
                pass
        except self._database.dialect.loaded_dbapi.Error as error:
            log.warning("queued runs are not notified", reason=_first_line(error))
            session, self._session = self._session, None
            assert session is not None, "it is open while notifications are received"
            session.invalidate()
            session.close()


def open_hints(database: sa.Engine) -> QueueHints:
    """Return the source of hints for this kind of database."""
    return CommitHints(database) if database.dialect.name == "sqlite" else NotificationHints(database)


@dataclass
class QueueConsumer:
    """Claims queued runs while there are free slots, and executes each in its own thread.

    Attributes:
        lanes: the lanes of the queue.
        hints: when to look for queued runs.
        wakeup: set when a slot becomes free or this process queues a run.
        claim: claims at most the given number of runs of each lane for this worker, and returns them.
        execute: executes a claimed run to its end.
        hand_back: puts a claimed run back on the queue when no thread can be started for it.
    """

    lanes: tuple[Lane, ...]
    hints: QueueHints
    wakeup: Wakeup
    claim: Callable[[Mapping[Lane, int]], list[Run]]
    execute: Callable[[Run], None]
    hand_back: Callable[[Run], None]
    _running: Counter[Lane] = field(default_factory=Counter[Lane])
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def consume(self, drain_seconds: float, stop: Callable[[], None]) -> Generator[None]:
        """Claim and execute runs until the context ends; then wait for those in progress.

        Args:
            drain_seconds: the time that runs in progress get to end by themselves.
            stop: called then in any case; it must end the runs that are left.
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
        failures = 0
        while not self._stopping.is_set():
            try:
                if free := self._free_slots():
                    for run in self.claim(free):
                        self._begin(run)
                self.hints.wait(self.wakeup, timeouts.QUEUE_POLL_SECONDS)
                failures = 0
            except Exception as error:
                # while the database is unreachable every attempt fails: log the 1st, 2nd, 4th, 8th … failure in a row
                failures += 1
                if failures & (failures - 1) == 0:
                    expected = isinstance(error, SQLAlchemyError)
                    log.warning(
                        "runs cannot be taken", reason=_first_line(error), times=failures, exc_info=not expected
                    )
                self.wakeup.wait(timeouts.QUEUE_POLL_SECONDS)

    def _free_slots(self) -> dict[Lane, int]:
        with self._changed:
            return {lane: left for lane in self.lanes if (left := lane.slots - self._running[lane]) > 0}

    def _begin(self, run: Run) -> None:
        lane = next(lane for lane in self.lanes if lane.contains(run.size))
        with self._changed:
            self._running[lane] += 1
        try:
            threading.Thread(target=self._carry_out, args=(run, lane), name=f"run {run.id}", daemon=True).start()
        except RuntimeError as error:  # the operating system refused another thread
            log.warning("a run could not be begun", run_id=run.id, reason=str(error))
            self.hand_back(run)
            self._free_slot(lane)

    def _carry_out(self, run: Run, lane: Lane) -> None:
        try:
            self.execute(run)
        except Exception:
            # `Recovery.take_over_runs` puts the run back on the queue: its row names this worker, which does not
            # execute it
            log.exception("internal fault", run_id=run.id)
        finally:
            self._free_slot(lane)

    def _free_slot(self, lane: Lane) -> None:
        with self._changed:
            self._running[lane] -= 1
            self._changed.notify_all()
        self.wakeup.set()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
