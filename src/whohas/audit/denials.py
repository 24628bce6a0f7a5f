"""Requests that were denied, without a way to fill the trail for whoever may send as many as they like.

The first few of a caller, or of an address that nobody's token comes from, have an event each. Further ones within the
same minute are counted, and one event tells how many there were, from when to when. Addresses are as many as somebody
likes to have; beyond some number they are counted together. So a flood costs a bounded number of events a minute, and a
bounded memory.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import timeouts
from whohas.audit.events import Event, Type, Who, shortened, timestamp
from whohas.audit.outbox import write

OF_CALLER = 100
"""Events of their own that a known caller's denials have in a window."""
OF_ADDRESS = 10
"""The same for an address without a caller."""
OF_STRANGERS = 200
"""The same for all addresses together."""
ADDRESSES = 1_000
"""Windows that are kept; what comes beyond shares one."""

log = structlog.get_logger("whohas.audit")


@dataclass(frozen=True, slots=True)
class Denial:
    """A request that was answered with 401 or 403.

    Attributes:
        route: the name of the operation; empty where there is none.
        tried: the client or user that somebody claimed to be.
    """

    who: Who
    status: int
    method: str
    path: str
    route: str
    reason: str
    tried: str = ""

    def event(self) -> Event:
        facts = {
            "status": self.status,
            "method": self.method,
            "path": shortened(self.path),
            "operation": self.route or None,
            "reason": shortened(self.reason),
            "tried": shortened(self.tried) or None,
        }
        return Event(Type.REQUEST_DENIED, self.who.id or "unknown", self.who, "denied", facts)


@dataclass
class _Window:
    last: Denial
    opened: float
    told: int = 0
    more: int = 0
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    until: datetime = field(default_factory=lambda: datetime.now(UTC))


class Denials:
    """Writes the events of denied requests; `flush` must be called again and again."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, int], _Window] = {}
        self._strangers = _Allowance()

    def note(self, denial: Denial) -> None:
        """Writes a denial's event, or counts it."""
        with self._lock:
            window = self._window(denial)
            own = window.told < (OF_CALLER if denial.who.id else OF_ADDRESS)
            if own and (denial.who.id or self._strangers.take()):
                window.told += 1
            else:
                self._count(window, denial)
                return
        try:
            with self._database.begin() as connection:
                write(connection, denial.event())
        except SQLAlchemyError as error:
            # the request is denied all the same; it is told of when the database is back
            log.warning("a denial is counted for later", reason=str(error).splitlines()[0])
            with self._lock:
                self._count(self._window(denial), denial)

    def flush(self, *, all: bool = False) -> None:
        """Writes one event for each window that ended with denials which have none.

        Args:
            all: those of windows that have not ended, too.
        """
        now = time.monotonic()
        with self._lock:
            ended = [
                key for key, one in self._windows.items() if all or now - one.opened >= timeouts.DENIALS_WINDOW_SECONDS
            ]
            windows = {key: self._windows.pop(key) for key in ended}
        counted = [window for window in windows.values() if window.more]
        try:
            if counted:
                with self._database.begin() as connection:
                    for window in counted:
                        write(connection, _together(window))
        except BaseException:
            with self._lock:
                for key, window in windows.items():
                    kept = self._windows.setdefault(key, window)
                    if kept is not window:
                        kept.more += window.more
                        kept.since = min(kept.since, window.since)
            raise

    def _window(self, denial: Denial) -> _Window:
        key = (denial.who.id or f"from {denial.who.address}", denial.status)
        if key not in self._windows and len(self._windows) >= ADDRESSES:
            key = ("many", denial.status)
        window = self._windows.get(key)
        if window is None or (not window.more and time.monotonic() - window.opened >= timeouts.DENIALS_WINDOW_SECONDS):
            window = self._windows[key] = _Window(denial, time.monotonic())
        return window

    @staticmethod
    def _count(window: _Window, denial: Denial) -> None:
        now = datetime.now(UTC)
        window.since = window.since if window.more else now
        window.until = now
        window.more += 1
        window.last = denial


class _Allowance:
    """So many in a window of time."""

    def __init__(self) -> None:
        self._opened = time.monotonic()
        self._taken = 0

    def take(self) -> bool:
        if time.monotonic() - self._opened >= timeouts.DENIALS_WINDOW_SECONDS:
            self._opened, self._taken = time.monotonic(), 0
        self._taken += 1
        return self._taken <= OF_STRANGERS


def _together(window: _Window) -> Event:
    event = window.last.event()
    facts = {**event.facts, "count": window.more, "since": timestamp(window.since), "until": timestamp(window.until)}
    return replace(event, facts=facts)
