"""Which workers are alive: each says so every few seconds, on a row of its own."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from whohas import timeouts
from whohas.database import Instant, metadata
from whohas.runs.table import now

SECONDS = timeouts.HEARTBEAT_SECONDS
_DEAD_AFTER = timedelta(seconds=timeouts.HEARTBEAT_DEAD_SECONDS)
_FORGOTTEN_AFTER = timedelta(seconds=timeouts.HEARTBEAT_FORGOTTEN_SECONDS)

beat = sa.Table(
    "worker_beat",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("process", sa.Integer, nullable=False),
    sa.Column("started", Instant, nullable=False),
    sa.Column("seen", Instant, nullable=False),
)
"""One row a worker."""


@dataclass(frozen=True)
class Beats:
    """The signs of life of workers; `id` is this process's."""

    database: sa.Engine
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def say(self) -> None:
        """This worker is alive."""
        at = now()
        with self.database.begin() as connection:
            mine = sa.update(beat).where(beat.c.id == self.id).values(seen=at)
            if connection.execute(mine).rowcount == 0:
                new = {"id": self.id, "host": socket.gethostname(), "process": os.getpid(), "started": at, "seen": at}
                connection.execute(sa.insert(beat).values(new))
                connection.execute(sa.delete(beat).where(beat.c.seen < at - _FORGOTTEN_AFTER))

    def alive(self) -> int:
        """How many workers are."""
        query = sa.select(sa.func.count()).select_from(beat).where(beat.c.seen > now() - _DEAD_AFTER)
        with self.database.connect() as connection:
            return connection.execute(query).scalar_one()

    @contextmanager
    def beating(self) -> Generator[None]:
        """This process is a worker for as long as the context lasts; `say` must be called again and again."""
        self.say()
        try:
            yield
        finally:
            try:
                with self.database.begin() as connection:
                    connection.execute(sa.delete(beat).where(beat.c.id == self.id))
            except SQLAlchemyError:
                pass  # the database went first: the row grows old
