"""`whohas audit`: what an operator sees of the trail, and what they are told when it was changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from auditing import act, an_event, lines, outbox
from patience import PATIENCE_SECONDS
from support import environment, whohas
from whohas.audit.outbox import chain_events, mark_rejected, read_unsent, store_fault
from whohas.settings import Settings


@pytest.fixture(scope="module")
def three_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("three") / "home"
    for name in ("one", "two", "three"):
        assert whohas(home, "client", "create", name).returncode == 0
    return home


@pytest.fixture
def home_with_events(home: Path, three_events: Path) -> Path:
    """A home of its own with three events, which are not in the trail yet."""
    return shutil.copytree(three_events, home)


def test_events_are_listed_for_people_and_for_programs(home_with_events: Path) -> None:
    told = whohas(home_with_events, "audit", "list").stdout.splitlines()
    assert len(told) == 3
    assert "client.created" in told[0] and "name=one" in told[0] and "operator" in told[0]
    exact = whohas(home_with_events, "audit", "list", "--json").stdout
    assert exact == (home_with_events / "audit.ndjson").read_text()
    assert len(whohas(home_with_events, "audit", "list", "--limit", "2").stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--type", "client"], 3),
        (["--type", "run"], 0),
        (["--since", "1h"], 3),
        (["--since", "2999-01-01"], 0),
        (["--until", "2000-01-01T00:00Z"], 0),
        (["--who", "nobody at all"], 0),
        (["--run", "0" * 32], 0),
    ],
)
def test_events_are_filtered(home_with_events: Path, options: list[str], count: int) -> None:
    assert len(whohas(home_with_events, "audit", "list", *options).stdout.splitlines()) == count


def test_a_time_that_is_none_is_a_clear_error(home: Path) -> None:
    done = whohas(home, "audit", "list", "--since", "yesterday")
    assert (done.returncode, "is no time" in done.stderr) == (1, True)


def test_what_a_name_holds_is_not_obeyed_by_the_terminal(home: Path) -> None:
    settings = Settings(home=home)
    with outbox(settings) as database:
        act(database, an_event(fileName="a\x1b[2Jb\nc"))
    told = whohas(home, "audit", "list").stdout
    assert "\x1b" not in told


def test_a_trail_in_order_is_said_to_be_so(home_with_events: Path) -> None:
    done = whohas(home_with_events, "audit", "verify")
    assert (done.returncode, done.stdout.startswith("3 events, in order and unchanged.")) == (0, True), done.stdout


def test_verification_names_a_changed_line_and_a_cut_tail(home_with_events: Path) -> None:
    trail = home_with_events / "audit.ndjson"
    whohas(home_with_events, "audit", "list")
    first, second, _ = trail.read_text().splitlines(keepends=True)
    trail.write_text(first + second.replace('"two"', '"tvo"'))
    done = whohas(home_with_events, "audit", "verify")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "The event 3 is missing.",
        "audit.ndjson, line 2: the event 2 was changed.",
        "2 faults in 2 lines.",
    ]


def test_a_trail_that_is_gone_is_found(home_with_events: Path) -> None:
    whohas(home_with_events, "audit", "list")
    (home_with_events / "audit.ndjson").unlink()
    done = whohas(home_with_events, "audit", "verify")
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "The events 1 to 3 are missing.")


def test_a_copy_of_a_trail_is_checked_by_itself(home_with_events: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.ndjson"
    copy.write_text(whohas(home_with_events, "audit", "list", "--json", "--limit", "0").stdout)
    done = whohas(home_with_events, "audit", "verify", copy)
    assert (done.returncode, "is not known here" in done.stdout) == (0, True)
    done = whohas(home_with_events, "audit", "verify", tmp_path / "none")
    assert (done.returncode, "cannot be read" in done.stderr) == (1, True)


def test_the_status_tells_what_waits_and_what_was_refused(home: Path) -> None:
    settings = Settings(home=home)
    with outbox(settings) as database:
        act(database, an_event("r1"), an_event("r2"))
        with database.begin() as connection:
            chain_events(connection, "/whohas/whohas", 10)
            first, _ = read_unsent(connection, 10)
            mark_rejected(connection, first, "MSG_SIZE_TOO_LARGE: Broker: Message size too large")
            store_fault(connection, "the broker is away")
    status = json.loads(whohas(home, "audit", "status", "--json").stdout)
    assert (status["events"], status["waiting"], status["unfiled"]) == (2, 1, 2)
    assert status["fault"] == "the broker is away"
    assert status["refused"] == [{"sequence": 1, "reason": "MSG_SIZE_TOO_LARGE: Broker: Message size too large"}]
    assert "Refused by Kafka: event 1" in whohas(home, "audit", "status").stdout
    assert "1 event will be sent again" in whohas(home, "audit", "retry").stdout
    assert json.loads(whohas(home, "audit", "status", "--json").stdout)["refused"] == []


def test_the_trail_is_followed_until_it_is_stopped(home_with_events: Path) -> None:
    # who runs the tests in the background has the signal ignored, and so have all whom they start
    heard = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from whohas.cli import main; main()"
    )
    command = [sys.executable, "-c", heard, "audit", "list", "--follow", "--json", "--limit", "1"]
    with subprocess.Popen(
        command, env=environment(home_with_events), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["data"]["name"] == "three"
            assert whohas(home_with_events, "client", "create", "four").returncode == 0
            assert whohas(home_with_events, "audit", "list").returncode == 0
            assert json.loads(process.stdout.readline())["data"]["name"] == "four"
            os.kill(process.pid, signal.SIGINT)
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
    assert len(lines(home_with_events / "audit.ndjson")) == 4
