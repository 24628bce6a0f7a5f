"""`whohas load` killed by kill -9 at each step before and after it published: what is seen is one whole load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from patience import PATIENCE_SECONDS
from support import environment, whohas
from whohas.search.index import is_built
from whohas.warehouse.schema import ACCOUNTS, IDENTITIES
from whohas.warehouse.store import Warehouse

STEPS = {
    # the function before which the process is killed, and whether the load is published by then
    "before the first commit": ("whohas.warehouse.store", "Load._commit", 1, False),
    "between commits": ("whohas.warehouse.store", "Load._commit", 2, False),
    "before the manifest": ("whohas.warehouse.store", "_write_manifest", 1, False),
    "before cleaning up": ("whohas.warehouse.store", "Load.discard", 1, True),
    "before its event": ("whohas.warehouse.audit_events", "tell_loads", 1, True),
    "before the index": ("whohas.cli.load", "make_index", 1, True),
    "in the index": ("whohas.search.index", "sync_file", 1, True),
    "before the index is there": ("whohas.search.index", "_publish", 1, True),
    "in the sweep of indexes": ("whohas.search.index", "_sweep", 1, True),
    "before the rejects": ("whohas.ingest.rejects", "Rejects.write", 1, False),
}
KILLED = """
import importlib, os, signal, sys
module, path, count = sys.argv[1], sys.argv[2].split("."), int(sys.argv[3])
from whohas.cli import main
importlib.import_module(module)
owner = sys.modules[module]  # `whohas.cli.load` as an attribute is the command
for name in path[:-1]:
    owner = getattr(owner, name)
real, calls = getattr(owner, path[-1]), []
def killing(*args, **kwargs):
    calls.append(1)
    if len(calls) == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
setattr(owner, path[-1], killing)
sys.argv = ["whohas", "load", "-q", "--accept-loss", "--allow-rejects", sys.argv[4]]
main()
"""


def write(data: Path, number: int) -> None:
    data.mkdir(exist_ok=True)
    rows = "".join(f"AD,{number}-{row},load{number}\n" for row in range(5))
    # one row without a native identity: there is something to reject
    (data / "accounts.csv").write_text(f"sourceName,nativeIdentity,name\n{rows}AD,,nobody\n")
    lines = (json.dumps({"id": f"{number}-{row}", "name": f"load{number}"}) for row in range(5))
    (data / "identities.ndjson").write_text("\n".join(lines))


def killed(home: Path, data: Path, step: str) -> bool:
    """Have a load killed at a step; whether it had published."""
    module, path, count, published = STEPS[step]
    command = [sys.executable, "-c", KILLED, module, path, str(count), str(data)]
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == -9, f"it came to its end: {done.stderr}"
    return published


def seen(home: Path) -> set[str]:
    """The names of the loads whose accounts and identities are in the newest snapshot."""
    snapshot = Warehouse(home / "warehouse").snapshot()
    return {
        row["name"]
        for table in (ACCOUNTS, IDENTITIES)
        for file in snapshot.files(table)
        for row in pq.read_table(file.path, columns=["name"]).to_pylist()
    }


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_load_is_there_whole_or_not_at_all(home: Path, tmp_path: Path, step: str) -> None:
    data = tmp_path / "data"
    write(data, 1)
    assert whohas(home, "load", "-q", "--allow-rejects", data).returncode == 0
    wanted = 1
    for number in (2, 3):  # killed twice in a row at the same step
        write(data, number)
        if killed(home, data, step):
            wanted = number
        assert seen(home) == {f"load{wanted}"}
    found = whohas(home, "search", "*", "--limit", "1")
    assert (found.returncode, found.stdout.splitlines()[-1]) == (0, "5 found, the first 1 shown"), found.stderr
    write(data, 4)
    again = whohas(home, "load", "-q", "--accept-loss", "--allow-rejects", data)
    assert again.returncode == 0, again.stderr
    assert seen(home) == {"load4"}
    warehouse = Warehouse(home / "warehouse")
    assert is_built(warehouse.snapshot())
    left = [path.name for path in warehouse.root.rglob("*") if path.name.startswith("load-") or ".part" in path.name]
    assert left == []
    # each load that was published has its event, once
    trail = whohas(home, "audit", "list", "--json", "--limit", "1000")
    assert trail.returncode == 0, trail.stderr
    loads = [line for line in trail.stdout.splitlines() if "data.loaded" in line]
    assert len(loads) == warehouse.snapshot().number


@pytest.mark.long
def test_two_loads_after_a_killed_one_run_in_turn(home: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write(data, 1)
    assert whohas(home, "load", "-q", "--allow-rejects", data).returncode == 0
    write(data, 2)
    killed(home, data, "between commits")
    processes: list[subprocess.Popen[bytes]] = []
    for number in (3, 4):
        write(tmp_path / f"data{number}", number)
        command = [sys.executable, "-m", "whohas", "load", "-q", "--accept-loss", "--allow-rejects", str(tmp_path / f"data{number}")]  # fmt: skip
        processes.append(subprocess.Popen(command, env=environment(home)))
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0]
    assert Warehouse(home / "warehouse").snapshot().number == 3
    assert seen(home) in ({"load3"}, {"load4"})
