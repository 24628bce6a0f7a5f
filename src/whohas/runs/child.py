"""The process that makes the files of one run, forked from one that has all loaded that any work needs (see
`forkserver`).

It waits on stdin for one line, the work as JSON; says on stdout, a JSON line each, how far it is and how it ended; and
exits. When stdin closes, its worker is gone, and when no more empty lines come, its worker hangs: it exits at once, in
the middle of whatever it does. SIGTERM ends it the same way. It leaves its unfinished files to the worker, which knows
their names.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NoReturn

import duckdb

from whohas import timeouts
from whohas.engine.duckdb import ENGINE, DuckDB, RowSum, noted, open_duckdb, warm_up
from whohas.engine.sql import literal
from whohas.errors import WhohasError
from whohas.render import parquet
from whohas.render.definition import About, Extract, Format, Rows
from whohas.render.registry import find, formats
from whohas.runs.progress import Progress
from whohas.runs.sealing import Sealing
from whohas.runs.work import ALONE, EXTRACT, Output, Part, Work

_BEYOND_ENGINE = 2 << 30
"""Bytes on top of the engine's own limit at which the system refuses more: a wall, not a plan. It counts address space,
of which allocators keep what they have once had: a run of several formats holds twice as much as it uses."""
_OOM_SCORE = 800
"""How much sooner than others the kernel ends a child for want of memory, of 1,000."""
_ORDERED_ROWS = 200_000
"""Up to so many rows a file has them as their table has them."""

_WIDE = 200
"""Columns above which a statement is planned as a wide one; see `DuckDB.copy`."""

_EXTRACT_WEIGHT = 1.5
_SEAL_WEIGHT = 0.1


def carry_out(work: Work, say: Callable[..., None]) -> None:
    """Makes every file of the work, and says how far it is: `progress`, `percent` (0 to 100), `rows` so far.

    The last word is `files`: bytes, rows and SHA-256 of each extract and output, synced to disk; and `notes`: what a
    reader of the run should know; and `phases`: see `Progress.phases`; and `digest` of the rows of statements. A work
    without outputs comes to its digest alone.
    """
    _Making(work, say).all()


@dataclass
class _Made:
    """The rows of a part as far as they are known: where they are, and how many."""

    part: Part
    about: About
    rows: Rows
    parameters: dict[str, Any]
    ordered: bool
    count: int
    sums: RowSum | None = None
    """Counts the rows of a statement that goes straight into its file."""


class _Making:
    """The files of one work, under way."""

    def __init__(self, work: Work, say: Callable[..., None]) -> None:
        self._work = work
        self._say = say
        self._formats = {output.format: find(output.format) for output in work.outputs}
        self._progress = Progress(say, list(self._weights()))
        self._notes: list[str] = []
        self._digests: list[dict[str, Any]] = []

    def _weights(self) -> Generator[float]:
        work = self._work
        yield from (_EXTRACT_WEIGHT * part.expected_rows for part in work.parts if part.extract and part.sql)
        for output in work.outputs:
            for part in work.parts:
                yield self._formats[output.format].weight * part.expected_rows
            yield _SEAL_WEIGHT * sum(part.expected_rows for part in work.parts)

    def all(self) -> None:
        if not self._work.outputs:
            self._digest()
            return
        made = [self._extracted(part) if part.extract else self._straight(part) for part in self._work.parts]
        files = [
            {"format": EXTRACT, "path": one.part.extract, "rows": one.count, **Sealing(Path(one.part.extract)).seal()}
            for one in made
            if one.part.extract and one.part.sql
        ]
        for output in self._work.outputs:
            sealing = Sealing(Path(output.path))
            rows = self._file(output, made, sealing)
            self._progress.begin(f"Checking the {output.format.upper()}")
            self._progress.at(0.0, rows)
            files.append({"format": output.format, "path": output.path, "rows": rows, **sealing.seal()})
        for one in made:
            if one.sums is not None:
                self._add_digest(one.part, one.sums.rows, one.sums.sum)
        self._end(files)

    def _end(self, files: list[dict[str, Any]]) -> None:
        digest = {"engine": ENGINE, "parts": self._digests} if self._digests else None
        self._say(files=files, notes=self._notes, phases=self._progress.phases(), digest=digest)

    def _digest(self) -> None:
        """Runs the statements for the digest of their rows alone."""
        for part in self._work.parts:
            with self._engine() as engine:
                self._add_digest(part, *engine.digest(part.sql, part.columns, part.parameters))
        self._end([])

    def _add_digest(self, part: Part, rows: int, sum: int) -> None:
        self._digests.append({"name": part.name, "rows": rows, "sum": str(sum)})

    def _straight(self, part: Part) -> _Made:
        rows = self._noted(part)
        return _Made(part, self._about, rows, part.parameters, part.ordered, part.expected_rows, RowSum())

    def _noted(self, part: Part) -> Rows:
        """The rows of a part's statement, which are counted on their way."""
        return Rows(noted(part.sql, part.columns), part.columns, part.name, part.group)

    def _extracted(self, part: Part) -> _Made:
        """The rows in a Parquet file, which is made unless it is there."""
        path = Path(part.extract)
        if not part.sql:
            about, rows, count = parquet.read(path)
            return _Made(part, about, rows, {}, True, count)
        rows = self._noted(part)
        columns = rows.columns
        if any(output.format == "parquet" for output in self._work.outputs):  # the extract is that file
            columns = tuple(column.stored for column in columns)
            statement = parquet.copy_statement(rows, path, self._about, self._work.options)
        else:
            statement = parquet.extract_statement(rows, path, self._about)
        self._progress.begin("Extracting")
        ordered = part.ordered or bool(part.group)
        sums = RowSum()
        count = self._copy(statement, part.parameters, ordered, part.expected_rows, len(columns), sums)
        self._add_digest(part, sums.rows, sums.sum)
        there = replace(rows, sql=f"SELECT * FROM read_parquet({literal(part.extract)})", columns=columns)
        return _Made(part, self._about, there, {}, True, count)

    @property
    def _about(self) -> About:
        assert self._work.about is not None, "a statement belongs to a run"
        return self._work.about

    def _file(self, output: Output, made: list[_Made], sealing: Sealing) -> int:
        format = self._formats[output.format]
        path = Path(output.path)
        if not output.zipped:
            (one,) = made
            with sealing.on_the_way() if format.copy is not None else nullcontext():
                return self._rows(format, one, path)
        from whohas.render.zip import open_zip

        rows = 0
        with open_zip(path, made[0].about.started_at) as archive:
            for one in made:
                with archive.entry(f"{one.rows.name}.{format.name}") as place, _beside(format, path, place) as to:
                    rows += self._rows(format, one, to)
        return rows

    def _rows(self, format: Format, one: _Made, path: Path) -> int:
        """Writes the rows of a part to a file, and returns how many they were."""
        about, options = one.about, self._work.options
        self._progress.begin(f"Writing the {format.name.upper()}" if one.part.extract else "Extracting")
        if format is find("parquet") and one.part.extract and not any(column.single for column in one.rows.columns):
            path.unlink(missing_ok=True)
            os.link(one.part.extract, path)  # the extract is that file
        elif format.copy is not None:
            header = format.uncounted(one.rows.columns)
            with format.through(path) as place:
                statement = format.copy(one.rows, place, about, options)
                ordered = one.ordered or header > 0
                columns = len(one.rows.columns)
                return self._copy(statement, one.parameters, ordered, one.count, columns, one.sums) - header
        elif format.write is not None:
            extract = Extract(Path(one.part.extract), one.rows, one.count, partial(self._wrote, one.count))
            self._notes += format.write(extract, path, about, options)
        return one.count

    def _wrote(self, count: int, rows: int) -> None:
        self._progress.at(rows / max(count, 1), rows)

    def _copy(
        self,
        statement: str,
        parameters: dict[str, Any],
        ordered: bool,
        expected: int,
        columns: int,
        sums: RowSum | None,
    ) -> int:
        def on_percent(percent: float) -> None:
            self._progress.at(percent / 100, round(expected * min(percent, 100.0) / 100))

        small = 0 < expected <= _ORDERED_ROWS
        with self._engine() as engine:
            return engine.copy(statement, parameters, ordered or small, small, sums, columns > _WIDE, on_percent)

    def _engine(self) -> AbstractContextManager[DuckDB]:
        """An engine for one statement: what one keeps in memory, the next would lack."""
        work = self._work
        return open_duckdb(work.tables, work.memory, work.threads, Path(work.spill))


