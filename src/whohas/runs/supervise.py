"""One attempt at a run: a child process does the work, this thread watches over it.

Only here does a run go from running to over. The row says whose attempt it is, so that an attempt that lost its run
(to a cancel, or to a later attempt) changes nothing.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
import structlog

from whohas import reports
from whohas.artefacts import ZIP, Artefact, Artefacts
from whohas.engine.sql import quote
from whohas.engine.statement import Statement, TableFiles
from whohas.errors import WhohasError
from whohas.runs import table
from whohas.runs.model import Level, Message, Run, State
from whohas.runs.work import Output, Part, Work
from whohas.settings import Settings
from whohas.warehouse.catalogue import catalogue
from whohas.warehouse.store import Snapshot, Warehouse
from whohas.warehouse.tables import TABLES

_LOOK_SECONDS = 0.1
"""How often the row is asked whether the run was cancelled: a cancel takes effect within this time."""
_NOTE_SECONDS = 0.5
"""How often progress is written to the row."""
_TERM_SECONDS = 0.5
"""How long a child has after SIGTERM before SIGKILL."""

log = structlog.get_logger("whohas.runs")


class _Stopped(Exception):
    """The attempt ends before its work is done: `cancelled`, or the worker shuts down."""


@dataclass
class Children:
    """Child processes: one waits, warm, so that the next run starts without delay."""

    _waiting: subprocess.Popen[bytes] | None = None
    _busy: set[subprocess.Popen[bytes]] = field(default_factory=set["subprocess.Popen[bytes]"])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> subprocess.Popen[bytes]:
        """A child that waits for its work; another is started to wait in its stead."""
        with self._lock:
            child = self._waiting if self._waiting is not None and self._waiting.poll() is None else _spawn()
            self._waiting = None
            self._busy.add(child)
            return child

    def warm(self) -> None:
        """Starts the child that waits, if none does."""
        with self._lock:
            if self._waiting is None or self._waiting.poll() is not None:
                self._waiting = _spawn()

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """Ends a child and returns when it is gone."""
        _stop(child)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        with self._lock:
            self._busy.discard(child)

    def close(self) -> bool:
        """Ends every child, working or waiting; whether one was working."""
        with self._lock:
            busy = list(self._busy)
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self.end(waiting)
        for child in busy:
            _stop(child)  # its pipes are read by the attempt that has it
        return bool(busy)


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_TERM_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _spawn() -> subprocess.Popen[bytes]:
    # a session of its own keeps a terminal's Ctrl-C from it: its worker decides
    return subprocess.Popen(
        [sys.executable, "-m", "whohas.runs.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


@dataclass(frozen=True)
class Supervisor:
    """Carries out runs, each with a child of its own.

    Attributes:
        stopping: set when the worker shuts down: attempts end, their runs go back to the queue.
    """

    settings: Settings
    database: sa.Engine
    warehouse: Warehouse
    artefacts: Artefacts
    children: Children = field(default_factory=Children)
    stopping: threading.Event = field(default_factory=threading.Event)

    def carry_out(self, run_id: str) -> None:
        """One attempt at a run, to its end. A run that is over, or that another attempt has, is left alone."""
        if self.stopping.is_set():
            return
        with self.database.begin() as connection:
            run = table.claim(connection, run_id)
            held = table.get(connection, run_id) if run is None else None
        if run is None:
            if held is not None and held.state is State.CANCELLING:  # and its worker died before it could stop it
                self._let_go(held)
            return
        with structlog.contextvars.bound_contextvars(run_id=run.id, attempt=run.attempt):
            self.artefacts.sweep(run.id, run.attempt - 1)
            if run.attempt > self.settings.run_attempts:
                self._fail(
                    run,
                    "attempts",
                    (
                        f"It was tried {run.attempt - 1} times, and each time its worker ended before it did. "
                        "The server's log says more."
                    ),
                )
                return
            self._attempt(run)

    def _attempt(self, run: Run) -> None:
        started = time.monotonic()
        spill = self.settings.home / "spill" / f"{run.id}-{run.attempt}"
        try:
            artefacts = self._make(run, spill)
        except _Stopped:
            self._let_go(run)
        except WhohasError as error:
            self._fail(run, "engine", error.message)
        except OSError as error:
            self._fail(run, "system", f"The system refused a file or a process: {error.strerror or error}.")
        except Exception:
            log.exception("internal fault", report=run.report_type)
            self._fail(run, "internal", "An internal fault ended it. The server's log has it under the run's id.")
        else:
            if self._succeed(run, artefacts):
                log.info("run succeeded", report=run.report_type, seconds=round(time.monotonic() - started, 3))
            else:
                self._let_go(run)
        finally:
            shutil.rmtree(spill, ignore_errors=True)
            if not self.stopping.is_set():
                self.children.warm()

    def _make(self, run: Run, spill: Path) -> tuple[Artefact, ...]:
        """Has a child make the run's files, and publishes them; when it returns or raises, the child is gone."""
        child = self.children.take()
        try:
            work = self._work(run, spill)
            outputs = {output.format: output for output in work.outputs}
            files = self._watch(run, child, work)
            return tuple(
                Artefact(
                    format=file["format"],
                    name=self.artefacts.publish(Path(outputs[file["format"]].path)),
                    media_type=ZIP if outputs[file["format"]].zipped else "",
                    bytes=file["bytes"],
                    rows=file["rows"],
                    sha256=file["sha256"],
                )
                for file in files
            )
        finally:
            self.children.end(child)

    def clear(self) -> None:
        """Removes what attempts of a worker that died had spilled to disk."""
        shutil.rmtree(self.settings.home / "spill", ignore_errors=True)

    def _let_go(self, run: Run) -> None:
        """The attempt is over without an outcome of its own: cancelled, lost to a later attempt, or handed back."""
        self.artefacts.sweep(run.id, run.attempt)
        with self.database.begin() as connection:
            table.confirm_cancelled(connection, run.id)
            table.hand_back(connection, run.id, run.attempt)

    def _work(self, run: Run, spill: Path) -> Work:
        snapshot = self.warehouse.snapshot(run.snapshot)
        report = reports.find(run.report_type, run.arguments)
        request = reports.Request(run.report_type, run.arguments, run.created, run.launcher)
        plan = report.plan(request, catalogue(snapshot))
        if plan.statement is not None:
            parts = (_part("", plan.statement),)
        else:
            parts = tuple(_part(part.name, part.statement) for part in plan.parts)
        return Work(
            parts=parts,
            tables=united(table for statement in plan.statements for table in table_files(statement, snapshot)),
            outputs=tuple(self._output(run, format, plan.zipped) for format in run.formats),
            time=run.created.timestamp(),
            memory=self.settings.run_memory,
            threads=self.settings.run_threads,
            spill=str(spill),
        )

    def _output(self, run: Run, format: str, zipped: bool) -> Output:
        name = f"{run.report_type.lower()}.{'zip' if zipped else format}"
        return Output(format, str(self.artefacts.part(run.id, run.attempt, name)), zipped)

    def _watch(self, run: Run, child: subprocess.Popen[bytes], work: Work) -> list[dict[str, Any]]:
        """Gives the child its work and follows it; the facts of its files.

        Raises:
            _Stopped: the run was cancelled, lost, or the worker shuts down.
            WhohasError: the child failed; the message says why.
        """
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(work.to_line().encode())
            child.stdin.flush()
        except BrokenPipeError:
            raise WhohasError(_died(child)) from None
        lines = _Lines(child.stdout.fileno())
        noted, facts = 0.0, dict[str, Any]()
        with self.database.connect() as connection:
            while True:
                for facts in lines.read(_LOOK_SECONDS):
                    if "files" in facts:
                        return facts["files"]
                    if "failed" in facts:
                        raise WhohasError(facts["failed"])
                goes_on = table.goes_on(connection, run.id, run.attempt)
                connection.rollback()
                if not goes_on or self.stopping.is_set():
                    raise _Stopped
                if lines.ended:
                    raise WhohasError(_died(child))
                if facts and time.monotonic() - noted > _NOTE_SECONDS:
                    table.note_progress(
                        connection, run.id, run.attempt, facts["progress"], facts["percent"], facts["rows"]
                    )
                    connection.commit()
                    noted = time.monotonic()

    def _succeed(self, run: Run, artefacts: tuple[Artefact, ...]) -> bool:
        rows = max(artefact.rows for artefact in artefacts)
        warned = any(message.level is not Level.INFO for message in run.messages)
        with self.database.begin() as connection:
            return table.finish(
                connection,
                run.id,
                run.attempt,
                State.WARNED if warned else State.SUCCEEDED,
                f"Done, {rows:,} rows",
                rows,
                run.messages,
                artefacts,
            )

    def _fail(self, run: Run, key: str, text: str) -> None:
        self.artefacts.sweep(run.id, run.attempt)
        log.warning("run failed", report=run.report_type, reason=text)
        with self.database.begin() as connection:
            table.finish(
                connection,
                run.id,
                run.attempt,
                State.FAILED,
                "Failed",
                None,
                (*run.messages, Message(Level.ERROR, f"run.failed.{key}", text)),
            )
            table.confirm_cancelled(connection, run.id)


