"""What people do with runs: start, look, fetch, cancel. Both doors, HTTP and the command line, come in here."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from whohas import reports
from whohas.artefacts import Artefact, Artefacts
from whohas.errors import InvalidArguments, NotFound, Unavailable
from whohas.runs import table
from whohas.runs.files import ARGUMENTS, wish
from whohas.runs.later import Later
from whohas.runs.model import Level, Message, Run, RunId, State
from whohas.runs.work import EXTRACT
from whohas.search.index import searchable
from whohas.settings import Settings
from whohas.warehouse.catalogue import catalogue
from whohas.warehouse.store import Snapshot, Warehouse

_TRIES = 50


@dataclass(frozen=True)
class Runs:
    """The runs of an installation.

    Attributes:
        later: makes files that were not made with their run.
        enqueue: puts a job for a run on the queue, within the caller's transaction.
        work: carries out jobs in this process for as long as the context lasts; see `jobs.working`.
    """

    settings: Settings
    database: sa.Engine
    warehouse: Warehouse
    artefacts: Artefacts
    later: Later
    enqueue: Callable[[sa.Connection, RunId], None]
    work: Callable[[], AbstractContextManager[None]]

    def start(
        self, report_type: object, arguments: object, launcher: str, attributes: Mapping[str, Any] | None = None
    ) -> Run:
        """Starts a report, or returns the run that is already making it (single flight).

        The run reads the newest snapshot, and is kept in one transaction with its job.

        Args:
            attributes: facts of this start that the run is to tell, such as its tracking id.

        Raises:
            InvalidArguments: the report type or its arguments are wrong, or the report is switched off.
        """
        run = self.planned(report_type, arguments, launcher, attributes)
        for _ in range(_TRIES):
            with self.database.begin() as connection:
                kept = self.keep(connection, run)
            if kept is not None:
                return kept
        raise Unavailable("The run could not be kept: identical runs end faster than this one can start.")

    def planned(
        self, report_type: object, arguments: object, launcher: str, attributes: Mapping[str, Any] | None = None
    ) -> Run:
        """The run that a start would make; nothing of it is kept yet.

        Raises:
            InvalidArguments: the report type or its arguments are wrong, or the report is switched off.
        """
        if arguments is None:
            arguments = {}
        if not isinstance(arguments, Mapping):
            raise InvalidArguments("arguments must be an object of names and values.")
        sent = cast("Mapping[str, Any]", arguments)
        report = reports.find(report_type, sent)
        with self.database.connect() as connection:
            if table.disabled(connection, report.type):
                raise InvalidArguments(
                    f"The report {report.type} is switched off on this server (`whohas reports enable {report.type}` "
                    "switches it on)."
                )
        created = table.now()
        snapshot = searchable(self.warehouse) if report.searches else self.warehouse.snapshot()
        request = reports.Request(report.type, sent, created, launcher, self.settings.search_phrases)
        plan = report.plan(request, catalogue(snapshot))
        files = wish(sent, self.settings, plan.zipped)
        asked = {**plan.arguments, **files.arguments}
        return Run(
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
            messages=(*plan.messages, *_foreign(report, sent), *_older(snapshot, self.warehouse)),
            artefacts=(),
            statement=plan.text,
        )

    def keep(self, connection: sa.Connection, run: Run) -> Run | None:
        """Keeps a planned run and its job within the caller's transaction, or finds the run that holds its key.

        None where that run ended at this moment: try again in another transaction.
        """
        if table.insert(connection, run, single_flight=run.report_type not in self.settings.concurrent_reports):
            self.enqueue(connection, run.id)
            return run
        return table.active(connection, run.key)

    def get(self, run_id: str) -> Run:
        """A run as it stands.

        Raises:
            NotFound: there is no run with that id.
        """
        with self.database.connect() as connection:
            run = table.get(connection, run_id)
        if run is None:
            raise NotFound(f"There is no run with the id {run_id[:64]!r}.")
        return run

    def newest_completed(self, run: Run) -> Run | None:
        """The newest run of the same report and arguments that ended with files; None if there is none."""
        with self.database.connect() as connection:
            return table.newest_with_files(connection, run.key)

    def artefact(self, run_id: str, format: str) -> tuple[Run, Artefact]:
        """A run and its finished file in a format; one that was not made with it is made now, if its rows were kept.

        Raises:
            NotFound: no such run, it is not over, it ended without files, or not in that format.
            Unavailable: the file could not be made now.
        """
        run = self.get(run_id)
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
        if run.artefacts:
            made = ", ".join(one.format.upper() for one in run.artefacts if one.format != EXTRACT)
            raise NotFound(
                f"This run made no {format.upper()} file; it made {made}. Ask for that, or start the report with "
                f'"selectedFormats": ["{format.upper()}"].'
            )
        removed = next((message.text for message in run.messages if message.key == "files.removed"), None)
        if removed is not None:
            raise NotFound(f"{removed} Start the report again.")
        why = "".join(f" {message.text}" for message in run.messages if message.level is Level.ERROR)
        ended = "was cancelled" if run.state is State.CANCELLED else "failed"
        raise NotFound(f"This run {ended} and has no file.{why} Start the report again.")

    def path(self, run: Run, artefact: Artefact) -> Path:
        """Where a finished file lies."""
        return self.artefacts.path(run.id, artefact)

    def cancel(self, run_id: str) -> None:
        """Cancels a run: a queued one at once, a running one once its child is gone. No effect on one that is over.

        Raises:
            NotFound: there is no run with that id.
        """
        with self.database.begin() as connection:
            table.ask_to_cancel(connection, run_id)
        self.get(run_id)

    def disabled(self, report_type: str) -> bool:
        """Whether a report is switched off."""
        with self.database.connect() as connection:
            return table.disabled(connection, report_type)

    def switch(self, report_type: str, *, off: bool) -> None:
        """Switches a report off or on.

        Raises:
            InvalidArguments: there is no such report.
        """
        if report_type not in reports.reports():
            raise InvalidArguments(f"There is no report {report_type!r}. The reports are: {reports.names()}.")
        with self.database.begin() as connection:
            table.switch(connection, report_type, off)


def _older(snapshot: Snapshot, warehouse: Warehouse) -> tuple[Message, ...]:
    newest = warehouse.snapshot()
    if snapshot.number == newest.number:
        return ()
    text = (
        f"The search index of snapshot {newest.number} is not there yet: the search ran over snapshot "
        f"{snapshot.number}, loaded {snapshot.loaded:%Y-%m-%d %H:%M} UTC."
    )
    return (Message(Level.WARN, "search.older", text),)


def _key(report_type: str, arguments: Mapping[str, Any]) -> str:
    return hashlib.sha256(table.canonical([report_type, dict(arguments)]).encode()).hexdigest()


_LEGACY = frozenset({"defaultS3Bucket", "s3Bucket", "correlatedOnly", *ARGUMENTS})
"""Arguments that older clients send with every report, and that newer ones put in by themselves."""


def _foreign(report: reports.Report, sent: Mapping[str, Any]) -> tuple[Message, ...]:
    names = sorted(name for name in sent if name not in report.arguments and name not in _LEGACY)
    if not names:
        return ()
    known = ", ".join(report.arguments) or "none"
    text = f"{report.type} has no argument {', '.join(name[:60] for name in names)}: ignored. Its arguments: {known}."
    return (Message(Level.INFO, "arguments.ignored", text),)
