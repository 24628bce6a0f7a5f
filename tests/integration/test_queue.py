"""The queue across processes and on PostgreSQL: hints that are heard or lost, and no run taken twice."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from factories import queued_run
from patience import NEVER_SECONDS, until
from postgres import Postgres
from ready import ready
from whohas import timeouts
from whohas.db.engine import create_engine
from whohas.execution.queue import Lane, QueueConsumer, Wakeup, open_hints
from whohas.runs import repository, tables
from whohas.runs.models import RunState

ME = "e" * 32
LISTENING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN whohas_run'"


@pytest.fixture
def url(home: Path, database_url: str) -> str:
    return database_url or f"sqlite:///{ready(home) / 'whohas.db'}"


@pytest.fixture
def database(url: str) -> Generator[sa.Engine]:
    database = create_engine(url)
    yield database
    database.dispose()


@pytest.fixture
def on_postgres(postgres: Postgres) -> Generator[sa.Engine]:
    database = create_engine(postgres.ready_database())
    yield database
    database.dispose()


@contextmanager
def taking(database: sa.Engine) -> Generator[list[str]]:
    """The ids of the runs that a worker has taken; it is done with each at once."""
    taken: list[str] = []

    def claim(room: dict[Lane, int]) -> list:
        with database.begin() as connection:
            return repository.claim(connection, ME, min(room.values()))

    consumer = QueueConsumer(
        (Lane("all", 1),), open_hints(database), Wakeup(), claim=claim,
        execute=lambda run: taken.append(run.id), hand_back=lambda run: None,
    )  # fmt: skip
    with consumer.consume(0, lambda: None):
        yield taken


def keep(database: sa.Engine, number: int) -> str:
    run = queued_run(number)
    with database.begin() as connection:
        assert repository.insert(connection, run, single_flight=False)
    return run.id


def test_two_workers_never_take_one_run(database: sa.Engine, url: str) -> None:
    count = 120
    for number in range(count):
        keep(database, number)
    ready = threading.Barrier(6)

    def work(number: int) -> list[str]:
        mine: list[str] = []
        own = create_engine(url)
        ready.wait()
        while len(mine) < count:
            with own.begin() as connection:
                runs = repository.claim(connection, f"{number:032}", 1 + number % 3)
            assert len(runs) <= 1 + number % 3
            mine += [run.id for run in runs]
            if not runs:
                with own.connect() as connection:
                    if not repository.count_active_and_queued(connection, "")[1]:
                        break
        own.dispose()
        return mine

    with ThreadPoolExecutor(6) as pool:
        taken = [run_id for mine in pool.map(work, range(6)) for run_id in mine]
    assert len(taken) == count
    assert set(taken) == {queued_run(number).id for number in range(count)}


def test_a_run_that_another_worker_is_taking_is_passed_over(on_postgres: sa.Engine) -> None:
    first, second = keep(on_postgres, 1), keep(on_postgres, 2)
    with on_postgres.begin() as one, on_postgres.begin() as two:
        assert [run.id for run in repository.claim(one, ME, 1)] == [first]
        assert [run.id for run in repository.claim(two, "f" * 32, 1)] == [second]
        one.rollback()
    with on_postgres.begin() as connection:
        assert [run.id for run in repository.claim(connection, ME, 9)] == [first]


def test_no_more_are_claimed_than_there_is_room_for(database: sa.Engine) -> None:
    for number in range(30):
        keep(database, number)
    with database.begin() as connection:
        if database.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE run")
        assert len(repository.claim(connection, ME, 3)) == 3
        assert repository.count_active_and_queued(connection, "")[1] == 27


def test_a_run_queued_by_another_process_is_heard(
    database: sa.Engine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys; from factories import queued_run; from whohas.db.engine import create_engine; "
        "from whohas.runs import repository\n"
        "with create_engine(sys.argv[1]).begin() as c: assert repository.insert(c, queued_run(1), single_flight=False)"
    )
    monkeypatch.setattr(timeouts, "QUEUE_POLL_SECONDS", NEVER_SECONDS)
    with taking(database) as taken:
        time.sleep(0.5)
        tests = Path(__file__).parents[1]
        subprocess.run([sys.executable, "-c", code, url], check=True, cwd=tests)
        until(lambda: taken == [queued_run(1).id])


def test_a_run_that_is_handed_back_or_released_is_heard(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "QUEUE_POLL_SECONDS", NEVER_SECONDS)
    ids = [keep(database, number) for number in range(2)]
    with database.begin() as connection:
        back, lost = repository.claim(connection, "f" * 32, 2)
    with taking(database) as taken:
        time.sleep(0.5)
        assert not taken
        with database.begin() as connection:
            assert repository.hand_back(connection, back)
        until(lambda: taken == ids[:1])
        with database.begin() as connection:
            assert (
                repository.release(connection, repository.HeldRun(lost.id, lost.executor, lost.attempt))
                is RunState.QUEUED
            )
        until(lambda: taken == ids)


def test_a_lost_notification_is_found_by_the_poll(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "_notify", lambda connection: None)
    with taking(database) as taken:
        time.sleep(0.5)
        run_id = keep(database, 1)
        until(lambda: taken == [run_id])


def test_a_run_of_a_transaction_that_fails_is_not_taken(database: sa.Engine) -> None:
    with taking(database) as taken:
        with database.connect() as connection:
            repository.insert(connection, queued_run(1), single_flight=False)
            connection.rollback()
        run_id = keep(database, 2)
        until(lambda: taken == [run_id])


def test_a_session_that_breaks_listens_again(on_postgres: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "QUEUE_POLL_SECONDS", NEVER_SECONDS)

    def listening() -> set[int]:
        with on_postgres.connect() as connection:
            return set(connection.exec_driver_sql(LISTENING).scalars())

    with taking(on_postgres) as taken:
        until(lambda: len(listening()) == 1)
        before = listening()
        with on_postgres.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_terminate_backend({next(iter(before))})")
        until(lambda: len(listening()) == 1 and listening() != before)
        run_id = keep(on_postgres, 1)
        until(lambda: taken == [run_id])
    until(lambda: not listening())


def steps_of_sqlite(connection: sa.Connection, do: Callable[[], object]) -> int:
    """How many instructions SQLite's machine executes, to the next thousand."""
    made: list[int] = []
    raw: Any = connection.connection.dbapi_connection
    raw.set_progress_handler(lambda: made.append(1000), 1000)
    do()
    raw.set_progress_handler(None, 0)
    return sum(made)


