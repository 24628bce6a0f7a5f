"""Everything that can die or hang does, at random, under load; then the database and the files are asked what is lost.

`make chaos` takes two minutes for PostgreSQL and kills a server on SQLite a hundred times; `--chaos-seconds`,
`--chaos-kills` and `--chaos-seed` say otherwise. What is proven: each accepted start is known and has one outcome, and
nothing ever leaves it; each way that a run went is one that `TRANSITIONS` has; a run that succeeded has its whole files
and no others; no other run has any; each download is whole and right or ended with an error; each act has its audit
event, and each event its act.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from acts import ROWS, Load, prove, wait_until_all_are_over, write_history

import support
from cluster import Cluster, Node, running_cluster
from factories import many_accounts
from postgres import Postgres, postgres_server, programs
from whohas.db.engine import create_engine
from whohas.settings import Settings

SETTINGS = {"WHOHAS_DRAIN_SECONDS": "1", "WHOHAS_SMALL_RUN": str(ROWS)}
"""One CSV is a small run, everything else a large one: both queues are used."""
COMMAND = "import whohas.execution.recovery as it; it._TIDY_SECONDS = 5.0; from whohas.cli import main; main()"
"""whohas that looks for stray files as often as things go wrong here, not once a minute."""


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


@pytest.fixture
def seed(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """What decides what dies when; the home has accounts to make reports of."""
    seed = request.config.getoption("--chaos-seed")
    print(f"\n--chaos-seed {seed}")
    monkeypatch.setattr(support, "WHOHAS", ("-c", COMMAND))
    many_accounts(home / "warehouse", ROWS)
    return seed


@pytest.mark.chaos
def test_nothing_is_lost_whatever_dies(home: Path, seed: int, request: pytest.FixtureRequest) -> None:
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with postgres_server() as postgres:
        url = postgres.new_database()
        with running_cluster(home, url, **SETTINGS) as cluster:
            faults = Faults(cluster, postgres, random.Random(seed))
            seconds = request.config.getoption("--chaos-seconds")
            suffer(cluster, create_engine(url), seed, lambda: faults.go_on(seconds))
            print(f"faults    {dict(faults.done)}")


@pytest.mark.chaos
def test_nothing_is_lost_when_a_server_on_sqlite_dies(home: Path, seed: int, request: pytest.FixtureRequest) -> None:
    choose, kills = random.Random(seed), request.config.getoption("--chaos-kills")
    database = create_engine(Settings(home=home).sqlalchemy_url)
    with running_cluster(home, "", servers=1, workers=None, **SETTINGS) as cluster:
        (server,) = cluster.servers

        def kill() -> None:
            for _ in range(kills):
                time.sleep(choose.uniform(0, 4))
                server.kill()
                server.start()
                if choose.random() < 0.8:
                    server.ready()
            server.ready()
            time.sleep(20)  # on a slow machine no download came to its end between two kills

        suffer(cluster, database, seed, kill)


def suffer(cluster: Cluster, database: sa.Engine, seed: int, faults: Callable[[], None]) -> None:
    """Puts a cluster under load while faults happen to it, and proves that nothing was lost."""
    write_history(database)
    load = Load(cluster, seed)
    load.begin()
    try:
        faults()
    finally:
        load.end()
    for node in cluster.nodes():
        if not node.alive:
            node.start()
        node.ready()
    wait_until_all_are_over(database)
    outcomes = prove(database, cluster.home, load)
    whole = sum(one.whole for one in load.downloads)
    print(f"accepted  {len(load.accepted)}\nrefused   {dict(load.refused)}\noutcomes  {dict(outcomes)}")
    print(f"downloads {len(load.downloads)}, {whole} of them to their end")
    assert load.accepted and outcomes["succeeded"] and whole
    database.dispose()
