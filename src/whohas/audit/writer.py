"""Moves events from the outbox into the hash chain and the log file.

Any process may do so. The chain is protected by a lock of its row in the database. The log file is protected by a file
lock on `audit.lock` in the home folder, held from reading the outbox to marking its rows, so that no event is appended
twice.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from whohas.audit import outbox
from whohas.audit.chain import Head
from whohas.audit.events import source_of
from whohas.audit.log_file import append, last_hashes
from whohas.db.locks import file_lock
from whohas.settings import Settings

AT_ONCE = 500
"""Maximum number of events in one transaction."""


@dataclass
class Filing:
    """The writer of the audit log: gives events their places in the chain and appends them to the log file.

    Attributes:
        kafka: whether events also go to Kafka; if so, they stay in the outbox until Kafka has them.
    """

    settings: Settings
    kafka: bool
    _left: tuple[int, int] | None = field(default=None, init=False)
    _filed: int = field(default=0, init=False)

    def chain(self, connection: sa.Connection) -> int:
        """Give up to `AT_ONCE` events their places in the chain; return how many."""
        with connection.begin():
            if not outbox.has_unchained(connection):
                return 0
        with connection.begin():
            return outbox.chain(connection, source_of(self.settings.org), AT_ONCE)

    def file(self, connection: sa.Connection) -> int:
        """Append up to `AT_ONCE` chained events to the log file, and mark them; return how many were processed.

        Raises:
            OSError: the disk is full or the log file cannot be written; the file is unchanged.
        """
        with connection.begin():
            if not outbox.unfiled(connection, self._filed, 1):
                return 0
        path = self.settings.trail_path
        with locked(self.settings), connection.begin():
            waiting = outbox.unfiled(connection, self._filed, AT_ONCE)
            # A process that was killed after `append` has not marked the events: look which ones the file has already.
            # Not needed if the file is still as this object left it.
            present = set[str]() if self._left == _state(path) else last_hashes(path, 2 * AT_ONCE)
            append(path, [event.text for event in waiting if event.hash not in present])
            self._left = _state(path)
            outbox.note_filed(connection, waiting, kafka=self.kafka)
        self._filed = max((event.sequence for event in waiting), default=self._filed)
        return len(waiting)

    def settle(self, connection: sa.Connection) -> None:
        """Chain all events of the outbox and append them to the log file."""
        while self.chain(connection) == AT_ONCE:
            pass
        while self.file(connection) == AT_ONCE:
            pass


def end_of_trail(settings: Settings, connection: sa.Connection) -> tuple[Head, int]:
    """Return the event that the log file must end with, according to the database, and the size of the file in bytes.

    `verify` reads the file only up to this size, because other processes may append events afterwards.
    """
    with locked(settings), connection.begin():
        head = outbox.read_head(connection)
        waiting = outbox.unfiled(connection, 0, 2 * AT_ONCE)
        present = last_hashes(settings.trail_path, 2 * AT_ONCE) if waiting else set[str]()
        filed = [event for event in waiting if event.hash in present]
        state = _state(settings.trail_path)
        if filed:
            head = Head(filed[-1].sequence, filed[-1].hash)
        elif waiting:
            head = outbox.before(waiting[0])
        return head, state[1] if state else 0


@contextmanager
def locked(settings: Settings) -> Generator[None]:
    """Hold the lock of the log file: no other process appends to it until the context ends."""
    with file_lock(settings.home / "audit.lock"):
        yield


def _state(path: Path) -> tuple[int, int] | None:
    """Return inode and size of a file, which change whenever another process appends to it or replaces it."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size
