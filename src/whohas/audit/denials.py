"""Rate-limited audit events for denied requests (401 and 403), so that an attacker cannot flood the audit log.

In each window of one minute, the first denials of a caller (or of an address without a valid token) get one event each.
Further ones are only counted; one summary event then gives their number and the times of the first and last. An
attacker may have any number of addresses, so beyond `MAX_WINDOWS` windows all others share one. A flood therefore costs
a bounded number of events a minute and bounded memory.
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
from whohas.audit.events import Actor, Event, EventType, format_timestamp, truncated
from whohas.audit.outbox import write_event

EVENTS_PER_CALLER = 100
"""Individual events per window for an authenticated caller."""
EVENTS_PER_ADDRESS = 10
"""Individual events per window for an address without a valid token."""
EVENTS_OF_ALL_ADDRESSES = 200
"""Individual events per window for all addresses without a valid token together."""
MAX_WINDOWS = 1_000
"""Maximum number of windows; further callers and addresses share one window for each status."""

log = structlog.get_logger("whohas.audit")


@dataclass(frozen=True, slots=True)
class Denial:
    """A request that was answered with 401 or 403.

    Attributes:
        who: the caller, or an unknown actor with only an address.
        route: the name of the operation; empty if the path has no route.
        claimed_identity: the client or user that the request claimed to come from, without proof; empty if none.
    """

    who: Actor
    status: int
    method: str
    path: str
    route: str
    reason: str
    claimed_identity: str = ""

    def event(self) -> Event:
        """Return the audit event of this one request."""
        facts = {
            "status": self.status,
            "method": self.method,
            "path": truncated(self.path),
            "operation": self.route or None,
            "reason": truncated(self.reason),
            "tried": truncated(self.claimed_identity) or None,
        }
        return Event(EventType.REQUEST_DENIED, self.who.id or "unknown", self.who, "denied", facts)


@dataclass
class _Window:
    """The denials of a caller or address in one window of time.

    Attributes:
        last: the newest denial that was only counted; the summary event is made from it.
        opened: when the window began, on the monotonic clock.
        logged: denials with individual events.
        more: denials that were only counted, from `since` to `until`.
    """

    last: Denial
    opened: float
    logged: int = 0
    more: int = 0
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    until: datetime = field(default_factory=lambda: datetime.now(UTC))


class DenialLog:
    """The rate-limited log of denied requests; thread-safe. Call `flush` periodically to write the summary events."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, int], _Window] = {}
        self._strangers = _Allowance()

    def record(self, denial: Denial) -> None:
        """Write the audit event of a denial, or only count it if the limits of its window are reached.

        If the database fails, the denial is counted and appears in the next summary event.
        """
        with self._lock:
            window = self._window(denial)
            below_limit = window.logged < (EVENTS_PER_CALLER if denial.who.id else EVENTS_PER_ADDRESS)
            if below_limit and (denial.who.id or self._strangers.take()):
                window.logged += 1
            else:
                self._count(window, denial)
                return
        try:
            with self._database.begin() as connection:
                write_event(connection, denial.event())
        except SQLAlchemyError as error:
            # the request stays denied; its event is part of a summary once the database is back
            log.warning("a denial is counted for later", reason=str(error).splitlines()[0])
            with self._lock:
                self._count(self._window(denial), denial)

    def flush(self, *, all: bool = False) -> None:
        """Write a summary event for each ended window that has counted denials, and drop the ended windows.

        If writing fails, the windows are kept and the error is raised.

        Args:
            all: treat all windows as ended, as when the server stops.
        """
        now = time.monotonic()
        with self._lock:
            ended = [
                key
                for key, window in self._windows.items()
                if all or now - window.opened >= timeouts.DENIALS_WINDOW_SECONDS
            ]
            windows = {key: self._windows.pop(key) for key in ended}
        counted = [window for window in windows.values() if window.more]
        try:
            if counted:
                with self._database.begin() as connection:
                    for window in counted:
                        write_event(connection, _summary(window))
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
        if key not in self._windows and len(self._windows) >= MAX_WINDOWS:
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
    """The limit of individual events for all addresses without a valid token: `EVENTS_OF_ALL_ADDRESSES` per window."""

    def __init__(self) -> None:
        self._opened = time.monotonic()
        self._taken = 0

    def take(self) -> bool:
        """Count one event, and return whether it is within the limit."""
        if time.monotonic() - self._opened >= timeouts.DENIALS_WINDOW_SECONDS:
            self._opened, self._taken = time.monotonic(), 0
        self._taken += 1
        return self._taken <= EVENTS_OF_ALL_ADDRESSES


def _summary(window: _Window) -> Event:
    event = window.last.event()
    facts = {
        **event.details,
        "count": window.more,
        "since": format_timestamp(window.since),
        "until": format_timestamp(window.until),
    }
    return replace(event, details=facts)
