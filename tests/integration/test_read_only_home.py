"""A home folder that is read-only: what must write says so in one sentence, what only reads tables works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS
from support import ACME, environment, whohas

READ_ONLY = "is on a file system that is read-only. Mount it for writing, or give whohas another folder (WHOHAS_HOME)."


@pytest.fixture(scope="module")
def read_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("read") / "home"
    assert whohas(home, "load", "-q", ACME).returncode == 0
    return home


def read_only(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command for which the home folder is mounted read-only; in a namespace of its own."""
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    mount = f"mount --bind {home} {home} && mount -o remount,bind,ro {home}"
    if subprocess.run([*unshare, mount], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount in a namespace of its own")
    command = f'{mount} && exec "$@"'
    return subprocess.run(
        [*unshare, command, "sh", sys.executable, "-m", "whohas", *arguments],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        cwd=home.parent,
    )


@pytest.mark.parametrize(
    "arguments",
    [["runs"], ["show", "abc"], ["download", "abc"], ["run", "IDENTITIES"], ["serve", "--port", "0"], ["worker"],
     ["load", str(ACME)]],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_what_must_write_says_what_and_what_to_do(read_home: Path, arguments: list[str]) -> None:
    done = read_only(read_home, *arguments, "-q")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert READ_ONLY in line and str(read_home) in line


@pytest.mark.parametrize(
    "arguments",
    [["search", "name:a*"], ["load", "--check", str(ACME)], ["index"]],
    ids=["search", "check", "index"],
)
def test_what_only_reads_tables_works(read_home: Path, arguments: list[str]) -> None:
    done = read_only(read_home, *arguments, "-q")
    assert (done.returncode in (0, 4), done.stderr) == (True, "")
