"""Starts, cancels and downloads while things die, and the proof that nothing is lost."""

from __future__ import annotations

import hashlib
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from auditing import lines, waiting
from cluster import Cluster
from patience import until
from support import whohas
from whohas.audit.verify import verify
from whohas.runs.models import ACTIVE_STATES, TRANSITIONS, RunState
from whohas.runs.tables import run

ROWS = 60_000
STARTERS = 3
DOWNLOADERS = 4
SETTLE_SECONDS = 180
SWEEP_SECONDS = 90
MADE_LATER = re.compile(r"-[0-9a-f]{8}\.").search
"""Whether a file was made at a download; a server that died then may leave one that no run names."""
WITH_FILES = (RunState.SUCCEEDED, RunState.WARNED)

HISTORY = {
    "postgresql": (
        "CREATE TABLE history (number BIGSERIAL, run TEXT, before TEXT, after TEXT)",
        """CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN INSERT INTO history (run, after) VALUES (NEW.id, NEW.state);
  ELSIF OLD.state <> NEW.state THEN INSERT INTO history (run, before, after) VALUES (NEW.id, OLD.state, NEW.state);
  END IF;
  RETURN NEW;
END $$""",
        "CREATE TRIGGER remember AFTER INSERT OR UPDATE ON run FOR EACH ROW EXECUTE FUNCTION remember()",
    ),
    "sqlite": (
        "CREATE TABLE history (number INTEGER PRIMARY KEY, run TEXT, before TEXT, after TEXT)",
        "CREATE TRIGGER begun AFTER INSERT ON run "
        "BEGIN INSERT INTO history (run, after) VALUES (NEW.id, NEW.state); END",
        "CREATE TRIGGER changed AFTER UPDATE OF state ON run WHEN OLD.state <> NEW.state "
        "BEGIN INSERT INTO history (run, before, after) VALUES (NEW.id, OLD.state, NEW.state); END",
    ),
}
"""What every change of a state writes down, in the same transaction."""


def write_history(database: sa.Engine) -> None:
    with database.begin() as connection:
        for statement in HISTORY[database.dialect.name]:
            connection.exec_driver_sql(statement)


@dataclass(frozen=True, slots=True)
class Download:
    """A download that was answered with 200.

    Attributes:
        whole: whether the connection went on to its end.
    """

    run: str
    format: str
    bytes: int
    sha256: str
    lines: int
    whole: bool


