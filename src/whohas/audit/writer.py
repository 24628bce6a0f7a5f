"""Moves events from the outbox into the hash chain and the audit log.

Any process may do so. The chain is protected by a lock of its row in the database. The log file is protected by a file
lock on `audit.lock` in the home folder, held from reading the outbox to marking its rows, so that no event is appended
twice. With PostgreSQL, events move to a table, and the log file is a copy of it. The end of the file shows how much it
has; `audit-position.json` shows it after the file was moved away.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from whohas import atomic
from whohas.audit import outbox
from whohas.audit.chain import ChainHead
from whohas.audit.events import event_source
from whohas.audit.log_file import append_lines, last_hashes, last_lines, parse_line
from whohas.db.locks import file_lock
from whohas.settings import Settings

BATCH_SIZE = 500
"""Maximum number of events in one transaction."""


@dataclass
class AuditLogWriter:
    """The writer of the audit log: gives events their places in the chain and appends them to the log file.

    Attributes:
        kafka: whether events also go to Kafka; if so, they stay in the outbox until Kafka has them.
    """

    settings: Settings
    kafka: bool
    _left: tuple[int, int] | None = field(default=None, init=False)
    _filed: int = field(default=0, init=False)
    _copied: ChainHead | None = field(default=None, init=False)

    def chain(self, connection: sa.Connection) -> int:
        """Give up to `BATCH_SIZE` events their places in the chain; return how many."""
        with connection.begin():
            if not outbox.has_unchained(connection):
                return 0
        with connection.begin():
            return outbox.chain_events(connection, event_source(self.settings.org), BATCH_SIZE)

    def append_chained(self, connection: sa.Connection) -> int:
        """Append up to `BATCH_SIZE` chained events to the audit log, and mark them; return how many were processed.

        Raises:
            OSError: the disk is full or the log file cannot be written; the file is unchanged.
        """
        with connection.begin():
            if not outbox.read_unfiled(connection, self._filed, 1):
                return 0
        if is_in_table(connection):
            return self._append_to_table(connection)
        path = self.settings.audit_log_path
        with log_file_lock(self.settings), connection.begin():
            waiting = outbox.read_unfiled(connection, self._filed, BATCH_SIZE)
            # A process that was killed after `append_lines` has not marked the events: look which ones the file has
            # already. Not needed if the file is still as this object left it.
            present = set[str]() if self._left == _state(path) else last_hashes(path, 2 * BATCH_SIZE)
            append_lines(path, [event.text for event in waiting if event.hash not in present])
            self._left = _state(path)
            outbox.mark_filed(connection, waiting, kafka=self.kafka)
        self._filed = max((event.sequence for event in waiting), default=self._filed)
        return len(waiting)

    def _append_to_table(self, connection: sa.Connection) -> int:
        with connection.begin():
            waiting = outbox.read_unfiled(connection, 0, BATCH_SIZE)
            outbox.append_to_table(connection, waiting)
            outbox.mark_filed(connection, waiting, kafka=self.kafka)
        return len(waiting)

    def copy(self, connection: sa.Connection) -> None:
        """Append to the log file what the table has and the file lacks; no effect where the file is the audit log.

        Raises:
            OSError: the disk is full or the log file cannot be written.
        """
        if is_in_table(connection):
            with connection.begin():
                if self._copied == (end := outbox.read_log_end(connection)):
                    return
            with log_file_lock(self.settings):
                copy_log(self.settings, connection)
            self._copied = end

    def flush(self, connection: sa.Connection) -> None:
        """Chain all events of the outbox and append them to the audit log, and bring the log file up to date."""
        while self.chain(connection) == BATCH_SIZE:
            pass
        while self.append_chained(connection) == BATCH_SIZE:
            pass
        self.copy(connection)


def is_in_table(connection: sa.Connection) -> bool:
    """Return whether the audit log is a table, of which the log file is a copy."""
    return connection.dialect.name == "postgresql"


def copy_log(settings: Settings, connection: sa.Connection) -> int:
    """Append to the log file what the table has and the file lacks; return the place of its last event in the chain.

    The caller holds the lock of the file.

    Raises:
        OSError: the disk is full or the log file cannot be written.
    """
    path, position_path = settings.audit_log_path, settings.home / "audit-position.json"
    position = _position(path, position_path)
    while True:
        with connection.begin():
            lines = outbox.read_log(connection, position, BATCH_SIZE)
        if not lines:
            return position
        append_lines(path, [line for _, line in lines])
        position = lines[-1][0]
        atomic.write(position_path, str(position), mode=0o600)


def _position(path: Path, position_path: Path) -> int:
    """Return the place in the chain of the last event that the log file has, or had before it was moved away."""
    noted = position_path.read_text() if position_path.exists() else ""
    last = [parse_line(line) or {} for line in last_lines(path, 1)]
    numbers = [noted, *(str(event.get("sequence", "")) for event in last)]
    return max((int(number) for number in numbers if number.isascii() and number.isdecimal()), default=0)


def expected_end(settings: Settings, connection: sa.Connection) -> tuple[ChainHead, int]:
    """Return the event that the log file must end with, according to the database, and the size of the file in bytes.

    `verify` reads the file only up to this size, because other processes may append events afterwards.
    """
    with log_file_lock(settings):
        position = copy_log(settings, connection) if is_in_table(connection) else 0
        with connection.begin():
            head = outbox.read_log_end(connection, position) or _end_by_outbox(settings, connection)
            state = _state(settings.audit_log_path)
            return head, state[1] if state else 0


def _end_by_outbox(settings: Settings, connection: sa.Connection) -> ChainHead:
    """Return the head of the chain, without the events that only wait for the log file."""
    waiting = outbox.read_unfiled(connection, 0, 2 * BATCH_SIZE)
    present = last_hashes(settings.audit_log_path, 2 * BATCH_SIZE) if waiting else set[str]()
    if filed := [event for event in waiting if event.hash in present]:
        return ChainHead(filed[-1].sequence, filed[-1].hash)
    return outbox.head_before(waiting[0]) if waiting else outbox.read_head(connection)


@contextmanager
def log_file_lock(settings: Settings) -> Generator[None]:
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
