"""A load that is killed, or that finds no room, leaves what was there before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from intake import Rig
from patience import until
from whohas.errors import Unavailable
from whohas.warehouse.store import Warehouse

LOAD = "import sys; from pathlib import Path; from whohas.warehouse.store import Warehouse; from whohas.ingest import load\nload(Warehouse(Path(sys.argv[1])), [Path(sys.argv[2])])"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_load_killed_midway_leaves_the_snapshot_clean(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\nAD,1\n"})
    rig.load(".")
    with (rig.data / "accounts.csv").open("w") as out:
        out.write("sourceName,nativeIdentity,note\n")
        out.writelines(f"AD,{i},some text of account {i}\n" for i in range(1_500_000))
    child = subprocess.Popen([sys.executable, "-c", LOAD, str(rig.warehouse.root), str(rig.data)])
    files = rig.warehouse.root / "accounts"
    until(lambda: len(list(files.glob("*.parquet"))) == 2)
    os.kill(child.pid, signal.SIGSTOP)  # or it might be over before it is killed
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert [row["nativeIdentity"] for row in rig.rows("accounts")] == ["1"]
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\nAD,2\n"})
    assert rig.load(".").snapshot == 2
    assert [row["nativeIdentity"] for row in rig.rows("accounts")] == ["2"]
    assert len(list((rig.warehouse.root / "accounts").glob("*.parquet"))) == 2
    assert not list(rig.warehouse.root.glob("load-*"))


def test_a_full_disk_is_told_and_nothing_is_left(rig: Rig, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)]).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        with (rig.data / "accounts.csv").open("w") as out:
            out.write("sourceName,nativeIdentity,note\n")
            out.writelines(f"AD,{i},{hash(str(i))}{hash(str(-i))}\n" for i in range(300_000))
        rig.warehouse = Warehouse(small / "home" / "warehouse")
        with pytest.raises(Unavailable, match="The disk is full"):
            rig.load(".")
        assert rig.warehouse.snapshot().number == 0
        assert [path for path in small.rglob("*") if path.is_file() and path.name != "load.lock"] == []
        rig.write(**{"accounts.csv": "sourceName,nativeIdentity\nAD,1\n"})
        assert rig.load(".").snapshot == 1
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