class Load:
    """Starts reports, cancels some and downloads others, on whichever server answers, until told to stop."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.accepted: set[str] = set()
        self.refused = Counter[str]()
        self.cancels = Counter[str]()
        self.asked = Counter[tuple[str, str]]()
        self.downloads: list[Download] = []
        self._cluster, self._seed = cluster, seed
        self._token = cluster.token(cluster.servers[0])
        self._stop = threading.Event()
        self._broken: list[Exception] = []
        acts = [self._start_or_cancel] * STARTERS + [self._download] * DOWNLOADERS
        self._threads = [threading.Thread(target=self._go, args=(act, number)) for number, act in enumerate(acts)]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._broken:
            raise self._broken[0]

    def _go(self, act: Callable[[httpx2.Client, str, random.Random], None], number: int) -> None:
        choose = random.Random(f"{self._seed} {number}")
        try:
            with httpx2.Client(headers={"Authorization": f"Bearer {self._token}"}, timeout=10) as http:
                while not self._stop.wait(choose.uniform(0.05, 0.6)):
                    try:
                        act(http, choose.choice(self._cluster.servers).url, choose)
                    except httpx2.TransportError as error:
                        self.refused[type(error).__name__] += 1
        except Exception as error:
            self._broken.append(error)

    def _start_or_cancel(self, http: httpx2.Client, url: str, choose: random.Random) -> None:
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
            self.cancels[run_id] += 1
            status = http.post(f"{url}/v2025/reports/{run_id}/cancel").status_code
            assert status in (204, 503), status

    def _download(self, http: httpx2.Client, url: str, choose: random.Random) -> None:
        """One file of a run; slowly, so that it is still on its way when something dies."""
        if not self.accepted:
            return
        run_id = choose.choice(sorted(self.accepted))
        format = choose.choice(("csv", "csv", "ndjson"))
        self.asked[run_id, format] += 1
        query = {"fileFormat": format, "auditable": "true"}
        with http.stream("GET", f"{url}/v2025/reports/{run_id}", params=query) as answer:
            if answer.status_code != 200:
                assert answer.status_code in (404, 409, 429, 503), answer.read()
                self.refused[f"download {answer.status_code}"] += 1
                return
            sha256, size, ends, whole = hashlib.sha256(), 0, 0, False
            try:
                for chunk in answer.iter_raw(1 << 18):
                    sha256.update(chunk)
                    size += len(chunk)
                    ends += chunk.count(b"\n")
                    time.sleep(choose.uniform(0, 0.03))
                whole = True
            finally:
                self.downloads.append(Download(run_id, format, size, sha256.hexdigest(), ends, whole))


def wait_until_all_are_over(database: sa.Engine) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        with database.connect() as connection:
            active = run.c.state.in_([state.value for state in ACTIVE_STATES])
            left = connection.execute(sa.select(run).where(active)).all()
        if not left:
            return
        assert time.monotonic() < deadline, f"in limbo: {left}"
        time.sleep(0.2)


def prove(database: sa.Engine, home: Path, load: Load) -> Counter[str]:
    """Holds the database, the files, the downloads and the audit log to what was promised; how many runs ended how."""
    with database.connect() as connection:
        rows = connection.execute(sa.select(run)).all()
        history = connection.execute(sa.text("SELECT run, before, after FROM history ORDER BY number")).all()
    runs = {row.id: (RunState(row.state), row.artefacts) for row in rows}
    assert load.accepted <= set(runs), "an accepted start is not known any more"
    for row in rows:
        assert RunState(row.state).is_over and row.completed is not None, row.id
        if row.state == RunState.FAILED:
            # one more where a server died after it had taken the run to end it
            assert row.lost >= 3 and row.messages[-1]["key"] == "run.failed.attempts", row.messages
    ways = {(way.before, way.after) for way in TRANSITIONS}
    assert {(before and RunState(before), RunState(after)) for _, before, after in history} <= ways
    ends = Counter(run_id for run_id, _, after in history if RunState(after).is_over)
    assert ends == Counter(dict.fromkeys(runs, 1)), "a run had no outcome, or two"
    url = database.url.render_as_string(hide_password=False)
    settings = {} if database.dialect.name == "sqlite" else {"WHOHAS_DATABASE_URL": url}
    wait_until_swept(home / "artefacts", {run_id: named(*found) for run_id, found in runs.items()}, settings)
    for run_id, (state, artefacts) in runs.items():
        assert bool(artefacts) == (state in WITH_FILES)
        for artefact in artefacts:
            data = (home / "artefacts" / run_id / artefact["name"]).read_bytes()
            assert len(data) == artefact["bytes"]
            assert hashlib.sha256(data).hexdigest() == artefact["sha256"]
            assert artefact["rows"] == ROWS
            if artefact["format"] not in ("parquet", "extract"):
                assert data.count(b"\n") == artefact["rows"] + (artefact["format"] == "csv")
    prove_downloads(load, runs)
    prove_audit(database, home, load, history)
    return Counter(state.value for state, _ in runs.values())


def prove_downloads(load: Load, runs: dict[str, tuple[RunState, list[dict[str, Any]]]]) -> None:
    """A download that came to its end is the file of its run; one that did not ended with an error at the client."""
    for one in load.downloads:
        state, artefacts = runs[one.run]
        assert state in WITH_FILES, one
        file = next(artefact for artefact in artefacts if artefact["format"] == one.format)
        if one.whole:
            assert (one.bytes, one.sha256) == (file["bytes"], file["sha256"]), one
            assert one.lines == ROWS + (one.format == "csv"), one
        else:
            assert one.bytes <= file["bytes"], one


def prove_audit(database: sa.Engine, home: Path, load: Load, history: Any) -> None:
    """Each act has its event and each event its act, in a chain that is whole."""
    until(lambda: waiting(database) == 0)
    path = home / "audit.ndjson"
    assert not verify([path]).faults
    events = lines(path)
    assert len({event["id"] for event in events}) == len(events)
    begun = {event["subject"] for event in events if event["type"] == "whohas.run.started"}
    over = Counter(event["subject"] for event in events if event["type"] == "whohas.run.ended")
    assert begun == {run_id for run_id, before, _ in history if before is None}
    assert over == Counter(run_id for run_id, _, after in history if RunState(after).is_over)
    told = Counter(
        (event["subject"], event["data"]["format"]) for event in events if event["type"] == "whohas.report.downloaded"
    )
    handed_out = Counter((one.run, one.format) for one in load.downloads)
    assert handed_out <= told, "a file was handed out without an event"
    assert told <= load.asked, "an event tells of a download that nobody asked for"
    stopped = Counter(event["subject"] for event in events if event["type"] == "whohas.run.cancelled")
    assert stopped <= load.cancels


def named(state: RunState, artefacts: list[dict[str, Any]]) -> set[str]:
    return {artefact["name"] for artefact in artefacts} if state in WITH_FILES else set()


def wait_until_swept(folder: Path, expected: dict[str, set[str]], settings: dict[str, str]) -> None:
    """What a dying attempt wrote last is swept in time; then each file is one that a run names, or was made later by a
    server that died, and those go with the next sweep that finds them old."""
    deadline = time.monotonic() + SWEEP_SECONDS
    wanted = {run_id: names for run_id, names in expected.items() if names}
    while (found := files_in(folder, made_later=False)) != {
        run_id: attempts
        for run_id, names in wanted.items()
        if (attempts := {name for name in names if not MADE_LATER(name)})
    }:
        assert time.monotonic() < deadline, {
            run_id: (found.get(run_id), wanted.get(run_id))
            for run_id in found.keys() | wanted.keys()
            if found.get(run_id) != wanted.get(run_id)
        }
        time.sleep(0.5)
    long_ago = time.time() - 7200
    for path in folder.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    swept = whohas(folder.parent, "sweep", **settings)
    assert swept.returncode == 0, swept.stderr
    assert files_in(folder) == wanted


def files_in(folder: Path, *, made_later: bool = True) -> dict[str, set[str]]:
    there = {
        place.name: {path.name for path in place.iterdir() if made_later or not MADE_LATER(path.name)}
        for place in folder.iterdir()
    }
    return {run_id: names for run_id, names in there.items() if names}
