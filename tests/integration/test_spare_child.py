"""A child that is forked ahead of its work: it is used by the next run, and does not outlive its use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import support
from attempts import Bench
from patience import NEVER_SECONDS, until
from whohas import timeouts
from whohas.execution.processes import ChildPool
from whohas.runs.models import RunState


@pytest.fixture
def children() -> Iterator[ChildPool]:
    pool = ChildPool()
    pool.fork_server.start()
    yield pool
    pool.close()


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spare child waits for as long as a test needs."""
    monkeypatch.setattr(timeouts, "CHILD_SPARE_SECONDS", NEVER_SECONDS)


def forked() -> set[int]:
    """The ids of the processes that were forked from the fork server of this process."""
    return {child.pid for child in support.children(os.getpid())}


@pytest.mark.usefixtures("unlimited")
def test_the_next_run_gets_the_spare_child(children: ChildPool) -> None:
    children.fork_ahead()
    children.fork_ahead()
    until(lambda: children.has_spare)
    (spare,) = forked()
    one, other = children.fork(), children.fork()
    assert one.pid == spare
    assert other.pid != spare
    for child in (one, other):
        children.end(child)
    until(lambda: not forked())


def test_a_spare_child_without_work_is_ended(children: ChildPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "CHILD_SPARE_SECONDS", 0.01)
    for _ in range(2):
        children.fork_ahead()
        until(lambda: not children.expects_work)
        until(lambda: not forked())


@pytest.mark.usefixtures("unlimited")
def test_a_spare_child_that_was_killed_is_replaced(children: ChildPool) -> None:
    children.fork_ahead()
    until(lambda: children.has_spare)
    (spare,) = forked()
    psutil.Process(spare).kill()
    until(lambda: spare not in forked())
    child = children.fork()
    assert child.pid != spare
    assert not child.wait_ended()
    children.end(child)


@pytest.mark.usefixtures("unlimited")
def test_a_spare_child_ends_with_its_worker(children: ChildPool) -> None:
    children.fork_ahead()
    until(lambda: children.has_spare)
    (spare,) = forked()
    children.close()
    until(lambda: not psutil.pid_exists(spare))
    children.fork_ahead()
    until(lambda: not children.expects_work)
    assert not children.has_spare, "a closed pool starts no fork server"


@pytest.mark.usefixtures("unlimited")
def test_only_a_start_that_queues_a_run_forks(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "")
    children = bench.supervisor.children
    try:
        run = bench.start()
        until(lambda: children.has_spare)
        (spare,) = forked()
        children.end(children.fork())
        assert spare not in forked()
        assert bench.start().id == run.id
        assert not children.expects_work
    finally:
        children.close()


def test_a_run_is_carried_out_by_its_spare_child(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "")
    assert bench.carry_out(bench.start()).state in (RunState.SUCCEEDED, RunState.WARNED)
    until(lambda: not forked())


@pytest.mark.usefixtures("unlimited")
def test_the_fork_server_keeps_a_single_thread(children: ChildPool) -> None:
    child = children.fork()  # by now the fork server has loaded everything, and has opened the engine
    try:
        assert {one.num_threads() for one in support.fork_servers(os.getpid())} == {1}
    finally:
        children.end(child)


@pytest.mark.usefixtures("unlimited")
def test_a_spare_child_warms_up_before_its_work(children: ChildPool) -> None:
    children.fork_ahead()
    until(lambda: children.has_spare)
    (spare,) = forked()
    until(lambda: psutil.Process(spare).num_threads() > 1)  # those of its engine
    child = children.fork()
    assert (child.pid, child.wait_ended()) == (spare, False)
    children.end(child)


def test_the_fork_server_unmaps_the_code_of_the_engine(children: ChildPool) -> None:
    children.end(children.fork())
    (server,) = support.fork_servers(os.getpid())
    (code,) = (part for part in server.memory_maps(grouped=False) if "_duckdb" in part.path and "x" in part.perms)
    assert code.rss < code.size / 20, "a third of it is mapped while the engine is loaded"
