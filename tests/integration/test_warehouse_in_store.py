"""A warehouse in an object store: loads of several machines, snapshots, copies, and stores that fail."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from gates import Gate, gated
from patience import until
from stores import S3Server, moto, without_conditions
from support import ACME, result_when_over, serving, whohas
from whohas import timeouts
from whohas.console.load_history import find_load, recent_loads, unresolved_loads
from whohas.errors import Conflict, InvalidArguments, NotFound
from whohas.ingest import load
from whohas.object_stores import StoreFailed, delta_options
from whohas.search.index import build_index, is_built, open_index
from whohas.services import open_services
from whohas.settings import Settings, load_settings
from whohas.warehouse.catalog import read_catalog
from whohas.warehouse.errors import Superseded
from whohas.warehouse.load_records import LoadOutcome
from whohas.warehouse.opening import open_warehouse
from whohas.warehouse.remote import RemoteWarehouse
from whohas.warehouse.schema import ACCOUNTS, TABLES
from whohas.warehouse.store import DataFile, Snapshot, TableChange, Warehouse

LOAD = """
import sys
from pathlib import Path
from whohas.ingest import load
from whohas.settings import Settings
from whohas.warehouse.load_records import LoadOutcome
from whohas.warehouse.opening import open_warehouse
load(open_warehouse(Settings(home=Path(sys.argv[1]))), [Path(sys.argv[2])], accept_loss=True)
"""


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def server(gate: Gate) -> Iterator[S3Server]:
    with gated(gate) as started:
        yield started


class Machines:
    """Machines that share a warehouse in a new bucket: each has a home folder of its own."""

    def __init__(self, server: S3Server, folder: Path) -> None:
        self.server = server
        self.bucket = server.new_bucket()
        self.folder = folder
        self.environment = {**server.environment, "WHOHAS_WAREHOUSE_URL": f"s3://{self.bucket}/who/has"}

    def home(self, name: str) -> Path:
        return self.folder / name

    def warehouse(self, name: str, **settings: Any) -> Warehouse:
        return open_warehouse(Settings(home=self.home(name), **settings))

    def remote(self, name: str) -> RemoteWarehouse:
        remote = self.warehouse(name).remote
        assert remote is not None
        return remote

    def csv(self, name: str, *rows: str) -> Path:
        path = self.folder / f"{name}" / "accounts.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(("sourceName,nativeIdentity", *rows)) + "\n")
        return path

    def load(self, machine: str, *rows: str) -> int | None:
        path = self.csv(f"data-{machine}", *rows)
        return load(self.warehouse(machine), [path], accept_loss=True).snapshot

    def whohas(self, machine: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return whohas(self.home(machine), *arguments, **self.environment)

    def keys(self, below: str) -> list[str]:
        return [key for key in self.server.keys(self.bucket) if key.startswith(f"who/has/{below}")]

    def delete(self, key: str) -> None:
        self.server.client.delete_object(Bucket=self.bucket, Key=key)

    def newest_of_delta(self, table: str) -> set[str]:
        """The files of a table as another engine reads it."""
        address = Settings(home=self.folder).warehouse_address.child(table)
        delta = DeltaTable(str(address), storage_options=delta_options(address))
        return {uri.rpartition("/")[2] for uri in delta.file_uris()}


@pytest.fixture
def machines(server: S3Server, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    found = Machines(server, tmp_path)
    server.use(monkeypatch)
    monkeypatch.setenv("WHOHAS_WAREHOUSE_URL", found.environment["WHOHAS_WAREHOUSE_URL"])
    yield found
    gate.pass_all()


def accounts(warehouse: Warehouse, number: int | None = None) -> list[str]:
    """The native identities of all accounts of a snapshot, sorted."""
    files = warehouse.snapshot(number).files(ACCOUNTS)
    return sorted(row for file in files for row in pq.read_table(file.path).column("nativeIdentity").to_pylist())


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return sorted(csv.reader(file))


def test_another_machine_reads_what_one_loaded(machines: Machines, acme_home: Path, tmp_path: Path) -> None:
    loaded = machines.whohas("a", "load", ACME)
    assert loaded.returncode == 0, loaded.stderr
    for report, arguments in (("IDENTITIES_DETAILS", ()), ("ACCOUNTS", ("-a", "sourceName=Nimbus CRM"))):
        here, there = tmp_path / f"{report}-here.csv", tmp_path / f"{report}-there.csv"
        done = machines.whohas("b", "run", report, *arguments, "-o", there)
        assert done.returncode == 0, done.stderr
        assert whohas(acme_home, "run", report, *arguments, "-o", here).returncode == 0
        assert rows_of(there) == rows_of(here)
        run_id = done.stdout.partition("(run ")[2].partition(")")[0]
        assert "The same" in machines.whohas("b", "replay", run_id).stdout
    found = machines.whohas("b", "search", "ciro", "--output", "json")
    assert found.stdout == whohas(acme_home, "search", "ciro", "--output", "json").stdout != ""
    checked = machines.whohas("b", "index", "--check")
    assert "are equal, byte by byte" in checked.stdout, checked.stderr
    assert not (machines.home("b") / "warehouse").exists()


def test_a_snapshot_is_read_at_its_version_after_later_loads(machines: Machines) -> None:
    machines.load("a", "AD,1", "AD,2", "CRM,9")
    machines.load("b", "AD,3")
    machines.load("a", "AD,4")
    warehouse = machines.warehouse("c")
    assert [accounts(warehouse, number) for number in (1, 2, 3)] == [["1", "2", "9"], ["3", "9"], ["4", "9"]]
    assert accounts(warehouse) == ["4", "9"]
    assert [manifest["number"] for manifest in warehouse.manifests()] == [1, 2, 3]
    with pytest.raises(NotFound, match="There is no snapshot 4"):
        warehouse.snapshot(4)


def test_a_check_of_a_load_writes_nothing_to_the_store(machines: Machines) -> None:
    machines.load("a", "AD,1")
    before = machines.keys("")
    report = load(machines.warehouse("b"), [machines.csv("data", "AD,2", "AD,3")], check=True)
    assert report.snapshot is None
    assert [(table.name, table.before, table.after) for table in report.tables if table.name == "accounts"] == [
        ("accounts", 1, 2)
    ]
    assert machines.keys("") == before


def test_six_loads_at_a_time_lose_nothing(machines: Machines) -> None:
    with ThreadPoolExecutor(6) as pool:
        numbers = list(pool.map(lambda n: machines.load(f"machine-{n}", f"Source {n},{n}"), range(6)))
    warehouse = machines.warehouse("reader")
    assert sorted(number or 0 for number in numbers) == [1, 2, 3, 4, 5, 6]
    assert warehouse.snapshot().number == 6
    assert accounts(warehouse) == ["0", "1", "2", "3", "4", "5"]
    kept = {f"{file.location.name}" for file in warehouse.snapshot().files(ACCOUNTS)}
    assert machines.newest_of_delta("accounts") == kept
    assert machines.keys("uploads") == []


def test_a_load_that_another_one_overtakes_publishes_nothing(machines: Machines) -> None:
    machines.load("a", "AD,1")
    with machines.warehouse("slow").load() as slow:
        machines.load("b", "AD,2")
        path = slow.new_file_path(ACCOUNTS)
        pq.write_table(ACCOUNTS.schema.empty_table(), path)
        with pytest.raises(Superseded, match="Another load published snapshot 2"):
            slow.publish([TableChange(ACCOUNTS, (DataFile(path, 0, ""),))], ())
    assert accounts(machines.warehouse("c")) == ["2"]
    assert [key for key in machines.keys("accounts/") if slow.id in key] == []


def test_the_manifest_decides_between_two_that_have_uploaded(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines.load("a", "AD,1")
    with machines.warehouse("slow").load() as slow:
        path = slow.new_file_path(ACCOUNTS)
        pq.write_table(ACCOUNTS.schema.empty_table(), path)
        overtaken: list[str] = []

        def overtake(_: RemoteWarehouse, load_id: str) -> None:
            """The other one publishes at the last moment: after this one has uploaded and committed."""
            if not overtaken:
                overtaken.append(load_id)
                machines.load("b", "AD,2")

        monkeypatch.setattr(RemoteWarehouse, "check_upload", overtake)
        with pytest.raises(Superseded):
            slow.publish([TableChange(ACCOUNTS, (DataFile(path, 0, ""),))], ())
    warehouse = machines.warehouse("c")
    assert accounts(warehouse) == ["2"]
    assert [key for key in machines.keys("accounts/") if slow.id in key] == []
    machines.load("b", "CRM,3")
    assert accounts(warehouse) == ["2", "3"]


def test_a_killed_load_leaves_the_earlier_state(
    machines: Machines, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines.load("a", "AD,1")
    data = machines.csv("data-killed", "AD,2", "AD,3")
    attempts: list[str] = []

    def is_publishing(method: str, path: str) -> bool:
        """Whether a load publishes: it has uploaded and committed then, and is not let through."""
        if method == "PUT" and "/manifests/" in path:
            attempts.append(path)
            return True
        return False

    gate.refuse(is_publishing, "503 Slow Down", "SlowDown")
    child = subprocess.Popen([sys.executable, "-c", LOAD, str(machines.home("killed")), str(data)])
    until(lambda: attempts or child.poll() is not None)
    child.kill()
    child.wait()
    gate.pass_all()
    assert attempts
    warehouse = machines.warehouse("reader")
    assert accounts(warehouse) == ["1"]
    assert len(machines.keys("uploads/")) == 1
    (first,) = warehouse.snapshot().files(ACCOUNTS)
    assert machines.newest_of_delta("accounts") != {first.location.name}, "it had committed to the table"
    assert machines.load("killed", "AD,4") == 2
    assert accounts(warehouse) == ["4"]
    newest = {file.location.name for file in warehouse.snapshot().files(ACCOUNTS)}
    assert machines.newest_of_delta("accounts") == newest
    assert not list((machines.home("killed") / "cache").rglob("load-*/"))
    monkeypatch.setattr(timeouts, "ABANDONED_LOAD_SECONDS", -60)
    machines.load("a", "AD,3")
    assert machines.keys("uploads/") == []
    published = {manifest["loadId"] for manifest in warehouse.manifests()}
    left = [key for key in machines.keys("accounts/") if key.endswith(".parquet")]
    assert {Path(key).name.partition("-")[0] for key in left} <= published


def test_what_a_killed_load_committed_is_undone_by_the_next(machines: Machines) -> None:
    machines.load("a", "AD,1")
    warehouse = machines.warehouse("killed")
    remote = machines.remote("killed")
    before = warehouse.snapshot().versions
    with warehouse.load() as dying:
        path = dying.new_file_path(ACCOUNTS)
        pq.write_table(pq.read_table(warehouse.snapshot().files(ACCOUNTS)[0].path), path)
        change = TableChange(ACCOUNTS, (DataFile(path, 1, "lost"),))
        dying._commit_remote(remote, change)  # pyright: ignore[reportPrivateUsage]
    assert len(machines.newest_of_delta("accounts")) == 2
    assert accounts(machines.warehouse("b")) == ["1"]
    roles = machines.csv("roles", "AD,1").with_name("roles.csv")
    roles.write_text("id,name\nr,Auditor\n")
    load(machines.warehouse("b"), [roles], accept_loss=True)
    assert len(machines.newest_of_delta("accounts")) == 1
    assert accounts(machines.warehouse("c")) == ["1"]
    assert machines.warehouse("c").snapshot().versions["accounts"] > before["accounts"]


def test_a_load_taken_for_killed_publishes_nothing(machines: Machines) -> None:
    remote = machines.remote("a")
    remote.begin_upload("0" * 32, 0)
    remote.check_upload("0" * 32)
    remote.end_upload("0" * 32)
    with pytest.raises(Conflict, match="longer than 2 days"):
        remote.check_upload("0" * 32)


def test_a_truncated_copy_is_downloaded_again(machines: Machines) -> None:
    machines.load("a", "AD,1", "AD,2")
    warehouse = machines.warehouse("b")
    (file,) = warehouse.snapshot().files(ACCOUNTS)
    assert not file.location.exists()
    content = file.path.read_bytes()
    os.truncate(file.location, 10)
    assert file.path.read_bytes() == content
    assert accounts(warehouse) == ["1", "2"]


def test_an_object_shorter_than_its_table_says_is_refused(machines: Machines) -> None:
    machines.load("a", "AD,1")
    (key,) = [key for key in machines.keys("accounts/") if key.endswith(".parquet")]
    machines.server.client.put_object(Bucket=machines.bucket, Key=key, Body=b"PAR1")
    with pytest.raises(StoreFailed, match=key.removeprefix("who/has/")):
        accounts(machines.warehouse("b"))
    assert not list((machines.home("b") / "cache").rglob("*.part"))


def test_copies_that_nobody_uses_make_room(machines: Machines) -> None:
    for number in range(4):
        machines.load("a", f"AD,{number}")
    warehouse = machines.warehouse("b", cache_bytes=1)
    files = [warehouse.snapshot(number).files(ACCOUNTS)[0] for number in (1, 2, 3, 4)]
    assert all(file.path.is_file() for file in files[:3])
    old = time.time() - 2 * timeouts.CACHE_IDLE_SECONDS
    for file in files[:2]:
        os.utime(file.location, (old, old))
    with warehouse.hold(warehouse.snapshot(1)):
        assert files[3].path.is_file()
        assert [file.location.exists() for file in files] == [True, False, True, True]
    # of a process that was killed while it used them
    (warehouse.root / "in-use" / "killed.names").write_text(files[0].name)
    os.utime(files[0].location, (old, old))
    assert files[1].path.is_file()
    assert not (warehouse.root / "in-use" / "killed.names").exists()
    assert [file.location.exists() for file in files] == [False, True, True, True]


def test_a_cancelled_download_leaves_nothing(machines: Machines) -> None:
    class CancelledError(Exception):
        pass

    def cancel() -> None:
        raise CancelledError

    machines.load("a", "AD,1")
    (file,) = machines.warehouse("b").snapshot().files(ACCOUNTS)
    assert file.cache is not None
    with pytest.raises(CancelledError):
        file.cache.fetch([file.remote], cancel)
    assert list(file.location.parent.iterdir()) == []
    assert file.path.stat().st_size == file.bytes


def test_the_index_is_built_by_one_machine(machines: Machines) -> None:
    machines.load("a", "AD,1", "AD,2")
    first, second = machines.warehouse("a"), machines.warehouse("b")
    build_index(first, first.snapshot())
    assert not is_built(second.snapshot())
    build_index(second, second.snapshot())
    assert not list((second.root / "accounts").glob("*.parquet")), "it was built from the tables, not downloaded"
    assert open_index(second.snapshot()).versions == open_index(first.snapshot()).versions
    for path in (first.root / "search" / "000000001").iterdir():
        assert path.read_bytes() == (second.root / "search" / "000000001" / path.name).read_bytes()


def test_old_indexes_leave_the_store(machines: Machines) -> None:
    for number in range(4):
        machines.load("a", f"AD,{number}")
        build_index(machines.warehouse("a"), machines.warehouse("a").snapshot())
    assert {key.split("/")[3] for key in machines.keys("search/")} == {"000000002", "000000003", "000000004"}


def test_a_bucket_that_was_emptied_is_a_new_warehouse(machines: Machines) -> None:
    machines.load("a", "AD,1")
    build_index(machines.warehouse("a"), machines.warehouse("a").snapshot())
    for key in machines.server.keys(machines.bucket):
        machines.delete(key)
    assert machines.warehouse("a").snapshot().number == 0
    machines.load("a", "AD,2")
    assert accounts(machines.warehouse("a")) == ["2"]
    assert not is_built(machines.warehouse("a").snapshot())


def test_a_folder_that_is_copied_to_a_store_goes_on(machines: Machines, tmp_path: Path) -> None:
    """docs/how-to/s3.md, Move an existing warehouse."""
    folder = tmp_path / "earlier" / "warehouse"
    local = Warehouse(folder)
    load(local, [machines.csv("data", "AD,1", "AD,2")], accept_loss=True)
    load(local, [machines.csv("data", "CRM,3")], accept_loss=True)
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("load"):
            key = f"who/has/{path.relative_to(folder).as_posix()}"
            machines.server.client.upload_file(str(path), machines.bucket, key)
    warehouse = machines.warehouse("a")
    assert warehouse.snapshot() == Snapshot(warehouse.root, 2)
    assert [accounts(warehouse, number) for number in (1, 2)] == [["1", "2"], ["1", "2", "3"]]
    assert machines.load("b", "AD,4") == 3
    assert accounts(warehouse) == ["3", "4"]


def test_a_run_whose_data_left_the_store_says_so(machines: Machines, tmp_path: Path) -> None:
    machines.load("a", "AD,1")
    assert machines.whohas("b", "run", "ACCOUNTS", "-a", "sourceName=AD", "-o", tmp_path / "1.csv").returncode == 0
    for key in machines.keys("accounts/"):
        if key.endswith(".parquet"):
            machines.delete(key)
    again = machines.whohas("b", "run", "ACCOUNTS", "-a", "sourceName=AD", "-o", tmp_path / "2.csv")
    assert again.returncode == 0, "it has a copy"
    failed = machines.whohas("c", "run", "ACCOUNTS", "-a", "sourceName=AD", "-o", tmp_path / "3.csv")
    assert failed.returncode == 1
    assert "The data of snapshot 1 is no longer kept: accounts/" in failed.stderr
    assert not (tmp_path / "3.csv").exists()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (("403 Forbidden", "AccessDenied"), "Allow these credentials"),
        (("403 Forbidden", "RequestTimeTooSkewed"), "Set the clock"),
        (("404 Not Found", "NoSuchBucket"), "Create the bucket"),
        (("503 Slow Down", "SlowDown"), "Check the network"),
    ],
)
def test_a_store_that_fails_during_a_run_fails_the_run(
    machines: Machines, gate: Gate, answer: tuple[str, str], told: str
) -> None:
    machines.load("a", "AD,1")
    with serving(machines.home("b"), **machines.environment) as server:
        gate.refuse(
            lambda method, path: method == "GET" and "/accounts/" in path and path.endswith(".parquet"), *answer
        )
        with server.http() as http:
            body = {"reportType": "ACCOUNTS", "arguments": {"application": source_id(machines)}}
            run = http.post("/v2025/reports/run", json=body).raise_for_status().json()
            over = result_when_over(http, run["id"])
            assert over["status"] in ("ERROR", "FAILURE")
            text = str(http.get(f"/v2025/task-status/{run['id']}").json()["messages"])
            assert answer[1] in text and told in text and "s3://" in text, text
            assert http.get(f"/v2025/reports/{run['id']}?fileFormat=csv").status_code == 404
        gate.pass_all()
    assert not list((machines.home("b") / "artefacts").rglob("*.*"))


def source_id(machines: Machines) -> str:
    return read_catalog(machines.warehouse("a").snapshot()).sources[0].id


def test_a_server_does_not_start_on_an_unsafe_store(tmp_path: Path) -> None:
    with moto(without_conditions) as unsafe:
        bucket = unsafe.new_bucket()
        told = {**unsafe.environment, "WHOHAS_WAREHOUSE_URL": f"s3://{bucket}"}
        for command in (("serve", "--port", "0"), ("worker",), ("load", ACME)):
            done = whohas(tmp_path / "home", *command, **told)
            assert done.returncode == 1, command
            assert "does not hold conditional puts" in done.stderr and "Use a store that holds them" in done.stderr
        # the record of the load that failed is for people
        assert [key for key in unsafe.keys(bucket) if key != "warehouse.json" and not key.startswith("loads/")] == []


def test_a_missing_bucket_stops_every_command(machines: Machines) -> None:
    for command in (("serve", "--port", "0"), ("load", ACME), ("run", "IDENTITIES"), ("index",)):
        done = whohas(
            machines.home("a"), *command, **{**machines.environment, "WHOHAS_WAREHOUSE_URL": "s3://nobody-made-it/x"}
        )
        assert done.returncode == 1, command
        assert "NoSuchBucket" in done.stderr and "Create the bucket" in done.stderr, done.stderr


def test_a_store_that_is_full_ends_a_load_without_a_trace(machines: Machines, gate: Gate) -> None:
    machines.load("a", "AD,1")
    gate.refuse(
        lambda method, path: method == "PUT" and path.endswith(".parquet"),
        "507 Insufficient Storage",
        "InsufficientStorage",
    )
    with pytest.raises(StoreFailed, match=r"InsufficientStorage.*Free space"):
        machines.load("b", "AD,2")
    gate.pass_all()
    assert accounts(machines.warehouse("c")) == ["1"]
    assert machines.keys("uploads/") == []
    assert machines.load("b", "AD,3") == 2


def test_a_lost_answer_to_the_manifest_loses_no_load(machines: Machines, gate: Gate) -> None:
    machines.load("a", "AD,1")
    gate.refuse(
        lambda method, path: "/manifests/" in path and method != "GET", "500 Internal Server Error", "InternalError"
    )
    with pytest.raises(StoreFailed):
        machines.load("b", "AD,2")
    gate.pass_all()
    assert accounts(machines.warehouse("c")) == ["1"]
    assert machines.load("b", "AD,3") == 2
    assert accounts(machines.warehouse("c")) == ["3"]


def test_the_console_of_each_machine_shows_all_loads(machines: Machines) -> None:
    path = machines.csv("data", "AD,1")
    assert machines.whohas("a", "load", path, "--quiet").returncode == 0
    assert len(machines.keys("loads/")) == 1
    assert len(machines.keys("loads/")) == 1
    with open_services(Settings(home=machines.home("b"))) as services:
        (record,) = recent_loads(services)
        assert (record.snapshot, record.rows, record.outcome) == (1, 1, LoadOutcome.PUBLISHED)
        assert find_load(services, record.id) == record
        assert unresolved_loads(services, 10) == []


def test_a_folder_may_be_named_by_its_url(tmp_path: Path) -> None:
    folder = tmp_path / "who has"
    settings = Settings(home=tmp_path / "home", warehouse_url=folder.as_uri())
    data = tmp_path / "accounts.csv"
    data.write_text("sourceName,nativeIdentity\nAD,1\n")
    assert load(open_warehouse(settings), [data], accept_loss=True).snapshot == 1
    assert accounts(open_warehouse(settings)) == ["1"]
    assert {path.name for path in folder.iterdir()} >= {"accounts", "manifests", "sources"}
    assert set(TABLES) >= {"accounts", "sources"}


@pytest.mark.parametrize("url", ["s3://key:hunter2@acme/x", "s3://acme/x?secret=hunter2"])
def test_credentials_in_the_setting_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidArguments, match=r"warehouse_url.*Put credentials into the environment") as caught:
        load_settings(warehouse_url=url)
    assert "hunter2" not in caught.value.message


def test_groups_are_for_folders_only() -> None:
    with pytest.raises(InvalidArguments, match="grant rights on the bucket"):
        load_settings(warehouse_url="s3://acme", warehouse_mode="group")
