"""The child process that makes the files of one run. It is forked by `forkserver`, which has loaded all modules.

The child reads one line from stdin, the `Work` as JSON. It writes JSON lines to stdout: progress, and at the end either
the finished files or the reason of the failure. Then it exits.

The worker writes an empty line to the child's stdin every few seconds as a heartbeat. The child exits at once with code
`EXIT_WORKER_GONE`, without cleaning up, when stdin is closed (the worker has ended) or when no heartbeat comes for
`timeouts.CHILD_ORPHAN_SECONDS` (the worker hangs). SIGTERM ends it too. The worker removes unfinished files, whose
names it chose.

While another engine executes the statements, the child has that engine stop before it exits for either reason.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import shutil
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock, Thread, current_thread, main_thread
from typing import Any, NoReturn

import duckdb

from whohas import timeouts
from whohas.engine.duckdb import (
    ENGINE_VERSION,
    DuckDBConnection,
    RowDigest,
    connect_unlimited,
    open_duckdb,
    warm_up,
    with_row_hashes,
)
from whohas.engine.remote import ENGINE_TITLES, EngineAddress, RemoteEngine, open_engine, rows_statement
from whohas.engine.sql import string_literal
from whohas.engine.summary import RowsSummary
from whohas.errors import WhohasError
from whohas.execution.outputs import OutputFiles, UnfinishedFile
from whohas.execution.progress import RunProgress
from whohas.execution.protocol import EXIT_WORKER_GONE, OutputFile, Work, WorkPart
from whohas.formats import parquet
from whohas.formats.base import Extract, Format, ReportMetadata, RowsQuery
from whohas.formats.registry import find_format, formats
from whohas.storage import EXTRACT

_BEYOND_ENGINE = 2 << 30
"""Bytes on top of the engine's own memory limit that RLIMIT_DATA allows the process: a hard limit, not a budget. The
limit counts address space, and allocators keep address space that they have freed: a run of several formats holds about
twice as much as it uses."""
_OOM_SCORE = 800
"""The child's `oom_score_adj`, -1,000 to 1,000: the kernel's OOM killer prefers processes with a higher score."""
_SMALL_ROWS = 200_000
"""A result of at most this many estimated rows is written in the order of its first table, ordered or not; a smaller
work has one engine for all its statements."""

_WIDE = 200
"""A statement with more columns than this is planned without the optimizers whose time grows with the square of the
number of columns; see `DuckDBConnection.copy`."""

_ENGINE_WEIGHT = 2.0
_EXTRACT_WEIGHT = 1.5
_SUMMARY_WEIGHT = 0.1
_SEAL_WEIGHT = 0.1


def do_work(work: Work, report: Callable[..., None], connection: duckdb.DuckDBPyConnection | None = None) -> None:
    """Write every file of the work, and report progress.

    A work without outputs writes no file but the extracts of its parts, which are summarized. Without extracts either,
    its statements are executed for the digest of their rows alone.

    Args:
        report: called with keyword arguments. While the work lasts: `progress` (a sentence), `percent` (1 to 99) and
            `rows` (written so far). In the last call: `files` (format, path, key, rows, bytes and SHA-256 of each
            extract and output, synced to disk or uploaded), `notes` (warnings for readers of the run), `phases` (see
            `RunProgress.end_phases`), `digest` (of the rows of the statements; None where no statement was
            executed), `engine` (which executed them, with its version; empty likewise) and `summary` (of the rows of
            each part; None where there is no extract).
        connection: an unused connection from `connect_unlimited` for the first statement; None to open one.

    Raises:
        duckdb.Error: a statement failed, or it was out of memory.
        OSError: a file could not be read or written.
        WhohasError: a format cannot hold the rows.
    """
    _JobRunner(work, report, connection).run()


@dataclass
class _PartRows:
    """The rows of a part, ready to be written to outputs.

    Attributes:
        rows: the query that yields them: the part's statement, or a scan of its extract.
        ordered: whether the order of the rows must be kept.
        count: the number of rows; an estimate where there is no extract.
    """

    part: WorkPart
    about: ReportMetadata
    rows: RowsQuery
    parameters: dict[str, Any]
    ordered: bool
    count: int
    row_digest: RowDigest | None = None
    """The digest of the rows of a statement that is written to its file without an extract; None with an extract."""
    summary: RowsSummary | None = None
    """The summary of the rows of an extract; None without one."""


class _JobRunner:
    """Writes the files of one work, in one of two ways for each part.

    - Several outputs, or a format that reads the rows more than once: the rows of the statement are first written to an
      extract, a Parquet file, and each output is made from it.
    - A single output such as CSV: DuckDB writes the rows of the statement to the output directly.

    Where another engine executes the statements, it does so first, and its rows take the place of the statement's.
    """

    def __init__(
        self, work: Work, report: Callable[..., None], connection: duckdb.DuckDBPyConnection | None = None
    ) -> None:
        self._work = work
        self._unused_connection = connection
        self._shared_engine: DuckDBConnection | None = None
        self._report = report
        self._files = OutputFiles(work)
        self._formats = {output.format: find_format(output.format) for output in work.outputs}
        self._progress = RunProgress(report, list(self._weights()))
        self._notes: list[str] = []
        self._digests: list[dict[str, Any]] = []
        self._summaries: list[RowsSummary] = []
        self._executed_by = ENGINE_VERSION

    def _weights(self) -> Generator[float]:
        work = self._work
        yield from (_ENGINE_WEIGHT * part.expected_rows for part in work.parts if part.remote)
        yield from (_EXTRACT_WEIGHT * part.expected_rows for part in work.parts if part.extract and part.sql)
        if any(part.extract for part in work.parts):
            yield _SUMMARY_WEIGHT * sum(part.expected_rows for part in work.parts)
        for output in work.outputs:
            for part in work.parts:
                yield self._formats[output.format].relative_time * part.expected_rows
            yield _SEAL_WEIGHT * sum(part.expected_rows for part in work.parts)

    def run(self) -> None:
        if self._work.engine is not None:
            self._work = replace(self._work, parts=self._executed(self._work.engine), tables=())
        if not self._work.outputs and not any(part.extract for part in self._work.parts):
            self._digest_only()
            return
        sources = [
            self._rows_of_extract(part) if part.extract else self._rows_of_statement(part) for part in self._work.parts
        ]
        files = [
            {"format": EXTRACT, "rows": source.count, **self._files.extract(source.part).finalize()}
            for source in sources
            if source.part.extract and source.part.sql
        ]
        self._summarize(sources)
        for output in self._work.outputs:
            file = self._files.output(output)
            rows = self._write_output(output, sources, file)
            self._progress.begin_phase(f"Checking the {output.format.upper()}")
            self._progress.update(0.0, rows)
            files.append({"format": output.format, "rows": rows, **file.finalize()})
        for source in sources:
            if source.row_digest is not None:
                self._add_digest(source.part, source.row_digest.rows, source.row_digest.sum)
        self._report_end(files)

    def _executed(self, address: EngineAddress) -> tuple[WorkPart, ...]:
        """Execute the statements of all parts on another engine, and return parts that read the rows that it wrote."""
        parts: list[WorkPart] = []
        folder = Path(address.folder)
        folder.mkdir(parents=True)
        # the engine may run as another user, to whom the folder above has been opened
        folder.chmod(folder.parent.stat().st_mode & 0o7777)
        with open_engine(address) as engine, _stopping(engine):
            self._executed_by = engine.version
            for number, part in enumerate(self._work.parts):
                assert part.remote is not None, "all parts of a run are executed on one engine"
                self._progress.begin_phase(f"Running on {ENGINE_TITLES[address.engine]}")
                rows = folder / f"part-{number}"
                engine.write_rows(
                    part.remote.sql, part.remote.tables, rows, lambda share: self._progress.update(share, 0)
                )
                columns = tuple(replace(column, single=False) for column in part.columns)
                sql = rows_statement(rows, columns, part.remote.order)
                parts.append(replace(part, sql=sql, parameters={}, columns=columns, remote=None))
        return tuple(parts)

    def _report_end(self, files: list[dict[str, Any]]) -> None:
        digest = {"engine": ENGINE_VERSION, "parts": self._digests} if self._digests else None
        self._report(
            files=files,
            notes=self._notes,
            phases=self._progress.end_phases(),
            digest=digest,
            engine=self._executed_by if digest else "",
            summary=[summary.to_json() for summary in self._summaries] or None,
        )

    def _summarize(self, sources: list[_PartRows]) -> None:
        """Compute the summary of each part from its extract."""
        extracted = [source for source in sources if source.part.extract]
        if not extracted:
            return
        self._progress.begin_phase("Summarizing")
        for done, source in enumerate(extracted, 1):
            with self._engine() as engine:
                source.summary = engine.summarize(source.rows.sql, source.part.summary, source.rows.name)
            self._summaries.append(source.summary)
            self._progress.update(done / len(extracted), source.count)

    def _digest_only(self) -> None:
        """Execute the statements without writing files, and report the digest of their rows."""
        for part in self._work.parts:
            with self._engine() as engine:
                self._add_digest(part, *engine.digest(part.sql, part.columns, part.parameters))
        self._report_end([])

    def _add_digest(self, part: WorkPart, rows: int, sum: int) -> None:
        self._digests.append({"name": part.name, "rows": rows, "sum": str(sum)})

    def _rows_of_statement(self, part: WorkPart) -> _PartRows:
        rows = self._with_digest(part)
        return _PartRows(part, self._about, rows, part.parameters, part.ordered, part.expected_rows, RowDigest())

    def _with_digest(self, part: WorkPart) -> RowsQuery:
        """Return the rows of a part's statement, rewritten so that the engine digests each row that it yields."""
        return RowsQuery(with_row_hashes(part.sql, part.columns), part.columns, part.name, part.group, part.order)

    def _rows_of_extract(self, part: WorkPart) -> _PartRows:
        """Write the rows of a part to its extract, a Parquet file, unless an earlier run did; return them from
        there."""
        path = Path(part.extract)
        if not part.sql:
            about, rows, count = parquet.read_parquet_file(path)
            return _PartRows(part, about, rows, {}, True, count)
        rows = self._with_digest(part)
        columns = rows.columns
        if any(output.format == "parquet" for output in self._work.outputs):  # the extract is that file
            columns = tuple(column.as_stored for column in columns)
            statement = parquet.copy_statement(rows, path, self._about, self._work.options)
        else:
            statement = parquet.extract_statement(rows, path, self._about)
        self._progress.begin_phase("Extracting")
        ordered = part.ordered or bool(part.group)
        row_digest = RowDigest()
        count = self._copy(statement, part.parameters, ordered, part.expected_rows, len(columns), row_digest)
        self._add_digest(part, row_digest.rows, row_digest.sum)
        extracted = replace(rows, sql=f"SELECT * FROM read_parquet({string_literal(part.extract)})", columns=columns)
        return _PartRows(part, self._about, extracted, {}, True, count)

    @property
    def _about(self) -> ReportMetadata:
        assert self._work.about is not None, "a statement belongs to a run"
        return self._work.about

    def _write_output(self, output: OutputFile, sources: list[_PartRows], file: UnfinishedFile) -> int:
        """Write one output file, and return its number of rows."""
        format = self._formats[output.format]
        if not output.zipped:
            (source,) = sources
            with file.writing(format) as path:
                return self._write_rows(format, source, path)
        from whohas.formats.zip import open_zip

        rows = 0
        with file.writing(None) as path, open_zip(path, sources[0].about.started_at) as archive:
            for source in sources:
                name = f"{source.rows.name}.{format.name}"
                with archive.entry(name) as pipe, _entry_target(format, path, pipe) as target:
                    rows += self._write_rows(format, source, target)
        return rows

    def _write_rows(self, format: Format, source: _PartRows, path: Path) -> int:
        """Write the rows of a part to a file in a format, and return their number."""
        about, options = source.about, self._work.options
        self._progress.begin_phase(f"Writing the {format.name.upper()}" if source.part.extract else "Extracting")
        if (
            format is find_format("parquet")
            and source.part.extract
            and not any(column.single for column in source.rows.columns)
        ):
            # the extract was written as the Parquet output, so a hard link saves writing it twice
            path.unlink(missing_ok=True)
            os.link(source.part.extract, path)
        elif format.copy is not None:
            header = format.count_header_rows(source.rows.columns)
            with format.open_output(path) as target:
                statement = format.copy(source.rows, target, about, options)
                ordered = source.ordered or header > 0
                columns = len(source.rows.columns)
                return (
                    self._copy(statement, source.parameters, ordered, source.count, columns, source.row_digest) - header
                )
        elif format.write is not None:
            extract = Extract(
                Path(source.part.extract),
                source.rows,
                source.count,
                partial(self._report_written, source.count),
                source.summary,
            )
            self._notes += format.write(extract, path, about, options)
        return source.count

    def _report_written(self, count: int, rows: int) -> None:
        self._progress.update(rows / max(count, 1), rows)

    def _copy(
        self,
        statement: str,
        parameters: dict[str, Any],
        ordered: bool,
        expected: int,
        columns: int,
        row_digest: RowDigest | None,
    ) -> int:
        def on_percent(percent: float) -> None:
            self._progress.update(percent / 100, round(expected * min(percent, 100.0) / 100))

        small = 0 < expected <= _SMALL_ROWS
        with self._engine() as engine:
            return engine.copy(statement, parameters, ordered or small, small, row_digest, columns > _WIDE, on_percent)

    def _engine(self) -> AbstractContextManager[DuckDBConnection]:
        """Open an engine for one statement.

        Each statement of a large work gets a new one, because an engine keeps memory that the next would need. Those of
        a small work share one: opening it would take most of their time.
        """
        if self._shared_engine is not None:
            return nullcontext(self._shared_engine)
        work = self._work
        connection, self._unused_connection = self._unused_connection, None
        small = 0 < sum(part.expected_rows for part in work.parts) <= _SMALL_ROWS
        only_one = len(work.parts) == 1 and not work.parts[0].extract
        engine = open_duckdb(
            work.tables, work.memory, work.threads, Path(work.spill), connection, close=not (small or only_one)
        )
        if not small:
            return engine
        # never closed: the process exits next
        self._shared_engine = ExitStack().enter_context(engine)
        return nullcontext(self._shared_engine)


