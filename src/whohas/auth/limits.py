"""How often: calls of a client, and wrong guesses of secrets and passwords.

Both count events in windows of time. Embedded, the counts are in memory, at most so many of them; with several servers
on PostgreSQL they are in a table, so that a limit is one for all. A key is a hash: nothing that a caller sent is kept.
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
from whohas.database import Instant, metadata, upserting
from whohas.errors import QuotaExceeded

count_table = sa.Table(
    "limit_count",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True, comment="SHA-256 of what is counted"),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("ends", Instant, nullable=False, index=True, comment="when its window ends, and it counts from 0 again"),
)

GUESSES = 10
"""Wrong guesses of one client or user from one address in a window; then it waits."""
GUESSES_OF_ADDRESS = 100
"""Wrong passwords of any users from one address in a window."""
GUESSES_OF_NAME = 100
"""Wrong passwords of one user from any addresses in a window: a year gives ten million, and a password has 12
characters. A client's secret needs no such limit."""


@dataclass(frozen=True, slots=True)
class Count:
    """Events in a window, and the seconds until it ends."""

    events: int
    left: float


class Counts(Protocol):
    """Counts events by key."""

    def add(self, key: str, seconds: int) -> Count:
        """One more event; the first opens a window of so many seconds."""
        ...

    def look(self, key: str) -> Count:
        """How many there were in the window that is open."""
        ...


class CountsInMemory:
    """For one server. Beyond `size` keys the one that was counted longest ago is forgotten."""

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
    """Return whether a window of so many seconds is over; so is one that ends later than any that begins now could,
    for the clock was set back. Clocks of several servers may differ by as much as the window."""
    at = sa.bindparam("now", now, Instant)
    latest = sa.bindparam("latest", now + timedelta(seconds=2 * seconds), Instant)
    return sa.or_(count_table.c.ends <= at, count_table.c.ends > latest)


class CountsInDatabase:
    """For several servers on one database: one statement an event. Windows that ended are swept now and then."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._swept = time.monotonic()

    def add(self, key: str, seconds: int) -> Count:
        now = datetime.now(UTC)
        over = _is_over(now, seconds)
        new = {"key": _hashed(key), "events": 1, "ends": now + timedelta(seconds=seconds)}
        insert = upserting(self._database, count_table).values(new)
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
    """The published gateway's limit: so many calls a client, API version and ten seconds; 0 for none."""

    counts: Counts
    calls: int

    def check(self, client: str, version: str) -> None:
        """Counts a call.

        Raises:
            QuotaExceeded: it is one too many.
        """
        count = self.counts.add(f"calls\n{client}\n{version}", timeouts.LIMIT_CALLS_SECONDS)
        if count.events > self.calls:
            raise QuotaExceeded(" Rate Limit Exceeded ", _whole(count.left))


@dataclass(frozen=True, slots=True)
class Guesses:
    """Slows down whoever guesses: wrong ones count, right ones do not.

    A client's secret that is wrong twice counts once, for a script that has an old secret repeats it and guesses
    nothing; it must not keep the script with the new one out. Of passwords nothing is kept to compare with.
    """

    counts: Counts

    def check(self, name: str, address: str, *, person: bool = False) -> None:
        """Looks before a secret or a password is checked.

        Raises:
            QuotaExceeded: too many wrong guesses; a right one is not looked at either until the window ends.
        """
        for key, most in _limits(name, address, person):
            count = self.counts.look(key)
            if count.events >= most:
                raise QuotaExceeded("Too many wrong attempts. Wait, then try again.", _whole(count.left))

    def wrong_secret(self, client: str, address: str, secret: str) -> None:
        """Counts a wrong secret of a client."""
        key = f"secret\n{client}\n{address}\n{_hashed(secret)}"
        if self.counts.add(key, timeouts.LIMIT_GUESSES_SECONDS).events == 1:
            self._count(client, address, person=False)

    def wrong_password(self, name: str, address: str) -> None:
        """Counts a wrong password of a user."""
        self._count(name, address, person=True)

    def _count(self, name: str, address: str, *, person: bool) -> None:
        for key, _ in _limits(name, address, person):
            self.counts.add(key, timeouts.LIMIT_GUESSES_SECONDS)


def open_counts(database: sa.Engine) -> Counts:
    """Where an installation counts: in memory on SQLite, which has one server, in the database otherwise."""
    return CountsInMemory() if database.dialect.name == "sqlite" else CountsInDatabase(database)


def _limits(name: str, address: str, person: bool) -> list[tuple[str, int]]:
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
