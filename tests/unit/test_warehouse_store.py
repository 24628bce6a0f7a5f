"""The warehouse: a load is seen whole or not at all, and a load that died leaves nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from factories import publish, stage
from patience import PATIENCE_SECONDS
from whohas.errors import NotFound
from whohas.warehouse.schema import ACCOUNTS, IDENTITIES, ROLES
from whohas.warehouse.store import Snapshot, TableChange, Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse")


def account(id: str, source: str = "s") -> dict[str, Any]:
    return {"id": id, "nativeIdentity": id, "sourceId": source}


def ids(snapshot: Snapshot) -> list[str]:
    return [
        id for file in snapshot.files(ACCOUNTS) for id in pq.read_table(file.path, columns=["id"])["id"].to_pylist()
    ]


def test_an_empty_warehouse_has_snapshot_zero_without_files(warehouse: Warehouse) -> None:
    assert warehouse.snapshot().number == 0
    assert warehouse.snapshot().files(ACCOUNTS) == []


def test_an_unknown_snapshot_is_not_found(warehouse: Warehouse) -> None:
    with pytest.raises(NotFound, match="no snapshot 7"):
        warehouse.snapshot(7)


def test_snapshots_stay_as_they_were(warehouse: Warehouse) -> None:
    publish(warehouse, [{"id": "s", "name": "S"}], [account("1")])
    publish(warehouse, [{"id": "s", "name": "S"}], [account("2"), account("3")])
    assert (ids(warehouse.snapshot(1)), ids(warehouse.snapshot())) == (["1"], ["2", "3"])
    assert warehouse.snapshot().sources == ("s",)


def test_only_partitions_that_are_named_are_replaced(warehouse: Warehouse) -> None:
    publish(warehouse, [], [account("1", "a"), account("2", "b")])
    with warehouse.load() as load:
        file = stage(load, ACCOUNTS, [account("3", "a")], "a")
        snapshot = load.publish([TableChange(ACCOUNTS, (file,), frozenset({"a"}))], ("a",))
    assert sorted(ids(snapshot)) == ["2", "3"]
    assert [file.rows for file in snapshot.files(ACCOUNTS, frozenset({"b"}))] == [1]


def test_an_unpartitioned_table_is_replaced_whole(warehouse: Warehouse) -> None:
    for id in ("1", "2"):
        with warehouse.load() as load:
            load.publish([TableChange(ROLES, (stage(load, ROLES, [{"id": id}]),), None)], ())
    assert [file.rows for file in warehouse.snapshot().files(ROLES)] == [1]


def test_files_come_in_the_order_in_which_they_were_staged(warehouse: Warehouse) -> None:
    with warehouse.load() as load:
        files = [stage(load, ACCOUNTS, [account(str(n))], "s") for n in range(12)]
        load.publish([TableChange(ACCOUNTS, tuple(reversed(files)), frozenset({"s"}))], ("s",))
    assert ids(warehouse.snapshot()) == [str(n) for n in range(12)]


def test_what_is_staged_and_not_published_is_removed(warehouse: Warehouse) -> None:
    with warehouse.load() as load:
        stage(load, ACCOUNTS, [account("1")], "s")
        (load.scratch / "x").write_text("x")
    assert not list(warehouse.root.rglob("*.parquet"))
    assert not load.scratch.exists()


def test_a_rehearsal_writes_nothing(warehouse: Warehouse) -> None:
    with warehouse.dry_run() as load:
        path = stage(load, ACCOUNTS, [account("1")], "s").path
        assert path.exists()
    assert not path.exists()
    assert not warehouse.root.exists()


def test_the_tables_are_delta_tables_for_others_too(warehouse: Warehouse) -> None:
    publish(warehouse, [{"id": "s", "name": "S"}], [account("1")])
    delta = DeltaTable(warehouse.root / "accounts")
    assert delta.metadata().partition_columns == ["sourceId"]
    assert pa.schema(delta.schema()).names == ACCOUNTS.schema.names


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from factories import stage
from whohas.warehouse.store import Load, TableChange, Warehouse
from whohas.warehouse.schema import ACCOUNTS, IDENTITIES

class Dying(Load):
    commits = 0
    def _commit(self, change):
        if Dying.commits == int(sys.argv[2]):
            os._exit(9)
        Dying.commits += 1
        return super()._commit(change)

import whohas.warehouse.store as store
store.Load = Dying
with Warehouse(Path(sys.argv[1])).load() as load:
    accounts = stage(load, ACCOUNTS, [{"id": "new", "nativeIdentity": "new", "sourceId": "s"}], "s")
    people = stage(load, IDENTITIES, [{"id": "new", "sourceId": ""}], "")
    changes = [TableChange(ACCOUNTS, (accounts,), None), TableChange(IDENTITIES, (people,), None)]
    load.publish(changes, ("s",))
"""


@pytest.mark.parametrize("commits", [0, 1])
def test_a_load_that_is_killed_between_commits_is_never_seen(warehouse: Warehouse, commits: int) -> None:
    publish(warehouse, [{"id": "s", "name": "S"}], [account("1")], [{"id": "p", "sourceId": ""}])
    arguments = [sys.executable, "-c", KILLED, str(warehouse.root), str(commits), str(Path(__file__).parents[1])]
    assert subprocess.run(arguments, capture_output=True).returncode == 9
    assert ids(warehouse.snapshot()) == ["1"]
    left = len(list(warehouse.root.glob("load-*")))
    publish(warehouse, [{"id": "s", "name": "S"}], [account("2")])
    snapshot = warehouse.snapshot()
    assert (snapshot.number, ids(snapshot), left) == (2, ["2"], 1)
    known = {path.name for n in (1, 2) for table in (ACCOUNTS, IDENTITIES) for path in
             (file.path for file in warehouse.snapshot(n).files(table))}  # fmt: skip
    assert {
        path.name for name in ("accounts", "identities") for path in (warehouse.root / name).glob("*.parquet")
    } == known
    assert not list(warehouse.root.glob("load-*"))
    assert ids(warehouse.snapshot(1)) == ["1"]


def test_a_second_load_waits_for_the_first(warehouse: Warehouse) -> None:
    script = (
        "import sys; from pathlib import Path; from whohas.warehouse.store import Warehouse\n"
        "with Warehouse(Path(sys.argv[1])).load(lambda: print('waits', flush=True)):\n    print('in', flush=True)\n"
    )
    with warehouse.load():
        child = subprocess.Popen([sys.executable, "-c", script, str(warehouse.root)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "waits\n"
    assert child.communicate(timeout=PATIENCE_SECONDS)[0] == "in\n"
