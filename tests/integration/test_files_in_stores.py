"""The files of runs in an object store: made, downloaded, rendered later, shown, removed, and what a store breaks off."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from pydantic import ValidationError

from auditing import lines
from cluster import Node, running_cluster
from factories import link_copy, many_accounts
from gates import Gate, gated
from lines import Line
from patience import NEVER_SECONDS, until
from postgres import Postgres
from stores import S3Server
from support import Server, children, result_when_over, serving, whohas
from whohas.errors import NotFound, Unavailable
from whohas.object_stores import StoreFailed
from whohas.runs.models import Run
from whohas.services import Services, open_services
from whohas.settings import Settings
from whohas_client import Client
from whohas_client.errors import DamagedDownload

ACCOUNTS = {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Active Directory"}}
BIG = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": ["CSV"]}}


def is_part(environ: dict[str, Any]) -> bool:
    """Whether a request uploads a part of a file."""
    return environ["REQUEST_METHOD"] == "PUT" and "partNumber" in environ["QUERY_STRING"]


def is_deletion(environ: dict[str, Any]) -> bool:
    """Whether a request deletes objects."""
    return environ["REQUEST_METHOD"] == "DELETE" or environ["QUERY_STRING"] == "delete"


@pytest.fixture(scope="module")
def large_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse whose one source, `big`, gives a CSV file of several parts."""
    root = tmp_path_factory.mktemp("large") / "warehouse"
    many_accounts(root, 100_000)
    return root


@pytest.fixture
def large_home(home: Path, large_warehouse: Path) -> Path:
    link_copy(large_warehouse, home)
    return home


