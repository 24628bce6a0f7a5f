"""The process that makes the files of one run: `python -m whohas.runs.child`.

It waits on stdin for one line, the work as JSON; says on stdout, a JSON line each, how far it is and how it ended; and
exits. When stdin closes, its worker is gone: it exits at once, in the middle of whatever it does. SIGTERM ends it the
same way. It leaves its unfinished files to the worker, which knows their names.

Only DuckDB is loaded here, and before the work comes: a child that waits starts a run without delay.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import duckdb

from whohas.engine.duckdb import DuckDB, open_duckdb
from whohas.render import csv
from whohas.runs.work import Output, Work

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
            rows = _csv(engine, work, output, say)
            say(progress=f"Checking, {rows:,} rows", percent=95, rows=rows)
            files.append({"format": output.format, "rows": rows, **_seal(Path(output.path))})
    say(files=files)


def _csv(engine: DuckDB, work: Work, output: Output, say: Callable[..., None]) -> int:
    say(progress="Extracting, 0 rows", percent=1, rows=0)

    def on_percent(percent: float) -> None:
        rows = round(work.expected_rows * min(percent, 100.0) / 100)
        say(progress=f"Extracting, {rows:,} rows", percent=1 + round(percent * 0.9), rows=rows)

    statement = csv.copy_statement(work.sql, work.columns, Path(output.path))
    header = csv.header_rows(work.columns)
    return engine.copy(statement, work.parameters, work.ordered or header > 0, on_percent) - header


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
