"""The start of a server or worker: where PostgreSQL is away it waits, says so, and gives up after a limit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

import typer

from whohas import timeouts
from whohas.cli.exits import Exit
from whohas.errors import Unavailable, WhohasError

if TYPE_CHECKING:
    from whohas.settings import Settings

T = TypeVar("T")


class StopRequest:
    """Whether a signal has asked this process to stop.

    No `threading.Event`: a handler that sets one waits for ever if the thread that it interrupts has just begun to wait
    for it. `SimpleQueue.put` is made for handlers.

    Python runs a handler between two steps of the main thread. A signal that comes after the last step before a wait,
    and before the system has begun to wait, does not interrupt it: its handler runs when the wait is over. So a long
    wait consists of short ones.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[None] = SimpleQueue()

    def handle(self, _signal: int, _frame: object) -> None:
        """The handler of a signal."""
        self._asked.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for a signal, perhaps for some seconds only; whether one has come."""
        ends = math.inf if seconds is None else time.monotonic() + seconds
        while True:
            left = max(0.0, ends - time.monotonic())
            try:
                self._asked.get(timeout=min(left, timeouts.STOP_LOOK_SECONDS))
            except Empty:
                if left <= timeouts.STOP_LOOK_SECONDS:
                    return False
            else:
                self._asked.put(None)  # whoever asks again is told again
                return True


_FOR_GOOD = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied", "invalid")
"""What PostgreSQL says where waiting does not help."""


@contextmanager
def begun(
    settings: Settings,
    begin: Callable[[ExitStack], T],
    stopped: StopRequest,
    on_wait: Callable[[], None] = lambda: None,
) -> Generator[T]:
    """Begin what needs the database, as soon as that answers; what `begin` has entered ends with the context.

    Args:
        begin: enters what it needs into a stack; it is called again where PostgreSQL did not answer.
        stopped: ends the wait, with exit code 0.
        on_wait: called when the wait begins.

    Raises:
        Unavailable: PostgreSQL has not answered for `database_wait_seconds`, or refuses for good.
    """
    import structlog

    log = structlog.get_logger("whohas.start")
    ends = time.monotonic() + settings.database_wait_seconds
    faults = 0
    while True:
        with ExitStack() as stack:
            try:
                value = begin(stack)
            except Exception as error:
                reason = _reason(error, settings)
                if reason is None:
                    raise
            else:
                with stack:
                    if faults:
                        log.info("the database answers")
                    yield value
                return
        if time.monotonic() >= ends:
            raise Unavailable(
                f"{reason} It was waited for {settings.database_wait_seconds:g} seconds (WHOHAS_DATABASE_WAIT_SECONDS)."
            )
        faults += 1
        if faults == 1:
            on_wait()
        if faults & (faults - 1) == 0:  # the first time, the second, the fourth, the eighth …
            left = round(max(0.0, ends - time.monotonic()))
            log.warning("waiting for the database", reason=reason, times=faults, gives_up_in_seconds=left)
        if stopped.wait(min(timeouts.DATABASE_RETRY_SECONDS, max(0.0, ends - time.monotonic()))):
            raise typer.Exit(Exit.DONE)


def _reason(error: Exception, settings: Settings) -> str | None:
    """Return why PostgreSQL is away, as a sentence; None for any other fault."""
    from whohas.database import AWAY
    from whohas.faults import address_of, sentence

    cause = error.__cause__ if isinstance(error, WhohasError) else error
    if not isinstance(cause, AWAY) or settings.sqlalchemy_url.startswith("sqlite"):
        return None
    reason = sentence(cause, address_of(settings.sqlalchemy_url)) or str(error)
    if any(words in reason for words in _FOR_GOOD):
        raise Unavailable(reason) from error
    return reason
