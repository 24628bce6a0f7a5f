"""Recovery: periodic tasks by which a worker takes over the runs of dead workers and removes files of lost attempts.

All workers do this at the same time and repeatedly. It is safe because each update is conditional on the state that was
read before.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
import structlog

from whohas import timeouts
from whohas.background import PeriodicTask
from whohas.execution.lease import WorkerLease
from whohas.runs import repository
from whohas.runs.engines import remove_exchanged
from whohas.runs.models import RunState
from whohas.settings import Settings
from whohas.storage import ArtifactStore

_LOOK_SECONDS = timeouts.RECOVERY_POLL_SECONDS
_TIDY_SECONDS = timeouts.RECOVERY_TIDY_SECONDS
_STRAY = timedelta(seconds=timeouts.RECOVERY_STRAY_SECONDS)

log = structlog.get_logger("whohas.recovery")


@dataclass(frozen=True)
class Recovery:
    """The recovery tasks of a worker.

    Attributes:
        lease: the lease of this worker.
        claimed_run_ids: returns the ids of the runs that this process has claimed and not ended.
    """

    settings: Settings
    database: sa.Engine
    artefacts: ArtifactStore
    lease: WorkerLease
    claimed_run_ids: Callable[[], list[str]]

    @property
    def tasks(self) -> tuple[PeriodicTask, ...]:
        """The periodic tasks: taking over runs, and removing late files."""
        return (
            PeriodicTask("recovery", self.take_over_runs, _LOOK_SECONDS, at_start=False),
            # in a separate thread: a hanging file system must not delay the search for dead workers
            PeriodicTask("late files", self.remove_late_files, _TIDY_SECONDS, at_start=False, in_own_thread=True),
        )

    def take_over_runs(self) -> None:
        """Put runs of dead workers back on the queue, or end them as cancelled where they were being cancelled.

        Runs that belong to this worker but that it does not execute are treated in the same way. Spill folders of dead
        workers are removed. Database sessions of hung workers are ended first.

        Raises:
            SQLAlchemyError: the database does not respond.
        """
        with self.database.begin() as connection:
            if self.lease.grace_period_over:
                self.lease.evict_hung(connection)
            held = repository.list_in_progress(connection)
        for executor in {run.executor for run in held}:
            theirs = [run for run in held if run.executor == executor]
            if executor == self.lease.executor:
                # Runs of this worker that no thread executes: their result could not be written, or a thread failed.
                under_way = self.claimed_run_ids()
                abandoned = [run for run in theirs if run.id not in under_way]
                if abandoned:
                    with self.database.begin() as connection:
                        cancelled = self._release(connection, abandoned)
                    self._remove_files(cancelled)
            elif self.lease.grace_period_over:
                cancelled = list[repository.HeldRun]()
                with self.database.begin() as connection:
                    if self.lease.is_dead(connection, executor):
                        cancelled = self._release(connection, theirs)
                        if executor is not None:
                            shutil.rmtree(self.settings.spill_path / executor, ignore_errors=True)
                self._remove_files(cancelled)

    def _remove_files(self, cancelled: list[repository.HeldRun]) -> None:
        # after the transaction: an object store may take long
        for run in cancelled:
            self.artefacts.remove_attempts(run.id, run.attempt)

    def _release(self, connection: sa.Connection, lost: list[repository.HeldRun]) -> list[repository.HeldRun]:
        """Put runs back on the queue or end them as cancelled; return those that are cancelled."""
        cancelled: list[repository.HeldRun] = []
        for run in lost:
            match repository.release(connection, run):
                case RunState.QUEUED:
                    log.warning("run taken over", run_id=run.id, attempt=run.attempt)
                case RunState.CANCELLED:
                    log.info("run cancelled, its worker having died", run_id=run.id)
                    cancelled.append(run)
                case _:
                    pass
        return cancelled

    def remove_late_files(self) -> None:
        """Remove files that lost attempts, or engines on other machines, wrote after their run was over, of runs that
        ended in the last 10 minutes."""
        with self.database.connect() as connection:
            over = repository.ended_since(connection, repository.now() - _STRAY)
        for run in over:
            self.artefacts.remove_attempts(
                run.id, run.attempt - 1 if run.state in (RunState.SUCCEEDED, RunState.WARNED) else run.attempt
            )
            remove_exchanged(self.settings, run.id, run.attempt)
