"""One attempt at a run: a child process does the work, this thread watches over it.

Only here does a run go from running to over. The row says whose attempt it is, so that an attempt that lost its run
(to a cancel, or to a later attempt) changes nothing. A database that does not answer for a while is waited for.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog

from whohas import reports
from whohas.artefacts import Artefact, Artefacts
from whohas.database import AWAY
from whohas.engine.statement import Layout, Statement, TableFiles
from whohas.errors import WhohasError
from whohas.render.definition import About
from whohas.render.registry import find
from whohas.reports.sources import INCOMPLETE
from whohas.runs import table
from whohas.runs.children import Child, Children, Done, died, follow
from whohas.runs.files import options
from whohas.runs.model import Level, Message, Run, State, origin
from whohas.runs.presence import Presence
from whohas.runs.queue import Lane
from whohas.runs.work import EXTRACT, Output, Part, Work
from whohas.settings import Settings
from whohas.tracing import Piece, Tracing
from whohas.warehouse.catalogue import catalogue
from whohas.warehouse.evolved import duckdb_type, lacking
from whohas.warehouse.shredded import column_of, layouts
from whohas.warehouse.store import Snapshot, Warehouse
from whohas.warehouse.tables import TABLES, Table

_LOOK_SECONDS = 0.1
"""How often the row is asked whether the run was cancelled: a cancel takes effect within this time."""
_NOTE_SECONDS = 0.5
"""How often progress is written to the row."""
_AGAIN_SECONDS = 0.25
_WRITE_SECONDS = 60.0
"""How long an attempt's end tries to get into a database that does not answer; then `recovery` takes care of it."""
_STOPPING_SECONDS = 2.0
"""The same, while the worker shuts down."""

log = structlog.get_logger("whohas.runs")

T = TypeVar("T")


class _Stopped(Exception):
    """The attempt ends before its work is done: `cancelled`, lost, or the worker shuts down."""


