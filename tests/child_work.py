"""Work for a child process, as a worker gives it: one query, one CSV file."""

from __future__ import annotations

from pathlib import Path

from rendering import ABOUT
from whohas.engine.statement import ResultColumn
from whohas.execution.protocol import OutputFile, Work, WorkPart
from whohas.formats.base import WriteOptions

ENDLESS = "SELECT sum(a.range * b.range) AS n FROM range(10000000) a, range(10000000) b"


def work(folder: Path, sql: str = ENDLESS, memory: int = 1 << 28) -> Work:
    """Return work whose files and temporary data are in `folder`; `memory` is in bytes."""
    part = WorkPart("", sql, {}, (ResultColumn("n", "integer"),), ordered=False, expected_rows=1)
    output = OutputFile("csv", str(folder / "out.csv"))
    return Work((part,), (), (output,), ABOUT, WriteOptions(), memory=memory, threads=1, spill=str(folder / "spill"))
