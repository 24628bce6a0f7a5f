"""Executes one attempt at a run: a child process does the work while a thread of the worker supervises it.

Only this module ends a running run (apart from recovery after a worker's death). Each update is conditional on the
worker and attempt number in the run's row, so an attempt that has lost its run, to a cancellation or to a later
attempt, changes nothing. While the database is unreachable, writes are retried.
"""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog

from whohas import timeouts
from whohas.db.engine import TRANSIENT_ERRORS
from whohas.errors import NotFound, WhohasError
from whohas.execution.lease import WorkerLease
from whohas.execution.memory import MemoryWatch, find_cgroup_memory
from whohas.execution.processes import (
    Child,
    ChildKilled,
    ChildPool,
    WorkResult,
    exit_reason,
    system_error_message,
    watch_child,
)
from whohas.execution.protocol import Work
from whohas.execution.queue import Lane
from whohas.execution.work import NO_EXTRACT, output_file, parts_of
from whohas.formats.registry import find_format
from whohas.plurals import pluralize
from whohas.runs import repository
from whohas.runs.engines import engine_address, engine_files, remove_exchanged
from whohas.runs.models import Message, MessageLevel, Run, RunState, log_context
from whohas.runs.plans import RunPlan
from whohas.runs.stored_plans import IndexChanged, hold_snapshot, plan_late, run_metadata
from whohas.settings import Settings
from whohas.storage import EXTRACT, Artifact, ArtifactStore, FileTarget
from whohas.tracing import TraceSpan, Tracing
from whohas.warehouse.store import Snapshot, Warehouse

log = structlog.get_logger("whohas.runs")

T = TypeVar("T")
_JUMP = timedelta(seconds=timeouts.CLOCK_DRIFT_SECONDS)


def _timed(run: Run, claimed: float) -> Run:
    """Return the run with its launch time corrected where the system clock jumped while it ran, so that its duration is
    right.

    Example: claimed 60 s ago by the monotonic clock, but `launched` is an hour ago by the system clock: `launched`
    becomes now minus 60 s.

    Args:
        claimed: when this attempt was claimed, by `time.monotonic`.
    """
    if run.launched is None:
        return run
    launched = repository.now() - timedelta(seconds=time.monotonic() - claimed)
    return run if abs(launched - run.launched) < _JUMP else replace(run, launched=launched)


class _Stopped(Exception):
    """The attempt must end early: its run was cancelled or taken over, or the worker shuts down."""


