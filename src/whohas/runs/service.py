"""What people do with runs: start, look, fetch, cancel. Both doors, HTTP and the command line, come in here."""

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
from whohas.artefacts import Artefact, Artefacts
from whohas.audit.events import SYSTEM
from whohas.auth import Caller
from whohas.background import PeriodicTask
from whohas.errors import InvalidArguments, NotFound, QuotaExceeded, Unavailable
from whohas.hints import ambiguous, did_you_mean, near
from whohas.plurals import counted
from whohas.render.definition import Options
from whohas.render.registry import find
from whohas.reports.sources import incomplete
from whohas.runs import launches, repository, trail
from whohas.runs.files import ARGUMENTS, default_formats, options, wish
from whohas.runs.later import Later
from whohas.runs.model import Level, Message, Run, RunId, State
from whohas.runs.plans import Record, RunPlan
from whohas.search.index import searchable
from whohas.search.limits import Limits
from whohas.settings import Settings
from whohas.warehouse.catalogue import Catalogue, catalogue
from whohas.warehouse.store import Snapshot, Warehouse

_TRIES = 50
_AGAIN = " Start the report again."
_LISTED = 11
"""Runs that are looked for by the beginning of an id: more than a message lists."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A run that may be kept, and what it is to do."""

    run: Run
    plan: reports.Plan
    snapshot: Snapshot
    options: Options

    def to_keep(self) -> RunPlan:
        """Return the plan as it is kept with the run. It finds files, so no transaction should wait for it."""
        return RunPlan.of(self.plan, self.snapshot, self.options)


class Working(Protocol):
    """See `worker.working`."""

    def __call__(self, tasks: Sequence[PeriodicTask] = (), /) -> AbstractContextManager[None]: ...


