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
from whohas.db.engine import Instant, metadata, upserting
from whohas.errors import QuotaExceeded

count_table = sa.Table(
    "limit_count",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True, comment="SHA-256 of what is counted"),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("ends", Instant, nullable=False, index=True, comment="when its window ends, and it counts from 0 again"),
)

GUESSES = 10
"""The most wrong attempts for one client or user from one address in a window (`LIMIT_GUESSES_SECONDS`)."""
GUESSES_OF_ADDRESS = 100
"""The most wrong passwords for all users from one address in a window."""
GUESSES_OF_NAME = 100
"""The most wrong passwords for one user from all addresses in a window. That allows ten million guesses a year, and a
password has at least 12 characters. A client's secret, of 256 random bits, needs no such limit."""


@dataclass(frozen=True, slots=True)
class Count:
    """The state of one counter.

    Attributes:
        events: the number of events in the current window; 0 if no window is open.
        left: seconds until the window ends.
    """

    events: int
    left: float


class Counts(Protocol):
    """Counters of events by key, each in a fixed window of time."""

    def add(self, key: str, seconds: int) -> Count:
        """Count an event and return the new state; open a window of `seconds` if none is open."""
        ...

    def look(self, key: str) -> Count:
        """Return the state of a counter without counting an event."""
        ...


class CountsInMemory:
    """Counters in the memory of one server.

    Args:
        size: the most keys; beyond it the key whose last event is the oldest is forgotten.
    """

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def add(self, key: str, seconds: int) -> Count:
        now, hashed = time.monotonic(), _hashed(key)
        with self._lock:
            events, ends = self._counts.get(hashed, (0, 0.0))
            if ends <= now:
                events, ends = 0, now + seconds
            self._counts[hashed] = (events + 1, ends)
            self._counts.move_to_end(hashed)
            if len(self._counts) > self._size:
                self._counts.popitem(last=False)
        return Count(events + 1, ends - now)

    def look(self, key: str) -> Count:
        now = time.monotonic()
        events, ends = self._counts.get(_hashed(key), (0, 0.0))
        return Count(events, ends - now) if ends > now else Count(0, 0.0)

    def __len__(self) -> int:
        return len(self._counts)


_LONGEST_WINDOW = max(timeouts.LIMIT_CALLS_SECONDS, timeouts.LIMIT_GUESSES_SECONDS)


def _is_over(now: datetime, seconds: int) -> sa.ColumnElement[bool]:
    """Return the SQL condition that a counter's window, of at most `seconds`, is over.

    A window that ends later than `now + 2 * seconds` counts as over too: it was opened before the clock was set back,
    and would otherwise block its key for too long. Twice, because the clocks of several servers may differ.
    """
    current = sa.bindparam("now", now, Instant)
    latest = sa.bindparam("latest", now + timedelta(seconds=2 * seconds), Instant)
    return sa.or_(count_table.c.ends <= current, count_table.c.ends > latest)


class CountsInDatabase:
    """Counters in the table `limit_count`, shared by all servers on one database.

    An event is one statement. Rows of windows that are over are deleted every `LIMIT_GUESSES_SECONDS`.
    """

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._swept = time.monotonic()

    def add(self, key: str, seconds: int) -> Count:
        now = datetime.now(UTC)
        over = _is_over(now, seconds)
        row = {"key": _hashed(key), "events": 1, "ends": now + timedelta(seconds=seconds)}
        insert = upserting(self._database, count_table).values(row)
        counting = insert.on_conflict_do_update(
            index_elements=[count_table.c.key],
            set_={
                "events": sa.case((over, 1), else_=count_table.c.events + 1),
                "ends": sa.case((over, insert.excluded.ends), else_=count_table.c.ends),
            },
        ).returning(count_table.c.events, count_table.c.ends)
        with self._database.begin() as connection:
            events, ends = connection.execute(counting).one()
            if time.monotonic() - self._swept > timeouts.LIMIT_GUESSES_SECONDS:
                self._swept = time.monotonic()
                connection.execute(count_table.delete().where(_is_over(now, _LONGEST_WINDOW)))
        return Count(events, (ends - now).total_seconds())

    def look(self, key: str) -> Count:
        now = datetime.now(UTC)
        query = sa.select(count_table.c.events, count_table.c.ends).where(
            count_table.c.key == _hashed(key), ~_is_over(now, _LONGEST_WINDOW)
        )
        with self._database.connect() as connection:
            row = connection.execute(query).one_or_none()
        return Count(0, 0.0) if row is None else Count(row.events, (row.ends - now).total_seconds())


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The rate limit of the published API: a number of calls for each client and API version in ten seconds.

    Attributes:
        counts: the counters.
        calls: the most calls in a window (WHOHAS_RATE_LIMIT); the server does not install the limit if it is 0.
    """

    counts: Counts
    calls: int

    def check(self, client: str, version: str) -> None:
        """Count a call.

        Args:
            client: the id of the client whose token it is.
            version: the API version of the path, such as `v2025`.

        Raises:
            QuotaExceeded: the client has made more calls than allowed in this window; `retry_after` is when it ends.
        """
        count = self.counts.add(f"calls\n{client}\n{version}", timeouts.LIMIT_CALLS_SECONDS)
        if count.events > self.calls:
            raise QuotaExceeded(" Rate Limit Exceeded ", _whole(count.left))


@dataclass(frozen=True, slots=True)
class Guesses:
    """Throttling of wrong client secrets and passwords; correct ones are not counted.

    The same wrong secret of a client counts once in a window: a script with an outdated secret repeats it and is not
    guessing, and must not lock out the script that has the new one. Each wrong password counts, because no hash of
    passwords that were tried is stored to compare with.
    """

    counts: Counts

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
            count = self.counts.look(key)
            if count.events >= most:
                raise QuotaExceeded("Too many wrong attempts. Wait, then try again.", _whole(count.left))

    def wrong_secret(self, client: str, address: str, secret: str) -> None:
        """Count a wrong secret of a client, once in a window for each secret."""
        key = f"secret\n{client}\n{address}\n{_hashed(secret)}"
        if self.counts.add(key, timeouts.LIMIT_GUESSES_SECONDS).events == 1:
            self._count(client, address, person=False)

    def wrong_password(self, name: str, address: str) -> None:
        """Count a wrong password of a user."""
        self._count(name, address, person=True)

    def _count(self, name: str, address: str, *, person: bool) -> None:
        for key, _ in _limits(name, address, person):
            self.counts.add(key, timeouts.LIMIT_GUESSES_SECONDS)


def open_counts(database: sa.Engine) -> Counts:
    """Return the counters of an installation: in memory on SQLite, which has a single server, else in the database."""
    return CountsInMemory() if database.dialect.name == "sqlite" else CountsInDatabase(database)


def _limits(name: str, address: str, person: bool) -> list[tuple[str, int]]:
    """Return the counters of an attempt, each with the most wrong attempts that it allows."""
    if not person:
        return [(f"client\n{name}\n{address}", GUESSES)]
    return [
        (f"person\n{name}\n{address}", GUESSES),
        (f"address\n{address}", GUESSES_OF_ADDRESS),
        (f"person\n{name}", GUESSES_OF_NAME),
    ]


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))
