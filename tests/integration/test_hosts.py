"""Server, workers, PostgreSQL and the object store on different hosts, which share nothing else, and hosts that are cut
off: for seconds, a minute, or for good."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest

import asking
from cluster import Cluster, has_ended, new_cluster
from factories import many_accounts
from hosts import Host, HostNode, network
from patience import until
from postgres import postgres_server, programs
from stores import S3Server, versitygw, versitygw_program
from support import ACME, result_when_over, whohas

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
    """A server, a worker, a second worker or server that is not started, PostgreSQL and a store, each on a host of its own.

    Each host has a home folder of its own. So has the operator, who is on another host than these.

    Attributes:
        cluster: its home folder is that of the operator.
        settings: the settings of every process: the addresses of the database and the store.
    """

    cluster: Cluster
    server: HostNode
    worker: HostNode
    other: HostNode
    database: Host
    store: Host
    s3: S3Server
    bucket: str
    settings: dict[str, str]

    @property
    def health(self) -> httpx2.Response:
        return asking.get(f"{self.server.url}/healthz")

    @property
    def ready(self) -> httpx2.Response:
        return asking.get(f"{self.server.url}/readyz")

    def second_server(self) -> HostNode:
        """A server on the host of the second worker; start it."""
        host = self.other.host
        assert host is not None
        return HostNode("second", host.folder, _serve(host), self.settings, host=host)

    def start(self, http: httpx2.Client, report: str = "ACCOUNTS", **arguments: Any) -> str:
        arguments = arguments or {"application": "big", "selectedFormats": ["CSV"]}
        body = {"reportType": report, "arguments": arguments}
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

    def artefact(self, run_id: str) -> dict[str, Any]:
        """The only file in the record of a run."""
        with psycopg.connect(self.cluster.database_url) as connection:
            found = connection.execute("SELECT artefacts FROM run WHERE id = %s", (run_id,)).fetchone()
        assert found is not None
        (artefact,) = found[0]
        return artefact

    def keys(self, run_id: str) -> list[str]:
        """The files and incomplete uploads of a run in the store."""
        found = [*self.s3.keys(self.bucket), *self.s3.uploads(self.bucket)]
        return [key.rpartition("/")[2] for key in found if f"/{run_id}/" in key]

    def published_once(self, http: httpx2.Client, run_id: str) -> None:
        """Check that a run succeeded once, with one file, which is downloaded as recorded."""
        assert result_when_over(http, run_id)["rows"] == ROWS
        answer = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}).raise_for_status()
        artefact = self.artefact(run_id)
        assert hashlib.sha256(answer.content).hexdigest() == artefact["sha256"]
        until(lambda: self.keys(run_id) == [artefact["name"]], lambda: self.keys(run_id))
        until(lambda: "whohas.run.ended" in self.events(run_id))
        assert self.events(run_id).count("whohas.run.ended") == 1

    def events(self, run_id: str) -> list[str]:
        """The types of a run's audit events, as the operator sees them."""
        done = whohas(self.cluster.home, "audit", "list", "--run", run_id, "--output", "json", **self.settings)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["type"] for line in done.stdout.splitlines()]


@contextmanager
def site(folder: Path, warehouse: Path | None = None, **more: str) -> Generator[Site]:
    """Everything on its host, running.

    Args:
        folder: where all hosts have their folders.
        warehouse: a warehouse that is copied to the store; without one, the operator loads examples/acme.
        more: settings.
    """
    versitygw_program()
    with ExitStack() as stack:
        hosts = stack.enter_context(network(folder / "hosts", 5))
        server, worker, other, database, store = hosts
        url = stack.enter_context(postgres_server(host=database)).ready_database()
        s3 = stack.enter_context(versitygw(store.folder, host=store))
        bucket = s3.new_bucket()
        settings = {
            "WHOHAS_DATABASE_URL": url, "WHOHAS_WAREHOUSE_URL": f"s3://{bucket}/warehouse", "WHOHAS_RATE_LIMIT": "0",
            **s3.files_in(bucket), **more,
        }  # fmt: skip
        operator = folder / "operator"
        if warehouse is None:
            loaded = whohas(operator, "load", ACME, **settings)
            assert loaded.returncode == 0, loaded.stderr
        else:
            copy_to_store(warehouse, s3, bucket)
        cluster = new_cluster(operator, url, **settings)
        nodes = [
            HostNode("server", server.folder, _serve(server), settings, host=server),
            HostNode("worker", worker.folder, ("worker",), settings, host=worker),
            HostNode("other", other.folder, ("worker",), settings, host=other),
        ]
        for node in nodes:
            stack.callback(_end, node)
        for node in nodes[:2]:
            node.start()
        for node in nodes[:2]:
            node.ready()
        yield Site(cluster, *nodes, database, store, s3, bucket, settings)


