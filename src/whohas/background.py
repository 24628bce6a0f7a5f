"""A scheduler for the periodic background tasks of a process.

A `Runner` has one thread, which runs the tasks that are due one after another and sleeps until the next is due. Tasks
that are due at the same time share a wakeup, so an idle process wakes up only as often as its most frequent task.
Slow tasks (`in_own_thread=True`) get a separate thread for each call. A task that must never wait for another one needs
its own `Runner`.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import timeouts
from whohas.errors import WhohasError

log = structlog.get_logger("whohas.background")


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """A function that a `Runner` calls at intervals.

    Attributes:
        name: the name of the task in the log and for `Runner.wake`.
        run: the function. An error is logged and does not stop the task.
        seconds: the interval from the start of one call to the start of the next; a callable is evaluated after each
            call. Calls that would have been due while one was still running are skipped.
        at_start: whether the first call is due at once, not after the first interval.
        in_own_thread: whether to call it in a separate thread, because it may take long.
        is_needed: a quick check before each call; if it returns false, `run` is not called this time.
        jitter: the largest random delay, as a fraction of the interval, so that processes that were started together
            do not run the task at the same moment.
    """

    name: str
    run: Callable[[], object]
    seconds: float | Callable[[], float]
    at_start: bool = True
    in_own_thread: bool = False
    is_needed: Callable[[], bool] | None = None
    jitter: float = 0.0


@dataclass(slots=True)
class _Periodic:
    """A task and its state in the runner.

    Attributes:
        due: when the next call is due, on the monotonic clock.
        woken: whether `wake` was called since the last call began.
        busy: whether a call is in progress.
        faults: the number of consecutive failed calls.
    """

    task: PeriodicTask
    due: float
    woken: bool = False
    busy: bool = False
    faults: int = 0


class Runner:
    """A thread that runs periodic tasks until it is stopped; `running` starts and stops one as a context.

    Args:
        name: the name of the thread.
        tasks: the tasks; of those due at the same time, the first in this order runs first.
    """

    def __init__(self, name: str, tasks: Sequence[PeriodicTask]) -> None:
        self._entries = [_Periodic(task, math.inf) for task in tasks]
        self._changed = threading.Condition()
        self._stopping = False
        self._apart = set[threading.Thread]()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread. Tasks with `at_start` are due now, the others after their first interval."""
        now = time.monotonic()
        for entry in self._entries:
            entry.due = now if entry.task.at_start else now + _interval(entry.task)
        self._thread.start()

    def wake(self, name: str) -> None:
        """Run a task now, or again right after the call in progress. Unknown names are ignored."""
        with self._changed:
            for entry in self._entries:
                if entry.task.name == name:
                    entry.woken = True
                    self._changed.notify_all()

    def stop(self, seconds: float = timeouts.TASKS_STOP_SECONDS) -> bool:
        """Start no more tasks, and wait up to `seconds` for the calls in progress; return whether all of them ended."""
        until = time.monotonic() + seconds
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(seconds)
        for thread in self._apart.copy():
            thread.join(max(0.0, until - time.monotonic()))
        busy = [entry.task.name for entry in self._entries if entry.busy]
        if busy:
            log.warning("tasks did not end in time", tasks=busy, seconds=seconds)
        return not busy

    def _loop(self) -> None:
        while (entry := self._next()) is not None:
            if not self._is_needed(entry):
                self._ended(entry)
            elif entry.task.in_own_thread:
                self._start_apart(entry)
            else:
                self._do(entry)
                self._ended(entry)

    def _next(self) -> _Periodic | None:
        """Wait until a task is due, mark it as busy, and return it; return None once the runner is stopping."""
        with self._changed:
            while not self._stopping:
                idle = [entry for entry in self._entries if not entry.busy]
                entry = min(idle, key=lambda entry: -math.inf if entry.woken else entry.due, default=None)
                wait = None if entry is None else 0.0 if entry.woken else entry.due - time.monotonic()
                if entry is not None and wait is not None and wait <= 0:
                    entry.busy, entry.woken = True, False
                    return entry
                self._changed.wait(wait)
        return None

    def _start_apart(self, entry: _Periodic) -> None:
        def work() -> None:
            self._do(entry)
            with self._changed:
                self._apart.discard(threading.current_thread())
            self._ended(entry)

        thread = threading.Thread(target=work, name=entry.task.name, daemon=True)
        self._apart.add(thread)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread left
            self._apart.discard(thread)
            self._note_fault(entry, error)
            self._ended(entry)

    def _is_needed(self, entry: _Periodic) -> bool:
        try:
            return entry.task.is_needed is None or entry.task.is_needed()
        except Exception as error:
            self._note_fault(entry, error)
            return False

    def _do(self, entry: _Periodic) -> None:
        try:
            entry.task.run()
            entry.faults = 0
        except Exception as error:
            self._note_fault(entry, error)

    def _note_fault(self, entry: _Periodic, error: Exception) -> None:
        # a database outage makes every call fail: log only failures 1, 2, 4, 8 … in a row
        entry.faults += 1
        if entry.faults & (entry.faults - 1) == 0:
            expected = isinstance(error, (SQLAlchemyError, WhohasError, OSError))
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            log_failure = log.warning if expected else log.error
            details = {} if expected else {"exc_info": error}
            log_failure("task failed", task=entry.task.name, reason=reason, times=entry.faults, **details)

    def _ended(self, entry: _Periodic) -> None:
        seconds = _interval(entry.task)
        with self._changed:
            now = time.monotonic()
            if seconds <= 0:
                entry.due = now
            elif entry.due <= now:
                # Stay in phase with the other tasks, so that they keep sharing wakeups: the next due time is a whole
                # number of intervals after the last. Interval 5, due at 10, ended at 17: next due at 20, not 22.
                entry.due += (math.floor((now - entry.due) / seconds) + 1) * seconds
            entry.busy = False
            self._changed.notify_all()


def _interval(task: PeriodicTask) -> float:
    seconds = task.seconds() if callable(task.seconds) else task.seconds
    return seconds * (1 + task.jitter * random.random())  # noqa: S311 - spreads load, hides nothing


@contextmanager
def running(
    name: str, tasks: Sequence[PeriodicTask], stop_seconds: float = timeouts.TASKS_STOP_SECONDS
) -> Generator[Runner]:
    """Run periodic tasks until the context ends.

    Args:
        name: the name of the thread.
        stop_seconds: how long the end of the context waits for calls in progress.
    """
    runner = Runner(name, tasks)
    runner.start()
    try:
        yield runner
    finally:
        runner.stop(stop_seconds)
