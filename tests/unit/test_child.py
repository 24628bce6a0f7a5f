"""The child of a run and its worker: it goes on as long as it is told that somebody is there, and no longer; and it
takes no more than it may have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rendering import ABOUT
from whohas.engine.statement import Column
from whohas.errors import WhohasError
from whohas.render.definition import Options
from whohas.runs.children import Children, Done, follow
from whohas.runs.work import Output, Part, Work

GREEDY = "SELECT len(list(range || 'x')) AS n FROM range(30000000)"
ENDLESS = "SELECT sum(a.range * b.range) AS n FROM range(10000000) a, range(10000000) b"
SOON = "from whohas.runs import child; child.LONELY_SECONDS = 3.0; child.main()"
LOADED = """
import json, os, sys
from whohas.runs import child
made = child.carry_out
def carry_out(work, say):
    before = set(sys.modules)
    made(work, say)
    say(new=sorted(name for name in set(sys.modules) - before if name.startswith(("whohas", "pyarrow", "numpy", "duckdb"))))
child.carry_out = carry_out
child.main()
"""
WALLED = "from whohas.runs import child; child._BEYOND_ENGINE = -15 << 28; child.main()"


def work(folder: Path, sql: str = ENDLESS, memory: int = 1 << 28) -> Work:
    part = Part("", sql, {}, (Column("n", "integer"),), ordered=False, expected_rows=1)
    output = Output("csv", str(folder / "out.csv"))
    return Work((part,), (), (output,), ABOUT, Options(), memory=memory, threads=1, spill=str(folder / "spill"))


@contextmanager
def child(code: str = SOON) -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_a_child_whose_worker_hangs_ends_by_itself(tmp_path: Path) -> None:
    with child() as process:
        assert process.stdin is not None
        process.stdin.write(work(tmp_path).to_line().encode())
        process.stdin.flush()
        assert process.wait(60) == 1


def test_a_child_that_nobody_needed_ends_without_a_word() -> None:
    done = subprocess.run([sys.executable, "-m", "whohas.runs.child"], stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_child_that_is_followed_goes_on(tmp_path: Path) -> None:
    with child() as process:
        began = time.monotonic()
        for _ in follow(process, work(tmp_path), 0.1):
            if time.monotonic() - began > 8:
                break
        assert process.poll() is None


def test_a_child_gives_way_to_its_worker_and_hears_nothing_from_a_terminal() -> None:
    children = Children()
    process = children.take()
    try:
        # in another session its priority would be weighed within that session alone
        assert os.getsid(process.pid) == os.getsid(0)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) > os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpgid(process.pid) == process.pid
    finally:
        children.end(process)


def test_the_work_finds_everything_loaded(tmp_path: Path) -> None:
    with child(LOADED) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(work(tmp_path, "SELECT 1 AS n").to_line().encode())
        process.stdin.flush()
        *_, last = process.stdout.read().splitlines()
    assert json.loads(last) == {"new": []}


def test_a_child_that_dies_between_two_words_can_be_ended(tmp_path: Path) -> None:
    children = Children()
    process = children.take()
    telling = follow(process, work(tmp_path), 0.1)
    next(telling)
    process.kill()
    process.wait()
    time.sleep(1.5)
    assert not any(isinstance(facts, Done) for facts in telling)
    children.end(process)


@pytest.mark.parametrize(
    ("code", "memory"),
    [(SOON, 1 << 26), (WALLED, 1 << 32)],
    ids=["the engine's own limit", "the system's"],
)
def test_a_run_that_needs_more_memory_than_it_may_have_says_so(tmp_path: Path, code: str, memory: int) -> None:
    with child(code) as process, pytest.raises(WhohasError, match="more memory than a run may have"):
        list(follow(process, work(tmp_path, GREEDY, memory), 0.1))