class _Lines:
    """JSON lines from a pipe, without ever waiting longer than asked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.ended = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(descriptor, selectors.EVENT_READ)

    def read(self, seconds: float) -> list[dict[str, Any]]:
        """The lines that came; none if nothing came in that time."""
        if self.ended or not self._selector.select(seconds):
            return []
        data = os.read(self._descriptor, 1 << 16)
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]


def table_files(statement: Statement, snapshot: Snapshot) -> tuple[TableFiles, ...]:
    """The files that a statement reads, of the partitions that matter to it."""
    tables = (
        TableFiles(
            name,
            tuple((field.name, duckdb_type(field.type)) for field in TABLES[name].schema),
            tuple(str(file.path) for file in snapshot.files(TABLES[name], partitions)),
        )
        for name, partitions in statement.tables.items()
    )
    return (*tables, *(TableFiles(name, (), files) for name, files in statement.files.items()))


def united(tables: Iterable[TableFiles]) -> tuple[TableFiles, ...]:
    """Each table once, with the files of all that name it."""
    by_name: dict[str, TableFiles] = {}
    for one in tables:
        files = by_name[one.name].files if one.name in by_name else ()
        by_name[one.name] = TableFiles(one.name, one.columns, tuple(dict.fromkeys((*files, *one.files))))
    return tuple(by_name.values())


def _part(name: str, statement: Statement) -> Part:
    return Part(
        name, statement.sql, statement.parameters, statement.columns, statement.ordered, statement.expected_rows
    )


def duckdb_type(type: pa.DataType) -> str:
    """DuckDB's name of an Arrow type that the tables use."""
    if pa.types.is_map(type):
        return f"MAP({duckdb_type(type.key_type)}, {duckdb_type(type.item_type)})"
    if pa.types.is_list(type):
        return f"{duckdb_type(type.value_type)}[]"
    if pa.types.is_struct(type):
        fields = (f"{quote(field.name)} {duckdb_type(field.type)}" for field in type)
        return f"STRUCT({', '.join(fields)})"
    if pa.types.is_timestamp(type):
        return "TIMESTAMP WITH TIME ZONE"
    return {"string": "VARCHAR", "bool": "BOOLEAN", "int64": "BIGINT"}[str(type)]


def _died(child: subprocess.Popen[bytes]) -> str:
    code = child.wait()
    if code < 0:
        name = signal.Signals(-code).name
        return f"The process of this run was killed ({name}), most likely because the machine ran out of memory."
    return f"The process of this run ended with code {code} before its work was done. The server's log says more."
