"""A warehouse and the files of runs on Azurite, the emulator of Azure Blob Storage."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from azure_stores import AzureServer, azurite
from support import ACME, result_when_over, serving, whohas
from whohas.object_stores import PART_BYTES, StoreFailed, StoreFault, open_store, parse_address

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    with azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def container(azure: AzureServer, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in azure.environment.items():
        monkeypatch.setenv(name, value)
    return azure.new_container()


def test_the_probe_accepts_azure(container: str) -> None:
    store = open_store(parse_address(f"az://{container}/a/prefix"))
    store.probe()
    assert list(store.list()) == []


def test_large_objects_are_uploaded_in_parts(container: str, tmp_path: Path) -> None:
    store = open_store(parse_address(f"az://{container}/a/prefix"))
    content = os.urandom(2 * PART_BYTES + 1)
    (tmp_path / "large").write_bytes(content)
    store.upload(tmp_path / "large", "large")
    assert store.head("large").bytes == len(content)
    assert store.read_range("large", PART_BYTES - 5, 10) == content[PART_BYTES - 5 : PART_BYTES + 5]


def test_a_missing_container_is_named(container: str) -> None:
    with pytest.raises(StoreFailed, match="Create the bucket") as caught:
        open_store(parse_address(f"az://{container}-not")).probe()
    assert caught.value.fault is StoreFault.NO_BUCKET


@pytest.mark.parametrize("downloads", ["stream", "redirect"])
def test_a_run_is_made_and_downloaded(azure: AzureServer, container: str, tmp_path: Path, downloads: str) -> None:
    told = {
        **azure.environment,
        "AZURE_ENDPOINT": azure.endpoint.replace("127.0.0.1", "localhost"),  # another host than that of the server
        "WHOHAS_WAREHOUSE_URL": f"az://{container}/warehouse",
        "WHOHAS_FILES_URL": f"az://{container}/files",
    }
    loaded = whohas(tmp_path / "loader", "load", ACME, **told)
    assert loaded.returncode == 0, loaded.stderr
    with serving(tmp_path / "home", WHOHAS_DOWNLOADS=downloads, **told) as server, server.http() as http:
        body = {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Active Directory", "selectedFormats": ["CSV"]}}
        run_id = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
        rows = result_when_over(http, run_id)["rows"]
        path = f"/v2025/reports/{run_id}?fileFormat=csv"
        whole = http.get(path, follow_redirects=True).raise_for_status().content
        assert hashlib.sha256(whole).hexdigest() == http.head(path).headers["ETag"].strip('"')
        part = http.get(path, headers={"Range": "bytes=10-99"}, follow_redirects=True)
        assert (part.status_code, part.content) == (206, whole[10:100])
        assert len(http.get(f"/v2025/reports/{run_id}?fileFormat=json&name=x").raise_for_status().json()) == rows
    assert not (tmp_path / "home" / "artefacts").exists()
