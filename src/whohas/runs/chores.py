"""What a worker does beside its runs, again and again: each chore in a thread of its own, with a clean stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from whohas import timeouts

_STOP_SECONDS = timeouts.TASKS_STOP_SECONDS

log = structlog.get_logger("whohas.chores")


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to do at intervals.

    Attributes:
        seconds: from the end of one time to the next.
        do: does it; where it raises, the fault is logged and the next time comes all the same.
    """

    name: str
    seconds: float
    do: Callable[[], object]


@contextmanager
def doing(chores: Sequence[Chore]) -> Generator[None]:
    """Does chores until the context ends; what is under way then is waited for."""
    over = threading.Event()
    threads = [threading.Thread(target=_again, args=(chore, over), name=chore.name, daemon=True) for chore in chores]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(_STOP_SECONDS)


def _again(chore: Chore, over: threading.Event) -> None:
    faults = 0
    while True:
        try:
            chore.do()
            faults = 0
        except Exception:
            # a database that is away fails it every time: said at the first, then ever more rarely
            faults += 1
            if faults & (faults - 1) == 0:
                log.exception("chore failed", chore=chore.name, times=faults)
        if over.wait(chore.seconds):
            return
