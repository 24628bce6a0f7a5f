"""A load and its event: whatever is killed, and when, there is one for each that was published and none else."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from auditing import lines, outbox, until
from support import ACME, WHOHAS, environment, serving, whohas
from whohas.settings import Settings
from whohas.warehouse.store import Warehouse

LOAD = """
import sys, time
from pathlib import Path
from whohas.warehouse.intake import load
from whohas.warehouse.store import Warehouse
load(Warehouse(Path(sys.argv[1])), [Path(sys.argv[2])], by={"user": "ann", "host": "here"})
print("published", flush=True)
time.sleep(60)
"""


def loads(home: Path) -> Counter[str]:
    """How often each load is told of."""
    assert whohas(home, "audit", "list", "--limit", "1").returncode == 0
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


def test_a_load_that_was_killed_between_its_manifest_and_its_event_is_told_by_the_next_server(
    home: Path, source: Path
) -> None:
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


def test_a_load_does_not_begin_where_its_event_could_not_be_written(home: Path, source: Path) -> None:
    done = whohas(home, "load", source, WHOHAS_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert (done.returncode, "Nothing was loaded" in done.stderr) == (1, True)
    assert not (home / "warehouse" / "manifests").exists()


@pytest.mark.slow
def test_loads_that_are_killed_at_random_are_told_of_if_and_only_if_they_were_published(home: Path) -> None:
    chance = random.Random(21)
    with outbox(Settings(home=home)):
        pass
    for _ in range(12):
        process = subprocess.Popen(
            [*WHOHAS, "load", "-q", str(ACME)], env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )  # fmt: skip
        time.sleep(chance.uniform(0.8, 3.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert set(loads(home)) <= published(home)
    assert whohas(home, "load", "-q", ACME).returncode == 0
    assert loads(home) == Counter(published(home))
    print(f"loads published {len(published(home))}, told of {len(loads(home))}")
