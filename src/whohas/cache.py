"""The one cache of values that are found again by a key."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

from whohas.database import Commits

T = TypeVar("T")


class Cache(Generic[T]):
    """A bounded cache, safe from many threads; the entry that was not used for longest goes first.

    Values are made without the lock: two threads that miss at once both make one. A value of which the making began
    before `clear`, or under an older version, is returned and not kept, so it never replaces a newer one.

    Args:
        size: how many entries are kept at most; 0 for none.
        seconds: for how long an entry is kept; None for as long as there is room.
        version: a number that is compared at each look: once it has changed, all entries are dropped. It is asked by
            one thread at a time.
    """

    def __init__(self, size: int, *, seconds: float | None = None, version: Callable[[], object] | None = None) -> None:
        self._size = size
        self._seconds = seconds
        self._version_of = version
        self._version: object = None
        self._cleared = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[T, float]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T], *, seconds: float | None = None) -> T:
        """Return the value that is kept under a key, or that of `make`, which is kept unless it raises.

        Args:
            seconds: the greatest age of a value that will do; None for that of the cache.
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
                self._entries[key] = value, began
                self._entries.move_to_end(key)
                if len(self._entries) > self._size:
                    self._entries.popitem(last=False)
        return value

    def clear(self, then: Callable[[], object] = lambda: None) -> None:
        """Forget all entries, those too that are being made now.

        Args:
            then: done before another thread looks.
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
        self._cleared += 1


def until_commit(database: sa.Engine, size: int = 10_000) -> Cache[Any]:
    """Return a cache of what a database answered, which never gives what the database would not give now.

    SQLite counts commits (see `Commits`). PostgreSQL does not say when there is one; there nothing is kept.
    """
    if database.dialect.name != "sqlite":
        return Cache(0)
    commits = Commits(database)
    cache = Cache[Any](size, version=commits.count)

    def close(_database: sa.Engine) -> None:
        cache.clear(commits.close)  # another connection counts from another number

    event.listen(database, "engine_disposed", close)
    return cache
