"""Real S3 servers: VersityGW, which holds conditional puts, and S3Mock, which does not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stores import S3Server, s3mock, versitygw
from support import environment, whohas
from whohas.object_stores import StoreFailed, StoreFault, open_store, parse_address
from whohas.settings import Settings
from whohas.warehouse.opening import open_warehouse
from whohas.warehouse.schema import ACCOUNTS

pytestmark = pytest.mark.engine


def test_the_probe_accepts_versitygw(versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    versitygw_server.use(monkeypatch)
    bucket = versitygw_server.new_bucket()
    open_store(parse_address(f"s3://{bucket}/x")).probe()
    assert versitygw_server.keys(bucket) == []


def test_the_probe_refuses_s3mock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3mock(tmp_path) as unsafe:
        unsafe.use(monkeypatch)
        bucket = unsafe.new_bucket()
        with pytest.raises(StoreFailed, match="does not hold conditional puts") as caught:
            open_store(parse_address(f"s3://{bucket}/x")).probe()
        assert caught.value.fault is StoreFault.UNSAFE
        assert unsafe.keys(bucket) == []


def test_wrong_credentials_are_told_without_them(versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = versitygw_server.new_bucket()
    for wrong in (replace(versitygw_server, secret="hunter2hunter2"), replace(versitygw_server, key="nobodyknowsme")):
        wrong.use(monkeypatch)
        with pytest.raises(StoreFailed, match="Correct the credentials") as caught:
            open_store(parse_address(f"s3://{bucket}/x")).probe()
        assert caught.value.fault is StoreFault.UNKNOWN_KEY
        assert "hunter2" not in caught.value.message


def test_six_processes_that_load_at_once_lose_nothing(
    versitygw_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versitygw_server.use(monkeypatch)
    url = f"s3://{versitygw_server.new_bucket()}/whohas"
    loads: list[subprocess.Popen[bytes]] = []
    for number in range(6):
        data = tmp_path / f"{number}" / "accounts.csv"
        data.parent.mkdir()
        rows = (f"Source {number},{number}-{row}\n" for row in range(1_000))
        data.write_text("sourceName,nativeIdentity\n" + "".join(rows))
        told = environment(tmp_path / f"home-{number}", WHOHAS_WAREHOUSE_URL=url, **versitygw_server.environment)
        loads.append(subprocess.Popen([sys.executable, "-m", "whohas", "load", "--quiet", data], env=told))
    assert [load.wait() for load in loads] == [0] * 6
    warehouse = open_warehouse(Settings(home=tmp_path / "reader", warehouse_url=url))
    snapshot = warehouse.snapshot()
    assert snapshot.number == 6
    files = snapshot.files(ACCOUNTS)
    assert [file.rows for file in files] == [1_000] * 6
    assert len({file.partition for file in files}) == 6
    assert [manifest["number"] for manifest in warehouse.manifests()] == [1, 2, 3, 4, 5, 6]
    done = whohas(
        tmp_path / "another", "run", "ACCOUNTS", "-a", "sourceName=Source 3", "-o", tmp_path / "3.csv",
        WHOHAS_WAREHOUSE_URL=url, **versitygw_server.environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "3.csv").read_text().splitlines()) == 1_001


def test_a_server_that_returns_keeps_what_was_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "accounts.csv"
    data.write_text("sourceName,nativeIdentity\nAD,1\n")
    folder = tmp_path / "versitygw"
    folder.mkdir()
    with versitygw(folder) as first:
        bucket, port = first.new_bucket(), int(first.endpoint.rpartition(":")[2])
        told = {**first.environment, "WHOHAS_WAREHOUSE_URL": f"s3://{bucket}/whohas"}
        assert whohas(tmp_path / "a", "load", data, "-q", **told).returncode == 0
    away = whohas(tmp_path / "b", "run", "ACCOUNTS", "-a", "sourceName=AD", "-o", tmp_path / "b.csv", **told)
    assert away.returncode == 1
    assert "Check the network, the endpoint" in away.stderr
    with versitygw(folder, port):
        again = whohas(tmp_path / "b", "run", "ACCOUNTS", "-a", "sourceName=AD", "-o", tmp_path / "b.csv", **told)
        assert again.returncode == 0, again.stderr