@dataclass
class Supervisor:
    """Executes the runs that this worker claims, each in a child process. Call `begin` first."""

    settings: Settings
    database: sa.Engine
    warehouse: Warehouse
    artefacts: ArtifactStore
    children: ChildPool = field(default_factory=ChildPool)
    tracing: Tracing = field(default_factory=Tracing)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _busy: dict[str, float] = field(default_factory=dict[str, float])
    """The runs that are claimed and not ended: run id to the time of the claim, by `time.monotonic`."""
    _claiming: threading.Lock = field(default_factory=threading.Lock)
    _cut_off: float = -math.inf
    """When children were last ended because the lease was lost, by `time.monotonic`."""
    _lease: WorkerLease | None = None

    @property
    def lease(self) -> WorkerLease:
        """The lease of this worker."""
        assert self._lease is not None, "`begin` was not called"
        return self._lease

    def begin(self, lease: WorkerLease) -> None:
        """Set the worker's lease, and start the fork server."""
        self._lease = lease
        self._stopping.clear()
        self.children.fork_server.start()

    def expect_run(self) -> None:
        """Prepare for a run that is about to be queued, where this process is a worker with a free slot: fork its child
        ahead, so that it opens its engine while the run is being queued and claimed."""
        slots = self.settings.small_runs_at_once + self.settings.runs_at_once
        if self._lease is not None and not self._stopping.is_set() and len(self._busy) < slots:
            self.children.fork_ahead()

    def stop(self) -> None:
        """End all attempts, because the worker shuts down: their runs go back to the queue."""
        self._stopping.set()
        self.children.end_all()

    def end_if_cut_off(self) -> None:
        """End all child processes if the lease is lost, because other workers may take over their runs.

        To be called often, by a thread that does nothing else. The threads of the attempts do not notice in time: where
        the host of the database is gone, a query gets no answer, and they wait for it for
        `timeouts.DATABASE_PEER_GONE_SECONDS`.
        """
        if self._busy and self.lease.is_lost:
            self._cut_off = time.monotonic()
            self.children.end_all()

    def seconds_to_look(self) -> float:
        """Return how long to wait before the next call of `end_if_cut_off`."""
        return timeouts.ATTEMPT_CANCEL_POLL_SECONDS if self._busy else timeouts.LEASE_HEARTBEAT_SECONDS

    def claimed_run_ids(self) -> list[str]:
        """Return the ids of the runs that this worker has claimed and not ended."""
        with self._claiming:
            return list(self._busy)

    def claim(self, room: Mapping[Lane, int]) -> list[Run]:
        """Claim queued runs for this worker; none while its lease is not valid or it shuts down.

        Args:
            room: the number of free slots of each lane.
        """
        if not self.lease.is_valid or self._stopping.is_set():
            return []
        # `Recovery.take_over_runs` releases runs of this worker that are not in `claimed_run_ids`. With the lock it
        # cannot see a run between the claim and its entry in `_busy`.
        with self._claiming:
            with self.database.begin() as connection:
                runs = [
                    run
                    for lane, most in room.items()
                    for run in repository.claim(connection, self.lease.executor, most, over=lane.over, up_to=lane.up_to)
                ]
            self._busy.update((run.id, time.monotonic()) for run in runs)
        return runs

    def execute(self, run: Run) -> None:
        """Execute an attempt at a claimed run to its end; errors of the run are written to its row, not raised."""
        try:
            self._execute(run)
        finally:
            del self._busy[run.id]

    def hand_back(self, run: Run) -> None:
        """Put a claimed run back on the queue."""
        try:
            self._release(run)
        finally:
            del self._busy[run.id]

    def _execute(self, run: Run) -> None:
        with structlog.contextvars.bound_contextvars(run_id=run.id, attempt=run.attempt, **log_context(run.attributes)):
            self.artefacts.remove_attempts(run.id, run.attempt - 1)
            remove_exchanged(self.settings, run.id, run.attempt)
            if run.lost >= self.settings.run_attempts:
                self._fail(
                    run,
                    "attempts",
                    (
                        f"It was tried {run.lost} times, and each time its worker or its process was ended before it "
                        "was done. The server's log says more. Correct that, and start the report again."
                    ),
                )
                return
            with self.tracing.span("attempt", run.attributes.get("traceparent", "")) as span:
                span.set_attributes(run=run.id, report=run.report_type, attempt=run.attempt)
                self._attempt(run, span)

    def _attempt(self, run: Run, span: TraceSpan) -> None:
        started = time.monotonic()
        claimed = self._busy[run.id]
        spill = self.settings.spill_path / self.lease.executor / f"{run.id}-{run.attempt}"
        scratch = spill.with_name(f"{spill.name}-files")
        try:
            run, plan = self._with_plan(run)
            artefacts, done, child = self._make(run, plan, spill, scratch)
        except _Stopped:
            self._release(run)
        except (ChildKilled, IndexChanged) as error:
            span.fail(error.message)
            self._try_again(run, error.message)
        except NotFound as error:
            span.fail(error.message)
            self._fail(_timed(run, claimed), "data", f"{error.message} Start the report again.")
        except WhohasError as error:
            span.fail(error.message)
            self._fail(_timed(run, claimed), "engine", error.message)
        except OSError as error:
            remedy = "Correct that on the server, and start the report again."
            self._fail(_timed(run, claimed), "system", f"{system_error_message(error)} {remedy}")
        except Exception:
            log.exception("internal fault", report=run.report_type)
            self._fail(
                _timed(run, claimed),
                "internal",
                "An internal fault ended it. The server's log has it under the run's id. Start the report again; if "
                "that fails too, report it together with the log.",
            )
        else:
            try:
                self.tracing.record_phases(span, done.phases)
                if self._succeed(_timed(run, claimed), artefacts, done):
                    log.info("run succeeded", report=run.report_type, seconds=round(time.monotonic() - started, 3))
                else:
                    self._release(run)
            finally:
                self.children.end(child)  # only now: the exit of a process takes 10 ms or more
        finally:
            shutil.rmtree(spill, ignore_errors=True)
            shutil.rmtree(scratch, ignore_errors=True)
            remove_exchanged(self.settings, run.id, run.attempt)

    def _make(
        self, run: Run, plan: RunPlan, spill: Path, scratch: Path
    ) -> tuple[tuple[Artifact, ...], WorkResult, Child]:
        """Have a child process write the run's files, and publish them.

        The child has ended when this raises. When it returns, the child has no work left and exits by itself, or has
        done so; the caller must give it to `children.end`.
        """
        child = self.children.fork()
        try:
            with hold_snapshot(run, plan, self.warehouse, lambda: self._check_wanted(run), on_engine=True) as snapshot:
                work = self._work(run, plan, snapshot, spill, scratch)
                done = self._watch(run, child, work)
            zipped = {output.path for output in work.outputs if output.zipped}
            artefacts: list[Artifact] = []
            for file in done.files:
                if file["format"] == EXTRACT and not self.settings.keep_extracts:
                    Path(file["path"]).unlink(missing_ok=True)
                else:
                    artefacts.append(self.artefacts.publish_reported(file, file["path"] in zipped))
            return tuple(artefacts), done, child
        except BaseException:
            self.children.end(child)
            raise

    def _release(self, run: Run) -> None:
        """End an attempt without a result: remove its files, then put the run back on the queue, or mark it as
        cancelled where that was requested. No effect on the row where a later attempt has the run."""
        self.artefacts.remove_attempts(run.id, run.attempt)
        if not self._write(lambda connection: repository.hand_back(connection, run)):
            self._write(lambda connection: repository.confirm_cancelled(connection, run))

    def _try_again(self, run: Run, reason: str) -> None:
        """Put a run whose child was killed back on the queue, and count the attempt as lost, as if its worker had
        died."""
        self.artefacts.remove_attempts(run.id, run.attempt)
        lost = repository.HeldRun(run.id, self.lease.executor, run.attempt)
        state = self._write(lambda connection: repository.release(connection, lost))
        log.warning("attempt lost", report=run.report_type, reason=reason, queued=state is RunState.QUEUED)

    def _write(self, write: Callable[[sa.Connection], T]) -> T:
        """Execute a function in a transaction, and retry while the database is unreachable; return its result.

        A commit may have succeeded although its response was lost. So `write` must be idempotent: called again after
        that, it must return the same result and change nothing.

        Raises:
            SQLAlchemyError: the database was unreachable for `ATTEMPT_WRITE_SECONDS`, or `ATTEMPT_STOPPING_SECONDS`
                while the worker shuts down; or any other error of the database.
        """
        began = time.monotonic()
        while True:
            try:
                with self.database.begin() as connection:
                    return write(connection)
            except TRANSIENT_ERRORS:
                if time.monotonic() - began > (
                    timeouts.ATTEMPT_STOPPING_SECONDS if self._stopping.is_set() else timeouts.ATTEMPT_WRITE_SECONDS
                ):
                    raise
                time.sleep(timeouts.ATTEMPT_RETRY_SECONDS)

    def _work(self, run: Run, plan: RunPlan, snapshot: Snapshot, spill: Path, scratch: Path) -> Work:
        def target(name: str) -> FileTarget:
            return self.artefacts.target(run.id, run.attempt, name, scratch)

        def extract(number: int) -> FileTarget:
            if not extracts:
                return NO_EXTRACT
            kept = target(f"extract-{number}.parquet")
            return kept if self.settings.keep_extracts else replace(kept, key="")

        extracts = len(run.formats) > 1 or any(find_format(format).copy is None for format in run.formats)
        parts, tables = parts_of(plan, self.warehouse.root, extract, engine_files(plan, snapshot))
        names = {format: f"{format}.zip" if plan.zipped else format for format in run.formats}
        return Work(
            parts=parts,
            tables=tables,
            outputs=tuple(
                output_file(target(f"{run.report_type.lower()}.{name}"), run, format, plan.zipped, self.settings)
                for format, name in names.items()
            ),
            about=run_metadata(run, snapshot),
            options=plan.options,
            memory=self.settings.run_memory,
            threads=self.settings.run_threads,
            spill=str(spill),
            store=self.artefacts.address,
            engine=engine_address(plan.engine, run, self.settings),
        )

    def _with_plan(self, run: Run) -> tuple[Run, RunPlan]:
        """Return the run and its plan. Where an earlier version queued the run without a plan, plan it now, store the
        plan, and add a message that says so."""
        with self.database.connect() as connection:
            plan = repository.get_record(connection, run.id).plan
        if plan is None:
            plan = late = plan_late(run, self.warehouse, self.settings)
            self._write(lambda connection: repository.insert_plan(connection, run.id, late))
        if plan.late:
            text = (
                "An earlier version of whohas queued this run. "
                f"Version {plan.planner} planned it when it was carried out."
            )
            run = replace(run, messages=(*run.messages, Message(MessageLevel.INFO, "plan.late", text)))
        return run, plan

    def _watch(self, run: Run, child: Child, work: Work) -> WorkResult:
        """Send the child its work, write its progress to the run's row every 0.5 s, and return its result.

        Raises:
            _Stopped: the run was cancelled or taken over, or the worker shuts down.
            ChildKilled: the child was killed from outside.
            WhohasError: the child failed, or the run took longer than `run_seconds`; the message says why.
        """
        began = last_written = time.monotonic()
        memory = MemoryWatch(find_cgroup_memory())
        for facts in watch_child(child, work, timeouts.ATTEMPT_CANCEL_POLL_SECONDS):
            memory.sample()
            if isinstance(facts, WorkResult):
                return facts
            if self._stopping.is_set():
                raise _Stopped
            if time.monotonic() - began > self.settings.run_seconds:
                raise WhohasError(
                    f"It took longer than the {pluralize(self.settings.run_seconds, 'second')} that a run may take. "
                    "Ask for less, or raise WHOHAS_RUN_SECONDS."
                )
            progress = facts if facts and time.monotonic() - last_written > timeouts.ATTEMPT_PROGRESS_SECONDS else {}
            last_written = time.monotonic() if progress else last_written
            if not self._is_still_running(run, progress):
                raise _Stopped
        if self._stopping.is_set() or self._cut_off > began:
            raise _Stopped  # `stop` or `end_if_cut_off` has ended the child
        raise exit_reason(child, memory)

    def _check_wanted(self, run: Run) -> None:
        """Raise `_Stopped` if the run was cancelled or taken over, or the worker shuts down."""
        if self._stopping.is_set() or not self._is_still_running(run, {}):
            raise _Stopped

    def _is_still_running(self, run: Run, progress: dict[str, Any]) -> bool:
        """Write the progress, unless it is empty, and return whether the run still belongs to this attempt.

        While the database is unreachable, the attempt continues until the worker's lease is lost.
        """
        try:
            if progress:
                with self.database.begin() as connection:
                    repository.update_progress(
                        connection, run, progress["progress"], progress["percent"], progress["rows"]
                    )
            with self.database.connect() as connection:
                return repository.is_running(connection, run)
        except TRANSIENT_ERRORS:
            return not self.lease.is_lost

    def _succeed(self, run: Run, artefacts: tuple[Artifact, ...], done: WorkResult) -> bool:
        """End a run as succeeded, or as warned if a message is more than information.

        Returns:
            Whether the run still belonged to this attempt; if not, its row is unchanged.
        """
        rows = max(artefact.rows for artefact in artefacts if artefact.format != EXTRACT)
        messages = (*run.messages, *done.messages)
        warned = any(message.level is not MessageLevel.INFO for message in messages)
        state = RunState.WARNED if warned else RunState.SUCCEEDED
        return self._write(
            lambda connection: repository.finish(
                connection,
                run,
                state,
                f"Done, {pluralize(rows, 'row')}",
                rows,
                messages,
                artefacts,
                done.phases,
                done.digest,
                done.summary,
                done.engine,
            )
        )

    def _fail(self, run: Run, key: str, text: str) -> None:
        """Remove the files of an attempt, and end its run as failed; release it if it no longer belongs to the attempt.

        Args:
            run: the run.
            key: the kind of failure, the end of the message's key `run.failed.<key>`.
            text: the message: what went wrong, and what to do.
        """
        self.artefacts.remove_attempts(run.id, run.attempt)
        messages = (*run.messages, Message(MessageLevel.ERROR, f"run.failed.{key}", text))
        if self._write(
            lambda connection: repository.finish(connection, run, RunState.FAILED, "Failed", None, messages)
        ):
            log.warning("run failed", report=run.report_type, reason=text)
        else:
            self._release(run)