@contextmanager
def opened(
    home: Path, server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> Iterator[Services]:
    """The services of an installation whose files are in a bucket."""
    server.use(monkeypatch)
    with open_services(Settings(home=home, files_url=f"s3://{bucket}/files", **more)) as services:
        yield services


def ended(services: Services, report: str, **arguments: Any) -> Run:
    """A run that has ended."""
    with services.runs.working():
        run = services.runs.start(report, arguments, "ann")
        until(lambda: services.runs.get(run.id).state.is_over)
    return services.runs.get(run.id)


@dataclass(frozen=True)
class Served:
    """A server whose files are in a bucket."""

    server: Server
    bucket: str


@pytest.fixture(scope="module")
def served(acme_home: Path, moto_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served") / "home"
    link_copy(acme_home / "warehouse", home)
    bucket = moto_server.new_bucket()
    with serving(home, **moto_server.files_in(bucket)) as server:
        yield Served(server, bucket)


@pytest.fixture(scope="module")
def http(served: Served) -> Iterator[httpx2.Client]:
    with served.server.http() as client:
        yield client


@pytest.fixture(scope="module")
def run_id(http: httpx2.Client) -> str:
    """A run with an extract and files of three formats."""
    arguments = {"sourceName": "Active Directory", "selectedFormats": ["CSV", "PDF", "PARQUET"]}
    started = http.post(
        "/v2025/reports/run", json={"reportType": "ACCOUNTS", "arguments": arguments}
    ).raise_for_status()
    assert result_when_over(http, started.json()["id"])["status"] == "SUCCESS"
    return started.json()["id"]


def test_every_file_of_a_run_is_an_object(
    served: Served, moto_server: S3Server, http: httpx2.Client, run_id: str
) -> None:
    names = {"accounts.csv", "accounts.pdf", "accounts.parquet", "extract-0.parquet"}
    mine = [key for key in moto_server.keys(served.bucket) if run_id in key]
    assert mine == sorted(f"files/{run_id}/1-{name}" for name in names)
    for format, ending in (("csv", "csv"), ("pdf", "pdf"), ("parquet", "parquet")):
        answer = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": format}).raise_for_status()
        content = moto_server.client.get_object(Bucket=served.bucket, Key=f"files/{run_id}/1-accounts.{ending}")[
            "Body"
        ].read()
        assert answer.content == content
        assert answer.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
        assert answer.headers["Content-Length"] == str(len(content))
        assert "Accounts Report" in answer.headers["Content-Disposition"]
    assert not (served.server.home / "artefacts").exists()
    assert not list((served.server.home / "spill").rglob("*-files/*"))


def test_parts_and_validators_are_as_from_a_disk(http: httpx2.Client, run_id: str) -> None:
    path = f"/v2025/reports/{run_id}?fileFormat=csv"
    whole = http.get(path)
    length, etag = len(whole.content), whole.headers["ETag"]
    part = http.get(path, headers={"Range": "bytes=5-99"})
    assert (part.status_code, part.content) == (206, whole.content[5:100])
    assert part.headers["Content-Range"] == f"bytes 5-99/{length}"
    assert http.get(path, headers={"Range": "bytes=-7"}).content == whole.content[-7:]
    assert http.get(path, headers={"Range": f"bytes={length}-"}).status_code == 416
    assert http.get(path, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert http.get(path, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).status_code == 200
    assert http.get(path, headers={"If-None-Match": etag}).status_code == 304
    asked = http.head(path)
    assert (asked.content, asked.headers["Content-Length"], asked.headers["ETag"]) == (b"", str(length), etag)
    assert asked.headers["Last-Modified"] == whole.headers["Last-Modified"]


def test_a_zip_of_several_files_is_stored_whole(http: httpx2.Client) -> None:
    body = {"reportType": "SEARCH_EXPORT", "arguments": {"query": "*", "indices": ["roles", "identities"]}}
    started = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
    assert result_when_over(http, started)["status"] == "SUCCESS"
    answer = http.get(f"/v2025/reports/{started}", params={"fileFormat": "csv"})
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None and len(archive.namelist()) == 2


def test_a_further_format_is_made_from_the_extract(
    served: Served, moto_server: S3Server, http: httpx2.Client, run_id: str
) -> None:
    rows = list(csv.DictReader(io.StringIO(http.get(f"/v2025/reports/{run_id}?fileFormat=csv").text)))
    answer = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "json"}).raise_for_status()
    assert len(answer.json()) == len(rows)
    (made,) = [key for key in moto_server.keys(served.bucket) if run_id in key and key.endswith(".json")]
    assert moto_server.client.get_object(Bucket=served.bucket, Key=made)["Body"].read() == answer.content
    cache = served.server.home / "cache" / "files"
    assert [path.suffix for path in cache.iterdir() if path.is_file()] == [".extract"], "a copy of the extract"
    assert not list(cache.glob("in-use/*.names")), "and none in use"


def test_rows_and_summary_come_from_the_store(
    own_home: Path, moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whohas.console.row_tables import RowRequest, RowTables

    with opened(own_home, moto_server, moto_server.new_bucket(), monkeypatch) as services:
        several = ended(services, "ACCOUNTS", sourceName="Nimbus CRM", selectedFormats=["CSV", "PDF"])
        single = ended(services, "ACCOUNTS", sourceName="Nimbus CRM", selectedFormats=["CSV"])
        rows = RowTables(services.settings, services.artefacts)
        for run in (several, single):
            (table,) = rows.tables(run)
            assert rows.page(table, RowRequest()).total == run.rows
        (summary,) = services.on_demand.summarize(several)
        assert summary.rows == several.rows
        assert services.on_demand.replay(several).is_same


def test_a_large_file_is_uploaded_in_parts(
    large_home: Path, moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = moto_server.new_bucket()
    with opened(large_home, moto_server, bucket, monkeypatch) as services:
        run = ended(services, "ACCOUNTS", application="big", selectedFormats=["CSV"])
        (file,) = run.artefacts
        found = moto_server.client.get_object(Bucket=bucket, Key=f"files/{run.id}/{file.name}")
        assert found["ETag"].strip('"').endswith(f"-{-(-file.bytes // (8 << 20))}"), "the number of parts"
        assert hashlib.sha256(found["Body"].read()).hexdigest() == file.sha256
        assert moto_server.uploads(bucket) == []


def test_a_killed_child_leaves_no_upload(large_home: Path) -> None:
    gate = Gate(holds=is_part)
    with gated(gate) as store:
        bucket = store.new_bucket()
        with serving(large_home, **store.files_in(bucket)) as server, server.http() as http:
            run_id = http.post("/v2025/reports/run", json=BIG).raise_for_status().json()["id"]
            until(gate.held.is_set)
            assert store.uploads(bucket) == [f"files/{run_id}/1-accounts.csv"]
            for child in children(server.process.pid):  # also one that waits for the next run
                child.kill()
            gate.open.set()
            assert result_when_over(http, run_id)["status"] == "SUCCESS"
            assert store.keys(bucket) == [f"files/{run_id}/2-accounts.csv"]
            assert store.uploads(bucket) == []


def test_a_cancelled_run_leaves_no_upload(large_home: Path) -> None:
    gate = Gate(holds=is_part)
    with gated(gate) as store:
        bucket = store.new_bucket()
        with serving(large_home, **store.files_in(bucket)) as server, server.http() as http:
            run_id = http.post("/v2025/reports/run", json=BIG).raise_for_status().json()["id"]
            until(gate.held.is_set)
            assert http.post(f"/v2025/reports/{run_id}/cancel").status_code == 204
            gate.open.set()
            assert result_when_over(http, run_id)["status"] == "TERMINATED"
            until(lambda: not store.uploads(bucket) and not store.keys(bucket))
            assert http.get(f"/v2025/reports/{run_id}?fileFormat=csv").status_code == 404


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            ("403 Forbidden", b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>"),
            "AccessDenied: No.*Allow",
        ),
        (("507 Insufficient Storage", b"<Error><Code>InsufficientStorage</Code></Error>"), "InsufficientStorage.*Free"),
    ],
    ids=["denied", "full"],
)
def test_a_store_that_takes_no_file_fails_the_run(large_home: Path, answer: tuple[str, bytes], words: str) -> None:
    gate = Gate(answers=lambda environ: answer if is_part(environ) else None)
    with gated(gate) as store:
        bucket = store.new_bucket()
        with serving(large_home, **store.files_in(bucket)) as server, server.http() as http:
            run_id = http.post("/v2025/reports/run", json=BIG).raise_for_status().json()["id"]
            result = result_when_over(http, run_id)
            assert result["status"] == "FAILURE"
            answered = http.get(f"/v2025/reports/{run_id}?fileFormat=csv")
            assert answered.status_code == 404
            text = answered.json()["messages"][0]["text"]
            assert all(word in text for word in words.split(".*")), text
            assert (store.keys(bucket), store.uploads(bucket)) == ([], [])


def test_a_store_that_dies_breaks_the_download_off(large_home: Path, moto_server: S3Server) -> None:
    bucket = moto_server.new_bucket()
    line = Line(int(moto_server.endpoint.rpartition(":")[2]))
    environment = {**moto_server.files_in(bucket), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{line.port}"}
    with serving(large_home, **environment) as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json=BIG).raise_for_status().json()["id"]
        assert result_when_over(http, run_id)["status"] == "SUCCESS"
        path = f"/v2025/reports/{run_id}?fileFormat=csv&auditable=true"
        received = 0
        with pytest.raises(httpx2.RemoteProtocolError), http.stream("GET", path) as answer:
            length = int(answer.headers["Content-Length"])
            for chunk in answer.iter_raw(1 << 16):
                if not received:
                    line.sever()
                received += len(chunk)
        assert received < length
        refused = http.get(path)
        assert refused.status_code == 503
        assert "could not give" in refused.json()["messages"][0]["text"]
        line.mend()
        whole = http.get(path)
        assert hashlib.sha256(whole.content).hexdigest() == whole.headers["ETag"].strip('"')
    line.close()
    logged = [json.loads(row) for row in server.log.read_text().splitlines() if row.startswith("{")]
    assert [row for row in logged if row["event"] == "broken off"]


def test_a_sweep_removes_objects_and_uploads_that_no_run_owns(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, moto_server: S3Server
) -> None:
    bucket = moto_server.new_bucket()
    with opened(own_home, moto_server, bucket, monkeypatch) as services:
        run = ended(services, "IDENTITIES", selectedFormats=["CSV"])
        (file,) = run.artefacts
        lost, other = f"files/{'f' * 32}/1-accounts.csv", "files/warehouse/accounts/1.parquet"
        for key in (lost, other):
            moto_server.client.put_object(Bucket=bucket, Key=key, Body=b"123")
        for key in (f"files/{run.id}/1-identities-ab.json", lost, other):
            moto_server.client.create_multipart_upload(Bucket=bucket, Key=key)
        # moto begins every upload in 2010; objects are as old as they are
        monkeypatch.setattr("whohas.timeouts.ORPHANED_FILE_SECONDS", -NEVER_SECONDS)
        would = services.retention.sweep(dry=True)
        gone = services.retention.sweep()
        assert gone == would
        assert sorted((item.run_id, item.names) for item in gone) == [
            (run.id, ("1-identities-ab.json",)),
            ("f" * 32, ("1-accounts.csv",)),
            ("f" * 32, ("1-accounts.csv",)),
        ]
        assert moto_server.keys(bucket) == sorted([f"files/{run.id}/{file.name}", other])
        assert moto_server.uploads(bucket) == [other], "not below the folder of a run"


def test_objects_that_cannot_be_deleted_stay_in_the_record(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    denied = ("403 Forbidden", b"<Error><Code>AccessDenied</Code><Message>Locked.</Message></Error>")
    refuses = threading.Event()
    gate = Gate(answers=lambda environ: denied if refuses.is_set() and is_deletion(environ) else None)
    with gated(gate) as store:
        bucket = store.new_bucket()
        with opened(own_home, store, bucket, monkeypatch, keep_files_days=1e-9) as services:
            run = ended(services, "IDENTITIES", selectedFormats=["CSV"])
            refuses.set()
            with pytest.raises(StoreFailed, match="AccessDenied: Locked"):
                services.retention.sweep()
            assert services.runs.get(run.id).artefacts == run.artefacts
            assert [key.rpartition("/")[2] for key in store.keys(bucket)] == ["1-identities.csv"]
            refuses.clear()
            store.client.delete_object(Bucket=bucket, Key=store.keys(bucket)[0])  # gone already: no error
            assert [item.run_id for item in services.retention.sweep()] == [run.id]
            assert services.runs.get(run.id).artefacts == ()


def test_a_changed_object_is_not_served(own_home: Path, monkeypatch: pytest.MonkeyPatch, moto_server: S3Server) -> None:
    bucket = moto_server.new_bucket()
    with opened(own_home, moto_server, bucket, monkeypatch) as services:
        run = ended(services, "ACCOUNTS", sourceName="Nimbus CRM", selectedFormats=["CSV", "PDF"])
        for file in run.artefacts:
            key = f"files/{run.id}/{file.name}"
            moto_server.client.put_object(Bucket=bucket, Key=key, Body=b"x" * file.bytes)
            with pytest.raises(Unavailable, match="is damaged"):
                services.artefacts.local_path(run.id, file)
            moto_server.client.put_object(Bucket=bucket, Key=key, Body=b"x")
            with pytest.raises(Unavailable, match="another program has changed it"):
                services.artefacts.open(run.id, file)
            moto_server.client.delete_object(Bucket=bucket, Key=key)
        with pytest.raises(NotFound, match="has been removed"):
            services.runs.get_artifact(run.id, "csv")


def test_a_server_does_not_start_without_its_bucket(own_home: Path, moto_server: S3Server) -> None:
    started = whohas(
        own_home, "serve", "--port", "0", **{**moto_server.environment, "WHOHAS_FILES_URL": "s3://nobody-made-it"}
    )
    assert started.returncode == 1
    assert "NoSuchBucket" in started.stderr and "Create the bucket" in started.stderr


@pytest.fixture(scope="module")
def redirecting(acme_home: Path, moto_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that redirects to the store, which has another name for clients: `localhost`."""
    home = tmp_path_factory.mktemp("redirecting") / "home"
    link_copy(acme_home / "warehouse", home)
    bucket = moto_server.new_bucket()
    environment = {
        **moto_server.files_in(bucket),
        "AWS_ENDPOINT_URL": moto_server.endpoint.replace("127.0.0.1", "localhost"),
    }
    with serving(home, **environment, WHOHAS_DOWNLOADS="redirect", WHOHAS_AUDIT_DOWNLOADS="all") as server:
        yield Served(server, bucket)


def test_a_download_is_redirected_to_a_signed_address(redirecting: Served, moto_server: S3Server) -> None:
    server = redirecting.server
    with server.http() as http:
        started = http.post("/v2025/reports/run", json=ACCOUNTS).raise_for_status().json()["id"]
        assert result_when_over(http, started)["status"] == "SUCCESS"
        path = f"/v2025/reports/{started}?fileFormat=csv"
        answer = http.get(path, follow_redirects=False)
        assert (answer.status_code, answer.content, answer.headers["Cache-Control"]) == (307, b"", "no-store")
        address = urlsplit(answer.headers["Location"])
        assert parse_qs(address.query)["X-Amz-Expires"] == ["60"]
        (key,) = [key for key in moto_server.keys(redirecting.bucket) if key.endswith(".csv")]
        assert address.path == f"/{redirecting.bucket}/{key}"
        file = http.get(path, follow_redirects=True)
        assert file.history and "Authorization" not in file.request.headers
        assert hashlib.sha256(file.content).hexdigest() == answer.headers["X-Whohas-SHA256"]
        assert file.headers["Content-Type"] == "application/csv"
        assert "Accounts Report.csv" in file.headers["Content-Disposition"]
        part = http.get(path, headers={"Range": "bytes=3-9"}, follow_redirects=True)
        assert (part.status_code, part.content) == (206, file.content[3:10])
        head = http.head(path)
        assert (head.status_code, head.headers["ETag"]) == (200, f'"{answer.headers["X-Whohas-SHA256"]}"')
        assert http.get(path, headers={"If-None-Match": head.headers["ETag"]}).status_code == 304
        named = http.get(f"{path}&name=mine", follow_redirects=False)
        assert (named.status_code, named.content) == (200, file.content), "the store does not know that name"

    def mine_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        mine = [event for event in events if event["subject"] == started]
        return [event for event in mine if event["type"].startswith("whohas.report.")]

    mine = until(lambda: found if len(found := mine_of(lines(server.home / "audit.ndjson"))) == 4 else [])
    kinds = [event["type"].removeprefix("whohas.report.") for event in mine]
    assert kinds == ["address_handed_out"] * 3 + ["downloaded"]
    assert mine[0]["data"]["sha256"] == answer.headers["X-Whohas-SHA256"]


def test_clients_follow_a_redirect_and_verify_the_file(
    redirecting: Served, moto_server: S3Server, tmp_path: Path
) -> None:
    server = redirecting.server
    with Client(server.url, server.client_id, server.client_secret) as client:
        run = client.run("ACCOUNTS", source="Active Directory")
        saved = run.to(tmp_path / "accounts.csv")
        assert saved.read_bytes().startswith(b"id,")
        (key,) = [key for key in moto_server.keys(redirecting.bucket) if run.id in key and key.endswith(".csv")]
        moto_server.client.put_object(Bucket=redirecting.bucket, Key=key, Body=b"x" * saved.stat().st_size)
        with pytest.raises(DamagedDownload):
            run.to(tmp_path / "again.csv")


def test_redirects_to_a_local_folder_are_refused(home: Path) -> None:
    with pytest.raises(ValidationError, match="a local folder, which clients cannot be redirected to"):
        Settings(home=home, downloads="redirect")


def test_another_local_folder_has_the_files(own_home: Path, tmp_path: Path) -> None:
    with open_services(Settings(home=own_home, files_url=(tmp_path / "files of runs").as_uri())) as services:
        run = ended(services, "IDENTITIES", selectedFormats=["CSV"])
    assert [path.name for path in (tmp_path / "files of runs" / run.id).iterdir()] == ["1-identities.csv"]
    assert not (own_home / "artefacts").exists()


def test_a_worker_on_another_host_makes_the_file(
    acme_home: Path, tmp_path: Path, moto_server: S3Server, postgres: Postgres
) -> None:
    """Two home folders stand for two hosts: they share the database and the store, and have the same tables."""
    homes = [tmp_path / name / "home" for name in ("server", "worker")]
    for home in homes:
        link_copy(acme_home / "warehouse", home)
    bucket = moto_server.new_bucket()
    environment = {**moto_server.files_in(bucket), "WHOHAS_DATABASE_URL": postgres.ready_database()}
    with running_cluster(homes[0], environment["WHOHAS_DATABASE_URL"], 1, 0, **environment) as cluster:
        worker = Node("worker", homes[1], ("worker",), environment).start()
        try:
            worker.ready()
            with cluster.http(cluster.servers[0]) as http:
                body = {"reportType": "IDENTITIES", "arguments": {"selectedFormats": ["CSV", "XLSX"]}}
                started = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
                assert result_when_over(http, started)["status"] == "SUCCESS"
                rows = csv.DictReader(io.StringIO(http.get(f"/v2025/reports/{started}?fileFormat=csv").text))
                assert len(http.get(f"/v2025/reports/{started}?fileFormat=json").json()) == len(list(rows))
        finally:
            worker.kill()
    assert not any((home / "artefacts").exists() for home in homes)
