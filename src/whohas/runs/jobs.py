"""The queue of jobs, on DBOS Transact. The only module that knows it.

A job is "carry out run X". Our `run` table is the truth about runs; a job only says that a worker should look at one.
One job too many finds that its run is not queued, and does nothing; a run without a job gets one (see `recovery`). So
nothing depends on what the engine does with jobs whose worker died; its ways to recover and resume them are not used.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer
from dbos._queue import queue_worker_thread
from sqlalchemy.exc import SQLAlchemyError

from whohas.database import Commits
from whohas.runs.model import RunId
from whohas.settings import Settings

_QUEUE: Final = "runs"
_SMALL: Final = "small"
_WORKFLOW: Final = "carry_out"
_VERSION: Final = "1"
"""Changes only when the order of a job's steps does, so that a new whohas takes over the old one's jobs."""
_POLL_SECONDS: Final = 0.125
"""How often each queue is asked on PostgreSQL, which takes 3 ms of a processor."""
_RUNG_SECONDS: Final = 1.0
"""The same on SQLite, where whoever asks is rung for as well."""
_LOOK_SECONDS: Final = 0.02
"""How often the bell is listened to."""
_REST_SECONDS: Final = 0.05
"""How long a queue is left alone at least, however often it rings."""
_STOP_SECONDS: Final = 5
"""How long the ends of runs may take once they are told to stop."""
_STOP_POLL_SECONDS: Final = 0.2
"""How often the engine's own threads wake: they end, and so does the server, within this time."""
_WAITING: Final = ["ENQUEUED", "DELAYED"]
_DONE: Final = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_LAYOUT: Final = 0x77686F68617332
"""The advisory lock on PostgreSQL under which the engine's tables are made."""
_LAYOUT_SECONDS: Final = 0.05
_KEPT: Final = timedelta(hours=1)
_AT_ONCE: Final = 500


@dataclass(frozen=True)
class Jobs:
    """The queue, for whoever puts jobs on it or looks after it."""

    settings: Settings
    client: DBOSClient

    def enqueue(self, connection: sa.Connection, run_id: RunId, size: int, *, again: bool = False) -> None:
        """Puts a job for a run on the queue, within the caller's transaction: the run's row and its job are kept
        together or not at all.

        Args:
            size: by which it goes to the small ones or not; see `Run.size`.
            again: whether the run may have had a job before.
        """
        self.client.enqueue_in_transaction(
            connection,
            {
                "workflow_name": _WORKFLOW,
                "queue_name": _SMALL if size <= self.settings.small_run else _QUEUE,
                "workflow_id": f"{run_id}-{uuid.uuid4().hex[:8]}" if again else run_id,
                "app_version": _VERSION,
            },
            run_id,
        )

    def waiting(self) -> set[RunId]:
        """The runs for which there is a job that no worker has taken yet."""
        jobs = self.client.list_workflows(status=_WAITING, load_input=False, load_output=False)
        return {RunId(job.workflow_id.partition("-")[0]) for job in jobs}

    def tidy(self) -> None:
        """Removes jobs that are done, and those that a worker took so long ago that it must have died with them."""
        before = datetime.now(UTC) - _KEPT
        longest = timedelta(seconds=self.settings.run_seconds)
        done = self.client.list_workflows(
            status=_DONE, completed_before=before.isoformat(), limit=_AT_ONCE, load_input=False, load_output=False
        )
        taken = self.client.list_workflows(
            status="PENDING",
            dequeued_before=(before - longest).isoformat(),
            limit=_AT_ONCE,
            load_input=False,
            load_output=False,
        )
        self.client.delete_workflows([job.workflow_id for job in (*done, *taken)])


def prepare(settings: Settings, database: sa.Engine) -> Jobs:
    """The queue of a database; makes the engine's tables if they are missing."""
    with _one_at_a_time(settings, database):
        if not _has_tables(database):
            DBOS.migrate(settings.sqlalchemy_url)
    client = DBOSClient(
        system_database_engine=database, serializer=DBOSPortableJSONSerializer(), application_name="whohas"
    )
    return Jobs(settings, client)


