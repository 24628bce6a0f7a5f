"""The process that makes the files of one run: `python -m whohas.runs.child`.

It waits on stdin for one line, the work as JSON; says on stdout, a JSON line each, how far it is and how it ended; and
exits. When stdin closes, its worker is gone: it exits at once, in the middle of whatever it does. SIGTERM ends it the
same way. It leaves its unfinished files to the worker, which knows their names.

Only DuckDB is loaded here, but for a zip, and before the work comes: a child that waits starts a run without delay.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import duckdb

from whohas.engine.duckdb import DuckDB, open_duckdb
from whohas.render import csv
from whohas.runs.work import Output, Part, Work

_NICE = 10
_BEYOND_ENGINE = 1 << 30
"""Bytes of memory on top of the engine's own limit at which the system refuses more: a wall, not a plan."""


def carry_out(work: Work, say: Callable[..., None]) -> None:
    """Makes every file of the work, and says how far it is: `progress`, `percent` (0 to 100), `rows` so far.

    The last word is `files`: bytes, rows and SHA-256 of each output, synced to disk.
    """
    files: list[dict[str, Any]] = []
    with open_duckdb(work.tables, work.memory, work.threads, Path(work.spill)) as engine:
        for output in work.outputs:
            rows = _extract(engine, work, output, say)
            say(progress=f"Checking, {rows:,} rows", percent=95, rows=rows)
            files.append({"format": output.format, "rows": rows, **_seal(Path(output.path))})
    say(files=files)


def _extract(engine: DuckDB, work: Work, output: Output, say: Callable[..., None]) -> int:
    progress = _Progress(work.parts, say)
    path = Path(output.path)
    if not output.zipped:
        (part,) = work.parts
        progress.done(part, _csv(engine, part, path, partial(progress.within, part)))
        return progress.rows
    from whohas.render.zip import open_zip

    with open_zip(path, datetime.fromtimestamp(work.time, UTC)) as archive:
        for part in work.parts:
            with archive.entry(f"{part.name}.{output.format}") as place:
                rows = _csv(engine, part, place, partial(progress.within, part))
            progress.done(part, rows)
    return progress.rows


def _csv(engine: DuckDB, part: Part, path: Path, on_percent: Callable[[float], None]) -> int:
    statement = csv.copy_statement(part.sql, part.columns, path)
    header = csv.header_rows(part.columns)
    return engine.copy(statement, part.parameters, part.ordered or header > 0, on_percent) - header


class _Progress:
    """How far the parts of a file are, taken together; each weighs as much as rows are expected of it.

    Attributes:
        rows: of the parts that are done.
    """

    def __init__(self, parts: Sequence[Part], say: Callable[..., None]) -> None:
        self.rows = 0
        self._weight_done, self._weight = 0, sum(map(_weight, parts))
        self._say = say
        say(progress="Extracting, 0 rows", percent=1, rows=0)

    def within(self, part: Part, percent: float) -> None:
        share = min(percent, 100.0) / 100
        rows = self.rows + round(part.expected_rows * share)
        whole = (self._weight_done + _weight(part) * share) / self._weight
        self._say(progress=f"Extracting, {rows:,} rows", percent=1 + round(90 * whole), rows=rows)

    def done(self, part: Part, rows: int) -> None:
        self.rows += rows
        self._weight_done += _weight(part)


def _weight(part: Part) -> int:
    return max(1, part.expected_rows)


def _seal(path: Path) -> dict[str, Any]:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _exit_with_worker() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _confine(memory: int) -> None:
    os.nice(_NICE)
    wall = memory + _BEYOND_ENGINE
    resource.setrlimit(resource.RLIMIT_DATA, (wall, wall))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _reason(error: BaseException) -> str:
    match error:
        case duckdb.OutOfMemoryException() | MemoryError():
            return (
                "It needs more memory than a run may have, or more room on the disk than there is to spill to. "
                f"Raise WHOHAS_RUN_MEMORY, or free the disk. ({_first_line(error)})"
            )
        case duckdb.IOException() | OSError():
            return f"A file could not be read or written: is the disk full? ({_first_line(error)})"
        case _:
            return f"The engine could not run the report's statement. ({_first_line(error)})"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def main() -> None:
    line = sys.stdin.readline()
    if not line:
        return
    work = Work.from_line(line)
    lock = Lock()
    # the worker reads nothing but our lines from this pipe, so whatever else prints goes to stderr
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(**facts: Any) -> None:
        with lock:
            out.write(json.dumps(facts) + "\n")

    Thread(target=_exit_with_worker, daemon=True).start()
    _confine(work.memory)
    try:
        carry_out(work, say)
    except (duckdb.Error, OSError, MemoryError) as error:
        say(failed=_reason(error))
    out.flush()
    # no waiting for threads of libraries: everything is on disk and said
    os._exit(0)


if __name__ == "__main__":
    main()
