"""The lease of a worker: who is alive, who is dead, and that a version of before is understood."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from factories import queued_run
from lines import severable
from patience import NEVER_SECONDS, until
from postgres import Postgres
from processes import python
from ready import ready
from support import environment
from whohas import timeouts
from whohas.background import PeriodicTask, running
from whohas.db import locks
from whohas.db.engine import create_engine
from whohas.errors import Conflict
from whohas.execution import lease
from whohas.execution.lease import WorkerLease, count_alive, has_live_worker, hold_lease, worker_table
from whohas.execution.recovery import Recovery
from whohas.runs import repository
from whohas.runs.models import Run
from whohas.settings import Settings, load_settings
from whohas.storage import open_artifact_store

OLD_EXECUTOR, OLD_BEAT = "a" * 32, "b" * 32
"""The two ids of a worker of the version before."""
LEASE_AND_WAIT = (
    "import sys, time; from whohas.db.engine import create_engine; "
    "from whohas.execution.lease import hold_lease; "
    "from whohas.settings import load_settings\n"
    "s = load_settings()\n"
    "with hold_lease(s, create_engine(s.sqlalchemy_url)) as lease: print(lease.executor, flush=True); time.sleep(600)"
)


@pytest.fixture
def settings(home: Path, database_url: str) -> Settings:
    ready(home)
    return load_settings(home=home, database_url=database_url or None)


@pytest.fixture
def database(settings: Settings) -> Generator[sa.Engine]:
    database = create_engine(settings.sqlalchemy_url)
    yield database
    database.dispose()


@pytest.fixture
def on_postgres(home: Path, postgres: Postgres) -> Generator[tuple[Settings, sa.Engine]]:
    ready(home)
    settings = load_settings(home=home, database_url=postgres.ready_database())
    database = create_engine(settings.sqlalchemy_url)
    yield settings, database
    database.dispose()


def rows(database: sa.Engine) -> list[str]:
    with database.connect() as connection:
        return list(connection.execute(sa.select(worker_table.c.executor)).scalars())


def seen(database: sa.Engine, executor: str) -> datetime:
    with database.connect() as connection:
        return connection.execute(
            sa.select(worker_table.c.seen).where(worker_table.c.executor == executor)
        ).scalar_one()


def make_older(database: sa.Engine, executor: str, seconds: float) -> None:
    at = seen(database, executor) - timedelta(seconds=seconds)
    with database.begin() as connection:
        connection.execute(sa.update(worker_table).where(worker_table.c.executor == executor).values(seen=at))


def recovery_of(settings: Settings, database: sa.Engine, mine: WorkerLease) -> Recovery:
    return Recovery(settings, database, open_artifact_store(settings), mine, list)


def claimed_by(database: sa.Engine, executor: str, number: int = 1) -> Run:
    with database.begin() as connection:
        assert repository.insert(connection, queued_run(number), single_flight=False)
        (run,) = repository.claim(connection, executor, 1)
    return run


def holder(database: sa.Engine, run_id: str) -> str | None:
    with database.connect() as connection:
        found = repository.get(connection, run_id)
    assert found is not None
    return found.executor


def test_a_worker_is_alive_while_it_has_its_lease(settings: Settings, database: sa.Engine) -> None:
    assert (count_alive(database), has_live_worker(settings, database)) == (0, False)
    with hold_lease(settings, database) as mine:
        assert (count_alive(database), has_live_worker(settings, database)) == (1, True)
        assert rows(database) == [mine.executor]
        assert mine.is_valid and not mine.is_lost
    assert (count_alive(database), has_live_worker(settings, database), rows(database)) == (0, False, [])


def test_a_silent_worker_is_not_counted(settings: Settings, database: sa.Engine) -> None:
    with hold_lease(settings, database) as mine:
        make_older(database, mine.executor, 3600)
        if database.dialect.name == "sqlite":
            assert count_alive(database) == 0
        else:
            until(lambda: count_alive(database) == 1)  # by its next heartbeat


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "paused"])
def test_a_worker_that_beats_no_more_is_found_dead(
    settings: Settings, database: sa.Engine, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_DEAD_AFTER", timedelta(seconds=2))
    monkeypatch.setattr(timeouts, "LEASE_SQLITE_HEARTBEAT_SECONDS", 0.5)
    script = LEASE_AND_WAIT.replace(
        "\ns = ", "\nfrom whohas import timeouts as t; t.LEASE_SQLITE_HEARTBEAT_SECONDS = 0.5\ns = ", 1
    )
    env = environment(settings.home, WHOHAS_DATABASE_URL=settings.database_url or "")
    said = settings.home / "said"
    with said.open("w") as out:
        other = python("-c", script, env=env, stdout=out, stderr=out)
    try:
        until(lambda: said.read_text().endswith("\n"))
        until(lambda: count_alive(database) == 1, said.read_text)
        os.kill(other.pid, number)
        until(lambda: count_alive(database) == 0)
    finally:
        with suppress(ProcessLookupError):
            os.kill(other.pid, signal.SIGKILL)
        other.wait()


def test_the_next_worker_on_sqlite_forgets_the_one_before(home: Path) -> None:
    ready(home)
    settings = load_settings(home=home)
    database = create_engine(settings.sqlalchemy_url)
    with database.begin() as connection:
        at = repository.now()
        killed = {"executor": OLD_EXECUTOR, "host": "h", "process": 1, "started": at, "seen": at}
        connection.execute(sa.insert(worker_table).values(killed))
    with hold_lease(settings, database) as mine:
        assert rows(database) == [mine.executor]
        with pytest.raises(Conflict, match="Another whohas already works on"), hold_lease(settings, database):
            pass
        assert rows(database) == [mine.executor]


def test_the_heartbeat_goes_on_while_other_tasks_hang(
    settings: Settings, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "LEASE_SQLITE_HEARTBEAT_SECONDS", 0.2)
    over = threading.Event()
    hanging = [PeriodicTask("sweep", over.wait, 1, in_own_thread=True), PeriodicTask("recovery", over.wait, 1)]
    with hold_lease(settings, database) as mine, running("background", hanging):
        time.sleep(0.2)
        before = seen(database, mine.executor)
        until(lambda: seen(database, mine.executor) > before + timedelta(seconds=1))
        assert mine.is_valid
        over.set()


def test_a_lease_is_lost_with_the_line_and_comes_back(
    on_postgres: tuple[Settings, sa.Engine], postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = on_postgres
    monkeypatch.setattr(timeouts, "LEASE_PATIENCE_SECONDS", NEVER_SECONDS)
    assert settings.database_url is not None
    with severable(postgres.port) as line:
        through = create_engine(settings.database_url.replace(f":{postgres.port}/", f":{line.port}/"))
        with hold_lease(settings, through) as mine:
            assert mine.is_valid
            line.sever()
            until(lambda: not mine.is_valid)
            assert not mine.is_lost, "its children go on for as long as it may come back"
            monkeypatch.undo()
            until(lambda: mine.is_lost)
            line.mend()
            until(lambda: mine.is_valid and not mine.is_lost)
        through.dispose()


def test_the_runs_of_a_killed_session_are_taken_over(
    on_postgres: tuple[Settings, sa.Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, database = on_postgres
    monkeypatch.setattr(lease, "_HUNG", timedelta(seconds=NEVER_SECONDS))  # it is silent all the while
    other = create_engine(settings.sqlalchemy_url)
    dead = lease.AdvisoryLockLease(other)
    dead.begin()
    run = claimed_by(database, dead.executor)
    with hold_lease(settings, database) as mine:
        recovery = recovery_of(settings, database, mine)
        until(lambda: mine.grace_period_over)
        recovery.take_over_runs()
        assert holder(database, run.id) == dead.executor, "it has its lock"
        dead._close_session()  # pyright: ignore[reportPrivateUsage] - and says nothing, as one that is killed
        until(lambda: recovery.take_over_runs() is None and holder(database, run.id) is None)
        assert rows(database) == [mine.executor]
    other.dispose()


class OldWorker:
    """What a worker of the version before does in the database: it has a lock and a row in one table, and writes to
    another one that it is alive."""

    def __init__(self, url: str) -> None:
        self._session = psycopg.connect(url)
        self._pool = psycopg.connect(url, autocommit=True)
        number = locks.worker_lock(OLD_EXECUTOR).number
        assert self._session.execute("SELECT pg_try_advisory_lock(%s)", (number,)).fetchone() == (True,)
        self.say()

    def say(self) -> None:
        now = datetime.now(UTC)
        self._session.execute(
            "INSERT INTO worker (executor, host, process, started, seen) "
            "VALUES (%s, 'h', 7, clock_timestamp(), clock_timestamp()) "
            "ON CONFLICT (executor) DO UPDATE SET seen = clock_timestamp()",
            (OLD_EXECUTOR,),
        )
        self._session.commit()
        mine = self._pool.execute("UPDATE worker_beat SET seen = %s WHERE id = %s", (now, OLD_BEAT))
        if mine.rowcount == 0:
            self._pool.execute("INSERT INTO worker_beat VALUES (%s, 'h', 7, %s, %s)", (OLD_BEAT, now, now))
            self._pool.execute("DELETE FROM worker_beat WHERE seen < %s", (now - timedelta(days=1),))

    def alive(self) -> int:
        query = "SELECT count(*) AS count_1 FROM worker_beat WHERE seen > %s"
        found = self._pool.execute(query, (datetime.now(UTC) - timedelta(seconds=20),)).fetchone()
        assert found is not None
        return found[0]

    def kill(self) -> None:
        self._session.close()
        self._pool.close()


def test_a_worker_of_the_version_before_keeps_its_runs(on_postgres: tuple[Settings, sa.Engine]) -> None:
    settings, database = on_postgres
    assert settings.database_url is not None
    old = OldWorker(settings.database_url)
    run = claimed_by(database, OLD_EXECUTOR)
    with hold_lease(settings, database) as mine:
        recovery = recovery_of(settings, database, mine)
        until(lambda: mine.grace_period_over)
        for _ in range(3):
            old.say()
            recovery.take_over_runs()
        assert holder(database, run.id) == OLD_EXECUTOR
        assert sorted(rows(database)) == sorted([mine.executor, OLD_EXECUTOR])
        assert (count_alive(database), old.alive()) == (2, 2)
        old.kill()
        until(lambda: recovery.take_over_runs() is None and holder(database, run.id) is None)


def test_a_worker_of_the_version_before_on_sqlite_is_counted(home: Path) -> None:
    ready(home)
    database = create_engine(load_settings(home=home).sqlalchemy_url)
    old = sa.Table(
        "worker_beat", sa.MetaData(), *(sa.Column(c.name, c.type) for c in worker_table.c if c.name != "executor")
    )
    old.append_column(sa.Column("id", sa.String(32)))
    for _ in range(2):
        at = repository.now()
        with database.begin() as connection:
            said = connection.execute(sa.update(old).where(old.c.id == OLD_BEAT).values(seen=at))
            if said.rowcount == 0:
                new = {"id": OLD_BEAT, "host": "h", "process": 7, "started": at, "seen": at}
                connection.execute(sa.insert(old).values(new))
                connection.execute(sa.delete(old).where(old.c.seen < at - timedelta(days=1)))
        assert (count_alive(database), seen(database, OLD_BEAT)) == (1, at)
    with database.begin() as connection:
        connection.execute(sa.delete(old).where(old.c.id == OLD_BEAT))
    assert count_alive(database) == 0
