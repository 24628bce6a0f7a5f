"""Rate limits: calls of a client, and wrong client secrets and passwords.

Both count events by key in fixed windows of time. On SQLite, which has a single server, the counters are in memory, and
their number is bounded; on PostgreSQL they are in the table `limit_count`, so that all servers share each limit. Keys
are stored as hashes, so that nothing that a caller sent is stored.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import sqlalchemy as sa

from whohas import timeouts
from whohas.db.engine import UTCDateTime, insert_for, metadata
from whohas.errors import QuotaExceeded

count_table = sa.Table(
    "limit_count",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True, comment="SHA-256 of what is counted"),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column(
        "ends", UTCDateTime, nullable=False, index=True, comment="when its window ends, and it counts from 0 again"
    ),
)

MAX_WRONG = 10
"""The most wrong attempts for one client or user from one address in a window (`LOGIN_THROTTLE_WINDOW_SECONDS`)."""
MAX_WRONG_PER_ADDRESS = 100
"""The most wrong passwords for all users from one address in a window."""
MAX_WRONG_PER_NAME = 100
"""The most wrong passwords for one user from all addresses in a window. That allows ten million guesses a year, and a
password has at least 12 characters. A client's secret, of 256 random bits, needs no such limit."""


@dataclass(frozen=True, slots=True)
class WindowCount:
    """The state of one counter.

    Attributes:
        events: the number of events in the current window; 0 if no window is open.
        seconds_left: seconds until the window ends.
    """

    events: int
    seconds_left: float


class WindowCounter(Protocol):
    """Counters of events by key, each in a fixed window of time."""

    def add(self, key: str, seconds: int) -> WindowCount:
        """Count an event and return the new state; open a window of `seconds` if none is open."""
        ...

    def get(self, key: str) -> WindowCount:
        """Return the state of a counter without counting an event."""
        ...


class MemoryWindowCounter:
    """Counters in the memory of one server.

    Args:
        size: the most keys; beyond it the key whose last event is the oldest is forgotten.
    """

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def add(self, key: str, seconds: int) -> WindowCount:
        now, hashed = time.monotonic(), _hashed(key)
        with self._lock:
            events, ends = self._counts.get(hashed, (0, 0.0))
            if ends <= now:
                events, ends = 0, now + seconds
            self._counts[hashed] = (events + 1, ends)
            self._counts.move_to_end(hashed)
            if len(self._counts) > self._size:
                self._counts.popitem(last=False)
        return WindowCount(events + 1, ends - now)

    def get(self, key: str) -> WindowCount:
        now = time.monotonic()
        events, ends = self._counts.get(_hashed(key), (0, 0.0))
        return WindowCount(events, ends - now) if ends > now else WindowCount(0, 0.0)

    def __len__(self) -> int:
        return len(self._counts)


_LONGEST_WINDOW = max(timeouts.RATE_LIMIT_WINDOW_SECONDS, timeouts.LOGIN_THROTTLE_WINDOW_SECONDS)


def _is_over(now: datetime, seconds: int) -> sa.ColumnElement[bool]:
    """Return the SQL condition that a counter's window, of at most `seconds`, is over.

    A window that ends later than `now + 2 * seconds` counts as over too: it was opened before the clock was set back,
    and would otherwise block its key for too long. Twice, because the clocks of several servers may differ.
    """
    current = sa.bindparam("now", now, UTCDateTime)
    latest = sa.bindparam("latest", now + timedelta(seconds=2 * seconds), UTCDateTime)
    return sa.or_(count_table.c.ends <= current, count_table.c.ends > latest)


