"""The queue of jobs, on DBOS Transact. The only module that knows it.

A job is "carry out run X". Our `run` table is the truth about runs; the engine's own tables only say which jobs are
still to be done, and by whom. A job's status is never shown to anybody.
"""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer

from whohas.errors import Conflict
from whohas.runs import table
from whohas.runs.model import RunId
from whohas.runs.supervise import Supervisor
from whohas.settings import Settings

_QUEUE: Final = "runs"
_WORKFLOW: Final = "carry_out"
_VERSION: Final = "1"
"""Changes only when the order of a job's steps does, so that a new whohas takes over the old one's jobs."""
_EXECUTOR: Final = "embedded"
_POLL_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 5
_STOP_POLL_SECONDS: Final = 0.2
"""How often the engine's own threads wake: they end, and so does the server, within this time."""

log = structlog.get_logger("whohas.jobs")


def prepare(settings: Settings, database: sa.Engine) -> Callable[[sa.Connection, RunId], None]:
    """Makes the engine's tables if they are missing, and returns what puts a job on the queue.

    The returned function writes within the caller's transaction: the run's row and its job are kept together or not
    at all.
    """
    if not _has_tables(database):
        _migrate(settings)
    client = DBOSClient(
        system_database_engine=database, serializer=DBOSPortableJSONSerializer(), application_name="whohas"
    )

    def enqueue(connection: sa.Connection, run_id: RunId) -> None:
        _enqueue(client, connection, run_id, run_id)

    return enqueue


def _enqueue(client: DBOSClient, connection: sa.Connection, run_id: str, job_id: str) -> None:
    client.enqueue_in_transaction(
        connection,
        {"workflow_name": _WORKFLOW, "queue_name": _QUEUE, "workflow_id": job_id, "app_version": _VERSION},
        run_id,
    )


def _has_tables(database: sa.Engine) -> bool:
    schema = None if database.dialect.name == "sqlite" else "dbos"
    return sa.inspect(database).has_table("workflow_status", schema=schema)


def _migrate(settings: Settings) -> None:
    DBOS.migrate(settings.sqlalchemy_url)


@contextmanager
def working(settings: Settings, database: sa.Engine, supervisor: Supervisor) -> Generator[None]:
    """Carries out jobs in this process until the context ends; then runs in progress go back to the queue.

    First it takes up what an earlier worker left behind: one that was killed, too.

    Raises:
        Conflict: another process already works on this home folder.
    """
    with _alone(settings):
        DBOS(config=_config(settings, database))

        @DBOS.workflow(name=_WORKFLOW)
        def carry_out(run_id: str) -> None:  # pyright: ignore[reportUnusedFunction]
            supervisor.carry_out(run_id)

        supervisor.clear()
        supervisor.stopping.clear()
        supervisor.children.warm()
        DBOS.launch()
        try:
            DBOS.register_queue(_QUEUE, worker_concurrency=settings.runs_at_once, polling_interval_sec=_POLL_SECONDS)
            _take_up(database)
            yield
        finally:
            supervisor.stopping.set()
            # the engine waits in whole seconds, so only where there is something to wait for
            seconds = _STOP_SECONDS if supervisor.children.close() else 0
            DBOS.destroy(workflow_completion_timeout_sec=seconds, destroy_registry=True)
            supervisor.children.close()


def _config(settings: Settings, database: sa.Engine) -> DBOSConfig:
    return DBOSConfig(
        name="whohas",
        system_database_engine=database,
        system_database_url=settings.sqlalchemy_url,
        application_version=_VERSION,
        executor_id=_EXECUTOR,
        serializer=DBOSPortableJSONSerializer(),
        run_migrations=False,
        log_level="WARNING",
        notification_listener_polling_interval_sec=_STOP_POLL_SECONDS,
        max_executor_threads=settings.runs_at_once + 4,
    )


def _take_up(database: sa.Engine) -> None:
    """Puts every run that is not over, and that the queue has lost or given up, on the queue again."""
    client = DBOSClient(
        system_database_engine=database, serializer=DBOSPortableJSONSerializer(), application_name="whohas"
    )
    with database.connect() as connection:
        runs = table.unfinished(connection)
    for run_id in runs:
        jobs: list[Any] = client.list_workflows(
            workflow_id_prefix=run_id,
            status=["ENQUEUED", "PENDING", "DELAYED"],
            load_input=False,
            load_output=False,
        )
        if not jobs:
            log.info("run taken up again", run_id=run_id)
            with database.begin() as connection:
                _enqueue(client, connection, run_id, f"{run_id}-{uuid.uuid4().hex[:8]}")


@contextmanager
def _alone(settings: Settings) -> Generator[None]:
    """Holds the home folder's worker lock: a fixed executor id must not be used twice."""
    with (settings.home / "worker.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"Another whohas already works on {settings.home}. Stop it, or give this one a folder of its own "
                "(WHOHAS_HOME)."
            ) from None
        yield


def is_worked_on(settings: Settings) -> bool:
    """Whether some process now carries out this home folder's jobs."""
    try:
        with _alone(settings):
            return False
    except Conflict:
        return True
