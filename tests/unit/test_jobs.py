"""The queue on SQLite: whoever puts a job on it rings, from whichever process."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from auditing import until
from whohas.database import Commits, connect
from whohas.runs import jobs
from whohas.runs.model import RunId
from whohas.settings import Settings


def test_every_commit_is_counted_and_nothing_else(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path / 'some.db'}")
    commits = Commits(database)
    with database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (n INTEGER)"))
    first = commits.count()
    assert commits.count() == first
    with database.connect() as connection:
        connection.execute(sa.text("INSERT INTO t VALUES (1)"))
        assert commits.count() == first
        connection.rollback()
    assert commits.count() == first
    with database.begin() as connection:
        connection.execute(sa.text("INSERT INTO t VALUES (1)"))
    assert commits.count() != first
    commits.close()
    database.dispose()


def test_a_job_is_taken_long_before_the_queue_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_RUNG_SECONDS", 40.0)
    settings = Settings(home=tmp_path, runs_at_once=1)
    database = connect(settings.sqlalchemy_url)
    queue = jobs.prepare(settings, database)
    other = connect(settings.sqlalchemy_url)  # as another process would
    taken: list[str] = []
    busy = threading.Event()

    def carry_out(run: str) -> None:
        taken.append(run)
        busy.wait(60)

    def enqueue(run: str) -> None:
        with other.begin() as connection:
            queue.enqueue(connection, RunId(run), settings.small_run + 1)

    with jobs.taking(settings, database, "one", carry_out, is_busy=lambda: False, stop=lambda: None):
        time.sleep(0.5)
        enqueue("first")
        until(lambda: taken == ["first"], 20)
        enqueue("second")
        time.sleep(0.5)
        assert taken == ["first"], "one at once"
        busy.set()  # its end is a commit as well
        until(lambda: taken == ["first", "second"])
    names = [thread.name for thread in threading.enumerate()]
    assert not any("queue_worker_thread" in name for name in names), names
    enqueue("third")
    time.sleep(0.3)
    assert taken == ["first", "second"]
    for one in (database, other):
        one.dispose()
