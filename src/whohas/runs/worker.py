"""A worker: takes jobs, carries out runs, and looks after those of workers that died."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager

import sqlalchemy as sa

from whohas.runs.jobs import Jobs, taking
from whohas.runs.presence import present
from whohas.runs.recovery import Recovery
from whohas.runs.supervise import Supervisor
from whohas.settings import Settings


@contextmanager
def working(settings: Settings, database: sa.Engine, supervisor: Supervisor, jobs: Jobs) -> Generator[None]:
    """Carries out runs in this process until the context ends. Then those in progress have `drain_seconds` to end; what
    is not done by then goes back to the queue.

    First it takes up what workers before it left behind: one that was killed, too.

    Raises:
        Conflict: on SQLite, another process already works on this home folder.
    """
    with present(settings, database) as presence:
        if database.dialect.name == "sqlite":
            shutil.rmtree(settings.spill_path, ignore_errors=True)  # nobody else has anything there
        supervisor.begin(presence)
        recovery = Recovery(settings, database, supervisor.artefacts, jobs, presence, supervisor.under_way)
        jobs_taken = taking(
            settings,
            database,
            presence.executor,
            supervisor.carry_out,
            is_busy=lambda: bool(supervisor.under_way()),
            stop=supervisor.stop,
        )
        with recovery.going_on(), jobs_taken:
            yield
