"""Puts what is in the outbox into the chain and into the trail. Any process may: each step is locked where it matters.

Filing holds a lock on `audit.lock` of the home folder from the look into the outbox to its change, so that no event is
filed twice; the chain is locked in the database.
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
from whohas.audit.trail import append, last_hashes
from whohas.locks import file_lock
from whohas.settings import Settings

AT_ONCE = 500
"""Events of one transaction."""


@dataclass
class Filing:
    """Chains and files events.

    Attributes:
        kafka: whether events are to go to Kafka too, and stay in the outbox until they have.
    """

    settings: Settings
    kafka: bool
    _left: tuple[int, int] | None = field(default=None, init=False)
    _filed: int = field(default=0, init=False)

    def chain(self, connection: sa.Connection) -> int:
        """Gives some events their places in the chain; how many."""
        with connection.begin():
            if not outbox.has_unchained(connection):
                return 0
        with connection.begin():
            return outbox.chain(connection, source_of(self.settings.org), AT_ONCE)

    def file(self, connection: sa.Connection) -> int:
        """Appends some events to the trail; how many.

        Raises:
            OSError: the disk is full, or the trail cannot be written: it is as it was.
        """
        with connection.begin():
            if not outbox.unfiled(connection, self._filed, 1):
                return 0
        path = self.settings.trail_path
        with locked(self.settings), connection.begin():
            waiting = outbox.unfiled(connection, self._filed, AT_ONCE)
            # whoever was killed after it had appended could not say so any more
            there = set[str]() if self._left == _state(path) else last_hashes(path, 2 * AT_ONCE)
            append(path, [one.text for one in waiting if one.hash not in there])
            self._left = _state(path)
            outbox.note_filed(connection, waiting, kafka=self.kafka)
        self._filed = max((one.sequence for one in waiting), default=self._filed)
        return len(waiting)

    def settle(self, connection: sa.Connection) -> None:
        """Chains and files all that there is now."""
        while self.chain(connection) == AT_ONCE:
            pass
        while self.file(connection) == AT_ONCE:
            pass


def end_of_trail(settings: Settings, connection: sa.Connection) -> tuple[Head, int]:
    """The event with which the trail must end, as the outbox knows it, and how many bytes the file has then."""
    with locked(settings), connection.begin():
        head = outbox.read_head(connection)
        waiting = outbox.unfiled(connection, 0, 2 * AT_ONCE)
        there = last_hashes(settings.trail_path, 2 * AT_ONCE) if waiting else set[str]()
        filed = [one for one in waiting if one.hash in there]
        state = _state(settings.trail_path)
        if filed:
            head = Head(filed[-1].sequence, filed[-1].hash)
        elif waiting:
            head = outbox.before(waiting[0])
        return head, state[1] if state else 0


@contextmanager
def locked(settings: Settings) -> Generator[None]:
    """Nobody else files meanwhile."""
    with file_lock(settings.home / "audit.lock"):
        yield


def _state(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_size
