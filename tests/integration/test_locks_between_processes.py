"""Locks between processes, and on PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from patience import until
from postgres import Postgres
from whohas.db import locks
from whohas.db.engine import create_engine
from whohas.db.locks import file_lock, try_file_lock

HOLDER = """
import os, sys, time
from pathlib import Path
from whohas.db.locks import file_lock, try_file_lock

with file_lock(Path(sys.argv[1])):
    {then}
    print("held", flush=True)
    time.sleep(600)
"""


def holder(path: Path, then: str = "pass") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(then=then), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("held"), line
    return process


def is_free(path: Path) -> bool:
    with try_file_lock(path) as held:
        return held


def test_a_file_lock_excludes_processes_until_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with holder(path) as process:
        assert not is_free(path)
        process.kill()
        process.wait()
    assert is_free(path)


FORKED = """
    child = os.fork()
    if child == 0:
        time.sleep(600)
    (Path(sys.argv[1]).parent / "child").write_text(str(child))"""


def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with holder(path, FORKED.strip()) as process:
        child = int((tmp_path / "child").read_text())
        try:
            assert not is_free(path)
            process.kill()
            process.wait()
            os.kill(child, 0)  # it lives
            until(lambda: is_free(path))
        finally:
            os.kill(child, signal.SIGKILL)


ENDED = """
    child = os.fork()
    if child == 0:
        sys.exit(0)
    os.waitpid(child, 0)"""


def test_a_forked_child_that_ends_leaves_its_parents_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with holder(path, ENDED.strip()) as process:
        assert not is_free(path)
        process.kill()


STARTED = """
    import subprocess
    started = subprocess.Popen(["sleep", "600"], close_fds=False)
    (Path(sys.argv[1]).parent / "child").write_text(str(started.pid))"""


def test_a_program_that_is_started_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with holder(path, STARTED.strip()) as process:
        child = int((tmp_path / "child").read_text())
        try:
            process.kill()
            process.wait()
            assert is_free(path)
        finally:
            os.kill(child, signal.SIGKILL)


OF_BEFORE = """
import fcntl, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
time.sleep(600)
"""


def test_a_process_of_an_earlier_version_excludes_one_of_this(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    command = [sys.executable, "-c", OF_BEFORE, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as before:
        assert before.stdout is not None and before.stdout.readline() == "held\n"
        assert not is_free(path)
        before.kill()
        before.wait()
    with file_lock(path):
        assert subprocess.run(command, capture_output=True).returncode != 0


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def database(url: str) -> sa.Engine:
    return create_engine(url)


def is_taken(url: str, lock: locks.DatabaseLock) -> bool:
    """Whether somebody has a lock, by the statement that earlier versions took it with."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (lock.number,)).fetchone()
        assert row is not None
        # let go of here: a server ends a session, and with it its locks, some time after its client has left
        connection.execute("SELECT pg_advisory_unlock_all()")
        return not row[0]


WORKER = locks.worker_lock("0123456789abcdef0123456789abcdef")
LAUNCHER = locks.launcher_lock("jane.doe")


@pytest.mark.parametrize("lock", [locks.SCHEMA_LOCK, locks.RELAY_LOCK, WORKER, LAUNCHER], ids=lambda lock: lock.purpose)
def test_a_lock_lasts_as_long_as_its_transaction(url: str, database: sa.Engine, lock: locks.DatabaseLock) -> None:
    with database.begin() as connection, database.begin() as other:
        locks.lock_transaction(connection, lock)
        assert is_taken(url, lock)
        assert not locks.try_lock_transaction(other, lock)
        assert locks.try_lock_transaction(connection, lock), "who has it gets it again"
    assert not is_taken(url, lock)
    with database.begin() as other:
        assert locks.try_lock_transaction(other, lock)
        assert is_taken(url, lock)


def test_a_transaction_waits_for_another_with_the_lock(database: sa.Engine) -> None:
    with database.begin() as connection, database.begin() as other:
        locks.lock_transaction(connection, locks.SCHEMA_LOCK)
        other.exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
        with pytest.raises(SQLAlchemyError, match="lock timeout"):
            locks.lock_transaction(other, locks.SCHEMA_LOCK)
    with database.begin() as connection, database.begin() as other:
        locks.lock_transaction(connection, LAUNCHER)
        locks.lock_transaction(other, locks.launcher_lock("john.doe"))


def test_a_session_has_its_lock_until_it_is_closed(url: str, database: sa.Engine, tmp_path: Path) -> None:
    file = tmp_path / "a.lock"
    with locks.open_locked_session(database, locks.RELAY_LOCK, file) as first:
        assert first is not None
        with first.begin():
            assert first.exec_driver_sql("SELECT 1").scalar_one() == 1
        assert is_taken(url, locks.RELAY_LOCK), "a transaction of the session does not end it"
        with locks.open_locked_session(database, locks.RELAY_LOCK, file) as second:
            assert second is None
    assert not is_taken(url, locks.RELAY_LOCK)
    assert not file.exists()


def test_the_session_that_holds_a_lock_can_be_ended(url: str, database: sa.Engine) -> None:
    session = database.connect()
    session.detach()
    with database.begin() as connection:
        locks.terminate_holder(connection, WORKER)  # nobody's
    with session.begin():
        assert locks.try_lock_session(session, WORKER)
    with database.begin() as connection:
        locks.terminate_holder(connection, locks.RELAY_LOCK)
    assert is_taken(url, WORKER)
    with database.begin() as connection:
        locks.terminate_holder(connection, WORKER)
    until(lambda: not is_taken(url, WORKER))
    with pytest.raises(SQLAlchemyError):
        session.exec_driver_sql("SELECT 1")
    session.invalidate()
    session.close()