@dataclass
class Supervisor:
    """Carries out runs, each with a child of its own; `begin` comes first."""

    settings: Settings
    database: sa.Engine
    warehouse: Warehouse
    artefacts: Artefacts
    children: Children = field(default_factory=Children)
    tracing: Tracing = field(default_factory=Tracing)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _busy: list[str] = field(default_factory=list[str])
    _claiming: threading.Lock = field(default_factory=threading.Lock)
    _presence: Presence | None = None

    @property
    def presence(self) -> Presence:
        assert self._presence is not None, "a worker begins before it carries out anything"
        return self._presence

    def begin(self, presence: Presence) -> None:
        """Makes ready to carry out runs as this worker."""
        self._presence = presence
        self._stopping.clear()
        self.children.fork_server.start()

    def stop(self) -> None:
        """The worker shuts down: attempts end now, their runs go back to the queue."""
        self._stopping.set()
        self.children.end_all()

    def under_way(self) -> list[str]:
        """The ids of the runs that are being carried out here, and of those that were claimed for it."""
        with self._claiming:
            return self._busy.copy()

    def claim(self, room: Mapping[Lane, int]) -> list[Run]:
        """Take queued runs for this worker, at most so many of each lane; none while its lease is not proven."""
        if not self.presence.held or self._stopping.is_set():
            return []
        # `recovery` takes a run of ours that is not under way for forgotten: it has to wait until it is
        with self._claiming:
            with self.database.begin() as connection:
                runs = [
                    run
                    for lane, most in room.items()
                    for run in table.claim(connection, self.presence.executor, most, over=lane.over, up_to=lane.up_to)
                ]
            self._busy.extend(run.id for run in runs)
        return runs

    def carry_out(self, run: Run) -> None:
        """One attempt at a run that was claimed, to its end."""
        try:
            self._claimed(run)
        finally:
            self._busy.remove(run.id)

    def hand_back(self, run: Run) -> None:
        """Puts a run that was claimed back on the queue."""
        try:
            self._let_go(run)
        finally:
            self._busy.remove(run.id)

    def _claimed(self, run: Run) -> None:
        with structlog.contextvars.bound_contextvars(run_id=run.id, attempt=run.attempt, **origin(run.attributes)):
            self.artefacts.sweep(run.id, run.attempt - 1)
            if run.lost >= self.settings.run_attempts:
                self._fail(
                    run,
                    "attempts",
                    (
                        f"It was tried {run.lost} times, and each time its worker ended before it did. "
                        "The server's log says more."
                    ),
                )
                return
            with self.tracing.span("attempt", run.attributes.get("traceparent", "")) as piece:
                piece.tell(run=run.id, report=run.report_type, attempt=run.attempt)
                self._attempt(run, piece)

    def _attempt(self, run: Run, piece: Piece) -> None:
        started = time.monotonic()
        spill = self.settings.spill_path / self.presence.executor / f"{run.id}-{run.attempt}"
        try:
            artefacts, done = self._make(run, spill)
        except _Stopped:
            self._let_go(run)
        except WhohasError as error:
            piece.fail(error.message)
            self._fail(run, "engine", error.message)
        except OSError as error:
            self._fail(run, "system", f"The system refused a file or a process: {error.strerror or error}.")
        except Exception:
            log.exception("internal fault", report=run.report_type)
            self._fail(run, "internal", "An internal fault ended it. The server's log has it under the run's id.")
        else:
            self.tracing.phases(piece, done.phases)
            if self._succeed(run, artefacts, done):
                log.info("run succeeded", report=run.report_type, seconds=round(time.monotonic() - started, 3))
            else:
                self._let_go(run)
        finally:
            shutil.rmtree(spill, ignore_errors=True)

    def _make(self, run: Run, spill: Path) -> tuple[tuple[Artefact, ...], Done]:
        """Has a child make the run's files, and publishes them; when it returns or raises, the child is gone."""
        child = self.children.take()
        try:
            work = self._work(run, spill)
            done = self._watch(run, child, work)
            zipped = {output.path for output in work.outputs if output.zipped}
            artefacts: list[Artefact] = []
            for file in done.files:
                if file["format"] == EXTRACT and not self.settings.keep_extracts:
                    Path(file["path"]).unlink()
                else:
                    artefacts.append(self.artefacts.published(file, file["path"] in zipped))
            return tuple(artefacts), done
        finally:
            self.children.end(child)

    def _let_go(self, run: Run) -> None:
        """The attempt is over without an outcome of its own: cancelled, lost to a later attempt, or handed back."""
        self.artefacts.sweep(run.id, run.attempt)
        if not self._write(lambda connection: table.hand_back(connection, run)):
            self._write(lambda connection: table.confirm_cancelled(connection, run))

    def _write(self, write: Callable[[sa.Connection], T]) -> T:
        """Writes in one transaction, which may be tried twice: `write` must come to the same then."""
        began = time.monotonic()
        while True:
            try:
                with self.database.begin() as connection:
                    return write(connection)
            except AWAY:
                if time.monotonic() - began > (_STOPPING_SECONDS if self._stopping.is_set() else _WRITE_SECONDS):
                    raise
                time.sleep(_AGAIN_SECONDS)

    def _work(self, run: Run, spill: Path) -> Work:
        snapshot = self.warehouse.snapshot(run.snapshot)
        report = reports.find(run.report_type, run.arguments)
        request = reports.Request(run.report_type, run.arguments, run.created, run.launcher)
        plan = report.plan(request, catalogue(snapshot))
        extracts = len(run.formats) > 1 or any(find(format).copy is None for format in run.formats)
        statements, tables = located(plan.statements, snapshot)
        names = [part.name for part in plan.parts] or [""]
        parts = tuple(
            part_of(name, statement, self._place(run, f"extract-{number}.parquet") if extracts else "")
            for number, (name, statement) in enumerate(zip(names, statements, strict=True))
        )
        return Work(
            parts=parts,
            tables=tables,
            outputs=tuple(self._output(run, format, plan.zipped) for format in run.formats),
            about=about_of(run, snapshot, self.settings.org),
            options=options(run.arguments, self.settings),
            memory=self.settings.run_memory,
            threads=self.settings.run_threads,
            spill=str(spill),
        )

    def _output(self, run: Run, format: str, zipped: bool) -> Output:
        return Output(
            format, self._place(run, f"{run.report_type.lower()}.{f'{format}.zip' if zipped else format}"), zipped
        )

    def _place(self, run: Run, name: str) -> str:
        return str(self.artefacts.part(run.id, run.attempt, name))

    def _watch(self, run: Run, child: Child, work: Work) -> Done:
        """Gives the child its work, and follows it.

        Raises:
            _Stopped: the run was cancelled, lost, or the worker shuts down.
            WhohasError: the child failed; the message says why.
        """
        began = noted = time.monotonic()
        for facts in follow(child, work, _LOOK_SECONDS):
            if isinstance(facts, Done):
                return facts
            if self._stopping.is_set():
                raise _Stopped
            if time.monotonic() - began > self.settings.run_seconds:
                raise WhohasError(
                    f"It took longer than the {self.settings.run_seconds:,} seconds that a run may take. Ask for less, "
                    "or raise WHOHAS_RUN_SECONDS."
                )
            note = facts if facts and time.monotonic() - noted > _NOTE_SECONDS else {}
            noted = time.monotonic() if note else noted
            if not self._goes_on(run, note):
                raise _Stopped
        if self._stopping.is_set():
            raise _Stopped  # that was us
        raise WhohasError(died(child))

    def _goes_on(self, run: Run, note: dict[str, Any]) -> bool:
        """Whether the run is still this attempt's; writes down how far it is, if told."""
        try:
            if note:
                with self.database.begin() as connection:
                    table.note_progress(connection, run, note["progress"], note["percent"], note["rows"])
            with self.database.connect() as connection:
                return table.goes_on(connection, run)
        except AWAY:
            return not self.presence.lost

    def _succeed(self, run: Run, artefacts: tuple[Artefact, ...], done: Done) -> bool:
        rows = max(artefact.rows for artefact in artefacts if artefact.format != EXTRACT)
        messages = (*run.messages, *done.messages)
        warned = any(message.level is not Level.INFO for message in messages)
        state = State.WARNED if warned else State.SUCCEEDED
        return self._write(
            lambda connection: table.finish(
                connection, run, state, f"Done, {rows:,} rows", rows, messages, artefacts, done.phases
            )
        )

    def _fail(self, run: Run, key: str, text: str) -> None:
        self.artefacts.sweep(run.id, run.attempt)
        messages = (*run.messages, Message(Level.ERROR, f"run.failed.{key}", text))
        if self._write(lambda connection: table.finish(connection, run, State.FAILED, "Failed", None, messages)):
            log.warning("run failed", report=run.report_type, reason=text)
        else:
            self._let_go(run)


