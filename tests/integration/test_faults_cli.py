"""Faults of the system, the disk and the engine end a command with one sentence and exit code 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS
from support import WHOHAS, environment

WITH_FAULT = """
import whohas.cli as cli

@cli.app.command("fault")
def fault() -> None:
{code}

cli.main()
"""
OUT_OF_MEMORY = """
from pathlib import Path
from whohas.engine.duckdb import connect_duckdb
connect_duckdb(1 << 26, 1, Path("{folder}") / "spill").execute(
    "SELECT len(list(range || 'x')) AS n FROM range(30000000)"
).fetchall()
"""
FULL = "open('/dev/full', 'w', buffering=1).write('x\\n')"
FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
kept = [open('/dev/null') for _ in range(100)]
"""
LARGE = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
open('{folder}/large', 'w', buffering=1).write('x' * 100 + '\\n')
"""
ADDRESSES = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
bytearray(1 << 31)
"""
LAYOUT = """
import sqlalchemy as sa
with sa.create_engine('sqlite:////dev/null/none.db').connect(): pass
"""


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (OUT_OF_MEMORY, "WHOHAS_RUN_MEMORY"),
        (FULL, "No space is left"),
        (FILES, "ulimit -n"),
        (LARGE, "may not grow"),
        (ADDRESSES, "not enough memory"),
        (LAYOUT, "cannot be opened"),
        ("open('/proc/1/no/such')", "/proc/1/no/such cannot be used: No such file"),
    ],
    ids=["engine", "disk", "files", "file size", "memory", "database", "missing file"],
)
def test_a_fault_of_the_system_is_one_sentence(home: Path, tmp_path: Path, code: str, says: str) -> None:
    body = "\n".join(f"    {line}" for line in code.replace("{folder}", str(tmp_path)).splitlines())
    done = subprocess.run(
        [sys.executable, "-c", WITH_FAULT.format(code=body), "fault"],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("whohas: ") and says in line


def test_a_fault_of_our_own_keeps_its_traceback(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITH_FAULT.format(code="    1 / 0"), "fault"],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_an_output_that_takes_nothing_is_one_sentence(home: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, *WHOHAS, "runs", "-q"],
            env=environment(home), stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "whohas: The output could not be written: No space left on device. Send it elsewhere.\n"


@pytest.mark.parametrize("arguments", ["runs", "serve --port 0", "worker", "client list", "load ."])
def test_a_full_disk_at_the_start_is_one_sentence(tmp_path: Path, arguments: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    mount = f"mount -t tmpfs -o size=1m tmpfs {disk}"
    if subprocess.run([*unshare, mount], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system in a namespace of its own")
    fill = f"mkdir -m 700 {disk}/home; cat /dev/zero > {disk}/fill 2> {os.devnull}"
    command = f"{mount} && {fill}; exec {sys.executable} -m whohas {arguments} -q"
    done = subprocess.run(
        [*unshare, command],
        env=environment(disk / "home"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "No space is left on the disk" in line and str(disk) in line and "WHOHAS_HOME" in line
