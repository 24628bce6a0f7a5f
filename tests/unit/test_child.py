"""The child of a run and its worker: it goes on as long as it is told that somebody is there, and no longer."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rendering import ABOUT
from whohas.engine.statement import Column
from whohas.render.definition import Options
from whohas.runs.children import follow
from whohas.runs.work import Output, Part, Work

ENDLESS = "SELECT sum(a.range * b.range) AS n FROM range(10000000) a, range(10000000) b"
SOON = "from whohas.runs import child; child.LONELY_SECONDS = 3.0; child.main()"


def endless(folder: Path) -> Work:
    part = Part("", ENDLESS, {}, (Column("n", "integer"),), ordered=False, expected_rows=1)
    output = Output("csv", str(folder / "out.csv"))
    return Work((part,), (), (output,), ABOUT, Options(), memory=1 << 28, threads=1, spill=str(folder / "spill"))


@contextmanager
def child() -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", SOON], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_a_child_whose_worker_hangs_ends_by_itself(tmp_path: Path) -> None:
    with child() as process:
        assert process.stdin is not None
        process.stdin.write(endless(tmp_path).to_line().encode())
        process.stdin.flush()
        assert process.wait(60) == 1


def test_a_child_that_is_followed_goes_on(tmp_path: Path) -> None:
    with child() as process:
        began = time.monotonic()
        for _ in follow(process, endless(tmp_path), 0.1):
            if time.monotonic() - began > 8:
                break
        assert process.poll() is None
