"""Audit events made, told apart and counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ready import ready
from whohas.audit import Actor, Event, EventType, write_event
from whohas.audit.chain import ChainHead, ChainLine, chain_event
from whohas.audit.outbox import event_table, read_backlog
from whohas.audit.relay import Relay
from whohas.db.engine import create_engine
from whohas.db.migrations import upgrade_schema
from whohas.settings import Settings

SOURCE = "/whohas/acme"
"""The source of the events of `a_chain`."""
SOMEBODY = Actor("client", "a script", "c" * 32, address="192.0.2.7", tracking_id="t" * 32)


def an_event(subject: str = "r1", **facts: Any) -> Event:
    """An event of a download."""
    return Event(EventType.REPORT_DOWNLOADED, subject, SOMEBODY, details={"run": subject, **facts})


def a_chain(count: int, head: ChainHead | None = None) -> list[ChainLine]:
    """Return the lines of so many events, chained to a head; default: to the beginning."""
    head, made = head or ChainHead(), []
    for number in range(count):
        made.append(chain_event(head, an_event(f"r{number}", bytes=number).to_json(), SOURCE))
        head = ChainHead(made[-1].sequence, made[-1].hash)
    return made


@contextmanager
def outbox(settings: Settings) -> Generator[sa.Engine]:
    """The database of an installation, with an outbox."""
    if settings.database_url:
        settings.make_home()
    else:
        ready(settings.home)
    database = create_engine(settings.sqlalchemy_url)
    upgrade_schema(database)
    try:
        yield database
    finally:
        database.dispose()


def act(database: sa.Engine, *events: Event) -> None:
    """An act: its events in one transaction."""
    with database.begin() as connection:
        for event in events:
            write_event(connection, event)


def settle(settings: Settings, database: sa.Engine) -> None:
    """Brings what there is into the trail."""
    Relay(settings, database).flush()


def lines(path: Path) -> list[dict[str, Any]]:
    """The events of a trail."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def types(events: Sequence[dict[str, Any]]) -> Counter[str]:
    """How many events there are of each type, without the prefix that all have."""
    return Counter(event["type"].removeprefix("whohas.") for event in events)


def waiting(database: sa.Engine) -> int:
    """Events that are not yet everywhere where they belong."""
    with database.connect() as connection:
        return read_backlog(connection).waiting


def left(database: sa.Engine) -> int:
    """Rows of the outbox."""
    with database.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(event_table)).scalar_one()
