"""The outbox: events that were written with their acts and are not yet everywhere where they belong.

A row is put in by `write`, within the transaction of the act. The relay then gives it its place in the chain, appends
it to the trail (`filed`), has Kafka take it (`sent`), and removes it. One that Kafka refuses stays, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from whohas.audit.chain import Head, Line, chained
from whohas.audit.events import Event
from whohas.database import Instant, metadata, upserting
from whohas.outbox import any_waits, read_waiting

event_table = sa.Table(
    "audit_event",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("created", Instant, nullable=False),
    sa.Column("event", sa.Text, nullable=False, comment="JSON; once it has its place in the chain, the whole line"),
    sa.Column("sequence", sa.BigInteger, unique=True, comment="its place in the chain; null until it has one"),
    sa.Column("hash", sa.String(64)),
    sa.Column("filed", sa.Boolean, nullable=False, comment="whether it is in the trail"),
    sa.Column("sent", sa.Boolean, nullable=False, comment="whether Kafka has it"),
    sa.Column("refused", sa.Text, comment="why Kafka does not take it"),
)

head_table = sa.Table(
    "audit_head",
    metadata,
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("fault", sa.Text, nullable=False, comment="why events do not get on; empty while they do"),
)
"""One row: the end of the chain."""

load_table = sa.Table("audit_load", metadata, sa.Column("load_id", sa.String(32), primary_key=True))
"""The loads that have their event."""

_E = event_table.c
_MORE = 1_000
"""Rows of a statement that names them one by one."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that has its place in the chain and is not yet everywhere."""

    number: int
    sequence: int
    hash: str
    text: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is on its way.

    Attributes:
        head: the end of the chain.
        unfiled: events that are not in the trail.
        waiting: events that are not yet everywhere: these, and those that Kafka does not have and has not refused.
        oldest_seconds: how long the oldest of them has waited.
        refused: events that Kafka refused.
        fault: why events do not get on; empty while they do.
    """

    head: Head
    unfiled: int
    waiting: int
    oldest_seconds: float
    refused: int
    fault: str


def write(connection: sa.Connection, event: Event) -> None:
    """Writes an event within the caller's transaction."""
    connection.execute(_WRITE, {"created": event.time, "event": event.text(), "filed": False, "sent": False})


_WRITE = event_table.insert().inline()


def write_load(connection: sa.Connection, load_id: str, events: Iterable[Event]) -> bool:
    """Writes a load's events unless it has them; whether it had none."""
    new = (
        upserting(connection, load_table)
        .values(load_id=load_id)
        .on_conflict_do_nothing()
        .returning(load_table.c.load_id)
    )
    if connection.execute(new).first() is None:
        return False
    for event in events:
        write(connection, event)
    return True


def knows_load(connection: sa.Connection, load_id: str) -> bool:
    """Whether a load has its event."""
    return any_waits(connection, load_table.c.load_id == load_id)


def has_unchained(connection: sa.Connection) -> bool:
    """Whether there are events without a place in the chain."""
    return any_waits(connection, _E.sequence.is_(None))


def chain(connection: sa.Connection, source: str, most: int) -> int:
    """Gives events that have none their places in the chain; how many.

    Whoever else does so at the same time waits. Events get their places in the order in which they were written, of
    those that are committed by now: one that was caused by another is written after that was committed, so it comes
    after it.
    """
    connection.execute(
        head_table.update().values(sequence=head_table.c.sequence)
    )  # nobody else changes it from here on
    rows = connection.execute(
        sa.select(_E.number, _E.event).where(_E.sequence.is_(None)).order_by(_E.number).limit(most)
    )
    head = read_head(connection)
    changes: list[dict[str, Any]] = []
    for row in rows:
        line: Line = chained(head, row.event, source)
        head = Head(line.sequence, line.hash)
        changes.append({"this": row.number, "sequence": line.sequence, "hash": line.hash, "event": line.text})
    if changes:
        connection.execute(_CHAIN, changes)
        connection.execute(head_table.update().values(sequence=head.sequence, hash=head.hash))
    return len(changes)


_CHAIN = (
    event_table.update()
    .where(_E.number == sa.bindparam("this"))
    .values(sequence=sa.bindparam("sequence"), hash=sa.bindparam("hash"), event=sa.bindparam("event"))
)


