"""Locks on files and in SQLite; those that need processes or PostgreSQL are in the integration tests."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy.exc import OperationalError

import whohas
from patience import PATIENCE_SECONDS
from whohas.db import locks
from whohas.db.engine import create_engine
from whohas.db.locks import file_lock, try_file_lock
from whohas.errors import Unavailable


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_file_lock_excludes_others_until_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with file_lock(path):
        with try_file_lock(path) as held:
            assert not held
        with try_file_lock(tmp_path / "b.lock") as held:
            assert held
    with try_file_lock(path) as held:
        assert held


def test_a_file_lock_ends_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with pytest.raises(KeyError), file_lock(path):
        raise KeyError
    with pytest.raises(KeyError), try_file_lock(path):
        raise KeyError
    with try_file_lock(path) as held:
        assert held


def test_a_lock_that_was_not_held_frees_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with file_lock(path):
        for _ in range(2):
            with try_file_lock(path) as held:
                assert not held


def test_the_content_of_a_locked_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.write_text("kept")
    with file_lock(path):
        pass
    assert path.read_text() == "kept"


def test_a_lock_that_is_waited_for_says_so_once(tmp_path: Path) -> None:
    path, waits, order = tmp_path / "a.lock", threading.Event(), list[str]()

    def second() -> None:
        with file_lock(path, waits.set):
            order.append("second")

    with file_lock(path, lambda: order.append("waited")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(PATIENCE_SECONDS)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_is_waited_for_as_long_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with file_lock(path):
        began = time.monotonic()
        with try_file_lock(path, 0.2) as held:
            assert not held
        assert time.monotonic() - began >= 0.2

    def first(ready: threading.Event) -> None:
        with file_lock(path):
            ready.set()
            time.sleep(0.2)

    ready = threading.Event()
    thread = threading.Thread(target=first, args=(ready,))
    thread.start()
    assert ready.wait(PATIENCE_SECONDS)
    with try_file_lock(path, PATIENCE_SECONDS) as held:
        assert held
    thread.join()


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = open_files()
    with file_lock(tmp_path / "a.lock"), try_file_lock(tmp_path / "a.lock"):
        assert open_files() == before + 2
    assert open_files() == before


def test_an_impossible_lock_file_is_its_own_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "a.lock", tmp_path):
        with pytest.raises(OSError, match=str(path)), file_lock(path):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    # every file system of Linux itself has locks, so it is played
    def refuse(file: int, operation: int) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = tmp_path / "a.lock"
    before = open_files()
    for lock in (file_lock(path), try_file_lock(path)):
        with pytest.raises(Unavailable, match=r"a\.lock cannot be locked: .*file system with locks.*local disk"), lock:
            pass
    assert open_files() == before


def test_the_numbers_of_locks_stay_for_rolling_upgrades() -> None:
    """A process of an earlier version excludes one of this version only by the same number."""
    assert locks.SCHEMA_LOCK.number == 0x77686F68617331
    assert locks.RELAY_LOCK.number == 0x77686F68617341
    assert locks.worker_lock("0123456789abcdef0123456789abcdef").number == 6342052513924696177
    assert locks.launcher_lock("jane.doe").number == 1618287570631136901


def test_no_two_locks_have_one_number() -> None:
    names = ("", "jane.doe", "layout", "relay", "worker", "launcher")
    every = [locks.SCHEMA_LOCK, locks.RELAY_LOCK, *map(locks.worker_lock, names), *map(locks.launcher_lock, names)]
    assert len({lock.number for lock in every}) == len({lock.purpose for lock in every}) == len(every)
    assert all(-(1 << 63) <= lock.number < 1 << 63 for lock in every)


def test_a_transaction_of_sqlite_locks_the_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    database, other = create_engine(url), create_engine(f"{url}?timeout=0")
    with database.begin() as connection:
        locks.lock_transaction(connection, locks.SCHEMA_LOCK)
        assert locks.try_lock_transaction(connection, locks.RELAY_LOCK), "the transaction has it already"
        with other.begin() as second:
            second.exec_driver_sql("PRAGMA busy_timeout = 0")
            with pytest.raises(OperationalError, match="locked"):
                locks.lock_transaction(second, locks.launcher_lock("jane.doe"))
    with other.begin() as second:
        locks.lock_transaction(second, locks.SCHEMA_LOCK)
        second.exec_driver_sql("CREATE TABLE t (a INTEGER)")
    with other.begin() as second:  # after a change the transaction holds it
        second.exec_driver_sql("INSERT INTO t VALUES (1)")
        locks.lock_transaction(second, locks.SCHEMA_LOCK)
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT a FROM t").scalars().all() == [1]


def test_a_file_stands_for_a_session_of_sqlite(tmp_path: Path) -> None:
    database, file = create_engine(f"sqlite:///{tmp_path / 'a.db'}"), tmp_path / "a.lock"
    with locks.open_locked_session(database, locks.RELAY_LOCK, file) as first:
        assert first is not None
        with locks.open_locked_session(database, locks.RELAY_LOCK, file) as second:
            assert second is None
        with try_file_lock(file) as held:
            assert not held
    with locks.open_locked_session(database, locks.RELAY_LOCK, file) as first:
        assert first is not None and first.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_the_names_of_lock_files_stay_for_rolling_upgrades() -> None:
    sources = "".join(path.read_text() for path in Path(whohas.__file__).parent.rglob("*.py"))
    names = {"audit-relay.lock", "audit.lock", "build.lock", "load.lock", "worker.lock"}
    assert set(re.findall(r'"([a-z-]+\.lock)"', sources)) == names