def located(
    statements: Sequence[Statement], snapshot: Snapshot
) -> tuple[tuple[Statement, ...], tuple[TableFiles, ...]]:
    """Statements, and the files that they read, of the partitions that matter to any of them; each table once.

    How the files hold attributes decides whether a column of texts is `single`.
    """
    partitions: dict[str, frozenset[str] | None] = {}
    attributes: dict[str, tuple[str, ...]] = {}
    others: dict[str, tuple[str, ...]] = {}
    for statement in statements:
        for name, own in statement.tables.items():
            known = partitions.get(name, frozenset())
            partitions[name] = None if own is None or known is None else own | known
        for name, asked in statement.attributes.items():
            attributes[name] = tuple(dict.fromkeys((*attributes.get(name, ()), *asked)))
        for name, files in statement.files.items():
            others[name] = tuple(dict.fromkeys((*others.get(name, ()), *files)))
    tables: list[TableFiles] = []
    single: dict[str, frozenset[str]] = {}
    for name, own in partitions.items():
        asked = attributes.get(name, ())
        found, single[name] = layouts([file.path for file in snapshot.files(TABLES[name], own)], asked)
        columns = [(field.name, duckdb_type(field.type)) for field in TABLES[name].schema]
        more = [] if found else [(column_of(attribute), "VARCHAR") for attribute in asked]
        tables.append(TableFiles(name, (*columns, *more), _with_lacks(found, TABLES[name])))
    tables += (TableFiles(name, (), (Layout(files),)) for name, files in others.items())
    return tuple(_with_single(statement, single) for statement in statements), tuple(tables)


def _with_lacks(found: Sequence[Layout], table: Table) -> tuple[Layout, ...]:
    """The same layouts, with the columns that files of earlier versions lack."""
    return tuple(
        Layout(tuple(files), layout.more, lacks)
        for layout in found
        for lacks, files in groupby(layout.files, key=lambda file: lacking(Path(file), table))
    )


def _with_single(statement: Statement, single: Mapping[str, frozenset[str]]) -> Statement:
    names = {
        column
        for table, columns in statement.attributes.items()
        for attribute, column in columns.items()
        if attribute in single[table]
    }
    return replace(
        statement, columns=tuple(replace(column, single=column.name in names) for column in statement.columns)
    )


def part_of(name: str, statement: Statement, extract: str) -> Part:
    """A statement as a child is given it."""
    return Part(
        name=name,
        sql=statement.sql,
        parameters=statement.parameters,
        columns=statement.columns,
        ordered=statement.ordered,
        expected_rows=statement.expected_rows,
        group=statement.group,
        extract=extract,
    )


def about_of(run: Run, snapshot: Snapshot, org: str) -> About:
    """What the files of a run say of it."""
    return About(
        run=run.id,
        report=run.report_type,
        title=run.report_name,
        description=run.description,
        arguments=run.arguments,
        launcher=run.launcher,
        started=run.created.timestamp(),
        snapshot=snapshot.number,
        loaded=snapshot.loaded.timestamp() if snapshot.loaded else 0.0,
        org=org,
        gaps=next((message.text for message in run.messages if message.key == INCOMPLETE), ""),
    )
