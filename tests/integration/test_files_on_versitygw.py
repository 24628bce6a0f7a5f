"""The files of runs on a real S3 server, which checks signatures: VersityGW."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from factories import link_copy, many_accounts
from patience import until
from ports import free_ports
from stores import S3Server
from support import children, result_when_over, serving
from whohas.object_stores import StoreFailed, open_store, parse_address
from whohas.storage.uploads import list_uploads

pytestmark = pytest.mark.engine

ROWS = 200_000
BIG = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": ["CSV"]}}


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


@pytest.mark.parametrize("downloads", ["redirect", "stream"])
def test_a_large_file_is_uploaded_and_downloaded(large_home: Path, versitygw_server: S3Server, downloads: str) -> None:
    bucket = versitygw_server.new_bucket()
    environment = {
        **versitygw_server.files_in(bucket),
        "AWS_ENDPOINT_URL": versitygw_server.endpoint.replace("127.0.0.1", "localhost"),
    }
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
        assert versitygw_server.uploads(bucket) == []


def test_a_killed_child_leaves_no_upload(large_home: Path, versitygw_server: S3Server) -> None:
    bucket = versitygw_server.new_bucket()
    with serving(large_home, **versitygw_server.files_in(bucket)) as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json=BIG).raise_for_status().json()["id"]
        until(lambda: versitygw_server.uploads(bucket) or versitygw_server.keys(bucket))
        for child in children(server.process.pid):
            child.kill()
        assert result_when_over(http, run_id)["status"] == "SUCCESS"
        (key,) = versitygw_server.keys(bucket)
        assert key.startswith(f"files/{run_id}/")
        assert versitygw_server.uploads(bucket) == []


def test_uploads_are_found_and_aborted_at_takeover(large_home: Path, versitygw_server: S3Server) -> None:
    bucket = versitygw_server.new_bucket()
    environment = versitygw_server.files_in(bucket)
    with serving(large_home, **environment) as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json=BIG).raise_for_status().json()["id"]
        until(lambda: versitygw_server.uploads(bucket) or versitygw_server.keys(bucket))
        server.kill()
    with serving(large_home, **environment) as server, server.http() as http:
        assert result_when_over(http, run_id)["status"] == "SUCCESS"
        assert [key.rpartition("/")[2][1:] for key in versitygw_server.keys(bucket)] == ["-accounts.csv"]
        assert versitygw_server.uploads(bucket) == []


def test_a_wrong_signature_is_told(versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(versitygw_server, secret="another secret").use(monkeypatch)
    opened = open_store(parse_address(f"s3://{versitygw_server.new_bucket()}/files"))
    with pytest.raises(StoreFailed, match=r"SignatureDoesNotMatch.*Correct the credentials"):
        list(list_uploads(opened))


def test_a_store_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch, versitygw_server: S3Server) -> None:
    replace(versitygw_server, endpoint=f"http://127.0.0.1:{free_ports(1)[0]}").use(monkeypatch)
    opened = open_store(parse_address("s3://bucket/files"))
    with pytest.raises(StoreFailed, match=r"could not list incomplete uploads.*Check the network"):
        list(list_uploads(opened))