class DatabaseWindowCounter:
    """Counters in the table `limit_count`, shared by all servers on one database.

    An event is one statement. Rows of windows that are over are deleted every `LOGIN_THROTTLE_WINDOW_SECONDS`.
    """

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._swept = time.monotonic()

    def add(self, key: str, seconds: int) -> WindowCount:
        now = datetime.now(UTC)
        over = _is_over(now, seconds)
        row = {"key": _hashed(key), "events": 1, "ends": now + timedelta(seconds=seconds)}
        insert = insert_for(self._database, count_table).values(row)
        counting = insert.on_conflict_do_update(
            index_elements=[count_table.c.key],
            set_={
                "events": sa.case((over, 1), else_=count_table.c.events + 1),
                "ends": sa.case((over, insert.excluded.ends), else_=count_table.c.ends),
            },
        ).returning(count_table.c.events, count_table.c.ends)
        with self._database.begin() as connection:
            events, ends = connection.execute(counting).one()
            if time.monotonic() - self._swept > timeouts.LOGIN_THROTTLE_WINDOW_SECONDS:
                self._swept = time.monotonic()
                connection.execute(count_table.delete().where(_is_over(now, _LONGEST_WINDOW)))
        return WindowCount(events, (ends - now).total_seconds())

    def get(self, key: str) -> WindowCount:
        now = datetime.now(UTC)
        query = sa.select(count_table.c.events, count_table.c.ends).where(
            count_table.c.key == _hashed(key), ~_is_over(now, _LONGEST_WINDOW)
        )
        with self._database.connect() as connection:
            row = connection.execute(query).one_or_none()
        return WindowCount(0, 0.0) if row is None else WindowCount(row.events, (row.ends - now).total_seconds())


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The rate limit of the published API: a number of calls for each client and API version in ten seconds.

    Attributes:
        counter: the counters.
        max_calls: the most calls in a window (WHOHAS_RATE_LIMIT); the server does not install the limit if it is 0.
    """

    counter: WindowCounter
    max_calls: int

    def count_call(self, client: str, version: str) -> None:
        """Count a call.

        Args:
            client: the id of the client whose token it is.
            version: the API version of the path, such as `v2025`.

        Raises:
            QuotaExceeded: the client has made more calls than allowed in this window; `retry_after` is when it ends.
        """
        count = self.counter.add(f"calls\n{client}\n{version}", timeouts.RATE_LIMIT_WINDOW_SECONDS)
        if count.events > self.max_calls:
            raise QuotaExceeded(" Rate Limit Exceeded ", _whole(count.seconds_left))


@dataclass(frozen=True, slots=True)
class LoginThrottle:
    """Throttling of wrong client secrets and passwords; correct ones are not counted.

    The same wrong secret of a client counts once in a window: a script with an outdated secret repeats it and is not
    guessing, and must not lock out the script that has the new one. Each wrong password counts, because no hash of
    passwords that were tried is stored to compare with.
    """

    counter: WindowCounter

    def check(self, name: str, address: str, *, person: bool = False) -> None:
        """Raise if there were too many wrong attempts; call it before a secret or password is verified.

        Args:
            name: the id of the client or the name of the user.
            address: the IP address of the caller.
            person: whether it is a user's password rather than a client's secret.

        Raises:
            QuotaExceeded: there were too many wrong attempts; until the window ends, a correct one is refused too.
        """
        for key, most in _limits(name, address, person):
            count = self.counter.get(key)
            if count.events >= most:
                raise QuotaExceeded("Too many wrong attempts. Wait, then try again.", _whole(count.seconds_left))

    def count_wrong_secret(self, client: str, address: str, secret: str) -> None:
        """Count a wrong secret of a client, once in a window for each secret."""
        key = f"secret\n{client}\n{address}\n{_hashed(secret)}"
        if self.counter.add(key, timeouts.LOGIN_THROTTLE_WINDOW_SECONDS).events == 1:
            self._count(client, address, person=False)

    def count_wrong_password(self, name: str, address: str) -> None:
        """Count a wrong password of a user."""
        self._count(name, address, person=True)

    def _count(self, name: str, address: str, *, person: bool) -> None:
        for key, _ in _limits(name, address, person):
            self.counter.add(key, timeouts.LOGIN_THROTTLE_WINDOW_SECONDS)


def open_window_counter(database: sa.Engine) -> WindowCounter:
    """Return the counters of an installation: in memory on SQLite, which has a single server, else in the database."""
    return MemoryWindowCounter() if database.dialect.name == "sqlite" else DatabaseWindowCounter(database)


def _limits(name: str, address: str, person: bool) -> list[tuple[str, int]]:
    """Return the counters of an attempt, each with the most wrong attempts that it allows."""
    if not person:
        return [(f"client\n{name}\n{address}", MAX_WRONG)]
    return [
        (f"person\n{name}\n{address}", MAX_WRONG),
        (f"address\n{address}", MAX_WRONG_PER_ADDRESS),
        (f"person\n{name}", MAX_WRONG_PER_NAME),
    ]


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))
