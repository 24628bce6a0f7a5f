"""One runner for the periodic tasks of a process.

A runner has one thread, which does its tasks one after the other and sleeps until the next is due. Tasks that are due
at the same time share one wakeup, so an idle process wakes up as often as its most frequent task. A task that may take
long runs apart: in a thread that lasts as long as it does. What must never wait for another task has a runner of its
own.
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
    """Something to do at intervals.

    Attributes:
        name: by which the log and `wake` call it.
        run: does it once. An error is logged; the next time comes all the same.
        seconds: from the beginning of one time to the next; a function is asked after each time. Times that pass while
            it still runs are left out.
        at_start: whether the first time is at once, and not after the first interval.
        apart: whether it may take long, and therefore runs in a thread of its own.
        needed: a quick question before each time; where it returns false, `run` is not called.
        jitter: the share of the interval by which each time may be later, at random, so that processes that were
            started together do not all do it at once.
    """

    name: str
    run: Callable[[], object]
    seconds: float | Callable[[], float]
    at_start: bool = True
    apart: bool = False
    needed: Callable[[], bool] | None = None
    jitter: float = 0.0


@dataclass(slots=True)
class _Entry:
    """A task and how it stands.

    Attributes:
        due: its next time, by the monotonic clock.
        woken: whether it was woken since it began the last time.
        busy: whether it is being done.
        faults: how often it failed in a row.
    """

    task: PeriodicTask
    due: float
    woken: bool = False
    busy: bool = False
    faults: int = 0


class Runner:
    """Does periodic tasks; see `running`."""

    def __init__(self, name: str, tasks: Sequence[PeriodicTask]) -> None:
        self._entries = [_Entry(task, math.inf) for task in tasks]
        self._changed = threading.Condition()
        self._stopping = False
        self._apart = set[threading.Thread]()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the tasks that are done at the start are due now."""
        now = time.monotonic()
        for entry in self._entries:
            entry.due = now if entry.task.at_start else now + _interval(entry.task)
        self._thread.start()

    def wake(self, name: str) -> None:
        """Have a task done now, or once more if it is being done; no effect where there is none of that name."""
        with self._changed:
            for entry in self._entries:
                if entry.task.name == name:
                    entry.woken = True
                    self._changed.notify_all()

    def stop(self, seconds: float = timeouts.TASKS_STOP_SECONDS) -> bool:
        """Begin no task any more, and wait for those in progress; return whether all ended in time."""
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
            elif entry.task.apart:
                self._start_apart(entry)
            else:
                self._do(entry)
                self._ended(entry)

    def _next(self) -> _Entry | None:
        """Wait until a task is due, and mark it as busy; None once the runner stops."""
        with self._changed:
            while not self._stopping:
                idle = [entry for entry in self._entries if not entry.busy]
                entry = min(idle, key=lambda one: -math.inf if one.woken else one.due, default=None)
                wait = None if entry is None else 0.0 if entry.woken else entry.due - time.monotonic()
                if entry is not None and wait is not None and wait <= 0:
                    entry.busy, entry.woken = True, False
                    return entry
                self._changed.wait(wait)
        return None

    def _start_apart(self, entry: _Entry) -> None:
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

    def _is_needed(self, entry: _Entry) -> bool:
        try:
            return entry.task.needed is None or entry.task.needed()
        except Exception as error:
            self._note_fault(entry, error)
            return False

    def _do(self, entry: _Entry) -> None:
        try:
            entry.task.run()
            entry.faults = 0
        except Exception as error:
            self._note_fault(entry, error)

    def _note_fault(self, entry: _Entry, error: Exception) -> None:
        # a database that is away fails each time: log the first time, the second, the fourth, the eighth …
        entry.faults += 1
        if entry.faults & (entry.faults - 1) == 0:
            expected = isinstance(error, (SQLAlchemyError, WhohasError, OSError))
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            tell = log.warning if expected else log.error
            facts = {} if expected else {"exc_info": error}
            tell("task failed", task=entry.task.name, reason=reason, times=entry.faults, **facts)

    def _ended(self, entry: _Entry) -> None:
        seconds = _interval(entry.task)
        with self._changed:
            now = time.monotonic()
            if seconds <= 0:
                entry.due = now
            elif entry.due <= now:
                # stay in step with the other tasks: the next of the times that are a whole number of intervals away
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
    """Do tasks until the context ends; those in progress have `stop_seconds` to end then.

    Args:
        name: of the thread.
    """
    runner = Runner(name, tasks)
    runner.start()
    try:
        yield runner
    finally:
        runner.stop(stop_seconds)
