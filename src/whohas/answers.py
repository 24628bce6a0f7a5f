"""What the database answered, kept for as long as nothing is written to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

from whohas.database import Commits

T = TypeVar("T")


class Answers(Generic[T]):
    """Answers to questions that are asked again and again; never one that the database would not give now.

    SQLite tells of every commit (see `Commits`). PostgreSQL does not; there nothing is kept. Safe from many threads.

    Args:
        size: how many answers are kept, at most.
    """

    def __init__(self, database: sa.Engine, size: int = 10_000) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._kept: dict[Hashable, T] = {}
        self._version: int | None = None
        self._commits = Commits(database)
        self._counts = database.dialect.name == "sqlite"
        if self._counts:
            event.listen(database, "engine_disposed", self._close)

    def get(self, question: Hashable, ask: Callable[[], T]) -> T:
        """The answer that is kept, or that of `ask`, which reads nothing but the database; a failure is not kept."""
        if not self._counts:
            return ask()
        with self._lock:
            version = self._commits.count()
            if version == self._version and question in self._kept:
                return self._kept[question]
            if version != self._version or len(self._kept) >= self._size:
                self._kept.clear()
                self._version = version
        answer = ask()
        with self._lock:
            # what was read may be newer than the count, never older: then the next look at the count forgets it
            if version == self._version:
                self._kept[question] = answer
        return answer

    def _close(self, _database: sa.Engine) -> None:
        with self._lock:
            self._commits.close()
            self._version = None
