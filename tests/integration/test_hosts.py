"""Server, workers and PostgreSQL on different hosts, and hosts that are cut off: for seconds, a minute, or for good."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import psycopg
import pytest

import asking
from cluster import Cluster, has_ended, new_cluster
from factories import link_copy, many_accounts
from hosts import Host, HostNode, network
from patience import until
from postgres import postgres_server, programs
from support import result_when_over, whohas

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed (Debian: postgresql)"),
]

ROWS = 300_000
"""Accounts: a run takes long enough to be stopped in the middle."""
OUTAGES = [10, 60]
"""Seconds. The shorter ends when a worker has lost its lease, the longer when all have noticed that its host is gone."""


@dataclass
class Site:
    """A server, two workers and PostgreSQL, each on a host of its own. Only the second worker is not started.

    Attributes:
        settings: of every process: the database, and the store of finished files if it is not the shared home folder.
    """

    cluster: Cluster
    server: HostNode
    worker: HostNode
    other: HostNode
    database: Host
    settings: dict[str, str]

    @property
    def health(self) -> httpx2.Response:
        return asking.get(f"{self.server.url}/healthz")

    @property
    def ready(self) -> httpx2.Response:
        return asking.get(f"{self.server.url}/readyz")

    def start(self, http: httpx2.Client) -> str:
        body = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": ["CSV"]}}
        return http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]

    def start_and_suspend(self, http: httpx2.Client) -> tuple[str, psutil.Process]:
        """Start a run, and stop the child that executes it in the middle: it cannot end before its host is cut off."""
        run_id = self.start(http)

        def extracts() -> bool:
            result = http.get(f"/v2025/reports/{run_id}/result").raise_for_status().json()
            assert result["status"] is None, f"over before it could be interrupted: {result}"
            return str(result["progress"]).startswith("Extracting")

        until(extracts)
        busy = max(self.worker.children(), key=lambda child: sum(child.cpu_times()[:2]))
        busy.suspend()
        return run_id, busy

    def attempt(self, run_id: str) -> int:
        with psycopg.connect(self.cluster.database_url) as connection:
            found = connection.execute("SELECT attempt FROM run WHERE id = %s", (run_id,)).fetchone()
        assert found is not None
        return found[0]

    def published_once(self, http: httpx2.Client, run_id: str) -> None:
        """Check that a run succeeded once, with one file, which is downloaded as recorded."""
        assert result_when_over(http, run_id)["rows"] == ROWS
        answer = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}).raise_for_status()
        with psycopg.connect(self.cluster.database_url) as connection:
            found = connection.execute("SELECT artefacts FROM run WHERE id = %s", (run_id,)).fetchone()
        assert found is not None
        (artefact,) = found[0]
        assert hashlib.sha256(answer.content).hexdigest() == artefact["sha256"]
        files = self.cluster.home / "artefacts" / run_id
        until(lambda: [path.name for path in files.iterdir()] == [artefact["name"]])
        until(lambda: "whohas.run.ended" in self.events(run_id))
        assert self.events(run_id).count("whohas.run.ended") == 1

    def events(self, run_id: str) -> list[str]:
        """The types of a run's audit events."""
        done = whohas(self.cluster.home, "audit", "list", "--run", run_id, "--output", "json", **self.settings)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["type"] for line in done.stdout.splitlines()]


@contextmanager
def site(home: Path, **store: str) -> Generator[Site]:
    """Everything on its host, running.

    Args:
        store: settings of the store of finished files; without any, all hosts share the home folder.
    """
    with ExitStack() as stack:
        server, worker, other, database = stack.enter_context(network(4))
        postgres = stack.enter_context(postgres_server(host=database))
        url = postgres.ready_database()
        settings = {"WHOHAS_DATABASE_URL": url, "WHOHAS_RATE_LIMIT": "0", **store}
        cluster = new_cluster(home, url, **settings)
        serve = ("serve", "--no-worker", "--host", server.address, "--port", "8437")
        nodes = [
            HostNode("server", home, serve, settings, host=server),
            HostNode("worker", home, ("worker",), settings, host=worker),
            HostNode("other", home, ("worker",), settings, host=other),
        ]
        for node in nodes:
            stack.callback(_end, node)
        for node in nodes[:2]:
            node.start()
        for node in nodes[:2]:
            node.ready()
        yield Site(cluster, *nodes, database, settings)


