"""Periodic tasks: done at their times, whatever becomes of the others, and ended in time."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest
import structlog.testing

from patience import NEVER_SECONDS, PATIENCE_SECONDS, until
from whohas.background import PeriodicTask, Runner, running


class Times:
    """When something was done, and by which threads."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.threads: list[int | None] = []

    def __call__(self) -> None:
        self.times.append(time.monotonic())
        self.threads.append(threading.current_thread().native_id)

    def __len__(self) -> int:
        return len(self.times)


def test_a_task_is_done_at_once_and_at_its_intervals() -> None:
    done = Times()
    began = time.monotonic()
    with running("r", [PeriodicTask("t", done, 0.05)]):
        until(lambda: len(done) >= 4)
    assert done.times[3] - began > 0.14
    ended = len(done)
    time.sleep(0.12)
    assert len(done) == ended


def test_a_task_can_leave_out_the_start() -> None:
    done = Times()
    began = time.monotonic()
    with running("r", [PeriodicTask("t", done, 0.1, at_start=False)]):
        until(lambda: len(done) >= 1)
    assert done.times[0] - began >= 0.1


def test_tasks_share_one_thread_and_their_wakeups(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, sleeps = set[int | None](), itertools.count()
    sleeping = {"often": [0], "seldom": [0]}

    def note(name: str) -> Callable[[], None]:
        def done() -> None:
            threads.add(threading.current_thread().native_id)
            sleeping[name].append(slept[-1])

        return done

    runner = Runner("r", [PeriodicTask("often", note("often"), 0.1), PeriodicTask("seldom", note("seldom"), 0.2)])
    slept, wait = [next(sleeps)], runner._changed.wait

    def sleep(seconds: float | None = None) -> bool:
        slept.append(next(sleeps))
        return wait(seconds)

    monkeypatch.setattr(runner._changed, "wait", sleep)
    runner.start()
    until(lambda: len(sleeping["seldom"]) >= 5)
    assert runner.stop()
    assert len(threads) == 1
    assert set(sleeping["seldom"]) <= set(sleeping["often"]), "`seldom` follows `often` without a sleep between them"


def test_a_task_apart_does_not_hold_up_the_others() -> None:
    over, other = threading.Event(), Times()
    started = Times()

    def hang() -> None:
        started()
        over.wait()

    with running("r", [PeriodicTask("hangs", hang, 0.01, in_own_thread=True), PeriodicTask("other", other, 0.01)]):
        until(lambda: len(other) >= 10)
        assert len(started) == 1, "it is begun again only when it has ended"
        assert started.threads[0] not in other.threads
        over.set()
        until(lambda: len(started) > 1)


def test_a_task_apart_has_no_thread_while_it_rests() -> None:
    done = Times()
    with running("r", [PeriodicTask("apart", done, 60, in_own_thread=True)]):
        until(lambda: len(done) >= 1)
        until(lambda: all(thread.name != "apart" for thread in threading.enumerate()))


def test_a_hanging_task_does_not_stop_another_runner() -> None:
    over, beats = threading.Event(), Times()
    with running("heartbeat", [PeriodicTask("beat", beats, 0.01)]):
        hanging = Runner("others", [PeriodicTask("hangs", over.wait, 1)])
        hanging.start()
        until(lambda: len(beats) >= 10)
        over.set()
        assert hanging.stop()


def test_a_task_that_is_not_needed_is_left_out() -> None:
    asked, done = Times(), Times()

    def needed() -> bool:
        asked()
        return len(asked) == 3

    with running("r", [PeriodicTask("t", done, 0.01, is_needed=needed)]):
        until(lambda: len(asked) >= 6)
    assert len(done) == 1


def test_a_woken_task_is_done_now() -> None:
    done = Times()
    with running("r", [PeriodicTask("t", done, NEVER_SECONDS, at_start=False)]) as runner:
        time.sleep(0.05)
        assert not done
        runner.wake("t")
        runner.wake("no such task")
        until(lambda: len(done) >= 1)


@pytest.mark.parametrize("apart", [False, True], ids=["shared", "apart"])
def test_a_task_woken_while_busy_is_done_once_more(apart: bool) -> None:
    entered, go_on, done = threading.Event(), threading.Event(), Times()

    def work() -> None:
        done()
        entered.set()
        go_on.wait()

    with running("r", [PeriodicTask("t", work, NEVER_SECONDS, in_own_thread=apart)]) as runner:
        entered.wait()
        for _ in range(3):
            runner.wake("t")
        time.sleep(0.05)
        assert len(done) == 1
        go_on.set()
        until(lambda: len(done) >= 2)
        time.sleep(0.05)
        assert len(done) == 2


def test_waking_does_not_shift_the_times() -> None:
    done = Times()
    with running("r", [PeriodicTask("t", done, NEVER_SECONDS)]) as runner:
        (entry,) = runner._entries
        until(lambda: len(done) >= 1 and not entry.busy)
        due = entry.due
        runner.wake("t")
        until(lambda: len(done) >= 2 and not entry.busy)
        assert entry.due == due


def test_an_interval_may_change_from_time_to_time() -> None:
    pauses, done = iter([0.0, 0.0, NEVER_SECONDS]), Times()
    with running("r", [PeriodicTask("t", done, lambda: next(pauses))]):
        until(lambda: len(done) >= 3)
        time.sleep(0.05)
        assert len(done) == 3


def test_faults_are_logged_ever_more_rarely() -> None:
    tries = Times()

    def fail() -> None:
        tries()
        raise OSError("the disk is full\nmore")

    with structlog.testing.capture_logs() as logs:
        with running("r", [PeriodicTask("t", fail, 0.001)]):
            until(lambda: len(tries) >= 20)
        said = [one["times"] for one in logs if one["event"] == "task failed"]
    assert said[:5] == [1, 2, 4, 8, 16]
    assert {(one["task"], one["reason"], one["log_level"]) for one in logs} == {("t", "the disk is full", "warning")}


def test_a_fault_after_a_success_is_logged_again() -> None:
    tries = Times()

    def fail_at_times() -> None:
        tries()
        if len(tries) % 2:
            raise RuntimeError("wrong")

    with structlog.testing.capture_logs() as logs, running("r", [PeriodicTask("t", fail_at_times, 0.001)]):
        until(lambda: len(tries) >= 6)
    assert [one["times"] for one in logs[:3]] == [1, 1, 1]
    assert all(one["log_level"] == "error" and one["exc_info"] for one in logs)


def test_a_failing_question_is_a_fault_of_its_task() -> None:
    other = Times()

    def needed() -> bool:
        raise OSError("away")

    tasks = [PeriodicTask("t", lambda: None, 0.01, is_needed=needed), PeriodicTask("other", other, 0.01)]
    with structlog.testing.capture_logs() as logs, running("r", tasks):
        until(lambda: len(other) >= 5)
    assert logs[0]["task"] == "t"


@pytest.mark.parametrize("apart", [False, True], ids=["shared", "apart"])
def test_a_stop_waits_no_longer_than_it_may(apart: bool) -> None:
    entered, over = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        over.wait()

    runner = Runner("r", [PeriodicTask("t", hang, 1, in_own_thread=apart)])
    runner.start()
    entered.wait()
    with structlog.testing.capture_logs() as logs:
        assert not runner.stop(0.1)
    assert logs[0]["tasks"] == ["t"]
    over.set()
    until(lambda: runner.stop(PATIENCE_SECONDS))


def test_jitter_spreads_the_times_of_processes() -> None:
    firsts: list[float] = []
    for _ in range(8):
        done = Times()
        began = time.monotonic()
        with running("r", [PeriodicTask("t", done, 0.05, at_start=False, jitter=1.0)]):
            until(lambda done=done: len(done) >= 1)
        firsts.append(done.times[0] - began)
    assert min(firsts) >= 0.05 and max(firsts) - min(firsts) > 0.005
