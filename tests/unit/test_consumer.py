"""The queue on SQLite: which runs a worker takes, when it hears of them, and how it stops."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

from factories import queued_run
from patience import NEVER_SECONDS, PATIENCE_SECONDS, until
from ready import ready
from whohas import timeouts
from whohas.db.engine import DataVersion, create_engine
from whohas.execution.queue import Lane, QueueConsumer, Wakeup, make_lanes, open_hints
from whohas.runs import repository
from whohas.runs.models import Run
from whohas.settings import Settings

LANES = (Lane("small", 1, up_to=100), Lane("large", 2, over=100))


@pytest.fixture
def database(tmp_path: Path) -> Generator[sa.Engine]:
    database = create_engine(f"sqlite:///{ready(tmp_path) / 'whohas.db'}")
    yield database
    database.dispose()


@dataclass
class Worker:
    """Claims runs as a worker does, and holds each until it is let go."""

    database: sa.Engine
    begun: list[str] = field(default_factory=list[str])
    go_on: threading.Event = field(default_factory=threading.Event)
    order: list[str] = field(default_factory=list[str])
    returned: list[str] = field(default_factory=list[str])

    def claim(self, room: Mapping[Lane, int]) -> list[Run]:
        with self.database.begin() as connection:
            return [
                run
                for lane, most in room.items()
                for run in repository.claim(connection, "e" * 32, most, over=lane.over, up_to=lane.up_to)
            ]

    def carry_out(self, run: Run) -> None:
        self.begun.append(run.id)
        self.go_on.wait(PATIENCE_SECONDS)
        self.order.append("ended")

    def consumer(self, wakeup: Wakeup | None = None) -> QueueConsumer:
        return QueueConsumer(
            LANES, open_hints(self.database), wakeup or Wakeup(),
            claim=self.claim, execute=self.carry_out, hand_back=lambda run: self.returned.append(run.id),
        )  # fmt: skip

    def stop(self) -> None:
        self.order.append("stopped")
        self.go_on.set()


def keep(database: sa.Engine, *runs: Run) -> list[str]:
    with database.begin() as connection:
        for run in runs:
            assert repository.insert(connection, run, single_flight=False)
    return [run.id for run in runs]


def test_every_commit_is_counted_and_nothing_else(tmp_path: Path) -> None:
    database = create_engine(f"sqlite:///{tmp_path / 'some.db'}")
    commits = DataVersion(database)
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


def test_a_wakeup_set_before_the_wait_ends_it_once() -> None:
    wakeup = Wakeup()
    wakeup.set()
    wakeup.set()
    assert wakeup.wait(PATIENCE_SECONDS)
    assert not wakeup.wait(0)


def test_a_wakeup_waits_for_another_descriptor_too() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"x")
    assert Wakeup().wait(60, reading)
    for descriptor in (reading, writing):
        os.close(descriptor)


@pytest.mark.parametrize("size", [0, 1, 19_999, 20_000, 20_001, 10**12])
def test_each_size_belongs_to_exactly_one_lane(tmp_path: Path, size: int) -> None:
    names = [lane.name for lane in make_lanes(Settings(home=tmp_path, small_run=20_000)) if lane.contains(size)]
    assert names == ["small" if size <= 20_000 else "large"]


def test_runs_are_taken_by_lane_and_age(database: sa.Engine) -> None:
    sizes = [500, 7, 101, 100, 300, 8]
    ids = keep(database, *(queued_run(number, size) for number, size in enumerate(sizes)))
    with database.begin() as connection:
        small = repository.claim(connection, "e" * 32, 2, up_to=100)
        large = repository.claim(connection, "e" * 32, 9, over=100)
        rest = repository.claim(connection, "e" * 32, 9)
    assert [run.id for run in small] == [ids[1], ids[3]]
    assert [run.id for run in large] == [ids[0], ids[2], ids[4]]
    assert [run.id for run in rest] == [ids[5]]


def test_each_lane_takes_as_many_as_it_has_room_for(database: sa.Engine) -> None:
    ids = keep(database, *(queued_run(number, size) for number, size in enumerate([1, 2, 200, 201, 202])))
    worker = Worker(database)
    with worker.consumer().consume(0, worker.stop):
        until(lambda: len(worker.begun) == 3)
        time.sleep(0.2)
        assert set(worker.begun) == {ids[0], ids[2], ids[3]}
        worker.go_on.set()
        until(lambda: len(worker.begun) == 5)


def test_a_commit_of_another_connection_is_heard(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "QUEUE_POLL_SECONDS", NEVER_SECONDS)
    other = create_engine(str(database.url))
    worker = Worker(database)
    worker.go_on.set()
    with worker.consumer().consume(0, worker.stop):
        for number in range(3):
            time.sleep(0.2)
            (run_id,) = keep(other, queued_run(number))
            until(lambda: run_id in worker.begun)  # noqa: B023 - it is called now
    other.dispose()


def test_a_run_starts_again_once_there_is_room(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "QUEUE_POLL_SECONDS", NEVER_SECONDS)
    keep(database, *(queued_run(number) for number in range(5)))
    worker = Worker(database)
    worker.go_on.set()
    with worker.consumer().consume(0, worker.stop):
        until(lambda: len(worker.begun) == 5)


def test_runs_in_progress_may_end_before_they_are_stopped(database: sa.Engine) -> None:
    keep(database, queued_run(1))
    worker = Worker(database)
    with worker.consumer().consume(PATIENCE_SECONDS, worker.stop):
        until(lambda: len(worker.begun) == 1)
        threading.Timer(0.3, worker.go_on.set).start()
    assert worker.order == ["ended", "stopped"]


def test_runs_that_do_not_end_in_time_are_stopped(database: sa.Engine) -> None:
    keep(database, queued_run(1))
    worker = Worker(database)
    with worker.consumer().consume(0.2, worker.stop):
        until(lambda: len(worker.begun) == 1)
    assert worker.order == ["stopped", "ended"]


def test_nothing_is_taken_once_the_worker_stops(database: sa.Engine) -> None:
    worker = Worker(database)
    with worker.consumer().consume(0, worker.stop):
        pass
    keep(database, queued_run(1))
    time.sleep(0.2)
    assert not worker.begun
    assert "queue" not in {thread.name for thread in threading.enumerate()}


def test_a_look_that_fails_is_made_again(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "QUEUE_POLL_SECONDS", 0.05)
    keep(database, queued_run(1))
    worker = Worker(database)
    worker.go_on.set()
    with database.begin() as connection:
        connection.execute(sa.text("ALTER TABLE run RENAME TO away"))
    with worker.consumer().consume(0, worker.stop):
        time.sleep(0.3)
        assert not worker.begun
        with database.begin() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO run"))
        until(lambda: len(worker.begun) == 1)


def test_a_run_whose_thread_cannot_start_is_handed_back(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name.startswith("run "):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    (run_id,) = keep(database, queued_run(1))
    worker = Worker(database)
    with worker.consumer().consume(0, worker.stop):
        until(lambda: worker.returned == [run_id])
    assert not worker.begun