_engines_at_work: list[RemoteEngine] = []
"""The engine that executes statements for this process at the moment, if any."""


@contextmanager
def _stopping(engine: RemoteEngine) -> Generator[None]:
    """Have the engine stop its work if the process is ended in the meantime: by SIGTERM, or because its worker is gone.

    Without it, the engine would go on for a client that is no longer there.
    """

    def end(number: int, _: object) -> None:
        _stop_engines()
        os._exit(128 + number)

    handler = signal.signal(signal.SIGTERM, end) if current_thread() is main_thread() else None
    _engines_at_work.append(engine)
    try:
        yield
    finally:
        _engines_at_work.remove(engine)
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)


def _stop_engines() -> None:
    """Have the engine stop its work; wait for its answer, but not so long that SIGKILL comes first."""
    for engine in _engines_at_work:
        stopper = Thread(target=engine.interrupt, daemon=True)
        stopper.start()
        stopper.join(timeouts.ENGINE_STOP_SECONDS)


@contextmanager
def _entry_target(format: Format, path: Path, pipe: Path) -> Generator[Path]:
    """Yield the path to which a format writes an entry of a zip.

    A format that writes from the first byte to the last writes to the pipe of the entry. Any other writes to a
    temporary file next to the zip, which is copied to the pipe when the context ends.
    """
    if format.streams:
        yield pipe
        return
    temporary = path.with_name(f"{path.name}-entry")
    try:
        yield temporary
        with temporary.open("rb") as file, pipe.open("wb") as target:
            shutil.copyfileobj(file, target, 1 << 20)
    finally:
        temporary.unlink(missing_ok=True)


