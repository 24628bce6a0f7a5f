"""A load and its event: whatever is killed, and when, there is one for each that was published and none else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from auditing import lines, outbox, settle
from chance import chance
from patience import until
from support import ACME, environment, serving, whohas
from whohas.settings import Settings
from whohas.warehouse.store import Warehouse

LOAD = """
import sys, time
from pathlib import Path
from whohas.ingest import load
from whohas.warehouse.store import Warehouse
load(Warehouse(Path(sys.argv[1])), [Path(sys.argv[2])], by={"user": "ann", "host": "here"})
print("published", flush=True)
time.sleep(60)
"""
FORKS = """
import os, sys
import whohas.cli.load, whohas.db.engine, whohas.db.migrations, whohas.settings
import whohas.warehouse.audit_events, whohas.ingest
from whohas.cli import main
for _ in sys.stdin:
    if not (child := os.fork()):
        sys.exit(main())
    print(child, flush=True)
    sys.stdin.readline()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Forks a `whohas load` for a line and waits for it for the next, by turns: imports take longer than the load does, and are no place to be killed at."""


def loads(home: Path) -> Counter[str]:
    """How often each load is told of."""
    settings = Settings(home=home)
    with outbox(settings) as database:
        settle(settings, database)
    return Counter(e["data"]["loadId"] for e in lines(home / "audit.ndjson") if e["type"] == "whohas.data.loaded")


def published(home: Path) -> set[str]:
    return {manifest["loadId"] for manifest in Warehouse(home / "warehouse").manifests()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "accounts.csv").write_text("sourceName,nativeIdentity\nAD,1\n")
    return folder


def test_a_load_tells_who_loaded_what(home: Path, source: Path) -> None:
    assert whohas(home, "load", source).returncode == 0
    assert whohas(home, "audit", "list").returncode == 0
    (event,) = lines(home / "audit.ndjson")
    data = event["data"]
    assert (data["outcome"], data["snapshot"], data["rows"], data["rejected"]) == ("published", 1, 1, 0)
    assert data["files"] == ["accounts.csv"] and data["actor"]["kind"] == "operator"
    (manifest,) = Warehouse(home / "warehouse").manifests()
    assert (data["loadId"], data["sources"]) == (manifest["loadId"], manifest["sources"])


def test_a_check_and_a_load_that_fails_have_no_event(home: Path, source: Path) -> None:
    assert whohas(home, "load", "--check", source).returncode == 0
    (source / "accounts.csv").write_text("sourceName,nativeIdentity\nAD,\n")
    assert whohas(home, "load", "--strict", source).returncode == 1
    assert loads(home) == Counter()


def test_the_next_server_audits_a_load_killed_before_its_event(home: Path, source: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LOAD, str(home / "warehouse"), str(source)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "published\n"
        process.send_signal(signal.SIGKILL)
    assert loads(home) == Counter()
    with serving(home):
        until(lambda: loads(home) == Counter(published(home)))
    event = next(e for e in lines(home / "audit.ndjson") if e["type"] == "whohas.data.loaded")
    assert event["data"]["actor"]["name"] == "ann"
    assert event["data"]["from"] == "here"


def test_a_load_does_not_begin_without_a_writable_audit_log(home: Path, source: Path) -> None:
    done = whohas(home, "load", source, WHOHAS_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert (done.returncode, "Nothing was loaded" in done.stderr) == (1, True)
    assert not (home / "warehouse" / "manifests").exists()


class Loads:
    """`whohas load` of examples/acme, as often as it is wanted, one at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def begin(self) -> int:
        """Begins one; the id of its process, which is its own until `end`."""
        return self._ask()

    def end(self) -> int:
        """Waits for its end; the exit code, negative where a signal ended it."""
        return self._ask()

    def _ask(self) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


@pytest.mark.long
@pytest.mark.property
def test_loads_killed_at_random_are_audited_exactly_if_published(home: Path) -> None:
    draw = chance(21)
    with subprocess.Popen(
        [sys.executable, "-c", FORKS, "load", "-q", str(ACME)],
        env=environment(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        acme = Loads(process)
        acme.begin()
        began = time.monotonic()
        assert acme.end() == 0
        whole = time.monotonic() - began
        for _ in range(12):
            load = acme.begin()
            time.sleep(draw.uniform(0, 1.1 * whole))
            os.kill(load, signal.SIGKILL)
            assert acme.end() in (0, -signal.SIGKILL)
            assert set(loads(home)) <= published(home)
        acme.begin()
        assert acme.end() == 0
        assert process.stdin is not None
        process.stdin.close()
    assert loads(home) == Counter(published(home))
    print(f"loads published {len(published(home))}, told of {len(loads(home))}")
