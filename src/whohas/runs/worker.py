"""A worker: takes queued runs, carries them out, and looks after those of workers that died."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager

import sqlalchemy as sa

from whohas.runs.leftovers import remove_job_tables
from whohas.runs.presence import present
from whohas.runs.queue import Consumer, Wakeup, hints_of, lanes_of
from whohas.runs.recovery import Recovery
from whohas.runs.supervise import Supervisor
from whohas.settings import Settings


@contextmanager
def working(settings: Settings, database: sa.Engine, supervisor: Supervisor, wakeup: Wakeup) -> Generator[None]:
    """Carries out runs in this process until the context ends. Then those in progress have `drain_seconds` to end; what
    is not done by then goes back to the queue.

    First it takes up what workers before it left behind: one that was killed, too.

    Raises:
        Conflict: on SQLite, another process already works on this home folder.
    """
    with present(settings, database) as presence:
        if database.dialect.name == "sqlite":
            shutil.rmtree(settings.spill_path, ignore_errors=True)  # nobody else has anything there
        remove_job_tables(database)
        supervisor.begin(presence)
        recovery = Recovery(settings, database, supervisor.artefacts, presence, supervisor.under_way)
        consumer = Consumer(
            lanes_of(settings),
            hints_of(database),
            wakeup,
            claim=supervisor.claim,
            carry_out=supervisor.carry_out,
            hand_back=supervisor.hand_back,
        )
        with recovery.going_on(), consumer.consuming(settings.drain_seconds, supervisor.stop):
            yield
