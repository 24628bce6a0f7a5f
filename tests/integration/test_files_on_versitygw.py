"""The files of runs on a real S3 server, which checks signatures: VersityGW."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from factories import link_copy, many_accounts
from gates import settings_of
from patience import until
from ports import free_ports
from stores import S3Server, versitygw
from support import children, result_when_over, serving
from whohas.object_stores import StoreFailed, open_store, parse_address
from whohas.storage.uploads import list_uploads

pytestmark = pytest.mark.engine

ROWS = 200_000
BIG = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": ["CSV"]}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="module")
def large_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse whose one source, `big`, gives a CSV file of more than 40 MB."""
    root = tmp_path_factory.mktemp("large") / "warehouse"
    many_accounts(root, ROWS)
    return root


@pytest.fixture
def large_home(home: Path, large_warehouse: Path) -> Path:
    link_copy(large_warehouse, home)
    return home


def uploads(server: S3Server, bucket: str) -> list[str]:
    return [found["Key"] for found in server.client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]


@pytest.mark.parametrize("downloads", ["redirect", "stream"])
def test_a_large_file_is_uploaded_and_downloaded(large_home: Path, store: S3Server, downloads: str) -> None:
    bucket = store.new_bucket()
    environment = {**settings_of(store, bucket), "AWS_ENDPOINT_URL": store.endpoint.replace("127.0.0.1", "localhost")}
    with serving(large_home, **environment, WHOHAS_DOWNLOADS=downloads) as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json=BIG).raise_for_status().json()["id"]
        assert result_when_over(http, run_id)["rows"] == ROWS
        path = f"/v2025/reports/{run_id}?fileFormat=csv"
        sha256 = http.head(path).headers["ETag"].strip('"')
        whole = http.get(path, follow_redirects=True)
        assert len(whole.content) > 40_000_000
        assert hashlib.sha256(whole.content).hexdigest() == sha256
        part = http.get(path, headers={"Range": "bytes=1048570-2097170"}, follow_redirects=True)
        assert (part.status_code, part.content) == (206, whole.content[1_048_570:2_097_171])
        assert len(http.get(f"/v2025/reports/{run_id}?fileFormat=json&name=x").json()) == ROWS
        assert uploads(store, bucket) == []


def test_a_killed_child_leaves_no_upload(large_home: Path, store: S3Server) -> None:
    bucket = store.new_bucket()
    with serving(large_home, **settings_of(store, bucket)) as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json=BIG).raise_for_status().json()["id"]
        until(lambda: uploads(store, bucket) or store.keys(bucket))
        for child in children(server.process.pid):
            child.kill()
        assert result_when_over(http, run_id)["status"] == "SUCCESS"
        (key,) = store.keys(bucket)
        assert key.startswith(f"files/{run_id}/")
        assert uploads(store, bucket) == []


def test_uploads_are_found_and_aborted_at_takeover(large_home: Path, store: S3Server) -> None:
    bucket = store.new_bucket()
    environment = settings_of(store, bucket)
    with serving(large_home, **environment) as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json=BIG).raise_for_status().json()["id"]
        until(lambda: uploads(store, bucket) or store.keys(bucket))
        server.kill()
    with serving(large_home, **environment) as server, server.http() as http:
        assert result_when_over(http, run_id)["status"] == "SUCCESS"
        assert [key.rpartition("/")[2][1:] for key in store.keys(bucket)] == ["-accounts.csv"]
        assert uploads(store, bucket) == []


def test_a_wrong_signature_is_told(store: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**store.environment, "AWS_SECRET_ACCESS_KEY": "another secret"}.items():
        monkeypatch.setenv(name, value)
    opened = open_store(parse_address(f"s3://{store.new_bucket()}/files"))
    with pytest.raises(StoreFailed, match=r"SignatureDoesNotMatch.*Correct the credentials"):
        list(list_uploads(opened))


def test_a_store_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch, store: S3Server) -> None:
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    for name, value in {**store.environment, "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    opened = open_store(parse_address("s3://bucket/files"))
    with pytest.raises(StoreFailed, match=r"could not list incomplete uploads.*Check the network"):
        list(list_uploads(opened))
