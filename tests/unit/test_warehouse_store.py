"""The warehouse: a load is seen whole or not at all, and a load that died leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from factories import publish, stage
from whohas.errors import NotFound
from whohas.warehouse.schema import ACCOUNTS, ROLES
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