def rows_of_postgresql(connection: sa.Connection, do: Callable[[], object]) -> int:
    """How many rows PostgreSQL looks at, by its own account of the statements."""
    asked: list[tuple[str, Any]] = []
    sa.event.listen(connection, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
    do()
    connection.rollback()

    def rows(node: dict[str, Any]) -> int:
        own = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        return int(own) + sum(rows(one) for one in node.get("Plans", ()))

    found = 0
    for statement, parameters in tuple(asked):
        plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
        found += rows(plan[0]["Plan"])
    return found


def test_many_large_runs_do_not_slow_the_small_lane(database: sa.Engine) -> None:
    last = queued_run(10_000, 5)
    with database.begin() as connection:
        repository.insert(connection, queued_run(0, 10**6), single_flight=False)
        row = dict(connection.execute(sa.select(tables.run)).mappings().one())
        connection.execute(sa.insert(tables.run), [{**row, "id": f"{number:032}"} for number in range(1, 10_000)])
        repository.insert(connection, last, single_flight=False)
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    with database.connect() as connection:

        def claim() -> None:
            assert [run.id for run in repository.claim(connection, ME, 1, up_to=20_000)] == [last.id]

        if database.dialect.name == "sqlite":
            assert steps_of_sqlite(connection, claim) < 30 * 10_000, "it goes once through what waits, if at all"
        else:
            assert rows_of_postgresql(connection, claim) < 2 * 10_000
        connection.rollback()