def _serve(host: Host) -> tuple[str, ...]:
    return ("serve", "--no-worker", "--host", host.address, "--port", "8437")


def _end(node: HostNode) -> None:
    if node.alive:
        node.kill()


def copy_to_store(warehouse: Path, s3: S3Server, bucket: str) -> None:
    """Copy a warehouse as `docs/how-to/s3.md` says."""
    for path in warehouse.rglob("*"):
        name = str(path.relative_to(warehouse))
        if path.is_file() and not name.startswith(("search/", "load")):
            s3.client.upload_file(str(path), bucket, f"warehouse/{name}")


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of many accounts."""
    root = tmp_path_factory.mktemp("accounts") / "warehouse"
    many_accounts(root, ROWS)
    return root


@pytest.fixture
def hosts(tmp_path: Path, accounts: Path) -> Generator[Site]:
    """A server, a worker, PostgreSQL and a store on hosts of their own, with many accounts."""
    with site(tmp_path, accounts) as running:
        yield running


def last(seconds: float) -> None:
    """Let an outage last so long. It is the length of the outage itself: nothing is expected within this time."""
    threading.Event().wait(seconds)


def test_hosts_share_only_the_store_and_the_database(tmp_path: Path) -> None:
    with site(tmp_path) as hosts:
        second = hosts.second_server()
        assert second.host is not None and hosts.worker.host is not None and hosts.server.host is not None
        try:
            second.start().ready()
            with hosts.cluster.http(hosts.server) as http:
                here, there = http, asking.Client(base_url=second.url, headers=http.headers)
                run_id = hosts.start(here, sourceName="Active Directory", selectedFormats=["CSV", "PDF"])
                rows = result_when_over(there, run_id)["rows"]
                whole = here.get(f"/v2025/reports/{run_id}?fileFormat=csv").raise_for_status().content
                part = there.get(f"/v2025/reports/{run_id}?fileFormat=csv", headers={"Range": "bytes=10-99"})
                assert (part.status_code, part.content) == (206, whole[10:100])
                # a format that no worker made, asked for at one server and then at the other
                for format in ("xlsx", "json"):
                    made = there.get(f"/v2025/reports/{run_id}?fileFormat={format}").raise_for_status()
                    again = here.get(f"/v2025/reports/{run_id}?fileFormat={format}").raise_for_status()
                    assert (made.content, made.headers["ETag"]) == (again.content, again.headers["ETag"])
                assert len(made.json()) == rows
                search = {"indices": ["identities"], "query": {"query": "*"}, "columns": "name"}
                export = hosts.start(there, "SEARCH_EXPORT", **search)
                assert result_when_over(here, export)["status"] == "SUCCESS"
                # a new key of the operator signs tokens that every server accepts
                assert "signs from now on" in hosts.server.host.whohas("keys", "rotate", **hosts.settings)
                token = {"Authorization": f"Bearer {hosts.cluster.token(hosts.server)}"}
                assert asking.get(f"{second.url}/v2025/reports/{run_id}/result", headers=token).status_code == 200
            # everybody has the whole audit log
            operator = whohas(
                hosts.cluster.home, "audit", "list", "--limit", "0", "-o", "json", **hosts.settings
            ).stdout
            for host in (hosts.server.host, hosts.worker.host, second.host):
                log = host.whohas("audit", "list", "--limit", "0", "-o", "json", **hosts.settings)
                assert log.startswith(operator) and f'"{run_id}"' in log
                assert "in order and unchanged" in host.whohas("audit", "verify", **hosts.settings)
            for folder in (hosts.server.host.folder, hosts.worker.host.folder, second.host.folder):
                assert not {"artefacts", "keys", "warehouse", "whohas.db"} & {path.name for path in folder.iterdir()}
            seen = hosts.worker.host.run("ls", hosts.worker.host.folder.parent)
            assert seen.split() == [hosts.worker.host.folder.name], "it does not see the folders of the others"
        finally:
            _end(second)


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
        earlier = hosts.start(http)
        hosts.published_once(http, earlier)
        run_id, _ = hosts.start_and_suspend(http)
        hosts.database.cut()
        until(lambda: hosts.ready.status_code == 503)
        assert hosts.ready.json()["parts"]["database"] != "ok"
        assert hosts.health.status_code == 200
        refused = http.post("/v2025/reports/run", json={"reportType": "IDENTITIES", "arguments": {}})
        assert refused.status_code == 503 and "database" in refused.text
        refused = http.get(f"/v2025/reports/{earlier}", params={"fileFormat": "csv"})
        assert refused.status_code == 503 and "database" in refused.text
        last(seconds)
        hosts.database.join()
        until(lambda: hosts.ready.status_code == 200)
        hosts.published_once(http, run_id)
        hosts.published_once(http, earlier)


def download(http: httpx2.Client, run_id: str, meanwhile: Any) -> bytes | None:
    """Download a file; do something when the first bytes are there. None if the download was broken off."""
    content = bytearray()
    try:
        with http.stream("GET", f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_raw(64 << 10):
                if not content:
                    meanwhile()
                content += chunk
    except httpx2.TransportError:
        return None
    return bytes(content)


def is_whole_or_broken_off(content: bytes | None, sha256: str) -> bool:
    return content is None or hashlib.sha256(content).hexdigest() == sha256


@pytest.mark.parametrize("seconds", OUTAGES)
def test_a_server_that_is_cut_off_gives_no_partial_download(hosts: Site, seconds: int) -> None:
    with hosts.cluster.http(hosts.server) as http:
        earlier = hosts.start(http)
        hosts.published_once(http, earlier)
        run_id, busy = hosts.start_and_suspend(http)
        assert hosts.server.host is not None

        def outage() -> None:
            assert hosts.server.host is not None
            hosts.server.host.cut()
            busy.resume()
            last(seconds)
            hosts.server.host.join()

        content = download(http, earlier, outage)
        assert is_whole_or_broken_off(content, hosts.artefact(earlier)["sha256"])
    with hosts.cluster.http(hosts.server) as http:
        hosts.published_once(http, run_id)
        assert hosts.attempt(run_id) == 1, "the worker went on"
        hosts.published_once(http, earlier)


@pytest.mark.parametrize("seconds", OUTAGES)
def test_a_store_that_is_cut_off_gives_no_partial_file(hosts: Site, seconds: int) -> None:
    with hosts.cluster.http(hosts.server) as http:
        earlier = hosts.start(http)
        hosts.published_once(http, earlier)
        run_id, busy = hosts.start_and_suspend(http)

        def outage() -> None:
            hosts.store.cut()
            busy.resume()
            last(seconds)
            hosts.store.join()

        content = download(http, earlier, outage)
        assert is_whole_or_broken_off(content, hosts.artefact(earlier)["sha256"])
        if result_when_over(http, run_id)["status"] == "SUCCESS":
            hosts.published_once(http, run_id)
        else:
            assert_fails_without_a_file(hosts, http, run_id, "Check the network")
        hosts.published_once(http, earlier)
        hosts.published_once(http, hosts.start(http))


def test_a_store_that_is_gone_fails_runs_and_downloads(hosts: Site) -> None:
    with hosts.cluster.http(hosts.server) as http:
        earlier = hosts.start(http)
        hosts.published_once(http, earlier)
        run_id, busy = hosts.start_and_suspend(http)
        hosts.store.cut()
        busy.resume()
        assert result_when_over(http, run_id)["status"] == "FAILURE"
        refused = http.get(f"/v2025/reports/{earlier}", params={"fileFormat": "csv"})
        assert refused.status_code == 503 and "Check the network" in refused.text
        assert hosts.health.status_code == 200
        hosts.store.join()
        assert_fails_without_a_file(hosts, http, run_id, "Check the network")


def assert_fails_without_a_file(hosts: Site, http: httpx2.Client, run_id: str, words: str) -> None:
    result = result_when_over(http, run_id)
    assert result["status"] == "FAILURE"
    answer = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"})
    assert answer.status_code == 404 and words in answer.json()["messages"][0]["text"], answer.text
    assert not [key for key in hosts.s3.keys(hosts.bucket) if run_id in key]
    until(lambda: "whohas.run.ended" in hosts.events(run_id))
    assert hosts.events(run_id).count("whohas.run.ended") == 1


def test_a_run_fails_clearly_if_it_may_not_be_repeated(tmp_path: Path, accounts: Path) -> None:
    with site(tmp_path, accounts, WHOHAS_RUN_ATTEMPTS="1") as hosts, hosts.cluster.http(hosts.server) as http:
        run_id, _ = hosts.start_and_suspend(http)
        assert hosts.worker.host is not None
        hosts.worker.host.cut()
        hosts.other.start().ready()
        assert_fails_without_a_file(hosts, http, run_id, "worker")
        until(lambda: not hosts.keys(run_id), lambda: hosts.keys(run_id))


def test_another_server_has_the_file_of_a_worker_elsewhere(hosts: Site) -> None:
    with hosts.cluster.http(hosts.server) as http:
        run_id = hosts.start(http)
    assert hosts.server.host is not None
    hosts.server.host.cut()
    second = hosts.second_server()
    try:
        second.start().ready()
        with hosts.cluster.http(second) as http:
            hosts.published_once(http, run_id)
    finally:
        _end(second)
