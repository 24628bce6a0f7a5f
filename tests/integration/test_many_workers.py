"""Several servers and workers on one PostgreSQL: they die, hang and lose the database; accepted runs do not."""

from __future__ import annotations

import hashlib
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from cluster import Cluster, Node, has_ended, running_cluster
from factories import MILLION, many_accounts
from lines import severable
from patience import until
from postgres import Postgres, postgres_server, programs
from support import result_when_over

BIG = {"application": "big", "selectedFormats": ["CSV"]}


def start(http: httpx2.Client, **arguments: Any) -> str:
    body = {"reportType": "ACCOUNTS", "arguments": {**BIG, **arguments}}
    return http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]


def row(url: str, run_id: str) -> tuple[str, int, int]:
    """Its state, its attempt, and how many were lost."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT state, attempt, lost FROM run WHERE id = %s", (run_id,)).fetchone()
    assert found is not None
    return found


def busy_worker(cluster: Cluster, run_id: str, attempt: int = 1) -> Node:
    """The worker that has a run, once its child writes."""
    part = cluster.home / "artefacts" / run_id / f"{attempt}-accounts.csv.part"
    until(lambda: part.exists() and part.stat().st_size > 0)
    with psycopg.connect(cluster.database_url) as connection:
        query = "SELECT process FROM worker JOIN run USING (executor) WHERE run.id = %s"
        found = connection.execute(query, (run_id,)).fetchone()
    assert found is not None
    return next(node for node in cluster.workers if node.process is not None and node.process.pid == found[0])


def whole(cluster: Cluster, http: httpx2.Client, run_id: str) -> bool:
    """Whether a run's file is there, alone, and is what its row says."""
    answer = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}).raise_for_status()
    with psycopg.connect(cluster.database_url) as connection:
        found = connection.execute("SELECT artefacts FROM run WHERE id = %s", (run_id,)).fetchone()
    assert found is not None
    (artefact,) = found[0]
    names = [path.name for path in (cluster.home / "artefacts" / run_id).iterdir()]
    return names == [artefact["name"]] and hashlib.sha256(answer.content).hexdigest() == artefact["sha256"]


def test_a_killed_workers_run_is_taken_over_by_another(big_home: Path, postgres: Postgres) -> None:
    with running_cluster(big_home, postgres.ready_database()) as cluster, cluster.http(cluster.servers[0]) as http:
        run_id = start(http)
        busy_worker(cluster, run_id).kill()
        until(lambda: row(cluster.database_url, run_id)[1:] >= (2, 1))
        assert not any("is silent" in node.log.read_text() for node in cluster.workers), "it was not waited for"
        with cluster.http(cluster.servers[1]) as other:
            assert result_when_over(other, run_id)["rows"] == MILLION
            assert whole(cluster, other, run_id)


@pytest.mark.long
def test_a_hung_worker_that_was_cut_off_records_no_outcome(big_home: Path, postgres: Postgres) -> None:
    with running_cluster(big_home, postgres.ready_database()) as cluster, cluster.http(cluster.servers[0]) as http:
        run_id = start(http)
        hung = busy_worker(cluster, run_id)
        hung.send(signal.SIGSTOP)
        with psycopg.connect(cluster.database_url, autocommit=True) as connection:
            connection.execute(
                "UPDATE worker SET seen = seen - INTERVAL '1 hour' WHERE process = %s", (hung.process.pid,)
            )  # pyright: ignore[reportOptionalMemberAccess]
        result = result_when_over(http, run_id)
        assert (result["status"], row(cluster.database_url, run_id)) == ("SUCCESS", ("succeeded", 2, 1))
        files = cluster.home / "artefacts" / run_id
        hung.send(signal.SIGCONT)
        until(lambda: [path.name for path in files.iterdir()] == ["2-accounts.csv"])
        assert row(cluster.database_url, run_id) == ("succeeded", 2, 1)
        assert whole(cluster, http, run_id)
        again = start(http)
        assert result_when_over(http, again)["status"] == "SUCCESS"


