"""One attempt at a run, without a server and without a queue: what becomes of it when something is missing."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from factories import publish
from ready import ready
from whohas.artefacts import Artefacts
from whohas.database import connect
from whohas.errors import NotFound, QuotaExceeded
from whohas.runs import listing
from whohas.runs.children import Children, ForkServer
from whohas.runs.later import Later
from whohas.runs.lease import FileLease
from whohas.runs.model import Run, State
from whohas.runs.queue import Lane
from whohas.runs.service import Runs
from whohas.runs.supervise import Supervisor
from whohas.settings import load_settings
from whohas.warehouse.store import Warehouse

SOURCES = [{"id": "s", "name": "S", "accountAttributes": []}]
ACCOUNTS = [{"id": "a", "nativeIdentity": "a", "name": "a", "sourceId": "s", "correlated": False, "attributes": []}]


class Bench:
    """The runs of a home folder, carried out when a test says so."""

    def __init__(self, home: Path, database_url: str, fork_server: ForkServer, **told: object) -> None:
        settings = load_settings(home=home, database_url=database_url or None, **told)
        ready(home)
        self.warehouse = Warehouse(settings.warehouse_path)
        publish(self.warehouse, SOURCES, ACCOUNTS)
        database = connect(settings.sqlalchemy_url)
        artefacts = Artefacts(settings.artefacts_path)
        self.database = database
        children = Children(fork_server)
        self.later = Later(settings, database, artefacts, self.warehouse, children)
        self.supervisor = Supervisor(settings, database, self.warehouse, artefacts, children)
        self.supervisor.begin(FileLease(database))
        self.runs = Runs(settings, database, self.warehouse, artefacts, self.later, lambda: None, nullcontext)

    def start(self, launcher: str = "tester", zone: str = "UTC", **arguments: Any) -> Run:
        return self.runs.start("ACCOUNTS", {"application": "s", "timeZone": zone, **arguments}, launcher)

    def carry_out(self, run: Run) -> Run:
        """Carries out what is queued, which is this run or nothing."""
        for claimed in self.supervisor.claim({Lane("all", 1): 1}):
            assert claimed.id == run.id
            self.supervisor.carry_out(claimed)
        self.supervisor.children.close()
        return self.runs.get(run.id)


@pytest.fixture
def bench(home: Path, database_url: str, fork_server: ForkServer) -> Bench:
    return Bench(home, database_url, fork_server)


def failure(run: Run) -> str:
    assert run.state is State.FAILED
    return run.messages[-1].text


def test_a_run_is_carried_out_once(bench: Bench) -> None:
    done = bench.carry_out(bench.start())
    assert (done.state, done.rows, done.percent, done.attempt) == (State.SUCCEEDED, 1, 100, 1)
    again = bench.carry_out(done)
    assert again == done


def test_a_run_whose_data_has_gone_fails_and_says_so(bench: Bench) -> None:
    run = bench.start()
    for path in (bench.warehouse.root / "accounts").glob("*.parquet"):
        path.unlink()
    failed = bench.carry_out(run)
    assert "could not be read" in failure(failed)
    assert not (bench.supervisor.artefacts.root / run.id).exists()
    with pytest.raises(NotFound, match=r"This run failed and has no file\. A file could not be read"):
        bench.runs.artefact(run.id, "csv")


def test_a_run_whose_snapshot_has_gone_fails_and_says_so(bench: Bench) -> None:
    run = bench.start()
    for path in (bench.warehouse.root / "manifests").iterdir():
        path.unlink()
    assert failure(bench.carry_out(run)) == "There is no snapshot 1."


def test_a_run_for_which_no_folder_can_be_made_fails_and_says_so(bench: Bench) -> None:
    run = bench.start()
    bench.supervisor.artefacts.root.write_text("in the way")
    assert "The system refused a file" in failure(bench.carry_out(run))


def test_a_file_that_somebody_removed_is_told_as_such(bench: Bench) -> None:
    done = bench.carry_out(bench.start())
    bench.runs.path(*bench.runs.artefact(done.id, "csv")).unlink()
    with pytest.raises(NotFound, match=r"has been removed\. Start the report again"):
        bench.runs.artefact(done.id, "csv")


def test_a_run_that_is_claimed_is_under_way_until_it_is_over(bench: Bench) -> None:
    run = bench.start()
    (claimed,) = bench.supervisor.claim({Lane("all", 1): 1})
    assert bench.supervisor.under_way() == [run.id]
    bench.supervisor.hand_back(claimed)
    assert bench.supervisor.under_way() == []
    assert bench.runs.get(run.id).state is State.QUEUED
    assert bench.carry_out(run).attempt == 2


def test_a_worker_without_its_lease_claims_nothing(bench: Bench) -> None:
    bench.start()
    bench.supervisor.begin(FileLease(bench.database, held=False))
    assert bench.supervisor.claim({Lane("all", 1): 1}) == []


def test_a_run_that_is_cancelled_before_its_turn_is_never_carried_out(bench: Bench) -> None:
    run = bench.start()
    bench.runs.cancel(run.id)
    over = bench.carry_out(run)
    assert (over.state, over.attempt, over.duration) == (State.CANCELLED, 0, 0)


def test_a_run_that_takes_too_long_fails_and_says_so(home: Path, database_url: str) -> None:
    endless = (
        "import time; from whohas.runs import child, forkserver; "
        "child.main = lambda: time.sleep(1000); forkserver.main()"
    )
    bench = Bench(home, database_url, ForkServer((sys.executable, "-c", endless)), run_seconds=1)
    assert "longer than the 1 second that a run may take" in failure(bench.carry_out(bench.start()))


def test_a_launcher_with_too_many_runs_is_refused_and_others_are_not(
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


def test_a_launcher_cannot_start_too_many_by_starting_them_at_once(
    home: Path, database_url: str, fork_server: ForkServer
) -> None:
    bench = Bench(home, database_url, fork_server, runs_per_launcher=3)

    def start(hour: int) -> bool:
        try:
            bench.start("ann", f"+{hour:02}:00")
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(1, 13))) == 3
    assert listing.count(bench.database, listing.Listing()) == 3


def test_when_too_many_runs_wait_no_more_are_accepted(home: Path, database_url: str, fork_server: ForkServer) -> None:
    bench = Bench(home, database_url, fork_server, runs_waiting=2)
    bench.start("ann", "+01:00")
    bench.start("ben", "+02:00")
    with pytest.raises(QuotaExceeded, match="2 runs are waiting already"):
        bench.start("cid", "+03:00")