@contextmanager
def _one_at_a_time(settings: Settings, database: sa.Engine) -> Generator[None]:
    # the engine makes its tables in several transactions: nobody must take them for complete half-way
    if database.dialect.name == "sqlite":
        with (settings.home / "layout.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    else:
        # no transaction stays open and no statement waits meanwhile: the engine makes indexes concurrently, which takes
        # until all that began before have ended
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not connection.execute(sa.select(sa.func.pg_try_advisory_lock(_LAYOUT))).scalar():
                time.sleep(_LAYOUT_SECONDS)
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(_LAYOUT)))


def _has_tables(database: sa.Engine) -> bool:
    schema = None if database.dialect.name == "sqlite" else "dbos"
    return sa.inspect(database).has_table("workflow_status", schema=schema)


@contextmanager
def taking(
    settings: Settings,
    database: sa.Engine,
    executor: str,
    carry_out: Callable[[str], None],
    is_busy: Callable[[], bool],
    stop: Callable[[], None],
) -> Generator[None]:
    """Takes jobs in this process, each in a thread of its own, until the context ends; then lets those in progress end.

    Args:
        carry_out: is given the run of a job.
        is_busy: whether any run is in progress.
        stop: tells runs in progress to end now; called once they had `drain_seconds`.
    """
    engine = DBOS(config=_config(settings, database, executor))

    @DBOS.workflow(name=_WORKFLOW)
    def take(run_id: str) -> None:  # pyright: ignore[reportUnusedFunction]
        carry_out(run_id)

    rings = database.dialect.name == "sqlite"
    if rings:
        DBOS.listen_queues([])  # by itself: it is told when to ask
    DBOS.launch()
    asking: list[tuple[_Bell, threading.Thread]] = []
    try:
        for name, at_once in ((_QUEUE, settings.runs_at_once), (_SMALL, settings.small_runs_at_once)):
            queue = DBOS.register_queue(
                name,
                worker_concurrency=at_once,
                polling_interval_sec=_RUNG_SECONDS if rings else _POLL_SECONDS,
                on_conflict="always_update",
            )
            if rings:
                bell = _Bell(database)
                asker = threading.Thread(target=queue_worker_thread, args=(bell, engine, queue), daemon=True)
                asker.start()
                asking.append((bell, asker))
        yield
    finally:
        later = threading.Timer(settings.drain_seconds, stop)
        later.start()
        # from here on no job is taken; the engine waits in whole seconds, so only where there is something to wait for
        for bell, _ in asking:
            bell.set()
        for bell, asker in asking:
            asker.join(_STOP_SECONDS)
            bell.close()
        seconds = settings.drain_seconds + _STOP_SECONDS if is_busy() else 0
        DBOS.destroy(workflow_completion_timeout_sec=seconds, destroy_registry=True)
        later.cancel()
        stop()


class _Bell(threading.Event):
    """What a thread of the engine waits for between two looks at its queue: the end; the wait is over, too, as soon as
    something is committed to a SQLite database, which may be a job."""

    def __init__(self, database: sa.Engine) -> None:
        super().__init__()
        self._commits = Commits(database)
        self._heard = 0

    def wait(self, timeout: float | None = None) -> bool:
        until = time.monotonic() + (timeout or 0.0)
        over = super().wait(_REST_SECONDS)
        while not (over or self._rung()) and time.monotonic() < until:
            over = super().wait(_LOOK_SECONDS)
        return over

    def close(self) -> None:
        """Lets go of the database."""
        self._commits.close()

    def _rung(self) -> bool:
        before = self._heard
        try:
            self._heard = self._commits.count()
        except (sqlite3.Error, SQLAlchemyError):
            return True  # the engine says what is wrong with the database
        return self._heard != before


def _config(settings: Settings, database: sa.Engine, executor: str) -> DBOSConfig:
    return DBOSConfig(
        name="whohas",
        system_database_engine=database,
        system_database_url=settings.sqlalchemy_url,
        application_version=_VERSION,
        executor_id=executor,
        serializer=DBOSPortableJSONSerializer(),
        run_migrations=True,  # where a newer engine wants more than there is
        log_level="WARNING",
        notification_listener_polling_interval_sec=_STOP_POLL_SECONDS,
        max_executor_threads=settings.runs_at_once + settings.small_runs_at_once + 4,
    )
