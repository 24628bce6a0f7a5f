"""The service for runs, used by the HTTP API and the command line: start, get, download and cancel runs.

`Runs.plan` validates a request and plans the run; `Runs.insert` inserts it, which queues it; workers execute it.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import sqlalchemy as sa

from whohas import audit, reports, timeouts
from whohas.audit.events import SYSTEM
from whohas.auth import Caller
from whohas.background import PeriodicTask
from whohas.engine.remote import EngineName
from whohas.errors import InvalidArguments, NotFound, QuotaExceeded, Unavailable
from whohas.formats.base import WriteOptions
from whohas.formats.registry import find_format
from whohas.hints import ambiguous_id, closest_match, did_you_mean
from whohas.plurals import pluralize
from whohas.reports.sources import incomplete_data_messages
from whohas.runs import audit_events, repository, visibility
from whohas.runs.engines import ENGINE_ARGUMENT, parse_engine
from whohas.runs.models import Message, MessageLevel, Run, RunId, RunState
from whohas.runs.output_options import FILE_ARGUMENTS, default_formats, parse_output_options, parse_write_options
from whohas.runs.plans import RowsRecord, RunPlan
from whohas.search.index import searchable_snapshot
from whohas.search.limits import SearchLimits
from whohas.settings import Settings
from whohas.storage import Artifact, ArtifactStore
from whohas.warehouse.catalog import Catalog, read_catalog
from whohas.warehouse.store import Snapshot, Warehouse

_TRIES = 50
"""Attempts to insert a run or find the active one, where the active one ends in between each time."""
_AGAIN = " Start the report again."
_LISTED = 11
"""The largest number of runs that are searched by a prefix of their id: one more than an error message lists."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A validated and planned run that is not stored yet.

    Attributes:
        run: the run.
        plan: the report's plan: statements, parameters and columns.
        snapshot: the warehouse snapshot that it reads.
        options: how its files are written.
        engine: the engine that executes it.
    """

    run: Run
    plan: reports.Plan
    snapshot: Snapshot
    options: WriteOptions
    engine: EngineName

    def to_run_plan(self) -> RunPlan:
        """Return the plan in the form that is stored with the run. Call it outside of transactions: it reads the
        catalogue and the footers of data files, which takes time.

        Raises:
            InvalidArguments: a statement is not translated for the engine.
        """
        return RunPlan.of(self.plan, self.snapshot, self.options, self.engine)


class FileMaker(Protocol):
    """Makes files that were not made with their run; see `execution.on_demand`."""

    def get_or_render(self, run: Run, format: str, /) -> Artifact | None: ...


class StartWorker(Protocol):
    """The type of `execution.worker.run_worker` with all arguments but the periodic tasks bound."""

    def __call__(self, tasks: Sequence[PeriodicTask] = (), /) -> AbstractContextManager[None]: ...


@dataclass(frozen=True)
class Runs:
    """The service for the runs of an installation.

    A `caller` of None stands for the operator of the server, who sees all runs.

    Attributes:
        files: renders files in formats that were not made with their run.
        expect_run: prepares the worker of this process because a run is about to be queued.
        wake_worker: wakes the worker of this process to look for queued runs; called after a run was committed.
        working: executes queued runs in this process, and does periodic tasks, while the context lasts; see
            `execution.worker.run_worker`.
    """

    settings: Settings
    database: sa.Engine
    warehouse: Warehouse
    artefacts: ArtifactStore
    files: FileMaker
    expect_run: Callable[[], None]
    wake_worker: Callable[[], None]
    working: StartWorker

    def start(
        self,
        report_type: object,
        arguments: object,
        launcher: str,
        caller: Caller | None = None,
        attributes: Mapping[str, Any] | None = None,
        by: audit.Actor = SYSTEM,
    ) -> Run:
        """Queue a run of a report, and return it; or return the active run of the same report and arguments (single
        flight).

        The run reads the newest snapshot; a search, the newest that has a search index. The caller is recorded as a
        launcher, so that they see the run.

        Args:
            report_type: the report, as the request has it.
            arguments: its arguments, as the request has them; None for none.
            launcher: the caller's name, stored with the run.
            attributes: further attributes of the run, such as its tracking id.
            by: the actor for the audit log.

        Raises:
            InvalidArguments: the report is unknown or switched off, or its arguments are invalid.
            Forbidden: the caller is restricted to sources, and the run covers others.
            QuotaExceeded: too many runs are queued, or the launcher has too many active runs.
            Unavailable: it is a search, and no snapshot has a search index yet; or identical runs ended faster than
                this one could be inserted.
        """
        planned = self.plan(report_type, arguments, launcher, caller, attributes)
        run = planned.run
        launched_by = caller.id if caller else None
        for _ in range(_TRIES):
            # a shortcut without a write transaction, which answers most identical requests
            if self._single_flight(run) and (holder := self._joined(run.key, launched_by, by)) is not None:
                return holder
            self.expect_run()
            plan = planned.to_run_plan()
            with self.database.begin() as connection:
                kept = self.insert(connection, run, plan, launched_by, by)
            if kept is not None:
                self.wake_worker()
                return kept
        raise Unavailable(
            "The run could not be started: identical runs end faster than it can be queued. Start it again."
        )

    def plan(
        self,
        report_type: object,
        arguments: object,
        launcher: str,
        caller: Caller | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> PlannedRun:
        """Validate a request to start a report, and return the run that it would queue, with its plan. Nothing is
        stored.

        The arguments are those of `start`.

        Raises:
            InvalidArguments: the report is unknown or switched off, or its arguments are invalid.
            Forbidden: the caller is restricted to sources, and the run covers others.
            Unavailable: it is a search, and no snapshot has a search index yet.
        """
        if arguments is None:
            arguments = {}
        if not isinstance(arguments, Mapping):
            raise InvalidArguments("arguments must be an object of names and values.")
        requested = cast("Mapping[str, Any]", arguments)
        report = reports.find_report(report_type, requested)
        with self.database.connect() as connection:
            if repository.is_report_disabled(connection, report.type):
                raise InvalidArguments(
                    f"The report {report.type} is switched off on this server (`whohas reports enable {report.type}` "
                    "switches it on)."
                )
        created = repository.now()
        snapshot = searchable_snapshot(self.warehouse) if report.needs_search_index else self.warehouse.snapshot()
        request = reports.ReportRequest(
            report.type,
            requested,
            created,
            launcher,
            self.settings.search_phrases,
            SearchLimits.from_settings(self.settings),
        )
        plan = reports.plan_report(report, request, read_catalog(snapshot))
        files = parse_output_options(requested, self.settings, default_formats(report, plan, self.settings))
        engine = parse_engine(requested, self.settings)
        named = {ENGINE_ARGUMENT: engine} if engine != self.settings.engine else {}
        normalised = {**plan.arguments, **files.arguments, **named}
        run = Run(
            id=RunId(uuid.uuid4().hex),
            report_type=report.type,
            report_name=report.name,
            description=report.description,
            arguments=normalised,
            key=_key(report.type, normalised),
            attributes={"org": self.settings.org, **plan.attributes, **(attributes or {})},
            state=RunState.QUEUED,
            snapshot=snapshot.number,
            launcher=launcher,
            created=created,
            launched=None,
            completed=None,
            rows=None,
            progress="Queued",
            percent=0,
            attempt=0,
            formats=files.formats,
            messages=(
                *plan.messages,
                *incomplete_data_messages(plan, read_catalog(snapshot)),
                *_unknown_arguments(report, requested),
                *(_older_snapshot(snapshot, self.warehouse) if report.needs_search_index else ()),
            ),
            artefacts=(),
            size=_size(plan, read_catalog(snapshot), files.formats),
        )
        if caller is not None:
            visibility.check_may_start(caller, run)
        return PlannedRun(run, plan, snapshot, parse_write_options(requested, self.settings), engine)

    def insert(
        self, connection: sa.Connection, run: Run, plan: RunPlan, launched_by: str | None, by: audit.Actor = SYSTEM
    ) -> Run | None:
        """Insert a run with its plan, which queues it, and return it; or return the active run with the same key.

        Both in the caller's transaction, with the record of the launcher and the audit event. None where the active run
        ended at this moment: try again in a new transaction.

        Args:
            launched_by: the `Caller.id` of the launcher, who will see the run; None for the operator of the server.
            by: the actor for the audit log.

        Raises:
            QuotaExceeded: too many runs are queued, or the launcher has too many active runs. The caller must roll
                back.
        """
        kept: Run | None = run
        if repository.insert(connection, run, self._single_flight(run)):
            repository.insert_plan(connection, run.id, plan)
            self._check_room(connection, run.launcher)
            audit.write_event(connection, audit_events.run_started(run, by))
        else:
            kept = repository.get_active(connection, run.key)
        new = kept is not None and launched_by is not None and visibility.record_launch(connection, launched_by, kept)
        if new and kept is not None and kept is not run:
            audit.write_event(connection, audit_events.run_joined(kept, by))
        return kept

    def _single_flight(self, run: Run) -> bool:
        return run.report_type not in self.settings.concurrent_reports

    def _joined(self, key: str, launched_by: str | None, by: audit.Actor) -> Run | None:
        """Return the active run with a key, after recording the caller as one of its launchers, or None."""
        with self.database.connect() as connection:
            holder = repository.get_active(connection, key)
            if holder is None or launched_by is None or visibility.has_launched(connection, launched_by, holder):
                return holder
        with self.database.begin() as connection:
            if visibility.record_launch(connection, launched_by, holder):
                audit.write_event(connection, audit_events.run_joined(holder, by))
        return holder

    def _check_room(self, connection: sa.Connection, launcher: str) -> None:
        """Check the quotas after a run was inserted, itself included. The error rolls the transaction back.

        Raises:
            QuotaExceeded: too many runs are queued, or the launcher has too many active runs.
        """
        active, queued = repository.count_active_and_queued(connection, launcher)
        if active > self.settings.runs_per_launcher:
            has = pluralize(self.settings.runs_per_launcher, "run that is", "runs that are")
            raise QuotaExceeded(
                f"{launcher} has {has} not over, and may not have more (WHOHAS_RUNS_PER_LAUNCHER). Wait for one to "
                "end, or cancel one.",
                timeouts.START_RETRY_SECONDS,
            )
        if queued > self.settings.runs_waiting:
            waiting = pluralize(self.settings.runs_waiting, "run is", "runs are")
            raise QuotaExceeded(
                f"{waiting} waiting already: no more are accepted until some of them have been carried out "
                "(WHOHAS_RUNS_WAITING). Send the request again later.",
                timeouts.START_RETRY_SECONDS,
            )

    def get(self, run_id: str, caller: Caller | None = None) -> Run:
        """Return a run.

        Raises:
            NotFound: there is no run with that id that the caller may see.
        """
        with self.database.connect() as connection:
            run = repository.get(connection, run_id, *_seen_by(caller))
        if run is None:
            raise _no_run(run_id)
        return run

    def record(self, run: Run) -> RowsRecord:
        """Return the stored plan of a run and the digest of its rows."""
        with self.database.connect() as connection:
            return repository.get_record(connection, run.id)

    def resolve_id(self, beginning: str) -> RunId:
        """Return the full id of the one run whose id starts with a text.

        Args:
            beginning: 1 to 32 hex digits, in upper or lower case.

        Raises:
            NotFound: no run's id starts so, or the text is malformed.
            InvalidArguments: several runs' ids do; the message lists them.
        """
        text = beginning.strip().lower()
        if not re.fullmatch("[0-9a-f]{1,32}", text):
            raise _no_run(beginning)
        with self.database.connect() as connection:
            found = repository.find_by_id_prefix(connection, text, _LISTED)
        if not found:
            raise (
                _no_run(beginning)
                if len(text) == 32
                else NotFound(f"There is no run whose id begins with {text!r}. `whohas runs` lists them.")
            )
        if len(found) > 1:
            raise ambiguous_id(
                text, [f"{run.id}  {run.report_type}  {run.created:%Y-%m-%d %H:%M:%S} UTC" for run in found]
            )
        return found[0].id

    def get_if_enabled(self, run_id: str, caller: Caller | None = None) -> Run | None:
        """Return a run; None where its report is switched off. One query, for clients that poll.

        Raises:
            NotFound: there is no run with that id that the caller may see.
        """
        with self.database.connect() as connection:
            found = repository.get_with_switch(connection, run_id, *_seen_by(caller))
        if found is None:
            raise _no_run(run_id)
        run, off = found
        return None if off else run

    def newest_completed(self, run: Run, caller: Caller | None = None) -> Run | None:
        """Return the newest run of the same report and arguments that ended with files and that the caller may see,
        or None."""
        with self.database.connect() as connection:
            return repository.newest_with_files(connection, run.key, *_seen_by(caller))

    def get_artifact(self, run_id: str, format: str, caller: Caller | None = None) -> tuple[Run, Artifact]:
        """Return a run and its file in a format, after rendering the file if it was not made with the run.

        Raises:
            InvalidArguments: the format is unknown.
            NotFound: there is no such run that the caller may see, it is not over, its files were removed, or it has no
                file in that format and none can be rendered.
            Unavailable: rendering failed; the message says why.
        """
        run = self.get(run_id, caller)
        if not run.state.is_over:
            raise NotFound(
                f"The {format.upper()} file of this run is not ready: {run.progress.lower()}. "
                "Ask for its result until it has a status, then for the file."
            )
        file = next((made for made in run.artefacts if made.format == format), None) or self.files.get_or_render(
            run, format
        )
        if file is not None:
            if not self.artefacts.exists(run.id, file):
                raise NotFound("The file of this run has been removed. Start the report again.")
            return run, file
        removed = next((message.text for message in run.messages if message.key == "files.removed"), None)
        if removed is not None:
            raise NotFound(f"{removed} Start the report again.")
        why = "".join(f" {message.text}" for message in run.messages if message.level is MessageLevel.ERROR)
        ended = "was cancelled" if run.state is RunState.CANCELLED else "failed"
        advice = "" if why.endswith(_AGAIN) else _AGAIN
        raise NotFound(f"This run {ended} and has no file.{why}{advice}")

    def path(self, run: Run, artefact: Artifact) -> Path:
        """Return a path on the local disk at which the content of a file of a run can be read now.

        Raises:
            NotFound: the file was removed.
            Unavailable: the object store with the file failed.
            OSError: the disk is full or fails.
        """
        try:
            return self.artefacts.local_path(run.id, artefact)
        except FileNotFoundError:
            raise NotFound("The file of this run has been removed. Start the report again.") from None

    def record_download(
        self, run: Run, artefact: Artifact, by: audit.Actor, name: str, span: tuple[int, int] | None = None
    ) -> None:
        """Write the audit event of a download. Send no byte of the file before this has returned.

        Args:
            by: the actor for the audit log.
            name: the file name that the client is given.
            span: the requested range of bytes, the end exclusive; None for the whole file.
        """
        with self.database.begin() as connection:
            audit.write_event(connection, audit_events.report_downloaded(run, artefact, by, name, span))

    def record_address(self, run: Run, artefact: Artifact, by: audit.Actor, name: str) -> None:
        """Write the audit event that a signed address of a file is given to a client. Send it after this has returned.

        Args:
            by: the actor for the audit log.
            name: the file name that the client is given.
        """
        with self.database.begin() as connection:
            audit.write_event(connection, audit_events.address_handed_out(run, artefact, by, name))

    def record_view(self, run: Run, by: audit.Actor) -> None:
        """Write the audit event that somebody looks at the rows of a run. Send no row before this has returned.

        Args:
            by: the actor for the audit log.
        """
        with self.database.begin() as connection:
            audit.write_event(connection, audit_events.report_viewed(run, by))

    def cancel(self, run_id: str, caller: Caller | None = None, by: audit.Actor = SYSTEM) -> None:
        """Cancel a run. A queued run ends at once, a running one as soon as its child process has ended. No effect on a
        run that is over.

        Args:
            by: the actor for the audit log.

        Raises:
            NotFound: there is no run with that id that the caller may see.
        """
        self.get(run_id, caller)
        with self.database.begin() as connection:
            repository.request_cancel(connection, run_id, by)

    def is_report_disabled(self, report_type: str) -> bool:
        """Return whether a report is switched off."""
        with self.database.connect() as connection:
            return repository.is_report_disabled(connection, report_type)

    def switch_report(self, report_type: str, *, off: bool, by: audit.Actor = SYSTEM) -> None:
        """Switch a report off or on for all callers.

        Args:
            by: the actor for the audit log.

        Raises:
            InvalidArguments: there is no such report.
        """
        if report_type not in reports.all_reports():
            hint = did_you_mean(report_type, reports.all_reports())
            raise InvalidArguments(
                f"There is no report {report_type!r}.{hint} The reports are: {reports.report_type_names()}."
            )
        with self.database.begin() as connection:
            repository.switch_report(connection, report_type, off)
            audit.write_event(connection, audit_events.report_switched(report_type, by, off=off))


def _no_run(run_id: str) -> NotFound:
    return NotFound(
        f"There is no run with the id {run_id[:64]!r} that you may see. Check the id; retention removes old runs."
    )


def _seen_by(caller: Caller | None) -> tuple[sa.ColumnElement[bool], ...]:
    return () if caller is None or caller.sees_all else (visibility.visible_to(caller),)


def _older_snapshot(snapshot: Snapshot, warehouse: Warehouse) -> tuple[Message, ...]:
    """Return a warning where a search reads a snapshot that is not the newest, whose search index is not ready yet."""
    newest = warehouse.snapshot()
    if snapshot.number == newest.number:
        return ()
    text = (
        f"The search index of snapshot {newest.number} is not there yet: the search ran over snapshot "
        f"{snapshot.number}, loaded {snapshot.loaded:%Y-%m-%d %H:%M} UTC."
    )
    return (Message(MessageLevel.WARN, "search.older", text),)


def _size(plan: reports.Plan, sizes: Catalog, formats: tuple[str, ...]) -> int:
    """Return the estimated effort of a run: rows times the weights of its formats, in units of a row of CSV.

    For a statement without an estimate of its result, the rows of all tables that it reads are counted. Example: 1,000
    expected rows as CSV (weight 1) and a format of weight 3 give 4,000.

    Args:
        sizes: the catalogue, for the number of rows of tables.
    """
    rows = sum(
        statement.expected_rows or sum(sizes.row_count(name, parts) for name, parts in statement.tables.items())
        for statement in plan.statements
    )
    return round(rows * sum(find_format(format).relative_time for format in formats))


def _key(report_type: str, arguments: Mapping[str, Any]) -> str:
    return hashlib.sha256(repository.canonical_json([report_type, dict(arguments)]).encode()).hexdigest()


_LEGACY = frozenset({"defaultS3Bucket", "s3Bucket", "correlatedOnly", *FILE_ARGUMENTS})
"""Arguments that clients of the published API send with every report: accepted without a message that they are
ignored."""


def argument_names(report: reports.Report, *, legacy: bool = False) -> frozenset[str]:
    """Return the names of the arguments that a report accepts, those on its files included.

    Args:
        legacy: whether to include those that are accepted without effect, because clients send them with every report.
    """
    return frozenset((*report.accepted_arguments, *FILE_ARGUMENTS, *(_LEGACY if legacy else ())))


def _unknown_arguments(report: reports.Report, requested: Mapping[str, Any]) -> tuple[Message, ...]:
    """Return a message that names the arguments which the report does not have and which are ignored, if there are
    any."""
    names = sorted(name for name in requested if name not in argument_names(report, legacy=True))
    if not names:
        return ()
    known = ", ".join(report.accepted_arguments)
    similar = {name: known_name for name in names if (known_name := closest_match(name, argument_names(report)))}
    hint = "".join(f" Did you mean {known_name} by {name[:60]}?" for name, known_name in similar.items())
    text = f"{report.type} has no argument {', '.join(name[:60] for name in names)}: ignored.{hint}"
    text = f"{text} Its arguments: {known}."
    return (Message(MessageLevel.INFO, "arguments.ignored", text),)
