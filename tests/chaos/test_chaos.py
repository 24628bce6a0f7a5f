"""Everything that can die or hang does, at random, under load; then the database and the files are asked what is lost.

`make chaos` takes two minutes; `--chaos-seconds` and `--chaos-seed` say otherwise. What is proven: each accepted start is
known and has one outcome, and nothing ever leaves it; each way that a run went is one that `TRANSITIONS` has; a run that
succeeded has its whole files and no others; no other run has any.
"""

from __future__ import annotations

import hashlib
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

import support
from cluster import Cluster, Node, running_cluster
from factories import many_accounts
from postgres import Postgres, postgres_server, programs
from whohas.runs.model import ACTIVE, TRANSITIONS, State

ROWS = 60_000
STARTERS = 3
SETTLE_SECONDS = 180
SETTINGS = {"WHOHAS_DRAIN_SECONDS": "1", "WHOHAS_SMALL_RUN": str(ROWS)}
"""One CSV is a small run, everything else a large one: both queues are used."""
SWEEP_SECONDS = 90
COMMAND = "import whohas.runs.recovery as it; it._TIDY_SECONDS = 5.0; from whohas.cli import main; main()"
"""whohas that looks for stray files as often as things go wrong here, not once a minute."""
WITH_FILES = (State.SUCCEEDED, State.WARNED)

HISTORY = """
CREATE TABLE history (number BIGSERIAL, run TEXT, before TEXT, after TEXT);
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN INSERT INTO history (run, after) VALUES (NEW.id, NEW.state);
  ELSIF OLD.state <> NEW.state THEN INSERT INTO history (run, before, after) VALUES (NEW.id, OLD.state, NEW.state);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER remember BEFORE INSERT OR UPDATE ON run FOR EACH ROW EXECUTE FUNCTION remember();
"""
"""What every change of a state writes down, in the same transaction."""