def read_head(connection: sa.Connection) -> Head:
    """The end of the chain."""
    row = connection.execute(sa.select(head_table.c.sequence, head_table.c.hash)).one()
    return Head(row.sequence, row.hash)


def before(event: Pending) -> Head:
    """The end of the chain as it was before an event."""
    return Head(event.sequence - 1, str(json.loads(event.text)["previoushash"]))


def unfiled(connection: sa.Connection, after: int, most: int) -> list[Pending]:
    """Events beyond a place in the chain that are not in the trail, in their order."""
    return _pending(connection, sa.and_(_E.filed.is_(False), _E.sequence > after), most)


def unsent(connection: sa.Connection, most: int) -> list[Pending]:
    """Events that Kafka does not have and has not refused, in the order of the chain."""
    return _pending(connection, sa.and_(_E.sent.is_(False), _E.refused.is_(None)), most)


def refused(connection: sa.Connection) -> list[tuple[Pending, str]]:
    """Events that Kafka refused, each with the reason."""
    rows = connection.execute(sa.select(event_table).where(_E.refused.is_not(None)).order_by(_E.sequence))
    return [(Pending(row.number, row.sequence, row.hash, row.event), row.refused) for row in rows]


def note_filed(connection: sa.Connection, events: Sequence[Pending], *, kafka: bool) -> None:
    """Events are in the trail.

    Args:
        kafka: whether Kafka is to have them too; else they are done.
    """
    _done(connection, events, {"filed": True}, _E.sent.is_(True) if kafka else sa.true())


def note_sent(connection: sa.Connection, events: Sequence[Pending]) -> None:
    """Kafka has events."""
    _done(connection, events, {"sent": True}, _E.filed.is_(True))


def forget_unsent(connection: sa.Connection) -> None:
    """Kafka is not to have events any more: those that only waited for it are done."""
    connection.execute(event_table.delete().where(_E.filed.is_(True), _E.refused.is_(None)))


def note_refused(connection: sa.Connection, event: Pending, why: str) -> None:
    """Kafka does not take an event: it is set aside."""
    connection.execute(event_table.update().where(_E.number == event.number).values(refused=why))


def retry(connection: sa.Connection) -> int:
    """Has what Kafka refused sent once more; how many events."""
    return connection.execute(event_table.update().where(_E.refused.is_not(None)).values(refused=None)).rowcount


def read_fault(connection: sa.Connection) -> str:
    """Why events do not get on; empty while they do."""
    return connection.execute(sa.select(head_table.c.fault)).scalar_one()


def note_fault(connection: sa.Connection, fault: str) -> None:
    """Says why events do not get on, or with an empty text that they do."""
    connection.execute(head_table.update().where(head_table.c.fault != fault).values(fault=fault))


def read_backlog(connection: sa.Connection) -> Backlog:
    """How things stand."""
    waits = sa.and_(_E.refused.is_(None), sa.or_(_E.filed.is_(False), _E.sent.is_(False)))
    waiting = read_waiting(connection, _E.created, waits)
    counts = sa.select(sa.func.count(sa.case((_E.filed.is_(False), 1))), sa.func.count(_E.refused))
    unfiled, refused = connection.execute(counts).one()
    head, fault = read_head(connection), read_fault(connection)
    return Backlog(head, unfiled, waiting.count, waiting.oldest_seconds, refused, fault)


def _pending(connection: sa.Connection, condition: sa.ColumnElement[bool], most: int) -> list[Pending]:
    query = sa.select(_E.number, _E.sequence, _E.hash, _E.event).where(_E.sequence.is_not(None), condition)
    rows = connection.execute(query.order_by(_E.sequence).limit(most))
    return [Pending(row.number, row.sequence, row.hash, row.event) for row in rows]


def _done(
    connection: sa.Connection, events: Sequence[Pending], change: dict[str, bool], elsewhere: sa.ColumnElement[bool]
) -> None:
    """Events are where one of the two wants them: those that the other has too are removed."""
    for start in range(0, len(events), _MORE):
        these = _E.number.in_([one.number for one in events[start : start + _MORE]])
        connection.execute(event_table.delete().where(these, elsewhere, _E.refused.is_(None)))
        connection.execute(event_table.update().where(these).values(change))
