"""A bounded in-memory LRU cache, optionally with a maximum age or invalidated by every commit to the database."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

from whohas.db.engine import DataVersion

T = TypeVar("T")


class Cache(Generic[T]):
    """A thread-safe LRU cache: when it is full, the least recently used entry is dropped.

    Values are computed without holding the lock, so two threads that miss the same key at once both compute it. A value
    whose computation began before `clear`, or under an older version, is returned but not stored: it never replaces a
    newer one.

    Args:
        size: the maximum weight of all entries together, of which the newest is kept in any case; 0 turns the cache
            off.
        weigh: returns the weight of a value; by default each weighs 1, so that `size` is the maximum number of entries.
        seconds: the maximum age of an entry; None for no limit.
        version: called at each lookup, by one thread at a time; when its result has changed, all entries are dropped.
    """

    def __init__(
        self,
        size: int,
        *,
        weigh: Callable[[T], int] = lambda _: 1,
        seconds: float | None = None,
        version: Callable[[], object] | None = None,
    ) -> None:
        self._size = size
        self._weigh = weigh
        self._seconds = seconds
        self._version_of = version
        self._version: object = None
        self._cleared = 0
        self._total = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[T, float]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T], *, seconds: float | None = None) -> T:
        """Return the cached value of a key; on a miss, call `make`, store its result and return it.

        An error of `make` is raised, and nothing is stored.

        Args:
            seconds: the maximum age for this lookup; None for that of the cache.
        """
        if not self._size:
            return make()
        with self._lock:
            found = self._find(key, self._seconds if seconds is None else seconds)
            if found is not None:
                return found[0]
            cleared = self._cleared
        began = time.monotonic()
        value = make()
        with self._lock:
            if cleared == self._cleared:
                if key in self._entries:
                    self._total -= self._weigh(self._entries[key][0])
                self._entries[key] = value, began
                self._entries.move_to_end(key)
                self._total += self._weigh(value)
                while len(self._entries) > 1 and self._total > self._size:
                    _, (dropped, _) = self._entries.popitem(last=False)
                    self._total -= self._weigh(dropped)
        return value

    def clear(self, then: Callable[[], object] = lambda: None) -> None:
        """Drop all entries. Values that are being computed now will not be stored.

        Args:
            then: called while the lock is still held, before another thread can look anything up.
        """
        with self._lock:
            self._forget()
            then()

    def _find(self, key: Hashable, seconds: float | None) -> tuple[T, float] | None:
        if self._version_of is not None and (version := self._version_of()) != self._version:
            self._forget()
            self._version = version
        found = self._entries.get(key)
        if found is None or (seconds is not None and time.monotonic() - found[1] > seconds):
            return None
        self._entries.move_to_end(key)
        return found

    def _forget(self) -> None:
        self._entries.clear()
        self._total = 0
        self._cleared += 1


def cache_until_commit(database: sa.Engine, size: int = 10_000) -> Cache[Any]:
    """Return a cache for query results that is cleared by every commit to the database, so it is never stale.

    On SQLite, `DataVersion` detects commits of any process. PostgreSQL has no cheap counterpart: the cache is off
    there.
    """
    if database.dialect.name != "sqlite":
        return Cache(0)
    commits = DataVersion(database)
    cache = Cache[Any](size, version=commits.count)

    def close(_database: sa.Engine) -> None:
        cache.clear(commits.close)  # the counts of another connection cannot be compared with those so far

    event.listen(database, "engine_disposed", close)
    return cache
