"""A worker: takes queued runs, carries them out, and looks after those of workers that died."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from whohas.background import PeriodicTask, running
from whohas.runs.lease import leased
from whohas.runs.leftovers import remove_job_tables
from whohas.runs.model import Run
from whohas.runs.queue import Consumer, Wakeup, hints_of, lanes_of
from whohas.runs.recovery import Recovery
from whohas.runs.supervise import Supervisor
from whohas.settings import Settings

AFTER_RUNS = "webhooks"
"""The periodic task that is done at once when a run has ended, where there is one of that name."""


@contextmanager
def working(
    settings: Settings,
    database: sa.Engine,
    supervisor: Supervisor,
    wakeup: Wakeup,
    tasks: Sequence[PeriodicTask] = (),
) -> Generator[None]:
    """Carry out runs in this process until the context ends. Then those in progress have `drain_seconds` to end; what
    is not done by then goes back to the queue.

    First it takes up what workers before it left behind: one that was killed, too.

    Args:
        tasks: further periodic tasks, done in the thread that looks for dead workers.

    Raises:
        Conflict: on SQLite, another process already works on this home folder.
        SQLAlchemyError: the database does not answer now; later that is logged.
    """
    with leased(settings, database) as lease:
        if database.dialect.name == "sqlite":
            shutil.rmtree(settings.spill_path, ignore_errors=True)  # nobody else has anything there
        remove_job_tables(database)
        supervisor.begin(lease)
        recovery = Recovery(settings, database, supervisor.artefacts, lease, supervisor.under_way)
        recovery.take_over()
        with running("background", (*recovery.tasks, *tasks)) as background:

            def carry_out(run: Run) -> None:
                supervisor.carry_out(run)
                background.wake(AFTER_RUNS)

            consumer = Consumer(
                lanes_of(settings),
                hints_of(database),
                wakeup,
                claim=supervisor.claim,
                carry_out=carry_out,
                hand_back=supervisor.hand_back,
            )
            with consumer.consuming(settings.drain_seconds, supervisor.stop):
                yield