@dataclass(frozen=True)
class Runs:
    """The runs of an installation.

    Attributes:
        later: makes files that were not made with their run.
        wake: lets a worker of this process look for queued runs; called after a run was committed.
        work: carries out runs in this process, and does periodic tasks beside, for as long as the context lasts; see
            `worker.working`.
    """

    settings: Settings
    database: sa.Engine
    warehouse: Warehouse
    artefacts: Artefacts
    later: Later
    wake: Callable[[], None]
    work: Working

    def start(
        self,
        report_type: object,
        arguments: object,
        launcher: str,
        caller: Caller | None = None,
        attributes: Mapping[str, Any] | None = None,
        by: audit.Who = SYSTEM,
    ) -> Run:
        """Starts a report, or returns the run that is already making it (single flight).

        The run reads the newest snapshot. It is queued by being kept.

        Args:
            caller: who will see it; null for whoever runs the server.
            attributes: facts of this start that the run is to tell, such as its tracking id.
            by: who the audit trail says started it.

        Raises:
            InvalidArguments: the report type or its arguments are wrong, or the report is switched off.
            Forbidden: it is not on a source that the caller is held to.
            QuotaExceeded: too many runs wait, or the launcher has too many that are not over.
        """
        planned = self.planned(report_type, arguments, launcher, caller, attributes)
        run = planned.run
        launched_by = caller.id if caller else None
        for _ in range(_TRIES):
            # most identical starts find the run so, and write nothing
            if self._single_flight(run) and (holder := self._joined(run.key, launched_by, by)) is not None:
                return holder
            plan = planned.to_keep()
            with self.database.begin() as connection:
                kept = self.keep(connection, run, plan, launched_by, by)
            if kept is not None:
                self.wake()
                return kept
        raise Unavailable("The run could not be kept: identical runs end faster than this one can start.")

    def planned(
        self,
        report_type: object,
        arguments: object,
        launcher: str,
        caller: Caller | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Planned:
        """The run that a start would make, and its plan; nothing of it is kept yet.

        Raises:
            InvalidArguments: the report type or its arguments are wrong, or the report is switched off.
            Forbidden: it is not on a source that the caller is held to.
            QuotaExceeded: too many runs wait, or the launcher has too many that are not over.
        """
        if arguments is None:
            arguments = {}
        if not isinstance(arguments, Mapping):
            raise InvalidArguments("arguments must be an object of names and values.")
        sent = cast("Mapping[str, Any]", arguments)
        report = reports.find(report_type, sent)
        with self.database.connect() as connection:
            if repository.disabled(connection, report.type):
                raise InvalidArguments(
                    f"The report {report.type} is switched off on this server (`whohas reports enable {report.type}` "
                    "switches it on)."
                )
        created = repository.now()
        snapshot = searchable(self.warehouse) if report.searches else self.warehouse.snapshot()
        request = reports.Request(
            report.type, sent, created, launcher, self.settings.search_phrases, Limits.of(self.settings)
        )
        plan = report.plan(request, catalogue(snapshot))
        files = wish(sent, self.settings, default_formats(report, plan, self.settings))
        asked = {**plan.arguments, **files.arguments}
        run = Run(
            id=RunId(uuid.uuid4().hex),
            report_type=report.type,
            report_name=report.name,
            description=report.description,
            arguments=asked,
            key=_key(report.type, asked),
            attributes={"org": self.settings.org, **plan.attributes, **(attributes or {})},
            state=State.QUEUED,
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
                *incomplete(plan, catalogue(snapshot)),
                *_foreign(report, sent),
                *_older(snapshot, self.warehouse),
            ),
            artefacts=(),
            size=_size(plan, catalogue(snapshot), files.formats),
        )
        if caller is not None:
            launches.check_start(caller, run)
        return Planned(run, plan, snapshot, options(sent, self.settings))

    def keep(
        self, connection: sa.Connection, run: Run, plan: RunPlan, launched_by: str | None, by: audit.Who = SYSTEM
    ) -> Run | None:
        """Keeps a run with its plan, which queues it, in the caller's transaction, or finds the run that holds its key.

        None where that run ended at this moment: try again in another transaction.

        Args:
            launched_by: the `Caller.id` of who will see it; null for whoever runs the server.
            by: who the audit trail says started it.

        Raises:
            QuotaExceeded: too many runs wait, or the launcher has too many that are not over.
        """
        kept: Run | None = run
        if repository.insert(connection, run, self._single_flight(run)):
            repository.keep_plan(connection, run.id, plan)
            self._check_room(connection, run.launcher)
            audit.write(connection, trail.started(run, by))
        else:
            kept = repository.active(connection, run.key)
        new = kept is not None and launched_by is not None and launches.note(connection, launched_by, kept)
        if new and kept is not None and kept is not run:
            audit.write(connection, trail.joined(kept, by))
        return kept

    def _single_flight(self, run: Run) -> bool:
        return run.report_type not in self.settings.concurrent_reports

    def _joined(self, key: str, launched_by: str | None, by: audit.Who) -> Run | None:
        """The run that makes it already, which is this launcher's too from now on; None if there is none."""
        with self.database.connect() as connection:
            holder = repository.active(connection, key)
            if holder is None or launched_by is None or launches.is_noted(connection, launched_by, holder):
                return holder
        with self.database.begin() as connection:
            if launches.note(connection, launched_by, holder):
                audit.write(connection, trail.joined(holder, by))
        return holder

    def _check_room(self, connection: sa.Connection, launcher: str) -> None:
        """Whether there is room for the run that was just kept; where there is none, the transaction ends without it.

        Raises:
            QuotaExceeded: too many runs wait, or the launcher has too many that are not over.
        """
        if repository.count_active(connection, launcher) > self.settings.runs_per_launcher:
            has = counted(self.settings.runs_per_launcher, "run that is", "runs that are")
            raise QuotaExceeded(
                f"{launcher} has {has} not over, and may not have more. Wait for one to end, or cancel one.",
                timeouts.START_RETRY_SECONDS,
            )
        if repository.count_queued(connection) > self.settings.runs_waiting:
            waiting = counted(self.settings.runs_waiting, "run is", "runs are")
            raise QuotaExceeded(
                f"{waiting} waiting already: no more are accepted until some of them have been carried out.",
                timeouts.START_RETRY_SECONDS,
            )

    def get(self, run_id: str, caller: Caller | None = None) -> Run:
        """A run as it stands.

        Args:
            caller: who asks; null for whoever runs the server.

        Raises:
            NotFound: there is no run with that id, or none that the caller may see.
        """
        with self.database.connect() as connection:
            run = repository.get(connection, run_id, *_seen_by(caller))
        if run is None:
            raise _no_run(run_id)
        return run

    def record(self, run: Run) -> Record:
        """How a run finds its rows: its plan, and the digest of its rows."""
        with self.database.connect() as connection:
            return repository.record(connection, run.id)

    def id_of(self, beginning: str) -> RunId:
        """The id of the only run whose id begins so; a whole id is its own.

        Raises:
            NotFound: there is none.
            InvalidArguments: there are several; the message lists them.
        """
        text = beginning.strip().lower()
        if not re.fullmatch("[0-9a-f]{1,32}", text):
            raise _no_run(beginning)
        with self.database.connect() as connection:
            found = repository.with_beginning(connection, text, _LISTED)
        if not found:
            raise _no_run(beginning) if len(text) == 32 else NotFound(f"There is no run whose id begins with {text!r}.")
        if len(found) > 1:
            raise ambiguous(
                text, [f"{one.id}  {one.report_type}  {one.created:%Y-%m-%d %H:%M:%S} UTC" for one in found]
            )
        return found[0].id

    def polled(self, run_id: str, caller: Caller | None = None) -> Run | None:
        """A run as it stands, and in the same look whether its report is switched off: None, where it is.

        Raises:
            NotFound: there is no run with that id, or none that the caller may see.
        """
        with self.database.connect() as connection:
            found = repository.get_with_switch(connection, run_id, *_seen_by(caller))
        if found is None:
            raise _no_run(run_id)
        run, off = found
        return None if off else run

    def newest_completed(self, run: Run, caller: Caller | None = None) -> Run | None:
        """The newest run of the same report and arguments that ended with files and that the caller may see; None if
        there is none."""
        with self.database.connect() as connection:
            return repository.newest_with_files(connection, run.key, *_seen_by(caller))

    def artefact(self, run_id: str, format: str, caller: Caller | None = None) -> tuple[Run, Artefact]:
        """A run and its finished file in a format; one that was not made with it is made now.

        Raises:
            NotFound: no such run that the caller may see, it is not over, or it has no file in that format and none can
                be made.
            Unavailable: the file could not be made now.
        """
        run = self.get(run_id, caller)
        if not run.state.over:
            raise NotFound(
                f"The {format.upper()} file of this run is not ready: {run.progress.lower()}. "
                "Ask for its result until it has a status, then for the file."
            )
        found = next((one for one in run.artefacts if one.format == format), None) or self.later.make(run, format)
        if found is not None:
            if not self.artefacts.path(run.id, found).is_file():
                raise NotFound("The file of this run has been removed. Start the report again.")
            return run, found
        removed = next((message.text for message in run.messages if message.key == "files.removed"), None)
        if removed is not None:
            raise NotFound(f"{removed} Start the report again.")
        why = "".join(f" {message.text}" for message in run.messages if message.level is Level.ERROR)
        ended = "was cancelled" if run.state is State.CANCELLED else "failed"
        what = "" if why.endswith(_AGAIN) else _AGAIN
        raise NotFound(f"This run {ended} and has no file.{why}{what}")

    def path(self, run: Run, artefact: Artefact) -> Path:
        """Where a finished file lies."""
        return self.artefacts.path(run.id, artefact)

    def downloaded(
        self, run: Run, artefact: Artefact, by: audit.Who, name: str, span: tuple[int, int] | None = None
    ) -> None:
        """Writes the event of a download; only once this returns may any byte of the file be handed out.

        Args:
            name: what the file is called where it goes.
            span: the bytes of it that are asked for, the end exclusive; None for all.
        """
        with self.database.begin() as connection:
            audit.write(connection, trail.downloaded(run, artefact, by, name, span))

    def cancel(self, run_id: str, caller: Caller | None = None, by: audit.Who = SYSTEM) -> None:
        """Cancels a run: a queued one at once, a running one once its child is gone. No effect on one that is over.

        Raises:
            NotFound: there is no run with that id, or none that the caller may see.
        """
        self.get(run_id, caller)
        with self.database.begin() as connection:
            repository.ask_to_cancel(connection, run_id, by)

    def disabled(self, report_type: str) -> bool:
        """Whether a report is switched off."""
        with self.database.connect() as connection:
            return repository.disabled(connection, report_type)

    def switch(self, report_type: str, *, off: bool, by: audit.Who = SYSTEM) -> None:
        """Switches a report off or on.

        Raises:
            InvalidArguments: there is no such report.
        """
        if report_type not in reports.reports():
            hint = did_you_mean(report_type, reports.reports())
            raise InvalidArguments(f"There is no report {report_type!r}.{hint} The reports are: {reports.names()}.")
        with self.database.begin() as connection:
            repository.switch(connection, report_type, off)
            audit.write(connection, trail.switched(report_type, by, off=off))