@pytest.mark.long
def test_a_worker_cut_off_ends_its_child_before_the_takeover(big_home: Path, postgres: Postgres) -> None:
    url = postgres.ready_database()
    with (
        running_cluster(big_home, url, servers=1, workers=0) as cluster,
        cluster.http(cluster.servers[0]) as http,
        severable(postgres.port) as line,
    ):
        through = {"WHOHAS_DATABASE_URL": url.replace(f":{postgres.port}/", f":{line.port}/")}
        cut_off = Node("cut-off", big_home, ("worker",), through).start()
        other = Node("other", big_home, ("worker",), {"WHOHAS_DATABASE_URL": url})
        try:
            cluster.workers.append(cut_off.ready())
            run_id = start(http)
            busy_worker(cluster, run_id)
            busy = max(cut_off.children(), key=lambda child: sum(child.cpu_times()[:2]))
            busy.suspend()  # or its run might end before
            other.start().ready()
            line.sever()
            until(lambda: row(url, run_id)[1] == 2)
            assert has_ended(busy)
            assert cut_off.alive
            line.mend()
            assert result_when_over(http, run_id)["rows"] == MILLION
            assert (row(url, run_id), whole(cluster, http, run_id)) == (("succeeded", 2, 1), True)
        finally:
            for node in (cut_off, other):
                if node.alive:
                    node.stop()


@pytest.mark.long
def test_runs_outlive_a_database_that_is_stopped_hard(big_home: Path) -> None:
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with postgres_server(fsync=True) as server:
        # two runs go on and two wait
        settings = {"WHOHAS_CONCURRENT_REPORTS": "ACCOUNTS", "WHOHAS_RUNS_AT_ONCE": "1"}
        with (
            running_cluster(big_home, server.new_database(), **settings) as cluster,
            cluster.http(cluster.servers[0]) as http,
        ):
            ids = [start(http) for _ in range(4)]
            busy_worker(cluster, ids[0])
            server.stop_hard()
            refused = http.post("/v2025/reports/run", json={"reportType": "ACCOUNTS", "arguments": BIG})
            assert refused.status_code == 503
            server.start()
            for run_id in ids:
                assert result_when_over(http, run_id)["rows"] == MILLION
                assert whole(cluster, http, run_id)


@pytest.mark.long
def test_a_stopped_worker_hands_its_run_to_another(big_home: Path, postgres: Postgres) -> None:
    with (
        running_cluster(big_home, postgres.ready_database(), WHOHAS_DRAIN_SECONDS="0") as cluster,
        cluster.http(cluster.servers[0]) as http,
    ):
        run_id = start(http)
        assert busy_worker(cluster, run_id).stop() == 0
        assert result_when_over(http, run_id)["rows"] == MILLION
        assert row(cluster.database_url, run_id) == ("succeeded", 2, 0)


def test_the_run_of_a_dead_worker_is_cancelled_by_another(big_home: Path, postgres: Postgres) -> None:
    with running_cluster(big_home, postgres.ready_database()) as cluster, cluster.http(cluster.servers[0]) as http:
        run_id = start(http)
        worker = busy_worker(cluster, run_id)
        worker.send(signal.SIGSTOP)
        for _ in range(2):
            assert http.post(f"/v2025/reports/{run_id}/cancel").status_code == 204
        assert start(http) == run_id  # it holds its key until its child is gone
        worker.kill()
        assert result_when_over(http, run_id)["status"] == "TERMINATED"
        assert not (big_home / "artefacts" / run_id).exists()
        assert start(http) != run_id


def test_two_servers_can_cancel_a_run_at_once(big_home: Path, postgres: Postgres) -> None:
    with (
        running_cluster(big_home, postgres.ready_database(), workers=1) as cluster,
        cluster.http(cluster.servers[0]) as one,
        cluster.http(cluster.servers[1]) as two,
    ):
        run_id = start(one)
        worker = busy_worker(cluster, run_id)
        busy = max(worker.children(), key=lambda child: sum(child.cpu_times()[:2]))
        with ThreadPoolExecutor(8) as pool:
            cancels = pool.map(lambda http: http.post(f"/v2025/reports/{run_id}/cancel").status_code, [one, two] * 4)
        assert set(cancels) == {204}
        assert result_when_over(two, run_id)["status"] == "TERMINATED"
        assert has_ended(busy)
        assert one.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}).status_code == 404


def test_a_queued_run_executes_when_a_worker_comes(home: Path, postgres: Postgres) -> None:
    many_accounts(home / "warehouse", 1_000)
    with (
        running_cluster(home, postgres.ready_database(), workers=0) as cluster,
        cluster.http(cluster.servers[0]) as http,
    ):
        run_id = start(http)
        assert http.get(f"/v2025/reports/{run_id}/result").json()["progress"] == "Queued"
        late = Node("late", home, ("worker",), {"WHOHAS_DATABASE_URL": cluster.database_url}).start().ready()
        try:
            assert result_when_over(http, run_id)["rows"] == 1_000
        finally:
            assert late.stop() == 0
