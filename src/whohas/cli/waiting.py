"""Start of a server or worker: wait for an unreachable PostgreSQL, log it, and give up after a time limit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

import typer

from whohas import timeouts
from whohas.cli.exits import ExitCode
from whohas.errors import Unavailable, WhohasError

if TYPE_CHECKING:
    from whohas.settings import Settings

T = TypeVar("T")


class StopRequest:
    """A flag that signal handlers set to request the end of the process.

    It does not use `threading.Event`: a handler that sets an event deadlocks if the thread that it interrupts has just
    acquired the event's lock in order to wait. `SimpleQueue.put` is reentrant, and so safe in handlers.

    Python runs handlers between two bytecode instructions of the main thread. A signal that arrives after the last
    instruction before a blocking call, but before the call blocks, does not interrupt it: the handler runs only when
    the call returns. So a long wait is made of short ones.
    """

    def __init__(self) -> None:
        self._requests: SimpleQueue[None] = SimpleQueue()

    def on_signal(self, _signal: int, _frame: object) -> None:
        """Set the flag; a signal handler."""
        self._requests.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the flag is set, for `seconds` at most (None: no limit); return whether it is set."""
        ends = math.inf if seconds is None else time.monotonic() + seconds
        while True:
            left = max(0.0, ends - time.monotonic())
            try:
                self._requests.get(timeout=min(left, timeouts.SIGNAL_POLL_SECONDS))
            except Empty:
                if left <= timeouts.SIGNAL_POLL_SECONDS:
                    return False
            else:
                self._requests.put(None)  # keep the flag set for later calls
                return True


_FOR_GOOD = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied", "invalid")
"""Parts of PostgreSQL's error messages for failures that waiting does not cure."""


@contextmanager
def started_with_database(
    settings: Settings,
    begin: Callable[[ExitStack], T],
    stopped: StopRequest,
    on_wait: Callable[[], None] = lambda: None,
) -> Generator[T]:
    """Call `begin`, repeatedly while PostgreSQL does not answer, and yield its result.

    Args:
        begin: opens what needs the database, and enters it into the stack that it is given; the stack is closed after a
            failed try, and at the end of the context.
        stopped: a stop request ends the wait, and the process with exit code 0.
        on_wait: called once, after the first failed try.

    Raises:
        Unavailable: PostgreSQL did not answer within `database_wait_seconds`, or its error is permanent.
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
        if faults & (faults - 1) == 0:  # log only failures 1, 2, 4, 8 …
            left = round(max(0.0, ends - time.monotonic()))
            log.warning("waiting for the database", reason=reason, times=faults, gives_up_in_seconds=left)
        if stopped.wait(min(timeouts.DATABASE_RETRY_SECONDS, max(0.0, ends - time.monotonic()))):
            raise typer.Exit(ExitCode.DONE)


def _reason(error: Exception, settings: Settings) -> str | None:
    """Return a message if the error means that PostgreSQL is unreachable; None for any other error.

    Raises:
        Unavailable: PostgreSQL answered with a permanent error, such as a wrong password.
    """
    from whohas.db.engine import TRANSIENT_ERRORS
    from whohas.faults import address_of, describe

    cause = error.__cause__ if isinstance(error, WhohasError) else error
    if not isinstance(cause, TRANSIENT_ERRORS) or settings.sqlalchemy_url.startswith("sqlite"):
        return None
    reason = describe(cause, address_of(settings.sqlalchemy_url)) or str(error)
    if any(words in reason for words in _FOR_GOOD):
        raise Unavailable(reason) from error
    return reason