@contextmanager
def _beside(format: Format, path: Path, place: Path) -> Generator[Path]:
    """Where a format writes a file of a zip: straight into it, or beside it first where it does not go from first byte
    to last."""
    if format.streams:
        yield place
        return
    beside = path.with_name(f"{path.name}-entry")
    try:
        yield beside
        with beside.open("rb") as file, place.open("wb") as to:
            shutil.copyfileobj(file, to, 1 << 20)
    finally:
        beside.unlink(missing_ok=True)


def _exit_with_worker() -> None:
    while select.select([0], [], [], timeouts.CHILD_PARENT_SECONDS)[0] and os.read(0, 1 << 12):
        pass
    os._exit(ALONE)


def get_ready() -> None:
    """Loads all that any work needs."""
    formats()  # brings in their modules
    warm_up()
    gc.freeze()  # what is loaded stays: no collection need look through it


def _confine(memory: int) -> None:
    wall = memory + _BEYOND_ENGINE
    resource.setrlimit(resource.RLIMIT_DATA, (wall, wall))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        # where memory is short the kernel is to end a run, and not the server that may have grown larger over the years
        Path("/proc/self/oom_score_adj").write_text(f"{_OOM_SCORE}")


def _reason(error: BaseException, columns: int) -> str:
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
            return f"A file could not be read or written: is the disk full? ({_first_line(error)})"
        case _:
            return f"The engine could not run the report's statement. ({_first_line(error)})"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def main() -> NoReturn:
    """Does the work that its standard input tells, and ends the process; a fault of its own is left to `forkserver`."""
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    work = Work.from_line(line)
    lock = Lock()
    # the worker reads nothing but our lines from this pipe, so whatever else prints goes to stderr
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(**facts: Any) -> None:
        with lock:
            try:
                out.write(json.dumps(facts) + "\n")
            except BrokenPipeError:
                os._exit(ALONE)  # the worker is gone, which its other stream may tell only later

    Thread(target=_exit_with_worker, daemon=True).start()
    _confine(work.memory)
    try:
        carry_out(work, say)
    except (duckdb.Error, OSError, MemoryError, WhohasError) as error:
        say(failed=_reason(error, max((len(part.columns) for part in work.parts), default=0)))
    # no waiting for threads of libraries: everything is on disk and said
    os._exit(0)
