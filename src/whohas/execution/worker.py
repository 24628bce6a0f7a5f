"""A worker: holds a lease, consumes the queue, executes runs, recovers those of dead workers, and does periodic
tasks."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from whohas.background import PeriodicTask, running
from whohas.execution.lease import hold_lease
from whohas.execution.legacy_jobs import remove_job_tables
from whohas.execution.queue import QueueConsumer, Wakeup, make_lanes, open_hints
from whohas.execution.recovery import Recovery
from whohas.execution.supervisor import Supervisor
from whohas.runs.models import Run
from whohas.settings import Settings

TASK_AFTER_RUNS = "webhooks"
"""The name of the periodic task that is also done at once when a run has ended, if there is a task of this name."""


@contextmanager
def run_worker(
    settings: Settings,
    database: sa.Engine,
    supervisor: Supervisor,
    wakeup: Wakeup,
    tasks: Sequence[PeriodicTask] = (),
) -> Generator[None]:
    """Execute queued runs in this process until the context ends. Runs in progress then have `drain_seconds` to end;
    those that have not ended go back to the queue.

    Before it claims the first run, it takes over the runs of workers that died.

    Args:
        supervisor: executes each run.
        wakeup: to be set when this process has queued a run.
        tasks: further periodic tasks, done in the background thread that looks for dead workers.

    Raises:
        Conflict: on SQLite, another worker already uses this home folder.
        SQLAlchemyError: the database does not respond at the start; later failures are logged and retried.
    """
    with hold_lease(settings, database) as lease:
        if database.dialect.name == "sqlite":
            # this is the only worker on the home folder, so nothing in the spill folder is in use
            shutil.rmtree(settings.spill_path, ignore_errors=True)
        remove_job_tables(database)
        supervisor.begin(lease)
        recovery = Recovery(settings, database, supervisor.artefacts, lease, supervisor.claimed_run_ids)
        recovery.take_over_runs()
        watch = PeriodicTask("lease watch", supervisor.end_if_cut_off, supervisor.seconds_to_look)
        with running("lease watch", [watch]), running("background", (*recovery.tasks, *tasks)) as background:

            def carry_out(run: Run) -> None:
                supervisor.execute(run)
                background.wake(TASK_AFTER_RUNS)

            consumer = QueueConsumer(
                make_lanes(settings),
                open_hints(database),
                wakeup,
                claim=supervisor.claim,
                execute=carry_out,
                hand_back=supervisor.hand_back,
            )
            with consumer.consume(settings.drain_seconds, supervisor.stop):
                yield