def _no_run(run_id: str) -> NotFound:
    return NotFound(f"There is no run with the id {run_id[:64]!r}.")


def _seen_by(caller: Caller | None) -> tuple[sa.ColumnElement[bool], ...]:
    return () if caller is None or caller.sees_all else (launches.seen_by(caller),)


def _older(snapshot: Snapshot, warehouse: Warehouse) -> tuple[Message, ...]:
    newest = warehouse.snapshot()
    if snapshot.number == newest.number:
        return ()
    text = (
        f"The search index of snapshot {newest.number} is not there yet: the search ran over snapshot "
        f"{snapshot.number}, loaded {snapshot.loaded:%Y-%m-%d %H:%M} UTC."
    )
    return (Message(Level.WARN, "search.older", text),)


def _size(plan: reports.Plan, sizes: Catalogue, formats: tuple[str, ...]) -> int:
    """About how much there is to do, in units of a row of CSV; what is not known is taken for all that is read."""
    rows = sum(
        statement.expected_rows or sum(sizes.rows(name, parts) for name, parts in statement.tables.items())
        for statement in plan.statements
    )
    return round(rows * sum(find(format).weight for format in formats))


def _key(report_type: str, arguments: Mapping[str, Any]) -> str:
    return hashlib.sha256(repository.canonical([report_type, dict(arguments)]).encode()).hexdigest()


_LEGACY = frozenset({"defaultS3Bucket", "s3Bucket", "correlatedOnly", *ARGUMENTS})
"""Arguments that older clients send with every report, and that newer ones put in by themselves."""


def argument_names(report: reports.Report, *, legacy: bool = False) -> frozenset[str]:
    """The names of the arguments that a report takes, those of its files too.

    Args:
        legacy: those that are accepted without effect too.
    """
    return frozenset((*report.arguments, *ARGUMENTS, *(_LEGACY if legacy else ())))


def _foreign(report: reports.Report, sent: Mapping[str, Any]) -> tuple[Message, ...]:
    names = sorted(name for name in sent if name not in argument_names(report, legacy=True))
    if not names:
        return ()
    known = ", ".join(report.arguments) or "none"
    meant = {name: found for name in names if (found := near(name, argument_names(report)))}
    hint = "".join(f" Did you mean {found} by {name[:60]}?" for name, found in meant.items())
    text = f"{report.type} has no argument {', '.join(name[:60] for name in names)}: ignored.{hint}"
    text = f"{text} Its arguments: {known}."
    return (Message(Level.INFO, "arguments.ignored", text),)