class Load:
    """Starts reports and cancels some, on whichever server answers, until told to stop."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.accepted: set[str] = set()
        self.refused = Counter[str]()
        self._cluster, self._seed = cluster, seed
        self._token = cluster.token(cluster.servers[0])
        self._stop = threading.Event()
        self._broken: list[Exception] = []
        self._threads = [threading.Thread(target=self._go, args=(number,)) for number in range(STARTERS)]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._broken:
            raise self._broken[0]

    def _go(self, number: int) -> None:
        choose = random.Random(f"{self._seed} {number}")
        try:
            self._start_again_and_again(choose)
        except Exception as error:
            self._broken.append(error)

    def _start_again_and_again(self, choose: random.Random) -> None:
        with httpx2.Client(headers={"Authorization": f"Bearer {self._token}"}, timeout=10) as http:
            while not self._stop.wait(choose.uniform(0.05, 0.6)):
                url = choose.choice(self._cluster.servers).url
                try:
                    self._one(http, url, choose)
                except httpx2.TransportError as error:
                    self.refused[type(error).__name__] += 1

    def _one(self, http: httpx2.Client, url: str, choose: random.Random) -> None:
        formats = choose.choice([["CSV"], ["CSV"], ["NDJSON"], ["CSV", "PARQUET"]])
        # different enough that most are runs of their own, alike enough that some are not
        zone = f"+{choose.randrange(12):02}:00"
        arguments = {"application": "big", "selectedFormats": formats, "timeZone": zone}
        answer = http.post(f"{url}/v2025/reports/run", json={"reportType": "ACCOUNTS", "arguments": arguments})
        if answer.status_code != 200:
            assert answer.status_code in (429, 503), answer.text
            self.refused[str(answer.status_code)] += 1
            return
        self.accepted.add(run_id := answer.json()["id"])
        if choose.random() < 0.25:
            time.sleep(choose.uniform(0, 1.5))
            status = http.post(f"{url}/v2025/reports/{run_id}/cancel").status_code
            assert status in (204, 503), status


class Faults:
    """What goes wrong, one thing after another."""

    def __init__(self, cluster: Cluster, postgres: Postgres, choose: random.Random) -> None:
        self.done = Counter[str]()
        self._cluster, self._postgres, self._choose = cluster, postgres, choose

    def go_on(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        kinds: list[Callable[[], None]] = [self._kill_worker, self._kill_server, self._hang, self._stop, self._crash]
        while time.monotonic() < until:
            kind = self._choose.choices(kinds, weights=[5, 2, 3, 2, 1])[0]
            kind()
            self.done[kind.__name__.strip("_")] += 1
            time.sleep(self._choose.uniform(0.2, 2.0))

    def _kill_worker(self) -> None:
        self._again(self._choose.choice(self._cluster.workers), Node.kill)

    def _kill_server(self) -> None:
        self._again(self._choose.choice(self._cluster.servers), Node.kill)

    def _stop(self) -> None:
        self._again(self._choose.choice(self._cluster.workers), Node.stop)

    def _again(self, node: Node, end: Callable[[Node], Any]) -> None:
        end(node)
        time.sleep(self._choose.uniform(0, 1.5))
        node.start()

    def _hang(self) -> None:
        node = self._choose.choice(list(self._cluster.nodes()))
        node.send(signal.SIGSTOP)
        time.sleep(self._choose.uniform(0.5, 8))
        node.send(signal.SIGCONT)

    def _crash(self) -> None:
        self._postgres.stop_hard()
        time.sleep(self._choose.uniform(0, 3))
        self._postgres.start()


@pytest.mark.chaos
def test_nothing_is_lost_whatever_dies(
    home: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql-15)")
    seed = request.config.getoption("--chaos-seed")
    print(f"\n--chaos-seed {seed}")
    monkeypatch.setattr(support, "WHOHAS", ("-c", COMMAND))
    many_accounts(home / "warehouse", ROWS)
    with postgres_server() as postgres:
        url = postgres.new_database()
        with running_cluster(home, url, **SETTINGS) as cluster:
            with psycopg.connect(url) as connection:
                connection.execute(HISTORY)
            load = Load(cluster, seed)
            faults = Faults(cluster, postgres, random.Random(seed))
            load.begin()
            try:
                faults.go_on(request.config.getoption("--chaos-seconds"))
            finally:
                load.end()
            for node in cluster.nodes():
                if not node.alive:
                    node.start()
            wait_until_all_are_over(url)
            outcomes = prove(url, home, load.accepted)
            print(f"faults   {dict(faults.done)}\naccepted {len(load.accepted)}\nrefused  {dict(load.refused)}")
            print(f"outcomes {outcomes}")
            assert load.accepted and outcomes["succeeded"]


def wait_until_all_are_over(url: str) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    active = [state.value for state in ACTIVE]
    while True:
        with psycopg.connect(url) as connection:
            left = connection.execute("SELECT * FROM run WHERE state = ANY(%s)", (active,)).fetchall()
        if not left:
            return
        assert time.monotonic() < deadline, f"in limbo: {left}"
        time.sleep(0.2)


def prove(url: str, home: Path, accepted: set[str]) -> Counter[str]:
    """Holds the database and the files to what was promised; how many runs ended how."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT id, state, completed, artefacts, lost, messages FROM run").fetchall()
        history = connection.execute("SELECT run, before, after FROM history ORDER BY number").fetchall()
    runs = {run_id: (State(state), artefacts) for run_id, state, _, artefacts, _, _ in rows}
    assert accepted <= set(runs), "an accepted start is not known any more"
    for run_id, state, completed, _, lost, messages in rows:
        assert State(state).over and completed is not None, run_id
        if state == State.FAILED:
            assert lost == 3 and messages[-1]["key"] == "run.failed.attempts", messages
    ways = {(way.before, way.after) for way in TRANSITIONS}
    assert {(before and State(before), State(after)) for _, before, after in history} <= ways
    ends = Counter(run_id for run_id, _, after in history if State(after).over)
    assert ends == Counter(dict.fromkeys(runs, 1)), "a run had no outcome, or two"
    wait_until_swept(home / "artefacts", {run_id: named(*run) for run_id, run in runs.items()})
    for run_id, (state, artefacts) in runs.items():
        assert bool(artefacts) == (state in WITH_FILES)
        for artefact in artefacts:
            data = (home / "artefacts" / run_id / artefact["name"]).read_bytes()
            assert len(data) == artefact["bytes"]
            assert hashlib.sha256(data).hexdigest() == artefact["sha256"]
            assert artefact["rows"] == ROWS
            if artefact["format"] != "parquet" and artefact["format"] != "extract":
                assert data.count(b"\n") == artefact["rows"] + (artefact["format"] == "csv")
    return Counter(state.value for state, _ in runs.values())


def named(state: State, artefacts: list[dict[str, Any]]) -> set[str]:
    return {artefact["name"] for artefact in artefacts} if state in WITH_FILES else set()


def wait_until_swept(folder: Path, expected: dict[str, set[str]]) -> None:
    """What a dying attempt wrote last is swept in time; then each file is one that a run names."""
    deadline = time.monotonic() + SWEEP_SECONDS
    wanted = {run_id: names for run_id, names in expected.items() if names}
    while True:
        there = {place.name: {path.name for path in place.iterdir()} for place in folder.iterdir()}
        if (found := {run_id: names for run_id, names in there.items() if names}) == wanted:
            return
        assert time.monotonic() < deadline, {
            run_id: (found.get(run_id), wanted.get(run_id))
            for run_id in found.keys() | wanted.keys()
            if found.get(run_id) != wanted.get(run_id)
        }
        time.sleep(0.5)