def _end(node: HostNode) -> None:
    if node.alive:
        node.kill()


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of many accounts."""
    root = tmp_path_factory.mktemp("accounts") / "warehouse"
    many_accounts(root, ROWS)
    return root


@pytest.fixture
def shared_home(home: Path, accounts: Path) -> Path:
    """The home folder that all hosts share."""
    link_copy(accounts, home)
    return home


@pytest.fixture
def hosts(shared_home: Path) -> Generator[Site]:
    """A server, a worker and PostgreSQL on hosts of their own, which share a home folder."""
    with site(shared_home) as running:
        yield running


def last(seconds: float) -> None:
    """Let an outage last so long. It is the length of the outage itself: nothing is expected within this time."""
    threading.Event().wait(seconds)


def test_a_cut_off_workers_run_is_taken_over(hosts: Site) -> None:
    with hosts.cluster.http(hosts.server) as http:
        run_id, busy = hosts.start_and_suspend(http)
        hosts.other.start().ready()
        assert hosts.worker.host is not None
        hosts.worker.host.cut()
        until(lambda: hosts.attempt(run_id) == 2)
        assert has_ended(busy), "its child ended before"
        hosts.published_once(http, run_id)
        # It is back, and works again.
        hosts.worker.host.join()
        assert hosts.other.stop() == 0
        again = hosts.start(http)
        hosts.published_once(http, again)
        hosts.published_once(http, run_id)
        assert hosts.worker.alive


@pytest.mark.parametrize("seconds", OUTAGES)
def test_the_only_worker_continues_after_an_outage(hosts: Site, seconds: int) -> None:
    with hosts.cluster.http(hosts.server) as http:
        run_id, busy = hosts.start_and_suspend(http)
        assert hosts.worker.host is not None
        hosts.worker.host.cut()
        last(seconds)
        until(lambda: has_ended(busy))
        assert hosts.health.status_code == 200
        assert http.get(f"/v2025/reports/{run_id}/result").raise_for_status().json()["status"] is None
        until(lambda: "no worker is alive" in str(hosts.ready.json()["parts"]["worker"]))
        assert hosts.ready.status_code == 503
        hosts.worker.host.join()
        until(lambda: hosts.ready.status_code == 200)
        hosts.published_once(http, run_id)


@pytest.mark.parametrize("seconds", OUTAGES)
def test_a_database_that_is_cut_off_is_reported_and_survived(hosts: Site, seconds: int) -> None:
    with hosts.cluster.http(hosts.server) as http:
        run_id, _ = hosts.start_and_suspend(http)
        hosts.database.cut()
        until(lambda: hosts.ready.status_code == 503)
        assert hosts.ready.json()["parts"]["database"] != "ok"
        assert hosts.health.status_code == 200
        refused = http.post("/v2025/reports/run", json={"reportType": "IDENTITIES", "arguments": {}})
        assert refused.status_code == 503 and "database" in refused.text
        last(seconds)
        hosts.database.join()
        until(lambda: hosts.ready.status_code == 200)
        hosts.published_once(http, run_id)


def test_a_run_fails_clearly_if_it_may_not_be_repeated(shared_home: Path) -> None:
    with site(shared_home, WHOHAS_RUN_ATTEMPTS="1") as hosts, hosts.cluster.http(hosts.server) as http:
        run_id, _ = hosts.start_and_suspend(http)
        assert hosts.worker.host is not None
        hosts.worker.host.cut()
        hosts.other.start().ready()
        result = result_when_over(http, run_id)
        assert result["status"] == "FAILURE"
        answer = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"})
        assert answer.status_code == 404 and "worker" in answer.json()["messages"][0]["text"], answer.text
        until(lambda: not (shared_home / "artefacts" / run_id).exists())


def test_another_server_has_the_file_of_a_worker_elsewhere(hosts: Site) -> None:
    with hosts.cluster.http(hosts.server) as http:
        run_id = hosts.start(http)
    assert hosts.server.host is not None and hosts.other.host is not None
    hosts.server.host.cut()
    command = ("serve", "--no-worker", "--host", hosts.other.host.address, "--port", "8437")
    second = HostNode("second", hosts.cluster.home, command, hosts.settings, host=hosts.other.host)
    try:
        second.start().ready()
        with hosts.cluster.http(second) as http:
            hosts.published_once(http, run_id)
    finally:
        _end(second)
