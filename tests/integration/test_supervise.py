"""One attempt at a run, without a server and without a queue: what becomes of it when something is missing."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from attempts import Bench
from whohas.errors import NotFound, QuotaExceeded
from whohas.execution.lease import FileLockLease
from whohas.execution.processes import ForkServer
from whohas.execution.queue import Lane
from whohas.runs import listing
from whohas.runs.models import Run, RunState


@pytest.fixture
def bench(home: Path, database_url: str, fork_server: ForkServer) -> Bench:
    return Bench(home, database_url, fork_server)


def failure(run: Run) -> str:
    assert run.state is RunState.FAILED
    return run.messages[-1].text


def test_a_run_is_carried_out_once(bench: Bench) -> None:
    done = bench.carry_out(bench.start())
    assert (done.state, done.rows, done.percent, done.attempt) == (RunState.SUCCEEDED, 1, 100, 1)
    again = bench.carry_out(done)
    assert again == done


def test_a_run_whose_data_has_gone_fails_and_says_so(bench: Bench) -> None:
    run = bench.start()
    for path in (bench.warehouse.root / "accounts").glob("*.parquet"):
        path.unlink()
    failed = bench.carry_out(run)
    assert re.fullmatch(
        r"The data of snapshot 1 is no longer kept: accounts/\S+ is not there\. Its tables were vacuumed, or files were "
        r"removed\. Start the report again\.",
        failure(failed),
    )
    assert not (bench.supervisor.artefacts.root / run.id).exists()
    with pytest.raises(NotFound, match=r"failed and has no file\. The data .*\. Start the report again\.$"):
        bench.runs.get_artifact(run.id, "csv")


def test_a_run_whose_snapshot_has_gone_fails_and_says_so(bench: Bench) -> None:
    run = bench.start()
    for path in (bench.warehouse.root / "manifests").iterdir():
        path.unlink()
    assert failure(bench.carry_out(run)) == "There is no snapshot 1. Start the report again."


def test_a_run_without_its_folder_fails_with_the_reason(bench: Bench) -> None:
    run = bench.start()
    bench.supervisor.artefacts.root.write_text("in the way")
    assert "The system refused a file" in failure(bench.carry_out(run))


def test_a_run_without_a_fork_server_fails_with_the_reason(home: Path, database_url: str) -> None:
    bench = Bench(home, database_url, ForkServer(command=(sys.executable, "-c", "")))
    assert failure(bench.carry_out(bench.start())) == (
        "The process that forks children ended unexpectedly, perhaps for lack of memory. Correct that on the server, and "
        "start the report again."
    )


def test_a_file_that_somebody_removed_is_told_as_such(bench: Bench) -> None:
    done = bench.carry_out(bench.start())
    bench.runs.path(*bench.runs.get_artifact(done.id, "csv")).unlink()
    with pytest.raises(NotFound, match=r"has been removed\. Start the report again"):
        bench.runs.get_artifact(done.id, "csv")


def test_a_claimed_run_is_in_progress_until_it_ends(bench: Bench) -> None:
    run = bench.start()
    (claimed,) = bench.supervisor.claim({Lane("all", 1): 1})
    assert bench.supervisor.claimed_run_ids() == [run.id]
    bench.supervisor.hand_back(claimed)
    assert bench.supervisor.claimed_run_ids() == []
    assert bench.runs.get(run.id).state is RunState.QUEUED
    assert bench.carry_out(run).attempt == 2


def test_a_worker_without_its_lease_claims_nothing(bench: Bench) -> None:
    bench.start()
    bench.supervisor.begin(FileLockLease(bench.database, is_valid=False))
    assert bench.supervisor.claim({Lane("all", 1): 1}) == []


def test_a_run_cancelled_in_the_queue_never_executes(bench: Bench) -> None:
    run = bench.start()
    bench.runs.cancel(run.id)
    over = bench.carry_out(run)
    assert (over.state, over.attempt, over.duration) == (RunState.CANCELLED, 0, 0)


def test_a_run_that_takes_too_long_fails_and_says_so(home: Path, database_url: str) -> None:
    endless = (
        "import time; from whohas.execution import child, forkserver; "
        "child.main = lambda _: time.sleep(1000); forkserver.main()"
    )
    bench = Bench(home, database_url, ForkServer((sys.executable, "-c", endless)), run_seconds=1)
    assert "longer than the 1 second that a run may take" in failure(bench.carry_out(bench.start()))


def test_only_the_launcher_with_too_many_runs_is_refused(
    home: Path, database_url: str, fork_server: ForkServer
) -> None:
    bench = Bench(home, database_url, fork_server, runs_per_launcher=2)
    first = bench.start("ann", "UTC")
    bench.start("ann", "+01:00")
    with pytest.raises(QuotaExceeded, match="ann has 2 runs that are not over") as refused:
        bench.start("ann", "+02:00")
    assert refused.value.retry_after > 0
    assert bench.start("ann", "UTC").id == first.id  # one that is there already is no more
    bench.start("ben", "+02:00")
    bench.runs.cancel(first.id)
    bench.start("ann", "+03:00")


def test_starts_at_once_cannot_exceed_a_launchers_limit(home: Path, database_url: str, fork_server: ForkServer) -> None:
    bench = Bench(home, database_url, fork_server, runs_per_launcher=3)

    def start(hour: int) -> bool:
        try:
            bench.start("ann", f"+{hour:02}:00")
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(1, 13))) == 3
    assert listing.count_all(bench.database, listing.ListRequest()) == 3


def test_when_too_many_runs_wait_no_more_are_accepted(home: Path, database_url: str, fork_server: ForkServer) -> None:
    bench = Bench(home, database_url, fork_server, runs_waiting=2)
    bench.start("ann", "+01:00")
    bench.start("ben", "+02:00")
    with pytest.raises(QuotaExceeded, match="2 runs are waiting already"):
        bench.start("cid", "+03:00")