def _exit_with_worker() -> None:
    """Read heartbeats from stdin; exit the process when it is closed or when they stop."""
    while select.select([0], [], [], timeouts.CHILD_ORPHAN_SECONDS)[0] and os.read(0, 1 << 12):
        pass
    _stop_engines()
    os._exit(EXIT_WORKER_GONE)


def preload() -> duckdb.DuckDBPyConnection:
    """Load all modules and libraries that any work needs; called once, before the first fork.

    Returns:
        A connection for the first statement of each child. Opening one takes 15 to 30 ms of processor time, so the
        children inherit it. It has no threads, and its database is empty and in memory: each child has a copy.
    """
    formats()  # imports the modules of all formats
    connection = connect_unlimited()
    warm_up(connection)
    # garbage collections in children skip the objects loaded here, so that their memory stays shared with the parent
    gc.freeze()
    return connection


def _apply_limits(memory: int) -> None:
    limit = memory + _BEYOND_ENGINE
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        # where memory is short, the kernel is to kill a run rather than the server, even where the server is larger
        Path("/proc/self/oom_score_adj").write_text(f"{_OOM_SCORE}")


def _failure_reason(error: BaseException, columns: int) -> str:
    """Return a message for the run's launcher: why the work failed and what to do.

    Args:
        error: the error that ended the work.
        columns: the number of columns of the widest statement.
    """
    match error:
        case duckdb.OutOfMemoryException() | MemoryError():
            wide = f"Its {columns:,} columns take 0.1 to 0.5 MB each. " if columns > _WIDE else ""
            return (
                "It needs more memory than a run may have, or more room on the disk than there is to spill to. "
                f"{wide}Raise WHOHAS_RUN_MEMORY, or free the disk. ({_first_line(error)})"
            )
        case WhohasError():
            return error.message
        case duckdb.IOException() | OSError():
            return (
                "A file could not be read or written: is the disk full? Free space there, and start the report again. "
                f"({_first_line(error)})"
            )
        case _:
            return (
                f"The engine could not run the report's statement. ({_first_line(error)}) Start the report again; if "
                "that fails too, report it together with this message."
            )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def main(connection: duckdb.DuckDBPyConnection) -> NoReturn:
    """Carry out the work that is read from stdin, report to stdout, and exit the process.

    Expected errors (engine, disk, memory) are reported as `failed`. Any other exception is a bug: it is raised, and
    `forkserver` logs it.

    Args:
        connection: the one from `preload`.
    """
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    work = Work.from_line(line)
    lock = Lock()
    # the worker parses each line of this pipe as JSON, so output of libraries to descriptor 1 is redirected to stderr
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def report(**facts: Any) -> None:
        with lock:
            try:
                out.write(json.dumps(facts) + "\n")
            except BrokenPipeError:
                os._exit(EXIT_WORKER_GONE)  # the worker has ended; stdin may be closed only later

    Thread(target=_exit_with_worker, daemon=True).start()
    _apply_limits(work.memory)
    try:
        do_work(work, report, connection)
    except (duckdb.Error, OSError, MemoryError, WhohasError) as error:
        report(failed=_failure_reason(error, max((len(part.columns) for part in work.parts), default=0)))
    # exit without waiting for threads of libraries: all files are synced and the end is reported
    os._exit(0)
