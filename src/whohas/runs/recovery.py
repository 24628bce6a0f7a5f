"""What a worker does beside carrying out runs: it takes over those of workers that died, and puts right what was lost.

All of it may be done by every worker at once, and again and again: each step looks first, and changes only what is
still as it saw it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
import structlog

from whohas import timeouts
from whohas.artefacts import Artefacts
from whohas.background import PeriodicTask
from whohas.runs import repository
from whohas.runs.lease import WorkerLease
from whohas.runs.model import State
from whohas.settings import Settings

_LOOK_SECONDS = timeouts.RECOVERY_LOOK_SECONDS
_TIDY_SECONDS = timeouts.RECOVERY_TIDY_SECONDS
_STRAY = timedelta(seconds=timeouts.RECOVERY_STRAY_SECONDS)

log = structlog.get_logger("whohas.recovery")


@dataclass(frozen=True)
class Recovery:
    """Attributes:
    under_way: the ids of the runs that this process is busy with.
    """

    settings: Settings
    database: sa.Engine
    artefacts: Artefacts
    lease: WorkerLease
    under_way: Callable[[], list[str]]

    @property
    def tasks(self) -> tuple[PeriodicTask, ...]:
        """The periodic tasks of recovery."""
        return (
            PeriodicTask("recovery", self.take_over, _LOOK_SECONDS, at_start=False),
            # the file system may hang, and no dead worker would be found meanwhile
            PeriodicTask("late files", self.remove_late_files, _TIDY_SECONDS, at_start=False, apart=True),
        )

    def take_over(self) -> None:
        """Put runs of dead workers back on the queue, or end them where they were being cancelled.

        Raises:
            SQLAlchemyError: the database does not answer.
        """
        with self.database.begin() as connection:
            if self.lease.settled:
                self.lease.end_hung(connection)
            held = repository.held(connection)
        for executor in {one.executor for one in held}:
            theirs = [one for one in held if one.executor == executor]
            if executor == self.lease.executor:
                # nobody is busy with them here: what became of them could not be written down, or a thread broke
                under_way = self.under_way()
                forgotten = [one for one in theirs if one.id not in under_way]
                if forgotten:
                    with self.database.begin() as connection:
                        self._release(connection, forgotten)
            elif self.lease.settled:
                with self.database.begin() as connection:
                    if self.lease.is_dead(connection, executor):
                        self._release(connection, theirs)
                        if executor is not None:
                            shutil.rmtree(self.settings.spill_path / executor, ignore_errors=True)

    def _release(self, connection: sa.Connection, lost: list[repository.Held]) -> None:
        for one in lost:
            match repository.release(connection, one):
                case State.QUEUED:
                    log.warning("run taken over", run_id=one.id, attempt=one.attempt)
                case State.CANCELLED:
                    log.info("run cancelled, its worker having died", run_id=one.id)
                    self.artefacts.sweep(one.id, one.attempt)
                case _:
                    pass

    def remove_late_files(self) -> None:
        """Remove what lost attempts wrote after their run was over."""
        with self.database.connect() as connection:
            over = repository.over_since(connection, repository.now() - _STRAY)
        for run in over:
            self.artefacts.sweep(
                run.id, run.attempt - 1 if run.state in (State.SUCCEEDED, State.WARNED) else run.attempt
            )
