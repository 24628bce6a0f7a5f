"""Loads of several processes into one warehouse, and loads that are killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from factories import publish
from patience import PATIENCE_SECONDS
from whohas.warehouse.schema import ACCOUNTS, IDENTITIES
from whohas.warehouse.store import Snapshot, Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse")


def account(id: str, source: str = "s") -> dict[str, Any]:
    return {"id": id, "nativeIdentity": id, "sourceId": source}


def ids(snapshot: Snapshot) -> list[str]:
    return [
        id for file in snapshot.files(ACCOUNTS) for id in pq.read_table(file.path, columns=["id"])["id"].to_pylist()
    ]


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
